//! What somebody probably meant who wrote something that is not a mirror's URL.

use crate::mirror::{MirrorUrl, UrlError};

/// A URL to propose instead of `said`, if one is likely.
pub(super) fn meant(error: UrlError, said: &str) -> Option<String> {
    let proposal = match error {
        UrlError::Blank => said.split_whitespace().collect::<String>(),
        UrlError::NoScheme => {
            let rest = ["https:/", "http:/", "https:", "http:", "//"]
                .iter()
                .find_map(|slip| said.strip_prefix(slip));
            with_scheme(rest.unwrap_or(said).trim_start_matches('/'))
        }
        UrlError::OtherScheme => {
            let (scheme, rest) = said.split_once("://")?;
            let scheme = super::nearest::nearest(scheme, ["https", "http"])?;
            format!("{scheme}://{rest}")
        }
        // The one path that people add and that means nothing: it is where every registry answers.
        UrlError::Path => {
            let trimmed = said.trim_end_matches('/');
            trimmed.strip_suffix("/v2").or_else(|| trimmed.strip_suffix("/v1")).unwrap_or(trimmed).to_owned()
        }
        UrlError::Query => said.split('?').next()?.to_owned(),
        UrlError::Fragment => said.split('#').next()?.to_owned(),
        UrlError::Port => said.trim_end_matches(':').to_owned(),
        UrlError::Empty | UrlError::Placeholder | UrlError::NoHost | UrlError::Host | UrlError::UserInfo => {
            return None;
        }
    };
    proposal.parse::<MirrorUrl>().ok().map(String::from)
}

/// A registry on this machine or on a bare address seldom has a certificate; a public name has one.
fn with_scheme(authority: &str) -> String {
    let plain = format!("http://{authority}");
    match plain.parse::<MirrorUrl>() {
        Ok(url) if url.is_loopback() || url.address().is_some() => plain,
        Ok(_) | Err(_) => format!("https://{authority}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_slips_have_a_proposal_and_the_rest_has_none() {
        for (said, proposal) in [
            ("docker.m.daocloud.io", Some("https://docker.m.daocloud.io")),
            ("docker.m.daocloud.io/", Some("https://docker.m.daocloud.io")),
            ("https:/a.example", Some("https://a.example")),
            ("https:a.example", Some("https://a.example")),
            ("//a.example", Some("https://a.example")),
            ("127.0.0.1:5000", Some("http://127.0.0.1:5000")),
            ("192.168.1.2:5000", Some("http://192.168.1.2:5000")),
            ("localhost:5000", Some("http://localhost:5000")),
            ("htps://a.example", Some("https://a.example")),
            ("ftp://a.example", None),
            (" https://a.example ", Some("https://a.example")),
            ("https://a.example/v2/", Some("https://a.example")),
            ("https://a.example//", Some("https://a.example")),
            ("https://a.example/hub", None),
            ("https://a.example?ns=docker.io", Some("https://a.example")),
            ("https://a.example:", Some("https://a.example")),
            ("https://a.example:99999", None),
        ] {
            let error = said.parse::<MirrorUrl>().unwrap_err();
            assert_eq!(meant(error, said).as_deref(), proposal, "{said:?}");
        }
    }
}
