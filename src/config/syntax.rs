//! What is wrong where a file is not TOML at all, in words for people who do not know TOML's.

use std::ops::Range;

use super::safe::quoted;
use crate::text::{Lang, config as say};

/// One error of the TOML parser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Syntax {
    kind: Kind,
    /// A character of a Chinese keyboard's full-width forms in this line, and what TOML wants instead.
    full_width: Option<(char, char)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// Text without quotes; what was said.
    Unquoted(String),
    /// Nothing after the equals sign.
    NoValue,
    /// The same key or table twice.
    Twice(String),
    /// A key and no equals sign; whether a colon stands there.
    NoEquals { colon: bool },
    /// No quote at the end.
    OpenQuote,
    /// No bracket at the end.
    OpenBracket,
    /// Two elements without a comma between them; or the bracket is missing.
    NoComma,
    /// Something after the value; whether it looks like a comment of another language.
    LeftOver { slashes: bool },
    /// A key with other characters than letters, digits, `-` and `_`.
    Key,
    /// `True`, `FALSE`, or what begins like them.
    Flag,
    /// A backslash before a character that it does not escape.
    Escape,
    /// Anything else, in the parser's own words.
    Other(String),
}

impl Syntax {
    /// Reads the parser's error. Its messages are no interface, so what is not recognised stays as it is.
    pub(super) fn new(text: &str, error: &toml::de::Error) -> (Range<usize>, Self) {
        let span = error.span().unwrap_or(text.len()..text.len());
        let said = text.get(span.clone()).unwrap_or_default();
        let line = line_at(text, span.start);
        let message = error.message();
        let begins = |prefix: &str| message.starts_with(prefix);
        let kind = if begins("string values must be quoted") && said.trim().is_empty() {
            Kind::NoValue
        } else if begins("string values must be quoted") {
            Kind::Unquoted(said.to_owned())
        } else if begins("duplicate key") {
            Kind::Twice(said.to_owned())
        } else if begins("key with no value") {
            Kind::NoEquals { colon: line.contains(':') }
        } else if ["invalid basic string", "invalid literal string"].iter().any(|it| begins(it))
            && said.is_empty()
        {
            Kind::OpenQuote
        } else if ["unclosed table", "unclosed array"].iter().any(|it| begins(it)) {
            Kind::OpenBracket
        } else if begins("missing comma between array") {
            Kind::NoComma
        } else if begins("unexpected key or value") {
            let rest = text.get(span.start..).unwrap_or_default();
            Kind::LeftOver { slashes: rest.starts_with("//") || line.contains("//") && !line.contains("://") }
        } else if begins("invalid unquoted key") {
            Kind::Key
        } else if begins("invalid boolean") {
            Kind::Flag
        } else if begins("missing escaped value") {
            Kind::Escape
        } else {
            Kind::Other(message.to_owned())
        };
        (span, Self { kind, full_width: full_width(line) })
    }

    /// What is wrong.
    pub(super) fn what(&self, lang: Lang) -> String {
        match &self.kind {
            Kind::Unquoted(said) => {
                say::syntax_unquoted(lang, &quoted(said.trim_matches(['“', '”', '‘', '’'])))
            }
            Kind::NoValue => say::syntax_no_value(lang),
            Kind::Twice(key) => say::syntax_twice(lang, &quoted(key)),
            Kind::NoEquals { .. } => say::syntax_no_equals(lang),
            Kind::OpenQuote => say::syntax_open_quote(lang),
            Kind::OpenBracket => say::syntax_open_bracket(lang),
            Kind::NoComma => say::syntax_no_comma(lang),
            Kind::LeftOver { .. } => say::syntax_left_over(lang),
            Kind::Key => say::syntax_key(lang),
            Kind::Flag => say::syntax_flag(lang),
            Kind::Escape => say::syntax_escape(lang),
            Kind::Other(message) => say::syntax_other(lang, message),
        }
    }

    /// What to do about it.
    pub(super) fn hint(&self, lang: Lang) -> Option<String> {
        if let Some((wrong, right)) = self.full_width {
            return Some(say::full_width_hint(lang, wrong, right));
        }
        match &self.kind {
            Kind::Unquoted(said) => Some(say::did_you_mean(lang, &quoted(said))),
            Kind::Twice(_) => Some(say::syntax_twice_hint(lang)),
            Kind::NoEquals { colon: true } => Some(say::syntax_colon_hint(lang)),
            Kind::NoEquals { colon: false } | Kind::NoValue => Some(say::syntax_form_hint(lang)),
            Kind::LeftOver { slashes: true } => Some(say::syntax_comment_hint(lang)),
            Kind::LeftOver { slashes: false } => Some(say::syntax_line_hint(lang)),
            Kind::Flag => Some(say::syntax_flag_hint(lang)),
            Kind::Escape => Some(say::syntax_escape_hint(lang)),
            Kind::OpenQuote | Kind::OpenBracket | Kind::NoComma | Kind::Key | Kind::Other(_) => None,
        }
    }
}

/// The line in which `at` stands.
fn line_at(text: &str, at: usize) -> &str {
    let (before, after) = text.split_at_checked(at).unwrap_or((text, ""));
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let end = after.find('\n').map_or(text.len(), |newline| before.len() + newline);
    &text[start..end]
}

/// The first full-width sign outside quotes and comments, which an input method leaves behind.
fn full_width(line: &str) -> Option<(char, char)> {
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '#') => return None,
            (None, c) => {
                let right = match c {
                    '“' | '”' | '＂' => '"',
                    '‘' | '’' | '＇' => '\'',
                    '＝' => '=',
                    '，' | '、' => ',',
                    '［' | '【' => '[',
                    '］' | '】' => ']',
                    '＃' => '#',
                    '：' => '=',
                    '。' | '．' => '.',
                    '\u{3000}' | '\u{a0}' => ' ',
                    _ => continue,
                };
                return Some((c, right));
            }
        }
    }
    None
}
