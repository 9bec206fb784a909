//! The change itself: replace → reload → verify, or everything back as it was.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use super::api::{Api, Reloads};
use super::backup::Backups;
use super::edit::Document;
use super::log::Mark;
use super::reload::Way;
use crate::engine::Problem;
use crate::file::{self, Obstacle, ReplaceError, Snapshot};
use crate::reason::ProblemKind;

/// How long the proof may take. Measured are 7 to 45 ms; a busy host gets a hundred times that.
const PROOF_DEADLINE: Duration = Duration::from_secs(5);

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
        if self.before.bytes() != Some(after) {
            self.backups.keep(self.file, self.before)?;
            if let (None, Some(directory)) = (self.before.bytes(), self.file.parent()) {
                // dockerd does without its directory; what stands in the way of making it, the next step says.
                drop(std::fs::create_dir(directory));
            }
            if let Err(error) = file::replace(self.file, after, Some(self.before)) {
                let problem = unwritable(&error);
                return Err(if error.replaced { self.undo(after, problem).await } else { problem });
            }
        }
        let start = Instant::now();
        if let Err(problem) = self.way.ask().await {
            return Err(self.undo(after, problem).await);
        }
        if *self.way == Way::Nobody {
            return Ok(Outcome::Unproven);
        }
        if self.proof(reloads, wanted).await {
            return Ok(Outcome::Proven(start.elapsed()));
        }
        let cause = self.mark.complaint().await.unwrap_or_else(|| "it gave no reason".to_owned());
        let detail = format!(
            "{}: dockerd did not take the list within {PROOF_DEADLINE:?}: {cause}",
            self.file.display()
        );
        Err(self.undo(after, Problem::new(ProblemKind::NotTaken, detail)).await)
    }

    /// Waits for the event of a reload that took `wanted`, and for `/info` to say the same.
    async fn proof(&self, reloads: Option<Reloads>, wanted: &[String]) -> bool {
        let proof = async {
            if let Some(mut reloads) = reloads {
                // Somebody else's reload may come between; a stream that ends leaves `/info` to tell.
                while reloads.next().await.is_some_and(|taken| taken != wanted) {}
            }
            self.listed_by_engine(wanted).await;
        };
        timeout(PROOF_DEADLINE, proof).await.is_ok()
    }

    async fn listed_by_engine(&self, wanted: &[String]) {
        while !self.engine_lists(wanted).await {
            sleep(POLL).await;
        }
    }

    async fn engine_lists(&self, wanted: &[String]) -> bool {
        self.api.info().await.is_ok_and(|info| info.mirrors() == wanted)
    }

    /// Puts everything back and returns `problem`, or a worse one.
    async fn undo(&self, written: &[u8], problem: Problem) -> Problem {
        if self.before.bytes() == Some(written) {
            return problem;
        }
        tracing::warn!(%problem, "rolling back");
        match self.put_back(written).await {
            Ok(()) => Problem { detail: format!("{}; the old file is back", problem.detail), ..problem },
            Err(cause) => {
                let kept = match self.before.bytes() {
                    Some(_) => format!("its bytes are in {}", self.backups.last(self.file).display()),
                    None => "there was no file before".to_owned(),
                };
                let detail =
                    format!("{}; and the old file could not be put back: {cause}; {kept}", problem.detail);
                Problem::new(ProblemKind::RollbackFailed, detail)
            }
        }
    }

    async fn put_back(&self, written: &[u8]) -> Result<(), String> {
        let old = self.before.bytes();
        let keyless = Document::parse(old).is_ok_and(|document| document.listed().is_none());
        // Only a dockerd that answers is asked anything; one that is stopped reads the file when it goes on.
        let answers = self.api.ping().await.is_ok();
        let took_it = answers && !self.engine_lists(self.was).await;
        let mut current = written.to_vec();
        if keyless && took_it {
            // Without the key a reload leaves the list as it is, so the old list goes in by name first.
            let document = Document::parse(old).map_err(|error| error.to_string())?;
            let interim = document.with(self.was);
            self.swap(&current, Some(&interim))?;
            current = interim;
            self.reload_until_old().await;
        }
        self.swap(&current, old)?;
        if answers && !(keyless && took_it) {
            self.reload_until_old().await;
        }
        Ok(())
    }

    /// Replaces our bytes, and nobody else's.
    fn swap(&self, ours: &[u8], by: Option<&[u8]>) -> Result<(), String> {
        let now = file::read(self.file).map_err(|error| format!("{}: {error}", self.file.display()))?;
        if now.bytes() == by {
            return Ok(());
        }
        if now.bytes() != Some(ours) {
            return Err("somebody else has written the file since".to_owned());
        }
        let done = match by {
            Some(bytes) => file::replace(self.file, bytes, Some(&now)),
            None => file::remove(self.file, Some(&now)),
        };
        // Bytes that are in place and perhaps not yet durable are back all the same.
        done.or_else(|error| if error.replaced { Ok(()) } else { Err(error.to_string()) })
    }

    /// Best effort: the file is right again whatever comes of it, and `/info` is what the next round goes by.
    async fn reload_until_old(&self) {
        if let Err(problem) = self.way.ask().await {
            tracing::warn!(%problem, "the reload after a rollback failed");
        }
        if timeout(PROOF_DEADLINE, self.listed_by_engine(self.was)).await.is_err() {
            tracing::warn!("dockerd does not list its old mirrors after a rollback");
        }
    }
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
