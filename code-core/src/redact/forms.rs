//! The forms of a secret that are looked for as they are. What only puts escapes before characters needs no
//! form: a view takes the escapes off.

use std::collections::BTreeSet;

use zeroize::Zeroizing;

use crate::redact::{SHORTEST, views};

/// Every form of a secret that is long enough to be looked for.
pub(super) fn of(secret: &str) -> Vec<Zeroizing<String>> {
    let mut forms = BTreeSet::new();
    // A tool writes a key of many lines line by line.
    let lines = secret.lines().map(str::trim).filter(|line| *line != secret);
    for text in std::iter::once(secret).chain(lines).filter(|text| text.len() >= SHORTEST) {
        // What stands inside an encoding may have been escaped before.
        let inner = BTreeSet::from([text.to_owned(), json(text), url(text)]);
        for text in &inner {
            let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
            forms.extend([hex.to_ascii_uppercase(), hex]);
            forms.extend(base64(text.as_bytes()));
        }
        // In a view, what looks like an escape in the secret itself has been taken off too.
        forms.extend(views::of(text).into_iter().filter_map(|view| view.text().map(str::to_owned)));
        // A blank of a form's field (WHATWG URL, "application/x-www-form-urlencoded").
        forms.insert(text.replace(' ', "+"));
        forms.insert(text.to_owned());
    }
    forms.into_iter().filter(|form| form.len() >= SHORTEST).map(Zeroizing::new).collect()
}

fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// With everything but unreserved characters (RFC 3986, 2.3) encoded.
fn url(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => (byte as char).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// The base64 text (RFC 4648, standard and URL alphabets) that these bytes give at each of the three
/// offsets at which they can stand in a longer text, cut to the characters that depend on them alone.
fn base64(bytes: &[u8]) -> Vec<String> {
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
        forms.push(text.replace('+', "-").replace('/', "_"));
        forms.push(text);
    }
    forms
}
