//! Texts that are expected word for word, in files beside the tests. `MIRRORWATCH_BLESS=1` rewrites them.

#![expect(clippy::disallowed_methods, reason = "the expected texts are rewritten on demand")]
#![expect(clippy::unwrap_used, reason = "what surrounds a test may fail as loudly as the test itself")]

use std::path::Path;

use mirrorwatch::text::Lang;

/// Whether this is the text of `tests/NAME.LANG.txt`.
#[track_caller]
pub(crate) fn check(name: &str, lang: Lang, text: &str) {
    let tag = match lang {
        Lang::En => "en",
        Lang::Zh => "zh",
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/{name}.{tag}.txt"));
    if std::env::var_os("MIRRORWATCH_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{}: MIRRORWATCH_BLESS=1 rewrites it", path.display());
}
