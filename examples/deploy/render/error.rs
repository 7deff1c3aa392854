//! An error: its code, a sentence, the place, the causes, a blank line, and what to do.

use code_core::Error;

use crate::explain;
use crate::style::{Style, Tone, heading, paragraph, printable};

/// The error as a page; `program` is how a shell calls this one.
pub fn error(style: &Style, program: &str, error: &Error) -> String {
    let head = format!("error[{}]", error.code());
    let mut text = heading(style, Tone::Bad, &head, &format!(": failed to {}", error.message()));
    for (name, value) in error.context() {
        let name = name.replace('_', " ");
        if value.contains('\n') {
            // An excerpt with a caret, the last lines of a tool: each line as it is, at its place.
            text.push_str(&paragraph(style, 2, Tone::Plain, &format!("{name}:")));
            value.lines().for_each(|line| text.push_str(&format!("    {}\n", printable(line))));
        } else {
            text.push_str(&paragraph(style, 2, Tone::Plain, &format!("{name}: {value}")));
        }
    }
    for cause in error.causes() {
        for (i, line) in cause.lines().enumerate() {
            let line = if i == 0 { format!("caused by: {line}") } else { format!("  {line}") };
            text.push_str(&paragraph(style, 2, Tone::Dim, &line));
        }
    }
    text.push('\n');
    if let Some(help) = error.help_text() {
        text.push_str(&heading(style, Tone::Good, "hint", &format!(": {help}")));
    }
    if explain::page(error.code()).is_ok() {
        text.push_str(&heading(style, Tone::Dim, "more", &format!(": {program} explain {}", error.code())));
    }
    text
}

#[cfg(test)]
mod tests {
    use code_core::ErrorKind;

    use super::*;
    use crate::style::tests::{NARROW, WIDE, strip};

    fn sample() -> Error {
        Error::new(ErrorKind::Failed, "explain::unknown-code", "bind port 8080 for `web`")
            .with("port", "8080")
            .with("log", "/state/logs/run-1/step-3.1.log")
            .with("excerpt", "25 | broken: [\n   |         ^")
            .because(std::io::Error::other("address in use\x1b[31m"))
            .help("stop what listens there (`ss -ltnp`), or give `web` another port in code.toml")
    }

    #[test]
    fn an_error_says_what_to_do() {
        insta::assert_snapshot!(error(&WIDE, "deploy", &sample()));
        insta::assert_snapshot!(error(&NARROW, "deploy", &sample()));
        let color = Style { color: true, ..WIDE };
        assert_eq!(strip(&error(&color, "deploy", &sample())), error(&WIDE, "deploy", &sample()));
    }
}
