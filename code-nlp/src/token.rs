//! The words of a request, each with its place.
//!
//! ```text
//! "Ship `cart` at ./cart (2Gi), v2.1!"
//!   Word  Quoted  Word Path ( Number Word* ) , Word . . .        * glued: no space before it
//! ```
//!
//! Nothing is decided here about what a word means. What has a shape of its own (an address, a path, an
//! image with a digest, `KEY=value`, a domain, a version) stays in one piece; everything else falls into
//! words, numbers and single marks. Every token's [`Span`] lies on character boundaries of the text.

use code_core::request::Span;

/// What a token is by its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Letters, with digits, hyphens, apostrophes and dots inside.
    Word,
    /// Digits, with separators: `2`, `2,500`, `1.30`, `4.0.1-rc1`.
    Number,
    /// Between quotes or back-quotes; the text is what stands inside.
    Quoted,
    /// `registry.example.com/team/app:1.2`, `redis:7-alpine`, `…@sha256:…`.
    Image,
    /// A repository or web address.
    Address,
    /// `./site`, `/srv/app`, `~/code`.
    Path,
    /// `shop.example.com`.
    Domain,
    /// `KEY=value`.
    Assignment,
    /// An electronic mail address, and what else is opaque.
    Opaque,
    /// One mark: `,` `.` `:` `(` …
    Mark,
    /// A line's end.
    Newline,
    /// What begins an item of a list: `-`, `*`, `1.`
    Bullet,
}

/// A piece of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token<'t> {
    /// What it is by its shape.
    pub shape: Shape,
    /// Where it stands.
    pub span: Span,
    /// As written (for [`Shape::Quoted`] without the quotes).
    pub text: &'t str,
    /// Whether nothing stands between it and the token before.
    pub glued: bool,
}

/// The tokens of a text, in order. Linear in its length.
pub fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut scan = Scan { text, at: 0, out: Vec::new(), line_start: true };
    while scan.at < text.len() {
        scan.step();
    }
    scan.out
}

/// The ends of domain names that are believed without further evidence.
const TOP_LEVEL: &[&str] = &[
    "com",
    "net",
    "org",
    "io",
    "dev",
    "app",
    "ai",
    "co",
    "uk",
    "de",
    "eu",
    "fr",
    "es",
    "it",
    "nl",
    "ch",
    "at",
    "se",
    "no",
    "fi",
    "dk",
    "pl",
    "cz",
    "pt",
    "be",
    "ie",
    "us",
    "ca",
    "br",
    "mx",
    "jp",
    "cn",
    "in",
    "au",
    "nz",
    "kr",
    "sg",
    "za",
    "ru",
    "ua",
    "tv",
    "me",
    "info",
    "biz",
    "cloud",
    "shop",
    "site",
    "online",
    "tech",
    "xyz",
    "local",
    "internal",
    "test",
    "example",
    "localhost",
    "store",
    "blog",
    "page",
    "sh",
    "gg",
    "run",
    "software",
    "systems",
    "agency",
    "edu",
    "gov",
    "int",
    "tools",
    "team",
    "works",
    "world",
    "zone",
    "space",
    "live",
    "email",
    "link",
    "network",
    "host",
    "id",
    "so",
    "to",
    "ly",
    "fm",
    "is",
    "lan",
    "corp",
    "home",
    "invalid",
];

/// Hosts whose addresses are source repositories.
const FORGES: &[&str] =
    &["github.com/", "gitlab.com/", "bitbucket.org/", "codeberg.org/", "git.sr.ht/", "gitea.com/"];

struct Scan<'t> {
    text: &'t str,
    at: usize,
    out: Vec<Token<'t>>,
    line_start: bool,
}

