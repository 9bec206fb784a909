//! The first steps of a pull, in dockerd's order, and the short form that goes on where one ended.

use http::header::{ACCEPT, HeaderMap, HeaderName};
use http::{HeaderValue, Method, StatusCode};
use tokio::time::Instant;

use super::challenge::Asks;
use super::exchange::Answer;
use super::lanes::Lane;
use super::layer::{self, Piece, REHEARSED, SAMPLED, Taken};
use super::manifest::{self, Manifest};
use super::refusal::title;
use super::session::{Late, Session, Step, Stop, at, stop};
use super::target::Target;
use super::voice::Platform;
use super::wrong::{Try, Wrong};
use crate::image::{Descriptor, Digest, Image, Layers, Sum};
use crate::observation::{Depth, ImageStore, Quirk, REHEARSAL, Stage};
use crate::reason::FailureKind;

/// What a config may have. Its digest needs all of it; only the first part is held.
const CONFIG_BYTES: u64 = 1024 * 1024;

/// How much of a config is held, to read the creation date in it.
const CONFIG_HELD: usize = 192 * 1024;

/// What is read of a web page, for its title.
const PAGE_BYTES: usize = 16 * 1024;

/// What a layer costs beside its own bytes, where another host has it: a handshake with its certificates, and the heads.
const LAYER_BEGINS: u64 = 16 * 1024;

const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// What HEAD said of a tag.
enum Head {
    /// It leads here, or to somewhere that HEAD does not tell.
    Leads(Option<Digest>),
    /// HEAD was refused with this status.
    Refused(StatusCode),
    /// It was not asked: the ping was refused, or the last time both HEAD and GET of this image were, and asking for
    /// both again would count twice with a mirror that bans by refusals.
    NotAsked,
}

