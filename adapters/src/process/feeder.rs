//! Writes to the standard input of a child of this daemon, which holds the pipe itself: when it dies
//! the input ends.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candor_core::ports::{Message, Sent};
use tokio::net::unix::pipe;
use tokio::sync::Notify;

use super::input::{Admission, InputQueue};

/// The input of one child.
pub(super) struct Feeder {
    queue: Mutex<InputQueue>,
    /// Something waits, or nothing is to be written any more.
    changed: Notify,
}

/// What there is to do for whoever writes.
enum Turn {
    /// Nothing, until something is sent.
    Idle,
    /// There is no room, until the child reads.
    Full,
    Goes,
    Over,
}

impl Feeder {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { queue: Mutex::default(), changed: Notify::new() })
    }

    fn queue(&self) -> MutexGuard<'_, InputQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a message, or says why not.
    pub(super) fn send(&self, message: &Message) -> Sent {
        let Message { id, bytes, is_last } = message;
        let mut queue = self.queue();
        let sent = match queue.admit(*id, bytes.len()) {
            Admission::Reserved => queue.take(*id, bytes.clone(), *is_last),
            Admission::Answered(sent) => sent,
        };
        drop(queue);
        self.changed.notify_one();
        sent
    }

    /// Writes no more, since the child has ended.
    pub(super) fn close(&self) {
        self.queue().close();
        self.changed.notify_one();
    }

    /// Writes what is sent, until the end of it or of everybody who reads.
    pub(super) async fn run(self: Arc<Self>, pipe: pipe::Sender) {
        loop {
            match self.write(&pipe) {
                Turn::Idle => self.changed.notified().await,
                Turn::Full => tokio::select! {
                    // Nobody else writes, so an error shows at the next write.
                    _ = pipe.writable() => {}
                    () = self.changed.notified() => {}
                },
                Turn::Goes => {}
                Turn::Over => return self.close(),
            }
        }
    }

    fn write(&self, pipe: &pipe::Sender) -> Turn {
        let mut queue = self.queue();
        if queue.is_over() {
            return Turn::Over;
        }
        if queue.front().is_empty() {
            return Turn::Idle;
        }
        match pipe.try_write(queue.front()) {
            Ok(count) => {
                queue.wrote(count);
                Turn::Goes
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Turn::Full,
            Err(_) => Turn::Over,
        }
    }
}
