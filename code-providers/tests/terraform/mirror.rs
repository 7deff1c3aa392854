//! Providers from a mirror on the disk, without any registry: `time` and `local`, in a root of real things.

use std::fs;
use std::path::PathBuf;

use code_core::Provider;
use code_core::provider::{Action, Observed};
use code_providers::terraform::{Settings, Terraform};

use crate::world::{World, each_tool, quick};

/// The settings with the mirror; `None`, said aloud, where it is not on this machine, which is a failure in CI.
pub(crate) fn mirrored(what: &str) -> Option<Settings> {
    let mirror = std::env::var_os("CODE_TEST_MIRROR").map(PathBuf::from);
    if mirror.is_none() {
        println!("skipped: {what}: there is no mirror of providers; `cargo xtask roots` makes one");
    }
    Some(Settings { mirror: Some(mirror?), ..quick() })
}

fn root(world: &World, word: &str) -> String {
    format!(
        "terraform {{\n  required_providers {{\n    time = {{ source = \"hashicorp/time\" }}\n    \
         local = {{ source = \"hashicorp/local\" }}\n  }}\n}}\n\
         resource \"time_static\" \"made\" {{}}\n\
         resource \"time_sleep\" \"settle\" {{\n  create_duration = \"200ms\"\n  \
         triggers = {{ made = time_static.made.rfc3339 }}\n}}\n\
         resource \"local_file\" \"word\" {{\n  filename = \"{}/word.txt\"\n  content = \"{word}\"\n  \
         depends_on = [time_sleep.settle]\n}}\n\
         output \"made\" {{ value = time_static.made.rfc3339 }}\n",
        world.path("made").display()
    )
}

#[tokio::test]
async fn a_root_of_real_providers_is_made_changed_mended_and_taken_away() {
    each_tool("providers from a mirror", async |tool| {
        let Some(settings) = mirrored("providers from a mirror") else { return };
        let terraform = Terraform::new(settings);
        let world = World::new(tool, "");
        let file = world.path("made/word.txt");
        world.write(&root(&world, "one"));
        let made = world.converge(&terraform, 1).await.unwrap().unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "one");
        assert_eq!(world.plan(&terraform, &world.resource()).await.unwrap().action, Action::Keep);
        // The choice of providers is kept with the state, not in the project.
        let chosen = world.state_file().with_file_name(".terraform.lock.hcl");
        assert!(fs::read_to_string(chosen).unwrap().contains("hashicorp/time"));
        assert_eq!(fs::read_dir(world.path("root")).unwrap().count(), 1, "the project is left alone");

        // What is real is read each time: nothing of an earlier plan stands for it.
        fs::remove_file(&file).unwrap();
        let Observed::Present(seen) = world.observe(&terraform).await.unwrap() else { panic!() };
        assert!(seen.drift.iter().any(|drift| drift == "local_file.word is gone"), "{:?}", seen.drift);
        let mended = world.converge(&terraform, 2).await.unwrap().unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "one");
        assert_eq!(mended.outputs["made"], made.outputs["made"], "what was there stays");

        world.write(&root(&world, "two"));
        world.converge(&terraform, 3).await.unwrap().unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "two");

        let gone = world.plan(&terraform, &world.resource().gone()).await.unwrap();
        assert!(gone.why.contains("local_file.word"), "{gone:?}");
        assert_eq!(terraform.apply(&world.ctx(4), &gone).await.unwrap(), None);
        assert!(!file.exists());
        assert_eq!(world.observe(&terraform).await.unwrap(), Observed::Absent);
    })
    .await;
}

#[tokio::test]
async fn what_is_not_in_the_mirror_is_fetched_from_nowhere() {
    each_tool("a provider that no mirror has", async |tool| {
        let Some(settings) = mirrored("a provider that no mirror has") else { return };
        let world = World::new(tool, "resource \"random_id\" \"x\" {\n  byte_length = 4\n}\n");
        let error = world.plan(&Terraform::new(settings), &world.resource()).await.unwrap_err();
        assert_eq!(error.code(), "terraform::init", "{error:?}");
        assert!(error.help_text().unwrap().contains("mirror"), "{error:?}");
    })
    .await;
}
