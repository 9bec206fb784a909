//! What was seen: whom it is held against, and when it is held against nobody.

use std::time::Duration;

use super::{Action, Shift, State, Track};
use crate::daemon::network::{self, Evidence, Proof, Proved, STARVED};
use crate::daemon::schedule;
use crate::mirror::MirrorUrl;
use crate::observation::{Depth, Observation};
use crate::pull::{Seen, Sign};
use crate::ranking::record::Standing;
use crate::reason::FailureKind;
use crate::timestamp::Timestamp;

/// Others that are asked whether a failure is ours: so many that one is likely to answer, so few that nobody minds.
const ENOUGH: usize = 8;
/// For no witness a suspicion waits longer than the minute in which the requests of a budget are counted: who rests for
/// hours says nothing of now, and until a suspicion is settled its mirror is neither asked nor rejected.
const PATIENCE: Duration = Duration::from_secs(60);

/// One failure of a mirror may be a blip, and without its head a list waits for as long as refusals count: where they leave
/// no room for a re-check, two are enough, and it takes no fewer.
const TWICE: u32 = 2;

/// A pull says up to five lines that name nobody for each of its layers, and to look whom they mean costs a mebibyte.
const DOUBTS: Duration = Duration::from_secs(30);

/// Whether a failure is a fault of the mirror, and not an answer about an image or a limit.
fn is_its_own(kind: FailureKind) -> bool {
    !matches!(kind, FailureKind::NotAllowed | FailureKind::NotFound | FailureKind::RateLimited)
}

impl State {
    pub(super) fn observed(
        &mut self,
        url: &MirrorUrl,
        observation: &Observation,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        // A mirror that was removed while it was asked.
        let Some(track) = self.track_mut(url) else { return };
        let void = std::mem::take(&mut track.void);
        if track.in_flight.take() == Some(Depth::Sample) && observation.depth == Depth::Connect {
            // The layer is gone: the next one is a rehearsal, with the budget of one.
            track.record.forget_layers();
        }
        track.record.end();
        track.last_asked = Some(now);
        track.led_to(&observation.addresses);
        if !void {
            // What was under way may say less than was asked for.
            track.control = track.control.filter(|wanted| observation.depth < *wanted);
            track.at_once = false;
        }
        self.account(url, observation, now);
        if void {
            self.forgive(url, observation, actions);
        } else {
            self.weigh(url, observation, now, actions);
        }
        self.conclude(now, actions);
    }

    /// Rounds by hand saw this, some time ago.
    pub(super) fn overheard(
        &mut self,
        url: &MirrorUrl,
        observations: &[Observation],
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let failed = self.track(url).map(|track| track.record.failed_rehearsals());
        for (place, observation) in observations.iter().enumerate() {
            let refusals = self.settings.allowance.refusals_per_2_days;
            if let Some(track) = self.track_mut(url) {
                track.record.asked_by_hand(observation.at, observation, refusals);
                // Of the same round it tells whose failure another's is.
                track.proved.note(Evidence::of(url, observation), observation.at);
            }
            if self.is_outdated(url, observation, &observations[place + 1..], now) {
                self.forgive(url, observation, actions);
            } else if Evidence::of(url, observation).is_answer() {
                // That somebody answered then ends no outage that began since.
                self.record(url, observation, actions);
            } else {
                self.weigh(url, observation, now, actions);
            }
        }
        // Failures at which somebody works make nobody wait longer for the next look.
        if let (Some(failed), Some(track)) = (failed, self.track_mut(url)) {
            track.record.failed_at_most(failed);
        }
        self.conclude(now, actions);
    }

    /// Whether it failed then and has been asked so far since, or it was served and has failed since, or our own network
    /// has: what came after says how it is.
    fn is_outdated(
        &self,
        url: &MirrorUrl,
        observation: &Observation,
        after: &[Observation],
        now: Timestamp,
    ) -> bool {
        let Some(failure) = observation.failure() else {
            return self.track(url).is_some_and(|track| track.record.failed_since(observation.at, now));
        };
        if !is_its_own(failure.kind) || failure.kind == FailureKind::Corrupt {
            return false;
        }
        let in_an_outage = self.outage_ended.is_some_and(|ended| observation.at < ended);
        if in_an_outage && !Evidence::of(url, observation).is_answer() {
            return true;
        }
        let shows = failure.stage.shown_by();
        let depths =
            [Depth::Connect, Depth::Sample, Depth::Rehearse].into_iter().filter(|depth| *depth >= shows);
        let asked_since = self.track(url).is_some_and(|track| {
            depths.filter_map(|depth| track.record.last(depth)).any(|last| last > observation.at)
        });
        asked_since || after.iter().any(|later| later.failure().is_none() && later.depth >= shows)
    }

