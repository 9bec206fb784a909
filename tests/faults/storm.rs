//! Kills, foreign edits and power losses in numbers: a few in the suite, thousands in `cargo bench --bench kills`.
//!
//! What is done again and again is `restore --to`, which undoes the last write: it goes the whole way of an apply,
//! without a round of probes in front. A violation ends the run with a panic.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use mirrorwatch::file;
use rustix::process::{Pid, Signal, kill_process};

use crate::invariants::Before;
use crate::scene::{Scene, output};

/// Numbers that differ from each other and are the same in every run.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Two generations, so that each write can be undone.
fn prepare(scene: &Scene) {
    for which in [0, 1] {
        scene.want(which);
        scene.apply().ended(0, "");
    }
}

fn toggle(scene: &Scene) -> Command {
    toggle_with(scene, &[])
}

/// The same, under another program.
fn toggle_with(scene: &Scene, under: &[&str]) -> Command {
    let names = fs::read_dir(scene.state().join("engines/docker")).unwrap().flatten();
    let number = |name: &str| name.rsplit_once(".gen.")?.1.parse::<u64>().ok();
    let last = names.filter_map(|entry| number(entry.file_name().to_str()?)).max().unwrap();
    let mut command = scene.command(under, &["restore", "--to", &last.to_string()]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// How long one takes, undisturbed.
fn duration(scene: &Scene) -> Duration {
    let start = Instant::now();
    for _ in 0..4 {
        assert!(toggle(scene).status().unwrap().success());
    }
    start.elapsed() / 4
}

/// H2: kills at random instants, four of five of them after the program has written down what it means to do: before
/// that it changes nothing. Returns how many hit it there.
pub(crate) fn kills(count: usize) -> usize {
    let mut scene = Scene::new();
    let before = Before::of(&scene.daemon);
    prepare(&scene);
    let micros = u64::try_from(duration(&scene).as_micros()).unwrap();
    let (mut dice, mut hits) = (Dice::new(), 0);
    for _ in 0..count {
        let mut child = toggle(&scene).spawn().unwrap();
        let early = dice.below(5) == 0;
        while !early && !scene.has_intent() && child.try_wait().unwrap().is_none() {
            sleep(Duration::from_micros(100));
        }
        // From there on it is a quarter of the way.
        sleep(Duration::from_micros(dice.below(if early { micros } else { micros / 4 })));
        let meant = scene.has_intent();
        child.kill().unwrap();
        hits += usize::from(meant && child.wait().unwrap().code().is_none());
        child.wait().unwrap();
        before.i1_only_the_list_differs(&scene.daemon);
        scene.recover();
        scene.agrees();
    }
    before.holds(&mut scene.daemon, 4 * count + 20);
    hits
}

/// D14: so many containers run, without live-restore, while so many lists are put in place. None of them is touched.
pub(crate) fn crowd(containers: usize, changes: usize) -> Duration {
    let mut scene = Scene::new();
    let before = Before::of(&scene.daemon);
    scene.daemon.import_sleep();
    // `sleep` as a container's first process ignores SIGTERM, and dockerd would wait for it at its end.
    let options =
        ["run", "--detach", "--network=none", "--stop-signal=KILL", "local/sleep:1", "/bin/sleep", "86400"];
    let ids: Vec<String> = (0..containers).map(|_| scene.daemon.docker(&options)).collect();
    let inspect =
        ["inspect", "--format", "{{.State.Pid}} {{.State.StartedAt}} {{.State.Status}} {{.RestartCount}}"];
    let inspect: Vec<&str> = inspect.into_iter().chain(ids.iter().map(|id| &**id)).collect();
    let states = scene.daemon.docker(&inspect);
    assert_eq!(states.matches(" running 0").count(), containers, "{states}");
    prepare(&scene);
    let start = Instant::now();
    for _ in 0..changes {
        assert!(toggle(&scene).status().unwrap().success());
    }
    let each = start.elapsed() / u32::try_from(changes).unwrap();
    assert_eq!(scene.daemon.docker(&inspect), states);
    scene.agrees();
    before.holds(&mut scene.daemon, changes + 2);
    each
}

/// How another program edits a file.
#[derive(Clone, Copy)]
enum Style {
    /// A new file, renamed over the old one without a look.
    Rename,
    /// The file itself, truncated and written.
    InPlace,
}

/// H8: edits of another program while lists are applied. Each adds one to a key of its own, and would notice if one
/// of them were gone. Returns how many lists were put in place meanwhile.
pub(crate) fn edits(count: u64) -> usize {
    let mut scene = Scene::new();
    let before = Before::of(&scene.daemon);
    prepare(&scene);
    let path = scene.daemon.file();
    let text = scene.daemon.text().unwrap();
    scene.daemon.write(&text.replacen('{', "{\"mtu\": 1000,", 1));
    let writer = std::thread::spawn(move || {
        let mut dice = Dice::new();
        for edit in 0..count {
            let style = if edit % 3 == 2 { Style::InPlace } else { Style::Rename };
            write(&path, style, 1000 + edit);
            sleep(Duration::from_micros(dice.below(120_000)));
        }
    });
    let mut applied = 0;
    while !writer.is_finished() {
        applied += usize::from(toggle(&scene).status().unwrap().success());
    }
    writer.join().unwrap();
    let text = scene.daemon.text().unwrap();
    let theirs = format!("\"mtu\": {},", 1000 + count);
    assert!(text.contains(&theirs), "their last edit is gone: {text}");
    scene.daemon.write(&text.replacen(&theirs, "", 1));
    before.i1_only_the_list_differs(&scene.daemon);
    assert!(toggle(&scene).status().unwrap().success());
    scene.agrees();
    before.holds(&mut scene.daemon, 4 * (applied + 20) + usize::try_from(count).unwrap());
    applied
}

fn write(path: &Path, style: Style, number: u64) {
    let text = fs::read_to_string(path).unwrap();
    let old = format!("\"mtu\": {number},");
    assert!(text.contains(&old), "an edit of theirs is gone, {old}: {text}");
    let text = text.replacen(&old, &format!("\"mtu\": {},", number + 1), 1);
    match style {
        Style::Rename => {
            let beside = path.with_extension("theirs");
            std::io::Write::write_all(&mut fs::File::create_new(&beside).unwrap(), text.as_bytes()).unwrap();
            fs::rename(beside, path).unwrap();
        }
        Style::InPlace => {
            let mut handle = fs::File::options().write(true).truncate(true).open(path).unwrap();
            std::io::Write::write_all(&mut handle, text.as_bytes()).unwrap();
        }
    }
}

/// A file system in a file, mounted where dockerd's file is; unmounted when dropped.
struct Disk {
    image: PathBuf,
    place: PathBuf,
}

impl Disk {
    fn mount(image: PathBuf, place: PathBuf, options: &str) -> Self {
        output(Command::new("mount").args(["-o", options]).arg(&image).arg(&place));
        Self { image, place }
    }

    /// What it holds at this instant, beside it.
    fn copy(&self) -> PathBuf {
        let copy = self.image.with_extension("lost");
        output(Command::new("cp").arg("--sparse=always").arg(&self.image).arg(&copy));
        copy
    }

    /// The power was lost: what was copied is what is found.
    fn found(self, copy: &Path, options: &str) -> Self {
        let (image, place) = (self.image.clone(), self.place.clone());
        drop(self);
        fs::rename(copy, &image).unwrap();
        Self::mount(image, place, options)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(&self.place).status());
    }
}

/// A file system, and the options that it is mounted with.
pub(crate) type FileSystem = (&'static str, &'static str);

/// ext4 as it comes; without its own guess at what wants to be on the disk; with data written after what points to it;
/// and xfs. A copy of a mounted xfs has the same name as the original.
pub(crate) const FILE_SYSTEMS: [FileSystem; 4] = [
    ("ext4", "loop"),
    ("ext4", "loop,noauto_da_alloc"),
    ("ext4", "loop,noauto_da_alloc,data=writeback"),
    ("xfs", "loop,nouuid"),
];

/// Whether `fsync` does what it says.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Sync {
    Honest,
    /// It succeeds and does nothing: what must be seen, lest the losses prove nothing.
    Lies,
}

