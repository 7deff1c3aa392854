//! Any text is read without harm: spans lie on characters, and what is not understood is asked.
#![no_main]

use code_core::parser::Vocabulary;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let parsed = code_nlp::parse(text, &Vocabulary::default());
    for span in parsed.evidence.values().flatten().chain(parsed.notes.iter().filter_map(|n| n.span.as_ref()))
    {
        assert!(span.start < span.end && text.get(span.start..span.end).is_some());
    }
    assert!(!parsed.intents.is_empty() || parsed.questions().next().is_some());
});
