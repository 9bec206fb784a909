//! How many probes may go on at once, for want of open files: one that finds none would blame its mirror.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{dial, lanes, names};

/// So many files a probe may have: the addresses of its host that race.
const EACH: u64 = dial::MOST as u64;

/// Files for what else is open: the names that are asked for, and 64 of the process's own.
const OTHERS: u64 = (lanes::NAMES * names::FILES) as u64 + 64;

/// As many as two thousand mirrors need, which is more than anybody has.
const MOST: u64 = 2000 * EACH + OTHERS;

/// How many probes have their files. The usual limit of 1024 is raised, where this process may: it is that low for
/// programs that wait with select(2), and a mirror that does not answer would hold up those behind it.
pub(super) fn probes_at_once() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let allowed = maximum.map_or(MOST, |maximum| maximum.min(MOST));
    let files = match current {
        Some(current) if current < allowed => {
            let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(allowed), maximum });
            raised.map_or(current, |()| allowed)
        }
        Some(current) => current.min(MOST),
        None => MOST,
    };
    suffice_for(files)
}

fn suffice_for(files: u64) -> usize {
    usize::try_from(files.saturating_sub(OTHERS) / EACH).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_files_are_for_few_probes_and_none_for_one_at_a_time() {
        for (files, probes) in [(0, 1), (64, 1), (OTHERS + 7, 1), (1024, 144), (MOST, 2000)] {
            assert_eq!(suffice_for(files), probes, "{files}");
        }
    }
}
