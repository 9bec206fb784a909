//! Why a daemon.json is left alone although it could be written, and what is worth a word before it is.

use std::fs;
use std::path::{Path, PathBuf};

use super::api::Info;
use super::app::App;
use super::discover::Process;
use super::edit::Document;
use crate::engine::{Problem, Warning};
use crate::file;
use crate::mirror::MirrorUrl;
use crate::reason::{ProblemKind, WarningKind};

/// What dockerd's command line sets and any SIGHUP resets to the file's value or the default.
const RESET_BY_RELOAD: [&str; 3] =
    ["max-concurrent-downloads", "max-concurrent-uploads", "max-download-attempts"];

/// Under which names `docker login` keeps an account of Docker Hub.
const HUB_ACCOUNTS: [&str; 4] =
    ["https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io"];

/// Everything there is to go by.
pub(super) struct Scene<'a> {
    pub(super) info: &'a Info,
    pub(super) app: Option<App>,
    pub(super) process: Option<&'a Process>,
    pub(super) stranger: Option<&'a Problem>,
    pub(super) file: &'a Path,
    pub(super) document: &'a Document<'a>,
}

impl Scene<'_> {
    /// Why nothing may be written, or a reload not be asked for.
    pub(super) fn refusal(&self) -> Option<Problem> {
        self.app
            .map(App::refusal)
            .or_else(|| self.stranger.cloned())
            .or_else(|| self.flag_conflict())
            .or_else(|| self.authorization_plugins())
            .or_else(|| self.reload_bug())
    }

    /// Why a change would have no effect. It does not stand in the way of a restore.
    pub(super) fn overridden(&self) -> Option<Problem> {
        if !self.info.containerd_store() {
            return None;
        }
        let certs = self.process.map_or("/etc/docker/certs.d".into(), Process::certs_directory);
        let hosts = overriding_hosts(&certs)?;
        let detail = format!(
            "{}: it tells dockerd where to pull docker.io from, so {} has no effect there",
            hosts.display(),
            super::edit::KEY
        );
        Some(Problem::new(ProblemKind::Overridden, detail))
    }

    fn flag_conflict(&self) -> Option<Problem> {
        let values = self.process?.flag("registry-mirror");
        let first = values.first()?;
        let detail = format!(
            "{}: not written: dockerd was started with --registry-mirror={first}, and it does not start with both",
            self.file.display()
        );
        Some(Problem::new(ProblemKind::FlagConflict, detail))
    }

    /// A reload gives dockerd the plugins that its file names, and those alone (moby, `SetPlugins` in `reloadConfig`):
    /// one that was given as a flag, or is no longer in the file, is asked no more.
    fn authorization_plugins(&self) -> Option<Problem> {
        let by_flag = self.process.is_some_and(|process| !process.flag("authorization-plugin").is_empty());
        let in_file = self.document.get("authorization-plugins");
        let in_file = in_file.is_some_and(|plugins| {
            !plugins.is_null() && plugins.as_array().is_none_or(|list| !list.is_empty())
        });
        let why = if by_flag {
            "not written: dockerd was started with --authorization-plugin, and a reload would switch the plugins off"
        } else if in_file {
            "not written: it has authorization-plugins, and one that fails to load at a reload ends dockerd"
        } else if !self.info.authorization_plugins().is_empty() {
            "not written: dockerd has authorization plugins that are not in the file, and a reload would switch them off"
        } else {
            return None;
        };
        let detail = format!("{}: {why}", self.file.display());
        Some(Problem::new(ProblemKind::AuthorizationPlugins, detail))
    }

    fn reload_bug(&self) -> Option<Problem> {
        let version = &self.info.server_version;
        let in_file = self.document.get("insecure-registries");
        let in_file = in_file.is_some_and(|list| list.as_array().is_none_or(|list| !list.is_empty()));
        let by_flag = self.process.is_some_and(|process| !process.flag("insecure-registry").is_empty());
        let insecure = in_file || by_flag || !self.info.insecure_registries().is_empty();
        (insecure && forgets_insecure_registries(version)).then(|| {
            let detail = format!(
                "{}: not written: dockerd {version} forgets its insecure-registries at a reload",
                self.file.display()
            );
            Problem::new(ProblemKind::ReloadBug, detail)
        })
    }

    /// Our own selection never mixes what is verified and what is not, but what is to be kept is kept.
    pub(super) fn unverified(&self, keep: &[MirrorUrl]) -> Option<Warning> {
        let kept: Vec<_> = keep.iter().filter(|url| url.is_unverified()).map(MirrorUrl::as_str).collect();
        (self.info.containerd_store() && !kept.is_empty())
            .then(|| Warning::new(WarningKind::TlsUnverified, kept.join(", ")))
    }

    pub(super) fn warnings(&self) -> Vec<Warning> {
        let version = &self.info.server_version;
        let mut warnings = Vec::new();
        if !self.info.containerd_store()
            && let Some(account) = homes().into_iter().find(|file| has_hub_account(file))
        {
            warnings.push(Warning::new(WarningKind::LoginLeaks, account.display().to_string()));
        }
        if super::major(version).is_some_and(|major| major <= 24) {
            warnings.push(Warning::new(WarningKind::BuildNeedsRestart, version.clone()));
        }
        let flags: Vec<_> = RESET_BY_RELOAD
            .iter()
            .filter(|flag| self.process.is_some_and(|process| !process.flag(flag).is_empty()))
            .map(|flag| format!("--{flag}"))
            .collect();
        if !flags.is_empty() {
            warnings.push(Warning::new(WarningKind::FlagsReset, flags.join(", ")));
        }
        if self.document.keys().any(|key| key == "registry-mirror") {
            warnings.push(Warning::new(WarningKind::MisspeltKey, self.file.display().to_string()));
        }
        warnings
    }
}

