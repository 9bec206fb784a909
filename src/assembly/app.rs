//! A Docker inside an application (Docker Desktop, OrbStack): where its API is for the user who works with it.
//!
//! As for `docker` itself, `$DOCKER_HOST` goes before the context that was chosen; where neither says anything, a socket
//! of Docker Desktop's counts if there is no system's.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::own::Env;
use crate::config;
use crate::engine::App;

/// `engine` with the application's socket, if mirrors.toml names no other.
pub fn engine(env: Env<'_>, engine: &config::Engine) -> Option<config::Engine> {
    let default = config::Engines::default().docker.socket;
    if engine.socket != default {
        return None;
    }
    let socket = socket(env, &default)?;
    Some(config::Engine { socket, ..engine.clone() })
}

fn socket(env: Env<'_>, system: &Path) -> Option<PathBuf> {
    let home = env("HOME").map(PathBuf::from).filter(|path| path.is_absolute())?;
    let of_an_app = |host: &str| {
        let path = Path::new(host.strip_prefix("unix://")?);
        App::of_socket(path).map(|_| path.to_owned())
    };
    if let Some(host) = env("DOCKER_HOST").filter(|host| !host.is_empty()) {
        return of_an_app(host.to_str()?);
    }
    let docker = home.join(".docker");
    let chosen =
        env("DOCKER_CONTEXT").filter(|name| !name.is_empty()).and_then(|name| name.into_string().ok());
    let chosen =
        chosen.or_else(|| json(&docker.join("config.json"))?["currentContext"].as_str().map(str::to_owned));
    match chosen.as_deref() {
        None | Some("" | "default") => {
            let socket = docker.join("desktop/docker.sock");
            (!system.exists() && socket.exists()).then_some(socket)
        }
        Some(name) => of_an_app(&host_of(&docker, name)?),
    }
}

/// Where the API of a context is.
fn host_of(docker: &Path, name: &str) -> Option<String> {
    let contexts = fs::read_dir(docker.join("contexts/meta")).ok()?.flatten();
    let mut contexts = contexts.filter_map(|entry| json(&entry.path().join("meta.json")));
    let context = contexts.find(|context| context["Name"] == name)?;
    context["Endpoints"]["docker"]["Host"].as_str().map(str::to_owned)
}

fn json(file: &Path) -> Option<Value> {
    serde_json::from_str(&fs::read_to_string(file).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Home(tempfile::TempDir);

    impl Home {
        fn put(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            crate::file::replace(&path, text.as_bytes(), None).unwrap();
        }

        fn at(&self, path: &str) -> PathBuf {
            self.0.path().join(path)
        }

        fn found(&self, variables: &[(&str, &str)]) -> Option<PathBuf> {
            let home = [("HOME", self.0.path().to_str().unwrap())];
            let variables = [&home, variables].concat();
            let env =
                |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
            socket(&env, &self.at("run/docker.sock"))
        }
    }

    #[test]
    fn the_context_that_was_chosen_says_where_the_application_is() {
        let home = Home(tempfile::tempdir().unwrap());
        assert_eq!(home.found(&[]), None);
        let desktop = home.at(".docker/desktop/docker.sock");
        let meta = |name: &str, host: &str| {
            format!(r#"{{"Name": "{name}", "Endpoints": {{"docker": {{"Host": "{host}"}}}}}}"#)
        };
        home.put(
            ".docker/contexts/meta/ab/meta.json",
            &meta("desktop-linux", &format!("unix://{}", desktop.display())),
        );
        home.put(".docker/contexts/meta/cd/meta.json", &meta("far", "ssh://u@host"));
        assert_eq!(home.found(&[]), None, "known, and not chosen");
        home.put(".docker/config.json", r#"{"currentContext": "desktop-linux"}"#);
        assert_eq!(home.found(&[]), Some(desktop.clone()));
        assert_eq!(home.found(&[("DOCKER_CONTEXT", "far")]), None);
        assert_eq!(home.found(&[("DOCKER_CONTEXT", "nowhere")]), None);
        assert_eq!(home.found(&[("DOCKER_HOST", "unix:///var/run/docker.sock")]), None, "goes first");
        let orbstack = "/Users/u/.orbstack/run/docker.sock";
        assert_eq!(home.found(&[("DOCKER_HOST", &format!("unix://{orbstack}"))]), Some(orbstack.into()));

        home.put(".docker/config.json", r#"{"currentContext": "default"}"#);
        assert_eq!(home.found(&[]), None, "the socket is not there");
        home.put(".docker/desktop/docker.sock", "");
        assert_eq!(home.found(&[]), Some(desktop));
        home.put("run/docker.sock", "");
        assert_eq!(home.found(&[]), None, "the system's is the default");
    }

    #[test]
    fn a_socket_that_mirrors_toml_names_is_the_one() {
        let default = config::Engines::default().docker;
        let env = |name: &str| match name {
            "HOME" => Some("/home/u".into()),
            "DOCKER_HOST" => Some("unix:///home/u/.docker/desktop/docker.sock".into()),
            _ => None,
        };
        let found = engine(&env, &default).unwrap();
        assert_eq!(found.socket, Path::new("/home/u/.docker/desktop/docker.sock"));
        let other = config::Engine { socket: "/other.sock".into(), ..default };
        assert_eq!(engine(&env, &other), None);
    }
}
