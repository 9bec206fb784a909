//! dockerd's way out: its proxies, so that a probe takes the same road.

use super::api::Info;
use super::discover::Process;
use super::edit::Document;
use crate::engine::{Outbound, Warning};
use crate::reason::WarningKind;

/// What `/info` shows in the place of a user and a password.
const MASK: &str = "xxxxx:xxxxx@";

/// The proxies that `/info` names. A masked password is looked up where dockerd got it from: its file or its
/// environment; where that cannot be read, the proxy is named without one and a warning says so.
///
/// `unit` is what systemd says of dockerd's environment, for who may not look into the process itself.
pub(super) fn of(
    info: &Info,
    process: Option<&Process>,
    unit: &[(String, String)],
    document: &Document<'_>,
) -> (Outbound, Option<Warning>) {
    let environment = |name: &str| {
        let of_process = |name: &str| process?.environment(name);
        let of_unit = |name: &str| unit.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let lower = name.to_ascii_lowercase();
        of_process(name).or_else(|| of_process(&lower)).or_else(|| of_unit(name)).or_else(|| of_unit(&lower))
    };
    let in_file = |key: &str| {
        let proxies = document.get("proxies")?;
        proxies.get(key)?.as_str().map(str::to_owned)
    };
    let http = reveal(&info.http_proxy, [in_file("http-proxy"), environment("HTTP_PROXY")]);
    let https = reveal(&info.https_proxy, [in_file("https-proxy"), environment("HTTPS_PROXY")]);
    let hidden = [&http, &https].into_iter().flatten().find(|proxy| !proxy.complete);
    let warning = hidden.map(|proxy| Warning::new(WarningKind::ProxyHidden, proxy.url.clone()));
    let no_proxy = Some(info.no_proxy.clone()).filter(|hosts| !hosts.is_empty());
    (Outbound { http: http.map(|proxy| proxy.url), https: https.map(|proxy| proxy.url), no_proxy }, warning)
}

/// Whether `/info` hides what only dockerd's file or environment has.
pub(super) fn is_masked(info: &Info) -> bool {
    info.http_proxy.contains(MASK) || info.https_proxy.contains(MASK)
}

/// The assignments in what `systemctl show --property=Environment` prints: `A=b "C=d e"`.
pub(super) fn assignments(said: &str) -> Vec<(String, String)> {
    let (mut words, mut word, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    for c in said.chars() {
        match c {
            _ if escaped => {
                escaped = false;
                word.push(c);
            }
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    let pair = |word: &String| word.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    words.iter().filter_map(pair).collect()
}

struct Proxy {
    url: String,
    complete: bool,
}

fn reveal(shown: &str, candidates: [Option<String>; 2]) -> Option<Proxy> {
    if shown.is_empty() {
        return None;
    }
    if !shown.contains(MASK) {
        return Some(Proxy { url: shown.to_owned(), complete: true });
    }
    // The file may have been edited since dockerd started; only the one that masks to what is in use is meant.
    let real = candidates.into_iter().flatten().find(|candidate| mask(candidate).as_deref() == Some(shown));
    Some(match real {
        Some(url) => Proxy { url, complete: true },
        None => Proxy { url: shown.replace(MASK, ""), complete: false },
    })
}

fn mask(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (_, host) = rest.rsplit_once('@')?;
    Some(format!("{scheme}://{MASK}{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revealed(shown: &str, candidates: [&str; 2]) -> Option<(String, bool)> {
        let candidates = candidates.map(|url| Some(url.to_owned()).filter(|url| !url.is_empty()));
        reveal(shown, candidates).map(|proxy| (proxy.url, proxy.complete))
    }

    #[test]
    fn what_systemd_says_of_the_environment_is_taken_apart() {
        let pairs = assignments("HTTP_PROXY=http://u:s@p:3128 \"NO_PROXY=a b\" X=\\\"y\\\" odd\n");
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(pairs, [("HTTP_PROXY", "http://u:s@p:3128"), ("NO_PROXY", "a b"), ("X", "\"y\"")]);
        assert!(assignments("").is_empty());
    }

    #[test]
    fn a_masked_password_is_taken_from_where_dockerd_got_it() {
        for (shown, candidates, url, complete) in [
            ("http://p:3128", ["", ""], "http://p:3128", true),
            ("http://xxxxx:xxxxx@p:3128", ["", "http://u:s@p:3128"], "http://u:s@p:3128", true),
            ("http://xxxxx:xxxxx@p:3128", ["http://u:s@p:3128", "http://v:t@q:1"], "http://u:s@p:3128", true),
            // Edited since: neither is the one in use.
            ("http://xxxxx:xxxxx@p:3128", ["http://u:s@q:3128", ""], "http://p:3128", false),
        ] {
            assert_eq!(revealed(shown, candidates), Some((url.to_owned(), complete)), "{shown}");
        }
        assert_eq!(revealed("", ["http://u:s@p:3128", ""]), None);
    }
}
