//! The connections that this process makes itself, by which its probes are told from the engine's pulls.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fd::AsFd;
use rustix::net::sockopt::socket_cookie;

/// So many are remembered. Each matters until the kernel has said that it ended, within the second; a round of two
/// thousand mirrors makes some thousands in a few.
const MOST: usize = 4096;

/// Our own connections; a clone knows the same.
#[derive(Clone, Debug, Default)]
pub struct Ours(Arc<Mutex<VecDeque<u64>>>);

impl Ours {
    /// This socket, which may not be connected yet, is ours. Does nothing on a kernel without cookies (before 4.12).
    pub fn add(&self, socket: impl AsFd) {
        let Ok(cookie) = socket_cookie(socket) else { return };
        let mut cookies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cookies.len() == MOST {
            cookies.pop_front();
        }
        cookies.push_back(cookie);
    }

    /// Whether the socket that the kernel gave this cookie is ours.
    pub fn has(&self, cookie: u64) -> bool {
        let cookies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cookies.iter().rev().any(|ours| *ours == cookie)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_and_no_others() {
        let ours = Ours::default();
        let sockets: Vec<_> = (0..3).map(|_| std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        let known = ours.clone();
        known.add(&sockets[0]);
        known.add(&sockets[1]);
        let cookie = |at: usize| socket_cookie(&sockets[at]).unwrap();
        assert!(ours.has(cookie(0)) && ours.has(cookie(1)) && !ours.has(cookie(2)));
        for _ in 0..MOST - 1 {
            ours.add(&sockets[2]);
        }
        assert!(!ours.has(cookie(0)) && ours.has(cookie(1)) && ours.has(cookie(2)));
    }
}
