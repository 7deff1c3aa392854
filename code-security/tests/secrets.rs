//! Secrets at rest: what goes in comes out, damage is noticed, and nothing readable lies on the disk.

#![cfg(test)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use code_core::{Result, Secret, SecretRef, Secrets};
use code_security::{LocalSecrets, generate_password};
use proptest::prelude::*;

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

fn put(dir: &Path, name: &str, value: &str) -> Result<()> {
    wait(LocalSecrets::new(dir).put(&SecretRef(name.into()), Secret::new(value)))
}

fn get(dir: &Path, name: &str) -> Result<Option<String>> {
    let found = wait(LocalSecrets::new(dir).get(&SecretRef(name.into())))?;
    Ok(found.map(|secret| secret.expose().to_owned()))
}

fn delete(dir: &Path, name: &str) -> Result<()> {
    wait(LocalSecrets::new(dir).delete(&SecretRef(name.into())))
}

/// Every file of a directory with its bytes.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).map(|p| (p.clone(), fs::read(p).unwrap())).collect()
}

fn record(dir: &Path) -> PathBuf {
    let found = files(dir).into_keys().find(|path| path.extension().is_some_and(|e| e == "secret"));
    found.expect("a record")
}

#[test]
fn what_was_stored_last_is_found_and_what_was_deleted_is_not() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("state/secrets");
    assert_eq!(get(&dir, "db/password").unwrap(), None);
    delete(&dir, "db/password").unwrap();
    assert!(!dir.exists(), "looking makes nothing");
    put(&dir, "db/password", "one").unwrap();
    put(&dir, "db/password", "two").unwrap();
    put(&dir, "db/other", "").unwrap();
    assert_eq!(get(&dir, "db/password").unwrap().as_deref(), Some("two"));
    assert_eq!(get(&dir, "db/other").unwrap().as_deref(), Some(""));
    assert_eq!(get(&dir, "db/passwor").unwrap(), None);
    delete(&dir, "db/password").unwrap();
    delete(&dir, "db/password").unwrap();
    assert_eq!(get(&dir, "db/password").unwrap(), None);
    assert_eq!(get(&dir, "db/other").unwrap().as_deref(), Some(""));
}

#[test]
fn only_the_owner_may_read() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("secrets");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    put(&dir, "a", "value").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    for path in files(&dir).keys() {
        assert_eq!(mode(path), 0o600, "{}", path.display());
    }
    fs::set_permissions(dir.join("key"), fs::Permissions::from_mode(0o640)).unwrap();
    for error in [get(&dir, "a").unwrap_err(), put(&dir, "a", "b").unwrap_err()] {
        assert_eq!(error.code(), "secret::key");
        assert!(error.context().any(|(name, value)| name == "mode" && value == "640"), "{error:?}");
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    put(dir, "db/password", "hunter2").unwrap();
    for file in [record(dir), dir.join("key")] {
        let whole = fs::read(&file).unwrap();
        let mut broken: Vec<Vec<u8>> = (0..whole.len()).map(|length| whole[..length].to_vec()).collect();
        broken.push([whole.as_slice(), b"x"].concat());
        for byte in 0..whole.len() {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[byte] ^= 1 << bit;
                broken.push(flipped);
            }
        }
        for bytes in broken {
            fs::write(&file, &bytes).unwrap();
            let error = get(dir, "db/password").unwrap_err();
            assert!(["secret::corrupt", "secret::key"].contains(&error.code()), "{error:?}");
            assert!(error.help_text().is_some());
            assert!(!format!("{error:?}").contains("hunter2"));
            assert_eq!(fs::read(&file).unwrap(), bytes, "nothing is mended, nothing is lost");
        }
        fs::write(&file, &whole).unwrap();
        assert_eq!(get(dir, "db/password").unwrap().as_deref(), Some("hunter2"));
    }
}

#[test]
fn a_record_of_another_version_says_so() {
    let temp = tempfile::tempdir().unwrap();
    put(temp.path(), "a", "value").unwrap();
    let mut bytes = fs::read(record(temp.path())).unwrap();
    assert_eq!((&bytes[..8], bytes[8]), (b"CODE-SEC".as_slice(), 1));
    bytes[8] = 2;
    fs::write(record(temp.path()), bytes).unwrap();
    let error = get(temp.path(), "a").unwrap_err();
    assert_eq!(error.code(), "secret::corrupt");
    assert!(error.message().contains("version"), "{error:?}");
}

