//! One value as it was said → one value that is true: the closed list of what can stand after an equals sign.

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;

use super::name::NameError;
use super::problem::{Expected, Found, Problem};
use super::{Enabled, ProxyChoice, Reload};
use crate::image::Image;
use crate::mirror::{DOCKER_HUB, MirrorUrl};
use crate::timestamp;

/// A value, or what is wrong with it.
pub(super) type Read<T> = Result<T, Problem>;

impl Found {
    /// What `value` is, for a message.
    pub(super) fn of(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.to_string()),
            DeValue::Integer(number) => Self::Number(number.to_string()),
            DeValue::Float(number) => Self::Number(number.to_string()),
            DeValue::Boolean(flag) => Self::Flag(*flag),
            DeValue::Datetime(date) => Self::Date(date.to_string()),
            DeValue::Array(_) => Self::List,
            DeValue::Table(_) => Self::Table,
        }
    }
}

fn unexpected(expected: Expected, value: &DeValue<'_>, meant: Option<String>) -> Problem {
    Problem::Unexpected { expected, found: Found::of(value), meant }
}

fn string<'a>(value: &'a DeValue<'_>, expected: Expected) -> Read<&'a str> {
    value.as_str().ok_or_else(|| {
        // A number or a flag where text is wanted only lacks its quotes.
        let meant = match Found::of(value) {
            Found::Number(text) | Found::Date(text) if expected == Expected::Text => {
                Some(format!("\"{text}\""))
            }
            Found::Flag(flag) if expected == Expected::Text => Some(format!("\"{flag}\"")),
            Found::Text(_)
            | Found::Number(_)
            | Found::Flag(_)
            | Found::Date(_)
            | Found::List
            | Found::Table => None,
        };
        unexpected(expected, value, meant)
    })
}

/// Any text.
pub(super) fn text(value: &DeValue<'_>) -> Read<String> {
    string(value, Expected::Text).map(str::to_owned)
}

/// `true` or `false`.
pub(super) fn flag(value: &DeValue<'_>) -> Read<bool> {
    value.as_bool().ok_or_else(|| unexpected(Expected::Flag, value, quoted_flag(value)))
}

/// `"true"` was meant to be `true`.
fn quoted_flag(value: &DeValue<'_>) -> Option<String> {
    let said = value.as_str()?.to_ascii_lowercase();
    match said.as_str() {
        "true" | "yes" | "on" => Some("true".to_owned()),
        "false" | "no" | "off" => Some("false".to_owned()),
        _ => None,
    }
}

/// A whole number within bounds.
pub(super) fn whole(least: u32, most: u32) -> impl Fn(&DeValue<'_>) -> Read<u32> {
    move |value| {
        let number = value.as_integer().and_then(|it| u32::from_str_radix(it.as_str(), it.radix()).ok());
        number.filter(|number| (least..=most).contains(number)).ok_or_else(|| {
            let unquoted = value.as_str().and_then(|text| text.trim().parse::<u32>().ok());
            let meant = unquoted.filter(|it| (least..=most).contains(it)).map(|it| it.to_string());
            unexpected(Expected::Whole { least, most }, value, meant)
        })
    }
}

