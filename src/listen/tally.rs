//! What the connections of a pull come to: who serves, how fast, and who is silent. No clock and no I/O.

use std::collections::BTreeMap;
use std::time::Duration;

use super::kernel::Connection;
use crate::mirror::MirrorUrl;
use crate::pull::Seen;

/// So long a connection brings no byte before it is called silent. dockerd itself would wait for ever, and no
/// mirror that works is silent so long in the middle of a layer.
pub const SILENCE: Duration = Duration::from_secs(10);

/// So long a mirror's connections together bring less than they should before it is called crawling: three times the
/// silence, because a line that is slow may still recover where one that is silent has not. At the default `min_speed`
/// that is less than 2 MiB, for which nobody would have waited ...
const CRAWL: Duration = Duration::from_secs(30);
/// ... and never nothing for so long: what pauses more is asked for little, and is no layer that comes slowly. It is the
/// default of `stall`, after which a probe calls it silence.
const PAUSE: Duration = Duration::from_secs(5);

/// A pull has three connections at a time to one mirror (`max-concurrent-downloads`); all of them silent is one suspicion
/// and not three. By then the re-check, of eight seconds at most, has long said what is to be said of it.
const AGAIN: Duration = Duration::from_secs(60);

/// What is less is no layer: tokens and manifests alone are no measurement. It is what a sample reads.
const LEAST: u64 = 32 << 10;
/// Below this many bytes or milliseconds a speed is mostly chance: in a connection's first 256 KiB the window of TCP
/// still grows (RFC 6928 begins with 14 KiB, which double with each round trip, so that is four of them), and half a
/// second is ten round trips of 50 ms.
const MEASURED: (u64, Duration) = (256 << 10, Duration::from_millis(500));

/// Bytes that came longer ago belong to another pull, one that was broken off: dockerd's five tries of a layer are 50 s
/// of pauses, and ten of silence each.
pub const FORGOTTEN: Duration = Duration::from_secs(120);

/// So long after the last byte a pull may have ended; it may also unpack for minutes, so this is doubled each time
/// that it had not.
const SETTLED: Duration = Duration::from_secs(2);

/// What is known of a connection.
#[derive(Clone, Debug)]
struct Known {
    url: MirrorUrl,
    /// Where it stood when it was first seen.
    first: (Duration, u64),
    received: u64,
    /// When the last byte came.
    moved: Duration,
    suspected: bool,
    /// Kept open after a pull that has ended.
    idle: bool,
}

/// What a mirror has brought since the last pull ended.
#[derive(Clone, Debug, Default)]
struct Load {
    bytes: u64,
    moved: Duration,
    /// How often it was said since then that a pull may have ended.
    settled: u32,
    /// The bytes and the speed of the connection that was measured best.
    speed: Option<(u64, f64)>,
}

/// What the connections of a pull come to.
#[derive(Debug, Default)]
pub struct Tally {
    /// Whether the engine keeps connections open for the next request.
    keeps_connections: bool,
    /// Bytes per second that every mirror is to bring while it is pulled from.
    pub least_speed: u64,
    known: BTreeMap<u64, Known>,
    loads: BTreeMap<MirrorUrl, Load>,
    suspected: BTreeMap<MirrorUrl, Duration>,
    /// Since when a mirror has brought something without a pause, and how much.
    flows: BTreeMap<MirrorUrl, (Duration, u64)>,
}

impl Tally {
    /// Of an engine that has no connection yet, and may keep those that it makes for the next request.
    pub fn new(keeps_connections: bool) -> Self {
        Self { keeps_connections, ..Self::default() }
    }

    /// Takes the engine's connections as they are `now` (since any fixed moment).
    pub fn look(&mut self, now: Duration, open: &[(MirrorUrl, Connection)]) -> Vec<Seen> {
        self.known.retain(|cookie, _| open.iter().any(|(_, connection)| connection.cookie == *cookie));
        self.suspected.retain(|_, at| now.saturating_sub(*at) < AGAIN);
        for (url, connection) in open {
            self.follow(now, url, connection);
        }
        let mut silent = Vec::new();
        for (url, connection) in open {
            let quiet = now.saturating_sub(self.moved(url, connection.cookie));
            let Some(known) = self.known.get_mut(&connection.cookie) else { continue };
            // Bytes that wait to be read are the engine's delay.
            if quiet < SILENCE || known.suspected || known.idle || connection.unread > 0 {
                continue;
            }
            known.suspected = true;
            if self.suspected.contains_key(url) {
                continue;
            }
            self.suspected.insert(url.clone(), now);
            let quiet_ms = u64::try_from(quiet.as_millis()).unwrap_or(u64::MAX);
            silent.push(Seen::Silent { url: url.clone(), quiet_ms });
        }
        silent.extend(self.crawling(now, open));
        for seen in &silent {
            self.failed(seen.url());
        }
        silent
    }

