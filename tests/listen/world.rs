//! A real dockerd whose pulls are listened to, with mirrors that are fronts of one registry.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use mirrorwatch::file;
use mirrorwatch::status::{Mirror, Status};
use tempfile::TempDir;

use crate::dockerd::Dockerd;
use crate::front::{Front, RealRegistry};
use crate::support::content::ImageSpec;

/// Far more than anything here takes, so that a slow machine fails no test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Mirrors of one registry, and a dockerd whose pulls are listened to.
pub(crate) struct World {
    pub(crate) dockerd: Dockerd,
    pub(crate) fronts: Vec<Front>,
    pub(crate) places: TempDir,
    pub(crate) service: Option<Child>,
    _registry: RealRegistry,
}

impl World {
    /// With the default schedule; `speeds` in bytes per second, the fastest first.
    pub(crate) fn new(layer: usize, speeds: &[u64]) -> Self {
        Self::after(layer, speeds, |_| {})
    }

    /// The same, where something happens to dockerd before the service first looks at it.
    pub(crate) fn after(layer: usize, speeds: &[u64], act: impl FnOnce(&Dockerd)) -> Self {
        let world = Self::begin(layer, speeds, act);
        let all: Vec<usize> = (0..world.fronts.len()).collect();
        world.wait_for_list(&all);
        world
    }

    /// With a dockerd that had all of them from its start on: up to Docker 24, builds know no other list.
    pub(crate) fn listed(layer: usize, speeds: &[u64]) -> Self {
        let world = Self::set_up(layer, speeds, true, |_| {});
        wait("the first round", || world.mirrorwatch(&["status"]).0 == Some(0));
        world
    }

    /// The same as [`Self::after`], without waiting for a list.
    pub(crate) fn begin(layer: usize, speeds: &[u64], act: impl FnOnce(&Dockerd)) -> Self {
        Self::set_up(layer, speeds, false, act)
    }

    fn set_up(layer: usize, speeds: &[u64], listed: bool, act: impl FnOnce(&Dockerd)) -> Self {
        let image = ImageSpec { layers: vec![layer, 60_000], ..ImageSpec::default() };
        let registry = RealRegistry::start(&image);
        let fronts: Vec<Front> = speeds.iter().map(|speed| Front::start(&registry, *speed)).collect();
        let urls: Vec<_> = fronts.iter().map(|front| front.url().to_string()).collect();
        let config =
            if listed { serde_json::json!({ "registry-mirrors": urls }) } else { serde_json::json!({}) };
        let mut world = Self {
            dockerd: Dockerd::start(&config.to_string()),
            fronts,
            places: tempfile::tempdir().unwrap(),
            service: None,
            _registry: registry,
        };
        act(&world.dockerd);
        fs::create_dir(world.places.path().join("etc")).unwrap();
        let mut text = format!(
            "[probe]\nlearn_images = false\nproxy = \"none\"\n[select]\ncompare_upstream = false\n\
             [engine.docker]\nenabled = true\nconfig_file = \"{}\"\nsocket = \"{}\"\npid_file = \"{}\"\n",
            world.dockerd.file().display(),
            world.dockerd.at("sock").display(),
            world.dockerd.at("pid").display()
        );
        for (number, front) in world.fronts.iter().enumerate() {
            let name = ["A", "B", "C"].get(number).map_or_else(|| format!("M{number}"), ToString::to_string);
            text += &format!("\n[[mirror]]\nname = \"{name}\"\nurl = \"{}\"\n", front.url());
        }
        file::replace(&world.places.path().join("etc/mirrors.toml"), text.as_bytes(), None).unwrap();
        let log =
            fs::File::options().create(true).append(true).open(world.places.path().join("log")).unwrap();
        let child = world.command(&["run", "-v"]).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        world.service = Some(child);
        world
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mirrorwatch"));
        let place = |name| self.places.path().join(name);
        command.arg("--config").arg(place("etc/mirrors.toml"));
        command.arg("--state-dir").arg(place("state")).arg("--runtime-dir").arg(place("run"));
        command.args(arguments).env_remove("NOTIFY_SOCKET").env("LC_ALL", "C").stdin(Stdio::null());
        command
    }

    pub(crate) fn mirrorwatch(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let Output { status, stdout, .. } = self.command(arguments).output().unwrap();
        (status.code(), String::from_utf8(stdout).unwrap())
    }

    pub(crate) fn status(&self) -> Status {
        Status::read(&self.places.path().join("run"), &self.places.path().join("state")).unwrap()
    }

    pub(crate) fn mirror(&self, name: &str) -> Mirror {
        self.status().mirrors.into_iter().find(|mirror| mirror.name == name).unwrap()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.places.path().join("log")).unwrap_or_default()
    }

    pub(crate) fn wait_for_list(&self, fronts: &[usize]) {
        let wanted: Vec<String> =
            fronts.iter().map(|front| format!("{}/", self.fronts[*front].url())).collect();
        let start = Instant::now();
        while self.dockerd.mirrors() != wanted {
            assert!(
                start.elapsed() < PATIENCE,
                "waited in vain for {fronts:?}; dockerd lists {:?}\n{}\n{}",
                self.dockerd.mirrors(),
                self.log(),
                self.dockerd.log()
            );
            sleep(Duration::from_millis(20));
        }
    }

    /// `docker pull`, and how that goes on.
    pub(crate) fn pull(&self, image: &str) -> Child {
        let mut command = Command::new("docker");
        command.arg("--host").arg(format!("unix://{}", self.dockerd.at("sock").display()));
        command.args(["pull", image]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    /// What `docker build` asks of BuildKit, to its end; whether it went well. The client that does so is a program of its
    /// own, which Debian 12 does not have.
    pub(crate) fn build(&self, dockerfile: &str) -> bool {
        let at = |name: &str| self.places.path().join(name);
        file::replace(&at("Dockerfile"), dockerfile.as_bytes(), None).unwrap();
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(self.places.path()).arg("-cf").arg(at("context.tar")).arg("Dockerfile");
        assert!(tar.status().unwrap().success());
        let context = fs::read(at("context.tar")).unwrap();
        let mut stream = UnixStream::connect(self.dockerd.at("sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head =
            "POST /v1.41/build?version=2&t=built HTTP/1.0\r\nHost: docker\r\nContent-Type: application/x-tar";
        write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n", context.len()).unwrap();
        stream.write_all(&context).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.contains("Successfully tagged")
    }

    /// When dockerd logged the first line with these words, since the epoch.
    pub(crate) fn logged(&self, words: &str) -> Duration {
        self.logged_after(words, 0)
    }

    /// The same, after so many of them.
    pub(crate) fn logged_after(&self, words: &str, others: usize) -> Duration {
        let log = self.dockerd.log();
        let mut lines = log.lines().filter(|line| line.contains(words));
        let line = lines.nth(others).unwrap_or_else(|| panic!("{words}: {log}"));
        let time = line.strip_prefix("time=\"").and_then(|rest| rest.split_once('"')).unwrap().0;
        let time = humantime::parse_rfc3339_weak(time).unwrap();
        time.duration_since(SystemTime::UNIX_EPOCH).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut service) = self.service.take() {
            let _ = service.kill();
            let _ = service.wait();
        }
    }
}

/// Now, since the epoch: dockerd's log has the wall clock's time.
#[expect(clippy::disallowed_methods, reason = "compared with the times in dockerd's log")]
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap()
}

pub(crate) fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        sleep(Duration::from_millis(20));
    }
}
