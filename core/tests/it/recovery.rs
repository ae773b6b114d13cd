//! What a restart does first with each stored status, and what its answer makes of it.

use candor_core::event::Cause;
use candor_core::input::{Deadline, Input};
use candor_core::machine::Machine;
use candor_core::recovery::Recovery;
use candor_core::status::Status;
use candor_core::step::Act;
use candor_core::stop::{Rung, StopKind};
use candor_core::time::Monotonic;
use candor_core::verdict::{End, LostReason};

use crate::support::{TIMEOUT_MS, at, code, follow, policy, running};

#[test]
fn each_status_has_its_first_thing_to_do() {
    let plan = Status::ALL.map(|status| (status, Recovery::of(status)));
    assert_eq!(
        plan,
        [
            (Status::Queued, Recovery::AwaitParent),
            (Status::Starting, Recovery::Attach),
            (Status::Running, Recovery::Attach),
            (Status::WaitingInput, Recovery::Attach),
            (Status::Completing, Recovery::Attach),
            (Status::Completed, Recovery::Nothing),
            (Status::Failed, Recovery::Nothing),
            (Status::Lost, Recovery::Nothing),
        ]
    );
}

/// One stored machine for each status, with nothing of the daemon before but the row.
fn stored() -> [Machine; 8] {
    let waiting = follow_from(running(), Input::RequestOpened);
    let completing = follow_from(running(), Input::Stop(StopKind::Interrupt));
    let gone = |end| follow_from(running(), Input::Gone(end));
    [
        Machine::queue(policy()).next,
        Machine::launch(policy()).next,
        running(),
        waiting,
        completing,
        gone(code(0)),
        gone(code(1)),
        gone(End::Unknown(LostReason::Reboot)),
    ]
}

fn follow_from(machine: Machine, input: Input) -> Machine {
    machine.step(input, at(2_000)).unwrap_or_else(|error| panic!("{error}")).next
}

#[test]
fn whatever_recovery_orders_can_be_answered_in_that_status() {
    for machine in stored() {
        let answers: &[Input] = match Recovery::of(machine.status()) {
            Recovery::Nothing => &[],
            Recovery::AwaitParent => &[Input::ParentEnded],
            Recovery::Attach => &[
                Input::Adopted,
                Input::Unreachable,
                Input::Gone(End::NeverRan),
                Input::Gone(End::Exited {
                    exit: candor_core::verdict::Exit::Code(3),
                    oom_killed: false,
                }),
                Input::Gone(End::Unknown(LostReason::DaemonKilled)),
            ],
        };
        for &answer in answers {
            let result = machine.step(answer, at(90_000));
            assert!(result.is_ok(), "{result:?}");
        }
    }
    assert_eq!(stored().map(|machine| machine.status()), Status::ALL, "one for each status");
}

#[test]
fn what_cannot_be_reached_yet_stays_as_it_is_and_is_asked_again() {
    for machine in stored() {
        if Recovery::of(machine.status()) == Recovery::Attach {
            let transition = follow_unreachable(&machine);
            assert_eq!((transition.next, transition.cause), (machine, None));
            assert_eq!(transition.act, Act::Attach, "{}", machine.status());
        }
    }
}

fn follow_unreachable(machine: &Machine) -> candor_core::step::Transition {
    machine.step(Input::Unreachable, at(90_000)).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_starting_session_that_is_found_alive_runs_and_its_time_counts_from_then() {
    let launched = Machine::launch(policy());
    let adopted = follow(launched, &[(40_000, Input::Adopted)]);
    assert_eq!(adopted.next.status(), Status::Running);
    assert_eq!(adopted.cause, Some(Cause::Adopted));
    let due = Monotonic::from_ms(40_000 + TIMEOUT_MS);
    assert_eq!(adopted.deadline, Some((Deadline::Timeout, due)));
}

#[test]
fn a_running_session_that_is_found_alive_has_no_change_to_store() {
    let transition = running().step(Input::Adopted, at(90_000));
    let transition = transition.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((transition.next, transition.cause), (running(), None));
    assert_eq!(transition.act, Act::Nothing);
}

#[test]
fn a_stopping_session_that_was_never_seen_up_gets_its_signal_when_it_is_found() {
    let asked = follow(
        Machine::launch(policy()),
        &[(10, Input::Stop(StopKind::Interrupt)), (90_000, Input::Adopted)],
    );
    assert_eq!((asked.next.status(), asked.next.is_up()), (Status::Completing, true));
    assert_eq!(asked.act, Act::Signal(Rung::Interrupt));
    assert_eq!(asked.cause, Some(Cause::Adopted));
}

#[test]
fn a_process_that_was_up_and_is_said_never_to_have_run_has_a_bad_record() {
    let gone = follow_from(running(), Input::Gone(End::NeverRan));
    assert_eq!(gone.end(), Some(End::Unknown(LostReason::BadRecord)));
    assert_eq!(gone.status(), Status::Lost);
}
