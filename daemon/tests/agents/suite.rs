//! How a test of the suite runs, and what it leaves for `cargo xtask agents` to tell.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::kind::Kind;
use crate::stage::Stage;
use crate::support;

/// The folder of the installed programs.
const PROGRAMS: &str = "CANDOR_AGENTS_PROGRAMS";

/// The folder for a file a test that says what became of it, where somebody wants to know.
const REPORT: &str = "CANDOR_AGENTS_REPORT";

/// Set to `quick`, the suite does less of what can be done more or less often.
const TIER: &str = "CANDOR_AGENTS";

/// Returns the folder in which an agent's program is, unless it is not installed.
pub(crate) fn program_folder(kind: Kind) -> Result<PathBuf, &'static str> {
    let programs = env::var_os(PROGRAMS).ok_or("`cargo xtask agents` says where programs are")?;
    let folder = Path::new(&programs).join(kind.name()).join("node_modules/.bin");
    if folder.join(kind.name()).exists() { Ok(folder) } else { Err("it is not installed") }
}

/// Returns how many to do of something.
pub(crate) fn of_this_run(quick: usize, full: usize) -> usize {
    if env::var_os(TIER).is_some_and(|tier| tier == "full") { full } else { quick }
}

/// Plays a case with an agent, on a stage of its own, of which nothing may be left.
pub(crate) fn case(name: &str, kind: Kind, play: impl FnOnce(&Stage)) {
    let said = match kind.needs() {
        Some(reason) => {
            support::skip(reason);
            format!("skipped: {reason}")
        }
        None => {
            // What is not said otherwise has failed.
            tell(name, "begun");
            let stage = Stage::new(kind);
            play(&stage);
            stage.assert_nothing_is_left();
            format!("passed: {}", stage.figures())
        }
    };
    tell(name, &said);
}

/// Leaves word of what became of a test.
pub(crate) fn tell(name: &str, said: &str) {
    let Some(folder) = env::var_os(REPORT) else { return };
    let name = name.trim_start_matches("agents::").replace("::", ".");
    fs::write(Path::new(&folder).join(name), said).unwrap();
}
