//! What shims of the first version have written and what they say, to the letter: such a shim may run
//! for weeks, and every later daemon must understand it.
//!
//! A later version adds fields with a default to the records, and kinds of frames. It changes none of
//! these lines.

use std::fs;

use candor_core::ports::{Delivery, Ending, Sent, Target};
use candor_core::session::{MessageId, OutputSizes, SessionId};
use candor_core::stop::Signal;
use candor_core::verdict::{Exit, SpawnStage, Witness};
use uuid::{Uuid, uuid};

use super::frame::{FRAME_BYTES, FromShim, Letter, ToShim};
use super::place::{ExitRecord, Intent, Place, Record, Started};
use crate::process::plan::Refusal;
use crate::process::record::Found;

const SESSION: SessionId = SessionId::from_uuid(uuid!("01a20418-3cc4-7186-a3d0-9b2a97859681"));
const NONCE: Uuid = uuid!("01a20418-3cc6-7000-8000-00000000002a");

const INTENT: &str = concat!(
    "v1 97 {\"session\":\"01a20418-3cc4-7186-a3d0-9b2a97859681\",\"nonce\":\"01a20418-3cc",
    "6-7000-8000-00000000002a\"} 8a1d8b95\n",
);
const STARTED: &str = concat!(
    "v1 190 {\"nonce\":\"01a20418-3cc6-7000-8000-00000000002a\",\"identity\":{\"session\"",
    ":\"01a20418-3cc4-7186-a3d0-9b2a97859681\",\"pid\":4711,\"start_mark\":123456,\"boot_",
    "id\":\"0f5d1a3e-7b0c-4a7e-9d56-2c1f4a8b9c0d\"}} eb57a278\n",
);
const EXIT_CODE: &str = concat!(
    "v1 222 {\"session\":\"01a20418-3cc4-7186-a3d0-9b2a97859681\",\"nonce\":\"01a20418-3c",
    "c6-7000-8000-00000000002a\",\"exit\":{\"code\":42},\"output\":{\"stdout_bytes\":1234",
    "567890123,\"stderr_bytes\":5},\"boot_id\":\"0f5d1a3e-7b0c-4a7e-9d56-2c1f4a8b9c0d\"} ",
    "6c08065b\n",
);
const EXIT_SIGNAL: &str = concat!(
    "v1 254 {\"session\":\"01a20418-3cc4-7186-a3d0-9b2a97859681\",\"nonce\":\"01a20418-3c",
    "c6-7000-8000-00000000002a\",\"exit\":{\"signal\":{\"number\":11,\"core_dumped\":true",
    "}},\"output\":{\"stdout_bytes\":1234567890123,\"stderr_bytes\":5},\"boot_id\":\"0f5d",
    "1a3e-7b0c-4a7e-9d56-2c1f4a8b9c0d\"} c20b8919\n",
);

/// Lays out a file as a shim has left it, and reads it as a daemon does.
fn read<R: Record>(line: &str) -> R {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::of(folder.path(), SESSION);
    assert!(place.claim().unwrap());
    fs::write(place.folder().join(R::NAME), line).unwrap();
    match place.load::<R>().unwrap() {
        Found::Whole(record) => record,
        Found::Nothing | Found::Damaged => panic!("{line:?} is not understood"),
    }
}

#[test]
fn records_are_understood() {
    assert_eq!(read::<Intent>(INTENT), Intent { session: SESSION, nonce: NONCE });
    let started = read::<Started>(STARTED);
    assert_eq!((started.nonce, started.identity.session()), (NONCE, SESSION));
    assert_eq!(started.identity.pid().map(|pid| pid.as_raw_nonzero().get()), Some(4_711));
    assert_eq!(started.identity.start_mark(), 123_456);
    assert_eq!(started.identity.boot_id(), "0f5d1a3e-7b0c-4a7e-9d56-2c1f4a8b9c0d");
    for (line, exit) in
        [(EXIT_CODE, Exit::Code(42)), (EXIT_SIGNAL, Exit::Signal { number: 11, core_dumped: true })]
    {
        let ending = read::<ExitRecord>(line).ending();
        let output = OutputSizes { stdout_bytes: 1_234_567_890_123, stderr_bytes: 5 };
        assert_eq!((ending.exit, ending.output, ending.witness), (exit, output, Witness::Parent));
        assert_eq!((ending.oom_killed, ending.left_behind), (false, None));
    }
}

