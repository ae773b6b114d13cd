//! Who makes the processes of this daemon's sessions.

use std::sync::Arc;

use candor_core::ports::ProcessSpawner;

use crate::home::Home;

/// The first word of the command line of a shim. Nobody types it.
#[cfg(target_os = "linux")]
pub(crate) const SHIM_WORD: &str = "__shim";

/// A spawner, and what becomes of its processes when the daemon leaves.
pub(super) struct Spawning {
    pub(super) spawner: Arc<dyn ProcessSpawner>,
    /// Whether they go on, and the next daemon finds them.
    pub(super) outlives_daemon: bool,
}

impl Spawning {
    /// Shims, so that sessions go on whatever becomes of the daemon.
    #[cfg(target_os = "linux")]
    pub(super) fn of(home: &Home) -> Self {
        use candor_adapters::process::shim::{ShimProgram, ShimSpawner};

        #[cfg(candor_failpoints)]
        if std::env::var_os("CANDOR_FAILPOINT_SPAWNER").is_some_and(|name| name == "direct") {
            return Self::direct(home);
        }
        // This very program, and not whatever has its name by now: the two talk to each other.
        let program =
            ShimProgram { path: "/proc/self/exe".into(), arguments: vec![SHIM_WORD.into()] };
        let spawner = Arc::new(ShimSpawner::new(home.sessions(), program));
        Self { spawner, outlives_daemon: true }
    }

    /// Children of the daemon, which end with it: this system has no shims yet.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn of(home: &Home) -> Self {
        Self::direct(home)
    }

    #[cfg(any(candor_failpoints, not(target_os = "linux")))]
    fn direct(home: &Home) -> Self {
        use candor_adapters::process::DirectSpawner;

        Self { spawner: Arc::new(DirectSpawner::new(home.sessions())), outlives_daemon: false }
    }
}
