use super::*;
use crate::image::{Descriptor, Digest};
use crate::mirror::MirrorUrl;
use crate::observation::{Observation, Outcome, Spent, Stage};
use crate::pull::{Seen, Sign};

const START: Timestamp = Timestamp::from_millis(1_795_176_000_000);

fn image(name: &str) -> Image {
    name.parse().unwrap()
}

fn policy() -> Policy {
    Policy { images: vec![image("a"), image("b"), image("c"), image("d")], ..Policy::default() }
}

fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

/// `R`, `S`, `C`: a good rehearsal, sample, connection; `r:kind`, `s:kind`, `c:kind`: one that failed so;
/// `l:kind`: a rehearsal that failed in its layer.
/// An image other than `a` follows in brackets: `R[b]`, `r:not_allowed[b]`.
fn observation(word: &str, at: Timestamp) -> Observation {
    let (word, asked) = word.strip_suffix(']').and_then(|word| word.split_once('[')).unwrap_or((word, "a"));
    let (letter, kind) = word.split_once(':').map_or((word, None), |(letter, kind)| (letter, Some(kind)));
    let (depth, stage) = match letter.to_ascii_uppercase().as_str() {
        "C" => (Depth::Connect, Stage::Connect),
        "S" => (Depth::Sample, Stage::Layer),
        "R" => (Depth::Rehearse, Stage::Manifest),
        "L" => (Depth::Rehearse, Stage::Layer),
        other => panic!("no depth is called {other}"),
    };
    let mut observation = Observation::new(at, depth);
    observation.image = (depth != Depth::Connect).then(|| image(asked));
    observation.stages.layer = (depth != Depth::Connect).then_some(Duration::from_millis(100));
    observation.bytes_per_second = (depth == Depth::Rehearse).then_some(4e6);
    if let Some(kind) = kind {
        let kind = *FailureKind::ALL.iter().find(|known| known.as_str() == kind).expect("a kind");
        observation.outcome = Outcome::Failed(Failure { kind, stage, detail: String::new() });
    }
    observation
}

/// The record after these observations, ten minutes apart, and the time of the last.
fn after(script: &str) -> (Record, Timestamp) {
    let (mut record, mut at) = (Record::default(), START);
    for word in script.split_whitespace() {
        at = at + minutes(10);
        record.observe(&observation(word, at), &policy());
    }
    (record, at)
}

/// Where it stands, in words.
fn standing(record: &Record) -> String {
    let mut words = match record.standing() {
        Standing::Unprobed => "unprobed".to_owned(),
        Standing::Live => "live".to_owned(),
        Standing::Rejected => format!("rejected ({})", record.fallen().expect("a reason").kind),
    };
    if let Some(failing) = record.failing().filter(|_| record.standing() == Standing::Live) {
        words += &format!(", {} at {:?}", failing.failures, failing.depth).to_lowercase();
    }
    if record.rising() > 0 {
        words += &format!(", rising {}", record.rising());
    }
    for depth in record.rechecks(&policy()) {
        words += &format!(", again {depth:?}").to_lowercase();
    }
    words
}

#[track_caller]
fn check(script: &str, expected: &str) {
    assert_eq!(standing(&after(script).0), expected, "after {script}");
}

