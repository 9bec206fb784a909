//! What else the service does and says, and what it outlives.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::given::{INVALID, at_speed, healthy};
use super::shape::is_time;
use crate::host::{Host, Toml, kinds, mirror};
use crate::support::content::ImageSpec;
use crate::support::registry::{Options, Registry};

#[test]
fn check_names_every_mistake_and_warns_of_closed_hosts() {
    let registry = healthy();
    let host = Host::new(&Toml::of(&[("A", &registry)]));
    host.run(&["check"]).ended(0);
    let other = host.at("other.toml");
    fs::write(&other, "[select]\nmaxx = 3\n[schedule]\nsample = \"soon\"\n[[mirror]]\nname = \"x\"\nurl = \"https://a.example/v2/\"\n").unwrap();
    let path = other.to_str().unwrap();
    let said = host.run(&["check", path]).ended(78);
    for place in ["other.toml:2:1", "other.toml:4:10", "other.toml:7:7", "maxx = 3", "^", "max"] {
        assert!(said.err.contains(place), "{place}: {}", said.err);
    }
    for (url, word) in [("https://ghcr.io", "ghcr.io"), ("https://dockerproxy.com", "dockerproxy.com")] {
        fs::write(&other, format!("[[mirror]]\nname = \"x\"\nurl = \"{url}\"\n")).unwrap();
        let said = host.run(&["check", path]).ended(0);
        assert!(said.err.contains(word) && said.err.contains("warning"), "{said:?}");
    }
    for url in [
        "a.example",
        "https://a.example/",
        "https://a.example?x=1",
        "https://u:p@a.example",
        "",
        " https://a.example",
        "https://a.example ",
        "https://<your_code>.mirror.aliyuncs.com",
        "ftp://a.example",
        "https://a.example:99999",
        "https://a.example#x",
    ] {
        fs::write(&other, format!("[[mirror]]\nname = \"x\"\nurl = \"{url}\"\n")).unwrap();
        let said = host.run(&["check", path]);
        // One slash at the end is what dockerd itself writes.
        assert!(said.code == Some(78) || url.ends_with("example/"), "{url:?}: {said:?}");
    }
}

#[test]
fn the_notify_command_hears_of_every_switch() {
    let a = healthy();
    let host = Host::new(&Toml::of(&[("A", &a)]));
    let heard = host.at("heard");
    let text = fs::read_to_string(host.config()).unwrap();
    host.write(&format!("{text}\n[notify]\ncommand = [\"sh\", \"-c\", \"cat >> {}\"]\n", heard.display()));
    let _service = host.serve();
    host.wait_for(&[&a]);
    host.wait("the event", || fs::read_to_string(&heard).unwrap_or_default().contains(&a.url()));
    for line in fs::read_to_string(&heard).unwrap().lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
}