/// What power losses came to.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    /// Came in the middle of a write.
    pub(crate) middle: usize,
    /// Came at once after the acknowledgement.
    pub(crate) acknowledged: usize,
    /// Took an acknowledged list with them.
    pub(crate) lost: usize,
}

/// H3: power losses on this file system, in turn at once after the acknowledgement and at a random instant. What was
/// acknowledged is still there, and the rest is one thing or the other; with a sync that lies, ends at the first list
/// that is gone.
pub(crate) fn power_losses((kind, options): FileSystem, count: usize, sync: Sync) -> Losses {
    let mut scene = Scene::new();
    let before = Before::of(&scene.daemon);
    let (mut disk, micros) = on_a_disk(&mut scene, kind, options);
    let (mut dice, mut losses) = (Dice::new(), Losses::default());
    for turn in 0..count {
        let old = scene.daemon.text().unwrap();
        let mut child = match sync {
            Sync::Honest => toggle(&scene).spawn().unwrap(),
            Sync::Lies => toggle_with(&scene, &LIES).spawn().unwrap(),
        };
        let acknowledged = if sync == Sync::Lies || turn % 2 == 0 {
            let status = child.wait().unwrap();
            assert!(status.success(), "{kind} {turn}: {status}");
            true
        } else {
            if turn % 4 == 1 {
                sleep(Duration::from_micros(dice.below(micros)));
            } else {
                // A quarter of the way from there, and surely not the end.
                while !scene.has_intent() && child.try_wait().unwrap().is_none() {
                    sleep(Duration::from_micros(100));
                }
                sleep(Duration::from_micros(dice.below(micros / 8)));
            }
            child.try_wait().unwrap().is_some_and(|status| status.success())
        };
        // Stopped, so that the copy is of one instant.
        let _ = kill_process(Pid::from_child(&child), Signal::STOP);
        let written = scene.daemon.text().unwrap();
        let copy = disk.copy();
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        losses.middle += usize::from(!acknowledged);
        losses.acknowledged += usize::from(acknowledged);
        disk = disk.found(&copy, options);
        let found = scene.daemon.text().unwrap_or_default();
        if acknowledged && found != written {
            losses.lost += 1;
            assert!(sync == Sync::Lies, "{kind},{options} {turn}: an acknowledged list is gone: {found}");
            return losses;
        }
        assert!(
            found == old || found == written || scene.names_one(&found),
            "{kind},{options} {turn}: {found}"
        );
        before.i1_only_the_list_differs(&scene.daemon);
        // dockerd reads the file at its start, before us or after us.
        if dice.below(2) == 0 {
            scene.daemon.reload();
            scene.recover();
        } else {
            scene.recover();
            scene.daemon.reload();
        }
        scene.agrees();
    }
    before.i1_only_the_list_differs(&scene.daemon);
    let text = scene.daemon.text();
    crate::invariants::i2_dockerd_starts_with_it(text.as_deref());
    before.i3_the_same_dockerd_runs(&mut scene.daemon);
    drop(disk);
    losses
}

