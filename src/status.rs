//! The status: what the service knows, as one value that is printed as JSON and as text.
//!
//! The service publishes it after every decision; `status` reads it. The field names are public. Nothing here
//! decides anything: the daemon fills the fields from the very values it applied. Fields that the text form needs
//! in other languages than English (`kind`s beside sentences) are additions to the public shape.
//!
//! - [`health`]: what of it is not healthy
//! - [`read`]: the files, and whether the process that wrote them still lives
//! - [`json`], [`text`]: the two forms; [`table`]: columns that line up; [`safe`]: foreign text for a terminal
//! - [`spark`]: the last day of one mirror

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::mirror::{DOCKER_HUB, MirrorUrl};
use crate::observation;
use crate::reason::{ChangeKind, NetworkKind, ProblemKind, ReasonKind, WarningKind};
use crate::timestamp::Timestamp;

// What is decided of a mirror is printed as it is: the fields of these are public, too.
pub use crate::ranking::record::{Coverage, SpentToday};
pub use crate::ranking::verdict::{Reason, Verdict};

pub mod health;
pub mod json;
pub mod read;
pub mod safe;
pub mod spark;
pub mod table;
pub mod text;

/// The version of the shape; fields are added under the same number, and never change or go.
pub const SCHEMA: u32 = 1;

/// The file's name, in the runtime directory and in the state directory.
pub const FILE_NAME: &str = "status.json";

/// Everything `status` shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// [`SCHEMA`].
    pub schema: u32,
    /// When these values were put together.
    pub generated_at: Timestamp,
    /// The service itself.
    pub service: Service,
    /// The registry behind the mirrors (addition).
    #[serde(default)]
    pub upstream: Upstream,
    /// Every engine that is enabled, and installed or asked for by name; if none is there, those that were looked for.
    pub engines: Vec<Engine>,
    /// Every candidate: selected by place, live by score, rejected.
    pub mirrors: Vec<Mirror>,
    /// The last changes of a list, newest first.
    pub switches: Vec<Switch>,
}

/// The service itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// What it is doing.
    pub state: ServiceState,
    /// Its process, while there is one.
    pub pid: Option<u32>,
    /// When that process began, in clock ticks since boot, as `/proc/PID/stat` has it: a pid alone may be another's
    /// by the time it is read (addition).
    #[serde(default)]
    pub pid_started: Option<u64>,
    /// For how long this host had been awake at `generated_at`, since it started, in milliseconds: how old a status is by
    /// a clock that no sleep and nobody's hand moves (addition).
    #[serde(default)]
    pub awake_ms: Option<u64>,
    /// For how long its process lives and has not renewed its status as it should, by the same clock; found by who reads it
    /// (addition).
    #[serde(default)]
    pub silent_ms: Option<u64>,
    /// Since when it runs.
    pub since: Option<Timestamp>,
    /// Its version.
    pub version: String,
    /// Whether our own network works.
    pub network: Option<Network>,
    /// Why it is taken to be down; English.
    pub network_reason: Option<String>,
    /// The same from the closed list (addition).
    #[serde(default)]
    pub network_kind: Option<NetworkKind>,
    /// What the reason says beyond that; English (addition).
    #[serde(default)]
    pub network_detail: Option<String>,
    /// mirrors.toml.
    pub config: Config,
    /// When the pause ends by itself; null without one, and in one without an end (addition).
    #[serde(default)]
    pub paused_until: Option<Timestamp>,
    /// What works, and is still worth knowing (addition).
    #[serde(default)]
    pub notices: Vec<Notice>,
}

/// What works in the service, and is still worth knowing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What it is about.
    pub kind: NoticeKind,
    /// More, in English; may be empty.
    pub detail: String,
}

/// What a notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// A warning about mirrors.toml; the detail is `file:line:column: what`.
    Config,
    /// What was remembered could not be read and was begun anew, or cannot be kept.
    Setback,
    /// The pause file cannot be read or understood; the detail is `file: why`.
    Pause,
    /// The engine's own pulls, or a part of what they show, cannot be listened to.
    Deaf,
}

/// What the service is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    /// The first round is not over.
    Starting,
    /// At work.
    Running,
    /// Probing, and writing nothing.
    Paused,
    /// Not there.
    Stopped,
}

/// Whether our own network works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Somebody answered.
    Up,
    /// Every mirror and the upstream failed together.
    Down,
}

/// mirrors.toml, as the service last saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Where it is.
    pub path: String,
    /// Whether the file as it stands is what the service goes by.
    pub valid: bool,
    /// The first error: one line `file:line:column: what`, English.
    pub error: Option<String>,
}

/// The registry behind the mirrors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Upstream {
    /// Its name.
    pub name: String,
    /// Whether it answers from here; null when it was never asked.
    pub answers: Option<bool>,
    /// What the reference pull would take without any mirror, seconds.
    pub predicted_seconds: Option<f64>,
}

impl Default for Upstream {
    fn default() -> Self {
        Self { name: DOCKER_HUB.to_owned(), answers: None, predicted_seconds: None }
    }
}

