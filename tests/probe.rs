//! The probe against a real registry over real HTTP and TLS, whole and broken in every way.

mod support;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mirrorwatch::image::{Descriptor, Digest, Image};
use mirrorwatch::mirror::MirrorUrl;
use mirrorwatch::observation::{Depth, ImageStore, Observation, Outcome, Quirk, REHEARSAL, Stage};
use mirrorwatch::probe::{Prober, Proxies, Settings, SetupError, Task};
use mirrorwatch::reason::FailureKind;
use mirrorwatch::timestamp::Timestamp;
use support::certificate::{Certificate, authority_pem};
use support::content::ImageSpec;
use support::fault::{Act, Fault, Place};
use support::hole::BlackHole;
use support::names::{NameServer, Said};
use support::proxy::{Kind as ProxyKind, Proxy};
use support::registry::{Options, Registry, at_speed};
use tokio::task::JoinSet;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * 1024;

/// Nothing healthy runs into these, however busy the machine is.
fn patient() -> Settings {
    Settings {
        connect_timeout: Duration::from_secs(20),
        timeout: Duration::from_secs(20),
        stall: Duration::from_secs(20),
        ..Settings::default()
    }
}

/// For what is slow or silent on purpose.
fn hasty() -> Settings {
    Settings {
        connect_timeout: Duration::from_millis(400),
        timeout: Duration::from_millis(600),
        stall: Duration::from_millis(500),
        ..Settings::default()
    }
}

fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().expect("a time")
}

fn busybox() -> Image {
    "busybox".parse().expect("an image")
}

fn task(depth: Depth, turn: u64) -> Task {
    let image = if depth == Depth::Connect { None } else { Some(busybox()) };
    Task { depth, image, layers: None, turn }
}

async fn probe(prober: &Prober, url: &str, depth: Depth, turn: u64) -> Observation {
    let url: MirrorUrl = url.parse().expect("a URL");
    prober.probe(&url, &task(depth, turn), now()).await
}

/// Of a layer that was found in `rehearsed`.
async fn sample(prober: &Prober, url: &str, rehearsed: &Observation, turn: u64) -> Observation {
    assert_served(rehearsed);
    let url: MirrorUrl = url.parse().expect("a URL");
    let task = Task { layers: rehearsed.layers.clone(), ..task(Depth::Sample, turn) };
    prober.probe(&url, &task, now()).await
}

async fn rehearse(settings: Settings, url: &str) -> Observation {
    probe(&Prober::new(settings).expect("good settings"), url, Depth::Rehearse, 0).await
}

#[track_caller]
fn assert_served(seen: &Observation) {
    assert_eq!(seen.outcome, Outcome::Served, "{seen:#?}");
}

#[track_caller]
fn assert_failed(seen: &Observation, kind: FailureKind, stage: Stage) {
    let failure = seen.failure().unwrap_or_else(|| panic!("served: {seen:#?}"));
    assert_eq!((failure.kind, failure.stage), (kind, stage), "{failure:?}");
}

/// The authority of the good certificates, in a file.
struct Trust {
    _dir: tempfile::TempDir,
    file: PathBuf,
}

impl Trust {
    fn new() -> Self {
        use std::io::Write;
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("ca.pem");
        let mut open = std::fs::OpenOptions::new().create_new(true).write(true).open(&file).expect("a file");
        open.write_all(authority_pem().as_bytes()).expect("a certificate");
        Self { _dir: dir, file }
    }

    fn settings(&self, settings: Settings) -> Settings {
        Settings { ca_file: Some(self.file.clone()), ..settings }
    }
}

fn registry_with(acts: impl IntoIterator<Item = (Place, Act)>) -> Registry {
    let faults = acts.into_iter().map(|(place, act)| Fault::at(place, act)).collect();
    Registry::start(Options { faults, ..Options::default() })
}

fn secure(certificate: Certificate) -> Options {
    Options { tls: Some(certificate), ..Options::default() }
}

// ---- What a healthy mirror looks like ----

#[tokio::test]
async fn a_rehearsal_of_a_healthy_mirror_sees_everything() {
    let registry = Registry::start(Options::default());
    let seen = rehearse(patient(), &registry.url()).await;
    assert_served(&seen);
    let stages = seen.stages;
    let measured = [
        stages.name,
        stages.connect,
        stages.ping,
        stages.token,
        stages.manifest,
        stages.config,
        stages.layer,
    ];
    assert!(measured.iter().all(Option::is_some) && stages.tls.is_none(), "{stages:?}");
    assert_eq!(seen.digest.unwrap().as_str(), registry.content("library/busybox").index.digest);
    assert_eq!(seen.created.unwrap().to_string(), "2026-11-01T00:00:00Z");
    assert_eq!(seen.address, Some(registry.address()));
    assert_eq!(seen.layer_host, Some(registry.authority()));
    assert_eq!((seen.sent_to, seen.quirks), (BTreeSet::new(), BTreeSet::new()));
    assert_eq!((seen.image, seen.at), (Some(busybox()), now()));
    assert_eq!((seen.spent.requests, seen.spent.refusals), (7, 0));
}

#[tokio::test]
async fn a_rehearsal_asks_what_dockerd_asks_in_its_order() {
    let registry = Registry::start(Options::default());
    rehearse(patient(), &registry.url()).await;
    let content = registry.content("library/busybox");
    let asked: Vec<String> = registry
        .requests()
        .iter()
        .map(|request| {
            let path = request.path.replace(&content.index.digest, "INDEX");
            let path = path.split("sha256:").next().unwrap_or_default();
            format!("{} {path}", request.method)
        })
        .collect();
    let v2 = "/v2/library/busybox";
    let want = [
        "GET /v2/".to_owned(),
        "GET /auth/token".to_owned(),
        format!("HEAD {v2}/manifests/latest"),
        format!("GET {v2}/manifests/INDEX"),
        format!("GET {v2}/manifests/"),
        format!("GET {v2}/blobs/"),
        format!("GET {v2}/blobs/"),
    ];
    assert_eq!(asked, want);
    let token = &registry.requests()[1];
    assert_eq!(token.query, "scope=repository%3Alibrary%2Fbusybox%3Apull&service=fake");
}

#[tokio::test]
async fn every_request_is_made_as_the_classic_store_makes_it() {
    let registry = Registry::start(Options::default());
    let settings = Settings { engine_version: Some("26.1.5".to_owned()), ..patient() };
    let seen = rehearse(settings, &registry.url()).await;
    assert_eq!(registry.connections(), u64::from(seen.spent.requests), "a cold connection for each");
    for request in registry.requests() {
        let header = |name: &str| request.headers.get(name).map(String::as_str);
        assert_eq!(header("connection"), Some("close"));
        assert_eq!(header("accept-encoding"), Some("identity"));
        assert_eq!(header("host"), Some(registry.authority().as_str()));
        let user_agent = header("user-agent").unwrap();
        assert!(user_agent.starts_with("docker/26.1.5 go/go1") && user_agent.contains("UpstreamClient("));
        assert_eq!(request.path == "/auth/token", request.query.contains("scope="));
        assert!(!request.query.contains("ns="));
    }
    let head = &registry.requests()[2];
    assert_eq!(head.headers["accept"].matches("application/vnd.").count(), 4);
    assert!(!head.headers["accept"].contains("*/*"));
}

#[tokio::test]
async fn for_the_containerd_store_it_speaks_as_containerd() {
    let registry = Registry::start(Options::default());
    let settings = Settings { store: Some(ImageStore::Containerd), ..patient() };
    assert_served(&rehearse(settings, &registry.url()).await);
    for request in registry.requests() {
        let of_content = request.path.contains("/manifests/") || request.path.contains("/blobs/");
        assert_eq!(request.query == "ns=docker.io", of_content, "{request:?}");
        assert!(!of_content || request.headers["accept"].ends_with("*/*"), "{request:?}");
        assert!(request.headers["user-agent"].contains("containerd-client/"));
    }
}

