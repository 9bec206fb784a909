//! What holds of every selection, whatever was observed.

use std::collections::BTreeSet;
use std::time::Duration;

use mirrorwatch::image::{Digest, Image};
use mirrorwatch::mirror::{Mirror, MirrorUrl};
use mirrorwatch::observation::{Depth, Failure, ImageStore, Observation, Outcome, Quirk, Spent, Stage};
use mirrorwatch::ranking::Policy;
use mirrorwatch::ranking::record::{Record, Standing};
use mirrorwatch::ranking::score::predicted_seconds;
use mirrorwatch::ranking::select::{Candidate, Current, Selection, Upstream, select};
use mirrorwatch::ranking::verdict::Verdict;
use mirrorwatch::reason::FailureKind;
use mirrorwatch::timestamp::Timestamp;
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{Index, select as one_of};

const START: Timestamp = Timestamp::from_millis(1_795_176_000_123);
const STAGES: [Stage; 8] = [
    Stage::Name,
    Stage::Connect,
    Stage::Tls,
    Stage::Ping,
    Stage::Token,
    Stage::Manifest,
    Stage::Config,
    Stage::Layer,
];
const QUIRKS: [Quirk; 3] = [Quirk::HeadNotFound, Quirk::HeadWithoutLength, Quirk::LateChallenge];

/// A mirror of a made-up world.
#[derive(Clone, Debug)]
struct Known {
    mirror: Mirror,
    record: Record,
}

#[derive(Clone, Debug)]
struct World {
    now: Timestamp,
    policy: Policy,
    mirrors: Vec<Known>,
    upstream: Option<Record>,
    list: Vec<MirrorUrl>,
    last_faster: Option<Timestamp>,
    provisional: bool,
}

impl World {
    fn select(&self) -> Selection {
        self.select_from(&self.mirrors, &self.list)
    }

    fn select_from(&self, mirrors: &[Known], list: &[MirrorUrl]) -> Selection {
        let candidates: Vec<Candidate<'_>> =
            mirrors.iter().map(|known| Candidate { mirror: &known.mirror, record: &known.record }).collect();
        let upstream = self.upstream.as_ref().map_or(Upstream::NotCompared, Upstream::Record);
        let current = Current { list, last_faster: self.last_faster, provisional: self.provisional };
        select(self.now, &self.policy, &candidates, upstream, &current)
    }

    fn upstream_answers(&self) -> bool {
        self.upstream.as_ref().is_some_and(|record| record.standing() == Standing::Live)
    }
}

fn image(number: usize) -> Image {
    format!("images/number-{number}").parse().expect("an image")
}

/// How much of a probe is made up.
#[derive(Clone, Copy)]
enum Kind {
    /// Speeds, times and failures.
    Plain,
    /// Also content, redirects, quirks, several images.
    Full,
}

/// One observation, and the seconds after which the next one comes.
fn observations(kind: Kind) -> impl Strategy<Value = Vec<(u64, Observation)>> {
    vec(observation(kind), 0..25)
}

fn observation(kind: Kind) -> impl Strategy<Value = (u64, Observation)> {
    let images: usize = match kind {
        Kind::Plain => 1,
        Kind::Full => 4,
    };
    let odd = match kind {
        // A weight must lie above zero.
        Kind::Plain => f64::MIN_POSITIVE,
        Kind::Full => 0.4,
    };
    let depth =
        one_of(vec![Depth::Connect, Depth::Sample, Depth::Rehearse, Depth::Rehearse, Depth::Rehearse]);
    let failure = weighted(0.2, (one_of(FailureKind::ALL), one_of(STAGES.to_vec())));
    let figures = (1e4..2e7_f64, 1..4000_u64, 1..2000_u64);
    let content = (weighted(odd, 0..3_u8), weighted(0.5, 0..200_u64));
    let ways = (
        weighted(odd, 0..8_usize),
        weighted(odd / 4.0, one_of(QUIRKS.to_vec())),
        weighted(0.3, 0..90_000_u64),
    );
    (depth, failure, figures, content, ways, 0..images, 1..9000_u64).prop_map(
        |(
            depth,
            failure,
            (speed, layer, chain),
            (digest, created),
            (sent_to, quirk, retry),
            image_number,
            gap,
        )| {
            let mut seen = Observation::new(START, depth);
            if let Some((kind, stage)) = failure {
                seen.outcome = Outcome::Failed(Failure { kind, stage, detail: String::new() });
            }
            seen.spent = Spent { requests: 6, refusals: 1, bytes: 1000 };
            seen.retry_after = retry.map(Duration::from_secs);
            if depth != Depth::Connect {
                seen.image = Some(image(image_number));
                seen.stages.layer = Some(Duration::from_millis(layer));
                seen.sent_to.extend(sent_to.map(|number| format!("m{number}.example")));
            }
            if depth == Depth::Rehearse {
                seen.bytes_per_second = Some(speed);
                seen.stages.manifest = Some(Duration::from_millis(chain));
                seen.digest = digest.map(|number| Digest::of(&[number]));
                seen.created = created.map(|hours| START - Duration::from_secs(3600 * hours));
                seen.quirks.extend(quirk);
            }
            (gap, seen)
        },
    )
}

