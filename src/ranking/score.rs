//! A record's figures: the predicted seconds of a reference pull, and what it costs to try a mirror.

use super::Policy;
use super::record::{Record, Round};
use crate::mirror::MirrorUrl;

/// The reference pull: 30 MiB ...
pub const REFERENCE_BYTES: f64 = 30.0 * 1024.0 * 1024.0;
/// ... in 4 layers, of which dockerd fetches 3 at a time (`max-concurrent-downloads`): for a first byte one
/// waits twice.
const FIRST_BYTES: f64 = 2.0;
/// How long a first byte is taken to need where none was measured, in seconds: the time-out of a probe.
const UNKNOWN_FIRST_BYTE: f64 = 10.0;
/// How often a live mirror is taken to serve an image that it is not known to refuse. Something can always
/// fail between two probes, which is why a list has more than one place; how often a mirror fails as far as
/// is known is in its figure already.
const UNEXPECTED: f64 = 0.01;

/// The part of `margin` by which a host at most takes a mirror for slower than it is.
const WHIM: f64 = 0.5;

/// From 0 to 1, the same for the same host and mirror for ever.
fn whim(seed: u64, url: &str) -> f64 {
    // FNV-1a, and a last multiplication and shift so that the high bits, too, differ between names that end alike.
    let start = 0xcbf2_9ce4_8422_2325_u64 ^ seed;
    let hash = url.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mixed = (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    f64::from(u32::try_from(mixed >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

/// Seconds of a reference pull in which nothing comes: to the manifest, and to the layers' first bytes.
pub(super) fn reference_wait(chain: f64, layer: f64) -> f64 {
    chain + FIRST_BYTES * layer
}

/// The predicted seconds of a reference pull, divided by how often the mirror succeeds; `None` while its speed
/// or its first byte has not been measured.
pub fn predicted_seconds(record: &Record, policy: &Policy) -> Option<f64> {
    Figure::of(record, policy, Assumed::default()).known(record)
}

/// The predicted seconds in their parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parts {
    /// Seconds to the platform's manifest.
    pub chain: f64,
    /// Seconds in which layers are waited for: so often a first byte.
    pub first_bytes: f64,
    /// Seconds in which bytes come.
    pub transfer: f64,
    /// Seconds added because all of that varies.
    pub deviation: f64,
    /// How often the mirror succeeds: the sum is divided by it.
    pub success: f64,
}

impl Parts {
    /// What [`predicted_seconds`] adds up; `None` where it is.
    pub fn of(record: &Record) -> Option<Self> {
        is_measured(record).then(|| Self::with(record, Assumed::default()))
    }

    fn with(record: &Record, assumed: Assumed) -> Self {
        let deviation = reference_wait(record.chain().deviation(), record.layer().deviation());
        Self {
            chain: record.chain().mean().unwrap_or(0.0),
            first_bytes: FIRST_BYTES * record.layer().mean().unwrap_or(UNKNOWN_FIRST_BYTE),
            transfer: REFERENCE_BYTES * record.pace().mean().unwrap_or(assumed.pace),
            deviation: deviation + REFERENCE_BYTES * record.pace().deviation(),
            success: record.success().unwrap_or(1.0),
        }
    }

    /// Of a pull that succeeds and meets nothing unusual.
    fn mean(&self) -> f64 {
        self.chain + self.first_bytes + self.transfer
    }

    /// The predicted seconds.
    pub fn seconds(&self) -> f64 {
        (self.mean() + self.deviation) / self.success
    }
}

fn is_measured(record: &Record) -> bool {
    record.layer().mean().is_some() && record.pace().mean().is_some()
}

/// How far a challenger has come with the proof that it is `margin` faster than an incumbent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lead {
    /// What it must stay below.
    pub bar: f64,
    /// Its own smoothed figure, measured as the bar is.
    pub figure: f64,
    /// So many of its last rehearsals in a row were below, as far as they are needed.
    pub has: u32,
    /// So many are needed.
    pub needed: u32,
}

impl Lead {
    /// Of one mirror against another that stands before it, in seconds for each pull that is served.
    pub fn of(challenger: (&Record, &MirrorUrl), incumbent: (&Record, &MirrorUrl), policy: &Policy) -> Self {
        let assumed = Assumed::of([challenger.0, incumbent.0].into_iter());
        let figure =
            |(record, url): (&Record, &MirrorUrl)| Figure::of(record, policy, assumed).seen_from(policy, url);
        lead((challenger.0, &figure(challenger)), &figure(incumbent), policy, Figure::cost)
    }

    /// Whether nothing more is to be proved.
    pub fn is_proved(&self) -> bool {
        self.figure < self.bar && self.has >= self.needed
    }
}

/// What is taken for a mirror's speed where its images were too small to tell.
///
/// It is that of the slowest of those it is compared with, and when nobody's is known it is left out: what
/// remains, the waiting, is what small images are made of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Assumed {
    /// Seconds for each byte.
    pace: f64,
}

impl Assumed {
    /// From those that are compared.
    pub(super) fn of<'a>(records: impl Iterator<Item = &'a Record>) -> Self {
        Self { pace: records.filter_map(|record| record.pace().mean()).fold(0.0, f64::max) }
    }
}

