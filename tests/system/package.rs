//! The Debian package on a clean machine: installed with dpkg alone, upgraded, removed, purged.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use serde_json::Value;

use crate::deb;
use crate::scene::{ODD, Scene, mirrors, suites};

/// What the user had before, and what must never be touched.
const MINE: &str = "/etc/mirrorwatch/mirrors.d/mine.toml";
const SETTINGS: &str = "/etc/mirrorwatch/mirrors.toml";

/// A candidate that a later package brings; nobody answers there.
fn with_candidate(name: &str) -> impl FnOnce(&Path) {
    move |sources| {
        let mut file = OpenOptions::new().append(true).open(sources.join("mirrors.toml")).unwrap();
        write!(file, "\n[[mirror]]\nname = \"{name}\"\nurl = \"https://{name}.invalid\"\ngroup = \"cn\"\n")
            .unwrap();
    }
}

/// The package in three versions.
struct Packages([Vec<u8>; 3]);

impl Packages {
    fn build() -> Self {
        Self([
            deb::shipped().unwrap_or_else(|| deb::build("0.1.0-1", |_| {})),
            deb::build("0.1.0-2", with_candidate("second")),
            deb::build("0.1.0-3", with_candidate("third")),
        ])
    }

    /// Puts them where dpkg finds them.
    fn bring(&self, scene: &Scene) {
        for (number, deb) in (1..).zip(&self.0) {
            scene.put(&format!("/root/{number}.deb"), deb, "644");
        }
    }
}

#[test]
fn the_package_alone_brings_everything_and_takes_everything_away_again() {
    let packages = Packages::build();
    for suite in suites() {
        let mut scene = Scene::bare(&suite, ODD);
        scene.put(MINE, mirrors().as_bytes(), "644");
        packages.bring(&scene);
        installed_it_works(&mut scene);
        upgraded_it_remembers(&scene);
        removed_it_leaves_what_was_there_before(&scene);
        purged_nothing_is_left(&scene);
    }
}

fn installed_it_works(scene: &mut Scene) {
    let lives = scene.lives();
    let said = scene.succeeds("dpkg -i /root/1.deb 2>&1");
    assert!(!said.contains("arning"), "{scene:?}: {said}");
    let list = scene.wait_for_full_list();
    scene.wait("a healthy status", || scene.status_code() == Some(0));
    assert_eq!(scene.succeeds("systemctl is-enabled mirrorwatch"), "enabled", "{scene:?}");
    assert_eq!(scene.succeeds("dpkg --verify mirrorwatch"), "", "{scene:?}");
    scene.succeeds("mirrorwatch check");
    // The one for a rootless Docker is there and valid, and nobody has started it.
    scene.succeeds("XDG_RUNTIME_DIR=/run systemd-analyze --user --man=no verify mirrorwatch.service");

    scene.succeeds(&format!("systemctl disable --now registry@{}", list[0]));
    scene.pull();
    let took = scene.wait("the switch", || scene.list() == list[1..]);
    println!("{scene:?}: installed by dpkg; the leader of {list:?} dies: switched {took:?} after a pull");
    assert!(scene.reloads() >= 2, "{scene:?}: {}", scene.journal("docker"));
    assert_eq!(scene.lives(), lives, "{scene:?}: dockerd and container have noticed nothing");

    let file = scene.daemon_json();
    scene.reboot();
    assert_eq!((scene.list(), scene.daemon_json()), (list[1..].to_vec(), file), "{scene:?}");
    scene.wait("a healthy status", || scene.status_code() == Some(0));
    scene.assert_nothing_was_forbidden();
}

/// What must be the same after an upgrade: the list, its bytes, what is remembered, who runs.
fn kept(scene: &Scene) -> (String, Value, usize, String, Option<Vec<u8>>) {
    let switches = scene.status()["switches"].clone();
    (scene.daemon_json(), switches, scene.reloads(), scene.lives(), scene.get(MINE))
}

/// What grows and must never begin anew: what was asked of each mirror today, and how many observations there are,
/// the first of which is.
struct Remembered {
    asked: BTreeMap<String, u64>,
    observations: usize,
    first: String,
}

