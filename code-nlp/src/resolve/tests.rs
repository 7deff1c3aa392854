//! Sentences, settings and histories, and the specs that they make.

use std::collections::BTreeMap;

use code_core::diagnostic::Note;
use code_core::event::Outcome;
use code_core::parser::{Parsed, Vocabulary};
use code_core::request::{Request, Span};
use code_core::spec::{Origin, Origins, Spec};
use code_core::status::Revision;
use code_core::{Deployment, Digest, Result};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Ask, Change, Resolution, resolve, resolve_spec, rolled_back, stopped, without};
use crate::context::{Context, History, Machine, Postgresql, Project};
use crate::settings::Settings;
use crate::spec_file::read_spec;

/// What a parser would say: intents, and for each pointer the words that said it.
fn parsed(text: &str, intents: Value, evidence: &[(&str, &str)]) -> (Request, Parsed) {
    let request = Request::new(text, "me", Timestamp::UNIX_EPOCH).unwrap();
    let evidence = evidence
        .iter()
        .map(|(pointer, words)| {
            let start = text.find(words).unwrap_or_else(|| panic!("{words:?} in {text:?}"));
            ((*pointer).to_owned(), vec![Span::new(start, start + words.len())])
        })
        .collect();
    (request, Parsed { intents: serde_json::from_value(intents).unwrap(), evidence, notes: Vec::new() })
}

fn context() -> Context {
    Context {
        dir: "/home/me/shop".into(),
        machine: Machine { free_ports: (8080..8100).collect(), ..Machine::default() },
        ..Context::default()
    }
}

fn ask(intents: Value, context: &Context) -> Result<Resolution> {
    let (request, parsed) = parsed("a request", intents, &[]);
    resolve(Some(&request), &parsed, context)
}

fn change(intents: Value, context: &Context) -> Change {
    match ask(intents, context).unwrap().asks.pop() {
        Some(Ask::Change(change)) => change,
        other => panic!("{other:?}"),
    }
}

/// The spec as a table: pointer, value, origin.
fn table(spec: &Spec, origins: &Origins) -> String {
    let value = serde_json::to_value(spec).unwrap();
    let mut leaves = spec.leaves();
    leaves.sort();
    leaves
        .iter()
        .map(|leaf| format!("{leaf} = {}  ({})\n", value.pointer(leaf).unwrap(), origins[leaf]))
        .collect()
}

fn main_sentence() -> (Request, Parsed) {
    let text = "Deploy a web app with database to staging";
    let request = Request::new(text, "me", Timestamp::UNIX_EPOCH).unwrap();
    (request, crate::parse(text, &Vocabulary::default()))
}

#[test]
fn the_main_sentence_on_a_bare_machine() {
    let (request, parsed) = main_sentence();
    let resolution = resolve(Some(&request), &parsed, &context()).unwrap();
    let [Ask::Change(change)] = resolution.asks.as_slice() else { panic!("{resolution:?}") };
    assert_eq!(change.deployment.to_string(), "shop/staging");
    assert_eq!(change.unreleased, ["web"]);
    insta::assert_snapshot!(table(&change.spec, &change.origins));
}

/// A deployment with these revisions, which all succeeded.
fn deployed(context: &mut Context, changes: &[&Change]) {
    let mut revisions: Vec<Revision> = Vec::new();
    for change in changes {
        revisions.push(Revision {
            number: revisions.len() as u64 + 1,
            spec: Some(change.spec.clone()),
            origins: change.origins.clone(),
            plan: Digest::ZERO,
            at: Timestamp::UNIX_EPOCH,
            outcome: Some(Outcome::Succeeded),
            bad: false,
        });
    }
    let deployment = changes[0].deployment.clone();
    let mut all: BTreeMap<Deployment, Vec<Revision>> =
        context.history.iter().map(|(d, r)| (d.clone(), r.to_vec())).collect();
    all.insert(deployment, revisions);
    context.history = History::new(all);
}

