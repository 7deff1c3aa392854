//! The public API of each library, as a list in `docs/api`: whatever changes in it is seen in review.
//!
//! ```text
//! src/*.rs ──syn──▶ tree (modules and what they declare) ──list──▶ docs/api/CRATE.txt
//! ```
//!
//! It is read from the sources, not from rustdoc's JSON, whose format changes with each toolchain. What the compiler
//! alone knows is not in it: automatic traits, which tests of each crate assert. `cargo xtask tidy --fix` writes the
//! lists anew; `docs/stability.md` says what a changed line means.
#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test ends where something is not as it should be"
)]

mod list;
mod show;
mod tree;

use std::fs;
use std::path::Path;

/// The crates that others depend on.
const CRATES: [&str; 5] = ["code-core", "code-monitor", "code-nlp", "code-providers", "code-security"];

#[test]
fn the_lists_of_the_public_api_are_those_of_the_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut changed = String::new();
    let mut types = Vec::new();
    for name in CRATES {
        let lines = list::list(&tree::Tree::read(&name.replace('-', "_"), &root.join(name).join("src")));
        types.extend(lines.iter().filter_map(|line| type_in(line)).map(str::to_owned));
        let path = root.join("docs/api").join(format!("{name}.txt"));
        let listed = fs::read_to_string(&path).unwrap_or_default();
        if std::env::var_os("UPDATE_API").is_some() {
            fs::write(path, lines.join("\n") + "\n").unwrap();
            continue;
        }
        let listed: Vec<&str> = listed.lines().collect();
        for line in listed.iter().filter(|line| !lines.iter().any(|now| now == *line)) {
            changed.push_str(&format!("- {line}\n"));
        }
        for line in lines.iter().filter(|line| !listed.contains(&line.as_str())) {
            changed.push_str(&format!("+ {line}\n"));
        }
    }
    let path = root.join("examples/tests/library/types.rs");
    let text = assertions(&types);
    if std::env::var_os("UPDATE_API").is_some() {
        fs::write(&path, &text).unwrap();
    } else if fs::read_to_string(&path).unwrap_or_default() != text {
        changed.push_str("~ examples/tests/library/types.rs\n");
    }
    assert!(
        changed.is_empty(),
        "the public API has changed; where that is meant, `cargo xtask tidy --fix` writes it down:\n{changed}"
    );
}

/// The type that a line declares, where it has no parameters and is there by default.
fn type_in(line: &str) -> Option<&str> {
    const OPTIONAL: [&str; 6] = ["conformance", "container", "kill-points", "kubernetes", "sim", "tera"];
    let (path, what) = line.split_once(": ")?;
    let what = what.trim_start_matches("#[non_exhaustive] ");
    let what = what.strip_prefix("struct").or_else(|| what.strip_prefix("enum"))?;
    let optional = OPTIONAL.iter().any(|feature| line.contains(&format!("feature = \"{feature}\"")));
    (!what.starts_with('<') && !optional).then_some(path)
}

/// A program that compiles where each of these types is `Send` and `Sync`.
fn assertions(types: &[String]) -> String {
    let mut text = String::from(
        "//! Every public type without parameters is `Send` and `Sync`: this compiles. `cargo xtask tidy --fix` writes it.\n\n\
         fn is<T: Send + Sync>() -> &'static str {\n    std::any::type_name::<T>()\n}\n\n\
         /// Their names.\n#[rustfmt::skip]\npub(crate) fn all() -> Vec<&'static str> {\n    vec![\n",
    );
    for path in types {
        text.push_str(&format!("        is::<{path}>(),\n"));
    }
    text + "    ]\n}\n"
}

/// What is listed of a crate with this one file.
fn listed(source: &str) -> Vec<String> {
    list::list(&tree::Tree::of("it", source))
}

#[test]
fn what_is_public_is_listed_where_it_is_reached() {
    let source = r#"
        mod hidden {
            /// Its docs are not API.
            #[derive(Clone, Debug)]
            #[non_exhaustive]
            pub struct Seen { /// A field.
                pub name: Vec<u8>, secret: u8 }
            impl Seen {
                pub fn name(&self) -> &str { "" }
                fn own(&self) {}
                pub(crate) fn ours(&self) {}
            }
            impl std::fmt::Display for Seen {}
            pub struct Unseen;
            impl Unseen { pub fn never(&self) {} }
        }
        pub mod open {
            pub enum Kind { One, Two { at: u8 } }
            #[cfg(feature = "more")]
            pub fn more<T: Into<String>>(text: T) -> Result<(), String> { Ok(()) }
            #[doc(hidden)] pub fn hidden() {}
            pub trait Does: Send { const N: u8; fn must(&self); fn may(&self) {} }
            fn private() {}
        }
        pub use hidden::Seen as Shown;
        pub use open::Kind;
        pub use std::sync::Arc;
        #[cfg(test)] pub fn only_in_tests() {}
    "#;
    assert_eq!(
        listed(source),
        [
            "it::Arc: use std::sync::Arc",
            "it::Kind: use it::open::Kind",
            "it::Shown.name: Vec<u8>",
            "it::Shown: #[non_exhaustive] struct { name, .. } derive(Clone, Debug)",
            "it::Shown: impl std::fmt::Display",
            "it::Shown::name: fn(&self) -> &str",
            "it::open::Does: trait: Send",
            "it::open::Does::N: const u8",
            "it::open::Does::may: fn(&self), provided",
            "it::open::Does::must: fn(&self)",
            "it::open::Kind: enum",
            "it::open::Kind::One",
            "it::open::Kind::Two { at: u8 }",
            "it::open::more: fn<T: Into<String>>(text: T) -> Result<(), String> [feature = \"more\"]",
        ]
    );
}

#[test]
fn what_a_macro_declares_is_listed_by_the_macro() {
    let source = r#"
        macro_rules! kinds { ($($name:ident)*) => { pub enum Kind { $($name,)* } } }
        kinds! { One Two }
    "#;
    assert_eq!(listed(source), ["it: kinds! => { pub enum Kind { $($name,)* } }", "it: kinds! { One Two }",]);
}
