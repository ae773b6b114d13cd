//! Flight recordings as files: one line of JSON for each thing that a session's protocol was handed.
//!
//! A line is appended before anything follows from it, and is not synced: a recording must survive
//! the death of the daemon, which the kernel's memory does, and is no use after a power cut without
//! the rest. A torn last line is left out by readers, and cut off by whoever begins the next part.
//!
//! A recording has no hole: where a line could not be written, none is until the next beginning.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use candor_core::ports::Recorder;
use candor_core::recording::{Call, Entry, rules_fingerprint};
use candor_core::session::SessionId;
use serde::{Deserialize, Serialize};

/// Bytes of one recording, at most. A line has about 125, and a session's life 20 to 40 lines. What
/// comes after is not recorded.
pub const RECORDING_BYTES_MAX: u64 = 256 << 10;

/// Bytes that are added at a time, at most: a header and a row. A recording ends for good where
/// these have no place any more, since a small line after a large one was left out would make a gap.
const LINES_BYTES_MAX: u64 = 1_000;

/// The form of the lines.
pub const RECORDING_VERSION: u32 = 1;

/// The line before each beginning: what the recording was made by.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Header {
    /// The form of the lines.
    pub v: u32,
    /// Whose session.
    pub session: SessionId,
    /// The fingerprint of the rules, in hex: a core with another one may replay otherwise.
    pub rules: String,
    /// The version of Candor.
    pub build: String,
}

/// Writes recordings into the folder of sessions, beside each session's own.
#[derive(Debug)]
pub struct FileRecorder {
    sessions: PathBuf,
    rules: String,
    /// Sessions of which a line is missing since they began, or were taken over.
    broken_off: Mutex<BTreeSet<SessionId>>,
}

impl FileRecorder {
    /// Makes a recorder that writes below `sessions_folder`, which must be there.
    #[must_use]
    pub fn new(sessions_folder: PathBuf) -> Self {
        Self {
            sessions: sessions_folder,
            rules: format!("{:016x}", rules_fingerprint()),
            broken_off: Mutex::default(),
        }
    }

    /// Returns a session's recording as it was written, without a torn last line.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is none; otherwise what the file system said.
    pub fn read(&self, session: SessionId) -> io::Result<Vec<u8>> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let mut bytes = Vec::new();
        options.open(self.path(session))?.take(2 * RECORDING_BYTES_MAX).read_to_end(&mut bytes)?;
        bytes.truncate(whole_len(&bytes));
        Ok(bytes)
    }

    /// Forgets a session that was deleted. Its file is [`Remains`](crate::remains::Remains)' to
    /// remove.
    pub fn forget(&self, session: SessionId) {
        self.broken_off().remove(&session);
    }

    /// Says whether every line of a session's recording is one that Candor writes. Lines of a later
    /// form are for a later Candor to judge.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn is_whole(&self, session: SessionId) -> io::Result<bool> {
        let bytes = self.read(session)?;
        let mut has_begun = false;
        for line in bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            if let Ok(header) = serde_json::from_slice::<Header>(line) {
                if header.v > RECORDING_VERSION {
                    return Ok(true);
                }
                has_begun = header.session == session;
            } else if !has_begun || serde_json::from_slice::<Entry>(line).is_err() {
                return Ok(false);
            }
        }
        Ok(has_begun || bytes.is_empty())
    }

    fn append(&self, session: SessionId, entry: &Entry) -> io::Result<()> {
        let begins = matches!(entry.call, Call::Create { .. } | Call::Resume { .. });
        if !begins && self.broken_off().contains(&session) {
            return Ok(());
        }
        let mut lines = Vec::new();
        if begins {
            let build = env!("CARGO_PKG_VERSION").to_owned();
            let rules = self.rules.clone();
            let header = Header { v: RECORDING_VERSION, session, rules, build };
            serde_json::to_writer(&mut lines, &header)?;
            lines.push(b'\n');
        }
        serde_json::to_writer(&mut lines, entry)?;
        lines.push(b'\n');
        let mut file = self.open(session)?;
        let len = if begins { cut_torn_line(&mut file)? } else { file.metadata()?.len() };
        if len + LINES_BYTES_MAX > RECORDING_BYTES_MAX {
            return Ok(());
        }
        if let Err(error) = file.write_all(&lines) {
            // The next line must not be glued to half of this one.
            file.set_len(len)?;
            return Err(error);
        }
        if begins {
            self.broken_off().remove(&session);
        }
        Ok(())
    }

    fn broken_off(&self) -> MutexGuard<'_, BTreeSet<SessionId>> {
        self.broken_off.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, session: SessionId) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        options.mode(0o600).custom_flags(libc::O_NOFOLLOW);
        options.open(self.path(session))
    }

    fn path(&self, session: SessionId) -> PathBuf {
        self.sessions.join(format!("{session}.recording"))
    }
}

/// Cuts off half a line that an earlier daemon has left, and returns the length. Where there is
/// none, a look at the last byte is all that it takes.
fn cut_torn_line(file: &mut File) -> io::Result<u64> {
    let len = file.metadata()?.len();
    let mut last = [b'\n'];
    if len > 0 {
        file.read_exact_at(&mut last, len - 1)?;
    }
    if last == [b'\n'] {
        return Ok(len);
    }
    let mut bytes = Vec::new();
    Read::by_ref(file).take(2 * RECORDING_BYTES_MAX).read_to_end(&mut bytes)?;
    let whole = whole_len(&bytes) as u64;
    file.set_len(whole)?;
    Ok(whole)
}

/// Returns the length of the lines that are whole.
fn whole_len(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1)
}

