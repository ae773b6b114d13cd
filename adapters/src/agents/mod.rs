//! Agents: how each of their programs is started, and what its lines mean. No decisions.
//!
//! An [`Agent`] is one program that Candor knows. It turns an [`Order`] into a [`Plan`], and makes a
//! [`Reader`] for each session, which is handed the lines of standard output one by one. A reader is
//! a pure function of the lines that it was handed: a new daemon reads everything again and stands
//! where the old one stood. Whatever an agent prints, nothing here panics, grows without bound or
//! gives up: what cannot be understood is counted.

mod acp;
mod check;
mod claude;
mod codex;
mod find;
mod gemini;
mod line;
mod listener;
mod one_prompt;
mod opencode;
mod order;
mod reading;
mod registry;
mod talk;
mod version;

pub use acp::Acp;
pub use check::prompt as check_prompt;
pub use claude::Claude;
pub use codex::Codex;
pub use find::{FindError, find};
pub use gemini::Gemini;
pub use listener::Listener;
pub use opencode::OpenCode;
pub use registry::{all, by_name};
pub use version::version;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use candor_core::agent::{AgentSpec, Asked, View};
use candor_core::bytes::ByteString;
use candor_core::session::{SessionId, StandardInput};
use candor_core::stop::Graces;
use candor_core::time::Timestamp;

/// Bytes of a prompt or a further message, at most. What is longer belongs into a file.
pub const PROMPT_BYTES_MAX: usize = 512 * 1024;

/// Bytes of a line that is understood, at most. A longer one is counted as unknown.
pub const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// One program that Candor knows how to start and to understand.
pub trait Agent: Send + Sync {
    /// Returns the word by which it is ordered, such as `claude`.
    fn name(&self) -> &'static str;

    /// Returns the name of its program, to be looked for in `PATH`.
    fn program(&self) -> &'static str;

    /// Returns the name or the path of the program that an order is for, to be looked for in `PATH`
    /// where it is a name. It differs from [`Agent::program`] where the order names the program.
    ///
    /// # Errors
    ///
    /// A sentence that says what to change in the order.
    fn program_of(&self, _order: &Order) -> Result<ByteString, PlanError> {
        ByteString::try_from(self.program())
            .map_err(|_| PlanError(Cow::Borrowed("the program's name holds a NUL")))
    }

    /// Returns a sentence that says how to get it.
    fn installation(&self) -> &'static str;

    /// Returns the program that is to be run instead of the one that was found: a launcher gives its
    /// place to what it would launch. It may look at files and runs nothing.
    fn instead_of(&self, found: &Path) -> PathBuf {
        found.to_owned()
    }

    /// Returns how to start it. Every value in the order is the user's, and is checked.
    ///
    /// # Errors
    ///
    /// A sentence that says what to change in the order. Nothing was started.
    fn plan(&self, order: &Order, program: &Path) -> Result<Plan, PlanError>;

    /// Says whether what it prints tells its version, so that its program need not be asked.
    fn tells_version(&self) -> bool {
        false
    }

    /// Returns a reader of what a session prints that was started after `spec` in the folder `cwd`.
    fn reader(&self, spec: &AgentSpec, cwd: &ByteString) -> Box<dyn Reader>;

    /// Returns the bytes that give it a further message, or `None` if it takes none, or none yet.
    fn message(&self, _view: &View, _text: &str) -> Option<Vec<u8>> {
        None
    }

    /// Says whether it asks its user for permission, so that somebody can answer. The others are told
    /// beforehand, in their own words, what they may do.
    fn asks(&self) -> bool {
        false
    }

    /// Returns the bytes that ask it politely to break off what it does, if that can be said to it on
    /// standard input. `None` makes the ladder begin with a signal.
    fn interruption(&self, _view: &View) -> Option<Vec<u8>> {
        None
    }

    /// Returns the bytes that answer a request. `line` is the line that asked; where that cannot be had
    /// any more it is empty, and what is answered is a denial.
    fn answer(&self, _asked: &Asked, _line: &[u8], _answer: &Answer) -> Option<Vec<u8>> {
        None
    }
}

/// What somebody wants of an agent.
#[derive(Clone, Debug)]
pub struct Order {
    /// The session that is to be launched. Names that an agent lets its caller choose are made of it.
    pub session: SessionId,
    /// What to do first. Not empty, and at most [`PROMPT_BYTES_MAX`].
    pub prompt: String,
    /// The folder that it runs in.
    pub cwd: ByteString,
    /// Which model to use, in the agent's own word.
    pub model: Option<String>,
    /// How it is to ask for permission, in the agent's own word.
    pub permission_mode: Option<String>,
    /// After how many turns it is to stop.
    pub max_turns: Option<u32>,
    /// Whether it is given further messages; otherwise it ends after its first turn.
    pub is_interactive: bool,
    /// The agent's own session that it goes on with.
    pub resume: Option<Resume>,
    /// Arguments that are passed on as they are.
    pub arguments: Vec<ByteString>,
}

/// Which of its own sessions an agent goes on with.
#[derive(Clone, Debug)]
pub struct Resume {
    /// The agent's own name for it.
    pub agent_session: String,
    /// Whether it goes on with a copy.
    pub forks: bool,
}

