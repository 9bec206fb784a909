//! Listens to the engine's own pulls, which are the best probe, and a free one.
//!
//! Three ears, and each may be deaf without harm to the others:
//!
//! - `log`: dockerd logs every fail-over; [`mod@line`] understands the lines
//! - [`kernel`]: the kernel's figures of dockerd's connections to the selected mirrors; [`tally`] says what they
//!   come to: who brought how much, and who has fallen silent
//! - `pulls`: the engine's event that a pull has ended well; where we may not ask the engine ourselves, [`tally`] says
//!   when it is worth asking whoever may
//!
//! Nothing is sent to a mirror, and nothing is decided here: what was heard goes to the daemon as [`Heard`].
//!
//! # What it costs
//!
//! A log that grows and an event wake it; else it looks every ten seconds whether anybody on this host has begun a
//! connection and whether the engine does anything (`glance`), and asks the kernel for the engine's connections when
//! both may be so. The kernel then walks over a table of a size that goes with the host's memory (0.2 ms on a host with
//! 24 GiB, and up to five times as much when it comes out of the cache) and over all connections of the host (0.1 ms
//! for a thousand); every second it does so only while the engine has a connection to a mirror.
//! In the journal's case `journalctl` wakes for what anybody logs, at most four times a second. `benches/listen.rs`
//! measures all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::mirror::MirrorUrl;
use crate::pull::Seen;
use glance::Glance;
use kernel::{Connection, Kernel};
use tally::Tally;

mod glance;
pub mod kernel;
pub mod line;
mod log;
mod pulls;
pub mod tally;

/// Where dockerd's log can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Log {
    /// In the journal, as this unit's.
    Journal {
        /// `docker.service`, …
        unit: String,
    },
    /// In this file.
    File(PathBuf),
    /// Nowhere, and why.
    Unreadable(String),
}

/// Who says that a pull has ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pulls {
    /// The engine, at this socket.
    Events(PathBuf),
    /// Whoever listens to us, by [`Listener::pulled`] after [`Heard::Settled`]: we may not ask the engine.
    Told,
}

/// One running engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its process, where it is known: then only its own connections count.
    pub pid: Option<i32>,
    /// Who says that a pull has ended well.
    pub pulls: Pulls,
    /// Its log.
    pub log: Log,
    /// Whether it keeps connections open for the next request: the containerd store, and dockerd from 29 on.
    pub keeps_connections: bool,
}

/// Whom to listen for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aim {
    /// All candidates: a line of the log may name any of them.
    pub candidates: Vec<MirrorUrl>,
    /// Where the selected mirrors are reached, in the order of the list. Empty where the engine goes through a proxy.
    pub addresses: Vec<(MirrorUrl, Vec<SocketAddr>)>,
    /// Bytes per second that each is to bring while it is pulled from.
    pub least_speed: u64,
}

/// An ear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ear {
    /// dockerd's log.
    Log,
    /// The kernel's figures.
    Connections,
    /// The engine's events.
    Events,
}

/// What was heard.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A sign of a mirror.
    Seen(Seen),
    /// A pull may have ended: something came, and nothing more comes. Only with [`Pulls::Told`].
    Settled,
    /// This ear hears nothing any more, and why.
    Deaf(Ear, String),
}

/// How often it is looked whether the engine does something: what has not been silent for so long is
/// not to be noticed yet.
const GLANCE: Duration = tally::SILENCE;
/// How often it is looked whether there is a mirror to listen for, while there is none: an edit wakes it anyway.
const NOBODY: Duration = Duration::from_secs(60);
/// How often the engine's connections are looked at while there are any.
const CLOSELY: Duration = Duration::from_secs(1);
/// How often it is asked at most whether a pull has ended: each time starts a process.
const ASKED: Duration = Duration::from_secs(10);
/// More is said in a moment than is worth keeping: a log may repeat itself a thousand times.
const WAITING: usize = 256;

/// Listens until it is dropped.
#[derive(Debug)]
pub struct Listener {
    aim: watch::Sender<Aim>,
    pulled: mpsc::Sender<()>,
    /// Ended with it, `journalctl` too.
    _tasks: JoinSet<()>,
}

impl Listener {
    /// Begins to listen to a running engine.
    pub fn start(source: Source, aim: Aim) -> (Self, mpsc::Receiver<Heard>) {
        let (heard, receiver) = mpsc::channel(WAITING);
        let (lines, said) = mpsc::channel(WAITING);
        let (pulled, ended) = mpsc::channel(WAITING);
        let (aim, aimed) = watch::channel(aim);
        let mut tasks = JoinSet::new();
        let (log, deaf) = (source.log.clone(), heard.clone());
        tasks.spawn(async move {
            let why = log::follow(log, lines).await;
            // Nobody left to tell is nobody left to listen for.
            drop(deaf.send(Heard::Deaf(Ear::Log, why)).await);
        });
        let (events, deaf) = (pulled.clone(), heard.clone());
        if let Pulls::Events(socket) = source.pulls.clone() {
            tasks.spawn(async move {
                let why = pulls::follow(&socket, events).await;
                drop(deaf.send(Heard::Deaf(Ear::Events, why)).await);
            });
        }
        let tally = Tally::new(source.keeps_connections);
        let listening = Listening { source, aim: aimed, heard, tally, owned: BTreeMap::new() };
        tasks.spawn(listening.run(said, ended));
        (Self { aim, pulled, _tasks: tasks }, receiver)
    }

