//! A real dockerd, told its mirrors: the list is in use, and whatever fails, file and engine are as they were.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod dockerd;
#[expect(dead_code, reason = "the fakes are shared by several tests, and each uses a part")]
mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use dockerd::{Dockerd, urls};
use mirrorwatch::engine::docker::Reload;
use mirrorwatch::engine::{Applied, Docker, LogSource, Problem, State};
use mirrorwatch::mirror::MirrorUrl;
use mirrorwatch::observation::ImageStore;
use mirrorwatch::reason::{ProblemKind, WarningKind};
use rustix::process::Signal;
use support::content::ImageSpec;
use support::registry::{Options, Registry};

const A: &str = "https://a.example";
const B: &str = "http://127.0.0.1:5000";
const C: &str = "https://c.example";

/// Oddly laid out, with escapes that a re-serialisation would change.
const ODD: &str = "\n{ \"labels\" :[\"\\u4e2d=\\/\"],\t\"max-concurrent-downloads\": 3,\r\n    \"registry-mirrors\": [\"https://old.example/\",\n  \"https://older.example\" ]\n ,\"debug\":false}\t";

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn apply(engine: &Docker, list: &[&str]) -> Result<Applied, Problem> {
    run(engine.apply(&urls(list)))
}

/// Applies and expects a refusal that leaves bytes, inode, neighbours and engine as they were.
fn refused(daemon: &mut Dockerd, engine: &Docker, list: &[&str]) -> Problem {
    let seen = |daemon: &Dockerd| {
        let inode = fs::metadata(daemon.file()).map(|metadata| metadata.ino()).ok();
        (daemon.text(), inode, daemon.beside(), daemon.mirrors())
    };
    let before = seen(daemon);
    let problem = apply(engine, list).unwrap_err();
    assert_eq!(seen(daemon), before, "{problem}");
    assert!(daemon.lives());
    problem
}

#[test]
fn the_list_is_in_use_every_other_byte_the_same_and_a_second_apply_writes_nothing() {
    let mut daemon = Dockerd::start(ODD);
    let engine = daemon.engine();
    let plan = run(engine.plan(&urls(&[A, B]))).unwrap();
    assert_eq!(daemon.text().as_deref(), Some(ODD), "a plan writes nothing");

    let applied = apply(&engine, &[A, B]).unwrap();
    assert!(applied.changed && applied.verified);
    assert_eq!(daemon.mirrors(), ["https://a.example/", "http://127.0.0.1:5000/"]);
    let after = ODD.replace("https://old.example/", A).replace("https://older.example", B);
    assert_eq!(daemon.text().as_deref(), Some(&*after));
    assert_eq!(plan.after.as_deref(), Some(after.as_bytes()), "what was planned is what was done");
    assert!(plan.diff().contains("+    \"registry-mirrors\": [\"https://a.example\","), "{}", plan.diff());

    let identity = |daemon: &Dockerd| {
        let metadata = fs::metadata(daemon.file()).unwrap();
        (metadata.ino(), metadata.mtime(), metadata.mtime_nsec())
    };
    let before = identity(&daemon);
    let log = daemon.log();
    let again = apply(&engine, &[A, B]).unwrap();
    assert!(!again.changed && again.verified);
    assert_eq!(identity(&daemon), before);
    assert_eq!(daemon.log(), log, "a reload without need");
    assert_eq!(daemon.beside(), ["daemon.json"]);

    assert!(run(engine.restore(0)).unwrap().changed);
    assert_eq!(daemon.text().as_deref(), Some(ODD));
    assert_eq!(daemon.mirrors(), ["https://old.example/", "https://older.example/"]);
    assert!(daemon.lives());
}

#[test]
fn a_hundred_changes_are_each_proven_and_containers_do_not_notice() {
    let mut daemon = Dockerd::start("{}");
    daemon.import_sleep();
    // `sleep` as a container's first process ignores SIGTERM, and dockerd would wait for it at its end.
    let options = ["run", "--detach", "--network=none", "--stop-signal=KILL"];
    let id = daemon.docker(&[&options[..], &["local/sleep:1", "/bin/sleep", "3600"]].concat());
    let state = |daemon: &Dockerd| {
        daemon.docker(&["inspect", "--format", "{{.State.Pid}} {{.State.StartedAt}} {{.State.Status}}", &id])
    };
    let before = state(&daemon);
    let engine = daemon.engine();
    let mut times = Vec::new();
    for round in 0..100 {
        let list: &[&str] = if round % 2 == 0 { &[A, B] } else { &[C] };
        let applied = apply(&engine, list).unwrap();
        assert!(applied.changed && applied.verified);
        times.push(applied.acknowledged.unwrap());
    }
    run(engine.restore(0)).unwrap();
    assert_eq!(state(&daemon), before);
    assert!(before.ends_with(" running"), "{before}");
    assert!(daemon.lives());
    times.sort();
    println!("acknowledged: p50 {:?}, p99 {:?}, slowest {:?}", times[49], times[98], times[99]);
}

