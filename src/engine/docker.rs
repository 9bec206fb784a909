//! dockerd: the list `registry-mirrors` in its daemon.json.
//!
//! What the running dockerd says of itself goes before what we were told of it: its own command line names the
//! file, `/info` the list in use. [`edit`] renders, [`crate::file`] replaces, and `/info` proves.

mod alone;
mod api;
pub mod app;
mod backup;
mod discover;
pub mod edit;
mod given_up;
mod images;
mod log;
mod outbound;
mod pending;
mod recover;
mod reload;
mod restore;
mod scruples;
mod transact;
mod validate;
mod wake;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::sleep;

use serde::{Deserialize, Serialize};

use crate::engine::{Applied, Facts, Plan, Problem, Warning};
use crate::file::{self, Snapshot};
use crate::mirror::MirrorUrl;
use crate::observation::ImageStore;
use crate::reason::{ProblemKind, WarningKind};
use crate::room::Room;
use crate::timestamp::Timestamp;

use api::{Api, Info};
use app::App;
use backup::Backups;
use discover::Process;
use edit::{Document, EditError};
use given_up::Systemd;
use pending::Reading;
use scruples::Scene;
use transact::{Outcome, Transaction};

pub use reload::Reload;

/// A writer that truncates and then writes leaves an empty or half file for a moment; so long is waited.
const SETTLE: Duration = Duration::from_millis(500);

/// A file that has been empty for less than this is perhaps still to be written, by a shell that has emptied it for a
/// `cat` at a terminal or for what comes over a slow line: they write into the file that they have open, and one that we
/// had put in its place would never see it. Nobody takes longer, and a host whose file was made empty is to have its
/// list in the end.
const EMPTIED: Duration = Duration::from_secs(600);

/// How often a change starts again when somebody else wrote the file in between.
const ATTEMPTS: usize = 3;

/// A pull that ended longer ago than this is no news.
const LATELY: Duration = Duration::from_secs(600);

/// Where dockerd is and how it is reloaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Its daemon.json, unless the running dockerd says that it reads another.
    pub config_file: PathBuf,
    /// Its API.
    pub socket: PathBuf,
    /// How a reload is asked for.
    pub reload: Reload,
    /// The systemd unit that runs it.
    pub unit: String,
    /// Where it writes its pid; looked at only when systemd holds the socket.
    pub pid_file: PathBuf,
    /// Entries that always stay, first.
    pub keep: Vec<MirrorUrl>,
    /// Whether a reload may activate edits of somebody else that dockerd has not taken yet.
    #[serde(default)]
    pub with_pending: bool,
}

/// One dockerd.
#[derive(Clone, Debug)]
pub struct Docker {
    settings: Settings,
    api: Api,
    /// Where everything lies that is ours.
    state_dir: PathBuf,
    backups: Backups,
    systemd: Systemd,
}

/// A dockerd that answers, at one moment.
struct Live {
    info: Info,
    process: Option<Process>,
    /// The application that it is a part of.
    app: Option<App>,
    /// Why the process behind the socket is not taken for what it goes by.
    stranger: Option<Problem>,
    file: PathBuf,
}

impl Docker {
    /// Nothing is touched yet. Backups and the lock live in `engines/docker` of `state_dir`.
    pub fn new(settings: Settings, state_dir: &Path) -> Self {
        let api = Api::new(&settings.socket);
        let backups = Backups::new(state_dir.join("engines/docker"), Room::of(state_dir));
        Self { settings, api, state_dir: state_dir.to_owned(), backups, systemd: Systemd::default() }
    }

    /// Whether there is a dockerd on this host, running or not. One that was removed may have left its socket's file.
    pub fn installed(&self) -> bool {
        let socket = &self.settings.socket;
        self.has_program() || (socket.exists() && !wake::is_left_over(socket))
    }

