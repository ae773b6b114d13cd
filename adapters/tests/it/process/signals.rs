//! Signal dispositions and masks, which a session does not inherit.

use std::process::Stdio;

use candor_adapters::process::Stream;
use candor_harness::contract::repository::chain::session_id;

use super::Stage;
use super::helper::{self, PLAYED, Role};

/// A program without a runtime that sets anything shows what the exec left.
#[tokio::test]
async fn signals_are_default_and_unblocked_whatever_the_parent_did() {
    let stage = Stage::new();
    let everything: Vec<_> = (1..=64).filter(|number| ![9, 19, 32, 33].contains(number)).collect();
    let list = everything.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let (ignore, block) = (format!("--ignore-signal={list}"), format!("--block-signal={list}"));
    let wrapper = ["env", &ignore, &block];
    let mut command = stage.helper(Role::Launch, &wrapper, "-");
    helper::program(&mut command, ["/bin/cat", "/proc/self/status"]);
    let status = command.stdout(Stdio::null()).status().unwrap();
    // SIGCHLD was ignored too: without our care the exit would never have been told.
    assert_eq!(status.code(), Some(PLAYED));
    let printed = stage.printed(session_id(helper::SESSION), Stream::Stdout);
    let printed = String::from_utf8(printed).unwrap();
    for set in ["SigBlk:", "SigIgn:", "SigCgt:", "SigPnd:", "ShdPnd:"] {
        let line = printed.lines().find_map(|line| line.strip_prefix(set)).unwrap();
        assert_eq!(line.trim(), "0000000000000000", "{set}");
    }
}
