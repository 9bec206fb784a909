//! `check`, `add` and `remove`: mirrors.toml and what stands beside it.

use std::path::{Path, PathBuf};

use super::exit::{Error, Exit};
use super::judge::{self, Question};
use super::out::Out;
use super::{Global, view};
use crate::assembly;
use crate::config::local::{EditError, Standing};
use crate::config::{self, Config, local};
use crate::file;
use crate::mirror::{DOCKER_HUB, Mirror, MirrorUrl};
use crate::observation::Depth;
use crate::status;
use crate::store::Store;
use crate::text::round as say;

/// Validates mirrors.toml.
///
/// # Errors
/// It is invalid; every mistake has been said.
pub fn check(global: &Global, file: Option<PathBuf>, out: &mut Out) -> Result<Exit, Error> {
    let path = file.unwrap_or_else(|| global.config.clone());
    let config = judge::load(global, &path)?;
    let color = super::color_of_stderr(global);
    for warning in &config.warnings {
        super::note(global, warning.render(global.lang, color).trim_end_matches('\n'));
    }
    let enabled = config.mirrors.iter().filter(|mirror| mirror.enabled).count();
    let shown = path.display().to_string();
    out.print(&format!("{}\n", say::valid(global.lang, &shown, config.mirrors.len(), enabled)))?;
    Ok(Exit::Ok)
}

/// Validates a URL, probes it, says what it saw, and adds it to `mirrors.d/local.toml`.
///
/// # Errors
/// It is no mirror's URL, it is there already, or the file cannot be written.
pub async fn add(global: &Global, url: &str, name: Option<String>, out: &mut Out) -> Result<Exit, Error> {
    let config = judge::load(global, &global.config)?;
    let url: MirrorUrl = url.parse().map_err(|error| judge::not_a_url(global, url, error, Exit::Failed))?;
    let name = name.unwrap_or_else(|| url.authority().to_owned());
    let known = config.mirrors.iter().find(|mirror| mirror.url == url);
    if let Some(known) = known.filter(|known| known.enabled) {
        return Err(Error::failed(say::is_there(global.lang, &known.name)));
    }
    // What is switched off is switched on again under the name it has.
    let name = known.map_or(name, |known| known.name.clone());
    if known.is_none() && config.mirrors.iter().any(|mirror| mirror.name == name) {
        return Err(Error::failed(say::name_is_taken(global.lang, &name)));
    }
    judge::warn_of_known(global, &url);
    let standing = known.map_or(Standing::New, |known| match &known.group {
        Some(group) if !config.select.groups.contains(group) => Standing::OffByGroup,
        Some(_) | None => Standing::Off,
    });
    let path = local::file(&global.config);
    let before = read(&path)?;
    let text = before.as_ref().map_or("", |(text, _)| text);
    let after =
        local::with_mirror(text, &name, &url, standing).map_err(|error| not_edited(global, &path, &error))?;
    let edited = valid(global, &path, &after)?;
    if !edited.mirrors.iter().any(|mirror| mirror.url == url && mirror.enabled) {
        let directory = config::mirrors_d(&global.config).display().to_string();
        return Err(Error::failed(say::stays_off(global.lang, &path.display().to_string(), &name))
            .with_hint(say::see_files(global.lang, &directory)));
    }

    let (store, _) = Store::open(&global.state_dir, assembly::now());
    let facts = match assembly::docker(&config, &crate::applier::root_state(&global.state_dir)) {
        Some(docker) => docker.facts().await.ok(),
        None => None,
    };
    let mirror = Mirror {
        name: name.clone(),
        url,
        upstream: DOCKER_HUB.to_owned(),
        group: None,
        enabled: true,
        note: None,
    };
    let question = Question {
        mirrors: vec![mirror],
        depth: Depth::Rehearse,
        images: Vec::new(),
        facts: facts.as_ref(),
        current: Vec::new(),
    };
    let judgement = judge::judge(global, &config, &store, question).await?;
    let mut shown = judgement.shown();
    for mirror in &mut shown {
        mirror.selected = None;
    }
    let rows: Vec<&status::Mirror> = shown.iter().collect();
    out.print(&status::text::mirrors(&rows, &view(global, out)))?;

    write(&path, &after, before.as_ref().map(|(_, snapshot)| snapshot))?;
    // A mirror that is down today may be up tomorrow: it is added, and the table above says how it stands.
    out.print(&format!("{}\n", say::added(global.lang, &name, &path.display().to_string())))?;
    Ok(Exit::Ok)
}

