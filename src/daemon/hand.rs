//! The hand that gives the engine its list: our own, or that of the process that may.

use std::path::PathBuf;
use std::rc::Rc;

use super::Places;
use crate::applier::{self, Applier, Named};
use crate::assembly;
use crate::config::Config;
use crate::confine;
use crate::engine::docker::Docker;
use crate::engine::{Applied, Facts, Problem};
use crate::listen::Pulls;
use crate::mirror::MirrorUrl;
use crate::reason::ProblemKind;
use crate::timestamp::Timestamp;

/// Who speaks to the engine.
#[derive(Clone)]
pub(super) enum Hand {
    /// We do: started by hand, as root.
    Here(Rc<Docker>),
    /// The applier, and we ask it: under systemd.
    There(Rc<Applier>),
}

/// A list, and what it is called in mirrors.toml.
pub(super) struct Wanted {
    pub(super) list: Vec<MirrorUrl>,
    pub(super) names: Vec<String>,
}

impl Hand {
    /// Who would ask: nobody unless the daemon is unprivileged.
    pub(super) fn applier(places: &Places) -> Option<Rc<Applier>> {
        let between = places
            .unprivileged
            .then(|| applier::Places::new(&places.config, &places.state, &places.runtime))?;
        Some(Rc::new(Applier::new(between, assembly::now)))
    }

    /// The hand for this engine; `None` when mirrors.toml leaves it out, or `auto` does not find it.
    pub(super) fn new(config: &Config, places: &Places, applier: Option<&Rc<Applier>>) -> Option<Self> {
        let docker = assembly::docker(config, &places.root_state())?;
        Some(applier.map_or_else(|| Self::Here(Rc::new(docker)), |applier| Self::There(Rc::clone(applier))))
    }

    /// What the engine is. What a process of ours that died has left half done is settled first; it says itself
    /// what it does.
    pub(super) async fn look(&self) -> Result<Facts, Problem> {
        match self {
            Self::Here(docker) => {
                match docker.recover().await {
                    Ok(_) => {}
                    Err(problem) if problem.kind == ProblemKind::Locked => {}
                    Err(problem) => tracing::warn!("{problem}"),
                }
                let facts = docker.facts().await;
                docker.hang_up();
                facts
            }
            Self::There(applier) => applier.facts().await,
        }
    }

    /// Gives the engine a list.
    pub(super) async fn apply(&self, wanted: Wanted) -> Result<Applied, Problem> {
        match self {
            Self::Here(docker) => docker.apply(&wanted.list).await,
            Self::There(applier) => {
                let named = |(url, name): (&MirrorUrl, String)| Named { name, url: url.to_string() };
                applier.apply(wanted.list.iter().zip(wanted.names).map(named).collect()).await
            }
        }
    }

    /// Whether a word to the engine's socket reaches it, and does not start it. Who may not ask does not.
    pub(super) fn is_awake(&self) -> bool {
        match self {
            Self::Here(docker) => docker.is_awake(),
            Self::There(_) => true,
        }
    }

    /// Who says that a pull has ended well.
    pub(super) fn pulls(&self) -> Pulls {
        match self {
            Self::Here(docker) => Pulls::Events(docker.socket().to_owned()),
            Self::There(_) => Pulls::Told,
        }
    }

    /// When the last pull ended well, where we are told.
    pub(super) fn pulled(&self) -> Option<Timestamp> {
        match self {
            Self::Here(_) => None,
            Self::There(applier) => applier.pulled(),
        }
    }

    /// The next look is to be a fresh one.
    pub(super) fn doubt(&self) {
        match self {
            Self::Here(_) => {}
            Self::There(applier) => applier.doubt(),
        }
    }

    /// What stood in the engine's own file, where the applier knows it.
    pub(super) fn adopted(&self) -> Option<Vec<MirrorUrl>> {
        match self {
            Self::Here(_) => None,
            Self::There(applier) => Some(applier.adopted()),
        }
    }
}

impl Places {
    /// Leaves this thread its own directories to write in, which are there by now.
    pub(super) fn confine(&self) {
        if !self.confined {
            return;
        }
        match confine::to(&[&self.state, &self.runtime]) {
            Ok(()) => tracing::debug!("confined to {} and {}", self.state.display(), self.runtime.display()),
            Err(why) => tracing::debug!("not confined: {why}"),
        }
    }

    /// Where root keeps the engine's old files and the pause.
    pub(super) fn root_state(&self) -> PathBuf {
        if self.unprivileged {
            applier::Places::new(&self.config, &self.state, &self.runtime).state
        } else {
            applier::root_state(&self.state)
        }
    }
}
