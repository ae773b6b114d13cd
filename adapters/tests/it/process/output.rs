//! Reading and following what sessions print.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;

use candor_adapters::process::{Chunk, OUTPUT_CHUNK_BYTES_MAX, Stream};
use candor_core::verdict::Exit;
use candor_harness::contract::repository::chain::session_id;
use futures_util::FutureExt as _;

use super::{PATIENCE, Stage, bytes as bytes_of, ending, exit, line_to};

#[tokio::test]
async fn flood_is_read_in_bounded_chunks() {
    let stage = Stage::new();
    let bytes = 3 * OUTPUT_CHUNK_BYTES_MAX as u64 + 1;
    let (session, process) = stage.agent_up(&["--flood", &bytes.to_string()]).await;
    assert_eq!(ending(&*process).await.output.stdout_bytes, bytes);
    let reader = stage.outputs().open(session, Stream::Stdout).unwrap();
    assert_eq!(reader.size_bytes().unwrap(), bytes);
    assert_eq!(bytes_of(reader.read_at(0, u64::MAX).unwrap()).len(), OUTPUT_CHUNK_BYTES_MAX);
    for (offset, most, expected) in [(bytes - 1, u64::MAX, "x"), (7, 3, "xxx"), (bytes, 1, "")] {
        assert_eq!(reader.read_at(offset, most).unwrap(), Chunk::Bytes(expected.into()));
    }
    for offset in [bytes + 1, u64::MAX] {
        let chunk = reader.read_at(offset, u64::MAX).unwrap();
        assert_eq!(chunk, Chunk::CutOff { size_bytes: bytes });
    }
    assert_eq!(stage.printed(session, Stream::Stdout).len() as u64, bytes);
    assert_eq!(stage.printed(session, Stream::Stderr), b"");
}

#[tokio::test]
async fn what_is_not_an_output_is_not_read() {
    let stage = Stage::new();
    let session = session_id(1);
    let open = || stage.outputs().open(session, Stream::Stdout).map(drop);
    assert_eq!(open().unwrap_err().kind(), io::ErrorKind::NotFound);
    let folder = stage.sessions().join(session.to_string());
    fs::create_dir_all(&folder).unwrap();
    assert_eq!(open().unwrap_err().kind(), io::ErrorKind::NotFound);
    symlink("/etc/passwd", folder.join("stdout")).unwrap();
    assert!(open().is_err(), "a link");
    fs::remove_file(folder.join("stdout")).unwrap();
    super::fifo(&folder, "stdout");
    assert!(open().is_err(), "a fifo, which would hold the reader for ever");
}

#[tokio::test]
async fn followers_see_each_line_as_it_comes() {
    let stage = Stage::new();
    let go = stage.fifo("go");
    let script = format!("while read line; do echo $line; done < {}; exit 5", go.display());
    let (session, process) = stage.up(&stage.programs.command("/bin/sh", ["-c", &script])).await;
    let outputs = stage.outputs();
    let reader = outputs.open(session, Stream::Stdout).unwrap();
    let followers: Vec<_> = (0..5).map(|_| outputs.follow(&reader)).collect();
    // The writer stays open, and lets the script go on line by line.
    let writer = super::aside(move || fs::OpenOptions::new().write(true).open(go).unwrap()).await;
    for number in 1..=20_u64 {
        let before = (number - 1) * 2;
        for follower in &followers {
            assert!(follower.grown_beyond(before).now_or_never().is_none(), "too early");
        }
        io::Write::write_all(&mut &writer, b"x\n").unwrap();
        for follower in &followers {
            let grown = tokio::time::timeout(PATIENCE, follower.grown_beyond(before)).await;
            assert_eq!(grown.unwrap().unwrap(), number * 2);
        }
    }
    drop(writer);
    assert_eq!(exit(&*process).await, Exit::Code(5));
    assert!(followers[0].grown_beyond(40).now_or_never().is_none());
}

#[tokio::test]
async fn follower_that_comes_late_has_missed_nothing() {
    let stage = Stage::new();
    let (session, process) = stage.agent_up(&["--print", "all"]).await;
    exit(&*process).await;
    let outputs = stage.outputs();
    let reader = outputs.open(session, Stream::Stdout).unwrap();
    let follower = outputs.follow(&reader);
    assert_eq!(follower.grown_beyond(0).now_or_never().unwrap().unwrap(), 4);
    assert_eq!(follower.grown_beyond(3).now_or_never().unwrap().unwrap(), 4);
}

#[tokio::test]
async fn followers_come_and_go_without_hindering_each_other() {
    let stage = Stage::new();
    let go = stage.fifo("go");
    let arguments = ["--await", go.to_str().unwrap(), "--print", "x"];
    let (session, process) = stage.agent_up(&arguments).await;
    let outputs = stage.outputs();
    let reader = outputs.open(session, Stream::Stdout).unwrap();
    drop(outputs.follow(&reader));
    let stays = outputs.follow(&reader);
    let other = outputs.open(session, Stream::Stderr).unwrap();
    drop(outputs.follow(&reader));
    drop(outputs.follow(&other));
    assert!(stays.grown_beyond(0).now_or_never().is_none());
    line_to(&go).await;
    let grown = tokio::time::timeout(PATIENCE, stays.grown_beyond(0)).await;
    assert_eq!(grown.unwrap().unwrap(), 2);
    exit(&*process).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn following_a_flood_reaches_its_end() {
    let stage = Stage::new();
    let bytes = 20_000_000_u64;
    let (session, process) = stage.agent_up(&["--flood", &bytes.to_string()]).await;
    let outputs = stage.outputs();
    let reader = outputs.open(session, Stream::Stdout).unwrap();
    let follower = outputs.follow(&reader);
    let mut read = 0;
    while read < bytes {
        tokio::time::timeout(PATIENCE, follower.grown_beyond(read)).await.unwrap().unwrap();
        read += bytes_of(reader.read_at(read, u64::MAX).unwrap()).len() as u64;
    }
    assert_eq!(ending(&*process).await.output.stdout_bytes, bytes);
}
