//! Nobody inside a session has a say in what sessions do.
//!
//! An agent could otherwise approve what it asks for itself, launch another one without the limits that
//! it has, or stop its siblings. It may look at everything, and stop itself. What its own session reads
//! is for others to write, too: to an agent, that is what its user says. It is asked of every request on
//! the socket that is more than a look, where its sender comes from: see
//! [`candor_adapters::process::Origins`]. Over TCP a credential is needed, of which no session has one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::FromRequestParts;
use axum::http::Method;
use axum::http::request::Parts;
use candor_adapters::process::{Origin, PeerProcess};
use candor_adapters::sqlite::Resolution;
use candor_core::session::SessionId;
use tokio::runtime::Handle;

use super::asked::Named;
use super::problem::{ApiError, Word};
use super::sessions::resolve;
use crate::serve::App;

/// How a session may stop itself.
const STOPS: [&str; 3] = ["interrupt", "kill", "finish"];

/// Refusals that the log tells in a minute, at most. Of those beyond it tells the number.
const LINES_PER_MINUTE_MAX: u64 = 60;

/// Characters of an address that are told, at most.
const TOLD_CHARS_MAX: usize = 200;

/// What is said where nobody can tell whether it comes out of a session.
const NO_FILE_LEFT: &str = "the daemon has no file left to look where this comes from: try again, or raise its limit of \
     open files";

/// What a request wants.
#[derive(Debug, Eq, PartialEq)]
enum Wish {
    /// To look.
    Look,
    /// To stop the session that it names. See [`Stopped`].
    Stop,
    /// Anything else.
    Control,
}

impl Wish {
    fn of(method: &Method, path: &str) -> Self {
        if [Method::GET, Method::HEAD, Method::OPTIONS].contains(method) {
            return Self::Look;
        }
        let named = path.strip_prefix("/v1/sessions/").and_then(|rest| rest.split_once('/'));
        match named {
            Some((_id, verb)) if STOPS.contains(&verb) => Self::Stop,
            Some(_) | None => Self::Control,
        }
    }
}

/// Who sends a request out of a session, or out of what one has left behind.
#[derive(Clone, Debug)]
pub(super) struct Insider {
    origin: Origin,
    pid: i32,
    program: String,
    told: Arc<Told>,
}

impl Insider {
    /// Refuses what it asks for. That is in the log then, and among the session's notes.
    fn refuse(&self, app: &App, parts: &Parts) -> ApiError {
        let Self { origin, pid, program, told } = self;
        let (method, path) = (shortened(parts.method.as_str()), shortened(parts.uri.path()));
        if let Some(untold) = told.next(Instant::now()) {
            tracing::warn!(
                ?origin,
                pid,
                program,
                method,
                path,
                untold,
                "refused: inside a session"
            );
        }
        if let Origin::Session(inside) = *origin {
            let program = program.escape_debug();
            let note = format!("refused to process {pid} ({program}) of it: {method} {path}");
            app.registry.remark(inside, note);
        }
        refusal(*origin)
    }
}

/// The session that a request stops. One that comes out of a session stops that one alone.
pub(super) struct Stopped(pub(super) SessionId);

impl FromRequestParts<Arc<App>> for Stopped {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let Named(text): Named<String> = Named::from_request_parts(parts, app).await?;
        let Some(insider) = parts.extensions.get::<Insider>() else {
            return resolve(app, &text).await.map(Self);
        };
        // It is compared what is stopped, not what was written: and nobody inside learns by it what a
        // text stands for, which may be another session in the next moment.
        match app.store.resolve(&text).await? {
            Resolution::One(id) if insider.origin == Origin::Session(id) => Ok(Self(id)),
            Resolution::One(_)
            | Resolution::None
            | Resolution::Removed(_)
            | Resolution::Ambiguous(_) => Err(insider.refuse(app, parts)),
        }
    }
}

/// Checks that a request that is more than a look does not come out of a session. Returns who sends it
/// if it does, and would stop a session: then it goes with the request, for [`Stopped`] to see.
///
/// # Errors
///
/// [`Word::InsideASession`], or [`Word::NoFileLeft`] where that cannot be looked up now.
pub(super) async fn check(
    app: &Arc<App>,
    peer: &Arc<PeerProcess>,
    told: &Arc<Told>,
    parts: &Parts,
) -> Result<Option<Insider>, ApiError> {
    let wish = Wish::of(&parts.method, parts.uri.path());
    if wish == Wish::Look {
        return Ok(None);
    }
    let origin = origin_of(app, peer).await?;
    let (pid, program) = (peer.number(), peer.program());
    let insider = Insider { origin, pid, program, told: Arc::clone(told) };
    match (origin, wish) {
        (Origin::Outside, _) => Ok(None),
        (Origin::NoRoom, _) => Err(ApiError::new(Word::NoFileLeft, NO_FILE_LEFT)),
        (Origin::Session(_), Wish::Stop) => Ok(Some(insider)),
        (Origin::Session(_) | Origin::SomeSession | Origin::Unknown, _) => {
            Err(insider.refuse(app, parts))
        }
    }
}

