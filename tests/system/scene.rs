//! A machine as somebody has it who runs Docker behind mirrors: three real registries on its loopback, an oddly
//! formatted daemon.json, a container that runs, and mirrorwatch as it is installed.

use std::env;
use std::fmt;
use std::fs;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::machine::Machine;

/// Odd on purpose: order, blanks, numbers and an escape that a rewrite would change.
pub(crate) const ODD: &str = "{\n\t\"log-opts\" : {\"max-size\":\"10m\"},\n\n   \"max-concurrent-downloads\": 4,\n  \"labels\": [\"a=\\u4e2d\"]   }";

/// Everything that takes minutes in life takes a second or so here. The budget is no matter of these tests.
const SETTINGS: &str = r#"
[schedule]
connect = "1s"
sample = "2s"
rehearse = "4s"
decide = "1s"
confirm = "200ms"
hold = "1s"

[budget]
requests_per_minute = 100000
requests_per_day = 1000000
refusals_per_2_days = 100000
bytes_per_day = "1024GiB"
total_bytes_per_day = "1024GiB"
reloads_per_day = 10000

[probe]
stall = "1s"
timeout = "3s"
connect_timeout = "1s"

# The mirrors are equally fast, and noise must not reorder them.
[select]
compare_upstream = false
margin = 0.9
"#;

/// The default schedule: a minute between two connects, ten between two samples.
pub(crate) const PATIENT: &str = "[select]\ncompare_upstream = false\nmargin = 0.9\n";

/// Debian's docker-registry, once for each port, all on the same files.
const REGISTRY: &str = "[Service]\nExecStart=/usr/bin/docker-registry serve /etc/registries/%i.yml\n[Install]\nWantedBy=multi-user.target\n";

/// Everything that is installed for systemd.
const UNITS: [&str; 4] =
    ["mirrorwatch.service", "mirrorwatch-apply.service", "mirrorwatch-apply.path", "mirrorwatch-apply.timer"];

/// The mirrors' ports.
const PORTS: [u16; 3] = [5001, 5002, 5003];

/// The container that must not notice anything. `sleep` as a first process does not hear SIGTERM.
const SLEEPER: &str = "docker run --detach --name=sleeper --network=none --restart=always --stop-timeout=0 own.example/sleep:1 /bin/sleep 86400";

/// The Debian suites that are tested: 12 always, and those that `MIRRORWATCH_TREES` names.
pub(crate) fn suites() -> Vec<String> {
    let more = env::var("MIRRORWATCH_TREES").unwrap_or_default();
    ["bookworm"].into_iter().chain(more.split_whitespace()).map(str::to_owned).collect()
}

/// The same with the store of images that dockerd can have since 24: containerd's.
pub(crate) fn containerd_store(daemon_json: &str) -> String {
    daemon_json.replacen('{', "{\"features\": {\"containerd-snapshotter\": true},", 1)
}

/// The three mirrors as mirrors.toml has them.
pub(crate) fn mirrors() -> String {
    PORTS
        .map(|port| format!("\n[[mirror]]\nname = \"m{port}\"\nurl = \"http://127.0.0.1:{port}\"\n"))
        .concat()
}

/// The machine, with mirrorwatch installed and not yet started.
pub(crate) struct Scene(Machine);

impl Scene {
    /// Docker runs with these bytes in its daemon.json.
    pub(crate) fn new(suite: &str, daemon_json: &str) -> Self {
        let scene = Self::bare(suite, daemon_json);
        scene.install();
        scene
    }

    /// The same, where nobody has heard of mirrorwatch yet.
    pub(crate) fn bare(suite: &str, daemon_json: &str) -> Self {
        let scene = Self(Machine::boot(suite));
        scene.put("/etc/docker/daemon.json", daemon_json.as_bytes(), "644");
        scene.put("/etc/systemd/system/registry@.service", REGISTRY.as_bytes(), "644");
        for port in PORTS {
            let config = format!(
                "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: /srv/registry}}}}\nhttp: {{addr: \"127.0.0.1:{port}\"}}\n"
            );
            scene.put(&format!("/etc/registries/{port}.yml"), config.as_bytes(), "644");
            scene.succeeds(&format!("systemctl enable --now registry@{port}"));
        }
        scene.succeeds("systemctl restart docker");
        scene.import("sleep", "own.example/sleep:1");
        scene.succeeds(SLEEPER);
        scene.fill_the_registries();
        scene
    }

    /// An image with one program and its libraries.
    fn import(&self, program: &str, image: &str) {
        self.succeeds(&format!(
            "tar -C / -ch $(ldd /bin/{program} | grep -o '/[^ ]*' | cut -c 2-) bin/{program} | docker import - {image}"
        ));
    }

    /// With an image that is larger than what a probe reads of it.
    fn fill_the_registries(&self) {
        let image = format!("127.0.0.1:{}/library/busybox:latest", PORTS[0]);
        self.wait("the registry", || {
            self.run(&format!("docker pull {image} 2>&1 | grep -E 'not found|unknown'")).status.success()
        });
        self.import("perl", &image);
        self.succeeds(&format!("docker push --quiet {image} && docker image rm {image}"));
    }

