//! Text of a file, made safe for a terminal, for a log, and for a file that everybody may read.

use std::ops::Range;

/// A character that moves a terminal's cursor or turns its text round.
pub(super) fn unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` without characters that move a cursor, and without what looks like a password.
pub(super) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in without_logins(text).chars() {
        if unprintable(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}

/// `text` in quotes, short and safe to print.
pub(super) fn quoted(text: &str) -> String {
    /// Longer texts are cut; the excerpt shows them anyway.
    const MOST: usize = 60;
    // Before it is cut: half a login has no `@` to be known by.
    let text = without_logins(text);
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("\"{}…\"", printable(&text[..end])),
        None => format!("\"{}\"", printable(&text)),
    }
}

/// `text` with a login in a URL, `user:password@`, as `...@`: what is said of a file ends up in a log and in a status
/// that everybody may read.
fn without_logins(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for login in logins(text) {
        out.push_str(&text[from..login.start]);
        out.push_str("...");
        from = login.end;
    }
    out.push_str(&text[from..]);
    out
}

/// The same with as many bytes as before, so that a caret still stands under its place.
pub(super) fn masked(text: &str) -> String {
    let mut out = text.to_owned();
    for login in logins(text) {
        let stars = "*".repeat(login.len());
        out.replace_range(login, &stars);
    }
    out
}

/// Where `user:password` stands before an `@`. A password may hold nearly anything, so it is taken up to the last `@`
/// before a blank.
fn logins(text: &str) -> Vec<Range<usize>> {
    let mut logins = Vec::new();
    let mut from = 0;
    for word in text.split_inclusive(char::is_whitespace) {
        let begin = from;
        from += word.len();
        let Some(at) = word.rfind('@') else { continue };
        // `busybox@sha256:…` names an image by its digest.
        if word[at + 1..].starts_with("sha256:") {
            continue;
        }
        let start = match word[..at].find("://") {
            Some(scheme) => scheme + 3,
            None => {
                let Some(colon) = word[..at].find(':') else { continue };
                word[..colon]
                    .rfind(['=', '"', '\'', '`', '“'])
                    .map_or(0, |sign| sign + word[sign..].chars().next().map_or(1, char::len_utf8))
            }
        };
        logins.push(begin + start..begin + at);
    }
    logins
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_cannot_move_the_cursor() {
        assert_eq!(quoted("a\u{1b}[2J\u{202e}"), r#""a\u{1b}[2J\u{202e}""#);
        assert_eq!(quoted(&"镜".repeat(99)).chars().count(), 63);
    }

    #[test]
    fn a_login_is_not_repeated_and_its_place_keeps_its_width() {
        for (said, shown) in [
            ("http://user:secret@proxy.example:3128", "http://...@proxy.example:3128"),
            ("proxy = \"http://u:p@ss@h:1\" # x", "proxy = \"http://...@h:1\" # x"),
            ("“user:p/w=d@h”", "“...@h”"),
            ("proxy=user:secret@h", "proxy=...@h"),
            ("a@b.example", "a@b.example"),
            ("library/busybox:latest@sha256:ab", "library/busybox:latest@sha256:ab"),
            ("https://a.example", "https://a.example"),
        ] {
            assert_eq!(printable(said), shown);
            let masked = masked(said);
            assert_eq!((masked.len(), masked.contains("secret")), (said.len(), false), "{masked}");
        }
        let long = quoted(&format!("http://user:{}secret@h", "x".repeat(60)));
        assert_eq!(long, "\"http://...@h\"");
    }
}
