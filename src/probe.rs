//! Asks one mirror what the engine would ask of it, and says what it saw.
//!
//! `GET /v2/` tells nothing: a mirror that answers it may refuse every image, ask for an account at the
//! manifest, redirect layers to a host that is blocked, or serve a web page. So a probe is the beginning of a
//! pull. It takes the engine's way (its proxy, its User-Agent, its Accept headers, its platform, a cold
//! connection for each request, HTTP/1.1), and reads as little as tells.
//!
//! What answers may be anybody. Every answer has a budget of bytes that is kept by the socket itself
//! (`meter`), every phase and the whole have a deadline, addresses are checked where connections are made
//! (`address`), what a server says is made safe before it is kept (`wrong`), nothing is unpacked, and there is no
//! credential that could be lost. A hostile server costs at most 512 KiB of memory.
//!
//! | module | what it knows |
//! | --- | --- |
//! | `rehearsal`, `session` | the steps of a pull; asking, redirects, tokens, what it cost |
//! | `manifest`, `layer`, `challenge`, `refusal` | reading what comes back |
//! | `exchange`, `connector`, `dial`, `tls`, `route`, `names`, `address`, `meter` | one request on one connection |
//! | `voice`, `target`, `known`, `wrong` | the engine's words, URLs, what is remembered, what went wrong |
//! | `files`, `lanes` | how many at once |

mod address;
mod challenge;
mod connector;
mod dial;
mod exchange;
mod files;
mod known;
mod lanes;
mod layer;
mod manifest;
mod meter;
mod names;
mod refusal;
mod rehearsal;
mod route;
mod session;
mod target;
mod tls;
mod voice;
mod wrong;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::image::{Image, Layers};
use crate::mirror::MirrorUrl;
use crate::observation::{Depth, ImageStore, Observation};
use crate::ours::Ours;
use crate::text::detail::detail;
use crate::text::{Lang, probe as text};
use crate::timestamp::Timestamp;

use connector::Connector;
use known::Known;
use lanes::Lanes;
use names::Names;
use route::Routes;
use session::Session;
use tls::Tls;
use voice::Voice;

/// How to probe. The defaults are those of mirrors.toml.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// For TCP, and again as long for a proxy's tunnel and for TLS.
    pub connect_timeout: Duration,
    /// From a request to the first byte of its answer, and from there to the end of a small body.
    pub timeout: Duration,
    /// No byte of a body for so long. A layer is read for four fifths of it, and judged after one fifth.
    pub stall: Duration,
    /// Bytes per second; a layer that comes slower is `too_slow`.
    pub min_speed: u64,
    /// The engine's way out.
    pub proxies: Proxies,
    /// More trusted authorities, PEM.
    pub ca_file: Option<PathBuf>,
    /// The engine's image store; `None` is unknown: spoken as the classic store, quirks of both noted.
    pub store: Option<ImageStore>,
    /// The engine's version, for the User-Agent.
    pub engine_version: Option<String>,
    /// Name servers to ask; `None` asks those of the system.
    pub nameservers: Option<Vec<SocketAddr>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(10),
            stall: Duration::from_secs(5),
            min_speed: 64 * 1024,
            proxies: Proxies::default(),
            ca_file: None,
            store: None,
            engine_version: None,
            nameservers: None,
        }
    }
}

/// The proxies of the engine, as URLs (http, https, socks5; a login in them is the user's own).
///
/// The rules are dockerd's: https mirrors take `https`, http mirrors take `http`, this host is never reached
/// through a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For http mirrors.
    pub http: Option<String>,
    /// For https mirrors.
    pub https: Option<String>,
    /// NO_PROXY: what is reached without one.
    pub no_proxy: Option<String>,
}

/// What to probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// How far to go.
    pub depth: Depth,
    /// What to ask for; `None` at depth connect.
    pub image: Option<Image>,
    /// Its layers, as [`Observation::layers`] of an earlier rehearsal told them. A sample without them only connects;
    /// no other depth needs them.
    pub layers: Option<Layers>,
    /// Rotates layers and places in them: any number that grows from probe to probe.
    pub turn: u64,
}

/// Why there can be no prober: a setting is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetupError {
    /// `ca_file` cannot be read, or holds no certificate.
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A proxy that is not an http, https or socks5 URL.
    Proxy {
        /// The URL, without its login.
        url: String,
    },
    /// TLS cannot be set up at all.
    Tls {
        /// What rustls says.
        why: String,
    },
}

