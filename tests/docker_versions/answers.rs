//! What may answer at the socket and be no dockerd, or one that has lost its mind: a clear word, soon, and the file is
//! as it was.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::{Duration, Instant};

use mirrorwatch::engine::Docker;
use mirrorwatch::engine::docker::Reload;
use mirrorwatch::file;
use mirrorwatch::reason::ProblemKind;

use super::{A, Fake, Play, Tells, run};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";

fn json(stream: &mut UnixStream, body: &str) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Until the other side has had enough.
fn without_end(stream: &mut UnixStream, begin: &str, piece: &str) -> std::io::Result<()> {
    stream.write_all(begin.as_bytes())?;
    loop {
        stream.write_all(piece.as_bytes())?;
    }
}

/// Answers to `/info`; whatever else is asked is answered well, unless the first says otherwise.
type Answer = fn(&mut UnixStream) -> std::io::Result<()>;

const ANSWERS: [(&str, Answer); 16] = [
    ("nothing, and hangs up", |_| Ok(())),
    ("garbage", |stream| stream.write_all(&[0x16, 3, 1, 0, 200, 0xff, 0, b'\n', b'\r', b'\n'])),
    ("another protocol", |stream| stream.write_all(b"220 mail.example ESMTP\r\n")),
    ("garbage without end", |stream| without_end(stream, "", &"\0".repeat(4096))),
    ("headers without end", |stream| without_end(stream, "HTTP/1.1 200 OK\r\n", "X-More: and more\r\n")),
    ("a body without end", |stream| {
        without_end(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[", &"1,".repeat(4096))
    }),
    ("chunks without end", |stream| {
        without_end(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "4\r\n    \r\n")
    }),
    ("a chunk of no size", |stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}")
    }),
    ("half", |stream| stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n{\"Server")),
    ("drops", |stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n")?;
        loop {
            stream.write_all(b" ")?;
            thread::sleep(Duration::from_millis(50));
        }
    }),
    ("an error", |stream| stream.write_all(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")),
    ("a web page", |stream| json(stream, "<html>Please log in</html>")),
    ("a list", |stream| json(stream, "[]")),
    ("deep nesting", |stream| json(stream, &"[".repeat(100_000))),
    ("other types", |stream| {
        json(stream, "{\"ServerVersion\": 28, \"RegistryConfig\": {\"Mirrors\": \"https://a.example\"}}")
    }),
    ("no UTF-8", |stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n{\"ServerVersion\": \"\xff\xfe28\"}")
    }),
];

/// A listener at the socket that gives this answer to `/info`, or to everything.
fn listen(fake: &std::path::Path, answer: Answer, to_everything: bool) {
    let listener = UnixListener::bind(fake).unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut head = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                let request = head.next().unwrap_or_default();
                while head.next().is_some_and(|line| !line.is_empty()) {}
                // The other side hangs up when it has heard enough.
                drop(match request.contains(" /info") || to_everything {
                    true => answer(&mut stream),
                    false => stream.write_all(OK.as_bytes()),
                });
            });
        }
    });
}

#[test]
fn whatever_answers_instead_of_dockerd_is_said_and_the_file_stays_as_it_is() {
    let before = "{\"debug\": false}";
    let ask = |what: &'static str, answer: Answer, to_everything| {
        thread::spawn(move || {
            let place = tempfile::Builder::new().prefix("mw-").tempdir_in("/tmp").unwrap();
            let at = |name: &str| place.path().join(name);
            listen(&at("sock"), answer, to_everything);
            file::replace(&at("daemon.json"), before.as_bytes(), None).unwrap();
            let engine = Docker::new(super::settings(place.path(), Reload::None), &at("state"));
            let start = Instant::now();
            let problem = run(engine.apply(&[A.parse().unwrap()])).unwrap_err();
            let socket = at("sock").display().to_string();
            assert_eq!(problem.kind, ProblemKind::NoAnswer, "{what}: {problem}");
            assert!(problem.detail.starts_with(&format!("{socket}: GET /")), "{what}: {problem}");
            assert!(problem.detail.len() < 500, "{what}: {problem}");
            assert!(start.elapsed() < Duration::from_secs(60), "{what}: {:?}", start.elapsed());
            assert_eq!(std::fs::read_to_string(at("daemon.json")).unwrap(), before, "{what}");
            assert_eq!(run(engine.facts()).unwrap_err().kind, ProblemKind::NoAnswer, "{what}");
        })
    };
    // Together, since some of them take until the deadline.
    let asked: Vec<_> = ANSWERS
        .into_iter()
        .flat_map(|(what, answer)| [(what, answer, false), (what, answer, true)])
        // A ping needs no body.
        .filter(|(what, _, to_everything)| {
            !to_everything
                || ["nothing", "garbage", "another", "headers", "an error"]
                    .iter()
                    .any(|it| what.starts_with(it))
        })
        .map(|(what, answer, to_everything)| ask(what, answer, to_everything))
        .collect();
    for thread in asked {
        thread.join().unwrap();
    }
}

#[test]
fn an_event_stream_of_garbage_leaves_the_list_in_use_to_be_the_proof() {
    let fake = Fake::start(Play { tells: Tells::Garbage, ..Play::default() });
    assert!(fake.apply().unwrap().verified);
}

/// D15: nothing that was found out about the one is held of the other.
#[test]
fn a_docker_that_is_upgraded_or_put_back_is_asked_anew_at_every_apply() {
    let mut play = Play::default();
    play.info["RegistryConfig"]["InsecureRegistryCIDRs"] = serde_json::json!(["10.0.0.0/8"]);
    let fake = Fake::start(play);
    let marker = fake.at("reload").display().to_string();
    let engine = fake.engine(Reload::Command(["touch", &marker].map(str::to_owned).to_vec()));
    for (turn, (version, store, refused)) in [
        ("20.10.24+dfsg1", None, false),
        ("23.0.3", None, true),
        ("23.0.7", None, false),
        ("29.0.0", Some("io.containerd.snapshotter.v1"), false),
        ("24.0.0", None, true),
        ("20.10.24+dfsg1", None, false),
    ]
    .into_iter()
    .enumerate()
    {
        fake.change(|info| {
            info["ServerVersion"] = version.into();
            info["DriverStatus"] =
                store.map_or(serde_json::json!([]), |store| serde_json::json!([["driver-type", store]]));
        });
        let text = fake.text();
        let list = [format!("https://{turn}.example").parse().unwrap()];
        let kind = run(engine.apply(&list)).err().map(|problem| problem.kind);
        assert_eq!(kind, refused.then_some(ProblemKind::ReloadBug), "{version}");
        assert_eq!(fake.text() == text, refused, "{version}");
        let facts = run(engine.facts()).unwrap();
        assert_eq!(facts.version, version);
        assert_eq!(facts.store == mirrorwatch::observation::ImageStore::Containerd, store.is_some());
    }
}