#[test]
fn a_key_that_was_absent_is_emptied_and_then_taken_out_again() {
    let pristine = "{\n\t\"debug\": false\n}\n";
    let daemon = Dockerd::start(pristine);
    let engine = daemon.engine();
    apply(&engine, &[A]).unwrap();
    apply(&engine, &[B, C]).unwrap();
    let plan = run(engine.plan_restore(0)).unwrap();
    assert_eq!((plan.after.as_deref(), plan.mirrors), (Some(pristine.as_bytes()), Vec::new()));
    let restored = run(engine.restore(0)).unwrap();
    assert!(restored.verified && restored.mirrors.is_empty());
    assert_eq!(daemon.text().as_deref(), Some(pristine));
    assert!(daemon.mirrors().is_empty());
    // And once more, from the same backup.
    assert!(!run(engine.restore(0)).unwrap().changed);
    apply(&engine, &[A]).unwrap();
    run(engine.restore(0)).unwrap();
    assert_eq!(daemon.text().as_deref(), Some(pristine));
}

#[test]
fn a_file_that_was_missing_is_made_and_goes_away_again() {
    let daemon = Dockerd::start("{}");
    fs::remove_dir_all(daemon.at("etc")).unwrap();
    let engine = daemon.engine();
    apply(&engine, &[A]).unwrap();
    assert_eq!(
        daemon.text().as_deref(),
        Some("{\n  \"registry-mirrors\": [\n    \"https://a.example\"\n  ]\n}\n")
    );
    assert_eq!(fs::metadata(daemon.file()).unwrap().mode() & 0o7777, 0o644);
    assert_eq!(daemon.mirrors(), ["https://a.example/"]);
    run(engine.restore(0)).unwrap();
    assert!(daemon.beside().is_empty(), "{:?}", daemon.beside());
    assert!(daemon.mirrors().is_empty());
}

#[test]
fn restore_keeps_an_edit_that_was_made_since() {
    let daemon = Dockerd::start("{\"registry-mirrors\": [\"https://old.example\"]}\n");
    let engine = daemon.engine();
    apply(&engine, &[A]).unwrap();
    daemon.write(&daemon.text().unwrap().replace('{', "{\"mtu\": 1400, "));
    run(engine.restore(0)).unwrap();
    let kept = "{\"mtu\": 1400, \"registry-mirrors\": [\"https://old.example\"]}\n";
    assert_eq!(daemon.text().as_deref(), Some(kept));
    assert_eq!(daemon.mirrors(), ["https://old.example/"]);
}

/// As a configuration management does that finds its template changed: whole, and with the list that it last knew.
#[test]
fn an_edit_made_while_a_restore_is_being_proven_stays() {
    for theirs in [
        "{\"insecure-registries\": [\"r.example:5000\"]}",
        "{\"insecure-registries\": [\"r.example:5000\"], \"registry-mirrors\": [\"https://a.example\"]}",
    ] {
        let daemon = Dockerd::start("{ }");
        apply(&daemon.engine(), &[A]).unwrap();
        // Once, and after dockerd has read the file that it was to read.
        let script = format!(
            "reloads() {{ grep -c 'Reloaded configuration' {log}; }}; before=$(reloads); kill -HUP $0; \
             until [ $(reloads) -gt $before ]; do sleep 0.02; done; \
             [ -e {done} ] || {{ printf '%s' '{theirs}' >{done} && cp {done} {new} && mv {new} {file}; }}",
            log = daemon.at("log").display(),
            done = daemon.at("theirs").display(),
            new = daemon.at("etc/new").display(),
            file = daemon.file().display(),
        );
        let restored = run(with_command(&daemon, &script).restore(0)).unwrap();
        assert!(restored.changed && restored.verified && restored.mirrors.is_empty(), "{restored:?}");
        let kept = "{\"insecure-registries\": [\"r.example:5000\"]}";
        assert_eq!(daemon.text().as_deref(), Some(kept));
        assert!(daemon.mirrors().is_empty());
        assert_eq!(daemon.beside(), ["daemon.json"]);
    }
}

#[test]
fn without_an_apply_there_is_nothing_to_restore() {
    let daemon = Dockerd::start(ODD);
    assert!(!run(daemon.engine().restore(0)).unwrap().changed);
    assert_eq!(daemon.text().as_deref(), Some(ODD));
}

#[test]
fn an_empty_list_is_written_only_where_there_was_one() {
    let daemon = Dockerd::start("{ }");
    let engine = daemon.engine();
    assert!(!apply(&engine, &[]).unwrap().changed);
    assert_eq!(daemon.text().as_deref(), Some("{ }"));
    apply(&engine, &[A]).unwrap();
    apply(&engine, &[]).unwrap();
    assert_eq!(daemon.text().as_deref(), Some("{\n  \"registry-mirrors\": []\n}"));
    assert!(daemon.mirrors().is_empty());
}

#[test]
fn a_list_that_dockerd_still_has_is_cleared_though_the_key_is_gone() {
    let daemon = Dockerd::start("{\"registry-mirrors\": [\"https://old.example\"]}");
    daemon.write("{}");
    apply(&daemon.engine(), &[]).unwrap();
    assert!(daemon.mirrors().is_empty());
}

#[test]
fn a_file_that_is_right_already_is_only_reloaded() {
    let daemon = Dockerd::start("{}");
    let by_hand = "{\"registry-mirrors\": [\"https://a.example/\"]}";
    daemon.write(by_hand);
    let inode = fs::metadata(daemon.file()).unwrap().ino();
    let applied = apply(&daemon.engine(), &[A]).unwrap();
    assert!(applied.changed && applied.verified);
    assert_eq!(daemon.mirrors(), ["https://a.example/"]);
    assert_eq!(daemon.text().as_deref(), Some(by_hand));
    assert_eq!(fs::metadata(daemon.file()).unwrap().ino(), inode);
}

