//! Who may come over TCP: browsers that have logged in, and scripts with a token.
//!
//! A browser gets a code by the socket (`candor open`), and exchanges it for two secrets: a cookie, and
//! a token for the page. It needs both, since a cookie is shown to every port of the machine, and is
//! sent whoever asks. What is kept of any secret is its hash, in memory and in a file beside the
//! database, so that a page goes on when the daemon comes back.
//!
//! What is done here may write to the disk: call it where blocking is allowed.

mod access;
mod file;
mod secret;

pub(crate) use access::Access;
pub(crate) use secret::Secret;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use candor_core::ports::Clock;
use candor_core::time::{Monotonic, Timestamp};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use access::Credentials;
use file::{Login, Token};
use secret::Digest;

/// How long a code can be exchanged, in milliseconds.
const CODE_MS: u64 = 60_000;

/// Codes that can be exchanged at the same time; a further one takes the place of the oldest.
const CODES_MAX: usize = 16;

/// How long a login lasts, in seconds.
pub(crate) const LOGIN_S: u64 = 30 * 24 * 3_600;

/// How long until it is looked again whether a login has had its time, in milliseconds, at most: what a
/// timer measures stands still while the machine sleeps.
const LOOK_MS_MAX: u64 = 60_000;

/// Tokens of scripts, at most.
const TOKENS_MAX: usize = 64;

/// Bytes of a token's name, at most.
const NAME_BYTES_MAX: usize = 64;

/// What a token of a script begins with, so that whoever finds one knows what it is.
const TOKEN_PREFIX: &str = "candor_";

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebRefusal {
    #[error(
        "this login code is wrong, was used, or is older than a minute: run `candor open` for a new \
         one"
    )]
    WrongCode,
    #[error("there is a token of the name {0} already: `candor token rm {0}` takes it back")]
    NameTaken(String),
    #[error(
        "{0:?} cannot be the name of a token: use 1 to {NAME_BYTES_MAX} letters, digits, `-`, `_` or `.`"
    )]
    BadName(String),
    #[error("there are {TOKENS_MAX} tokens: take one back with `candor token rm`")]
    TooManyTokens,
    #[error("there is no token of the name {0}: `candor token ls` lists them")]
    NoSuchToken(String),
    #[error("cannot keep it in {}: {source}", .path.display())]
    NotStored { path: PathBuf, source: io::Error },
    #[error(
        "it is taken back until the daemon leaves, and cannot be taken out of {}: {source}; remove \
         that file before the daemon starts again", .path.display()
    )]
    NotForgotten { path: PathBuf, source: io::Error },
    #[error("the system has no randomness: {0}")]
    NoRandomness(io::Error),
}

/// A code that a browser can log in with, once.
struct Code {
    digest: Digest,
    until: Monotonic,
    /// The login that it was exchanged for.
    used: Option<Arc<Access>>,
}

/// What a browser gets for a code.
#[derive(Debug)]
pub(crate) struct LoggedIn {
    pub(crate) page: Secret,
    /// The one that it has, if it goes on with that.
    pub(crate) cookie: Secret,
    pub(crate) expires_at: Timestamp,
}

/// What there is to know of a token.
#[derive(Debug)]
pub(crate) struct TokenNote {
    pub(crate) name: String,
    pub(crate) read_only: bool,
    pub(crate) created_at: Timestamp,
}

