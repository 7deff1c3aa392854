//! Node.js: `npm start`, built by npm from a lockfile.

use std::collections::{BTreeMap, BTreeSet};

use code_core::id::name_from;
use code_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::Value;

use super::{Files, Found, Manifest, argv, line_where, no_start_command};

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PackageJson {
    name: Option<String>,
    scripts: BTreeMap<String, Value>,
    dependencies: BTreeMap<String, Value>,
    dev_dependencies: BTreeMap<String, Value>,
    optional_dependencies: BTreeMap<String, Value>,
}

pub(super) fn read(files: &Files<'_>) -> Result<Option<Manifest>> {
    const FILE: &str = "package.json";
    let Some(text) = files.text(FILE)? else { return Ok(None) };
    let package: PackageJson = serde_json::from_str(&text).map_err(|error| files.broken(FILE, error))?;
    let dir = files.dir.display().to_string();
    let key = |key: &str| line_where(&text, |line| line.trim_start().starts_with(&format!("\"{key}\"")));
    let has_script =
        |name: &str| package.scripts.get(name).and_then(Value::as_str).is_some_and(|s| !s.trim().is_empty());
    let start_line = line_where(&text, |line| line.contains("\"start\""));
    let name = package.name.as_deref().map(|name| Found {
        // `@team/shop` is the package `shop` of a team.
        value: name_from(name.rsplit('/').next().unwrap_or(name)),
        origin: files.origin(FILE, key("name"), "name"),
    });
    let web = match has_script("start") {
        true => Ok(Found {
            value: argv(&["npm", "start"]),
            origin: files.origin(FILE, start_line, "scripts.start"),
        }),
        false => Err(no_start_command(
            &dir,
            "tell how the app is started: package.json has no script `start`".into(),
            String::new(),
        )),
    };
    Ok(Some(Manifest {
        recognised: files.origin(FILE, 1, ""),
        name,
        build: build(files, &package, has_script("build"), &dir),
        web,
        programs: BTreeSet::from(["npm".to_owned(), "node".to_owned()]),
    }))
}

/// How it is built: what a lockfile pins is installed, then the script `build` is run where there is one.
fn build(
    files: &Files<'_>,
    package: &PackageJson,
    has_build: bool,
    dir: &str,
) -> Result<Option<Found<super::Argv>>> {
    let lockfile = ["package-lock.json", "npm-shrinkwrap.json"].into_iter().find(|name| files.has(name));
    let needs_none = package.dependencies.is_empty()
        && package.dev_dependencies.is_empty()
        && package.optional_dependencies.is_empty();
    let found = |words: &[&str], file: &str, what: &str| {
        Ok(Some(Found { value: argv(words), origin: files.origin(file, 0, what) }))
    };
    match (lockfile, needs_none, has_build) {
        (Some(lockfile), _, true) => {
            found(&["sh", "-c", "npm ci && npm run build"], lockfile, "and scripts.build")
        }
        (Some(lockfile), _, false) => found(&["npm", "ci"], lockfile, ""),
        (None, true, true) => found(&["npm", "run", "build"], "package.json", "scripts.build"),
        (None, true, false) => Ok(None),
        (None, false, _) => {
            let other = ["yarn.lock", "pnpm-lock.yaml", "bun.lock"].into_iter().find(|name| files.has(name));
            let help = match other {
                Some(other) => format!(
                    "{other} is another tool's: say how the app is built and started with `build` and `start` in code.toml, or make a lockfile of npm's with `npm install --package-lock-only`"
                ),
                None => {
                    "make one with `npm install --package-lock-only`, and keep it with the project".to_owned()
                }
            };
            Err(Error::new(
                ErrorKind::NotFound,
                "project::no-lockfile",
                "find package-lock.json: without a lockfile, what is installed may be another thing each time",
            )
            .help(help)
            .with("directory", dir))
        }
    }
}
