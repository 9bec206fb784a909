//! Good manners: what every kind of mirror is asked in days, counted by the mirrors.

use std::collections::BTreeMap;
use std::time::Duration;

use mirrorwatch::daemon::step::{EngineView, Event};
use mirrorwatch::image::Image;
use mirrorwatch::mirror::MirrorUrl;
use mirrorwatch::observation::{Depth, Failure, Observation, Spent, Stage};
use mirrorwatch::pull::{Seen, Sign};
use mirrorwatch::ranking::record::{Record, Standing};
use mirrorwatch::reason::{ChangeKind, FailureKind, ProblemKind};
use mirrorwatch::timestamp::Timestamp;

use super::world::{Asked, MB, Mood, UPSTREAM, World, healthy, mirror, settings, url};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The worst that any window of this length saw. A request may have come at any moment of its probe.
fn worst(asked: &[Asked], window: Duration) -> Spent {
    let mut worst = Spent::default();
    for (index, first) in asked.iter().enumerate() {
        let within = asked[index..].iter().take_while(|one| one.from.since(first.to) < window);
        let sum = within.fold(Spent::default(), |sum, one| Spent {
            requests: sum.requests + one.spent.requests,
            refusals: sum.refusals + one.spent.refusals,
            bytes: sum.bytes + one.spent.bytes,
        });
        worst.requests = worst.requests.max(sum.requests);
        worst.refusals = worst.refusals.max(sum.refusals);
        worst.bytes = worst.bytes.max(sum.bytes);
    }
    worst
}

