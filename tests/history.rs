//! `history` and `explain`: how they look, line by line, in both languages, and what they do whatever runs.
//! `MIRRORWATCH_BLESS=1` rewrites the expected texts.
#![expect(clippy::unwrap_used, reason = "what surrounds a test may fail as loudly as the test itself")]

mod expected;
mod host;
#[expect(dead_code, reason = "the fakes are shared by several tests, and each uses a part")]
mod support;

use std::time::Duration;

use mirrorwatch::cli::explain::{Account, text as explain};
use mirrorwatch::cli::history::text::{self as history, Gather};
use mirrorwatch::cli::history::{History, Outcome as Word, SCHEMA, Seen};
use mirrorwatch::config::{Off, Position};
use mirrorwatch::daemon::terms::Terms;
use mirrorwatch::mirror::{Mirror, MirrorUrl};
use mirrorwatch::observation::{Depth, Failure, Observation, Outcome, Spent, Stage};
use mirrorwatch::ranking::Policy;
use mirrorwatch::ranking::record::Record;
use mirrorwatch::ranking::score::Lead;
use mirrorwatch::reason::{ChangeKind, FailureKind, ReasonKind};
use mirrorwatch::status::{self, Reason, Status, Switch, Verdict};
use mirrorwatch::store::{Key, Store};
use mirrorwatch::text::Lang;
use mirrorwatch::timestamp::Timestamp;
use rustix::process::Signal;
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use expected::check;
use host::{Host, Toml};
use support::fault::{Act, Fault, Place};
use support::registry::{Options, Registry};

const NOW: Timestamp = Timestamp::from_millis(1_795_176_000_000);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn mirror(name: &str, url: &str) -> Mirror {
    Mirror::of_docker_hub(name, url.parse().unwrap())
}

fn dao() -> Mirror {
    mirror("道客", "https://docker.m.daocloud.io")
}

/// A rehearsal that was served: seconds to the manifest, to a first byte, and bytes per second.
fn rehearsal(ago: Duration, (chain, layer, speed): (f64, f64, f64)) -> Observation {
    let mut seen = Observation::new(NOW - ago, Depth::Rehearse);
    let time = |seconds: f64| Some(Duration::from_secs_f64(seconds));
    seen.image = Some("library/busybox:latest".parse().unwrap());
    seen.stages.name = time(0.0012);
    seen.stages.connect = time(0.0201);
    seen.stages.tls = time(0.041);
    seen.stages.ping = time(chain / 2.0);
    seen.stages.token = time(chain / 1.5);
    seen.stages.manifest = time(chain);
    seen.stages.config = time(chain * 1.1);
    seen.stages.layer = time(layer);
    seen.bytes_per_second = Some(speed);
    seen.address = Some("203.0.113.7:443".parse().unwrap());
    seen.layer_host = Some("cdn.example".to_owned());
    seen.spent = Spent { requests: 7, refusals: 0, bytes: 1_060_000 };
    seen
}

fn failed(ago: Duration, kind: FailureKind, stage: Stage, detail: &str) -> Observation {
    let mut seen = Observation::new(NOW - ago, Depth::Rehearse);
    seen.image = Some("library/nginx:1".parse().unwrap());
    seen.outcome = Outcome::Failed(Failure { kind, stage, detail: detail.to_owned() });
    seen.spent = Spent { requests: 4, refusals: 1, bytes: 800 };
    seen
}

fn record(seen: &[Observation], policy: &Policy) -> Record {
    let mut record = Record::default();
    for observation in seen {
        record.observe(observation, policy);
        record.asked(observation.at, observation);
    }
    record
}

fn terms() -> Terms {
    let images = ["library/busybox:latest", "library/nginx:1", "library/postgres:17"];
    Terms { images: images.map(|image| image.parse().unwrap()).to_vec(), spread: None, ..Terms::default() }
}

fn judged(mirror: &Mirror) -> status::Mirror {
    let full: Status = serde_json::from_str(include_str!("status/full.json")).unwrap();
    let mut judged = full.mirrors[0].clone();
    judged.name.clone_from(&mirror.name);
    judged.url = mirror.url.clone();
    judged.reasons = Vec::new();
    judged.next_probe = Some(NOW + Duration::from_secs(40));
    judged
}

