//! The chain from request to effects: each link with how often it holds, and the first break.

use code_core::verify::{Link, Verified};

use crate::style::{Style, Tone, cell, heading, paragraph, table};

/// The links in the order of the flow; `repair` is the command that mends a journal.
pub fn page(style: &Style, verified: &Verified, repair: &str) -> String {
    let records = format!(" of {}, {} records", verified.deployment, verified.records);
    let Some(broken) = &verified.broken else {
        return heading(style, Tone::Good, "Chain HOLDS", &records) + &links(style, verified);
    };
    let mut text = heading(style, Tone::Bad, "Chain BROKEN", &records) + &links(style, verified);
    let what = format!("first break: record {}: {}", broken.record, broken.what);
    text.push_str(&paragraph(style, 2, Tone::Bad, &what));
    let fact = |name: &str, value: &str| vec![cell(Tone::Dim, name), cell(Tone::Plain, value)];
    text.push_str(&table(style, 4, &[fact("expected", &broken.expected), fact("found", &broken.found)]));
    let hint = match broken.link {
        Link::Releases => {
            "hint: deploy again to make the release anew; until then, nobody can go back to it".to_owned()
        }
        _ => format!("hint: what is before the break can be kept: {repair}"),
    };
    text.push_str(&paragraph(style, 2, Tone::Plain, &hint));
    text
}

fn links(style: &Style, verified: &Verified) -> String {
    let rows: Vec<_> = verified
        .links
        .iter()
        .map(|held| {
            let (sign, tone) = match (held.broken, held.times) {
                (true, _) => (style.sign("✗", "BROKEN"), Tone::Bad),
                (false, 0) => (style.sign("·", "-"), Tone::Dim),
                (false, _) => (style.sign("✓", "ok"), Tone::Good),
            };
            let times = if held.times == 0 { "none".to_owned() } else { held.times.to_string() };
            vec![
                cell(tone, sign),
                cell(Tone::Strong, held.link.to_string()),
                cell(Tone::Plain, times),
                cell(Tone::Dim, held.link.meaning()),
            ]
        })
        .collect();
    table(style, 2, &rows)
}

#[cfg(test)]
mod tests {
    use code_core::store::Seq;
    use code_core::verify::{Break, Held};

    use super::*;
    use crate::style::tests::{NARROW, WIDE, strip};

    #[test]
    fn each_link_stands_with_its_sign() {
        let links = |broken: Option<Link>| -> Vec<Held> {
            let held = |(i, link): (usize, &Link)| Held {
                link: *link,
                times: i as u64 % 3,
                broken: broken == Some(*link),
            };
            Link::ALL.iter().enumerate().map(held).collect()
        };
        let deployment = "shop/staging".parse().expect("a name");
        let mut verified = Verified { deployment, records: 42, links: links(None), broken: None };
        insta::assert_snapshot!(page(&WIDE, &verified, "deploy journal repair"));
        verified.links = links(Some(Link::Plan));
        verified.broken = Some(Break {
            record: Seq(31),
            link: Link::Plan,
            what: "trust a plan whose content does not fit its id".into(),
            expected: "3f".repeat(32),
            found: "a0".repeat(32),
        });
        insta::assert_snapshot!(page(&WIDE, &verified, "deploy journal repair"));
        insta::assert_snapshot!(page(&NARROW, &verified, "deploy journal repair"));
        let color = Style { color: true, ..WIDE };
        assert_eq!(strip(&page(&color, &verified, "x")), page(&WIDE, &verified, "x"));
    }
}
