//! What an edit of mirrors.toml, or a look at the engine, which tells all of it again, does to what is under way.

use std::time::Duration;

use mirrorwatch::daemon::step::{Event, Settings};
use mirrorwatch::mirror::Mirror;
use mirrorwatch::ranking::record::{Record, Standing};

use super::budget::{HOUR, MINUTE, kept};
use super::mood::{MB, Mood};
use super::world::{UPSTREAM, World, healthy, mirror, settings, url};

fn configure(world: &mut World, settings: Settings, candidates: Vec<Mirror>) {
    let candidates = candidates.into_iter().map(|mirror| (mirror, Record::default())).collect();
    world.tell(Event::Configured { settings: Box::new(settings), candidates });
}

fn all() -> Vec<Mirror> {
    healthy().iter().map(|(name, _)| mirror(name)).collect()
}

/// So that nobody has just answered.
fn wait_for_silence(world: &mut World) {
    let is_recent = |world: &World| {
        let last = world.probes.values().filter_map(|probes| probes.last()).map(|(at, _)| *at).max();
        last.is_some_and(|last| world.now.since(last) < Duration::from_secs(5))
    };
    while is_recent(world) {
        world.run(Duration::from_secs(1));
    }
}

#[test]
fn an_upstream_that_is_not_compared_for_a_while_has_one_budget_all_day() {
    let mut world = World::with(&healthy(), Some(Mood::Serves(0.3 * MB)));
    world.run(6 * HOUR);
    let spent = |world: &World| world.state.yardstick().unwrap().record.spent(world.now).requests_today;
    let before = spent(&world);
    assert!(before > 0);
    configure(&mut world, settings(false), all());
    world.run(MINUTE);
    // The second edit tells that it still is not.
    configure(&mut world, settings(false), all());
    configure(&mut world, settings(true), all());
    assert_eq!(spent(&world), before);
    assert_eq!(world.state.yardstick().unwrap().record.standing(), Standing::Live);
}

#[test]
fn candidates_that_come_and_go_have_one_total_together() {
    let names: Vec<String> = (1..=12).map(|number| format!("m{number}")).collect();
    let mirrors: Vec<(&str, Mood)> = names.iter().map(|name| (name.as_str(), Mood::Costs(MB))).collect();
    let mut world = World::with(&mirrors, Some(Mood::Serves(0.3 * MB)));
    let [mut one, mut other] = [true, false].map(settings);
    (one.allowance.total_bytes_per_day, other.allowance.total_bytes_per_day) = (16 << 20, 16 << 20);
    for _ in 0..6 {
        for (settings, half) in [(&one, &names[..6]), (&other, &names[6..])] {
            configure(&mut world, settings.clone(), half.iter().map(|name| mirror(name)).collect());
            world.run(3 * HOUR);
            // What is known of those that are no candidates now outlives this run.
            world.restart();
            world.run(2 * HOUR);
        }
    }
    kept(&world);
}

#[test]
fn a_candidate_that_is_the_upstream_itself_keeps_no_round_open() {
    for enabled in [true, false] {
        let mut world = World::with(&[("a", Mood::Serves(8.0 * MB))], Some(Mood::Serves(0.3 * MB)));
        let itself = Mirror { enabled, ..mirror(UPSTREAM) };
        configure(&mut world, settings(true), vec![mirror("a"), itself]);
        world.run(MINUTE);
        assert!(!world.state.first_round, "{enabled}");
        assert_eq!(world.list()[0], "a", "{enabled}");
        assert_eq!(world.state.yardstick().unwrap().record.standing(), Standing::Live, "{enabled}");
        let spent = world.state.yardstick().unwrap().record.spent(world.now);
        configure(&mut world, settings(true), vec![mirror("a")]);
        assert_eq!(world.state.yardstick().unwrap().record.spent(world.now), spent, "{enabled}");
    }
}

#[test]
fn a_failure_that_awaits_its_verdict_is_not_forgotten_for_a_look_at_the_engine() {
    let mut world = World::new(&healthy());
    world.run(HOUR);
    world.set("a", Mood::Stalls);
    world.until("a failure of which it is not known whose it is", |world| {
        world.state.network.suspects(&url("a"))
    });
    let failures = |world: &World| {
        let failing = world.state.tracks[&url("a")].record.failing();
        failing.map_or(0, |failing| failing.failures)
    };
    let before = failures(&world);
    configure(&mut world, settings(false), all());
    world.run(Duration::from_secs(1));
    assert_eq!(failures(&world), before + 1);
}

#[test]
fn a_failure_whose_only_witness_is_taken_out_does_not_await_its_verdict_for_ever() {
    let mut world = World::new(&healthy()[..2]);
    world.run(HOUR);
    wait_for_silence(&mut world);
    world.set("a", Mood::Dead);
    world.set("b", Mood::Hangs);
    world.until("a failure of which it is not known whose it is", |world| {
        world.state.network.suspects(&url("a"))
    });
    configure(&mut world, settings(false), vec![mirror("a")]);
    assert!(!world.state.network.suspects(&url("a")));
    world.set("a", Mood::Serves(20.0 * MB));
    world.run(MINUTE);
    assert!(!world.state.network.is_down());
    assert_eq!(world.list(), ["a"]);
}

#[test]
fn an_administrator_who_edits_keep_again_and_again_is_not_another_program_that_rewrites_the_list() {
    let mut world = World::new(&healthy());
    world.run(HOUR);
    for turn in 0..6 {
        let mut changed = settings(false);
        changed.keep = vec![url(&format!("kept{turn}"))];
        configure(&mut world, changed, all());
        world.run(MINUTE);
        assert!(world.state.in_place(), "edit {turn}: {:?}", world.state.engine);
    }
}
