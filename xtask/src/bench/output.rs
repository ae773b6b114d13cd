//! How fast a session writes its output, and what it takes to keep and to show a large one.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::slice;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Pid;
use xshell::Shell;

use super::process::{shims_of, status_of};
use super::sample::{Sample, milliseconds};
use super::{Figure, Verdict};
use crate::candor::{Candor, Form};

/// The hidden verb.
pub(crate) const VERB: &str = "bench-copy";

/// What is copied in each round, and how often. It is less than the quota of an output.
const COPIED_BYTES: u64 = 1_000 << 20;
const ROUNDS: usize = 8;

/// How much longer it may take through a session, as a factor.
const LONGER_MAX: f64 = 1.1;

/// The large output, without one end of a line.
const LARGE_BYTES: u64 = 3 << 30;
const LARGE_BYTES_FULL: u64 = 10 << 30;

/// What is compared with it: an output that is this many times smaller.
const SMALLER: u64 = 10;

/// How much more memory the larger one may take before it counts as more: what an allocator keeps.
const MORE_MAX_KB: u64 = 1_024;

/// Room that must be left on the disk beside what is written.
const ROOM_BYTES: u64 = 8 << 30;

/// A folder in memory, if there is one.
const MEMORY: &str = "/dev/shm";

const CHUNK_BYTES: usize = 1 << 20;

pub(super) fn measure(shell: &Shell, full: bool) -> Result<Vec<Figure>> {
    let candor = Candor::build(shell, Form::Shipped)?;
    candor.text(["daemon", "start"])?;
    let large_bytes = if full { LARGE_BYTES_FULL } else { LARGE_BYTES };
    check_room(&candor.scratch(""), large_bytes)?;
    let mut figures = copies(&candor)?;
    drop(candor);
    let candor = Candor::build(shell, Form::Shipped)?;
    // Otherwise the middle is gone before it is read.
    candor.set("output_quota = \"none\"\n")?;
    candor.text(["daemon", "start"])?;
    figures.extend(large(&candor, large_bytes)?);
    Ok(figures)
}

fn check_room(folder: &Path, bytes: u64) -> Result<()> {
    let disk = rustix::fs::statvfs(folder)?;
    let free_bytes = disk.f_bavail * disk.f_frsize;
    ensure!(
        free_bytes > bytes + ROOM_BYTES,
        "the disk has {} GB free, and this needs {}: set TMPDIR to another",
        free_bytes >> 30,
        (bytes + ROOM_BYTES) >> 30
    );
    Ok(())
}

/// A file that is gone when this is dropped.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// Copies the same file by the same program into a file of ours and into an output, by turns.
fn copies(candor: &Candor) -> Result<Vec<Figure>> {
    let source = source(candor)?;
    let stamped = Scratch(candor.scratch("stamped"));
    let xtask = std::env::current_exe().context("xtask does not know its own path")?;
    let words = [xtask.as_os_str(), VERB.as_ref(), stamped.0.as_os_str(), source.0.as_os_str()];
    let [mut direct, mut session, mut direct_whole, mut session_whole] =
        [const { Sample::new() }; 4];
    // The first two rounds find everything cold, and do not count. Each second round begins with the
    // session, since whoever comes second meets what the disk has not done yet for the first.
    for round in 0..ROUNDS + 2 {
        for by_session in [round % 2 == 0, round % 2 != 0] {
            let copy = if by_session { copy_by_session } else { copy_directly };
            let whole = copy(candor, &words)?;
            let copied = stamp_in(&stamped.0)?;
            let (sample, sample_whole) = match by_session {
                true => (&mut session, &mut session_whole),
                false => (&mut direct, &mut direct_whole),
            };
            if round >= 2 {
                sample.add(copied);
                sample_whole.add(whole);
            }
        }
    }
    let megabytes = COPIED_BYTES >> 20;
    let what = format!("cat of {megabytes} MiB in a session, median of {ROUNDS}");
    Ok(vec![
        compared(what, &session, &direct),
        compared("  until all is on the disk, and its end".into(), &session_whole, &direct_whole),
    ])
}

/// Makes a file whose reading takes no disk, where there is such a place.
fn source(candor: &Candor) -> Result<Scratch> {
    let memory = Path::new(MEMORY);
    let name = format!("candor-xtask-{}", std::process::id());
    let path = if memory.is_dir() { memory.join(name) } else { candor.scratch("source") };
    let source = Scratch(path);
    let mut file = File::create(&source.0)?;
    let chunk = vec![b'x'; CHUNK_BYTES];
    for _ in 0..COPIED_BYTES / CHUNK_BYTES as u64 {
        file.write_all(&chunk)?;
    }
    Ok(source)
}

/// Returns what it took until the copy was on the disk.
fn copy_directly(candor: &Candor, words: &[&OsStr]) -> Result<Duration> {
    let copy = Scratch(candor.scratch("copy"));
    let file = File::create(&copy.0)?;
    let start = Instant::now();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(file.try_clone()?);
    ensure!(command.status()?.success(), "the copy did not succeed");
    file.sync_all()?;
    Ok(start.elapsed())
}

