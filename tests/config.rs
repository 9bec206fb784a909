//! Every bad mirrors.toml with its message, the shipped file, and how the files of mirrors.d override.

#![expect(clippy::disallowed_methods, reason = "the tests write into directories of their own")]
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as the test does")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use mirrorwatch::config::{self, Config, Diagnostic, Invalid, Problem};
use mirrorwatch::mirror::MirrorUrl;
use mirrorwatch::text::Lang;
use proptest::prelude::*;

const MAIN: &str = "mirrors.toml";

/// `text` as mirrors.toml, and files of mirrors.d beside it.
fn parse(text: &str, drop_ins: &[(&str, &str)]) -> Result<Config, Invalid> {
    let file = |name: String, text: &str| (PathBuf::from(name), text.as_bytes().to_vec());
    let mut files = vec![file(MAIN.to_owned(), text)];
    files.extend(drop_ins.iter().map(|(name, text)| file(format!("mirrors.d/{name}"), text)));
    config::parse(Path::new(MAIN), &files)
}

fn valid(text: &str, drop_ins: &[(&str, &str)]) -> Config {
    parse(text, drop_ins).unwrap_or_else(|invalid| panic!("{}", all(&invalid.diagnostics, Lang::En)))
}

fn lines(diagnostics: &[Diagnostic]) -> Vec<String> {
    diagnostics.iter().map(Diagnostic::one_line).collect()
}

fn all(diagnostics: &[Diagnostic], lang: Lang) -> String {
    diagnostics.iter().map(|it| it.render(lang, false) + "\n\n").collect()
}

/// The cases of tests/config: `NAME.toml`, or a directory with a mirrors.toml and a mirrors.d.
fn cases() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config");
    let mut cases: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir() || path.extension().is_some_and(|it| it == "toml"))
        .collect();
    cases.sort();
    cases
}

