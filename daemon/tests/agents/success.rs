//! An agent that does what it was told.

use serde_json::json;

use crate::kind::Kind;
use crate::stage::{Stage, lines_of};

/// It runs a tool, reports, and everything is known of it that there is to know.
pub(crate) fn runs_a_tool_and_reports(stage: &Stage) {
    let prompt = match stage.kind {
        Kind::Replayed => "steps:\ntool echo made >> made\nsay The tool ran.",
        Kind::Claude | Kind::Codex | Kind::Gemini | Kind::Opencode => "@@shell echo made >> made",
    };
    let session = stage.play(stage.kind.trusted(), prompt);
    stage.assert_ended(&session, "completed", "succeeded");
    assert_eq!(lines_of(&stage.work().join("made")), ["made"], "the tool has run once");
    assert_eq!(session["exit"], json!({"code": 0}));
    assert_eq!(session["report"]["success"], true, "{session:#}");
    let agent = &session["agent"];
    assert_eq!(agent["kind"], stage.kind.name());
    assert!(!agent["agent_session"].as_str().unwrap().is_empty(), "{agent}");
    assert!(!agent["version"].as_str().unwrap().is_empty(), "{agent}");
    assert_eq!(agent["turns"], 1, "{agent}");
    assert!(agent["usage"]["output_tokens"].as_u64().unwrap() > 0, "{agent}");
    assert!(agent["last_said"].as_str().unwrap().contains('.'), "{agent}");
    assert_eq!(agent["lines_unknown"], 0, "{agent}");
    if stage.kind.is_claude() {
        assert!(agent["cost_usd"].as_f64().unwrap() > 0.0, "{agent}");
    }
}