#[test]
fn a_damaged_key_is_never_replaced() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    put(dir, "a", "value").unwrap();
    let key = fs::read(dir.join("key")).unwrap();
    fs::write(dir.join("key"), b"code secrets key 1\n").unwrap();
    assert_eq!(put(dir, "b", "value").unwrap_err().code(), "secret::key");
    fs::remove_file(dir.join("key")).unwrap();
    assert_eq!(get(dir, "a").unwrap_err().code(), "secret::key");
    assert_eq!(put(dir, "b", "value").unwrap_err().code(), "secret::key");
    assert!(!dir.join("key").exists());
    fs::write(dir.join("key"), &key).unwrap();
    fs::set_permissions(dir.join("key"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(get(dir, "a").unwrap().as_deref(), Some("value"));
}

#[test]
fn another_key_and_another_name_open_nothing() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    put(one.path(), "a", "value").unwrap();
    put(two.path(), "a", "other").unwrap();
    fs::copy(record(one.path()), record(two.path())).unwrap();
    assert_eq!(get(two.path(), "a").unwrap_err().code(), "secret::key");
    // The same key, but a record that was put in the place of another.
    put(one.path(), "b", "value of b").unwrap();
    delete(two.path(), "a").unwrap();
    let of_a = {
        put(two.path(), "a", "other").unwrap();
        record(two.path())
    };
    let name_of_a = of_a.file_name().unwrap();
    let of_b = files(one.path())
        .into_keys()
        .find(|p| p.extension().is_some_and(|e| e == "secret") && p.file_name().unwrap() != name_of_a)
        .unwrap();
    fs::copy(of_b, one.path().join(name_of_a)).unwrap();
    let error = get(one.path(), "a").unwrap_err();
    assert_eq!(error.code(), "secret::corrupt");
    assert!(error.message().contains("another name"), "{error:?}");
}

#[test]
fn an_older_key_still_opens() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    put(one.path(), "a", "value").unwrap();
    put(two.path(), "x", "value").unwrap();
    let old = fs::read_to_string(one.path().join("key")).unwrap();
    let new = fs::read_to_string(two.path().join("key")).unwrap();
    fs::write(one.path().join("key"), format!("{new}{}\n", old.lines().nth(1).unwrap())).unwrap();
    assert_eq!(get(one.path(), "a").unwrap().as_deref(), Some("value"));
    put(one.path(), "b", "sealed with the new key").unwrap();
    fs::write(one.path().join("key"), new).unwrap();
    assert_eq!(get(one.path(), "b").unwrap().as_deref(), Some("sealed with the new key"));
    assert_eq!(get(one.path(), "a").unwrap_err().code(), "secret::key");
}

#[test]
fn no_form_of_a_value_is_on_the_disk() {
    let temp = tempfile::tempdir().unwrap();
    let canary = "c4n4ry-\"ä-0123456789";
    put(temp.path(), "a", canary).unwrap();
    put(temp.path(), "a", &format!("x{canary}")).unwrap();
    put(temp.path(), "a", &format!("xx{canary}")).unwrap();
    let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
    let engine = base64::engine::general_purpose::STANDARD_NO_PAD;
    let base64 = (0..3).map(|i| engine.encode(format!("{}{canary}", "x".repeat(i)))[4..20].to_owned());
    let mut forms: Vec<Vec<u8>> = base64.map(String::into_bytes).collect();
    forms.extend([
        canary.into(),
        hex.to_uppercase().into(),
        hex.into(),
        canary.chars().rev().collect::<String>().into(),
    ]);
    // Not even a part of it.
    forms.push(canary.as_bytes()[..6].to_vec());
    for (path, bytes) in files(temp.path()) {
        for form in &forms {
            assert!(!bytes.windows(form.len()).any(|part| part == form), "{}", path.display());
        }
        assert!(path.extension().is_none_or(|e| e != "tmp"), "nothing is left lying: {}", path.display());
    }
    // A nonce is never used twice: the same value rests as other bytes each time.
    let before = fs::read(record(temp.path())).unwrap();
    put(temp.path(), "a", &format!("xx{canary}")).unwrap();
    assert_ne!(before, fs::read(record(temp.path())).unwrap());
}

