//! The lines of the list: `path: what it is`, each item where others reach it.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Attribute, Fields, ImplItem, Item, ItemImpl, Signature, TraitItem, Type};

use crate::show::show;
use crate::tree::{Module, Target, Tree, condition, is_public, names};

/// The public API of a crate, in order.
pub(crate) fn list(tree: &Tree) -> Vec<String> {
    let mut list = List { tree, lines: BTreeSet::new(), reached: BTreeMap::new() };
    for (path, module) in &tree.modules {
        if module.public {
            let at = [std::slice::from_ref(&tree.name), path].concat().join("::");
            list.module(path, &at, module);
        }
    }
    for (path, module) in &tree.modules {
        for item in &module.items {
            if let Item::Impl(item) = item {
                list.implementation(path, module, item);
            }
        }
    }
    list.lines.into_iter().collect()
}

struct List<'a> {
    tree: &'a Tree,
    lines: BTreeSet<String>,
    /// Where others reach what a module declares.
    reached: BTreeMap<Target, String>,
}

impl List<'_> {
    /// Adds a line, with each of its conditions once.
    fn say(&mut self, line: &str, when: &str) {
        let conditions: BTreeSet<&str> = when.split_inclusive(']').collect();
        self.lines.insert(line.to_owned() + &conditions.into_iter().collect::<String>());
    }

    fn module(&mut self, path: &[String], at: &str, module: &Module) {
        for item in &module.items {
            let Some(when) = condition(crate::tree::attrs(item)) else { continue };
            let when = format!("{}{when}", module.when);
            for name in names(item, &module.items) {
                if public(item) {
                    self.reached.insert(Target::Item(path.to_vec(), name.clone()), format!("{at}::{name}"));
                }
            }
            self.item(at, None, item, module, &when);
        }
        for one in module.uses.iter().filter(|one| one.public) {
            let when = format!("{}{}", module.when, one.when);
            let here = format!("{at}::{}", one.name);
            match self.tree.resolve(path, &one.path) {
                None => self.say(&format!("{here}: use {}", one.path.join("::")), &when),
                Some(Target::Module(target)) => {
                    let there = &self.tree.modules[&target];
                    if there.public {
                        self.say(&format!("{here}: use {}::{}", self.tree.name, target.join("::")), &when);
                    } else if one.name == "*" {
                        self.module(&target, at, there);
                    } else {
                        self.module(&target, &here, there);
                    }
                }
                Some(Target::Item(target, name)) => {
                    let there = &self.tree.modules[&target];
                    if there.public {
                        let path = [std::slice::from_ref(&self.tree.name), &target].concat().join("::");
                        self.say(&format!("{here}: use {path}::{name}"), &when);
                        continue;
                    }
                    self.reached.insert(Target::Item(target.clone(), name.clone()), here);
                    for item in there.items.iter().filter(|item| names(item, &there.items).contains(&name)) {
                        let when = format!("{when}{}", there.when);
                        self.item(at, Some(&one.name), item, there, &when);
                    }
                }
            }
        }
    }

    /// An item, under another name where it is given one.
    fn item(&mut self, at: &str, rename: Option<&str>, item: &Item, module: &Module, when: &str) {
        if !public(item) {
            return;
        }
        let name = |name: &syn::Ident| format!("{at}::{}", rename.unwrap_or(&name.to_string()));
        match item {
            Item::Const(item) => self.say(&format!("{}: const {}", name(&item.ident), show(&item.ty)), when),
            Item::Static(item) => {
                self.say(&format!("{}: static {}", name(&item.ident), show(&item.ty)), when)
            }
            Item::Type(item) => self.say(
                &format!("{}: type{} = {}", name(&item.ident), show(&item.generics), show(&item.ty)),
                when,
            ),
            Item::Fn(item) => self.say(&format!("{}: {}", name(&item.sig.ident), function(&item.sig)), when),
            Item::Struct(item) => {
                let path = name(&item.ident);
                let (mark, derives) = marks(&item.attrs);
                let shape = self.fields(&path, &item.fields, when);
                let generics = show(&item.generics);
                self.say(&format!("{path}: {mark}struct{generics}{shape}{derives}"), when);
            }
            Item::Enum(item) => {
                let path = name(&item.ident);
                let (mark, derives) = marks(&item.attrs);
                self.say(&format!("{path}: {mark}enum{}{derives}", show(&item.generics)), when);
                for variant in &item.variants {
                    let value = variant.discriminant.as_ref().map(|(_, value)| format!(" = {}", show(value)));
                    let line = format!(
                        "{path}::{}{}{}",
                        variant.ident,
                        show(&variant.fields).replace(", }", " }").replace(", )", ")"),
                        value.unwrap_or_default()
                    );
                    self.say(line.trim_end(), when);
                }
            }
            Item::Trait(item) => {
                let path = name(&item.ident);
                let bounds = show(&item.supertraits);
                let bounds = if bounds.is_empty() { bounds } else { format!(": {bounds}") };
                self.say(&format!("{path}: trait{}{bounds}", show(&item.generics)), when);
                for inner in &item.items {
                    self.of_trait(&path, inner, when);
                }
            }
            Item::Macro(call) if !names(item, &module.items).is_empty() => {
                let macro_name = show(&call.mac.path);
                self.say(&format!("{at}: {macro_name}! {{ {} }}", show(&call.mac.tokens)), when);
                for rules in &module.items {
                    if let Item::Macro(rules) = rules
                        && rules.ident.as_ref() == call.mac.path.get_ident()
                    {
                        let text = show(&rules.mac.tokens);
                        let made = text.split_once("=>").map_or(text.as_str(), |(_, made)| made.trim());
                        self.say(&format!("{at}: {macro_name}! => {}", made.trim_end_matches(';')), when);
                    }
                }
            }
            _ => {}
        }
    }

    /// Lists the public fields of a struct, and gives its shape: whether others can make one, and match on it.
    fn fields(&mut self, path: &str, fields: &Fields, when: &str) -> String {
        let mut shape = Vec::new();
        for (i, field) in fields.iter().enumerate() {
            let name = field.ident.as_ref().map_or_else(|| i.to_string(), ToString::to_string);
            if is_public(&field.vis) {
                self.say(&format!("{path}.{name}: {}", show(&field.ty)), when);
                shape.push(name);
            } else if shape.last().is_none_or(|last| last != "..") {
                shape.push("..".to_owned());
            }
        }
        // Private fields stand last, wherever they are: their place is nobody's concern.
        let private = shape.iter().any(|name| name == "..");
        shape.retain(|name| name != "..");
        if private {
            shape.push("..".to_owned());
        }
        match fields {
            Fields::Unit => String::new(),
            Fields::Named(_) => format!(" {{ {} }}", shape.join(", ")),
            Fields::Unnamed(_) => format!("({})", shape.join(", ")),
        }
    }

    fn of_trait(&mut self, path: &str, item: &TraitItem, when: &str) {
        match item {
            TraitItem::Fn(inner) => {
                let provided = if inner.default.is_some() { ", provided" } else { "" };
                self.say(&format!("{path}::{}: {}{provided}", inner.sig.ident, function(&inner.sig)), when);
            }
            TraitItem::Const(inner) => {
                self.say(&format!("{path}::{}: const {}", inner.ident, show(&inner.ty)), when);
            }
            TraitItem::Type(inner) => self.say(&format!("{path}::{}: type", inner.ident), when),
            _ => {}
        }
    }

    /// What is implemented for what others reach, or of a trait that they reach.
    fn implementation(&mut self, path: &[String], module: &Module, item: &ItemImpl) {
        let Some(when) = condition(&item.attrs) else { return };
        let when = format!("{}{when}", module.when);
        let of = self.reach(path, &item.self_ty);
        if let Some((_, of_trait, _)) = &item.trait_ {
            let of_trait_shown = show(of_trait);
            match of {
                Some(of) => self.say(&format!("{of}: impl{} {of_trait_shown}", show(&item.generics)), &when),
                None => {
                    let segments: Vec<String> =
                        of_trait.segments.iter().map(|segment| segment.ident.to_string()).collect();
                    let reached =
                        self.tree.resolve(path, &segments).and_then(|t| self.reached.get(&t).cloned());
                    if let (Some(of_trait), true) = (reached, self.is_foreign(path, &item.self_ty)) {
                        let line =
                            format!("{of_trait}: impl{} for {}", show(&item.generics), show(&item.self_ty));
                        self.say(&line, &when);
                    }
                }
            }
            return;
        }
        let Some(of) = of else { return };
        for inner in &item.items {
            match inner {
                ImplItem::Fn(inner) if is_public(&inner.vis) => {
                    if let Some(condition) = condition(&inner.attrs) {
                        let line = format!("{of}::{}: {}", inner.sig.ident, function(&inner.sig));
                        self.say(&line, &format!("{when}{condition}"));
                    }
                }
                ImplItem::Const(inner) if is_public(&inner.vis) => {
                    self.say(&format!("{of}::{}: const {}", inner.ident, show(&inner.ty)), &when);
                }
                _ => {}
            }
        }
    }

    /// Where others reach this type.
    fn reach(&self, path: &[String], ty: &Type) -> Option<String> {
        let Type::Path(ty) = ty else { return None };
        let segments: Vec<String> =
            ty.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.reached.get(&self.tree.resolve(path, &segments)?).cloned()
    }

    /// Whether a type is of another crate, or any type at all.
    fn is_foreign(&self, path: &[String], ty: &Type) -> bool {
        let Type::Path(ty) = ty else { return true };
        let segments: Vec<String> =
            ty.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.tree.resolve(path, &segments).is_none()
    }
}

