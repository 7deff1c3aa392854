//! How long a person looks at nothing: from the start of a command to the first byte that it shows.

use std::io::Read;
use std::time::{Duration, Instant};

use crate::world::{Running, World};

const SENTENCE: &str = "Deploy a web app with a SQLite database to staging";

/// The best of a few, as the machine may have other things to do.
fn first_byte(world: &World, args: &[&str]) -> Duration {
    let once = || {
        let mut command = world.command(args);
        let start = Instant::now();
        let mut run = Running(command.spawn().expect("the binary runs"));
        let mut out = run.0.stdout.take().expect("a pipe");
        let read = out.read(&mut [0]).expect("a byte");
        let took = start.elapsed();
        assert_eq!(read, 1, "{args:?} showed nothing");
        // To its end: what was killed in the middle says nothing true about the next one.
        out.read_to_end(&mut Vec::new()).expect("the rest");
        run.0.wait().expect("an end");
        took
    };
    (0..5).map(|_| once()).min().expect("one of five")
}

#[test]
fn the_first_byte_is_measured() {
    let world = World::new();
    world.ok(&[SENTENCE, "--yes", "-q"]);
    for args in [&["--help"][..], &["status"], &["explain"], &[SENTENCE, "--dry-run"]] {
        let shown = args[0];
        println!("figure: first output of `deploy {shown}`: {} ms", first_byte(&world, args).as_millis());
    }
}
