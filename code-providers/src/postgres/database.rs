//! A role and its database: `postgres.database`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use code_core::expr::plain;
use code_core::host::Command;
use code_core::provider::{Action, Change, Effect, Effects, Live, Observed, Promise, Resource};
use code_core::{Ctx, Expr, Result, Secret, Want, kill};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::config::Database;
use super::connect::{self, Login, log_in};
use super::render::SUPERUSER;
use super::{error, owner, render};
use crate::keep;

/// How long to wait for a server that is starting: after a crash it replays its log first.
const STARTING: Duration = Duration::from_secs(120);
/// How long to wait between two tries.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn observe(ctx: &Ctx, resource: &Resource, last: Option<&Live>) -> Result<Observed> {
    let recorded = last.map(|live| &live.was);
    let Some(want) = resource.want.as_ref().or(recorded) else { return Ok(Observed::Absent) };
    let wanted = Database::read(want)?;
    let server = format!("{}:{}", wanted.host, wanted.port);
    let password = match ctx.secret(&wanted.superuser_password).await {
        Ok(password) => password,
        Err(unknown) if unknown.code() == "secret::unknown" => {
            return Ok(without_server(
                resource,
                &wanted,
                last,
                format!("the secret for the server on {server} is not there"),
            ));
        }
        Err(other) => return Err(other),
    };
    let client = match enter(ctx, &wanted, &password).await? {
        Login::In(client) => client,
        Login::Nobody(why) | Login::Starting(why) => {
            return Ok(without_server(
                resource,
                &wanted,
                last,
                format!("no PostgreSQL server answers on {server}: {why}"),
            ));
        }
        Login::Refused => {
            return Ok(Observed::Unknown(format!(
                "the PostgreSQL server on {server} is another one: it refuses our superuser"
            )));
        }
    };
    let (role, Some(oid)) = existing(&client, &wanted).await? else { return Ok(Observed::Absent) };
    let mut drift = Vec::new();
    if resource.want.is_some() {
        if !role {
            drift.push(format!("the role `{}` is gone", wanted.user));
        } else if !lets_in(ctx, &wanted).await? {
            drift.push(format!("the role `{}` has another password", wanted.user));
        }
    }
    Ok(Observed::Present(live(want, &wanted, oid, drift)))
}

/// What can be said of a database that should go and whose server does not run: it is there as long as its
/// directory is (PostgreSQL, "Database File Layout").
fn without_server(resource: &Resource, wanted: &Database, last: Option<&Live>, why: String) -> Observed {
    let (None, Some(last), Some(dir)) = (&resource.want, last, &wanted.dir) else {
        return Observed::Unknown(why);
    };
    let oid = last.outputs.get("oid").and_then(Expr::known).map(|oid| plain(&oid));
    let files = oid.map_or_else(|| dir.clone(), |oid| dir.join("base").join(oid));
    match files.try_exists() {
        Ok(true) => Observed::Present(Live { drift: vec![why], ..last.clone() }),
        Ok(false) => Observed::Absent,
        Err(cause) => Observed::Unknown(format!("cannot look at {}: {cause}", files.display())),
    }
}

/// Whether the role exists, and the number of the database, which names its directory.
async fn existing(client: &Client, wanted: &Database) -> Result<(bool, Option<u32>)> {
    let query = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1), \
                 (SELECT oid FROM pg_database WHERE datname = $2)";
    let row = client.query_one(query, &[&wanted.user, &wanted.name]).await;
    let row = row.map_err(|cause| error::sql("look for a role and its database", cause))?;
    Ok((row.get(0), row.get(1)))
}

/// Whether the role gets into its database with the password that is stored.
async fn lets_in(ctx: &Ctx, wanted: &Database) -> Result<bool> {
    match ctx.secret(&wanted.password).await {
        Ok(password) => {
            Ok(matches!(log_in(wanted, &wanted.user, &wanted.name, &password).await?, Login::In(_)))
        }
        Err(unknown) if unknown.code() == "secret::unknown" => Ok(false),
        Err(other) => Err(other),
    }
}

