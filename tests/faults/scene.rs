//! A host of one test's own: a real dockerd, two mirrors that serve, a mirrors.toml, and the program to run there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use mirrorwatch::engine::Docker;
use mirrorwatch::file;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::dockerd::Dockerd;
use crate::support::registry::{Options, Registry};

/// Oddly laid out, with escapes that a re-serialisation would change, and a list to begin with.
pub(crate) const FILE: &str = "\n{ \"labels\" :[\"\\u4e2d=\\/\"],\t\"max-concurrent-downloads\": 3,\r\n    \"registry-mirrors\": [\"https://old.example/\",\n  \"https://older.example\" ]\n ,\"debug\":false}\t";

/// Everything that takes minutes in life takes a second or less here.
const SOON: &str = "[schedule]\nconnect = \"300ms\"\nsample = \"500ms\"\nrehearse = \"1s\"\ndecide = \"200ms\"\nconfirm = \"50ms\"\n\
hold = \"1s\"\n[budget]\nrequests_per_minute = 100000\nrequests_per_day = 1000000\nreloads_per_day = 10000\n";

/// `mirrorwatch run`; dropped, it is ended.
pub(crate) struct Service {
    child: Child,
}

impl Service {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// As systemd ends it.
    pub(crate) fn end(&mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub(crate) struct Said {
    /// `None`: by a signal.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// With this code, and these words among what was said.
    #[track_caller]
    pub(crate) fn ended(self, code: i32, words: &str) -> Self {
        let said = format!("{}\n{}", self.out, self.err);
        assert_eq!(self.code, Some(code), "{said}");
        assert!(said.contains(words), "{words:?} not in:\n{said}");
        self
    }
}

pub(crate) struct Scene {
    pub(crate) daemon: Dockerd,
    mirrors: [Registry; 2],
    place: TempDir,
    state: PathBuf,
}

impl Scene {
    /// dockerd has [`FILE`].
    pub(crate) fn new() -> Self {
        Self::of(Dockerd::start(FILE))
    }

    pub(crate) fn of(daemon: Dockerd) -> Self {
        let mirrors = [0, 1].map(|_| Registry::start(Options::default()));
        let place = tempfile::Builder::new().prefix("mw-").tempdir_in("/tmp").unwrap();
        let state = place.path().join("state");
        let scene = Self { daemon, mirrors, place, state };
        scene.want(0);
        scene
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// Where the program keeps what outlives it.
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// From now on there.
    pub(crate) fn keep_state_in(&mut self, state: &Path) {
        self.state = state.to_owned();
    }

    /// Whether this text names one of the two mirrors.
    pub(crate) fn names_one(&self, text: &str) -> bool {
        [0, 1].iter().any(|which| text.contains(&self.url(*which)))
    }

    /// From now on this mirror is the only candidate, so that the next apply has something to do.
    pub(crate) fn want(&self, which: usize) {
        self.configure(which, "");
    }

    /// And more keys of `[engine.docker]`.
    pub(crate) fn configure(&self, which: usize, more: &str) {
        let text = format!(
            "[probe]\nlearn_images = false\nproxy = \"none\"\n[select]\ncompare_upstream = false\n\
             [engine.docker]\nenabled = true\nconfig_file = \"{}\"\nsocket = \"{}\"\npid_file = \"{}\"\n{more}\n\
             [[mirror]]\nname = \"A\"\nurl = \"{}\"\n",
            self.daemon.file().display(),
            self.daemon.at("sock").display(),
            self.daemon.at("pid").display(),
            self.url(which),
        );
        file::replace(&self.at("mirrors.toml"), text.as_bytes(), None).unwrap();
    }

    pub(crate) fn url(&self, which: usize) -> String {
        self.mirrors[which].url()
    }

    /// From now on this mirror gives so many bytes a second.
    pub(crate) fn slow_down(&self, which: usize, bytes_per_second: u64) {
        self.mirrors[which].set_speed(Some(bytes_per_second));
    }

    /// How often this mirror was asked for something with this in its path.
    pub(crate) fn asked(&self, which: usize, part: &str) -> usize {
        self.mirrors[which].count(|request| request.path.contains(part))
    }

    /// The list that dockerd has, as [`Self::want`] asked for it.
    pub(crate) fn has(&self, which: usize) -> bool {
        self.daemon.mirrors() == [format!("{}/", self.url(which))]
    }

    /// `before`, and then the program with these arguments.
    pub(crate) fn command(&self, before: &[&str], arguments: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_mirrorwatch");
        let words: Vec<&str> =
            before.iter().copied().chain([program]).chain(arguments.iter().copied()).collect();
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("MIRRORWATCH_CONFIG", self.at("mirrors.toml"))
            .env("STATE_DIRECTORY", &self.state)
            .env("RUNTIME_DIRECTORY", self.at("run"))
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        said(&mut self.command(&[], arguments))
    }

    /// As [`Self::want`], for a service that does not take its time.
    pub(crate) fn want_soon(&self, which: usize) {
        self.configure(which, "");
        let text = fs::read_to_string(self.at("mirrors.toml")).unwrap();
        file::replace(&self.at("mirrors.toml"), format!("{SOON}{text}").as_bytes(), None).unwrap();
    }

    /// The service, until it is dropped.
    pub(crate) fn serve(&self) -> Service {
        let log = fs::File::options().create(true).append(true).open(self.at("log")).unwrap();
        self.serve_and_log_to(log)
    }

    /// The same; it says what it does there.
    pub(crate) fn serve_and_log_to(&self, log: impl Into<Stdio>) -> Service {
        Service { child: self.command(&[], &["run"]).stdout(Stdio::null()).stderr(log).spawn().unwrap() }
    }

    /// What it published last.
    pub(crate) fn status(&self) -> serde_json::Value {
        let text = fs::read_to_string(self.at("run/status.json")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn wait(&self, what: &str, done: impl Fn() -> bool) {
        let start = Instant::now();
        while !done() {
            let late = start.elapsed() > Duration::from_secs(60);
            let log = || fs::read_to_string(self.at("log")).unwrap_or_default();
            assert!(!late, "waited in vain for {what}\n{}\n{:#}", log(), self.status());
            sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn apply(&self) -> Said {
        self.run(&["apply"])
    }

    /// The program under strace, which does `injection` to this system call.
    pub(crate) fn run_with(&self, arguments: &[&str], call: &str, injection: &str) -> Said {
        let (trace, inject) = (format!("trace={call}"), format!("inject={call}:{injection}"));
        let log = self.at("strace").display().to_string();
        let before = ["strace", "-f", "-qq", "-o", &log, "-e", &trace, "-e", &inject];
        said(&mut self.command(&before, arguments))
    }

    /// The program under strace, and how often it makes each of these system calls.
    pub(crate) fn counted(&self, arguments: &[&str], calls: &[&'static str]) -> Vec<(&'static str, usize)> {
        let log = self.traced_log(arguments, calls);
        let made = |call: &str| log.lines().filter(|line| line.contains(&format!(" {call}("))).count();
        calls.iter().map(|call| (*call, made(call))).collect()
    }

    /// The same, and which of these calls it is to each thread or process that makes one with this among its arguments:
    /// what strace counts by.
    pub(crate) fn turns(
        &self,
        arguments: &[&str],
        calls: &[(&'static str, &str)],
    ) -> Vec<(&'static str, BTreeSet<usize>)> {
        let names: Vec<&str> = calls.iter().map(|(call, _)| *call).collect();
        let log = self.traced_log(arguments, &names);
        let turns = calls.iter().map(|(call, with)| {
            let mut made: HashMap<&str, usize> = HashMap::new();
            let mut turns = BTreeSet::new();
            for line in log.lines().filter(|line| line.contains(&format!(" {call}("))) {
                let turn = made.entry(line.split(' ').next().unwrap_or_default()).or_default();
                *turn += 1;
                if line.contains(with) {
                    turns.insert(*turn);
                }
            }
            (*call, turns)
        });
        turns.collect()
    }

    fn traced_log(&self, arguments: &[&str], calls: &[&str]) -> String {
        let trace = format!("trace={}", calls.join(","));
        let log = self.at("strace").display().to_string();
        let before = ["strace", "-f", "-qq", "-o", &log, "-e", &trace];
        said(&mut self.command(&before, arguments)).ended(0, "");
        let log = fs::read(self.at("strace")).unwrap();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// The program that strace runs here now.
    pub(crate) fn traced(&self) -> Option<i32> {
        let state = format!("STATE_DIRECTORY={}", self.state.display());
        let pids = fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.into_iter().find(|pid: &i32| {
            let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
            let ours = read("environ").split(|byte| *byte == 0).any(|variable| variable == state.as_bytes());
            ours && read("comm") == b"mirrorwatch\n"
        })
    }

    /// Whether the last injection came about.
    pub(crate) fn was_hit(&self) -> bool {
        let log = fs::read(self.at("strace")).unwrap();
        String::from_utf8_lossy(&log).contains("(INJECTED)")
    }

    /// Whether a write is under way, or was when its process died.
    pub(crate) fn has_intent(&self) -> bool {
        self.left().iter().any(|name| name.ends_with(".intent"))
    }

    /// What the next start does before anything else.
    #[track_caller]
    pub(crate) fn recover(&self) {
        let engine = Docker::new(self.daemon.settings(), &self.state);
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(engine.recover())
            .unwrap();
    }

    /// The file names exactly the mirrors that dockerd has, and nothing is left of a write that was cut short.
    #[track_caller]
    pub(crate) fn agrees(&self) {
        let text = self.daemon.text().unwrap_or_else(|| "{}".to_owned());
        let file: serde_json::Value = serde_json::from_str(&text).unwrap();
        let list = file["registry-mirrors"].as_array().cloned().unwrap_or_default();
        let list: Vec<_> =
            list.iter().map(|url| format!("{}/", url.as_str().unwrap().trim_end_matches('/'))).collect();
        assert_eq!(list, self.daemon.mirrors(), "{text}");
        assert_eq!(self.left(), [""; 0]);
    }

    /// What an earlier process may have left: intents, and temporary files beside daemon.json.
    pub(crate) fn left(&self) -> Vec<String> {
        let state = fs::read_dir(self.state.join("engines/docker")).into_iter().flatten().flatten();
        let names = state.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let open = names.filter(|name| name.ends_with(".intent"));
        let beside = self.daemon.beside().into_iter().filter(|name| name.starts_with(".mirrorwatch-"));
        open.chain(beside).collect()
    }
}

pub(crate) fn said(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// What a helper printed, which must succeed.
#[track_caller]
pub(crate) fn output(command: &mut Command) -> String {
    let said = said(command);
    assert_eq!(said.code, Some(0), "{command:?}: {}", said.err);
    said.out
}
