//! Edits of somebody else that dockerd has not taken yet, and that a reload of ours would activate.
//!
//! Nobody records what dockerd last read. So it is told from three sides: what `/info` says of a few keys,
//! whether dockerd has read the file since it last changed (its start, its reload events, which it soon forgets and we
//! do not), and what the file held when dockerd last proved to have taken a write of ours.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::api::{Api, Info, LOOPBACK};
use super::discover::Process;
use super::edit::Document;

/// What SIGHUP makes dockerd take from its file, the list of mirrors left out, over all versions from 20.10 to
/// 29 (moby, `Daemon.Reload`).
const RELOADED: [&str; 18] = [
    "allow-nondistributable-artifacts",
    "authorization-plugins",
    "cluster-advertise",
    "cluster-store",
    "cluster-store-opts",
    "debug",
    "default-runtime",
    "features",
    "insecure-registries",
    "labels",
    "live-restore",
    "max-concurrent-downloads",
    "max-concurrent-uploads",
    "max-download-attempts",
    "network-diagnostic-port",
    "nri-opts",
    "runtimes",
    "shutdown-timeout",
];

/// The one of them of which `/info` tells the running value in part.
const INSECURE: &str = "insecure-registries";

/// Those of them that a reload sets back when they are no longer in the file; the others keep their value.
const RESET_IF_ABSENT: [&str; 4] =
    ["features", "max-concurrent-downloads", "max-concurrent-uploads", "max-download-attempts"];

/// What a reload would take from this file.
pub(super) fn reloaded(document: &Document<'_>) -> BTreeMap<String, Value> {
    let value = |key: &&str| Some(((*key).to_owned(), document.get(key)?));
    RELOADED.iter().filter_map(value).collect()
}

/// Seconds and nanoseconds since the epoch.
type Moment = (i64, i64);

/// A file as a dockerd has read it. Another change of it gives it another time, another start of dockerd another
/// process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reading {
    file: PathBuf,
    changed: Moment,
    device: u64,
    inode: u64,
    /// Its pid and its start.
    reader: (i32, u64),
}

impl Reading {
    /// What it would be now.
    pub(super) fn of(file: &Path, reader: &Process) -> Option<Self> {
        let metadata = fs::metadata(file).ok()?;
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        let (device, inode) = (metadata.dev(), metadata.ino());
        Some(Self { file: file.to_owned(), changed, device, inode, reader: reader.identity() })
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }
}

/// When the file last changed, its name included: an old file that was moved there is new to dockerd.
fn changed(file: &Path) -> Option<Moment> {
    let metadata = fs::metadata(file).ok()?;
    Some((metadata.ctime(), metadata.ctime_nsec()))
}

/// When this dockerd started, by the pid file that it writes right after it has read its configuration.
fn started(process: &Process, pid_file: &Path) -> Option<Moment> {
    let flags = process.flag("pidfile");
    let path = flags.last().map_or(pid_file, Path::new);
    let pid: i32 = fs::read_to_string(path).ok()?.trim().parse().ok()?;
    let metadata = fs::metadata(path).ok()?;
    (pid == process.pid()).then_some((metadata.mtime(), metadata.mtime_nsec()))
}

/// Whether dockerd has read the file as it is now; `None` where that cannot be told.
pub(super) async fn has_read(
    api: &Api,
    process: Option<&Process>,
    pid_file: &Path,
    file: &Path,
) -> Option<bool> {
    let process = process?;
    let Some(changed) = changed(file) else { return Some(true) };
    if started(process, pid_file).is_some_and(|started| started > changed) {
        return Some(true);
    }
    Some(api.reloaded_since(changed).await)
}

/// The keys whose value in the file is not, or perhaps not, the running one, in alphabetical order.
///
/// `has_read` is what [`has_read`] told, `accepted` what [`reloaded`] was at our last proven write.
pub(super) fn keys(
    document: &Document<'_>,
    info: &Info,
    has_read: Option<bool>,
    accepted: Option<&BTreeMap<String, Value>>,
) -> Vec<String> {
    let now = reloaded(document);
    let mut pending = differing_from_info(&now, info);
    match (has_read, accepted) {
        (Some(true), _) | (None, None) => {}
        (_, Some(accepted)) => {
            let said = info_knows();
            let differs = |key: &&&str| now.get(**key) != accepted.get(**key);
            let acts = |key: &&&str| now.contains_key(**key) || RESET_IF_ABSENT.contains(*key);
            let keys = RELOADED.iter().filter(|key| !said.contains(key)).filter(acts).filter(differs);
            pending.extend(keys.map(|key| (*key).to_owned()));
        }
        // Somebody wrote the file since dockerd read it, and nobody knows what was in it before.
        (Some(false), None) => {
            pending.extend(now.keys().filter(|key| !info_knows().contains(&key.as_str())).cloned());
        }
    }
    if lists_insecure(&now, info) {
        pending.retain(|key| key != INSECURE);
    }
    pending.sort();
    pending.dedup();
    pending
}

/// Whether the file lists the very registries that are trusted without TLS. `/info` does not spell all as the file may,
/// so that it lists others proves nothing.
fn lists_insecure(now: &BTreeMap<String, Value>, info: &Info) -> bool {
    let Some(listed) = now.get(INSECURE).and_then(Value::as_array) else { return false };
    let listed: Option<BTreeSet<&str>> = listed.iter().map(Value::as_str).collect();
    listed.is_some_and(|mut listed| {
        listed.retain(|registry| !LOOPBACK.contains(registry));
        listed == info.insecure_registries()
    })
}