#[test]
fn where_a_mirror_stands() {
    // Nothing but a rehearsal makes a mirror live.
    check("", "unprobed");
    check("C S", "unprobed");
    check("R", "live");
    // One failure rejects what was never live, one good rehearsal makes it live.
    check("c:connect_timeout", "rejected (connect_timeout)");
    check("r:stalled", "rejected (stalled)");
    check("r:stalled C S", "rejected (stalled)");
    check("r:stalled R", "live");
    // A live mirror is rejected by `fall` failures in a row; before that it is asked again.
    check("R s:stalled", "live, 1 at sample, again sample");
    check("R s:stalled s:stalled", "live, 2 at sample, again sample");
    check("R s:stalled s:stalled s:stalled", "rejected (stalled)");
    check("R s:stalled S s:stalled s:stalled", "live, 2 at sample, again sample");
    check("R c:connection_refused c:no_answer c:connect_timeout", "rejected (connect_timeout)");
    // A success clears the failures of its own depth and of lesser ones, and of no greater one.
    check("R s:stalled s:stalled C", "live, 2 at sample, again sample");
    check("R s:stalled C s:stalled C s:stalled", "rejected (stalled)");
    check("R r:server_error S", "live, 1 at rehearse, again rehearse");
    check("R s:stalled s:stalled R", "live");
    check("R c:unreachable c:unreachable S", "live");
    // A rehearsal that fails where a sample would have failed is a failed sample too, and not the reverse.
    check("R s:stalled l:stalled", "live, 2 at sample, again sample");
    check("R s:stalled l:stalled s:stalled", "rejected (stalled)");
    check("R s:stalled s:stalled l:stalled", "rejected (stalled)");
    check("R l:stalled s:stalled s:stalled", "rejected (stalled)");
    check("R s:stalled s:stalled r:server_error", "live, 2 at sample, again rehearse");
    // Failures of different depths are not added up.
    check("R c:unreachable s:connection_lost r:tls_error", "live, 1 at rehearse, again rehearse");
    // Whoever answers badly has been reached.
    check("R c:unreachable c:unreachable r:server_error", "live, 1 at rehearse, again rehearse");
    // What was live and was rejected is live again after `rise` good rehearsals in a row, and after no samples.
    check("R s:stalled s:stalled s:stalled R", "rejected (stalled), rising 1");
    check("R s:stalled s:stalled s:stalled R R", "live");
    check("R s:stalled s:stalled s:stalled R c:unreachable R", "rejected (unreachable), rising 1");
    check("R s:stalled s:stalled s:stalled S S S", "rejected (stalled)");
    // The reason is the last one.
    check("R s:stalled s:stalled s:stalled r:tls_expired", "rejected (tls_expired)");
    // 429 and wrong bytes reject at once, and nobody asks again.
    check("R s:rate_limited", "rejected (rate_limited)");
    check("R r:corrupt", "rejected (corrupt)");
    check("R r:corrupt R", "rejected (corrupt), rising 1");
}

#[test]
fn refusals_are_about_images() {
    // A refused image is no failure while another one is served, however often.
    check("R r:not_allowed[b] r:not_allowed[b] r:not_found[b] r:not_allowed[b]", "live");
    check("R r:not_allowed[b] r:not_found[c] r:not_allowed[d]", "live");
    // A mirror that serves none of the images asked for is rejected at once.
    check("r:not_allowed", "rejected (not_allowed)");
    check("R r:not_found", "rejected (not_found)");
    check("R r:not_found[b] r:not_allowed", "rejected (not_allowed)");
    // `fall` images in a row that it served before are a door shut, although a fourth may still be served ...
    check("R R[b] R[c] R[d] r:not_allowed r:not_allowed[b] r:not_allowed[c]", "rejected (not_allowed)");
    // ... unless something is served in between.
    check("R R[b] R[c] R[d] r:not_allowed r:not_allowed[b] S[d] r:not_allowed[c]", "live");
    // A login that was always wanted for an image is about the image, and one that was not is a wall.
    check("R r:login_required[b] r:login_required[c] r:login_required[d] r:login_required[b]", "live");
    check("R[b] r:login_required[b] r:login_required", "live, 1 at rehearse, again rehearse");
    check("r:login_required", "rejected (login_required)");
    // An image that nobody counts says nothing of the mirror.
    check("r:not_found[mine/private]", "unprobed");
    check("R r:not_found[mine/private]", "live");
    // A refusal of no image at all is a failure like another.
    let mut record = Record::default();
    let mut refused = observation("r:not_allowed", START);
    refused.image = None;
    record.observe(&refused, &policy());
    assert_eq!(standing(&record), "rejected (not_allowed)");
}

