//! Which process is this dockerd, and what was it told: its own command line, not what we were told of it.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::confine::outside::{self, Link};
use crate::process;

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
    ///
    /// # Errors
    /// It goes by the name of dockerd, and neither its command line nor its program is to be believed.
    pub(super) fn find(listener: Option<i32>, pid_file: &Path) -> Result<Option<Self>, Stranger> {
        let Some(listener) = listener else { return Ok(None) };
        if !process::name(listener).is_some_and(|name| name == "systemd" || name == "init") {
            return Self::read(listener).map(Self::believed).transpose();
        }
        let named: Option<i32> = fs::read_to_string(pid_file).ok().and_then(|pid| pid.trim().parse().ok());
        let named = named.and_then(Self::read).and_then(|process| process.believed().ok());
        let found = named.or_else(|| match &Self::all()[..] {
            [only] => Some(only.clone()),
            [] | [_, _, ..] => None,
        });
        found.map(Self::believed).transpose()
    }

    /// Every dockerd of root's or our own that runs beside us; those inside containers are not meant.
    pub(super) fn all() -> Vec<Self> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let ours = |process: &Self| process.shares_our_namespace() && process.is_roots_or_ours();
        pids.filter_map(Self::read).filter(ours).collect()
    }

    /// Any program can be given dockerd's name. What goes by it is believed what it says of itself, written to where it
    /// says, and run again to ask it for its opinion, only if whoever started it could do all that himself.
    fn believed(self) -> Result<Self, Stranger> {
        // A link of that name to a program that changes its user, as sudo is, would be root's too.
        let program = outside::leads(self.pid, Link::Program).ok();
        let name = program.as_deref().and_then(Path::file_name).map(OsStrExt::as_bytes);
        let is_another = name.is_some_and(|name| !name.windows(7).any(|part| part == b"dockerd"));
        if self.is_roots_or_ours() && !is_another {
            return Ok(self);
        }
        Err(Stranger { pid: self.pid, user: self.user(), program: program.filter(|_| is_another) })
    }

    fn is_roots_or_ours(&self) -> bool {
        self.user().is_some_and(|user| user == 0 || user == rustix::process::geteuid().as_raw())
    }

    /// Whose it is; `None` when it has ended, or is one user's in one regard and another's in another.
    pub(super) fn user(&self) -> Option<u32> {
        let users = process::users(self.pid)?;
        users.iter().all(|user| *user == users[0]).then_some(users[0])
    }

    /// The process `pid`, if it goes by the name of dockerd.
    fn read(pid: i32) -> Option<Self> {
        // NixOS wraps it; the kernel cuts names at 15 bytes.
        if !matches!(&*process::name(pid)?, "dockerd" | ".dockerd-wrappe") {
            return None;
        }
        // One that has ended has no command line any more, and waits for its parent.
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok().filter(|line| !line.is_empty())?;
        let line = String::from_utf8_lossy(&line).into_owned();
        let arguments = line.split_terminator('\0').skip(1).map(str::to_owned).collect();
        Some(Self { pid, started: process::started(pid)?, arguments })
    }

    /// Whether the pid still means this process, and it has not ended: then its command line is gone.
    pub(super) fn lives(&self) -> bool {
        Self::read(self.pid).is_some_and(|now| now == *self)
    }

    /// Whether it takes connections at one of these sockets, which the process `keeper` has made; `None` when we may
    /// not see that.
    ///
    /// A dockerd that is stopping its containers has closed its socket. Under socket activation systemd still
    /// has it, and whoever connects then starts dockerd again as soon as it has stopped.
    pub(super) fn listens_at(&self, sockets: &[&Path], keeper: u32) -> Option<bool> {
        // Sockets are listed by the network that they were made in: another dockerd may be in one of its own, as a
        // rootless one is, and so may we.
        let listening = listening(sockets, keeper).unwrap_or_default();
        if listening.is_empty() {
            return Some(true);
        }
        let mut denied = false;
        for target in outside::descriptors(self.pid).ok()? {
            match target {
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

    /// Whether it may take connections at one of these sockets, by its command line alone.
    pub(super) fn may_listen_at(&self, sockets: &[&Path]) -> bool {
        let hosts = self.hosts();
        let here = |host: &&str| {
            let path = host.strip_prefix("unix://").unwrap_or(host);
            host.starts_with("fd:") || sockets.contains(&Path::new(path))
        };
        // Without a flag its file says, or it is the standard one.
        hosts.is_empty() || hosts.iter().any(here)
    }

    fn hosts(&self) -> Vec<&str> {
        let mut hosts = self.flag("host");
        hosts.extend(self.short_flag("-H"));
        hosts
    }

    /// At which level it was told to log.
    pub(super) fn log_level(&self) -> Option<&str> {
        self.flag("log-level").pop().or_else(|| self.short_flag("-l").pop())
    }

    fn short_flag(&self, name: &str) -> Vec<&str> {
        let mut values = Vec::new();
        let mut arguments = self.arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.strip_prefix(name) {
                Some("") => values.extend(arguments.next().map(|value| &**value)),
                Some(value) => values.push(value.strip_prefix('=').unwrap_or(value)),
                None => {}
            }
        }
        values
    }

    /// One inside a container has a second pid there.
    fn shares_our_namespace(&self) -> bool {
        process::pids(self.pid).is_some_and(|pids| pids.len() == 1)
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
                let file = outside::leads(self.pid, Link::Directory).unwrap_or_default().join(file);
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
        let environment = outside::environment(self.pid).ok()?;
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
        let seen = outside::leads(self.pid, Link::Program).is_ok();
        if seen { format!("/proc/{}/exe", self.pid).into() } else { "dockerd".into() }
    }

    /// Whether its log goes into a socket, as what systemd runs logs into the journal; `None` when we may not look.
    pub(super) fn logs_into_a_socket(&self) -> Option<bool> {
        let target = outside::leads(self.pid, Link::StandardError).ok()?;
        Some(target.as_os_str().as_bytes().starts_with(b"socket:"))
    }

    /// The regular file that its log goes to, if it goes to one.
    pub(super) fn log_file(&self) -> Option<PathBuf> {
        let target = outside::leads(self.pid, Link::StandardError).ok()?;
        let is_log = target.as_os_str().as_bytes().starts_with(b"/") && target.is_file();
        is_log.then_some(target)
    }
}

/// What goes by the name of dockerd, and may be anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stranger {
    pid: i32,
    /// `None`: partly of one user, partly of another.
    user: Option<u32>,
    /// What it really is, where that is another program.
    program: Option<PathBuf>,
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dockerd (pid {}): not believed, nothing is written or run for it: ", self.pid)?;
        match (&self.program, self.user) {
            (Some(program), _) => write!(f, "its program is {}", program.display()),
            (None, Some(user)) => write!(f, "it runs as user {user}"),
            (None, None) => f.write_str("it has changed its user"),
        }
    }
}

