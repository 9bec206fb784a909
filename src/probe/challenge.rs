//! What a 401 asks for, and the anonymous token that answers it.

use std::time::Duration;

use http::HeaderValue;
use http::header::{HeaderMap, WWW_AUTHENTICATE};
use serde::Deserialize;
use tokio::time::Instant;

use super::wrong::{Try, Wrong};
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
    /// Reads the challenges of an answer. One that cannot be read counts as none, as it does in dockerd.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut asks = Self::Nothing;
        for value in headers.get_all(WWW_AUTHENTICATE).iter().take(4) {
            let Some(challenges) =
                value.to_str().ok().and_then(|text| http_auth::parse_challenges(text).ok())
            else {
                continue;
            };
            for challenge in challenges {
                let parameter = |name: &str| {
                    let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                    found.map(|(_, value)| value.to_unescaped())
                };
                if challenge.scheme.eq_ignore_ascii_case("bearer") {
                    if let Some(realm) = parameter("realm") {
                        return Self::Token(Challenge { realm, service: parameter("service") });
                    }
                } else if challenge.scheme.eq_ignore_ascii_case("basic") {
                    asks = Self::Login;
                }
            }
        }
        asks
    }
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

    fn asks(challenges: &[&str]) -> Asks {
        let mut headers = HeaderMap::new();
        for challenge in challenges {
            headers.append(WWW_AUTHENTICATE, challenge.parse().unwrap());
        }
        Asks::of(&headers)
    }

    #[test]
    fn a_bearer_challenge_wins_and_an_unreadable_one_counts_as_none() {
        let token = |realm: &str, service: Option<&str>| {
            Asks::Token(Challenge { realm: realm.to_owned(), service: service.map(str::to_owned) })
        };
        for (challenges, want) in [
            (&[r#"Bearer realm="https://a/token",service="s""#][..], token("https://a/token", Some("s"))),
            (&[r#"bearer realm="https://a/token",error="invalid_token""#], token("https://a/token", None)),
            (&[r#"Basic realm="x", Bearer realm="https://a/t""#], token("https://a/t", None)),
            (&[r#"Basic realm="x""#, r#"Bearer realm="https://a/t""#], token("https://a/t", None)),
            (&[r#"Basic realm="x""#], Asks::Login),
            (&["Bearer realm=https://a/t"], Asks::Nothing),
            (&[r#"Bearer service="s""#], Asks::Nothing),
            (&["\"\"\""], Asks::Nothing),
            (&[], Asks::Nothing),
        ] {
            assert_eq!(asks(challenges), want, "{challenges:?}");
        }
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
