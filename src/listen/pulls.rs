//! The engine's own word that an image was pulled, from its socket: `GET /events`.

use std::fmt::Display;
use std::path::Path;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::mpsc::Sender;

/// Percent-encoded `{"type":["image"],"event":["pull"]}`.
const EVENTS: &str = "/events?filters=%7B%22type%22%3A%5B%22image%22%5D%2C%22event%22%3A%5B%22pull%22%5D%7D";

/// Sends something for every image that was pulled, and says why when there are no more.
///
/// Nobody may call this while no dockerd runs: under socket activation the connection would start one.
pub(super) async fn follow(socket: &Path, pulls: Sender<()>) -> String {
    let failed = |cause: &dyn Display| format!("{}: GET /events: {cause}", socket.display());
    let stream = match UnixStream::connect(socket).await {
        Ok(stream) => stream,
        Err(error) => return failed(&error),
    };
    let (mut sender, connection) = match http1::handshake(TokioIo::new(stream)).await {
        Ok(both) => both,
        Err(error) => return failed(&error),
    };
    let exchange = async {
        let request = http::Request::get(EVENTS)
            .header(http::header::HOST, "docker")
            .body(Empty::<Bytes>::new())
            .expect("the path above is valid");
        let answer = match sender.send_request(request).await {
            Ok(answer) if answer.status() == http::StatusCode::OK => answer,
            Ok(answer) => return failed(&format!("status {}", answer.status())),
            Err(error) => return failed(&error),
        };
        let mut body = answer.into_body();
        loop {
            match body.frame().await {
                // The filter lets nothing else through, and what was pulled does not matter: one event is one line,
                // and dockerd flushes each.
                Some(Ok(frame)) => {
                    let some = frame.data_ref().is_some_and(|data| !data.trim_ascii().is_empty());
                    if some && pulls.send(()).await.is_err() {
                        return String::new();
                    }
                }
                Some(Err(error)) => return failed(&error),
                None => return failed(&"the stream ended"),
            }
        }
    };
    tokio::select! {
        biased;
        why = exchange => why,
        ended = connection => match ended {
            Ok(()) => failed(&"the connection ended"),
            Err(error) => failed(&error),
        },
    }
}
