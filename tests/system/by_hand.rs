//! `run` by hand on a host that has systemd: what has to go round the kernel's word that it writes nowhere else.

use crate::scene::{ODD, Scene, suites};

#[test]
fn by_hand_it_is_confined_reloads_by_systemd_and_hears_in_the_journal_which_mirror_a_pull_left() {
    for suite in suites() {
        let scene = Scene::new(&suite, ODD);
        scene.be_patient();
        let by_hand = "mirrorwatch --state-dir /root/state --runtime-dir /run/byhand";
        scene.succeeds(&format!("systemd-run --quiet --unit=byhand {by_hand} -v run"));
        let list = scene.wait_for_full_list();
        assert!(scene.reloads() >= 1, "{suite}: systemd was asked: {}", scene.journal("docker"));
        let follows =
            "ls -l /proc/$(pgrep --parent $(systemctl show -P MainPID byhand) journalctl)/fd | grep inotify";
        scene.wait("the journal to be followed", || scene.run(follows).status.success());

        scene.succeeds(&format!("systemctl stop registry@{}", list[0]));
        scene.pull();
        scene.wait("the switch", || scene.list() == list[1..]);
        let said = scene.journal("byhand");
        assert!(said.contains("confined to /root/state and /run/byhand"), "{suite}: {said}");
        assert!(said.contains("a pull left this mirror"), "{suite}: {said}");
        // The thread that writes is.
        assert!(!said.contains("not confined") && !said.contains("is not listened to"), "{suite}: {said}");
        // Another process is another dockerd, whose socket, program and journal are looked for anew.
        scene.succeeds(&format!("systemctl start registry@{} && systemctl restart docker", list[0]));
        scene.succeeds(&format!("{by_hand} restore && {by_hand} resume"));
        scene.wait("the list again", || !scene.list().is_empty());
        scene.succeeds("systemctl stop byhand");
    }
}
