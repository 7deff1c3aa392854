//! Where PostgreSQL's programs are on this machine.
//!
//! Servers are often not in `PATH` (Debian keeps several versions side by side), and what is in `PATH` may be
//! a link or a wrapper: a directory counts where its `postgres` says its version.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use code_core::Host;
use code_core::host::Command;
use tokio_util::sync::CancellationToken;

use super::parse;

/// The oldest major version that is used: the first with `DROP DATABASE … WITH (FORCE)`.
const OLDEST: u32 = 13;

/// Where distributions put them: a directory whose entries are versions, and the way from there.
const PLACES: [(&str, &str, &str); 5] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql", "bin"),
    ("/usr/local/opt", "postgresql", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// PostgreSQL's programs of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    /// The directory with `postgres`, `initdb` and `psql`.
    pub bin_dir: PathBuf,
    /// The major version: data of one cannot be used by another.
    pub major: u32,
    /// The whole version, as `postgres --version` says it: `15.18`.
    pub version: String,
}

impl Programs {
    /// A program of this version.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin_dir.join(name)
    }
}

/// The newest PostgreSQL on this machine: in `PATH`, or where distributions put it.
pub async fn find_programs(host: &dyn Host) -> Option<Programs> {
    all_programs(host).await.into_iter().next()
}

/// Every PostgreSQL on this machine, newest first, one for each major version.
pub async fn all_programs(host: &dyn Host) -> Vec<Programs> {
    let mut found: Vec<Programs> = Vec::new();
    for bin_dir in candidates(host) {
        let Some(version) = ask(host, &bin_dir).await else { continue };
        if let Some(major) = parse::major(&version).filter(|major| *major >= OLDEST) {
            found.push(Programs { bin_dir, major, version });
        }
    }
    // Stable: of two with one major version, the first that was found stands first.
    found.sort_by_key(|programs| std::cmp::Reverse(programs.major));
    found.dedup_by_key(|programs| programs.major);
    found
}

/// The directories that may hold them, those of `PATH` first; links are followed to where the rest of the
/// programs lies.
fn candidates(host: &dyn Host) -> Vec<PathBuf> {
    let in_path = ["postgres", "initdb"].iter().filter_map(|name| host.which(name));
    let mut dirs: Vec<PathBuf> = in_path
        .flat_map(|path| [path.canonicalize().ok(), Some(path)].into_iter().flatten())
        .filter_map(|path| path.parent().map(Path::to_owned))
        .collect();
    for (root, prefix, rest) in PLACES {
        let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
        let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
        let mut versions: Vec<PathBuf> = named.map(|entry| entry.path().join(rest)).collect();
        versions.sort();
        dirs.extend(versions);
    }
    let mut seen = BTreeSet::new();
    dirs.retain(|dir| {
        let real = dir.canonicalize().unwrap_or_else(|_| dir.clone());
        dir.join("postgres").is_file() && dir.join("initdb").is_file() && seen.insert(real)
    });
    dirs
}

async fn ask(host: &dyn Host, bin_dir: &Path) -> Option<String> {
    let command = Command::new(bin_dir.join("postgres")).arg("--version").timeout(Duration::from_secs(10));
    let output = host.run(&CancellationToken::new(), command, &|_| {}).await.ok()?;
    let text = output.success().then(|| output.text())?;
    parse::version(&text).map(str::to_owned)
}
