//! What can be the name of a mirror or of a group.

use super::safe::unprintable;
use crate::text::{Lang, config as say};

/// Why a text cannot be the name of a mirror or of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// Nothing, or only white space.
    Empty,
    /// White space in front or at the end.
    Edges,
    /// A control character, which would disturb the terminal.
    Control,
    /// Longer than [`NameError::MOST`].
    TooLong,
    /// `://` in it: commands take a name or a URL and could not tell.
    Url,
    /// A dash in front: commands would take it for an option.
    Dash,
}

impl NameError {
    /// The longest name, in characters, so that the table of `status` stays a table.
    pub const MOST: usize = 64;

    /// Whether `name` can be one.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn check(name: &str) -> Result<(), Self> {
        if name.trim().is_empty() {
            Err(Self::Empty)
        } else if name.chars().any(unprintable) {
            Err(Self::Control)
        } else if name.trim() != name {
            Err(Self::Edges)
        } else if name.chars().count() > Self::MOST {
            Err(Self::TooLong)
        } else if name.contains("://") {
            Err(Self::Url)
        } else if name.starts_with('-') {
            Err(Self::Dash)
        } else {
            Ok(())
        }
    }
}

impl NameError {
    /// What is wrong with it.
    pub fn what(self, lang: Lang) -> String {
        match self {
            Self::Empty => say::name_empty(lang),
            Self::Edges => say::name_edges(lang),
            Self::Control => say::name_control(lang),
            Self::TooLong => say::name_too_long(lang, Self::MOST),
            Self::Url => say::name_url(lang),
            Self::Dash => say::name_dash(lang),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_a_command_could_misread_is_refused() {
        for (name, verdict) in [
            ("DaoCloud", Ok(())),
            ("1ms 毫秒镜像", Ok(())),
            ("", Err(NameError::Empty)),
            (" a", Err(NameError::Edges)),
            ("a\u{7}", Err(NameError::Control)),
            ("https://a", Err(NameError::Url)),
            ("--all", Err(NameError::Dash)),
        ] {
            assert_eq!(NameError::check(name), verdict, "{name:?}");
        }
        assert_eq!(NameError::check(&"a".repeat(65)), Err(NameError::TooLong));
    }
}
