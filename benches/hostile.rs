//! What a hostile server costs a probe: bytes taken, memory at its peak, CPU; beside a healthy mirror in the same run.
//!
//! Each probe is made by a process of its own, in which a healthy mirror was probed before, so that what everything
//! needs once is there. More than 512 KiB or 20 ms of CPU beyond what the healthy one costs ends the bench with an
//! error.
//!
//! `cargo bench --bench hostile`

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

#[path = "../tests/support/mod.rs"]
#[expect(dead_code, reason = "the fakes are shared by several tests, and each uses a part")]
mod support;

use std::process::{Command, ExitCode};
use std::time::Duration;

use mirrorwatch::observation::{Depth, Outcome};
use mirrorwatch::probe::{Prober, Settings, Task};
use mirrorwatch::timestamp::Timestamp;
use support::content::ImageSpec;
use support::fault::{Act, Fault, Place};
use support::registry::{Options, Registry};

/// So much may a hostile server cost a probe.
const MOST_KIB: f64 = 512.0;
const MOST_MS: f64 = 20.0;

/// Of each the median of so many probes is shown.
const TIMES: usize = 5;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--probe") {
        probe(&arguments[at + 1], &arguments[at + 2]);
        return ExitCode::SUCCESS;
    }
    // Of a layer a mebibyte is read, and no kind of malice is to make it more.
    let image = ImageSpec { layers: vec![5_000_000], ..ImageSpec::default() };
    let options = |faults| Options { images: vec![image.clone()], faults, ..Options::default() };
    let healthy = Registry::start(options(Vec::new()));
    println!("{:<44} {:>20} {:>10} {:>12} {:>10}", "", "outcome", "taken", "peak memory", "CPU");
    let usual = figures(&healthy.url(), &healthy.url());
    show("healthy", &usual);
    let mut over = Vec::new();
    for (name, faults) in malices() {
        let registry = Registry::start(options(faults));
        let seen = figures(&healthy.url(), &registry.url());
        show(name, &seen);
        if seen.kib - usual.kib.max(0.0) > MOST_KIB || seen.ms - usual.ms > MOST_MS {
            over.push(name);
        }
    }
    if over.is_empty() {
        println!("none costs more than {MOST_KIB} KiB and {MOST_MS} ms beyond the healthy one");
        ExitCode::SUCCESS
    } else {
        println!("more than {MOST_KIB} KiB or {MOST_MS} ms beyond the healthy one: {}", over.join(", "));
        ExitCode::FAILURE
    }
}

/// Every malice that `tests/probe.rs` knows.
fn malices() -> Vec<(&'static str, Vec<Fault>)> {
    use Place::{Config, Everywhere, Get, Layer, Manifest, Ping, Token};
    let one = |place, act| vec![Fault::at(place, act)];
    let answer = |media_type, body: String| Act::Answer { status: 200, media_type, body };
    let manifest = "application/vnd.oci.image.index.v1+json";
    // Small enough to be read, and too large to be.
    let brackets = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let many = |count| format!("{{\"schemaVersion\":2,\"manifests\":[{}{{}}]}}", "{},".repeat(count));
    let escapes = "\u{1b}]0;owned\u{7}\u{202e}".repeat(2_000);
    let long = format!("/{}", "a".repeat(30_000));
    vec![
        ("a head without end", one(Everywhere, Act::EndlessHead)),
        ("a head, a byte at a time", one(Everywhere, Act::SlowHead)),
        ("100 Continue without end", one(Everywhere, Act::Interim)),
        ("something that is not HTTP", one(Everywhere, Act::Garbage)),
        ("silence", one(Everywhere, Act::Silence)),
        ("a ping without end", one(Ping, Act::Endless)),
        ("a token without end", one(Token, Act::Endless)),
        ("a manifest without end", one(Get, Act::Endless)),
        ("a manifest in chunks of one byte", one(Get, Act::Crumbs)),
        ("a manifest, ten bytes a second", one(Get, Act::Drip(10))),
        ("a manifest, said to be gzip", one(Get, Act::Gzip)),
        ("a manifest of brackets, 30,000 deep", one(Manifest, answer(manifest, brackets(30_000)))),
        ("a manifest of brackets, 400,000 deep", one(Manifest, answer(manifest, brackets(400_000)))),
        ("a manifest of 20,000 entries", one(Manifest, answer(manifest, many(20_000)))),
        ("a manifest of a million entries", one(Manifest, answer(manifest, many(1_000_000)))),
        ("a token of brackets, 10,000 deep", one(Token, answer("application/json", brackets(10_000)))),
        ("an error with 26 KB of escapes", one(Manifest, Act::error(403, "DENIED", &escapes))),
        ("a config without end", one(Config, Act::Endless)),
        ("a layer without end", one(Layer, Act::Endless)),
        ("a layer in chunks of one byte", one(Layer, Act::Crumbs)),
        ("a layer that ignores the range", one(Layer, Act::RangeIgnored)),
        ("a layer of other bytes", one(Layer, Act::Corrupt)),
        ("a layer that redirects to itself", one(Layer, Act::Loop)),
        ("a redirect of 30 KB", one(Layer, Act::Redirect { status: 307, to: long })),
    ]
}

