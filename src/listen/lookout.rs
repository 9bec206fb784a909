//! Looks out for a pull while there is none.
//!
//! In a thread of its own: a timer of the runtime that is ten seconds ahead wakes it up to three times, once for each wheel
//! of its clock, and with cold caches that takes 0.25 ms of processor time where a bare thread takes 0.08 ms (on a machine
//! of two cores): more than all there is to look at.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::Notify;

use super::glance::{Glance, Signs};
use super::kernel::Kernel;
use super::tally;
use crate::ours::Ours;

/// How often it is looked whether the engine does something: what has not been silent for so long is not to be noticed
/// yet.
const GLANCE: Duration = tally::SILENCE;

/// What the thread may use for its calls; most of it is the kernel's table of counters.
const STACK: usize = 64 << 10;

/// The thread ends when this is dropped.
#[derive(Debug)]
pub(super) struct Lookout {
    orders: Sender<Vec<SocketAddr>>,
    ordered: Vec<SocketAddr>,
    found: Arc<Notify>,
}

impl Lookout {
    /// Waits for an order. `engine` is its process, where that is known; `ours` are no connections of it.
    ///
    /// # Errors
    ///
    /// No thread is to be had.
    pub(super) fn start(kernel: Kernel, engine: Option<i32>, ours: Ours) -> io::Result<Self> {
        let (orders, ordered) = mpsc::channel();
        let found = Arc::new(Notify::new());
        let lookout = Thread {
            orders: ordered,
            found: Arc::clone(&found),
            kernel,
            signs: Signs::of(engine),
            glance: Glance::default(),
            ours,
            strangers: Vec::new(),
        };
        thread::Builder::new().name("lookout".to_owned()).stack_size(STACK).spawn(|| lookout.stand())?;
        Ok(Self { orders, ordered: Vec::new(), found })
    }

    /// From now on for connections to these, and to none while there is no address.
    pub(super) fn look(&mut self, remotes: Vec<SocketAddr>) {
        if self.ordered != remotes {
            self.ordered.clone_from(&remotes);
            // It ends after us.
            let _ = self.orders.send(remotes);
        }
    }

    /// When there is a connection that was not there before, or the kernel does not say; never without a lookout.
    pub(super) async fn found(lookout: Option<&Self>) {
        match lookout {
            Some(lookout) => lookout.found.notified().await,
            None => std::future::pending().await,
        }
    }
}

struct Thread {
    orders: Receiver<Vec<SocketAddr>>,
    found: Arc<Notify>,
    kernel: Kernel,
    signs: Signs,
    glance: Glance,
    ours: Ours,
    /// The connections of which it was told, by their cookies.
    strangers: Vec<u64>,
}

impl Thread {
    fn stand(mut self) {
        let begun = Instant::now();
        let mut remotes: Vec<SocketAddr> = Vec::new();
        loop {
            let order = if remotes.is_empty() {
                self.orders.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                self.orders.recv_timeout(GLANCE)
            };
            match order {
                Ok(others) => {
                    remotes = others;
                    self.glance.forget();
                }
                Err(RecvTimeoutError::Timeout) if self.sees(begun.elapsed(), &remotes) => {
                    self.found.notify_one()
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn sees(&mut self, now: Duration, remotes: &[SocketAddr]) -> bool {
        let begun = || self.ours.others(|| self.signs.begun());
        if !self.glance.needs_walk(now, self.signs.activity(), begun) {
            return false;
        }
        let before = cpu();
        let connections = self.kernel.connections(remotes);
        self.glance.walked(now, cpu().saturating_sub(before));
        // Whoever is told asks again, and says why there is no answer.
        let Ok(connections) = connections else { return true };
        let cookies: Vec<u64> = connections.iter().map(|connection| connection.cookie).collect();
        let new = |cookie: &u64| !self.strangers.contains(cookie) && !self.ours.has(*cookie);
        let found = cookies.iter().any(new);
        self.strangers = cookies;
        found
    }
}

/// The processor time of this thread.
pub(super) fn cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn whoever_connects_is_told_of_once_and_we_are_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let remotes = [listener.local_addr().unwrap()];
        let (_orders, ordered) = mpsc::channel();
        let ours = Ours::default();
        let mut lookout = Thread {
            orders: ordered,
            found: Arc::new(Notify::new()),
            kernel: Kernel::open().unwrap(),
            signs: Signs::of(None),
            glance: Glance::default(),
            ours: ours.clone(),
            strangers: Vec::new(),
        };
        // What was saved pays for each.
        let mut sees = || lookout.sees(Duration::from_secs(3600), &remotes);
        let connect = || TcpStream::connect(remotes[0]).unwrap();
        assert!(!sees(), "nobody");
        let _one = connect();
        assert!(sees());
        let two = connect();
        ours.begin(&two).succeeded();
        assert!(!sees(), "one is known, and the other is ours");
        let _three = connect();
        assert!(sees());
    }
}
