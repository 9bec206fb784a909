//! A Docker inside an application: Docker Desktop, OrbStack. Its dockerd runs in a virtual machine that the application
//! alone configures and restarts, so nothing is ever written there; what can be said is what to paste, and where.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Docker;
use super::api::Info;
use super::edit::Document;
use crate::engine::Problem;
use crate::mirror::MirrorUrl;
use crate::reason::ProblemKind;

/// Where Windows keeps people's homes, as seen from WSL.
const WINDOWS_HOMES: &str = "mnt/c/Users";
/// Where macOS keeps them, as seen from a machine of OrbStack.
const MAC_HOMES: &str = "mnt/mac/Users";

/// The application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum App {
    /// On macOS and Linux.
    DockerDesktop,
    /// The same on Windows, where the file lies elsewhere.
    DockerDesktopOnWindows,
    /// On macOS.
    OrbStack,
}

/// What somebody is to paste.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paste {
    /// The text.
    pub text: String,
    /// Whether it is the whole of the application's file; otherwise that was not found from here, and only the list is
    /// known.
    pub whole: bool,
    /// The application's file: where it was found, else where it is on its host.
    pub file: String,
}

impl App {
    /// Whose dockerd says this of itself; `None`: one that is configured by its file.
    pub(super) fn of_info(info: &Info) -> Option<Self> {
        let kernel = info.kernel_version.to_lowercase();
        match &*info.operating_system {
            "Docker Desktop" if kernel.contains("microsoft") => Some(Self::DockerDesktopOnWindows),
            "Docker Desktop" => Some(Self::DockerDesktop),
            "OrbStack" => Some(Self::OrbStack),
            // As it called itself at first. A Linux machine of OrbStack's may have a dockerd of its own, with the same
            // kernel and a distribution's name.
            system if system.starts_with("Alpine") && kernel.contains("orbstack") => Some(Self::OrbStack),
            _ => None,
        }
    }

    /// Whose API is at this path in somebody's home, whether or not it runs.
    pub fn of_socket(socket: &Path) -> Option<Self> {
        let desktop = [".docker/desktop/docker.sock", ".docker/run/docker.sock"];
        if desktop.iter().any(|end| socket.ends_with(end)) {
            Some(Self::DockerDesktop)
        } else {
            socket.ends_with(".orbstack/run/docker.sock").then_some(Self::OrbStack)
        }
    }

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DockerDesktop | Self::DockerDesktopOnWindows => "Docker Desktop",
            Self::OrbStack => "OrbStack",
        }
    }

    /// Its file, as its own host's people write the path.
    pub const fn file(self) -> &'static str {
        match self {
            Self::DockerDesktop => "~/.docker/daemon.json",
            Self::DockerDesktopOnWindows => r"%USERPROFILE%\.docker\daemon.json",
            Self::OrbStack => "~/.orbstack/config/docker.json",
        }
    }

    /// Why nothing is written there.
    pub fn refusal(self) -> Problem {
        let (file, name) = (self.file(), self.name());
        let detail =
            format!("{file}: not written: this Docker is a part of {name}, which alone configures it");
        Problem::new(ProblemKind::InsideAnApp, detail)
    }

    /// What to paste, so that its engine has this list.
    pub fn paste(self, mirrors: &[String]) -> Paste {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        self.paste_from(Path::new("/"), home.as_deref(), mirrors)
    }

    fn paste_from(self, root: &Path, home: Option<&Path>, mirrors: &[String]) -> Paste {
        let found = self.found(root, home);
        let bytes = found.as_ref().and_then(|file| super::read(file).ok());
        let bytes = bytes.as_ref().and_then(|snapshot| snapshot.bytes());
        // One that is not valid is no ground to build on, and the application says itself what is wrong with it.
        let (document, whole) = match bytes.map(|bytes| Document::parse(Some(bytes))) {
            Some(Ok(document)) => (document, true),
            Some(Err(_)) | None => (Document::parse(None).expect("nothing parses"), false),
        };
        let text = String::from_utf8(document.with(mirrors)).expect("a document is text");
        let file = found.map_or_else(|| self.file().to_owned(), |file| file.display().to_string());
        Paste { text, whole, file }
    }

    /// Its file, where it can be seen from here and there is no doubt whose it is.
    fn found(self, root: &Path, home: Option<&Path>) -> Option<PathBuf> {
        let (homes, inside) = match self {
            Self::DockerDesktop => (None, ".docker/daemon.json"),
            Self::DockerDesktopOnWindows => (Some(root.join(WINDOWS_HOMES)), ".docker/daemon.json"),
            Self::OrbStack => (Some(root.join(MAC_HOMES)), ".orbstack/config/docker.json"),
        };
        let own = home.filter(|_| self != Self::DockerDesktopOnWindows).map(|home| home.join(inside));
        if let Some(own) = own.filter(|file| file.is_file()) {
            return Some(own);
        }
        let entries = fs::read_dir(homes?).ok()?.flatten();
        let files: Vec<_> =
            entries.map(|entry| entry.path().join(inside)).filter(|file| file.is_file()).collect();
        match &files[..] {
            [only] => Some(only.clone()),
            [] | [_, _, ..] => None,
        }
    }
}

