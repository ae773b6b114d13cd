//! `candor logs`: a session's output.

use std::io::Write;

use super::arguments::Logs;
use super::terminal::OutputWriter;
use super::{CliError, client};
use crate::api::SessionView;
use crate::client::Client;
use crate::exit_code;

pub(super) async fn main(arguments: Logs) -> Result<u8, CliError> {
    let Logs { id, follow, raw } = arguments;
    let client = client().await?;
    let SessionView { id, .. } = client.get(&super::path_of(&id)).await?;
    let stdout = copy(&client, &id, "stdout", follow, OutputWriter::stdout(raw));
    let stderr = copy(&client, &id, "stderr", follow, OutputWriter::stderr(raw));
    if follow {
        tokio::try_join!(stdout, stderr)?;
    } else {
        stdout.await?;
        stderr.await?;
    }
    Ok(exit_code::SUCCESS)
}

/// `candor timeline`: prints the flight recording.
pub(super) async fn timeline(id: String) -> Result<u8, CliError> {
    let client = client().await?;
    let mut recording = client.open(&format!("{}/timeline", super::path_of(&id))).await?;
    while let Some(piece) = recording.next().await? {
        std::io::stdout().write_all(&piece)?;
    }
    Ok(exit_code::SUCCESS)
}

/// Copies one output of a session to `writer`, to its end or to what there is now.
///
/// # Errors
///
/// [`CliError::OutputClosed`] when nobody reads any more.
pub(super) async fn copy<W: Write + Send + 'static>(
    client: &Client,
    id: &str,
    stream: &str,
    follow: bool,
    mut writer: OutputWriter<W>,
) -> Result<(), CliError> {
    let path = format!("/v1/sessions/{id}/output/{stream}?follow={follow}");
    let mut pieces = client.open(&path).await?;
    while let Some(piece) = pieces.next().await? {
        // Whoever should read it may not, and Ctrl-C must be heard meanwhile.
        let writing = tokio::task::spawn_blocking(move || writer.write(&piece).map(|()| writer));
        writer = writing.await.map_err(std::io::Error::other)??;
    }
    Ok(())
}
