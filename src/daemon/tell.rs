//! `[notify] command`: somebody else hears of every switch and every change of health.

use std::process::Stdio;
use std::time::Duration;

use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tracing::warn;

use crate::confine::outside;
use crate::status::Switch;
use crate::timestamp::Timestamp;

/// A command that takes longer is ended: the next event must not find a dozen of them waiting.
const DEADLINE: Duration = Duration::from_secs(30);

/// What the command reads on its standard input, as one JSON object.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum News {
    /// The list of an engine changed.
    Switch(Switch),
    /// All is well again, or is not any more.
    Health {
        /// When.
        at: Timestamp,
        /// Whether all is well.
        healthy: bool,
        /// What is not, in English, one line each.
        problems: Vec<String>,
    },
}

/// Runs `command` with `news` on its standard input. Whatever goes wrong is said in the log and nowhere else.
pub async fn tell(command: Vec<String>, news: News) {
    let Some((program, arguments)) = command.split_first() else { return };
    let told = tokio::time::timeout(DEADLINE, run(program, arguments, &news)).await;
    match told {
        Ok(Ok(status)) if status.success() => {}
        Ok(Ok(status)) => warn!("{program}: notify: {status}"),
        Ok(Err(error)) => warn!("{program}: notify: {error}"),
        Err(_) => warn!("{program}: notify: not done within {DEADLINE:?}, ended"),
    }
}

async fn run(program: &str, arguments: &[String], news: &News) -> std::io::Result<std::process::ExitStatus> {
    let mut json = serde_json::to_vec(news)?;
    json.push(b'\n');
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).kill_on_drop(true);
    let mut child = outside::start(command)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not care to read is no failure.
        let _ = stdin.write_all(&json).await;
    }
    child.wait().await
}
