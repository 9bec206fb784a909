//! How much time is lost against an oracle in made-up worlds, and what it costs the mirrors.
//!
//! The daemon's real step function lives in virtual time through two weeks of worlds with 20 mirrors, with the
//! defaults of mirrors.toml, beside three baselines. `worlds/world.rs` says what a world is, `worlds/probe.rs` what
//! a probe sees of it, `worlds/account.rs` what is counted. The same seeds give the same figures every time.
//!
//! `cargo bench --bench worlds`; behind `--` may stand `seeds=N`, `first=SEED`, `days=N`, `threads=N`, `only=faulty`,
//! `pull=30` (MiB; 60 MB otherwise), `ours` (no baselines), and lines of mirrors.toml such as
//! `'schedule.rehearse = "1h"'`, which are compared with the defaults in rows of their own.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

#[path = "worlds/account.rs"]
mod account;
#[path = "worlds/baseline.rs"]
mod baseline;
#[path = "worlds/chance.rs"]
mod chance;
#[path = "worlds/driver.rs"]
mod driver;
#[path = "worlds/probe.rs"]
mod probe;
#[path = "worlds/world.rs"]
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use account::{Account, Range, Summary};
use baseline::Baseline;
use driver::Life;
use world::{Pull, World};

const MEBI: f64 = 1_048_576.0;
/// The host's own pulls come once in so many seconds.
const PULLS_EVERY: f64 = 1800.0;

/// A kind of world.
struct Kind {
    name: &'static str,
    /// Makes one of a seed, for some days.
    make: fn(u64, u32) -> World,
    /// Whether lines begin slowly, as TCP does.
    slow_start: bool,
}

/// The goals are meant for the first. The second is the same with slow start, in which a mebibyte shows how far
/// away a fast mirror is rather than how wide its line is.
const KINDS: [Kind; 5] = [
    Kind { name: "faulty", make: World::faulty, slow_start: false },
    Kind { name: "slow-start", make: World::faulty, slow_start: true },
    Kind { name: "equal", make: World::equal, slow_start: false },
    Kind { name: "drift", make: World::drift, slow_start: false },
    Kind { name: "adversary", make: World::adversary, slow_start: false },
];

/// What is asked for on the command line.
struct Order {
    seeds: u64,
    first: u64,
    days: u32,
    threads: usize,
    only: Option<String>,
    /// Bytes of a pull.
    bytes: f64,
    lines: Vec<String>,
    baselines: bool,
}

impl Order {
    fn read(arguments: &[String]) -> Self {
        // `cargo test --benches` runs this too, and wants to know only whether it runs. `cargo bench` says so last.
        let whole = arguments.iter().any(|argument| argument == "--bench");
        let mut order = Self {
            seeds: if whole { 6 } else { 1 },
            first: 0,
            days: if whole { 14 } else { 1 },
            threads: 2,
            only: None,
            bytes: 60e6,
            lines: Vec::new(),
            baselines: true,
        };
        for argument in arguments {
            match argument.split_once('=') {
                None if argument == "ours" => order.baselines = false,
                Some(("seeds", value)) => order.seeds = number(value),
                Some(("first", value)) => order.first = number(value),
                Some(("days", value)) => order.days = number(value),
                Some(("threads", value)) => order.threads = number(value),
                Some(("only", value)) => order.only = Some(value.to_owned()),
                Some(("pull", value)) => order.bytes = MEBI * number::<f64>(value),
                _ if argument.starts_with('-') => {}
                _ => order.lines.push(argument.clone()),
            }
        }
        order
    }
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}

/// One row of the table.
enum Row {
    Baseline(Baseline),
    Ours(Life),
}

impl Row {
    fn live(&self, world: &World, pull: Pull) -> Account {
        match self {
            Self::Baseline(baseline) => baseline::live(*baseline, world, pull),
            Self::Ours(life) => driver::live(world, life),
        }
    }
}

