//! What one observation changes in a record.

use std::time::Duration;

use super::moment::narrow;
use super::{Fault, Record, Rest, Round, Run, Sampled, Standing, images, smoothed};
use crate::image::Image;
use crate::observation::{Depth, Failure, Observation, Spent, Stage, Stages};
use crate::ranking::Policy;
use crate::ranking::score::reference_wait;
use crate::reason::FailureKind;
use crate::timestamp::Timestamp;

/// A mirror that answers 429 without saying for how long rests an hour, twice as long the next time ...
const REST: Duration = Duration::from_secs(3600);
/// ... at most six hours ...
const LONGEST_REST: Duration = Duration::from_secs(6 * 3600);
/// ... and at least a minute, also when it says `Retry-After: 0`.
const SHORTEST_REST: Duration = Duration::from_secs(60);
/// A fall counts half after this time. So chosen that whoever falls every hour is at the longest quarantine within half a
/// day (after ten falls they count for six, and 2^5 times `decide` are five hours), and that one which fell twice on a bad
/// day is trusted as before on the next (an eighth and the new one are less than the 1.5 from which on it is not).
const FORGIVEN: Duration = Duration::from_secs(6 * 3600);
/// Beyond this the quarantine is at its longest whatever `decide` is.
const MOST_FALLS: f64 = 32.0;
const LONGEST_QUARANTINE: Duration = Duration::from_secs(6 * 3600);
/// Rehearsals whose own figures are kept, unless the policy's `rounds` want more.
const ROUNDS: usize = 8;
/// Other hosts that are remembered, and for how long after a mirror last sent anybody there. A mirror that
/// spreads its layers over several hosts does not send every rehearsal to the same.
const HOSTS: usize = 8;
const HOST_AGE: Duration = Duration::from_secs(24 * 3600);
/// Figures beyond this are a clock's fault: a day.
const LONGEST: f64 = 86_400.0;
/// Speeds are kept between one byte and a terabyte per second.
pub(super) const SPEEDS: std::ops::RangeInclusive<f64> = 1.0..=1e12;

/// A sample that takes so many times as long as usual, or a pull that is so many times as slow, is doubtful: three
/// times is five deviations of an ordinary line's noise. What it costs to be wrong is one rehearsal.
pub(super) const DOUBTFUL: f64 = 3.0;
/// Samples after which it is known what is usual.
const USUAL: u8 = 3;
/// A 5xx that asks for a longer pause than this is not checked again at once: the re-checks that would reject it come
/// within these seconds, and all of them against its word.
const RECHECKED: Duration = Duration::from_secs(10);

/// What a failure means for the mirror.
enum Consequence {
    /// It is about one image and no fault of the mirror: 403, 404, a login that was always wanted for it.
    OneImage,
    /// The mirror wants to be left alone: 429, or a 5xx that says until when.
    Rest,
    /// Lies are not asked again.
    AtOnce,
    /// It counts, and is worth asking again about.
    Counts,
}

impl Record {
    /// Takes one observation, in the order in which they ended.
    pub fn observe(&mut self, observation: &Observation, policy: &Policy) {
        let at = observation.at;
        let usual = self.reads_as_usual(observation);
        let failure = judged(observation, usual, policy);
        if let Some(speed) = observation.speed() {
            self.hours.measured(at, speed);
        }
        let last = match observation.depth {
            Depth::Connect => &mut self.last.connect,
            Depth::Sample => &mut self.last.sample,
            Depth::Rehearse => &mut self.last.rehearse,
        };
        *last = Some(at.into());
        self.learn_what(observation, failure.as_ref(), policy);
        self.learn_figures(observation);
        let served = failure.is_none();
        match observation.depth {
            Depth::Sample if served => self.learn_reading(observation),
            Depth::Connect | Depth::Sample => {}
            Depth::Rehearse => self.doubted = false,
        }
        if served && !usual {
            self.doubt(at, policy);
        }
        match failure {
            None => self.served(observation, policy),
            Some(failure) => self.failed(observation, &failure, policy),
        }
        // What a lesser look cannot see, it does not take back either.
        if let Some(needed) = self.lookout() {
            if observation.depth >= needed {
                // Errors are over whoever is slow since; a rehearsal will tell by how much it is.
                self.back = served && (usual || self.errs());
            }
        } else {
            self.back = false;
        }
    }

    /// A probe begins that will cost at most this. Until it ends this is written down beside the record: what a process
    /// asked that was killed before the answer was asked all the same.
    pub fn begin(&mut self, at: Timestamp, most: Spent) {
        self.pending = Some(super::Pending { at: at.into(), most });
    }