#[test]
fn entries_to_keep_stand_first_and_once() {
    let daemon = Dockerd::start("{}");
    let mut settings = daemon.settings();
    settings.keep = urls(&[C, B]);
    let applied = apply(&Docker::new(settings, &daemon.at("state")), &[A, B]).unwrap();
    assert_eq!(applied.mirrors, [C, B, A]);
    assert_eq!(daemon.mirrors(), [C, B, A].map(|url| format!("{url}/")));
}

#[test]
fn the_facts_are_those_of_the_running_dockerd() {
    let text =
        "{\"registry-mirrors\": [\"https://a.example/\"], \"registry-mirror\": [], \"live-restore\": true}";
    let daemon = Dockerd::with_flags("{}", &["--max-concurrent-downloads", "9"]);
    daemon.write(text);
    daemon.import_sleep();
    let mut settings = daemon.settings();
    settings.config_file = daemon.at("etc/another.json");
    settings.with_pending = true;
    let engine = Docker::new(settings, &daemon.at("state"));
    assert!(engine.installed());
    let facts = run(engine.facts()).unwrap();
    assert!(facts.version.starts_with("20."), "{}", facts.version);
    assert_eq!((facts.store, facts.refusal), (ImageStore::Classic, None));
    assert_eq!((facts.mirrors, facts.listed), (vec![], Some(vec!["https://a.example/".to_owned()])));
    assert_eq!(facts.file, daemon.file(), "its own command line goes before the settings");
    assert_eq!(facts.images, Some(vec![]), "an imported image is on no mirror");
    let warned: Vec<_> = facts.warnings.iter().map(|warning| (warning.kind, &*warning.detail)).collect();
    for expected in [
        (WarningKind::BuildNeedsRestart, &*facts.version),
        (WarningKind::FlagsReset, "--max-concurrent-downloads"),
        (WarningKind::PendingEdits, "live-restore"),
        (WarningKind::MisspeltKey, &daemon.file().display().to_string()),
    ] {
        assert!(warned.contains(&expected), "{expected:?} not in {warned:?}");
    }
    // And it is that file that is written.
    apply(&engine, &[A]).unwrap();
    assert_eq!(daemon.beside(), ["daemon.json"]);
    assert_eq!(daemon.mirrors(), ["https://a.example/"]);
}

