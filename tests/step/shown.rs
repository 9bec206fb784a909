//! What a probe sees, word by word, for worlds in which more counts than how fast a mirror is.

use std::time::Duration;

use mirrorwatch::image::{Digest, Image};
use mirrorwatch::observation::{Depth, Failure, Observation, Outcome, Quirk, Stage};
use mirrorwatch::reason::FailureKind;

use super::mood::{Asking, time};

/// What is seen this time: `stalled; 4MiB/s` is once this and then that.
pub(super) fn answer(words: &str, asking: &Asking<'_>) -> Observation {
    let turns: Vec<&str> = words.split(';').collect();
    let mut seen = Observation::new(asking.at, asking.depth);
    for word in turns[asking.turn.min(turns.len() - 1)].split_whitespace() {
        take(&mut seen, word, asking);
    }
    complete(&mut seen, asking);
    seen
}

fn take(seen: &mut Observation, word: &str, asking: &Asking<'_>) {
    let speed = |speed: &str| Some(speed.parse::<f64>().expect("a speed"));
    if let Some((key, value)) = word.split_once('=') {
        match key {
            "digest" => seen.digest = Some(Digest::of(value.as_bytes())),
            "created" => seen.created = Some(asking.at - time(value)),
            "sent_to" => drop(seen.sent_to.insert(value.to_owned())),
            "retry_after" => seen.retry_after = Some(time(value)),
            "refuses" | "locks" if value.parse::<Image>().ok().as_ref() != asking.image => {}
            "refuses" => seen.outcome = failed(FailureKind::NotAllowed),
            "locks" => seen.outcome = failed(FailureKind::LoginRequired),
            other => panic!("nothing is seen of {other:?}"),
        }
    } else if let Some(mebibytes) = word.strip_suffix("MiB/s") {
        seen.bytes_per_second = speed(mebibytes).map(|speed| speed * 1024.0 * 1024.0);
    } else if let Some(kibibytes) = word.strip_suffix("KiB/s") {
        seen.bytes_per_second = speed(kibibytes).map(|speed| speed * 1024.0);
    } else if let Some(kind) = FailureKind::ALL.iter().find(|kind| kind.as_str() == word) {
        seen.outcome = failed(*kind);
    } else if let Ok(quirk) = serde_json::from_value::<Quirk>(word.into()) {
        seen.quirks.insert(quirk);
    } else {
        seen.stages.layer = Some(time(word));
    }
}

/// What goes without saying at this depth, and what cannot be seen at it.
fn complete(seen: &mut Observation, asking: &Asking<'_>) {
    let tenth = Some(Duration::from_millis(100));
    seen.image = asking.image.cloned();
    match asking.depth {
        Depth::Connect => {
            // A connection sees no HTTP, so only failures of the connection itself.
            let connection = |failure: &Failure| failure.stage <= Stage::Tls;
            if !seen.failure().is_some_and(connection) {
                seen.outcome = Outcome::Served;
            }
        }
        Depth::Sample => {}
        Depth::Rehearse => (seen.stages.ping, seen.stages.manifest) = (tenth, tenth),
    }
    if asking.depth != Depth::Connect && seen.bytes_per_second.is_some() {
        seen.stages.layer = seen.stages.layer.or(tenth);
    }
}

fn failed(kind: FailureKind) -> Outcome {
    let word = kind.as_str();
    let stage = if word.starts_with("conn") || word.starts_with("tls") || word == "unreachable" {
        Stage::Connect
    } else if matches!(kind, FailureKind::Stalled | FailureKind::TooSlow | FailureKind::Corrupt) {
        Stage::Layer
    } else {
        Stage::Manifest
    };
    Outcome::Failed(Failure { kind, stage, detail: String::new() })
}
