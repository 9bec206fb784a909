//! What people and other programs edit while the daemon runs: mirrors.toml, the pause file, the engine's file.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info, warn};

use super::Daemon;
use super::hand::Hand;
use super::step::{Event, Shift};
use super::terms::{TERMS_FACT, Terms};
use crate::assembly::{self, DOCKER, SELECTION_FACT, TREATMENT_FACT};
use crate::config::{self, Config, Diagnostic, Invalid, Problem};
use crate::mirror::{Mirror, MirrorUrl};
use crate::pause::Pause;
use crate::probe::{self, Prober};
use crate::reason::ChangeKind;
use crate::timestamp::Timestamp;
use crate::watch::{Look, watch};

/// A file that could not be read, for want of descriptors, say, does not tell when it can be read again.
const READ_AGAIN: Duration = Duration::from_secs(2);

impl Daemon {
    /// mirrors.toml is read again: by SIGHUP, or because something changed.
    pub(super) fn reload(&mut self) {
        self.read_again_at = None;
        match self.load() {
            Ok(config) => {
                if self.config_error.take().is_some() {
                    info!("{}: valid again", self.places.config.display());
                }
                let renewed = authorities(&config) != self.authorities;
                if config.means_the_same(&self.config) && !renewed {
                    self.config.digest = config.digest;
                    self.publish_soon();
                    return;
                }
                for warning in &config.warnings {
                    warn!("{}", warning.one_line());
                }
                if config.engines != self.config.engines {
                    self.docker = Hand::new(&config, &self.places, self.applier.as_ref());
                    self.look_at = Instant::now();
                }
                self.config = config;
                if renewed {
                    self.asks_as = None;
                }
                info!(mirrors = self.config.mirrors.len(), "{}: read", self.places.config.display());
                self.watch();
                self.configured();
            }
            Err(invalid) => {
                let line = invalid.to_string();
                if self.config_error.as_ref() != Some(&line) {
                    error!("{line}; the last valid configuration stays in force");
                    self.publish_soon();
                }
                self.config_error = Some(line);
                self.watch();
                // What it leads to is not watched.
                let may_pass = |one: &Diagnostic| matches!(one.problem, Problem::Unreadable(_));
                if invalid.diagnostics.iter().any(may_pass) {
                    self.read_again_at = Some(Instant::now() + READ_AGAIN);
                }
            }
        }
    }

    /// mirrors.toml as it stands. A `ca_file` that is not as it was when it was read, and of no use, is a mistake like any
    /// other: the next start would fail at it.
    fn load(&mut self) -> Result<Config, Invalid> {
        let config = config::load(&self.places.config)?;
        self.ca_file.clone_from(&config.probe.ca_file);
        let bad = match authorities(&config) == self.authorities {
            true => None,
            false => assembly::bad_authorities(&config),
        };
        match bad {
            None => Ok(config),
            Some(bad) => Err(Invalid { diagnostics: vec![bad] }),
        }
    }

    /// Tells the decisions what mirrors.toml and the engine say now.
    pub(super) fn configured(&mut self) {
        let settings = assembly::settings(&self.config, self.facts.as_ref());
        let wanted = assembly::probe_settings(&self.config, self.facts.as_ref());
        let mut manner = false;
        if self.asks_as.as_ref() != Some(&wanted) {
            let authorities = authorities(&self.config);
            match Prober::new(wanted.clone()) {
                Ok(prober) => {
                    self.prober = Rc::new(prober.instead_of(&self.prober).noted_in(self.ours.clone()));
                    manner = self.asks_as.as_ref().is_none_or(|known| changes_what_is_seen(known, &wanted));
                    self.asks_as = Some(wanted);
                    self.authorities = authorities;
                }
                Err(error) => error!("{error}; probes go on as before"),
            }
        }
        let terms = Terms::from(&settings);
        if self.store.fact::<Terms>(TERMS_FACT).as_ref() != Some(&terms) {
            self.store.set_fact(TERMS_FACT, &terms);
        }
        let candidates = assembly::candidates(&self.config, &self.adopted);
        // Who is being asked is known better than the store knows it, and this is said with every look at the engine.
        let is_new = |mirror: &Mirror| !self.state.tracks.contains_key(&mirror.url);
        let mut records =
            if candidates.iter().any(is_new) { assembly::records(&self.store) } else { HashMap::new() };
        let with_records = |mirror: Mirror| {
            let record = records.remove(&mirror.url).unwrap_or_default();
            (mirror, record)
        };
        let candidates = candidates.into_iter().map(with_records).collect();
        self.step(Event::Configured { settings: Box::new(settings), candidates });
        if manner {
            info!("asked through another proxy or trusting other authorities: everybody is looked at afresh");
            self.step(Event::Shifted(Shift::Manner));
        }
    }

    pub(super) fn files_changed(&mut self) {
        self.read_again();
        // Or somebody edited the engine's file, or the applier has published something that nobody here has asked for.
        if self.applier.as_ref().is_none_or(|applier| applier.has_news()) {
            self.look_at = Instant::now();
        }
    }

