//! What one probe saw.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::image::{Digest, Image, Layers};
use crate::reason::FailureKind;
use crate::timestamp::Timestamp;

/// How far a probe goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Depth {
    /// Name, TCP, TLS; no HTTP request.
    Connect,
    /// One ranged GET of a layer.
    Sample,
    /// The first steps of a pull in full.
    Rehearse,
}

/// Which step of a pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Resolving the name.
    Name,
    /// TCP.
    Connect,
    /// The TLS handshake.
    Tls,
    /// `/v2/`.
    Ping,
    /// The anonymous token.
    Token,
    /// The manifest by tag and the platform's manifest.
    Manifest,
    /// The image's configuration.
    Config,
    /// A layer.
    Layer,
}

impl Stage {
    /// How far a probe must go to see what went wrong at this stage.
    pub fn shown_by(self) -> Depth {
        match self {
            Self::Name | Self::Connect | Self::Tls => Depth::Connect,
            Self::Layer => Depth::Sample,
            Self::Ping | Self::Token | Self::Manifest | Self::Config => Depth::Rehearse,
        }
    }
}

/// How long each step took; `None` was not measured.
///
/// `name`, `connect` and `tls` are those of the first connection to the mirror itself. `ping` to `config` run
/// from the start of a cold connection to the last byte, as the classic store pays them; `layer` ends
/// with the first byte of the layer, redirects included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the stages, described at Stage")]
pub struct Stages {
    pub name: Option<Duration>,
    pub connect: Option<Duration>,
    pub tls: Option<Duration>,
    pub ping: Option<Duration>,
    pub token: Option<Duration>,
    pub manifest: Option<Duration>,
    pub config: Option<Duration>,
    pub layer: Option<Duration>,
}

/// A failure, as data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Which of the closed list.
    pub kind: FailureKind,
    /// At which step.
    pub stage: Stage,
    /// More, in English, safe for a terminal, at most 200 bytes; may be empty.
    pub detail: String,
}

/// Whether the mirror served what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything asked at this depth was served.
    Served,
    /// It was not.
    Failed(Failure),
}

/// What a mirror does that one of dockerd's two image stores cannot live with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quirk {
    /// HEAD of the manifest is refused, with 404 or anything but 405, though GET works: the containerd store goes
    /// to the next mirror.
    HeadNotFound,
    /// HEAD of the manifest answers 2xx with a web page's or no manifest's media type: fatal to the containerd store.
    HeadWrongType,
    /// HEAD answers with a digest and without Content-Length: the classic store goes to the next mirror.
    HeadWithoutLength,
    /// HEAD answers without Content-Type: the classic store goes to the next mirror.
    HeadWithoutType,
    /// `/v2/` asks for no token and the manifest does: the classic store never fetches it.
    LateChallenge,
    /// `/v2/` does not answer at all: the classic store gives up, the containerd store never asks.
    PingFails,
}

/// Which of dockerd's two image stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageStore {
    /// The graph drivers: overlay2 and friends.
    Classic,
    /// The containerd image store, the default of fresh installations since Docker 29.
    Containerd,
}

impl Quirk {
    /// Which store cannot live with it.
    pub const fn unfit_for(self) -> ImageStore {
        match self {
            Self::HeadNotFound | Self::HeadWrongType => ImageStore::Containerd,
            Self::HeadWithoutLength | Self::HeadWithoutType | Self::LateChallenge | Self::PingFails => {
                ImageStore::Classic
            }
        }
    }
}

/// What a probe cost the mirror's own host: the currency of the budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// HTTP requests to the mirror's own host, tokens and same-host redirects included.
    pub requests: u32,
    /// Answers of 403, 404, 429 or 5xx among them.
    pub refusals: u32,
    /// Bytes read, from wherever.
    pub bytes: u64,
}

