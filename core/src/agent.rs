//! What core knows of agents: what was ordered of one, what it said, and what follows from that.
//!
//! How a program is started and what its lines mean is the business of an adapter. An adapter turns
//! lines into a [`View`]; [`View::next`] compares it with the session as it is stored, and says what
//! is to be handed in, one thing at a time. So it makes no difference how much was read at once, or
//! that a new daemon reads everything again.

use alloc::borrow::ToOwned as _;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::bytes::ByteString;
use crate::happening::Happening;
use crate::session::{Report, Session};
use crate::status::Status;
use crate::stop::{Actor, StopKind};
use crate::time::Timestamp;
use crate::verdict::{End, Exit};

/// What was ordered of an agent. Fixed at the launch.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AgentSpec {
    /// The name of its adapter, such as `claude`.
    pub kind: String,
    /// What it is to do first.
    pub prompt: String,
    /// Whether it is given further messages; otherwise it ends after its first turn.
    pub is_interactive: bool,
    /// The agent's own session that it goes on with, if it does.
    pub resumes: Option<String>,
    /// Whether it goes on with a copy of that session.
    pub forks: bool,
    /// The agent's own name for its session, where it is chosen before the start.
    pub agent_session: Option<String>,
    /// Which model it was to use.
    #[serde(default)]
    pub model: Option<String>,
    /// How it was to ask for permission, in its own word.
    #[serde(default)]
    pub permission_mode: Option<String>,
    /// After how many turns it was to stop.
    #[serde(default)]
    pub max_turns: Option<u32>,
    /// Further arguments, as they were given.
    #[serde(default)]
    pub arguments: Vec<ByteString>,
    /// What it may do without being asked about.
    #[serde(default)]
    pub permissions: Permissions,
}

/// What an agent may do without being asked about. The first that fits decides: deny, allow, edits.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Permissions {
    /// Patterns of what is denied.
    pub deny: Vec<String>,
    /// Patterns of what is allowed.
    pub allow: Vec<String>,
    /// Whether it may change files in the session's folder.
    pub edits_in_folder: bool,
}

/// Tokens, as the agent counts them.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Usage {
    /// Tokens that were read, those from a cache not among them.
    pub input_tokens: u64,
    /// Tokens that were read from a cache.
    pub cached_tokens: u64,
    /// Tokens that were written.
    pub output_tokens: u64,
}

/// What hinders an agent at the moment.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Trouble {
    /// What it is.
    pub kind: TroubleKind,
    /// A sentence of the agent's, or about it.
    pub message: String,
    /// When it is expected to be over, if the agent said so.
    pub until: Option<Timestamp>,
}

/// The kinds of trouble.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TroubleKind {
    /// The provider lets it wait, or refuses it, for the number of its requests.
    RateLimit,
    /// The provider cannot be reached, or answers with errors, and the agent tries again.
    Api,
}

/// What became known of an agent's session while it ran. It decides nothing.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Learned {
    /// The agent's own name for its session, by which it can be continued.
    pub agent_session: Option<String>,
    /// The model that it uses.
    pub model: Option<String>,
    /// The version that it told of itself.
    pub version: Option<String>,
    /// How many turns it has ended.
    pub turns: u32,
    /// What it has used so far.
    pub usage: Usage,
    /// What it has cost so far, in millionths of a US dollar, if the agent says so.
    pub cost_microusd: Option<u64>,
    /// Lines that nobody could make sense of.
    pub lines_unknown: u64,
    /// What hinders it now.
    pub trouble: Option<Trouble>,
    /// The end of what it last said to its user, at most [`SAID_BYTES_MAX`].
    pub last_said: Option<String>,
    /// How many tasks of its own still run in the background although its turn has ended, and keep it
    /// from its end.
    pub in_background: u32,
    /// When it last printed anything, to the second.
    pub printed_at: Option<Timestamp>,
}

