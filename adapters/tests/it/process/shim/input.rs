//! What a shim does with the standard input that it holds.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use candor_adapters::ids::UuidV7Source;
use candor_adapters::process::{Outputs, Stream};
use candor_core::ports::{
    Delivery, INPUT_BYTES_MAX, MESSAGE_BYTES_MAX, MESSAGES_REMEMBERED_MAX, Message, Process, Sent,
    Target,
};
use candor_core::session::{SessionId, StandardInput};
use candor_core::stop::Signal;
use candor_core::verdict::Exit;
use candor_harness::contract::spawner::Program;
use rustix::process;
use tokio::time::{sleep, timeout};

use super::{PATIENCE, Stage, attached, exit, kill, line_to, skip};

/// How long a test rests between two looks at what makes no event.
const LOOK_EACH: Duration = Duration::from_millis(5);

/// What a shim may have more of memory once it has nothing to keep any more, in KiB.
const LEFT_KIB_MAX: u64 = 512;

fn message(bytes: &[u8], is_last: bool) -> Message {
    Message { id: UuidV7Source.message_id(), bytes: bytes.to_vec(), is_last }
}

/// Sends something that must be taken.
async fn send(process: &dyn Process, bytes: &[u8]) {
    assert_eq!(process.send(&message(bytes, false)).await, Sent::Accepted);
}

async fn end(process: &dyn Process) {
    assert_eq!(process.send(&message(b"", true)).await, Sent::Accepted);
}

async fn holding(stage: &Stage, mut program: Program) -> (SessionId, Arc<dyn Process>) {
    program.spec.input = StandardInput::Held;
    stage.up(&program).await
}

/// A program that copies its input to its output.
async fn copying(stage: &Stage) -> (SessionId, Arc<dyn Process>) {
    holding(stage, stage.programs.command("cat", [""; 0])).await
}

/// A program that does nothing before a line from the fifo, and then copies.
async fn copying_later(stage: &Stage) -> (SessionId, Arc<dyn Process>, PathBuf) {
    let go = stage.fifo("go");
    let script = ["-c", "read -r _ < \"$1\"; exec cat", "sh", go.to_str().unwrap()];
    let (session, process) = holding(stage, stage.programs.command("/bin/sh", script)).await;
    (session, process, go)
}

/// Waits until a program has printed so much.
async fn printed(stage: &Stage, session: SessionId, count: usize) {
    let outputs = Outputs::new(stage.sessions());
    let follower = outputs.follow(&outputs.open(session, Stream::Stdout).unwrap());
    let enough = async {
        let mut size = 0;
        while size < count as u64 {
            size = follower.grown_beyond(size).await.unwrap();
        }
    };
    timeout(PATIENCE, enough).await.unwrap();
}

/// Sends a message again and again until it is accepted.
async fn accepted(process: &dyn Process, message: &Message) {
    let sending = async {
        loop {
            match process.send(message).await {
                Sent::Accepted => return,
                // Neither room nor a shim that goes on makes an event here.
                Sent::Full | Sent::Unknown => sleep(LOOK_EACH).await,
                Sent::AlreadyEnded => panic!("nobody reads any more"),
            }
        }
    };
    timeout(PATIENCE, sending).await.unwrap();
}

#[tokio::test]
async fn daemon_that_goes_is_no_end_of_input() {
    let mut stage = Stage::new();
    let (session, process) = copying(&stage).await;
    for number in 0..3 {
        send(&*process, b"x").await;
        printed(&stage, session, number + 1).await;
        stage.0.spawner = stage.later();
        attached(&*stage.spawner, session).await;
    }
    let process = attached(&*stage.spawner, session).await;
    end(&*process).await;
    assert_eq!(exit(&*process).await, Exit::Code(0));
    assert_eq!(stage.printed(session, Stream::Stdout), b"xxx");
}

