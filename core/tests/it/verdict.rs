//! Section 3 of the plan: each rule by name at its edges, the order of the rules, and all of the
//! evidence there can be.

use std::collections::BTreeSet;

use candor_core::status::Status;
use candor_core::stop::{Rung, StopKind};
use candor_core::verdict::{
    Completion, End, Evidence, Failure, LostReason, ReportMark, SuccessCodes, Verdict, judge,
};

use crate::rules::{RULES, first_that_fits};
use crate::support::{RUNGS, STAGES, STOPS, code, core_dump, every_end, signal, with_oom};

const SUCCEEDED: Verdict = Verdict::Completed(Completion::Succeeded);

/// Nobody asked, nothing was said, no process to speak of: each test adds what it is about.
const PLAIN: Evidence = Evidence {
    intent: None,
    report: None,
    rung: None,
    end: End::NeverRan,
    always_reports: false,
    success_codes: SuccessCodes::ZERO,
};

const SUCCESS_FIRST: Option<ReportMark> = Some(ReportMark { success: true, before_intent: true });
const SUCCESS_AFTER: Option<ReportMark> = Some(ReportMark { success: true, before_intent: false });
const ERROR_FIRST: Option<ReportMark> = Some(ReportMark { success: false, before_intent: true });
const ERROR_AFTER: Option<ReportMark> = Some(ReportMark { success: false, before_intent: false });

const REPORTS: [Option<ReportMark>; 5] =
    [None, SUCCESS_FIRST, SUCCESS_AFTER, ERROR_FIRST, ERROR_AFTER];

/// The kinds of rule 2: somebody wanted it to end.
const ASKED: [StopKind; 4] =
    [StopKind::Interrupt, StopKind::Kill, StopKind::Shutdown, StopKind::Superseded];

fn zero_and_three() -> SuccessCodes {
    SuccessCodes::ZERO.with(3)
}

#[test]
fn rule_1_a_success_stored_before_the_intent_succeeds_whatever_came_after() {
    for intent in STOPS.map(Some).into_iter().chain([None]) {
        for end in every_end() {
            let evidence = Evidence { intent, end, report: SUCCESS_FIRST, ..PLAIN };
            assert_eq!(judge(&evidence), SUCCEEDED, "{evidence:?}");
        }
    }
}

#[test]
fn rule_1_does_not_fit_a_success_after_the_intent_nor_an_error_before_it() {
    for report in [SUCCESS_AFTER, ERROR_FIRST, ERROR_AFTER] {
        let evidence = Evidence { intent: Some(StopKind::Interrupt), report, ..PLAIN };
        let interrupted = Verdict::Completed(Completion::Interrupted(StopKind::Interrupt));
        assert_eq!(judge(&Evidence { end: code(0), ..evidence }), interrupted, "{report:?}");
    }
}

#[test]
fn rule_2_somebody_asked_so_no_exit_makes_it_a_failure() {
    for kind in ASKED {
        for report in [None, SUCCESS_AFTER, ERROR_FIRST, ERROR_AFTER] {
            for end in every_end() {
                for always_reports in [false, true] {
                    let intent = Some(kind);
                    let evidence = Evidence { intent, report, end, always_reports, ..PLAIN };
                    let interrupted = Verdict::Completed(Completion::Interrupted(kind));
                    assert_eq!(judge(&evidence), interrupted, "{evidence:?}");
                }
            }
        }
    }
}

#[test]
fn rule_3_the_time_was_over_so_no_exit_makes_it_a_success() {
    for report in [None, SUCCESS_AFTER, ERROR_FIRST, ERROR_AFTER] {
        for end in every_end() {
            let evidence = Evidence { intent: Some(StopKind::Timeout), report, end, ..PLAIN };
            assert_eq!(judge(&evidence), Verdict::Failed(Failure::TimedOut), "{evidence:?}");
        }
    }
}

