//! A port at which everything is dropped, as by a firewall.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};

use super::runtime;

/// A listener that accepts nobody and whose queue is full: the kernel drops every SYN.
pub struct BlackHole {
    address: SocketAddr,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl BlackHole {
    pub fn open() -> Self {
        let _entered = runtime().enter();
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a port");
        let listener = socket.listen(0).expect("the port is ours");
        let address = listener.local_addr().expect("it is bound");
        let mut queue = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(50)) {
            queue.push(stream);
        }
        Self { address, _listener: listener, _queue: queue }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
