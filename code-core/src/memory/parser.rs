//! A parser that knows a few sentences by heart.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use super::lock;
use crate::diagnostic::Note;
use crate::parser::{IntentParser, Parsed, Vocabulary};
use crate::request::{Request, Span};
use crate::{Ctx, Result};

/// Answers the requests that it was told, word for word; of any other it asks what it means.
#[derive(Debug, Default)]
pub struct MemoryParser(Mutex<BTreeMap<String, Parsed>>);

impl MemoryParser {
    /// A parser that knows nothing yet.
    pub fn new() -> MemoryParser {
        MemoryParser::default()
    }

    /// From now on it reads this text so.
    pub fn learn(&self, text: &str, parsed: Parsed) {
        lock(&self.0).insert(text.to_owned(), parsed);
    }
}

#[async_trait]
impl IntentParser for MemoryParser {
    fn name(&self) -> &str {
        "memory"
    }

    async fn parse(&self, _: &Ctx, request: &Request, _: &Vocabulary) -> Result<Parsed> {
        if let Some(parsed) = lock(&self.0).get(&request.text) {
            return Ok(parsed.clone());
        }
        let note = Note::question("memory::not-learned", "these words were not learned", "what do you mean?")
            .at(Span::new(0, request.text.len()))
            .choices(lock(&self.0).keys());
        Ok(Parsed { notes: vec![note], ..Parsed::default() })
    }
}
