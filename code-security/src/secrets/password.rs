//! Random bytes of the operating system, and passwords made of them.

use code_core::{Error, ErrorKind, Result, Secret};
use zeroize::Zeroizing;

/// The characters of a password: none that a shell, a URL or a configuration file reads in its own way.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// The characters of a password: 32 of 62 kinds are 190 bits.
const LENGTH: usize = 32;

/// A new password: 32 letters and digits, each as likely as any other.
///
/// # Errors
/// `secret::random` where the system has no random bytes.
pub fn generate_password() -> Result<Secret> {
    // The exact size at once: a text that grows would leave copies behind.
    let mut password = String::with_capacity(LENGTH);
    while password.len() < LENGTH {
        let bytes = random::<64>()?;
        let missing = LENGTH - password.len();
        password.extend(bytes.iter().filter_map(|byte| letter(*byte)).take(missing));
    }
    Ok(Secret::new(password))
}

/// The letter of a random byte. From 248 on there is none: 248 is the largest multiple of 62 in a byte, and
/// any more would make the first letters likelier.
fn letter(byte: u8) -> Option<char> {
    (byte < 248).then(|| ALPHABET[usize::from(byte % 62)] as char)
}

/// Random bytes, wiped when they are dropped.
pub(super) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|error| {
        Error::new(ErrorKind::Failed, "secret::random", "get random bytes from the operating system")
            .help("see that `getrandom` is allowed here and /dev/urandom is there")
            .with("reason", error.to_string())
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_letter_is_as_likely_as_any_other() {
        let all: Vec<char> = (0..=u8::MAX).filter_map(letter).collect();
        for wanted in ALPHABET {
            assert_eq!(all.iter().filter(|letter| **letter == char::from(*wanted)).count(), 4);
        }
    }
}
