//! What was recorded, for commands that only look: the last status and the database, whatever runs.

use std::collections::BTreeMap;
use std::time::Duration;

use super::exit::{Error, Exit};
use super::{Global, judge, note, status};
use crate::assembly;
use crate::config::Config;
use crate::mirror::{DOCKER_HUB, Mirror, MirrorUrl};
use crate::status::safe::line as safe;
use crate::status::text::{age, length};
use crate::status::{NoticeKind, ServiceState, Status};
use crate::store::{Consequence, Key, Setback, SetbackKind, Store};
use crate::text::detail::detail;
use crate::text::{history as say, status as shown, store as words};
use crate::timestamp::Timestamp;

/// The database; `None` when there is none yet.
///
/// # Errors
/// It is there and cannot be read.
pub(super) fn store(global: &Global) -> Result<Option<Store>, Error> {
    match Store::open_read_only(&global.state_dir) {
        Ok(store) => Ok(Some(store)),
        Err(setback) if setback.kind == SetbackKind::Missing => Ok(None),
        Err(setback) => Err(unreadable(global, &setback)),
    }
}

/// The database, for a command that writes there too. That an old one had to be set aside for it is said here, for nobody
/// else will; one who may not write goes on without.
pub(super) fn open(global: &Global) -> Store {
    let (store, setback) = Store::open(&global.state_dir, assembly::now());
    if let Some(setback) = setback.filter(|setback| matches!(setback.consequence, Consequence::SetAside(_))) {
        note(global, &setback.render(global.lang));
    }
    store
}

/// Says that what was just done is remembered nowhere, and so counted in no budget. Who may not write knows that.
pub(super) fn tell_of_loss(global: &Global, store: &Store) {
    if let Some(setback) = store.setback().and_then(Setback::loss)
        && setback.kind != SetbackKind::NotPermitted
    {
        note(global, &setback.render(global.lang));
    }
}

/// Why the database cannot be read, and what becomes of it.
pub(super) fn unreadable(global: &Global, setback: &Setback) -> Error {
    let lang = global.lang;
    let failed = Error::failed(setback.render(lang));
    match setback.kind {
        SetbackKind::NotPermitted => Error { exit: Exit::NotPermitted, ..failed },
        SetbackKind::Damaged | SetbackKind::Foreign | SetbackKind::Newer => {
            failed.with_hint(words::begins_anew(lang, setback.path.display()))
        }
        SetbackKind::Missing
        | SetbackKind::ReadOnly
        | SetbackKind::Full
        | SetbackKind::Busy
        | SetbackKind::Replaced
        | SetbackKind::Unusable => failed,
    }
}

/// What the service said last of records that it lost or could not keep: the database then knows less than it does.
pub(super) fn unkept(global: &Global, status: &Status) -> Vec<String> {
    let lang = global.lang;
    let lost = status.service.notices.iter().filter(|notice| notice.kind == NoticeKind::Setback);
    lost.map(|notice| shown::with_detail(lang, &shown::setback(lang), &safe(&detail(lang, &notice.detail))))
        .collect()
}

/// What was recorded.
pub(super) struct Recorded {
    /// What the service published last; `None` when none ever ran here.
    pub(super) status: Option<Status>,
    /// mirrors.toml, where it is valid.
    pub(super) config: Option<Config>,
    /// The database; `None` when there is none yet.
    pub(super) store: Option<Store>,
    /// The candidates: of the last status, and of mirrors.toml where it is valid and has more.
    pub(super) mirrors: Vec<Mirror>,
}

impl Recorded {
    /// Reads everything, and says on standard error how old it is and whether mirrors.toml is invalid.
    ///
    /// # Errors
    /// Something is there and cannot be read.
    pub(super) fn read(global: &Global, now: Timestamp) -> Result<Self, Error> {
        let lang = global.lang;
        let config = crate::config::load(&global.config);
        if let status::Standing::Invalid(why) = status::standing(global) {
            note(global, &say::going_by_record(lang, &safe(&why.line(lang))));
        }
        let status = match status::read(global, now) {
            Ok(status) => Some(status),
            Err(error) if error.exit == Exit::NotPermitted => return Err(error),
            // Nothing was published, or nothing that this version reads: the database may still know.
            Err(_) => None,
        };
        match &status {
            None => note(global, &say::never_ran(lang)),
            Some(status) if status.service.state == ServiceState::Stopped => {
                note(global, &say::not_running(lang, &age(lang, now.since(status.generated_at))));
            }
            Some(status) => {
                if let Some(silent) = status.service.silent_ms {
                    note(global, &shown::silent(lang, &length(lang, Duration::from_millis(silent))));
                }
            }
        }
        for line in status.iter().flat_map(|status| unkept(global, status)) {
            note(global, &line);
        }
        let store = store(global)?;
        // One URL may mirror several registries; what is asked of it is asked for Docker Hub's sake.
        let mut mirrors: BTreeMap<(MirrorUrl, bool, String), Mirror> = BTreeMap::new();
        let known = status.iter().flat_map(|status| &status.mirrors).map(|mirror| Mirror {
            upstream: mirror.upstream.clone(),
            ..Mirror::of_docker_hub(&mirror.name, mirror.url.clone())
        });
        let config = config.ok();
        // mirrors.toml last: a name that was changed there while nothing ran is the one that is meant.
        for mirror in known.chain(config.iter().flat_map(|config| config.mirrors.clone())) {
            let other = mirror.upstream != DOCKER_HUB;
            mirrors.insert((mirror.url.clone(), other, mirror.upstream.clone()), mirror);
        }
        Ok(Self { status, config, store, mirrors: mirrors.into_values().collect() })
    }

    /// The mirror that was named, or whose URL was given.
    ///
    /// # Errors
    /// Nobody knows it; with the name that was probably meant.
    pub(super) fn find(&self, global: &Global, said: &str) -> Result<&Mirror, Error> {
        let url = said.parse::<MirrorUrl>();
        let at = |url: &MirrorUrl| self.mirrors.iter().find(|mirror| mirror.url == *url);
        let named = || self.mirrors.iter().find(|mirror| mirror.name == said);
        // By the name that the last status still shows.
        let shown = || {
            let shown = self.status.iter().flat_map(|status| &status.mirrors);
            shown.filter(|mirror| mirror.name == said).find_map(|mirror| at(&mirror.url))
        };
        let found = named().or_else(|| at(url.as_ref().ok()?)).or_else(shown);
        found.ok_or_else(|| judge::no_such_mirror(global, Exit::Failed, said, &self.mirrors))
    }

    /// The same, or by its URL one that was asked and is no candidate, or none any more.
    ///
    /// # Errors
    /// Nobody has ever asked it either.
    pub(super) fn find_asked(&self, global: &Global, said: &str) -> Result<Mirror, Error> {
        self.find(global, said).cloned().or_else(|error| {
            let url = said.parse::<MirrorUrl>().map_err(|_| error.clone())?;
            let mut asked = self.store.iter().flat_map(Store::asked);
            let Key { upstream, url } = asked.find(|key| key.url == url).ok_or(error)?;
            Ok(Mirror { name: url.to_string(), url, upstream, group: None, enabled: false, note: None })
        })
    }

    /// What people call the mirror at this URL.
    pub(super) fn name_of(&self, url: &MirrorUrl) -> Option<&str> {
        self.mirrors.iter().find(|mirror| mirror.url == *url).map(|mirror| &*mirror.name)
    }
}