/// Whether anybody at all listens at one of these paths, in the network of the process `keeper`; `None` when that cannot
/// be seen.
pub(super) fn is_listened_at(sockets: &[&Path], keeper: u32) -> Option<bool> {
    Some(!listening(sockets, keeper)?.is_empty())
}

/// What the descriptors of the sockets that listen at these paths link to.
fn listening(sockets: &[&Path], keeper: u32) -> Option<Vec<String>> {
    let table = fs::read_to_string(format!("/proc/{keeper}/net/unix")).ok()?;
    Some(table.lines().filter_map(|line| listening_inode(line, sockets)).collect())
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

    /// A shell that goes by the name of dockerd, until it is dropped.
    struct Impostor {
        child: std::process::Child,
        _place: tempfile::TempDir,
    }

    impl Impostor {
        /// `before` starts it, as `setpriv` and `unshare` do.
        fn start(before: &[&str]) -> Self {
            Self::with(before, |program| assert!(fs::copy("/bin/sh", program).unwrap() > 0))
        }

        fn with(before: &[&str], make: impl Fn(&Path)) -> Self {
            let place = tempfile::tempdir().unwrap();
            std::fs::set_permissions(place.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
                .unwrap();
            let program = place.path().join("dockerd");
            make(&program);
            let mut words: Vec<&std::ffi::OsStr> = before.iter().map(std::ffi::OsStr::new).collect();
            words.push(program.as_os_str());
            let mut command = std::process::Command::new(words[0]);
            command.args(&words[1..]).args(["-c", "echo here; read -r end", "--config-file", "/tmp/theirs"]);
            command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
            let mut child = command.spawn().unwrap();
            // Now it is what it will be.
            let mut said = [0; 5];
            io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
            Self { child, _place: place }
        }

        fn pid(&self) -> i32 {
            i32::try_from(self.child.id()).unwrap()
        }

        fn is_known(&self) -> bool {
            Process::all().iter().any(|process| process.pid == self.pid())
        }
    }

    impl Drop for Impostor {
        fn drop(&mut self) {
            drop(self.child.stdin.take());
            drop(self.child.wait());
        }
    }

    #[test]
    fn nobody_is_believed_to_be_dockerd_by_the_name_alone() {
        let ours = Impostor::start(&["env"]);
        assert!(ours.is_known() && Process::find(Some(ours.pid()), Path::new("/nowhere")).unwrap().is_some());
        if !rustix::process::geteuid().is_root() {
            return;
        }
        for ids in ["--ruid=65534", "--reuid=65534", "--euid=65534"] {
            let theirs = Impostor::start(&["setpriv", "--clear-groups", ids]);
            let found = Process::find(Some(theirs.pid()), Path::new("/nowhere"));
            assert!(!theirs.is_known(), "{ids}");
            let said = found.unwrap_err().to_string();
            assert!(said.contains("as user 65534") || said.contains("has changed its user"), "{ids}: {said}");
        }
    }

    #[test]
    fn another_program_under_the_name_of_dockerd_is_not_believed() {
        let link =
            Impostor::with(&["env"], |program| std::os::unix::fs::symlink("/bin/sh", program).unwrap());
        let said = Process::find(Some(link.pid()), Path::new("/nowhere")).unwrap_err().to_string();
        assert!(said.contains("its program is /"), "{said}");
    }

    #[test]
    fn where_a_dockerd_listens_is_on_its_command_line() {
        let standard = [Path::new("/var/run/docker.sock"), Path::new("/run/docker.sock")];
        for (line, here) in [
            ("", true),
            ("-H fd:// --containerd=/run/containerd/containerd.sock", true),
            ("--host=unix:///run/docker.sock", true),
            ("-H=tcp://127.0.0.1:2375 --host unix:///var/run/docker.sock", true),
            ("-Hunix:///srv/other.sock", false),
            ("--host unix:///srv/other.sock --host=tcp://127.0.0.1:2375", false),
        ] {
            let arguments = line.split(' ').map(str::to_owned).collect();
            let process = Process { pid: 0, started: 0, arguments };
            assert_eq!(process.may_listen_at(&standard), here, "{line}");
        }
    }

    #[test]
    fn a_dockerd_in_another_network_does_not_listen_at_our_socket() {
        let place = tempfile::tempdir().unwrap();
        let socket = place.path().join("sock");
        let other = Impostor::start(&["unshare", "--map-root-user", "--net"]);
        let process = Process::read(other.pid()).unwrap();
        let _systemds = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert_eq!(process.listens_at(&[&socket], std::process::id()), Some(false));
        let nobodys = place.path().join("other");
        assert_eq!(
            process.listens_at(&[&nobodys], std::process::id()),
            Some(true),
            "nobody can be woken there"
        );
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
        assert_eq!(
            ours.listens_at(&[&path], std::process::id()),
            Some(true),
            "there is none that it could have closed"
        );
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(ours.listens_at(&[Path::new("/nowhere"), &path], std::process::id()), Some(true));
        // systemd's part: the socket lives on in a process that is not dockerd.
        // One that reads its input would end at once, and the socket with it.
        let mut keeper = std::process::Command::new("sleep")
            .arg("60")
            .stdin(std::os::fd::OwnedFd::from(listener))
            .spawn()
            .unwrap();
        assert_eq!(ours.listens_at(&[&path], std::process::id()), Some(false), "the socket is another's");
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
