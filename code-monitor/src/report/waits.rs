//! What held a run up: where the time went in which nothing was done.
//!
//! ```text
//! asked ·····▶ approved ▓▓▓▓▓ attempt 1 failed ┄┄┄┄▶ attempt 2 ▓▓▓ paused ‖‖‖‖‖▶ decided ▓▓▓
//!       Approval                       Attempt                  Person
//! ```

use code_core::event::{Body, Event, Outcome};
use code_core::status::Run;
use code_core::store::Seq;
use jiff::{SignedDuration, Timestamp};

use super::html::{Html, duration};
use super::sentence::sentence;
use super::story::{Story, millis};

/// A time in which a step, a provider or the whole run waited.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wait {
    /// For what.
    pub(super) what: For,
    /// Since when.
    pub(super) from: Timestamp,
    /// Until when; `None`: it still does, or the run ended so.
    pub(super) to: Option<Timestamp>,
    /// What waited: an address, a provider, or the run.
    pub(super) who: String,
    /// Why, and how it ended.
    pub(super) says: String,
}

/// What was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    /// The yes of a person, before the run.
    Approval,
    /// The next attempt of a step.
    Attempt {
        /// Its index.
        step: usize,
        /// Whether the step is taken back.
        undo: bool,
    },
    /// A provider that failed too often.
    Breaker,
    /// The decision of a person.
    Person,
    /// Somebody who goes on with a run that had stopped.
    Stopped,
}

impl For {
    /// The words for it, in the table and the legend.
    pub(super) fn word(self) -> &'static str {
        match self {
            For::Approval => "an approval",
            For::Attempt { .. } => "the next attempt",
            For::Breaker => "a provider that is left alone",
            For::Person => "a person's decision",
            For::Stopped => "somebody to go on: nothing ran",
        }
    }

    /// Its name in classes and patterns of the page; the pattern differs, not the colour alone.
    pub(super) fn class(self) -> &'static str {
        match self {
            For::Approval | For::Person => "person",
            For::Attempt { .. } => "attempt",
            For::Breaker => "alone",
            For::Stopped => "stopped",
        }
    }
}

/// The waits that these events of one run, and those that led to it, tell of, in the order of their beginning.
pub(super) fn waits(events: &[&(Seq, Event)], run: &Run) -> Vec<Wait> {
    let mut waits: Vec<Wait> = Vec::new();
    let mut before: Option<&Event> = None;
    for (_, event) in events.iter().copied().filter(|(_, event)| event.body.run().is_some()) {
        let at = event.at;
        let says = || sentence(&event.body, Some(&run.plan));
        match &event.body {
            Body::StepRetries { step, undo, attempt, error, .. } => {
                let address = run.plan.step(*step).map_or_else(String::new, |s| s.address().to_string());
                let who = if *undo { format!("undo of {address}") } else { address };
                let says = format!("attempt {attempt} failed to {} [{}]", error.message(), error.code());
                waits.push(begin(For::Attempt { step: step.index(), undo: *undo }, at, who, says));
            }
            Body::StepStarted { step, undo, .. } => {
                let provider = run.plan.step(*step).map(|step| step.provider.as_str());
                let (step, undo) = (step.index(), *undo);
                end(&mut waits, at, None, |wait| wait.what == For::Attempt { step, undo });
                // Whoever goes on with a run knows nothing of the breakers before.
                end(&mut waits, at, None, |w| w.what == For::Breaker && Some(w.who.as_str()) == provider);
            }
            Body::StepDone { step, undo, .. } | Body::StepFailed { step, undo, .. } => {
                let (step, undo) = (step.index(), *undo);
                end(&mut waits, at, None, |wait| wait.what == For::Attempt { step, undo });
            }
            Body::BreakerOpened { provider, cool_down_ms, .. } => {
                let cool_down = SignedDuration::from_millis(i64::try_from(*cool_down_ms).unwrap_or(i64::MAX));
                // Once it has cooled down, nobody has to wait for it.
                let to = Some(at.checked_add(cool_down).unwrap_or(Timestamp::MAX));
                waits.push(Wait { to, ..begin(For::Breaker, at, provider.clone(), says()) });
            }
            Body::BreakerClosed { provider, .. } => {
                let last = waits.iter_mut().rev().find(|w| w.what == For::Breaker && w.who == *provider);
                if let Some(wait) = last {
                    wait.says = format!("{}; {}", wait.says, says());
                }
            }
            Body::RunPaused { .. } => {
                end(&mut waits, at, None, |wait| matches!(wait.what, For::Attempt { .. }));
                waits.push(begin(For::Person, at, "the run".to_owned(), says()));
            }
            Body::Decided { .. } => end(&mut waits, at, Some(says()), |wait| wait.what == For::Person),
            Body::RunResumed { .. } => {
                // One that was paused still waits for the decision; nobody was missing.
                let paused = waits.iter().any(|wait| wait.what == For::Person && wait.to.is_none());
                if let Some(before) = before.filter(|_| !paused) {
                    let asked = matches!(before.body, Body::RunEnded { outcome: Outcome::Cancelled, .. });
                    let why = if asked { "was stopped on request" } else { "had stopped in the middle" };
                    let says = format!("the run {why}; {}", says());
                    let wait = begin(For::Stopped, before.at, "the run".to_owned(), says);
                    waits.push(Wait { to: Some(at), ..wait });
                }
            }
            Body::UndoStarted { .. } => {
                end(&mut waits, at, None, |w| matches!(w.what, For::Attempt { undo: false, .. }));
            }
            Body::RunEnded { .. } => end(&mut waits, at, None, |_| true),
            _ => {}
        }
        before = Some(event);
    }
    let last = before.map_or(run.started, |event| event.at);
    for wait in &mut waits {
        wait.to = wait.to.filter(|to| *to <= last);
    }
    waits.sort_by_key(|wait| wait.from);
    waits
}

