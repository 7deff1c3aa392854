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
