//! Would a dockerd start with this file? A file that it refuses is a time bomb: nothing happens at the
//! reload, and the next boot comes up without Docker.
//!
//! [`check`] is ours and asks for what every version from 20.10 to 29 takes. [`second_opinion`] asks dockerd
//! itself, which knows its other keys and flags, and before 28.3 knows nothing of mirrors.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::discover::Process;
use super::edit::Document;
use crate::confine::outside;
use crate::engine::Problem;
use crate::mirror::MirrorUrl;
use crate::reason::ProblemKind;

/// It takes 64 ms; one that hangs has no opinion.
const DEADLINE: Duration = Duration::from_secs(10);

/// `--validate` exists since.
const FIRST_MAJOR: u32 = 23;

/// Checks what will be written: it parses, and its list is what was wanted, each entry in the one spelling that
/// every version takes and uses as written.
///
/// # Errors
/// [`ProblemKind::ValidationFailed`]; it would be a fault of ours.
pub(super) fn check(file: &Path, after: &[u8], wanted: &[MirrorUrl]) -> Result<(), Problem> {
    let failed = |what: String| {
        let detail = format!("{}: not written: {what}", file.display());
        Problem::new(ProblemKind::ValidationFailed, detail)
    };
    let document = Document::parse(Some(after)).map_err(|error| failed(error.to_string()))?;
    let listed = document.listed().unwrap_or_default();
    let same = listed.len() == wanted.len()
        && listed.iter().zip(wanted).all(|(listed, wanted)| listed.parse().as_ref() == Ok(wanted));
    if same { Ok(()) } else { Err(failed(format!("the edit gave {listed:?}"))) }
}

/// Asks `dockerd --validate` with the running one's own flags, where its version has that.
///
/// # Errors
/// [`ProblemKind::ValidationFailed`] with what it said. That it could not be asked is no error: it is only a
/// second opinion.
pub(super) async fn second_opinion(
    version: &str,
    process: Option<&Process>,
    file: &Path,
    after: &[u8],
) -> Result<(), Problem> {
    let Some(process) = process.filter(|_| super::major(version).is_some_and(|major| major >= FIRST_MAJOR))
    else {
        return Ok(());
    };
    ask(&process.program(), &flags(process.arguments()), file, after).await
}

/// The flags without `--config-file`, whose place the candidate takes.
fn flags(arguments: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--config-file" {
            arguments.next();
        } else if !argument.starts_with("--config-file=") {
            kept.push(argument.clone());
        }
    }
    kept
}

async fn ask(program: &Path, flags: &[String], file: &Path, after: &[u8]) -> Result<(), Problem> {
    let Ok(mut candidate) = tempfile::Builder::new().prefix("mirrorwatch-").suffix(".json").tempfile() else {
        return Ok(());
    };
    if candidate.write_all(after).is_err() {
        return Ok(());
    }
    let mut command = Command::new(program);
    command.args(flags).arg("--validate").arg("--config-file").arg(candidate.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    // It is reached by a link that whoever is confined may not follow.
    let asked = async { outside::start(command)?.wait_with_output().await };
    match timeout(DEADLINE, asked).await {
        Ok(Ok(output)) if output.status.code().is_some_and(|code| code != 0) => {
            let said = super::log::last_line(&output.stderr).unwrap_or_else(|| output.status.to_string());
            let shown = said.replace(&candidate.path().display().to_string(), &file.display().to_string());
            let detail = format!("{}: not written: dockerd --validate: {shown}", file.display());
            Err(Problem::new(ProblemKind::ValidationFailed, detail))
        }
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => {
            tracing::debug!(program = %program.display(), %error, "dockerd --validate cannot be asked");
            Ok(())
        }
        Err(_) => {
            tracing::debug!(program = %program.display(), "dockerd --validate did not end");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    /// Asks a shell in dockerd's place: `$1` is `--config-file` and `$2` the candidate.
    fn ask_shell(script: &str) -> Result<(), Problem> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let file = Path::new("/etc/docker/daemon.json");
        runtime.block_on(ask(Path::new("/bin/sh"), &words(&["-c", script]), file, b"{\"a\": 1}"))
    }

    #[test]
    fn a_refusal_is_told_with_the_name_of_the_real_file() {
        let problem = ask_shell("cat $2 >&2; echo >&2; echo unable to use $2: bad >&2; exit 1").unwrap_err();
        assert_eq!(problem.kind, ProblemKind::ValidationFailed);
        let said = "/etc/docker/daemon.json: not written: dockerd --validate: unable to use /etc/docker/daemon.json: bad";
        assert_eq!(problem.detail, said);
    }

    #[test]
    fn it_sees_the_bytes_that_would_be_written() {
        assert_eq!(ask_shell("test \"$(cat $2)\" = '{\"a\": 1}'"), Ok(()));
    }

    #[test]
    fn one_that_cannot_be_asked_has_no_opinion() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let nobody = ask(Path::new("/nowhere/dockerd"), &[], Path::new("/f"), b"{}");
        assert_eq!(runtime.block_on(nobody), Ok(()));
        assert_eq!(ask_shell("kill -KILL $$"), Ok(()));
    }

    #[test]
    fn the_candidate_takes_the_place_of_the_running_file() {
        let given = words(&["--debug", "--config-file", "/a", "-H", "fd://", "--config-file=/b"]);
        assert_eq!(flags(&given), ["--debug", "-H", "fd://"]);
    }

    #[test]
    fn an_edit_that_went_wrong_is_not_written() {
        let wanted: Vec<MirrorUrl> = vec!["https://a.example".parse().unwrap()];
        let file = Path::new("/f");
        for (after, good) in [
            (r#"{"registry-mirrors": ["https://a.example"]}"#, true),
            (r#"{"registry-mirrors": ["https://a.example/"]}"#, true),
            (r#"{"registry-mirrors": ["https://b.example"]}"#, false),
            (r#"{"registry-mirrors": []}"#, false),
            (r#"{"registry-mirrors": ["https://a.example"]"#, false),
        ] {
            assert_eq!(check(file, after.as_bytes(), &wanted).is_ok(), good, "{after}");
        }
    }
}
