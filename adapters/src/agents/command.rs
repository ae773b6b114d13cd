//! Everything else that can be run: programs that say nothing that Candor would understand.

use std::borrow::Cow;
use std::path::Path;

use candor_core::agent::{AgentSpec, View};
use candor_core::bytes::ByteString;

use super::{Agent, Item, Order, Owed, Place, Plan, PlanError, Reader};

/// A program that is no agent of those that are known. It makes the registry total: whatever word a
/// session was stored with, its lines can be read, and mean nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Command;

impl Agent for Command {
    fn name(&self) -> &'static str {
        "command"
    }

    fn program(&self) -> &'static str {
        ""
    }

    fn installation(&self) -> &'static str {
        "give the program and its arguments after `--`"
    }

    /// Refuses: what such a program is to do is said by its arguments, and not by an order.
    fn plan(&self, _order: &Order, _program: &Path) -> Result<Plan, PlanError> {
        Err(PlanError(Cow::Borrowed(
            "`command` is no agent that takes a prompt: run it as `candor run -- PROGRAM …`",
        )))
    }

    fn reader(&self, _spec: &AgentSpec, _cwd: &ByteString) -> Box<dyn Reader> {
        Box::new(CommandReader::default())
    }
}

/// Understands nothing, and keeps nothing.
#[derive(Default)]
struct CommandReader(View);

impl Reader for CommandReader {
    fn line(&mut self, _place: Place, _line: &[u8], _items: &mut Vec<Item>) {}

    fn oversized_line(&mut self, _place: Place) {}

    fn end(&mut self, _stderr: &str) {}

    fn view(&self) -> &View {
        &self.0
    }

    fn owed(&self) -> Vec<Owed> {
        Vec::new()
    }
}
