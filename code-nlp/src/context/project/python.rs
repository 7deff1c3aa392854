//! Python: started as files and manifests say, built by pip where every requirement is pinned, or by uv.

use std::collections::{BTreeMap, BTreeSet};

use code_core::id::name_from;
use code_core::{Error, ErrorKind, Result};
use serde::Deserialize;

use super::{Argv, Files, Found, Manifest, argv, line_where, no_start_command};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pyproject {
    project: Option<ProjectTable>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ProjectTable {
    name: Option<String>,
    dependencies: Vec<String>,
    scripts: BTreeMap<String, String>,
}

pub(super) fn read(files: &Files<'_>) -> Result<Option<Manifest>> {
    const MARKS: &[&str] = &["pyproject.toml", "requirements.txt", "manage.py", "app.py", "main.py"];
    let Some(mark) = MARKS.iter().find(|name| files.has(name)) else { return Ok(None) };
    let manifest = files.text("pyproject.toml")?;
    let project = match &manifest {
        Some(text) => {
            toml::from_str::<Pyproject>(text).map_err(|e| files.broken("pyproject.toml", e))?.project
        }
        None => None,
    };
    let pyproject = manifest.unwrap_or_default();
    let name = project.as_ref().and_then(|project| project.name.as_deref()).map(|name| Found {
        value: name_from(name),
        origin: files.origin(
            "pyproject.toml",
            line_where(&pyproject, |line| line.trim_start().starts_with("name")),
            "project.name",
        ),
    });
    let installer = installer(files, project.as_ref())?;
    let python = match installer {
        Installer::None | Installer::Unpinned(_) => "python3",
        Installer::Pip { .. } => ".venv/bin/python",
        Installer::Uv { .. } => "uv",
    };
    let web = web(files, project.as_ref(), &pyproject, python)?;
    let (build, program) = match installer {
        Installer::None => (Ok(None), "python3"),
        Installer::Unpinned(error) => (Err(error), "python3"),
        Installer::Pip { found } => (Ok(Some(found)), "python3"),
        Installer::Uv { found } => (Ok(Some(found)), "uv"),
    };
    Ok(Some(Manifest {
        recognised: files.origin(mark, 1, ""),
        name,
        build,
        web,
        programs: BTreeSet::from([program.to_owned()]),
    }))
}

/// What installs the packages that the app needs.
#[derive(Debug)]
enum Installer {
    None,
    Pip { found: Found<Argv> },
    Uv { found: Found<Argv> },
    Unpinned(Error),
}

fn installer(files: &Files<'_>, project: Option<&ProjectTable>) -> Result<Installer> {
    if files.has("uv.lock") && files.has("pyproject.toml") {
        let found =
            Found { value: argv(&["uv", "sync", "--frozen"]), origin: files.origin("uv.lock", 0, "") };
        return Ok(Installer::Uv { found });
    }
    let unpinned = |message: String| {
        Installer::Unpinned(
            Error::new(ErrorKind::NotFound, "project::no-lockfile", message)
                .help("pin every package: `pip freeze > requirements.txt`, or `uv lock`; or say how the app is built and started with `build` and `start` in code.toml")
                .with("directory", files.dir.display().to_string()),
        )
    };
    let Some(text) = files.text("requirements.txt")? else {
        return Ok(match project.is_some_and(|project| !project.dependencies.is_empty()) {
            true => unpinned("find a lockfile for the dependencies in pyproject.toml".into()),
            false => Installer::None,
        });
    };
    let mut any = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.split(" #").next().unwrap_or(line).trim();
        if line.is_empty() || line.starts_with('#') || line.starts_with("--hash") {
            continue;
        }
        any = true;
        if !(line.contains("==") || line.contains(" @ ")) {
            let shown: String = line.chars().take(60).collect();
            return Ok(unpinned(format!(
                "install `{shown}` (requirements.txt:{}): it is not pinned, and may be another thing each time",
                index + 1
            )));
        }
    }
    if !any {
        return Ok(Installer::None);
    }
    let line = "python3 -m venv .venv && .venv/bin/python -m pip install --requirement requirements.txt";
    let found = Found { value: argv(&["sh", "-c", line]), origin: files.origin("requirements.txt", 1, "") };
    Ok(Installer::Pip { found })
}

/// How the web process is started, as far as that is certain.
fn web(
    files: &Files<'_>,
    project: Option<&ProjectTable>,
    pyproject: &str,
    python: &str,
) -> Result<Result<Found<Argv>>> {
    let uv = python == "uv";
    let run = if uv { "uv run --no-sync python" } else { python };
    if files.has("manage.py") {
        // Django's own server; it does not read PORT by itself.
        let line = format!("exec {run} manage.py runserver --noreload 127.0.0.1:$PORT");
        let origin = files.origin("manage.py", 1, "a Django project");
        return Ok(Ok(Found { value: argv(&["sh", "-c", &line]), origin }));
    }
    for name in ["app.py", "main.py"] {
        let Some(text) = files.text(name)? else { continue };
        // A module that only defines an app ends at once when it is run.
        let line = line_where(&text, |line| {
            let code = line.split('#').next().unwrap_or(line);
            code.contains("__main__") || code.contains(".run(") || code.contains("serve_forever(")
        });
        if line > 0 {
            let mut words: Argv = run.split(' ').map(str::to_owned).collect();
            words.push(name.to_owned());
            return Ok(Ok(Found { value: words, origin: files.origin(name, line, "it runs by itself") }));
        }
    }
    let scripts = project.map(|project| &project.scripts).filter(|_| uv);
    if let Some(scripts) = scripts
        && let Some((name, _)) = scripts.first_key_value()
        && scripts.len() == 1
    {
        let line = line_where(pyproject, |line| line.trim_start().starts_with(name.as_str()));
        let origin = files.origin("pyproject.toml", line, "project.scripts");
        return Ok(Ok(Found { value: argv(&["uv", "run", "--no-sync", name]), origin }));
    }
    Ok(Err(no_start_command(
        &files.dir.display().to_string(),
        "tell how the app is started: no manage.py, and no app.py or main.py that serves when it is run"
            .into(),
        String::new(),
    )))
}
