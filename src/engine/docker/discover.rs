//! Which process is this dockerd, and what was it told: its own command line, not what we were told of it.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What dockerd reads unless its command line says otherwise.
const DEFAULT_FILE: &str = "/etc/docker/daemon.json";

/// Where snapd keeps what a snap may write: a directory for each revision, and a link to the one that runs.
const SNAPS: &str = "/var/snap";

/// A running dockerd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pid: i32,
    /// Clock ticks from boot to its start: with the pid, this names one process for ever.
    started: u64,
    arguments: Vec<String>,
}

impl Process {
    /// The dockerd behind a socket: its listener, or under socket activation the one of the pid file, or the
    /// only one there is.
    ///
    /// `None` when the listener is somebody else, such as a proxy: then any dockerd we could find beside it
    /// need not be the one that answers, and its file must not be written on a guess.
    pub(super) fn find(listener: Option<i32>, pid_file: &Path) -> Option<Self> {
        let listener = listener?;
        if !name_of(listener).is_some_and(|name| name == "systemd" || name == "init") {
            return Self::read(listener);
        }
        let named: Option<i32> = fs::read_to_string(pid_file).ok().and_then(|pid| pid.trim().parse().ok());
        named.and_then(Self::read).or_else(|| match &Self::all()[..] {
            [only] => Some(only.clone()),
            [] | [_, _, ..] => None,
        })
    }

