use std::net::TcpListener;
use std::path::Path;

use tempfile::TempDir;
use tokio::task::yield_now;
use tokio::time::advance;

use super::publishing::UNDER_WAY;
use super::*;
use crate::engine::{LogSource, Outbound};
use crate::observation::{Depth, Failure, ImageStore, Outcome, Stage};
use crate::reason::{FailureKind, ProblemKind};
use crate::status::read::RENEWED;

/// Takes connections and never answers.
fn silent() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn url(mirror: &TcpListener) -> MirrorUrl {
    format!("http://{}", mirror.local_addr().unwrap()).parse().unwrap()
}

fn daemon(place: &TempDir, mirrors: &[TcpListener]) -> Daemon {
    let urls: Vec<String> = mirrors.iter().map(|mirror| url(mirror).to_string()).collect();
    daemon_of(place, &urls, false)
}

/// A daemon without an engine, in a directory of its own.
pub(super) fn daemon_of(place: &TempDir, urls: &[String], unprivileged: bool) -> Daemon {
    let at = |name: &str| place.path().join(name);
    let mut text =
        "[probe]\nproxy = \"none\"\n[select]\ncompare_upstream = false\n[engine.docker]\nenabled = false\n"
            .to_owned();
    for (number, url) in urls.iter().enumerate() {
        text += &format!("[[mirror]]\nname = \"m{number}\"\nurl = \"{url}\"\n");
    }
    std::fs::create_dir(at("run")).unwrap();
    write(&at("mirrors.toml"), &text);
    let places = Places {
        config: at("mirrors.toml"),
        state: at("state"),
        runtime: at("run"),
        unprivileged,
        confined: false,
    };
    let config = config::load(&places.config).unwrap();
    Daemon::new(places, config).unwrap()
}

/// A Docker that uses one mirror of ours, and whose file lists these.
pub(super) fn facts(listed: Option<&[&str]>) -> Facts {
    Facts {
        version: "28.5.2".to_owned(),
        store: ImageStore::Classic,
        mirrors: vec!["https://a.example".to_owned()],
        file: "/nowhere/daemon.json".into(),
        listed: listed.map(|listed| listed.iter().map(ToString::to_string).collect()),
        given: None,
        proxies: Outbound::default(),
        pid: None,
        log: LogSource::Unreadable(String::new()),
        images: None,
        warnings: Vec::new(),
        app: None,
        refusal: None,
    }
}

fn write(path: &Path, text: &str) {
    crate::file::replace(path, text.as_bytes(), None).unwrap();
}

fn seen(daemon: &mut Daemon, mirror: &TcpListener, outcome: Outcome) {
    let observation = Observation { outcome, ..Observation::new(assembly::now(), Depth::Connect) };
    daemon.done(Done::Probed(url(mirror), Box::new(observation)));
}

fn timed_out() -> Outcome {
    let kind = FailureKind::ConnectTimeout;
    Outcome::Failed(Failure { kind, stage: Stage::Connect, detail: String::new() })
}

/// Runs `test` with a daemon that has begun to ask these.
async fn asking(mirrors: &[TcpListener], test: impl AsyncFnOnce(Daemon)) {
    let place = tempfile::tempdir().unwrap();
    LocalSet::new()
        .run_until(async {
            let mut daemon = daemon(&place, mirrors);
            daemon.configured();
            test(daemon).await;
        })
        .await;
}

