use super::*;

fn mirrors() -> Vec<MirrorUrl> {
    ["http://127.0.0.1:9", "https://nosuch.invalid", "https://a.example", "http://172.18.0.7:5000"]
        .map(|url| url.parse().unwrap())
        .into()
}

/// `left URL KIND STAGE`, `absent`, `doubtful`, or nothing.
fn shown(line: &str) -> String {
    match parse(line, &mirrors()) {
        None => String::new(),
        Some(Seen::Left { url, failure }) => format!("left {url} {} {:?}", failure.kind, failure.stage),
        Some(Seen::Absent { .. }) => "absent".to_owned(),
        Some(Seen::Doubtful { .. }) => "doubtful".to_owned(),
        Some(other) => panic!("{other:?}"),
    }
}

/// As dockerd 20.10.24 writes it.
fn line(level: &str, message: &str) -> String {
    format!("time=\"2026-11-21T09:35:25.534929859Z\" level={level} msg={message:?}")
}

#[test]
fn every_failure_of_a_mirror_in_the_words_of_dockerd_is_understood() {
    const A: &str = "left https://a.example";
    for (said, seen) in [
        (
            "Get \"http://127.0.0.1:9/v2/\": dial tcp 127.0.0.1:9: connect: connection refused",
            "left http://127.0.0.1:9 connection_refused Connect".to_owned(),
        ),
        (
            "Get \"https://nosuch.invalid/v2/\": dial tcp: lookup nosuch.invalid: no such host",
            "left https://nosuch.invalid name_not_resolved Name".to_owned(),
        ),
        (
            "Get \"https://a.example/v2/\": tls: first record does not look like a TLS handshake",
            format!("{A} tls_error Tls"),
        ),
        (
            "Get \"https://a.example/v2/\": x509: certificate has expired or is not yet valid: current time 2026-11-21T09:35:44Z is after 2020-01-01T00:00:00Z",
            format!("{A} tls_expired Tls"),
        ),
        (
            "Get \"https://a.example/v2/\": x509: certificate signed by unknown authority",
            format!("{A} tls_untrusted Tls"),
        ),
        (
            "Get \"https://a.example/v2/\": x509: certificate is valid for b.example, not a.example",
            format!("{A} tls_wrong_host Tls"),
        ),
        ("Get \"https://a.example/v2/\": net/http: TLS handshake timeout", format!("{A} tls_error Tls")),
        (
            "Get \"http://127.0.0.1:9/v2/\": read tcp 127.0.0.1:37212->127.0.0.1:9: read: connection reset by peer",
            "left http://127.0.0.1:9 connection_lost Ping".to_owned(),
        ),
        (
            "Get \"https://a.example/v2/\": net/http: HTTP/1.x transport connection broken: malformed HTTP response \"HELLO\"",
            format!("{A} protocol_error Ping"),
        ),
        ("Get \"https://a.example/v2/\": EOF", format!("{A} connection_lost Ping")),
        (
            "Get \"https://a.example/v2/\": net/http: request canceled (Client.Timeout exceeded while awaiting headers)",
            format!("{A} no_answer Ping"),
        ),
        (
            "Get \"https://a.example/v2/\": net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)",
            format!("{A} connect_timeout Connect"),
        ),
        (
            "Get \"https://a.example/v2/\": dial tcp 192.0.2.1:443: i/o timeout",
            format!("{A} connect_timeout Connect"),
        ),
        (
            "Head \"https://a.example/v2/library/busybox/manifests/latest\": no basic auth credentials",
            format!("{A} login_required Manifest"),
        ),
        ("Get https://a.example:443/v2/: EOF", format!("{A} connection_lost Ping")),
    ] {
        assert_eq!(shown(&line("info", &format!("{NEXT}{said}"))), seen, "{said}");
    }
    let late = "Get \"http://127.0.0.1:9/v2/\": net/http: request canceled (Client.Timeout exceeded while awaiting headers)";
    assert_eq!(shown(&line("error", &format!("{END}{late}"))), "left http://127.0.0.1:9 no_answer Ping");
}