/// Makes a frame of what stands at its beginning.
fn frame(beginning: &[u8]) -> [u8; FRAME_BYTES] {
    let mut frame = [0; FRAME_BYTES];
    frame[..beginning.len()].copy_from_slice(beginning);
    frame
}

#[test]
fn what_is_said_to_them_is_what_they_understand() {
    let mut hello = frame(&[1, 1]);
    hello[8..24].copy_from_slice(SESSION.as_uuid().as_bytes());
    assert_eq!(ToShim::Hello(SESSION).encode(), hello);
    for (target, target_byte) in [(Target::Process, 0), (Target::Group, 1)] {
        for (signal, signal_byte) in [
            (Signal::Interrupt, 0),
            (Signal::Terminate, 1),
            (Signal::Kill, 2),
            (Signal::Continue, 3),
        ] {
            let said = ToShim::Signal { id: 0x0102, target, signal };
            let expected = frame(&[1, 2, target_byte, signal_byte, 0, 0, 0, 0, 2, 1]);
            assert_eq!(said.encode(), expected);
        }
    }
}

#[test]
fn what_is_said_of_messages_is_what_shims_understand_since_there_are_any() {
    let letter = Letter {
        id: 0x0102,
        message: MessageId::from_uuid(*SESSION.as_uuid()),
        length: 0x01_02_03,
        is_last: true,
    };
    let mut expected = frame(&[1, 3, 1, 0, 3, 2, 1, 0]);
    expected[8..24].copy_from_slice(SESSION.as_uuid().as_bytes());
    expected[24..26].copy_from_slice(&[2, 1]);
    assert_eq!(ToShim::Send(letter).encode(), expected);
    for (code, sent) in
        [(0, Sent::Accepted), (1, Sent::AlreadyEnded), (2, Sent::Full), (3, Sent::Unknown)]
    {
        let said = frame(&[1, 5, code, 0, 0, 0, 0, 0, 7]);
        assert_eq!(FromShim::decode(&said), Some(FromShim::Taken { id: 7, sent }));
    }
}

#[test]
fn what_they_say_is_understood() {
    let output = OutputSizes { stdout_bytes: 258, stderr_bytes: 0 };
    let ended = |exit, oom_killed, left_behind| {
        let witness = Witness::Parent;
        FromShim::Ended(Ending { exit, oom_killed, witness, output, left_behind })
    };
    let mut with_left = frame(&[1, 3, 1, 9, 0, 1, 0, 0, 2, 1]);
    with_left[24] = 4;
    for (frame, said) in [
        (frame(&[1, 1]), FromShim::Up),
        (
            frame(&[1, 2, 3, 2, 0, 0, 0]),
            FromShim::Refused(Refusal { stage: SpawnStage::Exec, errno: 2 }),
        ),
        (frame(&[1, 3, 0, 42, 0, 0, 0, 0, 2, 1]), ended(Exit::Code(42), false, None)),
        (with_left, ended(Exit::Signal { number: 9, core_dumped: false }, true, Some(3))),
        (
            frame(&[1, 4, 1, 0, 0, 0, 0, 0, 7]),
            FromShim::Delivered { id: 7, delivery: Delivery::AlreadyEnded },
        ),
    ] {
        assert_eq!(FromShim::decode(&frame), Some(said));
    }
}

/// A later version may have written more.
#[test]
fn what_is_not_known_of_a_record_is_passed_over() {
    let json = format!("{{\"session\":\"{}\",\"nonce\":\"{NONCE}\",\"mood\":\"fine\"}}", SESSION);
    let sum = crc32fast::hash(json.as_bytes());
    let line = format!("v1 {} {json} {sum:08x}\n", json.len());
    assert_eq!(read::<Intent>(&line), Intent { session: SESSION, nonce: NONCE });
}
