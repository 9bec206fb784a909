//! A real docker-registry, and fronts before it that refuse, stall, crawl and delay as one tells them to.
//!
//! A front knows nothing of HTTP: it passes bytes on. One registry behind several fronts looks like several
//! mirrors, each with a fault of its own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "scratch files of a test need no atomic replacement")]

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::content::{Content, ImageSpec};

/// Debian's docker-registry with one image in it; dropped, it is ended.
pub(crate) struct RealRegistry {
    address: SocketAddr,
    child: Child,
    _directory: TempDir,
}

impl RealRegistry {
    /// Starts it and puts the image of `spec` into it with skopeo.
    pub(crate) fn start(spec: &ImageSpec) -> Self {
        for program in ["docker-registry", "skopeo"] {
            let found = Command::new(program).arg("--version").output().is_ok();
            assert!(found, "{program} is missing: run ./test.sh, which installs it");
        }
        let directory = tempfile::tempdir().unwrap();
        let address = free_address();
        let config = directory.path().join("config.yml");
        let data = directory.path().join("data");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: {address}}}\n",
            data.display()
        );
        fs::write(&config, text).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let registry = Self { address, child, _directory: directory };
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(start.elapsed() < Duration::from_secs(30), "docker-registry does not start");
            sleep(Duration::from_millis(20));
        }
        registry.push(spec);
        registry
    }

    fn push(&self, spec: &ImageSpec) {
        let content = Content::of(spec);
        let index: serde_json::Value = serde_json::from_slice(&content.index.bytes).unwrap();
        let child = index["manifests"]
            .as_array()
            .unwrap()
            .iter()
            .find(|entry| entry["platform"]["architecture"] == architecture())
            .unwrap();
        let manifest = &content.documents[child["digest"].as_str().unwrap()];
        let image = self._directory.path().join("image");
        fs::create_dir(&image).unwrap();
        fs::write(image.join("version"), "Directory Transport Version: 1.1\n").unwrap();
        fs::write(image.join("manifest.json"), &manifest.bytes).unwrap();
        for (digest, blob) in &content.blobs {
            fs::write(image.join(digest.strip_prefix("sha256:").unwrap()), &blob.bytes).unwrap();
        }
        let target = format!("docker://{}/{}:{}", self.address, spec.repository, spec.tag);
        let output = Command::new("skopeo")
            .args(["--insecure-policy", "copy", "--dest-tls-verify=false", "--quiet"])
            .arg(format!("dir:{}", image.display()))
            .arg(target)
            .output()
            .unwrap();
        assert!(output.status.success(), "skopeo: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for RealRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// This machine's architecture, as images name it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// What a front does to what it passes on.
struct Manners {
    /// Bytes per second towards the client, over all its connections.
    speed: AtomicU64,
    /// Milliseconds before the first byte towards the client.
    latency: AtomicU64,
    /// Bytes of a connection after which nothing more comes.
    stall_after: AtomicU64,
    /// Connections are refused.
    closed: AtomicBool,
    /// Bytes that went towards clients.
    passed: AtomicU64,
    ended: AtomicBool,
}

/// One mirror: a port before the registry.
pub(crate) struct Front {
    address: SocketAddr,
    manners: Arc<Manners>,
    thread: Option<JoinHandle<()>>,
}

const FOREVER: u64 = u64::MAX;

impl Front {
    /// A front that passes on so many bytes per second.
    pub(crate) fn start(registry: &RealRegistry, speed: u64) -> Self {
        let manners = Arc::new(Manners {
            speed: AtomicU64::new(speed),
            latency: AtomicU64::new(0),
            stall_after: AtomicU64::new(FOREVER),
            closed: AtomicBool::new(false),
            passed: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (upstream, shared) = (registry.address, Arc::clone(&manners));
        let thread = thread::spawn(move || serve(listener, address, upstream, &shared));
        Self { address, manners, thread: Some(thread) }
    }

    /// As it stands in `registry-mirrors`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Refuses connections from now on; returns when it does.
    pub(crate) fn close(&self) {
        self.manners.closed.store(true, Ordering::SeqCst);
        self.wait_until_closed();
    }

    /// All of them at one moment, as when a cable is pulled.
    pub(crate) fn close_all(fronts: &[Self]) {
        for front in fronts {
            front.manners.closed.store(true, Ordering::SeqCst);
        }
        for front in fronts {
            front.wait_until_closed();
        }
    }

    fn wait_until_closed(&self) {
        let start = Instant::now();
        while TcpStream::connect(self.address).is_ok() {
            assert!(start.elapsed() < Duration::from_secs(10), "the front does not close");
            sleep(Duration::from_millis(5));
        }
    }

    /// Takes connections again, and does nothing bad to them.
    pub(crate) fn recover(&self) {
        self.manners.stall_after.store(FOREVER, Ordering::SeqCst);
        self.manners.closed.store(false, Ordering::SeqCst);
        let start = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            assert!(start.elapsed() < Duration::from_secs(10), "the front does not open");
            sleep(Duration::from_millis(5));
        }
    }

    /// Falls silent after so many bytes of each connection: in the middle of a layer.
    pub(crate) fn stall_after(&self, bytes: u64) {
        self.manners.stall_after.store(bytes, Ordering::SeqCst);
    }

    /// Bytes that went towards clients so far.
    pub(crate) fn passed(&self) -> u64 {
        self.manners.passed.load(Ordering::SeqCst)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.manners.ended.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(listener: TcpListener, address: SocketAddr, upstream: SocketAddr, manners: &Arc<Manners>) {
    let mut listener = Some(listener);
    while !manners.ended.load(Ordering::SeqCst) {
        if manners.closed.load(Ordering::SeqCst) {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(address).ok();
        }
        if let Some(open) = &listener {
            open.set_nonblocking(true).unwrap();
            match open.accept() {
                Ok((client, _)) => {
                    let manners = Arc::clone(manners);
                    thread::spawn(move || pass(client, upstream, &manners));
                    continue;
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
            }
        }
        sleep(Duration::from_millis(2));
    }
}

fn pass(client: TcpStream, upstream: SocketAddr, manners: &Arc<Manners>) {
    client.set_nonblocking(false).unwrap();
    let Ok(server) = TcpStream::connect(upstream) else { return };
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let asking = thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
    answer(server, client, manners);
    let _ = asking.join();
}

/// Passes the answers on at the front's pace, in pieces of a fiftieth of a second.
fn answer(mut server: TcpStream, mut client: TcpStream, manners: &Manners) {
    sleep(Duration::from_millis(manners.latency.load(Ordering::SeqCst)));
    let mut passed = 0_u64;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let speed = manners.speed.load(Ordering::SeqCst);
        let piece = usize::try_from(speed / 50).unwrap().clamp(1, buffer.len());
        let Ok(read @ 1..) = server.read(&mut buffer[..piece]) else { break };
        let left = manners.stall_after.load(Ordering::SeqCst).saturating_sub(passed);
        let sent = read.min(usize::try_from(left).unwrap_or(usize::MAX));
        if client.write_all(&buffer[..sent]).is_err() {
            break;
        }
        passed += sent as u64;
        manners.passed.fetch_add(sent as u64, Ordering::SeqCst);
        if sent < read {
            // Silent, and yet there: until the client gives up, or the test ends.
            client.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            let mut byte = [0];
            while !manners.ended.load(Ordering::SeqCst) {
                match client.peek(&mut byte) {
                    Ok(0) => break,
                    Ok(_) => sleep(Duration::from_millis(50)),
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                    Err(_) => break,
                }
            }
            break;
        }
        sleep(Duration::from_secs_f64(read as f64 / speed as f64));
    }
    let _ = client.shutdown(std::net::Shutdown::Both);
    let _ = server.shutdown(std::net::Shutdown::Both);
}

fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}
