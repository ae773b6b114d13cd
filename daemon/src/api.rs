//! The shapes that go over the wire, which are also what `--json` prints. Others script against
//! them.

use candor_adapters::sqlite::{Backup, Removal};
use candor_core::agent::Usage;
use candor_core::bytes::ByteString;
use candor_core::event::StoredEvent;
use candor_core::ports;
use candor_core::session::{Note, Session, StandardInput};
use candor_core::status::Status;
use candor_core::stop::Intent;
use candor_core::time::Timestamp;
use candor_core::verdict::{End, Exit, Verdict};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::signal_name;

mod agent;
mod conversation;
mod hook;
mod launch;
mod removal;
pub(crate) mod schema;
mod stream;
pub(crate) mod web;

pub(crate) use agent::{
    AgentView, AnswerRequest, ApprovalView, BypassRequest, RequestView, dollars,
};
pub(crate) use conversation::{
    HitView, HitsView, MessageView, MessagesView, TurnUsageView, UsageView,
};
pub(crate) use hook::{DeliveryView, HookRequest, HookTestView, HookView, NewHookView};
pub(crate) use stream::{SessionEventView, SnapshotView};

pub(crate) use launch::{LaunchRequest, umask};
pub(crate) use removal::{RefusedView, RemovalView, RemovalsView};

/// The header of an answer with output: the offset of its first byte. It is more than was asked for
/// where the bytes in between were dropped, and less where the file was cut off before it.
pub(crate) const OUTPUT_OFFSET: &str = "candor-output-offset";

/// The header of a request that names it.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The header of an answer with a session that an earlier request of the same name has made.
pub(crate) const IDEMPOTENT_REPLAYED: &str = "idempotent-replayed";

/// A session.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct SessionView {
    pub(crate) id: String,
    pub(crate) parent: Option<String>,
    pub(crate) title: Option<String>,
    #[schema(value_type = Vec<schema::ByteString>)]
    pub(crate) command: Vec<ByteString>,
    #[schema(value_type = schema::ByteString)]
    pub(crate) cwd: ByteString,
    /// What its standard input is.
    #[serde(default)]
    #[schema(value_type = schema::StandardInput)]
    pub(crate) input: StandardInput,
    /// The agent that runs in it; null for any other command.
    #[serde(default)]
    pub(crate) agent: Option<AgentView>,
    /// What its agent asks: what is open, and the last of what was closed.
    #[serde(default)]
    pub(crate) requests: Vec<RequestView>,
    /// Until when its agent may do everything without asking.
    #[serde(default)]
    #[schema(format = DateTime)]
    pub(crate) bypass_until: Option<String>,
    #[schema(value_type = schema::Status)]
    pub(crate) status: Status,
    pub(crate) outcome: Option<String>,
    pub(crate) intent: Option<IntentView>,
    pub(crate) exit: Option<ExitView>,
    pub(crate) report: Option<ReportView>,
    pub(crate) evidence: EvidenceView,
    pub(crate) revision: u64,
    #[schema(format = DateTime)]
    pub(crate) created_at: String,
    #[schema(format = DateTime)]
    pub(crate) started_at: Option<String>,
    #[schema(format = DateTime)]
    pub(crate) ended_at: Option<String>,
    pub(crate) supervision: Option<Supervision>,
    /// The exit code that `run` and `wait` end with for this session; null while it lives.
    #[schema(maximum = 255)]
    pub(crate) exit_code: Option<u8>,
}

/// Whether the daemon can reach the process of a live session.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Supervision {
    /// It can.
    Ok,
    /// It cannot tell what became of it, and goes on asking.
    Unreachable,
    /// Its shim was killed, and it runs on: signals reach it, and its exit may be lost.
    Unsupervised,
    /// It has just started, and finds out what became of it.
    Reconciling,
}

impl From<ports::Supervision> for Supervision {
    fn from(supervision: ports::Supervision) -> Self {
        match supervision {
            ports::Supervision::Ok => Self::Ok,
            ports::Supervision::Unreachable => Self::Unreachable,
            ports::Supervision::Unsupervised => Self::Unsupervised,
        }
    }
}

/// Who asked for the end.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct IntentView {
    pub(crate) kind: String,
    pub(crate) by: String,
    #[schema(format = DateTime)]
    pub(crate) at: String,
}

/// What the kernel said of the end.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum ExitView {
    Code {
        #[schema(maximum = 255)]
        code: u8,
    },
    Signal {
        signal: String,
        core_dumped: bool,
    },
}

