//! The doctor: each thing is broken in turn, and exactly its check says so, with what mends it; which is then done.
//! Whatever is wrong, to ask changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use code_core::event::{Body, Event};
use code_core::local::{LocalHost, LocalStore};
use code_core::memory::MemorySecrets;
use code_core::store::{Seq, StateStore};
use code_core::{Ctx, Host, Layout};

use crate::basics::has_postgresql;
use crate::consent::{damaged, deployed};
use crate::terminal::Terminal;
use crate::world::{Ended, World, http, kill, path, until};

const SENTENCE: &str = "Deploy a web app with a SQLite database to staging";
/// A user of this machine who owns nothing.
const NOBODY: u32 = 65_534;

/// What is not as it should be: the name of a check, how it is, and what mends it.
type Found = Vec<(String, String, String)>;

/// Every file of the state directory but what deployed processes write while they run.
fn files(dir: &Path, all: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type().expect("a type") {
            kind if kind.is_dir() && entry.file_name() != "logs" => files(&path, all),
            kind if kind.is_file() => drop(all.insert(path.clone(), fs::read(path).unwrap_or_default())),
            _ => drop(all.insert(path, Vec::new())),
        }
    }
}

/// Asks twice, for programs and for people: both say the same, and neither changes anything.
fn examined(world: &World, with: impl Fn(&mut Command)) -> Found {
    let before = |world: &World| {
        let mut all = BTreeMap::new();
        files(&world.project(), &mut all);
        all
    };
    let ask = |args: &[&str]| {
        let mut command = world.command(args);
        with(&mut command);
        Ended::of(args, command.output().expect("the program runs"))
    };
    let was = before(world);
    let (json, page) = (ask(&["doctor", "--json"]), ask(&["doctor"]));
    assert_eq!(before(world), was, "{page}");
    let checks = json.lines().remove(0)["data"].as_array().expect("checks").clone();
    let text = |check: &serde_json::Value, name: &str| check[name].as_str().unwrap_or_default().to_owned();
    for check in &checks {
        let (name, word) = (text(check, "name"), text(check, "state").to_uppercase());
        assert!(
            page.out.lines().any(|line| line.starts_with(&word) && line.contains(&name)),
            "{name}: {page}"
        );
        assert!(page.out.contains(&text(check, "fix")), "{name}: {page}");
        assert_eq!(check["fix"].is_null(), word == "PASS", "{check}");
    }
    let failed = checks.iter().any(|check| check["state"] == "fail");
    assert_eq!((json.code, page.code), (i32::from(failed), i32::from(failed)), "{page}");
    assert_eq!(page.out.contains("no problems found"), !failed, "{page}");
    checks
        .iter()
        .filter(|check| check["state"] != "pass")
        .map(|check| (text(check, "name"), text(check, "state"), text(check, "fix")))
        .collect()
}

/// What this machine itself lacks, which no story changes.
fn usual() -> BTreeSet<String> {
    let world = World::new();
    world.write("code.toml", "");
    examined(&world, |_| {}).into_iter().map(|(name, ..)| name).collect()
}

/// A directory for `PATH` with those tools of this machine that a story does not take away.
fn others(world: &World) -> String {
    let dir = world.path("others");
    fs::create_dir_all(&dir).expect("a directory");
    for tool in ["tofu", "terraform"] {
        let path = path();
        let mut found = path.split(':').map(|dir| Path::new(dir).join(tool));
        if let Some(found) = found.find(|found| found.is_file()) {
            // A second call finds the link of the first.
            let _ = std::os::unix::fs::symlink(found, dir.join(tool));
        }
    }
    dir.display().to_string()
}

/// What is found but for what this machine lacks anyway.
fn found(world: &World, with: impl Fn(&mut Command)) -> Found {
    let usual = usual();
    let mut all = examined(world, with);
    all.retain(|(name, ..)| !usual.contains(name));
    all
}

/// Exactly this is found; what mends it.
fn only(world: &World, name: &str, state: &str) -> String {
    only_with(world, name, state, |_| {})
}