impl Remembered {
    fn of(scene: &Scene) -> Self {
        let status = scene.status();
        let asked = status["mirrors"].as_array().unwrap().iter().map(|mirror| {
            let requests = mirror["budget"]["requests_today"].as_u64().unwrap_or_default();
            (mirror["url"].as_str().unwrap().to_owned(), requests)
        });
        let asked = asked.filter(|(_, requests)| *requests > 0).collect();
        let history: Value = serde_json::from_str(&scene.succeeds("mirrorwatch history --json")).unwrap();
        let observations = history["observations"].as_array().unwrap();
        let times = observations.iter().map(|observation| observation["at"].as_str().unwrap().to_owned());
        Self { asked, observations: observations.len(), first: times.min().unwrap() }
    }

    /// Nothing of it was lost since.
    fn is_kept(&self, scene: &Scene) {
        let now = Self::of(scene);
        assert_eq!(now.first, self.first, "{scene:?}: the first observation");
        assert!(
            now.observations >= self.observations,
            "{scene:?}: {} of {}",
            now.observations,
            self.observations
        );
        for (mirror, asked) in &self.asked {
            let now = now.asked.get(mirror).copied().unwrap_or_default();
            assert!(now >= *asked, "{scene:?}: {mirror}: {asked} requests are {now}");
        }
    }
}

fn upgraded_it_remembers(scene: &Scene) {
    let before = kept(scene);
    let remembered = Remembered::of(scene);
    assert_eq!(remembered.asked.len(), 3, "{scene:?}: {:?}", remembered.asked);
    assert_eq!(before.1.as_array().unwrap().len(), 2, "{scene:?}: two switches: {}", before.1);
    let process = scene.property("mirrorwatch", "MainPID");
    scene.succeeds("dpkg -i /root/2.deb");
    assert_ne!(scene.property("mirrorwatch", "MainPID"), process, "{scene:?}: the new program runs");
    scene.wait("a healthy status", || scene.status_code() == Some(0));
    scene.wait("the new candidate", || has_candidate(scene, "second"));
    assert_eq!(kept(scene), before, "{scene:?}");
    remembered.is_kept(scene);

    scene.succeeds(&format!("sed -i 's/^max = 3/max = 2/' {SETTINGS}"));
    let edited = scene.get(SETTINGS);
    scene.succeeds("dpkg --force-confold -i /root/3.deb");
    scene.wait("a healthy status", || scene.status_code() == Some(0));
    assert_eq!(scene.get(SETTINGS), edited, "{scene:?}: a file that was edited is its editor's");
    scene.succeeds(&format!("grep -q third {SETTINGS}.dpkg-dist"));
    assert!(!has_candidate(scene, "third"), "{scene:?}");
    assert_eq!(kept(scene), before, "{scene:?}");
    // The way back to an older one is no other.
    scene.succeeds("dpkg --force-confold -i /root/2.deb");
    scene.wait("a healthy status", || scene.status_code() == Some(0));
    assert_eq!((scene.get(SETTINGS), kept(scene)), (edited, before), "{scene:?}");
    remembered.is_kept(scene);
    scene.succeeds("mirrorwatch remove DaoCloud");
    scene.assert_nothing_was_forbidden();
}

fn has_candidate(scene: &Scene, name: &str) -> bool {
    scene.status()["mirrors"].as_array().unwrap().iter().any(|mirror| mirror["name"] == name)
}

fn removed_it_leaves_what_was_there_before(scene: &Scene) {
    let lives = scene.lives();
    let said = scene.succeeds("dpkg -r mirrorwatch 2>&1");
    println!("{scene:?}: {said}");
    assert!(said.contains("mirrorwatch: Restored what was there before mirrorwatch."), "{scene:?}: {said}");
    assert_eq!(scene.daemon_json(), ODD, "{scene:?}: byte for byte");
    assert!(scene.list().is_empty(), "{scene:?}");
    assert_eq!(scene.property("mirrorwatch", "LoadState"), "not-found", "{scene:?}");
    scene.succeeds("ls /var/lib/mirrorwatch/*");

    // Installed again it works again: the removal has left no pause behind.
    scene.succeeds("dpkg --force-confold -i /root/3.deb");
    scene.wait("the list", || scene.list().len() == 2);
    scene.succeeds("dpkg -r mirrorwatch");
    assert_eq!(
        (scene.daemon_json(), scene.list(), scene.lives()),
        (ODD.to_owned(), vec![], lives),
        "{scene:?}"
    );
}

