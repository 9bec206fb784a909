//! How long it takes from what a pull meets to the switch, and what listening costs.
//!
//! A real dockerd pulls through fronts of a real docker-registry, the service listens with the default schedule, and
//! one head after the other dies or falls silent: from dockerd's own line to the list in dockerd, and from the silence
//! to it. Then a listener alone, with nobody who pulls: the processor time of its threads and of its `journalctl`.
//!
//! `cargo bench --bench listen`, or with other counts: `cargo bench --bench listen -- lines=30 hangs=5 rest=120`
//! (seconds). As root; the journal is one of its own, in a mount namespace. `cargo test --benches` does one of each.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

#[path = "../tests/dockerd/mod.rs"]
#[expect(dead_code, reason = "the harness is shared by several tests, and each uses a part")]
mod dockerd;
#[path = "../tests/front/mod.rs"]
#[expect(dead_code, reason = "the fronts are shared by several tests, and each uses a part")]
mod front;
#[path = "listen/rest.rs"]
mod rest;
#[path = "../tests/support/mod.rs"]
#[expect(dead_code, reason = "the fakes are shared by several tests, and each uses a part")]
mod support;
#[path = "../tests/listen/world.rs"]
#[expect(dead_code, reason = "the world is shared with the suite, and each uses a part")]
mod world;

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use mirrorwatch::status::Status;
use world::{World, now, wait};

/// dockerd's words as it leaves a mirror.
const LEFT: &str = "Attempting next endpoint for pull";

/// Pulls that go well.
const PULLS: u32 = 5;

struct Order {
    lines: usize,
    hangs: usize,
    /// For how long a listener at rest is let alone, so that what it had saved is spent, ...
    settle: Duration,
    /// ... and for how long it is then watched.
    rest: Duration,
}

fn main() {
    let seconds = |name, usual| Duration::from_secs(argument(name).unwrap_or(usual));
    if let Some(case) = argument(rest::INSIDE) {
        return rest::inside(usize::try_from(case).unwrap(), seconds("settle", 3), seconds("rest", 1));
    }
    let whole = std::env::args().any(|argument| argument == "--bench");
    let count = |name, usual| argument(name).unwrap_or(if whole { usual } else { 1 });
    let order = Order {
        lines: usize::try_from(count("lines", 30)).unwrap(),
        hangs: usize::try_from(count("hangs", 5)).unwrap(),
        settle: if whole { seconds("settle", 400) } else { Duration::from_secs(3) },
        rest: Duration::from_secs(count("rest", 120)),
    };
    if order.lines + order.hangs > 0 {
        switches(&order);
    }
    rest::measure(order.settle, order.rest);
}

/// `name=number` of the command line.
fn argument(name: &str) -> Option<u64> {
    std::env::args().find_map(|argument| argument.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

/// Every head that dies stays dead, so there are as many mirrors as switches, and a full list to the end.
fn switches(order: &Order) {
    let mirrors = order.lines + order.hangs + 4;
    let speeds: Vec<u64> = (0..mirrors).map(|number| 40_000_000 - 500_000 * number as u64).collect();
    let world = World::begin(4_000_000, &speeds, |_| {});
    let (run, state) = (world.places.path().join("run"), world.places.path().join("state"));
    let judged = || {
        let mirrors_of = |status: Status| status.mirrors;
        let mirrors = Status::read(&run, &state).map(mirrors_of).unwrap_or_default();
        !mirrors.is_empty() && mirrors.iter().all(|mirror| mirror.predicted_seconds.is_some())
    };
    wait("the first round", || judged() && world.dockerd.mirrors().len() == 3);
    // The round's end may revise the first list once, within the second.
    sleep(Duration::from_secs(2));
    println!("{mirrors} mirrors, the default schedule, debug assertions {}", cfg!(debug_assertions));

    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..order.lines {
        let head = head(&world);
        let known = world.dockerd.log().matches(LEFT).count();
        world.fronts[head].close();
        let mut pull = world.pull("busybox:latest");
        let switched = switched(&world, head);
        times.push(switched.saturating_sub(world.logged_after(LEFT, known)));
        pull.wait().unwrap();
    }
    report("dockerd's line -> switched", &mut times);

    let before = spent(&world);
    for _ in 0..PULLS {
        world.dockerd.docker(&["rmi", "--force", "busybox:latest"]);
        assert!(world.pull("busybox:latest").wait().unwrap().success());
    }
    let each = (spent(&world) - before) / PULLS;
    println!("a good pull: {each:.2?} of the service's processor time, probes that fell due included");

    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..order.hangs {
        let head = head(&world);
        world.dockerd.docker(&["rmi", "--force", "busybox:latest"]);
        world.fronts[head].stall_after(20_000);
        let began = now();
        let mut pull = world.pull("busybox:latest");
        let switched = switched(&world, head);
        // The first bytes come within the first tenth of a second.
        times.push((switched - began).saturating_sub(Duration::from_secs(10)));
        pull.kill().unwrap();
        pull.wait().unwrap();
        world.fronts[head].close();
    }
    report("no byte for 10 s -> switched", &mut times);
}

/// The processor time of the service's threads.
fn spent(world: &World) -> Duration {
    let pid = world.service.as_ref().unwrap().id();
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let spent = tasks.map(|task| fs::read_to_string(task.path().join("schedstat")).unwrap_or_default());
    let nanoseconds = |spent: String| spent.split_whitespace().next()?.parse::<u64>().ok();
    Duration::from_nanos(spent.filter_map(nanoseconds).sum())
}

/// The front that leads dockerd's list.
fn head(world: &World) -> usize {
    let list = world.dockerd.mirrors();
    let place = world.fronts.iter().position(|front| format!("{}/", front.url()) == list[0]);
    place.unwrap()
}

/// When dockerd had a list without this head.
fn switched(world: &World, head: usize) -> Duration {
    let gone = format!("{}/", world.fronts[head].url());
    wait("the switch", || {
        sleep(Duration::from_millis(5));
        !world.dockerd.mirrors().contains(&gone)
    });
    now()
}

fn report(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let Some(last) = times.len().checked_sub(1) else { return };
    let (half, most) = (times[last / 2], times[last * 9 / 10]);
    println!("{what}: {} times, p50 {half:.2?}, p90 {most:.2?}, max {:.2?}", times.len(), times[last]);
}