#[test]
fn the_notify_command_hears_of_every_change_of_health_and_of_no_other() {
    let (a, b) = (at_speed(20_000_000), at_speed(4_000_000));
    let mut toml = Toml::of(&[("A", &a), ("B", &b)]);
    let host = Host::new(&toml);
    // Long enough for a status to be published while the list is being applied.
    let marker = host.at("docker/reload");
    toml.docker = format!("reload = [\"sh\", \"-c\", \"sleep 0.4; touch {}\"]", marker.display());
    let heard = host.at("heard");
    let notify = format!("[notify]\ncommand = [\"sh\", \"-c\", \"cat >> {}\"]\n", heard.display());
    let text = format!("{}\n{notify}", host.text_of(&toml));
    host.write(&text);
    let healths = || -> Vec<Value> {
        let lines = fs::read_to_string(&heard).unwrap_or_default();
        let events = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        events.filter(|event| event["event"] == "health").collect()
    };
    let _service = host.serve();
    host.wait_for(&[&a, &b]);
    a.stop();
    host.wait_for(&[&b]);
    host.wait_for_rehearsals("B", 2);
    assert_eq!(healths(), [Value::Null; 0], "neither a start nor a switch is a change of health");

    host.write(INVALID);
    host.wait("the mistake", || healths().len() == 1);
    host.write(&text);
    host.wait("its end", || healths().len() == 2);
    host.run(&["pause"]).ended(0);
    host.wait("the pause", || healths().len() == 3);
    host.run(&["resume"]).ended(0);
    host.wait("the end of the pause", || healths().len() == 4);
    host.wait_for_rehearsals("B", 2);
    let told = healths();
    assert_eq!(told.len(), 4, "each is told once: {told:#?}");
    for (event, problem) in told.iter().zip(["mirrors.toml is invalid: ", "", "the service is paused", ""]) {
        assert_eq!(event["healthy"], problem.is_empty(), "{event:#}");
        assert!(is_time(&event["at"]), "{event:#}");
        let problems = event["problems"].as_array().unwrap();
        assert_eq!(problems.len(), usize::from(!problem.is_empty()), "{event:#}");
        assert!(problems.iter().all(|said| said.as_str().unwrap().starts_with(problem)), "{event:#}");
    }
}

#[test]
fn restored_it_is_not_healthy_until_resumed() {
    let a = healthy();
    let host = Host::with_file(&Toml::of(&[("A", &a)]), Some("{\"debug\": false}"));
    let _service = host.serve();
    host.wait_for(&[&a]);
    host.run(&["restore"]).ended(0);
    host.wait("the word", || host.run(&["status"]).code == Some(1));
    assert_eq!(host.engine.text().unwrap(), "{\"debug\": false}");
    host.run(&["resume"]).ended(0);
    host.wait_for(&[&a]);
    host.run(&["status"]).ended(0);
}

#[test]
fn a_second_apply_with_the_service_running_is_taken_over() {
    let (a, b) = (at_speed(20_000_000), at_speed(4_000_000));
    let host = Host::new(&Toml::of(&[("A", &a), ("B", &b)]));
    let _service = host.serve();
    host.wait_for(&[&a, &b]);
    let switches = host.status()["switches"].clone();
    host.run(&["apply"]).ended(0);
    host.wait_for_rehearsals("A", 2);
    assert_eq!(host.engine.mirrors(), [a.url(), b.url()]);
    assert_eq!(host.status()["switches"], switches);
}

#[test]
fn the_options_go_before_the_variables() {
    let (a, b) = (healthy(), healthy());
    let host = Host::new(&Toml::of(&[("A", &a)]));
    let other = host.at("other.toml");
    fs::write(&other, host.text_of(&Toml::of(&[("B", &b)]))).unwrap();
    let report = host.run(&["probe", "--json", "--config", other.to_str().unwrap()]).ended(0).json();
    assert_eq!(report["mirrors"][0]["name"], "B");
    let _service = host.serve();
    host.wait_for(&[&a]);
    host.run(&["status"]).ended(0);
    let nowhere = host.at("nowhere");
    let nowhere = nowhere.to_str().unwrap();
    host.run(&["status", "--runtime-dir", nowhere, "--state-dir", nowhere]).ended(3);
    host.run(&["--runtime-dir", nowhere, "status", "--state-dir", nowhere]).ended(3);
}

