//! Times to places. A long time in which nothing ran is cut short, so that the rest can be seen.
//!
//! ```text
//! 0 s   2 s   4 s            1:00:04  1:00:06
//! ├─────┼─────┼────╱╱ 1 h ╱╱────┼────────┤
//! ```

use jiff::Timestamp;

use super::html::Html;
use super::story::{Story, millis};
use super::waits::For;

/// How the time of a run lies along a line of a length.
#[derive(Debug)]
pub(super) struct Scale {
    start: Timestamp,
    left: f64,
    /// Stretches of time in order, in milliseconds after the start, each with its places from the left.
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
struct Part {
    from: i64,
    to: i64,
    begin: f64,
    end: f64,
    cut: bool,
}

impl Scale {
    /// Of a run, from a place on and so wide.
    pub(super) fn new(story: &Story<'_>, left: f64, width: f64) -> Scale {
        let start = story.run.started;
        let total = millis(start, story.end()).max(1);
        let idle = story.waits.iter().filter(|wait| matches!(wait.what, For::Person | For::Stopped));
        let idle = idle.map(|wait| (millis(start, wait.from), wait.to.map_or(total, |to| millis(start, to))));
        Scale { start, left, parts: parts(total, idle.collect(), width) }
    }

    /// Where a time is.
    pub(super) fn x(&self, at: Timestamp) -> f64 {
        let ms = millis(self.start, at);
        let part = self.parts.iter().find(|part| ms <= part.to).or(self.parts.last());
        self.left + part.map_or(0.0, |part| part.place(ms))
    }

    /// The places between which a long time is cut short.
    pub(super) fn cuts(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let cuts = self.parts.iter().filter(|part| part.cut);
        cuts.map(|part| (self.left + part.begin, self.left + part.end))
    }

    /// Lines and numbers at round times, down to a height; nothing where time is cut.
    pub(super) fn axis(&self, html: &mut Html, top: f64, height: f64) {
        let shown: i64 = self.parts.iter().filter(|p| !p.cut).map(|p| p.to - p.from).sum();
        let step = tick(shown.max(1));
        let mut last = f64::NEG_INFINITY;
        for part in self.parts.iter().filter(|part| !part.cut) {
            let first = (part.from + step - 1) / step;
            for i in first..=part.to / step {
                let x = px(self.left + part.place(i * step));
                html.put(
                    "<line class=\"tick\" x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{}\"/>",
                    &[&x, &x, &(top - 4.0), &height],
                );
                // Beside a cut, two numbers may be too near to each other.
                if x - last > 56.0 {
                    html.put("<text x=\"{}\" y=\"14\" class=\"tick\">{}</text>", &[&x, &label(i * step)]);
                    last = x;
                }
            }
        }
    }
}

impl Part {
    fn place(&self, ms: i64) -> f64 {
        let share = (ms - self.from) as f64 / (self.to - self.from).max(1) as f64;
        self.begin + (self.end - self.begin) * share.clamp(0.0, 1.0)
    }
}

/// The whole time in parts: an idle one that is longer than a quarter of what is left is cut.
fn parts(total: i64, mut idle: Vec<(i64, i64)>, width: f64) -> Vec<Part> {
    idle.sort_unstable();
    let mut busy = total - idle.iter().map(|(from, to)| (to - from).max(0)).sum::<i64>();
    busy = busy.max(1);
    idle.retain(|(from, to)| to - from > busy / 4);
    let cut = (width * 0.12).min(width * 0.5 / idle.len().max(1) as f64);
    let mut spans = Vec::new();
    let mut at = 0;
    for (from, to) in idle {
        let (from, to) = (from.clamp(at, total), to.clamp(at, total));
        spans.extend([(at, from, false), (from, to, true)]);
        at = to;
    }
    spans.push((at, total, false));
    spans.retain(|(from, to, _)| to > from);
    let cuts = spans.iter().filter(|span| span.2).count() as f64;
    let shown: i64 = spans.iter().filter(|span| !span.2).map(|(from, to, _)| to - from).sum();
    let room = width - cut * cuts;
    let mut begin = 0.0;
    let part = |(from, to, is_cut): (i64, i64, bool)| {
        let wide = if is_cut { cut } else { room * (to - from) as f64 / shown.max(1) as f64 };
        let part = Part { from, to, begin, end: begin + wide, cut: is_cut };
        begin = part.end;
        part
    };
    spans.into_iter().map(part).collect()
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
        // What comes after a cut is seldom round: as a clock.
        120_000.. => {
            let (minutes, seconds) = (ms / 60_000, ms % 60_000 / 1_000);
            let clock = format!("{}:{:02}:{seconds:02}", minutes / 60, minutes % 60);
            if ms % 1_000 == 0 { clock } else { format!("{clock}.{:03}", ms % 1_000) }
        }
        _ if ms % 1_000 == 0 => format!("{} s", ms / 1_000),
        _ => format!("{ms} ms"),
    }
}

/// Pixels, to a tenth.
pub(super) fn px(value: f64) -> f64 {
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
        for (ms, expect) in [
            (0, "0"),
            (200, "200 ms"),
            (2_000, "2 s"),
            (90_000, "90 s"),
            (7_200_000, "2 h"),
            (3_602_500, "1:00:02.500"),
        ] {
            assert_eq!(label(ms), expect);
        }
    }

    #[test]
    fn a_long_idle_time_is_cut_and_a_short_one_is_not() {
        let part = |from, to, begin, end, cut| Part { from, to, begin, end, cut };
        assert_eq!(parts(1_000, vec![], 100.0), [part(0, 1_000, 0.0, 100.0, false)]);
        assert_eq!(parts(1_000, vec![(500, 550)], 100.0), [part(0, 1_000, 0.0, 100.0, false)]);
        assert_eq!(
            parts(1_000_000, vec![(400, 999_600)], 100.0),
            [
                part(0, 400, 0.0, 44.0, false),
                part(400, 999_600, 44.0, 56.0, true),
                part(999_600, 1_000_000, 56.0, 100.0, false)
            ]
        );
    }

    proptest! {
        #[test]
        fn a_later_time_is_never_further_left(
            total in 1i64..1_000_000_000,
            idle in proptest::collection::vec((0i64..1_000_000_000, 0i64..1_000_000_000), 0..5),
        ) {
            let idle: Vec<_> = idle.into_iter().map(|(a, b)| (a.min(b), a.max(b))).collect();
            let parts = parts(total, idle, 700.0);
            prop_assert!(parts.windows(2).all(|two| two[0].to == two[1].from && two[0].end == two[1].begin));
            prop_assert!(parts.iter().all(|part| part.end >= part.begin && part.begin >= 0.0));
            prop_assert!(parts.last().is_some_and(|part| part.to == total && part.end <= 700.001));
        }
    }
}
