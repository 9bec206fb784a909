//! After a crash: what a write that was under way came to, and what becomes of it.
//!
//! The engine has it: it is committed. It has not: the old bytes come back, if the file still holds ours.
//! Somebody else wrote since: that stays.

use std::fs;
use std::path::{Path, PathBuf};

use super::Docker;
use super::backup::{Intent, digest};
use super::edit::Document;
use super::transact::Undo;
use crate::engine::{Problem, Recovery, Settled};
use crate::file;
use crate::reason::ProblemKind;

impl Docker {
    /// Settles what an earlier process of ours was doing when it died. Without such a thing, nothing is locked,
    /// asked or written.
    ///
    /// # Errors
    /// Why it could not be settled; it is tried again the next time, and nothing is applied before.
    pub async fn recover(&self) -> Result<Vec<Recovery>, Problem> {
        if self.backups.intents().is_empty() {
            return Ok(Vec::new());
        }
        self.alone(async |docker: Self| docker.recover_alone().await).await
    }

    async fn recover_alone(&self) -> Result<Vec<Recovery>, Problem> {
        let _lock = self.backups.lock()?;
        let live = self.look().await;
        self.confine(live.as_ref().ok());
        self.reconcile().await
    }

    /// As [`Self::recover`], under the lock.
    pub(super) async fn reconcile(&self) -> Result<Vec<Recovery>, Problem> {
        let mut settled = Vec::new();
        for path in self.backups.intents() {
            let recovery = match self.backups.intent(&path) {
                Ok(intent) => Recovery { what: self.settle(&intent).await?, file: intent.file },
                Err(problem) if problem.kind == ProblemKind::Unreadable => {
                    tracing::warn!("{problem}");
                    self.backups.put_aside(&path)?;
                    Recovery { what: Settled::NotUnderstood, file: path }
                }
                Err(problem) => return Err(problem),
            };
            tracing::info!(file = %recovery.file.display(), what = ?recovery.what, "a write that was cut short is settled");
            settled.push(recovery);
        }
        Ok(settled)
    }

    async fn settle(&self, intent: &Intent) -> Result<Settled, Problem> {
        let file = &intent.file;
        let left = file::left_behind(file);
        let now = super::read(file)?;
        if let Some(theirs) = theirs(intent, now.bytes(), &left) {
            // We died between the exchange and the look at what came out.
            file::bring_back(theirs, file).map_err(|error| {
                Problem::new(ProblemKind::Unwritable, format!("{}: {error}", file.display()))
            })?;
            self.backups.close(intent)?;
            return Ok(Settled::LeftAlone);
        }
        for path in left {
            drop(fs::remove_file(path));
        }
        let held = digest(now.bytes());
        if held != intent.before && !intent.wrote(now.bytes()) {
            self.backups.close(intent)?;
            return Ok(Settled::LeftAlone);
        }
        let live = self.look().await.ok().filter(|live| live.file == *file);
        let has_it = live.as_ref().is_some_and(|live| live.info.mirrors() == intent.wanted);
        if held == intent.after && !intent.undoing && has_it && intent.wanted != intent.was {
            self.backups.commit(intent)?;
            return Ok(Settled::Committed);
        }
        if held == intent.before && !(has_it && intent.wanted != intent.was) {
            // It came to nothing, or was undone already.
            self.backups.abandon(intent)?;
            return Ok(Settled::PutBack);
        }
        let Some(old) = self.backups.before(intent)? else {
            let path = self.backups.before_path(file);
            let detail = format!("{}: the bytes to put back are gone: {}", file.display(), path.display());
            tracing::error!("{detail}");
            self.backups.close(intent)?;
            return Ok(Settled::LeftAlone);
        };
        let process = live.as_ref().and_then(|live| live.process.as_ref());
        let way = live.as_ref().and_then(|_| self.settings.reload.way(&self.settings.unit, process).ok());
        let undo = Undo { api: &self.api, backups: &self.backups, way: way.as_ref(), intent };
        undo.run(old.as_deref()).await.map_err(|cause| {
            let detail = format!("{}: the old file could not be put back: {cause}", file.display());
            Problem::new(ProblemKind::RollbackFailed, detail)
        })?;
        Ok(Settled::PutBack)
    }
}

/// Somebody else's file that an exchange of ours took out of its place: whole, and neither the bytes from
/// before nor ours. While undoing there may be half-written files of our own, so none is taken for it.
fn theirs<'a>(intent: &Intent, now: Option<&[u8]>, left: &'a [PathBuf]) -> Option<&'a Path> {
    if intent.undoing || digest(now) != intent.after {
        return None;
    }
    let is_theirs = |path: &&PathBuf| {
        let Ok(snapshot) = file::read(path) else { return false };
        let bytes = snapshot.bytes();
        let whole =
            bytes.is_some_and(|bytes| !bytes.trim_ascii().is_empty()) && Document::parse(bytes).is_ok();
        whole && digest(bytes) != intent.before && !intent.wrote(bytes)
    };
    left.iter().find(is_theirs).map(PathBuf::as_path)
}
