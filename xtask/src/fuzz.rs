//! Fuzzes the grammar: coverage-guided nonsense, beginning with the sentences of the corpus.
//!
//! The flags are those that `cargo fuzz` passes for libFuzzer without a sanitizer, all of which a stable
//! compiler takes; memory errors are no subject where there is no unsafe code.

use crate::shell;

const FLAGS: &str = "--cfg fuzzing -Cdebug-assertions -Ccodegen-units=1 -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Fuzzes for so many seconds; an input that fails is kept in `fuzz/artifacts`.
pub(crate) fn run(seconds: &str) -> bool {
    if seconds.parse::<u32>().is_err() {
        eprintln!("xtask: failed to read `{seconds}` as a number of seconds");
        return false;
    }
    if let Err(error) = sow() {
        eprintln!("xtask: failed to write the first inputs: {error}");
        return false;
    }
    let Some(host) = shell::read(shell::command("rustc", &["--print", "host-tuple"])) else {
        eprintln!("xtask: failed to learn from rustc for which machine it compiles");
        return false;
    };
    // A target of its own: with other flags, everything is compiled once more. Named, so that build scripts,
    // which have no fuzzer in them, are compiled without the flags.
    let mut fuzz =
        shell::cargo(&["run", "--release", "--target-dir", "fuzz/target", "--target", host.trim()]);
    fuzz.args(["--manifest-path", "fuzz/Cargo.toml", "--bin", "parse", "--", "fuzz/corpus"]);
    fuzz.args(["-max_len=600", "-timeout=10", "-artifact_prefix=fuzz/artifacts/"]);
    fuzz.arg(format!("-max_total_time={seconds}")).env("RUSTFLAGS", FLAGS).env_remove("CARGO_TARGET_DIR");
    shell::run(fuzz)
}

/// Writes each sentence of the corpus to a file of its own, as libFuzzer reads them.
fn sow() -> std::io::Result<()> {
    let at = shell::root().join("fuzz");
    std::fs::create_dir_all(at.join("corpus"))?;
    std::fs::create_dir_all(at.join("artifacts"))?;
    let corpus = std::fs::read_to_string(shell::root().join("code-nlp/tests/corpus.jsonl"))?;
    for (number, line) in corpus.lines().enumerate() {
        let text = line.split_once(r#""request": ""#).and_then(|(_, rest)| rest.split_once(r#"", ""#));
        std::fs::write(at.join(format!("corpus/{number}")), text.map_or(line, |(sentence, _)| sentence))?;
    }
    Ok(())
}
