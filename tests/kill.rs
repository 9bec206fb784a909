//! `kill -9` at any instant: what is remembered, and the engine's file, are whole whenever the service ends.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod host;
#[expect(dead_code, reason = "the fakes are shared by several tests, and each uses a part")]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use mirrorwatch::assembly::{SELECTION_FACT, TREATMENT_FACT, now};
use mirrorwatch::daemon::step::Treatment;
use mirrorwatch::mirror::MirrorUrl;
use mirrorwatch::ranking::record::{Record, SpentToday, Standing};
use mirrorwatch::store::{self, Key, Store, Switch};
use mirrorwatch::timestamp::Timestamp;
use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::Value;

use host::{Host, Toml};
use support::fault::{Act, Fault, Place};
use support::registry::{Options, Registry, at_speed};

/// So many hosts at a time, and so many kills of each.
const LANES: u64 = 2;
const KILLS: u64 = 100;

/// A start takes some 30 ms and a first round about 200: half of the kills fall into those.
const LONGEST_LIFE: u64 = 400;

/// Enough probes for a write every few milliseconds, and no failure of a mirror that is only slow here.
fn quick(mut toml: Toml) -> Toml {
    toml.schedule = "connect = \"40ms\"\nsample = \"60ms\"\nrehearse = \"80ms\"\ndecide = \"40ms\"\nconfirm = \"20ms\"\nhold = \"100ms\"\n";
    toml.probe = "learn_images = false\nproxy = \"none\"\nconnect_timeout = \"10s\"\ntimeout = \"10s\"\nstall = \"10s\"\n".to_owned();
    // The stand-in does not tell when it read its file, and other keys could be edits that wait.
    toml.docker = "with_pending = true\n".to_owned();
    toml
}

/// The same numbers in every run of the test.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        // Knuth's multiplier; the high bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Everything that a generation leaves behind.
#[derive(Default)]
struct Left {
    records: BTreeMap<Key, (Standing, SpentToday)>,
    observations: usize,
    switches: Vec<Switch>,
    selection: Option<Vec<MirrorUrl>>,
    reloads: usize,
}

/// Reads a copy, so that it is the next generation that has to recover the original.
fn left_behind(state: &Path, when: &str) -> Left {
    let copy = tempfile::tempdir().unwrap();
    for name in [store::FILE.to_owned(), format!("{}-wal", store::FILE)] {
        if state.join(&name).exists() {
            fs::copy(state.join(&name), copy.path().join(&name)).unwrap();
        }
    }
    let database = Connection::open(copy.path().join(store::FILE)).unwrap();
    let verdict: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok", "{when}");
    drop(database);
    let (store, setback) = Store::open(copy.path(), now());
    assert_eq!(setback, None, "{when}");
    let read = |(key, json): (Key, String)| {
        let record: Record =
            serde_json::from_str(&json).unwrap_or_else(|error| panic!("{when}: {error}: {json}"));
        (key, (record.standing(), record.spent(now())))
    };
    let treatment: Treatment = store.fact(TREATMENT_FACT).unwrap_or_default();
    Left {
        records: store.records().into_iter().map(read).collect(),
        observations: store.observations(None, Timestamp::default()).len(),
        switches: store.switches(usize::MAX).into_iter().rev().collect(),
        selection: store.fact(SELECTION_FACT),
        reloads: treatment.reloads.len(),
    }
}

