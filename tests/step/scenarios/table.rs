//! The table of what is owed to mirrors, in `tests/README.md`: a row names its files, and a file has its row.

use std::collections::BTreeSet;
use std::path::Path;

use super::files;

#[test]
fn every_scenario_has_its_row_and_every_row_its_scenario() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let table = std::fs::read_to_string(tests.join("README.md")).unwrap();
    let named: BTreeSet<&str> =
        table.split('`').skip(1).step_by(2).map(|name| name.trim_end_matches(".toml")).collect();
    let scenarios = tests.join("scenarios");
    let there: BTreeSet<String> = files(&scenarios)
        .iter()
        .map(|file| file.strip_prefix(&scenarios).unwrap().with_extension("").display().to_string())
        .collect();
    let fits = |name: &str, file: &str| match name.strip_suffix('*') {
        Some(beginning) => file.starts_with(beginning),
        None => file == name,
    };
    let folder = |name: &str| name.split_once('/').map(|(folder, _)| folder.to_owned());
    let folders: BTreeSet<String> = there.iter().filter_map(|file| folder(file)).collect();
    let gone: Vec<&&str> = named
        .iter()
        .filter(|name| folder(name).is_some_and(|folder| folders.contains(&folder)) && !name.ends_with('/'))
        .filter(|name| !there.iter().any(|file| fits(name, file)))
        .collect();
    assert!(gone.is_empty(), "rows without a file: {gone:?}");
    let unnamed: Vec<&String> =
        there.iter().filter(|file| !named.iter().any(|name| fits(name, file))).collect();
    assert!(unnamed.is_empty(), "files without a row: {unnamed:?}");
}
