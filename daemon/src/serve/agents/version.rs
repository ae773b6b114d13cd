//! Which version an agent's program is of, where what it prints does not tell.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use candor_adapters::agents;
use candor_core::ports::Environment;
use tokio::sync::{Mutex, Notify};

/// Programs whose versions are remembered, at most.
const PROGRAMS_MAX: usize = 64;

/// What the program sees of its caller's environment when it is asked.
const VARIABLES: [&str; 2] = ["HOME", "PATH"];

/// A program, and when it was changed last.
type Program = (PathBuf, SystemTime);

/// What programs have answered, if they have.
#[derive(Clone, Default)]
pub(in crate::serve) struct Versions(Arc<Mutex<HashMap<Program, Option<String>>>>);

/// An answer that may come.
#[derive(Clone, Default)]
pub(super) struct Told {
    version: Arc<OnceLock<String>>,
    came: Arc<Notify>,
}

impl Told {
    pub(super) fn version(&self) -> Option<String> {
        self.version.get().cloned()
    }

    /// Waits until it comes, for ever if it does not.
    ///
    /// Cancel safe.
    pub(super) async fn came(&self) {
        self.came.notified().await;
    }
}

impl Versions {
    /// Asks a program for its version, in the background, unless it was asked before.
    pub(super) fn ask(&self, program: &[u8], environment: &Environment, told: &Told) {
        let program = PathBuf::from(OsStr::from_bytes(program));
        let kept = environment
            .variables()
            .iter()
            .filter(|(name, _)| VARIABLES.iter().any(|kept| name.as_bytes() == kept.as_bytes()));
        let text = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
        let environment: Vec<(OsString, OsString)> =
            kept.map(|(name, value)| (text(name.as_bytes()), text(value.as_bytes()))).collect();
        let (versions, told) = (self.clone(), told.clone());
        tokio::spawn(async move {
            let Some(version) = versions.find(&program, &environment).await else { return };
            let _only_once = told.version.set(version);
            told.came.notify_one();
        });
    }

    async fn find(&self, program: &Path, environment: &[(OsString, OsString)]) -> Option<String> {
        let changed_at = program.metadata().and_then(|file| file.modified()).ok()?;
        let key = (program.to_owned(), changed_at);
        // One at a time, so that many launches ask once; and who gave no answer is not asked again.
        let mut known = self.0.lock().await;
        if let Some(version) = known.get(&key) {
            return version.clone();
        }
        let version = agents::version(program, environment).await;
        if known.len() >= PROGRAMS_MAX {
            known.clear();
        }
        known.insert(key, version.clone());
        version
    }
}
