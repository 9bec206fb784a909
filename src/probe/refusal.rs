//! Answers that are no: which kind of no, in whose words, and for how long.

use std::time::Duration;

use http::header::{HeaderMap, RETRY_AFTER};
use http::{HeaderName, StatusCode};
use serde::Deserialize;
use tokio::time::Instant;

use super::exchange::Answer;
use super::manifest::first_of;
use super::wrong::Wrong;
use crate::reason::FailureKind;
use crate::timestamp::Timestamp;

/// What is read of the words that go with a refusal.
pub(super) const BODY_BYTES: usize = 64 * 1024;

/// The longest rest that a mirror can ask for.
const LONGEST_REST: Duration = Duration::from_hours(24);

/// How a rate limit is said in a body whose status does not say so: registry:2 and crproxy pass Docker Hub's
/// word on in a 500, hubproxy and others have words of their own, 1015 is Cloudflare's.
const LIMIT_WORDS: [&str; 8] = [
    "toomanyrequests",
    "too many requests",
    "rate limit",
    "error code: 1015",
    "请求频率",
    "请求过于频繁",
    "请求过多",
    "访问过于频繁",
];

/// What a page for browsers has that wants them to prove that they are browsers.
const CHALLENGE_WORDS: [&str; 3] = ["just a moment", "challenge-platform", "cf-chl"];

/// Reads why an answer that is not 2xx is not.
pub(super) async fn refusal(answer: Answer, until: Instant) -> Wrong {
    let status = answer.status;
    let html = answer.media_type().is_some_and(|media_type| media_type == "text/html");
    let mitigated = answer.headers.contains_key("cf-mitigated");
    let body = answer.some(BODY_BYTES, until).await;
    let text = String::from_utf8_lossy(&body);
    let lower = text.to_lowercase();
    let said = message(&text, html);
    let kind = if LIMIT_WORDS.iter().any(|word| lower.contains(word)) {
        FailureKind::RateLimited
    } else if mitigated || (html && CHALLENGE_WORDS.iter().any(|word| lower.contains(word))) {
        // It stands before everything, unlike a 403 for one image.
        FailureKind::NotARegistry
    } else {
        of_status(status)
    };
    let status = status.as_u16();
    Wrong::new(
        kind,
        if said.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status}: {said}") },
    )
}

/// The kind of failure that a status alone stands for.
pub(super) fn of_status(status: StatusCode) -> FailureKind {
    match status.as_u16() {
        // 402 is how a few of the paid mirrors say it.
        401 | 402 => FailureKind::LoginRequired,
        403 | 451 => FailureKind::NotAllowed,
        404 | 410 => FailureKind::NotFound,
        429 => FailureKind::RateLimited,
        300..=399 => FailureKind::RedirectRefused,
        500..=599 => FailureKind::ServerError,
        _ => FailureKind::ProtocolError,
    }
}

/// Whether an answer counts against the budget of refusals.
pub(super) fn is_refusal(status: StatusCode) -> bool {
    matches!(status.as_u16(), 403 | 404 | 429) || status.is_server_error()
}

/// How long the mirror asks to be left alone: seconds, or until a date.
pub(super) fn rest(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let asked = [RETRY_AFTER, HeaderName::from_static("x-retry-after")].into_iter().find_map(|name| {
        let value = headers.get(name)?.to_str().ok()?.trim();
        match value.parse() {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => Some(http_date(value)?.since(now)),
        }
    })?;
    Some(asked.min(LONGEST_REST))
}

/// Reads `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that HTTP still allows to be sent.
fn http_date(text: &str) -> Option<Timestamp> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let mut words = text.split_once(", ")?.1.split(' ');
    let (day, month, year) = (words.next()?, words.next()?, words.next()?);
    let (time, zone) = (words.next()?, words.next()?);
    let month = MONTHS.find(month).filter(|at| at % 3 == 0 && month.len() == 3)? / 3 + 1;
    if zone != "GMT" {
        return None;
    }
    format!("{year}-{month:02}-{day:0>2}T{time}Z").parse().ok()
}

#[derive(Deserialize)]
struct Errors {
    #[serde(default, deserialize_with = "first_of::<_, _, 1>")]
    errors: Vec<Said>,
    error: Option<String>,
    message: Option<String>,
    detail: Option<String>,
}

#[derive(Deserialize)]
struct Said {
    code: Option<String>,
    message: Option<String>,
}

/// The words of a refusal: the registry's JSON, another JSON, a page's title, or the plain text.
fn message(text: &str, html: bool) -> String {
    if let Ok(said) = serde_json::from_str::<Errors>(text) {
        let words = match said.errors.into_iter().next() {
            Some(Said { code, message }) => {
                [code, message].into_iter().flatten().collect::<Vec<_>>().join(": ")
            }
            None => said.error.or(said.message).or(said.detail).unwrap_or_default(),
        };
        return words;
    }
    if html || text.trim_start().starts_with('<') {
        return title(text).map_or_else(|| "a web page".to_owned(), |title| format!("a web page, {title:?}"));
    }
    text.to_owned()
}

/// The title of a web page, cut where it would be no help.
pub(super) fn title(html: &str) -> Option<String> {
    let lower = html.to_ascii_lowercase();
    let start = lower.find("<title>")? + "<title>".len();
    let end = start + lower[start..].find("</title>")?;
    let title = super::wrong::safe(&html[start..end]);
    if title.is_empty() { None } else { Some(title) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_refusal_are_found_in_every_shape() {
        for (body, html, words) in [
            (
                r#"{"errors":[{"code":"DENIED","message":"not in the allowlist","detail":{}}]}"#,
                false,
                "DENIED: not in the allowlist",
            ),
            (r#"{"errors":[{"code":"UNKNOWN"}]}"#, false, "UNKNOWN"),
            (r#"{"error":"请求频率过快"}"#, false, "请求频率过快"),
            (r#"{"detail":"Rate limit exceeded"}"#, false, "Rate limit exceeded"),
            (r"[1,2]", false, "[1,2]"),
            ("镜像访问被限制", false, "镜像访问被限制"),
            ("<html><head><TITLE>403 Forbidden</TITLE>", true, "a web page, \"403 Forbidden\""),
            ("<!DOCTYPE html>", false, "a web page"),
            ("", false, ""),
        ] {
            assert_eq!(message(body, html), words, "{body}");
        }
    }

    #[test]
    fn a_mirror_may_ask_for_rest_in_seconds_or_until_a_date_but_not_for_more_than_a_day() {
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        for (header, value, rest_seconds) in [
            ("retry-after", "120", Some(120)),
            ("x-retry-after", "30", Some(30)),
            ("retry-after", "Fri, 20 Nov 2026 12:10:00 GMT", Some(600)),
            ("retry-after", "Fri, 20 Nov 2026 11:00:00 GMT", Some(0)),
            ("retry-after", "9999999999", Some(86_400)),
            ("retry-after", "99999999999999999999999", None),
            ("retry-after", "Fri, 20 Foo 2026 12:10:00 GMT", None),
            ("retry-after", "-1", None),
            ("retry-after", "soon", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::from_static(header), value.parse().unwrap());
            let asked = rest(&headers, now).map(|rest| rest.as_secs());
            assert_eq!(asked, rest_seconds, "{header}: {value}");
        }
    }
}
