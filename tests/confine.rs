//! What the program forbids itself by the kernel's word: real Landlock, and each call seen by strace.

#![expect(clippy::disallowed_methods, reason = "a test does what is forbidden")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[expect(dead_code, reason = "dockerd is shared by several tests, and each uses a part")]
mod dockerd;
#[path = "host/engine.rs"]
mod engine;
#[expect(dead_code, reason = "the fakes are shared by several tests, and each uses a part")]
mod support;

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use mirrorwatch::confine::outside::{self, Link};
use mirrorwatch::{confine, file};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use dockerd::Dockerd;
use engine::Engine;
use support::registry::{Options, Registry};

/// Not in /tmp, which stays open to everyone, and where the checkout may be.
fn place() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap()
}

#[test]
fn whoever_is_confined_reads_everything_and_writes_nothing_elsewhere_nor_do_its_children() {
    let (inside, outside) = (place(), place());
    let (inside, outside) = (inside.path(), outside.path());
    File::create(outside.join("old")).unwrap();
    // Of this thread alone: the other tests of this process go on as ever.
    let confined = std::thread::scope(|scope| {
        let confined = scope.spawn(|| {
            confine::to(&[inside, Path::new("/nowhere/at/all")])?;
            let denied = |error: std::io::Error| assert_eq!(error.kind(), ErrorKind::PermissionDenied);
            denied(File::create(outside.join("new")).unwrap_err());
            denied(File::options().write(true).open(outside.join("old")).unwrap_err());
            denied(fs::remove_file(outside.join("old")).unwrap_err());
            denied(fs::create_dir(outside.join("directory")).unwrap_err());
            assert_eq!(fs::read(outside.join("old")).unwrap(), b"");
            file::replace(&inside.join("file"), b"1", None).unwrap();
            file::replace(&inside.join("file"), b"2", None).unwrap();
            let child = |place: &Path| {
                let script = "echo >/dev/null && : > \"$1/child\"";
                let output = Command::new("sh").args(["-c", script, "sh"]).arg(place).output().unwrap();
                output.status.success()
            };
            assert_eq!((child(inside), child(outside)), (true, false));
            let status = fs::read_to_string("/proc/thread-self/status").unwrap();
            assert!(status.contains("NoNewPrivs:\t1"), "{status}");
            Ok::<(), String>(())
        });
        confined.join().unwrap()
    });
    assert_eq!(confined, Ok(()), "this test needs a kernel with Landlock");
    let left: Vec<_> = fs::read_dir(outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["old"]);
    assert_eq!(fs::read(inside.join("file")).unwrap(), b"2");
}

#[test]
fn whoever_is_confined_has_others_looked_at_and_started_outside() {
    let (inside, elsewhere) = (place(), place());
    let (inside, elsewhere) = (inside.path(), elsewhere.path());
    let mut other = Command::new("cat");
    other.env("MARK", "of the other").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut other = other.spawn().unwrap();
    let pid = other.id().cast_signed();
    // Between its start and its first instruction a process has no environment yet: one that answers has it.
    other.stdin.as_mut().unwrap().write_all(b".").unwrap();
    other.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let confined = std::thread::scope(|scope| {
        let confined = scope.spawn(|| {
            confine::to(&[inside])?;
            for link in ["exe", "cwd", "fd/2"] {
                let seen = fs::read(format!("/proc/{pid}/{link}"));
                let kind = seen.expect_err("it is hidden").kind();
                assert_eq!(kind, ErrorKind::PermissionDenied, "{link}");
            }
            assert!(outside::leads(pid, Link::Program).unwrap().ends_with("cat"));
            assert_eq!(outside::leads(pid, Link::Directory).unwrap(), std::env::current_dir().unwrap());
            outside::leads(pid, Link::StandardError).unwrap();
            assert!(outside::descriptors(pid).unwrap().iter().all(Result::is_ok));
            assert!(outside::environment(pid).unwrap().windows(17).any(|part| part == b"MARK=of the other"));
            outside::afresh(|| confine::to(&[])).unwrap()?;

            let script = format!(": > '{}'", elsewhere.join("child").display());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let mut command = tokio::process::Command::new("sh");
            command.args(["-c", &script]);
            let ended = runtime.block_on(async { outside::start(command).unwrap().wait().await.unwrap() });
            assert!(ended.success());
            Ok::<(), String>(())
        });
        confined.join().unwrap()
    });
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(confined, Ok(()), "this test needs a kernel with Landlock");
    assert!(elsewhere.join("child").exists());
}

