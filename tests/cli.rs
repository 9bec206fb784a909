//! The binary as people and scripts meet it: help, exit codes, streams, languages.
#![expect(clippy::disallowed_methods, reason = "a test writes what the service would have published")]
#![expect(clippy::unwrap_used, reason = "what surrounds a test may fail as loudly as the test itself")]

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use mirrorwatch::mirror::MirrorUrl;
use mirrorwatch::process::started;
use mirrorwatch::pull::{Seen, Sign};
use mirrorwatch::status::Status;
use mirrorwatch::status::read::awake_ms;
use mirrorwatch::store::Store;
use serde_json::Value;
use tempfile::TempDir;
use unicode_width::UnicodeWidthStr;

const BINARY: &str = env!("CARGO_BIN_EXE_mirrorwatch");
const FULL: &str = include_str!("status/full.json");
const COMMANDS: [&str; 15] = [
    "run",
    "status",
    "probe",
    "apply",
    "restore",
    "pause",
    "explain",
    "history",
    "resume",
    "why",
    "check",
    "add",
    "remove",
    "completions",
    "man",
];

/// A runtime directory and a state directory of one test's own.
struct Host {
    dir: TempDir,
}

impl Host {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["run", "state"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        Self { dir }
    }

    /// With a published status that says that the service is this very test, which runs.
    fn with(mut status: Value) -> Self {
        let host = Self::new();
        let pid = std::process::id();
        status["service"]["pid"] = pid.into();
        status["service"]["pid_started"] = started(pid).into();
        host.publish("run", &status);
        host
    }

    fn publish(&self, dir: &str, status: &Value) {
        std::fs::write(self.dir.path().join(dir).join("status.json"), status.to_string()).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(args).env_clear().stdin(Stdio::null());
        command.env("STATE_DIRECTORY", self.dir.path().join("state"));
        command.env("RUNTIME_DIRECTORY", self.dir.path().join("run"));
        command
    }

    fn run(&self, args: &[&str]) -> (i32, String, String) {
        said(self.command(args).output().unwrap())
    }
}

fn said(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn full() -> Value {
    serde_json::from_str(FULL).unwrap()
}

#[test]
fn every_command_has_help_in_both_languages() {
    let host = Host::new();
    for command in COMMANDS.into_iter().chain(["help"]) {
        let (code, english, errors) = host.run(&[command, "--help"]);
        assert_eq!((code, errors.as_str()), (0, ""), "{command}");
        let hint = format!("中文：mirrorwatch {command} --lang zh --help\n");
        assert!(english.starts_with(&hint) && english.contains("\nUsage: mirrorwatch"), "{english}");
        assert!(english[hint.len()..].is_ascii(), "{english}");
        let (code, chinese, _) = host.run(&[command, "--help", "--lang", "zh"]);
        assert_eq!(code, 0);
        assert!(
            chinese.starts_with(&format!("English: mirrorwatch {command} --lang en --help\n")),
            "{chinese}"
        );
        for english in ["Usage", "Options:", "Arguments:", "Commands:", "Print "] {
            assert!(!chinese.contains(english), "{english} in:\n{chinese}");
        }
        assert_eq!(host.run(&["help", command]), host.run(&[command, "--help"]));
    }
}

#[test]
fn the_help_lists_every_command_and_begins_with_the_other_language() {
    let host = Host::new();
    for (lang, first) in
        [("en", "中文：mirrorwatch --lang zh --help"), ("zh", "English: mirrorwatch --lang en --help")]
    {
        let (code, help, _) = host.run(&["--lang", lang, "--help"]);
        assert_eq!((code, help.lines().next()), (0, Some(first)));
        for command in COMMANDS {
            assert!(
                help.lines().any(|line| line.trim_start().starts_with(&format!("{command} "))),
                "{command}:\n{help}"
            );
        }
        assert!(!help.contains("\n  doctor "), "doctor is offered and does not exist yet");
    }
}

#[test]
fn a_usage_error_is_code_2_and_says_what_was_meant() {
    let host = Host::new();
    for (args, expected) in [
        (&["statsu"][..], "'status'"),
        (&["--colour", "never"], "'--color'"),
        (&["pause", "--for", "5x"], "expected a duration such as 30s, 5m, 2h"),
        (&["pause", "--for", "0s"], "must last a while"),
        (&["pause", "--for", "-1h"], "'-1h' for '--for <DURATION>': expected a duration such as 30s, 5m, 2h"),
        (&["why", "--since", "-1h"], "'-1h' for '--since <DURATION>': expected a duration"),
        (&["history", "--since", "-1h"], "'-1h' for '--since <DURATION>': expected a duration"),
        (&["restore", "--to", "-1"], "expected a number of `restore --list`"),
        (&["add", "https://a.example", "--name", "-x"], "the name begins with a dash"),
        // humantime itself panics at these.
        (&["why", "--since", "18446744073709551615s 1000000000ns"], "expected a duration"),
        (&["history", "--since", "584542046090y 19767615s 1000000000ns"], "expected a duration"),
        (&["add"], "<URL>"),
        (&["status", "--lang", "fr"], "en, zh"),
        (&["completions", "tcsh"], "bash"),
        (&["pause", "1h"], "did you mean --for 1h?"),
        (&["why", "2d"], "did you mean --since 2d?"),
        (&["probe", "--image", "ghcr.io/a/b"], "only images of Docker Hub can be asked of its mirrors"),
        (&["help", "nope"], "'nope'"),
        (&["-q", "-v"], "--quiet"),
    ] {
        let (code, data, errors) = host.run(args);
        assert_eq!((code, data.as_str()), (2, ""), "{args:?}");
        assert!(errors.contains(expected), "{args:?}: {errors}");
    }
    let (_, _, errors) = host.run(&["--lang", "zh", "pause", "--for", "-1h"]);
    assert_eq!(errors, "错误：--for <时长> 的值不正确：-1h\n提示：请写成 30s、5m、2h 这样的时长\n");
    let (code, _, errors) = host.run(&["--lang", "zh", "statsu"]);
    assert_eq!(code, 2);
    assert!(errors.starts_with("错误：没有这个命令：statsu\n"), "{errors}");
}

#[test]
fn a_healthy_service_is_code_0_and_an_unhealthy_one_1() {
    assert_eq!(Host::with(full()).run(&["status"]).0, 0);
    assert_eq!(Host::with(full()).run(&[]).0, 0, "without a command it is status");
    let mut refused = full();
    refused["engines"][0]["state"] = "refused".into();
    let (code, text, errors) = Host::with(refused).run(&["status"]);
    assert_eq!((code, errors.as_str()), (1, ""));
    assert!(text.starts_with("Not well: docker"), "{text}");
}

#[test]
fn a_service_that_is_gone_is_code_3_and_its_last_state_is_shown_with_its_age() {
    // The pid is this test's, but the process that wrote the status began at another time.
    let mut other = full();
    other["service"]["pid"] = std::process::id().into();
    other["service"]["pid_started"] = 1.into();
    for dir in ["run", "state"] {
        // systemd removes the runtime directory; the copy in the state directory is then all there is.
        let host = Host::new();
        host.publish(dir, &other);
        let (code, text, _) = host.run(&["status"]);
        assert_eq!(code, 3);
        assert!(text.starts_with("The service is not running. This is what it knew "), "{text}");
        assert!(text.contains("*  DaoCloud"), "{text}");
        let (code, json, _) = host.run(&["status", "--json"]);
        assert_eq!(code, 3);
        let status: Status = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_value(status.service.state).unwrap(), "stopped");
        assert_eq!(status.service.pid, None, "it is another process's");
    }
}