/// All that lets somebody in over TCP, and where.
pub(crate) struct Web {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    /// Where to listen by the settings.
    setting: Option<SocketAddr>,
    credentials: Mutex<Credentials>,
    /// Held during every change, so that the file and the memory change in the same order.
    codes: Mutex<Vec<Code>>,
    /// Where the daemon listens. Held while that is begun.
    pub(crate) listening: tokio::sync::Mutex<Option<SocketAddr>>,
    /// Held while it is looked who wants to log in.
    pub(crate) looking: tokio::sync::Mutex<()>,
    /// Cancelled when the daemon accepts no more.
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl Web {
    /// Reads who is logged in. A file that cannot be believed logs nobody in, and is told of in the log.
    pub(crate) fn open(path: PathBuf, clock: Arc<dyn Clock>, setting: Option<SocketAddr>) -> Self {
        let stored = file::load(&path).unwrap_or_else(|error| {
            tracing::error!(path = %path.display(), %error, "nobody is logged in by this file");
            file::Stored::default()
        });
        let web = Self {
            path,
            clock,
            setting,
            credentials: Mutex::new(Credentials::of(stored)),
            codes: Mutex::default(),
            listening: tokio::sync::Mutex::default(),
            looking: tokio::sync::Mutex::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        web.credentials().forget_old(web.clock.now().wall);
        web
    }

    /// Returns where to listen by the settings.
    pub(crate) const fn setting(&self) -> Option<SocketAddr> {
        self.setting
    }

    /// Returns the port of last time.
    pub(crate) fn last_port(&self) -> Option<u16> {
        self.credentials().port
    }

    /// Says whether there is anybody who could come.
    pub(crate) fn is_wanted(&self) -> bool {
        let credentials = self.credentials();
        self.setting.is_some() || !credentials.logins.is_empty() || !credentials.tokens.is_empty()
    }

    /// Keeps the port for the next daemon. At another one than before nobody is logged in: a browser
    /// takes it for another place. And whoever has the old port may have been shown the secrets of
    /// pages that went on asking there.
    ///
    /// # Errors
    ///
    /// [`WebRefusal::NotStored`].
    pub(crate) fn keep_port(&self, port: u16) -> Result<(), WebRefusal> {
        let mut codes = self.codes();
        if self.credentials().port == Some(port) {
            return Ok(());
        }
        self.change(&mut codes, |next| {
            next.port = Some(port);
            next.logins.clear();
        })
    }

    /// Makes a code. Says until when it can be exchanged, too.
    ///
    /// # Errors
    ///
    /// [`WebRefusal::NoRandomness`].
    pub(crate) fn code(&self) -> Result<(Secret, Timestamp), WebRefusal> {
        let code = Secret::random("").map_err(WebRefusal::NoRandomness)?;
        let now = self.clock.now();
        let until = Monotonic::from_ms(now.monotonic.as_ms() + CODE_MS);
        let mut codes = self.codes();
        codes.retain(|code| code.until > now.monotonic);
        if codes.len() >= CODES_MAX {
            codes.remove(0);
        }
        codes.push(Code { digest: code.digest(), until, used: None });
        Ok((code, later(now.wall, Duration::from_millis(CODE_MS))))
    }

    /// Exchanges a code. A browser that shows the cookie of a login goes on with it, so that each of its
    /// tabs can have a token.
    ///
    /// A code that comes again was seen by somebody else, before or after its owner used it. So that
    /// nobody gains by being first, the login that it was exchanged for ends.
    ///
    /// # Errors
    ///
    /// [`WebRefusal::WrongCode`], and when the login cannot be kept.
    pub(crate) fn log_in(&self, code: &str, cookies: &[&str]) -> Result<LoggedIn, WebRefusal> {
        let now = self.clock.now();
        let mut codes = self.codes();
        codes.retain(|code| code.until > now.monotonic);
        let digest = Digest::of(code);
        let mut place = None;
        for (at, code) in codes.iter().enumerate() {
            if code.digest.is(&digest) {
                place = Some(at);
            }
        }
        let place = place.ok_or(WebRefusal::WrongCode)?;
        if let Some(access) = codes[place].used.clone() {
            tracing::warn!("a login code was used twice: the login that it was used for has ended");
            self.take_back(&mut codes, |next| {
                next.logins.retain(|login| !Arc::ptr_eq(&login.access, &access));
            })?;
            return Err(WebRefusal::WrongCode);
        }
        let page = Secret::random("").map_err(WebRefusal::NoRandomness)?;
        let cookie = Secret::random("").map_err(WebRefusal::NoRandomness)?;
        let expires_at = later(now.wall, Duration::from_secs(LOGIN_S));
        let new = Login {
            cookie: cookie.digest(),
            pages: vec![page.digest()],
            created_at: now.wall,
            expires_at,
        };
        let shown: Vec<Digest> = cookies.iter().map(|cookie| Digest::of(cookie)).collect();
        let (access, shown_at) = self.change(&mut codes, |next| next.log_in(new, &shown))?;
        codes[place].used = Some(access);
        // A browser forgets its cookie when it was told to, unless it is told anew.
        let cookie = shown_at.and_then(|at| cookies.get(at)).map_or(cookie, |it| Secret::shown(it));
        Ok(LoggedIn { page, cookie, expires_at })
    }

    /// Returns what the owner of these secrets may do, or `None` when they let nobody in. Every secret
    /// is compared with all that there are, in a time that tells nothing.
    pub(crate) fn access(&self, bearer: &str, cookies: &[&str]) -> Option<Arc<Access>> {
        let now = self.clock.now().wall;
        let bearer = Digest::of(bearer);
        let cookies: Vec<Digest> = cookies.iter().map(|cookie| Digest::of(cookie)).collect();
        self.credentials().access(&bearer, &cookies, now)
    }

    /// Ends all logins, and what goes on by them. Codes that were not used yet are worth nothing.
    /// Returns how many logins there were.
    ///
    /// # Errors
    ///
    /// [`WebRefusal::NotForgotten`]: they have ended, and the next daemon would find them.
    pub(crate) fn log_out(&self) -> Result<usize, WebRefusal> {
        let mut codes = self.codes();
        codes.clear();
        let count = self.credentials().logins.len();
        self.take_back(&mut codes, |next| next.logins.clear())?;
        Ok(count)
    }

    /// Ends logins that have had their time, and what goes on by them. Returns how long until it is to
    /// be looked again.
    pub(crate) fn end_expired(&self) -> Duration {
        let _alone = self.codes();
        let now = self.clock.now().wall;
        let mut next = self.credentials().clone();
        next.forget_old(now);
        let first = next.first_end();
        self.replace(next);
        let until = first.map(|end| end.duration_since(now).unsigned_abs());
        until.unwrap_or(Duration::MAX).min(Duration::from_millis(LOOK_MS_MAX))
    }

    /// Makes a token for a script.
    ///
    /// # Errors
    ///
    /// When the name cannot be had, or it cannot be kept.
    pub(crate) fn add_token(&self, name: &str, read_only: bool) -> Result<Secret, WebRefusal> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_plain) {
            return Err(WebRefusal::BadName(name.to_owned()));
        }
        let mut codes = self.codes();
        let count = {
            let credentials = self.credentials();
            if credentials.tokens.iter().any(|token| token.stored.name == name) {
                return Err(WebRefusal::NameTaken(name.to_owned()));
            }
            credentials.tokens.len()
        };
        if count >= TOKENS_MAX {
            return Err(WebRefusal::TooManyTokens);
        }
        let secret = Secret::random(TOKEN_PREFIX).map_err(WebRefusal::NoRandomness)?;
        let created_at = self.clock.now().wall;
        let token = Token { name: name.to_owned(), digest: secret.digest(), read_only, created_at };
        self.change(&mut codes, |next| next.tokens.push(Credentials::of_token(token)))?;
        Ok(secret)
    }

