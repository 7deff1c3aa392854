//! Where each value of a TOML file stands.

use std::collections::BTreeMap;

use code_core::spec::Origin;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{SETTINGS_FILE, escape};

/// A file, and the line of each of its values by JSON pointer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Lines {
    path: Option<String>,
    lines: BTreeMap<String, u32>,
}

impl Lines {
    /// The lines of a file that was parsed from `text`.
    pub(super) fn of(path: &str, text: &str, table: &DeTable<'_>) -> Lines {
        let mut lines = Lines { path: Some(path.to_owned()), lines: BTreeMap::new() };
        let starts: Vec<usize> =
            std::iter::once(0).chain(text.match_indices('\n').map(|(i, _)| i + 1)).collect();
        lines.note_table("", &starts, table);
        lines
    }

    fn note_table(&mut self, at: &str, starts: &[usize], table: &DeTable<'_>) {
        for (key, value) in table {
            let pointer = format!("{at}/{}", escape(key.get_ref()));
            // A key's own place: a value may stand on another line, and a table has none of its own.
            self.lines.insert(pointer.clone(), line(starts, key.span().start));
            self.note(&pointer, starts, value);
        }
    }

    fn note(&mut self, at: &str, starts: &[usize], value: &Spanned<DeValue<'_>>) {
        if let DeValue::Table(table) = value.get_ref() {
            self.note_table(at, starts, table);
        }
    }

    pub(super) fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// The origin of the value at a pointer; the nearest value around it gives the line where it has none.
    pub(super) fn origin(&self, pointer: &str) -> Origin {
        let mut at = pointer;
        let line = loop {
            if let Some(line) = self.lines.get(at) {
                break *line;
            }
            match at.rfind('/') {
                Some(end) if end > 0 => at = &at[..end],
                _ => break 0,
            }
        };
        let key: Vec<String> =
            pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
        let path = self.path.clone().unwrap_or_else(|| SETTINGS_FILE.to_owned());
        Origin::Setting { path, line, key: key.join(".") }
    }
}

fn line(starts: &[usize], offset: usize) -> u32 {
    u32::try_from(starts.partition_point(|start| *start <= offset)).unwrap_or(0)
}
