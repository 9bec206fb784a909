//! A user's own Docker: where a rootless dockerd and a mirrorwatch beside it have their places.
//!
//! Docker's own installer (`dockerd-rootless-setuptool.sh`) decides where: the socket and the pid file lie in
//! `$XDG_RUNTIME_DIR`, daemon.json in `~/.config/docker`. Whoever has such a socket is asked about that one, unless
//! mirrors.toml names another.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::config;

/// Looks up an environment variable.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Where a user's own things lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// `$XDG_RUNTIME_DIR`.
    runtime: PathBuf,
    /// The rootless dockerd's.
    socket: PathBuf,
    /// `$XDG_CONFIG_HOME`, or `~/.config`.
    config: PathBuf,
    /// `~/.local/state`, whatever systemd's version thinks of the same.
    state: PathBuf,
}

impl Own {
    /// `None` where this user has no Docker of their own: no socket in `$XDG_RUNTIME_DIR`, and none there that
    /// `$DOCKER_HOST` names, nor a mirrorwatch of their own that would wait for it.
    pub fn find(env: Env<'_>) -> Option<Self> {
        let path = |name: &str| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let runtime = path("XDG_RUNTIME_DIR")?;
        let home = path("HOME")?;
        let named =
            env("DOCKER_HOST").and_then(|host| host.to_str()?.strip_prefix("unix://").map(PathBuf::from));
        // Another than one's own is the system's, and is found without this.
        let socket = named.unwrap_or_else(|| runtime.join("docker.sock"));
        let own = Self {
            config: path("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config")),
            state: home.join(".local/state"),
            runtime,
            socket,
        };
        // A dockerd that is down took its socket with it; that there is a mirrorwatch for it tells as much.
        let there = || own.socket.exists() || own.runtime_dir().is_dir() || own.settings().is_some();
        (own.socket.starts_with(&own.runtime) && there()).then_some(own)
    }

    /// The user's mirrors.toml, if there is one.
    pub fn settings(&self) -> Option<PathBuf> {
        Some(self.config.join("mirrorwatch/mirrors.toml")).filter(|path| path.is_file())
    }

    /// What is remembered.
    pub fn state_dir(&self) -> PathBuf {
        self.state.join("mirrorwatch")
    }

    /// What is published.
    pub fn runtime_dir(&self) -> PathBuf {
        self.runtime.join("mirrorwatch")
    }

    /// `engine` with the user's own places for those that nobody has changed.
    pub fn engine(&self, engine: &config::Engine) -> config::Engine {
        let default = config::Engines::default().docker;
        let or = |said: &Path, default: &Path, own: PathBuf| {
            if said == default { own } else { said.to_owned() }
        };
        if engine.socket != default.socket {
            // Another dockerd is meant, and none of our places is its.
            return engine.clone();
        }
        config::Engine {
            socket: self.socket.clone(),
            config_file: or(
                &engine.config_file,
                &default.config_file,
                self.config.join("docker/daemon.json"),
            ),
            pid_file: or(&engine.pid_file, &default.pid_file, self.runtime.join("docker.pid")),
            ..engine.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> Option<Own> {
        Own::find(&|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn a_docker_of_ones_own_is_one_whose_socket_lies_in_ones_own_directory() {
        let place = tempfile::tempdir().unwrap();
        let runtime = place.path().to_str().unwrap();
        let basic = [("XDG_RUNTIME_DIR", runtime), ("HOME", "/home/u")];
        assert_eq!(found(&basic), None, "no socket");
        let _socket = std::os::unix::net::UnixListener::bind(place.path().join("docker.sock")).unwrap();
        let own = found(&basic).unwrap();
        assert_eq!(own.runtime_dir(), place.path().join("mirrorwatch"));
        assert_eq!(own.state_dir(), Path::new("/home/u/.local/state/mirrorwatch"));
        assert_eq!(own.settings(), None);
        assert_eq!(found(&basic[..1]), None, "no home");

        let with = |host: &'static str| [&basic[..], &[("DOCKER_HOST", host)]].concat();
        assert_eq!(found(&with("unix:///var/run/docker.sock")), None, "the system's");
        assert_eq!(found(&with("tcp://127.0.0.1:2375")), Some(own));
    }

    #[test]
    fn what_mirrors_toml_says_goes_before_the_users_own_places() {
        let place = tempfile::tempdir().unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(place.path().join("docker.sock")).unwrap();
        let own = found(&[("XDG_RUNTIME_DIR", place.path().to_str().unwrap()), ("HOME", "/home/u")]).unwrap();
        let default = config::Engines::default().docker;
        let engine = own.engine(&default);
        assert_eq!(engine.socket, place.path().join("docker.sock"));
        assert_eq!(engine.config_file, Path::new("/home/u/.config/docker/daemon.json"));
        assert_eq!(engine.pid_file, place.path().join("docker.pid"));
        let said = config::Engine { config_file: "/a.json".into(), ..default.clone() };
        assert_eq!(own.engine(&said).config_file, Path::new("/a.json"));
        let other = config::Engine { socket: "/other.sock".into(), ..default };
        assert_eq!(own.engine(&other), other);
    }
}