/// Bytes of [`Learned::last_said`], at most.
pub const SAID_BYTES_MAX: usize = 2_048;

/// Bytes of [`Asked::summary`], at most.
pub const SUMMARY_BYTES_MAX: usize = 2_048;

/// What an agent asks its user, as it was read.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Asked {
    /// The agent's own name for the request; the answer must bear it.
    pub agent_id: String,
    /// The tool that it wants to use, in the agent's word.
    pub tool: String,
    /// What it wants to do with it, for a person, at most [`SUMMARY_BYTES_MAX`].
    pub summary: String,
    /// The command line that it wants to run, if that is what it wants.
    pub command: Option<String>,
    /// The files that it wants to change, if that is what it wants.
    pub paths: Vec<String>,
    /// The SHA-256 of all that is asked, in hexadecimal: what is answered is this and nothing else.
    pub digest: String,
    /// Where the line that asks begins in standard output. It names the request.
    pub offset: u64,
    /// How long that line is, in bytes, without its end.
    pub length: u64,
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestState {
    /// It waits for an answer.
    Open,
    /// It was allowed.
    Approved,
    /// It was denied.
    Denied,
    /// Nobody needs an answer any more.
    Withdrawn,
}

/// A request as it is stored.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Request {
    /// Counts the requests of one session, from 1.
    pub number: u32,
    /// What is asked.
    pub asked: Asked,
    /// Where it stands.
    pub state: RequestState,
    /// When it was stored.
    pub opened_at: Timestamp,
    /// When it was answered or withdrawn.
    pub closed_at: Option<Timestamp>,
    /// Who answered.
    pub by: Option<Actor>,
    /// What the agent is told with the answer.
    pub message: Option<String>,
}

/// Requests that are kept in a row after they were closed: the last so many, from when the next one
/// is opened. Until then an answer may still have to be sent.
pub const REQUESTS_CLOSED_MAX: usize = 16;

/// Requests of one session that may be open at the same time. What is asked beyond that is denied.
pub const REQUESTS_OPEN_MAX: usize = 64;

/// A person's answer to a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Decision {
    /// Whether it may.
    pub approved: bool,
    /// What the agent is told with it.
    pub message: Option<String>,
    /// Who decided.
    pub by: Actor,
}

/// Where an agent's turns stand.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Turn {
    /// It has not begun its first.
    #[default]
    NotBegun,
    /// It is in one.
    Begun,
    /// It has ended one, and waits for the next message.
    Ended,
}

/// What an agent has said so far, as far as it matters to its session.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct View {
    /// Where its turns stand.
    pub turn: Turn,
    /// What it asks and has not withdrawn, oldest first.
    pub asks: Vec<Asked>,
    /// The last report that it gave.
    pub report: Option<Report>,
    /// Whether no further turn can follow on the report. It stays so once it was.
    pub report_is_final: bool,
    /// What else became known. Its [`turns`](Learned::turns) tell turns apart.
    pub learned: Learned,
}

impl Permissions {
    /// Returns the first pattern that can mean nothing, such as one whose bracket is not closed.
    #[must_use]
    pub fn malformed(&self) -> Option<&str> {
        let mut all = self.deny.iter().chain(&self.allow);
        all.find(|text| Pattern::of(text).is_none()).map(String::as_str)
    }

