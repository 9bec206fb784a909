//! mirrors.toml is edited while the service runs: what takes effect, how soon, and what is kept.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "a test plays the editors that truncate and write")]

mod host;
#[expect(dead_code, reason = "the fakes are shared by several tests, and each uses a part")]
mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::thread::sleep;
use std::time::{Duration, Instant};

use mirrorwatch::assembly::now;
use mirrorwatch::timestamp::Timestamp;
use rustix::process::Signal;
use serde_json::Value;

use host::{Host, Service, Toml, kinds};
use support::certificate::{Certificate, authority_pem};
use support::registry::{Options, Registry, at_speed};

/// So soon an edit takes effect.
const SOON: Duration = Duration::from_secs(2);

/// Until the published status is so; from now on, which is when the editor is done.
#[track_caller]
fn soon(host: &Host, what: &str, done: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    let status = host.wait_for_status(what, done);
    assert!(start.elapsed() <= SOON, "{what} took {:?}", start.elapsed());
    status
}

/// The mirror at this URL, whatever its name.
fn at<'a>(status: &'a Value, registry: &Registry) -> Option<&'a Value> {
    status["mirrors"].as_array()?.iter().find(|mirror| mirror["url"] == registry.url())
}

fn is_live(status: &Value, registry: &Registry) -> bool {
    at(status, registry).is_some_and(|mirror| mirror["verdict"] == "live")
}

fn is_valid(status: &Value) -> bool {
    status["service"]["config"]["valid"] == true
}

/// What the record has counted: it only grows, unless the record is lost.
fn requests(status: &Value, registry: &Registry) -> u64 {
    at(status, registry).and_then(|mirror| mirror["budget"]["requests_today"].as_u64()).unwrap_or(0)
}

/// How editors and programs write.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// `echo >`: truncates and writes.
    InPlace,
    /// Most editors, `sed -i`, configuration management.
    Rename,
    /// What formats on save: the text, and a moment later the text once more.
    Twice,
    /// vim with a backup: the old one is moved away, a new one is made.
    Backup,
    /// Gone for a moment, longer than any editor is silent within one save.
    Gone,
    /// A link to elsewhere, as of a checkout; once it is there, the file that it leads to is edited in its place.
    Link,
}

/// A link stays, so it is the last.
const WAYS: [Way; 6] = [Way::InPlace, Way::Rename, Way::Twice, Way::Backup, Way::Gone, Way::Link];

fn write(host: &Host, way: Way, text: &str) {
    let file = host.config();
    match way {
        Way::InPlace => fs::write(&file, text).unwrap(),
        Way::Rename => host.write(text),
        Way::Twice => {
            fs::write(&file, format!("{text}\n\n")).unwrap();
            sleep(Duration::from_millis(50));
            fs::write(&file, text).unwrap();
        }
        Way::Backup => {
            fs::rename(&file, host.at("etc/mirrors.toml~")).unwrap();
            fs::write(&file, text).unwrap();
        }
        Way::Gone => {
            host.wait_for_status("a list in place", |status| status["engines"][0]["state"] == "in_place");
            let before = host.engine.mirrors();
            fs::remove_file(&file).unwrap();
            soon(host, "the file that is gone", |status| !is_valid(status));
            assert_eq!(host.engine.mirrors(), before, "nothing is changed for that");
            fs::write(&file, text).unwrap();
        }
        Way::Link => {
            let (target, link) = (host.at("elsewhere.toml"), host.at("etc/new"));
            fs::write(&target, text).unwrap();
            if !file.is_symlink() {
                symlink(&target, &link).unwrap();
                fs::rename(&link, &file).unwrap();
            }
        }
    }
}

/// One edit: what it is, what it makes of the text, and how it shows.
struct Edit {
    what: &'static str,
    text: Toml,
    shows: Box<dyn Fn(&Value) -> bool>,
}

fn due(status: &Value, registry: &Registry) -> Option<Duration> {
    let next: Timestamp = at(status, registry)?["next_probe"].as_str()?.parse().ok()?;
    Some(next.since(now()))
}

