//! `candor interrupt` and `candor kill`.

use std::io::Write as _;

use super::show::sentence;
use super::terminal::clean;
use super::{CliError, client, path_of};
use crate::api::{StopAnswer, StopReply};
use crate::exit_code;

pub(super) async fn main(id: String, verb: &str) -> Result<u8, CliError> {
    let client = client().await?;
    let StopReply { answer, already, session } =
        client.post(&format!("{}/{verb}", path_of(&id))).await?;
    let how = match answer {
        StopAnswer::Accepted => sentence(&session),
        StopAnswer::AlreadyStopping => {
            format!("already stopping: {}", already.unwrap_or_default())
        }
        StopAnswer::AlreadyEnded => format!("already ended; {}", sentence(&session)),
    };
    writeln!(std::io::stdout(), "{} {}", session.id, clean(&how))?;
    Ok(exit_code::SUCCESS)
}
