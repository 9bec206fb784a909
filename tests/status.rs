//! What a status looks like, line by line, in both languages. `MIRRORWATCH_BLESS=1` rewrites the expected texts.
#![expect(clippy::unwrap_used, reason = "what surrounds a test may fail as loudly as the test itself")]

mod expected;

use std::time::Duration;

use mirrorwatch::reason::{ChangeKind, NetworkKind, ProblemKind, ReasonKind, WarningKind};
use mirrorwatch::status::json::{Layout, to_string};
use mirrorwatch::status::text::{Span, View, moment, render};
use mirrorwatch::status::{
    Engine, EnginePause, EngineState, Network, Reason, ServiceState, Status, Verdict, Warning,
    health::Trouble,
};
use mirrorwatch::text::Lang;
use mirrorwatch::timestamp::Timestamp;
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use expected::check;

const NOW: Timestamp = Timestamp::from_millis(1_795_176_000_000);

fn full() -> Status {
    serde_json::from_str(include_str!("status/full.json")).unwrap()
}

fn view(lang: Lang, width: Option<usize>) -> View {
    View { lang, width, color: false, all: false, legend: false, now: NOW, span: Span::Days, network: None }
}

#[test]
fn a_healthy_host_at_every_width_in_both_languages() {
    for lang in [Lang::En, Lang::Zh] {
        for width in [60, 80, 120] {
            let text = render(&full(), &view(lang, Some(width)));
            let (_, table) = text.split_once("\n\n").unwrap();
            let (table, _) = table.split_once("\n\n").unwrap();
            assert!(table.lines().all(|line| line.width() <= width), "{width}:\n{table}");
            check(&format!("status/healthy.{width}"), lang, &text);
        }
        check("status/healthy.piped", lang, &render(&full(), &view(lang, None)));
        let all = View { all: true, legend: true, ..view(lang, Some(120)) };
        check("status/healthy.all", lang, &render(&full(), &all));
    }
}

#[test]
fn colour_adds_nothing_but_colour() {
    for lang in [Lang::En, Lang::Zh] {
        let plain = view(lang, Some(80));
        let colored = render(&full(), &View { color: true, ..plain });
        assert_ne!(colored, render(&full(), &plain));
        assert_eq!(anstream::adapter::strip_str(&colored).to_string(), render(&full(), &plain));
    }
}

type Change = Box<dyn Fn(&mut Status)>;

fn world(name: &str, change: fn(&mut Status)) -> (String, Change) {
    (name.to_owned(), Box::new(change))
}

/// An engine without its list, and no service at work that would give it one.
fn idle_worlds() -> [(String, Change); 4] {
    [
        world("stopped, and so is Docker", |status| {
            status.service.state = ServiceState::Stopped;
            status.generated_at = NOW - Duration::from_secs(11_000);
            refused(status, ProblemKind::NotRunning);
        }),
        world("stopped, and daemon.json is broken", |status| {
            status.service.state = ServiceState::Stopped;
            refused(status, ProblemKind::BrokenFile);
        }),
        world("silent, and Docker is down", |status| {
            status.service.silent_ms = Some(11_000_000);
            refused(status, ProblemKind::NotRunning);
        }),
        world("paused, and daemon.json is broken", |status| {
            status.service.state = ServiceState::Paused;
            refused(status, ProblemKind::BrokenFile);
        }),
    ]
}

