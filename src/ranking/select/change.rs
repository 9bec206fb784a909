//! Why the list changed: one cause, in words.

use std::collections::HashMap;

use super::{Current, Entry, Selection};
use crate::mirror::MirrorUrl;
use crate::ranking::verdict::Verdict;
use crate::reason::{ChangeKind, ReasonKind};

/// Why the list differs from the current one. Where there are several causes it is the weightiest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which of the closed list.
    pub kind: ChangeKind,
    /// The mirror's name, where it is about one; its URL when it is no candidate any more.
    pub subject: Option<String>,
    /// Why the subject was rejected, or left though it is a candidate still.
    pub reason: Option<ReasonKind>,
    /// More, in English; may be empty.
    pub detail: String,
    /// A part of the change was made only to be faster, so that `hold` runs from it.
    pub faster: bool,
}

impl Change {
    /// One of which its kind says all.
    pub fn of(kind: ChangeKind) -> Self {
        Self { kind, subject: None, reason: None, detail: String::new(), faster: false }
    }

    /// One line in English, for JSON and logs.
    pub fn why(&self) -> String {
        let subject = self.subject.as_deref().unwrap_or("a mirror");
        let mut line = match self.kind {
            ChangeKind::First => "the first list".to_owned(),
            ChangeKind::MemberRejected => match self.reason {
                Some(reason) => format!("{subject} was rejected ({reason})"),
                None => format!("{subject} was rejected"),
            },
            ChangeKind::Filled => format!("{subject} takes a free place"),
            ChangeKind::Faster => format!("{subject} is faster"),
            ChangeKind::MemberRemoved => format!("{subject} left"),
            ChangeKind::NothingLive => "no mirror is live and the upstream answers".to_owned(),
            ChangeKind::ByHand => "applied by hand".to_owned(),
            ChangeKind::Restored => "restored by hand".to_owned(),
            ChangeKind::EngineDiffered => "the engine's list differed from the selection".to_owned(),
        };
        if !self.detail.is_empty() {
            line.push_str(": ");
            line.push_str(&self.detail);
        }
        line
    }

    fn new(kind: ChangeKind, subject: Option<String>, detail: String) -> Self {
        Self { kind, subject, reason: None, detail, faster: false }
    }
}

/// The change from the current list to the selection's, if there is one.
pub(super) fn between(current: &Current<'_>, selection: &Selection, faster: bool) -> Option<Change> {
    let list = &selection.list;
    if current.list == list.as_slice() {
        return None;
    }
    let entries: HashMap<&MirrorUrl, &Entry> =
        selection.entries.iter().rev().map(|entry| (&entry.url, entry)).collect();
    let mut change = cause(current, list, &entries);
    change.faster = faster && change.kind != ChangeKind::First;
    Some(change)
}

fn cause(current: &Current<'_>, list: &[MirrorUrl], entries: &HashMap<&MirrorUrl, &Entry>) -> Change {
    let name =
        |url: &MirrorUrl| Some(entries.get(url).map_or_else(|| url.to_string(), |entry| entry.name.clone()));
    if current.provisional {
        let names: Vec<String> = list.iter().filter_map(name).collect();
        return Change::new(ChangeKind::First, None, names.join(", "));
    }
    let gone: Vec<&MirrorUrl> = current.list.iter().filter(|url| !list.contains(url)).collect();
    let removed = |url: &MirrorUrl| {
        entries
            .get(url)
            .is_none_or(|entry| entry.reasons.iter().any(|reason| reason.kind == ReasonKind::Disabled))
    };
    if list.is_empty() && !gone.iter().all(|url| removed(url)) {
        return Change::new(ChangeKind::NothingLive, None, String::new());
    }
    for url in &gone {
        if removed(url) {
            return Change::new(
                ChangeKind::MemberRemoved,
                name(url),
                "it is no candidate any more".to_owned(),
            );
        }
        if let Some(entry) = entries.get(url).filter(|entry| entry.verdict == Verdict::Rejected) {
            let reason = entry.reasons.first();
            let mut change = Change::new(ChangeKind::MemberRejected, name(url), String::new());
            change.reason = reason.map(|reason| reason.kind);
            change.detail = reason.map(|reason| reason.detail.clone()).unwrap_or_default();
            return change;
        }
    }
    let came = list.iter().find(|url| !current.list.contains(url));
    match (came, gone.first()) {
        (Some(came), None) => Change::new(ChangeKind::Filled, name(came), String::new()),
        (Some(came), Some(gone)) => {
            Change::new(ChangeKind::Faster, name(came), compared(entries.get(came), entries.get(*gone)))
        }
        (None, Some(gone)) => {
            let detail = "there is no place for it".to_owned();
            let mut change = Change::new(ChangeKind::MemberRemoved, name(gone), detail);
            // It is a candidate still.
            change.reason = Some(ReasonKind::NotSelected);
            change
        }
        (None, None) => {
            // The same members in another order: the first one that moved up has overtaken.
            let moved = list.iter().zip(current.list).find(|(now, before)| now != before);
            let (now, before) = moved.map_or((None, None), |(now, before)| (Some(now), Some(before)));
            let entry = |url: Option<&MirrorUrl>| url.and_then(|url| entries.get(url));
            Change::new(ChangeKind::Faster, now.and_then(name), compared(entry(now), entry(before)))
        }
    }
}

fn compared(one: Option<&&Entry>, other: Option<&&Entry>) -> String {
    let seconds = |entry: Option<&&Entry>| entry.and_then(|entry| entry.predicted_seconds);
    match (seconds(one), seconds(other), other) {
        (Some(one), Some(seconds), Some(other)) => {
            format!("{one:.1} s against {seconds:.1} s of {}", other.name)
        }
        _ => String::new(),
    }
}