#[test]
fn an_image_rests_an_hour_after_a_refusal_doubling_to_six() {
    let mut record = Record::default();
    let mut at = START;
    record.observe(&observation("R[b]", at), &policy());
    for hours in [1, 2, 4, 6, 6] {
        record.observe(&observation("r:not_allowed", at), &policy());
        assert_eq!(record.image_resting(&image("a"), at), Some(at + minutes(60 * hours)));
        assert_eq!(record.image_resting(&image("b"), at), None);
        at = at + minutes(60 * hours);
        assert_eq!(record.image_resting(&image("a"), at), None);
    }
    record.observe(&observation("R", at), &policy());
    record.observe(&observation("r:not_allowed", at), &policy());
    assert_eq!(record.image_resting(&image("a"), at), Some(at + minutes(60)), "a good answer forgets it");
}

#[test]
fn a_mirror_that_limits_rests_as_long_as_it_asks_or_an_hour_doubling_to_six() {
    let limited = |record: &mut Record, at: Timestamp, retry_after: Option<u64>| {
        let mut observation = observation("r:rate_limited", at);
        observation.retry_after = retry_after.map(Duration::from_secs);
        record.observe(&observation, &policy());
        record.resting(at).map(|until| until.since(at).as_secs())
    };
    let mut record = Record::default();
    assert_eq!(limited(&mut record, START, Some(120)), Some(120), "its word goes the first time");
    assert_eq!(limited(&mut record, START + minutes(1), Some(120)), Some(120), "also while it rests");
    let mut at = START + minutes(3);
    assert_eq!(limited(&mut record, at, Some(120)), Some(7200), "and not when it limits again after it");
    at = at + minutes(120);
    assert_eq!(limited(&mut record, at, Some(36_000)), Some(36_000), "it may ask for more");
    at = at + minutes(600);
    assert_eq!(limited(&mut record, at, None), Some(21_600));
    assert_eq!(limited(&mut Record::default(), START, None), Some(3600));
    assert_eq!(limited(&mut Record::default(), START, Some(0)), Some(60), "0 is no pause");
    record.observe(&observation("R", START), &policy());
    assert_eq!(limited(&mut record, START, None), Some(3600), "once live it begins anew");
}

#[test]
fn a_server_error_that_says_until_when_is_taken_at_its_word_and_another_is_checked_again() {
    for (asked, rests) in [(None, None), (Some(5), None), (Some(600), Some(600))] {
        let mut record = Record::default();
        record.observe(&observation("R", START), &policy());
        let mut failed = observation("r:server_error", START);
        failed.retry_after = asked.map(Duration::from_secs);
        record.observe(&failed, &policy());
        assert_eq!(record.resting(START).map(|until| until.since(START).as_secs()), rests, "{asked:?}");
        assert_eq!(record.rechecks(&policy()).next().is_some(), rests.is_none(), "{asked:?}");
    }
}

#[test]
fn a_rest_that_ends_later_than_any_can_is_a_clock_set_back() {
    let mut record = Record::default();
    record.observe(&observation("r:rate_limited", START), &policy());
    assert_eq!(record.resting(START - minutes(60 * 24 * 400)), None);
}

#[test]
fn too_slow_is_judged_by_the_policy_whoever_measured_it() {
    let mut record = Record::default();
    let mut slow = observation("R", START);
    slow.bytes_per_second = Some(60.0 * 1024.0);
    record.observe(&slow, &policy());
    assert_eq!(standing(&record), "rejected (too_slow)");
}

