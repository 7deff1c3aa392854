//! What an image is built from, as an archive (POSIX tar) that is written while it is sent.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use code_core::Result;
use hyper::body::Bytes;
use tar::{Builder, EntryType, Header};
use tokio::sync::mpsc;

use super::api::Upload;
use super::error;

/// How a Dockerfile that comes as text is called in the archive: no project has one of this name.
pub(super) const DOCKERFILE: &str = ".code-engine.Dockerfile";
/// How much is handed on at once, in bytes, and how often before somebody reads.
const PART: usize = 64 * 1024;
const WAITING: usize = 8;

/// What goes into an archive.
#[derive(Clone, Debug)]
pub(super) struct Context {
    /// The files below a directory.
    pub(super) dir: PathBuf,
    /// The text of a Dockerfile beside them.
    pub(super) dockerfile: Option<String>,
    /// Libraries of this machine, and where they go.
    pub(super) libraries: Vec<(PathBuf, String)>,
}

/// The archive, as an upload that a thread of its own writes.
pub(super) fn upload(context: Context) -> (Upload, tokio::task::JoinHandle<Result<()>>) {
    let (sender, parts) = mpsc::channel(WAITING);
    let writing = tokio::task::spawn_blocking(move || write(&context, Parts { sender, part: Vec::new() }));
    (Upload::Parts(parts), writing)
}

/// Hands on what is written, part by part.
struct Parts {
    sender: mpsc::Sender<Bytes>,
    part: Vec<u8>,
}

impl Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.part.extend_from_slice(bytes);
        if self.part.len() >= PART {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.part.is_empty() {
            return Ok(());
        }
        let part = Bytes::from(std::mem::take(&mut self.part));
        self.sender.blocking_send(part).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

fn write(context: &Context, to: impl Write) -> Result<()> {
    let mut archive = Builder::new(to);
    archive.follow_symlinks(false);
    append_dir(&mut archive, &context.dir, &context.dir)?;
    for (from, to) in &context.libraries {
        append_file(&mut archive, from, to)?;
    }
    let end = || -> io::Result<()> {
        if let Some(text) = &context.dockerfile {
            let mut header = plain(EntryType::Regular, 0o644, text.len() as u64);
            archive.append_data(&mut header, DOCKERFILE, text.as_bytes())?;
        }
        archive.into_inner()?.flush()
    };
    end().map_err(|cause| error::context("send", &context.dir, cause))
}

/// Entries in the order of their names and without times: the same files make the same archive.
fn append_dir(archive: &mut Builder<impl Write>, root: &Path, dir: &Path) -> Result<()> {
    let unreadable = |cause| error::context("read", dir, cause);
    let mut entries =
        fs::read_dir(dir).map_err(unreadable)?.collect::<io::Result<Vec<_>>>().map_err(unreadable)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let unreadable = |cause| error::context("read", &path, cause);
        let name = path.strip_prefix(root).unwrap_or(&path);
        let meta = fs::symlink_metadata(&path).map_err(unreadable)?;
        if meta.is_dir() {
            let mut header = plain(EntryType::Directory, meta.mode() & 0o777, 0);
            archive.append_data(&mut header, name, io::empty()).map_err(unreadable)?;
            append_dir(archive, root, &path)?;
        } else if meta.is_symlink() {
            let target = fs::read_link(&path).map_err(unreadable)?;
            let mut header = plain(EntryType::Symlink, 0o777, 0);
            archive.append_link(&mut header, name, target).map_err(unreadable)?;
        } else if meta.is_file() {
            append_file(archive, &path, &name.to_string_lossy())?;
        }
    }
    Ok(())
}

fn append_file(archive: &mut Builder<impl Write>, from: &Path, to: &str) -> Result<()> {
    let mut append = || -> io::Result<()> {
        let file = fs::File::open(from)?;
        let meta = file.metadata()?;
        let mut header = plain(EntryType::Regular, meta.mode() & 0o777, meta.len());
        // A file that grows meanwhile must not spoil the archive; one that shrinks is an error of `append_data`.
        archive.append_data(&mut header, to.trim_start_matches('/'), io::Read::take(file, meta.len()))
    };
    append().map_err(|cause| error::context("read", from, cause))
}

