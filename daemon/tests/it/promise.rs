//! The promise: a session that somebody interrupts is never shown as failed, whatever it does.

use std::fs;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::support::{Place, agent, assert_chain, words};

/// Times that each behaviour is seen.
const ROUNDS: usize = 25;

/// Sessions at a time.
const LANES: usize = 8;

/// What an agent may do when it is interrupted, and the exit that is the truth of it.
struct Behaviour {
    options: &'static [&'static str],
    script: &'static [&'static str],
    exit: &'static str,
}

const BEHAVIOURS: [Behaviour; 10] = [
    dies_of(&["--on", "INT=die"], "SIGINT"),
    leaves(&["--on", "INT=exit:0"], "0"),
    leaves(&["--on", "INT=exit:1"], "1"),
    leaves(&["--on", "INT=exit:130"], "130"),
    leaves(&["--on", "INT=exit:143"], "143"),
    leaves(&["--on", "INT=error:1"], "1"),
    leaves(&["--on", "INT=success:0"], "0"),
    leaves(&["--on", "INT=delay:100:3"], "3"),
    Behaviour { options: &["--grace", "10ms,1h"], script: &["--ignore", "INT"], exit: "SIGTERM" },
    Behaviour {
        options: &["--grace", "10ms,10ms"],
        script: &["--ignore", "INT", "--ignore", "TERM"],
        exit: "SIGKILL",
    },
];

const fn dies_of(script: &'static [&'static str], exit: &'static str) -> Behaviour {
    Behaviour { options: &["--grace", "1h,1h"], script, exit }
}

const fn leaves(script: &'static [&'static str], exit: &'static str) -> Behaviour {
    dies_of(script, exit)
}

impl Behaviour {
    /// Launches such an agent, interrupts it when it is ready, and looks how it ended.
    fn show(&self, place: &Place, ready: &str) {
        let script = self.script.iter().copied().chain(["--ready", ready, "--hang"]);
        let id = place.launch_with(self.options, agent(script));
        fs::read(ready).unwrap();
        place.run(["interrupt", &id]).expect(0);
        let said = place.run(["wait", &id]).expect(130);
        assert_eq!(said.stdout(), format!("{id} completed interrupted\n"));
        let exit = match self.exit.parse::<u8>() {
            Ok(code) => json!({"code": code}),
            Err(_) => json!({"signal": self.exit, "core_dumped": false}),
        };
        assert_eq!(place.session(&id)["exit"], exit, "{:?}", self.script);
    }
}

#[test]
fn an_interrupted_session_is_never_shown_as_failed() {
    let place = Place::new();
    let mut seen_live = place.follow_events();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for lane in 0..LANES {
            let ready = place.fifo(&format!("ready-{lane}"));
            let (place, next) = (&place, &next);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= ROUNDS * BEHAVIOURS.len() {
                        return;
                    }
                    BEHAVIOURS[number % BEHAVIOURS.len()].show(place, ready.to_str().unwrap());
                }
            });
        }
    });
    let sessions = place.sessions();
    assert_eq!(sessions.len(), ROUNDS * BEHAVIOURS.len());
    for session in &sessions {
        assert_eq!(session["status"], "completed", "{session}");
        assert_eq!(session["outcome"], "interrupted", "{session}");
        assert_eq!(session["intent"]["kind"], "interrupt", "{session}");
    }
    // Neither in what is stored, nor in what anybody was told meanwhile.
    let stored = place.events([""; 0]);
    let told: Vec<Value> = (0..stored.len()).map(|_| seen_live.value(|_| true)).collect();
    assert_eq!(told, stored);
    let word = "failed";
    assert!(stored.iter().all(|event| !event.to_string().contains(word)));
    for session in sessions.iter().step_by(7) {
        assert_chain(&place.story(session["id"].as_str().unwrap()));
    }
}

#[test]
fn an_interrupt_that_races_the_end_leaves_one_truth() {
    let place = Place::new();
    for round in 0..25 {
        let go = place.fifo(&format!("go-{round}"));
        let id = place.launch(agent(words!["--await", &go, "--exit", "3"]));
        // Open both ways, it can be written to whether the agent still lives or not.
        let mut go = fs::File::options().read(true).write(true).open(go).unwrap();
        // Both at once: who is first decides, and either is true.
        let interrupt = place.start(["interrupt", &id]);
        go.write_all(b"go\n").unwrap();
        let said = interrupt.finish().expect(0);
        let session = place.end_of(&id);
        assert_chain(&place.story(&id));
        let asked_first = session["intent"].is_object();
        assert_eq!(asked_first, !said.stdout().contains("already ended"), "{said:?} {session}");
        let expected =
            if asked_first { ("completed", "interrupted") } else { ("failed", "exit_code") };
        assert_eq!(
            (session["status"].as_str(), session["outcome"].as_str()),
            (Some(expected.0), Some(expected.1))
        );
    }
}
