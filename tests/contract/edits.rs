//! mirrors.toml and the engine's file while the service runs.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::given::{INVALID, at_speed, broken, healthy};
use crate::host::{Host, Toml, exists, has_reason, mirror, said};
use crate::namespace::is_inside;
use crate::support::content::ImageSpec;
use crate::support::fault::{Act, Place};
use crate::support::registry::{Options, Registry};

#[test]
fn drop_ins_add_and_override_while_the_service_runs() {
    let (a, b) = (at_speed(20_000_000), at_speed(4_000_000));
    let host = Host::new(&Toml::of(&[("A", &a)]));
    let _service = host.serve();
    host.wait_for(&[&a]);
    fs::create_dir(host.at("etc/mirrors.d")).unwrap();
    let own = host.at("etc/mirrors.d/own.toml");
    fs::write(&own, format!("[[mirror]]\nname = \"B\"\nurl = \"{}\"\n", b.url())).unwrap();
    host.wait_for(&[&a, &b]);
    fs::write(host.at("etc/mirrors.d/zz.toml"), "[[mirror]]\nname = \"A\"\nenabled = false\n").unwrap();
    host.wait_for(&[&b]);
    let status = host.wait_for_status("A's reason", |status| has_reason(status, "A", "disabled"));
    assert_eq!(mirror(&status, "A")["selected"], Value::Null);
    fs::write(&own, "[[mirror]\n").unwrap();
    let status = host.wait_for_status("the mistake", |status| status["service"]["config"]["valid"] == false);
    assert!(status["service"]["config"]["error"].as_str().unwrap().contains("own.toml:1:"));
    assert_eq!(host.engine.mirrors(), [b.url()]);
    fs::remove_file(&own).unwrap();
    fs::remove_file(host.at("etc/mirrors.d/zz.toml")).unwrap();
    host.wait_for(&[&a]);
}

#[test]
fn add_and_remove_reach_the_running_service_and_what_is_removed_does_not_come_back() {
    let (a, b) = (at_speed(20_000_000), at_speed(4_000_000));
    let host = Host::new(&Toml::of(&[("A", &a)]));
    let _service = host.serve();
    host.wait_for(&[&a]);
    let add = || {
        host.run(&["add", &b.url(), "--name", "B"]).ended(0);
        host.wait_for(&[&a, &b]);
    };
    add();
    host.run(&["remove", "B"]).ended(0);
    host.wait("B to leave", || host.engine.mirrors() == [a.url()]);
    host.wait_for_rehearsals("A", 4);
    assert_eq!(host.engine.mirrors(), [a.url()]);
    add();
    host.run(&["remove", "A"]).ended(0);
    host.wait_for(&[&b]);
}

#[test]
fn a_setting_of_each_table_takes_effect_without_a_restart() {
    let image = |repository: &str| ImageSpec { repository: repository.to_owned(), ..ImageSpec::default() };
    let images = vec![image("library/busybox"), image("grafana/grafana")];
    let [a, b] = [20_000_000, 4_000_000].map(|speed| {
        Registry::start(Options { images: images.clone(), speed: Some(speed), ..Options::default() })
    });
    let mut toml = Toml::of(&[("A", &a), ("B", &b)]);
    toml.schedule = "connect = \"1h\"\nsample = \"1h\"\nrehearse = \"1h\"\ndecide = \"1h\"\n";
    let host = Host::new(&toml);
    let _service = host.serve();
    host.wait_for(&[&a, &b]);
    // [schedule]: from an hour to a second.
    toml.schedule = Toml::default().schedule;
    host.configure(&toml);
    host.wait_for_rehearsals("A", 2);
    // [probe]
    toml.probe += "images = [\"grafana/grafana\"]\n";
    host.configure(&toml);
    host.wait("the other image", || a.count(|request| request.path.contains("grafana")) > 0);
    // [select]
    toml.select += "max = 1\n";
    host.configure(&toml);
    host.wait_for(&[&a]);
    // [engine.docker]
    toml.docker = format!("keep = [\"{}\"]\n", b.url());
    host.configure(&toml);
    host.wait_for(&[&b, &a]);
    // [budget]
    host.write(&host.text_of(&toml).replace("requests_per_day = 1000000", "requests_per_day = 40"));
    host.wait("the end of the budget", || has_reason(&host.status(), "A", "over_budget"));
}

