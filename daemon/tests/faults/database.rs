//! Section 5: the database, as far as it takes a whole daemon to see what comes of it.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::suite::{Fault, fault};
use crate::support::agent;

/// Does something to a file.
type Damage = fn(&Path);

/// What may be done to the log of a daemon that was killed.
const DAMAGES: [(&str, Damage); 3] = [
    ("cut", |log| {
        let file = fs::File::options().write(true).open(log).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    }),
    ("removed", |log| fs::remove_file(log).unwrap()),
    ("flipped", |log| {
        let file = fs::File::options().read(true).write(true).open(log).unwrap();
        let (mut byte, at) = ([0], file.metadata().unwrap().len() / 2);
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
    }),
];

/// The newest changes are gone with it, and SQLite does not tell. What is still known is settled
/// truly, since how a process ended is in a record of its own, and what is forgotten is found by the
/// doctor, by its files.
#[test]
fn d7_a_damaged_log_makes_no_untrue_status_and_the_doctor_finds_what_is_forgotten() {
    fault(&[], |place| {
        for (damage, damaged) in DAMAGES {
            let ids: Vec<String> = (0..5).map(|code| ended(place, code)).collect();
            place.kill_daemon();
            damaged(&place.home().join("candor.db-wal"));
            place.run(["daemon", "start"]).expect(0);
            let known = place.sessions();
            for session in &known {
                place.run(["wait", session["id"].as_str().unwrap()]);
            }
            let is_unknown = |id: &&String| !known.iter().any(|session| session["id"] == **id);
            let forgotten: Vec<&String> = ids.iter().filter(is_unknown).collect();
            place.run(["daemon", "stop"]).expect(0);
            let report = place.run(["doctor", "--json"]);
            for id in &forgotten {
                assert!(report.stdout().contains(id.as_str()), "{id} is forgotten by all");
            }
            place.tell(format!("{damage}: {} of {} forgotten", forgotten.len(), ids.len()));
        }
    });
}

/// Runs an agent to its end with this exit code, and returns its session.
fn ended(place: &Fault, code: u8) -> String {
    let id = place.launch(agent(["--exit", &code.to_string()]));
    place.run(["wait", &id]).expect(code.into());
    id
}

#[test]
fn d8_a_shared_memory_file_that_is_removed_costs_nothing() {
    fault(&[], |place| {
        let before = ended(place, 3);
        fs::remove_file(place.home().join("candor.db-shm")).unwrap();
        let after = ended(place, 4);
        place.kill_daemon();
        for (id, code) in [(before, 3), (after, 4)] {
            assert_eq!(place.session(&id)["exit"]["code"], code);
        }
    });
}

#[test]
fn d20_a_database_that_is_renamed_under_the_daemon_is_missed_and_nothing_is_lost() {
    fault(&[], |place| {
        let before = ended(place, 3);
        let (database, elsewhere) = (place.home().join("candor.db"), place.home().join("other.db"));
        fs::rename(&database, &elsewhere).unwrap();
        let after = ended(place, 4);
        place.kill_daemon();
        // Nothing is begun anew beside the log of another one.
        place.run(["daemon", "start"]).expect(125).because(&["candor.db", "gone", "log"]);
        fs::rename(&elsewhere, &database).unwrap();
        for (id, code) in [(before, 3), (after, 4)] {
            assert_eq!(place.session(&id)["exit"]["code"], code);
        }
    });
}
