//! The liars of the parser's contract: a parser of one sentence, and one lie.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use code_core::conformance::parser::Sample;
use code_core::conformance::{self, Suite};
use code_core::diagnostic::Note;
use code_core::host::Command;
use code_core::parser::{IntentParser, Parsed, Vocabulary};
use code_core::request::{Request, Span};
use code_core::{Ctx, Error, ErrorKind, Result};
use serde_json::json;

const SENTENCE: &str = "deploy to staging";
const UNCLEAR: &str = "deploy to prod or staging";

pub(crate) fn honest() -> Suite {
    liar("")
}

/// The suite over a parser that breaks this rule.
pub(crate) fn liar(rule: &'static str) -> Suite {
    let sample = Sample::new([SENTENCE]).unclear([UNCLEAR]).patience(Duration::from_secs(2));
    conformance::parser(move || Arc::new(Liar { lie: rule, count: AtomicUsize::new(0) }), &sample)
}

#[derive(Debug)]
struct Liar {
    lie: &'static str,
    count: AtomicUsize,
}

/// What an honest parser reads.
fn honest_of(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    let question = |note: Note| note.choices(["staging", "production"]);
    match text {
        SENTENCE => {
            parsed.intents =
                serde_json::from_value(json!([{"action": "deploy", "environment": "staging"}])).unwrap();
            parsed.evidence.insert("/0/action".into(), vec![Span::new(0, 6)]);
            parsed.evidence.insert("/0/environment".into(), vec![Span::new(10, 17)]);
        }
        UNCLEAR => {
            let note = Note::question("test::where", "two environments", "which one?").at(Span::new(10, 14));
            parsed.notes.push(question(note));
        }
        _ => parsed.notes.push(Note::question("test::what", "nothing known", "what do you mean?")),
    }
    parsed
}

#[async_trait]
impl IntentParser for Liar {
    fn name(&self) -> &str {
        let moody = self.lie == "its_name_never_changes";
        if moody && self.count.fetch_add(1, Ordering::Relaxed) > 0 { "another" } else { "test" }
    }

    async fn parse(&self, ctx: &Ctx, request: &Request, _: &Vocabulary) -> Result<Parsed> {
        let text = request.text.as_str();
        let mut parsed = honest_of(text);
        match (self.lie, text) {
            ("what_it_knows_it_reads", SENTENCE) => parsed = honest_of(""),
            ("no_text_makes_it_fail", text) if text.contains('{') => {
                return Err(
                    Error::new(ErrorKind::Invalid, "test::text", "read it").help("say it differently")
                );
            }
            ("a_long_text_is_read_in_time", text) if text.len() > 1000 => {
                std::future::pending::<()>().await;
            }
            ("the_same_words_mean_the_same", SENTENCE) => {
                let count = self.count.fetch_add(1, Ordering::Relaxed);
                parsed.notes.push(Note::advice("test::count", format!("read {count} times")));
            }
            ("its_evidence_lies_within_the_words", SENTENCE) => {
                parsed.evidence.insert("/0/action".into(), vec![Span::new(0, 600)]);
            }
            ("its_evidence_leads_to_what_it_set", SENTENCE) => {
                parsed.evidence.insert("/0/nowhere".into(), vec![Span::new(0, 6)]);
            }
            ("every_field_has_its_words", SENTENCE) => drop(parsed.evidence.remove("/0/environment")),
            ("its_notes_point_at_the_words", UNCLEAR) => parsed.notes[0].span = Some(Span::new(90, 99)),
            ("what_is_unclear_is_asked_with_choices", UNCLEAR) => parsed.notes[0].choices.clear(),
            ("who_asks_for_nothing_is_asked", text) if text.contains("joke") => {
                parsed.intents = honest_of(SENTENCE).intents;
            }
            ("a_question_is_asked_in_words", SENTENCE) => {
                let mut note = Note::advice("test::sure", "are you sure");
                note.question = Some("are you sure?".into());
                parsed.notes.push(note);
            }
            ("reading_runs_nothing_and_writes_nothing", text) if text.contains('`') => {
                // That there is no such program changes nothing.
                let _ = ctx.host().run(ctx.cancel(), Command::new("rm"), &|_| {}).await;
                ctx.host().write("/words".as_ref(), text.as_bytes(), 0o644).await?;
            }
            _ => {}
        }
        Ok(parsed)
    }
}
