//! The boundary between the process that talks to strangers and the process that writes `/etc`.
//!
//! Under systemd they are two processes from one binary. The *prober* (`run --unprivileged`) is a user of its own: it
//! probes, decides and remembers, and cannot even speak to the engine. The *applier* (`apply-request`) is root without
//! a capability and without a network; it is started when there is something to do, does it, and ends.
//!
//! | file | who writes | what |
//! | --- | --- | --- |
//! | `<runtime-dir>/request.json` | the prober | [`Request`]: mirrors that are known here too, in their order |
//! | `<runtime-dir>-apply/engine.json` | the applier | [`Report`]: what the engine is, and what became of the request |
//! | `<state-dir>-apply/` | the applier, and commands of root | what is kept of the engine's file, the pause, [`Memory`] |
//!
//! The applier trusts nothing that it is asked: it reads the root-owned mirrors.toml itself, knows itself what stood in
//! the engine's file before, and counts the reloads itself. So a prober that was taken over can reorder or leave out
//! what the administrator wrote, at most [`RELOADS_PER_HOUR`] times an hour, and never bring in a URL. If it asks without
//! end, there is a run a second.

mod ask;
mod away;
mod decide;
mod memory;
mod pace;
mod report;
mod request;
mod serve;
mod turn;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub use ask::Applier;
pub use decide::{Candidate, Decision, Known, Refusal, Rules, decide};
pub use memory::{Memory, RELOADS_PER_HOUR};
pub use report::Report;
pub use request::{FORMAT, MAX_BYTES, Named, Request};
pub use serve::serve;
pub use turn::turn;

/// Where the two processes meet.
#[derive(Clone, Debug)]
pub struct Places {
    /// mirrors.toml.
    pub config: PathBuf,
    /// Where the prober asks.
    pub requests: PathBuf,
    /// Where the applier answers.
    pub reports: PathBuf,
    /// What the applier keeps over a reboot.
    pub state: PathBuf,
}

impl Places {
    /// The applier's directories lie beside the prober's.
    pub fn new(config: &Path, state: &Path, runtime: &Path) -> Self {
        Self {
            config: config.to_owned(),
            requests: runtime.to_owned(),
            reports: beside(runtime),
            state: beside(state),
        }
    }
}

/// The state directory that the service's unit has.
const STATE_OF_SERVICE: &str = "/var/lib/mirrorwatch";

/// Where what root relies on is kept: the engine's old files, the pause.
///
/// Not in a directory of another user's, who could put something else in its place: a `restore` by root would bring
/// that into the engine's file.
pub fn root_state(state: &Path) -> PathBuf {
    let foreign = std::fs::metadata(state).is_ok_and(|metadata| metadata.uid() != 0);
    let split = || rustix::process::geteuid().is_root() || beside(state).is_dir();
    if state == Path::new(STATE_OF_SERVICE) || (foreign && split()) {
        beside(state)
    } else {
        state.to_owned()
    }
}

/// What the applier remembers, where there is one for this state directory: what a process keeps that talks to strangers has
/// no say in what root writes. `None`: whoever runs us keeps everything in its own directory.
pub fn memory(state: &Path) -> Option<Memory> {
    let directory = root_state(state);
    // One that cannot be understood is the applier's to put aside.
    (directory != state).then(|| Memory::load(&directory).unwrap_or_default())
}

fn beside(directory: &Path) -> PathBuf {
    let mut name = directory.as_os_str().to_owned();
    name.push("-apply");
    name.into()
}
