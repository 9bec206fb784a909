//! Whose failure is it? When everybody fails together, it is our own network's.
//!
//! A failure is a suspicion until somebody else answers: then it stands. When nobody does, it is dropped,
//! and nothing is recorded against anybody until one of them answers again.

use crate::mirror::MirrorUrl;
use crate::observation::Observation;
use crate::reason::FailureKind;
use crate::timestamp::Timestamp;

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
    /// What the first of the failures was, in English.
    pub reason: String,
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

    /// Somebody answered: the outage is over, and what was held against others stands.
    ///
    /// Failures seen during an outage are not handed out; they were ours.
    pub fn cleared(&mut self) -> Vec<(MirrorUrl, Observation)> {
        let held = std::mem::take(&mut self.suspicions);
        if self.down.take().is_some() { Vec::new() } else { held }
    }

    /// Nobody is left to be waited for: if all that is known is failures, the network is down.
    pub fn conclude(&mut self, waiting: bool, now: Timestamp) {
        if waiting || self.down.is_some() {
            return;
        }
        if let Some((url, observation)) = self.suspicions.first() {
            let what = observation.failure().map_or("no answer", |failure| failure.kind.as_str());
            let reason = format!("nobody answers; first {}: {what}", url.host());
            self.down = Some(Outage { since: now, reason });
            self.suspicions.clear();
        }
    }

    /// Drops what was held: its candidates may be gone.
    pub fn forget_suspects(&mut self) {
        self.suspicions.clear();
    }
}

/// Whether this observation shows that packets travel to the world and back.
///
/// An answer about an image or an account is such a proof; a web page is not, for a captive portal sends one.
pub fn proves_network(observation: &Observation) -> bool {
    match observation.failure().map(|failure| failure.kind) {
        None => true,
        Some(kind) => match kind {
            FailureKind::LoginRequired
            | FailureKind::NotAllowed
            | FailureKind::NotFound
            | FailureKind::RateLimited
            | FailureKind::ServerError
            | FailureKind::TooSlow
            | FailureKind::Stale
            | FailureKind::Corrupt
            | FailureKind::AnswerTooLarge => true,
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
            | FailureKind::ProtocolError => false,
        },
    }
}
