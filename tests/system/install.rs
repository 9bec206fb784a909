//! `install.sh` on a clean machine, from a checkout, without the package; and its undo.

use std::path::Path;
use std::process::Command;

use crate::scene::{ODD, Scene, mirrors, suites};

const MINE: &str = "/etc/mirrorwatch/mirrors.d/mine.toml";
const SETTINGS: &str = "/etc/mirrorwatch/mirrors.toml";

/// A checkout as it is after `cargo build --release`, with the program that is tested.
fn check_out(scene: &Scene) {
    let archive = Command::new("tar")
        .args(["--create", "--directory", env!("CARGO_MANIFEST_DIR")])
        .args(["install.sh", "systemd", "debian", "mirrors.toml"])
        .output()
        .unwrap();
    assert!(archive.status.success());
    scene.put("/root/mirrorwatch.tar", &archive.stdout, "644");
    scene
        .succeeds("mkdir /root/checkout && tar --extract --directory /root/checkout < /root/mirrorwatch.tar");
    let program = std::fs::read(Path::new(env!("CARGO_BIN_EXE_mirrorwatch"))).unwrap();
    scene.put("/root/checkout/target/release/mirrorwatch", &program, "755");
}

/// Every file outside the checkout that bears the name.
fn files(scene: &Scene) -> String {
    scene.succeeds("find / -xdev \\( -path /proc -o -path /sys -o -path /root -o -path /var/log -o -path /tmp \\) -prune -o -path '*mirrorwatch*' \\( -type f -o -type l \\) -print | sort")
}

#[test]
fn install_sh_brings_everything_and_takes_everything_away_again() {
    for suite in suites() {
        let scene = Scene::bare(&suite, ODD);
        let lives = scene.lives();
        check_out(&scene);
        scene.put(MINE, mirrors().as_bytes(), "644");

        scene.succeeds("/root/checkout/install.sh");
        let list = scene.wait_for_full_list();
        scene.wait("a healthy status", || scene.status_code() == Some(0));
        assert_eq!(scene.succeeds("systemctl is-enabled mirrorwatch"), "enabled", "{suite}");
        scene.succeeds("mirrorwatch check && test -s /usr/local/share/man/man5/mirrors.toml.5");
        println!("{suite}: install.sh: {list:?} is in place");
        again_it_changes_only_what_is_new(&scene);
        scene.assert_nothing_was_forbidden();

        let said = scene.succeeds("/root/checkout/install.sh --uninstall");
        assert!(said.contains("Restored what was there before mirrorwatch."), "{suite}: {said}");
        assert_eq!((&*scene.daemon_json(), scene.list()), (ODD, vec![]), "{suite}: byte for byte");
        assert_eq!(scene.lives(), lives, "{suite}");
        assert_eq!(scene.property("mirrorwatch", "LoadState"), "not-found", "{suite}");
        scene.succeeds("/root/checkout/install.sh --uninstall");

        // Docker is down: without the program there would be no way back, so it stays.
        scene.succeeds("/root/checkout/install.sh");
        scene.wait("the list", || !scene.list().is_empty());
        scene.succeeds("systemctl stop docker.socket docker.service");
        let said = scene.run("/root/checkout/install.sh --purge 2>&1");
        let said = (said.status.code(), String::from_utf8(said.stdout).unwrap());
        assert!(said.0 == Some(1) && said.1.contains("nothing more is taken away"), "{suite}: {said:?}");
        scene.succeeds("mirrorwatch --version && systemctl start docker");
        let lives_on = scene.lives();
        scene.succeeds("/root/checkout/install.sh --purge");
        assert_eq!((&*scene.daemon_json(), scene.list()), (ODD, vec![]), "{suite}");
        assert_eq!(files(&scene), MINE, "{suite}: what people wrote themselves is theirs");
        assert_eq!(scene.lives(), lives_on, "{suite}");
        assert_ne!(lives, lives_on, "{suite}: docker was stopped here, by us");
    }
}

fn again_it_changes_only_what_is_new(scene: &Scene) {
    let seen = |scene: &Scene| (scene.property("mirrorwatch", "MainPID"), scene.lives(), scene.reloads());
    let before = (seen(scene), files(scene));
    let said = scene.succeeds("/root/checkout/install.sh");
    assert!(said.contains("nothing has changed"), "{scene:?}: {said}");
    assert_eq!((seen(scene), files(scene)), before, "{scene:?}");

    // A later checkout, untouched settings: new candidates come.
    let candidate = |name: &str| {
        format!(
            "\\n[[mirror]]\\nname = \\\"{name}\\\"\\nurl = \\\"https://{name}.invalid\\\"\\ngroup = \\\"cn\\\"\\n"
        )
    };
    let shipped = "/root/checkout/mirrors.toml";
    scene.succeeds(&format!("printf \"{}\" >> {shipped} && /root/checkout/install.sh", candidate("second")));
    scene.succeeds(&format!("cmp {shipped} {SETTINGS}"));

    // Edited settings stay, and a service that somebody has stopped is not started.
    scene
        .succeeds(&format!("sed -i 's/^max = 3/max = 2/' {SETTINGS} && systemctl disable --now mirrorwatch"));
    let edited = scene.get(SETTINGS);
    scene.succeeds(&format!("printf \"{}\" >> {shipped}", candidate("third")));
    scene.succeeds("echo '# later' >> /root/checkout/systemd/mirrorwatch.service");
    let said = scene.succeeds("/root/checkout/install.sh");
    assert!(said.contains("is yours and stays"), "{scene:?}: {said}");
    assert_eq!(scene.get(SETTINGS), edited, "{scene:?}");
    scene.succeeds(&format!("cmp {shipped} {SETTINGS}.dist"));
    assert_eq!(scene.property("mirrorwatch", "ActiveState"), "inactive", "{scene:?}");
    assert_ne!(scene.run("systemctl is-enabled mirrorwatch").status.code(), Some(0), "{scene:?}");
    scene.succeeds("systemctl enable --now mirrorwatch");
    scene.wait("a list of two", || scene.list().len() == 2);
}
