//! The boundary to language: words in, what was said out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::diagnostic::Note;
use crate::intent::{Intent, Kind};
use crate::request::{Request, Span};
use crate::{Ctx, Result};

/// Reads requests.
///
/// # Behavior
/// - It holds only what the request says: nothing is defaulted.
/// - Each field that it sets has its words in [`Parsed::evidence`].
/// - It does not fail on words: what is unclear becomes a [`Note`] with choices. An `Err` means that the
///   parser itself could not work (a model that does not answer).
/// - A request that asks for no deployment work has no intents and at least one question.
/// - The same request and vocabulary give the same answer.
/// - What it returns is data: it never becomes a command, a policy, a verdict or an approval.
#[async_trait]
pub trait IntentParser: fmt::Debug + Send + Sync + 'static {
    /// What to call it in notes and origins: `grammar`, `ollama`.
    fn name(&self) -> &str;
    /// What the request says.
    async fn parse(&self, ctx: &Ctx, request: &Request, words: &Vocabulary) -> Result<Parsed>;
}

/// What a request says, and which of its words say so.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Parsed {
    /// What is asked for, in the order of the request.
    pub intents: Vec<Intent>,
    /// For each field that is set, a JSON pointer into `intents` (`/0/components/1/kind`) and the words
    /// that said so.
    pub evidence: BTreeMap<String, Vec<Span>>,
    /// What was unclear or left aside, with choices.
    pub notes: Vec<Note>,
}

impl Parsed {
    /// The questions that a person has to answer, in order.
    pub fn questions(&self) -> impl Iterator<Item = &str> {
        self.notes.iter().filter_map(|note| note.question.as_deref())
    }
}

/// The words of this project that a parser should know beside its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Vocabulary {
    /// Environments by their names.
    pub environments: BTreeSet<String>,
    /// Applications by their names.
    pub applications: BTreeSet<String>,
    /// Components by their names, with their kind where it is known.
    pub components: BTreeMap<String, Option<Kind>>,
    /// Products of the user's own, with the kind that they stand for.
    pub products: BTreeMap<String, Kind>,
    /// Words of the user's own, and the known word that each stands for.
    pub synonyms: BTreeMap<String, String>,
}
