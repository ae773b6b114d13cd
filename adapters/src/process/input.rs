//! What waits to be written to a process's standard input, and which messages it is made of.
//!
//! It writes nothing itself: whoever holds the pipe takes from the front.

use std::collections::VecDeque;
use std::io::{self, PipeReader, PipeWriter};

use candor_core::ports::{INPUT_BYTES_MAX, MESSAGES_REMEMBERED_MAX, Sent};
use candor_core::session::MessageId;

/// What becomes of a message whose bytes are still on their way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Admission {
    /// It has room, which is kept for it until it is taken or given up.
    Reserved,
    /// It is not taken, and this is the answer.
    Answered(Sent),
}

/// The input of one process.
#[derive(Debug, Default)]
pub(super) struct InputQueue {
    /// What waits, without the borders of messages: many small ones take no more than one large one.
    waiting: VecDeque<u8>,
    /// Bytes of messages that are on their way.
    reserved_bytes: usize,
    /// The last that were accepted, oldest first.
    accepted: VecDeque<MessageId>,
    end: End,
}

/// Whether more can come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum End {
    #[default]
    Open,
    /// What waits is the last.
    Asked,
    /// Nothing is written any more.
    Over,
}

impl InputQueue {
    /// Looks what becomes of a message, and keeps room for it.
    pub(super) fn admit(&mut self, id: MessageId, length: usize) -> Admission {
        if let Some(sent) = self.known(id) {
            return Admission::Answered(sent);
        }
        // None is longer than all that may wait.
        let taken = self.waiting.len() + self.reserved_bytes;
        if length > INPUT_BYTES_MAX.saturating_sub(taken) {
            return Admission::Answered(Sent::Full);
        }
        self.reserved_bytes += length;
        Admission::Reserved
    }

    /// Gives the room of a message back that will not come.
    pub(super) const fn give_up(&mut self, length: usize) {
        self.reserved_bytes = self.reserved_bytes.saturating_sub(length);
    }

    /// Takes a message that has come whole, and for which room was kept.
    pub(super) fn take(&mut self, id: MessageId, bytes: Vec<u8>, is_last: bool) -> Sent {
        self.give_up(bytes.len());
        // Another sender may have been quicker with the same one, or with the end.
        if let Some(sent) = self.known(id) {
            return sent;
        }
        if self.waiting.is_empty() {
            self.waiting = bytes.into();
        } else {
            self.waiting.extend(bytes);
        }
        if self.accepted.len() == MESSAGES_REMEMBERED_MAX {
            self.accepted.pop_front();
        }
        self.accepted.push_back(id);
        if is_last {
            self.end = End::Asked;
        }
        Sent::Accepted
    }

    /// Returns the answer to a message that is not taken, whatever room there is.
    fn known(&self, id: MessageId) -> Option<Sent> {
        if self.accepted.contains(&id) {
            return Some(Sent::Accepted);
        }
        (self.end != End::Open).then_some(Sent::AlreadyEnded)
    }

    /// Returns what is to be written next. It is empty only when nothing waits.
    pub(super) fn front(&self) -> &[u8] {
        self.waiting.as_slices().0
    }

    /// Takes note that so many bytes of the front were written.
    pub(super) fn wrote(&mut self, count: usize) {
        self.waiting.drain(..count);
        if self.waiting.is_empty() {
            // Its room is given back: most of the time nothing waits.
            self.waiting = VecDeque::new();
        }
    }

    /// Says whether all is written, and the pipe is to be closed.
    pub(super) fn is_over(&self) -> bool {
        self.end == End::Over || self.end == End::Asked && self.waiting.is_empty()
    }

    /// Takes note that nobody reads any more. What waits is dropped, since it never could be written.
    pub(super) fn close(&mut self) {
        self.end = End::Over;
        self.waiting = VecDeque::new();
    }
}

/// Makes a pipe whose end for writing does not block. No child gets that end.
///
/// # Errors
///
/// When there is no descriptor left, or the user has too many pipes.
pub(super) fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

    let (reader, writer) = io::pipe()?;
    // The flag is that of this end alone.
    fcntl_setfl(&writer, fcntl_getfl(&writer)? | OFlags::NONBLOCK)?;
    Ok((reader, writer))
}