#[tokio::test]
async fn what_comes_first_after_a_sleep_is_held_against_nobody() {
    for (seconds, holds) in [(0, true), (3600, false)] {
        let mirrors = [silent(), silent()];
        asking(&mirrors, async |mut daemon| {
            // That somebody answers makes the failure of the other one its own.
            seen(&mut daemon, &mirrors[0], Outcome::Served);
            daemon.sleep.through(seconds);
            seen(&mut daemon, &mirrors[1], timed_out());
            let record = &daemon.state.track(&url(&mirrors[1])).unwrap().record;
            assert_eq!(record.failing().is_some(), holds, "after {seconds} s of sleep");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_is_renewed_also_when_there_is_no_news() {
    asking(&[silent()], async |mut daemon| {
        daemon.publish();
        assert_eq!(daemon.publishes_at(), Some(Instant::now() + RENEWED));
        advance(RENEWED).await;
        daemon.tick();
        assert_eq!(daemon.publishes_at(), Some(Instant::now() + RENEWED), "it is, and once");
        // Nor does what may wait until nobody is being asked put it off.
        daemon.publish_at = Some(Instant::now() + 2 * RENEWED);
        assert_eq!(daemon.publishes_at(), Some(Instant::now() + RENEWED));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_ends_soon_is_shown_once_and_at_once() {
    let mirrors = [silent()];
    asking(&mirrors, async |mut daemon| {
        let depth = daemon.state.track(&url(&mirrors[0])).unwrap().in_flight;
        assert_eq!(depth, Some(Depth::Rehearse), "it has begun");
        daemon.publish();
        daemon.publish_unless_it_ends();
        assert_eq!(daemon.publishes_at(), Some(Instant::now() + UNDER_WAY));
        advance(Duration::from_secs(1)).await;
        seen(&mut daemon, &mirrors[0], Outcome::Served);
        assert_eq!(daemon.published_at, Some(Instant::now()));
        assert_eq!(daemon.publishes_at(), Some(Instant::now() + RENEWED), "that was all");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_probe_knows_how_long_this_process_did_not_get_to_run_meanwhile() {
    for (seconds, starved) in [(0, 0..=0), (7, 6..=7)] {
        asking(&[silent()], async |mut daemon| {
            // It has begun, and nothing else runs until the clock has moved on.
            yield_now().await;
            advance(Duration::from_secs(seconds)).await;
            let Some(Ok(Done::Probed(_, observation))) = daemon.tasks.join_next().await else {
                panic!("a probe was begun")
            };
            assert!(starved.contains(&observation.starved.as_secs()), "{:?}", observation.starved);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_that_shows_what_is_known_makes_no_status_of_its_own_and_any_other_does() {
    let place = tempfile::tempdir().unwrap();
    LocalSet::new()
        .run_until(async {
            let mut daemon = daemon_of(&place, &["https://a.example".to_owned()], false);
            daemon.step(Event::Listed(vec!["https://a.example".parse().unwrap()]));
            let look = |daemon: &mut Daemon, facts| {
                daemon.publish();
                daemon.verified_at = None;
                daemon.looked(facts);
                daemon.is_news
            };
            assert!(look(&mut daemon, Ok(facts(None))), "the first");
            assert!(!look(&mut daemon, Ok(facts(None))));
            assert!(daemon.verified_at.is_some() && daemon.publish_at.is_none());
            assert!(daemon.look_at >= Instant::now() + engine::LOOK_EARLY);
            for other in [
                Facts { version: "29.0.0".to_owned(), ..facts(None) },
                Facts { mirrors: Vec::new(), ..facts(None) },
                facts(Some(&["https://b.example"])),
            ] {
                assert!(look(&mut daemon, Ok(other.clone())), "{other:?}");
                look(&mut daemon, Ok(facts(None)));
            }
            let problem = || Problem::new(ProblemKind::NoAnswer, "no answer");
            assert!(look(&mut daemon, Err(problem())), "gone");
            assert!(look(&mut daemon, Ok(facts(None))), "back");
        })
        .await;
}

#[test]
fn an_engine_is_looked_at_the_sooner_the_sooner_somebody_waits_for_it() {
    let there = |refusal: Option<ProblemKind>, edited| engine::pause_there(refusal, edited).as_secs();
    assert_eq!(
        there(Some(ProblemKind::PendingEdits), true),
        10,
        "the administrator, who has just reloaded it"
    );
    assert_eq!(there(Some(ProblemKind::ValidationFailed), false), 60, "a person who mends it");
    assert_eq!(
        there(None, true),
        60,
        "an edit that it has taken is forgotten by a busy dockerd within minutes"
    );
    assert_eq!(there(None, false), 300);

    // Through a restart it is looked for at once, and for a night seldom.
    let away = |gone| engine::pause_away(Duration::from_secs(gone)).as_secs();
    assert_eq!([0, 19, 60, 299, 300, 100_000].map(away), [2, 2, 6, 29, 30, 30]);
}
