//! The grammar of the command line.
//!
//! An argument with white space in it is a sentence; a single word is a command. An unknown word gets a
//! suggestion and exit code 2, so that later commands break nobody.
//!
//! ```text
//! deploy "Deploy a web app with database to staging"      a sentence
//! deploy status                                           a command
//! deploy scale web to 3                                   neither: quote it
//! ```

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{FalseyValueParser, Resettable};
use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use code_core::Error;
use code_core::event::OnFailure;

use crate::PROGRAM;
use crate::complete::{Of, names};
use crate::exit::Exit;

const AFTER_HELP: &str = "\
Examples:
  deploy \"Deploy a web app with database to staging\"
  deploy \"scale the web app to 3 in staging\" --dry-run
  deploy plan \"update the web app in staging\" --out next.plan
  deploy apply next.plan
  deploy status

A sentence is one argument: quote it. `-` reads it from standard input.
Each option has a variable of its own: --state is DEPLOY_STATE.
Exit codes: 0 done, 1 unexpected, 2 usage, 3 refused, 4 needs an answer, 5 failed and taken back,
6 failed, 7 locked, 8 stale plan, 9 timed out, 10 drift, 11 declined, 12 broken journal, 13 paused,
14 incomplete, 130 interrupted.";

/// Turns a sentence into a running, observed, reversible deployment.
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version = env!("DEPLOY_VERSION"), after_long_help = AFTER_HELP)]
#[command(after_help = "`--help` says more, with examples.", subcommand_value_name = "COMMAND")]
#[command(override_usage = "deploy [OPTIONS] \"SENTENCE\"\n       deploy [OPTIONS] COMMAND")]
pub struct Cli {
    /// What to do, in your own words: one quoted argument, or `-` for standard input
    #[arg(value_name = "SENTENCE", num_args = 0..)]
    pub words: Vec<String>,
    /// What every command takes.
    #[command(flatten)]
    pub options: Options,
    /// One of the commands.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Options {
    /// Answer every ordinary prompt with yes (what is gone for good needs --confirm)
    #[arg(long, short = 'y', global = true, env = "DEPLOY_YES", value_parser = FalseyValueParser::new(), action = ArgAction::SetTrue)]
    pub yes: bool,
    /// Show what would be done, and change nothing
    #[arg(long, global = true, env = "DEPLOY_DRY_RUN", value_parser = FalseyValueParser::new(), action = ArgAction::SetTrue)]
    pub dry_run: bool,
    /// Write JSON to standard output and never prompt (docs/json.md)
    #[arg(long, global = true, env = "DEPLOY_JSON", value_parser = FalseyValueParser::new(), action = ArgAction::SetTrue)]
    pub json: bool,
    /// Write the same JSON to a file, beside the output for people
    #[arg(long, global = true, env = "DEPLOY_JSON_INTO", value_name = "FILE", hide_short_help = true)]
    pub json_into: Option<PathBuf>,
    /// How progress is shown
    #[arg(
        long,
        global = true,
        env = "DEPLOY_PROGRESS",
        value_name = "HOW",
        default_value = "auto",
        hide_short_help = true
    )]
    pub progress: ProgressMode,
    /// When to use colour
    #[arg(
        long,
        global = true,
        env = "DEPLOY_COLOR",
        value_name = "WHEN",
        default_value = "auto",
        hide_short_help = true
    )]
    pub color: ColorMode,
    /// Say only what matters
    #[arg(long, short, global = true, env = "DEPLOY_QUIET", value_parser = FalseyValueParser::new(), action = ArgAction::SetTrue, hide_short_help = true)]
    pub quiet: bool,
    /// Say more (-v: what steps say; -vv: what tools write)
    #[arg(long, short, global = true, env = "DEPLOY_VERBOSE", action = ArgAction::Count, hide_short_help = true)]
    pub verbose: u8,
    /// Show everything of long lists: all values, all passed rules, all steps
    #[arg(long, global = true, env = "DEPLOY_FULL", value_parser = FalseyValueParser::new(), action = ArgAction::SetTrue)]
    pub full: bool,
    /// Where state is kept [default: .code in the project]
    #[arg(long, global = true, env = "DEPLOY_STATE", value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// The project [default: the nearest directory upwards with a code.toml, else this one]
    #[arg(long, global = true, env = "DEPLOY_PROJECT", value_name = "DIR")]
    pub project: Option<PathBuf>,
    /// The environment, where the sentence does not say it
    #[arg(long, short, global = true, env = "DEPLOY_ENVIRONMENT", value_name = "NAME", add = names(Of::Environments))]
    pub environment: Option<String>,
    /// The application, where the sentence does not say it [default: the project's name]
    #[arg(long, global = true, env = "DEPLOY_APPLICATION", value_name = "NAME", hide_short_help = true, add = names(Of::Applications))]
    pub application: Option<String>,
    /// Take the spec from a YAML or JSON file instead of a sentence
    #[arg(long, global = true, env = "DEPLOY_SPEC", value_name = "FILE")]
    pub spec: Option<PathBuf>,
    /// Take the spec from a commit, a branch or a tag instead of a sentence
    #[arg(long, global = true, env = "DEPLOY_FROM_GIT", value_name = "REV", hide_short_help = true)]
    pub from_git: Option<String>,
    /// Where revisions are committed, and read from [default: the setting `git`, else a repository of its own]
    #[arg(long, global = true, env = "DEPLOY_GIT", value_name = "DIR|URL", hide_short_help = true)]
    pub git: Option<String>,
    /// Accept a finding that nobody can judge, by its id
    #[arg(long, global = true, env = "DEPLOY_ACCEPT", value_name = "ID", value_delimiter = ',')]
    pub accept: Vec<String>,
    /// What happens when a step fails for good [default: as code.toml says, else roll-back]
    #[arg(long, global = true, env = "DEPLOY_ON_FAILURE", value_name = "WHAT", hide_short_help = true)]
    pub on_failure: Option<FailurePolicy>,
    /// Give up after so long (30s, 10m, 1h30m): a run is stopped as by Ctrl-C, and `resume` goes on
    #[arg(long, global = true, env = "DEPLOY_TIMEOUT", value_name = "TIME", value_parser = time_limit, hide_short_help = true)]
    pub timeout: Option<Duration>,
    /// Confirm what is gone for good, by the name of the deployment; another name stops every change
    #[arg(long, global = true, env = "DEPLOY_CONFIRM", value_name = "NAME", add = names(Of::Deployments))]
    pub confirm: Option<String>,
    /// Show long answers on a terminal through this program (PAGER is not asked) [default: less -FRX]
    #[arg(long, global = true, env = "DEPLOY_PAGER", value_name = "COMMAND", hide_short_help = true)]
    pub pager: Option<String>,
    /// Never use a pager
    #[arg(long, global = true, env = "DEPLOY_NO_PAGER", value_parser = FalseyValueParser::new(), action = ArgAction::SetTrue, hide_short_help = true)]
    pub no_pager: bool,
    /// Write how each step of the run ended to a file: .json or .csv
    #[arg(long, global = true, env = "DEPLOY_REPORT_FILE", value_name = "FILE", value_parser = report_file, hide_short_help = true)]
    pub report_file: Option<PathBuf>,
    /// Where to save the plan
    #[arg(long, global = true, env = "DEPLOY_OUT", value_name = "FILE", hide_short_help = true)]
    pub out: Option<PathBuf>,
}

