//! The format of one sealed secret, version 1. Pure: bytes in, bytes out.
//!
//! ```text
//! offset  bytes  what
//!      0      8  "CODE-SEC"
//!      8      1  version: 1
//!      9      8  the key's id
//!     17     24  nonce, random for each sealing
//!     41      4  length of the name, little endian
//!     45      n  the name, UTF-8
//!   45+n      …  the value, sealed with XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), and its 16-byte tag
//! ```
//!
//! Everything before the value is associated data: a flipped bit, a cut end, or a record that was copied to
//! another name does not open. The name is readable: names of secrets are no secrets, and sealing all
//! records again under a new key needs them. The length of the value can be told from that of the file.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use code_core::{Error, ErrorKind, Result, Secret};

use super::keys::{KEY_ID, Key, Keys};
use super::password::random;

const MAGIC: &[u8; 8] = b"CODE-SEC";
const VERSION: u8 = 1;
const NONCE: usize = 24;
const NAME_LENGTH: usize = 4;

/// Seals a value under a name with the current key.
///
/// # Errors
/// `secret::random`, and `secret::store` where the value is too long for the cipher.
pub(super) fn seal(keys: &Keys, name: &str, value: &Secret) -> Result<Vec<u8>> {
    let key = keys.current();
    let nonce = random::<NONCE>()?;
    let length = u32::try_from(name.len()).map_err(|_| too_long())?;
    let mut record = Vec::new();
    record.extend_from_slice(MAGIC);
    record.push(VERSION);
    record.extend_from_slice(&key.id());
    record.extend_from_slice(&*nonce);
    record.extend_from_slice(&length.to_le_bytes());
    record.extend_from_slice(name.as_bytes());
    let payload = Payload { msg: value.expose().as_bytes(), aad: &record };
    let sealed = cipher(key).encrypt(&XNonce::from(*nonce), payload).map_err(|_| too_long())?;
    record.extend_from_slice(&sealed);
    Ok(record)
}

/// Opens a record that should hold the value of this name.
///
/// # Errors
/// `secret::corrupt`, and `secret::key` where the key that sealed it is not among these.
pub(super) fn open(keys: &Keys, name: &str, record: &[u8]) -> Result<Secret> {
    let mut rest = record;
    let magic = take(&mut rest, MAGIC.len())?;
    if magic != MAGIC {
        return Err(corrupt("it is no sealed secret"));
    }
    let version = take(&mut rest, 1)?;
    if version != [VERSION] {
        return Err(corrupt("its format is of a version that this build does not know"));
    }
    let id = take(&mut rest, KEY_ID)?;
    let nonce: [u8; NONCE] = array(take(&mut rest, NONCE)?)?;
    let length = u32::from_le_bytes(array(take(&mut rest, NAME_LENGTH)?)?);
    let stored = take(&mut rest, usize::try_from(length).unwrap_or(usize::MAX))?;
    if stored != name.as_bytes() {
        return Err(corrupt("it was sealed under another name"));
    }
    let Some(key) = keys.find(id) else {
        return Err(Error::new(ErrorKind::NotFound, "secret::key", "find the key that a secret was sealed with")
            .help("put the `key` file back that belongs to these secrets; or delete the secret's file, and deploy again"));
    };
    let aad = &record[..record.len() - rest.len()];
    let value = cipher(key)
        .decrypt(&XNonce::from(nonce), Payload { msg: rest, aad })
        .map_err(|_| corrupt("its content does not fit its seal"))?;
    match String::from_utf8(value) {
        Ok(value) => Ok(Secret::new(value)),
        Err(error) => {
            drop(zeroize::Zeroizing::new(error.into_bytes()));
            Err(corrupt("its value is no text"))
        }
    }
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.bytes().into())
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(count).ok_or_else(|| corrupt("it is cut off"))?;
    *rest = tail;
    Ok(head)
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| corrupt("it is cut off"))
}

fn corrupt(why: &str) -> Error {
    Error::new(ErrorKind::Corrupt, "secret::corrupt", format!("read a stored secret: {why}")).help(
        "restore the file from a backup; or delete it and deploy again: a generated secret is made anew, and the \
         database it belongs to must be told",
    )
}

fn too_long() -> Error {
    Error::new(ErrorKind::Invalid, "secret::too-long", "seal a secret of this length")
        .help("store something shorter")
}
