//! What may be typed: the one definition that parsing, help, completions and man page come from.
//!
//! clap's builder rather than its derive, because every help text depends on the language.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anstream::ColorChoice;
use clap::builder::{PossibleValuesParser, Styles};
use clap::{Arg, ArgAction, ArgMatches, Command as Clap, value_parser};
use clap_complete::Shell;

use super::man::Page;
use super::{Cli, Command, Global};
use crate::assembly::own::Own;
use crate::config::NameError;
use crate::image::Image;
use crate::observation::Depth;
use crate::text::{Lang, cli as say};
use crate::timestamp;

/// The program's name.
pub const PROGRAM: &str = "mirrorwatch";
/// Where mirrors.toml is, unless said otherwise.
pub const CONFIG: &str = "/etc/mirrorwatch/mirrors.toml";
/// Where what is remembered lies, unless said otherwise.
pub const STATE_DIR: &str = "/var/lib/mirrorwatch";
/// Where the status is published, unless said otherwise.
pub const RUNTIME_DIR: &str = "/run/mirrorwatch";

/// How far back `why` looks, unless said otherwise.
const WHY_SINCE: Duration = Duration::from_secs(3600);

type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

pub(super) fn parse(args: Vec<OsString>, env: Env<'_>) -> Result<Cli, clap::Error> {
    let lang = language(&args, env);
    let color = match said(&args, "--color").and_then(OsStr::to_str) {
        Some("always") => clap::ColorChoice::Always,
        Some("never") => clap::ColorChoice::Never,
        Some(_) | None => clap::ColorChoice::Auto,
    };
    let mut matches = with_internals(command(lang), lang).color(color).try_get_matches_from(args)?;
    if let Some(("help", asked)) = matches.subcommand() {
        // Said as clap understands it; the answer is then the help, or that there is no such command.
        let asked = asked.get_one::<String>("command").map(String::as_str);
        let again = [Some(PROGRAM), asked, Some("--help")].into_iter().flatten();
        matches = command(lang).color(color).try_get_matches_from(again)?;
    }
    let global = global(&mut matches, lang, env);
    let command = match matches.remove_subcommand() {
        None => Command::Status { json: false, watch: false, all: false },
        Some((name, matches)) => subcommand(&name, matches),
    };
    Ok(Cli { global, command })
}

/// The language, before anything is parsed, because parsing may already have to say something.
pub(super) fn language(args: &[OsString], env: Env<'_>) -> Lang {
    if let Some(lang) = said(args, "--lang").and_then(OsStr::to_str).and_then(|lang| lang.parse().ok()) {
        return lang;
    }
    let set = |name| env(name).filter(|value| !value.is_empty());
    let locale = ["MIRRORWATCH_LANG", "LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(set);
    locale.map_or(Lang::En, |locale| Lang::of_locale(&locale.to_string_lossy()))
}

/// The last value of `option`, as clap will see it.
pub(super) fn said<'a>(args: &'a [OsString], option: &str) -> Option<&'a OsStr> {
    let options = args.split(|arg| arg == "--").next().unwrap_or_default();
    let value = |(index, arg): (usize, &'a OsString)| {
        if arg == option {
            return options.get(index + 1).map(OsString::as_os_str);
        }
        arg.to_str()?.strip_prefix(option)?.strip_prefix('=').map(OsStr::new)
    };
    options.iter().enumerate().filter_map(value).next_back()
}

