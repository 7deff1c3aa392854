//! Spec files: a request without words, for those who prefer one (`--spec file.yaml`).
//!
//! A file says as much as it likes; what it leaves out is filled in as for a request, except that a file is
//! the whole truth about its deployment: a component that it does not name is taken away. YAML or JSON,
//! described in `docs/spec.md` and by the JSON schema `docs/schema/spec.v1.schema.json`.
//!
//! ```text
//! bytes ──▶ places (line of each value) ─┐
//!       └─▶ PartialSpec (strict types) ──┴──▶ SpecFile ──▶ resolve::resolve_spec
//! ```
//!
//! A file may be hostile: its size, its depth, its aliases and the number of its values have limits, keys may
//! not stand twice, and nothing in it is looked up elsewhere.

mod mistake;
mod places;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use code_core::intent::{Constraints, Platform};
use code_core::spec::{Origin, SPEC_VERSION, Spec};
use code_core::{Digest, Error, ErrorKind, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_saphyr::{DuplicateKeyPolicy, Options, Spanned};

use crate::settings::part_fields;
use mistake::mistake;
use places::Node;

/// The largest spec file that is read, in bytes.
pub const MAX_SPEC_BYTES: usize = 1024 * 1024;

/// A spec as a file may write it: everything but the components may be left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "CODE spec, version 1")]
pub struct PartialSpec {
    /// The address of this format's JSON schema, for editors; it changes nothing.
    #[serde(default, rename = "$schema", skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The version of the format: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1))]
    pub version: Option<u32>,
    /// The application's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// The environment's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Whether changes here need the approval of another person, and nothing unknown is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected: Option<bool>,
    /// How many resources one plan may take away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_budget: Option<u32>,
    /// Where it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<PartialTarget>,
    /// Its parts.
    pub components: Vec<PartialComponent>,
    /// What limits it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraints: Option<Constraints>,
}

/// Where a deployment runs, as far as a file says so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartialTarget {
    /// The kind of place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// A cloud's region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// A cluster's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// A namespace in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

part_fields! {
    /// A component, as far as a file describes it.
    pub struct PartialComponent {
        /// Its name, unique in the spec; else it is named after its kind.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name: Option<String>,
        /// The digest of its source and of how it is built, where exactly that is to run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub release: Option<Digest>,
        /// Kept, but not running.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub stopped: Option<bool>,
        /// Counts the restarts that were asked for: another number is another process.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub restarts: Option<u32>,
    }
}

/// A spec file that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct SpecFile {
    /// Its path, for origins and messages.
    pub path: String,
    /// What it says.
    pub spec: PartialSpec,
    lines: BTreeMap<String, u32>,
}

impl SpecFile {
    /// Where the value at a JSON pointer stands; the nearest value around it gives the line where it has none
    /// of its own.
    pub fn origin(&self, pointer: &str) -> Origin {
        let mut at = pointer;
        let line = loop {
            match (self.lines.get(at), at.rfind('/')) {
                (Some(line), _) => break *line,
                (None, Some(end)) => at = &at[..end],
                (None, None) => break 0,
            }
        };
        Origin::File { path: self.path.clone(), line, what: String::new() }
    }
}

/// Reads a spec from the bytes of a file that is called `path` in origins and errors.
///
/// # Errors
/// `spec::too-large`, `spec::syntax`, `spec::version`, `spec::unknown-field`, `spec::value`, each with file,
/// line and column where there is one.
pub fn read_spec(path: &str, bytes: &[u8]) -> Result<SpecFile> {
    if bytes.len() > MAX_SPEC_BYTES {
        let message = format!("read {path}: it has {} bytes", bytes.len());
        return Err(Error::new(ErrorKind::Invalid, "spec::too-large", message)
            .help(format!("keep a spec under {MAX_SPEC_BYTES} bytes: data belongs in files of its own")));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Error::new(ErrorKind::Invalid, "spec::syntax", format!("read {path}: it is not UTF-8 text"))
            .help("write the spec as YAML or JSON, in UTF-8")
            .because(error)
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let root: Spanned<Node> =
        serde_saphyr::from_str_with_options(text, options()).map_err(|error| mistake(path, text, &error))?;
    let mut lines = BTreeMap::new();
    places::note("", &root, &mut lines);
    // Another version may have other fields: that is said before they are complained about.
    if let Some(version) =
        root.value.get("version").filter(|version| **version != Node::Number(SPEC_VERSION.into()))
    {
        let line = lines.get("/version").copied().unwrap_or(0);
        let said = match version {
            Node::Number(number) => format!("of version {number}"),
            _ => "whose version is no number".to_owned(),
        };
        return Err(Error::new(ErrorKind::Invalid, "spec::version", format!("read a spec {said}"))
            .help(format!("this build reads version {SPEC_VERSION}: write `version: {SPEC_VERSION}`, or use a build that knows the other"))
            .with("at", format!("{path}:{line}")));
    }
    let spec: PartialSpec =
        serde_saphyr::from_str_with_options(text, options()).map_err(|error| mistake(path, text, &error))?;
    Ok(SpecFile { path: path.to_owned(), spec, lines })
}

/// A spec as a file that [`read_spec`] reads: all of it, for a person to edit.
///
/// # Errors
/// `spec::render` where it cannot be written as YAML.
pub fn write_spec(spec: &Spec) -> Result<String> {
    serde_saphyr::to_string(spec).map_err(|error| {
        Error::new(ErrorKind::Bug, "spec::render", "write the spec as YAML")
            .help("report this, with the spec")
            .because(error)
    })
}

/// Limits that a spec of 500 components keeps with ease, and a file made to hurt does not.
fn options() -> Options {
    serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        strict_booleans: true,
        budget: serde_saphyr::budget! {
            max_events: 200_000,
            max_aliases: 100,
            max_anchors: 100,
            max_depth: 32,
            max_documents: 1,
            max_nodes: 50_000,
            max_total_scalar_bytes: MAX_SPEC_BYTES,
        },
    }
}
