//! Listening to the engine's own pulls: the kernel's figures of real sockets, and a real dockerd that pulls.
//!
//! The service runs with the default schedule here: a minute between two connects, ten between two samples. What
//! is switched within seconds was switched because a pull was listened to.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "dockerd/mod.rs"]
#[expect(dead_code, reason = "the harness is shared by several tests, and each uses a part")]
mod dockerd;
#[expect(dead_code, reason = "the fronts are shared by several tests, and each uses a part")]
mod front;
#[expect(dead_code, reason = "the fakes are shared by several tests, and each uses a part")]
mod support;
#[path = "listen/world.rs"]
mod world;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use dockerd::Dockerd;
use mirrorwatch::listen::kernel::Kernel;
use mirrorwatch::listen::{Aim, Ear, Heard, Listener, Log, Pulls, Source};
use mirrorwatch::mirror::MirrorUrl;
use mirrorwatch::ours::Ours;
use mirrorwatch::pull::Seen;
use mirrorwatch::status::NoticeKind;
use tempfile::TempDir;
use world::{PATIENCE, World, now, wait};

// The kernel's figures.

/// A server's end and a client's end of one connection.
fn connected(address: &str) -> (SocketAddr, TcpStream, TcpStream) {
    let listener = TcpListener::bind(address).unwrap();
    let address = listener.local_addr().unwrap();
    let client = TcpStream::connect(address).unwrap();
    (address, listener.accept().unwrap().0, client)
}

#[test]
fn the_kernel_tells_what_came_over_a_connection_and_since_when_nothing_did() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let (remote, mut server, mut client) = connected(address);
        let (_, mut elsewhere, _other_client) = connected(address);
        elsewhere.write_all(&[0; 10]).unwrap();
        server.write_all(&[7; 3000]).unwrap();
        let mut kernel = Kernel::open().unwrap();
        let one = |kernel: &mut Kernel| {
            let found = kernel.connections(&[remote, "192.0.2.1:443".parse().unwrap()]).unwrap();
            assert_eq!(found.len(), 1, "nobody else's: {found:?}");
            found.into_iter().next().unwrap()
        };
        wait("the bytes", || one(&mut kernel).received == 3000);
        let unread = one(&mut kernel);
        assert_eq!((unread.remote, unread.unread, unread.opening), (remote, 3000, false));
        client.read_exact(&mut [0; 3000]).unwrap();
        assert_eq!(one(&mut kernel).unread, 0);
        wait("a silence", || one(&mut kernel).quiet >= Duration::from_millis(300));
        server.write_all(&[7]).unwrap();
        wait("a byte", || one(&mut kernel).received == 3001);
        assert!(one(&mut kernel).quiet < Duration::from_millis(300));
        drop(client);
        drop(server);
        wait("the end", || kernel.connections(&[remote]).unwrap().is_empty());
    }
}

#[test]
fn a_connection_that_nobody_accepts_is_seen_as_one_that_opens() {
    // A full queue of connections that nobody takes: the next one is never answered.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let remote = listener.local_addr().unwrap();
    let waiting: Vec<_> = (0..200)
        .map_while(|_| TcpStream::connect_timeout(&remote, Duration::from_millis(500)).ok())
        .collect();
    assert!(waiting.len() < 200, "the queue is full");
    let mut kernel = Kernel::open().unwrap();
    let call = std::thread::spawn(move || TcpStream::connect_timeout(&remote, Duration::from_secs(2)));
    wait("the call", || kernel.connections(&[remote]).unwrap().iter().any(|found| found.opening));
    call.join().unwrap().unwrap_err();
}

// The listener, with this process as the engine and sockets of its own as the pull's.

struct Scene {
    listener: Option<Listener>,
    heard: tokio::sync::mpsc::Receiver<Heard>,
    runtime: tokio::runtime::Runtime,
    log: PathBuf,
    _directory: TempDir,
}