    /// Holds what was seen for or against the mirror, unless it may be our own network's failure.
    fn weigh(
        &mut self,
        url: &MirrorUrl,
        observation: &Observation,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let outlasts = self.outlasts(url, observation);
        let starved = observation.starved >= STARVED && !outlasts;
        let slow = observation.failure().is_some_and(|failure| failure.kind == FailureKind::TooSlow);
        let evidence = Evidence::of(url, observation);
        if !(starved && slow) {
            self.proved(url, evidence, now, actions);
        }
        if evidence.is_answer() && !(starved && slow) {
            // Where nothing else is known a bad figure is better than none: a busy host is to have a list, too.
            let known = self.track(url).is_some_and(|track| track.record.bytes_per_second().is_some());
            if starved && known {
                self.record(url, &observation.without_figures(), actions);
            } else {
                self.record(url, observation, actions);
            }
        } else if starved {
            self.forgive(url, observation, actions);
            self.network.starved(observation.starved, now);
        } else if self.network.is_down() {
            self.forgive(url, observation, actions);
        } else if self.somebody_else_answers(url, observation) {
            self.record(url, observation, actions);
        } else {
            self.network.suspect(url.clone(), observation.clone());
            self.ask_others(url, network::refuted_by(observation), now);
        }
    }

    /// Whether a mirror has failed so often in a row while this host was too busy that it may well be the mirror. While
    /// everybody is knocked at to see who answers, that says nothing.
    fn outlasts(&mut self, url: &MirrorUrl, observation: &Observation) -> bool {
        let most = self.settings.policy.fall;
        let answered = Evidence::of(url, observation).is_answer();
        let counts = observation.starved >= STARVED && !self.network.is_down();
        let Some(track) = self.track_mut(url) else { return false };
        track.starved = if answered { 0 } else { track.starved.saturating_add(counts.into()) };
        track.starved > most
    }

    pub(super) fn conclude(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let waiting = self.all_tracks().any(|track| track.control.is_some() && track.mirror.takes_part());
        if !waiting {
            self.blame_without_witness(actions);
        }
        let forgiven = self.network.conclude(waiting, now);
        if !forgiven.is_empty() {
            self.tracks.values_mut().for_each(|track| track.record.excuse());
        }
        for (url, seen) in forgiven {
            self.keep_cost(&url, &seen, actions);
            actions.push(Action::Forgive(url, seen.at));
        }
    }

    /// Two mirrors that have stood must lose their names together for it to be the name server. Of fewer, and of names that
    /// were never resolved, nobody else may have one to prove that with; then it is enough that packets travel. So with
    /// certificates and the clock.
    fn blame_without_witness(&mut self, actions: &mut Vec<Action>) {
        let stood = |url: &MirrorUrl| self.track(url).is_some_and(|track| track.record.been_live());
        if self.network.suspicions().filter(|(url, _)| stood(url)).count() > 1 {
            return;
        }
        let is_blamed = |(url, seen): &(&MirrorUrl, &Observation)| {
            let lesser = network::refuted_by(seen).lesser();
            lesser.is_some_and(|proof| self.somebody_else_proved(url, proof, seen.at))
        };
        let blamed: Vec<MirrorUrl> =
            self.network.suspicions().filter(is_blamed).map(|(url, _)| url.clone()).collect();
        for (url, seen) in self.network.release(&blamed) {
            self.record(&url, &seen, actions);
        }
    }

    /// Gives up witnesses that cannot be asked soon after all.
    pub(super) fn dismiss_late_controls(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let late = |track: &&Track| {
            let is_free = track.in_flight.is_none() && track.control.is_some();
            is_free && track.control.and_then(|depth| self.askable(track, depth, now)).is_none()
        };
        let late: Vec<MirrorUrl> =
            self.all_tracks().filter(late).map(|track| track.mirror.url.clone()).collect();
        if late.is_empty() {
            return;
        }
        for url in late {
            if let Some(track) = self.track_mut(&url) {
                track.control = None;
            }
        }
        self.conclude(now, actions);
    }

    /// When it can be asked so far as a witness, if that is soon.
    fn askable(&self, track: &Track, depth: Depth, now: Timestamp) -> Option<Timestamp> {
        let url = &track.mirror.url;
        if self.network.suspects(url) {
            return None;
        }
        // What is under way is over within some time-outs.
        let at = match track.in_flight {
            Some(_) => Some(now),
            None => schedule::control(track, &self.around(url, now), depth),
        };
        at.filter(|at| *at <= now + PATIENCE)
    }

    /// What this refutes stands against others, and what it ends is over.
    fn proved(&mut self, url: &MirrorUrl, evidence: Evidence, now: Timestamp, actions: &mut Vec<Action>) {
        if let Some(track) = self.track_mut(url) {
            track.proved.note(evidence, now);
        }
        let was_down = self.network.is_down();
        for (suspect, observation) in self.network.cleared(evidence) {
            self.record(&suspect, &observation, actions);
        }
        if was_down && !self.network.is_down() {
            self.outage_ended = Some(now);
            self.look_again();
        }
    }

