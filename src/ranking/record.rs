//! What is remembered of one mirror: whether it stands, how it failed, how fast it was, what it cost.
//!
//! A record is made of observations only, one after the other, and of nothing else; it is small, bounded,
//! and survives restarts as JSON.

mod hours;
mod images;
mod moment;
mod observe;
mod pulls;
mod reliability;
mod smoothed;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use hours::LONGEST_WINDOW;
pub(crate) use images::Tag;
use moment::{Moment, at_rest, narrow};
pub(crate) use smoothed::{REHEARSAL, Smoothed};

use super::Policy;
use crate::image::{Image, Layers};
use crate::observation::{Depth, Failure, ImageStore, Quirk, Spent, Stages};
use crate::reason::FailureKind;
use crate::timestamp::Timestamp;

/// Whether a mirror may be chosen, as far as its own answers go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It was never rehearsed.
    #[default]
    Unprobed,
    /// It serves.
    Live,
    /// It failed, and has not yet risen again.
    Rejected,
}

/// Failures in a row at one depth, of a kind that is worth asking again about. The mirror may still be live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// At which depth they were seen; they end only with a success at this depth or a greater one.
    pub depth: Depth,
    /// How many.
    pub failures: u32,
    /// The last one.
    pub failure: Failure,
    /// When the first one began.
    pub since: Timestamp,
}

/// How many of the images that count a mirror serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Those that it served when last asked.
    pub served: usize,
    /// Those that it was asked for.
    pub of: usize,
}

/// What a mirror's budget went to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpentToday {
    /// Requests in the last 24 hours.
    pub requests_today: u32,
    /// Answers of 403, 404, 429 or 5xx in the last 48 hours.
    pub refusals_2_days: u32,
    /// Bytes read in the last 24 hours.
    pub bytes_today: u64,
}

/// For so long a mirror that left the list is looked out for.
const LATELY: Duration = Duration::from_secs(24 * 3600);

/// Why a mirror fell, kept until it is live again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fault {
    pub(crate) kind: FailureKind,
    pub(crate) detail: String,
    since: Moment,
}

impl Fault {
    pub(crate) fn since(&self) -> Timestamp {
        self.since.time()
    }
}

/// What one rehearsal alone measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Round {
    at: Moment,
    /// Seconds of a reference pull in which nothing comes.
    wait: f32,
    /// Seconds for each byte, where enough of them came to tell.
    pace: Option<f32>,
}

impl Round {
    pub(crate) fn wait(self) -> f64 {
        f64::from(self.wait)
    }

    pub(crate) fn pace(self) -> Option<f64> {
        self.pace.map(f64::from)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Run {
    failures: u32,
    failure: Failure,
    since: Moment,
    at: Moment,
}

/// Failures in a row, by the depth that saw them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Runs {
    #[serde(skip_serializing_if = "Option::is_none")]
    connect: Option<Run>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample: Option<Run>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rehearse: Option<Run>,
}

impl Runs {
    fn at(&mut self, depth: Depth) -> &mut Option<Run> {
        match depth {
            Depth::Connect => &mut self.connect,
            Depth::Sample => &mut self.sample,
            Depth::Rehearse => &mut self.rehearse,
        }
    }

    fn each(&self) -> impl Iterator<Item = (Depth, &Run)> {
        let all = [
            (Depth::Connect, &self.connect),
            (Depth::Sample, &self.sample),
            (Depth::Rehearse, &self.rehearse),
        ];
        all.into_iter().filter_map(|(depth, run)| Some((depth, run.as_ref()?)))
    }