/// How to start an agent.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The program and its arguments. No secret is in it: everybody on the machine can read it.
    pub command: Vec<ByteString>,
    /// Variables that are set in addition to the caller's.
    pub environment: Vec<(ByteString, ByteString)>,
    /// Variables of the caller's that it must not see.
    pub without: Vec<ByteString>,
    /// What its standard input is.
    pub input: StandardInput,
    /// The steps that end it.
    pub graces: Graces,
    /// Whether it always reports when it ends by itself.
    pub always_reports: bool,
    /// Its own name for its session, where that is chosen before the start.
    pub agent_session: Option<String>,
}

/// Why an order cannot be carried out: a sentence that says what to change.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct PlanError(pub Cow<'static, str>);

/// An answer to a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// Whether it may.
    pub approved: bool,
    /// What it is told.
    pub message: Option<String>,
}

/// Reads what one session prints.
pub trait Reader: Send + Sync {
    /// Takes the next line of standard output, without its end. What of it belongs into the
    /// conversation is appended to `items`.
    fn line(&mut self, place: Place, line: &[u8], items: &mut Vec<Item>);

    /// Takes note that a line was longer than [`LINE_BYTES_MAX`] and is not handed in.
    fn oversized_line(&mut self, place: Place);

    /// Takes note that the process has ended: nothing follows, and the last line is whole or torn.
    /// `stderr` is the end of standard error. What it had not reported by now it will not report; a
    /// report that might have been followed by another is final.
    fn end(&mut self, stderr: &str);

    /// Takes what of the conversation was held back to be put together with what follows. To be called
    /// after [`Reader::end`].
    fn rest(&mut self) -> Option<Item> {
        None
    }

    /// Returns what was said so far.
    fn view(&self) -> &View;

    /// Returns what is to be sent to the process now and was not answered yet, by what it has said:
    /// the prompt until it begins, an answer to a greeting, the end of its input when it is through.
    /// Sent twice by the same key, it arrives once.
    fn owed(&self) -> Vec<Owed>;
}

/// Where a line stands in standard output.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Place {
    /// The offset of its first byte.
    pub offset: u64,
    /// Its length in bytes, without its end.
    pub length: u64,
}

/// Something that is to be written to an agent's standard input.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Owed {
    /// Tells it from everything else that this session is owed. Below [`OWED_KEYS_MAX`].
    pub key: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Whether its input ends with it.
    pub is_last: bool,
}

/// Keys of [`Owed`] are below this; above it are those of the daemon.
pub const OWED_KEYS_MAX: u64 = 1 << 62;

/// A piece of a conversation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Item {
    /// Where the line stands that it was read from.
    pub place: Place,
    /// Which piece of that line it is, from 0.
    pub part: u32,
    /// Who says it.
    pub role: Role,
    /// What it is.
    pub kind: ItemKind,
    /// Its text: what is said, what a tool is given as JSON, what it answered. Where it is longer than
    /// [`ITEM_BYTES_MAX`] it is cut, and the rest stands in the raw line.
    pub text: String,
    /// Whether it was cut.
    pub is_cut: bool,
    /// The name of the tool, for calls.
    pub tool: Option<String>,
    /// The agent's own name for the call, for calls and their results.
    pub call: Option<String>,
    /// Whether a result is an error.
    pub is_error: bool,
    /// The call within which a sub-agent says it, if one does.
    pub within: Option<String>,
    /// When it was said, if the agent tells.
    pub at: Option<Timestamp>,
    /// The model that said it, if the agent tells.
    pub model: Option<String>,
    /// Tokens and cost of the turn, for [`ItemKind::TurnEnd`].
    pub usage: Option<TurnUsage>,
}

impl Item {
    /// Makes a piece of what is said, which is cut where it is too long.
    #[must_use]
    pub fn new(place: Place, role: Role, kind: ItemKind, text: impl Into<String>) -> Self {
        let mut text = text.into();
        let is_cut = text.len() > ITEM_BYTES_MAX;
        text.truncate(text.floor_char_boundary(ITEM_BYTES_MAX));
        Self {
            place,
            part: 0,
            role,
            kind,
            text,
            is_cut,
            tool: None,
            call: None,
            is_error: false,
            within: None,
            at: None,
            model: None,
            usage: None,
        }
    }
}

/// What a turn used.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TurnUsage {
    /// Tokens.
    pub usage: candor_core::agent::Usage,
    /// Its cost in millionths of a US dollar, if the agent says so.
    pub cost_microusd: Option<u64>,
}

/// Bytes of an item's text, at most.
pub const ITEM_BYTES_MAX: usize = 256 * 1024;

/// Who says something in a conversation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// The user.
    User,
    /// The model.
    Assistant,
    /// A tool.
    Tool,
    /// The agent's program.
    System,
}

/// The kinds of items.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ItemKind {
    /// Something said.
    Text,
    /// Something thought.
    Thinking,
    /// A tool is to be used.
    ToolCall,
    /// What came of it.
    ToolResult,
    /// The end of a turn, with what the agent says of it.
    TurnEnd,
    /// Something else that is worth reading, such as an error that is tried again.
    Notice,
}
