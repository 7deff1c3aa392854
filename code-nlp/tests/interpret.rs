//! The program `interpret`, over its pipes: one line in, one line out, as `docs/intent.md` has it.

#![expect(clippy::unwrap_used, reason = "a test")]
#![expect(clippy::disallowed_methods, reason = "a test drives a program from outside")]

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

/// The example that cargo built beside this test.
fn program() -> Command {
    let test = std::env::current_exe().unwrap();
    let path: PathBuf = test.ancestors().nth(2).unwrap().join("examples/interpret");
    assert!(path.is_file(), "{} is missing: cargo builds it with `cargo test -p code-nlp`", path.display());
    let mut command = Command::new(path);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What it says to these bytes, to the end.
fn said(input: &[u8]) -> Output {
    let mut child = program().spawn().unwrap();
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_vec());
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    output
}

#[test]
fn each_request_of_the_corpus_has_its_line() {
    let corpus: Vec<Value> =
        include_str!("corpus.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let input: String = corpus
        .iter()
        .map(|one| format!("{}\n", json!({"id": one["id"], "request": one["request"]})))
        .collect();
    let output = said(input.as_bytes());
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let answers: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), corpus.len());
    for (one, answer) in corpus.iter().zip(&answers) {
        let keys: Vec<&String> = answer.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["id", "intents", "questions"], "{answer}");
        assert_eq!(answer["id"], one["id"]);
        let request = one["request"].as_str().unwrap();
        let parsed = code_nlp::parse(request, &Default::default());
        assert_eq!(answer["intents"], serde_json::to_value(&parsed.intents).unwrap(), "{request}");
        let asks = answer["questions"].as_array().unwrap();
        assert!(!asks.is_empty() || !parsed.intents.is_empty(), "{request}");
    }
}

#[test]
fn a_bad_line_is_told_and_the_stream_goes_on() {
    let mut input = Vec::new();
    let (deep, long) = ("[".repeat(100_000), "x".repeat(3 << 20));
    let bad: [(&[u8], Value, &str); 8] = [
        (b"rubbish", Value::Null, "not JSON"),
        (b"[1]", Value::Null, "not a JSON object"),
        (b"{\"request\": \"restart it\"}", Value::Null, "no \"id\""),
        (b"{\"id\": \"x\"}", json!("x"), "no \"request\""),
        (b"{\"id\": 7, \"request\": []}", json!(7), "not a string"),
        (b"{\"id\": 8, \"request\": \"\xff\"}", Value::Null, "not JSON"),
        (deep.as_bytes(), Value::Null, "not JSON"),
        (long.as_bytes(), Value::Null, "longer than"),
    ];
    for (line, _, _) in &bad {
        input.extend([*line, b"\n{\"id\": \"good\", \"request\": \"status of production\"}\n\n"].concat());
    }
    let output = said(&input);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2 * bad.len(), "{text}");
    for (pair, (_, id, about)) in lines.chunks(2).zip(&bad) {
        assert!(pair[0]["id"] == *id && pair[0]["error"].as_str().unwrap().contains(about), "{}", pair[0]);
        assert_eq!(pair[1]["intents"], json!([{"action": "status", "environment": "production"}]));
    }
}

#[test]
fn an_answer_comes_before_the_next_line_is_given() {
    let mut child = program().spawn().unwrap();
    let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut answers = BufReader::new(output).lines();
    for id in 0..3 {
        writeln!(input, "{}", json!({"id": id, "request": "restart marmot on dev"})).unwrap();
        let answer: Value = serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
        assert_eq!(answer["id"], id);
        assert_eq!(answer["intents"][0]["components"], json!([{"name": "marmot"}]));
    }
    drop(input);
    assert!(answers.next().is_none() && child.wait().unwrap().success());
}

#[test]
fn help_and_nonsense_have_their_codes() {
    let help = program().arg("--help").output().unwrap();
    assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).contains("Usage: interpret"));
    let wrong = program().arg("--colour").output().unwrap();
    assert_eq!((wrong.status.code(), wrong.stdout.len()), (Some(2), 0));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("--help"));
    // Nothing asked, nothing said; and whoever stops reading is not told of a failure.
    assert!(said(b"").stdout.is_empty());
    let mut child = program().spawn().unwrap();
    drop(child.stdout.take());
    let _ = child.stdin.take().unwrap().write_all(b"{\"id\": 1, \"request\": \"fix it\"}\n");
    assert!(child.wait().unwrap().success());
}