/// A time with its unit, as jiff reads it: `30s`, `10m`, `1h 30m`.
fn time_limit(text: &str) -> Result<Duration, String> {
    let time = text.parse::<jiff::SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
    time.filter(|time| !time.is_zero())
        .ok_or_else(|| "a time has a number and a unit: 30s, 10m, 1h".to_owned())
}

/// A report's name says its format.
fn report_file(name: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(name);
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json" | "csv") => Ok(path),
        _ => Err("the name has to end in .json or .csv, which says the format".to_owned()),
    }
}

/// What happens when a step fails for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailurePolicy {
    /// What was done is taken back
    RollBack,
    /// The run waits: `resume --retry`, `--skip STEP`, `--edit`, `--roll-back` or `--abort`
    Pause,
    /// The run ends, and what was done stays
    Stop,
}

impl From<FailurePolicy> for OnFailure {
    fn from(policy: FailurePolicy) -> OnFailure {
        match policy {
            FailurePolicy::RollBack => OnFailure::RollBack,
            FailurePolicy::Pause => OnFailure::Pause,
            FailurePolicy::Stop => OnFailure::Stop,
        }
    }
}

/// How a paused run goes on; at most one. Without any, a run that was interrupted or stopped goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[group(multiple = false)]
pub struct Decide {
    /// Try again what failed
    #[arg(long)]
    pub retry: bool,
    /// Leave out a step that failed, and all that needs it
    #[arg(long, value_name = "STEP")]
    pub skip: Option<String>,
    /// Change the spec in your editor, or take it from a file, and go on with its plan in the place of this one
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    pub edit: Option<Option<PathBuf>>,
    /// Take back what was done; also where the run was interrupted or stopped
    #[arg(long)]
    pub roll_back: bool,
    /// End the run as it is: what was done stays
    #[arg(long)]
    pub abort: bool,
}

