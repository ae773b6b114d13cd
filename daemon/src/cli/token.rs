//! `candor token` and `candor logout`: who may come over TCP.

use std::io::Write as _;

use super::arguments::TokenVerb;
use super::terminal::json;
use super::{CliError, client, encoded};
use crate::api::web::{LogoutView, NewTokenView, TokenRequest, TokenView};
use crate::exit_code;

pub(super) async fn main(verb: TokenVerb) -> Result<u8, CliError> {
    match verb {
        TokenVerb::Add { name, read_only } => add(name, read_only).await,
        TokenVerb::Ls { json } => ls(json).await,
        TokenVerb::Rm { name } => rm(&name).await,
    }
}

/// Ends all logins.
pub(super) async fn log_out() -> Result<u8, CliError> {
    let LogoutView { ended } = client().await?.post("/v1/web/logout").await?;
    let how = match ended {
        0 => "nobody was logged in".to_owned(),
        1 => "1 login has ended".to_owned(),
        ended => format!("{ended} logins have ended"),
    };
    writeln!(std::io::stdout(), "{how}")?;
    Ok(exit_code::SUCCESS)
}

async fn add(name: String, read_only: bool) -> Result<u8, CliError> {
    let request = TokenRequest { name, read_only };
    let NewTokenView { token, url, .. } =
        client().await?.post_json("/v1/web/tokens", &request).await?;
    // The token alone, so that a script can take it.
    writeln!(std::io::stdout(), "{token}")?;
    let note = format!(
        "it is shown this once: send it as `Authorization: Bearer` to {url}v1/, and hand it to no \
         session"
    );
    // Where standard error is closed, nobody needs the note.
    let _unread = writeln!(anstream::stderr(), "{note}");
    Ok(exit_code::SUCCESS)
}

async fn ls(as_json: bool) -> Result<u8, CliError> {
    let tokens: Vec<TokenView> = client().await?.get("/v1/web/tokens").await?;
    let mut out = std::io::stdout().lock();
    if as_json {
        let text = serde_json::to_string_pretty(&tokens)
            .map_err(|error| CliError::Own(error.to_string()))?;
        writeln!(out, "{}", json(&text))?;
        return Ok(exit_code::SUCCESS);
    }
    for TokenView { name, read_only, created_at } in &tokens {
        let right = if *read_only { "read-only" } else { "full" };
        writeln!(out, "{name}  {right}  {created_at}")?;
    }
    Ok(exit_code::SUCCESS)
}

async fn rm(name: &str) -> Result<u8, CliError> {
    client().await?.remove(&format!("/v1/web/tokens/{}", encoded(name))).await?;
    writeln!(std::io::stdout(), "{name} was taken back")?;
    Ok(exit_code::SUCCESS)
}
