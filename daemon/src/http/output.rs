//! A session's output as bytes, from an offset, and live to the session's end.
//!
//! The bytes of an answer are neighbours. Where some were dropped, or the file was cut off, it is
//! broken off: who asks again from there is told in a header where the next answer begins. So nobody
//! takes a part for the whole, or zeros for output.

use std::io;
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use candor_adapters::process::{Chunk, Follower, OUTPUT_CHUNK_BYTES_MAX, OutputReader, Stream};
use candor_core::session::SessionId;
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::watch;
use utoipa::IntoParams;

use super::asked::{Named, Parameters};
use super::limits::{Places, keeping};
use super::openapi::OfSession;
use super::problem::{ApiError, CHANGE, Problems, SESSION, Word, set};
use super::sessions::{load, resolve};
use crate::api::OUTPUT_OFFSET;
use crate::serve::{App, Snapshot, absent};

/// How often the first byte is looked for. It moves only when more is dropped meanwhile.
const STEPS_MAX: u32 = 8;

/// What `GET /v1/sessions/{id}/output/{stream}` can be asked for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct OutputParameters {
    /// Bytes to leave out at the beginning.
    #[serde(default)]
    offset: u64,
    /// Go on until the session has ended.
    #[serde(default)]
    follow: bool,
}

/// Reads an output by offset, so that it neither loses nor repeats a byte.
struct Tail {
    app: Arc<App>,
    id: SessionId,
    stream: Stream,
    offset: u64,
    /// Where to stop, once that is known.
    end: Option<u64>,
    /// `None` when no task has the session any more, or nobody follows.
    shown: Option<watch::Receiver<Snapshot>>,
    output: Option<(OutputReader, Follower)>,
}

