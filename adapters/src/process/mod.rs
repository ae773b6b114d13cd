//! Processes, and what becomes of them. There are two spawners: the one below, and on Linux
//! `shim::ShimSpawner`, whose processes outlive the daemon. Both make processes in the same way.
//!
//! [`DirectSpawner`] forks, so that the daemon itself is the parent that the kernel tells of every
//! exit. The price: when the daemon is killed, nobody is left who could learn how its children
//! end. A later [`attach`](candor_core::ports::ProcessSpawner::attach) therefore ends what it
//! still finds of them, and says that their exit is lost.
//!
//! What lies on disk, below the folder of sessions:
//!
//! | name | what |
//! |---|---|
//! | `<id>/` | the session's folder, 0700; making it is the claim on the launch |
//! | `<id>/stdout`, `<id>/stderr` | its output, 0600: the child's own descriptors, opened for append |
//! | `<id>/gaps` | what of them was dropped: see `quota.rs` |
//! | `<id>.identity` | who the process is: see `identity.rs` |
//! | `<id>.shim/` | in its stead, where there is a shim: see `shim/place.rs` |
//!
//! The identity lies *beside* the folder, so that a user who removes a session's folder does not
//! take away the only means to find its process.
//!
//! The whole of Candor's `unsafe` is in this folder, each piece with its reason. No pid, path or
//! descriptor leaves it through a port.

mod attach;
mod background;
mod child;
mod departure;
mod feeder;
mod files;
mod follow;
mod identity;
mod input;
mod launch;
#[cfg(not(target_os = "linux"))]
mod no_origin;
#[cfg(not(target_os = "linux"))]
mod no_shim;
#[cfg(not(target_os = "linux"))]
mod no_tcp_peer;
mod open_files;
#[cfg(target_os = "linux")]
mod origin;
mod output;
mod plan;
mod platform;
mod private;
mod quota;
mod readiness;
mod record;
mod registry;
#[cfg(target_os = "linux")]
pub mod shim;
mod signals;
#[cfg(target_os = "linux")]
mod spare;
mod spawn;
mod spawner;
mod survey;
#[cfg(target_os = "linux")]
mod tcp_peer;
mod turns;

pub use background::become_daemon;
pub use departure::await_end_of;
pub use follow::Follower;
#[cfg(not(target_os = "linux"))]
pub use no_origin::{Origin, Origins, PeerProcess};
#[cfg(not(target_os = "linux"))]
pub use no_shim::{Fence, fence, shim_trace};
#[cfg(not(target_os = "linux"))]
pub use no_tcp_peer::TcpPeer;
pub use open_files::raise_open_files;
#[cfg(target_os = "linux")]
pub use origin::{Origin, Origins, PeerProcess};
pub use output::{Chunk, OUTPUT_CHUNK_BYTES_MAX, OutputReader, Outputs, Stream};
pub use platform::boot_id;
pub use private::keep_private;
pub use quota::{Gap, OUTPUT_QUOTA_BYTES_DEFAULT, OUTPUT_QUOTA_BYTES_MIN, OutputQuota};
#[cfg(target_os = "linux")]
pub use shim::{Fence, fence, shim_trace};
pub use spawner::DirectSpawner;
pub use survey::{Piece, ShimLife, ShimTrace, Trace, has_outputs, trace};
#[cfg(target_os = "linux")]
pub use tcp_peer::TcpPeer;

/// The variable that tells a session's processes which session they are of.
pub const SESSION_MARK: &str = "CANDOR_SESSION";
