//! The steps of a script.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::setsid;

use crate::children;
use crate::dump;
use crate::script::Step;

/// How long a server may take to answer, in seconds.
const ANSWER_S: u64 = 30;

/// What is written at once of a flood.
const FLOOD_CHUNK_BYTES: u64 = 64 * 1024;

/// Result lines as a coding agent prints them, cut down to what anybody looks at.
const SUCCESS: &str = r#"{"type":"result","subtype":"success","is_error":false,"num_turns":1,"result":"done","total_cost_usd":0}"#;
const ERROR: &str = r#"{"type":"result","subtype":"error_during_execution","is_error":true,"num_turns":1,"total_cost_usd":0}"#;

/// Takes one step.
///
/// # Errors
///
/// A sentence for the author of the test.
pub(crate) fn take(step: &Step) -> Result<(), String> {
    let taken = match step {
        Step::Print(text) => print(&mut io::stdout().lock(), text),
        Step::PrintError(text) => print(&mut io::stderr().lock(), text),
        Step::Result { success } => {
            print_result(*success);
            Ok(())
        }
        Step::Lines(count) => lines(*count),
        Step::Flood(bytes) => flood(*bytes),
        Step::Fork(arguments) => children::start(arguments),
        Step::Hold(fifo) => hold(fifo),
        Step::Dump(file) => dump::write(file),
        Step::Ready(file) => ready(file),
        Step::Await(fifo) => wait_for(fifo),
        Step::Ask(address) => ask(address),
        Step::Report => children::report_ready(),
        Step::Detach => setsid().map(drop).map_err(io::Error::from),
        Step::Shell(command) => Err(Command::new("sh").arg("-c").arg(command).exec()),
    };
    taken.map_err(|error| format!("{step:?}: {error}"))
}

/// Reads standard input to its end, and returns the digest of it.
///
/// # Errors
///
/// A sentence for the author of the test.
pub(crate) fn digest_input() -> Result<u8, String> {
    let mut bytes = Vec::new();
    match io::stdin().lock().read_to_end(&mut bytes) {
        Ok(_) => Ok(candor_harness::contract::spawner::digest(&bytes)),
        Err(error) => Err(format!("--digest: {error}")),
    }
}

/// Prints a result line. Nobody may be listening, and then there is nothing to do about it.
pub(crate) fn print_result(success: bool) {
    let line = if success { SUCCESS } else { ERROR };
    drop(print(&mut io::stdout().lock(), OsStr::new(line)));
}

/// In one write, so that lines of several processes do not mix.
fn print(output: &mut dyn Write, text: &OsStr) -> io::Result<()> {
    output.write_all(&[text.as_bytes(), b"\n"].concat())?;
    output.flush()
}

fn lines(count: u64) -> io::Result<()> {
    let mut output = io::stdout().lock();
    for number in 1..=count {
        writeln!(output, "line {number}")?;
    }
    output.flush()
}

fn flood(bytes: u64) -> io::Result<()> {
    let mut output = io::stdout().lock();
    let chunk = [b'x'; FLOOD_CHUNK_BYTES as usize];
    let mut left = bytes;
    while left > 0 {
        let now = left.min(FLOOD_CHUNK_BYTES);
        output.write_all(&chunk[..usize::try_from(now).map_err(io::Error::other)?])?;
        left -= now;
    }
    output.flush()
}

/// The file stays open until the process ends, which is the point: whoever reads it sees the end.
fn hold(fifo: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(fifo)?;
    file.write_all(b"held\n")?;
    std::mem::forget(file);
    Ok(())
}

/// Says that it is ready, to a file or a fifo.
pub(crate) fn ready(file: &Path) -> io::Result<()> {
    if file == Path::new("-") {
        return print(&mut io::stdout().lock(), OsStr::new("ready"));
    }
    // Without truncation it is the same for a fifo and for a file.
    OpenOptions::new().append(true).create(true).open(file)?.write_all(b"ready\n")
}

/// Waits for a line from a fifo.
pub(crate) fn wait_for(fifo: &Path) -> io::Result<()> {
    let read = BufReader::new(File::open(fifo)?).read_line(&mut String::new())?;
    if read == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

fn ask(address: &OsStr) -> io::Result<()> {
    let patience = Some(Duration::from_secs(ANSWER_S));
    match address.to_str().filter(|address| !address.contains('/')) {
        Some(address) => {
            let stream = TcpStream::connect(address)?;
            stream.set_read_timeout(patience)?;
            converse(&stream)
        }
        None => {
            let stream = UnixStream::connect(address)?;
            stream.set_read_timeout(patience)?;
            converse(&stream)
        }
    }
}

/// Sends what comes in, and prints what is answered until the other end closes.
fn converse<'stream, S>(mut stream: &'stream S) -> io::Result<()>
where
    &'stream S: Read + Write,
{
    let mut request = Vec::new();
    io::stdin().lock().read_to_end(&mut request)?;
    // It may be refused before all of it was read.
    drop(stream.write_all(&request));
    let mut answer = Vec::new();
    // A connection that is cut off after the answer has still brought it.
    drop(stream.read_to_end(&mut answer));
    let mut output = io::stdout().lock();
    output.write_all(&answer)?;
    output.flush()
}