/// What is said about one case: one line each, then all for people in both languages.
fn report(case: &Path) -> String {
    let root = case.parent().unwrap();
    let main = if case.is_dir() { case.join(MAIN) } else { case.to_owned() };
    let diagnostics = match config::load(&main) {
        Ok(config) => config.warnings,
        Err(invalid) => invalid.diagnostics,
    };
    let mut report = String::new();
    for line in lines(&diagnostics) {
        writeln!(report, "{line}").unwrap();
    }
    for (lang, title) in [(Lang::En, "en"), (Lang::Zh, "zh")] {
        write!(report, "\n── {title} ──\n\n{}", all(&diagnostics, lang)).unwrap();
    }
    let report = report.replace(&format!("{}/", root.display()), "");
    report.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

#[test]
fn every_bad_file_has_exactly_its_messages() {
    // `MIRRORWATCH_BLESS=1 cargo test --test config` writes the expected files anew; then read the diff.
    let bless = std::env::var_os("MIRRORWATCH_BLESS").is_some();
    let cases = cases();
    assert!(cases.len() > 30, "the cases are gone");
    let mut wrong = Vec::new();
    for case in cases {
        let expected = case.with_extension("txt");
        let report = report(&case);
        if bless {
            fs::write(&expected, &report).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != report {
            wrong.push(format!("{} says now:\n{report}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_error_in_a_file_that_could_be_read_has_its_line_and_column() {
    for case in cases() {
        let main = if case.is_dir() { case.join(MAIN) } else { case };
        let Err(invalid) = config::load(&main) else { continue };
        for found in invalid.diagnostics {
            let unread =
                [Problem::Missing, Problem::DanglingLink, Problem::Directory, Problem::NotADirectory];
            assert!(found.place.is_some() || unread.contains(&found.problem), "{}", found.one_line());
        }
    }
}

#[test]
fn a_caret_stands_under_its_character_after_chinese_text_too() {
    let text = "[probe]\nimages = [\"镜像\", \"ghcr.io/a/b\"]\n\n[[mirror]]\nname = \"道客\"\nurl = \"https://a.example\"\n";
    let invalid = parse(text, &[]).unwrap_err();
    for lang in [Lang::En, Lang::Zh] {
        let shown = invalid.diagnostics[1].render(lang, false);
        let line = shown.lines().find(|line| line.starts_with("2 | ")).unwrap();
        let carets = shown.lines().find(|line| line.contains('^')).unwrap();
        let before = line.split("\"ghcr").next().unwrap();
        assert_eq!(carets.find('^'), Some(unicode_width::UnicodeWidthStr::width(before)), "{shown}");
        assert_eq!(carets.matches('^').count(), "\"ghcr.io/a/b\"".len(), "{shown}");
    }
    assert_eq!(invalid.to_string(), "mirrors.toml:2:11: \"镜像\" is not an image's name");
}

#[test]
fn colour_changes_nothing_but_the_colour() {
    let invalid = parse("[probe]\ntimeout = 10\n", &[]).unwrap_err();
    let (plain, styled) =
        (invalid.diagnostics[0].render(Lang::Zh, false), invalid.diagnostics[0].render(Lang::Zh, true));
    assert!(!plain.contains('\u{1b}') && styled.contains('\u{1b}'));
    assert_eq!(anstream::adapter::strip_str(&styled).to_string(), plain);
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(MAIN);
    let message = |path: &Path| config::load(path).unwrap_err().to_string();
    assert_eq!(message(&path), format!("{}: no such file", path.display()));
    let directory = directory.path();
    assert_eq!(message(directory), format!("{}: this is a directory, not a file", directory.display()));
    fs::write(&path, vec![b'#'; 1 << 21]).unwrap();
    assert!(message(&path).contains("larger than 1 MiB"));
    assert!(message(Path::new("/dev/zero")).contains("larger than 1 MiB"));
    // Whoever keeps mirrors.d elsewhere would lose every mirror in it without a word.
    fs::write(&path, ONE).unwrap();
    let aside = directory.join("mirrors.d");
    std::os::unix::fs::symlink("/nowhere/mirrors.d", &aside).unwrap();
    assert_eq!(message(&path), format!("{}: a link that leads nowhere", aside.display()));
}

#[test]
fn a_pipe_is_read_to_its_end_and_one_into_which_nobody_writes_is_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(MAIN);
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    let empty = config::load(&path).unwrap_err().to_string();
    assert!(empty.starts_with(&path.display().to_string()), "{empty}");
    let (reader, mut writer) = std::io::pipe().unwrap();
    let shell = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
    let written = std::thread::spawn(move || {
        for part in [&ONE[..20], &ONE[20..]] {
            std::thread::sleep(std::time::Duration::from_millis(50));
            std::io::Write::write_all(&mut writer, part.as_bytes()).unwrap();
        }
    });
    assert_eq!(config::load(Path::new(&shell)).unwrap().mirrors.len(), 1);
    written.join().unwrap();
}

/// The text of one mirror, so that a file is valid.
const ONE: &str = "[[mirror]]\nname = \"A\"\nurl = \"https://a.example\"\n";

fn shipped() -> (PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(MAIN);
    let text = fs::read_to_string(&path).unwrap();
    (path, text)
}

#[test]
fn the_shipped_file_is_valid_without_a_word_and_its_settings_are_the_defaults() {
    let (path, _) = shipped();
    let shipped =
        config::load(&path).unwrap_or_else(|invalid| panic!("{}", all(&invalid.diagnostics, Lang::En)));
    assert_eq!(lines(&shipped.warnings), Vec::<String>::new());
    let bare = valid(ONE, &[]);
    let settings = |config: Config| {
        let Config { probe, schedule, budget, select, notify, engines, .. } = config;
        (probe, schedule, budget, select, notify, engines)
    };
    assert_eq!(settings(shipped), settings(bare));
}

#[test]
fn the_shipped_file_shows_every_key() {
    let (_, text) = shipped();
    // The unknown-key hint lists what a table may have: every one of them must stand in the shipped file.
    for table in ["probe", "schedule", "budget", "select", "notify"]
        .into_iter()
        .map(str::to_owned)
        .chain(["docker", "containerd", "podman", "buildkit"].map(|engine| format!("engine.{engine}")))
    {
        let section =
            text.split(&format!("[{table}]\n")).nth(1).or(text.split(&format!("[{table}] ")).nth(1));
        let section =
            section.unwrap_or_else(|| panic!("no [{table}]")).split("\n[").next().unwrap().to_owned();
        let invalid = parse(&format!("[{table}]\n\"—\" = 1\n{ONE}"), &[]).unwrap_err();
        let hint = invalid.diagnostics[0].problem.hint(Lang::En).unwrap();
        let keys = hint.strip_prefix("known here: ").unwrap();
        for key in keys.split(", ") {
            let stands = section.lines().any(|line| line.split(" =").next() == Some(key));
            assert!(stands, "[{table}] {key} is not in the shipped file");
        }
    }
}

#[test]
fn by_default_only_mainland_china_takes_part_and_nothing_that_is_closed() {
    let config = config::load(&shipped().0).unwrap();
    assert!(config.mirrors.iter().filter(|mirror| mirror.enabled).count() >= 10);
    for mirror in &config.mirrors {
        if mirror.enabled {
            assert_eq!(mirror.group.as_deref(), Some("cn"), "{}", mirror.name);
            assert_eq!(config::known::lookup(mirror.url.host()), None, "{}", mirror.name);
        }
        assert!(mirror.note.as_ref().is_none_or(|note| note.chars().count() <= 100), "{}", mirror.name);
    }
    for closed in ["NJU", "SJTU", "USTC", "NetEase", "Baidu", "ISCAS", "Rainbond", "dockerproxy.com"] {
        let mirror = config.mirrors.iter().find(|mirror| mirror.name == closed).unwrap();
        let dated = mirror.note.as_ref().is_some_and(|note| note.contains("20"));
        assert!(!mirror.enabled && dated, "{closed}");
    }
}

#[test]
fn the_groups_of_the_shipped_file_can_all_be_chosen() {
    let (_, text) = shipped();
    let default = "groups = [\"cn\", \"own\"]";
    assert!(text.contains(default));
    let config = valid(&text.replace(default, "groups = [\"ir\", \"ru\", \"world\"]"), &[]);
    for group in ["ir", "ru", "world"] {
        let takes_part =
            |mirror: &mirrorwatch::mirror::Mirror| mirror.enabled && mirror.group.as_deref() == Some(group);
        assert!(config.mirrors.iter().any(takes_part), "{group}");
    }
    assert!(!config.mirrors.iter().any(|mirror| mirror.enabled && mirror.group.as_deref() == Some("cn")));
    assert_eq!(lines(&config.warnings), Vec::<String>::new());
}

#[test]
fn every_template_of_the_shipped_file_is_valid_once_it_is_uncommented() {
    let (_, text) = shipped();
    let (before, own) = text.split_once("# ── Your own").unwrap();
    let (own, after) = own.split_once("# ── The world").unwrap();
    let lines = own.lines().map(|line| {
        let code =
            line.strip_prefix("# ").filter(|it| *it == "[[mirror]]" || it.split_once(" = \"").is_some());
        code.unwrap_or(line)
    });
    let own = lines.collect::<Vec<_>>().join("\n");
    assert!(own.matches("\n[[mirror]]\n").count() >= 7);
    let config = valid(&format!("{before}# ── Your own{own}\n# {after}"), &[]);
    let enabled = config.mirrors.iter().filter(|it| it.enabled && it.group.as_deref() == Some("own")).count();
    assert_eq!(enabled, own.matches("\n[[mirror]]\n").count());
}

fn mirror<'a>(config: &'a Config, name: &str) -> &'a mirrorwatch::mirror::Mirror {
    config.mirrors.iter().find(|mirror| mirror.name == name).unwrap()
}

#[test]
fn a_file_of_mirrors_d_overrides_only_the_keys_it_says() {
    let main = "[[mirror]]\nname = \"A\"\nurl = \"https://a.example\"\ngroup = \"cn\"\nnote = \"first\"\n";
    let config = valid(main, &[("10.toml", "[[mirror]]\nname = \"A\"\nenabled = false\n")]);
    let a = mirror(&config, "A");
    assert_eq!(
        (a.url.as_str(), a.group.as_deref(), a.note.as_deref()),
        ("https://a.example", Some("cn"), Some("first"))
    );
    assert!(!a.enabled);
    assert_eq!(config.files["A"], [PathBuf::from(MAIN), PathBuf::from("mirrors.d/10.toml")]);
}

#[test]
fn an_override_that_does_not_say_enabled_leaves_a_disabled_mirror_disabled() {
    let config =
        valid(&format!("{ONE}enabled = false\n"), &[("x.toml", "[[mirror]]\nname = \"A\"\nnote = \"x\"\n")]);
    assert!(!mirror(&config, "A").enabled);
}

#[test]
fn what_only_local_toml_defines_is_not_shipped() {
    let own =
        "[[mirror]]\nname = \"B\"\nurl = \"https://b.example\"\n[[mirror]]\nname = \"A\"\nenabled = false\n";
    let config = valid(ONE, &[("local.toml", own)]);
    assert_eq!(config::local::file(Path::new(MAIN)), Path::new("mirrors.d/local.toml"));
    assert_eq!([config.shipped("A"), config.shipped("B"), config.shipped("C")], [true, false, false]);
}

#[test]
fn the_last_file_of_mirrors_d_has_the_last_word() {
    let off = "[[mirror]]\nname = \"A\"\nenabled = false\n";
    let on = "[[mirror]]\nname = \"A\"\nenabled = true\nurl = \"https://b.example\"\n";
    let config = valid(ONE, &[("10.toml", off), ("20.toml", on)]);
    assert_eq!(
        (mirror(&config, "A").enabled, mirror(&config, "A").url.as_str()),
        (true, "https://b.example")
    );
}

#[test]
fn a_file_of_mirrors_d_can_take_a_mirror_out_of_its_group() {
    let main = "[[mirror]]\nname = \"A\"\nurl = \"https://a.example\"\ngroup = \"ir\"\n";
    assert!(!mirror(&valid(main, &[]), "A").enabled);
    let config = valid(main, &[("10.toml", "[[mirror]]\nname = \"A\"\ngroup = \"\"\n")]);
    assert_eq!((mirror(&config, "A").enabled, &mirror(&config, "A").group), (true, &None));
}

#[test]
fn an_upgrade_that_brings_a_users_own_mirror_under_another_name_stays_valid() {
    let local = "[[mirror]]\nname = \"mine\"\nurl = \"HTTPS://a.example:443/\"\n";
    let config = valid(ONE, &[("local.toml", local)]);
    assert_eq!(config.mirrors.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["mine"]);
    assert_eq!(
        lines(&config.warnings),
        ["mirrors.d/local.toml:3:7: https://a.example takes the place of the mirror \"A\""]
    );
    // The shipped one does not take part, so nothing is lost and nothing is said.
    let disabled = format!("{ONE}enabled = false\n");
    let config = valid(&disabled, &[("local.toml", local)]);
    assert_eq!((lines(&config.warnings), mirror(&config, "mine").enabled), (Vec::new(), true));
}

#[test]
fn an_override_that_moves_a_mirror_onto_anothers_url_wins_over_it() {
    let main = format!("{ONE}[[mirror]]\nname = \"B\"\nurl = \"https://b.example\"\n");
    let config = valid(&main, &[("10.toml", "[[mirror]]\nname = \"A\"\nurl = \"https://b.example\"\n")]);
    assert_eq!(config.mirrors.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["A"]);
}

#[test]
fn the_files_of_mirrors_d_are_read_in_the_order_of_their_names_and_hidden_ones_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::create_dir(path("mirrors.d")).unwrap();
    let note = |note: &str| format!("[[mirror]]\nname = \"A\"\nnote = \"{note}\"\n");
    fs::write(path(MAIN), ONE).unwrap();
    fs::write(path("mirrors.d/20-b.toml"), note("second")).unwrap();
    fs::write(path("mirrors.d/10-a.toml"), note("first")).unwrap();
    fs::write(path("mirrors.d/.#20-b.toml"), "an editor's lock").unwrap();
    fs::write(path("mirrors.d/30-c.toml~"), "an editor's copy").unwrap();
    fs::write(path("mirrors.d/empty.toml"), "").unwrap();
    let config = config::load(&path(MAIN)).unwrap();
    assert_eq!(mirror(&config, "A").note.as_deref(), Some("second"));
    assert_eq!(config.files["A"], [path(MAIN), path("mirrors.d/10-a.toml"), path("mirrors.d/20-b.toml")]);
}

#[test]
fn mirrors_may_stand_in_mirrors_d_alone_but_an_empty_mirrors_toml_is_invalid_still() {
    let settings = "[select]\nmax = 1\n";
    assert_eq!(valid(settings, &[("local.toml", ONE)]).mirrors.len(), 1);
    let invalid = parse("", &[("local.toml", ONE)]).unwrap_err();
    assert_eq!(invalid.to_string(), "mirrors.toml:1:1: the file is empty");
}

#[test]
fn one_upstream_has_one_spelling() {
    let text = format!("{ONE}upstream = \"registry-1.docker.io\"\n");
    assert_eq!(mirror(&valid(&text, &[]), "A").upstream, "docker.io");
}

#[test]
fn more_errors_than_anybody_reads_are_cut_and_warnings_never_hide_an_error() {
    let many: String = (0..1000).map(|n| format!("[[mirror]]\nname = \"{n}\"\nurl = \"x{n}\"\n")).collect();
    assert_eq!(parse(&many, &[]).unwrap_err().diagnostics.len(), 200);
    let warned: String =
        (0..300).map(|n| format!("[[mirror]]\nname = \"{n}\"\nurl = \"https://r{n}.gcr.io\"\n")).collect();
    assert_eq!(valid(&warned, &[]).warnings.len(), 200);
    // Each would look for the nearest of all names: minutes, if every one did.
    let nameless: String = (0..20_000).map(|n| format!("[[mirror]]\nname = \"mirror {n}\"\n")).collect();
    assert_eq!(parse(&nameless, &[]).unwrap_err().diagnostics.len(), 200);
    let invalid = parse(&format!("{warned}[[mirror]]\nname = \"x\"\n"), &[]).unwrap_err();
    assert_eq!(invalid.diagnostics.len(), 1);
}

/// Pieces of which texts are made that nearly are a mirrors.toml.
fn nearly() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "[probe]\n",
        "[schedule]\n",
        "[select]\n",
        "[notify]\n",
        "[engine.docker]\n",
        "[[mirror]]\n",
        "[mirror]\n",
        "name",
        "url",
        "images",
        "timeout",
        "min_speed",
        "margin",
        "groups",
        "keep",
        "reload",
        "enabled",
        "proxy",
        "upstream",
        "command",
        " = ",
        "\"",
        "'",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\n",
        "\r\n",
        "#",
        "\\u001b",
        "镜像",
        "“",
        "\u{feff}",
        "https://a.example",
        "1",
        "-1",
        "0.2",
        "nan",
        "true",
        "5m",
        "64KiB",
        "\"五分钟\"",
        "a\u{301}",
        "99999999999999999999",
        "2026-11-20",
        "\t",
        "\u{3000}",
        "docker.io",
        "<x>",
        "$",
        "socks5://",
        "@",
        "/",
    ]);
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
}

