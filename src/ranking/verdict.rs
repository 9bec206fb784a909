//! Live, or rejected with every reason: what one record says of its own mirror.
//!
//! What can only be said by comparing mirrors is added by [`select`](super::select).

use serde::{Deserialize, Serialize};

use super::Policy;
use super::record::{Record, Standing};
use crate::mirror::Mirror;
use crate::observation::{ImageStore, Quirk};
use crate::reason::ReasonKind;
use crate::timestamp::Timestamp;

/// Whether a mirror may be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It may.
    Live,
    /// It may not; the reasons say why.
    Rejected,
}

impl Verdict {
    /// The public word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Rejected => "rejected",
        }
    }

    /// What follows from reasons: one that rejects is enough.
    pub fn of(reasons: &[Reason]) -> Self {
        if reasons.iter().any(|reason| rejects(reason.kind)) { Self::Rejected } else { Self::Live }
    }
}

/// Why a mirror is rejected, or why a live one is not used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Which of the closed list.
    pub kind: ReasonKind,
    /// More, in English, safe for a terminal; may be empty.
    pub detail: String,
    /// Since when it holds.
    pub since: Option<Timestamp>,
}

impl Reason {
    pub(super) fn new(kind: impl Into<ReasonKind>, detail: String, since: Option<Timestamp>) -> Self {
        Self { kind: kind.into(), detail, since }
    }
}

/// Whether a reason rejects, or only says why a live mirror is not used.
const fn rejects(kind: ReasonKind) -> bool {
    match kind {
        ReasonKind::NotSelected | ReasonKind::OverBudget => false,
        ReasonKind::NameNotResolved
        | ReasonKind::SuspiciousAddress
        | ReasonKind::ConnectionRefused
        | ReasonKind::Unreachable
        | ReasonKind::ConnectTimeout
        | ReasonKind::TlsExpired
        | ReasonKind::TlsUntrusted
        | ReasonKind::TlsWrongHost
        | ReasonKind::TlsError
        | ReasonKind::NoAnswer
        | ReasonKind::ConnectionLost
        | ReasonKind::NotARegistry
        | ReasonKind::LoginRequired
        | ReasonKind::NotAllowed
        | ReasonKind::NotFound
        | ReasonKind::RateLimited
        | ReasonKind::ServerError
        | ReasonKind::Stalled
        | ReasonKind::TooSlow
        | ReasonKind::Corrupt
        | ReasonKind::Stale
        | ReasonKind::RedirectRefused
        | ReasonKind::AnswerTooLarge
        | ReasonKind::ProtocolError
        | ReasonKind::Unprobed
        | ReasonKind::SlowerThanUpstream
        | ReasonKind::SameBackend
        | ReasonKind::Unfit
        | ReasonKind::Disabled => true,
    }
}

/// Every reason against a mirror that its own configuration and record give; the weightiest first.
pub(super) fn own_reasons(now: Timestamp, policy: &Policy, mirror: &Mirror, record: &Record) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if !mirror.enabled {
        let detail = mirror.note.clone().unwrap_or_default();
        reasons.push(Reason::new(ReasonKind::Disabled, detail, None));
    }
    match record.standing() {
        Standing::Live => {}
        // Nobody asks a disabled mirror, so that it was not asked is no reason of its own.
        Standing::Unprobed if mirror.enabled => {
            reasons.push(Reason::new(ReasonKind::Unprobed, String::new(), None));
        }
        Standing::Unprobed => {}
        Standing::Rejected => rejected(now, policy, record, &mut reasons),
    }
    if let Some(coverage) = record.coverage(&policy.images)
        && coverage.served == 0
        && let Some((kind, since)) = record.last_refusal(&policy.images)
    {
        let detail = format!("it serves none of the {} images that were asked for", coverage.of);
        match reasons.iter_mut().find(|reason| reason.kind == kind.into()) {
            Some(known) => append(&mut known.detail, &detail),
            None => reasons.push(Reason::new(kind, detail, Some(since))),
        }
    }
    let unfit: Vec<&str> = record.unfit(policy.store).map(describe).collect();
    if !unfit.is_empty() {
        let detail = format!("{}: {}", store_name(policy.store), unfit.join(", "));
        reasons.push(Reason::new(ReasonKind::Unfit, detail, None));
    }
    reasons
}

fn rejected(now: Timestamp, policy: &Policy, record: &Record, reasons: &mut Vec<Reason>) {
    if let Some(fault) = record.fallen() {
        let mut detail = fault.detail.clone();
        if let Some(until) = record.resting(now) {
            append(&mut detail, &format!("left alone until {until}"));
        }
        if record.rising() > 0 && record.been_live() {
            append(&mut detail, &format!("{} of {} good rehearsals since", record.rising(), policy.rise));
        }
        add(reasons, Reason::new(fault.kind, detail, Some(fault.since())));
    }
    for (failure, since) in record.failures() {
        add(reasons, Reason::new(failure.kind, failure.detail.clone(), Some(since)));
    }
}

fn append(detail: &mut String, text: &str) {
    if !detail.is_empty() {
        detail.push_str("; ");
    }
    detail.push_str(text);
}

/// Says each kind once.
fn add(reasons: &mut Vec<Reason>, reason: Reason) {
    if reasons.iter().all(|known| known.kind != reason.kind) {
        reasons.push(reason);
    }
}

fn store_name(store: Option<ImageStore>) -> &'static str {
    match store {
        Some(ImageStore::Classic) => "the classic store",
        Some(ImageStore::Containerd) => "the containerd store",
        None => "the store is not known, and one of the two",
    }
}

/// What the store cannot live with, after "the classic store: ".
const fn describe(quirk: Quirk) -> &'static str {
    match quirk {
        Quirk::HeadNotFound => "HEAD of a manifest answers 404",
        Quirk::HeadWrongType => "HEAD of a manifest answers with another media type",
        Quirk::HeadWithoutLength => "HEAD of a manifest answers without a length",
        Quirk::HeadWithoutType => "HEAD of a manifest answers without a media type",
        Quirk::LateChallenge => "a token is wanted for the manifest and not for /v2/",
        Quirk::PingFails => "/v2/ does not answer",
    }
}
