//! Whatever has been spent, a leader that goes is noticed.

use std::time::Duration;

use mirrorwatch::daemon::step::{Event, Shift};
use mirrorwatch::observation::{Depth, Failure, Observation, Outcome, Spent, Stage};
use mirrorwatch::pull::{Seen, Sign};
use mirrorwatch::ranking::record::Standing;
use mirrorwatch::reason::FailureKind;

use super::budget::{DAY, HOUR, MINUTE};
use super::mood::{MB, Mood};
use super::world::{START, UPSTREAM, World, url};

const SECOND: Duration = Duration::from_secs(1);

fn four() -> World {
    let serves = |speed: f64| Mood::Serves(speed * MB);
    let mirrors = [("a", serves(20.0)), ("b", serves(8.0)), ("c", serves(3.0)), ("d", serves(1.0))];
    let mut world = World::with(&mirrors, Some(serves(0.3)));
    world.run(3 * HOUR);
    world
}

/// How long the head stays from now on in this mood.
fn gone(world: &World, mood: Mood) -> Duration {
    let mut world = world.clone();
    let (head, start) = (world.state.list[0].clone(), world.now);
    world.is(&head, mood);
    world.run_until(start + 4 * DAY, |world| !world.state.list.contains(&head));
    world.now.since(start)
}

/// The same where a pull hangs every ten minutes.
fn gone_with_pulls(world: &World, mood: Mood) -> Duration {
    let mut world = world.clone();
    let (head, start) = (world.state.list[0].clone(), world.now);
    world.is(&head, mood);
    while world.state.list.contains(&head) && world.now.since(start) < 4 * DAY {
        let seen = Seen::Silent { url: head.clone(), quiet_ms: 10_000, may_rest: false };
        world.tell(Event::Heard(Sign { at: world.now, seen }));
        let until = world.now + 10 * MINUTE;
        world.run_until(until, |world| !world.state.list.contains(&head));
    }
    world.now.since(start)
}

fn refusals(world: &World, name: &str) -> u32 {
    world.state.tracks[&url(name)].record.spent(world.now).refusals_2_days
}

#[test]
fn refusals_that_were_asked_for_by_hand_leave_the_service_some_of_its_own() {
    let mut world = four();
    for _ in 0..5 {
        world.run(2 * MINUTE);
        for name in ["a", "b", "c", "d"] {
            let mut seen = Observation::new(world.now, Depth::Rehearse);
            seen.image = Some("org/private:latest".parse().unwrap());
            let failure =
                Failure { kind: FailureKind::NotFound, stage: Stage::Manifest, detail: String::new() };
            seen.outcome = Outcome::Failed(failure);
            seen.spent = Spent { requests: 4, refusals: 2, bytes: 8000 };
            world.tell(Event::Overheard { url: url(name), observations: vec![seen] });
        }
    }
    let gone = gone(&world, Mood::Stalls);
    assert!(gone < 15 * MINUTE, "{gone:?}");
}

#[test]
fn a_service_that_was_stopped_in_mid_rehearsal_holds_no_refusals_against_a_mirror_that_never_refused() {
    let mut world = four();
    for _ in 0..5 {
        world.until("a rehearsal", |world| world.state.tracks[&url("a")].in_flight == Some(Depth::Rehearse));
        world.restart();
    }
    assert_eq!(refusals(&world, "a"), 0);
    let gone = gone(&world, Mood::Stalls);
    assert!(gone < 15 * MINUTE, "{gone:?}");
}

#[test]
fn a_leader_whose_refusals_are_spent_goes_with_the_failure_that_spent_them() {
    let mut world = four();
    world.set("a", Mood::Flaps(90 * MINUTE, 20.0 * MB));
    for hour in 0..48 {
        world.run(HOUR);
        if world.state.list.first() != Some(&url("a")) {
            continue;
        }
        for mood in [Mood::Stalls, Mood::Errors] {
            let gone = gone_with_pulls(&world, mood);
            assert!(gone < 30 * MINUTE, "hour {hour}: {mood:?} {gone:?} {}", refusals(&world, "a"));
        }
    }
}

/// Nothing may be asked any more, and so the pulls alone decide.
#[test]
fn pulls_that_hang_are_believed_where_no_probe_may_ask() {
    let mut world = four();
    world.state.settings.allowance.requests_per_day = 0;
    let gone = gone_with_pulls(&world, Mood::Stalls);
    assert!(gone <= 21 * MINUTE, "{gone:?}");
}

#[test]
fn rehearsals_of_all_leave_those_of_the_list_a_part_of_the_total() {
    let names: Vec<String> = (0..20).map(|number| format!("m{number}")).collect();
    let mirrors: Vec<(&str, Mood)> = (1_u32..)
        .zip(&names)
        .map(|(number, name)| (name.as_str(), Mood::Serves(f64::from(number) * MB)))
        .collect();
    let mut world = World::new(&mirrors);
    world.run(HOUR);
    for _ in 0..24 {
        world.tell(Event::Shifted(Shift::Route));
        world.run(15 * MINUTE);
    }
    let alone = gone(&world, Mood::Stalls);
    assert!(alone < 15 * MINUTE, "{alone:?}");
    let pulled = gone_with_pulls(&world, Mood::Stalls);
    assert!(pulled < MINUTE, "{pulled:?}");
}

#[test]
fn a_busy_host_does_not_forgive_a_dead_leader_for_ever() {
    let world = four();
    let gone = gone(&world, Mood::Starved(Duration::from_millis(550)));
    assert!(gone < 10 * MINUTE, "{gone:?}");
}