fn first() -> Change {
    let (request, parsed) = main_sentence();
    match resolve(Some(&request), &parsed, &context()).unwrap().asks.pop() {
        Some(Ask::Change(change)) => change,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_same_request_again_is_the_same_spec() {
    let first = first();
    let mut context = context();
    deployed(&mut context, &[&first]);
    context.machine.postgresql = Some(Postgresql { bin_dir: "/pg/bin".into(), major: 15 });
    context.machine.free_ports.remove(0);
    let (request, parsed) = main_sentence();
    let again = resolve(Some(&request), &parsed, &context).unwrap();
    let [Ask::Change(again)] = again.asks.as_slice() else { panic!("{again:?}") };
    assert_eq!(again.spec, first.spec);
    assert_eq!(again.origins["/components/1/engine"], Origin::Revision { revision: 1 });
    assert_eq!(again.origins["/components/0/port"], Origin::Revision { revision: 1 });
}

#[test]
fn scaling_changes_nothing_else() {
    let first = first();
    let mut context = context();
    deployed(&mut context, &[&first]);
    context.settings = Settings::parse("code.toml", b"[components.web]\nmemory = '64Mi'").unwrap();
    let scaled = change(
        json!([{
            "action": "scale", "environment": "staging",
            "components": [{ "kind": "web", "replicas": { "min": 3, "max": 3 } }]
        }]),
        &context,
    );
    let mut expect = first.spec.clone();
    expect.components[0].replicas = code_core::spec::Replicas { min: 3, max: 3 };
    assert_eq!(scaled.spec, expect);
    assert!(scaled.unreleased.is_empty());
}

#[test]
fn a_spec_file_says_the_same_without_words() {
    let text = "environment: staging\ncomponents:\n  - kind: web\n    depends_on: [db]\n    replicas: 2\n  - name: db\n    kind: database\n    engine: sqlite3\n";
    let file = read_spec("shop.yaml", text.as_bytes()).unwrap();
    let mut context = context();
    deployed(&mut context, &[&first()]);
    let resolution = resolve_spec(&file, &context).unwrap();
    let [Ask::Change(change)] = resolution.asks.as_slice() else { panic!("{resolution:?}") };
    insta::assert_snapshot!(table(&change.spec, &change.origins));
}

/// Makes a change, and holds values of its spec against `expect`: a pointer, the value, and its origin.
fn check(context: &Context, intents: Value, expect: &[(&str, Value, &str)]) -> Change {
    let change = change(intents, context);
    let spec = serde_json::to_value(&change.spec).unwrap();
    for (pointer, value, origin) in expect {
        assert_eq!(spec.pointer(pointer), Some(value), "{pointer} of {spec:#}");
        let told = change.origins[*pointer].to_string();
        assert!(told.contains(origin), "{pointer} = {value} ({told}), not ({origin})");
    }
    change
}

/// Asks for what cannot be; the error has this code, and these words in its message or help.
fn refuse(context: &Context, intents: Value, code: &str, words: &str) {
    let error = ask(intents, context).unwrap_err();
    assert_eq!(error.code(), code, "{error:?}");
    let text = format!("{} {}", error.message(), error.help_text().expect("help"));
    assert!(text.contains(words), "{text:?} has no {words:?}");
}

fn with_settings(text: &str) -> Context {
    Context { settings: Settings::parse("code.toml", text.as_bytes()).unwrap(), ..context() }
}

/// A context in which this was deployed as revision 1.
fn after(intents: Value) -> Context {
    let mut after = context();
    deployed(&mut after, &[&change(intents, &context())]);
    after
}

fn web_and_db() -> Value {
    json!([{ "action": "deploy", "environment": "staging", "components": [
        { "kind": "web", "depends_on": ["database"] }, { "kind": "database" }
    ] }])
}

#[test]
fn a_database_has_the_engine_that_was_said_or_that_is_here() {
    let mut here = context();
    here.machine.postgresql = Some(Postgresql { bin_dir: "/pg/bin".into(), major: 15 });
    check(
        &here,
        web_and_db(),
        &[
            ("/components/1/engine", json!("postgresql"), "PostgreSQL 15 is on this machine (/pg/bin)"),
            ("/components/1/version", json!("15"), "/pg/bin"),
            ("/components/1/port", json!(8081), "the first free port"),
        ],
    );
    let said = |engine: &str| {
        json!([{ "action": "deploy", "environment": "staging",
            "components": [{ "kind": "database", "engine": engine }] }])
    };
    check(&here, said("sqlite"), &[("/components/0/engine", json!("sqlite"), "from your request")]);
    check(&here, said("postgresql"), &[("/components/0/engine", json!("postgresql"), "from your request")]);
    refuse(&context(), said("postgresql"), "resolve::no-postgresql", "apt install postgresql");
    let newer = json!([{ "action": "deploy", "environment": "staging",
        "components": [{ "kind": "database", "engine": "postgresql", "version": "16.2" }] }]);
    refuse(&here, newer, "resolve::no-postgresql", "here is 15");
    let minor = json!([{ "action": "deploy", "environment": "staging",
        "components": [{ "kind": "database", "engine": "postgresql", "version": "15.3" }] }]);
    check(&here, minor, &[("/components/0/version", json!("15.3"), "from your request")]);
}

#[test]
fn an_engine_changes_only_on_explicit_words() {
    let mut context = after(web_and_db());
    context.machine.postgresql = Some(Postgresql { bin_dir: "/pg/bin".into(), major: 15 });
    let deploy = json!([{ "action": "deploy", "environment": "staging",
        "components": [{ "kind": "database", "engine": "postgresql" }] }]);
    refuse(&context, deploy, "resolve::engine-change", "change db to postgresql");
    let update = json!([{ "action": "update", "environment": "staging",
        "components": [{ "kind": "database", "engine": "postgresql" }] }]);
    check(
        &context,
        update.clone(),
        &[
            ("/components/1/engine", json!("postgresql"), "from your request"),
            ("/components/1/version", json!("15"), "/pg/bin"),
            ("/components/1/port", json!(8081), "the first free port"),
        ],
    );
    let notes = ask(update, &context).unwrap().notes;
    assert!(notes.iter().any(|note| note.code == "resolve::engine-change"), "{notes:?}");
    context.settings = Settings::parse("code.toml", b"[components.db]\nengine = 'pg'").unwrap();
    refuse(&context, web_and_db(), "resolve::engine-change", "its data would stay behind");
}

#[test]
fn what_is_kept_of_a_destroyed_database_binds() {
    let mut context = after(web_and_db());
    let (deployment, revisions) =
        context.history.iter().map(|(d, r)| (d.clone(), r.to_vec())).next().unwrap();
    let mut gone = revisions[0].clone();
    gone.number = 2;
    gone.spec = None;
    gone.origins.clear();
    let all = [revisions[0].clone(), gone];
    context.history = History::new([(deployment, all.to_vec())]);
    context.machine.postgresql = Some(Postgresql { bin_dir: "/pg/bin".into(), major: 15 });
    check(
        &context,
        web_and_db(),
        &[
            ("/components/1/engine", json!("sqlite"), "kept since revision 1"),
            ("/components/0/port", json!(8080), "kept since revision 1"),
        ],
    );
}

#[test]
fn settings_fill_in_and_words_win() {
    let text = "[environments.staging]\nprotected = true\ndelete_budget = 2\nbudget = { monthly = 50 }\n\
        [environments.staging.components.web]\nreplicas = 2\n\
        [components.web]\nreplicas = 5\nport = 9000\nenv = { LOG = 'info', MODE = 'x' }\n\
        [components.web.health]\npath = '/ready'\n";
    let context = with_settings(text);
    let said = json!([{ "action": "deploy", "components": [
        { "kind": "web", "port": 7000, "env": { "MODE": "y" } }
    ] }]);
    check(
        &context,
        said,
        &[
            ("/environment", json!("staging"), "code.toml:1: environments.staging"),
            ("/protected", json!(true), "code.toml:2: environments.staging.protected"),
            ("/delete_budget", json!(2), "code.toml:3"),
            ("/constraints/budget_monthly", json!(50.0), "code.toml:4"),
            ("/constraints/currency", json!("USD"), "no currency was said"),
            (
                "/components/0/replicas/max",
                json!(2),
                "code.toml:6: environments.staging.components.web.replicas",
            ),
            ("/components/0/port", json!(7000), "from your request"),
            ("/components/0/env/LOG", json!("info"), "code.toml:10: components.web.env.LOG"),
            ("/components/0/env/MODE", json!("y"), "from your request"),
            ("/components/0/health/path", json!("/ready"), "code.toml:12"),
            ("/components/0/health/timeout_seconds", json!(60), "default"),
        ],
    );
}

#[test]
fn limits_of_the_settings_are_not_loosened() {
    let context = with_settings("[environments.staging]\nbudget = { monthly = 50 }\ncompliance = ['gdpr']");
    let said = |budget: f64| {
        json!([{ "action": "deploy", "components": [{ "kind": "web" }],
            "constraints": { "budget_monthly": budget, "currency": "USD", "compliance": ["soc2"] } }])
    };
    check(&context, said(20.0), &[("/constraints/budget_monthly", json!(20.0), "from your request")]);
    check(
        &context,
        said(500.0),
        &[
            ("/constraints/budget_monthly", json!(50.0), "code.toml:2"),
            ("/constraints/compliance", json!(["soc2", "gdpr"]), "from your request"),
        ],
    );
    let protected = with_settings("[environments.staging]\nprotected = true\ndelete_budget = 1");
    let file = "protected: false\ndelete_budget: 100\nenvironment: stg\ncomponents: [{kind: web}]";
    let file = read_spec("shop.yaml", file.as_bytes()).unwrap();
    let resolution = resolve_spec(&file, &protected).unwrap();
    let Ask::Change(change) = &resolution.asks[0] else { panic!("{resolution:?}") };
    assert!(change.spec.protected);
    assert_eq!(change.spec.delete_budget, 1);
    assert_eq!(change.spec.environment, "staging");
}

#[test]
fn what_was_said_before_is_kept_until_a_setting_says_otherwise() {
    let said = json!([{ "action": "deploy", "environment": "staging",
        "components": [{ "kind": "web", "memory": "1Gi", "replicas": { "min": 3, "max": 3 } }] }]);
    let plain = json!([{ "action": "deploy", "environment": "staging", "components": [{ "kind": "web" }] }]);
    let mut context = after(said);
    check(
        &context,
        plain.clone(),
        &[
            ("/components/0/memory", json!("1Gi"), "kept since revision 1"),
            ("/components/0/replicas/min", json!(3), "kept since revision 1"),
        ],
    );
    context.settings = Settings::parse("code.toml", b"[components.web]\nreplicas = 1").unwrap();
    check(&context, plain.clone(), &[("/components/0/replicas/max", json!(1), "code.toml:2")]);
    let notes = ask(plain, &context).unwrap().notes;
    assert!(notes.iter().any(|note| note.code == "resolve::setting-wins"), "{notes:?}");
}

#[test]
fn a_setting_that_is_gone_no_longer_counts() {
    let web = json!([{ "action": "deploy", "environment": "staging", "components": [{ "kind": "web" }] }]);
    let mut context = with_settings("[components.web]\nreplicas = 2\nmemory = '1Gi'\nport = 9000");
    let first = check(&context, web.clone(), &[("/components/0/replicas/max", json!(2), "code.toml:2")]);
    deployed(&mut context, &[&first]);
    context.settings = Settings::default();
    let again = check(
        &context,
        web,
        &[
            ("/components/0/replicas/max", json!(1), "default"),
            ("/components/0/port", json!(9000), "kept since revision 1"),
        ],
    );
    assert_eq!(again.spec.components[0].memory, None);
}

#[test]
fn one_end_of_a_range_moves_the_other() {
    let said = |replicas: Value| json!([{ "action": "deploy", "environment": "staging", "components": [{ "kind": "web", "replicas": replicas }] }]);
    let ends = |min: u32, max: u32| {
        [("/components/0/replicas/min", json!(min), ""), ("/components/0/replicas/max", json!(max), "")]
    };
    check(&context(), said(json!({ "min": 4 })), &ends(4, 4));
    check(&context(), said(json!({ "max": 4 })), &ends(1, 4));
    let settings = with_settings("[components.web]\nreplicas = { min = 3, max = 5 }");
    check(&settings, said(json!({ "max": 2 })), &ends(2, 2));
    check(&settings, said(json!({ "min": 7 })), &ends(7, 7));
    check(&settings, said(json!({ "min": 4 })), &ends(4, 5));
    let scale = |replicas: Value| json!([{ "action": "scale", "environment": "staging", "components": [{ "kind": "web", "replicas": replicas }] }]);
    let after = after(said(json!({ "min": 3, "max": 3 })));
    check(&after, scale(json!({ "max": 2 })), &ends(2, 2));
    refuse(&after, scale(json!({ "min": 0, "max": 0 })), "resolve::replicas-zero", "stop web");
}

#[test]
fn components_are_named_after_their_kind() {
    let said = json!([{ "action": "deploy", "environment": "staging", "components": [
        { "kind": "web" }, { "kind": "web" }, { "kind": "static_site", "source": "." }, { "kind": "web", "name": "admin" }
    ] }]);
    let mut context = context();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("Procfile"), "web: ./serve").unwrap();
    context.project = Project::read(dir.path()).unwrap();
    context.machine.programs.insert("sh".into());
    let made =
        check(&context, said.clone(), &[("/components/1/name", json!("web-2"), "named after its kind")]);
    let names: Vec<&str> = made.spec.components.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["web", "web-2", "static-site", "admin"]);
    let ports: Vec<_> = made.spec.components.iter().filter_map(|c| c.port).collect();
    assert_eq!(ports, [8080, 8081, 8082, 8083]);
    deployed(&mut context, &[&made]);
    assert_eq!(change(said, &context).spec, made.spec);
    let scale = json!([{ "action": "scale", "environment": "staging", "components": [
        { "kind": "web", "replicas": { "min": 2, "max": 2 } }
    ] }]);
    refuse(&context, scale, "resolve::ambiguous", "web, web-2, admin");
    let settings = with_settings("[components.front]\nkind = 'web'\nreplicas = 2\n");
    let said = json!([{ "action": "deploy", "environment": "staging", "components": [{ "kind": "web" }] }]);
    check(
        &settings,
        said,
        &[
            ("/components/0/name", json!("front"), "code.toml:1: components.front"),
            ("/components/0/replicas/min", json!(2), "code.toml:3"),
        ],
    );
}

