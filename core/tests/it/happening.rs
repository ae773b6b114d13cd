//! What of a happening decides: the table from happenings to inputs.

use std::sync::Arc;

use async_trait::async_trait;
use candor_core::agent::Decision;
use candor_core::happening::Happening;
use candor_core::input::{Deadline, Input};
use candor_core::ports::{Attach, Delivery, Ending, Fact, Launch, Message, Process, Sent, Target};
use candor_core::session::{OutputSizes, Report};
use candor_core::stop::{Actor, Rung, Signal};
use candor_core::verdict::{End, Exit, LostReason, SpawnStage, Witness};

use crate::support::STOPS;

/// A process that is only there.
struct Quiet;

#[async_trait]
impl Process for Quiet {
    async fn next_fact(&self) -> Fact {
        Fact::Lost(LostReason::BadRecord)
    }

    async fn signal(&self, _target: Target, _signal: Signal) -> Delivery {
        Delivery::AlreadyEnded
    }

    async fn send(&self, _message: &Message) -> Sent {
        Sent::AlreadyEnded
    }
}

fn ending(exit: Exit, oom_killed: bool) -> Ending {
    let output = OutputSizes { stdout_bytes: 1, stderr_bytes: 2 };
    Ending { exit, oom_killed, witness: Witness::Parent, output, left_behind: Some(3) }
}

#[test]
fn a_launch_and_an_attach_decide_by_their_answers() {
    let input = |happening: Happening| happening.input();
    let launched = |launch| input(Happening::Launched(launch));
    let attached = |attach| input(Happening::Attached(attach));

    assert_eq!(launched(Launch::Up(Arc::new(Quiet))), Input::Spawned);
    let (stage, errno) = (SpawnStage::Folder, 13);
    let refused = Input::Gone(End::Refused { stage, errno });
    assert_eq!(launched(Launch::Refused { stage, errno }), refused);
    assert_eq!(launched(Launch::Unknown), Input::Unreachable);

    assert_eq!(attached(Attach::Up(Arc::new(Quiet))), Input::Adopted);
    assert_eq!(attached(Attach::Unreachable), Input::Unreachable);
    assert_eq!(attached(Attach::NeverRan), Input::Gone(End::NeverRan));
    for reason in LostReason::ALL {
        assert_eq!(attached(Attach::Lost(reason)), Input::Gone(End::Unknown(reason)));
    }
}

#[test]
fn an_exit_decides_the_same_whether_it_was_seen_or_found() {
    let exits = [Exit::Code(0), Exit::Code(130), Exit::Signal { number: 9, core_dumped: true }];
    for exit in exits {
        for oom_killed in [false, true] {
            let expected = Input::Gone(End::Exited { exit, oom_killed });
            let ending = ending(exit, oom_killed);
            assert_eq!(Happening::Fact(Fact::Ended(ending)).input(), expected);
            assert_eq!(Happening::Attached(Attach::Ended(ending)).input(), expected);
        }
    }
    for reason in LostReason::ALL {
        let expected = Input::Gone(End::Unknown(reason));
        assert_eq!(Happening::Fact(Fact::Lost(reason)).input(), expected);
    }
}

#[test]
fn a_stop_decides_by_its_kind_and_never_by_who_asked() {
    for kind in STOPS {
        for by in [Actor::User(0), Actor::User(1000), Actor::Daemon] {
            assert_eq!(Happening::Stop { kind, by }.input(), Input::Stop(kind));
        }
    }
}

#[test]
fn a_report_decides_by_its_success_alone() {
    for success in [true, false] {
        let kind = Some("error_max_turns".to_owned());
        let report = Report { success, kind, ..Report::default() };
        assert_eq!(Happening::Reported(report).input(), Input::FinalReport { success });
    }
}

#[test]
fn the_rest_decides_by_having_happened() {
    let rung = Deadline::RungOver(Rung::Kill);
    for deadline in [Deadline::Timeout, Deadline::Linger, Deadline::Idle, rung] {
        assert_eq!(Happening::Due(deadline).input(), Input::Due(deadline));
    }
    let asked = Box::new(crate::agent::asked(7, "true"));
    assert_eq!(Happening::RequestOpened(asked).input(), Input::RequestOpened);
    assert_eq!(Happening::RequestWithdrawn { number: 1 }.input(), Input::RequestClosed);
    for approved in [true, false] {
        let decision = Box::new(Decision { approved, message: None, by: Actor::User(1000) });
        let answered = Happening::Answered { number: 1, decision };
        assert_eq!(answered.input(), Input::RequestClosed, "which way is no matter");
    }
    assert_eq!(Happening::TurnEnded.input(), Input::TurnEnded);
    assert_eq!(Happening::TurnBegan { turns_ended: 0 }.input(), Input::TurnBegan);
    let bypass = Happening::Bypass { until: None, by: Actor::User(1000) };
    assert_eq!(bypass.input(), Input::SettingsChanged);
    assert_eq!(Happening::ParentEnded.input(), Input::ParentEnded);
}
