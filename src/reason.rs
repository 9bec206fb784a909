//! The closed lists: why a probe failed, why a mirror is rejected, what is wrong with an engine,
//! why the list changed.
//!
//! The words are public: they stand in JSON, in logs and in the database, in English always.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Declares a closed list of public words.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$word_meta:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$word_meta])* $variant,)+ }

        impl $name {
            /// Every word of the list, in its order.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The public word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// How a probe failed.
    FailureKind {
        /// The name has no address, or nobody said within the cap.
        NameNotResolved = "name_not_resolved",
        /// The name of a public host leads to loopback, a private, a metadata or a bogus address.
        SuspiciousAddress = "suspicious_address",
        /// The host refused the connection.
        ConnectionRefused = "connection_refused",
        /// No route, or an ICMP error.
        Unreachable = "unreachable",
        /// No answer to the SYN.
        ConnectTimeout = "connect_timeout",
        /// The certificate has expired or is not yet valid.
        TlsExpired = "tls_expired",
        /// No authority that this host trusts signed the certificate.
        TlsUntrusted = "tls_untrusted",
        /// The certificate is for other names.
        TlsWrongHost = "tls_wrong_host",
        /// Any other trouble of the TLS handshake.
        TlsError = "tls_error",
        /// Connected, asked, and no byte came within the time-out.
        NoAnswer = "no_answer",
        /// The connection ended before the answer did.
        ConnectionLost = "connection_lost",
        /// What answers is not a registry: a web page, another JSON.
        NotARegistry = "not_a_registry",
        /// It wants an account.
        LoginRequired = "login_required",
        /// 403: this image, or this client, is not allowed.
        NotAllowed = "not_allowed",
        /// 404: it does not have the image.
        NotFound = "not_found",
        /// 429, or Docker Hub's `TOOMANYREQUESTS` passed on in another answer.
        RateLimited = "rate_limited",
        /// 5xx.
        ServerError = "server_error",
        /// No byte of a body for `stall`.
        Stalled = "stalled",
        /// A layer came slower than `min_speed`.
        TooSlow = "too_slow",
        /// The bytes are not those of the digest.
        Corrupt = "corrupt",
        /// The tag leads to another digest than with the others, and to an old one.
        Stale = "stale",
        /// A redirect that is not followed: too many, downgraded, to a forbidden address, or not of a layer.
        RedirectRefused = "redirect_refused",
        /// More bytes than such an answer may have.
        AnswerTooLarge = "answer_too_large",
        /// Not HTTP/1.1, or not as the distribution specification has it.
        ProtocolError = "protocol_error",
    }
}

words! {
    /// Why this host's own network is taken to be down.
    NetworkKind {
        /// Nobody answers, and that is all.
        Silence = "silence",
        /// No name is resolved.
        Names = "names",
        /// Every certificate has expired or is not yet valid.
        Clock = "clock",
        /// Somebody else answers for every name, as a captive portal does.
        Portal = "portal",
        /// This process did not get to run.
        Busy = "busy",
    }
}

