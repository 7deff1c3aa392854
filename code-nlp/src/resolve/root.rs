//! Roots of OpenTofu and Terraform: where their files are, and which of the two tools applies them.
//!
//! The choice of the tool binds, as that of a database's engine does: a state that one has written, the other may
//! not be able to read.

use code_core::spec::{Origin, ROOT_ENGINES};
use code_core::{Error, ErrorKind, Result};

use super::act::Scene;
use super::draft::Fields;
use super::fill::runs_code;

/// Where a root is looked for when nobody says where it is.
pub(crate) const USUAL: [&str; 4] = ["infra", "infrastructure", "terraform", "opentofu"];

/// Whether a component is a root: its engine says so, or that it has files and is of a kind that nothing else
/// makes from files.
pub(super) fn is_root(fields: &Fields) -> bool {
    let by_files = fields.has("/source")
        && !runs_code(fields.kind())
        && !matches!(fields.kind(), "static_site" | "database");
    let told = fields.0.keys().any(|pointer| pointer.starts_with("/terraform/"));
    told || match fields.text("/engine") {
        Some(engine) => ROOT_ENGINES.contains(&engine),
        None => by_files,
    }
}

/// Where its files are on this machine.
pub(super) fn files(fields: &mut Fields, scene: &Scene<'_>) -> Result<()> {
    let roots = &scene.context.roots;
    let missing = |message: String| {
        Err(Error::new(ErrorKind::NotFound, "resolve::no-root", message)
            .help("name the directory of the `*.tf` files as `source`, and where they are deeper in it, as `terraform.path`")
            .with("directory", scene.context.dir.as_str()))
    };
    let Some(said) = fields.text("/source").map(str::to_owned) else {
        let found: Vec<(&str, &String)> =
            USUAL.iter().filter_map(|name| Some((*name, roots.get(*name)?))).collect();
        return match found.as_slice() {
            [(name, dir)] => {
                let what = format!("{name} has `*.tf` files");
                fields.fill("/source", dir.as_str(), Origin::File { path: (*dir).clone(), line: 0, what });
                Ok(())
            }
            [] => missing(format!("find the root of `{}`", fields.name())),
            _ => missing(format!("tell which root `{}` is: there are {}", fields.name(), found.len())),
        };
    };
    match roots.get(&said) {
        Some(dir) => {
            if let Some(source) = fields.0.get_mut("/source") {
                source.value = dir.as_str().into();
            }
            Ok(())
        }
        // What runs is put aside already, or is found as it was before.
        None if fields.has("/release") || said.starts_with('/') => Ok(()),
        None => missing(format!("find a root in `{said}` for `{}`", fields.name())),
    }
}

/// The tool that applies it, where nothing says which.
pub(super) fn tool(fields: &mut Fields, scene: &Scene<'_>) {
    let here = |program: &str| scene.context.machine.programs.contains(program);
    let (engine, why) = match (here("tofu"), here("terraform")) {
        (true, true) => ("opentofu", "OpenTofu and Terraform are here, and OpenTofu is preferred"),
        (true, false) => ("opentofu", "OpenTofu is here"),
        (false, true) => ("terraform", "Terraform is here, and OpenTofu is not"),
        (false, false) => ("opentofu", "neither OpenTofu nor Terraform is here, and OpenTofu is preferred"),
    };
    fields.fill("/engine", engine, Origin::default(why));
}
