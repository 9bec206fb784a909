//! The main job on real components: dockerd, docker-registry behind fronts that break, real pulls.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "dockerd/mod.rs"]
#[expect(dead_code, reason = "the harness is shared by several tests, and each uses a part")]
mod dockerd;
mod front;
#[expect(dead_code, reason = "the fakes are shared by several tests, and each uses a part")]
mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use dockerd::Dockerd;
use front::{Front, RealRegistry};
use mirrorwatch::file;
use mirrorwatch::status::{EngineState, ServiceState, Status, Verdict};
use rustix::process::{Pid, Signal, kill_process};
use support::content::ImageSpec;
use tempfile::TempDir;

/// The schedule of the tests: everything that takes minutes in life takes a second or less here.
const SCHEDULE: &str = r#"
[schedule]
connect = "1s"
sample = "2s"
rehearse = "4s"
decide = "1s"
confirm = "200ms"
hold = "1s"

[budget]
requests_per_minute = 100000
requests_per_day = 1000000
refusals_per_2_days = 100000
bytes_per_day = "1024GiB"
total_bytes_per_day = "1024GiB"
reloads_per_day = 10000
"#;

/// Far more than anything here takes, so that a slow machine fails no test.
const PATIENCE: Duration = Duration::from_secs(90);

/// Four mirrors of one registry, one fast, one less so, and so on; and a dockerd that knows none of them.
struct World {
    dockerd: Dockerd,
    fronts: Vec<Front>,
    places: TempDir,
    _registry: RealRegistry,
}

impl World {
    fn new(daemon_json: &str) -> Self {
        let image = ImageSpec { layers: vec![4_000_000, 60_000], ..ImageSpec::default() };
        let registry = RealRegistry::start(&image);
        // Each less than half as fast as the one before: their order is beyond doubt.
        let fronts =
            [40_000_000, 12_000_000, 4_000_000, 1_200_000].map(|speed| Front::start(&registry, speed));
        let world = Self {
            dockerd: Dockerd::start(daemon_json),
            fronts: fronts.into(),
            places: tempfile::tempdir().unwrap(),
            _registry: registry,
        };
        fs::create_dir(world.places.path().join("etc")).unwrap();
        world.configure(&["A", "B", "C", "D"]);
        world
    }

    fn config(&self) -> PathBuf {
        self.places.path().join("etc/mirrors.toml")
    }

    fn configure(&self, names: &[&str]) {
        let mut text = format!(
            "{SCHEDULE}\n[probe]\nlearn_images = false\nstall = \"1s\"\ntimeout = \"3s\"\nconnect_timeout = \"1s\"\nproxy = \"none\"\n\
             [select]\ncompare_upstream = false\n[notify]\ncommand = [\"sh\", \"-c\", \"cat >> {}\"]\n[engine.docker]\nenabled = true\nconfig_file = \"{}\"\nsocket = \"{}\"\npid_file = \"{}\"\n",
            self.places.path().join("news").display(),
            self.dockerd.file().display(),
            self.dockerd.at("sock").display(),
            self.dockerd.at("pid").display()
        );
        for (name, front) in ["A", "B", "C", "D"].iter().zip(&self.fronts) {
            if names.contains(name) {
                text += &format!("\n[[mirror]]\nname = \"{name}\"\nurl = \"{}\"\n", front.url());
            }
        }
        file::replace(&self.config(), text.as_bytes(), None).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mirrorwatch"));
        command
            .arg("--config")
            .arg(self.config())
            .arg("--state-dir")
            .arg(self.places.path().join("state"))
            .arg("--runtime-dir")
            .arg(self.places.path().join("run"))
            .args(arguments)
            .env_remove("NOTIFY_SOCKET")
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        command
    }

    fn mirrorwatch(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs it, and shows everything that it said when it did not end with 0.
    fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.mirrorwatch(arguments);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {}\n{out}\n{err}", output.status);
        out.into_owned()
    }

    fn urls(&self, fronts: &[usize]) -> Vec<String> {
        fronts.iter().map(|front| format!("{}/", self.fronts[*front].url())).collect()
    }

    /// Pulls the image anew, and checks that it came.
    fn pull(&self) {
        self.dockerd.docker(&["pull", "busybox:latest"]);
        self.dockerd.docker(&["image", "rm", "busybox:latest"]);
    }

    fn status(&self) -> Option<Status> {
        Status::read(&self.places.path().join("run"), &self.places.path().join("state")).ok()
    }

    /// Waits until dockerd lists exactly these, and says how long that took.
    fn wait_for_list(&self, fronts: &[usize]) -> Duration {
        let wanted = self.urls(fronts);
        self.wait(&format!("the list {fronts:?}"), || self.dockerd.mirrors() == wanted)
    }

