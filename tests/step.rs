//! The daemon's decisions in virtual time: hours and days of a world with mirrors that die, stall and recover.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod step {
    mod days;
    mod goals;
    mod hand;
    mod laws;
    mod manners;
    mod network;
    mod standing;
    mod world;
}
