//! One candidate: its name and its URL, canonical by construction.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The registry that is mirrored unless mirrors.toml says otherwise.
pub const DOCKER_HUB: &str = "docker.io";

/// How a mirror is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// In the clear; dockerd takes it without more ado.
    Http,
    /// Over TLS, always verified.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that goes without saying.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// `scheme://host[:port]` and nothing else: lower case, no trailing slash, no default port.
///
/// It is the intersection of what every dockerd from 20.10 to 29 accepts in `registry-mirrors` *and*
/// uses as written, so a value of this type can stand in any engine's file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MirrorUrl {
    text: String,
    scheme: Scheme,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
}

/// Why a text is not a mirror's URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlError {
    /// Blank, or only white space.
    Empty,
    /// White space or a control character somewhere.
    Blank,
    /// A placeholder such as `<your_code>` was left in.
    Placeholder,
    /// No `http://` or `https://` in front.
    NoScheme,
    /// Another scheme than http or https.
    OtherScheme,
    /// Nothing between the scheme and the end.
    NoHost,
    /// A character that no host has, or a name that is not written in ASCII.
    Host,
    /// The port is not a number from 1 to 65535.
    Port,
    /// `user:password@` in front of the host.
    UserInfo,
    /// A path after the host; dockerd up to 24 does not start with one, and 25 to 27 build a wrong URL of it.
    Path,
    /// A `?query`.
    Query,
    /// A `#fragment`.
    Fragment,
}

impl MirrorUrl {
    /// The URL as it is written into an engine's file.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How it is spoken to.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, said or by default.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `host` or `host:port` as a `Host` header and `certs.d` have it.
    pub fn authority(&self) -> &str {
        self.text.split_once("://").map_or(&*self.text, |(_, authority)| authority)
    }

    /// Whether the host is `localhost` or a literal loopback address: what dockerd exempts from TLS.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.address().is_some_and(|address| address.is_loopback())
    }

    /// Whether dockerd asks it without verifying who answers. On the containerd store, which shares one client between
    /// all of a pull's hosts, it then asks the others so as well, and Docker Hub itself.
    pub fn is_unverified(&self) -> bool {
        self.is_loopback() || self.scheme == Scheme::Http
    }

    /// The address, where the host is one and not a name.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl FromStr for MirrorUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if text.trim().is_empty() {
            return Err(UrlError::Empty);
        }
        if text.contains(['<', '>', '{', '}', '$']) {
            return Err(UrlError::Placeholder);
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(UrlError::Blank);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::NoScheme)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(UrlError::OtherScheme),
        };
        if rest.contains('?') {
            return Err(UrlError::Query);
        }
        if rest.contains('#') {
            return Err(UrlError::Fragment);
        }
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains('/') {
            return Err(UrlError::Path);
        }
        if authority.contains('@') {
            return Err(UrlError::UserInfo);
        }
        let (host, port) = split_port(authority)?;
        let host = canonical_host(host)?;
        let port = port.unwrap_or(scheme.default_port());
        let shown = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let text = if port == scheme.default_port() {
            format!("{}://{shown}", scheme.as_str())
        } else {
            format!("{}://{shown}:{port}", scheme.as_str())
        };
        Ok(Self { text, scheme, host, port })
    }
}

/// Splits `host:port` and `[v6]:port`; the host is still as it was written.
fn split_port(authority: &str) -> Result<(&str, Option<u16>), UrlError> {
    let (host, port) = match authority.rfind(']') {
        Some(end) => (&authority[..=end], authority[end + 1..].strip_prefix(':')),
        None => match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let Some(port) = port else {
        return if host.len() == authority.len() { Ok((host, None)) } else { Err(UrlError::Host) };
    };
    // `parse` would take "+80" too.
    if !port.bytes().all(|b| b.is_ascii_digit()) {
        return Err(UrlError::Port);
    }
    match port.parse() {
        Ok(0) | Err(_) => Err(UrlError::Port),
        Ok(number) => Ok((host, Some(number))),
    }
}

fn canonical_host(host: &str) -> Result<String, UrlError> {
    if host.is_empty() {
        return Err(UrlError::NoHost);
    }
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return match inner.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) => Ok(address.to_string()),
            Ok(IpAddr::V4(_)) | Err(_) => Err(UrlError::Host),
        };
    }
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    // 63 and 253 are the limits of a DNS label and of a name (RFC 1035).
    let label_ok = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.len() > 253 || !host.split('.').all(label_ok) {
        return Err(UrlError::Host);
    }
    // "1.2.3" or "300.1.1.1" looks like an address and is none; resolvers disagree on what it means.
    let numeric = host.split('.').all(|label| label.bytes().all(|b| b.is_ascii_digit()));
    if numeric && host.parse::<IpAddr>().is_err() {
        return Err(UrlError::Host);
    }
    Ok(host)
}

