//! The systemd unit says what the service relies on, and systemd takes it as it is.

#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene fails")]
#![expect(clippy::disallowed_methods, reason = "a copy in a temporary directory needs no care")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

fn unit() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/mirrorwatch.service");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every value of a key, in the order of the lines.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

#[test]
fn the_unit_says_what_the_service_relies_on() {
    let unit = unit();
    for (key, value) in [
        ("Type", "notify"),
        ("ExecStart", "/usr/bin/mirrorwatch run"),
        ("ExecReload", "/bin/kill -HUP $MAINPID"),
        ("Restart", "on-failure"),
        // What `run` returns for an invalid mirrors.toml.
        ("RestartPreventExitStatus", "78"),
        ("StartLimitIntervalSec", "0"),
        ("StateDirectory", "mirrorwatch"),
        ("StateDirectoryMode", "0755"),
        ("RuntimeDirectory", "mirrorwatch"),
        ("RuntimeDirectoryMode", "0755"),
        ("RuntimeDirectoryPreserve", "yes"),
        ("ProtectSystem", "strict"),
        // The directory and not the file: a rename needs it.
        ("ReadWritePaths", "-/etc/docker"),
        ("NoNewPrivileges", "yes"),
        ("Wants", "network-online.target"),
        ("After", "network-online.target docker.service"),
        ("WantedBy", "multi-user.target"),
    ] {
        assert_eq!(values(&unit, key), [value], "{key}");
    }
    assert_eq!(values(&unit, "WatchdogSec").len(), 1);
}

#[test]
fn docker_never_depends_on_mirrorwatch_nor_ends_with_it() {
    let unit = unit();
    for key in
        ["Requires", "Requisite", "BindsTo", "PartOf", "Upholds", "Conflicts", "PropagatesReloadTo", "Before"]
    {
        assert_eq!(values(&unit, key), [""; 0], "{key}");
    }
}

#[test]
fn the_capabilities_are_these_and_no_others() {
    let unit = unit();
    let capabilities = "CAP_SYS_PTRACE CAP_DAC_OVERRIDE CAP_CHOWN CAP_FOWNER";
    assert_eq!(values(&unit, "CapabilityBoundingSet"), [capabilities]);
    assert_eq!(values(&unit, "AmbientCapabilities"), [""; 0]);
}

/// The unit as a file that systemd-analyze reads, with the program that was built here as its command.
fn installed() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mirrorwatch.service");
    fs::write(&path, unit().replace("/usr/bin/mirrorwatch", env!("CARGO_BIN_EXE_mirrorwatch"))).unwrap();
    (dir, path)
}

fn systemd_analyze(arguments: &[&str], unit: &Path) -> Output {
    let output = Command::new("systemd-analyze").args(arguments).arg(unit).output();
    output.unwrap_or_else(|error| {
        panic!("systemd-analyze: {error}: this test needs it: apt-get install systemd")
    })
}

#[test]
fn systemd_has_nothing_to_say_against_the_unit() {
    let (_dir, unit) = installed();
    // The man page is not installed where the tests run.
    let output = systemd_analyze(&["verify", "--man=no"], &unit);
    let words = String::from_utf8_lossy(&output.stderr);
    // A machine's other units are not our concern.
    let ours: Vec<&str> = words.lines().filter(|line| line.contains("mirrorwatch")).collect();
    assert!(output.status.success() && ours.is_empty(), "{words}");
}

#[test]
fn the_unit_is_not_exposed_beyond_what_root_needs() {
    let (_dir, unit) = installed();
    // Tenths, as `systemd-analyze security` counts: 0 is the safest, docker.service has 96.
    let output = systemd_analyze(&["security", "--offline=yes", "--no-pager", "--threshold=26"], &unit);
    let words = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", words.lines().last().unwrap_or_default());
}
