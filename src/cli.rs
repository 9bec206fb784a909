//! The command line: what was typed becomes a [`Cli`], and each command is one file.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};

use crate::assembly::now;

use crate::image::Image;
use crate::observation::Depth;
use crate::status::text::{Span, View};
use crate::text::detail::detail;
use crate::text::{Lang, advice, cli as say, round};

pub mod apply;
pub mod args;
pub mod candidates;
pub mod check;
pub mod completions;
pub mod exit;
pub mod explain;
pub mod history;
pub mod judge;
mod log;
pub mod man;
pub mod out;
pub mod pause;
pub mod probe;
mod recorded;
pub mod restore;
pub mod run;
pub mod status;
pub mod usage;
pub mod why;

use exit::{Error, Exit};
use out::Out;

/// What was typed, understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Cli {
    /// What every command takes.
    pub global: Global,
    /// What to do.
    pub command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Global {
    /// mirrors.toml.
    pub config: PathBuf,
    /// Where what is remembered lies.
    pub state_dir: PathBuf,
    /// Where the status is published.
    pub runtime_dir: PathBuf,
    /// Whether it is about a user's own Docker.
    pub own: bool,
    /// How much more to say.
    pub verbose: u8,
    /// Say only errors.
    pub quiet: bool,
    /// The language of text for people.
    pub lang: Lang,
    /// Whether to use colour; on each stream `Auto` asks that stream and the environment.
    pub color: ColorChoice,
    /// `$COLUMNS`, where it is a number.
    pub columns: Option<usize>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    missing_docs,
    reason = "the commands and their arguments are described where they are defined, in args"
)]
pub enum Command {
    Run { unprivileged: bool },
    ApplyRequest,
    Status { json: bool, watch: bool, all: bool },
    Probe { mirrors: Vec<String>, image: Option<Image>, depth: Depth, json: bool },
    Apply { dry_run: bool, with_pending: bool, json: bool },
    Restore { list: bool, to: u64, dry_run: bool, pause: bool },
    Pause { length: Option<Duration> },
    Resume,
    Why { since: Duration, json: bool },
    Explain { name: String },
    History { name: Option<String>, since: Option<Duration>, json: bool },
    Check { file: Option<PathBuf> },
    Add { url: String, name: Option<String> },
    Remove { name: String },
    Completions { shell: clap_complete::Shell },
    Man { page: man::Page },
}

/// Understands `args` (the first is the program's own name); `env` looks up environment variables.
///
/// # Errors
///
/// What was typed is not understood, or is a request for help or the version: the error prints itself.
pub fn parse(args: Vec<OsString>, env: impl Fn(&str) -> Option<OsString>) -> Result<Cli, clap::Error> {
    // Set and empty is as good as unset, in every shell's convention.
    args::parse(args, &|name| env(name).filter(|value| !value.is_empty()))
}

/// From arguments to exit code; what `main` is.
pub fn main(args: Vec<OsString>, env: impl Fn(&str) -> Option<OsString>) -> ExitCode {
    let typed = args.clone();
    let cli = match parse(args, &env) {
        Ok(cli) => cli,
        Err(error) => return usage::print(error, &typed, &|name| env(name)).into(),
    };
    let mut out = Out::stdout(&cli.global);
    match dispatch(&cli, &mut out) {
        // The reader has what it wanted, and hung up.
        Ok(_) if out.is_closed() => Exit::Ok.into(),
        Ok(exit) => exit.into(),
        Err(error) => {
            error.print(&cli.global, &typed, &env);
            error.exit.into()
        }
    }
}

