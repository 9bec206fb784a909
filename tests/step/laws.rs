//! Laws of the daemon's steps: whatever the mirrors do, and whatever happens to the host meanwhile.

use std::time::Duration;

use mirrorwatch::daemon::step::{EngineView, Event, Shift};
use mirrorwatch::mirror::Mirror;
use mirrorwatch::observation::{Depth, Failure, Stage};
use mirrorwatch::pull::{Seen, Sign};
use mirrorwatch::ranking::Policy;
use mirrorwatch::ranking::record::{Record, Standing};
use mirrorwatch::reason::{ChangeKind, FailureKind, ProblemKind};
use proptest::prelude::*;

use super::budget::{DAY, HOUR, kept};
use super::mood::{MB, Mood};
use super::world::{UPSTREAM, World, mirror, settings, url};

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// What happens next.
#[derive(Clone, Debug)]
enum Turn {
    Mood(usize, Mood),
    Shifted(Shift),
    Restarted,
    Paused(u64),
    Pulled(Seen),
    /// A round by hand rehearses this one.
    ByHand(usize),
    /// `apply` by hand.
    Listed(Vec<usize>),
    Engine(EngineView),
    /// mirrors.toml is edited: whom it names, whom it has switched off, and among how many hosts the budget is shared.
    Edited([There; NAMES.len()], u32),
    /// The clock is set by so many minutes.
    Clock(i64),
    Minutes(u64),
}

/// How mirrors.toml has a mirror.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum There {
    Enabled,
    Disabled,
    Gone,
}

fn mood() -> impl Strategy<Value = Mood> {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    prop_oneof![
        4 => (0.2..40.0_f64).prop_map(|speed| Mood::Serves(speed * MB)),
        1 => Just(Mood::Dead),
        1 => Just(Mood::Hangs),
        1 => Just(Mood::Stalls),
        1 => Just(Mood::Errors),
        1 => Just(Mood::Allows(9.0 * MB, &["library/redis:7"])),
        1 => proptest::option::of(1..600_u64).prop_map(move |rest| Mood::Limits(rest.map(minutes))),
        1 => (1..200_u64).prop_map(move |half| Mood::Flaps(minutes(half), 9.0 * MB)),
        1 => Just(Mood::Fails(FailureKind::TlsExpired)),
        1 => Just(Mood::Fails(FailureKind::NotARegistry)),
        1 => Just(Mood::Starved(Duration::from_secs(2))),
    ]
}

fn pulled() -> impl Strategy<Value = Seen> {
    let kinds = [
        (FailureKind::ConnectionRefused, Stage::Connect),
        (FailureKind::ServerError, Stage::Manifest),
        (FailureKind::RateLimited, Stage::Manifest),
        (FailureKind::Corrupt, Stage::Layer),
    ];
    let left = move |(who, kind): (usize, usize)| {
        let (kind, stage) = kinds[kind];
        Seen::Left { url: url(NAMES[who]), failure: Failure { kind, stage, detail: String::new() } }
    };
    let silent = |(who, may_rest)| Seen::Silent { url: url(NAMES[who]), quiet_ms: 10_000, may_rest };
    let served = |(who, speed): (usize, f64)| {
        let url = url(NAMES[who]);
        Seen::Served { url, bytes: 30 << 20, bytes_per_second: Some(speed * MB) }
    };
    let who = 0..NAMES.len();
    prop_oneof![
        2 => (who.clone(), 0..kinds.len()).prop_map(left),
        1 => (who.clone(), any::<bool>()).prop_map(silent),
        1 => who.clone().prop_map(|who| Seen::Crawling { url: url(NAMES[who]), bytes_per_second: 2e4 }),
        2 => (who, 0.2..40.0_f64).prop_map(served),
        1 => Just(Seen::Doubtful { detail: String::new() }),
        1 => Just(Seen::Absent { detail: String::new() }),
    ]
}

fn engine() -> impl Strategy<Value = EngineView> {
    prop_oneof![
        Just(EngineView::Problem(ProblemKind::NotRunning)),
        Just(EngineView::Problem(ProblemKind::PendingEdits)),
        Just(EngineView::Lists(Vec::new())),
        (0..NAMES.len()).prop_map(|who| EngineView::Lists(vec![url(NAMES[who]).as_str().to_owned()])),
    ]
}

fn turn() -> impl Strategy<Value = Turn> {
    let there = prop_oneof![4 => Just(There::Enabled), 1 => Just(There::Disabled), 1 => Just(There::Gone)];
    let there = proptest::array::uniform6(there);
    prop_oneof![
        6 => (0..=NAMES.len(), mood()).prop_map(|(who, mood)| Turn::Mood(who, mood)),
        8 => (1..180_u64).prop_map(Turn::Minutes),
        1 => prop_oneof![Just(Shift::Route), Just(Shift::Woke), Just(Shift::Manner)].prop_map(Turn::Shifted),
        1 => Just(Turn::Restarted),
        1 => (1..90_u64).prop_map(Turn::Paused),
        3 => pulled().prop_map(Turn::Pulled),
        1 => (0..NAMES.len()).prop_map(Turn::ByHand),
        1 => proptest::sample::subsequence(vec![0, 1, 2, 3, 4, 5], 0..4).prop_map(Turn::Listed),
        1 => engine().prop_map(Turn::Engine),
        1 => (there, 1..20_u32).prop_map(|(there, share)| Turn::Edited(there, share)),
    ]
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    proptest::collection::vec(turn(), 1..24)
}