    /// Every dockerd that runs beside us; those inside containers are not meant.
    pub(super) fn all() -> Vec<Self> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter_map(Self::read).filter(Self::shares_our_namespace).collect()
    }

    /// The process `pid`, if it is a dockerd.
    fn read(pid: i32) -> Option<Self> {
        // NixOS wraps it; the kernel cuts names at 15 bytes.
        if !matches!(&*name_of(pid)?, "dockerd" | ".dockerd-wrappe") {
            return None;
        }
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        let arguments = line.split_terminator('\0').skip(1).map(str::to_owned).collect();
        Some(Self { pid, started: started(pid)?, arguments })
    }

    /// Whether the pid still means this process, and it has not ended: then its command line is gone.
    pub(super) fn lives(&self) -> bool {
        Self::read(self.pid).is_some_and(|now| now == *self)
    }

    /// Whether it takes connections at one of these sockets; `None` when we may not see that.
    ///
    /// A dockerd that is stopping its containers has closed its socket. Under socket activation systemd still
    /// has it, and whoever connects then starts dockerd again as soon as it has stopped.
    pub(super) fn listens_at(&self, sockets: &[&Path]) -> Option<bool> {
        let table = fs::read_to_string(format!("/proc/{}/net/unix", self.pid)).unwrap_or_default();
        let listening: Vec<_> = table.lines().filter_map(|line| listening_inode(line, sockets)).collect();
        if listening.is_empty() {
            return Some(true);
        }
        let mut denied = false;
        for entry in fs::read_dir(format!("/proc/{}/fd", self.pid)).ok()?.flatten() {
            match fs::read_link(entry.path()) {
                Ok(target) if listening.iter().any(|socket| target == Path::new(socket)) => {
                    return Some(true);
                }
                // Root without a capability sees that there are descriptors, and not what they are.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => denied = true,
                Ok(_) | Err(_) => {}
            }
        }
        (!denied).then_some(false)
    }

    /// One inside a container has a second pid there.
    fn shares_our_namespace(&self) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        pids.is_some_and(|pids| pids.split_whitespace().count() == 1)
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// The pid and the start, in clock ticks since the boot: this names one process for ever.
    pub(super) fn identity(&self) -> (i32, u64) {
        (self.pid, self.started)
    }

    /// All that follows the program's name.
    pub(super) fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// The values that the flag `--name` was given.
    pub(super) fn flag(&self, name: &str) -> Vec<&str> {
        let mut values = Vec::new();
        let mut arguments = self.arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.strip_prefix("--").and_then(|flag| flag.strip_prefix(name)) {
                Some("") => values.extend(arguments.next().map(|value| &**value)),
                Some(rest) => values.extend(rest.strip_prefix('=')),
                None => {}
            }
        }
        values
    }

    /// The file that it reads its configuration from.
    pub(super) fn config_file(&self) -> PathBuf {
        match self.flag("config-file").last() {
            Some(file) => {
                let file = fs::read_link(format!("/proc/{}/cwd", self.pid)).unwrap_or_default().join(file);
                by_current(Path::new(SNAPS), &file).unwrap_or(file)
            }
            None => self.rootless_directory().map_or(DEFAULT_FILE.into(), |home| home.join("daemon.json")),
        }
    }

    /// Where it looks for `<registry>/hosts.toml`.
    pub(super) fn certs_directory(&self) -> PathBuf {
        let directory = self.rootless_directory().or_else(|| {
            // A snap has another /etc/docker, beside its daemon.json's directory.
            let file = self.config_file();
            let data = file.starts_with(SNAPS).then(|| file.ancestors().nth(2))??;
            Some(data.join("etc/docker"))
        });
        directory.unwrap_or("/etc/docker".into()).join("certs.d")
    }

    /// `~/.config/docker` of a rootless dockerd; such a one runs under RootlessKit and says so.
    fn rootless_directory(&self) -> Option<PathBuf> {
        self.environment("ROOTLESSKIT_STATE_DIR")?;
        let home = || self.environment("HOME").map(|home| Path::new(&home).join(".config"));
        self.environment("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .or_else(home)
            .map(|config| config.join("docker"))
    }

    /// A variable of its environment; `None` too when we may not read that.
    pub(super) fn environment(&self, name: &str) -> Option<String> {
        let environment = fs::read(format!("/proc/{}/environ", self.pid)).ok()?;
        environment.split(|byte| *byte == 0).find_map(|pair| {
            let value = pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            String::from_utf8(value.to_vec()).ok()
        })
    }

    /// The systemd unit that it runs in, by its control group.
    pub(super) fn unit(&self) -> Option<String> {
        let groups = fs::read_to_string(format!("/proc/{}/cgroup", self.pid)).ok()?;
        unit_in(&groups)
    }

    /// Whether a user's own systemd runs it, and not the system's.
    pub(super) fn is_of_a_user(&self) -> bool {
        let groups = fs::read_to_string(format!("/proc/{}/cgroup", self.pid)).unwrap_or_default();
        is_users(&groups)
    }

    /// The very program that runs, even when a package upgrade has replaced it on disk.
    pub(super) fn program(&self) -> PathBuf {
        let link = PathBuf::from(format!("/proc/{}/exe", self.pid));
        if fs::read_link(&link).is_ok() { link } else { "dockerd".into() }
    }

    /// Whether its log goes into a socket, as what systemd runs logs into the journal; `None` when we may not look.
    pub(super) fn logs_into_a_socket(&self) -> Option<bool> {
        let target = fs::read_link(format!("/proc/{}/fd/2", self.pid)).ok()?;
        Some(target.as_os_str().as_bytes().starts_with(b"socket:"))
    }

    /// The regular file that its log goes to, if it goes to one.
    pub(super) fn log_file(&self) -> Option<PathBuf> {
        let target = fs::read_link(format!("/proc/{}/fd/2", self.pid)).ok()?;
        let is_log = target.as_os_str().as_bytes().starts_with(b"/") && target.is_file();
        is_log.then_some(target)
    }
}

fn name_of(pid: i32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/comm")).ok().map(|name| name.trim_end().to_owned())
}

/// Field 22 of `/proc/pid/stat`; the second field is in parentheses and may have blanks in it.
fn started(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// What a descriptor of the socket links to, if this line of `/proc/net/unix` is one that listens at these paths.
fn listening_inode(line: &str, sockets: &[&Path]) -> Option<String> {
    // Number, references, protocol, flags, type, state, inode, path; the flag is the kernel's SO_ACCEPTCON.
    let mut fields = line.split_whitespace();
    let flags = fields.nth(3)?;
    let inode = fields.nth(2)?;
    let path = fields.next()?;
    (flags == "00010000" && sockets.contains(&Path::new(path))).then(|| format!("socket:[{inode}]"))
}

fn unit_in(groups: &str) -> Option<String> {
    groups.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let path = rest.strip_prefix(':').or_else(|| rest.strip_prefix("name=systemd:"))?;
        let last = path.rsplit('/').next()?;
        last.ends_with(".service").then(|| last.to_owned())
    })
}

