//! Nobody inside a session has a say in what sessions do.
//!
//! An agent could otherwise approve what it asks for itself, launch another one without the limits that
//! it has, or stop its siblings. It may look at everything, and stop itself. It is asked of every
//! request on the socket that is more than a look, where its sender comes from: see
//! [`candor_adapters::process::Origins`]. Over TCP a credential is needed, of which no session has one.

use std::sync::Arc;

use axum::http::Method;
use axum::http::request::Parts;
use candor_adapters::process::{Origin, PeerProcess};
use candor_adapters::sqlite::Resolution;
use candor_core::session::SessionId;

use super::problem::{ApiError, Word};
use crate::serve::App;

/// What a session may do to itself.
const OWN: [&str; 5] = ["interrupt", "kill", "finish", "input", "messages"];

/// What a request wants.
#[derive(Debug, Eq, PartialEq)]
enum Wish<'a> {
    /// To look.
    Look,
    /// Something of this session that it may do to itself: it is named as its sender named it.
    OfSession(&'a str),
    /// Anything else.
    Control,
}

impl<'a> Wish<'a> {
    fn of(method: &Method, path: &'a str) -> Self {
        if [Method::GET, Method::HEAD, Method::OPTIONS].contains(method) {
            return Self::Look;
        }
        let named = path.strip_prefix("/v1/sessions/").and_then(|rest| rest.split_once('/'));
        match named {
            Some((id, verb)) if OWN.contains(&verb) => Self::OfSession(id),
            Some(_) | None => Self::Control,
        }
    }
}

/// Checks that a request that is more than a look does not come out of a session.
///
/// # Errors
///
/// [`Word::InsideASession`]. It is in the log then, and among the session's notes.
pub(super) async fn check(
    app: &Arc<App>,
    peer: &Arc<PeerProcess>,
    parts: &Parts,
) -> Result<(), ApiError> {
    let wish = Wish::of(&parts.method, parts.uri.path());
    if wish == Wish::Look {
        return Ok(());
    }
    let (looking, peer) = (Arc::clone(app), Arc::clone(peer));
    let told = tokio::task::spawn_blocking(move || {
        let live = looking.registry.live_ids();
        (looking.origins.of(&peer, &live), peer.number(), peer.program())
    });
    let (origin, pid, program) =
        told.await.map_err(|_| ApiError::internal("where it comes from is not known: a bug"))?;
    let inside = match origin {
        Origin::Outside => return Ok(()),
        Origin::Session(id) => Some(id),
        Origin::SomeSession | Origin::Unknown => None,
    };
    if let (Some(inside), Wish::OfSession(named)) = (inside, &wish)
        && is_itself(app, inside, named).await?
    {
        return Ok(());
    }
    let path = parts.uri.path();
    tracing::warn!(?origin, pid, program, method = %parts.method, path, "refused: inside a session");
    if let Some(inside) = inside {
        let (method, program) = (&parts.method, program.escape_debug());
        app.registry
            .remark(inside, format!("refused to process {pid} ({program}) of it: {method} {path}"));
    }
    Err(refusal(origin))
}

fn refusal(origin: Origin) -> ApiError {
    let detail = match origin {
        Origin::Session(id) => format!(
            "this comes out of session {id}: from inside a session one may look, and stop that \
             session, and nothing else; ask from a terminal of your own"
        ),
        Origin::SomeSession | Origin::Outside => {
            "this comes out of what a session has left behind: \
             from there one may look, and nothing else; ask from a terminal of your own"
                .to_owned()
        }
        Origin::Unknown => "the process that asks has ended, or it cannot be told where it comes \
             from: ask from one that waits for the answer"
            .to_owned(),
    };
    ApiError::new(Word::InsideASession, detail)
}

/// Says whether a session is meant by what its own process names.
async fn is_itself(app: &App, inside: SessionId, named: &str) -> Result<bool, ApiError> {
    match app.store.resolve(named).await? {
        Resolution::One(id) => Ok(id == inside),
        // What is refused for another reason tells that.
        Resolution::None | Resolution::Removed(_) | Resolution::Ambiguous(_) => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Method;

    use super::Wish;

    #[test]
    fn only_looks_and_what_one_does_to_oneself_are_told_from_control() {
        for (method, path, wish) in [
            (Method::GET, "/v1/sessions", Wish::Look),
            (Method::HEAD, "/v1/sessions", Wish::Look),
            (Method::GET, "/v1/sessions/a/wait", Wish::Look),
            (Method::POST, "/v1/sessions/a/interrupt", Wish::OfSession("a")),
            (Method::POST, "/v1/sessions/a/kill", Wish::OfSession("a")),
            (Method::POST, "/v1/sessions/a/finish", Wish::OfSession("a")),
            (Method::POST, "/v1/sessions/a/messages", Wish::OfSession("a")),
            (Method::POST, "/v1/sessions", Wish::Control),
            (Method::POST, "/v1/sessions/a/continue", Wish::Control),
            (Method::POST, "/v1/sessions/a/requests/1", Wish::Control),
            (Method::POST, "/v1/sessions/a/bypass", Wish::Control),
            (Method::POST, "/v1/sessions/a/b/interrupt", Wish::Control),
            (Method::POST, "/v1/sessions/a/interrupt/", Wish::Control),
            (Method::DELETE, "/v1/sessions/a", Wish::Control),
            (Method::DELETE, "/v1/sessions/a/interrupt", Wish::OfSession("a")),
            (Method::POST, "/v1/daemon/stop", Wish::Control),
            (Method::POST, "/v1/web/open", Wish::Control),
            (Method::POST, "/v1/hooks", Wish::Control),
            (Method::PUT, "/v1/what-comes-later", Wish::Control),
        ] {
            assert_eq!(Wish::of(&method, path), wish, "{method} {path}");
        }
    }
}
