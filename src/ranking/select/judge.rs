//! Every candidate under judgement: what its own record says, and what comparing it with others says.

use std::collections::HashMap;

use super::backends::backends;
use super::content::{self, Content, Voter};
use super::{Candidate, Current};
use crate::mirror::{Mirror, MirrorUrl};
use crate::observation::ImageStore;
use crate::ranking::Policy;
use crate::ranking::record::{Record, Standing};
use crate::ranking::score::{Assumed, Figure, proved_faster};
use crate::ranking::verdict::{Reason, Verdict, own_reasons};
use crate::reason::ReasonKind;
use crate::timestamp::Timestamp;

/// A candidate under judgement.
pub(super) struct Judged<'a> {
    pub(super) mirror: &'a Mirror,
    pub(super) record: &'a Record,
    pub(super) figure: Figure,
    /// Its place in the current list.
    pub(super) place: Option<usize>,
    pub(super) backend: usize,
    pub(super) reasons: Vec<Reason>,
    pub(super) content: Content,
}

impl Judged<'_> {
    pub(super) fn is_live(&self) -> bool {
        Verdict::of(&self.reasons) == Verdict::Live
    }
}

pub(super) fn judge_each<'a>(
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
    let backends = backends(&candidates);
    let live = candidates
        .iter()
        .map(|candidate| candidate.record)
        .filter(|record| record.standing() == Standing::Live);
    let assumed = Assumed::of(live);
    let mut judged: Vec<Judged<'a>> = candidates
        .iter()
        .zip(backends)
        .map(|(Candidate { mirror, record }, backend)| Judged {
            mirror,
            record,
            figure: Figure::of(record, policy, assumed).seen_from(policy, &mirror.url),
            place: places.get(&mirror.url).copied(),
            backend,
            reasons: own_reasons(now, policy, mirror, record),
            content: Content::default(),
        })
        .collect();
    // A list that is not ours may mix what may not be mixed: only its first kind has a claim to stay.
    let members = judged.iter().filter(|one| one.is_live() && one.place.is_some());
    let first = members.min_by_key(|one| one.place).map(|one| taints(one.mirror, policy));
    for one in judged.iter_mut().filter(|one| first.is_some_and(|kind| kind != taints(one.mirror, policy))) {
        one.place = None;
    }
    judged
}

/// Who leads a tag elsewhere than the others.
///
/// Whoever answered in its time has a vote for that time, live or not: otherwise the death of one witness would
/// turn a minority of one into a tie, and an old tag would take the lead.
pub(super) fn judge_content(judged: &mut [Judged<'_>], policy: &Policy, upstream: Option<&Record>) {
    let voters: Vec<Voter<'_>> = judged
        .iter()
        .enumerate()
        .filter(|(_, one)| one.mirror.takes_part())
        .map(|(candidate, one)| Voter { candidate, backend: one.backend, record: one.record })
        .collect();
    let contents = content::compare(&voters, upstream, judged.len(), &policy.images);
    for (one, content) in judged.iter_mut().zip(contents) {
        if let Some(stale) = &content.stale {
            one.reasons.push(Reason::new(ReasonKind::Stale, stale.detail.clone(), Some(stale.since)));
        }
        one.content = content;
    }
}

/// A mirror that is slower than the upstream is of no use; of a member the upstream must prove it.
pub(super) fn judge_by_upstream(
    judged: &mut [Judged<'_>],
    policy: &Policy,
    upstream: Option<&Record>,
    ideal: bool,
) {
    let Some(upstream) = upstream else { return };
    let figure = Figure::of(upstream, policy, Assumed::default());
    let Some(theirs) = figure.known(upstream) else { return };
    for one in judged.iter_mut().filter(|one| one.is_live()) {
        let Some(own) = one.figure.known(one.record) else { continue };
        let slower = if ideal || one.place.is_none() {
            own > theirs
        } else {
            proved_faster((upstream, &figure), &one.figure, policy, Figure::predicted)
        };
        if slower {
            let [own, theirs] = told_apart(own, theirs);
            let detail = format!("{own} s, the upstream {theirs} s");
            one.reasons.push(Reason::new(ReasonKind::SlowerThanUpstream, detail, None));
        }
    }
}

/// Two figures with one digit behind the point, or with as many as it takes to see that they differ: a reason that
/// shows the same figure twice is none.
fn told_apart(one: f64, other: f64) -> [String; 2] {
    const MOST: usize = 6;
    let shown = |digits| [one, other].map(|figure| format!("{figure:.digits$}"));
    let differ = |[one, other]: &[String; 2]| one != other;
    (1..MOST).map(shown).find(differ).unwrap_or_else(|| shown(MOST))
}

/// Of several with one backend only the better takes part; a member stays it until another has proved to be
/// faster. Says whether one took a member's place so.
pub(super) fn judge_backends(
    judged: &mut [Judged<'_>],
    policy: &Policy,
    ideal: bool,
    may_improve: bool,
) -> bool {
    // Mirrors that may not stand in one list do not stand in each other's way either.
    let mut groups: HashMap<(usize, bool), Vec<usize>> = HashMap::new();
    for (index, one) in judged.iter().enumerate().filter(|(_, one)| one.is_live()) {
        groups.entry((one.backend, taints(one.mirror, policy))).or_default().push(index);
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
pub(super) fn taints(mirror: &Mirror, policy: &Policy) -> bool {
    match policy.store {
        Some(ImageStore::Classic) => false,
        Some(ImageStore::Containerd) | None => mirror.url.is_unverified(),
    }
}
