//! When the ends of connections are heard: soon, but not each by itself, and not when that costs too much.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::debug;

use super::ended::Ended;
use super::kernel::Connection;

/// How soon after some ends others are heard, and at most: each time that more have come it is doubled.
const ENDS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// After so long without an end the next one is heard at once.
const CALM: Duration = Duration::from_secs(60);

/// How the ends of connections are heard.
pub(super) struct Ends {
    ear: Option<Ended>,
    /// Of connections to these.
    remotes: Vec<SocketAddr>,
    /// Not before.
    next: Instant,
    pause: Duration,
    /// Until then the kernel passes none: each that it passes wakes the runtime, whoever waits for it.
    closed: bool,
}

impl Ends {
    /// Deaf until it is told where to, and for good where the kernel does not tell.
    pub(super) fn open(now: Instant) -> Self {
        let ear = Ended::open().inspect_err(|error| debug!("ends of connections are not told: {error}"));
        Self { ear: ear.ok(), remotes: Vec::new(), next: now, pause: ENDS.0, closed: false }
    }

    /// Those to `remotes` are heard from now on; whether they are.
    pub(super) fn aim(&mut self, remotes: Vec<SocketAddr>) -> bool {
        self.remotes = remotes;
        self.closed = false;
        self.ear.as_ref().is_some_and(|ear| ear.aim(&self.remotes).is_ok())
    }

    /// The next ones, `None` when they are told no more; never where they are not told.
    pub(super) async fn next(&mut self) -> Option<Vec<Option<Connection>>> {
        let Some(ear) = &self.ear else { return std::future::pending().await };
        sleep_until(self.next).await;
        let reopened = if std::mem::take(&mut self.closed) { ear.aim(&self.remotes) } else { Ok(()) };
        let ended = match reopened {
            Ok(()) => ear.next().await,
            Err(error) => Err(error),
        };
        if let Err(error) = &ended {
            debug!("ends of connections are no longer told: {error}");
            self.ear = None;
        }
        ended.ok()
    }

    /// Some were heard: the next ones after a pause.
    pub(super) fn heard(&mut self, now: Instant) {
        let calm = now.saturating_duration_since(self.next) >= CALM;
        self.pause = if calm { ENDS.0 } else { (self.pause * 2).min(ENDS.1) };
        self.next = now + self.pause;
    }

    /// None are heard until then.
    pub(super) fn close(&mut self, until: Instant) {
        if until > self.next {
            self.next = until;
            self.closed = self.ear.as_ref().is_some_and(|ear| ear.aim(&[]).is_ok());
        }
    }

    /// They matter now.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.next = self.next.min(now + ENDS.1);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ends_without_end_are_heard_every_two_seconds_and_the_first_after_a_rest_at_once() {
        let mut ends = Ends::open(Instant::now());
        let pauses: Vec<u128> = (0..7)
            .map(|_| {
                let now = ends.next;
                ends.heard(now);
                (ends.next - now).as_millis()
            })
            .collect();
        assert_eq!(pauses, [200, 400, 800, 1600, 2000, 2000, 2000]);
        let rested = ends.next + CALM;
        ends.heard(rested);
        assert_eq!(ends.next - rested, ENDS.0);
    }

    #[tokio::test]
    async fn while_ends_are_not_heard_they_wake_nobody_and_are_not_told_later() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let remote = listener.local_addr().unwrap();
        let end = || drop((TcpStream::connect(remote).unwrap(), listener.accept().unwrap()));
        let mut ends = Ends::open(Instant::now());
        assert!(ends.aim(vec![remote]));
        ends.close(Instant::now() + Duration::from_millis(200));
        (0..9).for_each(|_| end());
        let heard = ends.ear.as_ref().unwrap().next();
        let heard = timeout(Duration::from_millis(100), heard).await;
        assert!(heard.is_err(), "the kernel passes none: {heard:?}");
        let mut ended = 0;
        let heard = loop {
            end();
            ended += 1;
            if let Ok(heard) = timeout(Duration::from_millis(50), ends.next()).await {
                break heard.unwrap().len();
            }
        };
        assert!((1..=ended).contains(&heard), "{heard} of {ended}");
    }
}
