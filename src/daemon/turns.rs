//! Whether this process gets its turns: a time-out on a host that is overloaded, or that slept, is nobody's failure.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

/// How often it is looked whether a turn was missed, while somebody waits for an answer. A quarter of a second is a
/// twentieth of the shortest time-out, and four wake-ups a second of waiting.
const BEAT: Duration = Duration::from_millis(250);

/// A beat that is late by less is a scheduler at its work.
const LATE: Duration = Duration::from_millis(50);

/// A difference between the clocks below this is the time between reading one and the other.
const SLEPT: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// Counts the time in which this process did not get to run. It beats only while somebody listens.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns(Rc<RefCell<Weak<Heart>>>);

#[derive(Debug)]
struct Heart {
    missed: Cell<Duration>,
    beat: Cell<Instant>,
    task: RefCell<Option<AbortHandle>>,
}

impl Drop for Heart {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

impl Heart {
    /// The missed time up to now: a beat that has not come yet counts, for whoever waits may be woken before it.
    fn missed(&self) -> Duration {
        let late = self.beat.get().elapsed().saturating_sub(BEAT);
        self.missed.get() + if late > LATE { late } else { Duration::ZERO }
    }
}

/// From when on missed turns are counted.
pub(super) struct Since {
    heart: Rc<Heart>,
    before: Duration,
}

impl Since {
    /// For how long this process did not get to run since.
    pub(super) fn missed(&self) -> Duration {
        self.heart.missed().saturating_sub(self.before)
    }
}

impl Turns {
    /// Counts from now on. To be called on a [`tokio::task::LocalSet`].
    pub(super) fn begin(&self) -> Since {
        let beating = self.0.borrow().upgrade();
        let heart = beating.unwrap_or_else(|| {
            let heart = Rc::new(Heart {
                missed: Cell::default(),
                beat: Cell::new(Instant::now()),
                task: RefCell::default(),
            });
            let weak = Rc::downgrade(&heart);
            let task = tokio::task::spawn_local(beat(weak.clone()));
            heart.task.replace(Some(task.abort_handle()));
            self.0.replace(weak);
            heart
        });
        let before = heart.missed();
        Since { heart, before }
    }
}

async fn beat(heart: Weak<Heart>) {
    loop {
        sleep(BEAT).await;
        let Some(heart) = heart.upgrade() else { return };
        heart.missed.set(heart.missed());
        heart.beat.set(Instant::now());
    }
}

/// Whether this host slept: then one of the kernel's clocks stood still and the other did not.
#[derive(Debug)]
pub(super) struct Sleep {
    ahead: Timespec,
}

impl Sleep {
    pub(super) fn new() -> Self {
        Self { ahead: ahead() }
    }

    /// Whether it slept since this was asked last.
    pub(super) fn is_over(&mut self) -> bool {
        self.is_over_when(ahead())
    }

    fn is_over_when(&mut self, ahead: Timespec) -> bool {
        let slept = ahead - std::mem::replace(&mut self.ahead, ahead);
        slept > SLEPT
    }

    /// As if it slept for so many seconds.
    #[cfg(test)]
    pub(super) fn through(&mut self, seconds: i64) {
        self.ahead.tv_sec -= seconds;
    }
}

/// By how much the clock that counts sleep is ahead of the one that does not.
fn ahead() -> Timespec {
    let awake = clock_gettime(ClockId::Monotonic);
    clock_gettime(ClockId::Boottime) - awake
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs on tokio's own time, which goes on only when all wait.
    async fn local<T>(test: impl Future<Output = T>) -> T {
        tokio::task::LocalSet::new().run_until(test).await
    }

    #[tokio::test(start_paused = true)]
    async fn who_gets_every_turn_misses_nothing() {
        let missed = local(async {
            let since = Turns::default().begin();
            sleep(Duration::from_secs(10)).await;
            since.missed()
        });
        assert_eq!(missed.await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_leap_of_time_is_a_missed_turn_also_for_who_is_woken_before_the_beat() {
        let (during, later) = local(async {
            let turns = Turns::default();
            let since = turns.begin();
            sleep(Duration::from_secs(1)).await;
            tokio::time::advance(Duration::from_secs(7)).await;
            let during = since.missed();
            sleep(Duration::from_secs(1)).await;
            (during, turns.begin().missed())
        })
        .await;
        assert!(during > Duration::from_secs(6), "{during:?}");
        assert_eq!(later, Duration::ZERO, "it counts from its beginning");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_beats_when_nobody_listens() {
        local(async {
            let turns = Turns::default();
            drop(turns.begin());
            tokio::task::yield_now().await;
            assert!(turns.0.borrow().upgrade().is_none());
        })
        .await;
    }
    #[test]
    fn a_sleep_is_over_once_and_what_reading_two_clocks_takes_is_none() {
        let at = |tv_sec, tv_nsec| Timespec { tv_sec, tv_nsec };
        let mut sleep = Sleep { ahead: at(100, 999_999_000) };
        let asked = [
            (at(101, 500), false),
            (at(100, 999_998_000), false),
            (at(103, 0), false),
            (at(108, 0), false),
            (at(113, 1), true),
            (at(113, 1), false),
            (at(30_000, 0), true),
            (at(29_999, 999_999_999), false),
        ];
        for (ahead, over) in asked {
            assert_eq!(sleep.is_over_when(ahead), over, "{ahead:?}");
        }
    }

    #[test]
    fn a_host_that_is_awake_has_not_slept() {
        assert!(!Sleep::new().is_over());
    }
}