#[test]
fn what_is_said_by_null_or_by_nothing_is_no_edit_that_waits() {
    for key in
        [r#""debug": null"#, r#""labels": null"#, r#""live-restore": null"#, r#""default-runtime": """#]
    {
        let daemon = Dockerd::start(&format!("{{{key}}}"));
        let engine = daemon.engine();
        for list in [A, B] {
            assert!(apply(&engine, &[list]).unwrap().changed, "{key}");
        }
        assert!(daemon.text().unwrap().contains(key));
    }
}

#[test]
fn a_dockerd_that_logs_only_warnings_says_nothing_of_pulls() {
    for (config, flags, level) in [
        (r#"{"log-level": "warn"}"#, &[][..], Some("warn")),
        ("{}", &["--log-level=error"], Some("error")),
        ("{}", &["-l", "fatal"], Some("fatal")),
        (r#"{"log-level": "Info"}"#, &[], None),
        (r#"{"log-level": "warn", "debug": true}"#, &[], None),
    ] {
        let daemon = Dockerd::with_flags(config, flags);
        let log = run(daemon.engine().facts()).unwrap().log;
        match level {
            Some(level) => assert!(
                matches!(&log, LogSource::Unreadable(why) if why.starts_with(&format!("log-level {level}: "))),
                "{config} {flags:?}: {log:?}"
            ),
            None => assert_eq!(log, LogSource::File(daemon.at("log")), "{config} {flags:?}"),
        }
    }
}

#[test]
fn labels_that_a_reload_has_shuffled_are_nobodys_edit() {
    // dockerd keeps them in no order: that of six is theirs once in 720 times.
    let daemon = Dockerd::start(r#"{"labels": ["a=1", "b=2", "c=3", "d=4", "e=5", "f=6"]}"#);
    let engine = daemon.engine();
    for list in [A, B, C] {
        assert!(apply(&engine, &[list]).unwrap().changed, "{list}");
    }
    assert_eq!(
        run(engine.facts()).unwrap().warnings.iter().find(|it| it.kind == WarningKind::PendingEdits),
        None
    );
    daemon.write(&daemon.text().unwrap().replace("f=6", "f=7"));
    assert_eq!(apply(&engine, &[A]).unwrap_err().kind, ProblemKind::PendingEdits);
}

/// So many new volumes of this name that dockerd, which remembers 256 events, remembers nothing from before.
fn make_it_forget(daemon: &Dockerd, name: &str) {
    for number in 0..300 {
        let mut stream = UnixStream::connect(daemon.at("sock")).unwrap();
        let body = format!("{{\"Name\": \"{name}-{number}\"}}");
        let head = "POST /volumes/create HTTP/1.0\r\nHost: docker\r\nContent-Type: application/json\r\n";
        write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains(" 201 Created"), "{answer}");
    }
}

#[test]
fn an_edit_that_its_author_had_taken_waits_no_more_though_dockerd_forgets_that() {
    let daemon = Dockerd::start("{}");
    let waits = || {
        let warnings = run(daemon.engine().facts()).unwrap().warnings;
        warnings.into_iter().any(|warning| warning.kind == WarningKind::PendingEdits)
    };
    let edit = |edit: &str| daemon.write(&daemon.text().unwrap().replacen('{', &format!("{{{edit}, "), 1));
    apply(&daemon.engine(), &[A]).unwrap();

    // What `/info` shows needs nobody's memory.
    edit("\"insecure-registries\": [\"r.example:5000\", \"10.0.0.0/8\", \"127.0.0.0/8\"]");
    daemon.reload();
    make_it_forget(&daemon, "one");
    assert!(!waits());
    assert!(apply(&daemon.engine(), &[B]).unwrap().changed);

    edit("\"max-concurrent-uploads\": 7");
    assert!(waits());
    daemon.reload();
    assert!(!waits());
    make_it_forget(&daemon, "two");
    assert!(!waits());
    assert!(apply(&daemon.engine(), &[A]).unwrap().changed);

    // And the next edit is another one.
    edit("\"max-download-attempts\": 7");
    assert!(waits());
    assert_eq!(apply(&daemon.engine(), &[B]).unwrap_err().kind, ProblemKind::PendingEdits);
}

#[test]
fn of_the_images_that_were_pulled_the_last_stands_first_whenever_it_was_built() {
    let image = |repository: &str, created: &str| ImageSpec {
        repository: repository.to_owned(),
        created: created.to_owned(),
        layers: vec![1000],
        ..ImageSpec::default()
    };
    let built = [
        image("library/new", "2026-11-01T00:00:00Z"),
        image("library/old", "2019-01-01T00:00:00Z"),
        image("library/middle", "2023-01-01T00:00:00Z"),
    ];
    let registry = Registry::start(Options { images: built.to_vec(), ..Options::default() });
    let daemon = Dockerd::start(&format!("{{\"registry-mirrors\": [\"{}\"]}}", registry.url()));
    let mut expected = Vec::new();
    for spec in &built {
        let name = spec.repository.trim_start_matches("library/");
        daemon.docker(&["pull", "--quiet", name]);
        expected.insert(0, format!("{}:latest", spec.repository));
    }
    let facts = run(daemon.engine().facts()).unwrap();
    let images: Vec<String> = facts.images.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(images, expected);
}

#[test]
fn a_dockerd_that_does_not_say_its_images_is_not_one_that_has_none() {
    let daemon = Dockerd::start("{}");
    let engine = behind_a_proxy(&daemon);
    assert_eq!(run(engine.facts()).unwrap().images, Some(vec![]));
    fs::File::create_new(daemon.at("broken-images")).unwrap();
    assert_eq!(run(engine.facts()).unwrap().images, None);
}

#[test]
fn proxies_are_those_of_dockerds_environment_with_their_password() {
    let proxy = "http://user:secret@127.0.0.1:3128";
    let environment =
        [("HTTPS_PROXY", proxy), ("http_proxy", "http://127.0.0.1:8080"), ("NO_PROXY", ".example")];
    let daemon = Dockerd::with("{}", &[], &environment);
    let facts = run(daemon.engine().facts()).unwrap();
    assert_eq!(facts.proxies.https.as_deref(), Some(proxy));
    assert_eq!(facts.proxies.http.as_deref(), Some("http://127.0.0.1:8080"));
    assert_eq!(facts.proxies.no_proxy.as_deref(), Some(".example"));
    assert!(!format!("{:?}", facts.proxies).contains("secret"), "a password in debug output");
}

#[test]
fn a_broken_file_is_refused_with_line_and_column() {
    let mut daemon = Dockerd::start("{}");
    daemon.write("{\n  \"debug\": true,\n}\n");
    let engine = daemon.engine();
    let problem = refused(&mut daemon, &engine, &[A]);
    assert_eq!((problem.kind, problem.state()), (ProblemKind::BrokenFile, State::Refused));
    assert_eq!(problem.detail, format!("{}:3:1: not valid JSON: trailing comma", daemon.file().display()));
    let facts = run(engine.facts()).unwrap();
    assert_eq!((facts.refusal, facts.listed), (Some(problem), None));
}

#[test]
fn a_file_that_is_just_being_written_is_waited_for() {
    let daemon = Dockerd::start("{\"debug\": false}");
    let file = daemon.file();
    // Truncated and written in two steps, as careless programs do.
    let handle = fs::File::options().write(true).truncate(true).open(&file).unwrap();
    let writer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        std::io::Write::write_all(&mut &handle, b"{\"mtu\": 1400}").unwrap();
    });
    apply(&daemon.engine(), &[A]).unwrap();
    writer.join().unwrap();
    let text = "{\"mtu\": 1400, \"registry-mirrors\": [\"https://a.example\"]}";
    assert_eq!(daemon.text().as_deref(), Some(text));
}

/// As a shell does before it starts `cat > daemon.json`, or before what is typed there comes.
#[test]
fn a_file_that_somebody_has_emptied_is_left_to_whoever_is_to_fill_it() {
    let mut daemon = Dockerd::start("{\"debug\": false}");
    let engine = daemon.engine();
    apply(&engine, &[B]).unwrap();
    let mut theirs = fs::File::options().write(true).truncate(true).open(daemon.file()).unwrap();
    for blank in ["", "\n"] {
        theirs.write_all(blank.as_bytes()).unwrap();
        let problem = refused(&mut daemon, &engine, &[A]);
        assert_eq!((problem.kind, problem.state()), (ProblemKind::Raced, State::Pending));
        assert!(problem.detail.contains(": not written: it is empty"), "{problem}");
        assert_eq!(run(engine.plan(&urls(&[A]))).unwrap_err(), problem);
        assert_eq!(run(engine.restore(0)).unwrap_err(), problem);
    }
    theirs.write_all(b"{\"mtu\": 1400}").unwrap();
    assert!(apply(&engine, &[A]).unwrap().changed);
    let text = "\n{\"mtu\": 1400, \"registry-mirrors\": [\"https://a.example\"]}";
    assert_eq!(daemon.text().as_deref(), Some(text));
}

#[test]
fn a_file_that_has_been_empty_for_long_is_one_without_a_list() {
    let daemon = Dockerd::start("{}");
    daemon.write("");
    assert!(apply(&daemon.engine(), &[B]).unwrap().changed, "nobody has ever had anything in it");
    let (minute, now) = (Duration::from_secs(60), fs::metadata(daemon.file()).unwrap().modified().unwrap());
    // A clock that was ahead once is to keep nobody waiting until it is right.
    for (at, mirror) in [(now - 11 * minute, A), (now + 11 * minute, B)] {
        daemon.write("");
        fs::File::options().write(true).open(daemon.file()).unwrap().set_modified(at).unwrap();
        assert!(apply(&daemon.engine(), &[mirror]).unwrap().changed);
        assert_eq!(daemon.mirrors(), [format!("{mirror}/")]);
    }
}

#[test]
fn a_flag_that_names_mirrors_is_refused() {
    let mut daemon = Dockerd::with_flags("{}", &["--registry-mirror", "https://flag.example"]);
    let engine = daemon.engine();
    let problem = refused(&mut daemon, &engine, &[A]);
    assert_eq!(problem.kind, ProblemKind::FlagConflict);
    assert!(problem.detail.contains("--registry-mirror=https://flag.example"), "{problem}");
}

#[test]
fn authorization_plugins_are_refused() {
    let mut daemon = Dockerd::start("{}");
    daemon.write("{\"authorization-plugins\": [\"missing\"]}");
    let engine = daemon.engine();
    assert_eq!(refused(&mut daemon, &engine, &[A]).kind, ProblemKind::AuthorizationPlugins);
}

/// A plugin that forbids volumes, where dockerd looks for it by its name; dropped, its socket is gone.
struct Plugin {
    name: String,
    socket: PathBuf,
}

impl Plugin {
    fn start() -> Self {
        let name = format!("mw-{}", std::process::id());
        let socket = Path::new("/run/docker/plugins").join(format!("{name}.sock"));
        fs::create_dir_all(socket.parent().unwrap()).unwrap();
        // One that a killed test has left.
        drop(fs::remove_file(&socket));
        let listener = UnixListener::bind(&socket).unwrap();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || Self::answer(client));
            }
        });
        Self { name, socket }
    }

    /// One request a connection. A body that does not come is no request.
    fn answer(mut client: UnixStream) -> Option<()> {
        let mut reader = BufReader::new(client.try_clone().ok()?);
        let (mut head, mut length) = (String::new(), 0);
        while reader.read_line(&mut head).ok()? > 2 {
            let line = head.lines().last()?.to_lowercase();
            length = line.strip_prefix("content-length: ").map_or(length, |length| length.parse().unwrap());
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let forbidden = String::from_utf8_lossy(&body).contains("/volumes/create");
        let answer = if head.starts_with("POST /Plugin.Activate ") {
            r#"{"Implements": ["authz"]}"#.to_owned()
        } else {
            format!(r#"{{"Allow": {}, "Msg": "forbidden"}}"#, !forbidden)
        };
        write!(
            client,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
            answer.len()
        )
        .ok()
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.socket));
    }
}

