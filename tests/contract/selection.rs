//! Who is selected, and why the others are not.

use serde_json::{Value, json};

use super::given::{at_speed, broken, healthy};
use crate::host::{Host, Toml, has_reason, kinds, mirror};
use crate::support::fault::{Act, Fault, Place};
use crate::support::registry::{Options, Registry};

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
    let asked = a.requests().len();
    host.wait("another look", || a.requests().len() > asked);
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