#[tokio::test]
async fn message_repeated_by_the_next_daemon_is_written_once() {
    let stage = Stage::new();
    let (session, mut process) = copying(&stage).await;
    let mut expected: Vec<u8> = Vec::new();
    for number in 0..1_000_u32 {
        let message = message(format!("line {number}\n").as_bytes(), false);
        expected.extend(&message.bytes);
        assert_eq!(process.send(&message).await, Sent::Accepted);
        if number % 10 == 0 {
            process = attached(&*stage.later(), session).await;
            for _ in 0..2 {
                assert_eq!(process.send(&message).await, Sent::Accepted);
            }
        }
    }
    end(&*process).await;
    assert_eq!(exit(&*process).await, Exit::Code(0));
    assert_eq!(stage.printed(session, Stream::Stdout), expected);
}

/// A caller that gives up in the midst of a message and another that repeats it, over and over.
#[tokio::test]
async fn message_whose_sender_goes_in_the_midst_is_written_whole_or_not_at_all() {
    let stage = Stage::new();
    let (session, mut process) = copying(&stage).await;
    let mut expected = Vec::new();
    for round in 0..60_u32 {
        let message = message(&vec![b'a' + (round % 26) as u8; 300_000], false);
        // Time decides how far it gets; whichever it is, the outcome is the same.
        let patience = Duration::from_micros(u64::from(round) * 30);
        drop(timeout(patience, process.send(&message)).await);
        process = attached(&*stage.later(), session).await;
        accepted(&*process, &message).await;
        expected.extend(message.bytes);
    }
    end(&*process).await;
    assert_eq!(exit(&*process).await, Exit::Code(0));
    assert!(
        stage.printed(session, Stream::Stdout) == expected,
        "it is torn, twice there or missing"
    );
}

#[tokio::test]
async fn full_input_takes_none_of_a_message_and_the_next_when_there_is_room() {
    let stage = Stage::new();
    let (session, process, go) = copying_later(&stage).await;
    let mut expected = Vec::new();
    let mut last = 0;
    loop {
        let next = message(&vec![b'a' + last; 100_000], false);
        match process.send(&next).await {
            Sent::Accepted => expected.extend(next.bytes),
            Sent::Full => break,
            other => panic!("{other:?}"),
        }
        last += 1;
    }
    assert!(expected.len() > INPUT_BYTES_MAX - 100_000 && expected.len() < 2 * INPUT_BYTES_MAX);
    // What is small enough still fits, and keeps its place.
    send(&*process, b"small").await;
    expected.extend(b"small");
    line_to(&go).await;
    let large = message(&vec![b'!'; MESSAGE_BYTES_MAX], false);
    accepted(&*process, &large).await;
    expected.extend(large.bytes);
    end(&*process).await;
    assert_eq!(exit(&*process).await, Exit::Code(0));
    assert!(stage.printed(session, Stream::Stdout) == expected);
}

#[tokio::test]
async fn process_that_never_reads_is_signalled_and_seen_to_end_all_the_same() {
    let stage = Stage::new();
    let (_, process, _) = copying_later(&stage).await;
    let large = vec![b'x'; MESSAGE_BYTES_MAX];
    while process.send(&message(&large, false)).await == Sent::Accepted {}
    assert_eq!(process.signal(Target::Group, Signal::Terminate).await, Delivery::Delivered);
    assert_eq!(exit(&*process).await, Exit::Signal { number: 15, core_dumped: false });
    assert_eq!(process.send(&message(b"x", false)).await, Sent::AlreadyEnded);
}

