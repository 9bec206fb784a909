//! What is heard comes together here: lines, ends, events, and the kernel's figures when it is worth asking for them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use super::ended::Ended;
use super::glance::{Glance, Signs};
use super::kernel::{self, Connection, Kernel};
use super::tally::{self, Tally};
use super::{Aim, Ear, Heard, Pulls, Source, line};
use crate::confine::outside;
use crate::mirror::MirrorUrl;
use crate::ours::Ours;
use crate::pull::Seen;

/// How often it is looked whether the engine does something: what has not been silent for so long is
/// not to be noticed yet.
const GLANCE: Duration = tally::SILENCE;
/// How often it is looked whether there is a mirror to listen for, while there is none: an edit wakes it anyway.
const NOBODY: Duration = Duration::from_secs(60);
/// How often the engine's connections are looked at while there are any.
const CLOSELY: Duration = Duration::from_secs(1);
/// How long after the end of a connection to a mirror the kernel is asked for others: a pull that goes on has them by
/// then.
const SOON: Duration = Duration::from_secs(1);
/// How soon after some ends others are heard, and at most: each time that more have come it is doubled.
const ENDS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// After so long without an end the next one is heard at once.
const CALM: Duration = Duration::from_secs(60);
/// How often it is asked at most whether a pull has ended: each time starts a process.
const ASKED: Duration = Duration::from_secs(10);

/// Listens to one engine.
pub(super) struct Listening {
    source: Source,
    aim: watch::Receiver<Aim>,
    heard: mpsc::Sender<Heard>,
    /// When the engine last did something with a mirror; nothing where that cannot be told.
    stirs: watch::Sender<Option<Instant>>,
    ours: Ours,
    tally: Tally,
    /// Whether a connection is the engine's, by its cookie.
    owned: BTreeMap<u64, bool>,
}

/// When the kernel is asked next.
struct Watch {
    kernel: Option<Kernel>,
    begun: Instant,
    next: Instant,
    glance: Glance,
    signs: Signs,
    ends: Ends,
    /// An end was heard, and the kernel has not been asked since.
    called: bool,
    /// When it was last asked whether a pull has ended.
    asked: Option<Instant>,
}

/// How the ends of connections are heard.
struct Ends {
    ear: Option<Ended>,
    /// Not before.
    next: Instant,
    pause: Duration,
}

impl Ends {
    /// The next ones; never where they are not told.
    async fn next(&self) -> io::Result<Vec<Option<Connection>>> {
        let Some(ear) = &self.ear else { return std::future::pending().await };
        sleep_until(self.next).await;
        ear.next().await
    }

    fn heard(&mut self, now: Instant) {
        let calm = now.saturating_duration_since(self.next) >= CALM;
        self.pause = if calm { ENDS.0 } else { (self.pause * 2).min(ENDS.1) };
        self.next = now + self.pause;
    }
}

impl Listening {
    pub(super) fn new(
        source: Source,
        aim: watch::Receiver<Aim>,
        heard: mpsc::Sender<Heard>,
        stirs: watch::Sender<Option<Instant>>,
        ours: Ours,
    ) -> Self {
        let tally = Tally::new(source.keeps_connections);
        Self { source, aim, heard, stirs, ours, tally, owned: BTreeMap::new() }
    }

    /// Until nobody listens any more.
    pub(super) async fn run(mut self, mut lines: mpsc::Receiver<String>, mut pulls: mpsc::Receiver<()>) {
        let begun = Instant::now();
        let ear = Ended::open().inspect_err(|error| debug!("ends of connections are not told: {error}"));
        let ends = Ends { ear: ear.ok(), next: begun, pause: ENDS.0 };
        let (glance, signs) = (Glance::default(), Signs::of(self.source.pid));
        let mut watch =
            Watch { kernel: None, begun, next: begun, glance, signs, ends, called: false, asked: None };
        match Kernel::open() {
            Ok(kernel) => watch.kernel = Some(kernel),
            Err(error) => self.deaf(format!("sock_diag: {error}")).await,
        }
        self.aimed(&mut watch);
        loop {
            tokio::select! {
                biased;
                Some(line) = lines.recv() => self.line(&line).await,
                Some(()) = pulls.recv() => self.pulled(&mut watch).await,
                changed = self.aim.changed() => match changed {
                    Ok(()) => self.aimed(&mut watch),
                    Err(_) => return,
                },
                ended = watch.ends.next() => self.ended(&mut watch, ended),
                () = sleep_until(watch.next), if watch.kernel.is_some() => self.watch(&mut watch).await,
            }
        }
    }

