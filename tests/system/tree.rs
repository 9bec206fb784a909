//! The trees that machines are booted from: made once, kept outside the checkout, never changed.

use std::env;
use std::fmt::Write;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use ring::digest::{SHA256, digest};

/// How a tree is made. A change of it makes new trees.
const RECIPE: &str = include_str!("tree.sh");

/// Seconds. It takes one minute; a slow line gets fifteen.
const LIMIT: &str = "900";

/// The tree of a Debian suite, made if it is missing.
pub(crate) fn tree(suite: &str) -> PathBuf {
    require_tools();
    let cache = env::var_os("XDG_CACHE_HOME").map_or_else(|| PathBuf::from("/var/cache"), PathBuf::from);
    let cache = cache.join("mirrorwatch-tests");
    fs::create_dir_all(&cache).unwrap();
    let tree = cache.join(format!("{suite}-{}", fingerprint()));
    // Other tests, and other checkouts, wait here for the one that makes it.
    let lock = File::options().create(true).append(true).open(cache.join(format!("{suite}.lock"))).unwrap();
    lock.lock().unwrap();
    if !tree.is_dir() {
        let making = cache.join(format!("{suite}-making"));
        make(suite, &making);
        fs::rename(&making, &tree).unwrap();
    }
    tree
}

fn make(suite: &str, making: &PathBuf) {
    // What was left by one that was interrupted.
    if making.exists() {
        fs::remove_dir_all(making).unwrap();
    }
    let log_path = making.with_extension("log");
    let log = File::options().create(true).write(true).truncate(true).open(&log_path).unwrap();
    println!("making a Debian tree: {suite}; the log: {}", log_path.display());
    let made = Command::new("timeout")
        .args(["--kill-after=10", LIMIT])
        .args([
            "unshare",
            "--mount",
            "--propagation=private",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .args(["sh", "-c", RECIPE, "tree.sh", suite])
        .arg(making)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .status()
        .unwrap();
    if !made.success() {
        let log = fs::read_to_string(&log_path).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(15).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        panic!("no Debian tree of {suite} could be made ({made}):\n{}", last.join("\n"));
    }
}

/// Ends the test with a clear word where no machine can be booted.
fn require_tools() {
    assert!(
        rustix::process::geteuid().is_root(),
        "a booted machine needs root: run ./test.sh as root, which installs all that is needed"
    );
    for program in ["debootstrap", "systemd-nspawn", "nsenter", "unshare", "setpriv", "timeout"] {
        let found = Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok();
        assert!(found, "{program} is missing: run ./test.sh, which installs it");
    }
}

fn fingerprint() -> String {
    digest(&SHA256, RECIPE.as_bytes()).as_ref()[..4].iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
