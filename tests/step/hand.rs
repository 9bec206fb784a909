//! Rounds by hand, of which the running service hears.

use std::time::Duration;

use mirrorwatch::daemon::step::Event;
use mirrorwatch::observation::{Depth, Failure, Observation, Outcome, Spent, Stage};
use mirrorwatch::ranking::record::Standing;
use mirrorwatch::reason::FailureKind;

use super::budget::{HOUR, MINUTE};
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
            let observations = vec![unanswered(&world)];
            world.tell(Event::Overheard { url: url(name), observations });
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
        let observations = vec![unanswered(&world)];
        world.tell(Event::Overheard { url: url("a"), observations });
        world.run(Duration::from_secs(1));
    }
    world.run(Duration::from_secs(20));
    assert_eq!(world.standing("a"), Standing::Rejected);
    assert_eq!(world.list(), ["b", "c", "d"]);
}

#[test]
fn what_a_round_by_hand_saw_in_an_outage_that_is_over_is_held_against_nobody() {
    let mut world = World::new(&healthy());
    world.run(HOUR);
    for name in NAMES {
        world.set(name, Mood::Fails(FailureKind::NameNotResolved));
    }
    world.run(MINUTE);
    let seen: Vec<Observation> = (0..3).map(|_| unanswered(&world)).collect();
    for (name, mood) in healthy() {
        world.set(name, mood);
    }
    world.until("the network", |world| !world.state.network.is_down());
    world.run(MINUTE);
    let (applies, list) = (world.applies.len(), world.state.list.clone());
    for name in NAMES {
        world.tell(Event::Overheard { url: url(name), observations: seen.clone() });
    }
    world.run(MINUTE);
    assert_eq!((world.applies.len(), &world.state.list), (applies, &list), "{:?}", world.applies);
}

#[test]
fn a_round_by_hand_that_ends_well_is_not_preceded_by_those_that_did_not() {
    let mut world = World::new(&healthy());
    world.run(HOUR);
    let mut bad = Observation::new(world.now, Depth::Rehearse);
    let failure = Failure { kind: FailureKind::ServerError, stage: Stage::Manifest, detail: String::new() };
    bad.outcome = Outcome::Failed(failure);
    let good = Observation::new(world.now, Depth::Rehearse);
    let before = world.applies.len();
    world.tell(Event::Overheard {
        url: url("a"),
        observations: vec![bad.clone(), bad.clone(), bad.clone(), good],
    });
    assert_eq!((world.standing("a"), world.applies.len()), (Standing::Live, before));
    world.tell(Event::Overheard { url: url("a"), observations: vec![bad.clone(), bad.clone(), bad] });
    assert_eq!(world.standing("a"), Standing::Rejected, "nothing says otherwise");
}

#[test]
fn what_the_others_answered_in_the_same_round_by_hand_shows_whose_failure_it_was() {
    // In the clear only a sample is proof, and the minute's requests are spent.
    let [a, b] = ["http://a.example", "http://b.example"];
    let mut world = World::new(&[(a, Mood::Serves(20e6)), (b, Mood::Serves(8e6))]);
    world.run(HOUR);
    let mut good = Observation::new(world.now, Depth::Rehearse);
    good.spent = Spent { requests: 10, refusals: 0, bytes: 1 << 20 };
    let mut page = Observation::new(world.now, Depth::Rehearse);
    let failure = Failure { kind: FailureKind::NotARegistry, stage: Stage::Manifest, detail: String::new() };
    page.outcome = Outcome::Failed(failure);
    world.run(Duration::from_secs(200));
    world.tell(Event::Overheard { url: url(b), observations: vec![good] });
    world.tell(Event::Overheard { url: url(a), observations: vec![page; 3] });
    assert!(!world.state.network.suspects(&url(a)) && !world.state.network.is_down());
    assert_eq!(world.state.tracks[&url(a)].record.standing(), Standing::Rejected);
}

#[test]
fn who_is_mended_by_hand_is_not_looked_at_later_for_it() {
    let mut world = World::new(&healthy());
    world.set("d", Mood::Errors);
    world.run(HOUR);
    let failed = |world: &World| world.state.tracks[&url("d")].record.failed_rehearsals();
    let before = failed(&world);
    let mut bad = Observation::new(world.now, Depth::Rehearse);
    let failure = Failure { kind: FailureKind::ServerError, stage: Stage::Manifest, detail: String::new() };
    bad.outcome = Outcome::Failed(failure);
    world.tell(Event::Overheard { url: url("d"), observations: vec![bad; 6] });
    assert_eq!(failed(&world), before);
    // Nor for what was no answer.
    let observations = vec![unanswered(&world); 6];
    world.tell(Event::Overheard { url: url("d"), observations });
    assert_eq!(failed(&world), before);
}

#[test]
fn who_was_served_by_hand_and_has_failed_since_stays_out() {
    let mut world = World::new(&healthy());
    world.run(HOUR);
    let good = Observation::new(world.now, Depth::Rehearse);
    world.set("a", Mood::Dead);
    world.until("a list without it", |world| world.list() == ["b", "c", "d"]);
    let applies = world.applies.len();
    world.tell(Event::Overheard { url: url("a"), observations: vec![good; 3] });
    world.run(MINUTE);
    assert_eq!(
        (world.standing("a"), world.applies.len()),
        (Standing::Rejected, applies),
        "{:?}",
        world.applies
    );
}
