//! One round by hand and what it comes to: the common part of `probe`, `apply` and `add`.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::{CONFIG, PROGRAM};
use super::exit::{Error, Exit};
use super::{Global, note, recorded};
use crate::assembly;
use crate::config::{self, Config, Problem};
use crate::daemon::step::upstream_mirror;
use crate::daemon::view;
use crate::daemon::{self, network::Evidence};
use crate::engine::Facts;
use crate::image::Image;
use crate::mirror::{Mirror, MirrorUrl, UrlError};
use crate::observation::{Depth, Observation, REHEARSAL, Spent};
use crate::ranking::Policy;
use crate::ranking::record::Record;
use crate::ranking::select::{Candidate, Current, Selection, Upstream, select};
use crate::ranking::verdict::Verdict;
use crate::round::{self, Plan};
use crate::status;
use crate::store::Store;
use crate::text::{reason as phrase, round as say};
use crate::timestamp::Timestamp;

/// So many of the images that this host has are asked for in a round by hand.
const LEARNED: usize = 2;

/// What to ask.
pub struct Question<'a> {
    /// Whom; those that take no part are shown and not asked.
    pub mirrors: Vec<Mirror>,
    /// How far.
    pub depth: Depth,
    /// For which images; those of mirrors.toml when empty.
    pub images: Vec<Image>,
    /// What the engine says of itself, where there is one.
    pub facts: Option<&'a Facts>,
    /// The list that the engine has now.
    pub current: Vec<MirrorUrl>,
}

/// What the round came to.
pub struct Judgement {
    /// The ordered list and a verdict for every mirror.
    pub selection: Selection,
    /// What was seen, by mirror.
    pub records: HashMap<MirrorUrl, Record>,
    /// What it cost, by mirror.
    pub spent: HashMap<MirrorUrl, Spent>,
    /// All that is remembered, this round included: what the day has cost.
    pub remembered: HashMap<MirrorUrl, Record>,
    /// Nobody answered, the upstream included: our own network.
    pub network_down: bool,
}

/// mirrors.toml, or the end with code 78 and every error on standard error.
///
/// # Errors
/// It is invalid.
pub fn load(global: &Global, path: &Path) -> Result<Config, Error> {
    config::load(path).map_err(|invalid| invalid_config(global, path, &invalid))
}

/// Why the configuration at `path` cannot be used. Every mistake in it is printed; the error that remains is the
/// last line.
pub fn invalid_config(global: &Global, path: &Path, invalid: &config::Invalid) -> Error {
    let lang = global.lang;
    // What is not there, is no file or may not be read has no mistake in it that anybody could mend.
    if let Some(first) = invalid.diagnostics.first() {
        let all = |problem| invalid.diagnostics.iter().all(|diagnostic| diagnostic.problem == problem);
        let message = say::about(lang, &first.file.display().to_string(), &first.problem.what(lang));
        if all(Problem::Forbidden) {
            return Error::new(Exit::NotPermitted, message);
        }
        if all(Problem::Missing) || all(Problem::Directory) {
            let hint = first.problem.hint(lang).unwrap_or_default();
            return Error::new(Exit::Config, message).with_hint(hint);
        }
    }
    print(global, invalid);
    let message = match invalid.diagnostics.len() {
        1 => say::one_mistake(lang),
        count => say::mistakes(lang, count),
    };
    let command = if path == Path::new(CONFIG) {
        format!("{PROGRAM} check")
    } else {
        format!("{PROGRAM} check {}", path.display())
    };
    Error::new(Exit::Config, message).with_hint(say::mend_config(lang, &command))
}

/// Prints every mistake.
pub fn print(global: &Global, invalid: &config::Invalid) {
    let color = super::color_of_stderr(global);
    for diagnostic in &invalid.diagnostics {
        super::say_error(&diagnostic.render(global.lang, color));
    }
}

/// Says what is known against the host of a mirror that somebody asks for.
pub fn warn_of_known(global: &Global, url: &MirrorUrl) {
    if let Some(known) = config::known::lookup(url.host()) {
        let what = known.what(global.lang, url.host());
        note(global, &say::known_host(global.lang, &what, &known.hint(global.lang)));
    }
}

/// A name that no mirror has, and which may have been meant.
pub fn no_such_mirror(global: &Global, exit: Exit, said: &str, mirrors: &[Mirror]) -> Error {
    let path = global.config.display().to_string();
    let hint = match config::local::meant(said, mirrors) {
        Some(meant) => say::did_you_mean(global.lang, &meant.name, &path),
        None => say::names_are_in(global.lang, &path),
    };
    Error::new(exit, say::no_such_mirror(global.lang, &status::safe::line(said))).with_hint(hint)
}