    /// A pull has ended well: for [`Pulls::Told`].
    pub fn pulled(&self) {
        // One that finds no room will be told with those that wait.
        let _ = self.pulled.try_send(());
    }

    /// The list, or an address in it, has changed.
    pub fn retarget(&self, aim: Aim) {
        self.aim.send_if_modified(|current| {
            let changed = *current != aim;
            *current = aim;
            changed
        });
    }
}

struct Listening {
    source: Source,
    aim: watch::Receiver<Aim>,
    heard: mpsc::Sender<Heard>,
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
    /// When it was last asked whether a pull has ended.
    asked: Option<Instant>,
}

impl Listening {
    async fn run(mut self, mut lines: mpsc::Receiver<String>, mut pulls: mpsc::Receiver<()>) {
        let begun = Instant::now();
        let mut watch = Watch { kernel: None, begun, next: begun, glance: Glance::default(), asked: None };
        match Kernel::open() {
            Ok(kernel) => watch.kernel = Some(kernel),
            Err(error) => self.deaf(format!("sock_diag: {error}")).await,
        }
        loop {
            tokio::select! {
                biased;
                Some(line) = lines.recv() => self.line(&line).await,
                Some(()) = pulls.recv() => self.pulled(&mut watch).await,
                changed = self.aim.changed() => match changed {
                    Ok(()) => {
                        watch.glance.forget();
                        watch.next = Instant::now();
                    }
                    Err(_) => return,
                },
                () = sleep_until(watch.next), if watch.kernel.is_some() => self.watch(&mut watch).await,
            }
        }
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
        if !self.tally.is_idle() {
            watch.glance.forget();
            self.walk(watch, now).await;
        } else if watch.glance.needs_walk(since, glance::activity(self.source.pid), glance::begun) {
            let before = cpu();
            self.walk(watch, now).await;
            watch.glance.walked(since, cpu().saturating_sub(before));
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

    /// Those of the engine, each with the mirror that it leads to: the first of the list, where two share an address.
    fn of_engine(
        &mut self,
        aim: &[(MirrorUrl, Vec<SocketAddr>)],
        connections: Vec<Connection>,
    ) -> Vec<(MirrorUrl, Connection)> {
        self.owned.retain(|cookie, _| connections.iter().any(|connection| connection.cookie == *cookie));
        if connections.iter().any(|connection| !self.owned.contains_key(&connection.cookie)) {
            let sockets = Sockets::of(self.source.pid);
            for connection in &connections {
                self.owned
                    .entry(connection.cookie)
                    .or_insert_with(|| sockets.are_the_engines(connection.inode));
            }
        }
        let leads = |remote: SocketAddr| aim.iter().find(|(_, addresses)| addresses.contains(&remote));
        let ours = connections.into_iter().filter(|connection| self.owned[&connection.cookie]);
        ours.filter_map(|connection| Some((leads(connection.remote)?.0.clone(), connection))).collect()
    }
}

/// The processor time of this thread.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Whose sockets are known.
enum Sockets {
    Engine(BTreeSet<u32>),
    /// The engine's cannot be told, so everybody's count but ours: our probes are no pulls.
    NotOurs(BTreeSet<u32>),
}

impl Sockets {
    fn of(engine: Option<i32>) -> Self {
        let engine = engine.and_then(|pid| inodes(Path::new(&format!("/proc/{pid}/fd"))));
        engine.map_or_else(
            || Self::NotOurs(inodes(Path::new("/proc/self/fd")).unwrap_or_default()),
            Self::Engine,
        )
    }

    fn are_the_engines(&self, inode: u32) -> bool {
        match self {
            Self::Engine(inodes) => inodes.contains(&inode),
            Self::NotOurs(inodes) => !inodes.contains(&inode),
        }
    }
}

/// The sockets that a process holds; `None` when we may not look.
fn inodes(directory: &Path) -> Option<BTreeSet<u32>> {
    let entries = fs::read_dir(directory).ok()?;
    let mut denied = false;
    let mut inodes = BTreeSet::new();
    for entry in entries.flatten() {
        match fs::read_link(entry.path()) {
            Ok(target) => {
                let name = target.to_str().and_then(|name| name.strip_prefix("socket:[")?.strip_suffix(']'));
                inodes.extend(name.and_then(|inode| inode.parse::<u32>().ok()));
            }
            Err(error) => denied |= error.kind() == std::io::ErrorKind::PermissionDenied,
        }
    }
    (!denied).then_some(inodes)
}