    /// Whether its program is where one is looked for. That of a running one may be elsewhere.
    pub fn has_program(&self) -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];
        let mut places = std::env::split_paths(&path).chain(places.map(PathBuf::from));
        places.any(|place| place.join("dockerd").is_file())
            || Path::new("/var/snap/docker/current").is_dir()
            || App::of_socket(&self.settings.socket).is_some()
    }

    /// The command that was configured to have it reload, with its arguments.
    pub fn reload_command(&self) -> Option<&[String]> {
        match &self.settings.reload {
            Reload::Command(command) => Some(command),
            Reload::Auto | Reload::Systemd | Reload::Signal | Reload::None => None,
        }
    }

    /// Its API.
    pub fn socket(&self) -> &Path {
        &self.settings.socket
    }

    /// What dockerd is now. Takes no lock and writes nothing, but for a note that an edit of somebody else waits no more.
    ///
    /// # Errors
    /// It does not run, does not answer or may not be asked. A broken file is no error here; see
    /// [`Facts::refusal`].
    pub async fn facts(&self) -> Result<Facts, Problem> {
        let live = self.look().await?;
        // A path on another host is none here.
        let read = if live.app.is_some() { Ok(Snapshot::default()) } else { read(&live.file) };
        let bytes = read.as_ref().ok().and_then(Snapshot::bytes);
        let parsed = Document::parse(bytes).map_err(|error| broken(&live.file, &error));
        let empty = Document::parse(None).expect("nothing parses");
        let document = parsed.as_ref().unwrap_or(&empty);
        let scene = live.scene(document);
        let unit = match &live.process {
            Some(process) if outbound::is_masked(&live.info) => reload::environment(process).await,
            Some(_) | None => Vec::new(),
        };
        let (proxies, hidden) = outbound::of(&live.info, live.process.as_ref(), &unit, document);
        let pending = self.pending(&live, document).await;
        let pending =
            (!pending.is_empty()).then(|| Warning::new(WarningKind::PendingEdits, pending.join(", ")));
        let full = self.backups.full_disk();
        let unverified = scene.unverified(&self.settings.keep);
        let warnings =
            unverified.into_iter().chain(scene.warnings()).chain(pending).chain(hidden).chain(full).collect();
        let refusal = scene.refusal().or_else(|| scene.overridden());
        let refusal = read.as_ref().err().or(parsed.as_ref().err()).cloned().or(refusal);
        let store = if live.info.containerd_store() { ImageStore::Containerd } else { ImageStore::Classic };
        Ok(Facts {
            store,
            mirrors: live.info.mirrors(),
            listed: document.listed(),
            given: self.backups.accepted(&live.file).map(|accepted| accepted.wanted),
            proxies,
            pid: live.process.as_ref().map(Process::pid),
            log: log::source(live.process.as_ref(), document, &live.info),
            images: match self.api.images(store == ImageStore::Containerd).await {
                Ok(found) => Some(images::of_hub(found, &images::Shelves::of(&live.info))),
                Err(_) => None,
            },
            warnings,
            app: live.app,
            refusal,
            version: live.info.server_version,
            file: live.file,
        })
    }

    /// When an image was last pulled, or found to be up to date; `None`: not lately, or dockerd does not say.
    pub async fn last_pull(&self, now: Timestamp) -> Option<Timestamp> {
        self.api.last_pull(now - LATELY, now).await
    }

    /// Ends the connection that looks leave open for the next question.
    pub fn hang_up(&self) {
        self.api.hang_up();
    }

    /// What [`Self::apply`] would do.
    ///
    /// # Errors
    /// Why it would do nothing.
    pub async fn plan(&self, mirrors: &[MirrorUrl]) -> Result<Plan, Problem> {
        let live = self.look().await?;
        let snapshot = self.settled(&live.file).await?;
        self.planned(&live, &snapshot, &self.wanted(mirrors)).await
    }

    /// Makes `mirrors`, after the entries to keep, the list of the file and of the running dockerd; on a thread of its
    /// own, which confines itself to what there is to write.
    ///
    /// Must be awaited to its end: dropped half-way, it leaves the file written and unproven.
    ///
    /// # Errors
    /// File and dockerd are as they were, and the problem says why. Only after
    /// [`ProblemKind::RollbackFailed`] the file is not.
    pub async fn apply(&self, mirrors: &[MirrorUrl]) -> Result<Applied, Problem> {
        let wanted = self.wanted(mirrors);
        self.alone(move |docker| async move { docker.apply_alone(&wanted).await }).await
    }

    async fn apply_alone(&self, wanted: &[MirrorUrl]) -> Result<Applied, Problem> {
        let (_lock, mut live) = self.begin().await?;
        let mut attempt = 1;
        loop {
            match self.apply_once(&live, wanted).await {
                Err(problem) if problem.kind == ProblemKind::Raced && attempt < ATTEMPTS => attempt += 1,
                done => return done,
            }
            live = self.look().await?;
        }
    }

    async fn apply_once(&self, live: &Live, wanted: &[MirrorUrl]) -> Result<Applied, Problem> {
        let snapshot = self.settled(&live.file).await?;
        let plan = self.planned(live, &snapshot, wanted).await?;
        if !plan.change {
            return Ok(Applied { changed: false, mirrors: plan.mirrors, verified: true, acknowledged: None });
        }
        let after = plan.after.as_deref().expect("only a restore removes the file");
        validate::check(&live.file, after, wanted)?;
        let outcome = self.carry_out(live, &snapshot, after, &plan.mirrors).await?;
        let changed = plan.writes() || matches!(outcome, Outcome::Proven(_));
        self.applied(changed, plan.mirrors, outcome).await
    }

    /// Second opinion, then the transaction.
    async fn carry_out(
        &self,
        live: &Live,
        snapshot: &Snapshot,
        after: &[u8],
        wanted: &[String],
    ) -> Result<Outcome, Problem> {
        let process = live.process.as_ref();
        let way = self.settings.reload.way(&self.settings.unit, process)?;
        validate::second_opinion(&live.info.server_version, process, &live.file, after).await?;
        let transaction = Transaction {
            api: &self.api,
            backups: &self.backups,
            file: &live.file,
            way: &way,
            mark: log::Mark::set(process),
            before: snapshot,
            was: &live.info.mirrors(),
        };
        transaction.run(after, wanted).await
    }

    /// [`plan`], unless its reload would activate edits that are not ours to activate.
    async fn planned(&self, live: &Live, snapshot: &Snapshot, wanted: &[MirrorUrl]) -> Result<Plan, Problem> {
        let plan = plan(live, snapshot, wanted)?;
        if plan.change {
            let document = Document::parse(snapshot.bytes()).map_err(|error| broken(&live.file, &error))?;
            self.refuse_pending(live, &document).await?;
        }
        Ok(plan)
    }

    async fn refuse_pending(&self, live: &Live, document: &Document<'_>) -> Result<(), Problem> {
        // Whoever sees to the reload himself decides himself when.
        if self.settings.with_pending || self.settings.reload == Reload::None {
            return Ok(());
        }
        let pending = self.pending(live, document).await;
        if pending.is_empty() {
            return Ok(());
        }
        let detail = format!(
            "{}: not written: somebody's edits wait there for a reload, and ours would activate them: {}",
            live.file.display(),
            pending.join(", ")
        );
        Err(Problem::new(ProblemKind::PendingEdits, detail))
    }

    /// Asked after the file was read: what is written to it from then on is seen before it is replaced.
    async fn pending(&self, live: &Live, document: &Document<'_>) -> Vec<String> {
        let accepted = self.backups.accepted(&live.file).map(|accepted| accepted.keys);
        let told = |has_read| pending::keys(document, &live.info, has_read, accepted.as_ref());
        // The answer takes its time, and mostly nothing depends on it.
        if told(Some(false)) == told(Some(true)) {
            return told(Some(true));
        }
        let (process, pid_file) = (live.process.as_ref(), &self.settings.pid_file);
        let reading = process.and_then(|process| Reading::of(&live.file, process));
        if reading.is_some() && self.backups.reading(&live.file) == reading {
            return told(Some(true));
        }
        let has_read = pending::has_read(&self.api, process, pid_file, &live.file).await;
        if let (Some(true), Some(reading)) = (has_read, reading) {
            self.backups.remember(&reading);
        }
        told(has_read)
    }

    /// Reads the file; one that is empty or broken is perhaps just being written, and is given time.
    ///
    /// # Errors
    /// It cannot be read, or has been emptied since our last write, and not long ago. That is not waited for: whoever asks
    /// by hand can tell at once whether somebody writes there.
    async fn settled(&self, path: &Path) -> Result<Snapshot, Problem> {
        let blank = |snapshot: &Snapshot| snapshot.bytes().is_some_and(|bytes| bytes.trim_ascii().is_empty());
        let mut snapshot = read(path)?;
        for _ in 0..ATTEMPTS {
            if !blank(&snapshot) && Document::parse(snapshot.bytes()).is_ok() {
                break;
            }
            sleep(SETTLE).await;
            let again = read(path)?;
            if again == snapshot {
                break;
            }
            snapshot = again;
        }
        // Before our first write it may have been made empty: a `touch` is how many begin.
        if blank(&snapshot) && was_written_lately(path) && self.backups.accepted(path).is_some() {
            let detail = format!(
                "{}: not written: it is empty, \
                 and somebody may be about to fill it; hint: if nobody is, write an empty JSON object into it, or wait ten minutes",
                path.display()
            );
            return Err(Problem::new(ProblemKind::Raced, detail));
        }
        Ok(snapshot)
    }

    async fn applied(
        &self,
        changed: bool,
        mirrors: Vec<String>,
        outcome: Outcome,
    ) -> Result<Applied, Problem> {
        let (verified, acknowledged) = match outcome {
            Outcome::Proven(time) => (true, Some(time)),
            Outcome::Unproven => (self.api.info().await?.mirrors() == mirrors, None),
        };
        Ok(Applied { changed, mirrors, verified, acknowledged })
    }

    /// Entries to keep, then `mirrors`, each once.
    fn wanted(&self, mirrors: &[MirrorUrl]) -> Vec<MirrorUrl> {
        let mut wanted: Vec<MirrorUrl> = Vec::new();
        for mirror in self.settings.keep.iter().chain(mirrors) {
            if !wanted.contains(mirror) {
                wanted.push(mirror.clone());
            }
        }
        wanted
    }

    async fn look(&self) -> Result<Live, Problem> {
        match self.reach().await {
            Ok(live) => {
                self.systemd.forget();
                Ok(live)
            }
            Err(problem) => {
                let problem = self.systemd.explain(problem, &self.settings.unit, &self.settings.socket).await;
                Err(self.cannot_start(&problem).unwrap_or(problem))
            }
        }
    }

    /// That it is down for its file's sake, if it is: then to start it is no advice.
    fn cannot_start(&self, problem: &Problem) -> Option<Problem> {
        if !problem.kind.is_down() {
            return None;
        }
        let file = &self.settings.config_file;
        let snapshot = read(file).ok()?;
        let error = Document::parse(snapshot.bytes()).err().filter(|error| !error.starts)?;
        let detail = format!("{}; dockerd does not start with it", broken(file, &error));
        Some(Problem::new(ProblemKind::CannotStart, detail))
    }

    async fn reach(&self) -> Result<Live, Problem> {
        let pong = self.api.ping().await?;
        let (process, stranger) = match Process::find(pong.peer, &self.settings.pid_file) {
            Ok(process) => (process, None),
            Err(stranger) => (None, Some(Problem::new(ProblemKind::AnotherUsers, stranger.to_string()))),
        };
        let info = self.api.info().await?;
        // Where we see the dockerd itself, we are inside that application's machine, and its file is a file.
        let app = App::of_info(&info).filter(|_| process.is_none() && stranger.is_none());
        let file = match (&process, app) {
            (Some(process), _) => process.config_file(),
            (None, Some(app)) => app.file().into(),
            (None, None) => self.settings.config_file.clone(),
        };
        Ok(Live { info, process, app, stranger, file })
    }

    /// Whether a connection now reaches a dockerd, as far as can be seen at once, and does not start one that somebody
    /// has stopped.
    pub fn is_awake(&self) -> bool {
        wake::is_awake(&self.settings.socket)
    }
}

