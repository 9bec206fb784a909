//! `mirrorwatch check`: mirrors.toml, and what it leans on outside of itself.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::exit::{Error, Exit};
use super::out::Out;
use super::{Global, judge};
use crate::assembly;
use crate::config::{Config, Diagnostic, Invalid, Problem, Severity};
use crate::daemon::schedule::Carried;
use crate::mirror::{Mirror, MirrorUrl};
use crate::text::round as say;

/// Validates mirrors.toml.
///
/// # Errors
/// It is invalid; every mistake has been said.
pub fn check(global: &Global, file: Option<PathBuf>, out: &mut Out) -> Result<Exit, Error> {
    let path = file.unwrap_or_else(|| global.config.clone());
    let mut config = judge::load(global, &path)?;
    let (errors, warnings) = beside(&config);
    config.warnings.extend(warnings);
    let color = super::color_of_stderr(global);
    for warning in &config.warnings {
        super::note(global, warning.render(global.lang, color).trim_end_matches('\n'));
    }
    if !errors.is_empty() {
        return Err(judge::invalid_config(global, &path, &Invalid { diagnostics: errors }));
    }
    let part = config.mirrors.iter().filter(|mirror| Mirror::takes_part(mirror)).count();
    let shown = path.display().to_string();
    out.print(&format!("{}\n", say::valid(global.lang, &shown, config.mirrors.len(), part)))?;
    Ok(Exit::Ok)
}

/// What settings name and what is of no use there: errors, and warnings. The service goes on without them; who asks
/// whether all is well wants to know.
fn beside(config: &Config) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    if let Some(found) = assembly::bad_authorities(config) {
        if found.severity == Severity::Error { errors.push(found) } else { warnings.push(found) }
    }
    if let Some(program) = config.notify.command.first().filter(|program| !is_there(program)) {
        warnings.push(Diagnostic {
            severity: Severity::Warning,
            file: config.path.clone(),
            place: config.said.command.clone(),
            problem: Problem::NoProgram { program: program.clone() },
        });
    }
    warnings.extend(asked_less(config));
    if let Some(instead) = assembly::asked_unnamed(config) {
        warnings.push(Diagnostic {
            severity: Severity::Warning,
            file: config.path.clone(),
            place: config.said.images.clone(),
            problem: Problem::NoImage { instead: instead.to_string() },
        });
    }
    // Which store the engine has, only the engine can say; the service and `apply` ask it.
    let kept = config.engines.docker.keep.iter().filter(|url| url.is_unverified());
    let kept: Vec<_> = kept.map(MirrorUrl::as_str).collect();
    if !kept.is_empty() {
        warnings.push(Diagnostic {
            severity: Severity::Warning,
            file: config.path.clone(),
            place: config.said.keep.clone(),
            problem: Problem::Unverified { kept: kept.join(", ") },
        });
    }
    (errors, warnings)
}

/// A schedule that the budgets do not carry. How long it becomes depends on what each mirror answers, so that a little
/// more than was said is not worth a warning. Hosts that share an address ask the less for it, as they are meant to.
fn asked_less(config: &Config) -> impl Iterator<Item = Diagnostic> {
    let mut alone = config.clone();
    alone.budget.share = 1;
    let settings = assembly::settings(&alone, None);
    let part = config.mirrors.iter().filter(|mirror| mirror.takes_part()).count();
    let Carried { every, by } = settings.allowance.rehearsals(part.min(config.select.max));
    let rehearsed = (settings.pace.rehearse, every, Problem::RehearsedLess { every: whole(every), by });
    let Carried { every, by } = settings.allowance.samples();
    let sampled = (settings.pace.sample, every, Problem::SampledLess { every: whole(every), by });
    let less = [(rehearsed, &config.said.rehearse), (sampled, &config.said.sample)];
    less.into_iter().filter(|((said, every, _), _)| *every > *said / 4 * 5).map(|((.., problem), place)| {
        Diagnostic { severity: Severity::Warning, file: config.path.clone(), place: place.clone(), problem }
    })
}

/// Without what is too small to matter beside the rest.
fn whole(every: Duration) -> Duration {
    const MINUTE: u64 = 60;
    let seconds = every.as_secs();
    Duration::from_secs(if seconds < 10 * MINUTE { seconds } else { seconds.div_ceil(MINUTE) * MINUTE })
}

/// Whether there is such a program, as `execvp` looks for it.
fn is_there(program: &str) -> bool {
    let runs = |path: &Path| {
        path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        return runs(Path::new(program));
    }
    let path = std::env::var_os("PATH")
        .unwrap_or_else(|| "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin".into());
    std::env::split_paths(&path).any(|directory| runs(&directory.join(program)))
}
