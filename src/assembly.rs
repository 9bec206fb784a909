//! How the parts are put together from mirrors.toml and from what the engine says of itself.
//!
//! `run`, `probe` and `apply` are put together here, so that a round by hand judges as the service does.

use std::collections::HashMap;
use std::path::Path;
use std::time::SystemTime;

use crate::config::{self, Config, Enabled, ProxyChoice};
use crate::daemon::schedule::{Allowance, Pace};
use crate::daemon::step::Settings;
use crate::engine::Facts;
use crate::engine::docker::{self, Docker};
use crate::image::Image;
use crate::mirror::{DOCKER_HUB, Mirror, MirrorUrl};
use crate::probe::{Prober, Proxies, SetupError};
use crate::ranking::Policy;
use crate::ranking::record::Record;
use crate::store::{Key, Store};
use crate::timestamp::Timestamp;

/// The engine's name in status.json, in the pause file and in the history.
pub const DOCKER: &str = "docker";

/// The group of mirrors that stood in the engine's own list and are not in mirrors.toml.
pub const ADOPTED: &str = "adopted";

/// The name under which the store keeps the adopted URLs.
pub const ADOPTED_FACT: &str = "adopted";

/// The name under which the store keeps the list that was chosen last.
pub const SELECTION_FACT: &str = "selection";

/// The name under which the store keeps where the engine is, for a `restore` without mirrors.toml.
pub const ENGINE_FACT: &str = "engine.docker";

/// The wall clock; read here and nowhere else.
#[expect(clippy::disallowed_methods, reason = "decisions get the time as an argument from here")]
pub fn now() -> Timestamp {
    SystemTime::now().into()
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
    }
}

/// The images that mirrors are asked for: those of mirrors.toml, then those that this host has.
fn images(config: &Config, facts: Option<&Facts>) -> Vec<Image> {
    let mut images = config.probe.images.clone();
    if config.probe.learn_images {
        let learned = facts.map(|facts| facts.images.clone()).unwrap_or_default();
        for image in learned {
            if !images.contains(&image) {
                images.push(image);
            }
        }
    }
    images
}

/// Everything that the daemon's decisions need of mirrors.toml.
pub fn settings(config: &Config, facts: Option<&Facts>, seed: u64) -> Settings {
    let schedule = &config.schedule;
    let budget = &config.budget;
    let share = budget.share.max(1);
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
            requests_per_day: budget.requests_per_day / share,
            refusals_per_2_days: budget.refusals_per_2_days / share,
            bytes_per_day: budget.bytes_per_day / u64::from(share),
        },
        keep: config.engines.docker.keep.clone(),
        upstream: upstream(config),
        seed,
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
    docker::Settings {
        config_file: engine.config_file.clone(),
        socket: engine.socket.clone(),
        reload: reload(&engine.reload),
        unit: engine.unit.clone(),
        pid_file: engine.pid_file.clone(),
        keep: engine.keep.clone(),
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
/// An adopted URL that mirrors.toml has come to know is mirrors.toml's.
pub fn candidates(config: &Config, adopted: &[MirrorUrl]) -> Vec<Mirror> {
    let mut mirrors = config.mirrors.clone();
    for url in adopted {
        if !mirrors.iter().any(|mirror| mirror.url == *url) {
            let taken = |name: &str| mirrors.iter().any(|mirror| mirror.name == name);
            let name = if taken(url.host()) { url.as_str() } else { url.host() };
            mirrors.push(Mirror {
                name: name.to_owned(),
                url: url.clone(),
                upstream: DOCKER_HUB.to_owned(),
                group: Some(ADOPTED.to_owned()),
                enabled: true,
                note: None,
            });
        }
    }
    mirrors
}

/// What the engine lists that nobody knows: neither a candidate, nor kept, nor adopted before, nor in `ours`, the
/// list that we gave it and that may hold what has been taken out of mirrors.toml since.
///
/// An entry that is no mirror's URL (a path, say) cannot be a candidate; `restore` still brings it back.
pub fn strangers(
    config: &Config,
    adopted: &[MirrorUrl],
    ours: &[MirrorUrl],
    listed: &[String],
) -> Vec<MirrorUrl> {
    let urls = listed.iter().filter_map(|entry| entry.parse::<MirrorUrl>().ok());
    urls.filter(|url| {
        !config.mirrors.iter().any(|mirror| mirror.url == *url)
            && !config.engines.docker.keep.contains(url)
            && !adopted.contains(url)
            && !ours.contains(url)
    })
    .collect()
}

/// What is remembered of every mirror; a record that cannot be read is none.
pub fn records(store: &Store) -> HashMap<MirrorUrl, Record> {
    let readable = |(key, json): (Key, String)| Some((key.url, serde_json::from_str(&json).ok()?));
    store.records().into_iter().filter_map(readable).collect()
}

/// Under which the store keeps a mirror.
pub fn key(mirror: &Mirror) -> Key {
    Key { upstream: mirror.upstream.clone(), url: mirror.url.clone() }
}
