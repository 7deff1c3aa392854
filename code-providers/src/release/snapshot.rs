//! The files of a project: which ones count, their digest, and a copy of exactly those.
//!
//! Counted are all files but those that a `.gitignore` of the project names, and what tools put there by
//! themselves ([`SKIPPED`]). The digest is over each path in order, what it is, whether it can be executed,
//! and its content; so touching, moving or copying a project changes nothing, and everything else does.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use code_core::{Digest, Error, ErrorKind, Result};
use ignore::WalkBuilder;

/// Directories that are never part of a release: histories, states, and what a build makes again.
pub const SKIPPED: [&str; 7] =
    [".git", ".code", "target", "node_modules", "__pycache__", ".venv", ".terraform"];
/// The most files that a release may have.
pub const MOST_FILES: usize = 200_000;
/// The most bytes that a release may have: 2 GiB.
pub const MOST_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// The way in which the digest is made; another way gets another name.
const METHOD: &[u8] = b"code release 1";

/// The digest of what a component is made of: its files, how they are built and how it is started.
///
/// # Errors
/// `release::no-source`, `release::empty`, `release::too-large`, `release::link-outside`, `release::read`.
pub fn source_digest(dir: &Path, build: Option<&[String]>, start: Option<&[String]>) -> Result<Digest> {
    let mut hashes = Hashes::new(build, start);
    for entry in entries(dir)? {
        let content = match &entry.what {
            What::Link(target) => Digest::of(target.as_os_str().as_bytes()),
            What::File { .. } => pass_on(&entry.path(dir), &mut std::io::sink(), &mut hashes.bytes)?,
        };
        hashes.add(&entry, content)?;
    }
    Ok(hashes.finish())
}

/// Copies the files of a project, and gives the digest of what was copied: what changed since the digest was
/// taken, or changes while it is copied, makes another one. `each` is told of each file, and may stop it.
pub(crate) fn copy(
    from: &Path,
    to: &Path,
    build: Option<&[String]>,
    start: Option<&[String]>,
    mut each: impl FnMut(usize, usize) -> Result<()>,
) -> Result<Digest> {
    let mut hashes = Hashes::new(build, start);
    let entries = entries(from)?;
    for (i, entry) in entries.iter().enumerate() {
        each(i, entries.len())?;
        let path = to.join(&entry.name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| write_failed(&path, error))?;
        }
        let content = match &entry.what {
            What::Link(target) => {
                symlink(target, &path).map_err(|error| write_failed(&path, error))?;
                Digest::of(target.as_os_str().as_bytes())
            }
            What::File { executable } => {
                let mode = if *executable { 0o755 } else { 0o644 };
                let mut file = fs::OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(mode)
                    .open(&path)
                    .map_err(|error| write_failed(&path, error))?;
                pass_on(&entry.path(from), &mut file, &mut hashes.bytes)?
            }
        };
        hashes.add(entry, content)?;
    }
    Ok(hashes.finish())
}

/// Takes the right to write from every file, so that a release stays what its digest says. Directories keep
/// theirs: `rm -r` should go on working.
pub(super) fn freeze(dir: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            freeze(&entry.path())?;
        } else if kind.is_file() {
            let mode = entry.metadata()?.permissions().mode();
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(mode & !0o222))?;
        }
    }
    Ok(())
}

/// A file of a project.
struct Entry {
    /// Its path, from the project's directory.
    name: PathBuf,
    what: What,
}

enum What {
    File { executable: bool },
    Link(PathBuf),
}

impl Entry {
    fn path(&self, dir: &Path) -> PathBuf {
        dir.join(&self.name)
    }
}

