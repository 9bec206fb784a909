//! A plain user with a Docker of their own: nothing needs to be said about where it is, and nothing of the system's
//! is touched.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "host/engine.rs"]
mod engine;
#[expect(dead_code, reason = "the fakes are shared by several tests, and each uses a part")]
mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mirrorwatch::file;
use tempfile::TempDir;

use engine::Engine;
use support::registry::{Options, Registry};

/// User and group of nobody.
const NOBODY: u32 = 65534;

/// Somebody's home, with a rootless Docker as its own installer leaves it.
struct Home {
    place: TempDir,
    engine: Engine,
}

impl Home {
    fn new(daemon_json: &str) -> Self {
        // Short, because a socket's path may have 107 bytes.
        let place = tempfile::Builder::new().prefix("mw-").tempdir_in("/tmp").unwrap();
        let at = |name: &str| place.path().join(name);
        fs::create_dir_all(at(".config/mirrorwatch")).unwrap();
        // The stand-in has its socket beside its file; the directories are the same here, their names are not.
        fs::create_dir(at("run")).unwrap();
        std::os::unix::fs::symlink(at("run"), at(".config/docker")).unwrap();
        let engine = Engine::start(&at("run"), Some(daemon_json));
        Self { place, engine }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn configure(&self, text: &str) {
        let settings = self.at(".config/mirrorwatch/mirrors.toml");
        file::replace(&settings, text.as_bytes(), None).unwrap();
        fs::set_permissions(self.place.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for path in [".", ".config", ".config/mirrorwatch", "run", "run/docker.sock", "run/daemon.json"] {
            chown(self.at(path), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        chown(&settings, Some(NOBODY), Some(NOBODY)).unwrap();
    }

    /// As the user, who says nothing of places.
    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mirrorwatch"));
        command.args(args).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.place.path());
        command.env("XDG_RUNTIME_DIR", self.at("run")).uid(NOBODY).gid(NOBODY).current_dir("/");
        command.output().unwrap()
    }

    fn succeeds(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        assert_eq!(output.status.code(), Some(0), "{args:?}: {out}{err}");
        out.into_owned()
    }
}

#[test]
fn apply_and_restore_find_a_users_own_docker_and_keep_to_the_users_own_places() {
    let odd = "{ \"debug\":false }";
    let registry = Registry::start(Options::default());
    let home = Home::new(odd);
    home.configure(&format!(
        "[probe]\nlearn_images = false\nproxy = \"none\"\n[select]\ncompare_upstream = false\n[engine.docker]\nreload = {}\n[[mirror]]\nname = \"A\"\nurl = \"{}\"\n",
        home.engine.reload_command(),
        registry.url()
    ));
    let dry = home.succeeds(&["apply", "--dry-run"]);
    assert!(dry.contains("daemon.json"), "{dry}");
    assert_eq!(home.engine.text().unwrap(), odd);
    home.succeeds(&["apply"]);
    assert_eq!(home.engine.mirrors(), [registry.url()]);
    let state = home.at(".local/state/mirrorwatch");
    assert!(state.is_dir() && owner(&state) == NOBODY, "{}", state.display());
    assert_eq!(owner(&home.engine.file()), NOBODY);
    home.succeeds(&["restore", "--no-pause"]);
    assert_eq!(home.engine.text().unwrap(), odd);
    assert!(home.engine.mirrors().is_empty());
}

#[test]
fn whoever_has_a_docker_of_their_own_is_told_to_type_nothing_that_acts_on_the_systems() {
    let registry = Registry::start(Options::default());
    let home = Home::new("{}");
    home.configure(&format!(
        "[probe]\nlearn_images = false\nproxy = \"none\"\n[select]\ncompare_upstream = false\n[engine.docker]\nreload = {}\n[[mirror]]\nname = \"A\"\nurl = \"{}\"\n",
        home.engine.reload_command(),
        registry.url()
    ));
    for (args, says) in [
        (&["status"][..], "systemctl --user enable --now mirrorwatch, or by hand: mirrorwatch run"),
        (&["why"], "only it listens: systemctl --user enable --now mirrorwatch"),
        (&["apply"], "In place"),
        (&["restore"], "until: mirrorwatch resume"),
        (&["restore", "--list"], "for ever: mirrorwatch restore --to N"),
        (&["resume"], "Start it: systemctl --user enable --now mirrorwatch"),
    ] {
        let output = home.run(args);
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        assert!(said.contains(says) && !said.contains("sudo"), "{args:?}: {said}");
    }
}

#[test]
fn a_users_own_settings_hold_while_their_docker_is_down() {
    let home = Home::new("{}");
    home.configure("[[mirror]]\nname = \"Mine\"\nurl = \"http://127.0.0.1:9\"\n");
    fs::remove_file(home.at("run/docker.sock")).unwrap();
    let said = home.succeeds(&["check"]);
    assert!(said.contains(".config/mirrorwatch/mirrors.toml: valid"), "{said}");
    let output = home.run(&["apply"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("run/docker.sock: cannot connect"), "{said}");
}

fn owner(path: &Path) -> u32 {
    fs::metadata(path).unwrap().uid()
}
