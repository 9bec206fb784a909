//! What a request comes to: a pure function of its bytes, of mirrors.toml, and of what the applier knows itself.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::request::{FORMAT, MAX_BYTES, Named, Request};
use crate::assembly;
use crate::config::{Config, Enabled};
use crate::engine::docker::Settings;
use crate::mirror::MirrorUrl;

/// What mirrors.toml allows. Kept by the applier, so that an invalid edit leaves the last valid one in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// So many mirrors may stand in the list.
    pub max: usize,
    /// Every mirror of mirrors.toml.
    pub mirrors: Vec<Candidate>,
    /// Whether the engine is configured: `None` when it is installed.
    pub enabled: Option<bool>,
    /// Where the engine is, and the entries that always stay.
    pub engine: Settings,
}

/// One mirror of mirrors.toml.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Unique.
    pub name: String,
    /// What is written.
    pub url: MirrorUrl,
    /// Switched on, its group too, and a mirror of Docker Hub.
    pub takes_part: bool,
}

impl Rules {
    /// What this configuration allows.
    pub fn new(config: &Config) -> Self {
        let mirrors = config.mirrors.iter().map(|mirror| Candidate {
            name: mirror.name.clone(),
            url: mirror.url.clone(),
            takes_part: mirror.takes_part(),
        });
        Self {
            max: config.select.max,
            mirrors: mirrors.collect(),
            enabled: match config.engines.docker.enabled {
                Enabled::Auto => None,
                Enabled::Yes => Some(true),
                Enabled::No => Some(false),
            },
            engine: assembly::docker_settings(&config.engines.docker),
        }
    }

    /// The mirror that takes part at this address, or the entry that stood in the engine's own file. What it is called
    /// may differ between two processes of which one cannot read the latest mirrors.toml.
    fn at(&self, address: &str, adopted: &[MirrorUrl]) -> Option<MirrorUrl> {
        // Of several registries behind one address another's may stand there too, and takes no part.
        let mut here = self.mirrors.iter().filter(|mirror| mirror.url.as_str() == address).peekable();
        if here.peek().is_none() {
            return adopted.iter().find(|url| url.as_str() == address).cloned();
        }
        here.find(|mirror| mirror.takes_part).map(|mirror| mirror.url.clone())
    }

    fn takes_part(&self, name: &str) -> bool {
        self.mirrors.iter().any(|mirror| mirror.name == name && mirror.takes_part)
    }
}

/// What a request is measured by.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// By mirrors.toml.
    pub rules: &'a Rules,
    /// By what stood in the engine's own file.
    pub adopted: &'a [MirrorUrl],
    /// The request that was answered last.
    pub answered: Option<u64>,
    /// By whether somebody wants nothing to be written.
    pub paused: bool,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing but to publish what the engine is; with the number that is answered by that.
    Look(Option<u64>),
    /// The same, and to say why the request is not followed.
    Refuse(Option<u64>, Refusal),
    /// To give the engine this list.
    Apply(u64, Vec<MirrorUrl>),
}

/// Why a request is not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is not a request of this version.
    NotUnderstood(String),
    /// Here the name is that of a mirror at another address.
    Another(String),
    /// No such mirror takes part, and none stood in the engine's file.
    Unknown(String),
    /// More than `max`.
    TooMany(usize),
    /// A mirror twice.
    Twice(String),
    /// Somebody wants nothing to be written.
    Paused,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUnderstood(why) => write!(f, "it is not understood: {why}"),
            Self::Another(name) => {
                write!(f, "{name:?} is another mirror in mirrors.toml than the one that was meant")
            }
            Self::Unknown(name) => write!(f, "{name:?} is no mirror that takes part, by mirrors.toml"),
            Self::TooMany(count) => write!(f, "{count} mirrors are more than the list may have"),
            Self::Twice(name) => write!(f, "{name:?} is named twice"),
            Self::Paused => f.write_str("mirrorwatch is paused"),
        }
    }
}

/// Decides on the bytes of a request.
pub fn decide(bytes: &[u8], known: &Known<'_>) -> Decision {
    let request = match understood(bytes) {
        Ok(request) => request,
        Err(why) => return Decision::Refuse(None, Refusal::NotUnderstood(why)),
    };
    let number = request.number;
    let Some(names) = request.list.filter(|_| known.answered != Some(number)) else {
        return Decision::Look(Some(number));
    };
    match allowed(&names, known) {
        Ok(list) => Decision::Apply(number, list),
        Err(refusal) => Decision::Refuse(Some(number), refusal),
    }
}

/// The request, whether or not it may be followed.
pub(super) fn understood(bytes: &[u8]) -> Result<Request, String> {
    if bytes.len() > MAX_BYTES {
        return Err(format!("more than {MAX_BYTES} bytes"));
    }
    // Without the words of the parser: they may repeat what stands there, and go into the log.
    let request: Request = serde_json::from_slice(bytes)
        .map_err(|error| format!("line {}, column {}", error.line(), error.column()))?;
    if request.format == FORMAT { Ok(request) } else { Err(format!("format {}", request.format)) }
}

fn allowed(names: &[Named], known: &Known<'_>) -> Result<Vec<MirrorUrl>, Refusal> {
    if known.paused {
        return Err(Refusal::Paused);
    }
    if names.len() > known.rules.max {
        return Err(Refusal::TooMany(names.len()));
    }
    let mut list = Vec::new();
    for Named { name, url: meant } in names {
        let shown = || name.chars().take(80).collect();
        let Some(url) = known.rules.at(meant, known.adopted) else {
            let other = known.rules.takes_part(name);
            return Err(if other { Refusal::Another(shown()) } else { Refusal::Unknown(shown()) });
        };
        if list.contains(&url) {
            return Err(Refusal::Twice(shown()));
        }
        list.push(url);
    }
    Ok(list)
}