/// Nothing that was there is missing now; `steady` never fails.
fn nothing_is_lost(before: &Left, after: &Left, steady: &str, when: &str) {
    for (key, (standing, spent)) in &before.records {
        let Some((standing_now, spent_now)) = after.records.get(key) else {
            panic!("{when}: {}: its record is gone", key.url)
        };
        let grown = spent.requests_today <= spent_now.requests_today
            && spent.refusals_2_days <= spent_now.refusals_2_days
            && spent.bytes_today <= spent_now.bytes_today;
        assert!(grown, "{when}: {}: {spent:?} and then {spent_now:?}", key.url);
        assert!(
            *standing == Standing::Unprobed || *standing_now != Standing::Unprobed,
            "{when}: {}: it was forgotten what it is",
            key.url
        );
        if key.url.as_str() == steady && *standing == Standing::Live {
            assert_eq!(*standing_now, Standing::Live, "{when}: it never failed");
        }
    }
    assert!(before.observations <= after.observations, "{when}");
    assert_eq!(
        before.switches[..],
        after.switches[..before.switches.len().min(after.switches.len())],
        "{when}"
    );
    assert!(before.switches.len() <= after.switches.len(), "{when}");
    assert!(before.selection.is_none() || after.selection.is_some(), "{when}: the selection is gone");
    assert!(before.reloads <= after.reloads, "{when}: reloads are forgotten");
}

/// The engine's file is one that the engine takes, and only our value differs from what stood there.
fn engine_file_is_whole(host: &Host, urls: &[String], when: &str) {
    let text = host.engine.text().unwrap();
    let mut file: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{when}: {error}: {text:?}"));
    let ours = file.as_object_mut().unwrap().remove("registry-mirrors").unwrap_or_default();
    assert_eq!(file, serde_json::json!({"debug": false, "labels": ["a=b"]}), "{when}");
    for url in ours.as_array().into_iter().flatten() {
        assert!(urls.iter().any(|known| url == known), "{when}: {url}");
    }
}

fn lane(number: u64) {
    let refusing =
        |place, act| Registry::start(Options { faults: vec![Fault::at(place, act)], ..Options::default() });
    let (comes_and_goes, steady) = (at_speed(200_000_000), at_speed(50_000_000));
    let closed = refusing(Place::Manifest, Act::not_found());
    let banned = refusing(Place::Token, Act::rate_limited());
    let mirrors = [("goes", &comes_and_goes), ("steady", &steady), ("closed", &closed), ("banned", &banned)];
    let urls: Vec<String> = mirrors.iter().map(|(_, registry)| registry.url()).collect();
    let toml = quick(Toml::of(&mirrors));
    let host = Host::with_file(&toml, Some("{\"debug\": false, \"labels\": [\"a=b\"]}\n"));
    let (mut dice, mut before) = (Dice(number), Left::default());
    for kill in 0..KILLS {
        // What changes the list makes the service write the engine's file, too.
        match kill % 4 {
            0 => comes_and_goes.start_again(),
            2 => comes_and_goes.stop(),
            _ => {}
        }
        let mut service = host.serve();
        thread::sleep(Duration::from_micros(dice.below(LONGEST_LIFE * 1000)));
        assert!(service.lives(), "it ended by itself\n{}", host.log());
        assert_eq!(service.end(Signal::KILL), None, "nothing ends it more gently");
        let when = format!("lane {number}, kill {kill}");
        engine_file_is_whole(&host, &urls, &when);
        if host.at("state").join(store::FILE).exists() {
            let after = left_behind(&host.at("state"), &when);
            let known =
                after.selection.iter().flatten().all(|url| urls.iter().any(|known| known == url.as_str()));
            assert!(known, "{when}: {:?}", after.selection);
            nothing_is_lost(&before, &after, &steady.url(), &when);
            before = after;
        }
    }
    // All of it happened, or nothing was proved.
    assert!(
        before.observations > 200 && before.switches.len() > 2,
        "{} {}",
        before.observations,
        before.switches.len()
    );
    assert_eq!(before.records.len(), mirrors.len());
    assert!(!host.log().contains("state.db"), "the service had to complain\n{}", host.log());
    let names = |dir: &str| fs::read_dir(host.at(dir)).unwrap().count();
    // What a kill left half-written is cleared away and does not pile up.
    assert!(names("state") < 12 && names("docker") < 8);
    comes_and_goes.start_again();
    let _service = host.serve();
    host.wait_for_status("the list in place", |status| status["engines"][0]["state"] == "in_place");
}

#[test]
fn two_hundred_kills_at_random_instants_lose_nothing() {
    thread::scope(|scope| {
        for number in 0..LANES {
            scope.spawn(move || lane(number));
        }
    });
}