    /// It is asked for this image now: next time it is another's turn, whatever comes of this, and after a restart too.
    pub fn ask_for(&mut self, image: &Image, at: Timestamp, counting: &[Image]) {
        self.images.asked(image, at, counting);
    }

    /// Counts a probe that an earlier process began and did not live to see the end of, as if it had cost the most and
    /// ended only now: nobody knows when the last of its requests came.
    /// But not to have refused: a mirror that is well seldom does, and five restarts would leave it no refusals for two
    /// days.
    pub fn resume(&mut self, now: Timestamp) {
        if let Some(pending) = self.pending.take() {
            let is_well = self.standing == Standing::Live && self.failing().is_none();
            let refusals = if is_well { 0 } else { pending.most.refusals };
            self.hours.spend(pending.at.time(), Spent { refusals, ..pending.most });
            self.lately.add(now, pending.most.requests);
        }
    }

    /// The probe that was begun has ended.
    pub fn end(&mut self) {
        self.pending = None;
    }

    /// Counts what a probe cost that ended then, whatever is made of what it saw. All of its requests may have come at
    /// its end.
    pub fn asked(&mut self, ended: Timestamp, observation: &Observation) {
        self.hours.spend(ended, observation.spent);
        if observation.depth == Depth::Sample {
            self.samples.spend(ended, observation.spent);
        }
        self.lately.add(ended, observation.spent.requests);
    }

    /// Counts what a probe by hand cost. Its refusals take no more than a third of those that a mirror may be asked for: an
    /// image that nobody has, asked for a few times, would leave the service none to look after its list with.
    pub fn asked_by_hand(&mut self, ended: Timestamp, observation: &Observation, refusals_per_2_days: u32) {
        let left = (refusals_per_2_days / 3).saturating_sub(self.spent(ended).refusals_2_days);
        let spent = Spent { refusals: observation.spent.refusals.min(left), ..observation.spent };
        self.asked(ended, &Observation { spent, ..observation.clone() });
    }

    /// It failed, and may not be asked again for long whether it goes on: what is known is enough.
    pub fn give_up(&mut self, at: Timestamp, policy: &Policy) {
        if let Some(run) = self.failing() {
            self.fall(&run.failure, run.since, at, policy);
        }
    }

    fn served(&mut self, observation: &Observation, policy: &Policy) {
        let Observation { at, depth, .. } = *observation;
        self.reliability.add(at, depth, None);
        self.runs.clear_to(depth);
        self.complaints.acquit(depth);
        if depth == Depth::Connect {
            return;
        }
        self.turned_away = 0;
        if let Some(image) = &observation.image {
            self.images.served(image, at, &policy.images);
        }
        if depth == Depth::Rehearse {
            self.failed_rehearsals = 0;
            self.count_round(observation, policy);
            self.rise(at, policy);
        }
    }

    fn failed(&mut self, observation: &Observation, failure: &Failure, policy: &Policy) {
        let Observation { at, depth, .. } = *observation;
        let consequence = self.consequence(failure, observation);
        // That one image is refused says nothing of a pull of another.
        if !matches!(consequence, Consequence::OneImage) {
            self.complaints.close();
        }
        // The re-checks of a live mirror come within seconds: with the failure that they check they are one bad moment.
        let again = self.standing == Standing::Live && self.runs.rehearse.is_some();
        if depth == Depth::Rehearse && !again {
            self.failed_rehearsals = self.failed_rehearsals.saturating_add(1);
        }
        // Whoever answers, however badly, has been reached.
        if failure.stage >= Stage::Ping {
            self.runs.clear_to(Depth::Connect);
        }
        match (consequence, &observation.image) {
            (Consequence::OneImage, Some(image)) => {
                self.reliability.add_reached(at);
                self.refuse_image(image, failure, observation, policy);
            }
            (Consequence::OneImage | Consequence::Counts, _) => {
                self.count_miss(depth, failure.stage, at);
                self.count_failure(depth, failure, at, policy);
            }
            (Consequence::Rest, _) => {
                self.count_miss(depth, failure.stage, at);
                // Who is asked by hand while it rests says nothing new of its limits.
                let rested = self.rest.as_ref().is_none_or(|rest| rest.until.time() <= at);
                let times = self.rest.as_ref().map_or(0, |rest| rest.times).saturating_add(rested.into());
                let usual = images::doubled(REST, times, LONGEST_REST);
                let rest = match observation.retry_after {
                    // The first time its word goes; one that limits again and again after the pause that
                    // it asked for does not know its own limits.
                    Some(asked) if times == 1 => asked.max(SHORTEST_REST),
                    Some(asked) => asked.max(usual),
                    None => usual,
                };
                self.rest = Some(Rest { until: (at + rest).into(), times });
                self.fall(failure, at, at, policy);
            }
            (Consequence::AtOnce, _) => {
                self.count_miss(depth, failure.stage, at);
                self.fall(failure, at, at, policy);
            }
        }
    }

