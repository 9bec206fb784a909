//! mirrorwatch keeps a container engine's mirror list at the fastest set that really serves.
//!
//! # The map
//!
//! Four layers; a module uses its own layer's words and what stands above it in this list, never
//! what stands below. `tests/architecture.rs` reads the `use` lines and keeps it so.
//!
//! | layer | modules | may |
//! | --- | --- | --- |
//! | words | [`timestamp`], [`mirror`], [`image`], [`observation`], [`pull`], [`reason`], [`secret`], [`text`], [`json`] | name things |
//! | decisions | [`ranking`] | decide: no I/O, no clock, no randomness, no tokio |
//! | edges | [`config`], [`probe`], [`engine`], [`listen`], [`file`](mod@file), [`publish`], [`room`], [`ours`], [`process`], [`store`], [`status`], [`pause`], [`watch`], [`route`], [`confine`] | talk to one outside thing each; no edge knows another (but [`file`](mod@file), [`publish`], [`room`], [`ours`], [`process`] and [`confine`], the shared tools) |
//! | wiring | [`assembly`], [`applier`], [`round`], [`daemon`], [`cli`] | connect them |
//!
//! # What holds everywhere
//!
//! - A failed probe is data, from a closed list ([`reason::FailureKind`]); an error is when *we* are broken.
//! - Time and randomness are arguments. Only [`assembly::now`] reads the wall clock.
//! - The value that is applied is the value that is printed ([`ranking::select::Selection`]).
//! - Unknown is a value: `None`, never `0` or an empty string.
//! - Whatever fails, the engine's file and the running engine stay as they were.

pub mod applier;
pub mod assembly;
pub mod cli;
pub mod config;
pub mod confine;
pub mod daemon;
pub mod engine;
pub mod file;
pub mod image;
pub mod json;
pub mod listen;
pub mod mirror;
pub mod observation;
pub mod ours;
pub mod pause;
pub mod probe;
pub mod process;
pub mod publish;
pub mod pull;
pub mod ranking;
pub mod reason;
pub mod room;
pub mod round;
pub mod route;
pub mod secret;
pub mod status;
pub mod store;
pub mod text;
pub mod timestamp;
pub mod watch;