    fn wait(&self, what: &str, done: impl Fn() -> bool) -> Duration {
        let start = Instant::now();
        while !done() {
            let log = fs::read_to_string(self.places.path().join("log")).unwrap_or_default();
            assert!(
                start.elapsed() < PATIENCE,
                "waited in vain for {what}; dockerd lists {:?}\n{log}\n{:#?}",
                self.dockerd.mirrors(),
                self.status().map(|status| status.mirrors)
            );
            sleep(Duration::from_millis(20));
        }
        start.elapsed()
    }

    fn run(&self) -> Service {
        let log = fs::File::options().create(true).append(true).open(self.places.path().join("log")).unwrap();
        let child = self.command(&["run", "-v"]).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Service { child }
    }
}

/// `mirrorwatch run`; dropped, it is ended.
struct Service {
    child: Child,
}

impl Service {
    fn terminate(&mut self) -> Option<i32> {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Odd on purpose: order, blanks, numbers and an escape that a rewrite would change.
const ODD: &str = "{\n\t\"log-opts\" : {\"max-size\":\"10m\"},\n\n   \"max-concurrent-downloads\": 4,\n  \"labels\": [\"a=\\u4e2d\"]   }";

#[test]
fn apply_puts_the_three_fastest_that_serve_in_order_and_touches_nothing_else() {
    let mut world = World::new(ODD);
    let pid = world.dockerd.pid();
    world.dockerd.import_sleep();
    let container =
        world.dockerd.docker(&["run", "--detach", "--network=none", "local/sleep:1", "/bin/sleep", "600"]);
    let inspect = |world: &World| {
        world.dockerd.docker(&[
            "inspect",
            "--format",
            "{{.State.Pid}} {{.State.StartedAt}} {{.RestartCount}}",
            &container,
        ])
    };
    let before = inspect(&world);
    world.fronts[1].close();

    let diff = world.succeeds(&["apply", "--dry-run"]);
    assert_eq!(world.dockerd.text().unwrap(), ODD, "a dry run writes nothing");
    assert!(diff.contains("+  \"registry-mirrors\"") || diff.contains("registry-mirrors"), "{diff}");
    assert!(world.dockerd.mirrors().is_empty());

    world.succeeds(&["apply"]);
    assert_eq!(world.dockerd.mirrors(), world.urls(&[0, 2, 3]));
    let text = world.dockerd.text().unwrap();
    let start =
        text.find(",\n  \"registry-mirrors\"").expect("inserted behind the last member, in the file's style");
    let end = start + text[start..].find(']').unwrap() + 1;
    assert_eq!(format!("{}{}", &text[..start], &text[end..]), ODD, "every other byte is the same");

    let identity = |world: &World| {
        let metadata = fs::metadata(world.dockerd.file()).unwrap();
        (metadata.ino(), metadata.mtime_nsec(), metadata.ctime_nsec())
    };
    let (written, reloads) = (identity(&world), world.dockerd.log().matches("reload").count());
    world.succeeds(&["apply"]);
    assert_eq!(identity(&world), written, "the second apply writes nothing");
    assert_eq!(world.dockerd.log().matches("reload").count(), reloads, "and reloads nothing");
    world.pull();
    assert!(world.fronts[0].passed() > 4_000_000, "the pull went through the fastest");

    world.succeeds(&["restore"]);
    assert_eq!(world.dockerd.text().unwrap(), ODD, "restore brings the first file back");
    assert!(world.dockerd.mirrors().is_empty());
    assert_eq!(inspect(&world), before, "the container never noticed");
    assert!(world.dockerd.lives() && world.dockerd.pid() == pid);
}

#[test]
fn the_service_replaces_a_leader_that_dies_and_takes_it_back_when_it_has_proved_itself() {
    let world = World::new("{}");
    let mut service = world.run();
    world.wait_for_list(&[0, 1, 2]);
    world.pull();

    world.fronts[0].close();
    let refused = world.wait_for_list(&[1, 2, 3]);
    println!("a leader that refuses: switched after {refused:?}");
    world.pull();

    world.fronts[0].recover();
    let back = world.wait_for_list(&[0, 1, 2]);
    println!("recovered: back after {back:?}");
    world.pull();

    // Between the manifests, which are small, and the end of the layer.
    world.fronts[0].stall_after(20_000);
    let stalled = world.wait_for_list(&[1, 2, 3]);
    println!("a leader that stalls in a layer: switched after {stalled:?}");
    world.pull();

    // One connect interval, or one sample interval and three stalls, with two pauses between the checks; and a little
    // for a machine that is busy with other tests. In virtual time the bound is exact (`step/goals.rs`).
    let busy = Duration::from_secs(3);
    assert!(refused < Duration::from_millis(1000 + 2 * 200) + busy, "{refused:?}");
    assert!(stalled < Duration::from_millis(2000 + 3 * 1000 + 2 * 200) + busy, "{stalled:?}");
    assert_eq!(service.terminate(), Some(0), "SIGTERM ends it well");
    let status = world.status().unwrap();
    assert_eq!((status.service.state, status.service.pid), (ServiceState::Stopped, None));
    assert!(status.switches.iter().all(|switch| !switch.why.is_empty()), "every switch says why");
    let news = fs::read_to_string(world.places.path().join("news")).unwrap();
    let told: Vec<serde_json::Value> = news.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let switches = told.iter().filter(|event| event["event"] == "switch").count();
    assert!(switches + 1 >= status.switches.len(), "every switch was told, but perhaps the last: {news}");
}

#[test]
fn a_list_that_could_not_be_written_and_that_nobody_wants_any_more_is_no_trouble() {
    let world = World::new("{}");
    let _service = world.run();
    world.wait_for_list(&[0, 1, 2]);
    let lock = fs::File::open(world.places.path().join("state/engines/docker/lock")).unwrap();
    lock.lock().unwrap();
    let problem = || world.status()?.engines.first()?.problem.clone();
    world.fronts[0].close();
    world.wait("a list that cannot be written", || problem().is_some());
    world.fronts[0].recover();
    world.wait("all to be well", || world.status().is_some_and(|status| status.health().is_empty()));
    assert_eq!((problem(), world.dockerd.mirrors()), (None, world.urls(&[0, 1, 2])));
}

#[test]
fn an_edit_of_mirrors_toml_takes_effect() {
    let world = World::new("{}");
    let _service = world.run();
    world.wait_for_list(&[0, 1, 2]);

    world.configure(&["B", "C", "D"]);
    world.wait_for_list(&[1, 2, 3]);
}

#[test]
fn paused_it_probes_and_writes_nothing() {
    let world = World::new("{}");
    let _service = world.run();
    world.wait_for_list(&[0, 1, 2]);
    world.succeeds(&["pause"]);
    world.wait("the pause", || {
        world
            .status()
            .is_some_and(|status| status.service.paused_until.is_none() && status.health().len() == 1)
    });
    world.fronts[0].close();
    world.wait("the verdict", || {
        world.status().is_some_and(|status| {
            status.mirrors.iter().any(|mirror| mirror.name == "A" && mirror.verdict == Verdict::Rejected)
        })
    });
    assert_eq!(world.dockerd.mirrors(), world.urls(&[0, 1, 2]));
    world.succeeds(&["resume"]);
    world.wait_for_list(&[1, 2, 3]);
}

#[test]
fn what_stood_in_the_list_before_is_adopted_and_not_lost() {
    let image = ImageSpec { layers: vec![4_000_000, 60_000], ..ImageSpec::default() };
    let registry = RealRegistry::start(&image);
    let own = Front::start(&registry, 200_000_000);
    let world = World::new(&format!("{{\"registry-mirrors\": [\"{}\"]}}", own.url()));
    let _service = world.run();
    world.wait("the adopted mirror in front", || {
        world.dockerd.mirrors().first() == Some(&format!("{}/", own.url()))
            && world.dockerd.mirrors().len() == 3
    });
}

#[test]
fn nothing_live_and_no_upstream_leaves_the_list_as_it_is() {
    let world = World::new("{}");
    // On a busy machine the fronts close one after the other, and three checks within half a second would find the
    // first closed and the last not yet: that would be a failure of the first.
    let text = fs::read_to_string(world.config()).unwrap();
    let slower = text.replace("confirm = \"200ms\"", "confirm = \"1s\"");
    assert_ne!(text, slower);
    file::replace(&world.config(), slower.as_bytes(), None).unwrap();
    let _service = world.run();
    world.wait_for_list(&[0, 1, 2]);
    // The first list may have been revised once, at the end of the round.
    let runs = |status: Status| status.service.state == ServiceState::Running;
    world.wait("the end of the first round", || world.status().is_some_and(runs));
    let switched = world.status().unwrap().switches.len();
    Front::close_all(&world.fronts);
    let log = || fs::read_to_string(world.places.path().join("log")).unwrap();
    world.wait("the outage", || world.status().is_some_and(|status| status.service.network_reason.is_some()));
    assert_eq!(world.dockerd.mirrors(), world.urls(&[0, 1, 2]), "{}", log());
    for front in &world.fronts {
        front.recover();
    }
    world.wait("the end of the outage", || {
        world.status().is_some_and(|status| status.service.network_reason.is_none())
    });
    assert_eq!(world.dockerd.mirrors(), world.urls(&[0, 1, 2]));
    let status = world.status().unwrap();
    assert_eq!(
        status.switches.len(),
        switched,
        "nothing was switched since: {:#?}\n{}",
        status.switches,
        fs::read_to_string(world.places.path().join("log")).unwrap()
    );
    assert_eq!(status.engines[0].state, EngineState::InPlace);
}
