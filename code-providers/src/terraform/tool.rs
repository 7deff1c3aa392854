//! `tofu` and `terraform`, called so that they ask nothing, tell no one, and answer in JSON.
//!
//! ```text
//! Tool ── init ── validate ── plan -out ── show ── apply PLAN ── state pull ── force-unlock ── import
//!   │       in a working copy of the root (`work`), never in the project itself
//!   └── each line of the machine-readable UI ──▶ diagnostics, progress
//! ```

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use code_core::host::{Command, Output};
use code_core::{Ctx, Digest, Layout, Result};

use super::config::{Flavour, Root, Settings, Variable};
use super::error::{self, Call};
use super::parse::{self, Diagnostic, Message};
use super::place::{private_dir, private_file};

/// The oldest versions that also make a root ready in JSON.
const OLDEST: [(Flavour, (u32, u32)); 2] = [(Flavour::OpenTofu, (1, 8)), (Flavour::Terraform, (1, 9))];
/// The longest that a question about the program itself may take.
const VERSION_LIMIT: Duration = Duration::from_secs(20);
/// The most diagnostics that are kept of one call.
const MOST_DIAGNOSTICS: usize = 50;
/// As much as a host keeps of an output: an answer of this size may have been cut.
const MOST_OUTPUT: usize = 16 << 20;

/// No question, no colour, nothing from this machine's settings but what is named.
const ENVIRONMENT: [(&str, &str); 4] =
    [("TF_IN_AUTOMATION", "1"), ("TF_INPUT", "0"), ("CHECKPOINT_DISABLE", "1"), ("LC_ALL", "C")];
/// What reaching a network may need.
const HANDED_ON: [&str; 9] = [
    "ALL_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// One of the tools, found on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tool {
    pub(super) flavour: Flavour,
    pub(super) program: PathBuf,
    pub(super) version: String,
}

/// What one call came back with.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) output: Output,
    pub(super) said: Vec<Diagnostic>,
    /// Whether it ended with a summary, as a plan and an apply do.
    pub(super) summed_up: bool,
}

impl Tool {
    /// The tool of this flavour, where it is here and not too old.
    ///
    /// # Errors
    /// `terraform::missing`, `terraform::too-old`, `terraform::rubbish`, and those of the host.
    pub(super) async fn find(ctx: &Ctx, flavour: Flavour) -> Result<Tool> {
        let program = ctx.host().which(flavour.program()).ok_or_else(|| error::missing(flavour))?;
        let command = Command::new(&program).args(["version", "-json"]).timeout(VERSION_LIMIT);
        let command = ENVIRONMENT.iter().fold(command, |command, (name, value)| command.env(*name, *value));
        let output = ctx.host().run(ctx.cancel(), command, &|_| {}).await?;
        let version = parse::version(&output.stdout).filter(|_| output.success());
        let numbers = version.as_deref().and_then(parse::numbers);
        let (Some(version), Some(numbers)) = (version, numbers) else {
            return Err(error::wordless(Call::Show, flavour, &output));
        };
        let oldest = OLDEST.iter().find(|(of, _)| *of == flavour).map_or((0, 0), |(_, oldest)| *oldest);
        if numbers < oldest {
            return Err(error::too_old(flavour, &version, oldest));
        }
        Ok(Tool { flavour, program, version })
    }

    /// The same, without asking the program, where it was asked before and is the same file still.
    ///
    /// # Errors
    /// As [`Tool::find`].
    pub(super) async fn again(ctx: &Ctx, flavour: Flavour, program: PathBuf) -> Result<Tool> {
        let cache = Layout::new(ctx.state_dir()).cache("terraform");
        let Some(file) = kept_version(&cache, &program) else { return Tool::find(ctx, flavour).await };
        // What was cut off has no end of its line.
        if let Some(version) =
            fs::read_to_string(&file).ok().and_then(|text| Some(text.strip_suffix('\n')?.to_owned()))
        {
            return Ok(Tool { flavour, program, version });
        }
        let tool = Tool::find(ctx, flavour).await?;
        private_dir(&cache)?;
        // What cannot be kept is asked for again.
        let _ = private_file(&file, &format!("{}\n", tool.version));
        Ok(tool)
    }

