use super::*;
use crate::reason::ChangeKind;

fn change(kind: ChangeKind, subject: Option<&str>, reason: Option<ReasonKind>, detail: &str) -> String {
    let (subject, detail) = (subject.map(str::to_owned), detail.to_owned());
    Change { kind, subject, reason, detail, faster: false }.why()
}

#[test]
fn why_is_one_line_for_every_kind() {
    for kind in ChangeKind::ALL {
        let line = change(*kind, Some("DaoCloud"), None, "");
        assert!(!line.is_empty() && !line.contains('\n'), "{kind}: {line}");
    }
    assert_eq!(
        change(ChangeKind::MemberRejected, Some("DaoCloud"), Some(ReasonKind::Stalled), "no byte for 5 s"),
        "DaoCloud was rejected (stalled): no byte for 5 s"
    );
    assert_eq!(
        change(ChangeKind::Faster, Some("DaoCloud"), None, "2.1 s against 4.0 s of NJU"),
        "DaoCloud is faster: 2.1 s against 4.0 s of NJU"
    );
}

#[test]
fn nothing_is_known_and_nothing_is_done() {
    let nothing = Current { list: &[], last_faster: None, provisional: false };
    let selection = select(Timestamp::default(), &Policy::default(), &[], Upstream::NotCompared, &nothing);
    assert_eq!(selection, Selection { list: Vec::new(), entries: Vec::new(), change: None });
}

#[test]
fn a_member_that_is_no_candidate_any_more_leaves_by_its_url() {
    let url = |text: &str| text.parse::<MirrorUrl>().unwrap();
    let mirror = Mirror {
        name: "A".to_owned(),
        url: url("https://a.example"),
        upstream: crate::mirror::DOCKER_HUB.to_owned(),
        group: None,
        enabled: true,
        note: None,
    };
    let mut record = Record::default();
    let seen =
        crate::observation::Observation::new(Timestamp::default(), crate::observation::Depth::Rehearse);
    record.observe(&seen, &Policy::default());
    let list = [url("https://gone.example"), url("https://a.example")];
    let current = Current { list: &list, last_faster: None, provisional: false };
    let candidates = [Candidate { mirror: &mirror, record: &record }];
    let selection =
        select(Timestamp::default(), &Policy::default(), &candidates, Upstream::NotCompared, &current);
    assert_eq!(selection.list, [url("https://a.example")]);
    let change = selection.change.expect("it changed");
    assert_eq!(
        (change.kind, change.subject.as_deref()),
        (ChangeKind::MemberRemoved, Some("https://gone.example"))
    );
}

/// A mirror of so many bytes per second, rehearsed once.
fn of_speed(speed: f64) -> Record {
    of_speed_often(speed, 1)
}

fn of_speed_often(speed: f64, rehearsals: usize) -> Record {
    let mut record = Record::default();
    let mut seen =
        crate::observation::Observation::new(Timestamp::default(), crate::observation::Depth::Rehearse);
    let time = |millis| Some(std::time::Duration::from_millis(millis));
    (seen.stages.manifest, seen.stages.layer) = (time(300), time(100));
    seen.bytes_per_second = Some(speed);
    for _ in 0..rehearsals {
        seen.at = seen.at + std::time::Duration::from_secs(3600);
        record.observe(&seen, &Policy::default());
    }
    record
}

#[test]
fn who_is_slower_than_the_upstream_is_so_by_the_figures_that_are_shown() {
    let mirror = Mirror::of_docker_hub("A", "https://a.example".parse().unwrap());
    let nothing = Current { list: &[], last_faster: None, provisional: false };
    for (speed, shown) in [
        (2_000_000.0, "20.5 s, the upstream 13.9 s"),
        (2_990_000.0, "13.91 s, the upstream 13.87 s"),
        (2_999_000.0, "13.875 s, the upstream 13.870 s"),
    ] {
        let (record, upstream) = (of_speed(speed), of_speed(3_000_000.0));
        let candidates = [Candidate { mirror: &mirror, record: &record }];
        let upstream = Upstream::Record(&upstream);
        let selection = select(Timestamp::default(), &Policy::default(), &candidates, upstream, &nothing);
        let details: Vec<&str> = selection.entries[0].reasons.iter().map(|reason| &*reason.detail).collect();
        assert_eq!(details, [shown], "{speed}");
    }
}

#[test]
fn who_stays_outside_though_it_is_faster_is_told_what_it_has_to_prove() {
    let mirrors = ["mid", "quick", "slow"]
        .map(|name| Mirror::of_docker_hub(name, format!("https://{name}.example").parse().unwrap()));
    let policy = Policy { max: 1, ..Policy::default() };
    let list = [mirrors[0].url.clone()];
    let now = Timestamp::default() + std::time::Duration::from_secs(86_400);
    for (rehearsals, quick) in [
        (1, "faster than mid, and takes its place once 10 % faster in 3 rehearsals in a row, so far 1"),
        (2, "faster than mid, and takes its place once 10 % faster in 3 rehearsals in a row, so far 2"),
        (3, "faster than mid, as is proved, and waits for `hold`"),
    ] {
        let records = [1e6, 20e6, 0.5e6].map(|speed| of_speed_often(speed, rehearsals));
        let candidates: Vec<Candidate<'_>> =
            mirrors.iter().zip(&records).map(|(mirror, record)| Candidate { mirror, record }).collect();
        let current = Current { list: &list, last_faster: Some(now), provisional: false };
        let selection = select(now, &policy, &candidates, Upstream::NotCompared, &current);
        let said = selection.entries.iter().flat_map(|entry| &entry.reasons);
        let said: Vec<_> = said.map(|reason| (reason.kind, &*reason.detail)).collect();
        let slow = "1 of 1 places are taken by better ones";
        assert_eq!(said, [(ReasonKind::NotSelected, quick), (ReasonKind::NotSelected, slow)]);
    }
}

#[test]
fn who_left_for_want_of_a_place_is_a_candidate_still() {
    let mirrors = ["mid", "quick"]
        .map(|name| Mirror::of_docker_hub(name, format!("https://{name}.example").parse().unwrap()));
    let records = [1e6, 20e6].map(of_speed);
    let candidates: Vec<Candidate<'_>> =
        mirrors.iter().zip(&records).map(|(mirror, record)| Candidate { mirror, record }).collect();
    let list = [mirrors[0].url.clone(), mirrors[1].url.clone()];
    let current = Current { list: &list, last_faster: None, provisional: false };
    let policy = Policy { max: 1, ..Policy::default() };
    let selection = select(Timestamp::default(), &policy, &candidates, Upstream::NotCompared, &current);
    assert_eq!(selection.list, list[..1]);
    let change = selection.change.expect("it changed");
    assert_eq!(change.why(), "quick left: there is no place for it");
    assert_eq!((change.kind, change.reason), (ChangeKind::MemberRemoved, Some(ReasonKind::NotSelected)));
}
