//! What the program forbids itself by the kernel's word: real Landlock, and each call seen by strace.

#![expect(clippy::disallowed_methods, reason = "a test does what is forbidden")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "contract/engine.rs"]
#[expect(dead_code, reason = "the stand-in is shared by several tests, and each uses a part")]
mod engine;
#[expect(dead_code, reason = "the fakes are shared by several tests, and each uses a part")]
mod support;

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use mirrorwatch::{confine, file};
use tempfile::TempDir;

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

/// A mirror, an engine, and the program with strace at it.
struct Host {
    place: TempDir,
    engine: Engine,
    registry: Registry,
    /// The engine's, short, because a socket's path may have 107 bytes.
    _short: TempDir,
}

impl Host {
    fn new() -> Self {
        let short = tempfile::Builder::new().prefix("mw-").tempdir_in("/tmp").unwrap();
        let engine = Engine::start(short.path(), Some("{}"));
        let host =
            Self { place: place(), engine, registry: Registry::start(Options::default()), _short: short };
        let settings = format!(
            "[probe]\nlearn_images = false\nproxy = \"none\"\n[select]\ncompare_upstream = false\n[engine.docker]\nenabled = true\nsocket = \"{}\"\nconfig_file = \"{}\"\nreload = {}\n[[mirror]]\nname = \"A\"\nurl = \"{}\"\n",
            host.engine.socket().display(),
            host.engine.file().display(),
            host.engine.reload_command(),
            host.registry.url()
        );
        file::replace(&host.at("mirrors.toml"), settings.as_bytes(), None).unwrap();
        host
    }

    fn at(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// What the program said, and what strace saw of it.
    fn strace(&self, strace: &[&str], args: &[&str]) -> (Option<i32>, String, String) {
        let trace = self.at("trace");
        let output = Command::new("strace")
            .args(["-f", "-qq", "-s", "200", "-e", "signal=none", "-o"])
            .arg(&trace)
            .args(strace)
            .arg(env!("CARGO_BIN_EXE_mirrorwatch"))
            .arg("--config")
            .arg(self.at("mirrors.toml"))
            .arg("--state-dir")
            .arg(self.at("state"))
            .arg("--runtime-dir")
            .arg(self.at("runtime"))
            .args(args)
            .output()
            .unwrap_or_else(|error| panic!("strace: {error}: this test needs it: apt-get install strace"));
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), said, fs::read_to_string(trace).unwrap())
    }
}

#[test]
fn probe_is_confined_before_it_talks_to_anybody_and_remembers_what_it_saw() {
    let host = Host::new();
    let (code, said, trace) = host.strace(&["-e", "trace=landlock_restrict_self,connect"], &["probe"]);
    assert_eq!(code, Some(0), "{said}");
    let line = |what: &str| {
        trace.lines().position(|line| line.contains(what)).unwrap_or_else(|| panic!("{what}: {trace}"))
    };
    let port = host.registry.url().rsplit(':').next().unwrap().to_owned();
    let (confined, first) = (line("landlock_restrict_self("), line(&format!("htons({port})")));
    assert!(confined < first && trace.lines().nth(confined).unwrap().ends_with("= 0"), "{trace}");
    assert_eq!(trace.matches("landlock_restrict_self(").count(), 1, "{trace}");

    let (_, history, _) = host.strace(&["-e", "trace=none"], &["history", "--json"]);
    assert!(history.contains("\"served\""), "{history}");
}

#[test]
fn a_kernel_without_landlock_is_told_of_to_those_who_ask_for_more_and_probe_goes_on() {
    let host = Host::new();
    let without = ["-e", "inject=landlock_create_ruleset:error=ENOSYS"];
    let (code, said, _) = host.strace(&without, &["probe"]);
    assert!(code == Some(0) && !said.contains("Landlock"), "{said}");
    let (code, said, _) = host.strace(&without, &["-v", "probe"]);
    assert!(code == Some(0) && said.contains("this kernel has no Landlock"), "{said}");
}

#[test]
fn what_root_starts_in_apply_and_restore_gets_no_new_privileges_and_may_write_where_it_likes() {
    let host = Host::new();
    for args in [&["apply"][..], &["restore", "--no-pause"]] {
        // The command that reloads makes a file outside of all that is ours.
        let (code, said, trace) = host.strace(&["-e", "trace=prctl,execve,landlock_restrict_self"], args);
        assert_eq!(code, Some(0), "{said}");
        let at = |what: &str| trace.lines().position(|line| line.contains(what) && line.ends_with("= 0"));
        let (set, started) = (at("prctl(PR_SET_NO_NEW_PRIVS, 1"), at("[\"touch\""));
        assert!(set.is_some() && set < started, "{args:?}: {trace}");
        assert!(!trace.contains("landlock_restrict_self"), "{trace}");
    }
    assert!(host.engine.reloads() >= 3, "at its start, and by both");
}