#[test]
fn who_is_looked_out_for_keeps_the_requests_of_the_rehearsals_that_bring_it_back() {
    for hours in [3, 9, 12, 15, 18, 20] {
        let mut world = four();
        world.set("a", Mood::Stalls);
        world.run(hours * HOUR);
        world.set("a", Mood::Serves(20.0 * MB));
        let start = world.now;
        world.run_until(start + DAY, |world| world.standing("a") == Standing::Live);
        let back = world.now.since(start);
        // The longest pause between two samples by then, and two rehearsals.
        assert!(back < 3 * HOUR, "{hours}: {back:?}");
    }
}

#[test]
fn a_host_that_is_busy_for_a_while_blames_nobody_when_one_answers_before_the_others() {
    let mut world = four();
    let before = world.applies.len();
    for name in ["a", "b", "c", "d", UPSTREAM] {
        world.set(name, Mood::Starved(Duration::from_millis(550)));
    }
    world.run(105 * SECOND);
    world.set("b", Mood::Serves(8.0 * MB));
    world.run(20 * SECOND);
    for (name, speed) in [("a", 20.0), ("c", 3.0), ("d", 1.0), (UPSTREAM, 0.3)] {
        world.set(name, Mood::Serves(speed * MB));
    }
    world.run(MINUTE);
    assert!(["a", "b", "c", "d"].iter().all(|name| world.standing(name) == Standing::Live));
    assert_eq!(world.applies.len(), before);
}

#[test]
fn failures_on_a_busy_host_with_good_hours_between_them_do_not_add_up() {
    let mut world = four();
    for burst in 0..5 {
        world.set("a", Mood::Starved(Duration::from_millis(550)));
        let (asked, until) = (world.probes[&url("a")].len(), world.now + 10 * MINUTE);
        world.run_until(until, |world| world.probes[&url("a")].len() >= asked + 3);
        world.set("a", Mood::Serves(20.0 * MB));
        world.run(6 * HOUR);
        assert_eq!(world.list()[0], "a", "{burst}");
    }
    let switches = world.applies.iter().filter(|apply| apply.at > START + 4 * HOUR).count();
    assert_eq!(switches, 0, "{:?}", world.applies);
}

#[test]
fn one_lost_connect_is_checked_again_also_where_more_refusals_are_spent_than_are_allowed() {
    let mut world = four();
    while refusals(&world, "a") < 3 {
        let (before, until) = (refusals(&world, "a"), world.now + HOUR);
        world.set("a", Mood::Errors);
        world.run_until(until, |world| refusals(world, "a") > before);
        world.set("a", Mood::Serves(20.0 * MB));
        world.run(HOUR);
    }
    world.state.settings.allowance = world.state.settings.allowance.part(4);
    let (asked, until) = (world.probes[&url("a")].len(), world.now + 2 * MINUTE);
    world.set("a", Mood::Dead);
    world.run_until(until, |world| world.probes[&url("a")].len() > asked);
    world.set("a", Mood::Serves(20.0 * MB));
    world.run(MINUTE);
    assert_eq!(world.standing("a"), Standing::Live);
}

#[test]
fn a_network_that_shifts_or_goes_every_minute_leaves_the_samples_of_a_day() {
    let mut shifting = four();
    let mut going = four();
    for _ in 0..12 * 60 {
        shifting.tell(Event::Shifted(Shift::Route));
        shifting.run(MINUTE);
        let all = [("a", 20.0), ("b", 8.0), ("c", 3.0), ("d", 1.0), (UPSTREAM, 0.3)];
        all.iter().for_each(|(name, _)| going.set(name, Mood::Dead));
        going.run(40 * SECOND);
        all.iter().for_each(|(name, speed)| going.set(name, Mood::Serves(speed * MB)));
        going.run(40 * SECOND);
    }
    for (what, world) in [("shifts", shifting), ("goes", going)] {
        let gone = gone(&world, Mood::Stalls);
        assert!(gone < 15 * MINUTE, "it {what}: {gone:?}");
    }
}

#[test]
fn pulls_that_fall_silent_every_minute_and_may_rest_leave_the_samples_of_a_day() {
    let mut world = four();
    for _ in 0..12 * 60 {
        let seen = Seen::Silent { url: url("a"), quiet_ms: 10_000, may_rest: true };
        world.tell(Event::Heard(Sign { at: world.now, seen }));
        world.run(MINUTE);
    }
    let gone = gone(&world, Mood::Stalls);
    assert!(gone < 15 * MINUTE, "{gone:?}");
}

/// At the usual pace its samples cost more than half of a day's requests.
#[test]
fn a_leader_whose_samples_cost_the_most_is_sampled_after_an_outage_as_others_are() {
    let serves = |speed: f64| Mood::Serves(speed * MB);
    let mut world = World::new(&[("a", Mood::Costs(20.0 * MB)), ("b", serves(8.0)), ("c", serves(3.0))]);
    world.run(30 * HOUR);
    for name in ["a", "b", "c"] {
        world.set(name, Mood::Dead);
    }
    world.run(MINUTE);
    assert!(world.state.network.is_down());
    let back = [("a", Mood::Stalls), ("b", serves(8.0)), ("c", serves(3.0))];
    back.iter().for_each(|(name, mood)| world.set(name, *mood));
    let gone = world.until("a list without it", |world| world.list() == ["b", "c"]);
    assert!(gone < 2 * MINUTE, "{gone:?}");
}
