//! The main job in half a minute: no root, no Docker, no network.
//!
//! Eight mirrors on loopback of which six are broken, each in a way of its own, a stand-in for dockerd with a scratch
//! daemon.json, and the real daemon on a short schedule. The leader is killed on the way, and comes back.
//!
//! `cargo run --release --example demo`

#![expect(clippy::print_stdout, reason = "the demo's purpose is what it prints")]

#[path = "../../tests/host/engine.rs"]
mod engine;
#[path = "../../tests/support/mod.rs"]
#[expect(dead_code, reason = "the fakes are shared by several tests, and each uses a part")]
mod support;

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};
use std::{fs, thread};

use anstream::AutoStream;
use mirrorwatch::daemon::{self, Places};
use mirrorwatch::file;
use mirrorwatch::status::text::{Span, View, mirrors};
use mirrorwatch::status::{EngineState, Mirror, Status, Switch};
use mirrorwatch::text::Lang;

use engine::Engine;
use support::content::ImageSpec;
use support::fault::{Act, Fault, Place};
use support::registry::{Options, Registry};

type Anyhow<T> = Result<T, Box<dyn Error>>;

const BEFORE: &str = "{\n  \"log-driver\": \"json-file\",\n  \"log-opts\": { \"max-size\": \"10m\" }\n}\n";

const SCHEDULE: &str = "
[probe]
learn_images = false
proxy = \"none\"
connect_timeout = \"1s\"
timeout = \"2s\"
stall = \"1s\"

[schedule]
connect = \"1s\"
sample = \"2s\"
rehearse = \"4s\"
decide = \"1s\"
confirm = \"200ms\"
hold = \"5s\"

[budget]
requests_per_minute = 10000
requests_per_day = 100000
refusals_per_2_days = 10000
bytes_per_day = \"100GiB\"
total_bytes_per_day = \"100GiB\"
reloads_per_day = 1000

[select]
compare_upstream = false
";

/// So long one looks at a table.
const LOOK: Duration = Duration::from_secs(3);

