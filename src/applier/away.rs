//! Why the applier gives no answer, as far as systemd knows: what whoever reads the log at night would ask next.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// systemd answers in milliseconds, or is not there.
const DEADLINE: Duration = Duration::from_secs(5);

/// What starts the applier, and the applier.
const UNITS: [&str; 2] = ["mirrorwatch-apply.path", "mirrorwatch-apply.service"];

/// What is wrong with the units; `None`: nothing, or nobody knows.
pub(super) async fn cause() -> Option<String> {
    let mut show = Command::new("systemctl");
    show.args(["show", "--property=Id,LoadState,ActiveState,Result"]).args(UNITS);
    let output = show.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(DEADLINE, output).await.ok()?.ok()?;
    UNITS.iter().find_map(|unit| wrong(unit, &String::from_utf8_lossy(&output.stdout)))
}

/// What is wrong with one of the units that `systemctl show` tells of.
fn wrong(unit: &str, shown: &str) -> Option<String> {
    let properties = shown.split("\n\n").find(|one| one.lines().any(|line| line == format!("Id={unit}")))?;
    let value = |key: &str| {
        let line = properties.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default()
    };
    let (load, active, result) = (value("LoadState"), value("ActiveState"), value("Result"));
    match (load, active, unit.ends_with(".path")) {
        ("loaded", "active", true) | ("loaded", "inactive", false) | ("", ..) => None,
        ("loaded", "failed", _) => Some(format!("{unit} has failed ({result})")),
        ("loaded", ..) => Some(format!("the state of {unit} is {active}")),
        _ => Some(format!("the state of {unit} is {load}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_by_name() {
        let shown = |path: &str, service: &str| {
            let blocks = [(UNITS[0], path), (UNITS[1], service)].map(|(unit, words)| {
                let words: Vec<&str> = words.split(' ').collect();
                format!("Result={}\nId={unit}\nLoadState={}\nActiveState={}\n", words[2], words[0], words[1])
            });
            let shown = blocks.join("\n");
            UNITS.iter().find_map(|unit| wrong(unit, &shown))
        };
        let well = "loaded active success";
        let idle = "loaded inactive success";
        assert_eq!(shown(well, idle), None);
        let told = |words: &str| Some(words.to_owned());
        assert_eq!(
            shown("loaded failed start-limit-hit", idle),
            told("mirrorwatch-apply.path has failed (start-limit-hit)")
        );
        assert_eq!(shown(idle, idle), told("the state of mirrorwatch-apply.path is inactive"));
        assert_eq!(
            shown("masked inactive success", idle),
            told("the state of mirrorwatch-apply.path is masked")
        );
        assert_eq!(
            shown(well, "not-found inactive success"),
            told("the state of mirrorwatch-apply.service is not-found")
        );
        assert_eq!(
            shown(well, "loaded failed exit-code"),
            told("mirrorwatch-apply.service has failed (exit-code)")
        );
        assert_eq!(
            shown(well, "loaded activating success"),
            told("the state of mirrorwatch-apply.service is activating")
        );
        assert_eq!(wrong(UNITS[0], ""), None, "no systemd");
    }
}
