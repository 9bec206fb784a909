//! The connections that this process makes itself, by which its probes are told from the engine's pulls.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fd::AsFd;
use rustix::net::sockopt::socket_cookie;

/// So many are remembered. Each matters until the kernel has said that it ended, within the second; a round of two
/// thousand mirrors makes some thousands in a few.
const MOST: usize = 4096;

/// Our own connections; a clone knows the same.
#[derive(Clone, Debug, Default)]
pub struct Ours(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    cookies: VecDeque<u64>,
    /// How many are being made.
    making: usize,
    /// How many have been made.
    made: u64,
}

impl Ours {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This socket, which is about to be connected, is ours. A kernel without cookies (before 4.12) cannot tell it from
    /// others afterwards.
    pub fn begin(&self, socket: impl AsFd) -> Attempt {
        let cookie = socket_cookie(socket).ok();
        let mut known = self.known();
        known.making += 1;
        if known.cookies.len() == MOST {
            known.cookies.pop_front();
        }
        known.cookies.extend(cookie);
        Attempt(self.clone())
    }

    /// Whether the socket that the kernel gave this cookie is ours.
    pub fn has(&self, cookie: u64) -> bool {
        self.known().cookies.iter().rev().any(|ours| *ours == cookie)
    }

    /// How many connections others have begun, of all that this host has: a number that grows by each of theirs, and by one
    /// of ours only where that came to nothing. `None` while one of ours is being made, and where `all` is not known.
    pub fn others(&self, all: impl FnOnce() -> Option<u64>) -> Option<u64> {
        // Held meanwhile: none of ours begins between the two.
        let known = self.known();
        if known.making > 0 {
            return None;
        }
        all()?.checked_sub(known.made)
    }
}

/// A connection that is being made, until this is dropped.
#[derive(Debug)]
pub struct Attempt(Ours);

impl Attempt {
    /// It is there, so the kernel has counted it. One that failed may have, and may not.
    pub fn succeeded(self) {
        self.0.known().made += 1;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.0.known().making -= 1;
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
        known.begin(&sockets[0]);
        known.begin(&sockets[1]);
        let cookie = |at: usize| socket_cookie(&sockets[at]).unwrap();
        assert!(ours.has(cookie(0)) && ours.has(cookie(1)) && !ours.has(cookie(2)));
        for _ in 0..MOST - 1 {
            ours.begin(&sockets[2]);
        }
        assert!(!ours.has(cookie(0)) && ours.has(cookie(1)) && ours.has(cookie(2)));
    }

    #[test]
    fn what_others_begin_is_told_from_what_we_do_and_not_while_we_do_it() {
        let ours = Ours::default();
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(ours.others(|| Some(7)), Some(7));
        let attempt = ours.begin(&socket);
        assert_eq!(ours.others(|| Some(8)), None, "the kernel may have counted it, or not yet");
        attempt.succeeded();
        assert_eq!(ours.others(|| Some(8)), Some(7), "nobody else");
        assert_eq!(ours.others(|| Some(9)), Some(8), "somebody else");
        drop(ours.begin(&socket));
        assert_eq!(ours.others(|| Some(9)), Some(8), "it failed before the kernel counted it");
        assert_eq!(ours.others(|| Some(10)), Some(9), "or after that, or it was somebody else");
        assert_eq!((ours.others(|| None), ours.others(|| Some(0))), (None, None));
    }
}
