//! Where a request goes: an origin and what is asked of it.

use crate::mirror::{MirrorUrl, Scheme};
use crate::reason::FailureKind;

use super::wrong::{Try, Wrong};

/// A URL that may be asked for: no user, no password, no fragment, a host that is a name or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Scheme, host and port. A mirror's URL is exactly that, canonical and checked.
    pub(super) origin: MirrorUrl,
    /// Path and query; begins with `/`.
    pub(super) path: String,
}

impl Target {
    /// `path` on the host of `origin`.
    pub(super) fn on(origin: &MirrorUrl, path: String) -> Self {
        Self { origin: origin.clone(), path }
    }

    /// Reads an absolute URL that a server sent.
    ///
    /// # Errors
    ///
    /// `redirect_refused`, with what is wrong with it.
    pub(super) fn parse(text: &str) -> Try<Self> {
        let refused = |why: &str| Wrong::new(FailureKind::RedirectRefused, format!("{why}: {text}"));
        let start = text.find("://").map(|at| at + 3).ok_or_else(|| refused("not an absolute URL"))?;
        let end = text[start..].find(['/', '?', '#']).map_or(text.len(), |at| start + at);
        let origin: MirrorUrl = text[..end].parse().map_err(|error| refused(&format!("{error}")))?;
        let rest = text[end..].split('#').next().unwrap_or_default();
        let path = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
        // hyper would refuse it later with less to say.
        if path.parse::<http::uri::PathAndQuery>().is_err() {
            return Err(refused("not a path"));
        }
        Ok(Self { origin, path })
    }

    /// Where `location`, absolute or not, leads from here.
    ///
    /// # Errors
    ///
    /// `redirect_refused`: not a URL, or from https to http.
    pub(super) fn join(&self, location: &str) -> Try<Self> {
        let scheme = self.origin.scheme();
        let next = if location.contains("://") && !location.starts_with('/') {
            Self::parse(location)?
        } else if location.starts_with("//") {
            Self::parse(&format!("{}:{location}", scheme.as_str()))?
        } else if location.starts_with('/') {
            Self::parse(&format!("{}{location}", self.origin))?
        } else {
            let directory = self.path.split('?').next().and_then(|path| path.rsplit_once('/'));
            let directory = directory.map_or("", |(directory, _)| directory);
            Self::parse(&format!("{}{directory}/{location}", self.origin))?
        };
        self.not_downgraded(next)
    }

    /// `next`, unless it gives up the TLS that this target has.
    pub(super) fn not_downgraded(&self, next: Self) -> Try<Self> {
        match (self.origin.scheme(), next.origin.scheme()) {
            (Scheme::Https, Scheme::Http) => {
                let detail = format!("from https to http: {}", next.origin);
                Err(Wrong::new(FailureKind::RedirectRefused, detail))
            }
            (Scheme::Https, Scheme::Https) | (Scheme::Http, Scheme::Http | Scheme::Https) => Ok(next),
        }
    }

    /// With `name=value` added to the query; both are encoded.
    pub(super) fn with_query(mut self, name: &str, value: &str) -> Self {
        self.path.push(if self.path.contains('?') { '&' } else { '?' });
        self.path.push_str(name);
        self.path.push('=');
        encode(value, &mut self.path);
        self
    }
}

/// As Go's `url.QueryEscape`, so that a mirror sees what dockerd would send.
fn encode(value: &str, out: &mut String) {
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(target: &Target) -> String {
        format!("{}{}", target.origin, target.path)
    }

    #[test]
    fn a_location_is_read_as_a_browser_reads_it() {
        let here = Target::parse("https://m.example/v2/a/blobs/x?ns=docker.io").unwrap();
        for (location, leads_to) in [
            ("https://cdn.example/l?sig=a%2Fb#top", "https://cdn.example/l?sig=a%2Fb"),
            ("https://cdn.example?x=1", "https://cdn.example/?x=1"),
            ("//cdn.example:8443/l", "https://cdn.example:8443/l"),
            ("/l", "https://m.example/l"),
            ("l", "https://m.example/v2/a/blobs/l"),
            ("/go?to=http://other.example/", "https://m.example/go?to=http://other.example/"),
        ] {
            assert_eq!(show(&here.join(location).unwrap()), leads_to, "{location}");
        }
    }

    #[test]
    fn what_is_no_safe_url_is_refused() {
        let here = Target::parse("https://m.example/").unwrap();
        for location in [
            "http://m.example/",
            "file:///etc/passwd",
            "ftp://m.example/",
            "https://user:password@cdn.example/",
            "https://cdn.example\\@evil.example/",
            "https://cdn.example:99999/",
            "https:///x",
            "https://cdn.example/a b",
        ] {
            let wrong = here.join(location).unwrap_err();
            assert_eq!(wrong.kind, FailureKind::RedirectRefused, "{location}");
        }
    }

    #[test]
    fn a_query_is_encoded_as_go_does() {
        let realm = Target::parse("https://auth.example/token?a=b").unwrap();
        let asked = realm.with_query("scope", "repository:library/busybox:pull").with_query("service", "a b");
        assert_eq!(asked.path, "/token?a=b&scope=repository%3Alibrary%2Fbusybox%3Apull&service=a+b");
    }
}
