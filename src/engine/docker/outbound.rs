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
pub(super) fn of(
    info: &Info,
    process: Option<&Process>,
    document: &Document<'_>,
) -> (Outbound, Option<Warning>) {
    let environment = |name: &str| {
        let process = process?;
        process.environment(name).or_else(|| process.environment(&name.to_ascii_lowercase()))
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
