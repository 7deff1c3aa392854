//! The user's own project, as its files say: recognised, built in a step of its own, started and asked.

use std::path::PathBuf;

use crate::world::{Ended, World, http};

const SENTENCE: &str = "Deploy a web app with a SQLite database to staging";

/// Deploys with the tools of these directories, too.
fn deploy(world: &World, tools: &[PathBuf]) -> Ended {
    let mut command = world.command(&[SENTENCE, "--yes"]);
    let usual = ["/usr/local/bin", "/usr/bin", "/bin"].map(PathBuf::from);
    command.env("PATH", std::env::join_paths(tools.iter().chain(&usual)).unwrap());
    let ended = Ended::of(&[SENTENCE], command.output().unwrap());
    assert_eq!(ended.code, 0, "{ended}");
    ended
}

#[test]
fn a_python_app_is_started_as_its_file_says() {
    let world = World::new();
    world.write(
        "app.py",
        "import http.server, os\n\
         class App(http.server.BaseHTTPRequestHandler):\n\
         \x20   def do_GET(self):\n\
         \x20       self.send_response(200)\n\
         \x20       self.end_headers()\n\
         \x20       self.wfile.write(os.environ['DATABASE_URL'].split(':')[0].encode())\n\
         if __name__ == '__main__':\n\
         \x20   http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), App).serve_forever()\n",
    );
    let run = deploy(&world, &[]);
    assert!(run.out.contains("app.py:7"), "its start is from there: {run}");
    assert_eq!(http(&world.url(), "GET", "/", ""), (200, "sqlite".to_owned()));
}

#[test]
fn a_rust_app_is_built_by_cargo() {
    let world = World::new();
    let manifest = "[package]\nname = \"greeter\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    world.write("Cargo.toml", manifest);
    world.write("Cargo.lock", "version = 4\n\n[[package]]\nname = \"greeter\"\nversion = \"0.1.0\"\n");
    world.write(
        "src/main.rs",
        r#"use std::io::{Read, Write};

fn main() -> std::io::Result<()> {
    let port: u16 = std::env::var("PORT").unwrap().parse().unwrap();
    let listener = std::net::TcpListener::bind(("127.0.0.1", port))?;
    for stream in listener.incoming() {
        let mut stream = stream?;
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    }
    Ok(())
}
"#,
    );
    // The toolchain's own programs: with a home of its own a story has no rustup.
    let cargo = PathBuf::from(std::env::var_os("CARGO").expect("cargo runs this test"));
    let run = deploy(&world, &[cargo.parent().unwrap().to_owned()]);
    assert!(run.out.contains("cargo build --release"), "what builds it is shown: {run}");
    assert!(run.err.contains("web/release done"), "{run}");
    assert_eq!(http(&world.url(), "GET", "/", ""), (200, "hello".to_owned()));
}

/// An app of npm's: a script that builds, one that starts, and a package beside it, so that nothing is fetched.
fn node_app(world: &World) {
    let package = r#"{
  "name": "shop",
  "dependencies": { "greet": "file:greet" },
  "scripts": { "build": "node build.js", "start": "node server.js" }
}
"#;
    world.write("package.json", package);
    world.write("greet/package.json", r#"{ "name": "greet", "version": "1.0.0" }"#);
    world.write("greet/index.js", "module.exports = 'hello';\n");
    world.write("build.js", "require('fs').writeFileSync('built.txt', require('greet'));\n");
    world.write(
        "server.js",
        "const text = require('fs').readFileSync('built.txt', 'utf8') + ' ' + process.env.DATABASE_URL.split(':')[0];\n\
         require('http').createServer((_, answer) => answer.end(text)).listen(process.env.PORT, '127.0.0.1');\n",
    );
    // As `npm install --package-lock-only` writes it.
    let lock = r#"{
  "name": "shop",
  "lockfileVersion": 3,
  "requires": true,
  "packages": {
    "": { "name": "shop", "dependencies": { "greet": "file:greet" } },
    "greet": { "version": "1.0.0" },
    "node_modules/greet": { "resolved": "greet", "link": true }
  }
}
"#;
    world.write("package-lock.json", lock);
}

#[test]
fn a_node_app_is_built_by_npm_from_its_lockfile() {
    let world = World::new();
    if !world
        .run_of("sh".as_ref(), &["-c", "npm --version && node --version"])
        .out
        .starts_with(char::is_numeric)
    {
        println!("skipped: an app of npm's: npm is not on this machine (apt install nodejs npm)");
        return;
    }
    node_app(&world);
    let run = deploy(&world, &[]);
    assert!(run.out.contains("(package-lock.json: and scripts.build)"), "what builds it is shown: {run}");
    assert!(run.out.contains("package.json:4: scripts.start"), "its start is from there: {run}");
    assert!(run.err.contains("web/release done"), "{run}");
    assert_eq!(http(&world.url(), "GET", "/", ""), (200, "hello sqlite".to_owned()));
    // The project is left alone: what was built is in the release.
    assert!(!world.project().join("node_modules").exists() && !world.project().join("built.txt").exists());

    // What the lockfile says otherwise than package.json is not installed by guessing.
    let lock = std::fs::read_to_string(world.project().join("package-lock.json")).unwrap();
    world.write("package-lock.json", &lock.replace("greet", "other"));
    let failed = world.run(&["update the web app in staging", "--yes"]);
    assert!(failed.code == 5 && failed.err.contains("error[release::build]"), "{failed}");
    assert_eq!(http(&world.url(), "GET", "/", "").1, "hello sqlite");
}

#[test]
fn an_app_that_cannot_be_installed_is_told_before_anything_is_made() {
    let world = World::new();
    node_app(&world);
    let refused = |ended: &Ended, code: &str, help: &str| {
        assert!(ended.code != 0 && ended.err.contains(&format!("error[{code}]")), "{ended}");
        assert!(ended.err.contains(&format!("hint: {help}")), "{ended}");
        assert!(world.resources().is_empty() && !world.project().join("node_modules").exists(), "{ended}");
    };
    // No program can be found at all.
    let mut command = world.command(&[SENTENCE, "--yes"]);
    command.env("PATH", world.path("empty"));
    let ended = Ended::of(&["without npm"], command.output().unwrap());
    refused(&ended, "project::missing-program", "install Node.js with npm");
    // Nothing pins what would be installed, or only another tool's file does.
    std::fs::remove_file(world.project().join("package-lock.json")).unwrap();
    refused(&world.run(&[SENTENCE, "--yes"]), "project::no-lockfile", "make one with `npm install");
    world.write("yarn.lock", "");
    refused(&world.run(&[SENTENCE, "--yes"]), "project::no-lockfile", "yarn.lock is another tool's");
}

#[test]
fn two_environments_of_one_request_have_ports_of_their_own() {
    let world = World::new();
    world.write("code.toml", "[environments.staging]\n[environments.production]\n");
    let both = "Deploy a web app with a SQLite database to staging and production";
    let shown = world.ok(&[both, "--dry-run", "--json"]).lines();
    let specs = shown.iter().filter(|line| line["type"] == "spec");
    let ports: Vec<_> = specs.map(|line| line["data"]["spec"]["components"][0]["port"].as_u64()).collect();
    assert!(ports.len() == 2 && ports[0].is_some() && ports[0] != ports[1], "{ports:?}");
}
