//! Clauses to frames: who is meant, what is said of whom, and what clauses share.
//!
//! ```text
//!  clause ──▶ scanned: own parts, settings, places, relations, references
//!                │
//!    no action ──┼──▶ before any action: a preamble, which the next action takes up ("it", "both", nothing)
//!                │    after one: more about the last action
//!    action ─────┴──▶ a frame of its own, merged with the last one where action and place are the same
//! ```

mod act;
mod action;
mod admit;
mod attach;
mod left_out;
mod loose;
mod mention;
mod refer;
mod scan;
mod state;

use code_core::intent::Action;
use code_core::request::Span;

use crate::grammar::clause::{Clause, Verb, View};
use crate::grammar::frame::{Entity, Frame, Said};
use crate::grammar::lexicon::Deed;
use crate::grammar::part::Part;
use crate::grammar::setting::Set;

/// What was unclear while reading.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Doubt {
    /// A field of one component has two values.
    Differs { field: &'static str, span: Span },
    /// An action is asked for and denied.
    Denied { action: Action, span: Span },
    /// An action without anything to do it to.
    NoObject { action: Action, span: Span },
    /// Something was denied, and nothing else asked.
    Refused { span: Span },
    /// Something is asked for, and asked to be left out.
    Without { what: String, span: Span },
    /// A word that stands where an environment would.
    UnknownEnvironment { word: String, span: Span },
}

/// The state of the discourse.
pub(crate) struct Reader<'a> {
    pub(crate) view: View<'a>,
    pub(crate) entities: Vec<Entity>,
    pub(crate) frames: Vec<Frame>,
    /// What was said before any action, or since the last one.
    pub(crate) pending: Frame,
    /// What stands before the first verb of the sentence, for all its clauses.
    pub(crate) lead: Frame,
    pub(crate) doubts: Vec<Doubt>,
    /// A dry run asked for in a clause of its own before any action.
    pub(crate) dry_run: Option<Span>,
    /// Actions without an object, which wait for the next clause's.
    waiting: Option<Frame>,
    /// What is to be left out.
    left_out: Vec<LeftOut>,
}

/// "no cache", "without a database", "but not to production".
#[derive(Clone, Debug)]
enum LeftOut {
    /// A component, with those that it stands behind.
    Part { part: Part, span: Span, of: Vec<usize> },
    /// A component in the same breath: "with and without a cache".
    Both { part: Part, span: Span },
    /// A place.
    Environment { name: String, span: Span },
}

/// What a clause says.
#[derive(Default)]
pub(crate) struct Scanned {
    pub(crate) frame: Frame,
    /// It refers to what was named before.
    pub(crate) it: Option<Span>,
    pub(crate) them: Option<Span>,
    pub(crate) there: Option<Span>,
    pub(crate) both: Option<Span>,
    /// Settings with no component in the clause.
    pub(crate) loose: Vec<Said<Set>>,
    /// Environments before the verb.
    pub(crate) lead: Frame,
    pub(crate) names: Vec<(String, Span)>,
    pub(crate) later: bool,
    pub(crate) up: bool,
    pub(crate) down: bool,
    /// A relation was stated.
    pub(crate) related: bool,
    pub(crate) fresh: Vec<usize>,
    pub(crate) only_definite: bool,
    pub(crate) counted: bool,
    pub(crate) denied_parts: bool,
    /// The component to which the last setting of a row went, past the one in focus.
    pub(crate) redirected: Option<usize>,
    /// "the minimum number of replicas … to 2": which end the next number is.
    pub(crate) bound: Option<bool>,
    /// What is denied.
    pub(crate) excluded: Vec<Part>,
    pub(crate) range: bool,
}
impl Scanned {
    /// Whether the clause says of something that it is so or not.
    fn flagged(&self) -> bool {
        let members = self.frame.members.iter().flat_map(|m| &m.settings);
        self.loose.iter().chain(members).any(|s| {
            matches!(
                s.value,
                Set::Public(_) | Set::Tls(_) | Set::Backups(_) | Set::Encrypted(_) | Set::HighlyAvailable(_)
            )
        })
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn new(view: View<'a>) -> Reader<'a> {
        Reader {
            view,
            entities: Vec::new(),
            frames: Vec::new(),
            pending: Frame::default(),
            lead: Frame::default(),
            doubts: Vec::new(),
            dry_run: None,
            waiting: None,
            left_out: Vec::new(),
        }
    }

    /// Reads all clauses.
    pub(crate) fn read(&mut self, clauses: &[Clause]) {
        let mut sentence = usize::MAX;
        for (n, clause) in clauses.iter().enumerate() {
            if clause.sentence != sentence {
                sentence = clause.sentence;
                self.lead = Frame::default();
            }
            let next_same =
                clauses.get(n + 1).is_some_and(|c| c.sentence == clause.sentence && c.verb.is_some());
            self.clause(clause, next_same);
        }
        if let Some(frame) = self.waiting.take() {
            self.admit(frame, Vec::new());
        }
        self.finish();
    }

    fn clause(&mut self, clause: &Clause, next_same: bool) {
        let action = self.action_before_scan(clause);
        let mut scanned = self.scan(clause, action);
        scanned.frame.sentence = clause.sentence;
        // "don't restart the API, only the worker": what is left is asked for.
        let mut verb = clause.verb;
        if let Some((denied, span)) = clause.denied
            && verb.is_none()
        {
            if !scanned.fresh.is_empty() && scanned.denied_parts {
                verb = Some(Verb { deed: Deed::Do(denied), topic: None, span, at: clause.from, weak: false });
            } else if denied == Action::Update && scanned.flagged() {
                // "do not make it public" says how it is to be.
                self.state(clause, scanned);
                return;
            } else {
                self.denied(clause, denied, span, &scanned);
                return;
            }
        }
        if let Some(span) = clause.dry_run {
            scanned.frame.dry_run = Some(span);
        }
        let action = verb.and_then(|verb| self.resolve(clause, verb, &scanned));
        match action {
            Some((action, weak)) => self.act(clause, action, weak, scanned, next_same),
            None if clause.gapped && !self.frames.is_empty() => self.gap(scanned),
            None => self.state(clause, scanned),
        }
    }

    /// The action as far as the verb alone says it; loose numbers are read by it.
    fn action_before_scan(&self, clause: &Clause) -> Option<Action> {
        match clause.verb {
            Some(Verb { deed: Deed::Do(action), .. }) => Some(action),
            Some(Verb { deed: Deed::Raise, .. }) => None,
            None if clause.gapped => self.frames.last().and_then(|f| f.action.as_ref()).map(|a| a.value),
            _ => None,
        }
    }
}