impl SetupError {
    /// What is wrong and what to do, for people.
    pub fn text(&self, lang: Lang) -> String {
        match self {
            Self::CaFile { path, why } => {
                text::bad_ca_file(lang, &path.display().to_string(), &detail(lang, why))
            }
            Self::Proxy { url } => text::bad_proxy(lang, &wrong::safe(url)),
            Self::Tls { why } => text::no_tls(lang, why),
        }
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(Lang::En))
    }
}

impl std::error::Error for SetupError {}

/// So many mirrors are talked to at once. What a handshake costs us adds to what all the others wait: on a small
/// machine some five milliseconds, and the patience with it is three seconds. Who has not answered the dial yet costs
/// nothing and is not counted.
const PLACES: usize = 400;

/// Limits of time and speed, derived once.
#[derive(Clone, Copy, Debug)]
struct Limits {
    connect_timeout: Duration,
    timeout: Duration,
    stall: Duration,
    min_speed: u64,
    /// How long a layer is read after its first byte: 4 s by default.
    read_for: Duration,
    /// How long it takes to tell a crawl from a slow start: 1 s by default.
    tell_after: Duration,
}

impl Limits {
    fn of(settings: &Settings) -> Self {
        let Settings { connect_timeout, timeout, stall, min_speed, .. } = *settings;
        Self { connect_timeout, timeout, stall, min_speed, read_for: stall * 4 / 5, tell_after: stall / 5 }
    }

    /// How long a probe may take as a whole; 11 s, 30 s and a minute by default. Whichever phase it ends in
    /// says what went wrong.
    fn whole(&self, depth: Depth) -> Duration {
        match depth {
            Depth::Connect => names::CAP + self.connect_timeout * 3,
            Depth::Sample => self.timeout * 3,
            Depth::Rehearse => self.timeout * 6,
        }
    }
}

/// Probes mirrors. It remembers of each the token and what it asks for, and needs neither.
pub struct Prober {
    connector: Connector,
    limits: Limits,
    voice: Voice,
    store: Option<ImageStore>,
    known: Arc<Known>,
    /// Those who have their files.
    started: Semaphore,
    /// Those whose names are being asked for.
    names: Lanes,
    /// Those who are talked to.
    places: Semaphore,
    /// Those whose layers are being read.
    layers: Lanes,
}

impl Prober {
    /// A prober with these settings. Reads the authorities that the host trusts, which takes some milliseconds;
    /// whatever else it needs is read when it is needed.
    ///
    /// # Errors
    ///
    /// A setting is wrong.
    pub fn new(settings: Settings) -> Result<Self, SetupError> {
        let tls = Tls::new(settings.ca_file.as_deref())?;
        let routes = Routes::new(&settings.proxies)?;
        let limits = Limits::of(&settings);
        let names = Names::new(settings.nameservers);
        Ok(Self {
            connector: Connector::new(names, tls, routes, limits.connect_timeout),
            limits,
            voice: Voice::new(settings.engine_version.as_deref(), settings.store),
            store: settings.store,
            known: Arc::default(),
            started: Semaphore::new(files::probes_at_once()),
            names: Lanes::new(lanes::NAMES),
            places: Semaphore::new(PLACES),
            layers: Lanes::new(lanes::LAYERS),
        })
    }

    /// It takes the place of `before`, and goes on with what that one knows, or finds out in what it has begun: a sample
    /// that has to ask for a token anew costs three requests instead of one.
    #[must_use]
    pub fn instead_of(mut self, before: &Self) -> Self {
        self.known = Arc::clone(&before.known);
        self
    }

    /// Its connections are to be known as our own by these.
    #[must_use]
    pub fn noted_in(mut self, ours: Ours) -> Self {
        self.connector.note_in(ours);
        self
    }

    /// Probes `mirror`; `at` is now. It always ends, and whatever the mirror does is in the observation.
    pub async fn probe(&self, mirror: &MirrorUrl, task: &Task, at: Timestamp) -> Observation {
        // The semaphore is never closed.
        let _files = self.started.acquire().await.ok();
        let mut session = Session::new(self, mirror, task.depth, at);
        // Nine of ten probes are connects, and none should take the place of a rehearsal in memory.
        let ended = match (task.depth, &task.image) {
            (Depth::Connect, _) => session.connect().await,
            (Depth::Rehearse, Some(image)) => Box::pin(session.rehearse(image, task.turn)).await,
            (Depth::Sample | Depth::Rehearse, image) => {
                let of = image.as_ref().zip(task.layers.as_ref());
                Box::pin(session.sample(of, task.turn)).await
            }
        };
        session.finish(ended)
    }
}
