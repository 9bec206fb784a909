//! What cuts a write short, in numbers: kill -9 at random instants, edits of another program in between, power
//! losses on ext4 and xfs; and containers, which must not notice. A real dockerd, the real program; one violation
//! ends the run.
//!
//! `cargo bench --bench kills -- KILLS EDITS LOSSES CONTAINERS CHANGES`: 10,000, 10,000, 1,000 of each file system, and
//! 50 containers that run through 500 changes, unless said otherwise. A violation is a panic, and the end is then not 0.
//! On two cores, beside other work, a kill took 0.35 seconds, an edit 0.12, a loss of power 1.1: all of it is done in
//! two and a half hours at most.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

#[path = "../tests/dockerd/mod.rs"]
#[expect(dead_code, reason = "the harness is shared by several tests, and each uses a part")]
mod dockerd;
#[path = "../tests/faults/invariants.rs"]
#[expect(dead_code, reason = "what must hold is shared with the suite, and each uses a part")]
mod invariants;
#[path = "../tests/faults/scene.rs"]
#[expect(dead_code, reason = "the scene is shared with the suite, and each uses a part")]
mod scene;
#[path = "../tests/faults/storm.rs"]
mod storm;
#[path = "../tests/support/mod.rs"]
#[expect(dead_code, reason = "the fakes are shared by several tests, and each uses a part")]
mod support;

use std::time::Instant;

fn main() {
    let said: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let count = |place: usize, default: usize| said.get(place).copied().unwrap_or(default);
    let (kills, edits, losses) = (count(0, 10_000), count(1, 10_000), count(2, 1_000));
    let start = Instant::now();
    if kills > 0 {
        let hits = storm::kills(kills);
        println!("{kills} kills, {hits} in the middle of a write: 0 violations, {:.0?}", start.elapsed());
    }
    let start = Instant::now();
    if edits > 0 {
        let applied = storm::edits(u64::try_from(edits).unwrap_or(u64::MAX));
        println!(
            "{edits} edits of another program, {applied} lists put in place: 0 lost, {:.0?}",
            start.elapsed()
        );
    }
    for file_system in storm::FILE_SYSTEMS {
        let start = Instant::now();
        if losses > 0 {
            let lost = storm::power_losses(file_system, losses, storm::Sync::Honest);
            println!(
                "{losses} power losses on {} ({}), {} before the acknowledgement and {} at once after it: 0 violations, {:.0?}",
                file_system.0,
                file_system.1,
                lost.middle,
                lost.acknowledged,
                start.elapsed()
            );
        }
    }
    let (containers, changes) = (count(3, 50), count(4, 500));
    if containers > 0 && changes > 0 {
        let each = storm::crowd(containers, changes);
        println!("{containers} containers through {changes} changes of {each:.0?} each: 0 touched");
    }
}