    fn crawling(&mut self, now: Duration, open: &[(MirrorUrl, Connection)]) -> Vec<Seen> {
        let flows = |(url, connection): &&(MirrorUrl, Connection)| {
            let moved = self.known.get(&connection.cookie).map_or(Duration::ZERO, |known| known.moved);
            // Bytes that wait to be read are the engine's delay, so its mirrors are not measured while there are any.
            let read = open.iter().all(|(other, connection)| other != url || connection.unread == 0);
            !connection.opening && now.saturating_sub(moved) < PAUSE && read
        };
        let flowing: Vec<&MirrorUrl> = open.iter().filter(flows).map(|(url, _)| url).collect();
        self.flows.retain(|url, _| flowing.contains(&url));
        for url in flowing {
            self.flows.entry(url.clone()).or_insert((now, 0));
        }
        let mut crawling = Vec::new();
        for (url, (since, bytes)) in &mut self.flows {
            let took = now.saturating_sub(*since);
            if took < CRAWL {
                continue;
            }
            #[expect(clippy::cast_precision_loss, reason = "nobody pulls 2^53 bytes in half a minute")]
            let (speed, least) = (*bytes as f64 / took.as_secs_f64(), self.least_speed as f64);
            (*since, *bytes) = (now, 0);
            if speed < least && !self.suspected.contains_key(url) {
                self.suspected.insert(url.clone(), now);
                crawling.push(Seen::Crawling { url: url.clone(), bytes_per_second: speed });
            }
        }
        crawling
    }

    /// When the last byte came that speaks for this connection. Where connections are kept, one that waits for the next
    /// request is silent while another brings the layer: there a byte on any speaks for all.
    fn moved(&self, url: &MirrorUrl, cookie: u64) -> Duration {
        let speaks = |(other, known): &(&u64, &Known)| {
            **other == cookie || (self.keeps_connections && known.url == *url)
        };
        self.known.iter().filter(speaks).map(|(_, known)| known.moved).max().unwrap_or_default()
    }

    fn follow(&mut self, now: Duration, url: &MirrorUrl, connection: &Connection) {
        let moved = if connection.opening { now } else { now.saturating_sub(connection.quiet) };
        let new = !self.known.contains_key(&connection.cookie);
        let known = self.known.entry(connection.cookie).or_insert_with(|| Known {
            url: url.clone(),
            first: (now, connection.received),
            received: 0,
            moved,
            suspected: false,
            idle: false,
        });
        let load = self.loads.entry(url.clone()).or_default();
        let came = connection.received.saturating_sub(known.received);
        if came > 0 {
            known.received = connection.received;
            known.idle = false;
            load.bytes = load.bytes.saturating_add(came);
            if let Some((_, bytes)) = self.flows.get_mut(url) {
                *bytes = bytes.saturating_add(came);
            }
        }
        // Whoever is being called is silent since the call began, as far as we saw.
        if !connection.opening || new {
            known.moved = moved;
        }
        if known.moved > load.moved {
            (load.moved, load.settled) = (known.moved, 0);
        }
        load.measure(known);
    }

    /// One of the engine's connections has ended `now`; what it had brought counts, though nobody may have seen it open.
    pub fn ended(&mut self, now: Duration, url: &MirrorUrl, connection: &Connection) {
        let seen = self.known.get(&connection.cookie).map_or(0, |known| known.received);
        let load = self.loads.entry(url.clone()).or_default();
        load.bytes = load.bytes.saturating_add(connection.received.saturating_sub(seen));
        (load.moved, load.settled) = (load.moved.max(now.saturating_sub(connection.quiet)), 0);
        if let Some(known) = self.known.get_mut(&connection.cookie) {
            known.received = connection.received.max(seen);
        }
    }

