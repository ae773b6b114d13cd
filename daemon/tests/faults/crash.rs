//! Section 6: crashes, restarts, handoff.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::invariants::assert_emptied;
use crate::output::Still;
use crate::suite::{Fault, Tier, fault};
use crate::support::{agent, end, wire, words};
use crate::tools::{Gate, Launched, agent_of, launch, shim_of};

/// How long a new daemon may take until it has found all that runs. The aim is a second; machines
/// of tests are small and have more to do.
const FOUND_MAX: Duration = Duration::from_secs(5);

/// How long it may take until it answers, with shims that hang.
const SERVES_MAX: Duration = Duration::from_secs(2);

/// Asks until all of these are supervised like this, and returns how long it took since `start`.
#[track_caller]
fn await_supervision(
    place: &Fault,
    sessions: &[Launched],
    wanted: &str,
    start: Instant,
) -> Duration {
    for session in sessions {
        loop {
            let now = session.now(place);
            assert!(now["outcome"].is_null(), "it has not ended: {now}");
            if now["supervision"] == wanted && now["status"] == "running" {
                break;
            }
            assert!(start.elapsed() < FOUND_MAX, "not {wanted}: {now}");
        }
    }
    start.elapsed()
}

fn launch_hanging(place: &Fault, count: usize) -> Vec<Launched> {
    (0..count).map(|_| launch(place, place.folder(), &agent(["--hang"]))).collect()
}

#[test]
fn c1_a_daemon_that_is_killed_at_random_leaves_every_session_as_it_is() {
    fault(&[], |place| {
        place.run(["daemon", "start"]).expect(0);
        let tier = Tier::of_this_run();
        let live = launch_hanging(place, tier.of(10, 50));
        let agents: Vec<Pid> = live.iter().map(|session| agent_of(place, &session.id)).collect();
        let mut slowest = Duration::ZERO;
        let rounds = tier.of(5, 100);
        for round in 0..rounds {
            let gate = Gate::new(place);
            let code = (round % 200).to_string();
            let held = gate.holds(agent(["--exit", &code]));
            let ending = launch(place, place.folder(), &held);
            gate.await_held(1);
            // Requests in flight when it dies.
            for session in live.iter().take(round % 5) {
                wire::ask(&place.home(), "GET", &format!("/v1/sessions/{}", session.id), b"");
            }
            place.kill_daemon();
            gate.open();
            let start = Instant::now();
            place.run(["daemon", "start"]).expect(0);
            slowest = slowest.max(await_supervision(place, &live, "ok", start));
            place.run(["wait", &ending.id]);
            assert_eq!(ending.now(place)["exit"], json!({"code": round % 200}), "round {round}");
        }
        for (session, agent) in live.iter().zip(&agents) {
            let now = session.now(place);
            assert_eq!((&now["status"], &now["revision"]), (&json!("running"), &json!(2)));
            assert_eq!(agent_of(place, &session.id), *agent, "it is another process");
        }
        let ms = slowest.as_millis();
        place.tell(format!(
            "{rounds} kills, {} sessions found again, in {ms} ms at most",
            live.len()
        ));
    });
}

#[test]
fn c7_the_death_of_a_shim_is_not_the_end_of_a_program_that_writes() {
    fault(&[], |place| {
        let (ready, go) = (place.fifo("ready"), place.fifo("go"));
        let script = words![
            "--lines", "1000", "--ready", &ready, "--await", &go, "--print", "after", "--exit", "3"
        ];
        let id = place.launch(agent(script));
        fs::read(ready).unwrap();
        end(shim_of(place, &id), Signal::KILL);
        fs::write(go, "go\n").unwrap();
        // It has fallen to the daemon, which sees its exit.
        place.run(["wait", &id]).expect(3);
        assert_eq!(place.session(&id)["exit"], json!({"code": 3}));
        let said = place.run(["logs", &id]).expect(0);
        assert!(said.stdout().ends_with("line 1000\nafter\n"), "a byte is lost");
    });
}

#[test]
fn c8_an_end_that_neither_shim_nor_daemon_lived_to_see_is_true_or_lost_and_never_guessed() {
    fault(&[], |place| {
        place.causes("shim_and_daemon_killed");
        let go = place.fifo("go");
        let id = place.launch(agent(words!["--print", "x", "--await", &go, "--exit", "7"]));
        place.await_running(&id);
        let shim = shim_of(place, &id);
        place.kill_daemon();
        end(shim, Signal::KILL);
        fs::write(go, "go\n").unwrap();
        assert_emptied(place.folder());
        let said = place.run(["wait", &id]);
        let session = place.session(&id);
        match said.status.code() {
            // Whoever it fell to has not reaped it, and so the kernel still shows how it ended.
            Some(7) => {
                assert_eq!(session["exit"], json!({"code": 7}));
                assert_eq!(session["evidence"]["witness"], "handle");
            }
            _ => {
                let said = said.expect(120);
                assert_eq!(said.stdout(), format!("{id} lost shim_and_daemon_killed\n"));
                assert_eq!(session["exit"], json!(null));
            }
        }
        assert_eq!(place.run(["logs", &id]).expect(0).stdout(), "x\n");
    });
}

