//! Whether the engine may have made a connection, by what can be had without a walk over the host's connections.
//!
//! Two things tell. How many connections this host has ever begun is the kernel's own count (`ActiveOpens` of
//! `/proc/self/net/snmp`, RFC 4022): anybody may read it on every kernel, and while it stands still nobody has a new
//! connection. And what the engine does, which tells it apart from others: how many files it has open, or, where we may
//! not see that, how much processor time it has used.

use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

/// After so long the kernel is asked although the engine seems to have done nothing: one file may have been opened as
/// another was closed.
const LATEST: Duration = Duration::from_secs(60);

/// A walk is made at most so often that it takes this part of one processor's time: every ten seconds where it takes two
/// milliseconds. It may: each finds the host's table pushed out of the processor's cache by what ran since the last.
const PART: u32 = 5_000;

/// What changes when the engine does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    /// How many files it has open. A pull opens a connection, a file for the layer, and one to whoever asked for it.
    Files(usize),
    /// Its processor time, in the kernel's ticks of ten milliseconds. A pull that begins uses as much.
    Ticks(u64),
}

/// As of then nothing of the engine led to a mirror.
#[derive(Clone, Copy, Debug)]
struct Clean {
    at: Duration,
    activity: Option<Activity>,
    begun: Option<u64>,
}

/// What is known from the last walk. No clock and no I/O.
#[derive(Debug, Default)]
pub(super) struct Glance {
    clean: Option<Clean>,
    /// Until then the last walk was too dear for another one.
    rests: Duration,
}

impl Glance {
    /// Whether the kernel is to be asked for the engine's connections `now` (since any fixed moment): `begun` are the
    /// connections that this host has ever begun; that and what the engine does as of before that walk.
    pub(super) fn needs_walk(
        &mut self,
        now: Duration,
        activity: Option<Activity>,
        begun: impl FnOnce() -> Option<u64>,
    ) -> bool {
        let at_rest = |clean: &Clean| {
            now.saturating_sub(clean.at) < LATEST && activity.is_some() && activity == clean.activity
        };
        if self.clean.as_ref().is_some_and(at_rest) {
            return false;
        }
        let begun = begun();
        let nobody = self.clean.as_ref().is_some_and(|clean| begun.is_some() && begun == clean.begun);
        if !nobody && now < self.rests {
            return false;
        }
        self.clean = Some(Clean { at: now, activity, begun });
        !nobody
    }

    /// A walk at this time took so long.
    pub(super) fn walked(&mut self, now: Duration, took: Duration) {
        self.rests = now + took.saturating_mul(PART);
    }

    /// Something leads to a mirror, or mirrors are elsewhere: what was seen last says nothing of what is now.
    pub(super) fn forget(&mut self) {
        self.clean = None;
    }
}

/// How many connections this host has begun, in our network namespace; `None` where that cannot be told.
pub(super) fn begun() -> Option<u64> {
    let mut table = [0; 4096];
    let length = File::open("/proc/self/net/snmp").ok()?.read(&mut table).ok()?;
    active_opens(std::str::from_utf8(&table[..length]).ok()?)
}

/// Two lines begin with `Tcp:`, the first with the names of the numbers in the second.
fn active_opens(table: &str) -> Option<u64> {
    let mut lines = table.lines().filter_map(|line| line.strip_prefix("Tcp:"));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let place = names.split_whitespace().position(|name| name == "ActiveOpens")?;
    numbers.split_whitespace().nth(place)?.parse().ok()
}

/// What the engine does, as far as it can be seen: some microseconds.
pub(super) fn activity(engine: Option<i32>) -> Option<Activity> {
    let directory = PathBuf::from(format!("/proc/{}", engine?));
    let files = directory.join("fd");
    // Since Linux 6.2 the directory's size is their number, for everybody; before, it is 0 and whoever may must count.
    let number = match fs::metadata(&files).ok()?.len() {
        0 => fs::read_dir(&files).ok().map(Iterator::count),
        number => usize::try_from(number).ok(),
    };
    number.map(Activity::Files).or_else(|| ticks(&fs::read_to_string(directory.join("stat")).ok()?))
}

