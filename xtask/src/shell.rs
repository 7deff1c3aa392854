//! Running programs, and where the project lies. A chore is a host of its own, so it may.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The root of the project.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A program to be run in the root of the project.
pub(crate) fn command(program: impl AsRef<OsStr>, args: &[&str]) -> Command {
    #[expect(clippy::disallowed_methods, reason = "a chore runs outside of the engine")]
    let mut command = Command::new(program);
    command.args(args).current_dir(root());
    command
}

/// The cargo that runs this chore.
pub(crate) fn cargo(args: &[&str]) -> Command {
    command(variable("CARGO").unwrap_or_else(|| "cargo".to_owned()), args)
}

/// Shows the command line, runs it, and says whether it succeeded.
pub(crate) fn run(mut command: Command) -> bool {
    show(&command);
    match command.status() {
        Ok(status) => status.success(),
        Err(error) => {
            eprintln!("xtask: failed to run {}: {error}", command.get_program().display());
            false
        }
    }
}

/// Shows a command line as a person would type it.
pub(crate) fn show(command: &Command) {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let args: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    println!("$ {} {}", program.display(), args.join(" "));
}

/// What a program writes to its standard output, where it can be run and succeeds.
pub(crate) fn read(mut command: Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A variable of the environment.
pub(crate) fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "a chore runs outside of the engine")]
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A program in a directory of `PATH`.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = variable("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}