fn seen(mirror: &Mirror, observation: &Observation) -> Seen {
    Seen {
        at: observation.at,
        name: Some(mirror.name.clone()),
        url: mirror.url.to_string(),
        upstream: mirror.upstream.clone(),
        depth: observation.depth,
        image: observation.image.as_ref().map(ToString::to_string),
        outcome: observation.failure().map_or(Word::Served, |failure| Word::Failed(failure.kind)),
        stage: observation.failure().map(|failure| failure.stage),
        detail: observation.failure().map(|failure| failure.detail.clone()).unwrap_or_default(),
        stages_ms: observation.stages.into(),
        bytes_per_second: observation.bytes_per_second,
        requests: observation.spent.requests,
        refusals: observation.spent.refusals,
        bytes: observation.spent.bytes,
        forgiven: observation.forgiven,
    }
}

fn switch(ago: Duration) -> Switch {
    Switch {
        at: NOW - ago,
        engine: "docker".to_owned(),
        from: vec!["https://old.example".to_owned(), dao().url.to_string()],
        to: vec![dao().url.to_string()],
        why: "old was rejected: stalled".to_owned(),
        kind: Some(ChangeKind::MemberRejected),
        subject: Some("old".to_owned()),
        reason: Some(ReasonKind::Stalled),
    }
}

fn account(mirror: Mirror, seen: Vec<Seen>, record: Record) -> Account {
    Account {
        judged: Some(judged(&mirror)),
        listed: 3,
        terms: terms(),
        before: None,
        day: (25, 1, 0),
        spark: vec![Some(5_300_000); 24],
        known_since: seen.first().map(|seen| seen.at),
        last_failure: seen.iter().rev().find(|seen| seen.outcome != Word::Served).map(|seen| seen.at),
        failures: seen.into_iter().rev().filter(|seen| seen.outcome != Word::Served).collect(),
        switches: vec![switch(HOUR * 5)],
        names: vec![
            ("https://old.example".to_owned(), "old".to_owned()),
            (mirror.url.to_string(), mirror.name.clone()),
        ],
        off: Vec::new(),
        groups: (Vec::new(), None),
        network_down: false,
        mirror,
        record,
    }
}

/// Second in the list, and about to overtake the first.
fn second() -> Account {
    let policy = terms().policy();
    let days = [
        failed(HOUR * 30, FailureKind::NotAllowed, Stage::Manifest, "403 DENIED"),
        rehearsal(HOUR * 6, (0.2, 0.2, 4_000_000.0)),
        rehearsal(HOUR * 4, (0.2, 0.2, 4_000_000.0)),
        rehearsal(MINUTE * 20, (0.2, 0.2, 9_000_000.0)),
    ];
    let first = record(&[1, 2, 3].map(|n| rehearsal(HOUR * n, (0.3, 0.3, 6_000_000.0))), &policy);
    let record = record(&days, &policy);
    let other: MirrorUrl = "https://first.example".parse().unwrap();
    let lead = Lead::of((&record, &dao().url), (&first, &other), &policy);
    let mut account = account(dao(), days.iter().map(|day| seen(&dao(), day)).collect(), record);
    account.before = Some(("first".to_owned(), lead));
    account.judged.as_mut().unwrap().selected = Some(2);
    account
}

/// Fell for a stall, and has served once since.
fn rejected() -> Account {
    let policy = Policy { fall: 1, ..terms().policy() };
    let days = [
        rehearsal(HOUR * 9, (0.2, 0.2, 4_000_000.0)),
        failed(HOUR * 3, FailureKind::Stalled, Stage::Layer, "0 of 65536 bytes \u{1b}[31min 5 s"),
        rehearsal(HOUR, (0.2, 0.2, 4_000_000.0)),
        failed(MINUTE * 10, FailureKind::RateLimited, Stage::Token, "429"),
    ];
    let mut account =
        account(dao(), days.iter().map(|day| seen(&dao(), day)).collect(), record(&days, &policy));
    let judged = account.judged.as_mut().unwrap();
    (judged.verdict, judged.selected) = (Verdict::Rejected, None);
    judged.reasons = vec![
        Reason { kind: ReasonKind::RateLimited, detail: "429".to_owned(), since: Some(NOW - MINUTE * 10) },
        Reason { kind: ReasonKind::Stalled, detail: String::new(), since: Some(NOW - HOUR * 3) },
    ];
    account
}

