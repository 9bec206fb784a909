//! Exit codes, and errors as they are printed.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};

use super::{Global, args};
use crate::text::{advice, cli as say};

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

    /// Says it on standard error; `typed` is what the user typed, for what to type instead, and `env` what it was
    /// understood by.
    pub fn print(&self, global: &Global, typed: &[OsString], env: &dyn Fn(&str) -> Option<OsString>) {
        let again = || {
            if rustix::process::geteuid().is_root() {
                return say::not_even_root(global.lang);
            }
            let command = quoted(&with_places(global, typed, env));
            say::type_instead(global.lang, &format!("sudo {command}"))
        };
        let hint = || Some(advice::to(global.own, self.hint.as_deref()?).into_owned());
        let hint = match self.exit {
            Exit::NotPermitted => hint().or_else(|| Some(again())),
            Exit::Ok | Exit::Failed | Exit::Usage | Exit::NotRunning | Exit::Config => hint(),
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

/// What was typed, with the places that the environment named: `sudo` does not hand it on.
fn with_places(global: &Global, typed: &[OsString], env: &dyn Fn(&str) -> Option<OsString>) -> Vec<OsString> {
    let places = [
        ("--config", "MIRRORWATCH_CONFIG", &global.config),
        ("--state-dir", "STATE_DIRECTORY", &global.state_dir),
        ("--runtime-dir", "RUNTIME_DIRECTORY", &global.runtime_dir),
    ];
    let said = |option: &str, variable: &str| {
        args::said(typed, option).is_some() || env(variable).is_none_or(|value| value.is_empty())
    };
    let named = places.into_iter().filter(|(option, variable, _)| !said(option, variable));
    let named = named.flat_map(|(option, _, path)| [option.into(), path.clone().into_os_string()]);
    let (program, rest) = typed.split_at(typed.len().min(1));
    program.iter().cloned().chain(named).chain(rest.iter().cloned()).collect()
}

/// What was typed, such that a shell reads it as the same words.
pub(super) fn quoted(typed: &[OsString]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    let words = typed.iter().map(|word| match word.to_string_lossy() {
        word if !word.is_empty() && word.chars().all(plain) => word.into_owned(),
        word => format!("'{}'", word.replace('\'', r"'\''")),
    });
    words.collect::<Vec<_>>().join(" ")
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
