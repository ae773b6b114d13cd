//! Sessions of more than one turn.

use crate::kind::Kind;
use crate::stage::Stage;

/// Returns a message, to which the agent answers by telling how many it was shown.
fn message(stage: &Stage) -> &'static str {
    match stage.kind {
        Kind::Replayed => "steps:\nrecall",
        Kind::Claude | Kind::Codex | Kind::Gemini | Kind::Opencode => "go on @@recall",
    }
}

/// Launches, and waits for the end of the first turn.
fn begin(stage: &Stage) -> String {
    let id = stage.begin(&["--interactive"], message(stage));
    stage.await_event(&id, |event| event["cause"] == "turn_ended");
    let session = stage.session(&id);
    assert_eq!(session["status"], "waiting_input", "{session:#}");
    assert_eq!(session["agent"]["awaits_message"], true, "{session:#}");
    assert!(session["agent"]["last_said"].as_str().unwrap().contains("I was shown 1"));
    id
}

/// A message begins a turn; when it is finished, its end is what the agent said.
pub(crate) fn one_after_the_other(stage: &Stage) {
    let id = begin(stage);
    stage.run(["send", &id, message(stage)]).expect(0);
    let turns = |id: &str| {
        let ended = stage.story(id).into_iter().filter(|event| event["cause"] == "turn_ended");
        ended.count()
    };
    let seen = std::cell::Cell::new(0);
    stage.await_event(&id, |event| {
        seen.set(seen.get() + usize::from(event["cause"] == "turn_ended"));
        seen.get() == 2
    });
    assert_eq!(turns(&id), 2);
    let session = stage.session(&id);
    assert_eq!(session["agent"]["turns"], 2, "{session:#}");
    assert!(session["agent"]["last_said"].as_str().unwrap().contains("I was shown 2"));
    stage.run(["finish", &id]).expect(0);
    let session = stage.ended(&id);
    stage.assert_ended(&session, "completed", "succeeded");
    assert_eq!(session["intent"]["kind"], "finish");
    stage.run(["send", &id, "one more"]).expect(125);
}

/// A stop between turns is a stop: that its last turn went well does not make it a success.
pub(crate) fn stopped_between_turns(stage: &Stage) {
    for verb in ["interrupt", "kill"] {
        let id = begin(stage);
        stage.run([verb, &id]).expect(0);
        let took = stage.assert_interrupted(&stage.ended(&id), verb);
        stage.assert_nothing_is_left();
        stage.tell(format!("{verb} {took} ms"));
    }
    // That its last turn went well is not its end either, when somebody kills it from outside.
    let id = begin(stage);
    stage.kill_from_outside(&id);
    let session = stage.ended(&id);
    stage.assert_ended(&session, "failed", "signal");
    assert_eq!(session["exit"]["signal"], "SIGKILL", "{session:#}");
}
