//! mirrorwatch on a booted machine: real systemd, Debian's dockerd under it, the unit with all its restrictions.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "whoever waits for a machine is told what it does"
)]

#[path = "system/applier.rs"]
mod applier;
#[path = "system/by_hand.rs"]
mod by_hand;
#[path = "package/deb.rs"]
mod deb;
#[path = "system/host.rs"]
mod host;
#[path = "system/install.rs"]
mod install;
#[path = "system/machine.rs"]
mod machine;
#[path = "system/package.rs"]
mod package;
#[path = "system/rootless.rs"]
mod rootless;
#[path = "system/scene.rs"]
mod scene;
#[path = "system/snap.rs"]
mod snap;
#[path = "system/split.rs"]
mod split;
#[path = "system/tree.rs"]
mod tree;

use scene::{ODD, PATIENT, Scene, containerd_store, suites};

#[test]
fn installed_it_keeps_the_list_and_neither_dockerd_nor_a_container_notices() {
    for suite in suites() {
        the_main_job(&suite, ODD);
    }
    for suite in suites().into_iter().filter(|suite| suite != "bookworm") {
        the_main_job(&suite, &containerd_store(ODD));
    }
}

fn the_main_job(suite: &str, daemon_json: &str) {
    let scene = Scene::new(suite, daemon_json);
    let lives = scene.lives();
    assert_eq!(scene.status_code(), Some(3), "not started yet");

    scene.succeeds("systemctl enable --now mirrorwatch");
    let list = scene.wait_for_full_list();
    assert!(scene.reloads() >= 1, "systemd was asked: {}", scene.journal("docker"));
    scene.wait("a healthy status", || scene.status_code() == Some(0));
    scene.pull();

    let before = scene.reloads();
    let (leader, took) = scene.kill_the_leader();
    println!("{suite}: {leader} leads {list:?} and dies: switched after {took:?}");
    assert!(scene.reloads() > before, "systemd was asked again");
    scene.pull();
    assert_eq!(
        scene.status_code(),
        Some(0),
        "two mirrors are enough: {}",
        scene.succeeds("mirrorwatch status || true")
    );
    scene.succeeds("mirrorwatch pause");
    scene.wait("the pause", || scene.status_code() == Some(1));
    scene.succeeds("mirrorwatch resume");
    scene.wait("its end", || scene.status_code() == Some(0));

    scene.succeeds("mirrorwatch restore");
    assert_eq!(scene.daemon_json(), daemon_json, "byte for byte");
    assert!(scene.list().is_empty());
    scene.succeeds("systemctl stop mirrorwatch");
    assert_eq!(scene.property("mirrorwatch", "Result"), "success");
    assert_eq!(scene.property("mirrorwatch", "ExecMainStatus"), "0");
    assert_eq!(scene.status_code(), Some(3));
    scene.assert_nothing_was_forbidden();
    assert_eq!(scene.lives(), lives, "neither restarted");
}

#[test]
fn under_its_unit_it_hears_in_the_journal_which_mirror_a_pull_left() {
    for suite in suites() {
        let scene = Scene::new(&suite, ODD);
        scene.be_patient();
        // Somebody who has much to say: each line wakes journalctl.
        scene.succeeds("systemd-run --quiet --unit=noise sh -c 'while echo noise; do sleep 0.1; done'");
        scene.succeeds("systemctl enable --now mirrorwatch");
        let list = scene.wait_for_full_list();
        assert_eq!(
            scene.status()["service"]["notices"],
            serde_json::json!([]),
            "{suite}: it hears everything"
        );
        let own = "$(pgrep --parent $(systemctl show -P MainPID mirrorwatch) journalctl)";
        let follows = format!("ls -l /proc/{own}/fd | grep inotify");
        scene.wait("the journal to be followed", || scene.run(&follows).status.success());

        // Awake, and once it has cost what it may.
        for (place, asleep) in [(0, false), (1, true)] {
            if asleep {
                let stopped = format!("grep -q ') T ' /proc/{own}/stat");
                let took = scene.wait("journalctl to be stopped", || scene.run(&stopped).status.success());
                println!("{suite}: journalctl sleeps after another {took:?}");
                scene.succeeds("docker rmi --force busybox:latest");
            }
            let leader = list[place];
            scene.succeeds(&format!("systemctl stop registry@{leader}"));
            scene.pull();
            let took = scene.wait("the switch", || scene.list() == list[place + 1..]);
            println!("{suite}: a pull left {leader}: switched {took:?} after the pull");
            let told = scene.succeeds("mirrorwatch why");
            assert!(told.contains("connection refused"), "{suite}: {told}");
            let left = scene.journal("mirrorwatch");
            assert_eq!(left.matches("a pull left this mirror").count(), place + 1, "{suite}: {left}");
            assert!(took < std::time::Duration::from_secs(15), "{suite}: {took:?}: {left}");
        }
        scene.assert_nothing_was_forbidden();

        scene.succeeds("systemctl stop mirrorwatch");
        assert!(!scene.run("pgrep journalctl").status.success(), "{suite}: it ends with the service");
        where_it_may_not_read_the_journal_it_says_so(&scene);
    }
}