impl Decide {
    /// Whether anything is decided.
    pub fn any(&self) -> bool {
        *self != Decide::default()
    }
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProgressMode {
    /// Bars on a terminal, lines elsewhere
    Auto,
    /// Bars
    Tty,
    /// One line for each change of a step
    Plain,
    /// JSON lines on standard output, the same as --json
    Json,
    /// Nothing until the end
    Quiet,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorMode {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The commands. Each says what it does to the world: `[read-only]`, `[changes]` or `[destructive]`.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// [read-only] Show what a sentence or a spec would do, and save the plan with --out
    Plan {
        /// What to do, in your own words
        sentence: Option<String>,
        /// Exit with 0 where nothing would change, 2 where something would, 1 on any error
        #[arg(long)]
        detailed_exitcode: bool,
    },
    /// [changes] Do exactly what a saved plan says; a plan that is out of date is refused
    Apply {
        /// The plan's file, as `plan --out FILE` saved it
        plan: PathBuf,
    },
    /// [changes] Approve a saved plan for another person, in a protected environment
    Approve {
        /// The plan's file, as it was saved for whoever asked
        plan: PathBuf,
    },
    /// [read-only] How every deployment is now, and what is not as its spec says
    Status,
    /// [read-only] What the components wrote, or a step of the last run
    #[command(after_help = "\
Examples:
  deploy logs -f                 every component, and on as they write
  deploy logs web -n 200         one component
  deploy logs web/release        what a step's tool wrote: a build, a migration")]
    Logs {
        /// Only this component, or the address of a step: `web`, `web/release`
        #[arg(value_name = "COMPONENT|STEP", add = names(Of::ComponentsAndSteps))]
        of: Option<String>,
        /// Go on as they write
        #[arg(long, short)]
        follow: bool,
        /// How many lines of each to begin with
        #[arg(long, short = 'n', default_value_t = 50)]
        lines: usize,
    },
    /// [read-only] What happened, when, and who asked for it
    History {
        /// How many events, the newest
        #[arg(long, short = 'n', default_value_t = 100)]
        limit: usize,
    },
    /// [read-only] Whether what was done follows from what was asked, link by link, and where it does not
    Verify,
    /// [destructive] Mend a broken journal: `journal repair` keeps all before the break, the rest beside it
    Journal {
        /// What to do with it
        #[command(subcommand)]
        command: JournalCommand,
    },
    /// [read-only] The runs, the newest first: what each was asked, how it ended, how long it took
    Runs {
        /// How many, the newest
        #[arg(long, short = 'n', default_value_t = 20)]
        limit: usize,
    },
    /// [read-only] Show a recorded run once more, as it was shown when it ran
    #[command(after_help = "\
Examples:
  deploy replay                  the last run
  deploy replay 3 -e staging     run 3 of staging, as `runs` lists it
  deploy replay latest --json    its events, one JSON object a line")]
    Replay {
        /// `latest`, or the number of a run
        #[arg(default_value = "latest", add = names(Of::Runs))]
        run: Which,
    },
    /// [destructive] Take a deployment down; its data stays unless --delete-data
    Destroy {
        /// Also delete the data; needs --confirm NAME or the name typed at the prompt
        #[arg(long)]
        delete_data: bool,
    },
    /// [changes] Stop components, and keep their data and addresses
    Stop {
        /// Only these components
        #[arg(add = names(Of::Components))]
        components: Vec<String>,
    },
    /// [changes] Start components that were stopped
    Start {
        /// Only these components
        #[arg(add = names(Of::Components))]
        components: Vec<String>,
    },
    /// [changes] Replace the processes of components by new ones
    Restart {
        /// Only these components
        #[arg(add = names(Of::Components))]
        components: Vec<String>,
    },
    /// [changes] Go back to an earlier revision: planned and shown like any deployment
    Rollback {
        /// The revision [default: the last good one before the current]
        #[arg(long, value_name = "REVISION", add = names(Of::Revisions))]
        to: Option<u64>,
    },
    /// [changes] Go on with a run that was interrupted or stopped, or as you decide with one that is paused
    Resume {
        /// `latest`, which is what is meant without it, too: only the last run of a deployment can be open
        #[arg(value_name = "RUN", value_parser = ["latest"])]
        run: Option<String>,
        /// How it goes on.
        #[command(flatten)]
        decide: Decide,
    },
    /// [changes] Commit and push the revisions whose export is owed
    Push,
    /// [changes] Open a component's own shell: `connect db` opens the database's
    Connect {
        /// The component
        #[arg(add = names(Of::Components))]
        component: String,
        /// What to hand on to the shell, after `--`
        #[arg(last = true)]
        args: Vec<OsString>,
    },
    /// [destructive] Break the lock of a Terraform root that nobody holds any more
    Unlock {
        /// The component
        #[arg(add = names(Of::Components))]
        component: String,
        /// The lock's id, as the error `terraform::lock-held` names it
        id: String,
    },
    /// [destructive] Remove old releases and logs that no rollback needs; data, history and what runs stay
    #[command(after_help = "\
Examples:
  deploy prune --dry-run         what would go, and how much room it takes
  deploy prune --keep 3 --yes    the releases of the last three revisions stay")]
    Prune {
        /// How many revisions of each deployment stay ready for a rollback [default: as code.toml says, else 10]
        #[arg(long, value_name = "REVISIONS")]
        keep: Option<u32>,
    },
    /// [read-only] What an error code means, and what to do
    Explain {
        /// The code, for example `gate::refused`; none: a list of all
        #[arg(add = names(Of::Codes))]
        code: Option<String>,
    },
    /// [read-only] Whether all that a deployment needs is here and works, and what mends what does not
    #[command(after_help = "\
Ends with 0 where nothing fails; a warning is no failure. `--json` has each check with its `fix`.")]
    Doctor,
    /// [changes] Write a report of the last run as one HTML file
    Report,
    /// [changes] Write a first spec into the project
    Init,
    /// [read-only] Print the completions for a shell, with live names
    #[command(after_help = "\
Examples:
  source <(deploy completions bash)                 in ~/.bashrc
  source <(deploy completions zsh)                  in ~/.zshrc
  deploy completions fish | source                  in ~/.config/fish/config.fish")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// [read-only] Print the manual page
    #[command(after_help = "\
Examples:
  deploy man | man -l -                             read it
  deploy man > ~/.local/share/man/man1/deploy.1     keep it for `man deploy`")]
    Man,
    /// [read-only] List the commands and what each does to the world
    Commands,
}

/// Which of the runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The last one.
    Latest,
    /// The one of this number.
    Number(u64),
}

impl std::str::FromStr for Which {
    type Err = String;

