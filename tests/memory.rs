//! What becomes of the service when what it remembers is damaged, cannot be kept, or is another version's.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "a test damages files")]

mod host;
mod namespace;
#[expect(dead_code, reason = "the fakes are shared by several tests, and each uses a part")]
mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::{Map, Value, json};

use host::{Host, Said, Toml, mirror};
use namespace::is_inside;
use support::registry::{Registry, at_speed};

/// User and group of nobody.
const NOBODY: u32 = 65534;

fn database(host: &Host) -> PathBuf {
    host.at("state/state.db")
}

/// The details of the notices about what is remembered.
fn setbacks(status: &Value) -> Vec<String> {
    let notices = status["service"]["notices"].as_array().into_iter().flatten();
    let setbacks = notices.filter(|notice| notice["kind"] == "setback");
    setbacks.map(|notice| notice["detail"].as_str().unwrap().to_owned()).collect()
}

/// A service at work, by its process; what the one before has published does not count.
#[track_caller]
fn at_work(host: &Host, pid: u32) -> Value {
    host.wait_for_status("a service at work", |status| {
        status["service"]["pid"] == pid
            && status["service"]["state"] == "running"
            && status["engines"][0]["state"] == "in_place"
    })
}

/// A host on which the service has worked and was ended.
fn worked(a: &Registry, b: &Registry) -> Host {
    let host = Host::new(&Toml::of(&[("A", a), ("B", b)]));
    let mut service = host.serve();
    host.wait_for(&[a, b]);
    assert_eq!(service.end(Signal::TERM), Some(0));
    host
}

fn sql(path: &Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

/// Somewhere in the middle, behind a header that is whole.
fn overwrite(path: &Path, with: u8) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[100..middle].fill(with);
    fs::write(path, bytes).unwrap();
}

/// What can have happened to the file, and what is said of it.
type Damage = (&'static str, fn(&Path), &'static str);

const DAMAGES: [Damage; 7] = [
    (
        "no database",
        |path| fs::write(path, "It was a dark and stormy night. ".repeat(1000)).unwrap(),
        "damaged",
    ),
    ("zeroes inside", |path| overwrite(path, 0), "damaged"),
    ("cut off", |path| fs::write(path, &fs::read(path).unwrap()[..9000]).unwrap(), "damaged"),
    (
        "another program's",
        |path| {
            fs::remove_file(path).unwrap();
            sql(path, "CREATE TABLE bookmarks (url)");
        },
        "another program's",
    ),
    ("of a later version", |path| sql(path, "PRAGMA user_version = 999"), "newer"),
    ("without a table", |path| sql(path, "DROP TABLE records"), "damaged"),
    (
        "a directory",
        |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        },
        "not a regular file",
    ),
];

#[test]
fn a_database_that_cannot_be_used_is_set_aside_and_said_and_the_service_goes_on() {
    let (a, b) = (at_speed(20_000_000), at_speed(4_000_000));
    for (what, damage, said) in DAMAGES {
        let host = worked(&a, &b);
        let (reloads, text) = (host.engine.reloads(), host.engine.text());
        damage(&database(&host));
        let mut service = host.serve();
        let status = at_work(&host, service.pid());
        let details = setbacks(&status);
        assert_eq!(details.len(), 1, "{what}: {status:#}");
        let place = format!("{}: ", database(&host).display());
        assert!(details[0].starts_with(&place) && details[0].contains(said), "{what}: {details:?}");
        assert!(
            details[0].contains("state.db.damaged-") && details[0].ends_with("a new one was begun"),
            "{what}: {details:?}"
        );
        assert!(
            host.log().lines().any(|line| line.contains("WARN") && line.contains(&details[0])),
            "{what}: {}",
            host.log()
        );
        let shown = host.run(&["status"]).ended(0).out;
        assert!(shown.contains(&details[0]), "{what}: {shown}");
        // Nothing is known, so everybody is measured again, and the list that stood is kept meanwhile.
        host.wait_for_status("figures", |status| mirror(status, "B")["predicted_seconds"].is_number());
        assert_eq!((host.engine.reloads(), host.engine.text()), (reloads, text), "{what}: it is what it was");
        assert_eq!(service.end(Signal::TERM), Some(0));
        // The new one is sound.
        let service = host.serve();
        assert_eq!(setbacks(&at_work(&host, service.pid())), [""; 0], "{what}");
    }
}