#[test]
fn sighup_reads_again_and_a_second_service_does_not_start() {
    let a = healthy();
    let host = Host::new(&Toml::of(&[("A", &a)]));
    let mut service = host.serve();
    host.wait_for(&[&a]);
    service.signal(Signal::HUP);
    host.run(&["run"]).ended(1);
    host.write(INVALID);
    service.signal(Signal::HUP);
    host.wait_for_status("the mistake", |status| status["service"]["config"]["valid"] == false);
    assert!(service.lives());
    assert_eq!(service.end(Signal::TERM), Some(0));
}

#[test]
fn a_restart_goes_on_from_what_is_remembered() {
    let (a, b) = (at_speed(20_000_000), at_speed(4_000_000));
    let host = Host::new(&Toml::of(&[("A", &a), ("B", &b)]));
    let mut service = host.serve();
    host.wait_for(&[&a, &b]);
    assert_eq!(service.end(Signal::TERM), Some(0));
    let (reloads, switches) = (host.engine.reloads(), host.status()["switches"].clone());
    let mut service = host.serve();
    let pid = service.pid();
    host.wait_for_status("the second run", |status| status["service"]["pid"] == pid);
    host.wait_for_rehearsals("A", 2);
    assert_eq!(host.engine.reloads(), reloads, "nothing to do, nothing done");
    assert_eq!(host.status()["switches"], switches);
    assert_eq!(service.end(Signal::INT), Some(0));
}

#[test]
fn after_a_restart_a_sample_needs_no_rehearsal_before_it() {
    let a = healthy();
    let schedule =
        "connect = \"300ms\"\nsample = \"500ms\"\nrehearse = \"5h\"\ndecide = \"5h\"\nconfirm = \"50ms\"\n";
    let host = Host::new(&Toml { schedule, ..Toml::of(&[("A", &a)]) });
    let mut service = host.serve();
    host.wait_for(&[&a]);
    assert_eq!(service.end(Signal::TERM), Some(0));
    let before = a.requests().len();
    let _service = host.serve();
    // The first of them asks for a token, too.
    host.wait("some samples", || a.requests().len() >= before + 6);
    let asked = a.requests().split_off(before);
    assert!(asked[0].path.contains("/blobs/") && asked[0].headers.contains_key("range"), "{asked:#?}");
    let rehearses = asked.iter().any(|request| request.path.contains("/manifests/"));
    assert!(!rehearses, "{asked:#?}");
}

#[test]
fn another_program_that_edits_another_key_is_left_alone() {
    let a = healthy();
    let host = Host::with_file(&Toml::of(&[("A", &a)]), Some("{\"debug\": false}"));
    let _service = host.serve();
    host.wait_for(&[&a]);
    let reloads = host.engine.reloads();
    let text = host.engine.text().unwrap().replace("false", "true");
    fs::write(host.engine.file(), &text).unwrap();
    host.wait_for_rehearsals("A", 1);
    assert_eq!((host.engine.text().unwrap(), host.engine.reloads()), (text, reloads));
    host.run(&["status"]).ended(0);
}

#[test]
fn another_program_that_takes_the_list_away_is_answered_and_said() {
    let a = healthy();
    let host = Host::with_file(&Toml::of(&[("A", &a)]), Some("{\"debug\": false}"));
    let _service = host.serve();
    host.wait_for(&[&a]);
    let switches = host.status()["switches"].as_array().unwrap().len();
    let theirs = "{\"registry-mirrors\": [],\t\"debug\": false}";
    host.engine.be_given(theirs);
    let status =
        host.wait_for_status("the word", |status| status["switches"].as_array().unwrap().len() > switches);
    host.wait_for(&[&a]);
    let ours = theirs.replace("[]", &format!("[\"{}\"]", a.url()));
    let bare = |text: &str| text.split_whitespace().collect::<String>();
    assert_eq!(bare(&host.engine.text().unwrap()), bare(&ours), "their layout stays");
    let switch = &status["switches"][0];
    assert_eq!((&switch["from"], &switch["to"]), (&json!([]), &json!([a.url()])), "{switch:#}");
}

