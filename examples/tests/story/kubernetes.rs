//! The sentence on the platform `kubernetes`: a real API server takes it from nothing to ready, and all but the data
//! goes again.

use serde_json::Value;
use test_cluster::Cluster;

use crate::world::{Ended, World};

const SENTENCE: &str = "Deploy a web app with database to staging";

/// A project whose staging is a cluster, under a name of its own there.
struct Shop {
    world: World,
    cluster: &'static Cluster,
    application: String,
}

impl Shop {
    /// `None`, and said so, where there is no cluster.
    fn new() -> Option<Shop> {
        let cluster = Cluster::get("the sentence on a real cluster")?;
        let application = format!("story-{}", std::process::id());
        let world = World::new();
        world.write(
            "code.toml",
            &format!(
                "application = \"{application}\"\n\n[environments.staging]\nplatform = \"kubernetes\"\n\n\
                 [components.web]\nimage = \"registry.example/shop:1\"\n"
            ),
        );
        Some(Shop { world, cluster, application })
    }

    fn ok(&self, args: &[&str]) -> Ended {
        let mut command = self.world.command(args);
        command.env("KUBECONFIG", self.cluster.kubeconfig());
        let ended = Ended::of(args, command.output().expect("the program runs"));
        assert_eq!(ended.code, 0, "{ended}");
        ended
    }

    fn namespace(&self) -> String {
        format!("{}-staging", self.application)
    }

    /// An object of the deployment; null where there is none.
    fn read(&self, api: &str, path: &str) -> Value {
        let found = self.cluster.read(&format!("{api}/namespaces/{}/{path}", self.namespace()));
        serde_json::from_str(&found).unwrap_or_default()
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.cluster.delete(&format!("/api/v1/namespaces/{}", self.namespace()));
    }
}

#[test]
fn the_sentence_runs_on_a_cluster_and_goes_again() {
    let Some(shop) = Shop::new() else { return };
    shop.ok(&[SENTENCE, "--yes"]);
    let web = || shop.read("/apis/apps/v1", "deployments/web");
    assert_eq!(web()["status"]["availableReplicas"], 1);
    let again = shop.ok(&[SENTENCE, "--yes"]);
    assert!(again.out.contains("othing to do"), "{again}");
    shop.ok(&["scale the web app to 3 in staging", "--yes"]);
    assert_eq!(web()["status"]["availableReplicas"], 3);
    shop.ok(&["destroy", "-e", "staging", "--yes"]);
    assert_eq!(web(), Value::Null);
    assert_eq!(shop.read("/api/v1", "persistentvolumeclaims/db")["status"]["phase"], "Bound", "data stays");
}
