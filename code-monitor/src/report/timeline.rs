//! The steps of a run along its time (a Gantt chart): a row a step, a bar a call of its provider.
//!
//! ```text
//!                 0 s        2 s        4 s    ╱╱   1:00:04
//! the run         ···················‖‖‖‖‖‖‖‖‖‖‖‖‖···············  ‖ waits for a decision
//! db/server       ·▓▓▓▓▓▓▓▓▓ 2.1 s
//! web/process     ··········▓▓✕////▓▓✕ 3.0 s           / waits for the next attempt
//!                 ↑ could have begun: it waited for a free place
//! ┌ Undo, the last first ─────────────────────────────────────────┐
//! │ db/server                                     ░░░░░ 1.1 s     │
//! └───────────────────────────────────────────────────────────────┘
//! ```
//!
//! It is drawn twice, for a wide page and for a narrow one, where the names stand above their bars; the page shows the
//! one that it has room for.

use jiff::Timestamp;

use super::html::{Html, cut, duration};
use super::scale::{Scale, px};
use super::story::{Attempt, End, Story, millis};
use super::waits::{For, Wait};

/// The heights of the axis and of a bar, and the room behind the chart for a duration, in pixels.
const AXIS: f64 = 24.0;
const BAR: f64 = 14.0;
const BEHIND: f64 = 90.0;

/// How a page has room for it, in pixels.
#[derive(Debug)]
struct Size {
    class: &'static str,
    /// Where the chart begins, and how wide it is.
    left: f64,
    chart: f64,
    /// How high a row is, how far below its top the bar lies, and how far above the bar the name.
    row: f64,
    bar: f64,
    name: f64,
    /// How many characters of a name there is room for.
    letters: usize,
}

/// The names in a column of their own.
const WIDE: Size =
    Size { class: "broad", left: 210.0, chart: 700.0, row: 26.0, bar: 6.0, name: 0.0, letters: 26 };
/// The names above the bars; the duration of the last bar fits on 500 pixels, too.
const NARROW: Size =
    Size { class: "narrow", left: 12.0, chart: 320.0, row: 44.0, bar: 24.0, name: 19.0, letters: 44 };

/// A row of the timeline.
#[derive(Debug, PartialEq)]
enum Row<'a> {
    /// What held up the run, or a provider's steps.
    Lane(&'a str),
    /// A step, or its undo.
    Step { step: usize, undo: bool },
    /// What comes below takes back.
    Undo,
}

/// Draws the timeline; `false` where no step was begun.
pub(super) fn draw(html: &mut Html, story: &Story<'_>) -> bool {
    let rows = rows(story);
    if rows.is_empty() {
        return false;
    }
    [WIDE, NARROW].iter().for_each(|size| chart(html, story, &rows, size));
    true
}

fn chart(html: &mut Html, story: &Story<'_>, rows: &[Row<'_>], size: &Size) {
    let scale = Scale::new(story, size.left, size.chart);
    let height = AXIS + size.row * rows.len() as f64 + 6.0;
    let width = size.left + size.chart + BEHIND;
    html.put(
        "<svg class=\"timeline {}\" role=\"img\" aria-labelledby=\"timeline-{}\" width=\"{}\" height=\"{}\" viewBox=\"0 0 {} {}\">\
         <title id=\"timeline-{}\">When each step ran and what it waited for; the tables below say the same in words.</title>",
        &[&size.class, &size.class, &width, &height, &width, &height, &size.class],
    );
    let place = |row: usize| AXIS + size.row * row as f64 + size.bar;
    if let Some(first) = rows.iter().position(|row| *row == Row::Undo) {
        let top = AXIS + size.row * first as f64;
        html.put(
            "<rect class=\"band\" x=\"1\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"6\"/>",
            &[&top, &(width - 2.0), &(height - top - 1.0)],
        );
    }
    scale.axis(html, AXIS, height);
    for (from, to) in scale.cuts() {
        html.put(
            "<rect class=\"cut\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/><text x=\"{}\" y=\"14\" class=\"tick\">cut short</text>",
            &[&px(from), &AXIS, &px(to - from), &(height - AXIS), &px(f64::midpoint(from, to))],
        );
    }
    for (row, y) in rows.iter().zip((0..).map(place)) {
        match *row {
            Row::Lane(who) => {
                html.put(
                    "<g><text x=\"22\" y=\"{}\" class=\"name\">{}</text>",
                    &[&(y - size.name + 11.0), &cut(who, size.letters)],
                );
                let ours = story.waits.iter().filter(|wait| is_lane(wait) && wait.who == who);
                ours.for_each(|wait| hatch(html, story, wait, &scale, y));
                html.raw("</g>");
            }
            Row::Undo => {
                html.put(
                    "<text x=\"10\" y=\"{}\" class=\"name\">Undo, the last step first</text>",
                    &[&(y + 11.0)],
                );
            }
            Row::Step { step, undo } => {
                let critical = if story.critical[step] && !undo { " critical" } else { "" };
                html.put("<g class=\"row{}\">", &[&critical]);
                name(html, story, step, undo, y - size.name, size.letters);
                if !undo {
                    waited_for_place(html, story, step, &scale, y);
                }
                let what = For::Attempt { step, undo };
                let ours = story.waits.iter().filter(|wait| wait.what == what);
                ours.for_each(|wait| hatch(html, story, wait, &scale, y));
                bars(html, story, step, undo, &scale, y);
                html.raw("</g>");
            }
        }
    }
    html.raw("</svg>");
}

