//! A text as it reads without its encodings, with the way back from each byte to where it stood.
//!
//! ```text
//! text   p % 4 0 s s \ u 0 0 2 2 w        Basic cEBzcyJ3
//! view   p @     s s "           w              p@ss"w      each byte knows its place in the text
//! ```
//!
//! Views are made of views: base64 of JSON in a URL is three encodings.

use std::ops::Range;

use crate::redact::SHORTEST;

/// How many encodings, one in the other, are taken off.
const LEVELS: usize = 4;

/// A text as it reads in some way.
#[derive(Debug)]
pub(super) struct View<'a>(Shown<'a>);

#[derive(Debug)]
enum Shown<'a> {
    Plain(&'a str),
    Decoded { bytes: Vec<u8>, places: Vec<Range<usize>> },
}

impl<'a> View<'a> {
    fn plain(text: &'a str) -> View<'a> {
        View(Shown::Plain(text))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match &self.0 {
            Shown::Plain(text) => text.as_bytes(),
            Shown::Decoded { bytes, .. } => bytes,
        }
    }

    /// Where a range of its bytes stands in the text; the range is not empty.
    pub(super) fn place(&self, range: Range<usize>) -> Range<usize> {
        match &self.0 {
            Shown::Plain(_) => range,
            Shown::Decoded { places, .. } => places[range.start].start..places[range.end - 1].end,
        }
    }

    /// The view that `take` makes of this one, where it differs. `take` gives what stands at a place, and how
    /// many bytes that takes; `None`: the byte itself.
    fn through(&self, take: impl Fn(&[u8]) -> Option<(Vec<u8>, usize)>) -> Option<View<'static>> {
        let from = self.bytes();
        let (mut bytes, mut places) = (Vec::with_capacity(from.len()), Vec::with_capacity(from.len()));
        let (mut at, mut differs) = (0, false);
        while at < from.len() {
            match take(&from[at..]) {
                Some((read, length)) => {
                    let place = self.place(at..at + length);
                    places.extend(read.iter().map(|_| place.clone()));
                    bytes.extend(read);
                    at += length;
                    differs = true;
                }
                None => {
                    bytes.push(from[at]);
                    places.push(self.place(at..at + 1));
                    at += 1;
                }
            }
        }
        differs.then_some(View(Shown::Decoded { bytes, places }))
    }

    /// What runs of at least `shortest` digits of `bits` bits say as bytes. Where a run began before its secret
    /// did, nobody knows where its bytes begin: it is read from each of its first `starts` digits.
    fn decoded(
        &self,
        shortest: usize,
        bits: usize,
        starts: usize,
        digit: impl Fn(u8) -> Option<u32>,
    ) -> Option<View<'static>> {
        let from = self.bytes();
        let (mut bytes, mut places) = (Vec::new(), Vec::new());
        let mut at = 0;
        while at < from.len() {
            let length = from[at..].iter().take_while(|byte| digit(**byte).is_some()).count();
            if length < shortest {
                at += length.max(1);
                continue;
            }
            let run: Vec<u32> = from[at..at + length].iter().filter_map(|byte| digit(*byte)).collect();
            for start in 0..starts {
                let read = packed(&run[start..], bits);
                // The digits that a byte of these stands in.
                let place = |byte: usize| {
                    let (first, last) = (byte * 8 / bits, (byte * 8 + 7) / bits);
                    self.place(at + start + first..at + start + last + 1)
                };
                // What is no text was no text before, or is read from the wrong digit.
                let mut next = 0;
                for piece in read.utf8_chunks() {
                    let text = piece.valid().len();
                    if text >= SHORTEST {
                        bytes.extend_from_slice(piece.valid().as_bytes());
                        places.extend((next..next + text).map(place));
                        // What stands on its two sides does not belong together.
                        bytes.push(0);
                        places.push(self.place(at..at + 1));
                    }
                    next += text + piece.invalid().len();
                }
            }
            at += length;
        }
        (!bytes.is_empty()).then_some(View(Shown::Decoded { bytes, places }))
    }
}

/// The bytes that digits of so many bits make; what is left over at the end is none.
fn packed(digits: &[u32], bits: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(digits.len() * bits / 8);
    let (mut value, mut held) = (0, 0);
    for digit in digits {
        value = value << bits | digit;
        held += bits;
        if held >= 8 {
            held -= 8;
            bytes.push((value >> held) as u8);
            value &= (1 << held) - 1;
        }
    }
    bytes
}

