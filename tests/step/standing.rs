//! Who leads, who leaves and who comes back.

use std::time::Duration;

use mirrorwatch::daemon::step::{EngineView, Event, Proof};
use mirrorwatch::mirror::Mirror;
use mirrorwatch::observation::{Depth, Observation};
use mirrorwatch::ranking::record::{Record, Standing};
use mirrorwatch::reason::{ChangeKind, ProblemKind};

use super::manners::twenty_images;
use super::mood::{MB, Mood};
use super::world::{UPSTREAM, World, healthy, mirror, settings, url};

#[test]
fn the_first_list_is_in_place_before_the_slowest_time_out() {
    let mut world = World::new(&[healthy()[0], healthy()[1], healthy()[2], ("hangs", Mood::Hangs)]);
    let first = world.until("the first list", |world| !world.list().is_empty());
    assert!(first < Duration::from_secs(1), "{first:?}");
    world.run(Duration::from_secs(60));
    assert_eq!(world.list(), ["a", "b", "c"]);
    assert_eq!(world.applies[0].change.kind, ChangeKind::First);
    assert!(!world.state.first_round);
}

#[test]
fn the_round_s_end_revises_the_first_list_once_free_of_hold_and_rounds() {
    let mut world = World::new(&[healthy()[1], healthy()[2], healthy()[3], ("late", Mood::Hangs)]);
    world.until("the first list", |world| !world.list().is_empty());
    assert_eq!(world.list(), ["b", "c", "d"]);
    // What hung while the others answered turns out to be the best; nobody waits an hour for it.
    let rehearsed = Duration::from_secs(9);
    world.run(rehearsed);
    let mut served = Observation::new(world.now, Depth::Rehearse);
    served.bytes_per_second = Some(50.0 * MB);
    served.stages.layer = Some(Duration::from_millis(10));
    served.stages.manifest = Some(Duration::from_millis(20));
    world.tell(Event::Observed { url: url("late"), observation: Box::new(served) });
    world.run(Duration::from_secs(1));
    assert_eq!(world.list(), ["late", "b", "c"]);
    assert_eq!(world.applies.len(), 2);
}

#[test]
fn a_leader_that_dies_leaves_within_one_connect_interval_and_the_re_checks() {
    let mut world = World::new(&healthy());
    world.run(Duration::from_secs(3600));
    world.set("a", Mood::Dead);
    let gone = world.until("a list without it", |world| world.list() == ["b", "c", "d"]);
    assert!(gone <= Duration::from_secs(60 + 2 * 2 + 1), "{gone:?}");
    assert_eq!(world.applies.last().unwrap().change.kind, ChangeKind::MemberRejected);
}

#[test]
fn a_leader_that_stalls_in_a_layer_leaves_within_one_sample_interval_and_the_re_checks() {
    let mut world = World::new(&healthy());
    world.run(Duration::from_secs(3600));
    world.set("a", Mood::Stalls);
    let gone = world.until("a list without it", |world| world.list() == ["b", "c", "d"]);
    assert!(gone <= Duration::from_secs(600 + 3 * 5 + 2 * 2 + 1), "{gone:?}");
}

