//! Sees when files change, so that an edit takes effect without a restart.
//!
//! What is watched are the *directories*: an editor that renames a new file over the old one ends every
//! watch on the file itself. What counts is not the event but what `stat` says afterwards: events only say
//! when to look, so that one that was lost, doubled, or caused by our own reading does no harm.
//!
//! Where the kernel gives no watch (its limits are used up, a network file system, a directory that is not
//! there), the same look is taken every second instead.

mod aim;
mod look;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use aim::Aim;
pub use look::Look;

/// An editor is done when it was silent for so long; one save is up to six events within milliseconds.
const QUIET: Duration = Duration::from_millis(300);

/// Whoever is never silent is looked at all the same.
const IMPATIENCE: Duration = Duration::from_secs(1);

/// How often is looked where there is no watch: with [`QUIET`], and with what reading and deciding take on a busy
/// host, within the two seconds that an edit may take.
const POLL: Duration = Duration::from_secs(1);

/// How often is looked where there is one: a mount or a parent directory that was exchanged says nothing. So seldom, for
/// each time wakes the process; whoever is awake anyway may ask for it more often ([`Watcher::glance`]).
const GLANCE: Duration = Duration::from_secs(90);

/// How often is asked again for a watch that was not to be had.
const AIM: Duration = Duration::from_secs(30);

/// Something that was watched is not as it was; read it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed;

/// Watches until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    task: JoinHandle<()>,
    glance: Arc<Notify>,
}

