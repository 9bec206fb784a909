//! The service: the loop that turns the world into events and performs what [`step`] decides.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::Receiver;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use crate::assembly::{self, ADOPTED_FACT, SELECTION_FACT};
use crate::config::{self, Config, Invalid};
use crate::engine::docker::Docker;
use crate::engine::{Applied, Facts, Problem};
use crate::mirror::MirrorUrl;
use crate::observation::Observation;
use crate::pause::Pause;
use crate::probe::{self, Prober, SetupError, Task};
use crate::ranking::select::Change;
use crate::status::{ServiceState, Status};
use crate::store::Store;
use crate::timestamp::Timestamp;
use crate::watch::{Changed, Watcher};

use files::read_pause;
use step::{Action, Event, State};
use tell::News;

mod engine;
mod files;
pub mod network;
pub mod schedule;
pub mod step;
pub mod tell;
pub mod view;

/// Where the service finds its things.
#[derive(Clone, Debug)]
pub struct Places {
    /// mirrors.toml.
    pub config: PathBuf,
    /// What outlives a restart.
    pub state: PathBuf,
    /// What does not: status.json.
    pub runtime: PathBuf,
}

/// Why the service did not start.
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
    /// The kernel gave no signal handler.
    Signals(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(invalid) => invalid.fmt(f),
            Self::Prober(error) => error.fmt(f),
            Self::Running(path) => write!(f, "{}: another mirrorwatch is running", path.display()),
            Self::Directory(path, error) => write!(f, "{}: write: {error}", path.display()),
            Self::Signals(error) => write!(f, "signal handlers: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// Several events in a row make one status.
const PUBLISH: Duration = Duration::from_millis(100);
/// How often the copy of the status that outlives a reboot is written when nothing changes.
const KEEP_STATUS: Duration = Duration::from_secs(600);
/// How often old observations are thinned.
const TIDY: Duration = Duration::from_secs(12 * 3600);
/// An apply under way at SIGTERM may take the reload's deadline, a roll-back and its reload.
const LAST_APPLY: Duration = Duration::from_secs(15);

/// What the tasks beside the loop bring back.
enum Done {
    Probed(MirrorUrl, Box<Observation>),
    Looked(Box<Result<Facts, Problem>>),
    Applied(Vec<MirrorUrl>, Change, Result<Applied, Problem>),
    Told,
}

struct Daemon {
    places: Places,
    config: Config,
    /// The first error of a mirrors.toml that is not in force.
    config_error: Option<String>,
    store: Store,
    prober: Rc<Prober>,
    /// What `prober` was made of.
    asks_as: probe::Settings,
    docker: Option<Rc<Docker>>,
    facts: Option<Facts>,
    problem: Option<Problem>,
    verified_at: Option<Timestamp>,
    adopted: Vec<MirrorUrl>,
    pause: Pause,
    state: State,
    since: Timestamp,
    tasks: JoinSet<Done>,
    watcher: Option<(Watcher, Vec<PathBuf>)>,
    changes: Option<Receiver<Changed>>,
    look_at: Instant,
    looking: bool,
    publish_at: Option<Instant>,
    kept_at: Option<Instant>,
    tidy_at: Instant,
    seed: u64,
    /// The last status says that nobody is there any more.
    ended: bool,
    /// The last status could not be written, and that has been said.
    unpublished: bool,
    /// Whether all was well in the last status.
    healthy: Option<bool>,
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// What stops it from starting; afterwards everything is survived and said.
pub async fn run(places: Places) -> Result<(), StartError> {
    let config = config::load(&places.config).map_err(StartError::Config)?;
    for directory in [&places.state, &places.runtime] {
        std::fs::create_dir_all(directory)
            .map_err(|error| StartError::Directory(directory.clone(), error))?;
    }
    let _lock = lock(&places.state)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signals)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(StartError::Signals)?;
    let mut daemon = Daemon::new(places, config)?;
    LocalSet::new()
        .run_until(async move {
            daemon.begin();
            daemon.live(&mut terminate, &mut interrupt, &mut hang_up).await;
            daemon.end().await;
        })
        .await;
    Ok(())
}

/// Whether a service runs with this state directory.
pub fn is_running(state: &Path) -> bool {
    matches!(lock(state), Err(StartError::Running(_)))
}

/// One service for one state directory; the lock goes with the process, however it ends.
fn lock(state: &Path) -> Result<File, StartError> {
    let path = state.join("run.lock");
    let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
    let file = file.map_err(|error| StartError::Directory(path.clone(), error))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(StartError::Running(path)),
        Err(error) => Err(StartError::Directory(path, error.into())),
    }
}

/// Differs from host to host and stays with it.
fn seed() -> u64 {
    let id = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl Daemon {
    fn new(places: Places, config: Config) -> Result<Self, StartError> {
        let now = assembly::now();
        let (store, setback) = Store::open(&places.state, now);
        if let Some(setback) = setback {
            warn!("{setback}");
        }
        let asks_as = assembly::probe_settings(&config, None);
        let prober = Prober::new(asks_as.clone()).map_err(StartError::Prober)?;
        let docker = assembly::docker(&config, &places.state).map(Rc::new);
        let adopted: Vec<MirrorUrl> = store.fact(ADOPTED_FACT).unwrap_or_default();
        let seed = seed();
        let state = State::new(assembly::settings(&config, None, seed), store.fact(SELECTION_FACT));
        let pause = read_pause(&places.state, Pause::default());
        Ok(Self {
            places,
            config,
            config_error: None,
            store,
            prober: Rc::new(prober),
            asks_as,
            docker,
            facts: None,
            problem: None,
            verified_at: None,
            adopted,
            pause,
            state,
            since: now,
            tasks: JoinSet::new(),
            watcher: None,
            changes: None,
            look_at: Instant::now(),
            looking: false,
            publish_at: None,
            kept_at: None,
            tidy_at: Instant::now() + TIDY,
            seed,
            ended: false,
            unpublished: false,
            healthy: None,
        })
    }

    fn begin(&mut self) {
        info!(version = env!("CARGO_PKG_VERSION"), config = %self.places.config.display(), "started");
        for warning in &self.config.warnings {
            warn!("{}", warning.one_line());
        }
        self.watch();
        self.step(Event::Paused(self.pause_of_docker()));
        self.configured();
        self.publish();
        notify_systemd(&[sd_notify::NotifyState::Ready]);
    }

    async fn live(&mut self, terminate: &mut Signal, interrupt: &mut Signal, hang_up: &mut Signal) {
        let mut wake = Instant::now();
        let watchdog = sd_notify::watchdog_enabled().map(|interval| interval / 2);
        let mut alive_at = Instant::now();
        loop {
            if let Some(interval) = watchdog
                && alive_at <= Instant::now()
            {
                notify_systemd(&[sd_notify::NotifyState::Watchdog]);
                alive_at = Instant::now() + interval;
            }
            let mut next = wake.min(self.look_at).min(self.tidy_at);
            next = self.publish_at.map_or(next, |at| next.min(at));
            next = if watchdog.is_some() { next.min(alive_at) } else { next };
            tokio::select! {
                biased;
                _ = terminate.recv() => return,
                _ = interrupt.recv() => return,
                _ = hang_up.recv() => self.reload(),
                Some(Changed) = changed(&mut self.changes) => self.files_changed(),
                Some(done) = self.tasks.join_next() => match done {
                    Ok(done) => self.done(done),
                    // A probe never panics; if one does, its mirror is asked again after a restart of the round.
                    Err(error) => error!("a task died: {error}"),
                },
                () = tokio::time::sleep_until(next) => self.tick(),
            }
            wake = self.wake_at();
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
        if self.look_at <= now {
            self.look();
        }
        if self.tidy_at <= now {
            self.tidy_at = now + TIDY;
            self.store.tidy(assembly::now());
        }
        self.step(Event::Tick);
        if self.publish_at.is_some_and(|at| at <= now) {
            self.publish();
        }
    }

    fn wake_at(&self) -> Instant {
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

    /// Says it when all is well again, or is not any more. What a start finds is no change.
    fn tell_health(&mut self, status: &Status) {
        if status.service.state == ServiceState::Starting {
            return;
        }
        let problems: Vec<String> = status.health().iter().map(ToString::to_string).collect();
        let healthy = problems.is_empty();
        let before = self.healthy.replace(healthy);
        if before.is_some_and(|before| before != healthy) {
            self.tell(News::Health { at: status.generated_at, healthy, problems });
        }
    }

    fn step(&mut self, event: Event) {
        let now = assembly::now();
        let was_down = self.state.network.is_down();
        let actions = self.state.step(event, now);
        match self.state.network.outage() {
            Some(outage) if !was_down => warn!("the network is down: {}; nothing is changed", outage.reason),
            None if was_down => info!("the network is up again"),
            Some(_) | None => {}
        }
        self.perform(actions, now);
        self.publish_at.get_or_insert(Instant::now() + PUBLISH);
    }

    fn perform(&mut self, actions: Vec<Action>, now: Timestamp) {
        let mut changed = Vec::new();
        for action in actions {
            match action {
                Action::Probe { url, depth, image, turn } => {
                    let prober = Rc::clone(&self.prober);
                    self.tasks.spawn_local(async move {
                        let task = Task { depth, image, turn };
                        let observation = prober.probe(&url, &task, now).await;
                        Done::Probed(url, Box::new(observation))
                    });
                }
                Action::Apply { list, change } => self.apply(list, change),
                Action::Save(url) => changed.push(url),
            }
        }
        if !changed.is_empty() {
            self.save(&changed, now);
        }
    }

    fn save(&self, changed: &[MirrorUrl], now: Timestamp) {
        self.store.batch(|store| {
            for track in changed.iter().filter_map(|url| self.state.track(url)) {
                match serde_json::to_string(&track.record) {
                    Ok(json) => store.save_record(&assembly::key(&track.mirror), &json, now),
                    Err(error) => error!("{}: record: {error}", track.mirror.name),
                }
            }
        });
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Probed(url, observation) => {
                if let Some(track) = self.state.track(&url) {
                    self.store.log(&assembly::key(&track.mirror), &observation);
                    tell(&track.mirror.name, &observation);
                }
                self.step(Event::Observed { url, observation });
            }
            Done::Looked(facts) => self.looked(*facts),
            Done::Applied(list, change, outcome) => self.applied(list, &change, outcome),
            Done::Told => {}
        }
    }

    /// What rounds by hand have seen in the meantime.
    fn overhear(&mut self) {
        for (key, observation) in self.store.news() {
            self.step(Event::Overheard { url: key.url, observation: Box::new(observation) });
        }
    }

    fn publish(&mut self) {
        self.publish_at = None;
        let status = self.status(assembly::now());
        self.tell_health(&status);
        let written = status.write(&self.places.runtime).or_else(|_| {
            // Somebody may have cleared the directory away.
            std::fs::create_dir_all(&self.places.runtime)?;
            status.write(&self.places.runtime)
        });
        match written {
            Ok(()) => self.unpublished = false,
            Err(error) if !self.unpublished => {
                self.unpublished = true;
                error!("{}: write the status: {error}", self.places.runtime.display());
            }
            Err(_) => {}
        }
        notify_systemd(&[sd_notify::NotifyState::Status(&view::one_line(&status))]);
        if self.kept_at.is_none_or(|at| at.elapsed() >= KEEP_STATUS) {
            self.keep_status();
        }
    }

    /// The copy that outlives the runtime directory.
    fn keep_status(&mut self) {
        self.kept_at = Some(Instant::now());
        // The store has already said what is wrong with this directory.
        let _ = self.status(assembly::now()).write(&self.places.state);
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
