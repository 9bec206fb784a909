//! F14, F15: what `write` itself can do to us. strace can fail a call, and cannot make it do half its work.

use std::process::Command;

use crate::invariants::Before;
use crate::scene::{FILE, Said, Scene, output, said};

/// The host's C compiler is there, since cargo links with it.
fn disk(scene: &Scene) -> String {
    let library = scene.at("write.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/write.c");
    output(Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source));
    library.display().to_string()
}

fn on(disk: &str, scene: &Scene, arguments: &[&str], fault: &str) -> Said {
    let before = ["env", &format!("LD_PRELOAD={disk}"), &format!("FAULT={fault}")];
    said(&mut scene.command(&before, arguments))
}

#[test]
fn f15_short_and_interrupted_writes_make_whole_files() {
    let mut scene = Scene::new();
    let before = Before::of(&scene.daemon);
    let disk = disk(&scene);
    for fault in ["short", "interrupted"] {
        for which in [0, 1] {
            scene.want(which);
            let said = on(&disk, &scene, &["apply"], fault).ended(0, "In place");
            assert!(said.err.contains("injected"), "{said:?}");
            assert!(scene.has(which));
            before.i1_only_the_list_differs(&scene.daemon);
            scene.agrees();
        }
        on(&disk, &scene, &["restore"], fault).ended(0, "Restored");
        assert_eq!(scene.daemon.text().as_deref(), Some(FILE), "from a copy that was whole");
    }
    before.holds(&mut scene.daemon, 6);
}

#[test]
fn f14_a_write_that_fails_in_the_middle_leaves_file_and_dockerd_in_agreement() {
    let mut scene = Scene::new();
    let before = Before::with_container(&scene.daemon);
    let disk = disk(&scene);
    scene.apply().ended(0, "In place");
    let mut failures = 0;
    loop {
        scene.want(usize::from(scene.has(0)));
        let said = on(&disk, &scene, &["apply"], &(failures + 1).to_string());
        if !said.err.contains("injected") {
            said.ended(0, "In place");
            break;
        }
        failures += 1;
        assert!(said.code == Some(0) || said.code == Some(1), "{failures}: {said:?}");
        before.i1_only_the_list_differs(&scene.daemon);
        scene.recover();
        scene.agrees();
    }
    println!("{failures} writes failed");
    assert!(failures >= 3, "{failures}: the bytes from before, what is meant, and the file");
    before.holds(&mut scene.daemon, 4 * failures + 2);
}
