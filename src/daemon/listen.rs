//! The engine's own pulls in the daemon's loop: to whom is listened, and what is made of what was heard.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::Daemon;
use super::step::{Event, Track};
use crate::assembly;
use crate::engine::{Facts, LogSource};
use crate::listen::{Aim, Deafness, Ear, Heard, Listener, Log, Pulls, Source};
use crate::mirror::MirrorUrl;
use crate::observation::{ImageStore, Observation};
use crate::pull::{Seen, Sign};
use crate::timestamp::Timestamp;

/// The first pause before an ear that went deaf is tried again; doubled each time.
const RETRY: Duration = Duration::from_secs(2);
const RETRY_CAP: Duration = Duration::from_secs(300);
/// Whoever heard for so long starts again with the first pause.
const STEADY: Duration = Duration::from_secs(60);
/// An event stream ends with every restart of the engine; it is worth a word when it does not come back.
const TRIES: u32 = 3;

/// So long ago a round by hand may have begun of which what came is still counted as a pull's: what is forgotten after two
/// minutes, and the time that a probe takes.
const BY_HAND: Duration = Duration::from_secs(180);
/// So much more than a probe says it has read may have come for it, beside half as much again: headers, TLS, and what nobody
/// read before it hung up. A pull that brought less than that is not told from it.
const UNREAD: u64 = 64 << 10;

/// What listens, and how well.
#[derive(Debug, Default)]
pub(super) struct Ears {
    listener: Option<(Source, Listener)>,
    pub(super) heard: Option<Receiver<Heard>>,
    deaf: BTreeMap<Ear, Deafness>,
    /// What has been said in the log: each once.
    told: BTreeMap<Ear, String>,
    begun: Option<Instant>,
    failures: u32,
    /// The last pull that is known to have ended well, or when we began to listen.
    pulled: Timestamp,
    /// What rounds by hand have cost, since a pull last ended well: bytes by mirror, and when the last began.
    by_hand: BTreeMap<MirrorUrl, (Timestamp, u64)>,
}

impl Ears {
    /// What is not heard, for the status.
    pub(super) fn notices(&self) -> impl Iterator<Item = String> {
        self.told.iter().filter(|(ear, _)| self.deaf.contains_key(ear)).map(|(_, why)| why.clone())
    }

    fn pause(&self) -> Duration {
        RETRY.saturating_mul(1 << self.failures.saturating_sub(1).min(10)).min(RETRY_CAP)
    }

    /// Somebody asks this mirror by hand, over connections that the kernel does not tell from the engine's once they have
    /// ended.
    pub(super) fn asked_by_hand(&mut self, url: &MirrorUrl, observation: &Observation) {
        let (at, bytes) = self.by_hand.entry(url.clone()).or_default();
        if observation.at.since(*at) >= BY_HAND {
            *bytes = 0;
        }
        *at = (*at).max(observation.at);
        *bytes = bytes.saturating_add(observation.spent.bytes);
    }

    /// Whether what came from this mirror until a pull ended may all have come for rounds by hand.
    fn is_by_hand(&mut self, url: &MirrorUrl, came: u64, now: Timestamp) -> bool {
        let (at, bytes) = self.by_hand.remove(url).unwrap_or_default();
        now.since(at) < BY_HAND && bytes > 0 && came < bytes.saturating_add(bytes / 2).saturating_add(UNREAD)
    }

    /// Whether another try may help.
    fn may_recover(&self) -> bool {
        self.deaf.values().any(|deafness| matches!(deafness, Deafness::Passing(_)))
    }
}

impl Daemon {
    /// Listens to the engine as it is now; called whenever it was looked at and is well.
    pub(super) fn listen(&mut self) {
        let Some((facts, docker)) = self.facts.as_ref().zip(self.docker.as_ref()) else { return };
        let source = source(facts, docker.pulls());
        let now = Instant::now();
        if let Some((current, _)) = &self.ears.listener
            && *current == source
        {
            if !self.ears.may_recover() {
                return;
            }
            let rested = self.ears.begun.map_or(now, |at| at + self.ears.pause());
            if rested > now {
                // It was looked for another reason, and the next look may be minutes away.
                self.look_at = self.look_at.min(rested);
                return;
            }
        } else {
            self.ears.failures = 0;
            self.ears.told.clear();
        }
        // Facts are a moment old, and dockerd may have begun to stop meanwhile.
        if !docker.is_awake() {
            return;
        }
        let (listener, heard) = Listener::start(source.clone(), self.aim(), self.ours.clone());
        self.ears.listener = Some((source, listener));
        self.ears.heard = Some(heard);
        self.ears.deaf.clear();
        self.ears.begun = Some(now);
        self.ears.pulled = assembly::now();
    }

    /// Passes on that a pull has ended well, where the engine does not tell us itself.
    pub(super) fn pulled(&mut self) {
        let Some(at) = self.docker.as_ref().and_then(super::Hand::pulled) else { return };
        // A clock that was set back is no reason to hear nothing until it gets there again.
        let known = self.ears.pulled.min(assembly::now());
        self.ears.pulled = known.max(at);
        if at > known
            && let Some((_, listener)) = &self.ears.listener
        {
            listener.pulled();
        }
    }

