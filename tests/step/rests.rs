//! Who is left alone, for how long, and who is trusted again.

use std::time::Duration;

use mirrorwatch::daemon::step::Event;
use mirrorwatch::observation::Depth;
use mirrorwatch::ranking::record::{Record, Standing};
use mirrorwatch::timestamp::Timestamp;

use super::budget::{DAY, HOUR, MINUTE, kept};
use super::mood::{MB, Mood};
use super::world::{World, healthy, mirror, settings, url};

#[test]
fn a_rate_limit_is_obeyed_to_the_second_and_for_a_day_at_most() {
    let usual = 2 * HOUR;
    // The prober takes more than a day for a day.
    for asks in [5 * MINUTE, 7 * HOUR, DAY] {
        let mut world = World::new(&[healthy()[0], ("limits", Mood::Limits(Some(asks)))]);
        let asked = |world: &World| -> Vec<Timestamp> {
            let all = world.asked.get(&url("limits")).into_iter().flatten();
            all.filter(|one| one.spent.requests > 0).map(|one| one.from).collect()
        };
        world.until("a second request", |world| asked(world).len() >= 2);
        let pause = asked(&world)[1].since(asked(&world)[0]);
        // Once it may be asked again it is, if it would be then.
        let most = asks.max(usual) + Duration::from_secs(1);
        assert!((asks..=most).contains(&pause), "{pause:?} after {asks:?}");
    }
}

#[test]
fn a_403_is_never_checked_again_and_the_image_rests_an_hour_doubling_to_six() {
    let mut world = World::new(&[healthy()[0], ("nothing", Mood::Allows(MB, &[]))]);
    world.run(2 * DAY);
    let asked: Vec<Timestamp> = world.asked[&url("nothing")]
        .iter()
        .filter(|one| one.spent.requests > 0)
        .map(|one| one.from)
        .collect();
    let pauses: Vec<u64> = asked.windows(2).map(|pair| pair[1].since(pair[0]).as_secs() / 3600).collect();
    assert!(pauses.iter().all(|hours| *hours >= 1), "{pauses:?}");
    assert!(pauses.windows(2).filter(|pair| pair[1] < pair[0] && pair[0] < 6).count() <= 1, "{pauses:?}");
}

/// The pauses between the rehearsals of this mirror from now on, of which each may be a tenth shorter than it is here, and
/// the first of a run a half.
#[track_caller]
fn pauses_are(world: &mut World, name: &str, expected: &[Duration], first: f64) {
    let rehearsals = |world: &World| -> Vec<Timestamp> {
        let probes = world.probes.get(&url(name)).into_iter().flatten();
        probes.filter(|(_, depth)| *depth == Depth::Rehearse).map(|(at, _)| *at).collect()
    };
    world.until("the last rehearsal", |world| rehearsals(world).len() > expected.len());
    let asked = rehearsals(world);
    let pauses: Vec<Duration> = asked.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    for (number, (pause, expected)) in pauses.iter().zip(expected).enumerate() {
        let least = expected.mul_f64(if number == 0 { first } else { 0.9 });
        // Nobody is asked before the probe under way has ended.
        let most = *expected + Duration::from_secs(6);
        assert!((least..=most).contains(pause), "{name}: not {expected:?}, pause {number} of {pauses:?}");
    }
}

#[test]
fn a_mirror_that_keeps_failing_is_rehearsed_with_growing_pauses_up_to_six_hours() {
    // One that never served: three at the usual pace, then less and less.
    for (rehearse, pauses) in [(2, [2, 2, 4, 6, 6, 6]), (1, [1, 1, 2, 4, 6, 6])] {
        let mut world = World::new(&[healthy()[0]]);
        let mut changed = settings(false);
        changed.pace.rehearse = rehearse * HOUR;
        world.set("stalls", Mood::Stalls);
        let candidates = ["a", "stalls"].map(|name| (mirror(name), Record::default())).to_vec();
        world.probes.clear();
        world.tell(Event::Configured { settings: Box::new(changed), candidates });
        pauses_are(&mut world, "stalls", &pauses.map(|hours| hours * HOUR), 0.5);
    }
    // One that served, and falls in a rehearsal: the re-checks that convict it are one bad moment with the failure.
    let mut world = World::new(&healthy());
    world.run(6 * HOUR);
    world.set("d", Mood::Stalls);
    world.probes.clear();
    // The requests of a minute are spent by one of them.
    let again = MINUTE;
    let hours = [2, 2, 4, 6, 6].map(|hours| hours * HOUR);
    pauses_are(&mut world, "d", &[&[again, again][..], &hours].concat(), 0.9);
    // One that falls at a lesser depth has failed no rehearsal yet.
    let mut world = World::new(&healthy());
    world.run(6 * HOUR);
    world.set("a", Mood::Dead);
    world.until("its fall", |world| world.standing("a") == Standing::Rejected);
    world.probes.clear();
    pauses_are(&mut world, "a", &[2, 2, 4, 6, 6].map(|hours| hours * HOUR), 0.9);
}