#[tokio::test]
async fn a_connect_probe_makes_no_request() {
    let trust = Trust::new();
    let registry = Registry::start(secure(Certificate::Good(Vec::new())));
    let prober = Prober::new(trust.settings(patient())).unwrap();
    let seen = probe(&prober, &registry.url(), Depth::Connect, 0).await;
    assert_served(&seen);
    assert!(seen.stages.tls.is_some() && seen.stages.connect.is_some(), "{seen:?}");
    assert_eq!((registry.requests().len(), registry.connections(), seen.spent.requests), (0, 1, 0));
}

#[tokio::test]
async fn a_sample_is_one_request_for_32_kib_of_a_layer_at_a_place_that_rotates() {
    let registry = Registry::start(Options::default());
    let prober = Prober::new(patient()).unwrap();
    let rehearsed = probe(&prober, &registry.url(), Depth::Rehearse, 0).await;
    let before = registry.requests().len();
    for turn in 0..6 {
        let seen = sample(&prober, &registry.url(), &rehearsed, turn).await;
        assert_served(&seen);
        assert_eq!((seen.depth, seen.spent.requests), (Depth::Sample, 1));
        assert!((32 * KIB..40 * KIB).contains(&seen.spent.bytes), "{}", seen.spent.bytes);
    }
    let samples = &registry.requests()[before..];
    let pieces: BTreeSet<(&str, &str)> =
        samples.iter().map(|request| (request.path.as_str(), request.headers["range"].as_str())).collect();
    assert_eq!((samples.len(), pieces.len()), (6, 6), "{pieces:?}");
    let layers: BTreeSet<&str> = pieces.iter().map(|(path, _)| *path).collect();
    assert_eq!(layers.len(), 2);
}

#[tokio::test]
async fn a_sample_without_a_known_layer_connects_and_says_so() {
    let registry = Registry::start(Options::default());
    let seen = probe(&Prober::new(patient()).unwrap(), &registry.url(), Depth::Sample, 0).await;
    assert_served(&seen);
    assert_eq!((seen.depth, seen.image, seen.spent.requests), (Depth::Connect, None, 0));
}

#[tokio::test]
async fn a_prober_that_takes_the_place_of_another_goes_on_with_the_token_of_that_one() {
    let registry = Registry::start(Options::default());
    let before = Prober::new(patient()).unwrap();
    let prober = Prober::new(patient()).unwrap().instead_of(&before);
    let rehearsed = probe(&before, &registry.url(), Depth::Rehearse, 0).await;
    let seen = sample(&prober, &registry.url(), &rehearsed, 0).await;
    assert_served(&seen);
    assert_eq!((seen.depth, seen.spent.requests), (Depth::Sample, 1));
}

/// As after a restart, which leaves neither a token nor a word of where one is to be had.
#[tokio::test]
async fn a_prober_that_knows_nothing_takes_a_sample_of_the_layers_that_it_is_told() {
    for (token, requests) in [(false, 1), (true, 3)] {
        let registry = Registry::start(Options { token, ..Options::default() });
        let rehearsed = rehearse(patient(), &registry.url()).await;
        let before = registry.requests().len();
        let seen = sample(&Prober::new(patient()).unwrap(), &registry.url(), &rehearsed, 0).await;
        assert_served(&seen);
        assert_eq!((seen.depth, seen.image, seen.spent.requests), (Depth::Sample, Some(busybox()), requests));
        let asked = &registry.requests()[before..];
        assert!(asked.iter().all(|request| !request.path.contains("/manifests/")), "{asked:?}");
        assert!(asked.last().is_some_and(|request| request.headers.contains_key("range")), "{asked:?}");
    }
}

#[tokio::test]
async fn the_layers_that_are_told_are_few_and_the_telling_ones_before_the_others() {
    let layers = vec![100, 30_000_000, 50_000, 200, 60_000, 20_000_000];
    let image = ImageSpec { layers, ..ImageSpec::default() };
    let registry = Registry::start(Options { images: vec![image], ..Options::default() });
    let rehearsed = rehearse(patient(), &registry.url()).await;
    // As they are packed they are a little larger.
    let size = |layer: &Descriptor| layer.size / 10_000 * 10_000;
    let sizes: Vec<u64> = rehearsed.layers.unwrap().as_slice().iter().map(size).collect();
    assert_eq!(sizes, [50_000, 60_000, 20_000_000]);
}

#[tokio::test]
async fn a_layer_of_any_size_that_is_told_breaks_no_prober_and_asks_for_nothing_but_a_blob() {
    let registry = Registry::start(Options { token: false, ..Options::default() });
    let prober = Prober::new(patient()).unwrap();
    let url: MirrorUrl = registry.url().parse().unwrap();
    for size in [0, 1, 100, 32 * KIB, u64::MAX - 1, u64::MAX] {
        for turn in [0, 1, u64::MAX] {
            let layer = Descriptor { media_type: String::new(), digest: Digest::of(b"nobody's"), size };
            let task = Task { layers: Some(vec![layer].into()), ..task(Depth::Sample, turn) };
            let seen = prober.probe(&url, &task, now()).await;
            assert_served(&seen);
        }
    }
    let blob = format!("/v2/library/busybox/blobs/{}", Digest::of(b"nobody's"));
    assert!(registry.requests().iter().all(|request| request.path == blob));
    assert_eq!(registry.requests().len(), 15, "of nothing there is nothing to ask for");
}

#[tokio::test]
async fn a_sample_of_a_layer_that_is_gone_costs_no_more_than_a_sample_and_says_nothing_of_layers() {
    let registry = Registry::start(Options::default());
    let prober = Prober::new(patient()).unwrap();
    let rehearsed = probe(&prober, &registry.url(), Depth::Rehearse, 0).await;
    registry.set_fault(Fault::at(Place::Layer, Act::not_found()));
    let seen = sample(&prober, &registry.url(), &rehearsed, 0).await;
    assert_served(&seen);
    assert_eq!((seen.depth, seen.image, seen.stages.layer), (Depth::Connect, None, None));
    assert_eq!(seen.spent.requests, 1);
}

#[tokio::test]
async fn a_sample_renews_a_token_that_the_mirror_no_longer_takes() {
    let registry = Registry::start(Options { token: false, ..Options::default() });
    let prober = Prober::new(patient()).unwrap();
    let rehearsed = probe(&prober, &registry.url(), Depth::Rehearse, 0).await;
    registry.set_fault(Fault::at(Place::Blob, Act::LateChallenge));
    let seen = sample(&prober, &registry.url(), &rehearsed, 0).await;
    assert_served(&seen);
    assert_eq!(seen.spent.requests, 3, "refused, token, served");
    assert_served(&sample(&prober, &registry.url(), &rehearsed, 1).await);
    assert_eq!(registry.count(|request| request.path == "/auth/token"), 1, "and then remembered");
}

#[tokio::test]
async fn what_a_mirror_waits_before_its_answers_is_in_every_stage() {
    let registry = Registry::start(Options::default());
    registry.set_latency(Duration::from_millis(50));
    let stages = rehearse(patient(), &registry.url()).await.stages;
    for (stage, requests) in
        [(stages.ping, 1), (stages.token, 1), (stages.manifest, 3), (stages.config, 1), (stages.layer, 1)]
    {
        assert!(stage.unwrap() >= Duration::from_millis(50) * requests, "{stages:?}");
    }
    assert!(stages.connect.unwrap() < Duration::from_millis(50), "{stages:?}");
}

