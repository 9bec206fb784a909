//! What must not be shown: the login in the URL of a proxy.

/// A proxy as it may be shown: without user and password, with or without a scheme.
///
/// The last `@` counts, wherever it stands: a password may have slashes and signs in it that no URL should have, and
/// rather too much is left out than a piece of one shown.
pub fn without_login(proxy: &str) -> String {
    let (scheme, rest) = match proxy.find("://") {
        Some(end) => proxy.split_at(end + 3),
        None => ("", proxy),
    };
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_shown_without_its_login_however_it_is_spelt() {
        for (proxy, shown) in [
            ("http://user:secret@p.example:3128", "http://p.example:3128"),
            ("user:secret@p.example:3128", "p.example:3128"),
            ("socks5://secret@[2001:db8::1]:1080/", "socks5://[2001:db8::1]:1080/"),
            ("http://user:se/cr@et@p.example", "http://p.example"),
            ("http://p.example:3128", "http://p.example:3128"),
            ("p.example:3128", "p.example:3128"),
            ("", ""),
        ] {
            assert_eq!(without_login(proxy), shown, "{proxy}");
        }
    }
}
