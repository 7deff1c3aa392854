//! A text as it reads without its encodings, with the way back from each byte to where it stood.
//!
//! ```text
//! text   p % 4 0 s s \ u 0 0 2 2 w        Basic cEBzcyJ3
//! view   p @     s s "           w              p@ss"w      each byte knows its place in the text
//! ```
//!
//! Views are made of views: base64 of JSON in a URL is three encodings.

use std::borrow::Cow;
use std::ops::Range;

use crate::redact::SHORTEST;

/// How many encodings, one in the other, are taken off.
const LEVELS: usize = 4;

/// Every way to read a text, the first as it is.
#[derive(Debug)]
pub(super) struct Views<'a>(Vec<View<'a>>);

/// A text as it reads in some way: what it shows, and where that stands in the view of which it was made.
#[derive(Debug)]
struct View<'a> {
    bytes: Cow<'a, [u8]>,
    /// The number of the view of which it was made; of the text itself, its own.
    from: usize,
    /// In order. Nothing of them is written down for each byte: most texts hold no secret, and nobody asks.
    pieces: Vec<Piece>,
}

/// So many bytes as are before the next piece stand together in the view of which theirs was made.
#[derive(Debug)]
struct Piece {
    at: usize,
    from: usize,
    how: How,
}

#[derive(Clone, Copy, Debug)]
enum How {
    /// As they are.
    Same,
    /// All of them in an escape of this length.
    Escape(usize),
    /// In digits of so many bits, after those of so many bytes.
    Digits { bits: usize, skip: usize },
}

impl<'a> Views<'a> {
    pub(super) fn of(text: &'a str) -> Views<'a> {
        let mut views = vec![View { bytes: Cow::Borrowed(text.as_bytes()), from: 0, pieces: Vec::new() }];
        let mut done = 0;
        for _ in 0..LEVELS {
            let level = done..views.len();
            done = views.len();
            for from in level {
                for view in others(&views[from].bytes) {
                    let view = View { from, ..view };
                    // Line breaks before escapes or escapes before line breaks is often the same.
                    if !(0..views.len()).any(|known| same(&views, known, &view)) {
                        views.push(view);
                    }
                }
            }
        }
        Views(views)
    }

    /// What each of them shows.
    pub(super) fn shown(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|view| &*view.bytes)
    }

    /// Where a range of what a view shows stands in the text; the range is not empty.
    pub(super) fn place(&self, view: usize, range: Range<usize>) -> Range<usize> {
        place(&self.0, view, range)
    }
}

fn place(views: &[View<'_>], mut view: usize, mut range: Range<usize>) -> Range<usize> {
    while view != 0 {
        let made = &views[view];
        range = made.place(range.start).start..made.place(range.end - 1).end;
        view = made.from;
    }
    range
}

/// Whether a view shows nothing but what a known one shows, of the same places: a secret may well stand there twice,
/// in hexadecimal and in base64, and both places count.
fn same(views: &[View<'_>], known: usize, view: &View<'_>) -> bool {
    let places = || {
        view.pieces.iter().all(|piece| {
            let here = place(views, view.from, view.place(piece.at));
            here == place(views, known, piece.at..piece.at + 1)
        })
    };
    views[known].bytes == view.bytes && places()
}

impl View<'_> {
    /// Where a byte stands in the view of which this one was made.
    fn place(&self, byte: usize) -> Range<usize> {
        // There is a piece at 0.
        let piece = &self.pieces[self.pieces.partition_point(|piece| piece.at <= byte) - 1];
        let (from, nth) = (piece.from, byte - piece.at);
        match piece.how {
            How::Same => from + nth..from + nth + 1,
            How::Escape(length) => from..from + length,
            How::Digits { bits, skip } => {
                let bit = (skip + nth) * 8;
                from + bit / bits..from + (bit + 7) / bits + 1
            }
        }
    }
}

/// A view that is being made.
#[derive(Default)]
struct Made {
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
}

impl Made {
    fn push(&mut self, bytes: &[u8], from: usize, how: How) {
        if !bytes.is_empty() {
            self.pieces.push(Piece { at: self.bytes.len(), from, how });
            self.bytes.extend_from_slice(bytes);
        }
    }

    fn done(self) -> View<'static> {
        View { bytes: Cow::Owned(self.bytes), from: 0, pieces: self.pieces }
    }
}

/// What stands for something else: the bytes that it stands for, at most four, and how many it takes itself.
struct Escape {
    bytes: [u8; 4],
    count: usize,
    length: usize,
}

impl Escape {
    fn byte(byte: u8, length: usize) -> Escape {
        Escape { bytes: [byte, 0, 0, 0], count: 1, length }
    }

    fn nothing(length: usize) -> Escape {
        Escape { bytes: [0; 4], count: 0, length }
    }