#[test]
fn authorization_plugins_of_the_command_line_outlive_us() {
    let plugin = Plugin::start();
    let mut daemon = Dockerd::with_flags("{}", &["--authorization-plugin", &plugin.name]);
    let forbids = |daemon: &Dockerd| {
        let socket = format!("unix://{}", daemon.at("sock").display());
        let said =
            Command::new("docker").args(["--host", &socket, "volume", "create", "v1"]).output().unwrap();
        String::from_utf8_lossy(&said.stderr).contains("authorization denied by plugin")
    };
    assert!(forbids(&daemon));
    for engine in [daemon.engine(), behind_a_proxy(&daemon)] {
        let problem = match apply(&engine, &[A]) {
            Ok(applied) => panic!("{applied:?}; it forbids: {}", forbids(&daemon)),
            Err(problem) => problem,
        };
        assert_eq!((problem.kind, problem.state()), (ProblemKind::AuthorizationPlugins, State::Refused));
        assert!(
            problem.detail.ends_with("a reload would switch the plugins off")
                || problem.detail.ends_with("a reload would switch them off"),
            "{problem}"
        );
        assert_eq!(run(engine.facts()).unwrap().refusal, Some(problem));
        assert_eq!(run(engine.restore(0)).map(|it| it.changed), Ok(false));
    }
    assert!(forbids(&daemon) && daemon.lives());
    assert_eq!(daemon.text().as_deref(), Some("{}"));
}

