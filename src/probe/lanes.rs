//! How many do at once what strains something that they share. Twenty layers at once would each look like a crawl,
//! for this host's own line is one; and a name server, or the socket it listens on, loses what comes in a flood.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// So many layers at once, as dockerd reads three: enough that a round does not wait for one slow mirror, few
/// enough that a thin line gives each of them more than `min_speed`.
pub(super) const LAYERS: usize = 4;

/// So many names are asked for at once. Each is two queries, and dnsmasq, which is in most home routers, passes on 150 at
/// once and refuses the rest.
pub(super) const NAMES: usize = 64;

/// Where this many wait for each lane, there is one more: who asks two thousand mirrors at once has the line for it,
/// or would wait for an hour.
const QUEUE: usize = 40;

/// Who has got nothing for so long strains nothing, and lets the next one in.
const IDLE: Duration = Duration::from_millis(300);

/// The lanes of one prober for one thing.
pub(super) struct Lanes {
    free: Semaphore,
    /// How many lanes there are.
    all: AtomicUsize,
    waiting: AtomicUsize,
}

/// A place on the line, until it is dropped or was idle.
pub(super) struct Lane<'a>(Option<SemaphorePermit<'a>>);

impl Lanes {
    /// So many at first.
    pub(super) fn new(lanes: usize) -> Self {
        Self { free: Semaphore::new(lanes), all: AtomicUsize::new(lanes), waiting: AtomicUsize::new(0) }
    }

    /// Waits for a lane; first come, first served.
    pub(super) async fn take(&self) -> Lane<'_> {
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed) + 1;
        // A probe may be given up while it waits.
        let _queued = Queued(&self.waiting);
        if waiting > QUEUE * self.all.load(Ordering::Relaxed) {
            self.all.fetch_add(1, Ordering::Relaxed);
            self.free.add_permits(1);
        }
        Lane(self.free.acquire().await.ok())
    }
}

struct Queued<'a>(&'a AtomicUsize);

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lane<'_> {
    /// No lane at all, for what is too small to need one.
    pub(super) const fn none() -> Self {
        Self(None)
    }

    /// Waits for `work`, and gives the lane up when that takes longer than somebody who sends would.
    pub(super) async fn hold<T>(&mut self, work: impl Future<Output = T>) -> T {
        if self.0.is_none() {
            return work.await;
        }
        let mut work = pin!(work);
        if let Ok(done) = timeout(IDLE, &mut work).await {
            return done;
        }
        self.0 = None;
        work.await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_long_queue_gets_more_lanes() {
        let lanes = std::rc::Rc::new(Lanes::new(LAYERS));
        let local = tokio::task::LocalSet::new();
        for _ in 0..1000 {
            let lanes = std::rc::Rc::clone(&lanes);
            local.spawn_local(async move {
                let _lane = lanes.take().await;
                tokio::time::sleep(IDLE).await;
            });
        }
        local.await;
        let all = lanes.all.load(Ordering::Relaxed);
        assert!((LAYERS + 15..=LAYERS + 25).contains(&all), "{all}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_idle_gives_up_its_lane_and_who_sends_keeps_it() {
        let lanes = Lanes::new(LAYERS);
        let mut held = Vec::new();
        for _ in 0..LAYERS {
            held.push(lanes.take().await);
        }
        held[0].hold(tokio::time::sleep(IDLE / 2)).await;
        assert!(timeout(IDLE * 9, lanes.take()).await.is_err(), "all lanes are taken");
        held[0].hold(tokio::time::sleep(IDLE * 2)).await;
        assert!(timeout(IDLE, lanes.take()).await.is_ok(), "one is free");
    }
}
