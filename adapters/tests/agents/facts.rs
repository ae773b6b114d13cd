//! Writes down what a reader has made of a stream, for people and for comparison.

use std::fmt::Write as _;

use candor_adapters::agents::{Agent, Item, Listener};
use candor_core::agent::{AgentSpec, Usage, View};
use candor_core::bytes::ByteString;

/// Bytes of a text that are written down.
const TEXT_BYTES_MAX: usize = 100;

/// Returns what was ordered of an agent whose stream is read.
pub(crate) fn spec(kind: &str) -> AgentSpec {
    AgentSpec {
        kind: kind.to_owned(),
        prompt: "do the thing".to_owned(),
        is_interactive: false,
        resumes: None,
        forks: false,
        agent_session: None,
        model: None,
        permission_mode: None,
        max_turns: None,
        arguments: Vec::new(),
        permissions: candor_core::agent::Permissions::default(),
    }
}

/// Returns the folder that it runs in.
pub(crate) fn folder() -> ByteString {
    ByteString::try_from("/srv/demo").unwrap()
}

/// Returns somebody who listens to an agent.
pub(crate) fn listener(agent: &dyn Agent, spec: &AgentSpec) -> Listener {
    Listener::new(agent.reader(spec, &folder()))
}

/// Hands a whole stream in and writes down what came of it.
pub(crate) fn read(agent: &dyn Agent, spec: &AgentSpec, stdout: &[u8], stderr: &str) -> String {
    let mut listener = listener(agent, spec);
    let mut items = Vec::new();
    listener.take(stdout, &mut items);
    let before_end = listener.view().report_is_final;
    let owed = listener.owed().len();
    listener.end(stderr, &mut items);
    let mut facts = facts(listener.view());
    let _ = writeln!(facts, "final before the end: {before_end}, owed: {owed}");
    for item in &items {
        let _ = writeln!(facts, "{}", line(item));
    }
    facts
}

/// Writes down what is known of a session.
pub(crate) fn facts(view: &View) -> String {
    let learned = &view.learned;
    let mut facts = String::new();
    let report = match &view.report {
        None => "none".to_owned(),
        Some(report) => {
            let word = if report.success { "success" } else { "error" };
            let kind = report.kind.as_deref().unwrap_or("-");
            let message = short(report.message.as_deref().unwrap_or("-"));
            let turns = report.turns.map_or_else(|| "-".to_owned(), |turns| turns.to_string());
            let usage = report.usage.map_or_else(|| "-".to_owned(), tokens);
            format!("{word} {kind} {message}, {turns} turns, {usage} tokens")
        }
    };
    let _ = writeln!(facts, "report: {report}");
    let _ = writeln!(facts, "session: {}", learned.agent_session.as_deref().unwrap_or("-"));
    let _ = writeln!(facts, "model: {}", learned.model.as_deref().unwrap_or("-"));
    let _ = writeln!(facts, "turn: {:?}, ended: {}", view.turn, learned.turns);
    let cost = learned.cost_microusd.map_or_else(|| "-".to_owned(), |cost| cost.to_string());
    let _ = writeln!(facts, "tokens: {}, cost: {cost}", tokens(learned.usage));
    if let Some(trouble) = &learned.trouble {
        let _ = writeln!(facts, "trouble: {:?} {}", trouble.kind, short(&trouble.message));
    }
    for asked in &view.asks {
        let _ = writeln!(facts, "asks: {} {}", asked.tool, short(&asked.summary));
    }
    let said = learned.last_said.as_deref().map_or_else(|| "-".to_owned(), short);
    let _ = writeln!(facts, "last said: {said}");
    let _ = writeln!(facts, "unknown lines: {}", learned.lines_unknown);
    facts
}

/// Writes tokens as read, read from a cache, and written.
fn tokens(usage: Usage) -> String {
    format!("{}+{}/{}", usage.input_tokens, usage.cached_tokens, usage.output_tokens)
}

/// Writes down a piece of a conversation.
pub(crate) fn line(item: &Item) -> String {
    let mut line = format!("{}.{} {:?} {:?}", item.place.offset, item.part, item.role, item.kind);
    for (name, value) in [("tool", &item.tool), ("call", &item.call), ("within", &item.within)] {
        if let Some(value) = value {
            let _ = write!(line, " {name}={value}");
        }
    }
    if item.is_error {
        line.push_str(" error");
    }
    if item.is_cut {
        line.push_str(" cut");
    }
    if let Some(at) = item.at {
        let _ = write!(line, " at={at}");
    }
    if let Some(used) = item.usage {
        let _ = write!(line, " tokens={}", tokens(used.usage));
    }
    let _ = write!(line, " {}", short(&item.text));
    line
}

/// Quotes the beginning of a text.
pub(crate) fn short(text: &str) -> String {
    let head = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
    let rest = text.len() - head.len();
    if rest == 0 { format!("{head:?}") } else { format!("{head:?}+{rest}") }
}
