//! The kernel's own figures of the connections to some addresses: `sock_diag(7)` over netlink.
//!
//! Written against the kernel's stable structures (`linux/inet_diag.h`, `linux/tcp.h`): the crates that know them
//! bring a dozen others, and what is read here are six numbers.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

/// One TCP connection, or one that is being made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Names it for as long as the host runs; ports and inodes are used again.
    pub cookie: u64,
    /// Where it leads.
    pub remote: SocketAddr,
    /// Whether the other side has not accepted it yet.
    pub opening: bool,
    /// Whose it is.
    pub user: u32,
    /// Names the socket in `/proc/PID/fd`.
    pub inode: u32,
    /// Bytes that have come and that nobody has read yet.
    pub unread: u32,
    /// Bytes that have come in all.
    pub received: u64,
    /// Since when nothing has come.
    pub quiet: Duration,
    /// Since when nothing was sent.
    pub mute: Duration,
}

/// The way to ask the kernel.
#[derive(Debug)]
pub struct Kernel {
    socket: OwnedFd,
    buffer: Vec<u8>,
    asked: u32,
}

// linux/netlink.h
const HEADER: usize = 16;
const REQUEST_AND_DUMP: u16 = 0x301;
const ERROR: u16 = 2;
const DONE: u16 = 3;
// linux/sock_diag.h, linux/inet_diag.h
const BY_FAMILY: u16 = 20;
const REQUEST: usize = 56;
const MESSAGE: usize = 72;
const BYTECODE: u16 = 1;
const INFO: u16 = 2;
const JUMP: u8 = 1;
const REMOTE_IS: u8 = 8;
const TCP: u8 = 6;
pub(super) const INET: u8 = 2;
pub(super) const INET6: u8 = 10;
// net/tcp_states.h
const ESTABLISHED: u8 = 1;
const OPENING: u8 = 2;
// struct tcp_info
const LAST_DATA_SENT: usize = 44;
const LAST_DATA_RECV: usize = 52;
const BYTES_RECEIVED: usize = 128;

/// The kernel sends a dump in pieces of at most this size.
const PIECE: usize = 32 << 10;
/// A dump is answered at once; should it ever not be, nobody is to wait for it.
const DEADLINE: Duration = Duration::from_secs(1);
/// So many addresses are looked for at once; a list has three mirrors, and a name some four addresses.
pub(super) const ADDRESSES: usize = 64;

impl Kernel {
    /// Opens the socket; needs no right, but `AF_NETLINK` where a unit restricts families.
    ///
    /// # Errors
    ///
    /// The kernel has no `sock_diag`, or does not let us.
    pub fn open() -> io::Result<Self> {
        let protocol = Some(netlink::SOCK_DIAG);
        let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, protocol)?;
        set_socket_timeout(&socket, Timeout::Recv, Some(DEADLINE))?;
        Ok(Self { socket, buffer: vec![0; PIECE], asked: 0 })
    }

    /// The connections of this network namespace that lead to one of `remotes`.
    ///
    /// # Errors
    ///
    /// The kernel does not answer as it should.
    pub fn connections(&mut self, remotes: &[SocketAddr]) -> io::Result<Vec<Connection>> {
        let mut found = Vec::new();
        for family in [INET, INET6] {
            let mut of_family: Vec<SocketAddr> =
                remotes.iter().copied().filter(|remote| remote.is_ipv4() == (family == INET)).collect();
            of_family.sort_unstable();
            of_family.dedup();
            of_family.truncate(ADDRESSES);
            // One dump walks the whole table of the host's connections, so none is made for nothing.
            if !of_family.is_empty() {
                self.dump(family, &of_family, &mut found)?;
            }
        }
        Ok(found)
    }

    fn dump(&mut self, family: u8, remotes: &[SocketAddr], found: &mut Vec<Connection>) -> io::Result<()> {
        self.asked = self.asked.wrapping_add(1);
        let request = request(family, &filter(remotes), self.asked);
        send(&self.socket, &request, SendFlags::empty())?;
        loop {
            let (length, _) = recv(&self.socket, &mut self.buffer[..], RecvFlags::empty())?;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let mut rest = &self.buffer[..length.min(PIECE)];
            while let Some((kind, sequence, body)) = message(&mut rest) {
                // What is left of a dump that was given up.
                if sequence != self.asked {
                    continue;
                }
                match kind {
                    DONE => return Ok(()),
                    ERROR => return Err(error(body)),
                    _ => found.extend(connection(body)),
                }
            }
        }
    }
}

/// Whether the kernel has no such thing to tell, or tells nobody like us: unlike a want of memory or descriptors, that does
/// not pass.
pub(super) fn is_lasting(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            // No module for it, as the dump itself says; no family, no protocol, no call of that kind.
            Errno::NOENT
                | Errno::AFNOSUPPORT
                | Errno::PFNOSUPPORT
                | Errno::PROTONOSUPPORT
                | Errno::SOCKTNOSUPPORT
                | Errno::OPNOTSUPP
                | Errno::NOSYS
                | Errno::INVAL
                // A filter of calls, or a module for security.
                | Errno::PERM
                | Errno::ACCESS
        )
    )
}

/// One message and what it carries; `rest` moves on to the next.
pub(super) fn message<'a>(rest: &mut &'a [u8]) -> Option<(u16, u32, &'a [u8])> {
    let length = usize::try_from(word(rest, 0)?).ok()?;
    let body = rest.get(HEADER..length)?;
    let (kind, sequence) = (half(rest, 4)?, word(rest, 8)?);
    *rest = rest.get(aligned(length)..).unwrap_or_default();
    Some((kind, sequence, body))
}

