//! Whose content is contradicted, and whose is stale.
//!
//! A tag moves, and mirrors are not asked at the same moment, so that two digests of one tag need not
//! contradict each other. Each mirror has led to its digest from one time to another; two of them contradict
//! each other when these spans overlap, give or take a round. Only votes are counted that overlap the time in which
//! both digests were to be had, or were cast within a day before: otherwise the first mirror that has a new image would
//! stand against all that have not been asked since, and one that is stuck with the old image would have the votes of
//! mirrors long dead.
//!
//! More than half of the votes make the majority, each backend having one; where the upstream answered in
//! the same span, it is right. A mirror that leads elsewhere is stale when at its last answer the right
//! image had been created, or had been seen, for an hour. What claims to have been created later than
//! the right image is the new image to all appearance, and must disagree for an hour itself.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::image::{Digest, Image};
use crate::ranking::record::{Record, Tag};
use crate::timestamp::Timestamp;

/// Some mirrors cache a tag for an hour by design.
const CACHED: Duration = Duration::from_secs(3600);
/// Answers so far apart are of one round.
const ROUND: Duration = Duration::from_secs(600);
/// Whoever was asked within this before is no less of a witness than one that was asked just now: mirrors are rehearsed
/// hours apart, each for the image whose turn it is.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// Digests of one image that are compared; what is not among the most frequent cannot be the majority.
const DIGESTS: usize = 8;

/// What the others say of one mirror's content.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    /// Somebody leads elsewhere, and this mirror is not of the majority.
    pub(super) contradicted: bool,
    /// It is stale.
    pub(super) stale: Option<Stale>,
}

/// Since when, and for which image; the next rehearsal should ask for that one.
#[derive(Clone, Debug)]
pub(super) struct Stale {
    pub(super) image: Image,
    pub(super) detail: String,
    pub(super) since: Timestamp,
}

/// A candidate whose content is compared.
pub(super) struct Voter<'a> {
    pub(super) candidate: usize,
    pub(super) backend: usize,
    pub(super) record: &'a Record,
}

struct Vote<'a> {
    /// `None` is the upstream.
    voter: Option<&'a Voter<'a>>,
    tag: &'a Tag,
}

/// What the others say of the content of each of `count` candidates, as far as the images of `counting` go; an empty list
/// is every image.
pub(super) fn compare(
    voters: &[Voter<'_>],
    upstream: Option<&Record>,
    count: usize,
    counting: &[Image],
) -> Vec<Content> {
    let mut images: BTreeMap<&Image, Vec<Vote<'_>>> = BTreeMap::new();
    for voter in voters {
        for (image, tag) in voter.record.tags() {
            images.entry(image).or_default().push(Vote { voter: Some(voter), tag });
        }
    }
    for (image, tag) in upstream.into_iter().flat_map(Record::tags) {
        if let Some(votes) = images.get_mut(image) {
            votes.push(Vote { voter: None, tag });
        }
    }
    let mut contents = vec![Content::default(); count];
    for (image, votes) in images {
        if votes.iter().all(|vote| vote.tag.digest() == votes[0].tag.digest()) {
            continue;
        }
        let counts = counting.is_empty() || counting.contains(image);
        let count = Count::of(&votes);
        for vote in &votes {
            let Some(voter) = vote.voter else { continue };
            // Where it led once is its vote for that time. But what nobody gets from it any more does no harm, and
            // nothing would clear it: such an image rests, or is not asked for.
            if !counts || voter.record.serves(image) != Some(true) {
                continue;
            }
            let content = &mut contents[voter.candidate];
            let judgement = count.judge(vote.tag);
            content.contradicted |= judgement.contradicted;
            if content.stale.is_none() {
                content.stale = judgement.stale.map(|(detail, since)| Stale {
                    image: image.clone(),
                    detail: format!("{image} leads to {}, {detail}", short(vote.tag.digest())),
                    since,
                });
            }
        }
    }
    contents
}

/// Spans of time, of which one asks how many overlap another.
#[derive(Default)]
struct Spans {
    starts: Vec<Timestamp>,
    ends: Vec<Timestamp>,
}

impl Spans {
    fn push(&mut self, start: Timestamp, end: Timestamp) {
        self.starts.push(start);
        self.ends.push(end);
    }

    fn sort(&mut self) {
        self.starts.sort_unstable();
        self.ends.sort_unstable();
    }

    /// How many overlap the time in which both this tag and one that was `first_seen` then were to be had, or the day
    /// before this tag was last seen.
    fn overlapping(&self, tag: &Tag, first_seen: Timestamp) -> usize {
        let from = tag.since().max(first_seen.min(tag.at() - REMEMBERED)) - ROUND;
        let to = tag.at() + ROUND;
        let begun = self.starts.partition_point(|start| *start <= to);
        let ended = self.ends.partition_point(|end| *end < from);
        begun.saturating_sub(ended)
    }
}

/// One digest's votes.
struct Party<'a> {
    digest: &'a Digest,
    created: Option<Timestamp>,
    first_seen: Timestamp,
    spans: Spans,
}

