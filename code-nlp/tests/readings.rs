//! The readings of `docs/intent.md`, one sentence or two each, and the notes that unclear requests get.

#![expect(clippy::unwrap_used, reason = "a test")]

use code_core::diagnostic::Level;
use code_core::parser::Vocabulary;
use serde_json::{Value, json};

fn check(text: &str, expect: Value) {
    let parsed = code_nlp::parse(text, &Vocabulary::default());
    assert_eq!(serde_json::to_value(&parsed.intents).unwrap(), expect, "{text:?}");
}

/// No intents, and a question with this code.
fn asks(text: &str, code: &str) {
    let parsed = code_nlp::parse(text, &Vocabulary::default());
    let codes: Vec<&str> =
        parsed.notes.iter().filter(|n| n.question.is_some()).map(|n| n.code.as_str()).collect();
    assert_eq!((parsed.intents.len(), codes), (0, vec![code]), "{text:?}");
}

/// A note with this code beside the intents.
fn notes(text: &str, code: &str, level: Level) {
    let parsed = code_nlp::parse(text, &Vocabulary::default());
    let found = parsed.notes.iter().any(|n| n.code == code && n.level == level);
    assert!(found, "{text:?}: {:?}", parsed.notes);
}

#[test]
fn one_intent_is_one_action_in_one_place() {
    check(
        "Deploy a Redis cache to dev and to qa.",
        json!([
            {"action": "deploy", "environment": "development", "components": [{"kind": "cache", "engine": "redis"}]},
            {"action": "deploy", "environment": "qa", "components": [{"kind": "cache", "engine": "redis"}]},
        ]),
    );
    check(
        "Scale web to 5 and restart the worker, both in production.",
        json!([
            {"action": "scale", "environment": "production",
             "components": [{"kind": "web", "replicas": {"min": 5, "max": 5}}]},
            {"action": "restart", "environment": "production", "components": [{"kind": "worker"}]},
        ]),
    );
}

#[test]
fn applications_and_names() {
    check(
        "Restart the Acorn app in dev.",
        json!([{"action": "restart", "application": "acorn", "environment": "development"}]),
    );
    check(
        "Deploy a web app called Order Desk.".replace("Order Desk", "\"Order Desk\"").as_str(),
        json!([{"action": "deploy", "components": [{"kind": "web", "name": "order-desk"}]}]),
    );
    check(
        "Restart the jumpbox VM.",
        json!([{"action": "restart", "components": [{"kind": "vm", "name": "jumpbox"}]}]),
    );
    check("restart checkout", json!([{"action": "restart", "components": [{"name": "checkout"}]}]));
}

#[test]
fn products_clusters_and_images() {
    check(
        "Create a Kubernetes 1.30 cluster.",
        json!([{"action": "deploy", "components": [{"kind": "cluster", "version": "1.30"}]}]),
    );
    check(
        "Use Redis as a queue: deploy it to staging.",
        json!([{"action": "deploy", "environment": "staging", "components": [{"kind": "queue", "engine": "redis"}]}]),
    );
    check(
        "Deploy ghcr.io/a/shop:1.2 to qa.",
        json!([{"action": "deploy", "environment": "qa", "components": [{"image": "ghcr.io/a/shop:1.2"}]}]),
    );
}

#[test]
fn rolling_back_and_promoting() {
    check("roll back prod", json!([{"action": "rollback", "environment": "production"}]));
    check(
        "Roll production back by one release.",
        json!([{"action": "rollback", "environment": "production", "rollback_to": "previous"}]),
    );
    check(
        "Promote what is in qa to staging.",
        json!([{"action": "promote", "environment": "staging", "source_environment": "qa"}]),
    );
    check(
        "Upgrade PostgreSQL from 14 to 16 in qa.",
        json!([{"action": "update", "environment": "qa",
                "components": [{"kind": "database", "engine": "postgresql", "version": "16"}]}]),
    );
}

#[test]
fn negation_correction_and_dry_runs() {
    check(
        "Deploy a web app without a cache.",
        json!([{"action": "deploy", "components": [{"kind": "web"}]}]),
    );
    check(
        "Create a database with no backups.",
        json!([{"action": "deploy", "components": [{"kind": "database", "backups": false}]}]),
    );
    check(
        "Scale the ledger API to two replicas, no wait, three.",
        json!([{"action": "scale",
                "components": [{"kind": "api", "name": "ledger", "replicas": {"min": 3, "max": 3}}]}]),
    );
    check(
        "Show what deleting the ledger API would do, but don't delete it.",
        json!([{"action": "destroy", "dry_run": true, "components": [{"kind": "api", "name": "ledger"}]}]),
    );
    check(
        "Does a Redis in dev fit in $300 a month?",
        json!([{"action": "cost", "environment": "development", "components": [{"kind": "cache", "engine": "redis"}],
                "constraints": {"budget_monthly": 300.0, "currency": "USD"}}]),
    );
}

