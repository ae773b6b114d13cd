//! Talks to the daemon over its socket.

use std::io;
use std::path::{Path, PathBuf};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::http::request::Builder;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::api::{IDEMPOTENCY_KEY, OUTPUT_OFFSET, Problem};

/// What the words for errors begin with.
const PROBLEM: &str = "urn:candor:problem:";

const JSON: &str = "application/json";

/// What a daemon that leaves answers to what it does not do any more.
const STOPPING: &str = "stopping";

/// What a daemon that leaves its sessions already answers to the wish that it stop them.
const LEAVES_SESSIONS: &str = "leaves_sessions";

/// Why a request gave nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("no daemon runs for {}: `candor daemon start` starts one", .socket.display())]
    NoDaemon {
        socket: PathBuf,
        /// Whether there was one that did not leave by itself: one that does takes its socket along.
        was_killed: bool,
    },
    #[error("cannot reach the daemon at {}: {source}", .socket.display())]
    Unreachable { socket: PathBuf, source: io::Error },
    #[error("{}", .0.detail)]
    Refused(Problem),
    #[error("the daemon has left in the middle of an answer: `candor daemon status` tells more")]
    Broken(#[source] hyper::Error),
    #[error("the daemon's answer cannot be read ({reason}): is it of another version?")]
    Unreadable { reason: String },
}

impl ClientError {
    /// Says whether this only means that the daemon is gone, or goes: the next one can be asked the
    /// same.
    pub(crate) fn is_absence(&self) -> bool {
        match self {
            Self::NoDaemon { .. } | Self::Broken(_) => true,
            Self::Refused(_) => self.is_leaving(),
            Self::Unreachable { .. } | Self::Unreadable { .. } => false,
        }
    }

    /// Says whether the daemon is there, and has said that it leaves.
    pub(crate) fn is_leaving(&self) -> bool {
        self.is_about(STOPPING)
    }

    /// Says whether the sessions are not stopped since the daemon was leaving them already.
    pub(crate) fn is_leaving_sessions(&self) -> bool {
        self.is_about(LEAVES_SESSIONS)
    }

    /// Says whether it was refused since it was asked from inside a session.
    pub(crate) fn is_inside_a_session(&self) -> bool {
        self.is_about("inside_a_session")
    }

    /// Says whether the daemon has answered with the problem of this name.
    pub(crate) fn is_about(&self, name: &str) -> bool {
        match self {
            Self::Refused(problem) => problem.kind.strip_prefix(PROBLEM) == Some(name),
            Self::NoDaemon { .. }
            | Self::Unreachable { .. }
            | Self::Broken(_)
            | Self::Unreadable { .. } => false,
        }
    }

    /// Says whether the session that was asked about was removed before.
    pub(crate) fn is_about_removal(&self) -> bool {
        const GONE: u16 = 410;
        matches!(self, Self::Refused(problem) if problem.status == GONE)
    }
}

/// A daemon that can be asked. It holds no connection: each request has its own.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    socket: PathBuf,
}

impl Client {
    pub(crate) fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Asks whether a daemon listens.
    ///
    /// # Errors
    ///
    /// [`ClientError::NoDaemon`] when none does, so that one may be started.
    pub(crate) async fn probe(&self) -> Result<(), ClientError> {
        self.connect().await.map(drop)
    }

