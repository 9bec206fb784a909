//! When a mirror is asked next, how far and for which image.

mod budget;
mod phase;

use std::time::Duration;

pub use budget::{Allowance, Carried, Together};
use budget::{Purpose, Request, Stands};

use crate::image::Image;
use crate::mirror::MirrorUrl;
use crate::observation::{Depth, Spent};
use crate::ranking::record::{Record, Standing};
use crate::timestamp::Timestamp;

use super::network::Outage;
use super::step::{Settings, Track};

/// How often mirrors are asked; jitter only shortens. `[schedule]` of mirrors.toml.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Between the connects of a selected mirror.
    pub connect: Duration,
    /// Between the samples of a selected mirror.
    pub sample: Duration,
    /// Between the rehearsals of any mirror.
    pub rehearse: Duration,
    /// Between the rehearsals of a mirror that is about to change the list.
    pub decide: Duration,
    /// Between the re-checks after a first failure.
    pub confirm: Duration,
}

/// The next probe of one mirror.
#[derive(Clone, Debug, PartialEq)]
pub struct Due {
    /// When.
    pub at: Timestamp,
    /// How far.
    pub depth: Depth,
    /// How far it had to go: a rehearsal stands for a sample where no layer is known.
    pub meant: Depth,
    /// For which image; `None` at depth connect.
    pub image: Option<Image>,
}

/// What a probe's time depends on beside the mirror itself.
pub(super) struct Circumstances<'a> {
    pub(super) settings: &'a Settings,
    /// It stands in the list.
    pub(super) selected: bool,
    /// It is the yardstick.
    pub(super) is_upstream: bool,
    /// Nobody answers.
    pub(super) outage: Option<&'a Outage>,
    /// What is decided can be written.
    pub(super) may_write: bool,
    /// When this run began, if there was a list to begin with: then nobody is in a hurry.
    pub(super) resumed: Option<Timestamp>,
    pub(super) together: Together,
    /// Somebody is asked now: what is due soon and asks no farther than this may come along.
    pub(super) company: Option<Depth>,
    pub(super) now: Timestamp,
}

/// After three failed rehearsals in a row the pauses between them double, up to six hours.
const PATIENCE: u32 = 3;
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3600);
/// To wake up costs more than to connect, so probes keep each other company: whenever anybody is asked, all those are
/// connected to as well whose turn would come within this part of `connect`. Asked farther are those whose turn would come
/// within all of it, so that nobody is woken up for them between two connects, but no sooner than jitter might have it.
const COMPANY: f64 = 0.5;
/// While nobody answers, everybody is knocked at this part of `connect`. It costs no request: 5 s of the default minute
/// are soon enough for a person who has just mended a cable, and as long as a time-out may take.
const KNOCK: u32 = 12;
/// Who has to be sent a request for the proof, as a mirror in the clear has, is sent one as long after the last as the
/// outage was old then, and at most so long after: eight in the first twenty minutes and six an hour from then on. One
/// that is not selected is sent half as many, for so few leave it room in its smaller budget for a rehearsal.
const LONGEST_KNOCK: Duration = Duration::from_secs(600);

/// The next probe of `track`, or `None` while one is under way or when it never takes part.
pub(super) fn due(track: &Track, around: &Circumstances<'_>) -> Option<Due> {
    if track.in_flight.is_some() || !track.mirror.takes_part() {
        return None;
    }
    let now = around.now;
    let pace = &around.settings.pace;
    if let Some(outage) = around.outage {
        let depth = outage.asks(&track.mirror.url);
        let at = track.last_asked.map_or(now, |last| last + knocks(track, around, outage, depth, last));
        return budgeted(track, around, at, depth, Purpose::Needed);
    }
    if let Some(depth) = track.control {
        return budgeted(track, around, now, depth, Purpose::Needed);
    }
    let early = |wish: &Wish| match around.company {
        Some(most) if wish.depth <= most => wish.early,
        Some(_) | None => Duration::ZERO,
    };
    let wish = earliest_deepest(&wishes(track, around), now, pace.confirm, early)?;
    // Whatever comes together, nobody is asked twice within a re-check's pause.
    let asked = track.last_asked.filter(|_| !track.at_once);
    let at = asked.map_or(wish.at, |asked| wish.at.max(asked + pace.confirm));
    // A run that goes on with the last one's list begins gently: a fleet may have been switched on together.
    let at = match around.resumed {
        Some(began) if track.turn == 0 => {
            let part = phase::part(around.settings.seed, track.mirror.url.as_str(), (Depth::Connect, 0));
            at.max(began + pace.connect.mul_f64(part))
        }
        Some(_) | None => at,
    };
    budgeted(track, around, at, wish.depth, wish.purpose)
}

