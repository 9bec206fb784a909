//! The snap of Docker, played by Debian's dockerd in the snap's places: its own daemon.json, directories and unit, which
//! systemd cannot reload.

use crate::scene::{ODD, Scene, suites};

/// What the snap's wrapper starts; `%i` is not for it: the revision is in the path.
fn unit(revision: u32) -> String {
    format!(
        "[Service]\nExecStart=/usr/sbin/dockerd --config-file=/var/snap/docker/{revision}/config/daemon.json --pidfile=/run/snap.docker/docker.pid --exec-root=/run/snap.docker --data-root=/var/lib/docker/snap -H unix:///var/run/docker.sock\nRuntimeDirectory=snap.docker\n"
    )
}

const UNIT: &str = "snap.docker.dockerd.service";
const FILE: &str = "/var/snap/docker/current/config/daemon.json";

/// Installs a revision as snapd does: the data of the old one is copied, and the link leads to the new one.
fn refresh(scene: &Scene, revision: u32) {
    let place = format!("/var/snap/docker/{revision}");
    scene.succeeds(&format!(
        "systemctl stop {UNIT}; mkdir -p /var/snap/docker && if [ -e /var/snap/docker/current ]; then cp -a /var/snap/docker/current/. {place}; else mkdir -p {place}/config; fi && ln -sfn {revision} /var/snap/docker/current"
    ));
    scene.put(&format!("/etc/systemd/system/{UNIT}"), unit(revision).as_bytes(), "644");
    scene.succeeds("systemctl daemon-reload");
}

fn file(scene: &Scene) -> String {
    String::from_utf8(scene.get(FILE).unwrap()).unwrap()
}

#[test]
fn the_snap_of_docker_is_kept_right_in_its_own_place_and_over_a_refresh() {
    for suite in suites() {
        let scene = Scene::new(&suite, ODD);
        // What stands in /etc/docker is of no dockerd that runs.
        scene.succeeds("docker rm --force sleeper && systemctl disable --now docker.socket docker.service");
        refresh(&scene, 42);
        scene.put(FILE, ODD.as_bytes(), "644");
        scene.succeeds(&format!("systemctl start {UNIT}"));
        scene.wait("the snap's dockerd", || scene.run("docker info").status.success());
        let pid = scene.property(UNIT, "MainPID");
        assert!(!scene.run(&format!("systemctl reload {UNIT}")).status.success(), "{suite}: not by systemd");

        scene.succeeds("systemctl enable --now mirrorwatch");
        let list = scene.wait_for_full_list();
        scene.wait("a healthy status", || scene.status_code() == Some(0));
        assert_eq!(scene.status()["engines"][0]["file"], FILE, "{suite}");
        scene.pull();
        let (leader, took) = scene.kill_the_leader();
        println!("{suite}: {list:?}; {leader} dies: switched after {took:?}");
        assert_eq!(scene.property(UNIT, "MainPID"), pid, "{suite}: by a signal, and never restarted");

        refresh(&scene, 43);
        scene.succeeds(&format!("systemctl start {UNIT}"));
        scene.wait("the new dockerd", || scene.run("docker info").status.success());
        scene.wait("a healthy status", || scene.status_code() == Some(0));
        assert_eq!(scene.list(), list[1..], "{suite}: it came along");
        scene.succeeds("mirrorwatch restore");
        assert_eq!((&*file(&scene), scene.list()), (ODD, vec![]), "{suite}: byte for byte");
        assert_eq!(scene.daemon_json(), ODD, "{suite}: /etc/docker is not this dockerd's");
        scene.assert_nothing_was_forbidden();
    }
}
