//! The grammar: words in, intents out, without a model and without failing.
//!
//! ```text
//!  text ─tokens─▶ atoms ──────▶ pieces ─────▶ clauses ─────▶ frames ─▶ intents + evidence
//!                 phrases,      mentions,     one verb       who, what, │
//!                 typing errors values,       each           where     └▶ notes
//!                               corrections
//! ```
//!
//! Each step reads only the one before. Rules are about the language (where a verb asks for something, what
//! "it" points at, which noun a number belongs to); the words themselves are data in `data/`.

mod atom;
mod clause;
mod correct;
mod frame;
mod lexicon;
mod notes;
mod part;
mod piece;
#[cfg(test)]
mod reach;
mod read;
mod relate;
mod schedule;
mod sense;
mod setting;
mod value;
mod verb;

use async_trait::async_trait;
use code_core::parser::{IntentParser, Parsed, Vocabulary};
use code_core::request::{MAX_REQUEST_BYTES, Request};
use code_core::{Ctx, Result};

use crate::token::{floor, tokens};

/// Reads requests with rules, offline.
#[derive(Clone, Copy, Debug, Default)]
pub struct Grammar;

#[async_trait]
impl IntentParser for Grammar {
    fn name(&self) -> &str {
        "grammar"
    }

    async fn parse(&self, _: &Ctx, request: &Request, words: &Vocabulary) -> Result<Parsed> {
        Ok(parse(&request.text, words))
    }
}

/// What a text asks for. Never fails: what is unclear is a note.
///
/// Only the first 16 KiB are read, as much as a [`Request`] may hold.
pub fn parse(text: &str, words: &Vocabulary) -> Parsed {
    let text = &text[..floor(text, MAX_REQUEST_BYTES)];
    let tokens = tokens(text);
    let atoms = atom::atoms(&tokens, words);
    let pieces = correct::correct(&atoms, piece::pieces(&atoms, &words.applications));
    let view = clause::View { atoms: &atoms, pieces: &pieces };
    let clauses = clause::clauses(&view);
    let mut reader = read::Reader::new(view);
    reader.read(&clauses);
    let mut parsed = Parsed::default();
    for frame in &reader.frames {
        let first = parsed.intents.len();
        let intents = frame::intents(frame, &reader.entities, first, &mut parsed.evidence);
        parsed.intents.extend(intents);
    }
    parsed.notes = notes::notes(text, &atoms, &reader, words, parsed.intents.is_empty());
    parsed
}
