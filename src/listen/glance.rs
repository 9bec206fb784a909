//! Whether the engine may have made a connection, by what can be had without a walk over the host's connections.
//!
//! Two things tell. How many connections this host has ever begun is the kernel's own count (`ActiveOpens` of
//! `/proc/self/net/snmp`, RFC 4022): anybody may read it on every kernel, and while it stands still nobody has a new
//! connection. And what the engine does, which tells it apart from others: how many files it has open, or, where the
//! kernel does not say, how much processor time it has used.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use super::purse::Purse;
use crate::process;

/// After so long the kernel is asked although the engine seems to have done nothing: one file may have been opened as
/// another was closed.
const LATEST: Duration = Duration::from_secs(60);

/// What walks may cost a day where this host always does something: with a walk of 0.2 ms, as many as leave a minute
/// between two. What is saved up pays for one at each glance through ten minutes of that.
const WALKS: Duration = Duration::from_millis(300);

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
#[derive(Debug)]
pub(super) struct Glance {
    clean: Option<Clean>,
    walks: Purse,
}

impl Default for Glance {
    fn default() -> Self {
        Self { clean: None, walks: Purse::a_day(WALKS) }
    }
}

impl Glance {
    /// Whether the kernel is to be asked for the engine's connections `now` (since any fixed moment): `begun` are the
    /// connections that this host has ever begun but for our own; that and what the engine does as of before that walk.
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
        if !nobody && !self.walks.has_some(now) {
            return false;
        }
        self.clean = Some(Clean { at: now, activity, begun });
        !nobody
    }

    /// A walk took so long.
    pub(super) fn walked(&mut self, now: Duration, took: Duration) {
        self.walks.spend(now, took);
    }

    /// Something leads to a mirror, or mirrors are elsewhere: what was seen last says nothing of what is now.
    pub(super) fn forget(&mut self) {
        self.clean = None;
    }
}

/// Where it is seen what the host and the engine do: files that stay open, for opening one costs more than reading it.
#[derive(Debug)]
pub(super) struct Signs {
    counters: Option<File>,
    process: Option<i32>,
    times: Option<File>,
}

impl Signs {
    /// Of an engine, where its process is known.
    pub(super) fn of(engine: Option<i32>) -> Self {
        Self {
            counters: File::open("/proc/self/net/snmp").ok(),
            process: engine,
            times: engine.and_then(|engine| File::open(format!("/proc/{engine}/stat")).ok()),
        }
    }

    /// How many connections this host has begun, in our network namespace; `None` where that cannot be told.
    pub(super) fn begun(&self) -> Option<u64> {
        let mut table = [0; 4096];
        active_opens(read(self.counters.as_ref()?, &mut table)?)
    }

    /// What the engine does, as far as it can be seen.
    pub(super) fn activity(&self) -> Option<Activity> {
        let process = self.process?;
        // Since Linux 6.2 the directory's size is their number, for everybody; before, it is 0.
        let number = fs::metadata(format!("/proc/{process}/fd")).ok()?.len();
        let number = usize::try_from(number).ok().filter(|number| *number > 0);
        let mut stat = [0; 1024];
        let mut time = || process::time_in(read(self.times.as_ref()?, &mut stat)?);
        number.map(Activity::Files).or_else(|| time().map(Activity::Ticks))
    }
}

/// The whole of a small file of /proc, as it is now.
fn read<'a>(file: &File, buffer: &'a mut [u8]) -> Option<&'a str> {
    let length = file.read_at(buffer, 0).ok()?;
    std::str::from_utf8(&buffer[..length]).ok()
}