/// The files of a project that count, in order of their paths' bytes.
fn entries(dir: &Path) -> Result<Vec<Entry>> {
    if !dir.is_dir() {
        let what = format!("find the project's directory {}", dir.display());
        return Err(Error::new(ErrorKind::NotFound, "release::no-source", what)
            .help("name the directory with `--project DIR`, or as `source` in the spec"));
    }
    let walk = WalkBuilder::new(dir)
        .hidden(false)
        // What is ignored must not depend on the machine, nor on where the project lies.
        .parents(false)
        .git_global(false)
        .git_exclude(false)
        .ignore(false)
        .require_git(false)
        .filter_entry(|entry| {
            let is_dir = entry.file_type().is_some_and(|kind| kind.is_dir());
            !(is_dir && entry.depth() > 0 && SKIPPED.iter().any(|name| entry.file_name() == *name))
        })
        .build();
    let mut found = Vec::new();
    for entry in walk {
        let entry = entry.map_err(|error| {
            Error::new(ErrorKind::Failed, "release::read", "list the project's files")
                .help("give your user the right to read them, or name them in `.gitignore`")
                .because(error)
        })?;
        let Some(kind) = entry.file_type() else { continue };
        let Ok(name) = entry.path().strip_prefix(dir).map(Path::to_owned) else { continue };
        let what = if kind.is_symlink() {
            let target = fs::read_link(entry.path()).map_err(|error| read_failed(entry.path(), error))?;
            check_link(&name, &target)?;
            What::Link(target)
        } else if kind.is_file() {
            let meta = fs::metadata(entry.path()).map_err(|error| read_failed(entry.path(), error))?;
            What::File { executable: meta.permissions().mode() & 0o100 != 0 }
        } else {
            continue;
        };
        found.push(Entry { name, what });
        if found.len() > MOST_FILES {
            return Err(too_large(&format!("{MOST_FILES} files")));
        }
    }
    if found.is_empty() {
        let what = format!("find a file in {}", dir.display());
        return Err(Error::new(ErrorKind::Invalid, "release::empty", what)
            .help("name a directory that has the project in it, and check its `.gitignore`"));
    }
    found.sort_by(|a, b| a.name.as_os_str().as_bytes().cmp(b.name.as_os_str().as_bytes()));
    Ok(found)
}

/// A link that leads out of the project would make a release depend on what is outside of it.
fn check_link(name: &Path, target: &Path) -> Result<()> {
    let mut depth = name.components().count().saturating_sub(1);
    for part in target.components() {
        let inside = match part {
            Component::Normal(_) => {
                depth += 1;
                true
            }
            Component::CurDir => true,
            Component::ParentDir if depth > 0 => {
                depth -= 1;
                true
            }
            _ => false,
        };
        if !inside {
            let what = format!("put the link {} into a release", name.display());
            return Err(Error::new(ErrorKind::Invalid, "release::link-outside", what)
                .help("copy what it points to into the project, or name the link in `.gitignore`")
                .with("target", target.display().to_string()));
        }
    }
    Ok(())
}

/// Copies bytes and hashes them.
fn pass_on(path: &Path, to: &mut impl Write, total: &mut u64) -> Result<Digest> {
    let mut file = File::open(path).map_err(|error| read_failed(path, error))?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let n = file.read(&mut buffer).map_err(|error| read_failed(path, error))?;
        let Some(bytes) = buffer.get(..n).filter(|bytes| !bytes.is_empty()) else { break };
        hasher.update(bytes);
        to.write_all(bytes).map_err(|error| write_failed(path, error))?;
        *total += n as u64;
        if *total > MOST_BYTES {
            return Err(too_large("2 GiB"));
        }
    }
    Ok(Digest::from_bytes(*hasher.finalize().as_bytes()))
}

/// The digest as it grows.
struct Hashes {
    parts: Vec<Digest>,
    bytes: u64,
}

impl Hashes {
    fn new(build: Option<&[String]>, start: Option<&[String]>) -> Hashes {
        let argv = |argv: Option<&[String]>| Digest::of_json(&argv);
        Hashes { parts: vec![Digest::of(METHOD), argv(build), argv(start)], bytes: 0 }
    }

