//! Every agent that speaks the Agent Client Protocol: JSON-RPC in lines, in both directions.
//!
//! Which program that is, and by which of its arguments it does so, is told by the order: its
//! arguments are the whole command. The program is offered neither files nor terminals: it has its
//! own. What it asks permission for becomes a request.
//!
//! Source: protocol version 1 (<https://agentclientprotocol.com/protocol/overview>); measured with
//! `gemini --acp` of 0.61.0 and `opencode acp` of 1.18.33.

mod asks;
mod calls;
mod means;
mod reader;
mod send;
mod wire;

use std::num::NonZeroU32;
use std::path::Path;

use candor_core::agent::{AgentSpec, Asked, View};
use candor_core::bytes::ByteString;
use candor_core::session::StandardInput;
use candor_core::stop::Graces;

use super::{Agent, Answer, Order, Plan, PlanError, Reader, check, order};
use crate::ids::UuidV7Source;
use reader::AcpReader;

/// An agent that speaks the Agent Client Protocol.
#[derive(Clone, Copy, Debug, Default)]
pub struct Acp;

/// How such an agent is ended: it is asked to break off, which ends its tools too, and the end of its
/// input ends it. Both that were measured are gone within 4 s of that.
const GRACES: Graces = Graces {
    ask_ms: NonZeroU32::new(5_000),
    interrupt_ms: 3_000,
    interrupt_again_ms: NonZeroU32::new(2_000),
    terminate_ms: 3_000,
    linger_ms: 15_000,
};

/// What Gemini CLI needs in order not to start itself once more as its own child, and others do not
/// look at.
const WITHOUT_RELAUNCH: (&str, &str) = ("GEMINI_CLI_NO_RELAUNCH", "1");

impl Agent for Acp {
    fn name(&self) -> &'static str {
        "acp"
    }

    fn program(&self) -> &'static str {
        "an agent that speaks ACP"
    }

    fn program_of(&self, order: &Order) -> Result<ByteString, PlanError> {
        match order.arguments.first() {
            Some(program) if !program.as_bytes().is_empty() && program.as_bytes()[0] != b'-' => {
                Ok(program.clone())
            }
            Some(_) | None => Err(order::refuse(
                "say which program speaks the Agent Client Protocol, and how, behind `--`: such as \
                 `-- gemini --acp` or `-- opencode acp`",
            )),
        }
    }

    fn installation(&self) -> &'static str {
        "install the program that is named behind `--`, or give its path"
    }

    fn plan(&self, order: &Order, program: &Path) -> Result<Plan, PlanError> {
        check::prompt(&order.prompt)?;
        self.program_of(order)?;
        if order.max_turns.is_some() {
            return Err(order::refuse(
                "the Agent Client Protocol has no limit of turns: leave out --max-turns",
            ));
        }
        if std::str::from_utf8(order.cwd.as_bytes()).is_err() {
            return Err(order::refuse(
                "the Agent Client Protocol can only name a folder whose path is UTF-8",
            ));
        }
        if let Some(model) = &order.model {
            check::word("the model", model)?;
        }
        if let Some(mode) = &order.permission_mode {
            check::word("the permission mode", mode)?;
        }
        let mut agent_session = None;
        if let Some(resume) = &order.resume {
            check::word("the agent's session", &resume.agent_session)?;
            agent_session = (!resume.forks).then(|| resume.agent_session.clone());
        }
        let mut command = order::Command::new(program)?;
        command.extend(order.arguments.get(1..).unwrap_or_default());
        let (name, value) = WITHOUT_RELAUNCH;
        Ok(Plan {
            command: command.into_arguments(),
            environment: vec![(check::argument(name)?, check::argument(value)?)],
            without: Vec::new(),
            input: StandardInput::Held,
            graces: GRACES,
            always_reports: true,
            agent_session,
        })
    }

    fn asks(&self) -> bool {
        true
    }

    fn reader(&self, spec: &AgentSpec, cwd: &ByteString) -> Box<dyn Reader> {
        Box::new(AcpReader::new(spec, cwd))
    }

    fn message(&self, view: &View, text: &str) -> Option<Vec<u8>> {
        let session = view.learned.agent_session.as_deref()?;
        // The protocol numbers its requests; nothing but this one's answer bears this number.
        let id = format!("{}-{}", send::PROMPT, UuidV7Source.message_id());
        Some(send::prompt(&id, session, text))
    }

    /// Asks for the turn to be broken off. Whatever waits for an answer then gets one, as the protocol
    /// demands; one that had its answer already does not take notice.
    fn interruption(&self, view: &View) -> Option<Vec<u8>> {
        let session = view.learned.agent_session.as_deref()?;
        let mut bytes = send::cancel(session);
        for asked in &view.asks {
            bytes.extend(asks::cancelled(&asked.agent_id));
        }
        Some(bytes)
    }

    fn answer(&self, asked: &Asked, line: &[u8], answer: &Answer) -> Option<Vec<u8>> {
        asks::answer(asked, line, answer)
    }
}
