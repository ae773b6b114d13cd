//! The golden block of a timeline, and the same words made of what a real daemon tells.

use candor_harness::timeline::Timeline;
use serde_json::Value;

/// The width of a line's key, as the harness writes it.
const KEY_WIDTH: usize = 5;

/// Returns the words of the block's line with this key, which may go on in further lines.
pub(crate) fn line(timeline: &Timeline, wanted: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut key = "";
    for line in timeline.golden.as_deref().unwrap().lines() {
        let (head, rest) = line.split_at(KEY_WIDTH);
        key = if head.trim().is_empty() { key } else { head.trim() };
        if key == wanted {
            words.extend(rest.split("  ").map(|word| word.trim().to_owned()));
        }
    }
    words
}

/// Returns the story of a session in the same words, made of its events.
pub(crate) fn words(story: &[Value]) -> Vec<String> {
    let mut has_intent = false;
    let mut words = Vec::new();
    for event in story {
        let [from, to, cause, outcome] =
            ["from", "to", "cause", "outcome"].map(|key| event[key].as_str().unwrap_or(""));
        let is_stop = ["interrupt", "kill", "timeout", "shutdown"].contains(&cause);
        let mark = if is_stop && !has_intent { "!" } else { "" };
        has_intent |= is_stop;
        let reason = if to == "completing" { cause } else { outcome };
        let reason = if reason.is_empty() { String::new() } else { format!("({reason})") };
        words.push(match from {
            "" => format!("{to}{reason}{mark}"),
            _ if from == to => format!("+{}{mark}", same_status(cause)),
            _ => format!("> {to}{reason}{mark}"),
        });
    }
    words
}

/// A change that keeps the status is called by its signal, if it is a rung, or else by its cause.
fn same_status(cause: &str) -> &str {
    match cause {
        "rung_interrupt" => "INT",
        "rung_terminate" => "TERM",
        "rung_kill" | "kill" => "KILL",
        other => other,
    }
}

/// Returns what somebody who asked for an end was told, in the words of the line `said`.
pub(crate) fn reply(asked: &str, reply: &Value) -> String {
    let session = &reply["session"];
    let answer = match reply["answer"].as_str().unwrap() {
        "already_stopping" => format!("already stopping: {}", reply["already"].as_str().unwrap()),
        "already_ended" => {
            let [status, outcome] = ["status", "outcome"].map(|key| session[key].as_str().unwrap());
            format!("already ended: {status} {outcome}")
        }
        answer => answer.to_owned(),
    };
    format!("{asked}: {answer};")
}
