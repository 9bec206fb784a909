//! Every sentence in our code is in the list of `detail.rs`, or is told to nobody.
//!
//! Which way a sentence takes to its reader cannot be read from the code, so all of `src` is read: whatever looks like a
//! sentence has to come out in Chinese where the list is asked for it, or is named below as not told. A new one is found
//! wherever it stands. Not looked at is what nobody is told by its place: documentation, logs, panics, tests. The words
//! of `text` have both languages, or they do not compile.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::Lang;
use super::detail::detail;

/// What is told to nobody as it is: a file, and the texts in it; all of them where none is named.
const NOT_TOLD: &[(&str, &[&str])] = &[
    // Names, commands and units, which are the same in every language.
    ("applier/ask.rs", &["{}: mirrorwatch-apply: {what}"]),
    ("cli/exit.rs", &["sudo {command}"]),
    ("cli/explain/text.rs", &["{:.1} ms", "{seconds:.2} s"]),
    ("cli/history/text.rs", &["{ms:.0} ms"]),
    ("cli/judge.rs", &["{PROGRAM} check", "{PROGRAM} check {}"]),
    ("cli/status.rs", &["{PROGRAM} check {}"]),
    ("cli/usage.rs", &["{} --help"]),
    ("engine/docker/log.rs", &["log-level {level}: {detail}"]),
    ("listen/log.rs", &["journalctl: {error}", "journalctl: {}"]),
    ("status/text/mirrors.rs", &["{ms} ms", "{seconds:.0} s", "{seconds:.1} s"]),
    // Of the journal alone.
    ("applier/report.rs", &["of another version"]),
    ("applier/request.rs", &["{}: not read: {cause}", "not the service's own file"]),
    ("applier/serve.rs", &["{invalid}; the last valid configuration stays in force"]),
    ("cli/log.rs", &["{end}... {lost} of the lines before this one are missing: nobody took them\n"]),
    ("watch.rs", &["no thread: {error}", "no thread"]),
    ("watch/aim.rs", &["{}: no such directory", "{}: a network file system"]),
    (
        "daemon/view.rs",
        &[
            "no engine",
            "in place",
            "rolled back",
            "no mirror",
            "{list} ({engine}); {live} of {} mirrors live",
        ],
    ),
    // Of JSON and the journal: people are told by the kind.
    ("cli/apply.rs", &["applied by hand"]),
    ("cli/restore.rs", &["restored by hand"]),
    (
        "daemon/network.rs",
        &[
            "nobody answers",
            "no name is resolved: DNS does not work",
            "every certificate is outside of its dates",
            "every name is answered by somebody else: a captive portal?",
            "this host is too busy to measure",
        ],
    ),
    ("ranking/select/change.rs", &[]),
    ("status/health.rs", &[]),
    // The words of others, which are looked for.
    ("config/syntax.rs", &[]),
    ("engine/docker/edit.rs", &[" at line "]),
    ("file.rs", &[" at path "]),
    ("listen/line.rs", &[]),
    ("probe/exchange.rs", &["too large"]),
    ("probe/refusal.rs", &["too many requests", "rate limit", "error code: 1015", "just a moment"]),
    // What others are told: serde, a shell, mirrors.d/local.toml, a registry.
    ("cli/completions.rs", &[]),
    ("config/local.rs", &[]),
    ("engine/docker/edit.rs", &["an object"]),
    ("probe/manifest.rs", &["a list"]),
    ("probe/voice.rs", &[]),
    // What cannot be.
    ("cli/args.rs", &["clap has seen to it that it is there"]),
    ("store/disk.rs", &["only the allocator can fail here, and that ends the process"]),
];

/// What SQLite is told begins with one of these.
const SQL: &[&str] =
    &["ATTACH", "BEGIN", "CREATE", "DELETE", "DETACH", "INSERT", "PRAGMA", "SELECT", "UPDATE"];

/// Logs are English, and a panic is a mistake of ours.
const MACROS: &[&str] = &[
    "assert",
    "assert_eq",
    "assert_ne",
    "debug",
    "debug_assert",
    "error",
    "event",
    "info",
    "panic",
    "trace",
    "unreachable",
    "warn",
];

