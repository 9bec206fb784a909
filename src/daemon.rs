//! The service: the loop that turns the world into events and performs what [`step`] decides.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::Receiver;
use tokio::task::{JoinError, JoinSet, LocalSet};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::applier::Applier;
use crate::assembly::{self, ADOPTED_FACT};
use crate::config::{self, Config, Invalid};
use crate::engine::{Facts, Problem};
use crate::mirror::MirrorUrl;
use crate::observation::{Depth, Observation};
use crate::ours::Ours;
use crate::pause::Pause;
use crate::probe::{self, Prober, SetupError, Task};
use crate::process;
use crate::route;
use crate::store::{Consequence, Store, Switch};
use crate::timestamp::Timestamp;
use crate::watch::{Changed, Look, Watcher};

use alarm::Alarm;
use hand::Hand;
pub use lock::is_running;
use network::Evidence;
use step::{Action, Event, Shift, State};
use tasks::{Done, probed};
use tell::News;
use turns::{Sleep, Turns};
use watchdog::Watchdog;

mod alarm;
mod edited;
mod engine;
mod files;
mod hand;
mod keep;
mod listen;
mod lock;
pub mod network;
mod publishing;
pub mod schedule;
pub mod step;
mod tasks;
pub mod tell;
pub mod terms;
#[cfg(test)]
mod tests;
mod turns;
pub mod view;
mod watchdog;

/// Where the service finds its things.
#[derive(Clone, Debug)]
pub struct Places {
    /// mirrors.toml.
    pub config: PathBuf,
    /// What outlives a restart.
    pub state: PathBuf,
    /// What does not: status.json.
    pub runtime: PathBuf,
    /// The engine is not ours to touch: what is to be written is asked of the applier.
    pub unprivileged: bool,
    /// Nothing else is to be written by this thread, for good.
    pub confined: bool,
}

/// Why the service did not start, or did not go on.
#[derive(Debug)]
pub enum StartError {
    /// mirrors.toml is invalid.
    Config(Invalid),
    /// No probe could be made.
    Prober(SetupError),
    /// Another mirrorwatch runs with the same state directory.
    Running(PathBuf),
    /// A directory cannot be made or written.
    Directory(PathBuf, io::Error),
    /// The runtime directory was removed meanwhile, and is not ours to make.
    Removed(PathBuf, io::Error),
    /// The kernel gave no signal handler.
    Signals(io::Error),
    /// A part of it died: a bug.
    Died(JoinError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(invalid) => invalid.fmt(f),
            Self::Prober(error) => error.fmt(f),
            Self::Running(path) => write!(f, "{}: another mirrorwatch is running", path.display()),
            Self::Directory(path, error) => write!(f, "{}: write: {error}", path.display()),
            Self::Removed(path, error) => {
                write!(
                    f,
                    "{}: it was removed while the service ran, and cannot be made again: {error}",
                    path.display()
                )
            }
            Self::Signals(error) => write!(f, "signal handlers: {error}"),
            Self::Died(error) => {
                write!(f, "a part of the service died, which is a bug of mirrorwatch: {error}")
            }
        }
    }
}

impl std::error::Error for StartError {}

/// How often is looked, by whoever is awake anyway, at what changes without a word.
const GLANCE: Duration = Duration::from_secs(30);
/// How often at the way to the world, whose changes the kernel tells: that look is the dearest part of a minute at rest but
/// for the connects.
const GLANCE_AT_ROUTE: Duration = Duration::from_secs(300);
/// How often old observations are thinned.
const TIDY: Duration = Duration::from_secs(12 * 3600);
/// How soon after the start, for hosts that are on for some hours a day; and how often a disk is tried again that
/// took nothing.
const FIRST_TIDY: Duration = Duration::from_secs(600);
/// Somebody who holds the database holds the only thread too, and what waits there is probes that are being timed: well
/// below [`network::STARVED`].
const PATIENCE: Duration = Duration::from_millis(100);
/// An apply under way at SIGTERM may end, which takes a moment, or some seconds where it is rolled back. One that takes
/// longer, as by a reload that hangs, is broken off, and settled at the next start.
const LAST_APPLY: Duration = Duration::from_secs(15);

