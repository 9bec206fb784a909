//! The list itself: the ideal one, and what becomes of the current one.

use super::super::Policy;
use super::super::record::Record;
use super::super::score::{Figure, own_figures, proved_faster};

/// What a pull costs that no mirror of the list serves, in costs of the worst mirror that would stand in an
/// ideal list. More than any mirror's own, so that no place stays free while somebody could have it; not so
/// much more that two halves of the images are worth less than a slow whole.
const NOBODY_SERVES: f64 = 10.0;

/// A mirror that may stand in the list.
pub(super) struct Runner<'a> {
    /// Its index among the candidates, which are sorted.
    pub(super) candidate: usize,
    pub(super) record: &'a Record,
    pub(super) figure: Figure,
    /// Its place in the current list.
    pub(super) place: Option<usize>,
}

/// Under which terms a list is composed.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) policy: &'a Policy,
    /// What a pull costs that nobody serves.
    pub(super) nobody_serves: f64,
    /// There is no list of ours yet that would have to be respected.
    pub(super) ideal: bool,
    /// Nothing was made faster within `hold`.
    pub(super) may_improve: bool,
}

/// A list, as indices into the runners.
pub(super) struct Composed {
    pub(super) list: Vec<usize>,
    /// The expected cost of a pull.
    pub(super) cost: f64,
    /// It was changed where nothing but speed asked for it.
    pub(super) faster: bool,
}

