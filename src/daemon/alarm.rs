//! The loop's alarm clock.
//!
//! A timer of the runtime that is a minute ahead wakes it up to three times, once for each wheel of its clock; one of the
//! kernel's wakes it once. On a host that is at rest, waking up with cold caches is most of what there is to do.

use std::os::fd::OwnedFd;

use rustix::io::read;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep_until};

/// Wakes at one moment at a time.
#[derive(Debug)]
pub(super) struct Alarm {
    /// Without one, for want of a descriptor, say, the runtime's own clock has to do.
    timer: Option<AsyncFd<OwnedFd>>,
    set: Option<Instant>,
}

impl Alarm {
    /// Must be called in a tokio runtime.
    #[expect(
        deprecated,
        reason = "what is unsound with a type that lies about its descriptor is sound with OwnedFd"
    )]
    pub(super) fn new() -> Self {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).ok();
        let timer = timer.and_then(|timer| AsyncFd::with_interest(timer, Interest::READABLE).ok());
        Self { timer, set: None }
    }

    /// Returns when `at` has come. It may be dropped and called again, with another moment too.
    pub(super) async fn at(&mut self, at: Instant) {
        let pause = at.saturating_duration_since(Instant::now());
        let pause = Timespec::try_from(pause).ok().filter(|_| !pause.is_zero());
        // What has come is not worth a call.
        let Some(pause) = pause else { return };
        let Some(timer) = &self.timer else { return sleep_until(at).await };
        if self.set != Some(at) {
            let once = Itimerspec { it_interval: Timespec::default(), it_value: pause };
            if timerfd_settime(timer.get_ref(), TimerfdTimerFlags::empty(), &once).is_err() {
                return sleep_until(at).await;
            }
            self.set = Some(at);
        }
        loop {
            let Ok(mut ready) = timer.readable().await else { return sleep_until(at).await };
            // It may be ready for a moment that was given up, and then there is nothing to read.
            if read(timer.get_ref(), &mut [0_u8; 8]).is_ok() {
                return;
            }
            ready.clear_ready();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn it_wakes_when_the_moment_has_come_and_not_before() {
        let mut alarm = Alarm::new();
        for _ in 0..3 {
            let at = Instant::now() + SHORT;
            alarm.at(at).await;
            assert!(Instant::now() >= at);
        }
        alarm.at(Instant::now()).await;
    }

    #[tokio::test]
    async fn what_was_given_up_wakes_nobody_later() {
        let mut alarm = Alarm::new();
        let soon = Instant::now() + SHORT;
        assert!(timeout(SHORT / 4, alarm.at(soon)).await.is_err());
        assert!(
            timeout(SHORT * 3, alarm.at(soon + LONG)).await.is_err(),
            "another moment was told meanwhile"
        );
        // Nor is one that came while nobody waited taken for the next.
        let soon = Instant::now() + SHORT;
        assert!(timeout(SHORT / 4, alarm.at(soon)).await.is_err());
        tokio::time::sleep(SHORT * 2).await;
        assert!(timeout(SHORT * 3, alarm.at(Instant::now() + LONG)).await.is_err());
    }

    #[tokio::test]
    async fn it_goes_on_waiting_for_the_same_moment() {
        let mut alarm = Alarm::new();
        let at = Instant::now() + SHORT;
        while timeout(SHORT / 10, alarm.at(at)).await.is_err() {}
        assert!(Instant::now() >= at);
    }

    #[tokio::test]
    async fn without_a_timer_of_the_kernel_it_wakes_all_the_same() {
        let at = Instant::now() + SHORT;
        Alarm { timer: None, set: None }.at(at).await;
        assert!(Instant::now() >= at);
    }
}