    /// A pull ended well: what its mirrors brought. What an engine that keeps connections for the next request has open
    /// now is idle, until something comes.
    pub fn pulled(&mut self, now: Duration) -> Vec<Seen> {
        for known in self.known.values_mut() {
            known.idle |= self.keeps_connections;
            known.first = (now, known.received);
        }
        let loads = std::mem::take(&mut self.loads).into_iter();
        let fresh =
            loads.filter(|(_, load)| load.bytes >= LEAST && now.saturating_sub(load.moved) < FORGOTTEN);
        fresh
            .map(|(url, load)| Seen::Served {
                url,
                bytes: load.bytes,
                bytes_per_second: load.speed.map(|(_, speed)| speed),
            })
            .collect()
    }

    /// What came until now was no good pull: of this mirror, or of one that nobody named.
    pub fn failed(&mut self, url: Option<&MirrorUrl>) {
        match url {
            Some(url) => {
                self.loads.remove(url);
            }
            None => self.loads.clear(),
        }
    }

    /// The engine was answered: what one that keeps connections has open to this mirror, or to whomever it did not name,
    /// is idle until something comes.
    pub fn rests(&mut self, url: Option<&MirrorUrl>) {
        for known in self.known.values_mut().filter(|known| url.is_none_or(|url| known.url == *url)) {
            known.idle |= self.keeps_connections;
        }
    }

    /// Whether a pull may have ended, which is worth asking the engine; said again after growing pauses. To an engine
    /// that keeps connections the end of the smallest pull matters: what is open then is idle.
    pub fn settles(&mut self, now: Duration) -> bool {
        let least = self.least();
        let mut settles = false;
        for load in self.loads.values_mut().filter(|load| load.bytes >= least) {
            if load.settles_at().is_some_and(|at| at <= now) {
                load.settled += 1;
                settles = true;
            }
        }
        settles
    }

    /// When [`Self::settles`] says so next.
    pub fn settles_at(&self) -> Option<Duration> {
        let count = self.loads.values().filter(|load| load.bytes >= self.least());
        count.filter_map(Load::settles_at).min()
    }

    fn least(&self) -> u64 {
        if self.keeps_connections { 1 } else { LEAST }
    }

    /// Whether the engine has a connection open.
    pub fn is_idle(&self) -> bool {
        self.known.is_empty()
    }
}

impl Load {
    fn settles_at(&self) -> Option<Duration> {
        let pause = SETTLED.saturating_mul(1 << self.settled.min(10));
        (pause < FORGOTTEN).then(|| self.moved + pause)
    }