/// Read a session's output from an offset, and as it comes
#[utoipa::path(
    get,
    path = "/v1/sessions/{id}/output/{stream}",
    operation_id = "get_output",
    tag = "output",
    params(
        OfSession,
        ("stream" = String, Path, description = "`stdout` or `stderr`."),
        OutputParameters,
    ),
    responses(
        (
            status = 200, description = "Bytes of the output that are neighbours.",
            body = Vec<u8>, content_type = "application/octet-stream",
            headers(("candor-output-offset" = u64, description = "The offset of the first byte.")),
        ),
        Problems<{ SESSION | CHANGE | set(&[Word::TooManyStreams]) }>
    ),
)]
pub(super) async fn stream(
    State(app): State<Arc<App>>,
    Extension(places): Extension<Places>,
    Named((id, stream)): Named<(String, String)>,
    Parameters(parameters): Parameters<OutputParameters>,
) -> Result<Response, ApiError> {
    let OutputParameters { offset, follow } = parameters;
    let place = places.take_if(follow)?;
    let stream = Stream::ALL
        .into_iter()
        .find(|known| known.as_str() == stream)
        .ok_or_else(|| ApiError::not_found("a session's outputs are called stdout and stderr"))?;
    let id = resolve(&app, &id).await?;
    let shown = match follow {
        true => match app.registry.follow(id).await {
            Ok(shown) => shown,
            Err(refusal) => return Err(absent(&app, refusal).await.into()),
        },
        false => None,
    };
    let mut tail = Tail { app, id, stream, offset, end: None, shown, output: None };
    // An open file outlives its removal: what was promised here is read to its end. Where there is
    // no file, it may have been removed just now, which must not pass for an empty output.
    if tail.look()?.is_none() && !tail.may_come() {
        load(&tail.app, id).await?;
    }
    let offset = tail.begin().await?;
    let pieces = stream::try_unfold(tail, |mut tail| async move {
        Ok::<_, io::Error>(tail.next_piece().await?.map(|piece| (piece, tail)))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (HeaderName::from_static(OUTPUT_OFFSET), offset.to_string()),
    ];
    Ok((headers, keeping(place, Body::from_stream(pieces))).into_response())
}

impl Tail {
    /// Goes to the first byte that is there, from where was asked for, and returns its offset.
    async fn begin(&mut self) -> io::Result<u64> {
        let Some((reader, _)) = &self.output else { return Ok(self.offset) };
        for _ in 0..STEPS_MAX {
            match read(reader.clone(), self.offset, 1).await? {
                Chunk::Bytes(_) => break,
                Chunk::Dropped(gap) => self.offset = gap.to,
                Chunk::CutOff { size_bytes } => self.offset = size_bytes,
            }
        }
        Ok(self.offset)
    }

    /// Returns the next piece, or `None` at the end.
    async fn next_piece(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if self.output.is_none() && !self.open().await? {
                return Ok(None);
            }
            let Some((reader, follower)) = &self.output else {
                return Ok(None);
            };
            if self.end.is_none() {
                self.end = end_of(self.shown.as_ref(), self.stream, reader)?;
            }
            let wanted = self.end.map_or(u64::MAX, |end| end.saturating_sub(self.offset));
            let piece = match read(reader.clone(), self.offset, wanted).await? {
                Chunk::Bytes(piece) => piece,
                Chunk::Dropped(_) | Chunk::CutOff { .. } => {
                    // What came before goes out meanwhile: an error takes along what still waits,
                    // and who got nothing would ask for the same again.
                    tokio::task::yield_now().await;
                    return Err(io::Error::other("the next bytes are gone"));
                }
            };
            if !piece.is_empty() {
                self.offset += piece.len() as u64;
                return Ok(Some(piece.into()));
            }
            let Some(shown) = self.shown.as_mut().filter(|_| self.end.is_none()) else {
                return Ok(None);
            };
            tokio::select! {
                grown = follower.grown_beyond(self.offset) => { grown?; }
                // Its end, or the loss of its task: either way there is something to look at.
                _ended = shown.wait_for(is_over) => {}
            }
        }
    }

    /// Opens the output. Before the process is up there may be none yet; says whether there is one.
    async fn open(&mut self) -> io::Result<bool> {
        loop {
            // First whether one may still come, then whether it is there: it may come in between.
            let is_early = self.may_come();
            if self.look()?.is_some() {
                return Ok(true);
            }
            let Some(shown) = self.shown.as_mut().filter(|_| is_early) else {
                return Ok(false);
            };
            if shown.wait_for(|shown| !is_early_in(shown)).await.is_err() {
                return Err(io::ErrorKind::Interrupted.into());
            }
        }
    }

    /// Says whether there is no output yet that may still come.
    fn may_come(&self) -> bool {
        self.shown.as_ref().is_some_and(|shown| is_early_in(&shown.borrow()))
    }

    /// Opens the output if it is there.
    fn look(&mut self) -> io::Result<Option<&OutputReader>> {
        match self.app.outputs.open(self.id, self.stream) {
            Ok(reader) => {
                let follower = self.app.outputs.follow(&reader);
                Ok(Some(&self.output.insert((reader, follower)).0))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn is_early_in(shown: &Snapshot) -> bool {
    !shown.session.machine.is_up() && !is_over(shown)
}

fn is_over(shown: &Snapshot) -> bool {
    shown.session.status().is_terminal()
}

/// Returns where the output ends, once that is known: at what there was when the process was gone,
/// or else at what there is.
///
/// # Errors
///
/// When the daemon leaves before the end is known. The answer is broken off then: one that ends well
/// is whole.
fn end_of(
    shown: Option<&watch::Receiver<Snapshot>>,
    stream: Stream,
    reader: &OutputReader,
) -> io::Result<Option<u64>> {
    if let Some(shown) = shown {
        // First whether its task is there, and then what it has shown: the end may come in between.
        let is_followed = shown.has_changed().is_ok();
        let shown = shown.borrow();
        if !is_over(&shown) {
            return if is_followed { Ok(None) } else { Err(io::ErrorKind::Interrupted.into()) };
        }
        if let Some(sizes) = shown.session.sighting.output {
            return Ok(Some(match stream {
                Stream::Stdout => sizes.stdout_bytes,
                Stream::Stderr => sizes.stderr_bytes,
            }));
        }
    }
    reader.size_bytes().map(Some)
}

async fn read(reader: OutputReader, offset: u64, bytes_max: u64) -> io::Result<Chunk> {
    let chunk = bytes_max.min(OUTPUT_CHUNK_BYTES_MAX as u64);
    // The disk may take its time, and other sessions must not wait for it.
    tokio::task::spawn_blocking(move || reader.read_at(offset, chunk)).await?
}
