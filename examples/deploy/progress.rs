//! A run while it goes on: one line for each change of a step, and on a terminal a bar for each that runs.
//!
//! ```text
//! engine ──offer──▶ Feed ──channel──▶ a thread: Board (pure) ──▶ bars or lines on standard error
//!                   never waits                              └──▶ JSON lines
//! ```
//!
//! Both views show the same facts: a bar only stands where the plain view wrote "started" last.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use code_core::StepId;
use code_core::event::{Body, Event, Sink};
use code_core::plan::Plan;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::json::Line;
use crate::render::history::Names;
use crate::render::time;
use crate::screen::Screen;
use crate::style::{Style, Tone, printable, shorten};

/// How often it is said that a run is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// To a program that reads JSON, whatever happens.
    pub beat: Duration,
    /// To a person without bars, where nothing else was said for so long.
    pub still: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { beat: Duration::from_secs(10), still: Duration::from_secs(30) }
    }
}

impl Pace {
    /// The variable by which tests have no need to wait: the milliseconds of a beat.
    const VARIABLE: &str = "DEPLOY_HEARTBEAT_MS";

    /// The pace, or another that the environment asks for.
    pub fn of(env: &dyn Fn(&str) -> Option<String>) -> Pace {
        let beat = env(Pace::VARIABLE).and_then(|ms| ms.parse().ok()).filter(|ms| *ms > 0);
        beat.map_or_else(Pace::default, |ms| {
            let beat = Duration::from_millis(ms);
            Pace { beat, still: beat * 3 }
        })
    }
}

/// What is due at a pace: pure, so that no test has to wait for it.
#[derive(Debug)]
struct Pulse {
    pace: Pace,
    beat: Duration,
    still: Duration,
}

impl Pulse {
    fn new(pace: Pace) -> Pulse {
        Pulse { pace, beat: pace.beat, still: pace.still }
    }

    /// When something is due next.
    fn next(&self) -> Duration {
        self.beat.min(self.still)
    }

    /// A person was told something: the silence begins anew.
    fn told(&mut self, at: Duration) {
        self.still = at + self.pace.still;
    }

    /// Whether a beat is due, and whether a line for a person is.
    fn due(&mut self, at: Duration) -> (bool, bool) {
        let due = (at >= self.beat, at >= self.still);
        if due.0 {
            self.beat += self.pace.beat;
        }
        if due.1 {
            self.still += self.pace.still;
        }
        due
    }
}

/// What is known of a run from its events: pure, so that every view shows the same.
#[derive(Debug, Default)]
pub struct Board {
    names: Names,
    running: BTreeMap<(StepId, bool), Running>,
    total: usize,
    done: usize,
}

#[derive(Debug)]
struct Running {
    name: String,
    since: Duration,
    said: String,
}

/// A change of the run, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The sentence.
    pub message: String,
    /// How it went.
    pub tone: Tone,
    /// Whether it is only said with `-v`: what steps say while they run.
    pub detail: bool,
}

impl Board {
    /// A board that knows the plan already, for a run that is resumed.
    pub fn of(plan: Option<&Plan>) -> Board {
        let total = plan.map_or(0, |plan| plan.steps.len());
        Board { names: plan.map(Names::of).unwrap_or_default(), total, ..Board::default() }
    }

    /// Takes an event that came `at` after the beginning; `None` where it changes nothing that is shown.
    pub fn take(&mut self, event: &Event, at: Duration) -> Option<Told> {
        let (message, tone) = self.names.tell(&event.body);
        let detail = matches!(event.body, Body::StepProgress { .. });
        match &event.body {
            Body::Planned { plan } => {
                self.total = plan.steps.len();
                return None;
            }
            Body::Requested { .. }
            | Body::Understood { .. }
            | Body::Judged { .. }
            | Body::Approved { .. } => {
                return None;
            }
            Body::StepStarted { step, undo, .. } => {
                let name = self.names.step(*step);
                let name = if *undo { format!("{name} (taking back)") } else { name };
                self.running.insert((*step, *undo), Running { name, since: at, said: String::new() });
            }
            Body::StepProgress { step, message, .. } => {
                for undo in [false, true] {
                    if let Some(running) = self.running.get_mut(&(*step, undo)) {
                        running.said.clone_from(message);
                    }
                }
            }
            Body::StepDone { step, undo, .. } => {
                self.done += usize::from(!undo);
                self.running.remove(&(*step, *undo));
            }
            Body::StepFailed { step, undo, .. } => {
                self.running.remove(&(*step, *undo));
            }
            _ => {}
        }
        Some(Told { message, tone, detail })
    }

    /// What runs, for how long: what a heartbeat says.
    pub fn running(&self, at: Duration) -> Vec<(String, Duration)> {
        self.running.values().map(|r| (r.name.clone(), at.saturating_sub(r.since))).collect()
    }

