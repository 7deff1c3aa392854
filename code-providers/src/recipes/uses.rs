//! What a component uses of others, on every platform: the same variables with their addresses.

use code_core::intent::Kind;
use code_core::recipe::At;
use code_core::spec::Component;
use code_core::{Error, ErrorKind, Expr, Result};

/// The addresses of what it depends on: `NAME_URL` for each component that has one, and `DATABASE_URL` for
/// the first database.
pub(super) fn connections(at: &At<'_>) -> Result<Vec<(String, Expr)>> {
    let mut found = Vec::new();
    let mut database = None;
    // A root has the outputs that it has: they are named in `env`, but for a database's.
    let has_url = |on: &&Component| !has_no_address(on) && (!on.is_root() || on.kind == Kind::Database);
    for on in dependencies(at).filter(has_url) {
        if on.kind == Kind::Database && on.stopped && !at.component.stopped {
            let message =
                format!("run `{}` while `{}`, which it uses, is stopped", at.component.name, on.name);
            return Err(Error::new(ErrorKind::Invalid, "recipe::dependency-stopped", message)
                .help(format!("start `{}` too, or stop both", on.name)));
        }
        let url = Expr::output(&At::endpoint(&on.name)?, "url");
        if on.kind == Kind::Database {
            database.get_or_insert(url.clone());
        }
        found.push((format!("{}_URL", on.name.to_ascii_uppercase().replace('-', "_")), url));
    }
    found.extend(database.map(|url| ("DATABASE_URL".to_owned(), url)));
    Ok(found)
}

/// Whether nobody can connect to it.
pub(super) fn has_no_address(component: &Component) -> bool {
    matches!(component.kind, Kind::Worker | Kind::Job | Kind::Cron)
}

/// The components that it depends on.
pub(super) fn dependencies<'a>(at: &At<'a>) -> impl Iterator<Item = &'a Component> + use<'a> {
    let spec = at.spec;
    at.component.depends_on.iter().filter_map(|name| spec.component(name))
}
