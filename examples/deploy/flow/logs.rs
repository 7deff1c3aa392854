//! What the components and the tools of steps wrote: the ends of their log files, and on as they write.
//!
//! Lines of several files stand behind the name of theirs; the files themselves hold only their own bytes. Nobody
//! stands between a deployed process and its file, so what it wrote of its secrets is taken out here.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use code_core::{Error, ErrorKind, Redactor, Result, StepId};
use code_nlp::resolve::Filter;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Exit;
use crate::json::Line;
use crate::session::Session;
use crate::style::{Tone, printable};

/// How often a followed file is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// The most that is read back of a file to find its last lines, in bytes.
const BACK: u64 = 1024 * 1024;
/// So much is looked through for secrets at once, in bytes: a redactor has several views of its text.
const BLOCK: usize = 32 * 1024;

/// Shows the last `lines` lines of each component; with `follow`, on until interrupted.
///
/// # Errors
/// `front::no-logs` where the component has written nothing or is not there.
pub async fn logs(session: &Session, filter: &Filter, follow: bool, lines: usize) -> Result<Exit> {
    let mut files = BTreeMap::new();
    find(session, filter, &mut files).await?;
    if files.is_empty() && !follow {
        return Err(none(session, filter).await);
    }
    let places = Places::Components(filter);
    read(session, &places, files, follow, lines).await
}

/// The same for a step, by its address: of the newest run that had it, and each attempt by itself.
///
/// # Errors
/// `front::no-logs` where no run had such a step, or its tool has written nothing.
pub async fn step(session: &Session, address: &str, follow: bool, lines: usize) -> Result<Exit> {
    let mut files = BTreeMap::new();
    let mut all = Vec::new();
    let mut steps = BTreeSet::new();
    for deployment in session.chosen().await? {
        // The newest that wrote something; for whom follows it is enough that there is one.
        for run in session.engine.runs(&deployment).await?.iter().rev() {
            let written = files.len();
            let dir = session.layout.run_logs(&deployment, run.id);
            let found: Vec<_> = run.steps_at(address).map(|id| StepLogs::new(&dir, id, address)).collect();
            found.iter().for_each(|logs| logs.find(&mut files));
            steps.extend(run.steps.iter().map(ToString::to_string));
            if !found.is_empty() && (follow || files.len() > written) {
                all.extend(found);
                break;
            }
        }
    }
    if files.is_empty() && (!follow || all.is_empty()) {
        let error = Error::new(ErrorKind::NotFound, "front::no-logs", format!("find a log of `{address}`"));
        let steps = steps.into_iter().collect::<Vec<_>>().join(", ");
        return Err(match steps.split(", ").any(|step| step == address) {
            true => error.help("its tool wrote nothing; `replay` shows what the step said"),
            false => error
                .help("name a step of a run, or a component")
                .with("steps", if steps.is_empty() { "none".to_owned() } else { steps }),
        });
    }
    read(session, &Places::Steps(&all), files, follow, lines).await
}

/// Where files are looked for while they are followed.
enum Places<'a> {
    Components(&'a Filter),
    Steps(&'a [StepLogs]),
}

/// Where the logs of one step of one run lie: `step-3.1.log` of its first attempt, `step-3-undo.1.log` of taking
/// it back.
#[derive(Debug)]
struct StepLogs {
    dir: PathBuf,
    id: StepId,
    address: String,
}

impl StepLogs {
    fn new(dir: &Path, id: StepId, address: &str) -> StepLogs {
        StepLogs { dir: dir.to_owned(), id, address: address.to_owned() }
    }

    fn find(&self, files: &mut BTreeMap<PathBuf, Followed>) {
        for entry in std::fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = path.file_name().and_then(|name| name.to_str()).and_then(|n| n.strip_suffix(".log"));
            let Some((step, attempt)) = name.and_then(|name| name.split_once('.')) else { continue };
            let what = match step.strip_prefix(&format!("step-{}", self.id)) {
                Some("") => "",
                Some("-undo") => " taken back",
                _ => continue,
            };
            let again = if attempt == "1" { String::new() } else { format!(" attempt {attempt}") };
            let name = format!("{}{what}{again}", self.address);
            files.entry(path).or_insert(Followed::of(name));
        }
    }
}

/// Shows the ends of files; with `follow`, on until interrupted.
async fn read(
    session: &Session,
    places: &Places<'_>,
    mut files: BTreeMap<PathBuf, Followed>,
    follow: bool,
    lines: usize,
) -> Result<Exit> {
    for (path, file) in &mut files {
        let text = last(path, lines, &mut file.at);
        show(session, file, &text);
    }
    if !follow {
        return Ok(Exit::Done);
    }
    // One listener for all looks: one that comes while a file is read must not be lost.
    let mut interrupt = signal(SignalKind::interrupt()).ok();
    loop {
        tokio::select! {
            Some(_) = async { interrupt.as_mut()?.recv().await } => return Ok(Exit::Interrupted),
            () = session.host.sleep(LOOK) => {}
        }
        match places {
            Places::Components(filter) => find(session, filter, &mut files).await?,
            Places::Steps(all) => all.iter().for_each(|logs| logs.find(&mut files)),
        }
        for (path, file) in &mut files {
            let text = more(path, &mut file.at);
            show(session, file, &text);
        }
    }
}

