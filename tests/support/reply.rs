//! What is answered: the right answer first, and then what the faults make of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::sleep;

use super::content::{Content, MANIFEST, sha256};
use super::fault::{Act, Place};
use super::registry::{Request, State};

/// The token that opens everything.
const TOKEN: &str = "anonymous-token";

/// How often a second a slow body moves.
const TICKS: u64 = 50;

pub(super) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Arc<[u8]>,
    /// What of the body is sent.
    range: std::ops::Range<usize>,
    framing: Framing,
    with_body: bool,
    wait: Duration,
    speed: Option<u64>,
    end: End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length,
    Chunks(usize),
    Close,
}

/// How the body ends, or what is sent instead of an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    AsPromised,
    CutAfter(usize),
    StallAfter(usize),
    Never,
    Silence,
    HangUp,
    Garbage,
    SlowHead,
    EndlessHead,
    Interim,
}

impl Reply {
    fn new(status: u16, media_type: &str, body: impl Into<Arc<[u8]>>) -> Self {
        let body = body.into();
        Self {
            status,
            headers: vec![("Content-Type".to_owned(), media_type.to_owned())],
            range: 0..body.len(),
            body,
            framing: Framing::Length,
            with_body: true,
            wait: Duration::ZERO,
            speed: None,
            end: End::AsPromised,
        }
    }

    fn error(status: u16, code: &str) -> Self {
        let body = serde_json::json!({"errors": [{"code": code, "message": code.to_lowercase()}]});
        Self::new(status, "application/json", body.to_string().into_bytes())
    }

    /// The answer to `request` in the present state.
    pub(super) fn to(request: &Request, state: &State) -> Self {
        let asked = Asked::of(request, state);
        let acts: Vec<Act> = asked.places().into_iter().flat_map(|place| state.acts(place)).collect();
        let mut reply = Self::right(request, state, &asked, &acts);
        for act in acts {
            reply.spoil(act, request, state);
        }
        if request.method == "HEAD" {
            reply.with_body = false;
        }
        reply
    }

    fn right(request: &Request, state: &State, asked: &Asked, acts: &[Act]) -> Self {
        let authorised = request.headers.get("authorization").is_some_and(|value| value == &bearer())
            && !acts.contains(&Act::UselessToken);
        let late = acts.contains(&Act::LateChallenge);
        let wants_token = state.token || late || acts.contains(&Act::UselessToken);
        let is_open = match asked {
            Asked::Token => true,
            Asked::Ping => late,
            Asked::Document { .. } | Asked::Blob { .. } | Asked::Other => false,
        };
        if wants_token && !authorised && !is_open {
            return Self::unauthorised(state, acts);
        }
        match asked {
            Asked::Ping => Self::new(200, "application/json", *b"{}"),
            Asked::Token => {
                let token = serde_json::json!({"token": TOKEN, "expires_in": 300});
                Self::new(200, "application/json", token.to_string().into_bytes())
            }
            Asked::Document { content, digest, .. } => match content.documents.get(digest) {
                Some(document) => {
                    let reply = Self::new(200, document.media_type, Arc::clone(&document.bytes));
                    reply.header("Docker-Content-Digest", &document.digest)
                }
                None => Self::error(404, "MANIFEST_UNKNOWN"),
            },
            Asked::Blob { content, digest, .. } => match content.blobs.get(digest) {
                Some(blob) => {
                    let reply = Self::new(200, "application/octet-stream", Arc::clone(&blob.bytes));
                    if acts.contains(&Act::RangeIgnored) { reply } else { reply.ranged(request) }
                }
                None => Self::error(404, "BLOB_UNKNOWN"),
            },
            Asked::Other => Self::error(404, "NAME_UNKNOWN"),
        }
    }

