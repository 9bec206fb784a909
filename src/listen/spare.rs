//! How much `journalctl` runs.
//!
//! `journalctl` cannot help waking for every line of everybody, which on a host that logs every second costs seven
//! seconds of processor time a day. What it may cost is limited: once it has cost more it is stopped (`SIGSTOP`), and
//! woken for a while by what the engine does with a mirror. It then reads on where it was.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tracing::debug;

use super::purse::Purse;
use crate::process;

/// When the engine last did something with a mirror; nothing where that cannot be told.
pub(super) type Stirred = watch::Receiver<Option<Instant>>;

/// In which processor times are counted: `USER_HZ`, part of Linux's interface to programs.
const TICK: Duration = Duration::from_millis(10);

/// What `journalctl` may cost a day while nobody pulls.
const JOURNAL: Duration = Duration::from_millis(300);

/// By then it has opened the journal.
const OPENED: Duration = Duration::from_secs(10);

/// How often it is looked what it has cost, while it runs: at first, and at last, for each look costs as much as what is
/// looked at in a quiet journal.
const COUNTED: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(300));

/// So long it listens after the engine has done something with a mirror: the next line may be about the next try.
const AWAKE: Duration = Duration::from_secs(20);

/// What leaves no trace in a connection, a name that is not found, is heard after this at the latest (our own probes
/// notice it within the minute), ...
const ASLEEP: Duration = Duration::from_secs(300);

/// ... in a glance of this length: it reads by index, and there is little to read.
const GLANCE: Duration = Duration::from_millis(300);

/// Has it run as much as it may; ends when nobody listens any more.
pub(super) async fn spare(child: Option<u32>, mut stirred: Stirred) {
    let Some(child) = child.and_then(|child| i32::try_from(child).ok()) else {
        return std::future::pending().await;
    };
    // What it costs to open a journal of years is no habit.
    sleep(OPENED).await;
    let begun = Instant::now();
    let (mut purse, mut known) = (Purse::a_day(JOURNAL), process::time(child).unwrap_or(0));
    // Purses know no clock.
    let mut pay = |purse: &mut Purse| {
        let now = begun.elapsed();
        let time = process::time(child).unwrap_or(known);
        purse.spend(now, TICK * u32::try_from(time.saturating_sub(known)).unwrap_or(u32::MAX));
        known = time;
        now
    };
    let mut counted = COUNTED.0;
    loop {
        sleep(counted).await;
        let now = pay(&mut purse);
        if purse.has_some(now) || stirred.borrow().is_none() {
            counted = (counted * 2).min(COUNTED.1);
            continue;
        }
        counted = COUNTED.0;
        debug!("journalctl has cost what it may: it is stopped until dockerd does something with a mirror");
        let mut attentive = true;
        loop {
            while attentive && let Ok(Ok(())) = timeout(AWAKE, stirred.changed()).await {}
            signal(child, Signal::STOP);
            let woken = timeout(ASLEEP, stirred.changed()).await;
            signal(child, Signal::CONT);
            attentive = match woken {
                Ok(Ok(())) => true,
                Ok(Err(_)) => return,
                Err(_) => false,
            };
            if !attentive {
                sleep(GLANCE).await;
            }
            let now = pay(&mut purse);
            if purse.is_half_full(now) || stirred.borrow().is_none() {
                break;
            }
        }
    }
}

fn signal(child: i32, signal: Signal) {
    // It is not waited for while this runs, so the number is its own.
    let sent = Pid::from_raw(child).map(|child| kill_process(child, signal));
    debug!(?signal, ?sent, "journalctl");
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    /// A process that does nothing but use time, ended with the test.
    struct Busy(Child);

    impl Busy {
        fn new() -> Self {
            Self(Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap())
        }

        fn pid(&self) -> u32 {
            self.0.id()
        }

        /// Waits, in real time, until it is stopped or runs; the kernel does as it is told, but not at once.
        fn becomes(&self, stopped: bool) {
            let stat = format!("/proc/{}/stat", self.pid());
            let deadline = std::time::Instant::now() + Duration::from_secs(20);
            while std::fs::read_to_string(&stat).unwrap().contains(") T ") != stopped {
                assert!(std::time::Instant::now() < deadline, "it should be stopped: {stopped}");
                std::thread::yield_now();
            }
        }

        /// Waits, in real time, until it has used that much.
        fn uses(&self, ticks: u64) {
            let pid = i32::try_from(self.pid()).unwrap();
            let from = process::time(pid).unwrap();
            while process::time(pid).unwrap() < from + ticks {
                std::thread::yield_now();
            }
        }
    }

    impl Drop for Busy {
        fn drop(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    const MOMENT: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_journalctl_that_costs_too_much_sleeps_until_dockerd_does_something() {
        let child = Busy::new();
        let (stirs, stirred) = watch::channel(Some(Instant::now()));
        let script = async {
            sleep(OPENED + MOMENT).await;
            child.uses(5);
            child.becomes(false);
            sleep(COUNTED.0).await;
            child.becomes(false);
            sleep(AWAKE).await;
            child.becomes(true);
            stirs.send_replace(Some(Instant::now()));
            sleep(MOMENT).await;
            child.becomes(false);
            sleep(AWAKE - 2 * MOMENT).await;
            child.becomes(false);
            stirs.send_replace(Some(Instant::now()));
            sleep(AWAKE - MOMENT).await;
            child.becomes(false);
            sleep(2 * MOMENT).await;
            child.becomes(true);
            sleep(ASLEEP - MOMENT + GLANCE / 2).await;
            child.becomes(false);
            sleep(GLANCE).await;
            child.becomes(true);
        };
        tokio::select! {
            () = spare(Some(child.pid()), stirred) => panic!("it never ends"),
            () = script => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn where_nothing_would_wake_it_it_never_sleeps() {
        let child = Busy::new();
        let (stirs, stirred) = watch::channel(None);
        let script = async {
            sleep(OPENED + MOMENT).await;
            child.uses(5);
            sleep(3 * COUNTED.1).await;
            child.becomes(false);
            stirs.send_replace(Some(Instant::now()));
            sleep(COUNTED.1 + AWAKE).await;
            child.becomes(true);
            stirs.send_replace(None);
            sleep(MOMENT).await;
            child.becomes(false);
            sleep(10 * COUNTED.1).await;
            child.becomes(false);
        };
        tokio::select! {
            () = spare(Some(child.pid()), stirred) => panic!("it never ends"),
            () = script => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_journal_is_always_followed() {
        let child = Command::new("sleep").arg("1000").spawn().unwrap();
        let busy = Busy(child);
        let (_stirs, stirred) = watch::channel(Some(Instant::now()));
        let script = async {
            for _ in 0..100 {
                sleep(COUNTED.1).await;
                busy.becomes(false);
            }
        };
        tokio::select! {
            () = spare(Some(busy.pid()), stirred) => panic!("it never ends"),
            () = script => {}
        }
    }
}
