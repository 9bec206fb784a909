//! A host of one test's own: an engine, a mirrors.toml, the three directories, and the program to run there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(dead_code, reason = "it is shared by several tests, and each uses a part")]

pub(crate) mod engine;

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use mirrorwatch::file;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::registry::Registry;
use engine::Engine;

/// Far more than anything here takes, so that a slow machine fails no test.
const PATIENCE: Duration = Duration::from_secs(60);

/// User and group of nobody.
const NOBODY: u32 = 65534;

/// What mirrors.toml says; the parts that tests change.
#[derive(Clone)]
pub(crate) struct Toml {
    pub(crate) probe: String,
    pub(crate) schedule: &'static str,
    pub(crate) select: String,
    pub(crate) docker: String,
    pub(crate) mirrors: String,
}

impl Default for Toml {
    fn default() -> Self {
        Self {
            probe: "learn_images = false\nproxy = \"none\"\nconnect_timeout = \"1s\"\ntimeout = \"1s\"\nstall = \"500ms\"\n".to_owned(),
            schedule: "connect = \"300ms\"\nsample = \"500ms\"\nrehearse = \"1s\"\ndecide = \"300ms\"\nconfirm = \"50ms\"\nhold = \"1s\"\n",
            select: "compare_upstream = false\n".to_owned(),
            docker: String::new(),
            mirrors: String::new(),
        }
    }
}

impl Toml {
    /// With these mirrors, by name.
    pub(crate) fn of(mirrors: &[(&str, &Registry)]) -> Self {
        mirrors.iter().fold(Self::default(), |toml, (name, registry)| toml.mirror(name, &registry.url(), ""))
    }

    /// And another mirror, with more keys.
    pub(crate) fn mirror(mut self, name: &str, url: &str, more: &str) -> Self {
        self.mirrors += &format!("\n[[mirror]]\nname = \"{name}\"\nurl = \"{url}\"\n{more}\n");
        self
    }

    /// With the upstream there.
    pub(crate) fn upstream(mut self, url: &str) -> Self {
        self.select = format!("upstream_url = \"{url}\"\n");
        self
    }
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// Its standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// With this code; else everything it said is shown.
    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }
}

/// The host.
pub(crate) struct Host {
    pub(crate) engine: Engine,
    place: TempDir,
}

impl Host {
    /// Docker's file is `{}`.
    pub(crate) fn new(toml: &Toml) -> Self {
        Self::with_file(toml, Some("{}\n"))
    }

    pub(crate) fn with_file(toml: &Toml, text: Option<&str>) -> Self {
        let place = tempfile::Builder::new().prefix("mw-").tempdir_in("/tmp").unwrap();
        fs::create_dir(place.path().join("etc")).unwrap();
        fs::create_dir(place.path().join("docker")).unwrap();
        let engine = Engine::start(&place.path().join("docker"), text);
        let host = Self { engine, place };
        host.configure(toml);
        host
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.at("etc/mirrors.toml")
    }

    /// As an editor does it that writes anew and renames.
    pub(crate) fn configure(&self, toml: &Toml) {
        self.write(&self.text_of(toml));
    }

    pub(crate) fn write(&self, text: &str) {
        file::replace(&self.config(), text.as_bytes(), None).unwrap();
    }

    pub(crate) fn text_of(&self, toml: &Toml) -> String {
        let Toml { probe, schedule, select, docker, mirrors } = toml;
        let reload = match docker.contains("reload =") {
            true => String::new(),
            false => format!("reload = {}", self.engine.reload_command()),
        };
        format!(
            "[probe]\n{probe}\n[schedule]\n{schedule}\n[budget]\nrequests_per_minute = 100000\nrequests_per_day = 1000000\n\
             refusals_per_2_days = 100000\nbytes_per_day = \"1024GiB\"\ntotal_bytes_per_day = \"1024GiB\"\nreloads_per_day = 10000\n\
             [select]\n{select}\n[engine.docker]\nenabled = true\nconfig_file = \"{}\"\nsocket = \"{}\"\n{reload}\n{docker}\n{mirrors}",
            self.engine.file().display(),
            self.engine.socket().display(),
        )
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mirrorwatch"));
        command
            .env_clear()
            .env("MIRRORWATCH_CONFIG", self.config())
            .env("STATE_DIRECTORY", self.at("state"))
            .env("RUNTIME_DIRECTORY", self.at("run"))
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        said(&mut self.command(arguments))
    }

