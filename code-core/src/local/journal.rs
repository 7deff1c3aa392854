//! The bytes of a journal: pure, no files.
//!
//! ```text
//! log     header record record …                                        all numbers little-endian
//! header  magic "CODEJRN\n" · version u32 · length of name u32 · name · hash
//! record  length of body u32 · version u32 · place u64 · first u64 · last u64 · previous hash · body · hash
//! ```
//!
//! A hash is BLAKE3 over the stored bytes of its header or record before it, and each record holds the hash
//! of what is before it, so that the last hash stands for the whole log. `first` and `last` are the places
//! of the first and the last record of its batch: a batch counts when all of it is there.
//!
//! The chain finds what was damaged, not who rewrote it all: whoever can write the file can hash it anew.

use crate::store::Seq;
use crate::{Error, ErrorKind, Result};

/// The version of the format that this build writes, and the newest that it reads.
pub(super) const VERSION: u32 = 1;
/// The longest body of a record: 64 MiB.
pub(super) const MAX_BODY: usize = 64 << 20;
/// The part of a record before its body.
pub(super) const FIXED: usize = 64;
const MAGIC: &[u8; 8] = b"CODEJRN\n";
/// The part of a header before the name.
const BEFORE_NAME: usize = 16;
const HASH: usize = 32;

pub(super) type Hash = [u8; HASH];

/// A place in a log behind a record that was found good: what the next one must fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The bytes up to here.
    pub(super) offset: u64,
    /// The place of the last event.
    pub(super) last: Seq,
    /// The last hash.
    pub(super) hash: Hash,
}

/// The header of the log of a deployment.
pub(super) fn header(name: &str) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    // A name is at most two labels of 63 bytes.
    bytes.extend((name.len() as u32).to_le_bytes());
    bytes.extend(name.as_bytes());
    bytes.extend(blake3::hash(&bytes).as_bytes());
    bytes
}

/// The place behind the header that `bytes` begin with, where it is one of this deployment.
///
/// The layout of a header is the same in every version: so a newer version is told from a changed byte.
pub(super) fn read_header(bytes: &[u8], name: &str) -> Result<Place> {
    let foreign = |message: String| {
        Error::new(ErrorKind::Corrupt, "journal::foreign", message)
            .help("move the file away: a journal is only ever written by CODE, under the name that it got")
    };
    if !bytes.starts_with(MAGIC) {
        return Err(foreign(format!("read the journal of {name}: the file is no journal")));
    }
    let Some((version, other, hash)) = whole_header(bytes) else { return Err(damaged(name, "the header")) };
    if version > VERSION {
        return Err(newer(name, version));
    }
    if other != name.as_bytes() {
        // A good header, but of another name: the file was moved here.
        let other = String::from_utf8_lossy(other);
        let message =
            format!("read the journal of {name}: the file is the journal of {}", other.escape_debug());
        return Err(foreign(message));
    }
    Ok(Place { offset: (BEFORE_NAME + name.len() + HASH) as u64, last: Seq::START, hash })
}

/// The version, the name and the hash of a header whose hash fits.
fn whole_header(bytes: &[u8]) -> Option<(u32, &[u8], Hash)> {
    let length = u32_at(bytes, 12)? as usize;
    let end = BEFORE_NAME.checked_add(length)?;
    let hash = bytes.get(end..end.checked_add(HASH)?)?;
    let fits = blake3::hash(&bytes[..end]).as_bytes() == hash;
    fits.then_some((u32_at(bytes, 8)?, &bytes[BEFORE_NAME..end], hash.try_into().ok()?))
}

/// Bytes of a newer build.
pub(super) fn newer(name: &str, version: u32) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "journal::version",
        format!("read the journal of {name}: version {version} is newer than this build's {VERSION}"),
    )
    .help("use a build of CODE that is at least as new as the one that wrote it")
}

/// Bytes that are not those that were written.
pub(super) fn damaged(name: &str, what: &str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "journal::damaged",
        format!("read the journal of {name}: {what} is damaged"),
    )
    .help(
        "bring the file back from a backup, or keep what is before the damage: `journal repair`; \
         nothing is written until then",
    )
    .with("deployment", name)
}

/// One batch of records behind a place, and the place behind them.
///
/// # Errors
/// `journal::too-large` where a body is longer than [`MAX_BODY`].
pub(super) fn batch(at: Place, bodies: &[Vec<u8>]) -> Result<(Vec<u8>, Place)> {
    let mut bytes = Vec::with_capacity(bodies.iter().map(|body| FIXED + body.len() + HASH).sum());
    let mut to = at;
    let first = at.last.next();
    let last = Seq(at.last.0 + bodies.len() as u64);
    for body in bodies {
        if body.len() > MAX_BODY {
            return Err(Error::new(
                ErrorKind::Invalid,
                "journal::too-large",
                format!("write an event of {} bytes", body.len()),
            )
            .help(format!(
                "an event has at most {MAX_BODY} bytes: keep large things in files, and name them"
            )));
        }
        let start = bytes.len();
        to.last = to.last.next();
        bytes.extend((body.len() as u32).to_le_bytes());
        bytes.extend(VERSION.to_le_bytes());
        for place in [to.last, first, last] {
            bytes.extend(place.0.to_le_bytes());
        }
        bytes.extend(to.hash);
        bytes.extend(body);
        to.hash = *blake3::hash(&bytes[start..]).as_bytes();
        bytes.extend(to.hash);
    }
    to.offset += bytes.len() as u64;
    Ok((bytes, to))
}