fn record(observations: &[(u64, Observation)], policy: &Policy) -> (Record, Timestamp) {
    let (mut record, mut at) = (Record::default(), START);
    for (gap, observation) in observations {
        at = at + Duration::from_secs(*gap);
        record.observe(&Observation { at, ..observation.clone() }, policy);
    }
    (record, at)
}

fn policies(stores: Vec<Option<ImageStore>>) -> impl Strategy<Value = Policy> {
    (1..5_usize, 0.0..0.5_f64, 1..4_u32, 1..4_u32, 1..3_u32, any::<bool>(), one_of(stores)).prop_map(
        |(max, margin, rounds, fall, rise, compare_upstream, store)| Policy {
            max,
            margin,
            rounds,
            fall,
            rise,
            compare_upstream,
            store,
            images: (0..3).map(image).collect(),
            ..Policy::default()
        },
    )
}

fn mirror(number: usize, plain: bool, enabled: bool) -> Mirror {
    let scheme = if plain { "http" } else { "https" };
    let url = format!("{scheme}://m{number}.example").parse().expect("a URL");
    Mirror { enabled, ..Mirror::of_docker_hub(format!("m{number}"), url) }
}

fn worlds(kind: Kind) -> impl Strategy<Value = World> {
    let stores = match kind {
        Kind::Plain => vec![Some(ImageStore::Classic)],
        Kind::Full => vec![Some(ImageStore::Classic), Some(ImageStore::Containerd), None],
    };
    let mirrors = vec((observations(kind), prop::bool::weighted(0.2), prop::bool::weighted(0.9)), 1..8);
    let places = vec(any::<Index>(), 0..5);
    let times = (weighted(0.7, 0..20_000_u64), 0..40_000_u64);
    (policies(stores), mirrors, weighted(0.6, observations(Kind::Plain)), places, times, any::<bool>())
        .prop_map(|(policy, mirrors, upstream, places, (ago, later), provisional)| {
            let mut last = START;
            let mut record = |observations: &[(u64, Observation)]| {
                let (record, at) = record(observations, &policy);
                last = last.max(at);
                record
            };
            let mirrors: Vec<Known> = mirrors
                .iter()
                .enumerate()
                .map(|(number, (observations, plain, enabled))| Known {
                    mirror: mirror(number, *plain, *enabled),
                    record: record(observations),
                })
                .collect();
            let upstream = upstream.map(|observations| record(&observations));
            let mut known: BTreeSet<usize> = BTreeSet::new();
            let list: Vec<MirrorUrl> = places
                .iter()
                .map(|place| place.index(mirrors.len()))
                .filter(|place| known.insert(*place))
                .map(|place| mirrors[place].mirror.url.clone())
                .collect();
            let now = last + Duration::from_secs(later);
            let last_faster = ago.map(|ago| now - Duration::from_secs(ago));
            World { now, policy, mirrors, upstream, list, last_faster, provisional }
        })
}

/// One line a mirror, for whoever has to understand a law that was broken.
fn outline(selection: &Selection) -> String {
    let lines = selection.entries.iter().map(|entry| {
        let reasons: Vec<_> = entry.reasons.iter().map(|reason| reason.kind.as_str()).collect();
        format!(
            "{} {:?} {:?} {reasons:?} {:?} s {:?} {:?}",
            entry.name, entry.verdict, entry.selected, entry.predicted_seconds, entry.success, entry.coverage
        )
    });
    let change = selection.change.as_ref().map(|change| change.why());
    lines.chain([format!("{change:?}")]).collect::<Vec<_>>().join("\n")
}

