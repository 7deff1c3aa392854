//! Secrets to look for, in every form in which a tool may write them.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// So many secrets, each another: passwords, tokens, words with blanks, quotes and accents, numbers, keys of
/// many lines.
pub(crate) fn canaries(count: usize) -> Vec<String> {
    let mut dice = 0x2545_f491_4f6c_dd1d_u64;
    let mut roll = move |below: usize| {
        // xorshift64* (Vigna, 2016): the same canaries in every run.
        dice ^= dice >> 12;
        dice ^= dice << 25;
        dice ^= dice >> 27;
        (dice.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % below
    };
    let kinds: [(&str, usize); 7] = [
        ("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 24),
        ("abcdefghijklmnopqrstuvwxyz0123456789", 12),
        ("0123456789", 14),
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/=_-", 40),
        ("abc!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ xyz", 20),
        ("aäöüßéñ日本語🦀🔑 \"\\/%&", 16),
        ("abcdefghijklmnopqrstuvwxyz+/\n", 120),
    ];
    (0..count)
        .map(|i| {
            let (alphabet, length) = kinds[i % kinds.len()];
            let letters: Vec<char> = alphabet.chars().collect();
            let text: String = (0..length).map(|_| letters[roll(letters.len())]).collect();
            // Blanks at the ends are what a tool trims: they are no part of what is looked for.
            format!("c{}n", text.trim())
        })
        .collect()
}

/// A secret as tools write it: each form holds all of it.
pub(crate) fn forms(secret: &str) -> Vec<String> {
    let json = |text: &str| {
        let quoted = serde_json::to_string(text).unwrap();
        quoted[1..quoted.len() - 1].to_owned()
    };
    let units = |text: &str| -> String { text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect() };
    let hex = |text: &str| -> String { text.bytes().map(|byte| format!("{byte:02x}")).collect() };
    let url = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    let all: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let mut forms = vec![
        secret.to_owned(),
        json(secret),
        json(&json(secret)),
        units(secret),
        units(secret).to_uppercase().replace("\\U", "\\u"),
        url.clone(),
        lower_escapes(&url),
        url.replace("%20", "+"),
        utf8_percent_encode(&url, NON_ALPHANUMERIC).to_string(),
        lower_escapes(&all),
        all,
        hex(secret),
        hex(secret).to_uppercase(),
        html.replace('\'', "&#39;"),
        secret.replace('\'', "'\\''"),
        secret.replace('\'', "'\"'\"'"),
        {
            let quoted = format!("{secret:?}");
            quoted[1..quoted.len() - 1].to_owned()
        },
        STANDARD.encode(secret),
        URL_SAFE.encode(secret),
        STANDARD_NO_PAD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        STANDARD.encode(json(secret)),
        STANDARD.encode(&url),
    ];
    for before in ["user:", "u:", "xuser:"] {
        forms.push(STANDARD.encode(format!("{before}{secret}@host")));
        forms.push(URL_SAFE.encode(format!("{before}{secret}@host")));
    }
    forms
}

fn lower_escapes(url: &str) -> String {
    let mut parts = url.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| format!("{text}%{}{}", part[..2].to_lowercase(), &part[2..]))
}

/// Finds any of many texts in another, in one walk: by their first eight bytes.
#[derive(Debug)]
pub(crate) struct Needles(HashMap<[u8; 8], Vec<Vec<u8>>>);

impl Needles {
    pub(crate) fn of(secrets: &[String]) -> Needles {
        let mut needles: HashMap<[u8; 8], Vec<Vec<u8>>> = HashMap::new();
        for form in secrets.iter().flat_map(|secret| forms(secret)) {
            let first = form.as_bytes()[..8].try_into().unwrap();
            needles.entry(first).or_default().push(form.into_bytes());
        }
        Needles(needles)
    }

    /// One that is there, where there is one.
    pub(crate) fn found_in(&self, text: &str) -> Option<String> {
        let bytes = text.as_bytes();
        (0..bytes.len().saturating_sub(7)).find_map(|at| {
            let first: [u8; 8] = bytes[at..at + 8].try_into().ok()?;
            let found = self.0.get(&first)?.iter().find(|needle| bytes[at..].starts_with(needle))?;
            Some(String::from_utf8_lossy(found).into_owned())
        })
    }
}
