//! Plan files that are not what they say, and a build whose output is hostile.

use std::os::unix::fs::PermissionsExt;

use crate::world::World;

const SENTENCE: &str = "Deploy a web app with a SQLite database to staging";

#[test]
fn a_plan_file_that_is_not_what_it_says_is_refused_with_its_own_error() {
    let world = World::new();
    let path = world.path("plan.json");
    let file = path.to_str().unwrap();
    world.ok(&["plan", SENTENCE, "--out", file]);
    let good = std::fs::read_to_string(&path).unwrap();
    let before = world.snapshot();
    let refused = |text: &str, code: i32, says: &str| {
        std::fs::write(&path, text).unwrap();
        let ended = world.fails(&["apply", file, "--yes"], code, says);
        assert!(ended.err.contains("hint:"), "{ended}");
        // A plan that has to be made again is made under the deployment's lock, which leaves its file.
        if code != 8 {
            assert_eq!(world.snapshot(), before, "{ended}");
        }
        assert!(!world.state().join("releases").exists(), "{ended}");
    };
    refused("", 2, "error[front::plan-file]");
    refused(&good[..good.len() / 2], 2, "it ends in the middle");
    refused("\u{1b}[2J{}", 2, "error[front::plan-file]");
    let (before_plan, plan) = good.split_once("\"plan\": {").expect("a plan");
    let newer = plan.replacen("\"version\": 1,", "\"version\": 2, \"new\": 1,", 1);
    refused(&format!("{before_plan}\"plan\": {{{newer}"), 2, "error[plan::version]");
    let edited = plan.replacen("\"delete_budget\": 10", "\"delete_budget\": 99", 1);
    refused(&format!("{before_plan}\"plan\": {{{edited}"), 3, "error[plan::edited]");
    // The same plan, said to be about somewhere else.
    refused(
        &good.replace("\"deployment\": \"shop/staging\"", "\"deployment\": \"shop/production\""),
        3,
        "error[plan::edited]",
    );
    // What the plan rests on is bound to it.
    refused(&good.replacen("\"delete_budget\": 10", "\"delete_budget\": 99", 1), 8, "error[plan::stale]");
    std::fs::write(&path, &good).unwrap();
    let elsewhere = world.path("elsewhere");
    let ended = world.fails(
        &["apply", file, "--yes", "--state", elsewhere.to_str().unwrap()],
        3,
        "plan::other-state",
    );
    assert!(ended.err.contains("hint:"), "{ended}");
    // Nothing of all this was in the way of the plan itself.
    world.ok(&["apply", file, "--yes", "-q"]);
}

#[test]
fn what_a_hostile_build_writes_moves_no_cursor() {
    let world = World::new();
    let build = world.write(
        "build.sh",
        "#!/bin/sh\nprintf '\\033[2J\\033]0;pwned\\007\\033[31merror: \\342\\200\\256gnp.exe <script>alert(1)</script>\\033[0m\\n'\n\
         head -c 100000000 /dev/zero | tr '\\0' 'x'\nprintf '\\n\\033[31mlast words\\033[0m\\n'\nexit 1\n",
    );
    std::fs::set_permissions(&build, std::fs::Permissions::from_mode(0o755)).unwrap();
    world.write("index.html", "hello\n");
    world.settings("");
    let text = std::fs::read_to_string(world.project().join("code.toml")).unwrap();
    let text = text.replace(
        "[components.web]\n",
        "[components.web]\nbuild = [\"./build.sh\"]\nstart = [\"./build.sh\"]\n",
    );
    world.write("code.toml", &text);
    let failed = world.run(&[SENTENCE, "--yes"]);
    assert_eq!(failed.code, 5, "{failed}");
    let report = world.path("report.html");
    world.ok(&["report", "--out", report.to_str().unwrap()]);
    for (name, text) in [
        ("what it says", failed.out + &failed.err),
        ("history", world.ok(&["history"]).out),
        ("status", world.ok(&["status"]).out),
        ("report", std::fs::read_to_string(&report).unwrap()),
    ] {
        assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}', '\0']), "{name}");
        assert!(!text.contains("<script>alert"), "{name}");
        assert!(text.len() < 500_000, "{name}: {} bytes", text.len());
    }
}
