//! What kept the store from what it was to do, as data: the service goes on without.

use std::fmt;
use std::path::{Path, PathBuf};

use rusqlite::{Error, ErrorCode};

use crate::text::detail::detail;
use crate::text::{Lang, store as words};

/// What was in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetbackKind {
    /// The database contradicts itself, or is no database at all.
    Damaged,
    /// A database, and another program's.
    Foreign,
    /// A newer mirrorwatch wrote it, in a schema that this one does not know.
    Newer,
    /// There is none yet; only for who only reads.
    Missing,
    /// We may not.
    NotPermitted,
    /// The file system is mounted read-only, or the store was opened to read.
    ReadOnly,
    /// No space is left.
    Full,
    /// Another process kept it locked for longer than we wait.
    Busy,
    /// Somebody removed or replaced the file while it was open.
    Replaced,
    /// Anything else; the detail says it.
    Unusable,
}

impl SetbackKind {
    /// Whether the file's content is at fault, so that another file in its place would do.
    pub(super) const fn is_the_content(self) -> bool {
        match self {
            Self::Damaged | Self::Foreign | Self::Newer => true,
            Self::Missing
            | Self::NotPermitted
            | Self::ReadOnly
            | Self::Full
            | Self::Busy
            | Self::Replaced
            | Self::Unusable => false,
        }
    }
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// The old file stands under this path now and a new one was begun.
    SetAside(PathBuf),
    /// A new file was begun; there was nothing to set aside.
    BegunAnew,
    /// Everything is kept in memory, and tried again on disk at every [`tidy`](super::Store::tidy).
    InMemory,
    /// The last write was lost; what follows is tried again.
    NotSaved,
    /// Nothing can be read.
    NotRead,
}

/// What was in the way, and what became of it. Printed in English, path first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setback {
    /// What was in the way.
    pub kind: SetbackKind,
    /// The database's path.
    pub path: PathBuf,
    /// The cause in the words of SQLite or the system, in English; may be empty.
    pub detail: String,
    /// What became of it.
    pub consequence: Consequence,
}

impl Setback {
    pub(super) fn new(
        kind: SetbackKind,
        path: &Path,
        detail: impl Into<String>,
        consequence: Consequence,
    ) -> Self {
        Self { kind, path: path.to_owned(), detail: detail.into(), consequence }
    }

    /// SQLite's error, as it looks to who wanted to write.
    pub(super) fn of(error: &Error, path: &Path, consequence: Consequence) -> Self {
        let kind = match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => SetbackKind::Damaged,
            Some(ErrorCode::ReadOnly) => unwritable(path),
            Some(ErrorCode::DiskFull) => SetbackKind::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => SetbackKind::Busy,
            Some(ErrorCode::PermissionDenied) => SetbackKind::NotPermitted,
            Some(ErrorCode::CannotOpen) => barred(path).unwrap_or(SetbackKind::Unusable),
            // A disk without room for the shared index of the write-ahead log fails here and not as full.
            Some(ErrorCode::SystemIoFailure) if is_shm_size(error) => SetbackKind::Full,
            Some(_) | None => SetbackKind::Unusable,
        };
        Self::new(kind, path, error.to_string(), consequence)
    }

    /// An error of the file system.
    pub(super) fn of_io(error: &std::io::Error, path: &Path, consequence: Consequence) -> Self {
        use rustix::io::Errno;
        let kind = match Errno::from_io_error(error) {
            Some(Errno::ACCESS | Errno::PERM) => SetbackKind::NotPermitted,
            Some(Errno::ROFS) => SetbackKind::ReadOnly,
            Some(Errno::NOSPC | Errno::DQUOT) => SetbackKind::Full,
            Some(_) | None => SetbackKind::Unusable,
        };
        Self::new(kind, path, error.to_string(), consequence)
    }

    pub(super) fn with(self, consequence: Consequence) -> Self {
        Self { consequence, ..self }
    }

    /// What it means to a process that is about to end: that what it wrote is lost. `None`: it was kept.
    pub fn loss(self) -> Option<Self> {
        match self.consequence {
            Consequence::InMemory | Consequence::NotSaved => Some(self.with(Consequence::NotSaved)),
            Consequence::SetAside(_) | Consequence::BegunAnew | Consequence::NotRead => None,
        }
    }

    /// The setback in the reader's language, with a hint where we know one.
    pub fn render(&self, lang: Lang) -> String {
        let detail = &*detail(lang, &self.detail);
        let what = match self.kind {
            SetbackKind::Damaged => words::damaged(lang, detail),
            SetbackKind::Foreign => words::foreign(lang, detail),
            SetbackKind::Newer => words::newer(lang, detail),
            SetbackKind::Missing => words::missing(lang),
            SetbackKind::NotPermitted => words::not_permitted(lang),
            SetbackKind::ReadOnly => words::read_only(lang),
            SetbackKind::Full => words::full(lang),
            SetbackKind::Busy => words::busy(lang),
            SetbackKind::Replaced => words::replaced(lang),
            SetbackKind::Unusable => words::unusable(lang, detail),
        };
        let path = self.path.display();
        match &self.consequence {
            Consequence::SetAside(aside) => words::set_aside(lang, path, &what, aside.display()),
            Consequence::BegunAnew => words::begun_anew(lang, path, &what),
            Consequence::InMemory => words::in_memory(lang, path, &what),
            Consequence::NotSaved => words::not_saved(lang, path, &what),
            Consequence::NotRead => words::not_read(lang, path, &what),
        }
    }
}

