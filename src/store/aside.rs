//! Databases that were set aside: named after the moment, kept for who wants to look.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::row;
use crate::timestamp::Timestamp;

/// How many are kept.
const KEPT: usize = 3;

/// SQLite's files beside a database.
pub(super) const ENDINGS: [&str; 3] = ["-journal", "-wal", "-shm"];

/// `path` with an ending such as `-wal`.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Gives the database at `path` another name, `….damaged-20261120T120000Z`, and returns it. Nothing is
/// deleted but what was set aside before the last [`KEPT`] times.
pub(super) fn set_aside(path: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let stamp: String = row::time(now)[..19].chars().filter(char::is_ascii_alphanumeric).collect();
    let name = beside(path, &format!(".damaged-{stamp}Z"));
    let aside = std::iter::once(name.clone())
        .chain((2..).map(|n| beside(&name, &format!("-{n}"))))
        .find(|name| name.symlink_metadata().is_err())
        .expect("the numbers do not run out");
    // The log goes first: one that stayed behind would be played into the next database.
    for ending in ENDINGS {
        match fs::rename(beside(path, ending), beside(&aside, ending)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    fs::rename(path, &aside)?;
    forget_oldest(path, &aside);
    Ok(aside)
}

fn forget_oldest(path: &Path, newest: &Path) {
    let (Some(dir), Some(file)) = (path.parent(), path.file_name()) else { return };
    let prefix = format!("{}.damaged-", file.to_string_lossy());
    let is_aside = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(&prefix) && !ENDINGS.iter().any(|ending| name.ends_with(ending)) && path != newest
    };
    let mut others: Vec<PathBuf> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(is_aside)
        .collect();
    // Their names sort by time.
    others.sort();
    for old in others.iter().rev().skip(KEPT - 1) {
        for ending in ENDINGS.into_iter().chain([""]) {
            // A leftover that cannot be removed does no harm.
            let _ = fs::remove_file(beside(old, ending));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_goes_with_its_database_when_it_is_set_aside_and_when_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let mut names = Vec::new();
        for day in 1..=4 {
            for ending in ENDINGS.into_iter().chain([""]) {
                let make = fs::OpenOptions::new().create_new(true).write(true).open(beside(&path, ending));
                make.unwrap();
            }
            let aside = set_aside(&path, format!("2026-11-0{day}T00:00:00Z").parse().unwrap()).unwrap();
            names.push(aside.file_name().unwrap().to_str().unwrap().to_owned());
        }
        let mut expected: Vec<String> = names[1..]
            .iter()
            .flat_map(|name| ["", "-journal", "-shm", "-wal"].map(|ending| format!("{name}{ending}")))
            .collect();
        expected.sort();
        let mut found: Vec<String> = fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort();
        assert_eq!(found, expected);
    }
}