/// A log file that is being read.
#[derive(Debug)]
struct Followed {
    name: String,
    at: u64,
    /// The beginning of a line whose end has not been written yet.
    rest: String,
    /// Knows the secrets of whoever writes it; those of steps are taken out before anything is written.
    redactor: Redactor,
}

impl Followed {
    fn of(name: String) -> Followed {
        Followed { name, at: 0, rest: String::new(), redactor: Redactor::default() }
    }
}

async fn find(session: &Session, filter: &Filter, files: &mut BTreeMap<PathBuf, Followed>) -> Result<()> {
    for deployment in session.engine.deployments().await? {
        let fits = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
        if !fits(&filter.application, deployment.application())
            || !fits(&filter.environment, deployment.environment())
        {
            continue;
        }
        let Ok(dir) = std::fs::read_dir(session.layout.logs(&deployment)) else { continue };
        for entry in dir.flatten() {
            let path = entry.path();
            let Some(name) = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".log"))
            else {
                continue;
            };
            let component = name.split('.').next().unwrap_or(name);
            if filter.components.is_empty() || filter.components.iter().any(|wanted| wanted == component) {
                let name = name.to_owned();
                if let Entry::Vacant(new) = files.entry(path) {
                    // A new process may have new secrets.
                    let redactor = session.engine.redactor(&deployment).await?;
                    new.insert(Followed { redactor, ..Followed::of(name) });
                }
            }
        }
    }
    Ok(())
}

/// The last lines of a file; `at` is then behind them.
fn last(path: &Path, lines: usize, at: &mut u64) -> String {
    let size = path.metadata().map_or(0, |meta| meta.len());
    *at = size.saturating_sub(BACK);
    let cut = *at > 0;
    let text = more(path, at);
    // Of a secret in a line that is cut, nobody would know the rest.
    let whole = if cut { text.split_once('\n').map_or("", |(_, whole)| whole) } else { &text };
    let all: Vec<&str> = whole.split_inclusive('\n').collect();
    all[all.len().saturating_sub(lines)..].concat()
}

/// What was written since; a file that became smaller is read from its beginning.
fn more(path: &Path, at: &mut u64) -> String {
    let Ok(mut file) = File::open(path) else { return String::new() };
    let size = file.metadata().map_or(0, |meta| meta.len());
    if size < *at {
        *at = 0;
    }
    let mut bytes = Vec::new();
    if file.seek(SeekFrom::Start(*at)).and_then(|_| file.take(BACK).read_to_end(&mut bytes)).is_err() {
        return String::new();
    }
    *at += bytes.len() as u64;
    String::from_utf8_lossy(&bytes).into_owned()
}

fn show(session: &Session, file: &mut Followed, text: &str) {
    let whole = std::mem::take(&mut file.rest) + text;
    let (whole, rest) = whole.split_at(whole.rfind('\n').map_or(0, |end| end + 1));
    rest.clone_into(&mut file.rest);
    let mut page = String::new();
    for block in blocks(whole) {
        for line in file.redactor.redact(block).split_terminator('\n') {
            let name = session.screen.style.paint(Tone::Dim, format!("{} |", file.name));
            page.push_str(&format!("{name} {}\n", printable(line)));
            if session.screen.wants_json() {
                let data = json!({ "process": file.name, "line": line });
                session.screen.line(Line::new("log_line", session.host.now(), line, data));
            }
        }
    }
    if !page.is_empty() {
        session.screen.page(&page);
    }
}

/// Whole lines, in pieces of about [`BLOCK`].
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let bytes = rest.as_bytes();
        let end = bytes.iter().skip(BLOCK).position(|byte| *byte == b'\n');
        let (block, more) = rest.split_at(end.map_or(rest.len(), |end| BLOCK + end + 1));
        rest = more;
        (!block.is_empty()).then_some(block)
    })
}

async fn none(session: &Session, filter: &Filter) -> Error {
    let what = match filter.components.first() {
        Some(component) => format!("find a log of `{component}`"),
        None => "find a log".to_owned(),
    };
    let deployed = session.chosen().await.unwrap_or_default();
    let names: Vec<String> = deployed.iter().map(ToString::to_string).collect();
    Error::new(ErrorKind::NotFound, "front::no-logs", what)
        .help(format!("`{}` lists what is deployed and its components", session.called.command("status")))
        .with("deployments", if names.is_empty() { "none".to_owned() } else { names.join(", ") })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_end_first_and_then_what_comes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("web.r1.0.log");
        std::fs::write(&path, "one\ntwo\nthree\n").unwrap();
        let mut at = 0;
        assert_eq!(last(&path, 2, &mut at), "two\nthree\n");
        assert_eq!(more(&path, &mut at), "");
        File::options().append(true).open(&path).unwrap().write_all(b"four\n").unwrap();
        assert_eq!(more(&path, &mut at), "four\n");
        std::fs::write(&path, "anew\n").unwrap();
        assert_eq!(more(&path, &mut at), "anew\n", "a rotated file is read from its beginning");
    }

    #[test]
    fn a_long_text_is_looked_through_in_whole_lines() {
        let text: String = (0..9000).map(|i| format!("line {i}\n")).collect();
        let parts: Vec<&str> = blocks(&text).collect();
        assert_eq!((parts.len(), parts.concat() == text), (3, true));
        assert!(parts.iter().all(|part| part.ends_with('\n')));
        assert_eq!(blocks("").count(), 0);
    }
}
