//! Every provider held against the contract, with real processes, files and databases.
//!
//! This program is also the keeper and the deployed app: with their hidden arguments it is those, without them the
//! rules are judged.
#![expect(clippy::disallowed_methods, reason = "these tests start and stop real processes")]
#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

#[path = "../process/app.rs"]
mod app;
mod files;
mod postgres;
mod process;
#[cfg(feature = "terraform")]
mod terraform;

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = code_providers::keeper_main() {
        return code;
    }
    if std::env::args().nth(1).as_deref() == Some(app::ARGUMENT) {
        return app::run();
    }
    let mut suite = process::process().and(process::route()).and(files::release()).and(files::sqlite());
    if postgres::is_here() {
        suite = suite.and(postgres::data()).and(postgres::database());
    }
    #[cfg(feature = "terraform")]
    for tool in terraform::tools() {
        suite = suite.and(terraform::root(tool));
    }
    let code = suite.main();
    postgres::stop();
    code
}
