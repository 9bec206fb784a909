//! From records to the ordered set, with a verdict for every candidate.

mod backends;
mod change;
mod content;
mod list;

use std::collections::HashMap;

pub use change::Change;

use super::Policy;
use super::record::{Coverage, Record, Standing};
use super::score::{Figure, last_figure, predicted_seconds, proved_faster};
use super::verdict::{Reason, Verdict, own_reasons};
use crate::image::Image;
use crate::mirror::{Mirror, MirrorUrl, Scheme};
use crate::observation::ImageStore;
use crate::reason::ReasonKind;
use crate::timestamp::Timestamp;
use content::{Content, Voter};
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

/// A candidate under judgement.
struct Judged<'a> {
    mirror: &'a Mirror,
    record: &'a Record,
    figure: Figure,
    /// Its place in the current list.
    place: Option<usize>,
    backend: usize,
    reasons: Vec<Reason>,
    content: Content,
}

impl Judged<'_> {
    fn is_live(&self) -> bool {
        Verdict::of(&self.reasons) == Verdict::Live
    }
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
    judge_content(&mut judged, upstream);
    judge_by_upstream(&mut judged, policy, upstream, current.provisional);
    let exchanged = judge_backends(&mut judged, policy, current.provisional, may_improve);

    // The first round goes on as long as somebody has not answered at all.
    let unfinished = current.provisional
        && judged.iter().any(|one| one.mirror.enabled && one.record.standing() == Standing::Unprobed);
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

fn judge_each<'a>(
    now: Timestamp,
    policy: &Policy,
    candidates: &[Candidate<'a>],
    current: &Current<'_>,
) -> Vec<Judged<'a>> {
    let mut candidates = candidates.to_vec();
    candidates.sort_by(|a, b| {
        let key = |candidate: &Candidate<'a>| (&candidate.mirror.url, &candidate.mirror.upstream);
        key(a).cmp(&key(b)).then_with(|| a.mirror.name.cmp(&b.mirror.name))
    });
    let places: HashMap<&MirrorUrl, usize> =
        current.list.iter().enumerate().rev().map(|(place, url)| (url, place)).collect();
    let backends = backends::backends(&candidates);
    candidates
        .iter()
        .zip(backends)
        .map(|(Candidate { mirror, record }, backend)| Judged {
            mirror,
            record,
            figure: Figure::of(record, policy),
            place: places.get(&mirror.url).copied(),
            backend,
            reasons: own_reasons(now, policy, mirror, record),
            content: Content::default(),
        })
        .collect()
}

