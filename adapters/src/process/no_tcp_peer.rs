//! Systems on which it is not told who is at the other end of a connection.

use std::io;
use std::net::SocketAddr;

use super::PeerProcess;

/// The other end of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TcpPeer {
    uid: u32,
}

impl TcpPeer {
    /// Takes everybody for this user.
    ///
    /// # Errors
    ///
    /// None here.
    pub fn of(_local: SocketAddr, _peer: SocketAddr) -> io::Result<Option<Self>> {
        Ok(Some(Self { uid: rustix::process::geteuid().as_raw() }))
    }

    /// Returns the user whose socket it is.
    pub const fn uid(&self) -> u32 {
        self.uid
    }

    /// Returns one of which nothing is known.
    ///
    /// # Errors
    ///
    /// None here.
    pub fn processes(&self) -> io::Result<Vec<PeerProcess>> {
        Ok(vec![PeerProcess::of(&io::stdin(), None)])
    }
}