    fn character(code: u32, length: usize) -> Option<Escape> {
        let mut bytes = [0; 4];
        let count = char::from_u32(code)?.encode_utf8(&mut bytes).len();
        Some(Escape { bytes, count, length })
    }
}

/// The view in which what `take` knows is read as what it stands for, where there is any. `first` are the bytes
/// with which such a thing begins.
fn through(from: &[u8], first: &[u8], take: impl Fn(&[u8]) -> Option<Escape>) -> Option<View<'static>> {
    let mut begins = [false; 256];
    first.iter().for_each(|byte| begins[usize::from(*byte)] = true);
    let mut made = Made::default();
    let (mut at, mut done) = (0, 0);
    while at < from.len() {
        let taken = if begins[usize::from(from[at])] { take(&from[at..]) } else { None };
        let Some(Escape { bytes, count, length }) = taken else {
            at += 1;
            continue;
        };
        made.push(&from[done..at], done, How::Same);
        made.push(&bytes[..count], at, How::Escape(length));
        at += length;
        done = at;
    }
    if done == 0 {
        return None;
    }
    made.push(&from[done..], done, How::Same);
    Some(made.done())
}

/// What runs of at least `shortest` digits of `bits` bits say as bytes. Where a run began before its secret did,
/// nobody knows where its bytes begin: it is read from each of its first `starts` digits.
fn decoded(
    from: &[u8],
    shortest: usize,
    bits: usize,
    starts: usize,
    digits: &[Option<u8>; 256],
) -> Option<View<'static>> {
    let mut made = Made::default();
    let mut run = Vec::new();
    let mut at = 0;
    while at < from.len() {
        run.clear();
        while let Some(digit) = from.get(at + run.len()).and_then(|byte| digits[usize::from(*byte)]) {
            run.push(digit);
        }
        if run.len() < shortest {
            at += run.len().max(1);
            continue;
        }
        for start in 0..starts {
            let read = packed(&run[start..], bits);
            // What is no text was no text before, or is read from the wrong digit.
            let mut next = 0;
            for piece in read.utf8_chunks() {
                let text = piece.valid();
                if text.len() >= SHORTEST {
                    made.push(text.as_bytes(), at + start, How::Digits { bits, skip: next });
                    // What stands on its two sides does not belong together.
                    made.push(&[0], at, How::Same);
                }
                next += text.len() + piece.invalid().len();
            }
        }
        at += run.len();
    }
    (!made.bytes.is_empty()).then(|| made.done())
}

/// The bytes that digits of so many bits make; what is left over at the end is none.
fn packed(digits: &[u8], bits: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(digits.len() * bits / 8);
    let (mut value, mut held) = (0u32, 0);
    for digit in digits {
        value = value << bits | u32::from(*digit);
        held += bits;
        if held >= 8 {
            held -= 8;
            bytes.push((value >> held) as u8);
            value &= (1 << held) - 1;
        }
    }
    bytes
}

/// A text with one more encoding taken off: escapes, line breaks (tools break long lines), hexadecimal, base64.
///
/// Escapes of all kinds may be mixed. Those with a backslash are also taken off alone: in a JSON string the end of a
/// secret and what follows it may look like an escape of another kind (`%` and `00`), and be none.
fn others(text: &[u8]) -> Vec<View<'static>> {
    let looks = Looks::of(text);
    let has = |what: u8| looks.seen & what != 0;
    let escapes = has(ESCAPE | BACKSLASH).then(|| through(text, b"%\\&", unescaped));
    let backslashes = (has(ESCAPE) && has(BACKSLASH)).then(|| through(text, b"\\", unescaped));
    let quotes = has(QUOTE).then(|| through(text, b"'", unquoted));
    let lines = has(BREAK).then(|| through(text, b"\r\n", joined));
    let hex = (looks.hex >= SHORTEST_HEX).then(|| decoded(text, SHORTEST_HEX, 4, 2, &HEX));
    let base64 = (looks.base64 >= SHORTEST_BASE64).then(|| decoded(text, SHORTEST_BASE64, 6, 4, &BASE64));
    [escapes, backslashes, quotes, lines, hex, base64].into_iter().flatten().flatten().collect()
}

/// So many digits are needed for a secret.
const SHORTEST_HEX: usize = SHORTEST * 2;
const SHORTEST_BASE64: usize = (SHORTEST * 8).div_ceil(6);

/// What a byte may be part of, one bit each.
const ESCAPE: u8 = 1;
const BACKSLASH: u8 = 2;
const QUOTE: u8 = 4;
const BREAK: u8 = 8;
static CLASSES: [u8; 256] = {
    let mut all = [0; 256];
    all[b'%' as usize] = ESCAPE;
    all[b'&' as usize] = ESCAPE;
    all[b'\\' as usize] = BACKSLASH;
    all[b'\'' as usize] = QUOTE;
    all[b'\r' as usize] = BREAK;
    all[b'\n' as usize] = BREAK;
    all
};

