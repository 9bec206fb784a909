//! One round by hand: every mirror is rehearsed at once, and what was seen comes back in one piece.

use std::rc::Rc;

use tokio::task::LocalSet;

use crate::assembly;
use crate::image::Image;
use crate::mirror::MirrorUrl;
use crate::observation::{Depth, Observation};
use crate::probe::{Prober, Task};
use crate::reason::FailureKind;

/// What is asked of every mirror of a round.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How far.
    pub depth: Depth,
    /// For which images, one after the other; a mirror that fails altogether is not asked for the rest.
    pub images: Vec<Image>,
}

/// Asks all of `mirrors`; `seen` hears of each observation as it comes in.
pub async fn ask(
    prober: Rc<Prober>,
    mirrors: &[MirrorUrl],
    plan: &Plan,
    mut seen: impl FnMut(&MirrorUrl, &Observation),
) -> Vec<(MirrorUrl, Observation)> {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let local = LocalSet::new();
    for url in mirrors {
        let (prober, sender) = (Rc::clone(&prober), sender.clone());
        let (url, plan) = (url.clone(), plan.clone());
        local.spawn_local(async move {
            ask_one(&prober, &url, &plan, |observation| {
                // The receiver lives until every sender is gone.
                let _ = sender.send((url.clone(), observation));
            })
            .await;
        });
    }
    drop(sender);
    local
        .run_until(async move {
            let mut all = Vec::new();
            while let Some((url, observation)) = receiver.recv().await {
                seen(&url, &observation);
                all.push((url, observation));
            }
            all
        })
        .await
}

async fn ask_one(prober: &Prober, url: &MirrorUrl, plan: &Plan, mut tell: impl FnMut(Observation)) {
    let images: Vec<Option<Image>> = match plan.depth {
        Depth::Connect => vec![None],
        Depth::Sample | Depth::Rehearse => plan.images.iter().cloned().map(Some).collect(),
    };
    for (turn, image) in (0..).zip(images) {
        // A layer to take a sample of is what only a rehearsal finds.
        let depth = if plan.depth == Depth::Sample { Depth::Rehearse } else { plan.depth };
        let task = Task { depth, image, layers: None, turn };
        let observation = prober.probe(url, &task, assembly::now()).await;
        let go_on = match observation.failure() {
            None => true,
            Some(failure) => matches!(failure.kind, FailureKind::NotAllowed | FailureKind::NotFound),
        };
        tell(observation);
        if !go_on {
            return;
        }
    }
}
