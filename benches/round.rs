//! A round of 20, 200 and 2000 mirrors, a tenth of them black holes: wall time beyond the time-out, CPU, memory.
//!
//! The fakes live in a process of their own, so that what is measured is mirrorwatch's. Beside it, in the same
//! run, stands what the same requests cost without any of our rules: as many bare requests with nothing behind them.
//!
//! `cargo bench --bench round`

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

#[path = "../tests/support/mod.rs"]
#[expect(dead_code, reason = "the fakes are shared by several tests, and each uses a part")]
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use mirrorwatch::mirror::MirrorUrl;
use mirrorwatch::observation::Depth;
use mirrorwatch::probe::{Prober, Settings};
use mirrorwatch::ranking::Policy;
use mirrorwatch::round::{Plan, ask};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::content::ImageSpec;
use support::hole::BlackHole;
use support::registry::{Options, Registry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What a black hole costs; everything else should be over by then.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().position(|argument| argument == "--serve") {
        Some(at) => serve(arguments[at + 1].parse().unwrap()),
        None if arguments.iter().any(|argument| argument == "--measure") => {
            measure(arguments.last().unwrap().parse().unwrap());
        }
        None => {
            println!(
                "{:>8} {:>10} {:>14} {:>12} {:>12} {:>12} {:>22}",
                "mirrors", "served", "beyond the", "CPU", "CPU each", "peak memory", "bare requests:"
            );
            println!(
                "{:>8} {:>10} {:>14} {:>12} {:>12} {:>12} {:>22}",
                "", "", "time-out", "", "", "", "wall"
            );
            for count in [20, 200, 2000] {
                // Each in a process of its own, for the peak is of a process.
                let status = Command::new(std::env::current_exe().unwrap())
                    .args(["--measure", &count.to_string()])
                    .status()
                    .unwrap();
                assert!(status.success());
            }
        }
    }
}

/// Limits the files that this process may have open. Where it may not have so many, the round of 2000 says so by failing.
fn open_files(most: u64) {
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(most), ..getrlimit(Resource::Nofile) });
}

/// Plays `count` mirrors, prints their addresses, and goes when its standard input does.
fn serve(count: usize) {
    open_files(16_384);
    // A small image: what is measured is the round, not this machine's loopback.
    let image = ImageSpec { layers: vec![100_000], ..ImageSpec::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let mut holes = Vec::new();
    let mut registries = Vec::new();
    for number in 0..count {
        if number % 10 == 9 {
            let hole = BlackHole::open();
            println!("{}", hole.address());
            holes.push(hole);
        } else {
            let registry = Registry::start(Options { images: vec![image.clone()], ..Options::default() });
            println!("{}", registry.address());
            registries.push(registry);
        }
    }
    println!("ready");
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn measure(count: usize) {
    let mut fakes = Command::new(std::env::current_exe().unwrap())
        .args(["--serve", &count.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(fakes.stdout.take().unwrap()).lines().map(Result::unwrap);
    let addresses: Vec<SocketAddr> =
        lines.take_while(|line| line != "ready").map(|line| line.parse().unwrap()).collect();
    let urls: Vec<MirrorUrl> =
        addresses.iter().map(|address| format!("http://{address}").parse().unwrap()).collect();

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    open_files(16_384);
    let bare = runtime.block_on(bare_requests(&addresses));
    // As a shell gives it: what the round needs beyond that it sees to itself.
    open_files(1024);
    let (cpu_before, wall) = (cpu(), Instant::now());
    let seen = runtime.block_on(async {
        let settings = Settings { connect_timeout: CONNECT_TIMEOUT, ..Settings::default() };
        let prober = Rc::new(Prober::new(settings).unwrap());
        let plan = Plan { depth: Depth::Rehearse, images: Policy::default().images };
        ask(prober, &urls, &plan, |_, _| {}).await
    });
    let (wall, cpu) = (wall.elapsed(), cpu() - cpu_before);
    let served = seen.iter().filter(|(_, observation)| observation.failure().is_none()).count();
    let beyond = wall.saturating_sub(CONNECT_TIMEOUT);
    println!(
        "{count:>8} {served:>10} {:>11.0} ms {:>9.0} ms {:>9.2} ms {:>8.1} MiB {:>19.0} ms",
        beyond.as_secs_f64() * 1e3,
        cpu.as_secs_f64() * 1e3,
        cpu.as_secs_f64() * 1e3 / count as f64,
        peak_kib() as f64 / 1024.0,
        bare.as_secs_f64() * 1e3,
    );
    drop(fakes.stdin.take());
    fakes.wait().unwrap();
    let expected = count - count / 10;
    assert_eq!(served, expected, "every healthy mirror is served, and no black hole");
}

/// Seven bare requests to each healthy mirror, all at once: the floor of this machine and of the fakes.
async fn bare_requests(addresses: &[SocketAddr]) -> Duration {
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for (_, address) in addresses.iter().enumerate().filter(|(number, _)| number % 10 != 9) {
        let address = *address;
        tasks.spawn(async move {
            for _ in 0..7 {
                let mut stream = tokio::net::TcpStream::connect(address).await?;
                stream.write_all(b"GET /v2/ HTTP/1.1\r\nHost: fake\r\nConnection: close\r\n\r\n").await?;
                stream.read_to_end(&mut Vec::new()).await?;
            }
            Ok::<(), std::io::Error>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap().unwrap();
    }
    start.elapsed()
}

/// User and system time of this process.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
