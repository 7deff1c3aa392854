//! The page of an error code: the same text that stands in `docs/errors`, in the binary.

use code_core::{Error, ErrorKind, Result};

/// Every page: its code and its text, ordered by code.
pub const PAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// The page of a code.
///
/// # Errors
/// `explain::unknown-code`, with the nearest code that there is.
pub fn page(code: &str) -> Result<&'static str> {
    if let Ok(at) = PAGES.binary_search_by_key(&code, |(known, _)| known) {
        return Ok(PAGES[at].1);
    }
    let shown: String = code.chars().take(60).flat_map(char::escape_debug).collect();
    let near = PAGES
        .iter()
        .map(|(known, _)| (strsim::damerau_levenshtein(known, code), *known))
        .filter(|(distance, known)| *distance <= known.len() / 3)
        .min();
    let program = crate::PROGRAM;
    Err(Error::new(ErrorKind::NotFound, "explain::unknown-code", format!("find a page for `{shown}`")).help(
        match near {
            Some((_, known)) => format!("did you mean `{program} explain {known}`?"),
            None => format!("`{program} explain` lists every code"),
        },
    ))
}

/// The codes and the first sentence of each page.
pub fn list() -> impl Iterator<Item = (&'static str, &'static str)> {
    PAGES.iter().map(|(code, text)| {
        let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
        (*code, first.unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_of_its_code_and_says_what_to_do() {
        assert!(PAGES.is_sorted());
        for (code, text) in PAGES {
            assert!(text.starts_with(&format!("# {code}\n")), "{code}");
            assert!(text.contains("\n## What to do\n"), "{code}");
        }
    }

    #[test]
    fn a_near_code_is_suggested() {
        assert!(page("explain::unknown-code").is_ok());
        let error = page("explain::unknown-cod").unwrap_err();
        assert!(error.help_text().unwrap().contains("explain::unknown-code"));
        assert!(page("what").unwrap_err().help_text().unwrap().contains("lists"));
    }
}