#[test]
fn whenever_a_leader_begins_to_stall_it_leaves_within_one_sample_interval_and_the_re_checks() {
    // A schedule on which rehearsals fall due among the re-checks of samples.
    let mut quick = settings(false);
    quick.pace.connect = Duration::from_secs(10);
    quick.pace.sample = Duration::from_secs(20);
    quick.pace.rehearse = Duration::from_secs(40);
    quick.pace.decide = Duration::from_secs(10);
    quick.policy.decide = Duration::from_secs(10);
    let allowance = &mut quick.allowance;
    (allowance.requests_per_minute, allowance.requests_per_day) = (10_000, 10_000_000);
    (allowance.bytes_per_day, allowance.total_bytes_per_day) = (1 << 50, 1 << 50);
    for tenths in 0..80 {
        let mut world = World::new(&healthy());
        let candidates = healthy().map(|(name, _)| (mirror(name), Record::default()));
        world.tell(Event::Configured { settings: Box::new(quick.clone()), candidates: candidates.into() });
        world.run(Duration::from_secs(600) + Duration::from_millis(500) * tenths);
        world.set("a", Mood::Stalls);
        let gone = world.until("a list without it", |world| world.list() == ["b", "c", "d"]);
        // Three stalls of five seconds, two pauses, and the apply.
        let since: Vec<_> = world.probes[&url("a")]
            .iter()
            .filter(|(at, _)| *at + gone + Duration::from_secs(30) > world.now)
            .map(|(at, depth)| (world.now.since(*at), *depth))
            .collect();
        assert!(gone <= Duration::from_secs(20 + 3 * 5 + 2 * 2 + 1), "{tenths}: {gone:?} {since:?}");
    }
}

#[test]
fn a_leader_that_recovers_comes_back_after_rise_and_margin_and_not_sooner() {
    let mut world = World::new(&healthy());
    world.run(Duration::from_secs(3600));
    world.set("a", Mood::Dead);
    world.until("a list without it", |world| !world.list().contains(&"a"));
    world.set("a", Mood::Serves(20.0 * MB));
    let from = world.now;
    let back = world.until("its return to the lead", |world| world.list() == ["a", "b", "c"]);
    // The re-checks within seconds were one bad moment: no growing pauses for them.
    assert!(back < Duration::from_secs(3 * 3600), "{back:?}");
    let good: Vec<_> = world.probes[&url("a")]
        .iter()
        .filter(|(at, depth)| *at > from && *depth == Depth::Rehearse)
        .collect();
    assert!(good.len() >= 3, "`rise` and `rounds` are rehearsals: {good:?}");
    assert!(
        good.windows(2).all(|pair| pair[1].0.since(pair[0].0) >= Duration::from_secs(9 * 60)),
        "{good:?}"
    );
}

#[test]
fn when_everybody_fails_together_nobody_is_blamed_and_nothing_is_changed() {
    let mut world = World::with(&healthy(), Some(Mood::Serves(0.2 * MB)));
    world.run(Duration::from_secs(3600));
    let (before, applies) = (world.list().join(" "), world.applies.len());
    for name in ["a", "b", "c", "d", UPSTREAM] {
        world.set(name, Mood::Dead);
    }
    let seen = world.until("the outage", |world| world.state.network.is_down());
    assert!(seen <= Duration::from_secs(62), "{seen:?}");
    world.run(Duration::from_secs(3600));
    assert!(["a", "b", "c", "d"].iter().all(|name| world.standing(name) == Standing::Live));
    for (name, mood) in healthy() {
        world.set(name, mood);
    }
    let over = world.until("its end", |world| !world.state.network.is_down());
    assert!(over <= Duration::from_secs(10), "{over:?}");
    world.run(Duration::from_secs(600));
    assert_eq!((world.list().join(" "), world.applies.len()), (before, applies));
}

#[test]
fn nothing_live_while_the_upstream_answers_makes_the_list_empty() {
    let mut world = World::with(&healthy(), Some(Mood::Serves(0.2 * MB)));
    world.run(Duration::from_secs(3600));
    for (name, _) in healthy() {
        world.set(name, Mood::Dead);
    }
    world.until("an empty list", |world| world.list().is_empty());
    assert_eq!(world.applies.last().unwrap().change.kind, ChangeKind::NothingLive);
}

#[test]
fn a_mirror_slower_than_the_upstream_is_of_no_use() {
    let mut world = World::with(&healthy(), Some(Mood::Serves(2.0 * MB)));
    world.run(Duration::from_secs(60));
    assert_eq!(world.list(), ["a", "b", "c"]);
    let mut world = World::with(&healthy()[2..], Some(Mood::Serves(2.0 * MB)));
    world.run(Duration::from_secs(60));
    assert_eq!(world.list(), ["c"]);
}

