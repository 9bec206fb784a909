//! What the mirrors of a made-up world are like, minute by minute, and what a pull costs there.

use std::f64::consts::TAU;

use mirrorwatch::mirror::MirrorUrl;
use mirrorwatch::reason::FailureKind;

use super::chance::Chance;

/// Mirrors in a world.
pub(crate) const MIRRORS: usize = 20;
/// Seconds in an hour.
const HOUR: f64 = 3600.0;
/// A crawl: bytes per second.
const CRAWL: f64 = 50e3;
/// No pull costs more: whoever waits so long does something else.
pub(crate) const LONGEST: f64 = 300.0;
/// What dockerd waits for a host that drops its packets.
pub(crate) const BLACKHOLED: f64 = 15.0;
/// What dockerd takes to leave a mirror that refuses, or that answers with an error.
pub(crate) const REFUSED: f64 = 0.25;
/// TCP's initial window of ten segments.
const FIRST_WINDOW: f64 = 14_600.0;
/// Layers that dockerd fetches at once, each over a connection of its own.
const FLOWS: f64 = 3.0;

/// How a mirror behaves at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// As well as it can.
    Serves,
    /// Packets vanish.
    Blackhole,
    /// Nobody listens.
    Refuses,
    /// It connects, and answers every request with this.
    Answers(FailureKind),
    /// It serves at 50 KB/s.
    Crawls,
    /// It serves the manifests, and never a byte of a layer.
    Hangs,
}

/// One mirror of the world.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// Where it is.
    pub(crate) url: MirrorUrl,
    /// Seconds there and back.
    pub(crate) rtt: f64,
    /// Whether it wants a token, which has expired by the next sample.
    pub(crate) wants_token: bool,
    /// Bytes per second at its best.
    speed: f64,
    /// The share that the evening takes away.
    evening: f64,
    /// The hour of the day at which it takes most.
    evening_at: f64,
    /// Waves of the logarithm of its speed: seconds, height, phase.
    drift: Vec<(f64, f64, f64)>,
    /// Since which second it is in which mood, in order.
    moods: Vec<(f64, Mood)>,
    /// How it treats those who pull, where that differs from how it treats those who only ask.
    guile: Option<Mood>,
}

impl Host {
    fn new(number: usize, speed: f64, rtt: f64) -> Self {
        Self {
            url: format!("https://m{number:02}.example").parse().expect("it is a mirror's URL"),
            rtt,
            wants_token: number.is_multiple_of(2),
            speed,
            evening: 0.0,
            evening_at: 0.0,
            drift: Vec::new(),
            moods: vec![(0.0, Mood::Serves)],
            guile: None,
        }
    }

    /// How it treats a probe.
    pub(crate) fn mood(&self, at: f64) -> Mood {
        let next = self.moods.partition_point(|(since, _)| *since <= at);
        self.moods[next.saturating_sub(1)].1
    }

    /// How it treats a pull.
    pub(crate) fn mood_for_pulls(&self, at: f64) -> Mood {
        match (self.mood(at), self.guile) {
            (Mood::Serves, Some(guile)) => guile,
            (mood, _) => mood,
        }
    }

    /// Bytes per second that it has to give, whatever its mood.
    fn own_speed(&self, at: f64) -> f64 {
        let hour = at / HOUR - self.evening_at;
        let dip = self.evening * 0.5 * (1.0 + (TAU * hour / 24.0).cos());
        let wave = |(period, height, phase): &(f64, f64, f64)| height * (TAU * (at / period + phase)).sin();
        self.speed * (1.0 - dip) * self.drift.iter().map(wave).sum::<f64>().exp()
    }

    /// Bytes per second in this mood.
    pub(crate) fn speed(&self, mood: Mood, at: f64) -> f64 {
        match mood {
            Mood::Crawls => CRAWL,
            Mood::Serves | Mood::Blackhole | Mood::Refuses | Mood::Answers(_) | Mood::Hangs => {
                self.own_speed(at)
            }
        }
    }

