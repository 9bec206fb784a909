//! The contract, sentence by sentence, as somebody tries it who knows only the program and not its inside.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "a test plays the editors that truncate and write")]

#[path = "contract/engine.rs"]
#[expect(dead_code, reason = "the stand-in is shared by several tests, and each uses a part")]
mod engine;
#[path = "contract/host.rs"]
#[expect(dead_code, reason = "the host is shared by several tests, and each uses a part")]
mod host;
#[expect(dead_code, reason = "the fakes are shared by several tests, and each uses a part")]
mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use host::{Host, Toml, exists, has_reason, kinds, mirror, said};
use support::certificate::{Certificate, authority_pem};
use support::content::ImageSpec;
use support::fault::{Act, Fault, Place};
use support::registry::{Options, Registry};

const INVALID: &str = "[select]\nmaxx = 3\n";

fn healthy() -> Registry {
    Registry::start(Options::default())
}

fn at_speed(speed: u64) -> Registry {
    Registry::start(Options { speed: Some(speed), ..Options::default() })
}

fn with(faults: Vec<Fault>) -> Registry {
    Registry::start(Options { faults, ..Options::default() })
}

fn broken(place: Place, act: Act) -> Registry {
    with(vec![Fault::at(place, act)])
}

// ------------------------------------------------------------------ exit codes

#[test]
fn an_invalid_mirrors_toml_is_78_from_every_command_that_needs_it() {
    let registry = healthy();
    let host = Host::new(&Toml::of(&[("A", &registry)]));
    host.write(INVALID);
    for arguments in [
        &["run"][..],
        &["probe"],
        &["probe", "A"],
        &["probe", &registry.url()],
        &["apply"],
        &["apply", "--dry-run"],
        &["check"],
        &["add", &registry.url()],
        &["remove", "A"],
    ] {
        let said = host.run(arguments).ended(78);
        assert!(said.err.contains("mirrors.toml:2:1"), "{arguments:?}: {}", said.err);
        assert_eq!(said.out, "", "{arguments:?}");
    }
    assert_eq!(host.engine.text().unwrap(), "{}\n");
    assert!(registry.requests().is_empty());
}

#[test]
fn a_mirrors_toml_that_is_not_there_or_empty_is_78_too() {
    let host = Host::new(&Toml::default());
    for text in [None, Some(""), Some("# nothing\n"), Some("[select]\nmax = 3\n")] {
        match text {
            Some(text) => host.write(text),
            None => fs::remove_file(host.config()).unwrap(),
        }
        for command in ["run", "probe", "apply", "check"] {
            host.run(&[command]).ended(78);
        }
    }
}

#[test]
fn probe_is_0_when_one_lives_and_1_when_none_does() {
    let (good, dead) = (healthy(), healthy());
    dead.stop();
    let host = Host::new(&Toml::of(&[("good", &good), ("dead", &dead)]));
    host.run(&["probe"]).ended(0);
    host.run(&["probe", "good"]).ended(0);
    host.run(&["probe", "dead"]).ended(1);
    host.run(&["probe", "dead", "--json"]).ended(1);
    for depth in ["connect", "sample", "rehearse"] {
        host.run(&["probe", "--depth", depth, "good"]).ended(0);
        host.run(&["probe", "--depth", depth, "dead"]).ended(1);
    }
    assert!(!exists(&host.at("run/status.json")), "a probe publishes nothing");
    assert_eq!(host.engine.text().unwrap(), "{}\n", "a probe changes nothing");
}

#[test]
fn usage_errors_are_2() {
    let registry = healthy();
    let host = Host::new(&Toml::of(&[("A", &registry)]));
    for arguments in [
        &["probe", "--depth", "deep"][..],
        &["probe", "nobody"],
        &["probe", "https://a.example/path"],
        &["apply", "now"],
        &["restore", "--json"],
        &["add"],
        &["add", "https://a.example", "https://b.example"],
        &["remove"],
        &["check", "a", "b"],
        &["run", "--json"],
        &["pause", "--for", "soon"],
        &["resume", "--for", "1h"],
        &["completions"],
        &["--config"],
        &["nonsense"],
    ] {
        host.run(arguments).ended(2);
    }
}

#[test]
fn apply_is_1_when_the_engine_is_not_there() {
    let registry = healthy();
    let host = Host::new(&Toml::of(&[("A", &registry)]));
    fs::remove_file(host.engine.socket()).unwrap();
    host.run(&["apply"]).ended(1);
    host.run(&["restore"]).ended(0);
    assert_eq!(
        host.engine.text().unwrap(),
        "{}\n",
        "nothing is written, and nothing was that could be put back"
    );
}

#[test]
fn not_permitted_is_4_with_the_command_to_type() {
    let registry = healthy();
    let host = Host::new(&Toml::of(&[("A", &registry)]));
    for directory in ["state", "run"] {
        fs::create_dir(host.at(directory)).unwrap();
    }
    for arguments in [
        &["run"][..],
        &["apply"],
        &["restore"],
        &["pause"],
        &["pause", "--for", "2h"],
        &["remove", "A"],
        &["add", "http://127.0.0.1:9", "--name", "B"],
    ] {
        let said = host.run_as_nobody(arguments);
        assert_eq!(said.code, Some(4), "{arguments:?}: {said:?}");
        assert!(said.err.contains("sudo "), "{arguments:?}: {}", said.err);
    }
    assert_eq!(host.engine.text().unwrap(), "{}\n");
}

#[test]
fn what_only_looks_needs_no_rights() {
    let registry = healthy();
    let host = Host::new(&Toml::of(&[("A", &registry)]));
    host.run_as_nobody(&["probe"]).ended(0);
    host.run_as_nobody(&["check"]).ended(0);
    host.run_as_nobody(&["status"]).ended(3);
    let _service = host.serve();
    host.wait_for_status("a healthy service", |status| status["engines"][0]["state"] == "in_place");
    host.run_as_nobody(&["status"]).ended(0);
}

#[test]
fn a_mirrors_toml_that_may_not_be_read_is_4() {
    let registry = healthy();
    let host = Host::new(&Toml::of(&[("A", &registry)]));
    fs::set_permissions(host.config(), fs::Permissions::from_mode(0o600)).unwrap();
    for command in ["probe", "apply", "check", "run"] {
        let said = host.run_as_nobody(&[command]);
        assert_eq!(said.code, Some(4), "{command}: {said:?}");
    }
}

