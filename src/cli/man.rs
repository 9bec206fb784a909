//! `mirrorwatch man`: mirrorwatch(1), every command on it, and mirrors.toml(5), in either language.
//!
//! clap_mangen's own sections have English headings and make a page of each command; so its roff is used, and the
//! sections are ours.

mod settings;

use std::path::Path;

use clap::{Arg, Command as Clap};
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use unicode_width::UnicodeWidthChar;

use super::args::{self, CONFIG, PROGRAM, RUNTIME_DIR, STATE_DIR};
use super::exit::{Error, Exit};
use super::out::Out;
use crate::applier::root_state;
use crate::text::{Lang, cli as say};

/// Which page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// mirrorwatch(1).
    Program,
    /// mirrors.toml(5).
    Settings,
}

impl Page {
    /// The pages, as they are named on the command line.
    pub const NAMES: [&str; 2] = [PROGRAM, "mirrors.toml"];

    /// The page of that name; that of the program unless it is the other's.
    pub fn named(name: &str) -> Self {
        if name == Self::NAMES[1] { Self::Settings } else { Self::Program }
    }
}

/// Prints a page.
///
/// # Errors
///
/// Standard output takes no more.
pub fn print(page: Page, lang: Lang, out: &mut Out) -> Result<Exit, Error> {
    out.print(&match page {
        Page::Program => program(lang),
        Page::Settings => settings::page(lang),
    })?;
    Ok(Exit::Ok)
}

/// The page of the program as roff.
fn program(lang: Lang) -> String {
    let command = args::command(lang);
    let mut roff = Roff::new();
    // The blanks and hyphens that fill a line only make it harder to copy a command from.
    roff.control("ad", ["l"]);
    roff.control("nh", []);
    roff.control("SH", [say::man_name(lang).as_str()]);
    roff.text([roman(format!("{PROGRAM} - {}", say::about(lang)))]);
    roff.control("SH", [say::man_synopsis(lang).as_str()]);
    for sub in commands(&command) {
        synopsis(&mut roff, sub);
    }
    roff.control("SH", [say::man_description(lang).as_str()]);
    paragraphs(&mut roff, &say::long_about(lang));
    roff.control("PP", []);
    roff.text([roman(say::after_help(lang))]);
    roff.control("SH", [say::man_commands(lang).as_str()]);
    for sub in commands(&command) {
        roff.control("SS", [sub.get_name()]);
        paragraphs(&mut roff, &sub.get_long_about().map(ToString::to_string).unwrap_or_default());
        // Global arguments are a section of their own.
        for arg in sub.get_arguments().filter(|arg| !arg.is_global_set()) {
            item(&mut roff, names(arg), &arg.get_help().map(ToString::to_string).unwrap_or_default());
        }
    }
    roff.control("SH", [say::man_globals(lang).as_str()]);
    for arg in command.get_arguments() {
        item(&mut roff, names(arg), &arg.get_help().map(ToString::to_string).unwrap_or_default());
    }
    appendix(&mut roff, lang);
    title("MIRRORWATCH", 1, lang) + &breakable(&roff.to_roff())
}

/// By hand, because the builder cannot write an empty argument: a page without a date.
fn title(name: &str, section: u8, lang: Lang) -> String {
    format!(
        ".TH {name} {section} \"\" \"{PROGRAM} {}\" \"{}\"\n",
        env!("CARGO_PKG_VERSION"),
        say::man_manual(lang)
    )
}

/// Lets lines of Chinese break: troff breaks at blanks, and Chinese has none.
fn breakable(page: &str) -> String {
    let wide = |c: char| c.width() == Some(2);
    let (opening, closing) = ("（《「【“", "，。；：、？！）》」】”");
    let mut out = String::with_capacity(page.len());
    for line in page.lines() {
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            out.push(c);
            let next_opens_a_line = chars.peek().is_some_and(|next| wide(*next) && !closing.contains(*next));
            if wide(c) && !opening.contains(c) && next_opens_a_line && !line.starts_with('.') {
                out.push_str("\\:");
            }
        }
        out.push('\n');
    }
    out
}

