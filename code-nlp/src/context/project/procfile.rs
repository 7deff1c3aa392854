//! Procfiles: a process type and a shell line on each line (<https://devcenter.heroku.com/articles/procfile>).

use std::collections::BTreeMap;

use code_core::id::check_name;
use code_core::{Error, ErrorKind, Result};

use super::{Argv, Files, Found};

/// The processes of a Procfile; `None` where there is no Procfile.
pub(super) fn read(files: &Files<'_>) -> Result<Option<BTreeMap<String, Found<Argv>>>> {
    let Some(text) = files.text("Procfile")? else { return Ok(None) };
    let mut processes = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line_number = u32::try_from(index + 1).unwrap_or(0);
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let bad = |message: &str| {
            Error::new(
                ErrorKind::Invalid,
                "project::unreadable",
                format!("read Procfile:{line_number}: {message}"),
            )
            .help("write each line as `type: command`, for example `web: ./server --port $PORT`")
            .with("path", files.dir.join("Procfile").display().to_string())
        };
        let (kind, command) = line.split_once(':').ok_or_else(|| bad("it has no `:`"))?;
        let (kind, command) = (kind.trim().to_lowercase().replace('_', "-"), command.trim());
        check_name("a process type", &kind).map_err(|_| bad("its process type is no name"))?;
        if command.is_empty() {
            return Err(bad("it has no command"));
        }
        let origin = files.origin("Procfile", line_number, "");
        if processes.insert(kind, Found { value: shell(command), origin }).is_some() {
            return Err(bad("this process type stands there twice"));
        }
    }
    match processes.is_empty() {
        true => Ok(None),
        false => Ok(Some(processes)),
    }
}

/// A shell line as a program and its arguments. A line that is one simple command replaces the shell, so that
/// signals reach the app itself.
pub(super) fn shell(line: &str) -> Argv {
    let compound = line.contains(['&', '|', ';', '<', '>', '(', ')', '`', '{', '}', '#', '\n']);
    let first = line.split_whitespace().next().unwrap_or("");
    let builtin =
        ["cd", "exec", "export", "set", "source", ".", "if", "for", "while", "case", "!", "eval", "trap"];
    let simple = !compound && !first.contains('=') && !builtin.contains(&first);
    let line = if simple { format!("exec {line}") } else { line.to_owned() };
    vec!["sh".to_owned(), "-c".to_owned(), line]
}
