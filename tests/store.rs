//! What the store keeps outlives everything that can happen to its file, and what cannot be kept stops nobody.

#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene fails")]
#![expect(clippy::disallowed_methods, reason = "these tests are who damages the file")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::time::Duration;

use mirrorwatch::image::Digest;
use mirrorwatch::observation::{Depth, Failure, Observation, Outcome, Quirk, Spent, Stage, Stages};
use mirrorwatch::pull::{Seen, Sign};
use mirrorwatch::reason::{ChangeKind, FailureKind, ReasonKind};
use mirrorwatch::store::{Consequence, Key, Setback, SetbackKind, Store, Switch};
use mirrorwatch::timestamp::Timestamp;
use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;

const NOW: Timestamp = Timestamp::from_millis(1_795_176_000_123);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn key(n: usize) -> Key {
    Key { upstream: "docker.io".to_owned(), url: format!("https://mirror-{n}.example").parse().unwrap() }
}

fn served(at: Timestamp) -> Observation {
    let mut observation = Observation::new(at, Depth::Rehearse);
    observation.image = Some("busybox".parse().unwrap());
    observation.stages = Stages { layer: Some(Duration::from_micros(180_500)), ..Stages::default() };
    observation.bytes_per_second = Some(5_300_000.123_456_789);
    observation.address = Some("203.0.113.7:443".parse().unwrap());
    observation.layer_host = Some("cdn.example".to_owned());
    observation.sent_to = BTreeSet::from(["auth.example".to_owned()]);
    observation.digest = Some(Digest::of(b"manifest"));
    observation.quirks = BTreeSet::from([Quirk::HeadNotFound]);
    observation.spent = Spent { requests: 6, refusals: 0, bytes: 1_050_000 };
    observation
}

fn failed(at: Timestamp) -> Observation {
    let mut observation = Observation::new(at, Depth::Rehearse);
    let (kind, stage) = (FailureKind::RateLimited, Stage::Manifest);
    observation.outcome = Outcome::Failed(Failure { kind, stage, detail: "429".to_owned() });
    observation.spent = Spent { requests: 3, refusals: 1, bytes: 900 };
    observation.retry_after = Some(MINUTE);
    observation
}

fn switch(at: Timestamp) -> Switch {
    Switch {
        at,
        engine: "docker".to_owned(),
        from: vec!["https://mirror-1.example".to_owned()],
        to: vec!["https://mirror-2.example".to_owned(), "https://mirror-3.example".to_owned()],
        why: "mirror-1 was rejected: rate_limited".to_owned(),
        kind: ChangeKind::MemberRejected,
        subject: Some("mirror-1".to_owned()),
        reason: Some(ReasonKind::RateLimited),
    }
}

/// Opens a store and expects it to need nothing given up.
fn open(dir: &Path) -> Store {
    let (store, setback) = Store::open(dir, NOW);
    assert_eq!(setback, None);
    store
}

/// Opens a store and expects a setback.
fn open_with_setback(dir: &Path) -> (Store, Setback) {
    let (store, setback) = Store::open(dir, NOW);
    assert_eq!(store.setback(), setback);
    (store, setback.expect("a setback"))
}

