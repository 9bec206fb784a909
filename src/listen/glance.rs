//! Whether the engine may have made a connection, by what can be had without a walk over the host's connections.
//!
//! Two numbers tell, where they are to be had: how many connections this host has ever begun, and how many files the
//! engine has open. The first is the kernel's own count (`ActiveOpens` of `/proc/self/net/snmp`, RFC 4022): anybody may
//! read it on every kernel, and while it stands still nobody has a new connection. The second tells the engine apart
//! from others, where we may see it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// After so long the kernel is asked although the engine has as many files open as before: one may have been opened as
/// another was closed. Twice the silence that is to be noticed.
const LATEST: Duration = Duration::from_secs(20);

/// A walk is made at most so often that it takes this part of one processor's time: every ten seconds where it takes a
/// millisecond, as with six thousand connections on a host with 24 GiB.
const PART: u32 = 10_000;

/// As of then nothing of the engine led to a mirror.
#[derive(Clone, Copy, Debug)]
struct Clean {
    at: Duration,
    files: Option<usize>,
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
    /// Whether the kernel is to be asked for the engine's connections `now` (since any fixed moment): `files` are those
    /// that the engine has open, `begun` are the connections that this host has ever begun; both before that walk.
    pub(super) fn needs_walk(
        &mut self,
        now: Duration,
        files: Option<usize>,
        begun: impl FnOnce() -> Option<u64>,
    ) -> bool {
        let same_files = |clean: &Clean| files.is_some() && files == clean.files;
        if self.clean.as_ref().is_some_and(|clean| now.saturating_sub(clean.at) < LATEST && same_files(clean))
        {
            return false;
        }
        let begun = begun();
        let nobody = self.clean.as_ref().is_some_and(|clean| begun.is_some() && begun == clean.begun);
        if !nobody && now < self.rests {
            return false;
        }
        self.clean = Some(Clean { at: now, files, begun });
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
    active_opens(&fs::read_to_string("/proc/self/net/snmp").ok()?)
}

/// Two lines begin with `Tcp:`, the first with the names of the numbers in the second.
fn active_opens(table: &str) -> Option<u64> {
    let mut lines = table.lines().filter_map(|line| line.strip_prefix("Tcp:"));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let place = names.split_whitespace().position(|name| name == "ActiveOpens")?;
    numbers.split_whitespace().nth(place)?.parse().ok()
}

/// How many files the engine has open: some microseconds. A pull opens a connection, a file for the layer, and one to
/// whoever asked for it.
pub(super) fn open_files(engine: Option<i32>) -> Option<usize> {
    let path = PathBuf::from(format!("/proc/{}/fd", engine?));
    // Since Linux 6.2 the directory's size is their number, for everybody; before, it is 0 and whoever may must count.
    match fs::metadata(&path).ok()?.len() {
        0 => Some(fs::read_dir(&path).ok()?.count()),
        number => usize::try_from(number).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When it walked in a thousand seconds of a glance each ten.
    fn walks(cost: Duration, files: fn(u64) -> Option<usize>, begun: fn(u64) -> Option<u64>) -> Vec<u64> {
        let mut glance = Glance::default();
        let mut walks = Vec::new();
        for second in (0..1000).step_by(10) {
            let now = Duration::from_secs(second);
            if glance.needs_walk(now, files(second), || begun(second)) {
                glance.walked(now, cost);
                walks.push(second);
            }
        }
        walks
    }

    const CHEAP: Duration = Duration::from_micros(170);

    #[test]
    fn where_the_engine_s_files_cannot_be_counted_every_glance_walks_for_ever() {
        // Debian 12's kernel does not tell another user's process; and on this host somebody always connects.
        assert_eq!(walks(CHEAP, |_| None, Some).len(), 100);
        assert_eq!(walks(CHEAP, |_| None, |_| None).len(), 100, "nor is anything else to be had");
        let files = |second| usize::try_from(second).ok();
        assert_eq!(walks(CHEAP, files, Some).len(), 100, "health checks open and close files");
    }

    #[test]
    fn while_nobody_on_this_host_connects_nobody_walks() {
        assert_eq!(walks(CHEAP, |_| None, |_| Some(7)), [0]);
        let files = |second| usize::try_from(second).ok();
        assert_eq!(walks(CHEAP, files, |_| Some(7)), [0]);
        assert_eq!(walks(CHEAP, files, |second| Some(second / 300)), [0, 300, 600, 900], "and then at once");
    }

    #[test]
    fn an_engine_with_as_many_files_as_before_is_walked_for_half_as_often() {
        assert_eq!(walks(CHEAP, |_| Some(20), Some).len(), 50);
        assert_eq!(walks(CHEAP, |second| Some(if second < 500 { 20 } else { 23 }), Some)[25..27], [500, 520]);
    }

    #[test]
    fn a_walk_over_twenty_thousand_connections_is_made_as_seldom_as_it_is_dear() {
        assert_eq!(walks(Duration::from_micros(3_200), |_| None, Some)[..4], [0, 40, 80, 120]);
        assert_eq!(walks(Duration::from_micros(1_000), |_| None, Some).len(), 100);
    }

    #[test]
    fn after_a_connection_or_an_edit_of_the_list_the_next_glance_walks() {
        let mut glance = Glance::default();
        let at = Duration::from_secs;
        assert!(glance.needs_walk(at(0), Some(20), || Some(7)));
        assert!(!glance.needs_walk(at(10), Some(20), || Some(7)));
        glance.forget();
        assert!(glance.needs_walk(at(20), Some(20), || Some(7)));
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
