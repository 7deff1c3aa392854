//! A database's path as a URL, and back.
//!
//! `sqlite://` and the path, percent-encoded as RFC 3986 wants it: the form that sqlx, SQLAlchemy and Django's
//! `dj-database-url` read for absolute paths.

use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// What cannot stand in a URL's path as it is.
const RESERVED: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?').add(b'`');

const SCHEME: &str = "sqlite://";

/// The URL of the database in this file.
pub fn url_of(path: &Path) -> String {
    format!("{SCHEME}{}", utf8_percent_encode(&path.to_string_lossy(), RESERVED))
}

/// The file of a database's URL; `None` where it is not one of SQLite.
pub fn path_of(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix(SCHEME)?.split('?').next()?;
    let path = percent_decode_str(path).decode_utf8().ok()?;
    (!path.is_empty()).then(|| PathBuf::from(&*path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_comes_back() {
        for path in ["/a/b.db", "/my shop/süß/%41?x#y.db", "/a\"b/`c`"] {
            let url = url_of(Path::new(path));
            assert!(url.is_ascii() && !url.contains([' ', '?', '#']), "{url}");
            assert_eq!(path_of(&url).as_deref(), Some(Path::new(path)));
        }
        assert_eq!(path_of("sqlite:///x.db?mode=rwc"), Some("/x.db".into()));
        assert_eq!(path_of("postgres://x"), None);
        assert_eq!(path_of("sqlite://"), None);
    }
}
