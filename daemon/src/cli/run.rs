//! `candor run`: launches a session, and in front shows it to its end.

use std::convert::Infallible;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;
use std::time::Duration;

use candor_core::bytes::ByteString;
use candor_core::session::StandardInput;
use candor_core::status::Status;
use candor_core::stop::Graces;
use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::arguments::{LaunchOptions, Run};
use super::reach::Reach;
use super::terminal::OutputWriter;
use super::{CliError, agent, client, complain, conversation, converse, logs, send};
use crate::api::{LaunchRequest, SessionView, StopAnswer, StopReply};
use crate::config::Config;
use crate::exit_code;

/// How long a daemon may take to answer a launch after Ctrl-C, in milliseconds: with the answer it can
/// be asked to interrupt the session, and without it nobody knows which one that is.
const LAUNCH_PATIENCE_MS: u64 = 2_000;

/// How long a daemon may take to answer what Ctrl-C asks of it, in milliseconds. What is shown stands
/// still meanwhile.
const STOP_PATIENCE_MS: u64 = 5_000;

pub(super) async fn main(arguments: Run) -> Result<u8, CliError> {
    let (detach, json) = (arguments.launch.new.detach, arguments.launch.new.json);
    let request = request(arguments)?;
    run(&Launching { path: "/v1/sessions".to_owned(), request, detach, json }).await
}

/// A launch, as it is asked for.
pub(super) struct Launching<R> {
    /// Where it is asked for.
    pub(super) path: String,
    /// What is asked.
    pub(super) request: R,
    /// Whether the session is left to run.
    pub(super) detach: bool,
    /// Whether it is printed as JSON.
    pub(super) json: bool,
}

/// Launches a session, and in front shows it to its end.
pub(super) async fn run<R: Serialize>(launching: &Launching<R>) -> Result<u8, CliError> {
    let Launching { detach, json, .. } = *launching;
    let reach = Reach::open().await?;
    if detach {
        return launch_and_leave(&reach, launching).await;
    }
    let mut presses = signal(SignalKind::interrupt())?;
    let (launched, mut is_pressed) = launch(&reach, launching, &mut presses).await?;
    let id = launched.id.clone();
    let showing = show_to_the_end(&reach, &launched, json);
    tokio::pin!(showing);
    let mut press = Press::Interrupts;
    let mut telling: Option<JoinHandle<()>> = None;
    loop {
        if is_pressed {
            let verb = match press {
                Press::Interrupts => "interrupt",
                Press::Kills => "kill",
                Press::Leaves(exit_code) => return Ok(exit_code),
            };
            let sentence;
            (press, sentence) = stop(&id, verb).await;
            // Nobody may read standard error, and the next Ctrl-C must be heard all the same.
            telling = Some(tokio::task::spawn_blocking(move || complain(&sentence)));
        }
        tokio::select! {
            ended = &mut showing => {
                if let Some(telling) = telling {
                    telling.await.map_err(std::io::Error::other)?;
                }
                return finish(&ended?, json);
            }
            _ = presses.recv() => is_pressed = true,
        }
    }
}

/// Launches the session, and returns it and whether Ctrl-C was pressed meanwhile, which then means
/// the session.
///
/// # Errors
///
/// As [`Reach::create`], and when the daemon does not answer after Ctrl-C.
async fn launch<R: Serialize>(
    reach: &Reach,
    launching: &Launching<R>,
    presses: &mut Signal,
) -> Result<(SessionView, bool), CliError> {
    let launching = reach.create(&launching.path, &launching.request);
    tokio::pin!(launching);
    tokio::select! {
        biased;
        launched = &mut launching => return Ok((launched?, false)),
        _ = presses.recv() => {}
    }
    let patience = Duration::from_millis(LAUNCH_PATIENCE_MS);
    let launched = tokio::select! {
        biased;
        launched = timeout(patience, launching) => launched.ok(),
        _ = presses.recv() => None,
    };
    let Some(launched) = launched else {
        return Err(CliError::Own(
            "the daemon does not answer, and it is not known whether it has launched the session: \
             `candor ls` tells once it answers"
                .to_owned(),
        ));
    };
    Ok((launched?, true))
}

/// What Ctrl-C does when it comes the next time.
#[derive(Clone, Copy)]
enum Press {
    Interrupts,
    Kills,
    /// The session has ended, and whoever should read its output does not, or nobody can be asked to
    /// end it: leaves with this.
    Leaves(u8),
}

