//! Finds functions that call themselves.
//!
//! Rego has no recursion, and OPA refuses it when it compiles. The engine here notices it between rules but
//! not between functions, where it would run until the stack ends, and the whole program with it. So the
//! calls are followed here, in the syntax tree that the engine gives as JSON.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// A function by its whole path: `acme.rule.judge`.
type Path = String;

/// The functions of these modules that end up in themselves, in the order in which they call each other.
pub(super) fn find(modules: &Value) -> Option<Vec<Path>> {
    let modules: Vec<Module<'_>> = modules.as_array()?.iter().filter_map(Module::read).collect();
    let mut calls: BTreeMap<Path, BTreeSet<Path>> = BTreeMap::new();
    for module in &modules {
        for rule in module.rules {
            let Some(head) = rule.pointer("/Spec/head/Func/refr").and_then(path) else { continue };
            let mut called = BTreeSet::new();
            module.collect(rule, &mut called);
            calls.entry(format!("{}.{head}", module.package)).or_default().extend(called);
        }
    }
    let names: Vec<&Path> = calls.keys().collect();
    let index: BTreeMap<&Path, usize> = names.iter().enumerate().map(|(i, name)| (*name, i)).collect();
    let edges = calls.iter().flat_map(|(from, called)| {
        let from = index[from];
        called.iter().filter_map(|to| index.get(to)).map(move |to| (from, *to)).collect::<Vec<_>>()
    });
    let cycle = code_core::graph::find_cycle(names.len(), edges)?;
    Some(cycle.into_iter().map(|i| names[i].clone()).collect())
}

/// A file, as far as names go.
struct Module<'a> {
    package: Path,
    imports: BTreeMap<String, Path>,
    rules: &'a [Value],
}

impl<'a> Module<'a> {
    fn read(module: &'a Value) -> Option<Module<'a>> {
        let (ast, text) = (module.get("ast")?, module.pointer("/source/contents")?.as_str()?);
        let mut imports = BTreeMap::new();
        for import in ast.get("imports")?.as_array()? {
            let Some(path) = import.get("refr").and_then(path) else { continue };
            let Some(path) = path.strip_prefix("data.") else { continue };
            let last = path.rsplit('.').next().unwrap_or(path);
            let name = import.get("as").and_then(|span| written(text, span)).unwrap_or(last);
            imports.insert(name.to_owned(), path.to_owned());
        }
        let rules = ast.get("rules")?.as_array()?;
        Some(Module { package: ast.pointer("/package/refr").and_then(path)?, imports, rules })
    }

    /// The functions that are called anywhere in this part of the tree, or put in another's place (`with`).
    fn collect(&self, tree: &Value, called: &mut BTreeSet<Path>) {
        match tree {
            Value::Array(items) => items.iter().for_each(|item| self.collect(item, called)),
            Value::Object(map) => {
                let function = tree.pointer("/Call/fcn").or_else(|| map.get("as"));
                called.extend(function.and_then(path).map(|path| self.resolve(&path)));
                map.values().for_each(|value| self.collect(value, called));
            }
            _ => {}
        }
    }

    fn resolve(&self, path: &str) -> Path {
        let (first, rest) = path.split_once('.').unwrap_or((path, ""));
        match self.imports.get(first) {
            _ if first == "data" => rest.to_owned(),
            Some(import) if rest.is_empty() => import.clone(),
            Some(import) => format!("{import}.{rest}"),
            None => format!("{}.{path}", self.package),
        }
    }
}

/// A reference as it is written with dots; `None` where a part of it is computed.
fn path(reference: &Value) -> Option<String> {
    if let Some(name) = reference.pointer("/Var/value") {
        return name.as_str().map(str::to_owned);
    }
    let dot = reference.pointer("/RefDot/refr").zip(reference.pointer("/RefDot/field/1"));
    let bracket = reference.pointer("/RefBrack/refr").zip(reference.pointer("/RefBrack/index/String/value"));
    let (before, last) = dot.or(bracket)?;
    Some(format!("{}.{}", path(before)?, last.as_str()?))
}

/// The text of a span.
fn written<'a>(text: &'a str, span: &Value) -> Option<&'a str> {
    let at = |name: &str| span.get(name)?.as_u64()?.try_into().ok();
    text.get(at("start")?..at("end")?)
}
