//! dockerd's API over its unix socket: the few things that are asked of it.
//!
//! One connection a request, each with a deadline and a cap on its body. The paths carry no version, so
//! that dockerd answers in its own.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::engine::Problem;
use crate::reason::ProblemKind;
use crate::timestamp::Timestamp;

/// A dockerd that lives answers `/_ping` in a millisecond; one that is stopped or starved never does.
const PING_DEADLINE: Duration = Duration::from_secs(2);

/// `/info` counts containers and asks the storage driver, and hosts are sometimes busy.
const DEADLINE: Duration = Duration::from_secs(10);

/// So long is waited for an event that dockerd may remember. Measured are 1 to 2 ms.
const HISTORY: Duration = Duration::from_millis(200);

/// `/images/json` of a host with thousands of images has some 2 MiB.
const BODY_BYTES: usize = 8 << 20;

/// One event has about one kibibyte.
const EVENT_BYTES: usize = 1 << 20;

/// Percent-encoded `{"type":["daemon"],"event":["reload"]}`.
const EVENTS: &str =
    "/events?filters=%7B%22type%22%3A%5B%22daemon%22%5D%2C%22event%22%3A%5B%22reload%22%5D%7D";

/// Percent-encoded `{"type":["image"],"event":["pull"]}`.
const PULLS: &str = "/events?filters=%7B%22type%22%3A%5B%22image%22%5D%2C%22event%22%3A%5B%22pull%22%5D%7D";

/// Networks that dockerd trusts without being told to.
pub(super) const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];

/// A dockerd, by its socket.
#[derive(Clone, Debug)]
pub(super) struct Api {
    socket: PathBuf,
}

/// Who answered `/_ping`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pong {
    /// The process that listens, as the kernel says; systemd's under socket activation.
    pub(super) peer: Option<i32>,
}

/// What is read of `/info`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Info {
    pub(super) server_version: String,
    pub(super) operating_system: String,
    pub(super) kernel_version: String,
    driver_status: Option<Vec<Vec<String>>>,
    registry_config: Option<RegistryConfig>,
    pub(super) http_proxy: String,
    pub(super) https_proxy: String,
    pub(super) no_proxy: String,
    pub(super) debug: bool,
    pub(super) live_restore_enabled: bool,
    pub(super) default_runtime: String,
    pub(super) docker_root_dir: PathBuf,
    /// Under which name the classic store keeps its images.
    pub(super) driver: String,
    pub(super) labels: Option<Vec<String>>,
    plugins: Option<Plugins>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Plugins {
    authorization: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct RegistryConfig {
    #[serde(rename = "Mirrors")]
    mirrors: Option<Vec<String>>,
    #[serde(rename = "InsecureRegistryCIDRs")]
    insecure_cidrs: Option<Vec<String>>,
    #[serde(rename = "IndexConfigs")]
    indexes: Option<BTreeMap<String, Index>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Index {
    #[serde(rename = "Secure")]
    secure: bool,
}

/// What is read of `/images/json`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ImageSummary {
    /// The digest of its configuration in the classic store, of its index or manifest in containerd's.
    pub(super) id: String,
    pub(super) repo_tags: Option<Vec<String>>,
    pub(super) repo_digests: Option<Vec<String>>,
    /// Seconds since the epoch, of the image's making.
    pub(super) created: i64,
    /// What the image consists of, one for each platform; told by containerd's store alone.
    pub(super) manifests: Option<Vec<ManifestSummary>>,
}

/// One platform of an image, or what somebody attests of one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ManifestSummary {
    /// All of it is here.
    pub(super) available: bool,
    image_data: Option<ImageData>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ImageData {
    identity: Option<Identity>,
}

/// Where an image came from, as an engine knows it since API 1.54.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Identity {
    pull: Option<Vec<PullIdentity>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct PullIdentity {
    repository: String,
}

impl ManifestSummary {
    /// The repositories that it was pulled from, or pushed to, as far as dockerd knows.
    pub(super) fn pulled_from(&self) -> impl Iterator<Item = &str> {
        let identity = self.image_data.as_ref().and_then(|data| data.identity.as_ref());
        let pulls = identity.and_then(|identity| identity.pull.as_deref()).unwrap_or_default();
        pulls.iter().map(|pull| pull.repository.as_str())
    }
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "Actor")]
    actor: Actor,
}