#[test]
fn dependencies_are_names_of_components() {
    check(&context(), web_and_db(), &[("/components/0/depends_on", json!(["db"]), "from your request")]);
    let listed = json!([{ "action": "deploy", "environment": "staging",
        "components": [{ "kind": "web" }, { "kind": "database" }] }]);
    check(
        &context(),
        listed,
        &[("/components/0/depends_on", json!(["db"]), "there is one database beside it")],
    );
    let pulled =
        with_settings("[components.web]\ndepends_on = ['orders']\n[components.orders]\nkind = 'database'\n");
    let web = json!([{ "action": "deploy", "environment": "staging", "components": [{ "kind": "web" }] }]);
    check(
        &pulled,
        web.clone(),
        &[
            ("/components/0/depends_on", json!(["orders"]), "code.toml:2"),
            ("/components/1/kind", json!("database"), "code.toml:4"),
            ("/components/1/engine", json!("sqlite"), "not on this machine"),
        ],
    );
    refuse(
        &with_settings("[components.web]\ndepends_on = ['nowhere']"),
        web,
        "resolve::unknown-component",
        "nowhere",
    );
    let unknown = json!([{ "action": "deploy", "environment": "staging",
        "components": [{ "kind": "web", "depends_on": ["cache"] }] }]);
    refuse(&context(), unknown, "resolve::unknown-component", "cache");
    let added = json!([{ "action": "update", "environment": "staging",
        "components": [{ "kind": "web", "depends_on": ["db"] }] }]);
    let context = after(json!([{ "action": "deploy", "environment": "staging",
        "components": [{ "kind": "web", "depends_on": [] }, { "kind": "database" }] }]));
    check(&context, added, &[("/components/0/depends_on", json!(["db"]), "")]);
}

