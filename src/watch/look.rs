//! What `stat` says of every path: two looks that are equal mean that nothing was changed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Some files and directories, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look(Vec<Sight>);

/// One path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Sight {
    /// Nothing there, or nothing that we may see.
    Nothing,
    File(Stamp),
    /// Which directory, and the files in it. Its own times say no more than these, and they change with
    /// every file that comes and goes unseen between two looks, such as an editor's swap file.
    Directory {
        device: u64,
        inode: u64,
        files: BTreeMap<OsString, Option<Stamp>>,
    },
}

/// Changes whenever a file's content, mode or owner does, and not when it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Look {
    /// Looks at each of them, through links.
    pub fn at(paths: &[PathBuf]) -> Self {
        Self(paths.iter().map(|path| sight(path)).collect())
    }
}

fn sight(path: &Path) -> Sight {
    let Ok(metadata) = fs::metadata(path) else { return Sight::Nothing };
    if !metadata.is_dir() {
        return Sight::File(Stamp::of(&metadata));
    }
    let files = fs::read_dir(path)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        // Through links, as the content is read.
        .map(|entry| (entry.file_name(), fs::metadata(entry.path()).ok().map(|file| Stamp::of(&file))))
        .collect();
    Sight::Directory { device: metadata.dev(), inode: metadata.ino(), files }
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}
