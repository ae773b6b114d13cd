//! `candor send`, and `candor run --stdin`: what a session is given to read.
//!
//! Each piece has a name of its own and is sent until it is known to be accepted, whatever becomes of
//! the daemon meanwhile: by its name it is written once.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::time::Duration;

use candor_adapters::ids::UuidV7Source;
use hyper::body::Bytes;
use tokio::io::AsyncReadExt as _;
use tokio::time::{Instant, sleep};

use super::arguments::Send;
use super::reach::Reach;
use super::{CliError, complain, path_of};
use crate::api::{InputReply, SessionView};
use crate::client::ClientError;
use crate::exit_code;

/// What is read and sent in one piece, in bytes: as much as a pipe holds.
const PIECE_BYTES_MAX: usize = 64 * 1024;

/// How long it is waited before a piece is sent again that was not taken, at first and at most, in
/// milliseconds. Nobody tells when a process has read.
const AGAIN_MS: (u64, u64) = (5, 500);

/// How often a piece is sent again of which nobody can say whether it was accepted. The daemon waits
/// for two seconds before it says so.
const DOUBTS_MAX: u32 = 60;

/// How long `send` waits for a process that does not read.
const FULL_PATIENCE: Duration = Duration::from_secs(30);

/// The word that stands for standard input.
const STDIN: &str = "-";

pub(super) async fn main(arguments: Send) -> Result<u8, CliError> {
    let Send { id, text, end } = arguments;
    let reach = Reach::open().await?;
    // Its whole id, which means the same when there are more sessions.
    let session: SessionView = reach.get(&path_of(&id)).await?;
    if session.agent.is_some() {
        return send_to_agent(&reach, &session.id, text, end).await;
    }
    let feed = Feed { reach: &reach, session: session.id, full_patience: Some(FULL_PATIENCE) };
    match text {
        Some(text) if text == STDIN => feed.pass_on(end).await?,
        Some(text) => feed.send(line(text), end).await?,
        None => feed.send(Bytes::new(), true).await?,
    }
    Ok(exit_code::SUCCESS)
}

/// Gives an agent its next message.
async fn send_to_agent(
    reach: &Reach,
    id: &str,
    text: Option<OsString>,
    end: bool,
) -> Result<u8, CliError> {
    if end {
        return Err(CliError::Own(
            "an agent is not ended by its input: `candor finish` ends it".to_owned(),
        ));
    }
    let text = super::agent::prompt(text.unwrap_or_default())?;
    message(reach, id, text).await?;
    Ok(exit_code::SUCCESS)
}

/// Gives an agent a message, and returns when it is certain to get it.
pub(super) async fn message(reach: &Reach, id: &str, text: String) -> Result<(), CliError> {
    let feed = Feed { reach, session: id.to_owned(), full_patience: Some(FULL_PATIENCE) };
    let message = UuidV7Source.message_id();
    feed.post(&format!("/v1/sessions/{id}/messages?message={message}"), text.into()).await
}

fn line(text: OsString) -> Bytes {
    let mut line = text.into_vec();
    line.push(b'\n');
    line.into()
}

/// Passes standard input on to a session until either is at its end. What goes wrong is said, and
/// then the session's input ends, too: nothing more will come.
pub(super) async fn feed(reach: &Reach, session: &str) {
    // A process that does not read is waited for as long as it lives, as in a pipe.
    let feed = Feed { reach, session: session.to_owned(), full_patience: None };
    match feed.pass_on(true).await {
        Ok(()) => {}
        // It reads no more: what it has not read, it did not want.
        Err(CliError::Client(error))
            if error.is_about("input_closed") || error.is_about("ended") => {}
        Err(error) => {
            complain(&format!("{error}; the session is sent nothing more"));
            // Where that cannot be said either, it has been said what is wrong.
            let _unsaid = feed.send(Bytes::new(), true).await;
        }
    }
}

/// The way to one session's input.
struct Feed<'run> {
    reach: &'run Reach,
    /// The whole id.
    session: String,
    /// How long a process may leave no room; without one, for as long as it lives.
    full_patience: Option<Duration>,
}

impl Feed<'_> {
    /// Sends standard input to its end, piece by piece, and then perhaps the end itself.
    async fn pass_on(&self, then_ends: bool) -> Result<(), CliError> {
        let mut stdin = tokio::io::stdin();
        loop {
            let mut piece = Vec::with_capacity(PIECE_BYTES_MAX);
            let count = (&mut stdin).take(PIECE_BYTES_MAX as u64).read_buf(&mut piece).await;
            let count = count
                .map_err(|error| CliError::Own(format!("cannot read standard input: {error}")))?;
            if count == 0 {
                break;
            }
            self.send(piece.into(), false).await?;
        }
        match then_ends {
            true => self.send(Bytes::new(), true).await,
            false => Ok(()),
        }
    }

    /// Sends a piece, and returns when it is accepted.
    async fn send(&self, bytes: Bytes, end: bool) -> Result<(), CliError> {
        let message = UuidV7Source.message_id();
        let path = format!("/v1/sessions/{}/input?message={message}&end={end}", self.session);
        self.post(&path, bytes).await
    }

    /// Sends a piece whose address names it, and returns when it is accepted.
    async fn post(&self, path: &str, bytes: Bytes) -> Result<(), CliError> {
        let begun = Instant::now();
        let (mut doubts, mut pause_ms) = (0, AGAIN_MS.0);
        loop {
            let sent = self.reach.ask(async |client, _| {
                Ok(client.post_bytes::<InputReply>(path, bytes.clone()).await?)
            });
            match sent.await {
                Ok(_accepted) => return Ok(()),
                Err(CliError::Client(error))
                    if self.is_worth_another(&error, begun, &mut doubts) => {}
                Err(error) => return Err(error),
            }
            // Neither room nor an answer makes an event that reaches this program.
            sleep(Duration::from_millis(pause_ms)).await;
            pause_ms = AGAIN_MS.1.min(pause_ms * 2);
        }
    }

    fn is_worth_another(&self, error: &ClientError, begun: Instant, doubts: &mut u32) -> bool {
        if error.is_about("input_full") {
            return self.full_patience.is_none_or(|patience| begun.elapsed() < patience);
        }
        *doubts += 1;
        error.is_about("in_doubt") && *doubts <= DOUBTS_MAX
    }
}
