//! What is heard comes together here: lines, ends, events, and the kernel's figures when it is worth asking for them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::ends::Ends;
use super::kernel::{self, Connection, Kernel};
use super::lookout::{Lookout, cpu};
use super::purse::Purse;
use super::tally::Tally;
use super::{Aim, Deafness, Ear, Heard, Pulls, Source, line};
use crate::confine::outside::{self, Link};
use crate::mirror::MirrorUrl;
use crate::ours::Ours;
use crate::process;
use crate::pull::Seen;

/// How often the engine's connections are looked at while there are any.
const CLOSELY: Duration = Duration::from_secs(1);
/// How long after the end of a connection to a mirror the kernel is asked for others: a pull that goes on has them by
/// then.
const SOON: Duration = Duration::from_secs(1);
/// What ends may cost a day that were no pull's, for others may use what a mirror's address leads to; apart from what
/// the lookout may cost, for an engine that pulls is not to be missed because others were looked at in vain.
const CALLS: Duration = Duration::from_millis(100);
/// What it costs to wake up for one.
const WAKE: Duration = Duration::from_micros(250);
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

/// When the kernel is asked, and by whom.
struct Watch {
    /// While somebody pulls, ...
    kernel: Option<Kernel>,
    begun: Instant,
    next: Option<Instant>,
    /// ... and while nobody does.
    lookout: Option<Lookout>,
    ends: Ends,
    /// An end was heard, and the kernel has not been asked since.
    called: bool,
    calls: Purse,
    /// When it was last asked whether a pull has ended.
    asked: Option<Instant>,
}