#[derive(Deserialize)]
struct Pull {
    #[serde(rename = "timeNano")]
    time_nano: u64,
}

#[derive(Deserialize)]
struct Actor {
    #[serde(rename = "Attributes", default)]
    attributes: BTreeMap<String, String>,
}

impl Info {
    /// The list that is in use, without trailing slashes.
    pub(super) fn mirrors(&self) -> Vec<String> {
        let listed = self.registry_config.as_ref().and_then(|config| config.mirrors.as_deref());
        super::normal(listed.unwrap_or_default())
    }

    /// The plugins that it was told to ask before it does anything, by flag or file.
    pub(super) fn authorization_plugins(&self) -> &[String] {
        self.plugins.as_ref().and_then(|plugins| plugins.authorization.as_deref()).unwrap_or_default()
    }

    /// Whether images live in containerd's store.
    pub(super) fn containerd_store(&self) -> bool {
        let mut pairs = self.driver_status.iter().flatten();
        pairs.any(|pair| matches!(&pair[..], [key, value] if key == "driver-type" && value.contains("io.containerd.snapshotter")))
    }

    /// Registries beyond loopback, which always is, that are trusted without TLS.
    pub(super) fn insecure_registries(&self) -> BTreeSet<&str> {
        let Some(config) = &self.registry_config else { return BTreeSet::new() };
        let networks = config.insecure_cidrs.iter().flatten().map(String::as_str);
        let names = config.indexes.iter().flatten().filter(|(_, index)| !index.secure);
        networks.filter(|it| !LOOPBACK.contains(it)).chain(names.map(|(name, _)| name.as_str())).collect()
    }
}

impl Api {
    pub(super) fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Whether a dockerd answers.
    pub(super) async fn ping(&self) -> Result<Pong, Problem> {
        self.within(PING_DEADLINE, "/_ping", async {
            let stream = self.connect().await?;
            let peer = stream.peer_cred().ok().and_then(|credentials| credentials.pid());
            let response = self.request(stream, "/_ping").await?;
            let server = response.headers().get(http::header::SERVER);
            // podman offers the same API and has no registry-mirrors.
            if server.is_some_and(|server| server.as_bytes().starts_with(b"Libpod")) {
                return Err(self.no_answer("/_ping", "podman answers there, not dockerd"));
            }
            Ok(Pong { peer: peer.filter(|pid| *pid > 0) })
        })
        .await
    }

    pub(super) async fn info(&self) -> Result<Info, Problem> {
        let info: Info = self.get("/info").await?;
        if info.registry_config.is_none() {
            return Err(self.no_answer("/info", "the answer names no registry mirrors; this is not dockerd"));
        }
        Ok(info)
    }

    /// Every image. What each consists of costs dockerd a look at all of it, so only who has no other way to tell where
    /// one came from, as with containerd's store, asks for it.
    pub(super) async fn images(&self, in_full: bool) -> Result<Vec<ImageSummary>, Problem> {
        self.get(if in_full { "/images/json?manifests=1&identity=1" } else { "/images/json" }).await
    }

    /// When the last image was pulled between two times; `None` also when dockerd has had 256 other events since then.
    pub(super) async fn last_pull(&self, since: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let time = |at: Timestamp| format!("{}.{:03}000000", at.as_millis() / 1000, at.as_millis() % 1000);
        let path = format!("{PULLS}&since={}&until={}", time(since), time(until));
        let told = self.within(PING_DEADLINE, &path, async {
            let stream = self.connect().await?;
            let response = self.request(stream, &path).await?;
            let body = Limited::new(response.into_body(), BODY_BYTES);
            Ok(body.collect().await.map_err(|error| self.no_answer(&path, error))?.to_bytes())
        });
        let bytes = told.await.ok()?;
        let pulls = serde_json::Deserializer::from_slice(&bytes).into_iter::<Pull>();
        pulls.map_while(Result::ok).map(|pull| Timestamp::from_millis(pull.time_nano / 1_000_000)).max()
    }

