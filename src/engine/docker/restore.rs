//! The way back: to what stood in the file before the first write, or before one of the last ten.

use std::path::Path;
use std::time::Duration;

use super::edit::{self, Document, EditError};
use super::log::Mark;
use super::reload::Way;
use super::transact::{Outcome, Transaction, raced};
use super::{ATTEMPTS, Docker, Live, broken, major, normal, read};
use crate::engine::{Applied, Generation, Plan, Problem};
use crate::file::Snapshot;
use crate::reason::ProblemKind;

impl Docker {
    /// Everything that can be restored: what stood there before the first write in front, then from old to new.
    ///
    /// # Errors
    /// What is kept cannot be read.
    pub async fn generations(&self) -> Result<Vec<Generation>, Problem> {
        // An engine that is away still has a past.
        let file = self.look().await.map_or_else(|_| self.settings.config_file.clone(), |live| live.file);
        let kept = self.backups.kept(&file)?;
        Ok(kept
            .into_iter()
            .map(|kept| {
                let bytes = kept.bytes.as_ref().ok().and_then(Option::as_deref);
                let document = kept.bytes.is_ok().then(|| Document::parse(bytes).ok()).flatten();
                Generation {
                    number: kept.number,
                    kept_at: kept.at,
                    size: bytes.map(<[u8]>::len),
                    damaged: document.is_none(),
                    mirrors: document.and_then(|document| document.listed()),
                }
            })
            .collect())
    }

    /// Whether nothing was ever written that could be put back. dockerd is not asked.
    ///
    /// # Errors
    /// What is kept cannot be seen.
    pub fn has_nothing_to_restore(&self) -> Result<bool, Problem> {
        self.backups.is_empty()
    }

    /// The same, asked by somebody who could restore.
    ///
    /// # Errors
    /// Nothing can be written down here.
    pub fn has_nothing_to_restore_now(&self) -> Result<bool, Problem> {
        match self.backups.lock() {
            Ok(_lock) => self.backups.is_empty(),
            // It is being written this moment.
            Err(problem) if problem.kind == ProblemKind::Locked => Ok(false),
            Err(problem) => Err(problem),
        }
    }

    /// What [`Self::restore`] would do.
    ///
    /// # Errors
    /// Why it would do nothing.
    pub async fn plan_restore(&self, number: u64) -> Result<Plan, Problem> {
        let live = self.look().await?;
        let snapshot = self.settled(&live.file).await?;
        self.restoration(&live, &snapshot, number)
    }

    /// Puts back what stood in the file before write `number` of ours, 0 and 1 being the first: its bytes, if
    /// since then only our value has changed, else our value alone. What was kept is kept on.
    ///
    /// Must be awaited to its end, as [`Self::apply`].
    ///
    /// # Errors
    /// As [`Self::apply`]; and that number is not kept.
    pub async fn restore(&self, number: u64) -> Result<Applied, Problem> {
        self.alone(move |docker| async move { docker.restore_alone(number).await }).await
    }

    async fn restore_alone(&self, number: u64) -> Result<Applied, Problem> {
        let (_lock, mut live) = self.begin().await?;
        let mut attempt = 1;
        loop {
            match self.restore_once(&live, number).await {
                // What is to be put back follows from what is there, which is another file now.
                Err(problem) if problem.kind == ProblemKind::Raced && attempt < ATTEMPTS => attempt += 1,
                // The race was lost after the engine had taken the first step.
                Ok(applied) if attempt > 1 => return Ok(Applied { changed: true, ..applied }),
                done => return done,
            }
            live = self.look().await?;
        }
    }

    async fn restore_once(&self, live: &Live, number: u64) -> Result<Applied, Problem> {
        let snapshot = self.settled(&live.file).await?;
        let plan = self.restoration(live, &snapshot, number)?;
        if !plan.change {
            return Ok(Applied { changed: false, mirrors: plan.mirrors, verified: true, acknowledged: None });
        }
        let lacks_key = |bytes| Document::parse(bytes).is_ok_and(|document| document.listed().is_none());
        if let Some(after) = plan.after.as_deref().filter(|after| !lacks_key(Some(after))) {
            let outcome = self.carry_out(live, &snapshot, after, &plan.mirrors).await?;
            return self.applied(true, plan.mirrors, outcome).await;
        }
        // A reload of a file without the key changes nothing, so an empty list is applied first; then the key
        // can go, and dockerd need not be told.
        let document = Document::parse(snapshot.bytes()).map_err(|error| broken(&live.file, &error))?;
        if live.info.mirrors().is_empty() {
            self.finish(live, &snapshot, plan.after.as_deref()).await?;
            return self.applied(true, plan.mirrors, Outcome::Proven(Duration::ZERO)).await;
        }
        let emptied = document.with(&[]);
        let outcome = self.carry_out(live, &snapshot, &emptied, &[]).await?;
        let now = read(&live.file)?;
        if now.bytes() != Some(&emptied) {
            return Err(raced(&live.file));
        }
        self.finish(live, &now, plan.after.as_deref()).await?;
        self.applied(true, plan.mirrors, outcome).await
    }

    /// Takes the key, or the file, out from under an empty list.
    async fn finish(&self, live: &Live, emptied: &Snapshot, after: Option<&[u8]>) -> Result<(), Problem> {
        let transaction = Transaction {
            api: &self.api,
            backups: &self.backups,
            file: &live.file,
            way: &Way::Nobody,
            mark: Mark::Nowhere,
            before: emptied,
            was: &[],
        };
        transaction.run_quietly(after).await
    }

    /// Edits of others that wait for a reload do not stand in the way: whoever restores is the administrator.
    fn restoration(&self, live: &Live, snapshot: &Snapshot, number: u64) -> Result<Plan, Problem> {
        let before = snapshot.bytes().map(<[u8]>::to_vec);
        let Some(kept) = self.backups.generation(&live.file, number)? else {
            if number > 0 {
                let path = self.backups.generation_path(&live.file, number);
                let detail = format!("{}: not kept any more, or never was", path.display());
                return Err(Problem::new(ProblemKind::Unreadable, detail));
            }
            let (file, mirrors) = (live.file.clone(), live.info.mirrors());
            return Ok(Plan { file, after: before.clone(), before, mirrors, change: false });
        };
        let document = Document::parse(snapshot.bytes()).map_err(|error| broken(&live.file, &error))?;
        if let Some(problem) = live.scene(&document).refusal() {
            return Err(problem);
        }
        // dockerd 20.10 does not start with an empty file, which a disk can make of any; to all others it is the same.
        let blank = kept.as_ref().is_some_and(|bytes| bytes.trim_ascii().is_empty());
        let refuses = major(&live.info.server_version).is_some_and(|major| major < 26);
        let original = if blank && refuses { Some(&b"{}\n"[..]) } else { kept.as_deref() };
        let path = self.backups.generation_path(&live.file, number);
        let listed = Document::parse(original).map_err(|error| lost(&path, &error))?.listed();
        let mirrors = normal(&listed.unwrap_or_default());
        let after = edit::put_back(snapshot.bytes(), original).map_err(|error| broken(&live.file, &error))?;
        let change = before != after || live.info.mirrors() != mirrors;
        Ok(Plan { file: live.file.clone(), before, after, mirrors, change })
    }
}

/// What is kept is no daemon.json, and was one when it was kept.
fn lost(path: &Path, error: &EditError) -> Problem {
    Problem::new(
        ProblemKind::Unreadable,
        format!("{}: is damaged, nothing was restored: {error}", path.display()),
    )
}