impl Session<'_> {
    /// A pull's first steps in full.
    pub(super) async fn rehearse(&mut self, image: &Image, turn: u64) -> Step<()> {
        self.seen.image = Some(image.clone());
        self.seen.depth = Depth::Rehearse;
        let repository = image.repository();
        match self.ping().await? {
            Asks::Token(challenge) => self.fetch_token(&challenge, repository).await?,
            Asks::Nothing | Asks::Login => {}
        }
        let (config, layers) = self.manifest(image).await?;
        self.config(repository, &config).await?;
        self.layer(repository, &layers, turn, REHEARSED).await?;
        self.seen.layers = Some(layer::worth_remembering(layers));
        Ok(())
    }

    /// A piece of a layer that an earlier rehearsal found. Without one it only connects: what a rehearsal costs, nobody has
    /// agreed to.
    pub(super) async fn sample(&mut self, of: Option<(&Image, &Layers)>, turn: u64) -> Step<()> {
        let Some((image, layers)) = of else {
            self.seen.depth = Depth::Connect;
            return self.connect().await;
        };
        let (token, challenge) =
            self.prober.known.of(self.mirror, |known| (known.token.clone(), known.challenge.clone()));
        self.seen.image = Some(image.clone());
        let repository = image.repository();
        if !self.take_token(token, repository)
            && let Some(challenge) = challenge
        {
            self.way().await?;
            self.fetch_token(&challenge, repository).await?;
        }
        match self.layer(repository, layers.as_slice(), turn, SAMPLED).await {
            // The tag may have moved on, and the mirror need not keep the layers of what it led to.
            Err(Stop { stage: Stage::Layer, wrong }) if wrong.kind == FailureKind::NotFound => {
                (self.seen.depth, self.seen.image) = (Depth::Connect, None);
                Ok(())
            }
            other => other,
        }
    }

    /// `GET /v2/`. The classic store accepts any status; so does this but 429, which is obeyed at once.
    async fn ping(&mut self) -> Step<Asks> {
        self.way().await?;
        let begin = self.clock();
        let target = Target::on(self.mirror, "/v2/".to_owned());
        let answer = match self.send(Stage::Ping, Method::GET, &target, HeaderMap::new(), 0).await {
            Ok(answer) => answer,
            Err(stop) if stop.stage == Stage::Ping => return self.without_ping(stop),
            Err(stop) => return Err(stop),
        };
        self.seen.stages.ping = Some(self.clock() - begin);
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            return self.good(Stage::Ping, &target.origin, answer).await.map(|_| Asks::Nothing);
        }
        self.note_redirect(&target, &answer);
        let asks = match answer.status {
            StatusCode::UNAUTHORIZED => Asks::of(&answer.headers, self.prober.store),
            _ => Asks::Nothing,
        };
        self.late = Late::Surprise;
        // Containerd never pings, so what a ping asks for is nothing to it.
        if asks == Asks::Login && self.prober.store != Some(ImageStore::Containerd) {
            return stop(Stage::Ping, FailureKind::LoginRequired, "it asks for a user and a password");
        }
        Ok(asks)
    }

    /// Goes on without an answer to the ping where a store would.
    fn without_ping(&mut self, stop: Stop) -> Step<Asks> {
        match self.prober.store {
            // It fails, and that says all; it is not unfit besides.
            Some(ImageStore::Classic) => Err(stop),
            Some(ImageStore::Containerd) | None => {
                self.seen.quirks.insert(Quirk::PingFails);
                Ok(Asks::Nothing)
            }
        }
    }

    /// The manifest by tag and this platform's manifest: what they lead to.
    async fn manifest(&mut self, image: &Image) -> Step<(Descriptor, Vec<Descriptor>)> {
        let begin = self.clock();
        let head = self.head(image).await?;
        let wanted = match &head {
            Head::Leads(digest) => digest.clone(),
            Head::Refused(_) | Head::NotAsked => None,
        };
        let top = self.document(image, wanted.as_ref()).await;
        self.settle(image, &head, top.is_ok()).await?;
        let (digest, manifest) = top?;
        self.seen.digest = Some(digest);
        let (config, layers) = match manifest {
            Manifest::Image { config, layers } => (config, layers),
            Manifest::Index(child) => match self.document(image, Some(&child.digest)).await? {
                (_, Manifest::Image { config, layers }) => (config, layers),
                (_, Manifest::Index(_)) => {
                    return stop(Stage::Manifest, FailureKind::NotARegistry, "an index within an index");
                }
            },
        };
        self.seen.stages.manifest = Some(self.clock() - begin);
        Ok((config, layers))
    }

    /// `HEAD` of the tag, which costs no quota anywhere.
    async fn head(&mut self, image: &Image) -> Step<Head> {
        // Whoever refused the ping would be one refusal dearer than a rehearsal may be.
        let refused = self.seen.spent.refusals > 0;
        if refused || self.prober.known.of(self.mirror, |known| known.denied.as_ref() == Some(image)) {
            return Ok(Head::NotAsked);
        }
        self.ask_head(image).await
    }

    async fn ask_head(&mut self, image: &Image) -> Step<Head> {
        let stage = Stage::Manifest;
        let target = self.by_reference(image, image.tag());
        let answer = self.ask_manifest(Method::HEAD, &target, image, 0).await?;
        match answer.status.as_u16() {
            200 => Ok(Head::Leads(self.read_head(&answer))),
            401 | 429 | 300..=399 => Err(self
                .good(stage, &target.origin, answer)
                .await
                .err()
                .unwrap_or(Stop { stage, wrong: Wrong::new(FailureKind::ProtocolError, "an odd status") })),
            _ => Ok(Head::Refused(answer.status)),
        }
    }

    /// Notes what a store cannot live with in the answer to HEAD.
    fn read_head(&mut self, answer: &Answer) -> Option<Digest> {
        let digest = digest_of(answer);
        let quirk = match answer.media_type() {
            Some(media_type) if !manifest::is_manifest(&media_type) => Some(Quirk::HeadWrongType),
            None if digest.is_some() => Some(Quirk::HeadWithoutType),
            Some(_) | None => None,
        };
        self.seen.quirks.extend(quirk);
        if digest.is_some() && answer.length().is_none() {
            self.seen.quirks.insert(Quirk::HeadWithoutLength);
        }
        digest
    }

    /// Draws the conclusion from HEAD and GET together.
    async fn settle(&mut self, image: &Image, head: &Head, served: bool) -> Step<()> {
        let denied = match head {
            Head::Leads(_) => false,
            Head::Refused(status) => {
                // Containerd asks again with GET after 405 alone; what else is refused sends it to the next mirror.
                if served && *status != StatusCode::METHOD_NOT_ALLOWED {
                    self.seen.quirks.insert(Quirk::HeadNotFound);
                }
                !served
            }
            Head::NotAsked => !served,
        };
        self.prober.known.of(self.mirror, |known| {
            if denied {
                known.denied = Some(image.clone());
            } else if known.denied.as_ref() == Some(image) {
                known.denied = None;
            }
        });
        if served
            && matches!(head, Head::NotAsked)
            && let Head::Refused(status) = self.ask_head(image).await?
            && status != StatusCode::METHOD_NOT_ALLOWED
        {
            self.seen.quirks.insert(Quirk::HeadNotFound);
        }
        Ok(())
    }

    /// A manifest by digest, or by tag where no digest is known, with its own digest.
    async fn document(&mut self, image: &Image, wanted: Option<&Digest>) -> Step<(Digest, Manifest)> {
        let stage = Stage::Manifest;
        let target = self.by_reference(image, wanted.map_or(image.tag(), Digest::as_str));
        let answer = self.ask_manifest(Method::GET, &target, image, manifest::BYTES as u64).await?;
        let answer = self.good(stage, &target.origin, answer).await?;
        self.read_document(answer, wanted).await.map_err(at(stage))
    }

    async fn read_document(&self, answer: Answer, wanted: Option<&Digest>) -> Try<(Digest, Manifest)> {
        answer.plain()?;
        let claimed = digest_of(&answer);
        let until = self.body_end();
        match answer.media_type() {
            Some(media_type) if manifest::is_manifest(&media_type) => {}
            Some(media_type) if media_type == "text/html" => {
                return Err(web_page(&answer.some(PAGE_BYTES, until).await));
            }
            Some(media_type) => {
                let detail = format!("{media_type} instead of a manifest");
                return Err(Wrong::new(FailureKind::NotARegistry, detail));
            }
            None => return Err(Wrong::new(FailureKind::ProtocolError, "a manifest without Content-Type")),
        }
        let body = answer.whole(manifest::BYTES, until).await?;
        let digest = Digest::of(&body);
        if [wanted, claimed.as_ref()].into_iter().flatten().any(|other| *other != digest) {
            return Err(Wrong::new(
                FailureKind::Corrupt,
                "a manifest whose bytes are not those of its digest",
            ));
        }
        Ok((digest, manifest::read(&body, Platform::here())?))
    }

    fn by_reference(&self, image: &Image, reference: &str) -> Target {
        self.on_mirror(format!("/v2/{}/manifests/{reference}", image.repository()))
    }

    async fn ask_manifest(
        &mut self,
        method: Method,
        target: &Target,
        image: &Image,
        body_bytes: u64,
    ) -> Step<Answer> {
        let mut headers = HeaderMap::new();
        self.prober.voice.accept_manifest(&mut headers);
        let repository = image.repository();
        self.send_with_token(Stage::Manifest, method, target, headers, repository, body_bytes).await
    }

    /// The config, in full, against its digest.
    async fn config(&mut self, repository: &str, config: &Descriptor) -> Step<()> {
        let stage = Stage::Config;
        if config.size > CONFIG_BYTES {
            let detail = format!("a config of {} bytes", config.size);
            return stop(stage, FailureKind::AnswerTooLarge, &detail);
        }
        let begin = self.clock();
        let headers = self.accept_blob();
        let (answer, host) = self.blob(stage, repository, &config.digest, headers, config.size).await?;
        let held = read_config(answer, config, self.body_end()).await;
        let held = held.map_err(|wrong| self.of_host(stage, &host, wrong))?;
        self.seen.created = manifest::created(&held);
        self.seen.stages.config = Some(self.clock() - begin);
        Ok(())
    }

    /// A piece of a layer, with its first-byte time and its speed.
    async fn layer(&mut self, repository: &str, layers: &[Descriptor], turn: u64, length: u64) -> Step<()> {
        let stage = Stage::Layer;
        // What came before may be large, and the whole is what was agreed to.
        let left = REHEARSAL.bytes.saturating_sub(self.read() + LAYER_BEGINS);
        let length = length.min(left.max(SAMPLED));
        let Some(piece) = Piece::choose(layers, turn, length) else { return Ok(()) };
        self.way().await?;
        let mut lane = Lane::none();
        if length > SAMPLED {
            lane = self.lane(&self.prober.layers).await;
        }
        let begin = self.clock();
        let mut headers = self.accept_blob();
        piece.ask(&mut headers);
        let asked = self.blob(stage, repository, &piece.layer.digest, headers, piece.length());
        let (answer, host) = lane.hold(asked).await?;
        self.seen.layer_host = Some(host.authority().to_owned());
        let mut taken = Taken::default();
        let limits = &self.prober.limits;
        let read = piece.read(answer, limits, self.end, &mut lane, &mut taken).await;
        self.seen.stages.layer = taken.first.map(|first| first - self.waited - begin);
        self.seen.bytes_per_second = taken.speed(limits);
        self.seen.reading = taken.first.map(|_| taken.time());
        read.map_err(|wrong| self.of_host(stage, &host, wrong))
    }

    fn accept_blob(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if self.prober.store == Some(ImageStore::Containerd) {
            headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        }
        headers
    }
}

