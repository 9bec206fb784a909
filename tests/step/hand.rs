//! Rounds by hand, of which the running service hears.

use std::time::Duration;

use mirrorwatch::daemon::step::Event;
use mirrorwatch::observation::{Depth, Failure, Observation, Outcome, Spent, Stage};
use mirrorwatch::ranking::record::Standing;
use mirrorwatch::reason::FailureKind;

use super::mood::Mood;
use super::world::{World, healthy, url};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// A rehearsal by hand that waited for its answers in vain.
fn unanswered(world: &World) -> Observation {
    let mut seen = Observation::new(world.now, Depth::Rehearse);
    seen.image = Some("library/busybox:latest".parse().unwrap());
    let (kind, stage) = (FailureKind::NoAnswer, Stage::Ping);
    seen.outcome = Outcome::Failed(Failure { kind, stage, detail: String::new() });
    seen.spent = Spent { requests: 2, refusals: 0, bytes: 0 };
    seen
}

#[test]
fn a_round_by_hand_in_an_outage_counts_and_is_held_against_nobody() {
    let mut world = World::new(&healthy());
    world.run(Duration::from_secs(3600));
    for name in NAMES {
        world.set(name, Mood::Fails(FailureKind::NameNotResolved));
    }
    world.run(Duration::from_secs(2));
    let spent =
        |world: &World, name: &str| world.state.tracks[&url(name)].record.spent(world.now).requests_today;
    let before = NAMES.map(|name| spent(&world, name));
    for _ in 0..4 {
        for name in NAMES {
            let observation = Box::new(unanswered(&world));
            world.tell(Event::Overheard { url: url(name), observation });
        }
        world.run(Duration::from_secs(20));
    }
    assert!(world.state.network.is_down());
    for (name, before) in NAMES.into_iter().zip(before) {
        assert_eq!(spent(&world, name), before + 8, "{name}");
        assert_eq!(world.standing(name), Standing::Live, "{name}");
    }
}

#[test]
fn what_a_round_by_hand_sees_of_one_mirror_is_held_against_it() {
    let mut world = World::new(&healthy());
    world.run(Duration::from_secs(3600));
    world.set("a", Mood::Stalls);
    for _ in 0..3 {
        let observation = Box::new(unanswered(&world));
        world.tell(Event::Overheard { url: url("a"), observation });
        world.run(Duration::from_secs(1));
    }
    world.run(Duration::from_secs(20));
    assert_eq!(world.standing("a"), Standing::Rejected);
    assert_eq!(world.list(), ["b", "c", "d"]);
}