#[test]
fn c9_a_program_that_is_killed_has_died_of_that_signal() {
    fault(&[], |place| {
        let id = place.launch(agent(["--hang"]));
        place.await_running(&id);
        end(agent_of(place, &id), Signal::KILL);
        place.run(["wait", &id]).expect(137);
        let session = place.session(&id);
        assert_eq!((&session["status"], &session["outcome"]), (&json!("failed"), &json!("signal")));
        assert_eq!(session["exit"], json!({"signal": "SIGKILL", "core_dumped": false}));
    });
}

#[test]
fn c10_shims_that_hang_hold_up_nobody_else() {
    fault(&[], |place| {
        place.run(["daemon", "start"]).expect(0);
        let tier = Tier::of_this_run();
        let (hung, well) =
            (launch_hanging(place, tier.of(5, 20)), launch_hanging(place, tier.of(15, 180)));
        place.kill_daemon();
        let still: Vec<Still> =
            hung.iter().map(|session| Still::new(shim_of(place, &session.id))).collect();
        let start = Instant::now();
        place.run(["daemon", "start"]).expect(0);
        let serves = start.elapsed();
        assert!(serves < SERVES_MAX, "it answers after {serves:?}");
        let found = await_supervision(place, &well, "ok", start);
        await_supervision(place, &hung, "unreachable", start);
        drop(still);
        await_supervision(place, &hung, "ok", Instant::now());
        place.tell(format!(
            "{} of {} shims hang: serves after {} ms, the others found after {} ms",
            hung.len(),
            hung.len() + well.len(),
            serves.as_millis(),
            found.as_millis()
        ));
    });
}

/// What may be done to a record while nobody looks.
const DAMAGES: [fn(&fs::File); 4] = [
    |file| file.set_len(0).unwrap(),
    |file| file.set_len(file.metadata().unwrap().len() - 3).unwrap(),
    |file| {
        let mut byte = [0];
        file.read_exact_at(&mut byte, 20).unwrap();
        file.write_all_at(&[byte[0] ^ 1], 20).unwrap();
    },
    // Longer than the memory of many a machine, and none of it is there.
    |file| file.set_len(1 << 34).unwrap(),
];

#[test]
fn c12_a_damaged_record_of_an_exit_makes_no_guess() {
    fault(&[], |place| {
        place.causes("bad_record");
        for damage in DAMAGES {
            let go = place.path("go");
            let _old = fs::remove_file(&go);
            let go = place.fifo("go");
            let id = place.launch(agent(words!["--await", &go, "--exit", "0"]));
            place.await_running(&id);
            place.kill_daemon();
            fs::write(&go, "go\n").unwrap();
            assert_emptied(place.folder());
            let record = place.home().join("sessions").join(format!("{id}.shim/exit"));
            damage(&fs::File::options().read(true).write(true).open(record).unwrap());
            let said = place.run(["wait", &id]).expect(120);
            assert_eq!(said.stdout(), format!("{id} lost bad_record\n"));
        }
    });
}

/// Signals that end nobody who does not ask for it, and one that nobody can do anything about.
const SIGNALS: [Signal; 10] = [
    Signal::HUP,
    Signal::QUIT,
    Signal::USR1,
    Signal::USR2,
    Signal::PIPE,
    Signal::ALARM,
    Signal::TSTP,
    Signal::TTIN,
    Signal::TTOU,
    Signal::URG,
];

/// Returns the daemon, which is started if it has died of the last signal, and once more if it was
/// only about to.
fn daemon_of(place: &Fault) -> Pid {
    loop {
        let start = place.run(["daemon", "start"]);
        let status = place.run(["daemon", "status", "--json"]);
        if start.status.success() && status.status.success() {
            let number = status.json()["pid"].as_i64().unwrap();
            return Pid::from_raw(i32::try_from(number).unwrap()).unwrap();
        }
    }
}

#[test]
fn c21_no_signal_to_the_daemon_or_a_shim_changes_what_becomes_of_a_session() {
    fault(&[], |place| {
        let go = place.fifo("go");
        let id = place.launch(agent(words!["--await", &go, "--exit", "9"]));
        place.await_running(&id);
        let (daemon, shim) = (place.daemon(), shim_of(place, &id));
        for signal in SIGNALS {
            kill_process(shim, signal).unwrap();
            // One that kills the daemon is a crash like any other, and the next command starts it.
            for signal in [signal, Signal::CONT] {
                let _gone = kill_process(daemon_of(place), signal);
            }
        }
        let survived = daemon_of(place) == daemon;
        fs::write(go, "go\n").unwrap();
        place.run(["wait", &id]).expect(9);
        assert_eq!(place.session(&id)["exit"], json!({"code": 9}));
        place.tell(if survived { "the daemon survives all" } else { "some end the daemon" });
    });
}
