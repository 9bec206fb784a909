//! `add` and `remove`: what stands beside mirrors.toml.

use std::path::Path;

use super::apply::adopted_before;
use super::exit::{Error, Exit};
use super::judge::{self, Question};
use super::out::Out;
use super::{Global, confine, note, recorded, view};
use crate::assembly;
use crate::config::local::{EditError, Standing};
use crate::config::{self, Config, Off, Position, local};
use crate::file;
use crate::mirror::{Mirror, MirrorUrl};
use crate::observation::Depth;
use crate::status;
use crate::text::detail::detail;
use crate::text::round as say;

/// Validates a URL, probes it, says what it saw, and adds it to `mirrors.d/local.toml`.
///
/// # Errors
/// It is no mirror's URL, it is there already, or the file cannot be written.
pub async fn add(global: &Global, url: &str, name: Option<String>, out: &mut Out) -> Result<Exit, Error> {
    let lang = global.lang;
    let config = judge::load(global, &global.config)?;
    let url: MirrorUrl = url.parse().map_err(|error| judge::not_a_url(global, url, error, Exit::Failed))?;
    let path = local::file(&global.config);
    // Before anybody is asked: a probe takes seconds, and what it says is no use to who may not write.
    writable(global, &path)?;
    let edit = edit(global, &config, &url, name, &path)?;
    if let Some(known) = config::known::lookup(url.host()) {
        let hint = say::added_all_the_same(lang, &edit.name);
        note(global, &say::known_host(lang, &known.what(lang, url.host()), &hint));
    }
    show_probed(global, &config, &edit.name, url, out).await?;
    write(global, &path, &edit.after, &edit.before)?;
    // A mirror that is down today may be up tomorrow: it is added, and the table above says how it stands.
    let shown = path.display().to_string();
    let line = match edit.standing {
        Standing::New => say::added(lang, &edit.name, &shown),
        Standing::Off | Standing::OffByGroup => say::switched_on(lang, &edit.name, &shown),
    };
    out.tell(&format!("{line}\n"))?;
    Ok(Exit::Ok)
}

/// What `add` is about to write.
struct Edit {
    name: String,
    standing: Standing,
    before: file::Snapshot,
    after: String,
}

fn edit(
    global: &Global,
    config: &Config,
    url: &MirrorUrl,
    name: Option<String>,
    path: &Path,
) -> Result<Edit, Error> {
    let lang = global.lang;
    let asked = name.is_some();
    let name = name.unwrap_or_else(|| url.authority().to_owned());
    let at = |name: &str| config.stands.get(name).map(|stands| place(&stands.at)).unwrap_or_default();
    let known = config.mirrors.iter().find(|mirror| mirror.url == *url);
    if let Some(known) = known.filter(|known| known.enabled) {
        return Err(Error::failed(say::is_there(lang, &known.name, &at(&known.name))));
    }
    let bearer = config.mirrors.iter().find(|mirror| mirror.name == name);
    if let Some(other) = bearer.filter(|_| known.is_none()) {
        let url = other.url.as_str();
        let hint = match other.enabled {
            true => say::name_of_another(lang, url),
            false => say::name_of_one_that_is_off(lang, url),
        };
        return Err(Error::failed(say::name_is_taken(lang, &name, &at(&name))).with_hint(hint));
    }
    // What is switched off is switched on again under the name it has.
    if let Some(known) = known.filter(|known| asked && known.name != name) {
        note(global, &say::keeps_its_name(lang, &known.name, &name, &at(&known.name)));
    }
    let name = known.map_or(name, |known| known.name.clone());
    let standing = known.map_or(Standing::New, |known| match &known.group {
        Some(group) if !config.select.groups.contains(group) => Standing::OffByGroup,
        Some(_) | None => Standing::Off,
    });
    let (text, before) = read(global, path)?;
    let after =
        local::with_mirror(&text, &name, url, standing).map_err(|error| not_edited(global, path, &error))?;
    let edited = valid(global, path, &after)?;
    if !edited.mirrors.iter().any(|mirror| mirror.url == *url && mirror.enabled) {
        let directory = config::mirrors_d(&global.config).display().to_string();
        return Err(Error::failed(say::stays_off(lang, &path.display().to_string(), &name))
            .with_hint(say::see_files(lang, &directory)));
    }
    Ok(Edit { name, standing, before, after })
}

/// Rehearses a pull at `url`, and shows how it went.
async fn show_probed(
    global: &Global,
    config: &Config,
    name: &str,
    url: MirrorUrl,
    out: &mut Out,
) -> Result<(), Error> {
    let store = recorded::open(global);
    let facts = match assembly::docker(config, &crate::applier::root_state(&global.state_dir)) {
        Some(docker) => docker.facts().await.ok(),
        None => None,
    };
    // From here on there is nothing to write but what is remembered, and the mirror.
    confine(global, &[&global.state_dir, &file::home(&local::file(&global.config))]);
    let question = Question {
        mirrors: vec![Mirror::of_docker_hub(name, url)],
        depth: Depth::Rehearse,
        images: Vec::new(),
        facts: facts.as_ref(),
        current: Vec::new(),
    };
    let judgement = judge::judge(global, config, &store, question).await?;
    judgement.tell_of_network(global);
    let mut shown = judgement.shown();
    for mirror in &mut shown {
        mirror.selected = None;
    }
    let rows: Vec<&status::Mirror> = shown.iter().collect();
    out.print(&status::text::mirrors(&rows, &view(global, out)))
}