/// Makes every sync a word without a deed.
const LIES: [&str; 9] = [
    "strace",
    "-f",
    "-qq",
    "-o",
    "/dev/null",
    "-e",
    "trace=fsync,fdatasync",
    "-e",
    "inject=fsync,fdatasync:retval=0",
];

/// Puts dockerd's file and the program's memory on a disk of their own; and how many microseconds a write takes there.
fn on_a_disk(scene: &mut Scene, kind: &str, options: &str) -> (Disk, u64) {
    let etc = scene.daemon.at("etc");
    let text = scene.daemon.text().unwrap();
    let image = scene.at("disk");
    // mkfs.xfs makes nothing smaller; most of it is never written.
    let size = if kind == "xfs" { 320 << 20 } else { 24 << 20 };
    fs::File::create_new(&image).unwrap().set_len(size).unwrap();
    output(Command::new(format!("mkfs.{kind}")).arg("-q").arg(&image));
    let disk = Disk::mount(image, etc.clone(), options);
    file::replace(&scene.daemon.file(), text.as_bytes(), None).unwrap();
    scene.daemon.reload();
    scene.keep_state_in(&etc.join("state"));
    prepare(scene);
    output(&mut Command::new("sync"));
    (disk, u64::try_from(duration(scene).as_micros()).unwrap())
}
