//! What the engine is given: the list, and whether this is the time to write it.

use std::time::Duration;

use super::{Action, EngineView, Proof, State, is_unjudged};
use crate::mirror::MirrorUrl;
use crate::ranking::record::Standing;
use crate::ranking::select::{Candidate, Change, Current, Entry, Selection, Upstream, select};
use crate::ranking::verdict::Verdict;
use crate::reason::{ChangeKind, ProblemKind, ReasonKind};
use crate::timestamp::Timestamp;

/// So often in [`CONTEST_MEMORY`] a list that somebody else changed is put right.
const CONTESTS: usize = 3;
const CONTEST_MEMORY: Duration = Duration::from_secs(3600);

/// A failed apply that wrote nothing is tried again after this; doubling up to [`RETRY_CAP`].
const RETRY: Duration = Duration::from_secs(30);
/// An engine that refuses its list for hours is asked once an hour.
const RETRY_CAP: Duration = Duration::from_secs(3600);
/// So many times a race is tried again after a second: somebody else's write takes less, and a file that was emptied and
/// waits for its author may wait for minutes.
const RACES: u32 = 5;

/// The reloads of an engine are counted over a day.
const DAY: Duration = Duration::from_secs(24 * 3600);

impl State {
    /// Whether this view of the engine would change nothing.
    pub fn has_seen(&self, view: &EngineView) -> bool {
        let looks_for_a_list = !self.owned && self.list.is_empty();
        self.engine == *view && !self.refused && !looks_for_a_list && self.applying.is_none()
    }

    pub(super) fn engine_seen(&mut self, view: EngineView) {
        let was_away = matches!(
            self.engine,
            EngineView::Problem(
                ProblemKind::NotRunning
                    | ProblemKind::GivenUp
                    | ProblemKind::CannotStart
                    | ProblemKind::NoAnswer
                    | ProblemKind::PendingEdits
            )
        );
        let refused = std::mem::replace(&mut self.refused, matches!(view, EngineView::Problem(_)));
        if let EngineView::Lists(listed) = &view {
            if was_away || refused {
                self.retry = None;
            }
            if !self.owned && self.list.is_empty() {
                // What stood there before us is the list to improve on, and to keep when nothing is better.
                self.list = listed.iter().filter_map(|entry| entry.parse().ok()).collect();
                self.list.retain(|url| !self.settings.keep.contains(url));
            }
        }
        // Between the write and the proof the engine's list is neither here nor there.
        if self.applying.is_none() {
            self.engine = view;
            self.by_hand &= !self.engine_has_ours();
        }
    }

    /// This is the engine's list now.
    pub(super) fn engine_took(&mut self, list: Vec<MirrorUrl>, now: Timestamp, actions: &mut Vec<Action>) {
        for gone in self.list.iter().filter(|url| !list.contains(url)) {
            if let Some(track) = self.tracks.get_mut(gone) {
                track.record.leave(now);
                actions.push(Action::Save(gone.clone()));
            }
        }
        self.given = Some(self.wanted(&list));
        self.list = list;
        self.owned = true;
    }

    pub(super) fn applied(
        &mut self,
        list: Vec<MirrorUrl>,
        outcome: Result<Proof, ProblemKind>,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let change = self.applying.take();
        self.count_reloads(&outcome, now);
        match outcome {
            Ok(proof) => {
                if change.is_some_and(|change| change.faster) {
                    self.treatment.last_faster = Some(now);
                }
                self.retry = match proof {
                    Proof::Listed | Proof::Already => {
                        self.engine = EngineView::Lists(self.wanted(&list));
                        None
                    }
                    // The next look at the engine shows it; asking again before would only be noise.
                    Proof::Awaited => Some((now + RETRY_CAP, 0)),
                };
                self.engine_took(list, now, actions);
            }
            Err(kind) => {
                let failed = self.retry.map_or(1, |(_, failed)| failed.saturating_add(1));
                // A race is over at once, if it is one; an engine that is away comes back with an event.
                let tried = if kind.is_a_race() { failed.saturating_sub(RACES) } else { failed };
                let pause = match tried {
                    0 => Duration::from_secs(1),
                    _ => RETRY.saturating_mul(1 << (tried - 1).min(10)).min(RETRY_CAP),
                };
                self.retry = Some((now + pause, failed));
                self.engine = EngineView::Problem(kind);
            }
        }
    }

