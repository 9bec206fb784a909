//! `mirrorwatch explain`: everything that is known of one mirror, and what it lacks.

use std::time::Duration;

use super::Global;
use super::exit::{Error, Exit};
use super::history::{Outcome, Seen, observations, switches};
use super::out::Out;
use super::recorded::{Recorded, unreadable};
use crate::assembly;
use crate::config::{Config, Off, Position};
use crate::daemon::terms::{TERMS_FACT, Terms};
use crate::mirror::{DOCKER_HUB, Mirror};
use crate::ranking::record::{Record, Standing};
use crate::ranking::score::Lead;
use crate::status::{self, ServiceState, Switch};
use crate::store::Key;
use crate::timestamp::Timestamp;

pub mod text;

/// Observations are kept for so long.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

const DAY: Duration = Duration::from_secs(24 * 3600);

/// So many failures, and so many switches, are shown; the history has them all.
const LAST: usize = 5;

/// Everything that is known of one mirror.
#[derive(Clone, Debug)]
pub struct Account {
    /// Who.
    pub mirror: Mirror,
    /// How the service judged it last; `None`: it has not.
    pub judged: Option<status::Mirror>,
    /// How many mirrors stand in the list.
    pub listed: usize,
    /// What is remembered of it.
    pub record: Record,
    /// What mirrors are judged by.
    pub terms: Terms,
    /// Whom it would have to overtake next, and how far it has come with that.
    pub before: Option<(String, Lead)>,
    /// How many probes of the last 24 hours were served, how many failed, and how many failures are forgiven.
    pub day: (usize, usize, usize),
    /// Bytes per second of each hour of the last day, oldest first.
    pub spark: Vec<Option<u64>>,
    /// Its first observation that is still kept.
    pub known_since: Option<Timestamp>,
    /// Its last failures, the latest first.
    pub failures: Vec<Seen>,
    /// The last one that is held against it.
    pub last_failure: Option<Timestamp>,
    /// The last switches that it took part in, the latest first.
    pub switches: Vec<Switch>,
    /// What people call the mirrors of those, by URL.
    pub names: Vec<(String, String)>,
    /// What keeps it from taking part, as mirrors.toml stands now.
    pub off: Vec<Off>,
    /// `groups` of `[select]`, and where they are said.
    pub groups: (Vec<String>, Option<Position>),
    /// Whether our own network is down, as far as is known, so that nobody is judged.
    pub network_down: bool,
}

/// Prints it.
///
/// # Errors
/// There is no such mirror, or what was recorded cannot be read.
pub fn explain(global: &Global, name: &str, now: Timestamp, out: &mut Out) -> Result<Exit, Error> {
    let recorded = Recorded::read(global, now)?;
    let mirror = recorded.find(global, name)?.clone();
    let account = account(&recorded, mirror, now);
    if let Some(setback) = recorded.store.as_ref().and_then(crate::store::Store::setback) {
        return Err(unreadable(global, &setback));
    }
    out.tell(&text::render(&account, global.lang, out.color(), now))?;
    Ok(Exit::Ok)
}

fn groups(config: &Config) -> (Vec<String>, Option<Position>) {
    let place = config.said.groups.as_ref();
    (
        config.select.groups.clone(),
        place.map(|place| Position { file: config.path.clone(), line: place.line }),
    )
}

fn account(recorded: &Recorded, mirror: Mirror, now: Timestamp) -> Account {
    let key = Key { upstream: mirror.upstream.clone(), url: mirror.url.clone() };
    let store = recorded.store.as_ref();
    let config = recorded.config.as_ref();
    let records = store.map(assembly::records).unwrap_or_default();
    let terms: Terms = store.and_then(|store| store.fact(TERMS_FACT)).unwrap_or_default();
    let asked = records.get(&mirror.url).filter(|_| mirror.upstream == DOCKER_HUB);
    let record = asked.cloned().unwrap_or_default();
    let listed: Vec<&status::Mirror> = recorded.status.iter().flat_map(status::Status::selected).collect();
    let is_it = |one: &&status::Mirror| (&one.url, &one.upstream) == (&mirror.url, &mirror.upstream);
    let judged = recorded.status.iter().flat_map(|status| &status.mirrors).find(is_it);
    let against = |other: &status::Mirror| {
        let lead = Lead::of((&record, &mirror.url), (records.get(&other.url)?, &other.url), &terms.policy());
        Some((other.name.clone(), lead))
    };
    let before = match judged {
        Some(judged) if record.standing() == Standing::Live => match judged.selected {
            Some(place) => place.checked_sub(2).and_then(|before| against(listed.get(before)?)),
            // The slowest member makes room; where a place is free, nobody has to.
            None if judged.verdict == status::Verdict::Live && listed.len() >= terms.max => {
                let all = listed.iter().filter_map(|member| against(member));
                all.max_by(|(_, one), (_, other)| one.bar.total_cmp(&other.bar))
            }
            None => None,
        },
        Some(_) | None => None,
    };
    let name_of = |_: &_| Some(mirror.name.clone());
    let seen = store.map(|store| observations(store, Some(&key), now - KEPT, name_of)).unwrap_or_default();
    // What lies ahead is what a clock that was set back has left behind.
    let today = || seen.iter().filter(|seen| seen.at <= now && now.since(seen.at) < DAY);
    let served = today().filter(|seen| seen.outcome == Outcome::Served).count();
    let failed = |seen: &&Seen| seen.outcome != Outcome::Served;
    let forgiven = today().filter(failed).filter(|seen| seen.forgiven).count();
    let of_mirror = Some((mirror.url.as_str(), &*mirror.name));
    let switched = store.map(|store| switches(store, of_mirror, Timestamp::default())).unwrap_or_default();
    // Nobody will ask it then.
    let runs = recorded.status.as_ref().is_some_and(|status| {
        status.service.state != ServiceState::Stopped && status.service.silent_ms.is_none()
    });
    let judged = judged.cloned().map(|mut judged| {
        judged.next_probe = judged.next_probe.filter(|_| runs);
        judged
    });
    Account {
        judged,
        listed: listed.len(),
        before,
        day: (served, today().count() - served - forgiven, forgiven),
        spark: record.day(now),
        known_since: seen.first().map(|seen| seen.at),
        last_failure: seen.iter().rev().filter(failed).find(|seen| !seen.forgiven).map(|seen| seen.at),
        failures: seen.iter().rev().filter(failed).take(LAST).cloned().collect(),
        switches: switched.into_iter().rev().take(LAST).collect(),
        off: config
            .and_then(|config| config.stands.get(&mirror.name))
            .map(|it| it.off.clone())
            .unwrap_or_default(),
        groups: config.map(groups).unwrap_or_default(),
        network_down: recorded
            .status
            .as_ref()
            .is_some_and(|status| status.service.network == Some(status::Network::Down)),
        names: recorded.mirrors.iter().map(|one| (one.url.to_string(), one.name.clone())).collect(),
        mirror,
        record,
        terms,
    }
}
