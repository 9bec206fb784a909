//! Foreign text for a terminal: what mirrors, engines and files say is shown, and never obeyed.

use unicode_width::UnicodeWidthChar;

/// Whether a terminal only draws this character: no control, nothing invisible, nothing that turns text around.
pub fn is_safe(c: char) -> bool {
    // No width: combining marks, zero-width blanks, bidi overrides, tags; the separators are line breaks to some.
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}') && c.width().is_some_and(|width| width > 0)
}

/// `text` on one line, with whatever is not safe shown as `?`, and marks that only sit on others left out.
pub fn line(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_safe(c) {
            safe.push(c);
        } else if c == '\n' || c == '\t' {
            safe.push(' ');
        } else if c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        {
            safe.push('?');
        }
    }
    safe
}

/// The same for text of several lines, whose tabs and line ends say something.
pub fn lines(text: &str) -> String {
    let lines = text.split_inclusive('\n').map(|whole| {
        let text = whole.trim_end_matches(['\r', '\n']);
        let parts: Vec<String> = text.split('\t').map(line).collect();
        parts.join("\t") + if whole.ends_with('\n') { "\n" } else { "" }
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_lines_keep_their_tabs_and_ends() {
        assert_eq!(lines("a\t\u{1b}b\r\n\n\tc\u{202e}"), "a\t?b\n\n\tc?");
    }

    #[test]
    fn foreign_text_is_drawn_and_not_obeyed() {
        for (said, shown) in [
            ("DaoCloud", "DaoCloud"),
            ("道客（上海）", "道客（上海）"),
            ("a\u{1b}[31mred", "a?[31mred"),
            ("a\r\nb\tc", "a? b c"),
            ("\u{9b}2J", "?2J"),
            ("abc\u{202e}fed", "abc?fed"),
            ("a\u{200b}b\u{feff}", "ab"),
            ("z\u{300}\u{301}\u{302}a", "za"),
            ("\u{7f}\0", "??"),
            ("x\u{2028}y", "x?y"),
        ] {
            assert_eq!(line(said), shown, "{said:?}");
            assert!(line(said).chars().all(is_safe), "{said:?}");
        }
    }
}
