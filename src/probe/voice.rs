//! How dockerd speaks: its User-Agent, its Accept headers, the platform it asks for.

use http::HeaderValue;
use http::header::{ACCEPT, HeaderMap};

use crate::mirror::MirrorUrl;
use crate::observation::ImageStore;

/// The version that is spoken as while nobody knows the engine's: the last of the 28 line, whose classic
/// store is the common one.
const VERSION: &str = "28.5.2";

/// What dockerd takes for a manifest: two of Docker's, two of OCI's.
pub(super) const MANIFEST_TYPES: [&str; 4] = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
];

/// What every request of one engine has in common.
#[derive(Debug)]
pub(super) struct Voice {
    user_agent: HeaderValue,
    store: Option<ImageStore>,
}

impl Voice {
    /// The voice of a dockerd of this version with this store. An unknown store speaks as the classic one.
    pub(super) fn new(version: Option<&str>, store: Option<ImageStore>) -> Self {
        let text = user_agent(version.unwrap_or(VERSION), store);
        let user_agent = HeaderValue::from_str(&text).unwrap_or_else(|_| {
            HeaderValue::from_static("docker/28.5.2 os/linux UpstreamClient(Docker-Client)")
        });
        Self { user_agent, store }
    }

    /// The User-Agent. Some mirrors answer browsers with a web page, and some refuse what they do not know.
    pub(super) fn user_agent(&self) -> HeaderValue {
        self.user_agent.clone()
    }

    /// The Accept headers for a manifest: one header each in the classic store, one for all in containerd's.
    pub(super) fn accept_manifest(&self, headers: &mut HeaderMap) {
        match self.store {
            Some(ImageStore::Containerd) => {
                let all = format!("{}, */*", MANIFEST_TYPES.join(", "));
                if let Ok(value) = HeaderValue::from_str(&all) {
                    headers.insert(ACCEPT, value);
                }
            }
            Some(ImageStore::Classic) | None => {
                for media_type in MANIFEST_TYPES {
                    headers.append(ACCEPT, HeaderValue::from_static(media_type));
                }
            }
        }
    }

    /// Whether `mirror` is told which registry is meant (`?ns=docker.io`): containerd tells every host but
    /// Docker Hub itself.
    pub(super) fn names_upstream(&self, mirror: &MirrorUrl) -> bool {
        self.store == Some(ImageStore::Containerd) && mirror.host() != "registry-1.docker.io"
    }
}

fn user_agent(version: &str, store: Option<ImageStore>) -> String {
    let plain = |text: &str| -> String {
        text.chars().filter(|c| c.is_ascii_alphanumeric() || ".+~-_".contains(*c)).take(64).collect()
    };
    let version = plain(version);
    let uname = rustix::system::uname();
    let kernel = plain(&uname.release().to_string_lossy());
    let containerd = match store {
        Some(ImageStore::Containerd) => " containerd-client/2.1.5+unknown storage-driver/overlayfs",
        Some(ImageStore::Classic) | None => "",
    };
    let arch = Platform::here().architecture;
    format!(
        "docker/{version} go/go1.24.9 git-commit/89c5e8f kernel/{kernel} os/linux arch/{arch}{containerd} \
         UpstreamClient(Docker-Client/{version} \\(linux\\))"
    )
}

/// A platform by Go's words; the operating system is always linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Platform {
    pub(super) architecture: &'static str,
    /// The variants that run here, the best first; an empty list takes any.
    variants: &'static [&'static str],
}

impl Platform {
    /// The platform of this host.
    pub(super) fn here() -> Self {
        Self::of(std::env::consts::ARCH, cfg!(target_endian = "little"))
    }

    fn of(rust: &'static str, little_endian: bool) -> Self {
        let (architecture, variants): (_, &[&str]) = match rust {
            "x86_64" => ("amd64", &["", "v1"]),
            "x86" => ("386", &[]),
            "aarch64" => ("arm64", &["v8", ""]),
            "arm" => ("arm", &["v7", "v6", "v5", ""]),
            "powerpc64" if little_endian => ("ppc64le", &[]),
            "loongarch64" => ("loong64", &[]),
            // riscv64, s390x and those to come have one name in both languages.
            other => (other, &[]),
        };
        Self { architecture, variants }
    }

    /// How well an image for `os`, `architecture` and `variant` runs here: 0 is best, `None` is not at all.
    pub(super) fn rank(&self, os: &str, architecture: &str, variant: &str) -> Option<usize> {
        if os != "linux" || architecture != self.architecture {
            return None;
        }
        if self.variants.is_empty() {
            return Some(0);
        }
        self.variants.iter().position(|known| *known == variant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_agent_has_dockerds_form_and_is_no_browsers() {
        let text = user_agent("20.10.24+dfsg1\r\nCookie: x", None);
        assert!(text.starts_with("docker/20.10.24+dfsg1Cookiex go/go"), "{text}");
        for part in
            [" go/go", " git-commit/", " kernel/", " os/linux arch/", " UpstreamClient(Docker-Client/"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(text.ends_with(r"\(linux\))") && !text.to_ascii_lowercase().contains("mozilla"), "{text}");
        assert!(user_agent("29.1.0", Some(ImageStore::Containerd)).contains(" containerd-client/"));
    }

    #[test]
    fn only_containerd_names_the_upstream_and_not_to_the_upstream_itself() {
        let mirror = "https://m.example".parse().unwrap();
        let hub = "https://registry-1.docker.io".parse().unwrap();
        let containerd = Voice::new(None, Some(ImageStore::Containerd));
        assert!(containerd.names_upstream(&mirror) && !containerd.names_upstream(&hub));
        assert!(!Voice::new(None, Some(ImageStore::Classic)).names_upstream(&mirror));
        assert!(!Voice::new(None, None).names_upstream(&mirror));
    }

    #[test]
    fn the_best_variant_that_runs_here_is_chosen() {
        let arm = Platform::of("arm", true);
        assert!(arm.rank("linux", "arm", "v7") < arm.rank("linux", "arm", "v6"));
        assert_eq!(arm.rank("linux", "arm", "v8"), None);
        assert_eq!(Platform::of("aarch64", true).rank("linux", "arm64", ""), Some(1));
        assert_eq!(Platform::of("x86_64", true).rank("linux", "amd64", ""), Some(0));
        assert_eq!(Platform::of("x86_64", true).rank("linux", "amd64", "v3"), None);
        assert_eq!(Platform::of("x86_64", true).rank("windows", "amd64", ""), None);
        assert_eq!(Platform::of("powerpc64", true).architecture, "ppc64le");
        assert_eq!(Platform::of("x86_64", true).rank("unknown", "unknown", ""), None);
    }
}