/// A number from 0 to 1.
pub(super) fn fraction(value: &DeValue<'_>) -> Read<f64> {
    let number = match value {
        DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
        DeValue::Integer(number) => number.as_str().parse::<f64>().ok().filter(|_| number.radix() == 10),
        DeValue::String(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => None,
    };
    number.filter(|number| (0.0..=1.0).contains(number)).ok_or_else(|| {
        // 20 was meant as a percentage.
        let percent = number.filter(|number| (1.0..=100.0).contains(number));
        unexpected(Expected::Fraction, value, percent.map(|percent| (percent / 100.0).to_string()))
    })
}

/// A duration as humantime has it, longer than nothing and at most `most`.
pub(super) fn duration(most: Duration) -> impl Fn(&DeValue<'_>) -> Read<Duration> {
    move |value| {
        let said = match value.as_str() {
            Some(said) => said,
            None => {
                let seconds = value.as_integer().map(|number| format!("\"{}s\"", number.as_str()));
                return Err(unexpected(Expected::Duration, value, seconds));
            }
        };
        match timestamp::duration(said) {
            Some(duration) if !duration.is_zero() && duration <= most => Ok(duration),
            Some(_) => Err(Problem::Duration { most, found: said.to_owned() }),
            None => Err(unexpected(Expected::Duration, value, meant_duration(said))),
        }
    }
}

/// Units in Chinese, and numbers without one, are understood but not taken.
fn meant_duration(said: &str) -> Option<String> {
    const UNITS: [(&str, &str); 8] = [
        ("毫秒", "ms"),
        ("秒钟", "s"),
        ("秒", "s"),
        ("分钟", "m"),
        ("分", "m"),
        ("小时", "h"),
        ("天", "d"),
        (" ", ""),
    ];
    let mut meant = said.trim().to_owned();
    for (unit, letter) in UNITS {
        meant = meant.replace(unit, letter);
    }
    if meant.bytes().all(|b| b.is_ascii_digit()) {
        meant.push('s');
    }
    timestamp::duration(&meant).map(|_| format!("\"{meant}\""))
}

/// A size in bytes, more than nothing and at most `most`.
pub(super) fn size(most: u64) -> impl Fn(&DeValue<'_>) -> Read<u64> {
    move |value| {
        let Some(said) = value.as_str() else {
            let bytes = value.as_integer().and_then(|it| it.as_str().parse().ok());
            return Err(unexpected(Expected::Size, value, bytes.and_then(shown_size)));
        };
        match parse_size(said) {
            Some(bytes) if bytes > 0 && bytes <= most => Ok(bytes),
            Some(_) => Err(Problem::Size { most, found: said.to_owned() }),
            None => Err(unexpected(Expected::Size, value, meant_size(said))),
        }
    }
}

fn parse_size(said: &str) -> Option<u64> {
    let digits = said.len() - said.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = said.split_at(digits);
    let shift = match unit.trim_start() {
        "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// `64KB`, `64k` and `64KiB/s` all mean `64KiB` to their authors.
fn meant_size(said: &str) -> Option<String> {
    let said = said.trim().trim_end_matches("/s");
    let digits = said.len() - said.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = said.split_at(digits);
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "k" | "kb" | "kib" => "KiB",
        "m" | "mb" | "mib" => "MiB",
        "g" | "gb" | "gib" => "GiB",
        "" => return shown_size(number.parse().ok()?),
        _ => return None,
    };
    let meant = format!("{number}{unit}");
    parse_size(&meant).map(|_| format!("\"{meant}\""))
}

/// A plain number of bytes, in the largest unit that divides it.
fn shown_size(bytes: u64) -> Option<String> {
    let (shift, unit) = [(30, "GiB"), (20, "MiB"), (10, "KiB")]
        .into_iter()
        .find(|(shift, _)| bytes > 0 && bytes.is_multiple_of(1 << shift))
        .unwrap_or((0, "B"));
    (bytes > 0).then(|| format!("\"{}{unit}\"", bytes >> shift))
}

/// The URL of a mirror.
pub(super) fn url(value: &DeValue<'_>) -> Read<MirrorUrl> {
    let said = string(value, Expected::Url)?;
    said.parse().map_err(|error| Problem::Url { error, said: said.to_owned() })
}

/// An image of Docker Hub.
pub(super) fn image(value: &DeValue<'_>) -> Read<Image> {
    let said = string(value, Expected::Text)?;
    said.parse().map_err(|error| Problem::Image { error, said: said.to_owned() })
}

/// The name of a mirror.
pub(super) fn name(value: &DeValue<'_>) -> Read<String> {
    let said = string(value, Expected::Text)?;
    NameError::check(said).map_err(|error| Problem::Name { error })?;
    Ok(said.to_owned())
}

/// The group of a mirror; `""` is none, so that an entry of mirrors.d can take a mirror out of its group.
pub(super) fn group(value: &DeValue<'_>) -> Read<Option<String>> {
    let said = string(value, Expected::Text)?;
    if said.is_empty() { Ok(None) } else { name(value).map(Some) }
}

/// A registry that is mirrored: its host, as image names have it.
pub(super) fn registry(value: &DeValue<'_>) -> Read<String> {
    let said = string(value, Expected::Registry)?;
    let host = said.split_once("://").map_or(said, |(_, host)| host).trim_end_matches('/');
    let Ok(url) = format!("https://{host}").parse::<MirrorUrl>() else {
        return Err(unexpected(Expected::Registry, value, None));
    };
    let canonical = match url.authority() {
        "index.docker.io" | "registry-1.docker.io" | "hub.docker.com" => DOCKER_HUB,
        authority => authority,
    };
    if host == said {
        Ok(canonical.to_owned())
    } else {
        Err(unexpected(Expected::Registry, value, Some(format!("\"{canonical}\""))))
    }
}

/// How the engine's way out is found.
pub(super) fn proxy(value: &DeValue<'_>) -> Read<ProxyChoice> {
    let said = string(value, Expected::Proxy)?;
    match said {
        "engine" => return Ok(ProxyChoice::Engine),
        "none" => return Ok(ProxyChoice::None),
        _ => {}
    }
    let (scheme, rest) = said.split_once("://").unwrap_or(("", said));
    // A password may hold anything but a slash, so the host is what stands behind the last @.
    let authority = rest.strip_suffix('/').unwrap_or(rest).rsplit_once('@').map_or(rest, |(_, host)| host);
    let host_ok =
        format!("http://{authority}").parse::<MirrorUrl>().is_ok() && !rest.contains(char::is_whitespace);
    let meant = match scheme {
        "http" | "https" | "socks5" if host_ok => return Ok(ProxyChoice::Url(said.to_owned())),
        "" if host_ok && authority.contains(':') => Some(format!("\"http://{rest}\"")),
        "socks5h" | "socks" if host_ok => Some(format!("\"socks5://{rest}\"")),
        "" => super::nearest::nearest(said, ["engine", "none"]).map(|word| format!("\"{word}\"")),
        _ => None,
    };
    // The message ends up in a log and in a file that everybody may read; a password does not.
    let secret = rest.rsplit_once('@').map(|(_, host)| format!("{scheme}://...@{host}"));
    let found = Found::Text(secret.unwrap_or_else(|| said.to_owned()));
    Err(Problem::Unexpected { expected: Expected::Proxy, found, meant })
}

/// `true`, `false` or `"auto"`.
pub(super) fn switch(value: &DeValue<'_>) -> Read<Enabled> {
    match (value.as_bool(), value.as_str()) {
        (Some(true), _) => Ok(Enabled::Yes),
        (Some(false), _) => Ok(Enabled::No),
        (None, Some("auto")) => Ok(Enabled::Auto),
        (None, Some(said)) => {
            let auto = super::nearest::nearest(said, ["auto"]).map(|word| format!("\"{word}\""));
            Err(unexpected(Expected::Switch, value, quoted_flag(value).or(auto)))
        }
        (None, None) => Err(unexpected(Expected::Switch, value, None)),
    }
}

/// How an engine is told to read its file again.
pub(super) fn reload(value: &DeValue<'_>) -> Read<Reload> {
    if value.is_array() {
        return match command(value) {
            Ok(words) if !words.is_empty() => Ok(Reload::Command(words)),
            Ok(_) | Err(_) => Err(unexpected(Expected::Reload, value, None)),
        };
    }
    match string(value, Expected::Reload)? {
        "auto" => Ok(Reload::Auto),
        "systemd" => Ok(Reload::Systemd),
        "signal" => Ok(Reload::Signal),
        "none" => Ok(Reload::None),
        said => {
            let words: Vec<String> = said.split_whitespace().map(|word| format!("\"{word}\"")).collect();
            let meant = super::nearest::nearest(said, ["auto", "systemd", "signal", "none"])
                .map(|word| format!("\"{word}\""))
                .or_else(|| (words.len() > 1).then(|| format!("[{}]", words.join(", "))));
            Err(unexpected(Expected::Reload, value, meant))
        }
    }
}

/// A program and its arguments; none at all is `[]`.
pub(super) fn command(value: &DeValue<'_>) -> Read<Vec<String>> {
    let words = value.as_array().and_then(|words| {
        words.iter().map(|word| word.get_ref().as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    });
    match words {
        Some(words) if words.is_empty() || is_command(&words) => Ok(words),
        Some(_) | None => {
            let words = value.as_str().map(|said| said.split_whitespace().map(|word| format!("\"{word}\"")));
            let meant = words.map(|words| format!("[{}]", words.collect::<Vec<_>>().join(", ")));
            Err(unexpected(Expected::Command, value, meant))
        }
    }
}

/// Whether the words name a program.
fn is_command(words: &[String]) -> bool {
    words.first().is_some_and(|program| !program.trim().is_empty())
        && !words.iter().any(|word| word.contains('\0'))
}

/// An absolute path: the service has no working directory of anybody's.
pub(super) fn path(value: &DeValue<'_>) -> Read<PathBuf> {
    let said = string(value, Expected::Path)?;
    if Path::new(said).is_absolute() && !said.contains('\0') {
        Ok(PathBuf::from(said))
    } else {
        let without = said.strip_prefix("unix://").filter(|rest| rest.starts_with('/'));
        Err(unexpected(Expected::Path, value, without.map(|rest| format!("\"{rest}\""))))
    }
}

/// An absolute path, or `""` for none.
pub(super) fn optional_path(value: &DeValue<'_>) -> Read<Option<PathBuf>> {
    if value.as_str() == Some("") { Ok(None) } else { path(value).map(Some) }
}

/// The name of a systemd service; it becomes an argument of systemctl.
pub(super) fn unit(value: &DeValue<'_>) -> Read<String> {
    let said = string(value, Expected::Unit)?;
    let ok = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    if said.ends_with(".service") && said.chars().all(ok) && !said.starts_with('-') {
        return Ok(said.to_owned());
    }
    let plain = !said.is_empty() && !said.contains('.') && said.chars().all(ok);
    Err(unexpected(Expected::Unit, value, plain.then(|| format!("\"{said}.service\""))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: std::fmt::Debug + PartialEq>(
        read: impl Fn(&DeValue<'_>) -> Read<T>,
        table: &[(&str, Result<T, Option<&str>>)],
    ) {
        for (said, expected) in table {
            let value = DeValue::parse(said).unwrap();
            let found = read(value.get_ref()).map_err(|problem| {
                if let Problem::Unexpected { meant, .. } = problem {
                    return meant;
                }
                let name = format!("{problem:?}");
                name.split_whitespace().next().map(str::to_owned)
            });
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(&found, expected, "{said}"),
                (Err(found), Err(expected)) => assert_eq!(found.as_deref(), *expected, "{said}"),
                (found, expected) => panic!("{said}: {found:?} instead of {expected:?}"),
            }
        }
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_duration_has_a_unit_and_bounds_and_a_proposal() {
        check(
            duration(HOUR),
            &[
                ("'30s'", Ok(Duration::from_secs(30))),
                ("'1m 30s'", Ok(Duration::from_secs(90))),
                ("'1.5s'", Ok(Duration::from_millis(1500))),
                ("'60m'", Ok(HOUR)),
                ("'61m'", Err(Some("Duration"))),
                ("'0s'", Err(Some("Duration"))),
                ("'5M'", Err(Some("Duration"))),
                ("30", Err(Some("\"30s\""))),
                ("'30'", Err(Some("\"30s\""))),
                ("'5分钟'", Err(Some("\"5m\""))),
                ("'五分钟'", Err(None)),
                ("'soon'", Err(None)),
                ("'-1s'", Err(None)),
                ("''", Err(None)),
                ("true", Err(None)),
                ("'18446744073709551615s 1000000000ns'", Err(None)),
                ("'584542046090y 19767615s 1000000000ns'", Err(None)),
            ],
        );
    }

    #[test]
    fn a_size_has_a_binary_unit_and_bounds_and_a_proposal() {
        check(
            size(1 << 40),
            &[
                ("'64KiB'", Ok(65536)),
                ("'24 MiB'", Ok(24 << 20)),
                ("'1GiB'", Ok(1 << 30)),
                ("'100B'", Ok(100)),
                ("'0KiB'", Err(Some("Size"))),
                ("'2048GiB'", Err(Some("Size"))),
                ("'64KB'", Err(Some("\"64KiB\""))),
                ("'64k'", Err(Some("\"64KiB\""))),
                ("'64KiB/s'", Err(Some("\"64KiB\""))),
                ("65536", Err(Some("\"64KiB\""))),
                ("'100'", Err(Some("\"100B\""))),
                ("'fast'", Err(None)),
                ("'99999999999999999999KiB'", Err(None)),
                ("'18014398509481984KiB'", Err(None)),
            ],
        );
    }

    #[test]
    fn a_fraction_is_from_0_to_1_and_never_not_a_number() {
        check(
            fraction,
            &[
                ("0.2", Ok(0.2)),
                ("0", Ok(0.0)),
                ("1", Ok(1.0)),
                ("20", Err(Some("0.2"))),
                ("-0.1", Err(None)),
                ("nan", Err(None)),
                ("inf", Err(None)),
                ("'0.2'", Err(None)),
            ],
        );
    }

    #[test]
    fn a_whole_number_stays_within_its_bounds() {
        check(
            whole(1, 50),
            &[
                ("1", Ok(1)),
                ("0x10", Ok(16)),
                ("50", Ok(50)),
                ("0", Err(None)),
                ("51", Err(None)),
                ("-1", Err(None)),
                ("99999999999", Err(None)),
                ("'3'", Err(Some("3"))),
                ("3.0", Err(None)),
            ],
        );
    }

    #[test]
    fn a_proxy_is_a_word_or_a_url_of_three_schemes() {
        let url = |text: &str| Ok(ProxyChoice::Url(text.to_owned()));
        check(
            proxy,
            &[
                ("'engine'", Ok(ProxyChoice::Engine)),
                ("'none'", Ok(ProxyChoice::None)),
                ("'http://127.0.0.1:7890'", url("http://127.0.0.1:7890")),
                ("'http://user:p%40ss@proxy.example:3128/'", url("http://user:p%40ss@proxy.example:3128/")),
                ("'socks5://[::1]:1080'", url("socks5://[::1]:1080")),
                ("'socks5h://a:1080'", Err(Some("\"socks5://a:1080\""))),
                ("'127.0.0.1:7890'", Err(Some("\"http://127.0.0.1:7890\""))),
                ("'engin'", Err(Some("\"engine\""))),
                ("'ftp://a:1'", Err(None)),
                ("'http://'", Err(None)),
                ("'http://a b'", Err(None)),
                ("''", Err(None)),
                ("1", Err(None)),
            ],
        );
    }

    #[test]
    fn a_reload_is_a_word_or_a_command() {
        check(
            reload,
            &[
                ("'auto'", Ok(Reload::Auto)),
                ("['rc-service', 'docker', 'reload']", {
                    Ok(Reload::Command(vec!["rc-service".into(), "docker".into(), "reload".into()]))
                }),
                ("'sytemd'", Err(Some("\"systemd\""))),
                ("'kill -HUP 1'", Err(Some("[\"kill\", \"-HUP\", \"1\"]"))),
                ("[]", Err(None)),
                ("['']", Err(None)),
                ("[1]", Err(None)),
                ("false", Err(None)),
            ],
        );
    }

    #[test]
    fn a_registry_has_one_spelling() {
        check(
            registry,
            &[
                ("'docker.io'", Ok("docker.io".to_owned())),
                ("'index.docker.io'", Ok("docker.io".to_owned())),
                ("'GHCR.io'", Ok("ghcr.io".to_owned())),
                ("'https://docker.io/'", Err(Some("\"docker.io\""))),
                ("'a/b'", Err(None)),
                ("''", Err(None)),
            ],
        );
    }

    #[test]
    fn a_path_is_absolute_and_a_unit_is_a_service() {
        check(
            path,
            &[
                ("'/run/docker.sock'", Ok(PathBuf::from("/run/docker.sock"))),
                ("'unix:///run/docker.sock'", Err(Some("\"/run/docker.sock\""))),
                ("'daemon.json'", Err(None)),
                ("''", Err(None)),
            ],
        );
        check(
            unit,
            &[
                ("'docker.service'", Ok("docker.service".to_owned())),
                ("'docker'", Err(Some("\"docker.service\""))),
                ("'--all.service'", Err(None)),
                ("'a b.service'", Err(None)),
            ],
        );
    }
}
