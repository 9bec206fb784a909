//! Listens to the engine's own pulls, which are the best probe, and a free one.
//!
//! Three ears, and each may be deaf without harm to the others:
//!
//! - `log`: dockerd logs every fail-over; [`mod@line`] understands the lines
//! - [`kernel`]: the kernel's figures of dockerd's connections to the selected mirrors; [`tally`] says what they
//!   come to: who brought how much, and who has fallen silent. `ended`: the kernel's word that one of them is over,
//!   which tells without a question that the engine does something
//! - `pulls`: the engine's event that a pull has ended well; where we may not ask the engine ourselves, [`tally`] says
//!   when it is worth asking whoever may
//!
//! Nothing is sent to a mirror, and nothing is decided here: what was heard goes to the daemon as [`Heard`].
//!
//! # What it costs
//!
//! At most two seconds of processor time a day, whatever the host does; what a pull needs while it lasts comes on top. A
//! log that grows, an event and the end of a connection to a mirror wake the runtime; else it rests, and a thread looks
//! every ten seconds whether anybody on this host has begun a connection and whether the engine does anything
//! (`lookout`, `glance`), and asks the kernel for connections to the mirrors when both may be so. The kernel then walks
//! over a table of a size that goes with the host's memory (0.2 ms on a host with 24 GiB, and up to five times as much
//! when it comes out of the cache) and over all connections of the host (0.1 ms for a thousand): what that may cost is
//! limited (`purse`), and it is done every second only while the engine has a connection to a mirror. `journalctl` wakes
//! for what anybody logs, at most four times a second; where that has cost what it may, it is stopped until the engine
//! does something (`spare`).
//! `benches/listen.rs` measures all of it.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::mirror::MirrorUrl;
use crate::ours::Ours;
use crate::pull::Seen;
use listening::Listening;

mod ended;
mod ends;
mod glance;
pub mod kernel;
pub mod line;
mod listening;
mod log;
mod lookout;
mod pulls;
mod purse;
mod spare;
pub mod tally;

/// Where dockerd's log can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Log {
    /// In the journal, as this unit's.
    Journal {
        /// `docker.service`, …
        unit: String,
        /// Whose systemd runs it, where that is not the system's.
        user: Option<u32>,
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
    /// Where the upstream is reached, to which the engine goes when no mirror serves.
    pub beyond: Vec<SocketAddr>,
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

/// Why an ear hears nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deafness {
    /// Another try may help.
    Passing(String),
    /// No try does while the engine, the kernel and we are what they are.
    Lasting(String),
}

impl Deafness {
    /// For people.
    pub fn why(&self) -> &str {
        match self {
            Self::Passing(why) | Self::Lasting(why) => why,
        }
    }
}

/// What was heard.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A sign of a mirror.
    Seen(Seen),
    /// A pull may have ended: something came, and nothing more comes. Only with [`Pulls::Told`].
    Settled,
    /// This ear hears nothing any more, and why.
    Deaf(Ear, Deafness),
}

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
    /// Begins to listen to a running engine; `ours` are no connections of it.
    pub fn start(source: Source, aim: Aim, ours: Ours) -> (Self, mpsc::Receiver<Heard>) {
        let (heard, receiver) = mpsc::channel(WAITING);
        let (lines, said) = mpsc::channel(WAITING);
        let (pulled, ended) = mpsc::channel(WAITING);
        let (aim, aimed) = watch::channel(aim);
        let (stirs, stirred) = watch::channel(None);
        let mut tasks = JoinSet::new();
        let (log, deaf) = (source.log.clone(), heard.clone());
        tasks.spawn(async move {
            // An engine that logs nowhere goes on doing so.
            let deafness = match log {
                Log::Unreadable(_) => Deafness::Lasting,
                Log::Journal { .. } | Log::File(_) => Deafness::Passing,
            };
            let why = log::follow(log, lines, stirred).await;
            // Nobody left to tell is nobody left to listen for.
            drop(deaf.send(Heard::Deaf(Ear::Log, deafness(why))).await);
        });
        let (events, deaf) = (pulled.clone(), heard.clone());
        if let Pulls::Events(socket) = source.pulls.clone() {
            tasks.spawn(async move {
                let why = pulls::follow(&socket, events).await;
                drop(deaf.send(Heard::Deaf(Ear::Events, Deafness::Passing(why))).await);
            });
        }
        tasks.spawn(Listening::new(source, aimed, heard, stirs, ours).run(said, ended));
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
