//! The change itself: intent → replace → reload → verify → commit, or everything back as it was.
//!
//! The intent is on the disk before the file is touched, so that whoever comes after a crash knows what was
//! meant: [`super::recover`].

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use super::api::{Api, Reloads};
use super::backup::{Backups, Draft, Intent};
use super::edit::Document;
use super::log::Mark;
use super::pending;
use super::reload::Way;
use crate::engine::Problem;
use crate::file::{self, Displaced, Obstacle, ReplaceError, Snapshot};
use crate::reason::ProblemKind;

/// How long the proof may take. Measured are 7 to 45 ms; a busy host gets a hundred times that.
const PROOF_DEADLINE: Duration = Duration::from_secs(5);

/// How long `/info` may take to say what an event of dockerd's own has told already: a host that is busy may be ten
/// seconds over one answer, and one that was asked for before the list was taken may be under way.
const LISTED_DEADLINE: Duration = Duration::from_secs(20);

/// dockerd 25.0 to 29.4 tell of a reload some microseconds before it takes effect.
const POLL: Duration = Duration::from_millis(5);

/// One change of one file, with all that is needed to undo it.
pub(super) struct Transaction<'a> {
    pub(super) api: &'a Api,
    pub(super) backups: &'a Backups,
    pub(super) file: &'a Path,
    pub(super) way: &'a Way,
    pub(super) mark: Mark,
    /// The file as it is.
    pub(super) before: &'a Snapshot,
    /// The list that dockerd has now.
    pub(super) was: &'a [String],
}

/// How a change that was made ended.
pub(super) enum Outcome {
    /// dockerd lists exactly what was wanted, so long after the file's replacement.
    Proven(Duration),
    /// Reloading is left to somebody else.
    Unproven,
}

