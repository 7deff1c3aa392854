//! What each command does, one file a story. Nothing here decides anything: it asks the engine, shows what
//! comes back, and says how the program ends.

pub mod change;
pub mod connect;
pub mod consent;
pub mod doctor;
pub mod edit;
pub mod ended;
pub mod git;
pub mod init;
pub mod last;
pub mod logs;
pub mod look;
pub mod propose;
pub mod prune;
pub mod resume;
pub mod runs;
pub mod saved;
pub mod sentence;
pub mod unlock;
pub mod verify;

use code_core::Result;

use crate::cli::{Asked, Command, JournalCommand};
use crate::exit::Exit;
use crate::flow::propose::Goal;
use crate::flow::sentence::filter;
use crate::session::Session;

/// Does what was asked.
///
/// # Errors
/// Those of the command.
pub async fn run(session: &Session, asked: Asked) -> Result<Exit> {
    let command = match asked {
        Asked::Sentence(text) => {
            return Ok(sentence::sentence(session, text.as_deref(), &Goal::Apply).await?.exit);
        }
        Asked::Command(command) => command,
    };
    match command {
        Command::Plan { sentence, detailed_exitcode } => plan(session, sentence, detailed_exitcode).await,
        Command::Apply { plan } => saved::apply(session, &plan).await,
        Command::Approve { plan } => saved::approve(session, &plan).await,
        Command::Status => look::status(session, &filter(session, Vec::new())).await,
        Command::Logs { of: Some(step), follow, lines } if step.contains('/') => {
            logs::step(session, &step, follow, lines).await
        }
        Command::Logs { of, follow, lines } => {
            let filter = filter(session, of.into_iter().collect());
            logs::logs(session, &filter, follow, lines).await
        }
        Command::Runs { limit } => runs::runs(session, limit).await,
        Command::Replay { run } => runs::replay(session, run).await,
        Command::History { limit } => look::history(session, limit).await,
        Command::Verify => verify::verify(session).await,
        Command::Journal { command: JournalCommand::Repair } => verify::repair(session).await,
        Command::Destroy { delete_data } => change::destroy(session, delete_data).await,
        Command::Stop { components } => change::stop(session, &components, true).await,
        Command::Start { components } => change::stop(session, &components, false).await,
        Command::Restart { components } => change::restart(session, &components).await,
        Command::Rollback { to } => change::rollback(session, to).await,
        Command::Resume { decide, .. } => resume::resume(session, &decide).await,
        Command::Push => git::push(session).await,
        Command::Unlock { component, id } => unlock::unlock(session, &component, &id).await,
        Command::Connect { component, args } => connect::connect(session, &component, &args).await,
        Command::Explain { code } => look::explain_code(session, code.as_deref()),
        Command::Prune { keep } => prune::prune(session, keep).await,
        Command::Doctor => doctor::doctor(session).await,
        Command::Report => look::report(session).await,
        Command::Init => init::init(session),
        Command::Completions { shell } => Ok(look::completions(session, shell)),
        Command::Man => look::man(session),
        Command::Commands => look::commands(session),
    }
}

/// Whether a command writes a stream of JSON lines, which begins with `version`, or one answer.
pub fn streams(asked: &Asked) -> bool {
    !matches!(
        asked,
        Asked::Command(
            Command::Status
                | Command::History { .. }
                | Command::Verify
                | Command::Journal { .. }
                | Command::Runs { .. }
                | Command::Explain { .. }
                | Command::Prune { .. }
                | Command::Doctor
                | Command::Commands
                | Command::Completions { .. }
                | Command::Man
        )
    )
}

async fn plan(session: &Session, sentence: Option<String>, detailed: bool) -> Result<Exit> {
    let goal = match &session.options.out {
        Some(path) => Goal::Save(path.clone()),
        None => Goal::Show,
    };
    let came = sentence::sentence(session, sentence.as_deref(), &goal).await?;
    Ok(match came.exit {
        // As tofu has it: 2 says that something would change.
        Exit::Done if detailed && came.changes => Exit::Usage,
        exit => exit,
    })
}
