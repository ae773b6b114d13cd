//! Commands that the model runs, each in a session of its own.

use std::env;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::ears::Ears;

/// A command that runs, and will be told to have ended by its token.
#[derive(Debug)]
pub(crate) struct Tool {
    pub(crate) token: u64,
    leader: Pid,
}

impl Tool {
    /// Starts a command. It lives on when this process ends, as it does with the real program.
    pub(crate) fn start(command: &str, ears: &mut Ears) -> io::Result<Self> {
        let mut tool = Command::new(env::current_exe()?);
        tool.arg0("fake-agent").args(["--detach", "--shell", command]);
        let tool =
            tool.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let leader = Pid::from_child(&tool);
        let token = ears.begin(move || {
            let output = tool.wait_with_output()?;
            let text = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
            Ok((text, !output.status.success()))
        });
        Ok(Self { token, leader })
    }

    /// Kills the command and what it started. It may have ended, and then there is nothing to do.
    pub(crate) fn kill(&self) {
        // First the leader: as long as it leads no group yet, it has no children either.
        let _ended = kill_process(self.leader, Signal::KILL);
        let _ended = kill_process_group(self.leader, Signal::KILL);
    }
}
