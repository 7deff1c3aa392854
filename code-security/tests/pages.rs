//! Each rule and each error code has its page, and what the pages show is so.

#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use code_core::plan::Plan;
use code_core::scanner::Verdict;
use code_core::spec::{Origins, Spec};
use code_security::RegoScanner;
use code_security::rego::Topic;
use serde_json::{Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn each_rule_has_a_page() {
    let scanner = RegoScanner::new().unwrap();
    let list = read("docs/policies.md");
    let mut ids: Vec<(String, String, String)> = scanner
        .rules()
        .map(|rule| (rule.id.clone(), rule.title.clone(), format!("{:?}", rule.severity).to_lowercase()))
        .collect();
    ids.push(("cost.within-budget".into(), "The cost stays within the budget".into(), "high".into()));
    for (id, title, severity) in ids {
        let path = format!("docs/policies/{}.md", id.replace('.', "/"));
        let page = read(&path);
        assert!(page.starts_with(&format!("# {id}\n\n{title}. Severity: {severity}")), "{path}");
        for part in ["## Why\n", "## What it looks at\n", "## Example\n", "## How to fix it\n", "```"] {
            assert!(page.contains(part), "{path} has no {part}");
        }
        assert!(
            list.contains(&format!("[`{id}`]({})", path.trim_start_matches("docs/"))),
            "{id} is not listed"
        );
    }
    for rule in scanner.rules() {
        assert!(rule.why.len() > 40 && rule.help.len() > 40, "{rule:?}");
        assert!(!rule.help.ends_with('.') && !rule.title.ends_with('.'), "{rule:?}");
        let demand = format!("{}{}", rule.title[..1].to_lowercase(), &rule.title[1..]);
        assert!(list.contains(&demand) || list.contains(&rule.title), "{} is not listed", rule.title);
    }
}

#[test]
fn each_policy_is_in_the_pack() {
    let files = fs::read_dir(root().join("code-security/policies")).unwrap();
    let files: BTreeSet<String> =
        files.map(|f| format!("policies/{}", f.unwrap().file_name().to_string_lossy())).collect();
    let mut built_in: BTreeSet<String> =
        RegoScanner::new().unwrap().rules().map(|rule| rule.file.clone()).collect();
    built_in.insert("policies/lib.rego".into());
    assert_eq!(files, built_in);
}

#[test]
fn each_error_code_has_a_page() {
    let mut codes = BTreeSet::new();
    let mut rooms = vec![root().join("code-security/src")];
    while let Some(room) = rooms.pop() {
        for entry in fs::read_dir(room).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                rooms.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let words = text.split('"').filter(|word| word.contains("::") && !word.contains([' ', '\n']));
            codes.extend(words.map(str::to_owned));
        }
    }
    assert!(codes.len() >= 10, "{codes:?}");
    for code in codes {
        let page = read(&format!("docs/errors/{}.md", code.replace("::", "/")));
        assert!(page.starts_with(&format!("# {code}\n\n")), "{code}");
        assert!(page.contains("## Why\n") && page.contains("## What to do\n"), "{code}");
    }
}

/// The code blocks of the policies' page that are written in this language.
fn blocks(language: &str) -> Vec<String> {
    let page = read("docs/policies.md");
    let start = format!("```{language}\n");
    page.split(&start).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_documents_on_the_page_are_real_ones() {
    let documents: Vec<Value> =
        blocks("json").iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    let [spec, plan] = documents.as_slice() else { panic!("a spec and a plan") };
    assert_eq!((&spec["subject"], &plan["subject"]), (&json!("spec"), &json!("plan")));
    let parsed: Spec = serde_json::from_value(spec["spec"].clone()).unwrap();
    parsed.check().unwrap();
    let leaves = parsed.leaves();
    let origins: Origins = serde_json::from_value(spec["origins"].clone()).unwrap();
    for pointer in origins.keys() {
        assert!(leaves.contains(pointer), "{pointer} of {leaves:?}");
    }
    // The page leaves out what no policy needs.
    let zero = "0".repeat(64);
    let mut whole = plan["plan"].clone();
    whole["spec"] = spec["spec"].clone();
    whole["version"] = 1.into();
    whole["id"] = zero.as_str().into();
    whole["observations"] = zero.as_str().into();
    whole["chain"] = json!({});
    whole["base"] = 0.into();
    let parsed: Plan = serde_json::from_value(whole.clone()).unwrap();
    let again = serde_json::to_value(&parsed).unwrap();
    assert_eq!(again, whole, "the page shows a plan as it is written");
}

#[test]
fn the_policy_on_the_page_works() {
    let temp = tempfile::tempdir().unwrap();
    let blocks = blocks("rego");
    fs::write(temp.path().join("a.rego"), &blocks[0]).unwrap();
    let scanner = RegoScanner::new().unwrap().with_dir(temp.path()).unwrap();
    let verdicts = |environment: &str, replicas: u32| -> Vec<Verdict> {
        let spec = json!({
            "environment": environment,
            "components": [{"name": "web", "kind": "web", "replicas": {"min": replicas, "max": 9}}],
        });
        let findings = scanner.judge(Topic::Spec, &json!({"subject": "spec", "spec": spec}));
        findings.iter().filter(|f| f.rule == "acme.two-replicas").map(|f| f.verdict).collect()
    };
    assert_eq!(verdicts("production", 1), [Verdict::Fail]);
    assert_eq!(verdicts("production", 2), [Verdict::Pass]);
    assert_eq!(verdicts("staging", 1), [Verdict::Pass]);
}
