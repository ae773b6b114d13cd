//! The ports of `candor-core` on a real machine. No decision is made here.
//!
//! | port | where |
//! |---|---|
//! | `Repository` | [`sqlite`] |
//! | `ProcessSpawner`, `Process` | [`process`] |
//! | `EventBus` | [`bus`] |
//! | `Clock` | [`clock`] |
//! | `IdSource` | [`ids`] |
//! | `Recorder` | [`recorder`] |
//!
//! [`remains`] removes what they leave on disk of a session that was deleted.
//! [`webhook`] delivers what somebody outside wants to be told.

pub mod agents;
pub mod bus;
pub mod clock;
pub mod failpoint;
pub mod ids;
pub mod process;
pub mod recorder;
pub mod remains;
pub mod sqlite;
pub mod webhook;