    /// A pull is sent only to a mirror that may be chosen: how long one stays rejected says nothing of how often those go
    /// well. It would not lead for a day after ten bad hours that no pull has seen; who comes and goes is quarantined.
    fn count_miss(&mut self, depth: Depth, stage: Stage, at: Timestamp) {
        if self.standing != Standing::Rejected {
            self.reliability.add(at, depth, Some(stage));
        }
    }

    /// What a failure means for the mirror.
    fn consequence(&self, failure: &Failure, observation: &Observation) -> Consequence {
        let image = observation.image.as_ref();
        match failure.kind {
            FailureKind::NotAllowed | FailureKind::NotFound if image.is_some() => Consequence::OneImage,
            // Docker Hub says so of whatever is private, and most mirrors pass it on: a host whose own images are would be
            // left without a mirror. Where one that was served wants a login, the mirror has put up a wall.
            FailureKind::LoginRequired
                if failure.stage == Stage::Manifest
                    && image.is_some_and(|image| self.images.serves(image) != Some(true)) =>
            {
                Consequence::OneImage
            }
            FailureKind::RateLimited => Consequence::Rest,
            FailureKind::ServerError if observation.retry_after.is_some_and(|asked| asked > RECHECKED) => {
                Consequence::Rest
            }
            FailureKind::Corrupt => Consequence::AtOnce,
            FailureKind::NotAllowed
            | FailureKind::NotFound
            | FailureKind::NameNotResolved
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
            | FailureKind::LoginRequired
            | FailureKind::ServerError
            | FailureKind::Stalled
            | FailureKind::TooSlow
            | FailureKind::Stale
            | FailureKind::RedirectRefused
            | FailureKind::AnswerTooLarge
            | FailureKind::ProtocolError => Consequence::Counts,
        }
    }

    fn refuse_image(&mut self, image: &Image, failure: &Failure, seen: &Observation, policy: &Policy) {
        // It rests now, and samples of it would rest with it: until a rehearsal finds another image's layers, none can be
        // taken.
        if self.sampled_image() == Some(image) {
            self.forget_layers();
        }
        let turn = self.images.refused(image, failure, seen, &policy.images);
        if turn == images::Turn::New {
            self.turned_away = self.turned_away.saturating_add(1);
        }
        // One image gone is an allowlist's affair. Several in a row that were all served before, with
        // nothing served in between, are a mirror that has shut its door or banned us.
        let shut_out = self.turned_away >= policy.fall.max(1);
        let serves_none = self.images.coverage(&policy.images).is_some_and(|coverage| coverage.served == 0);
        if shut_out || serves_none {
            self.fall(failure, seen.at, seen.at, policy);
        }
    }

    fn count_failure(&mut self, depth: Depth, failure: &Failure, at: Timestamp, policy: &Policy) {
        let limit = match self.standing {
            Standing::Live => policy.fall.max(1),
            Standing::Unprobed | Standing::Rejected => 1,
        };
        if depth == Depth::Rehearse {
            self.rounds.clear();
        }
        let mut fell = None;
        // A stage that a lesser probe would have failed at counts as that probe too: a rehearsal that falls due
        // among the re-checks of a sample must not make them begin anew.
        for lesser in [Depth::Connect, Depth::Sample, Depth::Rehearse] {
            if lesser == depth || (lesser < depth && sees(lesser, failure.stage)) {
                let run = self.runs.at(lesser);
                let (failures, since) = match run {
                    Some(run) => (run.failures.saturating_add(1), run.since),
                    None => (1, at.into()),
                };
                *run = Some(Run { failures, failure: failure.clone(), since, at: at.into() });
                if failures >= limit {
                    fell = Some(fell.map_or(since, |earlier: super::Moment| earlier.min(since)));
                }
            }
        }
        if let Some(since) = fell {
            self.fall(failure, since.time(), at, policy);
        }
    }

