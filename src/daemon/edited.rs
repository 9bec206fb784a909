//! A list that somebody wrote into the engine's file and that the engine does not use: seen, and warned of when it lasts.
//!
//! It is not put right: whoever wrote it may still be about to reload the engine, and from then on the ordinary way is
//! taken, which gives way to a program that keeps rewriting.

use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::{Daemon, engine};
use crate::engine::Warning;
use crate::reason::WarningKind;
use crate::secret::without_login;

/// So long the file must list the same: who writes and then reloads, a person or a tool, has done so by then, and of those
/// who forgot it nobody is in a hurry. The look that comes next anyway is late enough.
const LASTS: Duration = engine::LOOK_EARLY;

/// What the file lists that the engine does not use.
#[derive(Debug, Default)]
pub(super) struct Edited {
    /// The list, and the look that first showed it.
    seen: Option<(Vec<String>, Instant)>,
    /// A later look showed it too.
    lasts: bool,
}

impl Edited {
    /// Takes what a look `at` that time showed. Whether there is another thing to say of it than before.
    fn look(&mut self, listed: Option<Vec<String>>, at: Instant) -> bool {
        let said = self.lasts;
        self.seen = listed.map(|listed| match self.seen.take() {
            Some((known, since)) if known == listed => (known, since),
            Some(_) | None => (listed, at),
        });
        self.lasts = self.seen.as_ref().is_some_and(|(_, since)| *since + LASTS <= at);
        said != self.lasts
    }
}

impl Daemon {
    /// To be told of every look at the engine, when what it showed has been taken in.
    pub(super) fn look_for_edits(&mut self) {
        let listed =
            self.facts.as_ref().filter(|_| self.keeps_list()).and_then(|facts| facts.listed_elsewise());
        let at = self.looked_at.unwrap_or_else(Instant::now);
        if self.edited.look(listed, at) {
            if let Some(warning) = self.list_edited() {
                warn!("{}; Docker goes by it at its next start at the latest", warning.detail);
            }
            self.publish_soon();
        }
    }

    /// Whether the engine uses our list, and it is for us to see that it goes on doing so.
    fn keeps_list(&self) -> bool {
        let state = &self.state;
        let is_told = self.problem.is_some() || state.applying.is_some() || state.is_paused();
        state.owned && state.engine_has_ours() && !is_told
    }