impl<'t> Scan<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn push(&mut self, shape: Shape, len: usize) {
        let span = Span::new(self.at, self.at + len);
        let glued = self.out.last().is_some_and(|last| last.span.end == span.start);
        self.out.push(Token { shape, span, text: &self.text[span.start..span.end], glued });
        self.at += len;
        self.line_start = false;
    }

    fn step(&mut self) {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return };
        if first == '\n' {
            self.push(Shape::Newline, 1);
            self.line_start = true;
            return;
        }
        if first.is_whitespace() || first.is_control() {
            self.at += first.len_utf8();
            return;
        }
        if self.line_start {
            if let Some(len) = bullet(rest) {
                self.push(Shape::Bullet, len);
                return;
            }
            self.line_start = false;
        }
        // "1) restart … 2) scale …" on one line.
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if (1..=2).contains(&digits)
            && rest[digits..].starts_with(") ")
            && self.out.last().is_none_or(|last| last.span.end < self.at && last.text != "(")
        {
            self.push(Shape::Bullet, digits + 1);
            return;
        }
        if self.quoted(first) {
            return;
        }
        let chunk = chunk(rest);
        // "a/b" is no path "/b" after a word.
        let after_word = first == '/'
            && self
                .out
                .last()
                .is_some_and(|t| t.span.end == self.at && matches!(t.shape, Shape::Word | Shape::Number));
        if !after_word && let Some((shape, len)) = shaped(chunk) {
            self.push(shape, len);
            return;
        }
        if first.is_ascii_digit() {
            let len = number(rest);
            // `9f8e7d6` is a revision, not a number with a unit.
            let word = word(rest);
            let run = &rest[..word];
            if word >= 7
                && run.bytes().all(|b| b.is_ascii_hexdigit())
                && run.bytes().any(|b| b.is_ascii_alphabetic())
            {
                self.push(Shape::Word, word);
            } else {
                self.push(Shape::Number, len);
            }
        } else if first.is_alphabetic() || first == '_' {
            self.push(Shape::Word, word(rest));
        } else if rest.starts_with("->") || rest.starts_with("=>") || rest.starts_with("..") {
            let len =
                if rest.starts_with("..") { rest.bytes().take_while(|b| *b == b'.').count() } else { 2 };
            self.push(Shape::Mark, len);
        } else {
            self.push(Shape::Mark, first.len_utf8());
        }
    }

    /// A quoted piece, where the quote opens after a space or a bracket and closes on the same line.
    fn quoted(&mut self, first: char) -> bool {
        let close = match first {
            '`' => '`',
            '"' => '"',
            '\'' => '\'',
            '“' | '„' => '”',
            '‘' => '’',
            '«' => '»',
            _ => return false,
        };
        let open = first.len_utf8();
        let inside = &self.rest()[open..];
        let end = inside.char_indices().take(120).find(|(i, c)| {
            let closes = *c == close || (first == '„' && *c == '“');
            let after = inside[i + c.len_utf8()..].chars().next();
            closes && (first != '\'' || after.is_none_or(|a| !a.is_alphanumeric()))
        });
        let Some((len, closing)) = end else { return false };
        let body = &inside[..len];
        if body.trim().is_empty() || body.contains('\n') {
            return false;
        }
        let start = self.at;
        let total = open + len + closing.len_utf8();
        // An image, an address or a path in quotes keeps its shape.
        let trimmed = body.trim();
        let shape = match shaped(trimmed) {
            Some((shape, all)) if all == trimmed.len() => shape,
            _ => Shape::Quoted,
        };
        let from = start + open + (body.len() - body.trim_start().len());
        let glued = self.out.last().is_some_and(|last| last.span.end == start);
        let text = &self.text[from..from + trimmed.len()];
        self.out.push(Token { shape, span: Span::new(start, start + total), text, glued });
        self.at = start + total;
        true
    }
}

