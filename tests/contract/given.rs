//! What the tests begin with.

use crate::support::fault::{Act, Fault, Place};
use crate::support::registry::{Options, Registry};

pub(super) use crate::support::registry::at_speed;

pub(super) const INVALID: &str = "[select]\nmaxx = 3\n";

pub(super) fn healthy() -> Registry {
    Registry::start(Options::default())
}

pub(super) fn with(faults: Vec<Fault>) -> Registry {
    Registry::start(Options { faults, ..Options::default() })
}

pub(super) fn broken(place: Place, act: Act) -> Registry {
    with(vec![Fault::at(place, act)])
}
