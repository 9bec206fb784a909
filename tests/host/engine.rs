//! A stand-in for dockerd that a test can change while it runs: its store, its images, whether it listens.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(dead_code, reason = "it is shared by several tests, and each uses a part")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// Answers on `DIR/docker.sock` and reads `DIR/daemon.json` whenever somebody makes `DIR/reload`.
pub(crate) struct Engine {
    directory: PathBuf,
    memory: Arc<Mutex<Memory>>,
}

/// What it says of itself.
struct Memory {
    mirrors: Vec<Value>,
    listeners: Vec<UnixStream>,
    version: &'static str,
    /// Operating system and kernel.
    system: (&'static str, &'static str),
    containerd: bool,
    /// `None`: it does not say.
    images: Option<Vec<&'static str>>,
    /// Reads its file and takes over nothing of it.
    stubborn: bool,
    reloads: usize,
    /// How often it was asked what it is.
    looks: usize,
}

impl Engine {
    /// A Docker 28.5.2 with the classic store and no image, whose file has this text; `None`: no file.
    pub(crate) fn start(directory: &Path, text: Option<&str>) -> Self {
        let memory = Memory {
            mirrors: Vec::new(),
            listeners: Vec::new(),
            version: "28.5.2",
            system: ("Debian GNU/Linux 13 (trixie)", "6.12.48+deb13-amd64"),
            containerd: false,
            images: Some(Vec::new()),
            stubborn: false,
            reloads: 0,
            looks: 0,
        };
        let engine = Self { directory: directory.to_owned(), memory: Arc::new(Mutex::new(memory)) };
        if let Some(text) = text {
            mirrorwatch::file::replace(&engine.file(), text.as_bytes(), None).unwrap();
        }
        reload(&engine.file(), &engine.memory);
        let (file, marker, shared) = (engine.file(), directory.join("reload"), Arc::clone(&engine.memory));
        thread::spawn(move || {
            while marker.parent().is_some_and(Path::exists) {
                thread::sleep(Duration::from_millis(3));
                if fs::remove_file(&marker).is_ok() {
                    reload(&file, &shared);
                }
            }
        });
        let listener = UnixListener::bind(engine.socket()).unwrap();
        let shared = Arc::clone(&engine.memory);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that hangs up early is its own affair.
                let _ = answer(stream, &shared);
            }
        });
        engine
    }

    /// Its daemon.json.
    pub(crate) fn file(&self) -> PathBuf {
        self.directory.join("daemon.json")
    }

    /// The text of its daemon.json.
    pub(crate) fn text(&self) -> Option<String> {
        fs::read_to_string(self.file()).ok()
    }

    /// Where its API is.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join("docker.sock")
    }

    /// The command that makes it read its file again, as TOML.
    pub(crate) fn reload_command(&self) -> String {
        format!("[\"touch\", \"{}\"]", self.directory.join("reload").display())
    }

    /// What it lists, without trailing slashes.
    pub(crate) fn mirrors(&self) -> Vec<String> {
        let memory = lock(&self.memory);
        let mirrors = memory.mirrors.iter().filter_map(Value::as_str);
        mirrors.map(|url| url.trim_end_matches('/').to_owned()).collect()
    }

    /// How often it read its file.
    pub(crate) fn reloads(&self) -> usize {
        lock(&self.memory).reloads
    }

    /// How often it was asked what it is.
    pub(crate) fn looks(&self) -> usize {
        lock(&self.memory).looks
    }

    /// Another program writes its file and has it read again. It is read first, so that whoever sees the file change
    /// finds the list in use changed too.
    pub(crate) fn be_given(&self, text: &str) {
        let beside = self.directory.join("theirs.json");
        mirrorwatch::file::replace(&beside, text.as_bytes(), None).unwrap();
        reload(&beside, &self.memory);
        mirrorwatch::file::replace(&self.file(), text.as_bytes(), None).unwrap();
    }

    /// Keeps its images in containerd from now on.
    pub(crate) fn use_containerd(&self) {
        lock(&self.memory).containerd = true;
    }

    /// Runs on this operating system, with this kernel.
    pub(crate) fn run_on(&self, system: &'static str, kernel: &'static str) {
        lock(&self.memory).system = (system, kernel);
    }

    /// Has these images, `library/busybox:latest`.
    pub(crate) fn have(&self, images: &[&'static str]) {
        lock(&self.memory).images = Some(images.to_vec());
    }

    /// Is of this version from now on, and does not say what images it has.
    pub(crate) fn hide_images_as(&self, version: &'static str) {
        let mut memory = lock(&self.memory);
        (memory.version, memory.images) = (version, None);
    }

    /// Takes no list any more.
    pub(crate) fn be_stubborn(&self) {
        lock(&self.memory).stubborn = true;
    }
}

fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

fn reload(file: &Path, memory: &Mutex<Memory>) {
    let text = fs::read_to_string(file).unwrap_or_default();
    let Ok(value) = serde_json::from_str::<Value>(&text) else { return };
    let mut memory = lock(memory);
    memory.reloads += 1;
    if memory.stubborn {
        return;
    }
    if let Some(mirrors) = value["registry-mirrors"].as_array() {
        // As dockerd has it: with a slash at the end; and without the key the old list stays.
        let slash = |url: &Value| Value::from(format!("{}/", url.as_str().unwrap().trim_end_matches('/')));
        memory.mirrors = mirrors.iter().map(slash).collect();
    }
    let said = Value::from(memory.mirrors.clone()).to_string();
    let attributes = json!({"name": "fake", "registry-mirrors": said});
    let event =
        json!({"Type": "daemon", "Action": "reload", "Actor": {"ID": "fake", "Attributes": attributes}});
    memory.listeners.retain_mut(|listener| writeln!(listener, "{event}").is_ok());
}

fn answer(mut stream: UnixStream, memory: &Mutex<Memory>) -> std::io::Result<()> {
    let mut head = BufReader::new(stream.try_clone()?).lines().map_while(Result::ok);
    let request = head.next().unwrap_or_default();
    while head.next().is_some_and(|line| !line.is_empty()) {}
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut memory = lock(memory);
    if path.starts_with("/events") {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")?;
        memory.listeners.push(stream);
        return Ok(());
    }
    memory.looks += usize::from(path == "/info");
    let store = match memory.containerd {
        true => json!([["driver-type", "io.containerd.snapshotter.v1"]]),
        false => json!([]),
    };
    let body = match &*path {
        "/_ping" => "OK".to_owned(),
        "/info" => json!({
            "ServerVersion": memory.version,
            "OperatingSystem": memory.system.0,
            "KernelVersion": memory.system.1,
            "DriverStatus": store,
            "RegistryConfig": {"Mirrors": memory.mirrors, "InsecureRegistryCIDRs": ["::1/128", "127.0.0.0/8"]},
        })
        .to_string(),
        _ if path.starts_with("/images/json") => {
            let Some(images) = &memory.images else { return Ok(()) };
            let digest = format!("sha256:{}", "ab".repeat(32));
            let image = |tag: &&str| {
                let name = tag.split(':').next().unwrap_or_default();
                json!({"Id": digest, "RepoTags": [tag], "RepoDigests": [format!("{name}@{digest}")], "Created": 1_700_000_000, "Size": 1})
            };
            Value::from(images.iter().map(image).collect::<Vec<_>>()).to_string()
        }
        _ => "[]".to_owned(),
    };
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}
