//! Agents that are stopped, at every moment and in every way.

use rustix::process::Signal;
use serde_json::json;

use crate::stage::{Moment, Stage};
use crate::support::Running;

pub(crate) fn interrupted_while_a_tool_runs(stage: &Stage) {
    stop(stage, Moment::Tool, "interrupt");
}

pub(crate) fn interrupted_at_every_moment(stage: &Stage) {
    for moment in Moment::ALL {
        stop(stage, moment, "interrupt");
    }
}

pub(crate) fn killed_at_every_moment(stage: &Stage) {
    for moment in Moment::ALL {
        stop(stage, moment, "kill");
    }
}

fn stop(stage: &Stage, moment: Moment, verb: &str) {
    let (prompt, reached) = stage.prompt_for(moment);
    let id = stage.begin(stage.kind.trusted(), &prompt);
    stage.await_reached(&reached, &id);
    stage.run([verb, &id]).expect(0);
    let took = stage.assert_interrupted(&stage.ended(&id), verb);
    stage.assert_nothing_is_left();
    stage.tell(format!("{moment:?} {took} ms"));
}

/// Ctrl-C in front is an interrupt, and told by the exit code.
pub(crate) fn interrupted_in_front_at_every_moment(stage: &Stage) {
    for (at, moment) in Moment::ALL.into_iter().enumerate() {
        let (prompt, reached) = stage.prompt_for(moment);
        let title = format!("in front {at}");
        let words = [&[stage.kind.name(), "--title", &title], stage.kind.trusted(), &[&prompt]];
        let mut events = stage.follow_events();
        let front = Running::start(stage.user(words.concat()));
        let launched = events.value(|event| {
            let session = event["session"].as_str().unwrap();
            event["cause"] == "launched" && stage.session(session)["title"] == title.as_str()
        });
        let id = launched["session"].as_str().unwrap().to_owned();
        stage.await_reached(&reached, &id);
        front.signal(Signal::INT);
        front.finish().expect(130);
        let took = stage.assert_interrupted(&stage.ended(&id), "interrupt");
        stage.assert_nothing_is_left();
        stage.tell(format!("{moment:?} {took} ms"));
    }
}

/// Somebody else kills the agent's process: that is its failure, and its tools end with it.
pub(crate) fn killed_from_outside_at_every_moment(stage: &Stage) {
    for moment in Moment::ALL {
        let (prompt, reached) = stage.prompt_for(moment);
        let id = stage.begin(stage.kind.trusted(), &prompt);
        stage.await_reached(&reached, &id);
        stage.kill_from_outside(&id);
        let session = stage.ended(&id);
        stage.assert_ended(&session, "failed", "signal");
        assert_eq!(session["exit"]["signal"], "SIGKILL", "{session:#}");
        assert_eq!(session["intent"], json!(null));
        stage.assert_nothing_is_left();
    }
}

/// An interrupt that is lost during the start is sent again.
pub(crate) fn interrupted_again_when_the_first_is_swallowed(stage: &Stage) {
    let ready = stage.new_fifo();
    let prompt = format!("steps:\nswallow\nready {}\nhang\ninit", ready.display());
    let id = stage.begin(&[], &prompt);
    std::fs::read(ready).unwrap();
    stage.await_running(&id);
    stage.run(["interrupt", &id]).expect(0);
    let session = stage.ended(&id);
    stage.assert_interrupted(&session, "interrupt");
    assert_eq!(session["exit"]["signal"], "SIGINT", "the second one was not lost");
}

/// What heeds nothing is killed at the end of the ladder, and its tool with it.
pub(crate) fn climbed_to_the_end_when_nothing_helps(stage: &Stage) {
    let ready = stage.new_fifo();
    let path = ready.display();
    let prompt = format!("steps:\ndeaf\ntool trap '' INT TERM HUP; echo > {path}; sleep 300");
    let id = stage.begin(stage.kind.trusted(), &prompt);
    std::fs::read(ready).unwrap();
    stage.await_running(&id);
    stage.run(["interrupt", &id]).expect(0);
    let session = stage.ended(&id);
    stage.assert_interrupted(&session, "interrupt");
    assert_eq!(session["exit"]["signal"], "SIGKILL", "{session:#}");
    let causes: Vec<_> = stage.story(&id).iter().map(|event| event["cause"].clone()).collect();
    let ladder =
        ["interrupt", "rung_interrupt", "rung_interrupt_again", "rung_terminate", "rung_kill"];
    let climbed = causes.iter().filter(|&cause| ladder.iter().any(|rung| cause == rung));
    assert_eq!(climbed.collect::<Vec<_>>(), ladder);
}