    /// The line that says that the run is alive.
    pub fn still(&self, at: Duration) -> String {
        let steps: Vec<String> = self
            .running(at)
            .into_iter()
            .map(|(name, since)| format!("{name} ({})", time::duration(since)))
            .collect();
        let what = if steps.is_empty() { "between steps".to_owned() } else { steps.join(", ") };
        format!("still running, {} of {} steps done: {what}", self.done, self.total)
    }
}

/// How a run is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// A bar for each step that runs.
    Bars,
    /// One line for each change.
    Lines,
    /// Nothing for people.
    Nothing,
}

/// The engine's end of the channel: a sink that never waits.
#[derive(Debug, Default)]
pub struct Feed(Mutex<Option<Sender<Event>>>);

impl Sink for Feed {
    fn offer(&self, event: &Event) {
        if let Some(sender) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            // The view is gone: the journal has the event.
            let _ = sender.send(event.clone());
        }
    }
}

/// A run that is being watched; [`Watch::end`] shows what is left and takes the bars away.
#[derive(Debug)]
pub struct Watch {
    feed: Arc<Feed>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins to show what the feed brings. `verbose` also shows what steps say.
    pub fn begin(feed: &Arc<Feed>, screen: &Arc<Screen>, view: View, verbose: bool, board: Board) -> Watch {
        let (sender, events) = mpsc::channel();
        *feed.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        let show = Show {
            screen: Arc::clone(screen),
            verbose,
            bars: Bars::new(view, screen, board.total),
            view,
            pace: screen.pace,
        };
        let thread =
            std::thread::Builder::new().name("progress".into()).spawn(move || show.run(&events, board));
        Watch { feed: Arc::clone(feed), thread: thread.ok() }
    }

