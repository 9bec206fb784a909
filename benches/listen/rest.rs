//! What listening costs while nobody pulls.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use mirrorwatch::listen::kernel::Kernel;
use mirrorwatch::listen::{Aim, Listener, Log, Pulls, Source};
use mirrorwatch::ours::Ours;
use rustix::time::{ClockId, clock_gettime};

/// Says that this process is in the namespace with a journal of its own.
pub(crate) const INSIDE: &str = "inside-journal";

const DAY: f64 = 86_400.0;

/// What others do once a second; whether it went well.
type Act = fn() -> bool;

/// What is logged into a journal by others, once a second.
const JOURNALS: [(&str, Act); 3] =
    [("no line", quiet), ("60 lines", one_line), ("6000 lines", hundred_lines)];

/// Prints all of it, each over this span after some time to settle, and all at once: what is measured is the time of a
/// thread.
pub(crate) fn measure(settle: Duration, span: Duration) {
    walks();
    let spans = [format!("settle={}", settle.as_secs()), format!("rest={}", span.as_secs())];
    let own = std::env::current_exe().unwrap();
    let inside = |journal: usize| {
        let mut command = Command::new("unshare");
        command.arg("--mount").arg(&own).arg(format!("{INSIDE}={journal}")).args(&spans).spawn().unwrap()
    };
    let journals: Vec<Child> = (0..JOURNALS.len()).map(inside).collect();
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    drop(fs::File::options().create(true).append(true).open(&log).unwrap());
    // Its files stand for dockerd's: this process opens and closes them every second, and `sleep` does nothing.
    let me = i32::try_from(std::process::id()).ok();
    let mut sleeper = Command::new("sleep").arg("1000").spawn().unwrap();
    let still = i32::try_from(sleeper.id()).ok();
    scope(|threads| {
        for (what, pid) in [("at rest", still), ("busy", me), ("not to be seen", None)] {
            let log = &log;
            threads.spawn(move || {
                let day = at_rest(Log::File(log.clone()), pid, (settle, span), connect);
                println!(
                    "nobody pulls, a log file, somebody connects every second, dockerd {what}: {:.2} s a day",
                    day.own
                );
            });
        }
    });
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    for mut journal in journals {
        assert!(journal.wait().unwrap().success(), "the journal was not measured");
    }
}

/// A day's seconds of the listener's thread, and of its children.
struct Day {
    own: f64,
    children: f64,
}

fn connect() -> bool {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    std::net::TcpStream::connect(listener.local_addr().unwrap()).is_ok()
}

/// A listener in this thread, while another does something once a second.
fn at_rest(log: Log, pid: Option<i32>, (settle, span): (Duration, Duration), act: Act) -> Day {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = "http://192.0.2.1".parse().unwrap();
    let aim = Aim {
        candidates: vec!["http://192.0.2.1".parse().unwrap()],
        addresses: vec![(url, vec!["192.0.2.1:80".parse().unwrap()])],
        beyond: Vec::new(),
        least_speed: 64 << 10,
    };
    let source = Source { pid, pulls: Pulls::Told, log, keeps_connections: false };
    let over = AtomicBool::new(false);
    scope(|threads| {
        threads.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                act();
                sleep(Duration::from_secs(1));
            }
        });
        let (listener, mut heard) = runtime.block_on(async { Listener::start(source, aim, Ours::default()) });
        let mut listen = |span| {
            let heard = async { tokio::time::timeout(span, heard.recv()).await };
            let heard = runtime.block_on(heard);
            assert!(heard.is_err(), "nothing is to be heard: {heard:?}");
        };
        listen(settle);
        let (before, children) = (cpu(), cpu_of_children());
        listen(span);
        let part = DAY / span.as_secs_f64();
        let day = Day {
            own: (cpu() - before).as_secs_f64() * part,
            children: (cpu_of_children() - children).as_secs_f64() * part,
        };
        drop(listener);
        over.store(true, Ordering::Relaxed);
        day
    })
}

fn cpu() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

/// Of the children that are running `journalctl`, in nanoseconds that the scheduler counted.
fn cpu_of_children() -> Duration {
    let mut sum = 0;
    for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace() {
            let name = fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
            let spent = fs::read_to_string(format!("/proc/{child}/schedstat")).unwrap_or_default();
            let spent: u64 =
                spent.split_whitespace().next().and_then(|spent| spent.parse().ok()).unwrap_or(0);
            sum += if name.trim() == "journalctl" { spent } else { 0 };
        }
    }
    Duration::from_nanos(sum)
}

/// What one walk of the kernel takes.
fn walks() {
    const WALKS: u32 = 200;
    let mut kernel = Kernel::open().unwrap();
    let remotes = ["192.0.2.1:443".parse().unwrap()];
    let mut one = || {
        let before = cpu();
        for _ in 0..WALKS {
            kernel.connections(&remotes).unwrap();
        }
        (cpu() - before) / WALKS
    };
    let idle = one();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let connected: Vec<_> = (0..400)
        .map(|_| (std::net::TcpStream::connect(address).unwrap(), listener.accept().unwrap()))
        .collect();
    let busy = one();
    println!(
        "one walk: {idle:.0?}; with {} sockets more {busy:.0?}; every ten seconds {:.2} s a day; a pull is walked for \
         once a second",
        2 * connected.len(),
        idle.as_secs_f64() * DAY / 10.0
    );
}

/// In a mount namespace of its own: a journal, and a host that logs so many lines a minute.
pub(crate) fn inside(journal: usize, settle: Duration, span: Duration) {
    let mount = |place: &str| Command::new("mount").args(["-t", "tmpfs", "none", place]).status().unwrap();
    assert!(mount("/run").success());
    fs::create_dir_all("/run/systemd/journal").unwrap();
    fs::create_dir_all("/run/log/journal").unwrap();
    if fs::exists("/var/log/journal").unwrap() {
        assert!(mount("/var/log/journal").success());
    }
    let mut journald = Journald::start();
    let (lines, act) = JOURNALS[journal];
    let log = Log::Journal { unit: "docker.service".to_owned() };
    let day = at_rest(log, None, (settle, span), act);
    println!(
        "nobody pulls, the journal, {lines} a minute of others: {:.2} s a day, journalctl {:.2} s",
        day.own, day.children
    );
    journald.end();
}

fn quiet() -> bool {
    false
}

fn one_line() -> bool {
    let socket = UnixDatagram::unbound().unwrap();
    let line = b"MESSAGE=somebody else has something to say, which is no affair of ours\nPRIORITY=6\n";
    socket.send_to(line, "/run/systemd/journal/socket").is_ok()
}

/// Spread over the second.
fn hundred_lines() -> bool {
    (0..99).all(|_| {
        sleep(Duration::from_millis(10));
        one_line()
    })
}

struct Journald(Child);

impl Journald {
    fn start() -> Self {
        let mut command = Command::new("/lib/systemd/systemd-journald");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let began = Instant::now();
        while !one_line() {
            assert!(began.elapsed() < Duration::from_secs(20), "no journal");
            sleep(Duration::from_millis(50));
        }
        std::io::stdout().flush().unwrap();
        Self(child)
    }

    fn end(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