    /// Lists the tokens.
    pub(crate) fn tokens(&self) -> Vec<TokenNote> {
        let credentials = self.credentials();
        let tokens = credentials.tokens.iter().map(|token| TokenNote {
            name: token.stored.name.clone(),
            read_only: token.stored.read_only,
            created_at: token.stored.created_at,
        });
        tokens.collect()
    }

    /// Takes a token back, and ends what goes on by it.
    ///
    /// # Errors
    ///
    /// [`WebRefusal::NoSuchToken`] and [`WebRefusal::NotForgotten`].
    pub(crate) fn remove_token(&self, name: &str) -> Result<(), WebRefusal> {
        let mut codes = self.codes();
        let is_there = self.credentials().tokens.iter().any(|token| token.stored.name == name);
        if !is_there {
            return Err(WebRefusal::NoSuchToken(name.to_owned()));
        }
        self.take_back(&mut codes, |next| next.tokens.retain(|token| token.stored.name != name))
    }

    /// Changes the credentials: first what is kept, then what counts.
    fn change<T>(
        &self,
        _alone: &mut MutexGuard<'_, Vec<Code>>,
        change: impl FnOnce(&mut Credentials) -> T,
    ) -> Result<T, WebRefusal> {
        let mut next = self.credentials().clone();
        next.forget_old(self.clock.now().wall);
        let result = change(&mut next);
        file::store(&self.path, &next.stored())
            .map_err(|source| WebRefusal::NotStored { path: self.path.clone(), source })?;
        self.replace(next);
        Ok(result)
    }

    /// Takes credentials back: first what counts, then what is kept, so that it works on a full disk.
    fn take_back(
        &self,
        _alone: &mut MutexGuard<'_, Vec<Code>>,
        change: impl FnOnce(&mut Credentials),
    ) -> Result<(), WebRefusal> {
        let mut next = self.credentials().clone();
        change(&mut next);
        let stored = next.stored();
        self.replace(next);
        file::store(&self.path, &stored)
            .map_err(|source| WebRefusal::NotForgotten { path: self.path.clone(), source })
    }

    fn replace(&self, next: Credentials) {
        let mut credentials = self.credentials();
        credentials.give_way_to(&next);
        *credentials = next;
    }

    fn credentials(&self) -> MutexGuard<'_, Credentials> {
        // They are replaced as a whole, so a panic cannot have left them half changed.
        self.credentials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn codes(&self) -> MutexGuard<'_, Vec<Code>> {
        self.codes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds to a time. One that cannot be written any more does not come.
fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
