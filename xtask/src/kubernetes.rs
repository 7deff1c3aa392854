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

use test_cluster::{KUBERNETES, KWOK, cache};

use crate::go::{self, Go};

/// What is built of Kubernetes.
const PROGRAMS: [&str; 3] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];

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
    let (plane, kwok) = places();
    go::build(&format!("Kubernetes {KUBERNETES} and kwok {KWOK}"), |go| {
        build_kwok(go, &kwok)?;
        build_plane(go, &plane)
    })
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

fn build_kwok(go: &Go, to: &Path) -> io::Result<()> {
    let built = go.install("sigs.k8s.io/kwok/cmd/kwok", KWOK)?;
    // Its stages come with the module: without them it plays nothing.
    let stages = go.modules().join(format!("sigs.k8s.io/kwok@v{KWOK}/kustomize/stage"));
    copy_dir(&stages, &to.join("stage"))?;
    go::place(&built, &to.join("bin/kwok"))
}

fn build_plane(go: &Go, to: &Path) -> io::Result<()> {
    let dir = go.dir("plane")?;
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
        go.run(&dir, &["build", "-ldflags", &flags, "-o", name, &package])?;
        go::place(&dir.join(name), &to.join("bin").join(name))?;
    }
    Ok(())
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
