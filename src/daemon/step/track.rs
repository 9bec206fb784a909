//! One mirror as the daemon follows it.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::daemon::network::Proved;
use crate::image::Image;
use crate::mirror::Mirror;
use crate::observation::Depth;
use crate::ranking::record::Record;
use crate::timestamp::Timestamp;

/// One mirror, or the upstream, in the daemon's eyes.
#[derive(Clone, Debug)]
pub struct Track {
    /// Who.
    pub mirror: Mirror,
    /// What is remembered.
    pub record: Record,
    /// The depth of the probe under way.
    pub in_flight: Option<Depth>,
    /// Counts probes: rotates layers and offsets.
    pub turn: u64,
    /// Counts probes that asked for a layer.
    pub samples: u64,
    /// Counts rehearsals, but for those that stood for a sample.
    pub rehearsals: u64,
    /// What it last proved of our own network.
    pub proved: Proved,
    /// Asked at once and so far, to tell another's failure from ours.
    pub control: Option<Depth>,
    /// Worth a rehearsal soon: its next one may change the list.
    pub deciding: bool,
    /// The image by which it would be acquitted.
    pub ask_for: Option<Image>,
    /// Asked by an event to be looked at now, and how far.
    pub fresh: Option<Depth>,
    /// When it was last to be sampled out of its turn, for what happened then.
    pub sampled_afresh: Option<Timestamp>,
    /// The ground shifted while it was being asked: what it answers is worth nothing.
    pub void: bool,
    /// A real pull failed there: the re-check waits for nothing.
    pub at_once: bool,
    /// A real pull failed at a mirror of the list, and it may have been this one: its next probe tells.
    pub doubted: bool,
    /// How many probes in a row got no answer, while this host was too busy to tell why or otherwise.
    pub starved: u32,
    /// When its last probe ended, recorded or not.
    pub last_asked: Option<Timestamp>,
    /// Where the engine's connections to it may lead, the latest known first.
    addresses: Vec<SocketAddr>,
}

/// So many addresses of one mirror are remembered: names that lead to many hand out a few at a time.
const ADDRESSES: usize = 16;

impl Track {
    /// A mirror with what is remembered of it.
    pub fn new(mirror: Mirror, mut record: Record, now: Timestamp) -> Self {
        record.resume(now);
        Self {
            mirror,
            record,
            in_flight: None,
            turn: 0,
            samples: 0,
            rehearsals: 0,
            proved: Proved::default(),
            control: None,
            deciding: false,
            ask_for: None,
            fresh: None,
            sampled_afresh: None,
            void: false,
            at_once: false,
            doubted: false,
            starved: 0,
            last_asked: None,
            addresses: Vec::new(),
        }
    }

    /// How often it was asked so far or farther in this run.
    pub fn asked(&self, depth: Depth) -> u64 {
        match depth {
            Depth::Connect => self.turn,
            Depth::Sample => self.samples,
            Depth::Rehearse => self.rehearsals,
        }
    }

    /// Where the engine's connections to it may lead: to any address of its name, and not only to the one that answered
    /// us.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let answered = [self.record.address(), self.record.layer_address()].into_iter().flatten();
        let mut all: Vec<SocketAddr> = answered.collect();
        for address in &self.addresses {
            if !all.contains(address) {
                all.push(*address);
            }
        }
        all.dedup();
        all
    }

    /// Whether all of these are known.
    pub(super) fn leads_to(&self, addresses: &BTreeSet<SocketAddr>) -> bool {
        addresses.iter().all(|address| self.addresses.contains(address))
    }

    /// A probe found its name, and that of the host that served the layer, to lead there.
    pub(super) fn led_to(&mut self, addresses: &BTreeSet<SocketAddr>) {
        self.addresses.retain(|address| !addresses.contains(address));
        self.addresses.splice(0..0, addresses.iter().copied());
        self.addresses.truncate(ADDRESSES);
    }
}