/// The last character boundary at or before `most` bytes.
pub(crate) fn floor(text: &str, most: usize) -> usize {
    (0..=most.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}

/// The length of a list's bullet at the start of a line: `- `, `* `, `• `, `1. `, `2) `, `[ ] `.
fn bullet(rest: &str) -> Option<usize> {
    let spaced = |len: usize| rest[len..].starts_with([' ', '\t']).then_some(len);
    for mark in ["- [ ]", "-", "*", "•", "–", "—", "·", "◦", "+"] {
        if rest.starts_with(mark) {
            return spaced(mark.len());
        }
    }
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if (1..=2).contains(&digits) && rest[digits..].starts_with(['.', ')']) {
        return spaced(digits + 1);
    }
    None
}

/// What stands before the next white space, without brackets and sentence marks at its end.
fn chunk(rest: &str) -> &str {
    // Nothing longer than this has a shape: looking no further keeps the whole linear.
    let rest = &rest[..floor(rest, 600)];
    let end = rest.find(|c: char| c.is_whitespace() || "()[]{}<>\"`“”|".contains(c)).unwrap_or(rest.len());
    rest[..end].trim_end_matches([',', '.', ';', ':', '!', '?', '\'', '’', '…'])
}

/// The shape of a chunk that is one piece, and how much of it that is.
fn shaped(chunk: &str) -> Option<(Shape, usize)> {
    // Lists without spaces ("a,b") are not one piece; an assignment's value may not hold a comma either.
    let chunk = match chunk.find([',', ';']) {
        Some(comma) if !chunk.contains("://") && !chunk[..comma].bytes().all(|b| b.is_ascii_digit()) => {
            &chunk[..comma]
        }
        _ => chunk,
    };
    let chunk = chunk.trim_end_matches(['.', ':', '!', '?']);
    let all = chunk.len();
    if !(3..=512).contains(&all) {
        return None;
    }
    let lower = chunk.to_ascii_lowercase();
    if lower.contains("://")
        && lower
            .find("://")
            .is_some_and(|i| lower[..i].bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+'))
    {
        return Some((Shape::Address, all));
    }
    if FORGES.iter().any(|forge| lower.starts_with(forge))
        || (lower.starts_with("git@") && lower.contains(':'))
    {
        return Some((Shape::Address, all));
    }
    if let Some((key, value)) = chunk.split_once('=')
        && is_env_key(key)
        && !value.starts_with(['=', '>'])
    {
        return Some((Shape::Assignment, all));
    }
    if chunk.starts_with("./") || chunk.starts_with("../") || chunk.starts_with("~/") {
        return Some((Shape::Path, all));
    }
    if chunk.starts_with('/')
        && chunk[1..].starts_with(|c: char| c.is_alphanumeric())
        && !chunk.contains("//")
    {
        return Some((Shape::Path, all));
    }
    if is_image(chunk) {
        return Some((Shape::Image, all));
    }
    if chunk.contains('@') && chunk.split_once('@').is_some_and(|(a, b)| !a.is_empty() && b.contains('.')) {
        return Some((Shape::Opaque, all));
    }
    // A possessive or a list of alternatives after a domain is not part of it.
    let head = &chunk[..chunk.find(['\'', '’', '/', ':']).unwrap_or(all)];
    if is_domain(head) && !chunk[head.len()..].starts_with('/') {
        return Some((Shape::Domain, head.len()));
    }
    None
}

/// Whether a word can be the name of an environment variable: `LOG_LEVEL`, `TTL2`.
pub(crate) fn is_env_key(word: &str) -> bool {
    word.len() >= 2
        && word.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

fn is_image(chunk: &str) -> bool {
    let name = |text: &str| {
        !text.is_empty()
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'/' | b':'))
    };
    if let Some((repository, digest)) = chunk.split_once('@') {
        return name(repository)
            && digest.split_once(':').is_some_and(|(algorithm, hash)| {
                algorithm.starts_with("sha")
                    && hash.len() >= 6
                    && hash.bytes().all(|b| b.is_ascii_alphanumeric())
            });
    }
    if !name(chunk) || chunk.contains("//") || chunk.ends_with(['/', '-']) {
        return false;
    }
    let Some(slash) = chunk.rfind('/') else {
        // `redis:7-alpine`, `nginx:1.25`; but `replicas:3` and `23:15` are not images.
        return chunk.split_once(':').is_some_and(|(name, tag)| {
            name.starts_with(|c: char| c.is_ascii_lowercase())
                && !name.contains('.')
                && (tag == "latest"
                    || (tag.starts_with(|c: char| c.is_ascii_digit())
                        && tag.contains(['.', '-'])
                        && !tag.contains("..")
                        && !FIELD_LIKE.contains(&name))
                    || (PRODUCT_LIKE.contains(&name) && tag.starts_with(|c: char| c.is_ascii_digit())))
        });
    };
    let first = &chunk[..chunk.find('/').unwrap_or(0)];
    let tagged = chunk[slash..].contains(':');
    let registry =
        first.contains('.') && first.contains(|c: char| c.is_ascii_alphabetic()) || first.contains(':');
    (tagged || registry) && !chunk[slash + 1..].is_empty() && chunk.matches(':').count() <= 2
}

/// Before a colon these make a setting, not an image.
const FIELD_LIKE: &[&str] =
    &["cpu", "memory", "mem", "version", "replicas", "port", "storage", "disk", "ram", "cores"];
/// Before a colon and a bare number these make an image, not a setting.
const PRODUCT_LIKE: &[&str] = &[
    "nginx",
    "redis",
    "postgres",
    "mysql",
    "mariadb",
    "mongo",
    "node",
    "python",
    "golang",
    "httpd",
    "memcached",
    "rabbitmq",
    "traefik",
    "alpine",
    "ubuntu",
    "debian",
    "busybox",
    "valkey",
    "nats",
    "caddy",
    "haproxy",
];

fn is_domain(chunk: &str) -> bool {
    let mut labels = chunk.split('.').collect::<Vec<_>>();
    if labels.first() == Some(&"*") {
        labels.remove(0);
    }
    let label = |text: &&str| {
        !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !text.starts_with('-')
    };
    let Some(last) = labels.last() else { return false };
    labels.len() >= 2
        && labels.iter().all(label)
        && TOP_LEVEL.contains(&last.to_ascii_lowercase().as_str())
        && labels[..labels.len() - 1].iter().any(|l| l.bytes().any(|b| b.is_ascii_alphabetic()))
        // "staging.It" is the end of one sentence and the start of the next.
        && !(labels.len() == 2 && last.starts_with(|c: char| c.is_ascii_uppercase()) && labels[0].bytes().any(|b| b.is_ascii_lowercase()))
}

/// The length of the number at the start: `2,500`, `1.30`, `4.0.1-rc1`, but `2` of `2..8` and `2-8`.
fn number(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let digit = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_digit);
    let mut end = 0;
    let mut dotted = false;
    while digit(end) {
        end += 1;
    }
    loop {
        match bytes.get(end) {
            Some(b'.') if digit(end + 1) => dotted = true,
            // A thousands separator stands before exactly three digits.
            Some(b',')
                if !dotted && digit(end + 1) && digit(end + 2) && digit(end + 3) && !digit(end + 4) => {}
            Some(b'.') if dotted && bytes.get(end + 1) == Some(&b'x') => return end + 2,
            _ => break,
        }
        end += 1;
        while digit(end) {
            end += 1;
        }
    }
    // A pre-release: only after a dotted number, and only where a letter follows.
    if dotted && bytes.get(end) == Some(&b'-') && bytes.get(end + 1).is_some_and(u8::is_ascii_alphabetic) {
        let tail = &rest[end + 1..];
        let run = &tail[..tail.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(tail.len())];
        return end + 1 + run.trim_end_matches('.').len();
    }
    end
}

