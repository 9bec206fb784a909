//! Which directories have to be watched, and for which names.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// The directories by their real paths, so that two ways to one directory are one watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Aim {
    directories: BTreeMap<PathBuf, Target>,
    /// The first directory that no notification comes from.
    out_of_sight: Option<String>,
}

/// One directory.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    /// Which directory it was.
    device: u64,
    inode: u64,
    names: Names,
}

/// What in a directory is of interest.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Names {
    These(BTreeSet<OsString>),
    All,
}

impl Aim {
    pub(super) fn at(paths: &[PathBuf]) -> Self {
        let mut aim = Self::default();
        for path in paths {
            aim.add_file(path);
            if path.is_dir() {
                aim.add_directory(path);
            }
        }
        aim
    }

    /// The directories to watch.
    pub(super) fn directories(&self) -> impl Iterator<Item = &Path> {
        self.directories.keys().map(PathBuf::as_path)
    }

    /// Why watching these directories is not enough.
    pub(super) fn out_of_sight(&self) -> Option<String> {
        self.out_of_sight.clone()
    }

    /// Whether what happened to `path` can matter.
    pub(super) fn covers(&self, path: &Path) -> bool {
        // A directory itself: it was moved, removed, or its mode was changed.
        if self.directories.contains_key(path) {
            return true;
        }
        let target = path.parent().and_then(|parent| self.directories.get(parent));
        target.is_some_and(|target| match &target.names {
            Names::All => true,
            Names::These(names) => path.file_name().is_some_and(|name| names.contains(name)),
        })
    }

    /// The name in its directory, each link on the way there, which may be turned, and the name that it all leads to.
    fn add_file(&mut self, path: &Path) {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return };
        let Ok(real_parent) = parent.canonicalize() else {
            self.out_of_sight.get_or_insert_with(|| format!("{}: no such directory", parent.display()));
            return;
        };
        for place in way(path).into_iter().chain([real_parent.join(name)]) {
            if let (Some(directory), Some(name)) = (place.parent(), place.file_name()) {
                self.add(directory, Some(name.to_owned()));
            }
        }
    }

    /// Everything directly in it, and what its links lead to.
    fn add_directory(&mut self, path: &Path) {
        let Ok(real) = path.canonicalize() else { return };
        self.add(&real, None);
        for entry in fs::read_dir(&real).into_iter().flatten().filter_map(Result::ok) {
            if entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
                self.add_file(&entry.path());
            }
        }
    }

    /// `None` stands for every name.
    fn add(&mut self, directory: &Path, name: Option<OsString>) {
        // Most files lie together, and each connect is an occasion to look: asked once of each directory.
        if !self.directories.contains_key(directory) {
            let Ok(metadata) = fs::metadata(directory) else { return };
            if is_elsewhere(directory) {
                self.out_of_sight
                    .get_or_insert_with(|| format!("{}: a network file system", directory.display()));
            }
            let (device, inode) = (metadata.dev(), metadata.ino());
            let names = Names::These(BTreeSet::new());
            self.directories.insert(directory.to_owned(), Target { device, inode, names });
        }
        let Some(target) = self.directories.get_mut(directory) else { return };
        match (&mut target.names, name) {
            (Names::All, _) => {}
            (names, None) => *names = Names::All,
            (Names::These(names), Some(name)) => {
                names.insert(name);
            }
        }
    }
}

/// The links on the way to `path`, each in its real directory, and where it ends: its own directory may be one, or the file
/// may be reached through several, as that of a mounted ConfigMap.
fn way(path: &Path) -> Vec<PathBuf> {
    /// The kernel follows no more either (`path_resolution(7)`).
    const MOST: usize = 40;
    let mut links = Vec::new();
    let mut real = PathBuf::new();
    let mut ahead: Vec<PathBuf> = vec![path.to_owned()];
    while let Some(next) = ahead.pop() {
        let mut components = next.components();
        let Some(component) = components.next() else { continue };
        ahead.push(components.as_path().to_owned());
        match component {
            Component::ParentDir => {
                real.pop();
            }
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) | Component::Normal(_) => real.push(component),
        }
        if let Ok(target) = fs::read_link(&real)
            && links.len() < MOST
        {
            links.push(real.clone());
            real.pop();
            ahead.push(target);
        }
    }
    links.push(real);
    links
}

/// Whether the directory lies where others can write without this kernel's knowing: no notification comes.
fn is_elsewhere(directory: &Path) -> bool {
    /// NFS, SMB 1 to 3, CIFS, 9P, FUSE, Ceph, AFS (`statfs(2)` and the kernel's `magic.h`).
    const ELSEWHERE: [u32; 8] = [
        0x0000_6969,
        0x0000_517b,
        0xfe53_4d42,
        0xff53_4d42,
        0x0102_1997,
        0x6573_5546,
        0x00c3_6400,
        0x5346_414f,
    ];
    rustix::fs::statfs(directory).is_ok_and(|fs| ELSEWHERE.iter().any(|magic| i64::from(*magic) == fs.f_type))
}
