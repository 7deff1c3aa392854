use code_core::RunId;
use code_core::event::{Body, Outcome};
use code_core::store::Seq;
use proptest::prelude::*;

use super::*;
use crate::tests::{Journal, same};

/// The page without its style, a tag a line; digests are left out, as every new field of a noun changes them.
fn body(html: &str) -> String {
    let body = html.split_once("</svg>").unwrap().1.replace("><", ">\n<");
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let mut words = Vec::new();
    for word in body.split_inclusive(|c: char| !hex(c)) {
        let digits = word.trim_end_matches(|c: char| !hex(c));
        words.push(if digits.len() >= 12 { word.replace(digits, "DIGEST") } else { word.to_owned() });
    }
    words.concat()
}

/// The tags of a page with the names of their attributes: everything that makes its structure.
fn structure(html: &str) -> Vec<String> {
    let mut tags = Vec::new();
    for tag in html.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').unwrap();
        let names = tag.split('"').step_by(2).map(str::trim);
        tags.push(names.collect::<Vec<_>>().join(" "));
    }
    tags
}

#[test]
fn a_run_that_was_rolled_back() {
    let html = render(&Journal::new(&same).rolled_back(), None).unwrap();
    insta::assert_snapshot!("rolled_back", body(&html));
}

#[test]
fn a_run_that_succeeded_says_so_and_links_its_address() {
    let html = render(&Journal::new(&same).succeeded(), Some(RunId(1))).unwrap();
    assert!(html.contains("Run 1: succeeded"));
    assert!(html.contains("<a href=\"http://127.0.0.1:8080\">"));
    assert!(!html.contains("What failed"));
    // db/data → db/server → web/process → web/endpoint took longest; the release did not matter.
    assert_eq!(html.matches("<span class=\"tag critical\">").count(), 4);
}

#[test]
fn a_report_can_be_made_during_the_run() {
    let all = Journal::new(&same).rolled_back();
    for length in 6..all.len() {
        let html = render(&all[..length], None).unwrap();
        assert!(html.contains("not ended") || html.contains("being rolled back"), "after {length} events");
    }
}

#[test]
fn an_end_that_was_not_recorded_is_in_doubt() {
    let mut journal = Journal::new(&same);
    journal.start(10, 0, false, 1);
    journal.push(900, Body::RunResumed { run: RunId(1), holder: "ada@host".into() });
    journal.push(1_000, Body::RunEnded { run: RunId(1), outcome: Outcome::Failed });
    let html = render(&journal.events, None).unwrap();
    assert!(html.contains("in doubt: no end was recorded"));
    assert!(html.contains("every started step was observed again"));
}

#[test]
fn the_run_that_is_asked_for_is_told() {
    let mut events = Journal::new(&same).rolled_back();
    // The same plan again, as run 2 would record it.
    let second = Journal::new(&same).succeeded();
    for (_, mut event) in second {
        if let Body::RunStarted { run, .. }
        | Body::StepStarted { run, .. }
        | Body::StepDone { run, .. }
        | Body::RunEnded { run, .. } = &mut event.body
        {
            *run = RunId(2);
        }
        events.push((Seq(events.len() as u64 + 1), event));
    }
    assert!(render(&events, Some(RunId(1))).unwrap().contains("Run 1: rolled back"));
    assert!(render(&events, Some(RunId(2))).unwrap().contains("Run 2: succeeded"));
    assert!(render(&events, None).unwrap().contains("Run 2: succeeded"));
    assert_eq!(render(&events, Some(RunId(3))).unwrap_err().code(), "report::no-run");
    assert_eq!(render(&[], None).unwrap_err().code(), "report::no-run");
}

#[test]
fn a_run_without_its_plan_is_an_error() {
    let mut events = Journal::new(&same).succeeded();
    events.retain(|(_, event)| !matches!(event.body, Body::Planned { .. }));
    assert_eq!(render(&events, None).unwrap_err().code(), "report::no-plan");
}

#[test]
fn a_page_needs_nothing_beside_itself() {
    let html = render(&Journal::new(&same).rolled_back(), None).unwrap();
    assert!(html.contains("default-src 'none'"));
    for outside in ["<script", "<link", "<img", "<iframe", "<object", "@import", "url(http", "src="] {
        assert!(!html.contains(outside), "{outside}");
    }
}

#[test]
fn what_a_picture_shows_is_said_in_words() {
    let events = Journal::new(&same).rolled_back();
    let html = render(&events, None).unwrap();
    let table = html.split_once("id=\"h-steps\"").unwrap().1;
    for mark in ["taken back", "done", "failed", "skipped"] {
        assert!(table.contains(mark), "{mark}");
    }
    // Every picture has a name, and every heading a section that it labels.
    let pictures: Vec<_> = html.split("role=\"img\" aria-labelledby=\"").skip(1).collect();
    assert_eq!((pictures.len(), html.matches("role=\"img\"").count()), (3, 3), "the timeline for two widths");
    for name in pictures.iter().map(|picture| picture.split_once('"').unwrap().0) {
        assert_eq!(html.matches(&format!("<title id=\"{name}\">")).count(), 1, "{name}");
    }
    assert_eq!(html.matches("<h2 id=\"").count(), html.matches("<section aria-labelledby=\"").count());
}

/// Whatever stands in a journal, the page has the same tags and attributes as with harmless words.
fn check_hostile(text: &str) {
    let say = |words: &str| format!("{words}{text}");
    let padded = |words: &str| format!("{words}{}", "x".repeat(text.len()));
    for (hostile, harmless) in [
        (Journal::new(&say).rolled_back(), Journal::new(&padded).rolled_back()),
        (Journal::new(&say).succeeded(), Journal::new(&padded).succeeded()),
    ] {
        let hostile = render(&hostile, None).unwrap();
        let (tags, expect) = (structure(&hostile), structure(&render(&harmless, None).unwrap()));
        let differs = tags.iter().zip(&expect).find(|(a, b)| a != b);
        assert_eq!(differs, None, "{text:?}");
        assert_eq!(tags.len(), expect.len(), "{text:?}");
        assert!(!hostile.contains('\u{202e}') && !hostile.contains('\u{1b}'));
    }
}

#[test]
fn hostile_text_stays_text() {
    for text in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "'-->]]></style></svg></title><script>",
        "javascript:alert(1)//",
        "{}{}{}",
        "&lt;&#60;",
        "\u{202e}\u{2066}\u{1b}[31m\0",
        "\r\n\t",
        &"long ".repeat(3_000),
    ] {
        check_hostile(text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_text_stays_text(text in "(\\PC|[<>&\"'{}=/\\x00-\\x1f\u{200b}-\u{2069}]){0,40}") {
        check_hostile(&text);
    }
}