impl Recorder for FileRecorder {
    fn record(&self, session: SessionId, entry: &Entry) {
        if let Err(error) = self.append(session, entry) {
            tracing::debug!(%session, %error, "a step was not recorded");
            self.broken_off().insert(session);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use candor_core::input::Input;
    use candor_core::machine::{Machine, Policy};
    use candor_core::ports::{IdSource as _, Recorder as _};
    use candor_core::protocol::{Next, Origin, Protocol};
    use candor_core::recording::{Call, Entry, Replay, fingerprint};
    use candor_core::stop::StopKind;
    use candor_core::time::{Monotonic, Now, Timestamp};

    use super::{FileRecorder, Header, RECORDING_BYTES_MAX};
    use crate::ids::UuidV7Source;

    /// A session that begins, and is stopped again and again.
    fn entries(count: usize) -> Vec<Entry> {
        let policy = Policy::default();
        let at = Monotonic::from_ms(7);
        let now = Now { wall: Timestamp::UNIX_EPOCH, monotonic: at };
        let mut protocol = Protocol::create(Machine::launch(policy));
        let begin = Call::Create { policy, queued: false };
        let mut entries =
            vec![Entry { at, call: begin, fingerprint: fingerprint(&protocol, &Ok(Next::Commit)) }];
        let input = Input::Stop(StopKind::Interrupt);
        for _ in 1..count {
            let next = protocol.take(input, Origin::Command, now);
            let call = Call::Take { input, origin: Origin::Command };
            entries.push(Entry { at, call, fingerprint: fingerprint(&protocol, &next) });
        }
        entries
    }

    #[test]
    fn what_was_recorded_is_read_and_replays() {
        let folder = tempfile::tempdir().unwrap();
        let recorder = FileRecorder::new(folder.path().to_owned());
        let session = UuidV7Source.session_id();
        let recorded = entries(4);
        recorded.iter().for_each(|entry| recorder.record(session, entry));
        // A daemon that dies in the middle of a line leaves a torn one.
        let path = recorder.path(session);
        let mut torn = fs::read(&path).unwrap();
        torn.extend(b"{\"at\":7,\"ca");
        fs::write(&path, torn).unwrap();

        let text = String::from_utf8(recorder.read(session).unwrap()).unwrap();
        let mut lines = text.lines();
        let header: Header = serde_json::from_str(lines.next().unwrap()).unwrap();
        assert_eq!((header.session, header.rules.len()), (session, 16));
        let read: Vec<Entry> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read, recorded);
        let mut replay = Replay::default();
        read.iter().for_each(|entry| assert!(replay.step(entry).is_ok()));

        // The next daemon begins on a line of its own.
        recorder.record(session, &recorded[0]);
        let text = String::from_utf8(recorder.read(session).unwrap()).unwrap();
        let lines: Vec<_> = text.lines().skip(1 + recorded.len()).collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(serde_json::from_str::<Header>(lines[0]).is_ok());
        assert_eq!(serde_json::from_str::<Entry>(lines[1]).unwrap(), recorded[0]);
    }

    #[test]
    fn a_recording_that_is_not_as_written_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let recorder = FileRecorder::new(folder.path().to_owned());
        let session = UuidV7Source.session_id();
        entries(3).iter().for_each(|entry| recorder.record(session, entry));
        let path = recorder.path(session);
        let text = fs::read_to_string(&path).unwrap();
        let is_whole = |text: &str| {
            fs::write(&path, text).unwrap();
            recorder.is_whole(session).unwrap()
        };
        let lines: Vec<_> = text.split_inclusive('\n').collect();
        assert!(is_whole(&text));
        assert!(is_whole(&text[..text.len() - 3]), "a torn last line is left out");
        assert!(is_whole(&text.replacen("\"v\":1", "\"v\":2", 1)), "of a later form");
        assert!(!is_whole(&lines[1..].concat()), "without its header");
        let other = UuidV7Source.session_id().to_string();
        assert!(!is_whole(&text.replacen(&session.to_string(), &other, 1)), "another session's");
        assert!(!is_whole(&format!("{}{}{}", lines[0], &lines[1][9..], lines[2])), "cut into");
    }

    #[test]
    fn a_recording_has_no_hole() {
        let folder = tempfile::tempdir().unwrap();
        let recorder = FileRecorder::new(folder.path().to_owned());
        let session = UuidV7Source.session_id();
        let recorded = entries(4);
        recorder.record(session, &recorded[0]);
        let (path, aside) = (recorder.path(session), folder.path().join("aside"));
        fs::rename(&path, &aside).unwrap();
        fs::create_dir(&path).unwrap();
        recorder.record(session, &recorded[1]);
        fs::remove_dir(&path).unwrap();
        fs::rename(&aside, &path).unwrap();
        recorder.record(session, &recorded[2]);
        let lines = || String::from_utf8(recorder.read(session).unwrap()).unwrap().lines().count();
        assert_eq!(lines(), 2, "the header and the beginning, and nothing after what is missing");
        recorder.record(session, &recorded[0]);
        recorder.record(session, &recorded[1]);
        assert_eq!(lines(), 5, "a new beginning is recorded, with what follows");
    }

    #[test]
    fn a_recording_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let recorder = FileRecorder::new(folder.path().to_owned());
        let session = UuidV7Source.session_id();
        for entry in entries(4_000) {
            recorder.record(session, &entry);
        }
        let bytes = recorder.read(session).unwrap().len() as u64;
        assert!((RECORDING_BYTES_MAX - 1_000..=RECORDING_BYTES_MAX).contains(&bytes), "{bytes}");
    }
}