#[test]
fn a_broken_pipe_is_success() {
    let registry = healthy();
    let host = Host::new(&Toml::of(&[("A", &registry)]));
    for arguments in [
        &["probe"][..],
        &["probe", "--json"],
        &["apply", "--dry-run"],
        &["apply", "--dry-run", "--json"],
        &["apply"],
        &["check"],
        &["pause"],
        &["resume"],
        &["restore"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = host.command(arguments).stdout(writer).output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {err}");
        assert!(!err.to_lowercase().contains("pipe"), "{arguments:?}: {err}");
    }
}

// ------------------------------------------------------------------ probe

#[test]
fn probe_json_has_the_objects_of_the_status_and_what_was_spent() {
    let (good, dead) = (healthy(), healthy());
    dead.stop();
    let host = Host::new(&Toml::of(&[("good", &good), ("dead", &dead)]));
    let report = host.run(&["probe", "--json"]).ended(0).json();
    assert_eq!(report["schema"], 1);
    assert_eq!(report["mirrors"].as_array().unwrap().len(), 2);
    for name in ["good", "dead"] {
        let one = mirror(&report, name);
        check_mirror(one);
        assert_eq!(one["selected"], Value::Null);
        assert!(one["requests"].is_u64() && one["bytes"].is_u64(), "{one:#}");
    }
    let one = mirror(&report, "good");
    assert_eq!((&one["verdict"], &one["reasons"]), (&json!("live"), &json!([])));
    assert_eq!(one["requests"], good.requests().len());
    assert!(one["bytes"].as_u64().unwrap() > 100_000);
    assert_eq!(one["address"], good.authority());
    for stage in ["connect", "ping", "token", "manifest", "config", "layer"] {
        assert!(one["stages_ms"][stage].is_f64(), "{stage}: {one:#}");
    }
    assert!(
        one["last_probe"].is_string()
            && one["predicted_seconds"].is_f64()
            && one["bytes_per_second"].is_u64()
    );
    assert_eq!(one["coverage"], json!({"served": 1, "of": 1}));
    assert_eq!(kinds(mirror(&report, "dead")), ["connection_refused"]);
    assert_eq!(mirror(&report, "dead")["requests"], 0);
}

#[test]
fn probe_asks_whom_it_is_told_and_a_url_need_not_be_in_mirrors_toml() {
    let (known, unknown, off) = (healthy(), healthy(), healthy());
    let toml = Toml::of(&[("known", &known)]).mirror("off", &off.url(), "enabled = false");
    let host = Host::new(&toml);
    let report = host.run(&["probe", "--json", &unknown.url()]).ended(0).json();
    assert_eq!(report["mirrors"].as_array().unwrap().len(), 1);
    assert_eq!(report["mirrors"][0]["url"], unknown.url());
    assert!(known.requests().is_empty() && off.requests().is_empty());
    let report = host.run(&["probe", "--json", "known", &unknown.url()]).ended(0).json();
    assert_eq!(report["mirrors"].as_array().unwrap().len(), 2);
    // The same one twice is one.
    let report = host.run(&["probe", "--json", "known", "known", &known.url()]).ended(0).json();
    assert_eq!(report["mirrors"].as_array().unwrap().len(), 1, "{report:#}");
    assert_eq!(report["requests"], report["mirrors"][0]["requests"]);
    host.run(&["probe"]).ended(0);
    assert!(off.requests().is_empty(), "what is switched off is not asked");
}

#[test]
fn each_depth_asks_what_the_table_says() {
    // One layer that is too big to be read whole.
    let image = ImageSpec { layers: vec![3_000_000], ..ImageSpec::default() };
    let registry = Registry::start(Options { images: vec![image], ..Options::default() });
    let host = Host::new(&Toml::of(&[("A", &registry)]));
    let report = host.run(&["probe", "--json", "--depth", "connect"]).ended(0).json();
    assert!(registry.requests().is_empty(), "no HTTP request");
    assert_eq!(report["mirrors"][0]["requests"], 0);
    assert!(registry.connections() >= 1);
    host.run(&["probe", "--json", "--depth", "sample"]).ended(0);
    let sampled = registry.requests();
    assert!(
        sampled
            .iter()
            .any(|request| request.path.contains("/blobs/") && request.headers.contains_key("range"))
    );
    host.run(&["probe", "--json", "--depth", "rehearse"]).ended(0);
    let rehearsed = &registry.requests()[sampled.len()..];
    for part in ["/v2/", "/auth/token", "/manifests/latest", "/manifests/sha256:", "/blobs/sha256:"] {
        assert!(rehearsed.iter().any(|request| request.path.contains(part)), "{part}: {rehearsed:#?}");
    }
    for request in registry.requests() {
        assert!(!request.path.contains("_catalog") && !request.path.contains("tags/list"));
        let authorization = request.headers.get("authorization").map_or("", String::as_str);
        assert!(authorization.is_empty() || authorization.starts_with("Bearer "), "{request:?}");
    }
}

#[test]
fn by_hand_a_mirror_that_rests_or_is_over_its_budget_is_warned_of_and_asked_all_the_same() {
    let (limited, good) = (broken(Place::Manifest, Act::rate_limited()), healthy());
    let host = Host::new(&Toml::of(&[("limited", &limited), ("good", &good)]));
    let said = host.run(&["probe"]).ended(0);
    assert!(!said.err.contains("warning"), "the first time nobody rests: {}", said.err);
    let asked = limited.requests().len();
    let said = host.run(&["probe"]).ended(0);
    assert!(said.err.contains("warning: limited asked to be left alone until"), "{}", said.err);
    assert!(!said.err.contains("warning: good"), "{}", said.err);
    assert!(limited.requests().len() > asked, "warned, and not refused");
    // So little that the two rounds above have spent it.
    let text = fs::read_to_string(host.config()).unwrap();
    host.write(
        &text
            .replace("requests_per_day = 1000000", "requests_per_day = 40")
            .replace("requests_per_minute = 100000", "requests_per_minute = 10"),
    );
    while !host.run(&["probe", "good"]).ended(0).err.contains("warning: the budget of good is spent") {
        assert!(good.requests().len() < 100, "never warned");
    }
    let said = host.run(&["--lang", "zh", "apply"]).ended(0);
    assert!(said.err.contains("警告：limited 要求在"), "{}", said.err);
    assert!(said.err.contains("警告：good 的预算已用完（24 小时请求 "), "{}", said.err);
    assert_eq!(host.engine.mirrors(), [good.url()]);
    let asked = good.requests().len();
    let said = host.run(&["probe", "--depth", "connect"]).ended(0);
    assert_eq!(said.err, "", "a handshake is no request");
    assert_eq!(good.requests().len(), asked);
    assert_eq!(host.run(&["-q", "probe", "good"]).ended(0).err, "");
}

#[test]
fn what_is_asked_by_hand_counts_even_when_nobody_answers() {
    // It takes every request, and never answers one.
    let silent = broken(Place::Everywhere, Act::Silence);
    let host = Host::new(&Toml::of(&[("A", &silent)]));
    let said = host.run(&["probe", "--json"]).ended(1);
    assert!(said.err.contains("this host's own network seems to be down"), "{}", said.err);
    let spent = said.json()["requests"].as_u64().unwrap();
    assert!(spent > 0, "{said:?}");
    // A service that starts knows of it, and holds it against nobody.
    let _service = host.serve();
    let status = host.wait_for_status("its first look", |status| {
        status["mirrors"][0]["budget"]["requests_today"].as_u64() >= Some(spent)
    });
    assert!(!has_reason(&status, "A", "no_answer"), "{status:#}");
}

#[test]
fn probe_takes_another_image() {
    let image = |repository: &str| ImageSpec { repository: repository.to_owned(), ..ImageSpec::default() };
    let registry = Registry::start(Options {
        images: vec![image("library/busybox"), image("grafana/grafana")],
        ..Options::default()
    });
    let host = Host::new(&Toml::of(&[("A", &registry)]));
    let report = host.run(&["probe", "--json", "--image", "grafana/grafana"]).ended(0).json();
    assert!(registry.count(|request| request.path.contains("grafana/grafana")) > 0);
    assert_eq!(registry.count(|request| request.path.contains("busybox")), 0);
    assert_eq!(report["mirrors"][0]["coverage"], json!({"served": 1, "of": 1}));
    let report = host.run(&["probe", "--json", "--image", "no/such:1"]).ended(1).json();
    assert_eq!(kinds(&report["mirrors"][0])[0], "not_found");
}

#[test]
fn each_fault_has_its_word() {
    let tls = |certificate| Registry::start(Options { tls: Some(certificate), ..Options::default() });
    let elsewhere = "http://169.254.169.254/latest/meta-data".to_owned();
    let to = |to: String| Act::Redirect { status: 307, to };
    let faults = vec![
        ("not_a_registry", broken(Place::Everywhere, Act::web_page())),
        ("not_a_registry", broken(Place::Everywhere, Act::challenge_page())),
        ("not_a_registry", broken(Place::Everywhere, Act::other_json())),
        ("not_allowed", broken(Place::Manifest, Act::denied())),
        ("not_allowed", broken(Place::Token, Act::denied())),
        ("not_allowed", broken(Place::Layer, Act::denied())),
        ("not_found", broken(Place::Manifest, Act::not_found())),
        ("rate_limited", broken(Place::Everywhere, Act::rate_limited())),
        ("rate_limited", broken(Place::Manifest, Act::rate_limited())),
        ("rate_limited", broken(Place::Manifest, Act::nested_limit())),
        ("rate_limited", broken(Place::Everywhere, Act::hubproxy_limit())),
        ("server_error", broken(Place::Manifest, Act::server_error(502))),
        ("server_error", broken(Place::Everywhere, Act::server_error(500))),
        ("stalled", broken(Place::Layer, Act::Stall { after: 5000 })),
        ("stalled", broken(Place::Manifest, Act::Stall { after: 10 })),
        ("too_slow", broken(Place::Layer, Act::Drip(30_000))),
        ("corrupt", broken(Place::Config, Act::Corrupt)),
        ("corrupt", broken(Place::Child, Act::Corrupt)),
        ("connection_lost", broken(Place::Layer, Act::Cut)),
        ("connection_lost", broken(Place::Everywhere, Act::HangUp)),
        ("login_required", broken(Place::Everywhere, Act::Basic)),
        ("login_required", broken(Place::Everywhere, Act::UselessToken)),
        ("no_answer", broken(Place::Everywhere, Act::Silence)),
        ("no_answer", broken(Place::Layer, Act::Silence)),
        ("protocol_error", broken(Place::Everywhere, Act::Garbage)),
        ("answer_too_large", broken(Place::Manifest, Act::Endless)),
        ("redirect_refused", broken(Place::Layer, to(elsewhere.clone()))),
        ("redirect_refused", broken(Place::Layer, Act::Loop)),
        ("redirect_refused", broken(Place::Manifest, to("http://127.0.0.1:1/".to_owned()))),
        ("tls_expired", tls(Certificate::Expired)),
        ("tls_expired", tls(Certificate::NotYetValid)),
        ("tls_untrusted", tls(Certificate::Untrusted)),
        ("tls_untrusted", tls(Certificate::SelfSigned)),
        ("tls_untrusted", tls(Certificate::Forged)),
        ("tls_wrong_host", tls(Certificate::WrongHost)),
        ("ok", tls(Certificate::Good(Vec::new()))),
        ("ok", broken(Place::Everywhere, Act::WithoutDigest)),
        ("ok", broken(Place::Blob, Act::RangeIgnored)),
        ("unfit", broken(Place::Manifest, Act::Chunked)),
    ];
    let mut toml = Toml::default();
    for (index, (word, registry)) in faults.iter().enumerate() {
        toml = toml.mirror(&format!("{index} {word}"), &registry.url(), "");
    }
    let host = Host::new(&toml);
    fs::write(host.at("ca.pem"), authority_pem()).unwrap();
    toml.probe += &format!("ca_file = \"{}\"\n", host.at("ca.pem").display());
    host.configure(&toml);
    let report = host.run(&["probe", "--json"]).ended(0).json();
    let mut wrong = Vec::new();
    for (index, (word, _)) in faults.iter().enumerate() {
        let one = mirror(&report, &format!("{index} {word}"));
        let (verdict, expected) = if *word == "ok" { ("live", "") } else { ("rejected", *word) };
        let got = kinds(one).into_iter().next().unwrap_or_default();
        if got != expected || one["verdict"] != verdict {
            wrong.push(format!("{index} {word}: {}", one["reasons"]));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_certificate_of_an_unknown_authority_is_untrusted_until_ca_file_names_it() {
    let registry =
        Registry::start(Options { tls: Some(Certificate::Good(Vec::new())), ..Options::default() });
    let mut toml = Toml::of(&[("A", &registry)]);
    let host = Host::new(&toml);
    let report = host.run(&["probe", "--json", "--depth", "connect"]).ended(1).json();
    assert_eq!(kinds(&report["mirrors"][0]), ["tls_untrusted"]);
    fs::write(host.at("ca.pem"), authority_pem()).unwrap();
    toml.probe += &format!("ca_file = \"{}\"\n", host.at("ca.pem").display());
    host.configure(&toml);
    host.run(&["probe"]).ended(0);
}

#[test]
fn a_layer_may_come_from_another_host() {
    let (cdn, registry) = (Registry::start(Options { token: false, ..Options::default() }), healthy());
    registry.set_fault(Fault::at(
        Place::Blob,
        Act::Redirect { status: 307, to: format!("{}{{path}}", cdn.url()) },
    ));
    let host = Host::new(&Toml::of(&[("A", &registry)]));
    let report = host.run(&["probe", "--json"]).ended(0).json();
    assert_eq!(report["mirrors"][0]["layer_host"], cdn.authority());
    assert!(cdn.requests().iter().all(|request| !request.headers.contains_key("authorization")));
}

// ------------------------------------------------------------------ apply and restore

#[test]
fn a_dry_run_prints_the_diff_and_writes_nothing() {
    let (fast, slow) = (at_speed(20_000_000), at_speed(2_000_000));
    let host =
        Host::with_file(&Toml::of(&[("slow", &slow), ("fast", &fast)]), Some("{\n  \"debug\": false\n}\n"));
    let before = fs::metadata(host.engine.file()).unwrap();
    let said = host.run(&["apply", "--dry-run"]).ended(0);
    let file = host.engine.file().display().to_string();
    assert!(said.out.starts_with(&format!("--- {file}\n+++ {file}\n@@ ")), "{}", said.out);
    assert!(said.out.contains(&fast.url()) && said.out.contains("\n+"), "{}", said.out);
    let after = fs::metadata(host.engine.file()).unwrap();
    assert_eq!((before.ino(), before.mtime_nsec()), (after.ino(), after.mtime_nsec()));
    assert_eq!(host.engine.reloads(), 1, "only its start");
    assert!(fs::read_dir(host.engine.file().parent().unwrap()).unwrap().count() == 2);

    host.run(&["apply"]).ended(0);
    assert_eq!(host.engine.mirrors(), [fast.url(), slow.url()]);
    let said = host.run(&["apply", "--dry-run"]).ended(0);
    assert_eq!(said.out, "", "nothing to write, no diff");
    let reloads = host.engine.reloads();
    host.run(&["apply"]).ended(0);
    assert_eq!(host.engine.reloads(), reloads, "no change, no reload");

    let said = host.run(&["restore", "--dry-run"]).ended(0);
    assert!(said.out.contains("\n-") && said.out.contains(&fast.url()), "{}", said.out);
    assert_eq!(host.engine.mirrors(), [fast.url(), slow.url()]);
    host.run(&["restore"]).ended(0);
    assert_eq!(host.engine.text().unwrap(), "{\n  \"debug\": false\n}\n");
    assert!(host.engine.mirrors().is_empty());
    host.run(&["restore"]).ended(0);
}

#[test]
fn a_file_that_is_not_there_is_made_and_taken_away_again() {
    let registry = healthy();
    let host = Host::with_file(&Toml::of(&[("A", &registry)]), None);
    let diff = host.run(&["apply", "--dry-run"]).ended(0).out;
    assert!(diff.starts_with("--- /dev/null\n"), "{diff}");
    assert_eq!(host.engine.text(), None);
    host.run(&["apply"]).ended(0);
    assert_eq!(host.engine.mirrors(), [registry.url()]);
    host.run(&["restore"]).ended(0);
    assert!(host.engine.mirrors().is_empty());
    assert_eq!(host.engine.text(), None);
}

#[test]
fn kept_entries_stay_first_beyond_max_whatever_their_health() {
    let (own, a, b) = (healthy(), at_speed(20_000_000), at_speed(2_000_000));
    own.stop();
    let mut toml = Toml::of(&[("A", &a), ("B", &b)]);
    toml.docker = format!("keep = [\"{}\"]\n", own.url());
    toml.select += "max = 1\n";
    let host = Host::new(&toml);
    host.run(&["apply"]).ended(0);
    assert_eq!(host.engine.mirrors(), [own.url(), a.url()]);
    let report = host.run(&["apply", "--json"]).ended(0).json();
    assert_eq!(report["list"], json!([own.url(), a.url()]));
    assert_eq!(mirror(&report, "A")["selected"], 1);
}

#[test]
fn where_nobody_reloads_the_file_is_written_and_the_end_is_1() {
    let registry = healthy();
    let mut toml = Toml::of(&[("A", &registry)]);
    toml.docker = "reload = \"none\"\n".to_owned();
    let host = Host::new(&toml);
    host.run(&["apply"]).ended(1);
    assert!(host.engine.text().unwrap().contains(&registry.url()));
    assert!(host.engine.mirrors().is_empty());
}

#[test]
fn a_reload_command_that_fails_brings_the_old_file_back() {
    let registry = healthy();
    let mut toml = Toml::of(&[("A", &registry)]);
    for command in ["[\"false\"]", "[\"/nonexistent/reload\"]"] {
        toml.docker = format!("reload = {command}\n");
        let host = Host::new(&toml);
        let said = host.run(&["apply"]).ended(1);
        assert!(said.err.contains("error: "), "{said:?}");
        assert_eq!(host.engine.text().unwrap(), "{}\n");
        assert!(host.engine.mirrors().is_empty());
    }
}

#[test]
fn an_engine_that_does_not_take_the_list_gets_its_old_file_back() {
    let registry = healthy();
    let host = Host::new(&Toml::of(&[("A", &registry)]));
    host.engine.be_stubborn();
    host.run(&["apply"]).ended(1);
    assert_eq!(host.engine.text().unwrap(), "{}\n");
    // A signal arrives when it arrives; who sent it may have ended by then.
    host.wait("the reload with the old file", || host.engine.reloads() >= 3);
    let _service = host.serve();
    let status =
        host.wait_for_status("the roll-back", |status| status["engines"][0]["state"] == "rolled_back");
    assert!(status["engines"][0]["problem"].is_string());
    host.run(&["status"]).ended(1);
}

#[test]
fn a_broken_file_is_refused_and_said() {
    let registry = healthy();
    let host = Host::with_file(&Toml::of(&[("A", &registry)]), Some("{\"debug\": tru"));
    let said = host.run(&["apply"]).ended(1);
    assert!(said.err.contains("daemon.json:1:"), "{}", said.err);
    host.run(&["restore"]).ended(0);
    assert_eq!(host.engine.text().unwrap(), "{\"debug\": tru");
    let _service = host.serve();
    host.wait_for_status("the refusal", |status| status["engines"][0]["state"] == "refused");
    assert_eq!(host.engine.text().unwrap(), "{\"debug\": tru");
}

#[test]
fn a_link_is_followed_and_mode_and_owner_are_kept() {
    let registry = healthy();
    let host = Host::with_file(&Toml::of(&[("A", &registry)]), None);
    let target = host.at("etc/real.json");
    fs::write(&target, "{\"debug\": false}").unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::chown(&target, Some(0), Some(65534)).unwrap();
    symlink(&target, host.engine.file()).unwrap();
    host.run(&["apply"]).ended(0);
    assert!(host.engine.file().symlink_metadata().unwrap().is_symlink());
    let metadata = fs::metadata(&target).unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.gid()), (0o640, 65534));
    assert_eq!(host.engine.mirrors(), [registry.url()]);
    host.run(&["restore"]).ended(0);
    assert_eq!(fs::read_to_string(&target).unwrap(), "{\"debug\": false}");
}

#[test]
fn what_is_restored_is_our_value_alone_when_the_rest_was_edited_since() {
    let registry = healthy();
    let host = Host::with_file(&Toml::of(&[("A", &registry)]), Some("{\"debug\": false}"));
    host.run(&["apply"]).ended(0);
    let edited = host.engine.text().unwrap().replace("false", "true");
    fs::write(host.engine.file(), &edited).unwrap();
    host.run(&["restore"]).ended(0);
    let value: Value = serde_json::from_str(&host.engine.text().unwrap()).unwrap();
    assert_eq!(value, json!({"debug": true}));
}

#[test]
fn restore_goes_by_the_record_when_mirrors_toml_is_invalid() {
    let registry = healthy();
    let host = Host::new(&Toml::of(&[("A", &registry)]));
    host.run(&["apply"]).ended(0);
    host.write(INVALID);
    let said = host.run(&["restore"]).ended(0);
    assert!(said.err.contains("mirrors.toml:2:1"), "{}", said.err);
    assert_eq!(host.engine.text().unwrap(), "{}\n");
    assert!(host.engine.mirrors().is_empty());
}

#[test]
fn restore_pauses_the_service_for_the_engine_and_apply_by_hand_still_acts() {
    let registry = healthy();
    let host = Host::new(&Toml::of(&[("A", &registry)]));
    let _service = host.serve();
    host.wait_for(&[&registry]);
    host.run(&["restore"]).ended(0);
    host.wait_for_status("the pause", |status| status["engines"][0]["mirrors"] == json!([]));
    host.wait_for_rehearsals("A", 3);
    assert!(host.engine.mirrors().is_empty());
    host.run(&["apply"]).ended(0);
    assert_eq!(host.engine.mirrors(), [registry.url()]);
    host.run(&["restore"]).ended(0);
    host.run(&["resume"]).ended(0);
    host.wait_for(&[&registry]);
}

#[test]
fn unknown_entries_are_adopted_as_candidates() {
    let (own, dead, a) = (at_speed(30_000_000), healthy(), at_speed(3_000_000));
    dead.stop();
    let text = format!("{{\"registry-mirrors\": [\"{}/\", \"{}\"]}}", dead.url(), own.url());
    let host = Host::with_file(&Toml::of(&[("A", &a)]), Some(&text));
    let report = host.run(&["apply", "--json"]).ended(0).json();
    assert_eq!(host.engine.mirrors(), [own.url(), a.url()]);
    let adopted = |url: String| {
        let mirrors = report["mirrors"].as_array().unwrap();
        mirrors.iter().any(|mirror| mirror["url"] == url)
    };
    assert!(adopted(own.url()) && adopted(dead.url()), "{report:#}");
    host.run(&["restore"]).ended(0);
    assert_eq!(host.engine.text().unwrap(), text);
}

#[test]
fn apply_demands_of_mirrors_the_images_that_the_host_has() {
    let image = |repository: &str| ImageSpec { repository: repository.to_owned(), ..ImageSpec::default() };
    let both = vec![image("library/busybox"), image("grafana/grafana")];
    let full = Registry::start(Options { images: both, speed: Some(4_000_000), ..Options::default() });
    let poor = at_speed(8_000_000);
    let mut toml = Toml::of(&[("full", &full), ("poor", &poor)]);
    toml.probe = toml.probe.replace("learn_images = false", "learn_images = true");
    let host = Host::new(&toml);
    host.engine.have(&["grafana/grafana:latest"]);
    let report = host.run(&["apply", "--json"]).ended(0).json();
    assert!(
        full.count(|request| request.path.contains("grafana")) > 0,
        "nobody was asked for what the host has"
    );
    assert_eq!(mirror(&report, "full")["coverage"], json!({"served": 2, "of": 2}));
    assert_eq!(mirror(&report, "poor")["coverage"], json!({"served": 1, "of": 2}));
}

#[test]
fn apply_with_the_network_down_leaves_everything() {
    let registry = healthy();
    let host = Host::new(&Toml::of(&[("A", &registry)]));
    host.run(&["apply"]).ended(0);
    registry.stop();
    host.run(&["apply"]).ended(1);
    assert_eq!(host.engine.mirrors(), [registry.url()]);
    host.run(&["apply", "--dry-run"]).ended(0);
}

#[test]
fn apply_empties_the_list_when_only_the_upstream_answers() {
    let (registry, upstream) = (healthy(), at_speed(1_000_000));
    let host = Host::new(&Toml::of(&[("A", &registry)]).upstream(&upstream.url()));
    host.run(&["apply"]).ended(0);
    assert_eq!(host.engine.mirrors(), [registry.url()]);
    registry.stop();
    host.run(&["apply"]).ended(0);
    assert!(host.engine.mirrors().is_empty());
    assert!(host.engine.text().unwrap().contains("[]"), "{:?}", host.engine.text());
}

// ------------------------------------------------------------------ candidates

#[test]
fn add_and_remove_edit_local_toml_and_keep_comments() {
    let (a, b) = (healthy(), healthy());
    let host = Host::new(&Toml::of(&[("A", &a)]));
    let local = host.at("etc/mirrors.d/local.toml");
    let said = host.run(&["add", &b.url(), "--name", "B"]).ended(0);
    assert!(said.out.contains('B'), "{said:?}");
    assert!(!b.requests().is_empty(), "it was probed first");
    let text = fs::read_to_string(&local).unwrap();
    fs::write(&local, format!("# mine\n{text}# end\n")).unwrap();
    host.run(&["check"]).ended(0);
    host.run(&["probe", "B"]).ended(0);
    host.run(&["add", &b.url()]).ended(1);
    host.run(&["add", "https://<your_code>.mirror.aliyuncs.com"]).ended(1);
    host.run(&["add", "https://a.example/v2/"]).ended(1);
    host.run(&["remove", "A"]).ended(0);
    let report = host.run(&["probe", "--json"]).ended(0).json();
    assert_eq!(report["mirrors"].as_array().unwrap().len(), 1, "a shipped one is switched off: {report:#}");
    host.run(&["remove", "B"]).ended(0);
    let text = fs::read_to_string(&local).unwrap();
    assert!(text.contains("# mine") && text.contains("# end") && !text.contains(&b.url()), "{text}");
    assert!(text.contains("enabled = false"), "{text}");
    host.run(&["remove", "B"]).ended(1);
    host.run(&["add", &a.url()]).ended(0);
    let report = host.run(&["probe", "--json"]).ended(0).json();
    assert_eq!(report["mirrors"][0]["name"], "A", "added again, it is itself again");
}

#[test]
fn add_takes_one_that_is_down_and_says_so() {
    let (a, down) = (healthy(), healthy());
    down.stop();
    let host = Host::new(&Toml::of(&[("A", &a)]));
    let said = host.run(&["add", &down.url()]).ended(0);
    assert!(said.out.contains("refused"), "{said:?}");
}

// ------------------------------------------------------------------ status

/// Every field of a mirror, of the right type.
#[track_caller]
fn check_mirror(mirror: &Value) {
    let or_null = |value: &Value, is: fn(&Value) -> bool| value.is_null() || is(value);
    let object = mirror.as_object().unwrap();
    for (field, is) in [
        ("name", Value::is_string as fn(&Value) -> bool),
        ("url", Value::is_string),
        ("upstream", Value::is_string),
        ("verdict", |value| *value == "live" || *value == "rejected"),
        ("selected", |value| value.is_null() || value.is_u64()),
        ("reasons", Value::is_array),
        ("predicted_seconds", |value| value.is_null() || value.is_f64()),
        ("success", |value| value.is_null() || value.is_f64()),
        ("bytes_per_second", |value| value.is_null() || value.is_u64()),
        ("first_byte_ms", |value| value.is_null() || value.is_u64()),
        ("coverage", |value| value.is_null() || value["served"].is_u64() && value["of"].is_u64()),
        ("stages_ms", Value::is_object),
        ("last_probe", |value| value.is_null() || is_time(value)),
        ("next_probe", |value| value.is_null() || is_time(value)),
        ("address", |value| value.is_null() || value.is_string()),
        ("layer_host", |value| value.is_null() || value.is_string()),
        ("budget", Value::is_object),
    ] {
        assert!(object.get(field).is_some_and(is), "{field}: {mirror:#}");
    }
    for stage in ["name", "connect", "tls", "ping", "token", "manifest", "config", "layer"] {
        assert!(
            mirror["stages_ms"].get(stage).is_some_and(|value| or_null(value, Value::is_number)),
            "{stage}"
        );
    }
    for figure in ["requests_today", "refusals_2_days", "bytes_today"] {
        assert!(mirror["budget"][figure].is_u64(), "{figure}");
    }
    for reason in mirror["reasons"].as_array().unwrap() {
        assert!(reason["kind"].is_string() && reason["detail"].is_string(), "{reason}");
        assert!(reason.get("since").is_some_and(|since| since.is_null() || is_time(since)), "{reason}");
    }
}

/// RFC 3339 in UTC.
fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() >= 20 && text.ends_with('Z') && &text[10..11] == "T")
}

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
    assert_eq!(host.engine.mirrors(), [a.url(), b.url()]);
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