/// The same with an output as the copy, whose size must be right.
fn copy_by_session(candor: &Candor, words: &[&OsStr]) -> Result<Duration> {
    let start = Instant::now();
    let session = candor.launch(words)?;
    candor.text(["wait", &session])?;
    let whole = start.elapsed();
    let json = candor.text(["rm", "--json", &session])?;
    let removed: serde_json::Value = serde_json::from_str(&json)?;
    let bytes = removed["bytes"].as_u64().context("rm tells no bytes")?;
    ensure!(bytes >= COPIED_BYTES, "the output has only {bytes} bytes");
    Ok(whole)
}

fn stamp_in(path: &Path) -> Result<Duration> {
    let text = fs::read_to_string(path)?;
    fs::remove_file(path)?;
    Ok(Duration::from_nanos(text.parse()?))
}

fn compared(what: String, session: &Sample, direct: &Sample) -> Figure {
    let ratio = session.median().as_secs_f64() / direct.median().as_secs_f64();
    Figure {
        what,
        target: format!("<= {:.2} × cat > file", LONGER_MAX),
        measured: format!(
            "{ratio:.2} × ({} to {})",
            milliseconds(session.median()),
            milliseconds(direct.median())
        ),
        verdict: Verdict::of(ratio <= LONGER_MAX),
    }
}

/// Copies the file in the second argument to standard output with `cat`, and writes to the file in
/// the first how long that took, in nanoseconds. The hidden verb [`VERB`].
pub(crate) fn child(arguments: &[OsString]) -> Result<ExitCode> {
    let [stamp, source] = arguments else { bail!("name a file for the time, and one to copy") };
    let start = Instant::now();
    let status = Command::new("cat").arg(source).status().context("cannot start cat")?;
    let took = start.elapsed();
    ensure!(status.success(), "cat did not succeed");
    fs::write(stamp, took.as_nanos().to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// The most memory that each of them ever had, in kilobytes.
#[derive(Clone, Copy, Debug)]
struct Peaks {
    shim_kb: u64,
    daemon_kb: u64,
    logs_kb: u64,
}

/// Holds a large output without an end of a line against a smaller one.
fn large(candor: &Candor, bytes: u64) -> Result<Vec<Figure>> {
    let small = flood(candor, bytes / SMALLER)?;
    let large = flood(candor, bytes)?;
    let figure = |what: &str, small_kb: u64, large_kb: u64| Figure {
        what: what.to_owned(),
        target: format!("{small_kb} kB at a tenth of it"),
        measured: format!("{large_kb} kB"),
        verdict: Verdict::of(large_kb <= small_kb + MORE_MAX_KB),
    };
    let what = format!("{} GiB without an end of a line: the most memory of the shim", bytes >> 30);
    Ok(vec![
        figure(&what, small.shim_kb, large.shim_kb),
        figure("  of the daemon", small.daemon_kb, large.daemon_kb),
        figure("  of candor logs", small.logs_kb, large.logs_kb),
    ])
}

/// Has a session write so many bytes, and reads all of them.
fn flood(candor: &Candor, bytes: u64) -> Result<Peaks> {
    // It stays when it has written, so that its shim and whoever reads it can be looked at.
    let script = format!("head -c {bytes} /dev/zero; exec sleep 3600");
    let session = candor.launch(["sh", "-c", &script])?;
    let mut logs = candor.command(["logs", "-f", &session]).stdout(Stdio::piped()).spawn()?;
    let read = read(&mut logs, bytes);
    let peaks = read.and_then(|()| {
        let shims = shims_of(slice::from_ref(&session))?;
        let shim = shims.get(&session).context("the session has no shim")?;
        let daemon = candor.status()?["pid"].as_u64().context("the daemon has no pid")?;
        let daemon = Pid::from_raw(daemon.try_into()?).context("no pid")?;
        let peak = |pid| status_of(pid, "VmHWM");
        Ok(Peaks {
            shim_kb: peak(*shim)?,
            daemon_kb: peak(daemon)?,
            logs_kb: peak(Pid::from_child(&logs))?,
        })
    });
    candor.text(["kill", &session])?;
    // It was killed, and so this fails.
    candor.output(["wait", &session])?;
    logs.wait()?;
    candor.text(["rm", &session])?;
    peaks
}

/// Reads so many bytes of a program that has more to say, or has it not.
fn read(program: &mut Child, bytes: u64) -> Result<()> {
    let output = program.stdout.as_mut().context("it has no output")?;
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut left = bytes;
    while left > 0 {
        let count = output.read(&mut buffer)? as u64;
        ensure!(count > 0, "{left} bytes of {bytes} are missing");
        ensure!(count <= left, "there are {} bytes too many", count - left);
        left -= count;
    }
    Ok(())
}
