//! dockerd's log as it grows: the journal through `journalctl`, or the file that it writes to.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::pin::pin;
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::inotify;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::net::unix::pipe::Receiver;
use tokio::process::Command;
use tokio::sync::mpsc::Sender;
use tokio::time::sleep;

use super::spare::{Stirred, spare};
use super::{Log, line};

/// A line longer than this is cut; what would follow says no more.
const LINE_BYTES: usize = 16 << 10;

/// More than this was written while nobody here ran: the newest of it tells of the pulls that still matter.
const BACKLOG: u64 = 1 << 20;

/// What is read of a file at once.
const PIECE: usize = 32 << 10;

/// After something was read, the rest of what is being written is waited for: a dockerd that debugs logs a
/// hundred lines a second, and each would wake us.
const PAUSE: Duration = Duration::from_millis(100);

/// Sends every line that may be of interest, and says why when there are no more. `stirred` tells when the engine has
/// last done something with a mirror, or nothing where that cannot be told.
pub(super) async fn follow(log: Log, lines: Sender<String>, stirred: Stirred) -> String {
    match log {
        Log::File(path) => match file(&path, &lines).await {
            Ok(()) => String::new(),
            Err(error) => format!("{}: read: {error}", path.display()),
        },
        Log::Journal { unit, user } => loop {
            match journal(&unit, user, &lines, stirred.clone()).await {
                Ok(Some(why)) => return why,
                Ok(None) => {}
                Err(error) => return format!("journalctl: {error}"),
            }
        },
        Log::Unreadable(why) => why,
    }
}

/// The file that is open now is followed, whatever becomes of its name: dockerd goes on writing into it too.
async fn file(path: &Path, lines: &Sender<String>) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut from = file.seek(SeekFrom::End(0))?;
    let changes = Changes::of(path, inotify::WatchFlags::MODIFY)?;
    let mut line = Vec::new();
    let mut piece = vec![0; PIECE];
    loop {
        let length = file.metadata()?.len();
        // Emptied in place, as logrotate's copytruncate does.
        if length < from {
            from = 0;
            line.clear();
        } else if length - from > BACKLOG {
            from = length - BACKLOG;
            line.clear();
        }
        let read = file.read_at(&mut piece, from)?;
        if read == 0 {
            changes.next().await?;
            continue;
        }
        from += u64::try_from(read).unwrap_or(0);
        for part in piece[..read].split_inclusive(|byte| *byte == b'\n') {
            extend(&mut line, part);
            if part.ends_with(b"\n") {
                if deliver(&line, lines).await.is_err() {
                    return Ok(());
                }
                line.clear();
            }
        }
        if read < PIECE {
            sleep(PAUSE).await;
        } else {
            tokio::task::yield_now().await;
        }
    }
}

/// Tells when a file or a directory was changed, without looking at it again and again.
struct Changes {
    /// To tokio an inotify is a pipe: it becomes readable, and what is read is thrown away.
    inotify: Receiver,
}

impl Changes {
    fn of(path: &Path, how: inotify::WatchFlags) -> io::Result<Self> {
        let inotify = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?;
        inotify::add_watch(&inotify, path, how)?;
        Ok(Self { inotify: Receiver::from_owned_fd_unchecked(inotify)? })
    }

    async fn next(&self) -> io::Result<()> {
        let mut events = [0; 4096];
        loop {
            self.inotify.readable().await?;
            match self.inotify.try_read(&mut events) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done.map(drop),
            }
        }
    }
}

/// When journald has a place on the disk that it had not. What follows the journal looks only where there was one when it
/// began, and whoever makes this directory moves the journal there.
async fn moved() {
    let (above, place) = (Path::new("/var/log"), Path::new("/var/log/journal"));
    let made = inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
    if !place.is_dir()
        && let Ok(changes) = Changes::of(above, made)
    {
        while !place.is_dir() {
            if changes.next().await.is_err() {
                return std::future::pending().await;
            }
        }
        return;
    }
    std::future::pending().await
}