struct Daemon {
    places: Places,
    config: Config,
    /// The first error of a mirrors.toml that is not in force.
    config_error: Option<String>,
    store: Store,
    prober: Rc<Prober>,
    /// What `prober` was made of; `None`: of authorities that have been renewed.
    asks_as: Option<probe::Settings>,
    /// The file of `ca_file` when `prober` was made.
    authorities: Look,
    /// Where `ca_file` leads by the last mirrors.toml that could be read, whether or not that is in force.
    ca_file: Option<PathBuf>,
    /// The connections that probes make: these are no pulls.
    ours: Ours,
    applier: Option<Rc<Applier>>,
    docker: Option<Hand>,
    facts: Option<Facts>,
    problem: Option<Problem>,
    /// `problem` is why the engine could not be looked at.
    unseen: bool,
    /// The engine's program was found when it was last seen.
    had_program: bool,
    verified_at: Option<Timestamp>,
    /// What somebody wrote into its file and it does not use.
    edited: edited::Edited,
    adopted: Vec<MirrorUrl>,
    /// The selection that the store was last known to have: another one there is somebody's `apply`.
    kept_list: Option<Vec<MirrorUrl>>,
    /// When the last switch was made that we have heard of, by whomever.
    last_switch: Option<Timestamp>,
    /// Until its file is first read, what one means that cannot be.
    pause: Pause,
    /// Why it cannot be read.
    pause_error: Option<String>,
    state: State,
    since: Timestamp,
    /// When this process began, for the status: it never changes.
    pid_started: Option<u64>,
    /// When the next decision is due, as of the last one.
    wake_at: Instant,
    tasks: JoinSet<Done>,
    watcher: Option<(Watcher, Vec<PathBuf>)>,
    changes: Option<Receiver<Changed>>,
    ears: listen::Ears,
    /// What people edit could not be read.
    read_again_at: Option<Instant>,
    look_at: Instant,
    /// When it was looked last.
    looked_at: Option<Instant>,
    looking: bool,
    /// Since when the engine is away.
    away: Option<Instant>,
    turns: Turns,
    sleep: Sleep,
    /// What was seen, and what it changed.
    unwritten: keep::Unwritten,
    publish_at: Option<Instant>,
    /// The status lacks more than when mirrors were last connected to.
    is_news: bool,
    /// How many applies have begun or ended, and how many had when the engine was last asked what it lists.
    applies: u64,
    looks_since: u64,
    published_at: Option<Instant>,
    /// Somebody was being asked then.
    published_asking: bool,
    kept_at: Option<Instant>,
    tidy_at: Instant,
    /// The last status says that nobody is there any more.
    ended: bool,
    /// The last status could not be written, and that has been said.
    unpublished: bool,
    /// Why it cannot go on.
    broken: Option<StartError>,
    /// Whether all was well in the last status.
    healthy: Option<bool>,
    /// Switches that the store could not take.
    unkept: Vec<Switch>,
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// What stops it from starting; afterwards everything but a bug is survived and said.
pub async fn run(places: Places) -> Result<(), StartError> {
    let config = config::load(&places.config).map_err(StartError::Config)?;
    let _lock = lock::of_service(&places)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signals)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(StartError::Signals)?;
    let mut daemon = Daemon::new(places, config)?;
    daemon.places.confine();
    LocalSet::new()
        .run_until(async move {
            daemon.begin();
            let ended = daemon.live(&mut terminate, &mut interrupt, &mut hang_up).await;
            daemon.end().await;
            ended
        })
        .await
}

impl Daemon {
    fn new(places: Places, config: Config) -> Result<Self, StartError> {
        let now = assembly::now();
        let (store, setback) = Store::open(&places.state, now);
        store.wait_no_longer_than(PATIENCE);
        if let Some(setback) = setback {
            warn!("{setback}");
        }
        let asks_as = assembly::probe_settings(&config, None);
        let (authorities, ca_file) = (files::authorities(&config), config.probe.ca_file.clone());
        let ours = Ours::default();
        let prober = Prober::new(asks_as.clone()).map_err(StartError::Prober)?.noted_in(ours.clone());
        let applier = Hand::applier(&places);
        let docker = Hand::new(&config, &places, applier.as_ref());
        let adopted: Vec<MirrorUrl> = match docker.as_ref().and_then(Hand::adopted) {
            Some(adopted) => adopted,
            None => store.fact(ADOPTED_FACT).unwrap_or_default(),
        };
        let past = assembly::past(&config, &store);
        let kept_list = past.list.clone();
        let last_switch = store.switches(1).first().map(|switch| switch.at);
        let state = State::new(assembly::settings(&config, None), past);
        Ok(Self {
            places,
            config,
            config_error: None,
            store,
            prober: Rc::new(prober),
            asks_as: Some(asks_as),
            authorities,
            ca_file,
            ours,
            applier,
            docker,
            facts: None,
            problem: None,
            unseen: false,
            had_program: false,
            verified_at: None,
            edited: edited::Edited::default(),
            adopted,
            kept_list,
            last_switch,
            pause: Pause::of_broken_file(),
            pause_error: None,
            state,
            since: now,
            pid_started: process::started(std::process::id()),
            wake_at: Instant::now(),
            tasks: JoinSet::new(),
            watcher: None,
            changes: None,
            ears: listen::Ears::default(),
            read_again_at: None,
            look_at: Instant::now(),
            looked_at: None,
            looking: false,
            away: None,
            turns: Turns::default(),
            sleep: Sleep::new(),
            unwritten: keep::Unwritten::default(),
            publish_at: None,
            is_news: false,
            applies: 0,
            looks_since: 0,
            published_at: None,
            published_asking: false,
            kept_at: None,
            tidy_at: Instant::now() + FIRST_TIDY,
            ended: false,
            unpublished: false,
            broken: None,
            healthy: None,
            unkept: Vec::new(),
        })
    }

