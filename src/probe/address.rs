//! Which addresses may be connected to, decided after the name was resolved.
//!
//! A guard on the text of a URL is passed by a name that leads to a forbidden address, so the connector
//! takes [`Checked`] addresses and nothing else, and only this module makes them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::wrong::{Try, Wrong};
use crate::reason::FailureKind;

/// What kind of place an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// The Internet, and 198.18.0.0/15, where a proxy such as Clash puts its made-up addresses.
    Public,
    /// A site's own network (RFC 1918, RFC 4193, RFC 6598).
    Private,
    /// This host.
    Loopback,
    /// Where clouds keep the secrets of a host, and all other link-local addresses.
    Metadata,
    /// Unspecified, multicast, reserved, for documentation: nothing can be served from there.
    Bogus,
}

/// How near the candidate itself is: its redirects may lead no nearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// On the Internet, or behind a proxy, where we cannot know.
    Public,
    /// On the site's own network.
    Private,
    /// On this host.
    Loopback,
}

/// Whose addresses are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// The candidate's own: the administrator wrote its name.
    Candidate,
    /// Those of a host that the candidate named: a token realm or the target of a redirect.
    Hop(Reach),
}

/// Addresses that may be connected to.
#[derive(Clone, Debug)]
pub(super) struct Checked(Vec<SocketAddr>);

impl Checked {
    /// The addresses, in the order in which the resolver gave them.
    pub(super) fn addresses(&self) -> &[SocketAddr] {
        &self.0
    }

    /// How near the host with these addresses is.
    pub(super) fn reach(&self) -> Reach {
        let is = |class| self.0.iter().any(|address| classify(address.ip()) == class);
        if is(Class::Loopback) {
            Reach::Loopback
        } else if is(Class::Private) {
            Reach::Private
        } else {
            Reach::Public
        }
    }
}

/// The addresses of the user's own proxy: whatever they wrote is right.
pub(super) fn of_proxy(addresses: &[IpAddr], port: u16) -> Checked {
    Checked(addresses.iter().map(|ip| SocketAddr::new(*ip, port)).collect())
}

/// Checks what `host` resolved to.
///
/// # Errors
///
/// `suspicious_address` for the candidate: a name that leads to this host (dockerd would stop verifying
/// TLS for it) or nowhere. `redirect_refused` for a hop that leads nearer than the candidate is.
pub(super) fn check(host: &str, port: u16, found: &[IpAddr], rule: Rule) -> Try<Checked> {
    let literal = host == "localhost" || host.parse::<IpAddr>().is_ok();
    let allowed = |ip: &&IpAddr| match (classify(**ip), rule) {
        (Class::Metadata | Class::Bogus, _) => false,
        (Class::Public, _) => true,
        (Class::Private, Rule::Candidate) => true,
        (Class::Loopback, Rule::Candidate) => literal,
        (Class::Private, Rule::Hop(reach)) => reach != Reach::Public,
        (Class::Loopback, Rule::Hop(reach)) => reach == Reach::Loopback,
    };
    let forbidden = found.iter().find(|ip| !allowed(ip));
    let good: Vec<SocketAddr> = found.iter().filter(allowed).map(|ip| SocketAddr::new(*ip, port)).collect();
    // Some resolvers answer `::` for "no such address of this family", beside a good one of the other.
    let tolerable =
        |ip: &IpAddr| rule == Rule::Candidate && classify(*ip) == Class::Bogus && !good.is_empty();
    match forbidden {
        Some(ip) if !found.iter().all(|ip| allowed(&ip) || tolerable(ip)) => {
            let kind = match rule {
                Rule::Candidate => FailureKind::SuspiciousAddress,
                Rule::Hop(_) => FailureKind::RedirectRefused,
            };
            Err(Wrong::new(kind, format!("{host} leads to {ip} ({})", classify(*ip).as_str())))
        }
        Some(_) | None => Ok(Checked(good)),
    }
}

impl Class {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "a private network",
            Self::Loopback => "this host",
            Self::Metadata => "a metadata or link-local address",
            Self::Bogus => "an address nothing is served from",
        }
    }
}

/// The kind of `ip`; an IPv4 address inside an IPv6 one counts as itself.
pub(super) fn classify(ip: IpAddr) -> Class {
    match ip {
        IpAddr::V4(v4) => classify_v4(v4),
        IpAddr::V6(v6) => match embedded(v6) {
            Some(v4) => classify_v4(v4),
            None => classify_v6(v6),
        },
    }
}

fn classify_v4(ip: Ipv4Addr) -> Class {
    let [a, b, c, d] = ip.octets();
    match (a, b, c, d) {
        // Alibaba Cloud, Azure's wire server, Oracle Cloud; 169.254/16 holds all others.
        (100, 100, 100, 200) | (168, 63, 129, 16) | (192, 0, 0, 192) | (169, 254, ..) => Class::Metadata,
        (127, ..) => Class::Loopback,
        (10, ..) | (192, 168, ..) | (172, 16..=31, ..) | (100, 64..=127, ..) => Class::Private,
        (0 | 224..=255, ..) | (192, 0, 0 | 2, _) | (198, 51, 100, _) | (203, 0, 113, _) => Class::Bogus,
        _ => Class::Public,
    }
}

