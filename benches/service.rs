//! The service as it lives: cold start to the first list, steady memory with 20 TLS mirrors, CPU a day.
//!
//! The real binary, 20 fakes that speak TLS, and the demo's stand-in for dockerd; the mirrors and the stand-in are
//! in this process, so that the service's own process is what is measured.
//!
//! `cargo bench --bench service`, or with fewer or more minutes of the default schedule: `cargo bench --bench service --
//! minutes=60`

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

#[path = "../examples/demo/dockerd.rs"]
mod dockerd;
#[path = "../tests/support/mod.rs"]
#[expect(dead_code, reason = "the fakes are shared by several tests, and each uses a part")]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use dockerd::StandIn;
use mirrorwatch::file;
use mirrorwatch::observation::Depth;
use mirrorwatch::probe::{Prober, Settings, Task};
use mirrorwatch::reason::FailureKind;
use mirrorwatch::status::Status;
use mirrorwatch::timestamp::Timestamp;
use support::certificate::{Certificate, authority_pem};
use support::content::ImageSpec;
use support::names::{NameServer, Said};
use support::registry::{Options, Registry};
use tempfile::TempDir;

const MIRRORS: u64 = 20;

/// Everything quick: a day and more of probes in half a minute.
const SHORT: &str = "[schedule]\nconnect = \"1s\"\nsample = \"2s\"\nrehearse = \"5s\"\ndecide = \"5s\"\n\
    [budget]\nrequests_per_minute = 100000\nrequests_per_day = 1000000\nbytes_per_day = \"1024GiB\"\n\
    total_bytes_per_day = \"1024GiB\"\n";

/// By then the default schedule's first round is over, and what follows it.
const FIRST: Duration = Duration::from_secs(180);

const DAY: f64 = 86_400.0;

fn main() {
    let fakes: Vec<Registry> = (0..MIRRORS).map(fake).collect();
    let chain = chain_of_the_third(&fakes);
    let home = Home::new();
    let stand_in = StandIn::start(home.path()).unwrap();
    let mut service = start(&home, &stand_in, &fakes, SHORT);

    let started = Instant::now();
    while mirrors(&stand_in.file()).is_empty() {
        assert!(started.elapsed() < Duration::from_secs(60), "no list");
        sleep(Duration::from_millis(1));
    }
    let first = started.elapsed();
    println!("cold start to the first list:   {:>7.0} ms", first.as_secs_f64() * 1e3);
    println!("the third-fastest one's chain:  {:>7.0} ms", chain.as_secs_f64() * 1e3);
    let goal = chain.mul_f64(1.5) + Duration::from_millis(150);
    println!("goal, 1.5 x the chain + 150 ms: {:>7.0} ms", goal.as_secs_f64() * 1e3);

    sleep(Duration::from_secs(30));
    let status = fs::read_to_string(format!("/proc/{}/status", service.id())).unwrap();
    println!("\nafter 30 s of a short schedule with {MIRRORS} TLS mirrors:");
    for field in ["VmRSS", "RssAnon", "RssFile", "VmHWM", "Threads"] {
        let value = status.lines().find_map(|line| line.strip_prefix(&format!("{field}:"))).unwrap();
        println!("  {field:<8} {}", value.trim());
    }
    let binary = fs::metadata(env!("CARGO_BIN_EXE_mirrorwatch")).unwrap().len();
    println!("  binary   {:.2} MB", binary as f64 / 1e6);
    let shown = Status::read(home.memory.path(), &home.path().join("state")).unwrap();
    let live = shown.mirrors.iter().filter(|mirror| mirror.predicted_seconds.is_some()).count();
    println!("  measured {live} of {MIRRORS} mirrors");
    service.kill().unwrap();
    service.wait().unwrap();

    cpu_of_a_day(&fakes);
    let minutes = std::env::args().find_map(|argument| argument.strip_prefix("minutes=")?.parse().ok());
    as_it_is(&fakes, Duration::from_secs(60 * minutes.unwrap_or(20)));
}

/// Each a little slower to answer than the one before; the third takes 30 ms an answer.
fn fake(number: u64) -> Registry {
    Registry::start(Options {
        images: vec![ImageSpec { layers: vec![1_000_000], ..ImageSpec::default() }],
        tls: Some(Certificate::Good(vec!["127.0.0.1".to_owned()])),
        latency: Duration::from_millis(10 * (number + 1)),
        ..Options::default()
    })
}

fn prober(home: &Path) -> Prober {
    let ca_file = home.join("ca.pem");
    file::replace(&ca_file, authority_pem().as_bytes(), None).unwrap();
    Prober::new(Settings { ca_file: Some(ca_file), ..Settings::default() }).unwrap()
}

fn task(depth: Depth, turn: u64) -> Task {
    let image = (depth != Depth::Connect).then(|| "library/busybox:latest".parse().unwrap());
    Task { depth, image, turn }
}

