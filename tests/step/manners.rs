//! Good manners: what every kind of mirror is asked in days, counted by the mirrors.

use std::time::Duration;

use mirrorwatch::daemon::step::Event;
use mirrorwatch::image::Image;
use mirrorwatch::observation::{Depth, Failure, Observation, REHEARSAL, Spent, Stage};
use mirrorwatch::pull::{Seen, Sign};
use mirrorwatch::ranking::record::Record;
use mirrorwatch::reason::FailureKind;

use super::budget::{DAY, HOUR, MINUTE, Worst, kept, total, worst};
use super::mood::{MB, Mood};
use super::world::{World, healthy, mirror, settings, url};

/// Every kind of mirror that is met in the wild.
fn every_kind() -> Vec<(&'static str, Mood)> {
    let serves = |speed: f64| Mood::Serves(speed * MB);
    vec![
        ("leader", serves(20.0)),
        ("second", serves(8.0)),
        ("third", serves(3.0)),
        // Near the third, so that the two contend without end.
        ("rival", serves(3.2)),
        ("slow", serves(0.5)),
        ("dead", Mood::Dead),
        ("blackhole", Mood::Hangs),
        ("allowlist", Mood::Allows(9.0 * MB, &["library/busybox:latest", "library/redis:7"])),
        ("nothing", Mood::Allows(9.0 * MB, &[])),
        ("limits", Mood::Limits(None)),
        ("limits-a-minute", Mood::Limits(Some(MINUTE))),
        ("limits-a-day", Mood::Limits(Some(DAY))),
        ("errors", Mood::Errors),
        ("nested", Mood::Nested),
        ("costs", Mood::Costs(2.5 * MB)),
        // One that could lead at every other rehearsal, and one that could have a place.
        ("leads-now-and-then", Mood::Wavers(12.0 * MB, 40.0 * MB)),
        ("placed-now-and-then", Mood::Wavers(2.0 * MB, 6.0 * MB)),
        ("stalls", Mood::Stalls),
        ("flaps-2m", Mood::Flaps(2 * MINUTE, 30.0 * MB)),
        ("flaps-30m", Mood::Flaps(30 * MINUTE, 30.0 * MB)),
        ("flaps-5h", Mood::Flaps(5 * HOUR, 30.0 * MB)),
    ]
}

/// The images of a host that has twenty.
pub(super) fn twenty_images() -> Vec<Image> {
    let others = (0..18).map(|number| format!("team/app{number}:1"));
    let known = ["library/busybox:latest".to_owned(), "library/redis:7".to_owned()];
    known.into_iter().chain(others).map(|image| image.parse().unwrap()).collect()
}