fn plain(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

/// Files that only `user` reads, below a directory, as an archive in memory.
///
/// # Errors
/// `container::context` where it cannot be written.
pub(super) fn secrets(files: &[(String, &str)], dir: &str, user: u64) -> Result<Vec<u8>> {
    let write = || -> io::Result<Vec<u8>> {
        let mut archive = Builder::new(Vec::new());
        let mut folder = plain(EntryType::Directory, 0o755, 0);
        archive.append_data(&mut folder, format!("{dir}/"), io::empty())?;
        for (name, value) in files {
            // What begins as root gives up its rights before it reads: so do the images of databases. Inside of a
            // container that is nobody else's, everybody may read its secrets then.
            let mode = if user == 0 { 0o444 } else { 0o400 };
            let mut header = plain(EntryType::Regular, mode, value.len() as u64);
            header.set_uid(user);
            header.set_gid(user);
            archive.append_data(&mut header, format!("{dir}/{name}"), value.as_bytes())?;
        }
        archive.into_inner()
    };
    write().map_err(|cause| error::context("write", Path::new("/run/secrets"), cause))
}

/// The first file of an archive, as text.
pub(super) fn first_file(archive: &[u8]) -> Option<String> {
    let mut archive = tar::Archive::new(archive);
    let mut entry = archive.entries().ok()?.flatten().find(|entry| entry.header().entry_type().is_file())?;
    let mut text = String::new();
    io::Read::read_to_string(&mut entry, &mut text).ok()?;
    Some(text)
}

/// The libraries that this very program has loaded, and the places where they are looked for: the loader where the
/// program names it, the others where the loader looks (proc_pid_maps(5), ld.so(8)).
///
/// # Errors
/// `container::context` where that cannot be told.
pub(super) fn own_libraries() -> Result<Vec<(PathBuf, String)>> {
    let maps = Path::new("/proc/self/maps");
    let read = fs::read_to_string(maps).map_err(|cause| error::context("read", maps, cause))?;
    let placed = libraries(&read).into_iter().map(|library| {
        let name = library.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let folder = if name.starts_with("ld-linux-x86-64") { "lib64" } else { "lib" };
        (library, format!("{folder}/{name}"))
    });
    Ok(placed.collect())
}

fn libraries(maps: &str) -> BTreeSet<PathBuf> {
    let paths = maps.lines().filter_map(|line| line.find('/').map(|at| PathBuf::from(&line[at..])));
    let is_library = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".so") || name.contains(".so.")
    };
    paths.filter(is_library).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(archive: &[u8]) -> Vec<String> {
        let mut archive = tar::Archive::new(archive);
        let entries = archive.entries().unwrap().map(Result::unwrap);
        entries
            .map(|entry| {
                let header = entry.header();
                let path = entry.path().unwrap().display().to_string();
                format!("{path} {:o} {}", header.mode().unwrap(), header.uid().unwrap())
            })
            .collect()
    }

    #[test]
    fn an_archive_has_the_files_in_order_and_links_as_links() {
        let dir = tempfile::tempdir().unwrap();
        let deep = "d".repeat(90);
        fs::create_dir_all(dir.path().join(&deep).join(&deep)).unwrap();
        fs::write(dir.path().join(&deep).join(&deep).join("file"), "x").unwrap();
        fs::write(dir.path().join("b"), "b").unwrap();
        std::os::unix::fs::symlink("/etc/shadow", dir.path().join("a")).unwrap();
        let context =
            Context { dir: dir.path().to_owned(), dockerfile: Some("FROM x".into()), libraries: Vec::new() };
        let (mut one, mut two) = (Vec::new(), Vec::new());
        write(&context, &mut one).unwrap();
        write(&context, &mut two).unwrap();
        assert_eq!(one, two);
        let found = listed(&one);
        assert!(found[0].starts_with("a 777"), "{found:?}");
        assert!(found.iter().any(|entry| entry.starts_with(&format!("{deep}/{deep}/file"))), "{found:?}");
        assert!(found.last().unwrap().starts_with(DOCKERFILE), "{found:?}");
    }

    #[test]
    fn secrets_belong_to_who_reads_them() {
        let files = [("URL".to_owned(), "s3cret")];
        assert_eq!(
            listed(&secrets(&files, "secrets", 1001).unwrap()),
            ["secrets/ 755 0", "secrets/URL 400 1001"]
        );
        assert_eq!(listed(&secrets(&files, "secrets", 0).unwrap())[1], "secrets/URL 444 0");
        assert_eq!(first_file(&secrets(&files, "secrets", 0).unwrap()).as_deref(), Some("s3cret"));
    }

    #[test]
    fn the_libraries_of_a_program_are_those_that_it_has_loaded() {
        let maps = "55-56 r-xp 0 fe:00 12 /usr/bin/deploy\n7f-80 r-xp 0 fe:00 13   /lib/x/libc.so.6\n\
                    7f-80 r--p 0 fe:00 13   /lib/x/libc.so.6\n90-91 rw-p 0 00:00 0 [heap]\n";
        let found = libraries(maps);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [PathBuf::from("/lib/x/libc.so.6")]);
    }
}
