//! What of our own network and clock does not fit into a scenario.

use std::collections::BTreeMap;
use std::time::Duration;

use mirrorwatch::daemon::step::{Event, Shift};
use mirrorwatch::observation::Depth;
use mirrorwatch::ranking::record::Standing;
use mirrorwatch::reason::FailureKind;

use super::budget::MINUTE;
use super::mood::{MB, Mood};
use super::world::{World, healthy, url};

const HOUR: Duration = Duration::from_secs(3600);
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

#[test]
fn a_night_without_a_network_is_not_written_down_all_night_long() {
    let mut world = World::new(&healthy());
    world.run(25 * HOUR);
    for name in NAMES {
        world.set(name, Mood::Dead);
    }
    world.until("the outage", |world| world.state.network.is_down());
    (world.saves, world.probes) = (0, BTreeMap::new());
    world.run(10 * HOUR);
    let knocks = world.probes.values().map(Vec::len).sum::<usize>();
    assert!(knocks > 20_000 && world.saves == 0, "{knocks} knocks, {} saves", world.saves);
}

/// Mirrors in the clear behind a portal that answers every connection, and every request with its page, for so long.
#[track_caller]
fn portal_in_the_clear(upstream: Option<Mood>, lasts: Duration) {
    let names = ["http://10.0.0.1:5000", "http://10.0.0.2:5000", "http://10.0.0.3:5000"];
    let serves: Vec<(&str, Mood)> = names.iter().map(|name| (*name, Mood::Serves(9.0 * MB))).collect();
    let mut world = World::with(&serves, upstream);
    world.run(25 * HOUR);
    let applies = world.applies.len();
    for name in names {
        world.set(name, Mood::Fails(FailureKind::NotARegistry));
    }
    world.until("the outage", |world| world.state.network.is_down());
    world.asked.clear();
    world.run(lasts);
    assert!(world.state.network.is_down(), "nobody has answered yet");
    assert!(names.iter().all(|name| world.standing(name) == Standing::Live));
    for name in names {
        let asked = world.asked.get(&url(name)).map_or(&[][..], Vec::as_slice);
        let requests: u32 = asked.iter().map(|one| one.spent.requests).sum();
        let hours = u32::try_from(lasts.as_secs().div_ceil(3600)).unwrap();
        assert!(requests <= 8 + 6 * hours, "{name}: {requests} requests in an outage of {lasts:?}");
        let spent = world.state.tracks[&url(name)].record.spent(world.now).requests_today;
        assert!(spent <= 300, "{name}: {spent} of 400 requests of the day are spent");
        world.set(name, Mood::Serves(9.0 * MB));
    }
    let end = world.until("its end", |world| !world.state.network.is_down());
    assert!(end <= lasts.min(Duration::from_secs(600)) + Duration::from_secs(10), "{end:?} after {lasts:?}");
    assert_eq!(world.applies.len(), applies);
}

#[test]
fn the_end_of_a_captive_portal_is_seen_in_the_clear_within_ten_minutes_however_long_it_lasted() {
    for lasts in [Duration::from_secs(60), HOUR, 30 * HOUR] {
        portal_in_the_clear(None, lasts);
    }
    // As where mirrors are needed most: nobody can prove it for free.
    portal_in_the_clear(Some(Mood::Hangs), 3 * HOUR);
}

#[test]
fn mirrors_in_the_clear_that_were_never_asked_see_the_end_of_a_portal_too() {
    let names = ["http://10.0.0.1:5000", "http://10.0.0.2:5000"];
    let portal = Mood::Fails(FailureKind::NotARegistry);
    let mut world = World::new(&names.map(|name| (name, portal)));
    world.run(26 * HOUR);
    assert!(world.state.network.is_down());
    for name in names {
        world.set(name, Mood::Serves(9.0 * MB));
    }
    let end = world.until("a list", |world| !world.list().is_empty());
    // Asked half as often as one that is selected, and then rehearsed at once.
    assert!(end <= Duration::from_secs(2 * 600 + 70), "{end:?}");
}

/// A mirror in the clear fails as behind a portal, and the only one that could tell whose failure that is rests for hours.
#[test]
fn no_suspicion_waits_for_a_witness_that_rests() {
    let [suspect, witness] = ["http://10.0.0.1:5000", "http://10.0.0.2:5000"];
    let mut world = World::new(&[(suspect, Mood::Serves(9.0 * MB)), (witness, Mood::Serves(5.0 * MB))]);
    world.run(HOUR);
    world.set(witness, Mood::Limits(Some(10 * HOUR)));
    world.until("its rest", |world| world.state.tracks[&url(witness)].record.resting(world.now).is_some());
    world.set(suspect, Mood::Fails(FailureKind::NotARegistry));
    world.until("a verdict", |world| world.state.network.is_down());
    world.set(suspect, Mood::Serves(9.0 * MB));
    let end = world.until("its end", |world| !world.state.network.is_down());
    assert!(end <= Duration::from_secs(610), "it is asked again: {end:?}");
    assert_eq!(world.standing(suspect), Standing::Live);
    assert_eq!(world.standing(witness), Standing::Rejected, "it still rests");
}