/// Every dockerd that runs beside us, by its pid and its start in clock ticks since the boot.
pub fn running() -> Vec<(i32, u64)> {
    Process::all().iter().map(Process::identity).collect()
}

impl Live {
    fn scene<'a>(&'a self, document: &'a Document<'a>) -> Scene<'a> {
        Scene {
            info: &self.info,
            app: self.app,
            process: self.process.as_ref(),
            stranger: self.stranger.as_ref(),
            file: &self.file,
            document,
        }
    }
}

fn plan(live: &Live, snapshot: &Snapshot, wanted: &[MirrorUrl]) -> Result<Plan, Problem> {
    let before = snapshot.bytes().map(<[u8]>::to_vec);
    let document = Document::parse(snapshot.bytes()).map_err(|error| broken(&live.file, &error))?;
    let scene = live.scene(&document);
    if let Some(problem) = scene.refusal().or_else(|| scene.overridden()) {
        return Err(problem);
    }
    let mirrors: Vec<_> = wanted.iter().map(|mirror| mirror.as_str().to_owned()).collect();
    let in_use = live.info.mirrors() == mirrors;
    let in_file = match document.listed() {
        Some(listed) => normal(&listed) == mirrors,
        // No key and an empty list are the same to dockerd, unless it still has a list from before.
        None => mirrors.is_empty() && in_use,
    };
    let after = if in_file { before.clone() } else { Some(document.with(&mirrors)) };
    Ok(Plan { file: live.file.clone(), before, after, mirrors, change: !in_file || !in_use })
}