    /// What people edit is read, and nobody asked anything: a file that leads nowhere may do so for months.
    pub(super) fn read_again(&mut self) {
        self.reload();
        let pause = self.read_pause();
        if pause != self.pause {
            self.pause = pause;
            self.step(Event::Paused(self.pause_of_docker()));
            self.store.set_fact(TREATMENT_FACT, &self.state.treatment);
            info!(paused = self.state.is_paused(), "pause");
        }
        self.take_over();
    }

    /// What was done to the list by hand is gone on from. It is written down when the engine has it, which may be long
    /// after its file was seen to change: so this is asked too before anything is made of what the engine lists.
    pub(super) fn take_over(&mut self) {
        // Perhaps somebody ran `apply`, and what that chose is what we go on from. An older list than ours says nothing
        // of the kind: ours may be one that the store could not take.
        if let Some(list) = self.store.fact::<Vec<MirrorUrl>>(SELECTION_FACT)
            && self.kept_list.as_ref() != Some(&list)
            && self.state.applying.is_none()
        {
            self.kept_list = Some(list.clone());
            if list != self.state.list {
                self.step(Event::Listed(list));
                self.store.set_fact(TREATMENT_FACT, &self.state.treatment);
            }
        }
        // Or `restore`, perhaps with a pause that was over before it was seen. After the list, which would be written over
        // as another program's.
        if let Some(last) = self.store.switches(1).pop()
            && self.last_switch != Some(last.at)
        {
            self.last_switch = Some(last.at);
            if matches!(last.kind, ChangeKind::ByHand | ChangeKind::Restored) {
                self.step(Event::SwitchedByHand);
                self.store.set_fact(TREATMENT_FACT, &self.state.treatment);
            }
        }
    }

    /// This selection was written, unless the store could not take it.
    pub(super) fn wrote_list(&mut self, list: &[MirrorUrl]) {
        if !self.store.is_failing() {
            self.kept_list = Some(list.to_vec());
        }
    }

    /// The pause that is in force; an unreadable file changes nothing, and is said once.
    pub(super) fn read_pause(&mut self) -> Pause {
        match Pause::read(&self.places.root_state()) {
            Ok(pause) => {
                self.pause_error = None;
                pause
            }
            Err(error) => {
                let line = error.to_string();
                if self.pause_error.as_ref() != Some(&line) {
                    warn!("{line}");
                    self.pause_error = Some(line);
                }
                self.pause.clone()
            }
        }
    }

    /// Until when nothing is written. That may be over: whether it is, the clock says at each moment anew.
    pub(super) fn pause_of_docker(&self) -> Option<Option<Timestamp>> {
        match (self.pause.service, self.pause.engines.get(DOCKER).copied()) {
            (None, None) => None,
            (Some(one), None) | (None, Some(one)) => Some(one.until),
            // Both must end; one without an end outlasts the other.
            (Some(one), Some(other)) => Some(one.until.zip(other.until).map(|(one, other)| one.max(other))),
        }
    }

    /// Watches what people and other programs edit.
    pub(super) fn watch(&mut self) {
        let mut paths = vec![
            self.places.config.clone(),
            config::mirrors_d(&self.places.config),
            self.places.root_state().join(crate::pause::FILE_NAME),
        ];
        paths.extend(self.ca_file.clone());
        paths.extend(self.applier.as_ref().map(|applier| applier.report_file()));
        // An application's file is on another host.
        let facts = self.facts.as_ref().filter(|facts| facts.app.is_none());
        paths.extend(facts.map(|facts| facts.file.clone()));
        if self.watcher.as_ref().is_some_and(|(_, watched)| *watched == paths) {
            return;
        }
        let (watcher, changes) = watch(paths.clone());
        self.watcher = Some((watcher, paths));
        self.changes = Some(changes);
        // It knows nothing of an edit before it, and the one that it replaces may not have told of it yet.
        self.read_again_at = Some(Instant::now());
        self.look_at = Instant::now();
    }
}

/// Whether mirrors that were asked one way may be judged otherwise when they are asked the other.
fn changes_what_is_seen(known: &probe::Settings, wanted: &probe::Settings) -> bool {
    // At the start the engine's proxy is not known yet, and the record is of when it was.
    let learned = known.engine_version.is_none();
    known.ca_file != wanted.ca_file || (known.proxies != wanted.proxies && !learned)
}

