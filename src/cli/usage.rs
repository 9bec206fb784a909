//! What clap has to say: help, version, and what was wrong with the command line.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};

use anstream::{AutoStream, ColorChoice};
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use unicode_width::UnicodeWidthChar;

use super::args;
use super::exit::Exit;
use crate::text::detail::detail;
use crate::text::{Lang, cli as say};
use crate::timestamp;

/// How wide the help is where there is no terminal; clap's own.
const WIDTH: usize = 100;

/// Prints it: help and version on standard output, the rest on standard error.
pub fn print(mut error: clap::Error, typed: &[OsString], env: &dyn Fn(&str) -> Option<OsString>) -> Exit {
    let lang = args::language(typed, env);
    without_far_fetched(&mut error);
    let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
    if exit == Exit::Usage && lang == Lang::Zh {
        // clap's own sentences have no translations.
        let ours = headline(&error, lang);
        let complete = ours.is_some();
        let mut text = format!("{}{}\n", say::error(lang), ours.unwrap_or_else(|| say::usage_error(lang)));
        if complete {
            usage_hints(&mut text, &error, lang);
        }
        drop(io::stderr().write_all(text.as_bytes()));
        if complete {
            return exit;
        }
    }
    if let (Lang::En, Some(meant)) = (lang, meant_option(&error)) {
        let tip = StyledStr::from(say::did_you_mean(lang, &meant));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    let printed = match (exit, lang) {
        (Exit::Ok, Lang::Zh) => chinese_help(&error, typed, env),
        _ => error.print(),
    };
    match printed {
        // A reader of the help may have hung up already, and that is fine.
        Err(cause) if exit == Exit::Ok && cause.kind() != io::ErrorKind::BrokenPipe => {
            let line =
                format!("{}{}\n", say::error(lang), say::stdout(lang, &detail(lang, &cause.to_string())));
            drop(io::stderr().write_all(line.as_bytes()));
            Exit::Failed
        }
        Ok(()) | Err(_) => exit,
    }
}

/// Another shell's name is no slip of the finger for one of ours: `tcsh` is not `zsh`.
fn without_far_fetched(error: &mut clap::Error) {
    let first = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.chars().next(),
        Some(ContextValue::Strings(all)) => all.first().and_then(|text| text.chars().next()),
        _ => None,
    };
    if first(ContextKind::SuggestedValue) != first(ContextKind::InvalidValue) {
        error.remove(ContextKind::SuggestedValue);
    }
}

/// The option that somebody left out before its value: `pause 1h`.
fn meant_option(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(said)) = error.get(ContextKind::InvalidArg) else { return None };
    if error.kind() != ErrorKind::UnknownArgument || timestamp::duration(said).is_none() {
        return None;
    }
    let usage = error
        .get(ContextKind::Usage)
        .map(|usage| anstream::adapter::strip_str(&usage.to_string()).to_string())?;
    let option = match usage.split_whitespace().find(|word| ["pause", "why"].contains(word))? {
        "pause" => "--for",
        _ => "--since",
    };
    Some(format!("{option} {said}"))
}

/// The help with lines that break where Chinese may break: clap knows blanks only, and Chinese has none.
fn chinese_help(
    error: &clap::Error,
    typed: &[OsString],
    env: &dyn Fn(&str) -> Option<OsString>,
) -> io::Result<()> {
    let columns = env("COLUMNS").and_then(|columns| columns.to_str()?.parse().ok());
    let terminal = || rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col));
    let width = columns.or_else(terminal).filter(|columns| *columns > 0).unwrap_or(WIDTH);
    let text = wrapped(&in_chinese(&error.render().ansi().to_string()), width);
    let choice = match args::said(typed, "--color").and_then(OsStr::to_str) {
        Some("always") => ColorChoice::Always,
        Some("never") => ColorChoice::Never,
        Some(_) | None => ColorChoice::Auto,
    };
    let mut out = AutoStream::new(io::stdout(), choice);
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// The words of the usage, and the colon behind a heading, that clap has in English only.
fn in_chinese(help: &str) -> String {
    let said = [
        ("[OPTIONS]", "[选项]"),
        ("[COMMAND]", "[命令]"),
        ("命令:", "命令："),
        ("参数:", "参数："),
        ("选项:", "选项："),
    ];
    said.into_iter().fold(help.to_owned(), |help, (english, chinese)| help.replace(english, chinese))
}

