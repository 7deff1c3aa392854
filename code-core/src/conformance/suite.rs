//! A suite: the rules of one contract, each judged on its own, and run as any other test is.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::Error;

/// What a rule says of an implementation: nothing, where it holds.
pub(super) type Judged = Result<(), Objection>;

/// A rule by its name, and how it is judged on a bench of its own.
pub(super) type Rule<B> = (&'static str, fn(B) -> BoxFuture<'static, Judged>);

/// Rules by the names of the functions that judge them.
macro_rules! rules {
    ($($name:path as $text:literal),* $(,)?) => {
        vec![$(($text, |bench| Box::pin($name(bench)))),*]
    };
}
pub(super) use rules;

/// Ends a rule as broken where something does not hold.
macro_rules! holds {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err($crate::conformance::Objection::Broken(format!($($why)+)));
        }
    };
}
pub(super) use holds;

/// Why a rule cannot be said to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    /// It is broken, and how.
    Broken(String),
    /// It could not be judged: what it needs could not be made. Another rule says what is wrong with that.
    NotJudged(String),
    /// It does not apply: the claim, or the part of the sample, that is not there.
    NotClaimed(String),
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Objection::Broken(how) => write!(f, "broken: {how}"),
            Objection::NotJudged(why) => write!(f, "could not be judged: {why}"),
            Objection::NotClaimed(what) => write!(f, "not claimed: {what}"),
        }
    }
}

/// What a rule needs failed: the rule itself is not judged by that.
impl From<Error> for Objection {
    fn from(error: Error) -> Objection {
        Objection::NotJudged(format!("{error:?}"))
    }
}

/// The rules of a contract, held against one implementation.
pub struct Suite {
    cases: Vec<Case>,
}

#[derive(Clone)]
struct Case {
    name: String,
    judge: Arc<dyn Fn() -> Judged + Send + Sync>,
}

impl Suite {
    /// Each rule on what `bench` makes for it, which `clear` clears afterwards; a rule that is not done after
    /// `patience` is broken.
    pub(super) fn new<B: Clone + Send + 'static>(
        rules: Vec<Rule<B>>,
        bench: impl Fn() -> Result<B, Objection> + Send + Sync + 'static,
        clear: fn(B) -> BoxFuture<'static, ()>,
        patience: Duration,
    ) -> Suite {
        let bench = Arc::new(bench);
        let case = |(name, rule): Rule<B>| {
            let bench = Arc::clone(&bench);
            // The bench is made outside of a runtime, so that it may bring one of its own.
            let judge = move || {
                let bench = bench()?;
                in_time(rule(bench.clone()), clear(bench), patience)
            };
            Case { name: name.to_owned(), judge: Arc::new(judge) }
        };
        Suite { cases: rules.into_iter().map(case).collect() }
    }

    /// With a name before those of its rules, to tell several suites of one program apart.
    #[must_use]
    pub fn named(mut self, name: &str) -> Suite {
        for case in &mut self.cases {
            case.name = format!("{name}::{}", case.name);
        }
        self
    }

    /// With the rules of another.
    #[must_use]
    pub fn and(mut self, other: Suite) -> Suite {
        self.cases.extend(other.cases);
        self
    }

    /// The names of the rules, in order.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.cases.iter().map(|case| case.name.as_str())
    }

    /// Judges each rule, one after the other.
    pub fn judge(&self) -> Vec<(String, Result<(), Objection>)> {
        self.cases.iter().map(|case| (case.name.clone(), judge(case))).collect()
    }

    /// Judges each rule, and says how many hold.
    ///
    /// # Errors
    /// All rules that are broken or could not be judged, one a line.
    pub fn verdict(&self) -> Result<usize, String> {
        let (mut holding, mut broken) = (0, Vec::new());
        for (name, judged) in self.judge() {
            match judged {
                Ok(()) => holding += 1,
                Err(Objection::NotClaimed(_)) => {}
                Err(objection) => broken.push(format!("{name}: {objection}")),
            }
        }
        if broken.is_empty() { Ok(holding) } else { Err(broken.join("\n")) }
    }

    /// For a `#[test]`: panics with all rules that do not hold, and gives how many hold.
    ///
    /// # Panics
    /// Where a rule is broken or could not be judged.
    #[expect(clippy::panic, reason = "this is how a test fails")]
    pub fn check(&self) -> usize {
        self.verdict().unwrap_or_else(|broken| panic!("rules that do not hold:\n{broken}"))
    }

    /// For a `main` with `harness = false`: a test program that takes the arguments of cargo's own, and lists
    /// what is not claimed as ignored, with the claim.
    pub fn main(self) -> ExitCode {
        let trials = self.cases.into_iter().map(|case| {
            Trial::ignorable_test(case.name.clone(), move || match judge(&case) {
                Ok(()) => Ok(Completion::Completed),
                Err(objection @ Objection::NotClaimed(_)) => Ok(Completion::ignored_with(objection)),
                Err(objection) => Err(Failed::from(objection.to_string())),
            })
        });
        libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
    }
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.rules()).finish()
    }
}

/// What is asked must answer: a panic breaks the rule under which it happened.
fn judge(case: &Case) -> Judged {
    catch_unwind(AssertUnwindSafe(|| (case.judge)())).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word");
        Err(Objection::Broken(format!("it panicked: {said}")))
    })
}

fn in_time(rule: BoxFuture<'static, Judged>, clear: BoxFuture<'static, ()>, patience: Duration) -> Judged {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Objection::NotJudged(format!("no runtime: {error}")))?;
    let judged = runtime.block_on(async {
        let judged = tokio::time::timeout(patience, AssertUnwindSafe(rule).catch_unwind()).await;
        // Whether that goes well is the business of other rules.
        let _ = tokio::time::timeout(patience, AssertUnwindSafe(clear).catch_unwind()).await;
        judged
    });
    // A call that hangs must not hold the others up.
    runtime.shutdown_background();
    match judged {
        Ok(Ok(judged)) => judged,
        Ok(Err(panic)) => resume_unwind(panic),
        Err(_) => Err(Objection::Broken(format!("it does not end within {patience:?}"))),
    }
}

/// How a call stands at one of its waits.
pub(super) enum At<F: Future> {
    /// It ended before it waited so often.
    Ended(F::Output),
    /// It waits there; dropping this drops it.
    Waiting(Pin<Box<F>>),
}

/// Lets a call go on to its `nth` wait, counted from 1: where it could be cancelled, or die.
pub(super) async fn at_wait<F: Future>(call: F, nth: usize) -> At<F> {
    let mut call = Box::pin(call);
    let mut waits = 0;
    let ended = std::future::poll_fn(|cx: &mut Context<'_>| match call.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => {
            waits += 1;
            if waits < nth { Poll::Pending } else { Poll::Ready(None) }
        }
    })
    .await;
    match ended {
        Some(output) => At::Ended(output),
        None => At::Waiting(call),
    }
}

/// What is wrong with how an error speaks to a person, where something is.
pub(super) fn speaks_badly(error: &Error) -> Option<String> {
    let message = error.message();
    let fault = if !error.code().contains("::") {
        "its code is not `room::what-happened`"
    } else if message.is_empty() || message.starts_with(char::is_uppercase) || message.ends_with('.') {
        "its message is no lower-case fragment that fits after \"failed to\""
    } else if error.help_text().is_none_or(|help| help.trim().is_empty()) {
        "it does not say what to do"
    } else {
        return None;
    };
    Some(format!("{fault}: {error:?}"))
}
