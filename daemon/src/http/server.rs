//! Accepts connections on the socket, from the daemon's own user only.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::{IntoResponse as _, Response};
use candor_adapters::process::PeerProcess;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::guard::with_headers;
use super::limits::{Places, Streams};
use super::reserve::{Reserve, turn_away};
use super::{Peer, inside, router, tcp};
use crate::serve::App;

/// Connections at one time, at most. Further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 2_048;

/// How long a client may take to send a request's head, in milliseconds. It counts from the end of the
/// answer before, too, so that it is also how long a connection may be idle.
const HEADER_MS: u64 = 10_000;

/// Bytes of an answer that wait in memory for a client of the socket, about, and of a request's head, at
/// most. What a client does not read is not made ready for it.
const AHEAD_BYTES_MAX: usize = 16 << 10;

/// How long requests under way may take to finish when the daemon leaves, in milliseconds.
const FINISH_MS: u64 = 2_000;

/// How long accepting rests after the system refused a connection for want of something, in
/// milliseconds.
const ACCEPT_PAUSE_MS: u64 = 100;

/// The part of the daemon that talks to clients.
pub(crate) struct Server {
    app: Arc<App>,
    stop: CancellationToken,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Starts to accept: on the socket, and over TCP if the daemon before did.
    pub(crate) fn start(listener: UnixListener, app: Arc<App>) -> Self {
        let stop = CancellationToken::new();
        let streams = Arc::new(Streams::new());
        let door = Door {
            app: Arc::clone(&app),
            router: router(Arc::clone(&app)),
            streams: Arc::clone(&streams),
            told: Arc::new(inside::Told::new()),
            reserve: Arc::new(Reserve::new()),
        };
        let listener = Arc::new(listener);
        let next = move || {
            let listener = Arc::clone(&listener);
            async move { listener.accept().await.map(|(stream, _address)| stream) }
        };
        let accepting =
            tokio::spawn(accept(next, CONNECTIONS_MAX, stop.clone(), move |stream, graceful| {
                admitted(&stream).map(|peer| serve(stream, peer, door.clone(), graceful))
            }));
        let web = &app.web;
        web.tasks.spawn(
            web.stop.clone().run_until_cancelled_owned(tcp::come_back(Arc::clone(&app), streams)),
        );
        Self { app, stop, accepting }
    }

    /// Accepts no more, and waits a while for the requests under way.
    pub(crate) async fn finish(self) {
        self.stop.cancel();
        self.app.web.stop.cancel();
        self.app.web.tasks.close();
        let (accepting, ()) = tokio::join!(self.accepting, self.app.web.tasks.wait());
        if let Err(error) = accepting {
            tracing::error!(%error, "the server broke off");
        }
    }
}

/// Accepts connections until it is stopped, and has each served on a task of its own. `serve` returns
/// `None` for one that is not let in.
///
/// It waits for a place first, so that what cannot be served stays in the kernel's queue.
pub(super) async fn accept<S, Next, Served>(
    next: impl Fn() -> Next + Send,
    connections_max: usize,
    stop: CancellationToken,
    serve: impl Fn(S, &GracefulShutdown) -> Option<Served> + Send,
) where
    S: Send,
    Next: Future<Output = io::Result<S>> + Send,
    Served: Future<Output = ()> + Send + 'static,
{
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(connections_max));
    loop {
        let (place, accepted) = tokio::select! {
            next = next_connection(&places, next()) => next,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok(stream) => {
                if let Some(served) = serve(stream, &graceful) {
                    tokio::spawn(async move {
                        let _place = place;
                        served.await;
                    });
                }
            }
            Err(error) => {
                // Out of descriptors or memory: connections that end make room again.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
            }
        }
    }
    // What listens goes first.
    drop((next, serve));
    let patience = tokio::time::sleep(Duration::from_millis(FINISH_MS));
    tokio::select! {
        () = graceful.shutdown() => {}
        () = patience => tracing::warn!("left with requests under way"),
    }
}

async fn next_connection<S>(
    places: &Arc<Semaphore>,
    next: impl Future<Output = io::Result<S>>,
) -> (Option<OwnedSemaphorePermit>, io::Result<S>) {
    // The semaphore is never closed, so there is always a permit.
    let place = Arc::clone(places).acquire_owned().await.ok();
    (place, next.await)
}

/// Returns what connections of both kinds have in common.
pub(super) fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_millis(HEADER_MS));
    builder
}

/// What stands behind the socket.
#[derive(Clone)]
struct Door {
    app: Arc<App>,
    router: Router,
    streams: Arc<Streams>,
    told: Arc<inside::Told>,
    reserve: Arc<Reserve>,
}

impl Door {
    async fn answer(
        self,
        peer: Peer,
        process: Arc<PeerProcess>,
        request: Request<Incoming>,
    ) -> Response {
        let (mut parts, body) = request.into_parts();
        let is_api = parts.uri.path().starts_with("/v1");
        match inside::check(&self.app, &process, &self.told, &parts).await {
            Ok(None) => {}
            Ok(Some(insider)) => {
                parts.extensions.insert(insider);
            }
            Err(refusal) => return with_headers(refusal.into_response(), is_api),
        }
        parts.extensions.insert(peer);
        parts.extensions.insert(Arc::clone(&self.streams));
        parts.extensions.insert(Places { streams: self.streams, access: None });
        let answering = self.router.oneshot(Request::from_parts(parts, Body::new(body)));
        let response = answering.await.unwrap_or_else(|never| match never {});
        with_headers(response, is_api)
    }
}

/// Talks with one client until it leaves.
fn serve(
    stream: UnixStream,
    peer: Peer,
    door: Door,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + use<> {
    let pid = stream.peer_cred().ok().and_then(|credentials| credentials.pid());
    let process = Arc::new(door.app.origins.peer(&stream, pid));
    // The daemon does not leave before it has looked at who has come.
    let watcher = graceful.watcher();
    async move {
        let Some(_place) = door.reserve.place(&door.app, &process).await else {
            return turn_away(stream).await;
        };
        let service = service_fn(move |request| {
            let (door, process) = (door.clone(), Arc::clone(&process));
            async move { Ok::<_, Infallible>(door.answer(peer, process, request).await) }
        });
        let mut builder = builder();
        builder.max_buf_size(AHEAD_BYTES_MAX);
        let connection = watcher.watch(builder.serve_connection(TokioIo::new(stream), service));
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

/// Returns who is at the other end, or `None` when it is another user.
fn admitted(stream: &UnixStream) -> Option<Peer> {
    let own = rustix::process::geteuid().as_raw();
    match stream.peer_cred() {
        Ok(credentials) if credentials.uid() == own => Some(Peer { uid: credentials.uid() }),
        Ok(credentials) => {
            tracing::warn!(uid = credentials.uid(), "another user's connection was refused");
            None
        }
        Err(error) => {
            tracing::warn!(%error, "a connection without credentials was refused");
            None
        }
    }
}
