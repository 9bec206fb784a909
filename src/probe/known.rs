//! What the prober remembers of mirrors between probes: in memory only, and never needed.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::challenge::{Challenge, Token};
use crate::image::Image;
use crate::mirror::MirrorUrl;

/// What is remembered of all mirrors.
#[derive(Default)]
pub(super) struct Known(Mutex<HashMap<MirrorUrl, Mirror>>);

/// What is remembered of one.
#[derive(Default)]
pub(super) struct Mirror {
    /// What `/v2/` asked for.
    pub(super) challenge: Option<Challenge>,
    pub(super) token: Option<Token>,
    /// The image of which both HEAD and GET were refused the last time.
    pub(super) denied: Option<Image>,
}

impl Known {
    /// Looks at, or changes, what is known of `mirror`.
    pub(super) fn of<T>(&self, mirror: &MirrorUrl, look: impl FnOnce(&mut Mirror) -> T) -> T {
        let mut all: MutexGuard<'_, _> = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        look(all.entry(mirror.clone()).or_default())
    }
}
