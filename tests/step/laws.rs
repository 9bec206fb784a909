//! Laws of the daemon's steps: whatever the mirrors do, and whatever happens to the host meanwhile.

use std::time::Duration;

use mirrorwatch::daemon::step::{Event, Shift};
use mirrorwatch::ranking::record::{Record, Standing};
use mirrorwatch::reason::{ChangeKind, FailureKind};
use proptest::prelude::*;

use super::budget::kept;
use super::mood::{MB, Mood};
use super::world::{UPSTREAM, World, mirror, settings};

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// What happens next.
#[derive(Clone, Debug)]
enum Turn {
    Mood(usize, Mood),
    Shifted(Shift),
    Restarted,
    Paused(u64),
    Minutes(u64),
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

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        6 => (0..=NAMES.len(), mood()).prop_map(|(who, mood)| Turn::Mood(who, mood)),
        6 => (1..180_u64).prop_map(Turn::Minutes),
        1 => prop_oneof![Just(Shift::Route), Just(Shift::Woke), Just(Shift::Manner)].prop_map(Turn::Shifted),
        1 => Just(Turn::Restarted),
        1 => (1..90_u64).prop_map(Turn::Paused),
    ]
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
    fn whatever_happens(moods in proptest::collection::vec(mood(), NAMES.len()),
                        turns in proptest::collection::vec(turn(), 1..24)) {
        let mut world = World::with(&[], Some(Mood::Serves(0.3 * MB)));
        for (name, mood) in NAMES.iter().zip(moods) {
            world.set(name, mood);
        }
        let candidates = NAMES.iter().map(|name| (mirror(name), Record::default())).collect();
        world.tell(Event::Configured { settings: Box::new(settings(true)), candidates });
        for turn in turns {
            match turn {
                Turn::Mood(who, mood) => world.set(NAMES.get(who).copied().unwrap_or(UPSTREAM), mood),
                Turn::Shifted(shift) => world.tell(Event::Shifted(shift)),
                Turn::Restarted => world.restart(),
                Turn::Paused(minutes) => {
                    let until = world.now + Duration::from_secs(60 * minutes);
                    // What comes next comes while it is paused.
                    world.tell(Event::Paused(Some(Some(until))));
                }
                Turn::Minutes(minutes) => world.run(Duration::from_secs(60 * minutes)),
            }
            prop_assert!(world.list().len() <= 3, "{:?}", world.list());
            // Once written, the list holds nobody who is known not to serve, unless nobody else serves either.
            if let Some(last) = world.applies.last()
                && last.at == world.now
                && last.change.kind != ChangeKind::EngineDiffered
            {
                for name in &last.list {
                    prop_assert_ne!(world.standing(name), Standing::Rejected, "{} in {:?}", name, last);
                }
            }
        }
        world.run(Duration::from_secs(3600));
        kept(&world);
    }
}
