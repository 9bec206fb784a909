//! Requests over the boundary between the two processes: valid ones, and what mutations make of them. One URL that
//! mirrors.toml does not have, one other key, one reload too many is a panic: it ends the run, and not with 0. What decides,
//! and what takes and keeps the turns of an hour, is the applier's own; the engine takes everything.
//!
//! `cargo bench --bench frames -- FRAMES SEED`, ten million from seed 1 unless said otherwise.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::unwrap_used, reason = "what the frames are made of is valid")]

#[path = "../tests/split/frames.rs"]
#[expect(dead_code, reason = "the frames are shared with the suite, and each uses a part")]
mod frames;

use std::time::Instant;

fn main() {
    let said: Vec<u64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let (count, seed) = (said.first().copied().unwrap_or(10_000_000), said.get(1).copied().unwrap_or(1));
    let start = Instant::now();
    let mut boundary = frames::Boundary::new(seed);
    for _ in 0..count {
        boundary.play();
    }
    println!("seed {seed}: {:?}: 0 violations, {:.0?}", boundary.tally, start.elapsed());
}
