//! F13, H10: the disk of the state directory is full, of bytes or of files.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use mirrorwatch::engine::Docker;
use mirrorwatch::engine::docker::Reload;
use mirrorwatch::reason::ProblemKind;

use crate::dockerd::{Dockerd, urls};
use crate::file::Mount;
use crate::invariants::Before;
use crate::kill::step;
use crate::scene::{FILE, Scene, output};

/// Until there is room for nothing more, neither a byte nor a file.
fn fill(directory: &Path) {
    let mut filler = fs::File::create_new(directory.join("filler")).unwrap();
    while filler.write_all(&[0; 4096]).is_ok() {}
    while filler.write_all(&[0]).is_ok() {}
    drop(filler.sync_all());
    let files = directory.join("files");
    if fs::create_dir(&files).is_ok() {
        for number in 0.. {
            if fs::File::create_new(files.join(format!("{number}"))).is_err() {
                break;
            }
        }
    }
}

/// A state directory on a small disk of its own.
fn on_a_disk<'a>(scene: &Scene, kind: &str, state: &'a Path) -> Mount<'a> {
    fs::create_dir(state).unwrap();
    if kind == "tmpfs" {
        return Mount::new(&["-t", "tmpfs", "-o", "size=2m,nr_inodes=200", "tmpfs"], state);
    }
    let image = scene.at("disk");
    // Blocks of the usual size, which mkfs.ext4 would not take for so small a disk; mkfs.xfs makes nothing smaller.
    let (size, block) = if kind == "xfs" { (320 << 20, "size=4096") } else { (8 << 20, "4096") };
    fs::File::create_new(&image).unwrap().set_len(size).unwrap();
    output(Command::new(format!("mkfs.{kind}")).args(["-q", "-b", block]).arg(&image));
    Mount::new(&["-o", "loop", &image.display().to_string()], state)
}

#[test]
fn f13_on_a_full_state_disk_lists_are_applied_all_the_same_and_all_of_them_can_be_restored() {
    for kind in ["tmpfs", "ext4", "xfs"] {
        let mut scene = Scene::new();
        let before = Before::of(&scene.daemon);
        let state = scene.at("state");
        let _disk = on_a_disk(&scene, kind, &state);
        scene.apply().ended(0, "In place");
        fill(&state);
        // More than are kept, so that the last ones have only what the first ones have left.
        for turn in 1..=14 {
            scene.want(turn % 2);
            let said = scene.apply().ended(0, "In place");
            assert!(
                said.err.contains("the disk on which the old lists are kept is full"),
                "{kind}: {said:?}"
            );
            scene.agrees();
        }
        let kept = scene.run(&["restore", "--list"]).ended(0, "").out;
        assert_eq!(kept.lines().count(), 12, "{kind}: {kept}");
        scene.run(&["restore", "--to", "9"]).ended(0, "Restored");
        assert!(scene.has(1), "{kind}: before the ninth write there was what the eighth wrote");
        scene.run(&["restore"]).ended(0, "Restored");
        assert_eq!(scene.daemon.text().as_deref(), Some(FILE), "{kind}");
        before.holds(&mut scene.daemon, 17);
        // As soon as there is room again it is set aside anew, and nothing is said any more.
        for place in ["filler", "files"] {
            output(Command::new("rm").arg("-rf").arg(state.join(place)));
        }
        scene.want(0);
        let said = scene.apply().ended(0, "In place");
        assert!(!said.err.contains("full"), "{kind}: {said:?}");
        assert_eq!(fs::read_dir(state.join("room")).unwrap().count(), 16, "{kind}");
    }
}

#[test]
fn f13_h2_on_a_full_state_disk_a_kill_at_any_system_call_leaves_file_and_dockerd_in_agreement() {
    let mut scene = Scene::new();
    let before = Before::of(&scene.daemon);
    let state = scene.at("state");
    let _disk = on_a_disk(&scene, "tmpfs", &state);
    scene.apply().ended(0, "In place");
    fill(&state);
    let kills = step(&scene, &before, &["apply"], |turn| {
        scene.want(if scene.has(0) { 1 } else { turn % 2 });
    });
    println!("on a full disk an apply was killed {kills} times");
    assert!(kills >= 40, "{kills}");
    scene.want(usize::from(scene.has(0)));
    scene.apply().ended(0, "In place");
    before.holds(&mut scene.daemon, 4 * kills + 2);
    scene.run(&["restore"]).ended(0, "");
    assert_eq!(scene.daemon.text().as_deref(), Some(FILE));
}

/// The disk fills up while a list is applied, and nothing that was set aside is left either.
#[test]
fn f13_a_rejected_list_is_taken_back_though_nothing_can_be_written_down_any_more() {
    let scene = Scene::of(Dockerd::start(FILE));
    let state = scene.at("state");
    let _disk = on_a_disk(&scene, "tmpfs", &state);
    let mut settings = scene.daemon.settings();
    let script = format!("cd {}; rm -r room; cat /dev/zero >filler; exit 5", state.display());
    settings.reload = Reload::Command(["sh", "-c", &script].map(str::to_owned).to_vec());
    let apply = |engine: Docker| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(engine.apply(&urls(&["https://a.example"])))
    };
    let problem = apply(Docker::new(settings, &state)).unwrap_err();
    assert_eq!(problem.kind, ProblemKind::ReloadFailed, "{problem}");
    assert!(problem.detail.ends_with("the old file is back"), "{problem}");
    assert_eq!(scene.daemon.text().as_deref(), Some(FILE));
    scene.agrees();
    fs::remove_file(state.join("filler")).unwrap();
    scene.daemon.reload();
    apply(scene.daemon.engine()).unwrap();
}

#[test]
fn f13_a_disk_that_was_full_from_the_start_is_said_and_nothing_is_replaced() {
    let mut scene = Scene::new();
    let before = Before::of(&scene.daemon);
    let state = scene.at("state");
    let _disk = on_a_disk(&scene, "tmpfs", &state);
    fill(&state);
    let said = scene.apply().ended(1, "df -h");
    // Nor is it counted how much the mirrors were asked.
    assert!(said.err.contains("no space left on the device; the latest records were not saved"), "{said:?}");
    assert_eq!(scene.daemon.text().as_deref(), Some(FILE));
    before.holds(&mut scene.daemon, 0);
}
