//! What the connections of a pull come to: who serves, how fast, and who is silent. No clock and no I/O.

use std::collections::BTreeMap;
use std::time::Duration;

use super::kernel::Connection;
use crate::mirror::MirrorUrl;
use crate::pull::Seen;

/// So long a connection brings no byte before it is called silent. dockerd itself would wait for ever, and no
/// mirror that works is silent so long in the middle of a layer.
pub const SILENCE: Duration = Duration::from_secs(10);

/// A pull has three connections at a time to one mirror; all of them silent is one suspicion and not three.
const AGAIN: Duration = Duration::from_secs(60);

/// What is less is no layer: tokens and manifests alone are no measurement.
const LEAST: u64 = 32 << 10;
/// Below this many bytes or milliseconds a speed is mostly chance.
const MEASURED: (u64, Duration) = (256 << 10, Duration::from_millis(500));

/// Bytes that came longer ago belong to another pull, one that was broken off.
const FORGOTTEN: Duration = Duration::from_secs(120);

/// What is known of a connection.
#[derive(Clone, Debug)]
struct Known {
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
    /// The bytes and the speed of the connection that was measured best.
    speed: Option<(u64, f64)>,
}

/// What the connections of a pull come to.
#[derive(Debug, Default)]
pub struct Tally {
    known: BTreeMap<u64, Known>,
    loads: BTreeMap<MirrorUrl, Load>,
    suspected: BTreeMap<MirrorUrl, Duration>,
}

impl Tally {
    /// Takes the engine's connections as they are `now` (since any fixed moment).
    pub fn look(&mut self, now: Duration, open: &[(MirrorUrl, Connection)]) -> Vec<Seen> {
        self.known.retain(|cookie, _| open.iter().any(|(_, connection)| connection.cookie == *cookie));
        self.suspected.retain(|_, at| now.saturating_sub(*at) < AGAIN);
        let mut silent = Vec::new();
        for (url, connection) in open {
            let moved = if connection.opening { now } else { now.saturating_sub(connection.quiet) };
            let new = !self.known.contains_key(&connection.cookie);
            let known = self.known.entry(connection.cookie).or_insert_with(|| Known {
                first: (now, connection.received),
                received: 0,
                moved,
                suspected: false,
                idle: false,
            });
            let came = connection.received.saturating_sub(known.received);
            if came > 0 {
                known.received = connection.received;
                known.idle = false;
                let load = self.loads.entry(url.clone()).or_default();
                load.bytes = load.bytes.saturating_add(came);
            }
            // Whoever is being called is silent since the call began, as far as we saw.
            if !connection.opening || new {
                known.moved = moved;
            }
            let load = self.loads.entry(url.clone()).or_default();
            load.moved = load.moved.max(known.moved);
            load.measure(known);
            let quiet = now.saturating_sub(known.moved);
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
        for seen in &silent {
            self.failed(seen.url());
        }
        silent
    }

    /// A pull ended well: what its mirrors brought. What an engine that keeps connections for the next request
    /// (`keeps`) has open now is idle, until something comes.
    pub fn pulled(&mut self, now: Duration, keeps: bool) -> Vec<Seen> {
        for known in self.known.values_mut() {
            known.idle |= keeps;
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

    /// Whether the engine has a connection open.
    pub fn is_idle(&self) -> bool {
        self.known.is_empty()
    }
}

impl Load {
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
        let mut tally = Tally::default();
        tally.look(at(1), &[open("a", 1, 500_000, 0)]);
        tally.pulled(at(2), true);
        assert_eq!(tally.look(at(30), &[open("a", 1, 500_000, 29)]), []);
        assert_eq!(tally.look(at(40), &[open("a", 1, 600_000, 0)]), [], "the next pull");
        assert_eq!(tally.look(at(51), &[open("a", 1, 600_000, 11)]), [silent("a", 11)]);
        // An engine that closes each connection has no idle ones: what is open then is another pull's.
        let mut tally = Tally::default();
        tally.look(at(1), &[open("a", 1, 500_000, 0)]);
        tally.pulled(at(2), false);
        assert_eq!(tally.look(at(11), &[open("a", 1, 500_000, 10)]), [silent("a", 10)]);
    }

    #[test]
    fn a_good_pull_says_who_brought_how_much_and_how_fast() {
        let mut tally = Tally::default();
        tally.look(at(1), &[open("a", 1, 100_000, 0), open("b", 2, 20_000, 0)]);
        tally.look(at(3), &[open("a", 1, 2_100_000, 0), open("a", 3, 50_000, 0)]);
        tally.look(at(4), &[]);
        let served = Seen::Served { url: url("a"), bytes: 2_150_000, bytes_per_second: Some(1_000_000.0) };
        assert_eq!(tally.pulled(at(5), false), [served], "b brought no layer");
        assert_eq!(tally.pulled(at(6), false), [], "said once");
    }

    #[test]
    fn a_pull_that_failed_or_was_broken_off_served_nobody() {
        let mut tally = Tally::default();
        tally.look(at(1), &[open("a", 1, 500_000, 0), open("b", 2, 500_000, 0)]);
        tally.failed(Some(&url("a")));
        let served = |name| Seen::Served { url: url(name), bytes: 500_000, bytes_per_second: None };
        assert_eq!(tally.pulled(at(2), false), [served("b")]);

        tally.look(at(3), &[open("a", 3, 500_000, 0)]);
        tally.failed(None);
        assert_eq!(tally.pulled(at(4), false), []);

        tally.look(at(5), &[open("a", 4, 500_000, 0)]);
        tally.look(at(6), &[]);
        assert_eq!(tally.pulled(at(200), false), [], "Ctrl-C, and another pull minutes later");

        tally.look(at(201), &[open("a", 5, 500_000, 0)]);
        assert_eq!(tally.look(at(212), &[open("a", 5, 500_000, 11)]), [silent("a", 11)]);
        assert_eq!(tally.pulled(at(213), false), [], "who fell silent has not served");
    }
}