/// 23.0.0 to 23.0.6 and 24.0.0 (moby#45552).
fn forgets_insecure_registries(version: &str) -> bool {
    let number: String = version.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let parts: Vec<u32> = number.split('.').filter_map(|part| part.parse().ok()).collect();
    matches!(parts[..], [23, 0, 0..=6] | [24, 0, 0])
}

/// The `hosts.toml` that wins over `registry-mirrors` on the containerd store.
///
/// The first directory that exists counts, even without the file. One without a host in it names no endpoint
/// besides the registry, and one that is not valid TOML is ignored by dockerd: neither overrides.
fn overriding_hosts(certs: &Path) -> Option<PathBuf> {
    let directory =
        ["docker.io", "_default"].map(|name| certs.join(name)).into_iter().find(|dir| dir.is_dir())?;
    let hosts = directory.join("hosts.toml");
    let table: toml::Table = text_of(&hosts)?.parse().ok()?;
    table.get("host")?.as_table().is_some_and(|host| !host.is_empty()).then_some(hosts)
}

/// Where the people who may pull on this host keep their logins: root, who we are, who called sudo.
fn homes() -> Vec<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let caller = std::env::var("SUDO_USER").ok().and_then(|user| home_of(&user));
    let homes = [Some("/root".into()), variable("HOME"), caller];
    let configured = variable("DOCKER_CONFIG").map(|directory| directory.join("config.json"));
    let files = homes.into_iter().flatten().map(|home| home.join(".docker/config.json"));
    configured.into_iter().chain(files).collect()
}

fn home_of(user: &str) -> Option<PathBuf> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.split(':').next() == Some(user))?;
    line.split(':').nth(5).map(PathBuf::from)
}

/// Whether the file of a `docker login` names Docker Hub. Only names are looked at, never what they hold.
fn has_hub_account(file: &Path) -> bool {
    let Some(text) = text_of(file) else { return false };
    let config: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let names = |key: &str| config.get(key).and_then(|value| value.as_object()).cloned().unwrap_or_default();
    let (accounts, helpers) = (names("auths"), names("credHelpers"));
    HUB_ACCOUNTS.iter().any(|name| accounts.contains_key(*name) || helpers.contains_key(*name))
}

/// The text of a regular file. Homes belong to people, and a pipe there would hold us for ever.
fn text_of(path: &Path) -> Option<String> {
    String::from_utf8(file::read(path).ok()?.bytes()?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_with_the_reload_bug_are_known() {
        for (version, bug) in [
            ("20.10.24+dfsg1", false),
            ("23.0.0", true),
            ("23.0.6", true),
            ("23.0.7", false),
            ("24.0.0", true),
            ("24.0.0-rc.1", true),
            ("24.0.1", false),
            ("28.5.2", false),
            ("", false),
        ] {
            assert_eq!(forgets_insecure_registries(version), bug, "{version}");
        }
    }

    #[test]
    fn a_hosts_toml_overrides_only_if_it_names_a_host() {
        let place = tempfile::tempdir().unwrap();
        let certs = place.path();
        assert_eq!(overriding_hosts(certs), None);
        let put = |path: &str, text: &str| {
            let path = certs.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            crate::file::replace(&path, text.as_bytes(), None).unwrap();
            path
        };
        let default = put("_default/hosts.toml", "[host.\"https://a.example\"]\n");
        assert_eq!(overriding_hosts(certs), Some(default));
        // A directory of docker.io's own hides the default one, even with only a certificate in it.
        put("docker.io/ca.crt", "");
        assert_eq!(overriding_hosts(certs), None);
        put("docker.io/hosts.toml", "server = \"https://registry-1.docker.io\"\n");
        assert_eq!(overriding_hosts(certs), None);
        put("docker.io/hosts.toml", "[host.\"https://a.example\"\n");
        assert_eq!(overriding_hosts(certs), None);
        let own = put("docker.io/hosts.toml", "[host.\"https://a.example\"]\n");
        assert_eq!(overriding_hosts(certs), Some(own));
    }

    #[test]
    fn a_login_to_docker_hub_is_told_from_other_logins() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("config.json");
        for (text, hub) in [
            (r#"{"auths": {"https://index.docker.io/v1/": {}}}"#, true),
            (r#"{"credHelpers": {"docker.io": "pass"}}"#, true),
            (r#"{"auths": {"ghcr.io": {}}}"#, false),
            (r#"{"auths": []}"#, false),
            ("{", false),
        ] {
            crate::file::replace(&file, text.as_bytes(), None).unwrap();
            assert_eq!(has_hub_account(&file), hub, "{text}");
        }
        assert!(!has_hub_account(&place.path().join("none")));
        let pipe = place.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        assert!(!has_hub_account(&pipe), "and it does not wait for anybody to write");
    }
}
