//! The lists of the public API of each library, `docs/api`: held against the code, or written anew.

use crate::shell;

/// Compares the lists with the code; with `fix`, writes them. Gives whether they are as the code.
pub(crate) fn run(fix: bool) -> bool {
    let mut command = shell::cargo(&["test", "--quiet", "--locked", "--package", "xtask", "--test", "api"]);
    if fix {
        command.env("UPDATE_API", "1");
    }
    shell::run(command)
}