    /// Shows what is left.
    pub fn end(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        *self.feed.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if let Some(thread) = self.thread.take() {
            // A view that panicked has said so; the run goes on.
            let _ = thread.join();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Show {
    screen: Arc<Screen>,
    verbose: bool,
    view: View,
    pace: Pace,
    bars: Option<Bars>,
}

impl Show {
    fn run(mut self, events: &mpsc::Receiver<Event>, mut board: Board) {
        let begin = Instant::now();
        let mut json_names = board.names.clone();
        let mut pulse = Pulse::new(self.pace);
        loop {
            match events.recv_timeout(pulse.next().saturating_sub(begin.elapsed())) {
                Ok(event) => {
                    let at = begin.elapsed();
                    let told = board.take(&event, at);
                    self.json(&mut json_names, &event, told.is_some());
                    if let Some(told) = told {
                        self.show(&board, &event, &told, at);
                        if !told.detail {
                            pulse.told(at);
                        }
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            // Also after an event: a tool that never stops talking must not drown it.
            let at = begin.elapsed();
            let (beat, still) = pulse.due(at);
            if beat {
                self.beat(&board, at);
            }
            if still && self.view == View::Lines {
                self.screen.note(&line(&self.screen.notes, at, &board.still(at), Tone::Dim));
            }
        }
        if let Some(bars) = self.bars.take() {
            bars.clear();
        }
    }

    fn json(&self, names: &mut Names, event: &Event, shown: bool) {
        if !self.screen.wants_json() {
            return;
        }
        // What was asked, understood, judged and planned has its own lines before the run.
        let line = Line::event(names, event);
        if (shown || matches!(event.body, Body::Approved { .. }))
            && let Ok(line) = line
        {
            self.screen.line(line);
        }
    }

    fn beat(&self, board: &Board, at: Duration) {
        if self.screen.wants_json() {
            let steps: Vec<_> = board
                .running(at)
                .into_iter()
                .map(|(step, since)| json!({ "step": step, "seconds": since.as_secs() }))
                .collect();
            let data = json!({ "seconds": at.as_secs(), "done": board.done, "total": board.total, "running": steps });
            self.screen.line(Line::new("heartbeat", self.screen.now(), board.still(at), data));
        }
    }

    fn show(&mut self, board: &Board, event: &Event, told: &Told, at: Duration) {
        match &mut self.bars {
            Some(bars) => bars.show(board, event, told, at, self.verbose),
            None if self.view == View::Lines && (!told.detail || self.verbose) => {
                self.screen.note(&line(&self.screen.notes, at, &told.message, told.tone));
            }
            None => {}
        }
    }
}

/// `[  4.2 s] web/process.r1.0 done: create process`
pub fn line(style: &Style, at: Duration, message: &str, tone: Tone) -> String {
    let at = style.paint(Tone::Dim, format!("[{:>7}]", time::duration(at)));
    let mut lines = String::new();
    for (i, part) in message.lines().enumerate() {
        let indent = if i == 0 { "" } else { "  " };
        lines.push_str(&format!("{at} {indent}{}\n", style.paint(tone, printable(part))));
    }
    lines
}

/// The bars on a terminal: one for the whole, and one for each step that runs.
struct Bars {
    all: MultiProgress,
    whole: ProgressBar,
    steps: BTreeMap<(StepId, bool), ProgressBar>,
    style: Style,
}

impl Bars {
    fn new(view: View, screen: &Screen, total: usize) -> Option<Bars> {
        if view != View::Bars {
            return None;
        }
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let whole = all.add(ProgressBar::new(total as u64));
        let bar = if screen.notes.unicode { "━━╌" } else { "##-" };
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos} of {len} steps, {elapsed}") {
            whole.set_style(style.progress_chars(bar));
        }
        whole.enable_steady_tick(Duration::from_millis(500));
        Some(Bars { all, whole, steps: BTreeMap::new(), style: screen.notes })
    }

    fn show(&mut self, board: &Board, event: &Event, told: &Told, at: Duration, verbose: bool) {
        self.whole.set_length(board.total as u64);
        self.whole.set_position(board.done as u64);
        match &event.body {
            Body::StepStarted { step, undo, .. } => {
                let bar = self.all.add(ProgressBar::new_spinner());
                if let Ok(style) = ProgressStyle::with_template("  {spinner} {wide_msg} {elapsed}") {
                    bar.set_style(if self.style.unicode { style } else { style.tick_chars("|/-\\ ") });
                }
                bar.set_message(printable(&told.message).into_owned());
                bar.enable_steady_tick(Duration::from_millis(120));
                if let Some(old) = self.steps.insert((*step, *undo), bar) {
                    old.finish_and_clear();
                }
            }
            Body::StepProgress { step, .. } => {
                for undo in [false, true] {
                    if let Some(bar) = self.steps.get(&(*step, undo)) {
                        bar.set_message(shorten(&self.style, &printable(&told.message), self.style.width));
                    }
                }
                if verbose {
                    self.write(told, at);
                }
            }
            Body::StepDone { step, undo, .. } | Body::StepFailed { step, undo, .. } => {
                if let Some(bar) = self.steps.remove(&(*step, *undo)) {
                    bar.finish_and_clear();
                }
                self.write(told, at);
            }
            _ => self.write(told, at),
        }
    }

    fn write(&self, told: &Told, at: Duration) {
        // A terminal that went away: the run goes on.
        let _ = self.all.println(line(&self.style, at, &told.message, told.tone).trim_end());
    }

    fn clear(self) {
        for bar in self.steps.into_values() {
            bar.finish_and_clear();
        }
        self.whole.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    fn told(events: &[(code_core::store::Seq, Event)]) -> Vec<String> {
        let mut board = Board::default();
        let lines = events.iter().filter_map(|(_, event)| board.take(event, Duration::ZERO));
        lines.map(|told| told.message).collect()
    }

    #[test]
    fn one_line_for_each_change() {
        insta::assert_snapshot!(told(&samples::events()).join("\n"));
        insta::assert_snapshot!(told(&samples::failing_events()).join("\n"));
    }

    #[test]
    fn a_slow_step_is_named() {
        let mut board = Board::default();
        for (_, event) in samples::events().iter().take(8) {
            board.take(event, Duration::from_secs(1));
        }
        let still = board.still(Duration::from_secs(41));
        assert_eq!(still, "still running, 0 of 4 steps done: web/release (40.0 s), db/endpoint (40.0 s)");
    }

    #[test]
    fn a_long_step_is_heard_of_every_ten_seconds_and_told_every_thirty() {
        let mut pulse = Pulse::new(Pace::default());
        let (mut beats, mut lines) = (0, 0);
        for second in 1..=95 {
            let (beat, still) = pulse.due(Duration::from_secs(second));
            beats += u32::from(beat);
            lines += u32::from(still);
        }
        assert_eq!((beats, lines), (9, 3));
        // What is told by itself is silence no more.
        pulse.told(Duration::from_secs(100));
        assert_eq!(pulse.due(Duration::from_secs(120)), (true, false));
        assert_eq!(pulse.due(Duration::from_secs(130)), (true, true));
        let env = |value: &'static str| Pace::of(&move |_: &str| Some(value.to_owned()));
        assert_eq!(env("200").still, Duration::from_millis(600));
        assert_eq!((env("0"), env("x")), (Pace::default(), Pace::default()));
    }

    #[test]
    fn what_a_tool_says_cannot_forge_a_line() {
        let style = crate::style::tests::WIDE;
        let text = line(&style, Duration::ZERO, "a\x1b[2K\nb", Tone::Plain);
        assert_eq!(text, "[  0.0 s] a\\u{1b}[2K\n[  0.0 s]   b\n");
    }
}
