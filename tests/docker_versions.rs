//! What other versions of dockerd than the installed one do, played by a fake on a unix socket.
//!
//! The fake reads the file when the reload command creates a marker beside it, as dockerd does at a SIGHUP.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "docker_versions/answers.rs"]
mod answers;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use mirrorwatch::engine::docker::{Reload, Settings};
use mirrorwatch::engine::{Applied, Docker, Problem};
use mirrorwatch::file;
use mirrorwatch::observation::ImageStore;
use mirrorwatch::reason::ProblemKind;
use serde_json::{Value, json};
use tempfile::TempDir;

const A: &str = "https://a.example";

/// How the fake tells of a reload.
#[derive(Clone, Copy, PartialEq)]
enum Tells {
    /// By its event.
    Event,
    /// By an event, so long before `/info` has the list.
    Early(Duration),
    /// By the end of the stream.
    HangsUp,
    /// By two mebibytes that are no event.
    Garbage,
    /// Not at all: it rejected the file.
    Nothing,
    /// By the event of somebody else's reload, with another list; it rejected ours.
    OthersEvent,
}

#[derive(Clone)]
struct Play {
    server: &'static str,
    info: Value,
    tells: Tells,
}

impl Default for Play {
    fn default() -> Self {
        let registry = json!({"Mirrors": null, "InsecureRegistryCIDRs": ["::1/128", "127.0.0.0/8"]});
        let info = json!({"ServerVersion": "28.5.2", "DriverStatus": [], "RegistryConfig": registry});
        Self { server: "Docker/28.5.2 (linux)", info, tells: Tells::Event }
    }
}

struct Fake {
    directory: TempDir,
    stage: Arc<Mutex<Stage>>,
}

struct Stage {
    play: Play,
    listeners: Vec<UnixStream>,
}

impl Fake {
    fn start(play: Play) -> Self {
        let directory = tempfile::Builder::new().prefix("mw-").tempdir_in("/tmp").unwrap();
        let listener = UnixListener::bind(directory.path().join("sock")).unwrap();
        let stage = Arc::new(Mutex::new(Stage { play, listeners: Vec::new() }));
        let place = directory.path().to_owned();
        let (for_reloads, for_answers) = (Arc::clone(&stage), Arc::clone(&stage));
        // Both threads end with the test's process.
        thread::spawn(move || reload_at_each_marker(&place, &for_reloads));
        thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &for_answers);
            }
        });
        Self { directory, stage }
    }

    /// From now on it says something else of itself.
    fn change(&self, change: impl FnOnce(&mut Value)) {
        change(&mut self.stage.lock().unwrap().play.info);
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self) -> Option<String> {
        fs::read_to_string(self.at("daemon.json")).ok()
    }

    fn engine(&self, reload: Reload) -> Docker {
        Docker::new(settings(self.directory.path(), reload), &self.at("state"))
    }

    fn apply(&self) -> Result<Applied, Problem> {
        let marker = self.at("reload").display().to_string();
        let command = ["touch", &marker].map(str::to_owned).to_vec();
        run(self.engine(Reload::Command(command)).apply(&[A.parse().unwrap()]))
    }
}

