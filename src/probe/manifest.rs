//! Manifests, as far as a probe reads them: which child is ours, which config, which layers.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::voice::{MANIFEST_TYPES, Platform};
use super::wrong::{Try, Wrong};
use crate::image::{Descriptor, Digest};
use crate::reason::FailureKind;
use crate::timestamp::Timestamp;

/// What a manifest may have. The longest of Docker Hub's official images have some 20 KiB, an image of 127 layers
/// with annotations 90 KiB; it is held in memory while it is read.
pub(super) const BYTES: usize = 192 * 1024;

/// How many children or layers are looked at; Docker stacks at most 127 layers.
const MOST: usize = 256;

/// What a manifest turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Manifest {
    /// Of several platforms; this is ours.
    Index(Descriptor),
    /// Of one image.
    Image { config: Descriptor, layers: Vec<Descriptor> },
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "schemaVersion")]
    schema_version: Option<u32>,
    #[serde(default, deserialize_with = "first_of::<_, _, MOST>")]
    manifests: Vec<Child>,
    config: Option<Descriptor>,
    #[serde(default, deserialize_with = "first_of::<_, _, MOST>")]
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Child {
    #[serde(default, rename = "mediaType")]
    media_type: String,
    digest: Digest,
    size: u64,
    platform: Option<ChildPlatform>,
}

#[derive(Deserialize)]
struct ChildPlatform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: String,
}

/// Whether dockerd takes this media type for a manifest.
pub(super) fn is_manifest(media_type: &str) -> bool {
    MANIFEST_TYPES.contains(&media_type)
}

/// Reads a manifest and chooses the child for `platform`. Attestations are children for `unknown/unknown` and
/// so nobody's.
///
/// # Errors
///
/// `not_a_registry` for JSON that is none, `not_found` when there is no child for the platform.
pub(super) fn read(bytes: &[u8], platform: Platform) -> Try<Manifest> {
    let no = |why: String| Wrong::new(FailureKind::NotARegistry, why);
    let document: Document =
        serde_json::from_slice(bytes).map_err(|error| no(format!("not a manifest: {error}")))?;
    if document.schema_version == Some(1) {
        return Err(no("a manifest of schema 1, which Docker no longer takes".to_owned()));
    }
    if let Some(config) = document.config {
        return Ok(Manifest::Image { config, layers: document.layers });
    }
    if document.manifests.is_empty() {
        return Err(no("JSON, but not a manifest".to_owned()));
    }
    let ranked = document.manifests.into_iter().filter_map(|child| {
        let Child { media_type, digest, size, platform: of } = child;
        let of = of?;
        let rank = platform.rank(&of.os, &of.architecture, &of.variant)?;
        Some((rank, Descriptor { media_type, digest, size }))
    });
    let best = ranked.min_by_key(|(rank, _)| *rank);
    best.map(|(_, descriptor)| Manifest::Index(descriptor)).ok_or_else(|| {
        let detail = format!("the image has nothing for linux/{}", platform.architecture);
        Wrong::new(FailureKind::NotFound, detail)
    })
}

/// When the image was created, as its config says. Builders that want the same bytes every time write a
/// constant, mostly 1970 or 1980; no image is older than Docker.
pub(super) fn created(config: &[u8]) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Config {
        created: Option<String>,
    }
    // 2013-03-20, when Docker was released.
    const DOCKER: Timestamp = Timestamp::from_millis(1_363_737_600_000);
    let config: Config = serde_json::from_slice(config).ok()?;
    rfc3339(&config.created?).filter(|created| *created > DOCKER)
}

/// RFC 3339 with any offset; [`Timestamp`] itself reads UTC.
fn rfc3339(text: &str) -> Option<Timestamp> {
    let at = text.len().checked_sub(6).filter(|at| text.is_char_boundary(*at))?;
    let (local, offset) = text.split_at(at);
    let number = |range| offset.get::<std::ops::Range<usize>>(range)?.parse::<u64>().ok();
    match (offset.as_bytes()[0], offset.as_bytes()[3]) {
        (sign @ (b'+' | b'-'), b':') => {
            let shift = Duration::from_secs(number(1..3)? * 3600 + number(4..6)? * 60);
            let local: Timestamp = format!("{local}Z").parse().ok()?;
            Some(if sign == b'+' { local - shift } else { local + shift })
        }
        _ => text.parse().ok(),
    }
}

