//! The command `moot`.

use std::process::ExitCode;

fn main() -> ExitCode {
    folkmoot::cli::run()
}