/// What probes of one server came to.
struct Figures {
    outcome: String,
    bytes: u64,
    kib: f64,
    ms: f64,
}

fn show(name: &str, seen: &Figures) {
    let Figures { outcome, bytes, kib, ms } = seen;
    println!("{name:<44} {outcome:>20} {:>6} KiB {kib:>8.0} KiB {ms:>7.1} ms", bytes / 1024);
}

/// The median of several, each in a process of its own, for the peak is of a process.
fn figures(healthy: &str, url: &str) -> Figures {
    let mut all: Vec<Figures> = (0..TIMES)
        .map(|_| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            let output = command.args(["--probe", healthy, url]).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let said = String::from_utf8(output.stdout).unwrap();
            let mut words = said.split_whitespace();
            let mut next = || words.next().unwrap().to_owned();
            let outcome = next();
            let mut number = || next().parse::<f64>().unwrap();
            let (bytes, kib, ms) = (number(), number(), number());
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of bytes")]
            let bytes = bytes as u64;
            Figures { outcome, bytes, kib, ms }
        })
        .collect();
    let middle = |figure: fn(&Figures) -> f64, all: &mut Vec<Figures>| {
        all.sort_by(|one, other| figure(one).total_cmp(&figure(other)));
        figure(&all[TIMES / 2])
    };
    let (kib, ms) = (middle(|seen| seen.kib, &mut all), middle(|seen| seen.ms, &mut all));
    let seen = all.swap_remove(0);
    Figures { kib, ms, ..seen }
}

/// Probes the healthy one and then the other, and prints what the other cost.
fn probe(healthy: &str, url: &str) {
    let settings = Settings {
        connect_timeout: Duration::from_secs(2),
        timeout: Duration::from_secs(2),
        stall: Duration::from_secs(1),
        ..Settings::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let prober = Prober::new(settings).unwrap();
        let task =
            Task { depth: Depth::Rehearse, image: Some("busybox".parse().unwrap()), layers: None, turn: 0 };
        let at = Timestamp::from_millis(1_795_176_000_000);
        let first = prober.probe(&healthy.parse().unwrap(), &task, at).await;
        assert_eq!(first.outcome, Outcome::Served);
        // The peak begins anew here.
        std::fs::OpenOptions::new()
            .write(true)
            .open("/proc/self/clear_refs")
            .and_then(|mut file| std::io::Write::write_all(&mut file, b"5"))
            .unwrap();
        let (resident, cpu_before) = (status("VmRSS:"), cpu());
        let seen = prober.probe(&url.parse().unwrap(), &task, at).await;
        let spent = cpu().saturating_sub(cpu_before);
        let outcome = seen.failure().map_or("served".to_owned(), |failure| failure.kind.to_string());
        println!(
            "{outcome} {} {} {}",
            seen.spent.bytes,
            status("VmHWM:").saturating_sub(resident),
            spent.as_secs_f64() * 1e3
        );
    });
}

/// User and system time of this process.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

/// KiB, by the kernel.
fn status(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
