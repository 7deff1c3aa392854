//! Keeps the log files of processes from growing without end: a full one is copied aside and emptied.
//!
//! The process goes on writing to the same open file, in append mode, so nothing has to be told to it. What
//! it writes in the moment between the last copied byte and the emptying is lost; the copying catches up
//! until that moment is short.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A log file of this size is full.
pub(super) const FULL: u64 = 10 * 1024 * 1024;
/// How many full ones are kept: `NAME.1` is the youngest.
const KEPT: u32 = 5;

/// Rotates a log file where it is full.
pub(super) fn rotate(log: &Path, full: u64) -> io::Result<bool> {
    if !fs::metadata(log).is_ok_and(|meta| meta.len() > full) {
        return Ok(false);
    }
    for i in (1..KEPT).rev() {
        match fs::rename(numbered(log, i), numbered(log, i + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let next = numbered(log, 0);
    let mut from = OpenOptions::new().read(true).write(true).open(log)?;
    let mut to = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
    let mut copied = io::copy(&mut from, &mut to)?;
    loop {
        let more = catch_up(&mut from, copied, &mut to)?;
        copied += more;
        if more == 0 {
            break;
        }
    }
    from.set_len(0)?;
    fs::rename(next, numbered(log, 1))?;
    Ok(true)
}

fn catch_up(from: &mut File, at: u64, to: &mut File) -> io::Result<u64> {
    from.seek(SeekFrom::Start(at))?;
    // A writer that is faster than the copying must not hold it forever.
    io::copy(&mut from.take(64 * 1024), to).map(|more| if more < 64 * 1024 { 0 } else { more })
}

fn numbered(log: &Path, i: u32) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(format!(".{i}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn an_open_writer_goes_on_in_the_emptied_file() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("web.log");
        let mut writer = OpenOptions::new().append(true).create(true).open(&log).unwrap();
        for round in 0..8 {
            writer.write_all(format!("round {round} {}\n", "x".repeat(200)).as_bytes()).unwrap();
            assert!(rotate(&log, 100).unwrap());
            assert_eq!(fs::metadata(&log).unwrap().len(), 0);
        }
        writer.write_all(b"short\n").unwrap();
        assert!(!rotate(&log, 100).unwrap());
        assert_eq!(fs::read_to_string(&log).unwrap(), "short\n");
        assert!(fs::read_to_string(numbered(&log, 1)).unwrap().starts_with("round 7"));
        assert!(fs::read_to_string(numbered(&log, KEPT)).unwrap().starts_with("round 3"));
        assert!(!numbered(&log, KEPT + 1).exists());
    }
}
