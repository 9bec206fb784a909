//! How the parts are put together from mirrors.toml and from what the engine says of itself.
//!
//! `run`, `probe` and `apply` are put together here, so that a round by hand judges as the service does.

pub mod app;
pub mod own;

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::config::{self, Config, Diagnostic, Enabled, Problem, ProxyChoice, Severity};
use crate::daemon::schedule::{Allowance, Pace};
use crate::daemon::step::{Past, Settings};
use crate::engine::Facts;
use crate::engine::docker::{self, Docker};
use crate::image::Image;
use crate::mirror::{DOCKER_HUB, Mirror, MirrorUrl};
use crate::probe::{Prober, Proxies, SetupError};
use crate::ranking::Policy;
use crate::ranking::record::{Record, Standing};
use crate::store::{Key, Store};
use crate::timestamp::Timestamp;

use own::Own;

/// The engine's name in status.json, in the pause file and in the history.
pub const DOCKER: &str = "docker";

/// The group of mirrors that stood in the engine's own list and are not in mirrors.toml.
pub const ADOPTED: &str = "adopted";

/// The name under which the store keeps the adopted URLs.
pub const ADOPTED_FACT: &str = "adopted";

/// The name under which the store keeps the list that was chosen last.
pub const SELECTION_FACT: &str = "selection";

/// The name under which the store keeps when the engine was reloaded and its list improved.
pub const TREATMENT_FACT: &str = "treatment";

/// The name under which the store keeps where the engine is, for a `restore` without mirrors.toml.
pub const ENGINE_FACT: &str = "engine.docker";

/// The wall clock; read here and nowhere else.
#[expect(clippy::disallowed_methods, reason = "decisions get the time as an argument from here")]
pub fn now() -> Timestamp {
    SystemTime::now().into()
}

/// A number that differs from host to host and stays with it.
pub fn seed() -> u64 {
    let id = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// How mirrors are judged and chosen.
pub fn policy(config: &Config, facts: Option<&Facts>) -> Policy {
    let select = &config.select;
    Policy {
        max: select.max,
        margin: select.margin,
        rounds: select.rounds,
        fall: select.fall,
        rise: select.rise,
        decide: config.schedule.decide,
        hold: config.schedule.hold,
        compare_upstream: select.compare_upstream,
        min_speed: config.probe.min_speed,
        store: facts.map(|facts| facts.store),
        images: images(config, facts),
        spread: Some(seed()),
    }
}

/// The images that mirrors are asked for: those of mirrors.toml, then those that this host has.
fn images(config: &Config, facts: Option<&Facts>) -> Vec<Image> {
    let mut images = config.probe.images.clone();
    if config.probe.learn_images {
        // Without them mirrors are still judged, by the images that mirrors.toml names.
        let learned = facts.and_then(|facts| facts.images.clone()).unwrap_or_default();
        for image in learned {
            if !images.contains(&image) {
                images.push(image);
            }
        }
    }
    // A host may have none yet, and who is asked for nothing is never found to serve.
    if images.is_empty() { config::Probe::default().images } else { images }
}

/// What mirrors are asked for although nobody ever named an image: mirrors.toml names none, and none is learned.
pub fn asked_unnamed(config: &Config) -> Option<Image> {
    let probe = &config.probe;
    let unnamed = probe.images.is_empty() && !probe.learn_images;
    unnamed.then(|| images(config, None)).and_then(|images| images.into_iter().next())
}

/// Everything that the daemon's decisions need of mirrors.toml.
pub fn settings(config: &Config, facts: Option<&Facts>) -> Settings {
    let schedule = &config.schedule;
    let budget = &config.budget;
    Settings {
        policy: policy(config, facts),
        pace: Pace {
            connect: schedule.connect,
            sample: schedule.sample,
            rehearse: schedule.rehearse,
            decide: schedule.decide,
            confirm: schedule.confirm,
        },
        allowance: Allowance {
            requests_per_minute: budget.requests_per_minute,
            minute: Duration::from_secs(60),
            requests_per_day: budget.requests_per_day,
            refusals_per_2_days: budget.refusals_per_2_days,
            bytes_per_day: budget.bytes_per_day,
            total_bytes_per_day: budget.total_bytes_per_day,
            reloads_per_day: budget.reloads_per_day,
        }
        .part(budget.share),
        keep: config.engines.docker.keep.clone(),
        upstream: upstream(config),
        seed: seed(),
    }
}

/// The upstream's URL, where it is compared.
pub fn upstream(config: &Config) -> Option<MirrorUrl> {
    config.select.compare_upstream.then(|| config.select.upstream_url.clone())
}

/// A prober that goes out as the engine does.
///
/// # Errors
/// The authorities that this host trusts, or `ca_file`, cannot be read.
pub fn prober(config: &Config, facts: Option<&Facts>) -> Result<Prober, SetupError> {
    Prober::new(probe_settings(config, facts))
}

/// What is wrong with the file that `ca_file` leads to. One that only this user may not read is a warning: it may be
/// readable to the service.
pub fn bad_authorities(config: &Config) -> Option<Diagnostic> {
    let file = config.probe.ca_file.as_deref()?;
    let (severity, why) = match std::fs::File::open(file) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => (Severity::Warning, error.to_string()),
        Ok(_) | Err(_) => match prober(config, None) {
            Err(SetupError::CaFile { why, .. }) => (Severity::Error, why),
            Ok(_) | Err(SetupError::Proxy { .. } | SetupError::Tls { .. }) => return None,
        },
    };
    let (file, place) = (config.path.clone(), config.said.ca_file.clone());
    Some(Diagnostic { severity, file, place, problem: Problem::CaFile { why } })
}

