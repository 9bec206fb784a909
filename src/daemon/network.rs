//! Whose failure is it? When everybody fails together, it is our own network's.
//!
//! A failure is a suspicion until somebody else answers: then it stands. When nobody does, it is dropped, and nothing is
//! recorded against anybody until one of them answers again.

use std::time::Duration;

use crate::mirror::{MirrorUrl, Scheme};
use crate::observation::{Depth, Observation, Outcome, Stage};
use crate::reason::{FailureKind, NetworkKind};
use crate::timestamp::Timestamp;

/// A failure after which this process did not get to run for so long is its own: time-outs are seconds.
pub const STARVED: Duration = Duration::from_millis(500);

/// What a failure of everybody would be evidence against, and somebody's answer proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Packets travel; a captive portal sends them too.
    Packets,
    /// A name is resolved.
    Name,
    /// The other side is who it should be: it has the certificate, or speaks as a registry.
    Genuine,
    /// A certificate is within its dates, and so is our clock.
    Dates,
}

impl Proof {
    /// What is left to ask for where nobody could prove this.
    pub fn lesser(self) -> Option<Self> {
        match self {
            Self::Name => Some(Self::Packets),
            Self::Dates => Some(Self::Genuine),
            Self::Packets | Self::Genuine => None,
        }
    }
}

/// What one observation proves of our own network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    packets: bool,
    name: bool,
    genuine: bool,
    dates: bool,
}

impl Evidence {
    /// What this proves. A mirror that failed has still been found by its name.
    pub fn of(url: &MirrorUrl, observation: &Observation) -> Self {
        match answers(url, observation) {
            Some(answer) => Self::of_answer(url, answer),
            None => {
                let resolved = observation.failure().is_some_and(|failure| failure.stage > Stage::Name);
                Self { name: url.address().is_none() && resolved, ..Self::default() }
            }
        }
    }

    /// What a real pull proves that it served.
    pub fn of_pull(url: &MirrorUrl) -> Self {
        Self::of_answer(url, Answer::Genuine)
    }

    fn of_answer(url: &MirrorUrl, answer: Answer) -> Self {
        let genuine = answer == Answer::Genuine;
        let dates = genuine && url.scheme() == Scheme::Https;
        Self { packets: true, name: url.address().is_none(), genuine, dates }
    }

    /// Whether somebody answered, rather than nobody.
    pub fn is_answer(self) -> bool {
        self.packets
    }

    fn has(self, proof: Proof) -> bool {
        match proof {
            Proof::Packets => self.packets,
            Proof::Name => self.name,
            Proof::Genuine => self.genuine,
            Proof::Dates => self.dates,
        }
    }
}

/// When one mirror last proved what.
#[derive(Clone, Copy, Debug, Default)]
pub struct Proved([Option<Timestamp>; 4]);

impl Proved {
    const ALL: [Proof; 4] = [Proof::Packets, Proof::Name, Proof::Genuine, Proof::Dates];

    /// Takes this down, which may be heard of late.
    pub fn note(&mut self, evidence: Evidence, at: Timestamp) {
        for (proof, last) in Self::ALL.into_iter().zip(&mut self.0) {
            *last = if evidence.has(proof) { (*last).max(Some(at)) } else { *last };
        }
    }

    /// Whether it proved this then or later.
    pub fn since(&self, wanted: Proof, earliest: Timestamp) -> bool {
        Self::ALL
            .into_iter()
            .zip(self.0)
            .any(|(proof, last)| proof == wanted && last.is_some_and(|at| at >= earliest))
    }
}

/// Whether our own network works, as far as probes tell.
#[derive(Clone, Debug, Default)]
pub struct Network {
    down: Option<Outage>,
    suspicions: Vec<(MirrorUrl, Observation)>,
}

/// Nobody answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    /// Since when.
    pub since: Timestamp,
    /// What everybody's failures have in common.
    pub kind: NetworkKind,
    /// What is known of it beyond that, in English.
    pub detail: String,
    /// What ends it.
    wants: Proof,
}

impl Outage {
    /// How far a mirror must be asked to see whether it is over.
    pub fn asks(&self, url: &MirrorUrl) -> Depth {
        asks(self.wants, url)
    }

