//! Old releases: which nothing needs any more, and away with one.
//!
//! Deleting the resource of a release leaves its files, because a rollback needs them. They go only here, when
//! somebody asks for it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use code_core::{Digest, Error, ErrorKind, Layout, Result};

use super::Place;

/// A release on the disk, built or as its files were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What it is named by.
    pub digest: Digest,
    /// How much its files take, in bytes.
    pub bytes: u64,
}

/// The releases whose digest is not `needed` and that no process runs from. What the keeper would start again is
/// needed too: its [`Table`](crate::process::keeper::Table) names it.
///
/// # Errors
/// `release::remove` where the releases cannot be listed.
pub fn unused(state_dir: &Path, needed: impl Fn(&str) -> bool) -> Result<Vec<Stored>> {
    let releases = Layout::new(state_dir).release(Digest::ZERO);
    let Some(releases) = releases.parent() else { return Ok(Vec::new()) };
    let entries = match fs::read_dir(releases) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("list the releases", releases, error)),
    };
    let mut found: BTreeMap<Digest, u64> = BTreeMap::new();
    for entry in entries.flatten() {
        // What is not named like a release is somebody else's.
        let name = entry.file_name();
        let Some(digest) = name.to_str().and_then(Layout::release_in) else { continue };
        if entry.path().is_dir() && !needed(&digest.to_string()) {
            *found.entry(digest).or_default() += size(&entry.path());
        }
    }
    found.retain(|digest, _| !places(state_dir, *digest).iter().any(|place| runs_from(&place.dir)));
    Ok(found.into_iter().map(|(digest, bytes)| Stored { digest, bytes }).collect())
}

/// Removes a release, unless somebody makes it right now or a process runs from it: whether it is gone.
///
/// # Errors
/// `release::remove` where its files cannot be removed.
pub fn remove(state_dir: &Path, digest: Digest) -> Result<bool> {
    for place in places(state_dir, digest) {
        if !away(&place)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Where a release may lie: as it was built, and as its files were.
fn places(state_dir: &Path, digest: Digest) -> [Place; 2] {
    [true, false].map(|built| Place::of(state_dir, digest, built))
}

fn away(place: &Place) -> Result<bool> {
    let error = |error| failed("remove a release", &place.dir, error);
    if !place.dir.exists() && !place.note.exists() {
        return Ok(true);
    }
    let lock = fs::OpenOptions::new().write(true).create(true).truncate(false).open(&place.lock);
    let lock = lock.map_err(error)?;
    if lock.try_lock().is_err() || runs_from(&place.dir) {
        return Ok(false);
    }
    // First that it goes on purpose, so that a crash leaves nothing that is missed; then what says that it is
    // complete: half of a release is none.
    fs::write(&place.pruned, "").map_err(error)?;
    for gone in [fs::remove_file(&place.note), fs::remove_dir_all(&place.dir)] {
        match gone {
            Err(why) if why.kind() != std::io::ErrorKind::NotFound => return Err(error(why)),
            _ => {}
        }
    }
    Ok(true)
}

/// Whether a process runs a program of a release, or in it.
fn runs_from(dir: &Path) -> bool {
    let runs = |link: PathBuf| fs::read_link(link).is_ok_and(|path| path.starts_with(dir));
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    processes.into_iter().any(|process| runs(process.join("exe")) || runs(process.join("cwd")))
}

fn size(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => size(&entry.path()),
            Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |meta| meta.len()),
            _ => 0,
        })
        .sum()
}

fn failed(what: &str, path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Failed, "release::remove", what)
        .help("run it as the user who owns the state directory")
        .with("path", path.display().to_string())
        .because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_there_is_seen() {
        let here = std::env::current_dir().unwrap();
        assert!(runs_from(&here) && !runs_from(&here.join("nothing")));
    }

    #[test]
    fn what_is_needed_or_being_made_stays() {
        let state = tempfile::tempdir().unwrap();
        let digests = ["needed", "old", "being made"].map(|text| Digest::of(text.as_bytes()));
        for digest in digests {
            let place = Place::of(state.path(), digest, true);
            fs::create_dir_all(place.dir.join("src")).unwrap();
            fs::write(place.dir.join("src/a"), "123").unwrap();
            fs::write(&place.note, "{}").unwrap();
        }
        let source = Place::of(state.path(), digests[1], false);
        fs::create_dir_all(&source.dir).unwrap();
        fs::write(source.dir.join("a"), "12345").unwrap();
        fs::create_dir(Layout::new(state.path()).release(digests[0]).with_file_name("mine")).unwrap();
        let needed = |name: &str| name == digests[0].to_string();
        let found = unused(state.path(), needed).unwrap();
        assert_eq!(found.len(), 2, "{found:?}");
        let bytes = |digest: Digest| found.iter().find(|stored| stored.digest == digest).map(|one| one.bytes);
        assert_eq!(digests.map(bytes), [None, Some(3 + 5), Some(3)], "with what an image was built from");

        let making = Place::of(state.path(), digests[2], true);
        let lock = fs::File::create(&making.lock).unwrap();
        lock.lock().unwrap();
        assert!(!remove(state.path(), digests[2]).unwrap() && making.note.exists());
        assert!(remove(state.path(), digests[1]).unwrap());
        let gone = Place::of(state.path(), digests[1], true);
        assert!(!gone.dir.exists() && !gone.note.exists() && gone.pruned.exists() && !source.dir.exists());
        assert!(remove(state.path(), digests[1]).unwrap(), "twice is no mistake");
        assert_eq!(unused(state.path(), needed).unwrap().len(), 1);
        assert_eq!(unused(&state.path().join("none"), needed).unwrap(), []);
    }
}
