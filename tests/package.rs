//! What is installed: the package's content, and the pages and completions in it, which the program itself prints.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "a test writes its own files")]

#[path = "package/deb.rs"]
mod deb;

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use deb::succeeds;

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn printed(args: &[&str]) -> String {
    succeeds(Command::new(env!("CARGO_BIN_EXE_mirrorwatch")).args(args).env_clear())
}

/// What lies in debian/, and what prints it.
const PRINTED: [(&str, &[&str]); 5] = [
    ("mirrorwatch.1", &["man"]),
    ("mirrors.toml.5", &["man", "mirrors.toml"]),
    ("completions/mirrorwatch.bash", &["completions", "bash"]),
    ("completions/mirrorwatch.zsh", &["completions", "zsh"]),
    ("completions/mirrorwatch.fish", &["completions", "fish"]),
];

#[test]
fn the_pages_and_completions_that_are_packaged_are_those_that_the_program_prints() {
    for (name, args) in PRINTED {
        let path = checkout().join("debian").join(name);
        let now = printed(args);
        if env::var_os("MIRRORWATCH_BLESS").is_some() {
            fs::write(&path, now).unwrap();
        } else {
            let hint = "MIRRORWATCH_BLESS=1 cargo test --test package";
            assert_eq!(fs::read_to_string(&path).unwrap_or_default(), now, "debian/{name} is old: {hint}");
        }
    }
}

/// The tables of mirrors.toml and their keys, as the program's own complaint about an unknown key lists them.
fn known_keys() -> Vec<(String, Vec<String>)> {
    let place = TempDir::new().unwrap();
    let file = place.path().join("mirrors.toml");
    let engines = ["docker", "containerd", "podman", "buildkit"].map(|engine| format!("[engine.{engine}]"));
    let tables = ["[probe]", "[schedule]", "[budget]", "[select]", "[notify]"].map(str::to_owned);
    let mirror = "[[mirror]]".to_owned();
    tables
        .into_iter()
        .chain(engines)
        .chain([mirror])
        .map(|table| {
            fs::write(&file, format!("{table}\nzzzzzzzzzzzz = 1\n")).unwrap();
            let output = Command::new(env!("CARGO_BIN_EXE_mirrorwatch"))
                .arg("check")
                .arg(&file)
                .env_clear()
                .env("COLUMNS", "1000")
                .output()
                .unwrap();
            let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
            let keys = said.split("known here: ").nth(1).unwrap_or_else(|| panic!("{table}: {said}"));
            (table, keys.lines().next().unwrap().split(", ").map(str::to_owned).collect())
        })
        .collect()
}

#[test]
fn mirrors_toml_5_has_every_key_that_is_known_and_no_other() {
    for lang in ["en", "zh"] {
        let page = printed(&["--lang", lang, "man", "mirrors.toml"]);
        for (table, mut known) in known_keys() {
            let section = page.split(&format!("\n.SH {table}\n")).nth(1).unwrap_or_else(|| panic!("{table}"));
            let section = section.split("\n.SH ").next().unwrap();
            let mut shown: Vec<&str> =
                section.lines().filter_map(|line| line.strip_prefix("\\fB")?.split(" = ").next()).collect();
            known.sort();
            shown.sort_unstable();
            assert_eq!(shown, known, "{lang} {table}");
        }
    }
}

#[test]
fn the_package_has_all_that_belongs_in_it_and_every_unit() {
    let place = TempDir::new().unwrap();
    let file = place.path().join("mirrorwatch.deb");
    for deb in [Some(deb::build("0.1.0-1", |_| {})), deb::shipped()].into_iter().flatten() {
        fs::write(&file, deb).unwrap();
        has_all_that_belongs_in_it(&place, &file);
    }
}