#[test]
fn the_picture_of_the_day_is_drawn_of_speeds() {
    let (a, b) = (at_speed(20_000_000), at_speed(4_000_000));
    let host = worked(&a, &b);
    let status = host.status();
    let drawn = |name| {
        mirror(&status, name)["spark"].as_array().unwrap().iter().filter_map(Value::as_u64).next_back()
    };
    let (a, b) = (drawn("A").unwrap(), drawn("B").unwrap());
    assert!(b > 1_000_000 && a > 2 * b, "{a} and {b} bytes per second");
}

#[test]
fn while_nobody_answers_the_history_holds_what_it_held() {
    let (a, b) = (at_speed(20_000_000), at_speed(4_000_000));
    let host = worked(&a, &b);
    let service = host.serve();
    at_work(&host, service.pid());
    drop((a, b));
    host.wait_for_status("the outage", |status| status["service"]["network"] == "down");
    let database = database(&host);
    let rows = || -> i64 {
        let connection = Connection::open(&database).unwrap();
        connection
            .query_row("SELECT count(*) FROM observations WHERE depth = 'connect'", [], |row| row.get(0))
            .unwrap()
    };
    let knocks = || host.log().lines().filter(|line| line.contains("connection_refused")).count();
    let (before, knocked) = (rows(), knocks());
    host.wait("a hundred knocks", || knocks() >= knocked + 100);
    assert_eq!(rows(), before);
}

#[test]
fn good_connects_wait_to_be_written_and_at_the_end_they_are() {
    let (a, b) = (at_speed(20_000_000), at_speed(4_000_000));
    let often = Toml {
        schedule: "connect = \"300ms\"\nsample = \"5h\"\nrehearse = \"5h\"\n",
        ..Toml::of(&[("A", &a), ("B", &b)])
    };
    let host = Host::new(&often);
    let mut service = host.serve();
    host.wait_for(&[&a, &b]);
    let seen = |status: &Value| mirror(status, "A")["last_probe"].as_str().map(str::to_owned);
    let first = seen(&host.status());
    host.wait_for_status("more connects", |status| seen(status) > first);
    assert_eq!(service.end(Signal::TERM), Some(0));
    let shown = seen(&host.status()).unwrap();
    let last = "SELECT max(at) FROM observations WHERE depth = 'connect' AND outcome = 'served'";
    let last: String =
        Connection::open(database(&host)).unwrap().query_row(last, [], |row| row.get(0)).unwrap();
    // The status has no milliseconds.
    assert!(last[..19] >= shown[..19], "{last} is the last that is known, {shown} was shown");
}