#[test]
fn a_line_that_names_nobody_blames_nobody() {
    for said in [
        "received unexpected HTTP status: 500 Internal Server Error",
        "received unexpected HTTP status: 503 Service Unavailable",
        "toomanyrequests: slow down",
        "error unmarshalling content: invalid character '<' looking for beginning of value",
        "missing or empty Content-Length header",
        "unknown blob",
        "expected HTTP 206 from byte range request",
        "filesystem layer verification failed for digest sha256:31f5f98852f7ae58f40f57da30db9197d2eb4819e7a8ae1af5fc51c071f37e87",
        "dial tcp: lookup cdn.invalid: no such host",
        "Get \"https://auth.docker.io/token?scope=repository%3Alibrary%2Fx%3Apull\": EOF",
    ] {
        assert_eq!(shown(&line("info", &format!("{NEXT}{said}"))), "doubtful", "{said}");
    }
    for said in [
        "Download failed, retrying (1/5): unexpected EOF",
        "Download failed, retrying (2/5): received unexpected HTTP status: 500 Internal Server Error",
        "Download failed, retrying (1/5): dial tcp: lookup nosuch.invalid: no such host",
        "Download failed, retrying: unexpected EOF",
    ] {
        assert_eq!(shown(&line("info", said)), "doubtful", "{said}");
    }
    let own = "Download failed, retrying (1/5): Get \"https://a.example/v2/x/blobs/sha256:0\": EOF";
    assert_eq!(shown(&line("info", own)), "left https://a.example connection_lost Layer");
}

#[test]
fn what_nobody_has_and_what_the_user_broke_off_count_for_nothing() {
    for said in [
        "manifest unknown",
        "manifest unknown: manifest unknown",
        "name unknown",
        "denied: not in the allowlist",
        "denied: requested access to the resource is denied",
        "unauthorized",
        "unauthorized: authentication required",
        "error parsing HTTP 404 response body: invalid character 'p' after top-level value: \"404 page not found\\n\"",
        "Head \"https://a.example/v2/library/busybox/manifests/latest\": denied: token no",
    ] {
        assert_eq!(shown(&line("info", &format!("{NEXT}{said}"))), "absent", "{said}");
    }
    for whole in [
        line("error", "Not continuing with pull after error: context canceled"),
        line("error", "Not continuing with pull after error: manifest unknown: manifest unknown"),
        line("info", &format!("{NEXT}Get \"https://a.example/v2/\": context canceled")),
        line("info", "Download failed, retrying (1/5): context canceled"),
        // The same failure is logged as a warning first.
        line("warning", "Error getting v2 registry: Get \"https://a.example/v2/\": EOF"),
        line("error", "Download failed after 6 attempts: unexpected EOF"),
        // The upstream, and registries that have nothing to do with mirrors.
        line(
            "info",
            &format!(
                "{NEXT}Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io: no such host"
            ),
        ),
        line(
            "info",
            &format!(
                "{NEXT}Get \"https://10.0.0.9:5000/v2/\": http: server gave HTTP response to HTTPS client"
            ),
        ),
        line("info", "Layer sha256:0 cleaned up"),
        String::new(),
        "msg".to_owned(),
        "msg=".to_owned(),
        "=".to_owned(),
        "msg=\"\\".to_owned(),
    ] {
        assert_eq!(shown(&whole), "", "{whole}");
    }
}

