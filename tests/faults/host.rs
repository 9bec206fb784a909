//! H: what the host does to us, and others on it.

use std::fs;
use std::io::{self, Read, Write};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mirrorwatch::file;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::invariants::{Before, i5_resources};
use crate::scene::{FILE, Scene, said};

#[test]
fn h1_a_signal_in_the_middle_of_an_apply_waits_until_it_is_done() {
    let mut scene = Scene::new();
    let before = Before::of(&scene.daemon);
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        scene.want(usize::from(scene.has(0)));
        let text = scene.daemon.text();
        std::thread::scope(|scope| {
            let sender = scope.spawn(|| {
                // From the exchange on the file is the new one, and dockerd does not know it yet.
                let start = Instant::now();
                while scene.daemon.text() == text {
                    assert!(start.elapsed() < Duration::from_secs(60));
                    std::thread::sleep(Duration::from_millis(1));
                }
                let pid = scene.traced().expect("it is still at it");
                kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
            });
            let said = scene.run_with(&["apply"], "renameat2", "delay_exit=300000");
            sender.join().unwrap();
            said.ended(0, "In place");
        });
        scene.agrees();
    }
    before.holds(&mut scene.daemon, 3);
}

#[test]
fn h4_h5_without_memory_or_descriptors_file_and_dockerd_agree() {
    let mut scene = Scene::new();
    let before = Before::of(&scene.daemon);
    let mut short = 0;
    let limits = (4..24).map(|files| format!("--nofile={files}"));
    let limits = limits.chain((1..10).map(|step| format!("--as={}", step * 8_000_000)));
    for limit in limits {
        scene.want(usize::from(scene.has(0)));
        let said = said(&mut scene.command(&["prlimit", &limit], &["apply"]));
        short += usize::from(said.code != Some(0));
        before.i1_only_the_list_differs(&scene.daemon);
        scene.recover();
        scene.agrees();
    }
    assert!(short > 5, "{short} were short of something");
    scene.apply().ended(0, "");
    before.holds(&mut scene.daemon, 120);
}

#[test]
fn h7_many_at_once_queue_or_say_who_is_at_it() {
    let mut scene = Scene::new();
    let before = Before::of(&scene.daemon);
    let mut children = Vec::new();
    for _ in 0..30 {
        let mut command = scene.command(&[], &["apply"]);
        children.push(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    }
    let mut in_place = 0;
    for child in children {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(0) => in_place += 1,
            Some(1) => assert!(text.contains("another mirrorwatch is applying right now"), "{text}"),
            other => panic!("{other:?}: {text}"),
        }
    }
    assert!(in_place > 0);
    scene.agrees();
    before.holds(&mut scene.daemon, 1);
}

/// Another program adds keys of its own all the time, each as a whole new file. Every one of them stays.
#[test]
fn h8_no_edit_of_another_program_is_lost() {
    let mut scene = Scene::new();
    let before = Before::of(&scene.daemon);
    scene.want(1);
    scene.apply().ended(0, "In place");
    let (path, end) = (scene.daemon.file(), scene.at("end"));
    let made = Arc::new(AtomicU64::new(0));
    let writer = std::thread::spawn({
        let (end, made) = (end.clone(), Arc::clone(&made));
        move || {
            let mut edits = 0_u64;
            while !end.exists() {
                made.store(edits, Ordering::SeqCst);
                // As a careful program does it: compare and swap, of a key that no reload looks at.
                let read = file::read(&path).unwrap();
                let text = String::from_utf8(read.bytes().unwrap().to_vec()).unwrap();
                let old = format!("\"mtu\": {edits},");
                let new = format!("\"mtu\": {},", edits + 1);
                let edit = match edits {
                    0 => text.replacen('{', &format!("{{{new}"), 1),
                    _ => text.replacen(&old, &new, 1),
                };
                assert_ne!(edit, text, "an edit of theirs was lost: {text}");
                if file::replace(&path, edit.as_bytes(), Some(&read)).is_ok() {
                    edits += 1;
                }
                std::thread::sleep(Duration::from_millis(edits * 37 % 150));
            }
            edits
        }
    });
    // As long as it takes for both to have had their way some times, whoever is the faster here.
    let (mut applied, mut turn) = (0, 0);
    while turn < 12 || (turn < 500 && (applied <= 3 || made.load(Ordering::SeqCst) <= 10)) {
        scene.want(turn % 2);
        applied += usize::from(scene.apply().code == Some(0));
        turn += 1;
    }
    fs::File::create_new(&end).unwrap();
    let edits = writer.join().unwrap();
    let text = scene.daemon.text().unwrap();
    assert!(text.contains(&format!("\"mtu\": {edits},")), "{text}");
    assert!(edits > 10 && applied > 3, "{edits} edits, {applied} applied");
    let theirs = format!("\"mtu\": {edits},");
    scene.daemon.write(&text.replacen(&theirs, "", 1));
    before.i1_only_the_list_differs(&scene.daemon);
    scene.apply().ended(0, "");
    scene.agrees();
    before.holds(&mut scene.daemon, 60);
}

