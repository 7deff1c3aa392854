//! The tests of the example `custom_provider`, which stand in its file.

#[path = "../custom_provider.rs"]
#[expect(dead_code, reason = "its `main` is the example's")]
mod custom_provider;
