//! A change of this host's way to the world is seen at once and acted on, in a network namespace of its own.

mod host;
mod namespace;
#[expect(dead_code, reason = "the fakes are shared by several tests, and each uses a part")]
mod support;

use std::process::Command;
use std::time::Duration;

use mirrorwatch::assembly::now;
use mirrorwatch::route::{Changed, watch};
use mirrorwatch::timestamp::Timestamp;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;
use tokio::time::timeout;

use host::{Host, Toml};
use namespace::is_inside;
use support::registry::{Options, Registry};

#[test]
fn another_address_and_another_gateway_are_seen_and_a_container_s_link_is_not() {
    let test = "another_address_and_another_gateway_are_seen_and_a_container_s_link_is_not";
    if !is_inside(&["--net"], test) {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(inside());
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().expect("ip (iproute2) is installed");
    assert!(status.success(), "ip {arguments}");
}

/// This host has one address on one cable, and a way out.
fn plug_in() {
    ip("link set lo up");
    ip("link add world type veth peer name gateway");
    ip("link set gateway up");
    ip("link set world up");
    ip("addr add 10.9.0.2/24 dev world");
    ip("route add default via 10.9.0.1");
}

async fn inside() {
    ip("link set lo up");
    ip("link add world type veth peer name gateway");
    let (_watch, mut changes) = watch();
    let within = Duration::from_secs(5);

    ip("link set gateway up");
    ip("link set world up");
    ip("addr add 10.9.0.2/24 dev world");
    ip("route add default via 10.9.0.1");
    assert_eq!(timeout(within, changes.recv()).await, Ok(Some(Changed)), "a first default route");
    // The link-local IPv6 addresses of the pair come up a little later, and are no change of the way.
    ip("link add container type veth peer name inside");
    ip("link set container up");
    ip("addr add 172.17.0.1/16 dev container");
    assert!(timeout(Duration::from_secs(3), changes.recv()).await.is_err(), "a container's link");

    ip("route replace default via 10.9.0.254");
    assert_eq!(timeout(within, changes.recv()).await, Ok(Some(Changed)), "another gateway");
    ip("addr add 10.9.0.3/32 dev world");
    ip("route replace default via 10.9.0.254 src 10.9.0.3");
    assert_eq!(timeout(within, changes.recv()).await, Ok(Some(Changed)), "another address");
    ip("route add default via 10.9.0.1 src 10.9.0.2 table 100");
    assert!(timeout(Duration::from_secs(3), changes.recv()).await.is_err(), "a table that nothing leads to");
    ip("rule add to 192.0.2.0/24 table 100");
    assert_eq!(timeout(within, changes.recv()).await, Ok(Some(Changed)), "a rule that leads there");
    ip("link set world down");
    assert_eq!(timeout(within, changes.recv()).await, Ok(Some(Changed)), "the cable is out");
}

#[test]
fn who_has_no_descriptors_left_to_look_with_sees_no_change() {
    if !is_inside(&["--net"], "who_has_no_descriptors_left_to_look_with_sees_no_change") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        plug_in();
        let (watch, mut changes) = watch();
        // What the pair does by itself when it comes up is over.
        while timeout(Duration::from_secs(3), changes.recv()).await.is_ok() {}
        let usual = getrlimit(Resource::Nofile);
        for limit in [Rlimit { current: Some(0), ..usual }, usual] {
            setrlimit(Resource::Nofile, limit).unwrap();
            watch.glance();
            assert!(timeout(Duration::from_secs(2), changes.recv()).await.is_err(), "{limit:?}");
        }
        ip("route replace default via 10.9.0.254");
        assert_eq!(timeout(Duration::from_secs(5), changes.recv()).await, Ok(Some(Changed)));
    });
}

#[test]
fn a_service_asks_everybody_afresh_after_another_gateway_and_after_another_address() {
    let test = "a_service_asks_everybody_afresh_after_another_gateway_and_after_another_address";
    if !is_inside(&["--net"], test) {
        return;
    }
    plug_in();
    let registries = [0, 1].map(|_| Registry::start(Options::default()));
    let [a, b] = &registries;
    // Nobody's turn comes by itself before this test is over.
    let schedule = "connect = \"5h\"\nsample = \"5h\"\nrehearse = \"5h\"\ndecide = \"5h\"\n";
    let host = Host::new(&Toml { schedule, ..Toml::of(&[("A", a), ("B", b)]) });
    let _service = host.serve();
    let due = |mirror: &Value| -> Option<Duration> {
        let next: Timestamp = mirror["next_probe"].as_str()?.parse().ok()?;
        Some(next.since(now()))
    };
    // Everything that was asked has been answered and counted, and nothing else is to come.
    let rests = |status: &Value, name: &str, registry: &Registry| {
        let mirrors = status["mirrors"].as_array();
        mirrors.into_iter().flatten().any(|mirror| {
            mirror["name"] == name
                && mirror["budget"]["requests_today"] == registry.requests().len()
                && due(mirror).is_some_and(|due| due > Duration::from_secs(1800))
        })
    };
    let settle = || {
        host.wait_for_status("a list in place, and nothing to do for hours", |status| {
            status["engines"][0]["state"] == "in_place" && rests(status, "A", a) && rests(status, "B", b)
        });
    };
    let asked = || registries.each_ref().map(|registry| registry.requests().len());
    settle();
    for change in ["via 10.9.0.254", "via 10.9.0.254 src 10.9.0.3"] {
        let before = asked();
        assert!(before.iter().all(|count| *count > 0), "{before:?}");
        // The address alone changes nothing: it is not the one that is spoken from.
        if change.contains("src") {
            ip("addr add 10.9.0.3/32 dev world");
        }
        ip(&format!("route replace default {change}"));
        host.wait("a fresh round", || asked().iter().zip(before).all(|(now, before)| *now > before));
        settle();
    }
    assert_eq!(host.log().matches("everybody is looked at afresh").count(), 2, "{}", host.log());
}