#[test]
fn a_service_that_never_ran_is_code_3_with_the_command_that_starts_it() {
    let (code, data, errors) = Host::new().run(&["status"]);
    assert_eq!((code, data.as_str()), (3, ""));
    assert!(errors.starts_with("error: the service is not running"), "{errors}");
    assert!(
        errors.contains("hint: sudo systemctl enable --now mirrorwatch, or by hand: sudo mirrorwatch run"),
        "{errors}"
    );
}

#[test]
fn a_service_that_no_longer_renews_its_status_is_code_1_and_is_not_called_well() {
    for (written, code) in [(0, 1), (awake_ms(), 0)] {
        let mut status = full();
        status["service"]["awake_ms"] = written.into();
        let host = Host::with(status);
        let (ended, text, errors) = host.run(&["status"]);
        assert_eq!((ended, errors.as_str()), (code, ""), "{text}");
        assert_eq!(
            text.starts_with("Not well: the service runs and has shown no sign of life for "),
            code == 1,
            "{text}"
        );
        assert_eq!(text.contains("then: sudo systemctl restart mirrorwatch"), code == 1, "{text}");
        let (ended, json, _) = host.run(&["status", "--json"]);
        assert_eq!(ended, code);
        let silent = serde_json::from_str::<Status>(&json).unwrap().service.silent_ms;
        assert_eq!(
            silent.is_some_and(|millis| millis.abs_diff(awake_ms()) < 60_000),
            code == 1,
            "{silent:?}"
        );
        let said = "the service runs and has shown no sign of life for ";
        for command in [&["history"][..], &["why"], &["explain", "DaoCloud"]] {
            assert_eq!(host.run(command).2.contains(said), code == 1, "{command:?}");
        }
        let (_, paused, _) = host.run(&["pause"]);
        assert_eq!(paused.contains("the service shows no sign of life now"), code == 1, "{paused}");
        let (_, resumed, _) = host.run(&["resume"]);
        assert_eq!(resumed.contains("the list is kept right again"), code == 0, "{resumed}");
    }
}

#[test]
fn a_status_of_another_shape_is_code_1_and_names_the_file() {
    for (bad, expected) in
        [("{\"schema\": 2}", "schema 2 is not 1"), ("{\"schema\": 1}", "missing field"), ("x", "line 1")]
    {
        let host = Host::new();
        std::fs::write(host.dir.path().join("run/status.json"), bad).unwrap();
        let (code, _, errors) = host.run(&["status"]);
        assert_eq!(code, 1);
        assert!(errors.contains("run/status.json: ") && errors.contains(expected), "{errors}");
    }
}

#[test]
fn a_pipe_in_place_of_the_status_holds_nobody_up() {
    for dir in ["run", "state"] {
        let host = Host::new();
        let pipe = host.dir.path().join(dir).join("status.json");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let mut command = Command::new("timeout");
        command.args(["60", BINARY, "status"]).env("STATE_DIRECTORY", host.dir.path().join("state"));
        let output = command.env("RUNTIME_DIRECTORY", host.dir.path().join("run")).output().unwrap();
        let (code, data, errors) = said(output);
        assert_eq!((code, data.as_str()), (if dir == "run" { 1 } else { 3 }, ""), "{errors}");
        assert!(errors.contains(&format!("{dir}/status.json: not a regular file")), "{errors}");
    }
}

