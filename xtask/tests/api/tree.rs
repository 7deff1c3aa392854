//! The modules of a crate and what they declare, and where a name leads.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path as File;

use quote::ToTokens;
use syn::{Attribute, Item, UseTree, Visibility};

/// The names of modules from the root, without the crate's.
pub(crate) type Path = Vec<String>;

/// The modules of a crate.
pub(crate) struct Tree {
    /// The crate's name, as in Rust.
    pub(crate) name: String,
    /// Each module, by path.
    pub(crate) modules: BTreeMap<Path, Module>,
}

/// A module.
#[derive(Default)]
pub(crate) struct Module {
    /// Whether it and all above it are public.
    pub(crate) public: bool,
    /// The conditions under which it is there.
    pub(crate) when: String,
    /// What stands in it, but for its modules and tests.
    pub(crate) items: Vec<Item>,
    /// What it takes from elsewhere: the name here, the path there, and whether it hands it on.
    pub(crate) uses: Vec<Use>,
}

/// A name from elsewhere.
pub(crate) struct Use {
    pub(crate) name: String,
    pub(crate) path: Path,
    pub(crate) public: bool,
    pub(crate) when: String,
}

/// Where a name leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// A module.
    Module(Path),
    /// What a module declares.
    Item(Path, String),
}

impl Tree {
    /// The crate whose sources lie here.
    pub(crate) fn read(name: &str, src: &File) -> Tree {
        let mut tree = Tree { name: name.to_owned(), modules: BTreeMap::new() };
        let root = fs::read_to_string(src.join("lib.rs")).expect("a library");
        tree.take(Vec::new(), true, String::new(), parse(&root), src);
        tree
    }

    /// A crate of one file.
    pub(crate) fn of(name: &str, source: &str) -> Tree {
        let mut tree = Tree { name: name.to_owned(), modules: BTreeMap::new() };
        tree.take(Vec::new(), true, String::new(), parse(source), File::new(""));
        tree
    }

    /// Takes the items of a module; its own modules lie in `dir`.
    fn take(&mut self, path: Path, public: bool, when: String, items: Vec<Item>, dir: &File) {
        let mut module = self.modules.remove(&path).unwrap_or_default();
        (module.public, module.when) = (public, when.clone());
        for item in items {
            let Some(condition) = condition(attrs(&item)) else { continue };
            match item {
                Item::Mod(inner) => {
                    let name = inner.ident.to_string();
                    let below = dir.join(&name);
                    let items = match inner.content {
                        Some((_, items)) => items,
                        None => {
                            let files = [dir.join(format!("{name}.rs")), below.join("mod.rs")];
                            let text = files.iter().find_map(|file| fs::read_to_string(file).ok());
                            parse(&text.unwrap_or_else(|| panic!("no file for `mod {name}`")))
                        }
                    };
                    let public = public && is_public(&inner.vis);
                    let path = [path.as_slice(), &[name]].concat();
                    self.take(path, public, format!("{when}{condition}"), items, &below);
                }
                Item::Use(item) => {
                    let public = is_public(&item.vis);
                    leaves(&item.tree, &mut Vec::new(), &mut |name, path| {
                        module.uses.push(Use { name, path, public, when: condition.clone() });
                    });
                }
                item => module.items.push(item),
            }
        }
        self.modules.insert(path, module);
    }

    /// Where a path leads that stands in a module; `None`: to another crate.
    pub(crate) fn resolve(&self, from: &[String], path: &[String]) -> Option<Target> {
        self.resolve_within(from, path, 0)
    }

    fn resolve_within(&self, from: &[String], path: &[String], depth: usize) -> Option<Target> {
        // A name that leads to itself leads nowhere.
        if depth > 12 {
            return None;
        }
        let (first, rest) = path.split_first()?;
        let inside = match first.as_str() {
            "crate" => Some(Vec::new()),
            "self" => Some(from.to_vec()),
            "super" => Some(from[..from.len().checked_sub(1)?].to_vec()),
            _ => {
                let child = [from, std::slice::from_ref(first)].concat();
                self.modules.contains_key(&child).then_some(child)
            }
        };
        if let Some(inside) = inside {
            return if rest.is_empty() {
                Some(Target::Module(inside))
            } else {
                self.resolve_within(&inside, rest, depth + 1)
            };
        }
        let module = self.modules.get(from)?;
        if rest.is_empty() && module.items.iter().any(|item| names(item, &module.items).contains(first)) {
            return Some(Target::Item(from.to_vec(), first.clone()));
        }
        let named = module.uses.iter().filter(|one| one.name == *first).map(|one| one.path.clone());
        let all = module.uses.iter().filter(|one| one.name == "*");
        let all = all.map(|one| [one.path.as_slice(), std::slice::from_ref(first)].concat());
        named.chain(all).find_map(|path| match self.resolve_within(from, &path, depth + 1)? {
            Target::Module(inside) if !rest.is_empty() => self.resolve_within(&inside, rest, depth + 1),
            found => rest.is_empty().then_some(found),
        })
    }
}

/// The names that an item declares; a macro declares those of the types in its rules and its call.
pub(crate) fn names(item: &Item, beside: &[Item]) -> Vec<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Macro(call) if call.ident.is_none() => {
            let rules = beside.iter().filter_map(|item| match item {
                Item::Macro(rules) if rules.ident.as_ref() == call.mac.path.get_ident() => {
                    Some(rules.mac.tokens.to_string())
                }
                _ => None,
            });
            let text = rules.chain([call.mac.tokens.to_string()]).collect::<Vec<_>>().join(" ");
            let words: Vec<&str> = text.split_whitespace().collect();
            let types = words.windows(3).filter(|w| w[0] == "pub" && ["struct", "enum"].contains(&w[1]));
            return types.map(|w| w[2].to_owned()).collect();
        }
        _ => return Vec::new(),
    };
    vec![ident.to_string()]
}

/// Whether everybody may use it.
pub(crate) fn is_public(vis: &Visibility) -> bool {
    matches!(vis, Visibility::Public(_))
}

/// Under which condition it is part of the API, as ` [feature = "…"]`; `None`: never.
pub(crate) fn condition(attrs: &[Attribute]) -> Option<String> {
    let mut when = String::new();
    for attr in attrs {
        let tokens = attr.meta.to_token_stream().to_string();
        if attr.path().is_ident("cfg") {
            let inner = attr.meta.require_list().expect("a condition").tokens.to_string();
            if inner == "test" || inner == "doctest" {
                return None;
            }
            when.push_str(&format!(" [{inner}]"));
        }
        if attr.path().is_ident("doc") && tokens.contains("hidden") && !tokens.contains('"') {
            return None;
        }
    }
    Some(when)
}

/// The attributes of an item.
pub(crate) fn attrs(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn parse(source: &str) -> Vec<Item> {
    syn::parse_file(source).expect("Rust").items
}

fn leaves(tree: &UseTree, path: &mut Path, leaf: &mut impl FnMut(String, Path)) {
    match tree {
        UseTree::Path(inner) => {
            path.push(inner.ident.to_string());
            leaves(&inner.tree, path, leaf);
            path.pop();
        }
        UseTree::Name(name) if name.ident == "self" => {
            leaf(path.last().cloned().unwrap_or_default(), path.clone());
        }
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            leaf(name.clone(), [path.as_slice(), &[name]].concat());
        }
        UseTree::Rename(name) => {
            leaf(name.rename.to_string(), [path.as_slice(), &[name.ident.to_string()]].concat());
        }
        UseTree::Glob(_) => leaf("*".to_owned(), path.clone()),
        UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, path, leaf)),
    }
}
