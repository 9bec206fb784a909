//! What the applier publishes: what the engine is, and what became of the last request.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::request::FORMAT;
use crate::engine::{Applied, Facts, Problem, Warning};
use crate::file;
use crate::mirror::MirrorUrl;
use crate::publish::{Durability, publish, publish_to};
use crate::reason::WarningKind;
use crate::secret::without_login;

/// Its name in the applier's runtime directory.
pub(super) const FILE: &str = "engine.json";

/// Everything that the prober knows of the engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// [`FORMAT`].
    pub(super) format: u32,
    /// When the engine was looked at, in milliseconds since 1970.
    pub(super) at: u64,
    /// What it is.
    pub(super) facts: Option<Facts>,
    /// Or why that is not known.
    pub(super) problem: Option<Problem>,
    /// The dockerds that ran then: pid and start in clock ticks.
    pub(super) running: Vec<(i32, u64)>,
    /// When the engine's file had last changed then, in seconds and nanoseconds; `None`: there was none.
    pub(super) file_changed: Option<(i64, i64)>,
    /// When an image was last pulled, in milliseconds since 1970; `None`: not lately.
    pub(super) pulled: Option<u64>,
    /// URLs that stood in the engine's file and that mirrors.toml does not know.
    pub(super) adopted: Vec<MirrorUrl>,
    /// How many changes are left in this hour.
    pub(super) reloads_left: usize,
    /// The request that this answers.
    pub(super) answered: Option<u64>,
    /// What became of its list, if it had one.
    pub(super) outcome: Option<Result<Applied, Problem>>,
}

impl Report {
    /// What was published in this directory.
    ///
    /// # Errors
    /// There is nothing yet, or it cannot be read or understood.
    pub(super) fn read(directory: &Path) -> io::Result<Self> {
        let snapshot = file::read(&directory.join(FILE))?;
        let bytes = snapshot.bytes().ok_or(io::ErrorKind::NotFound)?;
        let report: Self = serde_json::from_slice(bytes)?;
        if report.format == FORMAT { Ok(report) } else { Err(io::Error::other("of another version")) }
    }

    /// Publishes it for the prober, whose group this is: the password of a proxy may be in it. Where nobody can give it
    /// to that group, it is for everyone to read, and without any password.
    pub(super) fn write(&self, directory: &Path, group: Option<u32>) -> io::Result<()> {
        let whole = serde_json::to_vec(self).map_err(io::Error::other)?;
        if let Some(group) = group
            && publish_to(group, directory, FILE, &whole, Durability::Cached).is_ok()
        {
            return Ok(());
        }
        let mut shown = self.clone();
        if let Some(facts) = &mut shown.facts {
            hide_passwords(facts);
        }
        let json = serde_json::to_vec(&shown).map_err(io::Error::other)?;
        publish(directory, FILE, &json, Durability::Cached)
            .map_err(|error| io::Error::other(format!("{}: {error}", directory.join(FILE).display())))
    }
}

/// When a file last changed, its name included.
pub(super) fn changed(path: &Path) -> Option<(i64, i64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.ctime(), metadata.ctime_nsec()))
}

fn hide_passwords(facts: &mut Facts) {
    let proxies = [&mut facts.proxies.http, &mut facts.proxies.https];
    for proxy in proxies.into_iter().flatten() {
        let bare = without_login(proxy);
        if bare == *proxy {
            continue;
        }
        let warning = Warning { kind: WarningKind::ProxyHidden, detail: bare.clone() };
        if !facts.warnings.iter().any(|known| known.kind == WarningKind::ProxyHidden) {
            facts.warnings.push(warning);
        }
        *proxy = bare;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::engine::Outbound;
    use crate::observation::ImageStore;

    /// What is published of a Docker with which nothing is wrong.
    pub(in crate::applier) fn of_a_docker() -> Report {
        let facts = Facts {
            version: "20.10.24".to_owned(),
            store: ImageStore::Classic,
            mirrors: Vec::new(),
            file: "/etc/docker/daemon.json".into(),
            listed: None,
            given: None,
            proxies: Outbound::default(),
            pid: Some(7),
            log: crate::engine::LogSource::Unreadable(String::new()),
            images: Some(Vec::new()),
            warnings: Vec::new(),
            app: None,
            refusal: None,
        };
        Report {
            format: FORMAT,
            at: 1,
            facts: Some(facts),
            problem: None,
            running: vec![(7, 8)],
            file_changed: None,
            pulled: None,
            adopted: Vec::new(),
            reloads_left: 1,
            answered: Some(3),
            outcome: Some(Err(Problem::new(crate::reason::ProblemKind::Applier, "x"))),
        }
    }

    #[test]
    fn what_everyone_may_read_has_no_password_in_it() {
        let mut report = of_a_docker();
        report.facts.as_mut().unwrap().proxies = Outbound {
            http: Some("http://user:secret@p.example:3128".to_owned()),
            // dockerd takes one without a scheme, too.
            https: Some("user:secret@p.example:3128".to_owned()),
            no_proxy: None,
        };
        let place = tempfile::tempdir().unwrap();
        assert!(Report::read(place.path()).is_err());
        let group = std::fs::metadata(place.path()).unwrap().gid();
        report.write(place.path(), Some(group)).unwrap();
        assert_eq!(Report::read(place.path()).unwrap(), report, "the prober is told everything");
        assert_eq!(std::fs::metadata(place.path().join(FILE)).unwrap().mode() & 0o777, 0o640);
        report.write(place.path(), None).unwrap();
        assert_eq!(std::fs::metadata(place.path().join(FILE)).unwrap().mode() & 0o777, 0o644);
        let read = Report::read(place.path()).unwrap();
        let facts = read.facts.clone().unwrap();
        assert_eq!(facts.proxies.http.as_deref(), Some("http://p.example:3128"));
        assert_eq!(facts.proxies.https.as_deref(), Some("p.example:3128"));
        let warned: Vec<_> = facts.warnings.iter().map(|warning| warning.kind).collect();
        assert_eq!(warned, [WarningKind::ProxyHidden], "and that is said");
        assert_eq!(Report { facts: report.facts.clone(), ..read }, report, "the rest is as it was");
    }
}
