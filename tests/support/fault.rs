//! The ways to be broken: where, and how. Closed lists; faults combine.

use std::time::Duration;

/// Which requests a fault is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Everywhere,
    /// `/v2/`.
    Ping,
    Token,
    /// HEAD and GET of every manifest.
    Manifest,
    /// HEAD of a manifest.
    Head,
    /// GET of every manifest.
    Get,
    /// GET of the manifest for one platform.
    Child,
    /// Configs and layers.
    Blob,
    Config,
    Layer,
}

/// What goes wrong there.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    // Before any request.
    /// Reads the ClientHello and says nothing.
    TlsSilence,
    /// Resets the connection upon the ClientHello, as a censor does.
    TlsReset,
    /// Answers the ClientHello in plain HTTP.
    TlsPlain,

    // Instead of an answer.
    /// Takes the request and never answers.
    Silence,
    /// Closes without an answer.
    HangUp,
    /// Something that is not HTTP.
    Garbage,
    /// The head of an answer, a byte at a time, without end.
    SlowHead,
    /// A head without end.
    EndlessHead,
    /// `100 Continue` without end.
    Interim,

    // Another answer.
    /// This status, media type and body.
    Answer {
        status: u16,
        media_type: &'static str,
        body: String,
    },
    /// As the answer before it in the list of faults, with this header in addition.
    Header(&'static str, String),
    /// A redirect there. `{path}` in it stands for the path that was asked for.
    Redirect {
        status: u16,
        to: String,
    },
    /// A redirect to itself.
    Loop,

    // The right answer, spoilt.
    WithoutDigest,
    WithoutType,
    Type(&'static str),
    WrongDigest,
    /// Chunked, so without a length.
    Chunked,
    /// Chunked in single bytes.
    Crumbs,
    /// The end is where the connection closes.
    UntilClose,
    RangeIgnored,
    /// Another range than the one that was asked for.
    WrongRange,
    /// One byte is another.
    Corrupt,
    /// Closes after half of the body.
    Cut,
    /// Sends so many bytes of the body and then nothing.
    Stall {
        after: usize,
    },
    /// Sends the body at so many bytes per second.
    Drip(u64),
    /// Waits before the answer.
    Late(Duration),
    /// Waits so long for each MiB of the blob before the answer.
    LatePerMib(Duration),
    /// A body without end.
    Endless,
    /// Says `Content-Encoding: gzip`.
    Gzip,
    /// Serves the tag as it was two years before.
    OldTag,

    // Tokens.
    /// This realm instead of the own one.
    Realm(String),
    /// Asks for a user and a password.
    Basic,
    /// `/v2/` asks for nothing; all else still asks for a token.
    LateChallenge,
    /// No token is ever good.
    UselessToken,
}

/// A fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub place: Place,
    pub act: Act,
}

impl Fault {
    pub fn at(place: Place, act: Act) -> Self {
        Self { place, act }
    }

    pub fn everywhere(act: Act) -> Self {
        Self::at(Place::Everywhere, act)
    }
}

impl Act {
    /// A status with the JSON that registries send.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!({"errors": [{"code": code, "message": message}]}).to_string();
        Self::Answer { status, media_type: "application/json", body }
    }

    /// DaoCloud's answer for an image that is not in its allowlist.
    pub fn denied() -> Self {
        Self::error(403, "DENIED", "🚫 这镜像不在白名单. this image is not in the allowlist.")
    }

    pub fn not_found() -> Self {
        Self::error(404, "MANIFEST_UNKNOWN", "manifest unknown")
    }

    pub fn rate_limited() -> Self {
        Self::error(429, "TOOMANYREQUESTS", "slow down")
    }

    /// registry:2 passes Docker Hub's 429 on like this.
    pub fn nested_limit() -> Self {
        let inner =
            r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit"}]}"#;
        let body =
            serde_json::json!({"errors": [{"code": "UNKNOWN", "message": "unknown error", "detail": inner}]});
        Self::Answer { status: 500, media_type: "application/json", body: body.to_string() }
    }

    /// hubproxy's words for a limit.
    pub fn hubproxy_limit() -> Self {
        let body = r#"{"error":"请求频率过快，暂时限制访问"}"#.to_owned();
        Self::Answer { status: 429, media_type: "application/json", body }
    }

    pub fn server_error(status: u16) -> Self {
        Self::Answer { status, media_type: "text/html", body: "<title>Bad Gateway</title>".to_owned() }
    }

    /// A web page with status 200.
    pub fn web_page() -> Self {
        let body = "<!DOCTYPE html><html><head><title>Welcome to nginx!</title></head></html>".to_owned();
        Self::Answer { status: 200, media_type: "text/html", body }
    }

    /// Cloudflare's page for browsers.
    pub fn challenge_page() -> Self {
        let body = "<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>".to_owned();
        Self::Answer { status: 403, media_type: "text/html; charset=UTF-8", body }
    }

    /// JSON that has nothing to do with a registry.
    pub fn other_json() -> Self {
        Self::Answer { status: 200, media_type: "application/json", body: "{}".to_owned() }
    }
}