    /// Says what is decided without anybody being asked, or `None` when the user is to decide.
    ///
    /// `paths_are_inside` says that all files it wants to change lie in the session's folder, symbolic
    /// links followed.
    #[must_use]
    pub fn decide(&self, asked: &Asked, paths_are_inside: bool) -> Option<bool> {
        let subjects = subjects(asked);
        let is_of_tool = |pattern: &&Pattern<'_>| pattern.tool == asked.tool;
        let deny: Vec<_> = self.deny.iter().filter_map(|text| Pattern::of(text)).collect();
        if deny.iter().any(|pattern| pattern.is_begun_by(asked, &subjects)) {
            return Some(false);
        }
        // What is denied may hide behind what comes first.
        let may_hide = subjects.is_empty() || !subjects.iter().all(|subject| is_plain(subject));
        if may_hide && deny.iter().any(|pattern| is_of_tool(&pattern)) {
            return None;
        }
        let mut allow = self.allow.iter().filter_map(|text| Pattern::of(text));
        let is_edit = !asked.paths.is_empty() && asked.command.is_none();
        let is_allowed = allow.any(|pattern| pattern.fits_all(asked, &subjects))
            || (self.edits_in_folder && is_edit && paths_are_inside);
        is_allowed.then_some(true)
    }
}

/// What is denied or allowed: `Tool` any use of the tool, `*` of any, `Tool(text)` the command or the
/// files that are exactly this, `Tool(text*)` those that begin like this.
struct Pattern<'a> {
    tool: &'a str,
    /// The text, and whether more may follow.
    subject: Option<(&'a str, bool)>,
}

impl<'a> Pattern<'a> {
    /// Returns what a text means, or `None` where it means nothing.
    fn of(text: &'a str) -> Option<Self> {
        let Some((tool, rest)) = text.split_once('(') else {
            return (!text.is_empty()).then_some(Self { tool: text, subject: None });
        };
        let subject = rest.strip_suffix(')')?;
        let is_open = subject.ends_with('*');
        let subject = Some((subject.strip_suffix('*').unwrap_or(subject), is_open));
        Some(Self { tool, subject })
    }

    /// Says whether one of the subjects is, or begins with, what is meant.
    fn is_begun_by(&self, asked: &Asked, subjects: &[&str]) -> bool {
        match self.subject {
            None => self.tool == "*" || self.tool == asked.tool,
            Some((text, is_open)) => {
                let begins = |subject: &&str| {
                    let subject = subject.trim();
                    if is_open { subject.starts_with(text) } else { subject == text }
                };
                self.tool == asked.tool && subjects.iter().any(begins)
            }
        }
    }

    /// Says whether all of the subjects are what is meant, and nothing else besides.
    ///
    /// A command that a shell would take for more than one fits no pattern with a star: what is
    /// allowed to begin is not allowed to go on as something else.
    fn fits_all(&self, asked: &Asked, subjects: &[&str]) -> bool {
        match self.subject {
            None => self.tool == "*" || self.tool == asked.tool,
            Some((text, is_open)) => {
                let fits = |subject: &&str| {
                    let begins = subject.starts_with(text) && is_simple(subject);
                    if is_open { begins } else { *subject == text }
                };
                self.tool == asked.tool && !subjects.is_empty() && subjects.iter().all(fits)
            }
        }
    }
}

/// Returns what a pattern with a text is compared with: the command, or else the files.
fn subjects(asked: &Asked) -> Vec<&str> {
    match &asked.command {
        Some(command) => Vec::from([command.as_str()]),
        None => asked.paths.iter().map(String::as_str).collect(),
    }
}

/// Says whether a shell would take a command for one simple command that leads to no parent folder.
fn is_simple(command: &str) -> bool {
    let parts = |text: char| !(text.is_alphanumeric() || matches!(text, '.' | '_' | '-'));
    !command.contains([';', '&', '|', '<', '>', '`', '$', '(', ')', '{', '}', '\n', '\r', '\\'])
        && !command.split(parts).any(|part| part.ends_with(".."))
}

/// Says whether a shell would take a command for just the words that stand there: what is denied may be
/// written in other ways.
fn is_plain(command: &str) -> bool {
    is_simple(command)
        && !command.contains(['\'', '"', '=', '\t', '*', '?', '[', '~', '!', '#', '%', '^'])
        && !command.contains("  ")
}

impl Request {
    /// Says whether it waits for an answer.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == RequestState::Open
    }
}