impl Watcher {
    /// Looks now at what changes without a word, for it costs less while the process is awake.
    pub fn glance(&self) {
        self.glance.notify_one();
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Watches files, which may not exist yet, and directories with what is directly in them.
///
/// A change is told once, within two seconds, after the writer has fallen silent; what was told and not yet
/// received is not told again. The comparison begins with what is there at this call: read the files after
/// it, and no edit falls between. Must be called in a tokio runtime; uses one thread besides.
pub fn watch(paths: Vec<PathBuf>) -> (Watcher, mpsc::Receiver<Changed>) {
    let (tell, told) = mpsc::channel(1);
    let paths = paths.into_iter().map(|path| std::path::absolute(&path).unwrap_or(path)).collect();
    let (mut eye, hints) = Eye::open(paths);
    eye.aim();
    eye.last = Look::at(&eye.paths);
    let glance = Arc::new(Notify::new());
    (Watcher { task: tokio::spawn(run(eye, hints, Arc::clone(&glance), tell)), glance }, told)
}

async fn run(mut eye: Eye, mut hints: mpsc::Receiver<()>, glance: Arc<Notify>, tell: mpsc::Sender<Changed>) {
    loop {
        let pause = if eye.blind { POLL } else { GLANCE };
        let hinted = tokio::select! {
            () = tell.closed() => return,
            hint = hints.recv() => hint.is_some(),
            () = glance.notified() => false,
            () = sleep(pause) => false,
        };
        if hinted {
            silence(&mut hints).await;
            eye.aim();
        } else if eye.is_off() || (eye.blind && eye.aimed.elapsed() >= AIM) {
            eye.aim();
        }
        if eye.sees_a_change() {
            if !hinted {
                settle(&mut eye).await;
            }
            // A full channel means that the receiver has yet to hear of a change before: then it will read
            // this one too.
            let _ = tell.try_send(Changed);
        }
    }
}

/// Waits until no hint has come for [`QUIET`].
async fn silence(hints: &mut mpsc::Receiver<()>) {
    let end = Instant::now() + IMPATIENCE;
    while Instant::now() < end && timeout(QUIET, hints.recv()).await.is_ok() {}
}

/// The same where there are no hints.
async fn settle(eye: &mut Eye) {
    let end = Instant::now() + IMPATIENCE;
    loop {
        sleep(QUIET).await;
        if !eye.sees_a_change() || Instant::now() >= end {
            return;
        }
    }
}

struct Eye {
    paths: Vec<PathBuf>,
    last: Look,
    /// What the notifying thread lets pass.
    aim: Arc<Mutex<Aim>>,
    notifier: Option<RecommendedWatcher>,
    hint: mpsc::Sender<()>,
    /// Something has no watch.
    blind: bool,
    /// It was said so.
    told: bool,
    /// When a watch was last asked for.
    aimed: Instant,
}

impl Eye {
    fn open(paths: Vec<PathBuf>) -> (Self, mpsc::Receiver<()>) {
        let (hint, hints) = mpsc::channel(1);
        let aim = Arc::new(Mutex::new(Aim::default()));
        let eye = Self {
            paths,
            last: Look::default(),
            aim,
            notifier: None,
            hint,
            blind: false,
            told: false,
            aimed: Instant::now(),
        };
        (eye, hints)
    }

    /// Whether anything is not as at the last look.
    fn sees_a_change(&mut self) -> bool {
        let now = Look::at(&self.paths);
        let changed = now != self.last;
        self.last = now;
        changed
    }

    /// Whether a directory that is watched is not the one under its path any more.
    fn is_off(&self) -> bool {
        Aim::at(&self.paths) != *self.aim.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches every directory that has to be, each anew: notify drops the watch of a directory that was
    /// renamed, even when the same directory came back.
    fn aim(&mut self) {
        self.aimed = Instant::now();
        let aim = Aim::at(&self.paths);
        let trouble = self.watch_all(&aim).err();
        match &trouble {
            // A directory that another process makes in a moment, as at every boot, is no trouble.
            Some(why) if self.blind && !self.told => {
                tracing::warn!("edits are looked for every {POLL:?}, notification fails: {why}");
                self.told = true;
            }
            None if self.told => {
                tracing::info!("edits are notified again");
                self.told = false;
            }
            Some(_) | None => {}
        }
        self.blind = trouble.is_some();
    }

    fn watch_all(&mut self, aim: &Aim) -> Result<(), String> {
        let before = {
            let mut shared = self.aim.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *shared, aim.clone())
        };
        let notifier = match &mut self.notifier {
            Some(notifier) => {
                for dir in before.directories() {
                    // It may be gone, and its watch with it.
                    let _ = notifier.unwatch(dir);
                }
                notifier
            }
            None => self.notifier.insert(notifier(self.hint.clone(), Arc::clone(&self.aim))?),
        };
        let mut trouble = aim.out_of_sight();
        for dir in aim.directories() {
            if let Err(error) = notifier.watch(dir, RecursiveMode::NonRecursive) {
                trouble.get_or_insert(error.to_string());
            }
        }
        trouble.map_or(Ok(()), Err)
    }
}

fn notifier(hint: mpsc::Sender<()>, aim: Arc<Mutex<Aim>>) -> Result<RecommendedWatcher, String> {
    // notify panics where it gets no thread, so it is asked for one only where there are threads to be had.
    let thread = std::thread::Builder::new().spawn(|| ());
    thread.map_err(|error| format!("no thread: {error}"))?.join().map_err(|_| "no thread")?;
    let on_event = move |event: notify::Result<Event>| {
        let aim = aim.lock().unwrap_or_else(PoisonError::into_inner);
        if event.map_or(true, |event| concerns(&event, &aim)) {
            // A full channel already holds the hint.
            let _ = hint.try_send(());
        }
    };
    notify::recommended_watcher(on_event).map_err(|error| error.to_string())
}

/// Whether an event is a reason to look. Reading is none: our own reading would call for the next.
fn concerns(event: &Event, aim: &Aim) -> bool {
    let reading = matches!(event.kind, EventKind::Access(_));
    // After an overflow of the kernel's queue nobody knows what was missed.
    event.need_rescan() || (!reading && event.paths.iter().any(|path| aim.covers(path)))
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, AccessMode, CreateKind, Flag};

    use super::*;

    fn aim() -> (tempfile::TempDir, Aim) {
        let dir = tempfile::tempdir().unwrap();
        let aim = Aim::at(&[dir.path().join("mirrors.toml")]);
        (dir, aim)
    }

    #[tokio::test]
    async fn a_hint_is_followed_by_a_quiet_moment() {
        let (hint, mut hints) = mpsc::channel(1);
        hint.try_send(()).unwrap();
        let begin = Instant::now();
        silence(&mut hints).await;
        assert!(begin.elapsed() >= QUIET);
        assert_eq!(hints.try_recv(), Err(mpsc::error::TryRecvError::Empty), "the hint is part of it");
    }

    #[test]
    fn an_overflow_is_a_reason_to_look() {
        let (_dir, aim) = aim();
        assert!(concerns(&Event::new(EventKind::Other).set_flag(Flag::Rescan), &aim));
    }

    #[test]
    fn reading_is_no_reason_to_look() {
        let (dir, aim) = aim();
        let path = dir.path().canonicalize().unwrap().join("mirrors.toml");
        let opened = EventKind::Access(AccessKind::Open(AccessMode::Any));
        assert!(!concerns(&Event::new(opened).add_path(path.clone()), &aim));
        assert!(concerns(&Event::new(EventKind::Create(CreateKind::File)).add_path(path), &aim));
    }

    #[test]
    fn a_neighbour_is_no_reason_to_look() {
        let (dir, aim) = aim();
        let path = dir.path().canonicalize().unwrap().join("status.json");
        assert!(!concerns(&Event::new(EventKind::Create(CreateKind::File)).add_path(path), &aim));
    }
}
