//! What of a status is not healthy.

use std::time::Duration;

use super::{Engine, EngineState, Network, ServiceState, Status, Verdict};
use crate::reason::NetworkKind;
use crate::timestamp::Timestamp;

/// One thing that is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trouble<'a> {
    /// The service is there, and has not renewed its status for long.
    Silent {
        /// For how long.
        time: Duration,
    },
    /// Our own network does not work.
    NetworkDown {
        /// Why it is taken to be so.
        reason: Option<&'a str>,
        /// What everybody's failures have in common.
        kind: Option<NetworkKind>,
        /// What the reason says beyond that.
        detail: Option<&'a str>,
    },
    /// No mirror is live, and the upstream does not answer either.
    NothingLive,
    /// An engine is enabled, and none was found.
    NoEngine,
    /// An engine does not have the selection.
    EngineWithout(&'a Engine),
    /// mirrors.toml is invalid; the last valid one is gone by.
    ConfigInvalid {
        /// `file:line:column: what`.
        error: Option<&'a str>,
    },
    /// Somebody paused the service, or one engine.
    Paused {
        /// The engine; `None` is all of them.
        engine: Option<&'a str>,
        /// When it ends by itself.
        until: Option<Timestamp>,
    },
}

impl Status {
    /// What is not healthy, in the order in which a person would mend it: first what the others follow from.
    pub fn health(&self) -> Vec<Trouble<'_>> {
        let mut troubles: Vec<Trouble<'_>> = self
            .service
            .silent_ms
            .map(Duration::from_millis)
            .map(|time| Trouble::Silent { time })
            .into_iter()
            .collect();
        let down = self.service.network == Some(Network::Down);
        if down {
            troubles.push(Trouble::NetworkDown {
                reason: self.service.network_reason.as_deref(),
                kind: self.service.network_kind,
                detail: self.service.network_detail.as_deref(),
            });
        }
        if !down && self.nothing_live() && self.upstream.answers != Some(true) {
            troubles.push(Trouble::NothingLive);
        }
        if !self.engines.is_empty() && self.engines.iter().all(|engine| engine.state == EngineState::Absent) {
            troubles.push(Trouble::NoEngine);
        }
        let none_found = troubles.contains(&Trouble::NoEngine);
        troubles.extend(
            self.engines
                .iter()
                .filter(|engine| self.is_without(engine, none_found))
                .map(Trouble::EngineWithout),
        );
        if !self.service.config.valid {
            troubles.push(Trouble::ConfigInvalid { error: self.service.config.error.as_deref() });
        }
        if self.service.state == ServiceState::Paused {
            troubles.push(Trouble::Paused { engine: None, until: self.service.paused_until });
        }
        for engine in &self.engines {
            if let Some(pause) = engine.paused {
                troubles.push(Trouble::Paused { engine: Some(&engine.name), until: pause.until });
            }
        }
        troubles
    }

    /// Nobody can be selected; before the end of the first round that is not known.
    fn nothing_live(&self) -> bool {
        self.service.state != ServiceState::Starting
            && self.mirrors.iter().all(|mirror| mirror.verdict == Verdict::Rejected)
    }

    fn is_without(&self, engine: &Engine, none_found: bool) -> bool {
        match engine.state {
            EngineState::InPlace => false,
            // Without a problem it is only waiting for what is said elsewhere: the end of a pause.
            EngineState::Pending => {
                engine.problem.is_some()
                    || (engine.paused.is_none() && self.service.state != ServiceState::Paused)
            }
            EngineState::Refused | EngineState::RolledBack => true,
            // "auto" and not installed is as it should be, as long as another one is there.
            EngineState::Absent => engine.problem.is_some() && !none_found,
        }
    }
}

/// For logs and for other programs: English.
impl std::fmt::Display for Trouble<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Silent { time } => {
                let time = humantime::format_duration(*time);
                write!(f, "the service has not renewed its status for {time}")
            }
            Self::NetworkDown { reason, .. } => {
                write!(f, "the network is down: {}", reason.unwrap_or("unknown"))
            }
            Self::NothingLive => f.write_str("no mirror is live, and the upstream does not answer"),
            Self::NoEngine => f.write_str("no engine was found"),
            Self::EngineWithout(engine) => {
                let problem = engine.problem.as_deref().unwrap_or("not yet");
                write!(f, "{} does not have the list: {problem}", engine.name)
            }
            Self::ConfigInvalid { error } => {
                write!(f, "mirrors.toml is invalid: {}", error.unwrap_or("unknown"))
            }
            Self::Paused { engine, .. } => write!(f, "{} is paused", engine.unwrap_or("the service")),
        }
    }
}
