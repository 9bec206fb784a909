//! The two processes: who they are, and what the one can make the other do.

use std::cell::Cell;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::scene::{ODD, Scene, suites};

/// An applier that has heard of a request answers within a second or two.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// What a prober that was taken over can write; run as its user.
fn forge(scene: &Scene, bytes: &[u8]) {
    scene.put("/tmp/forged", bytes, "644");
    scene.succeeds(
        "runuser -u mirrorwatch -- sh -c 'cp /tmp/forged /run/mirrorwatch/new && mv -f /run/mirrorwatch/new /run/mirrorwatch/request.json'",
    );
}

/// Waits until the applier has run once more.
fn wait_for_the_applier(scene: &Scene, act: impl FnOnce()) {
    let runs = || scene.property("mirrorwatch-apply", "ExecMainExitTimestampMonotonic");
    let before = runs();
    act();
    scene.wait("the applier", || runs() != before && state(scene) == "inactive");
}

/// What the applier says of this request, however often it ran for what was there before. systemd does not hear of a
/// change while the applier runs, so whoever is not answered asks again, as the service does.
fn answer_to(scene: &Scene, request: &Value) -> Value {
    let report = || -> Value {
        serde_json::from_slice(&scene.get("/run/mirrorwatch-apply/engine.json").unwrap()).unwrap()
    };
    let asked = Cell::new(None::<Instant>);
    scene.wait("the answer", || {
        if asked.get().is_some_and(|_| report()["answered"] == request["number"]) {
            return state(scene) == "inactive";
        }
        if asked.get().is_none_or(|at| at.elapsed() > ASK_AGAIN) {
            asked.set(Some(Instant::now()));
            forge(scene, request.to_string().as_bytes());
        }
        false
    });
    report()
}

fn state(scene: &Scene) -> String {
    scene.property("mirrorwatch-apply", "ActiveState")
}

/// From now on systemd says each time that it starts the applier.
fn count_starts(scene: &Scene) {
    let place = "/etc/systemd/system/mirrorwatch-apply.service.d/log.conf";
    scene.put(place, b"[Service]\nLogLevelMax=info\n", "644");
    scene.succeeds("systemctl daemon-reload");
}

/// How often the applier was started since [`count_starts`].
fn starts(scene: &Scene) -> usize {
    scene.journal("mirrorwatch-apply").matches("Starting mirrorwatch-apply.service").count()
}

/// A request every thirtieth of a second, each another, for ten seconds.
const FLOOD: &str = r#"
cd /run/mirrorwatch
for turn in $(seq 300); do
  echo "{\"format\":1,\"number\":$turn,\"config\":\"\",\"list\":null}" > new
  mv -f new request.json
  sleep 0.03
done
"#;

#[test]
fn who_talks_to_strangers_is_nobody_and_who_writes_has_no_capability_and_does_not_stay() {
    for suite in suites() {
        let scene = Scene::new(&suite, ODD);
        let proxy = "http://user:secret@127.0.0.1:9";
        let conf = format!("[Service]\nEnvironment=\"HTTPS_PROXY={proxy}\"\n");
        scene.put("/etc/systemd/system/docker.service.d/proxy.conf", conf.as_bytes(), "644");
        scene.succeeds("systemctl daemon-reload && systemctl restart docker");
        scene.succeeds("systemctl enable --now mirrorwatch");
        scene.wait_for_full_list();
        scene.wait("a healthy status", || scene.status_code() == Some(0));

        let report = "/run/mirrorwatch-apply/engine.json";
        let told = scene.succeeds(&format!("runuser -u mirrorwatch -- cat {report}"));
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(
            told["facts"]["proxies"]["https"], proxy,
            "{suite}: by systemd, since the process tells nothing"
        );
        assert!(!scene.run(&format!("runuser -u nobody -- cat {report}")).status.success(), "{suite}");

        let pid = scene.property("mirrorwatch", "MainPID");
        let id = scene.succeeds("id -u mirrorwatch");
        assert_ne!(id, "0");
        let status = scene.succeeds(&format!("cat /proc/{pid}/status"));
        let none = "0000000000000000";
        let users = format!("Uid:\t{id}\t{id}\t{id}\t{id}");
        let none_of_all =
            ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map(|set| format!("{set}:\t{none}"));
        for line in [users, "NoNewPrivs:\t1".to_owned()].into_iter().chain(none_of_all) {
            assert!(status.lines().any(|it| it == line), "{suite}: {line}: {status}");
        }
        for forbidden in [
            "docker info",
            "touch /etc/docker/x",
            "touch /run/mirrorwatch-apply/x",
            "ls /var/lib/mirrorwatch-apply/engines/docker",
        ] {
            let output = scene.run(&format!("runuser -u mirrorwatch -- {forbidden}"));
            assert!(!output.status.success(), "{suite}: {forbidden}");
        }
        assert_eq!(state(&scene), "inactive", "{suite}: it is not resident");
        let journal = scene.journal("mirrorwatch-apply");
        assert!(journal.contains("applied"), "{suite}: what it did is kept: {journal}");
        for chatter in ["Starting", "Finished", "Deactivated", "Consumed"] {
            assert!(!journal.contains(chatter), "{suite}: that it was started is not: {journal}");
        }
        assert_eq!(scene.succeeds("pgrep -x mirrorwatch"), pid, "{suite}: and nothing else of ours is");
        for (unit, most) in [("mirrorwatch", 15), ("mirrorwatch-apply", 12)] {
            let said = scene
                .succeeds(&format!("systemd-analyze security --no-pager --threshold={most} {unit}.service"));
            println!("{suite}: {}", said.lines().last().unwrap_or_default());
        }

        // Commands of root leave nothing behind that the service could not write.
        scene.succeeds("mirrorwatch apply && mirrorwatch pause && mirrorwatch resume && mirrorwatch probe");
        scene.succeeds("mirrorwatch restore && mirrorwatch resume");
        let foreign = scene.succeeds("find /var/lib/mirrorwatch /run/mirrorwatch ! -user mirrorwatch");
        assert_eq!(foreign, "", "{suite}");
        scene.wait_for_full_list();
        scene.wait("a healthy status", || scene.status_code() == Some(0));
        scene.assert_nothing_was_forbidden();
    }
}

