//! One cold connection: name, address check, TCP, perhaps a proxy, TLS. Each step is timed and capped.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Uri};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};
use tower_service::Service;

use super::address::{self, Checked, Reach, Rule, check};
use super::dial::dial;
use super::meter::{Gauge, Metered};
use super::names::Names;
use super::route::{Proxy, Route, Routes, Speaks};
use super::tls::Tls;
use super::wrong::{Try, Wrong};
use crate::mirror::{MirrorUrl, Scheme};
use crate::ours::Ours;
use crate::reason::FailureKind;

/// What may come in before the first request: the answers of proxies and of TLS, whose longest message rustls
/// limits to 64 KiB.
const HANDSHAKE_BYTES: u64 = 96 * 1024;

/// Bytes in both directions.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection through whatever layers it needed.
pub(super) type Io = Box<dyn Stream>;

/// Opens connections.
pub(super) struct Connector {
    names: Names,
    tls: Tls,
    routes: Routes,
    connect_timeout: Duration,
    ours: Ours,
}

/// How to get to a host, decided and checked, but not yet gone.
#[derive(Clone, Debug)]
pub(super) enum Way {
    /// To one of these addresses.
    Straight(Checked),
    /// Through the engine's proxy, which is at one of these addresses; the mirror's name is the proxy's to resolve.
    Proxied(Reach, Checked),
}

/// An open connection on which one request can be made.
pub(super) struct Line {
    pub(super) io: Io,
    pub(super) gauge: Arc<Gauge>,
    pub(super) form: Form,
    /// The other end, where it is the host itself.
    pub(super) peer: Option<SocketAddr>,
    pub(super) connect: Duration,
    pub(super) tls: Option<Duration>,
}

/// How the request line names what is asked for.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// By path.
    Path,
    /// By URL, as a proxy of plain http wants it, with the login to that proxy.
    Url(Option<HeaderValue>),
}

impl Connector {
    pub(super) fn new(names: Names, tls: Tls, routes: Routes, connect_timeout: Duration) -> Self {
        Self { names, tls, routes, connect_timeout, ours: Ours::default() }
    }

    /// Its connections are to be among these.
    pub(super) fn note_in(&mut self, ours: Ours) {
        self.ours = ours;
    }

    /// Resolves and checks `to`, or resolves the proxy that does.
    ///
    /// # Errors
    ///
    /// `name_not_resolved` for either, or what [`check`] says of the addresses.
    pub(super) async fn way(&self, to: &MirrorUrl, rule: Rule, end: Instant) -> Try<Way> {
        match self.routes.to(to) {
            Route::Straight => {
                let found = self.names.resolve(to.host(), end).await?;
                check(to.host(), to.port(), &found, rule).map(Way::Straight)
            }
            Route::Through(proxy) => {
                let reach = match to.address() {
                    Some(ip) => check(to.host(), to.port(), &[ip], rule)?.reach(),
                    None => Reach::Public,
                };
                let found = self.names.resolve(&proxy.host, end).await.map_err(|wrong| proxy.blame(wrong))?;
                Ok(Way::Proxied(reach, address::of_proxy(&found, proxy.port)))
            }
        }
    }

    /// Connects to `to` by `way`, up to where TLS begins.
    ///
    /// # Errors
    ///
    /// Those of [`dial`], or what was wrong with the proxy.
    pub(super) async fn reach(&self, to: &MirrorUrl, way: &Way, end: Instant) -> Try<Line> {
        let gauge = Arc::new(Gauge::default());
        gauge.allow(HANDSHAKE_BYTES);
        let begin = Instant::now();
        let (io, form, peer) = match (way, self.routes.to(to)) {
            (Way::Straight(checked), Route::Straight) => {
                let (stream, peer) = dial(checked, self.patience(end), &self.ours).await?;
                (Box::new(Metered::new(stream, Arc::clone(&gauge))) as Io, Form::Path, Some(peer))
            }
            (Way::Proxied(_, checked), Route::Through(proxy)) => {
                let through = self.through(proxy, checked, to, &gauge, end).await;
                let (io, form) = through.map_err(|wrong| proxy.blame(wrong))?;
                (io, form, None)
            }
            (Way::Straight(_) | Way::Proxied(..), Route::Straight | Route::Through(_)) => {
                unreachable!("the routes of a prober never change")
            }
        };
        Ok(Line { io, gauge, form, peer, connect: begin.elapsed(), tls: None })
    }