/// A store works when what is written is read.
fn works(store: &Store) {
    store.batch(|store| {
        store.save_record(&key(7), r#"{"rising":2}"#, NOW);
        store.log(&key(7), &served(NOW));
        store.add_switch(&switch(NOW));
        store.set_fact("paused_until", &NOW);
    });
    assert!(store.records().contains(&(key(7), r#"{"rising":2}"#.to_owned())));
    assert!(store.observations(Some(&key(7)), NOW).contains(&(key(7), served(NOW))));
    assert_eq!(store.switches(1), [switch(NOW)]);
    assert_eq!(store.fact("paused_until"), Some("2026-11-20T12:00:00Z".to_owned()));
}

fn database(dir: &Path) -> PathBuf {
    dir.join("state.db")
}

/// The names in a directory that begin so.
fn names(dir: &Path, prefix: &str) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.starts_with(prefix));
    names.sort();
    names
}

/// Databases that were set aside, without their logs.
fn asides(dir: &Path) -> Vec<String> {
    let mut names = names(dir, "state.db.damaged-");
    names.retain(|name| !["-journal", "-wal", "-shm"].iter().any(|ending| name.ends_with(ending)));
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

// A test that needs a process of its own runs itself again; `PART` tells that process which part it plays.

fn part() -> Option<PathBuf> {
    std::env::var_os("PART").map(PathBuf::from)
}

/// This test again, in `dir`, begun by `program`: a wrapper that executes what follows it.
fn again(test: &str, program: &[&str], dir: &Path) -> Command {
    let this = std::env::current_exe().unwrap();
    let mut words = program.iter().map(PathBuf::from).chain([this]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).args(["--exact", test, "--nocapture"]).env("PART", dir);
    command
}

fn passes(mut command: Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// The same in a mount namespace, after `script` has mounted something on `$PART`.
fn mounted(test: &str, script: &str, dir: &Path) {
    let uid = Command::new("id").arg("-u").output().unwrap().stdout;
    assert_eq!(uid, b"0\n", "this test mounts file systems: run it as root");
    let script = format!("{script} && exec \"$@\"");
    passes(again(test, &["unshare", "--mount", "sh", "-c", &script, "sh"], dir));
}

#[test]
fn what_was_kept_is_there_when_the_store_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    works(&store);
    store.log(&key(8), &failed(NOW + MINUTE));
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.records(), [(key(7), r#"{"rising":2}"#.to_owned())]);
    let all = [(key(7), served(NOW)), (key(8), failed(NOW + MINUTE))];
    assert_eq!(store.observations(None, Timestamp::default()), all);
    assert_eq!(store.observations(Some(&key(8)), Timestamp::default()), all[1..]);
    assert_eq!(store.observations(None, NOW + MINUTE), all[1..]);
    assert_eq!(store.switches(10), [switch(NOW)]);
    assert_eq!(store.setback(), None);
}

#[test]
fn what_is_forgiven_later_is_forgiven_once_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let said =
        Failure { detail: "a,\"forgiven\":true}".to_owned(), ..failed(NOW).failure().unwrap().clone() };
    let one = Observation { outcome: Outcome::Failed(said), ..failed(NOW) };
    let already = Observation { forgiven: true, ..failed(NOW + HOUR) };
    for (n, seen) in [(0, &one), (1, &one), (0, &failed(NOW + MINUTE)), (0, &already)] {
        store.log(&key(n), seen);
    }
    for at in [NOW, NOW, NOW + HOUR, NOW + DAY] {
        store.forgive(&key(0), at);
    }
    let kept = store.observations(None, NOW - HOUR);
    let forgiven: Vec<bool> = kept.iter().map(|(_, seen)| seen.forgiven).collect();
    assert_eq!(forgiven, [true, false, false, true]);
    assert_eq!(kept[0].1, Observation { forgiven: true, ..one });
    works(&store);
}

#[test]
fn a_record_and_a_fact_have_one_value_the_last() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for value in ["1", "2"] {
        store.save_record(&key(1), value, NOW);
        store.set_fact("n", &value);
    }
    assert_eq!(store.records(), [(key(1), "2".to_owned())]);
    assert_eq!(store.fact::<String>("n").as_deref(), Some("2"));
    assert_eq!(store.fact::<u32>("n"), None, "another shape than was kept");
    store.set_fact("n", &None::<u32>);
    assert_eq!(store.fact::<String>("n"), None);
}

#[test]
fn the_last_switches_come_first() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for minute in 0..5 {
        store.add_switch(&switch(NOW + MINUTE * minute));
    }
    assert_eq!(store.switches(2), [switch(NOW + MINUTE * 4), switch(NOW + MINUTE * 3)]);
}

#[test]
fn anybody_may_read_whatever_the_umask_is() {
    let Some(dir) = part() else {
        let dir = tempfile::tempdir().unwrap();
        let wrapper = ["sh", "-c", "umask 077 && exec \"$@\"", "sh"];
        return passes(again("anybody_may_read_whatever_the_umask_is", &wrapper, dir.path()));
    };
    let dir = dir.join("state");
    let store = open(&dir);
    works(&store);
    assert_eq!(mode(&dir), 0o755);
    for file in ["state.db", "state.db-wal", "state.db-shm"] {
        assert_eq!(mode(&dir.join(file)), 0o644, "{file}");
    }
}

#[test]
fn the_file_belongs_to_whom_the_directory_belongs() {
    use std::os::unix::fs::{MetadataExt, chown};
    let dir = tempfile::tempdir().unwrap();
    chown(dir.path(), Some(65534), Some(65534)).expect("this test gives files away: run it as root");
    let store = open(dir.path());
    works(&store);
    for file in names(dir.path(), "state.db") {
        assert_eq!(fs::metadata(dir.path().join(&file)).unwrap().uid(), 65534, "{file}");
    }
}

#[test]
fn the_tables_can_be_queried_by_people() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    works(&store);
    store.log(&key(8), &failed(NOW));
    let reader = Connection::open(database(dir.path())).unwrap();
    let row: String = reader
        .query_row(
            "SELECT concat_ws('|', at, upstream, url, depth, image, outcome, stage, detail, first_byte_ms,
                              requests, refusals, bytes, strftime('%Y', at)) FROM observations WHERE id = 1",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(
        row,
        "2026-11-20T12:00:00.123Z|docker.io|https://mirror-7.example|rehearse|library/busybox:latest|served|180.5|6|0|1050000|2026"
    );
    let row: String = reader
        .query_row(
            "SELECT concat_ws('|', outcome, stage, detail) FROM observations WHERE id = 2",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(row, "rate_limited|manifest|429");
    let row: String = reader
        .query_row("SELECT concat_ws('|', kind, subject, reason, list_after) FROM switches", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(
        row,
        r#"member_rejected|mirror-1|rate_limited|["https://mirror-2.example","https://mirror-3.example"]"#
    );
}

#[test]
fn what_is_no_database_of_ours_is_set_aside_whole() {
    let other = |sql: &str| {
        let dir = tempfile::tempdir().unwrap();
        let connection = Connection::open(database(dir.path())).unwrap();
        connection.execute_batch(sql).unwrap();
        drop(connection);
        fs::read(database(dir.path())).unwrap()
    };
    for (content, kind) in [
        (b"once upon a time, ".repeat(1000), SetbackKind::Damaged),
        (b"short".to_vec(), SetbackKind::Damaged),
        (other("CREATE TABLE bookmarks (url); INSERT INTO bookmarks VALUES ('x')"), SetbackKind::Foreign),
        (
            other("PRAGMA application_id = 0x6d697277; PRAGMA user_version = 0; CREATE TABLE x (y)"),
            SetbackKind::Foreign,
        ),
        (
            other("PRAGMA application_id = 0x6d697277; PRAGMA user_version = 99; CREATE TABLE x (y)"),
            SetbackKind::Newer,
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(database(dir.path()), &content).unwrap();
        let (store, setback) = open_with_setback(dir.path());
        works(&store);
        let aside = dir.path().join("state.db.damaged-20261120T120000Z");
        assert_eq!(
            (setback.kind, &setback.consequence),
            (kind, &Consequence::SetAside(aside.clone())),
            "{setback}"
        );
        assert_eq!(fs::read(aside).unwrap(), content, "{setback}");
        drop(store);
        works(&open(dir.path()));
    }
}

#[test]
fn a_database_of_ours_without_our_tables_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    works(&open(dir.path()));
    let connection = Connection::open(database(dir.path())).unwrap();
    connection.execute_batch("ALTER TABLE facts RENAME COLUMN json TO jsom").unwrap();
    drop(connection);
    let (store, setback) = open_with_setback(dir.path());
    works(&store);
    assert_eq!((setback.kind, asides(dir.path()).len()), (SetbackKind::Damaged, 1));
}

#[test]
fn a_directory_where_the_file_belongs_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(database(dir.path())).unwrap();
    let (store, setback) = open_with_setback(dir.path());
    works(&store);
    assert_eq!(setback.kind, SetbackKind::Foreign);
}

#[test]
fn a_pipe_where_a_file_belongs_holds_nobody_up_and_is_set_aside() {
    for name in ["state.db", "state.db-journal", "state.db-wal", "state.db-shm"] {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path()));
        let place = dir.path().join(name);
        // A log that was closed in order is gone.
        let _ = fs::remove_file(&place);
        assert!(Command::new("mkfifo").arg(&place).status().unwrap().success());
        let (told, heard) = std::sync::mpsc::channel();
        let path = dir.path().to_owned();
        std::thread::spawn(move || {
            let read = Store::open_read_only(&path).map(drop).unwrap_err();
            told.send((read, Store::open(&path, NOW))).unwrap();
        });
        let (read, (store, setback)) =
            heard.recv_timeout(MINUTE).unwrap_or_else(|_| panic!("{name}: held up"));
        assert_eq!(read.kind, SetbackKind::Foreign, "{read}");
        let setback = setback.expect("a setback");
        assert!(matches!(setback.consequence, Consequence::SetAside(_)), "{setback}");
        works(&store);
        drop(store);
        works(&open(dir.path()));
    }
}

