//! What real pulls complain of, where the budget has no room to look into it at once.

use std::time::Duration;

use mirrorwatch::daemon::step::Event;
use mirrorwatch::observation::{Depth, Failure, Stage};
use mirrorwatch::pull::{Seen, Sign};
use mirrorwatch::ranking::record::Standing;
use mirrorwatch::reason::FailureKind;

use super::budget::{HOUR, MINUTE};
use super::mood::Mood;
use super::world::{World, healthy, settings, url};

/// dockerd gave up on a layer that `a` had begun to send.
fn left_a_layer(world: &mut World) {
    let failure = Failure { kind: FailureKind::ConnectionLost, stage: Stage::Layer, detail: String::new() };
    let seen = Seen::Left { url: url("a"), failure };
    world.tell(Event::Heard(Sign { at: world.now, seen }));
}

#[test]
fn pulls_that_never_stop_complaining_are_believed_at_last() {
    let mut world = World::new(&healthy());
    world.run(3 * HOUR);
    let began = world.now;
    while world.standing("a") == Standing::Live && world.now.since(began) < HOUR {
        left_a_layer(&mut world);
        world.run(Duration::from_secs(15));
    }
    let took = world.now.since(began);
    assert!(took <= 6 * MINUTE, "three pulls of two minutes each, and no probe sees it: {took:?}");
}

#[test]
fn pulls_are_believed_also_where_the_budget_has_no_room_for_a_rehearsal() {
    let mut world = World::new(&healthy());
    world.run(3 * HOUR);
    let mut changed = settings(false);
    // What is left of the day takes samples alone.
    let spent = world.state.tracks[&url("a")].record.spent(world.now).bytes_today;
    changed.allowance.bytes_per_day = spent + (300 << 10);
    let candidates = world.state.tracks.values().map(|track| (track.mirror.clone(), track.record.clone()));
    let candidates = candidates.collect();
    world.tell(Event::Configured { settings: Box::new(changed), candidates });
    let rehearsed =
        |world: &World| world.probes[&url("a")].iter().filter(|(_, depth)| *depth == Depth::Rehearse).count();
    let before = rehearsed(&world);
    for _ in 0..3 {
        left_a_layer(&mut world);
        world.run(10 * MINUTE);
    }
    assert_eq!(rehearsed(&world), before);
    assert_eq!(world.standing("a"), Standing::Rejected);
}

#[test]
fn what_decides_about_a_pull_asks_for_an_image_that_the_mirror_serves() {
    let partial = Mood::Allows(20e6, &["library/busybox:latest"]);
    let mut world = World::new(&[("a", partial), healthy()[1], healthy()[2]]);
    world.run(3 * HOUR);
    // Nobody knows yet whether it has these.
    let mut changed = settings(false);
    changed.policy.images.extend((1..=6).map(|number| format!("acme/own:{number}").parse().unwrap()));
    let candidates = world.state.tracks.values().map(|track| (track.mirror.clone(), track.record.clone()));
    let candidates = candidates.collect();
    world.tell(Event::Configured { settings: Box::new(changed), candidates });
    world.run(2 * MINUTE);
    assert_eq!(world.standing("a"), Standing::Live);
    world.set(
        "a",
        Mood::Shows(
            "stalled refuses=acme/own:1 refuses=acme/own:2 refuses=acme/own:3 refuses=acme/own:4 \
             refuses=acme/own:5 refuses=acme/own:6",
        ),
    );
    left_a_layer(&mut world);
    world.run(Duration::from_secs(8));
    assert_eq!(world.standing("a"), Standing::Rejected);
}

#[test]
fn a_refusal_of_one_image_decides_nothing_about_a_pull_of_another() {
    let mut world = World::new(&healthy());
    world.run(3 * HOUR);
    left_a_layer(&mut world);
    let mut record = world.state.tracks[&url("a")].record.clone();
    let policy = settings(false).policy;
    let mut refused = mirrorwatch::observation::Observation::new(world.now, Depth::Rehearse);
    refused.image = Some("acme/one:1".parse().unwrap());
    let failure = Failure { kind: FailureKind::NotFound, stage: Stage::Manifest, detail: String::new() };
    refused.outcome = mirrorwatch::observation::Outcome::Failed(failure);
    record.observe(&refused, &policy);
    assert_eq!(record.rechecks(&policy).collect::<Vec<_>>(), [Depth::Rehearse, Depth::Sample]);
}
