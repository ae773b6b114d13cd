//! A log that somebody else wrote is explained by a schedule of ours, or it is told where it cannot
//! be.

use candor_harness::explain::{Explanation, explain, read_log};
use candor_harness::mutant::{Mutant, Mutants};
use candor_harness::replay::{Mode, replay};

/// Worlds that are enough for every log here.
const WORLDS: usize = 1_000;

fn explained(log: &str, mutants: Mutants) -> Explanation {
    explain(&read_log(log).unwrap(), mutants, WORLDS)
}

/// Explains a log in what ships, and returns the choices.
fn choices(log: &str) -> Vec<String> {
    let explanation = explained(log, Mutants::NONE);
    assert_eq!(explanation.stuck_at, None, "{}", explanation.timeline);
    replay(&explanation.timeline, Mode::Strict).unwrap();
    explanation.timeline.steps().map(|step| step.choice.to_string()).collect()
}

#[test]
fn a_restart_in_the_middle_is_found_from_what_was_seen_around_it() {
    let log = "ask s1 launch\nsee s1 waiting_input\nsee daemon crash\nsee daemon boot\nask s1 kill\n\
        see p1 KILL\nsee p1 exit signal 9\nsee s1 completed\n";
    let choices = choices(log);
    for part in ["request p1 opened", "crash", "attach s1 up", "user kill s1"] {
        assert!(choices.iter().any(|choice| choice.starts_with(part)), "{part}: {choices:?}");
    }
}

/// What ships ends so only where the store refused the interrupt; the mistake needs no such fault.
#[test]
fn a_log_of_the_original_bug_needs_a_fault_or_the_bug() {
    let log = "see s1 running\nask s1 interrupt\nsee p1 exit code 130\nsee s1 failed\n";
    let is_fault = |choice: &String| choice.starts_with("write err");
    assert!(choices(log).iter().any(is_fault));
    let log = log.replace("see s1 failed", "see reply accepted\nsee s1 failed");
    let with_bug = explained(
        "see s1 running\nask s1 interrupt\nsee p1 INT\nsee s1 failed\n",
        Mutants::only(Mutant::M01),
    );
    assert_eq!(with_bug.stuck_at, None);
    assert_eq!(with_bug.timeline.golden, None, "a golden block is of what ships");
    let stuck_at = explained(&log, Mutants::NONE).stuck_at.map(|seen| seen.what.to_string());
    assert_eq!(stuck_at.as_deref(), Some("see s1 failed"), "no accepted interrupt ends so");
}

#[test]
fn a_timeline_explains_itself() {
    let log = "timeline 1\n@0 user launch s1\n@+0 write err s1#1\n";
    assert_eq!(choices(log), ["user launch s1", "write err s1#1"]);
}
