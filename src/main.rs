//! The binary: everything else is the library's.

use std::process::ExitCode;

fn main() -> ExitCode {
    mirrorwatch::cli::main(std::env::args_os().collect(), |name| std::env::var_os(name))
}