#[tokio::test]
async fn the_speed_of_a_layer_is_measured() {
    let registry = at_speed(500 * KIB);
    let settings = Settings { stall: Duration::from_secs(2), ..patient() };
    let prober = Prober::new(settings).unwrap();
    let speed = probe(&prober, &registry.url(), Depth::Rehearse, 1).await.bytes_per_second.unwrap();
    assert!((100.0 * 1024.0..600.0 * 1024.0).contains(&speed), "{speed}");
}

/// Mirrors that are odd and that `docker pull` can live with, with what one of the stores cannot.
fn odd_but_healthy(cdn: &Registry, realm: &Registry) -> Vec<(&'static str, Registry, &'static [Quirk])> {
    let elsewhere = |status| Act::Redirect { status, to: format!("{}{{path}}", cdn.url()) };
    let html = "text/html";
    let free = || Options { token: false, ..Options::default() };
    let one = |place, act| registry_with([(place, act)]);
    vec![
        ("no token wanted", Registry::start(free()), &[]),
        ("layers from a CDN", one(Place::Blob, elsewhere(307)), &[]),
        ("layers by 302", one(Place::Layer, elsewhere(302)), &[]),
        ("a realm elsewhere", one(Place::Ping, Act::Realm(format!("{}/auth/token", realm.url()))), &[]),
        ("no digest header", one(Place::Manifest, Act::WithoutDigest), &[]),
        ("Range ignored", one(Place::Layer, Act::RangeIgnored), &[]),
        (
            "Range ignored, chunked",
            registry_with([(Place::Layer, Act::RangeIgnored), (Place::Layer, Act::Chunked)]),
            &[],
        ),
        ("bodies until the connection closes", one(Place::Blob, Act::UntilClose), &[]),
        (
            "no length anywhere but HEAD",
            registry_with([(Place::Get, Act::Chunked), (Place::Blob, Act::Chunked)]),
            &[],
        ),
        ("HEAD refused with 405", one(Place::Head, Act::error(405, "UNSUPPORTED", "no")), &[]),
        ("HEAD refused with 404", one(Place::Head, Act::not_found()), &[Quirk::HeadNotFound]),
        ("HEAD refused with 403", one(Place::Head, Act::denied()), &[Quirk::HeadNotFound]),
        ("HEAD without a length", one(Place::Head, Act::Chunked), &[Quirk::HeadWithoutLength]),
        ("HEAD without a type", one(Place::Head, Act::WithoutType), &[Quirk::HeadWithoutType]),
        ("HEAD of another type", one(Place::Head, Act::Type(html)), &[Quirk::HeadWrongType]),
        ("a challenge that comes late", one(Place::Everywhere, Act::LateChallenge), &[Quirk::LateChallenge]),
        (
            "a ping that hangs up",
            Registry::start(Options { faults: vec![Fault::at(Place::Ping, Act::HangUp)], ..free() }),
            &[Quirk::PingFails],
        ),
        (
            "a ping of 404",
            Registry::start(Options { faults: vec![Fault::at(Place::Ping, Act::not_found())], ..free() }),
            &[],
        ),
        (
            "a ping with a web page",
            Registry::start(Options { faults: vec![Fault::at(Place::Ping, Act::web_page())], ..free() }),
            &[],
        ),
        ("a sleep before the first byte", one(Place::Layer, Act::Late(Duration::from_millis(300))), &[]),
        ("slow, but fast enough", at_speed(600 * KIB), &[]),
        ("an old tag, which one mirror alone cannot tell", one(Place::Manifest, Act::OldTag), &[]),
        (
            "one large layer",
            Registry::start(Options {
                images: vec![ImageSpec { layers: vec![12_000_000], ..ImageSpec::default() }],
                ..Options::default()
            }),
            &[],
        ),
        (
            "layers that are not packed as their type says, which Docker does not mind",
            Registry::start(Options {
                images: vec![ImageSpec { packed: false, ..ImageSpec::default() }],
                ..Options::default()
            }),
            &[],
        ),
        (
            "no layer worth a speed",
            Registry::start(Options {
                images: vec![ImageSpec { layers: vec![100], ..ImageSpec::default() }],
                ..Options::default()
            }),
            &[],
        ),
    ]
}

#[tokio::test]
async fn no_healthy_mirror_is_refused_however_odd() {
    let (cdn, realm) = (
        Registry::start(Options { token: false, ..Options::default() }),
        Registry::start(Options::default()),
    );
    let prober = Arc::new(Prober::new(patient()).unwrap());
    let mut under_way = JoinSet::new();
    for (name, registry, quirks) in odd_but_healthy(&cdn, &realm) {
        let prober = Arc::clone(&prober);
        under_way.spawn(async move {
            let seen = probe(&prober, &registry.url(), Depth::Rehearse, 1).await;
            (name, registry, quirks, seen)
        });
    }
    while let Some(done) = under_way.join_next().await {
        let (name, registry, quirks, seen) = done.unwrap();
        assert_eq!(seen.outcome, Outcome::Served, "{name}");
        assert_eq!(seen.quirks, quirks.iter().copied().collect(), "{name}");
        let elsewhere = match name {
            "layers from a CDN" | "layers by 302" => Some(cdn.authority()),
            "a realm elsewhere" => Some(realm.authority()),
            _ => None,
        };
        assert_eq!(seen.sent_to, elsewhere.iter().cloned().collect(), "{name}");
        let own_layers = name == "a realm elsewhere" || elsewhere.is_none();
        let layer_host = if own_layers { registry.authority() } else { cdn.authority() };
        assert_eq!(seen.layer_host, Some(layer_host), "{name}");
        assert!(seen.spent.bytes < MIB + 200 * KIB, "{name}: {} bytes", seen.spent.bytes);
    }
}

#[tokio::test]
async fn an_allowlist_that_serves_this_hosts_images_is_healthy() {
    let allowed = ImageSpec::default();
    let denied =
        ImageSpec { repository: "grafana/grafana".to_owned(), layers: vec![50_000], ..ImageSpec::default() };
    let registry = Registry::start(Options { images: vec![allowed, denied], ..Options::default() });
    assert_served(&rehearse(patient(), &registry.url()).await);
}

// ---- Every way to be broken ----

