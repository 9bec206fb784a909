//! A stand-in for dockerd: the few answers of its API that matter, from a daemon.json of its own.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// Plays dockerd on `DIR/docker.sock`, reading `DIR/daemon.json` whenever somebody makes `DIR/reload`.
pub(crate) struct StandIn {
    directory: PathBuf,
}

#[derive(Default)]
struct Memory {
    mirrors: Vec<Value>,
    listeners: Vec<UnixStream>,
}

impl StandIn {
    pub(crate) fn start(directory: &Path) -> std::io::Result<Self> {
        let listener = UnixListener::bind(directory.join("docker.sock"))?;
        let memory = Arc::new(Mutex::new(Memory::default()));
        let stand_in = Self { directory: directory.to_owned() };
        reload(&stand_in.file(), &memory);
        let (file, marker, shared) = (stand_in.file(), directory.join("reload"), Arc::clone(&memory));
        thread::spawn(move || {
            loop {
                thread::sleep(Duration::from_millis(5));
                if fs::remove_file(&marker).is_ok() {
                    reload(&file, &shared);
                }
            }
        });
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that hangs up early is its own affair.
                let _ = answer(stream, &memory);
            }
        });
        Ok(stand_in)
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.join("daemon.json")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join("docker.sock")
    }

    /// The command that makes it read its file again.
    pub(crate) fn reload_command(&self) -> String {
        format!("[\"touch\", \"{}\"]", self.directory.join("reload").display())
    }
}

fn reload(file: &Path, memory: &Mutex<Memory>) {
    let text = fs::read_to_string(file).unwrap_or_default();
    let Ok(value) = serde_json::from_str::<Value>(&text) else { return };
    let mirrors = value["registry-mirrors"].as_array().cloned().unwrap_or_default();
    let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
    let said = Value::from(mirrors.clone()).to_string();
    let attributes = json!({"name": "demo", "registry-mirrors": said});
    let event =
        json!({"Type": "daemon", "Action": "reload", "Actor": {"ID": "demo", "Attributes": attributes}});
    memory.mirrors = mirrors;
    memory.listeners.retain_mut(|listener| writeln!(listener, "{event}").is_ok());
}

fn answer(mut stream: UnixStream, memory: &Mutex<Memory>) -> std::io::Result<()> {
    let mut head = BufReader::new(stream.try_clone()?).lines().map_while(Result::ok);
    let request = head.next().unwrap_or_default();
    while head.next().is_some_and(|line| !line.is_empty()) {}
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
    if path.starts_with("/events") {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")?;
        memory.listeners.push(stream);
        return Ok(());
    }
    let body = match &*path {
        "/_ping" => "OK".to_owned(),
        "/info" => json!({
            "ServerVersion": "28.5.2",
            "DriverStatus": [],
            "RegistryConfig": {"Mirrors": memory.mirrors, "InsecureRegistryCIDRs": ["::1/128", "127.0.0.0/8"]},
        })
        .to_string(),
        _ => "[]".to_owned(),
    };
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}