    /// A success at one depth says nothing of failures that only a deeper probe can see.
    fn clear_to(&mut self, depth: Depth) {
        for shallower in [Depth::Connect, Depth::Sample, Depth::Rehearse] {
            if shallower <= depth {
                *self.at(shallower) = None;
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Rest {
    until: Moment,
    times: u32,
}

/// A probe that has begun, and the most that it can cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Pending {
    at: Moment,
    most: Spent,
}

/// How a mirror comes and goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flapping {
    /// How often it fell, old falls counting less.
    falls: f32,
    /// When it fell last.
    at: Moment,
    /// Before then no good rehearsal makes it live.
    until: Option<Moment>,
}

/// When each depth was last asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct LastAsked {
    connect: Option<Moment>,
    sample: Option<Moment>,
    rehearse: Option<Moment>,
}

/// What samples are taken of: without it each would be a whole rehearsal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Sampled {
    image: Image,
    layers: Layers,
}

/// What is remembered of one mirror.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    standing: Standing,
    /// Whether it ever was live: `fall` and `rise` are for those.
    been_live: bool,
    rising: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    fallen: Option<Fault>,
    runs: Runs,
    failed_rehearsals: u32,
    /// Images in a row that were served before and are refused now.
    turned_away: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    rest: Option<Rest>,
    images: images::Images,
    /// Of the last good rehearsal, until it is refused or one of its layers is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    sampled: Option<Sampled>,
    /// Seconds from nothing to the platform's manifest, as the classic store asks.
    chain: Smoothed,
    /// Seconds to the first byte of a layer.
    layer: Smoothed,
    /// Seconds for each byte that follows.
    pace: Smoothed,
    /// Good rehearsals in a row, oldest first.
    rounds: Vec<Round>,
    /// Seconds that the bytes of a sample take after the first one.
    reading: Smoothed,
    /// Something was so slow that a rehearsal is to tell whether the mirror is.
    #[serde(skip_serializing_if = "is_false")]
    doubted: bool,
    /// It was rejected, and what it was rejected for seems to be over.
    #[serde(skip_serializing_if = "is_false")]
    back: bool,
    reliability: reliability::Reliability,
    hours: hours::Hours,
    /// What of it went to samples.
    #[serde(skip_serializing_if = "hours::Hours::is_empty")]
    samples: hours::Hours,
    #[serde(skip_serializing_if = "hours::Lately::is_empty")]
    lately: hours::Lately,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<Pending>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flapping: Option<Flapping>,
    #[serde(skip_serializing_if = "pulls::Complaints::is_none")]
    complaints: pulls::Complaints,
    last: LastAsked,
    /// When it last left the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<Moment>,
    stages: Stages,
    address: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layer_address: Option<SocketAddr>,
    layer_host: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    sent_to: BTreeMap<String, Moment>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    quirks: BTreeSet<Quirk>,
}

impl Record {
    /// Whether it may be chosen, as far as its own answers go.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// The longest run of failures, if it is failing; among equals the last to have grown.
    pub fn failing(&self) -> Option<Failing> {
        let (depth, run) = self.runs.each().max_by_key(|(_, run)| (run.failures, run.at))?;
        Some(Failing { depth, failures: run.failures, failure: run.failure.clone(), since: run.since.time() })
    }

    /// Good rehearsals in a row since it was rejected; zero while it is live.
    pub fn rising(&self) -> u32 {
        self.rising
    }

    /// Rehearsals in a row that did not serve, of whatever kind, a failure and its quick re-checks counted as one: what
    /// growing pauses go by.
    pub fn failed_rehearsals(&self) -> u32 {
        self.failed_rehearsals
    }

    /// Whether it has failed, in a probe or a real pull, between these two moments. What lies ahead is what a clock that
    /// was set back has left behind.
    pub fn failed_since(&self, at: Timestamp, now: Timestamp) -> bool {
        let runs = self.runs.each().map(|(_, run)| run.at);
        let mut failures = runs.chain(self.fallen.as_ref().map(|fault| fault.since)).map(Moment::time);
        failures.any(|failed| failed > at && failed <= now)
    }

    /// Counts no more of them than these: the last ones were asked by somebody who is mending it.
    pub fn failed_at_most(&mut self, rehearsals: u32) {
        self.failed_rehearsals = self.failed_rehearsals.min(rehearsals);
    }

    /// At which depths to ask again soon: the mirror is live, and was very slow, or has failed and `fall` is not yet
    /// reached. Of several each may tell, and the deepest tells the most.
    pub fn rechecks(&self, policy: &Policy) -> impl Iterator<Item = Depth> {
        let few = |run: &Run| run.failures < policy.fall.max(1);
        let worst = self.runs.each().max_by_key(|(_, run)| (run.at, run.failures));
        let failing = worst.filter(|(_, run)| few(run)).map(|(depth, _)| depth);
        let sooner = self.complaints.a_sample_may_tell() && self.runs.sample.as_ref().is_some_and(few);
        [Depth::Rehearse, Depth::Sample, Depth::Connect].into_iter().filter(move |depth| {
            let otherwise = match depth {
                Depth::Rehearse => self.doubted,
                Depth::Sample => sooner,
                Depth::Connect => false,
            };
            self.standing == Standing::Live && (otherwise || failing == Some(*depth))
        })
    }

