//! What a test leaves for `cargo xtask attacks` to tell.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::thread;

use crate::support;

/// The folder for a file a test that says what became of it, where somebody wants to know.
const REPORT: &str = "CANDOR_ATTACKS_REPORT";

/// Says that a test passed, when it ends without a panic.
pub(crate) struct Attack(&'static str);

impl Attack {
    /// Begins the test of this name.
    pub(crate) const fn named(name: &'static str) -> Self {
        Self(name)
    }

    /// Says that this cannot be tried on this machine, and why.
    pub(crate) fn skip(self, reason: &str) {
        support::skip(reason);
        self.tell(&format!("skipped: {reason}"));
        std::mem::forget(self);
    }

    fn tell(&self, words: &str) {
        let Some(folder) = std::env::var_os(REPORT) else {
            return;
        };
        let folder = PathBuf::from(folder);
        fs::create_dir_all(&folder).unwrap();
        let mut options = OpenOptions::new();
        let mut file = options.create(true).append(true).open(folder.join(self.0)).unwrap();
        writeln!(file, "{words}").unwrap();
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.tell("passed:");
        }
    }
}