#[test]
fn rehearsals_in_quick_succession_are_one_round_and_count_with_the_worse_of_them() {
    let mut record = Record::default();
    for (after, speed) in [(0, 4e6), (2, 1e6), (4, 4e6), (600, 4e6), (1200, 4e6)] {
        let mut observation = observation("R", START + Duration::from_secs(after));
        observation.bytes_per_second = Some(speed);
        record.observe(&observation, &policy());
    }
    let speeds: Vec<Option<f64>> =
        record.rounds().iter().map(|round| round.pace().map(|pace| (1e-6 / pace).round())).collect();
    assert_eq!(speeds, [Some(1.0), Some(4.0), Some(4.0)]);
}

#[test]
fn rounds_begin_anew_after_a_failure_and_count_while_the_mirror_rises() {
    assert_eq!(after("R R R").0.rounds().len(), 3);
    assert_eq!(after("R R r:server_error").0.rounds().len(), 0);
    assert_eq!(after("R R R s:stalled s:stalled s:stalled R").0.rounds().len(), 1);
    assert_eq!(after("R R R r:not_allowed[b] R").0.rounds().len(), 4, "a refusal is no failure");
    assert_eq!(after(&"R ".repeat(40)).0.rounds().len(), 8);
}

#[test]
fn a_sample_refines_the_first_byte_and_says_nothing_of_the_speed() {
    let (mut record, at) = after("R R R R");
    let (speed, first_byte) = (record.bytes_per_second(), record.first_byte().expect("measured"));
    let mut sample = observation("S", at + minutes(10));
    sample.bytes_per_second = Some(1e5);
    sample.stages.layer = Some(Duration::from_millis(110));
    record.observe(&sample, &policy());
    assert_eq!(record.bytes_per_second(), speed);
    assert!(record.first_byte().expect("measured") > first_byte);
}

#[test]
fn quirks_are_those_of_the_last_good_rehearsal_and_fit_the_store() {
    let mut record = Record::default();
    let mut odd = observation("R", START);
    odd.quirks.extend([Quirk::HeadNotFound, Quirk::PingFails]);
    record.observe(&odd, &policy());
    let unfit = |record: &Record, store| record.unfit(store).collect::<Vec<_>>();
    assert_eq!(unfit(&record, Some(ImageStore::Containerd)), [Quirk::HeadNotFound]);
    assert_eq!(unfit(&record, Some(ImageStore::Classic)), [Quirk::PingFails]);
    assert_eq!(unfit(&record, None).len(), 2, "an unknown store may be either");
    record.observe(&observation("R", START), &policy());
    assert_eq!(unfit(&record, None), []);
}

#[test]
fn the_depths_are_remembered_apart() {
    let (record, at) = after("R C C");
    assert_eq!(record.last(Depth::Rehearse), Some(START + minutes(10)));
    assert_eq!(record.last(Depth::Sample), None);
    assert_eq!(record.last(Depth::Connect), Some(at));
    assert_eq!(record.last_probe(at), Some(at));
    let before = START + minutes(15);
    assert_eq!(record.last_probe(before), record.last(Depth::Rehearse), "the clock was set back");
}

#[test]
fn unknown_is_none() {
    let record = Record::default();
    assert_eq!((record.success(), record.first_byte(), record.bytes_per_second()), (None, None, None));
    assert_eq!(
        (record.last_probe(START), record.coverage(&policy().images), record.address()),
        (None, None, None)
    );
}

#[test]
fn what_a_probe_cost_is_counted_until_a_day_after_its_end() {
    let mut seen = observation("R", START + minutes(59));
    seen.spent = Spent { requests: 7, refusals: 0, bytes: 1_100_000 };
    let mut record = Record::default();
    record.asked(START + minutes(61), &seen);
    assert_eq!(record.spent(START + minutes(24 * 60 + 60)).requests_today, 7);
}