    fn from_str(word: &str) -> Result<Which, String> {
        match word {
            "latest" => Ok(Which::Latest),
            _ => word.parse().map(Which::Number).map_err(|_| "it is `latest`, or a run's number".to_owned()),
        }
    }
}

/// What can be done with a journal.
#[derive(Clone, Debug, Subcommand)]
pub enum JournalCommand {
    /// [destructive] Keep everything before the break, and put the rest aside; needs --confirm NAME
    Repair,
}

/// What a command does to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Label {
    /// It changes nothing.
    ReadOnly,
    /// It changes something, and can be taken back.
    Changes,
    /// It takes things away.
    Destructive,
}

impl Label {
    fn of(about: &str) -> Option<Label> {
        [
            ("[read-only]", Label::ReadOnly),
            ("[changes]", Label::Changes),
            ("[destructive]", Label::Destructive),
        ]
        .into_iter()
        .find(|(prefix, _)| about.starts_with(prefix))
        .map(|(_, label)| label)
    }
}

/// A command as `commands --json` lists it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// What it does to the world.
    pub label: Label,
    /// What it does, in a sentence.
    pub about: String,
}

/// Every command with its label.
pub fn list() -> Vec<Listed> {
    Cli::command()
        .get_subcommands()
        .filter_map(|command| {
            let about = command.get_about()?.to_string();
            let label = Label::of(&about)?;
            let about = about.split_once("] ").map_or(about.as_str(), |(_, rest)| rest).to_owned();
            Some(Listed { name: command.get_name().to_owned(), label, about })
        })
        .collect()
}