/// The path by the link `current`, if a file is of that revision: what is kept of the file must be found again after
/// the snap's next refresh, which copies it to a new revision.
fn by_current(snaps: &Path, file: &Path) -> Option<PathBuf> {
    let mut parts = file.strip_prefix(snaps).ok()?.components();
    let snap = snaps.join(parts.next()?);
    let revision = parts.next()?;
    let current = fs::read_link(snap.join("current")).ok()?;
    // snapd's link has nothing but the revision in it.
    (current == Path::new(&revision)).then(|| snap.join("current").join(parts))
}

/// A user's systemd is a service of the system's, and what it runs is below that.
fn is_users(groups: &str) -> bool {
    groups.lines().any(|line| line.contains("/user@") && line.contains(".service/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_read_in_both_its_spellings() {
        let line = "--config-file /a.json --registry-mirror=https://a --registry-mirrors-not x --registry-mirror https://b";
        let arguments = line.split(' ').map(str::to_owned).collect();
        let process = Process { pid: 0, started: 0, arguments };
        assert_eq!(process.flag("config-file"), ["/a.json"]);
        assert_eq!(process.flag("registry-mirror"), ["https://a", "https://b"]);
        assert!(process.flag("max-concurrent-downloads").is_empty());
    }

    #[test]
    fn the_unit_is_the_last_part_of_the_control_group() {
        for (groups, unit) in [
            ("0::/system.slice/docker.service\n", Some("docker.service")),
            (
                "9:name=systemd:/system.slice/snap.docker.dockerd.service\n0::/\n",
                Some("snap.docker.dockerd.service"),
            ),
            ("12:pids:/system.slice/docker.service\n", None),
            ("0::/docker/0123\n", None),
            ("0::/\n", None),
        ] {
            assert_eq!(unit_in(groups).as_deref(), unit, "{groups:?}");
        }
    }

    #[test]
    fn the_file_of_a_snap_is_named_by_the_revision_that_runs() {
        let snaps = tempfile::tempdir().unwrap();
        let at = |path: &str| snaps.path().join(path);
        let named = |path: &str| by_current(snaps.path(), &at(path));
        fs::create_dir_all(at("docker/42/config")).unwrap();
        assert_eq!(named("docker/42/config/daemon.json"), None, "no link");
        std::os::unix::fs::symlink("42", at("docker/current")).unwrap();
        let current = Some(at("docker/current/config/daemon.json"));
        assert_eq!(named("docker/42/config/daemon.json"), current);
        assert_eq!(named("docker/41/config/daemon.json"), None, "of an old one that still runs");
        assert_eq!(named("docker/common/daemon.json"), None);
        assert_eq!(by_current(snaps.path(), Path::new(DEFAULT_FILE)), None);
    }

    #[test]
    fn a_rootless_dockerd_is_known_by_the_systemd_that_runs_it() {
        let rootless = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/docker.service\n";
        assert_eq!(unit_in(rootless).as_deref(), Some("docker.service"));
        assert!(is_users(rootless) && !is_users("0::/system.slice/docker.service\n"));
    }

    #[test]
    fn a_socket_is_listened_at_by_those_who_have_it_open() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("docker.sock");
        let ours =
            Process { pid: i32::try_from(std::process::id()).unwrap(), started: 0, arguments: Vec::new() };
        assert_eq!(ours.listens_at(&[&path]), Some(true), "there is none that it could have closed");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(ours.listens_at(&[Path::new("/nowhere"), &path]), Some(true));
        // systemd's part: the socket lives on in a process that is not dockerd.
        // One that reads its input would end at once, and the socket with it.
        let mut keeper = std::process::Command::new("sleep")
            .arg("60")
            .stdin(std::os::fd::OwnedFd::from(listener))
            .spawn()
            .unwrap();
        assert_eq!(ours.listens_at(&[&path]), Some(false), "the socket is another's");
        keeper.kill().unwrap();
        keeper.wait().unwrap();
    }

    #[test]
    fn no_process_but_a_dockerd_is_taken_for_one() {
        let ours = i32::try_from(std::process::id()).unwrap();
        assert_eq!(Process::read(ours), None);
        assert_eq!(Process::read(i32::MAX), None);
    }
}