impl Watch {
    /// The kernel is to be asked when this time has come, or before.
    fn by(&mut self, at: Instant) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }

    /// When the time has come.
    async fn due(next: Option<Instant>) {
        match next {
            Some(next) => sleep_until(next).await,
            None => std::future::pending().await,
        }
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
        let mut watch = Watch {
            kernel: None,
            begun,
            next: None,
            lookout: None,
            ends: Ends::open(begun),
            called: false,
            calls: Purse::a_day(CALLS),
            asked: None,
        };
        match self.open() {
            Ok((kernel, lookout)) => (watch.kernel, watch.lookout) = (Some(kernel), Some(lookout)),
            Err(why) => self.deaf(why).await,
        }
        self.aimed(&mut watch).await;
        loop {
            tokio::select! {
                biased;
                Some(line) = lines.recv() => self.line(&line).await,
                Some(()) = pulls.recv() => self.pulled(&mut watch).await,
                changed = self.aim.changed() => match changed {
                    Ok(()) => self.aimed(&mut watch).await,
                    Err(_) => return,
                },
                ended = watch.ends.next() => self.ended(&mut watch, ended),
                () = Lookout::found(watch.lookout.as_ref()) => self.look(&mut watch, Instant::now()).await,
                () = Watch::due(watch.next) => self.watch(&mut watch).await,
            }
        }
    }

    fn open(&self) -> Result<(Kernel, Lookout), Deafness> {
        if let Some(pid) = self.source.pid.filter(|pid| is_elsewhere(*pid)) {
            let why = format!("/proc/{pid}/ns/net: dockerd has a network of its own");
            return Err(Deafness::Lasting(why));
        }
        let kernel = || Kernel::open().map_err(|error| untold(&error));
        let lookout = Lookout::start(kernel()?, self.source.pid, self.ours.clone());
        Ok((kernel()?, lookout.map_err(|error| Deafness::Passing(format!("thread: {error}")))?))
    }

    async fn aimed(&mut self, watch: &mut Watch) {
        let now = Instant::now();
        let mut remotes = self.remotes();
        remotes.extend(&self.aim.borrow().beyond);
        remotes.truncate(kernel::ADDRESSES);
        // What follows may be the first pull from there.
        let heard = !remotes.is_empty();
        let heard = watch.ends.aim(remotes, now) && heard;
        watch.ends.hurry(now);
        self.stirs.send_replace(heard.then_some(now));
        self.look(watch, now).await;
    }

    /// Some connections to mirrors have ended.
    fn ended(&mut self, watch: &mut Watch, ended: Option<Vec<Option<Connection>>>) {
        let now = Instant::now();
        let Some(mut ended) = ended else {
            self.stirs.send_if_modified(|at| at.take().is_some());
            return;
        };
        // Whose one was that nobody has asked for cannot be told any more.
        let strange = |cookie| self.ours.has(cookie) || self.owned.get(&cookie) == Some(&false);
        ended.retain(|ended| !ended.as_ref().is_some_and(|ended| strange(ended.cookie)));
        if ended.is_empty() {
            return;
        }
        let since = now.duration_since(watch.begun);
        watch.ends.heard(now);
        self.stirs.send_replace(Some(now));
        for connection in ended.into_iter().flatten() {
            if let Some(url) = leads(&self.aim.borrow().addresses, connection.remote) {
                self.tally.ended(since, url, &connection);
            }
        }
        watch.called |= self.tally.is_idle();
        if watch.called || self.tally.settles_at().is_some() {
            watch.by(now + SOON);
        }
    }

    /// The engine does something with a mirror. Where the end of that will not be told, it is as if nothing were.
    fn stir(&self) {
        let now = Instant::now();
        self.stirs.send_if_modified(|at| at.as_mut().map(|at| *at = now).is_some());
    }

    async fn deaf(&self, deafness: Deafness) {
        drop(self.heard.send(Heard::Deaf(Ear::Connections, deafness)).await);
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
        self.plan(watch, now).await;
    }

    async fn watch(&mut self, watch: &mut Watch) {
        let now = Instant::now();
        if watch.called {
            let before = cpu();
            self.look(watch, now).await;
            // What a pull needs is not counted.
            if self.tally.is_idle() {
                let spent = WAKE + cpu().saturating_sub(before);
                let until = watch.calls.spend(now.duration_since(watch.begun), spent);
                watch.ends.close(watch.begun + until);
            }
        } else if self.tally.is_idle() {
            self.plan(watch, now).await;
        } else {
            self.look(watch, now).await;
        }
    }

    /// Asks the kernel, and goes on by what it says.
    async fn look(&mut self, watch: &mut Watch, now: Instant) {
        self.walk(watch, now).await;
        self.plan(watch, now).await;
    }

    /// Who asks the kernel next, and when.
    async fn plan(&mut self, watch: &mut Watch, now: Instant) {
        let settles = self.settle(watch, now).await;
        let pulls = !self.tally.is_idle();
        watch.next = if pulls { Some(now + CLOSELY) } else { settles.map(|settles| now + settles) };
        if pulls {
            self.stir();
            watch.ends.hurry(now);
        }
        if let Some(lookout) = &mut watch.lookout {
            lookout.look(if pulls { Vec::new() } else { self.remotes() });
        }
    }

    /// Where the mirrors of the list are.
    fn remotes(&self) -> Vec<SocketAddr> {
        let aim = self.aim.borrow();
        aim.addresses.iter().flat_map(|(_, addresses)| addresses).copied().collect()
    }

    /// Says that a pull may have ended; after how long it may be worth saying next.
    async fn settle(&mut self, watch: &mut Watch, now: Instant) -> Option<Duration> {
        if self.source.pulls != Pulls::Told {
            return None;
        }
        let rests = watch.asked.map_or(Duration::ZERO, |at| (at + ASKED).saturating_duration_since(now));
        if rests.is_zero() && self.tally.settles(now.duration_since(watch.begun)) {
            watch.asked = Some(now);
            drop(self.heard.send(Heard::Settled).await);
        }
        let due = self.tally.settles_at().map(|at| (watch.begun + at).saturating_duration_since(now));
        due.map(|due| due.max(rests).max(CLOSELY))
    }

    async fn walk(&mut self, watch: &mut Watch, now: Instant) {
        watch.called = false;
        let remotes = self.remotes();
        let Some(kernel) = &mut watch.kernel else { return };
        let Aim { addresses: aim, least_speed, .. } = self.aim.borrow().clone();
        self.tally.least_speed = least_speed;
        match kernel.connections(&remotes) {
            Ok(connections) => {
                let open = self.of_engine(&aim, connections);
                for seen in self.tally.look(now.duration_since(watch.begun), &open) {
                    self.tell(seen).await;
                }
            }
            Err(error) => {
                (watch.kernel, watch.lookout) = (None, None);
                self.deaf(untold(&error)).await;
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
            let its_user = || self.source.pid.and_then(process::users).map(|[.., opens]| opens);
            let its_user = if engines.is_none() { its_user() } else { None };
            for Connection { cookie, inode, user, .. } in &connections {
                // Where the engine's cannot be told, those of its user count, but not ours: probes are no pulls.
                let may_be = || its_user.is_none_or(|its| its == *user) && !self.ours.has(*cookie);
                let owned = || engines.as_ref().map_or_else(may_be, |all| all.contains(inode));
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

/// Whether a process is seen to be in another network than we are, as a rootless dockerd is: the kernel tells us nothing
/// of its connections.
fn is_elsewhere(pid: i32) -> bool {
    let ours = outside::leads(std::process::id().cast_signed(), Link::Network).ok();
    outside::leads(pid, Link::Network).ok().zip(ours).is_some_and(|(its, ours)| its != ours)
}

/// What the kernel does not tell of connections.
fn untold(error: &io::Error) -> Deafness {
    let why = format!("sock_diag: {error}");
    if kernel::is_lasting(error) { Deafness::Lasting(why) } else { Deafness::Passing(why) }
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
