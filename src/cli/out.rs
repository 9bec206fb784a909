//! Standard output: data for people or programs, some of whom hang up early.

use std::io::{self, IsTerminal, StdoutLock, Write};

use anstream::{AutoStream, ColorChoice};

use super::Global;
use super::exit::Error;
use crate::text::detail::detail;
use crate::text::{Lang, advice, cli as say};

/// Standard output. A reader that hung up is no error: what comes afterwards goes nowhere.
pub struct Out {
    stream: StdoutLock<'static>,
    lang: Lang,
    quiet: bool,
    color: bool,
    columns: Option<usize>,
    own: bool,
    closed: bool,
}

impl Out {
    /// Standard output, as the global options want it.
    pub fn stdout(global: &Global) -> Self {
        let stream = io::stdout().lock();
        let color = match global.color {
            ColorChoice::Auto => AutoStream::choice(&stream) != ColorChoice::Never,
            ColorChoice::Always | ColorChoice::AlwaysAnsi => true,
            ColorChoice::Never => false,
        };
        let &Global { lang, quiet, columns, own, .. } = global;
        Self { stream, lang, quiet, color, columns, own, closed: false }
    }

    /// Whether text may have colour.
    pub fn color(&self) -> bool {
        self.color
    }

    /// Whether a person looks at it right away.
    pub fn is_terminal(&self) -> bool {
        self.stream.is_terminal()
    }

    /// Columns and rows: `$COLUMNS` first, then what the terminal says; `None` without a terminal.
    pub fn size(&self) -> (Option<usize>, Option<usize>) {
        let size = rustix::termios::tcgetwinsize(&self.stream).ok().filter(|size| size.ws_col > 0);
        let (columns, rows) = size.map(|size| (size.ws_col.into(), size.ws_row.into())).unzip();
        (self.columns.or(columns), rows)
    }

    /// Whether the reader has hung up.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Prints sentences, with what this user would type.
    ///
    /// # Errors
    ///
    /// As [`Out::print`].
    pub fn tell(&mut self, text: &str) -> Result<(), Error> {
        self.print(&advice::to(self.own, text))
    }

    /// Prints data; with `-q` nothing.
    ///
    /// # Errors
    ///
    /// The output is a file that takes no more, or the like; never because a reader hung up.
    pub fn print(&mut self, text: &str) -> Result<(), Error> {
        if self.closed || self.quiet {
            return Ok(());
        }
        match self.stream.write_all(text.as_bytes()).and_then(|()| self.stream.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            Err(error) => Err(Error::failed(say::stdout(self.lang, &detail(self.lang, &error.to_string())))),
        }
    }
}