/// The edits of a day, each on top of the one before; the last leads back to the first.
fn edits(a: &'static Registry, b: &'static Registry) -> (Toml, Vec<Edit>) {
    let named = |name: &str| Toml::of(&[(name, a)]);
    let both = |more: &str| named("Alpha").mirror("B", &b.url(), more);
    let slow = Toml { schedule: "connect = \"5h\"\nsample = \"5h\"\nrehearse = \"5h\"\n", ..both("") };
    let one_place = Toml { select: "compare_upstream = false\nmax = 1\n".to_owned(), ..both("") };
    let edit = |what, text, shows: Box<dyn Fn(&Value) -> bool>| Edit { what, text, shows };
    let has_name = |name: &'static str| -> Box<dyn Fn(&Value) -> bool> {
        Box::new(move |status| at(status, a).is_some_and(|mirror| mirror["name"] == name))
    };
    let has_reason = |kind: &'static str| -> Box<dyn Fn(&Value) -> bool> {
        Box::new(move |status| at(status, b).is_some_and(|mirror| kinds(mirror).contains(&kind.to_owned())))
    };
    let edits = vec![
        edit("renamed", named("Alpha"), has_name("Alpha")),
        edit("added", both(""), Box::new(|status| is_live(status, b))),
        edit("disabled", both("enabled = false"), has_reason("disabled")),
        edit("enabled", both(""), Box::new(|status| is_live(status, b))),
        edit("a group that takes no part", both("group = \"mine\""), has_reason("disabled")),
        edit("no group", both(""), Box::new(|status| is_live(status, b))),
        edit("a slow schedule", slow, Box::new(|status| due(status, a) > Some(Duration::from_secs(600)))),
        edit("a quick schedule", both(""), Box::new(|status| due(status, a) < Some(Duration::from_secs(5)))),
        edit("one place", one_place, has_reason("not_selected")),
        edit("three places", both(""), Box::new(|status| at(status, b).is_some_and(|b| b["selected"] == 2))),
        edit("removed", named("Alpha"), Box::new(|status| at(status, b).is_none())),
        edit("renamed back", named("A"), has_name("A")),
    ];
    (named("A"), edits)
}

#[test]
fn every_edit_shows_within_two_seconds_however_it_is_written_and_no_record_is_lost() {
    // For the length of the process, so that the table can speak of them.
    let a: &'static Registry = Box::leak(Box::new(at_speed(20_000_000)));
    let b: &'static Registry = Box::leak(Box::new(at_speed(4_000_000)));
    let (first, edits) = edits(a, b);
    let host = Host::new(&first);
    let _service = host.serve();
    host.wait_for(&[a]);
    let (mut asked_of_a, mut asked_of_b) = (0, 0);
    for way in WAYS {
        for Edit { what, text, shows } in &edits {
            write(&host, way, &host.text_of(text));
            let status = soon(&host, &format!("{way:?}: {what}"), |status| is_valid(status) && shows(status));
            assert!(is_live(&status, a), "{way:?}: {what}: A is what it was");
            assert!(requests(&status, a) >= asked_of_a, "{way:?}: {what}: A's record is another");
            asked_of_a = requests(&status, a);
            if at(&status, b).is_some() {
                assert!(requests(&status, b) >= asked_of_b, "{way:?}: {what}: B's record is another");
                asked_of_b = requests(&status, b);
            }
        }
    }
    assert!(asked_of_a > 0 && asked_of_b > 0);
    host.wait_for(&[a]);
}

#[test]
fn an_invalid_edit_changes_nothing_and_its_line_and_column_are_shown_until_it_is_mended() {
    let a = at_speed(20_000_000);
    let toml = Toml::of(&[("A", &a)]);
    let host = Host::new(&toml);
    let _service = host.serve();
    host.wait_for(&[&a]);
    let valid = host.text_of(&toml);
    let lines = valid.lines().count();
    let with = |more: &str| format!("{valid}{more}");
    for (what, text, place) in [
        ("no TOML", with("[[mirror\n"), format!("mirrors.toml:{}:9: ", lines + 1)),
        ("an unknown key", with("colour = 1\n"), format!("mirrors.toml:{}:1: ", lines + 1)),
        (
            "a wrong value",
            valid.replace("[select]\n", "[select]\nmax = \"three\"\n"),
            format!("mirrors.toml:{}:7: ", valid.lines().position(|line| line == "[select]").unwrap() + 2),
        ),
        (
            "a path",
            with("[[mirror]]\nname = \"P\"\nurl = \"https://p.example/v2\"\n"),
            format!("mirrors.toml:{}:", lines + 3),
        ),
        ("nothing", String::new(), "mirrors.toml:1:1: ".to_owned()),
    ] {
        let (before, reloads) = (host.status(), host.engine.reloads());
        write(&host, Way::InPlace, &text);
        let status = soon(&host, what, |status| !is_valid(status));
        let error = status["service"]["config"]["error"].as_str().unwrap();
        assert!(error.contains(&place) && !error.contains('\n'), "{what}: {error}, and not {place}");
        let shown = host.run(&["status"]).ended(1).out;
        assert!(shown.contains(&place), "{what}: {shown}");
        // It goes on as before: on the old schedule, with the old list.
        host.wait_for_rehearsals("A", 1);
        let after = host.status();
        assert_eq!(at(&after, &a).unwrap()["selected"], 1, "{what}");
        assert!(requests(&after, &a) >= requests(&before, &a), "{what}");
        assert_eq!((host.engine.mirrors(), host.engine.reloads()), (vec![a.url()], reloads), "{what}");
        write(&host, Way::InPlace, &valid);
        soon(&host, "mended", |status| is_valid(status) && status["service"]["config"]["error"].is_null());
        host.run(&["status"]).ended(0);
    }
}

