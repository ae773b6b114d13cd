//! Webhooks: one attempt to deliver something to an address of somebody else's.
//!
//! | file | what it is for |
//! |---|---|
//! | `target.rs` | the address as it was given |
//! | `guard.rs` | which IP addresses may be connected to |
//! | `signature.rs` | what proves who sent it |
//! | `client.rs` | the attempt |
//!
//! Nothing here decides what is sent, or whether it is sent again.

mod client;
mod guard;
mod signature;
mod target;

pub use self::client::{ANSWER_BYTES_MAX, ATTEMPT_MS_MAX, Answer, AttemptError, WebhookClient};
pub use self::guard::{Reach, reach};
pub use self::signature::{SECRET_BYTES, secret_text, sign};
pub use self::target::{Target, TargetError, URL_BYTES_MAX};

use std::io;

/// Returns bytes that nobody can guess, as many as a secret has.
///
/// # Errors
///
/// When the operating system has none.
pub fn new_secret() -> io::Result<Vec<u8>> {
    let mut secret = vec![0; SECRET_BYTES];
    getrandom::fill(&mut secret).map_err(io::Error::other)?;
    Ok(secret)
}