/// How mirrors are asked; compared to see whether a new prober is due.
pub fn probe_settings(config: &Config, facts: Option<&Facts>) -> crate::probe::Settings {
    let probe = &config.probe;
    let proxies = match (&probe.proxy, facts) {
        (ProxyChoice::Engine, Some(facts)) => Proxies {
            http: facts.proxies.http.clone(),
            https: facts.proxies.https.clone(),
            no_proxy: facts.proxies.no_proxy.clone(),
        },
        (ProxyChoice::Engine, None) | (ProxyChoice::None, _) => Proxies::default(),
        (ProxyChoice::Url(url), _) => {
            Proxies { http: Some(url.clone()), https: Some(url.clone()), no_proxy: None }
        }
    };
    crate::probe::Settings {
        connect_timeout: probe.connect_timeout,
        timeout: probe.timeout,
        stall: probe.stall,
        min_speed: probe.min_speed,
        proxies,
        ca_file: probe.ca_file.clone(),
        store: facts.map(|facts| facts.store),
        engine_version: facts.map(|facts| facts.version.clone()),
        nameservers: None,
    }
}

/// The engine, unless mirrors.toml leaves it out or `auto` does not find it.
pub fn docker(config: &Config, state_dir: &Path) -> Option<Docker> {
    let docker = Docker::new(docker_settings(&config.engines.docker), state_dir);
    match config.engines.docker.enabled {
        Enabled::Yes => Some(docker),
        Enabled::No => None,
        Enabled::Auto => docker.installed().then_some(docker),
    }
}

/// Where dockerd is and how it is reloaded.
pub fn docker_settings(engine: &config::Engine) -> docker::Settings {
    let env = |name: &str| std::env::var_os(name);
    let own = Own::find(&env).map(|own| own.engine(engine));
    let own = own.or_else(|| app::engine(&env, engine));
    let engine = own.as_ref().unwrap_or(engine);
    docker::Settings {
        config_file: engine.config_file.clone(),
        socket: engine.socket.clone(),
        reload: reload(&engine.reload),
        unit: engine.unit.clone(),
        pid_file: engine.pid_file.clone(),
        keep: engine.keep.clone(),
        with_pending: engine.with_pending,
    }
}

fn reload(reload: &config::Reload) -> docker::Reload {
    match reload {
        config::Reload::Auto => docker::Reload::Auto,
        config::Reload::Systemd => docker::Reload::Systemd,
        config::Reload::Signal => docker::Reload::Signal,
        config::Reload::None => docker::Reload::None,
        config::Reload::Command(command) => docker::Reload::Command(command.clone()),
    }
}