/// Mirrors that are broken without being slow about it.
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn broken(other: &Registry) -> Vec<(&'static str, Registry, FailureKind, Stage)> {
    use FailureKind as K;
    use Place::{Blob, Child, Config, Everywhere, Get, Head, Layer, Manifest, Ping, Token};
    use Stage as S;
    let one = |place, act| registry_with([(place, act)]);
    let to = |url: &str| Act::Redirect { status: 307, to: url.to_owned() };
    let elsewhere = || to(&format!("{}{{path}}", other.url()));
    let large = Act::Answer { status: 200, media_type: "application/json", body: "x".repeat(300_000) };
    vec![
        ("hangs up", one(Everywhere, Act::HangUp), K::ConnectionLost, S::Manifest),
        ("speaks something else", one(Everywhere, Act::Garbage), K::ProtocolError, S::Manifest),
        ("a web page on every path", one(Everywhere, Act::web_page()), K::NotARegistry, S::Manifest),
        ("a web page as manifest", one(Manifest, Act::web_page()), K::NotARegistry, S::Manifest),
        ("a web page as token", one(Token, Act::web_page()), K::NotARegistry, S::Token),
        ("a web page as config", one(Config, Act::web_page()), K::NotARegistry, S::Config),
        ("a web page as layer", one(Layer, Act::web_page()), K::NotARegistry, S::Layer),
        ("a challenge page", one(Everywhere, Act::challenge_page()), K::NotARegistry, S::Manifest),
        ("{} on every path", one(Everywhere, Act::other_json()), K::NotARegistry, S::Manifest),
        ("a token answer without token", one(Token, Act::other_json()), K::NotARegistry, S::Token),
        ("403 at the token", one(Token, Act::denied()), K::NotAllowed, S::Token),
        ("403 at the manifest", one(Manifest, Act::denied()), K::NotAllowed, S::Manifest),
        ("403 at the blob alone", one(Blob, Act::denied()), K::NotAllowed, S::Config),
        ("403 at the layer alone", one(Layer, Act::denied()), K::NotAllowed, S::Layer),
        ("404", one(Manifest, Act::not_found()), K::NotFound, S::Manifest),
        ("404 of the platform's manifest", one(Child, Act::not_found()), K::NotFound, S::Manifest),
        ("429 at the ping", one(Ping, Act::rate_limited()), K::RateLimited, S::Ping),
        ("429 at the manifest", one(Manifest, Act::rate_limited()), K::RateLimited, S::Manifest),
        ("429 in hubproxy's words", one(Blob, Act::hubproxy_limit()), K::RateLimited, S::Config),
        ("Docker Hub's 429 within a 500", one(Manifest, Act::nested_limit()), K::RateLimited, S::Manifest),
        ("429 said as 403", one(Blob, Act::error(403, "TOOMANYREQUESTS", "")), K::RateLimited, S::Config),
        ("500", one(Manifest, Act::server_error(500)), K::ServerError, S::Manifest),
        ("502 at the layer", one(Layer, Act::server_error(502)), K::ServerError, S::Layer),
        ("503 at the token", one(Token, Act::server_error(503)), K::ServerError, S::Token),
        ("401 after the token", one(Manifest, Act::UselessToken), K::LoginRequired, S::Manifest),
        ("401 at the token", one(Token, Act::error(401, "UNAUTHORIZED", "")), K::LoginRequired, S::Token),
        ("a Basic challenge", one(Everywhere, Act::Basic), K::LoginRequired, S::Ping),
        ("manifest redirected", one(Manifest, elsewhere()), K::RedirectRefused, S::Manifest),
        ("token redirected", one(Token, elsewhere()), K::RedirectRefused, S::Token),
        ("a redirect loop", one(Layer, Act::Loop), K::RedirectRefused, S::Layer),
        ("to the metadata service", one(Layer, to("http://169.254.169.254/x")), K::RedirectRefused, S::Layer),
        ("to Alibaba's", one(Config, to("http://100.100.100.200/x")), K::RedirectRefused, S::Config),
        ("to 0.0.0.0", one(Layer, to("http://0.0.0.0:1/x")), K::RedirectRefused, S::Layer),
        ("to a file", one(Layer, to("file:///etc/passwd")), K::RedirectRefused, S::Layer),
        ("to somebody's account", one(Layer, to("http://u:p@127.0.0.1/x")), K::RedirectRefused, S::Layer),
        (
            "a realm at the metadata service",
            one(Ping, Act::Realm("http://169.254.169.254/t".to_owned())),
            K::RedirectRefused,
            S::Token,
        ),
        (
            "a realm that is a file",
            one(Ping, Act::Realm("file:///etc/passwd".to_owned())),
            K::RedirectRefused,
            S::Token,
        ),
        (
            "a realm that is not ASCII, and that refuses",
            one(Everywhere, Act::Realm("http://127.0.0.1:1/\u{a0}x".to_owned())),
            K::ConnectionRefused,
            S::Token,
        ),
        ("to a port that refuses", one(Layer, to("http://127.0.0.1:1/x")), K::ConnectionRefused, S::Layer),
        ("to a name that is none", one(Layer, to("http://nowhere.invalid/x")), K::NameNotResolved, S::Layer),
        ("the manifest is cut", one(Get, Act::Cut), K::ConnectionLost, S::Manifest),
        ("the config is cut", one(Config, Act::Cut), K::ConnectionLost, S::Config),
        ("the layer is cut", one(Layer, Act::Cut), K::ConnectionLost, S::Layer),
        (
            "the layer is cut without a word",
            registry_with([(Layer, Act::Cut), (Layer, Act::UntilClose)]),
            K::ConnectionLost,
            S::Layer,
        ),
        ("a corrupt manifest", one(Get, Act::Corrupt), K::Corrupt, S::Manifest),
        ("a manifest of another digest", one(Get, Act::WrongDigest), K::Corrupt, S::Manifest),
        ("a digest that it does not have", one(Head, Act::WrongDigest), K::NotFound, S::Manifest),
        ("a corrupt config", one(Config, Act::Corrupt), K::Corrupt, S::Config),
        ("a corrupt layer", one(Layer, Act::Corrupt), K::Corrupt, S::Layer),
        (
            "a layer of another length",
            one(
                Layer,
                Act::Answer { status: 200, media_type: "application/octet-stream", body: "short".to_owned() },
            ),
            K::Corrupt,
            S::Layer,
        ),
        ("a compressed manifest", one(Get, Act::Gzip), K::ProtocolError, S::Manifest),
        ("a compressed layer", one(Layer, Act::Gzip), K::ProtocolError, S::Layer),
        ("a manifest without a type", one(Get, Act::WithoutType), K::ProtocolError, S::Manifest),
        ("a manifest of type JSON", one(Get, Act::Type("application/json")), K::NotARegistry, S::Manifest),
        ("an endless manifest", one(Get, Act::Endless), K::AnswerTooLarge, S::Manifest),
        ("an endless token", one(Token, Act::Endless), K::AnswerTooLarge, S::Token),
        ("a token that is too long", one(Token, large), K::AnswerTooLarge, S::Token),
        ("an endless head", one(Everywhere, Act::EndlessHead), K::AnswerTooLarge, S::Manifest),
        ("a flood of interim answers", one(Everywhere, Act::Interim), K::AnswerTooLarge, S::Manifest),
        ("crumbs", one(Layer, Act::Crumbs), K::ProtocolError, S::Layer),
        (
            "204",
            one(Manifest, Act::Answer { status: 204, media_type: "text/plain", body: String::new() }),
            K::ProtocolError,
            S::Manifest,
        ),
    ]
}