/// Asks for the end, of a new daemon if the one of before is gone, and returns what to say of it.
async fn stop(id: &str, verb: &str) -> (Press, String) {
    let asking = async {
        let client = client().await?;
        Ok::<_, CliError>(client.post::<StopReply>(&format!("/v1/sessions/{id}/{verb}")).await?)
    };
    let Ok(answer) = timeout(Duration::from_millis(STOP_PATIENCE_MS), asking).await else {
        return (
            Press::Leaves(exit_code::OWN_ERROR),
            "the daemon does not answer, and it is not known whether the session will end; Ctrl-C \
             again leaves"
                .to_owned(),
        );
    };
    match answer {
        Ok(StopReply { answer: StopAnswer::AlreadyEnded, session, .. }) => (
            Press::Leaves(session.exit_code.unwrap_or(exit_code::OWN_ERROR)),
            "it has already ended; Ctrl-C again leaves without the rest of its output".to_owned(),
        ),
        Ok(_) if verb == "interrupt" => {
            (Press::Kills, "interrupting; Ctrl-C again kills".to_owned())
        }
        Ok(_) => (Press::Kills, "killing".to_owned()),
        Err(error) => (
            Press::Leaves(exit_code::OWN_ERROR),
            format!("{error}; Ctrl-C again leaves, and the session goes on"),
        ),
    }
}

async fn launch_and_leave<R: Serialize>(
    reach: &Reach,
    launching: &Launching<R>,
) -> Result<u8, CliError> {
    let session = reach.create(&launching.path, &launching.request).await?;
    let line = if launching.json { as_json(&session)? } else { session.id.clone() };
    writeln!(std::io::stdout(), "{line}")?;
    if session.evidence.spawn.is_some() {
        complain_of(&session);
        return Ok(session.exit_code.unwrap_or(exit_code::OWN_ERROR));
    }
    Ok(exit_code::SUCCESS)
}

/// Shows both outputs as they come, passes standard input on where the session reads it, and returns
/// the session when it has ended and all that it wrote is shown.
async fn show_to_the_end(
    reach: &Reach,
    launched: &SessionView,
    json: bool,
) -> Result<SessionView, CliError> {
    let id = &launched.id;
    let stdout = OutputWriter::stdout(false);
    let stderr = OutputWriter::stderr(false);
    let path = format!("/v1/sessions/{id}/wait");
    // What an agent prints is for programs; people are shown what is said. `None` is how much of the
    // output was copied then.
    let showing = async {
        if launched.agent.is_some() && json {
            return Ok(None);
        }
        if launched.agent.is_some() {
            return conversation::show(reach, id, launched.status, true).await.map(|_count| None);
        }
        let gaps = logs::Gaps::OnStandardError;
        logs::copy(reach, id, "stdout", true, stdout, gaps).await.map(Some)
    };
    let watching = async {
        tokio::join!(
            showing,
            logs::copy(reach, id, "stderr", true, stderr, logs::Gaps::OnStandardError),
            reach.get::<SessionView>(&path),
        )
    };
    let (stdout, stderr, session) = tokio::select! {
        watched = watching => watched,
        // Who types nothing does not keep a session that has ended.
        never = pass_input_on(reach, launched) => match never {},
        never = converse::converse(reach, launched) => match never {},
    };
    // A reader that has left is no reason to leave the session's end unseen.
    if let (Ok(Some(stdout)), Ok(stderr), Ok(session)) = (&stdout, &stderr, &session) {
        logs::complain_of_missing(session, (*stdout, *stderr));
    }
    for copied in [stdout.map(drop), stderr.map(drop)] {
        match copied {
            Ok(()) | Err(CliError::OutputClosed) => {}
            Err(error @ CliError::Client(_)) => return Err(error),
            Err(error) => complain(&error),
        }
    }
    session
}

/// Gives the session what there is to read, and goes on for ever.
async fn pass_input_on(reach: &Reach, launched: &SessionView) -> Infallible {
    if launched.agent.is_none() && launched.input == StandardInput::Held {
        send::feed(reach, &launched.id).await;
    }
    std::future::pending().await
}

fn finish(session: &SessionView, json: bool) -> Result<u8, CliError> {
    if json {
        super::print_if_read(&as_json(session)?)?;
    }
    complain_of(session);
    Ok(session.exit_code.unwrap_or(exit_code::OWN_ERROR))
}

