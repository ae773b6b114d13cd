//! The tools that an agent uses: what it says of one, in several messages, is told as a call and as
//! what came of it.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use super::super::{Item, ItemKind, Place, Role};
use super::wire::{Shown, Update, part};

/// Calls that are remembered, at most. What is said of further ones is told without what was said
/// before.
const CALLS_MAX: usize = 1_024;

/// Bytes of what a call is given that are kept until it is told, at most.
const INPUT_BYTES_MAX: usize = 64 * 1024;

/// What is known of the calls that are not over.
#[derive(Debug, Default)]
pub(super) struct Calls {
    calls: BTreeMap<String, Call>,
}

/// What is known of one.
#[derive(Clone, Debug, Default)]
struct Call {
    kind: Option<String>,
    title: Option<String>,
    input: Option<String>,
    is_told: bool,
}

impl Calls {
    /// Takes what is said of a call. Says whether it is over.
    pub(super) fn take(&mut self, place: Place, update: Update, items: &mut Vec<Item>) -> bool {
        let Some(id) = update.tool_call_id else { return false };
        let mut call = self.calls.remove(&id).unwrap_or_default();
        call.learn(update.kind, update.title, update.raw_input.as_deref());
        let is_over = matches!(update.status.as_deref(), Some("completed" | "failed"));
        if is_over || update.status.as_deref() == Some("in_progress") {
            items.extend(call.tell(place, &id));
        }
        if is_over {
            let is_error = update.status.as_deref() == Some("failed");
            let text = shown(update.content.as_deref())
                .or_else(|| update.raw_output.as_ref().map(output))
                .unwrap_or_default();
            items.push(Item {
                part: u32::from(items.last().is_some_and(|item| item.place == place)),
                call: Some(id),
                is_error,
                ..Item::new(place, Role::Tool, ItemKind::ToolResult, text)
            });
        } else if self.calls.len() < CALLS_MAX {
            self.calls.insert(id, call);
        }
        is_over
    }

    /// Tells of a call that permission is asked for, unless that is done.
    pub(super) fn ask(
        &mut self,
        place: Place,
        id: &str,
        kind: Option<String>,
        title: Option<String>,
        input: Option<&RawValue>,
    ) -> Option<Item> {
        let mut call = self.calls.remove(id).unwrap_or_default();
        call.learn(kind, title, input);
        let told = call.tell(place, id);
        if self.calls.len() < CALLS_MAX {
            self.calls.insert(id.to_owned(), call);
        }
        told
    }

    /// Forgets those that will not be heard of any more.
    pub(super) fn clear(&mut self) {
        self.calls.clear();
    }
}

impl Call {
    fn learn(&mut self, kind: Option<String>, title: Option<String>, input: Option<&RawValue>) {
        self.kind = kind.or_else(|| self.kind.take());
        self.title = title.or_else(|| self.title.take());
        if let Some(input) = input {
            let is_short = input.get().len() <= INPUT_BYTES_MAX;
            self.input = is_short.then(|| input.get().to_owned());
        }
    }

    fn tell(&mut self, place: Place, id: &str) -> Option<Item> {
        if std::mem::replace(&mut self.is_told, true) {
            return None;
        }
        let title = self.title.take().unwrap_or_default();
        let input = self.input.take();
        let text = input.unwrap_or_else(|| serde_json::json!({"title": title}).to_string());
        Some(Item {
            tool: Some(self.kind.clone().unwrap_or_else(|| "other".to_owned())),
            call: Some(id.to_owned()),
            ..Item::new(place, Role::Assistant, ItemKind::ToolCall, text)
        })
    }
}

/// Returns what a tool shows, if it shows anything.
pub(super) fn shown(content: Option<&RawValue>) -> Option<String> {
    let parts: Vec<Shown> = part(content)?;
    let texts: Vec<String> = parts.into_iter().map(Shown::into_text).collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}

/// Returns what a tool gave back, which has no form that all share.
fn output(raw: &Value) -> String {
    match raw.get("output").unwrap_or(raw) {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