/// What can be in a text, found out in one walk: in most there is nothing to take off.
#[derive(Default)]
struct Looks {
    seen: u8,
    /// The longest runs of digits.
    hex: usize,
    base64: usize,
}

impl Looks {
    fn of(text: &[u8]) -> Looks {
        let mut looks = Looks::default();
        let (mut hex, mut base64) = (0, 0);
        for byte in text {
            let byte = usize::from(*byte);
            looks.seen |= CLASSES[byte];
            hex = if HEX[byte].is_some() { hex + 1 } else { 0 };
            base64 = if BASE64[byte].is_some() { base64 + 1 } else { 0 };
            looks.hex = if hex > looks.hex { hex } else { looks.hex };
            looks.base64 = if base64 > looks.base64 { base64 } else { looks.base64 };
        }
        looks
    }
}

/// The digits of hexadecimal, in both cases.
static HEX: [Option<u8>; 256] = digits(&[b"0123456789abcdef", b"0123456789ABCDEF"]);

/// The digits of base64, of the standard alphabet and of that for URLs (RFC 4648).
static BASE64: [Option<u8>; 256] = digits(&[
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
]);

/// What each byte is worth in these alphabets, where it is a digit.
const fn digits(alphabets: &[&[u8]]) -> [Option<u8>; 256] {
    let mut all = [None; 256];
    let mut which = 0;
    while which < alphabets.len() {
        let mut digit = 0;
        while digit < alphabets[which].len() {
            all[alphabets[which][digit] as usize] = Some(digit as u8);
            digit += 1;
        }
        which += 1;
    }
    all
}

/// A line break and the indentation after it are nothing.
fn joined(rest: &[u8]) -> Option<Escape> {
    let blank = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    Some(Escape::nothing(blank))
}

/// A quote that is taken out of a shell's quotes, in which a backslash is nothing but one: `'\''`, `'"'"'`.
fn unquoted(rest: &[u8]) -> Option<Escape> {
    match rest {
        [b'\'', b'\\', b'\'', b'\'', ..] => Some(Escape::byte(b'\'', 4)),
        [b'\'', b'"', b'\'', b'"', b'\'', ..] => Some(Escape::byte(b'\'', 5)),
        _ => None,
    }
}

/// What an escape stands for: `%41`, `\"`, `\x41`, `\u0041`, `\u{41}`, `&quot;`, `&#65;`.
fn unescaped(rest: &[u8]) -> Option<Escape> {
    match rest {
        [b'%', high, low, ..] => Some(Escape::byte(hex(&[*high, *low])? as u8, 3)),
        [b'\\', b'x', high, low, ..] if hex(&[*high, *low]).is_some() => {
            Some(Escape::byte(hex(&[*high, *low])? as u8, 4))
        }
        [b'\\', b'u', b'{', digits @ ..] => {
            let end = digits.iter().take(7).position(|byte| *byte == b'}')?;
            Escape::character(hex(&digits[..end])?, 3 + end + 1)
        }
        [b'\\', b'u', digits @ ..] if digits.len() >= 4 && hex(&digits[..4]).is_some() => {
            let first = hex(&digits[..4])?;
            match digits[4..] {
                // Two surrogates are one character (RFC 8259, 7).
                [b'\\', b'u', ref second @ ..] if (0xd800..0xdc00).contains(&first) && second.len() >= 4 => {
                    let second = hex(&second[..4]).filter(|second| (0xdc00..0xe000).contains(second))?;
                    Escape::character(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00), 12)
                }
                _ => Escape::character(first, 6),
            }
        }
        [b'\\', b'\n', ..] => Some(Escape::nothing(2)),
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
            Some(Escape::byte(read, 2))
        }
        [b'&', ..] => entity(rest),
        _ => None,
    }
}

fn entity(rest: &[u8]) -> Option<Escape> {
    let end = rest.iter().take(10).position(|byte| *byte == b';')?;
    let byte = match &rest[1..end] {
        b"amp" => b'&',
        b"lt" => b'<',
        b"gt" => b'>',
        b"quot" => b'"',
        b"apos" => b'\'',
        [b'#', b'x' | b'X', digits @ ..] => return Escape::character(hex(digits)?, end + 1),
        [b'#', digits @ ..] => {
            return Escape::character(std::str::from_utf8(digits).ok()?.parse().ok()?, end + 1);
        }
        _ => return None,
    };
    Some(Escape::byte(byte, end + 1))
}

/// A number of at most eight hexadecimal digits.
fn hex(digits: &[u8]) -> Option<u32> {
    let worth = |digit: &u8| HEX[usize::from(*digit)].map(u32::from);
    let known = (1..=8).contains(&digits.len());
    known.then(|| digits.iter().try_fold(0, |value, digit| Some(value << 4 | worth(digit)?))).flatten()
}
