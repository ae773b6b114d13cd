//! What of a line belongs into the conversation.

use candor_core::time::Timestamp;

use super::asks;
use super::wire::{Block, Content, Line, Object};
use crate::agents::{ITEM_BYTES_MAX, Item, ItemKind, Place, Role, TurnUsage, line};

/// Pieces of one line, at most. A line of today has one.
const PARTS_MAX: u32 = 1_024;

/// What the program says in the model's place.
pub(super) const SYNTHETIC: &str = "<synthetic>";

/// Collects the items of one line.
pub(super) struct Items<'a> {
    items: &'a mut Vec<Item>,
    place: Place,
    part: u32,
    at: Option<Timestamp>,
    within: Option<String>,
    model: Option<String>,
}

impl<'a> Items<'a> {
    pub(super) fn new(items: &'a mut Vec<Item>, place: Place, line: &Line<'_>) -> Self {
        Self {
            items,
            place,
            part: 0,
            at: line.timestamp.as_str().and_then(|text| text.parse().ok()),
            within: line.parent_tool_use_id.as_str().and_then(asks::name),
            model: None,
        }
    }

    fn item(&self, role: Role, kind: ItemKind, text: &str) -> Item {
        // The rest of a long one need not be copied.
        let head = line::head(text, ITEM_BYTES_MAX);
        Item {
            part: self.part,
            is_cut: head.len() < text.len(),
            within: self.within.clone(),
            at: self.at,
            model: self.model.clone(),
            ..Item::new(self.place, role, kind, head)
        }
    }

    fn push(&mut self, item: Item) {
        if self.part < PARTS_MAX {
            self.part += 1;
            self.items.push(item);
        }
    }

    /// Takes something that is worth reading.
    pub(super) fn notice(&mut self, text: &str, is_error: bool) {
        if !text.is_empty() {
            let item = self.item(Role::System, ItemKind::Notice, text);
            self.push(Item { is_error, ..item });
        }
    }

    /// Takes the end of a turn.
    pub(super) fn turn_end(&mut self, text: &str, is_error: bool, usage: TurnUsage) {
        let item = self.item(Role::System, ItemKind::TurnEnd, text);
        self.push(Item { is_error, usage: Some(usage), ..item });
    }

    /// Takes what the model said, or what the program said in its place.
    pub(super) fn assistant(&mut self, line: &Line<'_>) {
        let Object(message) = &line.message;
        let is_synthetic = message.model.as_str() == Some(SYNTHETIC);
        if !is_synthetic {
            self.model = message.model.as_str().and_then(asks::name);
        }
        match &message.content {
            Content::Nothing => {}
            Content::Text(text) => self.said(text, is_synthetic, line.error.is_some()),
            Content::Blocks(blocks) => {
                for Object(block) in blocks {
                    self.assistant_block(block, is_synthetic, line.error.is_some());
                }
            }
        }
    }

    fn said(&mut self, text: &str, is_synthetic: bool, is_error: bool) {
        if is_synthetic {
            self.notice(text, is_error);
        } else if !text.is_empty() {
            self.push(self.item(Role::Assistant, ItemKind::Text, text));
        }
    }

    fn assistant_block(&mut self, block: &Block<'_>, is_synthetic: bool, is_error: bool) {
        match block.kind.or_empty() {
            "text" => self.said(block.text.or_empty(), is_synthetic, is_error),
            "thinking" => {
                let text = block.thinking.or_empty();
                if !text.is_empty() {
                    self.push(self.item(Role::Assistant, ItemKind::Thinking, text));
                }
            }
            "tool_use" | "server_tool_use" | "mcp_tool_use" => {
                let input = block.input.map_or("{}", serde_json::value::RawValue::get);
                let item = self.item(Role::Assistant, ItemKind::ToolCall, input);
                let tool = block.name.as_str().and_then(asks::name);
                let call = block.id.as_str().and_then(asks::name);
                self.push(Item { tool, call, ..item });
            }
            kind if kind.ends_with("tool_result") => self.tool_result(block),
            _ => {}
        }
    }

    /// Takes what a tool answered, and what is said to the model.
    pub(super) fn user(&mut self, line: &Line<'_>) {
        // What the user himself has said is printed once more where that was ordered; what a command of
        // the program's own prints is printed in the same way.
        let is_repeated = line.is_replay.is_set() && !line.is_synthetic.is_set();
        let is_of_program = !is_repeated && (line.is_synthetic.is_set() || self.within.is_none());
        let role = if is_of_program { Role::System } else { Role::User };
        match &line.message.0.content {
            Content::Nothing => {}
            Content::Text(text) => self.told(text, role),
            Content::Blocks(blocks) => {
                for Object(block) in blocks {
                    match block.kind.or_empty() {
                        "tool_result" => self.tool_result(block),
                        "text" => self.told(block.text.or_empty(), role),
                        _ => {}
                    }
                }
            }
        }
    }

    /// Takes what the model was told.
    fn told(&mut self, text: &str, role: Role) {
        match role {
            Role::User if text.starts_with("<local-command-") => self.notice(text, false),
            Role::User if !text.is_empty() => self.push(self.item(role, ItemKind::Text, text)),
            Role::User | Role::Assistant | Role::Tool | Role::System => self.notice(text, false),
        }
    }

    fn tool_result(&mut self, block: &Block<'_>) {
        let item = match &block.content {
            Content::Nothing => self.item(Role::Tool, ItemKind::ToolResult, ""),
            Content::Text(text) => self.item(Role::Tool, ItemKind::ToolResult, text),
            Content::Blocks(blocks) => {
                let text = joined(blocks);
                self.item(Role::Tool, ItemKind::ToolResult, &text)
            }
        };
        let call = block.tool_use_id.as_str().and_then(asks::name);
        self.push(Item { call, is_error: block.is_error.is_set(), ..item });
    }
}

/// Joins the pieces of an answer. What is no text is named by its type.
fn joined(blocks: &[Object<Block<'_>>]) -> String {
    let mut text = String::new();
    for Object(block) in blocks {
        if text.len() > ITEM_BYTES_MAX {
            break;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        match block.kind.or_empty() {
            "text" => text.push_str(line::head(block.text.or_empty(), ITEM_BYTES_MAX + 1)),
            kind => {
                text.push('[');
                text.push_str(line::head(kind, asks::NAME_BYTES_MAX));
                text.push(']');
            }
        }
    }
    text
}