#[test]
fn an_empty_file_is_a_beginning() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(database(dir.path()), "").unwrap();
    works(&open(dir.path()));
}

#[test]
fn the_last_three_that_were_set_aside_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    for hour in [0, 0, 1, 2, 3] {
        fs::write(database(dir.path()), format!("garbage of hour {hour}")).unwrap();
        let (store, setback) = Store::open(dir.path(), NOW + HOUR * hour);
        assert!(setback.is_some());
        works(&store);
    }
    let stamps = ["130000", "140000", "150000"].map(|time| format!("state.db.damaged-20261120T{time}Z"));
    assert_eq!(asides(dir.path()), stamps);
    let kept = dir.path().join(&stamps[2]);
    assert_eq!(fs::read_to_string(&kept).unwrap(), "garbage of hour 3");
}

#[test]
fn two_set_aside_in_one_second_do_not_overwrite_each_other() {
    let dir = tempfile::tempdir().unwrap();
    for content in ["first", "second"] {
        fs::write(database(dir.path()), content).unwrap();
        open_with_setback(dir.path());
    }
    let contents: Vec<String> =
        asides(dir.path()).iter().map(|name| fs::read_to_string(dir.path().join(name)).unwrap()).collect();
    assert_eq!(contents, ["first", "second"]);
}

/// A database with so many observations, closed in order.
fn filled(dir: &Path, observations: usize) {
    let store = open(dir);
    store.batch(|store| {
        for n in 0..observations {
            store.save_record(&key(n % 20), r#"{"rising":1}"#, NOW);
            store.log(&key(n % 20), &served(NOW));
        }
        store.add_switch(&switch(NOW));
    });
}

/// Everything that reads.
fn reads_everything(store: &Store) {
    store.records();
    store.observations(None, Timestamp::default());
    store.switches(100);
    store.fact::<String>("paused_until");
    store.news();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    /// Whatever bytes of the file are changed or missing, before it is opened or while it is open, the store
    /// opens, reads without complaint and keeps what is written from then on.
    #[test]
    fn no_damage_stops_the_store(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 1..40),
        early in any::<bool>(),
        cut in prop::option::weighted(0.3, any::<prop::sample::Index>()),
    ) {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path(), 300);
        let before = early.then(|| Store::open(dir.path(), NOW).0);
        let mut bytes = fs::read(database(dir.path())).unwrap();
        // Half of them at the beginning, where every byte has a meaning.
        for (n, (place, flip)) in flips.iter().enumerate() {
            let range = if n % 2 == 0 { bytes.len() } else { bytes.len().min(200) };
            bytes[place.index(range)] ^= flip;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        fs::write(database(dir.path()), &bytes).unwrap();
        let store = before.unwrap_or_else(|| Store::open(dir.path(), NOW).0);
        reads_everything(&store);
        store.tidy(NOW);
        // What was found damaged in the middle of a write is written the next time.
        store.save_record(&key(99), "{}", NOW);
        works(&store);
        reads_everything(&store);
        drop(store);
        let (store, _) = Store::open(dir.path(), NOW);
        works(&store);
    }
}