/// Every state of the world that has a first line of its own.
fn worlds() -> Vec<(String, Change)> {
    let away = |kind: NetworkKind, detail: &'static str| {
        let change = move |status: &mut Status| {
            status.service.network = Some(Network::Down);
            status.service.network_kind = Some(kind);
            status.service.network_detail = Some(detail.into());
            status.service.network_reason = Some(format!("{kind}; {detail}"));
        };
        (format!("the network is down, {kind}"), Box::new(change) as Change)
    };
    let mut worlds = vec![
        world("healthy", |_| {}),
        world("healthy, no engine is enabled", |status| status.engines.clear()),
        world("nothing live, the upstream answers", |status| {
            status.mirrors.retain(|mirror| mirror.verdict == Verdict::Rejected);
            status.upstream.answers = Some(true);
        }),
        world("nothing live, nor the upstream", |status| {
            status.mirrors.retain(|mirror| mirror.verdict == Verdict::Rejected);
        }),
        world("nothing live, the upstream was never asked", |status| {
            status.mirrors.retain(|mirror| mirror.verdict == Verdict::Rejected);
            status.upstream.answers = None;
        }),
        world("the network is down", |status| {
            status.service.network = Some(Network::Down);
            status.service.network_reason = Some("8 of 8 failed, no default route".into());
            status.mirrors.retain(|mirror| mirror.verdict == Verdict::Rejected);
        }),
        away(NetworkKind::Names, "first docker.m.daocloud.io: name_not_resolved"),
        away(
            NetworkKind::Clock,
            "this host's clock says 1970-01-01T00:00:00Z; first docker.m.daocloud.io: tls_expired",
        ),
        away(NetworkKind::Portal, "first docker.m.daocloud.io: not_a_registry"),
        away(NetworkKind::Busy, "12.0 s without a turn"),
        world("silent", |status| status.service.silent_ms = Some(11_000_000)),
        world("starting", |status| {
            status.service.state = ServiceState::Starting;
            status.engines[0].state = EngineState::Pending;
            status.mirrors.retain(|mirror| mirror.verdict == Verdict::Rejected);
        }),
        world("stopped", |status| {
            status.service.state = ServiceState::Stopped;
            status.generated_at = NOW - Duration::from_secs(11_000);
        }),
        world("stopped, and ill before", |status| {
            status.service.state = ServiceState::Stopped;
            invalid(status);
        }),
        world("paused", |status| {
            status.service.state = ServiceState::Paused;
            status.engines[0].state = EngineState::Pending;
        }),
        world("paused for a while", |status| {
            status.service.state = ServiceState::Paused;
            status.service.paused_until = Some(NOW + Duration::from_secs(7190));
        }),
        world("paused, and Docker is down", |status| {
            status.service.state = ServiceState::Paused;
            status.engines[0].state = EngineState::Pending;
            status.engines[0].problem_kind = Some(ProblemKind::NotRunning);
            status.engines[0].problem = Some("/var/run/docker.sock: connect: no such file".into());
        }),
        world("one engine paused, and Docker was given up", |status| {
            status.engines[0].paused = Some(EnginePause { until: None });
            status.engines[0].state = EngineState::Pending;
            status.engines[0].problem_kind = Some(ProblemKind::GivenUp);
            status.engines[0].problem = Some("docker.service: failed too often".into());
        }),
        world("one engine paused", |status| {
            status.engines[0].paused = Some(EnginePause { until: None });
            status.engines[0].state = EngineState::Pending;
        }),
        world("mirrors.toml is invalid", invalid),
        world("two things at once", |status| {
            invalid(status);
            status.engines[0].state = EngineState::Refused;
            status.engines[0].problem_kind = Some(ProblemKind::BrokenFile);
            status.engines[0].problem = Some("/etc/docker/daemon.json:7:3: expected `,` or `}`".into());
        }),
        world("no engine found", |status| {
            status.engines[0].state = EngineState::Absent;
            status.engines[0].version = None;
            status.engines[0].mirrors = None;
        }),
        world("the engine has not got it yet", |status| status.engines[0].state = EngineState::Pending),
    ];
    worlds.extend(idle_worlds());
    for kind in ProblemKind::ALL {
        let change: Change = Box::new(move |status| refused(status, *kind));
        worlds.push((format!("engine: {kind}"), change));
    }
    worlds
}

fn refused(status: &mut Status, kind: ProblemKind) {
    let engine = &mut status.engines[0];
    engine.state = if kind.is_down() { EngineState::Pending } else { EngineState::Refused };
    engine.problem_kind = Some(kind);
    engine.problem = Some("/etc/docker/daemon.json: the cause".into());
}

fn invalid(status: &mut Status) {
    status.service.config.valid = false;
    status.service.config.error = Some("/etc/mirrorwatch/mirrors.toml:12:9: unknown key `maxx`".into());
}

#[test]
fn the_first_lines_say_what_is_wrong_and_what_to_do() {
    for lang in [Lang::En, Lang::Zh] {
        let mut text = String::new();
        for (name, change) in worlds() {
            let mut status = full();
            change(&mut status);
            let shown = render(&status, &view(lang, Some(100)));
            let (first, _) = shown.split_once("\n\n").unwrap();
            text.push_str(&format!("# {name}\n{first}\n\n"));
        }
        check("status/first-lines", lang, &text);
    }
}

