//! `candor daemon`: runs, starts, looks at and stops the daemon.

use std::io::Write as _;

use candor_adapters::process::{await_end_of, become_daemon};
use candor_core::status::Status;

use super::arguments::DaemonVerb;
use super::launcher::{READY, connect_or_start};
use super::rm::bytes_text;
use super::{CliError, complain, with_runtime};
use crate::api::DaemonView;
use crate::client::{Client, ClientError};
use crate::config::Config;
use crate::exit_code;
use crate::home::Home;
use crate::serve::{self, Ground, Settings, StartError};

/// What the daemon logs unless the settings say otherwise.
const LOG_FILTER: &str = "info";

/// Daemons in a row, at most, that are asked to stop their sessions and are leaving them already.
const LEAVING_DAEMONS_MAX: u32 = 5;

pub(super) fn main(verb: DaemonVerb) -> Result<u8, CliError> {
    match verb {
        DaemonVerb::Run { background: false } => Ok(run_in_front()),
        DaemonVerb::Run { background: true } => run_in_background(),
        DaemonVerb::Start => with_runtime(start()),
        DaemonVerb::Status { json } => with_runtime(status(json)),
        DaemonVerb::Stop { sessions } => with_runtime(stop(sessions)),
    }
}

fn run_in_front() -> u8 {
    match run(Ground::Front, || {
        complain(&"the daemon serves; Ctrl-C stops it, and its sessions go on")
    }) {
        Ok(()) => exit_code::SUCCESS,
        Err((exit_code, sentence)) => {
            complain(&sentence);
            exit_code
        }
    }
}

/// Runs the daemon, reporting on standard output to the program that started it.
fn run_in_background() -> Result<u8, CliError> {
    become_daemon().map_err(|error| CliError::Own(format!("cannot detach: {error}")))?;
    let report = |text: &str| {
        // If the starter has left, nobody needs to know.
        let _unread = std::io::stdout().write_all(text.as_bytes());
        let _unread = std::io::stdout().flush();
    };
    let announce = || {
        report(READY);
        // The starter waits for the end of the report.
        if let Err(error) = close_stdout() {
            tracing::error!(%error, "cannot close the report to the starter");
        }
    };
    match run(Ground::Background, announce) {
        Ok(()) => Ok(exit_code::SUCCESS),
        Err((exit_code, sentence)) => {
            tracing::error!("{sentence}");
            report(&sentence);
            Ok(exit_code)
        }
    }
}

fn close_stdout() -> std::io::Result<()> {
    let nowhere = std::fs::OpenOptions::new().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(nowhere)?;
    Ok(())
}

fn run(ground: Ground, announce: impl FnOnce()) -> Result<(), (u8, String)> {
    let config = Config::read().map_err(|error| (exit_code::HOME_UNUSABLE, error.to_string()))?;
    let filter = config.log.as_deref().unwrap_or(LOG_FILTER);
    let home = Home::find().map_err(|error| (exit_code::HOME_UNUSABLE, error.to_string()))?;
    let settings = Settings {
        output_quota: config.output_quota,
        web_address: config.web.listen,
        otel_endpoint: config.otel.endpoint,
    };
    serve::run(&home, ground, filter, settings, announce)
        .map_err(|error: StartError| (error.exit_code(), error.to_string()))
}

async fn start() -> Result<u8, CliError> {
    let client = connect_or_start(&Home::find()?).await?;
    let daemon: DaemonView = client.get("/v1/daemon").await?;
    writeln!(std::io::stdout(), "the daemon runs (pid {}) in {}", daemon.pid, daemon.home)?;
    Ok(exit_code::SUCCESS)
}

async fn status(json: bool) -> Result<u8, CliError> {
    let client = Client::new(&Home::find()?.socket());
    let daemon: DaemonView = client.get("/v1/daemon").await?;
    let mut out = std::io::stdout().lock();
    if json {
        let text =
            serde_json::to_string(&daemon).map_err(|error| CliError::Own(error.to_string()))?;
        writeln!(out, "{text}")?;
        return Ok(exit_code::SUCCESS);
    }
    let stopping = if daemon.stopping { ", stopping" } else { "" };
    writeln!(out, "candor {} (pid {}{stopping}) in {}", daemon.version, daemon.pid, daemon.home)?;
    if daemon.reconciling > 0 {
        writeln!(out, "{:13} {}", "reconciling", daemon.reconciling)?;
    }
    for (status, count) in &daemon.sessions {
        writeln!(out, "{status:13} {count}")?;
    }
    match &daemon.last_backup {
        Some(backup) => {
            let (at, bytes) = (&backup.at, bytes_text(backup.bytes));
            writeln!(out, "{:13} {at}, {bytes}: {}", "last backup", backup.path)?;
        }
        None => writeln!(out, "{:13} none yet", "last backup")?,
    }
    Ok(exit_code::SUCCESS)
}

async fn stop(sessions: bool) -> Result<u8, CliError> {
    let home = Home::find()?;
    let client = Client::new(&home.socket());
    for _ in 0..LEAVING_DAEMONS_MAX {
        let daemon: DaemonView = match client.get("/v1/daemon").await {
            // Sessions go on without a daemon, and only a daemon can stop them.
            Err(ClientError::NoDaemon { .. }) if sessions && home.database().exists() => {
                connect_or_start(&home).await?.get("/v1/daemon").await?
            }
            Err(ClientError::NoDaemon { .. }) => {
                writeln!(std::io::stdout(), "no daemon runs")?;
                return Ok(exit_code::SUCCESS);
            }
            answer => answer?,
        };
        // Looked up while it surely is the daemon, so that its number cannot mean another process.
        let ended = await_end_of(daemon.pid);
        let answer = client.tell(&format!("/v1/daemon/stop?sessions={sessions}")).await;
        let is_left_to_the_next = answer.as_ref().is_err_and(ClientError::is_leaving_sessions);
        if !is_left_to_the_next {
            answer?;
        }
        ended.await.map_err(|error| CliError::Own(format!("cannot await the daemon: {error}")))?;
        if is_left_to_the_next {
            continue;
        }
        // One that was leaving before does with its sessions what it was asked first.
        let goes_on =
            if sessions || daemon.stopping { String::new() } else { left_sentence(&daemon) };
        writeln!(std::io::stdout(), "the daemon has left (pid {}){goes_on}", daemon.pid)?;
        return Ok(exit_code::SUCCESS);
    }
    Err(CliError::Own(format!(
        "{LEAVING_DAEMONS_MAX} daemons in a row were asked by somebody else to leave their sessions \
         first: they go on"
    )))
}

/// Says what becomes of the sessions that the daemon has left.
fn left_sentence(daemon: &DaemonView) -> String {
    let is_live = |status: &Status| !status.is_terminal();
    let live: u64 =
        daemon.sessions.iter().filter(|(status, _)| is_live(status)).map(|(_, n)| n).sum();
    match live {
        0 => String::new(),
        1 => "; 1 session goes on, and the next daemon takes it over".to_owned(),
        live => format!("; {live} sessions go on, and the next daemon takes them over"),
    }
}
