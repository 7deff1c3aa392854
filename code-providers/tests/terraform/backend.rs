//! A backend of the root's own: a state and a lock on a server, as the tools' backend `http` has them.

use code_core::Provider;
use code_core::provider::{Action, Observed};
use code_providers::terraform::Terraform;

use crate::server::{LOCK, serve};
use crate::world::{World, each_tool, quick};

fn root(port: u16, word: &str) -> String {
    let url = format!("http://127.0.0.1:{port}/state");
    format!(
        "terraform {{\n  backend \"http\" {{\n    address = \"{url}\"\n    lock_address = \"{url}\"\n    \
         unlock_address = \"{url}\"\n  }}\n}}\n\
         resource \"terraform_data\" \"x\" {{\n  input = \"{word}\"\n}}\noutput \"word\" {{ value = \"{word}\" }}\n"
    )
}

#[tokio::test]
async fn a_state_elsewhere_is_looked_at_without_a_write_and_a_stuck_lock_is_told() {
    each_tool("a state on a server", async |tool| {
        let (port, kept) = serve();
        let world = World::new(tool, &root(port, "one"));
        let terraform = Terraform::new(quick());
        let live = world.converge(&terraform, 1).await.unwrap().unwrap();
        assert_eq!(live.outputs["word"].known().unwrap(), "one");
        assert!(world.state().is_none(), "the state is on the server");

        // Looking and planning write nothing there, and take no lock.
        let writes = kept.lock().unwrap().writes;
        assert!(matches!(world.observe(&terraform).await.unwrap(), Observed::Present(_)));
        world.write(&root(port, "two"));
        let change = world.plan(&terraform, &world.resource()).await.unwrap();
        assert_eq!((change.action, kept.lock().unwrap().writes), (Action::Update, writes));

        // What somebody who is gone has left behind.
        kept.lock().unwrap().lock = Some(LOCK.as_bytes().to_vec());
        let failed = terraform.apply(&world.ctx(2), &change).await.unwrap_err();
        assert_eq!(failed.error.code(), "terraform::lock-held", "{:?}", failed.error);
        let said = format!("{:?}", failed.error);
        // Of a lock on such a server, the tools tell no more than its id.
        assert!(said.contains("deploy unlock COMPONENT 0b1c-stuck"), "{said}");
        assert!(kept.lock().unwrap().lock.is_some(), "a lock is never broken by itself");
        let address = world.resource().address;
        let wrong = terraform.unlock(&world.ctx(3), &address, "another").await;
        println!("another id: {wrong:?}");
        kept.lock().unwrap().lock = Some(LOCK.as_bytes().to_vec());
        terraform.unlock(&world.ctx(4), &address, "0b1c-stuck").await.unwrap();
        assert!(kept.lock().unwrap().lock.is_none());
        let live = world.converge(&terraform, 5).await.unwrap().unwrap();
        assert_eq!(live.outputs["word"].known().unwrap(), "two");
    })
    .await;
}
