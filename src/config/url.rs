//! What to say to somebody who wrote something that is not a mirror's URL, and what they probably meant.

use super::safe::quoted;
use crate::mirror::{MirrorUrl, UrlError};
use crate::text::{Lang, config as say};

/// A URL to propose instead of `said`, if one is likely.
fn meant(error: UrlError, said: &str) -> Option<String> {
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

/// Why `said` is not a mirror's URL.
pub(super) fn what(error: UrlError, lang: Lang, said: &str) -> String {
    match error {
        UrlError::Empty => say::url_empty(lang),
        UrlError::Blank => say::url_blank(lang),
        UrlError::Placeholder => say::url_placeholder(lang, placeholder(said)),
        UrlError::NoScheme => say::url_no_scheme(lang),
        UrlError::OtherScheme => say::url_other_scheme(lang),
        UrlError::NoHost => say::url_no_host(lang),
        UrlError::Host => say::url_host(lang),
        UrlError::Port => say::url_port(lang),
        UrlError::UserInfo => say::url_user_info(lang),
        UrlError::Path => say::url_path(lang),
        UrlError::Query => say::url_query(lang),
        UrlError::Fragment => say::url_fragment(lang),
    }
}

/// What to write instead of `said`.
pub(super) fn hint(error: UrlError, lang: Lang, said: &str) -> Option<String> {
    match error {
        UrlError::Empty | UrlError::NoHost => Some(say::url_form_hint(lang)),
        UrlError::Placeholder if said.contains("aliyuncs.com") => Some(say::placeholder_aliyun(lang)),
        UrlError::Placeholder if said.contains("myhuaweicloud.com") => Some(say::placeholder_huawei(lang)),
        UrlError::Placeholder => Some(say::placeholder_hint(lang, placeholder(said))),
        UrlError::UserInfo => Some(say::url_user_info_hint(lang)),
        UrlError::Path => Some(match meant(error, said) {
            Some(meant) => say::did_you_mean(lang, &quoted(&meant)),
            None => say::url_path_hint(lang),
        }),
        UrlError::Host if !said.is_ascii() => Some(say::url_ascii_hint(lang)),
        UrlError::Blank
        | UrlError::NoScheme
        | UrlError::OtherScheme
        | UrlError::Host
        | UrlError::Port
        | UrlError::Query
        | UrlError::Fragment => Some(match meant(error, said) {
            Some(meant) => say::did_you_mean(lang, &quoted(&meant)),
            None => say::url_form_hint(lang),
        }),
    }
}

/// The placeholder itself: `<your_code>`, `{code}`, `$CODE`.
fn placeholder(said: &str) -> &str {
    let Some(start) = said.find(['<', '{', '$', '>', '}']) else { return said };
    let tail = &said[start..];
    let end = tail.find(['>', '}']).map(|at| at + 1).or_else(|| tail.find(['.', '/', ':']));
    &tail[..end.unwrap_or(tail.len())]
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

    #[test]
    fn a_placeholder_is_named_alone() {
        for (said, named) in [
            ("https://<your_code>.mirror.aliyuncs.com", "<your_code>"),
            ("https://{id}.example", "{id}"),
            ("https://$CODE.example", "$CODE"),
            ("https://a>b", ">"),
        ] {
            assert_eq!(placeholder(said), named);
        }
    }
}