/// In mirrors.toml since a moment ago.
fn new() -> Account {
    Account {
        judged: None,
        spark: Vec::new(),
        day: (0, 0, 0),
        switches: Vec::new(),
        ..account(dao(), Vec::new(), Record::default())
    }
}

#[test]
fn an_account_says_everything_in_both_languages() {
    for lang in [Lang::En, Lang::Zh] {
        for (name, account) in [("second", second()), ("rejected", rejected()), ("new", new())] {
            let text = explain::render(&account, lang, false, NOW);
            assert!(!text.contains('\u{1b}'), "{name}: what a server said reaches the terminal");
            let colored = explain::render(&account, lang, true, NOW);
            assert_ne!(colored, text);
            assert_eq!(anstream::adapter::strip_str(&colored).to_string(), text, "{name}");
            check(&format!("history/{name}"), lang, &text);
        }
    }
}

#[test]
fn a_mirror_that_is_switched_off_is_headed_by_that_whether_it_was_judged_or_not() {
    let off = vec![Off::Switch(Position { file: "/etc/mirrorwatch/mirrors.toml".into(), line: 7 })];
    let disabled = Reason { kind: ReasonKind::Disabled, detail: String::new(), since: None };
    let mut judged = Account { off: off.clone(), ..rejected() };
    judged.judged.as_mut().unwrap().reasons = vec![disabled];
    for account in [judged, Account { off, ..new() }] {
        for (lang, expected) in [(Lang::En, "switched off"), (Lang::Zh, "已停用")] {
            let text = explain::render(&account, lang, false, NOW);
            assert_eq!(text.lines().nth(1), Some(expected), "{text}");
        }
    }
}

/// Two mirrors over two hours: connects every minute, one failing for a while, and a switch between.
fn two_hours() -> History {
    let other = mirror("other", "https://other.example");
    let mut observations = Vec::new();
    for minute in (0..120_u32).rev() {
        let connect = |mirror: &Mirror, broken: bool| {
            let mut one = Observation::new(NOW - MINUTE * minute, Depth::Connect);
            if broken {
                let (kind, stage) = (FailureKind::ConnectionRefused, Stage::Connect);
                one.outcome = Outcome::Failed(Failure { kind, stage, detail: String::new() });
            }
            seen(mirror, &one)
        };
        observations.push(connect(&dao(), false));
        observations.push(connect(&other, (30..40).contains(&minute)));
        if minute % 60 == 5 {
            let speed = 5_000_000.0 + f64::from(minute) * 1000.0;
            observations.push(seen(&dao(), &rehearsal(MINUTE * minute, (0.2, 0.2, speed))));
        }
        if minute == 50 {
            let answer = failed(MINUTE * minute, FailureKind::NotAllowed, Stage::Manifest, "403 DENIED");
            observations.push(seen(&other, &answer));
        }
    }
    History { schema: SCHEMA, since: NOW - HOUR * 2, observations, switches: vec![switch(MINUTE * 39)] }
}

fn shown(history: &History, lang: Lang, width: Option<usize>, gather: Gather) -> String {
    let name_of = |url: &str| if url.contains("old") { "old".to_owned() } else { "道客".to_owned() };
    history::render(history, name_of, history::Terms { lang, width, color: false, gather })
}

#[test]
fn a_history_gathers_what_was_alike_and_its_columns_line_up() {
    for lang in [Lang::En, Lang::Zh] {
        check("history/all", lang, &shown(&two_hours(), lang, None, Gather::All));
        check("history/one", lang, &shown(&two_hours(), lang, None, Gather::Connects));
        for width in [60, 80, 100] {
            let text = shown(&two_hours(), lang, Some(width), Gather::All);
            assert!(text.lines().all(|line| line.width() <= width), "{width}:\n{text}");
        }
        let narrow = shown(&two_hours(), lang, Some(40), Gather::All);
        assert!(narrow.lines().all(|line| line.width() <= 40), "{narrow}");
        assert!(narrow.contains(if lang == Lang::En { "served" } else { "正常" }), "{narrow}");
        let nothing = History { observations: Vec::new(), switches: Vec::new(), ..two_hours() };
        assert_eq!(shown(&nothing, lang, None, Gather::All).lines().count(), 1);
    }
}