/// The length of the word at the start: hyphens, apostrophes and dots stay inside where a letter follows.
fn word(rest: &str) -> usize {
    let mut end = 0;
    let mut chars = rest.char_indices().peekable();
    while let Some((i, c)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        let letter = c.is_alphanumeric() || c == '_';
        let inside = match c {
            '-' => next.is_some_and(char::is_alphanumeric),
            '\'' | '’' => next.is_some_and(char::is_alphabetic),
            '.' => dot_stays(&rest[..i], &rest[i + 1..]),
            '/' => rest[..i].eq_ignore_ascii_case("w") && next.is_none_or(|n| !n.is_alphabetic() || n == 'o'),
            _ => false,
        };
        if !letter && !inside {
            break;
        }
        end = i + c.len_utf8();
    }
    end.max(rest.chars().next().map_or(1, char::len_utf8))
}

/// Whether a dot belongs to the word: `next.js`, `v2.1`, `code.toml`; not `staging.Then`.
fn dot_stays(before: &str, after: &str) -> bool {
    let tail: &str = &after[..after.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(after.len())];
    if tail.is_empty() {
        return false;
    }
    if tail.bytes().all(|b| b.is_ascii_digit()) {
        return before.bytes().any(|b| b.is_ascii_digit());
    }
    matches!(
        tail.to_ascii_lowercase().as_str(),
        "js" | "net" | "py" | "rs" | "toml" | "yml" | "yaml" | "json" | "tf" | "md" | "x"
    ) || (before.len() == 1 && tail.len() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &[(Shape, &str)]) {
        let found: Vec<_> = tokens(text).iter().map(|t| (t.shape, t.text)).collect();
        assert_eq!(found, expect, "{text:?}");
    }

    #[test]
    fn what_has_a_shape_stays_in_one_piece() {
        use Shape::*;
        check("registry.example.com/team/mosaic:3.3.0", &[(Image, "registry.example.com/team/mosaic:3.3.0")]);
        check(
            "registry.local:5000/checkout:1.4.",
            &[(Image, "registry.local:5000/checkout:1.4"), (Mark, ".")],
        );
        check(
            "redis:7-alpine a/b@sha256:0123abcd",
            &[(Image, "redis:7-alpine"), (Image, "a/b@sha256:0123abcd")],
        );
        check("github.com/example/marmot", &[(Address, "github.com/example/marmot")]);
        check("(https://x.dev/a?b=c)", &[(Mark, "("), (Address, "https://x.dev/a?b=c"), (Mark, ")")]);
        check("from ./site, now", &[(Word, "from"), (Path, "./site"), (Mark, ","), (Word, "now")]);
        check("A_B=1,C=x", &[(Assignment, "A_B=1"), (Mark, ","), (Word, "C"), (Mark, "="), (Word, "x")]);
        check("MODE=fast.", &[(Assignment, "MODE=fast"), (Mark, ".")]);
        check("at shop.example.com.", &[(Word, "at"), (Domain, "shop.example.com"), (Mark, ".")]);
        check("me@x.org", &[(Opaque, "me@x.org")]);
    }

    #[test]
    fn words_and_numbers_know_their_ends() {
        use Shape::*;
        check("Next.js v2.1.", &[(Word, "Next.js"), (Word, "v2.1"), (Mark, ".")]);
        check("2,500 1.30 4.0.1-rc1", &[(Number, "2,500"), (Number, "1.30"), (Number, "4.0.1-rc1")]);
        check("2..8", &[(Number, "2"), (Mark, ".."), (Number, "8")]);
        check("512Mi x3", &[(Number, "512"), (Word, "Mi"), (Word, "x3")]);
        check("c0ffee7 9f8e7d6", &[(Word, "c0ffee7"), (Word, "9f8e7d6")]);
        check("staging.Then", &[(Word, "staging"), (Mark, "."), (Word, "Then")]);
        check("don't w/ it", &[(Word, "don't"), (Word, "w/"), (Word, "it")]);
        check(
            "replicas:3 23:15",
            &[(Word, "replicas"), (Mark, ":"), (Number, "3"), (Number, "23"), (Mark, ":"), (Number, "15")],
        );
    }

    #[test]
    fn quotes_and_bullets() {
        use Shape::*;
        check("the `mosaic` API", &[(Word, "the"), (Quoted, "mosaic"), (Word, "API")]);
        check("“Order Desk”", &[(Quoted, "Order Desk")]);
        check("- a\n2. b-c", &[(Bullet, "-"), (Word, "a"), (Newline, "\n"), (Bullet, "2."), (Word, "b-c")]);
        check("apps' logs", &[(Word, "apps"), (Mark, "'"), (Word, "logs")]);
    }

    #[test]
    fn spans_lie_on_boundaries_and_in_order() {
        for text in ["é…“x", "\u{202e}a\0b", "🚀🚀x=🙏", "''\"`", "1.2.x-", "…..", "v.", "a/b:c@"]
        {
            let mut last = 0;
            for token in tokens(text) {
                assert!(
                    token.span.start >= last && text.get(token.span.start..token.span.end).is_some(),
                    "{text:?}"
                );
                assert!(token.span.end > token.span.start);
                last = token.span.end;
            }
        }
    }
}