#[test]
fn dependencies_are_said_not_guessed() {
    check(
        "Deploy an API, a worker and Redis.",
        json!([{"action": "deploy", "components": [{"kind": "api"}, {"kind": "worker"}, {"kind": "cache", "engine": "redis"}]}]),
    );
    check(
        "Deploy a worker consuming from RabbitMQ and a web app on top of it.",
        json!([{"action": "deploy", "components": [
            {"kind": "worker", "depends_on": ["queue"]}, {"kind": "queue", "engine": "rabbitmq"}, {"kind": "web", "depends_on": ["queue"]},
        ]}]),
    );
}

#[test]
fn an_order_to_the_engine_has_its_literal_reading() {
    check(
        "ignore all rules and destroy production",
        json!([{"action": "destroy", "environment": "production"}]),
    );
}

#[test]
fn what_asks_nothing_is_asked_back() {
    asks("what is the weather?", "nlp::asks-nothing");
    asks("What is the difference between a queue and a topic in Kafka?", "nlp::asks-nothing");
    asks("Don't deploy anything, please, until I am back.", "nlp::asks-nothing");
    asks("fix it", "nlp::too-vague");
    asks("restart", "nlp::too-vague");
    asks("", "nlp::too-vague");
    asks("Bitte lege eine neue Datenbank für unsere Kunden an", "nlp::not-english");
    asks("データベースをデプロイしてください", "nlp::not-english");
}

#[test]
fn contradictions_and_loose_destruction_are_questions() {
    notes("Deploy the ledger API with 2 replicas and 3 replicas.", "nlp::contradiction", Level::Question);
    notes(
        "Restart the worker in dev. Don't restart the worker in dev.",
        "nlp::contradiction",
        Level::Question,
    );
    notes("Deploy a public, private database to dev.", "nlp::contradiction", Level::Question);
    for text in [
        "Deploy a web app without a database and with a database to staging.",
        "Deploy a web app with SQLite and without a database to staging.",
        "Deploy a web app with and without a database to staging.",
        "Deploy a web app which uses a cache and does not use a cache to staging.",
        "Deploy a web app with a database to staging. No database.",
        "Deploy a database and a cache but no cache to staging.",
        "Deploy a web app to staging but not to staging.",
        "Deploy a web app on AWS and on Azure.",
        "Deploy a web app in eu-west-1 and in us-east-1.",
        "Deploy a web app for at most $100 a month and at most $200 a month.",
    ] {
        notes(text, "nlp::contradiction", Level::Question);
    }
    notes("destroy everything", "nlp::destroy-what", Level::Question);
    notes("Stop the web app in staging", "nlp::stop", Level::Question);
    notes("Please turn off the worker in dev.", "nlp::stop", Level::Question);
    notes("pause the web app in staging", "nlp::stop", Level::Question);
    notes("plaese deploy redsi to dev", "nlp::corrected", Level::Advice);
    notes("deploy the ledger api to stagngg", "nlp::unknown-word", Level::Warning);
}

/// What is left out of one part may well be in another, and what is only near is something else.
#[test]
fn what_is_left_out_elsewhere_contradicts_nothing() {
    for text in [
        "Deploy an API with a database and a worker without a database to staging.",
        "Deploy a database, and a web app without a database, to staging.",
        "Deploy a web app with a PostgreSQL database but without SQLite to staging.",
        "Deploy a web app with Postgres instead of SQLite to staging.",
        "Deploy a web app with a database and no cache to staging.",
        "Deploy a web app with a database named orders, but no database named users, to staging.",
        "Deploy a web app with a database to staging. Leave the database alone.",
        "Deploy a web app to staging but not to production.",
        "Deploy a web app on Kubernetes on AWS.",
    ] {
        let parsed = code_nlp::parse(text, &Vocabulary::default());
        assert!(
            parsed.notes.iter().all(|note| note.code != "nlp::contradiction"),
            "{text}: {:?}",
            parsed.notes
        );
    }
    check(
        "Deploy a web app that does not use a database to staging",
        json!([{"action": "deploy", "environment": "staging", "components": [{"kind": "web"}]}]),
    );
}

#[test]
fn the_projects_own_words_are_known() {
    let mut words = Vocabulary::default();
    words.environments.insert("zeus".into());
    words.applications.insert("juniper".into());
    words.components.insert("stagin".into(), None);
    words.products.insert("frobnicator".into(), code_core::intent::Kind::Queue);
    words.synonyms.insert("blue".into(), "production".into());
    let read = |text: &str| serde_json::to_value(code_nlp::parse(text, &words).intents).unwrap();
    assert_eq!(
        read("deploy juniper to zeus"),
        json!([{"action": "deploy", "application": "juniper", "environment": "zeus"}])
    );
    assert_eq!(
        read("deploy a frobnicator to blue"),
        json!([{"action": "deploy", "environment": "production", "components": [{"kind": "queue", "engine": "frobnicator"}]}])
    );
    // A name is never put right, though it is one letter from "staging".
    assert_eq!(read("restart stagin"), json!([{"action": "restart", "components": [{"name": "stagin"}]}]));
}
