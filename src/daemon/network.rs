//! Whose failure is it? When everybody fails together, it is our own network's.
//!
//! A failure is a suspicion until somebody else answers: then it stands. When nobody does, it is dropped, and nothing is
//! recorded against anybody until one of them answers again.

use std::time::Duration;

use crate::mirror::{MirrorUrl, Scheme};
use crate::observation::{Depth, Observation, Outcome};
use crate::reason::{FailureKind, NetworkKind};
use crate::timestamp::Timestamp;

/// A failure after which this process did not get to run for so long is its own: time-outs are seconds.
pub const STARVED: Duration = Duration::from_millis(500);

/// What an answer proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proof {
    /// Packets travel; a captive portal sends them too.
    Packets,
    /// The other side is who it should be: it has the certificate, or speaks as a registry.
    Genuine,
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

    /// Somebody answered: an outage that this ends is over, and what was held against others and is refuted stands.
    ///
    /// Failures seen during an outage are not handed out; they were ours.
    pub fn cleared(&mut self, by: Proof) -> Vec<(MirrorUrl, Observation)> {
        if let Some(outage) = &self.down {
            if outage.wants <= by {
                self.down = None;
                self.suspicions.clear();
            }
            return Vec::new();
        }
        let stands = |(_, seen): &(MirrorUrl, Observation)| refuted_by(seen) <= by;
        let held = std::mem::take(&mut self.suspicions);
        let (stand, wait) = held.into_iter().partition(stands);
        self.suspicions = wait;
        stand
    }

    /// Nobody is left to be waited for: if all that is known is failures, the network is down. Returns what is
    /// forgiven by it.
    pub fn conclude(&mut self, waiting: bool, now: Timestamp) -> Vec<(MirrorUrl, Observation)> {
        if waiting || self.down.is_some() || self.suspicions.is_empty() {
            return Vec::new();
        }
        let wants = self.suspicions.iter().map(|(_, seen)| refuted_by(seen)).max().unwrap_or(Proof::Packets);
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
        (Proof::Genuine, Scheme::Http) => Depth::Sample,
        (Proof::Genuine, Scheme::Https) | (Proof::Packets, _) => Depth::Connect,
    }
}

/// What an observation proves of our own network, if anything.
///
/// An answer about an image or an account is such a proof; a web page is not, for a captive portal sends one.
pub fn proves(url: &MirrorUrl, observation: &Observation) -> Option<Proof> {
    let Outcome::Failed(failure) = &observation.outcome else {
        let bare = observation.depth == Depth::Connect && url.scheme() == Scheme::Http;
        return Some(if bare { Proof::Packets } else { Proof::Genuine });
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
        | FailureKind::AnswerTooLarge => Some(Proof::Genuine),
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
        // What a captive portal does to every name, and a wrong clock to every certificate.
        Some(
            FailureKind::TlsExpired
            | FailureKind::TlsUntrusted
            | FailureKind::TlsWrongHost
            | FailureKind::TlsError
            | FailureKind::NotARegistry
            | FailureKind::RedirectRefused
            | FailureKind::ProtocolError
            | FailureKind::SuspiciousAddress,
        ) => Proof::Genuine,
        Some(_) | None => Proof::Packets,
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
        format!("first {}: {what}", url.host())
    });
    if kind == NetworkKind::Clock { format!("this host's clock says {now}; {first}") } else { first }
}
