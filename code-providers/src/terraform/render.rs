//! What is written for the tools: where the state lies, how they are set up, and the variables. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::hcl::{Token, tokens};

/// The file by which a root without a backend of its own keeps its state where ours is. A file of this name
/// is read after all others, and wins.
pub(super) const BACKEND_FILE: &str = "code_backend_override.tf.json";

/// The state in a directory of ours.
pub(super) fn local_backend(state: &Path, workspaces: &Path) -> String {
    let paths = json!({ "path": state, "workspace_dir": workspaces });
    json!({ "terraform": [{ "backend": [{ "local": paths }] }] }).to_string()
}

/// The tool's own settings: it asks nobody for new versions, and where there is a mirror, nothing else is asked.
pub(super) fn cli_config(mirror: Option<&Path>) -> String {
    let mut text = "disable_checkpoint = true\n".to_owned();
    if let Some(mirror) = mirror {
        // Writing to a `String` does not fail.
        let _ = write!(
            text,
            "provider_installation {{\n  filesystem_mirror {{\n    path = {}\n  }}\n}}\n",
            quoted(&mirror.display().to_string())
        );
    }
    text
}

/// A string of HCL: templates in it are text.
fn quoted(text: &str) -> String {
    Value::from(text.replace("${", "$${").replace("%{", "%%{")).to_string()
}

/// The variables that are no secrets.
pub(super) fn variables(all: &BTreeMap<&str, &Value>) -> String {
    json!(all).to_string()
}

/// Whether files of a root say themselves where the state lies: a `backend` or `cloud` block.
pub(super) fn has_backend(name: &str, text: &str) -> bool {
    if name.ends_with(".json") {
        let Ok(file) = serde_json::from_str::<Value>(text) else { return false };
        let blocks = match &file["terraform"] {
            Value::Array(blocks) => blocks.iter().collect(),
            block => vec![block],
        };
        return blocks.iter().any(|block| block.get("backend").is_some() || block.get("cloud").is_some());
    }
    let tokens = tokens(text);
    let backend =
        |three: &[Token<'_>]| matches!(three, [Token::Word("backend"), Token::Text(_), Token::Sign('{')]);
    let cloud = |three: &[Token<'_>]| {
        matches!(three, [Token::Sign('{' | '}') | Token::Text(_), Token::Word("cloud"), Token::Sign('{')])
    };
    tokens.windows(3).any(|three| backend(three) || cloud(three))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_is_found_where_it_is_one() {
        let check = |text: &str, expect: bool| assert_eq!(has_backend("main.tf", text), expect, "{text}");
        check("terraform {\n  backend \"s3\" {}\n}", true);
        check("terraform{backend \"local\"{path=\"x\"}}", true);
        check("terraform {\n  required_version = \">= 1\"\n  cloud {\n  }\n}", true);
        check("terraform {\n cloud {\n  }\n}", true);
        check("# terraform { backend \"s3\" {} }\n", false);
        check("/* backend \"s3\" {} */ resource \"a\" \"backend\" {}", false);
        check("variable \"x\" { default = \"backend \\\"s3\\\" {\" }", false);
        check("locals {\n  backend = \"s3\"\n  cloud = { a = 1 }\n}", false);
        check("locals { x = <<EOT\nbackend \"s3\" {\nEOT\n}\n", false);
        check("locals { x = \"${f(\"backend\")}\" }", false);
        assert!(has_backend("a.tf.json", r#"{"terraform":[{"backend":{"s3":{}}}]}"#));
        assert!(!has_backend("a.tf.json", r#"{"resource":{"backend":{"s3":{}}}}"#));
    }

    #[test]
    fn what_the_tools_read() {
        insta::assert_snapshot!(cli_config(Some(Path::new("/a \"b\" ${c}"))), @r#"
        disable_checkpoint = true
        provider_installation {
          filesystem_mirror {
            path = "/a \"b\" $${c}"
          }
        }
        "#);
        let text = local_backend(Path::new("/s/terraform.tfstate"), Path::new("/s/workspaces"));
        insta::assert_snapshot!(text, @r#"{"terraform":[{"backend":[{"local":{"path":"/s/terraform.tfstate","workspace_dir":"/s/workspaces"}}]}]}"#);
    }
}