impl View {
    /// Returns what is to be handed in next, so that the session comes to say what its agent has
    /// said, or `None` when it does. Each is to be handed in before the next is asked for.
    ///
    /// `is_over` says that the process has ended and all that it printed was read. Hand in what was
    /// [learned](crate::supervisor::Supervisor::learn) before, and ask only when all is read that
    /// there was at the start: what is not asked yet counts as withdrawn.
    #[must_use]
    pub fn next(&self, session: &Session, is_over: bool) -> Option<Happening> {
        let machine = &session.machine;
        if is_over {
            return self.last_report(session).map(Happening::Reported);
        }
        match session.status() {
            Status::Running | Status::WaitingInput => {}
            Status::Completing if machine.is_up() => return self.final_report(session),
            Status::Queued
            | Status::Starting
            | Status::Completing
            | Status::Completed
            | Status::Failed
            | Status::Lost => return None,
        }
        let is_asked =
            |request: &&Request| self.asks.iter().any(|asked| asked.offset == request.asked.offset);
        if let Some(gone) = session
            .requests
            .iter()
            .filter(|request| request.is_open())
            .find(|request| !is_asked(request))
        {
            return Some(Happening::RequestWithdrawn { number: gone.number });
        }
        let new = self.asks.iter().find(|asked| asked.offset >= session.requests_read_to);
        if let Some(asked) = new
            && usize::from(machine.requests_open()) < REQUESTS_OPEN_MAX
        {
            return Some(Happening::RequestOpened(Box::new(asked.clone())));
        }
        match (self.turn, machine.awaits_message()) {
            // Without a further end of a turn it has been given a message that it has not begun on; with
            // one, while it waits, a turn came and went between two looks.
            (Turn::Ended, true | false)
                if session.is_interactive() && session.learned.turns > session.turns_ended =>
            {
                return Some(Happening::TurnEnded);
            }
            (Turn::Begun, true) => {
                return Some(Happening::TurnBegan { turns_ended: session.turns_ended });
            }
            (Turn::NotBegun | Turn::Begun | Turn::Ended, true | false) => {}
        }
        self.final_report(session)
    }

    fn final_report(&self, session: &Session) -> Option<Happening> {
        if !self.report_is_final || session.machine.report().is_some() {
            return None;
        }
        self.report.clone().map(Happening::Reported)
    }

    /// Returns what is to be handed in before the end of the process is, when all that it printed was
    /// read, or `None` when there is nothing more.
    ///
    /// An agent that waits for messages and is killed by somebody else has not reported its end: what
    /// it said of its last turn is not about what it might have done next.
    #[must_use]
    pub fn before_end(&self, session: &Session, end: Option<End>) -> Option<Happening> {
        let left_by_itself = matches!(end, Some(End::Exited { exit: Exit::Code(_), .. }));
        let is_finished = session.machine.intent() == Some(StopKind::Finish);
        if session.is_interactive() && !left_by_itself && !is_finished {
            return None;
        }
        self.next(session, true)
    }

    /// Returns the report that counts at the end, unless it is known. What is said after somebody
    /// asked for the end changes nothing that was said before.
    fn last_report(&self, session: &Session) -> Option<Report> {
        if session.status().is_terminal() || session.status() == Status::Queued {
            return None;
        }
        let report = self.report.as_ref()?;
        let is_known = session.report.as_deref() == Some(report);
        let mark = session.machine.report();
        let is_settled = mark.is_some()
            && matches!(
                session.machine.intent(),
                Some(
                    StopKind::Interrupt
                        | StopKind::Kill
                        | StopKind::Timeout
                        | StopKind::Shutdown
                        | StopKind::Superseded
                )
            );
        (!is_known && !is_settled).then(|| report.clone())
    }
}

/// Cuts a text to so many bytes, at the beginning of a character.
#[must_use]
pub fn cut(text: &str, bytes_max: usize) -> String {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
