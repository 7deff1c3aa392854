//! An apply that is cut off where its state says more than was done.

use std::fs;

use code_core::Provider;
use code_core::provider::{Action, Effects, Observed};
use code_providers::terraform::{Flavour, Terraform};
use rustix::process::{Pid, Signal, kill_process};

use crate::mirror::mirrored;
use crate::world::{World, each_tool, quick, until};

/// The tool records a resource as made before its provisioners have run; killed in between, it leaves a state that
/// a plan of the tool's own finds nothing wrong with.
#[tokio::test]
async fn what_was_cut_off_in_a_provisioner_is_made_anew() {
    each_tool("an apply that is cut off", async |tool| {
        let world = World::new(tool, "");
        let (log, go, pid) = (world.path("log"), world.path("go"), world.path("pid"));
        world.write(&format!(
            "resource \"terraform_data\" \"quick\" {{\n  provisioner \"local-exec\" {{\n    \
             command = \"until test -s '{}'; do sleep 0.1; done\"\n  }}\n}}\n\
         resource \"terraform_data\" \"slow\" {{\n  provisioner \"local-exec\" {{\n    \
         command = \"echo $PPID > '{}'; test -e '{}' || sleep 300; echo done >> '{}'\"\n  }}\n}}\n",
            pid.display(),
            pid.display(),
            go.display(),
            log.display()
        ));
        let terraform = Terraform::new(quick());
        let resource = world.resource();
        let change = world.plan(&terraform, &resource).await.unwrap();
        let ctx = world.ctx(1);
        let kill = async {
            // Terraform writes its state where a resource is finished: the quick one is, once the slow one is under
            // way. OpenTofu writes it every twenty seconds.
            let done = || {
                let done = fs::read_to_string(world.state_file().with_file_name("applying.done"));
                done.is_ok_and(|done| done.starts_with("terraform_data.quick\t") && done.ends_with('\n'))
            };
            let both = || {
                let state = String::from_utf8_lossy(&world.state().unwrap_or_default()).into_owned();
                let written =
                    state.contains("\"slow\"") && state.contains("\"quick\"") && state.ends_with("}\n");
                (written || tool == Flavour::OpenTofu) && done()
            };
            until("the state has both", both).await;
            until("the provisioner runs", || fs::read_to_string(&pid).is_ok_and(|pid| pid.ends_with('\n')))
                .await;
            let pid = fs::read_to_string(&pid).unwrap().trim().parse().ok().and_then(Pid::from_raw).unwrap();
            kill_process(pid, Signal::KILL).unwrap();
        };
        let (applied, ()) = tokio::join!(terraform.apply(&ctx, &change), kill);
        let failed = applied.unwrap_err();
        assert_eq!(failed.error.code(), "terraform::killed", "{failed:?}");

        let Observed::Present(live) = world.observe(&terraform).await.unwrap() else {
            panic!("it is not seen")
        };
        assert!(!live.drift.is_empty());
        let again = world.plan(&terraform, &resource).await.unwrap();
        let Effects::Exact(effects) = &again.effects else { panic!("{:?}", again.effects) };
        let effects: Vec<_> = effects.iter().map(|effect| (effect.action, effect.name.as_str())).collect();
        let (quick, slow) =
            ((Action::Create, "terraform_data.quick"), (Action::Create, "terraform_data.slow"));
        let expect = if tool == Flavour::OpenTofu { vec![quick, slow] } else { vec![slow] };
        assert_eq!(effects, expect, "making it anew is within what was approved");
        fs::write(&go, "").unwrap();
        terraform.apply(&world.ctx(2), &again).await.unwrap().unwrap();
        assert_eq!(fs::read_to_string(&log).unwrap(), "done\n");
        let kept = world.plan(&terraform, &resource).await.unwrap();
        assert_eq!(kept.action, Action::Keep, "{kept:?}");
    })
    .await;
}

/// What was made, and what its tool forgot when it was killed, is neither made twice nor left behind.
#[tokio::test]
async fn what_was_made_and_not_written_down_is_told() {
    each_tool("what a killed tool forgot", async |tool| {
        let Some(settings) = mirrored("what a killed tool forgot") else { return };
        let world = World::new(tool, "");
        let (file, pid) = (world.path("made.txt"), world.path("pid"));
        world.write(&format!(
            "resource \"local_file\" \"made\" {{\n  filename = \"{}\"\n  content = \"made\"\n}}\n\
             resource \"terraform_data\" \"slow\" {{\n  depends_on = [local_file.made]\n  \
             provisioner \"local-exec\" {{\n    command = \"echo $PPID > '{}'; sleep 300\"\n  }}\n}}\n",
            file.display(),
            pid.display()
        ));
        let terraform = Terraform::new(settings);
        let change = world.plan(&terraform, &world.resource()).await.unwrap();
        let ctx = world.ctx(1);
        let kill = async {
            until("the provisioner runs", || fs::read_to_string(&pid).is_ok_and(|pid| pid.ends_with('\n')))
                .await;
            let tool = fs::read_to_string(&pid).unwrap().trim().parse().ok().and_then(Pid::from_raw).unwrap();
            kill_process(tool, Signal::KILL).unwrap();
        };
        let (applied, ()) = tokio::join!(terraform.apply(&ctx, &change), kill);
        applied.unwrap_err();
        let again = world.plan(&terraform, &world.resource()).await;
        if tool == Flavour::Terraform {
            // It was written down.
            let again = again.unwrap();
            let Effects::Exact(effects) = &again.effects else { panic!("{:?}", again.effects) };
            assert!(effects.iter().all(|effect| effect.name == "terraform_data.slow"), "{effects:?}");
            return;
        }
        let error = again.unwrap_err();
        assert_eq!(error.code(), "terraform::lost", "{error:?}");
        let gone = world.plan(&terraform, &world.resource().gone()).await.unwrap_err();
        assert_eq!(gone.code(), "terraform::lost", "taking it away would leave it behind: {gone:?}");
        // What the hint says is enough.
        fs::remove_file(&file).unwrap();
        let line = error.help_text().unwrap().split("note of it: ").nth(1).unwrap().to_owned();
        assert!(std::process::Command::new("sh").args(["-c", &line]).status().unwrap().success(), "{line}");
        let again = world.plan(&terraform, &world.resource()).await.unwrap();
        assert!(!again.effects.may_destroy(), "{again:?}");
    })
    .await;
}

/// A kill in the middle of a write leaves an empty file: that is no absence.
#[tokio::test]
async fn a_state_that_was_cut_off_is_no_absence() {
    each_tool("a state that is cut off", async |tool| {
        let world = World::new(tool, "resource \"terraform_data\" \"x\" {}\n");
        let terraform = Terraform::default();
        world.converge(&terraform, 1).await.unwrap().unwrap();
        let whole = world.state().unwrap();
        for cut in [&b""[..], &whole[..whole.len() / 2]] {
            fs::write(world.state_file(), cut).unwrap();
            let error = world.observe(&terraform).await.unwrap_err();
            assert_eq!(error.code(), "terraform::state-damaged", "{error:?}");
        }
    })
    .await;
}
