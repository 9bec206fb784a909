//! Every edit of every engine's file, byte for byte.
//!
//! A case is a directory `tests/engines/docker/<case>`: `before.json` (absent when there is no file), `mirrors`
//! (one a line) and either `after.json` or `error`. A new case needs no line here.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use mirrorwatch::engine::docker::edit::{Document, EditError, KEY, put_back};
use proptest::prelude::*;

fn render(before: Option<&[u8]>, mirrors: &[String]) -> Result<Vec<u8>, EditError> {
    Ok(Document::parse(before)?.with(mirrors))
}

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engines/docker");
    let mut cases: Vec<_> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() > 40, "the cases are gone");
    cases
}

struct Case {
    name: String,
    before: Option<Vec<u8>>,
    mirrors: Vec<String>,
    expected: Result<Vec<u8>, String>,
}

fn read(directory: &Path) -> Case {
    let text = |name: &str| fs::read_to_string(directory.join(name));
    let expected = match fs::read(directory.join("after.json")) {
        Ok(after) => Ok(after),
        Err(_) => Err(text("error").expect("a case has after.json or error").trim_end().to_owned()),
    };
    Case {
        name: directory.file_name().unwrap().to_str().unwrap().to_owned(),
        before: fs::read(directory.join("before.json")).ok(),
        mirrors: text("mirrors").unwrap().lines().map(str::to_owned).collect(),
        expected,
    }
}

/// Shows control characters, so that a difference of line ends can be seen.
fn shown(bytes: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(bytes))
}

