//! Passwords that the engine makes itself.

use code_core::{Error, ErrorKind, Result, Secret};

/// How long a password is, in letters: 190 bits.
const LETTERS_OF_ONE: usize = 32;

/// A password that needs no quoting anywhere, from the system's random numbers.
pub(crate) fn make() -> Result<Secret> {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut password = String::with_capacity(LETTERS_OF_ONE);
    while password.len() < LETTERS_OF_ONE {
        let mut bytes = [0; LETTERS_OF_ONE];
        getrandom::fill(&mut bytes).map_err(|cause| {
            Error::new(ErrorKind::Failed, "secret::random", "get random numbers from the system")
                .help("this machine gives no random numbers yet: wait a little, and try again")
                .because(std::io::Error::other(cause.to_string()))
        })?;
        // 248 is four times 62: a byte above it would make some letters more likely.
        let letters =
            bytes.iter().filter(|byte| **byte < 248).map(|byte| LETTERS[usize::from(byte % 62)] as char);
        password.extend(letters.take(LETTERS_OF_ONE - password.len()));
    }
    Ok(Secret::new(password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_long_plain_and_never_the_same() {
        let (one, other) = (make().unwrap(), make().unwrap());
        assert_eq!(one.expose().len(), LETTERS_OF_ONE);
        assert!(one.expose().chars().all(|c| c.is_ascii_alphanumeric()));
        assert!(one.expose() != other.expose());
    }
}
