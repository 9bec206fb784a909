//! What goes wrong on the way, as data, and the words of strangers made safe to print.

use crate::reason::FailureKind;

/// The most bytes of a detail; what [`crate::observation::Failure`] promises.
const DETAIL_BYTES: usize = 200;

/// A failure before it is known at which stage of a pull it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) kind: FailureKind,
    /// Safe for a terminal.
    pub(super) detail: String,
}

/// What most functions of a probe return.
pub(super) type Try<T> = Result<T, Wrong>;

impl Wrong {
    /// A failure with its detail, which may hold what a server said: it is made safe here.
    pub(super) fn new(kind: FailureKind, detail: impl AsRef<str>) -> Self {
        Self { kind, detail: safe(detail.as_ref()) }
    }

    /// The same failure, said of another host than the mirror's own.
    pub(super) fn at(self, host: &str) -> Self {
        Self::new(self.kind, format!("{host}: {}", self.detail))
    }
}

/// `text` on one line of at most 200 bytes, without anything that could move a cursor, hide or turn
/// around what stands beside it.
pub(super) fn safe(text: &str) -> String {
    const MORE: char = '…';
    let mut out = String::new();
    let mut gap = false;
    for c in text.chars() {
        if c.is_control() || c.is_whitespace() || is_invisible(c) {
            gap = !out.is_empty();
            continue;
        }
        let blank = usize::from(std::mem::take(&mut gap));
        if out.len() + blank + c.len_utf8() + MORE.len_utf8() > DETAIL_BYTES {
            out.push(MORE);
            break;
        }
        if blank == 1 {
            out.push(' ');
        }
        out.push(c);
    }
    out
}

/// Format characters of Unicode: bidirectional controls, joiners, tags, the byte order mark.
fn is_invisible(c: char) -> bool {
    matches!(
        u32::from(c),
        0x00AD | 0x061C | 0x180E | 0x200B..=0x200F | 0x202A..=0x202E | 0x2060..=0x206F | 0xFEFF
            | 0xFFF9..=0xFFFB | 0xE0000..=0xE007F
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_cannot_move_the_cursor_or_turn_text_around() {
        for (said, shown) in [
            ("denied: \u{1b}[2J\u{1b}]0;owned\u{7}gone", "denied: [2J ]0;owned gone"),
            ("a\u{202e}txt.exe\u{2066}b", "a txt.exe b"),
            ("c1 \u{9b}31m", "c1 31m"),
            ("two\r\nlines\tand\u{2028}more", "two lines and more"),
            ("  镜像访问被限制  ", "镜像访问被限制"),
            ("", ""),
        ] {
            assert_eq!(safe(said), shown, "{said:?}");
        }
    }

    #[test]
    fn a_detail_is_at_most_200_bytes_and_never_half_a_character() {
        let long = safe(&"限".repeat(1000));
        assert!(long.len() <= 200 && long.ends_with('…'), "{} bytes", long.len());
        assert_eq!(safe(&"x".repeat(197)).len(), 197);
    }
}