/// The same, on a host whose clock is set now and then.
fn turns_of_the_clock() -> impl Strategy<Value = Vec<Turn>> {
    // Budgets are counted by the clock: one that was set back by more gives them back later than the two days below.
    let clock = (-600..600_i64).prop_map(Turn::Clock);
    proptest::collection::vec(prop_oneof![4 => turn(), 1 => clock], 1..24)
}

fn moods() -> impl Strategy<Value = Vec<Mood>> {
    proptest::collection::vec(mood(), NAMES.len())
}

fn begin(moods: Vec<Mood>) -> World {
    let mut world = World::with(&[], Some(Mood::Serves(0.3 * MB)));
    for (name, mood) in NAMES.iter().zip(moods) {
        world.set(name, mood);
    }
    configure(&mut world, [There::Enabled; NAMES.len()], 1);
    world
}

fn configure(world: &mut World, there: [There; NAMES.len()], share: u32) {
    let mut settings = settings(true);
    settings.allowance = settings.allowance.part(share);
    let named = NAMES.iter().zip(there).filter(|(_, there)| *there != There::Gone);
    let candidates = named.map(|(name, there)| {
        let mirror = Mirror { enabled: there == There::Enabled, ..mirror(name) };
        (mirror, Record::default())
    });
    let candidates = candidates.collect();
    world.tell(Event::Configured { settings: Box::new(settings), candidates });
}

fn happen(world: &mut World, turn: Turn) {
    match turn {
        Turn::Mood(who, mood) => world.set(NAMES.get(who).copied().unwrap_or(UPSTREAM), mood),
        Turn::Shifted(shift) => world.tell(Event::Shifted(shift)),
        Turn::Restarted => world.restart(),
        Turn::Paused(minutes) => {
            let until = world.now + Duration::from_secs(60 * minutes);
            // What comes next comes while it is paused.
            world.tell(Event::Paused(Some(Some(until))));
        }
        Turn::Pulled(seen) => world.tell(Event::Heard(Sign { at: world.now, seen })),
        Turn::ByHand(who) => {
            let (now, url) = (world.now, url(NAMES[who]));
            let image = Policy::default().images[0].clone();
            let (_, mut seen) = world.answer(&url, now, Depth::Rehearse, Some(&image));
            seen.image = Some(image);
            world.tell(Event::Overheard { url, observations: vec![seen] });
        }
        Turn::Listed(names) => {
            world.tell(Event::Listed(names.into_iter().map(|who| url(NAMES[who])).collect()));
        }
        Turn::Engine(view) => world.tell(Event::Engine(view)),
        Turn::Edited(there, share) => configure(world, there, share),
        Turn::Clock(minutes) => world.set_clock(minutes),
        Turn::Minutes(minutes) => world.run(Duration::from_secs(60 * minutes)),
    }
}

/// Of what was written just now.
fn check_the_last_list(world: &World) {
    assert!(world.list().len() <= 3, "{:?}", world.list());
    // Once written, the list holds nobody who is known not to serve, unless nobody else serves either.
    if let Some(last) = world.applies.last()
        && last.at == world.now
        && !matches!(last.change.kind, ChangeKind::EngineDiffered | ChangeKind::ByHand)
    {
        let mut tracks = world.state.tracks.values();
        let somebody_serves =
            tracks.any(|track| track.mirror.enabled && track.record.standing() == Standing::Live);
        for name in &last.list {
            // It may have been removed since.
            let track = world.state.track(&url(name)).filter(|_| somebody_serves);
            let standing = track.map(|track| track.record.standing());
            assert_ne!(standing, Some(Standing::Rejected), "{name} in {last:?}");
        }
    }
}

/// Everything is as it should be again, but for the mirrors that are not: once the budgets are, the list is.
fn check_that_all_comes_right(world: &mut World) {
    configure(world, [There::Enabled; NAMES.len()], 1);
    world.set(UPSTREAM, Mood::Serves(0.3 * MB));
    world.set("a", Mood::Serves(9.0 * MB));
    for name in &NAMES[1..] {
        if matches!(world.moods[&url(name)], Mood::Flaps(..) | Mood::Allows(..) | Mood::Starved(_)) {
            world.set(name, Mood::Serves(5.0 * MB));
        }
    }
    world.tell(Event::Paused(None));
    let listed = world.state.wanted(&world.state.list);
    world.tell(Event::Engine(EngineView::Lists(listed)));
    world.run(2 * DAY + 12 * HOUR);
    let list = world.list();
    let moods: Vec<Mood> = list.iter().map(|name| world.moods[&url(name)]).collect();
    assert!(moods.iter().all(|mood| matches!(mood, Mood::Serves(_))), "{list:?}: {moods:?}");
    assert!(list.contains(&"a") || list.len() == 3, "{list:?}: {moods:?}");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 16,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// No budget is ever passed, no list is longer than it may be or holds whom it may not, and nothing is written
    /// while the service is paused or its network is down, which the world itself holds against every write.
    #[test]
    fn whatever_happens(moods in moods(), turns in turns()) {
        let mut world = begin(moods);
        for turn in turns {
            happen(&mut world, turn);
            check_the_last_list(&world);
        }
        world.run(HOUR);
        // Whatever it was shared among, the whole is never passed.
        world.state.settings.allowance = settings(true).allowance;
        kept(&world);
    }

    /// Whatever has happened is over one day.
    #[test]
    fn whatever_has_happened(moods in moods(), turns in turns_of_the_clock()) {
        let mut world = begin(moods);
        for turn in turns {
            happen(&mut world, turn);
            check_the_last_list(&world);
        }
        check_that_all_comes_right(&mut world);
    }
}
