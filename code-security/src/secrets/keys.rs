//! The key file of a directory of secrets.
//!
//! ```text
//! code secrets key 1
//! 9f86d081884c7d65 60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752
//! ```
//!
//! The first line names the format; each other line is a key's id and the key, in hexadecimal digits. The id
//! is the beginning of a hash of the key, so that a damaged key is noticed. The first key seals and all of
//! them open: a new key is put before the others, and taken out when no record names it any more.

use std::fmt;

use code_core::{Digest, Error, ErrorKind, Result};
use zeroize::Zeroizing;

use super::files::{Dir, KEY};
use super::password::random;

/// The bytes of a key's id.
pub(super) const KEY_ID: usize = 8;
const BYTES: usize = 32;
const FIRST_LINE: &str = "code secrets key 1";

/// The keys of a directory; there is at least one.
#[derive(Debug)]
pub(super) struct Keys(Key, Vec<Key>);

/// A key, wiped when it is dropped, with no `Debug` of its bytes.
pub(super) struct Key(Zeroizing<[u8; BYTES]>);

impl Key {
    pub(super) fn id(&self) -> [u8; KEY_ID] {
        let digest = Digest::of_parts([b"code secrets key id".as_slice(), self.0.as_slice()]);
        let mut id = [0; KEY_ID];
        id.copy_from_slice(&digest.as_bytes()[..KEY_ID]);
        id
    }

    pub(super) fn bytes(&self) -> &[u8; BYTES] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", *hex(&self.id()))
    }
}

impl Keys {
    /// The key that seals.
    pub(super) fn current(&self) -> &Key {
        &self.0
    }

    /// The key with this id.
    pub(super) fn find(&self, id: &[u8]) -> Option<&Key> {
        std::iter::once(&self.0).chain(&self.1).find(|key| key.id() == id)
    }

    /// The keys of a directory, or `None` where it has no key file.
    ///
    /// # Errors
    /// `secret::key` where the file is damaged, or others may read it; `secret::store`.
    pub(super) fn read(dir: &Dir) -> Result<Option<Keys>> {
        let Some(bytes) = dir.read(KEY)? else { return Ok(None) };
        let bytes = Zeroizing::new(bytes);
        if let Some(mode) = dir.open_to_others(KEY)? {
            return Err(Error::new(ErrorKind::Refused, "secret::key", "use a key that other users may read")
                .help("take their rights away (`chmod 600`), or keep the state on a file system that has rights")
                .with("path", dir.path(KEY).display().to_string())
                .with("mode", format!("{mode:o}")));
        }
        parse(&bytes).map(Some).ok_or_else(|| {
            Error::new(ErrorKind::Corrupt, "secret::key", "read the key of the secrets: the file is damaged")
                .help("restore it from a backup: without it the stored secrets cannot be opened")
                .with("path", dir.path(KEY).display().to_string())
        })
    }

    /// The keys of a directory, with a new one where it has neither keys nor secrets. The lock is held.
    ///
    /// # Errors
    /// Those of [`Keys::read`], and `secret::key` where there are secrets and no key: a new one would hide
    /// that the old one is lost.
    pub(super) fn read_or_make(dir: &Dir) -> Result<Keys> {
        if let Some(keys) = Keys::read(dir)? {
            return Ok(keys);
        }
        if dir.has_records()? {
            return Err(missing(dir));
        }
        let key = Key(random()?);
        let line = Zeroizing::new(format!("{FIRST_LINE}\n{} {}\n", *hex(&key.id()), *hex(key.bytes())));
        dir.write(KEY, line.as_bytes())?;
        // Read back: a file system without rights is noticed now and not when there is something to lose.
        Keys::read(dir)?.ok_or_else(|| missing(dir))
    }
}

/// The error of secrets without their key.
pub(super) fn missing(dir: &Dir) -> Error {
    Error::new(ErrorKind::NotFound, "secret::key", "find the key of the stored secrets")
        .help("put the file back from a backup; without it delete the secrets' directory, and deploy again")
        .with("path", dir.path(KEY).display().to_string())
}

fn parse(bytes: &[u8]) -> Option<Keys> {
    let text = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    let mut lines = text.split('\n');
    if lines.next()? != FIRST_LINE {
        return None;
    }
    let mut keys = lines.map(|line| {
        let (id, key) = line.split_once(' ')?;
        let key = Key(unhex(key)?);
        (*hex(&key.id()) == id).then_some(key)
    });
    let first = keys.next()??;
    Some(Keys(first, keys.collect::<Option<_>>()?))
}

fn hex(bytes: &[u8]) -> Zeroizing<String> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = Zeroizing::new(String::with_capacity(2 * bytes.len()));
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)] as char);
        text.push(DIGITS[usize::from(byte & 15)] as char);
    }
    text
}

fn unhex(text: &str) -> Option<Zeroizing<[u8; BYTES]>> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let text = text.as_bytes();
    if text.len() != 2 * BYTES {
        return None;
    }
    let mut bytes = Zeroizing::new([0; BYTES]);
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}
