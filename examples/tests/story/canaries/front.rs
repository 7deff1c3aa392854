//! The front whose apps are given a great many secrets: the story `canaries` runs it.
//!
//! It is `deploy` with one recipe before its own: what the built-in recipes make of a component, and in the
//! environment of each process the secrets `canary-A` to `canary-B`, where the component's own environment says
//! `CANARIES = "A..B"`. So all else is what everybody runs.

use std::process::ExitCode;
use std::sync::Arc;

use code_core::provider::Resource;
use code_core::recipe::{At, Recipe};
use code_core::spec::{Component, Spec};
use code_core::{Error, ErrorKind, Expr, Result};

fn main() -> ExitCode {
    front::main_with(|engine| engine.recipe(Arc::new(Given)))
}

/// The variable that says which secrets a component is given.
const CANARIES: &str = "CANARIES";

#[derive(Debug)]
struct Given;

impl Recipe for Given {
    fn name(&self) -> &str {
        "story.given"
    }

    fn makes(&self, _: &Spec, component: &Component) -> bool {
        component.env.contains_key(CANARIES)
    }

    fn resources(&self, at: &At<'_>) -> Result<Vec<Resource>> {
        let usual = code_providers::recipes::local::local();
        let usual = usual.into_iter().find(|recipe| recipe.makes(at.spec, at.component)).ok_or_else(wrong)?;
        let range = at.component.env.get(CANARIES).and_then(|range| range.split_once(".."));
        let range = range.and_then(|(from, to)| Some(from.parse::<usize>().ok()?..to.parse().ok()?));
        let range = range.ok_or_else(wrong)?;
        let given = |resource: Resource| match resource.want {
            Some(want) if resource.kind == "process" => {
                let want = range.clone().fold(want, |want, i| {
                    want.with(&format!("env.CANARY_{i}"), Expr::secret(at.secret(&format!("canary-{i}"))))
                });
                Resource { want: Some(want), ..resource }
            }
            want => Resource { want, ..resource },
        };
        Ok(usual.resources(at)?.into_iter().map(given).collect())
    }
}

fn wrong() -> Error {
    Error::new(ErrorKind::Invalid, "story::canaries", "give a component its secrets")
        .help("write `A..B` into its variable CANARIES")
}
