//! Names that hang cost no thread and delay nobody. Alone in its process, whose threads it counts.

#[expect(dead_code, reason = "the other tests use the rest of the fakes")]
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use mirrorwatch::mirror::MirrorUrl;
use mirrorwatch::observation::{Depth, Observation};
use mirrorwatch::probe::{Prober, Settings, Task};
use mirrorwatch::reason::FailureKind;
use mirrorwatch::timestamp::Timestamp;
use support::names::{NameServer, Said};
use tokio::task::JoinSet;

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

async fn connect(prober: Arc<Prober>, host: String) -> (Observation, Duration) {
    let begin = Instant::now();
    let url: MirrorUrl = format!("https://{host}").parse().expect("a URL");
    let task = Task { depth: Depth::Connect, image: None, layers: None, turn: 0 };
    let seen = prober.probe(&url, &task, Timestamp::from_millis(0)).await;
    (seen, begin.elapsed())
}

#[tokio::test]
async fn fifty_names_that_hang_cost_no_thread_and_delay_no_other() {
    let hanging = (0..50).map(|number| (format!("hangs{number}.example"), Said::Silence));
    let server = NameServer::start(hanging);
    let settings = Settings { nameservers: Some(vec![server.address()]), ..Settings::default() };
    let prober = Arc::new(Prober::new(settings).unwrap());
    let before = threads();
    let mut hanging = JoinSet::new();
    for number in 0..50 {
        hanging.spawn(connect(Arc::clone(&prober), format!("hangs{number}.example")));
    }
    while server.queries() < 50 {
        tokio::task::yield_now().await;
    }
    let (other, took) = connect(Arc::clone(&prober), "answers.example".to_owned()).await;
    assert_eq!(other.failure().unwrap().kind, FailureKind::NameNotResolved);
    assert!(other.failure().unwrap().detail.contains("no such name"), "{other:?}");
    assert!(took < Duration::from_secs(1), "delayed by others: {took:?}");
    assert_eq!(threads(), before, "a thread for a name");
    assert!(before <= 4, "{before} threads: the test's own two, and the fake name server's");
    while let Some(done) = hanging.join_next().await {
        let (seen, took) = done.unwrap();
        assert_eq!(seen.failure().unwrap().kind, FailureKind::NameNotResolved);
        assert!(took < Duration::from_millis(3500), "{took:?}");
    }
}