#[test]
fn an_edit_that_is_made_while_the_service_starts_takes_effect_too() {
    let a = at_speed(20_000_000);
    let host = Host::new(&Toml::of(&[("A", &a)]));
    // What is watched changes once the engine has said where its file is, which is in the first moments.
    for turn in 0..8 {
        let service = host.serve();
        let start = Instant::now();
        while host.status()["service"]["pid"] != service.pid() {
            assert!(start.elapsed() < Duration::from_secs(60), "{}", host.log());
        }
        let name = format!("A{turn}");
        write(&host, Way::InPlace, &host.text_of(&Toml::of(&[(&name, &a)])));
        host.wait_for_status(&name, |status| at(status, &a).is_some_and(|mirror| mirror["name"] == name));
    }
}

#[test]
fn authorities_that_are_not_there_are_an_invalid_edit_until_they_are() {
    let a = at_speed(20_000_000);
    let toml = Toml::of(&[("A", &a)]);
    let host = Host::new(&toml);
    let mut service = host.serve();
    host.wait_for(&[&a]);
    let file = host.at("ca.pem");
    let probe = format!("ca_file = \"{}\"\n{}", file.display(), toml.probe);
    host.configure(&Toml { probe, ..toml.clone() });
    let status = soon(&host, "no such file", |status| !is_valid(status));
    let error = status["service"]["config"]["error"].as_str().unwrap();
    assert!(error.contains("mirrors.toml:2:11: cannot be used as certificates (PEM): "), "{error}");
    host.run(&["check"]).ended(78);
    let shown = host.run(&["status", "--lang", "zh"]).ended(1).out;
    assert!(shown.contains("mirrors.toml:2:11: 无法用作 PEM 证书："), "{shown}");
    host.wait_for_rehearsals("A", 1);
    assert_eq!(host.engine.mirrors(), [a.url()]);
    // Without it, it would not start; and that is said while it is down.
    assert_eq!(service.end(Signal::TERM), Some(0));
    let shown = host.run(&["status"]).ended(1).out;
    assert!(shown.contains("would not start") && shown.contains("mirrors.toml:2:11: "), "{shown}");
    host.configure(&toml);
    let _service = host.serve();
    host.wait_for_status("it is back", |status| status["service"]["state"] == "running" && is_valid(status));
    host.configure(&Toml { probe: format!("ca_file = \"{}\"\n{}", file.display(), toml.probe), ..toml });
    soon(&host, "no such file", |status| !is_valid(status));
    let authority = rcgen::generate_simple_self_signed(["ca.example".to_owned()]).unwrap();
    fs::write(&file, authority.cert.pem()).unwrap();
    host.wait_for_status("the file is there", is_valid);
}

#[test]
fn authorities_that_are_renewed_in_their_place_are_trusted_at_once_and_those_before_as_long_as_they_are_of_no_use()
 {
    let (a, b) = (Registry::start(secured()), at_speed(4_000_000));
    // In an hour of it nothing is due but what this edit makes due.
    let schedule = "connect = \"5h\"\nsample = \"5h\"\nrehearse = \"5h\"\n";
    let toml = Toml { schedule, ..Toml::of(&[("A", &a), ("B", &b)]) };
    let host = Host::new(&toml);
    let file = host.at("ca.pem");
    let other = rcgen::generate_simple_self_signed(["ca.example".to_owned()]).unwrap();
    fs::write(&file, other.cert.pem()).unwrap();
    host.configure(&Toml { probe: format!("ca_file = \"{}\"\n{}", file.display(), toml.probe), ..toml });
    let _service = host.serve();
    host.wait_for(&[&b]);
    let untrusted = |status: &Value| at(status, &a).is_some_and(|a| kinds(a) == ["tls_untrusted"]);
    host.wait_for_status("nobody trusts A", untrusted);
    fs::write(&file, authority_pem()).unwrap();
    host.wait_for_status("A is trusted", |status| is_live(status, &a));
    fs::write(&file, "no certificate").unwrap();
    let status = soon(&host, "a file of no use", |status| !is_valid(status));
    assert!(status["service"]["config"]["error"].as_str().unwrap().contains("(PEM)"), "{status}");
    fs::write(&file, authority_pem()).unwrap();
    soon(&host, "a file of use", is_valid);
    assert!(is_live(&host.status(), &a));
}

