//! The grammar read against requests whose meaning was written down before the grammar existed.
//!
//! Every intent is flattened into (path, value) pairs; the score is the micro-averaged F1 over all pairs, as
//! the contract has it (`docs/intent.md`): intents, and components in them, are paired by best overlap. The
//! floors stand a little below the figure, so that a change that makes reading worse fails.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;

use code_core::parser::Vocabulary;
use serde_json::Value;

/// The figure must not fall below these.
const F1_FLOOR: f64 = 0.97;
const EXACT_FLOOR: f64 = 0.92;

type Pairs = BTreeSet<(String, String)>;

fn flatten(path: &str, value: &Value, out: &mut Pairs) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, v)| flatten(&format!("{path}.{key}"), v, out)),
        // The lists that are left are sets of words: depends_on and compliance.
        Value::Array(list) => list.iter().for_each(|v| flatten(path, v, out)),
        Value::Number(n) => drop(out.insert((path.into(), format!("{:.6}", n.as_f64().unwrap())))),
        Value::String(s) => drop(out.insert((path.into(), s.trim().to_lowercase()))),
        other => drop(out.insert((path.into(), other.to_string()))),
    }
}

/// An intent as its own pairs and those of each component.
fn parts(intent: &Value) -> (Pairs, Vec<Pairs>) {
    let mut own = Pairs::new();
    let mut components = Vec::new();
    for (key, value) in intent.as_object().unwrap() {
        if key == "components" {
            for component in value.as_array().unwrap() {
                let mut pairs = Pairs::new();
                flatten("component", component, &mut pairs);
                components.push(pairs);
            }
        } else {
            flatten(key, value, &mut own);
        }
    }
    (own, components)
}

/// The greatest overlap of two lists, each pair of items counted by `overlap`: exact for short lists.
fn assign(rows: usize, cols: usize, overlap: &dyn Fn(usize, usize) -> usize) -> Vec<(usize, usize)> {
    fn best(
        row: usize,
        rows: usize,
        free: &mut Vec<bool>,
        overlap: &dyn Fn(usize, usize) -> usize,
    ) -> (usize, Vec<(usize, usize)>) {
        if row == rows {
            return (0, Vec::new());
        }
        let mut found = best(row + 1, rows, free, overlap);
        for col in 0..free.len() {
            if free[col] {
                free[col] = false;
                let (sum, mut pairs) = best(row + 1, rows, free, overlap);
                free[col] = true;
                let sum = sum + overlap(row, col);
                if sum > found.0 {
                    pairs.push((row, col));
                    found = (sum, pairs);
                }
            }
        }
        found
    }
    assert!(rows <= 8 && cols <= 8, "the corpus has short lists");
    best(0, rows, &mut vec![true; cols], overlap).1
}

/// (common, gold, predicted) pairs, and whether everything is right.
fn compare(gold: &[Value], found: &[Value]) -> (usize, usize, usize, bool) {
    let gold: Vec<_> = gold.iter().map(parts).collect();
    let found: Vec<_> = found.iter().map(parts).collect();
    let components = |a: usize, b: usize| -> usize {
        let overlap = |i: usize, j: usize| gold[a].1[i].intersection(&found[b].1[j]).count();
        let pairs = assign(gold[a].1.len(), found[b].1.len(), &overlap);
        pairs.into_iter().map(|(i, j)| overlap(i, j)).sum()
    };
    let overlap = |a: usize, b: usize| gold[a].0.intersection(&found[b].0).count() + components(a, b);
    let common = assign(gold.len(), found.len(), &overlap).into_iter().map(|(a, b)| overlap(a, b)).sum();
    let size = |list: &[(Pairs, Vec<Pairs>)]| -> usize {
        list.iter().map(|(own, parts)| own.len() + parts.iter().map(BTreeSet::len).sum::<usize>()).sum()
    };
    let (of_gold, of_found) = (size(&gold), size(&found));
    let exact = gold.len() == found.len() && common == of_gold && common == of_found;
    (common, of_gold, of_found, exact)
}

#[test]
fn the_corpus_is_read() {
    let text = include_str!("corpus.jsonl");
    let (mut common, mut gold, mut found, mut exact, mut n) = (0, 0, 0, 0, 0);
    let mut wrong = Vec::new();
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let request = record["request"].as_str().unwrap();
        let parsed = code_nlp::parse(request, &Vocabulary::default());
        let intents = serde_json::to_value(&parsed.intents).unwrap();
        let expected = record["intents"].as_array().unwrap();
        let (c, g, f, mut right) = compare(expected, intents.as_array().unwrap());
        if expected.is_empty() {
            right = parsed.intents.is_empty() && parsed.questions().next().is_some();
        }
        (common, gold, found, n) = (common + c, gold + g, found + f, n + 1);
        exact += usize::from(right);
        if !right {
            wrong.push(format!(
                "{}: {request}\n    expected {}\n    found    {intents}",
                record["id"], record["intents"]
            ));
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a few thousand pairs")]
    let (f1, share) = (2.0 * common as f64 / (gold + found) as f64, exact as f64 / n as f64);
    println!("figure: interpretation of the corpus: f1 {f1:.3}, exact {share:.3} of {n} requests");
    assert!(f1 >= F1_FLOOR && share >= EXACT_FLOOR, "f1 {f1:.3}, exact {share:.3}:\n{}", wrong.join("\n"));
}
