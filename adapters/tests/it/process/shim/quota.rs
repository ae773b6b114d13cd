//! Outputs that are kept within a quota: their head and tail stay, what lies between is dropped, and
//! nobody ever reads zeros for it.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use candor_adapters::process::shim::ShimSpawner;
use candor_adapters::process::{Chunk, Gap, OutputQuota, OutputReader, Stream};
use candor_core::ports::Process;
use candor_core::session::SessionId;
use candor_core::verdict::Exit;
use tokio::time::{sleep, timeout};

use super::super::Stage as Plain;
use super::{Kind, PATIENCE, Stage, aside, ending, exit, program};

const QUOTA: u64 = 256 << 10;
const HEAD: u64 = QUOTA / 4;

/// Bytes of a line of [`seq`], which tells its own place.
const LINE: u64 = 8;

/// Returns the shell command that writes the lines that belong from one offset to another.
fn seq(from: u64, to: u64) -> String {
    format!("seq {} {}", 1_000_000 + from / LINE, 1_000_000 + to / LINE - 1)
}

/// Checks that these bytes belong at this offset.
#[track_caller]
fn assert_at(offset: u64, bytes: &[u8]) {
    let first = offset / LINE;
    let lines = first..=(offset + bytes.len() as u64) / LINE;
    let text: String = lines.map(|line| format!("{}\n", 1_000_000 + line)).collect();
    let skip = usize::try_from(offset % LINE).unwrap();
    assert!(text.as_bytes()[skip..].starts_with(bytes), "what stands at {offset} does not belong");
}

/// Returns a stage whose sessions have a quota.
fn stage() -> Stage {
    let mut plain = Plain::of(Kind::Shim);
    let spawner = ShimSpawner::new(plain.sessions(), program());
    plain.spawner = Arc::new(spawner.with_output_quota(OutputQuota::new(QUOTA)));
    Stage(plain)
}

/// Launches a shell script, and opens its standard output.
async fn up(stage: &Stage, script: &str) -> (SessionId, Arc<dyn Process>, OutputReader) {
    let (session, process) = stage.up(&stage.programs.command("/bin/sh", ["-c", script])).await;
    let reader = stage.outputs().open(session, Stream::Stdout).unwrap();
    (session, process, reader)
}

/// Reads all that there is, `most` bytes at a time, checks each of them, and returns what was
/// dropped.
fn read_through(reader: &OutputReader, most: u64) -> Vec<Gap> {
    let (mut offset, mut gaps) = (0, Vec::new());
    loop {
        match reader.read_at(offset, most).unwrap() {
            Chunk::Bytes(bytes) if bytes.is_empty() => return gaps,
            Chunk::Bytes(bytes) => {
                assert_at(offset, &bytes);
                offset += bytes.len() as u64;
            }
            Chunk::Dropped(gap) => {
                assert!(gap.from == offset && gap.to > offset, "{gap:?} at {offset}");
                offset = gap.to;
                gaps.push(gap);
            }
            Chunk::CutOff { size_bytes } => panic!("cut off at {size_bytes}"),
        }
    }
}

fn file(stage: &Stage, session: SessionId) -> PathBuf {
    stage.sessions().join(session.to_string()).join("stdout")
}

/// Waits for a gap that ends beyond this offset.
async fn gap_beyond(reader: &OutputReader, offset: u64) -> Gap {
    let found = timeout(PATIENCE, async {
        loop {
            if let Some(gap) = reader.gap().unwrap().filter(|gap| gap.to > offset) {
                return gap;
            }
            // The shim tells nobody when it has dropped something.
            sleep(Duration::from_millis(20)).await;
        }
    });
    found.await.unwrap()
}

