//! What a real pull changes in a record.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::observe::{DOUBTFUL, SPEEDS};
use super::{Moment, Record, Run, Standing, is_false, smoothed};
use crate::observation::{Depth, Failure, Stage};
use crate::pull::{Seen, Sign};
use crate::ranking::Policy;
use crate::reason::FailureKind;
use crate::timestamp::Timestamp;

/// Pulls that failed are held against a mirror for so long: a bad day is no reason to doubt the next.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// One pull complains of a layer again and again: dockerd asks for it five times, with pauses of 5, 10, 15 and 20 s,
/// and each try may take ten seconds until its silence is one.
const LAYERS: Duration = Duration::from_secs(120);
/// Of what comes before the layers it complains once; but the images of one `docker compose pull` do so together.
const BEGINNINGS: Duration = Duration::from_secs(10);

/// Pulls that failed where the probe that followed was served. A mirror may treat the two differently, as one that
/// stalls beyond the mebibyte that a probe reads, and then the pulls are right.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Complaints {
    /// When those began that were acquitted, with no good pull in between; oldest first, fewer than `fall`.
    pulls: Vec<Moment>,
    /// When the last one began.
    at: Option<Moment>,
    /// It is among the acquitted.
    #[serde(skip_serializing_if = "is_false")]
    counted: bool,
    /// How far the probe must go that decides about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    open: Option<Depth>,
    /// A sample was served meanwhile, which acquits of less than that.
    #[serde(skip_serializing_if = "is_false")]
    sampled: bool,
}

impl Complaints {
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Takes a sign of this stage: how many pulls have complained with it.
    fn hear(&mut self, stage: Stage, at: Timestamp) -> u32 {
        self.pulls.retain(|pull| pull.time() <= at && at.since(pull.time()) < DAY);
        let one_pull = if stage == Stage::Layer { LAYERS } else { BEGINNINGS };
        let new = self.at.is_none_or(|last| at < last.time() || at.since(last.time()) >= one_pull);
        if new {
            // Where the budget had no room to decide about the last one, nothing has spoken against it either.
            if self.open.is_some() {
                self.count();
            }
            (self.at, self.counted, self.open, self.sampled) = (Some(at.into()), false, None, false);
        }
        self.open = self.open.max(Some(decided_by(stage)));
        u32::try_from(self.pulls.len()).unwrap_or(u32::MAX).saturating_add(u32::from(new))
    }

    /// A sample may confirm what only a rehearsal acquits of. One is enough: each keeps the rehearsal waiting for a minute
    /// in which it fits.
    pub(super) fn a_sample_may_tell(&self) -> bool {
        self.open.is_some_and(|open| open > Depth::Sample) && !self.sampled
    }

    /// A probe of this depth was served.
    pub(super) fn acquit(&mut self, depth: Depth) {
        if self.open.is_some_and(|open| open <= depth) {
            self.open = None;
            self.count();
        } else if depth == Depth::Sample {
            self.sampled = true;
        }
    }

    fn count(&mut self) {
        if !std::mem::replace(&mut self.counted, true) {
            self.pulls.extend(self.at);
        }
    }

    /// A probe failed: the pull was right, and the probes see what it saw. Or all failed together, and it was nobody's
    /// failure.
    pub(super) fn close(&mut self) {
        self.open = None;
    }
}

/// How far the probe must go that acquits of a failure at this stage. A sample ends before the place in a layer at which
/// the pull was left, and what it did not read it cannot have seen.
fn decided_by(stage: Stage) -> Depth {
    match stage.shown_by() {
        Depth::Connect => Depth::Connect,
        Depth::Sample | Depth::Rehearse => Depth::Rehearse,
    }
}

