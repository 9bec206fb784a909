//! The binary: everything else is the library's.

use std::process::ExitCode;

/// Against musl's own, a seventh less of the time that a look at the engine takes, and 0.3 MB less of memory.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    mirrorwatch::cli::main(std::env::args_os().collect(), |name| std::env::var_os(name))
}
