//! `candor show`: everything about one session, with the story of how it came to its status.

mod agent;

use std::io::Write;
use std::os::unix::ffi::OsStrExt as _;

use candor_core::bytes::ByteString;
use candor_core::session::StandardInput;
use candor_core::status::Status;
use candor_core::time::Timestamp;

use super::arguments::Show;
use super::reach::Reach;
use super::terminal::{clean, style_of};
use super::{CliError, path_of};
use crate::api::{EventView, ExitView, LogLine, SessionView, Supervision};
use crate::client::{Client, Lines};
use crate::exit_code;

pub(super) async fn main(arguments: Show) -> Result<u8, CliError> {
    let reach = Reach::open().await?;
    let session: SessionView = reach.get(&path_of(&arguments.id)).await?;
    if arguments.json {
        let text = serde_json::to_string_pretty(&session)
            .map_err(|error| CliError::Own(error.to_string()))?;
        writeln!(std::io::stdout(), "{}", super::terminal::json(&text))?;
        return Ok(exit_code::SUCCESS);
    }
    let story = reach.ask(async |client, _| story(client, &session.id).await).await?;
    let mut out = anstream::stdout().lock();
    print_facts(&mut out, &session)?;
    print_story(&mut out, &story)?;
    Ok(exit_code::SUCCESS)
}

async fn story(client: &Client, id: &str) -> Result<Vec<EventView>, CliError> {
    let mut lines = Lines::new(client.open(&format!("/v1/events?session={id}")).await?);
    let mut events = Vec::new();
    while let Some(line) = lines.next().await? {
        let line: LogLine = serde_json::from_slice(&line)
            .map_err(|error| CliError::Own(format!("an event cannot be read: {error}")))?;
        if let LogLine::Event(event) = line {
            events.push(event);
        }
    }
    Ok(events)
}

fn print_facts(out: &mut impl Write, session: &SessionView) -> Result<(), CliError> {
    let style = style_of(session.status);
    let mut fact = |name: &str, value: &str| -> Result<(), CliError> {
        writeln!(out, "{name:10} {}", clean(value)).map_err(CliError::from)
    };
    fact("session", &session.id)?;
    if let Some(parent) = &session.parent {
        fact("continues", parent)?;
    }
    if let Some(title) = &session.title {
        fact("title", title)?;
    }
    for (name, value) in agent::facts(session, Timestamp::now()) {
        fact(name, &value)?;
    }
    fact("command", &command_line(&session.command))?;
    fact("folder", &session.cwd.to_text())?;
    writeln!(out, "{:10} {style}{}{style:#}", "status", clean(&sentence(session)))?;
    let mut fact = |name: &str, value: &str| -> Result<(), CliError> {
        writeln!(out, "{name:10} {}", clean(value)).map_err(CliError::from)
    };
    if let Some(intent) = &session.intent {
        fact("asked", &format!("{} by {} at {}", intent.kind, intent.by, intent.at))?;
    }
    if let Some(exit) = &session.exit {
        fact("exit", &exit_text(exit))?;
    }
    if let Some(report) = &session.report {
        let said = if report.success { "success" } else { "error" };
        let kind = report.kind.as_deref().filter(|kind| *kind != said).unwrap_or_default();
        let message = report.message.as_deref().unwrap_or_default();
        fact("report", format!("{said} {kind} {message}").replace("  ", " ").trim())?;
        if let Some(used) = agent::used(report) {
            fact("used", &used)?;
        }
    }
    if let Some(text) = session.supervision.and_then(supervision_text) {
        fact("watched", text)?;
    }
    if let Some(witness) = &session.evidence.witness {
        fact("seen by", witness)?;
    }
    if let Some(rung) = &session.evidence.rung {
        fact("ladder", &format!("went up to {rung}"))?;
    }
    if let Some(left_behind) = session.evidence.left_behind.filter(|&count| count > 0) {
        fact("left", &left_behind_text(left_behind))?;
    }
    for (name, value) in agent::requests(session) {
        fact(name, &value)?;
    }
    for note in &session.evidence.notes {
        fact("note", &format!("{} {}", note.at, note.text))?;
    }
    fact("created", &session.created_at)?;
    if let Some(started_at) = &session.started_at {
        fact("started", started_at)?;
    }
    if let Some(ended_at) = &session.ended_at {
        fact("ended", ended_at)?;
        fact("run again", &run_again(session))?;
        if session.agent.as_ref().is_some_and(|agent| agent.agent_session.is_some()) {
            fact("go on", &format!("candor continue {} \"…\"", super::ls::short(&session.id)))?;
        }
    }
    Ok(())
}

/// Says how well a live session is looked after, if there is something to say.
const fn supervision_text(supervision: Supervision) -> Option<&'static str> {
    match supervision {
        Supervision::Ok => None,
        Supervision::Reconciling => Some("the daemon has just started, and looks for its process"),
        Supervision::Unreachable => Some("its shim does not answer: what is shown may be old"),
        Supervision::Unsupervised => {
            Some("its shim was killed: it can be stopped, and its exit may be lost")
        }
    }
}

/// Says what a session left behind when its end was settled.
fn left_behind_text(count: u32) -> String {
    match count {
        1 => "1 process that it had started was still running when it ended".to_owned(),
        count => format!("{count} processes that it had started were still running when it ended"),
    }
}