impl Docker {
    /// The application that alone configures it, if there is one; told by the socket alone where nobody answers.
    ///
    /// # Errors
    /// As [`Self::facts`].
    pub async fn app(&self) -> Result<Option<App>, Problem> {
        match (self.look().await, App::of_socket(&self.settings.socket)) {
            (Ok(live), _) => Ok(live.app),
            (Err(_), Some(app)) => Ok(Some(app)),
            (Err(problem), None) => Err(problem),
        }
    }

    /// The list that it would be given: entries to keep, then `mirrors`.
    pub fn list(&self, mirrors: &[MirrorUrl]) -> Vec<String> {
        self.wanted(mirrors).iter().map(|mirror| mirror.as_str().to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_is_told_by_what_its_dockerd_says() {
        for (system, kernel, app) in [
            ("Docker Desktop", "6.10.14-linuxkit", Some(App::DockerDesktop)),
            ("Docker Desktop", "5.15.167.4-microsoft-standard-WSL2", Some(App::DockerDesktopOnWindows)),
            ("OrbStack", "6.17.8-orbstack-00308-g8f9c941121b1", Some(App::OrbStack)),
            ("Alpine Linux edge (containerized)", "6.1.23-orbstack-00113", Some(App::OrbStack)),
            // One's own dockerd in a machine of OrbStack's, or in WSL.
            ("Ubuntu 24.04.1 LTS", "6.17.8-orbstack-00308", None),
            ("Ubuntu 24.04.1 LTS", "5.15.167.4-microsoft-standard-WSL2", None),
            ("Alpine Linux v3.22", "6.12.0-virt", None),
            ("", "", None),
        ] {
            let info = serde_json::json!({"OperatingSystem": system, "KernelVersion": kernel});
            let info: Info = serde_json::from_value(info).unwrap();
            assert_eq!(App::of_info(&info), app, "{system} {kernel}");
        }
    }

    #[test]
    fn an_application_is_told_by_its_socket() {
        for (socket, app) in [
            ("/home/u/.docker/desktop/docker.sock", Some(App::DockerDesktop)),
            ("/Users/u/.docker/run/docker.sock", Some(App::DockerDesktop)),
            ("/Users/u/.orbstack/run/docker.sock", Some(App::OrbStack)),
            ("/var/run/docker.sock", None),
            ("/run/user/1000/docker.sock", None),
        ] {
            assert_eq!(App::of_socket(Path::new(socket)), app, "{socket}");
        }
    }

    #[test]
    fn what_is_to_be_pasted_is_the_whole_file_where_that_can_be_seen() {
        let place = tempfile::tempdir().unwrap();
        let list = ["https://a.example".to_owned()];
        let home = place.path().join("home/u");
        let paste = |app: App| app.paste_from(place.path(), Some(&home), &list);
        for app in [App::DockerDesktop, App::DockerDesktopOnWindows, App::OrbStack] {
            let alone = paste(app);
            assert_eq!((alone.whole, &*alone.file), (false, app.file()));
            let value: serde_json::Value = serde_json::from_str(&alone.text).unwrap();
            assert_eq!(value, serde_json::json!({"registry-mirrors": list}), "{app:?}");
        }
        for (app, file) in [
            (App::DockerDesktop, "home/u/.docker/daemon.json"),
            (App::DockerDesktopOnWindows, "mnt/c/Users/u/.docker/daemon.json"),
            (App::OrbStack, "mnt/mac/Users/u/.orbstack/config/docker.json"),
        ] {
            let file = place.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            crate::file::replace(&file, b"{\"experimental\": false}\n", None).unwrap();
            let whole = paste(app);
            assert!(whole.whole && whole.text.starts_with("{\"experimental\": false"), "{whole:?}");
            assert_eq!(whole.file, file.display().to_string());
        }
        // Two people's: it may be either.
        let other = place.path().join("mnt/c/Users/v/.docker/daemon.json");
        fs::create_dir_all(other.parent().unwrap()).unwrap();
        crate::file::replace(&other, b"{}", None).unwrap();
        assert!(!paste(App::DockerDesktopOnWindows).whole);
    }
}