#[cfg(test)]
mod tests {
    use candor_core::ports::{INPUT_BYTES_MAX, MESSAGES_REMEMBERED_MAX, Sent};
    use candor_core::session::MessageId;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::{Admission, InputQueue};

    fn id(number: usize) -> MessageId {
        MessageId::from_uuid(Uuid::from_u128(number.try_into().unwrap()))
    }

    fn send(queue: &mut InputQueue, number: usize, bytes: &[u8], is_last: bool) -> Sent {
        match queue.admit(id(number), bytes.len()) {
            Admission::Reserved => queue.take(id(number), bytes.to_vec(), is_last),
            Admission::Answered(sent) => sent,
        }
    }

    fn drain(queue: &mut InputQueue) -> Vec<u8> {
        let mut written = Vec::new();
        while !queue.front().is_empty() {
            written.push(queue.front()[0]);
            queue.wrote(1);
        }
        written
    }

    #[test]
    fn what_is_on_its_way_has_its_room_and_what_never_comes_gives_it_back() {
        let mut queue = InputQueue::default();
        let half = INPUT_BYTES_MAX / 2;
        assert_eq!(queue.admit(id(1), half), Admission::Reserved);
        assert_eq!(queue.admit(id(2), half), Admission::Reserved);
        assert_eq!(queue.admit(id(3), 1), Admission::Answered(Sent::Full));
        queue.give_up(half);
        assert_eq!(queue.admit(id(3), half), Admission::Reserved);
        assert_eq!(queue.take(id(1), vec![1; half], false), Sent::Accepted);
        assert_eq!(queue.admit(id(4), 1), Admission::Answered(Sent::Full));
        queue.wrote(1);
        assert_eq!(queue.admit(id(4), 1), Admission::Reserved);
    }

    #[test]
    fn two_who_bring_the_same_message_at_once_bring_it_once() {
        let mut queue = InputQueue::default();
        assert_eq!(queue.admit(id(1), 2), Admission::Reserved);
        assert_eq!(queue.admit(id(1), 2), Admission::Reserved);
        assert_eq!(queue.take(id(1), b"ab".to_vec(), true), Sent::Accepted);
        assert_eq!(queue.take(id(1), b"ab".to_vec(), true), Sent::Accepted);
        assert_eq!(drain(&mut queue), b"ab");
        assert!(queue.is_over());
    }

    #[test]
    fn the_end_comes_after_all_that_was_accepted_before_it() {
        let mut queue = InputQueue::default();
        assert_eq!(queue.admit(id(1), 1), Admission::Reserved);
        assert_eq!(send(&mut queue, 2, b"b", true), Sent::Accepted);
        assert_eq!(queue.take(id(1), b"a".to_vec(), false), Sent::AlreadyEnded);
        assert!(!queue.is_over());
        assert_eq!(drain(&mut queue), b"b");
        assert!(queue.is_over());
        assert_eq!(send(&mut queue, 2, b"b", true), Sent::Accepted);
    }

    #[test]
    fn where_nobody_reads_nothing_waits() {
        let mut queue = InputQueue::default();
        assert_eq!(send(&mut queue, 1, b"a", false), Sent::Accepted);
        queue.close();
        assert!(queue.front().is_empty() && queue.is_over());
        assert_eq!(send(&mut queue, 2, b"a", false), Sent::AlreadyEnded);
    }

    proptest! {
        /// However often each is sent within what is remembered, and whatever is written meanwhile.
        #[test]
        fn each_message_is_written_once_in_the_order_of_acceptance(
            steps in prop::collection::vec((0..MESSAGES_REMEMBERED_MAX, 0..200_usize), 0..300)
        ) {
            let mut queue = InputQueue::default();
            let (mut expected, mut written, mut seen) = (Vec::new(), Vec::new(), Vec::new());
            for (number, count) in steps {
                let bytes = vec![u8::try_from(number).unwrap(); count % 40];
                prop_assert_eq!(send(&mut queue, number, &bytes, false), Sent::Accepted);
                if !seen.contains(&number) {
                    seen.push(number);
                    expected.extend(bytes);
                }
                let now = count.min(queue.front().len());
                written.extend_from_slice(&queue.front()[..now]);
                queue.wrote(now);
            }
            written.extend(drain(&mut queue));
            prop_assert_eq!(written, expected);
        }
    }
}
