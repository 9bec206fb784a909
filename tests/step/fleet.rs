//! What many hosts do together: they do not ask together, and they do not all take the same mirror.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mirrorwatch::daemon::step::Event;
use mirrorwatch::observation::{Depth, Failure, Observation, Outcome, Stage};
use mirrorwatch::ranking::record::Record;
use mirrorwatch::reason::FailureKind;

use super::budget::{HOUR, MINUTE};
use super::mood::{MB, Mood};
use super::world::{World, healthy, mirror, settings, url};

/// They were made from one image: the same list, and the same record to the second.
#[test]
fn of_ten_thousand_hosts_that_are_switched_on_together_few_ask_in_the_same_second() {
    // In one second fall a sixtieth of the starts, spread over a minute, and a thirtieth of the intervals that went on
    // from the image's last probe, spread over half of one.
    assert_are_spread(&healthy()[..1], 1.0 / 60.0 + 1.0 / 30.0);
}

/// The connects of one host keep each other company, and hosts must not for that.
#[test]
fn nor_do_they_when_each_asks_several_mirrors() {
    // Whoever is asked takes two others along, half of whose turns are within reach.
    assert_are_spread(&healthy()[..3], 2.0 * (1.0 / 60.0 + 1.0 / 30.0));
}

#[track_caller]
fn assert_are_spread(mirrors: &[(&str, Mood)], part: f64) {
    let mut image = World::new(mirrors);
    image.run(3 * HOUR);
    image.probes.clear();
    let (hosts, mut seconds) = (10_000_u32, [0_u32; 120]);
    for host in 0..hosts {
        let mut world = image.clone();
        world.state.settings.seed = u64::from(host).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        world.restart();
        world.run(2 * MINUTE - Duration::from_secs(1));
        for (at, _) in &world.probes[&url("a")] {
            seconds[usize::try_from(at.since(image.now).as_secs()).unwrap()] += 1;
        }
    }
    let most = seconds.iter().max().unwrap();
    assert!(seconds.iter().sum::<u32>() >= 2 * hosts, "everybody asks twice");
    // By chance the square root more or less, and five times that hardly ever.
    let expected = f64::from(hosts) * part;
    assert!(f64::from(*most) <= expected + 5.0 * expected.sqrt(), "{most}: {seconds:?}");
}

