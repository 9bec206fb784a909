//! The engine's way out: straight, or through the proxy that it uses.

use std::net::IpAddr;

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;

use super::wrong::Wrong;
use super::{Proxies, SetupError};
use crate::mirror::{MirrorUrl, Scheme};
use crate::secret::without_login;

/// How a host is reached.
#[derive(Clone, Copy, Debug)]
pub(super) enum Route<'a> {
    /// Over a connection of our own.
    Straight,
    /// Through this proxy.
    Through(&'a Proxy),
}

/// What a proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    /// HTTP in the clear: CONNECT for https hosts, absolute URLs for http ones.
    Http,
    /// The same over TLS.
    Https,
    /// SOCKS 5; the proxy resolves the names.
    Socks5,
}

/// A proxy, and how one identifies oneself to it. The proxy is the user's own, as is the login.
#[derive(Clone)]
pub(super) struct Proxy {
    pub(super) speaks: Speaks,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) uri: Uri,
    pub(super) basic: Option<HeaderValue>,
    pub(super) login: Option<(String, String)>,
}

impl std::fmt::Debug for Proxy {
    // Without the login, which must not end in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {}:{}", self.speaks, self.host, self.port)
    }
}

/// Which host goes through which proxy, by the rules of Go's `httpproxy`, which dockerd follows.
#[derive(Debug, Default)]
pub(super) struct Routes {
    http: Option<Proxy>,
    https: Option<Proxy>,
    exempt: Vec<Exempt>,
}

/// One entry of NO_PROXY.
#[derive(Debug, PartialEq, Eq)]
enum Exempt {
    Everything,
    Network { network: IpAddr, bits: u8 },
    Address { ip: IpAddr, port: Option<u16> },
    Domain { suffix: String, itself: bool, port: Option<u16> },
}

impl Routes {
    /// # Errors
    ///
    /// A proxy that is not an http, https or socks5 URL.
    pub(super) fn new(proxies: &Proxies) -> Result<Self, SetupError> {
        let read = |text: &Option<String>| match text.as_deref().map(str::trim) {
            None | Some("") => Ok(None),
            Some(text) => Proxy::parse(text).map(Some),
        };
        let exempt = proxies.no_proxy.as_deref().unwrap_or_default();
        Ok(Self {
            http: read(&proxies.http)?,
            https: read(&proxies.https)?,
            exempt: exempt.split(',').filter_map(Exempt::parse).collect(),
        })
    }

    /// The way to `origin`.
    pub(super) fn to(&self, origin: &MirrorUrl) -> Route<'_> {
        let proxy = match origin.scheme() {
            Scheme::Http => &self.http,
            Scheme::Https => &self.https,
        };
        match proxy {
            Some(proxy) if !origin.is_loopback() && !self.exempt.iter().any(|e| e.covers(origin)) => {
                Route::Through(proxy)
            }
            Some(_) | None => Route::Straight,
        }
    }
}

impl Proxy {
    fn parse(text: &str) -> Result<Self, SetupError> {
        let bad = || SetupError::Proxy { url: without_login(text) };
        // hyper-util splits off the login and decodes it; asked for any host, it gives the proxy back.
        let any = Uri::from_static("http://any.example/");
        let found = Matcher::builder().http(text).build().intercept(&any).ok_or_else(bad)?;
        let uri = found.uri().clone();
        let (speaks, usual) = match uri.scheme_str() {
            Some("http") => (Speaks::Http, 80),
            Some("https") => (Speaks::Https, 443),
            Some("socks5" | "socks5h") => (Speaks::Socks5, 1080),
            Some(_) | None => return Err(bad()),
        };
        let host = uri.host().ok_or_else(bad)?.trim_matches(['[', ']']).to_owned();
        Ok(Self {
            speaks,
            host,
            port: uri.port_u16().unwrap_or(usual),
            basic: found.basic_auth().cloned(),
            login: found.raw_auth().map(|(user, password)| (user.to_owned(), password.to_owned())),
            uri,
        })
    }

    /// `wrong`, said to be this proxy's.
    pub(super) fn blame(&self, wrong: Wrong) -> Wrong {
        wrong.at(&format!("proxy {}:{}", self.host, self.port))
    }
}

