//! Building a release: the project's own build command, run where the files of the release are.
//!
//! ```text
//! source ── copied ──▶ release ── build command, in the release ──▶ .venv, node_modules, dist …
//!                          └── cargo: CARGO_TARGET_DIR outside ──▶ programs copied to target/PROFILE/
//! ```
//!
//! So exactly what the digest names is built, and the project itself is left alone. Cargo's build directory is
//! kept between releases, because compiling every dependency again would take minutes. A crate that needs files
//! outside of its directory (a member of a workspace, a path dependency) cannot be built from a copy: it is
//! built where it is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use code_core::host::{Command, Tie};
use code_core::{Ctx, Error, ErrorKind, Progress, Result};

/// What builds see of the environment beside what the host gives every command: where tools keep their
/// things, and how the network is reached. Tokens are not among them.
const SEEN: [&str; 18] = [
    "USER",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "XDG_CACHE_HOME",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "PIP_INDEX_URL",
    "UV_INDEX_URL",
    "npm_config_registry",
];
/// How many lines of output are shown of a failure.
const LINES: usize = 20;

/// Runs the build command of a release, whose lock lives as long as the command.
pub(super) async fn build(
    ctx: &Ctx,
    argv: &[String],
    source: &Path,
    release: &Path,
    cache: &Path,
    lock: Tie,
) -> Result<()> {
    let [program, args @ ..] = argv else { return Ok(()) };
    let shown = argv.join(" ");
    ctx.say(format!("building: {shown}"));
    let is_cargo = argv.iter().any(|arg| words(arg).any(|word| word == "cargo"));
    let in_place = is_cargo && reaches_out(source);
    let mut command =
        Command::new(program).args(args.iter().cloned()).cwd(if in_place { source } else { release });
    command = command.tied_to(lock);
    for name in SEEN {
        if let Some(value) = ctx.host().env(name) {
            command = command.env(name, value);
        }
    }
    if is_cargo {
        command =
            command.env("CARGO_TARGET_DIR", cache.display().to_string()).env("CARGO_TERM_COLOR", "never");
    }
    let line = |line: &str| ctx.progress(Progress::Line(line.to_owned()));
    let output = ctx
        .host()
        .run(ctx.cancel(), command, &line)
        .await
        .map_err(|error| error.with("build", shown.clone()))?;
    if !output.success() {
        let code = output.code.map_or_else(|| "a signal".to_owned(), |code| format!("code {code}"));
        return Err(Error::new(
            ErrorKind::Failed,
            "release::build",
            format!("build it: `{shown}` ended with {code}"),
        )
        .help("run the build command by hand in the project, and mend what it says")
        .with("last lines", ctx.redactor().redact(&output.tail(LINES))));
    }
    if is_cargo {
        let (cache, release) = (cache.to_owned(), release.to_owned());
        let taken = tokio::task::spawn_blocking(move || take_programs(&cache, &release)).await;
        let taken = taken.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        taken.map_err(|error| super::snapshot::write_failed(Path::new("target"), error))?;
    }
    Ok(())
}

/// The words of an argument, which may itself be a line for a shell.
fn words(arg: &str) -> impl Iterator<Item = &str> {
    arg.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
}

/// Whether a crate needs files outside of its directory.
fn reaches_out(source: &Path) -> bool {
    let manifest = fs::read_to_string(source.join("Cargo.toml")).unwrap_or_default();
    let own_workspace = manifest.lines().any(|line| line.trim() == "[workspace]");
    let outside = |line: &str| {
        let line = line.replace(' ', "");
        line.contains("path=\"..") || (!own_workspace && line.contains("workspace=true"))
    };
    manifest.lines().any(outside)
}

/// Copies the programs that cargo made to where they would be had it built in the release:
/// `target/release/NAME`, and so for each profile.
fn take_programs(cache: &Path, release: &Path) -> std::io::Result<()> {
    for profile in fs::read_dir(cache)? {
        let profile = profile?;
        if !profile.file_type()?.is_dir() {
            continue;
        }
        let to = release.join("target").join(profile.file_name());
        for program in programs(&profile.path())? {
            fs::create_dir_all(&to)?;
            let Some(name) = program.file_name() else { continue };
            fs::copy(&program, to.join(name))?;
        }
    }
    Ok(())
}

fn programs(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        let path = entry.path();
        let is_library = path.extension().is_some_and(|end| end == "so" || end == "dylib");
        if meta.is_file() && meta.permissions().mode() & 0o111 != 0 && !is_library {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(manifest: &str, expect: bool) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("Cargo.toml"), manifest).unwrap();
        assert_eq!(reaches_out(dir.path()), expect, "{manifest}");
    }

    #[test]
    fn a_crate_that_needs_its_surroundings_is_recognised() {
        check("[package]\nname = \"a\"\n", false);
        check("[dependencies]\nb = { path = \"../b\" }\n", true);
        check("[dependencies]\nb = { path = \"b\" }\n", false);
        check("[package]\nversion.workspace = true\n", true);
        check("[workspace]\nmembers = [\"b\"]\n[package]\nversion.workspace = true\n", false);
    }
}
