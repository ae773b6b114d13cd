//! `candor logs`: a session's output.

use std::io::Write;

use super::arguments::Logs;
use super::reach::Reach;
use super::terminal::OutputWriter;
use super::{CliError, client, complain, conversation};
use crate::api::SessionView;
use crate::exit_code;

pub(super) async fn main(arguments: Logs) -> Result<u8, CliError> {
    let Logs { id, follow, raw } = arguments;
    let reach = Reach::open().await?;
    let mut session: SessionView = reach.get(&super::path_of(&id)).await?;
    let id = session.id.clone();
    let path = super::path_of(&id);
    if session.agent.is_some() && !raw {
        return of_agent(&reach, &session, follow).await;
    }
    let stdout = copy(&reach, &id, "stdout", follow, OutputWriter::stdout(raw), Gaps::InTheOutput);
    let stderr = copy(&reach, &id, "stderr", follow, OutputWriter::stderr(raw), Gaps::InTheOutput);
    let copied = match follow {
        true => tokio::try_join!(stdout, stderr)?,
        false => (stdout.await?, stderr.await?),
    };
    // One that was removed meanwhile was read to its end all the same. One that was not followed is
    // held against what it was before: it may have printed more since.
    if follow && let Ok(ended) = reach.client().get::<SessionView>(&path).await {
        session = ended;
    }
    complain_of_missing(&session, copied);
    Ok(exit_code::SUCCESS)
}

/// Prints an agent's conversation, and its standard error.
async fn of_agent(reach: &Reach, session: &SessionView, follow: bool) -> Result<u8, CliError> {
    let id = &session.id;
    let writer = OutputWriter::stderr(false);
    let stderr = copy(reach, id, "stderr", follow, writer, Gaps::OnStandardError);
    let said = conversation::show(reach, id, session.status, follow);
    let count = match follow {
        true => tokio::try_join!(said, stderr)?.0,
        false => {
            let count = said.await?;
            stderr.await?;
            count
        }
    };
    let printed = session.evidence.output.is_some_and(|output| output.stdout_bytes > 0);
    // The prompt is always there.
    if count <= 1 && printed {
        complain(&"nothing that it printed is a conversation: `--raw` shows it as it is");
    }
    Ok(exit_code::SUCCESS)
}

/// Says so when less was copied of the outputs than a session had printed at its end.
pub(super) fn complain_of_missing(session: &SessionView, (stdout, stderr): (u64, u64)) {
    let Some(printed) = session.evidence.output else { return };
    for (name, printed, copied) in
        [("stdout", printed.stdout_bytes, stdout), ("stderr", printed.stderr_bytes, stderr)]
    {
        if copied < printed {
            let missing = grouped(printed - copied);
            complain(&format!(
                "{missing} bytes at the end of {name} are missing: its file was removed or cut off"
            ));
        }
    }
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

/// Copies one output of a session to `writer`, to its end or to what there is now, and returns the
/// offset of that end. It goes on where it was when the daemon goes away meanwhile, and says where
/// something was dropped.
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
    gaps: Gaps,
) -> Result<u64, CliError> {
    let mut offset = 0;
    let mut writer = Some(writer);
    let mut is_in_line = false;
    reach
        .ask(async |client, progress| {
            let path = format!("/v1/sessions/{id}/output/{stream}?follow={follow}&offset={offset}");
            let mut pieces = client.open(&path).await?;
            let begins = pieces.offset().unwrap_or(offset);
            let mut next = None;
            if begins != offset {
                let line = gap_line(offset, begins, is_in_line && gaps == Gaps::InTheOutput);
                match gaps {
                    Gaps::InTheOutput => next = Some(line.into()),
                    Gaps::OnStandardError => complain(&line.trim_end()),
                }
            }
            offset = begins;
            loop {
                let is_ours = next.is_some();
                let piece = match next.take() {
                    Some(line) => line,
                    None => match pieces.next().await? {
                        Some(piece) => piece,
                        None => return Ok(()),
                    },
                };
                progress.made();
                if !is_ours {
                    offset += piece.len() as u64;
                }
                is_in_line = piece.last().is_some_and(|byte| *byte != b'\n');
                let Some(mut to) = writer.take() else {
                    return Err(CliError::OutputClosed);
                };
                // Whoever should read it may not, and Ctrl-C must be heard meanwhile.
                let writing = tokio::task::spawn_blocking(move || to.write(&piece).map(|()| to));
                writer = Some(writing.await.map_err(std::io::Error::other)??);
            }
        })
        .await?;
    Ok(offset)
}

/// Where it is said that something of an output was dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Gaps {
    /// Where it was, for who reads.
    InTheOutput,
    /// On standard error, for the sake of programs that take the output for what it is.
    OnStandardError,
}

/// Says, on a line of its own, that the output goes on elsewhere than it stopped. Among the
/// output it stands so that nobody takes what is before and behind it for neighbours.
fn gap_line(stopped: u64, begins: u64, is_in_line: bool) -> String {
    let line_end = if is_in_line { "\n" } else { "" };
    match begins.checked_sub(stopped) {
        Some(dropped) => format!(
            "{line_end}[candor: {} bytes were dropped here: the output passed its quota]\n",
            grouped(dropped)
        ),
        None => format!(
            "{line_end}[candor: somebody has cut the output off; it goes on from byte {}]\n",
            grouped(begins)
        ),
    }
}

/// Writes a number with its digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{gap_line, grouped};

    #[test]
    fn numbers_are_written_in_groups() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (9_663_676_416, "9,663,676,416"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn a_gap_stands_on_a_line_of_its_own() {
        let said = "[candor: 1,000 bytes were dropped here: the output passed its quota]\n";
        assert_eq!(gap_line(24, 1_024, false), said);
        assert_eq!(gap_line(24, 1_024, true), format!("\n{said}"));
        let said = "[candor: somebody has cut the output off; it goes on from byte 7]\n";
        assert_eq!(gap_line(1_024, 7, false), said);
    }
}