#[test]
fn what_is_not_held_against_a_mirror_is_said_and_shares_no_line_with_what_is() {
    let refused = |minutes: u32, forgiven: bool| {
        let mut one = Observation::new(NOW - MINUTE * minutes, Depth::Connect);
        let (kind, stage) = (FailureKind::ConnectionRefused, Stage::Connect);
        one.outcome = Outcome::Failed(Failure { kind, stage, detail: "x".to_owned() });
        seen(&dao(), &Observation { forgiven, ..one })
    };
    let observations = vec![refused(9, false), refused(8, true), refused(7, true), refused(6, false)];
    let history = History { observations, switches: Vec::new(), ..two_hours() };
    for (lang, said) in [(Lang::En, ": x (not held against it)"), (Lang::Zh, "：x（不计入）")] {
        for gather in [Gather::All, Gather::Connects] {
            let text = shown(&history, lang, None, gather);
            let forgiven: Vec<bool> = text.lines().skip(1).map(|line| line.ends_with(said)).collect();
            assert_eq!(forgiven, [false, true, false], "{text}");
        }
    }
    let json = serde_json::to_value(&history).unwrap();
    let forgiven = json["observations"].as_array().unwrap().iter().map(|one| one["forgiven"].clone());
    assert_eq!(forgiven.collect::<Vec<_>>(), [false, true, true, false]);
}

#[test]
fn the_json_of_a_history_has_the_documented_shape() {
    let json = serde_json::to_value(two_hours()).unwrap();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(keys(&json), "observations schema since switches");
    assert_eq!(json["schema"], 1);
    let first = &json["observations"][0];
    assert_eq!(
        keys(first),
        "at bytes bytes_per_second depth detail forgiven image name outcome refusals requests stage stages_ms upstream url"
    );
    assert_eq!(
        (&first["depth"], &first["outcome"], &first["stage"]),
        (&"connect".into(), &"served".into(), &Value::Null)
    );
    let refused =
        json["observations"].as_array().unwrap().iter().find(|one| one["outcome"] == "not_allowed").unwrap();
    assert_eq!((&refused["depth"], &refused["stage"]), (&"rehearse".into(), &"manifest".into()));
    let switch = &json["switches"][0];
    assert_eq!((&switch["engine"], &switch["kind"]), (&"docker".into(), &"member_rejected".into()));
}

#[test]
fn both_go_by_the_record_while_the_service_runs_while_it_is_down_and_while_mirrors_toml_is_invalid() {
    let (a, b) = (Registry::start(Options::default()), Registry::start(Options::default()));
    b.set_fault(Fault::at(Place::Manifest, Act::denied()));
    let toml = Toml::of(&[("Alpha", &a), ("Beta", &b)]);
    let host = Host::new(&toml);
    let mut service = host.serve();
    host.wait_for(&[&a]);
    host.wait_for_rehearsals("Alpha", 2);
    let look = |invalid: bool, down: bool| {
        for nobody in [false, true] {
            let run =
                |arguments: &[&str]| if nobody { host.run_as_nobody(arguments) } else { host.run(arguments) };
            let said = run(&["history"]).ended(0);
            assert!(
                said.out.contains("Alpha")
                    && said.out.contains("denied (403)")
                    && said.out.contains("SWITCH"),
                "{said:?}"
            );
            let said = run(&["explain", "Beta"]).ended(0);
            assert!(said.out.contains("rejected") && said.out.contains("403"), "{said:?}");
            assert_eq!(said.err.contains("invalid, so this goes by what was recorded"), invalid, "{said:?}");
            assert_eq!(said.err.contains("mirrors.toml:2:1"), invalid, "{said:?}");
            assert_eq!(said.err.contains("not running; what it last knew is"), down, "{said:?}");
            let said = run(&["explain", &a.url(), "--lang", "zh"]).ended(0);
            assert!(said.out.contains("可用，已选为首选"), "{said:?}");
            let said = run(&["explain", "Alpah"]).ended(1);
            assert!(said.err.contains("Alpha"), "what was meant: {said:?}");
            run(&["history", "nobody"]).ended(2);
            let json = run(&["history", "Alpha", "--since", "1h", "--json"]).ended(0).json();
            let observations = json["observations"].as_array().unwrap();
            assert!(
                !observations.is_empty() && observations.iter().all(|one| one["url"] == a.url()),
                "{json:#}"
            );
            assert_eq!(json["switches"].as_array().unwrap().len(), 1, "{json:#}");
        }
    };
    look(false, false);
    host.write("[select]\nmaxx = 3\n");
    look(true, false);
    assert_eq!(service.end(Signal::KILL), None);
    look(true, true);
    host.configure(&toml);
    look(false, true);
    assert_eq!(host.run(&["history", "--since", "0s"]).code, Some(2));
}

