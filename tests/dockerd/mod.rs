//! A private dockerd for tests: its own file, data, socket and log in a directory that goes away with it.
//!
//! Any number run side by side. It has no bridge and touches no iptables; `docker run --network=none` works.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use mirrorwatch::engine::Docker;
use mirrorwatch::engine::docker::{Reload, Settings};
use mirrorwatch::file;
use mirrorwatch::mirror::MirrorUrl;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A start takes about a second; a machine under load gets a minute.
const START: Duration = Duration::from_secs(60);

/// dockerd stops its containers first.
const STOP: Duration = Duration::from_secs(30);

/// A running dockerd; dropped, it is stopped.
pub(crate) struct Dockerd {
    directory: TempDir,
    child: Child,
}

impl Dockerd {
    /// One whose daemon.json has these bytes.
    pub(crate) fn start(config: &str) -> Self {
        Self::with_flags(config, &[])
    }

    /// One with more flags than it needs to be private.
    pub(crate) fn with_flags(config: &str, flags: &[&str]) -> Self {
        Self::with(config, flags, &[])
    }

    /// One with flags and environment variables. It inherits no proxy.
    pub(crate) fn with(config: &str, flags: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut daemon = Self::run(config, flags, environment);
        daemon.wait_until_it_answers();
        daemon
    }

    /// One that is only just starting.
    pub(crate) fn launch(config: &str) -> Self {
        Self::run(config, &[], &[])
    }