#[tokio::test]
async fn every_broken_mirror_is_refused_for_what_is_wrong_with_it() {
    let other = Registry::start(Options { token: false, ..Options::default() });
    let prober = Arc::new(Prober::new(patient()).unwrap());
    let mut under_way = JoinSet::new();
    for (name, registry, kind, stage) in broken(&other) {
        let prober = Arc::clone(&prober);
        under_way.spawn(async move {
            // At turn 0 the layer is the small one, which is read in full.
            let seen = probe(&prober, &registry.url(), Depth::Rehearse, 0).await;
            (name, seen, kind, stage)
        });
    }
    let mut wrong = Vec::new();
    while let Some(done) = under_way.join_next().await {
        let (name, seen, kind, stage) = done.unwrap();
        let got = seen.failure().map(|failure| (failure.kind, failure.stage));
        if got != Some((kind, stage)) {
            wrong.push(format!("{name}: want {kind} at {stage:?}, got {:?}", seen.outcome));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn a_range_that_nobody_asked_for_is_a_protocol_error() {
    let registry = registry_with([(Place::Layer, Act::WrongRange)]);
    let prober = Prober::new(patient()).unwrap();
    let seen = probe(&prober, &registry.url(), Depth::Rehearse, 1).await;
    assert_failed(&seen, FailureKind::ProtocolError, Stage::Layer);
}

#[tokio::test]
async fn every_slow_or_silent_mirror_is_refused_for_what_is_wrong_with_it() {
    use FailureKind as K;
    use Place::{Config, Everywhere, Get, Layer, Token};
    use Stage as S;
    let one = |place, act| registry_with([(place, act)]);
    let cases = vec![
        ("never answers", one(Everywhere, Act::Silence), K::NoAnswer, S::Manifest),
        ("never answers for a token", one(Token, Act::Silence), K::NoAnswer, S::Token),
        ("never answers for a layer", one(Layer, Act::Silence), K::NoAnswer, S::Layer),
        (
            "sleeps too long before a layer",
            one(Layer, Act::Late(Duration::from_secs(2))),
            K::NoAnswer,
            S::Layer,
        ),
        (
            "sleeps by the size of a layer",
            one(Layer, Act::LatePerMib(Duration::from_secs(10))),
            K::NoAnswer,
            S::Layer,
        ),
        ("drips its head", one(Everywhere, Act::SlowHead), K::NoAnswer, S::Manifest),
        ("stalls in a manifest", one(Get, Act::Stall { after: 100 }), K::Stalled, S::Manifest),
        ("stalls in a config", one(Config, Act::Stall { after: 100 }), K::Stalled, S::Config),
        ("stalls in a layer", one(Layer, Act::Stall { after: 100_000 }), K::Stalled, S::Layer),
        ("stalls before a layer's first byte", one(Layer, Act::Stall { after: 0 }), K::Stalled, S::Layer),
        ("drips a manifest", one(Get, Act::Drip(100)), K::TooSlow, S::Manifest),
        ("crawls", one(Layer, Act::Drip(20 * KIB)), K::TooSlow, S::Layer),
        ("drips a layer", one(Layer, Act::Drip(50)), K::TooSlow, S::Layer),
    ];
    let prober = Arc::new(Prober::new(hasty()).unwrap());
    let mut under_way = JoinSet::new();
    for (name, registry, kind, stage) in cases {
        let prober = Arc::clone(&prober);
        under_way.spawn(async move {
            let begin = Instant::now();
            let seen = probe(&prober, &registry.url(), Depth::Rehearse, 1).await;
            (name, seen, kind, stage, begin.elapsed())
        });
    }
    while let Some(done) = under_way.join_next().await {
        let (name, seen, kind, stage, took) = done.unwrap();
        let got = seen.failure().map(|failure| (failure.kind, failure.stage));
        assert_eq!(got, Some((kind, stage)), "{name}: {:?}", seen.outcome);
        assert!(took < Duration::from_secs(5), "{name} took {took:?}");
    }
}

#[tokio::test]
async fn bad_certificates_are_told_apart() {
    use FailureKind as K;
    let trust = Trust::new();
    let prober = Prober::new(trust.settings(patient())).unwrap();
    for (certificate, kind) in [
        (Certificate::Expired, K::TlsExpired),
        (Certificate::NotYetValid, K::TlsExpired),
        (Certificate::WrongHost, K::TlsWrongHost),
        (Certificate::Untrusted, K::TlsUntrusted),
        (Certificate::Forged, K::TlsUntrusted),
        (Certificate::SelfSigned, K::TlsUntrusted),
    ] {
        let registry = Registry::start(secure(certificate));
        for depth in [Depth::Connect, Depth::Rehearse] {
            let seen = probe(&prober, &registry.url(), depth, 0).await;
            assert_failed(&seen, kind, Stage::Tls);
        }
        assert_eq!(registry.requests().len(), 0, "nothing is asked of a host that is not who it says");
    }
    let good = Registry::start(secure(Certificate::Good(Vec::new())));
    assert_served(&probe(&prober, &good.url(), Depth::Rehearse, 0).await);
}

#[tokio::test]
async fn without_the_ca_file_its_authority_is_not_trusted() {
    let registry = Registry::start(secure(Certificate::Good(Vec::new())));
    assert_failed(&rehearse(patient(), &registry.url()).await, FailureKind::TlsUntrusted, Stage::Tls);
}

#[tokio::test]
async fn trouble_in_the_handshake_is_tls_error_with_what_happened() {
    let trust = Trust::new();
    let prober = Prober::new(trust.settings(hasty())).unwrap();
    for (act, words) in [
        (Act::TlsSilence, "no answer in the TLS handshake"),
        (Act::TlsReset, "reset in the TLS handshake"),
        (Act::TlsPlain, "does not speak TLS"),
    ] {
        let faults = vec![Fault::everywhere(act)];
        let registry = Registry::start(Options { faults, ..secure(Certificate::Good(Vec::new())) });
        let seen = probe(&prober, &registry.url(), Depth::Connect, 0).await;
        assert_failed(&seen, FailureKind::TlsError, Stage::Tls);
        assert!(seen.failure().unwrap().detail.contains(words), "{:?}", seen.failure());
    }
}

#[tokio::test]
async fn a_dead_mirror_refuses_and_one_that_is_back_serves() {
    let registry = Registry::start(Options::default());
    let prober = Prober::new(patient()).unwrap();
    registry.stop();
    for depth in [Depth::Connect, Depth::Sample, Depth::Rehearse] {
        let seen = probe(&prober, &registry.url(), depth, 0).await;
        assert_failed(&seen, FailureKind::ConnectionRefused, Stage::Connect);
        assert_eq!(seen.spent.requests, 0);
    }
    registry.start_again();
    assert_served(&probe(&prober, &registry.url(), Depth::Rehearse, 0).await);
}

#[tokio::test]
async fn a_host_that_does_not_answer_the_syn_is_a_connect_timeout() {
    let hole = BlackHole::open();
    let begin = Instant::now();
    let prober = Prober::new(hasty()).unwrap();
    let seen = probe(&prober, &format!("http://{}", hole.address()), Depth::Connect, 0).await;
    assert_failed(&seen, FailureKind::ConnectTimeout, Stage::Connect);
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
}

// ---- Names ----

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn name_server(table: &[(&str, Said)]) -> NameServer {
    NameServer::start(table.iter().map(|(name, said)| ((*name).to_owned(), said.clone())))
}

fn by(server: &NameServer, settings: Settings) -> Settings {
    Settings { nameservers: Some(vec![server.address()]), ..settings }
}

#[tokio::test]
async fn names_that_lead_nowhere_or_somewhere_odd_are_told_apart() {
    use FailureKind as K;
    let to = |ips: &[&str]| Said::Addresses(ips.iter().map(|text| ip(text)).collect());
    let server = name_server(&[
        ("gone.example", Said::NoSuchName),
        ("empty.example", to(&[])),
        ("loopback.example", to(&["127.0.0.1"])),
        ("loopback6.example", to(&["::1"])),
        ("mixed.example", to(&["198.18.0.1", "127.0.0.1"])),
        ("zero.example", to(&["0.0.0.0"])),
        ("cloud.example", to(&["169.254.169.254"])),
    ]);
    let prober = Prober::new(by(&server, patient())).unwrap();
    for (host, kind, words) in [
        ("gone.example", K::NameNotResolved, "no such name"),
        ("empty.example", K::NameNotResolved, "has no address"),
        ("loopback.example", K::SuspiciousAddress, "127.0.0.1 (this host)"),
        ("loopback6.example", K::SuspiciousAddress, "::1 (this host)"),
        ("mixed.example", K::SuspiciousAddress, "127.0.0.1"),
        ("zero.example", K::SuspiciousAddress, "0.0.0.0"),
        ("cloud.example", K::SuspiciousAddress, "169.254.169.254"),
        ("169.254.169.254", K::SuspiciousAddress, "metadata"),
        ("100.100.100.200", K::SuspiciousAddress, "metadata"),
    ] {
        let seen = probe(&prober, &format!("https://{host}"), Depth::Rehearse, 0).await;
        assert_failed(&seen, kind, Stage::Name);
        assert!(seen.failure().unwrap().detail.contains(words), "{host}: {:?}", seen.failure());
    }
}

#[tokio::test]
async fn a_name_that_hangs_ends_after_two_seconds() {
    let server = name_server(&[("hangs.example", Said::Silence)]);
    let begin = Instant::now();
    let seen =
        probe(&Prober::new(by(&server, patient())).unwrap(), "https://hangs.example", Depth::Connect, 0)
            .await;
    assert_failed(&seen, FailureKind::NameNotResolved, Stage::Name);
    assert!(seen.failure().unwrap().detail.contains("no name server answered"), "{:?}", seen.failure());
    let took = begin.elapsed();
    assert!(took >= Duration::from_secs(2) && took < Duration::from_millis(3500), "{took:?}");
}

/// Two hundred probes at once, none of which finds the name that it needs.
async fn flood(server: &NameServer, settings: Settings, depth: Depth, url: impl Fn(usize) -> String) {
    let prober = Arc::new(Prober::new(by(server, settings)).expect("good settings"));
    let mut all = JoinSet::new();
    for number in 0..200 {
        let (prober, url) = (Arc::clone(&prober), url(number));
        all.spawn(async move { probe(&prober, &url, depth, 0).await });
    }
    for seen in all.join_all().await {
        assert!(seen.failure().is_some_and(|failure| failure.detail.contains("no such name")), "{seen:?}");
    }
    // Twice sixty-four; more only where this machine does not get round to answering within 0.3 s.
    assert!(server.most_at_once() < 300, "{} of 400 queries at once", server.most_at_once());
}

#[tokio::test]
async fn two_hundred_names_at_once_do_not_flood_the_name_server() {
    let server = NameServer::start_slow(Duration::from_millis(20));
    flood(&server, patient(), Depth::Connect, |number| format!("https://mirror{number}.example")).await;
}

#[tokio::test]
async fn nor_do_two_hundred_names_that_mirrors_lead_to() {
    // All have been led on before the first name is answered.
    let server = NameServer::start_slow(Duration::from_millis(120));
    let led = |number| vec![Fault::at(Place::Ping, Act::Realm(format!("https://tokens{number}.example/")))];
    let mirrors: Vec<Registry> = (0..200)
        .map(|number| Registry::start(Options { faults: led(number), ..Options::default() }))
        .collect();
    flood(&server, patient(), Depth::Rehearse, |number| mirrors[number].url()).await;
}

// ---- Redirects and hosts ----

/// A candidate that is reached through a proxy by a public name, so that this host is nearer than it is.
struct Faraway {
    registry: Registry,
    _proxy: Proxy,
    prober: Prober,
    url: String,
}

impl Faraway {
    fn new(options: Options, settings: Settings) -> Self {
        let registry = Registry::start(options);
        let names = [("mirror.example".to_owned(), registry.address())];
        let proxy = Proxy::start(ProxyKind::Http, names);
        let proxies = Proxies { http: Some(proxy.url()), https: Some(proxy.url()), no_proxy: None };
        let prober = Prober::new(Settings { proxies, ..settings }).expect("good settings");
        let url = registry.url_as("mirror.example");
        Self { registry, _proxy: proxy, prober, url }
    }
}

#[tokio::test]
async fn a_mirror_on_the_internet_cannot_send_us_to_this_host_or_this_network() {
    let near = Registry::start(Options { token: false, ..Options::default() });
    let options = Options { token: false, ..Options::default() };
    let far = Faraway::new(options, patient());
    assert_served(&probe(&far.prober, &far.url, Depth::Rehearse, 0).await);
    for to in [
        near.url(),
        "http://10.0.0.1".to_owned(),
        "http://192.168.1.1".to_owned(),
        "http://localhost".to_owned(),
    ] {
        let to = format!("{to}{{path}}");
        far.registry.set_fault(Fault::at(Place::Layer, Act::Redirect { status: 307, to }));
        let seen = probe(&far.prober, &far.url, Depth::Rehearse, 0).await;
        assert_failed(&seen, FailureKind::RedirectRefused, Stage::Layer);
    }
    far.registry.set_faults(vec![
        Fault::at(Place::Ping, Act::Realm(format!("{}/auth/token", near.url()))),
        Fault::at(Place::Ping, Act::UselessToken),
    ]);
    let seen = probe(&far.prober, &far.url, Depth::Rehearse, 0).await;
    assert_failed(&seen, FailureKind::RedirectRefused, Stage::Token);
    assert_eq!(near.connections(), 0, "not even a connection");
}

#[tokio::test]
async fn a_name_in_a_redirect_is_checked_after_it_was_resolved() {
    let near = Registry::start(Options { token: false, ..Options::default() });
    let server = name_server(&[("cdn.example", Said::Addresses(vec![ip("169.254.169.254"), ip("1.1.1.1")]))]);
    let registry =
        registry_with([(Place::Layer, Act::Redirect { status: 307, to: "http://cdn.example/x".to_owned() })]);
    let seen = rehearse(by(&server, patient()), &registry.url()).await;
    assert_failed(&seen, FailureKind::RedirectRefused, Stage::Layer);
    assert!(seen.sent_to.contains("cdn.example"), "{:?}", seen.sent_to);
    assert_eq!(near.connections(), 0);
}

#[tokio::test]
async fn all_addresses_of_the_mirrors_name_and_of_its_layers_host_are_told() {
    let cdn = Registry::start(Options { token: false, ..Options::default() });
    let (near, far) = (ip("127.0.0.1"), ip("127.0.0.9"));
    let server = name_server(&[("localhost.example", Said::Addresses(vec![near, far]))]);
    let port = cdn.url().rsplit_once(':').unwrap().1.parse().unwrap();
    let to = format!("http://localhost.example:{port}{{path}}");
    let registry = registry_with([(Place::Layer, Act::Redirect { status: 307, to })]);
    let seen = rehearse(by(&server, patient()), &registry.url()).await;
    assert_served(&seen);
    let own = registry.url().strip_prefix("http://").unwrap().parse().unwrap();
    let wanted = BTreeSet::from([own, SocketAddr::new(near, port), SocketAddr::new(far, port)]);
    assert_eq!(seen.addresses, wanted, "not only {:?}, who answered", seen.layer_address);
}

#[tokio::test]
async fn three_redirects_of_a_layer_are_followed_and_no_fourth() {
    let free = || Options { token: false, ..Options::default() };
    let chain: Vec<Registry> = (0..4).map(|_| Registry::start(free())).collect();
    let hop = |to: &Registry| {
        Fault::at(Place::Layer, Act::Redirect { status: 302, to: format!("{}{{path}}", to.url()) })
    };
    for pair in chain.windows(2) {
        pair[0].set_fault(hop(&pair[1]));
    }
    let prober = Prober::new(patient()).unwrap();
    let seen = probe(&prober, &chain[0].url(), Depth::Rehearse, 0).await;
    assert_served(&seen);
    assert_eq!(seen.layer_host, Some(chain[3].authority()));
    assert_eq!(seen.sent_to.len(), 3);

    let first = Registry::start(free());
    first.set_fault(hop(&chain[0]));
    let seen = probe(&prober, &first.url(), Depth::Rehearse, 0).await;
    assert_failed(&seen, FailureKind::RedirectRefused, Stage::Layer);
}

#[tokio::test]
async fn from_https_nothing_leads_to_http() {
    let trust = Trust::new();
    let plain = Registry::start(Options { token: false, ..Options::default() });
    let registry = Registry::start(secure(Certificate::Good(Vec::new())));
    let prober = Prober::new(trust.settings(patient())).unwrap();
    for (place, act, stage) in [
        (Place::Layer, Act::Redirect { status: 307, to: format!("{}{{path}}", plain.url()) }, Stage::Layer),
        (Place::Ping, Act::Realm(format!("{}/auth/token", plain.url())), Stage::Token),
    ] {
        registry.set_fault(Fault::at(place, act));
        let seen = probe(&prober, &registry.url(), Depth::Rehearse, 0).await;
        assert_failed(&seen, FailureKind::RedirectRefused, stage);
    }
    assert_eq!(plain.connections(), 0);
}

#[tokio::test]
async fn a_token_that_does_not_help_is_no_late_one() {
    let registry =
        registry_with([(Place::Everywhere, Act::LateChallenge), (Place::Manifest, Act::UselessToken)]);
    let seen = rehearse(patient(), &registry.url()).await;
    assert_failed(&seen, FailureKind::LoginRequired, Stage::Manifest);
    assert_eq!(seen.quirks, BTreeSet::new(), "what is private is said of the image");
}

#[tokio::test]
async fn a_ping_that_is_redirected_is_noted_and_not_followed() {
    let other = Registry::start(Options::default());
    let to = format!("{}{{path}}", other.url());
    let faults = vec![Fault::at(Place::Ping, Act::Redirect { status: 302, to })];
    let registry = Registry::start(Options { faults, token: false, ..Options::default() });
    let seen = rehearse(patient(), &registry.url()).await;
    assert_served(&seen);
    assert_eq!(seen.sent_to, BTreeSet::from([other.authority()]));
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn the_token_goes_to_the_mirror_alone_and_no_other_credential_anywhere() {
    let cdn = Registry::start(Options { token: false, ..Options::default() });
    let realm = Registry::start(Options::default());
    let registry = registry_with([
        (Place::Ping, Act::Realm(format!("{}/auth/token", realm.url()))),
        (Place::Blob, Act::Redirect { status: 307, to: format!("{}{{path}}", cdn.url()) }),
    ]);
    let seen = rehearse(patient(), &registry.url()).await;
    assert_served(&seen);
    assert_eq!(seen.sent_to, BTreeSet::from([cdn.authority(), realm.authority()]));
    for request in cdn.requests().iter().chain(&realm.requests()) {
        assert!(!request.headers.contains_key("authorization"), "{request:?}");
    }
    for request in registry.requests() {
        let authorization = request.headers.get("authorization").map(String::as_str);
        assert!(matches!(authorization, None | Some("Bearer anonymous-token")), "{request:?}");
        assert!(!request.headers.contains_key("cookie"));
    }
    let asked_there = (seen.spent.requests, registry.requests().len());
    assert_eq!(asked_there, (6, 6), "what other hosts were asked is not the mirror's to pay");
}

// ---- Proxies ----

#[tokio::test]
async fn a_mirror_is_asked_through_the_engines_proxy_by_the_name_that_it_has() {
    let trust = Trust::new();
    for kind in [ProxyKind::Http, ProxyKind::Socks5] {
        for tls in [None, Some(Certificate::Good(vec!["mirror.example".to_owned()]))] {
            let secure = tls.is_some();
            let registry = Registry::start(Options { tls, token: false, ..Options::default() });
            let proxy = Proxy::start(kind, [("mirror.example".to_owned(), registry.address())]);
            let url = registry.url_as("mirror.example");
            let proxies = Proxies { http: Some(proxy.url()), https: Some(proxy.url()), no_proxy: None };
            // A name server that knows nobody: the proxy is who resolves.
            let nobody = name_server(&[]);
            let settings = Settings { proxies, ..by(&nobody, trust.settings(patient())) };
            let seen = rehearse(settings, &url).await;
            assert_served(&seen);
            assert_eq!((seen.address, seen.stages.name, seen.stages.tls.is_some()), (None, None, secure));
            assert_eq!(nobody.queries(), 0);
            let first = &proxy.asked()[0];
            let port = registry.address().port();
            let want = match (kind, secure) {
                (ProxyKind::Http, false) => {
                    format!("GET http://mirror.example:{port}/v2/ HTTP/1.1 Basic dXNlcjpzZWNyZXQ=")
                }
                (ProxyKind::Http, true) => {
                    format!("CONNECT mirror.example:{port} HTTP/1.1 Basic dXNlcjpzZWNyZXQ=")
                }
                (ProxyKind::Socks5, _) => format!("mirror.example:{port} user:secret"),
            };
            assert_eq!(*first, want);
            let leaked = registry.count(|request| request.headers.contains_key("proxy-authorization"));
            assert_eq!(leaked, 0);
        }
    }
}

#[tokio::test]
async fn a_proxy_that_cannot_reach_the_mirror_makes_it_unreachable() {
    let proxy = Proxy::start(ProxyKind::Http, []);
    let proxies = Proxies { https: Some(proxy.url()), ..Proxies::default() };
    let seen = rehearse(Settings { proxies, ..patient() }, "https://mirror.example").await;
    assert_failed(&seen, FailureKind::Unreachable, Stage::Connect);
    let detail = &seen.failure().unwrap().detail;
    assert!(detail.contains("proxy 127.0.0.1") && !detail.contains("secret"), "{detail}");
}

#[tokio::test]
async fn the_name_of_a_proxy_is_asked_for_once_a_probe() {
    let registry = Registry::start(Options { token: false, ..Options::default() });
    let proxy = Proxy::start(ProxyKind::Http, [("mirror.example".to_owned(), registry.address())]);
    let server = name_server(&[("proxy.example", Said::Addresses(vec![ip("127.0.0.1")]))]);
    let named = proxy.url().replace("127.0.0.1", "proxy.example");
    let proxies = Proxies { http: Some(named), ..Proxies::default() };
    let settings = Settings { proxies, ..by(&server, patient()) };
    assert_served(&rehearse(settings, &registry.url_as("mirror.example")).await);
    assert!(proxy.asked().len() > 2, "{:?}", proxy.asked());
    assert_eq!(server.queries(), 2, "one for each family");
}

#[tokio::test]
async fn a_proxy_without_an_address_is_named_and_not_the_mirror() {
    let server = name_server(&[]);
    let proxies =
        Proxies { https: Some("http://user:secret@proxy.example:3128".to_owned()), ..Proxies::default() };
    let seen = rehearse(Settings { proxies, ..by(&server, patient()) }, "https://mirror.example").await;
    assert_failed(&seen, FailureKind::NameNotResolved, Stage::Name);
    assert_eq!(seen.failure().unwrap().detail, "proxy proxy.example:3128: proxy.example: no such name");
}

#[tokio::test]
async fn this_host_is_never_reached_through_a_proxy() {
    let registry = Registry::start(Options::default());
    let proxies = Proxies { http: Some("http://127.0.0.1:1".to_owned()), ..Proxies::default() };
    assert_served(&rehearse(Settings { proxies, ..patient() }, &registry.url()).await);
}

// ---- Manners ----

#[tokio::test]
async fn refusals_are_counted_and_a_denied_image_is_asked_for_once_the_next_time() {
    let registry = registry_with([(Place::Manifest, Act::denied())]);
    let prober = Prober::new(patient()).unwrap();
    let mut spent = Vec::new();
    for _ in 0..2 {
        let seen = probe(&prober, &registry.url(), Depth::Rehearse, 0).await;
        assert_failed(&seen, FailureKind::NotAllowed, Stage::Manifest);
        assert!(seen.failure().unwrap().detail.contains("DENIED: 🚫 这镜像不在白名单"), "{seen:?}");
        spent.push((seen.spent.requests, seen.spent.refusals));
    }
    assert_eq!(spent, [(4, 2), (3, 1)], "HEAD and GET, then GET alone");
    registry.heal();
    let seen = probe(&prober, &registry.url(), Depth::Rehearse, 0).await;
    assert_served(&seen);
    assert_eq!(registry.requests().last().map(|request| request.method.as_str()), Some("GET"));
    assert_eq!(seen.spent.requests, 7, "HEAD is asked again as soon as it may tell something");
}

#[tokio::test]
async fn a_host_that_is_banned_spends_no_more_refusals_than_its_budget_allows_a_rehearsal() {
    let broken = Act::Answer { status: 503, media_type: "text/plain", body: String::new() };
    for act in [Act::denied(), broken] {
        let registry = registry_with([(Place::Ping, act.clone()), (Place::Manifest, act)]);
        let prober = Prober::new(patient()).unwrap();
        for _ in 0..2 {
            let seen = probe(&prober, &registry.url(), Depth::Rehearse, 0).await;
            assert!(seen.failure().is_some_and(|failure| failure.stage == Stage::Manifest), "{seen:?}");
            assert_eq!((seen.spent.requests, seen.spent.refusals), (2, REHEARSAL.refusals));
        }
    }
}

#[tokio::test]
async fn a_mirror_says_how_long_it_wants_to_be_left_alone() {
    for (header, value, want) in [
        ("Retry-After", "120", Some(120)),
        ("X-Retry-After", "7", Some(7)),
        ("Retry-After", "Fri, 20 Nov 2026 12:01:00 GMT", Some(60)),
        ("Retry-After", "1000000", Some(86_400)),
        ("Retry-After", "when it suits you", None),
    ] {
        let registry = registry_with([
            (Place::Manifest, Act::rate_limited()),
            (Place::Manifest, Act::Header(header, value.to_owned())),
        ]);
        let seen = rehearse(patient(), &registry.url()).await;
        assert_failed(&seen, FailureKind::RateLimited, Stage::Manifest);
        assert_eq!(seen.retry_after, want.map(Duration::from_secs), "{header}: {value}");
        assert_eq!(
            (seen.spent.requests, seen.spent.refusals),
            (3, 1),
            "429 to HEAD is not asked again with GET"
        );
    }
}

#[tokio::test]
async fn of_a_layer_that_ignores_ranges_no_more_is_read_than_was_wanted() {
    let large = ImageSpec { layers: vec![12_000_000], ..ImageSpec::default() };
    let faults = vec![Fault::at(Place::Layer, Act::RangeIgnored)];
    let registry = Registry::start(Options { images: vec![large], faults, ..Options::default() });
    let prober = Prober::new(patient()).unwrap();
    let rehearsed = probe(&prober, &registry.url(), Depth::Rehearse, 0).await;
    assert!((MIB..MIB + 100 * KIB).contains(&rehearsed.spent.bytes), "{}", rehearsed.spent.bytes);
    let seen = sample(&prober, &registry.url(), &rehearsed, 3).await;
    assert_served(&seen);
    assert!(seen.spent.bytes < 80 * KIB, "{}", seen.spent.bytes);
    assert!(registry.sent() < 8 * MIB, "we hung up long before the end: {}", registry.sent());
}

#[tokio::test]
async fn an_image_with_a_large_config_costs_no_more_than_another() {
    let created = "x".repeat(500_000);
    let large = ImageSpec { layers: vec![3_000_000], created, ..ImageSpec::default() };
    let registry = Registry::start(Options { images: vec![large], ..Options::default() });
    let seen = probe(&Prober::new(patient()).unwrap(), &registry.url(), Depth::Rehearse, 0).await;
    assert_served(&seen);
    assert!(seen.bytes_per_second.is_some(), "{seen:?}");
    assert!((MIB..=REHEARSAL.bytes).contains(&seen.spent.bytes), "{}", seen.spent.bytes);
}

// ---- Hostile servers ----

#[tokio::test]
async fn a_hostile_server_is_cut_off_at_its_budget() {
    use Place::{Config, Everywhere, Get, Layer, Ping, Token};
    // Of a layer, one MiB is asked for and so may come.
    let cases: [(Place, Act, u64); 9] = [
        (Everywhere, Act::EndlessHead, 128),
        (Everywhere, Act::Interim, 128),
        (Ping, Act::Endless, 128),
        (Token, Act::Endless, 160),
        (Get, Act::Endless, 300),
        (Get, Act::Crumbs, 300),
        (Config, Act::Endless, 128),
        (Layer, Act::Endless, 1200),
        (Layer, Act::Crumbs, 1200),
    ];
    let prober = Prober::new(patient()).unwrap();
    for (place, act, most_kib) in cases {
        let registry = registry_with([(place, act.clone())]);
        let seen = probe(&prober, &registry.url(), Depth::Rehearse, 0).await;
        assert!(
            seen.spent.bytes < most_kib * KIB || place == Ping,
            "{place:?} {act:?}: {}",
            seen.spent.bytes
        );
        // What its kernel and ours hold between them comes in addition: it was sent, and never read.
        assert!(registry.sent() < 12 * MIB, "{place:?} {act:?}: {} sent", registry.sent());
    }
}

#[tokio::test]
async fn a_ping_without_end_is_not_read_at_all() {
    let registry = Registry::start(Options {
        token: false,
        faults: vec![Fault::at(Place::Ping, Act::Endless)],
        ..Options::default()
    });
    assert_served(&rehearse(patient(), &registry.url()).await);
}

#[tokio::test]
async fn what_a_server_says_is_safe_to_print() {
    let evil = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}gnp.exe\u{9b}31m\r\nroot#".to_owned() + &"A".repeat(500);
    let body = serde_json::json!({"errors": [{"code": "DENIED\u{1b}[5m", "message": evil}]}).to_string();
    for act in [
        Act::Answer { status: 403, media_type: "application/json", body },
        Act::Answer { status: 403, media_type: "text/plain", body: evil.clone() },
        Act::Answer { status: 200, media_type: "text/html", body: format!("<title>{evil}</title>") },
    ] {
        let registry = registry_with([(Place::Manifest, act)]);
        let seen = rehearse(patient(), &registry.url()).await;
        let detail = &seen.failure().unwrap().detail;
        let harmless = |c: char| !c.is_control() && !('\u{202a}'..='\u{202e}').contains(&c);
        assert!(detail.chars().all(harmless) && detail.len() <= 200, "{detail:?}");
        assert!(detail.contains("owned"), "{detail:?}");
    }
}

#[tokio::test]
async fn a_probe_that_is_slow_everywhere_ends_as_a_whole() {
    let late = Act::Late(Duration::from_millis(550));
    let registry = registry_with([(Place::Everywhere, late)]);
    let begin = Instant::now();
    let seen = rehearse(hasty(), &registry.url()).await;
    assert!(seen.failure().is_some(), "{seen:?}");
    assert!(begin.elapsed() < Duration::from_millis(4500), "{:?}", begin.elapsed());
}

// ---- The two stores ----

#[tokio::test]
async fn a_ping_that_fails_ends_it_for_the_classic_store_and_not_for_containerds() {
    let faults = vec![Fault::at(Place::Ping, Act::HangUp)];
    let registry = Registry::start(Options { faults, ..Options::default() });
    let classic = Settings { store: Some(ImageStore::Classic), ..patient() };
    let seen = rehearse(classic, &registry.url()).await;
    assert_failed(&seen, FailureKind::ConnectionLost, Stage::Ping);
    assert!(seen.quirks.is_empty(), "it fails, and is not unfit besides");
    let containerd = Settings { store: Some(ImageStore::Containerd), ..patient() };
    let seen = rehearse(containerd, &registry.url()).await;
    assert_served(&seen);
    assert_eq!(seen.quirks, BTreeSet::from([Quirk::PingFails]));
}

// ---- Setting up ----

#[tokio::test]
async fn a_setting_that_is_wrong_is_said_before_anything_is_asked() {
    let missing = Settings { ca_file: Some("/nonexistent/ca.pem".into()), ..Settings::default() };
    let error = Prober::new(missing).err().unwrap();
    assert!(matches!(error, SetupError::CaFile { .. }), "{error}");
    assert!(error.to_string().starts_with("/nonexistent/ca.pem: "), "{error}");
    let proxies = Proxies { http: Some("ftp://proxy".to_owned()), ..Proxies::default() };
    let error = Prober::new(Settings { proxies, ..Settings::default() }).err().unwrap();
    assert!(error.to_string().contains("hint:"), "{error}");
}
