//! The log of the service: English lines on standard error, which wait for nobody.
//!
//! The service is one loop on one thread, and standard error may be a pipe whose reader has stopped, a terminal that is
//! held, a journal that hangs: a line that waited there would hold up every probe and every write to the engine. So a line
//! that finds no room is left out, and the next one that finds room says how many are missing.

use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::str::FromStr;
use std::sync::Mutex;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::{retry_on_intr, write};
use tracing::error;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::Global;

/// A pipe that has room has room for so much: `PIPE_BUF` of linux/limits.h. The same goes for a socket.
const PIECE: usize = 4096;

/// Logs are English always. Under systemd the journal has the time already.
pub(super) fn to_stderr(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) => "info",
        (false, 1) => "mirrorwatch=debug,info",
        (false, _) => "mirrorwatch=trace,debug",
    };
    let filter = Targets::from_str(level).expect("the levels are valid");
    let under_systemd = std::env::var_os("JOURNAL_STREAM").is_some();
    // Who has no descriptor to spare has no log either.
    let Ok(out) = own(&io::stderr()) else { return };
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(Mutex::new(Log::new(out)))
        // It would tell of a line that is lost on standard error, and wait there.
        .log_internal_errors(false)
        .with_ansi(super::color_of_stderr(global))
        .with_target(false);
    let registry = tracing_subscriber::registry().with(filter);
    // A second subscriber, as in a test that runs two services, is no reason to stop.
    let _ = if under_systemd {
        registry.with(layer.without_time()).try_init()
    } else {
        registry.with(layer).try_init()
    };
    // What std has for this writes to standard error and waits: a probe that dies would take the service with it.
    std::panic::set_hook(Box::new(|died| error!("{}", died.to_string().replace('\n', " "))));
}

/// `out` without the waiting, where that can be had.
///
/// The flag that makes writing not wait belongs to what was opened and not to the descriptor: set on the one that a shell
/// gave us, it would be the shell's too. A pipe or a terminal can be opened once more. A socket cannot, and where another
/// user opened the pipe we may not: there [`Log::has_room`] is all there is, and it is enough unless another process writes
/// to the same place in that very moment. Files and disks make nobody wait for a reader.
fn own(out: &impl AsFd) -> io::Result<OwnedFd> {
    let out = out.as_fd();
    let kind = FileType::from_raw_mode(fstat(out)?.st_mode);
    if matches!(kind, FileType::Fifo | FileType::CharacterDevice) {
        let path = format!("/proc/self/fd/{}", out.as_raw_fd());
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        if let Ok(opened) = open(path, flags, Mode::empty()) {
            return Ok(opened);
        }
    }
    out.try_clone_to_owned()
}

/// Takes whole lines, and waits for nobody.
struct Log<W> {
    out: W,
    /// So many lines are missing.
    lost: u64,
    /// The last of them has come to its middle.
    torn: bool,
}

impl<W: AsFd> Log<W> {
    fn new(out: W) -> Self {
        Self { out, lost: 0, torn: false }
    }

    fn line(&mut self, line: &[u8]) {
        let missing = match self.lost {
            0 => String::new(),
            lost => {
                let end = if self.torn { "\n" } else { "" };
                format!("{end}... {lost} of the lines before this one are missing: nobody took them\n")
            }
        };
        let text = [missing.as_bytes(), line].concat();
        let went = self.put(&text);
        if went >= missing.len() {
            (self.lost, self.torn) = (0, false);
        }
        if went < text.len() {
            self.lost += 1;
            self.torn |= went > 0;
        }
    }

    /// How much of it was taken.
    fn put(&self, text: &[u8]) -> usize {
        let mut went = 0;
        for piece in text.chunks(PIECE) {
            if !self.has_room() {
                break;
            }
            let taken = retry_on_intr(|| write(&self.out, piece)).unwrap_or(0);
            went += taken;
            if taken < piece.len() {
                break;
            }
        }
        went
    }

    fn has_room(&self) -> bool {
        let mut out = [PollFd::new(&self.out, PollFlags::OUT)];
        poll(&mut out, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }
}

impl<W: AsFd> Write for Log<W> {
    /// One line, always taken: an error would be told on standard error.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use rustix::fs::{fcntl_getfl, fcntl_setfl};

    use super::*;

    /// Lines of this length until some were lost; then somebody reads, and the next line is told which number is missing.
    fn holds_nobody_up(out: impl AsFd, mut reader: impl Read + AsFd, length: usize) {
        let mut read = || {
            let mut text = Vec::new();
            fcntl_setfl(&reader, fcntl_getfl(&reader).unwrap() | OFlags::NONBLOCK).unwrap();
            let end = reader.read_to_end(&mut text).unwrap_err();
            assert_eq!(end.kind(), io::ErrorKind::WouldBlock);
            String::from_utf8(text).unwrap()
        };
        let line = format!("{}\n", "x".repeat(length - 1));
        let mut log = Log::new(out);
        let mut written = 0;
        while log.lost < 3 {
            log.write_all(line.as_bytes()).unwrap();
            written += 1;
            assert!(written < 100_000, "it is never full");
        }
        let mut text = read();
        log.write_all(b"and so on\n").unwrap();
        log.write_all(b"to the end\n").unwrap();
        text += &read();
        let whole = text.lines().filter(|said| *said == line.trim_end()).count();
        let missing =
            format!("... {} of the lines before this one are missing: nobody took them", written - whole);
        let after: Vec<&str> = text.lines().skip_while(|said| !said.starts_with("...")).collect();
        assert_eq!(after, [&*missing, "and so on", "to the end"]);
    }

    #[test]
    fn who_does_not_read_holds_nobody_up_and_is_told_later_how_much_is_missing() {
        for length in [100, 3000, 6000] {
            let (reader, out) = io::pipe().unwrap();
            holds_nobody_up(own(&out).unwrap(), reader, length);
            let (reader, out) = io::pipe().unwrap();
            holds_nobody_up(out, reader, length);
            let (reader, out) = UnixStream::pair().unwrap();
            holds_nobody_up(own(&out).unwrap(), reader, length);
        }
    }

    #[test]
    fn what_others_write_to_goes_on_waiting_for_them() {
        let (_reader, theirs) = io::pipe().unwrap();
        let ours = own(&theirs).unwrap();
        assert!(fcntl_getfl(&ours).unwrap().contains(OFlags::NONBLOCK));
        assert!(!fcntl_getfl(&theirs).unwrap().contains(OFlags::NONBLOCK));
    }

    #[test]
    fn a_file_is_written_on_from_where_the_others_are() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"theirs\n").unwrap();
        Log::new(own(&file).unwrap()).write_all(b"ours\n").unwrap();
        file.write_all(b"theirs\n").unwrap();
        let mut text = String::new();
        std::io::Seek::rewind(&mut file).unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "theirs\nours\ntheirs\n");
    }

    #[test]
    fn who_is_gone_is_no_obstacle() {
        let (reader, out) = io::pipe().unwrap();
        let mut log = Log::new(own(&out).unwrap());
        drop(reader);
        log.write_all(b"a line\n").unwrap();
        assert_eq!(log.lost, 1);
    }
}
