//! `race-sim compare`: the order of steps of the daemon that the idea of this one comes from, and
//! ours, through the same schedules.

use candor_core::session::Session;
use candor_core::status::Status;
use candor_core::stop::StopKind;
use candor_core::verdict::{Completion, Verdict};
use candor_harness::ghost::{Record, Request};
use candor_harness::mutant::{Mutant, Mutants};
use candor_harness::random::{Budget, Schedule, run_to_end};
use candor_harness::timeline::Choice;
use candor_harness::timeline::choice::{SignalEffect, SpawnOutcome, WriteOutcome};

use crate::codes::SAFETY;
use crate::output::outln;

/// What the verb does, for the help.
pub(crate) const HELP: &str = "  race-sim compare [--runs N] [--seed N]
      Runs the ancestor's order of steps (signal, then write, then publish, no compare-and-set, no
      event for failed) and ours through the same schedules of one session that is asked to end,
      without crashes and faults, and prints how often each ends wrong.
";

/// Schedules, unless it is told otherwise.
const RUNS: u64 = 10_000;

/// Schedules, at most: more take minutes.
const RUNS_MAX: u64 = 1_000_000;

/// One session, one client that follows it, and up to two stops: nothing else goes wrong.
const BUDGET: Budget = Budget {
    choices: 40,
    sessions: 1,
    crashes: 0,
    store_faults: 0,
    stops: 2,
    clients: 1,
    words: 0,
    features: 0,
};

/// How often it ended how.
#[derive(Default)]
struct Tally {
    runs: u64,
    wrong: u64,
    not_interrupted: u64,
    unfinished: u64,
    shown_otherwise: u64,
    broken: u64,
}

/// How one schedule ended.
struct End<'a> {
    /// The row as it was stored last.
    row: &'a Session,
    /// What the client showed last.
    shown: Option<Status>,
    /// Whether the process has ended.
    is_gone: bool,
}

/// Reads the flags, runs, and prints the table. Returns the exit code, or what is wrong with the
/// flags.
pub(crate) fn run(words: &[&str]) -> Result<u8, String> {
    let (runs, seed) = parse(words)?;
    let ancestor = [Mutant::M01, Mutant::M02, Mutant::M03, Mutant::M05]
        .into_iter()
        .fold(Mutants::NONE, Mutants::and);
    let theirs = tally(runs, seed, ancestor);
    let ours = tally(runs, seed, Mutants::NONE);
    outln!("{runs} schedules from seed {seed}, in each a running session is asked to end:");
    outln!("{:<58} {:>15} {:>15}", "", "the ancestor", "candor");
    for (what, count) in [
        ("it ends wrong", Tally::wrong as fn(&Tally) -> u64),
        ("  and its row says failed or succeeded", |tally| tally.not_interrupted),
        ("  and its row never says that it has ended", |tally| tally.unfinished),
        ("  and a page that follows it shows something else", |tally| tally.shown_otherwise),
        ("some invariant breaks on the way", |tally| tally.broken),
    ] {
        let show = |count: u64| format!("{count} ({:.1} %)", count as f64 * 100.0 / runs as f64);
        outln!("{what:<58} {:>15} {:>15}", show(count(&theirs)), show(count(&ours)));
    }
    Ok(if ours.wrong + ours.broken == 0 { 0 } else { SAFETY })
}

fn parse(words: &[&str]) -> Result<(u64, u64), String> {
    let (mut runs, mut seed) = (RUNS, 0);
    let mut words = words.iter();
    while let Some(flag) = words.next() {
        let place = match *flag {
            "--runs" => &mut runs,
            "--seed" => &mut seed,
            other => return Err(format!("`compare` has no flag `{other}`")),
        };
        let number = words.next().and_then(|word| word.parse().ok());
        *place = number.ok_or_else(|| format!("`{flag}` takes a number"))?;
    }
    if runs == 0 || runs > RUNS_MAX {
        return Err(format!("`--runs` takes a number from 1 to {RUNS_MAX}"));
    }
    Ok((runs, seed))
}

/// Runs schedules until so many of them have asked a running session to end.
fn tally(runs: u64, first_seed: u64, mutants: Mutants) -> Tally {
    let mut tally = Tally::default();
    let mut seed = first_seed;
    while tally.runs < runs {
        let schedule = run_to_end(seed, BUDGET, mutants, is_plain);
        seed = seed.wrapping_add(1);
        if let Some(end) = end_of_one_that_was_asked(&schedule) {
            tally.count(&end, !schedule.violations.is_empty());
        }
    }
    tally
}

/// Returns how the session ended, if it was asked to while its process lived.
fn end_of_one_that_was_asked(schedule: &Schedule) -> Option<End<'_>> {
    let (mut row, mut shown) = (None, None);
    let (mut is_alive, mut is_asked, mut is_gone) = (false, false, false);
    for entry in &schedule.log {
        match &entry.record {
            Record::Durable { change, .. } => row = Some(&change.session),
            Record::Forked { .. } => is_alive = true,
            Record::Died { .. } => (is_alive, is_gone) = (false, true),
            Record::Asked { request: Request::Stop(kind), .. } => {
                is_asked |= is_alive && matches!(kind, StopKind::Interrupt | StopKind::Kill);
            }
            Record::Shown { status, .. } => shown = Some(*status),
            _ => {}
        }
    }
    // Where there is a time limit, it may have been first, which is another story.
    let row = row.filter(|row| is_asked && row.machine.policy().timeout_ms.is_none())?;
    Some(End { row, shown, is_gone })
}

/// Says whether nothing is wrong with the world but the order of things.
const fn is_plain(choice: &Choice) -> bool {
    match choice {
        Choice::Launch { .. }
        | Choice::Stop { .. }
        | Choice::Fork { .. }
        | Choice::Spawn { outcome: SpawnOutcome::Up(_), .. }
        | Choice::Write { outcome: WriteOutcome::Ok, .. }
        | Choice::Read { ok: true, .. }
        | Choice::Exit { .. }
        | Choice::Reap { lost: None, .. }
        | Choice::Due { .. }
        | Choice::Connect { .. } => true,
        Choice::Signal { effect, .. } => {
            !matches!(effect, SignalEffect::Denied | SignalEffect::Unknown)
        }
        _ => false,
    }
}

impl Tally {
    fn count(&mut self, end: &End<'_>, is_broken: bool) {
        let verdict = end.row.verdict();
        let is_interrupted =
            matches!(verdict, Some(Verdict::Completed(Completion::Interrupted(_))));
        let not_interrupted = verdict.is_some() && !is_interrupted;
        let unfinished = verdict.is_none() && end.is_gone;
        let shown_otherwise = end.shown.is_some_and(|shown| shown != end.row.status());
        self.runs += 1;
        self.wrong += u64::from(not_interrupted || unfinished || shown_otherwise);
        self.not_interrupted += u64::from(not_interrupted);
        self.unfinished += u64::from(unfinished);
        self.shown_otherwise += u64::from(shown_otherwise);
        self.broken += u64::from(is_broken);
    }

    const fn wrong(&self) -> u64 {
        self.wrong
    }
}
