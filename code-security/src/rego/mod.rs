//! A scanner that judges by policies in Rego, evaluated in this process.
//!
//! ```text
//! policies/*.rego ──┐ header: id, severity, help                      Finding
//!                   ├──▶ Rule ──── evaluated on {spec} or {plan} ────▶ pass │ fail │ unknown
//! your directory ───┘    its own engine and time limit                 by rule and place
//! ```
//!
//! Each rule has an engine of its own: nothing that another file defines can change what it says, so a
//! policy that is added can forbid more and never allow more. A rule that says nothing, that breaks or that
//! takes too long is an unknown finding of that rule, and the others are heard all the same.
//!
//! The policies are plain Rego v1, for `opa eval` as well. How to write one, and the documents that it sees,
//! is in `docs/policies.md`.

mod answer;
mod header;
mod input;
mod nesting;
mod pack;
mod recursion;
mod rule;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use code_core::scanner::{Finding, Report, Subject};
use code_core::{Ctx, Digest, Error, ErrorKind, Result, Scanner};
use serde_json::Value;

pub use header::{Header, Topic};
pub use input::document;
use rule::Rule;

/// How long one rule may take by default.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// The stack on which rules are evaluated, in bytes. What is not used costs nothing.
const STACK: usize = 64 << 20;

/// Judges specs and plans by the policies that are built in, and by those that were added.
#[derive(Clone, Debug)]
pub struct RegoScanner {
    rules: Vec<Rule>,
    time_limit: Duration,
}

impl RegoScanner {
    /// A scanner with the built-in policies.
    ///
    /// # Errors
    /// `policy::compile` where this build's own policies are broken, which its tests exclude.
    pub fn new() -> Result<RegoScanner> {
        Ok(RegoScanner { rules: pack::built_in()?, time_limit: TIME_LIMIT })
    }

    /// With the policies of a directory and its subdirectories on top; `*_test.rego` and hidden files are
    /// left out.
    ///
    /// # Errors
    /// `policy::directory` where it cannot be read, `policy::compile` where a policy is no Rego,
    /// `policy::header` where one does not say what it is, `policy::duplicate` where two have one id.
    pub fn with_dir(mut self, dir: impl AsRef<Path>) -> Result<RegoScanner> {
        for rule in pack::read(dir.as_ref())? {
            self.add(rule)?;
        }
        Ok(self)
    }

    /// With another limit on the time that one rule may take.
    #[must_use]
    pub fn with_time_limit(mut self, limit: Duration) -> RegoScanner {
        self.time_limit = limit;
        self
    }

    /// What its rules say of themselves, in the order in which they judge.
    pub fn rules(&self) -> impl Iterator<Item = &Header> {
        self.rules.iter().map(|rule| &rule.header)
    }

    /// Judges an input document of this topic. The same document gives the same findings.
    pub fn judge(&self, topic: Topic, document: &Value) -> Vec<Finding> {
        let input = rule::input(document);
        let about = self.rules.iter().filter(|rule| rule.header.looks_at.contains(&topic));
        about
            .flat_map(|rule| answer::findings(&rule.header, rule.evaluate(&input, self.time_limit)))
            .collect()
    }

    fn add(&mut self, rule: Rule) -> Result<()> {
        let id = &rule.header.id;
        if let Some(other) = self.rules.iter().find(|other| other.header.id == *id) {
            let message = format!("add a second policy with the id `{id}`");
            return Err(Error::new(ErrorKind::Invalid, "policy::duplicate", message)
                .help("give it an id of its own: a policy is added to the others and takes no other's place")
                .with("policy", &*rule.header.file)
                .with("other", &*other.header.file));
        }
        self.rules.push(rule);
        Ok(())
    }
}

#[async_trait]
impl Scanner for RegoScanner {
    fn name(&self) -> &'static str {
        "policy"
    }

    fn looks_at(&self, subject: &Subject<'_>) -> bool {
        Topic::of(subject)
            .is_some_and(|topic| self.rules.iter().any(|rule| rule.header.looks_at.contains(&topic)))
    }

    async fn scan(&self, _: &Ctx, subject: Subject<'_>) -> Result<Report> {
        let digest: Digest = subject.digest();
        let Some((topic, document)) = document(&subject)? else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "policy::subject",
                "judge a subject of this sort",
            )
            .help("use a build whose policies know it, or take the scanner out of the engine"));
        };
        let findings = apart(self.clone(), topic, document).await?;
        Ok(Report { scanner: self.name().to_owned(), subject: digest, findings, cost: None })
    }
}

/// Judges on a thread of its own: rules compute for a while, and nest deeper than other stacks are.
async fn apart(scanner: RegoScanner, topic: Topic, document: Value) -> Result<Vec<Finding>> {
    let crashed = || {
        Error::new(ErrorKind::Bug, "policy::crashed", "judge by the policies")
            .help("report it, with the policies and the spec; until then the gate stays closed")
    };
    let (say, said) = tokio::sync::oneshot::channel();
    let judge = move || drop(say.send(scanner.judge(topic, &document)));
    let thread = std::thread::Builder::new().name("policies".to_owned()).stack_size(STACK);
    thread.spawn(judge).map_err(|error| crashed().because(error))?;
    said.await.map_err(|error| crashed().because(error))
}
