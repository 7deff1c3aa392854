//! Settings files, and what is read from them or said of them.

use std::collections::BTreeMap;
use std::path::Path;

use code_core::intent::Kind;
use code_core::spec::Origin;
use serde_json::Value;

use super::{SETTINGS_FILE, Settings};
use crate::context::History;

/// What is said of a file: nothing where it is fine.
fn said(text: &str) -> String {
    match Settings::parse(SETTINGS_FILE, text.as_bytes()) {
        Ok(_) => "fine".to_owned(),
        Err(error) => {
            let help = error.help_text().unwrap_or("NO HELP");
            let excerpt = error.context().find(|(name, _)| *name == "excerpt").map_or("", |(_, text)| text);
            format!("[{}] {}\n{excerpt}\nhelp: {help}", error.code(), error.message())
        }
    }
}

/// A file with every setting.
const EVERYTHING: &str = r#"#:schema https://code-engine.dev/schema/code.toml.schema.json
application = "shop"
policies = ["policies"]

[environments.staging]
platform = "local"
delete_budget = 3
budget = { monthly = 300, currency = "EUR" }
compliance = ["gdpr"]

[environments.staging.components.web]
replicas = 2

[environments.production]
platform = "kubernetes"
region = "eu-west-1"
cluster = "main"
namespace = "shop"
protected = true
read_only = true
on_failure = "pause"

[components.web]
kind = "web"
source = "web"
build = ["make"]
start = ["./server"]
replicas = { min = 1, max = 4 }
port = 9000
memory = "512Mi"
cpu = 0.5
depends_on = ["db"]

[components.web.health]
path = "/ready"
timeout_seconds = 30

[components.web.env]
LOG = "info"

[components.db]
kind = "database"
engine = "postgres"

[vocabulary]
environments = ["qa"]
applications = ["shop-admin"]
components = { mailer = "worker" }
products = { lighthouse = "monitoring" }
synonyms = { storefront = "web" }
"#;

#[test]
fn mistakes_have_a_place_and_help() {
    let files = [
        "",
        EVERYTHING,
        "application = shop\n",
        "aplication = 'shop'\n",
        "[environments.staging]\nplattform = 'local'\n",
        "[environments.staging]\nplatform = 'locla'\n",
        "[environments.staging]\nprotected = 'yes'\n",
        "[environments.production]\nprotected = false\napprovals = 1\n",
        "[environments.production]\napprovals = 2\n",
        "[environments.production]\nbudget = { monthly = nan }\n",
        "[environments.'../x']\n",
        "[components.Web]\nport = 1\n",
        "[components.web]\nport = 70000\n",
        "[components.web]\nreplicas = -1\n",
        "[components.web]\nreplicas = { minimum = 1 }\n",
        "[components.web]\nstart = './server'\n",
        "[components.web]\nhealth = { path = '/', timeout = 3 }\n",
        "a = 1\na = 2\n",
        "[components.web\n",
        "application = \"\u{202e}x\"\n",
        "requires = '>=0.1'\n",
        "requires = 'newest'\n",
        "requires = 7\n",
        // A program that is too old says so, and not that it does not know what came later.
        "aplication = 'shop'\nrequires = '>=900.1, <901'\n[environments]\nnewer = { than = 'this' }\n",
    ];
    let shown: String = files.iter().map(|text| format!("{text}\n=> {}\n\n", said(text))).collect();
    insta::assert_snapshot!(shown);
}

#[test]
fn hostile_files_are_refused() {
    assert_eq!(Settings::parse("x", b"\xff").unwrap_err().code(), "settings::syntax");
    assert_eq!(Settings::parse("x", b"\0\0").unwrap_err().code(), "settings::syntax");
    let large = vec![b'\n'; super::MAX_SETTINGS_BYTES + 1];
    assert_eq!(Settings::parse("x", &large).unwrap_err().code(), "settings::too-large");
    for text in [
        format!("a = {}{}", "[".repeat(10_000), "]".repeat(10_000)),
        format!("{}x = 1", "a.".repeat(10_000)),
        format!("application = \"{}\"", "x".repeat(100_000)),
        format!("{} = 1", "k".repeat(100_000)),
    ] {
        let error = Settings::parse("x", text.as_bytes()).unwrap_err();
        let length = format!("{error:?}").len();
        assert!(length < 2_000, "{} with {length} bytes", error.code());
    }
}

