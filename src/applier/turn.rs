//! One change of the engine's list, within the limit of an hour.

use std::path::Path;

use super::memory::Memory;
use crate::engine::Problem;
use crate::reason::ProblemKind;
use crate::timestamp::Timestamp;

/// Lets `apply` act, if it would change nothing or there is a turn left.
///
/// A turn is taken, and written down by `keep`, before it is used: an applier that dies on the way has had its turn.
///
/// # Errors
/// No turn is left, it cannot be written down, or what `apply` says.
pub async fn turn<T>(
    memory: &mut Memory,
    now: Timestamp,
    changes: Option<&Path>,
    keep: impl FnOnce(&Memory) -> Result<(), String>,
    apply: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    if let Some(file) = changes {
        if !memory.take_reload(now) {
            let detail = format!(
                "{}: not written: the list was changed as often as it may be in an hour",
                file.display()
            );
            return Err(Problem::new(ProblemKind::ReloadsSpent, detail));
        }
        keep(memory).map_err(|cause| Problem::new(ProblemKind::Unwritable, cause))?;
    }
    apply.await
}