#[test]
fn a_reader_that_hangs_up_is_success() {
    let host = Host::with(full());
    for args in [
        &["status"][..],
        &["status", "--json"],
        &["status", "--watch"],
        &["--help"],
        &["man"],
        &["completions", "bash"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = host.command(args).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(said(output), (0, String::new(), String::new()), "{args:?}");
    }
}

#[test]
fn an_output_that_takes_no_more_is_an_error() {
    let full_disk = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for args in [&["status"][..], &["--help"], &["-V"], &["man"]] {
        let full_disk = full_disk.try_clone().unwrap();
        let output = Host::with(full()).command(args).stdout(full_disk).output().unwrap();
        let (code, _, errors) = said(output);
        assert_eq!(code, 1, "{args:?}");
        assert!(errors.starts_with("error: standard output: write: "), "{errors}");
    }
    let output = Host::new().command(&["--lang", "zh", "--help"]).stdout(full_disk).output().unwrap();
    let (code, _, errors) = said(output);
    assert_eq!(code, 1);
    assert!(errors.starts_with("错误：标准输出：写入失败："), "{errors}");
}

#[test]
fn colour_is_for_terminals_unless_asked_for() {
    let mut warned = full();
    warned["service"]["config"]["valid"] = false.into();
    for (args, env, colored) in [
        (&["status"][..], &[][..], false),
        (&["status", "--color", "always"], &[], true),
        (&["--color=always", "status"], &[("NO_COLOR", "1")], true),
        (&["status", "--color", "never"], &[("CLICOLOR_FORCE", "1")], false),
        (&["status"], &[("CLICOLOR_FORCE", "1")], true),
        (&["status"], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
        (&["status", "--json", "--color", "always"], &[], false),
        (&["--help", "--color", "always"], &[], true),
        (&["--help"], &[], false),
    ] {
        let output = Host::with(warned.clone()).command(args).envs(env.iter().copied()).output().unwrap();
        let (_, text, _) = said(output);
        assert_eq!(text.contains('\u{1b}'), colored, "{args:?} {env:?}");
    }
    // Errors are coloured by the same rules, on their own stream.
    for (args, colored) in [(&["status"][..], false), (&["status", "--color", "always"], true)] {
        assert_eq!(Host::new().run(args).2.contains('\u{1b}'), colored, "{args:?}");
    }
}

#[test]
fn the_language_is_the_options_then_the_variables_then_the_locales() {
    for (args, env, chinese) in [
        (&["status"][..], &[][..], false),
        (&["status"], &[("LANG", "zh_CN.UTF-8")], true),
        (&["status"], &[("LC_ALL", "C.UTF-8"), ("LANG", "zh_CN.UTF-8")], false),
        (&["status"], &[("LC_ALL", ""), ("LC_MESSAGES", "zh_TW"), ("LANG", "en_US")], true),
        (&["status"], &[("MIRRORWATCH_LANG", "en"), ("LC_ALL", "zh_CN.UTF-8")], false),
        (&["--lang", "zh", "status"], &[("MIRRORWATCH_LANG", "en")], true),
        (&["status", "--lang=en"], &[("LANG", "zh_CN.UTF-8")], false),
    ] {
        let output = Host::new().command(args).envs(env.iter().copied()).output().unwrap();
        let (_, _, errors) = said(output);
        assert_eq!(errors.starts_with("错误："), chinese, "{args:?} {env:?}: {errors}");
    }
}

#[test]
fn quiet_leaves_the_exit_code() {
    assert_eq!(Host::with(full()).run(&["-q", "status"]), (0, String::new(), String::new()));
}

#[test]
fn foreign_text_reaches_the_terminal_as_text_only() {
    let host = Host::with(hostile(full()));
    for args in
        [&["status"][..], &["status", "--all"], &["status", "--json"], &["status", "--all", "--lang", "zh"]]
    {
        for state in ["in_place", "refused"] {
            let mut status = hostile(full());
            status["engines"][0]["state"] = state.into();
            status["engines"][0]["problem"] = format!("problem{EVIL}").into();
            status["service"]["config"]["error"] = format!("error{EVIL}").into();
            status["service"]["config"]["valid"] = false.into();
            status["service"]["network"] = "down".into();
            status["service"]["network_reason"] = format!("reason{EVIL}").into();
            host.publish("run", &status);
            let (_, text, _) = host.run(args);
            assert!(text.contains("EVIL"), "{args:?}: the text under test is not shown");
            let obeyed =
                |c: &char| (c.is_control() && *c != '\n') || ['\u{202e}', '\u{2028}', '\u{200b}'].contains(c);
            let bad = text.chars().find(obeyed);
            assert_eq!(bad, None, "{args:?}:\n{text:?}");
        }
    }
}

/// Clears the screen, sets the title, turns the text around, in both ways a terminal knows.
const EVIL: &str = "\u{1b}[2J\u{1b}]0;EVIL\u{7}\u{9b}31m\u{202e}\r\n\u{2028}\u{7f}\u{200b}";

/// The same status with every free text turned against the terminal; closed words, times and URLs are checked
/// when they are read.
fn hostile(value: Value) -> Value {
    let free = |key: &str| {
        ["name", "detail", "path", "file", "version", "why", "subject", "layer_host", "upstream", "engine"]
            .contains(&key)
    };
    match value {
        Value::Object(map) => {
            let turned = map.into_iter().map(|(key, value)| match value {
                Value::String(text) if free(&key) => (key, format!("{text}{EVIL}").into()),
                Value::Array(list)
                    if ["mirrors", "from", "to"].contains(&&*key) && list.iter().all(Value::is_string) =>
                {
                    let list = list.iter().map(|text| format!("{}{EVIL}", text.as_str().unwrap()).into());
                    (key, Value::Array(list.collect()))
                }
                value @ (Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_)
                | Value::Object(_)) => (key, hostile(value)),
            });
            Value::Object(turned.collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(hostile).collect()),
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => plain,
    }
}

#[test]
fn a_watch_prints_a_line_whenever_the_status_changes_and_ends_by_ctrl_c() {
    let host = Host::with(full());
    let mut child = host.command(&["status", "--watch", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let version = |line: String| serde_json::from_str::<Value>(&line).unwrap()["service"]["version"].clone();
    assert_eq!(version(lines.next().unwrap().unwrap()), "0.1.0");
    let mut changed = full();
    changed["service"]["version"] = "0.2.0".into();
    host.publish("run", &changed);
    assert_eq!(version(lines.next().unwrap().unwrap()), "0.2.0");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(lines.next().is_none(), "only changes are printed");
}

#[test]
fn a_pause_is_written_and_a_resume_takes_it_and_those_of_engines_away() {
    let host = Host::with(full());
    let file = host.dir.path().join("state/pause.json");
    std::fs::write(&file, r#"{"service": null, "engines": {"docker": {"until": null}}}"#).unwrap();
    let (code, answer, _) = host.run(&["pause"]);
    assert_eq!(code, 0);
    assert!(answer.starts_with("Paused until `mirrorwatch resume`"), "{answer}");
    let pause: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(
        pause,
        serde_json::json!({"service": {"until": null}, "engines": {"docker": {"until": null}}})
    );
    let (code, answer, _) = host.run(&["pause", "--for", "2h"]);
    assert_eq!(code, 0);
    let pause: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let until = pause["service"]["until"].as_str().unwrap();
    assert!(answer.starts_with("Paused for 2 h (until ") && answer.contains(&until[11..16]), "{answer}");
    assert!(answer.contains("probing goes on"), "{answer}");
    let (code, answer, _) = host.run(&["resume"]);
    assert_eq!((code, answer.as_str()), (0, "Resumed, for docker too: the list is kept right again.\n"));
    assert!(!file.exists());
    assert_eq!(host.run(&["resume"]).1, "Nothing was paused.\n");
}

#[test]
fn who_resumes_a_service_that_gave_way_is_told_what_has_it_written_at_once() {
    let mut contested = full();
    contested["engines"][0]["problem_kind"] = "contested".into();
    let host = Host::with(contested.clone());
    for (lang, said) in [("en", "another program keeps rewriting the list"), ("zh", "另一个程序反复改写列表")]
    {
        let (code, answer, _) = host.run(&["resume", "--lang", lang]);
        assert_eq!(code, 0);
        assert!(answer.contains(said) && answer.contains("sudo mirrorwatch apply"), "{answer}");
    }
    // To end a pause settles it.
    host.run(&["pause"]);
    assert_eq!(host.run(&["resume"]).1, "Resumed: the list is kept right again.\n");
    // What it last said is no news of one that has ended.
    contested["service"]["state"] = "stopped".into();
    host.publish("run", &contested);
    assert_eq!(host.run(&["resume"]).1, "Nothing was paused.\n");
}

#[test]
fn a_broken_pause_file_is_no_obstacle() {
    let host = Host::new();
    let file = host.dir.path().join("state/pause.json");
    for command in ["pause", "resume"] {
        std::fs::write(&file, "{").unwrap();
        let (code, answer, errors) = host.run(&[command]);
        assert_eq!(code, 0);
        assert!(errors.contains("pause.json: "), "{errors}");
        // A service that is started with it writes nothing.
        assert!(answer.starts_with(if command == "pause" { "Paused" } else { "Resumed" }), "{answer}");
    }
    assert!(!file.exists());
}

#[test]
fn a_pause_before_the_first_start_makes_the_directory_and_status_speaks_of_it() {
    let host = Host::new();
    std::fs::remove_dir(host.dir.path().join("state")).unwrap();
    let (code, answer, errors) = host.run(&["pause"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(answer.contains("the service is not running") && !answer.contains("goes on"), "{answer}");
    let mut gone = full();
    gone["service"]["pid"] = 1.into();
    gone["service"]["pid_started"] = 1.into();
    host.publish("state", &gone);
    let (code, text, _) = host.run(&["status"]);
    assert_eq!(code, 3);
    assert!(
        text.contains("! paused until you resume it; once started, it probes and writes nothing"),
        "{text}"
    );
    host.run(&["pause", "--for", "2h"]);
    let (_, json, _) = host.run(&["status", "--json"]);
    let status: Status = serde_json::from_str(&json).unwrap();
    assert!(status.service.paused_until.is_some());
    assert!(host.run(&["resume"]).1.contains("not running"));
}

/// A host with a mirrors.toml of its own; its mirrors are ports of this host where nobody listens.
fn configured(config: &str) -> (Host, PathBuf) {
    let host = Host::new();
    let path = host.dir.path().join("mirrors.toml");
    let none = "[engine.docker]\nenabled = false\n[select]\ncompare_upstream = false\n";
    std::fs::write(&path, format!("{none}{config}")).unwrap();
    (host, path)
}

const SHIPPED: &str = "
[[mirror]]
name = \"DaoCloud\"
url = \"http://127.0.0.1:9\"
[[mirror]]
name = \"off\"
url = \"http://127.0.0.2:9\"
enabled = false
[[mirror]]
name = \"far\"
url = \"http://127.0.0.3:9\"
group = \"world\"
enabled = false
";

#[test]
fn a_shipped_mirror_that_is_off_takes_part_once_it_is_added() {
    for (url, name) in [("http://127.0.0.2:9", "off"), ("http://127.0.0.3:9", "far")] {
        let (host, path) = configured(SHIPPED);
        let config = path.to_str().unwrap();
        let before = mirrorwatch::config::load(&path).unwrap();
        assert!(!before.mirrors.iter().any(|mirror| mirror.name == name && mirror.enabled));
        let (code, text, errors) = host.run(&["add", url, "--config", config]);
        assert_eq!(code, 0, "{errors}");
        assert!(text.contains(&format!("{name} switched on again in ")), "{text}");
        let after = mirrorwatch::config::load(&path).unwrap();
        assert!(after.mirrors.iter().any(|mirror| mirror.name == name && mirror.enabled), "{name}");
        let (code, _, errors) = host.run(&["add", url, "--config", config]);
        assert_eq!(code, 1);
        assert!(errors.contains(&format!("{name} is there already: {config}:")), "{errors}");
    }
}

#[test]
fn a_name_given_to_one_that_is_off_is_said_to_be_in_vain_and_one_of_another_is_no_riddle() {
    let (host, path) = configured(SHIPPED);
    let config = path.to_str().unwrap();
    let add = |lang: &str, url: &str, name: &str| {
        host.run(&["add", url, "--name", name, "--config", config, "--lang", lang])
    };
    for (lang, said) in [
        (
            "en",
            "hint: that is http://127.0.0.2:9, which is switched off; to switch it on: mirrorwatch add http://127.0.0.2:9;",
        ),
        ("zh", "提示：该名称属于已停用的 http://127.0.0.2:9；要启用它：mirrorwatch add http://127.0.0.2:9；"),
    ] {
        let (code, _, errors) = add(lang, "http://127.0.0.4:9", "off");
        assert!(code == 1 && errors.contains(said), "{errors}");
    }
    for (lang, said) in [
        ("en", "hint: that is http://127.0.0.1:9; another name is given with --name"),
        ("zh", "提示：该名称属于 http://127.0.0.1:9；请用 --name 指定其他名称"),
    ] {
        let (code, _, errors) = add(lang, "http://127.0.0.4:9", "DaoCloud");
        assert!(code == 1 && errors.contains(said), "{errors}");
    }
    for (lang, url, name, said) in [
        ("en", "http://127.0.0.2:9", "off", "it keeps the name it has, off, and is not called mine: "),
        ("zh", "http://127.0.0.3:9", "far", "保留原有名称 far，未改为 mine；如需改名，请编辑 "),
    ] {
        let (code, _, errors) = add(lang, url, "mine");
        assert!(code == 0 && errors.contains(said), "{errors}");
        let after = mirrorwatch::config::load(&path).unwrap();
        assert!(after.mirrors.iter().any(|mirror| mirror.name == name && mirror.enabled), "{name}");
    }
}

#[test]
fn what_a_later_file_keeps_out_is_not_said_to_be_added() {
    let (host, path) = configured(SHIPPED);
    let directory = host.dir.path().join("mirrors.d");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join("zz.toml"), "[[mirror]]\nname = \"off\"\nenabled = false\n").unwrap();
    let (code, text, errors) = host.run(&["add", "http://127.0.0.2:9", "--config", path.to_str().unwrap()]);
    assert_eq!((code, text.as_str()), (1, ""));
    assert!(errors.contains("off would stay switched off") && errors.contains("hint: "), "{errors}");
    assert!(!directory.join("local.toml").exists());
}

#[test]
fn a_name_that_no_mirror_can_have_is_a_usage_error_and_nothing_is_written() {
    let (host, path) = configured(SHIPPED);
    for (name, why) in [("-x", "begins with a dash"), ("", "the name is empty"), ("a ", "with a blank")] {
        let name = format!("--name={name}");
        let args = ["add", "http://127.0.0.4:9", &name, "--config", path.to_str().unwrap()];
        let (code, _, errors) = host.run(&args);
        assert_eq!(code, 2);
        assert!(errors.contains(why), "{errors}");
    }
    assert!(!host.dir.path().join("mirrors.d/local.toml").exists());
}

#[test]
fn a_second_removal_says_so_and_writes_nothing() {
    let (host, path) = configured(SHIPPED);
    let args = ["remove", "DaoCloud", "--config", path.to_str().unwrap()];
    let (code, text, _) = host.run(&args);
    assert_eq!(code, 0);
    let file = host.dir.path().join("mirrors.d/local.toml");
    let expected = format!("DaoCloud switched off in {}: it stands in {}:7", file.display(), args[3]);
    assert!(text.starts_with(&expected), "{text}");
    let inode = std::os::unix::fs::MetadataExt::ino(&file.metadata().unwrap());
    let (code, text, _) = host.run(&args);
    let at = format!("(enabled = false, {}:7)", file.display());
    assert_eq!((code, text), (0, format!("DaoCloud is switched off already {at}; nothing was changed\n")));
    assert_eq!(std::os::unix::fs::MetadataExt::ino(&file.metadata().unwrap()), inode);
    // An upgrade that drops the mirror leaves a configuration that is still valid.
    std::fs::write(&path, "[[mirror]]\nname = \"other\"\nurl = \"http://127.0.0.4:9\"\n").unwrap();
    assert_eq!(mirrorwatch::config::load(&path).map(|config| config.mirrors.len()), Ok(2));
}

#[test]
fn a_host_that_is_closed_is_warned_of_when_it_is_asked_for() {
    let (host, path) = configured(SHIPPED);
    let config = path.to_str().unwrap();
    let args = ["probe", "http://hub-mirror.c.163.com:9", "--depth", "connect", "--config", config];
    let (_, _, errors) = host.run(&args);
    assert!(errors.contains("hub-mirror.c.163.com is closed") && errors.contains("2024-06-13"), "{errors}");
}

#[test]
fn the_table_of_one_round_has_no_ages() {
    let (host, path) = configured(SHIPPED);
    let config = path.to_str().unwrap();
    for lang in ["en", "zh"] {
        let (code, table, errors) = host.run(&["probe", "DaoCloud", "--config", config, "--lang", lang]);
        assert_eq!(code, 1);
        for wrong in ["for 0 s", "0 s", "24 H", "SEEN", "已 0", "近 24", "上次探测"] {
            assert!(!table.contains(wrong), "{wrong}:\n{table}");
        }
        let (said, why) = if lang == "en" {
            ("nobody who was asked", "connection refused")
        } else {
            ("本机网络", "连接被拒绝")
        };
        assert!(errors.contains(said) && table.contains(why), "{errors}{table}");
    }
}

#[test]
fn a_name_that_nobody_has_is_met_with_the_one_that_was_meant() {
    let (host, path) = configured(SHIPPED);
    let config = path.to_str().unwrap();
    for (args, code) in
        [(["probe", "daocloud"], 2), (["remove", "DaoClod"], 1), (["probe", "127.0.0.1:9"], 2)]
    {
        let (ended, _, errors) = host.run(&[&args[..], &["--config", config]].concat());
        assert_eq!(ended, code, "{errors}");
        assert!(errors.contains("hint: did you mean DaoCloud?") && errors.contains(config), "{errors}");
    }
    let (_, _, errors) = host.run(&["probe", "zzzzzz", "--config", config]);
    assert!(errors.contains(&format!("hint: every name is in {config}")), "{errors}");
}

#[test]
fn check_names_its_file_in_the_hint_and_says_what_is_not_there() {
    let (host, path) = configured("[probe]\ntimeout = 1\n");
    let bad = path.to_str().unwrap();
    let (code, _, errors) = host.run(&["check", bad]);
    assert_eq!(code, 78);
    assert!(errors.contains(&format!("mirrorwatch check {bad}\n")), "{errors}");
    let (_, _, errors) = host.run(&["check", bad, "--lang", "zh", "--color", "always"]);
    let plain = anstream::adapter::strip_str(&errors).to_string();
    assert!(plain.starts_with("错误：") && !plain.contains("错误: ") && !plain.contains("提示: "), "{plain}");
    let none = host.dir.path().join("none.toml");
    let (code, _, errors) = host.run(&["check", none.to_str().unwrap()]);
    assert_eq!(code, 78);
    assert!(errors.starts_with(&format!("error: {}: no such file\nhint: ", none.display())), "{errors}");
    assert!(!errors.contains("invalid"), "{errors}");
}

#[test]
fn quiet_leaves_warnings_out() {
    let (host, path) = configured("[[mirror]]\nname = \"a\"\nurl = \"https://ghcr.io\"\n");
    let file = path.to_str().unwrap();
    let (code, text, errors) = host.run(&["check", file]);
    assert_eq!(code, 0);
    assert!(errors.contains("warning: ghcr.io is not a mirror"), "{errors}");
    assert!(text.ends_with("valid; 1 mirror, 1 takes part\n"), "{text}");
    assert_eq!(host.run(&["-q", "check", file]), (0, String::new(), String::new()));
}

#[test]
fn a_configuration_that_is_invalid_is_what_status_says_whoever_runs() {
    let (_configured, path) = configured("[probe]\ntimeout = 1\n");
    let config = ["--config", path.to_str().unwrap()];
    let mut gone = full();
    gone["service"]["pid_started"] = 1.into();
    let stopped = Host::new();
    stopped.publish("state", &gone);
    for (host, never) in [(Host::with(full()), false), (stopped, false), (Host::new(), true)] {
        let (code, text, errors) = host.run(&[&["status"][..], &config].concat());
        assert_eq!(code, 1, "{text}{errors}");
        let said = if never { errors } else { text };
        assert!(said.contains(&format!("{}:6:11: ", config[1])), "{said}");
        assert!(said.contains(&format!("mirrorwatch check {}", config[1])), "{said}");
    }
}

#[test]
fn a_usage_error_in_chinese_is_chinese() {
    let host = Host::new();
    for (args, said) in [
        (&["statsu"][..], "提示：是不是想写 status？"),
        (&["--colour", "never"], "提示：是不是想写 --color？"),
        (&["add"], "错误：缺少：<URL>"),
        (&["-q", "-v"], "错误：--quiet 与 --verbose 不能同时使用"),
        (&["add", "https://a", "--name"], "错误：--name <名称> 缺少值"),
        (&["pause", "1h"], "错误：多余的参数：1h\n提示：是不是想写 --for 1h？"),
        (&["pause", "--for", "5x"], "提示：请写成 30s、5m、2h 这样的时长"),
        (&["status", "--lang", "fr", "--lang", "zh"], "提示：可用的值：en, zh"),
        (&["probe", "--image", "UPPER"], "提示：不是合法的镜像名，请写成 library/busybox:latest 这样\n"),
        (&["probe", "--image", "ghcr.io/a/b"], "提示：只能向 Docker Hub 的镜像源请求 Docker Hub 上的镜像\n"),
        (&["probe", "--image", "busybox@sha256:00"], "提示：这里要写标签，不能写摘要\n"),
        (&["probe", "--image", ":latest"], "提示：没有写出镜像名，请写成 library/busybox:latest 这样\n"),
    ] {
        let (code, _, errors) = host.run(&[&["--lang", "zh"], args].concat());
        assert_eq!(code, 2, "{errors}");
        assert!(errors.starts_with("错误：") && errors.contains(said), "{args:?}: {errors}");
        for english in ["error", "tip", "Usage", "For more"] {
            assert!(!errors.contains(english), "{args:?}: {errors}");
        }
    }
}

#[test]
fn not_permitted_is_code_4_with_the_command_to_type_instead() {
    let host = Host::new();
    let open = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    open(host.dir.path(), 0o755);
    open(&host.dir.path().join("state"), 0o555);
    let mut command = host.command(&["pause", "--for", "2h"]);
    if rustix::process::geteuid().is_root() {
        // To root every directory is writable; nobody may not even see where the test was built.
        let copy = host.dir.path().join("mirrorwatch");
        // Copied by another process: one of ours would hold it open for writing in every child that other tests
        // start meanwhile, and such a file cannot be run.
        assert!(Command::new("cp").arg(BINARY).arg(&copy).status().unwrap().success());
        command = Command::new(copy);
        command
            .args(["pause", "--for", "2h"])
            .env_clear()
            .env("STATE_DIRECTORY", host.dir.path().join("state"));
        command.uid(65534).gid(65534);
    }
    let program = command.get_program().to_str().unwrap().to_owned();
    let (code, _, errors) = said(command.stdin(Stdio::null()).output().unwrap());
    assert_eq!(code, 4, "{errors}");
    assert!(errors.contains("state/pause.json: permission denied\n"), "{errors}");
    // sudo hands no environment on.
    let state = host.dir.path().join("state");
    let again = format!("hint: type: sudo {program} --state-dir {}", state.display());
    assert!(errors.contains(&again) && errors.ends_with(" pause --for 2h\n"), "{errors}");
}

#[test]
fn root_is_not_told_to_type_sudo() {
    // Nobody makes a directory there, root neither.
    let mut command = Command::new(BINARY);
    command.args(["--state-dir", "/dev/pts/mirrorwatch", "pause"]).env_clear();
    let (code, _, errors) = said(command.stdin(Stdio::null()).output().unwrap());
    assert_eq!(code, 4, "{errors}");
    let root = rustix::process::geteuid().is_root();
    assert_eq!((errors.contains("type: sudo"), errors.contains("root itself")), (!root, root), "{errors}");
}

#[test]
fn completions_know_every_command_and_bash_understands_them() {
    let host = Host::new();
    for (shell, mark) in
        [("bash", "complete -F"), ("zsh", "#compdef mirrorwatch"), ("fish", "complete -c mirrorwatch")]
    {
        let (code, script, _) = host.run(&["completions", shell]);
        assert_eq!(code, 0);
        assert!(script.contains(mark), "{shell}");
        for word in COMMANDS.into_iter().chain(["dry-run", "depth"]) {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let file = host.dir.path().join("completions.bash");
    std::fs::write(&file, host.run(&["completions", "bash"]).1).unwrap();
    let checked = Command::new("bash").arg("-n").arg(&file).output().unwrap();
    assert_eq!(said(checked), (0, String::new(), String::new()));
    // And it offers the names of mirrors where a mirror is named, and nowhere else.
    let (_configured, path) = configured(SHIPPED);
    let offered = |words: &str| {
        let script = format!(
            "source {}; COMP_WORDS=(mirrorwatch {words}); COMP_CWORD=2; _mirrorwatch_names mirrorwatch \"${{COMP_WORDS[2]}}\" x; echo \"${{COMPREPLY[@]}}\"",
            file.display()
        );
        let output = Command::new("bash").args(["-c", &script]).env("MIRRORWATCH_CONFIG", &path).output();
        said(output.unwrap()).1
    };
    assert_eq!(offered("explain Dao"), "DaoCloud\n");
    assert_eq!(offered("check Dao"), "\n");
    assert_eq!(offered("help expl"), "explain\n");
}

#[test]
fn the_man_page_has_every_command_and_exit_code_in_both_languages() {
    let host = Host::new();
    for (lang, headings) in [("en", ["SYNOPSIS", "EXIT STATUS"]), ("zh", ["概要", "退出码"])] {
        let (code, page, _) = host.run(&["man", "--lang", lang]);
        assert_eq!(code, 0);
        assert!(page.starts_with(".TH MIRRORWATCH 1 "), "{page}");
        for command in COMMANDS {
            assert!(page.contains(&format!(".SS {command}\n")), "{command}");
        }
        for heading in headings {
            let line = if heading.contains(' ') {
                format!(".SH \"{heading}\"\n")
            } else {
                format!(".SH {heading}\n")
            };
            assert!(page.contains(&line), "{line}");
        }
        assert!(page.contains("\\fB78\\fR"));
    }
}

#[test]
fn a_watch_without_a_terminal_prints_whole_tables() {
    let host = Host::with(full());
    let mut child = host.command(&["status", "--watch"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut text = vec![0; host.run(&["status"]).1.len() / 2];
    stdout.read_exact(&mut text).unwrap();
    let text = String::from_utf8_lossy(&text);
    assert!(text.starts_with("All is well") && !text.contains('\u{1b}'), "{text}");
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_line_of_the_help_is_no_wider_than_the_terminal_in_chinese_either() {
    let host = Host::new();
    for command in COMMANDS {
        let output =
            host.command(&[command, "--help", "--lang", "zh"]).env("COLUMNS", "72").output().unwrap();
        let (_, help, _) = said(output);
        // What has no place to break at may stand out: JSON, and a command to copy.
        let wide = help.lines().find(|line| line.width() > 72 && !line.contains(['{', '>', '"']));
        assert_eq!(wide, None, "{command}:\n{help}");
        assert!(!help.contains("[OPTIONS]") && !help.contains("possible values"), "{help}");
    }
}

#[test]
fn a_database_that_cannot_be_read_is_no_silence() {
    let host = Host::with(full());
    std::fs::write(host.dir.path().join("state/state.db"), vec![b'x'; 4096]).unwrap();
    for args in [&["why"][..], &["why", "--json"], &["history"], &["explain", "DaoCloud"]] {
        let (code, data, errors) = host.run(args);
        assert_eq!((code, data.as_str()), (1, ""), "{args:?}: {errors}");
        assert!(errors.contains("state.db: the database is damaged"), "{errors}");
        assert!(errors.contains("hint: the service sets it aside"), "{errors}");
    }
}

#[test]
fn a_command_that_sets_a_database_aside_says_so() {
    let (host, path) = configured(SHIPPED);
    std::fs::write(host.dir.path().join("state/state.db"), vec![b'x'; 4096]).unwrap();
    let config = path.to_str().unwrap();
    let args = ["probe", "DaoCloud", "--depth", "connect", "--config", config];
    let (_, _, errors) = host.run(&args);
    let said = "state.db: the database is damaged (file is not a database); kept as ";
    assert!(errors.contains(said) && errors.contains("state.db.damaged-"), "{errors}");
    let (_, _, errors) = host.run(&args);
    assert!(!errors.contains("state.db"), "{errors}");
}

#[test]
fn why_a_command_fails_is_told_in_chinese_too() {
    let (host, path) = configured(
        "[probe]\nca_file = \"/nonexistent/ca.pem\"\n[[mirror]]\nname = \"a\"\nurl = \"http://127.0.0.2:9\"\n",
    );
    let config = path.to_str().unwrap();
    std::fs::create_dir(host.dir.path().join("state/pause.json")).unwrap();
    std::fs::create_dir(host.dir.path().join("run/status.json")).unwrap();
    for (args, expected) in [
        (&["pause"][..], "state/pause.json：不是普通文件"),
        (&["status"], "run/status.json：不是普通文件"),
        (&["probe", "a"], "/nonexistent/ca.pem：无法读取 PEM 证书："),
        (&["run"], "/nonexistent/ca.pem：无法读取 PEM 证书："),
        (&["run", "--state-dir", "/dev/null"], "/dev/null：无法写入：文件已存在"),
    ] {
        let args = [args, &["--config", config, "--lang", "zh"]].concat();
        let (code, _, errors) = host.run(&args);
        assert!(code == 1 && errors.contains(expected) && !errors.contains("hint"), "{args:?}: {errors}");
    }
}

#[test]
fn what_the_engine_listed_on_its_own_can_be_removed() {
    for said in ["old.example", "https://old.example"] {
        let (host, path) = configured(SHIPPED);
        let config = path.to_str().unwrap();
        let (store, _) = Store::open(&host.dir.path().join("state"), mirrorwatch::assembly::now());
        store.set_fact("adopted", &["https://old.example"]);
        drop(store);
        let (code, text, errors) = host.run(&["remove", said, "--config", config]);
        assert_eq!((code, errors.as_str()), (0, ""));
        assert!(
            text.starts_with("old.example switched off in ") && text.contains("Docker's own list"),
            "{text}"
        );
        let is_off = || {
            let config = mirrorwatch::config::load(&path).unwrap();
            let old = config.mirrors.iter().find(|mirror| mirror.name == "old.example").unwrap().clone();
            !old.enabled && old.url.as_str() == "https://old.example"
        };
        assert!(is_off());
        let local = path.with_file_name("mirrors.d").join("local.toml");
        let written = std::fs::read_to_string(&local).unwrap();
        let (code, text, errors) = host.run(&["remove", said, "--config", config]);
        assert_eq!((code, errors.as_str()), (0, ""));
        let at = format!("(enabled = false, {}:", local.display());
        assert!(
            text.starts_with(&format!("old.example is switched off already {at}"))
                && text.ends_with("; nothing was changed\n"),
            "{text}"
        );
        assert_eq!(std::fs::read_to_string(&local).unwrap(), written, "twice does not switch it on again");
        // Without the entry it would be on, as Docker's own list has it.
        std::fs::write(&local, written.replace("enabled = false", "enabled = true")).unwrap();
        let (code, text, _) = host.run(&["remove", said, "--config", config]);
        assert!(code == 0 && text.contains("Docker's own list") && is_off(), "{text}");
    }
}

#[test]
fn what_was_asked_and_is_no_candidate_has_a_history_by_its_url() {
    let (host, path) = configured(SHIPPED);
    let config = path.to_str().unwrap();
    let url = "http://127.0.0.9:9";
    host.run(&["probe", url, "--depth", "connect", "--config", config]);
    let (code, text, errors) = host.run(&["history", url, "--config", config]);
    assert!(code == 0 && text.contains(url) && text.contains("connection refused"), "{text}{errors}");
    assert_eq!(host.run(&["history", "http://127.0.0.8:9", "--config", config]).0, 2, "nobody asked it");
}

#[test]
fn what_a_pull_went_through_is_told_in_units_that_fit_and_on_a_narrow_terminal_too() {
    let host = Host::with(full());
    let now = mirrorwatch::assembly::now();
    let (store, _) = Store::open(&host.dir.path().join("state"), now);
    let url: MirrorUrl = "https://docker.m.daocloud.io".parse().unwrap();
    let crawling = Seen::Crawling { url: url.clone(), bytes_per_second: 20_480.0 };
    let served = Seen::Served { url, bytes: 3_140, bytes_per_second: Some(5_200_000.0) };
    for seen in [crawling, served] {
        store.save_sign(&Sign { at: now, seen });
    }
    drop(store);
    let (code, text, _) = host.run(&["why"]);
    assert_eq!(code, 0);
    for expected in ["20 kB/s  crawls", "3 kB  5.2 MB/s  served"] {
        assert!(text.contains(expected), "{text}");
    }
    let output = host.command(&["why"]).env("COLUMNS", "40").output().unwrap();
    let (_, text, _) = said(output);
    assert!(text.contains("WHAT HAPPENED") && text.contains("crawls"), "{text}");
    assert!(text.lines().all(|line| line.width() <= 40), "{text}");
}

#[test]
fn who_asks_for_what_was_recorded_hears_that_the_service_cannot_record() {
    let lost = "/var/lib/mirrorwatch/state.db: no space left on the device; records are kept in memory until it can be \
                written";
    let mut status = full();
    status["service"]["notices"] = serde_json::json!([{"kind": "setback", "detail": lost}]);
    let host = Host::with(status);
    for command in [&["history"][..], &["why"], &["explain", "DaoCloud"]] {
        let (_, text, errors) = host.run(command);
        assert!(errors.contains(lost), "{command:?}: {errors}");
        assert!(!text.contains("not been rehearsed"), "it is live: {text}");
        let (_, _, errors) = host.run(&[command, &["--lang", "zh"]].concat());
        assert!(errors.contains("记录仅保存在内存中"), "{command:?}: {errors}");
    }
}

#[test]
fn a_mirror_that_connects_is_told_from_one_that_does_not_by_a_round_that_only_connects() {
    let (host, path) = configured(SHIPPED);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let args = ["probe", &url, "--depth", "connect", "--config", path.to_str().unwrap()];
    for (lang, said) in [("en", "connects; nothing more was asked"), ("zh", "可以连接；没有进一步探测")]
    {
        let (code, table, errors) = host.run(&[&args[..], &["--lang", lang]].concat());
        assert!(code == 0 && table.contains(said), "{code}: {table}{errors}");
    }
}

#[test]
fn a_status_without_a_service_shows_the_pauses_of_engines_as_they_are_now() {
    let mut status = full();
    status["service"]["state"] = "stopped".into();
    status["engines"][0]["paused"] = serde_json::json!({"until": null});
    let host = Host::new();
    host.publish("state", &status);
    let paused = || host.run(&["status"]).1.contains("docker is paused until you resume it");
    assert!(!paused(), "it was resumed since");
    let pause = r#"{"service": null, "engines": {"docker": {"until": null}}}"#;
    std::fs::write(host.dir.path().join("state/pause.json"), pause).unwrap();
    assert!(paused());
    status["engines"][0]["paused"] = Value::Null;
    host.publish("state", &status);
    assert!(paused(), "it was restored since");
}

#[test]
fn a_mirror_that_is_off_is_explained_with_the_line_that_keeps_it_out() {
    let (host, path) =
        configured(&SHIPPED.replace("group = \"world\"\nenabled = false", "group = \"world\""));
    let config = path.to_str().unwrap();
    for (name, expected) in [
        ("off", format!("  enabled = false, {config}:12\n")),
        ("far", "  its group world is not in groups of [select] (by default: cn, own)\n".to_owned()),
    ] {
        let (code, text, errors) = host.run(&["explain", name, "--config", config]);
        assert_eq!(code, 0, "{errors}");
        assert!(text.contains(&expected), "{text}");
        assert!(text.contains("  to switch it on: sudo mirrorwatch add http://127.0.0."), "{text}");
    }
}

#[test]
fn a_mirror_goes_by_the_name_that_it_has_in_mirrors_toml_now_and_else_by_its_last() {
    // Renamed while the service is stopped, and its old name given to another.
    let (host, path) = configured(
        "[[mirror]]\nname = \"dao\"\nurl = \"https://docker.m.daocloud.io\"\n[[mirror]]\nname = \"DaoCloud\"\nurl = \"https://docker.1ms.run\"\n",
    );
    let mut gone = full();
    gone["service"]["pid_started"] = 1.into();
    host.publish("state", &gone);
    for (name, url) in [
        ("dao", "https://docker.m.daocloud.io"),
        ("DaoCloud", "https://docker.1ms.run"),
        ("毫秒镜像", "https://docker.1ms.run"),
        ("xuanyuan", "https://docker.xuanyuan.example"),
    ] {
        let (code, text, errors) = host.run(&["explain", name, "--config", path.to_str().unwrap()]);
        assert_eq!(code, 0, "{name}: {errors}");
        assert!(text.lines().next().unwrap().contains(url), "{name}: {text}");
        let (code, ..) = host.run(&["history", name, "--config", path.to_str().unwrap()]);
        assert_eq!(code, 0, "{name}");
    }
}

#[test]
fn a_mirror_of_another_group_is_switched_off_for_good() {
    let (host, path) =
        configured(&SHIPPED.replace("group = \"world\"\nenabled = false", "group = \"world\""));
    // By its URL, as `explain` takes it too.
    let (code, text, _) = host.run(&["remove", "http://127.0.0.3:9", "--config", path.to_str().unwrap()]);
    assert_eq!(code, 0);
    assert!(text.starts_with("far switched off in "), "{text}");
    let local = std::fs::read_to_string(host.dir.path().join("mirrors.d/local.toml")).unwrap();
    assert!(local.ends_with("enabled = false\n"), "{local}");
}

#[test]
fn check_names_the_line_of_what_a_setting_leads_to_and_is_not_there() {
    let (host, path) = configured(
        "[probe]\nca_file = \"/nonexistent/ca.pem\"\n[notify]\ncommand = [\"/nonexistent/tell\"]\n[[mirror]]\nname = \"a\"\nurl = \"https://a.example\"\n",
    );
    let config = path.to_str().unwrap();
    let (code, _, errors) = host.run(&["check", config]);
    assert_eq!(code, 78);
    for expected in
        ["cannot be used as certificates", ":6:11", "there is no program \"/nonexistent/tell\"", ":8:11"]
    {
        assert!(errors.contains(expected), "{expected}: {errors}");
    }
}

#[test]
fn check_says_what_becomes_of_a_schedule_that_the_budgets_do_not_carry() {
    let mirror = "[[mirror]]\nname = \"a\"\nurl = \"https://a.example\"\n";
    for (said, expected) in [
        ("", None),
        // What a share makes less is meant to be less.
        ("[budget]\nshare = 2\n", None),
        ("[schedule]\nrehearse = \"2h\"\nsample = \"10m\"\nconnect = \"1s\"\ndecide = \"1m\"\n", None),
        (
            "[schedule]\nrehearse = \"1m\"\n",
            Some(
                "6:12: rehearse is more often than bytes_per_day carries: a mirror that is not selected is rehearsed at most once in 2h\n",
            ),
        ),
        (
            "[schedule]\nsample = \"30s\"\n",
            Some(
                "6:10: sample is more often than requests_per_day carries: a selected mirror is sampled at most once in 7m 12s\n",
            ),
        ),
        (
            "[schedule]\nrehearse = \"30m\"\n[budget]\nrequests_per_day = 100\n",
            Some(
                "6:12: rehearse is more often than requests_per_day carries: a mirror that is not selected is rehearsed at most once in 8h\n",
            ),
        ),
        // The schedule is that of the defaults.
        (
            "[budget]\nbytes_per_day = \"8MiB\"\n",
            Some(
                "toml: rehearse is more often than bytes_per_day carries: a mirror that is not selected is rehearsed at most once in 6h\n",
            ),
        ),
        (
            "[schedule]\nrehearse = \"1h\"\n[budget]\nbytes_per_day = \"1GiB\"\nrequests_per_day = 4000\ntotal_bytes_per_day = \"8MiB\"\n",
            Some(
                "6:12: rehearse is more often than total_bytes_per_day carries: a mirror that is not selected is rehearsed at most once in 4h 15m\n",
            ),
        ),
    ] {
        let (host, path) = configured(&format!("{said}{mirror}"));
        let (code, text, errors) = host.run(&["check", path.to_str().unwrap()]);
        assert_eq!(code, 0, "{errors}");
        assert!(text.ends_with("valid; 1 mirror, 1 takes part\n"), "{text}");
        match expected {
            None => assert_eq!(errors, ""),
            Some(expected) => {
                let (place, what) = expected.split_once(": ").unwrap();
                assert!(errors.contains(place) && errors.contains(what), "{said}{errors}");
                let (_, _, errors) = host.run(&["check", path.to_str().unwrap(), "--lang", "zh"]);
                assert!(errors.contains("过于频繁"), "{errors}");
            }
        }
    }
}

#[test]
fn check_says_what_is_asked_for_where_no_image_is_named_and_none_is_learned() {
    let mirror = "[[mirror]]\nname = \"a\"\nurl = \"https://a.example\"\n";
    for (probe, warned) in [
        ("images = []\nlearn_images = false", true),
        ("images = []", false),
        ("images = [\"nginx\"]\nlearn_images = false", false),
        ("learn_images = false", false),
    ] {
        let (host, path) = configured(&format!("[probe]\n{probe}\n{mirror}"));
        for (lang, words) in [
            ("en", "mirrors are asked for library/busybox:latest all the same"),
            ("zh", "仍会用 library/busybox:latest 探测"),
        ] {
            let (code, _, errors) = host.run(&["check", path.to_str().unwrap(), "--lang", lang]);
            assert_eq!(code, 0, "{errors}");
            let said = errors.contains(words) && errors.contains("mirrors.toml:6:10");
            assert_eq!(said, warned, "{probe}: {errors}");
        }
    }
}

#[test]
fn check_says_which_entry_to_keep_ends_the_verification_of_all_others() {
    let mirror = "[[mirror]]\nname = \"a\"\nurl = \"https://a.example\"\n";
    for (kept, warned) in [
        ("\"https://cache.example\"", None),
        ("\"https://cache.example\", \"http://cache.example:5000\"", Some("http://cache.example:5000 ")),
        ("\"https://127.0.0.1:5000\"", Some("https://127.0.0.1:5000 ")),
    ] {
        let host = Host::new();
        let path = host.dir.path().join("mirrors.toml");
        std::fs::write(&path, format!("[engine.docker]\nkeep = [{kept}]\n{mirror}")).unwrap();
        for (lang, words) in [("en", "without verifying who answers"), ("zh", "不再验证")] {
            let (code, _, errors) = host.run(&["check", path.to_str().unwrap(), "--lang", lang]);
            assert_eq!(code, 0, "{errors}");
            let said = errors.contains(words) && errors.contains("mirrors.toml:2:8");
            assert_eq!(said, warned.is_some(), "{kept}: {errors}");
            assert!(warned.is_none_or(|url| errors.contains(url)), "{kept}: {errors}");
        }
    }
}

#[test]
fn a_registry_that_docker_has_no_mirrors_for_takes_no_part() {
    let (host, path) =
        configured("[[mirror]]\nname = \"a\"\nurl = \"https://a.example\"\nupstream = \"dockerhub\"\n");
    let (code, text, errors) = host.run(&["check", path.to_str().unwrap()]);
    assert_eq!(code, 0);
    assert!(text.ends_with("valid; 1 mirror, 0 take part\n"), "{text}");
    assert!(errors.contains(":8:12") && errors.contains("did you mean \"docker.io\"?"), "{errors}");
}