/// `text` with no line wider than `width`, as far as there is a place to break at; what is continued stands below the
/// beginning of its own column.
fn wrapped(text: &str, width: usize) -> String {
    let heads: Vec<Head> = text.lines().map(Head::of).collect();
    let mut out = String::with_capacity(text.len());
    for (line, head) in text.lines().zip(&heads) {
        // clap counts characters, so that placeholders in Chinese push their help to the right.
        let same = heads.iter().filter(|other| other.gap > 0 && other.column == head.column);
        let hang = match head.gap {
            0 => head.width,
            _ => same.map(|other| other.width).max().unwrap_or(0) + 2,
        };
        let mut words = words(line, head.width + head.gap);
        if let Some((first, wide)) = words.first_mut().filter(|_| head.gap > 0) {
            first.truncate(first.trim_end_matches(' ').len());
            first.push_str(&" ".repeat(hang - head.width));
            *wide = hang;
        }
        let mut column = 0;
        for (word, wide) in words {
            let blanks = word.len() - word.trim_end_matches(' ').len();
            if column > hang && column + wide - blanks > width {
                out.truncate(out.trim_end_matches(' ').len());
                out.push('\n');
                out.push_str(&" ".repeat(hang));
                column = hang;
            }
            out.push_str(&word);
            column += wide;
        }
        out.push('\n');
    }
    out
}

/// What stands in a line before the help of an option: the option; else the blanks that the line begins with.
struct Head {
    /// As it is shown.
    width: usize,
    /// The blanks behind it; none where there is no help in the line.
    gap: usize,
    /// Where the help begins, in characters.
    column: usize,
}

impl Head {
    fn of(line: &str) -> Self {
        let plain = anstream::adapter::strip_str(line).to_string();
        let indent = plain.len() - plain.trim_start_matches(' ').len();
        let Some(end) = plain[indent..].find("  ").filter(|_| indent > 0).map(|gap| indent + gap) else {
            return Self { width: indent, gap: 0, column: indent };
        };
        let gap = plain[end..].len() - plain[end..].trim_start_matches(' ').len();
        let head = &plain[..end];
        let width = head.chars().map(|c| c.width().unwrap_or(0)).sum();
        Self { width, gap, column: head.chars().count() + gap }
    }
}

/// The pieces of a line between which it may break, each with its width; what stands before `hang` is one.
fn words(line: &str, hang: usize) -> Vec<(String, usize)> {
    let (opening, closing) = ("（《「【“[<(", "，。；：、？！）》」】”]>),.;:");
    let wide = |c: char| c.width() == Some(2);
    let mut words = vec![(String::new(), 0)];
    let (mut column, mut before, mut escape) = (0, ' ', false);
    for c in line.chars() {
        escape |= c == '\u{1b}';
        if !escape {
            let may = (before == ' ' && c != ' ')
                || ((wide(before) || wide(c))
                    && !opening.contains(before)
                    && !closing.contains(c)
                    && c != ' ');
            if may && column >= hang {
                words.push((String::new(), 0));
            }
            before = c;
        }
        let (word, width) = words.last_mut().expect("it began with one");
        word.push(c);
        if !escape {
            *width += c.width().unwrap_or(0);
            column += c.width().unwrap_or(0);
        }
        escape &= c != 'm';
    }
    words
}

