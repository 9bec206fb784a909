//! A user with a Docker of their own, as Docker's installer makes it: RootlessKit, slirp4netns, a unit in the user's
//! systemd; and mirrorwatch beside it, as the same user.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::scene::{ODD, Scene, suites};

/// An address of the machine: through slirp4netns the machine's 127.0.0.1 is out of reach.
const ADDRESS: &str = "10.9.9.9";
const PORTS: [u16; 2] = [5010, 5011];

/// Odd on purpose. Nothing but vfs can lie upon the overlay that the machine's root is.
const OWN: &str = "{ \"storage-driver\":\"vfs\",\n\n   \"labels\" : [\"a=\\u4e2d\"] }";
/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

const FILE: &str = "/home/user/.config/docker/daemon.json";

/// The machine, and in it the user.
struct Own(Scene);

impl Own {
    fn new(suite: &str) -> Self {
        let scene = Scene::new(suite, ODD);
        scene.succeeds(&format!("ip address add {ADDRESS}/32 dev lo"));
        for port in PORTS {
            let config = format!(
                "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: /srv/registry}}}}\nhttp: {{addr: \"{ADDRESS}:{port}\"}}\n"
            );
            scene.put(&format!("/etc/registries/{port}.yml"), config.as_bytes(), "644");
            scene.succeeds(&format!("systemctl start registry@{port}"));
        }
        // docker-ce has them there, and they look for docker beside them.
        scene.succeeds("ln -s /usr/share/docker.io/contrib/dockerd-rootless*.sh /usr/bin/");
        // udev's part, which a machine like this one does not have.
        scene.succeeds("chmod 666 /dev/net/tun && useradd --create-home user && systemctl start user@1000");
        scene.wait("the user's systemd", || {
            scene.run("test -S /run/user/1000/systemd/private").status.success()
        });

        let settings = String::from_utf8(scene.get("/etc/mirrorwatch/mirrors.toml").unwrap()).unwrap();
        let (settings, _) = settings.split_once("[[mirror]]").unwrap();
        let mirrors = PORTS.map(|port| format!("[[mirror]]\nname = \"o{port}\"\nurl = \"{}\"\n", url(port)));
        let settings = format!("{settings}{}", mirrors.concat());
        scene.put("/home/user/.config/mirrorwatch/mirrors.toml", settings.as_bytes(), "644");
        scene.put(FILE, OWN.as_bytes(), "640");
        let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/user/mirrorwatch.service");
        scene.put("/usr/lib/systemd/user/mirrorwatch.service", &fs::read(unit).unwrap(), "644");
        scene.succeeds("chown -R user: /home/user");

        let own = Self(scene);
        own.succeeds("dockerd-rootless-setuptool.sh install --skip-iptables");
        own.wait("the user's dockerd", || own.run("docker info").status.success());
        own
    }

    /// As the user.
    fn run(&self, command: &str) -> Output {
        let quoted = command.replace('\'', r"'\''");
        self.0.run(&format!(
            "cd /home/user && exec setpriv --reuid=user --regid=user --init-groups env HOME=/home/user USER=user XDG_RUNTIME_DIR=/run/user/1000 DOCKER_HOST=unix:///run/user/1000/docker.sock PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -c '{quoted}'"
        ))
    }

    fn succeeds(&self, command: &str) -> String {
        let output = self.run(command);
        let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        assert!(
            output.status.success(),
            "{:?}: {command}: {}\n{out}\n{err}\n{}",
            self.0,
            output.status,
            self.log()
        );
        out.trim_end().to_owned()
    }

    /// Waits until it is so; otherwise says what this user's programs said.
    fn wait(&self, what: &str, done: impl Fn() -> bool) -> Duration {
        let start = Instant::now();
        while !done() {
            if start.elapsed() > PATIENCE {
                let status = self.run("mirrorwatch status");
                panic!("waited in vain for {what}: {status:?}\n{}", self.log());
            }
            sleep(Duration::from_millis(50));
        }
        start.elapsed()
    }