#[test]
fn a_mirror_that_comes_and_goes_is_trusted_later_each_time() {
    for half in [5, 60] {
        let mut world = World::new(&[
            ("flaps", Mood::Flaps(half * MINUTE, 40.0 * MB)),
            healthy()[1],
            healthy()[2],
            healthy()[3],
        ]);
        world.run(2 * DAY);
        let switches = |from: Timestamp, to: Timestamp| {
            world.applies.iter().filter(|apply| apply.at > from && apply.at <= to).count()
        };
        // The first list and its revision are not the flapper's doing.
        let start = world.now - 2 * DAY + MINUTE;
        for hour in 0..47 {
            let from = start + HOUR * hour;
            // It falls, returns, and falls again before anybody can know that it comes and goes.
            let most = if hour == 0 { 3 } else { 2 };
            assert!(switches(from, from + HOUR) <= most, "{half} minutes, hour {hour}: {:?}", world.applies);
        }
        let (first, second) = (switches(start, start + DAY), switches(start + DAY, world.now));
        println!("flaps every {half} min: {first} switches on the first day, {second} on the second");
        assert!(first <= 12 && second <= 6, "{half} minutes: {:?}", world.applies);
    }
}

#[test]
fn a_mirror_that_answered_with_errors_is_back_after_twice_as_long_as_they_lasted() {
    for lasts in [MINUTE * 10, HOUR, 4 * HOUR, 15 * HOUR] {
        let mut world = World::new(&healthy());
        world.run(6 * HOUR);
        world.set("a", Mood::Errors);
        world.run(lasts);
        world.set("a", Mood::Serves(80.0 * MB));
        let back = world.until("its return", |world| world.standing("a") == Standing::Live);
        assert!(back <= 2 * lasts + 30 * MINUTE, "{lasts:?} of errors, back {back:?} later");
        let refusals: u32 = world.asked[&url("a")].iter().map(|one| one.spent.refusals).sum();
        assert!(refusals <= 8, "{refusals} refusals in {lasts:?}");
    }
}

/// As where Docker Hub itself is down: nobody serves, and whoever was the last to fall stays in the list.
#[test]
fn mirrors_that_all_answered_with_errors_are_back_as_soon_as_one_of_them() {
    for lasts in [MINUTE * 10, HOUR, 4 * HOUR, 15 * HOUR] {
        let mut world = World::with(&healthy(), Some(Mood::Hangs));
        world.run(6 * HOUR);
        ["a", "b", "c", "d"].iter().for_each(|name| world.set(name, Mood::Errors));
        world.run(lasts);
        assert_eq!(world.list(), ["c"]);
        healthy().iter().for_each(|(name, mood)| world.set(name, *mood));
        let live = |world: &World| ["a", "b", "c"].iter().all(|name| world.standing(name) == Standing::Live);
        let back = world.until("their return", live);
        assert!(back <= 2 * lasts + 30 * MINUTE, "{lasts:?} of errors, back {back:?} later");
        kept(&world);
    }
}

#[test]
fn a_mirror_that_answered_with_errors_and_is_slower_since_is_back_as_soon() {
    let reads = |milliseconds| Mood::Reads(20.0 * MB, Duration::from_millis(milliseconds));
    let mut world = World::new(&[("a", reads(5)), healthy()[1], healthy()[2], healthy()[3]]);
    world.run(6 * HOUR);
    world.set("a", Mood::Errors);
    world.run(HOUR);
    world.set("a", reads(50));
    let back = world.until("its return", |world| world.standing("a") == Standing::Live);
    assert!(back <= 2 * HOUR + 30 * MINUTE, "{back:?}");
}

#[test]
fn a_mirror_that_answers_with_errors_for_one_image_alone_is_not_out_for_long() {
    const ONE: &str = "library/busybox:latest";
    let mut world = World::new(&healthy());
    let mut changed = settings(false);
    changed.policy.images.extend(["redis:7", "nginx:1", "alpine:3"].map(|image| image.parse().unwrap()));
    let candidates = healthy().map(|(name, _)| (mirror(name), Record::default()));
    world.tell(Event::Configured { settings: Box::new(changed), candidates: candidates.into() });
    world.run(12 * HOUR);
    let sampled = |world: &World| world.state.tracks[&url("a")].record.sampled_image().cloned();
    world.until("samples of it", |world| sampled(world).is_some_and(|image| image.to_string() == ONE));
    world.set("a", Mood::ErrsAt(20.0 * MB, ONE));
    world.until("its fall", |world| world.standing("a") == Standing::Rejected);
    let back = world.until("its return", |world| world.standing("a") == Standing::Live);
    assert!(back <= 2 * HOUR + 30 * MINUTE, "{back:?}");
}