/// The file of `ca_file`, as it is now.
pub(super) fn authorities(config: &Config) -> Look {
    Look::at(config.probe.ca_file.as_slice())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;
    use tokio::task::LocalSet;

    use super::*;
    use crate::daemon::tests::{daemon_of, facts};
    use crate::engine::{Applied, Facts};
    use crate::ranking::select::Change;
    use crate::reason::ChangeKind;
    use crate::status::NoticeKind;
    use crate::store::Store;

    /// A daemon with an engine that others speak for.
    fn daemon(place: &TempDir) -> Daemon {
        daemon_of(place, &["https://a.example".to_owned()], false)
    }

    fn list(host: &str) -> Vec<MirrorUrl> {
        vec![format!("https://{host}.example").parse().unwrap()]
    }

    /// The engine has this list now, perhaps since long.
    fn applied(daemon: &mut Daemon, list: &[MirrorUrl], changed: bool) {
        let change = Change::of(ChangeKind::First);
        let mirrors = list.iter().map(ToString::to_string).collect();
        let applied = Applied { changed, mirrors, verified: true, acknowledged: None };
        daemon.applied(list.to_vec(), &change, Ok(applied));
    }

    #[tokio::test]
    async fn a_list_that_the_store_could_not_take_is_not_undone_by_the_one_before_and_an_apply_by_hand_still_counts()
     {
        let place = tempfile::tempdir().unwrap();
        let mut daemon = daemon(&place);
        LocalSet::new()
            .run_until(async {
                let (by_hand, _) = Store::open(&place.path().join("state"), assembly::now());
                applied(&mut daemon, &list("a"), true);
                daemon.read_again();
                assert_eq!(daemon.state.list, list("a"));
                // Somebody else writes, and does not end.
                by_hand.batch(|_| applied(&mut daemon, &list("b"), true));
                assert!(daemon.store.is_failing(), "it could not be written");
                daemon.read_again();
                assert_eq!(daemon.state.list, list("b"), "what the engine has");
                by_hand.set_fact(SELECTION_FACT, &list("c"));
                daemon.read_again();
                assert_eq!(daemon.state.list, list("c"));
                // What is written since is no news either.
                applied(&mut daemon, &list("d"), true);
                daemon.read_again();
                assert_eq!(daemon.state.list, list("d"));
            })
            .await;
    }

    #[tokio::test]
    async fn an_apply_by_hand_whose_reload_takes_its_time_is_no_other_programs_list() {
        let place = tempfile::tempdir().unwrap();
        let mut daemon = daemon(&place);
        LocalSet::new()
            .run_until(async {
                let (by_hand, _) = Store::open(&place.path().join("state"), assembly::now());
                applied(&mut daemon, &list("a"), true);
                // The file has changed, and the engine has not read it yet.
                daemon.files_changed();
                by_hand.set_fact(SELECTION_FACT, &list("b"));
                let mirrors = vec!["https://b.example".to_owned()];
                daemon.looks_since = daemon.applies;
                daemon.looked(Ok(Facts { mirrors, ..facts(None) }));
                assert_eq!(daemon.state.list, list("b"));
                assert!(daemon.state.in_place() && daemon.adopted.is_empty());
            })
            .await;
    }

    #[tokio::test]
    async fn a_pause_file_that_makes_no_sense_changes_nothing_and_is_a_pause_at_the_start() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("state").join(crate::pause::FILE_NAME);
        let mut daemon = daemon(&place);
        LocalSet::new()
            .run_until(async {
                crate::file::replace(&file, b"{", None).unwrap();
                daemon.begin();
                assert!(daemon.state.is_paused());
                let notices = daemon.status(assembly::now()).service.notices;
                assert!(notices.iter().any(|notice| notice.kind == NoticeKind::Pause), "{notices:?}");
                fs::remove_file(&file).unwrap();
                daemon.files_changed();
                assert!(!daemon.state.is_paused() && daemon.pause_error.is_none());
                crate::file::replace(&file, b"{", None).unwrap();
                daemon.files_changed();
                assert!(!daemon.state.is_paused() && daemon.pause_error.is_some());
            })
            .await;
    }

    #[tokio::test]
    async fn an_apply_that_found_nothing_to_change_is_no_reload() {
        let place = tempfile::tempdir().unwrap();
        let mut daemon = daemon(&place);
        LocalSet::new()
            .run_until(async {
                for changed in [true, false, false] {
                    applied(&mut daemon, &list("a"), changed);
                }
                assert_eq!(daemon.state.reloads_of_a_day(assembly::now()), 1);
                assert!(daemon.state.in_place());
            })
            .await;
    }

    #[tokio::test]
    async fn what_a_look_at_the_engine_has_brought_about_is_no_reason_for_the_next_one() {
        let place = tempfile::tempdir().unwrap();
        let mut daemon = daemon_of(&place, &["https://a.example".to_owned()], true);
        let applier = daemon.applier.clone().unwrap();
        let report = serde_json::json!({
            "format": crate::applier::FORMAT,
            "at": assembly::now().as_millis(),
            "facts": null,
            "problem": {"kind": "not_running", "detail": ""},
            "running": crate::engine::docker::running(),
            "file_changed": null,
            "pulled": null,
            "adopted": [],
            "reloads_left": 1,
            "answered": null,
            "outcome": null,
        });
        let publish = || crate::file::replace(&applier.report_file(), report.to_string().as_bytes(), None);
        std::fs::create_dir(place.path().join("run-apply")).unwrap();
        publish().unwrap();
        LocalSet::new()
            .run_until(async {
                let _ = applier.facts().await.unwrap_err();
                daemon.watch();
                let later = Instant::now() + Duration::from_secs(60);
                daemon.look_at = later;
                daemon.files_changed();
                assert_eq!(daemon.look_at, later);
                publish().unwrap();
                daemon.files_changed();
                assert!(daemon.look_at <= Instant::now());
            })
            .await;
    }
}
