//! Waiting for a descriptor within the runtime.
#![expect(unsafe_code, reason = "tokio wants a promise about the descriptor that OwnedFd keeps")]

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers a descriptor with the runtime, to be told when it is readable.
///
/// # Errors
///
/// When the system has no place for it.
///
/// # Panics
///
/// Outside a runtime, or in one whose I/O is off.
pub(super) fn readable(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd is open and the same until it is dropped, and the AsyncFd takes it along.
    let registered = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
    registered.map_err(io::Error::from)
}