// ------------------------------------------------------------------ selection

#[test]
fn two_names_with_one_backend_count_as_one() {
    for by_layers in [true, false] {
        // A redirected request brings no token.
        let main =
            Registry::start(Options { token: !by_layers, speed: Some(20_000_000), ..Options::default() });
        let (alias, third) = (at_speed(8_000_000), at_speed(2_000_000));
        alias.set_fault(if by_layers {
            Fault::at(Place::Layer, Act::Redirect { status: 307, to: format!("{}{{path}}", main.url()) })
        } else {
            Fault::everywhere(Act::Realm(format!("{}/auth/token", main.url())))
        });
        let host = Host::new(&Toml::of(&[("main", &main), ("alias", &alias), ("third", &third)]));
        let _service = host.serve();
        let status = host.wait_for_status("same_backend", |status| {
            has_reason(status, "main", "same_backend") != has_reason(status, "alias", "same_backend")
        });
        let (one, other) =
            if has_reason(&status, "main", "same_backend") { ("main", "alias") } else { ("alias", "main") };
        let reason = &mirror(&status, one)["reasons"][0];
        assert!(reason["detail"].as_str().unwrap().contains(other), "{reason}");
        host.wait("one of the two in the list", || {
            let list = host.engine.mirrors();
            list.contains(&third.url()) && list.contains(&main.url()) != list.contains(&alias.url())
        });
        // Which of the two may have changed meanwhile, when the first list was revised.
        host.wait_for_status("one verdict for the two", |status| {
            (mirror(status, "main")["verdict"] == "live") != (mirror(status, "alias")["verdict"] == "live")
        });
    }
}

