//! A program of the tool's name that is old, hangs, dies, talks rubbish or too much; a disk that is full.

use std::time::Duration;

use code_core::Provider;
use code_core::provider::{Health, Observed};
use code_providers::terraform::{Flavour, Settings, Terraform};

use crate::world::{World, each_tool, quick};

const NEW: &str = r#"echo '{"terraform_version":"9.9.9"}'"#;

/// What a plan comes back with, where the program does this after its version was asked for.
async fn check(program: &str, expect: &str) {
    within(Duration::from_secs(120), program, expect).await;
}

async fn within(look_limit: Duration, program: &str, expect: &str) {
    let mut world = World::new(Flavour::Terraform, "output \"x\" { value = 1 }\n");
    world.with_program(program);
    let settings = Settings { look_limit, grace: Duration::ZERO, ..quick() };
    let error = world.plan(&Terraform::new(settings), &world.resource()).await.unwrap_err();
    assert_eq!(error.code(), expect, "{program}: {error:?}");
    assert!(error.help_text().is_some(), "{error:?}");
    assert!(world.state().is_none(), "{program}");
}

/// The program, where all but one of its calls go well.
fn when(call: &str, does: &str) -> String {
    let summary = r#"{"type":"change_summary","@message":""}"#;
    format!(
        "case $1 in {call}) {does};; version) {NEW};; init) ;; plan) for a; do case $a in -out=*) : > ${{a#-out=}};; esac; \
         done; echo '{summary}';; show) echo '{{\"format_version\":\"1\"}}';; esac"
    )
}

#[tokio::test]
async fn each_fault_of_a_tool_has_its_own_error() {
    check("echo '{\"terraform_version\":\"1.1.0\"}'", "terraform::too-old").await;
    check("echo hello", "terraform::rubbish").await;
    check("exit 3", "terraform::rubbish").await;
    for call in ["init", "plan", "show"] {
        check(&when(call, "kill -KILL $$"), "terraform::killed").await;
        within(Duration::from_secs(2), &when(call, "sleep 1000"), "host::timeout").await;
        check(&when(call, "echo 'write x: no space left on device' >&2; exit 1"), "terraform::disk-full")
            .await;
        check(&when(call, "echo Segmentation fault; exit 2"), "terraform::rubbish").await;
    }
    check(&when("plan", "echo All is well"), "terraform::rubbish").await;
    check(&when("show", "echo '{}'"), "terraform::rubbish").await;
    // A hundred megabytes, in one line and in many.
    check(&when("show", "head -c 100000000 /dev/zero | tr '\\0' x"), "terraform::too-much").await;
    check(&when("plan", "yes $(printf %01000d 0) | head -c 100000000"), "terraform::rubbish").await;
}

#[tokio::test]
async fn a_root_is_not_gone_where_its_tool_does_not_answer() {
    each_tool("a tool that does not answer", async |tool| {
        let mut world = World::new(tool, "resource \"terraform_data\" \"x\" {}\n");
        world.converge(&Terraform::default(), 1).await.unwrap().unwrap();
        let before = world.state();
        for program in [when("plan", "sleep 1000"), when("plan", "kill -KILL $$"), when("plan", "echo what")]
        {
            world.with_program(&program);
            let settings = Settings { look_limit: Duration::from_secs(2), grace: Duration::ZERO, ..quick() };
            let seen = world.observe(&Terraform::new(settings)).await.unwrap();
            assert!(matches!(seen, Observed::Unknown(_)), "{program}: {seen:?}");
        }
        assert_eq!(world.state(), before);
        let health = Terraform::default().health(&world.ctx(0)).await.unwrap();
        assert!(matches!(health, Health::Ready { .. }), "{health:?}");
        world.with_program("exit 1");
        let health = Terraform::default().health(&world.ctx(0)).await.unwrap();
        assert!(matches!(health, Health::Broken { .. }), "{health:?}");
    })
    .await;
}

#[tokio::test]
async fn a_state_beside_the_root_is_not_made_a_second_time() {
    each_tool("a state beside the root", async |tool| {
        let world = World::new(tool, "resource \"terraform_data\" \"x\" {}\n");
        world.converge(&Terraform::default(), 1).await.unwrap().unwrap();
        let theirs = World::new(tool, "resource \"terraform_data\" \"x\" {}\n");
        let own = theirs.path("root/terraform.tfstate");
        std::fs::write(&own, world.state().unwrap()).unwrap();
        let error = theirs.plan(&Terraform::default(), &theirs.resource()).await.unwrap_err();
        assert_eq!(error.code(), "terraform::own-state", "{error:?}");
        // What it says to do is enough: the resource is taken over as it is.
        let line = error.help_text().unwrap().split(": ").nth(1).unwrap().to_owned();
        assert!(std::process::Command::new("sh").args(["-c", &line]).status().unwrap().success(), "{line}");
        let change = theirs.plan(&Terraform::default(), &theirs.resource()).await.unwrap();
        assert!(!change.effects.may_destroy() && change.prior.is_some(), "{change:?}");
        theirs.converge(&Terraform::default(), 1).await.unwrap().unwrap();
        let id = |state: Vec<u8>| -> serde_json::Value {
            let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
            state["resources"][0]["instances"][0]["attributes"]["id"].clone()
        };
        assert_eq!(id(theirs.state().unwrap()), id(world.state().unwrap()));
    })
    .await;
}
