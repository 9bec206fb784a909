//! The images of Docker Hub that this host has: what its mirrors must serve.

use std::cmp::Reverse;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::api::{ImageSummary, Info, ManifestSummary};
use crate::image::Image;

/// More than this many need not be rehearsed to judge a mirror.
const MOST: usize = 50;

/// Where containerd keeps content unless it is dockerd's own child.
const CONTAINERD: &str = "/var/lib/containerd";

/// Where dockerd's stores lay down what an image's identity names, one file for each, when it comes.
///
/// The API knows when an image was built, and only containerd's store when it was pulled, image by image: an old tag
/// that was pulled today would stand behind everything newer. The file's time tells for nothing.
pub(super) struct Shelves(Vec<PathBuf>);

impl Shelves {
    /// Those of this dockerd.
    pub(super) fn of(info: &Info) -> Self {
        let root = &info.docker_root_dir;
        let content = "io.containerd.content.v1.content/blobs/sha256";
        Self(vec![
            root.join("image").join(&info.driver).join("imagedb/content/sha256"),
            Path::new(CONTAINERD).join(content),
            root.join("containerd/daemon").join(content),
        ])
    }

    /// When this image came, in seconds and nanoseconds since the epoch; `None` where that cannot be seen.
    fn came(&self, id: &str) -> Option<(i64, i64)> {
        let name =
            id.strip_prefix("sha256:").filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        let seen = |shelf: &PathBuf| fs::metadata(shelf.join(name)).ok();
        let file = self.0.iter().find_map(seen)?;
        Some((file.mtime(), file.mtime_nsec()))
    }
}

/// Images that came from Docker Hub, those first that were pulled last; of those whose pull cannot be dated the newest.
///
/// An image without a digest in its own repository was built or imported here, and no mirror could have it. Containerd's
/// store gives every image a digest in whatever repository it is named after; see [`was_pulled`].
pub(super) fn of_hub(mut summaries: Vec<ImageSummary>, shelves: &Shelves) -> Vec<Image> {
    summaries.sort_by_cached_key(|summary| Reverse((shelves.came(&summary.id), summary.created)));
    let mut images = Vec::new();
    for summary in summaries {
        let repositories: Vec<_> =
            summary.repo_digests.iter().flatten().filter_map(|d| d.split('@').next()).collect();
        let tags = summary.repo_tags.iter().flatten();
        let pulled = tags.filter(|tag| {
            tag.rsplit_once(':').is_some_and(|(repository, _)| repositories.contains(&repository))
        });
        let pulled = pulled.filter_map(|tag| tag.parse::<Image>().ok());
        for image in pulled.filter(|image| was_pulled(&summary, image)) {
            if images.len() < MOST && !images.contains(&image) {
                images.push(image);
            }
        }
    }
    images
}

