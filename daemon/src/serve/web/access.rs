//! What a credential lets its owner do, while it is valid.

use std::sync::Arc;

use candor_core::time::Timestamp;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::file::{Login, Stored, Token};
use super::secret::Digest;

/// Streams that one login or token may have open at the same time.
pub(crate) const STREAMS_EACH_MAX: usize = 4;

/// Logins at the same time; a further one takes the place of the oldest.
const LOGINS_MAX: usize = 16;

/// Pages of a login; a further one takes the place of the oldest.
const PAGES_MAX: usize = 16;

/// What a valid credential stands for.
#[derive(Debug)]
pub(crate) struct Access {
    /// Whether it may only look.
    pub(crate) read_only: bool,
    /// Cancelled when the credential is taken back: whatever goes on by it ends.
    pub(crate) ended: CancellationToken,
    /// Places for streams.
    pub(crate) streams: Arc<Semaphore>,
}

impl Access {
    fn new(read_only: bool) -> Arc<Self> {
        let streams = Arc::new(Semaphore::new(STREAMS_EACH_MAX));
        Arc::new(Self { read_only, ended: CancellationToken::new(), streams })
    }
}

/// A credential, and what it lets its owner do.
#[derive(Clone, Debug)]
pub(super) struct Kept<T> {
    pub(super) stored: T,
    pub(super) access: Arc<Access>,
}

/// All credentials.
#[derive(Clone, Debug, Default)]
pub(super) struct Credentials {
    pub(super) port: Option<u16>,
    pub(super) logins: Vec<Kept<Login>>,
    pub(super) tokens: Vec<Kept<Token>>,
}

impl Credentials {
    pub(super) fn of(stored: Stored) -> Self {
        let Stored { port, logins, tokens } = stored;
        let logins = logins.into_iter().map(Self::of_login).collect();
        let tokens = tokens.into_iter().map(Self::of_token).collect();
        Self { port, logins, tokens }
    }

    pub(super) fn of_login(stored: Login) -> Kept<Login> {
        Kept { stored, access: Access::new(false) }
    }

    pub(super) fn of_token(stored: Token) -> Kept<Token> {
        let access = Access::new(stored.read_only);
        Kept { stored, access }
    }

    pub(super) fn stored(&self) -> Stored {
        Stored {
            port: self.port,
            logins: self.logins.iter().map(|login| login.stored.clone()).collect(),
            tokens: self.tokens.iter().map(|token| token.stored.clone()).collect(),
        }
    }

    /// Forgets logins that have had their time.
    pub(super) fn forget_old(&mut self, now: Timestamp) {
        self.logins.retain(|login| login.stored.expires_at > now);
    }

    /// Returns when the first of the logins has had its time.
    pub(super) fn first_end(&self) -> Option<Timestamp> {
        self.logins.iter().map(|login| login.stored.expires_at).min()
    }

    /// Adds a login, or its page to the one that has one of these cookies. Says which one that is, too.
    pub(super) fn log_in(
        &mut self,
        new: Login,
        cookies: &[Digest],
    ) -> (Arc<Access>, Option<usize>) {
        let has_one = |login: &&mut Kept<Login>| has(cookies, &login.stored.cookie);
        if let Some(login) = self.logins.iter_mut().find(has_one) {
            let at = cookies.iter().position(|cookie| cookie.is(&login.stored.cookie));
            login.stored.pages.extend(new.pages);
            let too_many = login.stored.pages.len().saturating_sub(PAGES_MAX);
            login.stored.pages.drain(..too_many);
            login.stored.expires_at = new.expires_at;
            return (Arc::clone(&login.access), at);
        }
        if self.logins.len() >= LOGINS_MAX {
            self.logins.remove(0);
        }
        let login = Self::of_login(new);
        let access = Arc::clone(&login.access);
        self.logins.push(login);
        (access, None)
    }

    /// Returns what the owner of these secrets may do. It compares with every secret that there is.
    pub(super) fn access(
        &self,
        bearer: &Digest,
        cookies: &[Digest],
        now: Timestamp,
    ) -> Option<Arc<Access>> {
        let mut found = None;
        for token in &self.tokens {
            if token.stored.digest.is(bearer) {
                found = Some(&token.access);
            }
        }
        for login in &self.logins {
            let has_page = has(&login.stored.pages, bearer);
            let has_cookie = has(cookies, &login.stored.cookie);
            if has_page & has_cookie && login.stored.expires_at > now {
                found = Some(&login.access);
            }
        }
        found.map(Arc::clone)
    }

    /// Ends what goes on by credentials that `next` does not have any more.
    pub(super) fn give_way_to(&self, next: &Self) {
        let stay: Vec<&Arc<Access>> = next.accesses().collect();
        for access in self.accesses() {
            if !stay.iter().any(|stays| Arc::ptr_eq(stays, access)) {
                access.ended.cancel();
            }
        }
    }

    fn accesses(&self) -> impl Iterator<Item = &Arc<Access>> {
        let logins = self.logins.iter().map(|login| &login.access);
        logins.chain(self.tokens.iter().map(|token| &token.access))
    }
}

/// Says whether one of them is this one, without stopping at it.
fn has(digests: &[Digest], wanted: &Digest) -> bool {
    digests.iter().fold(false, |found, digest| found | digest.is(wanted))
}
