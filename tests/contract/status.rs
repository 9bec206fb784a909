//! What the status says, and what it says of a service that is paused, ends or finds no engine.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::given::{at_speed, healthy};
use super::shape::{check_mirror, is_time};
use crate::host::{Host, Toml, kinds, mirror};

#[test]
fn the_status_has_every_field_and_the_command_prints_the_same() {
    let (a, dead) = (healthy(), healthy());
    dead.stop();
    let toml = Toml::of(&[("A", &a), ("dead", &dead)]).mirror(
        "off",
        "https://off.example",
        "enabled = false\nnote = \"closed\"",
    );
    let host = Host::new(&toml);
    let service = host.serve();
    host.wait_for(&[&a]);
    let status = host.wait_for_status("running", |status| status["service"]["state"] == "running");
    assert_eq!(status["schema"], 1);
    assert!(is_time(&status["generated_at"]));
    let of = &status["service"];
    assert_eq!(of["pid"], service.pid());
    assert!(is_time(&of["since"]) && of["version"].is_string());
    assert_eq!((&of["network"], &of["network_reason"]), (&json!("up"), &Value::Null));
    assert_eq!(
        (&of["config"]["path"], &of["config"]["valid"], of["config"].get("error")),
        (&json!(host.config()), &json!(true), Some(&Value::Null))
    );
    let engine = &status["engines"][0];
    assert_eq!(engine["name"], "docker");
    assert_eq!(engine["version"], "28.5.2");
    assert_eq!(engine["file"], json!(host.engine.file()));
    assert_eq!(engine["mirrors"], json!([a.url()]));
    assert!(is_time(&engine["verified_at"]) && engine.get("problem") == Some(&Value::Null));
    for name in ["A", "dead", "off"] {
        check_mirror(mirror(&status, name));
    }
    let one = mirror(&status, "A");
    assert_eq!((&one["verdict"], &one["selected"]), (&json!("live"), &json!(1)));
    assert!(one["next_probe"].is_string() || one["next_probe"].is_null());
    assert!(one["budget"]["requests_today"].as_u64().unwrap() > 0);
    assert_eq!(kinds(mirror(&status, "dead")), ["connection_refused"]);
    assert_eq!(kinds(mirror(&status, "off")), ["disabled"]);
    assert_eq!(mirror(&status, "off")["reasons"][0]["detail"], "closed");
    let switch = &status["switches"][0];
    assert!(is_time(&switch["at"]));
    assert_eq!(
        (&switch["engine"], &switch["from"], &switch["to"]),
        (&json!("docker"), &json!([]), &json!([a.url()]))
    );
    assert!(!switch["why"].as_str().unwrap().is_empty());
    let mode = fs::metadata(host.at("run/status.json")).unwrap().mode() & 0o777;
    assert_eq!(mode, 0o644);

    // Between two decisions nothing is published, so the two are compared until they are of one moment.
    host.wait("the command to print what the file has", || {
        let before = host.status();
        let printed = host.run(&["status", "--json"]).ended(0).json();
        printed == before
    });
}

#[test]
fn the_status_is_replaced_and_never_half() {
    let a = healthy();
    let host = Host::new(&Toml::of(&[("A", &a)]));
    let _service = host.serve();
    host.wait_for(&[&a]);
    let path = host.at("run/status.json");
    let held = fs::File::open(&path).unwrap();
    let first = held.metadata().unwrap().ino();
    host.wait("another file", || {
        let text = fs::read_to_string(&path).unwrap();
        serde_json::from_str::<Value>(&text).unwrap();
        fs::metadata(&path).unwrap().ino() != first
    });
    let old: Value = serde_json::from_str(&std::io::read_to_string(held).unwrap()).unwrap();
    assert_eq!(old["schema"], 1);
}

#[test]
fn a_service_that_ended_is_stopped_and_the_end_is_3() {
    for signal in [Signal::TERM, Signal::INT, Signal::KILL] {
        let a = healthy();
        let host = Host::new(&Toml::of(&[("A", &a)]));
        let mut service = host.serve();
        host.wait_for(&[&a]);
        let code = service.end(signal);
        assert_eq!(code, if signal == Signal::KILL { None } else { Some(0) });
        let said = host.run(&["status"]).ended(3);
        assert!(said.out.contains("not running") && said.out.contains('A'), "{said:?}");
        assert_eq!(host.run(&["status", "--json"]).ended(3).json()["service"]["state"], "stopped");
        assert_eq!(host.engine.mirrors(), [a.url()], "the list stays");
    }
}

#[test]
fn a_service_that_was_stopped_says_so_in_its_file() {
    let a = healthy();
    let host = Host::new(&Toml::of(&[("A", &a)]));
    let mut service = host.serve();
    host.wait_for(&[&a]);
    service.end(Signal::TERM);
    assert_eq!(host.status()["service"]["state"], "stopped");
}

#[test]
fn paused_is_a_state_and_not_healthy_and_ends_by_itself() {
    let (a, b) = (at_speed(20_000_000), at_speed(2_000_000));
    let host = Host::new(&Toml::of(&[("A", &a), ("B", &b)]));
    let _service = host.serve();
    host.wait_for(&[&a, &b]);
    host.run(&["status"]).ended(0);
    host.run(&["pause", "--for", "3s"]).ended(0);
    host.wait_for_status("the pause", |status| status["service"]["state"] == "paused");
    host.run(&["status"]).ended(1);
    a.stop();
    host.wait_for_status("the verdict", |status| mirror(status, "A")["verdict"] == "rejected");
    host.wait_for(&[&b]);
    host.wait_for_status("its end", |status| status["service"]["state"] == "running");
    host.run(&["status"]).ended(0);
}

