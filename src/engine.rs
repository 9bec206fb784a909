//! The engines whose mirror list is kept: what they are now, what would change, and the change itself.
//!
//! Applying is read → plan → validate → back up → replace → reload → verify, or roll back. Whatever fails,
//! the engine's file and the running engine stay as they were, and the [`Problem`] says why. An engine is
//! never restarted, and nobody but the engine's own socket is talked to.

pub mod docker;
mod shown;

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::image::Image;
use crate::observation::ImageStore;
use crate::reason::{ProblemKind, WarningKind};

pub use docker::Docker;
pub use docker::app::{App, Paste};

/// Why an engine does not have, or cannot be given, the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Which of the closed list; [`crate::text::engine`] knows what to do about each.
    pub kind: ProblemKind,
    /// English: the path or socket first, then the act, then the cause.
    pub detail: String,
}

impl Problem {
    pub(crate) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// What the engine's line in the status says after this problem.
    pub const fn state(&self) -> State {
        match self.kind {
            ProblemKind::NotRunning
            | ProblemKind::GivenUp
            | ProblemKind::CannotStart
            | ProblemKind::NoAnswer
            | ProblemKind::Raced
            | ProblemKind::Locked
            | ProblemKind::PendingEdits
            | ProblemKind::ReloadsSpent
            | ProblemKind::Applier => State::Pending,
            ProblemKind::NotTaken | ProblemKind::ReloadFailed => State::RolledBack,
            ProblemKind::NotPermitted
            | ProblemKind::BrokenFile
            | ProblemKind::NotEditable
            | ProblemKind::AnotherUsers
            | ProblemKind::Unreadable
            | ProblemKind::Unwritable
            | ProblemKind::FlagConflict
            | ProblemKind::AuthorizationPlugins
            | ProblemKind::ReloadBug
            | ProblemKind::FlagsReset
            | ProblemKind::Overridden
            | ProblemKind::InsideAnApp
            | ProblemKind::ValidationFailed
            | ProblemKind::RollbackFailed
            | ProblemKind::Contested => State::Refused,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Problem {}

/// What is worth knowing of an engine although it does not stand in the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Which of the closed list; [`crate::text::engine`] knows what to do about each.
    pub kind: WarningKind,
    /// What it is about: paths, flags, keys. May be empty.
    pub detail: String,
}

impl Warning {
    pub(crate) fn new(kind: WarningKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }
}

/// How an engine that has a problem stands to the selection; the word in status.json.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It will be applied when the engine is there, when the other writer is done, or when somebody's edits are
    /// taken.
    Pending,
    /// Nothing was written, for the reason in the problem.
    Refused,
    /// The engine could not be told, or did not take it, and the old file is in place.
    RolledBack,
}

/// How the engine goes out to the world.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outbound {
    /// Proxy for `http://` URLs.
    pub http: Option<String>,
    /// Proxy for `https://` URLs.
    pub https: Option<String>,
    /// Hosts that are reached directly, in Go's comma-separated form.
    pub no_proxy: Option<String>,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A proxy's URL may have a password in it, and debug output ends in logs.
        f.debug_struct("Outbound")
            .field("http", &self.http.is_some())
            .field("https", &self.https.is_some())
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

/// Where an engine's log can be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogSource {
    /// In the journal, as this unit's.
    Journal {
        /// `docker.service`, …
        unit: String,
        /// Whose systemd runs it, where that is not the system's.
        #[serde(default)]
        user: Option<u32>,
    },
    /// In this file.
    File(PathBuf),
    /// Nowhere, and why; English.
    Unreadable(String),
}

