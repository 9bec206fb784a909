//! Every way in which a file changes is told, and nothing else is: real files, real notifications.

#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene fails")]
#![expect(clippy::disallowed_methods, reason = "editors write in place, and these tests are the editors")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mirrorwatch::watch::{Changed, Watcher, watch};
use tempfile::TempDir;
use tokio::sync::mpsc::Receiver;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::time::timeout;

/// Far beyond the two seconds that it may take, so that a loaded machine fails no test, and short of the
/// ninety after which the watcher looks without having been notified.
const PATIENCE: Duration = Duration::from_secs(20);

/// A configuration directory that is watched: `mirrors.toml`, and `mirrors.d` where a test makes it.
struct Scene {
    dir: TempDir,
    changes: Receiver<Changed>,
    _watcher: Watcher,
}

impl Scene {
    fn begin() -> Self {
        Self::after(|dir| fs::write(dir.join("mirrors.toml"), "one").unwrap())
    }

    /// Watches once `prepare` has done its work.
    fn after(prepare: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        let (watcher, changes) = watch(vec![dir.path().join("mirrors.toml"), dir.path().join("mirrors.d")]);
        Self { dir, changes, _watcher: watcher }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self) -> PathBuf {
        self.path("mirrors.toml")
    }

    async fn is_told(&mut self, what: &str) {
        told(&mut self.changes, what).await;
    }

    async fn is_not_told(&mut self, what: &str) {
        everything_so_far_is_told().await;
        assert_eq!(self.changes.try_recv(), Err(TryRecvError::Empty), "{what}");
    }
}

/// Makes two changes elsewhere, one after the other: when they have been told, whatever was to be told of what
/// happened before them has been, too.
async fn everything_so_far_is_told() {
    let mut elsewhere = Scene::begin();
    for content in ["two", "three"] {
        fs::write(elsewhere.file(), content).unwrap();
        elsewhere.is_told("a marker elsewhere").await;
    }
}

async fn told(changes: &mut Receiver<Changed>, what: &str) {
    let change = timeout(PATIENCE, changes.recv()).await;
    assert_eq!(change, Ok(Some(Changed)), "{what}");
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status();
    assert!(status.is_ok_and(|status| status.success()), "{program} {arguments:?}");
}

#[tokio::test]
async fn a_write_in_place_is_told() {
    let mut scene = Scene::begin();
    fs::write(scene.file(), "two").unwrap();
    scene.is_told("written in place").await;
}

#[tokio::test]
async fn a_write_of_the_same_length_is_told() {
    let mut scene = Scene::begin();
    for content in ["two", "six", "ten"] {
        fs::write(scene.file(), content).unwrap();
        scene.is_told(content).await;
    }
}

#[tokio::test]
async fn every_rename_over_the_file_is_told_and_not_only_the_first() {
    let mut scene = Scene::begin();
    for content in ["two", "three", "four"] {
        fs::write(scene.path(".new"), content).unwrap();
        fs::rename(scene.path(".new"), scene.file()).unwrap();
        scene.is_told(content).await;
    }
}

#[tokio::test]
async fn truncating_and_writing_later_is_told_with_what_was_written_last() {
    let mut scene = Scene::begin();
    fs::write(scene.file(), "").unwrap();
    scene.is_told("truncated").await;
    fs::write(scene.file(), "two").unwrap();
    scene.is_told("written").await;
    assert_eq!(fs::read_to_string(scene.file()).unwrap(), "two");
}

#[tokio::test]
async fn sed_in_place_is_told() {
    let mut scene = Scene::begin();
    let file = scene.file();
    for (from, to) in [("one", "two"), ("two", "six")] {
        run("sed", &["-i", &format!("s/{from}/{to}/"), file.to_str().unwrap()]);
        scene.is_told(to).await;
        assert_eq!(fs::read_to_string(&file).unwrap(), to);
    }
}

