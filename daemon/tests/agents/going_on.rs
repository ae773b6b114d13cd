//! Sessions that go on in new ones.

use serde_json::{Value, json};

use crate::kind::Kind;
use crate::stage::{Moment, Stage};
use crate::support::Said;

/// The prompt to which the answer tells how much the model was shown.
fn recall(stage: &Stage) -> &'static str {
    match stage.kind {
        Kind::Replayed => "steps:\nrecall",
        Kind::Claude | Kind::Codex | Kind::Gemini | Kind::Opencode => "and now @@recall",
    }
}

/// Returns how many prompts the model was shown in the session that has just said so.
fn shown(session: &Value) -> u64 {
    let said = session["agent"]["last_said"].as_str().unwrap();
    let number = said.split_whitespace().find_map(|word| word.parse().ok());
    number.unwrap_or_else(|| panic!("{said:?} has no number"))
}

/// Returns how many prompts a model is shown by a session that goes on with none.
fn shown_first(stage: &Stage) -> u64 {
    let session = stage.play(stage.kind.trusted(), recall(stage));
    stage.assert_ended(&session, "completed", "succeeded");
    shown(&session)
}

/// Goes on with a session that has ended, and checks that the model knows what came before.
fn assert_goes_on(stage: &Stage, parent: &str, first: u64) -> Value {
    let id = stage.go_on(parent, &[], recall(stage));
    let session = stage.ended(&id);
    stage.assert_ended(&session, "completed", "succeeded");
    assert_eq!(session["parent"], parent);
    assert_eq!(session["cwd"], stage.session(parent)["cwd"]);
    let shown = shown(&session);
    assert!(shown > first, "{shown} prompts are no more than the {first} of a new session");
    session
}

pub(crate) fn after_an_interrupt(stage: &Stage) {
    let first = shown_first(stage);
    let (prompt, reached) = stage.prompt_for(Moment::Tool);
    let id = stage.begin(stage.kind.trusted(), &prompt);
    stage.await_reached(&reached, &id);
    stage.run(["interrupt", &id]).expect(0);
    let parent = stage.ended(&id);
    stage.assert_interrupted(&parent, "interrupt");
    let child = assert_goes_on(stage, &id, first);
    assert_eq!(child["agent"]["agent_session"], parent["agent"]["agent_session"]);
    assert_eq!(stage.session(&id), parent, "the parent stays as it was");
}

pub(crate) fn after_a_kill_from_outside(stage: &Stage) {
    let first = shown_first(stage);
    let (prompt, reached) = stage.prompt_for(Moment::Tool);
    let id = stage.begin(stage.kind.trusted(), &prompt);
    stage.await_reached(&reached, &id);
    stage.kill_from_outside(&id);
    stage.assert_ended(&stage.ended(&id), "failed", "signal");
    stage.assert_nothing_is_left();
    assert_goes_on(stage, &id, first);
}

/// A copy knows as much, is another session of the agent's, and leaves the first as it was. A live one
/// is stopped, unless it is copied.
pub(crate) fn after_success_and_as_a_copy(stage: &Stage) {
    let parent = stage.play(stage.kind.trusted(), recall(stage));
    let first = shown(&parent);
    let id = parent["id"].as_str().unwrap();
    let child = assert_goes_on(stage, id, first);
    assert_eq!(child["agent"]["agent_session"], parent["agent"]["agent_session"]);
    let copy = stage.ended(&stage.go_on(id, &["--fork"], recall(stage)));
    stage.assert_ended(&copy, "completed", "succeeded");
    assert!(shown(&copy) > first, "{copy:#}");
    assert_ne!(copy["agent"]["agent_session"], parent["agent"]["agent_session"]);
    let (prompt, reached) = stage.prompt_for(Moment::Tool);
    let live = stage.begin(stage.kind.trusted(), &prompt);
    stage.await_reached(&reached, &live);
    let child = assert_goes_on(stage, &live, first);
    let live = stage.ended(&live);
    stage.assert_interrupted(&live, "superseded");
    assert_eq!(live["intent"]["by"], format!("session:{}", child["id"].as_str().unwrap()));
}

/// What the agent has thrown away cannot go on, and says so.
pub(crate) fn what_is_not_there_any_more(stage: &Stage) {
    let parent = stage.play(stage.kind.trusted(), recall(stage));
    let folder = match stage.kind {
        Kind::Replayed => "user/sessions",
        Kind::Claude | Kind::Codex | Kind::Gemini | Kind::Opencode => "user/.claude/projects",
    };
    std::fs::remove_dir_all(stage.path(folder)).unwrap();
    std::fs::create_dir(stage.path(folder)).unwrap();
    let child = stage.ended(&stage.go_on(parent["id"].as_str().unwrap(), &[], recall(stage)));
    stage.assert_ended(&child, "failed", "agent_error");
    let message = child["report"]["message"].as_str().unwrap();
    assert!(message.contains("No conversation found"), "{message}");
    let unknown = Said::by(stage.user(["continue", "ffffffff", "go on"])).expect(125);
    unknown.because(&["ffffffff"]);
    assert_eq!(stage.session(parent["id"].as_str().unwrap())["exit"], json!({"code": 0}));
}
