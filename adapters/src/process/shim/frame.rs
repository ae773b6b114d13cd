//! What a shim and a daemon say to each other, in frames of one size.
//!
//! | bytes | what |
//! |---|---|
//! | 0 | the version |
//! | 1 | the kind |
//! | 2 to 7 | small things: see each kind |
//! | 8 to 31 | ids and sizes, little endian |
//!
//! Of one size, so that neither side ever allocates for the other or waits for a length. The one
//! exception is a message to the process: its bytes follow its frame, which says how many there are.
//! A frame that is not understood ends the connection: between what is said of processes there is
//! no place for guesses.

use std::io;

use candor_core::ports::{Delivery, Ending, MESSAGE_BYTES_MAX, Sent, Target};
use candor_core::session::{MessageId, OutputSizes, SessionId};
use candor_core::stop::Signal;
use candor_core::verdict::{Exit, Witness};
use uuid::Uuid;

use crate::process::plan::Refusal;
use crate::process::spawn;

/// Of both sides. A later version keeps the size of the frame and its first two bytes.
const VERSION: u8 = 1;

/// The size of every frame.
pub(super) const FRAME_BYTES: usize = 32;

/// One frame as it travels.
pub(super) type Frame = [u8; FRAME_BYTES];

/// What a daemon says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ToShim {
    /// Asks whether this is the session's shim, and how its process is.
    Hello(SessionId),
    /// Asks for a signal.
    Signal {
        /// Names the answer.
        id: u64,
        target: Target,
        signal: Signal,
    },
    /// Brings something for the process's standard input. It is said only of sessions whose input is
    /// held: so shims of before there were any, which would not understand it, never hear it.
    Send(Letter),
}

/// What is said of a message before its bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Letter {
    /// Names the answer.
    pub(super) id: u64,
    pub(super) message: MessageId,
    /// How many bytes follow; at most [`MESSAGE_BYTES_MAX`].
    pub(super) length: usize,
    pub(super) is_last: bool,
}

/// What a shim says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FromShim {
    /// There is a process, and its end is not known.
    Up,
    /// There is none and never was, and nothing is left of the attempt.
    Refused(Refusal),
    /// It has ended, and that is recorded.
    Ended(Ending),
    /// What became of a signal.
    Delivered { id: u64, delivery: Delivery },
    /// What became of a message.
    Taken { id: u64, sent: Sent },
}

impl ToShim {
    pub(super) fn encode(self) -> Frame {
        match self {
            Self::Hello(session) => {
                let mut frame = frame(1, []);
                frame[8..24].copy_from_slice(session.as_uuid().as_bytes());
                frame
            }
            Self::Signal { id, target, signal } => {
                with_numbers(frame(2, [target_code(target), signal_code(signal)]), [id])
            }
            Self::Send(Letter { id, message, length, is_last }) => {
                let mut frame = frame(3, [u8::from(is_last)]);
                // None is longer than a message may be.
                let length = u32::try_from(length).unwrap_or(u32::MAX);
                frame[4..8].copy_from_slice(&length.to_le_bytes());
                frame[8..24].copy_from_slice(message.as_uuid().as_bytes());
                frame[24..32].copy_from_slice(&id.to_le_bytes());
                frame
            }
        }
    }

    /// Returns `None` for a frame that no daemon of this version sends.
    pub(super) fn decode(frame: &Frame) -> Option<Self> {
        match *frame {
            [VERSION, 1, ..] => {
                let uuid = Uuid::from_slice(&frame[8..24]).ok()?;
                Some(Self::Hello(SessionId::from_uuid(uuid)))
            }
            [VERSION, 2, target, signal, ..] => Some(Self::Signal {
                id: number(frame, 0),
                target: [Target::Process, Target::Group]
                    .into_iter()
                    .find(|&known| target_code(known) == target)?,
                signal: [Signal::Interrupt, Signal::Terminate, Signal::Kill, Signal::Continue]
                    .into_iter()
                    .find(|&known| signal_code(known) == signal)?,
            }),
            [VERSION, 3, is_last @ (0 | 1), _, a, b, c, d, ..] => Some(Self::Send(Letter {
                id: number(frame, 2),
                message: MessageId::from_uuid(Uuid::from_slice(&frame[8..24]).ok()?),
                length: usize::try_from(u32::from_le_bytes([a, b, c, d]))
                    .ok()
                    .filter(|&length| length <= MESSAGE_BYTES_MAX)?,
                is_last: is_last == 1,
            })),
            _ => None,
        }
    }
}

