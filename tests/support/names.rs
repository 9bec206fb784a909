//! A name server that says what it is told to say.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::{JoinHandle, JoinSet};

use super::runtime;

/// What is said of a name.
#[derive(Clone, Debug)]
pub enum Said {
    /// These addresses; none of a family means the name exists without one.
    Addresses(Vec<IpAddr>),
    /// No such name. Also said of every name that is not in the table.
    NoSuchName,
    /// Nothing, ever.
    Silence,
}

/// A name server on a port of 127.0.0.1, until it is dropped.
pub struct NameServer {
    address: SocketAddr,
    asked: Arc<Asked>,
    serving: JoinHandle<()>,
}

/// How many queries there were: all so far, without an answer now, and the most of those.
#[derive(Default)]
struct Asked {
    all: AtomicUsize,
    open: AtomicUsize,
    most: AtomicUsize,
}

impl NameServer {
    pub fn start(table: impl IntoIterator<Item = (String, Said)>) -> Self {
        Self::serve(table.into_iter().collect(), Duration::ZERO)
    }

    /// One that takes its time to know no name.
    pub fn start_slow(takes: Duration) -> Self {
        Self::serve(HashMap::new(), takes)
    }

    fn serve(table: HashMap<String, Said>, takes: Duration) -> Self {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        socket.set_nonblocking(true).expect("an option");
        let address = socket.local_addr().expect("it is bound");
        let _entered = runtime().enter();
        let socket = Arc::new(UdpSocket::from_std(socket).expect("a socket"));
        let asked = Arc::new(Asked::default());
        let serving = runtime().spawn(serve(socket, table, takes, Arc::clone(&asked)));
        Self { address, asked, serving }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Queries so far.
    pub fn queries(&self) -> usize {
        self.asked.all.load(Ordering::Relaxed)
    }

    /// The most that waited for an answer at the same time.
    pub fn most_at_once(&self) -> usize {
        self.asked.most.load(Ordering::Relaxed)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(socket: Arc<UdpSocket>, table: HashMap<String, Said>, takes: Duration, asked: Arc<Asked>) {
    let mut packet = [0; 1500];
    let mut answering = JoinSet::new();
    loop {
        let Ok((length, from)) = socket.recv_from(&mut packet).await else { continue };
        asked.all.fetch_add(1, Ordering::Relaxed);
        let open = asked.open.fetch_add(1, Ordering::Relaxed) + 1;
        asked.most.fetch_max(open, Ordering::Relaxed);
        if let Some(answer) = answer(&packet[..length], &table) {
            let (socket, asked) = (Arc::clone(&socket), Arc::clone(&asked));
            answering.spawn(async move {
                tokio::time::sleep(takes).await;
                asked.open.fetch_sub(1, Ordering::Relaxed);
                let _ = socket.send_to(&answer, from).await;
            });
        }
        while answering.try_join_next().is_some() {}
    }
}

/// An answer to a query of one question (RFC 1035, section 4).
fn answer(query: &[u8], table: &HashMap<String, Said>) -> Option<Vec<u8>> {
    let mut name = Vec::new();
    let mut at = 12;
    while *query.get(at)? != 0 {
        let length = usize::from(query[at]);
        name.push(String::from_utf8_lossy(query.get(at + 1..at + 1 + length)?).to_ascii_lowercase());
        at += length + 1;
    }
    let question = query.get(12..at + 5)?;
    let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    let (code, addresses) = match table.get(&name.join(".")) {
        Some(Said::Silence) => return None,
        Some(Said::Addresses(addresses)) => (0, addresses.as_slice()),
        Some(Said::NoSuchName) | None => (3, [].as_slice()),
    };
    let records: Vec<Vec<u8>> = addresses
        .iter()
        .filter_map(|address| match (address, kind) {
            (IpAddr::V4(v4), 1) => Some(v4.octets().to_vec()),
            (IpAddr::V6(v6), 28) => Some(v6.octets().to_vec()),
            (IpAddr::V4(_) | IpAddr::V6(_), _) => None,
        })
        .collect();
    let count = u8::try_from(records.len()).ok()?;
    let mut out = vec![query[0], query[1], 0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0];
    out.extend_from_slice(question);
    for data in records {
        // The name of the question again, this type, class IN, a TTL of 10 s.
        out.extend_from_slice(&[0xc0, 12, question[question.len() - 4], question[question.len() - 3], 0, 1]);
        out.extend_from_slice(&[0, 0, 0, 10, 0, u8::try_from(data.len()).ok()?]);
        out.extend_from_slice(&data);
    }
    Some(out)
}