#[test]
fn paused_it_goes_on_probing_and_writes_nothing() {
    let mut world = World::new(&healthy());
    world.run(Duration::from_secs(60));
    let applies = world.applies.len();
    let end = world.now + Duration::from_secs(7200);
    world.tell(Event::Paused(Some(Some(end))));
    world.set("a", Mood::Dead);
    world.run(Duration::from_secs(3600));
    assert_eq!(world.standing("a"), Standing::Rejected);
    assert_eq!(world.applies.len(), applies);
    world.until("the end of the pause", |world| world.list() == ["b", "c", "d"]);
    assert!(world.now >= end);
}

/// A host that boots in another year learns the time a moment later, and `status` calls it paused from then on.
#[test]
fn a_pause_that_a_wrong_clock_has_ended_holds_again_when_the_clock_is_right() {
    let mut world = World::new(&healthy());
    world.run(Duration::from_secs(60));
    let (applies, now) = (world.applies.len(), world.now);
    let end = now + Duration::from_secs(7200);
    world.tell(Event::Paused(Some(Some(end))));
    for leap in [now + Duration::from_secs(10 * 365 * 86_400), now + Duration::from_secs(60)] {
        world.forget_plans();
        world.now = leap;
        world.tell(Event::Tick);
    }
    world.set("a", Mood::Dead);
    world.run(Duration::from_secs(3600));
    assert_eq!(world.standing("a"), Standing::Rejected);
    assert_eq!(world.applies.len(), applies);
    world.until("the end of the pause", |world| world.list() == ["b", "c", "d"]);
    assert!(world.now >= end);
}

#[test]
fn an_engine_that_is_away_gets_its_list_when_it_is_there() {
    let mut world = World::new(&healthy());
    world.tell(Event::Engine(EngineView::Problem(ProblemKind::NotRunning)));
    world.run(Duration::from_secs(3600));
    assert!(world.applies.is_empty());
    world.tell(Event::Engine(EngineView::Lists(Vec::new())));
    world.run(Duration::from_secs(1));
    assert_eq!(world.list(), ["a", "b", "c"]);
}

#[test]
fn an_engine_that_refuses_is_asked_again_with_growing_pauses() {
    let mut world = World::new(&healthy());
    world.engine = Err(ProblemKind::NotTaken);
    world.run(Duration::from_secs(24 * 3600));
    assert!(world.applies.len() > 5 && world.applies.len() < 40, "{}", world.applies.len());
    world.engine = Ok(Proof::Listed);
    world.until("the list", |world| world.list() == ["a", "b", "c"]);
}

#[test]
fn a_race_is_tried_again_after_a_second_and_one_that_does_not_end_ever_more_rarely() {
    let mut world = World::new(&healthy());
    world.engine = Err(ProblemKind::Raced);
    world.until("the first", |world| world.applies.len() == 1);
    world.run(Duration::from_secs(2));
    assert!(world.applies.len() >= 2, "{:?}", world.applies);
    world.run(Duration::from_secs(600));
    assert!(world.applies.len() <= 12, "{}", world.applies.len());
    world.engine = Ok(Proof::Listed);
    world.until("the list", |world| world.list() == ["a", "b", "c"]);
}

#[test]
fn what_the_engine_listed_before_stays_until_there_is_something_better() {
    let mut world = World::new(&[("a", Mood::Dead), ("b", Mood::Dead)]);
    world.tell(Event::Engine(EngineView::Lists(vec!["https://c.example".to_owned()])));
    world.run(Duration::from_secs(24 * 3600));
    assert!(world.applies.is_empty(), "{:?}", world.applies);
}

#[test]
fn a_list_that_somebody_else_changed_is_put_right() {
    let mut world = World::new(&healthy());
    world.run(Duration::from_secs(3600));
    world.tell(Event::Engine(EngineView::Lists(vec!["https://elsewhere.example".to_owned()])));
    assert_eq!(world.applies.last().unwrap().change.kind, ChangeKind::EngineDiffered);
}

