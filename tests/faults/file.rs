//! F: what can be wrong with daemon.json and the place where it lies.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use mirrorwatch::file;

use crate::invariants::Before;
use crate::scene::{FILE, Scene, output};

/// A mount that is undone when dropped, whatever the test did.
pub(crate) struct Mount<'a>(&'a Path);

impl<'a> Mount<'a> {
    #[track_caller]
    pub(crate) fn new(arguments: &[&str], on: &'a Path) -> Self {
        output(Command::new("mount").args(arguments).arg(on));
        Self(on)
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(self.0).status());
    }
}

/// F14, F15: an error of every call that writes, one by one. The list is in place or everything as it was.
#[test]
fn f14_f15_any_call_that_fails_or_is_interrupted_leaves_file_and_dockerd_in_agreement() {
    const CALLS: [&str; 8] =
        ["fsync", "fchmod", "fchown", "renameat", "renameat2", "rename", "unlink", "mkdir"];
    let mut scene = Scene::new();
    scene.apply().ended(0, "In place");
    let before = Before::with_container(&scene.daemon);
    let mut failures = 0;
    for error in ["EIO", "EINTR"] {
        scene.want(usize::from(scene.has(0)));
        for (call, count) in scene.counted(&["apply"], &CALLS) {
            for turn in 1..=count {
                scene.want(usize::from(scene.has(0)));
                let said = scene.run_with(&["apply"], call, &format!("error={error}:when={turn}"));
                before.i1_only_the_list_differs(&scene.daemon);
                failures += usize::from(scene.was_hit());
                if error == "EINTR" && call == "fsync" {
                    said.ended(0, "In place");
                } else {
                    assert!(said.code == Some(0) || said.code == Some(1), "{call} {turn}: {said:?}");
                }
                // What could not even be cleared away is settled by the next start.
                scene.recover();
                if call == "unlink" {
                    // A file that could not be removed is, by the next write.
                    scene.want(usize::from(scene.has(0)));
                    scene.apply().ended(0, "In place");
                }
                scene.agrees();
            }
        }
    }
    println!("{failures} calls failed");
    assert!(failures >= 30, "{failures}");
    before.holds(&mut scene.daemon, 4 * failures + 10);
}

#[test]
fn f13_h10_without_room_for_the_journal_nothing_is_written() {
    let mut scene = Scene::new();
    let before = Before::of(&scene.daemon);
    let state = scene.at("state");
    fs::create_dir_all(state.join("engines/docker")).unwrap();
    let journal = state.join("engines/docker");
    // So little that the bytes from before fit and what is meant does not, and so on.
    for room in ["4k", "8k", "12k"] {
        let _small = Mount::new(&["-t", "tmpfs", "-o", &format!("size={room}"), "tmpfs"], &journal);
        let said = scene.apply();
        if said.code != Some(0) {
            said.ended(1, "df -h");
            assert_eq!(scene.daemon.text().as_deref(), Some(FILE), "{room}");
        }
        scene.recover();
        scene.agrees();
    }
    {
        let _closed = Mount::new(&["-t", "tmpfs", "-o", "ro", "tmpfs"], &journal);
        scene.want(usize::from(scene.has(0)));
        let text = scene.daemon.text();
        scene.apply().ended(1, "Read-only file system");
        assert_eq!(scene.daemon.text(), text);
    }
    scene.apply().ended(0, "");
    scene.agrees();
    before.holds(&mut scene.daemon, 6);
}

#[test]
fn f16_owner_mode_acl_attributes_link_and_line_ends_are_those_of_before() {
    let mut scene = Scene::new();
    let before = Before::of(&scene.daemon);
    let target = scene.at("kept.json");
    fs::copy(scene.daemon.file(), &target).unwrap();
    fs::remove_file(scene.daemon.file()).unwrap();
    symlink(&target, scene.daemon.file()).unwrap();
    std::os::unix::fs::chown(&target, Some(33), Some(34)).unwrap();
    output(Command::new("chmod").arg("0640").arg(&target));
    output(Command::new("setfacl").args(["-m", "u:1:r,g:2:rw"]).arg(&target));
    output(Command::new("setfattr").args(["-n", "user.note", "-v", "kept"]).arg(&target));
    output(Command::new("setfattr").args(["-n", "trusted.note", "-v", "kept too"]).arg(&target));
    let looks = || {
        let acl = output(Command::new("getfacl").args(["--omit-header", "--absolute-names"]).arg(&target));
        let all = ["--dump", "--match=-", "--absolute-names"];
        let attributes = output(Command::new("getfattr").args(all).arg(&target));
        let metadata = fs::metadata(&target).unwrap();
        (acl, attributes, metadata.uid(), metadata.gid(), metadata.mode())
    };
    let was = looks();
    assert!(was.0.contains("group:bin:rw-") && was.1.contains("trusted.note"), "{was:?}");
    // dockerd has not read the file since it was moved; nothing in it has changed.
    scene.run(&["apply", "--with-pending"]).ended(0, "In place");
    assert_eq!(looks(), was);
    assert!(scene.daemon.file().is_symlink() && !target.is_symlink());
    scene.agrees();
    before.holds(&mut scene.daemon, 1);
    scene.run(&["restore"]).ended(0, "Restored");
    assert_eq!((looks(), scene.daemon.text().as_deref()), (was, Some(FILE)));
}