    /// How far a look goes that shows whether a rejected mirror may be back, for less than a rehearsal costs; `None` when
    /// only a rehearsal tells, or it is not rejected.
    pub fn lookout(&self) -> Option<Depth> {
        match self.fault()? {
            FailureKind::NameNotResolved
            | FailureKind::ConnectionRefused
            | FailureKind::Unreachable
            | FailureKind::ConnectTimeout
            | FailureKind::TlsExpired
            | FailureKind::TlsUntrusted
            | FailureKind::TlsWrongHost
            | FailureKind::TlsError => Some(Depth::Connect),
            FailureKind::NoAnswer
            | FailureKind::ConnectionLost
            | FailureKind::Stalled
            | FailureKind::TooSlow
            | FailureKind::ServerError => Some(Depth::Sample),
            FailureKind::SuspiciousAddress
            | FailureKind::NotARegistry
            | FailureKind::LoginRequired
            | FailureKind::NotAllowed
            | FailureKind::NotFound
            | FailureKind::RateLimited
            | FailureKind::Corrupt
            | FailureKind::Stale
            | FailureKind::RedirectRefused
            | FailureKind::AnswerTooLarge
            | FailureKind::ProtocolError => None,
        }
    }

    /// Whether it is rejected for answering with errors of its own, so that each look at it may cost a refusal.
    pub fn errs(&self) -> bool {
        self.fault() == Some(FailureKind::ServerError)
    }

    /// For what it is rejected.
    fn fault(&self) -> Option<FailureKind> {
        self.fallen.as_ref().filter(|_| self.standing == Standing::Rejected).map(|fault| fault.kind)
    }

    /// Whether the last look at a rejected mirror found it in order, as far as it went.
    pub fn is_back(&self) -> bool {
        self.back
    }

    /// It stands in the list no more.
    pub fn leave(&mut self, now: Timestamp) {
        self.left = Some(now.into());
    }

    /// When it left the list, if that was not long ago: it would stand there again, if it could.
    pub fn left_lately(&self, now: Timestamp) -> Option<Timestamp> {
        self.left.map(Moment::time).filter(|left| *left <= now && now.since(*left) < LATELY)
    }

    /// Until when the whole mirror is to be left alone (429); checks of the connection go on.
    pub fn resting(&self, now: Timestamp) -> Option<Timestamp> {
        at_rest(self.rest.as_ref()?.until, now)
    }

    /// Until when an image is not to be asked for again (403, 404): an hour, doubling to six.
    pub fn image_resting(&self, image: &Image, now: Timestamp) -> Option<Timestamp> {
        self.images.resting(image, now)
    }

    /// The image that a sample can be taken of, whether or not mirrors are still asked for it; `None` where no layer is
    /// known.
    pub fn sampled_image(&self) -> Option<&Image> {
        self.sampled.as_ref().map(|sampled| &sampled.image)
    }

    /// The layers of that image.
    pub fn sampled_layers(&self) -> Option<&Layers> {
        self.sampled.as_ref().map(|sampled| &sampled.layers)
    }

    /// A layer is gone, or its image is refused: until the next good rehearsal no sample can be taken.
    pub fn forget_layers(&mut self) {
        self.sampled = None;
    }

    /// When this image was last asked for.
    pub fn asked_for(&self, image: &Image, now: Timestamp) -> Option<Timestamp> {
        self.images.last_asked(image, now)
    }

    /// When the last probe of any depth began. What lies ahead is what a clock that was set back has left behind.
    pub fn last_probe(&self, now: Timestamp) -> Option<Timestamp> {
        let last = [self.last.connect, self.last.sample, self.last.rehearse];
        last.into_iter().flatten().map(Moment::time).filter(|at| *at <= now).max()
    }

    /// When the last probe of this depth began.
    pub fn last(&self, depth: Depth) -> Option<Timestamp> {
        let last = match depth {
            Depth::Connect => self.last.connect,
            Depth::Sample => self.last.sample,
            Depth::Rehearse => self.last.rehearse,
        };
        last.map(Moment::time)
    }

    /// How long each stage took when it was last measured.
    pub fn stages(&self) -> Stages {
        self.stages
    }

    /// Smoothed bytes per second of a layer after its first byte.
    pub fn bytes_per_second(&self) -> Option<f64> {
        self.pace.mean().map(|pace| 1.0 / pace)
    }