#[test]
fn a_rejected_reload_brings_the_old_bytes_back_and_says_what_dockerd_said() {
    let mut daemon = Dockerd::start("{\"registry-mirrors\": [\"https://old.example\"]}");
    // Somebody's edit that is valid JSON and no dockerd takes.
    daemon.write("{\"registry-mirrors\": [\"https://old.example\"], \"registri\": 1}");
    let bytes = daemon.text();
    let problem = apply(&daemon.engine(), &[A]).unwrap_err();
    assert_eq!((problem.kind, problem.state()), (ProblemKind::NotTaken, State::RolledBack));
    assert!(problem.detail.contains("don't match any configuration option: registri"), "{problem}");
    assert!(problem.detail.ends_with("the old file is back"), "{problem}");
    assert_eq!(daemon.text(), bytes);
    assert_eq!(
        (daemon.mirrors(), daemon.beside()),
        (vec!["https://old.example/".to_owned()], vec!["daemon.json".to_owned()])
    );
    assert!(daemon.lives());
}

/// Replaces the way of reloading by a shell command that gets dockerd's pid as `$0`.
fn with_command(daemon: &Dockerd, script: &str) -> Docker {
    let mut settings = daemon.settings();
    let words = ["sh", "-c", script, &daemon.pid().to_string()];
    settings.reload = Reload::Command(words.map(str::to_owned).to_vec());
    Docker::new(settings, &daemon.at("state"))
}

#[test]
fn a_list_that_dockerd_has_taken_stays_though_it_is_slow_to_say_so() {
    let daemon = Dockerd::start("{}");
    let mut settings = daemon.settings();
    settings.socket = behind_a_proxy(&daemon).socket().to_owned();
    let script = format!("touch '{}'; kill -HUP $0", daemon.at("slow-info").display());
    let words = ["sh", "-c", &script, &daemon.pid().to_string()];
    settings.reload = Reload::Command(words.map(str::to_owned).to_vec());
    let applied = apply(&Docker::new(settings, &daemon.at("state")), &[A]).unwrap();
    assert!(applied.changed && applied.verified && applied.acknowledged > Some(Duration::from_secs(5)));
    assert_eq!(daemon.mirrors(), ["https://a.example/"]);
    assert_eq!(daemon.log().matches("Reloaded configuration").count(), 1);
}

#[test]
fn a_reload_that_cannot_be_asked_for_leaves_everything_as_it_was() {
    let mut daemon = Dockerd::start("{\"registry-mirrors\": [\"https://old.example\"]}");
    let bytes = daemon.text();
    let engine = with_command(&daemon, "echo no such unit >&2; exit 5");
    let problem = apply(&engine, &[A]).unwrap_err();
    assert_eq!(problem.kind, ProblemKind::ReloadFailed);
    assert!(problem.detail.contains("exit status: 5: no such unit; the old file is back"), "{problem}");
    assert_eq!(daemon.text(), bytes);
    assert_eq!(daemon.mirrors(), ["https://old.example/"]);
    assert!(daemon.lives());
}

#[test]
fn a_list_that_was_taken_against_our_will_is_taken_back_though_the_key_was_absent() {
    let mut daemon = Dockerd::start("{}");
    // dockerd is reloaded, and the command says that it failed.
    let engine = with_command(&daemon, "kill -HUP $0; sleep 0.5; exit 1");
    let problem = apply(&engine, &[A]).unwrap_err();
    assert_eq!(problem.kind, ProblemKind::ReloadFailed);
    assert_eq!(daemon.text().as_deref(), Some("{}"));
    assert!(daemon.mirrors().is_empty());
    assert!(daemon.lives());
}

#[test]
fn a_dockerd_that_stops_answering_gets_its_old_file_back() {
    let daemon = Dockerd::start("{}");
    let problem = apply(&with_command(&daemon, "kill -STOP $0"), &[A]).unwrap_err();
    assert_eq!(problem.kind, ProblemKind::NotTaken);
    assert_eq!(daemon.text().as_deref(), Some("{}"));
    // Nothing more is written while it does not answer.
    let problem = apply(&daemon.engine(), &[A]).unwrap_err();
    assert_eq!((problem.kind, problem.state()), (ProblemKind::NoAnswer, State::Pending));
    assert_eq!(daemon.text().as_deref(), Some("{}"));
    daemon.signal(Signal::CONT);
    apply(&daemon.engine(), &[A]).unwrap();
    assert_eq!(daemon.mirrors(), ["https://a.example/"]);
}

#[test]
fn a_dockerd_that_ends_at_the_reload_finds_its_old_file_at_its_next_start() {
    let mut daemon = Dockerd::start("{}");
    let problem = apply(&with_command(&daemon, "kill -KILL $0; sleep 0.2"), &[A]).unwrap_err();
    assert_eq!(problem.kind, ProblemKind::NotTaken);
    assert_eq!(daemon.text().as_deref(), Some("{}"));
    assert!(!daemon.lives());
    let problem = apply(&daemon.engine(), &[A]).unwrap_err();
    assert_eq!((problem.kind, problem.state()), (ProblemKind::NotRunning, State::Pending));
    assert_eq!(daemon.text().as_deref(), Some("{}"));
}

