//! What stands where a file of the apply path belongs, and is none: a clear word, and nothing is lost.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use mirrorwatch::file;
use rustix::fs::{CWD, Mode, mkfifoat};

use crate::invariants::Before;
use crate::scene::{FILE, Scene};

/// A file of ours in the state directory.
fn kept(scene: &Scene, suffix: &str) -> PathBuf {
    let flat = scene.daemon.file().display().to_string().replace('/', "%");
    scene.state().join("engines/docker").join(format!("{flat}.{suffix}"))
}

fn clear_away(path: &Path) {
    if path.is_dir() && !path.is_symlink() {
        fs::remove_dir_all(path).unwrap();
    } else {
        drop(fs::remove_file(path));
    }
}

fn put(path: &Path, bytes: &[u8]) {
    file::replace(path, bytes, None).unwrap();
}

fn large(path: &Path, size: u64) {
    fs::File::create_new(path).unwrap().set_len(size).unwrap();
}

fn fifo(path: &Path) {
    mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR).unwrap();
}

/// Puts something there that is none.
type Make = fn(&Path);

/// What stands there, and a part of what is said of it.
type Case = (&'static str, Make, &'static str);

#[test]
fn f5_f18_what_is_no_daemon_json_is_named_and_left_as_it_is() {
    const CASES: [Case; 9] = [
        ("a directory", |path| fs::create_dir(path).unwrap(), "not a regular file"),
        ("a pipe", fifo, "not a regular file"),
        ("a device", |path| symlink("/dev/zero", path).unwrap(), "not a regular file"),
        ("100 MB", |path| large(path, 100_000_000), "larger than any configuration file"),
        (
            "2 MB",
            |path| put(path, format!("{{\"a\":\"{}\"}}", "x".repeat(2_000_000)).as_bytes()),
            "larger than 1 MiB",
        ),
        ("no UTF-8", |path| put(path, b"{\"labels\": [\"caf\xe9\"]}"), ":1:17: not UTF-8 text"),
        (
            "nested deep",
            |path| {
                put(path, format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000)).as_bytes());
            },
            "recursion limit exceeded",
        ),
        ("zeroes", |path| put(path, &[0; 4096]), "not valid JSON"),
        ("an executable", |path| assert_ne!(fs::copy("/bin/true", path).unwrap(), 0), "not UTF-8 text"),
    ];
    let mut scene = Scene::new();
    let before = Before::of(&scene.daemon);
    scene.apply().ended(0, "In place");
    let (path, text) = (scene.daemon.file(), scene.daemon.text().unwrap());
    scene.want(1);
    for (what, make, words) in CASES {
        fs::remove_file(&path).unwrap();
        make(&path);
        let length = fs::symlink_metadata(&path).unwrap().len();
        for arguments in [&["apply"][..], &["apply", "--dry-run"], &["restore"]] {
            let said = scene.run(arguments);
            let place = said.err.contains(&path.display().to_string());
            assert!(place, "{what}: {arguments:?}: {said:?}");
            said.ended(1, words);
        }
        assert_eq!(fs::symlink_metadata(&path).unwrap().len(), length, "{what}");
        assert_eq!(scene.left(), [""; 0], "{what}");
        clear_away(&path);
        put(&path, text.as_bytes());
    }
    assert!(scene.has(0));
    scene.daemon.reload();
    scene.apply().ended(0, "In place");
    before.holds(&mut scene.daemon, 3);
}

#[test]
fn h10_what_is_no_intent_is_put_aside_and_said() {
    const CASES: [(&str, Make); 7] = [
        ("garbage", |path| put(path, b"\x7fELF\x02\x01")),
        ("of another version", |path| put(path, b"{\"schema\": 99}")),
        ("without a part", |path| put(path, b"{\"schema\": 1}")),
        ("100 MB", |path| large(path, 100_000_000)),
        ("a pipe", fifo),
        ("a link that leads nowhere", |path| symlink("/nowhere", path).unwrap()),
        ("a link to a secret", |path| symlink("/etc/shadow", path).unwrap()),
    ];
    let mut scene = Scene::new();
    let before = Before::of(&scene.daemon);
    scene.apply().ended(0, "In place");
    let text = scene.daemon.text();
    for (what, make) in CASES {
        make(&kept(&scene, "intent"));
        let said = scene.apply().ended(0, "is damaged; nothing was touched");
        assert!(!said.err.contains("root:"), "{what}: {said:?}");
        assert_eq!(scene.daemon.text(), text, "{what}");
        assert!(fs::symlink_metadata(kept(&scene, "damaged")).is_ok(), "{what}");
        clear_away(&kept(&scene, "damaged"));
    }
    scene.want(1);
    scene.apply().ended(0, "In place");
    scene.agrees();
    before.holds(&mut scene.daemon, 2);
}