/// Whether what this mirror is asked regularly is due, at the unhurried pace, and has to wait for its budget.
pub(super) fn is_over_budget(track: &Track, around: &Circumstances<'_>) -> bool {
    let pace = &around.settings.pace;
    let waits = |depth: Depth, pause: Duration, purpose: Purpose| {
        let is_due = last(&track.record, depth, around.now).is_none_or(|at| at + pause <= around.now);
        is_due && request(track, around, depth, purpose).is_kept_back(around.now)
    };
    waits(Depth::Rehearse, pace.rehearse, Purpose::Usual)
        || (around.selected && waits(Depth::Sample, pace.sample, Purpose::Watch))
}

/// When it could be asked so far, to tell whose another's failure is; `None` when never.
pub(super) fn control(track: &Track, around: &Circumstances<'_>, depth: Depth) -> Option<Timestamp> {
    budgeted(track, around, around.now, depth, Purpose::Needed).map(|due| due.at)
}

/// Whether one that has begun to fail may not be asked any more whether it goes on, for as long as its refusals count.
pub(super) fn is_unproven(track: &Track, settings: &Settings, now: Timestamp) -> bool {
    let spent = track.record.spent(counted(settings, &track.mirror.url, now));
    let is_out = |depth: Depth| budget::is_out_of_refusals(&settings.allowance, spent, depth);
    track.record.standing() == Standing::Live && track.record.failing().is_some_and(|run| is_out(run.depth))
}

/// As of when the hours of a budget are counted.
pub(super) fn counted(settings: &Settings, url: &MirrorUrl, now: Timestamp) -> Timestamp {
    now - phase::of_hour(settings.seed, url.as_str())
}

/// The most that a probe can cost; `None` at depth connect, which costs nothing.
pub(super) fn most(depth: Depth) -> Option<Spent> {
    (depth != Depth::Connect).then(|| budget::most(depth))
}

/// The pause after a probe that ended at `last`, while nobody answers.
fn knocks(
    track: &Track,
    around: &Circumstances<'_>,
    outage: &Outage,
    depth: Depth,
    last: Timestamp,
) -> Duration {
    let Circumstances { settings, now, .. } = *around;
    let pace = &settings.pace;
    let knock = (pace.connect / KNOCK).max(pace.confirm);
    if depth == Depth::Connect {
        return knock;
    }
    // A day of them is to fit into the budget: who has spent it sees no end of the outage.
    let longest = settings.allowance.spared(pace.sample.min(LONGEST_KNOCK), track.record.spent(now));
    let longest = if around.selected { longest } else { 2 * longest };
    // One that began in the future was begun by a clock that has been set back.
    let age = if outage.since > now { longest } else { last.since(outage.since) };
    knock.max(age.min(longest))
}

/// A reason to ask.
#[derive(Clone, Copy)]
struct Wish {
    at: Timestamp,
    depth: Depth,
    purpose: Purpose,
    /// It checks a failure again.
    again: bool,
    /// How much sooner it may come in another's company.
    early: Duration,
}

