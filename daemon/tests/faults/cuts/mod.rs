//! Recipe R1: every system call of a shim cut, from its start to its end.
//!
//! A first run under `strace` tells the calls. Then each is cut once: the shim is killed on the
//! entry to it, or it fails with an error that it could fail with, or a write says that it wrote
//! more than it did. Nothing is listed by hand but which call can fail with what.
//!
//! Whatever is cut, the session's program runs once at the most, and what the next daemon finds is
//! what the program did, or that nobody knows, with the reason that it was. It finds the same when
//! it asks again.

mod calls;
mod run;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use rustix::process::{getpid, set_child_subreaper};

use calls::{Blow, Call, Cut};
use run::{Found, Run};

use crate::suite::{Need, Tier, play};

/// Of how many cuts the quick selection makes one. Prime, so that it does not meet the same place of
/// every repetition.
const QUICK_EACH: usize = 3;

/// Runs at the same time. They wait more than they compute.
const AT_ONCE: NonZeroUsize = NonZeroUsize::new(4).unwrap();

/// How often a cut may come too late, in percent: what a shim does differs with what else goes on on
/// the machine, such as how many cgroups others have left.
const MISSED_MAX_PERCENT: usize = 50;

#[test]
fn r1_a_shim_that_is_killed_at_any_system_call_leaves_the_truth_or_its_loss() {
    play(&[Need::Strace], || cut_all(Blow::kills));
}

/// As above, and what the shims leave falls to the daemon, which then knows of it as a parent.
#[test]
fn r1_a_daemon_that_adopts_what_killed_shims_leave_tells_the_truth() {
    play(&[Need::Strace], || {
        let _adopts = Adopts::new();
        cut_all(Blow::kills)
    });
}

#[test]
fn r1_a_system_call_that_fails_with_eio_costs_no_truth() {
    play(&[Need::Strace], || cut_all(|calls| Blow::fails(calls, "EIO")));
}

#[test]
fn r1_a_system_call_that_fails_with_enospc_costs_no_truth() {
    play(&[Need::Strace], || cut_all(|calls| Blow::fails(calls, "ENOSPC")));
}

#[test]
fn r1_a_system_call_that_fails_with_emfile_costs_no_truth() {
    play(&[Need::Strace], || cut_all(|calls| Blow::fails(calls, "EMFILE")));
}

#[test]
fn l11_a_shim_that_gets_no_process_refuses() {
    play(&[Need::Strace], || cut_all(|calls| Blow::no_fork(calls, "EAGAIN")));
}

#[test]
fn l12_a_shim_that_has_no_memory_to_fork_refuses() {
    play(&[Need::Strace], || cut_all(|calls| Blow::no_fork(calls, "ENOMEM")));
}

#[test]
fn r1_a_write_that_lies_is_found_out() {
    play(&[Need::Strace], || cut_all(Blow::lies));
}

/// While it is there, orphans fall to this process. With `cargo test` it has other tests as well,
/// which do not want them.
struct Adopts;

impl Adopts {
    fn new() -> Self {
        set_child_subreaper(Some(getpid())).unwrap();
        Self
    }
}

impl Drop for Adopts {
    fn drop(&mut self) {
        set_child_subreaper(None).unwrap();
    }
}

/// Makes all cuts of one kind, or the quick selection, and judges each. Returns the figures.
fn cut_all(kind: fn(&[Call]) -> Vec<Cut>) -> String {
    let calls = run::trace();
    let cuts = kind(&calls);
    let each = Tier::of_this_run().of(QUICK_EACH, 1);
    let chosen: Vec<Cut> = cuts.iter().step_by(each).cloned().collect();
    assert!(!chosen.is_empty(), "nothing to cut in {} calls", calls.len());
    let runs = run::all(&chosen, AT_ONCE);
    let mut figures = BTreeMap::new();
    let (mut wrong, mut missed) = (Vec::new(), 0);
    for (cut, run) in chosen.iter().zip(&runs) {
        if let Err(why) = run.as_ref().map_err(|hang| *hang).and_then(|run| judge(cut, run)) {
            wrong.push(format!("{cut}: {why}: {run:?}"));
        }
        if let Ok(run) = run {
            *figures.entry(run.found[0].as_str()).or_insert(0) += 1;
            missed += usize::from(!run.is_cut);
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), runs.len(), wrong.join("\n"));
    assert!(
        missed * 100 <= runs.len() * MISSED_MAX_PERCENT + 100,
        "{missed} of {} missed",
        runs.len()
    );
    let figures: Vec<_> = figures.iter().map(|(found, count)| format!("{count} {found}")).collect();
    let (made, points) = (runs.len() - missed, cuts.len());
    format!("{made} of {points} points cut: {}", figures.join(", "))
}

/// Says what is wrong with what came of a cut.
fn judge(cut: &Cut, run: &Run) -> Result<(), &'static str> {
    let [first, again] = &run.found;
    if first != again {
        return Err("two daemons find different things");
    }
    if run.runs > 1 {
        return Err("the program ran more than once");
    }
    match first {
        Found::Truth if run.runs == 1 => {}
        Found::Truth => return Err("an exit of a program that never ran"),
        Found::OtherExit => return Err("not the exit of the program"),
        Found::NeverRan if run.runs == 0 => {}
        Found::NeverRan => return Err("it ran"),
        // Nobody knows, and the one reason for that is the death that we dealt.
        Found::ShimKilled if cut.blow == Blow::Kill && run.is_cut => {}
        Found::ShimKilled => return Err("no shim was killed"),
        // A record that the disk took only in part, while it said that it took all.
        Found::BadRecord if cut.blow == Blow::Lie && run.is_cut => {}
        Found::BadRecord => return Err("no record was damaged"),
        Found::OtherLoss => return Err("the reason is wrong"),
        Found::Nothing => return Err("nobody can tell what became of it"),
    }
    if matches!(cut.blow, Blow::NoFork(_)) && !run.is_refused {
        return Err("it is not refused");
    }
    match (run.is_refused, run.was_told_truth) {
        (true, _) if run.runs > 0 => Err("a launch was refused that ran"),
        (_, Some(false)) => Err("the daemon that launched it was told something else"),
        (_, Some(true) | None) => Ok(()),
    }
}
