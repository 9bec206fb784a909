use super::*;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn url(name: &str) -> MirrorUrl {
    format!("http://{name}.example").parse().unwrap()
}

/// A connection of which `received` bytes came, the last of them `quiet` seconds ago.
fn open(name: &str, cookie: u64, received: u64, quiet: u64) -> (MirrorUrl, Connection) {
    let remote = "192.0.2.1:80".parse().unwrap();
    let connection = Connection {
        cookie,
        remote,
        opening: false,
        user: 0,
        inode: 1,
        unread: 0,
        received,
        quiet: at(quiet),
        mute: at(0),
    };
    (url(name), connection)
}

/// Of an engine that keeps its connections.
fn keeping() -> Tally {
    Tally::new(true)
}

fn silent(name: &str, seconds: u64) -> Seen {
    Seen::Silent { url: url(name), quiet_ms: seconds * 1000, may_rest: false }
}

#[test]
fn ten_seconds_without_a_byte_are_one_suspicion() {
    let mut tally = Tally::default();
    assert_eq!(tally.look(at(1), &[open("a", 1, 500_000, 0)]), []);
    assert_eq!(tally.look(at(10), &[open("a", 1, 500_000, 9)]), []);
    assert_eq!(tally.look(at(11), &[open("a", 1, 500_000, 10)]), [silent("a", 10)]);
    assert_eq!(tally.look(at(200), &[open("a", 1, 500_000, 199)]), [], "one for each connection");
    let three = [open("a", 2, 9, 12), open("a", 3, 9, 12), open("b", 4, 9, 12)];
    assert_eq!(tally.look(at(300), &three), [silent("a", 12), silent("b", 12)], "one for each mirror");
}

#[test]
fn what_may_rest_after_an_answer_is_said_to_and_called_a_hang_when_nobody_would_keep_it_so_long() {
    let mut tally = Tally::default();
    let answered = |received, quiet| {
        let (url, connection) = open("a", 1, received, quiet);
        (url, Connection { mute: at(quiet + 1), ..connection })
    };
    let may_rest = Seen::Silent { url: url("a"), quiet_ms: 10_000, may_rest: true };
    assert_eq!(tally.look(at(11), &[answered(500_000, 10)]), [may_rest]);
    assert_eq!(tally.look(at(120), &[answered(500_000, 119)]), [], "said once");
    assert_eq!(
        tally.look(at(121), &[answered(500_000, 120)]),
        [silent("a", 120)],
        "nobody keeps one for so long"
    );
    assert_eq!(tally.look(at(300), &[answered(500_000, 299)]), [], "once, too");
}

#[test]
fn a_connection_that_nobody_accepts_is_silent_from_the_first_look_on() {
    let mut tally = Tally::default();
    let calling = || {
        let (url, connection) = open("a", 1, 0, 9999);
        (url, Connection { opening: true, ..connection })
    };
    assert_eq!(tally.look(at(5), &[calling()]), []);
    assert_eq!(tally.look(at(14), &[calling()]), []);
    assert_eq!(tally.look(at(15), &[calling()]), [silent("a", 10)]);
}

#[test]
fn bytes_that_the_engine_has_not_read_are_not_the_mirrors_silence() {
    let mut tally = Tally::default();
    let (url, connection) = open("a", 1, 500_000, 60);
    assert_eq!(tally.look(at(60), &[(url, Connection { unread: 1, ..connection })]), []);
}

#[test]
fn what_is_kept_open_after_a_good_pull_is_idle_and_not_silent() {
    let mut tally = keeping();
    tally.look(at(1), &[open("a", 1, 500_000, 0)]);
    tally.pulled(at(2));
    assert_eq!(tally.look(at(30), &[open("a", 1, 500_000, 29)]), []);
    assert_eq!(tally.look(at(40), &[open("a", 1, 600_000, 0)]), [], "the next pull");
    assert_eq!(tally.look(at(51), &[open("a", 1, 600_000, 11)]), [silent("a", 11)]);
    // An engine that closes each connection has no idle ones: what is open then is another pull's.
    let mut tally = Tally::default();
    tally.look(at(1), &[open("a", 1, 500_000, 0)]);
    tally.pulled(at(2));
    assert_eq!(tally.look(at(11), &[open("a", 1, 500_000, 10)]), [silent("a", 10)]);
}