    fn install(&self) {
        let systemd = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
        self.put("/usr/bin/mirrorwatch", &fs::read(env!("CARGO_BIN_EXE_mirrorwatch")).unwrap(), "755");
        for name in UNITS {
            let unit = fs::read(systemd.join(name)).unwrap();
            self.put(&format!("/etc/systemd/system/{name}"), &unit, "644");
        }
        let users = fs::read(systemd.join("sysusers.d/mirrorwatch.conf")).unwrap();
        self.put("/usr/lib/sysusers.d/mirrorwatch.conf", &users, "644");
        self.succeeds("systemd-sysusers mirrorwatch.conf");
        self.put("/etc/mirrorwatch/mirrors.toml", format!("{SETTINGS}{}", mirrors()).as_bytes(), "644");
        self.succeeds("systemctl daemon-reload");
    }

    /// The same mirrors, by the default schedule.
    pub(crate) fn be_patient(&self) {
        let settings = format!("{PATIENT}{}", mirrors());
        self.put("/etc/mirrorwatch/mirrors.toml", settings.as_bytes(), "644");
    }

    /// The list that dockerd has, as ports. It starts docker, if that has stopped.
    pub(crate) fn list(&self) -> Vec<u16> {
        let list = self.succeeds("docker info --format '{{json .RegistryConfig.Mirrors}}'");
        let list: Option<Vec<String>> = serde_json::from_str(&list).unwrap();
        let port = |url: String| {
            url.strip_prefix("http://127.0.0.1:").unwrap().trim_end_matches('/').parse().unwrap()
        };
        list.unwrap_or_default().into_iter().map(port).collect()
    }

    /// Waits for a list that is as long as it can be, and gives it.
    pub(crate) fn wait_for_full_list(&self) -> Vec<u16> {
        self.wait("the full list", || self.list().len() == PORTS.len());
        self.list()
    }

    /// Ends the first mirror of the list, and waits until the list has none but the others.
    pub(crate) fn kill_the_leader(&self) -> (u16, Duration) {
        let leader = self.list()[0];
        self.succeeds(&format!("systemctl stop registry@{leader}"));
        let took = self.wait("a list without it", || {
            let list = self.list();
            list.len() == PORTS.len() - 1 && !list.contains(&leader)
        });
        (leader, took)
    }

    /// Pulls the image anew.
    pub(crate) fn pull(&self) {
        self.succeeds("docker pull --quiet busybox:latest && docker image rm busybox:latest");
    }

    /// Which dockerd this is, and which container: both must outlive whatever mirrorwatch does.
    pub(crate) fn lives(&self) -> String {
        let container = self.succeeds(
            "docker inspect --format '{{.State.Pid}} {{.State.StartedAt}} {{.RestartCount}}' sleeper",
        );
        format!("dockerd {}, container {container}", self.property("docker", "MainPID"))
    }

    /// How often systemd has reloaded docker since the boot.
    pub(crate) fn reloads(&self) -> usize {
        let journal = self.journal("docker");
        let [asked, done] =
            ["Reloading", "Reloaded"].map(|word| journal.matches(&format!("{word} docker.service")).count());
        assert_eq!(asked, done, "{journal}");
        done
    }

    /// What `mirrorwatch status` ends with.
    pub(crate) fn status_code(&self) -> Option<i32> {
        self.run("mirrorwatch status").status.code()
    }

    /// What `mirrorwatch status` prints for programs.
    pub(crate) fn status(&self) -> Value {
        serde_json::from_str(&self.succeeds("mirrorwatch status --json || true")).unwrap()
    }

    /// Waits until the mirror at this port is rejected.
    pub(crate) fn wait_for_rejection(&self, port: u16) {
        self.wait("the rejection", || {
            let status = self.status();
            let mirrors = status["mirrors"].as_array().unwrap();
            mirrors
                .iter()
                .any(|mirror| mirror["name"] == format!("m{port}") && mirror["verdict"] == "rejected")
        });
    }

    /// Waits until the service has published so many statuses more: it publishes after every probe.
    pub(crate) fn wait_for_probes(&self, count: usize) {
        let mut at = self.status()["generated_at"].clone();
        for _ in 0..count {
            self.wait("a new status", || self.status()["generated_at"] != at);
            at = self.status()["generated_at"].clone();
        }
    }

    /// dockerd's major version.
    pub(crate) fn major(&self) -> u32 {
        let version = self.succeeds("docker version --format '{{.Server.Version}}'");
        version.split('.').next().unwrap().parse().unwrap()
    }

    /// The bytes of daemon.json.
    pub(crate) fn daemon_json(&self) -> String {
        String::from_utf8(self.get("/etc/docker/daemon.json").unwrap()).unwrap()
    }

    /// Nothing was forbidden to the service that it tried to do.
    pub(crate) fn assert_nothing_was_forbidden(&self) {
        let journal = self.journal("mirrorwatch") + &self.journal("mirrorwatch-apply");
        for word in ["ermission denied", "not permitted", "ead-only file system", "oo many", "annot allocate"]
        {
            assert!(!journal.contains(word), "{word}:\n{journal}");
        }
    }
}

impl fmt::Debug for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Deref for Scene {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        &self.0
    }
}

impl DerefMut for Scene {
    fn deref_mut(&mut self) -> &mut Machine {
        &mut self.0
    }
}