    fn run(config: &str, flags: &[&str], environment: &[(&str, &str)]) -> Self {
        require_docker();
        // Short, because a socket's path may have 107 bytes.
        let directory = tempfile::Builder::new().prefix("mw-").tempdir_in("/tmp").unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("etc")).unwrap();
        file::replace(&at("etc/daemon.json"), config.as_bytes(), None).unwrap();
        let log = File::options().append(true).create(true).open(at("log")).unwrap();
        let mut command = Command::new("dockerd");
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        let child = command
            .envs(environment.iter().copied())
            .arg("--config-file")
            .arg(at("etc/daemon.json"))
            .arg("--data-root")
            .arg(at("data"))
            .arg("--exec-root")
            .arg(at("exec"))
            .arg("--pidfile")
            .arg(at("pid"))
            .arg("--host")
            .arg(format!("unix://{}", at("sock").display()))
            .args(["--bridge=none", "--iptables=false", "--ip6tables=false", "--storage-driver=vfs"])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("dockerd can be started");
        Self { directory, child }
    }

    fn wait_until_it_answers(&mut self) {
        let start = Instant::now();
        while self.try_get("/_ping").is_none_or(|body| body != "OK") {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && start.elapsed() < START, "dockerd does not start:\n{}", self.log());
            sleep(Duration::from_millis(20));
        }
    }

    /// A path in its directory.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Its daemon.json.
    pub(crate) fn file(&self) -> PathBuf {
        self.at("etc/daemon.json")
    }

    /// The bytes of its daemon.json; `None` when there is none.
    pub(crate) fn text(&self) -> Option<String> {
        fs::read_to_string(self.file()).ok()
    }

    /// Writes its daemon.json, as an administrator would.
    pub(crate) fn write(&self, text: &str) {
        file::replace(&self.file(), text.as_bytes(), None).unwrap();
    }

    /// Names of all files beside its daemon.json, that included.
    pub(crate) fn beside(&self) -> Vec<String> {
        let entries = fs::read_dir(self.at("etc")).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Its process.
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Whether the process that was started still runs.
    pub(crate) fn lives(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid()).unwrap(), signal).unwrap();
    }

    /// Makes it read its file, as its administrator would, and waits until it has.
    pub(crate) fn reload(&self) {
        const DONE: &str = "Reloaded configuration";
        let before = self.log().matches(DONE).count();
        self.signal(Signal::HUP);
        let start = Instant::now();
        while self.log().matches(DONE).count() == before {
            assert!(start.elapsed() < START, "dockerd does not reload:\n{}", self.log());
            sleep(Duration::from_millis(5));
        }
    }

    /// The mirrors that its API lists, as it spells them.
    pub(crate) fn mirrors(&self) -> Vec<String> {
        let info: serde_json::Value = serde_json::from_str(&self.get("/info")).unwrap();
        serde_json::from_value::<Option<Vec<String>>>(info["RegistryConfig"]["Mirrors"].clone())
            .unwrap()
            .unwrap_or_default()
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.at("log")).unwrap_or_default()
    }

    /// Runs `docker` against it and gives what it printed.
    pub(crate) fn docker(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("docker");
        command.arg("--host").arg(format!("unix://{}", self.at("sock").display())).args(arguments);
        let output = command.stdin(Stdio::null()).output().expect("the docker client can be started");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "docker {arguments:?}: {err}");
        out.trim().to_owned()
    }

    /// Imports the image `local/sleep:1`, which has nothing but `sleep` and its libraries.
    pub(crate) fn import_sleep(&self) {
        let root = self.at("image");
        let libraries = Command::new("ldd").arg("/bin/sleep").output().unwrap();
        let libraries = String::from_utf8(libraries.stdout).unwrap();
        let libraries = libraries.split_whitespace().filter(|word| word.starts_with('/'));
        for path in libraries.chain(["/bin/sleep"]) {
            let copy = root.join(path.trim_start_matches('/'));
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(path, copy).unwrap();
        }
        let archive = self.at("image.tar");
        let made = Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&archive).arg(".").status();
        assert!(made.unwrap().success());
        self.docker(&["import", &archive.display().to_string(), "local/sleep:1"]);
    }

    /// How mirrorwatch would be told of it.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            config_file: self.file(),
            socket: self.at("sock"),
            reload: Reload::Auto,
            unit: "docker.service".to_owned(),
            pid_file: self.at("pid"),
            keep: Vec::new(),
            with_pending: false,
        }
    }

    /// The engine under test, with its state beside this dockerd.
    pub(crate) fn engine(&self) -> Docker {
        Docker::new(self.settings(), &self.at("state"))
    }

    fn get(&self, path: &str) -> String {
        self.try_get(path).unwrap_or_else(|| panic!("GET {path}: no answer:\n{}", self.log()))
    }

    fn try_get(&self, path: &str) -> Option<String> {
        let mut stream = UnixStream::connect(self.at("sock")).ok()?;
        stream.set_read_timeout(Some(START)).unwrap();
        // HTTP/1.0: the answer ends with the connection.
        write!(stream, "GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.pid()).unwrap();
        let containerd = read_pid(&self.at("exec/containerd/containerd.pid"));
        let start = Instant::now();
        // Once only: the third SIGTERM makes dockerd leave its containers behind. It may have been stopped.
        let mut signals = vec![Signal::TERM, Signal::CONT];
        while self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            if start.elapsed() > STOP {
                signals.push(Signal::KILL);
            }
            for signal in signals.drain(..) {
                // It may have ended in between.
                let _ = kill_process(pid, signal);
            }
            sleep(Duration::from_millis(20));
        }
        // A dockerd that was killed leaves its containerd and its mounts behind.
        if let Some(left) = containerd.filter(|pid| is_containerd(*pid)) {
            let _ = kill_process(left, Signal::KILL);
        }
        for mount in mounts_below(self.directory.path()) {
            drop(Command::new("umount").arg("--lazy").arg(mount).status());
        }
    }
}

/// The innermost first.
fn mounts_below(directory: &Path) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(PathBuf::from);
    let mut below: Vec<_> = places.filter(|place| place.starts_with(directory)).collect();
    below.reverse();
    below
}

fn read_pid(path: &Path) -> Option<Pid> {
    Pid::from_raw(fs::read_to_string(path).ok()?.trim().parse().ok()?)
}

fn is_containerd(pid: Pid) -> bool {
    let name = fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero()));
    name.is_ok_and(|name| name.trim_end() == "containerd")
}

/// Ends the test with a clear word where dockerd cannot be run.
fn require_docker() {
    let root = rustix::process::geteuid().is_root();
    let installed = Command::new("dockerd").arg("--version").output().is_ok();
    assert!(
        root && installed,
        "the tests of the real engine need root and Debian's docker.io: run ./test.sh, which installs it"
    );
}

/// Mirrors from their URLs.
pub(crate) fn urls(urls: &[&str]) -> Vec<MirrorUrl> {
    urls.iter().map(|url| url.parse().unwrap()).collect()
}
