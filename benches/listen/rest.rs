//! What listening costs while nobody pulls.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use mirrorwatch::listen::kernel::Kernel;
use mirrorwatch::listen::{Aim, Listener, Log, Pulls, Source};
use mirrorwatch::ours::Ours;
use rustix::thread::gettid;
use rustix::time::{ClockId, clock_gettime};

/// Says that this process is one of the cases.
pub(crate) const INSIDE: &str = "inside-case";

const DAY: f64 = 86_400.0;

/// What stands for dockerd.
enum Engine {
    /// A process that does nothing.
    AtRest,
    /// One that has another number of files open every second: this one.
    Busy,
    /// Its process is not known.
    Unseen,
}

struct Case {
    engine: Engine,
    /// How many lines a second others log into the journal; without one there is a log file, and nobody writes into it.
    journal: Option<u32>,
    /// Whether what connects once a second, which is never the engine, does so to the mirror's address.
    mirror: bool,
}

const CASES: [Case; 8] = [
    Case { engine: Engine::AtRest, journal: None, mirror: false },
    Case { engine: Engine::Busy, journal: None, mirror: false },
    Case { engine: Engine::Unseen, journal: None, mirror: false },
    Case { engine: Engine::AtRest, journal: None, mirror: true },
    Case { engine: Engine::Unseen, journal: Some(0), mirror: false },
    Case { engine: Engine::Unseen, journal: Some(1), mirror: false },
    Case { engine: Engine::Unseen, journal: Some(100), mirror: false },
    Case { engine: Engine::AtRest, journal: Some(100), mirror: true },
];

/// Prints all of it, each over this span after some time to settle, and all at once: what is measured is the time of
/// threads.
pub(crate) fn measure(settle: Duration, span: Duration) {
    walks();
    let spans = [format!("settle={}", settle.as_secs()), format!("rest={}", span.as_secs())];
    let own = std::env::current_exe().unwrap();
    let begin = |(number, case): (usize, &Case)| {
        let number = format!("{INSIDE}={number}");
        let mut command = match case.journal {
            Some(_) => Command::new("unshare"),
            None => Command::new(&own),
        };
        if case.journal.is_some() {
            command.arg("--mount").arg(&own);
        }
        command.arg(number).args(&spans).spawn().unwrap()
    };
    println!("nobody pulls, somebody connects every second; seconds a day:");
    let cases: Vec<Child> = CASES.iter().enumerate().map(begin).collect();
    for mut case in cases {
        assert!(case.wait().unwrap().success(), "a case was not measured");
    }
}

