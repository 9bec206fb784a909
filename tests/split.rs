//! The boundary between the process that talks to strangers and the one that writes: what crosses it, and what never
//! does.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "dockerd/mod.rs"]
#[expect(dead_code, reason = "the harness is shared by several tests, and each uses a part")]
mod dockerd;
#[path = "split/frames.rs"]
mod frames;
mod namespace;

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use dockerd::Dockerd;
use frames::Boundary;
use mirrorwatch::file;
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A short run of `cargo bench --bench frames`.
#[test]
fn no_url_outside_mirrors_toml_and_no_reload_above_the_limit_whatever_is_asked() {
    let mut boundary = Boundary::new(7);
    for _ in 0..100_000 {
        boundary.play();
    }
    let tally = &boundary.tally;
    // Each way was taken often, or this would show nothing.
    for count in [tally.refused, tally.looks, tally.applied, tally.reloads, tally.over_the_limit] {
        assert!(count > 100, "{tally:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_at_all_come_to_nothing_or_to_what_is_allowed(frames in prop::collection::vec(any::<Vec<u8>>(), 1..20)) {
        let mut boundary = Boundary::new(1);
        for frame in frames {
            boundary.take(&frame);
        }
    }

    #[test]
    fn any_names_at_all_come_to_nothing_or_to_what_is_allowed(
        names in prop::collection::vec(prop_oneof!["[a-zA-Z0-9./:\u{4e00}-\u{4eff}]{0,40}", Just("DaoCloud".to_owned()), Just("https://own".to_owned())], 0..6),
        number in any::<u64>(),
    ) {
        let list = frames::named(names.iter().map(String::as_str));
        let frame = serde_json::json!({"format": 2, "number": number, "list": list});
        Boundary::new(2).take(frame.to_string().as_bytes());
    }
}

#[test]
fn a_request_may_name_what_takes_part_and_what_stood_in_the_engines_file() {
    use frames::decided;
    use mirrorwatch::applier::{Decision, Refusal};
    let asked = |names: &[&str]| {
        let list = frames::named(names.iter().copied());
        decided(&serde_json::json!({"format": 2, "number": 9, "list": list}))
    };
    let given = |urls: &[&str]| Decision::Apply(9, urls.iter().map(|url| url.parse().unwrap()).collect());
    let refused = |refusal| Decision::Refuse(Some(9), refusal);
    assert_eq!(
        asked(&["last", "DaoCloud"]),
        given(&["http://10.0.0.7:5000", "https://docker.m.daocloud.io"])
    );
    assert_eq!(asked(&[]), given(&[]));
    assert_eq!(asked(&["adopted.example"]), given(&["https://adopted.example"]));
    // Its host is the name of another.
    assert_eq!(asked(&["https://own", "own"]), given(&["https://own", "https://mirror.example:8443"]));
    for name in ["off", "off.example", "https://evil.example", "nobody", "daocloud"] {
        assert_eq!(asked(&[name]), refused(Refusal::Unknown(name.to_owned())), "{name}");
    }
    // One of the two cannot read the mirrors.toml in which it was renamed.
    let renamed = serde_json::json!([{"name": "theirs", "url": "https://mirror.example:8443"}]);
    let renamed = decided(&serde_json::json!({"format": 2, "number": 9, "list": renamed}));
    assert_eq!(renamed, given(&["https://mirror.example:8443"]));
    assert_eq!(asked(&["own", "own"]), refused(Refusal::Twice("own".to_owned())));
    assert_eq!(asked(&["own", "last", "DaoCloud", "南京大学"]), refused(Refusal::TooMany(4)));
}

#[test]
fn what_is_not_a_request_of_this_version_or_means_another_mirror_is_not_followed() {
    use frames::decided_bytes;
    use mirrorwatch::applier::{Decision, Refusal};
    let own = "{\"name\":\"own\",\"url\":\"https://mirror.example:8443\"}";
    let good = format!("{{\"format\":2,\"number\":9,\"list\":[{own}]}}");
    assert!(matches!(decided_bytes(good.as_bytes()), Decision::Apply(9, _)));
    let odd = |bytes: &str| {
        assert!(
            matches!(decided_bytes(bytes.as_bytes()), Decision::Refuse(None, Refusal::NotUnderstood(_))),
            "{bytes}"
        )
    };
    odd(&good.replace("\"format\":2", "\"format\":1"));
    odd(&good.replace("]}", "],\"hosts\":[]}"));
    odd(&good.replace("}]", ",\"hosts\":[]}]"));
    odd(&good.replace("]}", "],\"list\":[]}"));
    odd(&good.replace(own, "\"own\""));
    odd(&good.replace("9", "-9"));
    odd(&format!("{good}{good}"));
    odd(&good[1..]);
    odd("");
    odd(&format!("{good}{}", " ".repeat(70_000)));
    let other = good.replace("8443", "443");
    assert_eq!(
        decided_bytes(other.as_bytes()),
        Decision::Refuse(Some(9), Refusal::Another("own".to_owned()))
    );
}

/// A dockerd, mirrors.toml, and the directories of the two.
struct World {
    dockerd: Dockerd,
    place: TempDir,
}

impl World {
    fn new(daemon_json: &str) -> Self {
        let world = Self { dockerd: Dockerd::start(daemon_json), place: tempfile::tempdir().unwrap() };
        for directory in ["etc", "state", "run"] {
            std::fs::create_dir(world.at(directory)).unwrap();
        }
        world.configure("");
        world
    }

    fn at(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn configure(&self, more: &str) {
        let text = format!(
            "[engine.docker]\nconfig_file = {:?}\nsocket = {:?}\nreload = \"signal\"\n\n\
             [[mirror]]\nname = \"A\"\nurl = \"https://a.example\"\n\n[[mirror]]\nname = \"B\"\nurl = \"https://b.example\"\n{more}",
            self.dockerd.file(),
            self.dockerd.at("sock"),
        );
        file::replace(&self.at("etc/mirrors.toml"), text.as_bytes(), None).unwrap();
    }

    /// What the applier answers to these names.
    fn ask(&self, number: u64, names: &[&str]) -> Value {
        let host = |name: &str| {
            if name.len() > 1 { name.to_owned() } else { format!("{name}.example").to_lowercase() }
        };
        let named = |name: &&str| json!({"name": name, "url": format!("https://{}", host(name))});
        self.ask_for(number, names.iter().map(named).collect())
    }

    fn ask_for(&self, number: u64, list: Vec<Value>) -> Value {
        let request = json!({"format": 2, "number": number, "list": list});
        file::replace(&self.at("run/request.json"), request.to_string().as_bytes(), None).unwrap();
        self.apply_request()
    }

    fn apply_request(&self) -> Value {
        let output = self.mirrorwatch(&["apply-request"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&std::fs::read(self.at("run-apply/engine.json")).unwrap()).unwrap()
    }

    fn mirrorwatch(&self, arguments: &[&str]) -> Output {
        let [config, state, run] = ["etc/mirrors.toml", "state", "run"].map(|name| self.at(name));
        Command::new(env!("CARGO_BIN_EXE_mirrorwatch"))
            .args([OsStr::new("--config"), config.as_os_str(), OsStr::new("--state-dir"), state.as_os_str()])
            .args([OsStr::new("--runtime-dir"), run.as_os_str()])
            .args(arguments)
            .output()
            .unwrap()
    }
}

#[test]
fn the_applier_goes_by_what_it_knows_itself() {
    let own = "https://own.example/";
    let world = World::new(&format!("{{\"registry-mirrors\": [\"{own}\"], \"debug\": false}}"));
    let report = world.apply_request();
    assert_eq!((&report["adopted"], &report["outcome"]), (&json!(["https://own.example"]), &Value::Null));

    // What stood there may come back, and keep its place among the others.
    let report = world.ask(1, &["B", "own.example"]);
    assert_eq!(report["outcome"]["Ok"]["verified"], json!(true), "{report}");
    assert_eq!(world.dockerd.mirrors(), ["https://b.example/", own]);
    // The same request is answered once: nothing is done again that somebody has changed since.
    let left = report["reloads_left"].clone();
    assert_eq!(world.ask(1, &["A"])["outcome"], Value::Null);
    assert_eq!(world.ask(2, &["B", "own.example"])["reloads_left"], left, "no change costs nothing");

    // Another edit than the one that the prober goes by, which it may find invalid, keeps from the engine nothing but what
    // is another mirror by now; and one that is invalid leaves the last valid one in force.
    world.configure("\n[[mirror]]\nname = \"C\"\nurl = \"https://c.example\"\n");
    let before = json!({"name": "C", "url": "https://c-of-old.example"});
    assert_eq!(world.ask_for(3, vec![before])["outcome"]["Err"]["kind"], "raced");
    assert_eq!(world.ask(4, &["C"])["outcome"]["Ok"]["verified"], json!(true));
    world.configure("\n[[mirror]]\nname = \"D\"\nurl = \"no url\"\n");
    assert_eq!(world.ask(5, &["A", "C"])["outcome"]["Ok"]["verified"], json!(true));
    assert_eq!(world.ask(6, &["D"])["outcome"]["Err"]["kind"], "applier");
    assert_eq!(world.dockerd.mirrors(), ["https://a.example/", "https://c.example/"]);
    world.configure("");
}

#[test]
fn a_pause_and_a_restore_of_roots_hold_whatever_is_asked() {
    let before = "{\"debug\": false,\n \"labels\": []}";
    let world = World::new(before);
    // The service's own user, as systemd sets it up.
    for directory in ["state", "run"] {
        std::os::unix::fs::chown(world.at(directory), Some(65534), Some(65534)).unwrap();
    }
    assert_eq!(world.ask(1, &["A"])["outcome"]["Ok"]["verified"], json!(true));
    assert!(world.mirrorwatch(&["pause"]).status.success());
    assert!(world.at("state-apply/pause.json").exists() && !world.at("state/pause.json").exists());
    let report = world.ask(2, &["B"]);
    assert_eq!(report["outcome"]["Err"]["kind"], "applier", "{report}");
    assert!(world.mirrorwatch(&["resume"]).status.success());

    let output = world.mirrorwatch(&["restore"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(world.dockerd.text().as_deref(), Some(before), "byte for byte, from what the applier kept");
    assert_eq!(world.ask(3, &["B"])["outcome"]["Err"]["kind"], "applier", "it leaves the engine in peace");
    assert!(world.dockerd.mirrors().is_empty());
    // Nothing in the service's directories is root's, and so nothing is in its way.
    for entry in std::fs::read_dir(world.at("state")).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(std::fs::metadata(&path).unwrap().uid(), 65534, "{}", path.display());
    }
}

/// A mount that goes away with the test.
struct Mount(PathBuf);

impl Drop for Mount {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(&self.0).status());
    }
}

#[test]
fn on_a_full_disk_the_applier_goes_on_in_the_room_that_it_has_set_aside() {
    let world = World::new("{}");
    std::os::unix::fs::chown(world.at("state"), Some(65534), Some(65534)).unwrap();
    let state = world.at("state-apply");
    std::fs::create_dir(&state).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&state).status();
    let _disk = Mount(state.clone());
    assert!(mounted.unwrap().success());
    assert_eq!(world.ask(1, &["A"])["outcome"]["Ok"]["verified"], json!(true));
    let mut filler = std::fs::File::create_new(state.join("filler")).unwrap();
    while std::io::Write::write_all(&mut filler, &[0; 4096]).is_ok() {}
    for number in 2..14 {
        let name = if number % 2 == 0 { "B" } else { "A" };
        let report = world.ask(number, &[name]);
        assert_eq!(report["outcome"]["Ok"]["verified"], json!(true), "{number}: {report}");
        let warnings = report["facts"]["warnings"].as_array().unwrap();
        let full = warnings.iter().find(|warning| warning["kind"] == "state_full");
        assert_eq!(full.unwrap()["detail"], state.display().to_string(), "{report}");
        assert_eq!(report["reloads_left"], 20 - number, "changes are counted though the disk is full");
    }
    let output = world.mirrorwatch(&["restore"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(world.dockerd.text().as_deref(), Some("{}"));
}

#[test]
fn on_a_disk_that_has_become_read_only_the_applier_still_tells_of_the_engine() {
    let world = World::new("{}");
    std::os::unix::fs::chown(world.at("state"), Some(65534), Some(65534)).unwrap();
    let state = world.at("state-apply");
    std::fs::create_dir(&state).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&state).status();
    let _disk = Mount(state.clone());
    assert!(mounted.unwrap().success());
    assert_eq!(world.ask(1, &["A"])["outcome"]["Ok"]["verified"], json!(true));
    assert!(
        Command::new("mount").args(["-o", "remount,ro"]).arg(&state).status().unwrap().success(),
        "{}",
        state.display()
    );
    let report = world.ask(2, &["B"]);
    assert_eq!(report["facts"]["mirrors"], json!(["https://a.example"]), "{report}");
    assert!(report["outcome"]["Err"]["detail"].as_str().unwrap().contains("state-apply"), "{report}");
    assert_eq!(world.dockerd.mirrors(), ["https://a.example/"]);
}

/// The service as its own user, ended with the test.
struct Service(std::process::Child);

impl Service {
    fn start(place: &std::path::Path) -> Self {
        use std::os::unix::process::CommandExt;
        let [config, state, run] = ["etc/mirrors.toml", "state", "run"].map(|name| place.join(name));
        let child = Command::new(env!("CARGO_BIN_EXE_mirrorwatch"))
            .args([OsStr::new("--config"), config.as_os_str(), OsStr::new("--state-dir"), state.as_os_str()])
            .args([OsStr::new("--runtime-dir"), run.as_os_str()])
            .args(["run", "--unprivileged"])
            .env("LC_ALL", "C.UTF-8")
            .uid(65534)
            .gid(65534)
            .current_dir("/")
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::fs::File::create_new(place.join("log")).unwrap())
            .spawn();
        Self(child.unwrap())
    }

    #[track_caller]
    fn wait_for<T>(&mut self, what: &str, mut done: impl FnMut(&mut std::process::Child) -> Option<T>) -> T {
        let start = std::time::Instant::now();
        loop {
            if let Some(value) = done(&mut self.0) {
                return value;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "{what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A place with the service's directories, and a mirrors.toml with this in it.
fn place_of_service(toml: &str) -> TempDir {
    use std::os::unix::fs::PermissionsExt;
    let place = tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o755)).tempdir().unwrap();
    for directory in ["etc", "state", "run", "run-apply"] {
        std::fs::create_dir(place.path().join(directory)).unwrap();
    }
    for directory in ["state", "run"] {
        std::os::unix::fs::chown(place.path().join(directory), Some(65534), Some(65534)).unwrap();
    }
    file::replace(&place.path().join("etc/mirrors.toml"), toml.as_bytes(), None).unwrap();
    place
}

#[test]
fn a_service_whose_runtime_directory_is_removed_ends_and_says_so() {
    let mirror = "[[mirror]]\nname = \"A\"\nurl = \"http://127.0.0.1:9\"\n";
    let place = place_of_service(&format!("[engine.docker]\nenabled = false\n\n{mirror}"));
    let mut service = Service::start(place.path());
    let run = place.path().join("run");
    let status = run.join("status.json");
    service.wait_for("a status", |_| status.exists().then_some(()));
    // At one stroke, as whoever cleans up does it to an empty one.
    std::fs::rename(&run, place.path().join("gone")).unwrap();
    let pid = rustix::process::Pid::from_child(&service.0);
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    let ended = service.wait_for("its end", |child| child.try_wait().unwrap());
    let log = std::fs::read_to_string(place.path().join("log")).unwrap();
    // A failure, at which systemd starts it anew, with the directory.
    assert_eq!(ended.code(), Some(1), "{log}");
    let said = format!("{}: it was removed while the service ran", run.display());
    assert_eq!(log.matches(&said).count(), 1, "{log}");
    assert!(!log.contains("/.mirrorwatch-"), "{log}");
}

#[test]
fn where_dockerd_is_hidden_from_the_service_the_applier_is_not_started_without_end() {
    let test = "where_dockerd_is_hidden_from_the_service_the_applier_is_not_started_without_end";
    // Without a network: nobody is asked anything.
    if !namespace::is_inside(&["--mount", "--pid", "--net", "--fork", "--kill-child"], test) {
        return;
    }
    let hidden = Command::new("mount").args(["-t", "proc", "-o", "hidepid=2", "proc", "/proc"]).status();
    assert!(hidden.unwrap().success());
    let world = World::new("{}");
    let place = world.place.path();
    std::fs::set_permissions(place, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for directory in ["state", "run"] {
        std::os::unix::fs::chown(world.at(directory), Some(65534), Some(65534)).unwrap();
    }
    let mut service = Service::start(place);
    let (mut answered, mut runs, mut known_since) = (Value::Null, 0, None);
    let json = |name| -> Value {
        let text = std::fs::read(world.at(name)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    };
    service.wait_for("two seconds with an engine that is known", |_| {
        let request = json("run/request.json");
        if request["number"] != answered {
            answered = request["number"].clone();
            runs += 1;
            let report = world.apply_request();
            assert_ne!(report["running"], json!([]), "the applier sees it");
        }
        if known_since.is_none() && json("run/status.json")["engines"][0]["verified_at"] != Value::Null {
            known_since = Some(std::time::Instant::now());
        }
        // In which it would be asked for several times.
        known_since.filter(|since| since.elapsed() > Duration::from_secs(2) || runs > 9)
    });
    assert!((1..=3).contains(&runs), "{runs}");
}

#[test]
fn root_follows_no_link_in_the_services_directory() {
    let world = World::new("{}");
    std::os::unix::fs::chown(world.at("state"), Some(65534), Some(65534)).unwrap();
    let target = world.at("etc/shadow");
    std::os::unix::fs::symlink(&target, world.at("state/state.db")).unwrap();
    file::replace(&target, b"", None).unwrap();
    drop(world.mirrorwatch(&["probe", "--depth", "connect"]));
    assert_eq!(std::fs::read(&target).unwrap(), b"", "an empty file is one that a database is begun in");
}