/// What a mirror is compared by. Always finite and above zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figure {
    /// Of a reference pull that succeeds, deviation included.
    seconds: f64,
    /// The same without.
    mean: f64,
    /// Seconds for each byte, measured or assumed.
    pace: f64,
    success: f64,
    /// The share of the images that count which it is not known to refuse.
    covers: f64,
    /// Seconds until it has refused an image.
    refusal: f64,
    /// By how much this host takes it for slower than it is: 1 is not at all.
    whim: f64,
}

impl Figure {
    /// Of a record, beside others. A first byte that was not measured is taken to come as late as it may.
    pub(super) fn of(record: &Record, policy: &Policy, assumed: Assumed) -> Self {
        let parts = Parts::with(record, assumed);
        // One image more that is not refused, in thought: asking for a second one must not make a mirror
        // that serves all of them differ from one that was asked for a single one.
        #[expect(clippy::cast_precision_loss, reason = "nobody has 2^53 images")]
        let covers = record.coverage(&policy.images).map_or(1.0, |coverage| {
            let refused = coverage.of.saturating_sub(coverage.served);
            1.0 - refused as f64 / (coverage.of as f64 + 1.0)
        });
        Self {
            seconds: (parts.mean() + parts.deviation).max(f64::MIN_POSITIVE),
            mean: parts.mean().max(f64::MIN_POSITIVE),
            pace: record.pace().mean().unwrap_or(assumed.pace),
            success: parts.success,
            covers,
            refusal: parts.chain,
            whim: 1.0,
        }
    }

    /// The same in the eyes of this host, which has a whim of its own about every mirror.
    pub(super) fn seen_from(self, policy: &Policy, url: &MirrorUrl) -> Self {
        let whim = policy.spread.map_or(0.0, |seed| whim(seed, url.as_str()));
        Self { whim: 1.0 + WHIM * policy.margin * whim, ..self }
    }

    /// The same without its deviation: what a single rehearsal's figure is compared with.
    pub(super) fn bare(self) -> Self {
        Self { seconds: self.mean, ..self }
    }

    /// What this rehearsal of the mirror alone gives.
    fn in_round(self, round: Round) -> Self {
        let seconds = round.wait() + REFERENCE_BYTES * round.pace().unwrap_or(self.pace);
        Self { seconds: seconds.max(f64::MIN_POSITIVE), ..self }
    }

    /// The seconds of a pull, divided by how often it succeeds.
    pub(super) fn predicted(&self) -> f64 {
        self.seconds / self.success
    }

    /// The same, where nothing of it is assumed.
    pub(super) fn known(&self, record: &Record) -> Option<f64> {
        is_measured(record).then(|| self.predicted())
    }

    /// The seconds that one try costs, whether it serves or refuses, with this host's whim upon them.
    pub(super) fn one_try(&self) -> f64 {
        self.whim * (self.covers * self.predicted() + (1.0 - self.covers) * self.refusal)
    }

    /// How often one try does not serve, so that the engine goes on to the next.
    pub(super) fn miss(&self) -> f64 {
        1.0 - self.covers * (1.0 - UNEXPECTED)
    }

    /// Cost per service, up to a constant: what a list is ordered by. It is the predicted seconds for a
    /// mirror that refuses nothing, and a little more for one that does.
    pub(super) fn cost(&self) -> f64 {
        self.one_try() / self.covers
    }

    pub(super) fn covers(&self) -> f64 {
        self.covers
    }
}

/// The figures that each of the last `rounds` rehearsals alone gives, newest first; `None` when there were
/// not so many good ones in a row.
pub(super) fn own_figures<'a>(
    record: &'a Record,
    figure: &Figure,
    policy: &Policy,
) -> Option<impl Iterator<Item = Figure> + use<'a>> {
    let rounds = usize::try_from(policy.rounds).unwrap_or(usize::MAX);
    let (own, figure) = (record.rounds(), *figure);
    (own.len() >= rounds).then(|| own.iter().rev().take(rounds).map(move |round| figure.in_round(*round)))
}

/// The figure that the last rehearsal alone gives.
pub(super) fn last_figure(record: &Record, figure: &Figure) -> Option<Figure> {
    record.rounds().last().map(|round| figure.in_round(*round))
}