#[test]
fn a_pause_and_its_end_are_told_at_once() {
    let a = at_speed(20_000_000);
    let host = Host::new(&Toml::of(&[("A", &a)]));
    let _service = host.serve();
    host.wait_for(&[&a]);
    host.run(&["status"]).ended(0);
    let told = |code, state: &str| {
        let status = host.run(&["status", "--json"]).ended(code).json();
        assert_eq!(status["service"]["state"], state, "{status:#}");
        status
    };
    // Faster than the service, which looks a moment after an edit.
    for _ in 0..3 {
        host.run(&["pause", "--for", "1h"]).ended(0);
        assert!(told(1, "paused")["service"]["paused_until"].is_string());
        host.run(&["resume"]).ended(0);
        assert_eq!(told(0, "running")["service"]["paused_until"], Value::Null);
    }
    // What makes no sense ends and begins nothing, as the service takes it.
    fs::write(host.at("state/pause.json"), "no pause").unwrap();
    told(0, "running");
    host.run(&["restore"]).ended(0);
    assert_eq!(told(1, "running")["engines"][0]["paused"], json!({"until": null}));
    host.run(&["resume"]).ended(0);
    let status = host.run(&["status", "--json"]).json();
    assert_eq!(status["engines"][0]["paused"], Value::Null, "{status:#}");
    // Who may not read it is told what the service says.
    host.run(&["pause"]).ended(0);
    host.wait_for_status("the pause", |status| status["service"]["state"] == "paused");
    fs::set_permissions(host.at("state/pause.json"), fs::Permissions::from_mode(0o600)).unwrap();
    host.run_as_nobody(&["status"]).ended(1);
}

#[test]
fn pause_holds_for_a_service_that_starts_later() {
    let a = healthy();
    let host = Host::new(&Toml::of(&[("A", &a)]));
    host.run(&["pause"]).ended(0);
    let _service = host.serve();
    host.wait_for_status("a verdict", |status| status["mirrors"][0]["verdict"] == "live");
    host.wait_for_rehearsals("A", 2);
    assert_eq!(host.status()["service"]["state"], "paused");
    assert_eq!(host.engine.text().unwrap(), "{}\n");
    host.run(&["resume"]).ended(0);
    host.wait_for(&[&a]);
}

#[test]
fn when_all_fail_together_the_network_is_down_and_nobody_is_blamed() {
    let (a, b, upstream) = (at_speed(20_000_000), at_speed(5_000_000), at_speed(1_000_000));
    let host = Host::new(&Toml::of(&[("A", &a), ("B", &b)]).upstream(&upstream.url()));
    let _service = host.serve();
    host.wait_for(&[&a, &b]);
    for registry in [&upstream, &a, &b] {
        registry.stop();
    }
    let status = host.wait_for_status("the outage", |status| status["service"]["network"] == "down");
    assert!(status["service"]["network_reason"].is_string());
    host.run(&["status"]).ended(1);
    // How many are, is decided by the moment: whoever fails while another's answer is still under way has a witness
    // against it.
    for (lang, day, each) in [
        (
            "en",
            " not held against it (this host or its network may have failed)\n",
            " (not held against it)\n",
        ),
        ("zh", "（可能是本机或其网络的问题）\n", "（不计入）\n"),
    ] {
        let said = host.run(&["explain", "A", "--lang", lang]).ended(0);
        assert!(said.out.contains(day) && said.out.contains(each), "{said:?}");
    }
    assert_eq!(host.engine.mirrors(), [a.url(), b.url()]);
    for name in ["A", "B"] {
        assert_eq!(mirror(&host.status(), name)["verdict"], "live");
    }
    for registry in [&upstream, &a, &b] {
        registry.start_again();
    }
    let status = host.wait_for_status("its end", |status| status["service"]["network"] == "up");
    assert_eq!(status["service"]["network_reason"], Value::Null);
    host.wait_for_rehearsals("A", 2);
    host.run(&["status"]).ended(0);
    assert_eq!(host.status()["switches"].as_array().unwrap().len(), 1, "{:#}", host.status());
}

#[test]
fn an_engine_that_is_not_there_is_pending_and_gets_its_list_when_it_comes() {
    let a = healthy();
    let host = Host::new(&Toml::of(&[("A", &a)]));
    let away = host.at("docker/away.sock");
    fs::rename(host.engine.socket(), &away).unwrap();
    let _service = host.serve();
    let status = host.wait_for_status("a live mirror", |status| status["mirrors"][0]["verdict"] == "live");
    assert_eq!(status["engines"][0]["state"], "pending", "{:#}", status["engines"]);
    assert!(status["engines"][0]["problem"].is_string());
    host.run(&["status"]).ended(1);
    assert_eq!(host.engine.text().unwrap(), "{}\n");
    fs::rename(&away, host.engine.socket()).unwrap();
    host.wait_for(&[&a]);
    host.run(&["status"]).ended(0);
}

#[test]
fn an_engine_that_is_switched_off_is_none_of_ours() {
    let a = healthy();
    let host = Host::new(&Toml::of(&[("A", &a)]));
    let text = fs::read_to_string(host.config())
        .unwrap()
        .replace("enabled = true\nconfig", "enabled = false\nconfig");
    host.write(&text);
    host.run(&["apply"]).ended(1);
    let _service = host.serve();
    host.wait_for_status("a live mirror", |status| status["mirrors"][0]["verdict"] == "live");
    assert_eq!(host.status()["engines"], json!([]));
    host.run(&["status"]).ended(0);
    assert_eq!(host.engine.text().unwrap(), "{}\n");
}