#[test]
fn coverage_counts_the_images_of_the_host_and_a_part_is_enough_to_live() {
    let image = |repository: &str| ImageSpec { repository: repository.to_owned(), ..ImageSpec::default() };
    let both = vec![image("library/busybox"), image("grafana/grafana")];
    let full = Registry::start(Options { images: both, speed: Some(4_000_000), ..Options::default() });
    let poor = at_speed(4_400_000);
    let mut toml = Toml::of(&[("full", &full), ("poor", &poor)]);
    toml.probe = toml.probe.replace("learn_images = false", "learn_images = true");
    let host = Host::new(&toml);
    host.engine.have(&["grafana/grafana:latest"]);
    let _service = host.serve();
    let status = host.wait_for_status("coverage", |status| {
        status["mirrors"].as_array().is_some_and(|mirrors| mirrors.len() == 2)
            && mirror(status, "full")["coverage"] == json!({"served": 2, "of": 2})
            && mirror(status, "poor")["coverage"] == json!({"served": 1, "of": 2})
    });
    assert_eq!(mirror(&status, "poor")["verdict"], "live", "it serves a part, and may stand in the list");

    // An engine that once does not say what it has, as a busy one, has what it had.
    host.engine.hide_images_as("28.5.3");
    let text = host.engine.text().unwrap();
    host.engine.be_given(&format!("{text}\n"));
    let status = host.wait_for_status("a look", |status| status["engines"][0]["version"] == "28.5.3");
    assert_eq!(mirror(&status, "poor")["coverage"], json!({"served": 1, "of": 2}));
}

#[test]
fn an_address_of_the_cloud_is_suspicious_and_an_unknown_name_not_resolved() {
    let registry = healthy();
    let host = Host::new(&Toml::of(&[("A", &registry)]));
    let report =
        host.run(&["probe", "--json", "--depth", "connect", "http://169.254.169.254"]).ended(1).json();
    assert_eq!(kinds(&report["mirrors"][0]), ["suspicious_address"]);
}

#[test]
fn the_status_never_shows_half_a_decision() {
    let (a, b) = (at_speed(20_000_000), at_speed(4_000_000));
    let host = Host::new(&Toml::of(&[("A", &a), ("B", &b)]));
    let _service = host.serve();
    host.wait_for(&[&a, &b]);
    a.stop();
    host.wait("the switch", || {
        let status = host.status();
        // In place means: what the engine lists is what is selected.
        if status["engines"][0]["state"] == "in_place" {
            let mut selected: Vec<_> =
                status["mirrors"].as_array().unwrap().iter().filter(|one| one["selected"].is_u64()).collect();
            selected.sort_by_key(|one| one["selected"].as_u64());
            let urls: Vec<_> = selected.iter().map(|one| one["url"].clone()).collect();
            assert_eq!(status["engines"][0]["mirrors"], json!(urls), "{status:#}");
        }
        host.engine.mirrors() == [b.url()]
    });
}

#[test]
fn quiet_says_only_errors_and_json_is_english_in_every_language() {
    let a = healthy();
    let host = Host::new(&Toml::of(&[("A", &a)]));
    let said = host.run(&["-q", "apply"]).ended(0);
    assert_eq!(said.err, "");
    let zh = host.run(&["--lang", "zh", "probe", "--json"]).ended(0);
    assert!(zh.out.is_ascii(), "{}", zh.out);
    let zh = host.run(&["--lang", "zh", "probe"]).ended(0);
    assert!(!zh.out.is_ascii(), "{}", zh.out);
    let log = said_of(&host, "zh");
    assert!(log.is_ascii(), "logs are English: {log}");
}

fn said_of(host: &Host, lang: &str) -> String {
    let mut child =
        host.command(&["--lang", lang, "run", "-v"]).stderr(std::process::Stdio::piped()).spawn().unwrap();
    host.wait_for_status("a verdict", |status| status["mirrors"][0]["verdict"] == "live");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    let log = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    log
}

#[test]
fn a_file_that_is_broken_and_mended_while_the_service_runs() {
    let (a, b) = (at_speed(20_000_000), at_speed(4_000_000));
    let host = Host::new(&Toml::of(&[("A", &a), ("B", &b)]));
    let _service = host.serve();
    host.wait_for(&[&a, &b]);
    let good = host.engine.text().unwrap();
    fs::write(host.engine.file(), "{\"debug\": tru").unwrap();
    host.wait_for_status("the refusal", |status| status["engines"][0]["state"] == "refused");
    host.run(&["status"]).ended(1);
    a.stop();
    host.wait_for_status("the verdict", |status| mirror(status, "A")["verdict"] == "rejected");
    assert_eq!(host.engine.text().unwrap(), "{\"debug\": tru");
    fs::write(host.engine.file(), good).unwrap();
    host.wait_for(&[&b]);
}

