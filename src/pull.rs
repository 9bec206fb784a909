//! What the engine's own pulls showed of a mirror: the best probe, and a free one.

use serde::{Deserialize, Serialize};

use crate::mirror::MirrorUrl;
use crate::observation::Failure;
use crate::timestamp::Timestamp;

/// One thing that a real pull showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sign {
    /// When the engine did or said it.
    pub at: Timestamp,
    /// What it was.
    pub seen: Seen,
}

/// What a real pull can show.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// The engine left this mirror for the next one, or had to try again, because it failed.
    Left {
        /// Which mirror.
        url: MirrorUrl,
        /// How, as far as the engine said.
        failure: Failure,
    },
    /// A connection of the engine to this mirror is open and nothing comes.
    Silent {
        /// Which mirror.
        url: MirrorUrl,
        /// Since how many milliseconds.
        quiet_ms: u64,
        /// Something came since the engine last asked, and that may be all: `docker build` keeps its connections for the
        /// next request.
        #[serde(default)]
        may_rest: bool,
    },
    /// So little comes from this mirror that nobody would wait for it.
    Crawling {
        /// Which mirror.
        url: MirrorUrl,
        /// What came, over all connections together, for half a minute.
        bytes_per_second: f64,
    },
    /// This mirror served.
    Served {
        /// Which mirror.
        url: MirrorUrl,
        /// How many bytes came.
        bytes: u64,
        /// How fast, where enough came to tell.
        bytes_per_second: Option<f64>,
    },
    /// A mirror of the list failed, and the engine did not say which.
    Doubtful {
        /// What the engine said, safe for a terminal.
        detail: String,
    },
    /// The engine asked for something that the mirror, or nobody, has: this counts for nothing.
    Absent {
        /// What the engine said, safe for a terminal.
        detail: String,
    },
}

impl Seen {
    /// The mirror that it is about, where that is known.
    pub fn url(&self) -> Option<&MirrorUrl> {
        match self {
            Self::Left { url, .. }
            | Self::Silent { url, .. }
            | Self::Crawling { url, .. }
            | Self::Served { url, .. } => Some(url),
            Self::Doubtful { .. } | Self::Absent { .. } => None,
        }
    }
}