/// Every object in this value, the value itself included.
fn objects<'a>(value: &'a mut Value, found: &mut dyn FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(map) => {
            for member in map.values_mut() {
                objects(member, found);
            }
            found(map);
        }
        Value::Array(all) => all.iter_mut().for_each(|one| objects(one, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Changes every record in the database.
fn rewrite(host: &Host, change: &mut dyn FnMut(&mut Value)) {
    let database = Connection::open(database(host)).unwrap();
    let mut select = database.prepare("SELECT url, json FROM records").unwrap();
    let rows: Vec<(String, String)> =
        select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    for (url, json) in rows {
        let mut record: Value = serde_json::from_str(&json).unwrap();
        change(&mut record);
        database.execute("UPDATE records SET json = ?1 WHERE url = ?2", [record.to_string(), url]).unwrap();
    }
}

/// What the versions before or after this one can have written.
type Version = (&'static str, fn(&mut Value));

const VERSIONS: [Version; 5] = [
    ("members that this version does not know, everywhere", |record| {
        objects(record, &mut |object| {
            // An object whose keys are names, images say, is no shape.
            if !object.keys().any(|key| key.contains('/')) {
                object.insert("zodiac".to_owned(), json!({"sign": ["lion"]}));
            }
        });
    }),
    ("without what came later", |record| {
        let record = record.as_object_mut().unwrap();
        record
            .retain(|key, _| ["standing", "been_live", "hours", "layer", "pace", "chain"].contains(&&**key));
    }),
    ("parts of another shape", |record| {
        record["rounds"] = json!([{"at": 1}, "two"]);
        record["stages"] = json!("quick");
        record["address"] = json!("somewhere");
        record["flapping"] = json!({"falls": 1.0});
        record["runs"] = json!({"connect": {"failures": 1}});
    }),
    ("a word that this version does not know", |record| {
        record["fallen"] = json!({"kind": "struck_by_lightning", "detail": "", "since": 0});
    }),
    ("an image of another shape", |record| {
        record["images"] = json!({"library/busybox:latest": {"answer": "perhaps"}});
    }),
];

#[test]
fn a_record_of_another_version_is_read_as_far_as_it_is_understood() {
    let (a, b) = (at_speed(20_000_000), at_speed(4_000_000));
    for (what, change) in VERSIONS {
        let host = worked(&a, &b);
        let before = host.status();
        rewrite(&host, &mut |record| change(record));
        let service = host.serve();
        let status = at_work(&host, service.pid());
        assert_eq!(setbacks(&status), [""; 0], "{what}");
        for name in ["A", "B"] {
            let (before, after) = (mirror(&before, name), mirror(&status, name));
            let requests = |mirror: &Value| mirror["budget"]["requests_today"].as_u64().unwrap();
            assert!(
                requests(after) >= requests(before),
                "{what}: {name} was asked and it is forgotten: {after:#}"
            );
            assert_eq!(after["verdict"], "live", "{what}: {after:#}");
            assert!(after["bytes_per_second"].is_number(), "{what}: {after:#}");
        }
    }
}

/// The tables as the first version made them.
const FIRST_VERSION: &str = "
    CREATE TABLE records (upstream TEXT NOT NULL, url TEXT NOT NULL, saved_at TEXT NOT NULL, json TEXT NOT NULL,
        PRIMARY KEY (upstream, url));
    CREATE TABLE observations (id INTEGER PRIMARY KEY, at TEXT NOT NULL, upstream TEXT NOT NULL, url TEXT NOT NULL,
        depth TEXT NOT NULL, image TEXT, outcome TEXT NOT NULL, stage TEXT, detail TEXT, first_byte_ms REAL,
        bytes_per_second REAL, requests INTEGER NOT NULL, refusals INTEGER NOT NULL, bytes INTEGER NOT NULL,
        process INTEGER NOT NULL, json TEXT NOT NULL);
    CREATE INDEX observations_by_time ON observations (at);
    CREATE TABLE switches (id INTEGER PRIMARY KEY, at TEXT NOT NULL, engine TEXT NOT NULL, kind TEXT NOT NULL,
        subject TEXT, reason TEXT, why TEXT NOT NULL, list_before TEXT NOT NULL, list_after TEXT NOT NULL);
    CREATE TABLE facts (name TEXT PRIMARY KEY, json TEXT NOT NULL);
    PRAGMA application_id = 0x6d697277;
    PRAGMA user_version = 1;
";

#[test]
fn a_database_of_the_first_version_is_brought_up_to_date_with_all_that_is_in_it() {
    let (a, b) = (at_speed(20_000_000), at_speed(4_000_000));
    let host = worked(&a, &b);
    let before = host.status();
    let (now, old) = (database(&host), host.at("state/old.db"));
    sql(&old, FIRST_VERSION);
    let columns = "at, upstream, url, depth, image, outcome, stage, detail, first_byte_ms, bytes_per_second, requests, refusals, bytes, process, json";
    sql(
        &now,
        &format!(
            "ATTACH '{}' AS old;
             INSERT INTO old.records SELECT upstream, url, saved_at, json FROM records;
             INSERT INTO old.observations ({columns}) SELECT {columns} FROM observations;
             INSERT INTO old.switches SELECT id, at, engine, kind, subject, reason, why, list_before, list_after FROM switches;
             INSERT INTO old.facts SELECT name, json FROM facts;",
            old.display()
        ),
    );
    for name in ["state.db", "state.db-wal", "state.db-shm"] {
        let _ = fs::remove_file(host.at("state").join(name));
    }
    fs::rename(old, now).unwrap();
    let said = host.run(&["history", "A"]).ended(0);
    assert!(
        said.out.contains("SWITCH") && said.out.contains("rehearse"),
        "who only looks reads it as it is: {said:?}"
    );
    let reloads = host.engine.reloads();
    let service = host.serve();
    let status = at_work(&host, service.pid());
    assert_eq!(setbacks(&status), [""; 0]);
    assert_eq!(status["switches"], before["switches"]);
    assert_eq!(host.engine.reloads(), reloads);
    let requests = |status: &Value| mirror(status, "A")["budget"]["requests_today"].as_u64().unwrap();
    assert!(requests(&status) >= requests(&before));
}

/// With mounts of its own.
fn has_own_mounts(test: &str) -> bool {
    is_inside(&["--mount", "--propagation", "private"], test)
}

fn mount(options: &[&str], at: &Path) {
    let status = Command::new("mount").args(options).arg(at).status().unwrap();
    assert!(status.success(), "{options:?}");
}

/// A state directory of its own size, which can be made read-only.
fn small_disk(host: &Host, size: &str) {
    let state = host.at("state");
    let _ = fs::create_dir(&state);
    mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "none"], &state);
}

#[test]
fn with_a_state_directory_that_cannot_be_written_it_goes_on_from_what_it_reads_there() {
    if !has_own_mounts("with_a_state_directory_that_cannot_be_written_it_goes_on_from_what_it_reads_there") {
        return;
    }
    let (a, b) = (at_speed(20_000_000), at_speed(4_000_000));
    let host = Host::new(&Toml::of(&[("A", &a), ("B", &b)]));
    small_disk(&host, "8m");
    let mut service = host.serve();
    host.wait_for(&[&a, &b]);
    assert_eq!(service.end(Signal::TERM), Some(0));
    let before = host.status();
    mount(&["-o", "remount,ro"], &host.at("state"));
    let mut service = host.serve();
    let status = at_work(&host, service.pid());
    let details = setbacks(&status);
    assert!(details.len() == 1 && details[0].contains("read-only"), "{details:?}");
    assert_eq!(status["switches"], before["switches"], "what was remembered is known");
    assert_eq!(mirror(&status, "A")["verdict"], "live");
    host.wait_for_rehearsals("A", 2);
    host.run(&["run"]).ended(1);
    assert_eq!(service.end(Signal::TERM), Some(0));
}

#[test]
fn with_a_disk_that_never_had_room_it_runs_in_memory_and_says_so() {
    if !has_own_mounts("with_a_disk_that_never_had_room_it_runs_in_memory_and_says_so") {
        return;
    }
    let (a, b) = (at_speed(20_000_000), at_speed(4_000_000));
    for (what, options, said) in [
        ("full", &["-o", "remount,size=4k"][..], "no space"),
        ("read-only", &["-o", "remount,ro"], "read-only"),
    ] {
        let host = Host::new(&Toml::of(&[("A", &a), ("B", &b)]));
        small_disk(&host, "64k");
        if what == "full" {
            fs::write(host.at("state/filler"), vec![0; 1 << 20]).expect_err("the disk is full now");
        } else {
            mount(options, &host.at("state"));
        }
        let mut service = host.serve();
        let status = host.wait_for_status("a first round and what came of it", |status| {
            status["service"]["state"] == "running" && status["engines"][0]["state"] != "pending"
        });
        let details = setbacks(&status);
        assert!(details.len() == 1 && details[0].contains(said), "{what}: {details:?}");
        assert_eq!(mirror(&status, "A")["verdict"], "live", "{what}");
        // What cannot be put back is not replaced.
        assert_eq!(host.engine.text().unwrap(), "{}\n", "{what}");
        assert_eq!(status["engines"][0]["state"], "refused", "{what}: {:#}", status["engines"]);
        assert!(service.lives());
        assert_eq!(service.end(Signal::TERM), Some(0));
    }
}

#[test]
fn a_round_by_hand_that_nothing_can_remember_says_so() {
    if !has_own_mounts("a_round_by_hand_that_nothing_can_remember_says_so") {
        return;
    }
    let a = at_speed(20_000_000);
    for (fault, said) in [
        (
            "full",
            [
                "state.db: no space left on the device; the latest records were not saved",
                "state.db：磁盘空间不足；最新的记录未能保存",
            ],
        ),
        (
            "read-only",
            [
                "state.db: read-only; the latest records were not saved",
                "state.db：只读，无法写入；最新的记录未能保存",
            ],
        ),
    ] {
        let host = Host::new(&Toml::of(&[("A", &a)]));
        small_disk(&host, "64k");
        assert_eq!(host.run(&["-q", "probe"]).ended(0).err, "");
        if fault == "full" {
            fs::write(host.at("state/filler"), vec![0; 1 << 20]).expect_err("the disk is full now");
        } else {
            mount(&["-o", "remount,ro"], &host.at("state"));
        }
        for (lang, said) in ["en", "zh"].into_iter().zip(said) {
            for command in [&["probe"][..], &["apply", "--dry-run"]] {
                let Said { err, .. } = host.run(&[&["--lang", lang], command].concat()).ended(0);
                assert_eq!(err.matches(said).count(), 1, "{fault}: {command:?}: {err}");
            }
        }
    }
}

#[test]
fn a_disk_that_fills_up_is_said_and_forgotten_when_there_is_room_again() {
    if !has_own_mounts("a_disk_that_fills_up_is_said_and_forgotten_when_there_is_room_again") {
        return;
    }
    let (a, b) = (at_speed(20_000_000), at_speed(4_000_000));
    let host = Host::new(&Toml::of(&[("A", &a), ("B", &b)]));
    small_disk(&host, "1m");
    let mut service = host.serve();
    host.wait_for(&[&a, &b]);
    let filler = host.at("state/filler");
    fs::write(&filler, vec![0; 2 << 20]).expect_err("the disk is full now");
    let status = host.wait_for_status("the full disk", |status| !setbacks(status).is_empty());
    assert!(setbacks(&status)[0].contains("no space"), "{:?}", setbacks(&status));
    // What is found out meanwhile is known later, though it could not be written then and nobody asks again.
    a.stop();
    host.wait_for_status("A's rejection", |status| mirror(status, "A")["verdict"] == "rejected");
    let slow = Toml {
        schedule: "connect = \"5h\"\nsample = \"5h\"\nrehearse = \"5h\"\n",
        ..Toml::of(&[("A", &a), ("B", &b)])
    };
    host.configure(&slow);
    host.wait("the slow schedule", || host.log().contains("mirrors.toml: read"));
    fs::remove_file(&filler).unwrap();
    // The next write is about B alone.
    let asked = |status: &Value| mirror(status, "B")["budget"]["requests_today"].as_u64().unwrap();
    let before = asked(&host.status());
    host.run(&["probe", "B"]).ended(0);
    host.write(&(host.text_of(&slow) + "\n# The service looks what others have seen."));
    host.wait_for_status("room again", |status| asked(status) > before && setbacks(status).is_empty());
    assert_eq!(service.end(Signal::KILL), None);
    let mut standings = Vec::new();
    rewrite(&host, &mut |record| standings.push(record["standing"].clone()));
    standings.sort_by_key(ToString::to_string);
    assert_eq!(standings, [json!("live"), json!("rejected")]);
}

#[test]
fn a_run_by_root_leaves_nothing_behind_that_keeps_the_service_s_own_user_from_starting() {
    let a = at_speed(20_000_000);
    let host = Host::new(&Toml::of(&[("A", &a)]));
    fs::set_permissions(host.at(""), Permissions::from_mode(0o755)).unwrap();
    let (state, lock) = (host.at("state"), host.at("state/run.lock"));
    for directory in [&state, &host.at("run")] {
        fs::create_dir(directory).unwrap();
        chown(directory, Some(NOBODY), Some(NOBODY)).expect("this test gives files away: run it as root");
    }
    let mut service = host.serve();
    host.wait_for(&[&a]);
    // Whoever can read the lock can hold it for ever.
    assert_eq!(fs::metadata(&lock).unwrap().mode() & 0o777, 0o600);
    assert_eq!(service.end(Signal::TERM), Some(0));
    for file in fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path()) {
        assert_eq!(fs::metadata(&file).unwrap().uid(), NOBODY, "{}", file.display());
    }
    // Root is led to nothing else to give away.
    let roots = host.at("root-s");
    fs::write(&roots, "").unwrap();
    fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink(&roots, &lock).unwrap();
    let mut service = host.serve();
    host.wait_for_status("a service that runs", |status| status["service"]["state"] == "running");
    assert_eq!(service.end(Signal::TERM), Some(0));
    assert_eq!(fs::metadata(&roots).unwrap().uid(), 0);
    fs::remove_file(&lock).unwrap();
    fs::write(&lock, "").unwrap();
    // Nor does one that was brought back from a backup.
    chown(&lock, Some(0), Some(0)).unwrap();
    let mut service = host.command(&["run"]).uid(NOBODY).gid(NOBODY).current_dir("/").spawn().unwrap();
    let pid = service.id();
    host.wait_for_status("a service that runs", |status| status["service"]["pid"] == pid);
    service.kill().unwrap();
    service.wait().unwrap();
}
