//! `probe`: one round now, which changes nothing.

use serde::Serialize;

use super::exit::{Error, Exit};
use super::judge::{self, Judgement, Question};
use super::out::Out;
use super::{Global, confine, recorded, view};
use crate::assembly;
use crate::config::Config;
use crate::image::Image;
use crate::mirror::{Mirror, MirrorUrl};
use crate::observation::Depth;
use crate::ranking::verdict::Verdict;
use crate::status::json::{Layout, to_string};
use crate::status::{self, SCHEMA};
use crate::store::Store;

/// What was typed.
pub struct Asked {
    /// Names of mirrors.toml, or URLs; none means every mirror that takes part.
    pub mirrors: Vec<String>,
    /// Another image than those of mirrors.toml.
    pub image: Option<Image>,
    /// How far.
    pub depth: Depth,
    /// JSON instead of a table.
    pub json: bool,
}

#[derive(Serialize)]
struct Report {
    schema: u32,
    mirrors: Vec<Line>,
    requests: u32,
    bytes: u64,
}

#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    mirror: status::Mirror,
    requests: u32,
    bytes: u64,
}

/// Asks, prints, and ends with 0 when at least one is live.
///
/// # Errors
/// mirrors.toml is invalid, or a name is not in it.
pub async fn probe(global: &Global, asked: Asked, out: &mut Out) -> Result<Exit, Error> {
    let config = judge::load(global, &global.config)?;
    let store = recorded::open(global);
    let mirrors = chosen(global, &config, &store, &asked.mirrors)?;
    let facts = match assembly::docker(&config, &crate::applier::root_state(&global.state_dir)) {
        // An engine that is away is no reason not to ask mirrors.
        Some(docker) => docker.facts().await.ok(),
        None => None,
    };
    // From here on there is nothing to write but what is remembered.
    confine(global, &[&global.state_dir]);
    let question = Question {
        mirrors,
        depth: asked.depth,
        images: asked.image.into_iter().collect(),
        facts: facts.as_ref(),
        current: Vec::new(),
    };
    let judgement = judge::judge(global, &config, &store, question).await?;
    judgement.tell_of_network(global);
    print(global, &judgement, asked.depth, asked.json, out)?;
    Ok(if some_live(&judgement, asked.depth) { Exit::Ok } else { Exit::Failed })
}

/// Whether the round found one that serves, as far as it was asked.
pub fn some_live(judgement: &Judgement, depth: Depth) -> bool {
    judgement.selection.entries.iter().any(|entry| match depth {
        Depth::Rehearse | Depth::Sample => entry.verdict == Verdict::Live,
        // Nobody is live by a handshake alone; but this is all that was asked.
        Depth::Connect => judgement
            .records
            .get(&entry.url)
            .is_some_and(|record| record.failing().is_none() && record.last(Depth::Connect).is_some()),
    })
}

fn print(
    global: &Global,
    judgement: &Judgement,
    depth: Depth,
    json: bool,
    out: &mut Out,
) -> Result<(), Error> {
    let mut shown = judgement.shown();
    for mirror in &mut shown {
        // What would be selected is a matter of `apply`.
        mirror.selected = None;
        mirror.reasons.retain(|reason| reason.kind != crate::reason::ReasonKind::NotSelected);
        // In a table a mark says that it was not asked for more; where nothing is read into a verdict, a word has to.
        if depth == Depth::Connect && !json {
            mirror.reasons.retain(|reason| reason.kind != crate::reason::ReasonKind::Unprobed);
        }
    }
    if json {
        let spent = |url: &MirrorUrl| judgement.spent.get(url).copied().unwrap_or_default();
        let lines: Vec<Line> = shown
            .into_iter()
            .map(|mirror| {
                let spent = spent(&mirror.url);
                Line { mirror, requests: spent.requests, bytes: spent.bytes }
            })
            .collect();
        let report = Report {
            schema: SCHEMA,
            requests: lines.iter().map(|line| line.requests).sum(),
            bytes: lines.iter().map(|line| line.bytes).sum(),
            mirrors: lines,
        };
        return out.print(&to_string(&report, Layout::Indented));
    }
    let rows: Vec<&status::Mirror> = shown.iter().collect();
    out.print(&status::text::mirrors(&rows, &view(global, out)))
}

/// The mirrors that were named, or all that take part.
fn chosen(global: &Global, config: &Config, store: &Store, names: &[String]) -> Result<Vec<Mirror>, Error> {
    let adopted = super::apply::adopted_before(global, store);
    let all = assembly::candidates(config, &adopted);
    if names.is_empty() {
        return Ok(all.into_iter().filter(|mirror| mirror.enabled).collect());
    }
    let mut chosen: Vec<Mirror> = Vec::new();
    for name in names {
        let mirror = one(global, &all, name)?;
        // Named twice, it is asked once.
        if !chosen.iter().any(|known| known.url == mirror.url) {
            chosen.push(mirror);
        }
    }
    Ok(chosen)
}

fn one(global: &Global, all: &[Mirror], name: &str) -> Result<Mirror, Error> {
    let url = name.parse::<MirrorUrl>();
    let known =
        all.iter().find(|mirror| mirror.name == *name || url.as_ref().is_ok_and(|url| mirror.url == *url));
    let mut mirror = match (known, url) {
        (Some(known), _) => known.clone(),
        (None, Ok(url)) => Mirror::of_docker_hub(url.authority().to_owned(), url),
        (None, Err(error)) if name.contains("://") => {
            return Err(judge::not_a_url(global, name, error, Exit::Usage));
        }
        (None, Err(_)) => {
            return Err(judge::no_such_mirror(global, Exit::Usage, name, all));
        }
    };
    judge::warn_of_known(global, &mirror.url);
    // Asked by name, a mirror that is switched off is asked all the same.
    mirror.enabled = true;
    Ok(mirror)
}
