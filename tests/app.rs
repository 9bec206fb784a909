//! A Docker inside an application (Docker Desktop, OrbStack), played by a stand-in that says of itself what theirs say:
//! what to paste is said, and nothing is ever written.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "host/engine.rs"]
mod engine;
#[expect(dead_code, reason = "the fakes are shared by several tests, and each uses a part")]
mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use mirrorwatch::file;
use serde_json::{Value, json};
use tempfile::TempDir;

use engine::Engine;
use support::fault::{Act, Fault};
use support::registry::{Options, Registry};

/// User and group of nobody.
const NOBODY: u32 = 65534;

/// Where Docker Desktop has its API on Linux, and everyone their home.
const DESKTOP: &str = ".docker/desktop";

/// A user's home, with an application's socket in it.
struct Home {
    place: TempDir,
    engine: Engine,
    registry: Registry,
}

impl Home {
    fn new(directory: &str, system: &'static str, kernel: &'static str) -> Self {
        // Short, because a socket's path may have 107 bytes.
        let place = tempfile::Builder::new().prefix("mw-").tempdir_in("/tmp").unwrap();
        fs::create_dir_all(place.path().join(directory)).unwrap();
        // The stand-in has its own file beside its socket; the application's is another.
        let engine = Engine::start(&place.path().join(directory), None);
        engine.run_on(system, kernel);
        let home = Self { place, engine, registry: Registry::start(Options::default()) };
        home.put(
            "mirrors.toml",
            &format!(
                "[probe]\nlearn_images = false\nproxy = \"none\"\n[select]\ncompare_upstream = false\n[[mirror]]\nname = \"A\"\nurl = \"{}\"\n",
                home.registry.url()
            ),
        );
        fs::set_permissions(home.place.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(home.engine.socket(), fs::Permissions::from_mode(0o666)).unwrap();
        home
    }

    fn desktop() -> Self {
        Self::new(DESKTOP, "Docker Desktop", "6.10.14-linuxkit")
    }

    fn at(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        file::replace(&path, text.as_bytes(), None).unwrap();
    }

    /// As the user, to whom the whole home belongs.
    fn command(&self, args: &[&str]) -> Command {
        own(self.place.path());
        let mut command = Command::new(env!("CARGO_BIN_EXE_mirrorwatch"));
        command.arg("--config").arg(self.at("mirrors.toml"));
        command.arg("--state-dir").arg(self.at("state")).arg("--runtime-dir").arg(self.at("runtime"));
        command.args(args).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.place.path());
        // The host that runs the tests may have a Docker of its own.
        command.env("DOCKER_HOST", format!("unix://{}", self.engine.socket().display()));
        command.uid(NOBODY).gid(NOBODY).current_dir("/");
        command
    }

    fn run(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let Output { status, stdout, stderr } = self.command(args).output().unwrap();
        (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
    }

    /// Every file in the application's own place.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files: Vec<_> =
            [".docker", ".orbstack"].iter().flat_map(|name| read(&self.at(name))).collect();
        files.sort();
        files
    }
}

/// Ends with its test, in whatever way that ends.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn own(directory: &Path) {
    chown(directory, Some(NOBODY), Some(NOBODY)).unwrap();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { own(&path) } else { chown(&path, Some(NOBODY), Some(NOBODY)).unwrap() }
    }
}

fn read(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| match path.is_dir() {
        true => read(&path),
        false => vec![(path.clone(), fs::read(&path).unwrap_or_default())],
    });
    files.collect()
}

#[test]
fn a_dry_run_prints_the_list_to_paste_and_where_in_both_languages() {
    for (directory, system, kernel, name, page, file) in [
        (
            DESKTOP,
            "Docker Desktop",
            "6.10.14-linuxkit",
            "Docker Desktop",
            "Docker Engine",
            "~/.docker/daemon.json",
        ),
        (
            DESKTOP,
            "Docker Desktop",
            "5.15.167.4-microsoft-standard-WSL2",
            "Docker Desktop",
            "Docker Engine",
            r"%USERPROFILE%\.docker\daemon.json",
        ),
        (
            ".orbstack/run",
            "OrbStack",
            "6.17.8-orbstack-00308-g8f9c941121b1",
            "OrbStack",
            "orb restart docker",
            "~/.orbstack/config/docker.json",
        ),
    ] {
        let home = Home::new(directory, system, kernel);
        let before = home.files();
        for (lang, words) in [("en", "nothing is written"), ("zh", "不写入任何内容")] {
            let (code, out, err) = home.run(&["--lang", lang, "apply", "--dry-run"]);
            assert_eq!(code, Some(0), "{system}: {out}{err}");
            let pasted: Value = serde_json::from_str(&out).unwrap();
            assert_eq!(pasted, json!({"registry-mirrors": [home.registry.url()]}), "{system}");
            for said in [words, name, page, file] {
                assert!(err.contains(said), "{system}, {lang}: {said}: {err}");
            }
        }
        assert_eq!(home.files(), before, "{system}");
    }
}

