//! What a program says on standard error when it does not even begin.
//!
//! Source: measured with Codex 0.169.0, Gemini CLI 0.61.0 and opencode 1.18.33.

use candor_adapters::agents::{Agent, Codex, Gemini, OpenCode};

use super::facts;

/// Returns the kind and the message that are reported.
fn told(agent: &dyn Agent, stdout: &str, stderr: &str) -> Option<(String, String)> {
    let mut listener = facts::listener(agent, &facts::spec(agent.name()));
    listener.take(stdout.as_bytes(), &mut Vec::new());
    listener.end(stderr, &mut Vec::new());
    let report = listener.view().report.clone()?;
    assert!(!report.success);
    Some((report.kind.unwrap(), report.message.unwrap()))
}

#[track_caller]
fn check(agent: &dyn Agent, stderr: &str, kind: &str, message: &str) {
    let told = told(agent, "", stderr);
    assert_eq!(told, Some((kind.to_owned(), message.to_owned())), "{stderr}");
}

#[test]
fn codex_says_what_it_does_not_have() {
    let missing = "Error: thread/resume: thread/resume failed: no rollout found for thread id \
                   11111111-2222-4333-8444-555555555555 (code -32600)";
    let warning = "WARNING: proceeding, even though we could not create PATH aliases: error: x";
    check(&Codex, &format!("{warning}\n{missing}\n"), "no_session", missing);
    let prompt = "Reading prompt from stdin...\nNo prompt provided via stdin.\n";
    check(&Codex, prompt, "no_prompt", "No prompt provided via stdin.");
    let config = "Error loading config.toml:\n/home/.codex/config.toml:4:6: key with no value\n";
    check(&Codex, config, "bad_configuration", "Error loading config.toml:");
    let flag = "error: unexpected argument '--no-such-flag' found\n\n  tip: to pass";
    check(&Codex, flag, "bad_arguments", "error: unexpected argument '--no-such-flag' found");
}

#[test]
fn gemini_says_what_it_does_not_have() {
    let noise = "Ripgrep is not available. Falling back to GrepTool.";
    let none = "Error resuming session: No previous sessions found for this project.";
    check(&Gemini, &format!("{noise}\n{none}\n"), "no_session", none);
    let invalid = "Error resuming session: Invalid session identifier \
                   \"01a20211-a25b-7983-940a-15b8b5ed0900\".";
    check(
        &Gemini,
        &format!("{invalid}\n  Searched for sessions in /home\n"),
        "no_session",
        invalid,
    );
    let exists = "Error starting session: Session ID \"01a2\" already exists. Use --resume to \
                  resume it, or provide a different ID.";
    check(&Gemini, exists, "session_exists", exists);
    let input = "No input provided via stdin. Input can be provided by piping data into gemini or \
                 using the --prompt option.";
    check(&Gemini, &format!("{noise}\n{input}\n"), "no_prompt", input);
    let key = "When using Gemini API, you must specify the GEMINI_API_KEY environment variable.";
    check(&Gemini, key, "authentication_failed", key);
}

#[test]
fn opencode_says_what_it_does_not_have_and_its_colours_are_left_out() {
    let missing = "\u{1b}[91m\u{1b}[1mError: \u{1b}[0mSession not found\n";
    check(&OpenCode, missing, "no_session", "Error: Session not found");
    let prompt = "\u{1b}[91m\u{1b}[1mError: \u{1b}[0mYou must provide a message or a command\n";
    check(&OpenCode, prompt, "no_prompt", "Error: You must provide a message or a command");
}

#[test]
fn an_exit_that_nobody_knows_is_left_to_speak_for_itself() {
    for agent in [&Codex as &dyn Agent, &Gemini, &OpenCode] {
        for stderr in ["", "Segmentation fault", "thread 'main' panicked", "\u{1b}[", "\u{1b}[1"] {
            assert_eq!(told(agent, "", stderr), None, "{} {stderr}", agent.name());
        }
    }
}

/// Old noise is no reason for an end that came later.
#[test]
fn what_has_begun_is_judged_by_what_it_printed() {
    let codex = "{\"type\":\"thread.started\",\"thread_id\":\"t\"}\n{\"type\":\"turn.started\"}\n";
    assert_eq!(told(&Codex, codex, "no rollout found for thread id t"), None);
    let gemini = "{\"type\":\"init\",\"session_id\":\"s\",\"model\":\"m\"}\n";
    assert_eq!(told(&Gemini, gemini, "No previous sessions found for this project."), None);
    let opencode = "{\"type\":\"step_start\",\"sessionID\":\"ses_1\",\"part\":{}}\n";
    assert_eq!(told(&OpenCode, opencode, "Session not found"), None);
}

#[test]
fn a_refused_permission_is_told_when_it_was_the_end() {
    let step = "{\"type\":\"step_start\",\"part\":{}}\n";
    let tool = "{\"type\":\"tool_use\",\"part\":{\"tool\":\"bash\",\"state\":{\"status\":\"error\",\
                \"error\":\"denied\"}}}\n";
    let finish = "{\"type\":\"step_finish\",\"part\":{\"reason\":\"tool-calls\"}}\n";
    let stderr = "! permission requested: external_directory (/srv/*); auto-rejecting\n";
    let kind = |stdout: &str| told(&OpenCode, stdout, stderr).map(|(kind, _)| kind);
    assert_eq!(kind(&[step, tool, finish].concat()).as_deref(), Some("permission_rejected"));
    assert_eq!(kind(&[step, tool, finish, step].concat()), None);
}
