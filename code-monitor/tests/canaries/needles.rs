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
    /// One bit for what the first four bytes of a text come to: nearly all places end here.
    marks: Vec<bool>,
    /// By its first bytes: the text, and the number of its secret.
    texts: HashMap<[u8; 8], Vec<(Vec<u8>, usize)>>,
}

impl Needles {
    pub(crate) fn of(secrets: &[String]) -> Needles {
        let all = secrets
            .iter()
            .enumerate()
            .flat_map(|(i, secret)| ways(secret).into_iter().map(move |way| (way, i)));
        let all: Vec<(Vec<u8>, usize)> = all.map(|(way, i)| (way.into_bytes(), i)).collect();
        // So many that one place in a hundred has its mark by chance.
        let marks = (all.len() * 100).next_power_of_two().max(1 << 16);
        let mut needles = Needles { marks: vec![false; marks], texts: HashMap::new() };
        for (text, secret) in all {
            let first: [u8; 8] = text[..8].try_into().unwrap();
            let mark = needles.mark(u32::from_le_bytes([first[0], first[1], first[2], first[3]]));
            needles.marks[mark] = true;
            needles.texts.entry(first).or_default().push((text, secret));
        }
        needles
    }

    /// One that is there, where there is one.
    pub(crate) fn found_in(&self, text: &[u8]) -> Option<String> {
        let mut found = None;
        self.walk(text, |needle, _| {
            found = Some(String::from_utf8_lossy(needle).into_owned());
            false
        });
        found
    }

    /// Shows each one that is there, with the number of its secret, as long as `go_on` says so.
    ///
    /// Indices and one window that moves on, instead of an iterator of windows: this reads hundreds of megabytes,
    /// unoptimised.
    pub(crate) fn walk(&self, text: &[u8], mut go_on: impl FnMut(&[u8], usize) -> bool) {
        let mut window =
            text.iter().take(3).rev().fold(0, |window, byte| window << 8 | u32::from(*byte)) << 8;
        let mut at = 0;
        while at + 8 <= text.len() {
            window = window >> 8 | u32::from(text[at + 3]) << 24;
            if self.marks[self.mark(window)] {
                let known =
                    text[at..at + 8].try_into().ok().and_then(|first: [u8; 8]| self.texts.get(&first));
                for (needle, secret) in known.into_iter().flatten() {
                    if text[at..].starts_with(needle) && !go_on(needle, *secret) {
                        return;
                    }
                }
            }
            at += 1;
        }
    }

    fn mark(&self, four: u32) -> usize {
        // Fibonacci hashing (Knuth, volume 3, 6.4): the upper bits are those that all others take part in.
        (four.wrapping_mul(0x9e37_79b1) >> (32 - self.marks.len().trailing_zeros())) as usize
    }
}
