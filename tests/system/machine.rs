//! A booted Debian: its own systemd, processes, network and control groups; thrown away when dropped.
//!
//! ```ignore
//! let mut machine = Machine::boot("bookworm");
//! machine.put("/etc/motd", b"hello\n", "644");
//! assert!(machine.run("systemctl is-active docker").status.success());
//! machine.reboot();                       // files stay as they were
//! println!("{}", machine.journal("docker"));
//! ```
//!
//! The root is an overlay over a tree that all machines of a suite share; Docker's two directories lie beside
//! it, because an overlay cannot lie upon an overlay. The network is a loopback of its own and nothing else.
//! All of it runs in a mount and a pid namespace whose first process dies with the thread of the test: the
//! kernel ends every process and undoes every mount, even if the test is killed.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::tree::tree;

/// A boot takes some six seconds; a machine under load gets twenty times that.
const BOOT: Duration = Duration::from_secs(120);

/// Seconds for one command inside.
const COMMAND: &str = "60";

/// Far more than anything here takes, so that a slow machine fails no test. The longest, until journalctl has cost what
/// it may, takes one and a half minutes.
const PATIENCE: Duration = Duration::from_secs(240);

/// How nspawn says that the machine wants to boot again, when it does not see to that itself.
const REBOOT: i32 = 133;

/// `$1` tree, `$2` place, `$3` control group, `$4` name. nspawn's `-b` wants no shell above it. Landlock's calls are let
/// in by their names, for nspawn 252 leaves them out where it lets in their group.
const START: &str = r#"
set -e
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
echo 0 > "$3/cgroup.procs"
exec systemd-nspawn --quiet --directory="$2/root" --machine="$4" --register=no --keep-unit \
  --private-network --capability=all --console=pipe \
  --system-call-filter="@keyring bpf landlock_create_ruleset landlock_add_rule landlock_restrict_self" \
  --bind="$2/docker:/var/lib/docker" --bind="$2/containerd:/var/lib/containerd" --boot
"#;

/// A booted machine; dropped, it is gone.
pub(crate) struct Machine {
    suite: String,
    place: TempDir,
    name: String,
    child: Child,
    leader: i32,
}

impl Machine {
    /// Boots a throw-away copy of the suite's tree and waits until everything in it is up.
    pub(crate) fn boot(suite: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("mirrorwatch-test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let tree = tree(suite);
        let place = tempfile::Builder::new().prefix("mw-machine-").tempdir().unwrap();
        for directory in ["upper", "work", "root", "docker", "containerd"] {
            fs::create_dir(place.path().join(directory)).unwrap();
        }
        let child = start(&tree, place.path(), &name);
        let mut machine = Self { suite: suite.to_owned(), place, name, child, leader: 0 };
        machine.wait_until_it_is_up();
        machine
    }

    /// Shuts it down properly and boots it again.
    pub(crate) fn reboot(&mut self) {
        // The connection may end before the answer.
        drop(self.run("systemctl reboot"));
        let ended = self.wait_until_it_ends();
        assert_eq!(ended.code(), Some(REBOOT), "{self:?}: no reboot: {}", self.console());
        self.child = start(&tree(&self.suite), self.place.path(), &self.name);
        self.wait_until_it_is_up();
    }

    fn wait_until_it_is_up(&mut self) {
        let start = Instant::now();
        let mut state = String::new();
        // "degraded" is up as well: each test asks for the units that it needs.
        while !matches!(state.trim_end(), "running" | "degraded") {
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && start.elapsed() < BOOT,
                "{self:?} does not boot: {ended:?}, {state:?}: {}",
                self.console()
            );
            sleep(Duration::from_millis(50));
            if let Some(leader) = leader(&self.child) {
                self.leader = leader;
                state = text(&self.run("systemctl is-system-running").stdout);
            }
        }
    }