/// All votes for one image.
struct Count<'a> {
    parties: Vec<Party<'a>>,
    all: Spans,
    upstream: Option<&'a Tag>,
}

struct Judgement {
    contradicted: bool,
    stale: Option<(String, Timestamp)>,
}

impl<'a> Count<'a> {
    fn of(votes: &[Vote<'a>]) -> Self {
        let mut numbers: BTreeMap<&Digest, usize> = BTreeMap::new();
        let mut parties: Vec<Party<'a>> = Vec::new();
        let mut cast: Vec<(usize, Option<usize>, Timestamp, Timestamp)> = Vec::with_capacity(votes.len());
        for Vote { voter, tag } in votes {
            let number = *numbers.entry(tag.digest()).or_insert_with(|| {
                parties.push(Party {
                    digest: tag.digest(),
                    created: None,
                    first_seen: tag.since(),
                    spans: Spans::default(),
                });
                parties.len() - 1
            });
            let party = &mut parties[number];
            party.created = party.created.max(tag.created());
            party.first_seen = party.first_seen.min(tag.since());
            cast.push((number, voter.map(|voter| voter.backend), tag.since(), tag.at()));
        }
        // Several names with one backend have one vote, from the first time it was cast to the last.
        cast.sort_unstable();
        let mut all = Spans::default();
        for same in cast.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let since = same.iter().map(|vote| vote.2).min().unwrap_or_default();
            let at = same.iter().map(|vote| vote.3).max().unwrap_or_default();
            all.push(since, at);
            parties[same[0].0].spans.push(since, at);
        }
        all.sort();
        parties.sort_by_key(|party| (std::cmp::Reverse(party.spans.starts.len()), party.digest));
        parties.truncate(DIGESTS);
        for party in &mut parties {
            party.spans.sort();
        }
        let upstream = votes.iter().find(|vote| vote.voter.is_none()).map(|vote| vote.tag);
        Self { parties, all, upstream }
    }

    fn judge(&self, tag: &Tag) -> Judgement {
        let overlap = |other: &Tag| other.since() <= tag.at() + ROUND && tag.since() <= other.at() + ROUND;
        if let Some(truth) = self.upstream.filter(|truth| overlap(truth)) {
            if truth.digest() == tag.digest() {
                return Judgement { contradicted: false, stale: None };
            }
            let stale = is_stale(tag, truth.created(), truth.since()).then(|| {
                let detail = format!("with the upstream to {}", short(truth.digest()));
                (detail, tag.since().max(truth.since()))
            });
            return Judgement { contradicted: true, stale };
        }
        // Whoever was last asked long before, and before a rival was there, has no say in which of the two is right: a
        // dead mirror's vote would stand by the old content for as long as a stuck one leads to it.
        let majorities = self.parties.iter().filter_map(|party| {
            let all = self.all.overlapping(tag, party.first_seen);
            let votes = party.spans.overlapping(tag, party.first_seen);
            (2 * votes > all).then_some((party, votes, all))
        });
        let (own, mut rivals): (Vec<_>, Vec<_>) =
            majorities.partition(|(party, ..)| party.digest == tag.digest());
        if rivals.is_empty() {
            // Where nobody has the majority, somebody leads elsewhere: a tie makes nobody stale.
            return Judgement { contradicted: own.is_empty(), stale: None };
        }
        // The newest is right, and one before it was.
        rivals.sort_by_key(|(party, ..)| std::cmp::Reverse(party.first_seen));
        let right = rivals.iter().find(|(party, ..)| is_stale(tag, party.created, party.first_seen));
        let stale = right.map(|(party, votes, all)| {
            let detail = format!("with {votes} of {all} to {}", short(party.digest));
            (detail, tag.since().max(party.first_seen))
        });
        Judgement { contradicted: true, stale }
    }
}