#[tokio::test]
async fn saving_as_vim_does_is_told_once() {
    let mut scene = Scene::begin();
    for content in ["two", "three"] {
        fs::write(scene.path(".mirrors.toml.swp"), "swap").unwrap();
        fs::write(scene.path("4913"), "").unwrap();
        fs::remove_file(scene.path("4913")).unwrap();
        fs::rename(scene.file(), scene.path("mirrors.toml~")).unwrap();
        fs::write(scene.file(), content).unwrap();
        fs::set_permissions(scene.file(), fs::Permissions::from_mode(0o640)).unwrap();
        fs::remove_file(scene.path("mirrors.toml~")).unwrap();
        fs::remove_file(scene.path(".mirrors.toml.swp")).unwrap();
        scene.is_told(content).await;
    }
    scene.is_not_told("one save is one change").await;
}

#[tokio::test]
async fn writing_twice_in_a_row_is_told_once() {
    let mut scene = Scene::begin();
    fs::write(scene.file(), "two").unwrap();
    fs::write(scene.file(), "three").unwrap();
    scene.is_told("written twice").await;
    scene.is_not_told("two writes in a row are one change").await;
}

#[tokio::test]
async fn a_writer_that_never_falls_silent_is_told_all_the_same() {
    let mut scene = Scene::begin();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (file, stop) = (scene.file(), Arc::clone(&stop));
        move || {
            for length in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                fs::write(&file, "x".repeat(length % 1000)).unwrap();
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    });
    scene.is_told("a busy writer").await;
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
}

#[tokio::test]
async fn the_file_that_goes_and_comes_back_is_told() {
    let mut scene = Scene::begin();
    fs::remove_file(scene.file()).unwrap();
    scene.is_told("removed").await;
    fs::write(scene.file(), "one").unwrap();
    scene.is_told("back").await;
}

#[tokio::test]
async fn a_change_of_mode_is_told() {
    let mut scene = Scene::begin();
    fs::set_permissions(scene.file(), fs::Permissions::from_mode(0o600)).unwrap();
    scene.is_told("chmod").await;
}

#[tokio::test]
async fn a_directory_that_is_made_later_is_told_and_what_is_written_in_it() {
    let mut scene = Scene::begin();
    fs::create_dir(scene.path("mirrors.d")).unwrap();
    scene.is_told("made").await;
    fs::write(scene.path("mirrors.d/local.toml"), "one").unwrap();
    scene.is_told("written in it").await;
    fs::write(scene.path("mirrors.d/local.toml"), "two").unwrap();
    scene.is_told("written in it again").await;
    fs::remove_dir_all(scene.path("mirrors.d")).unwrap();
    scene.is_told("removed").await;
}

#[tokio::test]
async fn a_directory_that_was_moved_away_and_back_is_still_watched() {
    let mut scene = Scene::after(|dir| fs::create_dir(dir.join("mirrors.d")).unwrap());
    fs::rename(scene.path("mirrors.d"), scene.path("elsewhere")).unwrap();
    fs::rename(scene.path("elsewhere"), scene.path("mirrors.d")).unwrap();
    scene.is_not_told("it is the same directory with the same content").await;
    fs::write(scene.path("mirrors.d/local.toml"), "one").unwrap();
    scene.is_told("written in it").await;
}

#[tokio::test]
async fn a_parent_directory_that_is_replaced_is_told_and_watched_from_then_on() {
    let dir = tempfile::tempdir().unwrap();
    let parent = dir.path().join("mirrorwatch");
    fs::create_dir(&parent).unwrap();
    fs::write(parent.join("mirrors.toml"), "one").unwrap();
    let (_watcher, mut changes) = watch(vec![parent.join("mirrors.toml")]);
    fs::rename(&parent, dir.path().join("old")).unwrap();
    told(&mut changes, "moved away").await;
    fs::create_dir(&parent).unwrap();
    fs::write(parent.join("mirrors.toml"), "two").unwrap();
    told(&mut changes, "another in its place").await;
    fs::write(parent.join("mirrors.toml"), "three").unwrap();
    told(&mut changes, "written in the new one").await;
}

#[tokio::test]
async fn what_is_exchanged_further_up_says_nothing_and_is_seen_at_a_glance() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for (upper, content) in [("etc", "one"), ("other", "two")] {
        fs::create_dir_all(at(upper).join("mirrorwatch")).unwrap();
        fs::write(at(upper).join("mirrorwatch/mirrors.toml"), content).unwrap();
    }
    let (watcher, mut changes) = watch(vec![at("etc/mirrorwatch/mirrors.toml")]);
    fs::rename(at("etc"), at("old")).unwrap();
    fs::rename(at("other"), at("etc")).unwrap();
    everything_so_far_is_told().await;
    assert_eq!(changes.try_recv(), Err(TryRecvError::Empty), "nobody says so");
    watcher.glance();
    told(&mut changes, "seen").await;
    fs::write(at("etc/mirrorwatch/mirrors.toml"), "three").unwrap();
    told(&mut changes, "and watched from then on").await;
}