#[test]
fn a_record_comes_back_from_json_as_it_was_and_is_small() {
    let (mut record, at) = after(
        "R R[b] s:stalled c:unreachable r:not_allowed[c] r:server_error R r:rate_limited R c:tls_error S",
    );
    // Two days of a selected mirror.
    for ten_minutes in 0..288 {
        let mut observation = observation("R", at + minutes(10 * ten_minutes));
        observation.spent = Spent { requests: 6, refusals: 0, bytes: 1_100_000 };
        observation.digest = Some(Digest::of(b"manifest"));
        observation.layers = Some(layers());
        observation.address = "203.0.113.7:443".parse().ok();
        observation.sent_to.insert("cdn.example".to_owned());
        record.observe(&observation, &policy());
        record.asked(observation.at, &observation);
    }
    let json = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
    assert!(json.len() < 4096, "{} bytes: {json}", json.len());
}

/// More than are remembered, as Docker names them.
fn layers() -> Layers {
    let media_type = "application/vnd.docker.image.rootfs.diff.tar.gzip".to_owned();
    let layer = Descriptor { media_type, digest: Digest::of(b"a layer"), size: 3 << 20 };
    vec![layer; 20].into()
}

#[test]
fn samples_are_taken_of_what_the_last_good_rehearsal_found_until_a_layer_is_gone() {
    let mut record = Record::default();
    let mut seen = observation("R", START);
    seen.layers = Some(layers());
    record.observe(&seen, &policy());
    assert_eq!((record.sampled_image(), record.sampled_layers()), (seen.image.as_ref(), Some(&layers())));
    for later in ["r:server_error[b]", "r:not_allowed[c]", "s:stalled", "c:unreachable", "S", "C"] {
        record.observe(&observation(later, START + minutes(10)), &policy());
        assert_eq!(record.sampled_image(), seen.image.as_ref(), "{later}");
    }
    seen.image = "other/image".parse().ok();
    record.observe(&seen, &policy());
    assert_eq!(record.sampled_image(), seen.image.as_ref());
    record.forget_layers();
    assert_eq!((record.sampled_image(), record.sampled_layers()), (None, None));
}

