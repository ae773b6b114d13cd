//! Everything that an agent can say wrongly, as the replayed one says it.

use serde_json::json;

use crate::stage::Stage;

/// An error of the API is the agent's, though it calls it a success.
pub(crate) fn api_fails(stage: &Stage) {
    let go = stage.new_fifo();
    let prompt = format!("steps:\nretry 429\nawait {}\nfailure 429", go.display());
    let id = stage.begin(&[], &prompt);
    // What hinders it is told while it does.
    while stage.session(&id)["agent"]["trouble"]["kind"] != "rate_limit" {}
    std::fs::write(go, "go\n").unwrap();
    let session = stage.ended(&id);
    stage.assert_ended(&session, "failed", "agent_error");
    assert_eq!(session["agent"]["trouble"], json!(null), "{session:#}");
    assert_eq!(session["exit"], json!({"code": 1}));
}

/// Whoever always reports and has not, has failed, whatever its exit code.
pub(crate) fn no_report(stage: &Stage) {
    for steps in ["torn", "say done\nexit 0"] {
        let session = stage.play(&[], &format!("steps:\n{steps}"));
        stage.assert_ended(&session, "failed", "no_report");
        assert_eq!(session["exit"], json!({"code": 0}));
    }
}

/// It is through and stays: its report decides, and it is ended.
pub(crate) fn lingers(stage: &Stage) {
    let id = stage.begin(&[], "steps:\nlinger");
    stage.await_event(&id, |event| event["cause"] == "reported");
    assert_eq!(stage.session(&id)["status"], "completing");
    let session = stage.ended(&id);
    stage.assert_ended(&session, "completed", "succeeded");
    assert_eq!(session["intent"], json!(null));
}

/// A long line, one that is no text, one that nobody knows and a sub-agent's report change nothing.
pub(crate) fn odd_lines(stage: &Stage) {
    let prompt = "steps:\nline 100000000\ngarbage\nprint {\"type\":\"news\"}\nprint no JSON\n\
                  subagent\nsay done";
    let session = stage.play(&[], prompt);
    stage.assert_ended(&session, "completed", "succeeded");
    assert_eq!(session["agent"]["last_said"], "done");
    assert_eq!(session["agent"]["turns"], 1, "{session:#}");
    let unknown = session["agent"]["lines_unknown"].as_u64().unwrap();
    assert!(unknown >= 3, "{session:#}");
    let session = stage.play(&[], "steps:\nsay one\nresult error_max_turns\nresult success");
    stage.assert_ended(&session, "completed", "succeeded");
}

/// A task in the background that ends brings another turn, whose report counts; one that does not is
/// ended with the agent.
pub(crate) fn tasks_in_the_background(stage: &Stage) {
    let go = stage.new_fifo();
    let id = stage.begin(&[], &format!("steps:\nbackground cat {}\nsay left", go.display()));
    stage.await_running(&id);
    std::fs::write(go, "go\n").unwrap();
    let session = stage.ended(&id);
    stage.assert_ended(&session, "completed", "succeeded");
    assert_eq!(session["agent"]["turns"], 2, "{session:#}");
    assert_eq!(session["agent"]["last_said"], "The background task is done.");
}