#[test]
fn a_mirror_slower_than_the_upstream_is_of_no_use() {
    let (fast, slow, upstream) = (at_speed(30_000_000), at_speed(300_000), at_speed(5_000_000));
    let toml = Toml::of(&[("fast", &fast), ("slow", &slow)]);
    let host = Host::new(&toml.clone().upstream(&upstream.url()));
    let _service = host.serve();
    host.wait_for(&[&fast]);
    let status =
        host.wait_for_status("the reason", |status| has_reason(status, "slow", "slower_than_upstream"));
    assert_eq!(mirror(&status, "slow")["verdict"], "rejected");
    // Where the upstream is not compared, it is not asked, and the slow one may stand in the list.
    let asked = upstream.requests().len();
    host.configure(&toml);
    host.wait_for(&[&fast, &slow]);
    host.wait_for_rehearsals("fast", 2);
    assert!(upstream.requests().len() <= asked + 12, "a probe under way may have ended");
    let at_rest = upstream.requests().len();
    host.wait_for_rehearsals("fast", 2);
    assert_eq!(upstream.requests().len(), at_rest);
}

#[test]
fn who_differs_from_the_majority_is_stale() {
    let (a, b, old) = (at_speed(9_000_000), at_speed(4_000_000), broken(Place::Manifest, Act::OldTag));
    let host = Host::new(&Toml::of(&[("A", &a), ("B", &b), ("old", &old)]));
    let report = host.run(&["apply", "--json"]).ended(0).json();
    assert_eq!(kinds(mirror(&report, "old")), ["stale"]);
    assert_eq!(host.engine.mirrors(), [a.url(), b.url()]);
    let _service = host.serve();
    host.wait_for_status("the verdict", |status| has_reason(status, "old", "stale"));
    assert_eq!(host.engine.mirrors(), [a.url(), b.url()]);
}

