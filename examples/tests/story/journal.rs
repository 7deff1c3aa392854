//! The journal from outside: its chain is checked, and what is wrong with it is said and mended.

use crate::world::World;

const SENTENCE: &str = "Deploy a web app with a SQLite database to staging";

#[test]
fn the_chain_from_a_sentence_to_its_effects_is_verified() {
    let world = World::new();
    world.fails(&["verify"], 2, "front::nothing-deployed");
    world.ok(&[SENTENCE, "--yes", "-q"]);
    world.ok(&["scale the web app to 2 in staging", "--yes", "-q"]);
    let shown = world.ok(&["verify"]);
    assert!(shown.out.contains("Chain HOLDS of shop/staging"), "{shown}");
    let links = world.json(&["verify"])["data"][0]["links"].clone();
    let links = links.as_array().unwrap();
    assert_eq!(links.len(), 10);
    for link in links {
        assert!(link["times"].as_u64() > Some(0) && link["broken"] == false, "{link} in {shown}");
    }
    // A release that somebody took away: nobody can go back to the revisions that name it.
    let releases = world.state().join("releases");
    std::fs::rename(&releases, world.path("elsewhere")).unwrap();
    let broken = world.fails(&["verify"], 12, "Chain BROKEN");
    assert!(broken.out.contains("a release that a revision names is not there"), "{broken}");
    std::fs::rename(world.path("elsewhere"), &releases).unwrap();
    world.ok(&["verify"]);
}
