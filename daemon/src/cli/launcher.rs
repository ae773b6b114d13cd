//! Reaches the daemon, and starts it in the background when none runs.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::CliError;
use crate::client::{Client, ClientError};
use crate::exit_code;
use crate::home::Home;

/// What a daemon in the background writes to its starter once it serves.
pub(super) const READY: &str = "ready\n";

/// How long a daemon may take to serve, in milliseconds. It may have to check a database after a
/// power cut.
const START_MS: u64 = 60_000;

/// How often a loser looks whether the winner serves, in milliseconds.
const WINNER_PAUSE_MS: u64 = 10;

/// How long a loser looks for the winner before it tries to start one again, in milliseconds: the
/// daemon that has the home may be on its way out.
const WINNER_MS: u64 = 500;

/// The variables that a daemon in the background keeps of its starter's. The others are for the
/// starter's own sessions, and may hold what no other program should have.
const VARIABLES: [&str; 12] = [
    "HOME",
    "LANG",
    "LC_ALL",
    "LOGNAME",
    "PATH",
    "RUST_BACKTRACE",
    "TMPDIR",
    "TZ",
    "USER",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
];

/// Bytes of a report that are read from a daemon that does not start, at most.
const REPORT_BYTES_MAX: u64 = 64 << 10;

/// Returns a client of the home's daemon, which is started when none runs.
///
/// # Errors
///
/// When none runs and none can be started, with the daemon's own sentence.
pub(super) async fn connect_or_start(home: &Home) -> Result<Client, CliError> {
    let client = Client::new(&home.socket());
    let reaching = async {
        loop {
            match client.probe().await {
                Err(ClientError::NoDaemon { .. }) => {}
                reached => return Ok(reached?),
            }
            match start(home).await? {
                Start::Serves => return Ok(()),
                Start::HomeIsTaken => wait_for_winner(&client).await,
            }
        }
    };
    let patience = Duration::from_millis(START_MS);
    tokio::time::timeout(patience, reaching).await.unwrap_or_else(|_| Err(too_slow(home)))?;
    Ok(client)
}

/// What came of a start.
enum Start {
    Serves,
    HomeIsTaken,
}

async fn start(home: &Home) -> Result<Start, CliError> {
    let program = std::env::current_exe()
        .map_err(|error| CliError::Own(format!("cannot find this program to start it: {error}")))?;
    let mut daemon = Command::new(program)
        .args(["daemon", "run", "--background"])
        .env_clear()
        .envs(VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        .env("CANDOR_HOME", home.folder())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| CliError::Own(format!("cannot start the daemon: {error}")))?;
    let mut report = String::new();
    if let Some(stdout) = daemon.stdout.take() {
        let reading = stdout.take(REPORT_BYTES_MAX);
        tokio::pin!(reading);
        reading.read_to_string(&mut report).await?;
    }
    if report == READY {
        return Ok(Start::Serves);
    }
    let status = daemon.wait().await?;
    if status.code() == Some(i32::from(exit_code::HOME_TAKEN)) {
        return Ok(Start::HomeIsTaken);
    }
    Err(CliError::Own(not_started(&report, status)))
}

/// Waits a while for the socket of the daemon that has the home. It holds the lock before it
/// listens and for a moment after, and it has no way to know of us.
async fn wait_for_winner(client: &Client) {
    let serving = async {
        while client.probe().await.is_err() {
            tokio::time::sleep(Duration::from_millis(WINNER_PAUSE_MS)).await;
        }
    };
    // Whether it serves by now or not, the next look tells.
    let _served = tokio::time::timeout(Duration::from_millis(WINNER_MS), serving).await;
}

fn too_slow(home: &Home) -> CliError {
    CliError::Own(format!(
        "the daemon does not serve after {} s: see {}",
        START_MS / 1_000,
        home.log().display()
    ))
}

fn not_started(report: &str, status: ExitStatus) -> String {
    let report = report.trim();
    if report.is_empty() {
        format!("the daemon did not start ({status}): run `candor daemon run` to see why")
    } else {
        format!("the daemon did not start: {report}")
    }
}