#[test]
fn a_prober_that_was_taken_over_can_only_reorder_and_leave_out_and_not_without_end() {
    for suite in suites() {
        let scene = Scene::new(&suite, ODD);
        let lives = scene.lives();
        count_starts(&scene);
        scene.succeeds("systemctl enable --now mirrorwatch");
        let list = scene.wait_for_full_list();
        scene.wait("a healthy status", || scene.status_code() == Some(0));
        scene.succeeds("systemctl stop mirrorwatch");
        assert_eq!(
            scene.property("mirrorwatch-apply.path", "ActiveState"),
            "inactive",
            "{suite}: it ends with it"
        );
        scene.succeeds("systemctl start mirrorwatch-apply.path");
        let (begin, already) = (Instant::now(), starts(&scene));
        let (file, reloads) = (scene.daemon_json(), scene.reloads());
        let wanted = |number: u64, list: Value| json!({"format": 2, "number": number, "list": list});
        let named = |name: &str, url: &str| json!({"name": name, "url": url});
        let first = named("m5001", "http://127.0.0.1:5001");

        let evil = "https://evil.example";
        let mut key = wanted(101, json!([first]));
        key["registry-mirrors"] = json!([evil]);
        let other = wanted(102, json!([named("m5001", evil)]));
        let forged = [
            wanted(103, json!([first, named(evil, evil)])),
            wanted(104, json!([named("http://127.0.0.1:5001", "http://127.0.0.1:9")])),
            wanted(105, json!([first, first])),
            wanted(106, json!([first, first, first, first])),
            wanted(107, json!({"hosts": ["tcp://0.0.0.0:2375"]})),
            key,
            other,
        ];
        let forged = forged.iter().map(|value| value.to_string().into_bytes());
        for bytes in forged.chain([vec![b'A'; 1 << 20], vec![0; 1 << 20], Vec::new()]) {
            wait_for_the_applier(&scene, || forge(&scene, &bytes));
        }
        for way in ["ln -s /etc/shadow", "mkfifo", "ln -s /etc/mirrorwatch/mirrors.toml", "mkdir"] {
            wait_for_the_applier(&scene, || {
                scene.succeeds(&format!(
                    "cd /run/mirrorwatch && rm -rf request.json && runuser -u mirrorwatch -- {way} request.json"
                ));
            });
            scene.succeeds("rm -rf /run/mirrorwatch/request.json");
        }
        assert_eq!(
            (scene.daemon_json(), scene.reloads()),
            (file, reloads),
            "{suite}: nothing of all that did anything"
        );
        let journal = scene.journal("mirrorwatch-apply");
        assert!(!journal.contains("evil.example\"]") && !journal.contains("root:"), "{suite}: {journal}");

        // What it may: another order, so often.
        let name = |port: &u16| named(&format!("m{port}"), &format!("http://127.0.0.1:{port}"));
        let mut names: Vec<Value> = list.iter().map(name).collect();
        for turn in 0..26 {
            names.reverse();
            let report = answer_to(&scene, &wanted(1000 + turn, json!(names)));
            if turn == 0 {
                let reversed: Vec<u16> = list.iter().rev().copied().collect();
                assert_eq!(scene.list(), reversed, "{suite}: {report}");
            }
        }
        let report = scene.get("/run/mirrorwatch-apply/engine.json").unwrap();
        let report: Value = serde_json::from_slice(&report).unwrap();
        assert_eq!(report["reloads_left"], 0, "{suite}");
        assert_eq!(report["outcome"]["Err"]["kind"], "reloads_spent", "{suite}: {report}");
        assert_eq!(scene.reloads(), 20, "{suite}: the first list and what was asked for since");
        scene.put("/root/flood.sh", FLOOD.as_bytes(), "755");
        scene.succeeds("runuser -u mirrorwatch -- sh < /root/flood.sh");
        let (runs, seconds) = (starts(&scene) - already, begin.elapsed().as_secs_f64());
        println!("{suite}: asked without end: {runs} runs in {seconds} s");
        // Thirty are free, and some more that came before; then there is one a second.
        assert!((30.0..=seconds + 32.0).contains(&(runs as f64)), "{suite}: {runs} runs in {seconds} s");
        assert_eq!(scene.property("mirrorwatch-apply.path", "ActiveState"), "active", "{suite}");
        // By hand always acts.
        scene.succeeds("mirrorwatch restore");
        assert_eq!((scene.daemon_json(), scene.lives()), (ODD.to_owned(), lives), "{suite}");
    }
}

