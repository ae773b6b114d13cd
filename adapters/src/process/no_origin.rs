//! Systems on which it is not told where a process comes from.

use std::os::fd::AsFd;
use std::path::PathBuf;

use candor_core::session::SessionId;

/// The process at the other end of a socket.
#[derive(Debug)]
pub struct PeerProcess {
    number: i32,
}

/// Where a process comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// From none of the sessions, as far as can be told.
    Outside,
    /// Out of this one.
    Session(SessionId),
    /// Out of a session, of which nothing more can be told.
    SomeSession,
    /// It cannot be told.
    Unknown,
    /// It cannot be told now.
    NoRoom,
}

/// Takes everybody for an outsider.
#[derive(Debug)]
pub struct Origins {
    _sessions: PathBuf,
}

impl PeerProcess {
    /// Returns its number, or 0.
    pub const fn number(&self) -> i32 {
        self.number
    }

    /// Returns nothing: the name of a program is not asked for here.
    pub const fn program(&self) -> String {
        String::new()
    }
}

impl Origins {
    /// `sessions` is the folder of sessions.
    pub const fn new(sessions: PathBuf) -> Self {
        Self { _sessions: sessions }
    }

    /// Takes down the number of the process that has connected.
    pub fn peer(&self, _socket: &impl AsFd, pid: Option<i32>) -> PeerProcess {
        PeerProcess { number: pid.unwrap_or(0) }
    }

    /// Says [`Origin::Outside`] of everybody.
    pub fn of(
        &self,
        _peer: &PeerProcess,
        _live: &[SessionId],
        _is_own: impl Fn(SessionId) -> bool,
    ) -> Origin {
        Origin::Outside
    }
}
