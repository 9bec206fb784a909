//! The registry: its state, its port, and who came.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::certificate::Certificate;
use super::content::{Content, ImageSpec};
use super::fault::{Act, Fault, Place};
use super::reply::{self, Reply};
use super::runtime;

/// How a registry begins.
#[derive(Clone, Debug)]
pub struct Options {
    pub images: Vec<ImageSpec>,
    /// `None`: plain http.
    pub tls: Option<Certificate>,
    /// Whether it wants an anonymous token, as most do.
    pub token: bool,
    /// Bytes per second of every body; `None` is as fast as it goes.
    pub speed: Option<u64>,
    /// Waits so long before every answer.
    pub latency: Duration,
    pub faults: Vec<Fault>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            images: vec![ImageSpec::default()],
            tls: None,
            token: true,
            speed: None,
            latency: Duration::ZERO,
            faults: Vec::new(),
        }
    }
}

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: String,
    /// Names in lower case; of a repeated header, the values joined by `, `.
    pub headers: HashMap<String, String>,
}

/// A registry on a port of 127.0.0.1, until it is dropped.
pub struct Registry {
    pub(super) state: Arc<State>,
    port: u16,
    secure: bool,
    serving: Mutex<Option<JoinHandle<()>>>,
    /// Holds the port while nobody listens on it. It never listens itself.
    _holder: TcpSocket,
}

pub(super) struct State {
    /// `http://127.0.0.1:5000`.
    pub(super) url: String,
    pub(super) token: bool,
    tls: Option<TlsAcceptor>,
    pub(super) images: HashMap<String, Served>,
    faults: Mutex<Vec<Fault>>,
    /// 0: no limit.
    pub(super) speed: AtomicU64,
    latency_us: AtomicU64,
    requests: Mutex<Vec<Request>>,
    connections: AtomicU64,
    pub(super) sent: AtomicU64,
}

/// What one repository has.
pub(super) struct Served {
    pub(super) tag: String,
    pub(super) now: Arc<Content>,
    pub(super) before: ImageSpec,
}

/// A healthy one that sends so many bytes a second.
pub fn at_speed(speed: u64) -> Registry {
    Registry::start(Options { speed: Some(speed), ..Options::default() })
}

impl Registry {
    pub fn start(options: Options) -> Self {
        let holder = bound(0);
        let port = holder.local_addr().expect("it is bound").port();
        let scheme = if options.tls.is_some() { "https" } else { "http" };
        let images = options.images.iter().map(|spec| {
            let before = ImageSpec { created: "2024-11-01T00:00:00Z".to_owned(), ..spec.clone() };
            (spec.repository.clone(), Served { tag: spec.tag.clone(), now: Content::of(spec), before })
        });
        let state = Arc::new(State {
            url: format!("{scheme}://127.0.0.1:{port}"),
            token: options.token,
            tls: options.tls.as_ref().map(Certificate::acceptor),
            images: images.collect(),
            faults: Mutex::new(options.faults),
            speed: AtomicU64::new(options.speed.unwrap_or(0)),
            latency_us: AtomicU64::new(micros(options.latency)),
            requests: Mutex::default(),
            connections: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        });
        let secure = options.tls.is_some();
        let registry = Self { state, port, secure, serving: Mutex::new(None), _holder: holder };
        registry.start_again();
        registry
    }

    /// `http://127.0.0.1:PORT`, or https.
    pub fn url(&self) -> String {
        self.state.url.clone()
    }

    /// `127.0.0.1:PORT`.
    pub fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The same registry by another host name, to be reached through a proxy.
    pub fn url_as(&self, host: &str) -> String {
        format!("{}://{host}:{}", if self.secure { "https" } else { "http" }, self.port)
    }

    /// Dies: open connections are cut, new ones refused.
    pub fn stop(&self) {
        if let Some(serving) = lock(&self.serving).take() {
            serving.abort();
            // Aborting takes effect on the other thread; the port refuses only when that is done.
            while !serving.is_finished() {
                std::thread::yield_now();
            }
        }
    }

