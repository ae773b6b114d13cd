//! Systems without shims: nobody can tell of one, so what another system has left is not touched.

use std::io;
use std::path::Path;

use candor_core::session::SessionId;

use super::survey::ShimTrace;

/// There is never one.
#[derive(Debug)]
pub struct Fence {
    _private: (),
}

/// Fences a session off from its shim. `None` when there is no folder of one.
///
/// # Errors
///
/// `Unsupported` when there is: it comes from another system. Otherwise what the file system said.
pub fn fence(sessions_folder: &Path, session: SessionId) -> io::Result<Option<Fence>> {
    match std::fs::symlink_metadata(sessions_folder.join(format!("{session}.shim"))) {
        Ok(metadata) if metadata.is_dir() => Err(io::ErrorKind::Unsupported.into()),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Looks at the folder of a session's shim.
///
/// # Errors
///
/// Always `Unsupported`.
pub fn shim_trace(_sessions_folder: &Path, _session: SessionId) -> io::Result<ShimTrace> {
    Err(io::ErrorKind::Unsupported.into())
}