fn secured() -> Options {
    Options { tls: Some(Certificate::Good(Vec::new())), speed: Some(20_000_000), ..Options::default() }
}

#[test]
fn a_mistake_that_stays_for_months_costs_the_engine_no_look_and_the_log_no_line() {
    let a = at_speed(20_000_000);
    let toml = Toml::of(&[("A", &a)]);
    let host = Host::new(&toml);
    let _service = host.serve();
    host.wait_for(&[&a]);
    let file = host.at("ca.pem");
    host.configure(&Toml { probe: format!("ca_file = \"{}\"\n{}", file.display(), toml.probe), ..toml });
    soon(&host, "no such file", |status| !is_valid(status));
    fs::write(host.at("state/pause.json"), "no pause").unwrap();
    host.wait("the word about it", || host.log().contains("pause.json"));
    let (looks, lines) = (host.engine.looks(), complaints(&host));
    host.wait_for_rehearsals("A", 10);
    assert!(host.engine.looks() <= looks + 1, "{} looks\n{}", host.engine.looks() - looks, host.log());
    assert_eq!(complaints(&host), lines, "{}", host.log());
}

/// How many lines of the log are about what somebody should mend.
fn complaints(host: &Host) -> usize {
    host.log().lines().filter(|line| line.contains(" WARN ") || line.contains(" ERROR ")).count()
}

/// One edit of each kind that must be noticed, where noticing is difficult.
fn notices(host: &Host, a: &Registry, b: &Registry) {
    host.wait_for(&[a]);
    for way in [Way::InPlace, Way::Rename] {
        write(host, way, &host.text_of(&Toml::of(&[("Alpha", a), ("B", b)])));
        soon(host, &format!("{way:?}: added and renamed"), |status| at(status, b).is_some());
        write(host, way, &host.text_of(&Toml::of(&[("A", a)])));
        soon(host, &format!("{way:?}: removed"), |status| is_valid(status) && at(status, b).is_none());
    }
    fs::create_dir(host.at("etc/mirrors.d")).unwrap();
    fs::write(
        host.at("etc/mirrors.d/own.toml"),
        format!("[[mirror]]\nname = \"B\"\nurl = \"{}\"\n", b.url()),
    )
    .unwrap();
    soon(host, "a drop-in", |status| at(status, b).is_some());
    assert!(is_live(&host.status(), a) && requests(&host.status(), a) > 0);
}

#[test]
fn where_the_kernel_gives_no_watch_edits_are_seen_by_polling() {
    for limit in ["max_inotify_watches", "max_inotify_instances"] {
        let (a, b) = (at_speed(20_000_000), at_speed(4_000_000));
        let host = Host::new(&Toml::of(&[("A", &a)]));
        // In a user namespace, so that nobody else feels it.
        let script = format!("echo 0 > /proc/sys/user/{limit} && exec \"$0\" \"$@\"");
        let _service = host.serve_under(&["unshare", "--user", "--map-root-user", "sh", "-c", &script]);
        notices(&host, &a, &b);
        assert!(
            host.log().contains("notification fails"),
            "{limit}: it could watch after all\n{}",
            host.log()
        );
    }
}

/// More events than the kernel keeps for the service, which sleeps meanwhile.
fn overflow(host: &Host) {
    let most: usize =
        fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
    let other = host.at("etc/other");
    for _ in 0..most {
        // Two events at least; equal ones in a row would be one.
        fs::write(&other, "").unwrap();
        fs::remove_file(&other).unwrap();
    }
}

#[test]
fn an_edit_that_is_lost_in_an_overflow_is_seen_all_the_same() {
    let (a, b) = (at_speed(20_000_000), at_speed(4_000_000));
    let host = Host::new(&Toml::of(&[("A", &a)]));
    let service: Service = host.serve();
    host.wait_for(&[&a]);
    // The engine's file was just written, and the look that follows would see the edit too: it comes within the
    // longest that a writer is waited for.
    sleep(Duration::from_millis(1500));
    service.signal(Signal::STOP);
    overflow(&host);
    host.configure(&Toml::of(&[("A", &a), ("B", &b)]));
    service.signal(Signal::CONT);
    soon(&host, "the edit behind the overflow", |status| at(status, &b).is_some());
}