/// Why the directory of `path` takes no new file, where that is a matter of rights; SQLite says only that
/// it could not open.
fn barred(path: &Path) -> Option<SetbackKind> {
    use rustix::fs::{Access, access};
    let dir = path.parent()?;
    match access(dir, Access::WRITE_OK | Access::EXEC_OK) {
        Err(rustix::io::Errno::ROFS) => Some(SetbackKind::ReadOnly),
        Err(rustix::io::Errno::ACCESS | rustix::io::Errno::PERM) => Some(SetbackKind::NotPermitted),
        Ok(()) | Err(_) => None,
    }
}

/// Why a file that SQLite has open to read only is so: it tries that by itself where it may not write.
pub(super) fn unwritable(path: &Path) -> SetbackKind {
    use rustix::fs::{Access, access};
    match access(path, Access::WRITE_OK) {
        Err(rustix::io::Errno::ACCESS | rustix::io::Errno::PERM) => SetbackKind::NotPermitted,
        Ok(()) | Err(_) => SetbackKind::ReadOnly,
    }
}

fn is_shm_size(error: &Error) -> bool {
    matches!(error, Error::SqliteFailure(failure, _)
        if failure.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE)
}

impl fmt::Display for Setback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Lang::En))
    }
}

impl std::error::Error for Setback {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::detail::detail;

    #[test]
    fn causes_of_ours_are_told_in_chinese_too() {
        let path = Path::new("/s/state.db");
        for (kind, cause, chinese) in [
            (SetbackKind::Foreign, "another program's tables", "其中是其他程序的表"),
            (SetbackKind::Newer, "schema 9, this one knows up to 3", "格式版本 9，此程序最高支持 3"),
        ] {
            let setback = Setback::new(kind, path, cause, Consequence::NotRead);
            let (english, told) = (setback.render(Lang::En), setback.render(Lang::Zh));
            assert!(english.contains(cause) && told.contains(chinese), "{english} / {told}");
            assert_eq!(detail(Lang::Zh, &english), told);
        }
    }

    #[test]
    fn what_the_status_has_in_english_is_read_back_in_chinese() {
        let kinds = [
            SetbackKind::Damaged,
            SetbackKind::Foreign,
            SetbackKind::Newer,
            SetbackKind::NotPermitted,
            SetbackKind::ReadOnly,
            SetbackKind::Full,
            SetbackKind::Busy,
            SetbackKind::Replaced,
            SetbackKind::Unusable,
        ];
        let consequences = [
            Consequence::SetAside(PathBuf::from("/s/state.db.damaged-1")),
            Consequence::BegunAnew,
            Consequence::InMemory,
            Consequence::NotSaved,
            Consequence::NotRead,
        ];
        for (kind, consequence) in
            kinds.iter().flat_map(|kind| consequences.iter().map(move |it| (*kind, it)))
        {
            let setback = Setback::new(kind, Path::new("/s/state.db"), "disk I/O error", consequence.clone());
            assert_eq!(detail(Lang::En, &setback.to_string()), setback.to_string());
            assert_eq!(detail(Lang::Zh, &setback.to_string()), setback.render(Lang::Zh));
        }
    }
}
