//! What this process may still write, by the kernel's word (Landlock, Linux 5.13 and later) and for good.
//!
//! For `probe`, which talks to strangers, and when it does has nothing left to write but what it remembers. Reading
//! stays free, with one exception that cannot be had otherwise: where another process's descriptors, program and
//! directory lead (`/proc/<pid>/fd`, `exe`, `cwd`) is hidden from whoever is confined. By these dockerd's log is found,
//! and the program and the file of the dockerd that really runs; so `run` and `apply`, which need them for as long as
//! they live, are not confined, nor are `[notify]` and `reload`, whose commands may write where they like. Their
//! separation is that of the two processes under systemd.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, path_beneath_rules,
};

/// The rights to write were complete with this; what came later is about devices and sockets.
const RIGHTS: ABI = ABI::V3;

/// Everyone may write these, and programs expect to.
const COMMON: [&str; 4] = ["/dev/null", "/dev/tty", "/var/tmp", "/tmp"];

/// Leaves this thread, and the threads and processes that it starts from now on, `places` to write in; and no program
/// that they start gets more rights than they have.
///
/// # Errors
/// Why nothing was restricted: most often, this kernel has no Landlock.
pub fn to(places: &[&Path]) -> Result<(), String> {
    let places: Vec<PathBuf> = places.iter().map(|place| place.to_path_buf()).collect();
    let common = COMMON.iter().map(PathBuf::from).chain([std::env::temp_dir()]);
    let status = restrict(places.into_iter().chain(common)).map_err(|error| error.to_string())?;
    match status {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
        RulesetStatus::NotEnforced => Err("this kernel has no Landlock".to_owned()),
    }
}

fn restrict(places: impl Iterator<Item = PathBuf>) -> Result<RulesetStatus, RulesetError> {
    let rights = AccessFs::from_write(RIGHTS);
    // A kernel that knows fewer rights restricts those that it knows, and a place that is not there is left out.
    let rules = path_beneath_rules(places, rights);
    let ruleset = Ruleset::default().handle_access(rights)?.create()?.add_rules(rules)?;
    Ok(ruleset.restrict_self()?.ruleset)
}