fn only_with(world: &World, name: &str, state: &str, with: impl Fn(&mut Command)) -> String {
    let mut all = found(world, with);
    let names: Vec<_> = all.iter().map(|(name, state, _)| (name.as_str(), state.as_str())).collect();
    assert_eq!(names, [(name, state)], "{all:?}");
    all.remove(0).2
}

fn well(world: &World) {
    assert_eq!(found(world, |_| {}), Found::new());
}

/// Does what mends it, as it stands there, in a shell.
fn mend(world: &World, fix: &str) -> Ended {
    let like = world.command(&[]);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(fix).current_dir(world.project()).env_clear().stdin(Stdio::null());
    shell.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ended = Ended::of(&[fix], shell.output().expect("a shell"));
    assert_eq!(ended.code, 0, "{ended}");
    ended
}

/// A database that is deployed, and no ports that some other story may take meanwhile.
fn database() -> World {
    let world = deployed();
    world.write("code.toml", "");
    world
}

#[test]
fn where_all_is_well_it_says_so_and_makes_nothing() {
    let world = World::new();
    world.write("code.toml", "");
    well(&world);
    assert!(!world.state().exists());
    well(&database());
}

#[test]
fn what_the_project_says_wrong_is_one_line_of_many() {
    let world = database();
    for (name, text) in [
        ("settings", "[componets.web]\n"),
        ("settings", "application = \n"),
        ("policies", "policies = [\"nowhere\"]\n"),
        ("git place", "git = \"ftp://example.org/x\"\n"),
        ("git place", "git = \"nowhere\"\n"),
    ] {
        world.write("code.toml", text);
        let fix = only(&world, name, "fail");
        assert!(!fix.is_empty(), "{text}");
        world.write("code.toml", "");
        well(&world);
    }
}

#[test]
fn where_state_cannot_be_written_its_owner_can_mend_it() {
    let world = World::new();
    let root = rustix::process::geteuid().is_root();
    let binary = world.path("deploy");
    fs::copy(crate::world::binary(), &binary).unwrap();
    let mine = world.path("mine");
    fs::create_dir(&mine).unwrap();
    if root {
        std::os::unix::fs::chown(&mine, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    fs::set_permissions(&mine, PermissionsExt::from_mode(0o555)).unwrap();
    let run = |program: &Path, args: &[&str]| {
        let mut command = world.command_of(program, args);
        if root {
            command.uid(NOBODY).gid(NOBODY);
        }
        Ended::of(args, command.output().unwrap())
    };
    let state = mine.join("state");
    let doctor = ["doctor", "--json", "--state", state.to_str().unwrap()];
    let check = |ended: &Ended| {
        let all = ended.lines().remove(0)["data"].as_array().unwrap().clone();
        all.into_iter().find(|check| check["name"] == "state").expect("a check")
    };
    let broken = run(&binary, &doctor);
    assert_eq!((broken.code, &check(&broken)["state"]), (1, &"fail".into()), "{broken}");
    let fix = check(&broken)["fix"].as_str().unwrap().to_owned();
    assert!(fix.starts_with("chmod u+rwx "), "{fix}");
    assert_eq!(run(Path::new("/bin/sh"), &["-c", &fix]).code, 0, "{fix}");
    let mended = run(&binary, &doctor);
    assert_eq!((mended.code, &check(&mended)["state"]), (0, &"pass".into()), "{mended}");
    assert_eq!(fs::read_dir(&mine).unwrap().count(), 0);

    // What belongs to somebody else is not theirs to mend.
    let ended = run(&binary, &["doctor", "--json", "--state", "/state-of-a-story"]);
    assert_eq!(ended.code, 1, "{ended}");
    assert!(check(&ended)["fix"].as_str().unwrap().contains("--state DIR"), "{ended}");
}

#[test]
fn a_missing_git_matters_where_revisions_go_to_a_repository_of_ones_own() {
    let world = database();
    let without = |command: &mut Command| {
        command.env("PATH", others(&world));
    };
    assert!(only_with(&world, "git", "warn", without).contains("install"));
    world.write("code.toml", "git = \"https://git.example.org/shop.git\"\n");
    assert!(only_with(&world, "git", "fail", without).contains("install"));
    well(&world);

    // What could not be exported then is exported by what mends it.
    world.write("code.toml", "");
    let mut change = world.command(&["stop", "--yes", "-q"]);
    assert!(change.env("PATH", "/nonexistent").output().unwrap().status.success());
    mend(&world, &only(&world, "exports", "warn"));
    well(&world);
}

#[test]
fn a_clock_that_went_back_is_told() {
    let world = database();
    let layout = Layout::new(world.state());
    let store = LocalStore::new(&layout);
    let host = LocalHost::new();
    let at = host.now() + jiff::SignedDuration::from_hours(2);
    let ctx = Ctx::new(Arc::new(host), Arc::new(MemorySecrets::new()), layout.root());
    let events = world.json(&["verify"])["data"][0]["records"].as_u64().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let hour = std::time::Duration::from_secs(3600);
        let lease = store.lease(&ctx, "shop/staging", "a story", hour).await.unwrap();
        let request = code_core::request::Request::new("what is running?", "somebody", at).unwrap();
        let event = Event { at, body: Body::Requested { request } };
        store.append(&ctx, &lease, Seq(events), &[event]).await.unwrap();
        store.release(&ctx, lease).await.unwrap();
    });
    assert!(only(&world, "clock", "warn").contains("ntp"));
}

