//! The file system of an image with this machine's PostgreSQL: its programs, the libraries that they load, and an entry
//! that does what that of the official image does.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Makes the cluster where there is none, as the user `postgres`, and becomes the server.
const ENTRY: &str = r#"#!/bin/sh
set -e
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA"
  chown -R postgres "$PGDATA"
  exec su -s /bin/sh postgres -c 'exec /entry'
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  BIN/initdb --no-sync --auth=scram-sha-256 --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" "$PGDATA"
  echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
  echo "CREATE DATABASE \"$POSTGRES_DB\"" | BIN/postgres --single -D "$PGDATA" postgres
fi
exec BIN/postgres -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/tmp -c fsync=off
"#;

/// Fills `root`, beginning with the files of busybox.
pub(crate) fn root(busybox: &Path, root: &Path) -> Result<(), String> {
    let version =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path()).max();
    let Some(place) = version else {
        return Err("PostgreSQL is not here; `apt-get install postgresql` brings it".to_owned());
    };
    // Made beside its place, so that what is there is whole.
    let new = root.with_extension("new");
    let _ = fs::remove_dir_all(&new);
    fill(busybox, &place, &new)
        .and_then(|()| fs::rename(&new, root))
        .map_err(|error| format!("PostgreSQL: {error}"))
}

fn fill(busybox: &Path, place: &Path, root: &Path) -> io::Result<()> {
    copy(busybox, root)?;
    let inside = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
    let share = Path::new("/usr/share/postgresql").join(place.file_name().unwrap_or_default());
    copy(&share, &inside(&share))?;
    let (bin, lib) = (place.join("bin"), place.join("lib"));
    let mut needed = BTreeSet::new();
    for program in ["initdb", "postgres", "pg_isready"] {
        needed.extend(libraries(&bin.join(program))?);
        needed.insert(bin.join(program));
    }
    for module in ["dict_snowball.so", "plpgsql.so"] {
        needed.insert(lib.join(module));
    }
    for file in needed {
        let to = inside(&file);
        fs::create_dir_all(to.parent().unwrap_or(root))?;
        fs::copy(&file, &to)?;
    }
    std::os::unix::fs::symlink(bin.join("pg_isready"), root.join("bin/pg_isready"))?;
    fs::create_dir_all(inside(Path::new("/usr/share/zoneinfo")))?;
    let mut users = fs::read_to_string(root.join("etc/passwd"))?;
    users += "postgres:x:999:999:postgres:/:/bin/sh\n";
    fs::write(root.join("etc/passwd"), users)?;
    fs::write(root.join("etc/group"), "root:x:0:\npostgres:x:999:\n")?;
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    fs::write(root.join("entry"), ENTRY.replace("BIN", &bin.display().to_string()))?;
    fs::set_permissions(root.join("entry"), fs::Permissions::from_mode(0o755))
}

/// What a program loads, its loader included.
fn libraries(program: &Path) -> io::Result<Vec<PathBuf>> {
    let said = Command::new("ldd").arg(program).output()?.stdout;
    let text = String::from_utf8_lossy(&said).into_owned();
    let words = text.split_whitespace().filter(|word| word.starts_with('/'));
    Ok(words.map(PathBuf::from).collect())
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, to)?;
        } else if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), &to)?;
        }
    }
    Ok(())
}