fn commands(command: &Clap) -> impl Iterator<Item = &Clap> {
    command.get_subcommands().filter(|sub| sub.get_name() != "help")
}

fn synopsis(roff: &mut Roff, command: &Clap) {
    let mut line = vec![bold(format!("{PROGRAM} {}", command.get_name()))];
    for arg in command.get_arguments().filter(|arg| !arg.is_global_set()) {
        let (open, close) = if arg.is_required_set() { (" ", "") } else { (" [", "]") };
        let more = arg.get_num_args().is_some_and(|range| range.max_values() > 1);
        line.push(roman(open));
        line.extend(names(arg));
        line.push(roman(if more { " ...]" } else { close }));
    }
    roff.text(line);
    roff.control("br", []);
}

/// `-v, --verbose`, `--config FILE`, `URL`.
fn names(arg: &Arg) -> Vec<Inline> {
    let short = arg.get_short().map(|short| format!("-{short}"));
    let long = arg.get_long().map(|long| format!("--{long}"));
    let mut inline: Vec<Inline> = Vec::new();
    for name in short.into_iter().chain(long) {
        if !inline.is_empty() {
            inline.push(roman(", "));
        }
        inline.push(bold(name));
    }
    if arg.get_action().takes_values() {
        if !inline.is_empty() {
            inline.push(roman(" "));
        }
        inline.push(italic(arg.get_value_names().map(|names| names.join(" ")).unwrap_or_default()));
    }
    inline
}

fn paragraphs(roff: &mut Roff, text: &str) {
    for (index, paragraph) in text.split("\n\n").enumerate() {
        if index > 0 {
            roff.control("PP", []);
        }
        roff.text([roman(paragraph)]);
    }
}

fn item(roff: &mut Roff, head: Vec<Inline>, text: &str) {
    roff.control("TP", []);
    roff.text(head);
    roff.text([roman(text)]);
}

fn appendix(roff: &mut Roff, lang: Lang) {
    roff.control("SH", [say::man_exit(lang).as_str()]);
    for exit in Exit::ALL {
        let text = match exit {
            Exit::Ok => say::exit_ok(lang),
            Exit::Failed => say::exit_failed(lang),
            Exit::Usage => say::exit_usage(lang),
            Exit::NotRunning => say::exit_not_running(lang),
            Exit::NotPermitted => say::exit_not_permitted(lang),
            Exit::Config => say::exit_config(lang),
        };
        item(roff, vec![bold(exit.code().to_string())], &text);
    }
    roff.control("SH", [say::man_environment(lang).as_str()]);
    for (name, text) in [
        ("MIRRORWATCH_CONFIG", say::env_config(lang)),
        ("STATE_DIRECTORY", say::env_state(lang)),
        ("RUNTIME_DIRECTORY", say::env_runtime(lang)),
        ("MIRRORWATCH_LANG", say::env_lang(lang)),
        ("NO_COLOR", say::env_no_color(lang)),
    ] {
        item(roff, vec![bold(name)], &text);
    }
    roff.control("SH", [say::man_files(lang).as_str()]);
    for (name, text) in settings_files(lang).into_iter().chain([
        (format!("{RUNTIME_DIR}/status.json"), say::file_status(lang)),
        (STATE_DIR.to_owned(), say::file_state(lang)),
        (root_state(Path::new(STATE_DIR)).display().to_string(), say::file_root_state(lang)),
    ]) {
        item(roff, vec![italic(name)], &text);
    }
    roff.control("SH", [say::man_see_also(lang).as_str()]);
    roff.text([
        bold("mirrors.toml"),
        roman("(5), "),
        bold("dockerd"),
        roman("(8), "),
        bold("systemctl"),
        roman("(1)"),
    ]);
}

/// The files that mirrors.toml(5) is about.
fn settings_files(lang: Lang) -> [(String, String); 2] {
    [
        (CONFIG.to_owned(), say::file_config(lang)),
        ("/etc/mirrorwatch/mirrors.d/local.toml".to_owned(), say::file_local(lang)),
    ]
}