/// Whether a challenger has proved to be `margin` faster than an incumbent: by its smoothed figure, and by its
/// own of each of its last `rounds` rehearsals.
///
/// The challenger's deviation counts against it and the incumbent's not. Among many equal mirrors somebody is
/// always lucky three times in a row; asking for a lead beyond the noise lets a third as many of them through,
/// and where there is no noise it asks for nothing more.
pub(super) fn proved_faster(
    (record, figure): (&Record, &Figure),
    incumbent: &Figure,
    policy: &Policy,
    measure: fn(&Figure) -> f64,
) -> bool {
    lead((record, figure), incumbent, policy, measure).is_proved()
}

/// How far a challenger has come with that.
pub(super) fn lead(
    (record, figure): (&Record, &Figure),
    incumbent: &Figure,
    policy: &Policy,
    measure: fn(&Figure) -> f64,
) -> Lead {
    let bar = measure(&incumbent.bare()) * (1.0 - policy.margin);
    let rounds = usize::try_from(policy.rounds).unwrap_or(usize::MAX);
    let own = record.rounds().iter().rev().take(rounds);
    let below = own.take_while(|round| measure(&figure.in_round(**round)) < bar);
    Lead {
        bar,
        figure: measure(figure),
        has: u32::try_from(below.count()).unwrap_or(u32::MAX),
        needed: policy.rounds,
    }
}