impl Record {
    /// Takes what a real pull showed: a failure is all but one of `fall`, so that one probe decides; a good pull is
    /// a sample.
    ///
    /// Returns whether the mirror is to be asked again at once.
    pub fn heard(&mut self, sign: &Sign, policy: &Policy) -> bool {
        let at = sign.at;
        match &sign.seen {
            Seen::Left { failure, .. } => self.suspect(failure, at, policy),
            Seen::Silent { quiet_ms, .. } => {
                let detail = format!("a pull received nothing for {} s", quiet_ms / 1000);
                let failure = Failure { kind: FailureKind::Stalled, stage: Stage::Layer, detail };
                self.suspect(&failure, at, policy)
            }
            Seen::Crawling { bytes_per_second, .. } => {
                let detail = format!("a pull received {:.0} kB/s", bytes_per_second / 1e3);
                let failure = Failure { kind: FailureKind::TooSlow, stage: Stage::Layer, detail };
                self.suspect(&failure, at, policy)
            }
            Seen::Served { bytes_per_second, .. } => {
                let usual = self.bytes_per_second();
                self.pulled(*bytes_per_second, at, policy);
                let slow = bytes_per_second.zip(usual).is_some_and(|(speed, usual)| DOUBTFUL * speed < usual);
                slow && self.doubt(at, policy)
            }
            Seen::Doubtful { .. } | Seen::Absent { .. } => false,
        }
    }

    /// Our own network was down: what pulls complained of and no probe has decided yet is not held against it.
    pub fn excuse(&mut self) {
        self.complaints.close();
    }

    /// Has the next rehearsal come at once, unless one has just been.
    pub(super) fn doubt(&mut self, at: Timestamp, policy: &Policy) -> bool {
        let lately = self.last.rehearse.is_some_and(|last| at.since(last.time()) < policy.decide / 2);
        self.doubted |= self.standing == Standing::Live && !lately;
        self.doubted
    }

    /// Whether a probe that a pull has asked for will decide about this sign too.
    pub fn awaits(&self, sign: &Seen) -> bool {
        let stage = match sign {
            Seen::Left { failure, .. } => failure.stage,
            Seen::Silent { .. } | Seen::Crawling { .. } => Stage::Layer,
            Seen::Served { .. } | Seen::Doubtful { .. } | Seen::Absent { .. } => return false,
        };
        self.complaints.open.is_some_and(|open| open >= decided_by(stage))
    }

    fn suspect(&mut self, failure: &Failure, at: Timestamp, policy: &Policy) -> bool {
        if self.standing != Standing::Live {
            return false;
        }
        // Of one pull a probe has the last word even where one failure is enough.
        if self.complaints.hear(failure.stage, at) >= policy.fall.max(2) {
            self.convict(failure, at, policy);
            return false;
        }
        let most = policy.fall.max(1) - 1;
        let (least, decides) = (failure.stage.shown_by(), decided_by(failure.stage));
        // A lesser probe may prove it too, and be there sooner where the budget has no room for the one that decides.
        for depth in [Depth::Connect, Depth::Sample, Depth::Rehearse] {
            if least <= depth && depth <= decides {
                let run = self.runs.at(depth);
                let (failures, since) = run.as_ref().map_or((0, at.into()), |run| (run.failures, run.since));
                let failures = failures.max(most);
                *run = Some(Run { failures, failure: failure.clone(), since, at: at.into() });
            }
        }
        true
    }

    /// What probes do not see they do not see the end of either, so it is not trusted again soon.
    fn convict(&mut self, failure: &Failure, at: Timestamp, policy: &Policy) {
        let detail = format!("pulls fail where probes are served: {}", failure.detail);
        self.flap(at, policy);
        self.fall(&Failure { detail, ..failure.clone() }, at, at, policy);
    }

    fn pulled(&mut self, bytes_per_second: Option<f64>, at: Timestamp, policy: &Policy) {
        if self.standing != Standing::Live {
            return;
        }
        self.reliability.add(at, Depth::Sample, None);
        #[expect(clippy::cast_precision_loss, reason = "nobody demands 2^53 bytes per second")]
        let slow = bytes_per_second.is_some_and(|speed| speed < policy.min_speed as f64);
        self.runs.clear_to(Depth::Sample);
        // One that crawled to its end is no good pull.
        if !slow {
            self.complaints = Complaints::default();
            // It read more of its layers than a rehearsal does.
            self.runs.rehearse.take_if(|run| run.failure.stage == Stage::Layer);
        }
        for last in [&mut self.last.connect, &mut self.last.sample] {
            *last = Some(last.map_or(at.into(), |last: Moment| last.max(at.into())));
        }
        if let Some(speed) = bytes_per_second.filter(|speed| speed.is_finite() && *speed > 0.0) {
            self.pace.add(1.0 / speed.clamp(*SPEEDS.start(), *SPEEDS.end()), smoothed::REHEARSAL);
        }
    }
}
