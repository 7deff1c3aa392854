//! Modules that are none of the root's own files: from git, at a commit, and from nowhere that nobody allowed.

use std::path::Path;
use std::process::Command;

use code_providers::terraform::{Settings, Terraform};

use crate::world::{World, each_tool, quick};

const INSIDE: &str = "output \"word\" { value = \"from git\" }\n";

/// Makes a repository with this module in it; gives its commit.
fn repository(dir: &Path, main: &str) -> String {
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join("main.tf"), main).unwrap();
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        git.args([
            "-c",
            "user.name=ann",
            "-c",
            "user.email=ann@example.org",
            "-c",
            "init.defaultBranch=main",
        ]);
        let output = git.args(args).current_dir(dir).output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "--no-gpg-sign", "-m", "one"]);
    git(&["rev-parse", "HEAD"])
}

fn calling(source: &str) -> String {
    format!("module \"m\" {{\n  source = \"{source}\"\n}}\noutput \"word\" {{ value = module.m.word }}\n")
}

#[tokio::test]
async fn a_module_from_git_is_called_at_its_commit_from_where_it_is_allowed() {
    each_tool("a module from git", async |tool| {
        let world = World::new(tool, "");
        let place = format!("git::file://{}", world.path("modules").display());
        let commit = repository(&world.path("modules/word"), INSIDE);
        let settings = Settings { modules: vec![place.clone()], ..quick() };
        let code = async |settings: &Settings, source: &str| {
            world.write(&calling(source));
            let planned = world.plan(&Terraform::new(settings.clone()), &world.resource()).await;
            planned.err().map(|error| error.code().to_owned())
        };
        let pinned = format!("{place}/word?ref={commit}");
        assert_eq!(code(&quick(), &pinned).await.as_deref(), Some("terraform::module"));
        assert_eq!(
            code(&settings, &format!("{place}/word?ref=main")).await.as_deref(),
            Some("terraform::unpinned")
        );
        assert_eq!(code(&settings, &pinned).await, None);
        let live = world.converge(&Terraform::new(settings.clone()), 1).await.unwrap().unwrap();
        assert_eq!(live.outputs["word"].known().unwrap(), "from git");
        // A root that was fine is looked at again where the list is another one.
        assert_eq!(code(&quick(), &pinned).await.as_deref(), Some("terraform::module"));

        // What a module calls is held to the same.
        let inner = repository(&world.path("other/elsewhere"), INSIDE);
        let inner = format!("git::file://{}/elsewhere?ref={inner}", world.path("other").display());
        let outer = repository(&world.path("modules/outer"), &calling(&inner));
        let outer = format!("{place}/outer?ref={outer}");
        assert_eq!(code(&settings, &outer).await.as_deref(), Some("terraform::module"));
        // So is one among the root's own files.
        std::fs::create_dir(world.path("root/own")).unwrap();
        std::fs::write(world.path("root/own/main.tf"), calling("other/thing/aws")).unwrap();
        assert_eq!(code(&settings, "./own").await.as_deref(), Some("terraform::module"));
    })
    .await;
}
