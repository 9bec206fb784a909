//! What the prober may say, and how it is read by somebody who does not believe it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

/// The form of requests and reports; both processes are one binary, so another one is a mistake.
pub const FORMAT: u32 = 2;

/// Fifty names of a few dozen bytes are what a request has at most.
pub const MAX_BYTES: usize = 64 << 10;

/// The request's name in the prober's runtime directory.
pub(super) const FILE: &str = "request.json";

/// What crosses the boundary, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// [`FORMAT`].
    pub format: u32,
    /// Differs from request to request; the answer has it too.
    pub number: u64,
    /// Mirrors in the order in which the engine is to have them. `None`: only look at the engine.
    pub list: Option<Vec<Named>>,
}

/// A mirror that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// What it is called, for people.
    pub name: String,
    /// What is to be given to the engine, if a mirror of mirrors.toml is there, or an entry of the engine's file was.
    pub url: String,
}

/// The bytes of the request; `None` when there is none.
///
/// # Errors
/// English, why what lies there is not read: a link, not a regular file, another user's, too large.
pub(super) fn read(directory: &Path) -> Result<Option<Vec<u8>>, String> {
    let path = directory.join(FILE);
    // Neither a link that leads elsewhere is followed, nor a pipe waited for.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).expect("the flags of open are small numbers");
    let said = |cause: &dyn std::fmt::Display| format!("{}: not read: {cause}", path.display());
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(said(&error)),
    };
    let owner = std::fs::metadata(directory).map_err(|error| said(&error))?.uid();
    bytes(file, owner).map(Some).map_err(|cause| said(&cause))
}

fn bytes(file: File, owner: u32) -> Result<Vec<u8>, String> {
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("not a regular file".to_owned());
    }
    // Another name of somebody else's file: what stands in that is not for the prober to have told.
    if ![0, owner].contains(&metadata.uid()) || metadata.nlink() != 1 {
        return Err("not the service's own file".to_owned());
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_BYTES).expect("a small number") + 1;
    file.take(limit).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() > MAX_BYTES {
        return Err(format!("more than {MAX_BYTES} bytes"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::{Durability, publish};

    #[test]
    fn only_a_small_file_of_the_services_own_is_read() {
        let place = tempfile::tempdir().unwrap();
        let (dir, path) = (place.path(), place.path().join(FILE));
        assert_eq!(read(dir), Ok(None));
        publish(dir, FILE, b"{}", Durability::Cached).unwrap();
        assert_eq!(read(dir), Ok(Some(b"{}".to_vec())));
        publish(dir, FILE, &vec![b' '; MAX_BYTES], Durability::Cached).unwrap();
        assert!(read(dir).is_ok());
        publish(dir, FILE, &vec![b' '; MAX_BYTES + 1], Durability::Cached).unwrap();
        assert!(read(dir).unwrap_err().ends_with("more than 65536 bytes"));
        std::fs::hard_link(&path, dir.join("other")).unwrap();
        assert!(read(dir).unwrap_err().ends_with("not the service's own file"));
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("other", &path).unwrap();
        assert!(read(dir).is_err(), "a link is not followed");
        std::fs::remove_file(&path).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
        assert!(read(dir).unwrap_err().ends_with("not a regular file"));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(read(dir).unwrap_err().ends_with("not a regular file"));
    }

    #[test]
    fn another_users_file_is_not_read() {
        let place = tempfile::tempdir().unwrap();
        publish(place.path(), FILE, b"{}", Durability::Cached).unwrap();
        let path = place.path().join(FILE);
        let owner = std::fs::metadata(&path).unwrap().uid();
        assert!(bytes(File::open(&path).unwrap(), owner).is_ok());
        if owner != 0 {
            assert!(bytes(File::open(&path).unwrap(), owner + 1).is_err());
        } else {
            // Root's own are read whoever's the directory is; give it to somebody else.
            std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
            assert!(bytes(File::open(&path).unwrap(), 1).is_err());
        }
    }
}