    pub(super) fn record(&mut self, url: &MirrorUrl, observation: &Observation, actions: &mut Vec<Action>) {
        let policy = self.settings.policy.clone();
        if let Some(track) = self.track_mut(url) {
            if std::mem::take(&mut track.doubted)
                && let Some(failure) = observation.failure().filter(|failure| is_its_own(failure.kind))
            {
                // A pull that failed somewhere and a probe that fails here are two witnesses of one thing.
                let seen = Seen::Left { url: url.clone(), failure: failure.clone() };
                track.record.heard(&Sign { at: observation.at, seen }, &policy);
            }
            // Who was to be looked at afresh is, once something was seen that says something of it: the first answers after
            // a change of networks are often those of one that does not work yet.
            track.fresh = track.fresh.filter(|wanted| observation.depth < *wanted);
            track.record.observe(observation, &policy);
            actions.push(Action::Save(url.clone()));
            if observation.failure().is_some() {
                self.give_up(url, TWICE);
            }
        }
    }

    /// Lets a mirror fall that has failed so often, if its refusals leave no room to check whether it goes on.
    fn give_up(&mut self, url: &MirrorUrl, least: u32) {
        let (policy, now) = (self.settings.policy.clone(), self.taken_at);
        let is_unproven = |track: &Track| {
            let failures = track.record.failing().map_or(0, |failing| failing.failures);
            failures >= least && schedule::is_unproven(track, &self.settings, now)
        };
        if self.track(url).is_some_and(is_unproven)
            && let Some(track) = self.track_mut(url)
        {
            track.record.give_up(now, &policy);
        }
    }

    /// Holds a probe neither for nor against the mirror; what it cost is kept all the same.
    fn forgive(&mut self, url: &MirrorUrl, observation: &Observation, actions: &mut Vec<Action>) {
        self.keep_cost(url, observation, actions);
        // Of who is only knocked at in an outage nothing is written down that could be marked.
        if !(self.network.is_down() && observation.is_lost_connect()) {
            actions.push(Action::Forgive(url.clone(), observation.at));
        }
    }

    /// A probe that cost nothing leaves nothing to keep, and there are many while nobody answers.
    fn keep_cost(&mut self, url: &MirrorUrl, observation: &Observation, actions: &mut Vec<Action>) {
        if self.track(url).is_some()
            && (observation.depth != Depth::Connect || observation.spent.requests > 0)
        {
            actions.push(Action::Save(url.clone()));
        }
    }

    /// Counts what a probe cost.
    pub(super) fn account(&mut self, url: &MirrorUrl, observation: &Observation, ended: Timestamp) {
        if let Some(track) = self.track_mut(url) {
            track.record.asked(ended, observation);
        }
    }

    pub(super) fn heard(&mut self, sign: &Sign, actions: &mut Vec<Action>) {
        let policy = self.settings.policy.clone();
        let Some(url) = sign.seen.url() else {
            if matches!(sign.seen, Seen::Doubtful { .. }) {
                self.doubt(sign.at);
            }
            return;
        };
        // In an outage pulls fail for the same reason as probes, and that is held against nobody.
        if self.network.is_down() && !matches!(sign.seen, Seen::Served { .. }) {
            return;
        }
        if matches!(sign.seen, Seen::Silent { may_rest: true, .. }) {
            // Nobody is blamed for a rest, and a host that builds all day does not spend what re-checks may need.
            if let Some(track) = self.look_afresh(url) {
                (track.doubted, track.at_once) = (true, true);
            }
            return;
        }
        let Some(track) = self.track_mut(url) else { return };
        // One pull has several connections and says several lines; the probe that the first of them asked for answers all.
        if track.at_once && track.record.awaits(&sign.seen) {
            return;
        }
        let failing = track.record.failing().is_some();
        track.at_once |= track.record.heard(sign, &policy);
        if matches!(sign.seen, Seen::Served { .. }) {
            track.proved.note(Evidence::of_pull(url), sign.at);
        } else if failing {
            // A probe and a pull: that is two.
            self.give_up(url, TWICE);
        }
        actions.push(Action::Save(url.clone()));
    }

    /// Whether another mirror proved, since shortly before this probe, that the failure is the mirror's own.
    fn somebody_else_answers(&self, url: &MirrorUrl, observation: &Observation) -> bool {
        self.somebody_else_proved(url, network::refuted_by(observation), observation.at)
    }

