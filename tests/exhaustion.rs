//! The host has no descriptors left for the service: nobody is blamed, nothing is changed, and when there are some
//! again it goes on.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod host;
#[expect(dead_code, reason = "the fakes are shared by several tests, and each uses a part")]
mod support;

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use host::{Host, Toml, mirror};
use support::registry::at_speed;

fn limit_descriptors(pid: u32, most: usize) {
    let limit = format!("--nofile={most}:1024");
    let status = Command::new("prlimit").args(["--pid", &pid.to_string(), &limit]).status().unwrap();
    assert!(status.success());
}

#[test]
fn without_descriptors_nobody_is_blamed_and_nothing_is_changed() {
    let (a, b) = (at_speed(20_000_000), at_speed(4_000_000));
    let host = Host::new(&Toml::of(&[("A", &a), ("B", &b)]));
    let mut service = host.serve();
    host.wait_for(&[&a, &b]);
    let (reloads, text) = (host.engine.reloads(), host.engine.text());
    // Fewer than it has: whatever it opens from now on fails.
    limit_descriptors(service.pid(), 10);
    let asked = || a.connections() + b.connections();
    let before = asked();
    // Long enough for ten probes of each, of which three failures would reject.
    sleep(Duration::from_secs(4));
    assert!(asked() <= before + 2, "it could ask after all");
    assert!(service.lives());
    assert_eq!((host.engine.reloads(), host.engine.text()), (reloads, text.clone()));
    assert!(
        fs::read_dir(format!("/proc/{}/fd", service.pid())).unwrap().count() > 10,
        "the limit is below what it has"
    );
    limit_descriptors(service.pid(), 1024);
    let start = Instant::now();
    let status = host.wait_for_status("a probe again", |status| {
        asked() > before + 6
            && status["engines"][0]["state"] == "in_place"
            && status["service"]["config"]["valid"] == true
            && status["service"]["network"] == "up"
    });
    assert!(start.elapsed() < Duration::from_secs(10), "it took {:?}", start.elapsed());
    for name in ["A", "B"] {
        assert_eq!(mirror(&status, name)["verdict"], "live", "{name}\n{}", host.log());
    }
    assert_eq!((host.engine.reloads(), host.engine.text()), (reloads, text));
    assert!(!host.log().contains("panicked"), "{}", host.log());
    assert_eq!(service.end(Signal::TERM), Some(0));
}
