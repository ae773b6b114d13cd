//! A program in a terminal of its own, and what somebody sees there.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

/// How long a screen may be other than it should before that counts as wrong.
const STILL_MAX: Duration = Duration::from_secs(30);

/// The terminal, and the program in it. The program is killed when it is dropped.
pub(crate) struct Screen {
    child: Child,
    keyboard: File,
    /// Kept open, so that what the program leaves behind can be looked at.
    terminal: OwnedFd,
    printed: Receiver<Vec<u8>>,
    seen: vt100::Parser,
}

impl Screen {
    /// Starts a program in a terminal of this size.
    pub(crate) fn start(mut command: Command, columns: u16, lines: u16) -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let name = ptsname(&keyboard, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let terminal = rustix::fs::open(name.as_c_str(), flags, Mode::empty()).unwrap();
        let size = Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&terminal, size).unwrap();
        let end = || terminal.as_fd().try_clone_to_owned().unwrap();
        let child =
            command.env("TERM", "xterm-256color").stdin(end()).stdout(end()).stderr(end()).spawn();
        let keyboard = File::from(keyboard);
        let mut reader = keyboard.try_clone().unwrap();
        let (sender, printed) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        let size = |number| std::num::NonZero::new(number).unwrap();
        let seen = vt100::Parser::new(size(lines), size(columns), 0);
        Self { child: child.unwrap(), keyboard, terminal, printed, seen }
    }

    /// Types.
    pub(crate) fn keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the screen is as wanted, and returns its text.
    #[track_caller]
    pub(crate) fn until(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let since = Instant::now();
        loop {
            let text = self.seen.screen().contents();
            let text = text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
            if wanted(&text) {
                return text;
            }
            match self.printed.recv_timeout(STILL_MAX.saturating_sub(since.elapsed())) {
                Ok(printed) => self.seen.process(&printed),
                Err(error) => panic!("{error}, and the screen stays:\n{text}"),
            }
        }
    }

    /// Waits until some line of the screen has all of these words.
    #[track_caller]
    pub(crate) fn until_line(&mut self, words: &[&str]) {
        self.until(|text| text.lines().any(|line| words.iter().all(|word| line.contains(word))));
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the program to leave, and checks that the terminal is as it was before.
    pub(crate) fn finish(mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        while self.seen.screen().alternate_screen() {
            let printed = self.printed.recv().unwrap();
            self.seen.process(&printed);
        }
        while self.seen.screen().hide_cursor() {
            let printed = self.printed.recv().unwrap();
            self.seen.process(&printed);
        }
        let modes = tcgetattr(&self.terminal).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG));
        status
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // It has left already where this fails.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