#[test]
fn the_package_as_users_build_it_has_a_small_program_without_symbols() {
    // Without `./test.sh` there is none: then what is looked at is the tested program, which is packaged alike.
    let deb = deb::shipped().unwrap_or_else(|| deb::build("0.1.0-1", |_| {}));
    let place = TempDir::new().unwrap();
    let file = place.path().join("mirrorwatch.deb");
    fs::write(&file, deb).unwrap();
    let content = place.path().join("content");
    succeeds(Command::new("dpkg-deb").arg("--extract").arg(&file).arg(&content));
    let program = content.join("usr/bin/mirrorwatch");
    let sections = succeeds(Command::new("readelf").args(["--wide", "--sections"]).arg(&program));
    assert!(!sections.contains(".symtab") && !sections.contains(".debug_info"), "{sections}");
    let version = succeeds(Command::new(&program).arg("--version").env_clear());
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    if deb::shipped().is_some() {
        let size = fs::metadata(&program).unwrap().len();
        println!("{size} bytes");
        assert!(size <= 8 << 20, "{size} bytes");
        let dynamic = succeeds(Command::new("readelf").args(["--wide", "--dynamic"]).arg(&program));
        assert!(!dynamic.contains("(NEEDED)"), "it needs nobody's library: {dynamic}");
    }
}

fn has_all_that_belongs_in_it(place: &TempDir, file: &Path) {
    let listed = succeeds(Command::new("dpkg-deb").arg("--contents").arg(file));
    let paths: Vec<&str> = listed.lines().filter_map(|line| line.split(" .").nth(1)).collect();
    let files = |from: &str, to: &str| -> Vec<String> {
        let entries = fs::read_dir(checkout().join(from)).into_iter().flatten().map(Result::unwrap);
        let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
        files.map(|entry| format!("{to}/{}", entry.file_name().into_string().unwrap())).collect()
    };
    let units = files("systemd", "/usr/lib/systemd/system");
    assert!(!units.is_empty());
    let users = files("systemd/sysusers.d", "/usr/lib/sysusers.d");
    let rest = [
        "/usr/bin/mirrorwatch",
        "/etc/mirrorwatch/mirrors.toml",
        "/etc/mirrorwatch/mirrors.d/",
        "/usr/share/man/man1/mirrorwatch.1.gz",
        "/usr/share/man/man5/mirrors.toml.5.gz",
        "/usr/share/bash-completion/completions/mirrorwatch",
        "/usr/share/zsh/vendor-completions/_mirrorwatch",
        "/usr/share/fish/vendor_completions.d/mirrorwatch.fish",
        "/usr/share/doc/mirrorwatch/README.md",
        "/usr/share/doc/mirrorwatch/copyright",
        "/usr/share/doc/mirrorwatch/changelog.Debian.gz",
    ];
    for path in units
        .into_iter()
        .chain(users)
        .chain(files("systemd/user", "/usr/lib/systemd/user"))
        .chain(rest.map(str::to_owned))
    {
        assert!(paths.contains(&path.as_str()), "{path} is missing:\n{listed}");
    }
    let said = |field: &str| {
        succeeds(Command::new("dpkg-deb").arg("--field").arg(file).arg(field)).trim().to_owned()
    };
    let depends = said("Depends");
    assert!(depends.contains("procps"), "{depends}");
    let content = TempDir::new_in(place).unwrap();
    succeeds(Command::new("dpkg-deb").arg("--extract").arg(file).arg(content.path()));
    let program = content.path().join("usr/bin/mirrorwatch");
    let dynamic = succeeds(Command::new("readelf").args(["--wide", "--dynamic"]).arg(program));
    assert_eq!(depends.contains("libc6 (>= "), dynamic.contains("(NEEDED)"), "{depends}: {dynamic}");
    let control = TempDir::new_in(place.path()).unwrap();
    let control = control.path().join("control");
    succeeds(Command::new("dpkg-deb").arg("--control").arg(file).arg(&control));
    let conffiles = fs::read_to_string(control.join("conffiles")).unwrap();
    assert!(conffiles.lines().any(|line| line == "/etc/mirrorwatch/mirrors.toml"), "{conffiles}");
    for script in ["postinst", "prerm", "postrm"] {
        succeeds(Command::new("sh").arg("-n").arg(control.join(script)));
    }
}

#[test]
fn the_changelog_of_the_package_begins_with_the_version_of_the_program() {
    let changelog = fs::read_to_string(checkout().join("debian/changelog")).unwrap();
    let version = concat!("mirrorwatch (", env!("CARGO_PKG_VERSION"), "-");
    assert!(changelog.starts_with(version), "{changelog}");
}
