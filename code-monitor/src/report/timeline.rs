//! The steps of a run along its time (a Gantt chart): a row a step, a bar a call of its provider.
//!
//! ```text
//!                 0 s        2 s        4 s
//! db/server       ·▓▓▓▓▓▓▓▓▓ 2.1 s
//! web/process     ··········▓▓✕┄┄┄┄▓▓▓▓▓▓ 3.0 s      ┄ waits for the next attempt
//!                 ↑ could have begun: it waited for a free place
//! ```

use jiff::Timestamp;

use super::html::{Html, cut, duration};
use super::story::{Attempt, End, Story, millis};

/// Sizes in pixels: the column of names, the chart, the room behind it for a duration, a row, the axis.
const NAMES: f64 = 210.0;
const CHART: f64 = 700.0;
const BEHIND: f64 = 90.0;
const ROW: f64 = 26.0;
const AXIS: f64 = 24.0;
const BAR: f64 = 14.0;

/// Draws the timeline; `false` where no step was begun.
pub(super) fn draw(html: &mut Html, story: &Story<'_>) -> bool {
    let rows = rows(story);
    if rows.is_empty() {
        return false;
    }
    let start = story.run.started;
    let total = millis(start, story.end()).max(1);
    let x = |at: Timestamp| NAMES + CHART * (millis(start, at) as f64 / total as f64).min(1.0);
    let height = AXIS + ROW * rows.len() as f64 + 6.0;
    let width = NAMES + CHART + BEHIND;
    html.put(
        "<svg class=\"timeline\" role=\"img\" aria-labelledby=\"timeline-title\" width=\"{}\" height=\"{}\" viewBox=\"0 0 {} {}\">\
         <title id=\"timeline-title\">When each step ran; the table of steps below says the same in words.</title>",
        &[&width, &height, &width, &height],
    );
    axis(html, total, height);
    for (row, step) in rows.iter().enumerate() {
        let y = AXIS + ROW * row as f64 + (ROW - BAR) / 2.0;
        let critical = if story.critical[*step] { " critical" } else { "" };
        html.put("<g class=\"row{}\">", &[&critical]);
        name(html, story, *step, y);
        wait(html, story, *step, &x, y);
        bars(html, story, *step, &x, y);
        html.raw("</g>");
    }
    html.raw("</svg>");
    true
}

/// The steps that were begun, in the order in which they were.
fn rows(story: &Story<'_>) -> Vec<usize> {
    let mut rows = Vec::new();
    for attempt in &story.attempts {
        if !rows.contains(&attempt.step) && attempt.step < story.critical.len() {
            rows.push(attempt.step);
        }
    }
    rows
}

fn name(html: &mut Html, story: &Story<'_>, step: usize, y: f64) {
    let address = story.run.plan.steps.get(step).map_or("", |step| step.address().as_str());
    let class = story.mark(step).class();
    html.put("<use href=\"#i-{}\" x=\"0\" y=\"{}\" width=\"16\" height=\"16\"/>", &[&class, &(y - 1.0)]);
    html.put("<text x=\"22\" y=\"{}\" class=\"name\">{}</text>", &[&(y + 11.0), &cut(address, 26)]);
}

/// From when everything that a step needs was done to when it was begun, where that is worth a line.
pub(super) fn waited(story: &Story<'_>, step: usize) -> Option<(Timestamp, Timestamp)> {
    let begun = story.run.steps.get(step)?.started?;
    let needs = &story.run.plan.steps.get(step)?.needs;
    let ends: Option<Vec<_>> = needs.iter().map(|need| story.run.steps.get(need.index())?.ended).collect();
    let ready = ends?.into_iter().fold(story.run.started, Timestamp::max);
    let visible = millis(story.run.started, story.end()) / 200;
    (millis(ready, begun) > visible).then_some((ready, begun))
}

fn wait(html: &mut Html, story: &Story<'_>, step: usize, x: &dyn Fn(Timestamp) -> f64, y: f64) {
    let Some((ready, begun)) = waited(story, step) else { return };
    line(html, "waited", x(ready), x(begun), y);
    html.put("<title>could begin, and waited {}</title></line>", &[&duration(millis(ready, begun))]);
}