#[test]
fn each_case_gives_its_bytes_or_its_error() {
    let mut wrong = Vec::new();
    for case in cases().iter().map(|directory| read(directory)) {
        let given = render(case.before.as_deref(), &case.mirrors).map_err(|error| error.to_string());
        if given != case.expected {
            let show = |result: &Result<Vec<u8>, String>| match result {
                Ok(bytes) => shown(bytes),
                Err(error) => format!("error {error}"),
            };
            wrong.push(format!(
                "{}\n  given    {}\n  expected {}",
                case.name,
                show(&given),
                show(&case.expected)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_second_edit_with_the_same_list_changes_nothing() {
    for case in cases().iter().map(|directory| read(directory)) {
        if let Ok(after) = case.expected {
            let again = render(Some(&after), &case.mirrors).unwrap();
            assert_eq!(shown(&again), shown(&after), "{}", case.name);
        }
    }
}

#[test]
fn restoring_gives_the_first_bytes_whatever_lists_stood_there_in_between() {
    let between = ["https://x.example", "https://y.example"].map(str::to_owned);
    for case in cases().iter().map(|directory| read(directory)) {
        let Ok(after) = case.expected else { continue };
        for list in [&between[..], &between[..1], &[], &case.mirrors] {
            let current = render(Some(&after), list).unwrap();
            let restored = put_back(Some(&current), case.before.as_deref()).unwrap();
            assert_eq!(restored.as_deref().map(shown), case.before.as_deref().map(shown), "{}", case.name);
        }
    }
}

#[test]
fn restoring_keeps_what_somebody_else_has_changed_since() {
    for (pristine, current, restored) in [
        // Our list goes, the new member stays.
        (
            Some("{\n  \"debug\": true\n}\n"),
            "{\n  \"debug\": false,\n  \"registry-mirrors\": [\n    \"https://a\"\n  ]\n}\n",
            "{\n  \"debug\": false\n}\n",
        ),
        (Some("{}"), "{\n  \"registry-mirrors\": [],\n  \"debug\": true\n}", "{\n  \"debug\": true\n}"),
        (Some("{\"a\": 1}"), "{\"registry-mirrors\": [\"https://a\"]}", "{}"),
        (None, "{\"registry-mirrors\": [], \"debug\": true}", "{\"debug\": true}"),
        // The old value comes back, in its old spelling.
        (
            Some("{\"registry-mirrors\":[ \"https://old/\" ]}"),
            "{\"debug\": true, \"registry-mirrors\": [\"https://a\"]}",
            "{\"debug\": true, \"registry-mirrors\": [ \"https://old/\" ]}",
        ),
        (
            Some("{\"registry-mirrors\": null}"),
            "{\"debug\": true}",
            "{\"debug\": true, \"registry-mirrors\": null}",
        ),
        // Somebody has taken our list out already.
        (Some("{}"), "{\"debug\": true}", "{\"debug\": true}"),
    ] {
        let given = put_back(Some(current.as_bytes()), pristine.map(str::as_bytes)).unwrap();
        assert_eq!(given.as_deref().map(shown), Some(shown(restored.as_bytes())), "{current}");
    }
}

#[test]
fn restoring_a_file_that_is_gone_brings_all_of_it_back() {
    assert_eq!(put_back(None, Some(b"{}")), Ok(Some(b"{}".to_vec())));
    assert_eq!(put_back(None, None), Ok(None));
}

#[test]
fn a_file_of_more_than_a_mebibyte_is_refused() {
    let large = format!("{{\"labels\": [\"{}\"]}}", "x".repeat(1 << 20));
    assert!(Document::parse(Some(large.as_bytes())).is_err());
}

/// Any JSON value, as text in an arbitrary layout.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,2})?",
        any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            (prop::collection::vec((blank(), inner.clone(), blank()), 0..4)).prop_map(|items| {
                let items: Vec<_> = items.iter().map(|(a, item, b)| format!("{a}{item}{b}")).collect();
                format!("[{}]", items.join(","))
            }),
            object(inner),
        ]
    })
}

fn blank() -> impl Strategy<Value = String> {
    "[ \t\r\n]{0,4}"
}

fn member(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (blank(), any::<String>(), blank(), blank(), value, blank()).prop_map(|(a, key, b, c, value, d)| {
        let key = if key == KEY { String::new() } else { key };
        format!("{a}{}{b}:{c}{value}{d}", serde_json::Value::from(key))
    })
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (prop::collection::vec(member(value), 0..5), blank()).prop_map(|(members, inside)| {
        if members.is_empty() { format!("{{{inside}}}") } else { format!("{{{}}}", members.join(",")) }
    })
}

/// A list of texts, or null, in an arbitrary layout.
fn list() -> impl Strategy<Value = String> {
    let item = (blank(), any::<String>(), blank())
        .prop_map(|(a, text, b)| format!("{a}{}{b}", serde_json::Value::from(text)));
    prop_oneof![
        4 => (prop::collection::vec(item, 0..4), blank()).prop_map(|(items, inside)| {
            if items.is_empty() { format!("[{inside}]") } else { format!("[{}]", items.join(",")) }
        }),
        1 => Just("null".to_owned()),
    ]
}

/// A whole file that has the key: what stands before the list, the list, what stands after it.
fn with_key() -> impl Strategy<Value = (String, String, String)> {
    let members = || prop::collection::vec(member(value()), 0..4);
    let own = (blank(), blank(), blank(), list(), blank());
    (prop::bool::ANY, blank(), members(), own, members(), blank()).prop_map(
        |(mark, outside, before, (a, b, c, list, d), after, end)| {
            let mark = if mark { "\u{feff}" } else { "" };
            let before: String = before.iter().map(|member| format!("{member},")).collect();
            let after: String = after.iter().map(|member| format!(",{member}")).collect();
            let head = format!("{mark}{outside}{{{before}{a}\"{KEY}\"{b}:{c}");
            (head, list, format!("{d}{after}}}{end}"))
        },
    )
}

/// A whole file that lacks the key.
fn without_key() -> impl Strategy<Value = String> {
    let mark = prop::bool::ANY.prop_map(|mark| if mark { "\u{feff}" } else { "" });
    (mark, blank(), object(value()), blank()).prop_map(|(mark, a, object, b)| format!("{mark}{a}{object}{b}"))
}

fn file() -> impl Strategy<Value = String> {
    prop_oneof![with_key().prop_map(|(head, list, tail)| format!("{head}{list}{tail}")), without_key()]
}

fn mirrors() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("https?://[a-z]{1,8}(:[0-9]{2,4})?", 0..4)
}