fn purged_nothing_is_left(scene: &Scene) {
    let lives = scene.lives();
    scene.succeeds("dpkg -P mirrorwatch");
    let left = scene.succeeds(
        "find / -xdev \\( -path /proc -o -path /sys -o -path /root -o -path /var/log \\) -prune -o -name '*mirrorwatch*' -print; \
         find /run /etc/mirrorwatch -name '*mirrorwatch*' -o -path '/etc/mirrorwatch/*' -type f",
    );
    // What people wrote themselves is theirs.
    let left: Vec<&str> = left.lines().filter(|path| !path.starts_with("/run/systemd")).collect();
    assert_eq!(left, ["/etc/mirrorwatch", "/etc/mirrorwatch", MINE], "{scene:?}");
    assert_eq!(
        (scene.daemon_json(), scene.list(), scene.lives()),
        (ODD.to_owned(), vec![], lives),
        "{scene:?}"
    );
}

#[test]
fn the_package_can_always_be_removed() {
    let package = deb::build("0.1.0-1", |_| {});
    for suite in suites() {
        let scene = Scene::bare(&suite, ODD);
        let lives = scene.lives();
        scene.put("/root/1.deb", &package, "644");

        // Docker was never touched: no mirror can be reached from here.
        scene.succeeds("dpkg -i /root/1.deb");
        scene.wait("a first status", || scene.run("test -e /run/mirrorwatch/status.json").status.success());
        let said = scene.succeeds("dpkg -r mirrorwatch 2>&1");
        assert!(
            said.contains("mirrorwatch: nothing was ever written to the engine's file"),
            "{suite}: {said}"
        );
        assert_eq!((scene.daemon_json(), scene.lives()), (ODD.to_owned(), lives), "{suite}");

        // Docker is down.
        scene.put(MINE, mirrors().as_bytes(), "644");
        scene.succeeds("dpkg -i /root/1.deb");
        scene.wait_for_full_list();
        scene.succeeds("systemctl stop docker.socket docker.service");
        let said = scene.succeeds("dpkg -r mirrorwatch 2>&1");
        println!("{suite}: {said}");
        assert!(said.contains("could not be put back, and stays as it is"), "{suite}: {said}");
        // What it says of where the old list lies is so.
        let place =
            said.split("what was there before lies in ").nth(1).and_then(|rest| rest.split(' ').next());
        let kept = scene.succeeds(&format!("grep -rlF max-concurrent-downloads {}", place.unwrap()));
        assert!(kept.contains("/engines/docker/"), "{suite}: {kept}");
        assert_eq!(scene.property("docker", "ActiveState"), "inactive", "{suite}");

        // The way that it names works.
        scene.succeeds("systemctl start docker && dpkg -i /root/1.deb && dpkg -r mirrorwatch");
        assert_eq!((&*scene.daemon_json(), scene.list()), (ODD, vec![]), "{suite}");
        only_a_directory_that_it_made_is_taken_away(&scene);
    }
}

/// `/etc/docker` is Docker's, unless nothing but the package has ever made it.
fn only_a_directory_that_it_made_is_taken_away(scene: &Scene) {
    let comes_and_goes = "dpkg -i /root/1.deb && test -d /etc/docker && dpkg -P mirrorwatch";
    scene.succeeds("systemctl stop docker.socket docker.service && dpkg -P mirrorwatch && rm -r /etc/docker");
    scene.succeeds(&format!("{comes_and_goes} && test -d /etc/docker # Debian's packages of Docker have it"));
    scene.succeeds("sed -i '/^\\/etc\\/docker/d' /var/lib/dpkg/info/docker*.list");
    scene.succeeds(&format!("{comes_and_goes} && test -d /etc/docker # it was there before"));
    scene.succeeds(&format!("rmdir /etc/docker && {comes_and_goes} && test ! -e /etc/docker"));
}
