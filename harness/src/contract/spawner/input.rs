//! What becomes of what a process is sent.

use std::sync::Arc;

use candor_core::ports::{
    Delivery, INPUT_BYTES_MAX, MESSAGE_BYTES_MAX, MESSAGES_REMEMBERED_MAX, Message, Process,
    ProcessSpawner, Sent, Target,
};
use candor_core::session::{MessageId, SessionId, StandardInput};
use candor_core::stop::Signal;
use candor_core::verdict::Exit;
use uuid::Uuid;

use super::super::repository::chain::session_id;
use super::{Behaviour, Programs, ending, killed, launched};

/// Messages until the input of a process that never reads is full, at most. What the kernel keeps for
/// it is less than one.
const MESSAGES_UNTIL_FULL_MAX: usize = INPUT_BYTES_MAX / MESSAGE_BYTES_MAX + 1;

/// Returns what a process that digests its input leaves with: another order, another byte more or
/// less is, nearly always, another digest.
#[must_use]
pub fn digest(bytes: &[u8]) -> u8 {
    /// Of the FNV-1a hash of 32 bits.
    ///
    /// Source: <http://www.isthe.com/chongo/tech/comp/fnv/>.
    const BASIS: u32 = 0x811c_9dc5;
    const PRIME: u32 = 0x0100_0193;

    let hash = bytes.iter().fold(BASIS, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(PRIME));
    let [a, b, c, d] = hash.to_le_bytes();
    a ^ b ^ c ^ d
}

/// What is sent is read, in the order in which it was accepted, and ends where that was asked for.
pub async fn input_is_read_in_its_order(spawner: &dyn ProcessSpawner, programs: &dyn Programs) {
    let process = holding(spawner, programs, session_id(1700), Behaviour::Digests).await;
    let mut expected = Vec::new();
    for number in 0..100_u8 {
        let bytes = vec![number; usize::from(number) * 50];
        expected.extend(&bytes);
        assert_eq!(process.send(&message(number, &bytes, false)).await, Sent::Accepted);
    }
    expected.extend(b"end");
    assert_eq!(process.send(&message(100, b"end", true)).await, Sent::Accepted);
    assert_eq!(ending(&*process).await.exit, Exit::Code(digest(&expected)));
}

/// However often a message is sent, and whatever was sent after it, it is read once.
pub async fn message_sent_twice_is_read_once(
    spawner: &dyn ProcessSpawner,
    programs: &dyn Programs,
) {
    let process = holding(spawner, programs, session_id(1800), Behaviour::Digests).await;
    let count = u8::try_from(MESSAGES_REMEMBERED_MAX).expect("they are few");
    for number in 0..count {
        for again in [number, number, 0, number / 2] {
            let sent = process.send(&message(again, &[again], false)).await;
            assert_eq!(sent, Sent::Accepted, "{again}");
        }
    }
    assert_eq!(process.send(&message(count, &[], true)).await, Sent::Accepted);
    let expected: Vec<u8> = (0..count).collect();
    assert_eq!(ending(&*process).await.exit, Exit::Code(digest(&expected)));
}

/// After the end of the input nothing is taken, and what was taken before is known.
pub async fn ended_input_takes_nothing(spawner: &dyn ProcessSpawner, programs: &dyn Programs) {
    let process = holding(spawner, programs, session_id(1900), Behaviour::Hangs).await;
    for (number, is_last) in [(0, false), (1, true)] {
        assert_eq!(process.send(&message(number, b"x", is_last)).await, Sent::Accepted);
    }
    for is_last in [false, true] {
        assert_eq!(process.send(&message(2, b"x", is_last)).await, Sent::AlreadyEnded);
    }
    for (number, is_last) in [(0, false), (1, true)] {
        assert_eq!(process.send(&message(number, b"x", is_last)).await, Sent::Accepted);
    }
    kill(&*process).await;
}

/// What is no process any more is sent nothing.
pub async fn message_after_the_end_says_so(spawner: &dyn ProcessSpawner, programs: &dyn Programs) {
    let process = holding(spawner, programs, session_id(2000), Behaviour::Exits(0)).await;
    ending(&*process).await;
    for is_last in [false, true] {
        assert_eq!(process.send(&message(0, b"x", is_last)).await, Sent::AlreadyEnded);
    }
}

/// A process whose input is not held reads the end of it at once, and can be sent nothing.
pub async fn input_that_is_not_held_is_at_its_end(
    spawner: &dyn ProcessSpawner,
    programs: &dyn Programs,
) {
    let program = programs.program(session_id(2100), Behaviour::Digests);
    let process = launched(spawner, session_id(2100), &program).await;
    assert_eq!(ending(&*process).await.exit, Exit::Code(digest(b"")));

    let program = programs.program(session_id(2101), Behaviour::Hangs);
    let process = launched(spawner, session_id(2101), &program).await;
    assert_eq!(process.send(&message(0, b"x", false)).await, Sent::AlreadyEnded);
    kill(&*process).await;
}

/// A process that does not read holds nobody up, and what waits for it is limited.
pub async fn input_that_nobody_reads_gets_full(
    spawner: &dyn ProcessSpawner,
    programs: &dyn Programs,
) {
    let process = holding(spawner, programs, session_id(2200), Behaviour::Hangs).await;
    let bytes = vec![b'x'; MESSAGE_BYTES_MAX];
    assert_eq!(process.send(&message(0, &bytes, false)).await, Sent::Accepted);
    let mut number = 1;
    while process.send(&message(number, &bytes, false)).await == Sent::Accepted {
        number += 1;
        assert!(usize::from(number) <= MESSAGES_UNTIL_FULL_MAX, "all of it is taken");
    }
    // It is known nevertheless.
    assert_eq!(process.send(&message(0, &bytes, false)).await, Sent::Accepted);
    kill(&*process).await;
}

/// What is not taken is not read, not even a part of it.
pub async fn message_that_is_too_long_is_not_read(
    spawner: &dyn ProcessSpawner,
    programs: &dyn Programs,
) {
    let process = holding(spawner, programs, session_id(2300), Behaviour::Digests).await;
    assert_eq!(process.send(&message(0, b"before", false)).await, Sent::Accepted);
    let bytes = vec![b'x'; MESSAGE_BYTES_MAX + 1];
    assert_eq!(process.send(&message(1, &bytes, true)).await, Sent::Full);
    assert_eq!(process.send(&message(2, b"after", true)).await, Sent::Accepted);
    assert_eq!(ending(&*process).await.exit, Exit::Code(digest(b"beforeafter")));
}

fn message(number: u8, bytes: &[u8], is_last: bool) -> Message {
    let id = MessageId::from_uuid(Uuid::from_u128(number.into()));
    Message { id, bytes: bytes.to_vec(), is_last }
}

async fn holding(
    spawner: &dyn ProcessSpawner,
    programs: &dyn Programs,
    session: SessionId,
    behaviour: Behaviour,
) -> Arc<dyn Process> {
    let mut program = programs.program(session, behaviour);
    program.spec.input = StandardInput::Held;
    launched(spawner, session, &program).await
}

async fn kill(process: &dyn Process) {
    assert_eq!(process.signal(Target::Process, Signal::Kill).await, Delivery::Delivered);
    assert_eq!(ending(process).await.exit, killed(9));
}
