//! A run as one HTML file: for the person who asks afterwards what happened, and why.
//!
//! ```text
//! events ──fold──▶ Story ──┬─▶ head: who, when, outcome, the words     (chain)
//!                          ├─▶ graph of steps, timeline               (SVG)
//!                          ├─▶ waits, failures, steps, way back       (tables that say the same)
//!                          └─▶ verdicts, cost, spec, events           (evidence)
//! ```
//!
//! The file needs nothing beside itself: no script, no font, no picture, no network. It is dark where the
//! reader's machine is, fits a phone, prints, and says everything that a picture shows in words too.
//! Everything in it that comes from a journal is hostile until escaped (`html.rs` makes that the only way), and
//! a content security policy forbids scripts and loading all the same.

mod chain;
mod evidence;
mod graph;
mod html;
mod scale;
mod sentence;
mod steps;
mod story;
mod timeline;
mod waits;

use code_core::event::Event;
use code_core::store::Seq;
use code_core::{Result, RunId};

pub use self::sentence::sentence;

use self::html::Html;
use self::story::{End, Mark, Story};
use self::waits::For;

/// The report of a run as one HTML file; of the last run where none is named.
///
/// `events` are all events of one deployment, in order, as a journal gives them. Secrets are references there,
/// and stay so here.
///
/// # Errors
/// `report::no-run` where there is no such run, `report::no-plan` where the journal does not have its plan.
pub fn render(events: &[(Seq, Event)], run: Option<RunId>) -> Result<String> {
    let story = Story::of(events, run)?;
    let mut html = Html::default();
    head(&mut html, &story);
    html.raw("<main id=\"main\">");
    chain::request(&mut html, &story);
    pictures(&mut html, &story);
    waits::table(&mut html, &story);
    steps::failures(&mut html, &story);
    steps::table(&mut html, &story);
    steps::way_back(&mut html, &story);
    evidence::verdicts(&mut html, &story);
    evidence::cost(&mut html, &story);
    evidence::spec(&mut html, &story);
    evidence::events(&mut html, &story);
    html.raw("</main>");
    chain::foot(&mut html, &story);
    html.raw("</body></html>\n");
    Ok(html.into_string())
}

fn head(html: &mut Html, story: &Story<'_>) {
    let plan = &story.run.plan;
    html.put(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{}: run {}</title><style>",
        &[&plan.deployment, &story.run.id],
    );
    html.raw(include_str!("page.css"));
    html.raw("</style></head><body><a class=\"skip\" href=\"#main\">Skip to the report</a>");
    html.raw(include_str!("marks.svg"));
    chain::head(html, story);
}

fn pictures(html: &mut Html, story: &Story<'_>) {
    if story.run.plan.steps.is_empty() {
        return;
    }
    html.raw("<section aria-labelledby=\"h-graph\"><h2 id=\"h-graph\">Steps and what they need</h2>");
    html.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"h-graph\">");
    if !graph::draw(html, story) {
        html.raw("<p>There are too many steps for a picture: see the table of steps.</p>");
    }
    html.raw("</div>");
    legend(html, story);
    html.raw("</section><section aria-labelledby=\"h-time\"><h2 id=\"h-time\">Timeline</h2>");
    html.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"h-time\">");
    if !timeline::draw(html, story) {
        html.raw("<p>No step was begun.</p>");
    }
    html.raw("</div>");
    lines(html, story);
    html.raw("</section>");
}

/// The lines and bars of the timeline that need a word.
fn lines(html: &mut Html, story: &Story<'_>) {
    let steps = 0..story.run.plan.steps.len();
    html.raw("<ul class=\"legend\">");
    if steps.into_iter().any(|step| timeline::waited(story, step).is_some()) {
        html.raw("<li><svg class=\"key\" aria-hidden=\"true\"><line class=\"waited\" x1=\"0\" x2=\"26\" y1=\"8\" y2=\"8\"/></svg>could begin, and waited for a free place</li>");
    }
    if story.attempts.iter().any(|attempt| attempt.end == End::Retried) {
        html.raw("<li><svg class=\"key\" aria-hidden=\"true\"><rect class=\"bar retrying\" x=\"1\" y=\"2\" width=\"24\" height=\"12\" rx=\"3\"/></svg>failed, to be tried again</li>");
    }
    let mut seen: Vec<For> = Vec::new();
    for wait in &story.waits {
        if !seen.iter().any(|what| what.class() == wait.what.class()) {
            seen.push(wait.what);
            html.raw("<li>");
            waits::key(html, wait.what);
            html.put("waits for {}</li>", &[&wait.what.word()]);
        }
    }
    if story.attempts.iter().any(|attempt| attempt.undo) {
        html.raw("<li><svg class=\"key\" aria-hidden=\"true\"><rect class=\"bar undone undo\" x=\"1\" y=\"2\" width=\"24\" height=\"12\" rx=\"3\"/></svg>undo: takes back what was done</li>");
    }
    if story.critical.contains(&true) {
        html.raw("<li><svg class=\"key\" aria-hidden=\"true\"><g class=\"row critical\"><rect class=\"bar done\" x=\"2\" y=\"3\" width=\"22\" height=\"10\" rx=\"3\"/></g></svg><strong>bold</strong>: on the critical path, its waits included</li>");
    }
    html.raw("</ul>");
}

/// The shapes that occur, with their words.
fn legend(html: &mut Html, story: &Story<'_>) {
    html.raw("<ul class=\"legend\">");
    for mark in Mark::ALL {
        if (0..story.run.plan.steps.len()).any(|step| story.mark(step) == mark) {
            html.raw("<li>");
            icon(html, mark.class());
            html.put("{}</li>", &[&mark.word()]);
        }
    }
    if story.critical.contains(&true) {
        html.raw("<li><svg class=\"key\" aria-hidden=\"true\"><line class=\"edge critical\" x1=\"0\" x2=\"26\" y1=\"8\" y2=\"8\"/></svg>critical path: it decided how long the run took</li>");
    }
    html.raw("</ul>");
}

/// A step's or a finding's shape, beside a word that says the same.
fn icon(html: &mut Html, name: &'static str) {
    html.put("<svg class=\"icon\" aria-hidden=\"true\"><use href=\"#i-{}\"/></svg>", &[&name]);
}

/// A time, exact for machines and readable for people, in UTC.
fn time(html: &mut Html, at: jiff::Timestamp) {
    html.put("<time datetime=\"{}\">{}</time>", &[&at, &at.strftime("%Y-%m-%d %H:%M:%S UTC")]);
}

#[cfg(test)]
mod tests;
