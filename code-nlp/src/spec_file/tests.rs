//! Files, and what is read from them or said of them.

use code_core::spec::Origin;

use super::read_spec;

/// What is said of a file: nothing where it is fine.
fn said(text: &str) -> String {
    match read_spec("shop.yaml", text.as_bytes()) {
        Ok(_) => "fine".to_owned(),
        Err(error) => {
            let help = error.help_text().unwrap_or("NO HELP");
            let excerpt = error.context().find(|(name, _)| *name == "excerpt").map_or("", |(_, text)| text);
            format!("[{}] {}\n{excerpt}\nhelp: {help}", error.code(), error.message())
        }
    }
}

#[test]
fn mistakes_have_a_place_and_help() {
    let files = [
        "components:\n  - kind: web\n",
        "{\"version\": 1, \"components\": [{\"kind\": \"web\"}]}",
        "version: 2\nnew_field: 1\ncomponents: []\n",
        "version: one\ncomponents: []\n",
        "components:\n  - kind: web\n    replcas: 3\n",
        "components:\n  - kind: web\n    health: { pth: / }\n",
        "components:\n  - kind: wbe\n",
        "components:\n  - kind: web\n    port: many\n",
        "components:\n  - kind: web\n    port: 70000\n",
        "components:\n  - kind: web\n    replicas: -1\n",
        "components:\n  - kind: web\n    kind: api\n",
        "application: shop\n",
        "components: [\n",
        "",
        "just words",
        "components: []\n---\ncomponents: []\n",
        "components: !include /etc/passwd\n",
    ];
    let shown: String = files.iter().map(|text| format!("{text}\n=> {}\n\n", said(text))).collect();
    insta::assert_snapshot!(shown);
}

#[test]
fn hostile_files_are_refused() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (from, to) in ('a'..'i').zip('b'..='i') {
        let alias = format!("*{from}, ").repeat(9);
        bomb.push_str(&format!("{to}: &{to} [{alias}]\n"));
    }
    let deep = format!("components: {}{}", "[".repeat(500), "]".repeat(500));
    let many = format!("components:\n{}", "  - kind: web\n".repeat(60_000));
    let long = format!("components:\n  - kind: {}\n", "x".repeat(500_000));
    let large = " ".repeat(super::MAX_SPEC_BYTES + 1);
    let mut shown = String::new();
    for (what, text) in [
        ("a bomb", &bomb),
        ("too deep", &deep),
        ("too many", &many),
        ("a long word", &long),
        ("too large", &large),
    ] {
        let said = said(text);
        assert!(said.len() < 2000, "{what}: {} bytes", said.len());
        shown.push_str(&format!("{what} => {said}\n\n"));
    }
    assert_eq!(read_spec("x", b"\xff\xfe").unwrap_err().code(), "spec::syntax");
    insta::assert_snapshot!(shown);
}

#[test]
fn values_know_their_lines() {
    let text = "application: shop\ncomponents:\n  - kind: web\n    env:\n      A/B: \"1\"\n    replicas: 3\n";
    let file = read_spec("dir/shop.yaml", text.as_bytes()).unwrap();
    let line = |pointer: &str| match file.origin(pointer) {
        Origin::File { line, .. } => line,
        other => panic!("{other:?}"),
    };
    assert_eq!(line("/application"), 1);
    assert_eq!(line("/components/0/kind"), 3);
    assert_eq!(line("/components/0/env/A~1B"), 5);
    assert_eq!(line("/components/0/replicas/min"), 6);
    assert_eq!(line("/components/0/port"), 3);
}