fn bars(html: &mut Html, story: &Story<'_>, step: usize, x: &dyn Fn(Timestamp) -> f64, y: f64) {
    let ours: Vec<_> = story.attempts.iter().filter(|attempt| attempt.step == step).collect();
    for (i, attempt) in ours.iter().enumerate() {
        let next = ours.get(i + 1);
        // A call without an end ends, for the eye, where the next one or the run does.
        let to = attempt.to.unwrap_or_else(|| next.map_or(story.end(), |next| next.from));
        let left = x(attempt.from);
        let mut right = left + (x(to) - left).max(3.0);
        let running = story.run.ended.is_none() && next.is_none();
        bar(html, attempt, running, (left, right, y), millis(attempt.from, to));
        if matches!(attempt.end, End::Failed) {
            // Its shape says so too, not the colour alone.
            let mark = if attempt.undo { "stuck" } else { "failed" };
            html.put(
                "<use href=\"#i-{}\" x=\"{}\" y=\"{}\" width=\"16\" height=\"16\"/>",
                &[&mark, &px(right - 8.0), &(y - 1.0)],
            );
            right += 8.0;
        }
        if let Some(next) = next.filter(|_| attempt.end == End::Retried) {
            line(html, "backoff", right, x(next.from), y);
            html.put("<title>waits for attempt {}</title></line>", &[&next.number]);
        }
        // The time of the way forward stands behind its last bar, where there is room.
        let last = !attempt.undo && next.is_none_or(|next| next.undo);
        let room = next.is_none_or(|next| x(next.from) - right > 60.0);
        if let Some(ms) = story.took(step).filter(|_| last && room) {
            let place = px(right + 6.0);
            html.put(
                "<text x=\"{}\" y=\"{}\" class=\"sub\">{}</text>",
                &[&place, &(y + 11.0), &duration(ms)],
            );
        }
    }
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

/// The beginning of a horizontal line through the middle of a row; whoever calls it ends it.
fn line(html: &mut Html, class: &'static str, from: f64, to: f64, y: f64) {
    let middle = y + BAR / 2.0;
    html.put(
        "<line class=\"{}\" x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{}\">",
        &[&class, &px(from), &px(to), &middle, &middle],
    );
}

/// Lines and numbers at round times.
fn axis(html: &mut Html, total: i64, height: f64) {
    let step = tick(total);
    for i in 0..=total / step {
        let x = px(NAMES + CHART * (i * step) as f64 / total as f64);
        html.put(
            "<line class=\"tick\" x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{}\"/><text x=\"{}\" y=\"14\" class=\"tick\">{}</text>",
            &[&x, &x, &(AXIS - 4.0), &height, &x, &label(i * step)],
        );
    }
}

/// A round step of the axis, in milliseconds, so that a total has 3 to 8 of them.
fn tick(total: i64) -> i64 {
    const ROUND: [i64; 22] = [
        1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 60_000, 120_000,
        300_000, 600_000, 1_800_000, 3_600_000, 7_200_000,
    ];
    let fits = |step: &&i64| total / **step <= 7;
    // Beyond 14 hours: as many hours as it takes.
    ROUND.iter().find(fits).copied().unwrap_or_else(|| (total / 7 / 3_600_000 + 1) * 3_600_000)
}

fn label(ms: i64) -> String {
    match ms {
        0 => "0".to_owned(),
        _ if ms % 3_600_000 == 0 => format!("{} h", ms / 3_600_000),
        _ if ms % 60_000 == 0 => format!("{} min", ms / 60_000),
        _ if ms % 1_000 == 0 => format!("{} s", ms / 1_000),
        _ => format!("{ms} ms"),
    }
}

/// Pixels, to a tenth.
fn px(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_axis_has_a_few_ticks(total in 8i64..2_000_000_000) {
            let ticks = total / tick(total);
            prop_assert!((2..=7).contains(&ticks), "{ticks}");
        }
    }

    #[test]
    fn labels_are_round() {
        for (ms, expect) in [(0, "0"), (200, "200 ms"), (2_000, "2 s"), (90_000, "90 s"), (7_200_000, "2 h")]
        {
            assert_eq!(label(ms), expect);
        }
    }
}