#[test]
fn a_pull_may_have_ended_when_nothing_more_comes_and_that_is_said_ever_more_seldom() {
    let mut tally = keeping();
    tally.look(at(1), &[open("a", 1, 10_000, 0)]);
    assert_eq!(tally.settles_at(), Some(at(3)), "what stays open is idle");
    let mut tally = Tally::default();
    tally.look(at(1), &[open("a", 1, 10_000, 0)]);
    assert_eq!(tally.settles_at(), None, "no layer");
    tally.look(at(2), &[open("a", 1, 500_000, 0)]);
    assert!(!tally.settles(at(3)), "too soon");
    assert!(tally.settles(at(4)) && !tally.settles(at(4)), "said once");
    assert!(tally.settles(at(6)), "it unpacked");
    assert_eq!(tally.settles_at(), Some(at(10)));
    tally.look(at(7), &[open("a", 1, 600_000, 0)]);
    assert_eq!(tally.settles_at(), Some(at(9)), "more came");
    for _ in 0..100 {
        tally.settles(at(1000));
    }
    assert_eq!(tally.settles_at(), None, "a pull that was broken off is not asked after for ever");
    tally.look(at(1001), &[open("a", 1, 700_000, 0)]);
    assert_eq!(tally.pulled(at(1003)).len(), 1);
    assert_eq!(tally.settles_at(), None, "it has ended");
}

#[test]
fn what_an_engine_keeps_open_after_an_answer_is_idle() {
    let mut tally = keeping();
    tally.look(at(1), &[open("a", 1, 900, 0), open("b", 2, 900, 0)]);
    tally.rests(Some(&url("a")));
    assert_eq!(tally.look(at(20), &[open("a", 1, 900, 19), open("b", 2, 900, 19)]), [silent("b", 19)]);
    tally.rests(None);
    assert_eq!(tally.look(at(90), &[open("a", 1, 900, 89), open("b", 2, 900, 89)]), []);
}

#[test]
fn half_a_minute_of_a_trickle_is_a_crawl() {
    // Thousands of bytes a second over two connections: what is said of it, and when.
    let said = |thousands: u64, unread: u32, step: u64| {
        let mut tally = Tally { least_speed: 64_000, ..Tally::default() };
        let look = |now: u64| {
            let (url, connection) = open("a", 1, now * thousands * 500, 0);
            let one = (url, Connection { unread, ..connection });
            (now, [one, open("a", 2, now * thousands * 500, 0)])
        };
        let looks = (1..100).step_by(usize::try_from(step).unwrap()).map(look);
        let first = looks.into_iter().find_map(|(now, open)| Some((now, tally.look(at(now), &open).pop()?)));
        first.map(|(now, seen)| {
            let Seen::Crawling { bytes_per_second, .. } = seen else { panic!("{seen:?}") };
            (now, bytes_per_second)
        })
    };
    assert_eq!(said(60, 0, 1), Some((31, 60_000.0)));
    assert_eq!(said(65, 0, 1), None, "together they are fast enough");
    assert_eq!(said(20, 1, 1), None, "the engine does not read what has come");
}

#[test]
fn what_pauses_and_what_ends_is_no_crawl() {
    let mut tally = Tally { least_speed: 64_000, ..Tally::default() };
    for now in 1..60 {
        // A manifest every ten seconds.
        let seen = tally.look(at(now), &[open("a", 1, now / 10 * 3000, now % 10)]);
        assert_eq!(seen, []);
    }
    for now in 60..120 {
        let open = [open("a", now / 20, 9_000, 0)];
        assert_eq!(tally.look(at(now), if now % 20 == 0 { &[] } else { &open }), [], "short pulls");
    }
}

