//! Who is about to change the list, and is therefore to be asked again soon.

use super::judge::Judged;
use crate::ranking::Policy;
use crate::ranking::record::REHEARSAL;
use crate::ranking::score::{Figure, last_figure};
use crate::ranking::verdict::Reason;
use crate::reason::ReasonKind;

/// A rehearsal of this part of what would do is a judgement of "far": for a mirror that deviates by up to an eighth it is
/// wild, and three wild ones are a new level, which the smoothed figure takes over whole (`record/smoothed.rs`).
const NEW_LEVEL: f64 = 0.75;

/// Who contends: may change the list if its next rehearsals go on like the last.
pub(super) struct Contest<'a> {
    pub(super) policy: &'a Policy,
    /// Those that stand in the list, in order.
    pub(super) places: Vec<Figure>,
    /// The best outside of it.
    pub(super) outside: Option<Figure>,
}

impl Contest<'_> {
    /// Whether a mirror would have proved to be `margin` faster than another once `rounds` more rehearsals were like its
    /// last, with the deviation that it has now, which such rehearsals would lower. Each of them costs a mebibyte of the
    /// day's budget: who contends for one lucky rehearsal has none left when it really becomes faster.
    fn is_faster(&self, one: &Judged<'_>, than: &Figure) -> bool {
        let Some(last) = last_figure(one.record, &one.figure) else { return false };
        let (last, smoothed, theirs) = (last.cost(), one.figure.cost(), than.bare().cost());
        let rounds = i32::try_from(self.policy.rounds).unwrap_or(i32::MAX);
        let in_the_end = last + (1.0 - REHEARSAL).powi(rounds) * (smoothed - last);
        self.clearly(in_the_end, theirs) || self.clearly(last, NEW_LEVEL * theirs)
    }

    fn clearly(&self, faster: f64, than: f64) -> bool {
        faster < than * (1.0 - self.policy.margin)
    }

    pub(super) fn contends(&self, one: &Judged<'_>, selected: Option<usize>) -> bool {
        let Some(place) = selected else {
            // A live mirror outside, one that rises, one that stands behind another of the same backend.
            let against = |reason: &&Reason| reason.kind != ReasonKind::NotSelected;
            let only_behind =
                one.reasons.iter().filter(against).all(|reason| reason.kind == ReasonKind::SameBackend);
            let runs = only_behind || (one.mirror.takes_part() && one.record.rising() > 0);
            let free = self.places.len() < self.policy.max;
            let worst = self.places.iter().max_by(|a, b| a.cost().total_cmp(&b.cost()));
            return runs && (free || worst.is_some_and(|worst| self.is_faster(one, worst)));
        };
        let overtakes = self.places[..place].iter().any(|before| self.is_faster(one, before));
        // A member whose last rehearsal was so slow that another would be better: is that so?
        let next = self.places.get(place + 1).into_iter().chain(&self.outside);
        let falls_back = last_figure(one.record, &one.figure).is_some_and(|last| {
            self.clearly(one.figure.bare().cost(), last.cost())
                && next.map(|next| next.bare().cost()).any(|next| self.clearly(next, last.cost()))
        });
        overtakes || falls_back
    }
}
