//! systemd's watchdog, where there is one.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::Instant;

use super::notify_systemd;

/// It is told that we live twice in the time that it waits, or up to so many times when we are awake anyway: to wake up
/// costs more than to tell.
const EARLY: u32 = 4;

/// When it is to be told that this process lives.
pub(super) struct Watchdog {
    /// How long it waits.
    patience: Option<Duration>,
    calmed: Option<Instant>,
}

impl Watchdog {
    pub(super) fn new() -> Self {
        Self { patience: sd_notify::watchdog_enabled(), calmed: None }
    }

    /// Tells it, if it is time or nearly so.
    pub(super) fn calm(&mut self, now: Instant) {
        if let Some(patience) = self.patience
            && self.calmed.is_none_or(|calmed| calmed + patience / EARLY <= now)
        {
            notify_systemd(&[NotifyState::Watchdog]);
            self.calmed = Some(now);
        }
    }

    /// When it has to be told.
    pub(super) fn barks_at(&self) -> Option<Instant> {
        Some(self.calmed? + self.patience? / 2)
    }
}