/// The whole command line in one language.
pub fn command(lang: Lang) -> Clap {
    let program = match lang {
        Lang::En => Clap::new(PROGRAM),
        // clap breaks lines at blanks only, so that Chinese is left to whoever prints it.
        Lang::Zh => Clap::new(PROGRAM).term_width(0),
    };
    frame(program, PROGRAM, lang)
        .version(env!("CARGO_PKG_VERSION"))
        .propagate_version(true)
        .args_override_self(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        // clap's own is in English; ours is among the others.
        .disable_help_subcommand(true)
        .about(say::about(lang))
        .long_about(say::long_about(lang))
        .after_help(say::after_help(lang))
        .after_long_help(say::after_long_help(lang))
        .subcommand_help_heading(say::heading_commands(lang))
        .args(globals(lang))
        .subcommands(subcommands(lang))
}

/// What the systemd units start, and nobody types: neither help nor completions nor the man page have it.
fn with_internals(command: Clap, lang: Lang) -> Clap {
    let unprivileged = flag("unprivileged", say::unprivileged(lang)).hide(true);
    let apply_request = Clap::new("apply-request").about(say::apply_request(lang)).hide(true);
    command.mut_subcommand("run", |run| run.arg(unprivileged)).subcommand(apply_request)
}

/// The first line and the heading of the usage, which clap has in English only.
fn frame(command: Clap, name: &str, lang: Lang) -> Clap {
    let styles = Styles::styled();
    let heading = styles.get_usage();
    let usage = say::heading_usage(lang);
    command.before_help(say::other_language(lang, name)).help_template(format!(
        "{{before-help}}{{about-with-newline}}\n{heading}{usage}{heading:#}{{usage}}\n\n{{all-args}}{{after-help}}"
    ))
}

fn globals(lang: Lang) -> Vec<Arg> {
    let path = |name: &'static str, value: &'static str, help: String| {
        option(name, value, help, lang).value_parser(value_parser!(PathBuf))
    };
    let words = |name: &'static str, value: &'static str, words: &'static [&'static str], help: String| {
        option(name, value, help, lang).value_parser(words.to_vec()).hide_possible_values(true)
    };
    let args = [
        path("config", "FILE", say::config(lang, CONFIG)),
        path("state-dir", "DIR", say::state_dir(lang, STATE_DIR)),
        path("runtime-dir", "DIR", say::runtime_dir(lang, RUNTIME_DIR)),
        Arg::new("verbose").short('v').long("verbose").action(ArgAction::Count).help(say::verbose(lang)),
        flag("quiet", say::quiet(lang)).short('q').conflicts_with("verbose"),
        words("lang", "LANG", &["en", "zh"], say::lang(lang)),
        words("color", "WHEN", &["auto", "always", "never"], say::color(lang)),
        Arg::new("help").short('h').long("help").action(ArgAction::Help).help(say::show_help(lang)),
        Arg::new("version")
            .short('V')
            .long("version")
            .action(ArgAction::Version)
            .help(say::show_version(lang)),
    ];
    // Far behind a command's own, in its help.
    let place = |(index, arg): (usize, Arg)| {
        arg.global(true).help_heading(say::heading_globals(lang)).display_order(100 + index)
    };
    args.into_iter().enumerate().map(place).collect()
}

fn subcommands(lang: Lang) -> Vec<Clap> {
    let mut all = vec![
        sub("run", say::run(lang), say::run_long(lang), lang),
        status(lang),
        probe(lang),
        apply(lang),
        restore(lang),
        pause(lang),
        sub("resume", say::resume(lang), say::resume_long(lang), lang),
        why(lang),
        sub("explain", say::explain(lang), say::explain_long(lang), lang)
            .arg(argument("name", "NAME", say::name_or_url(lang), lang).required(true)),
        history(lang),
        sub("check", say::check(lang), say::check_long(lang), lang)
            .arg(argument("file", "FILE", say::file(lang), lang).value_parser(value_parser!(PathBuf))),
        add(lang),
        sub("remove", say::remove(lang), say::remove_long(lang), lang)
            .arg(argument("name", "NAME", say::name_or_url(lang), lang).required(true)),
        completions(lang),
        man(lang),
    ];
    let names = all
        .iter()
        .map(|command| command.get_name().to_owned())
        .chain(["help".to_owned()])
        .collect::<Vec<_>>();
    let command = argument("command", "COMMAND", say::help_command(lang), lang);
    let command = command.value_parser(PossibleValuesParser::new(names)).hide_possible_values(true);
    all.push(sub("help", say::help(lang), say::help(lang), lang).arg(command));
    all
}

