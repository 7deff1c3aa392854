//! The sentence on the platform `docker`: a real daemon runs the app and its database, and the data stays when all else
//! goes.

use std::fs;

use serde_json::Value;
use test_daemon::Daemon;

use crate::load::Load;
use crate::world::{World, http, port};

const SENTENCE: &str = "Deploy a web app with database to staging";

/// A project whose staging is a Docker daemon, under a name of its own there.
struct Shop {
    world: World,
    daemon: &'static Daemon,
    settings: String,
    /// The deployment.
    name: String,
}

impl Shop {
    /// `None`, and said so, where there is no daemon or no PostgreSQL to make an image of.
    fn new(name: &str) -> Option<Shop> {
        let daemon = Daemon::get("the sentence in containers")?;
        let image = match daemon.postgres() {
            Ok(image) => image,
            Err(why) => {
                println!("skipped: the sentence in containers: {why}");
                return None;
            }
        };
        let mut world = World::new();
        world.also("DOCKER_HOST", &daemon.host());
        let settings = format!(
            "application = \"{name}\"\n\n[environments.staging]\nplatform = \"docker\"\n\n\
             [components.db]\nimage = \"{image}\"\n\n[components.web]\nport = {}\n",
            port()
        );
        world.write("code.toml", &settings);
        Some(Shop { world, daemon, settings, name: format!("{name}/staging") })
    }

    /// What the daemon has of this deployment at a path of its API, inspected one by one.
    fn inspected(&self, application: &str) -> Vec<Value> {
        let filter =
            format!("%7B%22label%22%3A%5B%22code-engine.dev%2Fdeployment%3D{application}%2Fstaging%22%5D%7D");
        let all = self.daemon.read(&format!("/containers/json?all=1&filters={filter}"));
        let all: Vec<Value> = serde_json::from_str(&all).unwrap_or_default();
        let ids = all.iter().filter_map(|one| one["Id"].as_str());
        ids.map(|id| serde_json::from_str(&self.daemon.read(&format!("/containers/{id}/json"))).unwrap())
            .collect()
    }

    /// The password of the database, from the file of whoever has it.
    fn password(&self, all: &[Value]) -> String {
        let path = "/run/secrets/POSTGRES_PASSWORD";
        let ids = all.iter().filter_map(|one| one["Id"].as_str());
        // An archive: its header has 512 bytes, the file follows.
        let archives = ids.map(|id| self.daemon.read(&format!("/containers/{id}/archive?path={path}")));
        let archive = archives.into_iter().find(|archive| !archive.is_empty()).unwrap();
        archive[512..].chars().take_while(char::is_ascii_alphanumeric).collect()
    }

    fn volumes(&self, application: &str) -> usize {
        self.daemon.read("/volumes").matches(&format!("\"Name\":\"{application}_staging_db_data")).count()
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.world.ok(&["destroy", "-e", "staging", "--delete-data", "--yes", "--confirm", &self.name]);
        }
    }
}