#[test]
fn every_reason_has_its_mark_and_its_words() {
    for lang in [Lang::En, Lang::Zh] {
        let mut status = full();
        let model = status.mirrors.pop().unwrap();
        status.mirrors.clear();
        for kind in ReasonKind::ALL {
            let reasons = vec![Reason { kind: *kind, detail: String::new(), since: Some(NOW) }];
            let live = [ReasonKind::NotSelected, ReasonKind::OverBudget].contains(kind);
            let verdict = if live { Verdict::Live } else { Verdict::Rejected };
            status.mirrors.push(mirrorwatch::status::Mirror {
                name: kind.to_string(),
                verdict,
                reasons,
                ..model.clone()
            });
        }
        let shown = render(&status, &View { all: true, ..view(lang, Some(90)) });
        check("status/reasons", lang, &shown);
    }
}

#[test]
fn every_warning_of_an_engine_has_its_words() {
    for lang in [Lang::En, Lang::Zh] {
        let mut status = full();
        status.service.notices.clear();
        let warning = |kind: &WarningKind| Warning { kind: *kind, detail: String::new() };
        status.engines[0].warnings = WarningKind::ALL.iter().map(warning).collect();
        let shown = render(&status, &view(lang, None));
        let first = if lang == Lang::En { "warning: " } else { "警告：" };
        let warnings: Vec<&str> = shown.lines().skip_while(|line| !line.starts_with(first)).collect();
        check("status/warnings", lang, &(warnings[..2 * WarningKind::ALL.len()].join("\n") + "\n"));
    }
}

/// Without `with_pending = true` no reload of ours activates them, and what waits for that is the list.
#[test]
fn of_edits_that_wait_it_is_said_that_the_list_waits_for_them_too() {
    let mut status = full();
    status.engines[0].warnings = vec![Warning { kind: WarningKind::PendingEdits, detail: "debug".into() }];
    for lang in [Lang::En, Lang::Zh] {
        let shown = render(&status, &view(lang, None));
        let (_, line) = shown.split_once("(debug)").or_else(|| shown.split_once("（debug）")).unwrap();
        let line = line.lines().next().unwrap();
        assert!(line.contains("with_pending = true"), "{shown}");
    }
}

#[test]
fn every_switch_has_its_sentence() {
    for lang in [Lang::En, Lang::Zh] {
        let mut text = String::new();
        for kind in ChangeKind::ALL {
            let mut status = full();
            status.switches[0].kind = Some(*kind);
            status.switches[0].subject = Some("docker.nju.edu.cn".into());
            let shown = render(&status, &view(lang, None));
            text.push_str(shown.lines().find(|line| line.contains(" → ")).unwrap());
            text.push('\n');
        }
        check("status/switches", lang, &text);
        // Whoever is still a candidate is not said to be none.
        let mut status = full();
        status.switches[0].kind = Some(ChangeKind::MemberRemoved);
        status.switches[0].subject = Some("quick".into());
        status.switches[0].reason = Some(ReasonKind::NotSelected);
        let shown = render(&status, &view(lang, None));
        let expected = match lang {
            Lang::En => ": no place is left for quick [",
            Lang::Zh => "：列表中已没有 quick 的位置 [",
        };
        assert!(shown.contains(expected), "{shown}");
    }
}

#[test]
fn what_is_not_healthy_is_exactly_the_contracts_list() {
    for (name, change) in worlds() {
        let mut status = full();
        change(&mut status);
        let health = status.health();
        let words: Vec<&str> = health
            .iter()
            .map(|trouble| match trouble {
                Trouble::Silent { .. } => "silent",
                Trouble::NetworkDown { .. } => "network",
                Trouble::NothingLive => "nothing live",
                Trouble::NoEngine => "no engine",
                Trouble::EngineWithout(_) => "engine",
                Trouble::ConfigInvalid { .. } => "config",
                Trouble::Paused { .. } => "paused",
            })
            .collect();
        let expected: &[&str] = match name.as_str() {
            "healthy"
            | "healthy, no engine is enabled"
            | "nothing live, the upstream answers"
            | "stopped" => &[],
            "nothing live, nor the upstream" | "nothing live, the upstream was never asked" => {
                &["nothing live"]
            }
            name if name.starts_with("the network is down") => &["network"],
            "silent" => &["silent"],
            "starting" | "the engine has not got it yet" => &["engine"],
            "paused" | "paused for a while" | "one engine paused" => &["paused"],
            "stopped, and so is Docker" | "stopped, and daemon.json is broken" => &["engine"],
            "silent, and Docker is down" => &["silent", "engine"],
            "paused, and daemon.json is broken"
            | "paused, and Docker is down"
            | "one engine paused, and Docker was given up" => &["engine", "paused"],
            "mirrors.toml is invalid" | "stopped, and ill before" => &["config"],
            "two things at once" => &["engine", "config"],
            "no engine found" => &["no engine"],
            engine => {
                assert!(engine.starts_with("engine: "), "{engine} has no expectation");
                &["engine"]
            }
        };
        assert_eq!(words, expected, "{name}");
    }
}