/// What held up the run and providers; the steps that were begun, in the order in which they were; and those
/// that were taken back, in the order of that.
fn rows<'a>(story: &'a Story<'_>) -> Vec<Row<'a>> {
    let steps = |back: bool| {
        let mut rows = Vec::new();
        for Attempt { step, undo, .. } in &story.attempts {
            let row = Row::Step { step: *step, undo: *undo };
            if *undo == back && *step < story.critical.len() && !rows.contains(&row) {
                rows.push(row);
            }
        }
        rows
    };
    let (forward, back) = (steps(false), steps(true));
    if forward.is_empty() && back.is_empty() {
        return Vec::new();
    }
    let mut rows = Vec::new();
    for wait in story.waits.iter().filter(|wait| is_lane(wait)) {
        if !rows.contains(&Row::Lane(&wait.who)) {
            rows.push(Row::Lane(&wait.who));
        }
    }
    rows.extend(forward);
    if !back.is_empty() {
        rows.push(Row::Undo);
    }
    rows.extend(back);
    rows
}

fn is_lane(wait: &Wait) -> bool {
    !matches!(wait.what, For::Attempt { .. } | For::Approval)
}

fn name(html: &mut Html, story: &Story<'_>, step: usize, undo: bool, y: f64, letters: usize) {
    let address = story.run.plan.steps.get(step).map_or("", |step| step.address().as_str());
    // The way forward keeps its own end: what became of it later stands in the band of the undo.
    let class = if undo { story.mark(step) } else { story.forward(step) }.class();
    html.put("<use href=\"#i-{}\" x=\"0\" y=\"{}\" width=\"16\" height=\"16\"/>", &[&class, &(y - 1.0)]);
    html.put("<text x=\"22\" y=\"{}\" class=\"name\">{}</text>", &[&(y + 11.0), &cut(address, letters)]);
}

/// A wait as a bar with its pattern, and how long it was where there is room.
fn hatch(html: &mut Html, story: &Story<'_>, wait: &Wait, scale: &Scale, y: f64) {
    let to = wait.to.unwrap_or_else(|| story.end());
    let (left, took) = (scale.x(wait.from), duration(millis(wait.from, to)));
    let wide = (scale.x(to) - left).max(3.0);
    html.put(
        "<rect class=\"wait {}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"2\"><title>waits {} for {}: {}</title></rect>",
        &[&wait.what.class(), &px(left), &y, &px(wide), &BAR, &took, &wait.what.word(), &wait.says],
    );
    if wide > 7.0 * took.len() as f64 {
        html.put(
            "<text x=\"{}\" y=\"{}\" class=\"long\">{}</text>",
            &[&px(left + wide / 2.0), &(y + 11.0), &took],
        );
    }
}