/// Longer than any step takes; a demo that hangs tells nobody anything.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> Anyhow<()> {
    let place = tempfile::Builder::new().prefix("mirrorwatch-demo-").tempdir()?;
    let cast = Cast::new();
    let engine = Engine::start(place.path(), Some(BEFORE));
    let config = place.path().join("mirrors.toml");
    file::replace(&config, cast.config(&engine).as_bytes(), None)?;
    let places = Places {
        config,
        state: place.path().join("state"),
        runtime: place.path().join("run"),
        unprivileged: false,
        // What it starts is in this process.
        confined: false,
    };
    let runtime_dir = places.runtime.clone();

    say(
        "Eight mirrors on loopback, a scratch daemon.json, and the real daemon. What Docker's file says now:",
    );
    println!("{BEFORE}");
    let daemon = thread::spawn(move || -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        runtime.block_on(daemon::run(places)).map_err(|error| error.to_string())
    });
    let mut audience = Audience { runtime_dir, told: 0, started: Instant::now() };

    audience.wait("the first list", |status| in_place(status, &["fast", "slow"]))?;
    thread::sleep(LOOK);
    audience.show("Everybody was asked as `docker pull` would ask:")?;

    say("Now the leader dies.");
    cast.fast().stop();
    audience.wait("a list without it", |status| in_place(status, &["slow"]))?;
    audience.show("Nobody restarted Docker; it was told to read its file again:")?;
    thread::sleep(LOOK);

    say("The leader comes back. It must prove itself before it leads again.");
    cast.fast().start_again();
    audience.wait("the leader's return", |status| in_place(status, &["fast", "slow"]))?;

    thread::sleep(LOOK);
    say("The second one stalls in the middle of a layer: connected, and silent.");
    cast.named("slow").set_fault(Fault::at(Place::Layer, Act::Stall { after: 1000 }));
    audience.wait("a list without it", |status| in_place(status, &["fast"]))?;
    audience.show("In the end:")?;

    let after = fs::read_to_string(engine.file())?;
    say("What changed in Docker's file, and nothing else did:");
    println!("{}", similar::TextDiff::from_lines(BEFORE, &after).unified_diff().header("before", "after"));
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM)?;
    daemon.join().map_err(|_| "the daemon panicked")??;
    say(&format!(
        "Done after {:.0} s. Nothing of it is left behind.",
        audience.started.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// The eight mirrors.
struct Cast(Vec<(&'static str, Registry)>);

impl Cast {
    fn new() -> Self {
        // Created long ago, so that who serves another digest is stale and not merely early.
        let image = ImageSpec { layers: vec![4_000_000], ..ImageSpec::default() };
        let with = |speed: u64, latency: u64, faults: Vec<Fault>| {
            Registry::start(Options {
                images: vec![image.clone()],
                speed: Some(speed),
                latency: Duration::from_millis(latency),
                faults,
                ..Options::default()
            })
        };
        let dead = with(1_000_000, 1, Vec::new());
        dead.stop();
        Self(vec![
            ("fast", with(30_000_000, 2, Vec::new())),
            ("slow", with(6_000_000, 5, Vec::new())),
            ("stalls", with(30_000_000, 1, vec![Fault::at(Place::Layer, Act::Stall { after: 1000 })])),
            ("allowlist", with(30_000_000, 1, vec![Fault::at(Place::Manifest, Act::denied())])),
            ("limited", with(30_000_000, 1, vec![Fault::everywhere(Act::rate_limited())])),
            ("web page", with(30_000_000, 1, vec![Fault::everywhere(Act::web_page())])),
            ("old tag", with(30_000_000, 1, vec![Fault::at(Place::Manifest, Act::OldTag)])),
            ("dead", dead),
        ])
    }

    fn fast(&self) -> &Registry {
        self.named("fast")
    }

    fn named(&self, name: &str) -> &Registry {
        let found = self.0.iter().find(|(known, _)| *known == name);
        &found.expect("the cast is known").1
    }

    fn config(&self, engine: &Engine) -> String {
        let mirrors = self
            .0
            .iter()
            .map(|(name, mirror)| format!("\n[[mirror]]\nname = \"{name}\"\nurl = \"{}\"\n", mirror.url()));
        format!(
            "{SCHEDULE}\n[engine.docker]\nenabled = true\nconfig_file = \"{}\"\nsocket = \"{}\"\nreload = {}\n{}",
            engine.file().display(),
            engine.socket().display(),
            engine.reload_command(),
            mirrors.collect::<String>()
        )
    }
}

/// Whoever looks on: prints what the daemon publishes.
struct Audience {
    runtime_dir: std::path::PathBuf,
    /// How many switches have been printed.
    told: usize,
    started: Instant,
}

impl Audience {
    /// Waits until the published status is so, and prints every switch on the way.
    fn wait(&mut self, what: &str, done: impl Fn(&Status) -> bool) -> Anyhow<()> {
        let start = Instant::now();
        loop {
            if let Ok(status) = Status::read(&self.runtime_dir, Path::new("/nonexistent")) {
                self.tell(&status);
                if done(&status) {
                    return Ok(());
                }
            }
            if start.elapsed() > PATIENCE {
                return Err(format!("waited in vain for {what}").into());
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn tell(&mut self, status: &Status) {
        let new = status.switches.len().saturating_sub(self.told);
        for switch in status.switches.iter().take(new).rev() {
            let names = |urls: &[String]| {
                let name = |url: &String| {
                    let known =
                        status.mirrors.iter().find(|mirror| mirror.url.as_str() == url.trim_end_matches('/'));
                    known.map_or_else(|| url.clone(), |mirror| mirror.name.clone())
                };
                if urls.is_empty() {
                    "nothing".to_owned()
                } else {
                    urls.iter().map(name).collect::<Vec<_>>().join(" > ")
                }
            };
            let Switch { from, to, why, .. } = switch;
            let seconds = self.started.elapsed().as_secs_f64();
            println!("{seconds:5.1} s  {} -> {}\n         because {why}", names(from), names(to));
        }
        self.told = status.switches.len();
    }

    /// The table of `mirrorwatch status`.
    fn show(&self, title: &str) -> Anyhow<()> {
        let status = Status::read(&self.runtime_dir, Path::new("/nonexistent"))?;
        say(title);
        let rows: Vec<&Mirror> = status.mirrors.iter().collect();
        let color = AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never;
        let now = now().into();
        let view = View {
            lang: Lang::En,
            width: None,
            color,
            all: true,
            legend: false,
            now,
            span: Span::Days,
            network: None,
        };
        println!("{}", mirrors(&rows, &view));
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "the demo is wiring: here time enters")]
fn now() -> SystemTime {
    SystemTime::now()
}

fn in_place(status: &Status, names: &[&str]) -> bool {
    let selected: Vec<&str> = status.selected().into_iter().map(|mirror| &*mirror.name).collect();
    let engine = status.engines.first();
    selected == names && engine.is_some_and(|engine| engine.state == EngineState::InPlace)
}

fn say(text: &str) {
    println!("\n== {text}");
}
