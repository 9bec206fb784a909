//! D3: a pid that is given anew, in a namespace in which the test says which one is next.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::namespace::is_inside;
use crate::scene::{FILE, Scene};

/// Another program of the same name, with this pid.
fn impostor(scene: &Scene, pid: i32) -> Child {
    let program = scene.at("dockerd");
    if !program.exists() {
        fs::copy("/bin/sleep", &program).unwrap();
    }
    for _ in 0..1000 {
        let mut last = fs::File::options().write(true).open("/proc/sys/kernel/ns_last_pid").unwrap();
        std::io::Write::write_all(&mut last, (pid - 1).to_string().as_bytes()).unwrap();
        let mut child = Command::new(&program).arg("3600").spawn().unwrap();
        if i32::try_from(child.id()).unwrap() == pid {
            return child;
        }
        // Something else came between.
        child.kill().unwrap();
        child.wait().unwrap();
    }
    panic!("{pid} is not to be had");
}

/// Whoever has the pid now would die of a signal.
#[test]
fn d3_a_pid_that_was_given_to_another_program_of_the_same_name_is_not_signalled() {
    let pids = ["--pid", "--fork", "--kill-child", "--mount-proc"];
    if !is_inside(&pids, "pids::d3_a_pid_that_was_given_to_another_program_of_the_same_name_is_not_signalled")
    {
        return;
    }
    // Both have their numbers on every architecture.
    for (call, number, words) in [
        ("pidfd_open", "434 ", "it is not the process any more that it was"),
        ("pidfd_send_signal", "424 ", "No such process"),
    ] {
        let mut scene = Scene::new();
        let pid = scene.daemon.pid();
        let (trace, delay) = (format!("trace={call}"), format!("inject={call}:delay_enter=5000000"));
        let log = scene.at("strace").display().to_string();
        let before = ["strace", "-f", "-qq", "-o", &log, "-e", &trace, "-e", &delay];
        let mut command = scene.command(&before, &["apply"]);
        let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        scene.wait("the signal's door", || {
            scene.traced().is_some_and(|pid| is_in(pid, number))
                && scene.daemon.text().as_deref() != Some(FILE)
        });
        scene.daemon.signal(Signal::KILL);
        while scene.daemon.lives() {
            std::thread::sleep(Duration::from_millis(2));
        }
        let mut other = impostor(&scene, pid);
        let output = run.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("dockerd (pid {pid}): cannot be sent SIGHUP: {words}")), "{said}");
        assert_eq!(other.try_wait().unwrap(), None, "{call}: the other program was signalled");
        other.kill().unwrap();
        other.wait().unwrap();
        assert_eq!((scene.daemon.text().as_deref(), scene.left()), (Some(FILE), vec![]));
    }
}

/// Whether a thread of this process is in the system call of this number.
fn is_in(pid: i32, number: &str) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks
        .filter_map(|task| fs::read_to_string(task.path().join("syscall")).ok())
        .any(|call| call.starts_with(number))
}
