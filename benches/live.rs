//! The service over an hour: whether its memory and its descriptors stay where they are while mirrors come and go.
//!
//! The real binary, 20 fakes that speak TLS and of which one breaks or heals every few seconds, the tests' stand-in
//! for dockerd, and a schedule so quick that the hour holds the probes of weeks. Fakes and stand-in are in this
//! process, so that the service's own process is what is measured.
//!
//! `cargo bench --bench live`, or for ten minutes: `cargo bench --bench live -- 10m`

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

#[path = "../tests/host/engine.rs"]
mod engine;
#[path = "../tests/support/mod.rs"]
#[expect(dead_code, reason = "the fakes are shared by several tests, and each uses a part")]
mod support;

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use engine::Engine;
use mirrorwatch::file;
use support::certificate::{Certificate, authority_pem};
use support::content::ImageSpec;
use support::fault::{Act, Fault, Place};
use support::registry::{Options, Registry};
use tempfile::TempDir;

const MIRRORS: u64 = 20;

/// How long it lives unless it is said.
const HOUR: Duration = Duration::from_secs(3600);

const MINUTE: Duration = Duration::from_secs(60);

/// How often one of the mirrors breaks or heals.
const TURN: Duration = Duration::from_secs(3);

/// The part of the time, one over this, that is not asked about: caches fill and the first lists are made.
const WARM_UP: usize = 5;

fn main() {
    let said = std::env::args().skip(1).find_map(|argument| humantime::parse_duration(&argument).ok());
    let life = said.unwrap_or(HOUR);
    let fakes: Vec<Registry> = (0..MIRRORS).map(fake).collect();
    let home = tempfile::tempdir().unwrap();
    let stand_in = Engine::start(home.path(), Some("{}\n"));
    let mut service = start(&home, &stand_in, &fakes);
    println!(
        "{} with {MIRRORS} TLS mirrors, one of which breaks or heals every {TURN:?}",
        humantime::format_duration(life)
    );
    println!(
        "{:>6} {:>9} {:>9} {:>6} {:>7} {:>8} {:>11} {:>9} {:>6}",
        "min", "RSS KiB", "anon KiB", "fds", "threads", "CPU s", "connections", "db KiB", "listed"
    );

    let began = Instant::now();
    let (mut samples, mut turn, mut next) = (Vec::new(), 0, MINUTE.min(life / 10));
    let every = next;
    let mut most_descriptors = 0;
    while began.elapsed() < life {
        sleep(TURN);
        change(&fakes, turn);
        turn += 1;
        most_descriptors = most_descriptors.max(count(&service, "fd"));
        if began.elapsed() >= next {
            next += every;
            let sample = Sample::take(&service, &home, &fakes, began.elapsed());
            sample.print(&stand_in);
            samples.push(sample);
        }
        assert!(service.try_wait().unwrap().is_none(), "the service has ended");
    }
    for fake in &fakes {
        fake.heal();
    }
    report(&samples, most_descriptors);
    service.kill().unwrap();
    service.wait().unwrap();
}

/// Each a little slower to answer than the one before.
fn fake(number: u64) -> Registry {
    Registry::start(Options {
        images: vec![ImageSpec { layers: vec![1_000_000], ..ImageSpec::default() }],
        tls: Some(Certificate::Good(vec!["127.0.0.1".to_owned()])),
        latency: Duration::from_millis(2 * (number + 1)),
        ..Options::default()
    })
}

/// One of the worse mirrors breaks in one of the ways of the wild or is well again, and now and then one of the
/// better ones dies for a moment. Most stay well: those that refuse are left alone for an hour, and if that were
/// all of them, nobody would be asked.
fn change(fakes: &[Registry], turn: u64) {
    let (good, bad) = fakes.split_at(fakes.len() * 3 / 5);
    let faults = [
        Fault::at(Place::Manifest, Act::denied()),
        Fault::at(Place::Manifest, Act::not_found()),
        Fault::at(Place::Token, Act::rate_limited()),
        Fault::at(Place::Manifest, Act::nested_limit()),
        Fault::at(Place::Everywhere, Act::web_page()),
        Fault::at(Place::Layer, Act::Stall { after: 10_000 }),
        Fault::at(Place::Layer, Act::Corrupt),
        Fault::at(Place::Layer, Act::Cut),
        Fault::at(Place::Everywhere, Act::Silence),
        Fault::at(Place::Everywhere, Act::TlsReset),
        Fault::at(Place::Config, Act::Endless),
    ];
    let turn = usize::try_from(turn).unwrap();
    let fake = &bad[turn % bad.len()];
    match turn % 3 {
        0 => fake.heal(),
        // Strides without a common divisor, so that every mirror meets every fault.
        _ => fake.set_fault(faults[turn % faults.len()].clone()),
    }
    let better = &good[turn / 20 % good.len()];
    match turn % 20 {
        10 => better.stop(),
        13 => better.start_again(),
        _ => {}
    }
}

