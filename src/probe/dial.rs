//! TCP: a race of a few addresses, IPv6 with a head start, and why it was lost.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::address::Checked;
use super::wrong::{Try, Wrong};
use crate::ours::Ours;
use crate::reason::FailureKind;

/// The head start of each attempt over the next: Go's `FallbackDelay`.
const HEAD_START: Duration = Duration::from_millis(300);

/// At most so many addresses of one host are tried, and may be open at once.
pub(super) const MOST: usize = 4;

/// Connects to the first address that answers; every try is one of `ours`.
///
/// # Errors
///
/// `connection_refused`, `unreachable`, or `connect_timeout` at `until`.
pub(super) async fn dial(checked: &Checked, until: Instant, ours: &Ours) -> Try<(TcpStream, SocketAddr)> {
    let mut queue = in_turn(checked.addresses()).into_iter().peekable();
    let mut racing = JoinSet::new();
    let mut lost = Vec::new();
    loop {
        if let Some(address) = queue.next() {
            let ours = ours.clone();
            racing.spawn(async move { (address, connect(address, &ours).await) });
        } else if racing.is_empty() {
            return Err(why(&lost));
        }
        let patience = match queue.peek() {
            Some(_) => until.min(Instant::now() + HEAD_START),
            None => until,
        };
        match timeout_at(patience, racing.join_next()).await {
            Ok(Some(Ok((address, Ok(stream))))) => {
                // Go sets it on every connection; failing to costs 40 ms at most.
                let _ = stream.set_nodelay(true);
                return Ok((stream, address));
            }
            Ok(Some(Ok((address, Err(error))))) => lost.push((address, error)),
            Ok(Some(Err(_)) | None) => {}
            Err(_) if Instant::now() >= until => {
                return Err(Wrong::new(FailureKind::ConnectTimeout, "no answer to the connection"));
            }
            Err(_) => {}
        }
    }
}

async fn connect(address: SocketAddr, ours: &Ours) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    let attempt = ours.begin(&socket);
    let stream = socket.connect(address).await?;
    attempt.succeeded();
    Ok(stream)
}

/// IPv6 and IPv4 by turns, IPv6 first.
fn in_turn(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let (six, four): (Vec<&SocketAddr>, Vec<&SocketAddr>) = addresses.iter().partition(|a| a.is_ipv6());
    let longest = six.len().max(four.len());
    let turns = (0..longest).flat_map(|turn| [six.get(turn), four.get(turn)]);
    turns.flatten().map(|address| **address).take(MOST).collect()
}

/// The failure that says most: a refusal came from the host itself.
fn why(lost: &[(SocketAddr, io::Error)]) -> Wrong {
    let kind_of = |error: &io::Error| {
        let kind = error.kind();
        if matches!(kind, io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset) {
            FailureKind::ConnectionRefused
        } else if kind == io::ErrorKind::TimedOut {
            FailureKind::ConnectTimeout
        } else {
            FailureKind::Unreachable
        }
    };
    [FailureKind::ConnectionRefused, FailureKind::ConnectTimeout, FailureKind::Unreachable]
        .into_iter()
        .find_map(|kind| {
            let (address, error) = lost.iter().find(|(_, error)| kind_of(error) == kind)?;
            Some(Wrong::new(kind, format!("{address}: {error}")))
        })
        .unwrap_or_else(|| Wrong::new(FailureKind::Unreachable, "no address to connect to"))
}

#[cfg(test)]
mod tests {
    use super::super::address::of_proxy;
    use super::*;

    #[test]
    fn families_take_turns_and_ipv6_begins() {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        let addresses = ["1.0.0.1:1", "1.0.0.2:1", "1.0.0.3:1", "[2600::1]:1", "1.0.0.4:1"].map(parse);
        let order = ["[2600::1]:1", "1.0.0.1:1", "1.0.0.2:1", "1.0.0.3:1"].map(parse);
        assert_eq!(in_turn(&addresses), order);
    }

    #[test]
    fn what_says_most_of_a_lost_race_is_the_failure() {
        let address: SocketAddr = "192.0.2.1:443".parse().unwrap();
        for (kinds, expected) in [
            (&[io::ErrorKind::HostUnreachable][..], FailureKind::Unreachable),
            (&[io::ErrorKind::NetworkUnreachable, io::ErrorKind::TimedOut], FailureKind::ConnectTimeout),
            (
                &[io::ErrorKind::HostUnreachable, io::ErrorKind::ConnectionRefused],
                FailureKind::ConnectionRefused,
            ),
            (&[io::ErrorKind::TimedOut, io::ErrorKind::ConnectionReset], FailureKind::ConnectionRefused),
            (&[], FailureKind::Unreachable),
        ] {
            let lost: Vec<_> = kinds.iter().map(|kind| (address, io::Error::from(*kind))).collect();
            assert_eq!(why(&lost).kind, expected, "{kinds:?}");
        }
    }

    #[tokio::test]
    async fn where_ipv6_drops_everything_ipv4_is_reached() {
        // A listener whose queue is full drops what else comes.
        let socket = tokio::net::TcpSocket::new_v6().unwrap();
        socket.bind("[::1]:0".parse().unwrap()).unwrap();
        let hole = socket.listen(1).unwrap();
        let address = hole.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(stream) = tokio::time::timeout(HEAD_START, TcpStream::connect(address)).await {
            queued.push(stream.unwrap());
        }
        let four = tokio::net::TcpListener::bind(("127.0.0.1", address.port())).await.unwrap();
        let both = of_proxy(&[address.ip(), "127.0.0.1".parse().unwrap()], address.port());
        let begin = Instant::now();
        let until = begin + Duration::from_secs(60);
        let Ok((_, reached)) = dial(&both, until, &Ours::default()).await else {
            panic!("nobody is reached")
        };
        assert_eq!(reached, four.local_addr().unwrap());
        assert!(begin.elapsed() >= HEAD_START, "IPv6 had its head start");
    }
}