fn parsed(bytes: &[u8]) -> serde_json::Map<String, serde_json::Value> {
    let text = str::from_utf8(bytes).unwrap();
    let value: serde_json::Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap();
    value.as_object().unwrap().clone()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// The value is exactly the list, and everything else parses to what it was.
    #[test]
    fn an_edit_changes_one_value_and_nothing_else(file in file(), mirrors in mirrors()) {
        let after = render(Some(file.as_bytes()), &mirrors).unwrap();
        let (mut old, mut new) = (parsed(file.as_bytes()), parsed(&after));
        old.remove(KEY);
        prop_assert_eq!(new.remove(KEY), Some(mirrors.clone().into()));
        prop_assert_eq!(new, old);
    }

    /// Where the key is, every byte before and after its value stays.
    #[test]
    fn every_byte_around_the_list_stays((head, list, tail) in with_key(), mirrors in mirrors()) {
        let after = render(Some(format!("{head}{list}{tail}").as_bytes()), &mirrors).unwrap();
        let after = str::from_utf8(&after).unwrap();
        let value = after.strip_prefix(&*head).and_then(|rest| rest.strip_suffix(&*tail));
        let value = value.map(serde_json::from_str::<Vec<String>>);
        prop_assert!(matches!(value, Some(Ok(list)) if list == mirrors), "{after:?}");
    }

    /// Where the key is not, every byte stays and the new member is one run between them.
    #[test]
    fn a_new_member_only_adds_bytes(file in without_key(), mirrors in mirrors()) {
        // An object without members may lose the blanks between its braces.
        prop_assume!(!parsed(file.as_bytes()).is_empty());
        let after = render(Some(file.as_bytes()), &mirrors).unwrap();
        let same = |pair: &(&u8, &u8)| pair.0 == pair.1;
        let head = file.as_bytes().iter().zip(&after).take_while(same).count();
        let tail = file.as_bytes().iter().rev().zip(after.iter().rev()).take_while(same).count();
        prop_assert!(head + tail >= file.len(), "{file:?} {:?}", shown(&after));
    }

    /// Twice is once.
    #[test]
    fn a_second_edit_changes_nothing(file in file(), mirrors in mirrors()) {
        let once = render(Some(file.as_bytes()), &mirrors).unwrap();
        prop_assert_eq!(render(Some(&once), &mirrors).unwrap(), once);
    }

    /// After any two edits the first bytes come back.
    #[test]
    fn restore_is_exact(file in file(), first in mirrors(), second in mirrors()) {
        let once = render(Some(file.as_bytes()), &first).unwrap();
        let twice = render(Some(&once), &second).unwrap();
        prop_assert_eq!(put_back(Some(&twice), Some(file.as_bytes())).unwrap(), Some(file.into_bytes()));
    }

    /// Whatever the bytes, there is an answer.
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), mirrors in mirrors()) {
        drop(render(Some(&bytes), &mirrors));
    }
}

#[test]
fn of_text_that_is_not_utf_8_it_is_told_whether_dockerd_starts_with_it() {
    for (bytes, starts) in [
        (&b"{\"labels\": [\"a\xff=b\"]}"[..], true),
        (b"\xff\xfe{\0}\0", true),
        (b"\x7fELF\x02\x01\xff", false),
        (b"{\"labels\": [\"a\xff=b\"", false),
    ] {
        let error = Document::parse(Some(bytes)).unwrap_err();
        assert_eq!((&*error.what, error.starts), ("not UTF-8 text", starts), "{bytes:?}");
    }
}