/// A mirror, an engine, and the program with strace at it; nothing of it where everyone may write.
struct Host {
    place: TempDir,
    engine: Engine,
    registry: Registry,
}

/// A thread that confined itself, and to what, as strace saw it.
#[derive(Debug, PartialEq)]
struct Domain {
    thread: String,
    line: usize,
    places: Vec<String>,
}

impl Host {
    /// `reload` is TOML.
    fn new() -> Self {
        let place = place();
        fs::create_dir(place.path().join("docker")).unwrap();
        fs::create_dir(place.path().join("elsewhere")).unwrap();
        fs::create_dir(place.path().join("conf")).unwrap();
        let engine = Engine::start(&place.path().join("docker"), Some("{}"));
        let host = Self { place, engine, registry: Registry::start(Options::default()) };
        host.configure(&host.engine.file(), &host.engine.socket(), &host.engine.reload_command());
        host
    }

    fn configure(&self, file: &Path, socket: &Path, reload: &str) {
        let settings = format!(
            "[probe]\nlearn_images = false\nproxy = \"none\"\n[select]\ncompare_upstream = false\n[notify]\ncommand = [\"sh\", \"-c\", \"cat >> '{}'\"]\n[engine.docker]\nenabled = true\nsocket = \"{}\"\nconfig_file = \"{}\"\nreload = {reload}\n[[mirror]]\nname = \"A\"\nurl = \"{}\"\n",
            self.at("elsewhere/news").display(),
            socket.display(),
            file.display(),
            self.registry.url()
        );
        file::replace(&self.at("conf/mirrors.toml"), settings.as_bytes(), None).unwrap();
    }

