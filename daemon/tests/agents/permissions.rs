//! What agents ask their users.

use serde_json::Value;

use crate::kind::Kind;
use crate::stage::Stage;

/// Returns a prompt to which the agent asks whether it may run these commands, one after the other.
fn prompt(stage: &Stage, command: &str) -> String {
    match stage.kind {
        Kind::Replayed => format!("steps:\nask {command}\nsay done"),
        Kind::Claude | Kind::Codex | Kind::Gemini | Kind::Opencode => format!("@@shell {command}"),
    }
}

/// Launches, and waits until it asks. Returns the session's id and the request.
fn ask(stage: &Stage, command: &str) -> (String, Value) {
    let id = stage.begin(&[], &prompt(stage, command));
    stage.await_event(&id, |event| event["to"] == "waiting_input");
    let requests = stage.session(&id)["requests"].clone();
    let [request] = &requests.as_array().unwrap()[..] else { panic!("{requests}") };
    assert_eq!((&request["state"], &request["tool"]), (&"open".into(), &"Bash".into()));
    assert!(request["summary"].as_str().unwrap().contains(command), "{request}");
    let listed = stage.run(["approvals", "--json"]).expect(0).json();
    assert_eq!(listed[0]["request"], *request, "{listed}");
    (id, request.clone())
}

/// Approved it runs, denied it does not, and nobody answers twice.
pub(crate) fn approved_and_denied(stage: &Stage) {
    for (verb, state, runs) in [("approve", "approved", true), ("deny", "denied", false)] {
        let made = stage.work().join(verb);
        let (id, request) = ask(stage, &format!("touch {}", made.display()));
        let name = request["id"].as_str().unwrap();
        stage.run([verb, name, "--message", "so it is"]).expect(0);
        let session = stage.ended(&id);
        stage.assert_ended(&session, "completed", "succeeded");
        assert_eq!(made.exists(), runs, "{verb}");
        let request = &session["requests"][0];
        assert_eq!((&request["state"], &request["message"]), (&state.into(), &"so it is".into()));
        stage.run(["approve", name]).expect(125).because(&[&format!("{state} before")]);
        assert_eq!(stage.session(&id), session, "an answer that comes too late changes nothing");
        let causes: Vec<_> = stage.story(&id).iter().map(|event| event["cause"].clone()).collect();
        let opened = causes.iter().position(|cause| cause == "request_opened").unwrap();
        assert_eq!(causes[opened + 1], "request_closed", "{causes:?}");
    }
}

/// A stop withdraws what is open, and no answer is taken any more.
pub(crate) fn withdrawn_by_a_stop(stage: &Stage) {
    let made = stage.work().join("made");
    let (id, request) = ask(stage, &format!("touch {}", made.display()));
    stage.run(["interrupt", &id]).expect(0);
    let session = stage.ended(&id);
    stage.assert_interrupted(&session, "interrupt");
    assert_eq!(session["requests"][0]["state"], "withdrawn", "{session:#}");
    stage.run(["approve", request["id"].as_str().unwrap()]).expect(125);
    assert!(!made.exists(), "it has run");
}