/// What was meant, what may be said, and how the command is used.
fn usage_hints(text: &mut String, error: &clap::Error, lang: Lang) {
    let said = |kind| match error.get(kind) {
        Some(ContextValue::Strings(all)) if !all.is_empty() => Some(all.join(", ")),
        Some(ContextValue::String(one)) => Some(one.clone()),
        _ => None,
    };
    let mut hint = |line: String| text.push_str(&format!("{}{line}\n", say::hint(lang)));
    if let Some(meant) = meant_option(error) {
        hint(say::did_you_mean(lang, &meant));
    }
    let meant = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue];
    if let Some(meant) = meant.into_iter().find_map(said) {
        hint(say::did_you_mean(lang, &meant));
    }
    if let Some(values) = said(ContextKind::ValidValue) {
        hint(say::one_of(lang, &values));
    }
    // What our own reading of a value says is in the user's language already.
    if let (ErrorKind::ValueValidation, Some(why)) = (error.kind(), std::error::Error::source(error)) {
        hint(why.to_string());
    }
    if let Some(usage) = error.get(ContextKind::Usage).map(ToString::to_string) {
        let usage = usage.trim_start().trim_start_matches("Usage:").trim();
        text.push_str(&format!("{}{}\n", say::heading_usage(lang), in_chinese(usage)));
        let command: Vec<&str> =
            usage.split(' ').take_while(|word| !word.starts_with(['[', '<', '-'])).collect();
        text.push_str(&format!("{}\n", say::see_help(lang, &format!("{} --help", command.join(" ")))));
    }
}

/// What is wrong, where a sentence of ours says all of it.
fn headline(error: &clap::Error, lang: Lang) -> Option<String> {
    let context = |kind| error.get(kind).map(ToString::to_string);
    let (argument, value) = (context(ContextKind::InvalidArg), context(ContextKind::InvalidValue));
    Some(match (error.kind(), argument, value) {
        (ErrorKind::UnknownArgument, Some(argument), _) if argument.starts_with('-') => {
            say::unknown_argument(lang, &argument)
        }
        (ErrorKind::UnknownArgument, Some(argument), _) => say::surplus_argument(lang, &argument),
        (ErrorKind::InvalidSubcommand, _, _) => {
            say::unknown_command(lang, &context(ContextKind::InvalidSubcommand).unwrap_or_default())
        }
        (ErrorKind::ValueValidation, Some(argument), Some(value)) if value.is_empty() => {
            say::bad_value(lang, &argument, "\"\"")
        }
        (ErrorKind::InvalidValue | ErrorKind::ValueValidation, Some(argument), Some(value))
            if !value.is_empty() =>
        {
            say::bad_value(lang, &argument, &value)
        }
        (ErrorKind::InvalidValue, Some(argument), _) => say::missing_value(lang, &argument),
        (ErrorKind::ArgumentConflict, Some(argument), _) => say::conflict(
            lang,
            argument.trim_end_matches('.'),
            context(ContextKind::PriorArg)?.trim_end_matches('.'),
        ),
        (ErrorKind::MissingRequiredArgument, Some(argument), _) => say::missing(lang, &argument),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_breaks_between_its_characters_and_never_before_a_full_stop() {
        let line = "  -h, --help  显示帮助；更详细。";
        for (width, expected) in [
            (32, "  -h, --help  显示帮助；更详细。\n".to_owned()),
            (30, format!("  -h, --help  显示帮助；更详\n{}细。\n", " ".repeat(14))),
            (26, format!("  -h, --help  显示帮助；更\n{}详细。\n", " ".repeat(14))),
            (23, format!("  -h, --help  显示帮\n{}助；更详\n{}细。\n", " ".repeat(14), " ".repeat(14))),
        ] {
            assert_eq!(wrapped(&format!("{line}\n"), width), expected, "{width}");
        }
        let options = "  --a <文件>   一二\n  --bcd <x>  三四\n";
        assert_eq!(wrapped(options, 80), "  --a <文件>  一二\n  --bcd <x>   三四\n");
        assert_eq!(wrapped("一行 command 二行\n", 12), "一行 command\n二行\n");
        assert_eq!(wrapped("\u{1b}[1m一二\u{1b}[0m三四\n", 6), "\u{1b}[1m一二\u{1b}[0m三\n四\n");
    }
}
