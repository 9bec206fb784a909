//! What runs beside the loop, and what it brings back.

use std::rc::Rc;

use tracing::error;

use crate::engine::{Applied, Facts, Problem};
use crate::mirror::MirrorUrl;
use crate::observation::{Failure, Observation, Outcome, Stage};
use crate::probe::{Prober, Task};
use crate::ranking::select::Change;
use crate::reason::FailureKind;
use crate::timestamp::Timestamp;

/// What the tasks beside the loop bring back.
pub(super) enum Done {
    Probed(MirrorUrl, Box<Observation>),
    Looked(Box<Result<Facts, Problem>>),
    Applied(Vec<MirrorUrl>, Change, Result<Applied, Problem>),
    Told,
}

/// One probe, which begins at once. An answer that breaks the prober is that mirror's failure, and nobody else's.
pub(super) fn probed(
    prober: Rc<Prober>,
    url: MirrorUrl,
    task: Task,
    now: Timestamp,
) -> impl Future<Output = Observation> {
    let image = task.image.clone();
    let broken = Observation { image, ..Observation::new(now, task.depth) };
    survived(async move { prober.probe(&url, &task, now).await }, broken)
}

/// What is returned is small: a probe takes kilobytes, and they are to be had once.
fn survived(
    probe: impl Future<Output = Observation> + 'static,
    broken: Observation,
) -> impl Future<Output = Observation> {
    let probe = tokio::task::spawn_local(probe);
    async move {
        probe.await.unwrap_or_else(|died| {
            error!("a probe died, which is a bug of mirrorwatch: {died}");
            let detail = "mirrorwatch cannot cope with its answer".to_owned();
            let failure = Failure { kind: FailureKind::ProtocolError, stage: Stage::Manifest, detail };
            Observation { outcome: Outcome::Failed(failure), ..broken }
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::LocalSet;

    use super::*;
    use crate::observation::Depth;

    #[tokio::test]
    async fn a_probe_that_panics_is_its_mirrors_failure() {
        let whole = Observation::new(Timestamp::from_millis(5), Depth::Rehearse);
        let (served, broken) = (whole.clone(), whole.clone());
        let local = LocalSet::new();
        let fine = local.run_until(async { survived(async { served }, broken).await }).await;
        assert_eq!(fine, whole);
        #[expect(clippy::panic, reason = "that is what is survived")]
        let died =
            local.run_until(async { survived(async { panic!("an answer") }, whole.clone()).await }).await;
        assert_eq!((died.at, died.depth), (whole.at, whole.depth));
        assert_eq!(died.failure().map(|failure| failure.kind), Some(FailureKind::ProtocolError));
    }
}