/// Every kind of mirror, as PRODUCT names them.
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
fn twenty_images() -> Vec<Image> {
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

#[track_caller]
pub(super) fn check(name: &MirrorUrl, asked: &[Asked]) -> (Spent, Spent, Spent) {
    let (minute, day, two_days) = (worst(asked, MINUTE), worst(asked, DAY), worst(asked, 2 * DAY));
    assert!(minute.requests <= 10, "{name}: {} requests in a minute", minute.requests);
    assert!(day.requests <= 400, "{name}: {} requests in a day", day.requests);
    assert!(day.bytes <= 24 << 20, "{name}: {} bytes in a day", day.bytes);
    assert!(two_days.refusals <= 10, "{name}: {} refusals in two days", two_days.refusals);
    (minute, day, two_days)
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
        4 => Seen::Silent { url: member, quiet_ms: 10_000 },
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
    let mut total = 0;
    println!("{:>28} {:>7} {:>7} {:>9} {:>9}", "", "/minute", "/day", "refused", "MiB/day");
    for (url, asked) in &world.asked {
        let (minute, day, two_days) = check(url, asked);
        total +=
            asked.iter().filter(|one| one.from >= world.now - DAY).map(|one| one.spent.bytes).sum::<u64>();
        println!(
            "{:>28} {:>7} {:>7} {:>9} {:>9.1}",
            url.host(),
            minute.requests,
            day.requests,
            two_days.refusals,
            f64::from(u32::try_from(day.bytes >> 10).unwrap()) / 1024.0
        );
    }
    assert!(total <= 256 << 20, "{total} bytes of all in the last day");
    for never in
        ["nothing", "limits", "limits-a-minute", "limits-a-day", "errors", "nested", "stalls", "dead"]
    {
        assert!(!world.list().contains(&never), "{:?}", world.list());
    }
    // What leads the list and is found dead, or lying by its pulls, always goes.
    let spared = |kind: &ChangeKind| matches!(kind, ChangeKind::Faster | ChangeKind::Filled);
    let contested = world.applies.iter().filter(|(_, _, kind)| spared(kind)).count();
    assert!(contested <= 2 * 12, "{contested} reloads in two days: {:?}", world.applies);
    // Who was never chosen costs less, however often it might have been.
    for (url, asked) in &world.asked {
        let name = url.host().trim_end_matches(".example").to_owned();
        if world.applies.iter().all(|(_, list, _)| !list.contains(&name)) {
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
    let last = check(&url("d"), &world.asked[&url("d")]).1;
    assert!(last.requests <= 120 && last.bytes <= 13 << 20, "{last:?}");
    let first = check(&url("a"), &world.asked[&url("a")]).1;
    assert!(first.requests > 144, "a chosen one is sampled: {first:?}");
}

#[test]
fn who_contends_without_end_is_asked_no_more_than_others_that_are_not_chosen() {
    // At every other rehearsal it is twice as fast as the last of the list, and never thrice in a row.
    let mut world =
        World::new(&[healthy()[0], healthy()[1], healthy()[2], ("d", Mood::Wavers(6.0 * MB, 2.0 * MB))]);
    world.run(2 * DAY);
    assert!(world.applies.iter().all(|(_, list, _)| !list.contains(&"d".to_owned())), "{:?}", world.applies);
    let day = check(&url("d"), &world.asked[&url("d")]).1;
    assert!(day.requests <= 120 && day.bytes <= 13 << 20, "{day:?}");
    let quickly = world.probes[&url("d")].windows(2).filter(|pair| pair[1].0.since(pair[0].0) <= 10 * MINUTE);
    assert!(quickly.count() >= 4, "and it is asked soon again when it may win");
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
            world.tell(Event::Overheard { url: url(name), observation: Box::new(seen) });
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
    let mut all: Vec<Asked> = world.asked.values().flatten().copied().collect();
    all.sort_by_key(|one| one.from);
    let day = worst(&all, DAY);
    assert!(day.bytes <= 100 << 20, "{} MiB", day.bytes >> 20);
    // Nobody starves: forty mirrors share the total.
    for name in &names {
        let rehearsals =
            world.probes[&url(name)].iter().filter(|(_, depth)| *depth == Depth::Rehearse).count();
        assert!(rehearsals >= 3, "{name}: {rehearsals}");
    }
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
            world.applies.iter().filter(|(at, ..)| *at > from && *at <= to).count()
        };
        // The first list and its revision are not the flapper's doing.
        let start = world.now - 2 * DAY + MINUTE;
        for hour in 0..47 {
            let from = start + HOUR * hour;
            assert!(switches(from, from + HOUR) <= 2, "{half} minutes, hour {hour}: {:?}", world.applies);
        }
        let (first, second) = (switches(start, start + DAY), switches(start + DAY, world.now));
        println!("flaps every {half} min: {first} switches on the first day, {second} on the second");
        assert!(first <= 12 && second <= 6, "{half} minutes: {:?}", world.applies);
    }
}

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
    assert_eq!(world.applies.last().unwrap().2, ChangeKind::MemberRejected);
    assert_eq!(world.applies.len(), 3);
    assert!(world.state.spares_reloads(world.now));
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

/// That ten thousand are spread evenly is shown where the phase is made; here, that every depth goes by it.
#[test]
fn hosts_that_are_switched_on_together_do_not_ask_together_at_any_depth() {
    // All were made from one image: the same list, and the same record to the second.
    let mut image = World::new(&healthy()[..1]);
    image.run(3 * HOUR);
    image.probes.clear();
    let hosts = 200_u32;
    let mut seconds: BTreeMap<(Depth, u64), u32> = BTreeMap::new();
    for host in 0..hosts {
        let mut world = image.clone();
        world.state.settings.seed = u64::from(host).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        world.restart();
        world.run(2 * HOUR + MINUTE);
        for (at, depth) in &world.probes[&url("a")] {
            *seconds.entry((*depth, at.since(image.now).as_secs())).or_default() += 1;
        }
    }
    // The first probe of all is spread over a minute; then the first interval of each depth over its second half.
    for (depth, spread) in [(Depth::Connect, 30), (Depth::Sample, 300), (Depth::Rehearse, 3600)] {
        for (from, until, spread) in [(0, 60, 60), (60, 7200, spread)] {
            let ten = |from: u64| -> u32 {
                seconds.range((depth, from)..(depth, from + 10)).map(|(_, count)| *count).sum()
            };
            let most = (from..until).map(ten).max().unwrap();
            let mean = f64::from(hosts * 10) / f64::from(spread);
            println!("{depth:?} from {from} s on: at most {most} of {hosts} hosts in ten seconds");
            // By chance the square root more or less, and five times that hardly ever.
            let bound = mean + 5.0 * mean.sqrt() + 3.0;
            assert!(f64::from(most) <= bound, "{depth:?} from {from} s on: {most} and not {mean}");
        }
        let all: u32 = seconds.range((depth, 0)..(depth, u64::MAX)).map(|(_, count)| *count).sum();
        assert!(all >= hosts, "{depth:?}: everybody asks, {all}");
    }
}

#[test]
fn what_was_asked_of_the_upstream_is_remembered_too() {
    let mut world = World::with(&healthy(), Some(Mood::Serves(0.3 * MB)));
    world.run(12 * HOUR);
    let before = world.state.upstream.as_ref().unwrap().record.spent(world.now);
    world.restart();
    let after = world.state.upstream.as_ref().unwrap().record.spent(world.now);
    assert!(before.requests_today > 0);
    assert_eq!(before, after);
    check(&url(UPSTREAM), &world.asked[&url(UPSTREAM)]);
}

/// A look at the engine: it tells what mirrors.toml and the engine say, whether or not that is new.
fn look(world: &mut World, listed: &[&str], changed: impl FnOnce(&mut mirrorwatch::daemon::step::Settings)) {
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