impl Transaction<'_> {
    /// Writes `after` if that differs from what is there, reloads, and waits until dockerd lists `wanted`.
    ///
    /// # Errors
    /// The file and dockerd are as they were, except with [`ProblemKind::RollbackFailed`].
    pub(super) async fn run(&self, after: &[u8], wanted: &[String]) -> Result<Outcome, Problem> {
        // Listening begins before the reload, so that its event cannot be missed.
        let reloads = self.api.reloads().await.ok();
        if self.before.bytes() == Some(after) {
            return self.reload(reloads, wanted).await;
        }
        let (intent, displaced) = self.write(Some(after), wanted).await?;
        let outcome = match self.reload(reloads, wanted).await {
            Ok(outcome) => outcome,
            Err(problem) => return Err(self.undo(&intent, displaced, problem).await),
        };
        if displaced.written_since() {
            // A program that had the file open from before has written into it: that edit goes first.
            let problem = raced(self.file);
            return Err(self.undo(&intent, displaced, problem).await);
        }
        // Before the intent is closed, so that a crash leaves nothing that nobody looks for.
        drop(displaced);
        if let Err(problem) = self.backups.commit(&intent) {
            // The list is in place and proven; the next start finds that out again.
            tracing::warn!(%problem, "the intent of a write that is done stays");
        }
        Ok(outcome)
    }

    /// Writes what dockerd need not be told: it has the list already that this file gives it.
    ///
    /// # Errors
    /// The file is as it was.
    pub(super) async fn run_quietly(&self, after: Option<&[u8]>) -> Result<(), Problem> {
        if self.before.bytes() == after {
            return Ok(());
        }
        let (intent, displaced) = self.write(after, self.was).await?;
        if displaced.written_since() {
            return Err(self.make_way(&intent, displaced, &raced(self.file)));
        }
        drop(displaced);
        self.backups.commit(&intent)
    }

    /// Writes down what is meant, and does it.
    async fn write(&self, after: Option<&[u8]>, wanted: &[String]) -> Result<(Intent, Displaced), Problem> {
        self.clear()?;
        let interim = interim(self.before.bytes(), self.was);
        let taken = Document::parse(after).map(|document| pending::reloaded(&document)).unwrap_or_default();
        let intent = self.backups.begin(Draft {
            file: self.file,
            before: self.before,
            after,
            interim: interim.as_deref(),
            wanted,
            was: self.was,
            keys: taken,
        })?;
        if let (None, Some(directory)) = (self.before.bytes(), self.file.parent()) {
            // dockerd does without its directory; what stands in the way of making it, the next step says.
            drop(std::fs::create_dir(directory));
        }
        let done = match after {
            Some(after) => file::displace(self.file, after, self.before),
            None => file::remove(self.file, self.before).map(|()| Displaced::default()),
        };
        match done {
            Ok(displaced) => Ok((intent, displaced)),
            Err(error) if error.replaced => {
                Err(self.undo(&intent, Displaced::default(), unwritable(&error)).await)
            }
            Err(error) => {
                let problem = unwritable(&error);
                // One that cannot even be taken back is settled at the next start: the file is as it was.
                if let Err(problem) = self.backups.abandon(&intent) {
                    tracing::warn!(%problem, "the intent of a write that came to nothing stays");
                }
                Err(problem)
            }
        }
    }

    /// Removes temporary files that an earlier write could not: after a crash one that lies there from before
    /// would be taken for what our exchange took out.
    fn clear(&self) -> Result<(), Problem> {
        for left in file::left_behind(self.file) {
            std::fs::remove_file(&left).map_err(|error| {
                let detail = format!("{}: cannot be removed: {error}", left.display());
                Problem::new(ProblemKind::Unwritable, detail)
            })?;
        }
        Ok(())
    }

    async fn reload(&self, reloads: Option<Reloads>, wanted: &[String]) -> Result<Outcome, Problem> {
        let start = Instant::now();
        self.way.ask().await?;
        if *self.way == Way::Nobody {
            return Ok(Outcome::Unproven);
        }
        let missing = match self.proof(reloads, wanted).await {
            Ok(()) => return Ok(Outcome::Proven(start.elapsed())),
            Err(missing) => missing,
        };
        let cause = self.mark.complaint().await.unwrap_or_else(|| "it gave no reason".to_owned());
        let detail = format!("{}: {missing}: {cause}", self.file.display());
        Err(Problem::new(ProblemKind::NotTaken, detail))
    }

    /// Waits for the event of a reload that took `wanted`, and for `/info` to say the same.
    ///
    /// # Errors
    /// What dockerd did not do; English.
    async fn proof(&self, reloads: Option<Reloads>, wanted: &[String]) -> Result<(), String> {
        let start = Instant::now();
        let taken = async {
            let Some(mut reloads) = reloads else { return false };
            loop {
                match reloads.next().await {
                    Some(taken) if taken == wanted => return true,
                    // Somebody else's reload may come between.
                    Some(_) => {}
                    None => return false,
                }
            }
        };
        let late = || format!("dockerd did not take the list within {PROOF_DEADLINE:?}");
        let listed = listed_by_engine(self.api, wanted);
        if timeout(PROOF_DEADLINE, taken).await.map_err(|_| late())? {
            let silent =
                |_| format!("dockerd told of the list and did not show it within {LISTED_DEADLINE:?}");
            return timeout(LISTED_DEADLINE, listed).await.map_err(silent);
        }
        // A stream that ends leaves `/info` to tell.
        let left = PROOF_DEADLINE.saturating_sub(start.elapsed());
        timeout(left, listed).await.map_err(|_| late())
    }

    /// Puts everything back and returns `problem`, or a worse one.
    async fn undo(&self, intent: &Intent, displaced: Displaced, problem: Problem) -> Problem {
        tracing::warn!(%problem, "rolling back");
        if displaced.written_since() {
            return self.make_way(intent, displaced, &problem);
        }
        // It would only be in the way: what is put back are the bytes that are kept.
        drop(displaced);
        let undo = Undo { api: self.api, backups: self.backups, way: Some(self.way), intent };
        match undo.run(self.before.bytes()).await {
            Ok(()) => Problem { detail: format!("{}; the old file is back", problem.detail), ..problem },
            Err(cause) => {
                let kept = match self.before.bytes() {
                    Some(_) => {
                        let path = self.backups.before_path(self.file);
                        format!("its bytes are in {}", path.display())
                    }
                    None => "there was no file before".to_owned(),
                };
                let detail =
                    format!("{}; and the old file could not be put back: {cause}; {kept}", problem.detail);
                Problem::new(ProblemKind::RollbackFailed, detail)
            }
        }
    }

    /// Gives the file that somebody still writes into its place again.
    fn make_way(&self, intent: &Intent, displaced: Displaced, problem: &Problem) -> Problem {
        let back = displaced.give_back().map_err(|error| error.to_string());
        match back.and_then(|()| self.backups.close(intent).map_err(|error| error.to_string())) {
            Ok(()) => raced(self.file),
            Err(cause) => {
                let detail =
                    format!("{}; and somebody's edit could not be put back: {cause}", problem.detail);
                Problem::new(ProblemKind::RollbackFailed, detail)
            }
        }
    }
}

