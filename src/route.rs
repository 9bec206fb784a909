//! Sees when this host's way to the world changes: another address, another gateway, a cable that is in again.
//!
//! The kernel says on a netlink socket that something about links, addresses or routes changed; on a host with
//! containers it says so at every start of one. So what counts is not the message but whether the default routes, or
//! the addresses that this host would speak from, are others than before. Where there is no such socket (a sandbox
//! without `AF_NETLINK`), the same look is taken once in a while.

use std::fs;
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};
use tokio::io::unix::AsyncFd;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// Links, IPv4 addresses, routes and rules, IPv6 addresses, routes and rules: `RTMGRP_*` of linux/rtnetlink.h, and the bit
/// of `RTNLGRP_IPV6_RULE`, which has no such name.
const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 0x4_0000;

/// A change of network is a burst of messages; it is over when none came for so long ...
const QUIET: Duration = Duration::from_millis(500);
/// ... and looked at all the same after this.
const IMPATIENCE: Duration = Duration::from_secs(2);
/// How often is looked where the kernel tells nothing: so seldom, for each time wakes the process.
const BLIND: Duration = Duration::from_secs(90);
/// And where it does, to be sure; whoever is awake anyway may ask for it more often ([`Watch::glance`]).
const SURE: Duration = Duration::from_secs(600);

/// This host's way to the world is another than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed;

/// Watches until it is dropped.
#[derive(Debug)]
pub struct Watch {
    task: JoinHandle<()>,
    glance: Arc<Notify>,
}

impl Watch {
    /// Looks now, for it costs less while the process is awake.
    pub fn glance(&self) {
        self.glance.notify_one();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Watches this host's way to the world from now on. Must be called in a tokio runtime.
pub fn watch() -> (Watch, mpsc::Receiver<Changed>) {
    let (tell, told) = mpsc::channel(1);
    let glance = Arc::new(Notify::new());
    (Watch { task: tokio::spawn(run(open(), Way::now().ok(), Arc::clone(&glance), tell)), glance }, told)
}

#[expect(
    deprecated,
    reason = "what is unsound with a type that lies about its descriptor is sound with OwnedFd"
)]
fn open() -> Option<AsyncFd<OwnedFd>> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    // Without a protocol it is the routing one, whose number is 0.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None).ok()?;
    bind(&socket, &SocketAddrNetlink::new(0, GROUPS)).ok()?;
    AsyncFd::new(socket).ok()
}

async fn run(
    mut socket: Option<AsyncFd<OwnedFd>>,
    mut last: Option<Way>,
    glance: Arc<Notify>,
    tell: mpsc::Sender<Changed>,
) {
    loop {
        let pause = if socket.is_some() { SURE } else { BLIND };
        let told = tokio::select! {
            () = tell.closed() => return,
            told = message(&mut socket) => told,
            () = glance.notified() => false,
            () = sleep(pause) => false,
        };
        if told {
            let end = Instant::now() + IMPATIENCE;
            while Instant::now() < end && timeout(QUIET, message(&mut socket)).await.is_ok() {}
        }
        // Who cannot look has seen no change.
        let Ok(now) = Way::now() else { continue };
        if last.replace(now.clone()).is_some_and(|last| last != now) {
            // A full channel means that the receiver has yet to hear of a change before.
            let _ = tell.try_send(Changed);
        }
    }
}

/// Waits for a message and throws away all that are there. A queue that overflowed is a message too.
async fn message(socket: &mut Option<AsyncFd<OwnedFd>>) -> bool {
    let Some(fd) = socket else { return std::future::pending().await };
    let Ok(mut ready) = fd.readable().await else {
        *socket = None;
        return true;
    };
    let mut buffer = [0_u8; 4096];
    while let Ok((1.., _)) | Err(rustix::io::Errno::NOBUFS | rustix::io::Errno::INTR) =
        recv(ready.get_inner(), &mut buffer, RecvFlags::empty())
    {}
    ready.clear_ready();
    true
}

/// How this host reaches the world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Way {
    /// Interface and gateway of every default route, as `/proc/net` has them.
    routes: Vec<String>,
    /// The addresses that it would speak from.
    sources: [Option<IpAddr>; 2],
}

impl Way {
    /// # Errors
    /// It cannot be looked at now, for want of descriptors, say.
    fn now() -> io::Result<Self> {
        let read = |path| known(fs::read_to_string(path)).map(Option::unwrap_or_default);
        let mut routes = defaults(&read("/proc/net/route")?);
        routes.extend(defaults_v6(&read("/proc/net/ipv6_route")?));
        routes.sort();
        // Nothing is sent: connecting a datagram socket only asks for the route. The addresses are for documentation
        // (RFC 5737, RFC 3849) and lie behind the default route, as the mirrors do.
        let sources = [source("0.0.0.0:0", "192.0.2.1:9")?, source("[::]:0", "[2001:db8::1]:9")?];
        Ok(Self { routes, sources })
    }
}

fn source(from: &str, to: &str) -> io::Result<Option<IpAddr>> {
    let address = || {
        let socket = UdpSocket::bind(from)?;
        socket.connect(to)?;
        socket.local_addr()
    };
    Ok(known(address())?.map(|address| address.ip()))
}

/// `None` where there is none (a host without IPv6, without a route), as opposed to what nobody could tell.
fn known<T>(looked: io::Result<T>) -> io::Result<Option<T>> {
    use rustix::io::Errno;
    match looked {
        Ok(found) => Ok(Some(found)),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS) => Err(error),
            Some(_) | None => Ok(None),
        },
    }
}

/// The default routes of `/proc/net/route`: `Iface Destination Gateway Flags RefCnt Use Metric Mask …`.
fn defaults(table: &str) -> Vec<String> {
    let lines = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines
        .filter_map(|fields| match fields[..] {
            [interface, "00000000", gateway, _, _, _, _, "00000000", ..] => {
                Some(format!("{interface} {gateway}"))
            }
            _ => None,
        })
        .collect()
}

/// Those of `/proc/net/ipv6_route`: `destination length source length gateway metric … interface`.
fn defaults_v6(table: &str) -> Vec<String> {
    const ANY: &str = "00000000000000000000000000000000";
    let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines
        .filter_map(|fields| match fields[..] {
            // The kernel keeps a route to nowhere on `lo`.
            [ANY, "00", _, _, gateway, .., interface] if interface != "lo" => {
                Some(format!("{interface} {gateway}"))
            }
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_default_routes_count() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                     eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
                     docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
                     eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n";
        assert_eq!(defaults(table), ["eth0 0101A8C0"]);
        assert_eq!(defaults("Iface\n"), [""; 0]);
        assert_eq!(defaults("x\n\n half a line"), [""; 0]);
        let zero = "0".repeat(32);
        let table = format!(
            "{zero} 00 {zero} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 eth0\n\
             {zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200 lo\n\
             fe800000000000000000000000000000 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001 eth0\n"
        );
        assert_eq!(defaults_v6(&table), ["eth0 fe800000000000000000000000000001"]);
    }
}