impl fmt::Display for MirrorUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for MirrorUrl {
    type Error = UrlError;

    fn try_from(text: String) -> Result<Self, UrlError> {
        text.parse()
    }
}

impl From<MirrorUrl> for String {
    fn from(url: MirrorUrl) -> Self {
        url.text
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the URL is empty",
            Self::Blank => "the URL has a blank or a control character in it",
            Self::Placeholder => "the URL still has a placeholder in it",
            Self::NoScheme => "the URL has no http:// or https:// in front",
            Self::OtherScheme => "the URL's scheme is neither http nor https",
            Self::NoHost => "the URL has no host",
            Self::Host => "the URL's host is not a name or an address",
            Self::Port => "the URL's port is not a number from 1 to 65535",
            Self::UserInfo => "the URL has a user or password in it",
            Self::Path => "the URL has a path",
            Self::Query => "the URL has a query",
            Self::Fragment => "the URL has a fragment",
        })
    }
}

impl std::error::Error for UrlError {}

/// One candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// What people call it; unique in the configuration.
    pub name: String,
    /// Where it is; unique in the configuration, together with the upstream.
    pub url: MirrorUrl,
    /// Which registry it mirrors.
    pub upstream: String,
    /// Its group; a mirror without one always takes part.
    pub group: Option<String>,
    /// Whether it takes part; a disabled mirror is shown and never asked.
    pub enabled: bool,
    /// What its author wants said about it.
    pub note: Option<String>,
}

impl Mirror {
    /// A mirror of Docker Hub that takes part and of which nothing more is said.
    pub fn of_docker_hub(name: impl Into<String>, url: MirrorUrl) -> Self {
        let upstream = DOCKER_HUB.to_owned();
        Self { name: name.into(), url, upstream, group: None, enabled: true, note: None }
    }

    /// Whether it takes part: switched on, and a mirror of Docker Hub, the only registry that dockerd's
    /// `registry-mirrors` are for.
    pub fn takes_part(&self) -> bool {
        self.enabled && self.upstream == DOCKER_HUB
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mirror_has_one_spelling() {
        for (said, canonical) in [
            ("https://docker.m.daocloud.io", "https://docker.m.daocloud.io"),
            ("HTTPS://Docker.M.DaoCloud.io/", "https://docker.m.daocloud.io"),
            ("https://h:443", "https://h"),
            ("http://h:80/", "http://h"),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
            ("http://[::1]:5000", "http://[::1]:5000"),
            ("https://[0:0::1]", "https://[::1]"),
            ("https://name.", "https://name"),
        ] {
            assert_eq!(said.parse::<MirrorUrl>().unwrap().as_str(), canonical);
        }
    }

    #[test]
    fn what_dockerd_refuses_or_silently_ignores_is_refused_with_its_reason() {
        for (said, error) in [
            ("", UrlError::Empty),
            ("  ", UrlError::Empty),
            ("https://a.example ", UrlError::Blank),
            ("https://a .example", UrlError::Blank),
            ("https://<your_code>.mirror.aliyuncs.com", UrlError::Placeholder),
            ("docker.m.daocloud.io", UrlError::NoScheme),
            ("host:5000", UrlError::NoScheme),
            ("ftp://a.example", UrlError::OtherScheme),
            ("https://", UrlError::NoHost),
            ("https://:5000", UrlError::NoHost),
            ("https://例子.example", UrlError::Host),
            ("https://a..example", UrlError::Host),
            ("https://-a.example", UrlError::Host),
            ("https://1.2.3", UrlError::Host),
            ("https://[::1]x", UrlError::Host),
            ("https://[1.2.3.4]", UrlError::Host),
            ("https://a:", UrlError::Port),
            ("https://a:0", UrlError::Port),
            ("https://a:+80", UrlError::Port),
            ("https://a:65536", UrlError::Port),
            ("https://u:p@a.example", UrlError::UserInfo),
            ("https://a.example/prefix", UrlError::Path),
            ("https://a.example//", UrlError::Path),
            ("https://a.example?x", UrlError::Query),
            ("https://a.example#x", UrlError::Fragment),
        ] {
            assert_eq!(said.parse::<MirrorUrl>(), Err(error), "{said:?}");
        }
    }

    #[test]
    fn loopback_is_what_dockerd_exempts_from_tls() {
        for (url, loopback) in [
            ("http://127.0.0.1:5000", true),
            ("https://127.9.9.9", true),
            ("http://[::1]", true),
            ("http://localhost:5000", true),
            ("https://10.0.0.1", false),
            ("https://a.example", false),
        ] {
            assert_eq!(url.parse::<MirrorUrl>().unwrap().is_loopback(), loopback, "{url}");
        }
    }
}