impl FromShim {
    pub(super) fn encode(self) -> Frame {
        match self {
            Self::Up => frame(1, []),
            Self::Refused(Refusal { stage, errno }) => frame(2, spawn::encode(stage, errno)),
            Self::Ended(ending) => encode_ending(&ending),
            Self::Delivered { id, delivery } => {
                with_numbers(frame(4, [delivery_code(delivery)]), [id])
            }
            Self::Taken { id, sent } => with_numbers(frame(5, [sent_code(sent)]), [id]),
        }
    }

    /// Returns `None` for a frame that no shim of this version sends.
    pub(super) fn decode(frame: &Frame) -> Option<Self> {
        match *frame {
            [VERSION, 1, ..] => Some(Self::Up),
            [VERSION, 2, stage, a, b, c, d, ..] => {
                Some(Self::Refused(spawn::decode([stage, a, b, c, d])))
            }
            [VERSION, 3, ..] => decode_ending(frame).map(Self::Ended),
            [VERSION, 4, delivery, ..] => Some(Self::Delivered {
                id: number(frame, 0),
                delivery: [
                    Delivery::Delivered,
                    Delivery::AlreadyEnded,
                    Delivery::NotPermitted,
                    Delivery::Unknown,
                ]
                .into_iter()
                .find(|&known| delivery_code(known) == delivery)?,
            }),
            [VERSION, 5, sent, ..] => Some(Self::Taken {
                id: number(frame, 0),
                sent: [Sent::Accepted, Sent::AlreadyEnded, Sent::Full, Sent::Unknown]
                    .into_iter()
                    .find(|&known| sent_code(known) == sent)?,
            }),
            _ => None,
        }
    }
}

/// What was not counted is 0 on the way, and a count one more than it is.
fn encode_ending(ending: &Ending) -> Frame {
    // Whoever says it is the parent.
    let Ending { exit, oom_killed, witness: _, output, left_behind } = *ending;
    let (is_signal, number, core_dumped) = match exit {
        Exit::Code(code) => (false, code, false),
        Exit::Signal { number, core_dumped } => (true, number, core_dumped),
    };
    let small = [u8::from(is_signal), number, u8::from(core_dumped), u8::from(oom_killed)];
    let counted = left_behind.map_or(0, |count| u64::from(count) + 1);
    with_numbers(frame(3, small), [output.stdout_bytes, output.stderr_bytes, counted])
}

fn decode_ending(frame: &Frame) -> Option<Ending> {
    let exit = match *frame {
        [_, _, 0, code, 0, ..] => Exit::Code(code),
        [_, _, 1, number, core @ (0 | 1), ..] => Exit::Signal { number, core_dumped: core == 1 },
        _ => return None,
    };
    let oom_killed = match frame[5] {
        0 => false,
        1 => true,
        _ => return None,
    };
    let output = OutputSizes { stdout_bytes: number(frame, 0), stderr_bytes: number(frame, 1) };
    let left_behind = match number(frame, 2).checked_sub(1) {
        None => None,
        Some(count) => Some(u32::try_from(count).ok()?),
    };
    Some(Ending { exit, oom_killed, witness: Witness::Parent, output, left_behind })
}

fn frame<const SMALL: usize>(kind: u8, small: [u8; SMALL]) -> Frame {
    let mut frame = [0; FRAME_BYTES];
    frame[0] = VERSION;
    frame[1] = kind;
    frame[2..2 + SMALL].copy_from_slice(&small);
    frame
}

fn with_numbers<const NUMBERS: usize>(mut frame: Frame, numbers: [u64; NUMBERS]) -> Frame {
    for (place, number) in frame[8..].chunks_exact_mut(8).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    frame
}

fn number(frame: &Frame, index: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&frame[8 + 8 * index..16 + 8 * index]);
    u64::from_le_bytes(number)
}

const fn target_code(target: Target) -> u8 {
    match target {
        Target::Process => 0,
        Target::Group => 1,
    }
}

const fn signal_code(signal: Signal) -> u8 {
    match signal {
        Signal::Interrupt => 0,
        Signal::Terminate => 1,
        Signal::Kill => 2,
        Signal::Continue => 3,
    }
}

const fn delivery_code(delivery: Delivery) -> u8 {
    match delivery {
        Delivery::Delivered => 0,
        Delivery::AlreadyEnded => 1,
        Delivery::NotPermitted => 2,
        Delivery::Unknown => 3,
    }
}

const fn sent_code(sent: Sent) -> u8 {
    match sent {
        Sent::Accepted => 0,
        Sent::AlreadyEnded => 1,
        Sent::Full => 2,
        Sent::Unknown => 3,
    }
}

/// Puts frames together from what a stream gives.
#[derive(Debug, Default)]
pub(super) struct FrameBuffer {
    bytes: Frame,
    filled: usize,
}

