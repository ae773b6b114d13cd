//! In-memory fakes of every port, which keep the promises of `candor_core::ports`.
//!
//! They share one [`Stage`]. By default each call is answered at once. On a stage that holds calls,
//! a call is only issued, and whoever replays a timeline decides when it takes effect and what is
//! answered.

mod approvals;
mod bus;
mod calls;
mod clock;
mod forge;
mod ids;
mod input;
mod process;
mod programs;
mod recorder;
mod repository;
mod spawner;
mod stage;
mod store;
mod words;

pub use bus::FakeBus;
pub use clock::FakeClock;
pub use ids::FakeIds;
pub use process::FakeProcess;
pub use programs::FakePrograms;
pub use recorder::FakeRecorder;
pub use repository::FakeRepository;
pub use spawner::FakeSpawner;
pub use stage::Stage;

pub(crate) use calls::Call;
pub(crate) use process::signal_number;
pub(crate) use stage::State;
