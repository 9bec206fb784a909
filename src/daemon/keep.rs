//! What the daemon has learned, written down.

use tracing::error;

use super::Daemon;
use super::step::Track;
use crate::assembly::{self, ADOPTED_FACT, SELECTION_FACT, TREATMENT_FACT};
use crate::mirror::MirrorUrl;
use crate::store::Store;
use crate::timestamp::Timestamp;

impl Daemon {
    pub(super) fn save(&self, changed: &[MirrorUrl], now: Timestamp) {
        self.store.batch(|store| {
            for track in changed.iter().filter_map(|url| self.state.track(url)) {
                keep_record(store, track, now);
            }
        });
    }

    /// What could not be written while the disk was full, say, or was in a file that is gone, as soon as something can
    /// be written: each would be written again with the next change of it, and that may be hours away.
    pub(super) fn save_what_was_lost(&mut self, now: Timestamp) {
        if !self.store.lacks_writes() {
            return;
        }
        self.store.make_good();
        let unkept = std::mem::take(&mut self.unkept);
        self.store.batch(|store| {
            for switch in &unkept {
                store.add_switch(switch);
            }
            for track in self.state.tracks.values().chain(&self.state.upstream) {
                keep_record(store, track, now);
            }
            if self.state.owned {
                store.set_fact(SELECTION_FACT, &self.state.list);
            }
            store.set_fact(ADOPTED_FACT, &self.adopted);
            store.set_fact(TREATMENT_FACT, &self.state.treatment);
        });
    }
}

fn keep_record(store: &Store, track: &Track, now: Timestamp) {
    match serde_json::to_string(&track.record) {
        Ok(json) => store.save_record(&assembly::key(&track.mirror), &json, now),
        Err(error) => error!("{}: record: {error}", track.mirror.name),
    }
}