/// What the agent itself said at its end.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct ReportView {
    pub(crate) success: bool,
    pub(crate) kind: Option<String>,
    pub(crate) message: Option<String>,
    #[serde(default)]
    pub(crate) turns: Option<u32>,
    #[serde(default)]
    pub(crate) cost_usd: Option<f64>,
    #[serde(default)]
    #[schema(value_type = Option<schema::Usage>)]
    pub(crate) usage: Option<Usage>,
}

/// What the verdict rests on, beside intent, exit and report.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct EvidenceView {
    pub(crate) witness: Option<String>,
    pub(crate) report_before_intent: Option<bool>,
    pub(crate) rung: Option<String>,
    pub(crate) spawn: Option<SpawnView>,
    /// Processes that it left behind alive; null where nobody counted.
    #[serde(default)]
    pub(crate) left_behind: Option<u32>,
    /// How much it had printed when its process was gone; null where nobody looked.
    #[serde(default)]
    pub(crate) output: Option<OutputView>,
    pub(crate) notes: Vec<NoteView>,
}

/// Bytes of each output.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct OutputView {
    pub(crate) stdout_bytes: u64,
    pub(crate) stderr_bytes: u64,
}

/// Why there was no process.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct SpawnView {
    pub(crate) stage: String,
    pub(crate) errno: i32,
}

/// Something worth knowing that changed no verdict.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct NoteView {
    #[schema(format = DateTime)]
    pub(crate) at: String,
    pub(crate) text: String,
}

/// One event, as one line.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct EventView {
    pub(crate) seq: u64,
    #[schema(format = Uuid)]
    pub(crate) session: String,
    pub(crate) revision: u64,
    #[schema(format = DateTime)]
    pub(crate) at: String,
    #[serde(rename = "type")]
    pub(crate) kind: EventKind,
    #[schema(value_type = Option<schema::Status>)]
    pub(crate) from: Option<Status>,
    /// Null when the session was removed.
    #[schema(value_type = Option<schema::Status>)]
    pub(crate) to: Option<Status>,
    pub(crate) cause: String,
    pub(crate) by: String,
    pub(crate) outcome: Option<String>,
}

/// Whether the status changed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EventKind {
    /// It did.
    StatusChanged,
    /// Something else did; `from` equals `to`.
    SessionChanged,
    /// The session was deleted, with all its other events; `to` is null.
    SessionRemoved,
}

/// A line among the events that is none: what the reader knows may not be all that there was.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct ResetView {
    /// Where the reader stands: what comes next is after this.
    pub(crate) seq: u64,
    #[serde(rename = "type")]
    pub(crate) kind: ResetKind,
    pub(crate) reason: ResetReason,
}

/// The one word that tells such a line from an event.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ResetKind {
    Reset,
}

/// Why a reader is told to look anew.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ResetReason {
    /// Some events after its cursor are gone, with the sessions that they were of.
    EventsRemoved,
    /// Its cursor is beyond the last event, as after an older database was restored.
    CursorAhead,
}

/// One line of the event log.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum LogLine {
    Event(EventView),
    Reset(ResetView),
}

/// The answer to a message for a session's standard input. A refusal is a problem.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct InputReply {
    pub(crate) answer: InputAnswer,
}

/// How a message was taken.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum InputAnswer {
    /// It is written, once, whatever becomes of the daemon.
    Accepted,
}

/// The answer to a request to stop.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct StopReply {
    pub(crate) answer: StopAnswer,
    /// What the session was stopping for already, if it was.
    pub(crate) already: Option<String>,
    pub(crate) session: SessionView,
}

/// How a request to stop was taken.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StopAnswer {
    Accepted,
    AlreadyStopping,
    AlreadyEnded,
}

/// The daemon itself.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct DaemonView {
    pub(crate) pid: u32,
    pub(crate) version: String,
    pub(crate) home: String,
    #[schema(format = DateTime)]
    pub(crate) started_at: String,
    pub(crate) stopping: bool,
    /// How many live sessions of an earlier daemon are still being looked for.
    pub(crate) reconciling: usize,
    pub(crate) last_seq: u64,
    /// The newest copy of the database, if there is one.
    pub(crate) last_backup: Option<BackupView>,
    /// How many sessions there are of each status.
    #[schema(value_type = std::collections::BTreeMap<String, u64>)]
    pub(crate) sessions: std::collections::BTreeMap<Status, u64>,
}

