//! The contract, sentence by sentence, as somebody tries it who knows only the program and not its inside.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "a test plays the editors that truncate and write")]

mod host;
mod namespace;
#[expect(dead_code, reason = "the fakes are shared by several tests, and each uses a part")]
mod support;

mod contract {
    mod applying;
    mod candidates;
    mod edits;
    mod exits;
    mod given;
    mod probing;
    mod running;
    mod selection;
    mod shape;
    mod status;
}