/// Everything that is said, so that a panic in saying it is found too.
fn say_all(result: Result<Config, Invalid>) -> bool {
    let (diagnostics, valid) = match result {
        Ok(config) => (config.warnings, true),
        Err(invalid) => (invalid.diagnostics, false),
    };
    for it in &diagnostics {
        let one_line = it.one_line();
        assert!(!one_line.chars().any(char::is_control), "{one_line:?}");
        for lang in [Lang::En, Lang::Zh] {
            let shown = it.render(lang, false);
            assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
        }
    }
    valid || !diagnostics.is_empty()
}

proptest! {
    #[test]
    fn no_bytes_make_the_loader_panic_or_fail_without_a_reason(bytes: Vec<u8>, drop_in: Vec<u8>) {
        let files = [(PathBuf::from(MAIN), bytes), (PathBuf::from("mirrors.d/x.toml"), drop_in)];
        prop_assert!(say_all(config::parse(Path::new(MAIN), &files)));
    }

    #[test]
    fn no_text_that_nearly_is_one_makes_the_loader_panic(text in nearly(), drop_in in nearly()) {
        prop_assert!(say_all(parse(&text, &[("x.toml", &drop_in)])));
        let behind = format!("{ONE}{text}");
        prop_assert!(say_all(parse(&behind, &[])));
    }

    #[test]
    fn an_edit_of_local_toml_never_panics_and_leaves_toml(text in nearly(), shipped: bool) {
        let url: MirrorUrl = "https://new.example".parse().unwrap();
        for edited in [config::local::with_mirror(&text, "new", &url, config::local::Standing::New), config::local::without_mirror(&text, "a", shipped.then_some(&url))]
            .into_iter()
            .flatten()
        {
            prop_assert!(edited.parse::<toml::Table>().is_ok(), "{edited:?}");
        }
    }
}
