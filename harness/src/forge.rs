//! Rows that no step of core makes, for the mistakes of both levels.
//!
//! Core gives nobody a way to set a status, so that a row goes out and in as it is written down.

use candor_core::machine::Machine;
use serde_json::{Value, json};

/// Changes a row where only core may: in what it is written as.
///
/// # Panics
///
/// If that is no row any more, which is a bug of whoever edits it.
pub(crate) fn edited(machine: &Machine, edit: impl FnOnce(&mut Value)) -> Machine {
    let changed = serde_json::to_value(machine).map(|mut row| {
        edit(&mut row);
        row
    });
    match changed.and_then(serde_json::from_value) {
        Ok(machine) => machine,
        Err(error) => panic!("a forged row cannot be read: {error}"),
    }
}

/// Returns the row as one that failed without having run.
pub(crate) fn failed(machine: &Machine) -> Machine {
    edited(machine, |row| {
        row["status"] = json!("failed");
        row["requests_open"] = json!(0);
        row["end"] = json!("never_ran");
        row["verdict"] = json!({ "failed": "never_ran" });
    })
}