/// Two lines begin with `Tcp:`, the first with the names of the numbers in the second.
fn active_opens(table: &str) -> Option<u64> {
    let mut lines = table.lines().filter_map(|line| line.strip_prefix("Tcp:"));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let place = names.split_whitespace().position(|name| name == "ActiveOpens")?;
    numbers.split_whitespace().nth(place)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When it walked in so many seconds of a glance each ten.
    fn walks_in(
        seconds: u64,
        cost: Duration,
        does: fn(u64) -> Option<Activity>,
        begun: fn(u64) -> Option<u64>,
    ) -> Vec<u64> {
        let mut glance = Glance::default();
        let mut walks = Vec::new();
        for second in (0..seconds).step_by(10) {
            let now = Duration::from_secs(second);
            if glance.needs_walk(now, does(second), || begun(second)) {
                glance.walked(now, cost);
                walks.push(second);
            }
        }
        walks
    }

    fn walks(cost: Duration, does: fn(u64) -> Option<Activity>, begun: fn(u64) -> Option<u64>) -> Vec<u64> {
        walks_in(1000, cost, does, begun)
    }

    /// One that may be made every ten seconds for ever.
    const CHEAP: Duration = Duration::from_micros(30);

    const DAY: u64 = 86_400;

    #[test]
    fn where_the_engine_always_does_something_or_cannot_be_seen_every_glance_walks() {
        // On a host where somebody always connects. Debian 12's kernel does not count another user's files.
        assert_eq!(walks(CHEAP, |_| None, Some).len(), 100);
        assert_eq!(walks(CHEAP, |_| None, |_| None).len(), 100, "nor is anything else to be had");
        let files = |second| usize::try_from(second).ok().map(Activity::Files);
        assert_eq!(walks(CHEAP, files, Some).len(), 100, "health checks open and close files");
        assert_eq!(walks(CHEAP, |second| Some(Activity::Ticks(second)), Some).len(), 100, "and take time");
    }

    #[test]
    fn however_much_the_host_does_a_day_of_walks_costs_what_it_may() {
        for micros in [170, 230, 3_200] {
            let cost = Duration::from_micros(micros);
            let walks = walks_in(DAY, cost, |_| None, Some);
            let spent = cost * u32::try_from(walks.len()).unwrap();
            assert!(spent <= WALKS.mul_f64(1.01) + cost, "{spent:?} at {cost:?} each");
            assert!(spent >= WALKS.mul_f64(0.99), "{spent:?} at {cost:?} each");
            let gaps = walks[walks.len() - 9..].windows(2).map(|pair| pair[1] - pair[0]);
            let expected = cost.as_secs_f64() * 86_400.0 / WALKS.as_secs_f64();
            let longest = Duration::from_secs(gaps.max().unwrap()).as_secs_f64();
            assert!((longest - expected).abs() <= 10.0, "spread: {longest} s between two, {expected} wanted");
        }
    }

    #[test]
    fn ten_minutes_of_much_are_looked_at_closely_after_an_hour_of_little() {
        let does = |second: u64| Some(Activity::Ticks(second));
        let begun = |second: u64| Some(second.max(3600));
        let walks = walks_in(3600 + 600, Duration::from_micros(230), does, begun);
        assert_eq!(walks.len(), 1 + 59, "each glance from then on, at which the first connection was new");
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
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let signs = Signs::of(i32::try_from(child.id()).ok());
        let before = signs.activity();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(before.is_some());
        assert_eq!((signs.activity(), Signs::of(None).activity()), (None, None), "nobody is there");
    }

    #[test]
    fn the_kernel_s_table_is_understood_and_counts_what_is_begun() {
        assert_eq!(active_opens("Ip: Forwarding\nIp: 1\nTcp: RtoMin ActiveOpens\nTcp: 200 31\n"), Some(31));
        for table in ["", "Tcp: ActiveOpens\n", "Tcp: RtoMin\nTcp: 1\n", "Tcp: A ActiveOpens\nTcp: 1\n"] {
            assert_eq!(active_opens(table), None, "{table}");
        }
        let signs = Signs::of(None);
        let before = signs.begun().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(signs.begun().unwrap() > before);
    }
}
