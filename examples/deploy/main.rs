//! `deploy`: one sentence to a running deployment.

use std::process::ExitCode;

fn main() -> ExitCode {
    front::main_with(|engine| engine)
}
