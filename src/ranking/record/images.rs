//! What a mirror last said of each image: served, or refused and to be left alone for a while; and to
//! which content the tag led.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Coverage, Moment, at_rest};
use crate::image::{Digest, Image};
use crate::observation::{Failure, Observation};
use crate::reason::FailureKind;
use crate::timestamp::Timestamp;

/// How many images are remembered: the most that are learned from the engine (50), and some that were asked
/// for by hand.
const MOST: usize = 64;
/// An image that was refused rests so long, twice as long when it is refused again ...
const REST: Duration = Duration::from_secs(3600);
/// ... and at most so long. An operator counts refusals over two days, and bans.
const LONGEST_REST: Duration = Duration::from_secs(6 * 3600);

/// The images asked of one mirror.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Images(BTreeMap<Image, Known>);

/// One image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Known {
    /// When it was last asked for.
    at: Moment,
    /// The last answer; `None` when no answer came yet that is about the image.
    answer: Option<Answer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rests_until: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<Tag>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Served,
    Refused { kind: FailureKind, since: Moment, times: u32 },
}

/// The content that a tag led to: the same digest from `since` to `at`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tag {
    digest: Digest,
    created: Option<Moment>,
    since: Moment,
    at: Moment,
}

impl Tag {
    /// What the tag leads to.
    pub(crate) fn digest(&self) -> &Digest {
        &self.digest
    }

    /// When that was created, as it says itself.
    pub(crate) fn created(&self) -> Option<Timestamp> {
        self.created.map(Moment::time)
    }

    /// When this mirror first led there.
    pub(crate) fn since(&self) -> Timestamp {
        self.since.time()
    }

    /// When it last did.
    pub(crate) fn at(&self) -> Timestamp {
        self.at.time()
    }
}

/// What a refusal says beside itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The image was not served before either.
    Known,
    /// The image was served the last time.
    New,
}

impl Images {
    pub(super) fn served(&mut self, image: &Image, at: Timestamp, counting: &[Image]) {
        let known = self.entry(image, at, counting);
        known.answer = Some(Answer::Served);
        known.rests_until = None;
    }

    pub(super) fn refused(
        &mut self,
        image: &Image,
        failure: &Failure,
        observation: &Observation,
        counting: &[Image],
    ) -> Turn {
        let at = observation.at;
        let known = self.entry(image, at, counting);
        let (since, times) = match &known.answer {
            Some(Answer::Refused { kind, since, times }) if *kind == failure.kind => {
                (*since, times.saturating_add(1))
            }
            Some(Answer::Refused { times, .. }) => (at.into(), times.saturating_add(1)),
            Some(Answer::Served) | None => (at.into(), 1),
        };
        let turn = if known.answer == Some(Answer::Served) { Turn::New } else { Turn::Known };
        known.answer = Some(Answer::Refused { kind: failure.kind, since, times });
        let rest = doubled(REST, times, LONGEST_REST).max(observation.retry_after.unwrap_or_default());
        known.rests_until = Some((at + rest).into());
        turn
    }

    /// Its turn has come, whatever it will be answered.
    pub(super) fn asked(&mut self, image: &Image, at: Timestamp, counting: &[Image]) {
        self.entry(image, at, counting);
    }

    /// When it was last asked for. What lies ahead is what a clock that was set back has left behind.
    pub(super) fn last_asked(&self, image: &Image, now: Timestamp) -> Option<Timestamp> {
        self.0.get(image).map(|known| known.at.time()).filter(|at| *at <= now)
    }

    /// Remembers the content that the tag led to.
    pub(super) fn led_to(&mut self, observation: &Observation, counting: &[Image]) {
        let (Some(image), Some(digest)) = (&observation.image, &observation.digest) else { return };
        let at = Moment::from(observation.at);
        let created = observation.created.map(Moment::from);
        let known = self.entry(image, observation.at, counting);
        match &mut known.tag {
            Some(tag) if tag.digest == *digest => {
                tag.since = tag.since.min(at);
                tag.at = at;
                tag.created = created.or(tag.created);
            }
            Some(_) | None => known.tag = Some(Tag { digest: digest.clone(), created, since: at, at }),
        }
    }

