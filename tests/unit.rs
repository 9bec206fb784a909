//! The systemd units say what the service relies on, and systemd takes them as they are.

#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene fails")]
#![expect(clippy::disallowed_methods, reason = "a copy in a temporary directory needs no care")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const PROBER: &str = "mirrorwatch.service";
const APPLIER: &str = "mirrorwatch-apply.service";
/// What starts the applier.
const STARTERS: [&str; 2] = ["mirrorwatch-apply.path", "mirrorwatch-apply.timer"];

fn unit(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn assert_values(name: &str, expected: &[(&str, &str)]) {
    let unit = unit(name);
    for (key, value) in expected {
        assert_eq!(values(&unit, key), [*value], "{name}: {key}");
    }
}

/// Every value of a key, in the order of the lines.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

#[test]
fn the_prober_is_nobody_and_writes_nothing_but_its_own() {
    assert_values(
        PROBER,
        &[
            ("Type", "notify"),
            ("ExecStart", "/usr/bin/mirrorwatch run --unprivileged"),
            ("ExecReload", "/bin/kill -HUP $MAINPID"),
            ("Restart", "on-failure"),
            // What `run` returns for an invalid mirrors.toml.
            ("RestartPreventExitStatus", "78"),
            ("StartLimitIntervalSec", "0"),
            ("User", "mirrorwatch"),
            ("SupplementaryGroups", "systemd-journal"),
            ("CapabilityBoundingSet", ""),
            ("NoNewPrivileges", "yes"),
            ("StateDirectory", "mirrorwatch"),
            ("StateDirectoryMode", "0755"),
            ("RuntimeDirectory", "mirrorwatch"),
            ("RuntimeDirectoryMode", "0755"),
            ("RuntimeDirectoryPreserve", "yes"),
            ("ProtectSystem", "strict"),
            ("Wants", "network-online.target mirrorwatch-apply.path mirrorwatch-apply.timer"),
            ("WantedBy", "multi-user.target"),
        ],
    );
    let unit = unit(PROBER);
    assert_eq!(values(&unit, "WatchdogSec").len(), 1);
    for key in ["ReadWritePaths", "AmbientCapabilities", "ConfigurationDirectory"] {
        assert_eq!(values(&unit, key), [""; 0], "{key}");
    }
}

#[test]
fn the_applier_is_root_without_a_capability_or_a_network_and_does_not_stay() {
    assert_values(
        APPLIER,
        &[
            ("Type", "oneshot"),
            (
                "ExecStart",
                "/usr/bin/mirrorwatch --state-dir /var/lib/mirrorwatch --runtime-dir /run/mirrorwatch apply-request",
            ),
            ("CapabilityBoundingSet", ""),
            ("NoNewPrivileges", "yes"),
            ("SupplementaryGroups", "mirrorwatch"),
            ("PrivateNetwork", "yes"),
            ("RestrictAddressFamilies", "AF_UNIX"),
            ("ProtectSystem", "strict"),
            ("StateDirectory", "mirrorwatch-apply"),
            ("RuntimeDirectory", "mirrorwatch-apply"),
            ("RuntimeDirectoryPreserve", "yes"),
            // A prober that asks without end must not end up with nobody who listens.
            ("StartLimitIntervalSec", "0"),
        ],
    );
    // Directories and not files: a rename needs them.
    let writable = ["-/etc/docker", "-/var/snap/docker/current/config"];
    assert_eq!(values(&unit(APPLIER), "ReadWritePaths"), writable);
    for key in ["User", "RemainAfterExit", "AmbientCapabilities"] {
        assert_eq!(values(&unit(APPLIER), key), [""; 0], "{key}");
    }
    for starter in STARTERS {
        // They are restarted as often as the prober is, and twice by an upgrade.
        assert_values(starter, &[("Unit", APPLIER), ("PartOf", PROBER), ("StartLimitIntervalSec", "0")]);
    }
    let watched = [
        "/run/mirrorwatch/request.json",
        "/etc/docker/daemon.json",
        "/var/snap/docker/current/config/daemon.json",
    ];
    assert_eq!(values(&unit(STARTERS[0]), "PathChanged"), watched);
}

#[test]
fn docker_never_depends_on_mirrorwatch_nor_ends_with_it() {
    for name in [PROBER, APPLIER].into_iter().chain(STARTERS) {
        let unit = unit(name);
        for key in [
            "Requires",
            "Requisite",
            "BindsTo",
            "PartOf",
            "Upholds",
            "Conflicts",
            "PropagatesReloadTo",
            "Before",
        ] {
            let others: Vec<&str> = values(&unit, key).into_iter().filter(|unit| *unit != PROBER).collect();
            assert_eq!(others, [""; 0], "{name}: {key}");
        }
    }
}

/// The units as files that systemd-analyze reads, with the program that was built here as their command.
fn installed() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in [PROBER, APPLIER].into_iter().chain(STARTERS) {
        let unit = unit(name).replace("/usr/bin/mirrorwatch", env!("CARGO_BIN_EXE_mirrorwatch"));
        fs::write(dir.path().join(name), unit).unwrap();
    }
    dir
}

fn systemd_analyze(arguments: &[&str], unit: &Path) -> Output {
    let output = Command::new("systemd-analyze").args(arguments).arg(unit).output();
    output.unwrap_or_else(|error| {
        panic!("systemd-analyze: {error}: this test needs it: apt-get install systemd")
    })
}

#[test]
fn systemd_has_nothing_to_say_against_the_units() {
    let dir = installed();
    for name in [PROBER, APPLIER].into_iter().chain(STARTERS) {
        // The man page is not installed where the tests run.
        let output = systemd_analyze(&["verify", "--man=no"], &dir.path().join(name));
        let words = String::from_utf8_lossy(&output.stderr);
        // A machine's other units are not our concern.
        let ours: Vec<&str> = words.lines().filter(|line| line.contains("mirrorwatch")).collect();
        assert!(output.status.success() && ours.is_empty(), "{name}: {words}");
    }
}

#[test]
fn neither_unit_is_exposed_beyond_what_it_needs() {
    let dir = installed();
    // Tenths, as `systemd-analyze security` counts: 0 is the safest, docker.service has 96.
    for (name, threshold) in [(PROBER, 15), (APPLIER, 12)] {
        let threshold = format!("--threshold={threshold}");
        let arguments = ["security", "--offline=yes", "--no-pager", &threshold];
        let output = systemd_analyze(&arguments, &dir.path().join(name));
        let words = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}", words.lines().last().unwrap_or_default());
    }
}

#[test]
fn the_user_is_one_that_nobody_can_log_in_as() {
    let users = unit("sysusers.d/mirrorwatch.conf");
    let users: Vec<&str> = users.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(users, ["u mirrorwatch - \"mirrorwatch\" /var/lib/mirrorwatch -"]);
}