impl Scene {
    /// Listens to a log that is written here, and to the connections of `pid` to `mirrors`.
    fn new(pid: Option<i32>, mirrors: &[SocketAddr]) -> Self {
        Self::besides(Ours::default(), pid, mirrors)
    }

    /// The same, and some connections are this process's own.
    fn besides(ours: Ours, pid: Option<i32>, mirrors: &[SocketAddr]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        append(&log, "what was said before is not news: trying next host\n");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let url = |address: &SocketAddr| format!("http://{address}").parse::<MirrorUrl>().unwrap();
        let aim = Aim {
            candidates: mirrors.iter().map(url).collect(),
            addresses: mirrors.iter().map(|address| (url(address), vec![*address])).collect(),
            beyond: Vec::new(),
            least_speed: 64 << 10,
        };
        let source = Source {
            pid,
            pulls: Pulls::Events(directory.path().join("sock")),
            log: Log::File(log.clone()),
            keeps_connections: false,
        };
        let (listener, heard) = runtime.block_on(async { Listener::start(source, aim, ours) });
        Self { listener: Some(listener), heard, runtime, log, _directory: directory }
    }

    /// What is heard next, within a time; being told that there is no engine's socket here is nothing.
    fn next(&mut self, within: Duration) -> Option<Seen> {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let next = async { tokio::time::timeout(left, self.heard.recv()).await };
            match self.runtime.block_on(next).ok()?? {
                Heard::Seen(seen) => return Some(seen),
                Heard::Deaf(Ear::Events, _) | Heard::Settled => {}
                deaf @ Heard::Deaf(..) => panic!("{deaf:?}"),
            }
        }
    }
}

