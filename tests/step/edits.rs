//! What an edit of mirrors.toml, or a look at the engine, which tells all of it again, does to what is under way.

use mirrorwatch::daemon::step::{Event, Settings};
use mirrorwatch::mirror::Mirror;
use mirrorwatch::ranking::record::{Record, Standing};

use super::budget::{HOUR, MINUTE};
use super::mood::{MB, Mood};
use super::world::{UPSTREAM, World, healthy, mirror, settings};

fn configure(world: &mut World, settings: Settings, candidates: Vec<Mirror>) {
    let candidates = candidates.into_iter().map(|mirror| (mirror, Record::default())).collect();
    world.tell(Event::Configured { settings: Box::new(settings), candidates });
}

fn all() -> Vec<Mirror> {
    healthy().iter().map(|(name, _)| mirror(name)).collect()
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
