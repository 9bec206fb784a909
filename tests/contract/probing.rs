//! `probe`: whom it asks, what it says, and what each fault is called.

use std::fs;

use serde_json::{Value, json};

use super::given::{broken, healthy};
use super::shape::check_mirror;
use crate::host::{Host, Toml, has_reason, kinds, mirror};
use crate::support::certificate::{Certificate, authority_pem};
use crate::support::content::ImageSpec;
use crate::support::fault::{Act, Fault, Place};
use crate::support::registry::{Options, Registry};

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
fn what_is_spent_is_of_the_round_and_the_budget_of_the_day() {
    let (good, dead, off) = (healthy(), healthy(), healthy());
    dead.stop();
    let toml = Toml::of(&[("good", &good), ("dead", &dead)]);
    let host = Host::new(&toml.clone().mirror("off", &off.url(), ""));
    host.run(&["probe", "--json"]).ended(0);
    let (first, first_of_off) = (good.requests().len(), off.requests().len());
    host.configure(&toml.mirror("off", &off.url(), "enabled = false"));
    for arguments in [&["probe", "--json"][..], &["apply", "--dry-run", "--json"]] {
        let before = good.requests().len();
        let report = host.run(arguments).ended(0).json();
        let (one, all) = (mirror(&report, "good"), good.requests().len());
        assert!(before >= first && all > before);
        assert_eq!(one["budget"]["requests_today"], all, "{arguments:?}: {one:#}");
        if arguments[0] == "probe" {
            assert_eq!(one["requests"], all - before);
        } else {
            assert_eq!(mirror(&report, "off")["budget"]["requests_today"], first_of_off, "{report:#}");
        }
        assert_eq!(mirror(&report, "dead")["budget"]["requests_today"], 0);
    }
    let one = &host.run(&["probe", "--json", "--depth", "connect", "good"]).ended(0).json()["mirrors"][0];
    assert_eq!(
        (&one["requests"], &one["budget"]["requests_today"]),
        (&json!(0), &json!(good.requests().len()))
    );
    // A handshake proves nothing of what it serves.
    assert_eq!((&one["verdict"], kinds(one)), (&json!("rejected"), vec!["unprobed".to_owned()]));
    let said = host.run(&["probe", "--depth", "connect", "good"]).ended(0);
    assert!(!said.out.contains("probed"), "{}", said.out);
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
    // So little that after the two rounds above and some more it may not do for another.
    let text = fs::read_to_string(host.config()).unwrap();
    host.write(
        &text
            .replace("requests_per_day = 1000000", "requests_per_day = 40")
            .replace("requests_per_minute = 100000", "requests_per_minute = 10"),
    );
    let text = loop {
        let said = host.run(&["probe", "good"]).ended(0).err;
        if said.contains("warning: the budget of good has less left than") {
            break said;
        }
        assert!(good.requests().len() < 100, "never warned: {said}");
    };
    let cost = "less left than a rehearsal may cost (10 requests, 1.1 MiB, 2 refusals): requests in 24 h 3";
    assert!(text.contains(cost) && text.contains("/40, bytes "), "{text}");
    let said = host.run(&["--lang", "zh", "apply"]).ended(0);
    assert!(said.err.contains("警告：limited 要求在"), "{}", said.err);
    assert!(
        said.err.contains(
            "警告：good 的预算所剩已不够一次演练（最多 10 次请求、1.1 MiB、2 次被拒）：24 小时请求 "
        ),
        "{}",
        said.err
    );
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
