//! What a place does when it is reached: it tells whoever listens, and stands still until it is let
//! go, or killed.
//!
//! Nothing is decided here, not even how often: the test on the other end of the socket sees every
//! arrival in order, and lets go of it by closing the connection.

use std::env;
use std::ffi::OsString;
use std::fmt::{self, Debug, Display};
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::OnceLock;

/// Names the Unix socket of whoever listens. Without it no place does anything.
pub const VARIABLE: &str = "CANDOR_FAILPOINTS";

macro_rules! points {
    ($($(#[$doc:meta])* $point:ident $name:literal)*) => {
        /// A place.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Point {
            $($(#[$doc])* $point),*
        }

        impl Point {
            /// All of them, in the order of a session's life.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$point),*];

            /// Returns the name, which stands nowhere else.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$point => $name),*
                }
            }
        }
    };
}

points! {
    /// A change was handed to the store, and nothing of it is written.
    CommitBegun "candor-failpoint:commit-begun"
    /// All of its rows are written, and the transaction is not committed.
    CommitWritten "candor-failpoint:commit-written"
    /// The transaction is committed, and nobody knows yet.
    CommitDone "candor-failpoint:commit-done"
    /// The store has answered, and nothing is published.
    PublishBegun "candor-failpoint:publish-begun"
    /// It is published, and no effect has begun.
    PublishDone "candor-failpoint:publish-done"
    /// A launch was asked for, and nothing is done.
    LaunchBegun "candor-failpoint:launch-begun"
    /// The session has its folder.
    LaunchClaimed "candor-failpoint:launch-claimed"
    /// There is a child, at its gate, and nothing tells whose it is.
    LaunchForked "candor-failpoint:launch-forked"
    /// Its identity is written, under a name that nobody reads.
    IdentityUnfinished "candor-failpoint:identity-unfinished"
    /// Its identity is stored, and the gate is closed.
    IdentityStored "candor-failpoint:identity-stored"
    /// The program runs, and the launch is not answered.
    LaunchOpened "candor-failpoint:launch-opened"
    /// A signal is on its way, and not sent.
    SignalBegun "candor-failpoint:signal-begun"
    /// It was sent, or could not be, and nobody knows yet.
    SignalSent "candor-failpoint:signal-sent"
    /// A stop is stored and its signal sent, and nobody was told.
    StopStored "candor-failpoint:stop-stored"
    /// The end of a process was seen, and is not stored.
    ExitSeen "candor-failpoint:exit-seen"
    /// The daemon leaves: launches are refused, and no session was asked to stop.
    ShutdownBegun "candor-failpoint:shutdown-begun"
    /// The daemon listens, and has not looked for sessions of an earlier one.
    RecoveryBegun "candor-failpoint:recovery-begun"
    /// It is about to look for a process of an earlier one.
    AttachBegun "candor-failpoint:attach-begun"
    /// It has looked, and nothing of that is stored.
    AttachDone "candor-failpoint:attach-done"
}

impl Display for Point {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Tells that a place is reached, and returns when it is let go.
///
/// It blocks, as the calls of the system do between which the places lie. The runtime, which must be
/// one of many threads as the daemon's is, moves its other tasks away meanwhile.
pub fn reach(point: Point, session: &dyn Display, detail: &dyn Debug) {
    static LISTENER: OnceLock<Option<OsString>> = OnceLock::new();

    let Some(listener) = LISTENER.get_or_init(|| env::var_os(VARIABLE)) else {
        return;
    };
    let line = format!("{point} {session} {detail:?}\n");
    // Whoever does not listen any more holds nobody up.
    drop(tokio::task::block_in_place(|| stand_still(listener.as_ref(), &line)));
}

fn stand_still(listener: &Path, line: &str) -> io::Result<()> {
    let mut listener = UnixStream::connect(listener)?;
    listener.write_all(line.as_bytes())?;
    listener.read(&mut [0]).map(drop)
}
