//! What is pulled: an image reference, a digest, a platform.

mod layers;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use layers::{Descriptor, Layers};

use crate::text::{Lang, cli as say};

/// A repository and a tag on the upstream, such as `library/busybox:latest`.
///
/// Canonical by construction: `busybox`, `docker.io/busybox` and `library/busybox:latest` are one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Image {
    repository: String,
    tag: String,
}

/// Why a text is not an image reference that a mirror of Docker Hub could serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// Nothing before the tag.
    Empty,
    /// Another registry's host stands in front (`ghcr.io/…`).
    OtherRegistry,
    /// A reference by digest; a tag is wanted because the tag is what gets stale.
    Digest,
    /// A character that no repository or tag may have.
    Character,
}

impl Image {
    /// The repository, with `library/` for official images.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; `latest` when none was said.
    pub fn tag(&self) -> &str {
        &self.tag
    }
}

impl FromStr for Image {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        if text.contains('@') {
            return Err(ImageError::Digest);
        }
        let name = ["docker.io/", "index.docker.io/"]
            .iter()
            .find_map(|host| text.strip_prefix(host))
            .unwrap_or(text);
        let (path, tag) = match name.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, tag),
            Some(_) | None => (name, "latest"),
        };
        if path.is_empty() || tag.is_empty() {
            return Err(ImageError::Empty);
        }
        // Docker's own rule for "this first part is a host": a dot, a colon, or localhost.
        if let Some((first, _)) = path.split_once('/')
            && (first.contains(['.', ':']) || first == "localhost")
        {
            return Err(ImageError::OtherRegistry);
        }
        let path_ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/".contains(c);
        let tag_ok = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let parts_ok = path.split('/').all(|part| {
            part.starts_with(|c: char| c.is_ascii_alphanumeric())
                && part.ends_with(|c: char| c.is_ascii_alphanumeric())
        });
        // 255 and 128 are the lengths that the distribution specification allows.
        let lengths_ok = path.len() <= 255 && tag.len() <= 128;
        let tag_start_ok = !tag.starts_with(['.', '-']);
        if !path.chars().all(path_ok) || !tag.chars().all(tag_ok) || !parts_ok || !lengths_ok || !tag_start_ok
        {
            return Err(ImageError::Character);
        }
        let repository = if path.contains('/') { path.to_owned() } else { format!("library/{path}") };
        Ok(Self { repository, tag: tag.to_owned() })
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what(Lang::En))
    }
}

impl std::error::Error for ImageError {}

impl ImageError {
    /// What is wrong, and what to write.
    pub fn what(self, lang: Lang) -> String {
        match self {
            Self::Empty => say::image_empty(lang),
            Self::OtherRegistry => say::image_other_registry(lang),
            Self::Digest => say::image_digest(lang),
            Self::Character => say::image_character(lang),
        }
    }
}

impl TryFrom<String> for Image {
    type Error = ImageError;

    fn try_from(text: String) -> Result<Self, ImageError> {
        text.parse()
    }
}

impl From<Image> for String {
    fn from(image: Image) -> Self {
        image.to_string()
    }
}

/// A SHA-256 digest in the form registries use: `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

/// A digest in the making, for bytes that come in pieces.
pub struct Sum(ring::digest::Context);

impl Sum {
    /// Of nothing yet.
    #[expect(clippy::new_without_default, reason = "a sum of nothing is no sensible default of anything")]
    pub fn new() -> Self {
        Self(ring::digest::Context::new(&ring::digest::SHA256))
    }

    /// The next bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes.
    pub fn digest(self) -> Digest {
        let hash = self.0.finish();
        let hex: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Digest(format!("sha256:{hex}"))
    }
}

/// The text is not `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestError;

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut sum = Sum::new();
        sum.add(bytes);
        sum.digest()
    }

    /// The digest as it stands in a path or a header.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let hex = text.strip_prefix("sha256:").ok_or(DigestError)?;
        let hexadecimal = hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if hex.len() == 64 && hexadecimal { Ok(Self(text.to_owned())) } else { Err(DigestError) }
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for DigestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a sha256 digest")
    }
}

impl std::error::Error for DigestError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_image_has_one_spelling() {
        for (said, canonical) in [
            ("busybox", "library/busybox:latest"),
            ("docker.io/library/busybox:1.36", "library/busybox:1.36"),
            ("grafana/grafana", "grafana/grafana:latest"),
        ] {
            assert_eq!(said.parse::<Image>().unwrap().to_string(), canonical);
        }
    }

    #[test]
    fn what_no_mirror_of_docker_hub_serves_is_refused_with_its_reason() {
        for (said, error) in [
            ("", ImageError::Empty),
            (":latest", ImageError::Empty),
            ("ghcr.io/owner/name", ImageError::OtherRegistry),
            ("localhost:5000/name", ImageError::OtherRegistry),
            ("busybox@sha256:00", ImageError::Digest),
            ("Busybox", ImageError::Character),
            ("a/../b", ImageError::Character),
            ("busybox:a b", ImageError::Character),
            ("busybox\u{1b}[2J", ImageError::Character),
        ] {
            assert_eq!(said.parse::<Image>(), Err(error), "{said:?}");
        }
    }

    #[test]
    fn a_digest_is_the_sha256_of_the_bytes() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").as_str(), empty);
        assert_eq!(empty.parse(), Ok(Digest::of(b"")));
        assert_eq!("sha256:E3".parse::<Digest>(), Err(DigestError));
    }
}
