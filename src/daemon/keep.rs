//! What the daemon has learned, written down.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;
use tracing::error;

use super::Daemon;
use super::step::Track;
use crate::assembly::{self, ADOPTED_FACT, SELECTION_FACT, TREATMENT_FACT};
use crate::json;
use crate::mirror::MirrorUrl;
use crate::observation::Observation;
use crate::store::{Key, Store};
use crate::timestamp::Timestamp;

/// How long good connects wait for something to be written with that matters more: they cost no request and decide nothing,
/// and each write of its own would wear the disk as much as a rehearsal's.
const LATEST: Duration = Duration::from_secs(300);
/// And how many of them, for a schedule of seconds.
const MOST: usize = 64;

/// What was seen since the last write, and whose records it changed.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    seen: Vec<(Key, Observation)>,
    changed: BTreeSet<MirrorUrl>,
    /// What was written before, and has been forgiven since.
    forgiven: Vec<(Key, Timestamp)>,
    since: Option<Instant>,
}

impl Unwritten {
    pub(super) fn seen(&mut self, key: Key, observation: &Observation) {
        self.since.get_or_insert_with(Instant::now);
        self.seen.push((key, observation.clone()));
    }

    pub(super) fn changed(&mut self, url: MirrorUrl) {
        self.changed.insert(url);
    }

    /// Whose failure it is is often known only when everybody was asked.
    pub(super) fn forgive(&mut self, key: Key, at: Timestamp) {
        match self.seen.iter_mut().find(|(of, seen)| *of == key && seen.at == at) {
            Some((_, seen)) => seen.forgiven = true,
            None => self.forgiven.push((key, at)),
        }
    }

    /// Whether it has waited long enough.
    pub(super) fn is_old(&self) -> bool {
        self.seen.len() >= MOST || self.since.is_some_and(|since| since.elapsed() >= LATEST)
    }
}

impl Daemon {
    /// All of it together, or a crash in between would leave a record that knows nothing of what was seen; and a write
    /// for each would cost as much for each.
    pub(super) fn write_down(&mut self) {
        let Unwritten { seen, changed, forgiven, .. } = std::mem::take(&mut self.unwritten);
        if seen.is_empty() && changed.is_empty() && forgiven.is_empty() {
            return;
        }
        self.store.batch(|store| {
            for (key, observation) in &seen {
                store.log(key, observation);
            }
            for (key, at) in &forgiven {
                store.forgive(key, *at);
            }
            for track in changed.iter().filter_map(|url| self.state.track(url)) {
                keep_record(store, track, assembly::now());
            }
        });
    }

    /// What nobody will ask for any more goes.
    pub(super) fn tidy(&self) {
        let now = assembly::now();
        self.store.tidy(now);
        let tracks = self.state.tracks.values().chain(&self.state.upstream);
        let candidates: Vec<Key> = tracks.map(|track| assembly::key(&track.mirror)).collect();
        self.store.forget_all_but(&candidates, now);
    }

    /// What could not be written while the disk was full, say, or was in a file that is gone, as soon as something can
    /// be written: each would be written again with the next change of it, and that may be hours away.
    pub(super) fn save_what_was_lost(&mut self, now: Timestamp) {
        if !self.store.lacks_writes() {
            return;
        }
        self.store.make_good();
        self.store.batch(|store| {
            for switch in &self.unkept {
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
        // Nobody else remembers a switch, and a disk that took something small just now may take none of this.
        if !self.store.is_failing() {
            self.unkept.clear();
        }
        if self.state.owned {
            self.wrote_list(&self.state.list.clone());
        }
    }
}

fn keep_record(store: &Store, track: &Track, now: Timestamp) {
    match json::to_string(&track.record) {
        Ok(json) => store.save_record(&assembly::key(&track.mirror), &json, now),
        Err(error) => error!("{}: record: {error}", track.mirror.name),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;
    use tempfile::TempDir;

    use super::super::tests::daemon_of;
    use super::*;
    use crate::reason::ChangeKind;
    use crate::store::Switch;

    #[tokio::test]
    async fn a_switch_waits_until_it_is_written_however_often_that_fails() {
        let place = TempDir::new().unwrap();
        let mut daemon = daemon_of(&place, &["http://127.0.0.1:9".to_owned()], false);
        let switch = Switch {
            at: assembly::now(),
            engine: "docker".to_owned(),
            from: Vec::new(),
            to: vec!["http://127.0.0.1:9".to_owned()],
            why: "first list".to_owned(),
            kind: ChangeKind::ALL[0],
            subject: None,
            reason: None,
        };
        daemon.unkept.push(switch.clone());
        // A disk with room for a little: a fact fits, and a switch does not.
        let disk = Connection::open(place.path().join("state/state.db")).unwrap();
        disk.execute_batch(
            "CREATE TRIGGER full BEFORE INSERT ON switches BEGIN SELECT RAISE(ABORT, 'full'); END",
        )
        .unwrap();
        daemon.store.add_switch(&switch);
        for has_room in [false, true] {
            if has_room {
                disk.execute_batch("DROP TRIGGER full").unwrap();
            }
            daemon.store.set_fact(ADOPTED_FACT, &daemon.adopted);
            assert!(daemon.store.lacks_writes());
            daemon.save_what_was_lost(assembly::now());
            assert_eq!(daemon.store.is_failing(), !has_room);
        }
        assert_eq!(daemon.store.switches(9), [switch]);
        assert!(daemon.unkept.is_empty(), "it would be written again");
    }
}
