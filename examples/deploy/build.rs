//! Writes the pages of `docs/errors` into a table, so that `explain CODE` has them in the binary.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
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
    fs::write(out.join("pages.rs"), table)
}

fn entries(dir: &Path) -> io::Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect()
}
