//! A change of this host's way to the world is seen at once, in a network namespace of its own.

mod namespace;

use std::process::Command;
use std::time::Duration;

use mirrorwatch::route::{Changed, watch};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::timeout;

use namespace::is_inside;

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
        ip("link set lo up");
        ip("link add world type veth peer name gateway");
        ip("link set gateway up");
        ip("link set world up");
        ip("addr add 10.9.0.2/24 dev world");
        ip("route add default via 10.9.0.1");
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
