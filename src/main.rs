//! The program `ringlink`; everything that it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ringlink::cli::main()
}
