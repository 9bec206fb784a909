//! A round by hand over many mirrors. Alone in its process, whose limit of open files it lowers.

#[expect(dead_code, reason = "the other tests use the rest of the fakes")]
mod support;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use mirrorwatch::mirror::MirrorUrl;
use mirrorwatch::observation::{Depth, Outcome};
use mirrorwatch::probe::{Prober, Settings};
use mirrorwatch::round::{Plan, ask};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::hole::BlackHole;
use support::registry::{Options, Registry};
use tokio::sync::Notify;

/// Longer than this test may take.
const NEVER: Duration = Duration::from_secs(600);

#[tokio::test]
async fn six_hundred_mirrors_that_drop_everything_do_not_hold_up_one_that_answers() {
    let few = Rlimit { current: Some(256), ..getrlimit(Resource::Nofile) };
    setrlimit(Resource::Nofile, few).unwrap();
    let hole = BlackHole::open();
    let registry = Registry::start(Options::default());
    let healthy: MirrorUrl = registry.url().parse().unwrap();
    let mut mirrors: Vec<MirrorUrl> = vec![format!("http://{}", hole.address()).parse().unwrap(); 600];
    mirrors.push(healthy.clone());
    let settings = Settings { connect_timeout: NEVER, timeout: NEVER, ..Settings::default() };
    let prober = Rc::new(Prober::new(settings).unwrap());
    let plan = Plan { depth: Depth::Rehearse, images: vec!["busybox".parse().unwrap()] };
    let (first, heard) = (RefCell::new(None), Notify::new());
    let round = ask(prober, &mirrors, &plan, |url, seen| {
        first.borrow_mut().get_or_insert_with(|| (url.clone(), seen.clone()));
        heard.notify_one();
    });
    tokio::select! {
        _ = round => {}
        () = heard.notified() => {}
    }
    let (url, seen) = first.into_inner().unwrap();
    assert_eq!((url, seen.outcome), (healthy, Outcome::Served));
}
