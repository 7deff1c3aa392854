//! The journal from outside: its chain is checked, and what is wrong with it is said and mended, with nothing
//! lost that can be kept.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::world::{World, http, until};

const SENTENCE: &str = "Deploy a web app with a SQLite database to staging";

fn log(world: &World) -> PathBuf {
    world.state().join("journal/shop@staging.log")
}

/// Two runs, and the number of events.
fn deployed() -> (World, u64) {
    let world = World::new();
    world.ok(&[SENTENCE, "--yes", "-q"]);
    http(&world.url(), "POST", "/notes", "text=remember");
    world.ok(&["scale the web app to 2 in staging", "--yes", "-q"]);
    let records = world.json(&["verify"])["data"][0]["records"].as_u64().expect("a number");
    (world, records)
}

/// Changes one byte of a file.
fn flip(path: &Path, at: u64) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).expect("a file");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}

#[test]
fn the_chain_from_a_sentence_to_its_effects_is_verified() {
    let world = World::new();
    world.fails(&["verify"], 2, "front::nothing-deployed");
    world.ok(&[SENTENCE, "--yes", "-q"]);
    world.ok(&["scale the web app to 2 in staging", "--yes", "-q"]);
    let shown = world.ok(&["verify"]);
    assert!(shown.out.contains("Chain HOLDS of shop/staging"), "{shown}");
    let links = world.json(&["verify"])["data"][0]["links"].clone();
    let links = links.as_array().unwrap();
    assert_eq!(links.len(), 10);
    for link in links {
        assert!(link["times"].as_u64() > Some(0) && link["broken"] == false, "{link} in {shown}");
    }
    assert!(world.ok(&["journal", "repair"]).out.contains("nothing to repair"));
    // A release that somebody took away: nobody can go back to the revisions that name it.
    let releases = world.state().join("releases");
    fs::rename(&releases, world.path("elsewhere")).unwrap();
    let broken = world.fails(&["verify"], 12, "Chain BROKEN");
    assert!(broken.out.contains("a release that a revision names is not there"), "{broken}");
    fs::rename(world.path("elsewhere"), &releases).unwrap();
    world.ok(&["verify"]);
}

#[test]
fn a_damaged_journal_is_told_repaired_and_gone_on_with() {
    let (world, records) = deployed();
    let (url, running) = (world.url(), world.processes());
    // In what the gate said of the second change, before its plan.
    let text = fs::read(log(&world)).unwrap();
    let judged = text.windows(8).rposition(|word| word == b"\"judged\"").expect("a record");
    flip(&log(&world), judged as u64 + 2);
    let damaged = fs::read(log(&world)).unwrap();

    // What can be read is shown, and nothing is written.
    let broken = world.fails(&["verify"], 12, "Chain BROKEN");
    assert!(broken.out.contains("first break: record") && broken.out.contains("journal repair"), "{broken}");
    assert!(world.fails(&["status"], 12, "journal::damaged").out.contains("web"));
    assert!(world.fails(&["history"], 12, "journal::damaged").out.contains("asked: Deploy a web app"));
    for line in [&["scale the web app to 3 in staging", "--yes"][..], &["resume"], &["destroy", "--yes"]] {
        let refused = world.fails(line, 12, "journal::damaged");
        assert!(refused.err.contains("offset") && refused.err.contains("shop/staging"), "{refused}");
    }
    assert_eq!(fs::read(log(&world)).unwrap(), damaged);

    // A repair says what it loses, and asks for the name.
    let dry = world.ok(&["journal", "repair", "--dry-run"]);
    assert!(dry.out.contains("kept") && dry.out.contains("lost"), "{dry}");
    world.fails(&["journal", "repair", "--yes"], 4, "front::confirm-repair");
    world.fails(&["journal", "repair", "--confirm", "shop/test"], 4, "front::confirm-repair");
    assert_eq!(fs::read(log(&world)).unwrap(), damaged);
    let repaired = world.ok(&["journal", "repair", "--confirm", "shop/staging"]);
    let aside = repaired.out.lines().find_map(|line| line.trim().strip_prefix("aside")).expect("a path");
    assert_eq!(fs::read(aside.trim()).unwrap(), damaged, "nothing is deleted: {repaired}");
    assert!(world.ok(&["journal", "repair"]).out.contains("nothing to repair"));
    let kept = world.json(&["verify"])["data"][0]["records"].as_u64().unwrap();
    assert!(0 < kept && kept < records, "{kept} of {records}");

    // What was started and has no end any more is looked at, and everything is as it was wished.
    let resumed = world.run(&["resume"]);
    assert!([0, 5].contains(&resumed.code), "{resumed}");
    world.ok(&["scale the web app to 2 in staging", "--yes"]);
    assert_eq!(world.processes(), running, "what is there is taken over, not doubled");
    assert_eq!(world.url(), url);
    assert!(http(&url, "GET", "/notes", "").1.contains("remember"));
    world.ok(&["verify"]);
    assert!(world.ok(&["history"]).out.contains("repaired the journal"));
    world.ok(&["destroy", "--yes"]);
    let alive = |pid: &String| Path::new("/proc").join(pid.trim_matches('"')).exists();
    assert!(!running.iter().any(alive), "nothing is left behind");
}

