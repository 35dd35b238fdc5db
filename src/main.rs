//! `deuced`, the program. Everything is in the library, so that tests and benchmarks can use it.

use std::process::ExitCode;

fn main() -> ExitCode {
    deuced::cli::main()
}