    /// Seconds from nothing to the platform's manifest: three cold connections over TLS 1.3, and what is asked.
    pub(crate) fn chain(&self) -> f64 {
        self.ping() + self.token() + self.manifest()
    }

    /// `/v2/`: TCP, TLS, the request.
    pub(crate) fn ping(&self) -> f64 {
        3.0 * self.rtt
    }

    /// The token, from a host about as far away.
    pub(crate) fn token(&self) -> f64 {
        if self.wants_token { 3.0 * self.rtt } else { 0.0 }
    }

    /// HEAD of the tag, the index, the manifest.
    pub(crate) fn manifest(&self) -> f64 {
        5.0 * self.rtt
    }

    /// A layer's first byte, from a content host that was not connected yet.
    pub(crate) fn first_byte(&self) -> f64 {
        3.0 * self.rtt
    }
}

/// What is pulled, and over which lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pull {
    /// Bytes of its layers.
    pub(crate) bytes: f64,
    /// Lines begin slowly, as TCP does: a short measurement then shows the distance more than the width.
    pub(crate) slow_start: bool,
}

impl Pull {
    /// Seconds for so many bytes after the first one, over so many connections at once.
    pub(crate) fn transfer(self, bytes: f64, speed: f64, rtt: f64, flows: f64) -> f64 {
        if !self.slow_start {
            return bytes / speed;
        }
        let mut window = flows * FIRST_WINDOW;
        let (mut seconds, mut left) = (0.0, bytes - window);
        while left > 0.0 && 2.0 * window < speed * rtt {
            window *= 2.0;
            left -= window;
            seconds += rtt;
        }
        seconds + left.max(0.0) / speed
    }

    /// What comes with the first byte, so that no speed is told by it.
    pub(crate) fn first_window(self) -> f64 {
        if self.slow_start { FIRST_WINDOW } else { 0.0 }
    }

    /// Seconds of a pull from this mirror when it serves.
    pub(crate) fn seconds(self, host: &Host, mood: Mood, at: f64) -> f64 {
        let bytes = self.transfer(self.bytes, host.speed(mood, at), host.rtt, FLOWS);
        (host.chain() + 2.0 * host.first_byte() + bytes).min(LONGEST)
    }

    /// What one try of a mirror costs, and whether it ends there.
    ///
    /// dockerd leaves what refuses at once, what is silent after [`BLACKHOLED`] seconds, and never what is slow.
    pub(crate) fn one_try(self, host: &Host, at: f64) -> (f64, bool) {
        let mood = host.mood_for_pulls(at);
        match mood {
            Mood::Serves | Mood::Crawls => (self.seconds(host, mood, at), true),
            Mood::Hangs => (LONGEST, true),
            Mood::Blackhole => (BLACKHOLED, false),
            Mood::Refuses | Mood::Answers(_) => (REFUSED, false),
        }
    }
}

/// A world: its mirrors for some days.
#[derive(Clone, Debug)]
pub(crate) struct World {
    /// What differs from world to world of one kind.
    pub(crate) seed: u64,
    /// Its mirrors.
    pub(crate) hosts: Vec<Host>,
    /// How long it lasts.
    pub(crate) days: u32,
}

impl World {
    /// Mirrors of all speeds with all kinds of faults: the world by which the goals are meant.
    pub(crate) fn faulty(seed: u64, days: u32) -> Self {
        let mut chance = Chance::new(seed, 1);
        let hosts = (0..MIRRORS).map(|number| {
            let mut host = any_host(number, &mut chance);
            host.moods = moods(&mut chance, f64::from(days) * 24.0 * HOUR);
            host
        });
        Self { seed, hosts: hosts.collect(), days }
    }

    /// Nobody is better than anybody, and nothing ever changes but the noise of each measurement.
    pub(crate) fn equal(seed: u64, days: u32) -> Self {
        let hosts = (0..MIRRORS).map(|number| Host::new(number, 4e6, 0.05));
        Self { seed, hosts: hosts.collect(), days }
    }