    /// Every reload from now on.
    pub(super) async fn reloads(&self) -> Result<Reloads, Problem> {
        self.within(PING_DEADLINE, "/events", async {
            let stream = self.connect().await?;
            let response = self.request(stream, EVENTS).await?;
            Ok(Reloads { body: response.into_body(), buffer: Vec::new() })
        })
        .await
    }

    /// Whether dockerd remembers a reload since then (seconds and nanoseconds since the epoch). It keeps the last
    /// 256 events of all kinds.
    pub(super) async fn reloaded_since(&self, (seconds, nanoseconds): (i64, i64)) -> bool {
        let path = format!("{EVENTS}&since={seconds}.{nanoseconds:09}");
        let first = async {
            let stream = self.connect().await?;
            let response = self.request(stream, &path).await?;
            Ok::<_, Problem>(Reloads { body: response.into_body(), buffer: Vec::new() }.next().await)
        };
        // What it remembers it sends at once, and then it waits for more.
        timeout(HISTORY, first).await.is_ok_and(|event| event.is_ok_and(|event| event.is_some()))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        self.within(DEADLINE, path, async {
            let stream = self.connect().await?;
            let response = self.request(stream, path).await?;
            let body = Limited::new(response.into_body(), BODY_BYTES);
            let bytes = body.collect().await.map_err(|error| self.no_answer(path, error))?.to_bytes();
            serde_json::from_slice(&bytes).map_err(|error| self.no_answer(path, error))
        })
        .await
    }

    async fn within<T>(
        &self,
        deadline: Duration,
        path: &str,
        work: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        let late = |_| self.no_answer(path, format!("no answer within {deadline:?}"));
        timeout(deadline, work).await.map_err(late)?
    }

    async fn connect(&self) -> Result<UnixStream, Problem> {
        UnixStream::connect(&self.socket).await.map_err(|error| {
            let absent = [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused];
            let kind = if absent.contains(&error.kind()) {
                ProblemKind::NotRunning
            } else if error.kind() == io::ErrorKind::PermissionDenied {
                ProblemKind::NotPermitted
            } else {
                ProblemKind::NoAnswer
            };
            Problem::new(kind, format!("{}: cannot connect: {error}", self.socket.display()))
        })
    }

    async fn request(&self, stream: UnixStream, path: &str) -> Result<http::Response<Incoming>, Problem> {
        let broken = |error: &dyn std::fmt::Display| self.no_answer(path, error);
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
        // It ends by itself as soon as the sender and the body are dropped.
        tokio::spawn(connection);
        let request = http::Request::get(path)
            .header(http::header::HOST, "docker")
            .body(Empty::<Bytes>::new())
            .expect("the paths above are valid");
        let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
        if response.status() == http::StatusCode::OK {
            Ok(response)
        } else {
            Err(self.no_answer(path, format!("status {}", response.status())))
        }
    }

    fn no_answer(&self, path: &str, cause: impl std::fmt::Display) -> Problem {
        Problem::new(ProblemKind::NoAnswer, format!("{}: GET {path}: {cause}", self.socket.display()))
    }
}

/// dockerd's reload events, as they come.
#[derive(Debug)]
pub(super) struct Reloads {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Reloads {
    /// The list that the next reload took, as it was written; `None` when the stream is over.
    pub(super) async fn next(&mut self) -> Option<Vec<String>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                match serde_json::from_slice::<Event>(&line) {
                    Ok(event) => return Some(event.mirrors()),
                    // A line that is no event, such as a blank one, is none of our business.
                    Err(_) => continue,
                }
            }
            let data = self.body.frame().await?.ok()?.into_data().ok()?;
            if self.buffer.len() + data.len() > EVENT_BYTES {
                return None;
            }
            self.buffer.extend_from_slice(&data);
        }
    }
}

impl Event {
    fn mirrors(&self) -> Vec<String> {
        let text = self.actor.attributes.get("registry-mirrors").map_or("[]", |text| &**text);
        let list: Option<Vec<String>> = serde_json::from_str(text).unwrap_or_default();
        super::normal(&list.unwrap_or_default())
    }
}
