//! Where a component's files are, and how they are built and started.

use code_core::intent::Platform;
use code_core::spec::Origin;
use code_core::{Error, ErrorKind, Result};

use super::act::Scene;
use super::draft::Fields;
use super::fill::At;
use super::{SAMPLE, not_built};
use crate::context::Project;

/// Where a component's files are, and how they are built and started.
pub(super) fn files(fields: &mut Fields, at: &At<'_>, scene: &mut Scene<'_>) -> Result<()> {
    let context = scene.context;
    let name = fields.name().to_owned();
    if fields.text("/source") == Some(SAMPLE) {
        return Ok(());
    }
    let said_source = fields.text("/source").map(str::to_owned);
    let project: Option<&Project> = match &said_source {
        Some(source) if is_remote(source) => {
            return Err(not_built(
                &format!("fetch `{source}`"),
                "clone it, and name its directory with `--project DIR`",
            ));
        }
        Some(source) => context
            .sources
            .get(source)
            .or(context.project.as_ref().filter(|project| project.dir == *source || source == ".")),
        None => context.project.as_ref(),
    };
    let Some(project) = project else {
        return no_project(fields, at, said_source, scene);
    };
    match said_source {
        None => {
            let origin = match context.options.project {
                true => Origin::Option { name: "--project".into() },
                false => project.recognised.clone(),
            };
            fields.fill("/source", project.dir.as_str(), origin);
        }
        // The place is what was said; where it is on this machine is what runs.
        Some(_) => {
            if let Some(source) = fields.0.get_mut("/source") {
                source.value = project.dir.as_str().into();
            }
        }
    }
    if fields.kind() == "static_site" || fields.has("/release") {
        return Ok(());
    }
    let started = fields.has("/start");
    if !started {
        let start = project.start(&name, fields.kind())?;
        fields.fill("/start", start.value.clone(), start.origin.clone());
    }
    if !fields.has("/build") {
        match &project.build {
            Ok(Some(build)) => fields.fill("/build", build.value.clone(), build.origin.clone()),
            Ok(None) => {}
            // Who says how it starts may have built it, too.
            Err(_) if started => {}
            Err(error) => return Err(error.clone()),
        }
    }
    if at.platform == Platform::Local && !started {
        let missing = project.programs.iter().find(|program| !context.machine.programs.contains(*program));
        if let Some(program) = missing {
            return Err(Project::missing_program(program, &project.recognised));
        }
    }
    Ok(())
}

/// The files of a component where no project is in sight: those that it had, else the sample app.
fn no_project(
    fields: &mut Fields,
    at: &At<'_>,
    said_source: Option<String>,
    scene: &Scene<'_>,
) -> Result<()> {
    let name = fields.name().to_owned();
    let before = at.base.and_then(|base| base.text("/source")).filter(|source| *source != SAMPLE);
    if let Some(base) = at.base
        && before.is_some()
        && said_source.as_deref().is_none_or(|said| before == Some(said))
    {
        let mut kept = base.clone();
        kept.0.retain(|pointer, _| ["/source", "/build", "/start"].contains(&pointer.as_str()));
        fields.under(kept);
        return Ok(());
    }
    let dir = &scene.context.dir;
    let missing = |message: String| {
        Err(Error::new(ErrorKind::NotFound, "resolve::no-source", message)
            .help("name the directory of the app with `--project DIR`, or with `source` in code.toml")
            .with("directory", dir.as_str()))
    };
    if fields.has("/start") && said_source.is_some() || fields.has("/release") {
        return Ok(());
    }
    if let Some(source) = said_source {
        return missing(format!("find an app in `{source}` for `{name}`"));
    }
    if let Some(engine) = fields.text("/engine") {
        return missing(format!("find the files of `{name}` ({engine}) in {dir}"));
    }
    if !matches!(fields.kind(), "web" | "api") {
        return missing(format!("find the files of `{name}` ({}) in {dir}", fields.kind()));
    }
    fields.fill("/source", SAMPLE, Origin::default(format!("no app found in {dir}: the sample app")));
    Ok(())
}

/// Whether a source is an address rather than a directory.
pub(crate) fn is_remote(source: &str) -> bool {
    source.contains("://") || source.starts_with("git@") || source.starts_with("github.com/")
}