/// `journalctl --follow`, which knows the journal's format, its rotation and its namespaces; it ends with us. Why it has
/// ended; nothing when it is to be begun anew.
async fn journal(
    unit: &str,
    user: Option<u32>,
    lines: &Sender<String>,
    stirred: Stirred,
) -> io::Result<Option<String>> {
    let mut command = Command::new("journalctl");
    // Containers may log into the journal through dockerd, in its name; only what came from its own standard
    // error is its own word.
    command.args(["--quiet", "--follow", "--output=cat", "_TRANSPORT=stdout"]);
    // It takes a moment to begin, and a pull may come in that.
    command.args(["--no-tail", "--since=-2s"]);
    // Without this only what has the boot id of /proc counts, and where that is hidden (a machine in a container, with
    // ProtectKernelTunables) it is another's.
    command.arg("--merge");
    match user {
        Some(user) => command.args([format!("_SYSTEMD_USER_UNIT={unit}"), format!("_UID={user}")]),
        None => command.arg(format!("_SYSTEMD_UNIT={unit}")),
    };
    // Should we be killed while it is stopped, nobody would wake it; but the kernel ends a stopped process group that
    // nobody is left to wake (`setpgid(2)`: orphaned).
    command.process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn()?;
    let mut output = BufReader::new(child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?);
    let complaints = child.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut told = pin!(async {
        let mut line = Vec::new();
        while read_line(&mut output, &mut line).await? {
            if deliver(&line, lines).await.is_err() {
                return Ok(Told::Enough);
            }
        }
        io::Result::Ok(Told::All)
    });
    let mut complains = pin!(first_words(complaints));
    let mut why = None;
    let told = {
        let (mut sparing, mut moved) = (pin!(spare(child.id(), stirred)), pin!(moved()));
        loop {
            tokio::select! {
                told = &mut told => break told?,
                words = &mut complains, if why.is_none() => why = Some(words?),
                () = &mut sparing => return Ok(Some(String::new())),
                () = &mut moved => return Ok(None),
            }
        }
    };
    if matches!(told, Told::Enough) {
        return Ok(Some(String::new()));
    }
    let why = match why {
        Some(why) => why,
        None => complains.await?,
    };
    let status = child.wait().await?;
    let first = why.lines().next().unwrap_or_default();
    Ok(Some(format!("journalctl: {}", if first.is_empty() { status.to_string() } else { line::safe(first) })))
}

/// How the reading of a log ended.
enum Told {
    /// There is no more.
    All,
    /// Nobody listens any more.
    Enough,
}

/// What a program says first. The rest is read too: who warns of every damaged file would stop at a full pipe.
async fn first_words(mut said: impl AsyncRead + Unpin) -> io::Result<String> {
    let mut first = Vec::new();
    (&mut said).take(1 << 10).read_to_end(&mut first).await?;
    tokio::io::copy(&mut said, &mut tokio::io::sink()).await?;
    Ok(String::from_utf8_lossy(&first).into_owned())
}

/// The next line, cut where it is too long; false at the end.
async fn read_line(input: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut some = false;
    loop {
        let bytes = input.fill_buf().await?;
        if bytes.is_empty() {
            return Ok(some);
        }
        some = true;
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let part = &bytes[..end.unwrap_or(bytes.len())];
        extend(line, part);
        let used = end.map_or(bytes.len(), |end| end + 1);
        input.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}

/// Goes on with a line as far as it is of interest: whose answer is quoted at length in it stands at its beginning.
fn extend(line: &mut Vec<u8>, part: &[u8]) {
    let room = LINE_BYTES.saturating_sub(line.len());
    line.extend_from_slice(&part[..part.len().min(room)]);
}

/// Passes a line on if it can be of interest; an error when nobody listens any more.
async fn deliver(bytes: &[u8], lines: &Sender<String>) -> Result<(), ()> {
    if !line::may_matter(bytes) {
        return if lines.is_closed() { Err(()) } else { Ok(()) };
    }
    lines.send(String::from_utf8_lossy(bytes).into_owned()).await.map_err(|_| ())
}
