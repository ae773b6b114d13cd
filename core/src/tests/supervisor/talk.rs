//! Turns, and what an agent has said: [`View::next`] hands in differences and nothing else, so that
//! reading everything again changes nothing.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::agent::{AgentSpec, Learned, REQUESTS_OPEN_MAX, Turn, View};
use crate::happening::Happening;
use crate::input::{Deadline, Input};
use crate::machine::Machine;
use crate::session::{Report, Session, Spec};
use crate::status::Status;
use crate::stop::{Signal, StopKind};
use crate::supervisor::{Supervisor, Task};

use super::super::{after, at, policy};
use super::world::{Call, World, asked, exited, id, now, rung, spec, stop};

const STORED: [Call; 2] = [Call::Commit(Ok(7)), Call::Publish(7)];

/// Things that are handed in one after the other, at most: more would be without an end.
const STEPS_MAX: usize = 200;

fn stored(times: usize) -> Vec<Call> {
    core::iter::repeat_n(STORED, times).flatten().collect()
}

fn row(machine: Machine, is_interactive: bool) -> Session {
    let agent = AgentSpec {
        kind: String::from("claude"),
        prompt: String::from("hello"),
        is_interactive,
        resumes: None,
        forks: false,
        agent_session: None,
        model: None,
        permission_mode: None,
        max_turns: None,
        arguments: Vec::new(),
        permissions: crate::agent::Permissions::default(),
    };
    let spec = Arc::new(Spec { agent: Some(agent), ..Spec::clone(&spec()) });
    Session::unborn(id(), None, spec, machine, at(0).wall)
}

fn interactive(world: &World) -> Supervisor {
    let row = row(after(&[Input::Spawned]), true);
    let mut supervisor = Supervisor::resume(world.ports.clone(), row);
    assert!(now(supervisor.handle(world.adopted())).is_ok());
    supervisor
}

/// Hands in what a view says until it says nothing more, and returns what that was.
fn settle(supervisor: &mut Supervisor, view: &View, is_over: bool) -> Vec<Input> {
    let mut inputs = Vec::new();
    supervisor.learn(&view.learned);
    while let Some(happening) = view.next(supervisor.session(), is_over) {
        inputs.push(happening.input());
        let before = supervisor.session().revision();
        assert!(now(supervisor.handle(happening)).is_ok());
        assert_eq!(supervisor.session().revision(), before.next(), "each is a change");
        assert!(inputs.len() < STEPS_MAX, "it never comes to an end: {inputs:?}");
    }
    inputs
}

/// A later daemon takes the row over, and reads everything again.
fn assert_reading_again_changes_nothing(session: &Session, view: &View, is_over: bool) {
    let world = World::of(&[]);
    let mut supervisor = Supervisor::resume(world.ports.clone(), session.clone());
    assert_eq!(settle(&mut supervisor, view, is_over), []);
    assert_eq!(supervisor.session().machine, session.machine);
    assert_eq!(supervisor.session().requests, session.requests);
}

fn report(success: bool) -> Report {
    Report { success, turns: Some(1), ..Report::default() }
}

fn after_turns(turns: u32) -> View {
    let learned = Learned { turns, ..Learned::default() };
    View { turn: Turn::Ended, learned, report: Some(report(true)), ..View::default() }
}

#[test]
fn whatever_an_agent_has_said_is_handed_in_once_and_reading_again_changes_nothing() {
    let mut checked = 0;
    for turn in [Turn::NotBegun, Turn::Begun, Turn::Ended] {
        for asks in [&[][..], &[5], &[5, 9]] {
            for report in [None, Some(report(false)), Some(report(true))] {
                for (is_final, is_over) in [(false, false), (true, false), (false, true)] {
                    let view = View {
                        turn,
                        asks: asks.iter().map(|offset| asked(*offset)).collect(),
                        report: report.clone(),
                        report_is_final: is_final,
                        learned: Learned { turns: 1, ..Learned::default() },
                    };
                    settles_for_good(&view, is_over);
                    checked += 1;
                }
            }
        }
    }
    assert_eq!(checked, 81);
}

