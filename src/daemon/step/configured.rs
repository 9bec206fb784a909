//! What mirrors.toml says, at the start and after every edit: who is asked from now on, and what is known of them.

use std::collections::BTreeMap;

use super::{Settings, State, Track, upstream_mirror};
use crate::mirror::{Mirror, MirrorUrl};
use crate::ranking::record::Record;

impl State {
    pub(super) fn configure(&mut self, settings: Settings, candidates: Vec<(Mirror, Record)>) {
        if self.is_news(&settings, &candidates) {
            self.retry = None;
        }
        let now = self.taken_at;
        let mut old = std::mem::take(&mut self.tracks);
        for (mirror, record) in candidates {
            let was_upstream = |track: &mut Track| mirror.takes_part() && track.mirror.url == mirror.url;
            let known = self.upstream.take_if(was_upstream).or_else(|| old.remove(&mirror.url));
            let mut track = known.unwrap_or_else(|| {
                let record = self.gone.remove(&mirror.url).unwrap_or(record);
                Track::new(mirror.clone(), record, now)
            });
            track.mirror = mirror;
            self.tracks.insert(track.mirror.url.clone(), track);
        }
        self.settings = settings;
        self.find_upstream(&mut old);
        self.gone.retain(|_, record| {
            record.resume(now);
            record.spent(now).bytes_today > 0
        });
        for (url, mut track) in old {
            // Whoever is being asked will not be heard any more.
            track.record.resume(now);
            self.gone.insert(url, track.record);
        }
        let (tracks, upstream) = (&self.tracks, &self.upstream);
        self.network.keep_suspects(|url| {
            tracks.contains_key(url) || upstream.as_ref().is_some_and(|track| track.mirror.url == *url)
        });
    }

    /// The upstream goes on with what is known of it, whether it was asked as the upstream or as a candidate: it has
    /// one budget.
    fn find_upstream(&mut self, gone: &mut BTreeMap<MirrorUrl, Track>) {
        let is_asked = |url: &MirrorUrl| self.tracks.get(url).is_some_and(|track| track.mirror.takes_part());
        let wanted = self.settings.upstream.clone().filter(|url| !is_asked(url));
        if self.upstream.as_ref().map(|track| &track.mirror.url) == wanted.as_ref() {
            return;
        }
        let known = wanted.as_ref().and_then(|url| {
            let before = self.upstream_before.take_if(|(known, _)| known == url).map(|(_, record)| record);
            let of = |track: &Track| track.record.clone();
            let as_candidate = || self.tracks.get(url).map(of);
            gone.remove(url).map(|track| track.record).or(before).or_else(as_candidate)
        });
        let now = self.taken_at;
        if let Some(mut track) = self.upstream.take() {
            track.record.resume(now);
            self.upstream_before = Some((track.mirror.url, track.record));
        }
        self.upstream = wanted.map(|url| Track::new(upstream_mirror(url), known.unwrap_or_default(), now));
    }

    /// Whether somebody has edited something. Every look at the engine tells all of it again, and one that refuses its
    /// list would be asked again with each.
    fn is_news(&self, settings: &Settings, candidates: &[(Mirror, Record)]) -> bool {
        let mut known = self.settings.clone();
        // Those change with the pulls of the host.
        known.policy.images.clone_from(&settings.policy.images);
        let same = |(mirror, _): &(Mirror, Record)| {
            self.tracks.get(&mirror.url).is_some_and(|track| track.mirror == *mirror)
        };
        known != *settings || candidates.len() != self.tracks.len() || !candidates.iter().all(same)
    }
}
