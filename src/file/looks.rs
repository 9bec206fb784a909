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
            Err(Errno::PERM) if Modules::of_host().ignore(name) => {}
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

/// Which security modules the kernel asks.
struct Modules {
    /// `None` when the system's files do not show it.
    selinux: Option<bool>,
    /// All their names, separated by commas, if they can be read.
    names: Option<String>,
}

impl Modules {
    fn of_host() -> Self {
        let shown = Path::new("/sys/fs");
        Self {
            selinux: shown.is_dir().then(|| shown.join("selinux").exists()),
            names: std::fs::read_to_string("/sys/kernel/security/lsm").ok(),
        }
    }

    /// Whether this attribute is the label of a module that is not active, left over from another boot or another host.
    /// It means nothing here, and only who may do everything (`CAP_SYS_ADMIN`) may set it.
    fn ignore(&self, attribute: &[u8]) -> bool {
        let Some(label) = attribute.strip_prefix(b"security.") else { return false };
        let label = label.to_ascii_lowercase();
        // Smack has several, all of which begin with its name.
        let listed = self.names.as_ref().map(|names| {
            names.trim().split(',').any(|name| !name.is_empty() && label.starts_with(name.as_bytes()))
        });
        let active = if label == b"selinux" { self.selinux.or(listed) } else { listed };
        active == Some(false)
    }
}

/// Calls an xattr function with a buffer that is large enough: 64 KiB is the kernel's own limit.
fn attribute(call: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Vec<u8>> {
    let mut buffer = vec![0; 64 << 10];
    let length = call(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_label_of_a_module_that_is_not_active_may_be_left_behind() {
        #[track_caller]
        fn check(selinux: Option<bool>, names: Option<&str>, attribute: &str, expected: bool) {
            let modules = Modules { selinux, names: names.map(str::to_owned) };
            assert_eq!(modules.ignore(attribute.as_bytes()), expected, "{attribute}: {selinux:?}, {names:?}");
        }
        let debian = Some("lockdown,capability,landlock,yama,apparmor,tomoyo,bpf,ipe\n");
        check(Some(false), debian, "security.selinux", true);
        check(Some(false), debian, "security.SMACK64", true);
        check(Some(false), debian, "security.SMACK64EXEC", true);
        // Where the label counts, a file without it may be one that dockerd cannot read.
        check(Some(true), debian, "security.selinux", false);
        check(Some(true), None, "security.selinux", false);
        check(Some(false), debian, "security.apparmor", false);
        check(Some(false), debian, "security.capability", false);
        check(Some(false), Some("capability,smack\n"), "security.SMACK64EXEC", false);
        // What cannot be known may count; and the names are enough for SELinux too.
        check(None, None, "security.selinux", false);
        check(Some(false), None, "security.selinux", true);
        check(Some(false), None, "security.SMACK64", false);
        check(None, debian, "security.selinux", true);
        check(None, Some("capability,selinux"), "security.selinux", false);
        // Nor is it of any concern what is no label.
        check(Some(false), debian, "trusted.overlay.opaque", false);
        check(Some(false), debian, "user.comment", false);
        check(Some(false), debian, "system.posix_acl_access", false);
    }
}