#[test]
fn a_journal_that_was_cut_off_in_a_write_goes_on_and_says_so() {
    let (world, _) = deployed();
    // What a crash leaves: half of a batch behind the last, and no word beside it of where the end was.
    let bytes = fs::read(log(&world)).unwrap();
    fs::remove_file(world.state().join("journal/shop@staging.head")).unwrap();
    fs::write(log(&world), &bytes[..bytes.len() - 40]).unwrap();
    world.fails(&["verify"], 0, "Chain HOLDS");
    // What was cut off is where the last revision was committed: it is owed again, and found there.
    let told = world.ok(&["push"]);
    assert!(told.err.contains("ended in the middle of a write") && told.err.contains(".torn"), "{told}");
    world.ok(&["verify"]);
    world.ok(&["status"]);
}

#[test]
fn a_journal_of_a_newer_build_is_left_alone() {
    let (world, _) = deployed();
    let mut bytes = fs::read(log(&world)).unwrap();
    // A newer build writes another version, and seals the header.
    let end = 16 + "shop/staging".len();
    bytes[8] = 2;
    let seal = code_core::Digest::of(&bytes[..end]);
    bytes[end..end + 32].copy_from_slice(seal.as_bytes());
    fs::write(log(&world), &bytes).unwrap();
    let before = world.snapshot();
    for line in
        [&["verify"][..], &["status"], &["journal", "repair", "--confirm", "shop/staging"], &["resume"]]
    {
        let refused = world.fails(line, 12, "journal::version");
        assert!(refused.err.contains("at least as new"), "{refused}");
    }
    world.fails(&["destroy", "--yes"], 12, "journal::version");
    assert_eq!(world.snapshot(), before, "nothing is written");
}

#[test]
fn a_journal_that_was_deleted_is_missed() {
    let (world, _) = deployed();
    let url = world.url();
    fs::remove_file(log(&world)).unwrap();
    world.fails(&["status"], 12, "the whole of it is gone");
    world.fails(&["scale the web app to 3 in staging", "--yes"], 12, "journal::damaged");
    assert!(http(&url, "GET", "/notes", "").1.contains("remember"), "what runs is left alone");
    world.ok(&["journal", "repair", "--confirm", "shop/staging"]);
    // Begun anew: what still runs there is found and not doubled, and no data is lost.
    world.ok(&[SENTENCE, "--yes"]);
    assert!(http(&world.url(), "GET", "/notes", "").1.contains("remember"));
}