impl FrameBuffer {
    /// Reads once, and returns a frame if that completed one.
    ///
    /// # Errors
    ///
    /// What `read` said; `UnexpectedEof` at the end of the stream.
    pub(super) fn fill(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<Option<Frame>> {
        let bytes = read(&mut self.bytes[self.filled..])?;
        if bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.filled += bytes;
        if self.filled < FRAME_BYTES {
            return Ok(None);
        }
        self.filled = 0;
        Ok(Some(self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use candor_core::ports::{Delivery, Ending, IdSource as _, MESSAGE_BYTES_MAX, Sent, Target};
    use candor_core::session::{MessageId, OutputSizes};
    use candor_core::stop::Signal;
    use candor_core::verdict::{Exit, SpawnStage, Witness};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::{FRAME_BYTES, FrameBuffer, FromShim, Letter, ToShim, VERSION};
    use crate::ids::UuidV7Source;
    use crate::process::plan::Refusal;

    #[test]
    fn everything_that_is_said_comes_across() {
        let session = UuidV7Source.session_id();
        let mut daemon = vec![ToShim::Hello(session)];
        for target in [Target::Process, Target::Group] {
            for signal in [Signal::Interrupt, Signal::Terminate, Signal::Kill, Signal::Continue] {
                daemon.push(ToShim::Signal { id: u64::MAX - 1, target, signal });
            }
        }
        let message = MessageId::from_uuid(Uuid::from_u128(u128::MAX - 2));
        for (length, is_last) in [(0, true), (1, false), (MESSAGE_BYTES_MAX, true)] {
            daemon.push(ToShim::Send(Letter { id: u64::MAX - 1, message, length, is_last }));
        }
        for said in daemon {
            assert_eq!(ToShim::decode(&said.encode()), Some(said));
        }
        let output = OutputSizes { stdout_bytes: u64::MAX, stderr_bytes: 1 };
        let mut shim = vec![FromShim::Up];
        for stage in [SpawnStage::Prepare, SpawnStage::Folder, SpawnStage::Fork, SpawnStage::Exec] {
            shim.push(FromShim::Refused(Refusal { stage, errno: 133 }));
        }
        let ended = |exit, oom_killed, left_behind| {
            FromShim::Ended(Ending {
                exit,
                oom_killed,
                witness: Witness::Parent,
                output,
                left_behind,
            })
        };
        for value in 0..=u8::MAX {
            shim.push(ended(Exit::Code(value), false, None));
            for core_dumped in [false, true] {
                let exit = Exit::Signal { number: value, core_dumped };
                shim.push(ended(exit, core_dumped, Some(u32::from(value))));
                shim.push(ended(exit, !core_dumped, Some(u32::MAX)));
            }
        }
        for delivery in
            [Delivery::Delivered, Delivery::AlreadyEnded, Delivery::NotPermitted, Delivery::Unknown]
        {
            shim.push(FromShim::Delivered { id: 7, delivery });
        }
        for sent in [Sent::Accepted, Sent::AlreadyEnded, Sent::Full, Sent::Unknown] {
            shim.push(FromShim::Taken { id: u64::MAX, sent });
        }
        for said in shim {
            assert_eq!(FromShim::decode(&said.encode()), Some(said));
        }
    }

    #[test]
    fn message_that_is_too_long_is_not_understood() {
        let message = MessageId::from_uuid(Uuid::nil());
        let letter = Letter { id: 1, message, length: MESSAGE_BYTES_MAX + 1, is_last: false };
        assert_eq!(ToShim::decode(&ToShim::Send(letter).encode()), None);
    }

    #[test]
    fn another_version_is_not_understood() {
        let mut frame = FromShim::Up.encode();
        frame[0] = VERSION + 1;
        assert_eq!(FromShim::decode(&frame), None);
        assert_eq!(ToShim::decode(&frame), None);
    }

    #[test]
    fn frame_is_put_together_from_pieces() {
        let frame = ToShim::Hello(UuidV7Source.session_id()).encode();
        let mut buffer = FrameBuffer::default();
        for _ in 0..2 {
            for at in 0..FRAME_BYTES {
                let one = |target: &mut [u8]| {
                    target[0] = frame[at];
                    Ok(1)
                };
                let whole = (at == FRAME_BYTES - 1).then_some(frame);
                assert_eq!(buffer.fill(one).unwrap(), whole);
            }
        }
        assert!(buffer.fill(|_| Ok(0)).is_err(), "the end");
    }

    proptest! {
        #[test]
        fn any_frame_is_understood_as_itself_or_not_at_all(frame: [u8; FRAME_BYTES]) {
            if let Some(said) = ToShim::decode(&frame) {
                prop_assert_eq!(ToShim::decode(&said.encode()), Some(said));
            }
            if let Some(said) = FromShim::decode(&frame) {
                prop_assert_eq!(FromShim::decode(&said.encode()), Some(said));
            }
        }
    }
}