#[test]
fn the_environment_is_said_or_clear_or_asked_for() {
    let web = json!([{ "action": "deploy", "components": [{ "kind": "web" }] }]);
    let into = |environment: &str| json!([{ "action": "deploy", "environment": environment, "components": [{ "kind": "web" }] }]);
    check(&context(), web.clone(), &[("/environment", json!("development"), "no environment was said")]);
    check(&context(), into("qa"), &[("/environment", json!("qa"), "from your request")]);
    check(&after(into("qa")), web.clone(), &[("/environment", json!("qa"), "only deployed there")]);
    let two = with_settings("[environments.prod]\n[environments.staging]\n");
    refuse(&two, web.clone(), "resolve::question", "prod, staging");
    refuse(&two, into("stagin"), "resolve::unknown-environment", "did you mean `staging`");
    refuse(&two, into("qa"), "resolve::unknown-environment", "[environments.qa]");
    check(&two, into("production"), &[("/environment", json!("prod"), "from your request")]);
    let mut option = context();
    option.options.environment = Some("stg".into());
    check(&option, web, &[("/environment", json!("staging"), "option --environment")]);
    check(&option, into("staging"), &[("/environment", json!("staging"), "from your request")]);
    refuse(&option, into("production"), "resolve::contradiction", "--environment stg");
    refuse(&context(), into("../../x"), "id::name", "for example `x`");
    let read_only = with_settings("[environments.staging]\nread_only = true\n");
    refuse(&read_only, into("staging"), "resolve::read-only", "--dry-run");
    let dry = json!([{ "action": "deploy", "dry_run": true, "components": [{ "kind": "web" }] }]);
    assert!(change(dry, &read_only).dry_run);
}

