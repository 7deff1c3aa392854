//! Rust: the package's binary, built by Cargo. The rules of which binaries a package has are Cargo's
//! (<https://doc.rust-lang.org/cargo/reference/cargo-targets.html>).

use std::collections::BTreeSet;

use code_core::id::name_from;
use code_core::{Error, ErrorKind, Result};
use serde::Deserialize;

use super::{Files, Found, Manifest, argv, line_where, no_start_command};

#[derive(Debug, Deserialize)]
struct CargoToml {
    package: Option<Package>,
    #[serde(default)]
    bin: Vec<Bin>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Package {
    name: String,
    default_run: Option<String>,
    #[serde(default = "yes")]
    autobins: bool,
}

#[derive(Debug, Deserialize)]
struct Bin {
    name: String,
    path: Option<String>,
}

fn yes() -> bool {
    true
}

pub(super) fn read(files: &Files<'_>) -> Result<Option<Manifest>> {
    const FILE: &str = "Cargo.toml";
    let Some(text) = files.text(FILE)? else { return Ok(None) };
    let manifest: CargoToml = toml::from_str(&text).map_err(|error| files.broken(FILE, error))?;
    let dir = files.dir.display().to_string();
    let Some(package) = &manifest.package else {
        let error = no_start_command(
            &dir,
            "tell which package of the workspace is the app".into(),
            " Or name the package's own directory with `source`.".into(),
        );
        return Ok(Some(Manifest {
            recognised: files.origin(FILE, 1, ""),
            name: None,
            build: Ok(None),
            web: Err(error),
            programs: BTreeSet::from(["cargo".to_owned()]),
        }));
    };
    let name_line =
        line_where(&text, |line| line.trim_start().starts_with("name") && line.contains(&package.name));
    let name =
        Found { value: name_from(&package.name), origin: files.origin(FILE, name_line, "package.name") };
    let bins = binaries(files, package, &manifest.bin);
    let (line, what) = match &package.default_run {
        Some(_) => {
            (line_where(&text, |line| line.trim_start().starts_with("default-run")), "package.default-run")
        }
        None => (name_line, "its only binary"),
    };
    let web = match (&package.default_run, bins.iter().collect::<Vec<_>>().as_slice()) {
        (Some(run), _) if bins.contains(run) => Ok(run.clone()),
        (Some(run), _) => Err(no_start_command(
            &dir,
            format!("find the binary `{run}` that default-run names in Cargo.toml"),
            String::new(),
        )),
        (None, [one]) => Ok((*one).clone()),
        (None, []) => {
            Err(no_start_command(&dir, "find a binary of the package: it is a library".into(), String::new()))
        }
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|name| name.as_str()).collect();
            Err(Error::new(
                ErrorKind::NeedsAnswer,
                "project::several-binaries",
                "tell which binary is the app",
            )
            .help(format!("write `default-run = \"{}\"` under `[package]` in Cargo.toml", names[0]))
            .with("choices", names.join(", "))
            .with("directory", dir))
        }
    };
    let build = Found { value: argv(&["cargo", "build", "--release"]), origin: files.origin(FILE, line, "") };
    Ok(Some(Manifest {
        recognised: files.origin(FILE, 1, ""),
        name: Some(name),
        build: Ok(Some(build)),
        web: web.map(|bin| Found {
            value: vec![format!("target/release/{bin}")],
            origin: files.origin(FILE, line, what),
        }),
        programs: BTreeSet::from(["cargo".to_owned()]),
    }))
}

/// The names of a package's binaries: those that it lists, and those that Cargo finds by itself.
fn binaries(files: &Files<'_>, package: &Package, listed: &[Bin]) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = listed.iter().map(|bin| bin.name.clone()).collect();
    if !package.autobins {
        return names;
    }
    let paths: BTreeSet<&str> = listed.iter().filter_map(|bin| bin.path.as_deref()).collect();
    if files.has("src/main.rs") && !paths.contains("src/main.rs") {
        names.insert(package.name.clone());
    }
    for entry in files.names("src/bin") {
        let file = format!("src/bin/{entry}");
        let main = format!("{file}/main.rs");
        if let Some(name) = entry.strip_suffix(".rs") {
            if !paths.contains(file.as_str()) {
                names.insert(name.to_owned());
            }
        } else if files.has(&main) && !paths.contains(main.as_str()) {
            names.insert(entry);
        }
    }
    names
}