    /// No faults, and over days the slow become fast and the fast slow.
    pub(crate) fn drift(seed: u64, days: u32) -> Self {
        let mut chance = Chance::new(seed, 2);
        let hosts = (0..MIRRORS).map(|number| {
            let mut host = Host::new(number, 4e6, rtt(&mut chance, 0.0));
            let period = 24.0 * HOUR * chance.between(5.0, 12.0);
            host.drift.push((period, chance.between(0.4, 1.2), chance.uniform()));
            host
        });
        Self { seed, hosts: hosts.collect(), days }
    }

    /// Three mirrors are the fastest for whoever only asks: of those who pull, one gets a crawl, one not a byte of
    /// a layer, one an error. The others are honest and have no faults.
    pub(crate) fn adversary(seed: u64, days: u32) -> Self {
        let mut chance = Chance::new(seed, 3);
        let mut hosts: Vec<Host> = (0..MIRRORS).map(|number| any_host(number, &mut chance)).collect();
        let guiles = [Mood::Crawls, Mood::Hangs, Mood::Answers(FailureKind::ServerError)];
        for (host, guile) in hosts.iter_mut().zip(guiles) {
            *host = Host { speed: 80e6, rtt: 0.01, guile: Some(guile), ..host.clone() };
        }
        Self { seed, hosts, days }
    }

    /// What a pull costs that tries these in order, and then the upstream, which is out of reach here.
    pub(crate) fn cost(&self, pull: Pull, list: &[usize], at: f64) -> f64 {
        let mut cost = 0.0;
        for host in list {
            let (seconds, served) = pull.one_try(&self.hosts[*host], at);
            cost += seconds;
            if served || cost >= LONGEST {
                return cost.min(LONGEST);
            }
        }
        LONGEST
    }
}

/// Speeds are log-normal with a median of 4 MB/s and a deviation of 1.2, halved in the evening, which comes to all
/// at about the same time.
fn any_host(number: usize, chance: &mut Chance) -> Host {
    let talent = chance.normal();
    let mut host = Host::new(number, 4e6 * (1.2 * talent).exp(), rtt(chance, talent));
    host.evening = 0.5;
    host.evening_at = 21.0 + 3.0 * chance.normal();
    host
}

/// A round trip of some 60 ms, weakly tied to the speed.
fn rtt(chance: &mut Chance, talent: f64) -> f64 {
    (0.06 * (0.6 * chance.normal() - 0.15 * talent).exp()).clamp(0.005, 0.4)
}

/// A fault every two days or so, of one of four kinds, each as long as its kind is on average.
fn moods(chance: &mut Chance, end: f64) -> Vec<(f64, Mood)> {
    let mut moods = vec![(0.0, Mood::Serves)];
    let mut at = chance.wait(48.0 * HOUR);
    while at < end {
        let kind = chance.uniform();
        let (mean, mood) = match kind {
            kind if kind <= 0.25 => (5.0, Mood::Blackhole),
            kind if kind <= 0.5 => (10.0, Mood::Answers(error(chance))),
            kind if kind <= 0.75 => (3.0, Mood::Crawls),
            // A flap: half of the time down, for minutes at a time.
            _ => (4.0, if chance.happens(0.5) { Mood::Blackhole } else { Mood::Refuses }),
        };
        let over = at + chance.wait(mean * HOUR);
        if kind > 0.75 {
            let period = chance.between(120.0, HOUR);
            while at < over {
                moods.push((at, mood));
                at += chance.wait(period / 2.0);
                moods.push((at.min(over), Mood::Serves));
                at += chance.wait(period / 2.0);
            }
        } else {
            moods.push((at, mood));
            moods.push((over, Mood::Serves));
        }
        at = over + chance.wait(48.0 * HOUR);
    }
    moods
}

/// Most errors are the server's; some are an allowlist's or a limit's.
fn error(chance: &mut Chance) -> FailureKind {
    match chance.uniform() {
        share if share <= 0.6 => FailureKind::ServerError,
        share if share <= 0.8 => FailureKind::NotAllowed,
        _ => FailureKind::RateLimited,
    }
}
