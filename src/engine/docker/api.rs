//! dockerd's API over its unix socket: the few things that are asked of it.
//!
//! Each answer has a deadline and a cap on its body, and the next question goes out on the same connection: one that is
//! open starts no dockerd that was stopped meanwhile, as a new one may ([`wake`]). The paths carry no version, so that
//! dockerd answers in its own.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::wake;
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
#[derive(Debug)]
pub(super) struct Api {
    socket: PathBuf,
    /// What the last answer came on, for the next question.
    line: Mutex<Option<Line>>,
}

/// A connection.
#[derive(Debug)]
struct Line {
    sender: SendRequest<Empty<Bytes>>,
    /// Who listens at its other end.
    peer: Option<i32>,
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
        Self { socket: socket.to_owned(), line: Mutex::default() }
    }

    /// Whether a dockerd answers at the socket, on a new connection: another than before may have that now.
    pub(super) async fn ping(&self) -> Result<Pong, Problem> {
        self.hang_up();
        let line = self.connect().await?;
        let peer = line.peer;
        self.within(PING_DEADLINE, "/_ping", async {
            let (response, line) = self.send(line, "/_ping").await?;
            let server = response.headers().get(http::header::SERVER);
            // podman offers the same API and has no registry-mirrors.
            if server.is_some_and(|server| server.as_bytes().starts_with(b"Libpod")) {
                return Err(self.no_answer("/_ping", "podman answers there, not dockerd"));
            }
            self.read("/_ping", response, line).await?;
            Ok(Pong { peer })
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
        let bytes = self.ask(PING_DEADLINE, &path).await.ok()?;
        let pulls = serde_json::Deserializer::from_slice(&bytes).into_iter::<Pull>();
        pulls.map_while(Result::ok).map(|pull| Timestamp::from_millis(pull.time_nano / 1_000_000)).max()
    }

    /// Every reload from now on.
    pub(super) async fn reloads(&self) -> Result<Reloads, Problem> {
        let line = self.connect().await?;
        self.within(PING_DEADLINE, "/events", self.stream(line, EVENTS)).await
    }

    /// Whether dockerd remembers a reload since then (seconds and nanoseconds since the epoch). It keeps the last
    /// 256 events of all kinds.
    pub(super) async fn reloaded_since(&self, (seconds, nanoseconds): (i64, i64)) -> bool {
        let path = format!("{EVENTS}&since={seconds}.{nanoseconds:09}");
        let Ok(line) = self.connect().await else { return false };
        let first = async { self.stream(line, &path).await.ok()?.next().await };
        // What it remembers it sends at once, and then it waits for more.
        timeout(HISTORY, first).await.is_ok_and(|event| event.is_some())
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        let bytes = self.ask(DEADLINE, path).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.no_answer(path, error))
    }

    /// The whole answer, on the connection of the one before if that still stands.
    async fn ask(&self, deadline: Duration, path: &str) -> Result<Bytes, Problem> {
        if let Some(mut line) = self.keep(None) {
            let again = async {
                // Either side may close it after any answer.
                let Ok(response) = line.send(path).await else { return Ok(None) };
                self.read(path, response, line).await.map(Some)
            };
            if let Some(bytes) = self.within(deadline, path, again).await? {
                return Ok(bytes);
            }
        }
        let line = self.connect().await?;
        self.within(deadline, path, async {
            let (response, line) = self.send(line, path).await?;
            self.read(path, response, line).await
        })
        .await
    }

    /// Keeps this connection for the next question, and gives the one that was kept.
    fn keep(&self, line: Option<Line>) -> Option<Line> {
        std::mem::replace(&mut *self.line.lock().unwrap_or_else(PoisonError::into_inner), line)
    }

    /// Ends the connection that is kept: nothing more will be asked soon.
    pub(super) fn hang_up(&self) {
        drop(self.keep(None));
    }

    async fn send(&self, mut line: Line, path: &str) -> Result<(http::Response<Incoming>, Line), Problem> {
        let response = line.send(path).await.map_err(|error| self.no_answer(path, error))?;
        Ok((response, line))
    }

    async fn read(
        &self,
        path: &str,
        response: http::Response<Incoming>,
        line: Line,
    ) -> Result<Bytes, Problem> {
        let body = Limited::new(self.well(path, response)?.into_body(), BODY_BYTES);
        let bytes = body.collect().await.map_err(|error| self.no_answer(path, error))?.to_bytes();
        self.keep(Some(line));
        Ok(bytes)
    }

    /// An answer without an end.
    async fn stream(&self, line: Line, path: &str) -> Result<Reloads, Problem> {
        let (response, _) = self.send(line, path).await?;
        Ok(Reloads { body: self.well(path, response)?.into_body(), buffer: Vec::new() })
    }

    fn well(
        &self,
        path: &str,
        response: http::Response<Incoming>,
    ) -> Result<http::Response<Incoming>, Problem> {
        match response.status() {
            http::StatusCode::OK => Ok(response),
            other => Err(self.no_answer(path, format!("status {other}"))),
        }
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

    async fn connect(&self) -> Result<Line, Problem> {
        wake::refuse(&self.socket).await?;
        let refused = |error: io::Error| {
            let absent = [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused];
            let kind = if absent.contains(&error.kind()) {
                ProblemKind::NotRunning
            } else if error.kind() == io::ErrorKind::PermissionDenied {
                ProblemKind::NotPermitted
            } else {
                ProblemKind::NoAnswer
            };
            Problem::new(kind, format!("{}: cannot connect: {error}", self.socket.display()))
        };
        let stream = UnixStream::connect(&self.socket).await.map_err(refused)?;
        let peer = stream.peer_cred().ok().and_then(|credentials| credentials.pid());
        let broken =
            |error| Problem::new(ProblemKind::NoAnswer, format!("{}: {error}", self.socket.display()));
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // It ends by itself as soon as the sender and the body are dropped.
        tokio::spawn(connection);
        Ok(Line { sender, peer: peer.filter(|pid| *pid > 0) })
    }

    fn no_answer(&self, path: &str, cause: impl std::fmt::Display) -> Problem {
        Problem::new(ProblemKind::NoAnswer, format!("{}: GET {path}: {cause}", self.socket.display()))
    }
}

impl Clone for Api {
    /// Of the connection there is one, and it stays where it is.
    fn clone(&self) -> Self {
        Self::new(&self.socket)
    }
}

impl Line {
    async fn send(&mut self, path: &str) -> hyper::Result<http::Response<Incoming>> {
        // The one before may have to be taken off first.
        self.sender.ready().await?;
        let request = http::Request::get(path)
            .header(http::header::HOST, "docker")
            .body(Empty::new())
            .expect("the paths above are valid");
        self.sender.send_request(request).await
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::UnixListener;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;

    const WELL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    const LAST: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
    const ILL: &str = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\n{}";

    /// Gives these answers to whatever comes, and tells each path and the number of its connection.
    fn engine(socket: &Path, answers: &'static [&'static str]) -> UnboundedReceiver<(usize, String)> {
        let listener = UnixListener::bind(socket).unwrap();
        let (tell, told) = unbounded_channel();
        tokio::spawn(async move {
            let mut answers = answers.iter();
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                while stream.read_line(&mut line).await.unwrap() > 0 {
                    if let Some(path) = line.strip_prefix("GET ").and_then(|line| line.split(' ').next()) {
                        tell.send((number, path.to_owned())).unwrap();
                    }
                    if line == "\r\n" {
                        let answer = answers.next().unwrap();
                        stream.write_all(answer.as_bytes()).await.unwrap();
                        if *answer == LAST {
                            break;
                        }
                    }
                    line.clear();
                }
            }
        });
        told
    }

    async fn asked(mut told: UnboundedReceiver<(usize, String)>) -> Vec<(usize, String)> {
        let mut asked = Vec::new();
        told.recv_many(&mut asked, 100).await;
        asked
    }

    fn expected(paths: &[(usize, &str)]) -> Vec<(usize, String)> {
        paths.iter().map(|(number, path)| (*number, (*path).to_owned())).collect()
    }

    #[tokio::test]
    async fn a_look_is_one_connection_and_the_next_look_another() {
        let place = tempfile::tempdir().unwrap();
        let socket = place.path().join("sock");
        let told = engine(&socket, &[WELL; 4]);
        let api = Api::new(&socket);
        let pong = api.ping().await.unwrap();
        assert_eq!(pong.peer, i32::try_from(std::process::id()).ok());
        let _: Info = api.get("/info").await.unwrap();
        let _: Info = api.get("/other").await.unwrap();
        api.ping().await.unwrap();
        let paths = [(0, "/_ping"), (0, "/info"), (0, "/other"), (1, "/_ping")];
        assert_eq!(asked(told).await, expected(&paths));
    }

    #[tokio::test]
    async fn one_that_the_engine_has_closed_is_replaced() {
        let place = tempfile::tempdir().unwrap();
        let socket = place.path().join("sock");
        let told = engine(&socket, &[LAST, WELL, LAST, WELL]);
        let api = Api::new(&socket);
        api.ping().await.unwrap();
        for _ in 0..3 {
            let _: Info = api.get("/info").await.unwrap();
        }
        let paths = [(0, "/_ping"), (1, "/info"), (1, "/info"), (2, "/info")];
        assert_eq!(asked(told).await, expected(&paths));
    }

    #[tokio::test]
    async fn an_answer_that_says_no_is_not_asked_for_again() {
        let place = tempfile::tempdir().unwrap();
        let socket = place.path().join("sock");
        let told = engine(&socket, &[WELL, ILL]);
        let api = Api::new(&socket);
        api.ping().await.unwrap();
        let problem = api.get::<Info>("/info").await.unwrap_err();
        assert!(problem.detail.ends_with("sock: GET /info: status 500 Internal Server Error"), "{problem}");
        assert_eq!(asked(told).await, expected(&[(0, "/_ping"), (0, "/info")]));
    }
}
