//! The sentence on the platform `kubernetes`: a real API server takes it from nothing to ready, and all but the data
//! goes again.

use serde_json::Value;
use test_cluster::Cluster;

use crate::world::World;

pub(crate) const SENTENCE: &str = "Deploy a web app with database to staging";

/// A project whose staging is a cluster, under a name of its own there.
pub(crate) struct Shop {
    pub(crate) world: World,
    cluster: &'static Cluster,
    application: String,
}

impl Shop {
    /// `None`, and said so, where there is no cluster.
    pub(crate) fn new(name: &str) -> Option<Shop> {
        let cluster = Cluster::get("the sentence on a real cluster")?;
        let application = format!("{name}-{}", std::process::id());
        let world = World::new();
        // Where `kubectl` would look.
        let kube = world.path("home/.kube");
        std::fs::create_dir(&kube).expect("a directory");
        std::fs::copy(cluster.kubeconfig(), kube.join("config")).expect("a kubeconfig");
        let shop = Shop { world, cluster, application };
        shop.image("registry.example/shop:1");
        Some(shop)
    }

    /// Writes the settings, with this image of the web app.
    pub(crate) fn image(&self, image: &str) {
        let settings = format!(
            "application = \"{}\"\n\n[environments.staging]\nplatform = \"kubernetes\"\n\n\
             [components.web]\nimage = \"{image}\"\n",
            self.application
        );
        self.world.write("code.toml", &settings);
    }

    pub(crate) fn deployment(&self) -> String {
        format!("{}/staging", self.application)
    }

    fn namespace(&self) -> String {
        format!("{}-staging", self.application)
    }

    /// An object of the deployment; null where there is none.
    pub(crate) fn read(&self, api: &str, path: &str) -> Value {
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
    let Some(shop) = Shop::new("story") else { return };
    shop.world.ok(&[SENTENCE, "--yes"]);
    let web = || shop.read("/apis/apps/v1", "deployments/web");
    assert_eq!(web()["status"]["availableReplicas"], 1);
    let again = shop.world.ok(&[SENTENCE, "--yes"]);
    assert!(again.out.contains("othing to do"), "{again}");
    shop.world.ok(&["scale the web app to 3 in staging", "--yes"]);
    assert_eq!(web()["status"]["availableReplicas"], 3);
    shop.world.ok(&["destroy", "-e", "staging", "--yes"]);
    assert_eq!(web(), Value::Null);
    assert_eq!(shop.read("/api/v1", "persistentvolumeclaims/db")["status"]["phase"], "Bound", "data stays");
}
