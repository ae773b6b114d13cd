//! `is_coherent` holds for no machine with a part that contradicts another.

use crate::input::Input;
use crate::machine::Machine;
use crate::session::Revision;
use crate::status::Status;
use crate::stop::StopKind;
use crate::verdict::{Completion, End, Failure, LostReason, Verdict};

use super::{after, code, policy};

fn completing() -> Machine {
    after(&[Input::Spawned, Input::Stop(StopKind::Interrupt)])
}

fn ended() -> Machine {
    after(&[Input::Spawned, Input::Gone(code(0))])
}

#[test]
fn what_step_made_is_coherent() {
    let asked_early = after(&[Input::Stop(StopKind::Kill)]);
    let reported = after(&[Input::Spawned, Input::FinalReport { success: true }]);
    let waiting = after(&[Input::Spawned, Input::RequestOpened]);
    for machine in [completing(), ended(), asked_early, reported, waiting, after(&[])] {
        assert!(machine.is_coherent(), "{machine:?}");
    }
}

#[test]
fn a_session_without_a_revision_has_no_row() {
    assert!(!Machine::unborn(policy(), Status::Starting).is_coherent());
    assert!(!Machine { revision: Revision::NONE, ..completing() }.is_coherent());
}

#[test]
fn a_terminal_status_comes_with_its_end_and_its_verdict_and_a_live_one_with_neither() {
    let lost = Some(Verdict::Lost(LostReason::Reboot));
    let contradictions = [
        Machine { end: None, ..ended() },
        Machine { verdict: None, ..ended() },
        Machine { end: None, verdict: None, ..ended() },
        Machine { status: Status::Running, ..ended() },
        Machine { end: Some(code(0)), ..completing() },
        Machine { verdict: lost, ..completing() },
        Machine { end: Some(End::NeverRan), verdict: lost, ..completing() },
    ];
    for machine in contradictions {
        assert!(!machine.is_coherent(), "{machine:?}");
    }
}

#[test]
fn the_status_is_the_one_that_shows_the_verdict() {
    let verdicts = [
        Verdict::Completed(Completion::Succeeded),
        Verdict::Failed(Failure::AgentError),
        Verdict::Lost(LostReason::Reboot),
    ];
    for verdict in verdicts {
        for status in [Status::Completed, Status::Failed, Status::Lost] {
            let machine = Machine { status, verdict: Some(verdict), ..ended() };
            assert_eq!(machine.is_coherent(), verdict.status() == status, "{machine:?}");
        }
    }
}

#[test]
fn it_waits_for_input_exactly_while_a_request_is_open_or_a_message_is_awaited() {
    let waiting = after(&[Input::Spawned, Input::RequestOpened]);
    assert!(!Machine { requests_open: 0, ..waiting }.is_coherent());
    assert!(Machine { requests_open: 0, awaits_message: true, ..waiting }.is_coherent());
    assert!(Machine { awaits_message: true, ..waiting }.is_coherent());
    for machine in [after(&[]), after(&[Input::Spawned]), completing(), ended()] {
        assert!(!Machine { requests_open: 1, ..machine }.is_coherent(), "{machine:?}");
        assert!(!Machine { awaits_message: true, ..machine }.is_coherent(), "{machine:?}");
    }
}

#[test]
fn completing_has_a_cause() {
    assert!(!Machine { intent: None, ..completing() }.is_coherent());
}

#[test]
fn whether_it_is_up_agrees_with_the_status() {
    let queued = Machine::queue(policy()).next;
    for machine in [queued, after(&[])] {
        assert!(!Machine { is_up: true, ..machine }.is_coherent(), "{machine:?}");
    }
    for inputs in [&[Input::Spawned][..], &[Input::Spawned, Input::RequestOpened]] {
        assert!(!Machine { is_up: false, ..after(inputs) }.is_coherent());
    }
}