/// Says why a session ended as it did, unless the command's own exit code says it all.
fn complain_of(session: &SessionView) {
    let own_words = session.outcome.as_deref().unwrap_or_default();
    let is_success = session.status == Status::Completed && own_words == "succeeded";
    let agent = session.agent.as_ref();
    if !is_success && (own_words != "exit_code" || agent.is_some()) {
        complain(&super::show::sentence(session));
    }
    if agent.is_some_and(|agent| agent.agent_session.is_some()) {
        let id = super::ls::short(&session.id);
        complain(&format!("`candor continue {id} \"…\"` goes on with it"));
    }
}

fn as_json(session: &SessionView) -> Result<String, CliError> {
    serde_json::to_string(session)
        .map(|text| super::terminal::json(&text))
        .map_err(|error| CliError::Own(error.to_string()))
}

fn request(arguments: Run) -> Result<LaunchRequest, CliError> {
    let Run { launch, success_codes, stdin, agent, options, command } = arguments;
    if let Some(kind) = agent {
        return agent::request(&kind, launch, options, command);
    }
    if let Some(option) = agent::only_for_agents(&options) {
        return Err(CliError::Own(format!(
            "{option} is for agents: name one with --agent, or leave it out"
        )));
    }
    let command = command.into_iter().map(|word| bytes("an argument", word));
    let command = command.collect::<Result<_, _>>()?;
    let config = Config::read()?;
    let graces = launch.new.grace.or(config.grace).unwrap_or(Graces::DEFAULT);
    let mut request = base(launch, &config, command)?;
    request.graces = Some(graces);
    request.success_codes = success_codes;
    request.input = if stdin { StandardInput::Held } else { StandardInput::None };
    Ok(request)
}

/// Returns what all launches have in common.
pub(super) fn base(
    launch: LaunchOptions,
    config: &Config,
    command: Vec<ByteString>,
) -> Result<LaunchRequest, CliError> {
    Ok(LaunchRequest {
        title: launch.new.title,
        command,
        cwd: bytes("the folder", folder(launch.cwd)?.into_os_string())?,
        environment: Some(environment(launch.new.env)?),
        umask: current_umask(),
        graces: launch.new.grace,
        timeout_ms: launch.timeout.or(config.timeout),
        success_codes: vec![0],
        input: StandardInput::None,
        agent: None,
    })
}

pub(super) fn bytes(what: &str, text: OsString) -> Result<ByteString, CliError> {
    ByteString::new(text.into_vec()).map_err(|error| CliError::Own(format!("{what}: {error}")))
}

fn folder(asked: Option<PathBuf>) -> Result<PathBuf, CliError> {
    let here = env::current_dir();
    match asked {
        Some(folder) if folder.is_absolute() => Ok(folder),
        Some(folder) => here.map(|here| here.join(folder)),
        None => here,
    }
    .map_err(|error| {
        CliError::Own(format!("cannot tell the current folder ({error}): give one with --cwd"))
    })
}

/// Returns the caller's environment with the given variables set.
pub(super) fn environment(
    settings: Vec<OsString>,
) -> Result<Vec<(ByteString, ByteString)>, CliError> {
    let mut variables: Vec<(OsString, OsString)> = env::vars_os().collect();
    for setting in settings {
        let Some((name, value)) = split_once(&setting) else {
            let setting = setting.to_string_lossy().into_owned();
            return Err(CliError::Own(format!("--env {setting}: write a variable as NAME=VALUE")));
        };
        variables.retain(|(known, _)| known != name);
        variables.push((name.to_owned(), value.to_owned()));
    }
    let entries = variables.into_iter().map(|(name, value)| {
        Ok((bytes("the name of a variable", name)?, bytes("the value of a variable", value)?))
    });
    entries.collect()
}

fn split_once(setting: &OsStr) -> Option<(&OsStr, &OsStr)> {
    let setting = setting.as_bytes();
    let equals = setting.iter().position(|&byte| byte == b'=').filter(|&at| at > 0)?;
    Some((OsStr::from_bytes(&setting[..equals]), OsStr::from_bytes(&setting[equals + 1..])))
}

/// Returns the caller's file mode creation mask. It can only be read by setting it, which is safe
/// here: no other thread of this program makes files.
pub(super) fn current_umask() -> u32 {
    let mask = rustix::process::umask(rustix::fs::Mode::empty());
    rustix::process::umask(mask);
    mask.as_raw_mode()
}
