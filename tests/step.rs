//! The daemon's decisions in virtual time: hours and days of a world with mirrors that die, stall and recover.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod step {
    mod blind;
    mod budget;
    mod edits;
    mod fleet;
    mod goals;
    mod hand;
    mod laws;
    mod manners;
    mod mood;
    mod network;
    mod pulls;
    mod reloads;
    mod rests;
    mod scenarios;
    mod shown;
    mod standing;
    mod world;
}
