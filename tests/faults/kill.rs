//! H2: kill -9 at every system call that changes anything; and short storms of kills, edits and power losses, whose
//! long ones are in `cargo bench --bench kills`.

use crate::dockerd::Dockerd;
use crate::invariants::Before;
use crate::scene::{FILE, Scene};
use crate::storm::{self, FILE_SYSTEMS, FileSystem, Sync};

/// Every call by which the apply path changes a file, a directory or dockerd, and those by which it asks
/// dockerd. Between two of them nothing changes, so a kill there is a kill at the next one.
const CALLS: [&str; 19] = [
    "write",
    "fsync",
    "fchmod",
    "fchown",
    "fsetxattr",
    "fremovexattr",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "flock",
    "connect",
    "pidfd_send_signal",
    "kill",
];

/// Kills the program at each call in turn; `prepare` gives it something to do. Returns how often.
pub(crate) fn step(scene: &Scene, before: &Before, arguments: &[&str], prepare: impl Fn(usize)) -> usize {
    prepare(0);
    let mut kills = 0;
    for (call, count) in scene.counted(arguments, &CALLS) {
        for turn in 1..=count {
            prepare(kills);
            let said = scene.run_with(arguments, call, &format!("signal=KILL:when={turn}"));
            before.i1_only_the_list_differs(&scene.daemon);
            kills += usize::from(said.code.is_none());
            scene.recover();
            before.i1_only_the_list_differs(&scene.daemon);
            scene.agrees();
        }
    }
    kills
}

#[test]
fn h2_an_apply_killed_at_any_system_call_leaves_file_and_dockerd_in_agreement() {
    let mut scene = Scene::new();
    let before = Before::with_container(&scene.daemon);
    let kills = step(&scene, &before, &["apply"], |turn| {
        // Whatever came of the last one, there is something to do.
        scene.want(if scene.has(0) { 1 } else { turn % 2 });
    });
    println!("an apply was killed {kills} times");
    assert!(kills >= 40, "{kills}");
    before.holds(&mut scene.daemon, 4 * kills);
    scene.run(&["restore"]).ended(0, "");
    assert_eq!(scene.daemon.text().as_deref(), Some(FILE));
}

#[test]
fn h2_a_restore_killed_at_any_system_call_leaves_file_and_dockerd_in_agreement() {
    let mut scene = Scene::of(Dockerd::start("{}\n"));
    let before = Before::of(&scene.daemon);
    let kills = step(&scene, &before, &["restore"], |_| {
        scene.apply().ended(0, "");
    });
    println!("a restore was killed {kills} times");
    assert!(kills >= 40, "{kills}");
    before.holds(&mut scene.daemon, 6 * kills);
    scene.run(&["restore"]).ended(0, "");
    assert_eq!(scene.daemon.text().as_deref(), Some("{}\n"));
}

#[test]
fn h2_fifty_kills_at_random_instants() {
    let hits = storm::kills(50);
    println!("{hits} of 50 kills hit");
    assert!(hits > 5, "{hits}");
}

#[test]
fn h8_a_hundred_edits_by_rename_and_in_place_while_lists_are_applied() {
    let applied = storm::edits(100);
    println!("{applied} lists applied among 100 edits");
    assert!(applied > 2, "{applied}");
}

#[test]
fn d14_twenty_containers_do_not_notice_sixty_changes() {
    let each = storm::crowd(20, 60);
    println!("{each:?} each");
}

fn lose_power(file_system: FileSystem) {
    let losses = storm::power_losses(file_system, 8, Sync::Honest);
    println!("{file_system:?}: {losses:?}");
    assert!(losses.acknowledged >= 4 && losses.middle > 0, "{losses:?}");
}

#[test]
fn h3_power_losses_on_ext4() {
    lose_power(FILE_SYSTEMS[0]);
}

#[test]
fn h3_power_losses_on_ext4_that_does_not_guess_what_is_to_be_written() {
    lose_power(FILE_SYSTEMS[1]);
}

#[test]
fn h3_power_losses_on_ext4_that_writes_data_when_it_likes() {
    lose_power(FILE_SYSTEMS[2]);
}

#[test]
fn h3_power_losses_on_xfs() {
    lose_power(FILE_SYSTEMS[3]);
}

#[test]
fn h3_a_sync_that_lies_is_seen_by_the_same_means() {
    for file_system in [FILE_SYSTEMS[0], FILE_SYSTEMS[3]] {
        let losses = storm::power_losses(file_system, 8, Sync::Lies);
        println!("{file_system:?}: {losses:?}");
        assert_eq!(losses.lost, 1, "{file_system:?}: {losses:?}");
    }
}