    fn entry(&mut self, image: &Image, at: Timestamp, counting: &[Image]) -> &mut Known {
        let room = MOST.max(counting.len());
        if self.0.len() >= room && !self.0.contains_key(image) {
            // The images that count go last; among the others the one that was not asked for the longest.
            let oldest = self.0.iter().min_by_key(|(image, known)| (counting.contains(image), known.at));
            if let Some(oldest) = oldest.map(|(image, _)| image.clone()) {
                self.0.remove(&oldest);
            }
        }
        let known = self.0.entry(image.clone()).or_default();
        known.at = at.into();
        known
    }

    /// Whether the last answer was yes; `None` before the first.
    pub(super) fn serves(&self, image: &Image) -> Option<bool> {
        match self.0.get(image)?.answer.as_ref()? {
            Answer::Served => Some(true),
            Answer::Refused { .. } => Some(false),
        }
    }

    pub(super) fn refuses(&self, image: &Image) -> Option<FailureKind> {
        match self.0.get(image)?.answer.as_ref()? {
            Answer::Served => None,
            Answer::Refused { kind, .. } => Some(*kind),
        }
    }

    pub(super) fn serves_some(&self) -> bool {
        self.0.values().any(|known| known.answer == Some(Answer::Served))
    }

    pub(super) fn resting(&self, image: &Image, now: Timestamp) -> Option<Timestamp> {
        at_rest(self.0.get(image)?.rests_until?, now)
    }

    /// Of the images that count, those asked for and those served; an empty list counts every image.
    pub(super) fn coverage(&self, counting: &[Image]) -> Option<Coverage> {
        let mut coverage = Coverage { served: 0, of: 0 };
        for known in self.counted(counting) {
            coverage.of += 1;
            coverage.served += usize::from(known.answer == Some(Answer::Served));
        }
        (coverage.of > 0).then_some(coverage)
    }

    /// The last refusal of an image that counts: its kind, and since when.
    pub(super) fn last_refusal(&self, counting: &[Image]) -> Option<(FailureKind, Timestamp)> {
        let last = self
            .counted(counting)
            .filter_map(|known| match &known.answer {
                Some(Answer::Refused { kind, since, .. }) => Some((known.at, *kind, *since)),
                Some(Answer::Served) | None => None,
            })
            .max_by_key(|(at, kind, _)| (*at, *kind));
        last.map(|(_, kind, since)| (kind, since.time()))
    }

    fn counted<'a>(&'a self, counting: &'a [Image]) -> impl Iterator<Item = &'a Known> {
        let every = counting.is_empty().then(|| self.0.values());
        let some = counting.iter().filter_map(|image| self.0.get(image));
        every.into_iter().flatten().chain(some).filter(|known| known.answer.is_some())
    }

    /// Every tag whose content is known.
    pub(super) fn tags(&self) -> impl Iterator<Item = (&Image, &Tag)> {
        self.0.iter().filter_map(|(image, known)| Some((image, known.tag.as_ref()?)))
    }
}

/// `first`, doubled for each further time, at most `longest`.
pub(super) fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    let factor = 1_u32.checked_shl(times.saturating_sub(1)).unwrap_or(u32::MAX);
    first.saturating_mul(factor).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_doubles_up_to_its_longest() {
        let hours: Vec<u64> =
            (1..6).map(|times| doubled(REST, times, LONGEST_REST).as_secs() / 3600).collect();
        assert_eq!(hours, [1, 2, 4, 6, 6]);
        assert_eq!(doubled(REST, u32::MAX, LONGEST_REST), LONGEST_REST);
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_counts_stays() {
        let counting = ["library/busybox:latest".parse::<Image>().unwrap()];
        let mut images = Images::default();
        images.served(&counting[0], Timestamp::from_millis(0), &counting);
        for number in 1..200 {
            let other = format!("other/image-{number}").parse().unwrap();
            images.served(&other, Timestamp::from_millis(number), &counting);
        }
        assert_eq!(images.0.len(), MOST);
        assert_eq!(images.coverage(&counting), Some(Coverage { served: 1, of: 1 }));
    }
}
