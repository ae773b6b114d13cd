//! Listens on the loopback interface, where browsers and scripts can come, once somebody asked for it.
//!
//! The daemon never listens anywhere else. Whoever wants to reach it from another machine forwards the
//! port (`ssh -L`), which brings what plain HTTP does not have: another end that is known, and a wire
//! that nobody reads.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::http::Request;
use candor_adapters::process::TcpPeer;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tower_http::timeout::TimeoutBody;

use super::guard::{Guard, Shown};
use super::limits::Streams;
use super::problem::{ApiError, Word};
use super::router;
use super::server::{accept, builder};
use crate::serve::App;

/// Connections at one time, at most. Further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 512;

/// Bytes of requests that are read ahead for one connection, at most.
const READ_AHEAD_BYTES_MAX: usize = 64 << 10;

/// Headers of a request, at most.
const HEADERS_MAX: usize = 64;

/// How long the body of a request may bring nothing, in milliseconds.
const BODY_IDLE_MS: u64 = 30_000;

/// How long a daemon that comes back tries to have the port of last time, in milliseconds: the one
/// before was perhaps killed this moment, and the kernel lets go of its files one by one.
const COME_BACK_MS: u64 = 2_000;

/// How long it waits between two attempts, in milliseconds.
const COME_BACK_PAUSE_MS: u64 = 20;

/// How long an answer may take to end by itself once its credential was taken back, in milliseconds. A
/// client that does not read would not notice.
const TAKEN_BACK_MS: u64 = 300;

/// How long a request without a credential may take, from its head until its answer is read and the
/// next one comes, in milliseconds. All that there is for those are a few small files, and the login.
const STRANGER_MS: u64 = 10_000;

/// Begins to listen, unless the daemon does. Returns where.
///
/// # Errors
///
/// When there is no port to be had.
pub(super) async fn listen(app: &Arc<App>, streams: &Arc<Streams>) -> Result<SocketAddr, ApiError> {
    let mut listening = app.web.listening.lock().await;
    if let Some(at) = *listening {
        return Ok(at);
    }
    let listener = bind(app).await.map_err(|error| {
        let at = app.web.setting().map_or_else(|| "127.0.0.1".to_owned(), |at| at.to_string());
        let detail =
            format!("cannot listen on {at}: {error}; close what has the port, or set another");
        ApiError::new(Word::CannotListen, detail)
    })?;
    let at = start(app, listener, streams)
        .await
        .map_err(|error| ApiError::internal(format!("cannot listen: {error}")))?;
    *listening = Some(at);
    Ok(at)
}

/// Listens where the daemon before did, if there is anybody who could come.
pub(super) async fn come_back(app: Arc<App>, streams: Arc<Streams>) {
    if !app.web.is_wanted() {
        return;
    }
    let mut listening = app.web.listening.lock().await;
    if listening.is_some() {
        return;
    }
    let listener = match bind_again(&app).await {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "does not listen for browsers: `candor open` tries again");
            return;
        }
    };
    match start(&app, listener, &streams).await {
        Ok(at) => *listening = Some(at),
        Err(error) => tracing::error!(%error, "does not listen for browsers"),
    }
}

/// Takes the port of the settings, or that of last time, or any.
async fn bind(app: &App) -> io::Result<TcpListener> {
    let wanted = wanted(app);
    match TcpListener::bind(wanted).await {
        // Only whoever names a port in the settings wants that one or none.
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_free(app) => {
            TcpListener::bind(SocketAddr::new(wanted.ip(), 0)).await
        }
        bound => bound,
    }
}

/// The same, with some patience.
async fn bind_again(app: &App) -> io::Result<TcpListener> {
    let trying = async {
        loop {
            match TcpListener::bind(wanted(app)).await {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    tokio::time::sleep(Duration::from_millis(COME_BACK_PAUSE_MS)).await;
                }
                bound => return bound,
            }
        }
    };
    match tokio::time::timeout(Duration::from_millis(COME_BACK_MS), trying).await {
        Ok(bound) => bound,
        Err(_late) => bind(app).await,
    }
}

fn wanted(app: &App) -> SocketAddr {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut wanted = app.web.setting().unwrap_or(any);
    if wanted.port() == 0 {
        wanted.set_port(app.web.last_port().unwrap_or(0));
    }
    wanted
}

/// Says whether the settings leave the port open.
fn is_free(app: &App) -> bool {
    app.web.setting().is_none_or(|at| at.port() == 0)
}