/// A script that writes up to each of these offsets in turn, and waits for a line from `go` after
/// each. The writer lets it go on.
async fn in_steps(
    stage: &Stage,
    ends: &[u64],
) -> (SessionId, Arc<dyn Process>, OutputReader, File) {
    let go = stage.fifo("go");
    let starts = [0].iter().chain(ends);
    let steps: Vec<_> = starts.zip(ends).map(|(from, to)| seq(*from, *to)).collect();
    let steps = steps.join("; read _ <&3; ");
    let script = format!("exec 3< {}; {steps}; read _ <&3; exit 7", go.display());
    let launch = up(stage, &script);
    let open = aside(move || OpenOptions::new().write(true).open(go).unwrap());
    let ((session, process, reader), go) = tokio::join!(launch, open);
    (session, process, reader, go)
}

#[tokio::test]
async fn head_and_tail_are_kept_and_the_gap_is_exact() {
    let stage = stage();
    let size = 10 * QUOTA;
    let (session, process, reader) = up(&stage, &format!("{}; exit 7", seq(0, size))).await;
    let ending = ending(&*process).await;
    assert_eq!((ending.exit, ending.output.stdout_bytes), (Exit::Code(7), size), "offsets stay");
    let gap = reader.gap().unwrap().unwrap();
    assert!(gap.from == HEAD && size - gap.to >= QUOTA / 2 && gap.to.is_multiple_of(4096));
    assert!(size - gap.bytes() <= QUOTA, "{gap:?}");
    for most in [u64::MAX, 1000] {
        assert_eq!(read_through(&reader, most), [gap]);
    }
    for (offset, to) in [(gap.from, gap.to), (gap.from + 1, gap.to), (gap.to - 1, gap.to)] {
        let dropped = Chunk::Dropped(Gap { from: offset, to });
        assert_eq!(reader.read_at(offset, 10).unwrap(), dropped);
    }
    let metadata = fs::metadata(file(&stage, session)).unwrap();
    assert_eq!(metadata.len(), size);
    // A file system keeps a little for itself.
    assert!(metadata.blocks() * 512 <= QUOTA + 65_536, "{} blocks", metadata.blocks());
    let stderr = stage.outputs().open(session, Stream::Stderr).unwrap();
    assert_eq!(stderr.gap().unwrap(), None);
}

#[tokio::test]
async fn what_fits_is_kept_whole() {
    let stage = stage();
    let (_, process, reader) = up(&stage, &seq(0, QUOTA)).await;
    exit(&*process).await;
    assert_eq!((read_through(&reader, u64::MAX), reader.gap().unwrap()), (Vec::new(), None));
}

#[tokio::test]
async fn a_refused_launch_leaves_nothing_behind() {
    let stage = stage();
    stage.refusal(&stage.programs.command("/no/such/program", [""; 0])).await;
    assert_eq!(fs::read_dir(stage.sessions()).unwrap().count(), 0);
}

/// It is woken by what is written, however long nothing was, and not while nothing is.
#[tokio::test]
async fn the_gap_grows_while_the_session_runs_and_silence_costs_nothing() {
    let stage = stage();
    let ends = [2 * QUOTA, 3 * QUOTA, 30 * QUOTA];
    let (session, process, reader, mut go) = in_steps(&stage, &ends).await;
    for end in ends {
        // Until then it keeps more than it may.
        let gap = gap_beyond(&reader, end - (QUOTA - HEAD) - 1).await;
        assert_eq!(gap.from, HEAD);
        assert_eq!(read_through(&reader, u64::MAX), [gap]);
        settled(&stage, session).await;
        go.write_all(b"go\n").unwrap();
    }
    drop(go);
    assert_eq!(exit(&*process).await, Exit::Code(7));
    let gap = reader.gap().unwrap().unwrap();
    assert_eq!(read_through(&reader, u64::MAX), [gap]);
}

/// Waits until the shim has slept for longer than it does between two looks.
async fn settled(stage: &Stage, session: SessionId) {
    let status = format!("/proc/{}/status", stage.shim(session).as_raw_nonzero());
    let switches = || {
        let status = fs::read_to_string(&status).unwrap();
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"));
        line.unwrap().to_owned()
    };
    let waiting = timeout(PATIENCE, async {
        loop {
            let before = switches();
            // That nothing happens makes no event.
            sleep(Duration::from_millis(1300)).await;
            if switches() == before {
                return;
            }
        }
    });
    waiting.await.unwrap();
}