    /// Sends a request without a body, and reads the whole answer.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(Method::GET, path, Bytes::new()).await
    }

    /// Sends an empty request that changes something, and reads the whole answer.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(Method::POST, path, Bytes::new()).await
    }

    /// Sends a request that removes something, and reads the whole answer.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(Method::DELETE, path, Bytes::new()).await
    }

    /// Sends a request that changes something, and reads the whole answer.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub(crate) async fn post_json<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body)
            .map_err(|error| ClientError::Unreadable { reason: error.to_string() })?;
        self.call(Method::POST, path, body.into()).await
    }

    /// Sends a request for a session, and reads the whole answer. Sent again with the same key, it
    /// makes no second one.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub(crate) async fn create<T: DeserializeOwned>(
        &self,
        path: &str,
        key: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body)
            .map_err(|error| ClientError::Unreadable { reason: error.to_string() })?;
        let request = request(Method::POST, path, JSON).header(IDEMPOTENCY_KEY, key);
        read(self.send_request(request, body.into()).await?).await
    }

    /// Sends bytes as they are, and reads the whole answer.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub(crate) async fn post_bytes<T: DeserializeOwned>(
        &self,
        path: &str,
        bytes: Bytes,
    ) -> Result<T, ClientError> {
        let request = request(Method::POST, path, "application/octet-stream");
        read(self.send_request(request, bytes).await?).await
    }

    /// Sends a request whose answer is of no interest but that it worked.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub(crate) async fn tell(&self, path: &str) -> Result<(), ClientError> {
        let response = self.send(Method::POST, path, Bytes::new()).await?;
        collect(response).await.map(drop)
    }

    /// Sends a request that removes something, whose answer is of no interest but that it worked.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub(crate) async fn remove(&self, path: &str) -> Result<(), ClientError> {
        let response = self.send(Method::DELETE, path, Bytes::new()).await?;
        collect(response).await.map(drop)
    }

    /// Sends a request and returns the answer's bytes as they come.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub(crate) async fn open(&self, path: &str) -> Result<Stream, ClientError> {
        let response = self.send(Method::GET, path, Bytes::new()).await?;
        let offset = response.headers().get(OUTPUT_OFFSET);
        let offset = offset.and_then(|offset| offset.to_str().ok()?.parse().ok());
        Ok(Stream { offset, body: response.into_body() })
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        read(self.send(method, path, body).await?).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, ClientError> {
        self.send_request(request(method, path, JSON), body).await
    }

    async fn send_request(
        &self,
        request: Builder,
        body: Bytes,
    ) -> Result<Response<Incoming>, ClientError> {
        let stream = self.connect().await?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(ClientError::Broken)?;
        // It ends when the answer has been read, or its reader is gone.
        tokio::spawn(connection);
        let request = request
            .body(Full::new(body))
            .map_err(|error| ClientError::Unreadable { reason: error.to_string() })?;
        let response = sender.send_request(request).await.map_err(ClientError::Broken)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let bytes = collect(response).await?;
        Err(serde_json::from_slice(&bytes).map_or_else(
            |error| ClientError::Unreadable { reason: error.to_string() },
            ClientError::Refused,
        ))
    }

    async fn connect(&self) -> Result<UnixStream, ClientError> {
        let socket = self.socket.clone();
        UnixStream::connect(&self.socket).await.map_err(|source| match source.kind() {
            // Reset is what is told to who waited in the queue of a daemon that has just left: it has
            // read nothing of them.
            io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset => {
                let was_killed = source.kind() == io::ErrorKind::ConnectionRefused;
                ClientError::NoDaemon { socket, was_killed }
            }
            _ => ClientError::Unreachable { socket, source },
        })
    }
}

fn request(method: Method, path: &str, content_type: &str) -> Builder {
    let request = Request::builder().method(method).uri(path);
    request.header("host", "localhost").header("content-type", content_type)
}

async fn read<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T, ClientError> {
    let bytes = collect(response).await?;
    serde_json::from_slice(&bytes)
        .map_err(|error| ClientError::Unreadable { reason: error.to_string() })
}

async fn collect(response: Response<Incoming>) -> Result<Bytes, ClientError> {
    Ok(response.into_body().collect().await.map_err(ClientError::Broken)?.to_bytes())
}

/// An answer that comes in pieces.
pub(crate) struct Stream {
    /// Where its first byte stands, if it is output.
    offset: Option<u64>,
    body: Incoming,
}

impl Stream {
    /// Returns where its first byte stands, if that was said.
    pub(crate) const fn offset(&self) -> Option<u64> {
        self.offset
    }

    /// Returns the next piece, or `None` at the end. Cancel safe.
    ///
    /// # Errors
    ///
    /// [`ClientError::Broken`] when the daemon left in the middle.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(ClientError::Broken(error)),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }
}

/// Cuts a stream into lines.
pub(crate) struct Lines {
    stream: Stream,
    buffer: Vec<u8>,
}

impl Lines {
    pub(crate) const fn new(stream: Stream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Returns the next line without its end, or `None` when there are no more. Cancel safe.
    ///
    /// # Errors
    ///
    /// As [`Stream::next`].
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                line.pop();
                return Ok(Some(line));
            }
            match self.stream.next().await? {
                Some(piece) => self.buffer.extend_from_slice(&piece),
                None => return Ok(None),
            }
        }
    }
}