#[test]
fn a_restart_amid_a_mirrors_errors_keeps_it_out_for_no_longer() {
    for after in [MINUTE, 5 * MINUTE, 10 * MINUTE] {
        let mut world = World::new(&healthy());
        world.run(6 * HOUR);
        world.set("a", Mood::Errors);
        world.run(after);
        world.restart();
        world.run(10 * MINUTE - after);
        world.set("a", Mood::Serves(80.0 * MB));
        let back = world.until("its return", |world| world.standing("a") == Standing::Live);
        println!("a restart after {after:?} of ten minutes of errors: back {back:?} after them");
        assert!(back <= 50 * MINUTE, "a restart after {after:?}: back {back:?} later");
        kept(&world);
    }
}

/// Each restart finds a layer to take a sample of in what was written down, and needs no rehearsal for it.
#[test]
fn a_service_that_is_restarted_every_few_minutes_sees_a_stall_as_soon_as_another() {
    for every in [3 * MINUTE, 7 * MINUTE, 20 * MINUTE] {
        let mut world = World::new(&healthy());
        world.run(6 * HOUR);
        let start = world.now;
        let restarted = |world: &mut World, end: Timestamp| {
            while world.now < end && world.standing("a") == Standing::Live {
                world.restart();
                world.run(every);
            }
        };
        restarted(&mut world, start + 12 * HOUR);
        assert_eq!((world.list()[0], world.standing("a")), ("a", Standing::Live));
        let rehearsed = world.probes[&url("a")].iter().filter(|(_, depth)| *depth == Depth::Rehearse).count();
        world.set("a", Mood::Stalls);
        let stalled = world.now;
        restarted(&mut world, stalled + DAY);
        let seen = world.now.since(stalled);
        println!("restarted every {every:?}: {rehearsed} rehearsals, a stall seen within {seen:?}");
        assert!(seen <= 12 * MINUTE + every, "restarted every {every:?}: seen after {seen:?}");
        kept(&world);
    }
}

/// Three images, samples being taken of the first, and what a mirror goes on to serve that refuses that one.
const IMAGES: [&str; 3] = ["x/one:latest", "x/two:latest", "x/three:latest"];
const OTHERS: &[&str] = &["x/two:latest", "x/three:latest"];

fn sampled_of_the_first() -> World {
    let mut world = World::new(&healthy());
    let mut changed = settings(false);
    changed.policy.images = IMAGES.iter().map(|image| image.parse().unwrap()).collect();
    let candidates = healthy().map(|(name, _)| (mirror(name), Record::default()));
    world.tell(Event::Configured { settings: Box::new(changed), candidates: candidates.into() });
    world.run(12 * HOUR);
    let first = |world: &World| {
        let image = world.state.tracks[&url("a")].record.sampled_image();
        image.is_some_and(|image| image.to_string() == IMAGES[0])
    };
    world.until("samples of it", first);
    world
}

#[test]
fn a_stall_is_seen_as_soon_of_a_mirror_that_refuses_what_it_is_sampled_of() {
    for restarts in [false, true] {
        let mut world = sampled_of_the_first();
        world.set("a", Mood::Allows(20.0 * MB, OTHERS));
        world.run(12 * MINUTE);
        if restarts {
            world.restart();
        }
        world.run(MINUTE);
        assert_eq!(world.standing("a"), Standing::Live);
        world.set("a", Mood::Stalls);
        let seen = world.until("its fall", |world| world.standing("a") == Standing::Rejected);
        assert!(seen <= 12 * MINUTE, "restarts {restarts}: seen after {seen:?}");
        kept(&world);
    }
}

#[test]
fn errors_are_over_for_a_mirror_too_that_then_refuses_what_it_is_sampled_of() {
    for restarts in [false, true] {
        let mut world = sampled_of_the_first();
        world.set("a", Mood::Errors);
        world.until("its fall", |world| world.standing("a") == Standing::Rejected);
        world.run(20 * MINUTE);
        if restarts {
            world.restart();
        }
        world.set("a", Mood::Allows(20.0 * MB, OTHERS));
        let back = world.until("its return", |world| world.standing("a") == Standing::Live);
        // Six of ten refusals are gone, so that the first rehearsal waits for a fifth of two days.
        assert!(back <= 12 * HOUR, "restarts {restarts}: back after {back:?}");
        kept(&world);
    }
}
