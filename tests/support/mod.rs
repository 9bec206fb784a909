//! A registry that serves a real image, and can be broken in every way that was met in the wild.
//!
//! It needs nothing of mirrorwatch, so tests, examples and benches share it: `mod support;` in a test,
//! `#[path = "../tests/support/mod.rs"] mod support;` elsewhere, with `#[expect(dead_code, reason = "…")]` where not
//! all of it is used. All registries of a process live on one thread of
//! their own with its own runtime, so they work from synchronous code too, and what is measured of the code
//! under test is not theirs.
//!
//! ```ignore
//! let registry = Registry::start(Options::default());       // http://127.0.0.1:PORT
//! registry.set_fault(Fault::at(Place::Layer, Act::Stall { after: 10_000 }));
//! registry.set_speed(Some(20 * 1024));                      // bytes per second
//! registry.stop();                                          // connections die, the port refuses
//! registry.start_again();                                   // on the same port
//! assert_eq!(registry.count(|request| request.path == "/v2/"), 0);
//! ```
//!
//! # A real pull through it
//!
//! The image is one that engines accept: an OCI index with a manifest for each platform and an attestation,
//! configs with `diff_ids`, layers of gzipped tar. Put [`registry::Registry::url`] into `registry-mirrors` of a dockerd
//! (`http://127.0.0.1:PORT` needs nothing else; for https also the certificate of [`certificate::authority_pem`] as
//! `certs.d/127.0.0.1:PORT/ca.crt`) and `docker pull busybox` comes from here, as does
//! `skopeo copy --src-tls-verify=false docker://127.0.0.1:PORT/library/busybox dir:/somewhere`. There is no tags/list,
//! as with most mirrors, and nothing in the image for `docker run` to run.

#![expect(unreachable_pub, reason = "whoever includes this module is the crate it is public to")]

pub mod certificate;
pub mod content;
pub mod fault;
pub mod hole;
pub mod names;
pub mod proxy;
pub mod registry;
mod reply;

use std::sync::{OnceLock, mpsc};

use tokio::runtime::{Builder, Handle};

/// The runtime of all fakes of this process.
fn runtime() -> &'static Handle {
    static RUNTIME: OnceLock<Handle> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let (sender, receiver) = mpsc::channel();
        let serve = move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            sender.send(runtime.handle().clone()).expect("somebody waits for it");
            runtime.block_on(std::future::pending::<()>());
        };
        std::thread::Builder::new().name("fakes".to_owned()).spawn(serve).expect("a thread");
        receiver.recv().expect("the thread sends it first of all")
    })
}
