//! The house rules that a compiler does not know: who may use whom, and how small the binary stays.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers of `src/lib.rs`, from the top down.
const WORDS: &[&str] =
    &["timestamp", "mirror", "image", "observation", "pull", "reason", "secret", "text", "json"];
const DECISIONS: &[&str] = &["ranking"];
const EDGES: &[&str] = &["config", "probe", "engine", "listen", "store", "status", "watch", "pause", "route"];
/// The tools that edges share.
const SHARED: &[&str] = &["file", "publish", "room", "ours", "process", "confine"];
const WIRING: &[&str] = &["assembly", "applier", "round", "daemon", "cli"];

#[test]
fn every_module_has_a_layer_and_is_declared() {
    let declared: Vec<String> = read("src/lib.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';').map(str::to_owned))
        .collect();
    for module in &declared {
        assert!(layer(module).is_some(), "{module} has no layer: name it in src/lib.rs and here");
    }
}

#[test]
fn no_arrow_points_up_and_no_edge_knows_another() {
    for (module, used) in uses() {
        let from = layer(&module).unwrap_or_else(|| panic!("{module} has no layer"));
        for other in used {
            let to = layer(&other).unwrap_or_else(|| panic!("{module} uses {other}, which has no layer"));
            let allowed = module == other || to < from || (from == to && from != 3);
            assert!(
                allowed,
                "{module} uses {other}: words <- decisions <- edges <- wiring, and no edge knows another"
            );
        }
    }
}

#[test]
fn decisions_touch_nothing_outside() {
    let forbidden =
        ["tokio", "std::fs", "std::net::Tcp", "std::time::Instant", "SystemTime", "std::env", "rand"];
    for file in sources().into_iter().filter(|file| {
        let daemon = ["daemon/step", "daemon/schedule", "daemon/network", "applier/decide"];
        let decides = |part: &str| file.to_string_lossy().contains(part);
        module_of(file) == "ranking" || daemon.into_iter().any(decides)
    }) {
        let code = without_tests(&fs::read_to_string(&file).expect("a source file is readable"));
        for word in forbidden {
            let used = code.lines().any(|line| !line.trim_start().starts_with("//") && line.contains(word));
            assert!(!used, "{} mentions {word}: a decision takes everything as an argument", file.display());
        }
    }
}

#[test]
fn main_only_parses_runs_and_says_what_went_wrong() {
    assert!(read("src/main.rs").lines().count() <= 40);
}

fn layer(module: &str) -> Option<u8> {
    let layers: [(&[&str], u8); 5] = [(WORDS, 0), (DECISIONS, 1), (SHARED, 2), (EDGES, 3), (WIRING, 4)];
    layers.iter().find(|(modules, _)| modules.contains(&module)).map(|(_, layer)| *layer)
}

/// Which top-level module mentions which others outside its tests.
fn uses() -> BTreeMap<String, Vec<String>> {
    let mut map: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in sources() {
        let module = module_of(&file);
        if module == "lib" || module == "main" {
            continue;
        }
        let code = without_tests(&fs::read_to_string(&file).expect("a source file is readable"));
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for part in line.split("crate::").skip(1) {
                let name: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if !name.is_empty() {
                    map.entry(module.clone()).or_default().push(name);
                }
            }
        }
    }
    map
}

/// A unit test may use what it likes; it stands at the end of its file.
fn without_tests(code: &str) -> String {
    code.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned()
}

fn module_of(file: &Path) -> String {
    let inside = file.strip_prefix(root().join("src")).expect("under src");
    let first = inside.components().next().expect("a file name").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join("src")];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).expect("src is readable") {
            let path = entry.expect("an entry is readable").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect("a source file is readable")
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
