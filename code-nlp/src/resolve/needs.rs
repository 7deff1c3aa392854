//! What components need of each other: from words to names, and the one wire that nobody has to say.

use code_core::Result;
use code_core::spec::Origin;

use super::act::Scene;
use super::draft::{Draft, Fields};
use super::fill::runs_code;
use super::pick;

/// Turns names and kinds of what is needed into names.
pub(super) fn dependencies(
    said: &mut Fields,
    needs: &[(String, Origin)],
    base: Option<&Fields>,
    draft: &Draft,
    index: usize,
    scene: &Scene<'_>,
) -> Result<()> {
    let Some((_, origin)) = needs.first() else { return Ok(()) };
    let mut names = base.map(Fields::needs).unwrap_or_default();
    for (need, _) in needs {
        let mut found: Vec<String> = Vec::new();
        if draft.index(need).is_some() || !scene.context.settings.parts(scene.environment(), need).is_empty()
        {
            found.push(need.clone());
        } else {
            let of_kind = |(i, part): &(usize, &Fields)| *i != index && part.kind() == need;
            found.extend(
                draft.components.iter().enumerate().filter(of_kind).map(|(_, p)| p.name().to_owned()),
            );
        }
        if found.is_empty() {
            return Err(pick::unknown_component(need, draft, &scene.place.deployment.to_string()));
        }
        for name in found {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    said.set("/depends_on", names, origin.clone(), true);
    Ok(())
}

/// An app whose words say nothing of what it needs gets the one database beside it: without its address,
/// neither would be of use to the other.
pub(super) fn wire(draft: &mut Draft) {
    let databases: Vec<String> =
        draft.components.iter().filter(|c| c.kind() == "database").map(|c| c.name().to_owned()).collect();
    let [database] = databases.as_slice() else { return };
    if draft.components.iter().any(|c| c.has("/depends_on")) {
        return;
    }
    for part in draft.components.iter_mut().filter(|part| runs_code(part.kind())) {
        part.fill("/depends_on", vec![database.clone()], Origin::default("there is one database beside it"));
    }
}

/// Adds a component that only the settings know; false where they do not say what it is.
pub(super) fn add_from_settings(name: &str, draft: &mut Draft, scene: &Scene<'_>) -> bool {
    let settings = &scene.context.settings;
    for (pointer, part) in settings.parts(scene.environment(), name) {
        if let Some(kind) = part.kind() {
            let mut fields = Fields::default();
            fields.set("/name", name, settings.origin(&pointer), false);
            fields.set("/kind", kind.as_str(), settings.origin(&format!("{pointer}/kind")), false);
            draft.components.push(fields);
            return true;
        }
    }
    false
}
