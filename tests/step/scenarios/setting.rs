//! What a scenario may have otherwise than mirrors.toml has it by default.

use mirrorwatch::daemon::step::Settings;
use mirrorwatch::observation::ImageStore;

use crate::step::mood::time;

/// Gives one key another value.
pub(super) fn change(settings: &mut Settings, key: &str, value: &toml::Value) {
    let (policy, pace, allowance) = (&mut settings.policy, &mut settings.pace, &mut settings.allowance);
    let duration = || time(value.as_str().expect("a duration"));
    let count = || u32::try_from(value.as_integer().expect("a number")).expect("a small one");
    let mebibytes = || u64::from(count()) << 20;
    match key {
        "connect" => pace.connect = duration(),
        "sample" => pace.sample = duration(),
        "rehearse" => pace.rehearse = duration(),
        "decide" => (pace.decide, policy.decide) = (duration(), duration()),
        "confirm" => pace.confirm = duration(),
        "hold" => policy.hold = duration(),
        "max" => policy.max = usize::try_from(count()).expect("a small number"),
        "margin" => policy.margin = value.as_float().expect("a part"),
        "rounds" => policy.rounds = count(),
        "fall" => policy.fall = count(),
        "rise" => policy.rise = count(),
        "compare_upstream" => policy.compare_upstream = value.as_bool().expect("true or false"),
        "store" => {
            policy.store = Some(match value.as_str() {
                Some("classic") => ImageStore::Classic,
                Some("containerd") => ImageStore::Containerd,
                _ => panic!("no store is called {value}"),
            });
        }
        "images" => {
            let images =
                value.as_array().expect("a list").iter().map(|image| image.as_str().expect("an image"));
            policy.images = images.map(|image| image.parse().expect("an image")).collect();
        }
        "requests_per_minute" => allowance.requests_per_minute = count(),
        "requests_per_day" => allowance.requests_per_day = count(),
        "refusals_per_2_days" => allowance.refusals_per_2_days = count(),
        "mebibytes_per_day" => allowance.bytes_per_day = mebibytes(),
        "total_mebibytes_per_day" => allowance.total_bytes_per_day = mebibytes(),
        "reloads_per_day" => allowance.reloads_per_day = count(),
        "share" => *allowance = allowance.clone().part(count()),
        // No key of mirrors.toml: which of many hosts this is.
        "host" => {
            let hash = u64::from(count()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (settings.seed, policy.spread) = (hash, Some(hash));
        }
        _ => panic!("no setting is called {key}"),
    }
}