#[test]
fn a_port_that_somebody_took_is_named_with_who_did() {
    let world = database();
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = stranger.local_addr().unwrap().port();
    world.write("code.toml", &format!("[components.web]\nport = {port}\n"));
    assert!(only(&world, "ports", "fail").contains(&port.to_string()));
    let told = world.run(&["doctor"]);
    assert!(told.out.contains(&format!("({})", std::process::id())), "{told}");
    drop(stranger);
    until("the port is free again", || found(&world, |_| {}).is_empty());
}

#[test]
fn a_damaged_journal_is_repaired_by_the_line_that_is_printed() {
    let world = database();
    damaged(&world);
    let fix = only(&world, "journal", "fail");
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(&fix).current_dir(world.project());
    let mut terminal = Terminal::of(shell, 40);
    terminal.wait_for("` to go on: ");
    terminal.types("shop/staging\n");
    assert_eq!(terminal.ends().code(), Some(0), "{}", terminal.shown());
    let left = found(&world, |_| {});
    assert!(left.iter().all(|(name, ..)| name != "journal"), "{left:?}");
}

#[test]
fn a_key_that_others_may_read_is_closed() {
    let world = database();
    let key = world.write(".code/secrets/key", "not looked at\n");
    fs::set_permissions(key, PermissionsExt::from_mode(0o644)).unwrap();
    mend(&world, &only(&world, "secrets", "fail"));
    well(&world);
}

#[test]
fn a_run_that_waits_is_gone_on_with() {
    let (world, url) = crate::pause::second_version_fails("");
    world.fails(&[crate::pause::UPDATE, "--yes", "--on-failure", "pause"], 13, "waits for a decision");
    let fix = only(&world, "runs", "warn");
    crate::pause::open(&world);
    mend(&world, &fix);
    assert_eq!(http(&url, "GET", "/", "").1, "two");
    well(&world);
}

/// Stands in for the keeper, as one of this version; its number is somebody else's.
fn impostor(world: &World, protocol: u32, version: &str, pid: u32) -> UnixListener {
    let path = world.state().join("keeper/socket");
    let _ = fs::remove_file(&path);
    let listener = UnixListener::bind(&path).expect("a socket");
    let answer =
        format!("{}\n", serde_json::json!({"hello": {"protocol": protocol, "version": version, "pid": pid}}));
    let greets = listener.try_clone().unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = greets.accept() {
            let mut line = String::new();
            let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
            if reader.read_line(&mut line).is_ok_and(|read| read > 0) {
                let _ = stream.write_all(answer.as_bytes());
            }
        }
    });
    listener
}

