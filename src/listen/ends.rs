//! When the ends of connections are heard: soon, but not each by itself, and not when that costs too much.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::debug;

use super::ended::Ended;
use super::kernel::{Connection, is_lasting};

/// How soon after some ends others are heard, and at most: each time that more have come it is doubled.
const ENDS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// After so long without an end the next one is heard at once.
const CALM: Duration = Duration::from_secs(60);

/// How soon an ear that failed is opened again, and at most: each time that it fails again it is doubled.
const AGAIN: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));

/// How the ends of connections are heard.
pub(super) struct Ends {
    ear: Option<Ended>,
    /// When another is opened while there is none; never where the kernel does not tell.
    again: Option<Instant>,
    /// How often in a row one failed.
    failed: u32,
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
        let (ear, remotes, pause) = (None, Vec::new(), ENDS.0);
        let mut ends = Self { ear, again: None, failed: 0, remotes, next: now, pause, closed: false };
        ends.reopen(now);
        ends
    }

    fn reopen(&mut self, now: Instant) -> bool {
        let opened = Ended::open().and_then(|ear| ear.aim(&self.remotes).map(|()| ear));
        match opened {
            Ok(ear) => self.ear = Some(ear),
            Err(error) => self.fail(&error, now),
        }
        self.ear.is_some()
    }

    fn fail(&mut self, error: &io::Error, now: Instant) {
        debug!("ends of connections are not told: {error}");
        let pause = AGAIN.0.saturating_mul(1 << self.failed.min(10)).min(AGAIN.1);
        self.again = (!is_lasting(error)).then(|| now + pause);
        self.failed = self.failed.saturating_add(1);
        self.ear = None;
    }

    /// Those to `remotes` are heard from now on; whether they are.
    pub(super) fn aim(&mut self, remotes: Vec<SocketAddr>, now: Instant) -> bool {
        self.remotes = remotes;
        self.closed = false;
        if let Some(Err(error)) = self.ear.as_ref().map(|ear| ear.aim(&self.remotes)) {
            self.fail(&error, now);
        }
        self.ear.is_some()
    }

    /// The next ones, `None` while they are not told; never where they will not be.
    pub(super) async fn next(&mut self) -> Option<Vec<Option<Connection>>> {
        let Some(ear) = &self.ear else {
            match self.again {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
            // Whatever has ended meanwhile.
            return self.reopen(Instant::now()).then(|| vec![None]);
        };
        sleep_until(self.next).await;
        let reopened = if std::mem::take(&mut self.closed) { ear.aim(&self.remotes) } else { Ok(()) };
        let ended = match reopened {
            Ok(()) => ear.next().await,
            Err(error) => Err(error),
        };
        match ended {
            Ok(ended) => {
                self.failed = 0;
                Some(ended)
            }
            Err(error) => {
                self.fail(&error, Instant::now());
                None
            }
        }
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
        assert!(ends.aim(vec![remote], Instant::now()));
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

    #[tokio::test(start_paused = true)]
    async fn an_ear_that_fails_is_opened_again_later_and_later_unless_the_kernel_has_none() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let remote = listener.local_addr().unwrap();
        let now = Instant::now();
        let mut ends = Ends::open(now);
        assert!(ends.aim(vec![remote], now));
        let pauses: Vec<u64> = (0..9)
            .map(|_| {
                ends.fail(&rustix::io::Errno::NOBUFS.into(), now);
                (ends.again.unwrap() - now).as_secs()
            })
            .collect();
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert!(!ends.aim(vec![remote], now), "it is deaf");
        let heard = timeout(AGAIN.1 * 2, ends.next()).await.expect("it is opened again");
        assert_eq!((heard, now.elapsed().as_secs()), (Some(vec![None]), 300), "what has ended is not known");
        drop((TcpStream::connect(remote).unwrap(), listener.accept().unwrap()));
        assert!(ends.next().await.is_some_and(|ended| !ended.is_empty()), "where it was told to listen");
        let now = Instant::now();
        ends.fail(&rustix::io::Errno::NOBUFS.into(), now);
        assert_eq!(ends.again, Some(now + AGAIN.0), "it was well meanwhile");
        ends.fail(&rustix::io::Errno::NOENT.into(), now);
        assert!(timeout(Duration::from_secs(7200), ends.next()).await.is_err(), "never");
    }
}
