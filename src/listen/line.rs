//! What one line of dockerd's log says of a mirror.
//!
//! dockerd logs every fail-over at level info. The lines below were seen from dockerd 20.10.24; those of the
//! containerd store are in the words of containerd's resolver, which names the host in a field of its own.

use crate::mirror::MirrorUrl;
use crate::observation::{Failure, Stage};
use crate::pull::Seen;
use crate::reason::FailureKind;

/// The most bytes of a detail; what [`Failure`] promises.
const DETAIL_BYTES: usize = 200;

/// Longer lines say no more: an error may quote a whole answer.
const LINE_BYTES: usize = 16 << 10;

/// dockerd goes to the next entry of its list.
const NEXT: &str = "Attempting next endpoint for pull after error: ";
/// dockerd ends the pull although its list goes on.
const END: &str = "Not continuing with pull after error: ";
/// A layer did not come whole, and is asked for again where it was asked for before.
const AGAIN: &str = "Download failed, retrying";
/// The containerd store goes to the next host; since containerd 2.0 the last one is said otherwise.
const NEXT_HOST: [&str; 2] = ["trying next host", "fetch failed"];

/// A no that concerns what was asked for and not who was asked: dockerd prints the registry's own words, and
/// Docker Hub says a missing image in each of these ways, depending on who asks.
const REFUSALS: [&str; 10] = [
    "manifest unknown",
    "name unknown",
    "unauthorized",
    "denied",
    "not found",
    "http.StatusNotFound",
    "HTTP 401 response",
    "HTTP 403 response",
    "HTTP 404 response",
    "no matching manifest",
];

/// What the line says, if it says anything of a mirror; `mirrors` are all candidates.
///
/// A line that names a mirror blames it. One that names nobody is [`Seen::Doubtful`], unless it is only the
/// answer to a wish that nobody can fulfil.
pub fn parse(line: &str, mirrors: &[MirrorUrl]) -> Option<Seen> {
    let line = clipped(line);
    let message = field(line, "msg")?;
    if let Some(said) = message.strip_prefix(NEXT) {
        return next(said, mirrors);
    }
    if let Some(said) = message.strip_prefix(END) {
        // An end is a failure of the mirror only where that did not answer in time; else it is the answer.
        return if is_late(said) { next(said, mirrors) } else { None };
    }
    if let Some(said) = message.strip_prefix(AGAIN) {
        let said = said.split_once(": ").map_or(said, |(_, said)| said);
        return layer(said, mirrors);
    }
    if NEXT_HOST.iter().any(|words| message.starts_with(words)) {
        return next_host(
            &message,
            &field(line, "error").unwrap_or_default(),
            &field(line, "host")?,
            mirrors,
        );
    }
    None
}

/// The classic store, before the layers.
fn next(said: &str, mirrors: &[MirrorUrl]) -> Option<Seen> {
    if is_cancelled(said) || is_ours(said) {
        return None;
    }
    let place = place(said);
    let transport = transport(said);
    if transport.is_none() && REFUSALS.iter().any(|word| said.contains(word)) {
        return Some(Seen::Absent { detail: safe(said) });
    }
    match place {
        Some((url, path)) => match known(&url, mirrors) {
            Some(url) => Some(left(url, said, transport, stage_of(path))),
            // The upstream, or another registry that has nothing to do with mirrors: each is asked for `/v2/`.
            None if path.is_empty() || path.starts_with("/v2") => None,
            None => Some(Seen::Doubtful { detail: safe(said) }),
        },
        None => Some(Seen::Doubtful { detail: safe(said) }),
    }
}

/// The classic store, in a layer.
fn layer(said: &str, mirrors: &[MirrorUrl]) -> Option<Seen> {
    if is_cancelled(said) || is_ours(said) {
        return None;
    }
    match place(said).and_then(|(url, _)| known(&url, mirrors)) {
        Some(url) => Some(left(url, said, transport(said), Stage::Layer)),
        None => Some(Seen::Doubtful { detail: safe(said) }),
    }
}