#[test]
fn what_is_not_there_is_not_changed() {
    let on = |action: &str, component: Value| json!([{ "action": action, "environment": "staging", "components": [component] }]);
    let web = json!({ "name": "wbe" });
    for action in ["update", "scale", "restart", "destroy"] {
        refuse(&context(), on(action, web.clone()), "engine::no-deployment", "shop/staging");
        refuse(
            &after(web_and_db()),
            on(action, web.clone()),
            "resolve::unknown-component",
            "did you mean `web`",
        );
    }
    refuse(
        &after(web_and_db()),
        on("restart", json!({ "kind": "worker" })),
        "resolve::unknown-component",
        "web, db",
    );
    refuse(
        &after(web_and_db()),
        json!([{ "action": "status", "application": "shpo" }]),
        "resolve::unknown-application",
        "did you mean `shop`",
    );
    refuse(
        &after(web_and_db()),
        json!([{ "action": "rollback", "environment": "staging" }]),
        "rollback::no-revision",
        "",
    );
    refuse(&after(web_and_db()), json!([{ "action": "rotate_secrets" }]), "resolve::not-built", "");
    let code = on("deploy", json!({ "name": "checkout" }));
    refuse(&context(), code, "resolve::question", "what is `checkout`?");
    refuse(&context(), json!([{ "action": "deploy" }]), "resolve::question", "/home/me/shop");
    refuse(
        &context(),
        on("deploy", json!({ "kind": "web", "engine": "wordpress" })),
        "resolve::no-source",
        "wordpress",
    );
    refuse(&context(), on("deploy", json!({ "kind": "worker" })), "resolve::no-source", "worker");
    let fetched = json!({ "kind": "web", "source": "https://example.com/x.git" });
    refuse(&context(), on("deploy", fetched), "resolve::not-built", "--project");
    refuse(&context(), json!([]), "resolve::question", "what should be done");
    let hostile = json!({ "kind": "web", "name": "$(x)" });
    refuse(&context(), on("deploy", hostile), "id::name", "for example `x`");
}

