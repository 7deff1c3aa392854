//! The same canaries, and what git keeps of the runs that succeed: objects, messages, names and files.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use code_core::local::LocalHost;
use code_core::memory::MemoryExporter;
use code_providers::git::GitExporter;

use crate::leaky::{CHANNELS, Channel};
use crate::needles::{FORMS, Form, Needles, canaries};
use crate::{BATCH, CANARIES, Leak, Sinks, ground, leak, quiet};

/// What git says in a repository, all of it.
#[expect(clippy::disallowed_methods, reason = "a test looks from outside")]
fn git(dir: &Path, args: &[&str]) -> Vec<u8> {
    let output = Command::new("git").arg("--git-dir").arg(dir).args(args).output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The channels that a run survives, so that something is exported after it.
async fn survived() -> Vec<Channel> {
    let secrets = canaries(1);
    let mut survived = Vec::new();
    for channel in CHANNELS {
        let (dir, exporter) = (ground(), Arc::new(MemoryExporter::new()));
        let one = Leak { secrets: &secrets, channel: *channel, form: Form::Plain, turn: 0 };
        leak(one, dir.path(), Arc::new(LocalHost::new()), Arc::clone(&exporter) as _).await;
        if !exporter.exports().is_empty() {
            survived.push(*channel);
        }
    }
    survived
}

#[tokio::test]
async fn none_is_committed() {
    quiet();
    let (all, channels) = (canaries(CANARIES), survived().await);
    assert!(channels.len() > 5, "{channels:?}");
    let (mut commits, mut objects, mut bytes) = (0, 0, 0);
    for (number, batch) in all.chunks(BATCH).enumerate() {
        let needles = Needles::of(batch);
        for (i, form) in FORMS.into_iter().enumerate() {
            // A commit for each form of each secret; the channels take turns.
            let turn = number * FORMS.len() + i;
            let channel = channels[turn % channels.len()];
            let (dir, host) = (ground(), Arc::new(LocalHost::new()));
            let one = Leak { secrets: batch, channel, form, turn };
            let mut sinks: Sinks = leak(one, dir.path(), host, Arc::new(GitExporter::new())).await;
            let repository = dir.path().join("git/shop@staging.git");
            let mut read = |name: &str, args: &[&str]| {
                let text = git(&repository, args);
                let lines = text.iter().filter(|byte| **byte == b'\n').count();
                sinks.push((name.to_owned(), String::from_utf8_lossy(&text).into_owned()));
                lines
            };
            read("objects", &["cat-file", "--batch-all-objects", "--batch"]);
            objects += read("names", &["cat-file", "--batch-all-objects", "--batch-check"]);
            commits +=
                read("messages", &["log", "--all", "--no-decorate", "--format=%H %an %ae %cn %ce %s%n%b"])
                    .min(1);
            assert_eq!(read("refs", &["for-each-ref"]), 1);
            for (name, text) in &sinks {
                bytes += text.len();
                assert_eq!(needles.found_in(text.as_bytes()), None, "in {name}: {channel:?}, {form:?}");
            }
        }
    }
    assert_eq!(commits, all.len().div_ceil(BATCH) * FORMS.len());
    println!(
        "figure: canaries in git: {} secrets × {} forms through {} channels: {commits} commits, {objects} objects, {} KiB, 0 found",
        all.len(),
        FORMS.len(),
        channels.len(),
        bytes / 1024
    );
}
