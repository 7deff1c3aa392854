//! The page, as text: pure, and every value escaped.

use code_core::Error;
use jiff::Timestamp;

use super::notes::Note;
use super::settings::Settings;

const TEMPLATE: &str = include_str!("page.html");

/// The page with these notes, newest first, or with why there are none to show.
pub(super) fn page(settings: &Settings, engine: &str, pid: u32, notes: &Result<Vec<Note>, Error>) -> String {
    fill(TEMPLATE, |name| match name {
        "title" => escape(&settings.title()),
        "lead" => match engine {
            "memory" => {
                "No database: notes are kept in memory, and are gone when this process ends.".to_owned()
            }
            engine => format!("A sample app. Its notes are kept in {}.", escape(engine)),
        },
        "facts" => facts(settings, engine, pid),
        "notes" => match notes {
            Err(error) => {
                format!("<p class=\"problem\" role=\"alert\">Failed to {}.</p>", escape(error.message()))
            }
            Ok(notes) if notes.is_empty() => "<p class=\"empty\">No notes yet.</p>".to_owned(),
            Ok(notes) => format!("<ol>{}</ol>", notes.iter().map(item).collect::<String>()),
        },
        _ => String::new(),
    })
}

/// Which of the replicas answered, and what it runs on: with more replicas, reloading shows another one.
fn facts(settings: &Settings, engine: &str, pid: u32) -> String {
    let mut facts = vec![("database", engine.to_owned())];
    facts.extend(settings.revision.clone().map(|revision| ("revision", revision)));
    facts.extend(settings.replica.clone().map(|replica| ("replica", replica)));
    facts.push(("process", pid.to_string()));
    facts.iter().map(|(name, value)| format!("<li>{name} <b>{}</b></li>", escape(value))).collect()
}

fn item(note: &Note) -> String {
    let at = Timestamp::from_second(note.at).unwrap_or_default();
    let (date, shown) = (at.strftime("%Y-%m-%dT%H:%M:%SZ"), at.strftime("%Y-%m-%d %H:%M UTC"));
    format!("<li>{}<time datetime=\"{date}\">{shown}</time></li>", escape(&note.text))
}

/// The template with each `{{name}}` replaced, in one pass: what a value holds is never a name.
fn fill(template: &str, value: impl Fn(&str) -> String) -> String {
    let mut page = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else { break };
        page.push_str(before);
        page.push_str(&value(name));
        rest = after;
    }
    page.push_str(rest);
    page
}

/// Text as HTML shows it, also inside of a quoted attribute.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let of = |name: &str| match name {
            "PORT" => Some("1".to_owned()),
            "CODE_APPLICATION" => Some("<shop>".to_owned()),
            "CODE_REVISION" => Some("3".to_owned()),
            _ => None,
        };
        Settings::read(of).unwrap()
    }

    #[test]
    fn what_people_write_is_shown_and_never_run() {
        let hostile = "<script>alert('x')</script>{{facts}}\"&";
        let notes = Ok(vec![Note { id: 1, text: hostile.into(), at: 0 }]);
        let page = page(&settings(), "SQLite", 7, &notes);
        assert!(!page.contains("<script") && !page.contains("<shop>"), "{page}");
        assert!(
            page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;{{facts}}&quot;&amp;"),
            "{page}"
        );
        assert!(page.contains("1970-01-01 00:00 UTC") && page.contains("revision <b>3</b>"), "{page}");
        assert!(page.contains("process <b>7</b>") && page.contains("database <b>SQLite</b>"), "{page}");
    }

    #[test]
    fn the_page_says_what_is_missing() {
        assert!(page(&settings(), "memory", 7, &Ok(Vec::new())).contains("kept in memory"));
        let error = Error::new(code_core::ErrorKind::Failed, "sample::database", "ask <it>");
        assert!(page(&settings(), "SQLite", 7, &Err(error)).contains("Failed to ask &lt;it&gt;."));
    }
}
