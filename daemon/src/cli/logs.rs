//! `candor logs`: a session's output.

use std::io::Write;

use super::arguments::Logs;
use super::reach::Reach;
use super::terminal::OutputWriter;
use super::{CliError, client};
use crate::api::SessionView;
use crate::exit_code;

pub(super) async fn main(arguments: Logs) -> Result<u8, CliError> {
    let Logs { id, follow, raw } = arguments;
    let reach = Reach::open().await?;
    let SessionView { id, .. } = reach.client().get(&super::path_of(&id)).await?;
    let stdout = copy(&reach, &id, "stdout", follow, OutputWriter::stdout(raw));
    let stderr = copy(&reach, &id, "stderr", follow, OutputWriter::stderr(raw));
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

/// Copies one output of a session to `writer`, to its end or to what there is now. It goes on where
/// it was when the daemon goes away meanwhile.
///
/// # Errors
///
/// [`CliError::OutputClosed`] when nobody reads any more.
pub(super) async fn copy<W: Write + Send + 'static>(
    reach: &Reach,
    id: &str,
    stream: &str,
    follow: bool,
    writer: OutputWriter<W>,
) -> Result<(), CliError> {
    let mut offset = 0;
    let mut writer = Some(writer);
    reach
        .ask(async |client, progress| {
            let path = format!("/v1/sessions/{id}/output/{stream}?follow={follow}&offset={offset}");
            let mut pieces = client.open(&path).await?;
            while let Some(piece) = pieces.next().await? {
                progress.made();
                offset += piece.len() as u64;
                let Some(mut to) = writer.take() else {
                    return Err(CliError::OutputClosed);
                };
                // Whoever should read it may not, and Ctrl-C must be heard meanwhile.
                let writing = tokio::task::spawn_blocking(move || to.write(&piece).map(|()| to));
                writer = Some(writing.await.map_err(std::io::Error::other)??);
            }
            Ok(())
        })
        .await
}
