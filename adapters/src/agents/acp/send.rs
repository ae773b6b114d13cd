//! What is said to the agent: lines of JSON-RPC, each of which is always the same bytes.

use serde_json::{Value, json};

/// The version of the protocol that is spoken here.
pub(super) const VERSION: u64 = 1;

/// The ids of the requests that are sent, of which each is sent once. Those of further messages begin
/// like that of the first.
pub(super) const INITIALIZE: &str = "initialize";
pub(super) const SESSION: &str = "session";
pub(super) const MODE: &str = "mode";
pub(super) const MODEL: &str = "model";
pub(super) const PROMPT: &str = "prompt";

/// Makes a line of an object.
pub(super) fn line(mut object: Value) -> Vec<u8> {
    object["jsonrpc"] = Value::from("2.0");
    let mut line = object.to_string().into_bytes();
    line.push(b'\n');
    line
}

/// Makes a request.
pub(super) fn request(id: &str, method: &str, params: &Value) -> Vec<u8> {
    line(json!({"id": id, "method": method, "params": params}))
}

/// Greets the agent. It is offered neither files nor terminals.
pub(super) fn initialize() -> Vec<u8> {
    let capabilities = json!({
        "fs": {"readTextFile": false, "writeTextFile": false},
        "terminal": false,
    });
    // Not the version of Candor: a daemon of another one, which sends it again, sends the same bytes.
    let client = json!({"name": "candor", "title": "Candor", "version": "1"});
    let params = json!({
        "protocolVersion": VERSION,
        "clientCapabilities": capabilities,
        "clientInfo": client,
    });
    request(INITIALIZE, "initialize", &params)
}

/// Says what to do.
pub(super) fn prompt(id: &str, session: &str, text: &str) -> Vec<u8> {
    let prompt = json!([{"type": "text", "text": text}]);
    request(id, "session/prompt", &json!({"sessionId": session, "prompt": prompt}))
}

/// Chooses what can be chosen.
pub(super) fn choose(id: &str, session: &str, option: &str, value: &str) -> Vec<u8> {
    let params = json!({"sessionId": session, "configId": option, "value": value});
    request(id, "session/set_config_option", &params)
}

/// Asks for the turn to be broken off.
pub(super) fn cancel(session: &str) -> Vec<u8> {
    line(json!({"method": "session/cancel", "params": {"sessionId": session}}))
}

/// Answers a request of the agent's. `id` is its id as JSON.
pub(super) fn result(id: &str, result: &Value) -> Option<Vec<u8>> {
    let id: Value = serde_json::from_str(id).ok()?;
    Some(line(json!({"id": id, "result": result})))
}

/// Refuses a request of the agent's. `id` is its id as JSON.
pub(super) fn error(id: &str, code: i64, message: &str) -> Option<Vec<u8>> {
    let id: Value = serde_json::from_str(id).ok()?;
    Some(line(json!({"id": id, "error": {"code": code, "message": message}})))
}