/// Runners in the order in which the engine should try them; equals as they stand, then as they sort.
pub(super) fn in_order(mut runners: Vec<Runner<'_>>) -> Vec<Runner<'_>> {
    let place = |runner: &Runner<'_>| runner.place.unwrap_or(usize::MAX);
    runners.sort_by(|a, b| {
        let cost = a.figure.cost().total_cmp(&b.figure.cost());
        cost.then_with(|| place(a).cmp(&place(b))).then_with(|| a.candidate.cmp(&b.candidate))
    });
    runners
}

/// What a pull costs that nobody serves, for these runners in order.
pub(super) fn nobody_serves(runners: &[Runner<'_>], max: usize) -> f64 {
    let last = runners.len().min(max).checked_sub(1).and_then(|last| runners.get(last));
    NOBODY_SERVES * last.map_or(1.0, |runner| runner.figure.cost())
}

/// The list that these runners, in order, make under these terms.
pub(super) fn compose(runners: &[Runner<'_>], terms: &Terms<'_>) -> Composed {
    let max = terms.policy.max.max(1);
    let mut members: Vec<usize> =
        (0..runners.len()).filter(|runner| runners[*runner].place.is_some()).collect();
    members.sort_by_key(|member| runners[*member].place);
    members.truncate(max);
    let mut draft = Draft { runners, terms, list: members, faster: false };
    if terms.ideal || draft.list.is_empty() {
        draft.list = ideal(runners, max, terms.nobody_serves);
    } else {
        draft.fill(max);
        if terms.may_improve {
            draft.improve();
        }
    }
    Composed { cost: draft.cost_from(0), list: draft.list, faster: draft.faster }
}

/// The best ordered set of at most `max` runners, which are in order.
///
/// With the order known, the cost of what is still to come depends only on how many places are left:
/// `V(i, k) = min(V(i + 1, k), try(i) + miss(i) · V(i + 1, k − 1))`.
fn ideal(runners: &[Runner<'_>], max: usize, nobody_serves: f64) -> Vec<usize> {
    let places = max.min(runners.len());
    let mut value = vec![nobody_serves; places + 1];
    let mut taken = vec![false; runners.len() * places];
    for (index, runner) in runners.iter().enumerate().rev() {
        let (one_try, miss) = (runner.figure.one_try(), runner.figure.miss());
        for left in (1..=places).rev() {
            let with = one_try + miss * value[left - 1];
            // Among equals the first in order is taken: that is the one that stands in the list already.
            if with <= value[left] {
                value[left] = with;
                taken[index * places + left - 1] = true;
            }
        }
    }
    let mut left = places;
    let mut list = Vec::with_capacity(places);
    for index in 0..runners.len() {
        if left > 0 && taken[index * places + left - 1] {
            list.push(index);
            left -= 1;
        }
    }
    list
}

struct Draft<'a> {
    runners: &'a [Runner<'a>],
    terms: &'a Terms<'a>,
    list: Vec<usize>,
    faster: bool,
}

impl Draft<'_> {
    fn runner(&self, place: usize) -> &Runner<'_> {
        &self.runners[self.list[place]]
    }

    /// What a pull costs that has come as far as this place.
    fn cost_from(&self, place: usize) -> f64 {
        let rest = self.list[place.min(self.list.len())..].iter().rev();
        rest.fold(self.terms.nobody_serves, |after, runner| {
            let figure = &self.runners[*runner].figure;
            figure.one_try() + figure.miss() * after
        })
    }

    /// What the list costs without the member at `place`, until nobody of it has served, and how often that is.
    fn without(&self, place: usize) -> (f64, f64) {
        let others = self.list.iter().enumerate().filter(|(other, _)| *other != place);
        others.fold((0.0, 1.0), |(cost, reached), (_, runner)| {
            let figure = &self.runners[*runner].figure;
            (cost + reached * figure.one_try(), reached * figure.miss())
        })
    }

    /// What it costs to have come to this mirror, when it is the last.
    fn at_the_end(&self, figure: &Figure) -> f64 {
        figure.one_try() + figure.miss() * self.terms.nobody_serves
    }

    /// Whoever comes, comes to the end, as into a free place, and overtakes from there.
    fn exchange(&mut self, place: usize, challenger: usize) {
        self.list.remove(place);
        self.list.push(challenger);
    }

    fn outside(&self) -> Vec<usize> {
        let mut inside = vec![false; self.runners.len()];
        for member in &self.list {
            inside[*member] = true;
        }
        (0..self.runners.len()).filter(|runner| !inside[*runner]).collect()
    }

    /// Free places are filled at the end, at once, each with the best that is left.
    fn fill(&mut self, max: usize) {
        while self.list.len() < max {
            let cost = |runner: &usize| self.at_the_end(&self.runners[*runner].figure);
            let best = self.outside().into_iter().min_by(|a, b| cost(a).total_cmp(&cost(b)));
            let Some(best) = best else { return };
            self.list.push(best);
        }
    }

    /// Exchanges and overtakes until nobody has proved anything more. Each step lowers the expected cost, so
    /// that there is an end to it; the bound is for what rounding might do.
    fn improve(&mut self) {
        let steps = 2 * self.list.len() * self.list.len() + 8;
        for _ in 0..steps {
            if !(self.exchange_worst() || self.exchange_for_coverage() || self.overtake()) {
                return;
            }
            self.faster = true;
        }
    }

    fn proved(&self, runner: usize, incumbent: &Figure) -> bool {
        let Runner { record, figure, .. } = &self.runners[runner];
        proved_faster((record, figure), incumbent, self.terms.policy, Figure::cost)
    }

    /// The quickest of those outside that is `margin` faster than the slowest member takes its place.
    fn exchange_worst(&mut self) -> bool {
        let by_cost =
            |a: &usize, b: &usize| self.runner(*a).figure.cost().total_cmp(&self.runner(*b).figure.cost());
        let Some(worst) = (0..self.list.len()).max_by(by_cost) else { return false };
        let slowest = &self.runner(worst).figure;
        let now = self.at_the_end(slowest);
        // They are in order of their cost, so the first that has proved it is the quickest that has. With the
        // slowest at the end the list would be no worse than it is, so this is what the challenger must beat.
        let challenger = self.outside().into_iter().find(|outside| {
            self.at_the_end(&self.runners[*outside].figure) < now && self.proved(*outside, slowest)
        });
        challenger.inspect(|challenger| self.exchange(worst, *challenger)).is_some()
    }

    /// A mirror that serves more of the images takes the place of one that refuses some, when the list as a
    /// whole gets `margin` better by it.
    fn exchange_for_coverage(&mut self) -> bool {
        let bar = self.cost_from(0) * (1.0 - self.terms.policy.margin);
        let outside = self.outside();
        for place in (0..self.list.len()).rev() {
            let covers = self.runner(place).figure.covers();
            if covers >= 1.0 {
                continue;
            }
            let (others, reached) = self.without(place);
            let with = |figure: &Figure| others + reached * self.at_the_end(figure);
            let challenger = outside
                .iter()
                .filter(|outside| {
                    let Runner { record, figure, .. } = &self.runners[**outside];
                    figure.covers() > covers
                        && with(figure) < bar
                        && own_figures(record, figure, self.terms.policy)
                            .is_some_and(|mut own| own.all(|own| with(&own) < bar))
                })
                .min_by(|a, b| with(&self.runners[**a].figure).total_cmp(&with(&self.runners[**b].figure)));
            if let Some(challenger) = challenger {
                self.exchange(place, *challenger);
                return true;
            }
        }
        false
    }

    /// A member that is `margin` faster than one before it comes to stand before that one.
    fn overtake(&mut self) -> bool {
        for place in 1..self.list.len() {
            let slower = |before: &usize| self.proved(self.list[place], &self.runner(*before).figure);
            if let Some(before) = (0..place).find(slower) {
                self.list[before..=place].rotate_right(1);
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mirrors made up of `(seconds, covers, refusal)`, in order.
    fn runners<'a>(figures: &[(f64, f64, f64)], record: &'a Record) -> Vec<Runner<'a>> {
        let runner = |(candidate, (seconds, covers, refusal)): (usize, &(f64, f64, f64))| Runner {
            candidate,
            record,
            figure: Figure::made_up(*seconds, *covers, *refusal),
            place: None,
        };
        in_order(figures.iter().enumerate().map(runner).collect())
    }

    fn cost(list: &[usize], runners: &[Runner<'_>], nobody_serves: f64) -> f64 {
        list.iter().rev().fold(nobody_serves, |after, runner| {
            let figure = &runners[*runner].figure;
            figure.one_try() + figure.miss() * after
        })
    }

    /// The least cost over every ordered choice of at most `left` more.
    fn least(list: &mut Vec<usize>, left: usize, runners: &[Runner<'_>], nobody_serves: f64) -> f64 {
        let mut best = cost(list, runners, nobody_serves);
        for next in 0..runners.len() {
            if left > 0 && !list.contains(&next) {
                list.push(next);
                best = best.min(least(list, left - 1, runners, nobody_serves));
                list.pop();
            }
        }
        best
    }

    #[test]
    fn the_ideal_list_is_the_best_of_all_ordered_choices() {
        let record = Record::default();
        // A fixed sequence (Knuth's multiplier) stands in for chance.
        let mut state = 1_u64;
        let mut next = |from: f64, to: f64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            from + (to - from) * f64::from((state >> 40) as u32 % 1000) / 1000.0
        };
        for _ in 0..60 {
            let figures: Vec<_> = (0..6)
                .map(|_| {
                    (
                        next(1.0, 30.0),
                        if next(0.0, 1.0) < 0.5 { 1.0 } else { next(0.1, 1.0) },
                        next(0.01, 1.0),
                    )
                })
                .collect();
            let runners = runners(&figures, &record);
            for max in 1..=4 {
                let nobody = nobody_serves(&runners, max);
                let list = ideal(&runners, max, nobody);
                let (got, best) =
                    (cost(&list, &runners, nobody), least(&mut Vec::new(), max, &runners, nobody));
                assert!(got <= best * (1.0 + 1e-12), "{figures:?}, {max}: {list:?} costs {got}, not {best}");
                assert_eq!(list.len(), max, "no place stays free");
            }
        }
    }

    #[test]
    fn ideals() {
        #[track_caller]
        fn check(figures: &[(f64, f64, f64)], max: usize, expected: &[usize]) {
            let record = Record::default();
            let runners = runners(figures, &record);
            let list = ideal(&runners, max, nobody_serves(&runners, max));
            let got: Vec<usize> = list.iter().map(|runner| runners[*runner].candidate).collect();
            assert_eq!(got, expected, "{figures:?}");
        }
        // The fastest first.
        check(&[(3.0, 1.0, 0.2), (1.0, 1.0, 0.2), (2.0, 1.0, 0.2)], 2, &[1, 2]);
        // Among equals as they come.
        check(&[(1.0, 1.0, 0.2), (1.0, 1.0, 0.2), (1.0, 1.0, 0.2)], 2, &[0, 1]);
        // A quick half before a slow whole ...
        check(&[(5.0, 1.0, 0.2), (2.0, 0.5, 0.2)], 2, &[1, 0]);
        // ... and behind it when its refusals take their time.
        check(&[(5.0, 1.0, 0.2), (2.0, 0.5, 6.0)], 2, &[0, 1]);
        // Two quick halves do not keep out a slower whole.
        check(&[(2.0, 0.5, 0.2), (2.1, 0.5, 0.2), (6.0, 1.0, 0.2)], 2, &[0, 2]);
        // One that serves next to nothing is not worth a place.
        check(&[(1.0, 0.05, 0.2), (3.0, 1.0, 0.2), (4.0, 1.0, 0.2)], 2, &[1, 2]);
        // Fewer than there are places.
        check(&[(1.0, 1.0, 0.2)], 3, &[0]);
        check(&[], 3, &[]);
    }
}