/// Readers of every speed, while the gap is made under them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_follower_gets_each_byte_or_the_gap_and_never_zeros() {
    let stage = stage();
    let step = 8 * QUOTA;
    let steps: Vec<_> = (0..24).map(|n| seq(n * step, (n + 1) * step)).collect();
    // It writes for some seconds, so that the shim looks several times.
    let script = steps.join("; sleep 0.2; ");
    let (session, process, reader) = up(&stage, &script).await;
    let size = 24 * step;
    let follow = |most: u64| {
        let (outputs, reader) = (stage.outputs(), reader.clone());
        tokio::spawn(async move {
            let follower = outputs.follow(&reader);
            let (mut offset, mut dropped, mut read) = (0, 0, 0);
            while offset < size {
                match reader.read_at(offset, most).unwrap() {
                    Chunk::Bytes(bytes) if bytes.is_empty() => {
                        follower.grown_beyond(offset).await.unwrap();
                    }
                    Chunk::Bytes(bytes) => {
                        assert_at(offset, &bytes);
                        read += bytes.len() as u64;
                        offset += bytes.len() as u64;
                    }
                    Chunk::Dropped(Gap { from, to }) => {
                        assert!(from == offset && to > offset, "{from} to {to} at {offset}");
                        dropped += to - from;
                        offset = to;
                    }
                    Chunk::CutOff { size_bytes } => panic!("cut off at {size_bytes}"),
                }
            }
            assert_eq!((offset, read + dropped), (size, size));
            dropped
        })
    };
    let followers = [64 << 10, 4096, 1000, 100].map(follow);
    for follower in followers {
        timeout(PATIENCE, follower).await.unwrap().unwrap();
    }
    assert_eq!(ending(&*process).await.output.stdout_bytes, size);
    let gap = reader.gap().unwrap().unwrap();
    assert_eq!(read_through(&reader, u64::MAX), [gap]);
    let blocks = fs::metadata(file(&stage, session)).unwrap().blocks();
    assert!(blocks * 512 <= QUOTA + 65_536, "{blocks} blocks");
}

/// As after a power cut: then the file itself tells where nothing is.
#[tokio::test]
async fn a_damaged_record_does_not_make_output_of_a_hole() {
    let stage = stage();
    let (session, process, reader) = up(&stage, &seq(0, 10 * QUOTA)).await;
    exit(&*process).await;
    let gap = reader.gap().unwrap().unwrap();
    let record = file(&stage, session).with_file_name("gaps");
    for damage in ["", "v1 nonsense"] {
        fs::write(&record, damage).unwrap();
        assert_eq!(read_through(&reader, u64::MAX), [gap]);
    }
}

#[tokio::test]
async fn a_file_that_was_cut_off_begins_anew() {
    let stage = stage();
    let ends = [2 * QUOTA, 3 * QUOTA];
    let (session, process, reader, mut go) = in_steps(&stage, &ends).await;
    gap_beyond(&reader, 0).await;
    let path = file(&stage, session);
    let outputs = stage.outputs();
    let follower = outputs.follow(&reader);
    File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    let size = timeout(PATIENCE, follower.grown_beyond(2 * QUOTA)).await.unwrap().unwrap();
    assert_eq!(size, 0, "who waits is told");
    assert_eq!(reader.read_at(2 * QUOTA, 1).unwrap(), Chunk::CutOff { size_bytes: 0 });
    go.write_all(b"go\n").unwrap();
    drop(go);
    assert_eq!(exit(&*process).await, Exit::Code(7));
    assert_eq!(reader.gap().unwrap(), None);
    let Chunk::Bytes(bytes) = reader.read_at(0, 100).unwrap() else { panic!("it is there") };
    assert_at(2 * QUOTA, &bytes);
}
