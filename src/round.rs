//! One round by hand: every mirror is rehearsed at once, and what was seen comes back in one piece.

use std::rc::Rc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::task::LocalSet;

use crate::assembly;
use crate::image::Image;
use crate::mirror::MirrorUrl;
use crate::observation::{Depth, Observation};
use crate::probe::{NAMES_AT_ONCE, Prober, Task};
use crate::reason::FailureKind;

/// So many files a probe may have: as many addresses of one host race.
const FILES_EACH: u64 = 4;

/// Files for what else is open: the names that are asked for, with two queries to three servers each, and the process's
/// own.
const OTHER_FILES: u64 = NAMES_AT_ONCE as u64 * 6 + 64;

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
    let permits = Rc::new(tokio::sync::Semaphore::new(at_once(mirrors.len())));
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let local = LocalSet::new();
    for url in mirrors {
        let (prober, permits, sender) = (Rc::clone(&prober), Rc::clone(&permits), sender.clone());
        let (url, plan) = (url.clone(), plan.clone());
        local.spawn_local(async move {
            let _permit = permits.acquire().await.expect("the semaphore is never closed");
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

/// How many of `mirrors` may be asked at the same time. Where the usual limit of open files is too low for all of them,
/// it is raised, as far as this process may: a mirror that does not answer would hold up those behind it.
fn at_once(mirrors: usize) -> usize {
    let wanted = mirrors as u64 * FILES_EACH + OTHER_FILES;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let files = match current {
        Some(current) if current < wanted => {
            let raised = maximum.map_or(wanted, |maximum| maximum.min(wanted));
            match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }) {
                Ok(()) => raised,
                Err(_) => current,
            }
        }
        Some(_) | None => wanted,
    };
    usize::try_from(files.saturating_sub(OTHER_FILES) / FILES_EACH).unwrap_or(mirrors).max(1)
}

async fn ask_one(prober: &Prober, url: &MirrorUrl, plan: &Plan, mut tell: impl FnMut(Observation)) {
    let images: Vec<Option<Image>> = match plan.depth {
        Depth::Connect => vec![None],
        Depth::Sample | Depth::Rehearse => plan.images.iter().cloned().map(Some).collect(),
    };
    for (turn, image) in (0..).zip(images) {
        let task = Task { depth: plan.depth, image, turn };
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