#[test]
fn h10_a_damaged_generation_is_named_and_the_others_can_be_restored() {
    const CASES: [Case; 6] = [
        ("garbage", |path| put(path, b"\x7fELF\x02\x01"), "not valid JSON"),
        ("cut off", |path| put(path, &FILE.as_bytes()[..40]), "not valid JSON"),
        ("zeroes", |path| put(path, &[0; 80]), "not valid JSON"),
        ("no UTF-8", |path| put(path, b"{\"labels\": [\"caf\xe9\"]}"), "not UTF-8 text"),
        ("100 MB", |path| large(path, 100_000_000), "larger than any configuration file"),
        ("a directory", |path| fs::create_dir(path).unwrap(), "not a regular file"),
    ];
    let mut scene = Scene::new();
    let before = Before::of(&scene.daemon);
    for which in [0, 1, 0] {
        scene.want(which);
        scene.apply().ended(0, "In place");
    }
    let (path, text) = (kept(&scene, "gen.2"), scene.daemon.text());
    for (what, make, words) in CASES {
        clear_away(&path);
        make(&path);
        let list = scene.run(&["restore", "--list"]).ended(0, "damaged, cannot be restored");
        assert_eq!(list.out.lines().count(), 5, "{what}: {list:?}");
        for arguments in [&["restore", "--to", "2"][..], &["restore", "--to", "2", "--dry-run"]] {
            let said = scene.run(arguments).ended(1, words);
            assert!(said.err.contains(&path.display().to_string()), "{what}: {said:?}");
        }
        assert_eq!(scene.daemon.text(), text, "{what}");
    }
    scene.run(&["restore", "--to", "3"]).ended(0, "Restored");
    assert!(scene.has(1));
    // The first one too, and then nothing of the kind that is asked for is left.
    let first = fs::read(kept(&scene, "first")).unwrap();
    put(&kept(&scene, "first"), b"\x00");
    scene.run(&["restore"]).ended(1, "first: is damaged, nothing was restored");
    assert!(scene.has(1));
    put(&kept(&scene, "first"), &first);
    scene.run(&["restore"]).ended(0, "Restored");
    assert_eq!(scene.daemon.text().as_deref(), Some(FILE));
    before.holds(&mut scene.daemon, 6);
}

/// As a disk may leave it that was full or lost its power. dockerd 20.10 would not start with it.
#[test]
fn h10_a_generation_that_has_become_empty_leaves_a_file_with_which_dockerd_starts() {
    let mut scene = Scene::of(crate::dockerd::Dockerd::start("{\"debug\": false}"));
    scene.apply().ended(0, "In place");
    put(&kept(&scene, "first"), b"");
    scene.run(&["restore"]).ended(0, "Restored");
    let text = scene.daemon.text();
    assert_eq!(text.as_deref(), Some("{\"debug\": false}"), "what is there beside the list stays");
    scene.agrees();

    // Where all of the file is ours, nothing stays beside the list.
    scene = Scene::of(crate::dockerd::Dockerd::start("{}"));
    fs::remove_file(scene.daemon.file()).unwrap();
    for which in [0, 1] {
        scene.want(which);
        scene.apply().ended(0, "In place");
    }
    put(&kept(&scene, "gen.2"), b"");
    scene.run(&["restore", "--to", "2"]).ended(0, "Restored");
    crate::invariants::i2_dockerd_starts_with_it(scene.daemon.text().as_deref());
    scene.agrees();
}

/// The bytes to put back are gone: what there is stays, and is taken into use.
#[test]
fn h10_without_the_bytes_from_before_nothing_is_put_back() {
    let mut scene = Scene::new();
    let before = Before::of(&scene.daemon);
    scene.apply().ended(0, "In place");
    for damage in [
        |path: &Path| put(path, b"{\"insecure-registries\": [\"evil\"]}"),
        |path: &Path| {
            fs::remove_file(path).unwrap();
        },
    ] {
        scene.want(usize::from(scene.has(0)));
        let wanted = usize::from(scene.has(0));
        let said = scene.run_with(&["apply"], "pidfd_open", "signal=KILL:when=1");
        assert_eq!(said.code, None);
        damage(&kept(&scene, "before"));
        scene.apply().ended(0, "In place");
        assert!(scene.has(wanted));
        scene.agrees();
        before.i1_only_the_list_differs(&scene.daemon);
    }
    before.holds(&mut scene.daemon, 3);
}
