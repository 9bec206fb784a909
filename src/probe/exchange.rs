//! One request and its answer on one connection, in HTTP/1.1, as the classic store makes it: the
//! connection is used once and never kept.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, HOST, HeaderMap, HeaderName,
    PROXY_AUTHORIZATION,
};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::connector::{Form, Line};
use super::meter::Gauge;
use super::target::Target;
use super::tls;
use super::wrong::{Try, Wrong};
use crate::reason::FailureKind;

/// What the head of an answer may have, interim answers included.
const HEAD_BYTES: usize = 32 * 1024;

/// What a body may have in excess of its content: chunk headers, TLS records, the cost of small reads.
const OVERHEAD_BYTES: u64 = 16 * 1024;

/// In how many pieces a body may come; 1 MiB in so many is 128 bytes each.
const MOST_PIECES: u32 = 8192;

/// What is asked, besides the target.
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    /// How many bytes of a body may come in.
    pub(super) body_bytes: u64,
    /// When the head of the answer must be here.
    pub(super) until: Instant,
    /// How long a body may be silent.
    pub(super) stall: Duration,
}

/// The head of an answer, and its body, still to be read.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

/// A body that comes in as it is asked for. Dropping it hangs up.
pub(super) struct Body {
    incoming: Incoming,
    gauge: Arc<Gauge>,
    pieces: u32,
    stall: Duration,
    _connection: JoinSet<()>,
}

/// Asks for `target` over `line` and waits for the head of the answer.
///
/// # Errors
///
/// `no_answer`, `connection_lost`, `protocol_error`, `answer_too_large`.
pub(super) async fn ask(line: Line, target: &Target, ask: Ask) -> Try<Answer> {
    let gauge = line.gauge;
    let request = request(target, &ask, &line.form)?;
    gauge.allow(HEAD_BYTES as u64);
    let before = gauge.read();
    let mut builder = http1::Builder::new();
    // Go's spelling of header names; the buffer is what bounds a head.
    builder.title_case_headers(true).max_buf_size(HEAD_BYTES);
    let shaken = builder.handshake(TokioIo::new(line.io)).await;
    let (mut sender, connection) = shaken.map_err(|error| why(&error, &gauge))?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        // Its error is the sender's too.
        let _ = connection.await;
    });
    match timeout_at(ask.until, sender.send_request(request)).await {
        Ok(Ok(response)) => {
            gauge.allow(ask.body_bytes + ask.body_bytes / 16 + OVERHEAD_BYTES);
            let (head, incoming) = response.into_parts();
            let body = Body { incoming, gauge, pieces: 0, stall: ask.stall, _connection: driver };
            Ok(Answer { status: head.status, headers: head.headers, body })
        }
        Ok(Err(error)) => Err(why(&error, &gauge)),
        Err(_) if gauge.read() > before => {
            Err(Wrong::new(FailureKind::NoAnswer, "the head of the answer did not end in time"))
        }
        Err(_) => Err(Wrong::new(FailureKind::NoAnswer, "connected and asked, and no answer came")),
    }
}

fn request(target: &Target, ask: &Ask, form: &Form) -> Try<Request<Empty<Bytes>>> {
    let impossible = |error: &dyn std::fmt::Display| {
        Wrong::new(FailureKind::ProtocolError, format!("cannot be asked for: {error}"))
    };
    let (uri, login) = match form {
        Form::Path => (target.path.clone(), None),
        Form::Url(login) => (format!("{}{}", target.origin, target.path), login.clone()),
    };
    let uri: Uri = uri.parse().map_err(|error: http::uri::InvalidUri| impossible(&error))?;
    let host = HeaderValue::from_str(target.origin.authority()).map_err(|error| impossible(&error))?;
    let mut request = Request::new(Empty::new());
    *request.method_mut() = ask.method.clone();
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(HOST, host);
    headers.extend(ask.headers.clone());
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if let Some(login) = login {
        headers.insert(PROXY_AUTHORIZATION, login);
    }
    Ok(request)
}