/// The first `N` elements of a list; the others are read over, so that a list of a hundred thousand costs
/// no more memory than one of `N`.
pub(super) fn first_of<'de, D, T, const N: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct First<T, const N: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for First<T, N> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_unit<E>(self) -> Result<Vec<T>, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut first = Vec::new();
            while first.len() < N {
                match list.next_element()? {
                    Some(element) => first.push(element),
                    None => return Ok(first),
                }
            }
            while list.next_element::<IgnoredAny>()?.is_some() {}
            Ok(first)
        }
    }

    deserializer.deserialize_any(First::<T, N>(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(of: &str) -> Digest {
        Digest::of(of.as_bytes())
    }

    #[test]
    fn the_child_for_this_platform_is_chosen_and_never_an_attestation() {
        let platform = Platform::here();
        let child = |name: &str, os: &str, architecture: &str| {
            serde_json::json!({"mediaType": "m", "digest": digest(name), "size": 1,
                               "platform": {"os": os, "architecture": architecture}})
        };
        let ours = child("ours", "linux", platform.architecture);
        let attestation = child("attestation", "unknown", "unknown");
        let windows = child("windows", "windows", platform.architecture);
        let index = serde_json::json!({"schemaVersion": 2, "manifests": [attestation, windows, ours]});
        let Manifest::Index(chosen) = read(index.to_string().as_bytes(), platform).unwrap() else { panic!() };
        assert_eq!(chosen.digest, digest("ours"));

        let index = serde_json::json!({"schemaVersion": 2, "manifests": [attestation, windows]});
        let wrong = read(index.to_string().as_bytes(), platform).unwrap_err();
        assert_eq!(wrong.kind, FailureKind::NotFound);
    }

    #[test]
    fn json_that_is_no_manifest_is_no_registry() {
        for text in [
            "{}",
            "[]",
            "null",
            "{\"error\":\"x\"}",
            "{\"schemaVersion\":1,\"name\":\"x\"}",
            "<html>",
            "",
            "{\"schemaVersion\":2,\"layers\":[]}",
            "{\"config\":{\"digest\":\"sha256:1\",\"size\":1}}",
        ] {
            let wrong = read(text.as_bytes(), Platform::here()).unwrap_err();
            assert_eq!(wrong.kind, FailureKind::NotARegistry, "{text}");
        }
    }

    #[test]
    fn a_list_without_end_costs_no_more_memory_than_a_long_one() {
        let layer = format!("{{\"digest\":\"{}\",\"size\":1}}", digest("layer"));
        let text = format!("{{\"config\":{layer},\"layers\":[{}]}}", vec![layer.as_str(); 1000].join(","));
        let Manifest::Image { layers, .. } = read(text.as_bytes(), Platform::here()).unwrap() else {
            panic!()
        };
        assert_eq!(layers.len(), MOST);
    }

    #[test]
    fn a_creation_date_that_is_a_constant_is_unknown() {
        for (created_text, want) in [
            (r#"{"created":"2026-09-17T01:02:03.123456789Z"}"#, Some("2026-09-17T01:02:03Z")),
            (r#"{"created":"2026-09-17T08:02:03+08:00"}"#, Some("2026-09-17T00:02:03Z")),
            (r#"{"created":"2026-09-17T00:02:03-05:30"}"#, Some("2026-09-17T05:32:03Z")),
            (r#"{"created":"1970-01-01T00:00:00Z"}"#, None),
            (r#"{"created":"1980-01-01T00:00:01Z"}"#, None),
            (r#"{"created":"0001-01-01T00:00:00Z"}"#, None),
            (r#"{"created":null}"#, None),
            (r#"{"created":"限制限制"}"#, None),
            ("{}", None),
        ] {
            let got = created(created_text.as_bytes()).map(|time| time.to_string());
            assert_eq!(got.as_deref(), want, "{created_text}");
        }
    }
}