fn wishes(track: &Track, around: &Circumstances<'_>) -> Vec<Wish> {
    let Circumstances { settings, now, .. } = *around;
    let (record, pace) = (&track.record, &settings.pace);
    let after = |least: Depth, pause: Duration| last(record, least, now).map_or(now, |at| at + pause);
    let at = |at: Timestamp, depth: Depth, purpose: Purpose| Wish {
        at,
        depth,
        purpose,
        again: false,
        early: Duration::ZERO,
    };
    // Each depth has a phase of its own: hosts in step must not stay so at the depths that are seldom asked.
    let each = |base: Duration, depth: Depth, purpose: Purpose| {
        let asked = track.asked(depth);
        let first = asked <= 1;
        let turn = (depth, asked);
        let pause = phase::shortened(base, settings.seed, track.mirror.url.as_str(), turn, first);
        let early = match depth {
            Depth::Connect => pace.connect.mul_f64(COMPANY),
            Depth::Sample | Depth::Rehearse => pace.connect.min(pause.saturating_sub(phase::shortest(base))),
        };
        Wish { early, ..at(after(depth, pause), depth, purpose) }
    };
    let mut wishes = Vec::new();
    for depth in record.rechecks(&settings.policy) {
        let pause = if track.at_once { Duration::ZERO } else { pace.confirm };
        wishes.push(Wish { again: true, ..at(after(Depth::Connect, pause), depth, Purpose::Needed) });
    }
    if let Some(depth) = track.fresh {
        wishes.push(at(now, depth, Purpose::Usual));
    }
    if around.selected {
        wishes.push(each(pace.connect, Depth::Connect, Purpose::Watch));
        // One that answers with errors stays there where nobody serves, and would have spent its refusals in an hour.
        if !record.errs() {
            let sample = settings.allowance.spared(pace.sample, record.spent(now));
            wishes.push(each(sample, Depth::Sample, Purpose::Watch));
        }
    }
    let lookout = lookout(track, around);
    if let Some((depth, pause)) = lookout {
        // Whatever it is that is asked, it comes when a lesser look would.
        wishes.push(Wish { depth, ..each(pause, depth.min(Depth::Sample), Purpose::Watch) });
    }
    // The samples of one that answers with errors show for half of the refusals whether it still does.
    if lookout.is_none() || !record.errs() || record.is_back() {
        let usual = settings.allowance.stretched(pace.rehearse, around.together);
        wishes.push(each(patience(record, usual), Depth::Rehearse, Purpose::Usual));
    }
    // Who contends cannot win while nothing can be written; who rises would be missed if the list broke meanwhile.
    let decides = track.deciding && (around.may_write || record.standing() == Standing::Rejected);
    if decides && !around.is_upstream {
        wishes.push(each(pace.decide.min(pace.rehearse), Depth::Rehearse, Purpose::Deciding));
    }
    // What the budget refuses to a lesser purpose may be granted to a greater one later on.
    wishes.retain(|wish| {
        let at = wish.at.max(now);
        wish.purpose != Purpose::Deciding
            || request(track, around, wish.depth, wish.purpose).allowed(at, now) <= at + pace.decide
    });
    // Nor may a probe that has to wait, for its budget, the mirror's rest or an image's, keep back a lesser one that
    // need not.
    wishes.retain_mut(|wish| {
        let Some(due) = budgeted(track, around, wish.at.max(now), wish.depth, wish.purpose) else {
            return false;
        };
        wish.at = if due.at > now { due.at } else { wish.at };
        true
    });
    wishes
}

/// How one that has left the list lately is looked out for, or that stays there with its errors: how far, and with which
/// pauses.
fn lookout(track: &Track, around: &Circumstances<'_>) -> Option<(Depth, Duration)> {
    let Circumstances { settings, now, .. } = *around;
    let (record, pace) = (&track.record, &settings.pace);
    // Purposes are the budget's: who would stand in the list, if it could, is watched as one who does.
    let is_awaited = if around.selected { record.errs() } else { record.left_lately(now).is_some() };
    let depth = record.lookout().filter(|_| is_awaited)?;
    if record.errs() {
        // Where no layer is known a rehearsal would stand for the sample, and that comes by itself.
        record.sampled_image()?;
        let spent = record.spent(counted(settings, &track.mirror.url, now));
        let pause = settings.allowance.after_an_error(spent)?.max(pace.sample);
        // One that fell by its samples may answer so for one image alone: what it makes of another a rehearsal shows.
        let is_told = record.failed_rehearsals() > 0 || settings.policy.images.len() < 2;
        return Some((if is_told { depth } else { Depth::Rehearse }, pause));
    }
    // What costs requests comes with the growing pauses of the rehearsals, or they would be spent within the day.
    let pause = if depth == Depth::Connect { pace.sample } else { patience(record, pace.sample) };
    Some((depth, pause))
}

/// When it was last asked so far or farther: a deeper probe is a lesser one too. What lies ahead is what a clock that was
/// set back has left behind.
fn last(record: &Record, least: Depth, now: Timestamp) -> Option<Timestamp> {
    let depths = [Depth::Connect, Depth::Sample, Depth::Rehearse].into_iter();
    let asked = depths.filter(|depth| *depth >= least).filter_map(|depth| record.last(depth));
    asked.filter(|at| *at <= now).max()
}