    fn at(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// `before` is what starts the program: strace, or nothing.
    fn command(&self, before: &[&str], args: &[&str]) -> Command {
        let mut words = before.iter().copied().chain([env!("CARGO_BIN_EXE_mirrorwatch")]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).env("TMPDIR", "/tmp").env_remove("NOTIFY_SOCKET").stdin(Stdio::null());
        command.arg("--config").arg(self.at("conf/mirrors.toml")).arg("--state-dir").arg(self.at("state"));
        command.arg("--runtime-dir").arg(self.at("runtime")).args(args);
        command
    }

    /// What the program said, and what strace saw of it.
    fn strace(&self, strace: &[&str], args: &[&str]) -> (Option<i32>, String, String) {
        let trace = self.at("trace").display().to_string();
        let before = ["strace", "-f", "-y", "-qq", "-s", "200", "-e", "signal=none", "-o", &trace];
        let output = self
            .command(&[&before, strace].concat(), args)
            .output()
            .unwrap_or_else(|error| panic!("strace: {error}: this test needs it: apt-get install strace"));
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), said, fs::read_to_string(trace).unwrap())
    }

    /// The same of the service, from its start until it has given the engine its list and is told to end.
    fn strace_service(&self, strace: &[&str]) -> String {
        let (trace, log) = (self.at("trace").display().to_string(), self.at("log"));
        let before = ["strace", "-f", "-y", "-qq", "-s", "200", "-e", "signal=none", "-o", &trace];
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut command = self.command(&[&before, strace].concat(), &["run", "-v"]);
        let mut service = Service(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        self.wait_for_list();
        let pid = self.status()["service"]["pid"].as_i64().unwrap();
        kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::TERM).unwrap();
        assert!(service.0.wait().unwrap().success(), "{}", self.log());
        fs::read_to_string(trace).unwrap()
    }

    fn serve(&self) -> Service {
        let log = File::options().create(true).append(true).open(self.at("log")).unwrap();
        Service(self.command(&[], &["run", "-v"]).stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.at("log")).unwrap_or_default()
    }

    fn status(&self) -> serde_json::Value {
        let text = fs::read_to_string(self.at("runtime/status.json")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    #[track_caller]
    fn wait(&self, what: &str, done: impl Fn() -> bool) {
        let start = Instant::now();
        while !done() {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "waited in vain for {what}\n{}\n{:#}",
                self.log(),
                self.status()
            );
            sleep(Duration::from_millis(10));
        }
    }

    fn wait_for_list(&self) {
        self.wait("the list", || {
            self.engine.mirrors() == [self.registry.url()]
                && self.status()["engines"][0]["state"] == "in_place"
        });
    }

    /// Who confined himself and to what, but for the places that everybody is left, and each place once.
    fn domains(&self, trace: &str) -> Vec<Domain> {
        let (mut domains, mut places) = (Vec::new(), Vec::new());
        for (line, text) in trace.lines().enumerate() {
            let thread = text.split(' ').next().unwrap_or_default().to_owned();
            if let Some((_, place)) = text.split_once("parent_fd=") {
                let place = place.split_once('<').and_then(|(_, place)| place.split_once('>')).unwrap().0;
                let ours = place.strip_prefix(&self.place.path().display().to_string());
                if !["/tmp", "/var/tmp", "/dev/null", "/dev/tty"].contains(&place) {
                    places.push(ours.unwrap_or(place).to_owned());
                }
            } else if text.contains("landlock_restrict_self(") {
                assert!(text.ends_with("= 0"), "{text}");
                let mut places = std::mem::take(&mut places);
                places.sort();
                places.dedup();
                domains.push(Domain { thread, line, places });
            }
        }
        domains
    }

    /// The first line of it, and its thread.
    #[track_caller]
    fn first(trace: &str, what: &str) -> (usize, String) {
        let found = trace.lines().enumerate().find(|(_, line)| line.contains(what));
        let (at, line) = found.unwrap_or_else(|| panic!("{what}: {trace}"));
        (at, line.split(' ').next().unwrap_or_default().to_owned())
    }

    fn port(&self) -> String {
        format!("htons({})", self.registry.url().rsplit(':').next().unwrap())
    }
}

/// `mirrorwatch run`; dropped, it is ended.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const CALLS: &str = "trace=landlock_add_rule,landlock_restrict_self,connect,renameat2";

#[test]
fn probe_is_confined_before_it_talks_to_anybody_and_remembers_what_it_saw() {
    let host = Host::new();
    let (code, said, trace) = host.strace(&["-e", CALLS], &["probe"]);
    assert_eq!(code, Some(0), "{said}");
    let domains = host.domains(&trace);
    let [domain] = &domains[..] else { panic!("once: {domains:?}") };
    let (first, thread) = Host::first(&trace, &host.port());
    assert!(domain.line < first && domain.thread == thread, "{trace}");
    assert_eq!(domain.places, ["/state"]);

    let (_, history, _) = host.strace(&["-e", "trace=none"], &["history", "--json"]);
    assert!(history.contains("\"served\""), "{history}");
}

#[test]
fn the_thread_that_talks_to_strangers_cannot_write_the_engines_file_and_the_one_that_can_nothing_else() {
    for command in ["apply", "run"] {
        let host = Host::new();
        let (trace, own) = match command {
            "run" => (host.strace_service(&["-e", CALLS]), vec!["/runtime", "/state"]),
            _ => {
                let (code, said, trace) = host.strace(&["-e", CALLS], &[command]);
                assert_eq!(code, Some(0), "{said}");
                (trace, vec!["/state"])
            }
        };
        let domains = host.domains(&trace);
        let [talks, writes] = &domains[..] else { panic!("{command}: two: {domains:?}") };
        let (first, thread) = Host::first(&trace, &host.port());
        assert!(talks.line < first && talks.thread == thread, "{command}: {trace}");
        assert_eq!(talks.places, own, "{command}");
        let (replaced, thread) = Host::first(&trace, "RENAME_EXCHANGE");
        assert!(writes.line < replaced && writes.thread == thread && thread != talks.thread, "{trace}");
        assert_eq!(writes.places, ["/docker", "/state", "/state/engines/docker"], "{command}");
    }
}