fn live(want: &Want, wanted: &Database, oid: u32, drift: Vec<String>) -> Live {
    let mut outputs: BTreeMap<_, _> = outputs(wanted).map(|(name, value)| (name.to_owned(), value)).into();
    outputs.insert("oid".to_owned(), serde_json::json!(oid).into());
    Live { id: format!("{}:{}/{}", wanted.host, wanted.port, wanted.name), was: want.clone(), outputs, drift }
}

fn outputs(wanted: &Database) -> [(&'static str, Expr); 5] {
    [
        ("url", render::url(wanted)),
        ("host", wanted.host.clone().into()),
        ("port", wanted.port.into()),
        ("name", wanted.name.clone().into()),
        ("user", wanted.user.clone().into()),
    ]
}

pub(super) fn plan(resource: &Resource, observed: &Observed) -> Result<Change> {
    let Some(want) = &resource.want else { return Ok(keep::delete(resource, observed, "database")) };
    if let Some(live) = observed.live() {
        let Some(drift) = live.drift.first() else { return Ok(Change::keep(resource, live)) };
        let wanted = Database::read(want)?;
        let effects = Effects::one(Action::Update, format!("role {}", wanted.user));
        return Ok(promise(
            Change::from_live(Action::Update, resource, live, effects).why(drift),
            Some(&wanted),
        ));
    }
    if !want.is_bound() {
        let effects = Effects::one(Action::Create, "a role and its database");
        return Ok(promise(Change::create(resource, effects), None));
    }
    let wanted = Database::read(want)?;
    let effects = [format!("role {}", wanted.user), format!("database {}", wanted.name)];
    let effects: BTreeSet<Effect> = effects.map(|name| Effect::new(Action::Create, name)).into();
    Ok(promise(Change::create(resource, Effects::Exact(effects)), Some(&wanted)))
}

/// The change with what it will give, and with its way back: taking it back keeps the data, and the password
/// that is current.
fn promise(change: Change, wanted: Option<&Database>) -> Change {
    let change = keep::kept(change).output("oid", Promise::Later);
    match wanted {
        Some(wanted) => {
            outputs(wanted).into_iter().fold(change, |c, (name, value)| c.output(name, Promise::Stays(value)))
        }
        None => ["url", "host", "port", "name", "user"]
            .iter()
            .fold(change, |c, name| c.output(name, Promise::Later)),
    }
}

pub(super) async fn make(ctx: &Ctx, resource: &Resource) -> Result<Live> {
    let want = resource.wanted();
    let wanted = Database::read(&want)?;
    let superuser = ctx.secret(&wanted.superuser_password).await?;
    let client = wait_for_server(ctx, &wanted, &superuser).await?;
    let password = ctx.secret_or_make(&wanted.password, crate::password::make).await?;
    connect::check_password(&wanted.password, &password)?;
    let (role, database) = existing(&client, &wanted).await?;
    if !role || !lets_in(ctx, &wanted).await? {
        ctx.say(format!("setting up the role {}", wanted.user));
        // The server is given what it would store: the password itself is in no statement and in no log.
        let verifier = postgres_protocol::password::scram_sha_256(password.expose().as_bytes());
        run(&client, &render::role(&wanted.user, &verifier, role), "set up a role").await?;
    }
    if database.is_none() {
        ctx.say(format!("making the database {}", wanted.name));
        kill::point("postgres.database.before");
        run(&client, &render::create_database(&wanted.name, &wanted.user), "make a database").await?;
        kill::point("postgres.database.after");
    }
    match existing(&client, &wanted).await? {
        (true, Some(oid)) => Ok(live(&want, &wanted, oid, Vec::new())),
        _ => Err(error::no_answer(&wanted.host, wanted.port, "what was just made is not there")),
    }
}

/// Logs in as the superuser. A server that says itself that it starts is waited for: it will answer, and only
/// then can be told what is there.
async fn enter(ctx: &Ctx, wanted: &Database, superuser: &Secret) -> Result<Login> {
    log_in_while(ctx, wanted, superuser, |answer| matches!(answer, Login::Starting(_))).await
}

async fn wait_for_server(ctx: &Ctx, wanted: &Database, superuser: &Secret) -> Result<Client> {
    let not_yet = |answer: &Login| matches!(answer, Login::Starting(_) | Login::Nobody(_));
    match log_in_while(ctx, wanted, superuser, not_yet).await? {
        Login::In(client) => Ok(client),
        Login::Refused => Err(error::stranger(&wanted.host, wanted.port)),
        Login::Nobody(why) | Login::Starting(why) => Err(error::no_answer(&wanted.host, wanted.port, &why)),
    }
}

/// Logs in as the superuser, again and again as long as the answer is one to wait on and there is time.
async fn log_in_while(
    ctx: &Ctx,
    wanted: &Database,
    superuser: &Secret,
    not_yet: impl Fn(&Login) -> bool,
) -> Result<Login> {
    // By no clock that somebody may set meanwhile.
    let until = ctx.host().uptime() + ctx.left().map_or(STARTING, |left| left.min(STARTING));
    loop {
        let answer = log_in(wanted, SUPERUSER, SUPERUSER, superuser).await?;
        if !not_yet(&answer) || ctx.host().uptime() >= until {
            return Ok(answer);
        }
        if let Login::Nobody(why) | Login::Starting(why) = answer {
            ctx.say(format!("waiting for the server: {why}"));
        }
        tokio::select! {
            () = ctx.host().sleep(PAUSE) => {}
            () = ctx.cancel().cancelled() => return Err(error::cancelled()),
        }
    }
}

/// Runs a statement; that something exists already is as good as having made it. A server goes on with a statement
/// whose client was killed: then the same one that comes meanwhile finds its name taken in the end.
async fn run(client: &Client, statement: &str, what: &str) -> Result<()> {
    let exists = [SqlState::DUPLICATE_OBJECT, SqlState::DUPLICATE_DATABASE, SqlState::UNIQUE_VIOLATION];
    match client.batch_execute(statement).await {
        Err(cause) if cause.code().is_some_and(|code| exists.contains(code)) => Ok(()),
        done => done.map_err(|cause| error::sql(what, cause)),
    }
}

pub(super) async fn delete(ctx: &Ctx, prior: &Live) -> Result<()> {
    let wanted = Database::read(&prior.was)?;
    let superuser = ctx.secret(&wanted.superuser_password).await;
    let login = match &superuser {
        Ok(password) => enter(ctx, &wanted, password).await?,
        Err(unknown) => Login::Nobody(unknown.message().to_owned()),
    };
    let statements = render::drop_database(&wanted.name, &wanted.user);
    match (login, &wanted.dir) {
        (Login::In(client), _) => {
            for statement in &statements {
                run(&client, statement, "delete a database").await?;
            }
        }
        (Login::Nobody(_), Some(dir)) if !dir.exists() => {}
        (Login::Starting(why), _) => return Err(error::no_answer(&wanted.host, wanted.port, &why)),
        (Login::Nobody(_), Some(dir)) => without_a_server(ctx, &wanted, dir, &statements).await?,
        (Login::Nobody(why), None) => return Err(error::no_answer(&wanted.host, wanted.port, &why)),
        (Login::Refused, _) => return Err(error::stranger(&wanted.host, wanted.port)),
    }
    ctx.forget_secret(&wanted.password).await
}

/// Runs statements in single-user mode (PostgreSQL, "postgres", `--single`), while no server runs.
async fn without_a_server(ctx: &Ctx, wanted: &Database, dir: &Path, statements: &[String]) -> Result<()> {
    ctx.say("the server is stopped: deleting the database without it");
    let owner = owner::of_files(ctx.host(), dir)?;
    let command = Command::new(wanted.bin_dir.join("postgres"))
        .args(["--single", "-D"])
        .arg(dir)
        .arg(SUPERUSER)
        .cwd("/")
        .user(owner.ids)
        .stdin(format!("{}\n", statements.join("\n")));
    let output = ctx.host().run(ctx.cancel(), command, &|_| {}).await?;
    // It ends with 0 whatever its statements came to.
    let refused = String::from_utf8_lossy(&output.stderr)
        .lines()
        .any(|line| line.contains("ERROR:") || line.contains("FATAL:"));
    match output.success() && !refused {
        true => Ok(()),
        false => Err(error::tool("postgres --single", output.tail(5))),
    }
}