#[test]
fn an_engine_that_is_merely_not_installed_is_no_trouble_beside_one_that_is() {
    let mut status = full();
    let absent = Engine {
        name: "podman".into(),
        state: EngineState::Absent,
        version: None,
        mirrors: None,
        verified_at: None,
        warnings: vec![],
        ..status.engines[0].clone()
    };
    status.engines.push(absent.clone());
    assert_eq!(status.health(), []);
    // Asked for by name, it is.
    status.engines[1].problem = Some("/usr/bin/podman: not found".into());
    assert_eq!(status.health().len(), 1);
}

#[test]
fn the_json_has_every_field_of_the_contract_and_reads_back_the_same() {
    let contract: Value = serde_json::from_str(include_str!("status/contract.json")).unwrap();
    let status: Status = serde_json::from_value(contract.clone()).unwrap();
    let printed: Value = serde_json::from_str(&to_string(&status, Layout::Line)).unwrap();
    contains(&printed, &contract, "status");
    // And with the additions: what is printed is what was read, unknowns as null.
    let full: Value = serde_json::from_str(include_str!("status/full.json")).unwrap();
    for layout in [Layout::Line, Layout::Indented] {
        let printed = to_string(&serde_json::from_value::<Status>(full.clone()).unwrap(), layout);
        assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), full);
        assert_eq!(printed.lines().count() > 1, layout == Layout::Indented);
    }
}

#[track_caller]
fn contains(printed: &Value, contract: &Value, path: &str) {
    match (printed, contract) {
        (Value::Object(printed), Value::Object(contract)) => {
            for (key, value) in contract {
                let printed = printed.get(key).unwrap_or_else(|| panic!("{path}.{key} is missing"));
                contains(printed, value, &format!("{path}.{key}"));
            }
        }
        (Value::Array(printed), Value::Array(contract)) => {
            assert_eq!(printed.len(), contract.len(), "{path}");
            for (index, (printed, value)) in printed.iter().zip(contract).enumerate() {
                contains(printed, value, &format!("{path}[{index}]"));
            }
        }
        (printed, contract) => assert_eq!(printed, contract, "{path}"),
    }
}

#[test]
fn what_is_published_is_what_is_read_and_the_runtime_directory_goes_first() {
    let (runtime, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut status = full();
    status.service.pid = Some(std::process::id());
    status.service.pid_started = mirrorwatch::process::started(std::process::id());
    status.write(state.path()).unwrap();
    assert_eq!(Status::read(runtime.path(), state.path()).unwrap(), status);
    let newer = Status { generated_at: NOW + Duration::from_secs(60), ..status };
    newer.write(runtime.path()).unwrap();
    assert_eq!(Status::read(runtime.path(), state.path()).unwrap(), newer);
}

#[test]
fn an_engine_without_a_version_is_named_without_one() {
    let mut status = full();
    status.engines[0].version = None;
    for lang in [Lang::En, Lang::Zh] {
        let text = render(&status, &view(lang, None));
        let line = text.lines().find(|line| line.starts_with("docker ")).unwrap();
        assert!(line.starts_with("docker  ") && !line.contains(" - "), "{line}");
    }
}

#[test]
fn a_time_of_today_is_a_clock_and_another_has_its_date() {
    let hours = |n: u64| NOW + Duration::from_secs(n * 3600);
    assert_eq!(moment(hours(2), NOW), "14:00 UTC");
    assert_eq!(moment(hours(26), NOW), "2026-11-21 14:00 UTC");
}

#[test]
fn one_mirror_is_not_taken_in_turns() {
    let mut status = full();
    status.mirrors.retain(|mirror| mirror.selected.is_none_or(|place| place == 1));
    assert!(render(&status, &view(Lang::Zh, None)).starts_with("一切正常：通过 DaoCloud 拉取镜像。"));
}