    /// The warning that somebody's list is in the file, and has been for a while.
    pub(super) fn list_edited(&self) -> Option<Warning> {
        let (listed, _) = self.edited.seen.as_ref().filter(|_| self.edited.lasts && self.keeps_list())?;
        let facts = self.facts.as_ref()?;
        let all = |list: &[String]| match list {
            [] => "[]".to_owned(),
            list => list.iter().map(|entry| without_login(entry)).collect::<Vec<_>>().join(", "),
        };
        let (file, listed, used) = (facts.file.display(), all(listed), all(&facts.mirrors));
        let detail = format!("{file} lists {listed}, and Docker uses {used}");
        Some(Warning { kind: WarningKind::ListEdited, detail })
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::LocalSet;
    use tokio::time::advance;

    use super::*;
    use crate::daemon::hand::Hand;
    use crate::daemon::step::Event;
    use crate::daemon::tests::{daemon_of, facts};
    use crate::engine::{Facts, Problem};
    use crate::ranking::select::Change;
    use crate::reason::{ChangeKind, ProblemKind};

    const OURS: &str = "https://a.example";
    const THEIRS: &str = "https://b.example/";

    fn daemon(place: &tempfile::TempDir) -> Daemon {
        let mut daemon = daemon_of(place, &[OURS.to_owned()], false);
        daemon.config.engines.docker.enabled = crate::config::Enabled::Yes;
        daemon.docker = Hand::new(&daemon.config, &daemon.places, None);
        daemon.step(Event::Listed(vec![OURS.parse().unwrap()]));
        daemon
    }

    /// A look that shows this.
    fn look(daemon: &mut Daemon, facts: Result<Facts, Problem>) {
        daemon.looked_at = Some(Instant::now());
        daemon.looked(facts);
    }

    fn warned(daemon: &Daemon) -> Vec<String> {
        let engine = daemon.status(crate::assembly::now()).engines.remove(0);
        let edited = engine.warnings.into_iter().filter(|warning| warning.kind == WarningKind::ListEdited);
        edited.map(|warning| warning.detail).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_began_before_an_apply_and_ends_after_it_is_made_again() {
        let place = tempfile::tempdir().unwrap();
        LocalSet::new()
            .run_until(async {
                let mut daemon = daemon(&place);
                daemon.look();
                let change = Change::of(ChangeKind::First);
                daemon.apply(vec![OURS.parse().unwrap()], change);
                // What had been in the list until then.
                let before = Facts {
                    mirrors: vec![OURS.to_owned(), THEIRS.to_owned()],
                    ..facts(Some(&[OURS, THEIRS]))
                };
                daemon.looked(Ok(before.clone()));
                assert!(daemon.adopted.is_empty() && daemon.look_at <= Instant::now());
                // Somebody else's is what comes without that.
                daemon.looks_since = daemon.applies;
                daemon.looked(Ok(before));
                assert_eq!(daemon.adopted.len(), 1);
            })
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn another_list_in_the_file_is_warned_of_when_nobody_has_activated_it_for_minutes() {
        for (listed, said) in [
            (Some(&[THEIRS][..]), "https://b.example"),
            (Some(&[]), "[]"),
            // dockerd has kept the list that the key had, until its next start.
            (None, "[]"),
            (Some(&["https://me:secret@b.example", OURS]), "https://b.example, https://a.example"),
        ] {
            let place = tempfile::tempdir().unwrap();
            LocalSet::new()
                .run_until(async {
                    let mut daemon = daemon(&place);
                    look(&mut daemon, Ok(facts(listed)));
                    assert_eq!(warned(&daemon), [""; 0], "it may be about to be activated");
                    advance(LASTS / 2).await;
                    look(&mut daemon, Ok(facts(listed)));
                    assert_eq!(warned(&daemon), [""; 0], "still");
                    advance(LASTS / 2).await;
                    daemon.publish();
                    look(&mut daemon, Ok(facts(listed)));
                    let said =
                        format!("/nowhere/daemon.json lists {said}, and Docker uses https://a.example");
                    assert_eq!(warned(&daemon), [said]);
                    assert!(daemon.publish_at.is_some(), "it is published");
                    // Put right, by whomever.
                    look(&mut daemon, Ok(facts(Some(&[OURS]))));
                    assert_eq!(warned(&daemon), [""; 0]);
                    look(&mut daemon, Ok(facts(listed)));
                    assert_eq!(warned(&daemon), [""; 0], "that is another edit");
                })
                .await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_being_edited_is_another_edit_each_time() {
        let place = tempfile::tempdir().unwrap();
        LocalSet::new()
            .run_until(async {
                let mut daemon = daemon(&place);
                for listed in [&[THEIRS][..], &[THEIRS, OURS]] {
                    look(&mut daemon, Ok(facts(Some(listed))));
                    assert_eq!(warned(&daemon), [""; 0]);
                    advance(LASTS).await;
                }
            })
            .await;
    }

    /// What is seen twice, so long apart, and is no list that somebody forgot to activate.
    async fn is_no_edit(shown: impl Fn() -> Result<Facts, Problem>, act: impl Fn(&mut Daemon)) {
        let place = tempfile::tempdir().unwrap();
        LocalSet::new()
            .run_until(async {
                let mut daemon = daemon(&place);
                act(&mut daemon);
                for _ in 0..3 {
                    look(&mut daemon, shown());
                    assert_eq!(warned(&daemon), [""; 0], "{:?}", shown());
                    advance(LASTS).await;
                }
            })
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_else_makes_a_file_differ_is_no_list_that_somebody_forgot() {
        // The same to dockerd.
        is_no_edit(|| Ok(facts(Some(&["https://a.example/", OURS]))), |_| {}).await;
        // A file that nobody can read says nothing of its list.
        let broken = || {
            let refusal = Some(Problem::new(ProblemKind::BrokenFile, "broken"));
            Facts { refusal, ..facts(None) }
        };
        assert_eq!(broken().listed_elsewise(), None);
        is_no_edit(|| Ok(broken()), |_| {}).await;
        // Our own list, which waits for somebody's reload (`reload = "none"`).
        let waits = |daemon: &mut Daemon| {
            daemon.step(Event::Listed(vec!["https://b.example".parse().unwrap()]));
        };
        is_no_edit(|| Ok(facts(Some(&["https://b.example"]))), waits).await;
        // Nobody has asked us to keep this list.
        is_no_edit(|| Ok(facts(Some(&[THEIRS]))), |daemon| daemon.state.owned = false).await;
        let pause = |daemon: &mut Daemon| daemon.step(Event::Paused(Some(None)));
        is_no_edit(|| Ok(facts(Some(&[THEIRS]))), pause).await;
        // It is being put right.
        let applies = |daemon: &mut Daemon| {
            daemon.state.applying = Some(Change::of(ChangeKind::EngineDiffered));
        };
        is_no_edit(|| Ok(facts(Some(&[THEIRS]))), applies).await;
        is_no_edit(|| Err(Problem::new(ProblemKind::NoAnswer, "away")), |_| {}).await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_edited_in_a_pause_may_still_be_activated_when_it_ends() {
        let place = tempfile::tempdir().unwrap();
        LocalSet::new()
            .run_until(async {
                let mut daemon = daemon(&place);
                daemon.step(Event::Paused(Some(None)));
                for paused in [Some(None), None] {
                    daemon.step(Event::Paused(paused));
                    look(&mut daemon, Ok(facts(Some(&[THEIRS]))));
                    assert_eq!(warned(&daemon), [""; 0]);
                    advance(LASTS).await;
                }
            })
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_pauses_or_is_given_a_list_is_not_warned_any_more() {
        for acts in
            [(|daemon: &mut Daemon| daemon.step(Event::Paused(Some(None)))) as fn(&mut Daemon), |daemon| {
                let change = Change::of(ChangeKind::ByHand);
                daemon.apply(vec![OURS.parse().unwrap()], change);
            }]
        {
            let place = tempfile::tempdir().unwrap();
            LocalSet::new()
                .run_until(async {
                    let mut daemon = daemon(&place);
                    for _ in 0..2 {
                        look(&mut daemon, Ok(facts(Some(&[THEIRS]))));
                        advance(LASTS).await;
                    }
                    assert_eq!(warned(&daemon).len(), 1);
                    acts(&mut daemon);
                    assert_eq!(warned(&daemon), [""; 0]);
                })
                .await;
        }
    }
}