#[test]
fn rule_4_without_a_process_it_failed_to_spawn_whatever_is_claimed_of_a_report() {
    for report in [None, SUCCESS_AFTER, ERROR_FIRST, ERROR_AFTER] {
        for always_reports in [false, true] {
            let evidence = Evidence { report, always_reports, ..PLAIN };
            for stage in STAGES {
                let end = End::Refused { stage, errno: 13 };
                let spawn = Verdict::Failed(Failure::Spawn { stage, errno: 13 });
                assert_eq!(judge(&Evidence { end, ..evidence }), spawn);
            }
            let never_ran = Evidence { end: End::NeverRan, ..evidence };
            assert_eq!(judge(&never_ran), Verdict::Failed(Failure::NeverRan));
        }
    }
}

#[test]
fn rule_5_the_agents_success_outweighs_its_exit() {
    for end in [code(0), code(1), signal(15), core_dump(11), with_oom(signal(9))] {
        let evidence = Evidence { report: SUCCESS_AFTER, end, ..PLAIN };
        assert_eq!(judge(&evidence), SUCCEEDED, "{evidence:?}");
    }
    for reason in LostReason::ALL {
        let evidence = Evidence { report: SUCCESS_AFTER, end: End::Unknown(reason), ..PLAIN };
        assert_eq!(judge(&evidence), SUCCEEDED, "{evidence:?}");
    }
}

#[test]
fn rule_6_the_agents_error_outweighs_its_exit() {
    let agent_error = Verdict::Failed(Failure::AgentError);
    for report in [ERROR_FIRST, ERROR_AFTER] {
        for end in [code(0), code(1), signal(15), core_dump(11), with_oom(signal(9))] {
            for always_reports in [false, true] {
                let evidence = Evidence { report, end, always_reports, ..PLAIN };
                assert_eq!(judge(&evidence), agent_error, "{evidence:?}");
            }
        }
        let evidence = Evidence { report, end: End::Unknown(LostReason::Reboot), ..PLAIN };
        assert_eq!(judge(&evidence), agent_error, "{evidence:?}");
    }
}

#[test]
fn rule_7_a_silent_agent_that_always_reports_has_not_succeeded() {
    let silent = Evidence { always_reports: true, success_codes: zero_and_three(), ..PLAIN };
    let no_report = Verdict::Failed(Failure::NoReport);
    assert_eq!(judge(&Evidence { end: code(0), ..silent }), no_report);
    assert_eq!(judge(&Evidence { end: code(3), ..silent }), no_report);
    assert_eq!(judge(&Evidence { end: with_oom(code(3)), ..silent }), no_report);
}

#[test]
fn rule_7_leaves_an_exit_outside_the_set_to_the_rules_that_say_more() {
    let silent = Evidence { always_reports: true, success_codes: zero_and_three(), ..PLAIN };
    let judged = |end| judge(&Evidence { end, ..silent });
    assert_eq!(judged(code(1)), Verdict::Failed(Failure::ExitCode(1)));
    assert_eq!(judged(signal(15)), Verdict::Failed(Failure::Signal(15)));
    assert_eq!(judged(with_oom(signal(9))), Verdict::Failed(Failure::OomKill));
    let reason = LostReason::DaemonKilled;
    assert_eq!(judged(End::Unknown(reason)), Verdict::Lost(reason));
}

#[test]
fn rule_8_wants_both_the_signal_kill_and_an_oom_kill_that_was_seen() {
    let judged = |end| judge(&Evidence { end, ..PLAIN });
    assert_eq!(judged(with_oom(signal(9))), Verdict::Failed(Failure::OomKill));
    assert_eq!(judged(with_oom(core_dump(9))), Verdict::Failed(Failure::OomKill));
    assert_eq!(judged(signal(9)), Verdict::Failed(Failure::Signal(9)));
    assert_eq!(judged(with_oom(signal(15))), Verdict::Failed(Failure::Signal(15)));
    assert_eq!(judged(with_oom(core_dump(11))), Verdict::Failed(Failure::CoreDump(11)));
    assert_eq!(judged(with_oom(code(137))), Verdict::Failed(Failure::ExitCode(137)));
    assert_eq!(judged(with_oom(code(0))), SUCCEEDED);
}

