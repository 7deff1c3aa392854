//! Whether a plan is a function of nothing but the files, the variables and the state: then it holds as long as they
//! do, and need not be made again. Pure.
//!
//! | what | reads |
//! |---|---|
//! | resources of [`IN_STATE`] | their own state: they are nowhere else |
//! | other resources, none of which is there yet | nothing: what is not there is not read |
//! | data sources, ephemeral resources, imports, functions of providers | who knows |
//! | `timestamp`, `uuid`, `bcrypt` and the like | the clock, and chance |
//! | `file` and the like | a file: the root's own, or any other |
//!
//! What is not known here is not steady.

use serde_json::Value;

use super::parse::in_configuration;

/// The types of resources that live in the state alone, and the providers that have them.
const IN_STATE: [(&str, &[&str]); 4] = [
    ("terraform.io/builtin/terraform", &["terraform_data"]),
    ("hashicorp/null", &["null_resource"]),
    ("hashicorp/random", &[]),
    ("hashicorp/time", &["time_offset", "time_sleep", "time_static"]),
];
/// Functions with another answer each time.
const UNSTEADY: [&str; 4] = ["timestamp", "plantimestamp", "uuid", "bcrypt"];
/// Functions that read files, or say where they are.
const READING: [&str; 13] = [
    "abspath",
    "file",
    "filebase64",
    "filebase64sha256",
    "filebase64sha512",
    "fileexists",
    "filemd5",
    "fileset",
    "filesha1",
    "filesha256",
    "filesha512",
    "pathexpand",
    "templatefile",
];

/// Whether the resources of a plan (an answer of `show -json PLAN`) read nothing but the state.
pub(super) fn reads_state_only(plan: &Value) -> bool {
    let importing = |change: &Value| !change["change"]["importing"].is_null();
    let changes = plan["resource_changes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let module = &plan["configuration"]["root_module"];
    let there = &plan["prior_state"]["values"]["root_module"];
    !changes.iter().any(importing) && !has_data(module) && lives_in_state(there)
}

/// Whether the resource of an address lives in the state alone, by its type.
pub(super) fn is_in_state_alone(address: &str) -> bool {
    let mut kinds = IN_STATE.iter().flat_map(|(_, kinds)| kinds.iter());
    let plain = in_configuration(address);
    let kind = plain.rsplit('.').nth(1).unwrap_or_default();
    kinds.any(|known| *known == kind) || kind.starts_with("random_")
}

/// Whether a module, or one that it calls, has anything but managed resources.
fn has_data(module: &Value) -> bool {
    let managed = |resource: &Value| resource["mode"] == "managed";
    let here = module["resources"].as_array().is_some_and(|all| !all.iter().all(managed));
    let calls = module["module_calls"].as_object();
    here || calls.is_some_and(|calls| calls.values().any(|call| has_data(&call["module"])))
}

/// Whether all that a module has in the state lives nowhere else.
fn lives_in_state(module: &Value) -> bool {
    let known = |resource: &Value| {
        let provider = resource["provider_name"].as_str().unwrap_or_default();
        let kind = resource["type"].as_str().unwrap_or_default();
        let of = |name: &str| provider == name || provider.ends_with(&format!("/{name}"));
        let found = IN_STATE.iter().find(|(name, _)| of(name));
        found.is_some_and(|(_, kinds)| kinds.is_empty() || kinds.contains(&kind))
    };
    let here = module["resources"].as_array().is_none_or(|all| all.iter().all(known));
    let children = module["child_modules"].as_array();
    here && children.is_none_or(|all| all.iter().all(lives_in_state))
}

/// Whether the text of a file of a root, or of a module, is about nothing but itself.
pub(super) fn is_steady(text: &str) -> bool {
    if text.contains("provider::") {
        return false;
    }
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let mut rest = text;
    while let Some(start) = rest.find(is_part) {
        let word = &rest[start..];
        let end = word.find(|c| !is_part(c)).unwrap_or(word.len());
        let (word, after) = word.split_at(end);
        rest = after;
        let after = after.trim_start();
        // A block without a plan's knowing, such as a `data` in a `check`; in JSON, a name with its quote.
        if matches!(word, "data" | "ephemeral") && after.starts_with(|c| c == '"' || is_part(c)) {
            return false;
        }
        let Some(argument) = after.strip_prefix('(') else { continue };
        if UNSTEADY.contains(&word) || READING.contains(&word) && !is_own_file(argument) {
            return false;
        }
    }
    true
}

/// Whether an argument is the path of a file beside the one that it stands in.
fn is_own_file(argument: &str) -> bool {
    let Some(path) = argument.trim_start().trim_start_matches('\\').strip_prefix('"') else { return false };
    let own = ["${path.module}/", "${path.root}/", "./"].iter().find_map(|start| path.strip_prefix(start));
    let Some(rest) = own else { return false };
    let name = rest.split(['"', '\\']).next().unwrap_or_default();
    !name.contains("..") && !name.contains('$') && !name.contains('%')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_that_asks_the_clock_or_other_files_is_not_steady() {
        let check = |text: &str, expect: bool| assert_eq!(is_steady(text), expect, "{text}");
        check("resource \"terraform_data\" \"x\" { input = upper(var.data) }", true);
        check("locals { at = timestamp() }", false);
        check("locals { at = \"made ${timestamp ()}\" }", false);
        check("locals { timestamp = 1, x = [my_timestamp(1), uuidv5(\"a\", \"b\")] }", true);
        check("x = file(\"${path.module}/a.txt\")", true);
        check("x = file(\"./a.txt\")", true);
        for path in ["/etc/passwd", "../a", "${path.module}/../a", "${path.module}/${var.x}", "~/a"] {
            check(&format!("x = file(\"{path}\")"), false);
        }
        check("x = templatefile(var.path, {})", false);
        check("x = pathexpand(\"~\")", false);
        check("data \"external\" \"x\" {}", false);
        check("check \"up\" {\n  data \"http\" \"x\" {}\n}", false);
        check("ephemeral \"random_password\" \"x\" {}", false);
        check("x = provider::time::rfc3339_parse(\"\")", false);
        check(r#"{"locals": {"x": "${file(\"${path.module}/a\")}"}}"#, true);
        check(r#"{"locals": {"x": "${file(\"/etc/passwd\")}"}}"#, false);
    }

    #[test]
    fn what_is_elsewhere_is_read_elsewhere() {
        let check = |plan: Value, expect: bool| assert_eq!(reads_state_only(&plan), expect, "{plan}");
        let there = |provider: &str, kind: &str| {
            let resource = json!({ "provider_name": provider, "type": kind });
            let child = json!({ "child_modules": [{ "resources": [resource] }] });
            json!({ "prior_state": { "values": { "root_module": child } } })
        };
        check(json!({}), true);
        check(there("terraform.io/builtin/terraform", "terraform_data"), true);
        check(there("registry.opentofu.org/hashicorp/time", "time_static"), true);
        check(there("registry.opentofu.org/hashicorp/time", "time_rotating"), false);
        check(there("registry.terraform.io/hashicorp/local", "local_file"), false);
        check(there("registry.terraform.io/other-hashicorp/time", "time_static"), false);
        let data = json!({ "resources": [{ "mode": "data" }] });
        let calls = json!({ "module_calls": { "a": { "module": data } } });
        check(json!({ "configuration": { "root_module": calls } }), false);
        check(json!({ "resource_changes": [{ "change": { "importing": { "id": "x" } } }] }), false);
    }
}