    fn add(&mut self, entry: &Entry, content: Digest) -> Result<()> {
        let kind: &[u8] = match entry.what {
            What::File { executable: false } => b"file",
            What::File { executable: true } => b"program",
            What::Link(_) => b"link",
        };
        self.parts.push(Digest::of_parts([entry.name.as_os_str().as_bytes(), kind, content.as_bytes()]));
        Ok(())
    }

    fn finish(self) -> Digest {
        Digest::of_parts(self.parts.iter().map(|part| part.as_bytes().as_slice()))
    }
}

fn too_large(limit: &str) -> Error {
    Error::new(ErrorKind::Invalid, "release::too-large", format!("take a project of more than {limit}"))
        .help("name what the app does not need in `.gitignore`: data, media, build outputs")
}

fn read_failed(path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Failed, "release::read", format!("read {}", path.display()))
        .help("give your user the right to read it, or name it in `.gitignore`")
        .because(error)
}

pub(super) fn write_failed(path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Failed, "release::write", "write a release into the state directory")
        .help("free some space, and check that the state directory is yours to write")
        .with("path", path.display().to_string())
        .because(error)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    fn digest(dir: &Path) -> Digest {
        source_digest(dir, None, None).unwrap()
    }

    #[test]
    fn what_counts_changes_the_digest_and_the_rest_does_not() {
        let files = [("app.py", "1"), (".gitignore", "*.log\n/out"), ("sub/x", "x")];
        let dir = project(&files);
        let first = digest(dir.path());
        assert_eq!(digest(project(&files).path()), first, "another place");

        for name in
            ["a.log", "out/x", ".git/config", "node_modules/m/i.js", "sub/__pycache__/x.pyc", ".code/x"]
        {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "new").unwrap();
        }
        assert_eq!(digest(dir.path()), first);

        let mut seen = vec![first];
        let mut check = |what: &str| {
            let now = digest(dir.path());
            assert!(!seen.contains(&now), "{what}");
            seen.push(now);
        };
        fs::write(dir.path().join("app.py"), "2").unwrap();
        check("content");
        fs::set_permissions(dir.path().join("app.py"), fs::Permissions::from_mode(0o755)).unwrap();
        check("executable");
        fs::rename(dir.path().join("sub/x"), dir.path().join("sub/y")).unwrap();
        check("name");
        symlink("app.py", dir.path().join("link")).unwrap();
        check("link");
        fs::write(dir.path().join(".env.example"), "").unwrap();
        check("hidden file");
        let argv = ["make".to_owned()];
        let built = source_digest(dir.path(), Some(&argv), None).unwrap();
        let started = source_digest(dir.path(), None, Some(&argv)).unwrap();
        assert!(!seen.contains(&built) && !seen.contains(&started) && built != started);
    }

    #[test]
    fn what_cannot_be_a_release_is_told() {
        let check = |dir: &Path, code: &str| {
            let error = source_digest(dir, None, None).unwrap_err();
            assert!(error.code() == code && error.help_text().is_some(), "{error:?}");
        };
        check(Path::new("/no/such/project"), "release::no-source");
        check(project(&[(".git/config", "")]).path(), "release::empty");
        for target in ["/etc/passwd", "../outside", "sub/../../outside"] {
            let dir = project(&[("a", "")]);
            symlink(target, dir.path().join("link")).unwrap();
            check(dir.path(), "release::link-outside");
        }
    }

    proptest! {
        #[test]
        fn a_copy_has_the_digest_of_its_source(
            files in proptest::collection::btree_map("[a-zä ]{1,8}(\\.d/[a-z]{1,5}\\.x)?", ".{0,40}", 1..8),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let (from, to) = (dir.path().join("from"), dir.path().join("to"));
            for (name, text) in &files {
                let path = from.join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            let expected = source_digest(&from, None, None).unwrap();
            let copied = copy(&from, &to, None, None, |_, _| Ok(())).unwrap();
            prop_assert_eq!(copied, expected);
            prop_assert_eq!(source_digest(&to, None, None).unwrap(), expected);
        }
    }
}
