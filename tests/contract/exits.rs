//! How commands end: exit codes, rights, and where what they say goes.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::given::{INVALID, healthy};
use crate::host::{Host, Toml, exists};

#[test]
fn an_invalid_mirrors_toml_is_78_from_every_command_that_needs_it() {
    let registry = healthy();
    let host = Host::new(&Toml::of(&[("A", &registry)]));
    host.write(INVALID);
    for arguments in [
        &["run"][..],
        &["probe"],
        &["probe", "A"],
        &["probe", &registry.url()],
        &["apply"],
        &["apply", "--dry-run"],
        &["check"],
        &["add", &registry.url()],
        &["remove", "A"],
    ] {
        let said = host.run(arguments).ended(78);
        assert!(said.err.contains("mirrors.toml:2:1"), "{arguments:?}: {}", said.err);
        assert_eq!(said.out, "", "{arguments:?}");
    }
    assert_eq!(host.engine.text().unwrap(), "{}\n");
    assert!(registry.requests().is_empty());
}

#[test]
fn a_mirrors_toml_that_is_not_there_or_empty_is_78_too_and_nothing_is_touched() {
    let host = Host::new(&Toml::default());
    for text in [None, Some(""), Some("# nothing\n"), Some("[select]\nmax = 3\n")] {
        match text {
            Some(text) => host.write(text),
            None => fs::remove_file(host.config()).unwrap(),
        }
        for command in ["run", "probe", "apply", "check"] {
            host.run(&[command]).ended(78);
        }
    }
    assert!(!exists(&host.at("run/status.json")));
    assert_eq!(host.engine.text().unwrap(), "{}\n");
}

#[test]
fn probe_is_0_when_one_lives_and_1_when_none_does() {
    let (good, dead) = (healthy(), healthy());
    dead.stop();
    let host = Host::new(&Toml::of(&[("good", &good), ("dead", &dead)]));
    host.run(&["probe"]).ended(0);
    host.run(&["probe", "good"]).ended(0);
    host.run(&["probe", "dead"]).ended(1);
    host.run(&["probe", "dead", "--json"]).ended(1);
    for depth in ["connect", "sample", "rehearse"] {
        host.run(&["probe", "--depth", depth, "good"]).ended(0);
        host.run(&["probe", "--depth", depth, "dead"]).ended(1);
    }
    assert!(!exists(&host.at("run/status.json")), "a probe publishes nothing");
    assert_eq!(host.engine.text().unwrap(), "{}\n", "a probe changes nothing");
}

#[test]
fn usage_errors_are_2() {
    let registry = healthy();
    let host = Host::new(&Toml::of(&[("A", &registry)]));
    for arguments in [
        &["probe", "--depth", "deep"][..],
        &["probe", "nobody"],
        &["probe", "https://a.example/path"],
        &["apply", "now"],
        &["restore", "--json"],
        &["add"],
        &["add", "https://a.example", "https://b.example"],
        &["remove"],
        &["check", "a", "b"],
        &["run", "--json"],
        &["pause", "--for", "soon"],
        &["resume", "--for", "1h"],
        &["completions"],
        &["--config"],
        &["nonsense"],
    ] {
        host.run(arguments).ended(2);
    }
}

#[test]
fn apply_is_1_when_the_engine_is_not_there() {
    let registry = healthy();
    let host = Host::new(&Toml::of(&[("A", &registry)]));
    fs::remove_file(host.engine.socket()).unwrap();
    host.run(&["apply"]).ended(1);
    host.run(&["restore"]).ended(0);
    assert_eq!(
        host.engine.text().unwrap(),
        "{}\n",
        "nothing is written, and nothing was that could be put back"
    );
}

#[test]
fn not_permitted_is_4_with_the_command_to_type() {
    let registry = healthy();
    let host = Host::new(&Toml::of(&[("A", &registry)]));
    for directory in ["state", "run"] {
        fs::create_dir(host.at(directory)).unwrap();
    }
    for arguments in [
        &["run"][..],
        &["apply"],
        &["restore"],
        &["pause"],
        &["pause", "--for", "2h"],
        &["remove", "A"],
        &["add", "http://127.0.0.1:9", "--name", "B"],
    ] {
        let said = host.run_as_nobody(arguments);
        assert_eq!(said.code, Some(4), "{arguments:?}: {said:?}");
        assert!(said.err.contains("sudo "), "{arguments:?}: {}", said.err);
    }
    assert_eq!(host.engine.text().unwrap(), "{}\n");
}

#[test]
fn what_only_looks_needs_no_rights() {
    let registry = healthy();
    let host = Host::new(&Toml::of(&[("A", &registry)]));
    host.run_as_nobody(&["probe"]).ended(0);
    host.run_as_nobody(&["check"]).ended(0);
    host.run_as_nobody(&["status"]).ended(3);
    let _service = host.serve();
    host.wait_for_status("a healthy service", |status| status["engines"][0]["state"] == "in_place");
    host.run_as_nobody(&["status"]).ended(0);
    // Nothing is wrong with the disk: who asks without the right to write knows that nothing is kept.
    assert_eq!(host.run_as_nobody(&["probe"]).ended(0).err, "");
}

#[test]
fn a_directory_in_the_place_of_mirrors_toml_is_one_error_and_78() {
    let host = Host::new(&Toml::default());
    let place = host.at("etc").display().to_string();
    for (lang, what, hint) in [
        (
            "en",
            "error: {}: this is a directory, not a file\n",
            "hint: name the file in it, such as mirrors.toml\n",
        ),
        ("zh", "错误：{}：这是目录，不是文件\n", "提示：请写出目录里的文件，例如 mirrors.toml\n"),
    ] {
        for arguments in [&["check", &place][..], &["probe", "--config", &place]] {
            let said = host.run(&[&["--lang", lang], arguments].concat()).ended(78);
            assert_eq!(said.err, format!("{}{hint}", what.replace("{}", &place)));
        }
    }
}

#[test]
fn a_mirrors_toml_that_may_not_be_read_is_4() {
    let registry = healthy();
    let host = Host::new(&Toml::of(&[("A", &registry)]));
    fs::set_permissions(host.config(), fs::Permissions::from_mode(0o600)).unwrap();
    for command in ["probe", "apply", "check", "run"] {
        let said = host.run_as_nobody(&[command]);
        assert_eq!(said.code, Some(4), "{command}: {said:?}");
    }
}

#[test]
fn a_broken_pipe_is_success() {
    let registry = healthy();
    let host = Host::new(&Toml::of(&[("A", &registry)]));
    for arguments in [
        &["probe"][..],
        &["probe", "--json"],
        &["apply", "--dry-run"],
        &["apply", "--dry-run", "--json"],
        &["apply"],
        &["check"],
        &["pause"],
        &["resume"],
        &["restore"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = host.command(arguments).stdout(writer).output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {err}");
        assert!(!err.to_lowercase().contains("pipe"), "{arguments:?}: {err}");
    }
}
