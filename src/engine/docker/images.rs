//! The images of Docker Hub that this host has: what its mirrors must serve.

use super::api::ImageSummary;
use crate::image::Image;

/// More than this many need not be rehearsed to judge a mirror.
const MOST: usize = 50;

/// Images that came from Docker Hub, the newest first.
///
/// An image without a digest in its own repository was built or imported here, and no mirror could have it.
pub(super) fn of_hub(mut summaries: Vec<ImageSummary>) -> Vec<Image> {
    summaries.sort_by_key(|summary| std::cmp::Reverse(summary.created));
    let mut images = Vec::new();
    for summary in summaries {
        let repositories: Vec<_> =
            summary.repo_digests.iter().flatten().filter_map(|d| d.split('@').next()).collect();
        let tags = summary.repo_tags.iter().flatten();
        let pulled = tags.filter(|tag| {
            tag.rsplit_once(':').is_some_and(|(repository, _)| repositories.contains(&repository))
        });
        for image in pulled.filter_map(|tag| tag.parse::<Image>().ok()) {
            if images.len() < MOST && !images.contains(&image) {
                images.push(image);
            }
        }
    }
    images
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_came_from_docker_hub_counts_and_the_newest_stands_first() {
        let summary = |created, tags: &[&str], digests: &[&str]| ImageSummary {
            repo_tags: Some(tags.iter().map(|tag| (*tag).to_owned()).collect()),
            repo_digests: Some(digests.iter().map(|digest| (*digest).to_owned()).collect()),
            created,
        };
        let images = of_hub(vec![
            summary(1, &["busybox:1.36", "busybox:latest"], &["busybox@sha256:00"]),
            summary(2, &["built-here:1"], &[]),
            summary(3, &["ghcr.io/a/b:1"], &["ghcr.io/a/b@sha256:00"]),
            summary(4, &["<none>:<none>"], &["grafana/grafana@sha256:00"]),
            summary(5, &["grafana/grafana:11"], &["grafana/grafana@sha256:00"]),
            ImageSummary::default(),
        ]);
        let names: Vec<_> = images.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["grafana/grafana:11", "library/busybox:1.36", "library/busybox:latest"]);
    }

    #[test]
    fn fifty_are_enough() {
        let many = (0..80).map(|number| ImageSummary {
            repo_tags: Some(vec![format!("a/b{number}:1")]),
            repo_digests: Some(vec![format!("a/b{number}@sha256:00")]),
            created: number,
        });
        assert_eq!(of_hub(many.collect()).len(), 50);
    }
}