fn settings(place: &Path, reload: Reload) -> Settings {
    Settings {
        config_file: place.join("daemon.json"),
        socket: place.join("sock"),
        reload,
        unit: "docker.service".to_owned(),
        pid_file: place.join("pid"),
        keep: Vec::new(),
        with_pending: false,
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn answer(mut stream: UnixStream, stage: &Mutex<Stage>) {
    let mut head = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(request) = head.next() else { return };
    while head.next().is_some_and(|line| !line.is_empty()) {}
    let path = request.split(' ').nth(1).unwrap_or_default();
    let mut stage = stage.lock().unwrap();
    let server = stage.play.server;
    if path.starts_with("/events") {
        // An answer without a length lasts as long as its connection.
        write!(stream, "HTTP/1.1 200 OK\r\nServer: {server}\r\nConnection: close\r\n\r\n").unwrap();
        stage.listeners.push(stream);
        return;
    }
    let body = match path {
        "/_ping" => "OK".to_owned(),
        "/info" => stage.play.info.to_string(),
        "/images/json" => "[]".to_owned(),
        _ => String::new(),
    };
    let length = body.len();
    // The other side may have hung up on an answer that is too long for it.
    drop(write!(stream, "HTTP/1.1 200 OK\r\nServer: {server}\r\nContent-Length: {length}\r\n\r\n{body}"));
}

fn reload_at_each_marker(place: &Path, stage: &Mutex<Stage>) {
    loop {
        thread::sleep(Duration::from_millis(2));
        if fs::remove_file(place.join("reload")).is_err() {
            continue;
        }
        let text = fs::read_to_string(place.join("daemon.json")).unwrap_or_default();
        let file: Value = serde_json::from_str(&text).unwrap_or_default();
        let list = file.get("registry-mirrors").cloned();
        let tells = stage.lock().unwrap().play.tells;
        let take = |stage: &mut Stage| {
            if let Some(list) = &list {
                let list: Vec<_> = list
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|url| format!("{}/", url.as_str().unwrap()))
                    .collect();
                stage.play.info["RegistryConfig"]["Mirrors"] =
                    if list.is_empty() { Value::Null } else { list.into() };
            }
        };
        let tell = |stage: &mut Stage, list: &Value| {
            let event = json!({"Type": "daemon", "Action": "reload", "Actor": {"Attributes": {"registry-mirrors": list.to_string()}}});
            for listener in &mut stage.listeners {
                drop(writeln!(listener, "{event}"));
            }
        };
        let ours = list.clone().unwrap_or_else(|| json!([]));
        match tells {
            Tells::Event => {
                let mut stage = stage.lock().unwrap();
                take(&mut stage);
                tell(&mut stage, &ours);
            }
            Tells::Early(ahead) => {
                tell(&mut stage.lock().unwrap(), &ours);
                thread::sleep(ahead);
                take(&mut stage.lock().unwrap());
            }
            Tells::HangsUp => {
                let mut stage = stage.lock().unwrap();
                take(&mut stage);
                stage.listeners.clear();
            }
            Tells::Garbage => {
                let mut stage = stage.lock().unwrap();
                for listener in &mut stage.listeners {
                    drop(listener.write_all(&[b'{'; 2 << 20]));
                }
                take(&mut stage);
            }
            Tells::Nothing => {}
            Tells::OthersEvent => tell(&mut stage.lock().unwrap(), &json!(["https://other.example"])),
        }
    }
}

#[test]
fn no_mirrors_are_null_since_25_and_count_as_an_empty_list() {
    let fake = Fake::start(Play::default());
    let engine = fake.engine(Reload::None);
    assert_eq!(run(engine.facts()).unwrap().mirrors, Vec::<String>::new());
    assert!(!run(engine.apply(&[])).unwrap().changed);
    assert!(fake.apply().unwrap().verified);
    let restored = run(engine.plan_restore(0)).unwrap();
    assert_eq!((restored.after, restored.change), (None, true));
}

#[test]
fn an_event_that_comes_before_the_list_is_in_use_is_not_yet_the_proof() {
    let ahead = Duration::from_millis(150);
    let fake = Fake::start(Play { tells: Tells::Early(ahead), ..Play::default() });
    let applied = fake.apply().unwrap();
    assert!(applied.verified && applied.acknowledged.unwrap() >= ahead, "{applied:?}");
}

#[test]
fn without_the_event_stream_the_list_in_use_is_the_proof() {
    let fake = Fake::start(Play { tells: Tells::HangsUp, ..Play::default() });
    assert!(fake.apply().unwrap().verified);
}

#[test]
fn a_silent_rejection_or_somebody_elses_reload_is_no_proof() {
    let before = "{\"debug\": false}";
    // Though the engine has the list from before, it may not start with the file as it is now.
    for (tells, in_use) in [(Tells::Nothing, None), (Tells::OthersEvent, None), (Tells::OthersEvent, Some(A))]
    {
        let mut play = Play { tells, ..Play::default() };
        play.info["RegistryConfig"]["Mirrors"] = json!(in_use.map(|url| [format!("{url}/")]));
        let fake = Fake::start(play);
        file::replace(&fake.at("daemon.json"), before.as_bytes(), None).unwrap();
        let problem = fake.apply().unwrap_err();
        assert_eq!(problem.kind, ProblemKind::NotTaken);
        assert_eq!(fake.text().as_deref(), Some(before));
    }
}

#[test]
fn versions_that_forget_insecure_registries_are_refused_where_there_are_any() {
    for (version, cidr, in_file, refused) in [
        ("23.0.3", "10.0.0.0/8", "{}", true),
        ("23.0.3", "127.0.0.0/8", "{\"insecure-registries\": [\"r.example:5000\"]}", true),
        ("24.0.0", "10.0.0.0/8", "{}", true),
        ("23.0.3", "127.0.0.0/8", "{}", false),
        ("23.0.7", "10.0.0.0/8", "{}", false),
    ] {
        let mut play = Play::default();
        play.info["ServerVersion"] = version.into();
        play.info["RegistryConfig"]["InsecureRegistryCIDRs"] = json!([cidr]);
        let fake = Fake::start(play);
        file::replace(&fake.at("daemon.json"), in_file.as_bytes(), None).unwrap();
        let result = fake.apply();
        let kind = result.as_ref().err().map(|problem| problem.kind);
        assert_eq!(kind, refused.then_some(ProblemKind::ReloadBug), "{version} {cidr} {in_file}");
        assert_eq!(fake.text().as_deref() == Some(in_file), refused);
    }
}

#[test]
fn the_containerd_store_is_recognised() {
    let mut play = Play::default();
    play.info["DriverStatus"] = json!([["driver-type", "io.containerd.snapshotter.v1"]]);
    let fake = Fake::start(play);
    assert_eq!(run(fake.engine(Reload::None).facts()).unwrap().store, ImageStore::Containerd);
}

#[test]
fn what_is_not_dockerd_is_not_given_a_list() {
    let podman = Play { server: "Libpod/4.3.1 (linux)", ..Play::default() };
    let other = Play { info: json!({"ServerVersion": "1"}), ..Play::default() };
    let endless =
        Play { info: json!({"RegistryConfig": {}, "ServerVersion": "x".repeat(9 << 20)}), ..Play::default() };
    for play in [podman, other, endless] {
        let fake = Fake::start(play);
        let problem = fake.apply().unwrap_err();
        assert_eq!(problem.kind, ProblemKind::NoAnswer);
        assert!(problem.detail.starts_with(&fake.at("sock").display().to_string()), "{problem}");
        assert_eq!(fake.text(), None);
    }
}

#[test]
fn a_socket_that_never_answers_is_given_up_within_seconds() {
    let place = tempfile::Builder::new().prefix("mw-").tempdir_in("/tmp").unwrap();
    let at = |name: &str| place.path().join(name);
    let _silent = UnixListener::bind(at("sock")).unwrap();
    let settings = settings(place.path(), Reload::Auto);
    let start = Instant::now();
    let problem = run(Docker::new(settings, &at("state")).facts()).unwrap_err();
    assert_eq!(problem.kind, ProblemKind::NoAnswer);
    assert!(start.elapsed() < Duration::from_secs(9), "{:?}", start.elapsed());
}

#[test]
fn a_socket_of_somebody_else_leads_to_no_process_and_nothing_is_written() {
    let fake = Fake::start(Play::default());
    for reload in [Reload::Auto, Reload::Signal] {
        let problem = run(fake.engine(reload).apply(&[A.parse().unwrap()])).unwrap_err();
        assert_eq!(problem.kind, ProblemKind::ReloadFailed);
        assert_eq!(fake.text(), None);
    }
    assert_eq!(run(fake.engine(Reload::None).facts()).unwrap().file, fake.at("daemon.json"));
}