fn rows(order: &Order, pull: Pull) -> Vec<(&'static str, Row)> {
    let ours = |pulls_every, lines: &[String]| Row::Ours(Life { pull, pulls_every, lines: lines.to_vec() });
    let mut rows = Vec::new();
    if order.baselines {
        rows.push(("static list", Row::Baseline(Baseline::Static)));
        rows.push(("by latency", Row::Baseline(Baseline::Latency)));
        rows.push(("by throughput", Row::Baseline(Baseline::Throughput)));
    }
    if order.baselines || order.lines.is_empty() {
        rows.push(("mirrorwatch", ours(None, &[])));
        rows.push(("... and pulls", ours(Some(PULLS_EVERY), &[])));
    }
    if !order.lines.is_empty() {
        rows.push(("with lines", ours(None, &order.lines)));
        rows.push(("... and pulls", ours(Some(PULLS_EVERY), &order.lines)));
    }
    rows
}

/// Every row in every world, some at a time; the order of the results is that of the rows and seeds.
fn live_all(rows: &[(&'static str, Row)], worlds: &[World], pull: Pull, threads: usize) -> Vec<Vec<Account>> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Option<Account>>> = Mutex::new(vec![None; rows.len() * worlds.len()]);
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let job = next.fetch_add(1, Ordering::Relaxed);
                    let Some((_, row)) = rows.get(job / worlds.len()) else { return };
                    let account = row.live(&worlds[job % worlds.len()], pull);
                    done.lock().expect("no row panics while it holds the lock")[job] = Some(account);
                }
            });
        }
    });
    let done = done.into_inner().expect("every thread has ended well");
    let accounts: Vec<Account> = done.into_iter().flatten().collect();
    accounts.chunks(worlds.len()).map(<[Account]>::to_vec).collect()
}

fn main() {
    let order = Order::read(&std::env::args().skip(1).collect::<Vec<_>>());
    let begun = Instant::now();
    for kind in KINDS.iter().filter(|kind| order.only.as_deref().is_none_or(|only| only == kind.name)) {
        let pull = Pull { bytes: order.bytes, slow_start: kind.slow_start };
        let worlds: Vec<World> =
            (order.first..order.first + order.seeds).map(|seed| (kind.make)(seed, order.days)).collect();
        let rows = rows(&order, pull);
        let (name, megabytes) = (kind.name, pull.bytes / 1e6);
        println!("\n{name}: {} worlds of {} days, a pull of {megabytes:.0} MB", order.seeds, order.days);
        heads();
        for ((row, _), accounts) in rows.iter().zip(live_all(&rows, &worlds, pull, order.threads)) {
            print(row, &Summary::of(&accounts));
        }
    }
    println!("\n{:.1} s", begun.elapsed().as_secs_f64());
}

fn heads() {
    println!(
        "{:<14} {:>13} {:>20} {:>6} {:>8} {:>11} {:>25} {:>25} {:>9} {:>8}",
        "",
        "regret",
        "of it lost to",
        "median",
        "p99 more",
        "reloads/day",
        "requests/day",
        "MiB/day",
        "MiB of",
        "refusals"
    );
    println!(
        "{:<14} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} {:>8} {:>5} {:>5} {:>12} {:>12} {:>12} {:>12} {:>9} {:>8}",
        "policy",
        "mean",
        "most",
        "dead",
        "crawls",
        "slower",
        "s",
        "s",
        "mean",
        "most",
        "selected",
        "other",
        "selected",
        "other",
        "all, most",
        "2 days"
    );
}

fn print(name: &str, summary: &Summary) {
    let count = |range: Range| format!("{:.0} ≤ {:.0}", range.mean, range.most);
    let mebi = |range: Range| format!("{:.1} ≤ {:.1}", range.mean / MEBI, range.most / MEBI);
    let [dead, crawls, slower] = summary.parts.map(|part| 100.0 * part);
    println!(
        "{name:<14} {:>5.1}% {:>5.1}% {dead:>5.1}% {crawls:>5.1}% {slower:>5.1}% {:>6.2} {:>8.2} {:>5.1} {:>5.1} \
         {:>12} {:>12} {:>12} {:>12} {:>9.0} {:>8.0}",
        100.0 * summary.regret.mean,
        100.0 * summary.regret.most,
        summary.median,
        summary.extra,
        summary.reloads.mean,
        summary.reloads.most,
        count(summary.selected_requests),
        count(summary.other_requests),
        mebi(summary.selected_bytes),
        mebi(summary.other_bytes),
        summary.total_bytes.most / MEBI,
        summary.refusals.most,
    );
}