/// A command line that was understood: a sentence, a command, or nothing but options.
#[derive(Debug)]
pub enum Asked {
    /// A sentence, or a spec with `--spec`.
    Sentence(Option<String>),
    /// A command.
    Command(Command),
}

/// What to say and how to end, where there is nothing to run: help, or a mistake.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    /// What to say.
    pub text: String,
    /// How to end; [`Exit::Done`] goes to standard output, everything else to standard error.
    pub exit: Exit,
}

impl Ended {
    /// The same for a program.
    pub fn error(&self) -> Error {
        let first = self.text.lines().next().unwrap_or_default();
        let what = first.strip_prefix("error: ").unwrap_or("nothing is asked for");
        let hint = self.text.lines().find_map(|line| line.strip_prefix("hint: "));
        Error::new(code_core::ErrorKind::Invalid, "front::usage", format!("read the command line: {what}"))
            .help(hint.unwrap_or("`--help` lists commands and options").to_owned())
    }
}

/// Reads the command line; `color` says whether help and mistakes may be coloured.
///
/// # Errors
/// Help, the version, or what is wrong with it.
pub fn parse(args: &[OsString], color: bool) -> Result<(Options, Asked), Ended> {
    let detailed = args.iter().any(|arg| arg == "--detailed-exitcode");
    let usage = if detailed { Exit::Unexpected } else { Exit::Usage };
    // The variables follow from the names, and the long help says so once.
    let mut command = Cli::command().mut_args(|arg| {
        #[expect(clippy::disallowed_methods, reason = "clap itself reads the variables of its arguments")]
        let empty =
            arg.get_env().is_some_and(|name| std::env::var_os(name).is_some_and(|value| value.is_empty()));
        // An empty variable says nothing: that is how a script leaves an option out. No pager is one, though.
        if empty && arg.get_id() != "pager" { arg.env(Resettable::Reset) } else { arg.hide_env(true) }
    });
    let parsed = command
        .try_get_matches_from_mut(args)
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(|error| explain(&error, args, color, usage))?;
    let mistake = |text: String| Err(Ended { text, exit: usage });
    let sentence = match &parsed.words[..] {
        [] => None,
        [one] if one == "-" || one.trim().is_empty() || one.trim().contains(char::is_whitespace) => {
            Some(one.clone())
        }
        [word] => return mistake(unknown(word)),
        words if words.iter().any(|word| word.trim().contains(char::is_whitespace)) => {
            return mistake("error: a sentence is one argument, and here are several\n\nhint: put all of it between quotes\n".to_owned());
        }
        words => return mistake(unquoted(words)),
    };
    match (parsed.command, sentence) {
        (Some(command), None) => Ok((parsed.options, Asked::Command(command))),
        (Some(_), Some(_)) => mistake(format!(
            "error: a sentence and a command at once\n\nhint: a sentence stands alone: {PROGRAM} \"SENTENCE\"\n"
        )),
        (None, None) if parsed.options.spec.is_none() && parsed.options.from_git.is_none() => {
            Err(Ended { text: command.render_help().to_string(), exit: Exit::Usage })
        }
        (None, sentence) => Ok((parsed.options, Asked::Sentence(sentence))),
    }
}

