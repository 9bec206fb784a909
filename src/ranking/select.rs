//! From records to the ordered set, with a verdict for every candidate.

mod backends;
mod change;
mod content;
mod contest;
mod judge;
mod list;

pub use change::Change;

use super::Policy;
use super::record::{Coverage, Record, Standing};
use super::score::{Figure, lead};
use super::verdict::{Reason, Verdict};
use crate::image::Image;
use crate::mirror::{Mirror, MirrorUrl};
use crate::reason::ReasonKind;
use crate::timestamp::Timestamp;
use contest::Contest;
use judge::{Judged, judge_backends, judge_by_upstream, judge_content, judge_each, taints};
use list::{Composed, Runner, Terms};

/// One candidate and what is remembered of it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Who.
    pub mirror: &'a Mirror,
    /// What is remembered.
    pub record: &'a Record,
}

/// What stands now.
#[derive(Clone, Copy, Debug)]
pub struct Current<'a> {
    /// The list that was selected last.
    pub list: &'a [MirrorUrl],
    /// When the list was last changed only to be faster ([`Change::faster`]).
    pub last_faster: Option<Timestamp>,
    /// There is no list of ours yet, or only a provisional one: the next is free of `hold` and `rounds`. While
    /// some candidate is still unprobed, it holds only mirrors whose content nobody contradicts.
    pub provisional: bool,
}

/// The yardstick.
#[derive(Clone, Copy, Debug)]
pub enum Upstream<'a> {
    /// It is never asked, and counts as out of reach.
    NotCompared,
    /// What is remembered of it; it answers while this is live.
    Record(&'a Record),
}

/// The ordered set, and everything that is to be said of every candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// What the engine should try, in order.
    pub list: Vec<MirrorUrl>,
    /// One for each candidate: the selected by place, the other live ones by cost, the rejected.
    pub entries: Vec<Entry>,
    /// Why the list differs from the current one, if it does.
    pub change: Option<Change>,
}

/// What is to be said of one candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What people call it.
    pub name: String,
    /// Where it is.
    pub url: MirrorUrl,
    /// Which registry it mirrors.
    pub upstream: String,
    /// Live or rejected.
    pub verdict: Verdict,
    /// Its place in the list, from 1; `None` for a rejected one, even where the list stays for want of a better.
    pub selected: Option<usize>,
    /// Every reason, the weightiest first.
    pub reasons: Vec<Reason>,
    /// Predicted seconds of a reference pull.
    pub predicted_seconds: Option<f64>,
    /// How often a pull succeeds.
    pub success: Option<f64>,
    /// How many of the images that count it serves.
    pub coverage: Option<Coverage>,
    /// It may change the list if its next rehearsals go on like the last: ask it again after `decide`.
    pub contends: bool,
    /// The image whose answer decides, and which the next rehearsal should ask for.
    pub ask_for: Option<Image>,
}

