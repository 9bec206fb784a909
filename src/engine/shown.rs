//! An engine's file as it may be shown: in terminals, in logs of whoever ran the command, in a bug report.

use crate::secret::without_login;

/// What stands for a login.
const MASK: &str = "***@";

/// The JSON text, with [`MASK`] for each login in the URL of a proxy or of anything else.
pub(super) fn without_logins(text: &str) -> String {
    let (mut shown, mut rest, mut key) = (String::with_capacity(text.len()), text, String::new());
    while let Some((before, string, after)) = next_string(rest) {
        shown.push_str(before);
        rest = after;
        match serde_json::from_str::<String>(string) {
            Ok(name) if after.trim_start().starts_with(':') => {
                key = name;
                shown.push_str(string);
            }
            Ok(value) => match masked(&key, &value) {
                Some(masked) => shown.push_str(&serde_json::Value::from(masked).to_string()),
                None => shown.push_str(string),
            },
            Err(_) => shown.push_str(string),
        }
    }
    shown + rest
}

/// What stands before the next JSON string, that string with its quotes, and what follows it.
fn next_string(text: &str) -> Option<(&str, &str, &str)> {
    let start = text.find('"')?;
    let mut escaped = false;
    let end = text[start + 1..].find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    let end = start + 1 + end + 1;
    Some((&text[..start], &text[start..end], &text[end..]))
}

/// A value that has a login in it, without that. Only a proxy is known to be a URL without a scheme.
fn masked(key: &str, value: &str) -> Option<String> {
    let is_url = value.split_once("://").is_some_and(|(_, rest)| {
        let authority = rest.split('/').next().unwrap_or_default();
        authority.contains('@')
    });
    if !is_url && !key.ends_with("proxy") {
        return None;
    }
    let bare = without_login(value);
    let host = bare.find("://").map_or(0, |end| end + 3);
    (bare != value).then(|| format!("{}{MASK}{}", &bare[..host], &bare[host..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_masked_and_all_else_stays_as_it_is_written() {
        for (text, shown) in [
            (r#"{"https-proxy" : "http://user:secret@p:3128"}"#, r#"{"https-proxy" : "http://***@p:3128"}"#),
            (r#"{"http-proxy":"user:se\"c/ret@p:3128", "mtu":1}"#, r#"{"http-proxy":"***@p:3128", "mtu":1}"#),
            (r#"{"a": ["http:\/\/u:\u0073@h\/x"]}"#, r#"{"a": ["http://***@h/x"]}"#),
            (r#"{"labels": ["mail=a@b.example"]}"#, r#"{"labels": ["mail=a@b.example"]}"#),
            (r#"{"a": "http://h/x@y", "b\\": "\u4e2d"}"#, r#"{"a": "http://h/x@y", "b\\": "\u4e2d"}"#),
            (r#"{"no": "end"#, r#"{"no": "end"#),
        ] {
            assert_eq!(without_logins(text), shown, "{text}");
        }
    }
}
