//! A spec in the making: values by JSON pointer, each with its origin, so that none can lack one.

use std::collections::{BTreeMap, BTreeSet};

use code_core::spec::{Origin, Origins, Spec};
use code_core::{Error, ErrorKind, Result};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::settings::escape;

/// A value and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sourced {
    pub(super) value: Value,
    pub(super) origin: Origin,
    /// Whether a person said so, now or in an earlier request: what is only derived is derived again.
    pub(super) said: bool,
}

/// Values by pointer: of a component (`/replicas/min`), or the spec's own (`/target/platform`).
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fields(pub(super) BTreeMap<String, Sourced>);

impl Fields {
    /// The values of anything that serialises to a map, with what `origin` says of each pointer.
    pub(super) fn of(value: &impl Serialize, said: bool, mut origin: impl FnMut(&str) -> Origin) -> Fields {
        let mut fields = Fields::default();
        let value = serde_json::to_value(value).unwrap_or(Value::Null);
        flatten(&value, &mut String::new(), &mut |pointer, value| {
            let sourced = Sourced { value: value.clone(), origin: origin(pointer), said };
            fields.0.insert(pointer.to_owned(), sourced);
        });
        fields
    }

    pub(super) fn get(&self, pointer: &str) -> Option<&Value> {
        self.0.get(pointer).map(|sourced| &sourced.value)
    }

    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        self.get(pointer).and_then(Value::as_str)
    }

    pub(super) fn origin(&self, pointer: &str) -> Option<&Origin> {
        self.0.get(pointer).map(|sourced| &sourced.origin)
    }

    pub(super) fn has(&self, pointer: &str) -> bool {
        self.0.contains_key(pointer)
    }

    /// Replaces a value.
    pub(super) fn set(&mut self, pointer: &str, value: impl Into<Value>, origin: Origin, said: bool) {
        self.0.insert(pointer.to_owned(), Sourced { value: value.into(), origin, said });
    }

    /// Gives a value that is only a consequence, unless there is one.
    pub(super) fn fill(&mut self, pointer: &str, value: impl Into<Value>, origin: Origin) {
        self.0.entry(pointer.to_owned()).or_insert_with(|| Sourced {
            value: value.into(),
            origin,
            said: false,
        });
    }

    /// Takes every value of a weaker layer that is not here yet.
    ///
    /// The two ends of `replicas` bind each other: a weaker end never crosses a stronger one, it gives way.
    pub(super) fn under(&mut self, weaker: Fields) {
        let mine: Vec<&str> =
            ["/replicas/min", "/replicas/max"].into_iter().filter(|p| self.has(p)).collect();
        let one_end = (mine.len() == 1).then(|| mine[0]);
        for (pointer, sourced) in weaker.0 {
            self.0.entry(pointer).or_insert(sourced);
        }
        if let Some(strong) = one_end {
            let (min, max) = (self.number("/replicas/min"), self.number("/replicas/max"));
            if min > max
                && max.is_some()
                && let Some(end) = self.0.get(strong).cloned()
            {
                let weak = if strong == "/replicas/min" { "/replicas/max" } else { "/replicas/min" };
                self.0.insert(weak.to_owned(), end);
            }
        }
    }

    pub(super) fn number(&self, pointer: &str) -> Option<u64> {
        self.get(pointer).and_then(Value::as_u64)
    }

    /// Removes a value and everything below it.
    pub(super) fn remove(&mut self, pointer: &str) {
        let below = format!("{pointer}/");
        self.0.retain(|at, _| at != pointer && !at.starts_with(&below));
    }

    pub(super) fn name(&self) -> &str {
        self.text("/name").unwrap_or("")
    }

    pub(super) fn kind(&self) -> &str {
        self.text("/kind").unwrap_or("")
    }

    /// The names in `/depends_on`.
    pub(super) fn needs(&self) -> Vec<String> {
        let list = self.get("/depends_on").and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }
}

fn flatten(value: &Value, at: &mut String, note: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let length = at.len();
                at.push('/');
                at.push_str(&escape(name));
                flatten(value, at, note);
                at.truncate(length);
            }
        }
        Value::Null => {}
        leaf => note(at, leaf),
    }
}

/// A spec in the making.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Draft {
    pub(super) top: Fields,
    pub(super) components: Vec<Fields>,
}

impl Draft {
    /// The draft that a spec was, with what `sourced` says of each value: the component's name (empty for
    /// the spec's own values), the pointer, and the value.
    pub(super) fn of(spec: &Spec, mut sourced: impl FnMut(&str, &str) -> (Origin, bool)) -> Draft {
        let mut take = |name: &str, value: Value| {
            let mut fields = Fields::default();
            flatten(&value, &mut String::new(), &mut |pointer, value| {
                let (origin, said) = sourced(name, pointer);
                fields.0.insert(pointer.to_owned(), Sourced { value: value.clone(), origin, said });
            });
            fields
        };
        let mut top = serde_json::to_value(spec).unwrap_or(Value::Null);
        if let Value::Object(map) = &mut top {
            map.remove("components");
        }
        let components = spec
            .components
            .iter()
            .map(|c| take(&c.name, serde_json::to_value(c).unwrap_or(Value::Null)))
            .collect();
        Draft { top: take("", top), components }
    }

    pub(super) fn index(&self, name: &str) -> Option<usize> {
        self.components.iter().position(|fields| fields.name() == name)
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.components.iter().map(|fields| fields.name().to_owned()).collect()
    }

    /// The spec, with exactly one origin for each of its values.
    pub(super) fn finish(self) -> Result<(Spec, Origins)> {
        let mut origins = Origins::new();
        let mut root = Map::new();
        for (pointer, sourced) in self.top.0 {
            put(&mut root, &pointer, sourced.value);
            origins.insert(pointer, sourced.origin);
        }
        let mut components = Vec::new();
        for (index, fields) in self.components.into_iter().enumerate() {
            let mut map = Map::new();
            for (pointer, sourced) in fields.0 {
                put(&mut map, &pointer, sourced.value);
                origins.insert(format!("/components/{index}{pointer}"), sourced.origin);
            }
            components.push(Value::Object(map));
        }
        root.insert("components".into(), Value::Array(components));
        let spec: Spec = serde_json::from_value(Value::Object(root)).map_err(|error| {
            Error::new(ErrorKind::Invalid, "spec::value", format!("make a spec of what was said: {error}"))
                .help("say the value that it names in another way, or pass a spec with `--spec FILE`")
        })?;
        spec.check()?;
        let leaves: BTreeSet<String> = spec.leaves().into_iter().collect();
        origins.retain(|pointer, _| leaves.contains(pointer));
        match leaves.iter().find(|leaf| !origins.contains_key(*leaf)) {
            None => Ok((spec, origins)),
            Some(leaf) => {
                let message = format!("tell where the value at {leaf} comes from");
                Err(Error::new(ErrorKind::Bug, "resolve::no-origin", message)
                    .help("please report this: every value of a spec has an origin"))
            }
        }
    }
}

/// Puts a value at a pointer of a map, making the maps on the way.
fn put(map: &mut Map<String, Value>, pointer: &str, value: Value) {
    let path = pointer.strip_prefix('/').unwrap_or(pointer);
    let unescape = |part: &str| part.replace("~1", "/").replace("~0", "~");
    match path.split_once('/') {
        None => {
            map.insert(unescape(path), value);
        }
        Some((first, rest)) => {
            let inner = map.entry(unescape(first)).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                put(inner, &format!("/{rest}"), value);
            }
        }
    }
}
