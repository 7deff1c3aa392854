//! Writes the pages of `docs/errors` into a table, so that `explain CODE` has them in the binary, and finds out
//! which commit is built, for `--version`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// The pages, seen from the package: cargo runs a build script there.
const PAGES: &str = "../docs/errors";

#[expect(clippy::disallowed_methods, reason = "a build script has no host: cargo speaks by the environment")]
fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={PAGES}");
    println!("cargo::rerun-if-changed=deploy/build.rs");
    let mut pages = Vec::new();
    for room in entries(Path::new(PAGES))? {
        for page in entries(&room)? {
            let name = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            if let (Some(room), Some(what)) = (name(&room), name(&page))
                && page.extension().is_some_and(|extension| extension == "md")
            {
                pages.push((format!("{room}::{what}"), fs::read_to_string(page)?));
            }
        }
    }
    pages.sort();
    let mut table = String::from("&[\n");
    for (code, text) in pages {
        let _ = writeln!(table, "    ({code:?}, {text:?}),");
    }
    table.push(']');
    let out = env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    fs::write(out.join("pages.rs"), table)?;
    println!("cargo::rustc-env=DEPLOY_VERSION={}", version());
    Ok(())
}

/// `0.1.0 (4f58eb0b6c1d)`; without the commit where there is no git, or the source is no checkout.
fn version() -> String {
    let number = env!("CARGO_PKG_VERSION");
    // Where every move of the head is written down. A file that is not there would be new at each build.
    if let Some(moves) =
        git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|path| Path::new(path).is_file())
    {
        println!("cargo::rerun-if-changed={moves}");
    }
    match git(&["rev-parse", "--short=12", "HEAD"]) {
        Some(commit) => format!("{number} ({commit})"),
        None => number.to_owned(),
    }
}

#[expect(clippy::disallowed_methods, reason = "a build script has no host")]
fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

fn entries(dir: &Path) -> io::Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect()
}
