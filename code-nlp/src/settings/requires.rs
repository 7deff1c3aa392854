//! Which versions of CODE a project may be used with: `requires = ">=0.1"`.
//!
//! It is read before anything else of the file, so that an older program says that it is too old, and not that
//! it does not know a key which a newer one knows. The syntax is Cargo's for versions of dependencies.

use code_core::{Error, ErrorKind, Result};
use semver::{Version, VersionReq};
use toml::de::{DeTable, DeValue};

use super::read::{excerpt, plain};

/// The version of this build.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Whether this build may read the file: it says nothing of versions, or one of those that it names is this one.
///
/// # Errors
/// `settings::requires` where it needs another version, `settings::value` where it names none.
pub(super) fn check(path: &str, text: &str, table: &DeTable<'_>) -> Result<()> {
    let Some(value) = table.get("requires") else { return Ok(()) };
    // What is no text is told with all other types.
    let DeValue::String(wanted) = value.get_ref() else { return Ok(()) };
    let (line, column, excerpt) = excerpt(text, value.span());
    let shown = plain(wanted, 100);
    let at = format!("{path}:{line}:{column}");
    let wanted = VersionReq::parse(wanted).map_err(|error| {
        Error::new(ErrorKind::Invalid, "settings::value", format!("use `{shown}` as versions of CODE"))
            .help("write it as Cargo does: `requires = \">=0.1\"`")
            .with("at", at.clone())
            .with("excerpt", excerpt.clone())
            .because(error)
    })?;
    let fits = Version::parse(VERSION).is_ok_and(|version| wanted.matches(&version));
    if fits {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Unsupported,
        "settings::requires",
        format!("use this project with CODE {VERSION}: it requires `{shown}`"),
    )
    .help(format!("use a version that fits `{shown}`, or change `requires` if the project needs it no more"))
    .with("at", at)
    .with("excerpt", excerpt))
}