/// A copy of the database.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct BackupView {
    #[schema(format = DateTime)]
    pub(crate) at: String,
    pub(crate) path: String,
    pub(crate) bytes: u64,
}

/// An error, as RFC 9457 has it.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct Problem {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) title: String,
    pub(crate) status: u16,
    pub(crate) detail: String,
}

/// Writes a time as RFC 3339 in UTC with microseconds, always of one length.
pub(crate) fn time_text(at: Timestamp) -> String {
    format!("{at:.6}")
}

impl SessionView {
    pub(crate) fn new(session: &Session, supervision: Option<Supervision>) -> Self {
        Self {
            id: session.id.to_string(),
            parent: session.parent.map(|parent| parent.to_string()),
            title: session.spec.title.clone(),
            command: session.spec.command.clone(),
            cwd: session.spec.cwd.clone(),
            input: session.spec.input,
            agent: AgentView::new(session),
            requests: session.requests.iter().map(|it| RequestView::new(session, it)).collect(),
            bypass_until: session.bypass_until.map(time_text),
            status: session.status(),
            outcome: session.verdict().map(|verdict| verdict.outcome().to_owned()),
            intent: session.intent.as_ref().map(IntentView::new),
            exit: session.exit().map(ExitView::new),
            report: session.report.as_ref().map(|report| ReportView {
                success: report.success,
                kind: report.kind.clone(),
                message: report.message.clone(),
                turns: report.turns,
                cost_usd: report.cost_microusd.map(dollars),
                usage: report.usage,
            }),
            evidence: EvidenceView::new(session),
            revision: session.revision().number(),
            created_at: time_text(session.created_at),
            started_at: session.started_at.map(time_text),
            ended_at: session.ended_at.map(time_text),
            supervision: supervision.filter(|_| !session.status().is_terminal()),
            exit_code: crate::exit_code::of_session(session),
        }
    }
}

impl BackupView {
    pub(crate) fn new(backup: &Backup) -> Self {
        Self {
            at: time_text(backup.at),
            path: backup.path.to_string_lossy().into_owned(),
            bytes: backup.bytes,
        }
    }
}

impl IntentView {
    fn new(intent: &Intent) -> Self {
        Self { kind: intent.kind.to_string(), by: intent.by.to_string(), at: time_text(intent.at) }
    }
}

impl ExitView {
    fn new(exit: Exit) -> Self {
        match exit {
            Exit::Code(code) => Self::Code { code },
            Exit::Signal { number, core_dumped } => {
                Self::Signal { signal: signal_name::of(number), core_dumped }
            }
        }
    }
}

impl EvidenceView {
    fn new(session: &Session) -> Self {
        let machine = &session.machine;
        Self {
            witness: session.sighting.witness.map(|witness| witness.as_str().to_owned()),
            report_before_intent: machine.report().map(|report| report.before_intent),
            rung: machine.rung().map(|rung| rung.to_string()),
            spawn: match machine.end() {
                Some(End::Refused { stage, errno }) => {
                    Some(SpawnView { stage: stage.as_str().to_owned(), errno })
                }
                Some(End::NeverRan | End::Exited { .. } | End::Unknown(_)) | None => None,
            },
            left_behind: session.sighting.left_behind,
            output: session.sighting.output.map(|output| OutputView {
                stdout_bytes: output.stdout_bytes,
                stderr_bytes: output.stderr_bytes,
            }),
            notes: session
                .notes
                .iter()
                .map(|Note { at, text }| NoteView { at: time_text(*at), text: text.clone() })
                .collect(),
        }
    }
}

impl EventView {
    pub(crate) fn new(stored: &StoredEvent) -> Self {
        let event = &stored.event;
        Self {
            seq: stored.seq.number(),
            session: event.session.to_string(),
            revision: event.revision.number(),
            at: time_text(event.at),
            kind: if event.from == Some(event.to) {
                EventKind::SessionChanged
            } else {
                EventKind::StatusChanged
            },
            from: event.from,
            to: Some(event.to),
            cause: event.cause.to_string(),
            by: event.by.to_string(),
            outcome: event.verdict.map(Verdict::outcome).map(str::to_owned),
        }
    }

    pub(crate) fn removed(removal: &Removal) -> Self {
        Self {
            seq: removal.seq.number(),
            session: removal.session.to_string(),
            revision: removal.revision.number(),
            at: time_text(removal.at),
            kind: EventKind::SessionRemoved,
            from: Some(removal.from),
            to: None,
            cause: "removed".to_owned(),
            by: removal.by.to_string(),
            outcome: None,
        }
    }
}
