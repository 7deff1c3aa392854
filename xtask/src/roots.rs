//! What the tests of Terraform's provider run: OpenTofu, two providers in a mirror, and a server of S3.
//!
//! ```text
//! CACHE/opentofu-VERSION/bin/tofu
//!      /gofakes3-VERSION/bin/gofakes3
//!      /mirror-VERSION-VERSION/HOST/hashicorp/{time,local}/VERSION/linux_amd64/   as `providers mirror` lays it out
//! ```
//!
//! Terraform itself is not built: its licence is not a free one, and what is here of it is used.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use test_cluster::cache;

use crate::go::{self, Go};
use crate::shell;

const OPENTOFU: &str = "1.12.6";
const GOFAKES3: &str = "1.2.0";
/// The last version of each that the module proxy can build.
const PROVIDERS: [(&str, &str, &str); 2] = [
    ("time", "github.com/hashicorp/terraform-provider-time", "0.14.2"),
    ("local", "github.com/terraform-providers/terraform-provider-local", "1.4.0"),
];
/// Where the two tools look for providers.
const HOSTS: [&str; 2] = ["registry.opentofu.org", "registry.terraform.io"];

/// The variable that tells the tests where the mirror is.
const MIRROR: &str = "CODE_TEST_MIRROR";

/// Builds what is not here yet, what is quick first; gives whether everything is here then.
pub(crate) fn bring() -> bool {
    let (s3, tofu) = (gofakes3(), opentofu());
    let s3 = s3.is_file()
        || go::build("gofakes3", |go| {
            go::place(&go.install("github.com/johannesboyne/gofakes3/cmd/gofakes3", GOFAKES3)?, &s3)
        });
    let providers = mirrored().is_file() || go::build("providers", providers);
    let tofu = tofu.is_file() || go::build("OpenTofu", |go| build_opentofu(go, &tofu));
    s3 && providers && tofu
}

/// Whether everything was built already.
pub(crate) fn is_here() -> bool {
    gofakes3().is_file() && mirrored().is_file() && opentofu().is_file()
}

/// Lets a test program find what is here.
pub(crate) fn lend(command: &mut Command) {
    let tools = [opentofu(), gofakes3()].into_iter().filter(|tool| tool.is_file());
    let dirs = tools.filter_map(|tool| Some(tool.parent()?.to_owned()));
    let path = shell::variable("PATH").unwrap_or_default();
    // A directory with a colon in its name is in no `PATH`.
    if let Ok(path) = std::env::join_paths(dirs.chain(std::env::split_paths(&path))) {
        command.env("PATH", path);
    }
    if mirrored().is_file() {
        command.env(MIRROR, mirror());
    }
}

fn opentofu() -> PathBuf {
    cache().join(format!("opentofu-{OPENTOFU}/bin/tofu"))
}

fn gofakes3() -> PathBuf {
    cache().join(format!("gofakes3-{GOFAKES3}/bin/gofakes3"))
}

fn mirror() -> PathBuf {
    let versions: Vec<&str> = PROVIDERS.iter().map(|(_, _, version)| *version).collect();
    cache().join(format!("mirror-{}", versions.join("-")))
}

/// What is put there last.
fn mirrored() -> PathBuf {
    mirror().join("whole")
}

/// The module says itself how it is built, also with a dependency of its own in the place of another's: so it is
/// built where its files are.
fn build_opentofu(go: &Go, to: &Path) -> io::Result<()> {
    let (module, work) = (format!("github.com/opentofu/opentofu@v{OPENTOFU}"), go.dir("opentofu")?);
    // A module that is named with its version needs one around it.
    std::fs::write(work.join("go.mod"), "module tools-for-tests\n")?;
    go.run(&work, &["mod", "download", &module])?;
    let built = work.join("tofu");
    let into = built.display().to_string();
    // Its releases are built so, too.
    let flags = "-s -w -X github.com/opentofu/opentofu/version.dev=no";
    go.run(&go.modules().join(module), &["build", "-ldflags", flags, "-o", &into, "./cmd/tofu"])?;
    go::place(&built, to)
}

fn providers(go: &Go) -> io::Result<()> {
    for (name, module, version) in PROVIDERS {
        let built = go.install(module, version)?;
        for host in HOSTS {
            let dir = mirror().join(host).join("hashicorp").join(name).join(version).join(target());
            go::place(&built, &dir.join(format!("terraform-provider-{name}_v{version}")))?;
        }
    }
    std::fs::write(mirrored(), "")
}

/// This machine, as the tools call it.
fn target() -> String {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{}_{arch}", std::env::consts::OS)
}