#[test]
fn where_the_applications_file_is_seen_the_text_to_paste_is_the_whole_of_it() {
    let home = Home::desktop();
    home.put(".docker/daemon.json", "{\n  \"experimental\": false\n}\n");
    let before = home.files();
    let (code, out, err) = home.run(&["apply", "--dry-run"]);
    assert_eq!(code, Some(0), "{err}");
    let whole = format!(
        "{{\n  \"experimental\": false,\n  \"registry-mirrors\": [\n    \"{}\"\n  ]\n}}\n",
        home.registry.url()
    );
    assert_eq!(out, whole);
    let file = home.at(".docker/daemon.json").display().to_string();
    assert!(err.contains(&file) && err.contains("whole"), "{err}");

    let (_, out, _) = home.run(&["apply", "--dry-run", "--json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["file"], file);
    assert_eq!(
        (&report["changed"], &report["in_place"], &report["diff"]),
        (&json!(true), &json!(null), &json!(null))
    );
    assert_eq!(report["paste"]["app"], "Docker Desktop");
    assert_eq!(report["paste"]["whole"], true);
    assert_eq!(report["paste"]["text"], whole);
    assert_eq!(home.files(), before);
}

#[test]
fn where_no_mirror_is_live_there_is_nothing_to_paste_and_that_is_no_failure() {
    let home = Home::desktop();
    home.engine.be_given(&json!({"registry-mirrors": [home.registry.url()]}).to_string());
    home.registry.set_fault(Fault::everywhere(Act::server_error(503)));
    let (code, out, err) = home.run(&["apply", "--dry-run"]);
    assert_eq!((code, &*out), (Some(0), ""), "{err}");
    assert!(err.contains("no mirror is live") && err.contains("the list is left as it is"), "{err}");
    let (code, out, _) = home.run(&["apply", "--dry-run", "--json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["changed"], &report["paste"]), (Some(0), &json!(false), &json!(null)));
    assert_eq!(report["list"], json!([home.registry.url()]));
}

#[test]
fn apply_and_restore_refuse_with_the_reason_and_what_to_do_and_write_nothing() {
    let home = Home::desktop();
    home.put(".docker/daemon.json", "{}");
    let before = home.files();
    for (lang, why) in [("en", "which alone configures it"), ("zh", "只能由该程序配置")] {
        let (code, out, err) = home.run(&["--lang", lang, "apply"]);
        assert_eq!((code, &*out), (Some(1), ""), "{err}");
        assert!(err.contains(why) && err.contains("mirrorwatch apply --dry-run"), "{lang}: {err}");
    }
    assert_eq!(home.registry.requests().len(), 0, "nobody was asked for nothing");
    let (code, _, err) = home.run(&["restore", "--no-pause"]);
    assert_eq!(code, Some(0), "there is nothing to restore: {err}");
    assert_eq!((home.files(), home.engine.reloads()), (before, 0));
}

#[test]
fn while_the_application_is_closed_its_list_is_still_said() {
    let home = Home::desktop();
    fs::remove_file(home.engine.socket()).unwrap();
    let (code, out, err) = home.run(&["apply", "--dry-run"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains(&home.registry.url()) && err.contains("does not answer"), "{out}{err}");
    let (_, _, err) = home.run(&["apply", "--dry-run", "--lang", "zh"]);
    assert!(err.contains("：无法连接：文件不存在"), "{err}");
    let (code, _, err) = home.run(&["apply"]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("Docker Desktop, which alone configures it"), "{err}");
}

#[test]
fn the_service_goes_on_probing_and_says_what_to_do() {
    let home = Home::desktop();
    let before = home.files();
    let service = home.command(&["run"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let service = Service(service);
    let start = Instant::now();
    let status = loop {
        let (_, out, _) = home.run(&["status", "--json"]);
        let status: Value = serde_json::from_str(&out).unwrap_or_default();
        if status["mirrors"][0]["verdict"] == "live" && status["engines"][0]["state"] == "refused" {
            break status;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{status}");
        sleep(Duration::from_millis(50));
    };
    assert_eq!(status["engines"][0]["file"], "~/.docker/daemon.json");
    let (code, out, _) = home.run(&["status"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("mirrorwatch apply --dry-run"), "{out}");
    drop(service);
    assert_eq!((home.files(), home.engine.reloads()), (before, 0));
}