/// Two hundred over hours: every depth has a phase of its own.
#[test]
fn hosts_that_are_switched_on_together_do_not_ask_together_at_any_depth() {
    let mut image = World::new(&healthy()[..1]);
    image.run(3 * HOUR);
    image.probes.clear();
    // They were off for a while: whoever was connected to a moment ago is not asked again at once.
    image.now = image.now + 10 * MINUTE;
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
    // The first probe of all is spread over a minute; then the first interval of each depth over its second half. As long
    // as no layer is known, a rehearsal stands for the sample.
    let first = (0, 60, 60);
    for (depth, spans) in [
        (Depth::Connect, &[first, (60, 7200, 30)][..]),
        (Depth::Sample, &[first, (60, 7200, 300)]),
        (Depth::Rehearse, &[first, (60, 660, 300), (660, 7200, 3600)]),
    ] {
        for &(from, until, spread) in spans {
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

/// The hours of a budget end at the full hour for nobody in particular.
#[test]
fn hosts_whose_budget_is_spent_do_not_ask_together_when_an_hour_of_it_is_forgotten() {
    let mut image = World::new(&healthy());
    // In the first hour they were rehearsed, and that is all that may be.
    image.run(HOUR - MINUTE);
    image.state.settings.allowance.requests_per_day = 40;
    image.run(23 * HOUR);
    image.probes.clear();
    let mut minutes: BTreeMap<u64, u32> = BTreeMap::new();
    for host in 0..100_u64 {
        let mut world = image.clone();
        world.state.settings.seed = host.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        world.run(2 * HOUR + 2 * MINUTE);
        let (first, _) = world.probes[&url("d")].iter().find(|(_, depth)| *depth == Depth::Rehearse).unwrap();
        *minutes.entry(first.since(image.now).as_secs() / 60).or_default() += 1;
    }
    println!("{minutes:?}");
    // One or two in each minute of an hour, and by chance some more.
    assert!(minutes.values().all(|count| *count <= 10), "{minutes:?}");
}

#[test]
fn of_mirrors_that_are_nearly_as_good_not_every_host_takes_the_same_and_a_better_one_leads_everywhere() {
    let equal = ["e1", "e2", "e3", "e4", "e5", "e6"];
    let mut seconds: BTreeMap<String, u32> = BTreeMap::new();
    for host in 1..=120_u64 {
        let mut mirrors = vec![("best", Mood::Serves(20.0 * MB))];
        mirrors.extend(equal.iter().map(|name| (*name, Mood::Serves(8.0 * MB))));
        let mut world = World::new(&[]);
        for (name, mood) in &mirrors {
            world.set(name, *mood);
        }
        let mut own = settings(false);
        own.policy.spread = Some(host.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let candidates = mirrors.iter().map(|(name, _)| (mirror(name), Record::default())).collect();
        world.tell(Event::Configured { settings: Box::new(own), candidates });
        world.run(Duration::from_secs(60));
        assert_eq!(world.list()[0], "best");
        *seconds.entry(world.list()[1].to_owned()).or_default() += 1;
        if host <= 6 {
            let applies = world.applies.len();
            world.run(Duration::from_secs(3 * 3600));
            assert_eq!(world.applies.len(), applies, "and no host changes its mind: {:?}", world.applies);
        }
    }
    println!("{seconds:?}");
    // Twenty each, by chance (a standard deviation of four) some more or fewer.
    assert!(seconds.len() == 6 && seconds.values().all(|count| (6..=40).contains(count)), "{seconds:?}");
}

/// On one host: to wake up costs more than to connect.
#[test]
fn the_probes_of_one_host_keep_each_other_company() {
    let others: Vec<String> = (0..12).map(|number| format!("e{number}")).collect();
    let others = others.iter().map(|name| (&**name, Mood::Serves(0.5 * MB)));
    let mut world = World::new(&healthy().into_iter().chain(others).collect::<Vec<_>>());
    world.run(6 * HOUR);
    world.probes.clear();
    world.run(24 * HOUR);
    let all = || {
        let of =
            |(url, probes): (_, &Vec<_>)| probes.iter().map(move |probe| (url, *probe)).collect::<Vec<_>>();
        world.probes.iter().flat_map(of)
    };
    let mut connects: BTreeMap<_, u32> = BTreeMap::new();
    let to_connect = |(_, (_, depth)): &(_, (_, Depth))| *depth == Depth::Connect;
    all().filter(to_connect).for_each(|(url, _)| *connects.entry(url.clone()).or_default() += 1);
    assert!(
        connects.len() == 3 && connects.values().all(|count| (1200..=1680).contains(count)),
        "{connects:?}"
    );
    // Apart, the connects of three alone would be 4320, and samples and rehearsals as many more as there are of them.
    let moments: BTreeSet<_> = all().map(|(_, (at, _))| at).collect();
    assert!(moments.len() <= 24 * 70, "{} moments", moments.len());
    let rehearsals = || all().filter(|(_, (_, depth))| *depth == Depth::Rehearse).map(|(_, (at, _))| at);
    assert!(rehearsals().count() >= 9 * world.probes.len());
    // Two at a time would share the line that they measure; hardly ever do two become possible at one moment.
    let lonely: BTreeSet<_> = rehearsals().collect();
    assert!(lonely.len() + 2 >= rehearsals().count(), "{} of {}", lonely.len(), rehearsals().count());
}

/// What is routine waits to be written and shown.
#[test]
fn nothing_is_routine_but_a_good_connect_of_a_mirror_that_is_well() {
    let mut world = World::new(&healthy()[..3]);
    world.run(3 * HOUR);
    let connect = Observation::new(world.now, Depth::Connect);
    let is_routine = |world: &World, observation: &Observation| {
        world.state.is_routine(&Event::Observed { url: url("a"), observation: Box::new(observation.clone()) })
    };
    assert!(world.state.is_routine(&Event::Tick) && is_routine(&world, &connect));
    assert!(!world.state.is_routine(&Event::Paused(None)));
    assert!(!is_routine(&world, &Observation::new(world.now, Depth::Sample)));
    let elsewhere = ["203.0.113.7:443".parse().unwrap()];
    assert!(!is_routine(&world, &Observation { addresses: elsewhere.into(), ..connect.clone() }));

    let failure =
        Failure { kind: FailureKind::ConnectionRefused, stage: Stage::Connect, detail: String::new() };
    let refused = Observation { outcome: Outcome::Failed(failure), ..connect.clone() };
    assert!(!is_routine(&world, &refused));
    world.tell(Event::Observed { url: url("a"), observation: Box::new(refused) });
    assert!(!is_routine(&world, &connect), "it was not well before");

    let b = url("b");
    let event = Event::Observed { url: b.clone(), observation: Box::new(connect) };
    assert!(world.state.is_routine(&event));
    world.state.tracks.get_mut(&b).unwrap().in_flight = Some(Depth::Sample);
    assert!(!world.state.is_routine(&event), "its layer is gone");
}