#[cfg(test)]
impl Figure {
    /// A mirror made up of numbers, whose success is certain and whose deviation is nothing.
    pub(super) fn made_up(seconds: f64, covers: f64, refusal: f64) -> Self {
        Self { seconds, mean: seconds, pace: 0.0, success: 1.0, covers, refusal, whim: 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::observation::{Depth, Failure, Observation, Outcome, Stage};
    use crate::reason::FailureKind;
    use crate::timestamp::Timestamp;

    const MIB: f64 = 1024.0 * 1024.0;

    /// Rehearsals two hours apart: `(seconds to the manifest, to the first byte, MiB/s)`, or a failure.
    fn record(rehearsals: &[Option<(f64, f64, f64)>]) -> Record {
        let mut record = Record::default();
        let mut at = Timestamp::from_millis(1_795_176_000_000);
        for rehearsal in rehearsals {
            at = at + Duration::from_secs(7200);
            let mut seen = Observation::new(at, Depth::Rehearse);
            match rehearsal {
                Some((chain, layer, speed)) => {
                    seen.stages.manifest = Some(Duration::from_secs_f64(*chain));
                    seen.stages.layer = Some(Duration::from_secs_f64(*layer));
                    seen.bytes_per_second = Some(speed * MIB);
                }
                None => {
                    seen.outcome = Outcome::Failed(Failure {
                        kind: FailureKind::ServerError,
                        stage: Stage::Manifest,
                        detail: String::new(),
                    });
                }
            }
            record.observe(&seen, &Policy::default());
        }
        record
    }

    #[track_caller]
    fn check(rehearsals: &[Option<(f64, f64, f64)>], expected: Option<f64>) {
        let got = predicted_seconds(&record(rehearsals), &Policy::default());
        let near = got.zip(expected).is_some_and(|(got, expected)| (got - expected).abs() < 0.03 * expected);
        assert!(near || got == expected, "{rehearsals:?}: {got:?}, expected {expected:?}");
    }

    #[test]
    fn predictions() {
        // What was not measured is not known.
        check(&[], None);
        check(&[None], None);
        // The chain, two first bytes, 30 MiB; a quarter more for want of a second rehearsal; 99 in 100 succeed.
        check(&[Some((0.5, 0.25, 10.0))], Some(4.0 * 1.25 / 0.99));
        // A steady mirror is what it is.
        check(&[Some((0.5, 0.25, 10.0)); 24], Some(4.0));
        // A first byte that comes late costs as much as a thin line.
        check(&[Some((0.5, 10.0, 10.0)); 24], Some(23.5));
        // Success halves, the prediction doubles.
        let halves: Vec<_> = (0..60).map(|turn| (turn % 2 == 0).then_some((0.5, 0.25, 10.0))).collect();
        check(&halves, Some(8.0));
    }

    #[test]
    fn an_unknown_speed_is_taken_for_the_slowest_known_or_left_out() {
        let policy = Policy::default();
        let (known, mut unknown) = (record(&[Some((0.2, 0.1, 1.0)); 12]), record(&[]));
        let mut small = Observation::new(Timestamp::default(), Depth::Rehearse);
        small.stages.layer = Some(Duration::from_millis(100));
        small.stages.manifest = Some(Duration::from_millis(200));
        for _ in 0..40 {
            unknown.observe(&small, &policy);
        }
        let cost = |record: &Record, beside: &[&Record]| {
            Figure::of(record, &policy, Assumed::of(beside.iter().copied())).cost()
        };
        assert!((cost(&unknown, &[&unknown, &known]) / cost(&known, &[&known]) - 1.0).abs() < 0.03);
        assert!((cost(&unknown, &[&unknown]) - 0.4).abs() < 0.02);
        assert_eq!(predicted_seconds(&unknown, &policy), None);
    }

    #[test]
    fn a_refusal_costs_as_long_as_it_takes_and_a_half_costs_twice_as_many_tries() {
        // Half of the tries are refused after a quarter of a second: 2 s · ½ + ¼ s · ½, over ½.
        let half = Figure::made_up(2.0, 0.5, 0.25);
        assert_eq!(half.cost(), 2.25);
        assert!(half.miss() > 0.5);
        assert_eq!(Figure::made_up(2.0, 1.0, 0.25).cost(), 2.0);
    }

    #[test]
    fn proof_is_the_smoothed_figure_and_every_one_of_the_last_rounds() {
        let policy = Policy::default();
        let proved = |speeds: &[f64], margin: f64| {
            let rehearsals: Vec<_> = speeds.iter().map(|speed| Some((0.0, 0.0, *speed))).collect();
            let (challenger, incumbent) = (record(&rehearsals), record(&[Some((0.0, 0.0, 1.0)); 12]));
            let policy = Policy { margin, ..policy.clone() };
            let figure = |record| Figure::of(record, &policy, Assumed::default());
            proved_faster((&challenger, &figure(&challenger)), &figure(&incumbent), &policy, Figure::cost)
        };
        // Two good rehearsals are not three.
        assert!(!proved(&[2.0, 2.0], 0.2));
        assert!(proved(&[2.0, 2.0, 2.0], 0.2));
        // A quarter faster is a fifth of the time less, and a little more is needed.
        assert!(!proved(&[1.2; 12], 0.2));
        assert!(proved(&[1.3; 12], 0.2));
        // One of the three was no better, whatever the mean says.
        assert!(!proved(&[9.0, 9.0, 9.0, 1.1, 9.0], 0.2));
        // Equal is never faster, also without a margin.
        assert!(!proved(&[1.0; 12], 0.0));
    }

    #[test]
    fn the_parts_add_up_to_the_predicted_seconds_and_there_are_none_without_them() {
        let policy = Policy::default();
        for rehearsals in [
            &[Some((0.2, 0.3, 5.0))][..],
            &[Some((0.2, 0.3, 5.0)), None, Some((0.9, 0.1, 2.0)), Some((0.2, 0.3, 9.0))],
        ] {
            let record = record(rehearsals);
            let seconds = Parts::of(&record).unwrap().seconds();
            let predicted = predicted_seconds(&record, &policy).unwrap();
            assert!((seconds - predicted).abs() < 1e-9, "{seconds} {predicted}");
        }
        assert_eq!(Parts::of(&Record::default()), None);
    }

    #[test]
    fn a_lead_says_what_is_still_to_be_proved() {
        let policy = Policy::default();
        let incumbent = record(&[Some((0.0, 0.0, 1.0)); 12]);
        let (one, other) = ("https://a.example".parse().unwrap(), "https://b.example".parse().unwrap());
        let of = |speeds: &[f64]| {
            let speeds: Vec<_> = speeds.iter().map(|speed| Some((0.0, 0.0, *speed))).collect();
            Lead::of((&record(&speeds), &one), (&incumbent, &other), &policy)
        };
        let lead = of(&[1.0, 2.0, 2.0]);
        assert_eq!((lead.has, lead.needed, lead.is_proved()), (2, 3, false));
        assert!(lead.bar > 26.9 && lead.bar < 27.1, "{lead:?}");
        assert!(of(&[2.0, 2.0, 2.0]).is_proved());
        assert_eq!(of(&[2.0, 2.0, 1.0]).has, 0, "in a row, and up to the last");
    }

    #[test]
    fn three_lucky_rehearsals_among_noisy_equals_prove_nothing() {
        let policy = Policy::default();
        let noisy = [1.0 / 1.7, 1.0 / 0.3].repeat(6);
        let lucky = [noisy.clone(), vec![1.0 / 0.5; 3]].concat();
        let record = |speeds: Vec<f64>| {
            record(&speeds.into_iter().map(|speed| Some((0.0, 0.0, speed))).collect::<Vec<_>>())
        };
        let (incumbent, challenger) = (record(noisy), record(lucky));
        let figure = |record| Figure::of(record, &policy, Assumed::default());
        let challenger = (&challenger, &figure(&challenger));
        assert!(!proved_faster(challenger, &figure(&incumbent), &policy, Figure::cost));
    }
}
