//! What the prober remembers of mirrors between probes: in memory only, and never needed.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::challenge::{Challenge, Token};
use super::layer;
use super::manifest::Descriptor;
use crate::image::Image;
use crate::mirror::MirrorUrl;

/// Of so many images the layers are remembered for each mirror.
const IMAGES: usize = 4;

/// And of each image so many layers: enough to rotate through.
const LAYERS: usize = 16;

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
    /// The newest last.
    images: Vec<(Image, Vec<Descriptor>)>,
}

impl Known {
    /// Looks at, or changes, what is known of `mirror`.
    pub(super) fn of<T>(&self, mirror: &MirrorUrl, look: impl FnOnce(&mut Mirror) -> T) -> T {
        let mut all: MutexGuard<'_, _> = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        look(all.entry(mirror.clone()).or_default())
    }
}

impl Mirror {
    /// The layers of `image`, or of the image rehearsed last.
    pub(super) fn layers(&self, image: Option<&Image>) -> Option<(Image, Vec<Descriptor>)> {
        match image {
            Some(image) => self.images.iter().find(|(known, _)| known == image).cloned(),
            None => self.images.last().cloned(),
        }
    }

    /// Remembers the layers of `image`, those first that tell most.
    pub(super) fn learn(&mut self, image: &Image, mut layers: Vec<Descriptor>) {
        self.forget(image);
        layers.sort_by_key(|layer| !layer::is_telling(layer));
        layers.truncate(LAYERS);
        layers.shrink_to_fit();
        if self.images.len() == IMAGES {
            self.images.remove(0);
        }
        self.images.push((image.clone(), layers));
    }

    /// Forgets the layers of `image`.
    pub(super) fn forget(&mut self, image: &Image) {
        self.images.retain(|(known, _)| known != image);
    }
}
