//! A text as it reads without its escapes, with the way back from each byte to where it stood.
//!
//! ```text
//! text   p % 4 0 s s \ u 0 0 2 2 w
//! view   p @     s s "           w      each byte knows its place in the text
//! ```

use std::ops::Range;

/// How often escapes are taken off: a JSON text in a JSON text in a URL is three.
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
    /// The text as it is.
    pub(super) fn plain(text: &'a str) -> View<'a> {
        View(Shown::Plain(text))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match &self.0 {
            Shown::Plain(text) => text.as_bytes(),
            Shown::Decoded { bytes, .. } => bytes,
        }
    }

    /// What it reads, where that is text.
    pub(super) fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes()).ok()
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
}

/// Every other way to read a text: with its escapes taken off once, twice …, and the same with its lines
/// joined, because tools break long lines.
pub(super) fn of(text: &str) -> Vec<View<'static>> {
    let plain = View::plain(text);
    let mut views = Vec::new();
    let mut push_levels = |first: Option<View<'static>>| {
        let mut next = first;
        for _ in 0..LEVELS {
            let Some(view) = next else { return };
            next = view.through(unescaped);
            views.push(view);
        }
    };
    if text.bytes().any(|byte| matches!(byte, b'%' | b'\\' | b'&' | b'"')) {
        push_levels(plain.through(unescaped));
    }
    if text.contains(['\n', '\r']) {
        push_levels(plain.through(joined));
    }
    views
}

/// A line break and the indentation after it are nothing.
fn joined(rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    matches!(rest[0], b'\n' | b'\r').then(|| {
        let blank = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        (Vec::new(), blank)
    })
}

/// What an escape stands for, and its length: `%41`, `\"`, `\x41`, `\u0041`, `\u{41}`, `&quot;`, `&#65;`, and
/// a quote that is taken out of a shell's quotes (`'\''`, `'"'"'`).
fn unescaped(rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    match rest {
        [b'%', high, low, ..] => Some((vec![hex(&[*high, *low])? as u8], 3)),
        [b'\'', b'\\', b'\'', b'\'', ..] => Some((b"'".to_vec(), 4)),
        [b'\'', b'"', b'\'', b'"', b'\'', ..] => Some((b"'".to_vec(), 5)),
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
