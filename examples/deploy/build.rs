//! Lists the pages of `docs/errors`, so that `explain CODE` has them in the binary.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

#[expect(
    clippy::disallowed_methods,
    reason = "a build script has no host: cargo speaks to it by its environment"
)]
fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors");
    println!("cargo::rerun-if-changed={}", root.display());
    println!("cargo::rerun-if-changed=deploy/build.rs");
    let mut pages = Vec::new();
    for room in entries(&root)? {
        for page in entries(&room)? {
            let name = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            if let (Some(room), Some(what)) = (name(&room), name(&page))
                && page.extension().is_some_and(|extension| extension == "md")
            {
                pages.push((format!("{room}::{what}"), page.canonicalize()?));
            }
        }
    }
    pages.sort();
    let mut table = String::from("&[\n");
    for (code, path) in pages {
        let _ = writeln!(table, "    ({code:?}, include_str!({:?})),", path.display().to_string());
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
