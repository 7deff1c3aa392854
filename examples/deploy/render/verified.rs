//! The chain from request to effects: each link with how often it holds, the first break, and its repair.

use code_core::local::{Repaired, Trouble};
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
    // Not broken to the width: the command is to be copied whole.
    text + &match broken.link {
        Link::Releases => {
            "  next  deploy again, which makes the release anew where its source is the same\n".to_owned()
        }
        _ => format!("  next  {repair}\n"),
    }
}

/// What a repair keeps and loses, and what may not be as it is recorded then.
pub fn trouble(style: &Style, trouble: &Trouble) -> String {
    let mut text = heading(style, Tone::Bad, "Journal BROKEN", &format!(" of {}", trouble.deployment));
    text.push_str(&paragraph(style, 2, Tone::Plain, &trouble.why));
    let lost = match (trouble.lost(), trouble.readable.len()) {
        (0, _) => "no event".to_owned(),
        (lost, 0) => format!("at least {lost} events"),
        (lost, told) => {
            format!("at least {lost} events; {told} of them can be read still, and are not believed")
        }
    };
    let unsure: Vec<String> = trouble.doubts.iter().map(|doubt| doubt.address.to_string()).collect();
    let unsure = match (unsure.is_empty(), trouble.lost()) {
        (false, _) => unsure.join(", "),
        (true, 0) => "nothing".to_owned(),
        (true, _) => "not known: whatever was done after the last event that is kept".to_owned(),
    };
    let fact = |name: &str, value: String| vec![cell(Tone::Strong, name), cell(Tone::Plain, value)];
    text.push_str(&table(
        style,
        2,
        &[
            fact("kept", format!("{} events, {} bytes", trouble.kept, trouble.offset)),
            fact("lost", lost),
            fact("unsure", unsure),
        ],
    ));
    text
}

/// What was done, and what to do next.
pub fn repaired(style: &Style, repaired: &Repaired, next: &str) -> String {
    let kept = format!(" of {}: {} events", repaired.trouble.deployment, repaired.trouble.kept);
    let mut text = heading(style, Tone::Good, "Journal repaired", &kept);
    // Not broken to the width: paths and commands are to be copied whole.
    for path in &repaired.aside {
        text.push_str(&format!("  aside  {}\n", path.display()));
    }
    text + &format!("  next   {next}\n")
}

/// The question before a repair: the name must be typed.
pub fn question(style: &Style, name: &str) -> String {
    style.paint(Tone::Bad, "What is lost does not come back; the file is kept beside the new one.")
        + &format!("\nType `{name}` to go on: ")
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
    fn a_repair_says_what_is_lost() {
        let trouble_of = |known: u64| Trouble {
            deployment: "shop/staging".into(),
            why: "read the journal of shop/staging: record 31 is damaged".into(),
            kept: Seq(30),
            offset: 20_480,
            bytes: 900,
            known: Seq(known),
            readable: Vec::new(),
            doubts: Vec::new(),
        };
        insta::assert_snapshot!(trouble(&WIDE, &trouble_of(42)));
        insta::assert_snapshot!(trouble(&NARROW, &trouble_of(30)));
        let aside = vec!["/s/journal/shop@staging.log.20480.3fa9c1d2.damaged".into()];
        let done = Repaired { trouble: trouble_of(42), aside };
        insta::assert_snapshot!(repaired(&WIDE, &done, "deploy status"));
    }

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
