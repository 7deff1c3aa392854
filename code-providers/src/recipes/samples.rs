//! What the tests of the platforms share: the resources of a spec, and how they are written down.

use std::path::Path;
use std::sync::Arc;

use code_core::intent::Kind;
use code_core::provider::{OnDelete, Resource};
use code_core::recipe::At;
use code_core::spec::{Component, Spec};
use code_core::status::Inventory;
use code_core::{Error, Expr, Recipe, Result};

pub(super) fn db(engine: &str) -> Component {
    Component { engine: Some(engine.into()), ..Component::new("db", Kind::Database) }
}

/// All resources of a spec, as the planner asks for them.
pub(super) fn resources(
    recipes: &[Arc<dyn Recipe>],
    spec: &Spec,
    revision: u64,
    inventory: &Inventory,
) -> Result<Vec<Resource>> {
    let mut all = Vec::new();
    for component in &spec.components {
        let at = At { spec, component, revision, inventory, state_dir: Path::new("/state") };
        let recipe = recipes.iter().find(|recipe| recipe.makes(spec, component)).unwrap();
        all.extend(recipe.resources(&at)?);
    }
    Ok(all)
}

/// Resources as a person would write them down.
pub(super) fn show(resources: &[Resource]) -> String {
    let mut text = String::new();
    for resource in resources {
        text += &format!("{} {}{}\n", resource.address, resource.kind, kept(resource));
        for (name, value) in &resource.wanted().0 {
            text += &format!("  {name} = {}\n", show_value(value));
        }
        for needed in &resource.depends_on {
            text += &format!("  needs {needed}\n");
        }
    }
    text
}

/// That it stays when it is no longer wanted.
pub(super) fn kept(resource: &Resource) -> &'static str {
    if resource.on_delete == OnDelete::Retain { " (kept)" } else { "" }
}

fn show_value(value: &Expr) -> String {
    match value {
        Expr::Known(value) => value.to_string(),
        Expr::Ref { address, output } => format!("<{address} {output}>"),
        Expr::Secret(name) => format!("secret {name}"),
        Expr::Text(parts) => parts.iter().map(show_value).collect::<Vec<_>>().join(" + "),
    }
}

/// Holds a refusal against its code and a part of what it says; every one has help.
pub(super) fn refused(error: &Error, code: &str, part: &str) {
    assert_eq!(error.code(), code, "{error:?}");
    assert!(error.message().contains(part), "{error}");
    assert!(error.help_text().is_some_and(|help| !help.is_empty()));
}
