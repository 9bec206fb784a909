//! Text of a file, made safe for a terminal.

/// A character that moves a terminal's cursor or turns its text round.
pub(super) fn unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` without characters that move a cursor.
pub(super) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if unprintable(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}

/// `text` in quotes, short and safe to print.
pub(super) fn quoted(text: &str) -> String {
    /// Longer texts are cut; the excerpt shows them anyway.
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("\"{}…\"", printable(&text[..end])),
        None => format!("\"{}\"", printable(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_cannot_move_the_cursor() {
        assert_eq!(quoted("a\u{1b}[2J\u{202e}"), r#""a\u{1b}[2J\u{202e}""#);
        assert_eq!(quoted(&"镜".repeat(99)).chars().count(), 63);
    }
}