#[test]
fn a_record_of_another_version_is_read_as_far_as_it_goes() {
    let read: Record = serde_json::from_str(r#"{"standing":"live","been_live":true,"new_field":1}"#).unwrap();
    assert_eq!(read.standing(), Standing::Live);
    assert_eq!(read.rising(), 0);
    assert_eq!(serde_json::from_str::<Record>("{}").unwrap(), Record::default());
}

/// What a real pull showed of a live mirror, then these probes.
fn after_sign(seen: Seen, script: &str) -> (Record, bool) {
    let (mut record, at) = after("R");
    let again = record.heard(&Sign { at: at + minutes(1), seen }, &policy());
    for word in script.split_whitespace() {
        record.observe(&observation(word, at + minutes(2)), &policy());
    }
    (record, again)
}

fn left(stage: Stage) -> Seen {
    let failure = Failure { kind: FailureKind::ConnectionRefused, stage, detail: String::new() };
    Seen::Left { url: "https://a.example".parse().unwrap(), failure }
}

fn silent() -> Seen {
    Seen::Silent { url: "https://a.example".parse().unwrap(), quiet_ms: 10_000, may_rest: false }
}

#[test]
fn a_failure_of_a_real_pull_is_all_but_one_of_fall() {
    for (seen, script, expected) in [
        (left(Stage::Connect), "", "live, 2 at connect, again connect"),
        (left(Stage::Connect), "c:connection_refused", "rejected (connection_refused)"),
        (left(Stage::Connect), "C", "live"),
        (left(Stage::Manifest), "", "live, 2 at rehearse, again rehearse"),
        (silent(), "", "live, 2 at rehearse, again rehearse, again sample"),
        (left(Stage::Layer), "", "live, 2 at rehearse, again rehearse, again sample"),
        (silent(), "s:stalled", "rejected (stalled)"),
        // What a sample reads may be less than what the pull was given before it hung.
        (silent(), "S", "live, 2 at rehearse, again rehearse"),
        (silent(), "S r:stalled", "rejected (stalled)"),
        (silent(), "R", "live"),
    ] {
        let (record, again) = after_sign(seen.clone(), script);
        assert!(again, "{seen:?} is looked at");
        assert_eq!(standing(&record), expected, "{seen:?}, then {script}");
    }
}

#[test]
fn a_good_real_pull_is_a_sample() {
    let url = "https://a.example".parse().unwrap();
    let served = Seen::Served { url, bytes: 30 << 20, bytes_per_second: Some(2e6) };
    let (mut record, at) = after("R s:stalled");
    let before = record.bytes_per_second().unwrap();
    assert!(!record.heard(&Sign { at: at + minutes(1), seen: served }, &policy()));
    assert_eq!(standing(&record), "live");
    assert_eq!(record.last(Depth::Sample), Some(at + minutes(1)));
    assert_eq!(record.last(Depth::Connect), Some(at + minutes(1)));
    assert!(record.bytes_per_second().unwrap() < before);
}

#[test]
fn a_good_pull_takes_back_what_another_complained_of_and_no_rehearsal_has_seen() {
    let url = "https://a.example".parse::<MirrorUrl>().unwrap();
    for (seen, speed, expected) in [
        (silent(), 2e6, "live"),
        // One that crawled to its end proves no more than a sample.
        (silent(), 1e3, "live, 2 at rehearse, again rehearse"),
        // Nor does any of a manifest.
        (left(Stage::Manifest), 2e6, "live, 2 at rehearse, again rehearse"),
    ] {
        let (mut record, _) = after_sign(seen.clone(), "");
        let served = Seen::Served { url: url.clone(), bytes: 30 << 20, bytes_per_second: Some(speed) };
        record.heard(&Sign { at: START + minutes(60), seen: served }, &policy());
        assert_eq!(standing(&record), expected, "{seen:?}, then a pull at {speed}");
    }
}

#[test]
fn what_nobody_has_and_what_nobody_said_counts_for_nothing() {
    for seen in [Seen::Absent { detail: String::new() }, Seen::Doubtful { detail: String::new() }] {
        let (record, again) = after_sign(seen, "");
        assert!(!again);
        assert_eq!(record, after("R").0);
    }
}

/// A good sample, 32 KiB of which took this many milliseconds.
fn sample_read_in(millis: u64, at: Timestamp) -> Observation {
    let mut sample = observation("S", at);
    sample.reading = Some(Duration::from_millis(millis));
    sample.spent = Spent { requests: 1, refusals: 0, bytes: 32 << 10 };
    sample
}

/// Live, with samples that took this many milliseconds each, ten minutes apart, and a pull at this speed at the end.
#[track_caller]
fn doubted_after(readings: &[u64], pull: Option<f64>, expected: bool) {
    let (mut record, mut at) = after("R");
    for reading in readings {
        at = at + minutes(10);
        record.observe(&sample_read_in(*reading, at), &policy());
    }
    if let Some(speed) = pull {
        at = at + minutes(10);
        let url = "https://a.example".parse().unwrap();
        let seen = Seen::Served { url, bytes: 30 << 20, bytes_per_second: Some(speed) };
        assert_eq!(record.heard(&Sign { at, seen }, &policy()), expected);
    }
    let again = record.rechecks(&policy()).next();
    assert_eq!(again, expected.then_some(Depth::Rehearse), "{readings:?}, {pull:?}");
    // One rehearsal settles it, whatever it says of the speed.
    record.observe(&observation("R", at + minutes(1)), &policy());
    assert_eq!(record.rechecks(&policy()).next(), None);
}

#[test]
fn samples_that_crawl_and_did_not_use_to_are_failures() {
    for (readings, expected) in [
        // 46 KiB/s, where 533 were usual.
        (&[60, 60, 60, 700][..], "live, 1 at sample, again sample"),
        (&[60, 60, 60, 700, 700, 700], "rejected (too_slow)"),
        (&[60, 60, 60, 700, 700, 60], "live"),
        // Above `min_speed` a sample only raises a doubt, and far away is not slow.
        (&[60, 60, 60, 400, 60], "live, again rehearse"),
        (&[700, 700, 700, 700, 700, 700], "live"),
    ] {
        let (mut record, mut at) = after("R");
        for reading in readings {
            at = at + minutes(10);
            record.observe(&sample_read_in(*reading, at), &policy());
        }
        assert_eq!(standing(&record), expected, "{readings:?}");
    }
}

#[test]
fn how_long_a_mirror_stays_rejected_says_nothing_of_how_often_its_pulls_go_well() {
    let fell = "R R R R c:unreachable c:unreachable c:unreachable";
    let (short, long) =
        (after(&format!("{fell} R R")).0, after(&format!("{fell} {} R R", "r:unreachable ".repeat(60))).0);
    let (short, long) = (short.success().unwrap(), long.success().unwrap());
    assert!(short > 0.8 && long >= short, "{short} {long}");
    // What was met while it could be chosen stays known.
    assert!(after("R R R R R").0.success().unwrap() > after("R R c:unreachable R R").0.success().unwrap());
}

#[test]
fn a_sample_or_a_pull_far_slower_than_usual_is_settled_by_a_rehearsal() {
    doubted_after(&[60, 60, 60, 60], None, false);
    doubted_after(&[60, 60, 60, 400], None, true);
    // Nobody knows yet what is usual; and what is always slow is usual.
    doubted_after(&[60, 400], None, false);
    doubted_after(&[400, 400, 400, 400], None, false);
    // A rehearsal of `after` serves at 4 MB/s.
    doubted_after(&[], Some(3e6), false);
    doubted_after(&[], Some(5e4), true);
}

#[test]
fn a_rejected_mirror_is_looked_out_for_as_far_as_it_failed() {
    for (script, depth, back) in [
        ("R c:connect_timeout c:connect_timeout c:connect_timeout", Some(Depth::Connect), false),
        ("R c:connect_timeout c:connect_timeout c:connect_timeout C", Some(Depth::Connect), true),
        ("R c:connect_timeout c:connect_timeout c:connect_timeout C r:no_answer", Some(Depth::Sample), false),
        // That it connects says nothing of a layer that stalls.
        ("R s:stalled s:stalled s:stalled C", Some(Depth::Sample), false),
        ("R s:stalled s:stalled s:stalled S", Some(Depth::Sample), true),
        // A sample costs half the refusals of a rehearsal.
        ("R r:server_error r:server_error r:server_error", Some(Depth::Sample), false),
        // Whoever refuses by intent is not asked the more.
        ("r:not_allowed", None, false),
        ("R r:server_error r:server_error r:server_error s:not_allowed", None, false),
        ("R", None, false),
    ] {
        let (record, _) = after(script);
        assert_eq!((record.lookout(), record.is_back()), (depth, back), "after {script}");
    }
}

#[test]
fn pulls_that_fail_where_probes_are_served_convict_without_appeal() {
    let policy = policy();
    let (mut record, start) = after("R");
    let mut at = start;
    let mut complain = |record: &mut Record, word: &str| {
        at = at + minutes(10);
        record.heard(&Sign { at, seen: silent() }, &policy);
        for word in word.split_whitespace() {
            record.observe(&observation(word, at + minutes(1)), &policy);
        }
    };
    complain(&mut record, "R");
    // What happened while our own network was down says nothing.
    complain(&mut record, "");
    record.excuse();
    // A lesser check decides nothing about a layer; but where no rehearsal came, nothing spoke against the pull either.
    complain(&mut record, "C");
    assert_eq!(record.standing(), Standing::Live, "acquitted once, and once as good as that");
    complain(&mut record, "");
    assert_eq!(standing(&record), "rejected (stalled)");
    assert!(record.fallen().unwrap().detail.starts_with("pulls fail where probes are served: "));
    assert!(record.quarantined(at + minutes(10)).is_some());
}
