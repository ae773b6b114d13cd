//! Programs that run, and what they said when they had ended.

use std::fmt;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// What a program said, and how it ended.
pub(crate) struct Said {
    pub(crate) status: ExitStatus,
    pub(crate) output: Vec<u8>,
    pub(crate) errors: Vec<u8>,
}

impl Said {
    /// Runs a command to its end.
    pub(crate) fn by(mut command: Command) -> Self {
        let output = command.output().unwrap();
        Self { status: output.status, output: output.stdout, errors: output.stderr }
    }

    /// Checks the exit code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{self:?}");
        self
    }

    /// Checks that the program has said on standard error, in a sentence, each of these words.
    #[track_caller]
    pub(crate) fn because(&self, words: &[&str]) {
        let sentence = self.stderr();
        for word in words {
            assert!(sentence.contains(word), "{word:?} is not in {sentence:?}");
        }
        assert!(!sentence.contains("panicked"), "{sentence}");
    }

    #[track_caller]
    pub(crate) fn stdout(&self) -> &str {
        str::from_utf8(&self.output).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.errors).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.output).unwrap()
    }

    /// Returns standard output as one JSON value a line.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        self.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl fmt::Debug for Said {
    /// Shows the texts as texts: they are what one wants to read when a test fails.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let output = String::from_utf8_lossy(&self.output);
        write!(formatter, "{}\n{output}\n{}", self.status, self.stderr())
    }
}

/// A program that runs, read line by line. It is killed when it is dropped.
pub(crate) struct Running {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
    /// Standard error, line by line.
    stderr: Receiver<Vec<u8>>,
    errors: Vec<u8>,
}

impl Running {
    /// Starts a command that has nothing to read.
    pub(crate) fn start(command: Command) -> Self {
        Self::reading(command, Stdio::null())
    }

    /// Starts a command that reads this.
    pub(crate) fn reading(mut command: Command, stdin: impl Into<Stdio>) -> Self {
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().map(BufReader::new);
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let (lines, stderr) = mpsc::channel();
        // Read all the time, so that it never stands in the way.
        thread::spawn(move || {
            let mut line = Vec::new();
            while errors.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
                // Whoever does not listen any more does not need it.
                let _unheard = lines.send(std::mem::take(&mut line));
            }
        });
        Self { child, stdout, stderr, errors: Vec::new() }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for the next line of standard output.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.as_mut().unwrap().read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the program has ended after {line:?}");
        line.pop();
        line
    }

    /// Waits for the line of standard output that is a JSON value as wanted.
    #[track_caller]
    pub(crate) fn value(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let value = serde_json::from_str(&self.line()).unwrap();
            if wanted(&value) {
                return value;
            }
        }
    }

    /// Waits for the next line of standard error.
    #[track_caller]
    pub(crate) fn error_line(&mut self) -> String {
        let line = self.stderr.recv().expect("the program says no more");
        self.errors.extend(&line);
        String::from_utf8(line).unwrap()
    }

    /// Reads standard output no more.
    pub(crate) fn close_stdout(&mut self) {
        self.stdout = None;
    }

    /// Waits for the end.
    pub(crate) fn finish(mut self) -> Said {
        let mut output = Vec::new();
        if let Some(stdout) = &mut self.stdout {
            stdout.read_to_end(&mut output).unwrap();
        }
        self.ended(output)
    }

    /// Waits for the end, and does not read standard output meanwhile.
    pub(crate) fn finish_unread(mut self) -> Said {
        self.ended(Vec::new())
    }

    fn ended(&mut self, output: Vec<u8>) -> Said {
        let status = self.child.wait().unwrap();
        self.errors.extend(self.stderr.iter().flatten());
        Said { status, output, errors: std::mem::take(&mut self.errors) }
    }

    /// Waits for the end by this signal.
    #[track_caller]
    pub(crate) fn dies_of(self, signal: Signal) {
        let said = self.finish();
        assert_eq!(said.status.signal(), Some(signal.as_raw()), "{said:?}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended, and then there is nothing to do.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}