fn explain(error: &clap::Error, args: &[OsString], color: bool, usage: Exit) -> Ended {
    let rendered = error.render();
    let mut text = if color { rendered.ansi().to_string() } else { rendered.to_string() };
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return Ended { text, exit: Exit::Done };
    }
    // `deploy status of staging` begins with a command by accident: it was meant as a sentence.
    let words: Vec<String> = args.iter().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    if matches!(error.kind(), ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand)
        && words.len() > 2
        && !words.iter().any(|word| word.starts_with('-') || word.contains(char::is_whitespace))
    {
        text.push_str(&format!("\nhint: a sentence is one argument: {PROGRAM} \"{}\"\n", words.join(" ")));
    }
    Ended { text, exit: usage }
}

fn unquoted(words: &[String]) -> String {
    let shown = words.join(" ").replace(['"', '\\', '$', '`'], "");
    format!("error: a sentence is one argument\n\nhint: quote it: {PROGRAM} \"{shown}\"\n")
}

fn unknown(word: &str) -> String {
    let shown: String = word.chars().take(40).flat_map(char::escape_debug).collect();
    let near = list()
        .into_iter()
        .map(|listed| (strsim::damerau_levenshtein(&listed.name, &word.to_lowercase()), listed.name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min();
    let hint = match near {
        Some((_, name)) => format!("did you mean `{PROGRAM} {name}`?"),
        None => format!("`{PROGRAM} --help` lists the commands; a sentence needs more than one word"),
    };
    format!("error: there is no command `{shown}`\n\nhint: {hint}\n")
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn read(line: &[&str]) -> Result<(Options, Asked), Ended> {
        let args: Vec<OsString> =
            std::iter::once(PROGRAM).chain(line.iter().copied()).map(Into::into).collect();
        parse(&args, false)
    }

    fn mistake(line: &[&str], exit: Exit, says: &str) {
        let ended = read(line).expect_err("a mistake");
        assert_eq!(ended.exit, exit, "{line:?}: {}", ended.text);
        assert!(ended.text.contains(says), "{line:?}: {}", ended.text);
    }

    #[test]
    fn clap_finds_nothing_wrong_with_the_grammar() {
        Cli::command().debug_assert();
    }

    #[test]
    fn white_space_makes_a_sentence_and_a_word_a_command() {
        let (options, asked) = read(&["--yes", "scale the web app to 3", "--state", "/s"]).unwrap();
        assert!(options.yes && options.state.is_some());
        assert!(matches!(asked, Asked::Sentence(Some(text)) if text == "scale the web app to 3"));
        let (options, asked) = read(&["status", "--json", "-e", "staging"]).unwrap();
        let (patient, _) = read(&["status", "--timeout", "1m30s"]).unwrap();
        assert_eq!(patient.timeout, Some(Duration::from_secs(90)));
        assert!(options.json && options.environment.as_deref() == Some("staging"));
        assert!(matches!(asked, Asked::Command(Command::Status)));
        let (_, asked) = read(&["plan", "scale web to 3", "--out", "x"]).unwrap();
        assert!(matches!(asked, Asked::Command(Command::Plan { sentence: Some(_), .. })));
        let (_, asked) = read(&["--spec", "a.yaml"]).unwrap();
        assert!(matches!(asked, Asked::Sentence(None)));
    }

    #[test]
    fn mistakes_say_what_was_meant() {
        mistake(&["statsu"], Exit::Usage, "did you mean `deploy status`?");
        mistake(&["frobnicate"], Exit::Usage, "--help");
        mistake(&["scale", "web", "to", "3"], Exit::Usage, "deploy \"scale web to 3\"");
        mistake(&["status", "of", "staging"], Exit::Usage, "deploy \"status of staging\"");
        mistake(&["--nonsense"], Exit::Usage, "--nonsense");
        mistake(&["plan", "--detailed-exitcode", "--nonsense"], Exit::Unexpected, "--nonsense");
        mistake(&["replay", "first"], Exit::Usage, "`latest`, or a run's number");
        mistake(&["a b", "--report-file", "x.xml"], Exit::Usage, ".json or .csv");
        for time in ["10", "0s", "-5s", "soon"] {
            mistake(&["a b", &format!("--timeout={time}")], Exit::Usage, "a number and a unit");
        }
        mistake(&["a b", "c d"], Exit::Usage, "one argument");
        mistake(&[], Exit::Usage, "SENTENCE");
        mistake(&["--help"], Exit::Done, "Examples:");
        mistake(&["-h"], Exit::Done, "[destructive]");
        mistake(&["help", "logs"], Exit::Done, "every component, and on as they write");
        mistake(&["help", "me", "deploy"], Exit::Usage, "deploy \"help me deploy\"");
        mistake(&["--version"], Exit::Done, PROGRAM);
    }

    #[test]
    fn every_command_is_labelled() {
        let labelled: Vec<String> = list().into_iter().map(|listed| listed.name).collect();
        let all: Vec<String> =
            Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
        assert_eq!(labelled, all);
    }

    #[test]
    fn every_option_has_a_variable() {
        for arg in Cli::command().get_arguments().filter(|arg| arg.is_global_set()) {
            let name = arg.get_long().expect("a long name");
            let expected = format!("DEPLOY_{}", name.to_uppercase().replace('-', "_"));
            assert_eq!(arg.get_env().and_then(|env| env.to_str()), Some(&*expected), "{name}");
        }
    }

    /// The reference of the commands, as Markdown.
    fn reference() -> String {
        let mut text = String::from(
            "# Commands\n\nWritten by a test from the command line's own description; `deploy --help` says the same.\n\n\
             A sentence is one quoted argument: `deploy \"Deploy a web app with database to staging\"`. Everything else \
             is a command.\n\n| command | does to the world | what it does |\n|---|---|---|\n",
        );
        for listed in list() {
            let label = match listed.label {
                Label::ReadOnly => "read-only",
                Label::Changes => "changes",
                Label::Destructive => "destructive",
            };
            let _ = writeln!(text, "| `{}` | {label} | {} |", listed.name, listed.about);
        }
        text.push_str("\n## Options of every command\n\n| option | variable | meaning |\n|---|---|---|\n");
        for arg in Cli::command().get_arguments().filter(|arg| arg.is_global_set()) {
            let variable = arg.get_env().map(|env| format!("`{}`", env.display())).unwrap_or_default();
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "| `--{}` | {variable} | {help} |", arg.get_long().unwrap_or_default());
        }
        text.push_str("\n## Exit codes\n\nNumbers never change their meaning; new ones may be added.\n\n");
        text.push_str("| code | meaning |\n|---|---|\n");
        for exit in Exit::ALL {
            let _ = writeln!(text, "| {} | {} |", exit.code(), exit.meaning());
        }
        text.push_str("\n`plan --detailed-exitcode` ends with 0 where nothing would change, 2 where something would, 1 on any error.\n");
        text
    }

    #[test]
    fn the_reference_is_that_of_the_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/commands.md");
        let text = reference();
        if std::fs::read_to_string(path).ok().as_deref() != Some(text.as_str()) {
            std::fs::write(path, text).unwrap();
            panic!("docs/commands.md was out of date; it is written anew");
        }
    }
}