/// A unit of somebody's own that leaves out the group.
const NO_READER: &str = "[Service]\nSupplementaryGroups=\n";

fn where_it_may_not_read_the_journal_it_says_so(scene: &Scene) {
    scene.put("/etc/systemd/system/mirrorwatch.service.d/journal.conf", NO_READER.as_bytes(), "644");
    scene.succeeds("systemctl daemon-reload && systemctl start mirrorwatch");
    let notices = || scene.status()["service"]["notices"].clone();
    scene.wait("the notice", || notices() != serde_json::json!([]));
    let notices = notices();
    assert_eq!(notices[0]["kind"], "deaf", "{scene:?}: {notices}");
    let why = notices[0]["detail"].as_str().unwrap();
    assert!(why.starts_with("journalctl: ") && why.contains("ermission"), "{scene:?}: {why}");
    let told = scene.succeeds("mirrorwatch status --lang en");
    assert!(
        told.contains("Docker's own pulls are not all listened to") && told.contains(why),
        "{scene:?}: {told}"
    );
    let told = scene.succeeds("mirrorwatch why --lang en 2>&1");
    assert!(told.contains(why), "{scene:?}: {told}");
}

/// Brings what a mirror serves at some 200 kB a second, since a pull that takes that long cannot be missed; and once
/// there is a file of that name, no more than 100 kB over one connection.
const LINE: &str = r#"
use IO::Socket::INET; $SIG{CHLD} = 'IGNORE';
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1:5101', Listen => 64, ReuseAddr => 1) or die $!;
while (1) {
  my $client = $listener->accept or next;
  next if fork;
  my $mirror = IO::Socket::INET->new('127.0.0.1:5001') or exit;
  if (fork) {
    my $came = 0;
    while (my $some = sysread $mirror, my $bytes, 4096) {
      sleep 3600 if ($came += $some) > 100_000 and -e '/run/stall';
      syswrite $client, $bytes; select undef, undef, undef, 0.02;
    }
    shutdown $client, 1;
  } else { while (sysread $client, my $bytes, 4096) { syswrite $mirror, $bytes } shutdown $mirror, 1 }
  exit;
}
"#;

#[test]
fn under_its_unit_a_good_pull_refreshes_the_record_and_one_that_hangs_has_its_mirror_replaced() {
    for suite in suites() {
        // containerd's store keeps its connections open, and they say nothing while they wait for the next request.
        let daemon_json = if suite == "bookworm" { ODD.to_owned() } else { containerd_store(ODD) };
        pulls_are_heard(&suite, &daemon_json);
    }
}

fn pulls_are_heard(suite: &str, daemon_json: &str) {
    let scene = Scene::new(suite, daemon_json);
    scene.put("/root/line.pl", LINE.as_bytes(), "644");
    scene.succeeds("systemd-run --quiet --unit=line perl /root/line.pl");
    let settings = format!("{PATIENT}\n[[mirror]]\nname = \"slow\"\nurl = \"http://127.0.0.1:5101\"\n");
    scene.put("/etc/mirrorwatch/mirrors.toml", settings.as_bytes(), "644");
    scene.succeeds("systemctl enable --now mirrorwatch");
    scene.wait("the list", || scene.list() == [5101]);
    scene.wait("a healthy status", || scene.status_code() == Some(0));
    let mirror = || scene.status()["mirrors"][0].clone();
    let before = mirror();
    scene.pull();
    let took = scene.wait("the pull to be heard", || mirror()["last_probe"] != before["last_probe"]);
    println!("{suite}: a good pull was heard {took:?} after its end");
    let told = scene.succeeds("mirrorwatch why");
    assert!(told.contains("served") && !told.contains("no byte"), "{suite}: {told}");
    assert_eq!(mirror()["budget"], before["budget"], "{suite}: without a probe");

    let settings = format!("{settings}\n[[mirror]]\nname = \"m5002\"\nurl = \"http://127.0.0.1:5002\"\n");
    scene.put("/etc/mirrorwatch/mirrors.toml", settings.as_bytes(), "644");
    scene.wait("the second mirror", || scene.list() == [5101, 5002]);
    let told = scene.succeeds("mirrorwatch why");
    assert!(!told.contains("no byte"), "{suite}: what stays open after a pull is no hang: {told}");
    scene.succeeds("touch /run/stall && systemd-run --quiet docker pull busybox:latest");
    let took = scene.wait("the switch", || scene.list() == [5002]);
    println!("{suite}: a pull hangs: switched {took:?} after it began");
    let told = scene.succeeds("mirrorwatch why");
    assert!(told.contains("no byte for 1"), "{suite}: {told}");
    scene.assert_nothing_was_forbidden();
}