fn append(path: &std::path::Path, text: &str) {
    let mut file = fs::File::options().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn me() -> Option<i32> {
    i32::try_from(std::process::id()).ok()
}

#[test]
fn a_server_that_falls_silent_is_noticed_after_ten_seconds_and_one_that_ends_is_not() {
    let (stalls, mut silent, _one) = connected("127.0.0.1:0");
    let (ends, mut ended, mut two) = connected("127.0.0.1:0");
    let mut scene = Scene::new(me(), &[stalls, ends]);
    silent.write_all(&[0; 50_000]).unwrap();
    // The engine reads what comes, else it would be the one that is slow.
    let mut reader = _one.try_clone().unwrap();
    reader.read_exact(&mut [0; 50_000]).unwrap();
    let since = Instant::now();
    ended.write_all(&[0; 50_000]).unwrap();
    two.read_exact(&mut [0; 50_000]).unwrap();
    drop((ended, two));
    let seen = scene.next(PATIENCE).unwrap();
    let took = since.elapsed();
    let url: MirrorUrl = format!("http://{stalls}").parse().unwrap();
    assert!(
        matches!(&seen, Seen::Silent { url: who, quiet_ms, may_rest: true } if *who == url && *quiet_ms >= 10_000),
        "{seen:?}"
    );
    assert!(took >= Duration::from_secs(10), "{took:?}");
    println!("silence noticed after {took:?}");
    assert_eq!(scene.next(Duration::from_secs(3)), None, "once for each connection");
}

#[test]
fn connections_of_others_are_no_pulls() {
    let (mirror, _server, client) = connected("127.0.0.1:0");
    let ours = Ours::default();
    ours.begin(&client).succeeded();
    // A process that has no socket: what is open here is not its own. And nobody known: then ours do not count.
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    for pid in [i32::try_from(child.id()).ok(), None] {
        let mut scene = Scene::besides(ours.clone(), pid, &[mirror]);
        assert_eq!(scene.next(Duration::from_secs(12)), None, "{pid:?}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_pull_that_is_over_before_anybody_looked_counts() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let mirror = server.local_addr().unwrap();
    // Nobody's sockets are looked at, so the engine may be this process.
    let mut scene = Scene::new(None, &[mirror]);
    assert_eq!(scene.next(Duration::from_secs(1)), None, "it has looked, and listens");
    let mut client = TcpStream::connect(mirror).unwrap();
    server.accept().unwrap().0.write_all(&[0; 50_000]).unwrap();
    client.read_exact(&mut [0; 50_000]).unwrap();
    drop(client);
    assert_eq!(scene.next(Duration::from_millis(500)), None, "nobody has said that it went well");
    scene.listener.as_ref().unwrap().pulled();
    let url: MirrorUrl = format!("http://{mirror}").parse().unwrap();
    let seen = scene.next(PATIENCE);
    // To the kernel the end of what is sent is a byte, too.
    assert!(
        matches!(&seen, Some(Seen::Served { url: who, bytes: 50_000..50_002, .. }) if *who == url),
        "{seen:?}"
    );
}

#[test]
fn where_the_engine_s_files_cannot_be_counted_a_hang_is_noticed_as_well() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mirror = listener.local_addr().unwrap();
    let mut scene = Scene::new(None, &[mirror]);
    // What an unprivileged service sees of dockerd before Linux 6.2: neither its files nor whose a connection is.
    assert_eq!(scene.next(Duration::from_secs(3)), None, "the first walk finds nobody");
    let mut engine = Command::new("bash")
        .args(["-c", "exec 3<>\"/dev/tcp/127.0.0.1/$1\"; cat <&3", "bash"])
        .arg(mirror.port().to_string())
        .stdin(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let since = Instant::now();
    let seen = scene.next(PATIENCE);
    let took = since.elapsed();
    engine.kill().unwrap();
    engine.wait().unwrap();
    assert!(matches!(&seen, Some(Seen::Silent { .. })), "{seen:?}");
    println!("silence of an engine that cannot be looked at noticed after {took:?}");
    // Ten of silence, and at most ten until somebody looks.
    assert!(took < Duration::from_secs(20 + 4), "{took:?}");
}

#[test]
fn a_log_file_is_followed_through_half_lines_and_when_it_is_emptied() {
    let mirror: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let mut scene = Scene::new(me(), &[mirror]);
    let line = "time=\"x\" level=info msg=\"Attempting next endpoint for pull after error: Get \\\"http://127.0.0.1:9/v2/\\\": EOF\"\n";
    let log = scene.log.clone();
    let (first, second) = line.split_at(40);
    // Until it listens, what is written is what was said before.
    let mut left = None;
    for _ in 0..100 {
        append(&log, "time=\"x\" level=info msg=\"Layer sha256:0 cleaned up\"\n");
        append(&log, first);
        append(&log, second);
        left = scene.next(Duration::from_millis(300));
        if left.is_some() {
            break;
        }
    }
    let left = left.expect("the line is heard");
    assert!(matches!(&left, Seen::Left { .. }), "{left:?}");
    assert_eq!(scene.next(Duration::from_millis(300)), None, "once");

    fs::File::options().write(true).open(&log).unwrap().set_len(0).unwrap();
    append(&log, line);
    assert_eq!(scene.next(PATIENCE), Some(left.clone()), "emptied, as logrotate does");

    append(&log, &format!("{}\n{line}", "x".repeat(1 << 20)));
    assert_eq!(scene.next(PATIENCE), Some(left), "behind a line without an end");

    // dockerd quotes the whole page that a mirror answers with.
    let page = "x".repeat(20 << 10);
    append(
        &log,
        &format!(
            "time=\"x\" level=info msg=\"Attempting next endpoint for pull after error: Get \\\"http://127.0.0.1:9/v2/\\\": unexpected HTTP status: 503 {page}\"\n"
        ),
    );
    let left = scene.next(PATIENCE);
    assert!(matches!(&left, Some(Seen::Left { .. })), "the beginning of a long line tells: {left:?}");
    scene.listener = None;
    assert_eq!(scene.next(PATIENCE), None, "dropped, it ends");
}

// A real dockerd.

#[test]
fn a_pull_that_hits_a_dead_head_has_it_replaced() {
    let world = World::new(4_000_000, &[40_000_000, 6_000_000, 1_000_000]);
    world.fronts[0].close();
    let mut pull = world.pull("busybox:latest");
    world.wait_for_list(&[1, 2]);
    let took = now() - world.logged("Attempting next endpoint for pull");
    println!("from the line in dockerd's log to the switch: {took:?}");
    // Promised are three; the rest is for two busy processors.
    assert!(took < Duration::from_secs(8), "{took:?}\n{}", world.log());
    assert!(pull.wait().unwrap().success(), "and the pull went on elsewhere");

    let (code, text) = world.mirrorwatch(&["why"]);
    assert_eq!(code, Some(0));
    assert!(text.contains("A ") && text.contains("connection refused"), "{text}");
    let (code, json) = world.mirrorwatch(&["why", "--json", "--since", "10m"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (code, &json["signs"][0]["seen"], &json["signs"][0]["name"]),
        (Some(0), &"left".into(), &"A".into())
    );
    assert_eq!(json["signs"][0]["failure"]["kind"], "connection_refused");
}

#[test]
fn a_pull_that_hangs_at_the_head_has_it_replaced() {
    let world = World::new(4_000_000, &[40_000_000, 6_000_000, 1_000_000]);
    // Between the manifests, which are small, and the end of the layer.
    world.fronts[0].stall_after(20_000);
    let began = Instant::now();
    let mut pull = world.pull("busybox:latest");
    world.wait_for_list(&[1, 2]);
    let took = began.elapsed();
    println!("from the pull to the switch: {took:?}, ten seconds of them silence");
    assert!(took >= Duration::from_secs(10), "before the silence was one: {took:?}\n{}", world.log());
    // Ten of silence, and eight are promised; the rest is for the start of the pull and two busy processors.
    assert!(took < Duration::from_secs(10 + 8 + 4), "{took:?}\n{}", world.log());
    let (code, text) = world.mirrorwatch(&["why"]);
    assert!(code == Some(0) && text.contains("no byte for 1"), "{text}");
    pull.kill().unwrap();
    pull.wait().unwrap();
}

#[test]
fn an_image_that_does_not_exist_changes_nothing() {
    let world = World::new(200_000, &[40_000_000, 1_000_000]);
    // A status follows what happens within a tenth of a second.
    let settled = || world.status().mirrors.iter().all(|mirror| mirror.budget.requests_today > 0);
    wait("the first round in the status", settled);
    let before: Vec<_> = world.status().mirrors;
    for image in ["nosuch:latest", "busybox:nosuch"] {
        assert!(!world.pull(image).wait().unwrap().success());
    }
    wait("both to be heard", || world.mirrorwatch(&["why", "--json"]).1.matches("\"absent\"").count() >= 4);
    let after = world.status().mirrors;
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.budget, after.budget, "{} was asked: {}", after.name, world.log());
        assert_eq!((before.selected, before.verdict), (after.selected, after.verdict));
    }
    assert_eq!(world.status().switches.len(), 1, "the first list alone");
}

#[test]
fn a_connection_that_a_build_leaves_open_is_no_complaint() {
    let world = World::listed(2_000_000, &[40_000_000, 12_000_000]);
    assert!(world.build("FROM busybox:latest\nLABEL a=b\n"), "{}", world.dockerd.log());
    wait("a word of the connection that BuildKit keeps", || world.mirrorwatch(&["why"]).0 == Some(0));
    let (_, text) = world.mirrorwatch(&["why"]);
    assert!(text.contains("rests after a build"), "{text}");
}

#[test]
fn a_good_pull_refreshes_the_record_without_a_probe() {
    // Some twelve seconds: no pull of that length can be missed.
    let world = World::new(12_000_000, &[1_000_000]);
    assert_eq!(world.status().service.notices, [], "it hears everything");
    let (code, text) = world.mirrorwatch(&["why"]);
    assert_eq!((code, text.as_str()), (Some(1), ""), "nothing was pulled yet");
    // dockerd has the list a moment before the status tells of it.
    wait("the first round in the status", || world.mirror("A").budget.requests_today > 0);
    let before = world.mirror("A");
    assert!(world.pull("busybox:latest").wait().unwrap().success());
    wait("the record", || world.mirror("A").last_probe != before.last_probe);
    let (code, text) = world.mirrorwatch(&["why"]);
    println!("{text}");
    assert!(code == Some(0) && text.contains("served") && text.contains(" MB "), "{text}");
    let after = world.mirror("A");
    assert!(after.last_probe > before.last_probe);
    assert_eq!(after.budget, before.budget, "nobody was asked: {}", world.log());
    let speed = after.bytes_per_second.unwrap();
    assert!((300_000..3_000_000).contains(&speed), "the front's million a second, about: {speed}");
}

#[test]
fn what_is_asked_by_hand_is_no_pull() {
    // Some twelve seconds: the probes may have used up what ends may cost that are no pull's, and a short one be missed.
    let world = World::begin(12_000_000, &[1_000_000, 1_000_000], |_| {});
    wait("both in the list", || world.dockerd.mirrors().len() == 2);
    wait("the first round", || world.mirrorwatch(&["status"]).0 == Some(0));
    assert_eq!(world.mirrorwatch(&["probe"]).0, Some(0));
    assert!(world.pull("busybox:latest").wait().unwrap().success());
    wait("the pull", || world.mirrorwatch(&["why"]).1.contains("served"));
    let (_, text) = world.mirrorwatch(&["why"]);
    assert_eq!(text.matches("served").count(), 1, "the first of the list alone: {text}");
}

#[test]
fn where_dockerd_logs_nowhere_it_says_so_once_and_listens_to_the_rest() {
    let gone = |dockerd: &Dockerd| fs::remove_file(dockerd.at("log")).unwrap();
    let mut world = World::after(12_000_000, &[1_000_000], gone);
    wait("the notice", || !world.status().service.notices.is_empty());
    let notices = world.status().service.notices;
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(
        notices[0].kind == NoticeKind::Deaf && notices[0].detail.contains("dockerd logs neither"),
        "{notices:?}"
    );
    let (_, text) = world.mirrorwatch(&["status"]);
    assert!(text.contains("warning: Docker's own pulls are not all listened to"), "{text}");
    assert!(world.pull("busybox:latest").wait().unwrap().success());
    wait("the good pull", || world.mirrorwatch(&["why"]).1.contains("served"));
    assert_eq!(world.log().matches("not listened to").count(), 1, "{}", world.log());

    // Without a service there is still what it remembered, and how old that is.
    let mut service = world.service.take().unwrap();
    service.kill().unwrap();
    service.wait().unwrap();
    let output = world.command(&["why", "--lang", "zh"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("正常提供"));
    assert!(String::from_utf8_lossy(&output.stderr).contains("服务没有运行"));
}

#[test]
fn while_nobody_pulls_the_runtime_is_not_woken() {
    let mirror: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let mut scene = Scene::new(me(), &[mirror]);
    let slept = || {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        count.unwrap().trim().parse::<u64>().unwrap()
    };
    assert_eq!(scene.next(Duration::from_secs(1)), None, "it has looked, and listens");
    // No timer of this runtime, for which it would be woken.
    let (ring, rung) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(21));
        ring.send(()).unwrap();
    });
    let before = slept();
    scene.runtime.block_on(rung).unwrap();
    assert_eq!(slept() - before, 1, "it slept through two looks of the lookout");
    assert!(scene.heard.is_empty());
}