/// The same observation, had the mirror done better.
fn better(worse: &Observation, speed: f64, sooner: f64, served: bool) -> Observation {
    let mut better = worse.clone();
    if served {
        better.outcome = Outcome::Served;
    }
    better.bytes_per_second = better.bytes_per_second.map(|bytes| bytes * speed);
    better.stages.layer = better.stages.layer.map(|layer| layer.mul_f64(sooner));
    better.stages.manifest = better.stages.manifest.map(|chain| chain.mul_f64(sooner));
    better
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_the_input_is_irrelevant(world in worlds(Kind::Full), turn in any::<Index>()) {
        let mut turned = world.mirrors.clone();
        turned.rotate_left(turn.index(world.mirrors.len()));
        turned.reverse();
        prop_assert_eq!(world.select_from(&turned, &world.list), world.select());
    }

    #[test]
    fn a_rejected_mirror_is_never_selected(world in worlds(Kind::Full)) {
        let selection = world.select();
        let live = selection.entries.iter().any(|entry| entry.verdict == Verdict::Live);
        for entry in &selection.entries {
            let rejecting = entry.verdict == Verdict::Rejected;
            prop_assert!(!(rejecting && entry.selected.is_some()), "{entry:?}");
            prop_assert_eq!(rejecting && entry.reasons.is_empty(), false, "no reason: {:?}", entry);
            // Only where nothing can replace it does the list stay as it was.
            if rejecting && live && !world.provisional {
                prop_assert!(!selection.list.contains(&entry.url), "{entry:?}");
            }
        }
    }

    #[test]
    fn what_is_printed_is_what_is_applied(world in worlds(Kind::Full)) {
        let selection = world.select();
        prop_assert_eq!(selection.entries.len(), world.mirrors.len());
        let printed: Vec<_> = selection.entries.iter().filter(|entry| entry.selected.is_some()).collect();
        if !printed.is_empty() {
            let urls: Vec<_> = printed.iter().map(|entry| entry.url.clone()).collect();
            prop_assert_eq!(&urls, &selection.list);
        }
        for (place, entry) in printed.iter().enumerate() {
            prop_assert_eq!(entry.selected, Some(place + 1));
        }
        prop_assert_eq!(selection.change.is_none(), selection.list == world.list);
    }

    #[test]
    fn nothing_changed_and_the_selection_is_the_same(world in worlds(Kind::Full)) {
        let mut world = world;
        // The list was made under this policy.
        world.list.truncate(world.policy.max);
        let first = world.select();
        // Whoever applies a change that was made only to be faster remembers when. On the classic store it
        // holds without that too.
        if world.policy.store != Some(ImageStore::Classic) && first.change.as_ref().is_some_and(|change| change.faster) {
            world.last_faster = Some(world.now);
        }
        let again = world.select_from(&world.mirrors, &first.list);
        prop_assert_eq!((&again.list, &again.change), (&first.list, &None), "first {:?}", first.change);
    }

    #[test]
    fn there_are_never_more_than_max(world in worlds(Kind::Full)) {
        let selection = world.select();
        let stays = selection.entries.iter().all(|entry| entry.selected.is_none());
        prop_assert!(stays || selection.list.len() <= world.policy.max);
    }

    #[test]
    fn a_free_place_is_never_left_to_nobody(world in worlds(Kind::Full)) {
        let world = World { provisional: false, ..world };
        let world = World { policy: Policy { store: Some(ImageStore::Classic), ..world.policy.clone() }, ..world };
        let selection = world.select();
        let live = selection.entries.iter().filter(|entry| entry.verdict == Verdict::Live).count();
        let selected = selection.entries.iter().filter(|entry| entry.selected.is_some()).count();
        prop_assert_eq!(selected, live.min(world.policy.max));
    }

    #[test]
    fn a_list_is_never_emptied_while_the_upstream_is_out_of_reach(world in worlds(Kind::Full)) {
        let reach = world.policy.compare_upstream && world.upstream_answers();
        let selection = world.select();
        prop_assert!(reach || world.list.is_empty() || !selection.list.is_empty());
    }

    #[test]
    fn loopback_and_https_never_share_a_list_unless_the_store_is_the_classic_one(world in worlds(Kind::Full)) {
        let selection = world.select();
        let selected = || selection.entries.iter().filter(|entry| entry.selected.is_some());
        let plain = selected().filter(|entry| entry.url.as_str().starts_with("http://")).count();
        let mixed = plain > 0 && plain < selected().count();
        prop_assert!(world.policy.store == Some(ImageStore::Classic) || !mixed, "{:?}", selection.list);
    }

    #[test]
    fn a_member_is_only_replaced_for_a_reason(world in worlds(Kind::Full)) {
        // Within `hold`, whoever stands there and is live stays, in the same order.
        let world = World { last_faster: Some(world.now), provisional: false, ..world };
        let world = World { policy: Policy { store: Some(ImageStore::Classic), ..world.policy.clone() }, ..world };
        let selection = world.select();
        let live = |url: &&MirrorUrl| {
            selection.entries.iter().any(|entry| entry.url == **url && entry.verdict == Verdict::Live)
        };
        let stood: Vec<_> = world.list.iter().filter(live).take(world.policy.max).collect();
        let stand: Vec<_> = selection.list.iter().take(stood.len()).collect();
        prop_assert!(stood.is_empty() || stand == stood, "{stand:?} instead of {stood:?}");
    }

    #[test]
    fn a_better_observation_never_lowers_a_rank(
        world in worlds(Kind::Plain),
        which in any::<Index>(),
        (_, worse) in observation(Kind::Plain),
        (speed, sooner, served) in (1.0..50.0_f64, 0.01..1.0_f64, any::<bool>()),
    ) {
        let which = which.index(world.mirrors.len());
        let rank = |observation: &Observation| {
            let mut mirrors = world.mirrors.clone();
            let at = world.now - Duration::from_secs(1);
            mirrors[which].record.observe(&Observation { at, ..observation.clone() }, &world.policy);
            let selection = world.select_from(&mirrors, &world.list);
            let url = &world.mirrors[which].mirror.url;
            (selection.entries.iter().position(|entry| entry.url == *url), selection)
        };
        let (before, then) = rank(&worse);
        let (after, now) = rank(&better(&worse, speed, sooner, served));
        prop_assert!(after <= before, "m{which}: {before:?} to {after:?}\n{}\n{}", outline(&then), outline(&now));
    }

    #[test]
    fn a_record_comes_back_from_json_as_it_was(observations in observations(Kind::Full)) {
        let (record, _) = record(&observations, &Policy::default());
        let json = serde_json::to_string(&record).expect("a record is JSON");
        prop_assert_eq!(serde_json::from_str::<Record>(&json).expect("and back"), record);
    }

    #[test]
    fn whatever_is_observed_every_figure_is_a_number(
        wild in vec((any::<u64>(), prop::num::f64::ANY, any::<u64>(), observation(Kind::Full)), 1..30),
        now in any::<u64>(),
    ) {
        let policy = Policy { min_speed: 0, ..Policy::default() };
        let mut record = Record::default();
        for (millis, speed, duration, (_, observation)) in wild {
            let mut seen = Observation { at: Timestamp::from_millis(millis), ..observation };
            seen.bytes_per_second = Some(speed);
            seen.stages.layer = Some(Duration::from_secs(duration));
            seen.retry_after = Some(Duration::from_secs(duration));
            record.observe(&seen, &policy);
            let figures = [record.success(), record.bytes_per_second(), predicted_seconds(&record, &policy)];
            prop_assert!(figures.iter().flatten().all(|figure| figure.is_finite() && *figure > 0.0), "{figures:?}");
            prop_assert!(record.success().is_some_and(|success| success < 1.0));
        }
        let now = Timestamp::from_millis(now);
        prop_assert_eq!(record.day(now).len(), 24);
        record.spent(now);
        let json = serde_json::to_string(&record).expect("a record is JSON");
        prop_assert_eq!(&serde_json::from_str::<Record>(&json).expect("and back"), &record);
        prop_assert!(json.len() < 40_000, "{} bytes", json.len());
        let mirror = mirror(0, false, true);
        let list = [mirror.url.clone()];
        let current = Current { list: &list, last_faster: None, provisional: false };
        select(now, &policy, &[Candidate { mirror: &mirror, record: &record }], Upstream::NotCompared, &current);
    }
}