/// All candidates: those of mirrors.toml, and what the engine listed on its own.
///
/// An adopted URL that mirrors.toml has come to know is mirrors.toml's. Of several registries that one URL mirrors it is
/// Docker Hub's that counts: dockerd asks for no other, and from here on a mirror is known by its URL.
pub fn candidates(config: &Config, adopted: &[MirrorUrl]) -> Vec<Mirror> {
    let mut mirrors: Vec<Mirror> = Vec::new();
    let mut places: HashMap<&MirrorUrl, usize> = HashMap::new();
    for mirror in &config.mirrors {
        let place = *places.entry(&mirror.url).or_insert(mirrors.len());
        match mirrors.get_mut(place) {
            None => mirrors.push(mirror.clone()),
            Some(other) if mirror.upstream == DOCKER_HUB => *other = mirror.clone(),
            Some(_) => {}
        }
    }
    for url in adopted {
        if !mirrors.iter().any(|mirror| mirror.url == *url) {
            let name = adopted_name(url, |name| mirrors.iter().any(|mirror| mirror.name == name));
            let group = Some(ADOPTED.to_owned());
            mirrors.push(Mirror { group, ..Mirror::of_docker_hub(name, url.clone()) });
        }
    }
    mirrors
}

/// What an adopted URL is called: its host, unless another mirror has that name.
pub fn adopted_name(url: &MirrorUrl, taken: impl Fn(&str) -> bool) -> &str {
    if taken(url.host()) { url.as_str() } else { url.host() }
}

/// What the engine lists and nobody knows.
///
/// An entry that is no mirror's URL (a path, say) cannot be a candidate; `restore` still brings it back.
pub fn strangers(listed: &[String], known: impl Fn(&MirrorUrl) -> bool) -> Vec<MirrorUrl> {
    let urls = listed.iter().filter_map(|entry| entry.parse::<MirrorUrl>().ok());
    urls.filter(|url| !known(url)).collect()
}

/// So many URLs are adopted. A tool that rotates the engine's entries brings a new one with each turn.
const MOST_ADOPTED: usize = 64;

/// Adopts `strangers`, and gives those that there was room for: what the engine does not list any more makes room, the
/// oldest first.
pub fn adopt(adopted: &mut Vec<MirrorUrl>, strangers: Vec<MirrorUrl>, listed: &[String]) -> Vec<MirrorUrl> {
    let listed: Vec<MirrorUrl> = listed.iter().filter_map(|entry| entry.parse().ok()).collect();
    let mut surplus = (adopted.len() + strangers.len()).saturating_sub(MOST_ADOPTED);
    adopted.retain(|url| {
        let stays = surplus == 0 || listed.contains(url);
        surplus -= usize::from(!stays);
        stays
    });
    let room = MOST_ADOPTED.saturating_sub(adopted.len());
    let taken: Vec<MirrorUrl> = strangers.into_iter().take(room).collect();
    adopted.extend_from_slice(&taken);
    taken
}

/// Whether nobody need be told of a URL in the engine's list: it is a candidate, or kept, or adopted before, or in
/// `ours`, the list that we gave it and that may hold what has been taken out of mirrors.toml since.
pub fn is_known(config: &Config, adopted: &[MirrorUrl], ours: &[MirrorUrl], url: &MirrorUrl) -> bool {
    config.mirrors.iter().any(|mirror| mirror.url == *url)
        || config.engines.docker.keep.contains(url)
        || adopted.contains(url)
        || ours.contains(url)
}

/// What is remembered beside the candidates.
pub fn past(config: &Config, store: &Store) -> Past {
    // Also where it is not compared: it may be after an edit.
    let upstream = &config.select.upstream_url;
    let mut others = records(store);
    Past {
        list: store.fact(SELECTION_FACT),
        upstream: others.remove_entry(upstream),
        others: others.into_iter().collect(),
        treatment: store.fact(TREATMENT_FACT).unwrap_or_default(),
    }
}

/// The list that the engine was last given, by its own journal: whoever gave it may have died before the store knew.
pub fn given(facts: &Facts) -> Vec<MirrorUrl> {
    facts.given.iter().flatten().filter_map(|entry| entry.parse().ok()).collect()
}

/// What is remembered of every mirror; a record that cannot be read is none.
pub fn records(store: &Store) -> HashMap<MirrorUrl, Record> {
    let readable = |(key, json): (Key, String)| Some((key.url, understood(&json)?));
    store.records().into_iter().filter_map(readable).collect()
}

