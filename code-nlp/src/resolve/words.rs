//! From the parser's evidence to origins: which words of the request said so.

use code_core::parser::Parsed;
use code_core::request::{Request, Span};
use code_core::spec::Origin;

/// One intent's words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words<'a> {
    pub(super) request: Option<&'a Request>,
    pub(super) parsed: &'a Parsed,
    /// The intent's place in `parsed`.
    pub(super) intent: usize,
}

impl Words<'_> {
    /// The words that said the field at a pointer within the intent (`/components/0/kind`).
    ///
    /// A parser may know the words of a whole (`/components/0/replicas`) where the field is a part of it, or
    /// of parts where the field is the whole; failing both, the action's words stand for everything.
    pub(super) fn origin(&self, pointer: &str) -> Origin {
        let Some(request) = self.request else {
            return Origin::Option { name: "the command".into() };
        };
        let mut spans = self.spans(pointer);
        if spans.is_empty() {
            spans = vec![Span::new(0, request.text.len())];
        }
        spans.sort_unstable();
        spans.dedup();
        let words: Vec<&str> =
            spans.iter().map(|span| span.of(&request.text)).filter(|w| !w.is_empty()).collect();
        Origin::Request { words: words.join(" … "), spans }
    }

    fn spans(&self, pointer: &str) -> Vec<Span> {
        let evidence = &self.parsed.evidence;
        let full = format!("/{}{pointer}", self.intent);
        let below = format!("{full}/");
        let parts = || evidence.range(below.clone()..).take_while(|(at, _)| at.starts_with(&below));
        if let Some(spans) = evidence.get(&full).filter(|spans| !spans.is_empty()) {
            return spans.clone();
        }
        let inside: Vec<Span> = parts().flat_map(|(_, spans)| spans.iter().copied()).collect();
        if !inside.is_empty() {
            return inside;
        }
        let mut at = full.as_str();
        while let Some(end) = at.rfind('/').filter(|end| *end > 0) {
            at = &at[..end];
            if let Some(spans) = evidence.get(at).filter(|spans| !spans.is_empty()) {
                return spans.clone();
            }
        }
        evidence.get(&format!("/{}/action", self.intent)).cloned().unwrap_or_default()
    }
}
