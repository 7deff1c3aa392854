//! A spec with the origin of each value.

use code_core::expr::plain;
use code_core::spec::{Origin, Origins, Spec};
use serde_json::Value;

use crate::style::{Cell, Style, Tone, cell, shorten, table};

/// The spec, one value a line, each with where it comes from; files of `project` are named from there.
///
/// What is the same for every deployment and was not set by anybody (the version of the format) shows only
/// with `full`.
pub fn spec(style: &Style, spec: &Spec, origins: &Origins, project: &str) -> String {
    let origin = |origin: Option<&Origin>| shown_origin(origin, project);
    let mut text =
        style.paint(Tone::Strong, format!("Spec of {}/{}", spec.application, spec.environment)) + "\n";
    let value = serde_json::to_value(spec).unwrap_or_default();
    let mut rows = Vec::new();
    let mut component = None;
    let mut leaves = spec.leaves();
    leaves.sort_by_key(|at| rank(at));
    for at in leaves {
        let parts: Vec<&str> = at.split('/').skip(1).collect();
        let (depth, name) = match parts[..] {
            ["components", index, ..] => {
                if component != Some(index.to_owned()) {
                    component = Some(index.to_owned());
                    let name = format!("/components/{index}/name");
                    let shown = value.pointer(&name).map(plain).unwrap_or_default();
                    rows.push(vec![
                        cell(Tone::Strong, shown),
                        cell(Tone::Plain, ""),
                        origin(origins.get(&name)),
                    ]);
                }
                ("  ", parts[2..].join(" "))
            }
            _ => ("", parts.join(" ")),
        };
        // A component's name is the heading of its values.
        if matches!(parts[..], ["components", _, "name"]) {
            continue;
        }
        let Some(leaf) = value.pointer(&at) else { continue };
        if !style.full && is_boring(&at, leaf, origins, &value) {
            continue;
        }
        let name = name.replace('_', " ").replace("target ", "").replace("replicas max", "replicas");
        let width = if style.full { usize::MAX } else { 24 };
        rows.push(vec![
            cell(Tone::Plain, format!("{depth}{name}")),
            cell(Tone::Plain, shorten(style, &shown(leaf), width)),
            origin(origins.get(&at)),
        ]);
    }
    text.push_str(&table(style, 2, &rows));
    text
}

/// What a component's values are read in the order of.
const ORDER: &[&str] = &[
    "kind", "engine", "version", "image", "source", "build", "start", "release", "replicas", "port", "host",
];

/// What is said of the whole comes first, then the components as the spec lists them.
fn rank(at: &str) -> (usize, usize, String) {
    match at.split('/').skip(1).collect::<Vec<_>>()[..] {
        ["components", index, field, ..] => {
            let place = ORDER.iter().position(|name| *name == field).unwrap_or(ORDER.len());
            (index.parse::<usize>().unwrap_or(0) + 1, place, at.to_owned())
        }
        _ => (0, 0, at.to_owned()),
    }
}

fn shown_origin(origin: Option<&Origin>, project: &str) -> Cell {
    let text = |origin: &Origin| match project {
        "" | "/" => format!("({origin})"),
        project => format!("({origin})").replace(&format!("{project}/"), "").replace(project, "this project"),
    };
    match origin {
        Some(origin @ Origin::Default { .. }) => cell(Tone::Dim, text(origin)),
        Some(origin) => cell(Tone::Good, text(origin)),
        None => cell(Tone::Bad, "(of unknown origin)"),
    }
}

/// Whether a value says nothing that a person asked for or has to know: it is as it always is.
fn is_boring(at: &str, leaf: &Value, origins: &Origins, spec: &Value) -> bool {
    let defaulted = matches!(origins.get(at), Some(Origin::Default { .. }));
    if at == "/version" {
        return true;
    }
    // "replicas 3" for a fixed number; both ends where they differ.
    if let Some(other) = at.strip_suffix("/replicas/min") {
        return spec.pointer(&format!("{other}/replicas/max")) == Some(leaf);
    }
    let kept = matches!(origins.get(at), Some(Origin::Revision { .. }));
    (defaulted || kept) && *leaf == Value::Bool(false)
}

fn shown(value: &Value) -> String {
    match value {
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(" "),
        scalar => plain(scalar),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;
    use crate::style::tests::{NARROW, WIDE};

    #[test]
    fn every_value_has_its_origin() {
        let (spec, origins) = samples::spec();
        insta::assert_snapshot!(super::spec(&WIDE, &spec, &origins, "/p"));
        insta::assert_snapshot!(super::spec(&NARROW, &spec, &origins, "/p"));
        let full = super::spec(&Style { full: true, ..WIDE }, &spec, &origins, "/p");
        assert_eq!(
            full.lines().filter(|line| line.contains('(')).count(),
            spec.leaves().len(),
            "a value without its origin:\n{full}"
        );
    }

    #[test]
    fn a_value_without_an_origin_is_told() {
        let (spec, mut origins) = samples::spec();
        origins.remove("/components/0/kind");
        assert!(super::spec(&WIDE, &spec, &origins, "/p").contains("(of unknown origin)"));
    }
}