fn public(item: &Item) -> bool {
    match item {
        Item::Const(item) => is_public(&item.vis),
        Item::Enum(item) => is_public(&item.vis),
        Item::Fn(item) => is_public(&item.vis),
        Item::Static(item) => is_public(&item.vis),
        Item::Struct(item) => is_public(&item.vis),
        Item::Trait(item) => is_public(&item.vis),
        Item::Type(item) => is_public(&item.vis),
        Item::Macro(call) => call.ident.is_none(),
        _ => false,
    }
}

/// `async fn(&self, name: &str) -> Result<()>`.
fn function(signature: &Signature) -> String {
    show(signature).replacen(&format!("fn {}", signature.ident), "fn", 1).replace(",)", ")")
}

/// What an item says of itself before its name, and the traits that it derives.
fn marks(attrs: &[Attribute]) -> (String, String) {
    let mut mark = String::new();
    let mut derives = Vec::new();
    for attr in attrs {
        if attr.path().is_ident("non_exhaustive") || attr.path().is_ident("repr") {
            mark.push_str(&format!("{} ", show(attr)));
        }
        if let (true, Ok(list)) = (attr.path().is_ident("derive"), attr.meta.require_list()) {
            derives.push(show(&list.tokens));
        }
    }
    let derives = if derives.is_empty() { String::new() } else { format!(" derive({})", derives.join(", ")) };
    (mark, derives)
}
