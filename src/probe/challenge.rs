//! What a 401 asks for, and the anonymous token that answers it.

use std::collections::HashMap;
use std::time::Duration;

use http::HeaderValue;
use http::header::{HeaderMap, WWW_AUTHENTICATE};
use serde::Deserialize;
use tokio::time::Instant;

use super::wrong::{Try, Wrong};
use crate::observation::ImageStore;
use crate::reason::FailureKind;

/// What the answer of a token realm may have; Docker Hub's has 5 KiB.
pub(super) const ANSWER_BYTES: usize = 64 * 1024;

/// What a token may have.
const TOKEN_BYTES: usize = 8 * 1024;

/// The distribution specification: a token without a lifetime, or with a shorter one, lives for a minute.
const SHORTEST_LIFE: u64 = 60;

/// A token is renewed so long before its end, as it has to last for a probe.
const MARGIN: Duration = Duration::from_secs(10);

/// What an answer asks for before it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// Nothing that we know of.
    Nothing,
    /// A token from a realm.
    Token(Challenge),
    /// A user and a password; there are none, and never will be.
    Login,
}

/// A Bearer challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    pub(super) realm: String,
    pub(super) service: Option<String>,
}

/// An anonymous token for pulling from one repository.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) repository: String,
    /// `Bearer …`, marked sensitive.
    pub(super) header: HeaderValue,
    until: Instant,
}

impl Asks {
    /// Reads the challenges of an answer as an engine with this store does.
    ///
    /// The classic store answers every challenge that it knows, and without a user it has no answer to Basic, also where
    /// a token would do. Containerd takes the token.
    pub(super) fn of(headers: &HeaderMap, store: Option<ImageStore>) -> Self {
        let challenges = headers.get_all(WWW_AUTHENTICATE).iter().take(4);
        let (mut token, mut login) = (None, false);
        for (scheme, mut parameters) in
            challenges.map(|value| read(&String::from_utf8_lossy(value.as_bytes())))
        {
            login |= scheme == "basic";
            if scheme == "bearer"
                && token.is_none()
                && let Some(realm) = parameters.remove("realm")
            {
                token = Some(Challenge { realm, service: parameters.remove("service") });
            }
        }
        match token {
            Some(challenge) if !login || store == Some(ImageStore::Containerd) => Self::Token(challenge),
            Some(_) | None if login => Self::Login,
            Some(_) | None => Self::Nothing,
        }
    }
}

/// The scheme and the parameters of a challenge, names in lower case.
///
/// Both stores take a header for one challenge and read as far as it is one: a parameter without a comma before it, an
/// unquoted value with a colon in it, or a second challenge ends it, and what came before counts. A reader that knows the
/// grammar finds nothing there, or more than the engine does.
fn read(text: &str) -> (String, HashMap<String, String>) {
    let (scheme, mut rest) = word(text);
    let mut parameters = HashMap::new();
    loop {
        let (name, after) = word(rest.trim_start());
        let Some(after) = after.strip_prefix('=') else { break };
        let (value, after) = if after.starts_with('"') { quoted(after) } else { word(after) };
        if name.is_empty() || value.is_empty() {
            break;
        }
        parameters.insert(name.to_ascii_lowercase(), value);
        match after.trim_start().strip_prefix(',') {
            Some(more) => rest = more,
            None => break,
        }
    }
    (scheme.to_ascii_lowercase(), parameters)
}

/// A token of HTTP, and what follows it.
fn word(text: &str) -> (String, &str) {
    let is_in = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let (word, rest) = text.split_at(text.find(|c| !is_in(c)).unwrap_or(text.len()));
    (word.to_owned(), rest)
}

/// What stands in the quotation marks that `text` begins with, and what follows them; nothing where they do not end.
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (String::new(), "")
}

impl Token {
    /// Reads the answer of a realm, received at `now`.
    ///
    /// # Errors
    ///
    /// `not_a_registry`: no JSON, or JSON without a token.
    pub(super) fn read(body: &[u8], repository: &str, now: Instant) -> Try<Self> {
        #[derive(Deserialize)]
        struct Answer {
            token: Option<String>,
            access_token: Option<String>,
            expires_in: Option<f64>,
        }
        let no = |why: &str| Wrong::new(FailureKind::NotARegistry, format!("the token realm: {why}"));
        let answer: Answer = serde_json::from_slice(body).map_err(|_| no("not the JSON of a token"))?;
        let token = [answer.token, answer.access_token].into_iter().flatten().find(|token| !token.is_empty());
        let token = token.ok_or_else(|| no("no token in its answer"))?;
        if token.len() > TOKEN_BYTES {
            return Err(Wrong::new(FailureKind::AnswerTooLarge, "a token of more than 8 KiB"));
        }
        let header = HeaderValue::from_str(&format!("Bearer {token}"));
        let mut header = header.map_err(|_| no("a token that no header can have"))?;
        header.set_sensitive(true);
        let said = answer.expires_in.unwrap_or_default().clamp(0.0, 86_400.0);
        let life = Duration::from_secs_f64(said).max(Duration::from_secs(SHORTEST_LIFE));
        Ok(Self { repository: repository.to_owned(), header, until: now + life })
    }

