//! The layers of an image, as far as they are remembered to be asked for again.

use serde::{Deserialize, Serialize};

use super::Digest;

/// What a manifest says of a blob: what it is, its digest and how many bytes it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    /// How it is packed. It may be any text.
    #[serde(default, rename = "mediaType")]
    pub media_type: String,
    /// By which it is asked for.
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
}

/// Some layers of one image: enough to rotate through, and few enough to be kept with a mirror's record.
///
/// Bounded by construction, whoever wrote them down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Descriptor>")]
pub struct Layers(Vec<Descriptor>);

/// So many layers are remembered.
const MOST: usize = 3;
/// The longest media type of a layer that is known has 72 bytes. What is longer says nothing of how it is packed.
const MEDIA_TYPE: usize = 96;

impl Layers {
    /// Those that are remembered.
    pub fn as_slice(&self) -> &[Descriptor] {
        &self.0
    }
}

impl From<Vec<Descriptor>> for Layers {
    /// The first of them.
    fn from(mut layers: Vec<Descriptor>) -> Self {
        layers.truncate(MOST);
        layers.shrink_to_fit();
        for layer in layers.iter_mut().filter(|layer| layer.media_type.len() > MEDIA_TYPE) {
            layer.media_type = String::new();
        }
        Self(layers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded_whoever_wrote_it_down() {
        let layer = |number: u64| Descriptor {
            media_type: "x".repeat(1000),
            digest: Digest::of(&number.to_be_bytes()),
            size: number,
        };
        let many: Vec<Descriptor> = (0..500).map(layer).collect();
        let read: Layers = serde_json::from_str(&serde_json::to_string(&many).unwrap()).unwrap();
        assert_eq!(read, Layers::from(many));
        assert_eq!(read.as_slice().len(), MOST);
        assert!(serde_json::to_string(&read).unwrap().len() < 600);
    }

    #[test]
    fn what_is_no_digest_or_no_size_is_no_layer() {
        let digest = Digest::of(b"");
        for (digest, size) in [
            ("sha256:../../../../v2/_catalog", "1"),
            ("../../etc/passwd", "1"),
            ("", "1"),
            (digest.as_str(), "-1"),
            (digest.as_str(), "1e99"),
            (digest.as_str(), "\"1\""),
        ] {
            let json = format!(r#"[{{"digest":"{digest}","size":{size}}}]"#);
            assert!(serde_json::from_str::<Layers>(&json).is_err(), "{json}");
        }
    }
}