#[test]
fn a_tie_makes_nobody_stale() {
    let (a, old) = (at_speed(9_000_000), broken(Place::Manifest, Act::OldTag));
    let host = Host::new(&Toml::of(&[("A", &a), ("old", &old)]));
    let report = host.run(&["apply", "--json"]).ended(0).json();
    for name in ["A", "old"] {
        assert_eq!(mirror(&report, name)["verdict"], "live", "{report:#}");
    }
}

#[test]
fn groups_and_enabled_decide_who_takes_part() {
    let (a, b, c, off) = (healthy(), healthy(), healthy(), healthy());
    let mut toml = Toml::default()
        .mirror("none", &a.url(), "")
        .mirror("in", &b.url(), "group = \"own\"")
        .mirror("out", &c.url(), "group = \"ir\"")
        .mirror("off", &off.url(), "enabled = false");
    toml.select += "groups = [\"own\"]\n";
    let host = Host::new(&toml);
    let report = host.run(&["apply", "--json"]).ended(0).json();
    for (name, live) in [("none", true), ("in", true), ("out", false), ("off", false)] {
        let one = mirror(&report, name);
        assert_eq!(one["verdict"], if live { "live" } else { "rejected" }, "{name}");
        assert_eq!(kinds(one), if live { vec![] } else { vec!["disabled"] }, "{name}");
    }
    assert!(c.requests().is_empty() && off.requests().is_empty());
}