#[test]
fn every_sentence_in_the_code_is_told_in_chinese_or_to_nobody() {
    let (mut found, mut missing, mut met) = (0, Vec::new(), BTreeSet::new());
    for (file, code) in sources() {
        let mut texts = Vec::new();
        collect(TokenStream::from_str(&code).expect("it compiles"), &mut texts);
        for text in texts.iter().filter(|text| is_sentence(text)) {
            found += 1;
            let not_told = NOT_TOLD
                .iter()
                .position(|(of, texts)| *of == file && (texts.is_empty() || texts.contains(&text.as_str())));
            match not_told {
                Some(at) => drop(met.insert((at, text.clone()))),
                None if is_told(text) => {}
                None => missing.push(format!("{file}: {text:?} is told as {:?}", told(text))),
            }
        }
    }
    assert!(found > 300, "{found} sentences: where have they gone?");
    assert!(missing.is_empty(), "without Chinese:\n{}", missing.join("\n"));
    for (at, (file, texts)) in NOT_TOLD.iter().enumerate() {
        let of_file = met.iter().filter(|(of, _)| *of == at).count();
        assert!(of_file >= texts.len().max(1), "{file}: not all of {texts:?} are there any more");
    }
}

/// Whether nothing of it is left in English when it is told in Chinese.
fn is_told(text: &str) -> bool {
    let told = told(text);
    let left =
        |piece: &&str| has_small_word(piece) && told.contains(piece.trim_matches([' ', ':', ';', ',']));
    !pieces(text).iter().any(left)
}

/// It in Chinese, with data put in: a word of ours without a blank, which may stand wherever data do.
fn told(text: &str) -> String {
    const DATA: &str = "read-only";
    let text = pieces(text).join(DATA);
    // What is written in two pieces goes on behind a colon.
    detail(Lang::Zh, &if text.ends_with(": ") { text + DATA } else { text })
}

/// What stands between the data of a format.
fn pieces(text: &str) -> Vec<&str> {
    text.split('{')
        .enumerate()
        .map(|(at, piece)| match piece.split_once('}') {
            Some((_, behind)) if at > 0 => behind,
            Some(_) | None => piece,
        })
        .collect()
}

/// Two words or more, data counted, and one of them in small letters.
fn is_sentence(text: &str) -> bool {
    let whole = pieces(text).join("7");
    let mut words = whole.split_whitespace().filter(|word| word.contains(char::is_alphanumeric));
    let first = words.next();
    words.next().is_some() && has_small_word(&whole) && !first.is_some_and(|first| SQL.contains(&first))
}

fn has_small_word(text: &str) -> bool {
    text.split_whitespace().filter(|word| !word.starts_with('/')).any(|word| {
        let word = word.trim_matches(|c: char| c.is_ascii_punctuation());
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || b"-'".contains(&byte))
    })
}

/// The texts of `code` outside of attributes (documentation is one), tests, logs and panics.
fn collect(code: TokenStream, texts: &mut Vec<String>) {
    let mut before: [Option<String>; 2] = [None, None];
    let mut tokens = code.into_iter();
    while let Some(token) = tokens.next() {
        let said = token.to_string();
        match token {
            TokenTree::Group(group) => {
                let [name, mark] = before.each_ref().map(|token| token.as_deref().unwrap_or_default());
                let is_attribute = mark == "#" || (name, mark) == ("#", "!");
                let is_for_us = mark == "expect" || mark == "!" && MACROS.contains(&name);
                if is_attribute && said.replace(' ', "") == "[cfg(test)]" {
                    // What it stands before, to the end of its body.
                    tokens.find(|token| match token {
                        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                        TokenTree::Punct(mark) => mark.as_char() == ';',
                        TokenTree::Ident(_) | TokenTree::Literal(_) => false,
                    });
                } else if !is_attribute && !is_for_us {
                    collect(group.stream(), texts);
                }
            }
            TokenTree::Literal(_) => texts.extend(text(&said)),
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
        before = [before[1].take(), Some(said)];
    }
}

/// What a literal of the code says, if it is a text.
fn text(literal: &str) -> Option<String> {
    let literal = literal.trim_start_matches(['b', 'c']);
    if let Some(raw) = literal.strip_prefix('r') {
        return Some(raw.trim_matches('#').trim_matches('"').to_owned());
    }
    let mut rest = literal.strip_prefix('"')?.strip_suffix('"')?;
    let mut text = String::new();
    while let Some((before, after)) = rest.split_once('\\') {
        text.push_str(before);
        let escaped = after.chars().next()?;
        rest = &after[escaped.len_utf8()..];
        match escaped {
            // A line that goes on begins anew behind its blanks.
            '\n' => rest = rest.trim_start(),
            'n' => text.push('\n'),
            other => text.push(other),
        }
    }
    Some(text + rest)
}

/// The code, by its path below `src`.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut directories, mut sources) = (vec![root.clone()], Vec::new());
    while let Some(directory) = directories.pop() {
        for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            let tests = name.ends_with("tests.rs") || name.starts_with("text");
            if path.is_dir() {
                directories.push(path);
            } else if !tests {
                sources.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    sources
}
