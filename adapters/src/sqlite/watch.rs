//! Who is told how commits went, beside who asked for them.

use std::fmt::Debug;
use std::time::Duration;

use candor_core::event::Seq;
use candor_core::ports::{Change, CommitError, StoredSession};

/// Is told how commits went. What it does must not block.
pub trait CommitWatch: Debug + Send + Sync {
    /// A commit was answered, and this is how long it took.
    fn answered(&self, change: &Change, took: Duration, answer: &Result<Seq, CommitError>);

    /// A row was read. After a commit of which nobody knew, this tells.
    fn loaded(&self, stored: &StoredSession);
}