#[test]
fn values_know_their_lines() {
    let settings = Settings::parse("dir/code.toml", EVERYTHING.as_bytes()).unwrap();
    let check = |pointer: &str, expect: &str| assert_eq!(settings.origin(pointer).to_string(), expect);
    check("/application", "dir/code.toml:2: application");
    check("/environments/staging/platform", "dir/code.toml:6: environments.staging.platform");
    check("/environments/staging/budget/monthly", "dir/code.toml:8: environments.staging.budget.monthly");
    check("/components/web/replicas/max", "dir/code.toml:28: components.web.replicas.max");
    check("/components/web/env/LOG", "dir/code.toml:39: components.web.env.LOG");
    // What has no line of its own has that of what it stands in.
    check("/components/db/port", "dir/code.toml:41: components.db.port");
    check("/nowhere", "dir/code.toml: nowhere");
    assert_eq!(Settings::default().path(), None);
    assert!(matches!(settings.protected("production"), Some((true, Origin::Setting { line: 19, .. }))));
    assert_eq!(settings.protected("staging"), None);
    assert_eq!(settings.on_failure("production"), Some(code_core::event::OnFailure::Pause));
    assert_eq!(settings.on_failure("staging"), None);
}

#[test]
fn a_file_is_found_by_walking_up() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("a/b c/é");
    std::fs::create_dir_all(&inner).unwrap();
    assert!(Settings::find(&inner).is_none_or(|found| !found.starts_with(dir.path())));
    let file = dir.path().join("a").join(SETTINGS_FILE);
    std::fs::write(&file, "application = 'shop'\n").unwrap();
    assert_eq!(Settings::find(&inner).as_deref(), Some(file.as_path()));
    assert_eq!(Settings::read(&file).unwrap().application.as_deref(), Some("shop"));
    assert_eq!(Settings::read(&inner).unwrap_err().code(), "settings::unreadable");
}

#[test]
fn a_vocabulary_knows_the_project() {
    let settings = Settings::parse("code.toml", EVERYTHING.as_bytes()).unwrap();
    let words = settings.vocabulary(&History::default());
    let environments: Vec<&str> = words.environments.iter().map(String::as_str).collect();
    assert_eq!(environments, ["production", "qa", "staging"]);
    assert_eq!(words.applications.len(), 2);
    assert_eq!(words.components["web"], Some(Kind::Web));
    assert_eq!(words.components["mailer"], Some(Kind::Worker));
    assert_eq!(words.products["lighthouse"], Kind::Monitoring);
    assert_eq!(words.synonyms["storefront"], "web");
}

#[test]
fn a_first_file_can_be_read() {
    let settings = Settings::parse("code.toml", super::starter("shop").as_bytes()).unwrap();
    assert_eq!(settings.application.as_deref(), Some("shop"));
    let names: Vec<&str> = settings.environment_names().collect();
    assert_eq!(names, ["production", "staging"]);
}

/// The JSON schema in the documentation is the one of the types; a stale one is written anew.
#[test]
fn the_schemas_are_fresh() {
    let schemas = [
        ("code.toml.schema.json", serde_json::to_value(schemars::schema_for!(Settings)).unwrap()),
        (
            "spec.v1.schema.json",
            serde_json::to_value(schemars::schema_for!(crate::spec_file::PartialSpec)).unwrap(),
        ),
    ];
    for (name, mut schema) in schemas {
        let id = format!("https://code-engine.dev/schema/{name}");
        assert!(super::SCHEMA_URL.starts_with("https://code-engine.dev/schema/"));
        schema["$id"] = id.into();
        let fresh = serde_json::to_string_pretty(&sorted(&schema)).unwrap() + "\n";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema").join(name);
        if std::fs::read_to_string(&path).ok().as_deref() != Some(&fresh) {
            std::fs::write(&path, fresh).unwrap();
            panic!("docs/schema/{name} was out of date; it is written anew");
        }
    }
}

/// The same with the keys of maps in order, whatever features another crate gives serde_json.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: BTreeMap<_, _> =
                map.iter().map(|(key, value)| (key.clone(), sorted(value))).collect();
            Value::Object(ordered.into_iter().collect())
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// The blocks of a language in a page.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(page);
    let text = std::fs::read_to_string(path).unwrap();
    let begin = format!("```{language}\n");
    text.split(&begin).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_examples_of_the_documentation_are_read() {
    let settings = blocks("settings.md", "toml");
    assert_eq!(settings.len(), 2);
    for text in settings {
        Settings::parse("docs/settings.md", text.as_bytes()).unwrap();
    }
    let specs = blocks("spec.md", "yaml");
    assert_eq!(specs.len(), 1);
    for text in specs {
        crate::spec_file::read_spec("docs/spec.md", text.as_bytes()).unwrap();
    }
}