#[test]
fn rule_9_names_the_signal_and_whether_a_core_was_dumped() {
    for number in 0..=u8::MAX {
        let judged = |end| judge(&Evidence { end, ..PLAIN });
        assert_eq!(judged(signal(number)), Verdict::Failed(Failure::Signal(number)));
        assert_eq!(judged(core_dump(number)), Verdict::Failed(Failure::CoreDump(number)));
    }
}

#[test]
fn rules_10_and_11_part_the_codes_by_the_success_set_alone() {
    let sets = [
        (SuccessCodes::ZERO, vec![0]),
        (zero_and_three(), vec![0, 3]),
        (SuccessCodes::none(), vec![]),
        (SuccessCodes::none().with(255).with(64), vec![64, 255]),
    ];
    for (success_codes, members) in sets {
        for number in 0..=u8::MAX {
            let verdict = judge(&Evidence { end: code(number), success_codes, ..PLAIN });
            let failed = Verdict::Failed(Failure::ExitCode(number));
            let expected = if members.contains(&number) { SUCCEEDED } else { failed };
            assert_eq!(verdict, expected, "code {number} with {members:?}");
        }
    }
}

#[test]
fn rule_12_an_end_that_nobody_saw_is_lost_and_never_guessed() {
    for reason in LostReason::ALL {
        for always_reports in [false, true] {
            let evidence = Evidence { end: End::Unknown(reason), always_reports, ..PLAIN };
            assert_eq!(judge(&evidence), Verdict::Lost(reason));
        }
    }
}

/// What was to finish, and has a rung behind it.
fn finishing(rung: Rung, end: End) -> Evidence {
    Evidence { intent: Some(StopKind::Finish), rung: Some(rung), end, ..PLAIN }
}

#[test]
fn to_finish_decides_nothing_so_that_the_agent_does() {
    let failed = |failure| Verdict::Failed(failure);
    for rung in RUNGS {
        for (report, verdict) in [
            (SUCCESS_FIRST, SUCCEEDED),
            (SUCCESS_AFTER, SUCCEEDED),
            (ERROR_FIRST, failed(Failure::AgentError)),
            (ERROR_AFTER, failed(Failure::AgentError)),
        ] {
            for end in [code(0), code(1), code(130), signal(9), core_dump(11)] {
                let evidence = Evidence { report, ..finishing(rung, end) };
                assert_eq!(judge(&evidence), verdict, "{evidence:?}");
            }
        }
        assert_eq!(judge(&finishing(rung, code(0))), SUCCEEDED);
        assert_eq!(judge(&finishing(rung, code(1))), failed(Failure::ExitCode(1)));
        assert_eq!(judge(&finishing(rung, signal(11))), failed(Failure::Signal(11)));
        let lost = LostReason::Reboot;
        assert_eq!(judge(&finishing(rung, End::Unknown(lost))), Verdict::Lost(lost));
    }
}

#[test]
fn a_signal_that_was_sent_to_finish_is_no_failure_and_any_other_is() {
    // By rung, which of INT, TERM and KILL were sent by then.
    let sent = [
        (Rung::Ask, [false, false, false]),
        (Rung::Interrupt, [true, false, false]),
        (Rung::InterruptAgain, [true, false, false]),
        (Rung::Terminate, [true, true, false]),
        (Rung::Kill, [true, true, true]),
    ];
    for (rung, sent) in sent {
        for (number, was_sent) in [2, 15, 9].into_iter().zip(sent) {
            for (end, failure) in [
                (signal(number), Failure::Signal(number)),
                (code(128 + number), Failure::ExitCode(128 + number)),
            ] {
                let expected = if was_sent { SUCCEEDED } else { Verdict::Failed(failure) };
                assert_eq!(judge(&finishing(rung, end)), expected, "{rung} {end:?}");
                let silent = Evidence { always_reports: true, ..finishing(rung, end) };
                let no_report = Verdict::Failed(Failure::NoReport);
                let expected = if was_sent { no_report } else { Verdict::Failed(failure) };
                assert_eq!(judge(&silent), expected, "{rung} {end:?}");
            }
        }
    }
    assert_eq!(
        judge(&finishing(Rung::Kill, with_oom(signal(9)))),
        Verdict::Failed(Failure::OomKill)
    );
}