    fn aimed(&self, watch: &mut Watch) {
        watch.glance.forget();
        watch.next = Instant::now();
        let remotes: Vec<SocketAddr> = {
            let aim = self.aim.borrow();
            let mirrors = aim.addresses.iter().flat_map(|(_, addresses)| addresses);
            mirrors.chain(&aim.beyond).copied().take(kernel::ADDRESSES).collect()
        };
        let heard = watch.ends.ear.as_ref().is_some_and(|ear| ear.aim(&remotes).is_ok());
        // What follows may be the first pull from there.
        self.stirs.send_replace((heard && !remotes.is_empty()).then(Instant::now));
    }

    /// Some connections to mirrors have ended.
    fn ended(&mut self, watch: &mut Watch, ended: io::Result<Vec<Option<Connection>>>) {
        let now = Instant::now();
        let mut ended = match ended {
            Ok(ended) => ended,
            Err(error) => {
                debug!("ends of connections are no longer told: {error}");
                watch.ends.ear = None;
                self.stirs.send_replace(None);
                return;
            }
        };
        // Whose one was that nobody has asked for cannot be told any more.
        let strange = |cookie| self.ours.has(cookie) || self.owned.get(&cookie) == Some(&false);
        ended.retain(|ended| !ended.as_ref().is_some_and(|ended| strange(ended.cookie)));
        if ended.is_empty() {
            return;
        }
        let since = now.duration_since(watch.begun);
        watch.ends.heard(now);
        self.stir();
        for connection in ended.into_iter().flatten() {
            if let Some(url) = leads(&self.aim.borrow().addresses, connection.remote) {
                self.tally.ended(since, url, &connection);
            }
        }
        watch.called = self.tally.is_idle() && watch.glance.may_be_called(since);
        if watch.called || self.tally.settles_at().is_some() {
            watch.next = watch.next.min(now + SOON);
        }
    }

    /// The engine does something with a mirror.
    fn stir(&self) {
        self.stirs.send_if_modified(|at| at.replace(Instant::now()).is_some());
    }

    async fn deaf(&self, why: String) {
        drop(self.heard.send(Heard::Deaf(Ear::Connections, why)).await);
    }

    async fn tell(&self, seen: Seen) {
        drop(self.heard.send(Heard::Seen(seen)).await);
    }

    async fn line(&mut self, line: &str) {
        let seen = line::parse(line, &self.aim.borrow().candidates);
        let Some(seen) = seen else { return };
        match &seen {
            Seen::Left { url, .. } => self.tally.failed(Some(url)),
            Seen::Doubtful { .. } => self.tally.failed(None),
            Seen::Silent { .. } | Seen::Crawling { .. } | Seen::Served { .. } | Seen::Absent { .. } => {}
        }
        self.tally.rests(seen.url());
        self.tell(seen).await;
    }

    async fn pulled(&mut self, watch: &mut Watch) {
        let now = Instant::now();
        self.walk(watch, now).await;
        let served = self.tally.pulled(now.duration_since(watch.begun));
        for seen in served {
            self.tell(seen).await;
        }
    }

    async fn watch(&mut self, watch: &mut Watch) {
        let now = Instant::now();
        if self.aim.borrow().addresses.is_empty() {
            watch.next = now + NOBODY;
            return;
        }
        let since = now.duration_since(watch.begun);
        let called = std::mem::take(&mut watch.called);
        if !self.tally.is_idle() {
            watch.glance.forget();
            self.stir();
            self.walk(watch, now).await;
        } else if called || watch.glance.needs_walk(since, watch.signs.activity(), || watch.signs.begun()) {
            let before = cpu();
            self.walk(watch, now).await;
            watch.glance.walked(since, cpu().saturating_sub(before), called);
        }
        let settles = self.settle(watch, now).await;
        watch.next = now + if self.tally.is_idle() { GLANCE.min(settles) } else { CLOSELY };
    }