/// What every dockerd refuses, and our own validator need not know.
const UNKNOWN: &str = "{\"no-such-option\": true, \"max-concurrent-downloads\": 4}";

#[test]
fn a_file_that_dockerd_would_not_start_with_is_refused_with_its_reason() {
    for suite in suites() {
        let scene = Scene::new(&suite, ODD);
        let lives = scene.lives();
        scene.put("/etc/docker/daemon.json", UNKNOWN.as_bytes(), "644");
        // It is an edit that waits for a reload, too.
        let output = scene.run("mirrorwatch apply --with-pending");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("no-such-option"), "{suite}: dockerd's own reason: {said}");
        if scene.major() >= 23 {
            assert!(
                said.contains("/etc/docker/daemon.json: not written: dockerd --validate:"),
                "{suite}: {said}"
            );
            assert_eq!(scene.reloads(), 0, "{suite}: it was not even asked to reload");
        } else {
            assert!(said.contains("the old file is back"), "{suite}: {said}");
        }
        assert_eq!(scene.daemon_json(), UNKNOWN, "{suite}");
        assert!(scene.list().is_empty(), "{suite}");
        assert_eq!(scene.lives(), lives, "{suite}");
    }
}

#[test]
fn dockerd_is_asked_for_a_second_opinion_where_it_has_one() {
    for suite in suites() {
        let scene = Scene::new(&suite, ODD);
        scene.succeeds("strace -f -qq -s 256 -e trace=execve -e signal=none -o /tmp/trace mirrorwatch apply");
        assert_eq!(scene.list().len(), 3, "{suite}");
        let trace = String::from_utf8(scene.get("/tmp/trace").unwrap()).unwrap();
        let asked: Vec<&str> =
            trace.lines().filter(|line| line.contains("\"--validate\", \"--config-file\"")).collect();
        println!("{suite}: {asked:?}");
        if scene.major() >= 23 {
            let [asked] = asked[..] else { panic!("{suite}: asked once: {trace}") };
            assert!(asked.contains("\"-H\", \"fd://\"") && asked.ends_with(" = 0"), "{suite}: {asked}");
        } else {
            assert!(asked.is_empty(), "{suite}: 20.10 takes --validate for a mistake: {trace}");
        }
    }
}

#[test]
fn after_a_reboot_everything_is_still_right_and_nothing_was_written_anew() {
    for suite in suites() {
        let mut scene = Scene::new(&suite, ODD);
        scene.succeeds("systemctl enable --now mirrorwatch");
        scene.wait_for_full_list();
        let (leader, _) = scene.kill_the_leader();
        scene.succeeds(&format!("systemctl disable registry@{leader}"));
        let (list, file) = (scene.list(), scene.daemon_json());
        scene.wait("the switch in the status", || switches(&scene) == 2);

        scene.reboot();
        assert_eq!(scene.list(), list, "{suite}: dockerd has read it at its start");
        scene.wait("a healthy status", || scene.status_code() == Some(0));
        scene.wait_for_rejection(leader);
        assert_eq!(switches(&scene), 2, "{suite}: they are remembered, and none is new");
        assert_eq!((scene.list(), scene.daemon_json(), scene.reloads()), (list, file, 0), "{suite}");
        scene.wait("the container", || {
            scene.run("docker inspect --format '{{.State.Running}}' sleeper | grep true").status.success()
        });
        scene.pull();
        scene.assert_nothing_was_forbidden();
    }
}

fn switches(scene: &Scene) -> usize {
    scene.status()["switches"].as_array().unwrap().len()
}

/// A container that lets docker wait: `sleep` as a first process does not hear SIGTERM.
const SLOW: &str =
    "docker create --name=slow --network=none --stop-timeout=8 own.example/sleep:1 /bin/sleep 86400";

/// What goes by dockerd's name beside it, each in a network of its own: root's with another socket, and a user's.
const OTHERS: &str = "cp /bin/sh /opt/dockerd && \
    systemd-run --quiet --property=PrivateNetwork=yes /opt/dockerd -c 'sleep infinity; :' -H unix:///srv/other.sock && \
    systemd-run --quiet --property=PrivateNetwork=yes --uid=nobody /opt/dockerd -c 'sleep infinity; :'";

