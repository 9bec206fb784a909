//! When the status is published, and where.

use std::time::Duration;

use tokio::time::Instant;
use tracing::error;

use super::tell::News;
use super::{Daemon, StartError, notify_systemd, view};
use crate::assembly;
use crate::status::read::{KEPT, RENEWED};
use crate::status::{ServiceState, Status};

/// Several events in a row make one status.
const PUBLISH: Duration = Duration::from_millis(100);
/// A probe that has ended by then is shown with its end alone.
pub(super) const UNDER_WAY: Duration = Duration::from_secs(3);
/// How old a status may be, as part of `connect` and at most, that lacks nothing but when a mirror was last connected to:
/// one for each connect would cost as much as the connect itself.
const OLD: (f64, Duration) = (1.5, Duration::from_secs(90));

impl Daemon {
    /// Says it when all is well again, or is not any more. What a start finds is no change, and neither is the moment
    /// in which a list is being applied: how that ends tells.
    fn tell_health(&mut self, status: &Status) {
        if status.service.state == ServiceState::Starting || self.state.applying.is_some() {
            return;
        }
        let problems: Vec<String> = status.health().iter().map(ToString::to_string).collect();
        let healthy = problems.is_empty();
        let before = self.healthy.replace(healthy);
        if before.is_some_and(|before| before != healthy) {
            self.tell(News::Health { at: status.generated_at, healthy, problems });
        }
    }

    /// There is something to show.
    pub(super) fn publish_soon(&mut self) {
        let soon = Instant::now() + PUBLISH;
        self.publish_at = Some(self.publish_at.map_or(soon, |at| at.min(soon)));
        self.is_news = true;
    }

    /// A probe has begun that will most likely have ended in a moment, and then that is to be shown.
    pub(super) fn publish_unless_it_ends(&mut self) {
        self.publish_at.get_or_insert(Instant::now() + UNDER_WAY);
    }

    /// Nothing is new, but it may be time all the same.
    pub(super) fn publish_if_old(&mut self) {
        let old = self.state.settings.pace.connect.mul_f64(OLD.0).min(OLD.1);
        // One that was shown in the middle of a probe lacks when that mirror is asked next.
        let halfway = self.published_asking && !self.state.is_asking();
        if halfway || self.published_at.is_none_or(|at| at.elapsed() >= old) {
            // Once nobody is being asked any more.
            let pause = if self.state.is_asking() { old } else { PUBLISH };
            self.publish_at.get_or_insert(Instant::now() + pause);
        }
    }

    /// When the next status is due, with or without news: whoever reads an older one takes us for dead.
    pub(super) fn publishes_at(&self) -> Option<Instant> {
        let renewed = self.published_at.map(|at| at + RENEWED);
        self.publish_at.into_iter().chain(renewed).min()
    }

    /// Shows all that is known. What waits to be written goes to the disk before it, with news or when it is old.
    pub(super) fn publish(&mut self) {
        (self.publish_at, self.published_at) = (None, Some(Instant::now()));
        self.published_asking = self.state.is_asking();
        if std::mem::take(&mut self.is_news) || self.ended || self.unwritten.is_old() {
            self.write_down();
        }
        self.retarget();
        // First, so that no status says that all is kept before it is.
        self.save_what_was_lost(assembly::now());
        let status = self.status(assembly::now());
        self.tell_health(&status);
        // Somebody may have cleared the directory away.
        let written = status.write(&self.places.runtime);
        match written.or_else(|_| status.write_afresh(&self.places.runtime)) {
            Ok(()) => self.unpublished = false,
            // Neither is the applier asked for anything. Whoever starts us anew makes the directory anew.
            Err(error) if self.places.unprivileged && !self.places.runtime.is_dir() => {
                self.broken = Some(StartError::Removed(self.places.runtime.clone(), error));
            }
            Err(error) if !self.unpublished => {
                self.unpublished = true;
                error!("{}: write the status: {error}", self.places.runtime.display());
            }
            Err(_) => {}
        }
        notify_systemd(&[sd_notify::NotifyState::Status(&view::one_line(&status))]);
        if self.kept_at.is_none_or(|at| at.elapsed() >= KEPT) {
            self.keep_status();
        }
    }

    /// The copy that outlives the runtime directory.
    pub(super) fn keep_status(&mut self) {
        self.kept_at = Some(Instant::now());
        // The store has already said what is wrong with this directory.
        let status = self.status(assembly::now());
        let _ = status.write(&self.places.state).or_else(|_| status.write_afresh(&self.places.state));
    }
}
