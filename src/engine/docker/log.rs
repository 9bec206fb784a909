//! What dockerd said about a reload that it did not take.
//!
//! The API tells nothing of a rejected reload; only the log does, which is a file or the journal.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::api::Info;
use super::discover::Process;
use super::edit::Document;
use crate::engine::LogSource;

/// The journal may be slow on a busy disk, and this is only an explanation.
const DEADLINE: Duration = Duration::from_secs(3);

/// A few reloads log some kibibytes.
const TAIL_BYTES: u64 = 64 << 10;

/// More characters do not help a reader.
const LINE_CHARACTERS: usize = 400;

/// At which levels dockerd says that it leaves a mirror.
const TALKATIVE: [&str; 3] = ["info", "debug", "trace"];

/// Where journald keeps its files.
const JOURNALS: [&str; 2] = ["/var/log/journal", "/run/log/journal"];

/// Where dockerd's log can be followed, and would tell of pulls.
pub(super) fn source(process: Option<&Process>, document: &Document<'_>, info: &Info) -> LogSource {
    let Some(process) = process else {
        let why = "which process is dockerd cannot be told; hint: `socket` in [engine.docker] must be its own and not that of a program in between; where several run, `pid_file` names the one";
        return LogSource::Unreadable(why.to_owned());
    };
    // Whoever debugs says everything, whatever the level.
    if let Some(level) = level(process, document).filter(|_| !info.debug)
        && !TALKATIVE.contains(&&*level)
    {
        let detail = "at this log-level dockerd does not say which mirror a pull left; it does at info";
        return LogSource::Unreadable(format!("log-level {level}: {detail}"));
    }
    if let Some(file) = process.log_file() {
        return match File::open(&file) {
            Ok(_) => LogSource::File(file),
            Err(error) => LogSource::Unreadable(format!("{}: open: {error}", file.display())),
        };
    }
    match process.unit().filter(|_| process.logs_into_a_socket() != Some(false)) {
        Some(unit) if JOURNALS.iter().any(|journal| Path::new(journal).is_dir()) => {
            LogSource::Journal { unit, user: process.is_of_a_user().then(|| process.user()).flatten() }
        }
        Some(_) => LogSource::Unreadable(format!("{}: there is no journal", JOURNALS.join(", "))),
        None => {
            let detail = "dockerd logs neither into the journal nor into a file";
            LogSource::Unreadable(format!("/proc/{}/fd/2: {detail}", process.pid()))
        }
    }
}

/// The level at which dockerd logs, where that was said: by its command line, or in its file. A reload does not change it.
fn level(process: &Process, document: &Document<'_>) -> Option<String> {
    let said = process.log_level().map(str::to_owned);
    let said = said.or_else(|| document.get("log-level")?.as_str().map(str::to_owned));
    said.map(|level| level.to_ascii_lowercase()).filter(|level| !level.is_empty())
}

/// A place in dockerd's log, from which on is listened.
#[derive(Debug)]
pub(super) enum Mark {
    File { path: PathBuf, from: u64 },
    Journal { pid: i32 },
    Nowhere,
}

impl Mark {
    /// Here, now.
    pub(super) fn set(process: Option<&Process>) -> Self {
        let Some(process) = process else { return Self::Nowhere };
        let file = process.log_file();
        match file.and_then(|path| fs::metadata(&path).ok().map(|metadata| (path, metadata.len()))) {
            Some((path, from)) => Self::File { path, from },
            None if process.unit().is_some() => Self::Journal { pid: process.pid() },
            None => Self::Nowhere,
        }
    }

    /// The last error that dockerd logged since the mark was set.
    pub(super) async fn complaint(&self) -> Option<String> {
        let text = match self {
            Self::File { path, from } => tail(path, *from)?,
            Self::Journal { pid } => journal(*pid).await?,
            Self::Nowhere => return None,
        };
        text.lines().rev().find_map(error_in)
    }
}

fn tail(path: &PathBuf, from: u64) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    // One that is shorter than it was has been begun anew. The last line is looked for, so the end is what counts.
    let from = if length < from { 0 } else { from };
    file.seek(SeekFrom::Start(from.max(length.saturating_sub(TAIL_BYTES)))).ok()?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