    pub(super) fn decide(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let mut selection = self.select(now);
        if self.trust_who_rises(&selection, actions) {
            selection = self.select(now);
        }
        if self.first_round && !self.tracks.is_empty() && !self.network.is_down() && !self.round_is_open() {
            self.first_round = false;
        }
        self.act(selection, actions, now);
        self.mark_deciding(now);
    }

    /// Where no mirror is live and the upstream does not answer, pulls have nowhere to go: whoever has served once since it
    /// fell need not prove it again, however often it has come and gone. Says whether there was one.
    fn trust_who_rises(&mut self, selection: &Selection, actions: &mut Vec<Action>) -> bool {
        let answers = self.yardstick().is_some_and(|track| track.record.standing() == Standing::Live);
        if answers || selection.entries.iter().any(|entry| entry.verdict == Verdict::Live) {
            return false;
        }
        let before = actions.len();
        for track in self.tracks.values_mut().filter(|track| track.mirror.takes_part()) {
            if track.record.trust() {
                actions.push(Action::Save(track.mirror.url.clone()));
            }
        }
        actions.len() > before
    }

    fn select(&self, now: Timestamp) -> Selection {
        let candidates: Vec<Candidate<'_>> = self
            .tracks
            .values()
            .map(|track| Candidate { mirror: &track.mirror, record: &track.record })
            .collect();
        let upstream =
            self.yardstick().map_or(Upstream::NotCompared, |track| Upstream::Record(&track.record));
        let current = Current {
            list: &self.list,
            last_faster: self.treatment.last_faster,
            provisional: self.provisional,
        };
        select(now, &self.settings.policy, &candidates, upstream, &current)
    }

    fn act(&mut self, selection: Selection, actions: &mut Vec<Action>, now: Timestamp) {
        let wanted = selection.list.clone();
        let change = selection.change.clone();
        let somebody_lives = selection.entries.iter().any(|entry| entry.selected.is_some());
        self.selection = Some(selection);
        if self.network.is_down() || self.is_paused() || self.applying.is_some() {
            return;
        }
        // A list that waits for somebody else's reload has not failed: another one may follow it at once.
        if self.retry.is_some_and(|(at, failed)| at > now && (failed > 0 || change.is_none())) {
            return;
        }
        // A member without a record, as after the database was lost, is rehearsed before it is judged.
        if self.list.iter().filter_map(|url| self.tracks.get(url)).any(is_unjudged) {
            return;
        }
        // While the first round is open a short list would be filled one by one: wait until it is full.
        if self.first_round && wanted.len() < self.settings.policy.max {
            return;
        }
        let differs = match &self.engine {
            EngineView::Unknown => return,
            EngineView::Problem(kind) if kind.is_down() => return,
            // What is not ours is left alone until there is something better.
            EngineView::Lists(listed) => self.owned && *listed != self.wanted(&wanted),
            // Some problems pass: a file is mended, a lock is released.
            EngineView::Problem(_) => self.retry.is_some(),
        };
        let first = !self.first_round && !self.owned && somebody_lives;
        // Whatever comes of it, this was the one decision that is free of `hold` and `rounds`.
        self.provisional = self.first_round;
        if !differs && change.is_none() && !first {
            return;
        }
        let urgent = self.is_urgent(&wanted);
        if self.spares_reloads(now) && !urgent {
            return;
        }
        // Whatever the reason to write, it would be written over the other program's list again. Only where that has
        // left ours in place does a head that is dead or lies still go.
        let awaited = change.is_some() && self.retry.is_some_and(|(_, failed)| failed == 0);
        let rewritten = self.owned && !self.engine_has_ours() && !awaited;
        if self.contested(now) && (rewritten || !urgent) {
            return;
        }
        let by_hand = std::mem::take(&mut self.by_hand);
        if rewritten && !by_hand && matches!(self.engine, EngineView::Lists(_)) {
            self.treatment.contests.retain(|at| is_within(*at, now, CONTEST_MEMORY));
            self.treatment.contests.push(now);
        }
        let kind = if self.owned { ChangeKind::EngineDiffered } else { ChangeKind::First };
        let change = change.unwrap_or_else(|| Change::of(kind));
        self.applying = Some(change.clone());
        actions.push(Action::Apply { list: wanted, change });
    }

