//! What a file looks like beside its bytes: owner, mode, extended attributes, and the access control list and
//! the security label that ride on them. All of it goes over to the file that takes its place.

use std::fs::{File, Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{Gid, Uid, XattrFlags};
use rustix::io::Errno;
use tempfile::NamedTempFile;

/// Where the kernel keeps a file's access control list.
pub(super) const ACL: &[u8] = b"system.posix_acl_access";

/// The mode of a file that was not there before: engines' configuration and status are world-readable.
const NEW_MODE: u32 = 0o644;

/// Gives the temporary file its bytes and the looks of the file it will replace, durably.
pub(super) fn fill(
    temp: &NamedTempFile,
    bytes: &[u8],
    old: Option<&Metadata>,
    target: &Path,
) -> io::Result<()> {
    let mut file = temp.as_file();
    file.write_all(bytes)?;
    if let Some(old) = old {
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
            rustix::fs::fchown(file, Some(Uid::from_raw(old.uid())), Some(Gid::from_raw(old.gid())))?;
        }
        copy_attributes(&File::open(target)?, file)?;
    }
    // Last, because a change of owner clears mode bits.
    let mode = old.map_or(NEW_MODE, |old| old.mode() & 0o7777);
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

/// Copies extended attributes: ACLs and SELinux labels ride on them.
fn copy_attributes(from: &File, to: &File) -> io::Result<()> {
    let names = match attribute(|buffer| rustix::fs::flistxattr(from, buffer)) {
        Ok(names) => names,
        Err(Errno::NOTSUP) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        // These two are signatures of the content; copied to other bytes they would lock the file up.
        if name == b"security.ima" || name == b"security.evm" {
            continue;
        }
        let value = attribute(|buffer| rustix::fs::fgetxattr(from, name, buffer))?;
        let already = attribute(|buffer| rustix::fs::fgetxattr(to, name, buffer));
        if already.is_ok_and(|already| already == value) {
            continue;
        }
        match rustix::fs::fsetxattr(to, name, &value, XattrFlags::empty()) {
            Ok(()) | Err(Errno::NOTSUP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // A directory's default ACL is given to every new file in it, and the old file may be without one.
    if !names.split(|byte| *byte == 0).any(|name| name == ACL) {
        match rustix::fs::fremovexattr(to, ACL) {
            Ok(()) | Err(Errno::NODATA | Errno::NOTSUP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Calls an xattr function with a buffer that is large enough: 64 KiB is the kernel's own limit.
fn attribute(call: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Vec<u8>> {
    let mut buffer = vec![0; 64 << 10];
    let length = call(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}