#[test]
fn a_keeper_that_is_gone_or_of_another_version_is_told() {
    let world = World::new();
    world.ok(&[SENTENCE, "--yes", "-q"]);
    let url = world.url();
    well(&world);

    // Killed: its socket is there, and nobody behind it.
    world.keepers().into_iter().for_each(kill);
    until("it has ended", || world.keepers().is_empty());
    assert!(world.state().join("keeper/socket").exists());
    let start = only(&world, "keeper", "fail");
    mend(&world, &format!("{start} --yes"));
    assert_eq!(http(&url, "GET", "/health", "").0, 200);
    well(&world);

    // Of a later version, and of an earlier one, which goes when it is told to.
    world.keepers().into_iter().for_each(kill);
    until("it has ended", || world.keepers().is_empty());
    let newer = impostor(&world, 9, "9.0.0", 1);
    assert!(only(&world, "keeper", "fail").contains("newer version"));
    drop(newer);
    let mut stands_in = crate::world::Running(Command::new("sleep").arg("600").spawn().expect("a process"));
    let older = impostor(&world, 1, "0.0.1", stands_in.0.id());
    let fix = only(&world, "keeper", "warn");
    fs::remove_file(world.state().join("keeper/socket")).unwrap();
    drop(older);
    mend(&world, &format!("{fix} --yes"));
    assert!(!stands_in.0.wait().expect("a child").success(), "it was ended");
    well(&world);

    // What it wrote down is no table any more: it says where, and a backup mends it.
    let table = world.state().join("keeper/table.json");
    let text = fs::read(&table).unwrap();
    fs::write(&table, "{").unwrap();
    assert!(only(&world, "keeper", "fail").contains("backup"));
    fs::write(&table, text).unwrap();

    let (releases, aside) = (world.state().join("releases"), world.path("aside"));
    fs::rename(&releases, &aside).unwrap();
    assert!(only(&world, "releases", "warn").contains(releases.to_str().unwrap()));
    fs::rename(aside, releases).unwrap();
    well(&world);
}

/// What gives a process a view of the file system of its own: root needs no new user for that, and may not have
/// one everywhere.
fn own_view() -> Command {
    let mut unshare = Command::new("unshare");
    unshare.arg(if rustix::process::geteuid().is_root() { "-m" } else { "-rm" });
    unshare
}

/// Whether a story may have such a view: not every machine allows it.
fn has_own_view() -> bool {
    let may = own_view().arg("true").stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !may {
        println!(
            "skipped: what needs a view of the file system of its own: `unshare -m` is not allowed here"
        );
    }
    may
}

/// Runs the same with another file system in this place.
fn mounted(command: &mut Command, options: &str, at: &Path) {
    let program = command.get_program().to_owned();
    let args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let script = format!("mount -t tmpfs -o {options} none '{}' && exec \"$@\"", at.display());
    let mut inside = own_view();
    inside.args(["sh", "-c", &script, "sh"]).arg(program).args(args);
    let dir = command.get_current_dir().expect("a directory").to_owned();
    inside.current_dir(dir).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    inside.envs(command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))));
    *command = inside;
}

#[test]
fn a_disk_that_is_nearly_full_is_told() {
    if !has_own_view() {
        return;
    }
    let world = World::new();
    world.write("code.toml", "");
    fs::create_dir(world.state()).unwrap();
    let on = |options: &'static str| {
        let state = world.state();
        move |command: &mut Command| mounted(command, options, &state)
    };
    assert!(only_with(&world, "disk", "fail", on("size=4m")).contains("deploy prune"));
    assert!(only_with(&world, "disk", "warn", on("size=64m")).contains("deploy prune"));
    assert!(only_with(&world, "disk", "fail", on("size=64m,nr_inodes=1")).contains("deploy prune"));
}

#[test]
fn postgresql_that_is_gone_matters_where_a_database_needs_it() {
    if !has_own_view() || !has_postgresql() {
        return;
    }
    let world = World::new();
    let hidden = |command: &mut Command| {
        command.env("PATH", format!("/usr/bin:/bin:{}", others(&world)));
        mounted(command, "size=1m", Path::new("/usr/lib/postgresql"));
    };
    assert!(only_with(&database(), "postgres", "warn", hidden).contains("install"));
    world.write("code.toml", "");
    world.ok(&["Deploy a PostgreSQL database to staging", "--yes", "-q"]);
    well(&world);
    assert!(only_with(&world, "postgres", "fail", hidden).contains("install"));
}