    /// Comes back on its port.
    pub fn start_again(&self) {
        self.stop();
        let _entered = runtime().enter();
        let listener = bound(self.port).listen(1024).expect("the port is ours");
        let state = Arc::clone(&self.state);
        *lock(&self.serving) = Some(runtime().spawn(accept(listener, state)));
    }

    pub fn set_fault(&self, fault: Fault) {
        self.set_faults(vec![fault]);
    }

    pub fn set_faults(&self, faults: Vec<Fault>) {
        *lock(&self.state.faults) = faults;
    }

    /// Healthy again.
    pub fn heal(&self) {
        self.set_faults(Vec::new());
        self.set_speed(None);
    }

    /// Bytes per second of every body, at once, also of those under way.
    pub fn set_speed(&self, speed: Option<u64>) {
        self.state.speed.store(speed.unwrap_or(0), Ordering::Relaxed);
    }

    pub fn set_latency(&self, latency: Duration) {
        self.state.latency_us.store(micros(latency), Ordering::Relaxed);
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.state.requests).clone()
    }

    pub fn count(&self, which: impl Fn(&Request) -> bool) -> usize {
        lock(&self.state.requests).iter().filter(|request| which(request)).count()
    }

    /// TCP connections so far.
    pub fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::Relaxed)
    }

    /// Bytes of answers that the kernel took so far.
    pub fn sent(&self) -> u64 {
        self.state.sent.load(Ordering::Relaxed)
    }

    /// The image that it serves as `repository`.
    pub fn content(&self, repository: &str) -> Arc<Content> {
        Arc::clone(&self.state.images[repository].now)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

fn bound(port: u16) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an option");
    // Two sockets have the port: the holder, and the one that listens.
    socket.set_reuseport(true).expect("an option");
    // So that bytes sent are not far from bytes that were taken.
    socket.set_send_buffer_size(64 * 1024).expect("an option");
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).expect("a port");
    socket
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            state.connections.fetch_add(1, Ordering::Relaxed);
            connections.spawn(connection(stream, Arc::clone(&state)));
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(mut stream: TcpStream, state: Arc<State>) {
    let Some(acceptor) = state.tls.clone() else {
        return answer(&mut stream, &state).await;
    };
    match state.acts(Place::Everywhere).into_iter().next() {
        Some(Act::TlsSilence) => std::future::pending().await,
        Some(Act::TlsReset) => {
            let _ = stream.peek(&mut [0]).await;
            let _ = stream.set_zero_linger();
        }
        Some(Act::TlsPlain) => {
            let _ = stream.peek(&mut [0]).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
        }
        Some(_) | None => {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                answer(&mut stream, &state).await;
            }
        }
    }
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, state: &State) {
    let Some(request) = read_request(stream).await else { return };
    lock(&state.requests).push(request.clone());
    tokio::time::sleep(Duration::from_micros(state.latency_us.load(Ordering::Relaxed))).await;
    let reply = Reply::to(&request, state);
    // An error is a client that hung up, which is its right.
    let _ = reply::send(reply, stream, state).await;
}

impl State {
    /// What goes wrong at exactly this place.
    pub(super) fn acts(&self, place: Place) -> Vec<Act> {
        let faults = lock(&self.faults);
        faults.iter().filter(|fault| fault.place == place).map(|fault| fault.act.clone()).collect()
    }
}

async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Request> {
    let mut head = Vec::with_capacity(1024);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > 16 * 1024 || stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let text = String::from_utf8(head).ok()?;
    let mut lines = text.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers: HashMap<String, String> = HashMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        let joined = headers.entry(name.to_ascii_lowercase()).or_default();
        if !joined.is_empty() {
            joined.push_str(", ");
        }
        joined.push_str(value);
    }
    Some(Request { method, path: path.to_owned(), query: query.to_owned(), headers })
}