async fn start(
    app: &Arc<App>,
    listener: TcpListener,
    streams: &Arc<Streams>,
) -> io::Result<SocketAddr> {
    let at = listener.local_addr()?;
    // The settings cannot name another address, and nothing else is a reason to.
    if !at.ip().is_loopback() {
        return Err(io::ErrorKind::AddrNotAvailable.into());
    }
    let kept = Arc::clone(app);
    let keeping = tokio::task::spawn_blocking(move || kept.web.keep_port(at.port())).await;
    if let Err(error) = keeping.map_err(io::Error::other)? {
        tracing::warn!(%error, "the next daemon will listen on another port");
    }
    let guard = Arc::new(Guard::new(
        Arc::clone(app),
        router(Arc::clone(app)),
        at.port(),
        Arc::clone(streams),
    ));
    let listener = Arc::new(listener);
    let next = move || {
        let listener = Arc::clone(&listener);
        async move { listener.accept().await }
    };
    app.web.tasks.spawn(accept(
        next,
        CONNECTIONS_MAX,
        app.web.stop.clone(),
        move |(stream, from): (TcpStream, SocketAddr), graceful| {
            // What waits for a full packet comes late.
            let _slower = stream.set_nodelay(true);
            Some(serve(stream, from, Arc::clone(&guard), graceful))
        },
    ));
    let ending = end_expired(Arc::clone(app));
    app.web.tasks.spawn(app.web.stop.clone().run_until_cancelled_owned(ending));
    tracing::info!(%at, "listens for browsers");
    Ok(at)
}

/// Ends logins, and what goes on by them, when they have had their time.
async fn end_expired(app: Arc<App>) {
    loop {
        let ending = Arc::clone(&app);
        match tokio::task::spawn_blocking(move || ending.web.end_expired()).await {
            Ok(until) => tokio::time::sleep(until).await,
            // Nobody gets in by an old login all the same.
            Err(error) => return tracing::error!(%error, "logins do not end by themselves: a bug"),
        }
    }
}

/// Talks with one client until it leaves, or its credential is taken back.
fn serve(
    stream: TcpStream,
    from: SocketAddr,
    guard: Arc<Guard>,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + use<> {
    let watcher = graceful.watcher();
    async move {
        let Some(client) = admitted(&stream, from).await else {
            return;
        };
        let (shown, whose) = watch::channel(Shown::Nobody);
        let service = service_fn(move |mut request: Request<Incoming>| {
            let (guard, shown) = (Arc::clone(&guard), shown.clone());
            request.extensions_mut().insert(client);
            let request = request.map(with_patience);
            async move { Ok::<_, Infallible>(guard.answer(request, &shown).await) }
        });
        let mut builder = builder();
        builder.max_buf_size(READ_AHEAD_BYTES_MAX).max_headers(HEADERS_MAX);
        let connection = watcher.watch(builder.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            ended = connection => if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            },
            () = over(whose) => {}
        }
    }
}

/// Returns who is at the other end, or `None` when it is another user: nobody else has a credential, but
/// one that was got at. Not a byte of it is read then.
async fn admitted(stream: &TcpStream, from: SocketAddr) -> Option<TcpPeer> {
    let own = rustix::process::geteuid().as_raw();
    let local = stream.local_addr().ok()?;
    // The table is as long as there are connections on the machine.
    let found = tokio::task::spawn_blocking(move || TcpPeer::of(local, from)).await;
    match found.map_err(io::Error::other).flatten() {
        Ok(Some(client)) if client.uid() == own => Some(client),
        Ok(Some(client)) => {
            tracing::warn!(uid = client.uid(), "another user's connection over TCP was refused");
            None
        }
        Ok(None) => {
            tracing::debug!(%from, "a connection was closed before it was known whose it is");
            None
        }
        Err(error) => {
            tracing::warn!(%error, "a connection over TCP was refused: nobody knows whose it is");
            None
        }
    }
}

/// Makes a body that brings nothing for long an error.
fn with_patience(body: Incoming) -> Body {
    // What waits for the next piece does not say of itself that there is none.
    if body.is_end_stream() {
        return Body::empty();
    }
    Body::new(TimeoutBody::new(Duration::from_millis(BODY_IDLE_MS), body))
}

/// Returns when a connection has nothing more to bring: some time after the credential was taken back
/// that it was last used with, or when a request of somebody who has none takes too long.
async fn over(mut shown: watch::Receiver<Shown>) {
    loop {
        let current = shown.borrow_and_update().clone();
        let over = async {
            match current {
                Shown::Nobody => tokio::time::sleep(Duration::from_millis(STRANGER_MS)).await,
                Shown::Look(access) => {
                    access.ended.cancelled().await;
                    tokio::time::sleep(Duration::from_millis(TAKEN_BACK_MS)).await;
                }
                Shown::Change => std::future::pending().await,
            }
        };
        tokio::select! {
            () = over => return,
            changed = shown.changed() => if changed.is_err() {
                // The connection is about to end by itself.
                return std::future::pending().await;
            },
        }
    }
}