/// Who leads a tag elsewhere than the others. Those that are not live have no vote.
fn judge_content(judged: &mut [Judged<'_>], upstream: Option<&Record>) {
    let voters: Vec<Voter<'_>> = judged
        .iter()
        .enumerate()
        .filter(|(_, one)| one.mirror.enabled && one.record.standing() == Standing::Live)
        .map(|(candidate, one)| Voter { candidate, backend: one.backend, record: one.record })
        .collect();
    let contents = content::compare(&voters, upstream, judged.len());
    for (one, content) in judged.iter_mut().zip(contents) {
        if let Some(stale) = &content.stale {
            one.reasons.push(Reason::new(ReasonKind::Stale, stale.detail.clone(), Some(stale.since)));
        }
        one.content = content;
    }
}

/// A mirror that is slower than the upstream is of no use; of a member the upstream must prove it.
fn judge_by_upstream(judged: &mut [Judged<'_>], policy: &Policy, upstream: Option<&Record>, ideal: bool) {
    let Some((upstream, theirs)) =
        upstream.and_then(|record| Some((record, predicted_seconds(record, policy)?)))
    else {
        return;
    };
    let figure = Figure::of(upstream, policy);
    for one in judged.iter_mut().filter(|one| one.is_live()) {
        let Some(own) = predicted_seconds(one.record, policy) else { continue };
        let slower = if ideal || one.place.is_none() {
            own > theirs
        } else {
            proved_faster((upstream, &figure), &one.figure, policy, Figure::predicted)
        };
        if slower {
            let detail = format!("{own:.1} s, the upstream {theirs:.1} s");
            one.reasons.push(Reason::new(ReasonKind::SlowerThanUpstream, detail, None));
        }
    }
}

/// Of several with one backend only the better takes part; a member stays it until another has proved to be
/// faster. Says whether one took a member's place so.
fn judge_backends(judged: &mut [Judged<'_>], policy: &Policy, ideal: bool, may_improve: bool) -> bool {
    let mut groups: HashMap<usize, Vec<usize>> = HashMap::new();
    for (index, one) in judged.iter().enumerate().filter(|(_, one)| one.is_live()) {
        groups.entry(one.backend).or_default().push(index);
    }
    let mut exchanged = false;
    for mut group in groups.into_values().filter(|group| group.len() > 1) {
        // Indices are in order of the URLs, and the sort is stable.
        group.sort_by(|a, b| {
            let (a, b) = (&judged[*a], &judged[*b]);
            let place = |one: &Judged<'_>| one.place.unwrap_or(usize::MAX);
            a.figure.cost().total_cmp(&b.figure.cost()).then_with(|| place(a).cmp(&place(b)))
        });
        let member = group.iter().copied().find(|index| judged[*index].place.is_some());
        let mut best = if ideal { group[0] } else { member.unwrap_or(group[0]) };
        if let Some(member) = member.filter(|_| !ideal && may_improve) {
            let incumbent = judged[member].figure;
            let faster = group.iter().copied().find(|index| {
                let Judged { record, figure, .. } = &judged[*index];
                *index != member && proved_faster((record, figure), &incumbent, policy, Figure::cost)
            });
            if let Some(faster) = faster {
                judged[faster].place = judged[member].place;
                best = faster;
                exchanged = true;
            }
        }
        let name = judged[best].mirror.name.clone();
        for index in group.into_iter().filter(|index| *index != best) {
            judged[index].reasons.push(Reason::new(ReasonKind::SameBackend, name.clone(), None));
        }
    }
    exchanged
}

/// Whether a mirror switches off the verification of the others' certificates on the containerd store, which
/// shares one client between all of a pull's hosts once one of them is loopback or plain.
fn taints(mirror: &Mirror, policy: &Policy) -> bool {
    match policy.store {
        Some(ImageStore::Classic) => false,
        Some(ImageStore::Containerd) | None => {
            mirror.url.is_loopback() || mirror.url.scheme() == Scheme::Http
        }
    }
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
    let mut theirs = list::compose(&other, &terms);
    let better = if terms.ideal || nobody_stands {
        theirs.cost < ours.cost
    } else {
        let rounds = usize::try_from(policy.rounds).unwrap_or(usize::MAX);
        let rehearsed = |runner: &usize| other[*runner].record.rounds().len() >= rounds;
        theirs.faster = true;
        may_improve && theirs.cost < ours.cost * (1.0 - policy.margin) && theirs.list.iter().all(rehearsed)
    };
    if better { (other, theirs) } else { (standing, ours) }
}

/// The current list without what is no candidate any more; as it is, when nothing would be left.
fn stays(judged: &[Judged<'_>], current: &Current<'_>) -> Vec<MirrorUrl> {
    let candidate = |url: &&MirrorUrl| judged.iter().any(|one| one.mirror.enabled && one.mirror.url == **url);
    let kept: Vec<MirrorUrl> = current.list.iter().filter(candidate).cloned().collect();
    if kept.is_empty() { current.list.to_vec() } else { kept }
}

/// Who contends: may change the list if its next rehearsals go on like the last.
struct Contest<'a> {
    policy: &'a Policy,
    /// Those that stand in the list, in order.
    places: Vec<Figure>,
    /// The best outside of it.
    outside: Option<Figure>,
}

impl Contest<'_> {
    /// Whether a mirror's smoothed figure, or that of its last rehearsal alone, is `margin` below another's.
    fn is_faster(&self, one: &Judged<'_>, than: &Figure) -> bool {
        let last = last_figure(one.record, &one.figure);
        self.clearly(one.figure.cost(), than.cost())
            || last.is_some_and(|last| self.clearly(last.cost(), than.bare().cost()))
    }

    fn clearly(&self, faster: f64, than: f64) -> bool {
        faster < than * (1.0 - self.policy.margin)
    }

    fn contends(&self, one: &Judged<'_>, selected: Option<usize>) -> bool {
        let Some(place) = selected else {
            // A live mirror outside, one that rises, one that stands behind another of the same backend.
            let against = |reason: &&Reason| reason.kind != ReasonKind::NotSelected;
            let only_behind =
                one.reasons.iter().filter(against).all(|reason| reason.kind == ReasonKind::SameBackend);
            let runs = only_behind || (one.mirror.enabled && one.record.rising() > 0);
            let free = self.places.len() < self.policy.max;
            let worst = self.places.iter().max_by(|a, b| a.cost().total_cmp(&b.cost()));
            return runs && (free || worst.is_some_and(|worst| self.is_faster(one, worst)));
        };
        let overtakes = place.checked_sub(1).is_some_and(|before| self.is_faster(one, &self.places[before]));
        // A member whose last rehearsal was so slow that another would be better: is that so?
        let next = self.places.get(place + 1).into_iter().chain(&self.outside);
        let falls_back = last_figure(one.record, &one.figure).is_some_and(|last| {
            self.clearly(one.figure.bare().cost(), last.cost())
                && next.map(|next| next.bare().cost()).any(|next| self.clearly(next, last.cost()))
        });
        overtakes || falls_back
    }
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
    let head_taints = chosen.first().map(|head| taints(judged[*head].mirror, policy));
    for (one, _) in judged.iter_mut().zip(&selected).filter(|(one, place)| place.is_none() && one.is_live()) {
        let other_kind = head_taints.is_some_and(|head| head != taints(one.mirror, policy));
        let detail = if other_kind {
            "plain or loopback and https mirrors never stand in one list on the containerd store".to_owned()
        } else if chosen.len() < policy.max {
            "its content is contradicted".to_owned()
        } else {
            format!("{} better ones are", chosen.len())
        };
        one.reasons.push(Reason::new(ReasonKind::NotSelected, detail, None));
    }
    let outside = judged.iter().zip(&selected).filter(|(one, place)| place.is_none() && one.is_live());
    let contest = Contest {
        policy,
        places: chosen.iter().map(|candidate| judged[*candidate].figure).collect(),
        outside: outside.map(|(one, _)| one.figure).min_by(|a, b| a.cost().total_cmp(&b.cost())),
    };
    let mut entries: Vec<(Entry, f64)> = judged
        .iter()
        .zip(&selected)
        .map(|(one, place)| (entry(one, *place, policy, contest.contends(one, *place)), one.figure.cost()))
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

fn entry(one: &Judged<'_>, place: Option<usize>, policy: &Policy, contends: bool) -> Entry {
    Entry {
        name: one.mirror.name.clone(),
        url: one.mirror.url.clone(),
        upstream: one.mirror.upstream.clone(),
        verdict: Verdict::of(&one.reasons),
        selected: place.map(|place| place + 1),
        reasons: one.reasons.clone(),
        predicted_seconds: predicted_seconds(one.record, policy),
        success: one.record.success(),
        coverage: one.record.coverage(&policy.images),
        contends,
        ask_for: one.content.stale.as_ref().map(|stale| stale.image.clone()),
    }
}

#[cfg(test)]
mod tests;
