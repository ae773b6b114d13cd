//! What an agent asks permission for, and the answers.

use candor_core::agent::Asked;
use serde_json::{Value, json};

use super::super::{Answer, Place, line, reading};
use super::calls::shown;
use super::send;
use super::wire::{Choice, Line, Permission, Shown, part};

/// Bytes of an id or a name, at most.
const NAME_BYTES_MAX: usize = 256;

/// Bytes of a command line that is looked at, at most. No pattern decides about a longer one: cut, it
/// would be taken for what it is not.
const COMMAND_BYTES_MAX: usize = 16 * 1024;

/// Bytes of a path that is looked at, at most. Linux knows none that is longer.
const PATH_BYTES_MAX: usize = 4_096;

/// Files of one request that are looked at, at most. Who wants to change more is to ask.
const PATHS_MAX: usize = 64;

/// A request as it was read.
pub(super) struct Ask {
    pub(super) asked: Asked,
    pub(super) permission: Permission,
}

/// Makes a request of a line, or `None` if it asks for nothing that a user could answer.
pub(super) fn ask(line: &Line, place: Place) -> Option<Ask> {
    let agent_id = line.id.as_ref()?.to_string();
    let permission: Permission = part(line.params.as_deref())?;
    let call = &permission.tool_call;
    let tool = call.kind.clone().unwrap_or_else(|| "other".to_owned());
    let is_named =
        [&agent_id, &tool, &call.tool_call_id].into_iter().all(|name| name.len() <= NAME_BYTES_MAX);
    if !is_named || permission.options.is_empty() {
        return None;
    }
    let all: Value = part(line.params.as_deref())?;
    let input = &all["toolCall"]["rawInput"];
    let command = input["command"].as_str().map(str::to_owned);
    let summary = summary(&permission, input);
    let paths = paths(&permission);
    let asked = Asked {
        agent_id,
        summary: line::summary(&summary),
        // Of any other kind, what it touches is not all that it does.
        paths: if tool == "edit" && command.is_none() { paths } else { Vec::new() },
        command: command.filter(|command| command.len() <= COMMAND_BYTES_MAX),
        digest: line::digest(&tool, &all),
        tool,
        offset: place.offset,
        length: place.length,
    };
    Some(Ask { asked, permission })
}

/// Says what is wanted. Who can only be allowed for good says so.
fn summary(permission: &Permission, input: &Value) -> String {
    let call = &permission.tool_call;
    let mut summary = match &input["command"] {
        Value::String(command) => command.clone(),
        Value::Array(words) => {
            let words = words.iter().map(|word| word.as_str().unwrap_or_default());
            words.collect::<Vec<_>>().join(" ")
        }
        _ => call.title.clone().unwrap_or_default(),
    };
    for more in [call.title.clone(), shown(call.content.as_deref())].into_iter().flatten() {
        if !more.is_empty() && more != summary {
            summary.push('\n');
            summary.push_str(&more);
        }
    }
    if choice(permission, true).is_some_and(|choice| choice.kind.as_deref() != Some("allow_once")) {
        summary.push_str("\nIt can only be allowed for good.");
    }
    summary
}

/// Returns the files that are to be changed, or none of them when they are too many to be looked at.
fn paths(permission: &Permission) -> Vec<String> {
    let call = &permission.tool_call;
    let content: Vec<Shown> = part(call.content.as_deref()).unwrap_or_default();
    let changed = content.iter().filter_map(Shown::changed);
    let located = call.locations.iter().flatten().map(|location| location.path.as_str());
    let mut paths: Vec<String> = Vec::new();
    for path in changed.chain(located) {
        if paths.len() == PATHS_MAX || path.len() > PATH_BYTES_MAX {
            return Vec::new();
        }
        if !paths.iter().any(|known| known == path) {
            paths.push(path.to_owned());
        }
    }
    paths
}

/// Returns the choice that says this and nothing more, or else the one that says it for good.
fn choice(permission: &Permission, approved: bool) -> Option<&Choice> {
    let kinds =
        if approved { ["allow_once", "allow_always"] } else { ["reject_once", "reject_always"] };
    kinds.into_iter().find_map(|kind| {
        permission.options.iter().find(|choice| choice.kind.as_deref() == Some(kind))
    })
}

/// Makes the line that answers a request, or `None` if `line` is not the one that asked: what was
/// looked at is what is answered. The protocol has no words for the message of a denial.
pub(super) fn answer(asked: &Asked, line: &[u8], answer: &Answer) -> Option<Vec<u8>> {
    let place = Place { offset: asked.offset, length: asked.length };
    let ask = ask(&reading::parse(line)?, place)?;
    if ask.asked.digest != asked.digest || ask.asked.agent_id != asked.agent_id {
        return None;
    }
    let outcome = match choice(&ask.permission, answer.approved) {
        Some(choice) => json!({"outcome": "selected", "optionId": choice.option_id}),
        None => json!({"outcome": "cancelled"}),
    };
    send::result(&asked.agent_id, &json!({"outcome": outcome}))
}

/// Makes the line that says of a request that nobody answers it any more, or nobody could.
pub(super) fn cancelled(agent_id: &str) -> Vec<u8> {
    send::result(agent_id, &json!({"outcome": {"outcome": "cancelled"}})).unwrap_or_default()
}
