//! The Debian package, made by cargo-deb from the checkout, with the program that is tested in it.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// The package as users build it, which `./test.sh` has made and names in `MIRRORWATCH_DEB`.
pub(crate) fn shipped() -> Option<Vec<u8>> {
    let path = std::env::var_os("MIRRORWATCH_DEB").filter(|path| !path.is_empty())?;
    Some(fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// Makes the package with this version and gives its bytes. `edit` may change the sources, which are a copy.
pub(crate) fn build(version: &str, edit: impl FnOnce(&Path)) -> Vec<u8> {
    let place = TempDir::with_prefix("mw-deb-").unwrap();
    let [sources, target] = ["sources", "target"].map(|name| place.path().join(name));
    fs::create_dir(&sources).unwrap();
    for entry in fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap().map(Result::unwrap) {
        if entry.file_name() != "target" && entry.file_name() != ".git" {
            succeeds(Command::new("cp").arg("--archive").arg(entry.path()).arg(&sources));
        }
    }
    edit(&sources);
    // cargo-deb wants a release; what is in the package is what the tests were built with, without its symbols.
    fs::create_dir_all(target.join("release")).unwrap();
    let program = target.join("release/mirrorwatch");
    succeeds(Command::new("strip").arg("-o").arg(program).arg(env!("CARGO_BIN_EXE_mirrorwatch")));
    let deb = place.path().join("mirrorwatch.deb");
    let said = succeeds(
        Command::new(env!("CARGO"))
            .args(["deb", "--no-build", "--no-strip", "--no-dbgsym", "--fast", "--offline", "--locked"])
            .args(["--deb-version", version, "--output"])
            .arg(&deb)
            .current_dir(&sources)
            .env("CARGO_TARGET_DIR", &target),
    );
    assert!(!said.contains("warning"), "{said}");
    fs::read(&deb).unwrap()
}

/// Runs it to its end, and gives all that it said.
pub(crate) fn succeeds(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; hint: ./test.sh installs what is needed"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {}: {said}\nhint: ./test.sh installs what is needed",
        output.status
    );
    said
}