impl Exempt {
    fn parse(entry: &str) -> Option<Self> {
        let entry = entry.trim().to_ascii_lowercase();
        if entry == "*" {
            return Some(Self::Everything);
        }
        if let Some((network, bits)) = entry.split_once('/') {
            return Some(Self::Network { network: network.parse().ok()?, bits: bits.parse().ok()? });
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, Some(port.parse().ok()?))
            }
            Some(_) | None => (entry.as_str(), None),
        };
        let host = host.trim_matches(['[', ']']);
        if let Ok(ip) = host.parse() {
            return Some(Self::Address { ip, port });
        }
        let host = if host.starts_with("*.") { &host[1..] } else { host };
        match host.strip_prefix('.') {
            Some("") => None,
            Some(_) => Some(Self::Domain { suffix: host.to_owned(), itself: false, port }),
            None if host.is_empty() => None,
            None => Some(Self::Domain { suffix: format!(".{host}"), itself: true, port }),
        }
    }

    fn covers(&self, origin: &MirrorUrl) -> bool {
        let at = |port: &Option<u16>| port.is_none_or(|port| port == origin.port());
        match self {
            Self::Everything => true,
            Self::Network { network, bits } => {
                origin.address().is_some_and(|ip| is_within(ip, *network, *bits))
            }
            Self::Address { ip, port } => origin.address() == Some(*ip) && at(port),
            Self::Domain { suffix, itself, port } => {
                let host = origin.host();
                (host.ends_with(suffix.as_str()) || (*itself && host == &suffix[1..])) && at(port)
            }
        }
    }
}

fn is_within(ip: IpAddr, network: IpAddr, bits: u8) -> bool {
    let number = |ip: IpAddr| match ip {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    };
    let ((ip, width), (network, network_width)) = (number(ip), number(network));
    let differ = ip ^ network;
    width == network_width && bits <= width && (bits == 0 || differ >> (128 - u32::from(bits)) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goes_through(url: &str, no_proxy: &str) -> bool {
        let proxy = Some("http://proxy.example:3128".to_owned());
        let proxies = Proxies { http: proxy.clone(), https: proxy, no_proxy: Some(no_proxy.to_owned()) };
        matches!(Routes::new(&proxies).unwrap().to(&url.parse().unwrap()), Route::Through(_))
    }

    #[test]
    fn no_proxy_is_read_as_go_reads_it() {
        for (url, no_proxy, through) in [
            ("https://m.example", "", true),
            ("https://m.example", "m.example", false),
            ("https://a.m.example", "m.example", false),
            ("https://xm.example", "m.example", true),
            ("https://m.example", ".m.example", true),
            ("https://a.m.example", ".m.example", false),
            ("https://a.m.example", "*.m.example", false),
            ("https://m.example", "*.m.example", true),
            ("https://m.example", "other.example, M.Example:443", false),
            ("https://m.example:8443", "m.example:443", true),
            ("https://m.example", "*", false),
            ("http://10.1.2.3", "10.0.0.0/8", false),
            ("http://11.1.2.3", "10.0.0.0/8", true),
            ("http://10.1.2.3", "10.1.2.3", false),
            ("http://[fd00::1]", "fd00::/8", false),
            ("http://[fd00::1]", "[fd00::1]:80", false),
            ("http://127.0.0.1:5000", "", false),
            ("http://localhost:5000", "", false),
            ("http://[::1]:5000", "", false),
        ] {
            assert_eq!(goes_through(url, no_proxy), through, "{url} with NO_PROXY={no_proxy}");
        }
    }

    #[test]
    fn https_mirrors_take_the_https_proxy_and_http_mirrors_the_http_one() {
        let http = Some("http://one.example".to_owned());
        let https = Some("socks5://user:pa%20ss@two.example".to_owned());
        let routes = Routes::new(&Proxies { http, https, no_proxy: None }).unwrap();
        let Route::Through(proxy) = routes.to(&"http://m.example".parse().unwrap()) else { panic!() };
        assert_eq!((proxy.speaks, &*proxy.host, proxy.port), (Speaks::Http, "one.example", 80));
        let Route::Through(proxy) = routes.to(&"https://m.example".parse().unwrap()) else { panic!() };
        assert_eq!((proxy.speaks, &*proxy.host, proxy.port), (Speaks::Socks5, "two.example", 1080));
        assert_eq!(proxy.login, Some(("user".to_owned(), "pa ss".to_owned())));
        assert!(!format!("{proxy:?}").contains("user"));
    }

    #[test]
    fn a_proxy_that_is_none_is_said_so_without_its_password() {
        let http = Some("gopher://user:secret@proxy.example".to_owned());
        let error = Routes::new(&Proxies { http, ..Proxies::default() }).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