/// A URL that was typed and is none, as mirrors.toml would be told.
pub fn not_a_url(global: &Global, said: &str, error: UrlError, exit: Exit) -> Error {
    let problem = Problem::Url { error, said: said.to_owned() };
    let explained = Error::new(exit, problem.what(global.lang));
    match problem.hint(global.lang) {
        Some(hint) => explained.with_hint(hint),
        None => explained,
    }
}

/// Asks everybody and judges by this round alone: whoever asks by hand wants to know what is so now.
///
/// # Errors
/// No probe could be made.
pub async fn judge(
    global: &Global,
    config: &Config,
    store: &Store,
    question: Question<'_>,
) -> Result<Judgement, Error> {
    let mut policy = Policy { rounds: 1, hold: Duration::ZERO, ..assembly::policy(config, question.facts) };
    if question.images.is_empty() {
        // Those of mirrors.toml, and of this host's own the most recent: a round by hand is not to ask for fifty.
        policy.images.truncate(config.probe.images.len() + LEARNED);
    } else {
        policy.images = question.images;
    }
    let images = policy.images.clone();
    let prober =
        assembly::prober(config, question.facts).map_err(|error| Error::failed(error.text(global.lang)))?;
    let mut asked: Vec<Mirror> =
        question.mirrors.iter().filter(|mirror| mirror.takes_part()).cloned().collect();
    let upstream =
        assembly::upstream(config).filter(|_| question.depth != Depth::Connect).map(upstream_mirror);
    asked.extend(upstream.clone());
    let urls: Vec<MirrorUrl> = asked.iter().map(|mirror| mirror.url.clone()).collect();
    if question.depth != Depth::Connect {
        warn_of_manners(global, config, store, &asked);
    }

    let bar = bar(global, urls.len());
    let names: HashMap<&MirrorUrl, &str> = asked.iter().map(|mirror| (&mirror.url, &*mirror.name)).collect();
    let plan = Plan { depth: question.depth, images };
    let seen = round::ask(Rc::new(prober), &urls, &plan, |url, observation| {
        bar.inc(1);
        let word = match observation.failure() {
            None => say::answered(global.lang),
            Some(failure) => phrase::reason(global.lang, failure.kind.into()).to_owned(),
        };
        bar.set_message(say::about(global.lang, names.get(url).unwrap_or(&url.as_str()), &word));
    })
    .await;
    bar.finish_and_clear();

    let network_down =
        !seen.is_empty() && !seen.iter().any(|(url, observation)| Evidence::of(url, observation).is_answer());
    let mut records: HashMap<MirrorUrl, Record> = HashMap::new();
    let mut spent: HashMap<MirrorUrl, Spent> = HashMap::new();
    for (url, observation) in &seen {
        let record = records.entry(url.clone()).or_default();
        record.observe(observation, &policy);
        record.asked(observation.at, observation);
        add(spent.entry(url.clone()).or_default(), observation);
    }
    let held = if network_down { Held::AgainstNobody } else { Held::AgainstEach(&policy) };
    let refusals = assembly::settings(config, None).allowance.refusals_per_2_days;
    let remembered = write_down(&global.state_dir, store, held, &asked, &seen, refusals);
    recorded::tell_of_loss(global, store);
    let none = Record::default();
    let candidates: Vec<Candidate<'_>> = question
        .mirrors
        .iter()
        .map(|mirror| Candidate { mirror, record: records.get(&mirror.url).unwrap_or(&none) })
        .collect();
    let yardstick = upstream
        .as_ref()
        .map_or(Upstream::NotCompared, |mirror| Upstream::Record(records.get(&mirror.url).unwrap_or(&none)));
    let current = Current { list: &question.current, last_faster: None, provisional: false };
    let selection = select(assembly::now(), &policy, &candidates, yardstick, &current);
    Ok(Judgement { selection, records, spent, remembered, network_down })
}

/// Says who had rather not be asked now. By hand they are all the same: somebody is waiting for the answer.
fn warn_of_manners(global: &Global, config: &Config, store: &Store, asked: &[Mirror]) {
    let (lang, now) = (global.lang, assembly::now());
    let records = assembly::records(store);
    let allowance = assembly::settings(config, None).allowance;
    for mirror in asked {
        let Some(record) = records.get(&mirror.url) else { continue };
        let name = status::safe::line(&mirror.name);
        if let Some(until) = record.resting(now) {
            note(global, &say::rests(lang, &name, &status::text::moment(until, now)));
        }
        let spent = record.spent(now);
        if allowance.is_short(spent) {
            let counts = [
                format!("{}/{}", spent.requests_today, allowance.requests_per_day),
                format!("{}/{}", spent.refusals_2_days, allowance.refusals_per_2_days),
                format!(
                    "{}/{}",
                    status::text::mebibytes(spent.bytes_today),
                    status::text::mebibytes(allowance.bytes_per_day)
                ),
            ];
            let [requests, refusals, bytes] = counts;
            let bytes_of_one = status::text::mebibytes(REHEARSAL.bytes);
            let cost = say::cost(lang, REHEARSAL.requests, &bytes_of_one, REHEARSAL.refusals);
            note(global, &say::budget_is_short(lang, &name, &requests, &bytes, &refusals, &cost));
        }
    }
    // In one line: who asks again and again asks everybody again. A `probe` and the `apply` after it are no haste.
    let lately = asked_lately(store, &records, now, allowance.minute);
    let count = |mirror: &&Mirror| lately.get(&mirror.url).copied().unwrap_or_default();
    let hurried = asked.iter().filter(|mirror| count(mirror) > allowance.requests_per_minute);
    let names: Vec<String> = hurried.map(|mirror| status::safe::line(&mirror.name).to_string()).collect();
    if !names.is_empty() {
        let minute = status::text::length(lang, allowance.minute);
        note(global, &say::asked_in_haste(lang, &names.join(", "), allowance.requests_per_minute, &minute));
    }
}