async fn journal(pid: i32) -> Option<String> {
    let mut command = Command::new("journalctl");
    // The proof is waited for 5 seconds; what is older was not about this reload.
    command.args(["--quiet", "--output=cat", "--since=-15s", "--lines=50", &format!("_PID={pid}")]);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(DEADLINE, command.output()).await.ok()?.ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The message of a line such as `time="…" level=error msg="invalid mirror: …"`.
fn error_in(line: &str) -> Option<String> {
    if line.starts_with('{') {
        // `log-format: json`, since dockerd 25.
        let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).ok()?;
        let text = |key: &str| fields.get(key)?.as_str();
        return text("level").filter(|level| *level == "error").and(text("msg")).map(plain);
    }
    let (_, rest) = line.split_once("level=error")?;
    let (_, quoted) = rest.split_once("msg=")?;
    // logrus writes the message as a Go string, whose escapes are JSON's for all that occurs here.
    let message = serde_json::Deserializer::from_str(quoted).into_iter::<String>().next();
    let message = message.and_then(Result::ok).unwrap_or_else(|| quoted.to_owned());
    Some(plain(&message))
}

/// The last line that tells something, safe for a terminal.
///
/// systemctl and dockerd end with a line that only says where to look further (`See "systemctl status …"`).
pub(super) fn last_line(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let said = || text.lines().rev().map(plain).filter(|line| !line.is_empty());
    said().find(|line| !line.starts_with("See ")).or_else(|| said().next())
}

/// Without control characters, and not endless.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LINE_CHARACTERS).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Lang;
    use crate::text::detail::detail;

    #[test]
    fn the_message_of_an_error_line_is_found_and_made_safe() {
        for (line, message) in [
            (r#"time="x" level=error msg="invalid mirror: \"b\"""#, Some(r#"invalid mirror: "b""#)),
            (r#"time="x" level=error msg="a\u001b[2Jb" module=grpc"#, Some("a[2Jb")),
            ("time=x level=error msg=short", Some("short")),
            (r#"time="x" level=info msg="fine""#, None),
            (r#"{"level":"error","msg":"invalid mirror: \"b\"","time":"x"}"#, Some(r#"invalid mirror: "b""#)),
            (r#"{"level":"info","msg":"fine"}"#, None),
            ("{", None),
            ("", None),
        ] {
            assert_eq!(error_in(line).as_deref(), message, "{line}");
        }
    }

    #[test]
    fn where_dockerd_is_not_found_it_is_said_what_to_do_in_both_languages() {
        let LogSource::Unreadable(why) = source(None, &Document::parse(None).unwrap(), &Info::default())
        else {
            panic!("nobody knows where that logs")
        };
        for lang in [Lang::En, Lang::Zh] {
            let said = detail(lang, &why);
            assert!(said.contains("`socket`") && said.contains("`pid_file`"), "{said}");
            assert_eq!(said == why, lang == Lang::En, "{said}");
        }
    }

    #[test]
    fn the_reason_is_found_behind_many_lines_and_in_a_log_that_was_begun_anew() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("log");
        let chatter = "time=\"x\" level=debug msg=\"something\"\n".repeat(10_000);
        let complaint = "time=\"x\" level=error msg=\"the reason\"\n";
        crate::file::replace(&path, format!("{chatter}{complaint}").as_bytes(), None).unwrap();
        for from in [100, u64::MAX] {
            let text = tail(&path, from).unwrap();
            assert!(text.len() as u64 <= TAIL_BYTES);
            assert_eq!(text.lines().rev().find_map(error_in).as_deref(), Some("the reason"), "{from}");
        }
    }

    #[test]
    fn the_last_line_that_is_not_blank_counts() {
        assert_eq!(last_line(b"a\n b\x07\n\n").as_deref(), Some("b"));
        assert_eq!(last_line(b"\n"), None);
    }

    #[test]
    fn a_line_that_only_says_where_to_look_hides_no_other() {
        let systemctl = "Job for docker.service failed.\nSee \"systemctl status docker.service\" and \"journalctl -xeu docker.service\" for details.\n";
        assert_eq!(last_line(systemctl.as_bytes()).as_deref(), Some("Job for docker.service failed."));
        assert_eq!(last_line(b"See you\n").as_deref(), Some("See you"));
    }
}
