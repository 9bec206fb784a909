//! What the connections of a pull come to: who serves, how fast, and who is silent. No clock and no I/O.

use std::collections::BTreeMap;
use std::time::Duration;

use super::kernel::Connection;
use crate::mirror::MirrorUrl;
use crate::pull::Seen;

/// So long a connection brings no byte before it is called silent. dockerd itself would wait for ever, and no
/// mirror that works is silent so long in the middle of a layer.
pub const SILENCE: Duration = Duration::from_secs(10);

/// So long nobody keeps a connection that rests: `docker build` does for 30 s (seen of dockerd 20.10 and 28.5), and who
/// sets nothing in Go for 90.
const KEPT: Duration = Duration::from_secs(120);

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

/// What was said of a connection that brings nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Suspicion {
    /// That it hangs, or rests.
    MayRest,
    /// That it hangs.
    Hangs,
}

/// What is known of a connection.
#[derive(Clone, Debug)]
struct Known {
    url: MirrorUrl,
    /// Where it stood when it was first seen.
    first: (Duration, u64),
    received: u64,
    /// When the last byte came.
    moved: Duration,
    suspected: Option<Suspicion>,
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
            let answered = !connection.opening && connection.mute >= connection.quiet;
            let suspicion = if answered && quiet < KEPT { Suspicion::MayRest } else { Suspicion::Hangs };
            // Bytes that wait to be read are the engine's delay.
            if quiet < SILENCE || known.suspected >= Some(suspicion) || known.idle || connection.unread > 0 {
                continue;
            }
            known.suspected = Some(suspicion);
            if self.suspected.contains_key(url) {
                continue;
            }
            self.suspected.insert(url.clone(), now);
            let quiet_ms = u64::try_from(quiet.as_millis()).unwrap_or(u64::MAX);
            let may_rest = suspicion == Suspicion::MayRest;
            silent.push(Seen::Silent { url: url.clone(), quiet_ms, may_rest });
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
            suspected: None,
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
        let moved = now.saturating_sub(connection.quiet);
        let load = self.loads.entry(url.clone()).or_default();
        (load.moved, load.settled) = (load.moved.max(moved), 0);
        let mut came = connection.received;
        if let Some(known) = self.known.get_mut(&connection.cookie) {
            came = came.saturating_sub(known.received);
            (known.received, known.moved) = (connection.received, moved);
            load.measure(known);
        }
        load.bytes = load.bytes.saturating_add(came);
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
mod tests;
