//! A root in a directory of its own, and the provider on it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use code_core::host::{Command, Output};
use code_core::local::LocalHost;
use code_core::memory::MemorySecrets;
use code_core::provider::{Change, Failed, Live, Observed, Resource};
use code_core::{Ctx, Deployment, Digest, Host, Key, Provider, Result, StepId, Want};
use code_providers::source_digest;
use code_providers::terraform::{Flavour, ROOT, Settings, Terraform};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub(crate) struct World {
    dir: TempDir,
    host: Arc<Watched>,
    pub(crate) tool: Flavour,
}

/// Holds for each of the tools; one that is not on this machine is named, which is a failure in CI.
pub(crate) async fn each_tool(what: &str, test: impl AsyncFn(Flavour)) {
    let host = LocalHost::new();
    for tool in Flavour::ALL {
        match host.which(tool.program()) {
            Some(_) => test(tool).await,
            None => println!("skipped: {what}: `{}` is not on this machine", tool.program()),
        }
    }
}

impl World {
    pub(crate) fn new(tool: Flavour, main: &str) -> World {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("root")).unwrap();
        let world = World { dir, host: Arc::default(), tool };
        world.write(main);
        world
    }

    pub(crate) fn write(&self, main: &str) {
        fs::write(self.path("root/main.tf"), main).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The same world with a program of the tool's name in the place of the tool.
    pub(crate) fn with_program(&mut self, script: &str) {
        let program = self.path("program");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        self.host = Arc::new(Watched { program: Some(program), ..Watched::default() });
    }

    /// What the tools were called for since this was asked last.
    pub(crate) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.host.calls.lock().unwrap())
    }

    pub(crate) fn resource(&self) -> Resource {
        let files = self.path("root");
        let digest = source_digest(&files, None, None).unwrap_or(Digest::ZERO);
        let want = Want::new()
            .with("tool", self.tool.engine())
            .with("source", files.to_str().unwrap())
            .with("digest", digest.to_string());
        Resource::new("infra/endpoint".parse().unwrap(), ROOT, want)
    }

    pub(crate) fn ctx(&self, step: u32) -> Ctx {
        let key = Key::of(Digest::of(self.dir.path().as_os_str().as_encoded_bytes()), StepId(step), false);
        Ctx::new(Arc::clone(&self.host) as _, Arc::new(MemorySecrets::new()), self.path("state"))
            .for_deployment(&Deployment::new("shop", "staging").unwrap())
            .for_step(key, Default::default())
    }

    pub(crate) async fn plan(&self, terraform: &Terraform, resource: &Resource) -> Result<Change> {
        let ctx = self.ctx(0);
        let seen = terraform.observe(&ctx, resource, None).await?;
        terraform.plan(&ctx, resource, &seen).await
    }

    pub(crate) async fn converge(&self, terraform: &Terraform, step: u32) -> Result<Option<Live>, Failed> {
        let change = self.plan(terraform, &self.resource()).await?;
        terraform.apply(&self.ctx(step), &change).await
    }

    pub(crate) async fn observe(&self, terraform: &Terraform) -> Result<Observed> {
        terraform.observe(&self.ctx(0), &self.resource(), None).await
    }

    /// Where the root's state lies, where it has no backend of its own.
    pub(crate) fn state_file(&self) -> PathBuf {
        self.path("state/terraform/shop@staging/infra/endpoint/terraform.tfstate")
    }

    /// The state of the root, as it is on the disk.
    pub(crate) fn state(&self) -> Option<Vec<u8>> {
        fs::read(self.state_file()).ok()
    }
}

/// Settings under which a test need not wait for long.
pub(crate) fn quick() -> Settings {
    let lock_timeout = Duration::ZERO;
    Settings { lock_timeout, grace: Duration::from_secs(2), ..Settings::default() }
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// This machine, which notes what is run; with another program in the place of the tools, where there is one.
#[derive(Debug, Default)]
struct Watched {
    program: Option<PathBuf>,
    real: LocalHost,
    calls: Mutex<Vec<String>>,
}

#[async_trait]
impl Host for Watched {
    fn now(&self) -> jiff::Timestamp {
        self.real.now()
    }
    fn uptime(&self) -> Duration {
        self.real.uptime()
    }
    fn grace(&self) -> Duration {
        self.real.grace()
    }
    fn env(&self, name: &str) -> Option<String> {
        self.real.env(name)
    }
    fn user(&self) -> String {
        self.real.user()
    }
    fn which(&self, program: &str) -> Option<PathBuf> {
        self.program.clone().or_else(|| self.real.which(program))
    }
    async fn sleep(&self, duration: Duration) {
        self.real.sleep(duration).await;
    }
    async fn run(
        &self,
        cancel: &CancellationToken,
        command: Command,
        on_line: &(dyn for<'l> Fn(&'l str) + Send + Sync),
    ) -> Result<Output> {
        let call = command.args.first().map(|arg| arg.to_string_lossy().into_owned());
        self.calls.lock().unwrap().extend(call);
        self.real.run(cancel, command, on_line).await
    }
    async fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        self.real.read(path).await
    }
    async fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
        self.real.write(path, bytes, mode).await
    }
}
