use std::fs;
use std::sync::Arc;

use code_core::id::Address;
use code_core::provider::Reversal;

use super::*;

fn ctx() -> Ctx {
    code_core::memory::ctx(&Arc::new(code_core::memory::MemoryHost::new()))
}

fn resource(path: &Path) -> Resource {
    let want = Want::new().with("path", path.to_str().unwrap());
    Resource::new("db/endpoint".parse::<Address>().unwrap(), KIND, want).retained()
}

async fn observe(resource: &Resource, last: Option<&Live>) -> Observed {
    Sqlite::default().observe(&ctx(), resource, last).await.unwrap()
}

/// Observes, plans and applies, as the engine does, and gives what was planned.
async fn converge(resource: &Resource, last: Option<&Live>) -> Result<Change> {
    let (provider, ctx) = (Sqlite::default(), ctx());
    let observed = provider.observe(&ctx, resource, last).await?;
    let change = provider.plan(&ctx, resource, &observed).await?;
    provider.apply(&ctx, &change).await.map_err(|failed| failed.error)?;
    Ok(change)
}

#[tokio::test]
async fn a_database_is_made_kept_and_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("my shop/data/db.sqlite3");
    let wanted = resource(&path);
    let change = converge(&wanted, None).await.unwrap();
    assert_eq!(change.action, Action::Create);
    assert_eq!(change.outputs["url"], Promise::Stays(url_of(&path).into()));

    let db = rusqlite::Connection::open(&path).unwrap();
    let mode: String = db.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
    db.execute_batch("CREATE TABLE t(x); INSERT INTO t VALUES (1)").unwrap();

    let Observed::Present(live) = observe(&wanted, None).await else { panic!("it is there") };
    assert_eq!(converge(&wanted, Some(&live)).await.unwrap().action, Action::Keep);
    let back = change.reversal.to().unwrap();
    assert_eq!(converge(back, Some(&live)).await.unwrap().action, Action::Keep, "an undo keeps the data");
    let rows: i64 = db.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 1);

    let gone = wanted.gone();
    let change = converge(&gone, Some(&live)).await.unwrap();
    assert_eq!(change.action, Action::Delete);
    assert!(matches!(change.reversal, Reversal::Irreversible(_)) && change.effects.may_destroy());
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0, "its companions are gone too");
    assert_eq!(observe(&gone, Some(&live)).await, Observed::Absent);
    assert_eq!(converge(&gone, Some(&live)).await.unwrap().effects, Effects::none());
    assert_eq!(converge(&gone, None).await.unwrap().effects, Effects::none());
}

#[tokio::test]
async fn looking_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a #1 shop?.sqlite3");
    converge(&resource(&path), None).await.unwrap();
    assert!(matches!(observe(&resource(&path), None).await, Observed::Present(_)));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    // While an app has it open, what the app has not yet brought into the file counts as well.
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("CREATE TABLE t(x)").unwrap();
    assert!(
        matches!(observe(&resource(&path), None).await, Observed::Present(live) if live.drift.is_empty())
    );
}

#[tokio::test]
async fn only_its_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data/db.sqlite3");
    converge(&resource(&path), None).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
}

#[tokio::test]
async fn a_damaged_file_is_told_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db.sqlite3");
    let rubbish = b"this was a database once, and it was worth a lot to somebody".repeat(20);
    fs::write(&path, &rubbish).unwrap();
    let wanted = resource(&path);
    let Observed::Present(live) = observe(&wanted, None).await else { panic!("it is there") };
    assert!(live.drift[0].contains("damaged"), "{:?}", live.drift);
    let error = converge(&wanted, None).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("sqlite::corrupt", ErrorKind::Corrupt));
    assert_eq!(fs::read(&path).unwrap(), rubbish);
}

#[tokio::test]
async fn data_that_lies_elsewhere_is_not_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("old.db");
    converge(&resource(&old), None).await.unwrap();
    let last = live(&old, Vec::new());
    let seen = observe(&resource(&dir.path().join("new.db")), Some(&last)).await;
    assert!(matches!(seen, Observed::Unknown(why) if why.contains("old.db")));
}

#[tokio::test]
async fn it_can_take_the_place_of_another_engine() {
    let dir = tempfile::tempdir().unwrap();
    let other = Live { was: Want::new().with("dir", "/cluster"), ..live(Path::new("/x"), Vec::new()) };
    let seen = observe(&resource(&dir.path().join("new.db")), Some(&other)).await;
    assert_eq!(seen, Observed::Absent);
}

#[tokio::test]
async fn a_path_that_is_not_known_yet_is_said_so() {
    let server: Address = "disk/mount".parse().unwrap();
    let want = Want::new().with("path", Expr::output(&server, "path"));
    let wanted = Resource::new("db/endpoint".parse().unwrap(), KIND, want);
    assert_eq!(observe(&wanted, None).await, Observed::NotYet(server.clone()));
    let change = plan(&wanted, &Observed::NotYet(server)).unwrap();
    assert_eq!(change.outputs["url"], Promise::Later);
    let relative = Want::new().with("path", "db.sqlite3");
    assert_eq!(path(&relative).unwrap_err().code(), "sqlite::path");
}