/// One rehearsal of the third, with nothing beside it.
fn chain_of_the_third(fakes: &[Registry]) -> Duration {
    let home = tempfile::tempdir().unwrap();
    let prober = prober(home.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let start = Instant::now();
    let url = fakes[2].url().parse().unwrap();
    let seen = runtime.block_on(prober.probe(&url, &task(Depth::Rehearse, 0), Timestamp::default()));
    assert!(seen.failure().is_none(), "{seen:?}");
    start.elapsed()
}

/// Where the service's files are, and its status apart, in memory as `/run` is: on a disk each new one costs a
/// millisecond.
struct Home {
    disk: TempDir,
    memory: TempDir,
}

impl Home {
    fn new() -> Self {
        Self { disk: tempfile::tempdir().unwrap(), memory: tempfile::tempdir_in("/dev/shm").unwrap() }
    }

    fn path(&self) -> &Path {
        self.disk.path()
    }
}

fn start(home: &Home, stand_in: &StandIn, fakes: &[Registry], more: &str) -> Child {
    let ca_file = home.path().join("ca.pem");
    file::replace(&ca_file, authority_pem().as_bytes(), None).unwrap();
    file::replace(&stand_in.file(), b"{}\n", None).unwrap();
    let mut text = format!(
        "[probe]\nlearn_images = false\nproxy = \"none\"\nca_file = \"{}\"\n\
         [select]\ncompare_upstream = false\n\
         [engine.docker]\nenabled = true\nconfig_file = \"{}\"\nsocket = \"{}\"\nreload = {}\n{more}",
        ca_file.display(),
        stand_in.file().display(),
        stand_in.socket().display(),
        stand_in.reload_command()
    );
    for (number, fake) in fakes.iter().enumerate() {
        text += &format!("\n[[mirror]]\nname = \"m{number}\"\nurl = \"{}\"\n", fake.url());
    }
    let config = home.path().join("mirrors.toml");
    file::replace(&config, text.as_bytes(), None).unwrap();
    let at = |name: &str| home.path().join(name);
    Command::new(env!("CARGO_BIN_EXE_mirrorwatch"))
        .arg("--config")
        .arg(config)
        .arg("--state-dir")
        .arg(at("state"))
        .arg("--runtime-dir")
        .arg(home.memory.path())
        .args(["run", "-q"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

fn mirrors(file: &Path) -> Vec<String> {
    let value: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(file).unwrap_or_default()).unwrap_or_default();
    serde_json::from_value(value["registry-mirrors"].clone()).unwrap_or_default()
}

/// What each depth costs the thread that probes, times how often the default schedule asks.
fn cpu_of_a_day(fakes: &[Registry]) {
    let home = tempfile::tempdir().unwrap();
    let prober = prober(home.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = fakes[0].url().parse().unwrap();
    println!("\nCPU of one probe over TLS, and of a day of the default schedule (3 selected, 17 others):");
    let (mut day, mut probes) = (0.0, 0.0);
    // Rehearsals first: a sample wants a layer that a rehearsal has found.
    for (depth, times, a_day) in [
        (Depth::Rehearse, 50, 20.0 * 12.0),
        (Depth::Sample, 200, 3.0 * 144.0),
        (Depth::Connect, 200, 3.0 * 1440.0),
    ] {
        let before = thread_cpu();
        for turn in 0..times {
            runtime.block_on(prober.probe(&url, &task(depth, turn), Timestamp::default()));
        }
        let each = (thread_cpu() - before).as_secs_f64() / times as f64;
        day += each * a_day;
        probes += a_day;
        println!("  {:<9} {:>7.2} ms", format!("{depth:?}"), each * 1e3);
    }
    let each = cpu_of_a_name(&runtime).as_secs_f64();
    day += each * probes;
    println!("  {:<9} {:>7.2} ms, once in each of them", "Name", each * 1e3);
    println!("  a day     {day:>7.2} s of probes");
}

/// The fakes have no names, for what a public name leads to may not be this host; so a name is asked for apart.
fn cpu_of_a_name(runtime: &tokio::runtime::Runtime) -> Duration {
    const TIMES: u32 = 200;
    let here = Said::Addresses(vec![Ipv4Addr::LOCALHOST.into()]);
    let server = NameServer::start([("mirror.example".to_owned(), here)]);
    let settings = Settings { nameservers: Some(vec![server.address()]), ..Settings::default() };
    let (prober, url) = (Prober::new(settings).unwrap(), "https://mirror.example".parse().unwrap());
    let before = thread_cpu();
    for turn in 0..TIMES {
        let task = task(Depth::Connect, turn.into());
        let seen = runtime.block_on(prober.probe(&url, &task, Timestamp::default()));
        assert_eq!(seen.failure().unwrap().kind, FailureKind::SuspiciousAddress);
    }
    (thread_cpu() - before) / TIMES
}

/// The whole service with the default schedule, listening and writing included: what a day of that costs. In the first
/// hour the members of a new list are still rehearsed each `decide`, so twenty minutes of it say more than a day does.
fn as_it_is(fakes: &[Registry], span: Duration) {
    let home = Home::new();
    let stand_in = StandIn::start(home.path()).unwrap();
    let mut service = start(&home, &stand_in, fakes, "");
    sleep(FIRST);
    let before = spent(service.id());
    sleep(span);
    let after = spent(service.id());
    let day = |spent: Duration| spent.as_secs_f64() * DAY / span.as_secs_f64();
    println!("\nCPU a day of the service with the default schedule, from {} minutes:", span.as_secs() / 60);
    let mut all = 0.0;
    for (name, spent) in &after {
        let spent = day(*spent - before.get(name).copied().unwrap_or_default());
        all += spent;
        println!("  {name:<11} {spent:>7.2} s");
    }
    println!("  together    {all:>7.2} s");
    service.kill().unwrap();
    service.wait().unwrap();
}

/// The processor time of a process's threads, by their names.
fn spent(process: u32) -> BTreeMap<String, Duration> {
    let mut spent = BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten() {
        let read = |name| fs::read_to_string(task.path().join(name)).unwrap_or_default();
        let time = read("schedstat").split_whitespace().next().and_then(|time| time.parse().ok());
        *spent.entry(read("comm").trim().to_owned()).or_default() +=
            Duration::from_nanos(time.unwrap_or_default());
    }
    spent
}

fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}