#[test]
fn restore_is_confined_as_apply_is() {
    let host = Host::new();
    assert!(host.command(&[], &["apply"]).status().unwrap().success());
    let (code, said, trace) = host.strace(&["-e", CALLS], &["restore"]);
    assert_eq!(code, Some(0), "{said}");
    let domains = host.domains(&trace);
    let places: Vec<_> = domains.iter().map(|domain| domain.places.join(" ")).collect();
    assert_eq!(places, ["/state", "/docker /state /state/engines/docker"]);
    let (replaced, thread) = Host::first(&trace, "RENAME_EXCHANGE");
    assert!(domains[1].line < replaced && domains[1].thread == thread, "{trace}");
}

#[test]
fn add_is_left_what_is_remembered_and_the_directory_of_its_file() {
    let host = Host::new();
    let url = Registry::start(Options::default());
    let (code, said, trace) = host.strace(&["-e", CALLS], &["add", &url.url()]);
    assert_eq!(code, Some(0), "{said}");
    let places: Vec<_> = host.domains(&trace).into_iter().map(|domain| domain.places.join(" ")).collect();
    // mirrors.d is not there yet.
    assert_eq!(places, ["/conf /state"]);
    let added = fs::read_to_string(host.at("conf/mirrors.d/local.toml")).unwrap();
    assert!(added.contains(&url.url()), "{added}");
}

#[test]
fn a_link_that_leads_out_of_the_state_directory_leads_nobody_there() {
    for command in ["apply", "run", "restore"] {
        let host = Host::new();
        let run = |command| assert!(host.command(&[], &[command]).status().unwrap().success(), "{command}");
        if command == "restore" {
            run("apply");
            // That is what it would be told to write there.
            assert!(host.at("state/room/0").exists());
            fs::remove_dir_all(host.at("state/room")).unwrap();
        }
        fs::create_dir_all(host.at("state")).unwrap();
        fs::create_dir(host.at("room")).unwrap();
        symlink(host.at("room"), host.at("state/room")).unwrap();
        if command == "run" {
            let _service = host.serve();
            host.wait_for_list();
        } else {
            run(command);
        }
        assert_eq!(fs::read_dir(host.at("room")).unwrap().count(), 0, "{command}");
    }
}

#[test]
fn a_kernel_without_landlock_is_told_of_to_those_who_ask_for_more_and_all_goes_on() {
    let host = Host::new();
    let without =
        ["-e", "trace=landlock_create_ruleset", "-e", "inject=landlock_create_ruleset:error=ENOSYS"];
    for command in ["probe", "apply", "restore"] {
        let (code, said, _) = host.strace(&without, &[command]);
        assert!(code == Some(0) && !said.contains("Landlock"), "{said}");
        let (code, said, _) = host.strace(&without, &["-v", command]);
        assert!(code == Some(0) && (said.contains("this kernel has no Landlock")), "{said}");
    }
    let host = Host::new();
    host.strace_service(&without);
    assert!(host.log().contains("not confined: this kernel has no Landlock"), "{}", host.log());
}

#[test]
fn what_root_starts_in_apply_and_restore_gets_no_new_privileges() {
    let host = Host::new();
    for args in [&["apply"][..], &["restore", "--no-pause"]] {
        let (code, said, trace) = host.strace(&["-e", "trace=prctl,execve"], args);
        assert_eq!(code, Some(0), "{said}");
        let at = |what: &str| trace.lines().position(|line| line.contains(what) && line.ends_with("= 0"));
        let (set, started) = (at("prctl(PR_SET_NO_NEW_PRIVS, 1"), at("[\"touch\""));
        assert!(set.is_some() && set < started, "{args:?}: {trace}");
    }
    assert!(host.engine.reloads() >= 3, "at its start, and by both");
}