words! {
    /// Why a mirror is rejected, or why a live one is not used: a failure, or one of the rest.
    ReasonKind {
        /// See [`FailureKind::NameNotResolved`].
        NameNotResolved = "name_not_resolved",
        /// See [`FailureKind::SuspiciousAddress`].
        SuspiciousAddress = "suspicious_address",
        /// See [`FailureKind::ConnectionRefused`].
        ConnectionRefused = "connection_refused",
        /// See [`FailureKind::Unreachable`].
        Unreachable = "unreachable",
        /// See [`FailureKind::ConnectTimeout`].
        ConnectTimeout = "connect_timeout",
        /// See [`FailureKind::TlsExpired`].
        TlsExpired = "tls_expired",
        /// See [`FailureKind::TlsUntrusted`].
        TlsUntrusted = "tls_untrusted",
        /// See [`FailureKind::TlsWrongHost`].
        TlsWrongHost = "tls_wrong_host",
        /// See [`FailureKind::TlsError`].
        TlsError = "tls_error",
        /// See [`FailureKind::NoAnswer`].
        NoAnswer = "no_answer",
        /// See [`FailureKind::ConnectionLost`].
        ConnectionLost = "connection_lost",
        /// See [`FailureKind::NotARegistry`].
        NotARegistry = "not_a_registry",
        /// See [`FailureKind::LoginRequired`].
        LoginRequired = "login_required",
        /// See [`FailureKind::NotAllowed`].
        NotAllowed = "not_allowed",
        /// See [`FailureKind::NotFound`].
        NotFound = "not_found",
        /// See [`FailureKind::RateLimited`].
        RateLimited = "rate_limited",
        /// See [`FailureKind::ServerError`].
        ServerError = "server_error",
        /// See [`FailureKind::Stalled`].
        Stalled = "stalled",
        /// See [`FailureKind::TooSlow`].
        TooSlow = "too_slow",
        /// See [`FailureKind::Corrupt`].
        Corrupt = "corrupt",
        /// See [`FailureKind::Stale`].
        Stale = "stale",
        /// See [`FailureKind::RedirectRefused`].
        RedirectRefused = "redirect_refused",
        /// See [`FailureKind::AnswerTooLarge`].
        AnswerTooLarge = "answer_too_large",
        /// See [`FailureKind::ProtocolError`].
        ProtocolError = "protocol_error",
        /// No rehearsal yet.
        Unprobed = "unprobed",
        /// The upstream itself is faster.
        SlowerThanUpstream = "slower_than_upstream",
        /// Another mirror, named in the detail, has the same backend.
        SameBackend = "same_backend",
        /// The engine's image store cannot live with it.
        Unfit = "unfit",
        /// Switched off in mirrors.toml, or in a group that takes no part.
        Disabled = "disabled",
        /// Live, and `max` others are better, or it has not proved yet to be. Does not change the verdict.
        NotSelected = "not_selected",
        /// Live, and its probes are stretched to keep the budget. Does not change the verdict.
        OverBudget = "over_budget",
    }
}

impl From<FailureKind> for ReasonKind {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::NameNotResolved => Self::NameNotResolved,
            FailureKind::SuspiciousAddress => Self::SuspiciousAddress,
            FailureKind::ConnectionRefused => Self::ConnectionRefused,
            FailureKind::Unreachable => Self::Unreachable,
            FailureKind::ConnectTimeout => Self::ConnectTimeout,
            FailureKind::TlsExpired => Self::TlsExpired,
            FailureKind::TlsUntrusted => Self::TlsUntrusted,
            FailureKind::TlsWrongHost => Self::TlsWrongHost,
            FailureKind::TlsError => Self::TlsError,
            FailureKind::NoAnswer => Self::NoAnswer,
            FailureKind::ConnectionLost => Self::ConnectionLost,
            FailureKind::NotARegistry => Self::NotARegistry,
            FailureKind::LoginRequired => Self::LoginRequired,
            FailureKind::NotAllowed => Self::NotAllowed,
            FailureKind::NotFound => Self::NotFound,
            FailureKind::RateLimited => Self::RateLimited,
            FailureKind::ServerError => Self::ServerError,
            FailureKind::Stalled => Self::Stalled,
            FailureKind::TooSlow => Self::TooSlow,
            FailureKind::Corrupt => Self::Corrupt,
            FailureKind::Stale => Self::Stale,
            FailureKind::RedirectRefused => Self::RedirectRefused,
            FailureKind::AnswerTooLarge => Self::AnswerTooLarge,
            FailureKind::ProtocolError => Self::ProtocolError,
        }
    }
}