/// One case; one with a journal is in a mount namespace of its own.
pub(crate) fn inside(number: usize, settle: Duration, span: Duration) {
    let case = &CASES[number];
    let mut children = Vec::new();
    let directory = tempfile::tempdir().unwrap();
    let log = if case.journal.is_some() {
        children.push(journald());
        Log::Journal { unit: "docker.service".to_owned(), user: None }
    } else {
        let log = directory.path().join("log");
        drop(fs::File::options().create(true).append(true).open(&log).unwrap());
        Log::File(log)
    };
    let engine = match case.engine {
        Engine::AtRest => {
            let still = Command::new("sleep").arg("10000").spawn().unwrap();
            let pid = still.id();
            children.push(still);
            Some(pid)
        }
        Engine::Busy => Some(std::process::id()),
        Engine::Unseen => None,
    };
    let engine_does = match case.engine {
        Engine::AtRest => "at rest",
        Engine::Busy => "busy",
        Engine::Unseen => "not to be seen",
    };
    let logs = match case.journal {
        Some(lines) => format!("the journal, {lines} lines a second"),
        None => "a log file".to_owned(),
    };
    let to = if case.mirror { ", to a mirror's address" } else { "" };
    let source = Source {
        pid: engine.map(|pid| i32::try_from(pid).unwrap()),
        pulls: Pulls::Told,
        log,
        keeps_connections: false,
    };
    let Day { own, journalctl } = at_rest(source, case, (settle, span));
    println!("  {own:.2}, journalctl {journalctl:.2}: {logs}, dockerd {engine_does}{to}");
    for mut child in children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// Seconds a day.
struct Day {
    own: f64,
    journalctl: f64,
}

/// A listener in this thread, while another does what others do.
fn at_rest(source: Source, case: &Case, (settle, span): (Duration, Duration)) -> Day {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mirror = listener.local_addr().unwrap();
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = || format!("http://{mirror}").parse().unwrap();
    let addresses = vec![(url(), vec![mirror])];
    let aim = Aim { candidates: vec![url()], addresses, beyond: Vec::new(), least_speed: 64 << 10 };
    let (over, lines) = (AtomicBool::new(false), case.journal.unwrap_or(0));
    let other = if case.mirror { &listener } else { &elsewhere };
    scope(|threads| {
        let (tell, told) = std::sync::mpsc::channel();
        let over = &over;
        threads.spawn(move || {
            tell.send(gettid().as_raw_nonzero().get()).unwrap();
            let mut files = Vec::new();
            while !over.load(Ordering::Relaxed) {
                second(other, lines);
                if matches!(case.engine, Engine::Busy) {
                    files.push(fs::File::open("/dev/null").unwrap());
                }
            }
        });
        let other = told.recv().unwrap();
        let (listener, mut heard) = runtime.block_on(async { Listener::start(source, aim, Ours::default()) });
        let mut listen = |span| {
            let heard = async { tokio::time::timeout(span, heard.recv()).await };
            let heard = runtime.block_on(heard);
            assert!(heard.is_err(), "nothing is to be heard: {heard:?}");
        };
        listen(settle);
        let (before, journalctl) = (spent_besides(other), spent_by_journalctl());
        listen(span);
        let part = DAY / span.as_secs_f64();
        let day = Day {
            own: (spent_besides(other) - before).as_secs_f64() * part,
            journalctl: (spent_by_journalctl() - journalctl).as_secs_f64() * part,
        };
        drop(listener);
        over.store(true, Ordering::Relaxed);
        day
    })
}

/// What others do in a second: somebody connects, and the lines are spread.
fn second(listener: &TcpListener, lines: u32) {
    let address: SocketAddr = listener.local_addr().unwrap();
    drop((TcpStream::connect(address).unwrap(), listener.accept().unwrap()));
    for _ in 0..lines.max(1) {
        if lines > 0 {
            one_line();
        }
        sleep(Duration::from_secs(1) / lines.max(1));
    }
}

/// The time of this process's threads but one, as the scheduler counted it.
fn spent_besides(other: i32) -> Duration {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let own = tasks.filter(|task| task.file_name().to_str() != Some(&other.to_string()));
    own.map(|task| spent(&task.path().display().to_string())).sum()
}

fn spent_by_journalctl() -> Duration {
    let mut sum = Duration::ZERO;
    for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace() {
            let name = fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
            if name.trim() == "journalctl" {
                sum += spent(&format!("/proc/{child}"));
            }
        }
    }
    sum
}

fn spent(process: &str) -> Duration {
    let spent = fs::read_to_string(format!("{process}/schedstat")).unwrap_or_default();
    let nanoseconds = spent.split_whitespace().next().and_then(|spent| spent.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

fn cpu() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
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
    let connected: Vec<_> =
        (0..400).map(|_| (TcpStream::connect(address).unwrap(), listener.accept().unwrap())).collect();
    let busy = one();
    println!("one walk: {idle:.0?}; with {} sockets more {busy:.0?}", 2 * connected.len());
}

/// A journal in this mount namespace.
fn journald() -> Child {
    let mount = |place: &str| Command::new("mount").args(["-t", "tmpfs", "none", place]).status().unwrap();
    assert!(mount("/run").success());
    fs::create_dir_all("/run/systemd/journal").unwrap();
    fs::create_dir_all("/run/log/journal").unwrap();
    if fs::exists("/var/log/journal").unwrap() {
        assert!(mount("/var/log/journal").success());
    }
    let mut command = Command::new("/lib/systemd/systemd-journald");
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while !one_line() {
        assert!(began.elapsed() < Duration::from_secs(20), "no journal");
        sleep(Duration::from_millis(50));
    }
    child
}

/// Somebody logs; whether there is a journal.
fn one_line() -> bool {
    let socket = UnixDatagram::unbound().unwrap();
    let line = b"MESSAGE=somebody else has something to say, which is no affair of ours\nPRIORITY=6\n";
    socket.send_to(line, "/run/systemd/journal/socket").is_ok()
}