#[test]
fn a_full_disk_in_the_middle_of_a_run_loses_nothing() {
    let world = World::new();
    world.ok(&["Deploy a web app to staging", "--yes", "-q"]);
    // A limit on the size of files fails a write as a full disk does, and needs no right to mount one: the
    // journal has room for the beginning of the run, and not for its end.
    let blocks = fs::metadata(log(&world)).unwrap().len() / 512;
    let mut stopped = false;
    for more in 1..200 {
        let mut command = std::process::Command::new("/bin/sh");
        let limit = format!(r#"trap "" XFSZ; ulimit -f {}; exec "$0" "$@""#, blocks + more);
        command.args(["-c", &limit]).arg(crate::world::binary());
        command.args(["scale the web app to 2 in staging", "--yes"]).current_dir(world.project());
        command.env_clear().env("HOME", world.path("home")).env("PATH", "/usr/local/bin:/usr/bin:/bin");
        let output = command.stdin(std::process::Stdio::null()).output().expect("it runs");
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            break;
        }
        assert!(err.contains("journal::full") || err.contains("run::unfinished"), "{err}");
        if err.contains("journal::full") {
            assert!(err.contains("free some space"), "{err}");
            // The run has begun, and has no end.
            stopped = world.json(&["status"])["data"][0]["run"]["ended"].is_null();
            if stopped {
                break;
            }
        }
    }
    assert!(stopped, "the disk was never full in the middle of a run");
    world.ok(&["verify"]);
    // There is room again, and the same command goes on.
    let done = world.ok(&["scale the web app to 2 in staging", "--yes"]);
    assert!(done.out.contains("going on with run 2"), "{done}");
    assert_eq!(world.processes().len(), 2);
    world.ok(&["verify"]);
    world.ok(&["status"]);
}

#[test]
fn a_deleted_state_directory_is_said_and_nothing_that_runs_is_ended() {
    let (world, _) = deployed();
    let running = world.processes();
    let alive = || running.iter().all(|pid| Path::new("/proc").join(pid.trim_matches('"')).exists());
    fs::rename(world.state(), world.path("gone")).unwrap();
    let empty = world.ok(&["status"]);
    assert!(empty.out.contains("nothing is deployed"), "{empty}");
    world.fails(&["destroy", "--yes"], 2, "front::nothing-deployed");
    world.fails(&["verify"], 2, "front::nothing-deployed");
    world.ok(&["resume"]);
    assert!(running.len() == 2 && alive(), "what runs is left alone");
    // It is back: nothing was lost.
    fs::remove_dir_all(world.state()).ok();
    fs::rename(world.path("gone"), world.state()).unwrap();
    world.ok(&["verify"]);
    assert_eq!(world.processes(), running);
}

#[test]
fn a_state_directory_that_cannot_be_written_is_told() {
    let world = World::new();
    // Root may write anywhere but here.
    let line = ["Deploy a web app to staging", "--yes", "--state", "/sys/code-story"];
    let refused = world.fails(&line, 1, "journal::denied");
    assert!(refused.err.contains("--state DIR"), "{refused}");
    assert!(world.ok(&["status", "--state", "/sys/code-story"]).out.contains("nothing is deployed"));
    world.ok(&["Deploy a web app to staging", "--yes", "-q"]);
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: a state directory of somebody else: only root can become somebody else");
        return;
    }
    // As another user, who may read the journal and write nothing.
    let as_nobody = |line: &[&str]| {
        use std::os::unix::process::CommandExt;
        let binary = world.path("deploy");
        if !binary.exists() {
            fs::copy(crate::world::binary(), &binary).unwrap();
            fs::set_permissions(&binary, PermissionsExt::from_mode(0o755)).unwrap();
        }
        let mut command = std::process::Command::new(&binary);
        command.args(line).current_dir(world.project()).env_clear().env("PATH", "/usr/bin:/bin");
        command.uid(65_534).gid(65_534).stdin(std::process::Stdio::null());
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, err) = as_nobody(&["verify"]);
    assert_eq!(code, Some(0), "whoever can read can verify: {err}");
    flip(&log(&world), fs::metadata(log(&world)).unwrap().len() / 2);
    let before = world.snapshot();
    let (code, err) = as_nobody(&["journal", "repair", "--confirm", "shop/staging"]);
    assert!(code == Some(1) && err.contains("journal::denied"), "{code:?} {err}");
    assert_eq!(world.snapshot(), before);
}