/// Whether an image with a digest under this name came from there, and is not of this host's own making: its name would
/// be nobody's business, and every mirror would have to refuse it.
///
/// Since API 1.54 dockerd says what was pulled from where. Before that, whoever pulls leaves behind the platforms of others
/// and what is attested of an image, and whoever builds or imports has all there is. That misses images of one platform
/// with nothing attested, which is better than to ask strangers for what is private.
fn was_pulled(summary: &ImageSummary, image: &Image) -> bool {
    // The classic store has said all with the digest.
    let Some(manifests) = &summary.manifests else { return true };
    let mut from = manifests.iter().flat_map(ManifestSummary::pulled_from).peekable();
    if from.peek().is_none() {
        return manifests.iter().any(|manifest| !manifest.available);
    }
    from.filter_map(|from| from.parse::<Image>().ok()).any(|from| from.repository() == image.repository())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_containerd_s_store_has_of_its_own_making_is_nobody_s_business() {
        // As 28.5.2 told of each, and what the reference of API 1.54 promises of the last three.
        let told = r#"[
            {"RepoTags": ["multi:1"], "RepoDigests": ["multi@sha256:00"],
             "Manifests": [{"Available": true, "Kind": "image"}, {"Available": false, "Kind": "image"}]},
            {"RepoTags": ["attested:1"], "RepoDigests": ["attested@sha256:00"],
             "Manifests": [{"Available": true, "Kind": "image"}, {"Available": false, "Kind": "attestation"}]},
            {"RepoTags": ["imported:1"], "RepoDigests": ["imported@sha256:00"],
             "Manifests": [{"Available": true, "Kind": "image"}]},
            {"RepoTags": ["built:1"], "RepoDigests": ["built@sha256:00"],
             "Manifests": [{"Available": true, "Kind": "image"}, {"Available": true, "Kind": "attestation"}]},
            {"RepoTags": ["pulled:1"], "RepoDigests": ["pulled@sha256:00"],
             "Manifests": [{"Available": true, "ImageData":
                {"Identity": {"Pull": [{"Repository": "docker.io/library/pulled"}]}}}]},
            {"RepoTags": ["tagged:1"], "RepoDigests": ["tagged@sha256:00"],
             "Manifests": [{"Available": false}, {"Available": true, "ImageData":
                {"Identity": {"Pull": [{"Repository": "registry.example/secret"}]}}}]},
            {"RepoTags": ["made:1"], "RepoDigests": ["made@sha256:00"],
             "Manifests": [{"Available": true, "ImageData": {"Identity": {"Build": [{"Ref": "x"}]}}}]}
        ]"#;
        let images = of_hub(serde_json::from_str(told).unwrap(), &Shelves(Vec::new()));
        let mut names: Vec<_> = images.iter().map(ToString::to_string).collect();
        names.sort();
        assert_eq!(names, ["library/attested:1", "library/multi:1", "library/pulled:1"]);
    }

    #[test]
    fn only_what_came_from_docker_hub_counts_and_the_newest_stands_first() {
        let summary = |created, tags: &[&str], digests: &[&str]| ImageSummary {
            id: String::new(),
            repo_tags: Some(tags.iter().map(|tag| (*tag).to_owned()).collect()),
            repo_digests: Some(digests.iter().map(|digest| (*digest).to_owned()).collect()),
            created,
            manifests: None,
        };
        let summaries = vec![
            summary(1, &["busybox:1.36", "busybox:latest"], &["busybox@sha256:00"]),
            summary(2, &["built-here:1"], &[]),
            summary(3, &["ghcr.io/a/b:1"], &["ghcr.io/a/b@sha256:00"]),
            summary(4, &["<none>:<none>"], &["grafana/grafana@sha256:00"]),
            summary(5, &["grafana/grafana:11"], &["grafana/grafana@sha256:00"]),
            ImageSummary::default(),
        ];
        let images = of_hub(summaries, &Shelves(Vec::new()));
        let names: Vec<_> = images.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["grafana/grafana:11", "library/busybox:1.36", "library/busybox:latest"]);
    }

    #[test]
    fn fifty_are_enough() {
        let many = (0..80).map(|number| ImageSummary {
            id: format!("sha256:{number:064x}"),
            repo_tags: Some(vec![format!("a/b{number}:1")]),
            repo_digests: Some(vec![format!("a/b{number}@sha256:00")]),
            created: number,
            manifests: None,
        });
        assert_eq!(of_hub(many.collect(), &Shelves(Vec::new())).len(), 50);
    }

    #[test]
    fn an_old_tag_that_was_pulled_today_is_not_dropped_for_fifty_newer_ones() {
        let shelf = tempfile::tempdir().unwrap();
        let name = |number: i64| format!("{number:064x}");
        let many: Vec<ImageSummary> = (0..80)
            .map(|number| ImageSummary {
                id: format!("sha256:{}", name(number)),
                repo_tags: Some(vec![format!("a/b{number}:1")]),
                repo_digests: Some(vec![format!("a/b{number}@sha256:00")]),
                created: number,
                manifests: None,
            })
            .collect();
        // The oldest came last; of two others nothing is known.
        for number in 0..78 {
            let file = fs::File::create_new(shelf.path().join(name(number))).unwrap();
            let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(2000 - number.cast_unsigned());
            file.set_modified(at).unwrap();
        }
        let images = of_hub(many, &Shelves(vec![shelf.path().join("nothing"), shelf.path().to_owned()]));
        let names: Vec<_> = images.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), 50);
        assert_eq!((&*names[0], &*names[1], &*names[49]), ("a/b0:1", "a/b1:1", "a/b49:1"));
    }

    #[test]
    fn an_id_leads_nowhere_else() {
        let shelves = Shelves(vec![PathBuf::from("/etc")]);
        for id in ["sha256:../etc/passwd", "sha256:/etc/passwd", "passwd", "sha256:passwd"] {
            assert_eq!(shelves.came(id), None, "{id}");
        }
    }
}