/// The containerd store.
fn next_host(message: &str, error: &str, host: &str, mirrors: &[MirrorUrl]) -> Option<Seen> {
    let said = if error.is_empty() { message } else { error };
    if is_cancelled(said) {
        return None;
    }
    let with_port = |mirror: &MirrorUrl| format!("{}:{}", mirror.host(), mirror.port());
    let url = mirrors.iter().find(|mirror| mirror.authority() == host || with_port(mirror) == host)?;
    let transport = transport(said);
    let refused =
        REFUSALS.iter().chain(&["401 ", "403 ", "404 ", "Not Found"]).any(|word| said.contains(word));
    if transport.is_none() && refused {
        return Some(Seen::Absent { detail: safe(&format!("{host}: {said}")) });
    }
    let stage = first_url(said).map_or(Stage::Manifest, |(_, path)| stage_of(path));
    Some(left(url.clone(), said, transport, stage))
}

fn left(url: MirrorUrl, said: &str, transport: Option<(FailureKind, Option<Stage>)>, stage: Stage) -> Seen {
    let (kind, at) = transport.unwrap_or_else(|| answered(said));
    Seen::Left { url, failure: Failure { kind, stage: at.unwrap_or(stage), detail: safe(said) } }
}

/// The failures that are Go's words and not an answer, with the stage where that is in the words.
fn transport(said: &str) -> Option<(FailureKind, Option<Stage>)> {
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let dialling = has(&["dial tcp", "waiting for connection"]);
    let found = if has(&["no such host", "server misbehaving", "lookup "]) && dialling {
        (FailureKind::NameNotResolved, Some(Stage::Name))
    } else if has(&["connection refused"]) {
        (FailureKind::ConnectionRefused, Some(Stage::Connect))
    } else if has(&["network is unreachable", "no route to host", "permission denied"]) && dialling {
        (FailureKind::Unreachable, Some(Stage::Connect))
    } else if has(&["certificate has expired or is not yet valid"]) {
        (FailureKind::TlsExpired, Some(Stage::Tls))
    } else if has(&[
        "x509: certificate is valid for",
        "x509: certificate is not valid",
        "cannot validate certificate",
    ]) {
        (FailureKind::TlsWrongHost, Some(Stage::Tls))
    } else if has(&["signed by unknown authority"]) {
        (FailureKind::TlsUntrusted, Some(Stage::Tls))
    } else if has(&["x509: ", "tls: ", "TLS handshake", "HTTP response to HTTPS client"]) {
        (FailureKind::TlsError, Some(Stage::Tls))
    } else if is_late(said) || has(&["i/o timeout"]) {
        let late = if dialling { FailureKind::ConnectTimeout } else { FailureKind::NoAnswer };
        (late, dialling.then_some(Stage::Connect))
    } else if has(&["malformed HTTP"]) {
        (FailureKind::ProtocolError, None)
    } else if has(&["connection reset", "broken pipe", "connection broken", "unexpected EOF"])
        || said.ends_with("EOF")
    {
        (FailureKind::ConnectionLost, None)
    } else {
        return None;
    };
    Some(found)
}

/// The failures that are an answer.
fn answered(said: &str) -> (FailureKind, Option<Stage>) {
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&["toomanyrequests", "429 "]) {
        // One small request tells whether the limit is still in force; a rehearsal would add to it.
        (FailureKind::RateLimited, Some(Stage::Layer))
    } else if has(&["HTTP status: 5", "HTTP 5", "500 ", "502 ", "503 ", "504 "]) {
        (FailureKind::ServerError, None)
    } else if has(&["no basic auth credentials"]) {
        (FailureKind::LoginRequired, None)
    } else if has(&["verification failed"]) {
        (FailureKind::Corrupt, None)
    } else if has(&["invalid character '<'", "text/html"]) {
        (FailureKind::NotARegistry, None)
    } else {
        (FailureKind::ProtocolError, None)
    }
}

fn is_late(said: &str) -> bool {
    ["Client.Timeout", "deadline exceeded", "timeout awaiting response headers"]
        .iter()
        .any(|word| said.contains(word))
}

/// Somebody pressed Ctrl-C, or the client went away.
fn is_cancelled(said: &str) -> bool {
    said.contains("context canceled")
}

/// This host could not store what came: `write /var/lib/docker/tmp/…: no space left on device`.
fn is_ours(said: &str) -> bool {
    let said = own_words(said);
    let of_a_file = said.split_once(" /").is_some_and(|(act, _)| act.bytes().all(|b| b.is_ascii_lowercase()));
    of_a_file || said.starts_with("failed to register layer: ")
}