    fn unauthorised(state: &State, acts: &[Act]) -> Self {
        let realm =
            acts.iter().find_map(|act| if let Act::Realm(realm) = act { Some(realm.clone()) } else { None });
        let challenge = match realm {
            _ if acts.contains(&Act::Basic) => "Basic realm=\"registry\"".to_owned(),
            realm => {
                let realm = realm.unwrap_or_else(|| format!("{}/auth/token", state.url));
                format!("Bearer realm=\"{realm}\",service=\"fake\"")
            }
        };
        Self::error(401, "UNAUTHORIZED").header("WWW-Authenticate", &challenge)
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn without(&mut self, name: &str) {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    fn ranged(mut self, request: &Request) -> Self {
        let range = request.headers.get("range").and_then(|range| range.strip_prefix("bytes="));
        let range = range.and_then(|range| range.split_once('-'));
        let Some((first, last)) = range else { return self };
        let whole = self.body.len();
        let first: usize = first.parse().unwrap_or(0);
        let last = last.parse().unwrap_or(whole - 1).min(whole - 1);
        if first > last {
            return Self::error(416, "RANGE_INVALID");
        }
        self.status = 206;
        self.range = first..last + 1;
        self.header("Content-Range", &format!("bytes {first}-{last}/{whole}"))
    }

    fn spoil(&mut self, act: Act, request: &Request, state: &State) {
        let served = self.status == 200 || self.status == 206;
        match act {
            Act::Silence => self.end = End::Silence,
            Act::HangUp => self.end = End::HangUp,
            Act::Garbage => self.end = End::Garbage,
            Act::SlowHead => self.end = End::SlowHead,
            Act::EndlessHead => self.end = End::EndlessHead,
            Act::Interim => self.end = End::Interim,
            Act::Answer { status, media_type, body } => {
                *self = Self::new(status, media_type, body.into_bytes())
            }
            Act::Header(name, value) => self.headers.push((name.to_owned(), value)),
            Act::Redirect { status, to } if served => {
                self.redirect(status, &to.replace("{path}", &request.path))
            }
            Act::Loop if served => self.redirect(307, &format!("{}{}", state.url, request.path)),
            Act::WithoutDigest => self.without("Docker-Content-Digest"),
            Act::WithoutType => self.without("Content-Type"),
            Act::Type(media_type) => self.replace("Content-Type", media_type),
            Act::WrongDigest if served => self.replace("Docker-Content-Digest", &sha256(b"something else")),
            Act::Chunked => self.framing = Framing::Chunks(8192),
            Act::Crumbs => self.framing = Framing::Chunks(1),
            Act::UntilClose => self.framing = Framing::Close,
            Act::WrongRange if served => {
                self.replace("Content-Range", &format!("bytes 1-{0}/{0}", self.body.len()))
            }
            Act::Corrupt if served => {
                let mut bytes = self.body.to_vec();
                let middle = (self.range.start + self.range.end) / 2;
                bytes[middle] ^= 1;
                self.body = bytes.into();
            }
            Act::Cut if served => self.end = End::CutAfter(self.range.len() / 2),
            Act::Stall { after } if served => self.end = End::StallAfter(after),
            Act::Drip(speed) => self.speed = Some(speed),
            Act::Late(wait) => self.wait = wait,
            Act::LatePerMib(wait) => self.wait = wait.mul_f64(self.body.len() as f64 / f64::from(1 << 20)),
            Act::Endless => {
                self.end = End::Never;
                self.framing = Framing::Chunks(16 * 1024);
            }
            Act::Gzip if served => self.headers.push(("Content-Encoding".to_owned(), "gzip".to_owned())),
            // These either are for other moments, or have been heeded, or spoil only what is served.
            Act::TlsSilence
            | Act::TlsReset
            | Act::TlsPlain
            | Act::RangeIgnored
            | Act::OldTag
            | Act::Realm(_)
            | Act::Basic
            | Act::LateChallenge
            | Act::UselessToken
            | Act::Redirect { .. }
            | Act::Loop
            | Act::WrongDigest
            | Act::WrongRange
            | Act::Corrupt
            | Act::Cut
            | Act::Stall { .. }
            | Act::Gzip => {}
        }
    }

    fn replace(&mut self, name: &str, value: &str) {
        self.without(name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    fn redirect(&mut self, status: u16, to: &str) {
        *self = Self::new(status, "text/plain", Vec::new()).header("Location", to);
    }

    fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} Fake\r\nConnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match self.framing {
            Framing::Length => head.push_str(&format!("Content-Length: {}\r\n", self.range.len())),
            Framing::Chunks(_) => head.push_str("Transfer-Encoding: chunked\r\n"),
            Framing::Close => {}
        }
        head + "\r\n"
    }
}

/// What a request asks for.
enum Asked {
    Ping,
    Token,
    Document { content: Arc<Content>, digest: String, head: bool, child: bool },
    Blob { content: Arc<Content>, digest: String, layer: bool },
    Other,
}

impl Asked {
    fn of(request: &Request, state: &State) -> Self {
        let path = request.path.as_str();
        if path == "/v2/" {
            return Self::Ping;
        }
        if path == "/auth/token" {
            return Self::Token;
        }
        let Some(rest) = path.strip_prefix("/v2/") else { return Self::Other };
        let head = request.method == "HEAD";
        if let Some((repository, reference)) = rest.split_once("/manifests/") {
            let Some(served) = state.images.get(repository) else { return Self::Other };
            let old = [Place::Everywhere, Place::Manifest].into_iter().flat_map(|place| state.acts(place));
            let is_old = old.into_iter().any(|act| act == Act::OldTag);
            let content = if is_old { Content::of(&served.before) } else { Arc::clone(&served.now) };
            let digest =
                if reference == served.tag { content.index.digest.clone() } else { reference.to_owned() };
            let child =
                content.documents.get(&digest).is_some_and(|document| document.media_type == MANIFEST);
            return Self::Document { content, digest, head, child };
        }
        if let Some((repository, digest)) = rest.split_once("/blobs/") {
            let Some(served) = state.images.get(repository) else { return Self::Other };
            let mut content = Arc::clone(&served.now);
            if !content.blobs.contains_key(digest) {
                content = Content::of(&served.before);
            }
            let layer = content.blobs.get(digest).is_some_and(|blob| blob.is_layer);
            return Self::Blob { content, digest: digest.to_owned(), layer };
        }
        Self::Other
    }

    fn places(&self) -> Vec<Place> {
        match self {
            Self::Ping => vec![Place::Everywhere, Place::Ping],
            Self::Token => vec![Place::Everywhere, Place::Token],
            Self::Document { head: true, .. } => vec![Place::Everywhere, Place::Manifest, Place::Head],
            Self::Document { child: true, .. } => {
                vec![Place::Everywhere, Place::Manifest, Place::Get, Place::Child]
            }
            Self::Document { .. } => vec![Place::Everywhere, Place::Manifest, Place::Get],
            Self::Blob { layer: true, .. } => vec![Place::Everywhere, Place::Blob, Place::Layer],
            Self::Blob { layer: false, .. } => vec![Place::Everywhere, Place::Blob, Place::Config],
            Self::Other => vec![Place::Everywhere],
        }
    }
}

fn bearer() -> String {
    format!("Bearer {TOKEN}")
}

/// Sends a reply, or what comes instead of it.
pub(super) async fn send<S: AsyncWrite + Unpin>(
    reply: Reply,
    out: &mut S,
    state: &State,
) -> std::io::Result<()> {
    sleep(reply.wait).await;
    match reply.end {
        End::Silence => std::future::pending().await,
        End::HangUp => return Ok(()),
        End::Garbage => return put(out, state, b"SSH-2.0-OpenSSH_9.2p1\r\n").await,
        End::EndlessHead => {
            put(out, state, b"HTTP/1.1 200 OK\r\n").await?;
            return flood(out, state, b"X-More: 0123456789012345678901234567890123456789\r\n").await;
        }
        End::Interim => return flood(out, state, b"HTTP/1.1 100 Continue\r\n\r\n").await,
        End::SlowHead => {
            for byte in b"HTTP/1.1 200 OK\r\nX-More: ".iter().chain(std::iter::repeat(&b'x')) {
                put(out, state, &[*byte]).await?;
                sleep(Duration::from_millis(20)).await;
            }
        }
        End::AsPromised | End::CutAfter(_) | End::StallAfter(_) | End::Never => {}
    }
    put(out, state, reply.head().as_bytes()).await?;
    if !reply.with_body {
        return out.shutdown().await;
    }
    if reply.end == End::Never {
        let chunk = [b"4000\r\n".as_slice(), &[b'A'; 0x4000], b"\r\n"].concat();
        return flood(out, state, &chunk).await;
    }
    let whole = &reply.body[reply.range.clone()];
    let body = match reply.end {
        End::CutAfter(bytes) | End::StallAfter(bytes) => &whole[..bytes.min(whole.len())],
        End::AsPromised
        | End::Never
        | End::Silence
        | End::HangUp
        | End::Garbage
        | End::SlowHead
        | End::EndlessHead
        | End::Interim => whole,
    };
    send_body(body, &reply, out, state).await?;
    match reply.end {
        End::StallAfter(_) => std::future::pending().await,
        End::CutAfter(_) => Ok(()),
        End::AsPromised
        | End::Never
        | End::Silence
        | End::HangUp
        | End::Garbage
        | End::SlowHead
        | End::EndlessHead
        | End::Interim => {
            if let Framing::Chunks(_) = reply.framing {
                put(out, state, b"0\r\n\r\n").await?;
            }
            out.shutdown().await
        }
    }
}

async fn send_body<S: AsyncWrite + Unpin>(
    body: &[u8],
    reply: &Reply,
    out: &mut S,
    state: &State,
) -> std::io::Result<()> {
    let mut rest = body;
    while !rest.is_empty() {
        let limit = state.speed.load(Ordering::Relaxed);
        let speed = reply.speed.or(if limit == 0 { None } else { Some(limit) });
        let piece = match speed {
            Some(speed) => usize::try_from(speed / TICKS).unwrap_or(usize::MAX).max(1),
            None => 64 * 1024,
        };
        let (now, later) = rest.split_at(piece.min(rest.len()));
        match reply.framing {
            Framing::Chunks(size) => {
                let mut framed = Vec::new();
                for chunk in now.chunks(size) {
                    framed.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    framed.extend_from_slice(chunk);
                    framed.extend_from_slice(b"\r\n");
                }
                put(out, state, &framed).await?;
            }
            Framing::Length | Framing::Close => put(out, state, now).await?,
        }
        rest = later;
        if let Some(speed) = speed {
            sleep(Duration::from_secs_f64(now.len() as f64 / speed as f64)).await;
        }
    }
    Ok(())
}

async fn flood<S: AsyncWrite + Unpin>(out: &mut S, state: &State, what: &[u8]) -> std::io::Result<()> {
    let wave = what.repeat((64 * 1024 / what.len()).max(1));
    loop {
        put(out, state, &wave).await?;
    }
}

async fn put<S: AsyncWrite + Unpin>(out: &mut S, state: &State, bytes: &[u8]) -> std::io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let taken = out.write(rest).await?;
        state.sent.fetch_add(taken as u64, Ordering::Relaxed);
        rest = &rest[taken..];
    }
    out.flush().await
}
