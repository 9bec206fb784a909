//! Which connections to some addresses have just ended: the kernel tells whoever joined its group (`sock_diag(7)`, since
//! Linux 4.3; no right is needed).
//!
//! It is how a pull makes itself known without anybody looking again and again: an engine that leaves a mirror ends its
//! connection to it, and the classic store makes one for each request. A filter in the kernel (`socket(7)`) passes only
//! what led to the addresses asked for, so a busy host wakes nobody.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};
use socket2::{SockFilter, SockRef};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::kernel::{Connection, INET, INET6, connection, message};

/// `SKNLGRP_INET_TCP_DESTROY` and `SKNLGRP_INET6_TCP_DESTROY` of linux/sock_diag.h, each as its bit.
const GROUPS: u32 = 1 | 1 << 2;

/// A message has some 400 bytes.
const BUFFER: usize = 2048;

/// So many messages are read at once; the rest a moment later.
const AT_ONCE: usize = 256;

// linux/bpf_common.h: load a byte, two, four of the message at a place; return a constant; compare and jump.
const BYTE: u16 = 0x30;
const HALF: u16 = 0x28;
const WORD: u16 = 0x20;
const RETURN: u16 = 0x06;
const IS_EQUAL: u16 = 0x15;
// Where in the message `struct inet_diag_msg`, behind the header of 16 bytes, has them.
const FAMILY: u32 = 16;
const PORT: u32 = 16 + 6;
const ADDRESS: u32 = 16 + 24;

/// An ear for ends.
#[derive(Debug)]
pub(super) struct Ended(AsyncFd<OwnedFd>);

impl Ended {
    /// Deaf until it is told where to.
    ///
    /// # Errors
    ///
    /// The kernel does not tell.
    #[expect(
        deprecated,
        reason = "what is unsound with a type that lies about its descriptor is sound with OwnedFd"
    )]
    pub(super) fn open() -> io::Result<Self> {
        let (kind, flags) = (SocketType::DGRAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK);
        let socket = socket_with(AddressFamily::NETLINK, kind, flags, Some(netlink::SOCK_DIAG))?;
        SockRef::from(&socket).attach_filter(&filter(&[]))?;
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        Ok(Self(AsyncFd::with_interest(socket, Interest::READABLE)?))
    }

    /// Those to `remotes` are heard from now on.
    ///
    /// # Errors
    ///
    /// The kernel does not take the filter.
    pub(super) fn aim(&self, remotes: &[SocketAddr]) -> io::Result<()> {
        SockRef::from(self.0.get_ref()).attach_filter(&filter(remotes))
    }

    /// Those that have ended, as they were last; `None` stands for some of which that is not known.
    ///
    /// # Errors
    ///
    /// The socket fails.
    pub(super) async fn next(&self) -> io::Result<Vec<Option<Connection>>> {
        self.0.async_io(Interest::READABLE, heard).await
    }
}

