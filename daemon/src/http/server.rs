//! Accepts connections on the socket, from the daemon's own user only.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::unix::SocketAddr;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Peer, router};
use crate::serve::App;

/// Connections at one time, at most. Further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 2_048;

/// How long a client may take to send a request's head, in milliseconds.
const HEADER_MS: u64 = 10_000;

/// How long requests under way may take to finish when the daemon leaves, in milliseconds.
const FINISH_MS: u64 = 2_000;

/// How long accepting rests after the system refused a connection for want of something, in
/// milliseconds.
const ACCEPT_PAUSE_MS: u64 = 100;

/// The part of the daemon that talks to clients.
pub(crate) struct Server {
    stop: CancellationToken,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Starts to accept.
    pub(crate) fn start(listener: UnixListener, app: Arc<App>) -> Self {
        let stop = CancellationToken::new();
        let accepting = tokio::spawn(accept(listener, router(app), stop.clone()));
        Self { stop, accepting }
    }

    /// Accepts no more, and waits a while for the requests under way.
    pub(crate) async fn finish(self) {
        self.stop.cancel();
        if let Err(error) = self.accepting.await {
            tracing::error!(%error, "the server broke off");
        }
    }
}

/// Waits for a place first, so that what cannot be served stays in the kernel's queue.
async fn next_connection(
    places: &Arc<Semaphore>,
    listener: &UnixListener,
) -> (Option<OwnedSemaphorePermit>, io::Result<(UnixStream, SocketAddr)>) {
    // The semaphore is never closed, so there is always a permit.
    let place = Arc::clone(places).acquire_owned().await.ok();
    (place, listener.accept().await)
}

async fn accept(listener: UnixListener, router: Router, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let (place, accepted) = tokio::select! {
            next = next_connection(&places, &listener) => next,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, _address)) => {
                if let Some(peer) = admitted(&stream) {
                    let router = router.clone().layer(Extension(peer));
                    let connection = hyper::server::conn::http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(Duration::from_millis(HEADER_MS))
                        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
                    let connection = graceful.watch(connection);
                    tokio::spawn(async move {
                        let _place = place;
                        if let Err(error) = connection.await {
                            tracing::debug!(%error, "a connection ended early");
                        }
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
    drop(listener);
    let patience = tokio::time::sleep(Duration::from_millis(FINISH_MS));
    tokio::select! {
        () = graceful.shutdown() => {}
        () = patience => tracing::warn!("left with requests under way"),
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
