//! A proxy, HTTP or SOCKS 5, that knows where names lead.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::runtime;

/// What the proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Http,
    Socks5,
}

/// A proxy on a port of 127.0.0.1, until it is dropped. It takes every login, and none.
pub struct Proxy {
    kind: Kind,
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl Proxy {
    /// Everything asked of it by name goes to where `names` says, and nowhere else.
    pub fn start(kind: Kind, names: impl IntoIterator<Item = (String, SocketAddr)>) -> Self {
        let names: Arc<HashMap<String, SocketAddr>> = Arc::new(names.into_iter().collect());
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        listener.set_nonblocking(true).expect("an option");
        let address = listener.local_addr().expect("it is bound");
        let _entered = runtime().enter();
        let listener = TcpListener::from_std(listener).expect("a listener");
        let asked = Arc::new(Mutex::default());
        let log = Arc::clone(&asked);
        let serving = runtime().spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(kind, stream, Arc::clone(&names), Arc::clone(&log)));
            }
        });
        Self { kind, address, asked, serving }
    }

    /// `http://user:secret@127.0.0.1:PORT`, or socks5.
    pub fn url(&self) -> String {
        let scheme = match self.kind {
            Kind::Http => "http",
            Kind::Socks5 => "socks5",
        };
        format!("{scheme}://user:secret@{}", self.address)
    }

    /// What it was asked for: request lines of HTTP, `host:port` of SOCKS, with the login behind.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

type Names = Arc<HashMap<String, SocketAddr>>;
type Log = Arc<Mutex<Vec<String>>>;

async fn serve(kind: Kind, mut stream: TcpStream, names: Names, log: Log) -> Option<()> {
    let note = |what: String| log.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    let (mut there, first) = match kind {
        Kind::Socks5 => {
            let (host, login) = socks_request(&mut stream).await?;
            note(format!("{host} {login}"));
            let there = TcpStream::connect(names.get(host.split(':').next()?)?).await.ok()?;
            stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.ok()?;
            (there, String::new())
        }
        Kind::Http => {
            let head = http_head(&mut stream).await?;
            let login = head.lines().find_map(|line| line.strip_prefix("Proxy-Authorization: "));
            note(format!("{} {}", head.lines().next()?, login.unwrap_or_default()));
            let target = head.split(' ').nth(1)?;
            let (host, forward) = match target.strip_prefix("http://") {
                // A proxy asks the origin by path, and keeps what is its own.
                Some(rest) => {
                    let host = rest.split('/').next()?;
                    let lines = head.lines().filter(|line| !line.starts_with("Proxy-"));
                    let head = lines.collect::<Vec<_>>().join("\r\n") + "\r\n";
                    (host, head.replacen(&format!("http://{host}"), "", 1))
                }
                None => (target, String::new()),
            };
            let Some(address) = names.get(host.split(':').next()?) else {
                stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await.ok()?;
                return None;
            };
            let there = TcpStream::connect(address).await.ok()?;
            if forward.is_empty() {
                stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.ok()?;
            }
            (there, forward)
        }
    };
    there.write_all(first.as_bytes()).await.ok()?;
    copy_bidirectional(&mut stream, &mut there).await.ok()?;
    Some(())
}

async fn http_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// RFC 1928 and, where the client offers it, RFC 1929. Gives `host:port` and the login.
async fn socks_request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut greeting = [0; 2];
    stream.read_exact(&mut greeting).await.ok()?;
    let mut methods = vec![0; usize::from(greeting[1])];
    stream.read_exact(&mut methods).await.ok()?;
    let mut login = String::new();
    if methods.contains(&2) {
        stream.write_all(&[5, 2]).await.ok()?;
        stream.read_u8().await.ok()?;
        let user = text(stream).await?;
        login = format!("{user}:{}", text(stream).await?);
        stream.write_all(&[1, 0]).await.ok()?;
    } else {
        stream.write_all(&[5, 0]).await.ok()?;
    }
    let mut request = [0; 4];
    stream.read_exact(&mut request).await.ok()?;
    let host = match request[3] {
        1 => Ipv4Addr::from(stream.read_u32().await.ok()?).to_string(),
        3 => text(stream).await?,
        _ => return None,
    };
    let port = stream.read_u16().await.ok()?;
    Some((format!("{host}:{port}"), login))
}

async fn text(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = vec![0; usize::from(stream.read_u8().await.ok()?)];
    stream.read_exact(&mut bytes).await.ok()?;
    String::from_utf8(bytes).ok()
}