/// From several beginnings, each of which may have other things open than the view.
fn settles_for_good(view: &View, is_over: bool) {
    let opened = Input::RequestOpened;
    let report = Input::FinalReport { success: false };
    let (ask, kill) = (Input::Stop(StopKind::Finish), Input::Stop(StopKind::Kill));
    for is_interactive in [false, true] {
        for inputs in [
            &[][..],
            &[ask],
            &[Input::Spawned],
            &[Input::Spawned, Input::TurnEnded],
            &[Input::Spawned, ask],
            &[Input::Spawned, kill],
            &[Input::Spawned, report],
            &[Input::Spawned, report, kill],
            &[Input::Spawned, kill, report],
            &[Input::Spawned, ask, report],
            &[Input::Spawned, exited(0).input()],
        ] {
            assert!(!inputs.contains(&opened), "its row would lack it");
            let world = World::of_any_commits();
            let row = row(after(inputs), is_interactive);
            let mut supervisor = Supervisor::resume(world.ports.clone(), row);
            settle(&mut supervisor, view, is_over);
            assert!(view.next(supervisor.session(), is_over).is_none());
            assert_reading_again_changes_nothing(supervisor.session(), view, is_over);
        }
    }
}

#[test]
fn it_makes_no_difference_how_much_is_read_at_once() {
    let begun = View { turn: Turn::Begun, ..View::default() };
    let asking = View { asks: Vec::from([asked(3), asked(8)]), ..begun.clone() };
    let one_left = View { asks: Vec::from([asked(8)]), ..begun.clone() };
    let ended = after_turns(1);
    let story = [&begun, &asking, &one_left, &ended];

    // Every way to look or not to look at each of them, but for the last.
    for looked in 0..8_u32 {
        let world = World::of_any_commits();
        let mut supervisor = interactive(&world);
        for (at, view) in story.iter().enumerate() {
            if at == 3 || looked & (1 << at) != 0 {
                settle(&mut supervisor, view, false);
                assert_reading_again_changes_nothing(supervisor.session(), view, false);
            }
        }
        let session = supervisor.session();
        assert_eq!(session.status(), Status::WaitingInput, "{looked:b}");
        assert!(session.machine.awaits_message() && session.machine.requests_open() == 0);
    }
}

#[test]
fn a_turn_that_came_and_went_unseen_begins_the_waiting_anew() {
    let world = World::of(&stored(2));
    let mut supervisor = interactive(&world);
    assert_eq!(settle(&mut supervisor, &after_turns(1), false), [Input::TurnEnded]);
    assert_eq!(settle(&mut supervisor, &after_turns(1), false), []);
    assert_eq!(settle(&mut supervisor, &after_turns(2), false), [Input::TurnEnded]);
    assert_eq!(supervisor.session().turns_ended, 2);
    assert_reading_again_changes_nothing(supervisor.session(), &after_turns(2), false);
}

#[test]
fn who_has_answered_a_message_before_anybody_says_that_it_was_given_one_waits_for_the_next() {
    let world = World::of(&stored(3));
    let mut supervisor = interactive(&world);
    assert_eq!(settle(&mut supervisor, &after_turns(1), false), [Input::TurnEnded]);
    let turns_ended = supervisor.session().turns_ended;
    // The message is given; its turn begins and ends, and only then is it told that it was given.
    assert_eq!(settle(&mut supervisor, &after_turns(2), false), [Input::TurnEnded]);
    assert!(now(supervisor.handle(Happening::TurnBegan { turns_ended })).is_ok());
    assert_eq!(supervisor.session().status(), Status::WaitingInput);
    // Of the next one it is told at once.
    assert!(now(supervisor.handle(Happening::TurnBegan { turns_ended: 2 })).is_ok());
    assert_eq!(supervisor.session().status(), Status::Running);
}

