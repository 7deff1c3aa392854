//! What the doctor found: a line a check, and then what mends each that is not as it should be.

use serde::Serialize;

use crate::style::{Style, Tone, cell, table};

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// How it is.
    pub state: Health,
    /// What was seen.
    pub says: String,
    /// What mends it: a command that can be copied, or a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// How a thing is, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As it should be.
    Pass,
    /// Nothing needs it now, or it wants a look.
    Warn,
    /// What is deployed does not work without it, or the next command will not.
    Fail,
}

impl Health {
    fn word(self) -> (&'static str, Tone) {
        match self {
            Health::Pass => ("PASS", Tone::Good),
            Health::Warn => ("WARN", Tone::Warn),
            Health::Fail => ("FAIL", Tone::Bad),
        }
    }
}

impl Check {
    /// All is well.
    pub fn pass(name: &str, says: impl Into<String>) -> Check {
        Check { name: name.to_owned(), state: Health::Pass, says: says.into(), fix: None }
    }

    /// Not as it should be, and what mends it.
    pub fn not(state: Health, name: &str, says: impl Into<String>, fix: impl Into<String>) -> Check {
        Check { name: name.to_owned(), state, says: says.into(), fix: Some(fix.into()) }
    }
}

/// All checks, what mends those that are not well, and how many these are.
pub fn doctor(style: &Style, checks: &[Check]) -> String {
    let row = |check: &Check| {
        let (word, tone) = check.state.word();
        vec![cell(tone, word), cell(Tone::Strong, &check.name), cell(Tone::Plain, &check.says)]
    };
    let mut page = table(style, 0, &checks.iter().map(row).collect::<Vec<_>>());
    // Not broken to the width: a command is to be copied whole.
    let wide = Style { width: 10_000, ..*style };
    let fix =
        |check: &Check| Some(vec![cell(Tone::Strong, &check.name), cell(Tone::Plain, check.fix.as_ref()?)]);
    let fixes: Vec<_> = checks.iter().filter_map(fix).collect();
    if !fixes.is_empty() {
        page.push_str("\nTo mend it\n");
        page.push_str(&table(&wide, 2, &fixes));
        page.push('\n');
    }
    page + &verdict(checks) + "\n"
}

/// `no problems found`, `1 problem found, 2 warnings`.
pub fn verdict(checks: &[Check]) -> String {
    let count = |state: Health| checks.iter().filter(|check| check.state == state).count();
    let problems = match count(Health::Fail) {
        0 => "no problems found".to_owned(),
        n => several(n, "problem", "problems") + " found",
    };
    match count(Health::Warn) {
        0 => problems,
        n => format!("{problems}, {}", several(n, "warning", "warnings")),
    }
}

/// `1 process`, `3 processes`.
pub fn several(n: usize, one: &str, more: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { more })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::tests::{NARROW, WIDE, strip};

    #[test]
    fn each_check_stands_with_what_mends_it() {
        let mut checks = vec![Check::pass("settings", "/p/code.toml")];
        insta::assert_snapshot!(doctor(&WIDE, &checks));
        checks.push(Check::not(
            Health::Fail,
            "keeper",
            "nobody watches 2 processes of shop/staging: they are not restarted, and their addresses do not answer",
            "deploy start -e staging",
        ));
        checks.push(Check::not(Health::Warn, "git", "git is missing", "install it (`apt install git`)"));
        insta::assert_snapshot!(doctor(&WIDE, &checks));
        insta::assert_snapshot!(doctor(&NARROW, &checks));
        let color = Style { color: true, ..WIDE };
        assert_eq!(strip(&doctor(&color, &checks)), doctor(&WIDE, &checks));
    }
}
