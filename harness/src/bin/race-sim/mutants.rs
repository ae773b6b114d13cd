//! `race-sim mutants`: the mistakes of the world against the timelines of the corpus, both ways. The mistakes of
//! the model lie with the model.

use candor_harness::kills::kills;
use candor_harness::timeline::load;

use crate::codes::{SURVIVOR, USAGE};
use crate::complain;
use crate::replay::CORPUS;

/// Lets every timeline look for every mistake, prints who finds what, and returns the exit code.
pub(crate) fn run() -> u8 {
    let corpus = match load(&[CORPUS.into()]) {
        Ok(corpus) => corpus.into_iter().map(|(_, timeline)| timeline).collect::<Vec<_>>(),
        Err(error) => return complain(&error),
    };
    let kills = match kills(&corpus) {
        Ok(kills) => kills,
        Err(error) => {
            eprintln!("race-sim: {error}");
            return USAGE;
        }
    };
    print!("{kills}");
    let (survivors, idle) = (kills.survivors(), kills.idle_invariants());
    let (all, found) = (kills.kills.len(), kills.kills.len() - survivors.len());
    println!("{found}/{all} mistakes of the world found by the corpus");
    println!("invariants of the world that find none of them: {}", list(&idle));
    if survivors.is_empty() && idle.is_empty() { 0 } else { SURVIVOR }
}

fn list(ids: &[&str]) -> String {
    if ids.is_empty() { "none".to_owned() } else { ids.join(" ") }
}