/// The requests of so long before `now`, by mirror. The record has them all, but a service that runs takes over what is
/// asked by hand only when it looks at its engine, every few minutes; what is logged at once has those of whole probes.
fn asked_lately(
    store: &Store,
    records: &HashMap<MirrorUrl, Record>,
    now: Timestamp,
    window: Duration,
) -> HashMap<MirrorUrl, u32> {
    let mut logged: HashMap<MirrorUrl, u32> = HashMap::new();
    for (key, observation) in store.observations(None, now - window) {
        *logged.entry(key.url).or_default() += observation.spent.requests;
    }
    for (url, record) in records {
        let recorded: u32 = record.asked_lately(now, window).map(|(_, requests)| requests).sum();
        let known = logged.entry(url.clone()).or_default();
        *known = recorded.max(*known);
    }
    logged
}

/// Whom the answers of a round are held for or against.
#[derive(Clone, Copy)]
enum Held<'a> {
    /// Each its own mirror, judged so.
    AgainstEach(&'a Policy),
    /// Our network was down: they only count as asked.
    AgainstNobody,
}

/// A round by hand counts against the budget, and for the records; without the right to write, it still runs. Gives all
/// that is remembered then.
fn write_down(
    state: &Path,
    store: &Store,
    held: Held<'_>,
    asked: &[Mirror],
    seen: &[(MirrorUrl, Observation)],
    refusals: u32,
) -> HashMap<MirrorUrl, Record> {
    // A running service keeps the records, and hears of what was logged.
    let alone = !daemon::is_running(state);
    let forgiven = alone && matches!(held, Held::AgainstNobody);
    let ended = assembly::now();
    let mut records = assembly::records(store);
    store.batch(|store| {
        for (url, observation) in seen {
            let Some(mirror) = asked.iter().find(|mirror| mirror.url == *url) else { continue };
            let key = assembly::key(mirror);
            store.log(&key, &Observation { forgiven, ..observation.clone() });
            let record = records.entry(url.clone()).or_default();
            if let Held::AgainstEach(policy) = held {
                let failed = record.failed_rehearsals();
                record.observe(observation, policy);
                record.failed_at_most(failed);
            }
            record.asked_by_hand(ended, observation, refusals);
            if let Ok(json) = serde_json::to_string(record)
                && alone
            {
                store.save_record(&key, &json, observation.at);
            }
        }
    });
    records
}

impl Judgement {
    /// Says that this round is no one's fault, to who asked what mirrors do.
    pub fn tell_of_network(&self, global: &Global) {
        if self.network_down {
            note(global, &say::network_down(global.lang));
        }
    }

    /// Whether anybody is live.
    pub fn some_live(&self) -> bool {
        self.selection.entries.iter().any(|entry| entry.verdict == Verdict::Live)
    }

    /// The mirrors as they are printed: as this round saw them, and with what was asked of them in the whole day.
    pub fn shown(&self) -> Vec<status::Mirror> {
        let none = Record::default();
        let now = assembly::now();
        let seen = |url| self.records.get(url).unwrap_or(&none);
        let budget = |url| self.remembered.get(url).unwrap_or(&none).spent(now);
        let entries = self.selection.entries.iter();
        entries
            .map(|entry| status::Mirror {
                budget: budget(&entry.url),
                ..view::mirror(entry, seen(&entry.url), now)
            })
            .collect()
    }
}

fn add(sum: &mut Spent, observation: &Observation) {
    sum.requests += observation.spent.requests;
    sum.refusals += observation.spent.refusals;
    sum.bytes += observation.spent.bytes;
}

/// A bar for people; a pipe, `-q` and a log get none.
fn bar(global: &Global, count: usize) -> ProgressBar {
    let target = if global.quiet || !std::io::stderr().is_terminal() {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}").expect("the template is valid");
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    ProgressBar::with_draw_target(Some(count), target).with_style(style)
}
