//! `mirrorwatch history`: what was observed, and what was switched.

use std::time::Duration;

use serde::Serialize;

use super::Global;
use super::exit::{Error, Exit};
use super::out::Out;
use super::recorded::{Recorded, unreadable};
use crate::assembly;
use crate::daemon::view;
use crate::observation::{Depth, Stage};
use crate::reason::FailureKind;
use crate::status::json::{Layout, to_string};
use crate::status::{StagesMs, Switch};
use crate::store::{Key, Store};
use crate::timestamp::Timestamp;

pub mod text;

/// The version of the JSON's shape; fields are added under the same number, and never change or go.
pub const SCHEMA: u32 = 1;

/// How far back is looked unless it is said.
pub const SINCE: Duration = Duration::from_secs(24 * 3600);

/// What happened in a span of time, the oldest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct History {
    /// [`SCHEMA`].
    pub schema: u32,
    /// From when on.
    pub since: Timestamp,
    /// Every probe that is still kept.
    pub observations: Vec<Seen>,
    /// Every change of an engine's list.
    pub switches: Vec<Switch>,
}

/// One probe.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Seen {
    /// When it began.
    pub at: Timestamp,
    /// What people call the mirror; null when it is no candidate any more.
    pub name: Option<String>,
    /// Where it is.
    pub url: String,
    /// Which registry it mirrors.
    pub upstream: String,
    /// How far the probe went.
    pub depth: Depth,
    /// What it asked for; null at depth connect.
    pub image: Option<String>,
    /// `served`, or the failure of the closed list.
    pub outcome: Outcome,
    /// At which step it failed.
    pub stage: Option<Stage>,
    /// More about the failure, in English; may be empty.
    pub detail: String,
    /// How long each step took.
    pub stages_ms: StagesMs,
    /// Speed of a layer after its first byte.
    pub bytes_per_second: Option<f64>,
    /// Requests to the mirror's own host.
    pub requests: u32,
    /// Answers of 403, 404, 429 or 5xx among them.
    pub refusals: u32,
    /// Bytes read.
    pub bytes: u64,
    /// Whether it was held neither for nor against the mirror.
    pub forgiven: bool,
}

/// How a probe ended, as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything asked was served.
    Served,
    /// It was not, and why.
    Failed(FailureKind),
}

impl Serialize for Outcome {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Served => "served",
            Self::Failed(kind) => kind.as_str(),
        })
    }
}

/// Prints it.
///
/// # Errors
/// There is no such mirror, or what was recorded cannot be read.
pub fn history(
    global: &Global,
    name: Option<&str>,
    since: Option<Duration>,
    json: bool,
    now: Timestamp,
    out: &mut Out,
) -> Result<Exit, Error> {
    let recorded = Recorded::read(global, now)?;
    // A name that nobody has is a slip at the keyboard, as for `probe`; that nothing was seen is an answer.
    let slip = |error| Error { exit: Exit::Usage, ..error };
    let only = name.map(|name| recorded.find_asked(global, name).map_err(slip)).transpose()?;
    let key = only.as_ref().map(assembly::key);
    let since = now - since.unwrap_or(SINCE);
    let names = |url: &crate::mirror::MirrorUrl| recorded.name_of(url).map(str::to_owned);
    let history = match &recorded.store {
        Some(store) => History {
            schema: SCHEMA,
            since,
            observations: observations(store, key.as_ref(), since, names),
            switches: switches(
                store,
                only.as_ref().map(|mirror| (mirror.url.as_str(), &*mirror.name)),
                since,
            ),
        },
        None => History { schema: SCHEMA, since, observations: Vec::new(), switches: Vec::new() },
    };
    if let Some(setback) = recorded.store.as_ref().and_then(Store::setback) {
        return Err(unreadable(global, &setback));
    }
    let text = if json {
        to_string(&history, Layout::Indented)
    } else {
        let terms = text::Terms {
            lang: global.lang,
            width: out.size().0,
            color: out.color(),
            gather: if only.is_some() { text::Gather::Connects } else { text::Gather::All },
        };
        let name_of = |url: &str| names_of(&recorded, url);
        text::render(&history, name_of, terms)
    };
    out.print(&text)?;
    Ok(Exit::Ok)
}

fn names_of(recorded: &Recorded, url: &str) -> String {
    let known = url.parse().ok().and_then(|url| recorded.name_of(&url).map(str::to_owned));
    known.unwrap_or_else(|| url.to_owned())
}

/// The probes since then, of one mirror or of all, the oldest first.
pub(super) fn observations(
    store: &Store,
    key: Option<&Key>,
    since: Timestamp,
    name_of: impl Fn(&crate::mirror::MirrorUrl) -> Option<String>,
) -> Vec<Seen> {
    let seen = store.observations(key, since).into_iter().map(|(key, observation)| {
        let failure = observation.failure();
        Seen {
            at: observation.at,
            name: name_of(&key.url),
            url: key.url.to_string(),
            upstream: key.upstream,
            depth: observation.depth,
            image: observation.image.as_ref().map(ToString::to_string),
            outcome: failure.map_or(Outcome::Served, |failure| Outcome::Failed(failure.kind)),
            stage: failure.map(|failure| failure.stage),
            detail: failure.map(|failure| failure.detail.clone()).unwrap_or_default(),
            stages_ms: observation.stages.into(),
            bytes_per_second: observation.bytes_per_second,
            requests: observation.spent.requests,
            refusals: observation.spent.refusals,
            bytes: observation.spent.bytes,
            forgiven: observation.forgiven,
        }
    });
    seen.collect()
}

/// The changes since then, of all or those that one mirror took part in, the oldest first.
pub(super) fn switches(store: &Store, of: Option<(&str, &str)>, since: Timestamp) -> Vec<Switch> {
    let all = store.switches(usize::MAX).into_iter().map(view::switch);
    let mut switches: Vec<Switch> = all
        .filter(|switch| switch.at >= since && of.is_none_or(|(url, name)| concerns(switch, url, name)))
        .collect();
    switches.reverse();
    switches
}

/// Whether a mirror came, went, moved, or was what the change was about.
fn concerns(switch: &Switch, url: &str, name: &str) -> bool {
    let place = |list: &[String]| list.iter().position(|entry| entry.trim_end_matches('/') == url);
    place(&switch.from) != place(&switch.to) || switch.subject.as_deref() == Some(name)
}