fn print_story(out: &mut impl Write, story: &[EventView]) -> Result<(), CliError> {
    writeln!(out, "\nhow it came to this")?;
    for event in story {
        let to = event.to.map_or("removed", |to| to.as_str());
        let style = event.to.map(style_of).unwrap_or_default();
        let outcome = event.outcome.as_ref().map_or_else(String::new, |word| format!(" ({word})"));
        let from = match event.from {
            Some(from) if Some(from) != event.to => format!("{from} → "),
            Some(_) | None => String::new(),
        };
        writeln!(
            out,
            "{:>4}  {}  {from}{style}{to}{style:#}{outcome}: {} by {}",
            event.revision, event.at, event.cause, event.by
        )?;
    }
    Ok(())
}

/// Says in one sentence where a session stands and why.
pub(super) fn sentence(session: &SessionView) -> String {
    let status = session.status;
    let asked = session.intent.as_ref();
    let Some(outcome) = session.outcome.as_deref() else {
        return match asked {
            Some(intent) if status == Status::Completing => {
                format!("{status}: {} by {}", intent.kind, intent.by)
            }
            Some(_) | None => agent::waiting_text(session).unwrap_or_else(|| status.to_string()),
        };
    };
    let why = match outcome {
        "succeeded" => "succeeded".to_owned(),
        "interrupted" => asked.map_or_else(
            || "interrupted".to_owned(),
            |intent| format!("interrupted ({} by {})", intent.kind, intent.by),
        ),
        "timed_out" => "its time limit was over".to_owned(),
        "spawn" => spawn_text(session),
        "agent_error" => agent::agent_error_text(session),
        "no_report" => {
            let agent = session.agent.as_ref().map_or("the agent", |agent| &agent.kind);
            format!("{agent} ended without saying how its work went")
        }
        "exit_code" | "signal" | "core_dump" | "oom_kill" => {
            let exit = session.exit.as_ref().map_or_else(String::new, exit_text);
            format!("{outcome}, {exit}")
        }
        "daemon_killed" => "the daemon was killed while it ran; nobody saw its exit".to_owned(),
        "shim_killed" => "the process that watched it was killed; nobody saw its exit".to_owned(),
        "shim_and_daemon_killed" => {
            "both the daemon and the process that watched it were killed; nobody saw its exit"
                .to_owned()
        }
        "launch_unknown" => "nothing tells what became of its launch".to_owned(),
        "reboot" => "the machine was restarted while it ran; nobody saw its exit".to_owned(),
        "bad_record" => "what was recorded of it is damaged; nobody saw its exit".to_owned(),
        "dir_removed" => "its folder was removed while it ran; nobody saw its exit".to_owned(),
        other => other.to_owned(),
    };
    format!("{status}: {why}")
}

fn spawn_text(session: &SessionView) -> String {
    let program = session.command.first().map(|word| word.to_text().into_owned());
    let program = program.unwrap_or_default();
    let Some(spawn) = &session.evidence.spawn else {
        return format!("{program} was never started; launch it again if you still want it");
    };
    let reason = std::io::Error::from_raw_os_error(spawn.errno);
    match (spawn.stage.as_str(), spawn.errno) {
        ("folder", _) => format!("cannot run in {}: {reason}", session.cwd.to_text()),
        ("exec", exit_code::ENOENT) if names_existing_file(session, &program) => {
            format!("{program} cannot be executed: the interpreter in its first line is missing")
        }
        ("exec", exit_code::ENOENT) => format!("{program}: command not found"),
        ("exec", exit_code::E2BIG) => format!(
            "{program} cannot be executed: its arguments and environment are too large for this \
             system; give it less of them"
        ),
        ("exec", _) => format!("{program} cannot be executed: {reason}"),
        (stage, _) => format!("{program} could not be started ({stage}): {reason}"),
    }
}

fn names_existing_file(session: &SessionView, program: &str) -> bool {
    let cwd = std::path::Path::new(std::ffi::OsStr::from_bytes(session.cwd.as_bytes()));
    program.contains('/') && cwd.join(program).exists()
}

fn exit_text(exit: &ExitView) -> String {
    match exit {
        ExitView::Code { code } => format!("exit code {code}"),
        ExitView::Signal { signal, core_dumped: true } => format!("{signal}, core dumped"),
        ExitView::Signal { signal, core_dumped: false } => signal.clone(),
    }
}

/// Returns a command as a shell would take it.
pub(super) fn command_line(command: &[ByteString]) -> String {
    let words = command.iter().map(|word| {
        // The only bytes that cannot be quoted are NULs, which no argument has.
        let quoted = shlex::bytes::try_quote(word.as_bytes()).unwrap_or_default();
        String::from_utf8_lossy(&quoted).into_owned()
    });
    words.collect::<Vec<_>>().join(" ")
}

fn run_again(session: &SessionView) -> String {
    let cwd = command_line(std::slice::from_ref(&session.cwd));
    if let Some(agent) = &session.agent {
        return agent::run_again(agent, &cwd);
    }
    let stdin = match session.input {
        StandardInput::Held => "--stdin ",
        StandardInput::None => "",
    };
    format!("candor run {stdin}--cwd {cwd} -- {}", command_line(&session.command))
}
