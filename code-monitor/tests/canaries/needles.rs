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
            match i % kinds.len() {
                // One that a tool may take for a number.
                2 => format!("1{text}"),
                // Blanks at the ends are what a tool trims: they are no part of what is looked for.
                _ => format!("c{}n", text.trim()),
            }
        })
        .collect()
}

/// How tools write a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    Json,
    Url,
    Hex,
    Base64,
    Quoted,
}

pub(crate) const FORMS: [Form; 6] =
    [Form::Plain, Form::Json, Form::Url, Form::Hex, Form::Base64, Form::Quoted];

impl Form {
    /// Every way in which a tool does it: each holds all of the secret.
    pub(crate) fn ways(self, secret: &str) -> Vec<String> {
        let json = |text: &str| {
            let quoted = serde_json::to_string(text).unwrap();
            quoted[1..quoted.len() - 1].to_owned()
        };
        let url = || utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
        match self {
            Form::Plain => vec![secret.to_owned()],
            Form::Json => {
                let units: String = secret.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
                vec![json(secret), json(&json(secret)), units.to_uppercase().replace("\\U", "\\u"), units]
            }
            Form::Url => {
                let all: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
                vec![
                    url(),
                    lower_escapes(&url()),
                    url().replace("%20", "+"),
                    utf8_percent_encode(&url(), NON_ALPHANUMERIC).to_string(),
                    lower_escapes(&all),
                    all,
                ]
            }
            Form::Hex => {
                let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
                vec![hex.to_uppercase(), hex]
            }
            Form::Base64 => {
                let mut ways = vec![
                    STANDARD.encode(secret),
                    URL_SAFE.encode(secret),
                    STANDARD_NO_PAD.encode(secret),
                    URL_SAFE_NO_PAD.encode(secret),
                    STANDARD.encode(json(secret)),
                    STANDARD.encode(url()),
                ];
                for before in ["user:", "u:", "xuser:"] {
                    ways.push(STANDARD.encode(format!("{before}{secret}@host")));
                    ways.push(URL_SAFE.encode(format!("{before}{secret}@host")));
                }
                ways
            }
            Form::Quoted => {
                let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                let rust = format!("{secret:?}");
                vec![
                    html.replace('"', "&quot;").replace('\'', "&#39;"),
                    secret.replace('\'', "'\\''"),
                    secret.replace('\'', "'\"'\"'"),
                    rust[1..rust.len() - 1].to_owned(),
                ]
            }
        }
    }
}

/// A secret in every form, in every way.
pub(crate) fn ways(secret: &str) -> Vec<String> {
    FORMS.into_iter().flat_map(|form| form.ways(secret)).collect()
}

fn lower_escapes(url: &str) -> String {
    let mut parts = url.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| format!("{text}%{}{}", part[..2].to_lowercase(), &part[2..]))
}

/// Finds any of many texts in another, in one walk: by their first eight bytes.
#[derive(Debug)]
pub(crate) struct Needles {
    /// One bit for what the first four bytes of a text come to: most places end here.
    marks: Vec<bool>,
    texts: HashMap<[u8; 8], Vec<Vec<u8>>>,
}

impl Needles {
    pub(crate) fn of(secrets: &[String]) -> Needles {
        let mut needles = Needles { marks: vec![false; 1 << 16], texts: HashMap::new() };
        for text in secrets.iter().flat_map(|secret| ways(secret)) {
            let first = text.as_bytes()[..8].try_into().unwrap();
            needles.marks[mark(text.as_bytes())] = true;
            needles.texts.entry(first).or_default().push(text.into_bytes());
        }
        needles
    }

    /// One that is there, where there is one.
    pub(crate) fn found_in(&self, text: &[u8]) -> Option<String> {
        let found = |at: usize, rest: &[u8]| {
            let first: [u8; 8] = rest.try_into().ok()?;
            let found = self.texts.get(&first)?.iter().find(|needle| text[at..].starts_with(needle))?;
            Some(String::from_utf8_lossy(found).into_owned())
        };
        let mut places = text.windows(8).enumerate().filter(|(_, rest)| self.marks[mark(rest)]);
        places.find_map(|(at, rest)| found(at, rest))
    }
}

fn mark(bytes: &[u8]) -> usize {
    let four = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    (four.wrapping_mul(0x9e37_79b1) >> 16) as usize
}