/// The most that a rehearsal costs: the prober itself makes no more requests ([`crate::probe`]), reads at most one
/// mebibyte of a layer and some kibibytes of manifests, and is refused by HEAD and GET of the same manifest.
pub const REHEARSAL: Spent = Spent { requests: 10, refusals: 2, bytes: (1 << 20) + (64 << 10) };

/// What one probe of one mirror saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// When the probe began.
    pub at: Timestamp,
    /// How far it went. A sample of a layer that nobody knows, or that is gone, gets no farther than to connect.
    pub depth: Depth,
    /// The image that was asked for; `None` at depth connect.
    pub image: Option<Image>,
    /// Served, or why not.
    pub outcome: Outcome,
    /// How long each step took.
    pub stages: Stages,
    /// Bytes per second of a layer after its first byte; `None` when too little was read to tell.
    pub bytes_per_second: Option<f64>,
    /// From the first byte of the piece of a layer to its last.
    pub reading: Option<Duration>,
    /// The address that the mirror's own host answered from.
    pub address: Option<SocketAddr>,
    /// The address that the layer came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_address: Option<SocketAddr>,
    /// All the addresses of the mirror's own host and of the one that served the layer: the engine may have been
    /// connected to any. Not kept.
    #[serde(skip)]
    pub addresses: BTreeSet<SocketAddr>,
    /// The host that served the layer.
    pub layer_host: Option<String>,
    /// Other hosts that it sent pings, tokens or layers to.
    pub sent_to: BTreeSet<String>,
    /// The digest that the tag leads to.
    pub digest: Option<Digest>,
    /// The layers that samples can be taken of from now on, where a rehearsal went well. Not kept: the record has them.
    #[serde(skip)]
    pub layers: Option<Layers>,
    /// When the image was created, as its configuration says; 1970 or none is `None`.
    pub created: Option<Timestamp>,
    /// What a store cannot live with.
    pub quirks: BTreeSet<Quirk>,
    /// What it cost.
    pub spent: Spent,
    /// How long the mirror asked to be left alone (`Retry-After`, `X-Retry-After`), capped at 24 hours.
    pub retry_after: Option<Duration>,
    /// For how long this process did not get to run while it waited: what failed for want of time then is not the
    /// mirror's failure.
    #[serde(default, skip_serializing_if = "Duration::is_zero")]
    pub starved: Duration,
    /// Whether it was held neither for nor against the mirror: our own network may have been what failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forgiven: bool,
}

impl Observation {
    /// An observation of nothing yet, to be filled as a probe goes on.
    pub fn new(at: Timestamp, depth: Depth) -> Self {
        Self {
            at,
            depth,
            image: None,
            outcome: Outcome::Served,
            stages: Stages::default(),
            bytes_per_second: None,
            reading: None,
            address: None,
            layer_address: None,
            addresses: BTreeSet::new(),
            layer_host: None,
            sent_to: BTreeSet::new(),
            digest: None,
            layers: None,
            created: None,
            quirks: BTreeSet::new(),
            spent: Spent::default(),
            retry_after: None,
            starved: Duration::ZERO,
            forgiven: false,
        }
    }

    /// The same without what took time: who measured did not get to run, and how long that was is no figure of the
    /// mirror's.
    pub fn without_figures(&self) -> Self {
        Self { stages: Stages::default(), bytes_per_second: None, reading: None, ..self.clone() }
    }

    /// The failure, if it is one.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.outcome {
            Outcome::Served => None,
            Outcome::Failed(failure) => Some(failure),
        }
    }

    /// Whether it only tried to connect, and could not.
    pub fn is_lost_connect(&self) -> bool {
        self.depth == Depth::Connect && self.failure().is_some()
    }

    /// Bytes per second that a pull would have got, which are none where it failed, however fast it began; `None` where
    /// nothing failed and nothing was measured.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, which is what is wanted"
    )]
    pub fn speed(&self) -> Option<u64> {
        match self.outcome {
            Outcome::Failed(_) => Some(0),
            Outcome::Served => self.bytes_per_second.map(|speed| speed.round() as u64),
        }
    }
}