#[test]
fn what_the_store_cannot_live_with_is_unfit() {
    let (fit, unfit) = (at_speed(4_000_000), broken(Place::Head, Act::not_found()));
    let toml = Toml::of(&[("fit", &fit), ("unfit", &unfit)]);
    let host = Host::new(&toml);
    host.engine.use_containerd();
    let report = host.run(&["apply", "--json"]).ended(0).json();
    let one = mirror(&report, "unfit");
    assert_eq!((&one["verdict"], kinds(one)), (&json!("rejected"), vec!["unfit".to_owned()]));
    assert!(one["reasons"][0]["detail"].as_str().unwrap().contains("containerd"), "{one:#}");
    assert_eq!(host.engine.mirrors(), [fit.url()]);
}

#[test]
fn at_most_max_are_selected_and_the_next_says_why_not() {
    let mirrors = [20_000_000, 7_000_000, 2_500_000].map(at_speed);
    let mut toml = Toml::of(&[("A", &mirrors[0]), ("B", &mirrors[1]), ("C", &mirrors[2])]);
    toml.select += "max = 2\n";
    let host = Host::new(&toml);
    let _service = host.serve();
    host.wait_for(&[&mirrors[0], &mirrors[1]]);
    let status = host.wait_for_status("all verdicts", |status| mirror(status, "C")["verdict"] == "live");
    assert_eq!(kinds(mirror(&status, "C")), ["not_selected"]);
    assert_eq!(mirror(&status, "C")["selected"], Value::Null);
    assert_eq!(
        (&mirror(&status, "A")["selected"], &mirror(&status, "B")["selected"]),
        (&json!(1), &json!(2))
    );
}