    /// The engine is away: under socket activation, asking it for its events would start it.
    pub(super) fn stop_listening(&mut self) {
        self.ears = Ears { told: std::mem::take(&mut self.ears.told), ..Ears::default() };
    }

    /// Tells whom to listen for; costs next to nothing when it is the same.
    pub(super) fn retarget(&self) {
        if let Some((_, listener)) = &self.ears.listener {
            listener.retarget(self.aim());
        }
    }

    /// What of the engine's own pulls is not heard, for the status.
    pub(super) fn not_heard(&self) -> Vec<String> {
        let mut not_heard: Vec<String> = self.ears.notices().collect();
        if self.facts.as_ref().is_some_and(is_proxied) {
            let why = "dockerd goes out through a proxy: a pull that hangs cannot be told from the proxy's other connections";
            not_heard.push(why.to_owned());
        }
        not_heard
    }

    fn aim(&self) -> Aim {
        // Behind a proxy every connection leads to the proxy, and so did ours.
        let proxied = self.facts.as_ref().is_some_and(is_proxied);
        let keep = self.config.engines.docker.keep.iter();
        let listed = keep.chain(&self.state.list).filter_map(|url| self.state.track(url));
        let reached = listed.filter(|track| !proxied || track.mirror.url.is_loopback());
        let address = |track: &Track| {
            let known = track.addresses();
            (!known.is_empty()).then(|| (track.mirror.url.clone(), known))
        };
        let upstream = self.state.settings.upstream.as_ref().filter(|_| !proxied);
        Aim {
            candidates: self.state.tracks.keys().cloned().collect(),
            addresses: reached.filter_map(address).collect(),
            beyond: upstream.and_then(|url| self.state.track(url)).map(Track::addresses).unwrap_or_default(),
            least_speed: self.state.settings.policy.min_speed,
        }
    }

    pub(super) fn heard(&mut self, heard: Heard) {
        match heard {
            Heard::Seen(seen) => self.sign(seen),
            Heard::Settled => {
                if let Some(docker) = &self.docker {
                    docker.doubt();
                    self.look_at = Instant::now();
                }
            }
            Heard::Deaf(ear, deafness) => self.deaf(ear, deafness),
        }
    }

    fn sign(&mut self, seen: Seen) {
        if let Seen::Served { url, bytes, .. } = &seen {
            self.overhear();
            if self.ears.is_by_hand(url, *bytes, assembly::now()) {
                debug!(mirror = url.as_str(), bytes, "asked by hand, and no pull");
                return;
            }
        }
        let sign = Sign { at: assembly::now(), seen };
        self.say(&sign.seen);
        self.store.save_sign(&sign);
        self.step(Event::Heard(sign));
    }

    fn say(&self, seen: &Seen) {
        let name = |url: &MirrorUrl| {
            self.state.track(url).map_or_else(|| url.to_string(), |track| track.mirror.name.clone())
        };
        match seen {
            Seen::Left { url, failure } => {
                info!(mirror = name(url), kind = %failure.kind, detail = failure.detail, "a pull left this mirror");
            }
            Seen::Silent { url, quiet_ms, may_rest: true } => {
                info!(mirror = name(url), quiet_ms, "a connection to this mirror receives nothing, or rests");
            }
            Seen::Silent { url, quiet_ms, may_rest: false } => {
                info!(mirror = name(url), quiet_ms, "a pull receives nothing from this mirror");
            }
            Seen::Crawling { url, bytes_per_second } => {
                info!(
                    mirror = name(url),
                    bytes_per_second, "a pull receives next to nothing from this mirror"
                );
            }
            Seen::Served { url, bytes, .. } => debug!(mirror = name(url), bytes, "a pull was served"),
            Seen::Doubtful { detail } => info!(detail, "a pull failed at a mirror that was not named"),
            Seen::Absent { detail } => debug!(detail, "a pull asked for what is not there"),
        }
    }

    fn deaf(&mut self, ear: Ear, deafness: Deafness) {
        let why = deafness.why().to_owned();
        let now = Instant::now();
        if self.ears.begun.is_some_and(|at| now.duration_since(at) >= STEADY) {
            self.ears.failures = 0;
        }
        self.ears.failures = self.ears.failures.saturating_add(1);
        debug!(?ear, why, "deaf");
        if (ear != Ear::Events || self.ears.failures >= TRIES) && self.ears.told.get(&ear) != Some(&why) {
            warn!("{why}; this part of the engine's own pulls is not listened to, probes go on as before");
            self.ears.told.insert(ear, why);
        }
        self.ears.deaf.insert(ear, deafness);
        if self.ears.may_recover() {
            // A look tells whether the engine is still there; if so it is listened to anew.
            self.look_at = self.look_at.min(now + self.ears.pause());
        }
        self.publish_soon();
    }
}