words! {
    /// Why an engine does not have, or cannot be given, the selection.
    ProblemKind {
        /// The engine is not installed, or its socket is not there.
        NotRunning = "not_running",
        /// The engine failed so often that systemd refuses to start it again.
        GivenUp = "given_up",
        /// The engine does not run, and its file is one with which it does not start.
        CannotStart = "cannot_start",
        /// The engine's socket answers, and not as the engine's API does, or not in time.
        NoAnswer = "no_answer",
        /// We may not read or write what we must.
        NotPermitted = "not_permitted",
        /// The file is not valid JSON, or not an object.
        BrokenFile = "broken_file",
        /// The engine takes the file, and an edit of it would have to guess: the key is there twice, say.
        NotEditable = "not_editable",
        /// The file cannot be read.
        Unreadable = "unreadable",
        /// The place cannot be written: read-only, immutable, full, a bind-mounted file.
        Unwritable = "unwritable",
        /// dockerd was started with a `--registry-mirror` flag; file and flag together stop it.
        FlagConflict = "flag_conflict",
        /// Authorization plugins: a reload switches off what is not in the file, and one there that fails ends dockerd.
        AuthorizationPlugins = "authorization_plugins",
        /// This version of dockerd forgets `insecure-registries` at a reload (23.0.0 to 23.0.6, 24.0.0).
        ReloadBug = "reload_bug",
        /// A reload would reset what dockerd was told on its command line.
        FlagsReset = "flags_reset",
        /// A `hosts.toml` for docker.io overrides `registry-mirrors`.
        Overridden = "overridden",
        /// The engine belongs to an application that alone configures it: Docker Desktop, OrbStack.
        InsideAnApp = "inside_an_app",
        /// What answers as the engine is another user's process, or not the program that it goes by.
        AnotherUsers = "another_users",
        /// `dockerd --validate` refused the file that we would write.
        ValidationFailed = "validation_failed",
        /// Somebody else wrote the file while we were at it.
        Raced = "raced",
        /// The reload could not be asked for.
        ReloadFailed = "reload_failed",
        /// The reload was asked for and the engine did not take the list; the old file is back.
        NotTaken = "not_taken",
        /// The old file could not be put back; the detail says where its bytes are.
        RollbackFailed = "rollback_failed",
        /// Another mirrorwatch holds the lock.
        Locked = "locked",
        /// Somebody's edits in the file wait for a reload, and ours would activate them; the detail names the keys.
        PendingEdits = "pending_edits",
        /// Another program keeps rewriting the list; the service has stopped doing the same.
        Contested = "contested",
        /// The engine was reloaded as often in a day as it may be; only a dead or lying head is still replaced.
        ReloadsSpent = "reloads_spent",
        /// The process of ours that writes was not there, or did not take what it was asked; the detail says which.
        Applier = "applier",
    }
}

impl ProblemKind {
    /// The engine does not run, whatever keeps it from that.
    pub const fn is_down(self) -> bool {
        matches!(self, Self::NotRunning | Self::GivenUp | Self::CannotStart)
    }

    /// Somebody else writes in this very moment.
    pub const fn is_a_race(self) -> bool {
        matches!(self, Self::Raced | Self::Locked)
    }
}

words! {
    /// What is worth knowing of an engine although it does not stand in the way.
    WarningKind {
        /// A `docker login` to Docker Hub on the classic store: it is sent to any mirror that asks.
        LoginLeaks = "login_leaks",
        /// An entry to keep that is plain http or loopback on the containerd store, which then verifies no mirror's
        /// certificate and not Docker Hub's; the detail names such entries.
        TlsUnverified = "tls_unverified",
        /// dockerd up to 24: `docker build` sees a new list only after Docker's next start.
        BuildNeedsRestart = "build_needs_restart",
        /// A reload resets what dockerd was told by these flags; the detail names them.
        FlagsReset = "flags_reset",
        /// Our reload would activate somebody else's edits too; the detail names the keys.
        PendingEdits = "pending_edits",
        /// The file has listed other mirrors than the engine uses for some minutes; the detail says which.
        ListEdited = "list_edited",
        /// The file has the key `registry-mirror`, which dockerd ignores in silence.
        MisspeltKey = "misspelt_key",
        /// The engine's proxy has a password that cannot be read; probes go there without one.
        ProxyHidden = "proxy_hidden",
        /// The disk on which the engine's old files are kept is full; the detail is where.
        StateFull = "state_full",
    }
}

words! {
    /// Why the list changed.
    ChangeKind {
        /// The first list.
        First = "first",
        /// A member was rejected; the detail is the reason's word.
        MemberRejected = "member_rejected",
        /// A free place was filled.
        Filled = "filled",
        /// Another order or member is faster by `margin` in `rounds` rehearsals.
        Faster = "faster",
        /// A member left: it is no longer a candidate (removed, disabled, its group left out), or, where the reason is
        /// `not_selected`, there is no place for it.
        MemberRemoved = "member_removed",
        /// Nothing is live and the upstream answers.
        NothingLive = "nothing_live",
        /// Somebody ran `apply`.
        ByHand = "by_hand",
        /// Somebody ran `restore`.
        Restored = "restored",
        /// The engine's own list differed from the selection.
        EngineDiffered = "engine_differed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_serialised_form_is_the_public_word() {
        for kind in FailureKind::ALL {
            assert_eq!(serde_json::to_string(kind).unwrap(), format!("\"{kind}\""));
            assert_eq!(ReasonKind::from(*kind).as_str(), kind.as_str());
        }
        for kind in ReasonKind::ALL {
            assert_eq!(serde_json::to_string(kind).unwrap(), format!("\"{kind}\""));
        }
    }
}
