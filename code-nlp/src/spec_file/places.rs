//! Where each value of a YAML file stands.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use crate::settings::escape;

/// A value of any shape, as far as its place and the version are concerned.
#[derive(Debug)]
pub(super) enum Node {
    Map(Vec<(String, Spanned<Node>)>),
    List(Vec<Spanned<Node>>),
    Number(u64),
    Other,
}

impl PartialEq for Node {
    fn eq(&self, other: &Node) -> bool {
        matches!((self, other), (Node::Number(a), Node::Number(b)) if a == b)
    }
}

impl Node {
    /// The value of a key, where this is a map.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        match self {
            Node::Map(entries) => entries.iter().find(|(k, _)| k == key).map(|(_, value)| &value.value),
            _ => None,
        }
    }
}

/// Notes the line of each value below a node, by JSON pointer.
pub(super) fn note(at: &str, node: &Spanned<Node>, lines: &mut BTreeMap<String, u32>) {
    lines.insert(at.to_owned(), u32::try_from(node.referenced.line()).unwrap_or(0));
    match &node.value {
        Node::Map(entries) => {
            for (key, value) in entries {
                note(&format!("{at}/{}", escape(key)), value, lines);
            }
        }
        Node::List(items) => {
            for (index, item) in items.iter().enumerate() {
                note(&format!("{at}/{index}"), item, lines);
            }
        }
        Node::Number(_) | Node::Other => {}
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Node, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Node;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Node, A::Error> {
                let mut entries = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    entries.push((key, map.next_value()?));
                }
                Ok(Node::Map(entries))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Node, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Node::List(items))
            }
            fn visit_u64<E>(self, number: u64) -> std::result::Result<Node, E> {
                Ok(Node::Number(number))
            }
            fn visit_i64<E>(self, number: i64) -> std::result::Result<Node, E> {
                Ok(u64::try_from(number).map_or(Node::Other, Node::Number))
            }
            fn visit_f64<E>(self, _: f64) -> std::result::Result<Node, E> {
                Ok(Node::Other)
            }
            fn visit_bool<E>(self, _: bool) -> std::result::Result<Node, E> {
                Ok(Node::Other)
            }
            fn visit_str<E>(self, _: &str) -> std::result::Result<Node, E> {
                Ok(Node::Other)
            }
            fn visit_unit<E>(self) -> std::result::Result<Node, E> {
                Ok(Node::Other)
            }
            fn visit_none<E>(self) -> std::result::Result<Node, E> {
                Ok(Node::Other)
            }
            fn visit_some<D: Deserializer<'de>>(self, inner: D) -> std::result::Result<Node, D::Error> {
                Node::deserialize(inner)
            }
        }
        deserializer.deserialize_any(Read)
    }
}
