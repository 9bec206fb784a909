//! One finding about the configuration: what, where, and how it is shown.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::problem::Problem;
use super::source::{Place, Source};
use crate::text::{Lang, config as say};

/// Whether a finding makes the configuration invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The configuration is not used.
    Error,
    /// It is used; something in it will not do what its author hopes.
    Warning,
}

/// One error or warning.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// Whether it makes the configuration invalid.
    pub severity: Severity,
    /// The file it is in, as it was named.
    pub file: PathBuf,
    /// Where in the file; `None` when it is about the file as a whole.
    pub place: Option<Place>,
    /// What it is.
    pub problem: Problem,
}

impl Diagnostic {
    /// `file:line:column: what`, in English, for logs and for `config.error` of status.json.
    pub fn one_line(&self) -> String {
        self.line(Lang::En)
    }

    /// The same for people.
    pub fn line(&self, lang: Lang) -> String {
        let what = self.problem.what(lang);
        match &self.place {
            Some(place) => format!("{}:{}:{}: {what}", self.file.display(), place.line, place.column),
            None => format!("{}: {what}", self.file.display()),
        }
    }

    /// For people: what, `file:line:column`, the line, a caret under the place, a hint.
    pub fn render(&self, lang: Lang, color: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR.with_name(say::error(lang)),
            Severity::Warning => Level::WARNING.with_name(say::warning(lang)),
        };
        let file = self.file.to_string_lossy().into_owned();
        let mut group = Group::with_title(level.primary_title(self.problem.what(lang)));
        group = match &self.place {
            Some(place) => {
                let snippet = Snippet::source(place.excerpt.as_str())
                    .line_start(place.line)
                    .annotation(AnnotationKind::Primary.span(place.span.clone()));
                if place.cut {
                    // A column counted in the excerpt would be wrong, so it is said.
                    group
                        .element(Origin::path(file).line(place.line).char_column(place.column))
                        .element(snippet)
                } else {
                    group.element(snippet.path(file))
                }
            }
            None => group.element(Origin::path(file)),
        };
        if let Some(hint) = self.problem.hint(lang) {
            group = group.element(Level::HELP.with_name(say::hint(lang)).message(hint));
        }
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let text = renderer.render(&[group]);
        match lang {
            Lang::En => text,
            Lang::Zh => full_width_colons(&text, lang),
        }
    }
}

/// The renderer writes an English colon behind its labels, with the end of their colour between.
fn full_width_colons(text: &str, lang: Lang) -> String {
    let mut text = text.to_owned();
    for (label, from_the_end) in
        [(say::error(lang), false), (say::warning(lang), false), (say::hint(lang), true)]
    {
        let at = if from_the_end { text.rfind(&label) } else { text.find(&label) };
        let Some(behind) = at.map(|at| at + label.len()) else { continue };
        let Some(colon) = text[behind..].find(": ").map(|colon| behind + colon) else { continue };
        if anstream::adapter::strip_str(&text[behind..colon]).to_string().is_empty() {
            text.replace_range(colon..colon + 2, "：");
        }
    }
    text
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.one_line())
    }
}

/// Collects what is found, so that one bad value does not hide the others.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// With the index of the file, to put them in order at the end.
    all: Vec<(usize, Diagnostic)>,
}

/// Of each severity. More would be read by nobody, and a hostile file could make millions.
const MOST: usize = 200;

impl Findings {
    /// An error at `span` of `source`.
    pub(super) fn error(&mut self, source: &Source, span: Range<usize>, problem: Problem) {
        self.push(Severity::Error, source, span, problem);
    }

    /// A warning at `span` of `source`.
    pub(super) fn warning(&mut self, source: &Source, span: Range<usize>, problem: Problem) {
        self.push(Severity::Warning, source, span, problem);
    }

    fn push(&mut self, severity: Severity, source: &Source, span: Range<usize>, problem: Problem) {
        if !self.full(severity) {
            let place = Some(source.place(span));
            self.all.push((source.index, Diagnostic { severity, file: source.path.clone(), place, problem }));
        }
    }

    /// Whether more of this severity would not be kept, so that costly hints can be spared.
    pub(super) fn full(&self, severity: Severity) -> bool {
        self.all.iter().filter(|(_, it)| it.severity == severity).count() >= MOST
    }

    /// About a file as a whole.
    pub(super) fn file(&mut self, severity: Severity, path: &Path, index: usize, problem: Problem) {
        self.all.push((index, Diagnostic { severity, file: path.to_owned(), place: None, problem }));
    }

    /// Whether there is an error among them.
    pub(super) fn invalid(&self) -> bool {
        self.all.iter().any(|(_, it)| it.severity == Severity::Error)
    }

    /// Those of one severity, in the order of the files and of their lines.
    pub(super) fn sorted(mut self, severity: Severity) -> Vec<Diagnostic> {
        self.all.sort_by_key(|(file, it)| (*file, it.place.as_ref().map(|place| (place.line, place.column))));
        self.all.into_iter().map(|(_, it)| it).filter(|it| it.severity == severity).collect()
    }
}