fn source(facts: &Facts, pulls: Pulls) -> Source {
    let log = match &facts.log {
        LogSource::Journal { unit, user } => Log::Journal { unit: unit.clone(), user: *user },
        LogSource::File(path) => Log::File(path.clone()),
        LogSource::Unreadable(why) => Log::Unreadable(why.clone()),
    };
    // No version up to 29.3 keeps any alive with the classic store. Counting 29 as one that keeps connections costs a
    // silence of a second pull beside one that ends.
    let major: Option<u32> = facts.version.split('.').next().and_then(|major| major.parse().ok());
    let keeps_connections = facts.store == ImageStore::Containerd || major.is_none_or(|major| major >= 29);
    Source { pid: facts.pid, pulls, log, keeps_connections }
}

fn is_proxied(facts: &Facts) -> bool {
    facts.proxies.http.is_some() || facts.proxies.https.is_some()
}

/// The next that is heard; never when nobody listens.
pub(super) async fn next(heard: &mut Option<Receiver<Heard>>) -> Option<Heard> {
    match heard {
        Some(receiver) => receiver.recv().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::Hand;
    use crate::daemon::tests::daemon_of;
    use crate::engine::Outbound;

    fn facts() -> Facts {
        Facts {
            version: "20.10.24".to_owned(),
            store: ImageStore::Classic,
            mirrors: Vec::new(),
            file: "/etc/docker/daemon.json".into(),
            listed: None,
            given: None,
            proxies: Outbound::default(),
            pid: None,
            log: LogSource::Unreadable("it logs nowhere".to_owned()),
            images: None,
            warnings: Vec::new(),
            app: None,
            refusal: None,
        }
    }

    /// Begins to listen; when that was.
    fn listening(place: &tempfile::TempDir) -> (Daemon, Instant) {
        let mut daemon = daemon_of(place, &["https://a.example".to_owned()], true);
        daemon.docker = daemon.applier.clone().map(Hand::There);
        daemon.facts = Some(facts());
        daemon.listen();
        (daemon, Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn an_ear_that_fails_is_tried_again_in_its_turn_however_early_the_engine_is_looked_at() {
        for ear in [Ear::Connections, Ear::Log, Ear::Events] {
            let place = tempfile::tempdir().unwrap();
            let (mut daemon, begun) = listening(&place);
            daemon.look_at = begun + RETRY_CAP;
            daemon.heard(Heard::Deaf(ear, Deafness::Passing("no memory".to_owned())));
            assert_eq!(daemon.look_at, begun + RETRY, "{ear:?}");
            // Looked at for another reason, and next when an engine is that is well.
            daemon.look_at = begun + RETRY_CAP;
            daemon.listen();
            assert_eq!((daemon.look_at, daemon.ears.begun), (begun + RETRY, Some(begun)), "{ear:?}");
            tokio::time::advance(RETRY).await;
            daemon.listen();
            assert_eq!((daemon.ears.begun, daemon.ears.deaf.len()), (Some(begun + RETRY), 0), "{ear:?}");
        }
    }

    #[test]
    fn what_a_round_by_hand_may_have_brought_is_no_pull_and_what_is_more_is() {
        let (a, b): (MirrorUrl, MirrorUrl) =
            ("https://a.example".parse().unwrap(), "https://b.example".parse().unwrap());
        let now = Timestamp::default() + RETRY_CAP;
        let asked = |ears: &mut Ears, ago: u64| {
            let mut seen =
                Observation::new(now - Duration::from_secs(ago), crate::observation::Depth::Rehearse);
            seen.spent.bytes = 100_000;
            ears.asked_by_hand(&a, &seen);
        };
        for (rounds, came, by_hand) in [
            (&[][..], 5000, false),
            (&[60], 215_535, true),
            (&[60], 215_536, false),
            (&[60, 30, 90], 515_535, true),
            (&[200], 5000, false),
            // What the first brought was forgotten by then.
            (&[240, 30], 215_536, false),
        ] {
            let mut ears = Ears::default();
            rounds.iter().for_each(|ago| asked(&mut ears, *ago));
            assert!(!ears.is_by_hand(&b, came, now), "another");
            assert_eq!(ears.is_by_hand(&a, came, now), by_hand, "{rounds:?} {came}");
            assert!(!ears.is_by_hand(&a, came, now), "what comes after that has not come for them");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_ear_that_is_deaf_for_good_is_let_be() {
        let place = tempfile::tempdir().unwrap();
        let (mut daemon, begun) = listening(&place);
        let look_at = begun + STEADY;
        daemon.look_at = look_at;
        daemon.heard(Heard::Deaf(Ear::Connections, Deafness::Lasting("another network".to_owned())));
        tokio::time::advance(RETRY_CAP).await;
        daemon.listen();
        assert_eq!((daemon.look_at, daemon.ears.begun), (look_at, Some(begun)));
        assert_eq!(daemon.ears.notices().collect::<Vec<_>>(), ["another network"]);
    }
}