impl Answer {
    /// A header's text; `None` when there is none or it is not ASCII.
    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim)
    }

    /// The length that the head promises.
    pub(super) fn length(&self) -> Option<u64> {
        self.header(&CONTENT_LENGTH)?.parse().ok()
    }

    /// The media type without its parameters, in lower case.
    pub(super) fn media_type(&self) -> Option<String> {
        let value = self.header(&http::header::CONTENT_TYPE)?;
        Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
    }

    /// Refuses what was asked for plain and came compressed: its digest could not be right, and unpacking what a
    /// stranger packed is how memory ends.
    ///
    /// # Errors
    ///
    /// `protocol_error`.
    pub(super) fn plain(&self) -> Try<()> {
        match self.header(&CONTENT_ENCODING) {
            None | Some("" | "identity") => Ok(()),
            Some(encoding) => {
                let detail = format!("Content-Encoding {encoding} though identity was asked for");
                Err(Wrong::new(FailureKind::ProtocolError, detail))
            }
        }
    }

    /// The whole body, of at most `cap` bytes, by `until`.
    ///
    /// # Errors
    ///
    /// `answer_too_large`, `too_slow` at `until`, and those of [`Body::next`].
    pub(super) async fn whole(mut self, cap: usize, until: Instant) -> Try<Vec<u8>> {
        let too_large =
            || Wrong::new(FailureKind::AnswerTooLarge, format!("a body of more than {cap} bytes"));
        if self.length().is_some_and(|length| length > cap as u64) {
            return Err(too_large());
        }
        let mut whole = Vec::new();
        while let Some(piece) = self.body.next(until).await? {
            if whole.len() + piece.len() > cap {
                return Err(too_large());
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    }

    /// As much of the body as comes, at most `cap` bytes; for the words that go with a refusal.
    pub(super) async fn some(mut self, cap: usize, until: Instant) -> Vec<u8> {
        let mut some = Vec::new();
        while some.len() < cap
            && let Ok(Some(piece)) = self.body.next(until).await
        {
            some.extend_from_slice(&piece[..piece.len().min(cap - some.len())]);
        }
        some
    }
}

impl Body {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    ///
    /// `stalled` when nothing came for `stall`, `too_slow` at `until`, `connection_lost`, `protocol_error`,
    /// `answer_too_large`.
    pub(super) async fn next(&mut self, until: Instant) -> Try<Option<Bytes>> {
        loop {
            let silence_ends = Instant::now() + self.stall;
            let frame = match timeout_at(silence_ends.min(until), self.incoming.frame()).await {
                Err(_) if silence_ends <= until => {
                    let detail = format!("no byte of the body for {:?}", self.stall);
                    return Err(Wrong::new(FailureKind::Stalled, detail));
                }
                Err(_) => return Err(Wrong::new(FailureKind::TooSlow, "the body did not end in time")),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(why(&error, &self.gauge)),
                Ok(Some(Ok(frame))) => frame,
            };
            self.pieces += 1;
            if self.pieces > MOST_PIECES {
                return Err(Wrong::new(FailureKind::ProtocolError, "the body comes in crumbs"));
            }
            // Trailers say nothing that anybody asked.
            if let Ok(bytes) = frame.into_data()
                && !bytes.is_empty()
            {
                return Ok(Some(bytes));
            }
        }
    }
}

/// What an error of hyper means.
fn why(error: &hyper::Error, gauge: &Gauge) -> Wrong {
    // hyper says which of its parse errors it was to servers alone, so its words must do.
    if gauge.is_overdrawn() || (error.is_parse() && error.to_string().contains("too large")) {
        return Wrong::new(FailureKind::AnswerTooLarge, "more bytes than such an answer may have");
    }
    if error.is_parse() {
        return Wrong::new(FailureKind::ProtocolError, format!("not HTTP/1.1: {error}"));
    }
    match cause(error) {
        Some(io) if tls::inside(io).is_some() => Wrong::new(FailureKind::TlsError, io.to_string()),
        Some(io) if matches!(io.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => {
            Wrong::new(FailureKind::ProtocolError, format!("not HTTP/1.1: {io}"))
        }
        Some(io) => Wrong::new(FailureKind::ConnectionLost, io.to_string()),
        None => Wrong::new(FailureKind::ConnectionLost, "the connection ended before the answer did"),
    }
}

fn cause(error: &hyper::Error) -> Option<&io::Error> {
    let mut next = std::error::Error::source(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io);
        }
        next = error.source();
    }
    None
}
