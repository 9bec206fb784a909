//! What must hold after every fault, I1 to I6.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::dockerd::Dockerd;

/// How the host was before the fault.
pub(crate) struct Before {
    text: Option<String>,
    pid: i32,
    started: String,
    reloads: usize,
    container: Option<(String, String)>,
}

impl Before {
    /// Remembers file, process and reloads.
    pub(crate) fn of(daemon: &Dockerd) -> Self {
        let pid = daemon.pid();
        let (started, reloads) = (started(pid), reloads(daemon));
        Self { text: daemon.text(), pid, started, reloads, container: None }
    }

    /// And a container that runs.
    pub(crate) fn with_container(daemon: &Dockerd) -> Self {
        daemon.import_sleep();
        // `sleep` as a container's first process ignores SIGTERM, and dockerd would wait for it at its end.
        let options = ["run", "--detach", "--network=none", "--stop-signal=KILL"];
        let id = daemon.docker(&[&options[..], &["local/sleep:1", "/bin/sleep", "3600"]].concat());
        let state = container(daemon, &id);
        assert!(state.ends_with(" running"), "{state}");
        Self { container: Some((id, state)), ..Self::of(daemon) }
    }

    /// I1 to I4 and I6, with at most `reloads` since [`Self::of`].
    #[track_caller]
    pub(crate) fn holds(&self, daemon: &mut Dockerd, reloads: usize) {
        self.i1_only_the_list_differs(daemon);
        i2_dockerd_starts_with_it(daemon.text().as_deref());
        self.i3_the_same_dockerd_runs(daemon);
        self.i4_containers_run_on(daemon);
        self.i6_reloads(daemon, reloads);
    }

    /// The file is byte for byte what it was, or differs in nothing but the value of `registry-mirrors`.
    #[track_caller]
    pub(crate) fn i1_only_the_list_differs(&self, daemon: &Dockerd) {
        let now = daemon.text();
        assert!(only_the_list_differs(self.text.as_deref(), now.as_deref()), "{:?}\n{now:?}", self.text);
    }

    #[track_caller]
    pub(crate) fn i3_the_same_dockerd_runs(&self, daemon: &mut Dockerd) {
        assert!(daemon.lives() && daemon.pid() == self.pid, "dockerd ended:\n{}", daemon.log());
        assert_eq!(started(self.pid), self.started);
    }

    #[track_caller]
    pub(crate) fn i4_containers_run_on(&self, daemon: &Dockerd) {
        if let Some((id, before)) = &self.container {
            assert_eq!(&container(daemon, id), before);
        }
    }

    #[track_caller]
    pub(crate) fn i6_reloads(&self, daemon: &Dockerd, most: usize) {
        let made = reloads(daemon) - self.reloads;
        assert!(made <= most, "{made} reloads, and {most} would do");
    }
}

/// Without its list, each is the same text; a file that lacks the key may have got it, in any layout.
pub(crate) fn only_the_list_differs(before: Option<&str>, now: Option<&str>) -> bool {
    if before == now {
        return true;
    }
    let (before, now) = (before.unwrap_or("{}"), now.unwrap_or("{}"));
    match (around_the_list(before), around_the_list(now)) {
        (Some(before), Some(now)) => before == now,
        (_, None) => false,
        (None, Some(_)) => {
            let parsed = |text: &str| serde_json::from_str::<Value>(text).ok();
            let mut without = parsed(now);
            if let Some(Value::Object(map)) = &mut without {
                map.remove("registry-mirrors");
            }
            without.is_some() && without == parsed(before)
        }
    }
}

/// What stands before and after the list; found by brackets, not by the code under test.
fn around_the_list(text: &str) -> Option<(&str, &str)> {
    let key = text.find("\"registry-mirrors\"")?;
    let open = key + text[key..].find('[')?;
    let close = open + text[open..].find(']')? + 1;
    Some((&text[..open], &text[close..]))
}

/// A dockerd that is started with this file comes up. Each text is tried once.
#[track_caller]
pub(crate) fn i2_dockerd_starts_with_it(text: Option<&str>) {
    static TRIED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let text = text.unwrap_or("{}");
    // Only which mirrors stand there differs from test to test, and their ports mean nothing to a start.
    let known = text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    let mut tried = TRIED.lock().unwrap_or_else(PoisonError::into_inner);
    if tried.insert(known) {
        drop(tried);
        drop(Dockerd::start(text));
    }
}

/// I5: open descriptors, threads and resident kibibytes of a process.
pub(crate) fn i5_resources(pid: u32) -> (usize, usize, u64) {
    let count = |name: &str| fs::read_dir(format!("/proc/{pid}/{name}")).unwrap().count();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    (count("fd"), count("task"), rss.trim().trim_end_matches(" kB").parse().unwrap())
}

fn started(pid: i32) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    rest.split_whitespace().nth(19).unwrap_or("gone").to_owned()
}

fn reloads(daemon: &Dockerd) -> usize {
    daemon.log().matches("Got signal to reload configuration").count()
}

fn container(daemon: &Dockerd, id: &str) -> String {
    daemon.docker(&["inspect", "--format", "{{.State.Pid}} {{.State.StartedAt}} {{.State.Status}}", id])
}
