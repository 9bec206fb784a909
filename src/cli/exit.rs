//! Exit codes, and errors as they are printed.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::Global;
use crate::text::{Lang, cli as say};

/// Every way to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done; healthy.
    Ok,
    /// Not done; not healthy.
    Failed,
    /// The command line was not understood.
    Usage,
    /// The service is not running.
    NotRunning,
    /// Somebody with more rights could.
    NotPermitted,
    /// mirrors.toml is invalid: `EX_CONFIG` of sysexits.h, at which systemd does not try again.
    Config,
}

impl Exit {
    /// Every code, in its order.
    pub const ALL: [Self; 6] =
        [Self::Ok, Self::Failed, Self::Usage, Self::NotRunning, Self::NotPermitted, Self::Config];

    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotRunning => 3,
            Self::NotPermitted => 4,
            Self::Config => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// Why a command ended without its work done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// With which code to end.
    pub exit: Exit,
    /// Path first, act second, cause last; in the user's language.
    pub message: String,
    /// What to do about it. For [`Exit::NotPermitted`] the same command with `sudo` goes without saying.
    pub hint: Option<String>,
}

impl Error {
    /// Code 1.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// Any code.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    /// The same with a hint.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Says it on standard error; `typed` is what the user typed, for what to type instead.
    pub fn print(&self, global: &Global, typed: &[OsString]) {
        let again = || say::type_instead(global.lang, &format!("sudo {}", quoted(typed)));
        let hint = match self.exit {
            Exit::NotPermitted => self.hint.clone().or_else(|| Some(again())),
            Exit::Ok | Exit::Failed | Exit::Usage | Exit::NotRunning | Exit::Config => self.hint.clone(),
        };
        let mut text = String::new();
        line(&mut text, AnsiColor::Red.on_default().bold(), &say::error(global.lang), &self.message);
        if let Some(hint) = hint {
            line(&mut text, AnsiColor::Cyan.on_default().bold(), &say::hint(global.lang), &hint);
        }
        // Nobody can be told that standard error is gone.
        drop(AutoStream::new(std::io::stderr(), global.color).write_all(text.as_bytes()));
    }
}

fn line(out: &mut String, style: Style, label: &str, text: &str) {
    writeln!(out, "{style}{label}{style:#}{text}").expect("a String takes everything");
}

/// What was typed, such that a shell reads it as the same words.
fn quoted(typed: &[OsString]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    let words = typed.iter().map(|word| match word.to_string_lossy() {
        word if !word.is_empty() && word.chars().all(plain) => word.into_owned(),
        word => format!("'{}'", word.replace('\'', r"'\''")),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Prints what clap has to say: help and version on standard output, the rest on standard error.
pub fn print_usage(error: &clap::Error, lang: Lang) -> Exit {
    let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
    if exit == Exit::Usage && lang == Lang::Zh {
        // clap's own sentences have no translations.
        let ours = headline(error, lang);
        let complete = ours.is_some();
        let mut text = format!("{}{}\n", say::error(lang), ours.unwrap_or_else(|| say::usage_error(lang)));
        if complete {
            usage_hints(&mut text, error, lang);
        }
        drop(std::io::stderr().write_all(text.as_bytes()));
        if complete {
            return exit;
        }
    }
    // A reader of the help may have hung up already, and that is fine.
    drop(error.print());
    exit
}

/// What was meant, what may be said, and how the command is used.
fn usage_hints(text: &mut String, error: &clap::Error, lang: Lang) {
    let said = |kind| match error.get(kind) {
        Some(ContextValue::Strings(all)) if !all.is_empty() => Some(all.join(", ")),
        Some(ContextValue::String(one)) => Some(one.clone()),
        _ => None,
    };
    let mut hint = |line: String| text.push_str(&format!("{}{line}\n", say::hint(lang)));
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
        text.push_str(&format!("{}{usage}\n", say::heading_usage(lang)));
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
        (ErrorKind::UnknownArgument, Some(argument), _) => say::unknown_argument(lang, &argument),
        (ErrorKind::InvalidSubcommand, _, _) => {
            say::unknown_command(lang, &context(ContextKind::InvalidSubcommand).unwrap_or_default())
        }
        (ErrorKind::InvalidValue | ErrorKind::ValueValidation, Some(argument), Some(value))
            if !value.is_empty() =>
        {
            say::bad_value(lang, &argument, &value)
        }
        (ErrorKind::InvalidValue, Some(argument), _) => say::missing_value(lang, &argument),
        (ErrorKind::ArgumentConflict, Some(argument), _) => {
            say::conflict(lang, &argument, &context(ContextKind::PriorArg)?)
        }
        (ErrorKind::MissingRequiredArgument, Some(argument), _) => say::missing(lang, &argument),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_to_type_instead_is_one_that_a_shell_reads_the_same() {
        for (typed, shown) in [
            (&["mirrorwatch", "pause", "--for", "2h"][..], "mirrorwatch pause --for 2h"),
            (&["./m", "--config", "/a b/it's.toml", ""], r"./m --config '/a b/it'\''s.toml' ''"),
            (&["m", "$(reboot)"], "m '$(reboot)'"),
        ] {
            let typed: Vec<OsString> = typed.iter().map(OsString::from).collect();
            assert_eq!(quoted(&typed), shown);
        }
    }
}