#[test]
fn what_the_administrator_named_may_write_where_it_likes() {
    let host = Host::new();
    let asked = host.at("elsewhere/asked");
    let touch = |file: &Path| format!("touch '{}'", file.display());
    let reload = format!("[\"sh\", \"-c\", \"{} && {}\"]", touch(&asked), touch(&host.at("docker/reload")));
    host.configure(&host.engine.file(), &host.engine.socket(), &reload);
    for command in ["apply", "restore"] {
        assert!(host.command(&[], &[command]).status().unwrap().success(), "{command}");
        fs::remove_file(&asked).unwrap();
    }
    fs::remove_dir_all(host.at("state")).unwrap();
    let _service = host.serve();
    host.wait_for_list();
    host.wait("the news", || {
        fs::read_to_string(host.at("elsewhere/news")).is_ok_and(|news| news.contains("\"switch\""))
    });
    assert!(asked.exists());
}

#[test]
fn a_directory_of_the_engines_file_that_was_made_anew_while_the_service_runs_is_written_to() {
    let host = Host::new();
    // The file is reached by a link, and what it leads to is where the bytes are.
    fs::create_dir(host.at("etc")).unwrap();
    file::replace(&host.at("etc/daemon.json"), b"{}", None).unwrap();
    fs::remove_file(host.engine.file()).unwrap();
    symlink(host.at("etc/daemon.json"), host.engine.file()).unwrap();
    let _service = host.serve();
    host.wait_for_list();

    fs::create_dir(host.at("new")).unwrap();
    file::replace(&host.at("new/daemon.json"), b"{\"debug\": false}", None).unwrap();
    fs::rename(host.at("etc"), host.at("old")).unwrap();
    fs::rename(host.at("new"), host.at("etc")).unwrap();
    host.engine.be_given("{\"registry-mirrors\": []}");
    host.wait("the file in its new directory", || {
        let text = fs::read_to_string(host.at("etc/daemon.json")).unwrap_or_default();
        text.contains(&host.registry.url())
    });
    host.wait_for_list();
}

#[test]
fn directories_of_our_own_that_were_cleared_away_are_made_anew_and_written_to() {
    let host = Host::new();
    let mut service = host.serve();
    host.wait_for_list();
    for directory in ["state", "runtime"] {
        fs::rename(host.at(directory), host.at(&format!("{directory}.gone"))).unwrap();
    }
    // Something to remember, and to publish.
    let settings = host.at("conf/mirrors.toml");
    let text = fs::read_to_string(&settings).unwrap().replace("[notify]", "fall = 5\n[notify]");
    file::replace(&settings, text.as_bytes(), None).unwrap();
    host.wait("what is remembered", || host.at("state/state.db").exists());
    host.wait("the status", || host.status()["service"]["state"] == "running");
    kill_process(Pid::from_child(&service.0), Signal::TERM).unwrap();
    assert!(service.0.wait().unwrap().success());
    assert!(host.at("state/status.json").exists());
    let said = host.command(&[], &["explain", "A"]).output().unwrap();
    assert!(String::from_utf8_lossy(&said.stdout).contains("divided by its success"), "{said:?}");
}

#[test]
fn a_dockerd_that_was_started_with_another_file_while_the_service_runs_is_followed_with_its_log() {
    let host = Host::new();
    let first = Dockerd::start("{}");
    let socket = host.at("sock");
    symlink(first.at("sock"), &socket).unwrap();
    host.configure(&host.at("docker/daemon.json"), &socket, "\"auto\"");
    let _service = host.serve();
    let wanted = [format!("{}/", host.registry.url())];
    host.wait("the list", || first.mirrors() == wanted);
    drop(first);

    let second = Dockerd::start("{\"debug\": false}");
    fs::remove_file(&socket).unwrap();
    symlink(second.at("sock"), &socket).unwrap();
    host.wait("the list in the other's file", || {
        second.mirrors() == wanted && second.text().unwrap().contains(&host.registry.url())
    });
    // It says so where it may not see where a log goes.
    assert!(!host.log().contains("is not listened to"), "{}", host.log());
}
