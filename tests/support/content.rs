//! An image that engines accept, made of nothing but its description.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::{Value, json};

pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

const PLATFORMS: [(&str, &str); 9] = [
    ("amd64", ""),
    ("arm64", "v8"),
    ("arm", "v7"),
    ("arm", "v6"),
    ("386", ""),
    ("ppc64le", ""),
    ("s390x", ""),
    ("riscv64", ""),
    ("loong64", ""),
];

/// Which image. The same description is the same image, byte for byte, in every registry and process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImageSpec {
    pub repository: String,
    pub tag: String,
    /// About how many bytes each layer has.
    pub layers: Vec<usize>,
    /// RFC 3339; goes into the config, and so into every digest.
    pub created: String,
    /// Whether the layers are what their media type says, and not tars without the gzip.
    pub packed: bool,
}

impl Default for ImageSpec {
    fn default() -> Self {
        Self {
            repository: "library/busybox".to_owned(),
            tag: "latest".to_owned(),
            layers: vec![200_000, 3_000_000],
            created: "2026-11-01T00:00:00Z".to_owned(),
            packed: true,
        }
    }
}

/// A manifest or an index.
#[derive(Clone, Debug)]
pub struct Document {
    pub media_type: &'static str,
    pub digest: String,
    pub bytes: Arc<[u8]>,
}

/// A config or a layer.
#[derive(Clone, Debug)]
pub struct Blob {
    pub is_layer: bool,
    pub bytes: Arc<[u8]>,
}

/// Everything that one image is made of.
#[derive(Debug)]
pub struct Content {
    pub index: Document,
    /// By digest, the index included.
    pub documents: HashMap<String, Document>,
    /// By digest.
    pub blobs: HashMap<String, Blob>,
}

impl Content {
    /// The image, made once a process.
    pub fn of(spec: &ImageSpec) -> Arc<Self> {
        static MADE: OnceLock<Mutex<HashMap<ImageSpec, Arc<Content>>>> = OnceLock::new();
        let mut made = MADE.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(made.entry(spec.clone()).or_insert_with(|| Arc::new(Self::make(spec))))
    }

    fn make(spec: &ImageSpec) -> Self {
        let mut content =
            Self { index: document(INDEX, &json!({})), documents: HashMap::new(), blobs: HashMap::new() };
        let mut layers = Vec::new();
        let mut diff_ids = Vec::new();
        for (number, size) in spec.layers.iter().enumerate() {
            let tar = tar(&format!("layer{number}"), &noise(*size, number as u64 + 1));
            diff_ids.push(sha256(&tar));
            layers.push(content.add_blob(LAYER, if spec.packed { gzip(&tar) } else { tar }, true));
        }
        let mut children = Vec::new();
        for (architecture, variant) in PLATFORMS {
            let config = json!({
                "architecture": architecture, "variant": variant, "os": "linux", "created": spec.created,
                "config": {"Cmd": ["/layer0"]}, "rootfs": {"type": "layers", "diff_ids": diff_ids},
                "history": diff_ids.iter().map(|_| json!({"created_by": "fake"})).collect::<Vec<_>>(),
            });
            let config = content.add_blob(CONFIG, config.to_string().into_bytes(), false);
            let platform = json!({"architecture": architecture, "os": "linux", "variant": variant});
            children.push(content.add_manifest(&config, &layers, platform));
        }
        // As BuildKit attaches provenance: an image for a platform that nobody has.
        let statement = content.add_blob("application/vnd.in-toto+json", b"{}".to_vec(), false);
        let config = content.add_blob(CONFIG, b"{\"attestation\":true}".to_vec(), false);
        let nowhere = json!({"architecture": "unknown", "os": "unknown"});
        children.insert(0, content.add_manifest(&config, &[statement], nowhere));
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": children});
        content.index = document(INDEX, &index);
        content.documents.insert(content.index.digest.clone(), content.index.clone());
        content
    }

    fn add_blob(&mut self, media_type: &str, bytes: Vec<u8>, is_layer: bool) -> Value {
        let digest = sha256(&bytes);
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
        self.blobs.insert(digest, Blob { is_layer, bytes: bytes.into() });
        descriptor
    }

    fn add_manifest(&mut self, config: &Value, layers: &[Value], platform: Value) -> Value {
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        let document = document(MANIFEST, &manifest);
        let size = document.bytes.len();
        let entry =
            json!({"mediaType": MANIFEST, "digest": document.digest, "size": size, "platform": platform});
        self.documents.insert(document.digest.clone(), document);
        entry
    }
}

fn document(media_type: &'static str, value: &Value) -> Document {
    let bytes = value.to_string().into_bytes();
    Document { media_type, digest: sha256(&bytes), bytes: bytes.into() }
}

/// `sha256:` and the digest of `bytes`.
pub fn sha256(bytes: &[u8]) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, bytes);
    let hex: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Bytes that no compression makes shorter (xorshift64*).
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A tar of one file.
fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000755\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{:011o}\0", content.len()));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut tar = header.to_vec();
    tar.extend_from_slice(content);
    // To a whole block, and two empty ones for the end.
    tar.resize(tar.len().next_multiple_of(512) + 1024, 0);
    tar
}

/// A gzip of stored blocks: noise would not get shorter anyway.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut chunks = bytes.chunks(0xffff).peekable();
    while let Some(chunk) = chunks.next() {
        let length = u16::try_from(chunk.len()).expect("a chunk is no longer");
        out.push(u8::from(chunks.peek().is_none()));
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(chunk);
    }
    out.extend_from_slice(&crc32(bytes).to_le_bytes());
    let size = u32::try_from(bytes.len()).expect("layers of tests are small");
    out.extend_from_slice(&size.to_le_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    let table: Vec<u32> = (0..256_u32)
        .map(|byte| (0..8).fold(byte, |c, _| if c & 1 == 1 { 0xEDB8_8320 ^ (c >> 1) } else { c >> 1 }))
        .collect();
    !bytes.iter().fold(!0_u32, |crc, byte| table[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ (crc >> 8))
}