    /// Says that a pull may have ended; after how long it may be worth saying next.
    async fn settle(&mut self, watch: &mut Watch, now: Instant) -> Duration {
        if self.source.pulls != Pulls::Told {
            return Duration::MAX;
        }
        let rests = watch.asked.map_or(Duration::ZERO, |at| (at + ASKED).saturating_duration_since(now));
        if rests.is_zero() && self.tally.settles(now.duration_since(watch.begun)) {
            watch.asked = Some(now);
            drop(self.heard.send(Heard::Settled).await);
        }
        let due = self.tally.settles_at().map(|at| (watch.begun + at).saturating_duration_since(now));
        due.map_or(Duration::MAX, |due| due.max(rests).max(CLOSELY))
    }

    async fn walk(&mut self, watch: &mut Watch, now: Instant) {
        let Some(kernel) = &mut watch.kernel else { return };
        let Aim { addresses: aim, least_speed, .. } = self.aim.borrow().clone();
        self.tally.least_speed = least_speed;
        let remotes: Vec<SocketAddr> =
            aim.iter().flat_map(|(_, addresses)| addresses.iter().copied()).collect();
        match kernel.connections(&remotes) {
            Ok(connections) => {
                let open = self.of_engine(&aim, connections);
                for seen in self.tally.look(now.duration_since(watch.begun), &open) {
                    self.tell(seen).await;
                }
            }
            Err(error) => {
                watch.kernel = None;
                self.deaf(format!("sock_diag: {error}")).await;
            }
        }
    }

    /// Those of the engine, each with the mirror that it leads to.
    fn of_engine(
        &mut self,
        aim: &[(MirrorUrl, Vec<SocketAddr>)],
        connections: Vec<Connection>,
    ) -> Vec<(MirrorUrl, Connection)> {
        self.owned.retain(|cookie, _| connections.iter().any(|connection| connection.cookie == *cookie));
        if connections.iter().any(|connection| !self.owned.contains_key(&connection.cookie)) {
            let engines = self.source.pid.and_then(sockets);
            for Connection { cookie, inode, .. } in &connections {
                // Where the engine's cannot be told, everybody's count but ours: probes are no pulls.
                let owned =
                    || engines.as_ref().map_or_else(|| !self.ours.has(*cookie), |all| all.contains(inode));
                self.owned.entry(*cookie).or_insert_with(owned);
            }
        }
        let engines = connections.into_iter().filter(|connection| self.owned[&connection.cookie]);
        engines.filter_map(|connection| Some((leads(aim, connection.remote)?.clone(), connection))).collect()
    }
}

/// The mirror to which a connection leads: the first of the list, where two share an address.
fn leads(aim: &[(MirrorUrl, Vec<SocketAddr>)], remote: SocketAddr) -> Option<&MirrorUrl> {
    aim.iter().find(|(_, addresses)| addresses.contains(&remote)).map(|(url, _)| url)
}

/// The processor time of this thread.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// The sockets that a process holds, by their inodes; `None` when we may not look.
fn sockets(pid: i32) -> Option<BTreeSet<u32>> {
    let mut denied = false;
    let mut inodes = BTreeSet::new();
    for target in outside::descriptors(pid).ok()? {
        match target {
            Ok(target) => {
                let name = target.to_str().and_then(|name| name.strip_prefix("socket:[")?.strip_suffix(']'));
                inodes.extend(name.and_then(|inode| inode.parse::<u32>().ok()));
            }
            Err(error) => denied |= error.kind() == std::io::ErrorKind::PermissionDenied,
        }
    }
    (!denied).then_some(inodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ends_without_end_are_heard_every_two_seconds_and_the_first_after_a_rest_at_once() {
        let mut ends = Ends { ear: None, next: Instant::now(), pause: ENDS.0 };
        let pauses: Vec<u128> = (0..7)
            .map(|_| {
                let now = ends.next;
                ends.heard(now);
                (ends.next - now).as_millis()
            })
            .collect();
        assert_eq!(pauses, [200, 400, 800, 1600, 2000, 2000, 2000]);
        let rested = ends.next + CALM;
        ends.heard(rested);
        assert_eq!(ends.next - rested, ENDS.0);
    }
}