#[test]
fn several_intents_fold_into_one_spec() {
    let said = json!([
        { "action": "scale", "environment": "staging", "components": [{ "kind": "web", "replicas": { "min": 3, "max": 3 } }] },
        { "action": "restart", "environment": "staging", "components": [{ "kind": "database" }] },
        { "action": "deploy", "environment": "qa", "dry_run": true, "components": [{ "kind": "web" }] },
        { "action": "status", "environment": "staging" }
    ]);
    let resolution = ask(said, &after(web_and_db())).unwrap();
    let [Ask::Change(staging), Ask::Change(qa), Ask::Status(filter)] = resolution.asks.as_slice() else {
        panic!("{resolution:?}");
    };
    assert_eq!(staging.spec.components[0].replicas.max, 3);
    assert_eq!(staging.spec.components[1].restarts, 1);
    assert!(!staging.dry_run && qa.dry_run);
    assert_eq!(qa.deployment.to_string(), "shop/qa");
    assert_eq!(qa.spec.components[0].port, Some(8081), "8080 is staging's");
    assert_eq!(filter.environment.as_deref(), Some("staging"));
    let both = json!([
        { "action": "destroy", "environment": "staging" },
        { "action": "deploy", "environment": "staging", "components": [{ "kind": "web" }] }
    ]);
    refuse(&after(web_and_db()), both, "resolve::contradiction", "one after the other");
    let both = json!([
        { "action": "deploy", "environment": "staging", "components": [{ "kind": "web" }] },
        { "action": "destroy", "environment": "staging", "components": [{ "kind": "web" }] }
    ]);
    refuse(&after(web_and_db()), both, "resolve::contradiction", "one after the other");
}

#[test]
fn two_deployments_of_one_request_have_ports_of_their_own() {
    let deploy = |environment: &str| json!({ "action": "deploy", "environment": environment, "components": [{ "kind": "web" }] });
    let resolution = ask(json!([deploy("staging"), deploy("qa")]), &context()).unwrap();
    let port = |ask: &Ask| match ask {
        Ask::Change(change) => change.spec.components[0].port,
        other => panic!("{other:?}"),
    };
    assert_eq!(resolution.asks.iter().map(port).collect::<Vec<_>>(), [Some(8080), Some(8081)]);
}

#[test]
fn components_are_taken_down_with_what_needs_them() {
    let destroy = |component: Value| json!([{ "action": "destroy", "environment": "staging", "components": [component] }]);
    refuse(&after(web_and_db()), destroy(json!({ "kind": "database" })), "resolve::needed", "`web` needs it");
    let resolution = ask(destroy(json!({ "kind": "web" })), &after(web_and_db())).unwrap();
    let [Ask::Destroy { components, .. }] = resolution.asks.as_slice() else { panic!("{resolution:?}") };
    assert_eq!(components, &["web"]);
    let first = first();
    let (spec, origins) = without(&first.spec, &first.origins, &["web".into()]).unwrap();
    assert_eq!(spec.components.len(), 1);
    assert_eq!(origins["/components/0/name"], first.origins["/components/1/name"]);
    let error = without(&first.spec, &first.origins, &["db".into()]).unwrap_err();
    assert_eq!(error.code(), "resolve::needed");
}

#[test]
fn stop_keeps_and_start_brings_back() {
    let first = first();
    let (spec, origins) = stopped(&first.spec, &first.origins, "web", true).unwrap();
    assert!(spec.components[0].stopped);
    assert_eq!(origins["/components/0/stopped"].to_string(), "the command `stop`");
    let (started, origins) = stopped(&spec, &origins, "web", false).unwrap();
    assert_eq!(started, first.spec);
    assert_eq!(origins.len(), first.origins.len());
    assert_eq!(stopped(&spec, &origins, "wbe", true).unwrap_err().code(), "resolve::unknown-component");
}

#[test]
fn a_deploy_brings_up_what_was_stopped_and_an_update_does_not() {
    let mut first = first();
    (first.spec, first.origins) = stopped(&first.spec, &first.origins, "web", true).unwrap();
    let mut context = context();
    deployed(&mut context, &[&first]);
    let with = |action: &str| json!([{ "action": action, "environment": "staging", "components": [{ "kind": "web" }] }]);
    assert!(change(with("update"), &context).spec.components[0].stopped);
    assert!(!change(with("deploy"), &context).spec.components[0].stopped);
    assert!(!change(with("restart"), &context).spec.components[0].stopped);
}