    /// Its name and version, for people.
    pub(super) fn shown(&self) -> String {
        format!("{} {}", self.flavour.name(), self.version)
    }
}

/// Where the version of a program is kept, by what its file is; `None` for a script, which may call another one
/// tomorrow.
fn kept_version(cache: &Path, program: &Path) -> Option<PathBuf> {
    let mut magic = [0; 4];
    fs::File::open(program).ok()?.read_exact(&mut magic).ok()?;
    let meta = fs::metadata(program).ok().filter(|_| magic == *b"\x7fELF")?;
    let of = (program, meta.len(), meta.ino(), meta.mtime(), meta.mtime_nsec());
    Some(cache.join(format!("version-{}", Digest::of_json(&of).short())))
}

/// A tool in a directory with the files of a root.
#[derive(Debug)]
pub(super) struct Runner<'a> {
    pub(super) ctx: &'a Ctx,
    pub(super) settings: &'a Settings,
    pub(super) tool: &'a Tool,
    pub(super) root: &'a Root,
    /// Where the root's files are.
    pub(super) dir: PathBuf,
    /// The tool's own settings.
    pub(super) cli_config: PathBuf,
}

impl Runner<'_> {
    /// Makes the directory ready: modules, providers, backend.
    pub(super) async fn init(&self) -> Result<()> {
        // What it says as lines of JSON differs between versions; its diagnostics do not.
        let answer =
            self.run(&["init", "-input=false", "-no-color", "-json"], Limit::Look, &|_, _| {}).await?;
        if answer.output.success() { Ok(()) } else { Err(self.failed(Call::Init, &answer)) }
    }

    /// Checks the configuration, as far as that can be done without any value.
    pub(super) async fn validate(&self) -> Result<()> {
        let answer = self.run(&["validate", "-no-color", "-json"], Limit::Look, &|_, _| {}).await?;
        let Some(said) = parse::validation(&answer.output.stdout) else {
            return Err(error::wordless(Call::Plan, self.tool.flavour, &answer.output));
        };
        match said.iter().any(Diagnostic::is_error) {
            true => Err(self.failed(Call::Plan, &Answer { said, ..answer })),
            false => Ok(()),
        }
    }

    /// Saves a plan of what would be done. It takes no lock and writes no state.
    pub(super) async fn plan(&self, out: &Path, variables: &Path, more: &[String]) -> Result<()> {
        let out = format!("-out={}", out.display());
        let variables = format!("-var-file={}", variables.display());
        let mut args = vec!["plan", "-input=false", "-no-color", "-json", "-lock=false", &out, &variables];
        args.extend(more.iter().map(String::as_str));
        let answer = self.run(&args, Limit::Look, &|_, _| {}).await?;
        if !answer.output.success() {
            return Err(self.failed(Call::Plan, &answer));
        }
        if !answer.summed_up {
            return Err(error::wordless(Call::Plan, self.tool.flavour, &answer.output));
        }
        Ok(())
    }

    /// What a saved plan would do.
    pub(super) async fn show(&self, plan: &Path) -> Result<parse::Planned> {
        let plan = plan.display().to_string();
        let answer = self.run(&["show", "-no-color", "-json", &plan], Limit::Look, &|_, _| {}).await?;
        if !answer.output.success() {
            return Err(self.failed(Call::Show, &answer));
        }
        if answer.output.stdout.len() >= MOST_OUTPUT {
            return Err(error::too_much("what the root's plan says"));
        }
        parse::planned(&answer.output.stdout)
            .ok_or_else(|| error::wordless(Call::Show, self.tool.flavour, &answer.output))
    }

    /// Applies a saved plan, exactly that.
    pub(super) async fn apply(
        &self,
        plan: &Path,
        on_message: &(dyn Fn(&Message, &str) + Send + Sync),
    ) -> Result<Answer> {
        let lock = format!("-lock-timeout={}s", self.settings.lock_timeout.as_secs());
        let plan = plan.display().to_string();
        let args = ["apply", "-input=false", "-no-color", "-json", &lock, &plan];
        self.run(&args, Limit::None, on_message).await
    }

    /// The state, as the backend has it; `None` where there is none yet.
    pub(super) async fn pull(&self) -> Result<Option<Vec<u8>>> {
        let answer = self.run(&["state", "pull"], Limit::Look, &|_, _| {}).await?;
        if !answer.output.success() {
            return Err(self.failed(Call::State, &answer));
        }
        if answer.output.stdout.len() >= MOST_OUTPUT {
            return Err(error::too_much("the root's state"));
        }
        let empty = answer.output.stdout.trim_ascii().is_empty();
        Ok((!empty).then_some(answer.output.stdout))
    }

    /// Breaks the lock of this id.
    pub(super) async fn unlock(&self, id: &str) -> Result<()> {
        let answer = self.run(&["force-unlock", "-force", id], Limit::Look, &|_, _| {}).await?;
        if answer.output.success() { Ok(()) } else { Err(self.failed(Call::Unlock, &answer)) }
    }

    /// Why a call failed.
    pub(super) fn failed(&self, call: Call, answer: &Answer) -> code_core::Error {
        error::failed(call, self.tool.flavour, &answer.output, &answer.said, self.ctx.host().now())
    }

    async fn run(
        &self,
        args: &[&str],
        limit: Limit,
        on_message: &(dyn Fn(&Message, &str) + Send + Sync),
    ) -> Result<Answer> {
        let heard: Mutex<(Vec<Diagnostic>, bool)> = Mutex::default();
        let on_line = |line: &str| {
            let Some((message, text)) = parse::message(line) else { return };
            on_message(&message, &text);
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            match message {
                Message::Diagnostic(one) if heard.0.len() < MOST_DIAGNOSTICS => heard.0.push(one),
                Message::Summary => heard.1 = true,
                _ => {}
            }
        };
        let command = self.command(args, limit).await?;
        let output = self.ctx.host().run(self.ctx.cancel(), command, &on_line).await?;
        let (said, summed_up) = heard.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Answer { output, said, summed_up })
    }

    async fn command(&self, args: &[&str], limit: Limit) -> Result<Command> {
        let host = self.ctx.host();
        let mut command = Command::new(&self.tool.program).args(args.iter().copied()).cwd(&self.dir);
        let named = self.settings.hand_on.iter().map(String::as_str);
        for name in HANDED_ON.into_iter().chain(named) {
            if let Some(value) = host.env(name) {
                command = command.env(name, value);
            }
        }
        for (name, value) in &self.root.env {
            command = command.env(name, value);
        }
        for (name, value) in ENVIRONMENT {
            command = command.env(name, value);
        }
        command = command.env("TF_CLI_CONFIG_FILE", self.cli_config.display().to_string());
        if self.root.workspace != "default" {
            command = command.env("TF_WORKSPACE", &self.root.workspace);
        }
        for (name, value) in &self.root.variables {
            if let Variable::Secret(secret) = value {
                command = command.secret_env(format!("TF_VAR_{name}"), self.ctx.secret(secret).await?);
            }
        }
        command = command.grace(self.settings.grace);
        Ok(match limit {
            Limit::Look => command.timeout(self.settings.look_limit),
            Limit::None => command,
        })
    }
}

/// How long a call may take: an apply takes as long as the run lets it.
#[derive(Clone, Copy, Debug)]
enum Limit {
    Look,
    None,
}
