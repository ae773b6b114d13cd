//! `candor completions`: for three shells, without a daemon.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::Place;

#[test]
fn each_shell_gets_completions_for_every_verb() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        let said = place.run(["completions", shell]).expect(0);
        for verb in [
            "run",
            "ls",
            "show",
            "logs",
            "send",
            "stdin",
            "interrupt",
            "kill",
            "wait",
            "events",
            "daemon",
            "completions",
            "success-codes",
        ] {
            assert!(said.stdout().contains(verb), "{verb} is not in the completions of {shell}");
        }
        check(shell, &said.output);
    }
    place.run(["completions", "tcsh"]).expect(2).because(&["tcsh", "bash", "zsh", "fish"]);
    assert!(!place.home().exists());
}

/// Lets the shell itself read them, if it is there.
fn check(shell: &str, script: &[u8]) {
    let mut command = Command::new(shell);
    command.arg("-n").stdin(Stdio::piped());
    let Ok(mut child) = command.spawn() else { return };
    child.stdin.take().unwrap().write_all(script).unwrap();
    assert!(child.wait().unwrap().success(), "{shell} does not understand its completions");
}