/// What an engine is, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// As in `docker version`.
    pub version: String,
    /// Where it keeps images, which decides what mirrors it can live with.
    pub store: ImageStore,
    /// The list that it uses now, without trailing slashes.
    pub mirrors: Vec<String>,
    /// The file that it reads its list from.
    pub file: PathBuf,
    /// The list in that file as it is written; `None` when the key is absent or the file cannot be read.
    pub listed: Option<Vec<String>>,
    /// The list that it was last given by us; `None`: never.
    pub given: Option<Vec<String>>,
    /// Its proxies.
    pub proxies: Outbound,
    /// Its process, where that can be told.
    pub pid: Option<i32>,
    /// Its log.
    pub log: LogSource,
    /// Images of Docker Hub that this host has, most recent first, at most 50; `None`: it did not say.
    pub images: Option<Vec<Image>>,
    /// Worth knowing.
    pub warnings: Vec<Warning>,
    /// The application that alone configures it, if there is one.
    pub app: Option<App>,
    /// What an apply would be refused for, as far as can be told without trying.
    pub refusal: Option<Problem>,
}

impl Facts {
    /// The list in the file, where that is another one than the engine uses; empty where the key is absent. Of a file that
    /// cannot be understood, or whose list is not what counts, nothing is said: the refusal says more.
    pub fn listed_elsewise(&self) -> Option<Vec<String>> {
        let listed = docker::normal(self.listed.as_deref().unwrap_or_default());
        (self.refusal.is_none() && listed != self.mirrors).then_some(listed)
    }
}

/// What would be done; the same value is then done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The file.
    pub file: PathBuf,
    /// Its bytes now; `None` when there is no file.
    pub before: Option<Vec<u8>>,
    /// Its bytes afterwards; `None` when there will be no file.
    pub after: Option<Vec<u8>>,
    /// The list that the engine will have, entries to keep first.
    pub mirrors: Vec<String>,
    /// Whether there is anything to do: write, reload or both.
    pub change: bool,
}

impl Plan {
    /// Whether the file changes; otherwise at most a reload is due.
    pub fn writes(&self) -> bool {
        self.before != self.after
    }

    /// The change of the file as a unified diff, without the logins of proxies; empty when the file does not change.
    pub fn diff(&self) -> String {
        if !self.writes() {
            return String::new();
        }
        let name = self.file.display().to_string();
        let side = |bytes: &Option<Vec<u8>>| match bytes {
            Some(bytes) => (name.clone(), shown::without_logins(&String::from_utf8_lossy(bytes))),
            None => ("/dev/null".to_owned(), String::new()),
        };
        let ((old_name, old), (new_name, new)) = (side(&self.before), side(&self.after));
        let diff = similar::TextDiff::from_lines(&old, &new);
        diff.unified_diff().header(&old_name, &new_name).to_string()
    }
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Whether anything was done at all.
    pub changed: bool,
    /// The list as it now stands in the file.
    pub mirrors: Vec<String>,
    /// Whether the engine itself lists exactly these. False only where reloading was left to somebody else.
    pub verified: bool,
    /// From the file's replacement to the engine's proof; `None` when nothing was reloaded.
    pub acknowledged: Option<Duration>,
}

/// Something that can be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// 0 is what stood there before we first wrote; the others count our writes.
    pub number: u64,
    /// When it was kept.
    pub kept_at: Option<SystemTime>,
    /// The size of the file in bytes; `None`: there was no file.
    pub size: Option<usize>,
    /// The list in it; `None`: the key was absent.
    pub mirrors: Option<Vec<String>>,
    /// What is kept cannot be read or is no daemon.json, and cannot be restored.
    pub damaged: bool,
}

/// What became of a write that was cut short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The engine's file, or for [`Settled::NotUnderstood`] what was written down about it.
    pub file: PathBuf,
    /// What became of it.
    pub what: Settled,
}

/// How a write that was cut short is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The engine has it, and it stands.
    Committed,
    /// The engine has it not: the file is as it was before.
    PutBack,
    /// Somebody else has written the file since, and that stands.
    LeftAlone,
    /// What was written down about it is damaged; nothing was touched, and it is put aside.
    NotUnderstood,
}