fn classify_v6(ip: Ipv6Addr) -> Class {
    // Amazon's metadata service stands in the range of private addresses.
    const AMAZON: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    let [first, second, ..] = ip.segments();
    if ip.is_loopback() {
        Class::Loopback
    } else if ip == AMAZON || first & 0xffc0 == 0xfe80 {
        Class::Metadata
    } else if ip.is_unspecified() || ip.is_multicast() || (first, second) == (0x2001, 0xdb8) || first == 0x100
    {
        Class::Bogus
    } else if first & 0xfe00 == 0xfc00 {
        Class::Private
    } else {
        Class::Public
    }
}

/// The IPv4 address inside a mapped (RFC 4291), NAT64 (RFC 6052) or 6to4 (RFC 3056) address.
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [first, second, third, .., seventh, eighth] = ip.segments();
    let join = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match ip.segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(join(seventh, eighth)),
        _ if first == 0x2002 => Some(join(second, third)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(host: &str, found: &[&str], rule: Rule) -> Result<Vec<IpAddr>, FailureKind> {
        let found: Vec<IpAddr> = found.iter().map(|ip| ip.parse().unwrap()).collect();
        match check(host, 443, &found, rule) {
            Ok(checked) => Ok(checked.addresses().iter().map(SocketAddr::ip).collect()),
            Err(wrong) => Err(wrong.kind),
        }
    }

    #[test]
    fn every_address_has_its_kind() {
        for (ip, class) in [
            ("1.1.1.1", Class::Public),
            ("198.18.0.9", Class::Public),
            ("10.1.2.3", Class::Private),
            ("100.64.0.1", Class::Private),
            ("fd12::1", Class::Private),
            ("127.0.0.53", Class::Loopback),
            ("::1", Class::Loopback),
            ("::ffff:127.0.0.1", Class::Loopback),
            ("64:ff9b::7f00:1", Class::Loopback),
            ("2002:a00:1::", Class::Private),
            ("169.254.169.254", Class::Metadata),
            ("169.254.170.2", Class::Metadata),
            ("100.100.100.200", Class::Metadata),
            ("::ffff:169.254.169.254", Class::Metadata),
            ("fd00:ec2::254", Class::Metadata),
            ("fe80::1", Class::Metadata),
            ("0.0.0.0", Class::Bogus),
            ("::", Class::Bogus),
            ("255.255.255.255", Class::Bogus),
            ("224.0.0.1", Class::Bogus),
            ("2001:db8::1", Class::Bogus),
            ("2606:4700::1111", Class::Public),
        ] {
            assert_eq!(classify(ip.parse().unwrap()), class, "{ip}");
        }
    }

    #[test]
    fn a_candidate_may_be_private_and_only_literally_this_host() {
        let suspicious = Err(FailureKind::SuspiciousAddress);
        for (host, found, want) in [
            ("registry.lan", &["10.0.0.5"][..], Ok(1)),
            ("10.0.0.5", &["10.0.0.5"], Ok(1)),
            ("127.0.0.1", &["127.0.0.1"], Ok(1)),
            ("localhost", &["::1", "127.0.0.1"], Ok(2)),
            ("mirror.example", &["127.0.0.1"], suspicious),
            ("mirror.example", &["1.1.1.1", "127.0.0.1"], suspicious),
            ("mirror.example", &["0.0.0.0"], suspicious),
            ("mirror.example", &["::", "1.1.1.1"], Ok(1)),
            ("mirror.example", &["169.254.169.254"], suspicious),
            ("169.254.169.254", &["169.254.169.254"], suspicious),
            ("100.100.100.200", &["100.100.100.200"], suspicious),
        ] {
            let got = verdict(host, found, Rule::Candidate).map(|kept| kept.len());
            assert_eq!(got, want, "{host} {found:?}");
        }
    }

    #[test]
    fn a_hop_leads_no_nearer_than_the_candidate_is() {
        let refused = Err(FailureKind::RedirectRefused);
        for (found, reach, want) in [
            (&["1.1.1.1"][..], Reach::Public, Ok(1)),
            (&["10.0.0.5"], Reach::Public, refused),
            (&["127.0.0.1"], Reach::Public, refused),
            (&["1.1.1.1", "10.0.0.5"], Reach::Public, refused),
            (&["10.0.0.5"], Reach::Private, Ok(1)),
            (&["127.0.0.1"], Reach::Private, refused),
            (&["127.0.0.1"], Reach::Loopback, Ok(1)),
            (&["10.0.0.5"], Reach::Loopback, Ok(1)),
            (&["169.254.169.254"], Reach::Loopback, refused),
            (&["::"], Reach::Loopback, refused),
        ] {
            let got = verdict("cdn.example", found, Rule::Hop(reach)).map(|kept| kept.len());
            assert_eq!(got, want, "{found:?} {reach:?}");
        }
    }
}
