//! A state in a bucket, with its lock in a file beside it, on a real server of S3: looking writes nothing there, of
//! two engines only one changes it, and a lock that a kill has left is told, and broken by its id alone.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use code_core::local::LocalHost;
use code_core::provider::{Action, Observed};
use code_core::{Host, Provider};
use code_providers::terraform::{Settings, Terraform};
use rustix::process::{Pid, Signal, kill_process};

use crate::world::{World, each_tool, quick, until};

/// A server of S3 that keeps its buckets in memory, and tells of each request.
struct S3 {
    child: Child,
    port: u16,
    told: Arc<Mutex<Vec<String>>>,
}

impl S3 {
    /// `None`, said aloud, where the server is not on this machine, which is a failure in CI.
    fn start(what: &str) -> Option<S3> {
        let Some(program) = LocalHost::new().which("gofakes3") else {
            println!("skipped: {what}: `gofakes3` is not on this machine");
            return None;
        };
        let mut child = Command::new(program)
            .args(["-host", "127.0.0.1:0", "-backend", "memory", "-initialbucket", "states"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("using port: ")?.1.trim().parse().ok())
            .unwrap();
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let hears = Arc::clone(&told);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                hears.lock().unwrap().push(line);
            }
        });
        Some(S3 { child, port, told })
    }

    /// What was written or deleted since it began.
    fn writes(&self) -> Vec<String> {
        let writes =
            |line: &&String| ["CREATE OBJECT", "DELETE", "multipart"].iter().any(|word| line.contains(word));
        self.told.lock().unwrap().iter().filter(writes).cloned().collect()
    }

    fn requests(&self) -> usize {
        self.told.lock().unwrap().len()
    }

    /// A root whose state is there, with this in it.
    fn root(&self, name: &str, body: &str) -> String {
        format!(
            "terraform {{\n  backend \"s3\" {{\n    bucket = \"states\"\n    key = \"{name}.tfstate\"\n    \
             region = \"us-east-1\"\n    use_lockfile = true\n    use_path_style = true\n    \
             endpoints = {{ s3 = \"http://127.0.0.1:{}\" }}\n    access_key = \"a\"\n    secret_key = \"b\"\n    \
             skip_credentials_validation = true\n    skip_requesting_account_id = true\n    \
             skip_metadata_api_check = true\n    skip_region_validation = true\n    skip_s3_checksum = true\n  }}\n}}\n{body}",
            self.port
        )
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A resource that says so, and waits until a file is there.
fn slow(world: &World, word: &str) -> String {
    let (pid, go) = (world.path("pid"), world.path("go"));
    format!(
        "resource \"terraform_data\" \"x\" {{\n  triggers_replace = \"{word}\"\n  provisioner \"local-exec\" {{\n    \
         command = \"echo $PPID > '{}'; until test -e '{}'; do sleep 0.1; done\"\n  }}\n}}\noutput \"word\" {{ value = \"{word}\" }}\n",
        pid.display(),
        go.display()
    )
}

/// The tool that waits.
async fn waiting(world: &World) -> Pid {
    let pid = world.path("pid");
    until("the provisioner runs", || fs::read_to_string(&pid).is_ok_and(|pid| pid.ends_with('\n'))).await;
    fs::read_to_string(&pid).unwrap().trim().parse().ok().and_then(Pid::from_raw).unwrap()
}

#[tokio::test]
async fn of_two_engines_only_one_changes_a_state_in_a_bucket() {
    each_tool("a state in a bucket", async |tool| {
        let Some(s3) = S3::start("a state in a bucket") else { return };
        let (ann, ben) = (World::new(tool, ""), World::new(tool, ""));
        let (first, second) = (Terraform::new(quick()), Terraform::new(quick()));
        ann.write(&s3.root("fight", &slow(&ann, "ann")));
        ben.write(
            &s3.root("fight", "resource \"terraform_data\" \"x\" {}\noutput \"word\" { value = \"ben\" }\n"),
        );
        let ctx = ann.ctx(1);
        let change = ann.plan(&first, &ann.resource()).await.unwrap();
        let theirs = ben.plan(&second, &ben.resource()).await.unwrap();
        let other = async {
            waiting(&ann).await;
            let failed = second.apply(&ben.ctx(1), &theirs).await.unwrap_err();
            // Holder, age and id: whom to ask, and how to go on where nobody answers.
            let said = format!("{:?}", failed.error);
            assert_eq!(failed.error.code(), "terraform::lock-held", "{said}");
            assert!(
                said.contains('@') && said.contains(" holds it, for ") && said.contains("deploy unlock"),
                "{said}"
            );
            fs::write(ann.path("go"), "").unwrap();
        };
        let (applied, ()) = tokio::join!(first.apply(&ctx, &change), other);
        assert_eq!(applied.unwrap().unwrap().outputs["word"].known().unwrap(), "ann");
        // Whoever came second plans again, from what is there now.
        let failed = second.apply(&ben.ctx(2), &theirs).await.unwrap_err();
        assert_eq!(failed.error.code(), "terraform::stale-plan", "{:?}", failed.error);
        let live = ben.converge(&second, 3).await.unwrap().unwrap();
        assert_eq!(live.outputs["word"].known().unwrap(), "ben");
    })
    .await;
}

#[tokio::test]
async fn looking_at_a_state_in_a_bucket_writes_nothing_there() {
    each_tool("looking at a bucket", async |tool| {
        let Some(s3) = S3::start("looking at a bucket") else { return };
        let world = World::new(tool, &s3.root("look", "resource \"terraform_data\" \"x\" {}\n"));
        let terraform = Terraform::new(quick());
        world.converge(&terraform, 1).await.unwrap().unwrap();
        let (writes, requests) = (s3.writes(), s3.requests());
        assert!(writes.iter().any(|line| line.contains("look.tfstate.tflock")), "{writes:?}");
        for fresh in [false, true] {
            let terraform = if fresh { Terraform::new(quick()) } else { Terraform::default() };
            assert!(matches!(world.observe(&terraform).await.unwrap(), Observed::Present(_)));
            let change = world.plan(&terraform, &world.resource()).await.unwrap();
            assert_eq!(change.action, Action::Keep, "{change:?}");
        }
        world.write(&s3.root("look", "resource \"terraform_data\" \"y\" {}\n"));
        let change = world.plan(&terraform, &world.resource()).await.unwrap();
        assert_eq!(change.action, Action::Update);
        assert!(s3.requests() > requests, "the server was asked");
        assert_eq!(s3.writes(), writes);
    })
    .await;
}

#[tokio::test]
async fn a_lock_that_a_kill_left_in_a_bucket_is_broken_by_its_id_alone() {
    each_tool("a stuck lock in a bucket", async |tool| {
        let Some(s3) = S3::start("a stuck lock in a bucket") else { return };
        let world = World::new(tool, "");
        world.write(&s3.root("stuck", &slow(&world, "one")));
        let terraform =
            Terraform::new(Settings { lock_timeout: std::time::Duration::from_secs(1), ..quick() });
        let change = world.plan(&terraform, &world.resource()).await.unwrap();
        let ctx = world.ctx(1);
        let kill = async { kill_process(waiting(&world).await, Signal::KILL).unwrap() };
        let (applied, ()) = tokio::join!(terraform.apply(&ctx, &change), kill);
        assert_eq!(applied.unwrap_err().error.code(), "terraform::killed");
        fs::write(world.path("go"), "").unwrap();

        let change = world.plan(&terraform, &world.resource()).await.unwrap();
        assert_ne!(
            change.action,
            Action::Keep,
            "what was cut off in its provisioner is made anew: {change:?}"
        );
        let failed = terraform.apply(&world.ctx(2), &change).await.unwrap_err();
        assert_eq!(failed.error.code(), "terraform::lock-held", "{:?}", failed.error);
        let help = failed.error.help_text().unwrap().to_owned();
        let id = help.split("COMPONENT ").nth(1).unwrap().split('`').next().unwrap().to_owned();
        let address = world.resource().address;
        let wrong = terraform.unlock(&world.ctx(3), &address, "0b1c-another").await.unwrap_err();
        assert_eq!(wrong.code(), "terraform::unlock", "{wrong:?}");
        let failed = terraform.apply(&world.ctx(4), &change).await.unwrap_err();
        assert_eq!(failed.error.code(), "terraform::lock-held", "another id breaks nothing");
        terraform.unlock(&world.ctx(5), &address, &id).await.unwrap();
        let again = world.plan(&terraform, &world.resource()).await.unwrap();
        assert_eq!(again.effects, change.effects, "what did not come to it is no evidence");
        world.converge(&terraform, 6).await.unwrap().unwrap();
        assert_eq!(world.plan(&terraform, &world.resource()).await.unwrap().action, Action::Keep);
    })
    .await;
}