    fn begin(&mut self) {
        info!(version = env!("CARGO_PKG_VERSION"), config = %self.places.config.display(), "started");
        for warning in &self.config.warnings {
            warn!("{}", warning.one_line());
        }
        self.watch();
        self.pause = self.read_pause();
        self.step(Event::Paused(self.pause_of_docker()));
        self.configured();
        self.publish();
        notify_systemd(&[sd_notify::NotifyState::Ready]);
    }

    async fn live(
        &mut self,
        terminate: &mut Signal,
        interrupt: &mut Signal,
        hang_up: &mut Signal,
    ) -> Result<(), StartError> {
        let mut alarm = Alarm::new();
        let mut watchdog = Watchdog::new();
        let (route, mut rerouted) = route::watch();
        let (mut glanced_at, mut routed_at) = (Instant::now(), Instant::now());
        loop {
            let now = Instant::now();
            watchdog.calm(now);
            if glanced_at + GLANCE <= now {
                glanced_at = now;
                self.watcher.iter().for_each(|(watcher, _)| watcher.glance());
            }
            if routed_at + GLANCE_AT_ROUTE <= now {
                routed_at = now;
                route.glance();
            }
            let mut next = self.wake_at.min(self.look_at).min(self.tidy_at);
            let others = self.publishes_at().into_iter().chain(self.read_again_at).chain(watchdog.barks_at());
            next = others.fold(next, Instant::min);
            tokio::select! {
                biased;
                _ = terminate.recv() => return Ok(()),
                _ = interrupt.recv() => return Ok(()),
                _ = hang_up.recv() => self.reload(),
                Some(Changed) = changed(&mut self.changes) => self.files_changed(),
                Some(heard) = listen::next(&mut self.ears.heard) => self.heard(heard),
                Some(done) = self.tasks.join_next() => match done {
                    Ok(done) => self.done(done),
                    // What it held is lost to us: half of a service that looks alive is worse than one that starts anew.
                    Err(error) => return Err(StartError::Died(error)),
                },
                Some(route::Changed) = rerouted.recv() => {
                    info!("this host's address or route changed: everybody is looked at afresh");
                    self.step(Event::Shifted(Shift::Route));
                }
                () = alarm.at(next) => self.tick(),
            }
            if let Some(error) = self.broken.take() {
                return Err(error);
            }
        }
    }

    /// Lets an apply end, takes leave of systemd, and leaves a last status behind.
    async fn end(&mut self) {
        notify_systemd(&[sd_notify::NotifyState::Stopping]);
        if self.state.applying.is_some() {
            // Dropped half-way, it would leave the file written and unproven.
            let deadline = Instant::now() + LAST_APPLY;
            while let Ok(Some(done)) = tokio::time::timeout_at(deadline, self.tasks.join_next()).await {
                if let Ok(done @ Done::Applied(..)) = done {
                    self.done(done);
                    break;
                }
            }
        }
        self.ended = true;
        self.publish();
        self.keep_status();
        info!("stopped");
    }

    fn tick(&mut self) {
        let now = Instant::now();
        if self.read_again_at.is_some_and(|at| at <= now) {
            self.read_again();
        }
        if self.look_at <= now || self.looked_at.is_some_and(|at| at + engine::LOOK_EARLY <= now) {
            self.look();
        }
        if self.tidy_at <= now {
            self.tidy();
            let in_memory =
                self.store.setback().is_some_and(|setback| setback.consequence == Consequence::InMemory);
            self.tidy_at = now + if in_memory { FIRST_TIDY } else { TIDY };
        }
        self.step(Event::Tick);
        if self.publishes_at().is_some_and(|at| at <= now) {
            self.publish();
        }
    }

    fn next_wake(&self) -> Instant {
        let now = assembly::now();
        // Nothing due at all: an hour is as good as never, and mends a clock that was set.
        let pause = self.state.next_wake().map_or(Duration::from_secs(3600), |at| at.since(now));
        Instant::now() + pause.min(Duration::from_secs(3600))
    }

    fn tell(&mut self, news: News) {
        let command = self.config.notify.command.clone();
        if !command.is_empty() {
            self.tasks.spawn_local(async move {
                tell::tell(command, news).await;
                Done::Told
            });
        }
    }