    /// Why the network is taken to be down: one English line.
    pub fn reason(&self) -> String {
        let what = match self.kind {
            NetworkKind::Silence => "nobody answers",
            NetworkKind::Names => "no name is resolved: DNS does not work",
            NetworkKind::Clock => "every certificate is outside of its dates",
            NetworkKind::Portal => "every name is answered by somebody else: a captive portal?",
            NetworkKind::Busy => "this host is too busy to measure",
        };
        format!("{what}; {}", self.detail)
    }
}

impl Network {
    /// The outage, if there is one.
    pub fn outage(&self) -> Option<&Outage> {
        self.down.as_ref()
    }

    /// Whether nobody answers.
    pub fn is_down(&self) -> bool {
        self.down.is_some()
    }

    /// Takes down a failure of which it is not known whose it is.
    pub fn suspect(&mut self, url: MirrorUrl, observation: Observation) {
        self.suspicions.push((url, observation));
    }

    /// Whether a failure of this mirror is held in suspense.
    pub fn suspects(&self, url: &MirrorUrl) -> bool {
        self.suspicions.iter().any(|(suspect, _)| suspect == url)
    }

    /// Somebody proved this: an outage that it ends is over, and what was held against others and is refuted stands.
    ///
    /// Failures seen during an outage are not handed out; they were ours.
    pub fn cleared(&mut self, by: Evidence) -> Vec<(MirrorUrl, Observation)> {
        if let Some(outage) = &self.down {
            if by.has(outage.wants) {
                self.down = None;
                self.suspicions.clear();
            }
            return Vec::new();
        }
        let stands = |(_, seen): &(MirrorUrl, Observation)| by.has(refuted_by(seen));
        let held = std::mem::take(&mut self.suspicions);
        let (stand, wait) = held.into_iter().partition(stands);
        self.suspicions = wait;
        stand
    }

    /// What is held in suspense.
    pub fn suspicions(&self) -> impl Iterator<Item = (&MirrorUrl, &Observation)> {
        self.suspicions.iter().map(|(url, seen)| (url, seen))
    }

    /// What is held against these is held in suspense no more.
    pub fn release(&mut self, these: &[MirrorUrl]) -> Vec<(MirrorUrl, Observation)> {
        let held = std::mem::take(&mut self.suspicions);
        let (released, kept) = held.into_iter().partition(|(url, _)| these.contains(url));
        self.suspicions = kept;
        released
    }

    /// Nobody is left to be waited for: if all that is known is failures, the network is down. Returns what is
    /// forgiven by it.
    pub fn conclude(&mut self, waiting: bool, now: Timestamp) -> Vec<(MirrorUrl, Observation)> {
        if waiting || self.down.is_some() || self.suspicions.is_empty() {
            return Vec::new();
        }
        let wants = wanted(self.suspicions.iter().map(|(_, seen)| refuted_by(seen)).collect());
        let kind = common(&self.suspicions);
        self.down = Some(Outage { since: now, kind, detail: detail(kind, &self.suspicions, now), wants });
        std::mem::take(&mut self.suspicions)
    }

    /// This process did not get to run: what it sees now is worth nothing.
    pub fn starved(&mut self, lost: Duration, now: Timestamp) {
        if self.down.is_none() {
            let detail = format!("{:.1} s without a turn", lost.as_secs_f64());
            self.down = Some(Outage { since: now, kind: NetworkKind::Busy, detail, wants: Proof::Packets });
        }
    }

    /// Everything is to be looked at anew: what was held, and whether nobody answers.
    pub fn forget(&mut self) -> Vec<(MirrorUrl, Observation)> {
        self.down = None;
        std::mem::take(&mut self.suspicions)
    }

    /// Drops what was held against those that are gone.
    pub fn keep_suspects(&mut self, is_known: impl Fn(&MirrorUrl) -> bool) {
        self.suspicions.retain(|(url, _)| is_known(url));
    }
}

/// How far a mirror must be asked for such a proof. Without TLS anybody can be at the other end of a connection.
pub fn asks(proof: Proof, url: &MirrorUrl) -> Depth {
    match (proof, url.scheme()) {
        (Proof::Genuine | Proof::Dates, Scheme::Http) => Depth::Sample,
        (Proof::Genuine | Proof::Dates, Scheme::Https) | (Proof::Packets | Proof::Name, _) => Depth::Connect,
    }
}

