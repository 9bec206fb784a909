//! Which mirrors, in which order: every decision, and nothing but decisions.
//!
//! No I/O, no clock, no randomness: the time is an argument, observations come in, a selection goes out.
//!
//! # From observations to a record
//!
//! A mirror is [`Unprobed`](record::Standing), live or rejected. One that was never live is rejected by one
//! failure and live after one good rehearsal. One that is live is rejected by `fall` failures in a row, and
//! is live again after `rise` good rehearsals in a row. Failures are counted by the depth that saw them, and
//! a success clears those of its own depth and of lesser ones only: that a connection works says nothing of
//! a layer that stalls. Some answers are not counted:
//!
//! - *403 and 404 are about an image.* The image rests for an hour, doubling to six; the mirror's coverage
//!   falls. A mirror that serves none of the images that count is rejected, and so is one that refuses
//!   `fall` images in a row all of which it served before: that is a door shut and not an allowlist.
//! - *429 is about us.* The mirror is rejected and rests, as long as it asks, or an hour doubling to six.
//! - *Wrong bytes* reject at once.
//!
//! # From a record to a figure
//!
//! A mirror's figure is the predicted seconds of a reference pull: 30 MiB in 4 layers, of which dockerd
//! fetches 3 at a time. It is the time to the manifest, twice the time to a layer's first byte, and the
//! bytes at their pace, each smoothed and with its deviation added ([`record`]'s `smoothed` says how), divided
//! by how often the mirror succeeds while it is not rejected. What is uncertain therefore looks slower than it
//! may be.
//!
//! # From figures to a list
//!
//! The engine tries a list in its order, so a list's cost is the first mirror's plus, as often as that one
//! does not serve, the second's, and so on. Two neighbours stand the right way round when the first has the
//! lesser *cost per service*: what a try costs over how often it serves. A mirror that refuses what it does
//! not have in a quarter of a second costs next to nothing when it refuses, so a quick one with half of the
//! images may well stand first. With the order known, the best set of at most `max` is an exact dynamic
//! program over it.
//!
//! That is the ideal, and it is taken as it stands while there is no list of ours or only a provisional one.
//! Afterwards the list changes for three reasons only:
//!
//! 1. A member is rejected, or is no candidate any more: it leaves at once.
//! 2. A place is free: the best live mirror takes it, at the end, at once.
//! 3. A mirror is `margin` faster than the slowest member, or than a member before it: by its smoothed
//!    figure, whose deviation counts against it, and by its own figure of each of its last `rounds`
//!    rehearsals. If the last change of this kind is `hold` ago, the slowest makes room for it at the end, or
//!    it comes to stand before the one that it has overtaken. A mirror that serves more of the images than a
//!    member may also replace that one when the whole list gets `margin` better by it.
//!
//! Of mirrors that are nearly as good every host would take the same, and a fleet would fall upon it. So each host
//! has a whim of its own for each mirror, by which it takes it for up to half of `margin` slower than it is.
//!
//! # Who takes part
//!
//! Live mirrors without any reason against them, judged together, in this order: *unfit* for the engine's
//! store; *stale*, by a majority of those asked at the same time, or by the upstream; *slower than the
//! upstream*, which a member is only when the upstream has proved it; *same backend* as a better one. On the
//! containerd store one loopback or plain mirror switches off TLS verification for all of a pull, so that
//! those and https mirrors never stand in one list: the better of the two lists goes.
//!
//! Nothing takes part: when the upstream answers, the list is empty and the engine goes there at once;
//! otherwise the list stays as it is, because an empty one could only be worse.

pub mod record;
pub mod score;
pub mod select;
pub mod verdict;

use std::time::Duration;

use crate::image::Image;
use crate::observation::ImageStore;

/// What the administrator wants, as far as decisions go by it. The default is that of mirrors.toml.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The most mirrors in the list.
    pub max: usize,
    /// A challenger must be faster by this share: 0.1 is a tenth. In 60 made-up worlds of 14 days (`benches/worlds.rs`)
    /// a tenth loses 13.8 % of a pull's time against an oracle at 3.5 reloads a day, and a fifth 18.1 % at 3.2.
    pub margin: f64,
    /// In so many rehearsals in a row.
    pub rounds: u32,
    /// Failures in a row that reject a live mirror.
    pub fall: u32,
    /// Good rehearsals in a row that make a rejected mirror live again.
    pub rise: u32,
    /// The pause between the rehearsals of a mirror that is about to change the list.
    pub decide: Duration,
    /// The least time between two changes made only to be faster.
    pub hold: Duration,
    /// Whether a mirror that is slower than the upstream is of no use.
    pub compare_upstream: bool,
    /// Bytes per second below which a rehearsal has failed.
    pub min_speed: u64,
    /// The engine's image store; unknown is either.
    pub store: Option<ImageStore>,
    /// The images that count for coverage; empty: every image that was asked for.
    pub images: Vec<Image>,
    /// Differs from host to host, so that of several mirrors that are as good not every host takes the same;
    /// `None`: they are taken as they sort.
    pub spread: Option<u64>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max: 3,
            margin: 0.1,
            rounds: 3,
            fall: 3,
            rise: 2,
            decide: Duration::from_secs(600),
            hold: Duration::from_secs(3600),
            compare_upstream: true,
            min_speed: 64 * 1024,
            store: None,
            images: vec!["library/busybox:latest".parse().expect("it is an image's name")],
            spread: None,
        }
    }
}
