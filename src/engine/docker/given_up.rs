//! Whether systemd has given Docker up: after too many starts that failed, it refuses every further one, and
//! `systemctl start docker` alone only fails again.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::{Instant, timeout};

use super::wake;
use crate::engine::Problem;
use crate::reason::ProblemKind;

/// An engine that is away is looked for every two seconds. systemd is asked when it goes, again after this, when
/// the starts that systemd tries by itself are over, and then ever more seldom.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// The longest between two questions.
const ASK_AT_LEAST: Duration = Duration::from_secs(60);

/// systemd answers in milliseconds, and this only makes an explanation better.
const DEADLINE: Duration = Duration::from_secs(3);

/// What systemd said last.
#[derive(Clone, Debug, Default)]
pub(super) struct Systemd(Arc<Mutex<Option<Answer>>>);

/// Whether it has given the engine up, when it said so, and how long that is believed.
#[derive(Clone, Copy, Debug)]
struct Answer {
    given_up: bool,
    at: Instant,
    believed: Duration,
}

impl Systemd {
    /// The engine is there: the next time that it is away is asked about at once.
    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// A problem that is only that nothing runs at `socket`, said more exactly where systemd has given `unit` up.
    pub(super) async fn explain(&self, problem: Problem, unit: &str, socket: &Path) -> Problem {
        let is_systemds = wake::names(socket).is_some();
        if problem.kind != ProblemKind::NotRunning || !is_systemds || !self.has_given_up(unit).await {
            return problem;
        }
        let detail = format!("{unit}: failed too often; systemd refuses to start it again (start limit hit)");
        Problem::new(ProblemKind::GivenUp, detail)
    }

    async fn has_given_up(&self, unit: &str) -> bool {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = known.filter(|answer| answer.at.elapsed() < answer.believed) {
            return answer.given_up;
        }
        let given_up = ask(unit).await.is_some_and(|shown| is_given_up(&shown));
        let believed = known.map_or(ASK_AGAIN, |answer| (answer.believed * 2).min(ASK_AT_LEAST));
        let answer = Answer { given_up, at: Instant::now(), believed };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        given_up
    }
}

/// What systemd has on the service and on the socket that starts it.
async fn ask(unit: &str) -> Option<String> {
    let socket = unit.strip_suffix(".service").unwrap_or(unit).to_owned() + ".socket";
    let mut command = Command::new("systemctl");
    command.args(["show", "--property=ActiveState,Result", unit, &socket]);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(DEADLINE, command.output()).await.ok()?.ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The service has failed, and it or its socket has hit the limit. Which of the two says so depends on the version.
fn is_given_up(shown: &str) -> bool {
    let service = shown.split("\n\n").next().unwrap_or_default();
    let failed = service.lines().any(|line| line == "ActiveState=failed");
    failed && shown.lines().any(|line| line.starts_with("Result=") && line.ends_with("start-limit-hit"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_up_is_what_failed_and_hit_the_limit() {
        // As systemd 252, 257 and 260 show a docker.service that failed four times, and one that is well.
        for (shown, expected) in [
            (
                "Result=exit-code\nActiveState=failed\n\nResult=service-start-limit-hit\nActiveState=failed\n",
                true,
            ),
            (
                "Result=start-limit-hit\nActiveState=failed\n\nResult=service-start-limit-hit\nActiveState=failed\n",
                true,
            ),
            ("Result=start-limit-hit\nActiveState=failed\n", true),
            ("Result=exit-code\nActiveState=failed\n\nResult=success\nActiveState=active\n", false),
            ("Result=success\nActiveState=inactive\n\nResult=success\nActiveState=inactive\n", false),
            (
                "Result=exit-code\nActiveState=activating\n\nResult=service-start-limit-hit\nActiveState=failed\n",
                false,
            ),
            ("", false),
        ] {
            assert_eq!(is_given_up(shown), expected, "{shown}");
        }
    }
}