/// Eight that rest do not take the places of those that can be asked.
#[test]
fn who_rests_is_no_witness_where_others_can_be_asked() {
    let names: Vec<String> = (1..=10).map(|number| format!("http://10.0.0.{number}:5000")).collect();
    let mirrors: Vec<(&str, Mood)> = names.iter().map(|name| (&**name, Mood::Serves(9.0 * MB))).collect();
    let mut world = World::new(&mirrors);
    world.run(HOUR);
    let suspect = world.state.list[0].to_string();
    let others: Vec<&String> = names.iter().filter(|name| **name != suspect).collect();
    let (last, resting) = others.split_last().unwrap();
    for name in resting {
        world.set(name, Mood::Limits(Some(20 * HOUR)));
    }
    world.until("their rest", |world| {
        resting.iter().all(|name| world.state.tracks[&url(name)].record.resting(world.now).is_some())
    });
    assert_eq!(world.standing(last), Standing::Live);
    // It is among the last that are asked, for it has just failed.
    world.set(last, Mood::Stalls);
    world.until("its fall", |world| world.standing(last) == Standing::Rejected);
    world.set(last, Mood::Serves(9.0 * MB));
    world.set(&suspect, Mood::Fails(FailureKind::NotARegistry));
    let gone = world.until("a verdict", |world| world.standing(&suspect) == Standing::Rejected);
    assert!(gone <= Duration::from_secs(600 + 70), "{gone:?}");
    assert!(!world.state.network.is_down());
}

#[test]
fn a_clock_that_is_set_by_years_ends_in_one_round_and_no_budget_is_stuck() {
    for years in [-10_i64, 10] {
        let mut world = World::new(&healthy());
        world.run(3 * HOUR);
        let list = world.list().join(" ");
        let by = Duration::from_secs(years.unsigned_abs() * 365 * 86_400);
        // What was planned came from a clock that is no more.
        world.forget_plans();
        world.now = if years < 0 { world.now - by } else { world.now + by };
        world.probes.clear();
        world.tell(Event::Tick);
        world.run(Duration::from_secs(30));
        let asked = world.probes.len();
        assert!(asked >= 3, "{years} years: a fresh round, {asked} asked");
        world.run(24 * HOUR);
        assert_eq!(world.list().join(" "), list);
        for name in NAMES {
            assert_eq!(world.standing(name), Standing::Live, "{years} years: {name}");
            let probes = &world.probes[&url(name)];
            assert!(
                (10..3000).contains(&probes.len()),
                "{years} years: {name} was asked {} times",
                probes.len()
            );
        }
    }
}

#[test]
fn an_outage_names_who_failed_first_so_that_it_is_not_taken_for_another_on_the_same_host() {
    let [a, b] = ["http://10.0.0.7:5001", "http://10.0.0.7:5002"];
    let mut world = World::new(&[(a, Mood::Serves(20e6)), (b, Mood::Serves(8e6))]);
    world.run(Duration::from_secs(3600));
    for name in [a, b] {
        world.set(name, Mood::Dead);
    }
    world.until("an outage", |world| world.state.network.is_down());
    let detail = &world.state.network.outage().unwrap().detail;
    assert!(detail.starts_with("first 10.0.0.7:500"), "{detail}");
}

/// A laptop whose own mirror is behind a VPN: either that one serves, or the others do, and the upstream never.
#[test]
fn whoever_goes_from_one_network_to_another_has_a_mirror_that_serves_within_minutes() {
    let there = [("own", Mood::Serves(5.0 * MB)), ("a", Mood::Dead), ("b", Mood::Dead), ("c", Mood::Dead)];
    for hours in [1, 4, 12] {
        let mut world = World::with(&there, Some(Mood::Hangs));
        world.run(3 * HOUR);
        for turn in 0..16 {
            let at_home = turn % 2 == 0;
            let reached = |is_reached: bool| if is_reached { Mood::Serves(5.0 * MB) } else { Mood::Hangs };
            world.set("own", reached(!at_home));
            ["a", "b", "c"].iter().for_each(|name| world.set(name, reached(at_home)));
            world.tell(Event::Shifted(Shift::Route));
            let start = world.now;
            world.run_until(start + hours * HOUR, |world| {
                world.list().first().is_some_and(|head| (*head == "own") != at_home)
            });
            let without = world.now.since(start);
            assert!(
                without < 2 * MINUTE,
                "turn {turn} after {hours} h: {without:?} without a mirror that serves"
            );
            world.run(hours * HOUR - without);
        }
    }
}

/// As after waking up, and two minutes later a VPN.
#[test]
fn the_last_of_several_networks_has_its_round_too() {
    let mut world = World::with(&healthy(), Some(Mood::Hangs));
    world.run(5 * HOUR);
    assert_eq!(world.list(), ["a", "b", "c"]);
    world.tell(Event::Shifted(Shift::Woke));
    world.run(2 * MINUTE);
    world.probes.clear();
    world.tell(Event::Shifted(Shift::Route));
    let rehearsed = |world: &World| {
        let asked = |name: &str| world.probes.get(&url(name)).into_iter().flatten();
        NAMES.iter().all(|name| asked(name).any(|(_, depth)| *depth == Depth::Rehearse))
    };
    let after = world.until("a round", rehearsed);
    assert!(after <= 12 * MINUTE, "{after:?}");
}