fn begin(what: For, from: Timestamp, who: String, says: String) -> Wait {
    Wait { what, from, to: None, who, says }
}

/// Ends the waits that this one is about; `says` tells how.
fn end(waits: &mut [Wait], at: Timestamp, says: Option<String>, is: impl Fn(&Wait) -> bool) {
    for wait in waits.iter_mut().filter(|wait| wait.to.is_none_or(|to| to > at) && is(wait)) {
        wait.to = Some(at);
        if let Some(says) = &says {
            wait.says = format!("{}; {says}", wait.says);
        }
    }
}

/// The wait for a yes, where it was worth a line: an engine records its plan together with the approval, so
/// that the request may be the last thing before it.
pub(super) fn approval(story: &Story<'_>) -> Option<Wait> {
    const SHORT: i64 = 1_000;
    let approval = story.approval?;
    let planned = story.events.iter().find(|(_, event)| matches!(event.body, Body::Planned { .. }));
    let planned = planned.map(|(_, event)| (event.at, "the plan"));
    let asked = story.request.map(|request| (request.at, "what was asked for"));
    let (from, who) = planned.into_iter().chain(asked).find(|(at, _)| *at < approval.at)?;
    let says = format!("until {} approved it", approval.by);
    (millis(from, approval.at) > SHORT)
        .then(|| Wait { to: Some(approval.at), ..begin(For::Approval, from, who.to_owned(), says) })
}

/// Every wait in words, with what it did to the critical path.
pub(super) fn table(html: &mut Html, story: &Story<'_>) {
    let approval = approval(story);
    let waits: Vec<&Wait> = approval.iter().chain(&story.waits).collect();
    if waits.is_empty() {
        return;
    }
    html.raw("<section aria-labelledby=\"h-waits\"><h2 id=\"h-waits\">What was waited for</h2>");
    critical(html, story);
    html.raw(
        "<table class=\"wide\"><thead><tr><th scope=\"col\">For</th><th scope=\"col\">What waited</th>\
         <th scope=\"col\" class=\"n\">From</th><th scope=\"col\" class=\"n\">Long</th>\
         <th scope=\"col\">Why, and how it ended</th></tr></thead><tbody>",
    );
    for wait in waits {
        html.raw("<tr><th scope=\"row\">");
        key(html, wait.what);
        let early = wait.from < story.run.started;
        let away =
            if early { millis(wait.from, story.run.started) } else { millis(story.run.started, wait.from) };
        html.put(
            "{}</th><td class=\"code\">{}</td><td class=\"n\" data-label=\"From\">{}{}</td><td class=\"n\" data-label=\"Long\">{}{}</td><td>{}</td></tr>",
            &[
                &wait.what.word(),
                &wait.who,
                &if early { "−" } else { "+" },
                &duration(away),
                &duration(millis(wait.from, wait.to.unwrap_or_else(|| story.end()))),
                &if wait.to.is_none() { " so far" } else { "" },
                &wait.says,
            ],
        );
    }
    html.raw("</tbody></table></section>");
}

/// How much of the critical path was work.
fn critical(html: &mut Html, story: &Story<'_>) {
    let steps = || (0..story.critical.len()).filter(|step| story.critical[*step]);
    let took: i64 = steps().filter_map(|step| story.took(step)).sum();
    let worked: i64 = story
        .attempts
        .iter()
        .filter(|attempt| !attempt.undo && story.critical.get(attempt.step) == Some(&true))
        .filter_map(|attempt| Some(millis(attempt.from, attempt.to?)))
        .sum();
    if took > worked {
        html.put(
            "<p>The steps of the critical path took {}: {} of it at work, {} waiting.</p>",
            &[&duration(took), &duration(worked), &duration(took - worked)],
        );
    }
}

/// The pattern of a wait, as the timeline draws it.
pub(super) fn key(html: &mut Html, what: For) {
    html.put(
        "<svg class=\"key\" aria-hidden=\"true\"><rect class=\"wait {}\" x=\"1\" y=\"2\" width=\"24\" height=\"12\" rx=\"2\"/></svg>",
        &[&what.class()],
    );
}