#[test]
fn the_file_is_never_written_while_the_directory_forbids_it() {
    // Root may write anywhere but where the file itself is immutable; a directory in the file's place is as good.
    let a = healthy();
    let host = Host::with_file(&Toml::of(&[("A", &a)]), None);
    fs::create_dir(host.engine.file()).unwrap();
    host.run(&["apply"]).ended(1);
    let _service = host.serve();
    let status = host.wait_for_status("the refusal", |status| status["engines"][0]["state"] == "refused");
    assert!(status["engines"][0]["problem"].as_str().unwrap().starts_with('/'));
}

#[test]
fn one_slash_at_the_end_and_another_order_are_read_as_dockerd_does() {
    let (a, b) = (at_speed(20_000_000), at_speed(2_000_000));
    let text = format!("{{\"registry-mirrors\": [\"{}/\", \"{}\"]}}", a.url(), b.url());
    let host = Host::with_file(&Toml::of(&[("A", &a), ("B", &b)]), Some(&text));
    let reloads = host.engine.reloads();
    host.run(&["apply"]).ended(0);
    assert_eq!(host.engine.text().unwrap(), text, "what is there already is not written again");
    assert_eq!(host.engine.reloads(), reloads);
    let text = format!("{{\"registry-mirrors\": [\"{}\"]}}", b.url());
    let host = Host::with_file(&Toml::of(&[("A", &a), ("B", &b)]), Some(&text));
    let report = host.run(&["apply", "--json"]).ended(0).json();
    assert_eq!((&report["in_place"], &report["changed"]), (&json!(true), &json!(true)));
    assert_eq!(host.engine.mirrors(), [a.url(), b.url()]);
}
#[test]
fn a_mirror_of_another_registry_never_stands_in_dockers_list() {
    let (a, quay) = (at_speed(4_000_000), at_speed(20_000_000));
    let toml = Toml::of(&[("A", &a)]).mirror("quay", &quay.url(), "upstream = \"quay.io\"");
    let host = Host::new(&toml);
    host.run(&["apply"]).ended(0);
    assert_eq!(host.engine.mirrors(), [a.url()]);
}

/// A mirror that is dead, and a daemon.json with it.
fn list_of_another_program() -> (Registry, String) {
    let foreign = healthy();
    foreign.stop();
    let text = format!("{{\"registry-mirrors\": [\"{}\"]}}", foreign.url());
    (foreign, text)
}

#[test]
fn it_gives_way_to_a_program_that_keeps_rewriting_the_list() {
    let a = at_speed(20_000_000);
    let host = Host::new(&Toml::of(&[("A", &a)]));
    let _service = host.serve();
    host.wait_for(&[&a]);
    let (_foreign, theirs) = list_of_another_program();
    let mut given_way = false;
    for _ in 0..12 {
        host.engine.be_given(&theirs);
        host.wait("the rewrite, or a word about it", || {
            host.engine.mirrors() == [a.url()] && host.engine.text().unwrap().contains(&a.url())
                || host.status()["engines"][0]["state"] == "refused"
        });
        if host.status()["engines"][0]["state"] == "refused" {
            given_way = true;
            break;
        }
    }
    assert!(given_way, "{:#}", host.status()["switches"]);
    host.run(&["status"]).ended(1);
    host.run(&["apply"]).ended(0);
    assert_eq!(host.engine.mirrors(), [a.url()]);
}