fn sub(name: &'static str, about: String, long: String, lang: Lang) -> Clap {
    frame(Clap::new(name), &format!("{PROGRAM} {name}"), lang)
        .display_name(PROGRAM)
        .about(about)
        .long_about(long)
        .next_help_heading(say::heading_options(lang))
}

fn argument(name: &'static str, value: &'static str, help: String, lang: Lang) -> Arg {
    let value = placeholder(lang, value);
    Arg::new(name).value_name(value).help(help).help_heading(say::heading_arguments(lang))
}

/// One whose value somebody may begin with a dash, `--for -1h`: what is wrong with it says our own reading.
fn read_by_us(option: Arg) -> Arg {
    option.allow_hyphen_values(true)
}

fn option(name: &'static str, value: &'static str, help: String, lang: Lang) -> Arg {
    Arg::new(name).long(name).value_name(placeholder(lang, value)).help(help)
}

fn json(lang: Lang) -> Arg {
    flag("json", say::json(lang))
}

fn dry_run(lang: Lang) -> Arg {
    flag("dry-run", say::dry_run(lang))
}

/// What stands for a value in the help.
fn placeholder(lang: Lang, english: &'static str) -> &'static str {
    match (lang, english) {
        (Lang::Zh, "FILE") => "文件",
        (Lang::Zh, "DIR") => "目录",
        (Lang::Zh, "LANG") => "语言",
        (Lang::Zh, "WHEN") => "何时",
        (Lang::Zh, "NAME") => "名称",
        (Lang::Zh, "NAME|URL") => "名称|URL",
        (Lang::Zh, "IMAGE") => "镜像",
        (Lang::Zh, "DEPTH") => "深度",
        (Lang::Zh, "N") => "编号",
        (Lang::Zh, "DURATION") => "时长",
        (Lang::Zh, "PAGE") => "手册页",
        (Lang::Zh, "COMMAND") => "命令",
        (Lang::En | Lang::Zh, same) => same,
    }
}

fn status(lang: Lang) -> Clap {
    sub("status", say::status(lang), say::status_long(lang), lang).args([
        flag("json", say::status_json(lang)),
        flag("watch", say::watch(lang)),
        flag("all", say::all(lang)),
    ])
}

fn probe(lang: Lang) -> Clap {
    let mirrors = argument("mirrors", "NAME|URL", say::mirrors(lang), lang);
    let image = move |text: &str| text.parse::<Image>().map_err(|error| error.what(lang));
    sub("probe", say::probe(lang), say::probe_long(lang), lang).args([
        mirrors.action(ArgAction::Append).num_args(0..),
        option("image", "IMAGE", say::image(lang), lang).value_parser(image),
        option("depth", "DEPTH", say::depth(lang), lang)
            .value_parser(["connect", "sample", "rehearse"])
            .hide_possible_values(true),
        json(lang),
    ])
}

fn apply(lang: Lang) -> Clap {
    let with_pending = flag("with-pending", say::with_pending(lang));
    sub("apply", say::apply(lang), say::apply_long(lang), lang).args([
        dry_run(lang),
        with_pending,
        json(lang),
    ])
}

fn restore(lang: Lang) -> Clap {
    sub("restore", say::restore(lang), say::restore_long(lang), lang).args([
        flag("list", say::list(lang)).conflicts_with_all(["to", "dry-run"]),
        read_by_us(option("to", "N", say::to(lang), lang))
            .value_parser(move |text: &str| text.parse::<u64>().map_err(|_| say::bad_number(lang)))
            .default_value("0")
            .hide_default_value(true),
        flag("no-pause", say::no_pause(lang)),
        dry_run(lang),
    ])
}

fn pause(lang: Lang) -> Clap {
    let length = read_by_us(option("for", "DURATION", say::length(lang), lang));
    sub("pause", say::pause(lang), say::pause_long(lang), lang)
        .arg(length.value_parser(move |text: &str| duration(text, lang)))
}

fn why(lang: Lang) -> Clap {
    let since = read_by_us(option("since", "DURATION", say::since(lang), lang));
    // Nothing at all is an answer here: only what is heard from now on.
    let length = move |text: &str| timestamp::duration(text).ok_or_else(|| say::bad_duration(lang));
    sub("why", say::why(lang), say::why_long(lang), lang).args([since.value_parser(length), json(lang)])
}

fn history(lang: Lang) -> Clap {
    let since = read_by_us(option("since", "DURATION", say::history_since(lang), lang));
    sub("history", say::history(lang), say::history_long(lang), lang).args([
        argument("name", "NAME", say::name_or_url(lang), lang),
        since.value_parser(move |text: &str| duration(text, lang)),
        json(lang),
    ])
}

fn add(lang: Lang) -> Clap {
    let named =
        move |text: &str| NameError::check(text).map(|()| text.to_owned()).map_err(|error| error.what(lang));
    sub("add", say::add(lang), say::add_long(lang), lang).args([
        argument("url", "URL", say::url(lang), lang).required(true),
        read_by_us(option("name", "NAME", say::name(lang), lang)).value_parser(named),
    ])
}

fn completions(lang: Lang) -> Clap {
    let shell = argument("shell", "SHELL", say::shell(lang), lang);
    let shell = shell.required(true).hide_possible_values(true).value_parser(value_parser!(Shell));
    sub("completions", say::completions(lang), say::completions_long(lang), lang).arg(shell)
}

fn man(lang: Lang) -> Clap {
    let page = argument("page", "PAGE", say::page(lang), lang).value_parser(Page::NAMES);
    let page = page.default_value(Page::NAMES[0]).hide_default_value(true).hide_possible_values(true);
    sub("man", say::man(lang), say::man_long(lang), lang).arg(page)
}

fn flag(name: &'static str, help: String) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn duration(text: &str, lang: Lang) -> Result<Duration, String> {
    match timestamp::duration(text) {
        Some(Duration::ZERO) => Err(say::no_duration(lang)),
        Some(duration) => Ok(duration),
        // humantime speaks of offsets and suffixes; what is wanted says more.
        None => Err(say::bad_duration(lang)),
    }
}

fn global(matches: &mut ArgMatches, lang: Lang, env: Env<'_>) -> Global {
    // Whoever has a Docker of their own has a mirrorwatch of their own, too.
    let own = Own::find(env);
    let said =
        matches.remove_one::<PathBuf>("config").or_else(|| env("MIRRORWATCH_CONFIG").map(PathBuf::from));
    let config = said.or_else(|| own.as_ref().and_then(Own::settings)).unwrap_or_else(|| CONFIG.into());
    // systemd names every directory of a unit that has several, separated by colons; the first is ours.
    let first = |dirs: PathBuf| {
        let first = dirs.to_str().and_then(|dirs| dirs.split(':').find(|dir| !dir.is_empty()));
        first.map_or_else(|| dirs.clone(), |dir| Path::new(dir).to_owned())
    };
    let mut dir = |option: &str, variable: &str, own: Option<PathBuf>, default: &str| {
        let said = matches.remove_one::<PathBuf>(option);
        let said = said.or_else(|| env(variable).map(PathBuf::from).map(first));
        said.or(own).unwrap_or_else(|| default.into())
    };
    Global {
        config,
        state_dir: dir("state-dir", "STATE_DIRECTORY", own.as_ref().map(Own::state_dir), STATE_DIR),
        runtime_dir: dir("runtime-dir", "RUNTIME_DIRECTORY", own.as_ref().map(Own::runtime_dir), RUNTIME_DIR),
        own: own.is_some(),
        verbose: matches.get_count("verbose"),
        quiet: matches.get_flag("quiet"),
        lang,
        color: match matches.get_one::<String>("color").map(String::as_str) {
            Some("always") => ColorChoice::Always,
            Some("never") => ColorChoice::Never,
            Some(_) | None => ColorChoice::Auto,
        },
        columns: env("COLUMNS")
            .and_then(|columns| columns.to_str()?.parse().ok())
            .filter(|columns| *columns > 0),
    }
}

fn subcommand(name: &str, mut matches: ArgMatches) -> Command {
    let required = "clap has seen to it that it is there";
    match name {
        "run" => Command::Run { unprivileged: matches.get_flag("unprivileged") },
        "apply-request" => Command::ApplyRequest,
        "status" => {
            let [json, watch, all] = ["json", "watch", "all"].map(|flag| matches.get_flag(flag));
            Command::Status { json, watch, all }
        }
        "probe" => Command::Probe {
            mirrors: matches.remove_many("mirrors").map(Iterator::collect).unwrap_or_default(),
            image: matches.remove_one("image"),
            depth: match matches.get_one::<String>("depth").map(String::as_str) {
                Some("connect") => Depth::Connect,
                Some("sample") => Depth::Sample,
                Some(_) | None => Depth::Rehearse,
            },
            json: matches.get_flag("json"),
        },
        "apply" => Command::Apply {
            dry_run: matches.get_flag("dry-run"),
            with_pending: matches.get_flag("with-pending"),
            json: matches.get_flag("json"),
        },
        "restore" => Command::Restore {
            list: matches.get_flag("list"),
            to: matches.remove_one("to").unwrap_or_default(),
            dry_run: matches.get_flag("dry-run"),
            pause: !matches.get_flag("no-pause"),
        },
        "pause" => Command::Pause { length: matches.remove_one("for") },
        "resume" => Command::Resume,
        "why" => {
            let since = matches.remove_one("since").unwrap_or(WHY_SINCE);
            Command::Why { since, json: matches.get_flag("json") }
        }
        "explain" => Command::Explain { name: matches.remove_one("name").expect(required) },
        "history" => Command::History {
            name: matches.remove_one("name"),
            since: matches.remove_one("since"),
            json: matches.get_flag("json"),
        },
        "check" => Command::Check { file: matches.remove_one("file") },
        "add" => {
            Command::Add { url: matches.remove_one("url").expect(required), name: matches.remove_one("name") }
        }
        "remove" => Command::Remove { name: matches.remove_one("name").expect(required) },
        "completions" => Command::Completions { shell: matches.remove_one("shell").expect(required) },
        "man" => {
            Command::Man { page: Page::named(matches.get_one::<String>("page").map_or("", String::as_str)) }
        }
        other => unreachable!("clap knows no subcommand {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str], env: &[(&str, &str)]) -> Cli {
        let args = [PROGRAM].iter().chain(args).map(OsString::from).collect();
        let env =
            |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value));
        super::super::parse(args, env).unwrap()
    }

    #[test]
    fn the_definition_is_sound_in_both_languages() {
        for lang in [Lang::En, Lang::Zh] {
            with_internals(command(lang), lang).debug_assert();
        }
    }

    #[test]
    fn each_command_is_understood_with_its_arguments() {
        let status = Command::Status { json: false, watch: false, all: false };
        let probe = |mirrors: &[&str], depth| Command::Probe {
            mirrors: mirrors.iter().map(ToString::to_string).collect(),
            image: None,
            depth,
            json: false,
        };
        for (args, command) in [
            (&[][..], status),
            (
                &["status", "--json", "--watch", "--all"],
                Command::Status { json: true, watch: true, all: true },
            ),
            (&["run"], Command::Run { unprivileged: false }),
            (&["run", "--unprivileged"], Command::Run { unprivileged: true }),
            (&["apply-request"], Command::ApplyRequest),
            (&["probe"], probe(&[], Depth::Rehearse)),
            (&["probe", "a", "https://b", "--depth", "sample"], probe(&["a", "https://b"], Depth::Sample)),
            (&["probe", "--", "--a"], probe(&["--a"], Depth::Rehearse)),
            (&["apply", "--dry-run"], Command::Apply { dry_run: true, with_pending: false, json: false }),
            (
                &["apply", "--with-pending"],
                Command::Apply { dry_run: false, with_pending: true, json: false },
            ),
            (&["restore"], Command::Restore { list: false, to: 0, dry_run: false, pause: true }),
            (
                &["restore", "--no-pause"],
                Command::Restore { list: false, to: 0, dry_run: false, pause: false },
            ),
            (
                &["restore", "--to", "7", "--dry-run"],
                Command::Restore { list: false, to: 7, dry_run: true, pause: true },
            ),
            (&["restore", "--list"], Command::Restore { list: true, to: 0, dry_run: false, pause: true }),
            (&["pause"], Command::Pause { length: None }),
            (&["pause", "--for", "1h 30m"], Command::Pause { length: Some(Duration::from_secs(5400)) }),
            (&["resume"], Command::Resume),
            (&["why"], Command::Why { since: WHY_SINCE, json: false }),
            (
                &["why", "--since", "2d", "--json"],
                Command::Why { since: Duration::from_secs(172_800), json: true },
            ),
            (&["explain", "n"], Command::Explain { name: "n".into() }),
            (&["history"], Command::History { name: None, since: None, json: false }),
            (
                &["history", "n", "--since", "2d", "--json"],
                Command::History {
                    name: Some("n".into()),
                    since: Some(Duration::from_secs(2 * 24 * 3600)),
                    json: true,
                },
            ),
            (&["check", "x.toml"], Command::Check { file: Some("x.toml".into()) }),
            (
                &["add", "https://a", "--name", "n"],
                Command::Add { url: "https://a".into(), name: Some("n".into()) },
            ),
            (&["remove", "n"], Command::Remove { name: "n".into() }),
            (&["completions", "fish"], Command::Completions { shell: Shell::Fish }),
            (&["man"], Command::Man { page: Page::Program }),
            (&["man", "mirrors.toml"], Command::Man { page: Page::Settings }),
        ] {
            assert_eq!(parsed(args, &[]).command, command, "{args:?}");
        }
    }

    #[test]
    fn global_options_stand_before_and_after_the_command() {
        let options = [
            "--config",
            "c",
            "--state-dir",
            "s",
            "--runtime-dir",
            "r",
            "-vv",
            "--lang",
            "zh",
            "--color=never",
        ];
        let before = [&options[..], &["status"]].concat();
        let after = [&["status"], &options[..]].concat();
        let expected = Global {
            config: "c".into(),
            state_dir: "s".into(),
            runtime_dir: "r".into(),
            own: false,
            verbose: 2,
            quiet: false,
            lang: Lang::Zh,
            color: ColorChoice::Never,
            columns: Some(70),
        };
        for args in [before, after] {
            assert_eq!(parsed(&args, &[("COLUMNS", "70")]).global, expected, "{args:?}");
        }
    }

    #[test]
    fn what_is_not_said_comes_from_the_environment_and_then_from_the_defaults() {
        let defaults = parsed(&[], &[("STATE_DIRECTORY", ""), ("COLUMNS", "0")]).global;
        assert_eq!(defaults.config, Path::new(CONFIG));
        assert_eq!(
            (defaults.state_dir.as_path(), defaults.runtime_dir.as_path()),
            (Path::new(STATE_DIR), Path::new(RUNTIME_DIR))
        );
        assert_eq!((defaults.color, defaults.columns, defaults.lang), (ColorChoice::Auto, None, Lang::En));
        let env = [
            ("MIRRORWATCH_CONFIG", "/a:b.toml"),
            // systemd separates by colons; a path that was typed may have some of its own.
            ("STATE_DIRECTORY", "/var/lib/one:/var/lib/two"),
            ("RUNTIME_DIRECTORY", "/run/one"),
        ];
        let global = parsed(&["--runtime-dir", "/x:y"], &env).global;
        assert_eq!(global.config, Path::new("/a:b.toml"));
        assert_eq!(global.state_dir, Path::new("/var/lib/one"));
        assert_eq!(global.runtime_dir, Path::new("/x:y"));
    }

    #[test]
    fn the_last_language_said_is_the_one_and_behind_a_double_dash_nothing_is_said() {
        for (args, lang) in [
            (&["--lang", "zh", "status", "--lang", "en"][..], Lang::En),
            (&["--lang=zh"], Lang::Zh),
            (&["probe", "--", "--lang", "zh"], Lang::En),
        ] {
            assert_eq!(parsed(args, &[]).global.lang, lang, "{args:?}");
        }
    }
}