/// What dockerd puts before Go's words is left out.
fn own_words(said: &str) -> &str {
    let said = said.strip_prefix("error pulling image configuration: ").unwrap_or(said);
    let tries = said.strip_prefix("download failed after attempts=").and_then(|rest| rest.split_once(": "));
    tries.map_or(said, |(_, said)| said)
}

/// Whom Go's words for a request name: `Get "https://a.example/v2/": EOF`. A registry's own words stand behind a code,
/// and name whom it likes.
fn place(said: &str) -> Option<(MirrorUrl, &str)> {
    let said = own_words(said);
    let asks = ["Get ", "Head ", "Post "].iter().any(|verb| said.starts_with(verb));
    if asks { first_url(said) } else { None }
}

/// Who, and the path there.
fn first_url(said: &str) -> Option<(MirrorUrl, &str)> {
    let start = [said.find("https://"), said.find("http://")].into_iter().flatten().min()?;
    let url = &said[start..];
    // Go before 1.14 did not quote it.
    let end = url.find(|c: char| c == '"' || c.is_whitespace()).unwrap_or(url.len());
    let url = url[..end].trim_end_matches([':', '"']);
    let authority = url.find("://").map(|at| at + "://".len())?;
    let path = url[authority..].find('/').map_or(url.len(), |at| authority + at);
    Some((url[..path].parse().ok()?, &url[path..]))
}

fn known(url: &MirrorUrl, mirrors: &[MirrorUrl]) -> Option<MirrorUrl> {
    mirrors.contains(url).then(|| url.clone())
}

fn stage_of(path: &str) -> Stage {
    let has = |part| path.contains(part);
    if has("/manifests/") {
        Stage::Manifest
    } else if has("/blobs/") {
        Stage::Layer
    } else if path.trim_end_matches('/').ends_with("/v2") {
        Stage::Ping
    } else if has("token") || has("auth") {
        Stage::Token
    } else {
        Stage::Manifest
    }
}

/// The value of `key` in a line of logrus: `time="…" level=info msg="…" host=a.example`, or with `log-format: json`
/// (dockerd 25) an object of JSON.
fn field(line: &str, key: &str) -> Option<String> {
    if line.starts_with('{') {
        let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).ok()?;
        return fields.get(key)?.as_str().map(str::to_owned);
    }
    let mut rest = line;
    loop {
        rest = rest.trim_start();
        let (name, after) = rest.split_once('=')?;
        // A stray word before a field, as a syslog prefix is one, belongs to nobody.
        let name = name.rsplit(char::is_whitespace).next().unwrap_or(name);
        let (value, behind) = value(after);
        if name == key {
            return Some(value);
        }
        rest = behind;
    }
}

/// One value, bare or in quotes, and what stands behind it.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            // logrus writes Go strings. Of their escapes only these make a difference to what is looked for;
            // what else is escaped was not printable anyway.
            '\\' => match characters.next().map(|(_, escaped)| escaped) {
                Some(escaped @ ('"' | '\\' | '\'')) => value.push(escaped),
                Some(_) => value.push(' '),
                None => break,
            },
            c => value.push(c),
        }
    }
    (value, "")
}

fn clipped(line: &str) -> &str {
    let mut end = line.len().min(LINE_BYTES);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    &line[..end]
}

/// Whether the line can be worth understanding; nearly none is.
pub(super) fn may_matter(line: &[u8]) -> bool {
    const WORDS: [&[u8]; 5] = [
        b"next endpoint",
        b"Not continuing with pull",
        b"Download failed",
        b"trying next host",
        b"fetch failed",
    ];
    // A search for the rarest byte first would be faster; a line of dockerd has some hundred bytes.
    WORDS.iter().any(|word| line.windows(word.len()).any(|window| window == *word))
}

/// On one line, at most 200 bytes, without anything that could move a cursor, hide or turn text around.
pub(super) fn safe(text: &str) -> String {
    const MORE: char = '…';
    let unseen =
        |c: char| c.is_control() || c.is_whitespace() || unicode_width::UnicodeWidthChar::width(c) == Some(0);
    let mut out = String::new();
    for word in text.split(unseen).filter(|word| !word.is_empty()) {
        for c in std::iter::once(' ').filter(|_| !out.is_empty()).chain(word.chars()).collect::<Vec<_>>() {
            if out.len() + c.len_utf8() + MORE.len_utf8() > DETAIL_BYTES {
                out.push(MORE);
                return out;
            }
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests;