#[test]
fn damage_that_shows_while_the_store_is_open_is_set_aside_at_once() {
    let dir = tempfile::tempdir().unwrap();
    // More than the page cache holds.
    filled(dir.path(), 3000);
    let store = open(dir.path());
    let length = fs::metadata(database(dir.path())).unwrap().len();
    fs::write(database(dir.path()), vec![b'x'; usize::try_from(length).unwrap()]).unwrap();
    assert!(store.observations(None, Timestamp::default()).is_empty());
    let setback = store.setback().expect("a setback");
    assert_eq!(setback.kind, SetbackKind::Damaged);
    works(&store);
    assert_eq!(asides(dir.path()).len(), 1);
    assert!(matches!(store.setback().unwrap().consequence, Consequence::SetAside(_)), "it is still told");
    drop(store);
    works(&open(dir.path()));
}

#[test]
fn a_file_that_is_removed_under_the_store_is_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    works(&store);
    for file in names(dir.path(), "state.db") {
        fs::remove_file(dir.path().join(file)).unwrap();
    }
    works(&store);
    let setback = store.setback().expect("a setback");
    assert_eq!((setback.kind, setback.consequence), (SetbackKind::Replaced, Consequence::BegunAnew));
    drop(store);
    assert_eq!(open(dir.path()).switches(10), [switch(NOW)]);
}

#[test]
fn a_file_in_place_of_the_directory_leaves_the_store_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("state");
    fs::write(&place, "a file").unwrap();
    let (store, setback) = open_with_setback(&place);
    assert_eq!(setback.consequence, Consequence::InMemory);
    works(&store);
    assert_eq!(store.setback(), Some(setback), "said until it is over");
    fs::remove_file(&place).unwrap();
    store.tidy(NOW);
    assert_eq!(store.setback(), None);
    drop(store);
    let store = open(&place);
    assert_eq!((store.records().len(), store.switches(10)), (1, vec![switch(NOW)]));
    assert_eq!(store.observations(None, NOW), [(key(7), served(NOW))]);
}

#[test]
fn what_is_only_in_memory_stays_small() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("state");
    fs::write(&place, "a file").unwrap();
    let (store, _) = open_with_setback(&place);
    for minute in 0..600 {
        store.log(&key(1), &served(NOW + MINUTE * minute));
    }
    let observations = store.observations(None, Timestamp::default());
    assert_eq!(observations.len(), 500);
    assert_eq!(observations[499].1.at, NOW + MINUTE * 599);
}

#[test]
fn what_was_only_in_memory_comes_to_a_disk_that_others_have_written_to_since() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("state");
    fs::write(&place, "a file").unwrap();
    let (store, _) = open_with_setback(&place);
    let sign = Sign { at: NOW, seen: Seen::Doubtful { detail: "500".to_owned() } };
    store.add_switch(&switch(NOW));
    store.save_sign(&sign);
    fs::remove_file(&place).unwrap();
    open(&place).add_switch(&switch(NOW + HOUR));
    store.tidy(NOW + HOUR * 2);
    assert_eq!(store.setback(), None);
    drop(store);
    let store = open(&place);
    assert_eq!(store.switches(10), [switch(NOW), switch(NOW + HOUR)]);
    assert_eq!(store.signs_since(NOW), [sign]);
}

#[test]
fn a_read_only_directory_is_read_into_memory_and_written_when_it_can_be() {
    let test = "a_read_only_directory_is_read_into_memory_and_written_when_it_can_be";
    let Some(dir) = part() else {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path(), 300);
        return mounted(
            test,
            "mount --bind \"$PART\" \"$PART\" && mount -o remount,bind,ro \"$PART\"",
            dir.path(),
        );
    };
    let (store, setback) = open_with_setback(&dir);
    assert_eq!((setback.kind, setback.consequence), (SetbackKind::ReadOnly, Consequence::InMemory));
    assert_eq!((store.records().len(), store.switches(10).len()), (20, 1), "what is on disk is known");
    works(&store);
    assert_eq!(Store::open_read_only(&dir).unwrap().records().len(), 20);
    let status = Command::new("mount").args(["-o", "remount,bind,rw"]).arg(&dir).status();
    assert!(status.is_ok_and(|status| status.success()));
    store.tidy(NOW);
    assert_eq!(store.setback(), None);
    drop(store);
    let store = open(&dir);
    assert_eq!((store.records().len(), store.observations(None, NOW).len()), (20, 301));
}

#[test]
fn a_disk_too_small_to_begin_on_leaves_the_store_in_memory() {
    let test = "a_disk_too_small_to_begin_on_leaves_the_store_in_memory";
    let Some(dir) = part() else {
        let dir = tempfile::tempdir().unwrap();
        return mounted(test, "mount -t tmpfs -o size=64k none \"$PART\"", dir.path());
    };
    let (store, setback) = open_with_setback(&dir);
    assert_eq!((setback.kind, setback.consequence), (SetbackKind::Full, Consequence::InMemory));
    works(&store);
    let status = Command::new("mount").args(["-o", "remount,size=4m"]).arg(&dir).status();
    assert!(status.is_ok_and(|status| status.success()));
    store.tidy(NOW);
    assert_eq!(store.setback(), None);
    drop(store);
    assert_eq!(open(&dir).switches(10), [switch(NOW)]);
}

#[test]
fn what_is_on_a_full_disk_is_known() {
    let Some(dir) = part() else {
        let dir = tempfile::tempdir().unwrap();
        return mounted(
            "what_is_on_a_full_disk_is_known",
            "mount -t tmpfs -o size=512k none \"$PART\"",
            dir.path(),
        );
    };
    works(&open(&dir));
    fs::write(dir.join("filler"), vec![0; 1 << 20]).expect_err("the disk is full now");
    let (store, setback) = open_with_setback(&dir);
    assert_eq!((setback.kind, setback.consequence), (SetbackKind::Full, Consequence::InMemory));
    assert_eq!((store.records().len(), store.switches(10)), (1, vec![switch(NOW)]));
}

