//! One policy, compiled and ready to be asked.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use code_core::{Error, ErrorKind, Result};
use regorus::utils::limits::ExecutionTimerConfig;
use serde_json::Value;

use super::header::{self, Header};
use super::nesting::too_deep;
use super::recursion;

/// After how many units of work the clock is looked at.
const CHECK_INTERVAL: NonZeroU32 = NonZeroU32::MIN.saturating_add(127);

/// A policy with an engine of its own, which holds the policy and what it imports, and nothing else.
#[derive(Clone)]
pub(super) struct Rule {
    pub(super) header: Header,
    engine: regorus::Engine,
    query: String,
}

/// A file of Rego: its name in messages, and its text.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) file: String,
    pub(super) text: String,
}

impl Rule {
    /// Compiles a policy with the libraries that it may import.
    ///
    /// # Errors
    /// `policy::header`, `policy::compile`.
    pub(super) fn compile(source: &Source, libraries: &[Source]) -> Result<Rule> {
        let mut engine = regorus::Engine::new();
        engine.set_strict_builtin_errors(true);
        for library in libraries {
            add(&mut engine, library)?;
        }
        let package = add(&mut engine, source)?;
        let query = format!("{package}.findings");
        if !engine.has_declared_rule_rooted_at(&source.file, "findings").unwrap_or(false) {
            return Err(compile_error(&source.file, "it has no rule `findings`".into()));
        }
        let header = header::read(&source.file, &source.text)?;
        // Names that mean nothing are found only when the whole is put together.
        engine
            .compile_with_entrypoint(&query.as_str().into())
            .map_err(|error| compile_error(&source.file, error.to_string()))?;
        Ok(Rule { header, engine, query })
    }

    /// Refuses functions that call themselves: the engine would not end in them.
    ///
    /// # Errors
    /// `policy::compile`.
    pub(super) fn refuse_recursion(&self) -> Result<()> {
        let failed = |said: String| compile_error(&self.header.file, said);
        let tree = self.engine.get_ast_as_json().map_err(|error| failed(error.to_string()))?;
        let tree = serde_json::from_str(&tree).map_err(|error| failed(error.to_string()))?;
        match recursion::find(&tree) {
            None => Ok(()),
            Some(cycle) => Err(failed(format!("functions must not call themselves: {}", cycle.join(" → ")))),
        }
    }

    /// What its `findings` are for this input, or why that cannot be told.
    pub(super) fn evaluate(
        &self,
        input: &Result<regorus::Value, String>,
        limit: Duration,
    ) -> Result<Value, String> {
        let mut engine = self.engine.clone();
        engine.set_input(input.clone()?);
        engine.set_execution_timer_config(ExecutionTimerConfig { limit, check_interval: CHECK_INTERVAL });
        let value = engine.eval_rule(self.query.clone()).map_err(|error| {
            let said = error.to_string();
            let (place, reason) = place_and_reason(&said);
            place.map_or_else(|| reason.to_owned(), |place| format!("{reason} ({place})"))
        })?;
        match value {
            regorus::Value::Undefined => Ok(Value::Array(Vec::new())),
            value => serde_json::to_value(&value).map_err(|error| error.to_string()),
        }
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rule").field(&self.header.id).finish()
    }
}

/// A document as the engine takes it.
pub(super) fn input(document: &Value) -> Result<regorus::Value, String> {
    regorus::Value::from_json_str(&document.to_string()).map_err(|error| error.to_string())
}

/// The package of a file.
///
/// # Errors
/// `policy::compile`.
pub(super) fn package(source: &Source) -> Result<String> {
    add(&mut regorus::Engine::new(), source)
}

fn add(engine: &mut regorus::Engine, source: &Source) -> Result<String> {
    if let Some(line) = too_deep(&source.text) {
        let file = format!("{}:{line}", source.file);
        return Err(compile_error(
            &file,
            "it is nested too deep: take a part of it out as a rule of its own".into(),
        ));
    }
    engine
        .add_policy(source.file.clone(), source.text.clone())
        .map_err(|error| compile_error(&source.file, error.to_string()))
}

fn compile_error(file: &str, said: String) -> Error {
    let (place, what) = place_and_reason(&said);
    Error::new(ErrorKind::Invalid, "policy::compile", format!("compile a policy: {what}"))
        .help("mend the policy, or take it out of the directory; nothing is judged without it")
        .with("policy", place.unwrap_or(file))
        .with("said", said.trim())
}

/// What regorus says of an error, taken apart: `file:line:column`, and the reason in one line.
///
/// ```text
/// --> policies/a.rego:3:10
///   |
/// 3 | allow if nothing
///   |          ^
/// error: use of undefined variable `nothing` is unsafe
/// ```
fn place_and_reason(said: &str) -> (Option<&str>, &str) {
    let find = |prefix: &str| said.lines().find_map(|line| line.trim().strip_prefix(prefix)).map(str::trim);
    let first = said.lines().map(str::trim).find(|line| !line.is_empty());
    (find("-->"), find("error:").or(first).unwrap_or("no reason given"))
}
