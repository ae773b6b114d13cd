//! Models that refuse, fail or are not there, and orders that end a session.

use serde_json::Value;

use crate::kind::Kind;
use crate::stage::Stage;

pub(crate) fn refused_key(stage: &Stage) {
    fails(stage, "401");
}

pub(crate) fn too_many_requests(stage: &Stage) {
    fails(stage, "429");
}

pub(crate) fn server_error(stage: &Stage) {
    fails(stage, "500");
}

pub(crate) fn cut_off(stage: &Stage) {
    fails(stage, "cut");
}

/// A failure that the agent reports is its error, in its own words, and no lie of an exit code.
fn fails(stage: &Stage, scenario: &str) {
    let session = stage.play(stage.kind.trusted(), &format!("do it @@{scenario}"));
    assert_agent_error(stage, &session);
    let request = stage.mock.await_request(scenario);
    assert_eq!(request["attempt"], 1, "the model was asked: {request}");
}

fn assert_agent_error(stage: &Stage, session: &Value) {
    stage.assert_ended(session, "failed", "agent_error");
    let report = &session["report"];
    assert_eq!(report["success"], false, "{report}");
    assert!(report["message"].as_str().is_some_and(|text| !text.is_empty()), "{report}");
    assert_eq!(session["agent"]["trouble"], Value::Null, "what has ended has no trouble");
    stage.tell(format!("{}: {}", report["kind"], session["exit"]));
}

/// Nobody listens. Whoever gives up says so; Codex never does, and can be interrupted meanwhile.
pub(crate) fn nobody_listens(stage: &Stage) {
    let stage = &Stage::refusing(stage.kind);
    if stage.kind == Kind::Codex {
        let id = stage.begin(stage.kind.trusted(), "do it");
        while stage.session(&id)["agent"]["trouble"]["kind"] != "api" {}
        stage.run(["interrupt", &id]).expect(0);
        stage.assert_interrupted(&stage.ended(&id), "interrupt");
    } else {
        let session = stage.play(stage.kind.trusted(), "do it");
        assert_agent_error(stage, &session);
    }
    stage.assert_nothing_is_left();
}

/// The limit of turns is what the agent says it is.
pub(crate) fn max_turns(stage: &Stage) {
    let options = [stage.kind.trusted(), &["--max-turns", "1"]].concat();
    let session = stage.play(&options, "do it @@loop");
    assert_agent_error(stage, &session);
    assert_eq!(session["report"]["kind"], "error_max_turns");
}

/// A tool that is denied does not run, whatever the model makes of it.
pub(crate) fn denied_tool(stage: &Stage) {
    let made = stage.work().join("made");
    let prompt = format!("@@shell touch {}", made.display());
    let session = stage.play(stage.kind.distrusted(), &prompt);
    assert!(!made.exists(), "it has run");
    assert_eq!(session["exit"]["code"], 0, "{session:#}");
    assert_eq!(session["requests"], serde_json::json!([]), "nobody was asked");
    // The others tell their model of it; opencode gives up.
    let (status, outcome) = match stage.kind {
        Kind::Opencode => ("failed", "agent_error"),
        Kind::Claude | Kind::Replayed | Kind::Codex | Kind::Gemini => ("completed", "succeeded"),
    };
    stage.assert_ended(&session, status, outcome);
}
