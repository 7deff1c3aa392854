//! What every command has at hand: the options, the screen, the place, and the engine.

use std::ffi::OsString;
use std::sync::{Arc, Mutex};

use code_core::local::LocalStore;
use code_core::{Deployment, Engine, Error, ErrorKind, Host, Layout, Result};
use code_monitor::Results;
use code_nlp::context::History;
use code_nlp::settings::Settings;
use code_providers::git::GitExporter;

use crate::PROGRAM;
use crate::cli::{Options, ProgressMode};
use crate::interrupt::Limit;
use crate::place::Place;
use crate::progress::{Feed, View};
use crate::screen::Screen;

/// What every command has at hand.
#[derive(Debug)]
pub struct Session {
    /// The command line's options.
    pub options: Options,
    /// Where output goes.
    pub screen: Arc<Screen>,
    /// The machine.
    pub host: Arc<dyn Host>,
    /// Project and state directory.
    pub place: Place,
    /// Where things lie in the state directory.
    pub layout: Layout,
    /// The journals, for what only they can tell: what was cut off, what is broken.
    pub store: Arc<LocalStore>,
    /// The project's settings.
    pub settings: Settings,
    /// The engine, composed of all crates.
    pub engine: Engine,
    /// Where revisions are committed, and read from.
    pub git: GitExporter,
    /// What the engine tells of a run.
    pub feed: Arc<Feed>,
    /// The time that the command has.
    pub limit: Limit,
    /// How this program was called.
    pub called: Called,
    /// What is wrong with the project, by the check of the doctor that tells it; everything else ends with it.
    pub ailing: Vec<(&'static str, Error)>,
    /// The runs that ended so far: what `--report-file` holds.
    pub ended: Mutex<Vec<Results>>,
}

/// How this program was called: what every suggested command begins and ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    program: String,
    options: String,
    line: String,
}

impl Called {
    /// As `args`, whose first is the program, with the options that say which project and state are meant.
    pub fn new(args: &[OsString], options: &Options) -> Called {
        let words: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
        let (argv0, rest) = words.split_first().map_or(("", &[][..]), |(first, rest)| (first, rest));
        // A name without a path is found again as it was found now.
        let program = if argv0.contains('/') { quoted(argv0) } else { PROGRAM.to_owned() };
        let again =
            rest.iter().map(|word| quoted(word)).fold(program.clone(), |line, word| line + " " + &word);
        let mut line = String::new();
        for (name, value) in [("--state", &options.state), ("--project", &options.project)] {
            if let Some(value) = value {
                line.push_str(&format!(" {name} {}", quoted(&value.display().to_string())));
            }
        }
        if let Some(git) = &options.git {
            line.push_str(&format!(" --git {}", quoted(git)));
        }
        Called { program, options: line, line: again }
    }

    /// How a shell calls this program.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// The same command once more, as it can be copied.
    pub fn again(&self) -> &str {
        &self.line
    }

    /// A command that can be copied: `deploy apply next.plan --state /s`.
    pub fn command(&self, rest: &str) -> String {
        format!("{} {rest}{}", self.program, self.options)
    }
}

/// A word as a shell takes it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@+,%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

impl Session {
    /// Who runs this, by name.
    pub fn user(&self) -> String {
        self.host.user()
    }

    /// Every revision of every deployment.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn history(&self) -> Result<History> {
        let mut all = Vec::new();
        for deployment in self.engine.deployments().await? {
            let revisions = self.engine.state(&deployment).await?.revisions;
            all.push((deployment, revisions));
        }
        Ok(History::new(all))
    }

    /// The deployments that `--application` and `--environment` leave.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn chosen(&self) -> Result<Vec<Deployment>> {
        let fits = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        let mut all = self.engine.deployments().await?;
        all.retain(|deployment| {
            fits(&self.options.application, deployment.application())
                && fits(&self.options.environment, deployment.environment())
        });
        Ok(all)
    }

    /// The one deployment that is meant.
    ///
    /// # Errors
    /// `front::nothing-deployed`, `front::which-deployment`.
    pub async fn the_one(&self) -> Result<Deployment> {
        let mut deployed = self.chosen().await?;
        if let [one] = &deployed[..] {
            return Ok(one.clone());
        }
        let mut live = Vec::new();
        for deployment in &deployed {
            let state = self.engine.state(deployment).await?;
            if state.current().is_some_and(|revision| revision.spec.is_some()) {
                live.push(deployment.clone());
            }
        }
        if !live.is_empty() {
            deployed = live;
        }
        match &deployed[..] {
            [one] => Ok(one.clone()),
            [] => Err(Error::new(ErrorKind::NotFound, "front::nothing-deployed", "find a deployment")
                .help(format!("`{}` lists what is deployed", self.called.command("status")))
                .with("state", self.place.state.display().to_string())),
            several => {
                let names: Vec<String> = several.iter().map(ToString::to_string).collect();
                Err(Error::new(
                    ErrorKind::NeedsAnswer,
                    "front::which-deployment",
                    "tell which deployment is meant",
                )
                .help("name it: `--environment NAME`, and `--application NAME` where there are several")
                .with("deployments", names.join(", ")))
            }
        }
    }

    /// How a run is watched.
    pub fn view(&self) -> View {
        match self.options.progress {
            _ if self.screen.quiet || self.screen.json => View::Nothing,
            ProgressMode::Tty => View::Bars,
            ProgressMode::Plain => View::Lines,
            ProgressMode::Quiet | ProgressMode::Json => View::Nothing,
            ProgressMode::Auto if self.screen.bars => View::Bars,
            ProgressMode::Auto => View::Lines,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggested_command_can_be_copied() {
        let args: Vec<_> =
            ["target/x/deploy", "scale web to 3", "--state", "/a b/c"].iter().map(Into::into).collect();
        let (options, _) = crate::cli::parse(&args, false).expect("a good line");
        let called = Called::new(&args, &options);
        assert_eq!(called.command("status"), "target/x/deploy status --state '/a b/c'");
        assert_eq!(called.again(), "target/x/deploy 'scale web to 3' --state '/a b/c'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
