//! What the tests begin with.

use crate::support::fault::{Act, Fault, Place};
use crate::support::registry::{Options, Registry};

pub(super) const INVALID: &str = "[select]\nmaxx = 3\n";

pub(super) fn healthy() -> Registry {
    Registry::start(Options::default())
}

pub(super) fn at_speed(speed: u64) -> Registry {
    Registry::start(Options { speed: Some(speed), ..Options::default() })
}

pub(super) fn with(faults: Vec<Fault>) -> Registry {
    Registry::start(Options { faults, ..Options::default() })
}

pub(super) fn broken(place: Place, act: Act) -> Registry {
    with(vec![Fault::at(place, act)])
}