fn error(body: &[u8]) -> io::Error {
    let number = word(body, 0).map_or(0, |number| i32::from_ne_bytes(number.to_ne_bytes()).wrapping_neg());
    io::Error::from_raw_os_error(number)
}

/// `struct inet_diag_msg` and its attributes.
pub(super) fn connection(body: &[u8]) -> Option<Connection> {
    let (family, state) = (*body.first()?, *body.get(1)?);
    let port = u16::from_be_bytes(body.get(6..8)?.try_into().ok()?);
    let address = body.get(24..40)?;
    let address: IpAddr = match family {
        INET => Ipv4Addr::from(<[u8; 4]>::try_from(&address[..4]).ok()?).into(),
        INET6 => Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?).into(),
        _ => return None,
    };
    let info = attribute(body.get(MESSAGE..)?, INFO)?;
    Some(Connection {
        cookie: long(body, 44)?,
        remote: SocketAddr::new(address, port),
        opening: state == OPENING,
        user: word(body, 64)?,
        inode: word(body, 68)?,
        unread: word(body, 56)?,
        // Kernels before 4.1 do not count; then every connection is one of which nothing is known.
        received: long(info, BYTES_RECEIVED)?,
        quiet: Duration::from_millis(word(info, LAST_DATA_RECV)?.into()),
        mute: Duration::from_millis(word(info, LAST_DATA_SENT)?.into()),
    })
}

fn attribute(mut rest: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let (length, kind) = (usize::from(half(rest, 0)?), half(rest, 2)?);
        let value = rest.get(4..length)?;
        if kind == wanted {
            return Some(value);
        }
        rest = rest.get(aligned(length)..)?;
    }
}

/// `struct inet_diag_req_v2` in its header, with the filter as its attribute.
fn request(family: u8, filter: &[u8], sequence: u32) -> Vec<u8> {
    let length = HEADER + REQUEST + 4 + filter.len();
    let mut out = Vec::with_capacity(length);
    out.extend(u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
    out.extend(BY_FAMILY.to_ne_bytes());
    out.extend(REQUEST_AND_DUMP.to_ne_bytes());
    out.extend(sequence.to_ne_bytes());
    out.extend([0; 4]);
    out.extend([family, TCP, 1 << (INFO - 1), 0]);
    out.extend(((1_u32 << ESTABLISHED) | (1 << OPENING)).to_ne_bytes());
    out.resize(HEADER + REQUEST, 0);
    out.extend(u16::try_from(4 + filter.len()).unwrap_or(u16::MAX).to_ne_bytes());
    out.extend(BYTECODE.to_ne_bytes());
    out.extend(filter);
    out
}

/// "Remote is the first, or the second, …" in the kernel's bytecode (`struct inet_diag_bc_op` and `hostcond`), so
/// that a host with thousands of connections does not copy them all to us. A jump to the very end accepts, four
/// bytes beyond it refuses.
fn filter(remotes: &[SocketAddr]) -> Vec<u8> {
    let size = |remote: &SocketAddr| if remote.is_ipv4() { 16 } else { 28 };
    let jump = 4;
    let mut left: usize = remotes.iter().map(|remote| size(remote) + jump).sum::<usize>() - jump;
    let mut out = Vec::with_capacity(left);
    let op = |out: &mut Vec<u8>, code: u8, yes: usize, no: usize| {
        out.extend([code, u8::try_from(yes).unwrap_or(u8::MAX)]);
        out.extend(u16::try_from(no).unwrap_or(u16::MAX).to_ne_bytes());
    };
    for (index, remote) in remotes.iter().enumerate() {
        let size = size(remote);
        let last = index + 1 == remotes.len();
        op(&mut out, REMOTE_IS, size, size + jump);
        match remote.ip() {
            IpAddr::V4(address) => {
                out.extend([INET, 32, 0, 0]);
                out.extend(i32::from(remote.port()).to_ne_bytes());
                out.extend(address.octets());
            }
            IpAddr::V6(address) => {
                out.extend([INET6, 128, 0, 0]);
                out.extend(i32::from(remote.port()).to_ne_bytes());
                out.extend(address.octets());
            }
        }
        left -= size;
        if !last {
            op(&mut out, JUMP, jump, left);
            left -= jump;
        }
    }
    out
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(4).max(4)
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_kernel_would_send_nothing_is_read_beyond_it() {
        for length in 0..200_usize {
            for fill in [0_u8, 1, 4, 16, 72, 255] {
                let bytes = vec![fill; length];
                let mut rest = &bytes[..];
                let mut turns = 0;
                while let Some((_, _, body)) = message(&mut rest) {
                    let _ = connection(body);
                    turns += 1;
                    assert!(turns <= length, "it ends");
                }
                let _ = attribute(&bytes, INFO);
            }
        }
    }

    #[test]
    fn a_filter_ends_with_a_condition_whose_no_leads_beyond_the_end() {
        let remotes: Vec<SocketAddr> =
            ["192.0.2.1:443", "192.0.2.2:443"].iter().map(|remote| remote.parse().unwrap()).collect();
        let filter = filter(&remotes);
        assert_eq!(filter.len(), 16 + 4 + 16);
        assert_eq!(filter[..4], [REMOTE_IS, 16, 20, 0], "no: over the jump");
        assert_eq!(filter[16..20], [JUMP, 4, 20, 0], "accept: to the very end");
        assert_eq!(filter[20..24], [REMOTE_IS, 16, 20, 0], "no: beyond the end");
    }
}