#[test]
fn a_printed_spec_is_a_spec_file() {
    let first = first();
    let mut context = context();
    deployed(&mut context, &[&first]);
    let printed = serde_json::to_string_pretty(&first.spec).unwrap();
    let file = read_spec("spec.json", printed.as_bytes()).unwrap();
    let resolution = resolve_spec(&file, &context).unwrap();
    let Ask::Change(again) = &resolution.asks[0] else { panic!("{resolution:?}") };
    assert_eq!(again.spec, first.spec);
    let from_file = again.origins.values().filter(|origin| matches!(origin, Origin::File { .. })).count();
    assert!(from_file >= first.origins.len() - 3, "{:?}", again.origins);
}

#[test]
fn a_spec_file_takes_away_what_it_does_not_name() {
    let file = read_spec("shop.yaml", b"environment: staging\ncomponents:\n  - name: db\n").unwrap();
    let mut context = context();
    deployed(&mut context, &[&first()]);
    let resolution = resolve_spec(&file, &context).unwrap();
    let Ask::Change(change) = &resolution.asks[0] else { panic!("{resolution:?}") };
    assert_eq!(change.spec.components.len(), 1);
    assert_eq!(change.origins["/components/0/kind"], Origin::Revision { revision: 1 });
    assert!(resolution.notes.iter().any(|note| note.code == "resolve::taken-away"));
    let unclear = read_spec("shop.yaml", b"environment: qa\ncomponents:\n  - name: x\n").unwrap();
    let error = resolve_spec(&unclear, &context).unwrap_err();
    assert_eq!(error.message(), "tell what the component at shop.yaml:3 is");
    for (text, code) in [
        ("components: []", "spec::empty"),
        ("components: [{kind: web}, {kind: api, name: web}]", "spec::duplicate"),
        ("components: [{kind: web, depends_on: [x]}]", "resolve::unknown-component"),
        ("components: [{kind: web, depends_on: [web]}]", "spec::cycle"),
        ("components: [{kind: web, name: ../x}]", "id::name"),
        ("application: -rf\ncomponents: [{kind: web}]", "id::name"),
        ("components: [{kind: web, port: 0}]", "spec::value"),
        ("components: [{kind: database, engine: pg}]", "resolve::engine-change"),
        ("environment: qa\ncomponents: [{kind: database, engine: pg}]", "resolve::no-postgresql"),
    ] {
        let error = resolve_spec(&read_spec("x", text.as_bytes()).unwrap(), &context).unwrap_err();
        assert_eq!(error.code(), code, "{text}: {error:?}");
        assert!(error.help_text().is_some());
    }
}

