//! The thread that is made for one change of the engine's file: confined to what it has to write, once it has seen where
//! that lies, and gone afterwards. It talks to nobody but the engine.

use std::path::{Path, PathBuf};

use super::backup::Lock;
use super::{Docker, Live};
use crate::confine::{self, outside};
use crate::engine::Problem;
use crate::file;
use crate::reason::ProblemKind;

impl Docker {
    /// Does `work` on such a thread.
    pub(super) async fn alone<T, Work>(
        &self,
        work: impl FnOnce(Self) -> Work + Send + 'static,
    ) -> Result<T, Problem>
    where
        T: Send + 'static,
        Work: Future<Output = Result<T, Problem>>,
    {
        let docker = self.clone();
        outside::alone(move || work(docker)).await.unwrap_or_else(|error| {
            let detail = format!("{}: no thread to write with: {error}", self.settings.config_file.display());
            Err(Problem::new(ProblemKind::Unwritable, detail))
        })
    }

    /// Takes the lock, looks, confines this thread, and settles what a process of ours has left that died.
    pub(super) async fn begin(&self) -> Result<(Lock, Live), Problem> {
        let lock = self.backups.lock()?;
        let mut live = self.look().await;
        self.confine(live.as_ref().ok());
        if !self.reconcile().await?.is_empty() {
            live = self.look().await;
        }
        Ok((lock, live?))
    }

    /// Leaves this thread the state directory, that of the engine's file as it lies now, and those of files that are to be
    /// settled. One that is missing will be made, so for this one change what it is made in is open.
    pub(super) fn confine(&self, live: Option<&Live>) {
        let intents = self.backups.intents().into_iter().filter_map(|path| self.backups.intent(&path).ok());
        let files = intents.map(|intent| intent.file).chain(live.map(|live| live.file.clone()));
        let homes: Vec<PathBuf> = files.map(|file| file::home(&file)).collect();
        let ours = [&*self.state_dir, self.backups.directory()];
        let places: Vec<&Path> = ours.into_iter().chain(homes.iter().map(PathBuf::as_path)).collect();
        if let Err(why) = confine::to(&places) {
            tracing::debug!("the thread that writes the engine's file is not confined: {why}");
        }
    }
}
