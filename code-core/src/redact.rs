//! Takes known secrets out of text, in the forms in which they leak.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use crate::Secret;

/// What stands where a secret stood.
pub const REDACTED: &str = "[redacted]";

/// A secret shorter than this is not looked for: it would take ordinary words out of every text.
const SHORTEST: usize = 6;

/// Knows the secrets that were lent during a run and takes them out of every text that leaves it: plain,
/// JSON-escaped, hexadecimal, base64 (both alphabets) and URL-encoded.
///
/// Cheap to clone; clones share what they know.
#[derive(Clone, Default)]
pub struct Redactor(Arc<RwLock<Vec<zeroize::Zeroizing<String>>>>);

impl Redactor {
    /// Knows this secret from now on.
    pub fn learn(&self, secret: &Secret) {
        let value = secret.expose();
        if value.len() < SHORTEST {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.iter().any(|form| **form == value) {
            return;
        }
        let plain = value.to_owned();
        let json = serde_json::Value::String(plain.clone()).to_string();
        let json = json[1..json.len() - 1].to_owned();
        let hex: String = plain.bytes().map(|byte| format!("{byte:02x}")).collect();
        let url = url_encoded(&plain);
        let mut forms = vec![url.to_ascii_lowercase(), url, hex.to_ascii_uppercase(), hex, json];
        forms.extend(base64_forms(plain.as_bytes()));
        forms.push(plain);
        for form in forms {
            if !known.iter().any(|k| **k == form) {
                known.push(form.into());
            }
        }
        // The longest first, so that no form hides the rest of a longer one.
        known.sort_by_key(|form| std::cmp::Reverse(form.len()));
    }

    /// The text without the secrets that are known.
    pub fn redact(&self, text: &str) -> String {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut text = text.to_owned();
        for form in known.iter() {
            if text.contains(form.as_str()) {
                text = text.replace(form.as_str(), REDACTED);
            }
        }
        text
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

fn url_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => (byte as char).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// The base64 text (RFC 4648, standard and URL alphabets) that these bytes give at each of the three
/// offsets at which they can stand in a longer text, cut to the characters that depend on them alone.
fn base64_forms(bytes: &[u8]) -> Vec<String> {
    const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut forms = Vec::new();
    for offset in 0..3 {
        // From the first whole group of six bits that lies inside to the last.
        let padded: Vec<u8> = std::iter::repeat_n(0, offset).chain(bytes.iter().copied()).collect();
        let first = (offset * 8).div_ceil(6);
        let last = padded.len() * 8 / 6;
        let sextet = |i: usize| {
            let bit = i * 6;
            let two =
                u16::from(padded[bit / 8]) << 8 | u16::from(padded.get(bit / 8 + 1).copied().unwrap_or(0));
            (two >> (10 - bit % 8)) & 63
        };
        let text: String = (first..last).map(|i| STANDARD[usize::from(sextet(i))] as char).collect();
        if text.len() >= SHORTEST {
            forms.push(text.replace('+', "-").replace('/', "_"));
            forms.push(text);
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_every_form() {
        let redactor = Redactor::default();
        redactor.learn(&Secret::new("p\"ä s/w+rd?ÿ"));
        let hex: String = "p\"ä s/w+rd?ÿ".bytes().map(|b| format!("{b:02x}")).collect();
        for text in [
            "postgres://u:p\"ä s/w+rd?ÿ@h",
            r#"{"x":"p\"ä s/w+rd?ÿ"}"#,
            "postgres://u:p%22%C3%A4%20s%2Fw%2Brd%3F%C3%BF@h",
            hex.as_str(),
            // printf 'p"ä s/w+rd?ÿ' | base64, then with one and two bytes before it
            "cCLDpCBzL3crcmQ/w78=",
            "eHAiw6Qgcy93K3JkP8O/",
            "eHhwIsOkIHMvdytyZD/Dvw==",
        ] {
            let redacted = redactor.redact(text);
            assert!(redacted.contains(REDACTED), "{text} → {redacted}");
        }
        assert_eq!(redactor.redact("nothing here"), "nothing here");
    }

    #[test]
    fn a_short_word_is_no_secret() {
        let redactor = Redactor::default();
        redactor.learn(&Secret::new("a"));
        assert_eq!(redactor.redact("a b a"), "a b a");
    }
}
