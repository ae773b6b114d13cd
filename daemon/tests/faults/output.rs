//! Section 4: output.

use std::fs;
use std::io::Read as _;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::suite::{Tier, fault};
use crate::support::{agent, words};
use crate::tools::{memory_bytes, shim_of};

/// What a shim may need more after a flood than before it, in bytes.
const SHIM_MORE_MAX: u64 = 256 * 1024;

/// What the daemon may, in bytes.
const DAEMON_MORE_MAX: u64 = 16 * 1024 * 1024;

#[test]
fn o1_a_flood_costs_neither_daemon_nor_shim_their_memory() {
    fault(&[], |place| {
        let bytes = Tier::of_this_run().of(64_u64 << 20, 1 << 30);
        let (ready, go, done, end) =
            (place.fifo("ready"), place.fifo("go"), place.fifo("done"), place.fifo("end"));
        let size = bytes.to_string();
        let script = words![
            "--ready", &ready, "--await", &go, "--flood", &size, "--ready", &done, "--await", &end
        ];
        let id = place.launch(agent(script));
        fs::read(ready).unwrap();
        let (daemon, shim) = (place.daemon(), shim_of(place, &id));
        let before = [daemon, shim].map(memory_bytes);
        fs::write(go, "go\n").unwrap();
        fs::read(done).unwrap();
        let after = [daemon, shim].map(memory_bytes);
        for (who, at, most) in [("daemon", 0, DAEMON_MORE_MAX), ("shim", 1, SHIM_MORE_MAX)] {
            let more = after[at].saturating_sub(before[at]);
            assert!(more <= most, "the {who} has taken {more} bytes");
        }
        fs::write(end, "go\n").unwrap();
        place.run(["wait", &id]).expect(0);
        let stored = place.home().join("sessions").join(&id).join("stdout");
        assert_eq!(fs::metadata(&stored).unwrap().len(), bytes);
        place.tell(format!("{} MiB, shim of {} KiB", bytes >> 20, after[1] >> 10));
        // So that nobody has to read all of it once more.
        fs::remove_file(stored).unwrap();
    });
}

#[test]
fn o2_a_single_long_line_comes_whole() {
    fault(&[], |place| {
        let bytes = Tier::of_this_run().of(8_u64 << 20, 100 << 20);
        let size = bytes.to_string();
        let said = place.run(words!["run", "--"].into_iter().chain(agent(["--flood", &size])));
        let output = said.expect(0).output;
        assert_eq!(output.len() as u64, bytes);
        assert!(output.iter().all(|&byte| byte == b'x'));
        place.tell(format!("{} MiB", bytes >> 20));
    });
}

#[test]
fn o6_text_on_standard_error_is_no_failure() {
    fault(&[], |place| {
        let script = agent(["--print-error", "Error: this is fine", "--exit", "0"]);
        let said = place.run(words!["run", "--"].into_iter().chain(script)).expect(0);
        assert_eq!(said.stderr(), "Error: this is fine\n");
        assert_eq!(place.sessions()[0]["outcome"], "succeeded");
    });
}

#[test]
fn o8_a_daemon_that_stands_still_holds_no_program_up() {
    fault(&[], |place| {
        let bytes = (50_u64 << 20).to_string();
        let (ready, go, held) = (place.fifo("ready"), place.fifo("go"), place.fifo("held"));
        let script = words![
            "--ready", &ready, "--await", &go, "--hold", &held, "--flood", &bytes, "--exit", "3"
        ];
        let id = place.launch(agent(script));
        fs::read(ready).unwrap();
        let daemon = place.daemon();
        let still = Still::new(daemon);
        fs::write(go, "go\n").unwrap();
        // It holds its end open until it ends, and it does.
        fs::File::open(held).unwrap().read_to_end(&mut Vec::new()).unwrap();
        drop(still);
        place.run(["wait", &id]).expect(3);
        assert_eq!(place.session(&id)["exit"], json!({"code": 3}));
        let stored = place.home().join("sessions").join(&id).join("stdout");
        assert_eq!(fs::metadata(stored).unwrap().len().to_string(), bytes);
    });
}

/// A process that stands still, until this is dropped.
pub(crate) struct Still(Pid);

impl Still {
    pub(crate) fn new(pid: Pid) -> Self {
        kill_process(pid, Signal::STOP).unwrap();
        Self(pid)
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        let _gone = kill_process(self.0, Signal::CONT);
    }
}

#[test]
fn o11_an_output_that_is_cut_by_hand_costs_the_output_and_not_the_truth() {
    fault(&[], |place| {
        let (ready, go) = (place.fifo("ready"), place.fifo("go"));
        let script = words![
            "--lines", "1000", "--ready", &ready, "--await", &go, "--print", "after", "--die",
            "TERM"
        ];
        let mut shell = words!["sh", "-c", "exec \"$@\"", "sh"].to_vec();
        shell.extend(agent(script));
        let id = place.launch(shell);
        fs::read(ready).unwrap();
        let stored = place.home().join("sessions").join(&id).join("stdout");
        fs::File::options().write(true).open(&stored).unwrap().set_len(0).unwrap();
        fs::write(go, "go\n").unwrap();
        place.run(["wait", &id]).expect(143);
        assert_eq!(place.session(&id)["exit"]["signal"], "SIGTERM");
        // What was cut is gone, and what came then is there.
        assert_eq!(place.run(["logs", &id]).expect(0).stdout(), "after\n");
        // Here the output is not what was written, and that is the test's own doing.
        fs::remove_file(stored).unwrap();
    });
}
