//! How often an engine is reloaded, and how often one is asked that takes no list.

use std::time::Duration;

use mirrorwatch::daemon::step::{EngineView, Event, Settings};
use mirrorwatch::ranking::record::Record;
use mirrorwatch::reason::{ChangeKind, ProblemKind};

use super::budget::{DAY, HOUR};
use super::manners::twenty_images;
use super::mood::{MB, Mood};
use super::world::{World, healthy, mirror, settings};

#[test]
fn at_most_so_many_reloads_a_day_but_a_dead_head_always_passes() {
    let mut world = World::new(&healthy());
    let mut few = settings(false);
    few.allowance.reloads_per_day = 2;
    few.policy.hold = Duration::ZERO;
    few.policy.rounds = 1;
    let candidates: Vec<_> = healthy().iter().map(|(name, _)| (mirror(name), Record::default())).collect();
    world.tell(Event::Configured { settings: Box::new(few), candidates });
    // Every hour another order: only two reloads a day are made for it.
    for hour in 0..20 {
        for (place, name) in (0_u32..).zip(["a", "b", "c", "d"]) {
            let speed = 1 << ((hour + place) % 4);
            world.set(name, Mood::Serves(f64::from(speed) * MB));
        }
        world.run(HOUR);
    }
    assert_eq!(world.applies.len(), 2, "{:?}", world.applies);
    let head = world.list()[0].to_owned();
    world.set(&head, Mood::Dead);
    world.until("another head", |world| world.list()[0] != head);
    assert_eq!(world.applies.last().unwrap().change.kind, ChangeKind::MemberRejected);
    assert_eq!(world.applies.len(), 3);
    assert!(world.state.spares_reloads(world.now));
    assert_eq!(world.state.reloads_of_a_day(world.now), 3);
    assert_eq!(world.state.reloads_of_a_day(world.now + DAY), 0);
}

/// A look at the engine: it tells what mirrors.toml and the engine say, whether or not that is new.
fn look(world: &mut World, listed: &[&str], changed: impl FnOnce(&mut Settings)) {
    let mut now = settings(false);
    changed(&mut now);
    let candidates = listed.iter().map(|name| (mirror(name), Record::default())).collect();
    world.tell(Event::Configured { settings: Box::new(now), candidates });
    world.tell(Event::Engine(EngineView::Lists(Vec::new())));
}

#[test]
fn an_engine_that_cannot_be_given_its_list_is_asked_ever_more_rarely_however_often_it_is_looked_at() {
    let mirrors = healthy();
    let names = mirrors.map(|(name, _)| name);
    let mut world = World::new(&mirrors);
    world.engine = Err(ProblemKind::Unwritable);
    world.until("a first attempt", |world| !world.applies.is_empty());
    for _ in 0..1800 {
        world.run(Duration::from_secs(2));
        look(&mut world, &names, |_| {});
    }
    // After 30 s, a minute, two, ...
    assert!((5..=9).contains(&world.applies.len()), "{:?}", world.applies);

    let before = world.applies.len();
    world.tell(Event::Engine(EngineView::Problem(ProblemKind::BrokenFile)));
    look(&mut world, &names, |_| {});
    assert_eq!(world.applies.len(), before + 1, "what could be seen to be in the way is gone");

    world.run(Duration::from_secs(1));
    let before = world.applies.len();
    look(&mut world, &names, |settings| settings.policy.images = twenty_images());
    assert_eq!(world.applies.len(), before, "somebody pulled something");
    look(&mut world, &names, |settings| settings.policy.max = 2);
    world.run(Duration::from_secs(60));
    assert!(world.applies.len() > before, "an edit may have mended it");
}
