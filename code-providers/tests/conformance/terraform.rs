//! Roots of Terraform, with its own resources, which need no network.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use code_core::conformance::provider::{Sample, Scene};
use code_core::conformance::{self, Suite};
use code_core::local::LocalHost;
use code_core::provider::Resource;
use code_core::{Digest, Expr, Host, Want};
use code_providers::source_digest;
use code_providers::terraform::{Flavour, ROOT, Terraform};

/// A root with a resource for each word, one of which can be replaced, and with a sensitive output.
const MAIN: &str = r#"
variable "words" {
  type = list(string)
}
variable "password" {
  type      = string
  sensitive = true
}
resource "terraform_data" "word" {
  for_each = toset(var.words)
  input    = each.key
}
resource "terraform_data" "count" {
  input            = length(var.words)
  triggers_replace = length(var.words) > 2
}
output "words" { value = [for word in terraform_data.word : word.output] }
output "id" { value = terraform_data.count.id }
output "password" {
  value     = var.password
  sensitive = true
}
"#;

/// The tools that are here; says which is not, which is a failure in CI.
pub(crate) fn tools() -> Vec<Flavour> {
    let host = LocalHost::new();
    let is_here = |tool: &Flavour| {
        let found = host.which(tool.program()).is_some();
        if !found {
            println!("skipped: {} keeps the contract: it is not on this machine", tool.name());
        }
        found
    };
    Flavour::ALL.into_iter().filter(is_here).collect()
}

pub(crate) fn root(tool: Flavour) -> Suite {
    let sample = Sample::new(move |scene| of(scene, tool, &["one", "two"]))
        .changed(move |scene| of(scene, tool, &["one", "three", "four"]))
        .mistakes(move |scene| mistakes(scene, tool))
        .disturb(|_: &Terraform, scene, _| {
            let state = state_file(scene);
            let text = fs::read_to_string(&state).unwrap();
            fs::write(&state, text.replace("\"value\": \"one\"", "\"value\": \"another\"")).unwrap();
        })
        .hide(|_, scene| fs::write(state_file(scene), "{ cut of").unwrap())
        .outside(|_, scene| listing(case(scene)))
        .secret("sample/password", "a-password-0123456789")
        .patience(Duration::from_secs(300))
        .stops(3);
    conformance::provider(|| Arc::new(Terraform::default()), &sample)
        .named(&format!("{}.root", tool.engine()))
}

fn of(scene: &Scene, tool: Flavour, words: &[&str]) -> Resource {
    let files = files(scene, "root", MAIN);
    let want = want(tool, &files)
        .with("var.words", serde_json::json!(words))
        .with("var.password", Expr::secret("sample/password"))
        .with("secret_output.password", Expr::secret("sample/output"));
    Resource::new(scene.address(), ROOT, want)
}

fn want(tool: Flavour, files: &Path) -> Want {
    let digest = source_digest(files, None, None).unwrap_or(Digest::ZERO).to_string();
    Want::new().with("tool", tool.engine()).with("source", files.to_str().unwrap()).with("digest", digest)
}

fn files(scene: &Scene, name: &str, main: &str) -> PathBuf {
    let dir = scene.dir().join(name);
    if !dir.exists() {
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("main.tf"), main).unwrap();
    }
    dir
}

fn mistakes(scene: &Scene, tool: Flavour) -> Vec<Resource> {
    let of = |want: Want| Resource::new(scene.address(), ROOT, want);
    let good = files(scene, "good", "variable \"x\" {}\n");
    let broken = files(scene, "broken", "resource \"terraform_data\" {\n");
    let unknown = files(scene, "unknown", "resource \"no_such_thing\" \"x\" {}\n");
    let none = scene.dir().join("none");
    vec![
        of(want(tool, &good)),
        of(want(tool, &good).with("var.x", 1).with("var.y", 2)),
        of(want(tool, &good).with("var.x", 1).with("path", "nowhere")),
        of(want(tool, &good).with("var.x", 1).with("digest", Digest::ZERO.to_string())),
        of(want(tool, &broken)),
        of(want(tool, &unknown)),
        of(want(tool, &none)),
    ]
}

/// The directory of a case: that of all its scenes, and of the state.
fn case(scene: &Scene) -> &Path {
    scene.dir().parent().unwrap()
}

fn state_file(scene: &Scene) -> PathBuf {
    let root = case(scene).join("state/terraform/conformance@test").join(scene.address().as_str());
    root.join("terraform.tfstate")
}

/// Every file of the case with its inode, its time and its content, but for what can be made again at any time.
fn listing(dir: &Path) -> String {
    let mut told = String::new();
    let mut left = vec![dir.to_owned()];
    while let Some(path) = left.pop() {
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if meta.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path());
            let mut entries: Vec<PathBuf> = entries.filter(|path| !path.ends_with("state/cache")).collect();
            entries.sort();
            left.extend(entries);
            continue;
        }
        let content = Digest::of(&fs::read(&path).unwrap_or_default()).short();
        let time = (meta.mtime(), meta.mtime_nsec());
        let _ = writeln!(told, "{} {} {time:?} {content}", path.display(), meta.ino());
    }
    told
}
