//! A new daemon takes over the sessions of one of another version, and their shims stay what they are.
//!
//! The earlier program is the one that `CANDOR_PREVIOUS` names, which `cargo xtask upgrade` builds from
//! the history; without it, it is this one under another name. Its file is removed before the new
//! daemon starts, as an installer would.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Place, Running, Said, agent, assert_chain, end, kernel, words};

/// Names the earlier program.
const PREVIOUS: &str = "CANDOR_PREVIOUS";

/// A home whose daemon is of the earlier version.
struct Earlier {
    place: Place,
    program: PathBuf,
}

impl Earlier {
    fn new() -> Self {
        let place = Place::new();
        let program = place.path("candor-before");
        let origin = env::var_os(PREVIOUS).unwrap_or_else(|| env!("CARGO_BIN_EXE_candor").into());
        fs::copy(origin, &program).unwrap();
        Self { place, program }
    }

    fn command<W: Into<OsString>>(&self, words: impl IntoIterator<Item = W>) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words.into_iter().map(Into::into));
        self.place.settle(&mut command);
        command
    }

    /// Launches an agent that is ready, waits to be told to go on, and then does this. Returns its id,
    /// and what tells it.
    fn launch(&self, name: &str, settings: &[&str], then: &[&str]) -> (String, PathBuf) {
        let (ready, go) =
            (self.place.fifo(&format!("{name}-ready")), self.place.fifo(&format!("{name}-go")));
        let words = words!["run", "-d", "--grace", "1h,1h", "--"].into_iter();
        let steps = words!["--print", "early", "--ready", &ready, "--await", &go];
        let script = settings.iter().map(Into::into).chain(steps);
        let script = agent(script.chain(then.iter().map(Into::into)).collect::<Vec<OsString>>());
        let said = Said::by(self.command(words.chain(script))).expect(0);
        let id = said.stdout().trim().to_owned();
        fs::read(ready).unwrap();
        let mut events = Running::start(self.command(["events", "-f", "--json", "--session", &id]));
        events.value(|event| event["to"] == "running");
        (id, go)
    }

    /// Ends the daemon, and takes its program away.
    fn leave(self, signal: Signal) -> Place {
        let status = Said::by(self.command(["daemon", "status", "--json"])).expect(0).json();
        let pid = i32::try_from(status["pid"].as_i64().unwrap()).unwrap();
        end(rustix::process::Pid::from_raw(pid).unwrap(), signal);
        fs::remove_file(self.program).unwrap();
        self.place
    }
}

/// Returns how a session ended: status, outcome, exit.
fn end_of(place: &Place, id: &str) -> (Value, Value, Value) {
    let session = place.end_of(id);
    assert_chain(&place.story(id));
    (session["status"].clone(), session["outcome"].clone(), session["exit"].clone())
}

#[test]
fn a_new_daemon_takes_over_the_sessions_of_an_earlier_one() {
    for signal in [Signal::KILL, Signal::TERM] {
        let earlier = Earlier::new();
        let (goes_on, go_on) = earlier.launch("goes-on", &[], &["--print", "late", "--exit", "5"]);
        let (is_stopped, _) =
            earlier.launch("is-stopped", &["--on", "INT=exit:1"], &["--exit", "9"]);
        let (is_killed, _) = earlier.launch("is-killed", &["--ignore", "INT"], &["--exit", "9"]);
        let (was_asked, _) = earlier.launch("was-asked", &["--ignore", "INT"], &["--exit", "9"]);
        let (ends_alone, end_alone) = earlier.launch("ends-alone", &[], &["--exit", "42"]);
        let (dies_alone, die_alone) = earlier.launch("dies-alone", &[], &["--die", "15"]);
        let (loses_shim, lose) = earlier.launch("loses-shim", &[], &["--exit", "3"]);
        Said::by(earlier.command(["interrupt", &was_asked])).expect(0);
        let place = earlier.leave(signal);
        for go in [end_alone, die_alone] {
            fs::write(go, "go\n").unwrap();
        }

        place.run(["daemon", "start"]).expect(0);
        for id in [&goes_on, &is_stopped, &is_killed, &loses_shim] {
            let session = place.settled(id);
            assert_eq!(
                (&session["status"], &session["supervision"]),
                (&"running".into(), &"ok".into()),
                "{session}"
            );
        }
        let completed = |exit: Value| (json!("completed"), json!("interrupted"), exit);
        let failed = |outcome: &str, exit: Value| (json!("failed"), json!(outcome), exit);
        fs::write(go_on, "go\n").unwrap();
        assert_eq!(end_of(&place, &goes_on), failed("exit_code", json!({"code": 5})));
        assert_eq!(place.run(["logs", &goes_on]).expect(0).stdout(), "early\nlate\n");
        place.run(["interrupt", &is_stopped]).expect(0);
        assert_eq!(end_of(&place, &is_stopped), completed(json!({"code": 1})));
        let killed = json!({"signal": "SIGKILL", "core_dumped": false});
        for id in [&is_killed, &was_asked] {
            place.run(["kill", id]).expect(0);
            assert_eq!(end_of(&place, id), completed(killed.clone()));
        }
        assert_eq!(place.session(&was_asked)["intent"]["kind"], "interrupt");
        assert_eq!(end_of(&place, &ends_alone), failed("exit_code", json!({"code": 42})));
        let died = json!({"signal": "SIGTERM", "core_dumped": false});
        assert_eq!(end_of(&place, &dies_alone), failed("signal", died));
        end(kernel::shim_of(&loses_shim), Signal::KILL);
        fs::write(lose, "go\n").unwrap();
        let (status, _, exit) = end_of(&place, &loses_shim);
        // Since Linux 6.15 a daemon that is not the parent knows it, too.
        assert!(status == "lost" || exit == json!({"code": 3}), "{status} {exit}");
        place.run(["rm", &goes_on, &is_stopped, &is_killed, &loses_shim]).expect(0);
    }
}