#[test]
fn what_is_restored_by_hand_is_no_contest_and_who_resumes_has_the_list_kept_right_again() {
    let a = at_speed(20_000_000);
    let host = Host::new(&Toml::of(&[("A", &a)]));
    let _service = host.serve();
    host.wait_for(&[&a]);
    // In one breath, and so that the service sees the pause.
    for breath in [0, 0, 0, 0, 700, 700, 700, 700] {
        host.run(&["restore"]).ended(0);
        assert!(host.engine.mirrors().is_empty());
        std::thread::sleep(Duration::from_millis(breath));
        assert!(host.run(&["resume"]).ended(0).out.contains("kept right again"));
        host.wait_for(&[&a]);
    }
    host.wait_for_status("in place", |status| status["engines"][0]["state"] == "in_place");
    // Another program is one all the same, until somebody resumes.
    let (_foreign, theirs) = list_of_another_program();
    let gives_way = || {
        host.wait_for_status("giving way", |status| status["engines"][0]["problem_kind"] == "contested");
    };
    for _ in 0..3 {
        host.engine.be_given(&theirs);
        host.wait_for(&[&a]);
    }
    host.engine.be_given(&theirs);
    gives_way();
    host.run(&["pause"]).ended(0);
    host.wait_for_status("the pause", |status| status["service"]["state"] == "paused");
    host.run(&["resume"]).ended(0);
    host.wait_for(&[&a]);
}

#[test]
fn it_gives_way_also_to_one_that_rewrites_the_list_while_it_is_applied() {
    let a = at_speed(20_000_000);
    let host = Host::new(&Toml::of(&[("A", &a)]));
    let _service = host.serve();
    host.wait_for(&[&a]);
    let (_foreign, theirs) = list_of_another_program();
    for _ in 0..2 {
        host.engine.be_given(&theirs);
        host.wait_for(&[&a]);
    }
    host.engine.be_given(&theirs);
    host.engine.be_stubborn();
    let status = host.wait_for_status("the refusal", |status| status["engines"][0]["state"] == "refused");
    assert_eq!(status["engines"][0]["problem_kind"], "contested");
    assert_eq!(host.engine.text().unwrap(), theirs);
}

/// Removes a directory that the service goes on writing into: what it adds meanwhile goes too.
fn clear_away(directory: &Path) {
    for _ in 0..1000 {
        match fs::remove_dir_all(directory) {
            Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => {}
            other => return other.unwrap(),
        }
    }
    panic!("{}: it is written faster than it is removed", directory.display());
}

#[test]
fn it_outlives_the_loss_of_its_directories() {
    let (a, b) = (at_speed(20_000_000), at_speed(4_000_000));
    let host = Host::new(&Toml::of(&[("A", &a), ("B", &b)]));
    let mut service = host.serve();
    host.wait_for(&[&a, &b]);
    clear_away(&host.at("state"));
    a.stop();
    host.wait("the switch", || host.engine.mirrors() == [b.url()]);
    clear_away(&host.at("run"));
    a.start_again();
    host.wait("the return", || host.engine.mirrors() == [a.url(), b.url()]);
    host.wait_for_status("a status again", |status| status["schema"] == 1);
    assert!(service.lives());
    assert_eq!(service.end(Signal::TERM), Some(0));
}

#[test]
fn where_nobody_reloads_the_service_writes_once_and_says_pending() {
    let a = healthy();
    let mut toml = Toml::of(&[("A", &a)]);
    toml.docker = "reload = \"none\"\n".to_owned();
    let host = Host::new(&toml);
    let _service = host.serve();
    host.wait("the file", || host.engine.text().unwrap().contains(&a.url()));
    let inode = fs::metadata(host.engine.file()).unwrap().ino();
    host.wait_for_status("pending", |status| {
        status["engines"][0]["state"] == "pending" && status["engines"][0]["mirrors"] == json!([])
    });
    host.wait_for_rehearsals("A", 4);
    assert_eq!(fs::metadata(host.engine.file()).unwrap().ino(), inode, "written once");
    // Somebody reloads.
    fs::write(host.at("docker/reload"), "").unwrap();
    host.wait("the engine's list", || host.engine.mirrors() == [a.url()]);
}
