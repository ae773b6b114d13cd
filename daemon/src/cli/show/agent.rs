//! What `candor show` says of an agent.

use candor_core::agent::RequestState;
use candor_core::status::Status;
use candor_core::time::Timestamp;

use crate::api::{AgentView, ReportView, RequestView, SessionView};
use crate::duration::text_of_seconds;

/// A silence that is worth telling, in seconds. An answer that is long to come is silent, too.
const SILENCE_SECONDS_MIN: i64 = 60;

/// Returns what there is to say of the agent of a session, name by name.
pub(super) fn facts(session: &SessionView, now: Timestamp) -> Vec<(&'static str, String)> {
    let Some(agent) = &session.agent else { return Vec::new() };
    let silence = silence(session, now).map(|silence| ("silent", silence));
    facts_of(agent).into_iter().chain(silence).collect()
}

/// Returns what a session's agent has asked, and what passes without.
pub(super) fn requests(session: &SessionView) -> Vec<(&'static str, String)> {
    let asked = session.requests.iter().map(|request| ("asked for", request_text(request)));
    let until = session.bypass_until.as_ref();
    let bypass = until.map(|until| ("bypass", format!("everything passes until {until}")));
    asked.chain(bypass).collect()
}

/// Returns what there is to say of an agent.
fn facts_of(agent: &AgentView) -> Vec<(&'static str, String)> {
    let with = |name: &str, value: &Option<String>| {
        value.as_ref().map_or_else(String::new, |value| format!(" {name}{value}"))
    };
    let mut facts = vec![(
        "agent",
        format!("{}{}{}", agent.kind, with("", &agent.version), with("with ", &agent.model)),
    )];
    let mut fact = |name, value: Option<String>| facts.extend(value.map(|value| (name, value)));
    fact("prompt", Some(first_line(&agent.prompt)));
    fact("its id", agent.agent_session.clone());
    fact("turns", (agent.turns > 0).then(|| agent.turns.to_string()));
    let trouble = agent.trouble.as_ref();
    fact(
        "trouble",
        trouble.map(|trouble| format!("{}{}", trouble.message, with("until ", &trouble.until))),
    );
    fact("said", agent.last_said.as_deref().filter(|said| !said.is_empty()).map(first_line));
    facts
}

/// Says for how long a working agent has printed nothing, where that is long. None gives up on a model
/// that never answers, so somebody has to notice.
fn silence(session: &SessionView, now: Timestamp) -> Option<String> {
    let agent = session.agent.as_ref().filter(|_| session.status == Status::Running)?;
    let since = agent.printed_at.as_ref().or(session.started_at.as_ref())?;
    let seconds = now.as_second() - since.parse::<Timestamp>().ok()?.as_second();
    (seconds >= SILENCE_SECONDS_MIN).then(|| {
        format!("for {}: its model may not answer, or a tool works", text_of_seconds(seconds))
    })
}

/// Returns the first line of a text, with a sign where there is more.
fn first_line(text: &str) -> String {
    let mut lines = text.trim().lines();
    let first = lines.next().unwrap_or_default();
    if lines.next().is_some() { format!("{first} …") } else { first.to_owned() }
}

fn request_text(request: &RequestView) -> String {
    let RequestView { id, tool, summary, .. } = request;
    let how = match request.state {
        RequestState::Open => "open: `candor approve` or `candor deny`",
        RequestState::Approved => "approved",
        RequestState::Denied => "denied",
        RequestState::Withdrawn => "withdrawn",
    };
    let by = request.by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
    format!("{id} {tool} ({how}{by}): {}", first_line(summary))
}

/// Says what an agent used, if it told.
pub(super) fn used(report: &ReportView) -> Option<String> {
    let tokens = report.usage.map(|usage| {
        format!(
            "{} tokens in, {} from its cache, {} out",
            usage.input_tokens, usage.cached_tokens, usage.output_tokens
        )
    });
    let cost = report.cost_usd.map(|cost| format!("${cost:.4}"));
    let parts: Vec<String> = [tokens, cost].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Says what a session waits for, or what hinders its agent.
pub(super) fn waiting_text(session: &SessionView) -> Option<String> {
    let agent = session.agent.as_ref()?;
    let status = session.status;
    if status == Status::Running && agent.in_background > 0 {
        let tasks = match agent.in_background {
            1 => "a task runs".to_owned(),
            count => format!("{count} tasks run"),
        };
        return Some(format!(
            "{status}: its turn has ended, and {tasks} in the background; `candor finish` ends it"
        ));
    }
    if status != Status::WaitingInput {
        let trouble = agent.trouble.as_ref()?;
        return Some(format!("{status}: {}", first_line(&trouble.message)));
    }
    let open = session.requests.iter().filter(|request| request.state == RequestState::Open);
    let open: Vec<&str> = open.map(|request| request.id.as_str()).collect();
    Some(match &open[..] {
        [] => format!("{status}: it has ended its turn; `candor send` gives it the next message"),
        [one] => format!("{status}: for an answer to {one} (`candor approvals`)"),
        several => format!("{status}: for answers to {} (`candor approvals`)", several.join(", ")),
    })
}

/// Says what an agent reported that called its own work a failure.
pub(super) fn agent_error_text(session: &SessionView) -> String {
    let report = session.report.as_ref();
    let kind = report.and_then(|report| report.kind.clone()).unwrap_or_default();
    match report.and_then(|report| report.message.as_deref()) {
        Some(message) => format!("{kind}: {}", first_line(message)),
        None => format!("the agent reported an error {kind}").trim_end().to_owned(),
    }
}

/// Returns the command that orders the same once more. `cwd` is as a shell would take it.
pub(super) fn run_again(agent: &AgentView, cwd: &str) -> String {
    let quoted = |word: &String| shlex::try_quote(word).unwrap_or_default().into_owned();
    let mut words = vec!["candor".to_owned(), agent.kind.clone()];
    for (option, value) in
        [("--model", &agent.model_ordered), ("--permission-mode", &agent.permission_mode)]
    {
        words.extend(value.iter().map(|value| format!("{option} {}", quoted(value))));
    }
    words.extend(agent.max_turns.map(|turns| format!("--max-turns {turns}")));
    words.extend(agent.interactive.then(|| "--interactive".to_owned()));
    words.extend([format!("--cwd {cwd}"), "--".to_owned(), quoted(&agent.prompt)]);
    if !agent.arguments.is_empty() {
        words.push(super::command_line(&agent.arguments));
    }
    words.join(" ")
}