#[test]
fn a_disk_that_fills_up_costs_the_writes_of_that_time_and_no_others() {
    let test = "a_disk_that_fills_up_costs_the_writes_of_that_time_and_no_others";
    let Some(dir) = part() else {
        let dir = tempfile::tempdir().unwrap();
        return mounted(test, "mount -t tmpfs -o size=512k none \"$PART\"", dir.path());
    };
    let store = open(&dir);
    works(&store);
    let filler = dir.join("filler");
    fs::write(&filler, vec![0; 1 << 20]).expect_err("the disk is full now");
    let mut rounds = 0..10_000;
    let full = rounds.find(|_| {
        store.log(&key(1), &served(NOW));
        store.setback().is_some()
    });
    let setback = store.setback().expect("a setback");
    assert_eq!((setback.kind, setback.consequence), (SetbackKind::Full, Consequence::NotSaved), "{full:?}");
    fs::remove_file(filler).unwrap();
    store.add_switch(&switch(NOW + MINUTE));
    assert_eq!(store.setback(), None, "over with the next write that succeeds");
    drop(store);
    assert_eq!(open(&dir).switches(10), [switch(NOW + MINUTE), switch(NOW)]);
}

#[test]
fn what_a_long_read_kept_beside_the_database_goes_when_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let reader = Connection::open(database(dir.path())).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM facts").unwrap();
    for turn in 0..100 {
        store.set_fact("long", &format!("{turn}").repeat(20_000));
    }
    let beside = || fs::metadata(dir.path().join("state.db-wal")).unwrap().len();
    assert!(beside() > 2 << 20, "{}", beside());
    reader.execute_batch("COMMIT").unwrap();
    for turn in 0..2 {
        store.set_fact("long", &turn);
    }
    assert!(beside() <= 1 << 20, "{}", beside());
}

#[test]
fn a_batch_is_kept_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.batch(|store| {
            store.save_record(&key(1), "{}", NOW);
            store.batch(|store| store.save_record(&key(2), "{}", NOW));
            panic!("in the middle");
        });
    }));
    assert!(panic.is_err());
    assert_eq!(store.records(), []);
    store.batch(|store| store.save_record(&key(3), "{}", NOW));
    drop(store);
    assert_eq!(open(dir.path()).records(), [(key(3), "{}".to_owned())]);
}

#[test]
fn a_write_that_fails_takes_its_batch_with_it_and_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let other = Connection::open(database(dir.path())).unwrap();
    let trigger = "CREATE TRIGGER t BEFORE INSERT ON records WHEN new.json = 'bad' BEGIN SELECT RAISE(ABORT, 'bad'); END";
    other.execute_batch(trigger).unwrap();
    store.batch(|store| {
        for (n, json) in ["{}", "bad", "{}"].into_iter().enumerate() {
            store.save_record(&key(n), json, NOW);
        }
    });
    assert_eq!(store.records(), []);
    let setback = store.setback().expect("a setback");
    assert_eq!((setback.kind, setback.consequence), (SetbackKind::Unusable, Consequence::NotSaved));
    assert_eq!(setback.detail, "bad");
}

#[test]
fn a_batch_that_cannot_begin_is_lost_and_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let other = Connection::open(database(dir.path())).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answer = store.batch(|store| {
        store.save_record(&key(1), "{}", NOW);
        42
    });
    assert_eq!(answer, 42);
    let setback = store.setback().expect("a setback");
    assert_eq!((setback.kind, setback.consequence), (SetbackKind::Busy, Consequence::NotSaved));
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(store.records(), []);
    works(&store);
    assert_eq!(store.setback(), None);
}

#[test]
fn two_processes_write_and_neither_loses_anything() {
    let test = "two_processes_write_and_neither_loses_anything";
    const ROUNDS: usize = 150;
    let write = |dir: &Path| {
        let store = open(dir);
        for round in 0..ROUNDS {
            store.batch(|store| {
                store.save_record(&key(round), "{}", NOW);
                store.log(&key(round), &served(NOW));
            });
            assert_eq!(store.setback(), None);
        }
    };
    if let Some(dir) = part() {
        return write(&dir);
    }
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| passes(again(test, &[], dir.path())));
        }
        write(dir.path());
    });
    let store = open(dir.path());
    assert_eq!(store.observations(None, NOW).len(), 4 * ROUNDS);
}

#[test]
fn who_finds_a_damaged_database_together_with_others_sets_it_aside_once() {
    const TOGETHER: usize = 8;
    for _ in 0..8 {
        let dir = tempfile::tempdir().unwrap();
        fs::write(database(dir.path()), "garbage").unwrap();
        let barrier = Barrier::new(TOGETHER);
        let open_together = &|n: usize| {
            barrier.wait();
            let (store, _) = Store::open(dir.path(), NOW);
            store.save_record(&key(n), "{}", NOW);
            assert!(
                store.setback().is_none_or(|setback| matches!(setback.consequence, Consequence::SetAside(_)))
            );
        };
        std::thread::scope(|scope| {
            for n in 0..TOGETHER {
                scope.spawn(move || open_together(n));
            }
        });
        assert_eq!(asides(dir.path()).len(), 1);
        assert_eq!(open(dir.path()).records().len(), TOGETHER);
    }
}