    /// As user nobody, who may look around here and change nothing.
    pub(crate) fn run_as_nobody(&self, arguments: &[&str]) -> Said {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(self.place.path(), fs::Permissions::from_mode(0o755)).unwrap();
        said(self.command(arguments).uid(NOBODY).gid(NOBODY).current_dir("/"))
    }

    /// The service, until it is dropped.
    pub(crate) fn serve(&self) -> Service {
        let log = fs::File::options().create(true).append(true).open(self.at("log")).unwrap();
        Service { child: self.command(&["run", "-v"]).stdout(Stdio::null()).stderr(log).spawn().unwrap() }
    }

    /// The service, started by another program: `unshare`, say.
    pub(crate) fn serve_under(&self, program: &[&str]) -> Service {
        let log = fs::File::options().create(true).append(true).open(self.at("log")).unwrap();
        let service = self.command(&["run", "-v"]);
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).arg(service.get_program()).args(service.get_args()).env_clear();
        command.envs(service.get_envs().filter_map(|(name, value)| Some((name, value?))));
        // For what the program is made of; the service is named by its path.
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        Service { child: command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap() }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.at("log")).unwrap_or_default()
    }

    /// What it published last.
    pub(crate) fn status(&self) -> Value {
        let text = fs::read_to_string(self.at("run/status.json")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn wait(&self, what: &str, done: impl Fn() -> bool) {
        let start = Instant::now();
        while !done() {
            assert!(
                start.elapsed() < PATIENCE,
                "waited in vain for {what}; the engine lists {:?}\n{}\n{:#}",
                self.engine.mirrors(),
                self.log(),
                self.status()
            );
            sleep(Duration::from_millis(10));
        }
    }

    /// Until the engine lists these, and the status says that it does.
    #[track_caller]
    pub(crate) fn wait_for(&self, list: &[&Registry]) {
        let wanted: Vec<String> = list.iter().map(|registry| registry.url()).collect();
        self.wait(&format!("the list {wanted:?}"), || {
            self.engine.mirrors() == wanted && self.status()["engines"][0]["state"] == "in_place"
        });
    }

    /// Until the published status is so.
    #[track_caller]
    pub(crate) fn wait_for_status(&self, what: &str, done: impl Fn(&Value) -> bool) -> Value {
        self.wait(what, || done(&self.status()));
        self.status()
    }

    /// Until this mirror has been asked so many times more at depth rehearse, as the log has it.
    #[track_caller]
    pub(crate) fn wait_for_rehearsals(&self, name: &str, count: usize) {
        let rehearsals = || {
            let log = self.log();
            log.lines()
                .filter(|line| line.contains(&format!("\"{name}\"")) && line.contains("Rehearse"))
                .count()
        };
        let before = rehearsals();
        self.wait("rehearsals", || rehearsals() >= before + count);
    }
}

pub(crate) fn said(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// A mirror in a status or in the output of a probe.
#[track_caller]
pub(crate) fn mirror<'a>(status: &'a Value, name: &str) -> &'a Value {
    let mirrors = status["mirrors"].as_array().unwrap_or_else(|| panic!("no mirrors: {status:#}"));
    mirrors.iter().find(|mirror| mirror["name"] == name).unwrap_or_else(|| panic!("no {name}: {status:#}"))
}

/// Whether there is such a mirror with such a reason.
pub(crate) fn has_reason(status: &Value, name: &str, kind: &str) -> bool {
    let Some(mirrors) = status["mirrors"].as_array() else { return false };
    mirrors.iter().any(|mirror| mirror["name"] == name && kinds(mirror).iter().any(|one| one == kind))
}

/// The kinds of a mirror's reasons.
pub(crate) fn kinds(mirror: &Value) -> Vec<String> {
    let reasons = mirror["reasons"].as_array().unwrap();
    reasons.iter().map(|reason| reason["kind"].as_str().unwrap().to_owned()).collect()
}

/// `mirrorwatch run`; dropped, it is ended.
pub(crate) struct Service {
    child: Child,
}

impl Service {
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    pub(crate) fn end(&mut self, signal: Signal) -> Option<i32> {
        self.signal(signal);
        self.child.wait().unwrap().code()
    }

    pub(crate) fn lives(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether there is a file.
pub(crate) fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
