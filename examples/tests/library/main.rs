//! What a program that embeds the libraries can rely on: they are silent, they leave the process as they found it,
//! their types go from thread to thread, and their errors say what a program has to know.
//!
//! ```text
//! this program ──starts itself──▶ child: every crate, from a sentence to nothing
//!      │                            │ its own panic hook, signals, environment: compared at the end
//!      └── both outputs empty, and it ended as it wanted ◀──┘
//! ```
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "the test is a program of its own, and what goes wrong in it is a failure of the test"
)]

mod child;
mod types;

use std::process::{Command, ExitCode, Stdio};

use code_core::{Error, ErrorKind, Retry};
use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    if let Some(code) = code_providers::keeper_main().or_else(code_providers::sample::sample_main) {
        return code;
    }
    if let Some(dir) = std::env::var_os(child::DIR) {
        return child::main(dir.as_ref());
    }
    let trials = vec![
        Trial::test("an_engine_says_nothing_and_leaves_the_process_as_it_was", || {
            silent();
            Ok(())
        }),
        Trial::test("an_error_says_what_a_program_has_to_know", || {
            error();
            Ok(())
        }),
        Trial::test("every_public_type_goes_from_thread_to_thread", || {
            println!("figure: public types that are Send and Sync: {}", types::all().len());
            Ok(())
        }),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn silent() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env_clear().env(child::DIR, dir.path()).env("PATH", "/usr/local/bin:/usr/bin:/bin");
    // What would be said by whoever is asked to say more.
    command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "1");
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let why = std::fs::read_to_string(dir.path().join(child::WHY)).unwrap_or_default();
    assert_eq!(why, "");
    assert_eq!((said(&output.stdout), said(&output.stderr)), (String::new(), String::new()));
    assert_eq!(output.status.code(), Some(child::END.into()), "the library has ended the program");
}

fn error() {
    let io = std::io::Error::other("address in use");
    let error = Error::new(ErrorKind::Failed, "test::bind", "bind port 80").with("port", "80").because(io);
    let error = error.transient();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Failed, "test::bind"));
    assert_eq!(error.retryable(), Retry::Transient);
    assert_eq!(error.context().collect::<Vec<_>>(), [("port", "80")]);
    assert_eq!(error.causes(), ["address in use"]);
    assert_eq!(format!("failed to {error}"), "failed to bind port 80");
    let boxed: Box<dyn std::error::Error + Send + Sync + 'static> = Box::new(error);
    assert!(boxed.downcast_ref::<Error>().is_some());
}