/// A record whose own hash fits; whether it fits its place is another question.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    pub(super) version: u32,
    pub(super) place: Seq,
    pub(super) first: Seq,
    pub(super) last: Seq,
    pub(super) previous: Hash,
    pub(super) body: &'a [u8],
    pub(super) hash: Hash,
}

/// The whole length of the record that begins with these [`FIXED`] bytes, where such a record can be.
pub(super) fn length(fixed: &[u8]) -> Option<usize> {
    let body = u32_at(fixed, 0)? as usize;
    (body <= MAX_BODY).then_some(FIXED + body + HASH)
}

/// The record that `bytes` begin with, where it is whole and its hash fits.
pub(super) fn record(bytes: &[u8]) -> Option<Record<'_>> {
    let length = length(bytes)?;
    let bytes = bytes.get(..length)?;
    let (content, hash) = bytes.split_at(length - HASH);
    if blake3::hash(content).as_bytes() != hash {
        return None;
    }
    Some(Record {
        version: u32_at(content, 4)?,
        place: Seq(u64_at(content, 8)?),
        first: Seq(u64_at(content, 16)?),
        last: Seq(u64_at(content, 24)?),
        previous: content[32..FIXED].try_into().ok()?,
        body: &content[FIXED..],
        hash: hash.try_into().ok()?,
    })
}

/// Whether a later batch than the one that begins at `first` lies somewhere in `bytes`.
///
/// A batch is written only after the one before it was durable, so a later one proves that what is bad was
/// once good. Records of the bad batch itself prove nothing: a disk may keep its end and lose its beginning.
pub(super) fn later_batch(bytes: &[u8], first: Seq) -> bool {
    whole_records(bytes, first.next()).next().is_some()
}

/// The records that lie somewhere in `bytes`, each whole, of batches that begin at `first` or later.
pub(super) fn whole_records(bytes: &[u8], first: Seq) -> impl Iterator<Item = Record<'_>> {
    let plausible = move |at: usize| {
        u32_at(bytes, at + 4).is_some_and(|version| (1..=VERSION).contains(&version))
            && u64_at(bytes, at + 16).is_some_and(|begin| begin >= first.0)
    };
    (0..bytes.len()).filter(move |at| plausible(*at)).filter_map(|at| record(&bytes[at..]))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_of_one_deployment() {
        let good = header("shop/staging");
        let check = |bytes: &[u8], expect: Option<&str>| {
            let error = read_header(bytes, "shop/staging").err();
            assert_eq!(error.as_ref().map(Error::code), expect);
        };
        check(&good, None);
        check(b"", Some("journal::foreign"));
        check(b"PK\x03\x04 this is a zip", Some("journal::foreign"));
        check(&header("shop/production"), Some("journal::foreign"));
        check(&good[..good.len() - 1], Some("journal::damaged"));
        // A newer build seals what it writes; a byte that changed fits no seal.
        let mut changed = good.clone();
        changed[8] = 2;
        check(&changed, Some("journal::damaged"));
        let end = changed.len() - HASH;
        let seal = blake3::hash(&changed[..end]);
        changed[end..].copy_from_slice(seal.as_bytes());
        check(&changed, Some("journal::version"));
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let start = read_header(&header("a/b"), "a/b").unwrap();
        let bodies = [b"one".to_vec(), Vec::new()];
        let (bytes, end) = batch(start, &bodies).unwrap();
        let one = record(&bytes).unwrap();
        assert_eq!((one.body, one.place, one.first, one.last), (&b"one"[..], Seq(1), Seq(1), Seq(2)));
        assert_eq!(one.previous, start.hash);
        let two = record(&bytes[FIXED + 3 + HASH..]).unwrap();
        assert_eq!((two.place, two.previous, two.hash), (Seq(2), one.hash, end.hash));
        assert_eq!(end.offset, start.offset + bytes.len() as u64);
        let (later, _) = batch(end, &bodies).unwrap();
        assert!(later_batch(&[&[0; 7], later.as_slice()].concat(), Seq(1)));
        assert!(!later_batch(&later, Seq(3)), "it is the same batch");
    }

    #[test]
    fn too_large_a_record_is_refused() {
        let start = read_header(&header("a/b"), "a/b").unwrap();
        let error = batch(start, &[vec![0; MAX_BODY + 1]]).unwrap_err();
        assert_eq!(error.code(), "journal::too-large");
        let mut huge = vec![0; FIXED];
        huge[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(length(&huge).is_none() && record(&huge).is_none());
    }
}
