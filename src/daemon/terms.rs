//! What mirrors.toml said when the service last read a valid one: kept, so that `explain` can go by it while
//! nothing runs and the file is being edited.

use serde::{Deserialize, Serialize};

use super::step::Settings;
use crate::image::Image;
use crate::ranking::Policy;

/// The name under which the store keeps them.
pub const TERMS_FACT: &str = "terms";

/// By which a mirror is judged, and how much it may be asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Terms {
    /// The most mirrors in the list.
    pub max: usize,
    /// By which share a challenger must be faster ...
    pub margin: f64,
    /// ... in so many rehearsals in a row.
    pub rounds: u32,
    /// Failures in a row that reject a live mirror.
    pub fall: u32,
    /// Good rehearsals in a row that make a rejected mirror live again.
    pub rise: u32,
    /// The images that count for coverage.
    pub images: Vec<Image>,
    /// HTTP requests in 24 hours, each mirror.
    pub requests_per_day: u32,
    /// Refusals in 48 hours, each mirror.
    pub refusals_per_2_days: u32,
    /// Bytes in 24 hours, each mirror.
    pub bytes_per_day: u64,
    /// By which this host differs from others that find mirrors as good.
    pub spread: Option<u64>,
}

impl Default for Terms {
    /// Those of the shipped mirrors.toml.
    fn default() -> Self {
        let Policy { max, margin, rounds, fall, rise, images, spread, .. } = Policy::default();
        let (requests_per_day, refusals_per_2_days, bytes_per_day) = (400, 10, 24 << 20);
        Self {
            max,
            margin,
            rounds,
            fall,
            rise,
            images,
            requests_per_day,
            refusals_per_2_days,
            bytes_per_day,
            spread,
        }
    }
}

impl From<&Settings> for Terms {
    fn from(settings: &Settings) -> Self {
        let (policy, allowance) = (&settings.policy, &settings.allowance);
        Self {
            max: policy.max,
            margin: policy.margin,
            rounds: policy.rounds,
            fall: policy.fall,
            rise: policy.rise,
            images: policy.images.clone(),
            requests_per_day: allowance.requests_per_day,
            refusals_per_2_days: allowance.refusals_per_2_days,
            bytes_per_day: allowance.bytes_per_day,
            spread: policy.spread,
        }
    }
}

impl Terms {
    /// As far as mirrors are compared by them.
    pub fn policy(&self) -> Policy {
        Policy {
            max: self.max,
            margin: self.margin,
            rounds: self.rounds,
            fall: self.fall,
            rise: self.rise,
            images: self.images.clone(),
            spread: self.spread,
            ..Policy::default()
        }
    }
}