#[test]
fn reloading_can_be_left_to_somebody_else() {
    let daemon = Dockerd::start("{}");
    let mut settings = daemon.settings();
    settings.reload = Reload::None;
    let engine = Docker::new(settings, &daemon.at("state"));
    let applied = apply(&engine, &[A]).unwrap();
    assert!(applied.changed && !applied.verified);
    assert!(daemon.mirrors().is_empty());
    daemon.signal(Signal::HUP);
    let applied =
        std::iter::repeat_with(|| apply(&engine, &[A]).unwrap()).find(|applied| applied.verified).unwrap();
    assert!(!applied.changed);
}

#[test]
fn two_at_once_do_not_meet() {
    let daemon = Dockerd::start("{}");
    let (busy, go) = (daemon.at("busy"), daemon.at("go"));
    // Under way until it is told to go on.
    let script = format!(
        "touch {}; while [ ! -e {} ]; do sleep 0.01; done; kill -HUP $0",
        busy.display(),
        go.display()
    );
    let one = with_command(&daemon, &script);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| apply(&one, &[A]));
        while !busy.exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let second = apply(&daemon.engine(), &[C]);
        fs::File::create_new(&go).unwrap();
        assert_eq!(second.unwrap_err().kind, ProblemKind::Locked);
        assert!(first.join().unwrap().unwrap().verified);
    });
    assert_eq!(daemon.mirrors(), ["https://a.example/"]);
}

/// A mount that is undone when dropped, whatever the test did.
struct Mount<'a>(&'a Path);

impl<'a> Mount<'a> {
    fn new(arguments: &[&str], on: &'a Path) -> Self {
        assert!(Command::new("mount").args(arguments).arg(on).status().unwrap().success());
        Self(on)
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(self.0).status());
    }
}

/// `chattr` with its opposite when dropped.
struct Attribute<'a>(&'a Path);

impl<'a> Attribute<'a> {
    fn immutable(path: &'a Path) -> Self {
        assert!(Command::new("chattr").arg("+i").arg(path).status().unwrap().success());
        Self(path)
    }
}

impl Drop for Attribute<'_> {
    fn drop(&mut self) {
        drop(Command::new("chattr").arg("-i").arg(self.0).status());
    }
}

#[test]
fn a_place_that_cannot_be_written_is_refused_with_its_reason_and_nothing_is_left_behind() {
    let mut daemon = Dockerd::start("{\"registry-mirrors\": [\"https://old.example\"]}");
    let engine = daemon.engine();
    let (directory, file) = (daemon.at("etc"), daemon.file());
    let mut check = |word: &str| {
        let problem = refused(&mut daemon, &engine, &[A]);
        assert_eq!((problem.kind, problem.state()), (ProblemKind::Unwritable, State::Refused), "{problem}");
        assert!(problem.detail.contains(word), "{problem}");
    };
    let place = directory.display().to_string();
    {
        let _bind = Mount::new(&["--bind", &place], &directory);
        assert!(
            Command::new("mount").args(["-o", "remount,bind,ro"]).arg(&directory).status().unwrap().success()
        );
        check("the file system is read-only");
    }
    {
        let path = file.display().to_string();
        let _bind = Mount::new(&["--bind", &path], &file);
        check("mount its directory instead");
    }
    {
        let _immutable = Attribute::immutable(&file);
        check("chattr -i");
    }
    {
        let _immutable = Attribute::immutable(&directory);
        check("chattr -i");
    }
    {
        let bytes = fs::read(&file).unwrap();
        let _small = Mount::new(&["-t", "tmpfs", "-o", "size=8k", "tmpfs"], &directory);
        mirrorwatch::file::replace(&file, &bytes, None).unwrap();
        mirrorwatch::file::replace(&directory.join("filler"), &[0; 4096], None).unwrap();
        check("df -h");
    }
    apply(&engine, &[A]).unwrap();
    assert_eq!(daemon.mirrors(), ["https://a.example/"]);
}

/// One whose socket is another program's, which passes everything on. While there is a file `slow-info`
/// beside dockerd it holds `/info` up, and while there is one `broken-images` it answers no question for images.
fn behind_a_proxy(daemon: &Dockerd) -> Docker {
    let mut settings = daemon.settings();
    settings.socket = daemon.at("proxy");
    let (listener, behind) = (UnixListener::bind(&settings.socket).unwrap(), daemon.at("sock"));
    let (slow, broken) = (daemon.at("slow-info"), daemon.at("broken-images"));
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let Ok(mut server) = UnixStream::connect(&behind) else { break };
            let (slow, broken) = (slow.clone(), broken.clone());
            std::thread::spawn(move || {
                let (mut answers, mut asker) = (server.try_clone()?, client.try_clone()?);
                std::thread::spawn(move || std::io::copy(&mut answers, &mut asker));
                let mut question = [0; 4096];
                while let length @ 1.. = client.read(&mut question)? {
                    if question.starts_with(b"GET /images/json") && broken.exists() {
                        break;
                    }
                    if question.starts_with(b"GET /info") && slow.exists() {
                        std::thread::sleep(Duration::from_secs(6));
                    }
                    server.write_all(&question[..length])?;
                }
                server.shutdown(Shutdown::Both)
            });
        }
    });
    Docker::new(settings, &daemon.at("state"))
}