/// From when everything that a step needs was done to when it was begun, where that is worth a line.
pub(super) fn waited(story: &Story<'_>, step: usize) -> Option<(Timestamp, Timestamp)> {
    let begun = story.run.steps.get(step)?.started?;
    let needs = &story.run.plan.steps.get(step)?.needs;
    let ends: Option<Vec<_>> = needs.iter().map(|need| story.run.steps.get(need.index())?.ended).collect();
    let ready = ends?.into_iter().fold(story.run.started, Timestamp::max);
    let visible = millis(story.run.started, story.end()) / 200;
    // A pause or a crash in between says more than a full machine.
    let held = |wait: &&Wait| is_lane(wait) && wait.from < begun && wait.to.is_none_or(|to| to > ready);
    let free = !story.waits.iter().any(|wait| held(&wait));
    (free && millis(ready, begun) > visible).then_some((ready, begun))
}

fn waited_for_place(html: &mut Html, story: &Story<'_>, step: usize, scale: &Scale, y: f64) {
    let Some((ready, begun)) = waited(story, step) else { return };
    let middle = y + BAR / 2.0;
    html.put(
        "<line class=\"waited\" x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{}\"><title>could begin, and waited {}</title></line>",
        &[
            &px(scale.x(ready)),
            &px(scale.x(begun)),
            &middle,
            &middle,
            &duration(millis(ready, begun)),
        ],
    );
}

fn bars(html: &mut Html, story: &Story<'_>, step: usize, undo: bool, scale: &Scale, y: f64) {
    let ours: Vec<_> = story.attempts.iter().filter(|a| a.step == step && a.undo == undo).collect();
    for (i, attempt) in ours.iter().enumerate() {
        let next = ours.get(i + 1);
        let to = attempt.to.unwrap_or_else(|| cut_off(story, attempt, next.map(|next| next.from)));
        let left = scale.x(attempt.from);
        let right = left + (scale.x(to) - left).max(3.0);
        let running = story.run.ended.is_none() && next.is_none();
        bar(html, attempt, running, (left, right, y), millis(attempt.from, to));
        let failed = matches!(attempt.end, End::Failed | End::Retried);
        if failed {
            // Its shape says so too, not the colour alone.
            let mark = match (attempt.end, attempt.undo) {
                (End::Retried, _) => "retrying",
                (_, true) => "stuck",
                (_, false) => "failed",
            };
            html.put(
                "<use href=\"#i-{}\" x=\"{}\" y=\"{}\" width=\"16\" height=\"16\"/>",
                &[&mark, &px(right - 8.0), &(y - 1.0)],
            );
        }
        let took = if undo { attempt.to.map(|to| millis(ours[0].from, to)) } else { story.took(step) };
        if let Some(ms) = took.filter(|_| next.is_none()) {
            let place = px(right + if failed { 14.0 } else { 6.0 });
            html.put(
                "<text x=\"{}\" y=\"{}\" class=\"sub\">{}</text>",
                &[&place, &(y + 11.0), &duration(ms)],
            );
        }
    }
}

/// Where a call without an end ends for the eye: where the run stopped, the next call began, or the run ended.
fn cut_off(story: &Story<'_>, attempt: &Attempt, next: Option<Timestamp>) -> Timestamp {
    let stops = story.waits.iter().filter(|wait| wait.what == For::Stopped && wait.from >= attempt.from);
    stops.map(|wait| wait.from).chain(next).min().unwrap_or_else(|| story.end())
}

fn bar(html: &mut Html, attempt: &Attempt, running: bool, (left, right, y): (f64, f64, f64), ms: i64) {
    let (class, word) = match (attempt.end, attempt.undo) {
        (End::Done, false) => ("done", "done"),
        (End::Done, true) => ("undone", "taken back"),
        (End::Retried, _) => ("retrying", "failed, to be tried again"),
        (End::Failed, false) => ("failed", "failed"),
        (End::Failed, true) => ("stuck", "could not be taken back"),
        (End::Open, _) if running => ("started", "running"),
        (End::Open, _) => ("doubt", "no end recorded"),
    };
    let (undo, of) = if attempt.undo { (" undo", "undo, ") } else { ("", "") };
    html.put(
        "<rect class=\"bar {}{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"3\">",
        &[&class, &undo, &px(left), &y, &px(right - left), &BAR],
    );
    html.put("<title>{}attempt {}: {}, {}</title></rect>", &[&of, &attempt.number, &word, &duration(ms)]);
}