/// Takes a mirror out of `mirrors.d/local.toml`, or switches one of another file off there.
///
/// # Errors
/// There is no such mirror, or the file cannot be written.
pub fn remove(global: &Global, name: &str, out: &mut Out) -> Result<Exit, Error> {
    let lang = global.lang;
    let config = judge::load(global, &global.config)?;
    let adopted = adopted(global);
    let known = find(global, &config, &adopted, name)?;
    let path = local::file(&global.config);
    let stands = config.stands.get(&known.name);
    let shipped = config.shipped(&known.name);
    // Without its entry here, what the engine listed on its own would take part again.
    let elsewhere = shipped || adopted.contains(&known.url) || stands.is_none();
    let off = stands.iter().flat_map(|stands| &stands.off).find_map(|off| match off {
        Off::Switch(at) => Some(at),
        // Who chooses that group tomorrow does not want it either.
        Off::Group(_) => None,
    });
    if let Some(at) = off.filter(|_| elsewhere) {
        out.print(&format!("{}\n", say::off_already(lang, &known.name, &place(at))))?;
        return Ok(Exit::Ok);
    }
    writable(global, &path)?;
    let (text, before) = read(global, &path)?;
    let after = local::without_mirror(&text, &known.name, elsewhere.then_some(&known.url))
        .map_err(|error| not_edited(global, &path, &error))?;
    valid(global, &path, &after)?;
    write(global, &path, &after, &before)?;
    let shown = path.display().to_string();
    let line = match stands {
        Some(stands) if shipped => say::switched_off(lang, &known.name, &shown, &place(&stands.at)),
        Some(_) if !elsewhere => say::removed(lang, &known.name, &shown),
        Some(_) | None => say::switched_off_adopted(lang, &known.name, &shown),
    };
    out.tell(&format!("{line}\n"))?;
    Ok(Exit::Ok)
}

/// `file:line`.
fn place(at: &Position) -> String {
    format!("{}:{}", at.file.display(), at.line)
}

/// What the engine listed on its own.
fn adopted(global: &Global) -> Vec<MirrorUrl> {
    let store = recorded::store(global).ok().flatten();
    store.map(|store| adopted_before(global, &store)).unwrap_or_default()
}

/// A mirror of mirrors.toml, or one that the engine listed on its own.
fn find(global: &Global, config: &Config, adopted: &[MirrorUrl], name: &str) -> Result<Mirror, Error> {
    let mut all = config.mirrors.clone();
    let strangers = assembly::candidates(config, adopted);
    all.extend(strangers.into_iter().filter(|mirror| !config.stands.contains_key(&mirror.name)));
    let url = name.parse::<MirrorUrl>();
    let found = all.iter().find(|mirror| mirror.name == name || url.as_ref() == Ok(&mirror.url));
    found.cloned().ok_or_else(|| judge::no_such_mirror(global, Exit::Failed, name, &all))
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

/// The text, none where there is no file; and what must still be so when it is written, for a probe takes seconds.
fn read(global: &Global, path: &Path) -> Result<(String, file::Snapshot), Error> {
    let snapshot = file::read(path).map_err(|error| io_error(global, path, &error))?;
    let text = std::str::from_utf8(snapshot.bytes().unwrap_or_default());
    let text = text.map_err(|error| Error::failed(format!("{}: {error}", path.display())))?.to_owned();
    Ok((text, snapshot))
}

/// Whether `path` could be replaced, as far as rights go.
fn writable(global: &Global, path: &Path) -> Result<(), Error> {
    use rustix::fs::{Access, access};
    // The file is replaced by another, so it is the directory that must take it; one that is missing is made.
    let there = path.ancestors().skip(1).find(|directory| directory.exists()).unwrap_or(Path::new("."));
    let there = if there == Path::new("") { Path::new(".") } else { there };
    match access(there, Access::WRITE_OK | Access::EXEC_OK) {
        Err(rustix::io::Errno::ACCESS | rustix::io::Errno::PERM) => Err(not_permitted(global, path)),
        // What else is in the way is said by the attempt.
        Ok(()) | Err(_) => Ok(()),
    }
}

fn not_permitted(global: &Global, path: &Path) -> Error {
    Error::new(Exit::NotPermitted, say::not_writable(global.lang, &path.display().to_string()))
}

fn write(global: &Global, path: &Path, text: &str, expected: &file::Snapshot) -> Result<(), Error> {
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory).map_err(|error| io_error(global, directory, &error))?;
    file::replace(path, text.as_bytes(), Some(expected)).map_err(|error| match error.obstacle {
        file::Obstacle::NotPermitted => not_permitted(global, path),
        file::Obstacle::Raced
        | file::Obstacle::HardLinked
        | file::Obstacle::MountPoint
        | file::Obstacle::ReadOnly
        | file::Obstacle::Immutable
        | file::Obstacle::Full
        | file::Obstacle::NoDirectory
        | file::Obstacle::DanglingLink
        | file::Obstacle::NotAFile
        | file::Obstacle::Other => Error::failed(detail(global.lang, &error.to_string())),
    })
}

fn io_error(global: &Global, path: &Path, error: &std::io::Error) -> Error {
    let exit =
        if error.kind() == std::io::ErrorKind::PermissionDenied { Exit::NotPermitted } else { Exit::Failed };
    Error::new(exit, detail(global.lang, &format!("{}: {error}", path.display())))
}