#[test]
fn it_gives_way_for_an_hour_to_a_program_that_keeps_rewriting_the_list() {
    let mut world = World::new(&healthy());
    world.run(Duration::from_secs(3600));
    for _ in 0..10 {
        world.tell(Event::Engine(EngineView::Lists(vec!["https://elsewhere.example".to_owned()])));
        world.run(Duration::from_secs(60));
    }
    let contests =
        world.applies.iter().filter(|apply| apply.change.kind == ChangeKind::EngineDiffered).count();
    assert_eq!(contests, 3);
    assert!(world.state.contested(world.now));
    world.run(Duration::from_secs(3600));
    assert!(!world.state.contested(world.now));
}

/// What `restore` puts back, and what somebody edits while it is paused.
#[test]
fn what_changed_before_a_resume_or_by_hand_is_not_counted_as_another_programs() {
    let mut world = World::new(&healthy());
    world.run(Duration::from_secs(3600));
    let elsewhere = || Event::Engine(EngineView::Lists(vec!["https://elsewhere.example".to_owned()]));
    let differed = |world: &World| {
        world.applies.iter().filter(|apply| apply.change.kind == ChangeKind::EngineDiffered).count()
    };
    for turn in 1..=4 {
        world.tell(Event::Paused(Some(None)));
        world.tell(elsewhere());
        world.tell(Event::Paused(None));
        world.run(Duration::from_secs(60));
        assert_eq!(differed(&world), turn);
        assert!(world.state.treatment.contests.is_empty(), "{turn}");
    }
    // The pause was over before anybody saw it.
    for turn in 5..=8 {
        world.tell(Event::SwitchedByHand);
        world.tell(elsewhere());
        world.run(Duration::from_secs(60));
        assert_eq!(differed(&world), turn);
        assert!(world.state.treatment.contests.is_empty(), "{turn}");
    }
    // Once is not for ever.
    for _ in 0..10 {
        world.tell(elsewhere());
        world.run(Duration::from_secs(60));
    }
    assert_eq!(differed(&world), 8 + 3);
    assert!(world.state.contested(world.now));
}

#[test]
fn a_list_that_was_ours_after_a_switch_by_hand_and_is_not_any_more_is_counted() {
    let mut world = World::new(&healthy());
    world.run(Duration::from_secs(3600));
    world.tell(Event::SwitchedByHand);
    let listed = world.state.wanted(&world.state.list);
    world.tell(Event::Engine(EngineView::Lists(listed)));
    world.tell(Event::Engine(EngineView::Lists(vec!["https://elsewhere.example".to_owned()])));
    assert_eq!(world.state.treatment.contests.len(), 1);
}

#[test]
fn who_resumes_wants_the_service_back_at_work_also_where_it_gave_way() {
    let mut world = World::new(&healthy());
    world.run(Duration::from_secs(3600));
    for _ in 0..10 {
        world.tell(Event::Engine(EngineView::Lists(vec!["https://elsewhere.example".to_owned()])));
        world.run(Duration::from_secs(60));
    }
    assert!(world.state.contested(world.now) && !world.state.in_place());
    world.tell(Event::Paused(Some(None)));
    assert!(world.state.contested(world.now));
    world.tell(Event::Paused(None));
    world.run(Duration::from_secs(60));
    assert!(!world.state.contested(world.now) && world.state.in_place());
}

#[test]
fn a_list_whose_reload_is_left_to_others_is_written_once_and_is_not_in_place_yet() {
    let mut world = World::new(&healthy());
    world.engine = Ok(Proof::Awaited);
    world.run(Duration::from_secs(600));
    assert_eq!(world.applies.len(), 1, "{:?}", world.applies);
    assert!(!world.state.in_place());
    let listed = world.state.wanted(&world.state.list);
    world.tell(Event::Engine(EngineView::Lists(listed)));
    assert!(world.state.in_place());
}

