//! A socket that counts what comes in and stops when it was enough.
//!
//! Every other limit (of a head, of a body, of interim answers, of chunk headers, of TLS records) is a
//! rule about a format. This one is about bytes, stands below all formats, and so needs none of them to be
//! free of mistakes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What one read costs at least. Whoever sends single bytes makes us work for each of them: parsing a head
/// again from its start, waking up, decrypting a record.
const LEAST_CHARGE: u64 = 256;

/// What came in over one connection, and how much more may.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    read: AtomicU64,
    charged: AtomicU64,
    budget: AtomicU64,
    overdrawn: AtomicU64,
}

impl Gauge {
    /// Lets `bytes` more come in, and no more; what was left over from before is forfeit.
    pub(super) fn allow(&self, bytes: u64) {
        self.budget.store(self.charged.load(Ordering::Relaxed).saturating_add(bytes), Ordering::Relaxed);
    }

    /// Bytes that came in so far.
    pub(super) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Whether a read was refused because the budget was spent.
    pub(super) fn is_overdrawn(&self) -> bool {
        self.overdrawn.load(Ordering::Relaxed) > 0
    }

    fn charge(&self, bytes: u64) {
        self.read.fetch_add(bytes, Ordering::Relaxed);
        self.charged.fetch_add(bytes.max(LEAST_CHARGE), Ordering::Relaxed);
    }

    fn is_spent(&self) -> bool {
        let spent = self.charged.load(Ordering::Relaxed) >= self.budget.load(Ordering::Relaxed);
        if spent {
            self.overdrawn.store(1, Ordering::Relaxed);
        }
        spent
    }
}

/// A TCP connection with its gauge.
#[derive(Debug)]
pub(super) struct Metered {
    stream: TcpStream,
    gauge: Arc<Gauge>,
}

impl Metered {
    pub(super) fn new(stream: TcpStream, gauge: Arc<Gauge>) -> Self {
        Self { stream, gauge }
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.gauge.is_spent() {
            return Poll::Ready(Err(io::Error::other("more bytes than such an answer may have")));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.gauge.charge((buf.filled().len() - before) as u64);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_single_bytes_spends_the_budget_as_fast_as_a_flood_of_many() {
        let gauge = Gauge::default();
        gauge.allow(1024);
        for _ in 0..4 {
            assert!(!gauge.is_spent());
            gauge.charge(1);
        }
        assert!(gauge.is_spent() && gauge.is_overdrawn());
        assert_eq!(gauge.read(), 4);
    }
}