    /// Whether it still opens `repository`.
    pub(super) fn is_good_for(&self, repository: &str, now: Instant) -> bool {
        self.repository == repository && now + MARGIN < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(challenges: &[&str], store: Option<ImageStore>) -> Asks {
        let mut headers = HeaderMap::new();
        for challenge in challenges {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_bytes(challenge.as_bytes()).unwrap());
        }
        Asks::of(&headers, store)
    }

    fn token(realm: &str, service: Option<&str>) -> Asks {
        Asks::Token(Challenge { realm: realm.to_owned(), service: service.map(str::to_owned) })
    }

    #[test]
    fn a_challenge_is_read_as_far_as_dockerd_reads_it() {
        let just_the_realm = || token("https://a/t", None);
        for (challenge, want) in [
            (r#"Bearer realm="https://a/token",service="s""#, token("https://a/token", Some("s"))),
            (r#"bearer Realm="https://a/token", error="invalid_token""#, token("https://a/token", None)),
            (r#"Bearer realm="https://a/\"t",service=s"#, token("https://a/\"t", Some("s"))),
            (r#"Bearer realm="https://a/t",service="镜像""#, token("https://a/t", Some("镜像"))),
            (r#"Bearer realm="https://a/t",service=a.example:5000"#, token("https://a/t", Some("a.example"))),
            (r#"Bearer realm="https://a/t" service="s""#, just_the_realm()),
            (r#"Bearer realm="https://a/t";service="s""#, just_the_realm()),
            (r#"Bearer  realm="https://a/t",,service="s""#, just_the_realm()),
            (r#"Bearer realm="https://a/t",service="",scope=s"#, just_the_realm()),
            (r#"Bearer realm="https://a/t","#, just_the_realm()),
            (r#"Bearer realm="https://a/t", Basic realm="x""#, just_the_realm()),
            (r#"Basic realm="x", Bearer realm="https://a/t""#, Asks::Login),
            (r#"Basic realm="x""#, Asks::Login),
            ("Bearer realm=https://a/t", token("https", None)),
            (r#"Bearer realm="https://a/t"#, Asks::Nothing),
            (r#"Bearer service="s""#, Asks::Nothing),
            ("\"\"\"", Asks::Nothing),
            ("", Asks::Nothing),
        ] {
            for store in [Some(ImageStore::Classic), Some(ImageStore::Containerd), None] {
                assert_eq!(asks(&[challenge], store), want, "{challenge} with {store:?}");
            }
        }
    }

    #[test]
    fn the_classic_store_does_not_get_past_basic_and_containerds_takes_the_token() {
        let (basic, bearer) = (r#"Basic realm="x""#, r#"Bearer realm="https://a/t""#);
        for challenges in [&[basic, bearer], &[bearer, basic]] {
            assert_eq!(asks(challenges, Some(ImageStore::Containerd)), token("https://a/t", None));
            assert_eq!(asks(challenges, Some(ImageStore::Classic)), Asks::Login);
            assert_eq!(asks(challenges, None), Asks::Login, "who is not known may be the classic store");
        }
        assert_eq!(asks(&[], None), Asks::Nothing);
    }

    #[test]
    fn a_token_lives_a_minute_at_least_and_is_only_for_its_repository() {
        let now = Instant::now();
        for (body, seconds) in [
            (r#"{"token":"t"}"#, 60),
            (r#"{"access_token":"t","expires_in":5}"#, 60),
            (r#"{"token":"t","expires_in":300}"#, 300),
            (r#"{"token":"t","expires_in":1e300}"#, 86_400),
            (r#"{"token":"t","expires_in":-4}"#, 60),
        ] {
            let token = Token::read(body.as_bytes(), "a/b", now).expect(body);
            assert!(token.is_good_for("a/b", now + Duration::from_secs(seconds - 11)), "{body}");
            assert!(!token.is_good_for("a/b", now + Duration::from_secs(seconds)), "{body}");
            assert!(!token.is_good_for("a/c", now), "{body}");
        }
    }

    #[test]
    fn what_is_no_token_is_none() {
        for body in ["{}", "", "<html>", r#"{"token":""}"#, r#"{"token":"a\r\nCookie: b"}"#, r#"{"token":1}"#]
        {
            assert!(Token::read(body.as_bytes(), "a/b", Instant::now()).is_err(), "{body}");
        }
    }
}
