//! A plan is used again where it certainly still holds, and nowhere else.

use std::fs;

use code_core::provider::Action;
use code_providers::terraform::{Settings, Terraform};
use serde_json::json;

use crate::world::{World, each_tool, quick};

const MAIN: &str = "variable \"word\" { default = \"one\" }\n\
    resource \"terraform_data\" \"x\" { input = var.word }\noutput \"word\" { value = terraform_data.x.output }\n";

/// Another engine looks at the root: what the tool is called for, and what is to be done.
async fn look(world: &World, settings: &Settings) -> (Vec<String>, Action) {
    let terraform = Terraform::new(settings.clone());
    world.calls();
    let change = world.plan(&terraform, &world.resource()).await.unwrap();
    let calls = world.calls().into_iter().filter(|call| call != "version").collect();
    (calls, change.action)
}

#[tokio::test]
async fn a_plan_is_used_again_until_something_of_it_changes() {
    each_tool("plans used again", async |tool| {
        let world = World::new(tool, MAIN);
        let planned = || vec!["plan".to_owned(), "show".to_owned()];
        let look = async || look(&world, &quick()).await;
        let first = look().await;
        assert_eq!(first, (vec!["init".to_owned(), "plan".to_owned(), "show".to_owned()], Action::Create));
        assert_eq!(look().await, (vec![], Action::Create), "what is not there needs no second plan");
        world.converge(&Terraform::new(quick()), 1).await.unwrap().unwrap();
        assert_eq!(
            world.calls().iter().filter(|call| *call == "plan").count(),
            0,
            "the same plan was applied"
        );
        assert_eq!(look().await, (planned(), Action::Keep), "what was applied is looked at");
        assert_eq!(look().await, (vec![], Action::Keep));

        // The state is another one, although it counts the same writes.
        let whole = fs::read_to_string(world.state_file()).unwrap();
        fs::write(world.state_file(), whole.replace("\"one\"", "\"other\"")).unwrap();
        let (calls, action) = look().await;
        assert!(calls == planned() && action != Action::Keep, "{calls:?}");
        fs::write(world.state_file(), &whole).unwrap();
        assert_eq!(look().await.1, Action::Keep);

        // The plan's own file is another one.
        let plans = world.path("state/cache/terraform/plans");
        let files = walk(&plans);
        assert!(files.iter().any(|file| file.ends_with("tfplan")), "{files:?}");
        for file in files.iter().filter(|file| file.ends_with("tfplan")) {
            fs::write(file, "damaged").unwrap();
        }
        assert_eq!(look().await, (planned(), Action::Keep));

        // Another variable, another file.
        let other = world.resource();
        let want = other.want.clone().unwrap().with("var.word", json!("two"));
        let other = code_core::provider::Resource { want: Some(want), ..other };
        let change = world.plan(&Terraform::new(quick()), &other).await.unwrap();
        assert_eq!(change.action, Action::Update);
        world.write(&MAIN.replace("\"one\"", "\"three\""));
        assert_eq!(look().await.1, Action::Update);
    })
    .await;
}

#[tokio::test]
async fn a_plan_of_what_is_elsewhere_is_made_each_time() {
    let outside = tempfile::tempdir().unwrap();
    let (outside, state) = (outside.path(), outside.path().join("other.tfstate"));
    let empty = json!({ "version": 4, "terraform_version": "1.0.0", "serial": 1, "lineage": "x", "outputs": {}, "resources": [] });
    fs::write(&state, empty.to_string()).unwrap();
    for more in [
        format!("locals {{ x = fileset(\"{}\", \"*\") }}", outside.display()),
        "output \"at\" { value = timestamp() }".to_owned(),
        format!(
            "data \"terraform_remote_state\" \"x\" {{\n  backend = \"local\"\n  config = {{ path = \"{}\" }}\n}}",
            state.display()
        ),
    ] {
        each_tool("plans that are made each time", async |tool| {
            let world = World::new(tool, &format!("{MAIN}{more}\n"));
            look(&world, &quick()).await;
            let (calls, _) = look(&world, &quick()).await;
            assert_eq!(calls, ["plan", "show"], "{more}");
        })
        .await;
    }
    each_tool("plans that the environment tells", async |tool| {
        let world = World::new(tool, MAIN);
        let settings = Settings { hand_on: vec!["TF_VAR_word".to_owned()], ..quick() };
        look(&world, &settings).await;
        assert_eq!(look(&world, &settings).await.0, ["plan", "show"]);
    })
    .await;
}

fn walk(dir: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(walk(&entry.path())),
            false => found.push(entry.path().display().to_string()),
        }
    }
    found
}