#[test]
fn a_rollback_finds_the_last_good_other_revision() {
    let web = |replicas: u32| {
        change(
            json!([{ "action": "deploy", "environment": "staging",
            "components": [{ "kind": "web", "replicas": { "min": replicas, "max": replicas } }] }]),
            &context(),
        )
    };
    let (one, two) = (web(1), web(2));
    let mut context = context();
    deployed(&mut context, &[&one, &two, &two]);
    let back = |to: Option<&str>, context: &Context| {
        let mut intent = json!({ "action": "rollback", "environment": "staging" });
        if let Some(to) = to {
            intent["rollback_to"] = to.into();
        }
        ask(json!([intent]), context).map(|mut resolution| match resolution.asks.pop() {
            Some(Ask::Rollback { to, change }) => (to, change.spec.components[0].replicas.max),
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(back(None, &context).unwrap(), (1, 1));
    assert_eq!(back(Some("previous"), &context).unwrap(), (1, 1));
    assert_eq!(back(Some("revision 2"), &context).unwrap(), (2, 2));
    assert_eq!(back(Some("v7"), &context).unwrap_err().code(), "rollback::no-revision");
    // The rules are those of now.
    context.settings =
        Settings::parse("code.toml", b"[environments.staging]\nprotected = true\ndelete_budget = 1").unwrap();
    let (_, spec, origins) = rolled_back(&context, &one.deployment, None).unwrap();
    assert!(spec.protected && spec.delete_budget == 1);
    assert_eq!(origins["/protected"].to_string(), "code.toml:2: environments.staging.protected");
}

#[test]
fn promoting_brings_what_and_not_how_many() {
    let mut context = after(json!([{ "action": "deploy", "environment": "staging", "components": [
        { "kind": "web", "depends_on": ["database"], "replicas": { "min": 2, "max": 2 } }, { "kind": "database" }
    ] }]));
    context.settings = Settings::parse("code.toml", b"[components.web]\nmemory = '1Gi'").unwrap();
    let said = json!([{ "action": "promote", "source_environment": "staging", "environment": "production" }]);
    let made = check(
        &context,
        said,
        &[
            ("/environment", json!("production"), "from your request"),
            ("/components/0/source", json!("sample"), "from your request"),
            ("/components/0/depends_on", json!(["db"]), "from your request"),
            ("/components/0/replicas/max", json!(1), "default"),
            ("/components/0/memory", json!("1Gi"), "code.toml:2"),
            ("/components/0/port", json!(8081), "default"),
            ("/components/1/engine", json!("sqlite"), "from your request"),
        ],
    );
    assert_eq!(made.deployment.to_string(), "shop/production");
}

#[test]
fn an_application_may_be_named_instead_of_its_part() {
    let context = after(web_and_db());
    let named = |action: &str, more: Value| {
        let mut component = json!({ "name": "shop" });
        component.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([{ "action": action, "environment": "staging", "components": [component] }])
    };
    check(
        &context,
        named("scale", json!({ "replicas": { "min": 2, "max": 2 } })),
        &[("/components/0/replicas/max", json!(2), "from your request")],
    );
    let restarted = change(named("restart", json!({})), &context);
    assert!(restarted.spec.components.iter().all(|c| c.restarts == 1));
    assert_eq!(change(named("deploy", json!({})), &context).spec, first().spec);
    let resolution = ask(named("destroy", json!({})), &context).unwrap();
    assert!(matches!(&resolution.asks[0], Ask::Destroy { components, .. } if components.is_empty()));
}

#[test]
fn an_app_of_ones_own_is_built_and_started_as_its_files_say() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("src")).unwrap();
    std::fs::write(dir.path().join("Cargo.toml"), "[package]\nname = \"store\"\n").unwrap();
    std::fs::write(dir.path().join("src/main.rs"), "").unwrap();
    let mut context = context();
    context.project = Project::read(dir.path()).unwrap();
    let said = json!([{ "action": "deploy", "environment": "staging", "components": [{ "kind": "web" }] }]);
    refuse(&context, said.clone(), "project::missing-program", "install Rust");
    context.machine.programs.insert("cargo".into());
    let made = check(
        &context,
        said.clone(),
        &[
            ("/application", json!("store"), "Cargo.toml:2"),
            ("/components/0/source", json!(dir.path().to_str().unwrap()), "Cargo.toml:1"),
            ("/components/0/build", json!(["cargo", "build", "--release"]), "Cargo.toml:2"),
            ("/components/0/start", json!(["target/release/store"]), "Cargo.toml:2: its only binary"),
        ],
    );
    assert_eq!(made.unreleased, ["web"]);
    // The app that runs stays the app, wherever the command is given.
    deployed(&mut context, &[&made]);
    context.project = None;
    context.settings = Settings::parse("code.toml", b"application = 'store'").unwrap();
    check(
        &context,
        said,
        &[
            ("/components/0/source", json!(dir.path().to_str().unwrap()), "kept since revision 1"),
            ("/components/0/start", json!(["target/release/store"]), "kept since revision 1"),
        ],
    );
    let mut made = made;
    made.release(|component| Ok(Digest::of(component.name.as_bytes()))).unwrap();
    assert_eq!(made.spec.components[0].release, Some(Digest::of(b"web")));
    assert!(made.spec.leaves().iter().all(|leaf| made.origins.contains_key(leaf)));
    assert!(made.unreleased.is_empty());
}

#[test]
fn a_new_version_of_an_image_is_its_tag() {
    let said = json!([{ "action": "deploy", "environment": "staging", "components": [
        { "kind": "web", "image": "localhost:5000/team/shop:1.0" }
    ] }]);
    let context = after(said);
    let update = json!([{ "action": "update", "environment": "staging", "components": [{ "kind": "web", "version": "1.1" }] }]);
    let made = check(
        &context,
        update,
        &[("/components/0/image", json!("localhost:5000/team/shop:1.1"), "from your request")],
    );
    assert_eq!(made.spec.components[0].version, None);
    assert_eq!(made.spec.components[0].source, None);
}

#[test]
fn a_port_of_another_deployment_is_not_given_away() {
    let context = after(web_and_db());
    let said =
        json!([{ "action": "deploy", "environment": "qa", "components": [{ "kind": "web", "port": 8080 }] }]);
    refuse(&context, said, "resolve::port-taken", "8080");
    let mut none = context;
    none.machine.free_ports = vec![8080];
    let said = json!([{ "action": "deploy", "environment": "qa", "components": [{ "kind": "web" }] }]);
    refuse(&none, said, "resolve::no-port", "on port 9000");
}

#[test]
fn questions_are_asked_with_their_choices() {
    let (request, mut parsed) = main_sentence();
    parsed.notes.push(
        Note::question("nlp::unclear", "`web app` is unclear", "which web app?")
            .at(Span::new(9, 16))
            .choices(["a", "b"]),
    );
    let error = resolve(Some(&request), &parsed, &context()).unwrap_err();
    assert_eq!(error.code(), "resolve::question");
    assert_eq!(error.message(), "act on the request: which web app?");
    let context: Vec<_> = error.context().collect();
    assert_eq!(context, [("words", "web app"), ("choices", "a, b")]);
}
