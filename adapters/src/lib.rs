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

pub mod bus;
pub mod clock;
pub mod failpoint;
pub mod ids;
pub mod process;
pub mod recorder;
pub mod sqlite;
