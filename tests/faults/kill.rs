//! H2: kill -9 at every system call that changes anything; and short storms of kills, edits and power losses, whose
//! long ones are in `cargo bench --bench kills`.

use crate::dockerd::Dockerd;
use crate::invariants::Before;
use crate::scene::{FILE, Scene};
use crate::storm::{self, FILE_SYSTEMS, FileSystem, Sync};

/// Every call by which the apply path changes a file, a directory or dockerd, starts another program, or asks dockerd
/// something, with what must stand among its arguments. Between two of them nothing changes, so a kill there is a kill
/// at the next one.
const CALLS: [(&str, &str); 31] = [
    ("openat", "O_CREAT"),
    ("write", ""),
    ("pwrite64", ""),
    ("writev", ""),
    ("sendto", ""),
    ("sendmsg", ""),
    ("fsync", ""),
    ("fdatasync", ""),
    ("ftruncate", ""),
    ("fallocate", ""),
    ("fchmod", ""),
    ("fchmodat", ""),
    ("fchown", ""),
    ("fsetxattr", ""),
    ("fremovexattr", ""),
    ("rename", ""),
    ("renameat", ""),
    ("renameat2", ""),
    ("link", ""),
    ("linkat", ""),
    ("unlink", ""),
    ("unlinkat", ""),
    ("mkdir", ""),
    ("mkdirat", ""),
    ("flock", ""),
    ("connect", ""),
    ("pidfd_send_signal", ""),
    ("kill", ""),
    ("clone3", ""),
    ("vfork", ""),
    ("execve", ""),
];

/// Kills the program at each call in turn; `prepare` gives it something to do. Returns how often.
pub(crate) fn step(scene: &Scene, before: &Before, arguments: &[&str], prepare: impl Fn(usize)) -> usize {
    prepare(0);
    let mut kills = 0;
    for (call, turns) in scene.turns(arguments, &CALLS) {
        for turn in turns {
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

/// The calls by which it starts what reloads dockerd; killed there is now the program, now what it has started.
#[test]
fn h2_an_apply_that_reloads_by_a_command_killed_at_any_start_of_it_leaves_file_and_dockerd_in_agreement() {
    let mut scene = Scene::new();
    let before = Before::of(&scene.daemon);
    let command = format!("reload = [\"/bin/kill\", \"-HUP\", \"{}\"]", scene.daemon.pid());
    scene.configure(0, &command);
    let calls =
        ["clone", "clone3", "vfork", "execve", "wait4", "waitid", "exit_group"].map(|call| (call, ""));
    let mut stops = 0;
    for (call, turns) in scene.turns(&["apply"], &calls) {
        for turn in turns {
            scene.configure(usize::from(scene.has(0)), &command);
            let said = scene.run_with(&["apply"], call, &format!("signal=KILL:when={turn}"));
            before.i1_only_the_list_differs(&scene.daemon);
            stops += usize::from(said.code != Some(0));
            scene.recover();
            scene.agrees();
        }
    }
    println!("{stops} of them did not end well");
    assert!(stops >= 2, "{stops}");
    before.holds(&mut scene.daemon, 6 * stops + 20);
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
    assert!(losses.acknowledged >= 4 && losses.middle > 0, "{file_system:?}: {losses:?}");
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