/// Does what was asked.
///
/// # Errors
///
/// It could not be done; the error says why, and with which code to exit.
pub fn dispatch(cli: &Cli, out: &mut Out) -> Result<Exit, Error> {
    let global = &cli.global;
    match &cli.command {
        Command::Status { json, watch: false, all } => status::once(global, *json, *all, now(), out),
        Command::Status { json, watch: true, all } => status::watch(global, *json, *all, out),
        Command::Pause { length } => pause::pause(global, *length, now(), out),
        Command::Resume => pause::resume(global, out),
        Command::Why { since, json } => why::why(global, *since, *json, now(), out),
        Command::Completions { shell } => completions::print(*shell, global.lang, out),
        Command::Man { page } => man::print(*page, global.lang, out),
        Command::Run { unprivileged } => asynchronously(global, run::run(global, *unprivileged)),
        Command::ApplyRequest => asynchronously(global, run::apply_request(global)),
        Command::Probe { mirrors, image, depth, json } => {
            let asked =
                probe::Asked { mirrors: mirrors.clone(), image: image.clone(), depth: *depth, json: *json };
            asynchronously(global, probe::probe(global, asked, out))
        }
        Command::Apply { dry_run, with_pending, json } => {
            no_new_privileges();
            let asked = apply::Asked { dry_run: *dry_run, with_pending: *with_pending };
            asynchronously(global, apply::apply(global, asked, *json, out))
        }
        Command::Restore { list: true, .. } => asynchronously(global, restore::list(global, out)),
        Command::Restore { list: false, to, dry_run: true, .. } => {
            asynchronously(global, restore::preview(global, *to, out))
        }
        Command::Restore { list: false, to, dry_run: false, pause } => {
            no_new_privileges();
            asynchronously(global, restore::restore(global, *to, *pause, out))
        }
        Command::Explain { name } => explain::explain(global, name, now(), out),
        Command::History { name, since, json } => {
            history::history(global, name.as_deref(), *since, *json, now(), out)
        }
        Command::Check { file } => check::check(global, file.clone(), out),
        Command::Add { url, name } => asynchronously(global, candidates::add(global, url, name.clone(), out)),
        Command::Remove { name } => candidates::remove(global, name, out),
    }
}

/// What root starts here needs no more rights than root has: no set-uid program, no other security domain. A plain
/// user's own `reload` may be a `sudo`, and stays what it is.
fn no_new_privileges() {
    if rustix::process::geteuid().is_root() {
        // A kernel without this has had none to offer either.
        let _ = rustix::thread::set_no_new_privs(true);
    }
}

/// Leaves this thread `places` to write in, for good. Looking at other processes, and what the administrator named to be
/// started, goes round it.
fn confine(global: &Global, places: &[&Path]) {
    if let Err(why) = crate::confine::to(places)
        && global.verbose > 0
    {
        note(global, &round::not_confined(global.lang, &detail(global.lang, &why)));
    }
}

/// Runs a command that waits for others, on this one thread.
fn asynchronously(global: &Global, work: impl Future<Output = Result<Exit, Error>>) -> Result<Exit, Error> {
    // Reading a file or a name in the background takes a thread; two are more than are ever busy.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(2).build();
    let runtime = runtime.map_err(|error| Error::failed(say::signals(global.lang, &error.to_string())))?;
    runtime.block_on(work)
}

/// How the table of one round is shown on standard output.
pub fn view(global: &Global, out: &Out) -> View {
    let legend = global.verbose > 0;
    View {
        lang: global.lang,
        width: out.size().0,
        color: out.color(),
        all: true,
        legend,
        now: now(),
        span: Span::Round,
        network: None,
    }
}

/// Whether standard error may have colour.
pub fn color_of_stderr(global: &Global) -> bool {
    match global.color {
        ColorChoice::Auto => AutoStream::choice(&io::stderr()) != ColorChoice::Never,
        ColorChoice::Always | ColorChoice::AlwaysAnsi => true,
        ColorChoice::Never => false,
    }
}

/// Says something on standard error whatever `-q` says: it is why the command fails.
pub fn say_error(text: &str) {
    // Nobody can be told that standard error is gone.
    drop(writeln!(io::stderr(), "{}", text.trim_end_matches('\n')));
}

/// Says something beside the data: on standard error, unless `-q`.
pub fn note(global: &Global, text: &str) {
    if !global.quiet {
        // Nobody can be told that standard error is gone.
        drop(writeln!(io::stderr(), "{}", advice::to(global.own, text)));
    }
}
