//! Providers whose resources are files: releases and SQLite databases.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use code_core::Want;
use code_core::conformance::provider::{Sample, Scene};
use code_core::conformance::{self, Suite};
use code_core::provider::Resource;
use code_providers::sqlite::Sqlite;
use code_providers::{ReleaseProvider, source_digest};

pub(crate) fn release() -> Suite {
    let of = |scene: &Scene, name: &str| {
        let project = scene.dir().join(name);
        let file = project.join("app.sh");
        if !file.exists() {
            fs::create_dir_all(&project).unwrap();
            fs::write(&file, format!("echo {name} {}", scene.nth())).unwrap();
        }
        let digest = source_digest(&project, None, None).unwrap().to_string();
        let want = Want::new().with("source", project.to_str().unwrap()).with("digest", digest);
        Resource::new(scene.address(), "release", want)
    };
    let sample = Sample::new(move |scene| of(scene, "one")).changed(move |scene| of(scene, "two")).disturb(
        |_, _, live| {
            let dir: String = serde_json::from_value(live.outputs["dir"].known().unwrap()).unwrap();
            fs::remove_file(format!("{dir}.json")).unwrap();
        },
    );
    conformance::provider(|| Arc::new(ReleaseProvider::new()), &sample).named("release")
}

pub(crate) fn sqlite() -> Suite {
    let sample = Sample::new(|scene| {
        let want = Want::new().with("path", scene.path("db.sqlite3"));
        Resource::new(scene.address(), "sqlite.database", want).retained()
    })
    .mistakes(|scene| {
        let damaged = scene.path("damaged.sqlite3");
        fs::create_dir_all(Path::new(&damaged).parent().unwrap()).unwrap();
        fs::write(&damaged, "this was a database once".repeat(50)).unwrap();
        let of = |path: &str| {
            Resource::new(scene.address(), "sqlite.database", Want::new().with("path", path)).retained()
        };
        vec![of("relative.sqlite3"), of(&damaged), of("/proc/nowhere/db.sqlite3")]
    })
    .disturb(|_, scene, _| fs::remove_file(scene.path("db.sqlite3")).unwrap());
    conformance::provider(|| Arc::new(Sqlite::default()), &sample).named("sqlite")
}
