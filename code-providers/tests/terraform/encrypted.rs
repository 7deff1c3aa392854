//! A state that OpenTofu encrypts: it is read through the tool.

use code_core::Provider;
use code_core::provider::{Action, Observed};
use code_providers::terraform::{Flavour, Terraform};

use crate::world::{World, each_tool, quick};

fn root(word: &str) -> String {
    format!(
        "terraform {{\n  encryption {{\n    key_provider \"pbkdf2\" \"key\" {{\n      \
         passphrase = \"a passphrase of a test\"\n      iterations = 200000\n    }}\n    method \"aes_gcm\" \"new\" {{\n      \
         keys = key_provider.pbkdf2.key\n    }}\n    state {{\n      method = method.aes_gcm.new\n      \
         enforced = true\n    }}\n    plan {{\n      method = method.aes_gcm.new\n      enforced = true\n    \
         }}\n  }}\n}}\nresource \"terraform_data\" \"x\" {{\n  input = \"{word}\"\n}}\n\
         output \"word\" {{ value = terraform_data.x.output }}\n"
    )
}

#[tokio::test]
async fn an_encrypted_state_is_read_through_the_tool() {
    each_tool("a state that is encrypted", async |tool| {
        if tool == Flavour::Terraform {
            // It knows no such block.
            return;
        }
        let world = World::new(tool, &root("unreadable"));
        let terraform = Terraform::new(quick());
        let live = world.converge(&terraform, 1).await.unwrap().unwrap();
        assert_eq!(live.outputs["word"].known().unwrap(), "unreadable");
        let state = String::from_utf8(world.state().unwrap()).unwrap();
        assert!(state.contains("encrypted_data") && !state.contains("unreadable"), "{state}");
        for fresh in [Terraform::new(quick()), Terraform::new(quick())] {
            let change = world.plan(&fresh, &world.resource()).await.unwrap();
            assert_eq!(change.action, Action::Keep, "{change:?}");
        }
        world.write(&root("another"));
        let live = world.converge(&terraform, 2).await.unwrap().unwrap();
        assert_eq!(live.outputs["word"].known().unwrap(), "another");
        let gone = world.plan(&terraform, &world.resource().gone()).await.unwrap();
        assert_eq!(terraform.apply(&world.ctx(3), &gone).await.unwrap(), None);
        assert_eq!(world.observe(&terraform).await.unwrap(), Observed::Absent);
    })
    .await;
}
