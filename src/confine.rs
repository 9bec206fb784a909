//! What a thread of ours may still write, by the kernel's word (Landlock, Linux 5.13 and later) and for good.
//!
//! Reading stays free, but for one thing: where another process's program, directory and descriptors lead, and its
//! environment (`/proc/<pid>/exe`, `cwd`, `fd`, `environ`), is hidden from whoever is confined. dockerd's log, program
//! and file are found by these, for as long as we live; and commands of `[notify]` and `reload` may write where they
//! like. So [`outside`] there is one thread that is never confined. It answers a closed set of questions and starts what
//! is to be started unconfined, and has nothing to do with any answer of the network.
//!
//! | who | may write |
//! | --- | --- |
//! | the thread that talks to strangers (`run`, `probe`, `apply`, `add`), and `restore`'s | the state directory; `run` the runtime directory too, `add` its file's |
//! | the thread that is made for one change of the engine's file | the state directory, that file's directory |
//! | what they start to look or to ask (`journalctl`, `systemctl show`) | as they |
//! | [`outside`]: `[notify]`, `reload`, `dockerd --validate` | everything |
//!
//! A domain never grows, and goes by the directories themselves, not by their names. That is why the engine's file has
//! a thread for each change of it, which looks anew where it lies: dockerd may have been started with another one,
//! mirrors.toml may name another, and its directory may have been made anew or covered by a mount. A directory of our
//! own that was removed while we run is made and written by such a thread too ([`outside::afresh`]).
//!
//! # Why a thread and no process
//!
//! A thread costs two hundred kilobytes where a second process costs megabytes, and nothing has to be put into messages.
//! It is no wall against somebody who runs code of their own in here, for all threads share their memory; but by hand such a
//! wall would have a door beside it, since the same process has dockerd's socket, and whoever speaks to that is root. What
//! this stops is our own mistakes: a link that leads elsewhere, a name that a stranger chose. Against the other there are
//! two processes under systemd, and their units confine them more tightly than this could; the applier's thread that
//! writes confines itself all the same.
//!
//! `pause`, `resume` and `remove` write one file of their own and ask nobody anything: they are left as they are.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, path_beneath_rules,
};

pub mod outside;

/// The rights to write were complete with this; what came later is about devices and sockets.
const RIGHTS: ABI = ABI::V3;

/// Everyone may write these, and programs expect to.
const COMMON: [&str; 4] = ["/dev/null", "/dev/tty", "/var/tmp", "/tmp"];

/// Leaves this thread, and the threads and processes that it starts from now on, `places` to write in; and no program
/// that they start gets more rights than they have. The thread [`outside`] is there from now on.
///
/// # Errors
/// Why nothing was restricted: most often, this kernel has no Landlock.
pub fn to(places: &[&Path]) -> Result<(), String> {
    if !outside::open() {
        return Err("no thread could be started".to_owned());
    }
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