#[tokio::test]
async fn a_directory_that_is_missing_at_first_is_found_when_it_comes() {
    let dir = tempfile::tempdir().unwrap();
    let parent = dir.path().join("not/yet");
    let (_watcher, mut changes) = watch(vec![parent.join("mirrors.toml")]);
    fs::create_dir_all(&parent).unwrap();
    fs::write(parent.join("mirrors.toml"), "one").unwrap();
    told(&mut changes, "found").await;
    fs::write(parent.join("mirrors.toml"), "two").unwrap();
    told(&mut changes, "written").await;
}

#[tokio::test]
async fn what_a_link_leads_to_is_watched() {
    let target = tempfile::tempdir().unwrap();
    let targets = ["real.toml", "other.toml"].map(|name| target.path().join(name));
    let mut scene = Scene::after(|dir| {
        fs::create_dir(dir.join("mirrors.d")).unwrap();
        for (link, target) in ["mirrors.toml", "mirrors.d/a.toml"].iter().zip(&targets) {
            fs::write(target, "one").unwrap();
            symlink(target, dir.join(link)).unwrap();
        }
    });
    for (target, content) in targets.iter().flat_map(|target| [(target, "two"), (target, "three")]) {
        fs::write(target, content).unwrap();
        scene.is_told(content).await;
    }
    fs::remove_file(scene.file()).unwrap();
    fs::write(scene.file(), "a file of its own").unwrap();
    scene.is_told("the link was replaced").await;
}

#[tokio::test]
async fn what_a_link_will_lead_to_is_watched_before_it_is_there() {
    let target = tempfile::tempdir().unwrap();
    let real = target.path().join("real.toml");
    let mut scene = Scene::after(|dir| symlink(&real, dir.join("mirrors.toml")).unwrap());
    fs::write(&real, "one").unwrap();
    scene.is_told("it is there").await;
}

#[tokio::test]
async fn a_mounted_config_map_is_told_when_its_inner_link_turns() {
    let mut scene = Scene::after(|dir| {
        for (version, content) in [("..1", "one"), ("..2", "two")] {
            fs::create_dir(dir.join(version)).unwrap();
            fs::write(dir.join(version).join("mirrors.toml"), content).unwrap();
        }
        symlink("..1", dir.join("..data")).unwrap();
        symlink("..data/mirrors.toml", dir.join("mirrors.toml")).unwrap();
    });
    symlink("..2", scene.path("..data_tmp")).unwrap();
    fs::rename(scene.path("..data_tmp"), scene.path("..data")).unwrap();
    scene.is_told("the inner link was turned").await;
    assert_eq!(fs::read_to_string(scene.file()).unwrap(), "two");
}

#[tokio::test]
async fn a_link_on_the_way_to_the_file_is_told_when_it_turns() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for (release, content) in [("1", "one"), ("2", "two")] {
        fs::create_dir_all(at(release)).unwrap();
        fs::write(at(release).join("mirrors.toml"), content).unwrap();
    }
    fs::create_dir(at("etc")).unwrap();
    symlink("1", at("current")).unwrap();
    symlink(at("current"), at("etc/mirrorwatch")).unwrap();
    symlink("../current/mirrors.toml", at("etc/mirrors.toml")).unwrap();
    for path in ["current/mirrors.toml", "etc/mirrorwatch/mirrors.toml", "etc/mirrors.toml"].map(at) {
        let (_watcher, mut changes) = watch(vec![path.clone()]);
        for (release, content) in [("2", "two"), ("1", "one")] {
            symlink(release, at("next")).unwrap();
            fs::rename(at("next"), at("current")).unwrap();
            told(&mut changes, "the link was turned").await;
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        fs::write(at("1/mirrors.toml"), "three").unwrap();
        told(&mut changes, "and what it leads to is watched").await;
        fs::write(at("1/mirrors.toml"), "one").unwrap();
        told(&mut changes, "as before").await;
    }
}

