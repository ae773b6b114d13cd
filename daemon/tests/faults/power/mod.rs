//! Recipe R3: the power is cut while a daemon works, and nothing is taken back that was told.
//!
//! The home lies on a file system of its own, in a file. At some moment everything that works there
//! is frozen, and the file is copied: what the kernel has not sent to the disk by then is not in the
//! copy, as after a cut. Then it all goes on, and a daemon is started on the copy, in a mount
//! namespace in which the name of the boot is another: it neither finds nor signals the processes of
//! the daemon that was frozen.
//!
//! What it does not show: a disk that takes writes in another order than it was given them.

mod disk;
mod work;

use std::collections::BTreeMap;
use std::env;

use serde_json::Value;

use crate::suite::{Need, Tier, play};
pub(crate) use disk::freezer;
use disk::{After, Workplace};
use work::{Told, Work};

/// How often the power is cut, where somebody says so.
const CUTS: &str = "CANDOR_FAULTS_POWER_CUTS";

/// Cuts on one disk. A new one keeps what is looked at small.
const CUTS_EACH: usize = 20;

/// Sessions that were told to have ended between two cuts, at least. A few more make it differ where
/// the cut comes.
const ENDS_BETWEEN: usize = 3;

#[test]
fn r3_a_power_cut_takes_back_nothing_that_was_told() {
    play(&[Need::Root, Need::Loop, Need::Freezer], || {
        let cuts = env::var(CUTS).ok().and_then(|cuts| cuts.parse().ok());
        let cuts: usize = cuts.unwrap_or_else(|| Tier::of_this_run().of(5, 60));
        let mut figures = Figures::default();
        while figures.cuts < cuts {
            let place = Workplace::new();
            let work = Work::begin(&place);
            for cut in 0..CUTS_EACH.min(cuts - figures.cuts) {
                work.await_ends(ENDS_BETWEEN + cut % 7);
                figures.add(&cut_once(&place, &work));
            }
            work.end();
        }
        figures.words()
    });
}

/// What was seen, in all cuts together.
#[derive(Default)]
struct Figures {
    cuts: usize,
    /// Ends and launches that had been told.
    ends: usize,
    launches: usize,
    /// How the others had ended for the daemon that came after.
    others: BTreeMap<String, usize>,
}

impl Figures {
    fn add(&mut self, cut: &Self) {
        self.cuts += 1;
        self.ends += cut.ends;
        self.launches += cut.launches;
        for (outcome, count) in &cut.others {
            *self.others.entry(outcome.clone()).or_default() += count;
        }
    }

    fn words(&self) -> String {
        let Self { cuts, ends, launches, others } = self;
        let others: Vec<_> =
            others.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
        format!(
            "{cuts} cuts, {ends} ends and {launches} launches were told and are there; the others: {}",
            others.join(", ")
        )
    }
}

/// Cuts the power, and holds what a daemon finds afterwards against what was told before.
fn cut_once(place: &Workplace, work: &Work) -> Figures {
    // First what was told, and then the cut: more may have been told in between, not less.
    let told = work.told();
    let after = place.cut();
    let mut figures =
        Figures { ends: told.ends.len(), launches: told.launched.len(), ..Figures::default() };
    let sessions: BTreeMap<&str, &Value> =
        after.sessions.iter().map(|session| (session["id"].as_str().unwrap(), session)).collect();
    assert_told(&told, &sessions);
    for (id, session) in &sessions {
        assert_true(session, &told);
        if !told.ends.contains_key(*id) {
            let outcome = session["outcome"].as_str().unwrap().to_owned();
            *figures.others.entry(outcome).or_default() += 1;
        }
    }
    assert_sound(&after);
    figures
}

/// All that was told is there, and nothing of it has changed.
#[track_caller]
fn assert_told(told: &Told, sessions: &BTreeMap<&str, &Value>) {
    for id in &told.launched {
        assert!(sessions.contains_key(id.as_str()), "the launch of {id} was told and is forgotten");
    }
    for (id, end) in &told.ends {
        let found = sessions.get(id.as_str()).copied();
        assert_eq!(found, Some(end), "the end of {id} was told");
    }
}

/// What it says of a session can be the truth.
#[track_caller]
fn assert_true(session: &Value, told: &Told) {
    let code = session["title"].as_str().unwrap();
    match (session["status"].as_str().unwrap(), session["outcome"].as_str().unwrap()) {
        ("completed", "succeeded") | ("failed", "exit_code") => {
            assert_eq!(session["exit"]["code"].to_string(), code, "{session}");
        }
        // Nobody could see the end.
        ("lost", "reboot") => assert!(session["exit"].is_null(), "{session}"),
        // It never ran, and nobody was told that it does.
        ("failed", "spawn") => {
            let id = session["id"].as_str().unwrap();
            assert!(!told.running.contains(id), "it was told to run: {session}");
            let spawn = &session["evidence"]["spawn"];
            assert!(spawn.is_null() && session["exit"].is_null(), "{session}");
        }
        other => panic!("{other:?}: {session}"),
    }
}

/// Neither database nor records are damaged.
#[track_caller]
fn assert_sound(after: &After) {
    let checks = after.doctor["checks"].as_array().unwrap();
    assert!(!checks.is_empty());
    // The disk is small, and that is the test's doing. A recording is made before the session is
    // stored, and synced by nobody: it tells people what happened, and no daemon.
    let counts = |check: &&Value| check["id"] != "space" && check["id"] != "recordings";
    for check in checks.iter().filter(counts) {
        assert_eq!(check["verdict"], "ok", "{check:#}");
    }
}