fn busy_host(mirrors: &[(&'static str, Mood)]) -> World {
    let mut world = World::with(mirrors, Some(Mood::Serves(0.3 * MB)));
    let mut changed = settings(true);
    changed.policy.images = twenty_images();
    let candidates = mirrors.iter().map(|(name, _)| (mirror(name), Record::default())).collect();
    world.tell(Event::Configured { settings: Box::new(changed), candidates });
    world
}

/// What this host's own pulls go through: most go well, and any place of the list may fail one, in any way.
fn pulled(world: &mut World, number: u32) {
    let list = world.state.list.clone();
    let Some(member) = list.get(usize::try_from(number).unwrap() % list.len().max(1)).cloned() else {
        return;
    };
    let left = |kind, stage| Failure { kind, stage, detail: String::new() };
    let seen = match number % 16 {
        0 => Seen::Left { url: member, failure: left(FailureKind::ConnectionRefused, Stage::Connect) },
        4 => Seen::Silent { url: member, quiet_ms: 10_000, may_rest: false },
        3 => Seen::Doubtful { detail: String::new() },
        9 => Seen::Left { url: member, failure: left(FailureKind::ServerError, Stage::Manifest) },
        14 => Seen::Crawling { url: member, bytes_per_second: 20e3 },
        7 => Seen::Absent { detail: String::new() },
        _ => Seen::Served { url: member, bytes: 30 << 20, bytes_per_second: Some(3.0 * MB) },
    };
    world.tell(Event::Heard(Sign { at: world.now, seen }));
}

#[test]
fn in_48_hours_no_mirror_of_any_kind_gets_more_than_its_budget() {
    let mut world = busy_host(&every_kind());
    // A restart forgets nothing: crashes, an upgrade, a loop of crashes.
    for hours in [1, 6, 11, 1, 5, 24] {
        for hour in 0..hours {
            for third in 0..3 {
                world.run(20 * MINUTE);
                pulled(&mut world, 3 * hour + third);
            }
        }
        world.restart();
        world.run(MINUTE);
        world.restart();
    }
    kept(&world);
    println!("{:>28} {:>7} {:>7} {:>9} {:>9}", "", "/minute", "/day", "refused", "MiB/day");
    for (url, asked) in &world.asked {
        let Worst { minute, day, two_days } = Worst::of(asked, &world.state.settings.allowance);
        println!(
            "{:>28} {:>7} {:>7} {:>9} {:>9.1}",
            url.host(),
            minute.requests,
            day.requests,
            two_days.refusals,
            f64::from(u32::try_from(day.bytes >> 10).unwrap()) / 1024.0
        );
    }
    for never in
        ["nothing", "limits", "limits-a-minute", "limits-a-day", "errors", "nested", "stalls", "dead"]
    {
        assert!(!world.list().contains(&never), "{:?}", world.list());
    }
    // Who was never chosen costs less, however often it might have been.
    for (url, asked) in &world.asked {
        let name = url.host().trim_end_matches(".example").to_owned();
        if world.applies.iter().all(|apply| !apply.list.contains(&name)) {
            let day = worst(asked, DAY);
            assert!(day.requests <= 120 && day.bytes <= 13 << 20, "{name}: {day:?}");
        }
    }
}

#[test]
fn a_mirror_that_is_never_chosen_is_asked_a_third_of_what_a_chosen_one_is() {
    let mut world = busy_host(&healthy());
    world.run(2 * DAY);
    assert_eq!(world.list(), ["a", "b", "c"]);
    kept(&world);
    let last = worst(&world.asked[&url("d")], DAY);
    assert!(last.requests <= 120 && last.bytes <= 13 << 20, "{last:?}");
    let first = worst(&world.asked[&url("a")], DAY);
    assert!(first.requests > 144, "a chosen one is sampled: {first:?}");
}

#[test]
fn a_schedule_that_the_budgets_do_not_carry_becomes_what_check_says_of_it() {
    for (requests, mebibytes, total, sample) in
        [(400, 24, 256, MINUTE), (100, 24, 256, MINUTE), (4000, 1024, 48, 10 * MINUTE)]
    {
        let mut world = World::new(&healthy());
        let mut changed = settings(false);
        (changed.pace.rehearse, changed.pace.sample) = (MINUTE, sample);
        changed.allowance.requests_per_day = requests;
        changed.allowance.bytes_per_day = mebibytes << 20;
        changed.allowance.total_bytes_per_day = total << 20;
        let allowance = changed.allowance.clone();
        let candidates = healthy().iter().map(|(name, _)| (mirror(name), Record::default())).collect();
        world.tell(Event::Configured { settings: Box::new(changed), candidates });
        world.run(3 * DAY);
        let pause = |name: &str, depth: Depth| {
            let probes = world.probes[&url(name)].iter();
            let count =
                probes.filter(|(at, asked)| *asked == depth && world.now.since(*at) < 2 * DAY).count();
            2 * DAY / u32::try_from(count.max(1)).unwrap()
        };
        let rehearsed = allowance.rehearsals(healthy().len()).every;
        let sampled = allowance.samples().every.max(sample);
        let is_about = |seen: Duration, said: Duration| seen > said.mul_f64(0.95) && seen < said.mul_f64(1.6);
        for (name, depth, said) in [("d", Depth::Rehearse, rehearsed), ("a", Depth::Sample, sampled)] {
            let seen = pause(name, depth);
            assert!(
                is_about(seen, said),
                "{requests}, {mebibytes}: {depth:?} each {seen:?} and not {said:?}"
            );
        }
    }
}

#[test]
fn who_has_left_the_list_is_watched_and_asked_no_more_than_who_never_stood_there() {
    let mut world = busy_host(&healthy());
    world.run(DAY);
    assert_eq!(world.list()[0], "a");
    // Only a request shows whether it still stalls, so one is sent as often as to a member for some hours, and then with
    // growing pauses; then it contends.
    world.set("a", Mood::Stalls);
    world.until("a has left", |world| !world.list().contains(&"a"));
    let left = world.now;
    world.run(18 * HOUR);
    world.set("a", Mood::Wavers(1.0 * MB, 8.0 * MB));
    world.run(8 * HOUR);
    kept(&world);
    // The hour in which it left is still a member's.
    let since: Vec<_> =
        world.asked[&url("a")].iter().copied().filter(|one| one.from.since(left) >= HOUR).collect();
    let soon = since.windows(2).filter(|pair| pair[1].from.since(pair[0].from) <= 10 * MINUTE).count();
    assert!(soon >= 25, "it is watched: {soon}");
    let day = worst(&since, DAY);
    assert!(day.requests <= 120 && day.bytes <= 13 << 20, "{day:?}");
}

#[test]
fn who_contends_without_end_is_asked_no_more_than_others_that_are_not_chosen() {
    // At every other rehearsal it is twice as fast as the last of the list, and never thrice in a row.
    let mut world =
        World::new(&[healthy()[0], healthy()[1], healthy()[2], ("d", Mood::Wavers(6.0 * MB, 2.0 * MB))]);
    world.run(2 * DAY);
    assert!(world.applies.iter().all(|apply| !apply.list.contains(&"d".to_owned())), "{:?}", world.applies);
    kept(&world);
    let day = worst(&world.asked[&url("d")], DAY);
    assert!(day.requests <= 120 && day.bytes <= 13 << 20, "{day:?}");
    let quickly = world.probes[&url("d")].windows(2).filter(|pair| pair[1].0.since(pair[0].0) <= 10 * MINUTE);
    assert!(quickly.count() >= 4, "and it is asked soon again when it may win");
}

#[test]
fn however_it_came_into_the_list_a_member_is_sampled_all_day() {
    // For a day it could lead at every other rehearsal, and is asked for it as often as it may be; then it does lead.
    let mut world =
        World::new(&[healthy()[0], healthy()[1], healthy()[2], ("d", Mood::Wavers(12.0 * MB, 40.0 * MB))]);
    world.run(DAY);
    world.set("d", Mood::Serves(40.0 * MB));
    world.until("it leads", |world| world.list()[0] == "d");
    let began = world.now;
    world.run(DAY);
    assert_eq!(world.list()[0], "d");
    let looked = world.probes[&url("d")].iter().filter(|(at, depth)| *at >= began && *depth >= Depth::Sample);
    let looked: Vec<_> = std::iter::once(began).chain(looked.map(|(at, _)| *at)).collect();
    let longest = looked.windows(2).map(|pair| pair[1].since(pair[0])).max().unwrap();
    assert!(longest <= 20 * MINUTE, "not looked at for {longest:?}");
}

#[test]
fn over_budget_is_who_is_due_and_has_to_wait_long_before_the_day_s_last_request() {
    let mut world = World::new(&healthy());
    world.run(3 * HOUR);
    let over = |world: &World, name: &str| world.state.is_over_budget(&url(name), world.now);
    assert!(["a", "b", "c", "d"].iter().all(|name| !over(&world, name)));
    // Somebody probes by hand, again and again.
    for name in ["a", "d"] {
        for _ in 0..12 {
            let mut seen = Observation::new(world.now, Depth::Rehearse);
            seen.spent = Spent { requests: 7, refusals: 0, bytes: 1 << 20 };
            (seen.bytes_per_second, seen.image) = (Some(MB), "library/busybox".parse().ok());
            world.tell(Event::Overheard { url: url(name), observations: vec![seen] });
        }
    }
    assert!(!over(&world, "d"), "it is not due yet");
    world.run(2 * HOUR + MINUTE);
    let spent = world.state.tracks[&url("d")].record.spent(world.now);
    assert!(spent.requests_today < 200 && spent.bytes_today < 20 << 20, "{spent:?}");
    assert!(over(&world, "d"), "it waits for its part, which is smaller than the whole");
    assert!(!over(&world, "a"), "who is selected has more");
    world.probes.clear();
    world.until("a rehearsal", |world| world.probes.contains_key(&url("d")));
    assert!(!over(&world, "d"));
}

#[test]
fn the_bytes_of_all_together_stay_within_the_total() {
    let names: Vec<String> = (1..=40).map(|number| format!("m{number}")).collect();
    let mirrors: Vec<(&str, Mood)> = (1_u32..)
        .zip(&names)
        .map(|(number, name)| (name.as_str(), Mood::Serves(f64::from(number) * MB)))
        .collect();
    let mut world = World::new(&mirrors);
    let mut tight = settings(false);
    tight.allowance.total_bytes_per_day = 100 << 20;
    let candidates = mirrors.iter().map(|(name, _)| (mirror(name), Record::default())).collect();
    world.tell(Event::Configured { settings: Box::new(tight), candidates });
    world.run(2 * DAY);
    let day = total(&world);
    assert!(day.bytes <= 100 << 20, "{} MiB", day.bytes >> 20);
    // Nobody starves: forty mirrors share the total.
    for name in &names {
        let rehearsals =
            world.probes[&url(name)].iter().filter(|(_, depth)| *depth == Depth::Rehearse).count();
        assert!(rehearsals >= 3, "{name}: {rehearsals}");
    }
}

#[test]
fn samples_that_have_to_be_rehearsals_stay_within_the_total_together() {
    let names: Vec<String> = (1..=6).map(|number| format!("m{number}")).collect();
    let mirrors: Vec<(&str, Mood)> = names.iter().map(|name| (name.as_str(), Mood::Costs(MB))).collect();
    let mut world = World::new(&mirrors);
    let mut tight = settings(false);
    tight.allowance.total_bytes_per_day = 12 << 20;
    tight.policy.max = 6;
    let candidates = mirrors.iter().map(|(name, _)| (mirror(name), Record::default())).collect();
    world.tell(Event::Configured { settings: Box::new(tight), candidates });
    for _ in 0..20 {
        world.run(3 * HOUR);
        // Nobody knows a layer after that.
        world.restart();
    }
    kept(&world);
}

#[test]
fn what_is_asked_by_hand_does_not_hide_a_probe_whose_end_nobody_lives_to_see() {
    let mut world = World::new(&healthy());
    world.run(HOUR);
    let rehearses = |world: &World| world.state.tracks[&url("a")].in_flight == Some(Depth::Rehearse);
    world.until("a rehearsal", rehearses);
    let spent = |world: &World| world.state.tracks[&url("a")].record.spent(world.now).requests_today;
    let before = spent(&world);
    let mut by_hand = Observation::new(world.now, Depth::Rehearse);
    by_hand.spent = Spent { requests: 7, refusals: 0, bytes: 1 << 20 };
    world.tell(Event::Overheard { url: url("a"), observations: vec![by_hand] });
    assert!(rehearses(&world));
    world.restart();
    assert_eq!(spent(&world), before + 7 + REHEARSAL.requests);
}

/// Two days of a host that is one of so many behind one address.
fn one_of(share: u32) {
    let mut world = World::new(&every_kind());
    let mut shared = settings(false);
    shared.allowance = shared.allowance.part(share);
    let candidates = every_kind().iter().map(|(name, _)| (mirror(name), Record::default())).collect();
    // What the first seconds cost was asked by a host that thought itself alone.
    world.asked.clear();
    world.tell(Event::Configured { settings: Box::new(shared), candidates });
    world.run(2 * DAY);
    for (url, asked) in &world.asked {
        // Ten requests a minute for ten hosts are one each; a rehearsal takes ten, so there is one in ten minutes.
        let (some, day, two_days) = (worst(asked, share * MINUTE), worst(asked, DAY), worst(asked, 2 * DAY));
        assert!(some.requests <= 10, "{url}, one of {share}: {some:?} in {share} minutes");
        assert!(day.requests <= 400 / share, "{url}, one of {share}: {day:?} in a day");
        assert!(day.bytes <= (24 << 20) / u64::from(share), "{url}, one of {share}: {day:?} in a day");
        // One rehearsal may be refused twice; `check` says so where that is too much.
        let refusals = (10 / share).max(2);
        assert!(two_days.refusals <= refusals, "{url}, one of {share}: {two_days:?} in two days");
    }
    assert_eq!(world.list().len(), 3);
}

#[test]
fn each_of_four_hosts_that_share_an_address_takes_a_quarter_of_the_budget() {
    one_of(4);
}

#[test]
fn each_of_ten_hosts_that_share_an_address_takes_a_tenth_of_the_budget() {
    one_of(10);
}

#[test]
fn what_was_asked_of_the_upstream_is_remembered_too() {
    let mut world = World::with(&healthy(), Some(Mood::Serves(0.3 * MB)));
    world.run(12 * HOUR);
    let before = world.state.yardstick().unwrap().record.spent(world.now);
    world.restart();
    let after = world.state.yardstick().unwrap().record.spent(world.now);
    assert!(before.requests_today > 0);
    assert_eq!(before, after);
    let upstream = world.state.settings.upstream.clone().unwrap();
    assert!(world.asked.contains_key(&upstream), "it is among those that `kept` counts");
    kept(&world);
}

#[test]
fn a_restart_with_a_list_begins_gently_and_changes_nothing_until_something_better_is_measured() {
    let mut world = World::with(&healthy(), Some(Mood::Serves(0.3 * MB)));
    world.run(3 * HOUR);
    let (list, applies) = (world.state.list.clone(), world.applies.len());
    world.probes.clear();
    let began = world.now;
    world.restart();
    assert!(world.probes.values().flatten().count() <= 1, "nobody is asked at once: {:?}", world.probes);
    world.run(MINUTE);
    let first = world.probes.values().filter_map(|probes| probes.first()).map(|(at, _)| at.since(began));
    let first: Vec<Duration> = first.collect();
    assert!(first.len() >= 3 && first.iter().all(|after| *after <= MINUTE), "{first:?}");
    world.run(5 * HOUR);
    assert_eq!((&world.state.list, world.applies.len()), (&list, applies));
}
