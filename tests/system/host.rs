//! What a host can do to the service: take the processor from it, let it hang; and hosts that run Docker otherwise.

use serde_json::Value;

use super::scene::{ODD, Scene, suites};

/// A hang is noticed in seconds instead of minutes.
const IMPATIENT: &str = "[Service]\nWatchdogSec=5s\nTimeoutAbortSec=1s\n";

#[test]
fn a_service_that_hangs_is_started_anew_and_goes_on_with_the_list_that_it_left() {
    for suite in suites() {
        let scene = Scene::new(&suite, ODD);
        scene.put("/etc/systemd/system/mirrorwatch.service.d/impatient.conf", IMPATIENT.as_bytes(), "644");
        scene.succeeds("systemctl daemon-reload && systemctl enable --now mirrorwatch");
        scene.wait_for_full_list();
        scene.wait("a healthy status", || scene.status_code() == Some(0));
        let left = || (scene.daemon_json(), scene.list(), scene.reloads(), scene.lives());
        let before = left();
        let process = scene.property("mirrorwatch", "MainPID");

        scene.succeeds(&format!("kill -STOP {process}"));
        let took = scene.wait("another process", || {
            scene.property("mirrorwatch", "NRestarts") != "0"
                && !["0", &process].contains(&&*scene.property("mirrorwatch", "MainPID"))
        });
        let journal = scene.journal("mirrorwatch");
        assert!(journal.contains("Watchdog timeout"), "{suite}: {journal}");
        println!("{suite}: stopped, and another runs {took:?} later");
        scene.wait_for_probes(5);
        scene.wait("a healthy status", || scene.status_code() == Some(0));
        assert_eq!(left(), before, "{suite}");
        scene.kill_the_leader();
    }
}

/// It runs for a tenth of a second and then not for longer than any of its own deadlines here, as where a hundred
/// others want the processor.
///
/// What came meanwhile waits in the kernel, so mirrors that answer at once are served ones also to a service that does not
/// excuse them; that it does is shown where time can be moved, by `daemon/tests.rs` and `scenarios/network/starved*.toml`.
const STARVE: &str = "process=$(systemctl show --value --property=MainPID mirrorwatch); \
    for turn in $(seq 8); do kill -STOP $process; sleep 1.5; kill -CONT $process; sleep 0.1; done";

#[test]
fn a_service_that_hardly_gets_the_processor_blames_nobody_and_changes_nothing() {
    // The same on every suite.
    let scene = Scene::new(&suites()[0], ODD);
    scene.succeeds("systemctl enable --now mirrorwatch");
    scene.wait_for_full_list();
    scene.wait("a healthy status", || scene.status_code() == Some(0));
    let left = || (scene.daemon_json(), scene.reloads(), scene.lives());
    let before = left();
    let outcomes = || {
        let history: Value = serde_json::from_str(&scene.succeeds("mirrorwatch history --json")).unwrap();
        let outcome = |one: &Value| one["outcome"].clone();
        history["observations"].as_array().unwrap().iter().map(outcome).collect::<Vec<Value>>()
    };
    let already = outcomes().len();
    scene.succeeds(STARVE);
    let outcomes = outcomes();
    println!("{scene:?}: starved, and {} probes ended", outcomes.len() - already);
    assert!(outcomes.len() > already + 3, "it went on: {outcomes:?}");
    assert!(outcomes.iter().all(|outcome| outcome == "served"), "{outcomes:?}");
    assert_eq!(left(), before);
}

#[test]
fn a_node_of_a_swarm_gets_its_list_and_its_tasks_go_on() {
    for suite in suites() {
        let scene = Scene::new(&suite, ODD);
        scene.succeeds("docker swarm init --advertise-addr 127.0.0.1 --listen-addr 127.0.0.1");
        scene.succeeds(
            "docker service create --detach --name=task --network=host --no-resolve-image own.example/sleep:1 /bin/sleep 86400",
        );
        let task = || scene.succeeds("docker ps --no-trunc --filter name=task --format '{{.ID}}'");
        scene.wait("the task", || !task().is_empty());
        let lives = || {
            let task = task();
            let state = scene.succeeds(&format!(
                "docker inspect --format '{{{{.State.Pid}}}} {{{{.State.StartedAt}}}}' {task}"
            ));
            format!("{} {task} {state}", scene.lives())
        };
        let before = lives();
        scene.succeeds("systemctl enable --now mirrorwatch");
        scene.wait_for_full_list();
        scene.kill_the_leader();
        scene.pull();
        scene.succeeds("mirrorwatch restore");
        assert_eq!((&*scene.daemon_json(), lives()), (ODD, before), "{suite}");
        assert_eq!(scene.succeeds("docker info --format '{{.Swarm.LocalNodeState}}'"), "active", "{suite}");
    }
}

#[test]
fn a_docker_that_maps_its_users_gets_its_list() {
    for suite in suites() {
        let mapped = ODD.replacen('{', "{\"userns-remap\": \"default\",", 1);
        let scene = Scene::new(&suite, &mapped);
        let lives = scene.lives();
        scene.succeeds("systemctl enable --now mirrorwatch");
        scene.wait_for_full_list();
        scene.kill_the_leader();
        scene.pull();
        assert!(scene.succeeds("docker info --format '{{.SecurityOptions}}'").contains("name=userns"));
        scene.succeeds("mirrorwatch restore");
        assert_eq!((scene.daemon_json(), scene.lives()), (mapped, lives), "{suite}");
    }
}