#[test]
fn news_are_what_others_logged_and_only_once() {
    let test = "news_are_what_others_logged_and_only_once";
    if let Some(dir) = part() {
        return open(&dir).log(&key(2), &failed(NOW));
    }
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.log(&key(1), &served(NOW));
    assert_eq!(store.news(), []);
    passes(again(test, &[], dir.path()));
    store.log(&key(1), &served(NOW));
    assert_eq!(store.news(), [(key(2), failed(NOW))]);
    assert_eq!(store.news(), []);
    drop(store);
    assert_eq!(open(dir.path()).news(), [], "what was there before is no news");

    // Nor is it when a read has failed.
    let store = open(dir.path());
    let hidden = |hidden: bool| {
        let (from, to) = if hidden { ("observations", "hidden") } else { ("hidden", "observations") };
        let other = Connection::open(database(dir.path())).unwrap();
        other.execute_batch(&format!("ALTER TABLE {from} RENAME TO {to}")).unwrap();
    };
    hidden(true);
    assert_eq!(store.news(), []);
    hidden(false);
    assert_eq!(store.news(), []);
}

#[test]
fn news_that_come_while_they_are_read_are_told_once_too() {
    const LOGGED: u64 = 2000;
    let test = "news_that_come_while_they_are_read_are_told_once_too";
    let moment = |n| Timestamp::from_millis(NOW.as_millis() + n);
    if let Some(dir) = part() {
        let store = open(&dir);
        return (0..LOGGED).for_each(|n| store.log(&key(1), &served(moment(n))));
    }
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut child = again(test, &[], dir.path()).stdout(Stdio::null()).spawn().unwrap();
    let (mut told, mut ended) = (Vec::new(), false);
    while !ended {
        // Whatever it logged before it ended is there to be read after that.
        ended = child.try_wait().unwrap().is_some();
        told.extend(store.news().into_iter().map(|(_, seen)| seen.at));
    }
    assert!(child.wait().unwrap().success());
    assert!(told.into_iter().eq((0..LOGGED).map(moment)));
}

#[test]
fn kill_9_in_the_middle_of_writing_leaves_every_round_whole() {
    let test = "kill_9_in_the_middle_of_writing_leaves_every_round_whole";
    const MIRRORS: usize = 20;
    if let Some(dir) = part() {
        let store = open(&dir);
        let begin: u64 = store.fact("round").unwrap_or_default();
        for round in begin + 1.. {
            store.batch(|store| {
                for n in 0..MIRRORS {
                    store.save_record(&key(n), &round.to_string(), NOW);
                    store.log(&key(n), &served(NOW));
                }
                store.set_fact("round", &round);
            });
            println!("kept {round}");
        }
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut kept = 0;
    for kill in 0..50_u64 {
        let mut child =
            again(test, &[], dir.path()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut round = || lines.find_map(|line| line.rsplit_once("kept ")?.1.parse::<u64>().ok());
        // Some rounds, and then somewhere within one: the pipe holds back nothing that was printed.
        for _ in 0..=kill % 7 {
            kept = round().expect("the child writes");
        }
        std::thread::sleep(Duration::from_micros(kill * 331 % 5000));
        child.kill().unwrap();
        kept = std::iter::from_fn(round).last().unwrap_or(kept);
        child.wait().unwrap();

        let store = open(dir.path());
        let last: u64 = store.fact("round").unwrap();
        assert!(last == kept || last == kept + 1, "{kept} was kept and {last} is there");
        let expected: BTreeSet<String> = BTreeSet::from([last.to_string()]);
        let records = store.records();
        assert_eq!(records.len(), MIRRORS);
        assert_eq!(records.into_iter().map(|(_, json)| json).collect::<BTreeSet<_>>(), expected);
        let observations = store.observations(None, NOW).len();
        assert_eq!(u64::try_from(observations).unwrap(), last * 20);
    }
}

/// A directory and a copy of this test that every user can reach.
fn public_place() -> (TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let this = place.path().join("test");
    fs::copy(std::env::current_exe().unwrap(), &this).unwrap();
    (place, this)
}

#[test]
fn who_may_only_read_reads_while_the_service_runs_after_it_ended_and_after_it_was_killed() {
    let test = "who_may_only_read_reads_while_the_service_runs_after_it_ended_and_after_it_was_killed";
    if let Some(dir) = part() {
        if std::env::var_os("SERVICE").is_some() {
            works(&open(&dir));
            let store = open(&dir);
            works(&store);
            println!("written");
            std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
            return drop(store);
        }
        let (_, setback) = Store::open(&dir, NOW);
        assert_eq!(
            setback.map(|setback| setback.consequence),
            Some(Consequence::InMemory),
            "it may not write"
        );
        let store = Store::open_read_only(&dir).unwrap();
        assert_eq!(store.records().len(), 1);
        assert_eq!(store.observations(None, NOW).len(), 2);
        assert_eq!(store.switches(1), [switch(NOW)]);
        store.save_record(&key(1), "{}", NOW);
        let setback = store.setback().expect("it may not write");
        return assert_eq!(setback.consequence, Consequence::NotSaved);
    }
    let (place, this) = public_place();
    let dir = place.path().join("state");
    let reads = |when: &str| {
        let mut command = Command::new(&this);
        command
            .args(["--exact", test, "--nocapture"])
            .env("PART", &dir)
            .current_dir("/")
            .uid(65534)
            .gid(65534);
        let output = command.output().unwrap_or_else(|error| panic!("this test needs root: {error}"));
        assert!(output.status.success(), "{when}: {output:?}");
    };
    for kill in [false, true] {
        fs::remove_dir_all(&dir).ok();
        let mut service = again(test, &[], &dir);
        service.env("SERVICE", "1").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut service = service.spawn().unwrap();
        let mut lines = BufReader::new(service.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.ends_with("written")));
        reads("while it runs");
        if kill {
            service.kill().unwrap();
        }
        drop(service.stdin.take());
        service.wait().unwrap();
        drop(lines);
        assert_eq!(names(&dir, "state.db-wal").is_empty(), !kill, "the log is left only by who was killed");
        reads(if kill { "after it was killed" } else { "after it ended" });
    }
}

#[test]
fn who_only_reads_is_told_what_cannot_be_read_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let missing = Store::open_read_only(dir.path()).unwrap_err();
    assert_eq!((missing.kind, missing.consequence), (SetbackKind::Missing, Consequence::NotRead));
    fs::write(database(dir.path()), "garbage, and more of it than a header has: ".repeat(10)).unwrap();
    let damaged = Store::open_read_only(dir.path()).unwrap_err();
    assert_eq!(damaged.kind, SetbackKind::Damaged);
    assert_eq!(names(dir.path(), ""), ["state.db"]);
}