#[test]
fn a_mirror_of_docker_hub_keeps_its_place_beside_another_registry_at_its_url() {
    let a = Registry::start(Options::default());
    let toml = Toml::of(&[("Alpha", &a)]).mirror("Other", &a.url(), "upstream = \"ghcr.io\"");
    let host = Host::new(&toml);
    let _service = host.serve();
    host.wait_for(&[&a]);
    let said = host.run(&["explain", "Alpha"]).ended(0);
    assert!(said.out.contains("live, selected"), "{said:?}");
    let said = host.run(&["explain", "Other"]).ended(0);
    assert!(said.out.contains("not judged yet"), "{said:?}");
    let said = host.run(&["history"]).ended(0);
    assert!(said.out.contains("Alpha") && !said.out.contains("Other"), "{said:?}");
}

#[test]
fn what_a_clock_that_was_set_back_has_left_behind_is_not_of_the_last_day() {
    let a = Registry::start(Options::default());
    let host = Host::new(&Toml::of(&[("Alpha", &a)]));
    let key = Key { upstream: "docker.io".to_owned(), url: a.url().parse().unwrap() };
    let now = mirrorwatch::assembly::now();
    let (store, _) = Store::open(&host.at("state"), now);
    for at in [now - HOUR, now + HOUR * 9000] {
        store.log(&key, &Observation { at, ..rehearsal(HOUR, (0.2, 0.2, 4_000_000.0)) });
    }
    drop(store);
    let said = host.run(&["explain", "Alpha"]).ended(0);
    assert!(said.out.contains("in 24 hours: 1 served, 0 failed"), "{said:?}");
}

#[test]
fn an_account_from_a_time_without_network_says_so_after_the_service_has_ended_too() {
    let host = Host::new(&Toml::default().mirror("Dead", "http://127.0.0.1:9", ""));
    let mut service = host.serve();
    host.wait_for_status("no network", |status| status["service"]["network"] == "down");
    assert_eq!(service.end(Signal::TERM), Some(0));
    let said = host.run(&["explain", "Dead"]).ended(0);
    assert!(said.out.contains("not judged: the network is down"), "{said:?}");
    assert!(!said.out.contains("not probed yet"), "{said:?}");
}

#[test]
fn a_round_by_hand_that_nobody_answered_is_held_against_nobody() {
    let host = Host::new(&Toml::default().mirror("Dead", "http://127.0.0.1:9", ""));
    host.run(&["probe", "Dead"]).ended(1);
    let said = host.run(&["explain", "Dead"]).ended(0);
    assert!(said.out.contains("in 24 hours: 0 served, 0 failed, 1 not held against it"), "{said:?}");
}

#[test]
fn before_anything_ran_there_is_nothing_and_that_is_no_error() {
    let a = Registry::start(Options::default());
    let host = Host::new(&Toml::of(&[("Alpha", &a)]));
    let said = host.run(&["history"]).ended(0);
    assert!(
        said.out.contains("nothing was recorded") && said.err.contains("has not run here yet"),
        "{said:?}"
    );
    let json = host.run(&["history", "--json"]).ended(0).json();
    assert_eq!(
        (&json["observations"], &json["switches"]),
        (&Value::from(Vec::<Value>::new()), &Value::from(Vec::<Value>::new()))
    );
    let said = host.run(&["explain", "Alpha"]).ended(0);
    assert!(said.out.contains("not judged yet"), "{said:?}");
    host.run(&["explain", "Beta"]).ended(1);
    assert!(!host.at("state").exists(), "who only looks leaves nothing behind");
}