/// Finds out where a process comes from.
pub(super) async fn origin_of(app: &Arc<App>, peer: &Arc<PeerProcess>) -> Result<Origin, ApiError> {
    let (app, peer) = (Arc::clone(app), Arc::clone(peer));
    let found = tokio::task::spawn_blocking(move || {
        let live = app.registry.live_ids();
        app.origins.of(&peer, &live, |id| is_own(&app, id))
    });
    found.await.map_err(|_| ApiError::internal("where it comes from is not known: a bug"))
}

/// Says whether there is or was such a session here. What cannot be read might tell of it.
///
/// It waits for the store, which no task may do.
pub(super) fn is_own(app: &App, id: SessionId) -> bool {
    let found = Handle::current().block_on(app.store.resolve(&id.to_string()));
    !matches!(found, Ok(Resolution::None))
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
        Origin::NoRoom => NO_FILE_LEFT.to_owned(),
        Origin::Unknown => "the process that asks has ended, or it cannot be told where it comes \
             from: ask from one that waits for the answer"
            .to_owned(),
    };
    ApiError::new(Word::InsideASession, detail)
}

/// Cuts off what nobody reads, so that whoever is refused fills neither the log nor a session's row.
fn shortened(text: &str) -> String {
    text.chars().take(TOLD_CHARS_MAX).collect()
}

/// What the log is told of refusals.
#[derive(Debug)]
pub(super) struct Told(Mutex<Minute>);

#[derive(Debug)]
struct Minute {
    since: Instant,
    refusals: u64,
}

impl Told {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Minute { since: Instant::now(), refusals: 0 }))
    }

    /// Counts a refusal. Returns how many were left untold before it if it is to be told.
    fn next(&self, now: Instant) -> Option<u64> {
        const MINUTE: Duration = Duration::from_secs(60);

        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut untold = 0;
        if now.duration_since(minute.since) >= MINUTE {
            untold = minute.refusals.saturating_sub(LINES_PER_MINUTE_MAX);
            *minute = Minute { since: now, refusals: 0 };
        }
        minute.refusals = minute.refusals.saturating_add(1);
        (minute.refusals <= LINES_PER_MINUTE_MAX).then_some(untold)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use axum::http::Method;

    use super::{LINES_PER_MINUTE_MAX, TOLD_CHARS_MAX, Told, Wish, shortened};

    #[test]
    fn only_looks_and_stops_are_told_from_control() {
        for (method, path, wish) in [
            (Method::GET, "/v1/sessions", Wish::Look),
            (Method::HEAD, "/v1/sessions", Wish::Look),
            (Method::GET, "/v1/sessions/a/wait", Wish::Look),
            (Method::POST, "/v1/sessions/a/interrupt", Wish::Stop),
            (Method::POST, "/v1/sessions/a/kill", Wish::Stop),
            (Method::POST, "/v1/sessions/a/finish", Wish::Stop),
            (Method::POST, "/v1/sessions/a/messages", Wish::Control),
            (Method::POST, "/v1/sessions/a/input", Wish::Control),
            (Method::POST, "/v1/sessions/a/%6bill", Wish::Control),
            (Method::POST, "/v1/sessions/%61/kill", Wish::Stop),
            (Method::POST, "/v1/sessions", Wish::Control),
            (Method::POST, "/v1/sessions/a/continue", Wish::Control),
            (Method::POST, "/v1/sessions/a/requests/1", Wish::Control),
            (Method::POST, "/v1/sessions/a/bypass", Wish::Control),
            (Method::POST, "/v1/sessions/a/b/interrupt", Wish::Control),
            (Method::POST, "/v1/sessions/a/interrupt/", Wish::Control),
            (Method::DELETE, "/v1/sessions/a", Wish::Control),
            (Method::DELETE, "/v1/sessions/a/interrupt", Wish::Stop),
            (Method::POST, "/v1/daemon/stop", Wish::Control),
            (Method::POST, "/v1/web/open", Wish::Control),
            (Method::POST, "/v1/hooks", Wish::Control),
            (Method::PUT, "/v1/what-comes-later", Wish::Control),
        ] {
            assert_eq!(Wish::of(&method, path), wish, "{method} {path}");
        }
    }

    #[test]
    fn a_minute_has_so_many_lines_and_the_next_one_tells_what_it_had_besides() {
        let told = Told::new();
        let now = Instant::now();
        let lines = (0..LINES_PER_MINUTE_MAX + 40).filter(|_| told.next(now) == Some(0)).count();
        assert_eq!(lines as u64, LINES_PER_MINUTE_MAX);
        assert_eq!(told.next(now), None);
        let later = now + Duration::from_secs(61);
        assert_eq!(told.next(later), Some(41));
        assert_eq!(told.next(later), Some(0));
    }

    #[test]
    fn what_is_told_is_short_and_whole_characters() {
        assert_eq!(shortened("/v1/sessions"), "/v1/sessions");
        assert_eq!(shortened(&"é".repeat(100_000)), "é".repeat(TOLD_CHARS_MAX));
    }
}