/// Of all that is due, the deepest; else the earliest that will be.
///
/// Where somebody is asked anyway, what would fall due within the pause that follows is asked for now: a sample must
/// not come late for a connect's sake. So is what may come `early`. Only a re-check keeps its distance from the failure
/// before it.
fn earliest_deepest(
    wishes: &[Wish],
    now: Timestamp,
    pause: Duration,
    early: impl Fn(&Wish) -> Duration,
) -> Option<Wish> {
    let has_come = |wish: &Wish| wish.at <= now + early(wish);
    let is_asked = wishes.iter().any(has_come);
    let is_due = |wish: &&Wish| has_come(wish) || is_asked && !wish.again && wish.at <= now + pause;
    let overdue = wishes.iter().filter(is_due).max_by_key(|wish| {
        // Of two reasons for the same depth the one that the budget denies least.
        (wish.depth, std::cmp::Reverse(wish.purpose))
    });
    match overdue {
        Some(wish) => Some(Wish { at: wish.at.min(now), ..*wish }),
        None => wishes.iter().min_by_key(|wish| (wish.at, std::cmp::Reverse(wish.depth))).copied(),
    }
}

/// The same with the mirror's rest, the budget, and the image.
fn budgeted(
    track: &Track,
    around: &Circumstances<'_>,
    at: Timestamp,
    depth: Depth,
    purpose: Purpose,
) -> Option<Due> {
    let (now, meant) = (around.now, depth);
    if depth == Depth::Connect {
        return Some(Due { at, depth, meant, image: None });
    }
    let request = request(track, around, depth, purpose);
    let depth = request.depth;
    let at = request.allowed(at.max(track.record.resting(now).unwrap_or(at)), now);
    if depth == Depth::Sample
        && let Some(image) = track.record.sampled_image()
    {
        let at = track.record.image_resting(image, now).unwrap_or(at).max(at);
        return Some(Due { at, depth, meant, image: Some(image.clone()) });
    }
    let (at, image) = next_image(track, around, at, &request)?;
    Some(Due { at, depth, meant, image: Some(image) })
}

fn request<'a>(
    track: &'a Track,
    around: &'a Circumstances<'_>,
    depth: Depth,
    purpose: Purpose,
) -> Request<'a> {
    let counted = counted(around.settings, &track.mirror.url, around.now);
    Request {
        allowance: &around.settings.allowance,
        pace: &around.settings.pace,
        record: &track.record,
        counted,
        spent: track.record.spent(counted),
        stands: if around.selected {
            Stands::Selected
        } else {
            track.record.left_lately(around.now).map_or(Stands::Outside, Stands::Lately)
        },
        // Nobody knows a layer to take a sample of until one has been found.
        depth: if depth == Depth::Sample && track.record.sampled_image().is_none() {
            Depth::Rehearse
        } else {
            depth
        },
        purpose,
        together: around.together,
    }
}

/// The pause between the probes of a mirror that keeps failing.
fn patience(record: &Record, pause: Duration) -> Duration {
    let failed = record.failed_rehearsals();
    if record.standing() != Standing::Rejected || failed < PATIENCE {
        return pause;
    }
    let doublings = (failed - PATIENCE + 1).min(16);
    pause.saturating_mul(1 << doublings).min(LONGEST_PAUSE.max(pause))
}

/// The image whose turn it is among those that may be asked for, or the one that may be first.
fn next_image(
    track: &Track,
    around: &Circumstances<'_>,
    at: Timestamp,
    request: &Request<'_>,
) -> Option<(Timestamp, Image)> {
    let now = around.now;
    let free = |image: &Image| track.record.image_resting(image, now).unwrap_or(at).max(at);
    if let Some(image) = &track.ask_for {
        return Some((free(image), image.clone()));
    }
    // The one that has waited longest. A count would begin anew with each restart, and the list is another with each pull.
    let asked = |image: &Image| track.record.asked_for(image, now);
    // What checks a failure, or is to tell whose it is, must not come back with another answer than to that question.
    let strange =
        |image: &Image| request.purpose == Purpose::Needed && track.record.serves(image) != Some(true);
    let images = around.settings.policy.images.iter();
    images
        .map(|image| (!request.may_ask_for(image), free(image), image))
        .min_by_key(|(risky, at, image)| (*risky, strange(image), *at, asked(image)))
        .map(|(risky, at, image)| {
            // Nothing but what it may refuse is left to ask for: that waits until a refusal is forgotten.
            let at = if risky { at.max(now + Duration::from_secs(3600)) } else { at };
            (at, image.clone())
        })
}