/// Entries as dockerd compares them: one trailing slash does not count, a repetition neither.
pub(super) fn normal(list: &[String]) -> Vec<String> {
    let mut normal: Vec<String> = Vec::new();
    for entry in list.iter().map(|entry| entry.strip_suffix('/').unwrap_or(entry)) {
        if !normal.iter().any(|known| known == entry) {
            normal.push(entry.to_owned());
        }
    }
    normal
}

/// The first number of a version such as `20.10.24+dfsg1`.
fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

fn read(path: &Path) -> Result<Snapshot, Problem> {
    file::read(path).map_err(|error| {
        let denied = error.kind() == io::ErrorKind::PermissionDenied;
        let kind = if denied { ProblemKind::NotPermitted } else { ProblemKind::Unreadable };
        Problem::new(kind, format!("{}: cannot be read: {error}", path.display()))
    })
}

/// By its own date and the clock that gave it, which may have been set back since: then the date lies ahead, and says no
/// more than that for ever.
fn was_written_lately(path: &Path) -> bool {
    let written = std::fs::metadata(path).and_then(|metadata| metadata.modified());
    written.is_ok_and(|at| at.elapsed().unwrap_or_else(|ahead| ahead.duration()) < EMPTIED)
}

fn broken(file: &Path, error: &EditError) -> Problem {
    let separator = if error.at.is_some() { ":" } else { ": " };
    let kind = if error.starts { ProblemKind::NotEditable } else { ProblemKind::BrokenFile };
    Problem::new(kind, format!("{}{separator}{error}", file.display()))
}
