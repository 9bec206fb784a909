//! Live, or rejected with every reason: what one record says of its own mirror.
//!
//! What can only be said by comparing mirrors is added by [`select`](super::select).

use serde::{Deserialize, Serialize};

use super::Policy;
use super::record::{Record, Standing};
use crate::mirror::{DOCKER_HUB, Mirror};
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
    if mirror.upstream != DOCKER_HUB {
        let detail =
            format!("dockerd takes mirrors of {DOCKER_HUB} only, and this one mirrors {}", mirror.upstream);
        reasons.push(Reason::new(ReasonKind::Unfit, detail, None));
    }
    match record.standing() {
        Standing::Live => {}
        // Nobody asks a mirror that takes no part, so that it was not asked is no reason of its own.
        Standing::Unprobed if mirror.takes_part() => {
            reasons.push(Reason::new(ReasonKind::Unprobed, String::new(), None));
        }
        Standing::Unprobed => {}
        Standing::Rejected => rejected(now, policy, record, &mut reasons),
    }
    if let Some(coverage) = record.coverage(&policy.images)
        && coverage.served == 0
        && let Some((kind, since)) = record.last_refusal(&policy.images)
    {
        let detail = format!("serves 0 of {} images", coverage.of);
        match reasons.iter_mut().find(|reason| reason.kind == kind.into()) {
            Some(known) => append(&mut known.detail, &detail),
            None => reasons.push(Reason::new(kind, detail, Some(since))),
        }
    }
    // What is no registry at all is unfit for every store, and saying so is no help.
    let registry = reasons.iter().all(|reason| reason.kind != ReasonKind::NotARegistry);
    let unfit: Vec<&str> = record.unfit(policy.store).map(describe).collect();
    if registry && !unfit.is_empty() {
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
        if let Some(until) = record.quarantined(now) {
            append(&mut detail, &format!("comes and goes: not trusted before {until}"));
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
        Quirk::HeadNotFound => "HEAD of a manifest is refused",
        Quirk::HeadWrongType => "HEAD of a manifest answers with another media type",
        Quirk::HeadWithoutLength => "HEAD of a manifest answers without a length",
        Quirk::HeadWithoutType => "HEAD of a manifest answers without a media type",
        Quirk::LateChallenge => "a token is wanted for the manifest and not for /v2/",
        Quirk::PingFails => "/v2/ does not answer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::DOCKER_HUB;
    use crate::observation::{Depth, Failure, Observation, Outcome, Stage};
    use crate::reason::FailureKind;

    const NOW: Timestamp = Timestamp::from_millis(1_795_176_000_000);

    fn mirror(enabled: bool) -> Mirror {
        Mirror {
            name: "A".to_owned(),
            url: "https://a.example".parse().unwrap(),
            upstream: DOCKER_HUB.to_owned(),
            group: None,
            enabled,
            note: Some("closed in 2024".to_owned()),
        }
    }

    fn failed(depth: Depth, kind: FailureKind, detail: &str) -> Observation {
        let mut seen = Observation::new(NOW, depth);
        seen.image = (depth != Depth::Connect).then(|| Policy::default().images[0].clone());
        let failure = Failure { kind, stage: Stage::Connect, detail: detail.to_owned() };
        seen.outcome = Outcome::Failed(failure);
        seen
    }

    /// The reasons, `kind: detail`, after these observations.
    #[track_caller]
    fn check(mirror: &Mirror, observations: &[Observation], expected: &[&str]) {
        let mut record = Record::default();
        for observation in observations {
            record.observe(observation, &Policy::default());
        }
        let reasons = own_reasons(NOW, &Policy::default(), mirror, &record);
        let got: Vec<String> =
            reasons.iter().map(|reason| format!("{}: {}", reason.kind, reason.detail)).collect();
        assert_eq!(got, expected);
        assert_eq!(Verdict::of(&reasons) == Verdict::Rejected, !expected.is_empty());
    }

    #[test]
    fn every_reason_is_said_and_each_once() {
        use Depth::{Connect, Rehearse, Sample};
        use FailureKind::{ConnectTimeout, NotAllowed, RateLimited, Stalled};
        let good = Observation::new(NOW, Rehearse);
        check(&mirror(true), &[], &["unprobed: "]);
        check(&mirror(true), std::slice::from_ref(&good), &[]);
        check(&mirror(false), &[], &["disabled: closed in 2024"]);
        check(
            &mirror(false),
            &[failed(Connect, ConnectTimeout, "3 s")],
            &["disabled: closed in 2024", "connect_timeout: 3 s"],
        );
        check(
            &mirror(true),
            &[failed(Sample, Stalled, "at byte 9"), failed(Connect, ConnectTimeout, "3 s")],
            &["connect_timeout: 3 s", "stalled: at byte 9"],
        );
        check(
            &mirror(true),
            &[failed(Rehearse, Stalled, "1"), failed(Sample, Stalled, "2")],
            &["stalled: 2"],
        );
        check(
            &mirror(true),
            &[failed(Rehearse, NotAllowed, "not in the allowlist")],
            &["not_allowed: not in the allowlist; serves 0 of 1 images"],
        );
        check(
            &mirror(true),
            &[failed(Rehearse, RateLimited, "")],
            &["rate_limited: left alone until 2026-11-20T13:00:00Z"],
        );
        // Failures below `fall` are nothing against a live mirror.
        check(&mirror(true), &[good, failed(Sample, Stalled, "")], &[]);
    }

    #[test]
    fn what_is_no_registry_is_not_called_unfit_besides() {
        for (kind, expected) in [
            (FailureKind::NotARegistry, &["not_a_registry: a web page"][..]),
            (
                FailureKind::Stalled,
                &[
                    "stalled: a web page",
                    "unfit: the store is not known, and one of the two: /v2/ does not answer",
                ],
            ),
        ] {
            let mut seen = failed(Depth::Rehearse, kind, "a web page");
            seen.quirks.insert(Quirk::PingFails);
            check(&mirror(true), &[seen], expected);
        }
    }

    #[test]
    fn what_does_not_reject_changes_no_verdict() {
        let reason = |kind| Reason::new(kind, String::new(), None);
        let mild = [reason(ReasonKind::NotSelected), reason(ReasonKind::OverBudget)];
        assert_eq!(Verdict::of(&mild), Verdict::Live);
        let rejecting = ReasonKind::ALL.iter().filter(|kind| rejects(**kind)).count();
        assert_eq!(rejecting, ReasonKind::ALL.len() - mild.len());
    }
}
