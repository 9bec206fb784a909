//! Everything that can go wrong while a list is applied, done to the real program beside a real dockerd; after each
//! fault the invariants of `faults/invariants.rs` hold. `tests/README.md` says which row is where.

mod dockerd;
#[path = "faults/engine.rs"]
mod engine;
#[path = "faults/file.rs"]
mod file;
#[path = "faults/full.rs"]
mod full;
#[path = "faults/host.rs"]
mod host;
#[path = "faults/input.rs"]
mod input;
#[path = "faults/invariants.rs"]
mod invariants;
#[path = "faults/kill.rs"]
mod kill;
mod namespace;
#[path = "faults/pids.rs"]
mod pids;
#[path = "faults/restore.rs"]
mod restore;
#[path = "faults/scene.rs"]
mod scene;
#[path = "faults/storm.rs"]
mod storm;
#[expect(dead_code, reason = "the fakes are shared by several tests, and each uses a part")]
mod support;
#[path = "faults/write.rs"]
mod write;
