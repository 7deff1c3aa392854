//! What nobody can judge: it closes the gate until a person accepts it by its id, and in a protected environment
//! it always does.

use crate::world::World;

const SENTENCE: &str = "Deploy a web app with a SQLite database to staging";

/// A policy of the project's own that cannot say whether an app may go out.
fn undecided(world: &World, settings: &str) {
    world.write(
        "policies/load.rego",
        r#"# METADATA
# title: Load is tested
# description: what was never under load falls over on its first day
# scope: package
# custom:
#   id: acme.load-tested
#   severity: high
#   looks_at: [spec]
#   help: run the load test, and say where its report is
package acme.load_tested

import data.code.lib
import rego.v1

findings contains lib.unknown("/environment", "nobody said whether this was tested under load")
"#,
    );
    world.settings("");
    let before = std::fs::read_to_string(world.project().join("code.toml")).unwrap();
    world.write("code.toml", &format!("policies = [\"policies\"]\n\n{before}{settings}"));
}

/// The id that the refusal names: with it, the flag can be copied as it stands there.
fn flag(err: &str) -> [String; 2] {
    let mut words = err.split_whitespace().skip_while(|word| *word != "--accept");
    [words.next(), words.next()].map(|word| word.expect("the flag and the id").to_owned())
}

#[test]
fn what_nobody_can_judge_is_accepted_by_its_id_only() {
    let world = World::new();
    undecided(&world, "");
    let refused = world.fails(&[SENTENCE, "--yes"], 4, "error[gate::unknown]");
    assert!(refused.err.contains("tested under load") && refused.out.contains("UNKNOWN"), "{refused}");
    let [accept, id] = flag(&refused.err);
    world.fails(&[SENTENCE, "--yes", &accept, "another-id"], 4, "gate::unknown");
    assert!(world.resources().is_empty(), "nothing was changed");

    let accepted = world.ok(&[SENTENCE, "--yes", &accept, &id]);
    assert!(accepted.out.contains("Deployed: shop/staging"), "{accepted}");
    let history = world.ok(&["history"]);
    assert!(history.out.contains(&format!("accepted by hand: {id}")), "{history}");
    // It was accepted once, and not for good.
    world.fails(&["scale the web app to 2 in staging", "--yes"], 4, "gate::unknown");
}

#[test]
fn in_a_protected_environment_it_is_a_no() {
    let world = World::new();
    undecided(&world, "[environments.staging]\n[environments.production]\nprotected = true\n");
    let sentence = "Deploy a web app with a SQLite database to production";
    // The id is the same as elsewhere, where it opens the gate.
    let [accept, id] = flag(&world.fails(&[SENTENCE, "--yes"], 4, "gate::unknown").err);
    for args in [&[sentence, "--yes"][..], &[sentence, "--yes", &accept, &id]] {
        let refused = world.fails(args, 3, "error[gate::refused]");
        assert!(refused.err.contains("tested under load"), "{refused}");
        assert!(!refused.err.contains("--accept"), "no flag opens it: {refused}");
    }
    assert!(world.resources().is_empty());
}

#[test]
fn a_limit_that_is_not_enforced_here_is_told() {
    let world = World::new();
    world.write("code.toml", "[components.web]\nmemory = \"512Mi\"\n");
    let planned = world.ok(&["Deploy a web app to staging", "--dry-run"]);
    for part in ["warn     resources.limits-enforced", "memory of `web` is written down", "systemd-run"] {
        assert!(planned.out.contains(part), "`{part}` is not in {planned}");
    }
}
