//! What of our own network and clock does not fit into a file of `tests/days`.

use std::time::Duration;

use mirrorwatch::daemon::step::Event;
use mirrorwatch::ranking::record::Standing;
use mirrorwatch::reason::FailureKind;

use super::world::{MB, Mood, World, healthy};

const HOUR: Duration = Duration::from_secs(3600);
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

#[test]
fn a_captive_portal_for_mirrors_in_the_clear() {
    // The portal answers the connection, and every request with its page.
    let names = ["http://10.0.0.1:5000", "http://10.0.0.2:5000", "http://10.0.0.3:5000"];
    let serves: Vec<(&str, Mood)> = names.iter().map(|name| (*name, Mood::Serves(9.0 * MB))).collect();
    let mut world = World::new(&serves);
    world.run(HOUR);
    let applies = world.applies.len();
    for name in names {
        world.set(name, Mood::Fails(FailureKind::NotARegistry));
    }
    world.until("the outage", |world| world.state.network.is_down());
    world.run(2 * HOUR);
    assert!(world.state.network.is_down());
    assert!(names.iter().all(|name| world.standing(name) == Standing::Live));
    for name in names {
        world.set(name, Mood::Serves(9.0 * MB));
    }
    world.until("its end", |world| !world.state.network.is_down());
    assert_eq!(world.applies.len(), applies);
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
            let probes = &world.probes[&super::world::url(name)];
            assert!(
                (10..3000).contains(&probes.len()),
                "{years} years: {name} was asked {} times",
                probes.len()
            );
        }
    }
}