    fn somebody_else_proved(&self, url: &MirrorUrl, proof: Proof, at: Timestamp) -> bool {
        let earliest = at - self.settings.pace.confirm;
        self.all_tracks().any(|other| other.mirror.url != *url && other.proved.since(proof, earliest))
    }

    /// Asks a few others at once: the selected, the upstream, then the live, then anybody. Where nobody can be asked at
    /// once, those whose minute of requests is over first.
    fn ask_others(&mut self, suspect: &MirrorUrl, wanted: Proof, now: Timestamp) {
        let list = self.list.clone();
        let mut others: Vec<(Timestamp, u8, MirrorUrl)> = self
            .all_tracks()
            .filter(|track| track.mirror.takes_part() && track.mirror.url != *suspect)
            .filter_map(|track| {
                let at = self.askable(track, network::asks(wanted, &track.mirror.url), now)?;
                let rank = if list.contains(&track.mirror.url) {
                    0
                } else if self.settings.upstream.as_ref() == Some(&track.mirror.url) {
                    1
                } else if track.record.standing() == Standing::Live {
                    2
                } else {
                    3
                };
                Some((at.max(now), rank, track.mirror.url.clone()))
            })
            .collect();
        others.sort();
        let soon = now + self.settings.pace.confirm;
        if others.first().is_some_and(|(at, ..)| *at <= soon) {
            others.retain(|(at, ..)| *at <= soon);
        }
        for (_, _, url) in others.into_iter().take(ENOUGH) {
            if let Some(track) = self.track_mut(&url) {
                track.control = track.control.max(Some(network::asks(wanted, &url)));
            }
        }
    }

    /// A pull left a mirror of the list and nobody said which. Nobody is blamed for that; the head, which every pull
    /// tries first, is rehearsed, and the others are sampled.
    fn doubt(&mut self, at: Timestamp) {
        if self.doubted.is_some_and(|last| last <= at && at.since(last) < DOUBTS) {
            return;
        }
        self.doubted = Some(at);
        for (place, url) in self.list.clone().iter().enumerate() {
            if let Some(track) = self.tracks.get_mut(url) {
                track.fresh = track.fresh.max(Some(if place == 0 { Depth::Rehearse } else { Depth::Sample }));
                track.doubted = true;
            }
        }
    }

    /// What is selected is looked at afresh.
    fn look_again(&mut self) {
        for url in self.list.clone() {
            self.look_afresh(&url);
        }
    }

    /// One is looked at for what happened: as far as its layers, unless it has had the day's samples already, and one for
    /// such a reason not long ago. What a sample costs, all of a day at the usual pace may have cost that much.
    fn look_afresh(&mut self, url: &MirrorUrl) -> Option<&mut Track> {
        let (now, again) = (self.taken_at, self.settings.pace.rehearse);
        let allowance = self.settings.allowance.clone();
        let track = self.track_mut(url)?;
        let lately = track.sampled_afresh.is_some_and(|at| at <= now && now.since(at) < again);
        let depth = if lately && allowance.has_sampled_enough(track.record.sampled(now)) {
            Depth::Connect
        } else {
            track.sampled_afresh = Some(now);
            Depth::Sample
        };
        track.fresh = track.fresh.max(Some(depth));
        Some(track)
    }

    /// What is under way and what was held says nothing any more; everybody is looked at afresh, once.
    pub(super) fn ground_shifted(&mut self, shift: Shift, now: Timestamp, actions: &mut Vec<Action>) {
        for (url, seen) in self.network.forget() {
            self.forgive(&url, &seen, actions);
        }
        // A cable that is loose shifts the ground many times; whoever was rehearsed within `decide` need not be again.
        let decide = self.settings.pace.decide;
        let lately = self.shifted.is_some_and(|at| at <= now && now.since(at) < decide);
        self.shifted = Some(now);
        self.settles = lately.then(|| now + decide);
        for track in self.tracks.values_mut().chain(&mut self.upstream) {
            track.control = None;
            track.void = track.in_flight.is_some();
            // Who answered through another network has proved nothing about this one.
            track.proved = Proved::default();
            let depth = match shift {
                // Whoever edits is waiting for what comes of it.
                Shift::Manner => Some(Depth::Rehearse),
                Shift::Route | Shift::Woke => (!lately).then_some(Depth::Rehearse),
            };
            track.fresh = track.fresh.max(depth);
        }
        self.look_again();
    }

    /// The ground has stood still for `decide` since it shifted again: who was rehearsed on what it was before is once more.
    pub(super) fn settle_ground(&mut self, now: Timestamp) {
        if self.settles.take_if(|at| *at <= now).is_none() {
            return;
        }
        let shifted = self.shifted.replace(now);
        for track in self.tracks.values_mut().chain(&mut self.upstream) {
            if track.record.last(Depth::Rehearse) < shifted {
                track.fresh = Some(Depth::Rehearse);
            }
        }
    }
}