    /// Smoothed time to the first byte of a layer.
    pub fn first_byte(&self) -> Option<Duration> {
        self.layer.mean().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }

    /// How often a pull succeeds: above 0, below 1.
    pub fn success(&self) -> Option<f64> {
        self.reliability.success()
    }

    /// Of `images`, those asked for and those served; `None` when none of them was asked for. An empty list
    /// counts every image that was ever asked for.
    pub fn coverage(&self, images: &[Image]) -> Option<Coverage> {
        self.images.coverage(images)
    }

    /// The address that the mirror's host last answered from.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The address that a layer last came from; the mirror's own where it sends nobody elsewhere.
    pub fn layer_address(&self) -> Option<SocketAddr> {
        self.layer_address
    }

    /// The host that last served a layer.
    pub fn layer_host(&self) -> Option<&str> {
        self.layer_host.as_deref()
    }

    /// The other hosts that it sent pings, tokens or layers to within a day.
    pub fn sent_to(&self) -> impl Iterator<Item = &str> {
        self.sent_to.keys().map(String::as_str)
    }

    /// Until when it stays rejected however well it answers, because it comes and goes.
    pub fn quarantined(&self, now: Timestamp) -> Option<Timestamp> {
        at_rest(self.flapping.as_ref()?.until?, now)
    }

    /// The requests of so long before `now`, at most an hour: when the probes that made them ended, the oldest first.
    pub fn asked_lately(
        &self,
        now: Timestamp,
        window: Duration,
    ) -> impl DoubleEndedIterator<Item = (Timestamp, u32)> {
        self.lately.within(now, window)
    }

    /// Whether the mirror served this image when it was last asked for it; `None` if it never was.
    pub fn serves(&self, image: &Image) -> Option<bool> {
        self.images.serves(image)
    }

    /// Why the mirror refused this image when it was last asked for it.
    pub fn refuses(&self, image: &Image) -> Option<FailureKind> {
        self.images.refuses(image)
    }

    /// Whether it served some image when it was last asked for it.
    pub fn serves_some(&self) -> bool {
        self.images.serves_some()
    }

    /// What went of its budget.
    pub fn spent(&self, now: Timestamp) -> SpentToday {
        self.hours.spent(now)
    }

    /// What went of its budget in the hours after that of `from`.
    pub fn spent_since(&self, from: Timestamp, now: Timestamp) -> SpentToday {
        self.hours.spent_since(from, now)
    }

    /// What the samples of the last 24 hours have cost, refusals of 48.
    pub fn sampled(&self, now: Timestamp) -> Spent {
        let SpentToday { requests_today, refusals_2_days, bytes_today } = self.samples.spent(now);
        Spent { requests: requests_today, refusals: refusals_2_days, bytes: bytes_today }
    }

    /// The mean of the bytes per second that its probes read in each of the last 24 hours, a failure being 0, the
    /// current hour last; `None` for an hour in which nothing failed and nothing was read.
    pub fn day(&self, now: Timestamp) -> Vec<Option<u64>> {
        self.hours.day(now)
    }

    /// The quirks of which `store` cannot live with one; unknown is either store, so every quirk is.
    pub(crate) fn unfit(&self, store: Option<ImageStore>) -> impl Iterator<Item = Quirk> {
        let unfit = move |quirk: &Quirk| store.is_none_or(|store| quirk.unfit_for() == store);
        self.quirks.iter().copied().filter(unfit)
    }

    pub(crate) fn fallen(&self) -> Option<&Fault> {
        self.fallen.as_ref()
    }

    /// The last failure of each depth that is failing.
    pub(crate) fn failures(&self) -> impl Iterator<Item = (&Failure, Timestamp)> {
        self.runs.each().map(|(_, run)| (&run.failure, run.since.time()))
    }

    pub(crate) fn been_live(&self) -> bool {
        self.been_live
    }

    pub(crate) fn last_refusal(&self, images: &[Image]) -> Option<(FailureKind, Timestamp)> {
        self.images.last_refusal(images)
    }

    pub(crate) fn tags(&self) -> impl Iterator<Item = (&Image, &Tag)> {
        self.images.tags()
    }

    pub(crate) fn chain(&self) -> &Smoothed {
        &self.chain
    }

    pub(crate) fn layer(&self) -> &Smoothed {
        &self.layer
    }

    pub(crate) fn pace(&self) -> &Smoothed {
        &self.pace
    }

    pub(crate) fn rounds(&self) -> &[Round] {
        &self.rounds
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests;
