//! What was changed last with this state directory: another target than last time deserves a look.

use std::fs;

use code_core::Deployment;

use crate::session::Session;
use crate::style::{Tone, paragraph};

/// The file that names it.
const FILE: &str = "last";

/// Warns where this is not the deployment that was changed last.
pub fn warn(session: &Session, deployment: &Deployment) {
    let Ok(last) = fs::read_to_string(session.place.state.join(FILE)) else { return };
    let last = last.trim();
    if !last.is_empty() && last != deployment.to_string() {
        let text = format!("note: the last change from here was to {last}, and this is {deployment}");
        session.screen.note(&paragraph(&session.screen.notes, 0, Tone::Warn, &text));
    }
}

/// Remembers it. Nothing depends on it, so a directory that cannot be written is told by what does.
pub fn note(session: &Session, deployment: &Deployment) {
    let state = &session.place.state;
    let _ = fs::create_dir_all(state).and_then(|()| fs::write(state.join(FILE), format!("{deployment}\n")));
}