/// One engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Engine {
    /// `docker`, …
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// The file that holds its list.
    pub file: String,
    /// Whether it has the selection.
    pub state: EngineState,
    /// The list it has, as its own API says; null when it does not say.
    pub mirrors: Option<Vec<String>>,
    /// When its API last said so.
    pub verified_at: Option<Timestamp>,
    /// Why it does not have the selection: one English line, path first.
    pub problem: Option<String>,
    /// The same from the closed list (addition).
    #[serde(default)]
    pub problem_kind: Option<ProblemKind>,
    /// Set while this engine alone is left in peace, as after `restore` (addition).
    #[serde(default)]
    pub paused: Option<EnginePause>,
    /// What works, and is still worth knowing (addition).
    #[serde(default)]
    pub warnings: Vec<Warning>,
}

/// Whether an engine has the selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineState {
    /// Verified: it has exactly the selection.
    InPlace,
    /// It will get it: the engine is not running, a pause holds, or the first round is not over.
    Pending,
    /// Nothing was written, because it would not end well.
    Refused,
    /// Written, not taken, and the old file is back.
    RolledBack,
    /// Not found.
    Absent,
}

/// The pause of one engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnginePause {
    /// When it ends by itself; null lasts until `resume`.
    pub until: Option<Timestamp>,
}

/// What works in an engine, and is still worth knowing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// From the closed list.
    pub kind: WarningKind,
    /// More, in English; may be empty.
    pub detail: String,
}

/// One candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mirror {
    /// What people call it.
    pub name: String,
    /// Where it is.
    pub url: MirrorUrl,
    /// Which registry it mirrors.
    pub upstream: String,
    /// Live or rejected.
    pub verdict: Verdict,
    /// Its place in the list, from 1; null when it is not in it.
    pub selected: Option<usize>,
    /// Why it stands where it stands, the weightiest first.
    pub reasons: Vec<Reason>,
    /// The reference pull: 30 MiB in 4 layers, seconds.
    pub predicted_seconds: Option<f64>,
    /// How often it succeeds, 0 to 1.
    pub success: Option<f64>,
    /// Speed of a layer after its first byte.
    pub bytes_per_second: Option<u64>,
    /// From the start of a cold connection to the first byte of a layer, milliseconds.
    pub first_byte_ms: Option<u64>,
    /// How many of this host's images it serves.
    pub coverage: Option<Coverage>,
    /// How long each step took.
    pub stages_ms: StagesMs,
    /// When it was last asked.
    pub last_probe: Option<Timestamp>,
    /// When it will be asked next.
    pub next_probe: Option<Timestamp>,
    /// Where it answered from.
    pub address: Option<SocketAddr>,
    /// Which host served the layer.
    pub layer_host: Option<String>,
    /// What was asked of it.
    pub budget: SpentToday,
    /// The last 24 hours, oldest first: bytes per second, failures counted as 0, null where nothing was measured
    /// (addition).
    #[serde(default)]
    pub spark: Vec<Option<u64>>,
}

/// How long each step took, milliseconds; null was not measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are the stages, described at observation::Stage")]
pub struct StagesMs {
    pub name: Option<f64>,
    pub connect: Option<f64>,
    pub tls: Option<f64>,
    pub ping: Option<f64>,
    pub token: Option<f64>,
    pub manifest: Option<f64>,
    pub config: Option<f64>,
    pub layer: Option<f64>,
}

impl From<observation::Stages> for StagesMs {
    fn from(stages: observation::Stages) -> Self {
        // A tenth of a millisecond is more than a network repeats, and keeps the JSON readable.
        let ms = |time: Option<std::time::Duration>| {
            time.map(|time| (time.as_secs_f64() * 10_000.0).round() / 10.0)
        };
        Self {
            name: ms(stages.name),
            connect: ms(stages.connect),
            tls: ms(stages.tls),
            ping: ms(stages.ping),
            token: ms(stages.token),
            manifest: ms(stages.manifest),
            config: ms(stages.config),
            layer: ms(stages.layer),
        }
    }
}

/// One change of an engine's list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// When.
    pub at: Timestamp,
    /// Of which engine.
    pub engine: String,
    /// The list before.
    pub from: Vec<String>,
    /// The list after.
    pub to: Vec<String>,
    /// Why, in an English sentence.
    pub why: String,
    /// Why, from the closed list (addition).
    #[serde(default)]
    pub kind: Option<ChangeKind>,
    /// The mirror that it was about, by name (addition).
    #[serde(default)]
    pub subject: Option<String>,
    /// What that mirror was rejected for (addition).
    #[serde(default)]
    pub reason: Option<ReasonKind>,
}

impl Status {
    /// What people call the mirror at `url`; the URL itself where nobody knows it.
    pub(crate) fn name_of<'a>(&'a self, url: &'a str) -> &'a str {
        let known = self.mirrors.iter().find(|mirror| mirror.url.as_str() == url.trim_end_matches('/'));
        known.map_or(url, |mirror| &mirror.name)
    }

    /// The selected mirrors, by place.
    pub fn selected(&self) -> Vec<&Mirror> {
        let mut selected: Vec<&Mirror> =
            self.mirrors.iter().filter(|mirror| mirror.selected.is_some()).collect();
        selected.sort_by_key(|mirror| mirror.selected);
        selected
    }
}
