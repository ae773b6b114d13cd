//! Where the workspace lies, from wherever somebody stands in it: verbs take their own paths as they
//! were typed, and find the corpus and the lock by themselves.

use std::env;
use std::path::{Path, PathBuf};

/// Where the corpus lies in the workspace, which also tells a workspace from other folders.
const CORPUS: &str = "harness/timelines";

/// Returns the path of something in the workspace, as short as it can be told here.
#[must_use]
pub fn in_workspace(path: &str) -> PathBuf {
    root().join(path)
}

/// Returns the folder of the corpus.
#[must_use]
pub fn corpus() -> PathBuf {
    in_workspace(CORPUS)
}

/// Returns this folder or the first above it that holds the corpus; else the one that cargo runs
/// this from. The empty path stands for this folder.
fn root() -> PathBuf {
    let is_root = |folder: &Path| folder.join(CORPUS).is_dir();
    if is_root(Path::new("")) {
        return PathBuf::new();
    }
    let here = env::current_dir().unwrap_or_default();
    let package = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let above = here.ancestors().chain(package.as_deref().and_then(Path::parent));
    above.into_iter().find(|folder| is_root(folder)).map(Path::to_path_buf).unwrap_or_default()
}