#[test]
fn while_docker_is_stopped_nothing_is_written_and_docker_is_not_started() {
    for suite in suites() {
        let scene = Scene::new(&suite, ODD);
        // docker takes its time to stop: in that window systemd's socket takes connections that nobody answers.
        scene.succeeds(SLOW);
        scene.succeeds("systemctl enable --now mirrorwatch");
        scene.wait_for_full_list();
        scene.succeeds(OTHERS);
        // systemd-run does not wait until they are what they are called.
        scene.wait("the others", || scene.run("test $(pgrep --count --exact dockerd) = 3").status.success());
        docker_is_stopped_and_started(&scene, "docker.service");
        docker_is_stopped_and_started(&scene, "docker.service docker.socket");
        assert_eq!(scene.property("mirrorwatch", "NRestarts"), "0", "{suite}");
        scene.assert_nothing_was_forbidden();
    }
}

fn docker_is_stopped_and_started(scene: &Scene, units: &str) {
    scene.succeeds("docker start slow");
    scene.wait("a healthy status", || scene.status_code() == Some(0));
    // Between a look at dockerd and the next word to it lies a moment in which it may be stopped unseen: not now.
    scene.wait_for_probes(5);
    let (file, reloads, list) = (scene.daemon_json(), scene.reloads(), scene.list());

    scene.succeeds(&format!("systemctl stop --no-block {units}"));
    scene.wait("the stop", || scene.property("docker", "ActiveState") == "deactivating");
    scene.succeeds(&format!("systemctl stop registry@{}", list[0]));
    scene.wait_for_rejection(list[0]);
    scene.wait("the engine's absence", || scene.status_code() == Some(1));
    assert_eq!(scene.property("docker", "ActiveState"), "deactivating", "{scene:?}: all that was meanwhile");
    // Had somebody connected in between, systemd would start docker now.
    scene.wait("the end of the stop", || scene.property("docker", "ActiveState") != "deactivating");
    scene.wait_for_probes(5);
    let journal = scene.journal("docker");
    assert_eq!(scene.property("docker", "ActiveState"), "inactive", "{scene:?}, {units}: {journal}");
    assert_eq!(scene.daemon_json(), file, "{scene:?}, {units}: nothing is written");
    assert_eq!(scene.reloads(), reloads, "{scene:?}, {units}: {journal}");

    // Debian's docker.service may be started three times a minute, and this machine has just been booted.
    scene.succeeds("systemctl reset-failed docker.service && systemctl start docker.service");
    scene.wait("a list without it", || scene.list() == list[1..]);
    scene.wait("a healthy status", || scene.status_code() == Some(0));
}

#[test]
fn where_systemd_cannot_reload_docker_a_signal_does() {
    // docker.service reloads with /bin/kill, which a minimal Debian does not have.
    for suite in suites() {
        let scene = Scene::new(&suite, ODD);
        let lives = scene.lives();
        scene.succeeds("mv /bin/kill /bin/no-kill && ! systemctl reload docker");
        scene.succeeds("mirrorwatch apply");
        assert_eq!(scene.list().len(), 3, "{suite}");
        let journal = scene.journal("docker");
        assert!(!journal.contains("Reloaded docker.service"), "{suite}: systemd could not: {journal}");
        scene.succeeds("mirrorwatch restore");
        assert_eq!((scene.list(), &*scene.daemon_json(), scene.lives()), (vec![], ODD, lives), "{suite}");
    }
}

/// dockerd does not start as long as this file is there.
const BROKEN: &str = "[Service]\nExecStartPre=/usr/bin/test ! -e /run/broken\nRestartSec=4\n";

#[test]
fn a_docker_that_systemd_has_given_up_is_told_with_what_mends_it() {
    for suite in suites() {
        let scene = Scene::new(&suite, ODD);
        scene.succeeds("systemctl enable --now mirrorwatch");
        scene.wait_for_full_list();
        let file = scene.daemon_json();
        scene.put("/etc/systemd/system/docker.service.d/broken.conf", BROKEN.as_bytes(), "644");
        scene.succeeds(
            "systemctl daemon-reload && touch /run/broken && kill -9 $(systemctl show -P MainPID docker)",
        );
        scene
            .wait("systemd to give docker up", || scene.property("docker.socket", "ActiveState") == "failed");

        let mend = "sudo systemctl reset-failed docker.service docker.socket && sudo systemctl start docker";
        scene.wait("what mends it in the status", || {
            scene.succeeds("mirrorwatch status || true").contains(mend)
        });
        assert_eq!(scene.status_code(), Some(1), "{suite}");
        let output = scene.run("mirrorwatch apply");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains(mend), "{suite}: {said}");
        println!("{suite}: {said}");

        let journal = scene.journal("docker");
        assert!(journal.contains("Start request repeated too quickly"), "{suite}: {journal}");
        scene.succeeds("rm /run/broken");
        scene.succeeds(&mend.replace("sudo ", ""));
        scene.wait("a healthy status", || scene.status_code() == Some(0));
        assert_eq!(scene.daemon_json(), file, "{suite}: nothing was written meanwhile");
        scene.assert_nothing_was_forbidden();
    }
}
