//! How soon a leader that fails while nobody pulls is replaced, on the default schedule, whenever it fails.

use std::time::Duration;

use mirrorwatch::daemon::step::{Event, Settings};
use mirrorwatch::ranking::record::Record;
use mirrorwatch::reason::FailureKind;

use super::budget::HOUR;
use super::mood::{MB, Mood};
use super::world::{START, UPSTREAM, World, healthy, mirror, settings, url};

/// The longest of twelve, five seconds apart, so that every part of a `connect` interval has its turn.
fn longest(mood: Mood) -> Duration {
    let gone = (0..12).map(|turn| {
        let mut world = World::new(&healthy());
        world.run(Duration::from_secs(3600 + 5 * turn));
        world.set("a", mood);
        world.until("a list without it", |world| world.list() == ["b", "c", "d"])
    });
    gone.max().unwrap()
}

#[test]
fn a_leader_that_refuses_connections_is_replaced_within_70_seconds() {
    let gone = longest(Mood::Dead);
    assert!(gone <= Duration::from_secs(70), "{gone:?}");
}

#[test]
fn a_leader_whose_packets_are_dropped_is_replaced_within_80_seconds() {
    let gone = longest(Mood::Fails(FailureKind::ConnectTimeout));
    println!("{gone:?}");
    assert!(gone > Duration::from_secs(9), "three time-outs: {gone:?}");
    assert!(gone <= Duration::from_secs(80), "{gone:?}");
}

#[test]
fn a_leader_that_stalls_is_replaced_within_10_minutes_30() {
    let gone = longest(Mood::Stalls);
    assert!(gone <= Duration::from_secs(630), "{gone:?}");
}

/// Every mirror is slower, and so the list is empty and the upstream leads.
#[test]
fn an_upstream_that_pulls_go_to_is_given_up_as_soon_as_a_leader() {
    for (mood, goal) in [
        (Mood::Dead, 70),
        (Mood::Fails(FailureKind::ConnectTimeout), 80),
        (Mood::Stalls, 630),
        (Mood::Errors, 630),
    ] {
        for turn in 0..6 {
            let mirrors = [("a", Mood::Serves(3.0 * MB)), ("b", Mood::Serves(2.0 * MB))];
            let mut world = World::with(&mirrors, Some(Mood::Serves(20.0 * MB)));
            world.run(Duration::from_secs(5 * 3600 + 10 * turn));
            assert!(world.list().is_empty());
            world.set(UPSTREAM, mood);
            let gone = world.until("a list", |world| world.list() == ["a", "b"]);
            assert!(gone <= Duration::from_secs(goal), "{mood:?}: {gone:?}");
        }
    }
}

#[test]
fn a_member_is_asked_each_minute_whatever_else_might_be_asked_with_it() {
    for seed in 0..20 {
        let mut world = World::new(&healthy());
        let changed = Settings { seed, ..settings(false) };
        let candidates = healthy().map(|(name, _)| (mirror(name), Record::default())).to_vec();
        world.tell(Event::Configured { settings: Box::new(changed), candidates });
        world.run(48 * HOUR);
        assert_eq!(world.list(), ["a", "b", "c"]);
        for name in ["a", "b", "c"] {
            let times: Vec<_> = world.probes[&url(name)].iter().map(|(at, _)| *at).collect();
            let gaps = times.windows(2).map(|pair| (pair[1].since(pair[0]), pair[0].since(START)));
            let (longest, at) = gaps.max().unwrap();
            assert!(
                longest <= Duration::from_secs(62),
                "{seed}, {name}: {longest:?}, {at:?} after the start"
            );
        }
    }
}

/// Each of its failures has others asked whether it is ours.
#[test]
fn an_upstream_that_is_out_of_reach_has_nobody_connected_to_each_minute() {
    let mirrors = ["a", "b", "c"].map(|name| (name, Mood::Allows(MB, &[])));
    let mut world = World::with(&mirrors, Some(Mood::Dead));
    world.run(HOUR);
    assert!(world.list().is_empty() && !world.state.network.is_down());
    world.probes.clear();
    world.run(12 * HOUR);
    let probes: usize = world.probes.values().map(Vec::len).sum();
    assert!(probes <= 100, "{probes}");
}