/// A record as far as it is understood: one that another version wrote may have members of another shape, and
/// what a mirror has cost and how it stands is not to be forgotten for those.
fn understood(json: &str) -> Option<Record> {
    if let Some(record) = serde_json::from_str(json).ok().filter(has_its_reason) {
        return Some(record);
    }
    let Value::Object(members) = serde_json::from_str(json).ok()? else { return None };
    let alone = |(name, member): (String, Value)| {
        let object = Map::from_iter([(name, member)]);
        Record::deserialize(&object).is_ok().then_some(object)
    };
    let mut kept: Map<String, Value> = members.into_iter().filter_map(alone).flatten().collect();
    let record = Record::deserialize(&kept).ok()?;
    if has_its_reason(&record) {
        return Some(record);
    }
    kept.remove("standing");
    Record::deserialize(&kept).ok()
}

/// A mirror that is rejected and nobody knows why would count as live: better to ask it anew.
fn has_its_reason(record: &Record) -> bool {
    record.standing() != Standing::Rejected || record.fallen().is_some() || record.failures().next().is_some()
}

/// Under which the store keeps a mirror.
pub fn key(mirror: &Mirror) -> Key {
    Key { upstream: mirror.upstream.clone(), url: mirror.url.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Descriptor, Digest, Layers};
    use crate::observation::{Depth, Failure, Observation, Outcome, Spent, Stage};
    use crate::reason::FailureKind;

    fn layer() -> Descriptor {
        let media_type = "application/vnd.oci.image.layer.v1.tar+gzip".to_owned();
        Descriptor { media_type, digest: Digest::of(b"a layer"), size: 3 << 20 }
    }

    fn json(outcome: Outcome) -> Value {
        let mut record = Record::default();
        let mut seen = Observation::new(Timestamp::from_millis(1_795_176_000_000), Depth::Rehearse);
        seen.image = Some("library/busybox:latest".parse().unwrap());
        seen.outcome = outcome;
        seen.layers = seen.failure().is_none().then(|| vec![layer(); 3].into());
        seen.spent = Spent { requests: 7, refusals: 0, bytes: 1000 };
        record.observe(&seen, &Policy::default());
        record.asked(seen.at, &seen);
        serde_json::to_value(&record).unwrap()
    }

    fn rejected() -> Value {
        json(Outcome::Failed(Failure {
            kind: FailureKind::Stalled,
            stage: Stage::Layer,
            detail: String::new(),
        }))
    }

    fn requests(record: &Record) -> u32 {
        record.spent(Timestamp::from_millis(1_795_176_000_000)).requests_today
    }

    #[test]
    fn a_mirror_of_docker_hub_is_a_candidate_whatever_else_its_url_mirrors() {
        let entry = |name: &str, upstream: &str| {
            format!("[[mirror]]\nname = \"{name}\"\nurl = \"https://a.example\"\nupstream = \"{upstream}\"\n")
        };
        let (hub, other, third) =
            (entry("hub", "docker.io"), entry("other", "ghcr.io"), entry("third", "quay.io"));
        for (said, expected) in [
            (format!("{hub}{other}"), "hub"),
            (format!("{other}{hub}{third}"), "hub"),
            (format!("{other}{third}"), "other"),
        ] {
            let path = Path::new("mirrors.toml");
            let config = crate::config::parse(path, &[(path.to_owned(), said.into_bytes())]).unwrap();
            let candidates = candidates(&config, &[]);
            let names: Vec<&str> = candidates.iter().map(|mirror| &*mirror.name).collect();
            assert_eq!(names, [expected]);
        }
    }

    #[test]
    fn what_is_adopted_does_not_grow_without_end_and_what_the_engine_lists_stays() {
        let url = |number: usize| format!("https://m{number}.example");
        let mut adopted = Vec::new();
        let always = url(0);
        for turn in 1..=200 {
            let listed = [always.clone(), url(turn)];
            let strangers = strangers(&listed, |known| adopted.contains(known));
            assert!(!adopt(&mut adopted, strangers, &listed).is_empty());
        }
        assert_eq!(adopted.len(), MOST_ADOPTED);
        assert!(adopted[0].as_str() == always && adopted[MOST_ADOPTED - 1].as_str() == url(200));
        // More than there is room for at once: they take turns with nobody.
        let listed: Vec<String> = (300..400).map(url).collect();
        adopt(&mut adopted, strangers(&listed, |_| false), &listed);
        let before = adopted.clone();
        let more = strangers(&listed, |known| before.contains(known));
        assert!(!more.is_empty() && adopt(&mut adopted, more, &listed).is_empty());
        assert_eq!(adopted, before);
    }

    #[test]
    fn of_a_record_the_members_that_are_understood_are_kept() {
        let mut value = json(Outcome::Served);
        value["rounds"] = "three".into();
        value["stages"] = 5.into();
        let record = understood(&value.to_string()).unwrap();
        assert_eq!((record.standing(), requests(&record)), (Standing::Live, 7));
        assert_eq!(understood("5"), None);
        assert_eq!(understood("{"), None);
    }

    #[test]
    fn the_layers_that_samples_are_taken_of_are_kept_and_what_can_be_none_is_passed_over() {
        let place = tempfile::tempdir().unwrap();
        let key = Key { upstream: DOCKER_HUB.to_owned(), url: "https://a.example".parse().unwrap() };
        let kept = |value: &Value| {
            let now = Timestamp::from_millis(1_795_176_000_000);
            Store::open(place.path(), now).0.save_record(&key, &value.to_string(), now);
            records(&Store::open(place.path(), now).0).remove(&key.url).unwrap()
        };
        let value = json(Outcome::Served);
        let record = kept(&value);
        assert_eq!(record.sampled_image(), "busybox".parse().ok().as_ref());
        assert_eq!(record.sampled_layers().map(Layers::as_slice), Some(&vec![layer(); 3][..]));

        let changed = |change: &dyn Fn(&mut Value)| {
            let mut value = value.clone();
            change(&mut value);
            value
        };
        for value in [
            // As an earlier version wrote it.
            changed(&|value| drop(value.as_object_mut().unwrap().remove("sampled"))),
            changed(&|value| value["sampled"] = Value::Null),
            changed(&|value| value["sampled"] = 5.into()),
            changed(&|value| value["sampled"]["image"] = "../../v2/_catalog".into()),
            changed(&|value| value["sampled"]["image"] = "other.example/library/busybox".into()),
            changed(&|value| value["sampled"]["layers"] = "all".into()),
            changed(&|value| value["sampled"]["layers"][1]["digest"] = "sha256:../../../x".into()),
            changed(&|value| value["sampled"]["layers"][1]["size"] = (-1).into()),
        ] {
            let record = kept(&value);
            assert_eq!((record.sampled_image(), record.sampled_layers()), (None, None), "{value}");
            assert_eq!((record.standing(), requests(&record)), (Standing::Live, 7), "the rest is kept");
        }
    }

    #[test]
    fn no_rejection_is_kept_without_its_reason() {
        let mut value = rejected();
        assert_eq!(understood(&value.to_string()).unwrap().standing(), Standing::Rejected);
        value["fallen"]["kind"] = "struck_by_lightning".into();
        value["runs"] = Value::Null;
        let record = understood(&value.to_string()).unwrap();
        assert_eq!((record.standing(), requests(&record)), (Standing::Unprobed, 7));
        value.as_object_mut().unwrap().remove("fallen");
        value.as_object_mut().unwrap().remove("runs");
        let record = understood(&value.to_string()).unwrap();
        assert_eq!((record.standing(), requests(&record)), (Standing::Unprobed, 7));
    }

    #[test]
    fn members_that_this_version_does_not_know_are_passed_over() {
        for mut value in [json(Outcome::Served), rejected()] {
            let before: Record = serde_json::from_value(value.clone()).unwrap();
            for (name, member) in value.as_object_mut().unwrap() {
                if let Some(member) = member.as_object_mut()
                    && name != "images"
                {
                    member.insert("zodiac".to_owned(), "lion".into());
                }
            }
            value["zodiac"] = "lion".into();
            let read: Result<Record, _> = serde_json::from_value(value.clone());
            assert_eq!(read.map_err(|error| format!("{error}: {value}")), Ok(before));
        }
    }
}
