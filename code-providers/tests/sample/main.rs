//! The sample app as people meet it: a process of its own, over HTTP, with real databases.
//!
//! This program is the app too: with the app's argument it is run, without it the tests are.
#![expect(clippy::disallowed_methods, reason = "these tests start real processes")]
#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

mod app;
mod http;

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use app::App;
use http::{Reply, call, get, post_form, post_json};

fn main() -> ExitCode {
    if let Some(code) = code_providers::sample::sample_main() {
        return code;
    }
    let trials = [
        ("a_note_comes_back", a_note_comes_back as fn()),
        ("what_is_wrong_is_refused", what_is_wrong_is_refused),
        ("replicas_share_one_sqlite_file", replicas_share_one_sqlite_file),
        ("health_is_that_of_the_database", health_is_that_of_the_database),
        ("a_request_that_has_begun_is_finished", a_request_that_has_begun_is_finished),
        ("wrong_settings_end_it_at_once", wrong_settings_end_it_at_once),
    ];
    let trials = trials.map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit_code()
}

fn a_note_comes_back() {
    let app =
        App::start(&[("CODE_APPLICATION", "shop"), ("CODE_ENVIRONMENT", "staging"), ("CODE_REPLICA", "2")]);
    let sent = post_form(app.port, "text=%3Cb%3Ebread+%26+milk%3C%2Fb%3E");
    assert_eq!((sent.status, sent.header("location")), (303, Some("/")));
    let sent = post_json(app.port, r#"{"text": "eggs"}"#);
    assert_eq!(sent.status, 201, "{}", sent.body);

    let page = get(app.port, "/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(
        page.header("content-security-policy").is_some_and(|policy| policy.contains("default-src 'none'"))
    );
    for part in
        ["shop · staging", "kept in memory", "replica <b>2</b>", "&lt;b&gt;bread &amp; milk&lt;/b&gt;"]
    {
        assert!(page.body.contains(part), "{part} in {}", page.body);
    }
    assert_eq!(texts(&get(app.port, "/notes")), ["eggs", "<b>bread & milk</b>"]);
    assert_eq!(app.end(), Some(0));
}

fn texts(reply: &Reply) -> Vec<String> {
    let notes: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
    notes.as_array().unwrap().iter().map(|note| note["text"].as_str().unwrap().to_owned()).collect()
}

fn what_is_wrong_is_refused() {
    let app = App::start(&[]);
    let check = |head: &str, body: &str, status: u16| {
        let reply = call(app.port, head, body.as_bytes());
        assert_eq!(reply.status, status, "{head}: {}", reply.body);
    };
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    check("GET /nothing HTTP/1.1\r\n", "", 404);
    check("DELETE /notes HTTP/1.1\r\n", "", 405);
    check("POST / HTTP/1.1\r\n", "", 405);
    check("POST /notes HTTP/1.1\r\n", "text=x", 415);
    check(&format!("POST /notes HTTP/1.1\r\n{form}"), "", 400);
    check(&format!("POST /notes HTTP/1.1\r\n{form}"), "text=+", 400);
    check(&format!("POST /notes HTTP/1.1\r\n{form}"), &format!("text={}", "x".repeat(501)), 400);
    check(&format!("POST /notes HTTP/1.1\r\n{form}"), &format!("text={}", "x".repeat(100_000)), 413);
    check(&format!("POST /notes HTTP/1.1\r\nsec-fetch-site: cross-site\r\n{form}"), "text=x", 403);
    check(&format!("POST /notes HTTP/1.1\r\nsec-fetch-site: same-origin\r\n{form}"), "text=x", 303);
    check("HEAD /health HTTP/1.1\r\n", "", 200);
    assert_eq!(texts(&get(app.port, "/notes")), ["x"]);
}

fn replicas_share_one_sqlite_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("my notes.db");
    let url = make_database(&path);
    let env = [("DATABASE_URL", url.as_str())];
    let replicas = [App::start(&env), App::start(&env), App::start(&env)];
    std::thread::scope(|scope| {
        for app in &replicas {
            scope.spawn(|| {
                for i in 0..20 {
                    let reply = post_json(app.port, &format!(r#"{{"text": "{} {i}"}}"#, app.port));
                    assert_eq!(reply.status, 201, "{}", reply.body);
                }
            });
        }
    });
    let seen = replicas.each_ref().map(|app| texts(&get(app.port, "/notes")));
    assert_eq!(seen[0].len(), 60);
    assert!(seen[0] == seen[1] && seen[1] == seen[2]);
    for app in replicas {
        assert_eq!(app.end(), Some(0));
    }
    let again = App::start(&env);
    assert_eq!(texts(&get(again.port, "/notes")), seen[0], "they outlive the processes");
}

fn make_database(path: &Path) -> String {
    rusqlite::Connection::open(path).unwrap().pragma_update(None, "journal_mode", "wal").unwrap();
    code_providers::sqlite::url_of(path)
}

fn health_is_that_of_the_database() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("later.db");
    let app = App::start(&[("DATABASE_URL", &code_providers::sqlite::url_of(&path))]);
    assert_eq!(get(app.port, "/health").status, 503);
    assert_eq!(get(app.port, "/").status, 503);
    make_database(&path);
    assert_eq!(get(app.port, "/health").status, 200);
    assert!(get(app.port, "/").body.contains("database <b>SQLite</b>"));
}

fn a_request_that_has_begun_is_finished() {
    use std::io::Write;
    let app = App::start(&[]);
    let mut begun = http::connect(app.port);
    let head =
        "POST /notes HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 18\r\n\r\n";
    begun.write_all(head.as_bytes()).unwrap();
    begun.write_all(br#"{"text": "#).unwrap();
    // The next request is answered after the first one's head was read.
    assert_eq!(get(app.port, "/health").status, 200);
    app.terminate();
    app.wait_until("it listens no more", |app| {
        std::net::TcpStream::connect(("127.0.0.1", app.port)).is_err()
    });
    begun.write_all(br#""last!!"}"#).unwrap();
    let reply = http::read(begun);
    assert_eq!(reply.status, 201, "{}", reply.body);
    assert_eq!(app.ended(), Some(0));
}

fn wrong_settings_end_it_at_once() {
    let (code, log) = app::run(&[("PORT", "0"), ("DATABASE_URL", "mysql://u:hunter2@h/x")]);
    assert_eq!(code, Some(1));
    assert!(
        log.contains("sample::settings") && log.contains("DATABASE_URL") && !log.contains("hunter2"),
        "{log}"
    );
}