/// Every intent with every report, every rung where it matters, every end, every kind of agent and
/// three success sets.
fn every_evidence(mut visit: impl FnMut(&Evidence)) {
    let ends = every_end();
    let sets = [SuccessCodes::ZERO, SuccessCodes::none(), zero_and_three().with(130)];
    for intent in STOPS.map(Some).into_iter().chain([None]) {
        for report in REPORTS {
            for always_reports in [false, true] {
                for success_codes in sets {
                    let policy = (always_reports, success_codes);
                    every_end_of(intent, report, policy, &ends, &mut visit);
                }
            }
        }
    }
}

fn every_end_of(
    intent: Option<StopKind>,
    report: Option<ReportMark>,
    (always_reports, success_codes): (bool, SuccessCodes),
    ends: &[End],
    visit: &mut impl FnMut(&Evidence),
) {
    let is_finish = intent == Some(StopKind::Finish);
    let highest = RUNGS.map(Some).into_iter().chain([None]);
    // That a rung decides nothing for any other intent is shown with one.
    for rung in highest.filter(|rung| is_finish || rung.is_none_or(|rung| rung == Rung::Kill)) {
        for &end in ends {
            visit(&Evidence { intent, report, rung, end, always_reports, success_codes });
        }
    }
}

#[test]
fn every_evidence_there_is_gets_the_verdict_of_the_first_rule_that_fits() {
    let mut deciding = BTreeSet::new();
    every_evidence(|evidence| {
        let (number, verdict) = first_that_fits(evidence);
        assert_eq!(judge(evidence), verdict, "rule {number} decides {evidence:?}");
        deciding.insert(number);
    });
    let numbers: BTreeSet<_> = RULES.iter().map(|rule| rule.number).collect();
    assert_eq!(deciding, numbers, "each rule decides something");
}

#[test]
fn the_same_evidence_gets_the_same_verdict_and_its_status_agrees() {
    every_evidence(|evidence| {
        let verdict = judge(evidence);
        assert_eq!(verdict, judge(&{ *evidence }));
        assert!(verdict.status().is_terminal(), "{verdict:?}");
        let is_success = verdict.status() == Status::Completed && verdict.outcome() == "succeeded";
        assert_eq!(verdict.is_success(), is_success);
    });
}

#[test]
fn nobody_is_told_of_a_failure_that_they_asked_for() {
    every_evidence(|evidence| {
        let asked = evidence.intent.is_some_and(|kind| ASKED.contains(&kind));
        let text = judge(evidence).to_string();
        assert!(!asked || text.starts_with("completed"), "{text} by {evidence:?}");
    });
}

#[test]
fn a_success_set_holds_exactly_the_codes_that_were_put_in() {
    for added in 0..=u8::MAX {
        let set = SuccessCodes::none().with(added);
        for asked in 0..=u8::MAX {
            assert_eq!(set.contains(asked), asked == added, "{asked} in {{{added}}}");
        }
        assert_eq!(set.with(added), set, "adding twice adds once");
    }
}

#[test]
fn a_success_set_can_hold_all_codes_and_forgets_none() {
    let every_third = (0..=u8::MAX).step_by(3).fold(SuccessCodes::none(), SuccessCodes::with);
    let all = (0..=u8::MAX).rev().fold(SuccessCodes::none(), SuccessCodes::with);
    for number in 0..=u8::MAX {
        assert_eq!(every_third.contains(number), number % 3 == 0);
        assert!(all.contains(number));
        assert!(!SuccessCodes::none().contains(number));
        assert_eq!(SuccessCodes::default().contains(number), number == 0, "default is {{0}}");
    }
}
