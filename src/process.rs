//! What the kernel tells everybody of a process, in `/proc/PID`.
//!
//! A process that has ended has no name, no start and no user; under `hidepid` another user's has none either. What is
//! hidden from whoever is confined is in [`crate::confine::outside`].

use std::fmt::Display;
use std::fs;

/// The name that it goes by, which the kernel cuts at 15 bytes.
pub fn name(pid: impl Display) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/comm")).ok().map(|name| name.trim_end().to_owned())
}

/// When it began, in clock ticks since boot: with the pid, the name of one process for good.
pub fn started(pid: impl Display) -> Option<u64> {
    after_name(&stat(pid)?)?.nth(22 - FIRST)?.parse().ok()
}

/// Whether it has ended, and only waits for whoever started it to take note.
pub fn has_ended(pid: impl Display) -> bool {
    let stat = stat(pid).unwrap_or_default();
    after_name(&stat).and_then(|mut fields| fields.next()).is_some_and(|state| matches!(state, "Z" | "X"))
}

/// The processor time that it has used, in ticks of ten milliseconds.
pub fn time(pid: impl Display) -> Option<u64> {
    time_in(&stat(pid)?)
}

/// The same, of a `/proc/PID/stat` that was read already: `utime` and `stime`.
pub fn time_in(stat: &str) -> Option<u64> {
    let mut fields = after_name(stat)?.skip(14 - FIRST);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()?.saturating_add(next()?))
}

/// Its user: the real, the effective and the saved one, and the one that counts for files, of which a socket is one.
pub fn users(pid: impl Display) -> Option<[u32; 4]> {
    let users: Vec<u32> = field(pid, "Uid:")?.split_whitespace().flat_map(str::parse).collect();
    users.try_into().ok()
}

/// Its pids: ours for it, and those of the namespaces between ours and its own.
pub fn pids(pid: impl Display) -> Option<Vec<i32>> {
    field(pid, "NSpid:")?.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()
}

/// The first field after the name; proc_pid_stat(5) counts from 1.
const FIRST: usize = 3;

fn stat(pid: impl Display) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/stat")).ok()
}

/// The second field is the name in parentheses, and may hold anything, blanks and parentheses too.
fn after_name(stat: &str) -> Option<impl Iterator<Item = &str>> {
    Some(stat.rsplit_once(')')?.1.split_ascii_whitespace())
}

/// What follows `name` in `/proc/PID/status`.
fn field(pid: impl Display, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_told_of() {
        let own = std::process::id();
        assert_eq!(users(own).unwrap()[1], rustix::process::geteuid().as_raw());
        assert_eq!(pids(own).unwrap().first().copied(), i32::try_from(own).ok());
        assert!(started(own).is_some_and(|started| started > 0));
        assert!(!name(own).unwrap().is_empty());
    }

    #[test]
    fn nothing_is_told_of_one_that_is_not_there() {
        // Linux gives no pid beyond 2^22.
        let nobody = 1 << 22;
        assert_eq!((name(nobody), started(nobody), time(nobody)), (None, None, None));
        assert_eq!((users(nobody), pids(nobody)), (None, None));
    }

    #[test]
    fn a_name_may_hold_anything() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 250 33 0 0 20 0 1 0 5 6 7";
        assert_eq!(time_in(stat), Some(283));
        for stat in ["", "7 (a) S 1", "7 (a) S 1 7 7 0 -1 4194560 1 2 3 4 x 33"] {
            assert_eq!(time_in(stat), None, "{stat}");
        }
    }
}