#[test]
fn a_setback_is_said_in_both_languages_with_the_path_first() {
    use mirrorwatch::text::Lang;
    let dir = tempfile::tempdir().unwrap();
    fs::write(database(dir.path()), "garbage").unwrap();
    let (_, setback) = open_with_setback(dir.path());
    let path = database(dir.path()).display().to_string();
    let english = setback.to_string();
    assert!(english.starts_with(&format!("{path}: the database is damaged")), "{english}");
    assert!(english.ends_with("state.db.damaged-20261120T120000Z, and a new one was begun"), "{english}");
    let chinese = setback.render(Lang::Zh);
    assert!(chinese.starts_with(&format!("{path}：数据库已损坏")), "{chinese}");
}

#[test]
fn history_is_thinned_with_age() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let start: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
    // So long ago, what is logged every minute of two hours, with one failure, is as much as this.
    let cases = [
        (DAY, None),
        (
            DAY * 5,
            Some(
                &[
                    "2026-11-15T12:00:00Z",
                    "2026-11-15T12:30:01Z",
                    "2026-11-15T12:31:00Z",
                    "2026-11-15T13:00:00Z",
                ][..],
            ),
        ),
        // Noon begins a quarter of a day, and one o'clock does not.
        (DAY * 10, Some(&["2026-11-10T12:00:00Z", "2026-11-10T12:30:01Z", "2026-11-10T12:31:00Z"])),
    ];
    store.batch(|store| {
        store.log(&key(1), &served(start - DAY * 31));
        for (ago, _) in cases {
            for minute in 0..120 {
                store.log(&key(1), &served(start - ago + MINUTE * minute));
            }
            store.log(&key(1), &failed(start - ago + MINUTE * 30 + Duration::from_secs(1)));
        }
        store.log(&key(2), &served(start - DAY * 10 + MINUTE));
        store.add_switch(&switch(start - DAY * 4000));
    });
    store.tidy(start);
    let kept: Vec<Timestamp> =
        store.observations(Some(&key(1)), Timestamp::default()).iter().map(|(_, seen)| seen.at).collect();
    for (ago, expected) in cases {
        let of_day: Vec<String> = kept
            .iter()
            .filter(|at| **at >= start - ago && **at < start - ago + DAY)
            .map(ToString::to_string)
            .collect();
        match expected {
            None => assert_eq!(of_day.len(), 121, "two days are kept whole"),
            Some(expected) => assert_eq!(of_day, expected),
        }
    }
    assert!(kept[0] >= start - DAY * 10, "nothing is kept for longer than 30 days");
    assert_eq!(store.observations(Some(&key(2)), Timestamp::default()).len(), 1);
    assert_eq!(store.switches(10).len(), 1, "switches are kept for ever");
    let before = store.observations(None, Timestamp::default());
    store.tidy(start);
    assert_eq!(store.observations(None, Timestamp::default()), before, "thinning again changes nothing");
}

#[test]
fn a_clock_that_is_a_year_ahead_costs_no_history() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.log(&key(1), &served(NOW - DAY * 29));
    store.log(&key(1), &served(NOW));
    store.save_record(&key(1), "{}", NOW - DAY * 2);
    store.save_record(&key(2), "{}", NOW);
    let tidied = |now: Timestamp| {
        store.tidy(now);
        store.forget_all_but(&[key(2)], now);
        (store.observations(None, Timestamp::default()).len(), store.records().len())
    };
    assert_eq!(tidied(NOW + DAY * 365), (2, 2));
    // Somebody was asked since, so the year has really passed.
    store.log(&key(2), &served(NOW + DAY * 365));
    store.save_record(&key(2), "{}", NOW + DAY * 365);
    assert_eq!(tidied(NOW + DAY * 365), (1, 1));
}

#[test]
fn a_mirror_that_changes_with_every_probe_fills_no_disk() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let start = NOW - DAY * 20;
    store.batch(|store| {
        for n in 0..100_500_u32 {
            let at = start + Duration::from_secs(10) * n;
            let good = Observation::new(at, Depth::Connect);
            let bad = Observation { outcome: failed(at).outcome, ..good.clone() };
            store.log(&key(1), if n % 2 == 0 { &good } else { &bad });
        }
    });
    let oldest = || store.observations(None, Timestamp::default())[0].1.at;
    assert_eq!(oldest(), start);
    store.tidy(NOW);
    assert_eq!(store.observations(None, Timestamp::default()).len(), 100_000);
    assert_eq!(oldest(), start + Duration::from_secs(10) * 500, "the oldest go");
}