#[test]
fn h10_a_damaged_journal_is_put_aside_and_said() {
    let mut scene = Scene::new();
    let before = Before::of(&scene.daemon);
    scene.apply().ended(0, "In place");
    let journal = scene.at("state/engines/docker");
    let name = |suffix: &str| {
        let flat = scene.daemon.file().display().to_string().replace('/', "%");
        journal.join(format!("{flat}.{suffix}"))
    };
    let text = scene.daemon.text();
    for damaged in
        ["", "\u{0}\u{0}\u{0}", "{\"schema\": 99}", "[1, 2", "{\"schema\":1,\"file\":\"/etc/passwd\"}"]
    {
        file::replace(&name("intent"), damaged.as_bytes(), None).unwrap();
        scene.apply().ended(0, "is damaged; nothing was touched");
        assert_eq!(scene.daemon.text(), text);
        assert!(name("damaged").exists());
    }
    // What was accepted last is only a help.
    file::replace(&name("accepted"), b"\xff", None).unwrap();
    scene.want(1);
    scene.apply().ended(0, "In place");
    scene.agrees();
    before.holds(&mut scene.daemon, 2);
}

/// What an apply that died left behind is settled by the next command, whatever happened in between.
#[test]
fn h2_what_somebody_wrote_after_a_crash_stays() {
    let mut scene = Scene::new();
    let died = |scene: &Scene| {
        scene.want(usize::from(scene.has(0)));
        // Right before the signal: the file is the new one, and dockerd has the old list.
        let said = scene.run_with(&["apply"], "pidfd_open", "signal=KILL:when=1");
        assert_eq!(said.code, None);
        assert_eq!(scene.left().len(), 2, "{:?}", scene.left());
    };
    died(&scene);
    let theirs = "{\"mtu\": 1400, \"registry-mirrors\": [\"https://theirs.example\"]}";
    scene.daemon.write(theirs);
    scene.run(&["apply", "--with-pending"]).ended(0, "somebody else has written the file since");
    let ours = theirs.replace("https://theirs.example", &scene.url(usize::from(!scene.has(0))));
    assert_eq!(scene.daemon.text().as_deref(), Some(&*ours));

    scene.daemon.write(FILE);
    scene.daemon.reload();
    died(&scene);
    scene.run(&["apply", "--lang", "zh"]).ended(0, "引擎没有采用");
    scene.agrees();
    assert!(scene.daemon.lives());
}

#[test]
fn h11_a_closed_or_full_output_stops_no_apply() {
    let mut scene = Scene::new();
    let before = Before::of(&scene.daemon);
    for shell in ["exec \"$0\" apply >&- 2>&-", "exec \"$0\" apply >/dev/full 2>/dev/full"] {
        scene.want(usize::from(scene.has(0)));
        let wanted = usize::from(scene.has(0));
        let program = env!("CARGO_BIN_EXE_mirrorwatch");
        let mut command = scene.command(&["sh", "-c", shell], &[]);
        assert_eq!(command.get_args().last().unwrap(), program);
        command.status().unwrap();
        assert!(scene.has(wanted), "{shell}");
        scene.agrees();
    }
    before.holds(&mut scene.daemon, 2);
}

#[test]
fn h11_a_full_output_that_nobody_reads_holds_up_no_service() {
    let mut scene = Scene::new();
    let before = Before::of(&scene.daemon);
    let (mut reader, mut output) = io::pipe().unwrap();
    let waits = fcntl_getfl(&output).unwrap();
    fcntl_setfl(&output, waits | OFlags::NONBLOCK).unwrap();
    let mut filled = 0;
    while let Ok(more) = output.write(&[b'.'; 512]) {
        filled += more;
    }
    // The service gets it as a shell would give it.
    fcntl_setfl(&output, waits).unwrap();
    scene.want_soon(0);
    let mut service = scene.serve_and_log_to(output);
    for which in [0, 1] {
        scene.want_soon(which);
        scene.wait("the list", || scene.has(which));
        scene.wait("a status that says so", || {
            let status = scene.status();
            status["engines"][0]["state"] == "in_place"
                && status["engines"][0]["mirrors"] == json!([scene.url(which)])
        });
    }
    // What it says to whoever reads again.
    reader.read_exact(&mut vec![0; filled]).unwrap();
    assert_eq!(service.end(), Some(0));
    let said = io::read_to_string(reader).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines.len() >= 2 && lines[0].starts_with("... ") && lines[0].contains("are missing"), "{said}");
    assert!(lines.last().unwrap().ends_with("stopped"), "{said}");
    scene.agrees();
    before.holds(&mut scene.daemon, 2);
}

/// I5: the service, after many changes, holds what it held after the first.
#[test]
fn i5_many_changes_leave_no_descriptor_no_thread_and_little_memory() {
    let scene = Scene::new();
    scene.want_soon(0);
    let mut service = scene.serve();
    let want = |which: usize| scene.want_soon(which);
    let wait = |which: usize| scene.wait("the list", || scene.has(which));
    wait(0);
    want(1);
    wait(1);
    std::thread::sleep(Duration::from_millis(300));
    let (files, threads, _) = i5_resources(service.pid());
    for turn in 0..10 {
        want(turn % 2);
        wait(turn % 2);
    }
    std::thread::sleep(Duration::from_millis(300));
    let (files_now, threads_now, rss) = i5_resources(service.pid());
    assert_eq!(service.end(), Some(0));
    // A probe that is under way has a socket and perhaps two.
    assert!(files_now <= files + 3 && threads_now <= threads, "{files} {files_now}, {threads} {threads_now}");
    assert!(rss < 64 << 10, "{rss} KiB");
    scene.agrees();
}
