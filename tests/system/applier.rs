//! The process that writes, where something is in its way: killed, refused, away.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use super::scene::{ODD, Scene, suites};

/// A reload that takes its time, so that some kills fall before it, some into it, and some behind it.
const SLOW_RELOAD: &str =
    "[Service]\nExecReload=\nExecReload=/bin/sleep 0.2\nExecReload=/bin/kill -s HUP $MAINPID\n";

/// What the service would ask for, put there by root.
fn ask(scene: &Scene, number: u64, list: &[u16]) {
    let named = |port: &u16| json!({"name": format!("m{port}"), "url": format!("http://127.0.0.1:{port}")});
    let list: Vec<Value> = list.iter().map(named).collect();
    let request = json!({"format": 2, "number": number, "list": list});
    scene.put("/run/mirrorwatch/new", request.to_string().as_bytes(), "644");
    scene.succeeds("cd /run/mirrorwatch && chown mirrorwatch new && mv -f new request.json");
}

fn runs(scene: &Scene) -> bool {
    scene.property("mirrorwatch-apply", "ActiveState") == "activating"
}

#[test]
fn killed_at_any_moment_it_leaves_the_old_list_or_the_new_one_and_the_next_run_goes_on() {
    for suite in suites() {
        let scene = Scene::new(&suite, ODD);
        scene.put("/etc/systemd/system/docker.service.d/slow.conf", SLOW_RELOAD.as_bytes(), "644");
        scene.succeeds("systemctl daemon-reload && systemctl enable --now mirrorwatch");
        let one = scene.wait_for_full_list();
        scene.wait("a healthy status", || scene.status_code() == Some(0));
        scene.succeeds("systemctl stop mirrorwatch && systemctl start mirrorwatch-apply.path");
        let lives = scene.lives();
        let other: Vec<u16> = one.iter().rev().copied().collect();
        let before = scene.daemon_json();
        ask(&scene, 1, &other);
        scene.wait("the other order", || scene.list() == other && !runs(&scene));
        let files = [scene.daemon_json(), before];
        assert!(files.iter().all(|file| file.contains("\"labels\": [\"a=\\u4e2d\"]")), "{suite}: {files:?}");

        let (mut killed, mut new) = (0, 0);
        for turn in 0..12 {
            let wanted = usize::from(turn % 2 == 0);
            let started = || scene.property("mirrorwatch-apply", "ExecMainStartTimestampMonotonic");
            let before = started();
            ask(&scene, 2 + u64::from(turn), [&other, &one][wanted]);
            scene.wait("a run", || started() != before);
            sleep(Duration::from_millis(30) * turn);
            let pid = scene.property("mirrorwatch-apply", "MainPID");
            killed += usize::from(pid != "0" && scene.run(&format!("kill -9 {pid}")).status.success());
            scene.wait("its end", || !runs(&scene));
            let left = scene.daemon_json();
            assert!(files.contains(&left), "{suite}, turn {turn}: {left}");
            new += usize::from(left == files[wanted]);

            // The service asks again; this one is only to clear up.
            ask(&scene, 100 + u64::from(turn), &[1]);
            scene.succeeds("systemctl start mirrorwatch-apply");
            let left = scene.daemon_json();
            assert!(files.contains(&left), "{suite}, turn {turn}: {left}");
            let list = if left == files[0] { &other } else { &one };
            scene.wait("docker's list", || scene.list() == *list);
        }
        println!("{suite}: killed in {killed} of 12 runs; the new list stood after {new}");
        assert!(killed > 0, "{suite}: {}", scene.journal("mirrorwatch-apply"));
        assert_eq!(scene.lives(), lives, "{suite}");
        scene.succeeds("systemctl start mirrorwatch");
        scene.wait("a healthy status", || scene.status_code() == Some(0));
        scene.succeeds("mirrorwatch restore");
        assert_eq!((&*scene.daemon_json(), scene.lives()), (ODD, lives), "{suite}");
    }
}

#[test]
fn what_it_may_not_write_it_leaves_alone_and_the_status_says_what_mends_that() {
    for suite in suites() {
        let scene = Scene::new(&suite, ODD);
        somebody_elses_file(&scene);
        a_file_in_another_place(&scene);
    }
}

