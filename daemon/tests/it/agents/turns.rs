//! An agent that is kept for further messages.

use crate::agents::Stage;

#[test]
fn what_is_sent_while_no_daemon_runs_is_said_to_it_once() {
    let stage = Stage::new();
    std::fs::create_dir(stage.path("kept")).unwrap();
    let kept = format!("FAKE_CLAUDE_SESSIONS={}", stage.path("kept").display());
    let id = stage.begin(&["--interactive", "--env", &kept], &["say first".to_owned()]);
    stage.await_cause(&id, "turn_ended", 1);
    stage.kill_daemon();
    stage.run(["send", &id, "steps:\nrecall"]).expect(0);
    stage.await_cause(&id, "turn_ended", 2);
    let session = stage.session(&id);
    assert_eq!(session["status"], "waiting_input");
    let said = session["agent"]["last_said"].as_str().unwrap();
    assert!(said.contains('2'), "it was shown two prompts: {said}");
    stage.run(["finish", &id]).expect(0);
    stage.run(["wait", &id]).expect(0);
    stage.run(["send", &id, "too late"]).expect(125).because(&["ended"]);
    // That it began is told only where it was seen before it ended.
    let mut causes = stage.causes(&id);
    causes.retain(|cause| cause != "turn_began");
    assert_eq!(causes[2..5], ["turn_ended", "turn_ended", "finish"], "{causes:?}");
}

#[test]
fn one_that_is_sent_nothing_is_finished_when_its_time_is_over() {
    let stage = Stage::new();
    let id = stage.begin(&["--interactive", "--idle", "200ms"], &["say hello".to_owned()]);
    stage.run(["wait", &id]).expect(0);
    let session = stage.session(&id);
    assert_eq!(
        (&session["intent"]["kind"], &session["intent"]["by"]),
        (&"finish".into(), &"daemon".into())
    );
    assert_eq!(session["outcome"], "succeeded");
}

#[test]
fn a_turn_comes_to_its_end_before_its_session_is_finished() {
    let stage = Stage::new();
    let go = stage.fifo("go");
    let steps = [format!("await {}", go.display()), "say done".to_owned()];
    let id = stage.begin(&["--interactive"], &steps);
    stage.await_cause(&id, "spawned", 1);
    stage.run(["finish", &id]).expect(0);
    assert_eq!(stage.session(&id)["status"], "completing");
    std::fs::write(&go, "go\n").unwrap();
    stage.run(["wait", &id]).expect(0);
    let session = stage.session(&id);
    assert_eq!(session["agent"]["last_said"], "done");
    assert_eq!(session["evidence"]["rung"], "ask", "no signal was needed: {session:#}");
}

#[test]
fn one_for_a_single_prompt_takes_no_message() {
    let stage = Stage::new();
    let id = stage.begin(&[], &["hang".to_owned()]);
    stage.await_cause(&id, "spawned", 1);
    stage.run(["send", &id, "more"]).expect(125).because(&["--interactive", "candor continue"]);
    stage.run(["send", &id, "--end"]).expect(125).because(&["candor finish"]);
    stage.run(["kill", &id]).expect(0);
    stage.run(["wait", &id]).expect(130);
}

#[test]
fn what_runs_in_the_background_keeps_an_agent_until_it_is_finished() {
    let stage = Stage::new();
    let id = stage.begin(&[], &["background sleep 300".to_owned(), "say done".to_owned()]);
    let mut said = stage.start(["logs", "-f", &id]);
    while !said.line().contains("end of turn") {}
    let session = stage.session(&id);
    assert_eq!(
        (&session["status"], &session["agent"]["in_background"]),
        (&"running".into(), &1.into())
    );
    stage.run(["finish", &id]).expect(0);
    stage.run(["wait", &id]).expect(0);
    assert_eq!(stage.session(&id)["outcome"], "succeeded");
    assert_eq!(stage.session(&id)["evidence"]["left_behind"], 0);
}