    /// Whether somebody who takes part has not been rehearsed yet.
    fn round_is_open(&self) -> bool {
        self.all_tracks().any(is_unjudged)
    }

    /// Marks the mirrors whose next rehearsals may change the list, and what they should be asked for.
    fn mark_deciding(&mut self, now: Timestamp) {
        let Some(selection) = &self.selection else { return };
        for entry in &selection.entries {
            if let Some(track) = self.tracks.get_mut(&entry.url) {
                let rises = track.record.standing() == Standing::Rejected
                    && (track.record.rising() > 0 || track.record.is_back())
                    && track.record.quarantined(now).is_none();
                track.deciding = entry.contends || rises;
                track.ask_for.clone_from(&entry.ask_for);
            }
        }
    }

    fn count_reloads(&mut self, outcome: &Result<Proof, ProblemKind>, now: Timestamp) {
        self.treatment.reloads.retain(|at| is_within(*at, now, DAY));
        let reloads = match outcome {
            Ok(Proof::Listed | Proof::Awaited) => 1,
            Ok(Proof::Already) => 0,
            // There, and back again.
            Err(ProblemKind::NotTaken | ProblemKind::ReloadFailed | ProblemKind::RollbackFailed) => 2,
            Err(_) => 0,
        };
        self.treatment.reloads.extend(std::iter::repeat_n(now, reloads));
    }

    /// Whether the engine was reloaded as often in a day as it may be.
    pub fn spares_reloads(&self, now: Timestamp) -> bool {
        let allowed = usize::try_from(self.settings.allowance.reloads_per_day).unwrap_or(usize::MAX);
        self.reloads_of_a_day(now) >= allowed
    }

    /// How often the engine was reloaded in the last 24 hours.
    pub fn reloads_of_a_day(&self, now: Timestamp) -> usize {
        self.treatment.reloads.iter().filter(|at| is_within(**at, now, DAY)).count()
    }

    /// Whether the engine has the list that it was last given, also where `keep` was edited since.
    pub fn engine_has_ours(&self) -> bool {
        let EngineView::Lists(listed) = &self.engine else { return false };
        *listed == self.wanted(&self.list) || self.given.as_ref() == Some(listed)
    }

    /// Whether this list may always be applied: nothing is in place yet, what leads the engine's list is dead or lies, or
    /// the engine goes to an upstream that does not answer.
    fn is_urgent(&self, wanted: &[MirrorUrl]) -> bool {
        let Some(head) = self.list.first() else {
            // An empty list is ours where the upstream answers: there a mirror that comes and goes can wait.
            let answers = self.yardstick().is_some_and(|track| track.record.standing() == Standing::Live);
            return !(self.owned && answers);
        };
        let dead = self.tracks.get(head).is_none_or(|track| track.record.standing() != Standing::Live);
        let lies = self.selection.as_ref().is_some_and(|selection| {
            let is_head = |entry: &&Entry| entry.url == *head && entry.verdict == Verdict::Rejected;
            selection.entries.iter().find(is_head).is_some_and(|entry| !is_only_slower(entry))
        });
        (dead || lies) && wanted.first() != Some(head)
    }

    /// Whether another program keeps rewriting the list: then we stop doing the same.
    pub fn contested(&self, now: Timestamp) -> bool {
        let lately = self.treatment.contests.iter().filter(|at| is_within(**at, now, CONTEST_MEMORY));
        lately.count() >= CONTESTS
    }
}

/// Whether it serves what it should, and only something else does so sooner.
fn is_only_slower(entry: &Entry) -> bool {
    let slower = [ReasonKind::SlowerThanUpstream, ReasonKind::SameBackend];
    entry.reasons.iter().all(|reason| slower.contains(&reason.kind))
}

/// What lies ahead is what a clock that was set back has left behind.
fn is_within(at: Timestamp, now: Timestamp, span: Duration) -> bool {
    at <= now && now.since(at) < span
}