/// Who answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// Anybody.
    Packets,
    /// The mirror itself.
    Genuine,
}

/// Whether somebody answered.
///
/// An answer about an image or an account is one; a web page is not, for a captive portal sends it.
fn answers(url: &MirrorUrl, observation: &Observation) -> Option<Answer> {
    let Outcome::Failed(failure) = &observation.outcome else {
        let bare = observation.depth == Depth::Connect && url.scheme() == Scheme::Http;
        return Some(if bare { Answer::Packets } else { Answer::Genuine });
    };
    match failure.kind {
        FailureKind::LoginRequired
        | FailureKind::NotAllowed
        | FailureKind::NotFound
        | FailureKind::RateLimited
        | FailureKind::ServerError
        | FailureKind::TooSlow
        | FailureKind::Stale
        | FailureKind::Corrupt
        | FailureKind::AnswerTooLarge => Some(Answer::Genuine),
        FailureKind::NameNotResolved
        | FailureKind::SuspiciousAddress
        | FailureKind::ConnectionRefused
        | FailureKind::Unreachable
        | FailureKind::ConnectTimeout
        | FailureKind::TlsExpired
        | FailureKind::TlsUntrusted
        | FailureKind::TlsWrongHost
        | FailureKind::TlsError
        | FailureKind::NoAnswer
        | FailureKind::ConnectionLost
        | FailureKind::NotARegistry
        | FailureKind::Stalled
        | FailureKind::RedirectRefused
        | FailureKind::ProtocolError => None,
    }
}

/// What another mirror must prove for this failure to be the mirror's own.
pub fn refuted_by(observation: &Observation) -> Proof {
    match observation.failure().map(|failure| failure.kind) {
        // What a wrong clock does to every certificate ...
        Some(FailureKind::TlsExpired) => Proof::Dates,
        // ... a captive portal to every name ...
        Some(
            FailureKind::TlsUntrusted
            | FailureKind::TlsWrongHost
            | FailureKind::TlsError
            | FailureKind::NotARegistry
            | FailureKind::RedirectRefused
            | FailureKind::ProtocolError
            | FailureKind::SuspiciousAddress,
        ) => Proof::Genuine,
        // ... and a dead name server. Who is asked by an address knows nothing of it.
        Some(FailureKind::NameNotResolved) => Proof::Name,
        Some(_) | None => Proof::Packets,
    }
}

/// What ends an outage in which each of these was wanted.
fn wanted(all: Vec<Proof>) -> Proof {
    match all[..] {
        [first, ref others @ ..] if others.iter().all(|other| *other == first) => first,
        _ if all.iter().any(|proof| matches!(proof, Proof::Genuine | Proof::Dates)) => Proof::Genuine,
        _ => Proof::Packets,
    }
}

/// What failures of everybody have in common.
fn common(suspicions: &[(MirrorUrl, Observation)]) -> NetworkKind {
    let kinds: Vec<FailureKind> =
        suspicions.iter().filter_map(|(_, seen)| Some(seen.failure()?.kind)).collect();
    let all = |of: &[FailureKind]| kinds.len() > 1 && kinds.iter().all(|kind| of.contains(kind));
    let strangers = [
        FailureKind::NotARegistry,
        FailureKind::RedirectRefused,
        FailureKind::TlsUntrusted,
        FailureKind::TlsWrongHost,
        FailureKind::TlsError,
        FailureKind::ProtocolError,
    ];
    if all(&[FailureKind::TlsExpired]) {
        NetworkKind::Clock
    } else if all(&[FailureKind::NameNotResolved, FailureKind::SuspiciousAddress]) {
        NetworkKind::Names
    } else if all(&strangers) {
        NetworkKind::Portal
    } else {
        NetworkKind::Silence
    }
}

fn detail(kind: NetworkKind, suspicions: &[(MirrorUrl, Observation)], now: Timestamp) -> String {
    let first = suspicions.first().map_or_else(String::new, |(url, seen)| {
        let what = seen.failure().map_or("no answer", |failure| failure.kind.as_str());
        format!("first {}: {what}", url.authority())
    });
    if kind == NetworkKind::Clock { format!("this host's clock says {now}; {first}") } else { first }
}
