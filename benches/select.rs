//! How long a selection takes over 10 to 10,000 mirrors.
//!
//! Each world has what makes a selection long: failures, two digests of one tag, mirrors that send their layers
//! to another, a list that must be held against every challenger. The last column is what matters: the time for
//! one mirror, against that in the world of 10. It stays near 1 as long as nothing compares each with each; beyond
//! some thousand mirrors the records no longer fit the cache, and it rises to a few.

use std::hint::black_box;
use std::time::{Duration, Instant};

use mirrorwatch::image::{Digest, Image};
use mirrorwatch::mirror::{Mirror, MirrorUrl};
use mirrorwatch::observation::{Depth, Failure, Observation, Outcome, Stage};
use mirrorwatch::ranking::Policy;
use mirrorwatch::ranking::record::Record;
use mirrorwatch::ranking::select::{Candidate, Current, Upstream, select};
use mirrorwatch::reason::FailureKind;
use mirrorwatch::timestamp::Timestamp;

const START: Timestamp = Timestamp::from_millis(1_795_176_000_000);
const REHEARSALS: u64 = 8;
/// A measurement lasts at least so long.
const LONG_ENOUGH: Duration = Duration::from_millis(400);

fn mirror(number: usize) -> Mirror {
    let url = format!("https://m{number}.example").parse().expect("a URL");
    Mirror::of_docker_hub(format!("mirror {number}"), url)
}

/// Chance that is the same every time: the high bits of a multiplication by Knuth's constant.
fn chance(number: usize, turn: u64) -> f64 {
    let mixed = (number as u64 * 1_000 + turn + 1).wrapping_mul(6_364_136_223_846_793_005);
    (mixed >> 40) as f64 / f64::from(1_u32 << 24)
}

fn rehearsal(number: usize, turn: u64, images: &[Image]) -> Observation {
    let mut seen =
        Observation::new(START + Duration::from_secs(7200 * turn + number as u64), Depth::Rehearse);
    seen.image = images.iter().cycle().nth(usize::try_from(turn).unwrap_or(0)).cloned();
    seen.stages.manifest = Some(Duration::from_secs_f64(0.1 + chance(number, turn)));
    seen.stages.layer = Some(Duration::from_secs_f64(0.05 + chance(number, turn + 50)));
    seen.bytes_per_second = Some(1e5 + 1e7 * chance(number, 99));
    seen.digest = Some(Digest::of(if number % 20 == 7 { b"old" } else { b"new" }));
    seen.created = Some(START);
    if number % 10 == 3 {
        seen.sent_to.insert(format!("m{}.example", number / 2));
    }
    if chance(number, turn + 70) < 0.1 {
        let kind = FailureKind::ServerError;
        seen.outcome = Outcome::Failed(Failure { kind, stage: Stage::Manifest, detail: String::new() });
    }
    seen
}

/// The median time of one selection, in a world of so many mirrors.
fn measure(count: usize) -> Duration {
    let images =
        ["library/busybox:latest", "library/nginx:latest", "library/redis:7", "grafana/grafana:latest"];
    let images: Vec<Image> = images.iter().map(|image| image.parse().expect("an image")).collect();
    let policy = Policy { images: images.clone(), ..Policy::default() };
    let mirrors: Vec<Mirror> = (0..count).map(mirror).collect();
    let records: Vec<Record> = (0..count)
        .map(|number| {
            let mut record = Record::default();
            (0..REHEARSALS).for_each(|turn| record.observe(&rehearsal(number, turn, &images), &policy));
            record
        })
        .collect();
    let candidates: Vec<Candidate<'_>> =
        mirrors.iter().zip(&records).map(|(mirror, record)| Candidate { mirror, record }).collect();
    let list: Vec<MirrorUrl> =
        mirrors.iter().step_by(count / 3).map(|mirror| mirror.url.clone()).take(3).collect();
    let current = Current { list: &list, last_faster: None, provisional: false };
    let now = START + Duration::from_secs(7200 * REHEARSALS);
    let once = || {
        let begun = Instant::now();
        black_box(select(now, &policy, black_box(&candidates), Upstream::NotCompared, &current));
        begun.elapsed()
    };
    let begun = Instant::now();
    let mut times = Vec::new();
    while begun.elapsed() < LONG_ENOUGH || times.len() < 5 {
        times.push(once());
    }
    times.sort_unstable();
    times[times.len() / 2]
}

#[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
fn main() {
    // `cargo test --benches` runs this too, and wants to know only whether it runs.
    let counts: &[usize] =
        if std::env::args().any(|arg| arg == "--bench") { &[10, 100, 1000, 10_000] } else { &[10] };
    println!("{:>7}  {:>12}  {:>14}  {:>5}", "mirrors", "selection", "for one mirror", "ratio");
    let mut first = None;
    for count in counts {
        let time = measure(*count);
        let each = time.as_secs_f64() / *count as f64;
        let ratio = each / *first.get_or_insert(each);
        let (millis, micros) = (time.as_secs_f64() * 1e3, each * 1e6);
        println!("{count:>7}  {millis:>9.3} ms  {micros:>11.3} µs  {ratio:>5.2}");
    }
}