fn digest_of(answer: &Answer) -> Option<Digest> {
    answer.header(&DIGEST)?.parse().ok()
}

fn web_page(body: &[u8]) -> Wrong {
    let page = String::from_utf8_lossy(body);
    let detail = match title(&page) {
        Some(title) => format!("a web page, {title:?}, instead of a manifest"),
        None => "a web page instead of a manifest".to_owned(),
    };
    Wrong::new(FailureKind::NotARegistry, detail)
}

/// Reads a config against its size and digest, and gives the part of it that is held.
async fn read_config(mut answer: Answer, config: &Descriptor, until: Instant) -> Try<Vec<u8>> {
    answer.plain()?;
    let html = answer.media_type().is_some_and(|media_type| media_type == "text/html");
    let other = || match html {
        true => Wrong::new(FailureKind::NotARegistry, "a web page instead of a config"),
        false => Wrong::new(FailureKind::Corrupt, "a config whose bytes are not those of its digest"),
    };
    if answer.length().is_some_and(|length| length != config.size) {
        return Err(other());
    }
    let mut sum = Sum::new();
    let mut held = Vec::new();
    let mut got: u64 = 0;
    while let Some(piece) = answer.body.next(until).await? {
        got += piece.len() as u64;
        if got > config.size {
            return Err(other());
        }
        sum.add(&piece);
        let room = CONFIG_HELD.saturating_sub(held.len());
        held.extend_from_slice(&piece[..piece.len().min(room)]);
    }
    if got < config.size && !html {
        let detail = format!("the config ended after {got} of {} bytes", config.size);
        return Err(Wrong::new(FailureKind::ConnectionLost, detail));
    }
    if sum.digest() == config.digest { Ok(held) } else { Err(other()) }
}