/// `utime` and `stime` of proc_pid_stat(5): the 14th and the 15th, after a name that may hold anything.
fn ticks(stat: &str) -> Option<Activity> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(Activity::Ticks(next()?.saturating_add(next()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When it walked in a thousand seconds of a glance each ten.
    fn walks(cost: Duration, does: fn(u64) -> Option<Activity>, begun: fn(u64) -> Option<u64>) -> Vec<u64> {
        let mut glance = Glance::default();
        let mut walks = Vec::new();
        for second in (0..1000).step_by(10) {
            let now = Duration::from_secs(second);
            if glance.needs_walk(now, does(second), || begun(second)) {
                glance.walked(now, cost);
                walks.push(second);
            }
        }
        walks
    }

    const CHEAP: Duration = Duration::from_micros(170);

    #[test]
    fn where_the_engine_always_does_something_or_cannot_be_seen_every_glance_walks_for_ever() {
        // On a host where somebody always connects. Debian 12's kernel does not count another user's files.
        assert_eq!(walks(CHEAP, |_| None, Some).len(), 100);
        assert_eq!(walks(CHEAP, |_| None, |_| None).len(), 100, "nor is anything else to be had");
        let files = |second| usize::try_from(second).ok().map(Activity::Files);
        assert_eq!(walks(CHEAP, files, Some).len(), 100, "health checks open and close files");
        assert_eq!(walks(CHEAP, |second| Some(Activity::Ticks(second)), Some).len(), 100, "and take time");
    }

    #[test]
    fn while_nobody_on_this_host_connects_nobody_walks() {
        assert_eq!(walks(CHEAP, |_| None, |_| Some(7)), [0]);
        let busy = |second| Some(Activity::Ticks(second));
        assert_eq!(walks(CHEAP, busy, |_| Some(7)), [0]);
        assert_eq!(walks(CHEAP, busy, |second| Some(second / 300)), [0, 300, 600, 900], "and then at once");
    }

    #[test]
    fn an_engine_at_rest_is_walked_for_once_a_minute_and_at_once_when_it_does_something() {
        assert_eq!(walks(CHEAP, |_| Some(Activity::Files(20)), Some).len(), 17);
        let pulls = |second| Some(Activity::Ticks(if second < 490 { 20 } else { 23 }));
        assert_eq!(walks(CHEAP, pulls, Some)[8..11], [480, 490, 550]);
    }

    #[test]
    fn a_walk_over_twenty_thousand_connections_is_made_as_seldom_as_it_is_dear() {
        assert_eq!(walks(Duration::from_micros(3_200), |_| None, Some)[..4], [0, 20, 40, 60]);
        assert_eq!(walks(Duration::from_micros(2_000), |_| None, Some).len(), 100);
    }

    #[test]
    fn after_a_connection_or_an_edit_of_the_list_the_next_glance_walks() {
        let mut glance = Glance::default();
        let (at, still) = (Duration::from_secs, Some(Activity::Files(20)));
        assert!(glance.needs_walk(at(0), still, || Some(7)));
        assert!(!glance.needs_walk(at(10), still, || Some(7)));
        glance.forget();
        assert!(glance.needs_walk(at(20), still, || Some(7)));
    }

    #[test]
    fn a_process_whose_files_nobody_counts_has_its_time_looked_at() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 250 33 0 0 20 0 1 0 5 6 7";
        assert_eq!(ticks(stat), Some(Activity::Ticks(283)));
        for stat in ["", "7 (a) S 1", "7 (a) S 1 7 7 0 -1 4194560 1 2 3 4 x 33"] {
            assert_eq!(ticks(stat), None, "{stat}");
        }
        assert!(activity(i32::try_from(std::process::id()).ok()).is_some());
        assert_eq!(activity(None), None);
    }

    #[test]
    fn the_kernel_s_table_is_understood_and_counts_what_is_begun() {
        assert_eq!(active_opens("Ip: Forwarding\nIp: 1\nTcp: RtoMin ActiveOpens\nTcp: 200 31\n"), Some(31));
        for table in ["", "Tcp: ActiveOpens\n", "Tcp: RtoMin\nTcp: 1\n", "Tcp: A ActiveOpens\nTcp: 1\n"] {
            assert_eq!(active_opens(table), None, "{table}");
        }
        let before = begun().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(begun().unwrap() > before);
    }
}