    fn wait_until_it_ends(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(ended) = self.child.try_wait().unwrap() {
                return ended;
            }
            assert!(start.elapsed() < BOOT, "{self:?} does not end: {}", self.console());
            sleep(Duration::from_millis(20));
        }
    }

    /// Runs a shell command inside, as root, for a minute at most.
    pub(crate) fn run(&self, command: &str) -> Output {
        self.inside(command).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a shell command that must succeed, and gives what it printed, without the last line's end.
    pub(crate) fn succeeds(&self, command: &str) -> String {
        let output = self.run(command);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{self:?}: {command}: {}\n{out}\n{err}", output.status);
        out.trim_end_matches('\n').to_owned()
    }

    /// Writes a file, and the directories that it needs; `mode` as chmod takes it.
    pub(crate) fn put(&self, path: &str, bytes: &[u8], mode: &str) {
        let mut child = self
            .inside(&format!("install -D --mode={mode} /dev/stdin '{path}'"))
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{self:?}: {path}: {}", text(&output.stderr));
    }

    /// The bytes of a file; `None` when there is none.
    pub(crate) fn get(&self, path: &str) -> Option<Vec<u8>> {
        let output = self.run(&format!("cat '{path}'"));
        output.status.success().then_some(output.stdout)
    }

    /// What systemd and the unit itself have logged since the boot.
    pub(crate) fn journal(&self, unit: &str) -> String {
        self.succeeds(&format!("journalctl --no-pager --boot --output=short-monotonic --unit={unit}"))
    }

    /// One property of a unit, as `systemctl show` has it.
    pub(crate) fn property(&self, unit: &str, name: &str) -> String {
        self.succeeds(&format!("systemctl show --value --property={name} {unit}"))
    }

    /// Waits until it is so, and says how long that took.
    pub(crate) fn wait(&self, what: &str, done: impl Fn() -> bool) -> Duration {
        let start = Instant::now();
        while !done() {
            if start.elapsed() > PATIENCE {
                let logs = ["'mirrorwatch*'", "docker"].map(|unit| self.journal(unit)).join("\n");
                let units = self.succeeds("systemctl list-units --all --no-pager 'mirrorwatch*'");
                let told = ["mirrorwatch status --all --lang en", "mirrorwatch history --lang en"]
                    .map(|command| String::from_utf8_lossy(&self.run(command).stdout).into_owned())
                    .join("\n");
                panic!("{self:?}: waited in vain for {what}\n{told}\n{logs}\n{units}");
            }
            sleep(Duration::from_millis(50));
        }
        start.elapsed()
    }

    fn inside(&self, command: &str) -> Command {
        let mut inside = Command::new("nsenter");
        inside
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", "/root")
            .args(["--target", &self.leader.to_string(), "--all"])
            // Inside, so that it ends the command and not only nsenter.
            .args(["timeout", "--kill-after=5", COMMAND, "sh", "-c", command]);
        inside
    }

    fn console(&self) -> String {
        fs::read_to_string(self.place.path().join("console")).unwrap_or_default()
    }
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "machine of {}", self.suite)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The first process of the namespaces goes with it, and with that one all others.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for group in groups(&self.name) {
            let start = Instant::now();
            // The kernel needs a moment for the last processes.
            while remove_group(&group).is_err_and(|error| error.kind() != ErrorKind::NotFound) {
                if start.elapsed() > Duration::from_secs(20) {
                    eprintln!("{}: cannot be removed", group.display());
                    break;
                }
                sleep(Duration::from_millis(50));
            }
        }
    }
}

fn start(tree: &Path, place: &Path, name: &str) -> Child {
    let group = unified().join(name);
    fs::create_dir_all(&group).unwrap();
    let console = File::options().create(true).append(true).open(place.join("console")).unwrap();
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "unshare", "--mount", "--propagation=private", "--pid", "--fork"])
        .args(["--kill-child", "--mount-proc", "sh", "-c", START, "sh"])
        .args([tree, place, &group])
        .arg(name)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        // Debian's testing boots with the unified hierarchy only, and that is what machines have today.
        .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1")
        .stdin(Stdio::null())
        .stdout(console.try_clone().unwrap())
        .stderr(console)
        .spawn()
        .unwrap()
}

/// The first process of the machine: `unshare` has nspawn as its child, and that has it.
fn leader(unshare: &Child) -> Option<i32> {
    let nspawn = *children(i32::try_from(unshare.id()).unwrap()).first()?;
    children(nspawn).into_iter().find(|pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let first = |line: &str| line.strip_prefix("NSpid:").is_some_and(|pids| pids.ends_with("\t1"));
        status.starts_with("Name:\tsystemd\n") && status.lines().any(first)
    })
}

fn children(pid: i32) -> Vec<i32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Where the unified hierarchy of control groups is mounted: alone, or beside the old ones.
fn unified() -> PathBuf {
    mounts("cgroup2").next().expect("a booted machine needs a kernel with cgroup2 mounted")
}

/// The machine's group in every hierarchy: nspawn makes one in systemd's old hierarchy as well.
fn groups(name: &str) -> Vec<PathBuf> {
    mounts("cgroup2")
        .chain(mounts("cgroup"))
        .map(|mount| mount.join(name))
        .filter(|group| group.is_dir())
        .collect()
}

fn mounts(kind: &str) -> impl Iterator<Item = PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let places: Vec<PathBuf> = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let place = fields.next()?;
            (fields.next()? == kind).then(|| place.into())
        })
        .collect();
    places.into_iter()
}

/// The innermost first; the files in it are the kernel's and go with it.
fn remove_group(group: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(group)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_group(&entry.path())?;
        }
    }
    fs::remove_dir(group)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