/// A tool that rotates the engine's entries brings a new candidate with each turn, and every record is read at each look at
/// the engine.
#[test]
fn candidates_that_come_and_go_for_years_are_not_remembered_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let candidates = [key(0), key(1)];
    store.save_record(&candidates[0], "{}", NOW - DAY * 400);
    store.batch(|store| {
        for n in 2..2_000 {
            store.save_record(&key(n), "{}", NOW - MINUTE * u32::try_from(n).unwrap() * 60);
        }
    });
    let urls = || store.records().into_iter().map(|(key, _)| key.url.to_string()).collect::<Vec<_>>();
    assert_eq!(urls().len(), 1_999);
    store.forget_all_but(&candidates, NOW);
    let kept = urls();
    assert!(kept.contains(&key(0).url.to_string()), "a candidate is never forgotten");
    assert!(kept.contains(&key(700).url.to_string()) && !kept.contains(&key(721).url.to_string()), "30 days");
    // Of those that came within a month, the last ones.
    store.batch(|store| {
        for n in 2..2_000 {
            store.save_record(&key(n), "{}", NOW - MINUTE * u32::try_from(n).unwrap());
        }
    });
    store.forget_all_but(&candidates, NOW);
    assert_eq!(urls().len(), 1 + 1_000);
    assert!(urls().contains(&key(2).url.to_string()));
}

/// What the probes of a day of the default schedule leave behind: of three mirrors that are selected, and of all the
/// others, of which a fifth fail in changing ways.
fn a_day(store: &Store, day: Timestamp, mirrors: usize) {
    let every = |minutes: u32| (0..24 * 60 / minutes).map(move |n| day + MINUTE * (n * minutes));
    let rehearsal = |at: Timestamp, n: usize| Observation {
        image: Some("library/some-middling-name:1.2-alpine".parse().unwrap()),
        stages: Stages {
            name: Some(Duration::from_micros(1234)),
            connect: Some(Duration::from_micros(20_123)),
            tls: Some(Duration::from_micros(41_234)),
            ping: Some(Duration::from_micros(72_345)),
            token: Some(Duration::from_micros(133_456)),
            manifest: Some(Duration::from_micros(244_567)),
            config: Some(Duration::from_micros(275_678)),
            layer: Some(Duration::from_micros(186_789)),
        },
        bytes_per_second: Some(5_123_456.789),
        address: Some("203.0.113.77:443".parse().unwrap()),
        layer_host: Some("production.cdn.some-mirror.example".to_owned()),
        digest: Some(format!("sha256:{}", "5f".repeat(32)).parse().unwrap()),
        created: Some(at),
        spent: Spent { requests: 7, refusals: 0, bytes: 1_060_000 },
        ..match (n % 5, at.as_millis() / 7_200_000 % 3) {
            (4, 1) => failed(at),
            _ => Observation::new(at, Depth::Rehearse),
        }
    };
    store.batch(|store| {
        for n in 0..mirrors {
            every(120).for_each(|at| store.log(&key(n), &rehearsal(at, n)));
        }
        for n in 0..3 {
            every(10)
                .for_each(|at| store.log(&key(n), &Observation { depth: Depth::Sample, ..rehearsal(at, n) }));
            every(1).for_each(|at| {
                let stages = Stages { layer: None, ..rehearsal(at, n).stages };
                store.log(&key(n), &Observation { stages, ..Observation::new(at, Depth::Connect) });
            });
        }
    });
}

#[test]
fn thirty_days_of_66_mirrors_stay_small() {
    const MIRRORS: usize = 66;
    /// In MB: what a state directory may take without anybody's asking.
    const BOUND: f64 = 24.0;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut sizes = Vec::new();
    for day in 0..40 {
        let begin = NOW + DAY * day;
        a_day(&store, begin, MIRRORS);
        store.tidy(begin + DAY);
        sizes.push(fs::metadata(database(dir.path())).unwrap().len());
    }
    let rows = store.observations(None, Timestamp::default()).len();
    let megabytes = |day: usize| sizes[day] as f64 / 1e6;
    println!(
        "{rows} observations; {:.1} MB after 10 days, {:.1} after 30, {:.1} after 40",
        megabytes(9),
        megabytes(29),
        megabytes(39)
    );
    assert!(megabytes(29) < BOUND, "{:.1} MB after 30 days", megabytes(29));
    assert!(megabytes(39) < megabytes(29) * 1.05, "{:.1} MB, and then {:.1}", megabytes(29), megabytes(39));
}

/// KiB of anonymous and of mapped memory that this process has.
fn resident() -> [i64; 2] {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    ["RssAnon:", "RssFile:"].map(|name| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    })
}

#[test]
fn the_store_costs_less_than_a_mebibyte_of_memory() {
    let test = "the_store_costs_less_than_a_mebibyte_of_memory";
    let Some(dir) = part() else {
        let dir = tempfile::tempdir().unwrap();
        return passes(again(test, &[], dir.path()));
    };
    let before = resident();
    let store = open(&dir);
    let opened = resident();
    for n in 0..1000_usize {
        store.batch(|store| {
            store.save_record(&key(n % 20), &format!("{{\"stages\":\"{}\"}}", "x".repeat(2000)), NOW);
            store.log(&key(n % 20), &served(NOW + MINUTE * u32::try_from(n).unwrap()));
        });
    }
    let written = resident();
    store.tidy(NOW + DAY * 10);
    let tidied = resident();
    println!(
        "anonymous and mapped KiB: {before:?}, opened {opened:?}, 1000 rounds {written:?}, tidied {tidied:?}"
    );
    assert!(tidied[0] - before[0] < 1024, "{before:?} {opened:?} {written:?} {tidied:?}");
}