/// Whoever listens is not dockerd, so the pid file may name another one than the one that answers.
#[test]
fn behind_a_proxy_no_process_is_guessed_and_nothing_is_written() {
    let mut daemon = Dockerd::start("{}");
    let engine = behind_a_proxy(&daemon);
    assert!(run(engine.facts()).unwrap().version.starts_with("20."));
    let problem = refused(&mut daemon, &engine, &[A]);
    assert_eq!(problem.kind, ProblemKind::ReloadFailed);
    assert!(problem.detail.contains("its process was not found"), "{problem}");
}

#[test]
fn owner_and_mode_stay() {
    let daemon = Dockerd::start("{}");
    std::os::unix::fs::chown(daemon.file(), Some(33), Some(34)).unwrap();
    fs::set_permissions(daemon.file(), std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    apply(&daemon.engine(), &[A]).unwrap();
    let metadata = fs::metadata(daemon.file()).unwrap();
    assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o7777), (33, 34, 0o640));
}

#[test]
fn through_a_symbolic_link_the_target_is_replaced() {
    let daemon = Dockerd::start("{}");
    let target = daemon.at("target.json");
    fs::rename(daemon.file(), &target).unwrap();
    std::os::unix::fs::symlink(&target, daemon.file()).unwrap();
    let engine = daemon.engine();
    apply(&engine, &[A]).unwrap();
    assert!(daemon.file().is_symlink() && !target.is_symlink());
    assert_eq!(daemon.mirrors(), ["https://a.example/"]);
    run(engine.restore(0)).unwrap();
    assert_eq!(fs::read_to_string(&target).unwrap(), "{}");
}

#[test]
fn a_socket_that_is_not_there_is_an_engine_that_does_not_run() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    let settings = mirrorwatch::engine::docker::Settings {
        config_file: at("daemon.json"),
        socket: at("sock"),
        reload: Reload::Auto,
        unit: "docker.service".to_owned(),
        pid_file: at("pid"),
        keep: Vec::<MirrorUrl>::new(),
        with_pending: false,
    };
    let engine = Docker::new(settings, &at("state"));
    let problem = apply(&engine, &[A]).unwrap_err();
    assert_eq!(problem.kind, ProblemKind::NotRunning);
    assert!(problem.detail.starts_with(&at("sock").display().to_string()), "{problem}");
    assert!(!at("daemon.json").exists());
    assert_eq!(run(engine.restore(0)).unwrap_err().kind, ProblemKind::NotRunning);
}

#[test]
fn a_dockerd_that_its_file_keeps_from_starting_is_said_to_be_so() {
    for (text, place) in [
        ("{\n  \"debug\": true,\n}\n", "3:1: not valid JSON: trailing comma"),
        ("[]", "1:1: not a JSON object"),
        ("{\"registry-mirrors\": [5]}", "1:22: registry-mirrors is not a list of texts"),
    ] {
        let mut daemon = Dockerd::launch(text);
        let start = Instant::now();
        while daemon.lives() {
            assert!(start.elapsed() < Duration::from_secs(60), "it starts with {text}");
            std::thread::sleep(Duration::from_millis(20));
        }
        let problem = run(daemon.engine().facts()).unwrap_err();
        assert_eq!((problem.kind, problem.state()), (ProblemKind::CannotStart, State::Pending));
        let expected = format!("{}:{place}; dockerd does not start with it", daemon.file().display());
        assert_eq!(problem.detail, expected);
        assert_eq!(run(daemon.engine().restore(0)).unwrap_err(), problem);
    }
}

#[test]
fn what_dockerd_takes_and_we_cannot_edit_is_not_said_to_keep_it_from_starting() {
    let mut daemon = Dockerd::start("{}");
    mirrorwatch::file::replace(&daemon.file(), b"{\"labels\": [\"a\xff=b\"]}", None).unwrap();
    daemon.reload();
    let engine = daemon.engine();
    assert_eq!(run(engine.facts()).unwrap().refusal.unwrap().kind, ProblemKind::NotEditable);
    daemon.signal(Signal::KILL);
    while daemon.lives() {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(run(engine.facts()).unwrap_err().kind, ProblemKind::NotRunning);
}

#[test]
fn of_two_lists_in_one_file_dockerd_takes_the_last_and_neither_is_edited() {
    let mut daemon = Dockerd::start("{}");
    daemon.write("{\"registry-mirrors\": [\"https://first.example\"],\n \"registry-mirrors\": [\"https://last.example\"]}");
    daemon.reload();
    assert_eq!(daemon.mirrors(), ["https://last.example/"]);
    let engine = daemon.engine();
    let problem = refused(&mut daemon, &engine, &[A]);
    assert_eq!((problem.kind, problem.state()), (ProblemKind::NotEditable, State::Refused));
    let place = format!("{}:2:2: registry-mirrors stands here for the second time", daemon.file().display());
    assert!(problem.detail.starts_with(&place), "{problem}");
}
