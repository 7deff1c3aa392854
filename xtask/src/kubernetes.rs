//! The control plane of Kubernetes and kwok, built from their Go modules, once for each version.
//!
//! ```text
//! Go module proxy ──▶ a module of our own ──go build──▶ ~/.cache/code-ci/kubernetes-VERSION/bin
//!                     kwok, its stages    ──go install──▶ ~/.cache/code-ci/kwok-VERSION/{bin,stage}
//! ```
//!
//! Some ten minutes on two cores, so the result lies outside of the checkout and the next run finds it. The build has its
//! own caches, which are removed with it: they grow to gigabytes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use test_cluster::{KUBERNETES, KWOK, cache};

use crate::go::Go;
use crate::shell;

/// What is built of Kubernetes.
const PROGRAMS: [&str; 3] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];

/// How the folder of a build is called, before the number of its process.
const WORK: &str = "build-kubernetes-";

/// The modules that are developed in the repository of Kubernetes: their releases have another number.
const STAGING: &str = "api apiextensions-apiserver apimachinery apiserver cli-runtime client-go cloud-provider \
    cluster-bootstrap code-generator component-base component-helpers controller-manager cri-api cri-client \
    csi-translation-lib dynamic-resource-allocation endpointslice externaljwt kms kube-aggregator \
    kube-controller-manager kube-proxy kube-scheduler kubectl kubelet metrics mount-utils pod-security-admission \
    sample-apiserver sample-cli-plugin sample-controller";

/// Builds what is not here yet; gives whether everything is here then.
pub(crate) fn bring() -> bool {
    if is_here() {
        return true;
    }
    if shell::find("go").is_none() {
        eprintln!(
            "xtask: `go` is not here, and builds the control plane for tests: `apt-get install golang-go`, or see \
             https://go.dev/dl"
        );
        return false;
    }
    println!("xtask: building Kubernetes {KUBERNETES} and kwok {KWOK} into {}", cache().display());
    let begun = Instant::now();
    sweep();
    // A folder of this process: two runs do not disturb each other, and the last one to finish is kept.
    let work = cache().join(format!("{WORK}{}", std::process::id()));
    let (plane, kwok) = places();
    let built = Go::new(&work).and_then(|go| {
        build_kwok(&go, &work, &kwok)?;
        build_plane(&go, &work, &plane)
    });
    let _ = fs::remove_dir_all(&work);
    let seconds = begun.elapsed().as_secs();
    match &built {
        Ok(()) => println!("xtask: Kubernetes {KUBERNETES} and kwok {KWOK} are built, in {seconds} s"),
        Err(error) => eprintln!("xtask: failed to build Kubernetes, after {seconds} s: {error}"),
    }
    built.is_ok()
}

/// Whether everything was built already.
pub(crate) fn is_here() -> bool {
    let (plane, kwok) = places();
    PROGRAMS.iter().all(|name| plane.join("bin").join(name).is_file())
        && kwok.join("bin/kwok").is_file()
        && kwok.join("stage").is_dir()
}

/// Where the control plane and kwok lie.
fn places() -> (PathBuf, PathBuf) {
    (cache().join(format!("kubernetes-{KUBERNETES}")), cache().join(format!("kwok-{KWOK}")))
}

/// Removes what a killed build left: gigabytes.
fn sweep() {
    for entry in fs::read_dir(cache()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(pid) = name.strip_prefix(WORK) else { continue };
        if !Path::new("/proc").join(pid).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn build_kwok(go: &Go, work: &Path, to: &Path) -> io::Result<()> {
    let dir = work.join("kwok");
    fs::create_dir_all(&dir)?;
    let mut install = go.command(&dir, &["install", &format!("sigs.k8s.io/kwok/cmd/kwok@v{KWOK}")]);
    install.env("GOBIN", &dir);
    done(install)?;
    // Its stages come with the module: without them it plays nothing.
    let stages = go.modules().join(format!("sigs.k8s.io/kwok@v{KWOK}/kustomize/stage"));
    copy_dir(&stages, &to.join("stage"))?;
    place(&dir.join("kwok"), &to.join("bin/kwok"))
}

fn build_plane(go: &Go, work: &Path, to: &Path) -> io::Result<()> {
    let dir = work.join("plane");
    fs::create_dir_all(&dir)?;
    let minor = KUBERNETES.trim_start_matches("1.");
    let replaced: Vec<String> = STAGING
        .split_whitespace()
        .map(|name| format!("replace k8s.io/{name} => k8s.io/{name} v0.{minor}\n"))
        .collect();
    let module = format!(
        "module kubernetes-for-tests\n\ngo 1.24.0\n\nrequire k8s.io/kubernetes v{KUBERNETES}\n\n{}",
        replaced.concat()
    );
    fs::write(dir.join("go.mod"), module)?;
    let flags = format!("-s -w -X k8s.io/component-base/version.gitVersion=v{KUBERNETES}");
    for name in PROGRAMS {
        let package = format!("k8s.io/kubernetes/cmd/{name}");
        done(go.command(&dir, &["build", "-ldflags", &flags, "-o", name, &package]))?;
        place(&dir.join(name), &to.join("bin").join(name))?;
    }
    Ok(())
}

fn done(command: Command) -> io::Result<()> {
    match shell::run(command) {
        true => Ok(()),
        false => Err(io::Error::other("go did not succeed; see above")),
    }
}

/// Puts a file in its place whole or not at all.
fn place(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to.parent().unwrap_or(to))?;
    let beside = to.with_extension(format!("{}", std::process::id()));
    fs::copy(from, &beside)?;
    fs::rename(&beside, to)
}

fn copy_dir(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_dir(&entry.path(), &to)?,
            false => fs::copy(entry.path(), &to).map(drop)?,
        }
    }
    Ok(())
}