#[test]
fn f17_leftovers_go_away_and_a_planted_link_is_not_followed() {
    let mut scene = Scene::new();
    let before = Before::of(&scene.daemon);
    let etc = scene.daemon.at("etc");
    let old = fs::metadata(scene.daemon.file()).unwrap().modified().unwrap() - Duration::from_secs(7200);
    for number in 0..10_000 {
        let path = etc.join(format!(".mirrorwatch-{number:06}.tmp"));
        fs::File::create_new(path).unwrap().set_modified(old).unwrap();
    }
    let victim = scene.at("victim");
    file::replace(&victim, b"untouched", None).unwrap();
    symlink(&victim, etc.join(".mirrorwatch-planted.tmp")).unwrap();
    symlink(&victim, etc.join(".mirrorwatch-plant1.tmp")).unwrap();
    scene.apply().ended(0, "In place");
    assert_eq!(fs::read(&victim).unwrap(), b"untouched");
    let left = scene.daemon.beside();
    assert_eq!(left, [".mirrorwatch-plant1.tmp", ".mirrorwatch-planted.tmp", "daemon.json"]);
    before.holds(&mut scene.daemon, 1);
}

#[test]
fn f8_f9_f18_what_is_no_plain_file_in_a_plain_place_is_refused_and_left_alone() {
    let mut scene = Scene::new();
    let before = Before::of(&scene.daemon);
    let (file, etc, aside) = (scene.daemon.file(), scene.daemon.at("etc"), scene.at("aside"));
    fs::rename(&file, &aside).unwrap();
    let check = |words: &str| {
        // Edits that wait are not what this is about.
        scene.run(&["apply", "--with-pending"]).ended(1, words);
        assert_eq!(fs::read(&aside).unwrap(), FILE.as_bytes());
        assert!(!etc.is_dir() || scene.left().is_empty(), "{:?}", scene.left());
    };
    symlink("nowhere", &file).unwrap();
    check("a symbolic link that leads nowhere");
    fs::remove_file(&file).unwrap();
    symlink("daemon.json", &file).unwrap();
    check("symbolic links");
    fs::remove_file(&file).unwrap();
    // As on NixOS, whose configuration leads into a store that cannot be written.
    let store = scene.at("store");
    fs::create_dir(&store).unwrap();
    fs::copy(&aside, store.join("daemon.json")).unwrap();
    symlink(store.join("daemon.json"), &file).unwrap();
    {
        let place = store.display().to_string();
        let _bound = Mount::new(&["--bind", &place], &store);
        output(Command::new("mount").args(["-o", "remount,bind,ro"]).arg(&store));
        check("the file system is read-only");
    }
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    check("not a regular file");
    fs::remove_dir(&file).unwrap();
    fs::hard_link(&aside, &file).unwrap();
    check("several hard links");
    fs::remove_file(&file).unwrap();
    fs::remove_dir(&etc).unwrap();
    file::replace(&etc, b"a file", None).unwrap();
    check("Not a directory");
    fs::remove_file(&etc).unwrap();
    fs::create_dir(&etc).unwrap();
    fs::rename(&aside, &file).unwrap();
    before.holds(&mut scene.daemon, 0);
}

#[test]
fn f3_a_writer_that_truncates_and_writes_again_and_again_loses_nothing() {
    let mut scene = Scene::new();
    let before = Before::of(&scene.daemon);
    let file = scene.daemon.file();
    let end = scene.at("end");
    let writer = {
        let (file, end) = (file.clone(), end.clone());
        std::thread::spawn(move || {
            let mut writes = 0;
            while !end.exists() {
                let text = fs::read(&file).unwrap();
                let handle = fs::File::options().write(true).truncate(true).open(&file).unwrap();
                std::thread::sleep(Duration::from_millis(2));
                std::io::Write::write_all(&mut &handle, &text).unwrap();
                drop(handle);
                writes += 1;
                std::thread::sleep(Duration::from_millis(3));
            }
            writes
        })
    };
    for turn in 0..6 {
        scene.want(turn % 2);
        let said = scene.run(&["apply", "--with-pending"]);
        assert!(said.code == Some(0) || said.code == Some(1), "{said:?}");
    }
    fs::File::create_new(&end).unwrap();
    let writes = writer.join().unwrap();
    assert!(writes > 20, "{writes}");
    before.i1_only_the_list_differs(&scene.daemon);
    scene.run(&["apply", "--with-pending"]).ended(0, "");
    scene.agrees();
    before.holds(&mut scene.daemon, 30);
}

/// F12: what was read-only and is no longer needs nobody's word. It may take the half minute of the first new try.
#[test]
fn f12_a_service_before_a_read_only_place_goes_on_by_itself_when_it_can_be_written() {
    let mut scene = Scene::new();
    let before = Before::of(&scene.daemon);
    scene.want_soon(0);
    let mut service = scene.serve();
    // To the end: what is still written there keeps the mount from becoming read-only.
    scene.wait("the list", || scene.has(0) && scene.status()["engines"][0]["state"] == "in_place");
    let place = scene.daemon.at("etc");
    {
        let path = place.display().to_string();
        let _mount = Mount::new(&["--bind", &path], &place);
        output(Command::new("mount").args(["-o", "remount,bind,ro"]).arg(&place));
        scene.want_soon(1);
        scene.wait("the refusal", || scene.status()["engines"][0]["state"] == "refused");
        let problem = scene.status()["engines"][0]["problem"].to_string();
        assert!(problem.contains("read-only"), "{problem}");
        assert!(scene.has(0), "dockerd has what it had");
    }
    let start = std::time::Instant::now();
    while !scene.has(1) || scene.status()["engines"][0]["state"] != "in_place" {
        assert!(start.elapsed() < Duration::from_secs(240), "{:#}", scene.status());
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("in place {:?} after it could be written", start.elapsed());
    assert_eq!(service.end(), Some(0));
    scene.agrees();
    before.holds(&mut scene.daemon, 4);
}
