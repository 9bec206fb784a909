//! `mirrorwatch completions`.

use clap_complete::Shell;

use super::args;
use super::exit::{Error, Exit};
use super::out::Out;
use crate::text::Lang;

/// Prints completions for a shell; descriptions in `lang`.
///
/// # Errors
///
/// Standard output takes no more.
pub fn print(shell: Shell, lang: Lang, out: &mut Out) -> Result<Exit, Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command(lang), args::PROGRAM, &mut script);
    out.print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}
