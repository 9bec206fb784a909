//! D: what can be wrong with dockerd.

use std::time::{Duration, Instant};

use mirrorwatch::engine::Docker;
use mirrorwatch::reason::ProblemKind;
use rustix::process::Signal;

use crate::dockerd::{Dockerd, urls};
use crate::invariants::Before;
use crate::scene::{FILE, Scene};

#[test]
fn d6_edits_of_others_wait_for_their_author_and_are_named() {
    let mut scene = Scene::new();
    let before = Before::of(&scene.daemon);
    scene.apply().ended(0, "In place");
    let ours = scene.daemon.text().unwrap();
    // One that /info has the running value of, and one that it has not.
    let edit = ours.replace("\"debug\":false", "\"debug\":true, \"features\":{\"buildkit\":true}");
    scene.daemon.write(&edit);
    scene.want(1);
    for arguments in [&["apply"][..], &["apply", "--dry-run"]] {
        let said = scene.run(arguments).ended(1, "ours would activate them: debug, features");
        assert!(said.err.contains("--with-pending"), "{said:?}");
        assert_eq!(scene.daemon.text().as_deref(), Some(&*edit));
    }
    before.i6_reloads(&scene.daemon, 1);
    assert!(scene.has(0));
    // Their author reloads: nothing waits any more.
    scene.daemon.reload();
    scene.apply().ended(0, "In place");
    assert!(scene.has(1));
    // The same edits again, in another order and in a file that has changed: nothing waits.
    let again = scene
        .daemon
        .text()
        .unwrap()
        .replace("\"features\":{\"buildkit\":true}", "\"features\" : {\"buildkit\":true}");
    scene.daemon.write(&again);
    scene.want(0);
    scene.apply().ended(0, "In place");
    // And the administrator may say that they are meant, by hand or for the service.
    scene.daemon.write(&scene.daemon.text().unwrap().replace("\"debug\":true", "\"debug\":false"));
    scene.want(1);
    scene.apply().ended(1, "activate them: debug");
    scene.run(&["apply", "--with-pending"]).ended(0, "In place");
    scene.daemon.write(&scene.daemon.text().unwrap().replace("\"debug\":false", "\"debug\":true"));
    scene.configure(0, "with_pending = true");
    scene.apply().ended(0, "In place");
    assert!(scene.has(0) && scene.daemon.lives());
}

#[test]
fn d6_before_the_first_write_what_dockerd_has_not_read_may_wait_too() {
    let scene = Scene::new();
    // Nobody knows what this key was before.
    scene.daemon.write(&FILE.replace("\"debug\"", "\"insecure-registries\":[\"r.example:5000\"], \"debug\""));
    let said = scene.apply().ended(1, "activate them: insecure-registries");
    assert!(said.err.contains("max-concurrent-downloads"), "{said:?}");
    scene.daemon.reload();
    scene.apply().ended(0, "In place");
    scene.agrees();
}

#[test]
fn d2_a_dockerd_that_is_starting_is_never_signalled() {
    let mut daemon = Dockerd::launch("{}");
    let engine = Docker::new(daemon.settings(), &daemon.at("state"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let start = Instant::now();
    let mut tries = 0;
    loop {
        tries += 1;
        match runtime.block_on(engine.apply(&urls(&["https://a.example"]))) {
            Ok(applied) => {
                assert!(applied.verified);
                break;
            }
            Err(problem) => {
                let early = [ProblemKind::NotRunning, ProblemKind::NoAnswer];
                assert!(early.contains(&problem.kind), "{problem}");
                assert_eq!(daemon.text().as_deref(), Some("{}"));
            }
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{}", daemon.log());
    }
    assert!(tries > 10, "{tries}");
    assert!(daemon.lives(), "{}", daemon.log());
}

/// The process that was seen is gone when the signal is sent: nobody gets it.
#[test]
fn d3_a_dockerd_that_ended_in_between_is_not_mistaken_for_another() {
    let mut scene = Scene::new();
    let other = Dockerd::start("{}");
    let seen = Before::of(&other);
    let pid = scene.daemon.pid();
    std::thread::scope(|scope| {
        let killer = scope.spawn(|| {
            // The file is written by now, and the signal waits at its door.
            let start = Instant::now();
            while scene.daemon.text().as_deref() == Some(FILE) {
                assert!(start.elapsed() < Duration::from_secs(60));
                std::thread::sleep(Duration::from_millis(2));
            }
            scene.daemon.signal(Signal::KILL);
        });
        let said = scene.run_with(&["apply"], "pidfd_open", "delay_enter=1000000");
        killer.join().unwrap();
        said.ended(1, &format!("dockerd (pid {pid}): cannot be sent SIGHUP"));
    });
    assert_eq!(scene.daemon.text().as_deref(), Some(FILE));
    assert_eq!(scene.left(), [""; 0]);
    assert!(!scene.daemon.lives());
    seen.i6_reloads(&other, 0);
}

#[test]
fn d6_the_service_waits_for_the_author_and_goes_on_when_he_has_reloaded() {
    let scene = Scene::new();
    scene.want_soon(0);
    let mut service = scene.serve();
    scene.wait("the first list", || scene.has(0));
    scene.daemon.write(&scene.daemon.text().unwrap().replace("\"debug\":false", "\"debug\":true"));
    scene.want_soon(1);
    let problem = || scene.status()["engines"][0]["problem"].as_str().unwrap_or_default().to_owned();
    scene.wait("a word about the edit", || problem().contains("activate them: debug"));
    assert_eq!(scene.status()["engines"][0]["state"], "pending");
    assert!(scene.has(0));
    scene.daemon.reload();
    scene.wait("the second list", || scene.has(1));
    scene.wait("the word to go", || scene.status()["engines"][0]["state"] == "in_place");
    assert_eq!(service.end(), Some(0));
    scene.agrees();
}

/// D13, I4: a pull goes on through reloads that put other lists in place.
#[test]
fn d13_a_pull_under_way_is_not_disturbed_by_reloads() {
    let mut scene = Scene::new();
    let before = Before::of(&scene.daemon);
    scene.apply().ended(0, "In place");
    // Fast enough for the probes, and slow enough for a pull to last through ten reloads.
    scene.slow_down(0, 300_000);
    let probed = scene.asked(0, "/blobs/");
    std::thread::scope(|scope| {
        let pull = scope.spawn(|| scene.daemon.docker(&["pull", "--quiet", "library/busybox:latest"]));
        scene.wait("the pull to begin", || scene.asked(0, "/blobs/") > probed);
        let mut reloads = 0;
        while !pull.is_finished() {
            scene.want(1 - reloads % 2);
            scene.apply();
            reloads += 1;
        }
        assert!(pull.join().unwrap().contains("busybox"));
        assert!(reloads > 2, "{reloads}");
        println!("a pull went on through {reloads} reloads");
    });
    scene.agrees();
    before.holds(&mut scene.daemon, 200);
}

#[test]
fn d6_a_restore_says_what_its_reload_activates_and_does_not_wait() {
    let scene = Scene::new();
    scene.apply().ended(0, "In place");
    scene.daemon.write(&scene.daemon.text().unwrap().replace("\"debug\":false", "\"debug\":true"));
    scene.run(&["restore"]).ended(0, "has not taken yet (debug)");
    assert_eq!(scene.daemon.text(), Some(FILE.replace("\"debug\":false", "\"debug\":true")));
    scene.agrees();
}
