//! Whether this process gets its turns: a time-out on a host that is overloaded, or that slept, is nobody's failure.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

/// How often it is looked whether a turn was missed, while somebody waits for an answer. A quarter of a second is a
/// twentieth of the shortest time-out, and four wake-ups a second of waiting.
const BEAT: Duration = Duration::from_millis(250);

/// A beat that is late by less is a scheduler at its work.
const LATE: Duration = Duration::from_millis(50);

/// A difference between the clocks below this is the time between reading one and the other.
const SLEPT: Duration = Duration::from_secs(5);

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
    ahead: Duration,
}

impl Sleep {
    pub(super) fn new() -> Self {
        Self { ahead: ahead() }
    }

    /// Whether it slept since this was asked last.
    pub(super) fn is_over(&mut self) -> bool {
        let before = std::mem::replace(&mut self.ahead, ahead());
        self.ahead.saturating_sub(before) > SLEPT
    }
}

/// By how much the clock that counts sleep is ahead of the one that does not.
fn ahead() -> Duration {
    let read = |clock| {
        let time = clock_gettime(clock);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
    };
    let awake = read(ClockId::Monotonic);
    read(ClockId::Boottime).saturating_sub(awake)
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
}