/// Every way to read a text, the first as it is.
pub(super) fn of(text: &str) -> Vec<View<'_>> {
    let mut views = vec![View::plain(text)];
    let mut done = 0;
    for _ in 0..LEVELS {
        let next: Vec<_> = views[done..].iter().flat_map(others).collect();
        done = views.len();
        for view in next {
            // Line breaks before escapes or escapes before line breaks is often the same.
            if !views.iter().any(|known| known.bytes() == view.bytes()) {
                views.push(view);
            }
        }
    }
    views
}

/// A view with one more encoding taken off: escapes, line breaks (tools break long lines), hexadecimal, base64.
///
/// Escapes of all kinds may be mixed. Those with a backslash are also taken off alone: in a JSON string the end of a
/// secret and what follows it may look like an escape of another kind (`%` and `00`), and be none.
fn others(view: &View<'_>) -> Vec<View<'static>> {
    let has = |what: &[u8]| view.bytes().iter().any(|byte| what.contains(byte));
    let escapes = has(b"%\\&").then(|| view.through(unescaped)).flatten();
    let backslashes = (has(b"\\") && has(b"%&")).then(|| view.through(backslashed)).flatten();
    let quotes = has(b"'").then(|| view.through(unquoted)).flatten();
    let lines = has(b"\r\n").then(|| view.through(joined)).flatten();
    let hex = view.decoded(SHORTEST * 2, 4, 2, |byte| (byte as char).to_digit(16));
    let base64 = view.decoded((SHORTEST * 8).div_ceil(6), 6, 4, sextet);
    [escapes, backslashes, quotes, lines, hex, base64].into_iter().flatten().collect()
}

/// The six bits of a digit of base64, of the standard alphabet or that for URLs (RFC 4648).
fn sextet(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    }))
}

/// A line break and the indentation after it are nothing.
fn joined(rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    matches!(rest[0], b'\n' | b'\r').then(|| {
        let blank = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        (Vec::new(), blank)
    })
}

/// A quote that is taken out of a shell's quotes, in which a backslash is nothing but one: `'\''`, `'"'"'`.
fn unquoted(rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    match rest {
        [b'\'', b'\\', b'\'', b'\'', ..] => Some((b"'".to_vec(), 4)),
        [b'\'', b'"', b'\'', b'"', b'\'', ..] => Some((b"'".to_vec(), 5)),
        _ => None,
    }
}

/// An escape that begins with a backslash.
fn backslashed(rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    if rest[0] == b'\\' { unescaped(rest) } else { None }
}

/// What an escape stands for, and its length: `%41`, `\"`, `\x41`, `\u0041`, `\u{41}`, `&quot;`, `&#65;`.
fn unescaped(rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    match rest {
        [b'%', high, low, ..] => Some((vec![hex(&[*high, *low])? as u8], 3)),
        [b'\\', b'x', high, low, ..] if hex(&[*high, *low]).is_some() => {
            Some((vec![hex(&[*high, *low])? as u8], 4))
        }
        [b'\\', b'u', b'{', digits @ ..] => {
            let end = digits.iter().take(7).position(|byte| *byte == b'}')?;
            Some((utf8(hex(&digits[..end])?)?, 3 + end + 1))
        }
        [b'\\', b'u', digits @ ..] if digits.len() >= 4 && hex(&digits[..4]).is_some() => {
            let first = hex(&digits[..4])?;
            match digits[4..] {
                // Two surrogates are one character (RFC 8259, 7).
                [b'\\', b'u', ref second @ ..] if (0xd800..0xdc00).contains(&first) && second.len() >= 4 => {
                    let second = hex(&second[..4]).filter(|second| (0xdc00..0xe000).contains(second))?;
                    Some((utf8(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))?, 12))
                }
                _ => Some((utf8(first)?, 6)),
            }
        }
        [b'\\', b'\n', ..] => Some((Vec::new(), 2)),
        [b'\\', byte, ..] => {
            let read = match byte {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'b' => 8,
                b'f' => 12,
                b'0' => 0,
                other => *other,
            };
            Some((vec![read], 2))
        }
        [b'&', ..] => entity(rest),
        _ => None,
    }
}

fn entity(rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    let end = rest.iter().take(10).position(|byte| *byte == b';')?;
    let read = match &rest[1..end] {
        b"amp" => vec![b'&'],
        b"lt" => vec![b'<'],
        b"gt" => vec![b'>'],
        b"quot" => vec![b'"'],
        b"apos" => vec![b'\''],
        [b'#', b'x' | b'X', digits @ ..] => utf8(hex(digits)?)?,
        [b'#', digits @ ..] => utf8(std::str::from_utf8(digits).ok()?.parse().ok()?)?,
        _ => return None,
    };
    Some((read, end + 1))
}

fn hex(digits: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u32::from_str_radix(text, 16).ok()
}

fn utf8(code: u32) -> Option<Vec<u8>> {
    char::from_u32(code).map(|character| character.to_string().into_bytes())
}