/// The keys that `/info` has the running value of.
const fn info_knows() -> [&'static str; 4] {
    ["debug", "default-runtime", "labels", "live-restore"]
}

/// A list without its order, which dockerd does not keep either: a reload takes labels out of a map (moby,
/// `GetConflictFreeLabels`).
fn set(value: &Value) -> Value {
    let Value::Array(items) = value else { return value.clone() };
    let mut items = items.clone();
    items.sort_by_key(Value::to_string);
    items.dedup();
    items.into()
}

fn differing_from_info(now: &BTreeMap<String, Value>, info: &Info) -> Vec<String> {
    let running = [
        ("debug", Value::from(info.debug), Value::from(false)),
        ("default-runtime", (&*info.default_runtime).into(), "runc".into()),
        ("labels", set(&info.labels.clone().unwrap_or_default().into()), Value::Array(Vec::new())),
        ("live-restore", info.live_restore_enabled.into(), false.into()),
    ];
    let differs = |(key, running, default): (&'static str, Value, Value)| {
        let said = now.get(key)?;
        let said = if said.is_null() || said == "" { default } else { set(said) };
        (said != running).then(|| key.to_owned())
    };
    running.into_iter().filter_map(differs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(before: Option<&str>, now: &str, has_read: Option<bool>) -> String {
        told_by(r#"{"DefaultRuntime": "runc"}"#, before, now, has_read)
    }

    fn told_by(info: &str, before: Option<&str>, now: &str, has_read: Option<bool>) -> String {
        let accepted = before.map(|text| reloaded(&Document::parse(Some(text.as_bytes())).unwrap()));
        let info: Info = serde_json::from_str(info).unwrap();
        let document = Document::parse(Some(now.as_bytes())).unwrap();
        keys(&document, &info, has_read, accepted.as_ref()).join(" ")
    }

    #[test]
    fn edits_are_named_by_what_is_known_of_the_running_values() {
        let (read, unread, unknown) = (Some(true), Some(false), None);
        let features = r#"{"features": {"buildkit": true}}"#;
        for (before, now, has_read, pending) in [
            // What /info knows, it knows whatever else is known.
            (None, r#"{"live-restore": true, "debug": false}"#, read, "live-restore"),
            (None, r#"{"labels": ["a=1"], "default-runtime": "runc"}"#, unknown, "labels"),
            (None, r#"{"debug": true, "data-root": "/x", "registry-mirrors": []}"#, unread, "debug"),
            // The rest by whether dockerd has read it, and else by what it last took.
            (None, features, read, ""),
            (None, features, unread, "features"),
            (None, features, unknown, ""),
            (Some(features), features, unread, ""),
            (Some("{}"), features, unread, "features"),
            (Some("{}"), features, unknown, "features"),
            (Some("{}"), features, read, ""),
            // A key that is gone is only reset if it is one of those.
            (Some(features), "{}", unread, "features"),
            (
                Some(r#"{"insecure-registries": ["a"], "max-download-attempts": 9}"#),
                "{}",
                unread,
                "max-download-attempts",
            ),
            // What a reload does not look at is none of our business.
            (Some("{}"), r#"{"data-root": "/x", "registry-mirrors": ["https://a.example"]}"#, unread, ""),
        ] {
            assert_eq!(told(before, now, has_read), pending, "{before:?} {now} {has_read:?}");
        }
    }

    #[test]
    fn registries_that_are_trusted_already_wait_for_nothing() {
        let info = r#"{"DefaultRuntime": "runc", "RegistryConfig": {
            "InsecureRegistryCIDRs": ["10.0.0.0/8", "127.0.0.0/8"],
            "IndexConfigs": {"docker.io": {"Secure": true}, "r.example:5000": {"Secure": false}}}}"#;
        for (listed, pending) in [
            (r#"["r.example:5000", "10.0.0.0/8"]"#, ""),
            (r#"["10.0.0.0/8", "127.0.0.0/8", "r.example:5000", "10.0.0.0/8"]"#, ""),
            (r#"["r.example:5000"]"#, INSECURE),
            (r#"["r.example:5000", "10.0.0.0/8", "s.example"]"#, INSECURE),
            (r#"["r.example:5000", "10.0.0.0/8", 5]"#, INSECURE),
            ("[]", INSECURE),
        ] {
            let now = format!(r#"{{"{INSECURE}": {listed}}}"#);
            assert_eq!(told_by(info, Some("{}"), &now, Some(false)), pending, "{now}");
            assert_eq!(told_by(info, Some("{}"), &now, Some(true)), "", "{now}");
        }
    }

    #[test]
    fn labels_are_the_same_in_whatever_order() {
        // moby, `GetConflictFreeLabels`: a reload takes them from a map.
        let info = r#"{"DefaultRuntime": "runc", "Labels": ["b=2", "c=3", "a=1"]}"#;
        for (now, pending) in [
            (r#"{"labels": ["a=1", "b=2", "c=3"]}"#, ""),
            (r#"{"labels": ["a=1", "b=2", "b=2", "c=3"]}"#, ""),
            (r#"{"labels": ["a=1", "b=2"]}"#, "labels"),
            (r#"{"labels": []}"#, "labels"),
        ] {
            assert_eq!(told_by(info, None, now, Some(true)), pending, "{now}");
        }
    }
}