/// Whether a mirror that leads to `tag` should have led to an image that was created and first seen then.
fn is_stale(tag: &Tag, created: Option<Timestamp>, first_seen: Timestamp) -> bool {
    let old = created.is_some_and(|created| created + CACHED <= tag.at()) || first_seen + CACHED <= tag.at();
    let claims_to_be_newer = matches!((tag.created(), created), (Some(own), Some(right)) if own > right);
    old && (!claims_to_be_newer || tag.since() + CACHED <= tag.at())
}

/// `sha256:` and 12 digits, as the engine's own tools show it.
fn short(digest: &Digest) -> &str {
    digest.as_str().get(..19).unwrap_or(digest.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{Depth, Failure, Observation, Outcome, Stage};
    use crate::ranking::Policy;
    use crate::reason::FailureKind;

    const START: Timestamp = Timestamp::from_millis(1_795_176_000_000);

    fn minutes(count: u64) -> Duration {
        Duration::from_secs(60 * count)
    }

    /// `0:new/600 90:old 99:404`: at minute 0 the tag led to `new`, created 600 minutes before the start; at minute 90
    /// to `old`, of which nobody says when it was created; and at minute 99 it was refused.
    fn record(script: &str) -> Record {
        let mut record = Record::default();
        for word in script.split_whitespace() {
            let (minute, digest) = word.split_once(':').expect("a minute");
            let (digest, age) =
                digest.split_once('/').map_or((digest, None), |(digest, age)| (digest, Some(age)));
            let mut seen = Observation::new(START + minutes(minute.parse().unwrap()), Depth::Rehearse);
            seen.image = Some("busybox".parse().unwrap());
            if digest == "404" {
                seen.outcome = Outcome::Failed(Failure {
                    kind: FailureKind::NotFound,
                    stage: Stage::Manifest,
                    detail: String::new(),
                });
            } else {
                seen.digest = Some(Digest::of(digest.as_bytes()));
                seen.created = age.map(|age| START - minutes(age.parse().unwrap()));
            }
            record.observe(&seen, &Policy::default());
        }
        record
    }

    fn judged(records: &[Record], upstream: Option<&Record>, counting: &[Image]) -> String {
        let voters: Vec<Voter<'_>> = records
            .iter()
            .enumerate()
            .map(|(candidate, record)| Voter { candidate, backend: candidate, record })
            .collect();
        compare(&voters, upstream, records.len(), counting)
            .iter()
            .map(|content| match (content.contradicted, &content.stale) {
                (_, Some(_)) => 'S',
                (true, None) => 'c',
                (false, None) => '.',
            })
            .collect()
    }

    /// One letter a mirror: `.` agrees, `c` is contradicted, `S` is stale.
    #[track_caller]
    fn check(upstream: Option<&str>, mirrors: &[&str], expected: &str) {
        let records: Vec<Record> = mirrors.iter().map(|script| record(script)).collect();
        let got = judged(&records, upstream.map(record).as_ref(), &[]);
        assert_eq!(got, expected, "{mirrors:?}, upstream {upstream:?}");
    }

    #[test]
    fn judgements() {
        // Alone, or of one mind.
        check(None, &["0:a"], ".");
        check(None, &["0:a", "0:a", "0:a"], "...");
        // A tie makes nobody stale, not even after a day.
        check(None, &["0:a/9999 1440:a/9999", "0:b/60 1440:b/60"], "cc");
        check(None, &["0:a 0:a", "0:a", "0:b", "0:b"], "cccc");
        // No digest with more than half of the votes is no majority.
        check(None, &["0:a/99", "0:a/99", "0:b/999", "0:c/999"], "cccc");
        // The majority's image is more than an hour old, or less.
        check(None, &["0:a/60", "0:a/60", "0:b/9999"], "..S");
        check(None, &["0:a/59", "0:a/59", "0:b/9999"], "..c");
        // Nobody says how old it is: it counts from when it was first seen.
        check(None, &["0:a", "0:a", "0:b"], "..c");
        check(None, &["0:a 59:a", "0:a 59:a", "0:b 59:b"], "..c");
        check(None, &["0:a 60:a", "0:a 60:a", "0:b 60:b"], "..S");
        // Whoever has not been asked since is not judged by what was found later.
        check(None, &["0:a 60:a", "0:a 60:a", "0:b"], "..c");
        // The first to have a new image is not contradicted by those that were asked long before ...
        check(None, &["120:new/300", "0:old/9999", "0:old/9999", "0:old/9999"], "....");
        // ... and has an hour to see the others follow, where they have been asked since.
        check(None, &["120:new/300", "0:old/9999 120:old/9999", "0:old/9999 120:old/9999"], "c..");
        check(
            None,
            &["120:new/300 180:new/300", "0:old/9999 180:old/9999", "0:old/9999 180:old/9999"],
            "S..",
        );
        // The upstream is right, against any majority.
        check(Some("0:new/60"), &["0:old/9999", "0:old/9999", "0:new/60"], "SS.");
        check(Some("0:new/59"), &["0:old/9999", "0:old/9999", "0:new/59"], "cc.");
        check(Some("0:old/99"), &["0:old/99", "0:odd/99", "0:odd/99"], ".SS");
        // An upstream that answered another day decides nothing.
        check(Some("0:new/60"), &["2000:a/999", "2000:a/999", "2000:b/999"], "..S");
    }

    #[test]
    fn only_what_a_mirror_serves_still_and_what_counts_makes_it_stale() {
        // Nobody has the image any more, and nobody asks for it but because a is stale.
        check(None, &["0:old 120:old 130:404", "0:new 120:new", "0:new 120:new"], "...");
        // Who has refused it since was a witness all the same.
        check(None, &["0:old 120:old", "0:new 120:new 130:404", "0:new 120:new 130:404"], "S..");
        // It has it again, and it is the old one still.
        check(None, &["0:old 120:404 130:old", "0:new 130:new", "0:new 130:new"], "S..");
        let records = ["0:old 120:old", "0:new 120:new", "0:new 120:new"].map(record);
        for (counts, expected) in [("busybox", "S.."), ("gone-from-the-host", "...")] {
            assert_eq!(judged(&records, None, &[counts.parse().unwrap()]), expected, "{counts} counts");
        }
    }

    #[test]
    fn who_died_before_a_tag_moved_has_no_say_in_where_it_leads_now() {
        const STUCK: &str = "0:old 14400:old 43200:old";
        const MOVED: &str = "0:old 14400:new 43200:new";
        const DEAD: &str = "0:old 7200:old";
        check(None, &[STUCK, MOVED, MOVED, MOVED], "S...");
        check(None, &[STUCK, MOVED, MOVED, MOVED, DEAD, DEAD], "S.....");
        // Not even where they were the most.
        check(None, &[STUCK, MOVED, MOVED, DEAD, DEAD, DEAD, DEAD, DEAD], "S.......");
    }

    #[test]
    fn who_was_asked_hours_before_a_tag_moved_still_has_a_say_about_who_was_asked_minutes_before() {
        // At minute 115 nobody could know what two others were given at 121.
        let mirrors = ["0:old/9999 115:old/9999", "60:old/9999", "50:old/9999", "121:new/300", "122:new/300"];
        check(None, &mirrors, ".....");
        // Asked again at 235, it should have it.
        let asked_again =
            ["0:old/9999 235:old/9999", "230:new/300", "225:new/300", "121:new/300", "122:new/300"];
        check(None, &asked_again, "S....");
    }

    #[test]
    fn several_names_of_one_backend_have_one_vote() {
        let records = ["0:b/99", "0:b/99", "0:a/99", "0:a/99", "0:a/99"].map(record);
        let voters: Vec<Voter<'_>> = records
            .iter()
            .enumerate()
            .map(|(candidate, record)| Voter { candidate, backend: candidate.min(2), record })
            .collect();
        let contents = compare(&voters, None, records.len(), &[]);
        assert!(contents[2..].iter().all(|content| content.stale.is_some()), "one vote against two");
        assert!(contents[..2].iter().all(|content| content.stale.is_none()));
    }
}