#[test]
fn a_mirror_of_another_registry_is_never_asked_and_never_listed() {
    let mut world = World::new(&healthy());
    let other = Mirror { upstream: "quay.io".to_owned(), ..mirror("quay") };
    world.set("quay", Mood::Serves(99.0 * MB));
    let mut candidates: Vec<_> = ["a", "b"].map(|name| (mirror(name), Record::default())).into();
    candidates.push((other, Record::default()));
    world.tell(Event::Configured { settings: Box::new(settings(false)), candidates });
    world.run(Duration::from_secs(3600));
    assert_eq!(world.list(), ["a", "b"]);
    assert!(!world.probes.contains_key(&url("quay")));
}

#[test]
fn every_image_has_its_turn_in_the_rehearsals() {
    let mut world = World::new(&healthy());
    let images: Vec<_> = ["a/one", "a/two", "a/three"].map(|image| image.parse().unwrap()).into();
    let mut changed = settings(false);
    changed.policy.images.clone_from(&images);
    let candidates = healthy().map(|(name, _)| (mirror(name), Record::default()));
    world.tell(Event::Configured { settings: Box::new(changed), candidates: candidates.into() });
    world.run(Duration::from_secs(8 * 3600));
    for track in world.state.tracks.values() {
        let coverage = track.record.coverage(&images).unwrap();
        assert_eq!((coverage.served, coverage.of), (3, 3), "{}", track.mirror.name);
    }
}

#[test]
fn every_image_has_its_turn_also_on_a_host_that_is_restarted_every_few_hours() {
    let mut world = World::new(&healthy());
    let mut changed = settings(false);
    changed.policy.images = twenty_images();
    let candidates = healthy().map(|(name, _)| (mirror(name), Record::default()));
    world.tell(Event::Configured { settings: Box::new(changed), candidates: candidates.into() });
    for _ in 0..20 {
        world.run(Duration::from_secs(6 * 3600));
        world.restart();
    }
    for (name, _) in healthy() {
        let coverage = world.state.tracks[&url(name)].record.coverage(&twenty_images()).unwrap();
        assert_eq!(coverage.of, 20, "{name}");
    }
}

#[test]
fn a_candidate_that_is_taken_out_leaves_the_list() {
    let mut world = World::new(&healthy());
    world.run(Duration::from_secs(3600));
    let candidates = ["b", "c", "d"].map(|name| (mirror(name), Record::default()));
    let settings = Box::new(settings(false));
    world.tell(Event::Configured { settings, candidates: candidates.into() });
    world.run(Duration::from_secs(1));
    assert_eq!(world.list(), ["b", "c", "d"]);
    assert_eq!(world.standing("d"), Standing::Live, "the others keep their records");
}

#[test]
fn where_a_samples_layer_is_gone_a_rehearsal_finds_another_and_not_at_once() {
    let mut world = World::new(&healthy());
    world.samples_find_nothing = true;
    world.run(Duration::from_secs(3600));
    for (url, probes) in &world.probes {
        for pair in probes.windows(2) {
            assert!(pair[1].0.since(pair[0].0) >= Duration::from_secs(1), "{url}: {pair:?}");
        }
        let beyond: Vec<Depth> =
            probes.iter().map(|(_, depth)| *depth).filter(|depth| *depth != Depth::Connect).collect();
        let twice = beyond.windows(2).any(|pair| pair == [Depth::Sample, Depth::Sample]);
        assert!(!twice, "{url}: each sample that found nothing is followed by a rehearsal: {beyond:?}");
    }
    let probes = &world.probes[&url("a")];
    assert!(probes.iter().any(|(_, depth)| *depth == Depth::Sample) && probes.len() < 80, "{probes:?}");
}