/// What waits; an error when there is nothing.
fn heard(socket: &OwnedFd) -> io::Result<Vec<Option<Connection>>> {
    let mut buffer = [0; BUFFER];
    let mut ended = Vec::new();
    while ended.len() < AT_ONCE {
        match recv(socket, &mut buffer, RecvFlags::empty()) {
            Ok((length, _)) => {
                let mut rest = &buffer[..length.min(BUFFER)];
                while let Some((_, _, body)) = message(&mut rest) {
                    ended.push(connection(body));
                }
            }
            // More ended than there was room for.
            Err(rustix::io::Errno::NOBUFS) => ended.push(None),
            Err(rustix::io::Errno::WOULDBLOCK) if !ended.is_empty() => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(ended)
}

/// "It led to the first, or to the second, ..." in the kernel's bytecode.
fn filter(remotes: &[SocketAddr]) -> Vec<SockFilter> {
    let mut program = Vec::new();
    for remote in remotes {
        let mut tests = Vec::with_capacity(6);
        let port = (HALF, PORT, u32::from(remote.port()));
        match remote.ip() {
            IpAddr::V4(address) => {
                tests.extend([(BYTE, FAMILY, u32::from(INET)), port]);
                tests.push((WORD, ADDRESS, u32::from_be_bytes(address.octets())));
            }
            IpAddr::V6(address) => {
                tests.extend([(BYTE, FAMILY, u32::from(INET6)), port]);
                let octets = address.octets();
                let (words, _) = octets.as_chunks::<4>();
                let places = (ADDRESS..).step_by(4);
                tests
                    .extend(words.iter().zip(places).map(|(word, at)| (WORD, at, u32::from_be_bytes(*word))));
            }
        }
        // Each test is a load and a comparison; whoever fails goes on behind this remote's "yes".
        let mut left = u8::try_from(2 * tests.len()).unwrap_or(u8::MAX);
        for (load, place, value) in tests {
            left -= 2;
            program.push(SockFilter::new(load, 0, 0, place));
            program.push(SockFilter::new(IS_EQUAL, 0, left + 1, value));
        }
        program.push(SockFilter::new(RETURN, 0, 0, u32::MAX));
    }
    program.push(SockFilter::new(RETURN, 0, 0, 0));
    program
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use rustix::net::sockopt::socket_cookie;

    use super::*;

    /// A client that has got so many bytes, and its server.
    fn connected(address: &str, bytes: usize) -> (SocketAddr, TcpStream, TcpStream) {
        let listener = TcpListener::bind(address).unwrap();
        let remote = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(remote).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        server.write_all(&vec![7; bytes]).unwrap();
        client.read_exact(&mut vec![0; bytes]).unwrap();
        (remote, client, server)
    }

    #[tokio::test]
    async fn of_all_that_end_those_to_the_addresses_are_heard() {
        let ended = Ended::open().unwrap();
        let (four, one, _first) = connected("127.0.0.1:0", 3000);
        let (six, two, _second) = connected("[::1]:0", 0);
        let (other, three, _third) = connected("127.0.0.1:0", 0);
        let cookie = |socket: &TcpStream| socket_cookie(socket).unwrap();
        let mut wanted = [(cookie(&one), four, 3000), (cookie(&two), six, 0)];
        let elsewhere = ["192.0.2.1:443".parse().unwrap(), "[2001:db8::1]:443".parse().unwrap()];
        ended.aim(&[elsewhere[0], four, elsewhere[1], six]).unwrap();
        drop((three, one, two));
        let mut heard = Vec::new();
        while heard.len() < 2 {
            let connections = ended.next().await.unwrap().into_iter().flatten();
            heard.extend(connections.map(|ended| (ended.cookie, ended.remote, ended.received)));
        }
        heard.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(heard, wanted);
        // Nobody is asked for, and then the one that was not before.
        ended.aim(&[]).unwrap();
        drop(TcpStream::connect(four));
        ended.aim(&[other]).unwrap();
        let refused = TcpStream::connect_timeout(&other, Duration::from_secs(5));
        assert!(refused.is_err(), "nobody listens there any more");
        assert_eq!(ended.next().await.unwrap().len(), 1, "one that was refused has ended too");
    }

    #[tokio::test]
    async fn what_is_lost_is_known_to_be_lost() {
        let ended = Ended::open().unwrap();
        SockRef::from(ended.0.get_ref()).set_recv_buffer_size(1).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let remote = listener.local_addr().unwrap();
        ended.aim(&[remote]).unwrap();
        let (mut heard, mut made) = (Vec::new(), 0);
        // The kernel tells in its own time: where it has told nothing before the last one has ended, we may keep pace.
        while !heard.contains(&None) {
            for _ in 0..200 {
                drop((TcpStream::connect(remote).unwrap(), listener.accept().unwrap()));
            }
            made += 200;
            heard.extend(ended.next().await.unwrap());
        }
        assert!(heard.len() < made);
    }
}