    fn measure(&mut self, known: &Known) {
        let (since, before) = known.first;
        let (bytes, took) = (known.received.saturating_sub(before), known.moved.saturating_sub(since));
        let better = self.speed.is_none_or(|(measured, _)| bytes >= measured);
        if bytes >= MEASURED.0 && took >= MEASURED.1 && better {
            #[expect(clippy::cast_precision_loss, reason = "nobody pulls 2^53 bytes over one connection")]
            let speed = bytes as f64 / took.as_secs_f64();
            self.speed = Some((bytes, speed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn url(name: &str) -> MirrorUrl {
        format!("http://{name}.example").parse().unwrap()
    }

    /// A connection of which `received` bytes came, the last of them `quiet` seconds ago.
    fn open(name: &str, cookie: u64, received: u64, quiet: u64) -> (MirrorUrl, Connection) {
        let remote = "192.0.2.1:80".parse().unwrap();
        let connection =
            Connection { cookie, remote, opening: false, inode: 1, unread: 0, received, quiet: at(quiet) };
        (url(name), connection)
    }

    /// Of an engine that keeps its connections.
    fn keeping() -> Tally {
        Tally::new(true)
    }

    fn silent(name: &str, seconds: u64) -> Seen {
        Seen::Silent { url: url(name), quiet_ms: seconds * 1000 }
    }

    #[test]
    fn ten_seconds_without_a_byte_are_one_suspicion() {
        let mut tally = Tally::default();
        assert_eq!(tally.look(at(1), &[open("a", 1, 500_000, 0)]), []);
        assert_eq!(tally.look(at(10), &[open("a", 1, 500_000, 9)]), []);
        assert_eq!(tally.look(at(11), &[open("a", 1, 500_000, 10)]), [silent("a", 10)]);
        assert_eq!(tally.look(at(200), &[open("a", 1, 500_000, 199)]), [], "one for each connection");
        let three = [open("a", 2, 9, 12), open("a", 3, 9, 12), open("b", 4, 9, 12)];
        assert_eq!(tally.look(at(300), &three), [silent("a", 12), silent("b", 12)], "one for each mirror");
    }

    #[test]
    fn a_connection_that_nobody_accepts_is_silent_from_the_first_look_on() {
        let mut tally = Tally::default();
        let calling = || {
            let (url, connection) = open("a", 1, 0, 9999);
            (url, Connection { opening: true, ..connection })
        };
        assert_eq!(tally.look(at(5), &[calling()]), []);
        assert_eq!(tally.look(at(14), &[calling()]), []);
        assert_eq!(tally.look(at(15), &[calling()]), [silent("a", 10)]);
    }

    #[test]
    fn bytes_that_the_engine_has_not_read_are_not_the_mirrors_silence() {
        let mut tally = Tally::default();
        let (url, connection) = open("a", 1, 500_000, 60);
        assert_eq!(tally.look(at(60), &[(url, Connection { unread: 1, ..connection })]), []);
    }

    #[test]
    fn what_is_kept_open_after_a_good_pull_is_idle_and_not_silent() {
        let mut tally = keeping();
        tally.look(at(1), &[open("a", 1, 500_000, 0)]);
        tally.pulled(at(2));
        assert_eq!(tally.look(at(30), &[open("a", 1, 500_000, 29)]), []);
        assert_eq!(tally.look(at(40), &[open("a", 1, 600_000, 0)]), [], "the next pull");
        assert_eq!(tally.look(at(51), &[open("a", 1, 600_000, 11)]), [silent("a", 11)]);
        // An engine that closes each connection has no idle ones: what is open then is another pull's.
        let mut tally = Tally::default();
        tally.look(at(1), &[open("a", 1, 500_000, 0)]);
        tally.pulled(at(2));
        assert_eq!(tally.look(at(11), &[open("a", 1, 500_000, 10)]), [silent("a", 10)]);
    }

    #[test]
    fn a_pull_may_have_ended_when_nothing_more_comes_and_that_is_said_ever_more_seldom() {
        let mut tally = keeping();
        tally.look(at(1), &[open("a", 1, 10_000, 0)]);
        assert_eq!(tally.settles_at(), Some(at(3)), "what stays open is idle");
        let mut tally = Tally::default();
        tally.look(at(1), &[open("a", 1, 10_000, 0)]);
        assert_eq!(tally.settles_at(), None, "no layer");
        tally.look(at(2), &[open("a", 1, 500_000, 0)]);
        assert!(!tally.settles(at(3)), "too soon");
        assert!(tally.settles(at(4)) && !tally.settles(at(4)), "said once");
        assert!(tally.settles(at(6)), "it unpacked");
        assert_eq!(tally.settles_at(), Some(at(10)));
        tally.look(at(7), &[open("a", 1, 600_000, 0)]);
        assert_eq!(tally.settles_at(), Some(at(9)), "more came");
        for _ in 0..100 {
            tally.settles(at(1000));
        }
        assert_eq!(tally.settles_at(), None, "a pull that was broken off is not asked after for ever");
        tally.look(at(1001), &[open("a", 1, 700_000, 0)]);
        assert_eq!(tally.pulled(at(1003)).len(), 1);
        assert_eq!(tally.settles_at(), None, "it has ended");
    }

    #[test]
    fn what_an_engine_keeps_open_after_an_answer_is_idle() {
        let mut tally = keeping();
        tally.look(at(1), &[open("a", 1, 900, 0), open("b", 2, 900, 0)]);
        tally.rests(Some(&url("a")));
        assert_eq!(tally.look(at(20), &[open("a", 1, 900, 19), open("b", 2, 900, 19)]), [silent("b", 19)]);
        tally.rests(None);
        assert_eq!(tally.look(at(90), &[open("a", 1, 900, 89), open("b", 2, 900, 89)]), []);
    }

    #[test]
    fn half_a_minute_of_a_trickle_is_a_crawl() {
        // Thousands of bytes a second over two connections: what is said of it, and when.
        let said = |thousands: u64, unread: u32, step: u64| {
            let mut tally = Tally { least_speed: 64_000, ..Tally::default() };
            let look = |now: u64| {
                let (url, connection) = open("a", 1, now * thousands * 500, 0);
                let one = (url, Connection { unread, ..connection });
                (now, [one, open("a", 2, now * thousands * 500, 0)])
            };
            let looks = (1..100).step_by(usize::try_from(step).unwrap()).map(look);
            let first =
                looks.into_iter().find_map(|(now, open)| Some((now, tally.look(at(now), &open).pop()?)));
            first.map(|(now, seen)| {
                let Seen::Crawling { bytes_per_second, .. } = seen else { panic!("{seen:?}") };
                (now, bytes_per_second)
            })
        };
        assert_eq!(said(60, 0, 1), Some((31, 60_000.0)));
        assert_eq!(said(65, 0, 1), None, "together they are fast enough");
        assert_eq!(said(20, 1, 1), None, "the engine does not read what has come");
    }

    #[test]
    fn what_pauses_and_what_ends_is_no_crawl() {
        let mut tally = Tally { least_speed: 64_000, ..Tally::default() };
        for now in 1..60 {
            // A manifest every ten seconds.
            let seen = tally.look(at(now), &[open("a", 1, now / 10 * 3000, now % 10)]);
            assert_eq!(seen, []);
        }
        for now in 60..120 {
            let open = [open("a", now / 20, 9_000, 0)];
            assert_eq!(tally.look(at(now), if now % 20 == 0 { &[] } else { &open }), [], "short pulls");
        }
    }

    #[test]
    fn of_connections_that_are_kept_one_may_wait_while_another_brings_the_layer() {
        let mut tally = keeping();
        tally.look(at(1), &[open("a", 1, 9_000, 0), open("a", 2, 10_000, 0)]);
        assert_eq!(tally.look(at(20), &[open("a", 1, 9_000, 19), open("a", 2, 500_000, 1)]), []);
        let stalled = [open("a", 1, 9_000, 28), open("a", 2, 500_000, 10)];
        assert_eq!(tally.look(at(29), &stalled), [silent("a", 10)], "all of them");
    }

    #[test]
    fn a_good_pull_says_who_brought_how_much_and_how_fast() {
        let mut tally = Tally::default();
        tally.look(at(1), &[open("a", 1, 100_000, 0), open("b", 2, 20_000, 0)]);
        tally.look(at(3), &[open("a", 1, 2_100_000, 0), open("a", 3, 50_000, 0)]);
        tally.look(at(4), &[]);
        let served = Seen::Served { url: url("a"), bytes: 2_150_000, bytes_per_second: Some(1_000_000.0) };
        assert_eq!(tally.pulled(at(5)), [served], "b brought no layer");
        assert_eq!(tally.pulled(at(6)), [], "said once");
    }

    #[test]
    fn what_a_connection_brought_that_ended_between_two_looks_counts_once() {
        let mut tally = Tally::default();
        let end = |tally: &mut Tally, now, (url, connection): (MirrorUrl, Connection)| {
            tally.ended(at(now), &url, &connection);
        };
        tally.look(at(1), &[open("a", 1, 100_000, 0)]);
        end(&mut tally, 2, open("a", 1, 150_000, 0));
        end(&mut tally, 2, open("a", 2, 50_000, 1));
        assert_eq!(tally.settles_at(), Some(at(4)));
        tally.look(at(3), &[]);
        let served = Seen::Served { url: url("a"), bytes: 200_000, bytes_per_second: None };
        assert_eq!(tally.pulled(at(4)), [served]);
        end(&mut tally, 5, open("a", 3, 900, 0));
        assert_eq!((tally.settles_at(), tally.pulled(at(6))), (None, vec![]), "no layer");
        end(&mut tally, 7, open("a", 4, 50_000, 0));
        tally.failed(Some(&url("a")));
        assert_eq!(tally.pulled(at(8)), [], "the log says that it failed");
    }

    #[test]
    fn a_pull_that_failed_or_was_broken_off_served_nobody() {
        let mut tally = Tally::default();
        tally.look(at(1), &[open("a", 1, 500_000, 0), open("b", 2, 500_000, 0)]);
        tally.failed(Some(&url("a")));
        let served = |name| Seen::Served { url: url(name), bytes: 500_000, bytes_per_second: None };
        assert_eq!(tally.pulled(at(2)), [served("b")]);

        tally.look(at(3), &[open("a", 3, 500_000, 0)]);
        tally.failed(None);
        assert_eq!(tally.pulled(at(4)), []);

        tally.look(at(5), &[open("a", 4, 500_000, 0)]);
        tally.look(at(6), &[]);
        assert_eq!(tally.pulled(at(200)), [], "Ctrl-C, and another pull minutes later");

        tally.look(at(201), &[open("a", 5, 500_000, 0)]);
        assert_eq!(tally.look(at(212), &[open("a", 5, 500_000, 11)]), [silent("a", 11)]);
        assert_eq!(tally.pulled(at(213)), [], "who fell silent has not served");
    }
}