#[test]
fn a_samples_layer_that_is_gone_after_a_restart_is_held_against_nobody_and_forgotten() {
    let mut world = World::new(&healthy());
    world.run(Duration::from_secs(3600));
    world.restart();
    world.probes.clear();
    world.samples_find_nothing = true;
    world.run(Duration::from_secs(660));
    for name in ["a", "b", "c"] {
        let record = &world.state.tracks[&url(name)].record;
        assert!(record.standing() == Standing::Live && record.failing().is_none(), "{name}: {record:?}");
        let beyond = world.probes[&url(name)].iter().filter(|(_, depth)| *depth != Depth::Connect);
        let beyond: Vec<Depth> = beyond.map(|(_, depth)| *depth).collect();
        assert_eq!(beyond, [Depth::Sample, Depth::Rehearse], "{name}: it is forgotten, and another is found");
    }
}

/// A host that has pulled something else since, and one whose images are not known yet after a start.
#[test]
fn samples_are_taken_of_an_image_that_mirrors_are_not_asked_for_any_more() {
    let mut world = World::new(&healthy());
    world.run(Duration::from_secs(3600));
    let rehearsed = world.state.tracks[&url("a")].record.last(Depth::Rehearse);
    world.state.settings.policy.images = vec!["another/image".parse().unwrap()];
    world.restart();
    world.run(Duration::from_secs(1200));
    let record = &world.state.tracks[&url("a")].record;
    assert!(record.last(Depth::Sample) > Some(world.now - Duration::from_secs(660)));
    assert_eq!(record.last(Depth::Rehearse), rehearsed, "none stood for a sample");
}

#[test]
fn equal_mirrors_never_swap_and_a_day_stays_within_the_budget() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let equal: Vec<(&str, Mood)> = names.iter().map(|name| (*name, Mood::Serves(5.0 * MB))).collect();
    let mut world = World::new(&equal);
    world.run(Duration::from_secs(24 * 3600));
    assert_eq!(world.applies.len(), 1, "{:?}", world.applies);
    let selected = world.state.list.clone();
    for (url, track) in &world.state.tracks {
        let spent = track.record.spent(world.now);
        let (requests, mebibytes) = if selected.contains(url) { (400, 24) } else { (120, 13) };
        assert!(spent.requests_today <= requests, "{url}: {spent:?}");
        assert!(spent.bytes_today <= mebibytes << 20, "{url}: {spent:?}");
    }
}

/// How often the list changes in two days of equal mirrors whose every rehearsal varies so much, once the first round
/// is over.
fn changes_among_equals(margin: f64, noise: f64, seed: u64) -> usize {
    let names = ["a", "b", "c", "d", "e", "f"];
    let mut world = World::new(&[]);
    world.seed = seed;
    for name in names {
        world.set(name, Mood::Varies(5.0 * MB, noise));
    }
    let candidates = names.iter().map(|name| (mirror(name), Record::default())).collect();
    let mut settings = settings(false);
    settings.policy.margin = margin;
    world.tell(Event::Configured { settings: Box::new(settings), candidates });
    world.run(Duration::from_secs(600));
    let first = world.applies.len();
    world.run(Duration::from_secs(48 * 3600));
    world.applies.len() - first
}

#[test]
fn with_a_margin_of_a_fifth_equal_mirrors_that_vary_by_a_tenth_never_swap_and_by_a_fifth_hardly_ever() {
    for seed in 0..4 {
        assert_eq!(changes_among_equals(0.2, 0.1, seed), 0, "seed {seed}");
    }
    // Of sixteen seeds three have one change: whoever is faster by margin in three rehearsals is believed.
    let changes: Vec<usize> = (0..4).map(|seed| changes_among_equals(0.2, 0.2, seed)).collect();
    assert!(changes.iter().sum::<usize>() <= 2, "{changes:?}");
}

#[test]
fn with_the_default_margin_equal_mirrors_that_vary_by_a_twentieth_never_swap_and_by_a_fifth_hardly_ever() {
    let margin = settings(false).policy.margin;
    let changes =
        |noise: f64| -> usize { (0..8).map(|seed| changes_among_equals(margin, noise, seed)).sum() };
    assert_eq!(changes(0.05), 0);
    // Of 24 seeds two have one change at a tenth, and at a fifth thirteen in these two days.
    assert!(changes(0.1) <= 1);
    assert!(changes(0.2) <= 5);
}