#[test]
fn who_is_given_one_message_waits_for_no_other() {
    let world = World::of(&[]);
    let row = row(after(&[Input::Spawned]), false);
    let mut supervisor = Supervisor::resume(world.ports.clone(), row);
    assert_eq!(settle(&mut supervisor, &after_turns(1), false), []);
    assert_eq!(supervisor.session().status(), Status::Running);
}

#[test]
fn a_report_between_turns_is_kept_back_until_the_end_and_the_last_one_counts() {
    let world = World::of(&stored(4));
    let mut supervisor = interactive(&world);
    let failed = View { report: Some(report(false)), ..after_turns(1) };
    assert_eq!(settle(&mut supervisor, &failed, false), [Input::TurnEnded]);
    let good = after_turns(2);
    assert_eq!(settle(&mut supervisor, &good, false), [Input::TurnEnded]);
    assert_eq!(settle(&mut supervisor, &good, true), [Input::FinalReport { success: true }]);
    assert!(now(supervisor.handle(exited(0))).is_ok());
    let session = supervisor.session();
    assert_eq!(session.verdict().map(|it| it.is_success()), Some(true));
    assert_reading_again_changes_nothing(session, &good, true);
}

#[test]
fn no_more_are_open_than_may_be_and_the_next_one_takes_the_place_of_what_is_closed() {
    let count = REQUESTS_OPEN_MAX as u64 + 3;
    let mut view = View { turn: Turn::Begun, ..View::default() };
    view.asks = (1..=count).map(asked).collect();
    let world = World::of(&stored(REQUESTS_OPEN_MAX + 2));
    let mut supervisor = interactive(&world);
    let opened = settle(&mut supervisor, &view, false);
    assert_eq!(opened, [Input::RequestOpened; REQUESTS_OPEN_MAX]);

    view.asks.remove(0);
    let moved = settle(&mut supervisor, &view, false);
    assert_eq!(moved, [Input::RequestClosed, Input::RequestOpened]);
    let machine = &supervisor.session().machine;
    assert_eq!(usize::from(machine.requests_open()), REQUESTS_OPEN_MAX);
}

#[test]
fn what_is_learned_is_shown_at_once_and_stored_with_the_next_change() {
    let world = World::of(&stored(1));
    let mut supervisor = interactive(&world);
    let learned = Learned { model: Some(String::from("large")), ..Learned::default() };
    supervisor.learn(&learned);
    assert_eq!(supervisor.session().learned, learned);
    assert!(world.commits().is_empty(), "it is no change of its own");
    assert!(now(supervisor.handle(Happening::TurnEnded)).is_ok());
    assert_eq!(world.commit().session.learned, learned);
}

#[test]
fn the_polite_rung_is_left_to_the_driver_and_its_grace_runs() {
    let graces =
        crate::stop::Graces { ask_ms: core::num::NonZeroU32::new(2_000), ..policy().graces };
    let talking = crate::machine::Policy { graces, ..policy() };
    let up = Machine::launch(talking).next.step(Input::Spawned, at(1_000)).unwrap().next;
    // A stopped process reads nothing, so it is continued before it is asked.
    let asked = Call::Signal(Signal::Continue, crate::ports::Delivery::Delivered);
    let stored_ask = [stored(1), Vec::from([asked]), stored(1)].concat();
    let calls = [stored_ask, Vec::from(rung(Signal::Interrupt))].concat();
    let world = World::of(&calls);
    let mut supervisor = Supervisor::resume(world.ports.clone(), row(up, true));
    assert!(now(supervisor.handle(world.adopted())).is_ok());

    world.set_clock(9_000);
    let orders = now(supervisor.handle(stop(StopKind::Interrupt))).unwrap();
    let ask = Deadline::RungOver(crate::stop::Rung::Ask);
    assert_eq!(orders.task, Task::Ask);
    assert_eq!(orders.deadline, Some((ask, at(11_000).monotonic)));
    let orders = now(supervisor.handle(Happening::Due(ask))).unwrap();
    assert_eq!(orders.task, Task::Nothing, "INT is sent by the supervisor");
}