#[test]
fn the_containerd_store_names_its_host_in_a_field() {
    for (rest, seen) in [
        (
            r#"msg="trying next host" error="failed to do request: Head \"http://172.18.0.7:5000/v2/library/hello-world/manifests/latest?ns=docker.io\": dial tcp 172.18.0.7:5000: connect: no route to host" host="172.18.0.7:5000""#,
            "left http://172.18.0.7:5000 unreachable Connect",
        ),
        (
            r#"msg="trying next host" error="failed to do request: Head \"https://a.example/v2/x/manifests/1?ns=docker.io\": EOF" host=a.example spanID=6e2b"#,
            "left https://a.example connection_lost Manifest",
        ),
        (r#"msg="trying next host - response was http.StatusNotFound" host=a.example"#, "absent"),
        (r#"msg="trying next host - response was 403 Forbidden" host=a.example"#, "absent"),
        (
            r#"msg="trying next host - response was 502 Bad Gateway" host=a.example"#,
            "left https://a.example server_error Manifest",
        ),
        (
            r#"msg="fetch failed" error="unexpected status from HEAD request to https://a.example/v2/x/manifests/1: 503 Service Unavailable" host="a.example:443""#,
            "left https://a.example server_error Manifest",
        ),
        (r#"msg="trying next host" error=EOF host=registry-1.docker.io"#, ""),
        (r#"msg="trying next host" error="context canceled" host=a.example"#, ""),
        (r#"msg="trying next host" error=EOF"#, ""),
    ] {
        let line = format!("time=\"2026-11-21T09:35:25Z\" level=info {rest}");
        assert_eq!(shown(&line), seen, "{line}");
    }
}

#[test]
fn what_a_registry_says_of_others_is_held_against_nobody() {
    // A mirror whose own upstream is another candidate passes on what it met there; and one may lie.
    let met = "Get \"https://a.example/v2/library/busybox/manifests/latest\": EOF";
    for said in [
        format!("unknown: {met}"),
        format!("manifest unknown: {met}"),
        format!("received unexpected HTTP status: 500 {met}"),
        format!("error parsing HTTP 502 response body: invalid character 'G': {met:?}"),
    ] {
        assert_eq!(shown(&line("info", &format!("{NEXT}{said}"))), "doubtful", "{said}");
        assert_eq!(
            shown(&line("info", &format!("Download failed, retrying (1/5): {said}"))),
            "doubtful",
            "{said}"
        );
    }
    // What dockerd itself puts before its own words changes nothing.
    for before in [
        "",
        "error pulling image configuration: ",
        "error pulling image configuration: download failed after attempts=6: ",
    ] {
        let said = format!("{NEXT}{before}{met}");
        assert_eq!(shown(&line("info", &said)), "left https://a.example connection_lost Manifest", "{said}");
    }
}

#[test]
fn what_this_host_cannot_store_is_no_mirrors_failure() {
    let full = "write /var/lib/docker/tmp/GetImageBlob012: no space left on device";
    for whole in [
        line("info", &format!("Download failed, retrying (1/5): {full}")),
        line("info", &format!("{NEXT}{full}")),
        line(
            "info",
            &format!("{NEXT}error pulling image configuration: download failed after attempts=6: {full}"),
        ),
        line(
            "info",
            &format!(
                "{NEXT}failed to register layer: Error processing tar file(exit status 1): write /bin/sh: no space left on device"
            ),
        ),
    ] {
        assert_eq!(shown(&whole), "", "{whole}");
    }
    // A mirror may be full, too.
    assert_eq!(shown(&line("info", &format!("{NEXT}unknown: {full}"))), "doubtful");
}

#[test]
fn a_log_in_json_says_the_same() {
    let line =
        |rest: &str| format!("{{\"level\":\"info\",{rest},\"time\":\"2026-11-21T09:35:25.534929859Z\"}}");
    let next = r#""msg":"Attempting next endpoint for pull after error: Get \"https://a.example/v2/\": EOF""#;
    assert_eq!(shown(&line(next)), "left https://a.example connection_lost Ping");
    let next_host = r#""error":"failed to do request: Head \"https://a.example/v2/x/manifests/1?ns=docker.io\": EOF","host":"a.example","msg":"trying next host""#;
    assert_eq!(shown(&line(next_host)), "left https://a.example connection_lost Manifest");
    assert_eq!(shown(&line(r#""msg":7"#)), "");
    assert_eq!(shown("{\"msg\":\"Attempting next endpoint"), "");
}

#[test]
fn what_a_registry_says_is_safe_for_a_terminal_and_short() {
    let said = format!("{NEXT}denied: a\u{1b}[2Jb\u{202e}c\u{9b}d {}", "限".repeat(400));
    let Some(Seen::Absent { detail }) = parse(&line("info", &said), &mirrors()) else { panic!("absent") };
    assert!(detail.len() <= 200 && detail.ends_with('…'), "{} bytes", detail.len());
    assert!(detail.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{detail:?}");
    assert_eq!(safe("a\u{1b}[2J\u{9b}b\u{7f}"), "a [2J b");
    assert_eq!(safe("two\r\nlines\tand\u{200b}more"), "two lines and more");
}

proptest::proptest! {
    /// Whatever stands in a log, nothing but a known mirror is ever blamed, and nothing panics.
    #[test]
    fn no_line_can_blame_a_stranger(
        text in ".{0,200}",
        start in proptest::sample::select(vec![NEXT, END, AGAIN, "trying next host", ""]),
        tail in proptest::sample::select(vec!["", "\" error=\"x\" host=\"a.example", " https://", "\\", "\" host="]),
    ) {
        let line = format!("msg=\"{start}{text}{tail}");
        if let Some(seen) = parse(&line, &mirrors()) {
            proptest::prop_assert!(seen.url().is_none_or(|url| mirrors().contains(url)));
        }
    }
}