#[test]
fn a_repair_waits_for_nobody_who_still_holds_the_journal() {
    use code_core::StateStore;
    use code_core::local::LocalStore;
    let (world, _) = deployed();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let store = LocalStore::new(&code_core::Layout::new(world.state()));
    let ctx = code_core::memory::ctx(&std::sync::Arc::default());
    let lease = store.lease(&ctx, "shop/staging", "mallory", std::time::Duration::ZERO);
    let lease = runtime.block_on(lease).unwrap();
    flip(&log(&world), fs::metadata(log(&world)).unwrap().len() / 2);
    let refused = world.fails(&["journal", "repair", "--confirm", "shop/staging"], 7, "store::locked");
    assert!(refused.err.contains("mallory") && !refused.out.contains("repaired"), "{refused}");
    runtime.block_on(store.release(&ctx, lease)).unwrap();
    until("it can be repaired", || world.run(&["journal", "repair", "--confirm", "shop/staging"]).code == 0);
    world.ok(&["verify"]);
}

#[test]
fn an_event_that_no_run_can_have_written_breaks_the_chain() {
    use code_core::StateStore;
    use code_core::event::{Body, Event, Outcome};
    use code_core::local::LocalStore;
    use code_core::store::Seq;
    let (world, records) = deployed();
    let running = world.processes();
    // Written by the rules of the file, by a program that is not CODE.
    let body = Body::RunEnded { run: code_core::RunId(2), outcome: Outcome::Succeeded };
    let forged = Event { at: jiff::Timestamp::UNIX_EPOCH, body };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = LocalStore::new(&code_core::Layout::new(world.state()));
        let ctx = code_core::memory::ctx(&std::sync::Arc::default());
        let lease = store.lease(&ctx, "shop/staging", "mallory", std::time::Duration::ZERO).await.unwrap();
        store.append(&ctx, &lease, Seq(records), &[forged]).await.unwrap();
        store.release(&ctx, lease).await.unwrap();
    });
    let broken = world.json(&["verify"])["data"][0]["broken"].clone();
    assert_eq!((broken["record"].as_u64(), broken["link"].as_str()), (Some(records + 1), Some("run")));
    let refused = world.fails(&["scale the web app to 3 in staging", "--yes"], 12, "chain::broken");
    assert!(refused.err.contains("journal repair"), "{refused}");
    assert_eq!(world.processes(), running, "nothing was changed");
    world.ok(&["journal", "repair", "--confirm", "shop/staging"]);
    assert_eq!(world.json(&["verify"])["data"][0]["records"].as_u64(), Some(records + 1));
    world.ok(&["scale the web app to 3 in staging", "--yes"]);
    assert_eq!(world.processes().len(), 3);
    world.ok(&["verify"]);
}

/// What is wanted, is there, and is recorded nowhere since the journal was repaired is taken over: the plan says so,
/// and all of it goes when everything is taken down.
#[test]
fn what_a_repair_left_unrecorded_is_taken_over_and_not_orphaned() {
    let world = World::new();
    world.ok(&[SENTENCE, "--yes", "-q"]);
    let (url, running) = (world.url(), world.processes());
    // The plan: what is behind it is not to be trusted, and it does not say any more what there was to be.
    let text = fs::read(log(&world)).unwrap();
    let planned = text.windows(9).position(|word| word == b"\"planned\"").expect("a record");
    flip(&log(&world), planned as u64 + 2);
    world.ok(&["journal", "repair", "--confirm", "shop/staging"]);

    let plan = world.ok(&["plan", SENTENCE]);
    assert!(plan.out.contains("taken over as it is"), "{plan}");
    world.ok(&[SENTENCE, "--yes"]);
    assert_eq!((world.url(), world.processes()), (url, running));
    world.ok(&["verify"]);
    world.ok(&["destroy", "--yes"]);
    assert_eq!(world.table()["processes"].as_array().map(Vec::len), Some(0));
    until("nothing is left behind", || world.own_processes().is_empty());
}