/// A write that is to be undone, by the process that did it or by the next one.
pub(super) struct Undo<'a> {
    pub(super) api: &'a Api,
    pub(super) backups: &'a Backups,
    /// `None`: dockerd is not told.
    pub(super) way: Option<&'a Way>,
    pub(super) intent: &'a Intent,
}

impl Undo<'_> {
    /// Puts `old` back and lets dockerd take it, and closes the intent.
    ///
    /// # Errors
    /// English, why the file is not as it was. The intent stays open, unless somebody else has written.
    pub(super) async fn run(&self, old: Option<&[u8]>) -> Result<(), String> {
        if let Err(problem) = self.backups.undoing(self.intent) {
            // It is for whoever comes after a crash on the way; the old file comes back without it too.
            tracing::warn!(%problem, "that a write is undone is not written down");
        }
        self.put_back(old).await?;
        self.backups.abandon(self.intent).map_err(|problem| problem.to_string())
    }

    async fn put_back(&self, old: Option<&[u8]>) -> Result<(), String> {
        let was = &self.intent.was;
        // Only a dockerd that answers is asked anything; one that is stopped reads the file when it goes on.
        let way = if self.api.ping().await.is_ok() { self.way } else { None };
        let took_it = way.is_some() && !engine_lists(self.api, was).await;
        let interim = interim(old, was);
        if let (Some(interim), true) = (&interim, took_it) {
            // Without the key a reload leaves the list as it is, so the old list goes in by name first.
            self.swap(Some(interim))?;
            self.reload_until_old(way).await;
        }
        self.swap(old)?;
        if interim.is_none() || !took_it {
            self.reload_until_old(way).await;
        }
        Ok(())
    }

    /// Replaces our bytes, and nobody else's.
    fn swap(&self, by: Option<&[u8]>) -> Result<(), String> {
        let path = &self.intent.file;
        let now = file::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        if now.bytes() == by {
            return Ok(());
        }
        let digest = super::backup::digest(now.bytes());
        if !self.intent.wrote(now.bytes()) && digest != self.intent.before {
            // Theirs goes before ours, and before what was there.
            self.backups.close(self.intent).map_err(|problem| problem.to_string())?;
            return Err("somebody else has written the file since".to_owned());
        }
        let done = match by {
            Some(bytes) => file::replace(path, bytes, Some(&now)),
            None => file::remove(path, &now),
        };
        // Bytes that are in place and perhaps not yet durable are back all the same.
        done.or_else(|error| if error.replaced { Ok(()) } else { Err(error.to_string()) })
    }

    /// Best effort: the file is right again whatever comes of it, and `/info` is what the next round goes by.
    async fn reload_until_old(&self, way: Option<&Way>) {
        let Some(way) = way else { return };
        if let Err(problem) = way.ask().await {
            tracing::warn!(%problem, "the reload after a rollback failed");
        }
        let back = listed_by_engine(self.api, &self.intent.was);
        if timeout(PROOF_DEADLINE, back).await.is_err() {
            tracing::warn!("dockerd does not list its old mirrors after a rollback");
        }
    }
}

/// A file without the key says nothing of the list; this one says the list that was there.
fn interim(old: Option<&[u8]>, was: &[String]) -> Option<Vec<u8>> {
    let document = Document::parse(old).ok()?;
    document.listed().is_none().then(|| document.with(was))
}

async fn listed_by_engine(api: &Api, wanted: &[String]) {
    while !engine_lists(api, wanted).await {
        sleep(POLL).await;
    }
}

async fn engine_lists(api: &Api, wanted: &[String]) -> bool {
    api.info().await.is_ok_and(|info| info.mirrors() == wanted)
}

pub(super) fn raced(file: &Path) -> Problem {
    let detail = format!("{}: somebody else wrote it meanwhile; their edit is in place", file.display());
    Problem::new(ProblemKind::Raced, detail)
}

/// What a failed replacement means for an engine.
pub(super) fn unwritable(error: &ReplaceError) -> Problem {
    let kind = match error.obstacle {
        Obstacle::Raced => ProblemKind::Raced,
        Obstacle::NotPermitted => ProblemKind::NotPermitted,
        Obstacle::HardLinked
        | Obstacle::MountPoint
        | Obstacle::ReadOnly
        | Obstacle::Immutable
        | Obstacle::Full
        | Obstacle::NoDirectory
        | Obstacle::DanglingLink
        | Obstacle::NotAFile
        | Obstacle::Other => ProblemKind::Unwritable,
    };
    Problem::new(kind, error.to_string())
}
