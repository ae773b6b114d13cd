//! Rows that no step of core makes: how a mutant's mistakes get into the model without a line of
//! mutant code in core.

use candor_core::event::Cause;
use candor_core::machine::Machine;
use candor_core::status::Status;
use candor_core::stop::StopKind;
use candor_core::verdict::{End, Exit};
use serde_json::{Value, json};

use crate::forge::edited;
use crate::mutant::Mutant;

/// Returns what the mutant stores where core wants to store `next`.
pub(super) fn forged(mutant: Mutant, next: &Machine, cause: Cause) -> Machine {
    match mutant {
        Mutant::M14 if cause == Cause::Reported => completed(next),
        Mutant::M26 if is_clean_exit(next) && next.intent().is_some() => completed(next),
        Mutant::M28 if cause == Cause::Reported && next.intent().is_some() => edited(next, |row| {
            row["intent"] = Value::Null;
            row["rung"] = Value::Null;
        }),
        Mutant::M40 if next.status() == Status::Failed => {
            edited(next, |row| row["verdict"] = Value::Null)
        }
        Mutant::M41 if cause == Cause::Launched => edited(next, |row| {
            row["status"] = json!("running");
            row["is_up"] = json!(true);
        }),
        Mutant::M63 if next.intent() == Some(StopKind::Finish) => interrupted(next),
        Mutant::M66 if next.intent().is_some_and(|kind| kind != StopKind::Finish) => {
            let had_won = next.report().is_some_and(|it| it.success && it.before_intent);
            if had_won { interrupted(next) } else { *next }
        }
        _ => *next,
    }
}

/// Returns the row with the status, and one revision on.
pub(super) fn with_status(machine: &Machine, status: Status) -> Machine {
    next_revision(machine, |row| row["status"] = json!(status.as_str()))
}

/// Returns the row as one that failed because its daemon was killed.
pub(super) fn failed(machine: &Machine) -> Machine {
    crate::forge::failed(&again(machine))
}

/// Returns the row one revision on, and otherwise the same.
pub(super) fn again(machine: &Machine) -> Machine {
    next_revision(machine, |_| {})
}

/// Returns a row that has ended, overwritten by a success.
pub(super) fn overwritten(machine: &Machine) -> Machine {
    completed(&again(machine))
}

fn completed(machine: &Machine) -> Machine {
    edited(machine, |row| {
        row["status"] = json!("completed");
        row["requests_open"] = json!(0);
        row["verdict"] = json!({ "completed": "succeeded" });
        if row["end"].is_null() {
            row["end"] = json!("never_ran");
        }
    })
}

/// Returns the row with its end, if it has one, as that of an interruption.
fn interrupted(machine: &Machine) -> Machine {
    let (Some(_), Some(kind)) = (machine.verdict(), machine.intent()) else { return *machine };
    edited(machine, |row| {
        row["status"] = json!("completed");
        row["verdict"] = json!({ "completed": { "interrupted": kind.as_str() } });
    })
}

fn is_clean_exit(machine: &Machine) -> bool {
    matches!(machine.end(), Some(End::Exited { exit: Exit::Code(0), .. }))
}

fn next_revision(machine: &Machine, edit: impl FnOnce(&mut Value)) -> Machine {
    let revision = machine.revision().number() + 1;
    edited(machine, |row| {
        row["revision"] = json!(revision);
        edit(row);
    })
}
