//! Reads requests, one JSON object a line, and writes what each asks for.
//!
//! ```text
//! {"id": "1", "request": "restart marmot on dev"}
//!   ─▶ {"id":"1","intents":[{"action":"restart","environment":"development",…}],"questions":[]}
//! ```
//!
//! The contract is `docs/intent.md`. A bad line gives `{"id": …, "error": …}`, and the stream goes on. Each
//! answer is flushed, so that a program at the other end of a pipe can wait for it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::ExitCode;

use code_core::parser::Vocabulary;
use serde_json::{Value, json};

const HELP: &str = "\
Reads requests and writes what each asks for.

Usage: interpret < requests.jsonl > intents.jsonl

In:   {\"id\": \"...\", \"request\": \"...\"}                            one object a line
Out:  {\"id\": \"...\", \"intents\": [...], \"questions\": [\"...\"]}        one object a line, in the same order
      {\"id\": ..., \"error\": \"...\"}                                for a bad line; the stream goes on

Options:
  -h, --help  Print this help

Fields and readings: docs/intent.md";

/// The longest line that is read. A request has at most 16 KiB; escapes may make it six times as long.
const MAX_LINE_BYTES: u64 = 1024 * 1024;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        None => {}
        Some("-h" | "--help") => {
            return done(writeln!(io::stdout(), "{HELP}"));
        }
        Some(other) => {
            let told = writeln!(io::stderr(), "error: unknown argument {other:?}; see --help");
            return told.map_or(ExitCode::FAILURE, |()| ExitCode::from(2));
        }
    }
    done(interpret(BufReader::new(io::stdin().lock()), io::stdout().lock()))
}

/// A reader that went away is the end of the work, not a failure.
fn done(result: io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do where even this cannot be said.
            drop(writeln!(io::stderr(), "error: failed to read or write: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn interpret(mut input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    let words = Vocabulary::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
            return output.flush();
        }
        let answer = if line.last() != Some(&b'\n') && line.len() as u64 == MAX_LINE_BYTES {
            input.skip_until(b'\n')?;
            bad(Value::Null, format!("the line is longer than {MAX_LINE_BYTES} bytes"))
        } else if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        } else {
            answer(&line, &words)
        };
        serde_json::to_writer(&mut output, &answer)?;
        output.write_all(b"\n")?;
        output.flush()?;
    }
}

fn answer(line: &[u8], words: &Vocabulary) -> Value {
    let record: Value = match serde_json::from_slice(line) {
        Ok(record) => record,
        Err(error) => return bad(Value::Null, format!("the line is not JSON: {error}")),
    };
    let id = record.get("id").cloned().unwrap_or(Value::Null);
    if !record.is_object() {
        return bad(Value::Null, "the line is not a JSON object".to_owned());
    }
    if id.is_null() {
        return bad(id, "the object has no \"id\"".to_owned());
    }
    match record.get("request") {
        Some(Value::String(request)) => {
            let parsed = code_nlp::parse(request, words);
            let questions: Vec<&str> = parsed.questions().collect();
            json!({"id": id, "intents": parsed.intents, "questions": questions})
        }
        Some(_) => bad(id, "\"request\" is not a string".to_owned()),
        None => bad(id, "the object has no \"request\"".to_owned()),
    }
}

fn bad(id: Value, error: String) -> Value {
    json!({"id": id, "error": error})
}