    /// What everything of this user has logged.
    fn log(&self) -> String {
        self.0.succeeds("journalctl --no-pager --boot --output=short-monotonic _UID=1000")
    }

    /// The list that the user's dockerd has.
    fn list(&self) -> Vec<String> {
        let list = self.succeeds("docker info --format '{{json .RegistryConfig.Mirrors}}'");
        let list: Option<Vec<String>> = serde_json::from_str(&list).unwrap();
        list.unwrap_or_default().iter().map(|url| url.trim_end_matches('/').to_owned()).collect()
    }

    fn file(&self) -> String {
        String::from_utf8(self.0.get(FILE).unwrap()).unwrap()
    }

    /// How often the user's systemd has reloaded the user's docker.
    fn reloads(&self) -> usize {
        self.log().matches("Reloaded docker.service").count()
    }

    fn main_pid(&self) -> String {
        self.succeeds("systemctl --user show --value --property=MainPID docker")
    }
}

fn url(port: u16) -> String {
    format!("http://{ADDRESS}:{port}")
}

#[test]
fn a_rootless_docker_is_kept_right_by_its_users_own_mirrorwatch_and_the_systems_is_left_alone() {
    for suite in suites() {
        let own = Own::new(&suite);
        let (lives, docker) = (own.0.lives(), own.main_pid());

        own.succeeds("systemctl --user enable --now mirrorwatch");
        own.wait("the list", || own.list().len() == 2);
        assert!(own.reloads() >= 1, "{suite}: its own systemd was asked: {}", own.log());
        own.wait("a healthy status", || own.run("mirrorwatch status").status.success());
        let list = own.list();
        println!("{suite}: {list:?} is in {FILE}");
        own.succeeds("docker pull --quiet busybox:latest && docker image rm busybox:latest");
        assert_eq!(own.0.succeeds(&format!("stat --format '%U %a' {FILE}")), "user 640", "{suite}");

        assert!(!own.run("docker pull --quiet busybox:nosuch").status.success(), "{suite}");
        let hears = || {
            let why = own.run("mirrorwatch why --json").stdout;
            String::from_utf8_lossy(&why).contains("\"absent\"")
        };
        own.wait("a word of that from the user's part of the journal", hears);
        let said = own.run("mirrorwatch why").stderr;
        let said = String::from_utf8_lossy(&said);
        assert!(
            said.contains("dockerd has a network of its own"),
            "{suite}: and what is not heard is said: {said}"
        );

        let leader = list[0].rsplit(':').next().unwrap();
        own.0.succeeds(&format!("systemctl stop registry@{leader}"));
        let took = own.wait("a list without it", || own.list() == list[1..]);
        println!("{suite}: {leader} dies: switched after {took:?}");
        own.succeeds("docker pull --quiet busybox:latest");

        own.succeeds("mirrorwatch restore");
        assert_eq!((own.file(), own.list()), (OWN.to_owned(), vec![]), "{suite}: byte for byte");
        own.succeeds("systemctl --user stop mirrorwatch");

        // By hand, without the service.
        own.succeeds("mirrorwatch resume; mirrorwatch apply");
        assert_eq!(own.list(), list[1..], "{suite}");
        own.succeeds("mirrorwatch restore --no-pause");
        assert_eq!((own.file(), own.list()), (OWN.to_owned(), vec![]), "{suite}: byte for byte");

        assert_eq!(own.main_pid(), docker, "{suite}: never restarted");
        assert_eq!((own.0.daemon_json(), own.0.list()), (ODD.to_owned(), vec![]), "{suite}: the system's");
        assert_eq!(own.0.lives(), lives, "{suite}");
        for word in ["ermission denied", "not permitted", "ead-only file system"] {
            let said = own.log();
            let said: Vec<_> =
                said.lines().filter(|line| line.contains("mirrorwatch[") && line.contains(word)).collect();
            assert!(said.is_empty(), "{suite}: {said:?}");
        }
    }
}