/// Takes a mirror out of `mirrors.d/local.toml`, or switches a shipped one off there.
///
/// # Errors
/// There is no such mirror, or the file cannot be written.
pub fn remove(global: &Global, name: &str, out: &mut Out) -> Result<Exit, Error> {
    let config = judge::load(global, &global.config)?;
    let known = find(global, &config, name)?;
    let path = local::file(&global.config);
    let shipped = config.shipped(&known.name);
    if shipped && !known.enabled {
        out.print(&format!("{}\n", say::off_already(global.lang, &known.name)))?;
        return Ok(Exit::Ok);
    }
    let before = read(&path)?;
    let text = before.as_ref().map_or("", |(text, _)| text);
    let after = local::without_mirror(text, &known.name, shipped.then_some(&known.url))
        .map_err(|error| not_edited(global, &path, &error))?;
    valid(global, &path, &after)?;
    write(&path, &after, before.as_ref().map(|(_, snapshot)| snapshot))?;
    let shown = path.display().to_string();
    let line = if shipped {
        say::switched_off(global.lang, &known.name, &shown)
    } else {
        say::removed(global.lang, &known.name, &shown)
    };
    out.print(&format!("{line}\n"))?;
    Ok(Exit::Ok)
}

fn find<'a>(global: &Global, config: &'a Config, name: &str) -> Result<&'a Mirror, Error> {
    let url = name.parse::<MirrorUrl>();
    let found = config.mirrors.iter().find(|mirror| mirror.name == name || url.as_ref() == Ok(&mirror.url));
    found.ok_or_else(|| judge::no_such_mirror(global, Exit::Failed, name, &config.mirrors))
}

fn not_edited(global: &Global, path: &Path, error: &EditError) -> Error {
    let path = path.display().to_string();
    Error::failed(say::about(global.lang, &path, &error.render(global.lang)))
}

/// The configuration with the edited text, before it is written: an invalid file would stop the service at its
/// next start.
fn valid(global: &Global, path: &Path, after: &str) -> Result<Config, Error> {
    local::load_edited(&global.config, after).map_err(|invalid| {
        judge::print(global, &invalid);
        Error::failed(say::edit_invalid(global.lang, &path.display().to_string()))
    })
}

fn read(path: &Path) -> Result<Option<(String, file::Snapshot)>, Error> {
    let snapshot = file::read(path).map_err(|error| io_error(path, &error))?;
    let Some(bytes) = snapshot.bytes() else { return Ok(None) };
    let text =
        std::str::from_utf8(bytes).map_err(|error| Error::failed(format!("{}: {error}", path.display())))?;
    Ok(Some((text.to_owned(), snapshot)))
}

fn write(path: &Path, text: &str, expected: Option<&file::Snapshot>) -> Result<(), Error> {
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory).map_err(|error| io_error(directory, &error))?;
    file::replace(path, text.as_bytes(), expected).map_err(|error| {
        let exit =
            if error.obstacle == file::Obstacle::NotPermitted { Exit::NotPermitted } else { Exit::Failed };
        Error::new(exit, error.to_string())
    })
}

fn io_error(path: &Path, error: &std::io::Error) -> Error {
    let exit =
        if error.kind() == std::io::ErrorKind::PermissionDenied { Exit::NotPermitted } else { Exit::Failed };
    Error::new(exit, format!("{}: {error}", path.display()))
}