#[test]
fn however_often_the_service_is_restarted_what_it_asks_is_answered() {
    for suite in suites() {
        let scene = Scene::new(&suite, ODD);
        scene.succeeds("systemctl enable --now mirrorwatch");
        scene.wait_for_full_list();
        // systemd's default gives a unit up after five starts in ten seconds.
        scene.succeeds("for turn in 1 2 3 4 5 6 7 8 9 10 11 12; do systemctl restart mirrorwatch; done");
        for starter in ["mirrorwatch-apply.path", "mirrorwatch-apply.timer"] {
            assert_eq!(scene.property(starter, "ActiveState"), "active", "{suite}: {starter}");
        }
        let (leader, took) = scene.kill_the_leader();
        println!("{suite}: after twelve restarts {leader} dies: switched after {took:?}");
    }
}

#[test]
fn a_connection_of_another_user_to_a_mirror_is_no_pull() {
    for suite in suites() {
        let scene = Scene::new(&suite, ODD);
        scene.be_patient();
        scene.succeeds("systemctl enable --now mirrorwatch");
        let list = scene.wait_for_full_list();
        scene.wait("a healthy status", || scene.status_code() == Some(0));
        // dockerd is root's, and the service may not see which of root's connections are dockerd's.
        for (user, port) in [("nobody", list[0]), ("root", list[1])] {
            let idle = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; sleep 300");
            scene.succeeds(&format!("systemd-run --quiet --property=User={user} bash -c '{idle}'"));
        }
        let silent = || -> Vec<Value> {
            let why: Value = serde_json::from_slice(&scene.run("mirrorwatch why --json").stdout).unwrap();
            let signs = why["signs"].as_array().unwrap().iter();
            signs.filter(|sign| sign["seen"] == "silent").map(|sign| sign["name"].clone()).collect()
        };
        scene.wait("root's to be called silent", || silent().contains(&json!(format!("m{}", list[1]))));
        assert_eq!(silent(), [json!(format!("m{}", list[1]))], "{suite}");
    }
}

#[test]
fn a_journal_that_is_restarted_rotated_or_moved_to_the_disk_is_followed() {
    for suite in suites() {
        let scene = Scene::new(&suite, ODD);
        scene.be_patient();
        // In memory as long as there is no directory on the disk; the journald of systemd 260 would make one.
        scene.put("/etc/systemd/journald.conf.d/auto.conf", b"[Journal]\nStorage=auto\n", "644");
        scene.succeeds("rm -r /var/log/journal && systemctl restart systemd-journald");
        scene.succeeds("systemctl enable --now mirrorwatch");
        scene.wait_for_full_list();
        scene.wait("a healthy status", || scene.status_code() == Some(0));
        let heard = || {
            let why = scene.run("mirrorwatch why --json").stdout;
            String::from_utf8_lossy(&why).matches("\"absent\"").count()
        };
        for act in [
            "true",
            "systemctl restart systemd-journald",
            "journalctl --rotate && journalctl --vacuum-time=1s",
            "mkdir /var/log/journal && systemd-tmpfiles --create --prefix=/var/log/journal && systemctl restart systemd-journald && journalctl --flush",
        ] {
            scene.succeeds(act);
            let before = heard();
            // The first one may come before whoever listens is there.
            scene.wait(act, || {
                assert!(!scene.run("docker pull --quiet busybox:nosuch").status.success());
                heard() > before
            });
        }
    }
}
