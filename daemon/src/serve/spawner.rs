//! Who makes the processes of this daemon's sessions.

use std::sync::Arc;

use candor_adapters::process::OutputQuota;
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
    ///
    /// `was_crash` says whether the daemon of before did not leave by itself.
    #[cfg(target_os = "linux")]
    pub(super) fn of(home: &Home, was_crash: bool, output_quota: Option<OutputQuota>) -> Self {
        use candor_adapters::process::shim::{ShimProgram, ShimSpawner};

        #[cfg(candor_failpoints)]
        if std::env::var_os("CANDOR_FAILPOINT_SPAWNER").is_some_and(|name| name == "direct") {
            return Self::direct(home);
        }
        // This very program, and not whatever has its name by now: the two talk to each other.
        let program =
            ShimProgram { path: "/proc/self/exe".into(), arguments: vec![SHIM_WORD.into()] };
        let spawner = ShimSpawner::new(home.sessions(), program).with_output_quota(output_quota);
        let spawner = if was_crash { spawner.after_a_crash() } else { spawner };
        if let Err(error) = spawner.inherit() {
            tracing::warn!(%error, "the end of a session whose shim is killed may be lost");
        }
        Self { spawner: Arc::new(spawner), outlives_daemon: true }
    }

    /// Children of the daemon, which end with it: this system has no shims yet, and nobody to keep
    /// a quota.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn of(home: &Home, _was_crash: bool, _output_quota: Option<OutputQuota>) -> Self {
        Self::direct(home)
    }

    #[cfg(any(candor_failpoints, not(target_os = "linux")))]
    fn direct(home: &Home) -> Self {
        use candor_adapters::process::DirectSpawner;

        Self { spawner: Arc::new(DirectSpawner::new(home.sessions())), outlives_daemon: false }
    }
}
