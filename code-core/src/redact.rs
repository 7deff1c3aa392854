//! Takes known secrets out of text, in the forms in which they leak.
//!
//! ```text
//!            learn                                       redact
//! secret ──▶ forms: plain, each line                     text ──▶ views: as it is, and with up to four
//!              │                                                    │     encodings taken off, one in the other
//!              ▼                                                    ▼
//!         fingerprints: (hash of the first 8 bytes, ◀──look up── a window of 8 bytes, moved on byte by byte
//!                        length, keyed digest)                      │
//!                                                                   └──▶ the places in the text: [redacted]
//! ```
//!
//! Nothing here holds a secret: a form is known by its keyed fingerprint, and the time that a text takes does
//! not grow with the number of secrets (the idea of Karp and Rabin, 1987: compare fingerprints of windows).
//! What is found, and what is not, is in `docs/security.md`.

mod forms;
mod views;

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use crate::Secret;
use crate::redact::views::Views;

/// What stands where a secret stood.
pub const REDACTED: &str = "[redacted]";

/// The shortest secret, in bytes. A shorter one would take ordinary words out of every text, so it is never
/// lent: see [`Ctx::secret`](crate::Ctx::secret).
pub const SHORTEST: usize = 8;

/// How long a hash of four bytes is, in bits: 32 KiB of marks, of which a thousand secrets set one in fifty.
const MARK: u32 = 18;

/// Knows the secrets that were lent, and takes them out of every text that leaves the engine: plain, line by
/// line, JSON-escaped, URL-encoded, quoted for a shell, as HTML or a string literal, hexadecimal, base64 in
/// both alphabets, all of that also in part, inside a longer text, and up to four of them one in the other.
///
/// Cheap to clone; clones share what they know.
#[derive(Clone, Default)]
pub struct Redactor(Arc<RwLock<Known>>);

impl Redactor {
    /// Knows this secret from now on, where it is not too short to be looked for.
    pub fn learn(&self, secret: &Secret) {
        let value = secret.expose();
        if value.len() < SHORTEST
            || self.read(|known| known.form_at(value.as_bytes(), 0) == Some(value.len()))
        {
            return;
        }
        let forms = forms::of(value);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for form in forms {
            known.insert(&form);
        }
    }

    /// The text without the secrets that are known.
    pub fn redact(&self, text: &str) -> String {
        let mut clean = String::new();
        let mut done = 0;
        for found in self.places(text) {
            clean.push_str(&text[done..found.start]);
            clean.push_str(REDACTED);
            done = found.end;
        }
        clean.push_str(&text[done..]);
        clean
    }

    /// Whether a secret that is known is in the text.
    pub fn finds(&self, text: &str) -> bool {
        !self.places(text).is_empty()
    }

    /// Where secrets are, in order, without overlaps, each between two characters.
    fn places(&self, text: &str) -> Vec<Range<usize>> {
        self.read(|known| {
            if known.is_empty() || text.len() < SHORTEST {
                return Vec::new();
            }
            let views = Views::of(text);
            let found = views.shown().enumerate().flat_map(|(view, bytes)| {
                known.find(bytes).into_iter().map(|range| (view, range)).collect::<Vec<_>>()
            });
            merged(text, found.map(|(view, range)| views.place(view, range)).collect())
        })
    }

    fn read<T>(&self, f: impl FnOnce(&Known) -> T) -> T {
        f(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

/// The fingerprints of all forms.
struct Known {
    hasher: RandomState,
    key: [u8; 32],
    /// One bit for each hash of the first four bytes of a form: nearly all windows end here.
    marks: Vec<u64>,
    mix: u32,
    /// By the hash of a form's first window: its length and its keyed digest, the longest first.
    forms: HashMap<u64, Vec<(usize, blake3::Hash)>>,
}

impl Default for Known {
    fn default() -> Known {
        let hasher = RandomState::new();
        let mut key = [0; 32];
        for (i, part) in key.chunks_mut(8).enumerate() {
            part.copy_from_slice(&hasher.hash_one(i).to_le_bytes());
        }
        let mix = hasher.hash_one("mix") as u32 | 1;
        Known { hasher, key, marks: vec![0; 1 << (MARK - 6)], mix, forms: HashMap::new() }
    }
}

impl Known {
    fn is_empty(&self) -> bool {
        self.forms.is_empty()
    }

    fn window(bytes: &[u8], at: usize) -> Option<u64> {
        let window: [u8; SHORTEST] = bytes.get(at..at + SHORTEST)?.try_into().ok()?;
        Some(u64::from_le_bytes(window))
    }

    /// The place of the bit in `marks` of a window that begins with these four bytes.
    fn mark(&self, four: u32) -> (usize, u64) {
        let mark = four.wrapping_mul(self.mix) >> (32 - MARK);
        ((mark >> 6) as usize, 1 << (mark & 63))
    }

    fn insert(&mut self, form: &[u8]) {
        let Some(window) = Known::window(form, 0) else { return };
        let (word, bit) = self.mark(window as u32);
        self.marks[word] |= bit;
        let one = (form.len(), blake3::keyed_hash(&self.key, form));
        let forms = self.forms.entry(self.hasher.hash_one(window)).or_default();
        if !forms.contains(&one) {
            forms.push(one);
            forms.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
        }
    }

    /// The length of the longest form that begins at a place.
    fn form_at(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let window = Known::window(bytes, at)?;
        let fits = |(length, digest): &&(usize, blake3::Hash)| {
            bytes.get(at..at + length).is_some_and(|form| blake3::keyed_hash(&self.key, form) == *digest)
        };
        self.forms.get(&self.hasher.hash_one(window))?.iter().find(fits).map(|(length, _)| *length)
    }

    /// Where forms stand in these bytes.
    fn find(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let (mut found, mut at) = (Vec::new(), 0);
        while at + SHORTEST <= bytes.len() {
            let (word, bit) =
                self.mark(u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]));
            if self.marks[word] & bit != 0
                && let Some(length) = self.form_at(bytes, at)
            {
                found.push(at..at + length);
            }
            at += 1;
        }
        found
    }
}

/// Sorted, joined where they touch, and widened to whole characters.
fn merged(text: &str, mut found: Vec<Range<usize>>) -> Vec<Range<usize>> {
    found.sort_by_key(|place| place.start);
    let mut all: Vec<Range<usize>> = Vec::new();
    for mut place in found {
        while !text.is_char_boundary(place.start) {
            place.start -= 1;
        }
        while !text.is_char_boundary(place.end) {
            place.end += 1;
        }
        match all.last_mut() {
            Some(last) if place.start <= last.end => last.end = last.end.max(place.end),
            _ => all.push(place),
        }
    }
    all
}

#[cfg(test)]
mod tests;