#[test]
fn what_a_crash_left_is_in_nobodys_way() {
    let temp = tempfile::tempdir().unwrap();
    put(temp.path(), "a", "one").unwrap();
    let half = record(temp.path()).with_extension("secret.tmp");
    fs::write(
        &half,
        "a longer rest of a write that never ended, longer than any record here would be".repeat(9),
    )
    .unwrap();
    fs::set_permissions(&half, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(temp.path().join("key.tmp"), "half a key").unwrap();
    assert_eq!(get(temp.path(), "a").unwrap().as_deref(), Some("one"));
    put(temp.path(), "a", "two").unwrap();
    assert_eq!(get(temp.path(), "a").unwrap().as_deref(), Some("two"));
    assert!(!half.exists());
    assert_eq!(fs::metadata(record(temp.path())).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_is_too_long_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let long = "x".repeat(code_security::secrets::LONGEST_VALUE);
    let name = "n".repeat(code_security::secrets::LONGEST_NAME);
    put(temp.path(), &name, &long).unwrap();
    assert_eq!(get(temp.path(), &name).unwrap().unwrap(), long);
    for error in [put(temp.path(), "a", &format!("{long}x")), put(temp.path(), &format!("{name}n"), "v")] {
        let error = error.unwrap_err();
        assert_eq!(error.code(), "secret::too-long");
        assert!(format!("{error:?}").len() < 1000);
    }
}

#[test]
fn a_directory_that_cannot_be_one_is_an_error_with_help() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("file");
    fs::write(&file, "").unwrap();
    let error = put(&file, "a", "value").unwrap_err();
    assert_eq!(error.code(), "secret::store");
    assert!(error.help_text().is_some());
    assert_eq!(put(&file.join("below"), "a", "value").unwrap_err().code(), "secret::store");
}

#[test]
fn threads_that_race_lose_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("secrets");
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let dir = &dir;
            scope.spawn(move || {
                for i in 0..10 {
                    put(dir, &format!("own/{thread}/{i}"), &format!("{thread}-{i}")).unwrap();
                    put(dir, "shared", &format!("shared-{thread}-{i}")).unwrap();
                    let shared = get(dir, "shared").unwrap().unwrap();
                    assert!(shared.starts_with("shared-"), "{shared}");
                }
            });
        }
    });
    for thread in 0..8 {
        for i in 0..10 {
            assert_eq!(get(&dir, &format!("own/{thread}/{i}")).unwrap(), Some(format!("{thread}-{i}")));
        }
    }
}

/// What a process of the next test is told by: where, and who it is.
const DIR: &str = "CODE_SECURITY_TEST_DIR";
const WHO: &str = "CODE_SECURITY_TEST_WHO";

/// A process of the next test; nothing when it is run by itself.
#[test]
#[expect(clippy::disallowed_methods, reason = "the other processes are told by their environment")]
fn one_of_several_processes() {
    let (Ok(dir), Ok(who)) = (std::env::var(DIR), std::env::var(WHO)) else { return };
    for i in 0..20 {
        put(Path::new(&dir), &format!("own/{who}/{i}"), &format!("{who}-{i}")).unwrap();
        put(Path::new(&dir), "shared", &format!("shared-{who}-{i}")).unwrap();
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a race needs real processes")]
fn processes_that_race_make_one_key_and_lose_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("secrets");
    let start = |who: usize| {
        std::process::Command::new(std::env::current_exe().unwrap())
            .args(["one_of_several_processes", "--exact"])
            .env(DIR, &dir)
            .env(WHO, who.to_string())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap()
    };
    let processes: Vec<_> = (0..4).map(start).collect();
    for mut process in processes {
        assert!(process.wait().unwrap().success());
    }
    for who in 0..4 {
        for i in 0..20 {
            assert_eq!(get(&dir, &format!("own/{who}/{i}")).unwrap(), Some(format!("{who}-{i}")));
        }
    }
    assert!(get(&dir, "shared").unwrap().unwrap().starts_with("shared-"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_name_and_any_value_come_back(
        secrets in proptest::collection::btree_map(
            prop_oneof![
                any::<String>(),
                Just("../../x".to_owned()),
                Just("/etc/passwd".to_owned()),
                Just("key".to_owned()),
                Just("a\0b".to_owned()),
                Just("\u{202e}".repeat(500)),
                "[A-Z]{300}",
            ],
            any::<String>(),
            1..5,
        )
    ) {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("secrets");
        for (name, value) in &secrets {
            put(&dir, name, value).unwrap();
        }
        for (name, value) in &secrets {
            prop_assert_eq!(get(&dir, name).unwrap(), Some(value.clone()));
        }
        prop_assert_eq!(files(temp.path().join("secrets").as_path()).len(), secrets.len() + 2);
        prop_assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1, "nothing is written elsewhere");
    }
}

#[test]
fn passwords_are_letters_and_digits_and_never_the_same() {
    let passwords: Vec<String> = (0..200).map(|_| generate_password().unwrap().expose().to_owned()).collect();
    let mut counts: BTreeMap<char, u32> = BTreeMap::new();
    for password in &passwords {
        assert_eq!(password.len(), 32);
        assert!(password.chars().all(|c| c.is_ascii_alphanumeric()), "{password}");
        for c in password.chars() {
            *counts.entry(c).or_default() += 1;
        }
    }
    let mut once = passwords.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), passwords.len());
    // 6400 characters of 62 kinds: 103 of each; the bounds are more than six standard deviations away.
    assert_eq!(counts.len(), 62);
    assert!(counts.values().all(|count| (40..170).contains(count)), "{counts:?}");
}