#[tokio::test]
async fn our_own_reading_is_not_told() {
    let mut scene = Scene::after(|dir| {
        fs::create_dir(dir.join("mirrors.d")).unwrap();
        fs::write(dir.join("mirrors.d/local.toml"), "one").unwrap();
        fs::write(dir.join("mirrors.toml"), "one").unwrap();
    });
    for _ in 0..100 {
        fs::read(scene.file()).unwrap();
        fs::read(scene.path("mirrors.d/local.toml")).unwrap();
        assert_eq!(fs::read_dir(scene.path("mirrors.d")).unwrap().count(), 1);
    }
    scene.is_not_told("reading changes nothing").await;
}

#[tokio::test]
async fn a_neighbour_in_the_directory_is_not_told() {
    let mut scene = Scene::begin();
    for content in ["one", "two", "three"] {
        fs::write(scene.path("status.json"), content).unwrap();
    }
    scene.is_not_told("status.json is of no interest").await;
}

#[tokio::test]
async fn changes_that_nobody_has_received_yet_are_told_once() {
    let mut scene = Scene::begin();
    for content in ["two", "three"] {
        fs::write(scene.file(), content).unwrap();
        everything_so_far_is_told().await;
    }
    scene.is_told("the first is waiting").await;
    scene.is_not_told("and it stands for the second").await;
}

/// Runs one test of this file again in a process of its own, where `variable` tells it which part to play.
fn again(test: &str, program: &[&str], role: &str) {
    let this = std::env::current_exe().unwrap();
    let (first, rest) = program.split_first().map_or((this.to_str().unwrap(), &[][..]), |(f, r)| (*f, r));
    let mut command = Command::new(first);
    command.args(rest);
    if !program.is_empty() {
        command.arg(&this);
    }
    let output = command.args(["--exact", test, "--nocapture"]).env("ROLE", role).output();
    let output = output.unwrap_or_else(|error| panic!("{first}: {error}"));
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && text.contains("1 passed"), "{role}: {text}");
}

fn role() -> Option<String> {
    std::env::var("ROLE").ok()
}

/// The kernel's limit is lowered in a user namespace, so that nobody else feels it.
fn with_limit(test: &str, limit: &str) {
    let script = format!("echo 0 > /proc/sys/user/{limit} && exec \"$@\"");
    again(test, &["unshare", "--user", "--map-root-user", "sh", "-c", &script, "sh"], limit);
}

async fn sees_edits_without_notification() {
    let mut scene = Scene::begin();
    for content in ["two", "three"] {
        fs::write(scene.path(".new"), content).unwrap();
        fs::rename(scene.path(".new"), scene.file()).unwrap();
        scene.is_told(content).await;
    }
    fs::create_dir(scene.path("mirrors.d")).unwrap();
    scene.is_told("a directory").await;
    fs::write(scene.path("mirrors.d/local.toml"), "one").unwrap();
    scene.is_told("a file in it").await;
}

#[tokio::test]
async fn where_no_watch_can_be_had_edits_are_seen_by_polling() {
    match role() {
        None => with_limit("where_no_watch_can_be_had_edits_are_seen_by_polling", "max_inotify_watches"),
        Some(_) => sees_edits_without_notification().await,
    }
}

#[tokio::test]
async fn where_notification_is_not_to_be_had_at_all_edits_are_seen_by_polling() {
    match role() {
        None => {
            with_limit(
                "where_notification_is_not_to_be_had_at_all_edits_are_seen_by_polling",
                "max_inotify_instances",
            );
        }
        Some(_) => sees_edits_without_notification().await,
    }
}

#[tokio::test]
async fn a_watcher_takes_one_thread_and_gives_it_back() {
    if role().is_none() {
        return again("a_watcher_takes_one_thread_and_gives_it_back", &[], "alone");
    }
    let threads = || fs::read_dir("/proc/self/task").unwrap().count();
    let before = threads();
    let scene = Scene::begin();
    assert_eq!(threads(), before + 1);
    let Scene { mut changes, _watcher: watcher, .. } = scene;
    drop(watcher);
    assert_eq!(timeout(PATIENCE, changes.recv()).await, Ok(None), "the channel ends with the watcher");
    let gone = async {
        while threads() > before {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, gone).await.expect("the thread ends with the watcher");
}