fn start(home: &TempDir, stand_in: &Engine, fakes: &[Registry]) -> Child {
    let ca_file = home.path().join("ca.pem");
    file::replace(&ca_file, authority_pem().as_bytes(), None).unwrap();
    let mut text = format!(
        "[probe]\nlearn_images = false\nproxy = \"none\"\nconnect_timeout = \"1s\"\ntimeout = \"1s\"\nstall = \"1s\"\nca_file = \"{}\"\n\
         [schedule]\nconnect = \"1s\"\nsample = \"2s\"\nrehearse = \"5s\"\ndecide = \"2s\"\nconfirm = \"200ms\"\nhold = \"10s\"\n\
         [budget]\nrequests_per_minute = 100000\nrequests_per_day = 1000000\nrefusals_per_2_days = 1000000\nbytes_per_day = \"1024GiB\"\n\
         total_bytes_per_day = \"1024GiB\"\nreloads_per_day = 100000\n\
         [select]\ncompare_upstream = false\n\
         [engine.docker]\nenabled = true\nconfig_file = \"{}\"\nsocket = \"{}\"\nreload = {}\n",
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
        .arg(at("run"))
        .args(["run", "-q"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// How many entries a directory of the service's `/proc` has.
fn count(service: &Child, directory: &str) -> usize {
    fs::read_dir(format!("/proc/{}/{directory}", service.id())).unwrap().count()
}

/// What the service takes at one moment.
struct Sample {
    after: Duration,
    resident: f64,
    anonymous: f64,
    descriptors: usize,
    threads: usize,
    cpu: f64,
    connections: u64,
    database: u64,
}

impl Sample {
    fn take(service: &Child, home: &TempDir, fakes: &[Registry], after: Duration) -> Self {
        let status = fs::read_to_string(format!("/proc/{}/status", service.id())).unwrap();
        let kib = |field: &str| -> f64 {
            let value = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
            value.trim().trim_end_matches(" kB").parse().unwrap()
        };
        let size =
            |name: &str| fs::metadata(home.path().join("state").join(name)).map_or(0, |file| file.len());
        // The least of some moments: probes under way have descriptors of their own.
        let descriptors = (0..20).map(|_| {
            sleep(Duration::from_millis(50));
            count(service, "fd")
        });
        Self {
            after,
            resident: kib("VmRSS:"),
            anonymous: kib("RssAnon:"),
            descriptors: descriptors.min().unwrap(),
            threads: count(service, "task"),
            cpu: cpu(service),
            connections: fakes.iter().map(Registry::connections).sum(),
            database: (size("state.db") + size("state.db-wal")) / 1024,
        }
    }

    fn print(&self, stand_in: &Engine) {
        let list = fs::read_to_string(stand_in.file()).unwrap_or_default();
        let Self { after, resident, anonymous, descriptors, threads, cpu, connections, database } = self;
        let (minutes, listed) = (after.as_secs_f64() / 60.0, list.matches("https://").count());
        println!(
            "{minutes:>6.1} {resident:>9} {anonymous:>9} {descriptors:>6} {threads:>7} {cpu:>8.1} {connections:>11} {database:>9} {listed:>6}"
        );
    }
}

/// Seconds of CPU so far: `utime` and `stime` of `proc(5)`, in ticks of which Linux has 100 a second.
fn cpu(service: &Child) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", service.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn report(samples: &[Sample], most_descriptors: usize) {
    let skipped = samples.len().div_ceil(WARM_UP);
    let steady = &samples[skipped..];
    let slope_of = |of: fn(&Sample) -> f64| {
        slope(
            &steady
                .iter()
                .map(|sample| (sample.after.as_secs_f64() / 3600.0, of(sample)))
                .collect::<Vec<_>>(),
        )
    };
    println!("\nper hour, without the first fifth ({} samples):", steady.len());
    println!("  resident    {:>+9.0} KiB", slope_of(|sample| sample.resident));
    println!("  anonymous   {:>+9.0} KiB", slope_of(|sample| sample.anonymous));
    println!("  descriptors {:>+9.2}", slope_of(|sample| sample.descriptors as f64));
    println!("most descriptors at once, with probes under way: {most_descriptors}");
}

/// The slope of the straight line that lies closest to these points.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
    let above: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    above / points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum::<f64>()
}