    pub(super) fn fall(&mut self, failure: &Failure, since: Timestamp, at: Timestamp, policy: &Policy) {
        if self.standing == Standing::Live {
            self.flap(at, policy);
        }
        let since = match &self.fallen {
            Some(fault) if fault.kind == failure.kind => fault.since,
            Some(_) | None => since.into(),
        };
        self.standing = Standing::Rejected;
        self.rising = 0;
        self.rounds.clear();
        self.fallen = Some(Fault { kind: failure.kind, detail: failure.detail.clone(), since });
    }

    /// One fall is an accident. From the second within some hours on, each doubles the time for which the mirror is
    /// not trusted again.
    pub(super) fn flap(&mut self, at: Timestamp, policy: &Policy) {
        let before = self.flapping.as_ref().map_or(0.0, |flapping| {
            let age = at.since(flapping.at.time()).as_secs_f64() / FORGIVEN.as_secs_f64();
            f64::from(flapping.falls) * (-age).exp2()
        });
        let falls = (before + 1.0).min(MOST_FALLS);
        let until = (falls >= 1.5).then(|| {
            let pause = policy.decide.as_secs_f64() * (falls - 1.0).exp2();
            (at + Duration::from_secs_f64(pause.min(LONGEST_QUARANTINE.as_secs_f64()))).into()
        });
        self.flapping = Some(super::Flapping { falls: narrow(falls), at: at.into(), until });
    }

    fn rise(&mut self, at: Timestamp, policy: &Policy) {
        let wanted = match self.standing {
            Standing::Live => return,
            Standing::Unprobed => 1,
            Standing::Rejected if self.been_live => policy.rise.max(1),
            Standing::Rejected => 1,
        };
        self.rising = self.rising.saturating_add(1);
        if self.rising >= wanted && self.quarantined(at).is_none() {
            self.stand();
        }
    }

    /// It is live if it has served once since it fell, whatever `rise` and its quarantine ask for. Says whether it is so now.
    pub fn trust(&mut self) -> bool {
        let rises = self.standing == Standing::Rejected && self.rising > 0;
        if rises {
            self.stand();
        }
        rises
    }

    fn stand(&mut self) {
        self.standing = Standing::Live;
        self.been_live = true;
        self.rising = 0;
        self.fallen = None;
        self.rest = None;
    }

    /// What it is and where it leads, whether or not it served.
    fn learn_what(&mut self, observation: &Observation, failure: Option<&Failure>, policy: &Policy) {
        let at = observation.at;
        self.address = observation.address.or(self.address);
        self.layer_address = observation.layer_address.or(self.layer_address);
        if observation.layer_host.is_some() {
            self.layer_host.clone_from(&observation.layer_host);
        }
        for host in &observation.sent_to {
            self.sent_to.insert(host.clone(), at.into());
        }
        self.sent_to.retain(|_, last| at.since(last.time()) <= HOST_AGE);
        while self.sent_to.len() > HOSTS {
            let oldest = self.sent_to.iter().min_by_key(|(_, last)| **last).map(|(host, _)| host.clone());
            oldest.map(|host| self.sent_to.remove(&host));
        }
        if observation.depth == Depth::Rehearse {
            if failure.is_none() {
                self.quirks.clone_from(&observation.quirks);
            } else {
                self.quirks.extend(&observation.quirks);
            }
        }
        // Only a rehearsal that went well tells any.
        if let (Some(image), Some(layers)) = (&observation.image, &observation.layers) {
            self.sampled = Some(Sampled { image: image.clone(), layers: layers.clone() });
        }
        // Where the bytes are not those of a digest, nothing else that was said is worth remembering.
        if failure.is_none_or(|failure| failure.kind != FailureKind::Corrupt) {
            self.images.led_to(observation, &policy.images);
        }
    }

    /// How fast it was, whether or not it served: what a mirror that was too slow measured is measured.
    fn learn_figures(&mut self, observation: &Observation) {
        let (new, known) = (&observation.stages, &mut self.stages);
        known.name = new.name.or(known.name);
        known.connect = new.connect.or(known.connect);
        known.tls = new.tls.or(known.tls);
        known.ping = new.ping.or(known.ping);
        known.token = new.token.or(known.token);
        known.manifest = new.manifest.or(known.manifest);
        known.config = new.config.or(known.config);
        known.layer = new.layer.or(known.layer);
        let gain = match observation.depth {
            Depth::Connect => return,
            Depth::Sample => smoothed::SAMPLE,
            Depth::Rehearse => smoothed::REHEARSAL,
        };
        if let Some(layer) = new.layer {
            self.layer.add(seconds(layer), gain);
        }
        // The 32 KiB of a sample end within the slow start of TCP: their speed says how far away the
        // mirror is, which the first byte has said already.
        if observation.depth == Depth::Rehearse {
            if let Some(chain) = chain(new) {
                self.chain.add(chain, gain);
            }
            if let Some(pace) = pace(observation) {
                self.pace.add(pace, gain);
            }
        }
    }

