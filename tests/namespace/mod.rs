//! A test with a part of the host of its own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::env;
use std::process::Command;

/// Set in the second run.
const INSIDE: &str = "MIRRORWATCH_TEST_NAMESPACE";

/// Runs this one test of this program again in the namespaces that `unshare` makes of these options, which takes root;
/// true in that second run.
pub(crate) fn is_inside(options: &[&str], test: &str) -> bool {
    if env::var_os(INSIDE).is_some() {
        return true;
    }
    let output = Command::new("unshare")
        .args(options)
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare (util-linux) makes the namespace");
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && text.contains("1 passed"), "as root, for a namespace:\n{text}");
    false
}
