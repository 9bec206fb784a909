//! What the layers below take for granted is what the shipped mirrors.toml says.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

use mirrorwatch::assembly;
use mirrorwatch::config::{self, Config};
use mirrorwatch::daemon::terms::Terms;
use mirrorwatch::probe;
use mirrorwatch::ranking::Policy;

fn shipped() -> Config {
    config::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("mirrors.toml")).unwrap()
}

#[test]
fn the_ranking_is_tested_with_what_is_shipped() {
    let policy = assembly::policy(&shipped(), None);
    // Which images and which host, no default can know.
    let own = Policy { images: policy.images.clone(), spread: policy.spread, ..Policy::default() };
    assert_eq!(policy, own);
}

#[test]
fn probes_are_tested_with_what_is_shipped() {
    assert_eq!(assembly::probe_settings(&shipped(), None), probe::Settings::default());
}

#[test]
fn a_status_without_a_service_goes_by_what_is_shipped() {
    let terms = Terms::from(&assembly::settings(&shipped(), None));
    let own = Terms { images: terms.images.clone(), spread: terms.spread, ..Terms::default() };
    assert_eq!(terms, own);
}

#[test]
fn where_no_image_is_named_and_the_host_has_none_mirrors_are_asked_for_the_usual_one() {
    let mut config = shipped();
    config.probe.images.clear();
    assert_eq!(assembly::policy(&config, None).images, shipped().probe.images);
}
