//! A generated password is where it belongs, encrypted, and nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::world::{World, http};

const SENTENCE: &str = "Deploy a web app with a PostgreSQL database to staging";

/// The arguments of every process of this machine.
fn arguments() -> BTreeSet<String> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let line = |entry: std::fs::DirEntry| std::fs::read(entry.path().join("cmdline")).ok();
    all.filter_map(line).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
}

/// The permission bits of the files below a directory; bits that a file once had are kept.
fn modes(dir: &Path, seen: &mut BTreeMap<PathBuf, u32>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        // Files come and go while a run is on its way.
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() {
            modes(&entry.path(), seen);
        } else if metadata.is_file() {
            *seen.entry(entry.path()).or_default() |= metadata.permissions().mode() & 0o777;
        }
    }
}

/// The password of the web app's database, from the environment of the process that names it.
fn password(world: &World) -> String {
    let pid = world.processes().remove(0);
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
    let environment = String::from_utf8_lossy(&environment).into_owned();
    let url =
        environment.split('\0').find_map(|line| line.strip_prefix("DATABASE_URL=")).expect("a database");
    let after_user = url.split_once("://").unwrap().1.split_once(':').unwrap().1;
    after_user.split_once('@').unwrap().0.to_owned()
}

#[test]
fn a_generated_password_is_in_no_file_no_output_and_no_argument() {
    if !Path::new("/usr/lib/postgresql").exists() && std::env::var_os("CI").is_none() {
        eprintln!("skipped: passwords: there is no PostgreSQL here");
        return;
    }
    let world = World::new();
    // Looked at all the time, because a tool may run for a moment only.
    let over = AtomicBool::new(false);
    let plan = world.path("plan.json");
    let (deployed, (seen, files)) = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let (mut seen, mut files) = (BTreeSet::new(), BTreeMap::new());
            while !over.load(Ordering::SeqCst) {
                seen.extend(arguments());
                modes(&world.state(), &mut files);
                std::thread::yield_now();
            }
            (seen, files)
        });
        let saved = world.run(&["plan", SENTENCE, "--out", plan.to_str().unwrap()]);
        let deployed = world.run(&[SENTENCE, "--yes", "--json"]);
        over.store(true, Ordering::SeqCst);
        assert_eq!(saved.code, 0, "{saved}");
        (deployed, watch.join().unwrap())
    });
    assert_eq!(deployed.code, 0, "{deployed}");
    assert_eq!(http(&world.url(), "GET", "/", "").0, 200);
    let secret = password(&world);
    assert!(secret.len() >= 20, "a password of {} characters", secret.len());

    // Files that hold a secret, also for a moment and also encrypted, were never open to others.
    let secret_file = |path: &Path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.ends_with(".password") || path.parent().is_some_and(|dir| dir.ends_with("secrets"))
    };
    let private: Vec<_> = files.iter().filter(|(path, _)| secret_file(path)).collect();
    assert!(private.iter().any(|(path, _)| path.to_string_lossy().ends_with(".password")), "{private:?}");
    for (path, mode) in &private {
        assert_eq!(**mode & 0o077, 0, "{} was open to others: {mode:o}", path.display());
    }
    println!("figure: files of secrets: {} seen, 0 open to others at any time", private.len());

    let report = world.path("report.html");
    world.ok(&["report", "--out", report.to_str().unwrap()]);
    let mut sinks = vec![
        ("the plan file".to_owned(), std::fs::read(&plan).unwrap()),
        ("the report".to_owned(), std::fs::read(&report).unwrap()),
        ("the events".to_owned(), (deployed.out + &deployed.err).into_bytes()),
        ("arguments".to_owned(), seen.into_iter().collect::<String>().into_bytes()),
    ];
    for command in
        [&["status", "--json"][..], &["history", "--json"], &["logs", "db"], &["doctor"], &["verify"]]
    {
        let ended = world.run(command);
        sinks.push((command.join(" "), (ended.out + &ended.err).into_bytes()));
    }
    // Everything that lies in the state directory: journal, logs, the keeper's table, the cluster itself.
    let mut files = 0;
    let mut read = vec![world.state()];
    while let Some(path) = read.pop() {
        if path.is_dir() {
            read.extend(std::fs::read_dir(&path).unwrap().flatten().map(|entry| entry.path()));
        } else if let Ok(bytes) = std::fs::read(&path) {
            files += 1;
            sinks.push((path.display().to_string(), bytes));
        }
    }
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    for (name, bytes) in &sinks {
        for form in [&secret, &hex] {
            let found = bytes.windows(form.len()).any(|part| part == form.as_bytes());
            assert!(!found, "the password is in {name}");
        }
    }
    println!("figure: a generated password: {} sinks, {files} of them files, 0 found", sinks.len());
}