#[test]
fn the_sentence_runs_wholly_in_containers_and_its_data_stays() {
    let Some(shop) = Shop::new("contained") else { return };
    let world = &shop.world;
    let begun = std::time::Instant::now();
    world.ok(&[SENTENCE, "--yes"]);
    println!(
        "figure: the sentence in containers, from request to ready: {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    let url = world.url();
    assert_eq!(shop.inspected("contained").len(), 2, "an app and a database");

    let load = Load::on_sample(&url);
    load.goes_on(20);
    world.ok(&["scale the web app to 3 in staging", "--yes", "-q"]);
    assert_eq!(shop.inspected("contained").len(), 4);
    load.goes_on(20);
    world.write("code.toml", &format!("{}\n[components.web.env]\nCOLOUR = \"blue\"\n", shop.settings));
    world.ok(&["update the web app in staging", "--yes", "-q"]);
    load.goes_on(20);
    world.ok(&["rollback", "--yes", "-q"]);
    load.goes_on(20);
    let answered = load.none_failed();
    println!(
        "figure: requests through scaling, an update and a rollback of containers: {answered}, none lost"
    );

    world.write("code.toml", &shop.settings);
    let again = world.ok(&[SENTENCE, "--yes"]);
    assert!(again.out.contains("othing to do"), "{again}");

    world.ok(&["destroy", "-e", "staging", "--yes"]);
    assert_eq!(shop.inspected("contained").len(), 0);
    assert_eq!(shop.volumes("contained"), 1, "the data stays");
    world.ok(&[SENTENCE, "--yes", "-q"]);
    assert_eq!(shop.volumes("contained"), 1, "and is taken again");
    let (status, notes) = http(&world.url(), "GET", "/notes", "");
    assert!(status == 200 && notes.contains("note 1"), "{status} {notes}");
}

#[test]
fn nobody_reads_a_secret_from_a_container_but_its_program() {
    let Some(shop) = Shop::new("discreet") else { return };
    shop.world.ok(&[SENTENCE, "--yes", "-q"]);
    let all = shop.inspected("discreet");
    let secret = shop.password(&all);
    assert_eq!((all.len(), secret.len()), (2, 32), "{secret}");
    for container in &all {
        let text = container.to_string();
        assert!(!text.contains(&secret), "inspect shows the password: {text}");
        assert!(text.contains("/run/secrets/"), "{text}");
    }
    let report = shop.world.path("report.html");
    shop.world.ok(&["report", "-e", "staging", "--out", report.to_str().unwrap()]);
    let report = fs::read_to_string(report).unwrap();
    assert!(!report.contains(&secret));
    assert!(report.contains("db/endpoint") && report.contains("web/container.r1.0"), "the timeline has them");
}

#[test]
fn a_project_with_a_dockerfile_is_built_into_an_image() {
    let Some(shop) = Shop::new("built") else { return };
    let world = &shop.world;
    world.write(
        "Dockerfile",
        "FROM test/busybox:1\nCOPY page /www/page\nCMD exec httpd -f -p $PORT -h /www\n",
    );
    world.write("page", "one");
    let settings = "source = \".\"\nstart = [\"httpd\"]\n";
    world.write("code.toml", &format!("{}{settings}", shop.settings));
    world.ok(&["Deploy a web app to staging", "--yes", "-q"]);
    assert_eq!(http(&world.url(), "GET", "/page", ""), (200, "one".to_owned()));
    assert!(world.ok(&["status"]).out.contains("1 of 1 healthy"));
    world.ok(&["doctor"]);
    assert!(!world.ok(&["verify"]).out.contains("not there"));
    world.write("page", "two");
    world.ok(&["update the web app in staging", "--yes", "-q"]);
    assert_eq!(http(&world.url(), "GET", "/page", "").1, "two");
    world.ok(&["rollback", "--yes", "-q"]);
    assert_eq!(http(&world.url(), "GET", "/page", "").1, "one");
}

/// How often a run is killed.
const KILLS: u64 = 6;

#[test]
fn a_run_that_is_killed_goes_on_and_makes_nothing_twice() {
    let Some(shop) = Shop::new("killed") else { return };
    let world = &shop.world;
    let seed = u64::from(std::process::id());
    for nth in 0..KILLS {
        let mut run = world.command(&[SENTENCE, "--yes", "-q"]).spawn().unwrap();
        // A moment that nobody chose: what is asked is that each of them is as good.
        let moment =
            (seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(nth * 1_442_695_040_888_963)) >> 33;
        std::thread::sleep(std::time::Duration::from_millis(moment % 5000));
        run.kill().unwrap();
        run.wait().unwrap();
        world.ok(&[SENTENCE, "--yes", "-q"]);
        assert_eq!(shop.inspected("killed").len(), 2, "killed after {} ms", moment % 5000);
        assert_eq!(shop.volumes("killed"), 1);
        let networks = shop.daemon.read("/networks").matches("\"Name\":\"killed_staging_").count();
        assert_eq!(networks, 2, "killed after {} ms", moment % 5000);
        assert_eq!(http(&world.url(), "GET", "/health", "").0, 200);
        world.ok(&["destroy", "-e", "staging", "--yes", "-q"]);
        assert_eq!(shop.inspected("killed").len(), 0, "nothing is left behind");
    }
    println!("figure: runs in containers killed at moments of no choice, and ended well: {KILLS} of {KILLS}");
}
