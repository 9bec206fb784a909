//! The thread that is never confined, and what it can be asked.
//!
//! Where nobody in this process is confined there is no such thread, and whoever asks does it himself.

use std::fs;
use std::io;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use tokio::process::{Child, Command};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// One for the process, as memory and descriptors are; `None` where no thread was to be had.
static OUTSIDE: OnceLock<Option<Sender<Job>>> = OnceLock::new();

/// What leads somewhere in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// The file of the program that it runs.
    Program,
    /// Its working directory.
    Directory,
    /// Where its complaints go.
    StandardError,
    /// Its network namespace.
    Network,
}

/// Starts the thread, unless it is there; whether it is. Called before anybody is confined, or it would be confined too.
pub(super) fn open() -> bool {
    let begin = || {
        let (sender, jobs) = mpsc::channel::<Job>();
        let thread = thread::Builder::new().name("outside".to_owned());
        thread.spawn(move || jobs.into_iter().for_each(|job| job())).ok().map(|_| sender)
    };
    OUTSIDE.get_or_init(begin).is_some()
}

/// Has `job` done outside, and waits for it: each takes microseconds.
fn ask<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let Some(Some(outside)) = OUTSIDE.get() else { return Ok(job()) };
    let (tell, told) = mpsc::sync_channel(1);
    let job: Job = Box::new(move || {
        // Whoever asked waits.
        let _ = tell.send(job());
    });
    outside.send(job).map_err(|_| io::ErrorKind::BrokenPipe)?;
    told.recv().map_err(|_| io::ErrorKind::BrokenPipe.into())
}

/// Where `link` of a process leads.
///
/// # Errors
/// The process is gone, or is not ours to look at.
pub fn leads(pid: i32, link: Link) -> io::Result<PathBuf> {
    let name = match link {
        Link::Program => "exe",
        Link::Directory => "cwd",
        Link::StandardError => "fd/2",
        Link::Network => "ns/net",
    };
    ask(move || fs::read_link(format!("/proc/{pid}/{name}")))?
}

/// Where all descriptors of a process lead, as far as it can be seen of each.
///
/// # Errors
/// The process is gone, or is not ours to look at.
pub fn descriptors(pid: i32) -> io::Result<Vec<io::Result<PathBuf>>> {
    ask(move || {
        let entries = fs::read_dir(format!("/proc/{pid}/fd"))?;
        Ok(entries.flatten().map(|entry| fs::read_link(entry.path())).collect())
    })?
}

/// The environment that a process was started with.
///
/// # Errors
/// The process is gone, or is not ours to look at.
pub fn environment(pid: i32) -> io::Result<Vec<u8>> {
    ask(move || fs::read(format!("/proc/{pid}/environ")))?
}

/// Starts a program that may write where it likes.
///
/// # Errors
/// What the system says.
///
/// # Panics
/// Outside of a runtime, as [`Command::spawn`].
pub fn start(mut command: Command) -> io::Result<Child> {
    let runtime = Handle::current();
    ask(move || {
        let _entered = runtime.enter();
        command.spawn()
    })?
}

/// Does `work` on a new thread that nothing is forbidden yet, and waits: it does what it must, confines itself, and does
/// the rest.
///
/// # Errors
/// No thread is to be had.
pub fn afresh<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let thread = ask(move || thread::Builder::new().name("afresh".to_owned()).spawn(work))??;
    Ok(thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
}

/// The same for work that waits for others. Dropped, it is broken off as any future is.
///
/// # Errors
/// No thread is to be had.
pub async fn alone<T, Work>(work: impl FnOnce() -> Work + Send + 'static) -> io::Result<T>
where
    T: Send + 'static,
    Work: Future<Output = T>,
{
    let (mut tell, told) = oneshot::channel();
    let act = move || {
        let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(1).build()?;
        runtime.block_on(async move {
            tokio::select! {
                biased;
                () = tell.closed() => {}
                done = work() => drop(tell.send(done)),
            }
        });
        Ok(())
    };
    let thread = ask(move || thread::Builder::new().name("alone".to_owned()).spawn(act))??;
    let mut alone = Alone { told, thread: Some(thread) };
    match (&mut alone.told).await {
        Ok(done) => Ok(done),
        Err(_) => match alone.thread.take().map(JoinHandle::join) {
            Some(Ok(Err(error))) => Err(error),
            Some(Err(panic)) => resume_unwind(panic),
            Some(Ok(Ok(()))) | None => Err(io::ErrorKind::BrokenPipe.into()),
        },
    }
}

/// A thread at work for us.
struct Alone<T> {
    told: oneshot::Receiver<T>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl<T> Drop for Alone<T> {
    fn drop(&mut self) {
        // Then it stops at the next thing that it waits for, and ends what it has started.
        self.told.close();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
