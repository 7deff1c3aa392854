//! Processes that stay, as a machine sees them: real ones, a real keeper, on loopback.
//!
//! This program is also the keeper and the deployed app: with their hidden arguments it is those, without
//! them the tests are run.
#![expect(clippy::disallowed_methods, reason = "these tests start and kill real processes")]
#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

mod app;
mod crashes;
mod engine;
mod life;
mod routes;
mod world;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    if let Some(code) = code_providers::keeper_main() {
        return code;
    }
    if std::env::args().nth(1).as_deref() == Some(app::ARGUMENT) {
        return app::run();
    }
    let trials = [life::trials(), crashes::trials(), routes::trials(), engine::trials()].concat();
    let trials = trials.into_iter().map(|(name, test)| {
        Trial::test(name, move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(test());
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}
