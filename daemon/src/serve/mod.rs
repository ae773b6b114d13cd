//! The daemon: the one place that names the adapters and puts them together.

mod agents;
mod backups;
mod continuation;
mod hooks;
mod input;
mod metrics;
mod queue;
mod refusal;
mod registry;
mod removal;
mod requests;
mod scribe;
mod session_task;
mod shown;
mod shutdown;
mod spawner;
mod start;
mod stash;
mod tail;
#[cfg_attr(not(feature = "otel"), path = "no_telemetry.rs")]
mod telemetry;
pub(crate) mod web;

pub(crate) use agents::{AgentRequest, Wish, accept, asks, message, plan};
pub(crate) use continuation::{ContinueRequest, continue_session};
pub(crate) use hooks::{DEFAULT_WORDS, Webhooks, check_words, try_out};
pub(crate) use input::send;
pub(crate) use metrics::Label;
pub(crate) use queue::own_variables;
pub(crate) use refusal::Refusal;
pub(crate) use registry::Registry;
pub(crate) use removal::{absent, remove, would_remove};
pub(crate) use scribe::printed_bytes;
pub(crate) use session_task::Snapshot;
pub(crate) use shutdown::Parting;
#[cfg(target_os = "linux")]
pub(crate) use spawner::SHIM_WORD;
pub(crate) use start::{Ground, Settings, StartError, run};
pub(crate) use tail::{After, Follower, ReadyEvent, Text};

use std::path::PathBuf;
use std::sync::Arc;

use candor_adapters::process::{Origins, Outputs};
use candor_adapters::recorder::FileRecorder;
use candor_adapters::remains::Remains;
use candor_adapters::sqlite::SqliteStore;
use candor_adapters::sqlite::conversations::Conversations;
use candor_core::time::Timestamp;

/// What every part of the daemon can reach.
pub(crate) struct App {
    pub(crate) registry: Arc<Registry>,
    pub(crate) requests: requests::Requests,
    pub(crate) store: SqliteStore,
    pub(crate) conversations: Conversations,
    scribe: scribe::Scribe,
    pub(crate) metrics: Arc<metrics::Metrics>,
    pub(crate) webhooks: Webhooks,
    pub(crate) bus: Arc<dyn candor_core::ports::EventBus>,
    pub(crate) outputs: Outputs,
    folders: Arc<agents::TemporaryFolders>,
    pub(crate) recorder: Arc<FileRecorder>,
    pub(crate) remains: Remains,
    pub(crate) clock: Arc<dyn candor_core::ports::Clock>,
    pub(crate) ids: Arc<dyn candor_core::ports::IdSource>,
    pub(crate) home: PathBuf,
    pub(crate) backups: PathBuf,
    pub(crate) started_at: Timestamp,
    pub(crate) shutdown: shutdown::Shutdown,
    /// The newest events, for those who follow.
    pub(crate) tail: Arc<tail::Tail>,
    /// One for each who reads old events from the store at one time.
    pub(crate) replays: Arc<tokio::sync::Semaphore>,
    pub(crate) web: web::Web,
    pub(crate) origins: Origins,
}