    /// `line` with TLS, where `to` is https.
    ///
    /// # Errors
    ///
    /// Those of [`Tls::handshake`], and `answer_too_large`.
    pub(super) async fn secure(&self, line: Line, to: &MirrorUrl, end: Instant) -> Try<Line> {
        if to.scheme() == Scheme::Http {
            return Ok(line);
        }
        let begin = Instant::now();
        let shaken = self.tls.handshake(line.io, to.host(), self.patience(end)).await;
        let io = shaken.map_err(|wrong| if line.gauge.is_overdrawn() { too_large() } else { wrong })?;
        Ok(Line { io: Box::new(io), tls: Some(begin.elapsed()), ..line })
    }

    async fn through(
        &self,
        proxy: &Proxy,
        checked: &Checked,
        to: &MirrorUrl,
        gauge: &Arc<Gauge>,
        end: Instant,
    ) -> Try<(Io, Form)> {
        let (stream, _) = dial(checked, self.patience(end), &self.ours).await?;
        let mut io: Io = Box::new(Metered::new(stream, Arc::clone(gauge)));
        if proxy.speaks == Speaks::Https {
            io = Box::new(self.tls.handshake(io, &proxy.host, self.patience(end)).await?);
        }
        match (proxy.speaks, to.scheme()) {
            (Speaks::Http | Speaks::Https, Scheme::Http) => Ok((io, Form::Url(proxy.basic.clone()))),
            (Speaks::Http | Speaks::Https, Scheme::Https) | (Speaks::Socks5, _) => {
                match timeout_at(self.patience(end), tunnel(proxy, io, to)).await {
                    Ok(io) => Ok((io?, Form::Path)),
                    Err(_) => Err(Wrong::new(FailureKind::ConnectTimeout, "it did not connect us in time")),
                }
            }
        }
    }

    fn patience(&self, end: Instant) -> Instant {
        end.min(Instant::now() + self.connect_timeout)
    }
}

impl Way {
    /// How near the host is.
    pub(super) fn reach(&self) -> Reach {
        match self {
            Self::Straight(checked) => checked.reach(),
            Self::Proxied(reach, _) => *reach,
        }
    }
}

fn too_large() -> Wrong {
    Wrong::new(FailureKind::AnswerTooLarge, "too many bytes before the first request")
}

/// Has the proxy connect us to `to`.
async fn tunnel(proxy: &Proxy, io: Io, to: &MirrorUrl) -> Try<Io> {
    let refused = |error: &dyn std::error::Error| {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        Wrong::new(FailureKind::Unreachable, format!("it does not connect us: {error}{cause}"))
    };
    let host = match to.address() {
        Some(IpAddr::V6(v6)) => format!("[{v6}]"),
        Some(IpAddr::V4(_)) | None => to.host().to_owned(),
    };
    // With the port always: the tunnel takes 443 for granted where there is none.
    let goal: Uri = format!("{}://{host}:{}/", to.scheme().as_str(), to.port())
        .parse()
        .map_err(|error: http::uri::InvalidUri| refused(&error))?;
    let ready = Ready(Some(io));
    let io = match proxy.speaks {
        Speaks::Socks5 => {
            let mut socks = SocksV5::new(proxy.uri.clone(), ready);
            if let Some((user, password)) = proxy.login.clone() {
                socks = socks.with_auth(user, password);
            }
            socks.call(goal).await.map_err(|error| refused(&error))?
        }
        Speaks::Http | Speaks::Https => {
            let mut tunnel = Tunnel::new(proxy.uri.clone(), ready);
            if let Some(basic) = proxy.basic.clone() {
                tunnel = tunnel.with_auth(basic);
            }
            tunnel.call(goal).await.map_err(|error| refused(&error))?
        }
    };
    Ok(io.into_inner())
}

/// The connector that the tunnels of hyper-util want: it hands over a connection that is already open,
/// because dialling is timed, checked and metered here.
struct Ready(Option<Io>);

impl Service<Uri> for Ready {
    type Response = TokioIo<Io>;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<TokioIo<Io>>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let taken = || io::Error::other("the connection was already taken");
        std::future::ready(self.0.take().map(TokioIo::new).ok_or_else(taken))
    }
}
