//! What a person should know or answer: notes with their words and choices.

use code_core::diagnostic::Note;
use code_core::intent::Action;
use code_core::parser::Vocabulary;
use code_core::request::Span;

use super::atom::Atom;
use super::lexicon::lexicon;
use super::read::{Doubt, Reader};

/// The notes of a reading; `empty` says that no intent was found.
pub(crate) fn notes(
    text: &str,
    atoms: &[Atom],
    reader: &Reader<'_>,
    words: &Vocabulary,
    empty: bool,
) -> Vec<Note> {
    let mut out = Vec::new();
    for atom in atoms.iter().filter(|a| a.corrected.is_some()).take(8) {
        let others = atom.corrected.clone().unwrap_or_default();
        let note =
            Note::advice("nlp::corrected", format!("read \"{}\" as \"{}\"", atom.span.of(text), atom.text));
        out.push(
            note.at(atom.span).choices(std::iter::once(atom.text.clone()).chain(others.into_iter().take(2))),
        );
    }
    for doubt in &reader.doubts {
        out.extend(note(text, doubt, words));
    }
    let unclear = reader.doubts.iter().any(|d| matches!(d, Doubt::NoObject { .. }));
    if empty && !out.iter().any(|n| n.question.is_some()) {
        let note = nothing(text, atoms, unclear);
        out.push(if text.is_empty() { note } else { note.at(Span::new(0, text.len())) });
    }
    for frame in &reader.frames {
        let deploys = frame.action.as_ref().filter(|a| a.value == Action::Deploy);
        if let Some(span) = deploys.and_then(|a| a.spans.first())
            && let Some(word) = stops(text.get(span.start..).unwrap_or_default())
        {
            out.push(stop(word).at(*span));
        }
        let destroys = frame.action.as_ref().is_some_and(|a| a.value == Action::Destroy);
        if destroys && frame.environments.is_empty() && !frame.has_object() {
            out.push(destroy_what(words));
        }
    }
    out
}

fn note(text: &str, doubt: &Doubt, words: &Vocabulary) -> Option<Note> {
    Some(match doubt {
        Doubt::Differs { field, span } => Note::question(
            "nlp::contradiction",
            format!("the request says two things about `{field}`"),
            format!("Which one holds for `{field}`: \"{}\", or what stands before it?", span.of(text)),
        )
        .at(*span),
        Doubt::Denied { action, span } => Note::question(
            "nlp::contradiction",
            format!("the request asks for `{action}` and denies it"),
            format!("Should `{action}` happen or not?"),
        )
        .at(*span)
        .choices(["yes", "no"]),
        Doubt::Without { what, span } => Note::question(
            "nlp::contradiction",
            format!("the request asks for `{what}` and says to leave it out"),
            format!("Should `{what}` be part of it or not?"),
        )
        .at(*span)
        .choices(["yes", "no"]),
        Doubt::NoObject { action: Action::Destroy, span } => destroy_what(words).at(*span),
        Doubt::NoObject { action, span } => Note::question(
            "nlp::too-vague",
            format!("`{action}` of what is not said"),
            format!("What should the action `{action}` be done to, and in which environment?"),
        )
        .at(*span),
        Doubt::Refused { .. } => return None,
        Doubt::UnknownEnvironment { word, span } => {
            let known: Vec<&str> = words
                .environments
                .iter()
                .map(String::as_str)
                .chain(["development", "test", "staging", "production"])
                .collect();
            Note::warning("nlp::unknown-word", format!("took \"{word}\" as the name of an environment"))
                .at(*span)
                .choices(lexicon().nearest(word, &known))
        }
    })
}

/// Words for what no action of a request does: to end what runs and to keep it.
const STOPS: &[&str] = &["stop", "halt", "pause", "suspend", "turn off", "switch off"];

/// The word at the beginning of these that asks to stop something.
fn stops(words: &str) -> Option<&'static str> {
    let words = words.to_lowercase();
    let words = words.strip_prefix("please").unwrap_or(&words).trim_start();
    let begins = |stop: &&&str| words.strip_prefix(**stop).is_some_and(|rest| rest.starts_with(' '));
    STOPS.iter().find(begins).copied()
}

/// To stop is a command of its own: whoever asks for it must not be told that all is as it should be.
fn stop(word: &str) -> Note {
    Note::question(
        "nlp::stop",
        format!("\"{word}\" is no action of a request"),
        "Should it be destroyed? To stop it and keep all of it, use the command `stop`, and `start` later",
    )
}

/// Deleting needs to know what is meant: nothing is assumed.
fn destroy_what(words: &Vocabulary) -> Note {
    Note::question(
        "nlp::destroy-what",
        "the request does not say what to destroy, or where",
        "Which components, or which environment, should be destroyed?",
    )
    .choices(words.environments.iter().cloned())
}

/// A request without anything to do: it asks nothing, is too vague, or is in another language.
fn nothing(text: &str, atoms: &[Atom], unclear: bool) -> Note {
    let words = atoms.iter().filter(|a| a.text.chars().any(char::is_alphabetic)).count();
    let known = atoms.iter().filter(|a| a.text.chars().any(char::is_alphabetic) && !a.unknown()).count();
    let example = "for example \"Deploy a web app with database to staging\"";
    if words >= 4 && known * 2 < words
        || text.chars().filter(|c| c.is_alphabetic() && !c.is_ascii()).count() * 4 > text.len()
    {
        return Note::question(
            "nlp::not-english",
            "the request is not in a language that the grammar reads",
            format!("Please say it in English, {example}: what should be done?"),
        );
    }
    let points =
        atoms.iter().any(|a| matches!(a.text.as_str(), "it" | "this" | "that" | "thing" | "usual" | "same"));
    if unclear || words <= 2 || points {
        return Note::question(
            "nlp::too-vague",
            "the request does not say what to do to what",
            format!("What should be done, to what, and in which environment? Say it {example}."),
        );
    }
    Note::question(
        "nlp::asks-nothing",
        "the request asks for no deployment work",
        format!("What should be deployed, changed or shown? Say it {example}."),
    )
}