#[test]
fn of_connections_that_are_kept_one_may_wait_while_another_brings_the_layer() {
    let mut tally = keeping();
    tally.look(at(1), &[open("a", 1, 9_000, 0), open("a", 2, 10_000, 0)]);
    assert_eq!(tally.look(at(20), &[open("a", 1, 9_000, 19), open("a", 2, 500_000, 1)]), []);
    let stalled = [open("a", 1, 9_000, 28), open("a", 2, 500_000, 10)];
    assert_eq!(tally.look(at(29), &stalled), [silent("a", 10)], "all of them");
}

#[test]
fn a_good_pull_says_who_brought_how_much_and_how_fast() {
    let mut tally = Tally::default();
    tally.look(at(1), &[open("a", 1, 100_000, 0), open("b", 2, 20_000, 0)]);
    tally.look(at(3), &[open("a", 1, 2_100_000, 0), open("a", 3, 50_000, 0)]);
    tally.look(at(4), &[]);
    let served = Seen::Served { url: url("a"), bytes: 2_150_000, bytes_per_second: Some(1_000_000.0) };
    assert_eq!(tally.pulled(at(5)), [served], "b brought no layer");
    assert_eq!(tally.pulled(at(6)), [], "said once");
}

#[test]
fn what_a_connection_brought_that_ended_between_two_looks_counts_once() {
    let mut tally = Tally::default();
    let end = |tally: &mut Tally, now, (url, connection): (MirrorUrl, Connection)| {
        tally.ended(at(now), &url, &connection);
    };
    tally.look(at(1), &[open("a", 1, 100_000, 0)]);
    end(&mut tally, 2, open("a", 1, 150_000, 0));
    end(&mut tally, 2, open("a", 2, 50_000, 1));
    assert_eq!(tally.settles_at(), Some(at(4)));
    tally.look(at(3), &[]);
    let served = Seen::Served { url: url("a"), bytes: 200_000, bytes_per_second: None };
    assert_eq!(tally.pulled(at(4)), [served]);
    tally.look(at(4), &[open("a", 5, 0, 0)]);
    end(&mut tally, 6, open("a", 5, 2_000_000, 0));
    let served = Seen::Served { url: url("a"), bytes: 2_000_000, bytes_per_second: Some(1_000_000.0) };
    assert_eq!(tally.pulled(at(6)), [served], "measured from the first look to the end");
    end(&mut tally, 5, open("a", 3, 900, 0));
    assert_eq!((tally.settles_at(), tally.pulled(at(7))), (None, vec![]), "no layer");
    end(&mut tally, 7, open("a", 4, 50_000, 0));
    tally.failed(Some(&url("a")));
    assert_eq!(tally.pulled(at(8)), [], "the log says that it failed");
}

#[test]
fn a_pull_that_failed_or_was_broken_off_served_nobody() {
    let mut tally = Tally::default();
    tally.look(at(1), &[open("a", 1, 500_000, 0), open("b", 2, 500_000, 0)]);
    tally.failed(Some(&url("a")));
    let served = |name| Seen::Served { url: url(name), bytes: 500_000, bytes_per_second: None };
    assert_eq!(tally.pulled(at(2)), [served("b")]);

    tally.look(at(3), &[open("a", 3, 500_000, 0)]);
    tally.failed(None);
    assert_eq!(tally.pulled(at(4)), []);

    tally.look(at(5), &[open("a", 4, 500_000, 0)]);
    tally.look(at(6), &[]);
    assert_eq!(tally.pulled(at(200)), [], "Ctrl-C, and another pull minutes later");

    tally.look(at(201), &[open("a", 5, 500_000, 0)]);
    assert_eq!(tally.look(at(212), &[open("a", 5, 500_000, 11)]), [silent("a", 11)]);
    assert_eq!(tally.pulled(at(213)), [], "who fell silent has not served");
}