#[tokio::test]
async fn process_that_closes_its_input_is_sent_nothing_more() {
    let stage = Stage::new();
    let (ready, go) = (stage.fifo("ready"), stage.fifo("go"));
    let script = "exec < /dev/null; echo ready > \"$1\"; read -r _ < \"$2\"; exit 5";
    let words = ["-c", script, "sh", ready.to_str().unwrap(), go.to_str().unwrap()];
    let (session, process) = holding(&stage, stage.programs.command("/bin/sh", words)).await;
    assert_eq!(super::line_from(&ready).await, "ready\n");
    assert_eq!(process.send(&message(b"x", false)).await, Sent::AlreadyEnded);
    let later = attached(&*stage.later(), session).await;
    assert_eq!(later.send(&message(b"", true)).await, Sent::AlreadyEnded);
    line_to(&go).await;
    assert_eq!(exit(&*process).await, Exit::Code(5));
}

#[tokio::test]
async fn shim_that_hangs_answers_nothing_and_takes_what_is_repeated_once() {
    let stage = Stage::new();
    let (session, process) = copying(&stage).await;
    let shim = stage.shim(session);
    process::kill_process(shim, process::Signal::STOP).unwrap();
    let message = message(&vec![b'x'; MESSAGE_BYTES_MAX], false);
    assert_eq!(process.send(&message).await, Sent::Unknown);
    process::kill_process(shim, process::Signal::CONT).unwrap();
    accepted(&*process, &message).await;
    end(&*process).await;
    assert_eq!(exit(&*process).await, Exit::Code(0));
    assert_eq!(stage.printed(session, Stream::Stdout).len(), MESSAGE_BYTES_MAX);
}

#[tokio::test]
async fn input_ends_with_its_shim_and_that_is_said() {
    let stage = Stage::new();
    let (session, process) = copying(&stage).await;
    send(&*process, b"before").await;
    printed(&stage, session, 6).await;
    kill(stage.shim(session)).await;
    let sent = loop {
        match process.send(&message(b"after", false)).await {
            // Until it is known that the shim is gone.
            Sent::Unknown => {}
            sent => break sent,
        }
    };
    assert_eq!(sent, Sent::AlreadyEnded);
    assert_eq!(stage.printed(session, Stream::Stdout), b"before");
}

/// What is remembered is limited, as the port says.
#[tokio::test]
async fn as_many_messages_are_remembered_as_is_promised() {
    let stage = Stage::new();
    let (session, process) = copying(&stage).await;
    let first = message(b"first\n", false);
    assert_eq!(process.send(&first).await, Sent::Accepted);
    let mut expected = first.bytes.clone();
    for _ in 1..MESSAGES_REMEMBERED_MAX {
        send(&*process, b"x").await;
        expected.push(b'x');
    }
    assert_eq!(process.send(&first).await, Sent::Accepted);
    end(&*process).await;
    assert_eq!(exit(&*process).await, Exit::Code(0));
    assert_eq!(stage.printed(session, Stream::Stdout), expected);
}

#[tokio::test]
async fn shim_keeps_no_memory_of_what_is_written() {
    let stage = Stage::new();
    let (session, process) = copying(&stage).await;
    send(&*process, b"x").await;
    printed(&stage, session, 1).await;
    let shim = stage.shim(session);
    let Some(before) = resident_kib(shim) else { return skip("no VmRSS in /proc") };
    let large = message(&vec![b'x'; MESSAGE_BYTES_MAX], false).bytes;
    let mut count = 1;
    for _ in 0..20 {
        let next = message(&large, false);
        accepted(&*process, &next).await;
        count += large.len();
    }
    printed(&stage, session, count).await;
    // It is answered after all that came before was looked after.
    assert_eq!(process.signal(Target::Process, Signal::Continue).await, Delivery::Delivered);
    let after = resident_kib(shim).unwrap();
    assert!(after <= before + LEFT_KIB_MAX, "{before} KiB before, {after} KiB after");
    end(&*process).await;
    assert_eq!(exit(&*process).await, Exit::Code(0));
}

fn resident_kib(pid: process::Pid) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).ok()?;
    let (_, rest) = status.split_once("VmRSS:")?;
    rest.trim_start().split(' ').next()?.parse().ok()
}