    fn step(&mut self, event: Event) {
        // First of all: what comes first after a sleep may well be the failure of a probe that slept through its time.
        if self.sleep.is_over() {
            info!("woke up: everybody is looked at afresh");
            self.take(Event::Shifted(Shift::Woke));
        }
        self.take(event);
    }

    fn take(&mut self, event: Event) {
        let now = assembly::now();
        let was_down = self.state.network.is_down();
        let paused = self.state.is_paused();
        let mut routine = self.state.is_routine(&event);
        let actions = self.state.step(event, now);
        match self.state.network.outage() {
            Some(outage) if !was_down => {
                warn!("the network is down: {}; nothing is changed", outage.reason())
            }
            None if was_down => info!("the network is up again"),
            Some(_) | None => {}
        }
        routine &= was_down == self.state.network.is_down() && paused == self.state.is_paused();
        routine &= actions.iter().all(Action::is_routine);
        let begins = actions.iter().any(Action::costs_requests);
        self.perform(actions, now);
        self.wake_at = self.next_wake();
        if !routine || begins || self.is_news {
            // What a probe may cost is to be known even if this process does not live to see its end.
            self.write_down();
        }
        if !routine || self.is_news {
            self.publish_soon();
        } else if begins {
            self.publish_unless_it_ends();
        } else {
            self.publish_if_old();
        }
    }

    fn perform(&mut self, actions: Vec<Action>, now: Timestamp) {
        for action in actions {
            match action {
                Action::Probe { url, depth, image, turn } => {
                    let (prober, turns) = (Rc::clone(&self.prober), self.turns.clone());
                    // What a rehearsal found, in this run or an earlier one; only samples need it.
                    let track = self.state.track(&url).filter(|_| depth == Depth::Sample);
                    let layers = track.and_then(|track| track.record.sampled_layers().cloned());
                    let task = Task { depth, image, layers, turn };
                    self.tasks.spawn_local(async move {
                        let turns = turns.begin();
                        let mut observation = probed(prober, url.clone(), task, now).await;
                        observation.starved = turns.missed();
                        Done::Probed(url, Box::new(observation))
                    });
                }
                Action::Apply { list, change } => self.apply(list, change),
                Action::Save(url) => self.unwritten.changed(url),
                Action::Forgive(url, at) => {
                    if let Some(track) = self.state.track(&url) {
                        self.unwritten.forgive(assembly::key(&track.mirror), at);
                    }
                }
            }
        }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Probed(url, observation) => {
                if let Some(track) = self.state.track(&url) {
                    tell(&track.mirror.name, &observation);
                    // While nobody answers, everybody is knocked at every few seconds. A weekend of that would push a
                    // month out of the history, and says nothing that the first of them did not say.
                    if !(self.state.network.is_down() && observation.is_lost_connect()) {
                        self.unwritten.seen(assembly::key(&track.mirror), &observation);
                    }
                }
                self.step(Event::Observed { url, observation });
                if self.publish_at.is_some() && !self.state.is_asking() && self.state.applying.is_none() {
                    // Nothing else is about to come, and to wake up once more would cost as much as this.
                    self.publish();
                }
            }
            Done::Looked(facts) => self.looked(*facts),
            Done::Applied(list, change, outcome) => self.applied(list, &change, outcome),
            Done::Told => {}
        }
    }

    /// What rounds by hand have seen in the meantime.
    fn overhear(&mut self) {
        let mut news: BTreeMap<MirrorUrl, Vec<Observation>> = BTreeMap::new();
        for (key, observation) in self.store.news() {
            self.ears.asked_by_hand(&key.url, &observation);
            news.entry(key.url).or_default().push(observation);
        }
        // Whoever answered first: that shows whose failure the others' was.
        let mut news: Vec<_> = news.into_iter().collect();
        news.sort_by_key(|(url, seen)| !seen.iter().any(|seen| Evidence::of(url, seen).is_answer()));
        for (url, observations) in news {
            self.step(Event::Overheard { url, observations });
        }
    }
}

async fn changed(changes: &mut Option<Receiver<Changed>>) -> Option<Changed> {
    match changes {
        Some(receiver) => receiver.recv().await,
        None => std::future::pending().await,
    }
}

/// Every probe in the log, for who asked for more (`-v`).
fn tell(mirror: &str, observation: &Observation) {
    let Observation { depth, bytes_per_second, .. } = observation;
    match observation.failure() {
        None => debug!(mirror, ?depth, ?bytes_per_second, "served"),
        Some(failure) => debug!(mirror, ?depth, kind = %failure.kind, detail = failure.detail, "failed"),
    }
}

/// Without systemd there is nobody to tell, and that is no error.
fn notify_systemd(states: &[sd_notify::NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}