/// The ordered set for this time, policy, records and current list. The order of `candidates` is irrelevant.
pub fn select(
    now: Timestamp,
    policy: &Policy,
    candidates: &[Candidate<'_>],
    upstream: Upstream<'_>,
    current: &Current<'_>,
) -> Selection {
    let upstream = match upstream {
        Upstream::Record(record) if policy.compare_upstream && record.standing() == Standing::Live => {
            Some(record)
        }
        Upstream::Record(_) | Upstream::NotCompared => None,
    };
    let may_improve = current.last_faster.is_none_or(|last| {
        // A change that lies ahead is what a clock that was set back has left behind.
        last > now || now.since(last) >= policy.hold
    });
    let mut judged = judge_each(now, policy, candidates, current);
    judge_content(&mut judged, policy, upstream);
    judge_by_upstream(&mut judged, policy, upstream, current.provisional);
    let exchanged = judge_backends(&mut judged, policy, current.provisional, may_improve);

    // The first round goes on as long as somebody has not answered at all.
    let unfinished = current.provisional
        && judged.iter().any(|one| one.mirror.takes_part() && one.record.standing() == Standing::Unprobed);
    let runners: Vec<Runner<'_>> = judged
        .iter()
        .enumerate()
        .filter(|(_, one)| one.is_live() && !(unfinished && one.content.contradicted))
        .map(|(candidate, one)| Runner {
            candidate,
            record: one.record,
            figure: one.figure,
            place: one.place,
        })
        .collect();
    if runners.is_empty() {
        let keep = unfinished || upstream.is_none() || judged.iter().any(Judged::is_live);
        let list = if keep { stays(&judged, current) } else { Vec::new() };
        return conclude(policy, judged, &[], list, current, false);
    }
    let (runners, composed) = choose(runners, &judged, policy, current, may_improve);
    let chosen: Vec<usize> = composed.list.iter().map(|runner| runners[*runner].candidate).collect();
    let list = chosen.iter().map(|candidate| judged[*candidate].mirror.url.clone()).collect();
    conclude(policy, judged, &chosen, list, current, composed.faster || exchanged)
}

/// The list; where two kinds of mirrors may not stand in one, the better of two.
fn choose<'a>(
    runners: Vec<Runner<'a>>,
    judged: &[Judged<'a>],
    policy: &Policy,
    current: &Current<'_>,
    may_improve: bool,
) -> (Vec<Runner<'a>>, Composed) {
    let runners = list::in_order(runners);
    let nobody_serves = list::nobody_serves(&runners, policy.max.max(1));
    let terms = Terms { policy, nobody_serves, ideal: current.provisional, may_improve };
    let (plain, verified): (Vec<Runner<'a>>, Vec<Runner<'a>>) =
        runners.into_iter().partition(|runner| taints(judged[runner.candidate].mirror, policy));
    if plain.is_empty() || verified.is_empty() {
        let side = if plain.is_empty() { verified } else { plain };
        let composed = list::compose(&side, &terms);
        return (side, composed);
    }
    let head = |side: &[Runner<'_>]| side.iter().filter_map(|runner| runner.place).min();
    let plain_stands = match (head(&plain), head(&verified)) {
        (Some(plain), Some(verified)) => plain < verified,
        (Some(_), None) => true,
        (None, Some(_) | None) => false,
    };
    let nobody_stands = head(&plain).is_none() && head(&verified).is_none();
    let (standing, other) = if plain_stands { (plain, verified) } else { (verified, plain) };
    let ours = list::compose(&standing, &terms);
    let mut theirs = list::compose(&other, &Terms { ideal: true, ..terms });
    let better = if terms.ideal || nobody_stands {
        theirs.cost < ours.cost
    } else {
        let rounds = usize::try_from(policy.rounds).unwrap_or(usize::MAX);
        let rehearsed = |runner: &usize| other[*runner].record.rounds().len() >= rounds;
        theirs.faster = true;
        // Nor is there a reason to go over while our own side has, or will prove to have, what is as good.
        let best = list::compose(&standing, &Terms { ideal: true, ..terms }).cost.min(ours.cost);
        may_improve && theirs.cost < best * (1.0 - policy.margin) && theirs.list.iter().all(rehearsed)
    };
    if better { (other, theirs) } else { (standing, ours) }
}

/// The current list without what is no candidate any more; as it is, when nothing would be left.
fn stays(judged: &[Judged<'_>], current: &Current<'_>) -> Vec<MirrorUrl> {
    let candidate =
        |url: &&MirrorUrl| judged.iter().any(|one| one.mirror.takes_part() && one.mirror.url == **url);
    let kept: Vec<MirrorUrl> = current.list.iter().filter(candidate).cloned().collect();
    if kept.is_empty() { current.list.to_vec() } else { kept }
}

/// Puts it all into words.
fn conclude(
    policy: &Policy,
    mut judged: Vec<Judged<'_>>,
    chosen: &[usize],
    list: Vec<MirrorUrl>,
    current: &Current<'_>,
    faster: bool,
) -> Selection {
    let mut selected: Vec<Option<usize>> = vec![None; judged.len()];
    for (place, candidate) in chosen.iter().enumerate() {
        selected[*candidate] = Some(place);
    }
    let slowest = chosen.iter().max_by(|a, b| {
        let cost = |candidate: &usize| judged[*candidate].figure.cost();
        cost(a).total_cmp(&cost(b))
    });
    let slowest = slowest.map(|slowest| (judged[*slowest].mirror.name.clone(), judged[*slowest].figure));
    let head_taints = chosen.first().map(|head| taints(judged[*head].mirror, policy));
    for (one, _) in judged.iter_mut().zip(&selected).filter(|(one, place)| place.is_none() && one.is_live()) {
        let other_kind = head_taints.is_some_and(|head| head != taints(one.mirror, policy));
        let detail = if other_kind {
            "plain or loopback and https mirrors never stand in one list on the containerd store".to_owned()
        } else if chosen.len() < policy.max {
            "its content is contradicted".to_owned()
        } else {
            slowest.as_ref().and_then(|(name, slowest)| lacks(one, name, slowest, policy)).unwrap_or_else(
                || format!("{} of {} places are taken by better ones", chosen.len(), policy.max),
            )
        };
        one.reasons.push(Reason::new(ReasonKind::NotSelected, detail, None));
    }
    let outside = judged.iter().zip(&selected).filter(|(one, place)| place.is_none() && one.is_live());
    let contest = Contest {
        policy,
        places: chosen.iter().map(|candidate| judged[*candidate].figure).collect(),
        outside: outside.map(|(one, _)| one.figure).min_by(|a, b| a.cost().total_cmp(&b.cost())),
    };
    let contends: Vec<bool> =
        judged.iter().zip(&selected).map(|(one, place)| contest.contends(one, *place)).collect();
    let mut entries: Vec<(Entry, f64)> = judged
        .into_iter()
        .zip(selected.into_iter().zip(contends))
        .map(|(one, (place, contends))| (one.figure.cost(), entry(one, place, policy, contends)))
        .map(|(cost, entry)| (entry, cost))
        .collect();
    // The sort is stable, and the candidates are in order of their URLs.
    entries.sort_by(|(a, a_cost), (b, b_cost)| {
        let key = |entry: &Entry| (entry.verdict, entry.selected.unwrap_or(usize::MAX));
        key(a).cmp(&key(b)).then_with(|| match a.verdict {
            Verdict::Live => a_cost.total_cmp(b_cost),
            Verdict::Rejected => std::cmp::Ordering::Equal,
        })
    });
    let entries = entries.into_iter().map(|(entry, _)| entry).collect();
    let mut selection = Selection { list, entries, change: None };
    selection.change = change::between(current, &selection, faster);
    selection
}

/// What one that is better than the slowest member, as far as its figures go, lacks to take its place.
fn lacks(one: &Judged<'_>, name: &str, slowest: &Figure, policy: &Policy) -> Option<String> {
    let figure = &one.figure;
    // Also by the seconds that are shown: some of the cost is this host's whim, and some what is refused.
    let faster = figure.cost() < slowest.cost() && figure.predicted() < slowest.predicted();
    if !faster || figure.covers() < slowest.covers() {
        return None;
    }
    let lead = lead((one.record, figure), slowest, policy, Figure::cost);
    if lead.is_proved() {
        return Some(format!("faster than {name}, as is proved, and waits for `hold`"));
    }
    let (percent, rounds, has) = (policy.margin * 100.0, lead.needed, lead.has);
    Some(format!(
        "faster than {name}, and takes its place once {percent:.0} % faster in {rounds} rehearsals in a row, so far {has}"
    ))
}

fn entry(one: Judged<'_>, place: Option<usize>, policy: &Policy, contends: bool) -> Entry {
    Entry {
        name: one.mirror.name.clone(),
        url: one.mirror.url.clone(),
        upstream: one.mirror.upstream.clone(),
        verdict: Verdict::of(&one.reasons),
        selected: place.map(|place| place + 1),
        reasons: one.reasons,
        predicted_seconds: one.figure.known(one.record),
        success: one.record.success(),
        coverage: one.record.coverage(&policy.images),
        contends,
        ask_for: one.content.stale.map(|stale| stale.image),
    }
}

#[cfg(test)]
mod tests;