#[test]
fn text_of_a_server_is_made_safe_for_a_terminal() {
    let evil = Act::error(403, "DENIED\u{1b}[31m", "\u{1b}]0;owned\u{7}\r\nnot allowed\u{202e}");
    let host = Host::new(&Toml::of(&[("A", &broken(Place::Manifest, evil))]));
    for arguments in [&["probe"][..], &["probe", "--json"], &["probe", "--lang", "zh"]] {
        let said = said(host.command(arguments).env("NO_COLOR", "1")).ended(1);
        let bad = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!said.out.contains(bad) && !said.err.contains(bad), "{said:?}");
    }
}

#[test]
fn what_is_taken_out_of_mirrors_toml_is_not_adopted_from_our_own_list() {
    let (a, b) = (at_speed(20_000_000), at_speed(4_000_000));
    let host = Host::new(&Toml::of(&[("A", &a), ("B", &b)]));
    host.run(&["apply"]).ended(0);
    assert_eq!(host.engine.mirrors(), [a.url(), b.url()]);
    host.configure(&Toml::of(&[("A", &a)]));
    host.run(&["apply"]).ended(0);
    assert_eq!(host.engine.mirrors(), [a.url()]);
}

#[test]
fn an_engine_that_was_left_out_for_a_while_is_given_its_list_again() {
    let (a, b) = (at_speed(20_000_000), at_speed(4_000_000));
    let toml = Toml::of(&[("A", &a), ("B", &b)]);
    let host = Host::new(&toml);
    let _service = host.serve();
    host.wait_for(&[&a, &b]);
    host.write(&host.text_of(&toml).replacen("enabled = true", "enabled = false", 1));
    host.wait_for_status("no engine", |status| status["engines"] == json!([]));
    a.stop();
    host.wait_for_status("A's rejection", |status| mirror(status, "A")["verdict"] == "rejected");
    host.wait_for_rehearsals("B", 2);
    assert_eq!(host.engine.mirrors(), [a.url(), b.url()]);
    host.configure(&toml);
    host.wait_for(&[&b]);
}

#[test]
fn a_docker_that_is_removed_is_absent_and_one_that_is_installed_again_is_given_its_list() {
    let test = "contract::edits::a_docker_that_is_removed_is_absent_and_one_that_is_installed_again_is_given_its_list";
    if !is_inside(&["--mount", "--propagation", "private"], test) {
        return;
    }
    // The host that runs the tests has one of its own.
    for place in ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"]
        .map(|place| place.to_owned() + "/dockerd")
    {
        if exists(Path::new(&place)) {
            assert!(Command::new("mount").args(["--bind", "/dev/null", &place]).status().unwrap().success());
        }
    }
    assert!(
        Command::new("mount").args(["-t", "tmpfs", "tmpfs", "/usr/local/sbin"]).status().unwrap().success()
    );
    let (a, b) = (at_speed(20_000_000), at_speed(4_000_000));
    let toml = Toml::of(&[("A", &a), ("B", &b)]);
    let host = Host::new(&toml);
    let text = host.text_of(&toml).replacen("enabled = true", "enabled = \"auto\"", 1);
    host.write(&text);
    let _service = host.serve();
    host.wait_for(&[&a, &b]);
    let (socket, aside) = (host.engine.socket(), host.at("docker/aside"));
    let state = |wanted: &str| {
        let is = |status: &Value| status["engines"][0]["state"] == wanted;
        host.wait_for_status(wanted, is);
    };
    // The service looks after its engine at every edit. One whose program nobody knew where to look for is only stopped.
    fs::rename(&socket, &aside).unwrap();
    host.write(&(text.clone() + "\n#"));
    state("pending");
    assert!(host.run(&["status"]).out.contains("systemctl start docker"));
    fs::write("/usr/local/sbin/dockerd", "").unwrap();
    fs::rename(&aside, &socket).unwrap();
    state("in_place");
    fs::remove_file("/usr/local/sbin/dockerd").unwrap();
    // systemd leaves the file of its socket behind until the next boot.
    fs::rename(&socket, &aside).unwrap();
    drop(UnixListener::bind(&socket).unwrap());
    host.write(&(text.clone() + "\n##"));
    state("absent");
    let said = host.run(&["status"]);
    assert!(!said.out.contains("systemctl start docker"), "{}", said.out);
    a.stop();
    host.wait_for_status("A's rejection", |status| mirror(status, "A")["verdict"] == "rejected");
    assert_eq!(host.engine.mirrors(), [a.url(), b.url()]);
    fs::rename(&aside, &socket).unwrap();
    host.wait_for(&[&b]);
}
