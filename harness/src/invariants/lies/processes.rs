//! Lies about processes and signals.

use candor_core::input::{Deadline, Input};
use candor_core::stop::{Rung, Signal};
use candor_core::verdict::{End, Exit, LostReason};
use serde_json::json;

use super::super::forge::{Forge, P1};
use super::{GRACE_MS, INTERRUPT, KILL, Lie, lie};
use crate::ghost::{Record, Told};
use crate::timeline::choice::Boot;

pub(super) const PROCESSES: [Lie; 19] = [
    ("INV-17", "a signal before its intent is durable", || {
        lie(Forge::running(), |forge| {
            forge.signalled(Signal::Interrupt);
        })
    }),
    ("INV-17", "a signal of another rung", || {
        lie(Forge::interrupted(), |forge| {
            forge.signalled(Signal::Kill);
        })
    }),
    ("INV-18", "a signal to a process whose end is stored", || {
        lie(Forge::interrupted(), |forge| {
            forge.ends(Exit::Code(1)).signalled(Signal::Interrupt);
        })
    }),
    ("INV-18", "a signal that reaches a dead process", || {
        lie(Forge::interrupted(), |forge| {
            forge.goes(Exit::Code(1)).signalled(Signal::Continue);
        })
    }),
    ("INV-18", "a signal to a process of a daemon before", || {
        lie(Forge::interrupted(), |forge| {
            forge.push(Record::Crashed).push(Record::Booted { boot: Boot::Same });
            forge.signalled(Signal::Interrupt);
        })
    }),
    ("INV-19", "a second process", || {
        lie(Forge::running(), |forge| {
            forge.comes_up();
        })
    }),
    ("INV-19", "a second launch", || {
        lie(Forge::running(), |forge| {
            let session = forge.id();
            forge.push(Record::LaunchCalled { session });
        })
    }),
    ("INV-20", "an end that is told twice", || {
        lie(Forge::running(), |forge| {
            forge.goes(Exit::Code(0)).push(Record::Seen { process: P1, lost: None });
        })
    }),
    ("INV-20", "an end that is told while it lives", || {
        lie(Forge::running(), |forge| {
            forge.push(Record::Seen { process: P1, lost: None });
        })
    }),
    ("INV-21", "a rung before its time", || {
        lie(Forge::interrupted(), |forge| {
            forge.after(GRACE_MS - 1).step(Input::Due(Deadline::RungOver(Rung::Interrupt)));
        })
    }),
    ("INV-21", "a rung over one that was never sent", || {
        lie(Forge::running(), |forge| {
            forge.step(INTERRUPT).after(GRACE_MS);
            forge.step(Input::Due(Deadline::RungOver(Rung::Interrupt)));
        })
    }),
    ("INV-21", "the same signal once more", || {
        lie(Forge::interrupted(), |forge| {
            forge.signalled(Signal::Interrupt);
        })
    }),
    ("INV-21", "a ladder that stops", || {
        lie(Forge::interrupted(), |forge| {
            forge.at_rest(|_| {});
        })
    }),
    ("INV-21", "a grace that is too short", || {
        lie(Forge::interrupted(), |forge| {
            let deadline = (Deadline::RungOver(Rung::Interrupt), GRACE_MS - 1);
            forge.at_rest(|rest| rest.sessions[0].deadlines.push(deadline));
        })
    }),
    ("INV-21", "a grace for a signal that nobody could send", || {
        lie(Forge::running(), |forge| {
            let deadline = (Deadline::RungOver(Rung::Interrupt), GRACE_MS);
            forge.step(INTERRUPT).at_rest(|rest| {
                rest.sessions[0].has_process = false;
                rest.sessions[0].deadlines.push(deadline);
            });
        })
    }),
    ("INV-21", "a signal that a stopped process never gets", || {
        lie(Forge::running(), |forge| {
            forge.step(KILL).delivered(Signal::Kill).at_rest(|_| {});
        })
    }),
    ("INV-21", "a time limit that nobody has set", || {
        lie(Forge::running(), |forge| {
            forge.step(Input::Due(Deadline::Timeout));
        })
    }),
    ("INV-21", "a time limit before its time", || {
        lie(Forge::running(), |forge| {
            let limit = [("/machine/policy/timeout_ms", json!(1_000))];
            forge.lie(Input::RequestOpened, &limit).lie(Input::Due(Deadline::Timeout), &limit);
        })
    }),
    ("INV-22", "an end while the process lives", || {
        lie(Forge::running(), |forge| {
            let session = forge.id();
            let told = Told::AttachLost(LostReason::DaemonKilled);
            forge.push(Record::Told { session, told });
            forge.step(Input::Gone(End::Unknown(LostReason::DaemonKilled)));
        })
    }),
];