/// What `mirrorwatch status` says once this is in it.
fn told(scene: &Scene, words: &str) -> String {
    let status = || scene.succeeds("mirrorwatch status || true");
    scene.wait(words, || status().contains(words));
    assert_eq!(scene.status_code(), Some(1), "{scene:?}: {}", status());
    status()
}

fn somebody_elses_file(scene: &Scene) {
    let file = "/etc/docker/daemon.json";
    scene.succeeds(&format!(
        "chown nobody {file} && systemctl reset-failed docker && systemctl restart docker"
    ));
    let seen = || scene.succeeds(&format!("stat --format '%U %i %y' {file} && ls -A /etc/docker"));
    let before = seen();
    scene.succeeds("systemctl enable --now mirrorwatch");
    let said = told(scene, "/etc/docker/daemon.json: cannot be replaced: Operation not permitted");
    let mend =
        "sudo chown root:root on it, then sudo systemctl reload docker && sudo systemctl restart mirrorwatch";
    assert!(said.contains(mend), "{scene:?}: {said}");
    assert_eq!((seen(), scene.list()), (before, vec![]), "{scene:?}: nothing was written");
    println!("{scene:?}: {said}");
    scene.succeeds(&format!(
        "chown root:root {file} && systemctl reload docker && systemctl restart mirrorwatch"
    ));
    scene.wait_for_full_list();
}

const ELSEWHERE: &str =
    "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// --config-file /srv/docker/daemon.json\n";

fn a_file_in_another_place(scene: &Scene) {
    scene.succeeds(
        "systemctl stop mirrorwatch && mkdir /srv/docker && mv /etc/docker/daemon.json /srv/docker/",
    );
    scene.put("/srv/docker/daemon.json", ODD.as_bytes(), "644");
    scene.put("/etc/systemd/system/docker.service.d/elsewhere.conf", ELSEWHERE.as_bytes(), "644");
    scene.succeeds("systemctl daemon-reload && systemctl reset-failed docker && systemctl restart docker");
    scene.succeeds("systemctl start mirrorwatch");
    let said = told(scene, "/srv/docker/daemon.json: cannot be replaced: Read-only file system");
    assert!(
        said.contains("ReadWritePaths: sudo systemctl edit mirrorwatch-apply.service"),
        "{scene:?}: {said}"
    );
    println!("{scene:?}: {said}");
    assert_eq!((&*scene.succeeds("ls -A /srv/docker"), scene.list()), ("daemon.json", vec![]), "{scene:?}");
    let unit = "[Service]\nReadWritePaths=/srv/docker\n";
    scene.put("/etc/systemd/system/mirrorwatch-apply.service.d/override.conf", unit.as_bytes(), "644");
    scene.succeeds("systemctl daemon-reload && systemctl restart mirrorwatch");
    scene.wait_for_full_list();
}

/// One that is not started, whoever asks.
const NEVER: &str = "[Unit]\nConditionPathExists=/nowhere\n";

#[test]
fn while_it_is_away_the_status_says_which_unit_it_is_and_what_starts_it() {
    // Twenty seconds of waiting, the same on every suite.
    let scene = Scene::new(&suites()[0], ODD);
    let starters = ["path", "timer"].map(|kind| format!("/etc/systemd/system/mirrorwatch-apply.{kind}.d"));
    for directory in &starters {
        scene.put(&format!("{directory}/never.conf"), NEVER.as_bytes(), "644");
    }
    scene.succeeds("systemctl daemon-reload && systemctl enable --now mirrorwatch");
    let said = told(
        &scene,
        "mirrorwatch-apply: no answer within 20s: the state of mirrorwatch-apply.path is inactive",
    );
    let mend = "sudo systemctl restart mirrorwatch";
    assert!(said.contains(&format!("{mend}, which starts")), "{said}");
    println!("{scene:?}: {said}");
    scene.succeeds(&format!("rm -r {} && systemctl daemon-reload", starters.join(" ")));
    scene.succeeds(&mend.replace("sudo ", ""));
    scene.wait_for_full_list();
    scene.wait("a healthy status", || scene.status_code() == Some(0));
    scene.assert_nothing_was_forbidden();
}
