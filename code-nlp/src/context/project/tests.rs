//! Directories, and what is read from them.

use std::path::Path;

use super::Project;

fn project(files: &[(&str, &str)]) -> (tempfile::TempDir, code_core::Result<Option<Project>>) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("My Café shop");
    std::fs::create_dir(&root).unwrap();
    for (name, text) in files {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let project = Project::read(&root);
    (dir, project)
}

/// The name, the build and the start command, each with the place that says so, on a line each.
fn check(files: &[(&str, &str)], component: (&str, &str), expect: &str) {
    let (_dir, project) = project(files);
    let shown = match project {
        Err(error) => error.code().to_owned(),
        Ok(None) => "none".to_owned(),
        Ok(Some(project)) => {
            let place = |origin: &code_core::spec::Origin| {
                origin.to_string().replace(&format!("{}/", project.dir), "")
            };
            let build = match &project.build {
                Ok(Some(build)) => format!("{:?} from {}", build.value, place(&build.origin)),
                Ok(None) => "nothing".to_owned(),
                Err(error) => error.code().to_owned(),
            };
            let start = match project.start(component.0, component.1) {
                Ok(start) => format!("{:?} from {}", start.value, place(&start.origin)),
                Err(error) => {
                    assert!(error.help_text().is_some());
                    error.code().to_owned()
                }
            };
            format!("{} | build {build} | start {start}", project.name.value)
        }
    };
    assert_eq!(shown, expect);
}

const WEB: (&str, &str) = ("web", "web");

#[test]
fn a_procfile_says_how_processes_start() {
    let procfile = "# processes\nweb: ./server --port $PORT\nworker: cd jobs && ./run\n";
    let files = [("Procfile", procfile)];
    let web =
        r#"my-caf-shop | build nothing | start ["sh", "-c", "exec ./server --port $PORT"] from Procfile:2"#;
    check(&files, WEB, web);
    check(&files, ("shop", "api"), web);
    let worker = r#"my-caf-shop | build nothing | start ["sh", "-c", "cd jobs && ./run"] from Procfile:3"#;
    check(&files, ("jobs", "worker"), worker);
    check(&files, ("nightly", "cron"), "my-caf-shop | build nothing | start project::no-start-command");
    check(&[("Procfile", "web ./server")], WEB, "project::unreadable");
    check(&[("Procfile", "../x: ./server")], WEB, "project::unreadable");
    check(&[("Procfile", "web: a\nweb: b")], WEB, "project::unreadable");
    check(&[("Procfile", "web: a\0b")], WEB, "project::unreadable");
    check(&[("Procfile", "\n# nothing\n")], WEB, "none");
}

#[test]
fn cargo_knows_the_binary() {
    let one = "[package]\nname = \"Shop_Front\"\n";
    check(
        &[("Cargo.toml", one), ("src/main.rs", "")],
        WEB,
        r#"shop-front | build ["cargo", "build", "--release"] from Cargo.toml:2 | start ["target/release/Shop_Front"] from Cargo.toml:2: its only binary"#,
    );
    let several = [("Cargo.toml", one), ("src/main.rs", ""), ("src/bin/tool.rs", "")];
    check(
        &several,
        WEB,
        r#"shop-front | build ["cargo", "build", "--release"] from Cargo.toml:2 | start project::several-binaries"#,
    );
    check(
        &[
            ("Cargo.toml", "[package]\nname = \"shop\"\ndefault-run = \"tool\"\n"),
            ("src/main.rs", ""),
            ("src/bin/tool/main.rs", ""),
        ],
        WEB,
        r#"shop | build ["cargo", "build", "--release"] from Cargo.toml:3 | start ["target/release/tool"] from Cargo.toml:3: package.default-run"#,
    );
    check(
        &[("Cargo.toml", "[workspace]\n")],
        WEB,
        "my-caf-shop | build nothing | start project::no-start-command",
    );
    check(&[("Cargo.toml", "[package\n")], WEB, "project::unreadable");
    let with_procfile =
        [("Cargo.toml", one), ("src/main.rs", ""), ("Procfile", "web: ./target/release/shop serve")];
    check(
        &with_procfile,
        WEB,
        r#"shop-front | build ["cargo", "build", "--release"] from Cargo.toml:2 | start ["sh", "-c", "exec ./target/release/shop serve"] from Procfile:1"#,
    );
}

#[test]
fn npm_installs_only_what_a_lockfile_pins() {
    let plain = "{\n \"name\": \"@team/shop\",\n \"scripts\": { \"start\": \"node .\" }\n}";
    check(
        &[("package.json", plain)],
        WEB,
        r#"shop | build nothing | start ["npm", "start"] from package.json:3: scripts.start"#,
    );
    let needs =
        r#"{ "name": "shop", "scripts": { "start": "x", "build": "y" }, "dependencies": { "a": "1" } }"#;
    check(
        &[("package.json", needs)],
        WEB,
        r#"shop | build project::no-lockfile | start ["npm", "start"] from package.json:1: scripts.start"#,
    );
    check(
        &[("package.json", needs), ("package-lock.json", "{}")],
        WEB,
        r#"shop | build ["sh", "-c", "npm ci && npm run build"] from package-lock.json: and scripts.build | start ["npm", "start"] from package.json:1: scripts.start"#,
    );
    check(&[("package.json", "{}")], WEB, "my-caf-shop | build nothing | start project::no-start-command");
    check(&[("package.json", "\"x\"")], WEB, "project::unreadable");
}

#[test]
fn python_starts_what_serves_by_itself() {
    check(
        &[("manage.py", ""), ("requirements.txt", "Django==5.1\n")],
        WEB,
        r#"my-caf-shop | build ["sh", "-c", "python3 -m venv .venv && .venv/bin/python -m pip install --requirement requirements.txt"] from requirements.txt:1 | start ["sh", "-c", "exec .venv/bin/python manage.py runserver --noreload 127.0.0.1:$PORT"] from manage.py:1: a Django project"#,
    );
    check(
        &[("app.py", "import os\nif __name__ == '__main__':\n    main()\n")],
        WEB,
        r#"my-caf-shop | build nothing | start ["python3", "app.py"] from app.py:2: it runs by itself"#,
    );
    check(
        &[("main.py", "app = FastAPI()\n")],
        WEB,
        "my-caf-shop | build nothing | start project::no-start-command",
    );
    check(
        &[("main.py", "x.serve_forever()"), ("requirements.txt", "flask>=2\n")],
        WEB,
        r#"my-caf-shop | build project::no-lockfile | start ["python3", "main.py"] from main.py:1: it runs by itself"#,
    );
    check(
        &[
            (
                "pyproject.toml",
                "[project]\nname = 'Shop'\ndependencies = ['a']\n[project.scripts]\nserve = 'shop:main'\n",
            ),
            ("uv.lock", ""),
        ],
        WEB,
        r#"shop | build ["uv", "sync", "--frozen"] from uv.lock | start ["uv", "run", "--no-sync", "serve"] from pyproject.toml:5: project.scripts"#,
    );
}

#[test]
fn what_is_no_project_is_none() {
    check(&[], WEB, "none");
    check(&[("README.md", "# hello")], WEB, "none");
    assert_eq!(Project::read(Path::new("/nonexistent/project")).unwrap(), None);
    let large = "a".repeat(usize::try_from(super::MAX_PROJECT_FILE_BYTES).unwrap() + 1);
    check(&[("Procfile", &large)], WEB, "project::unreadable");
}