    /// A sample is too small to tell a speed by, and yet shows a crawl: by what the same piece usually takes.
    fn reads_as_usual(&self, observation: &Observation) -> bool {
        let reading = observation.reading.filter(|_| observation.depth == Depth::Sample).map(seconds);
        let usual = self.reading.mean().filter(|_| self.reading.count() >= USUAL);
        reading.zip(usual).is_none_or(|(reading, usual)| reading <= DOUBTFUL * usual)
    }

    fn learn_reading(&mut self, observation: &Observation) {
        // What a rejected mirror takes is not what is usual.
        if let Some(reading) = observation.reading.filter(|_| self.standing == Standing::Live) {
            self.reading.add(seconds(reading), smoothed::SAMPLE);
        }
    }

    /// Keeps what this rehearsal alone measured. Rehearsals in quick succession are one: the worse of them.
    fn count_round(&mut self, observation: &Observation, policy: &Policy) {
        let Some(layer) = observation.stages.layer else { return };
        let chain = chain(&observation.stages).or(self.chain.mean()).unwrap_or(0.0);
        let round = Round {
            at: observation.at.into(),
            wait: narrow(reference_wait(chain, seconds(layer))),
            pace: pace(observation).map(narrow),
        };
        // Jitter shortens the pauses between rehearsals, so half of one must do. A round that lies ahead
        // is what a clock that was set back has left behind.
        let apart = policy.decide / 2;
        match self.rounds.last_mut() {
            Some(last) if last.at <= round.at && observation.at.since(last.at.time()) < apart => {
                last.wait = last.wait.max(round.wait);
                last.pace = last.pace.into_iter().chain(round.pace).reduce(f32::max);
            }
            Some(_) | None => self.rounds.push(round),
        }
        let most = ROUNDS.max(usize::try_from(policy.rounds).unwrap_or(ROUNDS));
        if self.rounds.len() > most {
            self.rounds.remove(0);
        }
    }
}

/// Whether a probe of this depth would have failed at this stage too.
fn sees(depth: Depth, stage: Stage) -> bool {
    match depth {
        Depth::Connect => stage <= Stage::Tls,
        Depth::Sample => stage <= Stage::Tls || stage == Stage::Layer,
        Depth::Rehearse => true,
    }
}

/// The failure, if it is one: a rehearsal below `min_speed` is one whoever measured it, and so is a sample that took so
/// long only because the mirror has become so slow.
fn judged(observation: &Observation, usual: bool, policy: &Policy) -> Option<Failure> {
    if let Some(failure) = observation.failure() {
        return Some(failure.clone());
    }
    #[expect(clippy::cast_precision_loss, reason = "nobody reads 2^53 bytes, or demands so many a second")]
    let (read, least) = (observation.spent.bytes as f64, policy.min_speed as f64);
    let speed = match observation.depth {
        Depth::Connect => None,
        // Whatever else it read has come in less time than that.
        Depth::Sample => observation.reading.filter(|_| !usual).map(|reading| read / seconds(reading)),
        Depth::Rehearse => observation.bytes_per_second,
    };
    speed.filter(|speed| *speed < least).map(|speed| Failure {
        kind: FailureKind::TooSlow,
        stage: Stage::Layer,
        detail: format!("{:.0} KiB/s", speed.max(0.0) / 1024.0),
    })
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64().min(LONGEST)
}

/// Seconds to the platform's manifest, where the rehearsal came that far. `ping` and what follows include
/// their connections; the configuration is fetched beside the layers, so nobody waits for it.
fn chain(stages: &Stages) -> Option<f64> {
    let manifest = stages.manifest?;
    let before = [stages.name, stages.ping, stages.token];
    let before: f64 = before.into_iter().flatten().map(seconds).sum();
    Some((before + seconds(manifest)).min(LONGEST))
}

/// Seconds for each byte, where a speed was measured that can be one.
fn pace(observation: &Observation) -> Option<f64> {
    let speed = observation.bytes_per_second.filter(|speed| speed.is_finite() && *speed > 0.0)?;
    Some(1.0 / speed.clamp(*SPEEDS.start(), *SPEEDS.end()))
}
