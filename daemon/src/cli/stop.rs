//! `candor interrupt` and `candor kill`.

use std::io::Write as _;

use super::reach::Reach;
use super::show::sentence;
use super::terminal::clean;
use super::{CliError, path_of};
use crate::api::{StopAnswer, StopReply};
use crate::exit_code;

pub(super) async fn main(id: String, verb: &str) -> Result<u8, CliError> {
    let reach = Reach::open().await?;
    let path = format!("{}/{verb}", path_of(&id));
    // To ask twice for an end is to ask once.
    let asking = reach.ask(async |client, _| Ok(client.post::<StopReply>(&path).await?));
    let StopReply { answer, already, session } = asking.await?;
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
