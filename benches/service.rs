//! The service as it lives: cold start to the first list, steady memory with 20 TLS mirrors, CPU a day.
//!
//! The real binary, a real dockerd at rest (it needs root and Debian's docker.io), and 20 fakes that speak TLS in this
//! process, so that the service's own process is what is measured.
//!
//! `cargo bench --target x86_64-unknown-linux-musl --bench service` measures the program as the package has it, and
//! without `--target` one that is linked to this host's C library. It takes an hour and a half, or with fewer or more
//! minutes of the default schedule, and of waiting before they begin:
//! `cargo bench --bench service -- after=3 minutes=10`

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

#[path = "../tests/dockerd/mod.rs"]
#[expect(dead_code, reason = "the harness is shared by several tests, and each uses a part")]
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

use dockerd::Dockerd;
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

/// Minutes until the default schedule's first round is over, and what follows it: in the first hour the members of a new
/// list are rehearsed each `decide`, which is no part of an ordinary day.
const AFTER: u64 = 65;

/// Minutes that are measured then.
const MINUTES: u64 = 20;

const DAY: f64 = 86_400.0;

/// The members of a list of the default length.
const MEMBERS: usize = 3;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, word, ca_file, minutes, addresses @ ..] = &arguments[..]
        && word == BARE
    {
        return bare(ca_file, minutes.parse().unwrap(), addresses);
    }
    let fakes: Vec<Registry> = (0..MIRRORS).map(fake).collect();
    let chain = chain_of_the_third(&fakes);
    let home = Home::new();
    let engine = Dockerd::start("{}\n");
    let mut service = start(&home, &engine, &fakes, SHORT);

    let started = Instant::now();
    while engine.mirrors().is_empty() {
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
    let minutes = |name: &str, usual: u64| {
        let said = |argument: &String| argument.strip_prefix(name)?.strip_prefix('=')?.parse().ok();
        Duration::from_secs(60 * arguments.iter().find_map(said).unwrap_or(usual))
    };
    as_it_is(&fakes, minutes("after", AFTER), minutes("minutes", MINUTES));
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
    Task { depth, image, layers: None, turn }
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

fn start(home: &Home, engine: &Dockerd, fakes: &[Registry], more: &str) -> Child {
    let ca_file = home.path().join("ca.pem");
    file::replace(&ca_file, authority_pem().as_bytes(), None).unwrap();
    let mut text = format!(
        "[probe]\nlearn_images = false\nproxy = \"none\"\nca_file = \"{}\"\n\
         [select]\ncompare_upstream = false\n\
         [engine.docker]\nenabled = true\nconfig_file = \"{}\"\nsocket = \"{}\"\npid_file = \"{}\"\n{more}",
        ca_file.display(),
        engine.file().display(),
        engine.at("sock").display(),
        engine.at("pid").display()
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

/// What each depth costs the thread that probes, times how often the default schedule asks.
fn cpu_of_a_day(fakes: &[Registry]) {
    let home = tempfile::tempdir().unwrap();
    let prober = prober(home.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = fakes[0].url().parse().unwrap();
    println!("\nCPU of one probe over TLS, and of a day of the default schedule (3 selected, 17 others):");
    let (mut day, mut probes) = (0.0, 0.0);
    let mut layers = None;
    // Rehearsals first: a sample wants a layer that a rehearsal has found.
    for (depth, times, a_day) in [
        (Depth::Rehearse, 50, 20.0 * 12.0),
        (Depth::Sample, 200, 3.0 * 144.0),
        (Depth::Connect, 200, 3.0 * 1440.0),
    ] {
        let before = thread_cpu();
        for turn in 0..times {
            let task = Task { layers: layers.clone(), ..task(depth, turn) };
            let seen = runtime.block_on(prober.probe(&url, &task, Timestamp::default()));
            layers = seen.layers.or(layers);
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

/// The whole service with the default schedule, listening and writing included: what a day of that costs.
fn as_it_is(fakes: &[Registry], first: Duration, span: Duration) {
    let home = Home::new();
    let engine = Dockerd::start("{}\n");
    let mut service = start(&home, &engine, fakes, "");
    // With mirrors of its own: what leads to the service's would be looked at as a pull.
    let others: Vec<Registry> = (0..MEMBERS as u64).map(fake).collect();
    let floor = start_bare(&home, &others, first + span);
    sleep(first);
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
    let said = floor.wait_with_output().unwrap().stdout;
    let floor: f64 = String::from_utf8(said).unwrap().trim().parse().unwrap();
    let floor = floor * DAY / (first + span).as_secs_f64();
    println!("  beside it, a program that does nothing but its {MEMBERS} connects a minute: {floor:.2} s");
    service.kill().unwrap();
    service.wait().unwrap();
}

/// What makes this program the bare loop.
const BARE: &str = "bare";

fn start_bare(home: &Home, fakes: &[Registry], span: Duration) -> Child {
    let addresses = fakes.iter().map(|fake| fake.url().trim_start_matches("https://").to_owned());
    Command::new(std::env::current_exe().unwrap())
        .arg(BARE)
        .arg(home.path().join("ca.pem"))
        .arg((span.as_secs() / 60).to_string())
        .args(addresses)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// TCP and TLS to each address once a minute, together, by the same libraries, and nothing else: what no daemon with this
/// schedule can stay below on this machine. Prints the processor time of all its minutes but for the start.
fn bare(ca_file: &str, minutes: u64, addresses: &[String]) {
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    let ca_file = rustls::pki_types::CertificateDer::pem_file_iter(ca_file).unwrap();
    roots.add_parsable_certificates(ca_file.map(Result::unwrap));
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let before = thread_cpu();
    for _ in 0..minutes {
        runtime.block_on(async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            let connects = addresses.iter().map(|address| {
                let (connector, address) = (connector.clone(), address.clone());
                tokio::spawn(async move {
                    let tcp = tokio::net::TcpStream::connect(&address).await.unwrap();
                    connector.connect("127.0.0.1".try_into().unwrap(), tcp).await.unwrap();
                })
            });
            for connect in connects.collect::<Vec<_>>() {
                connect.await.unwrap();
            }
        });
    }
    println!("{}", (thread_cpu() - before).as_secs_f64());
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
