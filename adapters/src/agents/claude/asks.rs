//! What Claude Code asks its user, and the answers.

use candor_core::agent::Asked;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::wire::{Line, Object};
use crate::agents::{Answer, Place, line};

/// Bytes of an id or a tool's name, at most. Those of the program have 40.
pub(super) const NAME_BYTES_MAX: usize = 256;

/// Bytes of a command line that is looked at, at most. No pattern decides about a longer one: cut, it
/// would be taken for what it is not.
const COMMAND_BYTES_MAX: usize = 16 * 1024;

/// Bytes of a path that is looked at, at most. Linux knows none that is longer.
const PATH_BYTES_MAX: usize = 4_096;

/// What a tool that is denied without a word is told.
const DENIED: &str = "The user does not allow this.";

/// A request as it was read.
pub(super) struct Ask {
    pub(super) asked: Asked,
    /// The call that it is about: its result closes the request.
    pub(super) call: Option<String>,
}

/// Makes a request of a line, or `None` if the line asks for nothing that a user could answer.
pub(super) fn ask(line: &Line<'_>, place: Place) -> Option<Ask> {
    let Object(request) = &line.request;
    if request.subtype.as_str() != Some("can_use_tool") {
        return None;
    }
    let agent_id = name(line.request_id.as_str()?)?;
    let tool = name(request.tool_name.as_str()?)?;
    let input: Value = serde_json::from_str(request.input?.get()).ok()?;
    let path = edited(&tool, &input);
    let command = match path {
        Some(_) => None,
        None => input["command"].as_str().filter(|command| command.len() <= COMMAND_BYTES_MAX),
    };
    let summary = summary(&tool, &input, request.description.or_empty());
    let asked = Asked {
        agent_id,
        summary: line::summary(&summary),
        command: command.map(str::to_owned),
        paths: path
            .filter(|path| path.len() <= PATH_BYTES_MAX)
            .map(str::to_owned)
            .into_iter()
            .collect(),
        digest: line::digest(&tool, &input),
        tool,
        offset: place.offset,
        length: place.length,
    };
    Some(Ask { asked, call: request.tool_use_id.as_str().and_then(name) })
}

/// Returns a name, unless it is too long for one.
pub(super) fn name(text: &str) -> Option<String> {
    (text.len() <= NAME_BYTES_MAX).then(|| text.to_owned())
}

/// Returns the file that a tool changes, if it is one that changes files.
fn edited<'a>(tool: &str, input: &'a Value) -> Option<&'a str> {
    let key = match tool {
        "Edit" | "MultiEdit" | "Write" => "file_path",
        "NotebookEdit" => "notebook_path",
        _ => return None,
    };
    input[key].as_str()
}

/// Says what a tool is to be used for. What the model calls it comes last: it may be wrong.
fn summary(tool: &str, input: &Value, description: &str) -> String {
    let text = |key: &str| input[key].as_str();
    if let Some(path) = edited(tool, input) {
        return path.to_owned();
    }
    if tool == "AskUserQuestion"
        && let Some(questions) = input["questions"].as_array()
    {
        return questions.iter().map(question).collect::<Vec<_>>().join("\n");
    }
    let what = ["command", "plan", "url", "file_path", "query"].into_iter().find_map(text);
    match (what, description) {
        (Some(what), _) => what.to_owned(),
        (None, "") => input.to_string(),
        (None, description) => format!("{input} ({description})"),
    }
}

fn question(question: &Value) -> String {
    let options = question["options"].as_array().map(Vec::as_slice).unwrap_or_default();
    let labels: Vec<_> = options.iter().filter_map(|option| option["label"].as_str()).collect();
    let text = question["question"].as_str().unwrap_or_default();
    if labels.is_empty() { text.to_owned() } else { format!("{text} ({})", labels.join(", ")) }
}

/// Makes the line that answers a request, or `None` if `line` is not the one that asked: what was
/// looked at is what is answered.
pub(super) fn answer(asked: &Asked, line: &[u8], answer: &Answer) -> Option<Vec<u8>> {
    if line.is_empty() && !answer.approved {
        return Some(denial(&asked.agent_id, answer.message.as_deref().unwrap_or("denied")));
    }
    let text = line::text(line);
    let read: Line<'_> = serde_json::from_str(&text).ok()?;
    let place = Place { offset: asked.offset, length: asked.length };
    let ask = ask(&read, place)?;
    if ask.asked.digest != asked.digest || ask.asked.agent_id != asked.agent_id {
        return None;
    }
    let input = read.request.0.input?;
    let message = answer.message.as_deref();
    let response = if answer.approved {
        let input = match (asked.tool.as_str(), message) {
            ("AskUserQuestion", Some(message)) => with_answers(input, message)?,
            _ => input.get().to_owned(),
        };
        // The input goes back as it came, to the byte.
        let input = RawValue::from_string(input).ok()?;
        #[derive(serde::Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Allow {
            behavior: &'static str,
            updated_input: Box<RawValue>,
        }
        serde_json::value::to_raw_value(&Allow { behavior: "allow", updated_input: input }).ok()?
    } else {
        let message = message.unwrap_or(DENIED);
        serde_json::value::to_raw_value(&json!({"behavior": "deny", "message": message})).ok()?
    };
    Some(control_response(&asked.agent_id, &response))
}

/// Gives every question of an `AskUserQuestion` the same answer: there is one message.
fn with_answers(input: &RawValue, message: &str) -> Option<String> {
    let mut input: Value = serde_json::from_str(input.get()).ok()?;
    let questions = input["questions"].as_array()?;
    let texts = questions.iter().filter_map(|question| question["question"].as_str());
    let answers: serde_json::Map<_, _> =
        texts.map(|text| (text.to_owned(), Value::from(message))).collect();
    input.as_object_mut()?.insert("answers".to_owned(), Value::Object(answers));
    Some(input.to_string())
}

fn control_response(request_id: &str, response: &RawValue) -> Vec<u8> {
    #[derive(serde::Serialize)]
    struct Success<'a> {
        subtype: &'static str,
        request_id: &'a str,
        response: &'a RawValue,
    }
    #[derive(serde::Serialize)]
    struct ControlResponse<'a> {
        r#type: &'static str,
        response: Success<'a>,
    }
    let response = Success { subtype: "success", request_id, response };
    super::json_line(&ControlResponse { r#type: "control_response", response })
}

/// Makes the line that denies a request without anybody having been asked.
pub(super) fn denial(request_id: &str, message: &str) -> Vec<u8> {
    let response = json!({"behavior": "deny", "message": message});
    super::json_line(&json!({
        "type": "control_response",
        "response": {"subtype": "success", "request_id": request_id, "response": response},
    }))
}

/// Makes the line that says of a request that nobody here knows what it wants.
pub(super) fn unsupported(request_id: &str) -> Vec<u8> {
    super::json_line(&json!({
        "type": "control_response",
        "response": {"subtype": "error", "request_id": request_id, "error": "not supported"},
    }))
}