#[test]
fn two_that_are_nearly_equal_never_swap() {
    let (a, b) = (at_speed(5_000_000), at_speed(5_400_000));
    let mut toml = Toml::of(&[("A", &a), ("B", &b)]);
    toml.select += "max = 1\n";
    let host = Host::new(&toml);
    let _service = host.serve();
    host.wait_for_status("a list", |status| status["engines"][0]["state"] == "in_place");
    host.wait_for_rehearsals("A", 4);
    // From now on the list is not provisional.
    let first = host.engine.mirrors();
    let (mine, other) = if first == [a.url()] { (&a, &b) } else { (&b, &a) };
    mine.set_speed(Some(5_000_000));
    other.set_speed(Some(5_400_000));
    host.wait_for_rehearsals("A", 6);
    assert_eq!(host.engine.mirrors(), first);
    // And one that is much faster takes its place.
    other.set_speed(Some(30_000_000));
    host.wait_for(&[other]);
}

#[test]
fn nothing_live_and_the_upstream_there_empties_the_list() {
    let (a, b, upstream) = (at_speed(20_000_000), at_speed(8_000_000), at_speed(2_000_000));
    let host = Host::new(&Toml::of(&[("A", &a), ("B", &b)]).upstream(&upstream.url()));
    let _service = host.serve();
    host.wait_for(&[&a, &b]);
    a.stop();
    b.stop();
    host.wait_for(&[]);
    host.run(&["status"]).ended(0);
    a.start_again();
    host.wait_for(&[&a]);
}

#[test]
fn nothing_live_and_no_upstream_leaves_the_list() {
    let (a, b, upstream) = (at_speed(20_000_000), at_speed(8_000_000), at_speed(2_000_000));
    let host = Host::new(&Toml::of(&[("A", &a), ("B", &b)]).upstream(&upstream.url()));
    let _service = host.serve();
    host.wait_for(&[&a, &b]);
    // Not the network: they answer, with errors.
    upstream.set_fault(Fault::everywhere(Act::server_error(503)));
    host.wait_for_status("no upstream", |status| status["upstream"]["answers"] == false);
    for registry in [&a, &b] {
        registry.set_fault(Fault::everywhere(Act::server_error(503)));
    }
    host.wait_for_status("nothing live", |status| {
        ["A", "B"].iter().all(|name| has_reason(status, name, "server_error"))
    });
    host.wait_for_rehearsals("A", 1);
    // Who was rejected while the other still lived may have left it.
    assert!(!host.engine.mirrors().is_empty());
    host.run(&["status"]).ended(1);
}

#[test]
fn a_leader_that_turns_into_a_web_page_an_allowlist_or_a_crawl_is_replaced() {
    for (act, word) in [
        (Fault::everywhere(Act::web_page()), "not_a_registry"),
        (Fault::at(Place::Manifest, Act::denied()), "not_allowed"),
        (Fault::everywhere(Act::rate_limited()), "rate_limited"),
        (Fault::at(Place::Layer, Act::Drip(20_000)), "too_slow"),
        (Fault::at(Place::Layer, Act::Cut), "connection_lost"),
        (Fault::at(Place::Config, Act::Corrupt), "corrupt"),
    ] {
        let (a, b) = (at_speed(20_000_000), at_speed(4_000_000));
        let host = Host::new(&Toml::of(&[("A", &a), ("B", &b)]));
        let _service = host.serve();
        host.wait_for(&[&a, &b]);
        a.set_fault(act);
        host.wait_for(&[&b]);
        let status = host.wait_for_status(word, |status| has_reason(status, "A", word));
        let why = status["switches"][0]["why"].as_str().unwrap();
        assert!(why.contains('A'), "{why}");
    }
}

// ------------------------------------------------------------------ mirrors.toml, live

#[test]
fn edits_take_effect_however_the_editor_writes() {
    let (a, b) = (at_speed(20_000_000), at_speed(4_000_000));
    let (one, both) = (Toml::of(&[("A", &a)]), Toml::of(&[("A", &a), ("B", &b)]));
    let host = Host::new(&one);
    let _service = host.serve();
    host.wait_for(&[&a]);
    // An editor that truncates and writes: what is empty in between is invalid and changes nothing.
    fs::write(host.config(), "").unwrap();
    host.wait_for_status("the mistake", |status| status["service"]["config"]["valid"] == false);
    assert_eq!(host.engine.mirrors(), [a.url()]);
    fs::write(host.config(), host.text_of(&both)).unwrap();
    host.wait_for(&[&a, &b]);
    host.wait_for_status("valid", |status| status["service"]["config"]["valid"] == true);
    // One that moves the old file away first.
    fs::rename(host.config(), host.at("etc/mirrors.toml~")).unwrap();
    fs::write(host.config(), host.text_of(&one)).unwrap();
    host.wait_for(&[&a]);
    // One that renames, and a link to elsewhere.
    fs::create_dir(host.at("elsewhere")).unwrap();
    fs::write(host.at("elsewhere/m.toml"), host.text_of(&both)).unwrap();
    symlink(host.at("elsewhere/m.toml"), host.at("etc/new")).unwrap();
    fs::rename(host.at("etc/new"), host.config()).unwrap();
    host.wait_for(&[&a, &b]);
    // The target of the link is edited in its place.
    fs::write(host.at("elsewhere/m.toml"), host.text_of(&one)).unwrap();
    host.wait_for(&[&a]);
}

#[test]
fn an_invalid_edit_changes_nothing_and_the_status_has_the_place_until_it_is_mended() {
    let a = healthy();
    let toml = Toml::of(&[("A", &a)]);
    let host = Host::new(&toml);
    let _service = host.serve();
    host.wait_for(&[&a]);
    host.write(INVALID);
    let status = host.wait_for_status("the mistake", |status| status["service"]["config"]["valid"] == false);
    let error = status["service"]["config"]["error"].as_str().unwrap();
    assert!(error.contains("mirrors.toml:2:1: ") && !error.contains('\n'), "{error}");
    host.wait_for_rehearsals("A", 1);
    assert_eq!(host.engine.mirrors(), [a.url()]);
    let said = host.run(&["status"]).ended(1);
    assert!(said.out.contains("mirrors.toml:2:1"), "{said:?}");
    host.configure(&toml);
    host.wait_for_status("valid", |status| status["service"]["config"]["error"] == Value::Null);
    host.run(&["status"]).ended(0);
}

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
fn add_and_remove_reach_the_running_service() {
    let (a, b) = (at_speed(20_000_000), at_speed(4_000_000));
    let host = Host::new(&Toml::of(&[("A", &a)]));
    let _service = host.serve();
    host.wait_for(&[&a]);
    host.run(&["add", &b.url(), "--name", "B"]).ended(0);
    host.wait_for(&[&a, &b]);
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
fn what_is_removed_by_name_does_not_come_back() {
    let (a, b) = (at_speed(20_000_000), at_speed(4_000_000));
    let host = Host::new(&Toml::of(&[("A", &a)]));
    let _service = host.serve();
    host.wait_for(&[&a]);
    host.run(&["add", &b.url(), "--name", "B"]).ended(0);
    host.wait_for(&[&a, &b]);
    host.run(&["remove", "B"]).ended(0);
    host.wait("B to leave", || host.engine.mirrors() == [a.url()]);
    host.wait_for_rehearsals("A", 4);
    assert_eq!(host.engine.mirrors(), [a.url()]);
}

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
fn invalid_at_the_start_is_78_and_nothing_is_touched() {
    let host = Host::new(&Toml::default());
    host.run(&["run"]).ended(78);
    assert!(!exists(&host.at("run/status.json")));
    assert_eq!(host.engine.text().unwrap(), "{}\n");
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

#[test]
fn it_gives_way_to_a_program_that_keeps_rewriting_the_list() {
    let (a, foreign) = (at_speed(20_000_000), healthy());
    foreign.stop();
    let host = Host::new(&Toml::of(&[("A", &a)]));
    let _service = host.serve();
    host.wait_for(&[&a]);
    let theirs = format!("{{\"registry-mirrors\": [\"{}\"]}}", foreign.url());
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
